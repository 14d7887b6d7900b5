//! Postings and the working set that they move.

use crate::account::{Account, Side};
use crate::equation::{Equation, Unbalanced};
use std::collections::BTreeMap;
use tegata_core::{IssuerId, Unit};

/// Value that goes from one account to another of the same issuer and unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// From here.
    pub from: Account,
    /// To here.
    pub to: Account,
    /// How much, in minor units; not zero.
    pub amount: u64,
}

/// Why a posting was not made; nothing has changed. The caller is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Another issuer's account, or another unit's.
    #[error("value cannot go between issuers or units")]
    OtherUnit,
    /// A posting of nothing, or to itself.
    #[error("a posting moves something from one account to another")]
    Nothing,
    /// More than is there.
    #[error("an account would hold less than nothing")]
    TooLittle,
    /// Larger than any real sum.
    #[error("a balance would grow beyond what can be counted")]
    Overflow,
    /// The equation does not hold.
    #[error(transparent)]
    Unbalanced(#[from] Unbalanced),
}

/// A working set of balances. Accounts not put in stand at zero.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    balances: BTreeMap<Account, i64>,
    equations: BTreeMap<(IssuerId, Unit), Equation>,
}

impl Ledger {
    /// Puts in how an account stands. Does not touch the equation, which is put in by sums.
    pub fn put(&mut self, account: Account, balance: i64) {
        self.balances.insert(account, balance);
    }
    /// Whether the account was put in or posted to.
    pub fn knows(&self, account: &Account) -> bool {
        self.balances.contains_key(account)
    }
    /// Puts in the sums of one issuer and unit.
    pub fn put_equation(&mut self, issuer: IssuerId, unit: Unit, equation: Equation) {
        self.equations.insert((issuer, unit), equation);
    }
    /// How an account stands.
    pub fn balance(&self, account: &Account) -> i64 {
        self.balances.get(account).copied().unwrap_or(0)
    }
    /// The sums of one issuer and unit.
    pub fn equation(&self, issuer: IssuerId, unit: Unit) -> Equation {
        self.equations.get(&(issuer, unit)).copied().unwrap_or_default()
    }
    /// Every issuer and unit with its sums.
    pub fn equations(&self) -> impl Iterator<Item = (&(IssuerId, Unit), &Equation)> {
        self.equations.iter()
    }
    /// Every balance.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, i64)> {
        self.balances.iter().map(|(account, balance)| (account, *balance))
    }

    /// Makes a posting, or changes nothing.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn post(&mut self, posting: &Posting) -> Result<(), LedgerError> {
        let Posting { from, to, amount } = posting;
        if (from.issuer, from.unit) != (to.issuer, to.unit) {
            return Err(LedgerError::OtherUnit);
        }
        if *amount == 0 || from == to {
            return Err(LedgerError::Nothing);
        }
        let amount = i64::try_from(*amount).map_err(|_| LedgerError::Overflow)?;
        let left = self.moved(from, signed(from.kind.side(), -amount))?;
        let right = self.moved(to, signed(to.kind.side(), amount))?;
        self.balances.insert(*from, left);
        self.balances.insert(*to, right);
        let equation = self.equations.entry((from.issuer, from.unit)).or_default();
        equation.add(from.kind.side(), i128::from(signed(from.kind.side(), -amount)));
        equation.add(to.kind.side(), i128::from(signed(to.kind.side(), amount)));
        Ok(())
    }
    /// Credits an account with value that comes from nowhere. Only the simulator does this, to show that the equation
    /// notices.
    pub fn conjure(&mut self, to: Account, amount: u64) {
        let amount = i64::try_from(amount).unwrap_or(0);
        let side = to.kind.side();
        *self.balances.entry(to).or_default() += amount;
        self.equations.entry((to.issuer, to.unit)).or_default().add(side, i128::from(amount));
    }
    fn moved(&self, account: &Account, by: i64) -> Result<i64, LedgerError> {
        let after = self.balance(account).checked_add(by).ok_or(LedgerError::Overflow)?;
        if after < 0 { Err(LedgerError::TooLittle) } else { Ok(after) }
    }
    /// Asserts the equation of everything touched: a few additions, however many postings there were.
    ///
    /// # Errors
    /// [`Unbalanced`].
    pub fn check(&self) -> Result<(), Unbalanced> {
        self.equations.values().try_for_each(Equation::check)
    }
}

