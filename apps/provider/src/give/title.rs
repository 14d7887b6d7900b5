//! Hand-overs, taken in one after the other, whoever tells of them: the giver, the receiver, or a gate that was shown them.

use super::used;
use crate::desk::{Desk, Failure};
use crate::directory::Learned;
use crate::enter;
use crate::shared::Shared;
use crate::update::{Source, block, exception};
use tegata_core::card::title::{Holder, Hop, MAX_HOPS, is_within};
use tegata_core::card::{CardCertificate, CardKind, EventKind, Terms};
use tegata_core::step::Break;
use tegata_core::talk::enter::{Admitted, EnterRefusal};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{PublicKey, Signed, Verifier};
use tegata_core::{CardId, Hash};
use tegata_crypto_native::is_strict_key;
use tegata_store::{CardRow, ExceptionKind, ExceptionRow, GenerationRow, HandedRow, HandedState, StoreError};

/// Hand-overs whose signatures hold, from a generation that the provider has certified on.
#[derive(Debug, Clone)]
pub(crate) struct Title {
    pub(crate) card: CardId,
    /// The generation that was given first.
    pub(crate) generation: u64,
    pub(crate) hops: Vec<Hop>,
}

impl Title {
    /// The generation that the last receiver holds.
    pub(crate) fn last(&self) -> u64 {
        self.generation.saturating_add(self.hops.len() as u64)
    }
    /// The last receiver's key.
    pub(crate) fn key(&self) -> Option<PublicKey> {
        self.hops.last().map(|hop| hop.to)
    }
}

/// Proves a title, by the key of the generation that it begins with.
pub(crate) fn prove(
    shared: &Shared,
    by: &dyn Verifier,
    card: CardId,
    generation: u64,
    hops: &[Hop],
) -> Option<(Title, Holder)> {
    // Under a key of small order anybody could sign.
    let strict = (1..=MAX_HOPS).contains(&hops.len()) && hops.iter().all(|hop| is_strict_key(&hop.to));
    strict.then_some(())?;
    let key = *shared.directory().card_keys.get(&(card, generation))?;
    let first = Holder { card, generation, key, used: 0, before: Vec::new() };
    let holder = first.after(hops, by)?;
    Some((Title { card, generation, hops: hops.to_vec() }, holder))
}

/// Takes in what is not known yet. Gives why a hand-over does not count: then nothing after it does.
pub(crate) fn tell(desk: &mut Desk<'_>, source: &Source, title: &Title) -> Result<Option<ProviderRefusal>, Failure> {
    let mut given = said_given(desk, title.card, title.generation)?;
    for (generation, hop) in (title.generation..).zip(&title.hops) {
        let before = given;
        given = given.saturating_add(1);
        let hash = hop.hash(title.card, generation);
        if let Some(known) = desk.store.handed(title.card, generation)? {
            if known.hash != hash {
                twice(desk, source, (title.card, generation, hash), known.body)?;
                return Ok(Some(ProviderRefusal::GivenTwice));
            }
            if known.state == HandedState::Back {
                return Ok(Some(ProviderRefusal::CameBack));
            }
            continue;
        }
        let Some(card) = desk.card(title.card)?.map(|card| card.clone()) else {
            return Ok(Some(ProviderRefusal::Unknown));
        };
        if let Some(other) = ended_otherwise(desk, &card, generation, hop)? {
            twice(desk, source, (title.card, generation, hash), other)?;
            return Ok(Some(ProviderRefusal::GivenTwice));
        }
        if card.generation != generation || card.blocked.is_some() {
            // Its holder was put back, or the card was blocked, before anybody told of this (R9): a person looks.
            except(desk, source, (&card, generation, hash), ExceptionKind::Late, None)?;
            return Ok(Some(ProviderRefusal::CameBack));
        }
        let terms = desk.terms(card.terms)?;
        if !fits(&card, &terms, hop, before) {
            except(desk, source, (&card, generation, hash), ExceptionKind::Altered, None)?;
            block(desk, card.card, generation)?;
            return Ok(Some(ProviderRefusal::Terms));
        }
        hand_over(desk, card, &terms, hop)?;
        used::look_back(desk, source, (title.card, generation))?;
    }
    Ok(None)
}

/// How often a ticket had been given on by what the holder of this generation was certified for, which is what its wallet and all whom it
/// meets go by (R16): certificates of before that was counted in all say nothing of it.
pub(super) fn said_given(desk: &mut Desk<'_>, card: CardId, generation: u64) -> Result<u64, Failure> {
    let Some(row) = desk.store.generation(card, generation)? else { return Ok(0) };
    let said = Signed::<CardCertificate>::decode(&row.body).map_err(|_| StoreError::Damaged)?;
    Ok(said.claimed().given.unwrap_or_default())
}

