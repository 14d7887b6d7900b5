//! Calls: what the wallet signed for one and what its switch claims of it, in either order (R1, R7, R8).
//!
//! A call is one event of the card's chain; of its ticks the last one that is known stands for it. In the books it goes by its name,
//! which both sides know from the beginning. The wallet's record takes all of it from the card; the switch's claim is over what was used;
//! what is left over comes back on the switch's receipt, taken up by the wallet. What a switch charges is held against the tariff of the
//! card's issuer (R24): a claim under another price is not paid, and its receipt is the proof that a person sees. The user has agreed to
//! that price, and has the rest back as always.

use super::record::{Called, Event};
use super::wallet::{advance, event_row, malformed, own_card};
use super::{Source, chain, exception, money};
use crate::books::Accounts;
use crate::desk::{Desk, Failure};
use crate::settle::fees;
use crate::tariffs::is_priced_by_its_issuer;
use core::num::NonZero;
use tegata_core::card::{CallReceipt, EventKind, Raise};
use tegata_core::charging::{AGREED_WITHIN, CallTariff};
use tegata_core::step::Break;
use tegata_core::talk::contract::Tender;
use tegata_core::talk::journal::LogEntry;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;
use tegata_core::{DeviceId, Hash, PartyId, Time};
use tegata_store::{
    CardRow, Cause, ClaimRow, ClaimState, EventRow, EventState, ExceptionKind, ExceptionRow, StoreError,
};

/// Whether this row is another tick of the session that the event belongs to.
pub(super) fn goes_with(row: &EventRow, event: &Event) -> bool {
    let said = &event.event;
    let tick = said.tick.map_or(0, NonZero::get);
    let rises = if row.tick < tick { row.amount <= said.amount } else { row.amount >= said.amount };
    row.kind == EventKind::Session
        && said.event == EventKind::Session
        && row.charge.is_some()
        && row.charge == event.session
        && rises
        && row.amount.checked_add(row.remaining) == said.amount.checked_add(said.remaining)
        // The wallet logs a call once it signs no more for it.
        && (row.wallet_entry.is_none() || tick <= row.tick)
}

/// The row of this call, whichever tick of it is known. One that contradicts this one is another row.
fn row_of(desk: &Desk<'_>, event: &Event) -> Result<Option<EventRow>, Failure> {
    let near = desk.store.events(event.card, event.generation, event.event.seq, event.event.seq)?;
    let tick = event.event.tick.map_or(0, NonZero::get);
    let of_call = |row: &EventRow| row.hash == event.hash || row.tick != tick && goes_with(row, event);
    Ok(near.into_iter().find(of_call))
}

/// A call as its wallet logs it: all that was signed for it leaves the card.
pub(super) fn signed(desk: &mut Desk<'_>, source: &Source, called: &Called) -> Result<(), Failure> {
    let Some(event) = &called.event else {
        return malformed(desk, source);
    };
    let Some(card) = own_card(desk, source, event)? else {
        return malformed(desk, source);
    };
    if called.tariff.unit != card.unit || event.event.amount > desk.terms(card.terms)?.max_payment {
        return malformed(desk, source);
    }
    let mut before = row_of(desk, event)?;
    if before.as_ref().is_some_and(|row| row.wallet_entry.is_some()) {
        return Ok(());
    }
    chain::look(desk, source, event)?;
    if let Some(claimed) = before.take_if(|row| row.tick > event.event.tick.map_or(0, NonZero::get)) {
        // The switch shows more than this wallet says to have signed: both count (R9).
        chain::convict(desk, source, event, ExceptionKind::Altered, Some(&claimed))?;
    }
    advance(desk, source, event, None)?;
    let used = before.as_ref().and_then(|row| row.used).unwrap_or(0);
    let accounts = Accounts::of(&card);
    let out = event.event.amount.saturating_sub(used);
    let missing = money::take(desk, card.card, (Cause::Spent, called.name), accounts.in_flight(), out)?;
    // What was used is claimed already, then this is the rest, which comes back: it is nobody's loss that later calls were heard of first.
    if missing > 0 && before.as_ref().is_none_or(|row| row.used.is_none()) {
        let row = about(desk, source, event, &card, called.name, ExceptionKind::Overspent);
        money::overspent(desk, row, missing)?;
    }
    let mut row = event_row(desk, source, event, EventState::InFlight);
    row.terminal = Some(called.switch);
    row.transaction = Some(called.tariff.transaction);
    row.charge = Some(called.name);
    match before {
        Some(before) => {
            row = EventRow {
                state: before.state,
                used: before.used,
                terminal_entry: before.terminal_entry,
                at: before.at,
                ..row
            };
            desk.store.resolve(ExceptionKind::MissingWalletRecord, card.card, &called.name)?;
            desk.store.supersede(&before, &row)?;
        }
        None => desk.store.put_event(&row)?,
    }
    if called.receipt.is_some() && !is_priced_by_its_issuer(desk, &card, &called.tariff)? {
        mispriced(desk, source, (called, event), &card)?;
    }
    match desk.store.claim(called.switch, called.tariff.transaction, &called.name)? {
        None => Ok(desk.store.await_claim(&row)?),
        Some(claim) if is_over(&claim, &row) => ended(desk, row, &claim),
        Some(_) => Ok(()),
    }
}

