//! Cards on the wallet's side: installed and loaded by number (R18).

use crate::books::Accounts;
use crate::cards::activated;
use crate::desk::{Desk, Failure};
use crate::directory::Learned;
use crate::give;
use tegata_core::card::{CardCertificate, Load, Raise, Terms};
use tegata_core::step::Break;
use tegata_core::talk::cards::{Activate, InstallReply, InstallRequest, LoadReply, LoadRequest};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::{PublicKey, Signed, Verified};
use tegata_core::{Amount, CardId, Hash, Time, WalletId};
use tegata_crypto_native::number::InstallationNumber;
use tegata_store::{BatchRow, CardRow, Cause, GenerationRow, LoadRow, NumberRow, NumberState, StoreError, TicketRow};

/// Wrong numbers that a wallet may send within [`GUESS_WINDOW`].
const GUESSES: u64 = 10;
/// Seconds.
const GUESS_WINDOW: u64 = 3600;

/// Installs a card.
pub(crate) fn install(
    desk: &mut Desk<'_>,
    request: &Verified<InstallRequest>,
    slip: Option<&Verified<Activate>>,
) -> Result<Vec<u8>, Failure> {
    guessing(desk, request.wallet)?;
    if let Some(reply) = give::take(desk, request)? {
        return Ok(reply);
    }
    if let Some(reply) = give::take_anew(desk, request)? {
        return Ok(reply);
    }
    let mut number = find(desk, request.wallet, &request.number, slip)?;
    if let Some((hash, reply)) = number.used.as_ref().filter(|_| number.state == NumberState::Used) {
        if *hash == request.hash() {
            return Ok(reply.clone());
        }
        let same_key = number.load.is_none() && number.key.as_deref() == Some(request.key.as_bytes());
        if same_key {
            return again(desk, request, &number);
        }
        if !desk.shared.broken.has(Break::NumberForAnyKey) {
            return Err(guessed(desk, request.wallet)?);
        }
    }
    let batch = desk.store.batch(number.issuer, number.batch)?.ok_or(StoreError::Damaged)?;
    if desk.now >= batch.until {
        return Err(ProviderRefusal::Terms.into());
    }
    let reply = new_card(desk, request, &mut number, &batch)?;
    Ok(reply)
}

/// The same key gets the same certificate again.
fn again(desk: &Desk<'_>, request: &Verified<InstallRequest>, number: &NumberRow) -> Result<Vec<u8>, Failure> {
    let card = number.card.ok_or(StoreError::Damaged)?;
    let first = desk.store.generation(card, 1)?.ok_or(StoreError::Damaged)?;
    let certificate: Signed<CardCertificate> = Signed::decode(&first.body).map_err(|_| StoreError::Damaged)?;
    let terms = desk.terms(certificate.claimed().terms)?;
    let seat_name = desk.seat_name(&terms, certificate.claimed())?;
    Ok(desk.answer(&request.hash(), |signer| InstallReply {
        certificate,
        terms,
        signer,
        seat_name,
        extensions: Default::default(),
    }))
}

fn new_card(
    desk: &mut Desk<'_>,
    request: &Verified<InstallRequest>,
    number: &mut NumberRow,
    batch: &BatchRow,
) -> Result<Vec<u8>, Failure> {
    let terms = desk.terms(batch.terms)?;
    // A ticket's certificate ends a day after its event's last admission: gates say "too late", not "no ticket".
    let until = terms.ticket.as_ref().map_or(batch.until, |ticket| ticket.until.after(Time::DAY));
    let card = CardRow {
        card: CardId(desk.draw_id()),
        wallet: request.wallet,
        issuer: number.issuer,
        unit: batch.unit,
        terms: batch.terms,
        face: batch.face,
        until,
        generation: 1,
        seq: 0,
        head: Hash::ZERO,
        remaining: batch.face,
        last_load: 0,
        loads: 0,
        held: 0,
        in_flight: 0,
        covered: 0,
        held_back: 0,
        release_at: None,
        blocked: None,
        dead_generation: 0,
        dead_list: 0,
    };
    let (id, accounts) = (card.card, Accounts::of(&card));
    if let Some(ticket) = &terms.ticket {
        let seat = desk.store.printed_seat(number.issuer, number.batch, number.serial)?;
        let row = TicketRow { card: id, event: ticket.event, seat, used: 0, dead: 0, why: None };
        desk.store.put_ticket(&row)?;
        crate::enter::joined(desk, ticket.event, id, request.wallet, batch.terms)?;
    }
    let certificate = first_generation(desk, card, &terms, request.key, Some(number.hash))?;
    let key = (id.0, Cause::Installed, number.hash);
    desk.books.post(desk.store, key, accounts.waiting(), accounts.held(), batch.face)?;
    let seat_name = desk.seat_name(&terms, certificate.claimed())?;
    let reply = desk.answer(&request.hash(), |signer| InstallReply {
        certificate,
        terms,
        signer,
        seat_name,
        extensions: Default::default(),
    });
    number.state = NumberState::Used;
    number.key = Some(request.key.as_bytes().to_vec());
    number.card = Some(id);
    number.used = Some((request.hash(), reply.clone()));
    desk.store.set_number(number)?;
    Ok(reply)
}

