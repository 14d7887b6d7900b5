//! What became of payouts, according to the bank: orders on one side, statements on the other.
//!
//! ```text
//! booked debits  booked credits  otherwise                     outcome
//! none           none            nothing                       Missing
//! none           none            a pending debit               Pending
//! none           none            told as returned or refused   Refused
//! the amount     none                                          Booked
//! the amount     the amount                                    CameBack
//! anything else                                                Differs
//! ```
//!
//! Payouts and entries meet by the end-to-end id alone. An entry is known by the bank's reference for it, so that a
//! statement may be told any number of times and in any order: what was seen before changes nothing. When *missing*
//! has lasted too long, and what to do about it, is the caller's to say; there is no clock here.

use crate::Blame;
use crate::camt053::{Detail, Entry, Return, Side, Statement, Status};
use crate::pain001::{Batch, Transfer};
use crate::value::{Date, EndToEndId, Iban, MessageId, Text};
use std::collections::BTreeMap;

/// Why orders and statements cannot be compared at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// Two batches order a payout under one id; what a statement says of it could mean either.
    #[error("two different payouts are called {0:?}; one of the batches should never have been sent")]
    Doubled(EndToEndId),
    /// No batch pays from the statement's account.
    #[error("statement {0:?} is of an account that none of the batches pays from")]
    Account(Text<35>),
}

impl ReconcileError {
    /// Who is at fault.
    pub fn blame(&self) -> Blame {
        Blame::Caller
    }
}

/// What a payout has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No statement names it.
    Missing,
    /// The bank expects to pay it.
    Pending,
    /// The bank refused it before anything was booked; it is owed still.
    Refused(Return),
    /// Paid.
    Booked,
    /// Paid and given back, in full; it is owed again. The reason, if the bank gave one.
    CameBack(Option<Return>),
    /// What was booked is not what was ordered; a person has to look.
    Differs(Difference),
}

/// How what was booked is not what was ordered. The first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Given back, though no statement says that it was paid: one is missing.
    NotPaid,
    /// Paid or given back in another currency.
    Currency,
    /// Paid more than once, or given back more than once.
    Twice,
    /// Paid another amount.
    Amount,
    /// Paid to another account than the one ordered.
    Creditor,
    /// Given back in part, or more than was paid.
    Part,
}

/// One place in a statement that names a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The bank's reference of the entry.
    pub reference: Text<35>,
    /// How far the entry has come.
    pub status: Status,
    /// When it was booked.
    pub booked: Date,
    /// What it says.
    pub detail: Detail,
}

/// One payout and all that statements say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// The batch that ordered it.
    pub message: MessageId,
    /// What was ordered.
    pub transfer: Transfer,
    /// In order of the entries' references.
    pub mentions: Vec<Mention>,
    /// What it has come to.
    pub outcome: Outcome,
}

/// A booked entry, or a part of one, that no order explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unordered {
    /// The bank's reference of the entry.
    pub reference: Text<35>,
    /// When it was booked.
    pub booked: Date,
    /// What it says; made up from the entry where the bank does not say what it consists of.
    pub detail: Detail,
}

/// An entry of which two statements say different things, although it was booked in the first already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The statement that said it later.
    pub statement: Text<35>,
    /// What counts: the booked entry that came first.
    pub first: Entry,
    /// What does not.
    pub later: Entry,
}

/// Orders compared with statements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciliation {
    payouts: BTreeMap<EndToEndId, Payout>,
    accounts: Vec<Iban>,
    seen: BTreeMap<(Iban, Text<35>), Entry>,
    unordered: Vec<Unordered>,
    contradictions: Vec<Contradiction>,
}

/// Compares batches with statements. A batch or statement may be given more than once.
///
/// # Errors
/// [`ReconcileError`].
pub fn reconcile<'a>(
    batches: impl IntoIterator<Item = &'a Batch>,
    statements: impl IntoIterator<Item = &'a Statement>,
) -> Result<Reconciliation, ReconcileError> {
    let mut found = Reconciliation::of(batches)?;
    for statement in statements {
        found.take(statement)?;
    }
    found.judge();
    Ok(found)
}

impl Reconciliation {
    /// The same, and one more statement. One that was given before changes nothing.
    ///
    /// # Errors
    /// [`ReconcileError::Account`].
    pub fn with(mut self, statement: &Statement) -> Result<Self, ReconcileError> {
        self.take(statement)?;
        self.judge();
        Ok(self)
    }
    /// Every payout ordered, in order of their ids.
    pub fn payouts(&self) -> impl Iterator<Item = &Payout> {
        self.payouts.values()
    }
    /// The payout of this id.
    pub fn payout(&self, id: &EndToEndId) -> Option<&Payout> {
        self.payouts.get(id)
    }
    /// Booked entries, or parts of them, that nobody ordered, in order of the entries' references.
    pub fn unordered(&self) -> &[Unordered] {
        &self.unordered
    }
    /// Entries that the bank told of twice, and differently, in the order in which that was found.
    pub fn contradictions(&self) -> &[Contradiction] {
        &self.contradictions
    }