/// Whether this claim is over this row, and not over more than the wallet says to have signed.
fn is_over(claim: &ClaimRow, row: &EventRow) -> bool {
    claim.check.is_none_or(|(card, generation, seq, ..)| {
        (card, generation, seq) == (row.card, row.generation, row.seq) && row.terminal_entry.is_some()
    })
}

/// A call as its switch logs it: the claim of what was used, or its end without any check.
pub(super) fn claimed(desk: &mut Desk<'_>, source: &Source, called: &Called) -> Result<(), Failure> {
    let merchant = paid_for(desk, source, called)?;
    let Some(receipt) = called.receipt.as_ref().map(|receipt| receipt.claimed().clone()) else {
        return malformed(desk, source);
    };
    let mut claim = ClaimRow {
        terminal: source.device,
        transaction: called.tariff.transaction,
        charge: called.name,
        state: ClaimState::Closed,
        entry: Some(source.number),
        end_entry: None,
        merchant,
        unit: called.tariff.unit,
        amount: receipt.used.minor(),
        at: desk.now,
        check: None,
        trunk: called.through.as_ref().map(|through| through.trunk.clone()),
        period: Some(desk.books.period(desk.store)?),
    };
    let Some(event) = &called.event else {
        // Without a check nothing is used.
        if claim.amount > 0 {
            return malformed(desk, source);
        }
        if desk.store.add_claim(&claim)? {
            return awaited(desk, called, &claim);
        }
        return Ok(());
    };
    let Some(card) = desk.card(event.card)?.map(|card| card.clone()) else {
        return Err(StoreError::Damaged.into());
    };
    let row = row_of(desk, event)?;
    chain::look(desk, source, event)?;
    claim.state = ClaimState::Paid;
    claim.check = Some((event.card, event.generation, event.event.seq, event.hash, card.issuer));
    let refused = refusal(desk, source, (called, event), &receipt, (&card, row.as_ref()))?;
    if refused.is_some() {
        claim.state = ClaimState::Refused;
    }
    if !desk.store.add_claim(&claim)? {
        let stored = desk.store.claim(source.device, claim.transaction, &claim.charge)?.ok_or(StoreError::Damaged)?;
        let same = (stored.check, stored.amount) == (claim.check, claim.amount);
        if !same {
            desk.except(&about(desk, source, event, &card, called.name, ExceptionKind::DoubleClaim))?;
        }
        return Ok(());
    }
    if refused == Some(ExceptionKind::Mispriced) {
        mispriced(desk, source, (called, event), &card)?;
    } else if let Some(kind) = refused {
        let found = about(desk, source, event, &card, called.name, kind);
        desk.except(&ExceptionRow { bearer: "merchant", ..found })?;
    }
    if row.is_none() {
        let mut row = event_row(desk, source, event, EventState::InFlight);
        row.wallet_entry = None;
        row.terminal = Some(source.device);
        row.transaction = Some(claim.transaction);
        row.charge = Some(called.name);
        desk.store.put_event(&row)?;
    }
    awaited(desk, called, &claim)?;
    credit(desk, source, called, &claim)
}

