//! What must never happen to a payment by credit, checked when all is quiet: from the bank's books, the processor's accounts, the
//! provider's rows and postings, and what terminals and wallets hold.

use super::Evidence;
use crate::courier::Courier;
use crate::template::{MERCHANTS, template};
use crate::town::{Person, Till, Town};
use std::collections::BTreeMap;
use tegata_core::talk::contract::Tender;
use tegata_core::talk::credit::{CreditOffer, CreditState, Credited};
use tegata_core::talk::pay::{Claim, ClaimState};
use tegata_core::{DeviceId, Hash, PartyId, Time, Unit};
use tegata_ledger::Side;
use tegata_store::{CreditRow, StoreError};

/// The provider's rows by machine and offer.
type Rows = BTreeMap<(DeviceId, Hash), CreditRow>;

impl Town {
    pub(super) fn credit(&self, evidence: &Evidence, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        wrong.extend(self.center.broken_down.iter().cloned());
        let Some(courier) = &self.center.courier else {
            return Ok(());
        };
        let rows = self.center.store()?.credits()?;
        let rows: Rows = rows.into_iter().map(|row| ((row.machine, row.offer), row)).collect();
        match self.center.processor_revoked {
            // What was under way stays as it is, for a person (ARCHITECTURE, limits).
            Some(since) => self.nothing_counts_since(since, &rows, wrong)?,
            None => {
                self.nothing_waits(courier, &rows, wrong)?;
                self.books_agree(courier, &rows, wrong)?;
            }
        }
        self.claims_by_credit(evidence, &rows, wrong);
        self.wallets_by_credit(&rows, wrong);
        Ok(())
    }

    /// What a processor said after its key was revoked brought nobody anything, and what it said before stands.
    fn nothing_counts_since(&self, since: Time, rows: &Rows, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        let cleared = rows.values().filter(|row| row.state == CreditState::Cleared).filter_map(|row| row.ended);
        let captured = store.purchases()?.into_iter().filter_map(|row| row.captured);
        if cleared.chain(captured).any(|at| at > since) {
            wrong.push("a processor was believed whose key was revoked".into());
        }
        for merchant in &template().merchants {
            let stands = self.stands(*merchant, Tender::Credit)?;
            let book = store.processor()?.map(|row| row.info.processor).unwrap_or(*merchant);
            let owed = |side| store.balance(book, Unit::USD, side, *merchant);
            let ours = owed(Side::Payable)? + owed(Side::Paid)?;
            if ours != (stands.amount - stands.fees).cast_signed() {
                wrong.push(format!("{merchant}: {ours} posted, {stands:?} stand of its payments by credit"));
            }
        }
        Ok(())
    }

    /// Everything has ended: at the provider, at the processor, and nothing is held at the bank for what is not paid.
    fn nothing_waits(&self, courier: &Courier, rows: &Rows, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        for row in rows.values().filter(|row| !matches!(row.state, CreditState::Cleared | CreditState::Refused)) {
            wrong.push(format!("R26: the payment of offer {} is {} for ever", row.offer, row.state.name()));
        }
        let sql = "SELECT count(*) FROM asked WHERE due IS NOT NULL";
        let open: i64 = self.center.store()?.connection().query_row(sql, [], |row| row.get(0)).unwrap_or(-1);
        if open != 0 {
            wrong.push(format!("R26: {open} requests to the processor are never answered"));
        }
        let held = courier.clearing.bank.held(Unit::USD);
        if held != 0 {
            wrong.push(format!("{held} cents stay held at the bank for nothing"));
        }
        let Some(processor) = courier.clearing.processor() else {
            wrong.push("there is no processor any more".into());
            return Ok(());
        };
        // Declined, captured, undone: what the processor's table calls over.
        let asks = "SELECT count(*) FROM authorization WHERE state NOT IN (3, 5, 9, 10, 11)";
        for (what, sql) in [
            ("authorizations of the processor are under way", asks),
            ("messages to the bank are open", "SELECT count(*) FROM asked WHERE open = 1"),
            (
                "requests at the processor have no answer",
                "SELECT count(*) FROM request WHERE answer IS NULL AND kind <> 0",
            ),
        ] {
            let open: i64 = processor.store().connection().query_row(sql, [], |row| row.get(0)).unwrap_or(-1);
            if open != 0 {
                wrong.push(format!("R26: {open} {what} for ever"));
            }
        }
        Ok(())
    }

