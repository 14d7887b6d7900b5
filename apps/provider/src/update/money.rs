//! Where a check's money goes. Each movement is one posting, derived from signed records alone; `held` and the
//! guarantor's share of a card depend on which records are here, not on the order in which they came.

use crate::books::Accounts;
use crate::buy;
use crate::desk::{Desk, Failure};
use crate::install::issue_load;
use crate::settle::fees;
use tegata_core::card::{Raise, Reversal};
use tegata_core::step::Break;
use tegata_core::{Amount, CardId, Hash, MerchantId};
use tegata_ledger::Account;
use tegata_store::{Cause, EventRow, EventState, ExceptionKind, ExceptionRow, ReversalRow};

/// Takes a check's amount from what its card holds; what is missing, from the guarantor (R9). Says how much is missing.
pub(crate) fn take(
    desk: &mut Desk<'_>,
    card: CardId,
    (cause, check): (Cause, Hash),
    to: Account,
    amount: u64,
) -> Result<u64, Failure> {
    let accounts = Accounts::of(desk.known_card(card)?);
    let held = desk.books.balance(desk.store, accounts.held())?.min(amount);
    desk.books.post(desk.store, (card.0, cause, check), accounts.held(), to, held)?;
    let missing = amount - held;
    if missing > 0 && desk.shared.broken.has(Break::NoGuarantor) {
        desk.books.conjure(desk.store, to, missing)?;
    } else {
        desk.books.post(desk.store, (card.0, cause, check), accounts.guarantor(), to, missing)?;
    }
    Ok(missing)
}

/// Value that came to a card repays first what its guarantor covered.
pub(crate) fn repay(desk: &mut Desk<'_>, card: CardId, reference: Hash) -> Result<(), Failure> {
    let accounts = Accounts::of(desk.known_card(card)?);
    let covered = desk.books.balance(desk.store, accounts.guarantor())?;
    let held = desk.books.balance(desk.store, accounts.held())?;
    let amount = covered.min(held);
    if amount > 0 {
        let key = (card.0, Cause::Repaid, reference);
        desk.books.post(desk.store, key, accounts.held(), accounts.guarantor(), amount)?;
        if amount == covered {
            desk.store.resolve_overspent(card)?;
        }
    }
    Ok(())
}

/// A check's money is back on its card; of a call, what was not used.
pub(crate) fn give_back(desk: &mut Desk<'_>, event: &EventRow) -> Result<(), Failure> {
    let accounts = Accounts::of(desk.known_card(event.card)?);
    let key = (event.card.0, Cause::Returned, event.reference());
    desk.books.post(desk.store, key, accounts.in_flight(), accounts.held(), event.rest())?;
    repay(desk, event.card, event.reference())
}

/// A claim is undone: the merchant is not owed it any more and gets its fee back; what was paid out already is taken off
/// its next payout.
pub(crate) fn unclaim(desk: &mut Desk<'_>, event: &EventRow, merchant: MerchantId) -> Result<(), Failure> {
    let accounts = Accounts::of(desk.known_card(event.card)?);
    fees::give_back(desk, (accounts.issuer, accounts.unit), merchant, event.hash)?;
    let key = (event.card.0, Cause::Voided, event.hash);
    let payable = desk.books.balance(desk.store, accounts.payable(merchant))?.min(event.amount);
    desk.books.post(desk.store, key, accounts.payable(merchant), accounts.in_flight(), payable)?;
    let paid = event.amount - payable;
    Ok(desk.books.post(desk.store, key, accounts.paid(merchant), accounts.in_flight(), paid)?)
}

/// More was spent than the card held.
pub(crate) fn overspent(desk: &mut Desk<'_>, row: ExceptionRow, missing: u64) -> Result<(), Failure> {
    let amount = row.amount.map(|(unit, _)| (unit, missing));
    Ok(desk.except(&ExceptionRow { kind: ExceptionKind::Overspent, amount, bearer: "guarantor", ..row })?)
}

