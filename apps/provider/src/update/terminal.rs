//! A terminal's log: what it claims, closes and voids (R7, R8, R11, R16).

use super::record::{Charged, Check};
use super::{Source, chain, exception, money};
use crate::books::Accounts;
use crate::credit;
use crate::desk::{Desk, Failure};
use crate::settle::fees;
use tegata_core::card::{EventKind, Raise};
use tegata_core::step::Break;
use tegata_core::talk::contract::Tender;
use tegata_core::{Hash, MerchantId};
use tegata_store::{
    CardRow, Cause, ClaimRow, ClaimState, EventRow, EventState, ExceptionKind, ExceptionRow, StoreError,
};

/// A charge ended paid: the merchant's claim.
pub(crate) fn paid(desk: &mut Desk<'_>, source: &Source, check: &Check, ends: &mut money::Ends) -> Result<(), Failure> {
    let event = &check.event;
    let Some(card) = desk.card(event.card)?.map(|card| card.clone()) else {
        return Err(StoreError::Damaged.into());
    };
    let around = chain::look(desk, source, event)?;
    let merchant = source.known.owner.ok_or(StoreError::Damaged)?;
    let mut claim = claim(desk, source, &check.charged, merchant, ClaimState::Paid);
    claim.check = Some((event.card, event.generation, event.event.seq, event.hash, card.issuer));
    let refused = refusal(desk, source, check, &card, around.same.as_ref())?;
    if refused.is_some() {
        claim.state = ClaimState::Refused;
    }
    if !desk.store.add_claim(&claim)? && !doubled(desk, source, check, &card)? {
        return Ok(());
    }
    displaced(desk, &check.charged, Some(event.hash), ends)?;
    if let Some(kind) = refused {
        desk.except(&about(desk, source, check, &card, kind, "merchant"))?;
        let state = around.same.as_ref().map_or(EventState::Refused, |same| same.state);
        return write(desk, source, check, around.same, state);
    }
    credit(desk, source, check, &card, merchant, around.same, claim)
}

/// Posts a claim that stands.
fn credit(
    desk: &mut Desk<'_>,
    source: &Source,
    check: &Check,
    card: &CardRow,
    merchant: MerchantId,
    same: Option<EventRow>,
    claim: ClaimRow,
) -> Result<(), Failure> {
    let (event, accounts) = (&check.event, Accounts::of(card));
    let key = (card.card.0, Cause::Claimed, event.hash);
    let amount = event.event.amount;
    match same.as_ref().map(|same| same.state) {
        None => {
            let to = accounts.payable(merchant);
            let missing = money::take(desk, card.card, (Cause::Claimed, event.hash), to, amount)?;
            if missing > 0 {
                let row = about(desk, source, check, card, ExceptionKind::Overspent, "guarantor");
                money::overspent(desk, row, missing)?;
            }
        }
        Some(EventState::InFlight) => {
            desk.books.post(desk.store, key, accounts.in_flight(), accounts.payable(merchant), amount)?;
        }
        // Only where dedupe is switched off.
        Some(EventState::Claimed) => {
            let reference = Hash::of(&[&event.hash.0[..], &source.number.to_be_bytes()].concat());
            let to = accounts.payable(merchant);
            money::take(desk, card.card, (Cause::Claimed, reference), to, amount)?;
        }
        // The wallet has shown how this claim ended; the terminal will report it.
        Some(state) => {
            desk.store.set_claim(&ClaimRow { state: ClaimState::Voided, ..claim })?;
            return write(desk, source, check, same, state);
        }
    }
    let book = (accounts.issuer, accounts.unit);
    if same.as_ref().is_none_or(|same| same.state == EventState::InFlight) {
        fees::charge(desk, (Tender::Cards, book), merchant, event.hash, amount, claim.at)?;
    }
    if let Some(same) = &same {
        desk.store.resolve(ExceptionKind::MissingTerminalRecord, same.card, &same.hash)?;
    }
    write(desk, source, check, same, EventState::Claimed)
}