    fn of<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Result<Self, ReconcileError> {
        let mut found = Self::default();
        for batch in batches {
            let account = &batch.head().debtor.account;
            if !found.accounts.contains(account) {
                found.accounts.push(account.clone());
            }
            for transfer in batch.transfers() {
                let (message, transfer) = (batch.head().message.clone(), transfer.clone());
                let payout = Payout { message, transfer, mentions: Vec::new(), outcome: Outcome::Missing };
                let id = payout.transfer.end_to_end.clone();
                match found.payouts.get(&id) {
                    Some(known) if *known != payout => return Err(ReconcileError::Doubled(id)),
                    _ => found.payouts.insert(id, payout),
                };
            }
        }
        Ok(found)
    }
    /// Remembers the statement's entries; the furthest state of each counts, and a booked one stays as it is.
    fn take(&mut self, statement: &Statement) -> Result<(), ReconcileError> {
        let head = statement.head();
        if !self.accounts.contains(&head.account) {
            return Err(ReconcileError::Account(head.id.clone()));
        }
        for entry in statement.entries() {
            let key = (head.account.clone(), entry.reference.clone());
            match self.seen.get(&key) {
                Some(known) if known.status == Status::Booked => {
                    if entry.status == Status::Booked && known != entry {
                        let (first, later) = (known.clone(), entry.clone());
                        let found = Contradiction { statement: head.id.clone(), first, later };
                        if !self.contradictions.contains(&found) {
                            self.contradictions.push(found);
                        }
                    }
                }
                // A refusal is the end of what was pending.
                Some(known) if known.status == Status::Told && entry.status == Status::Pending => {}
                _ => {
                    self.seen.insert(key, entry.clone());
                }
            }
        }
        Ok(())
    }
    /// Works everything out from the entries remembered.
    fn judge(&mut self) {
        self.unordered.clear();
        for payout in self.payouts.values_mut() {
            payout.mentions.clear();
        }
        for entry in self.seen.values() {
            for detail in details(entry) {
                let id = detail.end_to_end.as_ref().and_then(|id| EndToEndId::new(id.as_str()).ok());
                let (reference, booked, status) = (entry.reference.clone(), entry.booked, entry.status);
                if let Some(payout) = id.and_then(|id| self.payouts.get_mut(&id)) {
                    payout.mentions.push(Mention { reference, status, booked, detail });
                } else if status == Status::Booked {
                    self.unordered.push(Unordered { reference, booked, detail });
                }
            }
        }
        for payout in self.payouts.values_mut() {
            payout.outcome = outcome(&payout.transfer, &payout.mentions);
        }
    }
}

/// What an entry consists of; of one that does not say, itself.
fn details(entry: &Entry) -> Vec<Detail> {
    if !entry.details.is_empty() {
        return entry.details.clone();
    }
    let (amount, side) = (entry.amount, entry.side);
    vec![Detail { end_to_end: None, amount, side, counterparty: None, returned: None }]
}

fn outcome(transfer: &Transfer, mentions: &[Mention]) -> Outcome {
    let booked = |side| {
        let fits = move |mention: &&Mention| mention.status == Status::Booked && mention.detail.side == side;
        mentions.iter().filter(fits).map(|mention| &mention.detail).collect::<Vec<_>>()
    };
    let (paid, back) = (booked(Side::Debit), booked(Side::Credit));
    if paid.is_empty() && back.is_empty() {
        let not_booked = || mentions.iter().filter(|mention| mention.status != Status::Booked);
        if let Some(returned) = not_booked().find_map(|mention| mention.detail.returned.clone()) {
            return Outcome::Refused(returned);
        }
        let is_pending = not_booked().any(|mention| mention.status == Status::Pending);
        return if is_pending { Outcome::Pending } else { Outcome::Missing };
    }
    if let Some(difference) = difference(transfer, &paid, &back) {
        return Outcome::Differs(difference);
    }
    match &back[..] {
        [] => Outcome::Booked,
        [back, ..] => Outcome::CameBack(back.returned.clone()),
    }
}