/// Checks whose charge ended otherwise, found in one upload; returned at its end, if nothing returned them meanwhile.
#[derive(Default)]
pub(crate) struct Ends(Vec<(CardId, u64, Hash)>);

impl Ends {
    /// This check's charge was closed, or paid by another check.
    pub(crate) fn add(&mut self, card: CardId, generation: u64, check: Hash) {
        self.0.push((card, generation, check));
    }
    /// Reverses what is still out (R8).
    pub(crate) fn settle(self, desk: &mut Desk<'_>) -> Result<(), Failure> {
        for (card, generation, check) in self.0 {
            if let Some(event) = desk.store.event_by_hash(card, generation, &check)?
                && event.state == EventState::Ended
            {
                reverse(desk, &event)?;
            }
        }
        Ok(())
    }
}

/// Tells the wallet to take a check back; for an ended generation, holds the value back like the rest of it (R9, R11).
pub(crate) fn reverse(desk: &mut Desk<'_>, event: &EventRow) -> Result<(), Failure> {
    let card = desk.known_card(event.card)?.clone();
    if is_over(desk, event)? {
        return hold_back(desk, event);
    }
    if desk.store.reversal(event.card, &event.hash)?.is_some() {
        return Ok(());
    }
    let (now, id) = (desk.now, event.card);
    let Some(amount) = Amount::new(card.unit, event.amount) else {
        return Ok(());
    };
    let signed = desk.sign(&[], |signer| Reversal {
        card: id,
        generation: event.generation,
        check: event.hash,
        amount,
        at: now,
        signer,
        extensions: Default::default(),
    });
    let raise = Raise::Reversal(signed.clone());
    desk.store.put_reversal(&ReversalRow {
        card: id,
        check: event.hash,
        generation: event.generation,
        amount: event.amount,
        at: now,
        hash: raise.hash(),
        body: signed.encode(),
    })?;
    Ok(desk.raise(card.wallet, id, raise)?)
}

/// Whether the wallet takes nothing up any more for this check: its generation has ended, or its card was given back.
pub(crate) fn is_over(desk: &mut Desk<'_>, event: &EventRow) -> Result<bool, Failure> {
    let ended = event.generation < desk.known_card(event.card)?.generation;
    Ok(ended || desk.store.surrender(event.card)?.is_some())
}

/// A check of an ended generation comes back to the card, and reaches the wallet when held-back value is released; of a card that
/// was given back, when it is paid back.
pub(crate) fn hold_back(desk: &mut Desk<'_>, event: &EventRow) -> Result<(), Failure> {
    give_back(desk, event)?;
    desk.store.put_event(&EventRow { state: EventState::Returned, ..event.clone() })?;
    let until = desk.now.after(desk.shared.directory().lateness());
    let card = desk.known_card(event.card)?;
    card.held_back += event.rest();
    card.release_at = card.release_at.or(Some(until));
    buy::came_back(desk, event.card)
}

/// Releases what was held back, as far as it is still there (R11).
pub(crate) fn release(desk: &mut Desk<'_>, id: CardId) -> Result<(), Failure> {
    let card = desk.known_card(id)?.clone();
    if card.held_back == 0 || card.blocked.is_some() || card.release_at.is_none_or(|at| desk.now < at) {
        return Ok(());
    }
    let held = desk.books.balance(desk.store, Accounts::of(&card).held())?;
    let loads: u64 = desk.store.loads_after(id, card.last_load)?.iter().map(|load| load.amount).sum();
    let unseen = desk.store.unseen(id, card.generation)?;
    let on_card = card.remaining.saturating_add(loads).saturating_sub(unseen);
    let amount = held.saturating_sub(on_card).min(card.held_back);
    let row = desk.known_card(id)?;
    row.held_back = 0;
    row.release_at = None;
    if amount > 0 {
        let load = issue_load(desk, id, amount, None)?;
        desk.raise(card.wallet, id, Raise::Load(load))?;
    }
    Ok(())
}
