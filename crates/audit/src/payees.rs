//! Payees: the fee on each of their payments, and what they were paid out.

use crate::AuditError;
use crate::books::{Books, PAID, PAYABLE, Posting, cause, said};
use crate::difference::{Findings, What};
use crate::numbers::{Book, book_name};
use crate::reading::{Id, each, has_table, hex, unit_name};
use std::collections::BTreeMap;
use tegata_core::Hash;
use tegata_core::talk::contract::Tender;

/// What was paid out to a payee, what undoing took back from it, and what the bank gave back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paid {
    pub out: i128,
    pub taken: i128,
    pub back: i128,
}

/// The fee on one payment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fee {
    book: Book,
    evidence: i128,
    posted: i128,
    /// Its postings are between other accounts than its own, or in other books than the payment.
    misplaced: bool,
}

impl Books<'_> {
    /// The fee on a payment that stands: by the payee's contract at the moment of its arrival, from the payee to the provider.
    pub fn fee(&mut self, (payee, reference): (Id, Hash), book: Book, tender: Tender, at: u64, amount: u64) {
        let contracts = self.evidence.contracts;
        let fee = contracts.fee(payee, (tender, book.1), at, amount);
        if fee > 0 {
            self.fees.insert((payee, reference), Fee { book, evidence: fee, ..Fee::default() });
            self.totals.merchants.entry((payee, book)).or_default().0 -= fee;
            self.totals.merchants.entry((contracts.provider, book)).or_default().0 += fee;
        }
    }

    /// A fee, or one given back: both are postings of who pays the fee, between it and the provider.
    pub fn fold_fee(&mut self, posting: &Posting) {
        let provider = self.evidence.contracts.provider;
        let (to, sign) = if posting.what == cause::FEE { (provider, 1) } else { (posting.subject, -1) };
        let fee = self.fees.entry((posting.subject, posting.reference)).or_default();
        if fee.evidence == 0 {
            fee.book = posting.book;
        }
        fee.posted += sign * posting.amount;
        fee.misplaced |= fee.book != posting.book || posting.party != Some(to) || posting.target != PAYABLE;
        if posting.source == PAID {
            // Only what was paid out to the provider itself is taken back from there.
            fee.misplaced |= posting.what == cause::FEE;
            self.paid.entry((provider, posting.book)).or_default().taken += posting.amount;
        }
    }

    /// Every payment that stands has the fee of its payee's contract, every other none.
    pub fn charged(&self, findings: &mut Findings) {
        for ((payee, reference), fee) in &self.fees {
            findings.expect(fee.evidence == fee.posted && !fee.misplaced, What::Posting, || {
                let about = format!("the fee of party-{} on payment {reference}", hex(payee));
                let place = if fee.misplaced { ", between other accounts than its own" } else { "" };
                let ledger = format!("{}{place}", said(fee.posted));
                (about, said(fee.evidence), ledger, format!("posting fee {reference} of {}", book_name(&fee.book)))
            });
        }
    }

    /// What was paid out comes from the postings. In sum over a payee's books it is what its payouts say, but for what was
    /// undone since: that is set off against what follows.
    pub fn merchants(&mut self, findings: &mut Findings) -> Result<(), AuditError> {
        let mut units: BTreeMap<(Id, u16), (i128, Paid)> = BTreeMap::new();
        let standing = if has_table(self.connection, "transfer")? {
            "SELECT merchant, payout.unit, payout.amount FROM payout LEFT JOIN transfer
             ON transfer.period = payout.period AND party = merchant AND transfer.unit = payout.unit WHERE back IS NULL"
        } else {
            "SELECT merchant, unit, amount FROM payout"
        };
        each(self.connection, standing, [], |row| {
            let key = (row.get::<Id>(0)?, row.get::<u16>(1)?);
            units.entry(key).or_default().0 += i128::from(row.get::<i64>(2)?);
            Ok(())
        })?;
        for (key, paid) in &self.paid {
            self.totals.merchants.entry(*key).or_default();
            let of = &mut units.entry((key.0, key.1.1)).or_default().1;
            *of = Paid { out: of.out + paid.out, taken: of.taken + paid.taken, back: of.back + paid.back };
        }
        for ((party, unit), (recorded, Paid { out, taken, back })) in &units {
            let paid = out - taken - back;
            findings.expect((paid..=paid + taken).contains(recorded), What::Balance, || {
                let about = format!("paid to merchant {} in {}", hex(party), unit_name(*unit));
                (about, format!("{recorded} by its payouts"), format!("{paid}"), "its rows of table payout".to_owned())
            });
        }
        for (key, (payable, paid)) in &mut self.totals.merchants {
            let Paid { out, taken, back } = self.paid.get(key).copied().unwrap_or_default();
            *paid = out - taken - back;
            *payable -= *paid;
            let sums = self.totals.books.entry(key.1).or_default();
            sums[PAYABLE] -= *paid;
            sums[PAID] += *paid;
        }
        Ok(())
    }
}
