//! A wallet's log: what its cards spent and took up (R6, R7, R9).

use super::record::{Check, Event};
use super::{Source, call, chain, exception, money};
use crate::books::Accounts;
use crate::buy;
use crate::desk::{Desk, Failure};
use crate::give;
use crate::settle::fees;
use tegata_core::card::{EventKind, Load, Raise, Reversal};
use tegata_core::talk::contract::Tender;
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::Signed;
use tegata_core::{Amount, DeviceId, Unit};
use tegata_store::{
    CardRow, Cause, ClaimRow, ClaimState, EventRow, EventState, ExceptionKind, ExceptionRow, LoadRow, ReversalRow,
    StoreError,
};

/// A check was signed.
pub(crate) fn spent(
    desk: &mut Desk<'_>,
    source: &Source,
    check: &Check,
    ends: &mut money::Ends,
) -> Result<(), Failure> {
    let event = &check.event;
    let Some(card) = own_card(desk, source, event)? else {
        return malformed(desk, source);
    };
    let charge = &check.charged.charge;
    if event.event.event != EventKind::Spend
        || event.event.amount != charge.amount.minor()
        || charge.amount.unit() != card.unit
        // No terminal is paid for it, and nobody but the wallet says that it was signed for one.
        || event.event.amount > desk.terms(card.terms)?.max_payment
    {
        return malformed(desk, source);
    }
    let around = chain::look(desk, source, event)?;
    if around.same.as_ref().is_some_and(|same| same.wallet_entry.is_some()) {
        return Ok(());
    }
    advance(desk, source, event, None)?;
    if let Some(same) = around.same {
        return seen(desk, source, &card, same, ends);
    }
    let to = Accounts::of(&card).in_flight();
    let missing = money::take(desk, card.card, (Cause::Spent, event.hash), to, event.event.amount)?;
    if missing > 0 {
        let row = about(desk, source, event, &card, ExceptionKind::Overspent);
        money::overspent(desk, row, missing)?;
    }
    let mut row = event_row(desk, source, event, EventState::InFlight);
    row.terminal = Some(check.charged.terminal);
    row.transaction = Some(charge.transaction);
    row.charge = Some(check.charged.hash);
    match desk.store.claim(check.charged.terminal, charge.transaction, &check.charged.hash)? {
        None => desk.store.await_claim(&row)?,
        // Its terminal has reported already that this charge ended otherwise.
        Some(_) => {
            row.state = EventState::Ended;
            ends.add(card.card, event.generation, event.hash);
        }
    }
    Ok(desk.store.put_event(&row)?)
}

/// The terminal's record of this check is here already.
fn seen(
    desk: &mut Desk<'_>,
    source: &Source,
    card: &CardRow,
    same: EventRow,
    ends: &mut money::Ends,
) -> Result<(), Failure> {
    desk.store.resolve(ExceptionKind::MissingWalletRecord, card.card, &same.hash)?;
    let state = match same.state {
        EventState::Refused => unrefused(desk, card, &same, ends)?,
        state => state,
    };
    Ok(desk.store.put_event(&EventRow { wallet_entry: Some(source.number), state, ..same })?)
}

/// The claim of this check was refused, and nothing was posted for it yet. Says where the check stands now.
fn unrefused(
    desk: &mut Desk<'_>,
    card: &CardRow,
    same: &EventRow,
    ends: &mut money::Ends,
) -> Result<EventState, Failure> {
    let (terminal, transaction) = same.terminal.zip(same.transaction).ok_or(StoreError::Damaged)?;
    let charge = same.charge.ok_or(StoreError::Damaged)?;
    let claim = desk.store.claim(terminal, transaction, &charge)?.ok_or(StoreError::Damaged)?;
    let accounts = Accounts::of(card);
    // Late, and the value was gone as far as was known. Had the wallet been heard first, it would have been paid: what
    // is paid does not depend on who comes first, as long as the value is there unspent (R11).
    if claim.state == ClaimState::Refused
        && desk.store.has_exception(ExceptionKind::Late, card.card, &same.hash)?
        && desk.books.balance(desk.store, accounts.held())? >= same.amount
    {
        let key = (card.card.0, Cause::Claimed, same.hash);
        desk.books.post(desk.store, key, accounts.held(), accounts.payable(claim.merchant), same.amount)?;
        let book = (accounts.issuer, accounts.unit);
        fees::charge(desk, (Tender::Cards, book), claim.merchant, same.hash, same.amount, claim.at)?;
        desk.store.resolve(ExceptionKind::Late, card.card, &same.hash)?;
        desk.store.set_claim(&ClaimRow { state: ClaimState::Paid, ..claim })?;
        return Ok(EventState::Claimed);
    }
    money::take(desk, card.card, (Cause::Spent, same.hash), accounts.in_flight(), same.amount)?;
    // The check is out until its terminal voids it; one that has done so already does not say it again.
    if claim.state == ClaimState::Refused {
        return Ok(EventState::Refused);
    }
    ends.add(card.card, same.generation, same.hash);
    Ok(EventState::Ended)
}