/// Certifies a new card under its first key and takes it into the books. It posts nothing.
pub(crate) fn first_generation(
    desk: &mut Desk<'_>,
    card: CardRow,
    terms: &Terms,
    key: PublicKey,
    number: Option<Hash>,
) -> Result<Signed<CardCertificate>, Failure> {
    let certificate = desk.certify(&card, terms, key)?;
    let (id, at, body) = (card.card, desk.now, certificate.encode());
    desk.store.put_generation(&GenerationRow { card: id, generation: 1, key, at, number, body })?;
    desk.learned.push(Learned::CardKey(id, 1, key));
    desk.books.adopt(desk.store, card)?;
    Ok(certificate)
}

/// Loads a card.
pub(crate) fn load(
    desk: &mut Desk<'_>,
    request: &Verified<LoadRequest>,
    slip: Option<&Verified<Activate>>,
) -> Result<Vec<u8>, Failure> {
    let now = desk.now;
    let card = desk.card(request.card)?.filter(|card| card.wallet == request.wallet).map(|card| card.clone());
    let card = card.ok_or(ProviderRefusal::Unknown)?;
    let mut number = find(desk, request.wallet, &request.number, slip)?;
    if let Some((hash, reply)) = number.used.as_ref().filter(|_| number.state == NumberState::Used) {
        if *hash == request.hash() {
            return Ok(reply.clone());
        }
        return match number.load.filter(|_| number.card == Some(card.card)) {
            Some(load) => same_load(desk, request, card.card, load),
            None => Err(guessed(desk, request.wallet)?),
        };
    }
    let batch = desk.store.batch(number.issuer, number.batch)?.ok_or(StoreError::Damaged)?;
    let terms = desk.terms(card.terms)?;
    let held = desk.books.balance(desk.store, Accounts::of(&card).held())?;
    let covered = desk.books.balance(desk.store, Accounts::of(&card).guarantor())?;
    // A card that somebody else had to pay for is not loaded until that is settled (R9).
    let fits = covered == 0
        && (batch.issuer, batch.unit) == (card.issuer, card.unit)
        && request.generation == card.generation
        && card.blocked.is_none()
        && now < batch.until
        && held.saturating_add(batch.face) <= terms.max_balance;
    if !fits {
        return Err(ProviderRefusal::Terms.into());
    }
    let signed = issue_load(desk, card.card, batch.face, Some(number.hash))?;
    let key = (card.card.0, Cause::Loaded, signed.hash(&[]));
    let accounts = Accounts::of(&card);
    desk.books.post(desk.store, key, accounts.waiting(), accounts.held(), batch.face)?;
    number.load = Some(signed.claimed().number);
    number.state = NumberState::Used;
    number.card = Some(card.card);
    let reply = answer_load(desk, request, signed);
    number.used = Some((request.hash(), reply.clone()));
    desk.store.set_number(&number)?;
    Ok(reply)
}

fn same_load(desk: &Desk<'_>, request: &Verified<LoadRequest>, card: CardId, load: u64) -> Result<Vec<u8>, Failure> {
    let row = desk.store.load(card, load)?.ok_or(StoreError::Damaged)?;
    Ok(answer_load(desk, request, Signed::decode(&row.body).map_err(|_| StoreError::Damaged)?))
}

fn answer_load(desk: &Desk<'_>, request: &Verified<LoadRequest>, load: Signed<Load>) -> Vec<u8> {
    desk.answer(&request.hash(), |signer| LoadReply { load, signer, extensions: Default::default() })
}

