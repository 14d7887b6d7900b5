//! Settlement: what is payable is paid, a period closes with its positions and its trial balance.
//!
//! ```text
//! claims, captures --fees--> payable --settle--> paid, positions, payouts --payouts--> pain.001 --> bank
//!                               ^                                                                    |
//!                               '--------------------- reconcile <---- camt.053 ---------------------'
//! ```
//!
//! Every posting belongs to the period that was open when it was made. A period is closed once, in one transaction, and
//! nothing that belongs to it is written afterwards.

pub(crate) mod fees;
pub(crate) mod operator;
mod owed;
mod payouts;
mod reconcile;
pub(crate) mod statement;

pub use fees::Fee;
pub use reconcile::{Reconciled, ReconciledPayout};

use crate::desk::Desk;
use crate::{Provider, ProviderError, compare};
use std::collections::BTreeMap;
use tegata_core::step::Break;
use tegata_core::{Hash, IssuerId, PartyId, Time, Unit};
use tegata_iso20022::camt053;
use tegata_iso20022::pain001::BatchError;
use tegata_iso20022::reconcile::ReconcileError;
use tegata_iso20022::value::ValueError;
use tegata_ledger::{Account, Equation, Kind, Side};
use tegata_store::{Cause, PositionRow, TransferRow};

/// Why something about settlement was not done. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// A fee above the whole amount.
    #[error("a fee takes at most the whole payment; choose a smaller one")]
    Fee,
    /// A contract that would count for what is charged already.
    #[error("a contract cannot count for the past; choose a later moment")]
    Past,
    /// A value of a bank account.
    #[error(transparent)]
    Account(#[from] ValueError),
    /// The provider's own account has no BIC.
    #[error("our own account needs the BIC of its bank")]
    Bic,
    /// The provider has no account to pay from.
    #[error("payouts need an account that pays: give ours first (tegata provider bank own --iban ... --bic ...)")]
    NoAccount,
    /// The period is still open, or to come.
    #[error("period {0} is not closed yet; settle first")]
    Open(u64),
    /// The period has no payouts that the bank could make.
    #[error("period {0} has nothing to pay out by bank")]
    Nothing(u64),
    /// Another period's file ordered them.
    #[error("the payouts of period {0} were ordered with period {1}; ask for that one")]
    Elsewhere(u64, u64),
    /// No payee has told where to be paid.
    #[error(
        "no payee of period {0} has bank details yet; its payouts wait for them (tegata provider bank PARTY --iban ...)"
    )]
    NoDetails(u64),
    /// What was ordered since the backup is not known.
    #[error(
        "this provider was put back from a backup and does not know what it has ordered since; compare with the bank's \
         statements that everything to be paid now is unpaid, then say so (--compared)"
    )]
    Restored,
    /// The payouts make no file.
    #[error("the payouts make no file: {0}")]
    Batch(#[from] BatchError),
    /// The bank's file cannot be read.
    #[error("this is no statement of our account: {0}")]
    Statement(#[from] camt053::ReadError),
    /// No payouts were ordered from any account.
    #[error("nothing was ordered from a bank yet; there is nothing to reconcile")]
    NothingOrdered,
    /// Orders and statements cannot be compared.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
}

/// A period that was closed.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Its number.
    pub period: u64,
    /// Who gets what paid out: one payout for each payee and unit.
    pub payouts: Vec<TransferRow>,
    /// What it came to for each party.
    pub positions: Vec<PositionRow>,
    /// The closing trial balance.
    pub books: Vec<(IssuerId, Unit, Equation)>,
    /// How many exceptions are open.
    pub exceptions: u64,
}

impl Provider {
    /// Pays everyone out and closes the period that is open. Done again at once, it closes an empty one.
    ///
    /// # Errors
    /// [`ProviderError`]; the period is still open then.
    pub fn settle(&mut self, now: Time) -> Result<Settlement, ProviderError> {
        self.transact(now, [0; 32], settle)
    }
}

/// Per payee and unit, what each issuer's value brings to it: below nothing where more was paid out than stands.
pub(crate) type Parts = BTreeMap<(PartyId, Unit), BTreeMap<IssuerId, i64>>;

fn settle(desk: &mut Desk<'_>) -> Result<Settlement, ProviderError> {
    let exceptions = compare::compare(desk)?;
    let period = desk.books.period(desk.store)?;
    let parts = sweep(desk, period)?;
    let positions = owed::positions(desk, period, &parts)?;
    let payouts = payouts::of(desk, period, &positions, &parts)?;
    let mut books = Vec::new();
    for (issuer, unit) in desk.store.books()? {
        let equation = desk.books.equation(desk.store, issuer, unit)?;
        desk.store.put_trial_balance(period, issuer, unit, &equation)?;
        books.push((issuer, unit, equation));
    }
    desk.store.close_period(period, desk.now)?;
    Ok(Settlement { period, payouts, positions, books, exceptions })
}

/// Sweeps payable to paid; says how far that is above what the bank was to pay so far.
fn sweep(desk: &mut Desk<'_>, period: u64) -> Result<Parts, ProviderError> {
    let mut parts = Parts::new();
    let mut add = |party, issuer, unit, amount: i64| {
        *parts.entry((party, unit)).or_default().entry(issuer).or_default() += amount;
    };
    for (party, issuer, unit, amount) in desk.store.balances(Side::Paid)? {
        add(party, issuer, unit, amount);
    }
    for (issuer, unit, party, amount) in desk.store.payable()? {
        let account = |kind| Account::new(issuer, unit, kind);
        let (from, to) = (account(Kind::Payable(party)), account(Kind::Paid(party)));
        let reference = Hash::of(&[&period.to_be_bytes()[..], &issuer.0, &unit.code().to_be_bytes()].concat());
        desk.books.post(desk.store, (party.0, Cause::PaidOut, reference), from, to, amount)?;
        add(party, issuer, unit, i64::try_from(amount).map_err(|_| tegata_ledger::LedgerError::Overflow)?);
    }
    let ordered = if desk.shared.broken.has(Break::PaidAgain) { Vec::new() } else { desk.store.paid_by_bank()? };
    for (party, issuer, unit, amount) in ordered {
        add(party, issuer, unit, -amount);
    }
    Ok(parts)
}

/// The trial balance as lines of name and amount.
pub fn trial_balance(equation: &Equation) -> Vec<(&'static str, i128)> {
    Side::ALL.into_iter().map(|side| (side.name(), equation.sum(side))).collect()
}