/// A raise was taken up: a load, or a check's money that came back.
pub(crate) fn took_up(
    desk: &mut Desk<'_>,
    source: &Source,
    event: &Event,
    raise: &Raise,
    (terminal, transaction): (Option<DeviceId>, u64),
) -> Result<(), Failure> {
    let Some(card) = own_card(desk, source, event)? else {
        return malformed(desk, source);
    };
    let expected = if raise.load_number().is_some() { EventKind::Load } else { EventKind::CreditBack };
    // What a call leaves over is said by the row of the call.
    let over = |amount: Amount| event.event.amount == amount.minor() && amount.unit() == card.unit;
    if event.event.event != expected || !raise.amount().is_none_or(over) {
        return chain::convict(desk, source, event, ExceptionKind::Altered, None);
    }
    let around = chain::look(desk, source, event)?;
    if around.same.is_some() {
        return Ok(());
    }
    advance(desk, source, event, raise.load_number())?;
    let fair = match raise {
        Raise::Load(load) => load_taken(desk, source, event, &card, load)?,
        Raise::Void(by, void) => {
            let of = match void.claimed().check {
                Some(hash) => desk.store.event_by_hash(card.card, event.generation, &hash)?,
                None => desk.store.event_of(card.card, event.generation, *by, transaction)?,
            };
            let of = of.filter(|of| of.terminal == Some(*by) && terminal.is_none_or(|terminal| terminal == *by));
            returned(desk, of, event)?
        }
        Raise::Call(by, receipt) => call::returned(desk, source, event, (*by, receipt))?,
        Raise::Reversal(back) => {
            let issued = is_issued(desk, source, event, &card, back)?;
            let of = desk.store.event_by_hash(card.card, event.generation, &back.claimed().check)?;
            returned(desk, of.filter(|_| issued), event)?
        }
    };
    if !fair {
        chain::convict(desk, source, event, ExceptionKind::Altered, None)?;
    }
    let row = event_row(desk, source, event, EventState::TakenUp);
    Ok(desk.store.put_event(&row)?)
}

/// A card was given back, with all that remained on it.
pub(crate) fn surrendered(desk: &mut Desk<'_>, source: &Source, event: &Event) -> Result<(), Failure> {
    let card = desk.card(event.card)?.map(|card| card.clone());
    let own = card.as_ref().is_some_and(|card| card.wallet == source.device);
    // Whoever gave a ticket away, and gives it back, has signed that, though it is another's by now.
    let signs = own || card.is_some_and(|card| card.unit == Unit::ENTRIES);
    if !signs || event.event.event != EventKind::Surrender {
        return malformed(desk, source);
    }
    if chain::look(desk, source, event)?.same.is_some() {
        return Ok(());
    }
    if own {
        advance(desk, source, event, None)?;
    }
    let row = event_row(desk, source, event, EventState::TakenUp);
    desk.store.put_event(&row)?;
    // Given to somebody, and given back: one of the two is a lie (R9).
    if let Some(given) = desk.store.handed(event.card, event.generation)? {
        return give::twice(desk, source, (event.card, event.generation, event.hash), given.body);
    }
    if own { buy::surrendered(desk, event) } else { Ok(()) }
}

/// Whether this reversal is ours. One that a backup does not have, or has signed anew since, counts by our own signature (R15);
/// that it is used once is seen by its check, which comes back once (R6).
fn is_issued(
    desk: &mut Desk<'_>,
    source: &Source,
    event: &Event,
    card: &CardRow,
    back: &Signed<Reversal>,
) -> Result<bool, Failure> {
    let (said, hash) = (back.claimed().clone(), Raise::Reversal(back.clone()).hash());
    let stored = desk.store.reversal(card.card, &said.check)?;
    if stored.is_some_and(|row| row.hash == hash) {
        return Ok(true);
    }
    let own = (said.card, said.generation) == (card.card, event.generation);
    if !own || desk.provider.epoch < 2 || !is_ours(desk, back, said.signer) {
        return Ok(false);
    }
    desk.store.put_reversal(&ReversalRow {
        card: said.card,
        check: said.check,
        generation: said.generation,
        amount: said.amount.minor(),
        at: said.at,
        hash,
        body: back.encode(),
    })?;
    let row = about(desk, source, event, card, ExceptionKind::Restored);
    desk.except(&ExceptionRow { bearer: "provider", ..row })?;
    Ok(true)
}

/// Whether one of our operational keys has signed this, with nothing in its context.
fn is_ours<T: Message + Clone>(desk: &Desk<'_>, signed: &Signed<T>, signer: u64) -> bool {
    let key = {
        let keys = desk.shared.keys();
        keys.operational.iter().find(|key| key.number == signer).map(|key| key.secret.public())
    };
    key.is_some_and(|key| signed.clone().verify(&key, &[], desk.shared.verifier()).is_ok())
}