fn write(
    desk: &Desk<'_>,
    source: &Source,
    check: &Check,
    same: Option<EventRow>,
    state: EventState,
) -> Result<(), Failure> {
    let event = &check.event;
    let row = EventRow {
        card: event.card,
        generation: event.generation,
        seq: event.event.seq,
        hash: event.hash,
        kind: event.event.event,
        amount: event.event.amount,
        remaining: event.event.remaining,
        state,
        wallet_entry: same.as_ref().and_then(|same| same.wallet_entry),
        terminal: Some(source.device),
        terminal_entry: Some(source.number),
        transaction: Some(check.charged.charge.transaction),
        charge: Some(check.charged.hash),
        at: same.map_or(desk.now, |same| same.at),
        tick: event.event.tick.map_or(0, core::num::NonZero::get),
        used: None,
    };
    Ok(desk.store.put_event(&row)?)
}

fn claim(desk: &Desk<'_>, source: &Source, charged: &Charged, merchant: MerchantId, state: ClaimState) -> ClaimRow {
    ClaimRow {
        terminal: source.device,
        transaction: charged.charge.transaction,
        charge: charged.hash,
        state,
        entry: Some(source.number),
        end_entry: None,
        merchant,
        unit: charged.charge.amount.unit(),
        amount: charged.charge.amount.minor(),
        at: desk.now,
        check: None,
        trunk: None,
        period: None,
    }
}

/// Why a claim that no other check contests is not paid.
fn refusal(
    desk: &mut Desk<'_>,
    source: &Source,
    check: &Check,
    card: &CardRow,
    same: Option<&EventRow>,
) -> Result<Option<ExceptionKind>, Failure> {
    let (event, charge) = (&check.event.event, &check.charged.charge);
    if event.event != EventKind::Spend || event.amount != charge.amount.minor() || charge.amount.unit() != card.unit {
        return Ok(Some(ExceptionKind::Malformed));
    }
    let terms = desk.terms(card.terms)?;
    if event.amount == 0 || event.amount > terms.max_payment {
        return Ok(Some(ExceptionKind::OverLimit));
    }
    // By the list that the terminal held when it wrote the entry, not by what is known now (R16).
    let dead = check.event.generation <= card.dead_generation;
    if dead && (source.list >= card.dead_list || desk.shared.broken.has(Break::JudgedAtArrival)) {
        return Ok(Some(ExceptionKind::AfterBlock));
    }
    let late = desk.now.since(source.before) > terms.list_age.saturating_add(terms.record_age);
    let waits = same.is_some_and(|same| same.state == EventState::InFlight);
    if late && !waits && desk.books.balance(desk.store, Accounts::of(card).held())? < event.amount {
        return Ok(Some(ExceptionKind::Late));
    }
    Ok(None)
}

/// The charge has ended before: the same claim again changes nothing, another one is shown to a person. Says whether to
/// go on all the same, which only a broken provider does.
fn doubled(desk: &mut Desk<'_>, source: &Source, check: &Check, card: &CardRow) -> Result<bool, Failure> {
    let charged = &check.charged;
    let stored = desk.store.claim(source.device, charged.charge.transaction, &charged.hash)?;
    let stored = stored.ok_or(StoreError::Damaged)?;
    let same = stored.check.is_some_and(|(.., hash, _)| hash == check.event.hash);
    if desk.shared.broken.has(Break::ClearWithoutDedupe) {
        return Ok(true);
    }
    if !same {
        desk.except(&about(desk, source, check, card, ExceptionKind::DoubleClaim, "merchant"))?;
    }
    Ok(false)
}