/// Who is paid for a call: the operator of the trunk that it went through, if a merchant of that name has joined, else the owner of the
/// switch. The owner says so, in the log of its own switch, and gives away nothing but what it would be paid itself.
fn paid_for(desk: &Desk<'_>, source: &Source, called: &Called) -> Result<PartyId, Failure> {
    let named = called.through.as_ref().and_then(|through| through.operator);
    let joined = |party: &PartyId| desk.known((*party).into()).is_some_and(|known| known.role == Role::Merchant);
    Ok(named.filter(joined).or(source.known.owner).ok_or(StoreError::Damaged)?)
}

/// Posts a claim that stands, and sends what is left over on its way.
fn credit(desk: &mut Desk<'_>, source: &Source, called: &Called, claim: &ClaimRow) -> Result<(), Failure> {
    let Some(event) = &called.event else {
        return Ok(());
    };
    let row = row_of(desk, event)?.ok_or(StoreError::Damaged)?;
    let card = desk.known_card(event.card)?.clone();
    let accounts = Accounts::of(&card);
    desk.store.resolve(ExceptionKind::MissingTerminalRecord, card.card, &called.name)?;
    let row = EventRow { terminal_entry: Some(source.number), ..row };
    if claim.state == ClaimState::Refused {
        let state = if row.state == EventState::InFlight { EventState::Refused } else { row.state };
        desk.store.put_event(&EventRow { state, ..row.clone() })?;
        return match state {
            EventState::Refused => rest_of_refused(desk, &row, claim),
            _ => Ok(()),
        };
    }
    let used = claim.amount;
    // What the wallet has taken back already, it took by the same receipt, or else this claim would be refused.
    let to = accounts.payable(claim.merchant);
    if row.wallet_entry.is_some() {
        let key = (card.card.0, Cause::Claimed, called.name);
        desk.books.post(desk.store, key, accounts.in_flight(), to, used)?;
    } else {
        let missing = money::take(desk, card.card, (Cause::Claimed, called.name), to, used)?;
        if missing > 0 {
            let found = about(desk, source, event, &card, called.name, ExceptionKind::Overspent);
            money::overspent(desk, found, missing)?;
        }
    }
    fees::charge(desk, (Tender::Cards, (card.issuer, card.unit)), claim.merchant, called.name, used, claim.at)?;
    let row = EventRow { used: Some(used), ..row };
    if row.state == EventState::Returned {
        return Ok(desk.store.put_event(&row)?);
    }
    ended(desk, row, claim)
}

/// Calls of wallets that waited for the end of this one.
fn awaited(desk: &mut Desk<'_>, called: &Called, claim: &ClaimRow) -> Result<(), Failure> {
    for (card, generation, _) in desk.store.awaited(called.switch, &called.name)? {
        if claim.state != ClaimState::Closed {
            continue;
        }
        let row = desk.store.event_of(card, generation, called.switch, claim.transaction)?;
        if let Some(row) = row.filter(|row| row.state == EventState::InFlight) {
            desk.store.resolve(ExceptionKind::MissingTerminalRecord, card, &called.name)?;
            ended(desk, row, claim)?;
        }
    }
    Ok(())
}

/// The end of a call is known: what is left over goes back to its card, by the switch's receipt or as what is held back (R9, R11).
fn ended(desk: &mut Desk<'_>, row: EventRow, claim: &ClaimRow) -> Result<(), Failure> {
    if claim.state == ClaimState::Refused {
        desk.store.put_event(&row)?;
        return rest_of_refused(desk, &row, claim);
    }
    let used = if claim.state == ClaimState::Closed { 0 } else { claim.amount };
    let row = EventRow { used: Some(used), ..row };
    if row.rest() == 0 {
        return Ok(desk.store.put_event(&EventRow { state: EventState::Claimed, ..row })?);
    }
    let row = EventRow { state: EventState::Ended, ..row };
    desk.store.put_event(&row)?;
    if desk.shared.broken.has(Break::RestKept) {
        return Ok(());
    }
    if row.wallet_entry.is_some() && money::is_over(desk, &row)? {
        return money::hold_back(desk, &row);
    }
    let receipt = receipt_of(desk, claim)?;
    let wallet = desk.known_card(row.card)?.wallet;
    Ok(desk.raise(wallet, row.card, Raise::Call(claim.terminal, receipt))?)
}