/// Signs and records a card's next load. It posts nothing.
pub(crate) fn issue_load(
    desk: &mut Desk<'_>,
    id: CardId,
    amount: u64,
    source: Option<Hash>,
) -> Result<Signed<Load>, Failure> {
    let now = desk.now;
    let card = desk.known_card(id)?;
    card.loads += 1;
    let (number, generation, unit) = (card.loads, card.generation, card.unit);
    let value = Amount::new(unit, amount).ok_or(ProviderRefusal::Terms)?;
    let signed = desk.sign(&[], |signer| Load {
        card: id,
        generation,
        number,
        amount: value,
        at: now,
        signer,
        extensions: Default::default(),
    });
    let hash = Raise::Load(signed.clone()).hash();
    let body = signed.encode();
    desk.store.put_load(&LoadRow { card: id, number, generation, amount, at: now, source, hash, body })?;
    Ok(signed)
}

/// The number that a wallet typed, activated by its slip if it shows one. All that is wrong gets one answer.
fn find(
    desk: &mut Desk<'_>,
    wallet: WalletId,
    text: &str,
    slip: Option<&Verified<Activate>>,
) -> Result<NumberRow, Failure> {
    guessing(desk, wallet)?;
    let Some(mut number) = look_up(desk, text)? else {
        return Err(guessed(desk, wallet)?);
    };
    let covered = slip.filter(|slip| {
        (slip.issuer, slip.batch) == (number.issuer, number.batch) && (slip.first..=slip.last).contains(&number.serial)
    });
    if let (NumberState::Printed, Some(slip)) = (number.state, covered) {
        activated(desk, slip)?;
        number.state = NumberState::Activated;
    }
    if number.state == NumberState::Printed {
        return Err(guessed(desk, wallet)?);
    }
    Ok(number)
}

/// Refuses who has typed too many wrong numbers, and everybody while devices are heard after a backup was restored (R15).
fn guessing(desk: &mut Desk<'_>, wallet: WalletId) -> Result<(), Failure> {
    if reconciling(desk)? {
        return Err(Failure::Refused(ProviderRefusal::Reconciling, Some(60)));
    }
    if let Some((since, count)) = desk.store.guesses(wallet)?
        && count >= GUESSES
        && desk.now.since(since) < GUESS_WINDOW
    {
        let wait = GUESS_WINDOW - desk.now.since(since);
        return Err(Failure::Refused(ProviderRefusal::TooMany, Some(wait)));
    }
    Ok(())
}

fn look_up(desk: &Desk<'_>, text: &str) -> Result<Option<NumberRow>, Failure> {
    let Ok(number) = InstallationNumber::parse(text) else {
        return Ok(None);
    };
    for key in desk.store.number_keys()? {
        if let Some(row) = desk.store.number(&number.keyed_hash(&key))? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Counts a wrong number, durably, and says so.
fn guessed(desk: &mut Desk<'_>, wallet: WalletId) -> Result<Failure, Failure> {
    let (since, count) = match desk.store.guesses(wallet)? {
        Some((since, count)) if desk.now.since(since) < GUESS_WINDOW => (since, count),
        _ => (desk.now, 0),
    };
    desk.store.put_guesses(wallet, since, count + 1)?;
    Ok(ProviderRefusal::Number.into())
}

/// Whether nothing is sold: while devices are heard after a backup was put back, and before somebody has compared what was sold since,
/// for nobody else knows that a seat is gone (R15).
pub(crate) fn waits_to_sell(desk: &mut Desk<'_>) -> Result<bool, Failure> {
    let compared = desk.provider.compared >= desk.provider.epoch || desk.shared.broken.has(Break::SoldUncompared);
    Ok(reconciling(desk)? || !compared)
}

/// Refuses a sale while [`waits_to_sell`].
pub(crate) fn sales_go_on(desk: &mut Desk<'_>) -> Result<(), Failure> {
    if reconciling(desk)? {
        return Err(Failure::Refused(ProviderRefusal::Reconciling, Some(60)));
    }
    if waits_to_sell(desk)? {
        let why = "the provider was put back from a backup: nothing is sold before its operator has compared what was sold since";
        return Err(Failure::Told(ProviderRefusal::Reconciling, why.to_owned()));
    }
    Ok(())
}

/// Whether installs wait for devices to be heard after a backup was restored (R15).
pub(crate) fn reconciling(desk: &mut Desk<'_>) -> Result<bool, Failure> {
    let Some(until) = desk.provider.reconciling_until else {
        return Ok(false);
    };
    if desk.now < until && desk.store.unheard(desk.provider.epoch)? > 0 {
        return Ok(true);
    }
    desk.provider.reconciling_until = None;
    Ok(false)
}
