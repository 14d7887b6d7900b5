//! Fees: what a payee's contract takes of each payment, posted with the payment and given back with it.
//!
//! A fee moves from what is payable to the payee to what is payable to the provider, in the same issuer's books, so that the
//! equation stays as it is (R10). It is posted at the moment at which the payment becomes payable, and given back whole in
//! the transaction that undoes the payment, also after the payout: so payable and paid of a payee together are never less
//! than the payments that stand, less their fees, and an undoing always finds what it takes away.

use super::SettleError;
use crate::desk::Desk;
use crate::{Provider, ProviderError};
use tegata_core::step::Break;
use tegata_core::talk::contract::{Contract, Tender};
use tegata_core::wire::certificate::Role;
use tegata_core::{Amount, Hash, IssuerId, PartyId, Time, Unit};
use tegata_ledger::{Account, Kind};
use tegata_store::{Cause, ContractRow, StoreError};

/// What a contract takes of each payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// Millionths of the amount, at most [`Contract::WHOLE`].
    pub share: u64,
    /// Minor units, besides.
    pub fixed: u64,
}

impl Fee {
    /// The fee on a payment, in minor units: the share, rounded half up to whole minor units, and the fixed part; never more
    /// than the payment.
    pub fn of(self, amount: u64) -> u64 {
        let millionths = u128::from(amount) * u128::from(self.share);
        let share = (millionths + u128::from(Contract::WHOLE / 2)) / u128::from(Contract::WHOLE);
        u64::try_from(share).unwrap_or(u64::MAX).saturating_add(self.fixed).min(amount)
    }
}

impl Provider {
    /// Sets what a payee pays for payments by this tender in this unit, from a moment on: `from`, or the first second in
    /// which nothing has been credited to it yet. What came before stays as it was charged. Gives what was signed.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`] if the party is neither merchant nor issuer, [`SettleError::Fee`], [`SettleError::Past`].
    pub fn set_contract(
        &mut self,
        party: PartyId,
        (tender, unit): (Tender, Unit),
        fee: Fee,
        from: Option<Time>,
        now: Time,
    ) -> Result<Contract, ProviderError> {
        self.transact(now, [0; 32], |desk| {
            let known = desk.known(party.into()).ok_or(ProviderError::Unknown)?;
            if !matches!(known.role, Role::Merchant | Role::Issuer) {
                return Err(ProviderError::Unknown);
            }
            if fee.share > Contract::WHOLE || fee.fixed > Amount::MAX {
                return Err(SettleError::Fee.into());
            }
            if from.is_some_and(|from| from < now) {
                return Err(SettleError::Past.into());
            }
            let free = desk.store.last_credited(party)?.map_or(now, |last| last.after(1));
            let before = desk.store.contracts(Some(party))?;
            let of_these = before.iter().filter(|row| (row.contract.tender, row.contract.unit) == (tender, unit));
            let contract = |signer| Contract {
                party,
                tender,
                unit,
                version: of_these.count() as u64 + 1,
                from: from.unwrap_or(now).max(free),
                at: now,
                share: fee.share,
                fixed: fee.fixed,
                signer,
                extensions: Default::default(),
            };
            let signed = desk.sign(&[], contract);
            let contract = signed.claimed().clone();
            desk.store.put_contract(&ContractRow { contract: contract.clone(), body: signed.encode() })?;
            Ok(contract)
        })
    }
    /// All contracts, by party, tender, unit and version.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn contracts(&self) -> Result<Vec<Contract>, ProviderError> {
        Ok(self.store().contracts(None)?.into_iter().map(|row| row.contract).collect())
    }
}