/// A claim is not paid, but whoever called has the rest all the same: what is in dispute is what was used.
fn rest_of_refused(desk: &mut Desk<'_>, row: &EventRow, claim: &ClaimRow) -> Result<(), Failure> {
    if row.wallet_entry.is_none() || claim.amount >= row.amount || money::is_over(desk, row)? {
        return Ok(());
    }
    let receipt = receipt_of(desk, claim)?;
    let wallet = desk.known_card(row.card)?.wallet;
    Ok(desk.raise(wallet, row.card, Raise::Call(claim.terminal, receipt))?)
}

/// A switch has signed another price than the issuer's, whichever side shows it: once for each call.
fn mispriced(
    desk: &mut Desk<'_>,
    source: &Source,
    (called, event): (&Called, &Event),
    card: &CardRow,
) -> Result<(), Failure> {
    if desk.store.has_exception(ExceptionKind::Mispriced, card.card, &called.name)? {
        return Ok(());
    }
    let found = about(desk, source, event, card, called.name, ExceptionKind::Mispriced);
    let merchant = desk.known(called.switch.into()).and_then(|switch| switch.owner);
    Ok(desk.except(&ExceptionRow { bearer: "merchant", merchant, ..found })?)
}

/// The receipt that the switch has logged for a call.
fn receipt_of(desk: &Desk<'_>, claim: &ClaimRow) -> Result<Signed<CallReceipt>, Failure> {
    let number = claim.entry.ok_or(StoreError::Damaged)?;
    let bytes = desk.store.entry(claim.terminal, number)?.ok_or(StoreError::Damaged)?;
    let entry = LogEntry::from_bytes(&bytes).map_err(|_| StoreError::Damaged)?;
    Ok(entry.call.ok_or(StoreError::Damaged)?)
}

/// The wallet has taken up what a call left over; says whether that was its due.
pub(super) fn returned(
    desk: &mut Desk<'_>,
    source: &Source,
    event: &Event,
    (by, receipt): (DeviceId, &Signed<CallReceipt>),
) -> Result<bool, Failure> {
    let said = receipt.claimed();
    let row = desk.store.event_of(event.card, event.generation, by, said.transaction)?;
    let of_call = |row: &EventRow| row.charge == Some(said.call) && row.wallet_entry.is_some();
    let Some(row) = row.filter(|row| row.kind == EventKind::Session && of_call(row)) else {
        return Ok(false);
    };
    if row.amount.checked_sub(said.used.minor()) != Some(event.event.amount) {
        return Ok(false);
    }
    let out = matches!(row.state, EventState::InFlight | EventState::Ended | EventState::Refused);
    if !out {
        return Ok(false);
    }
    let used = said.used.minor();
    if let Some(other) = row.used.filter(|other| *other != used) {
        // Two receipts of one switch for one call: it is paid what the lower one says at most, and a person looks (R9).
        let card = desk.known_card(row.card)?.clone();
        let mut found = about(desk, source, event, &card, said.call, ExceptionKind::DoubleClaim);
        found.bearer = "merchant";
        desk.except(&found)?;
        lower(desk, &row, (by, said), other)?;
    }
    let row = EventRow { used: Some(used), ..row };
    money::give_back(desk, &row)?;
    desk.store.put_event(&EventRow { state: EventState::Returned, ..row })?;
    Ok(true)
}

