//! Settlement: what is payable is paid, a period closes with its trial balance.

use crate::desk::Desk;
use crate::{ProviderError, compare};
use tegata_core::{Hash, IssuerId, Unit};
use tegata_ledger::{Account, Equation, Kind, Side};
use tegata_store::{Cause, PayoutRow};

/// A period that was closed.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Its number.
    pub period: u64,
    /// What each merchant is paid.
    pub payouts: Vec<PayoutRow>,
    /// The closing trial balance.
    pub books: Vec<(IssuerId, Unit, Equation)>,
    /// How many exceptions are open.
    pub exceptions: u64,
}

/// Sweeps payable to paid. A merchant that owes for payouts undone since gets that much less.
pub(crate) fn settle(desk: &mut Desk<'_>) -> Result<Settlement, ProviderError> {
    let exceptions = compare::compare(desk)?;
    let period = desk.store.next_period(desk.now)?;
    let mut payouts = Vec::new();
    for (issuer, unit, merchant, amount) in desk.store.payable()? {
        let account = |kind| Account::new(issuer, unit, kind);
        let (from, to) = (account(Kind::Payable(merchant)), account(Kind::Paid(merchant)));
        let reference = Hash::of(&[&period.to_be_bytes()[..], &issuer.0, &unit.code().to_be_bytes()].concat());
        desk.books.post(desk.store, (merchant.0, Cause::PaidOut, reference), from, to, amount)?;
        let owed = desk.books.balance(desk.store, to)?;
        let before = desk.store.payouts_of(merchant)?;
        let of_these = before.iter().filter(|(row, _)| (row.issuer, row.unit) == (issuer, unit));
        let paid: u64 = of_these.map(|(row, _)| row.amount).sum();
        if let Some(amount) = owed.checked_sub(paid).filter(|amount| *amount > 0) {
            let row = PayoutRow { period, merchant, issuer, unit, amount };
            desk.store.put_payout(&row)?;
            payouts.push(row);
        }
    }
    let mut books = Vec::new();
    for (issuer, unit) in desk.store.books()? {
        let equation = desk.books.equation(desk.store, issuer, unit)?;
        desk.store.put_trial_balance(period, issuer, unit, &equation)?;
        books.push((issuer, unit, equation));
    }
    Ok(Settlement { period, payouts, books, exceptions })
}

/// The trial balance as lines of name and amount.
pub fn trial_balance(equation: &Equation) -> Vec<(&'static str, i128)> {
    Side::ALL.into_iter().map(|side| (side.name(), equation.sum(side))).collect()
}
