//! What must never happen to what payees are owed, checked when all is quiet: from claims and captures, the signed contracts, the
//! bank's books, and how each closed period looked when it was first seen.

use super::buying::price;
use crate::town::Town;
use std::collections::BTreeSet;
use tegata_core::talk::contract::{Contract, Tender};
use tegata_core::talk::credit::CreditState;
use tegata_core::wire::signed::Signed;
use tegata_core::{PartyId, Time, Unit};
use tegata_ledger::Side;
use tegata_store::{ClaimState, PositionSide, Store, StoreError, TransferState};

/// What stands of one payee's payments by one tender, in cents.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stands {
    /// What was paid and not undone.
    pub amount: u64,
    /// What the contracts take of it.
    pub fees: u64,
}

impl Town {
    /// What stands of a payee's payments, and their fees made anew.
    pub(super) fn stands(&self, payee: PartyId, tender: Tender) -> Result<Stands, StoreError> {
        let store = self.center.store()?;
        let contracts = signed(store, payee, tender)?;
        let mut stands = Stands::default();
        for (amount, back, at) in payments(store, payee, tender)? {
            stands.amount += amount - back;
            // What is paid back in part has its whole fee back.
            stands.fees += if back == 0 { fee(&contracts, amount, at) } else { 0 };
        }
        Ok(stands)
    }

    pub(super) fn settlement(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(settling) = &self.settling else {
            return Ok(());
        };
        let store = self.center.store()?;
        let last = store.last_period()?;
        let (mut names, mut fees) = (BTreeSet::new(), 0);
        for paid in &settling.bank.paid {
            if !names.insert(paid.transfer.end_to_end.as_str()) {
                wrong.push(format!("the bank paid {} twice", paid.transfer.end_to_end.as_str()));
            }
        }
        for (payee, account) in self.payees() {
            let (cards, credit) = (self.stands(payee, Tender::Cards)?, self.stands(payee, Tender::Credit)?);
            fees += cards.fees + credit.fees;
            let owed = (cards.amount + credit.amount).cast_signed() - (cards.fees + credit.fees).cast_signed();
            let positions = store.positions(last)?;
            // No bank pays units: what is owed of them stands in the books.
            let of_payee = (payee, Unit::USD, PositionSide::Payee);
            let ours = positions.iter().find(|row| (row.party, row.unit, row.side) == of_payee);
            let carried = ours.map_or(0, |row| row.due.min(0));
            let paid = settling.bank.stands(account).cast_signed();
            if paid + carried != owed {
                wrong.push(format!(
                    "{payee}: payments for {owed} stand after fees, the bank paid {paid}, and {carried} are carried on"
                ));
            }
            for row in store.transfers_of(payee)? {
                if !matches!(row.state, TransferState::Booked | TransferState::CameBack) {
                    wrong.push(format!("R26: the payout {} is {} for ever", row.end_to_end, row.state.name()));
                }
            }
        }
        self.fees_are_ours(fees, wrong)?;
        for (period, look) in &settling.closed {
            if self.look_of(*period).as_ref() != Some(look) {
                wrong.push(format!("period {period} was closed and has changed: {look}"));
            }
        }
        Ok(())
    }

    /// The provider has what the contracts take, and nothing else; nothing is payable when all is settled.
    fn fees_are_ours(&self, fees: u64, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        let ours = store.provider()?.map(|row| row.party);
        let paid = store.balances(Side::Paid)?.into_iter().filter(|(party, ..)| Some(*party) == ours);
        let paid: i64 = paid.map(|(.., amount)| amount).sum();
        if paid != fees.cast_signed() {
            wrong.push(format!("the provider has {paid} of fees, the contracts take {fees}"));
        }
        let open = store.payable()?;
        if !open.is_empty() {
            wrong.push(format!("after the last settlement this is payable still: {open:?}"));
        }
        Ok(())
    }
}

/// The contracts of a payee, as they were signed.
fn signed(store: &Store, payee: PartyId, tender: Tender) -> Result<Vec<Contract>, StoreError> {
    let mut contracts = Vec::new();
    for row in store.contracts(Some(payee))? {
        contracts.push(Signed::<Contract>::decode(&row.body).map_err(|_| StoreError::Damaged)?.claimed().clone());
    }
    contracts.retain(|it| (it.tender, it.unit) == (tender, Unit::USD));
    Ok(contracts)
}

/// The fee on a payment of that moment: a share in millionths, rounded half up, and a fixed part, never more than the payment.
fn fee(contracts: &[Contract], amount: u64, at: Time) -> u64 {
    let counting = contracts.iter().filter(|it| it.from <= at).max_by_key(|it| it.version);
    counting.map_or(0, |it| {
        let (whole, rest) = (amount / Contract::WHOLE * it.share, amount % Contract::WHOLE * it.share);
        let share = whole + rest / Contract::WHOLE + u64::from(rest % Contract::WHOLE * 2 >= Contract::WHOLE);
        (share + it.fixed).min(amount)
    })
}

/// A payee's payments that stand: cents, how many of them were paid back, and when the provider first heard of each.
fn payments(store: &Store, payee: PartyId, tender: Tender) -> Result<Vec<(u64, u64, Time)>, StoreError> {
    let mut all = Vec::new();
    if tender == Tender::Cards {
        let claims = store.claims_of(payee, Time(0), Time(u64::MAX >> 1))?;
        let stand = claims.iter().filter(|claim| claim.state == ClaimState::Paid && claim.unit == Unit::USD);
        all.extend(stand.map(|claim| (claim.amount, 0, claim.at)));
        return Ok(all);
    }
    for row in store.credits()?.iter().filter(|row| row.state == CreditState::Cleared) {
        if let (Some((side, _)), Some(ended)) = (row.merchant.as_ref().filter(|(side, _)| side.who == payee), row.ended)
        {
            all.push((side.line.amount.minor(), 0, ended));
        }
    }
    for row in store.purchases()?.iter().filter(|row| row.issuer == payee) {
        if let Some(captured) = row.captured {
            all.push((price(store, row)?, store.refunded(row.wallet, row.number)?, captured));
        }
    }
    Ok(all)
}