/// The claim ends: all that was credited for it is in flight again.
fn lower(
    desk: &mut Desk<'_>,
    row: &EventRow,
    (by, said): (DeviceId, &CallReceipt),
    credited: u64,
) -> Result<(), Failure> {
    let Some(claim) = desk.store.claim(by, said.transaction, &said.call)? else {
        return Ok(());
    };
    if claim.state != ClaimState::Paid {
        return Ok(());
    }
    let merchant = claim.merchant;
    desk.store.set_claim(&ClaimRow { state: ClaimState::Voided, ..claim })?;
    let credited = EventRow { amount: credited, hash: said.call, ..row.clone() };
    money::unclaim(desk, &credited, merchant)
}

/// Why a claim is not paid.
fn refusal(
    desk: &mut Desk<'_>,
    source: &Source,
    (called, event): (&Called, &Event),
    receipt: &CallReceipt,
    (card, row): (&CardRow, Option<&EventRow>),
) -> Result<Option<ExceptionKind>, Failure> {
    let used = receipt.used.minor();
    let fits = called.tariff.unit == card.unit && used <= receipt.at_most(&called.tariff, called.paid);
    let taken = row.is_some_and(|row| row.state == EventState::Returned && row.used != Some(used));
    if !fits || taken {
        return Ok(Some(ExceptionKind::Malformed));
    }
    if !is_priced_by_its_issuer(desk, card, &called.tariff)? {
        return Ok(Some(ExceptionKind::Mispriced));
    }
    let terms = desk.terms(card.terms)?;
    if used > terms.max_payment {
        return Ok(Some(ExceptionKind::OverLimit));
    }
    // By the list that the switch held when it agreed to the call, neither by what is known now nor by the call's end (R16).
    let mut since = source.before;
    if event.generation <= card.dead_generation {
        match listed(desk, source, card, &called.tariff)? {
            Listed::Known => return Ok(Some(ExceptionKind::AfterBlock)),
            Listed::Meanwhile(published) => since = since.min(published),
            Listed::Unheard => {}
        }
    }
    let late = desk.now.since(since) > terms.list_age.saturating_add(terms.record_age);
    let waits = row.is_some_and(|row| row.wallet_entry.is_some());
    if late && !waits && desk.books.balance(desk.store, Accounts::of(card).held())? < used {
        return Ok(Some(ExceptionKind::Late));
    }
    Ok(None)
}

/// What a switch knew of a dead card when it agreed to a call of it.
enum Listed {
    /// The list that names the card: it should not have.
    Known,
    /// That list came while the call was on, and had been published then.
    Meanwhile(Time),
    /// Nothing: it has not said yet that it holds such a list.
    Unheard,
}

/// What the switch knew. A call that an update brings the list into ends then, and is what the log holds first after that update; so a call
/// that began no later than that update may have begun before, if its date is no later than L after the list's publication: whoever
/// has heard of nothing for longer agrees to no call (R11). Dates are the switch's, which callers agree to within ten minutes. What two
/// dishonest ones make up comes up in time or not at all: such a record grows old from the list's publication on.
fn listed(desk: &Desk<'_>, source: &Source, card: &CardRow, call: &CallTariff) -> Result<Listed, Failure> {
    if desk.shared.broken.has(Break::JudgedAtArrival) {
        return Ok(Listed::Known);
    }
    if source.list < card.dead_list {
        return Ok(Listed::Unheard);
    }
    let Some(published) = desk.store.listed_at(card.dead_list)? else {
        return Ok(Listed::Known);
    };
    let heard = published.after(desk.terms(card.terms)?.list_age);
    let may_have_begun = call.at <= source.before.after(AGREED_WITHIN) && call.at <= heard;
    Ok(if may_have_begun { Listed::Meanwhile(published) } else { Listed::Known })
}

/// An exception about a call.
fn about(
    desk: &Desk<'_>,
    source: &Source,
    event: &Event,
    card: &CardRow,
    name: Hash,
    kind: ExceptionKind,
) -> ExceptionRow {
    ExceptionRow {
        issuer: Some(card.issuer),
        card: Some(card.card),
        generation: Some(event.generation),
        seq: Some(event.event.seq),
        check: Some(name),
        amount: Some((card.unit, event.event.amount)),
        ..exception(desk, source, kind, "holder")
    }
}