/// A source counts what left it.
fn signed(side: Side, amount: i64) -> i64 {
    if side.is_source() { -amount } else { amount }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Kind;
    use proptest::prelude::*;
    use tegata_core::{CardId, PartyId};

    fn account(kind: Kind) -> Account {
        Account::new(PartyId([1; 16]), Unit::USD, kind)
    }
    fn kinds() -> Vec<Kind> {
        let (card, merchant) = (CardId([2; 16]), PartyId([3; 16]));
        vec![
            Kind::Issued,
            Kind::Waiting,
            Kind::Held(card),
            Kind::Held(CardId([4; 16])),
            Kind::InFlight(card),
            Kind::Payable(merchant),
            Kind::Paid(merchant),
            Kind::Refunded,
            Kind::Expired,
            Kind::Disputed,
            Kind::Guarantor(card),
        ]
    }

    #[test]
    fn a_card_is_sold_spent_and_paid_out() {
        let (card, merchant) = (CardId([2; 16]), PartyId([3; 16]));
        let mut ledger = Ledger::default();
        for (from, to, amount, expected) in [
            (Kind::Issued, Kind::Waiting, 100, Ok(())),
            (Kind::Waiting, Kind::Held(card), 100, Ok(())),
            (Kind::Held(card), Kind::InFlight(card), 30, Ok(())),
            (Kind::InFlight(card), Kind::Payable(merchant), 30, Ok(())),
            (Kind::Held(card), Kind::Payable(merchant), 71, Err(LedgerError::TooLittle)),
            (Kind::Guarantor(card), Kind::Payable(merchant), 5, Ok(())),
            (Kind::Payable(merchant), Kind::Paid(merchant), 35, Ok(())),
            (Kind::Held(card), Kind::Guarantor(card), 5, Ok(())),
            (Kind::Held(card), Kind::Guarantor(card), 1, Err(LedgerError::TooLittle)),
            (Kind::Held(card), Kind::Held(card), 1, Err(LedgerError::Nothing)),
            (Kind::Held(card), Kind::Waiting, 0, Err(LedgerError::Nothing)),
            (Kind::Issued, Kind::Waiting, u64::MAX, Err(LedgerError::Overflow)),
        ] {
            let posting = Posting { from: account(from), to: account(to), amount };
            assert_eq!(ledger.post(&posting), expected, "{from:?} {to:?}");
            assert_eq!(ledger.check(), Ok(()));
        }
        let equation = ledger.equation(PartyId([1; 16]), Unit::USD);
        assert_eq!((equation.sum(Side::Issued), equation.sum(Side::Held), equation.sum(Side::Paid)), (100, 65, 35));
    }

    #[test]
    fn value_stays_with_its_issuer_and_unit() {
        let mut ledger = Ledger::default();
        let euros = Account::new(PartyId([1; 16]), Unit::EUR, Kind::Waiting);
        let posting = Posting { from: account(Kind::Issued), to: euros, amount: 1 };
        assert_eq!(ledger.post(&posting), Err(LedgerError::OtherUnit));
    }

    #[test]
    fn value_from_nowhere_is_noticed() {
        let mut ledger = Ledger::default();
        ledger.conjure(account(Kind::Waiting), 5);
        assert_eq!(ledger.check(), Err(Unbalanced { left: 0, right: 5 }));
    }

    proptest! {
        #[test]
        fn no_posting_breaks_the_equation_or_a_balance(
            postings in proptest::collection::vec((0..11usize, 0..11usize, 0..1000u64), 0..200),
        ) {
            let mut ledger = Ledger::default();
            for (from, to, amount) in postings {
                let before = ledger.clone();
                let posting = Posting { from: account(kinds()[from]), to: account(kinds()[to]), amount };
                if ledger.post(&posting).is_err() {
                    prop_assert!(before.balances().eq(ledger.balances()), "a refusal changes nothing");
                }
                prop_assert!(ledger.check().is_ok());
                prop_assert!(ledger.balances().all(|(_, balance)| balance >= 0));
            }
            let mut sums = Equation::default();
            ledger.balances().for_each(|(account, balance)| sums.add(account.kind.side(), i128::from(balance)));
            prop_assert_eq!(sums, ledger.equation(PartyId([1; 16]), Unit::USD));
        }
    }
}