/// What this payee pays for a payment of that moment: of the contracts that count by then, the latest made.
fn in_force(
    desk: &mut Desk<'_>,
    payee: PartyId,
    tender: Tender,
    unit: Unit,
    at: Time,
) -> Result<Option<Fee>, StoreError> {
    if !desk.contracts.contains_key(&payee) {
        let rows = desk.store.contracts(Some(payee))?;
        desk.contracts.insert(payee, rows);
    }
    let rows = desk.contracts.get(&payee).into_iter().flatten().map(|row| &row.contract);
    let counting = rows.filter(|one| (one.tender, one.unit) == (tender, unit) && one.from <= at);
    Ok(counting.max_by_key(|one| one.version).map(|one| Fee { share: one.share, fixed: one.fixed }))
}

/// Charges the fee on a payment that reached the provider `at` that moment and was just posted to what is payable.
pub(crate) fn charge(
    desk: &mut Desk<'_>,
    (tender, (issuer, unit)): (Tender, (IssuerId, Unit)),
    payee: PartyId,
    reference: Hash,
    amount: u64,
    at: Time,
) -> Result<(), ProviderError> {
    let Some(fee) = in_force(desk, payee, tender, unit, at)? else {
        return Ok(());
    };
    let account = |party| Account::new(issuer, unit, Kind::Payable(party));
    let ours = desk.shared.info.provider;
    let key = (payee.0, Cause::Fee, reference);
    desk.books.post(desk.store, key, account(payee), account(ours), fee.of(amount))
}

/// Gives the fee on a payment back, whole, before the payment itself is undone.
pub(crate) fn give_back(
    desk: &mut Desk<'_>,
    (issuer, unit): (IssuerId, Unit),
    payee: PartyId,
    reference: Hash,
) -> Result<(), ProviderError> {
    let charged = desk.store.posted(payee.0, Cause::Fee, &reference)?;
    if charged == 0 || desk.shared.broken.has(Break::FeeKept) {
        return Ok(());
    }
    let account = |kind| Account::new(issuer, unit, kind);
    let ours = desk.shared.info.provider;
    let key = (payee.0, Cause::FeeBack, reference);
    let payable = desk.books.balance(desk.store, account(Kind::Payable(ours)))?.min(charged);
    let to = account(Kind::Payable(payee));
    desk.books.post(desk.store, key, account(Kind::Payable(ours)), to, payable)?;
    desk.books.post(desk.store, key, account(Kind::Paid(ours)), to, charged - payable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_half_is_rounded_up_and_no_fee_is_above_its_payment() {
        for (share, fixed, amount, fee) in [
            (15_000, 10, 1_000, 25), // 1.5 percent of 10.00 and 0.10
            (15_000, 0, 100, 2),     // 1.5 is half way
            (15_000, 0, 99, 1),      // 1.485
            (15_000, 0, 33, 0),      // 0.495
            (0, 10, 7, 7),
            (1_000_000, 5, 1, 1),
            (1, 0, 499_999, 0),
            (1, 0, 500_000, 1),
            (0, 0, 1_000, 0),
            (1_000_000, Amount::MAX, Amount::MAX, Amount::MAX),
        ] {
            assert_eq!(Fee { share, fixed }.of(amount), fee, "{share} {fixed} of {amount}");
        }
    }

    proptest! {
        #[test]
        fn nets_and_fees_are_the_payments(
            share in 0..=Contract::WHOLE,
            fixed in 0..1000u64,
            amounts in proptest::collection::vec(0..=1_000_000u64, 0..50),
        ) {
            let fee = Fee { share, fixed };
            let fees: u64 = amounts.iter().map(|amount| fee.of(*amount)).sum();
            let nets: u64 = amounts.iter().map(|amount| amount.checked_sub(fee.of(*amount)).expect("never above")).sum();
            prop_assert_eq!(fees + nets, amounts.iter().sum::<u64>());
            // Within half a minor unit of the exact share, and never less for more.
            for amount in &amounts {
                let exact = u128::from(*amount) * u128::from(share) + u128::from(fixed) * 1_000_000;
                let charged = u128::from(fee.of(*amount)) * 1_000_000;
                prop_assert!(charged.abs_diff(exact) <= 500_000 || fee.of(*amount) == *amount);
                prop_assert!(fee.of(*amount) <= fee.of(amount + 1));
            }
        }
    }
}