/// Checks of wallets that waited for this charge and did not get it are returned (R8).
fn displaced(
    desk: &mut Desk<'_>,
    charged: &Charged,
    winner: Option<Hash>,
    ends: &mut money::Ends,
) -> Result<(), Failure> {
    for (card, generation, check) in desk.store.awaited(charged.terminal, &charged.hash)? {
        if Some(check) == winner {
            continue;
        }
        if let Some(event) = desk.store.event_by_hash(card, generation, &check)?
            && event.state == EventState::InFlight
        {
            desk.store.put_event(&EventRow { state: EventState::Ended, ..event })?;
            desk.store.resolve(ExceptionKind::MissingTerminalRecord, card, &check)?;
            ends.add(card, generation, check);
        }
    }
    Ok(())
}

/// A charge ended closed: it accepts no check, and what waited for it goes back.
pub(crate) fn closed(
    desk: &mut Desk<'_>,
    source: &Source,
    charged: &Charged,
    ends: &mut money::Ends,
) -> Result<(), Failure> {
    let merchant = source.known.owner.ok_or(StoreError::Damaged)?;
    credit::closed(desk, source.device, &charged.hash)?;
    let row = claim(desk, source, charged, merchant, ClaimState::Closed);
    if desk.store.add_claim(&row)? {
        displaced(desk, charged, None, ends)?;
    } else if let Some(stored) = desk.store.claim(source.device, row.transaction, &row.charge)?
        && stored.state == ClaimState::Paid
    {
        // A terminal that lost its end of a paid charge: whoever shows a close ends the claim (R9).
        end(desk, source, stored, None)?;
    }
    Ok(())
}

/// A paid charge was undone.
pub(crate) fn voided(desk: &mut Desk<'_>, source: &Source, charged: &Charged, void: &Raise) -> Result<(), Failure> {
    let stored = desk.store.claim(source.device, charged.charge.transaction, &charged.hash)?;
    let named = match void {
        Raise::Void(_, void) => void.claimed().check,
        _ => None,
    };
    match stored {
        Some(stored) if stored.check.map(|(.., hash, _)| hash) == named && named.is_some() => {
            end(desk, source, stored, Some(void))
        }
        _ => {
            let row = exception(desk, source, ExceptionKind::Malformed, "nobody");
            Ok(desk.except(&row)?)
        }
    }
}

/// Ends a claim; its check's money goes back through the wallet.
fn end(desk: &mut Desk<'_>, source: &Source, stored: ClaimRow, void: Option<&Raise>) -> Result<(), Failure> {
    let Some((card, generation, _, hash, _)) = stored.check else {
        return Ok(());
    };
    let merchant = stored.merchant;
    let before = stored.state;
    desk.store.set_claim(&ClaimRow { state: ClaimState::Voided, end_entry: Some(source.number), ..stored })?;
    let Some(event) = desk.store.event_by_hash(card, generation, &hash)? else {
        return Ok(());
    };
    match event.state {
        EventState::Claimed if before == ClaimState::Paid => money::unclaim(desk, &event, merchant)?,
        EventState::Refused | EventState::InFlight if event.wallet_entry.is_some() => {}
        _ => return Ok(()),
    }
    let ended = EventRow { state: EventState::Ended, ..event };
    desk.store.put_event(&ended)?;
    let wallet = desk.known_card(card)?.wallet;
    match void {
        _ if money::is_over(desk, &ended)? => money::hold_back(desk, &ended),
        Some(void) => Ok(desk.raise(wallet, card, void.clone())?),
        None => money::reverse(desk, &ended),
    }
}

/// An exception about a claim.
fn about(
    desk: &Desk<'_>,
    source: &Source,
    check: &Check,
    card: &CardRow,
    kind: ExceptionKind,
    bearer: &'static str,
) -> ExceptionRow {
    ExceptionRow {
        issuer: Some(card.issuer),
        card: Some(card.card),
        generation: Some(check.event.generation),
        seq: Some(check.event.event.seq),
        check: Some(check.event.hash),
        amount: Some((card.unit, check.event.event.amount)),
        ..exception(desk, source, kind, bearer)
    }
}