/// Whether this load is one of ours for this card, taken up once. One that a backup does not have is taken back in
/// (R15): our own signature says that it was given.
fn load_taken(
    desk: &mut Desk<'_>,
    source: &Source,
    event: &Event,
    card: &CardRow,
    load: &Signed<Load>,
) -> Result<bool, Failure> {
    let said = load.claimed().clone();
    if (said.card, said.generation) != (card.card, event.generation) || said.number <= card.last_load {
        return Ok(event.generation < card.generation);
    }
    let raise = Raise::Load(load.clone());
    if let Some(stored) = desk.store.load(card.card, said.number)? {
        return Ok(stored.hash == raise.hash());
    }
    if desk.provider.epoch < 2 || !is_ours(desk, load, said.signer) {
        return Ok(false);
    }
    let (amount, hash) = (said.amount.minor(), raise.hash());
    desk.store.put_load(&LoadRow {
        card: card.card,
        number: said.number,
        generation: said.generation,
        amount,
        at: said.at,
        source: None,
        hash,
        body: load.encode(),
    })?;
    let accounts = Accounts::of(card);
    let waiting = desk.books.balance(desk.store, accounts.waiting())?.min(amount);
    let posted = (card.card.0, Cause::Loaded, hash);
    desk.books.post(desk.store, posted, accounts.waiting(), accounts.held(), waiting)?;
    let row = desk.known_card(card.card)?;
    row.loads = row.loads.max(said.number);
    money::repay(desk, card.card, hash)?;
    let row = about(desk, source, event, card, ExceptionKind::Restored);
    desk.except(&ExceptionRow { bearer: "provider", ..row })?;
    Ok(true)
}

/// Whether this check was out; then its money is back on the card. A void that its terminal has not reported yet ends
/// the claim all the same, whoever shows it (R9).
fn returned(desk: &mut Desk<'_>, of: Option<EventRow>, event: &Event) -> Result<bool, Failure> {
    let Some(of) = of.filter(|of| of.amount == event.event.amount) else {
        return Ok(false);
    };
    match of.state {
        EventState::Claimed => {
            let (terminal, transaction) = of.terminal.zip(of.transaction).ok_or(StoreError::Damaged)?;
            let charge = of.charge.ok_or(StoreError::Damaged)?;
            if let Some(claim) = desk.store.claim(terminal, transaction, &charge)? {
                let merchant = claim.merchant;
                desk.store.set_claim(&ClaimRow { state: ClaimState::Voided, ..claim })?;
                money::unclaim(desk, &of, merchant)?;
            }
        }
        EventState::InFlight | EventState::Ended | EventState::Refused => {}
        _ => return Ok(false),
    }
    money::give_back(desk, &of)?;
    desk.store.resolve(ExceptionKind::MissingTerminalRecord, of.card, &of.hash)?;
    desk.store.put_event(&EventRow { state: EventState::Returned, ..of })?;
    Ok(true)
}

/// Moves the card's checkpoint on, if this is the next event of its chain.
pub(super) fn advance(desk: &mut Desk<'_>, source: &Source, event: &Event, load: Option<u64>) -> Result<(), Failure> {
    let card = desk.known_card(event.card)?;
    let said = &event.event;
    if event.generation != card.generation {
        return Ok(());
    }
    let next = said.seq == card.seq + 1 && said.previous == card.head;
    if next && chain::follows(card.remaining, said.event, said.amount, said.remaining) {
        card.seq = said.seq;
        card.head = event.hash;
        card.remaining = said.remaining;
        card.last_load = load.unwrap_or(card.last_load);
        return Ok(());
    }
    chain::convict(desk, source, event, ExceptionKind::Altered, None)
}

/// The card, if it is this wallet's.
pub(super) fn own_card(desk: &mut Desk<'_>, source: &Source, event: &Event) -> Result<Option<CardRow>, Failure> {
    let card = desk.card(event.card)?.map(|card| card.clone());
    Ok(card.filter(|card| card.wallet == source.device))
}

pub(super) fn malformed(desk: &mut Desk<'_>, source: &Source) -> Result<(), Failure> {
    let row = exception(desk, source, ExceptionKind::Malformed, "holder");
    Ok(desk.except(&row)?)
}

pub(super) fn event_row(desk: &Desk<'_>, source: &Source, event: &Event, state: EventState) -> EventRow {
    EventRow {
        card: event.card,
        generation: event.generation,
        seq: event.event.seq,
        hash: event.hash,
        kind: event.event.event,
        amount: event.event.amount,
        remaining: event.event.remaining,
        state,
        wallet_entry: Some(source.number),
        terminal: None,
        terminal_entry: None,
        transaction: None,
        charge: None,
        at: desk.now,
        tick: event.event.tick.map_or(0, core::num::NonZero::get),
        used: None,
    }
}

pub(super) fn about(
    desk: &Desk<'_>,
    source: &Source,
    event: &Event,
    card: &CardRow,
    kind: ExceptionKind,
) -> ExceptionRow {
    ExceptionRow {
        issuer: Some(card.issuer),
        card: Some(card.card),
        generation: Some(event.generation),
        seq: Some(event.event.seq),
        check: Some(event.hash),
        amount: Some((card.unit, event.event.amount)),
        ..exception(desk, source, kind, "holder")
    }
}