    /// Bank, processor and provider agree to the cent, and no charge was taken twice.
    fn books_agree(&self, courier: &Courier, rows: &Rows, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        let (Some(processor), Some(registered)) = (courier.clearing.processor(), store.processor()?) else {
            return Ok(());
        };
        let (bank, issuer) = (&courier.clearing.bank, registered.info.processor);
        let cleared: Vec<&CreditRow> = rows.values().filter(|row| row.state == CreditState::Cleared).collect();
        let bought = store.purchases()?.iter().filter(|row| row.clearing.is_some()).count();
        if bank.captures() != cleared.len() + bought {
            let all = (cleared.len(), bought);
            wrong
                .push(format!("the bank took {} charges, payments and purchases cleared are {all:?}", bank.captures()));
        }
        for (merchant, (code, _)) in template().merchants.iter().zip(MERCHANTS) {
            let owed = |side| store.balance(issuer, Unit::USD, side, *merchant);
            let fees = self.stands(*merchant, Tender::Credit)?.fees;
            let ours = owed(Side::Payable)? + owed(Side::Paid)? + fees.cast_signed();
            let amounts =
                cleared.iter().filter_map(|row| row.merchant.as_ref()).filter(|(side, _)| side.who == *merchant);
            let rows: i64 = amounts.map(|(side, _)| side.line.amount.minor().cast_signed()).sum();
            let account = store.clearing_account(merchant.0)?.and_then(|row| row.account);
            let theirs = account.and_then(|account| processor.balance(account).ok()).unwrap_or_default();
            let theirs: i64 = theirs.iter().map(|amount| amount.minor().cast_signed()).sum();
            let taken = bank.posted(code, Unit::USD);
            if [rows, theirs, taken] != [ours; 3] {
                wrong.push(format!(
                    "{code}: {ours} posted at the provider, {rows} in its payments, {theirs} at the processor, {taken} at the bank"
                ));
            }
        }
        for (at, till) in self.tills.iter().enumerate().filter(|(_, till)| self.is_honest_till(till)) {
            // A terminal that was put back gives its numbers again.
            let twice = "SELECT count(*) FROM (SELECT 1 FROM authorization WHERE state = 5 AND machine = ?1
                         GROUP BY sale HAVING count(*) > 1)";
            let connection = processor.store().connection();
            let twice: i64 = connection.query_row(twice, [till.id.0], |row| row.get(0)).unwrap_or(-1);
            if twice != 0 {
                wrong.push(format!("{twice} charges of terminal {at} were taken twice from bank cards"));
            }
        }
        Ok(())
    }

    /// Each captured amount has one payment delivered, and each delivered one a capture.
    fn claims_by_credit(&self, evidence: &Evidence, rows: &Rows, wrong: &mut Vec<String>) {
        for (at, till) in self.tills.iter().enumerate().filter(|(_, till)| self.is_honest_till(till)) {
            let mut paid = BTreeMap::new();
            for ((_, transaction), claim) in evidence.claims.range((till.id, 0)..=(till.id, u64::MAX)) {
                let Some(offer) = offer_of(claim) else {
                    continue;
                };
                let row = rows.get(&(till.id, offer));
                let cleared = row.filter(|row| row.state == CreditState::Cleared);
                match (claim.state, cleared) {
                    (ClaimState::Paid, Some(row)) => {
                        let told = claim.notification.as_ref().map(|told| told.claimed().clearing);
                        if told.is_none() || told != row.completed.as_ref().map(|done| done.clearing) {
                            wrong.push(format!("terminal {at}: {transaction} is paid by another clearing or by none"));
                        }
                        if row.receipt.is_none() {
                            wrong.push(format!("R23: the receipt of {transaction} at terminal {at} never came"));
                        }
                        paid.insert(offer, *transaction);
                    }
                    (ClaimState::Closed, None) => {}
                    (ClaimState::Clearing, None) if self.center.processor_revoked.is_some() => {}
                    (state, _) => wrong.push(format!(
                        "terminal {at}: {transaction} by credit is {} there and {:?} at the provider",
                        state.name(),
                        row.map(|row| row.state)
                    )),
                }
            }
            let taken = rows.values().filter(|row| row.machine == till.id && row.state == CreditState::Cleared);
            for row in taken.filter(|row| !paid.contains_key(&row.offer)) {
                wrong.push(format!("offer {} was captured, and terminal {at} was never paid", row.offer));
            }
        }
    }

    /// What wallets say of their payments is what happened, and each that was paid has its whole receipt (R23).
    fn wallets_by_credit(&self, rows: &Rows, wrong: &mut Vec<String>) {
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| self.is_honest_person(person)) {
            let account = self.center.store().and_then(|store| store.clearing_account(person.id.0)).ok().flatten();
            if account.map(|account| account.request) != person.registration {
                wrong.push(format!("R26: wallet {at} pays by another bank card than it was told last"));
            }
            let mut known = BTreeMap::new();
            for paid in person.wallet.credits().unwrap_or_default() {
                let request = paid.request.claimed();
                let offer = CreditOffer::hash(&request.offer, &request.session);
                let number = request.offer.claimed().request;
                let row = rows.get(&(paid.machine, offer));
                let cleared = row.is_some_and(|row| row.state == CreditState::Cleared);
                match paid.state {
                    CreditState::Cleared if cleared => self.receipt(at, &paid, wrong),
                    CreditState::Refused if !cleared => {}
                    CreditState::Cleared => wrong.push(format!("wallet {at}: {number} is cleared there alone")),
                    _ if self.center.processor_revoked.is_some() && !cleared => {}
                    state => wrong.push(format!(
                        "wallet {at}: its payment {number} is {} there and {:?} at the provider",
                        state.name(),
                        row.map(|row| row.state)
                    )),
                }
                if let (true, Some(why)) = (cleared, self.ended.get(&number)) {
                    wrong.push(format!("R26: wallet {at} was told that {number} ended ({why:?}), and it was paid"));
                }
                known.insert(offer, paid);
            }
            for row in rows.values().filter(|row| row.state == CreditState::Cleared) {
                let ours = row.user.as_ref().is_some_and(|side| side.who == person.id);
                if ours && !known.contains_key(&row.offer) {
                    wrong.push(format!("wallet {at} paid offer {} and does not know it", row.offer));
                }
            }
        }
    }

    fn receipt(&self, at: usize, paid: &Credited, wrong: &mut Vec<String>) {
        let whole = paid.receipt.as_ref().map(|receipt| receipt.claimed().receipt.is_some());
        let till = self.tills.iter().find(|till| till.id == paid.machine);
        let honest = till.is_some_and(|till| self.is_honest_till(till));
        let number = paid.request.claimed().offer.claimed().request;
        match whole {
            None => wrong.push(format!("R23: wallet {at} has no receipt for {number}")),
            Some(false) if honest => {
                wrong.push(format!("R23: wallet {at} never got the merchant's part of the receipt for {number}"));
            }
            Some(_) => {}
        }
    }

    pub fn is_honest_till(&self, till: &Till) -> bool {
        till.tampered.is_none() && !self.causes.revoked.contains_key(&till.id)
    }
    pub fn is_honest_person(&self, person: &Person) -> bool {
        person.tampered.is_none() && !self.causes.revoked.contains_key(&person.id)
    }

    /// The processor's party, whose books are not a card issuer's.
    pub(super) fn is_processor(&self, party: PartyId) -> bool {
        let row = self.center.store().ok().and_then(|store| store.processor().ok().flatten());
        row.is_some_and(|row| row.info.processor == party)
    }
}

/// The offer that a claim is paid by, by its hash; `None`: it is no claim by credit.
fn offer_of(claim: &Claim) -> Option<Hash> {
    claim.offer.as_ref().map(|offer| CreditOffer::hash(offer, &claim.session))
}