/// How booked debits and credits are not the order and its full return.
fn difference(transfer: &Transfer, paid: &[&Detail], back: &[&Detail]) -> Option<Difference> {
    if paid.is_empty() {
        return Some(Difference::NotPaid);
    }
    if paid.iter().chain(back).any(|detail| detail.amount.unit() != transfer.amount.unit()) {
        return Some(Difference::Currency);
    }
    if paid.len() > 1 || back.len() > 1 {
        return Some(Difference::Twice);
    }
    if paid.iter().any(|detail| detail.amount != transfer.amount) {
        return Some(Difference::Amount);
    }
    let account = |detail: &&Detail| detail.counterparty.as_ref().and_then(|party| party.account.clone());
    if paid.iter().filter_map(account).any(|account| account != transfer.creditor.account) {
        return Some(Difference::Creditor);
    }
    back.iter().any(|detail| detail.amount != transfer.amount).then_some(Difference::Part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camt053::tests::{amount, detail, entry, given_back, head, statement};
    use crate::camt053::{Balance, StatementHead};
    use crate::pain001::tests as ordered;
    use proptest::prelude::*;
    use tegata_core::money::{Amount, Unit};

    /// Payouts `A` to `H` of 100, 200, ... 800 cents.
    fn batch() -> Batch {
        let transfers = ('A'..='H').zip(1..).map(|(id, n)| ordered::transfer(&id.to_string(), Unit::EUR, n * 100));
        Batch::new(ordered::head(), transfers.collect()).expect("a batch")
    }
    fn outcome_of(found: &Reconciliation, id: &str) -> Outcome {
        found.payout(&EndToEndId::new(id).expect("an id")).expect("ordered").outcome.clone()
    }
    fn outcomes(entries: Vec<Entry>) -> Reconciliation {
        reconcile([&batch()], [&statement(1, entries)]).expect("comparable")
    }
    fn out(id: &str, minor: u64) -> Detail {
        detail(id, Side::Debit, minor)
    }
    fn with_status(entry: Entry, status: Status) -> Entry {
        Entry { status, ..entry }
    }

    #[test]
    fn every_payout_has_one_outcome() {
        let back = given_back("C", 300, "AC04");
        let refusal = given_back("E", 500, "AC01");
        let found = outcomes(vec![
            entry("1", out("A", 100)),
            entry("2", out("C", 300)),
            entry("3", back.clone()),
            with_status(entry("4", out("D", 400)), Status::Pending),
            with_status(entry("5", refusal.clone()), Status::Told),
            with_status(entry("6", out("F", 600)), Status::Told),
        ]);
        for (id, expected) in [
            ("A", Outcome::Booked),
            ("B", Outcome::Missing),
            ("C", Outcome::CameBack(back.returned)),
            ("D", Outcome::Pending),
            ("E", Outcome::Refused(refusal.returned.expect("with a reason"))),
            ("F", Outcome::Missing),
        ] {
            assert_eq!(outcome_of(&found, id), expected, "{id}");
        }
        assert_eq!(found.payouts().count(), 8);
        assert!(found.unordered().is_empty());
    }

    #[test]
    fn what_was_not_ordered_so_differs() {
        let other = Detail { counterparty: None, ..out("F", 600) };
        let iban = Iban::new(ordered::IBANS[3]).expect("an account");
        let stolen = crate::camt053::Counterparty { name: None, account: Some(iban) };
        let found = outcomes(vec![
            entry("1", given_back("A", 100, "AC04")),
            entry("2", out("B", 200)),
            entry("3", out("B", 200)),
            entry("4", out("C", 299)),
            entry("5", Detail { counterparty: Some(stolen), ..out("D", 400) }),
            entry("6", out("E", 500)),
            entry("7", given_back("E", 499, "FOCR")),
            entry("8", other),
            entry("9", given_back("F", 300, "FOCR")),
            entry("A", given_back("F", 300, "FOCR")),
        ]);
        for (id, difference) in [
            ("A", Difference::NotPaid),
            ("B", Difference::Twice),
            ("C", Difference::Amount),
            ("D", Difference::Creditor),
            ("E", Difference::Part),
            ("F", Difference::Twice),
        ] {
            assert_eq!(outcome_of(&found, id), Outcome::Differs(difference), "{id}");
        }
        let usd = |minor| Amount::new(Unit::USD, minor).expect("in range");
        let opening = Balance { amount: usd(1_000), ..head(1).opening };
        let foreign = vec![entry("1", Detail { amount: usd(100), ..out("A", 1) })];
        let dollars = Statement::new(StatementHead { opening, ..head(1) }, opening.date, foreign).expect("a statement");
        let found = reconcile([&batch()], [&dollars]).expect("comparable");
        assert_eq!(outcome_of(&found, "A"), Outcome::Differs(Difference::Currency));
    }

    #[test]
    fn what_nobody_ordered_is_listed() {
        let silent = Entry { details: vec![], amount: amount(7), ..entry("2", out("A", 100)) };
        let together = vec![out("A", 100), out("Z", 50)];
        let found = outcomes(vec![
            entry("1", Detail { end_to_end: None, ..detail("A", Side::Credit, 5) }),
            silent,
            Entry { details: together, amount: amount(150), ..entry("3", out("A", 1)) },
            with_status(entry("4", out("Y", 1)), Status::Pending),
            entry("5", out("NOT AN ID//", 1)),
        ]);
        let listed: Vec<_> =
            found.unordered().iter().map(|one| (one.reference.to_string(), one.detail.amount.minor())).collect();
        assert_eq!(listed, [("1", 5), ("2", 7), ("3", 50), ("5", 1)].map(|(name, minor)| (name.to_owned(), minor)));
        assert_eq!(outcome_of(&found, "A"), Outcome::Booked);
    }

    #[test]
    fn an_entry_counts_once_however_often_it_is_told() {
        let monday = statement(1, vec![with_status(entry("1", out("A", 100)), Status::Pending)]);
        let tuesday = statement(2, vec![entry("1", out("A", 100)), entry("2", out("Z", 1))]);
        let changed = statement(3, vec![entry("1", out("A", 101))]);
        let once = reconcile([&batch()], [&monday, &tuesday]).expect("comparable");
        assert_eq!(outcome_of(&once, "A"), Outcome::Booked);
        let again = once.clone().with(&tuesday).and_then(|found| found.with(&monday)).expect("comparable");
        assert_eq!(again, once);
        let contradicted = once.with(&changed).and_then(|found| found.with(&changed)).expect("comparable");
        assert_eq!(outcome_of(&contradicted, "A"), Outcome::Booked);
        let [found] = contradicted.contradictions() else { panic!("{contradicted:?}") };
        assert_eq!((found.first.amount, found.later.amount), (amount(100), amount(101)));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        assert!(reconcile([&batch(), &batch()], []).is_ok(), "the same batch twice");
        let other = Batch::new(ordered::head(), vec![ordered::transfer("A", Unit::EUR, 1)]).expect("a batch");
        let error = reconcile([&batch(), &other], []).expect_err("two orders of one name");
        assert_eq!(
            error.to_string(),
            "two different payouts are called \"A\"; one of the batches should never have been sent"
        );
        let account = Iban::new(ordered::IBANS[2]).expect("an account");
        let opening = head(1).opening;
        let foreign = Statement::new(StatementHead { account, ..head(1) }, opening.date, vec![]).expect("a statement");
        let error = reconcile([&batch()], [&foreign]).expect_err("another account");
        assert_eq!((error.blame(), error), (Blame::Caller, ReconcileError::Account(head(1).id)));
    }

    fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
        let one = (0..12u8, 1..9u64, any::<bool>(), 0..3u8);
        proptest::collection::vec(one, 0..30).prop_map(|drawn| {
            let mut entries = Vec::new();
            for (at, (id, hundreds, is_out, status)) in drawn.into_iter().enumerate() {
                let id = char::from(b'A' + id).to_string();
                let part = if is_out { out(&id, hundreds * 100) } else { given_back(&id, hundreds * 100, "AC04") };
                let status = [Status::Booked, Status::Pending, Status::Told][usize::from(status)];
                entries.push(with_status(entry(&format!("R{at:02}"), part), status));
            }
            entries
        })
    }

    proptest! {
        #[test]
        fn order_and_repetition_of_statements_change_nothing(
            entries in any_entries(), cut: prop::sample::Index, at: prop::sample::Index
        ) {
            let batch = batch();
            let whole = statement(1, entries.clone());
            let (front, back) = entries.split_at(cut.index(entries.len() + 1));
            let parts = [statement(2, front.to_vec()), statement(3, back.to_vec())];
            let expected = reconcile([&batch], [&whole]).expect("comparable");
            let again = &parts[at.index(2)];
            let found = reconcile([&batch], [again, &parts[1], &parts[0], again, &whole]).expect("comparable");
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn every_booked_cent_is_somewhere(entries in any_entries()) {
            let booked = |status: Status, detail: &Detail| {
                if status == Status::Booked { detail.side.signed(detail.amount) } else { 0 }
            };
            let total: i128 = entries.iter().map(|entry| booked(entry.status, &entry.details[0])).sum();
            let found = outcomes(entries);
            let mentioned = found.payouts().flat_map(|payout| &payout.mentions);
            let mentioned: i128 = mentioned.map(|mention| booked(mention.status, &mention.detail)).sum();
            let unordered: i128 = found.unordered().iter().map(|one| booked(Status::Booked, &one.detail)).sum();
            prop_assert_eq!(mentioned + unordered, total);
        }
    }
}