/// Whether it is the next event of the chain, and the terms allow it after so many before.
fn fits(card: &CardRow, terms: &Terms, hop: &Hop, given: u64) -> bool {
    let said = hop.event.claimed();
    terms.kind == CardKind::Ticket
        && given < terms.handovers
        && is_within(terms, hop)
        && (said.seq, said.previous, said.amount) == (card.seq.saturating_add(1), card.head, card.remaining)
}

/// The record of another event at the place of this one: a card given back by its holder, for one.
fn ended_otherwise(
    desk: &mut Desk<'_>,
    card: &CardRow,
    generation: u64,
    hop: &Hop,
) -> Result<Option<Vec<u8>>, Failure> {
    let seq = hop.event.claimed().seq;
    let other = desk.store.events(card.card, generation, seq, seq)?.into_iter().find(|row| row.seq == seq);
    match other {
        Some(other) if other.kind != EventKind::Transfer => {
            Ok(Some(crate::update::record_of(desk, &other)?.unwrap_or_else(|| other.hash.0.to_vec())))
        }
        _ => Ok(None),
    }
}

/// The generation is over, the next one begins under the receiver's key. Who that is, is not known yet.
fn hand_over(desk: &mut Desk<'_>, card: CardRow, terms: &Terms, hop: &Hop) -> Result<(), Failure> {
    let generation = card.generation;
    let before = match generation.checked_sub(1) {
        Some(before) => desk.store.handed(card.card, before)?,
        None => None,
    };
    let open = before.filter(|row| row.state == HandedState::Open && !row.gift);
    let (home, giver) = open.as_ref().map_or((generation, card.wallet), |row| (row.home, row.giver));
    if let Some(row) = open {
        desk.store.put_handed(&HandedRow { state: HandedState::Passed, ..row })?;
    }
    let due = if desk.shared.broken.has(Break::TakenBackEarly) { desk.now } else { hop.until.after(terms.record_age) };
    desk.store.put_handed(&HandedRow {
        card: card.card,
        generation,
        hash: hop.hash(card.card, generation),
        gift: false,
        body: hop.to_bytes(),
        used: hop.used,
        until: hop.until,
        home,
        giver,
        state: HandedState::Open,
        due,
        taker: None,
        proof: None,
        number: None,
    })?;
    next_generation(desk, card.card, generation.saturating_add(1), hop.to, hop.used)?;
    Ok(())
}

/// Begins a generation under this key; those before are dead at the gates.
pub(super) fn next_generation(
    desk: &mut Desk<'_>,
    id: CardId,
    generation: u64,
    key: PublicKey,
    used: u64,
) -> Result<Signed<CardCertificate>, Failure> {
    let came = desk.store.admissions_by(id)?.into_iter().filter(|one| one.done == Admitted::In);
    let used = came.map(|one| one.entry).fold(used, u64::max);
    if let Some(mut ticket) = desk.store.ticket(id)? {
        ticket.used = ticket.used.max(used);
        desk.store.put_ticket(&ticket)?;
    }
    enter::kill(desk, id, generation.saturating_sub(1), EnterRefusal::GivenAway)?;
    let row = desk.known_card(id)?;
    row.generation = generation;
    row.seq = 0;
    row.head = Hash::ZERO;
    let card = row.clone();
    let terms = desk.terms(card.terms)?;
    let certificate = desk.certify(&card, &terms, key)?;
    let body = certificate.encode();
    desk.store.put_generation(&GenerationRow { card: id, generation, key, at: desk.now, number: None, body })?;
    desk.learned.push(Learned::CardKey(id, generation, key));
    Ok(certificate)
}

/// The holder of this generation gave it twice: convicted. What was recorded first stands (R9).
pub(crate) fn twice(
    desk: &mut Desk<'_>,
    source: &Source,
    (card, generation, hash): (CardId, u64, Hash),
    other: Vec<u8>,
) -> Result<(), Failure> {
    if desk.shared.broken.has(Break::GivenTwiceIgnored) {
        return Ok(());
    }
    let row = desk.known_card(card)?.clone();
    except(desk, source, (&row, generation, hash), ExceptionKind::GivenTwice, Some(other))?;
    block(desk, card, generation)
}

fn except(
    desk: &mut Desk<'_>,
    source: &Source,
    (card, generation, hash): (&CardRow, u64, Hash),
    kind: ExceptionKind,
    other: Option<Vec<u8>>,
) -> Result<(), Failure> {
    if desk.store.has_exception(kind, card.card, &hash)? {
        return Ok(());
    }
    let row = ExceptionRow {
        device: Some(source.device),
        issuer: Some(card.issuer),
        card: Some(card.card),
        generation: Some(generation),
        check: Some(hash),
        wallet_record: Some(source.bytes.clone()),
        terminal_record: other,
        ..exception(desk, source, kind, "holder")
    };
    Ok(desk.except(&row)?)
}
