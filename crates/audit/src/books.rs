//! The provider's books against the evidence: posting by posting, card by card, balance by balance, and R10.
//!
//! The ledger keeps accounts and moves value between them; here each check has one place where its value must be, and
//! sums are made of places. What the two have in common is the schema of the tables.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::judge::{Evidence, State, place};
use crate::numbers::{Book, book_name};
use crate::payees::{Fee, Paid};
use crate::reading::{Columns, Id, each, has_table, hex};
use crate::settlement::Periods;
use crate::verdicts::kind;
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap, HashSet};
use tegata_core::Hash;
use tegata_core::card::EventKind;
use tegata_core::talk::contract::Tender;

/// The accounts of R10, in the order of their number in the schema, which counts from 1.
pub(crate) const ACCOUNTS: [&str; 10] =
    ["issued", "waiting", "held", "in flight", "payable", "paid", "refunded", "expired", "disputed", "guarantor"];
const ISSUED: usize = 0;
const WAITING: usize = 1;
const HELD: usize = 2;
const IN_FLIGHT: usize = 3;
pub(crate) const PAYABLE: usize = 4;
pub(crate) const PAID: usize = 5;
const REFUNDED: usize = 6;
const DISPUTED: usize = 8;
pub(crate) const GUARANTOR: usize = 9;

/// Causes of postings, by their number in the schema.
const CAUSES: [&str; 17] = [
    "activated",
    "installed",
    "loaded",
    "spent",
    "claimed",
    "voided",
    "returned",
    "repaid",
    "paid out",
    "cleared",
    "sold",
    "withdrawn",
    "refunded",
    "disputed",
    "fee",
    "fee back",
    "came back",
];

/// The causes that mean something to the auditor.
pub(crate) mod cause {
    pub const PAID_OUT: u64 = 9;
    pub const FEE: u64 = 15;
    pub const FEE_BACK: u64 = 16;
    pub const CAME_BACK: u64 = 17;
}

/// Changes of accounts; sources count what left them.
pub(crate) type Sums = [i128; 10];

/// What the evidence comes to.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Per issuer and unit.
    pub books: BTreeMap<Book, Sums>,
    /// Per merchant, issuer and unit: payable and paid.
    pub merchants: BTreeMap<(Id, Book), (i128, i128)>,
    pub checks: u64,
}

/// One posting as recorded.
pub(crate) struct Posting {
    pub subject: Id,
    pub what: u64,
    pub reference: Hash,
    pub source: usize,
    pub target: usize,
    pub book: Book,
    pub party: Option<Id>,
    pub amount: i128,
    /// The period that it belongs to; 0: made before periods were stamped.
    pub period: u64,
}

impl Posting {
    fn read(row: &Columns<'_, '_>) -> rusqlite::Result<Self> {
        let side = |at| row.u64(at).map(|code| usize::try_from(code.wrapping_sub(1)).unwrap_or(usize::MAX).min(99));
        Ok(Self {
            subject: row.get(0)?,
            what: row.u64(1)?,
            reference: Hash(row.get(2)?),
            source: side(3)?,
            target: side(4)?,
            book: (row.get(5)?, row.get(6)?),
            party: row.get(7)?,
            amount: i128::from(row.get::<i64>(8)?),
            period: row.u64(9)?,
        })
    }
    fn name(&self) -> String {
        let cause = usize::try_from(self.what).ok().and_then(|at| CAUSES.get(at.wrapping_sub(1))).unwrap_or(&"?");
        let side = |at: usize| ACCOUNTS.get(at).unwrap_or(&"?");
        let (from, to) = (side(self.source), side(self.target));
        format!("posting {cause} {} from {from} to {to} of {}", self.reference, self.amount)
    }
}

/// A source counts what left it.
pub(crate) fn signed(side: usize, amount: i128) -> i128 {
    if side == ISSUED || side == GUARANTOR { -amount } else { amount }
}

/// Postings of one subject, folded: by reference what they moved.
#[derive(Default)]
struct Folded {
    moved: HashMap<Hash, Moved>,
    sums: Sums,
}

/// What postings of one reference moved.
#[derive(Clone, Debug, Default)]
struct Moved {
    /// Held less what the guarantor covers: the same whichever came first.
    net: i128,
    in_flight: i128,
    waiting: i128,
    /// Payable and paid together.
    merchants: i128,
    party: Option<Id>,
    other: i128,
    book: Book,
    name: String,
}

/// The comparison at work.
pub(crate) struct Books<'a> {
    pub evidence: &'a Evidence<'a>,
    pub connection: &'a Connection,
    pub totals: Totals,
    /// From the postings: per payee and book what was paid out, and what came off that.
    pub paid: HashMap<(Id, Book), Paid>,
    /// Fees less fees given back: as they should be, and as they were posted, by payee and payment.
    pub fees: BTreeMap<(Id, Hash), Fee>,
    /// What was posted in each period.
    periods: Periods,
    /// Checks of each card.
    checks: HashMap<Id, Vec<Hash>>,
    /// Calls of each card.
    calls: HashMap<Id, Vec<Hash>>,
    /// Cards that postings were found for.
    seen: HashMap<Id, Sums>,
    /// What each card holds, less what its guarantor covers; split between the two once all value is counted.
    nets: HashMap<Id, i128>,
    activated: HashMap<Hash, i128>,
    /// What was posted for each payment by credit, and in which books.
    cleared: HashMap<Hash, (Book, i128)>,
    /// What was posted as issued for each agreement to a purchase.
    issued: HashMap<Hash, (Book, i128)>,
    /// Refunds that were posted on the issuer's side.
    repaid: HashSet<Hash>,
    /// What was left on cards given back that was not paid by credit.
    disputed: HashMap<Id, i128>,
}

impl<'a> Books<'a> {
    /// Prepares the comparison.
    pub fn new(evidence: &'a Evidence<'a>, connection: &'a Connection) -> Self {
        let mut checks: HashMap<Id, Vec<Hash>> = HashMap::new();
        for (hash, event) in &evidence.facts.events {
            if event.signed.kind == EventKind::Spend {
                checks.entry(event.signed.card).or_default().push(*hash);
            }
        }
        for of_card in checks.values_mut() {
            of_card.sort_unstable();
        }
        let mut calls: HashMap<Id, Vec<Hash>> = HashMap::new();
        for (name, call) in &evidence.facts.calls {
            if let Some((card, _)) = call.life() {
                calls.entry(card).or_default().push(*name);
            }
        }
        Self {
            evidence,
            connection,
            totals: Totals::default(),
            paid: HashMap::new(),
            fees: BTreeMap::new(),
            periods: Periods::default(),
            checks,
            calls,
            seen: HashMap::new(),
            nets: HashMap::new(),
            activated: HashMap::new(),
            cleared: HashMap::new(),
            issued: HashMap::new(),
            repaid: HashSet::new(),
            disputed: HashMap::new(),
        }
    }

    /// Compares everything.
    pub fn compare(&mut self, findings: &mut Findings) -> Result<(), AuditError> {
        self.recompute();
        self.postings(findings)?;
        self.split();
        self.activations(findings);
        self.captures(findings);
        self.charged(findings);
        self.merchants(findings)?;
        self.cards(findings)?;
        self.claims(findings)?;
        self.events(findings)?;
        if has_table(self.connection, "tariff")? {
            self.evidence.call_rows(self.connection, findings)?;
        }
        self.balances(findings)?;
        self.trial_balances(findings)?;
        self.periods.compare(self.connection, self.evidence.contracts.provider, findings)
    }

    /// Sums over the places where value must be.
    fn recompute(&mut self) {
        for (book, issued) in &self.evidence.numbers.issued {
            let sums = self.totals.books.entry(*book).or_default();
            sums[ISSUED] += i128::from(*issued);
            sums[WAITING] += i128::from(*issued);
        }
        let (credit, sold) = (self.evidence.credit, self.evidence.sold);
        for back in sold.back.values().filter(|back| back.done) {
            let amount = i128::from(back.amount);
            let sums = self.totals.books.entry(back.book).or_default();
            sums[PAYABLE] -= amount;
            sums[REFUNDED] += amount;
            self.totals.merchants.entry((back.issuer, back.book)).or_default().0 -= amount;
        }
        for (reference, captured) in credit.captured.iter().chain(&sold.captured) {
            let (payee, tender) = (captured.merchant, Tender::Credit);
            // What was paid back, in whole or in part, has its fee back.
            if !sold.undone.contains(reference) {
                self.fee((payee, *reference), captured.book, tender, captured.at, captured.amount);
            }
            let amount = i128::from(captured.amount);
            let sums = self.totals.books.entry(captured.book).or_default();
            sums[ISSUED] += amount;
            sums[PAYABLE] += amount;
            self.totals.merchants.entry((captured.merchant, captured.book)).or_default().0 += amount;
        }
        let mut charged = Vec::new();
        for (id, card) in &self.evidence.cards.cards {
            let mut net = i128::from(card.put);
            self.totals.books.entry(card.book).or_default()[WAITING] -= net;
            for hash in self.checks.get(id).into_iter().flatten() {
                let Some(event) = self.evidence.facts.events.get(hash) else { continue };
                let amount = i128::from(event.signed.amount);
                self.totals.checks += 1;
                let sums = self.totals.books.entry(card.book).or_default();
                match self.evidence.state(hash, event) {
                    State::Nothing | State::Back => continue,
                    State::InFlight => sums[IN_FLIGHT] += amount,
                    State::Payable(merchant) => {
                        sums[PAYABLE] += amount;
                        self.totals.merchants.entry((merchant, card.book)).or_default().0 += amount;
                        let (at, amount) = (event.arrival.at, event.signed.amount);
                        charged.push(((merchant, *hash), card.book, at, amount));
                    }
                }
                net -= amount;
            }
            for name in self.calls.get(id).into_iter().flatten() {
                let Some(call) = self.evidence.facts.calls.get(name) else { continue };
                self.totals.checks += 1;
                let places = self.evidence.places(call);
                let sums = self.totals.books.entry(card.book).or_default();
                net += places.net;
                sums[IN_FLIGHT] += places.in_flight;
                if let Some((merchant, used)) = places.payable {
                    sums[PAYABLE] += i128::from(used);
                    self.totals.merchants.entry((merchant, card.book)).or_default().0 += i128::from(used);
                    let at = call.claim.map_or(0, |claim| claim.arrival.at);
                    charged.push(((merchant, *name), card.book, at, used));
                }
            }
            net -= self.given_back(id, card);
            self.nets.insert(*id, net);
        }
        for (payment, book, at, amount) in charged {
            self.fee(payment, book, Tender::Cards, at, amount);
        }
    }

    /// What left a card that its own key gave back: to the bank card, and what was not paid by credit into dispute.
    fn given_back(&mut self, id: &Id, card: &crate::cards::Card) -> i128 {
        let back: i128 = refunds(self.evidence, id).map(|(_, back)| i128::from(back.of_card)).sum();
        let disputed = self.evidence.sold.settled.get(id).map_or(0, |(_, left)| i128::from(*left));
        let sums = self.totals.books.entry(card.book).or_default();
        sums[REFUNDED] += back;
        sums[DISPUTED] += disputed;
        if disputed > 0 {
            self.disputed.insert(*id, disputed);
        }
        back + disputed
    }

    /// Value that came to a card repays its guarantor first, whenever it came (R9): also what a restored provider took
    /// back in (R15). So held and guarantor are told apart only when a card's value is complete.
    fn split(&mut self) {
        for (id, net) in &self.nets {
            let Some(card) = self.evidence.cards.cards.get(id) else { continue };
            let sums = self.totals.books.entry(card.book).or_default();
            sums[HELD] += (*net).max(0);
            sums[GUARANTOR] += (-net).max(0);
        }
    }

    /// Every posting must have its evidence, and all evidence its postings.
    fn postings(&mut self, findings: &mut Findings) -> Result<(), AuditError> {
        let period = if has_table(self.connection, "position")? { "period" } else { "0" };
        let sql = format!(
            "SELECT subject, what, reference, source, target, issuer, unit, party, amount, {period}
             FROM posting ORDER BY subject, what, reference, source"
        );
        let mut subject: Option<Id> = None;
        let mut folded = Folded::default();
        let connection = self.connection;
        each(connection, &sql, [], |row| {
            let posting = Posting::read(row)?;
            if subject.is_some_and(|subject| subject != posting.subject) {
                let before = std::mem::take(&mut folded);
                self.subject(subject.unwrap_or_default(), before, findings);
            }
            subject = Some(posting.subject);
            self.fold(&mut folded, &posting, findings);
            Ok(())
        })?;
        if let Some(subject) = subject {
            self.subject(subject, folded, findings);
        }
        let mut unposted: Vec<&Id> =
            self.evidence.cards.cards.keys().filter(|id| !self.seen.contains_key(*id)).collect();
        unposted.sort_unstable();
        for id in unposted.into_iter().copied().collect::<Vec<_>>() {
            self.subject(id, Folded::default(), findings);
        }
        Ok(())
    }

    fn fold(&mut self, folded: &mut Folded, posting: &Posting, findings: &mut Findings) {
        let card = self.evidence.cards.cards.get(&posting.subject);
        let own = card.is_none_or(|card| card.book == posting.book);
        let is_fee = matches!(posting.what, cause::FEE | cause::FEE_BACK) && card.is_none();
        let fee_sides = [posting.source, posting.target].iter().all(|side| matches!(*side, PAYABLE | PAID));
        let apart = if is_fee { fee_sides } else { posting.source != posting.target };
        let sides = posting.source < 10 && posting.target < 10 && apart;
        findings.expect(own && sides && posting.amount > 0, What::Posting, || {
            let about = format!("the books of {}", book_name(&posting.book));
            (about, "no such movement", posting.name(), posting.name())
        });
        if !sides {
            return;
        }
        self.periods.add(posting, self.evidence.contracts.provider);
        if is_fee {
            return self.fold_fee(posting);
        }
        let moved = folded.moved.entry(posting.reference).or_default();
        for (side, amount) in [(posting.source, -posting.amount), (posting.target, posting.amount)] {
            folded.sums[side] += signed(side, amount);
            match side {
                HELD | GUARANTOR => moved.net += amount,
                IN_FLIGHT => moved.in_flight += amount,
                WAITING => moved.waiting += amount,
                PAYABLE | PAID => {
                    moved.merchants += amount;
                    moved.party = posting.party;
                }
                ISSUED => {}
                _ => moved.other += amount,
            }
        }
        moved.book = posting.book;
        if moved.name.is_empty() {
            moved.name = posting.name();
        }
        if let Some(party) = posting.party {
            let paid = self.paid.entry((party, posting.book)).or_default();
            match posting.what {
                cause::PAID_OUT => paid.out += posting.amount,
                cause::CAME_BACK => paid.back += posting.amount,
                _ if posting.source == PAID && posting.target != PAYABLE => paid.taken += posting.amount,
                _ => {}
            }
        }
    }

    /// All postings of one card, issuer or merchant.
    fn subject(&mut self, subject: Id, folded: Folded, findings: &mut Findings) {
        if self.evidence.cards.cards.contains_key(&subject) {
            self.card(subject, folded, findings);
            return;
        }
        for (reference, moved) in folded.moved {
            if let Some((book, _)) = self.evidence.numbers.activations.get(&reference)
                && book.0 == subject
            {
                *self.activated.entry(reference).or_default() += moved.waiting;
                continue;
            }
            let (credit, sold) = (self.evidence.credit, self.evidence.sold);
            let captured = credit.captured.get(&reference).or(sold.captured.get(&reference));
            if captured.is_some_and(|captured| captured.merchant == subject) {
                self.cleared.insert(reference, (moved.book, moved.merchants));
                continue;
            }
            if sold.issued.get(&reference).is_some_and(|(book, _)| book.0 == subject) {
                self.issued.insert(reference, (moved.book, moved.waiting));
                continue;
            }
            if let Some(back) = sold.back.get(&reference).filter(|back| back.done && back.issuer == subject) {
                let amount = i128::from(back.amount);
                let fits = (moved.book, moved.merchants, moved.other) == (back.book, -amount, amount);
                findings.expect(fits, What::Posting, || {
                    let about = format!("refunded by issuer {}", hex(&subject));
                    (about, format!("{amount} paid back"), said(moved.other), moved.name.clone())
                });
                self.repaid.insert(reference);
                continue;
            }
            let payout = moved.merchants == 0 && moved.party == Some(subject) && moved.net == 0;
            findings.expect(payout && moved.waiting == 0 && moved.in_flight == 0, What::Posting, || {
                let about = format!("the books of {}", hex(&subject));
                (about, "nothing signed for it", moved.name.clone(), moved.name.clone())
            });
        }
    }

    fn card(&mut self, id: Id, mut folded: Folded, findings: &mut Findings) {
        let Some(card) = self.evidence.cards.cards.get(&id) else { return };
        let about = |account: &str| format!("{account} of card-{}", hex(&id));
        for source in &card.sources {
            let moved = folded.moved.remove(&source.reference).unwrap_or_default();
            let amount = i128::from(source.amount);
            let fits = (moved.net, moved.waiting) == (amount, -amount) && moved.in_flight == 0 && moved.merchants == 0;
            findings.expect(fits, What::Posting, || {
                let evidence = format!("{amount} by number or load {}", source.reference);
                (about("held"), evidence, said(moved.net), nearest(&moved, "its install or load"))
            });
        }
        self.evidence.generations(&id, self.checks.get(&id).map_or(&[], Vec::as_slice), findings);
        for hash in self.checks.get(&id).into_iter().flatten() {
            let Some(event) = self.evidence.facts.events.get(hash) else { continue };
            let amount = i128::from(event.signed.amount);
            let moved = folded.moved.remove(hash).unwrap_or_default();
            let state = self.evidence.state(hash, event);
            let (net, in_flight, merchants, party) = match state {
                State::Nothing | State::Back => (0, 0, 0, None),
                State::InFlight => (-amount, amount, 0, None),
                State::Payable(merchant) => (-amount, 0, amount, Some(merchant)),
            };
            let same_party = merchants == 0 || moved.party == party;
            let fits = (moved.net, moved.in_flight, moved.merchants, moved.waiting, moved.other)
                == (net, in_flight, merchants, 0, 0);
            findings.expect(fits && same_party, What::Posting, || {
                let (account, evidence, ledger) = if moved.merchants != merchants || !same_party {
                    let merchant = self.evidence.trust.merchant(&event.terminal).unwrap_or_default();
                    (format!("payable to merchant {}", hex(&merchant)), merchants, moved.merchants)
                } else if moved.in_flight != in_flight {
                    (about("in flight"), in_flight, moved.in_flight)
                } else {
                    (about("held"), net, moved.net)
                };
                let evidence = format!("{evidence} for check {hash} ({})", why(state, event.claim.is_some()));
                (account, evidence, said(ledger), format!("{}; {}", place(event), nearest(&moved, "that check")))
            });
        }
        for name in self.calls.get(&id).into_iter().flatten() {
            let Some(call) = self.evidence.facts.calls.get(name) else { continue };
            let places = self.evidence.places(call);
            let moved = folded.moved.remove(name).unwrap_or_default();
            let (party, used) = places.payable.map_or((None, 0), |(party, used)| (Some(party), i128::from(used)));
            let same_party = used == 0 || moved.party == party;
            let fits = (moved.net, moved.in_flight, moved.merchants, moved.waiting, moved.other)
                == (places.net, places.in_flight, used, 0, 0);
            findings.expect(fits && same_party, What::Posting, || {
                let evidence =
                    format!("{} held, {} in flight, {used} payable for call {name}", places.net, places.in_flight);
                let ledger = format!("{}, {}, {}", moved.net, moved.in_flight, moved.merchants);
                (about("a call"), evidence, ledger, nearest(&moved, "that call"))
            });
        }
        self.surrendered(&id, &mut folded, findings);
        self.rest(&id, &mut folded, findings);
        self.seen.insert(id, folded.sums);
    }

    /// A card pays back only what its own key gave back, or what a change of its event did.
    fn surrendered(&mut self, id: &Id, folded: &mut Folded, findings: &mut Findings) {
        let refunds: Vec<_> = refunds(self.evidence, id).map(|(reference, back)| (*reference, back.of_card)).collect();
        let last = |generation: &u64| Some(self.evidence.facts.surrendered.get(&(*id, *generation))?.1);
        let last = match self.evidence.sold.settled.get(id) {
            Some((generation, _)) => last(generation),
            None if refunds.is_empty() => None,
            // Not at its end yet: what goes back already does for some generation of it.
            None => {
                self.evidence.facts.surrendered.iter().find(|((card, _), _)| card == id).map(|(_, (_, last))| *last)
            }
        };
        let given_back = self.evidence.sold.settled.contains_key(id) || !refunds.is_empty();
        // Paid back before its key had signed anything: what could not be is named by no event.
        let undone = self.evidence.changes.has_undone(id);
        let unsigned = undone && (last.is_none() || folded.moved.contains_key(&Hash::ZERO));
        let last = if unsigned { Some(Hash::ZERO) } else { last };
        findings.expect(last.is_some() || !given_back, What::Card, || {
            let nearest = "its row of table surrender".to_owned();
            (format!("card-{}", hex(id)), "no last event by its own key", "given back", nearest)
        });
        let mut expect = |folded: &mut Folded, reference: Hash, amount: i128| {
            let moved = folded.moved.remove(&reference).unwrap_or_default();
            let fits = (moved.net, moved.other, moved.waiting, moved.merchants) == (-amount, amount, 0, 0);
            findings.expect(fits, What::Posting, || {
                let about = format!("refunded of card-{}", hex(id));
                (about, format!("{amount}"), said(moved.other), nearest(&moved, "its refund"))
            });
        };
        refunds.into_iter().for_each(|(reference, amount)| expect(folded, reference, i128::from(amount)));
        if let (Some(last), Some(disputed)) = (last, self.disputed.get(id)) {
            // What came back to it later went into dispute after that.
            let later = (1..).map(|again: u64| Hash::of(&[last.0.as_slice(), &again.to_be_bytes()].concat()));
            let mut first = *disputed;
            for later in later {
                let Some(moved) = folded.moved.get(&later) else { break };
                let amount = moved.other;
                first -= amount;
                expect(folded, later, amount);
            }
            if first != 0 {
                expect(folded, last, first);
            }
        }
    }

    /// What is left when install, loads and checks are taken out: repayments, which move nothing in sum, and loads that
    /// a restored provider took back in.
    fn rest(&mut self, id: &Id, folded: &mut Folded, findings: &mut Findings) {
        let restored = self.evidence.verdicts.about(id).iter().any(|found| found.kind == kind::RESTORED);
        for (reference, moved) in folded.moved.drain() {
            let nothing = (moved.net, moved.in_flight, moved.merchants, moved.waiting, moved.other) == (0, 0, 0, 0, 0);
            let load = self.evidence.cards.loads.get(&reference).filter(|load| load.card == *id && !load.bought);
            let back_in = restored
                && load.is_some_and(|load| {
                    (0..=i128::from(load.amount)).contains(&moved.net) && moved.waiting == -moved.net
                });
            if back_in && let Some(card) = self.evidence.cards.cards.get(id) {
                self.totals.books.entry(card.book).or_default()[WAITING] += moved.waiting;
                *self.nets.entry(*id).or_default() += moved.net;
            }
            findings.expect(nothing || back_in, What::Posting, || {
                let (about, ledger) = if moved.merchants == 0 {
                    (format!("held of card-{}", hex(id)), moved.net)
                } else {
                    (format!("payable to merchant {}", hex(&moved.party.unwrap_or_default())), moved.merchants)
                };
                (about, "nothing signed for it", said(ledger), moved.name.clone())
            });
        }
    }

    fn activations(&self, findings: &mut Findings) {
        for (hash, (book, value)) in &self.evidence.numbers.activations {
            let posted = self.activated.get(hash).copied().unwrap_or(0);
            findings.expect(posted == i128::from(*value), What::Posting, || {
                let evidence = format!("{value} activated by activation {hash}");
                (format!("waiting of {}", book_name(book)), evidence, said(posted), format!("posting activated {hash}"))
            });
        }
    }

    /// Every captured amount is owed to its merchant, once.
    fn captures(&self, findings: &mut Findings) {
        let sold = self.evidence.sold;
        for (agreed, (book, face)) in &sold.issued {
            let posted = self.issued.get(agreed).copied().unwrap_or((*book, 0));
            findings.expect(posted == (*book, i128::from(*face)), What::Posting, || {
                let about = format!("waiting of {}", book_name(book));
                (
                    about,
                    format!("{face} issued for agreement {agreed}"),
                    said(posted.1),
                    format!("posting sold {agreed}"),
                )
            });
        }
        for (reference, back) in sold.back.iter().filter(|(_, back)| back.done && back.amount > 0) {
            findings.expect(self.repaid.contains(reference), What::Posting, || {
                let about = format!("refunded by issuer {}", hex(&back.issuer));
                (about, format!("{} paid back", back.amount), said(0), format!("posting refunded {reference}"))
            });
        }
        for (offer, captured) in self.evidence.credit.captured.iter().chain(&sold.captured) {
            let amount = i128::from(captured.amount);
            let posted = self.cleared.get(offer).copied();
            findings.expect(posted == Some((captured.book, amount)), What::Posting, || {
                let about = format!("payable to merchant {}", hex(&captured.merchant));
                let evidence = format!("{amount} captured for offer {offer}");
                (about, evidence, said(posted.map_or(0, |(_, moved)| moved)), format!("posting cleared {offer}"))
            });
        }
    }

    /// Card rows: balances against postings and evidence, and where the chain stands.
    fn cards(&mut self, findings: &mut Findings) -> Result<(), AuditError> {
        let sql = "SELECT card, issuer, unit, generation, seq, head, remaining, last_load, held, in_flight, covered
            FROM card ORDER BY card";
        let mut rows = 0usize;
        each(self.connection, sql, [], |row| {
            let id: Id = row.get(0)?;
            let Some(card) = self.evidence.cards.cards.get(&id) else { return Ok(()) };
            rows += 1;
            let place = || "its row of table card".to_owned();
            let sums = self.seen.get(&id).copied().unwrap_or_default();
            for (side, at) in [(HELD, 8), (IN_FLIGHT, 9), (GUARANTOR, 10)] {
                let balance = i128::from(row.get::<i64>(at)?);
                findings.expect(balance == sums[side], What::Balance, || {
                    let about = format!("{} of card-{}", ACCOUNTS[side], hex(&id));
                    (about, format!("{} by its postings", sums[side]), format!("{balance}"), place())
                });
            }
            let (held, covered) = (sums[HELD], sums[GUARANTOR]);
            findings.expect(held >= 0 && covered >= 0 && (held == 0 || covered == 0), What::Balance, || {
                let about = format!("guarantor of card-{}", hex(&id));
                let ledger = format!("{held} held beside {covered} covered");
                (about, "that value on a card repays its guarantor first", ledger, place())
            });
            let Some(current) = card.current() else { return Ok(()) };
            let chain = self.evidence.facts.chains.get(&(id, current.number));
            let expected = chain.map_or((current.seq, Hash::ZERO, current.remaining, current.last_load), |chain| {
                (chain.seq, chain.head, chain.remaining, chain.load)
            });
            let found = (row.u64(4)?, Hash(row.get(5)?), row.u64(6)?, row.u64(7)?);
            let book = (row.get::<Id>(1)?, row.get::<u16>(2)?);
            let fits = expected == found && row.u64(3)? == current.number && book == card.book;
            findings.expect(fits, What::Row, || {
                let (seq, _, remaining, load) = expected;
                let evidence = format!("{remaining} after event {seq} and load {load}, generation {}", current.number);
                let ledger = format!("{} after event {} and load {}", found.2, found.0, found.3);
                let nearest = chain.and_then(|chain| chain.place).map_or_else(place, |at| at.to_string());
                (format!("where card-{} stands", hex(&id)), evidence, ledger, nearest)
            });
            Ok(())
        })?;
        findings.expect(rows == self.evidence.cards.cards.len(), What::Row, || {
            let evidence = format!("{} cards", self.evidence.cards.cards.len());
            ("the cards".to_owned(), evidence, format!("{rows}"), "table card".to_owned())
        });
        Ok(())
    }

    /// What statements are made of: the ends of charges.
    fn claims(&self, findings: &mut Findings) -> Result<(), AuditError> {
        let sql = "SELECT terminal, transaction_number, charge, state, entry, merchant, unit, amount, check_hash, card
            FROM claim ORDER BY terminal, transaction_number, charge";
        let facts = self.evidence.facts;
        let mut paid = HashSet::new();
        each(self.connection, sql, [], |row| {
            let (terminal, transaction, charge) = (row.get::<Id>(0)?, row.u64(1)?, Hash(row.get(2)?));
            let state = row.u64(3)?;
            if facts.calls.contains_key(&charge) {
                return Ok(());
            }
            let check = row.get::<Option<[u8; 32]>>(8)?.map(Hash);
            let event = check.and_then(|check| facts.events.get(&check).map(|event| (check, event)));
            let expected = match event {
                Some((check, event)) if event.claim.is_some() && event.charge == charge => {
                    match self.evidence.state(&check, event) {
                        State::Payable(_) => 1,
                        _ if facts.ended(&check, event) || event.back.is_some() => 3,
                        _ => 4,
                    }
                }
                Some(_) => 0,
                None if self.malformed(row.get(9)?, check) => state,
                None if facts.charges.get(&charge).is_some_and(|ended| ended.closed.is_some()) => 2,
                None => 0,
            };
            let unit = row.get::<u16>(6)?;
            let columns = event.is_none_or(|(_, event)| {
                let card = self.evidence.cards.cards.get(&event.signed.card);
                event.signed.amount == row.u64(7).unwrap_or(u64::MAX)
                    && event.claim.map(|claim| claim.number) == row.opt_u64(4).ok().flatten()
                    && self.evidence.trust.merchant(&terminal) == row.get(5).ok()
                    && card.is_some_and(|card| card.book.1 == unit)
            });
            // A void of a refused claim may be recorded as either.
            let ended = matches!((expected, state), (3, 4));
            paid.extend(check.filter(|_| state == 1));
            findings.expect((expected == state || ended) && columns, What::Row, || {
                let about = format!("the claim of transaction {transaction} of dev-{}", hex(&terminal));
                let ends = ["no such claim", "paid", "closed", "voided", "refused"];
                let name = |state: u64| usize::try_from(state).ok().and_then(|at| ends.get(at)).unwrap_or(&"?");
                let amount = |amount: u64| format!(" over {amount}");
                let evidence = event.map_or(String::new(), |(_, event)| amount(event.signed.amount));
                let ledger = format!("{}{}", name(state), amount(row.u64(7).unwrap_or(0)));
                let nearest = event.map_or("its row of table claim".into(), |(_, event)| place(event));
                (about, format!("{}{evidence}", name(expected)), ledger, nearest)
            });
            Ok(())
        })?;
        let claims = facts.events.iter().filter(|(hash, event)| {
            event.signed.kind == EventKind::Spend && matches!(self.evidence.state(hash, event), State::Payable(_))
        });
        self.missing("claim", claims.map(|(hash, _)| hash).collect(), &paid, findings);
        Ok(())
    }

    fn malformed(&self, card: Option<Id>, check: Option<Hash>) -> bool {
        card.zip(check).is_some_and(|(card, check)| self.evidence.verdicts.has(&card, &check, kind::MALFORMED))
    }

    /// Evidence of which the provider's table has no row.
    fn missing(&self, table: &str, mut hashes: Vec<&Hash>, seen: &HashSet<Hash>, findings: &mut Findings) {
        hashes.retain(|hash| !seen.contains(*hash));
        hashes.sort_unstable();
        findings.expect(hashes.is_empty(), What::Row, || {
            let event = hashes.first().and_then(|hash| self.evidence.facts.events.get(hash));
            let (card, seq) = event.map_or(([0; 16], 0), |event| (event.signed.card, event.signed.seq));
            let evidence = event.map_or(String::new(), |event| event.signed.amount.to_string());
            let about = format!("event {seq} of card-{}", hex(&card));
            (about, evidence, format!("no row of it in table {table}"), event.map_or(String::new(), place))
        });
    }

    /// Where each event stands.
    fn events(&self, findings: &mut Findings) -> Result<(), AuditError> {
        let sql = "SELECT card, generation, seq, hash, kind, amount, remaining, state, wallet_entry, terminal_entry
            FROM event ORDER BY card, generation, seq";
        let facts = self.evidence.facts;
        let mut rows = HashSet::new();
        each(self.connection, sql, [], |row| {
            let (card, hash, state) = (row.get::<Id>(0)?, Hash(row.get(3)?), row.u64(7)?);
            if row.u64(4)? == EventKind::Session.code() {
                return Ok(());
            }
            let Some(event) = facts.events.get(&hash) else {
                let shown = self.evidence.verdicts.has(&card, &hash, kind::MALFORMED);
                findings.expect(shown, What::Row, || {
                    let about = format!("event {hash} of card-{}", hex(&card));
                    (about, "no such event", "an event", "its row of table event".to_owned())
                });
                return Ok(());
            };
            rows.insert(hash);
            let expected = match (event.signed.kind, self.evidence.state(&hash, event)) {
                (EventKind::Spend, State::Payable(_)) => 2,
                (EventKind::Spend, State::Back) => 4,
                (EventKind::Spend, State::InFlight) if facts.ended(&hash, event) => 3,
                (EventKind::Spend, _) if self.evidence.verdicts.refused.contains(&hash) => 5,
                (EventKind::Spend, _) => 1,
                _ => 6,
            };
            let refused = self.evidence.verdicts.refused.contains(&hash) && matches!(state, 1 | 3 | 5);
            let signed = &event.signed;
            let fits =
                (signed.card, signed.generation, signed.seq, signed.kind.code(), signed.amount, signed.remaining)
                    == (card, row.u64(1)?, row.u64(2)?, row.u64(4)?, row.u64(5)?, row.u64(6)?)
                    && (expected == state || refused)
                    && event.wallet.map(|place| place.number) == row.opt_u64(8)?;
            findings.expect(fits, What::Row, || {
                let names = ["?", "in flight", "claimed", "ended", "returned", "refused", "taken up"];
                let name = |state: u64| usize::try_from(state).ok().and_then(|at| names.get(at)).unwrap_or(&"?");
                let evidence = format!("{} over {}, {} remain", name(expected), signed.amount, signed.remaining);
                let (amount, remaining) = (row.u64(5).unwrap_or(0), row.u64(6).unwrap_or(0));
                let ledger = format!("{} over {amount}, {remaining} remain", name(state));
                (format!("event {} of card-{}", signed.seq, hex(&card)), evidence, ledger, place(event))
            });
            Ok(())
        })?;
        // A check that came second for its charge, or after its close, has no row unless its wallet recorded it.
        let events = facts.events.iter().filter(|(_, event)| event.wallet.is_some() || !event.conflict);
        self.missing("event", events.map(|(hash, _)| hash).collect(), &rows, findings);
        Ok(())
    }

    /// Balances of merchants and sums over all accounts.
    fn balances(&self, findings: &mut Findings) -> Result<(), AuditError> {
        let mut found: HashMap<(Book, usize, Vec<u8>), i128> = HashMap::new();
        each(self.connection, "SELECT issuer, unit, kind, party, amount FROM balance", [], |row| {
            let side = usize::try_from(row.u64(2)?.wrapping_sub(1)).unwrap_or(99);
            let key = ((row.get::<Id>(0)?, row.get::<u16>(1)?), side, row.get::<Vec<u8>>(3)?);
            found.insert(key, i128::from(row.get::<i64>(4)?));
            Ok(())
        })?;
        let place = || "its row of table balance".to_owned();
        for ((merchant, book), (payable, paid)) in &self.totals.merchants {
            for (side, evidence) in [(PAYABLE, payable), (PAID, paid)] {
                let ledger = found.remove(&(*book, side, merchant.to_vec())).unwrap_or(0);
                findings.expect(ledger == *evidence, What::Balance, || {
                    let about = format!("{} to merchant {} of {}", ACCOUNTS[side], hex(merchant), book_name(book));
                    (about, format!("{evidence}"), format!("{ledger}"), place())
                });
            }
        }
        for (book, sums) in &self.totals.books {
            for (side, evidence) in sums.iter().enumerate() {
                let ledger = found.remove(&(*book, side, Vec::new())).unwrap_or(0);
                findings.expect(ledger == *evidence, What::Balance, || {
                    let about = format!("{} of {}", ACCOUNTS[side], book_name(book));
                    (about, format!("{evidence}"), format!("{ledger}"), place())
                });
            }
            equation(sums, || format!("the equation of {}", book_name(book)), "the sums over the evidence", findings);
        }
        for ((book, side, party), ledger) in found.into_iter().filter(|(_, amount)| *amount != 0) {
            findings.expect(false, What::Balance, || {
                let side = ACCOUNTS.get(side).unwrap_or(&"?");
                let about = format!("{side} of {} {}", book_name(&book), hex(&party));
                (about, "0".to_owned(), format!("{ledger}"), place())
            });
        }
        Ok(())
    }

    /// The closing balances of past periods cannot be made again, but must hold R10.
    fn trial_balances(&self, findings: &mut Findings) -> Result<(), AuditError> {
        let mut periods: BTreeMap<(u64, Book), Sums> = BTreeMap::new();
        each(self.connection, "SELECT period, issuer, unit, kind, amount FROM trial_balance", [], |row| {
            let sums = periods.entry((row.u64(0)?, (row.get(1)?, row.get(2)?))).or_default();
            if let Some(sum) = usize::try_from(row.u64(3)?).ok().and_then(|code| sums.get_mut(code.wrapping_sub(1))) {
                *sum += i128::from(row.get::<i64>(4)?);
            }
            Ok(())
        })?;
        for ((period, book), sums) in &periods {
            let about = || format!("the trial balance of period {period} of {}", book_name(book));
            equation(sums, about, "its rows of table trial_balance", findings);
        }
        Ok(())
    }
}

/// R10: issued = waiting + held + in flight + payable + paid + refunded + expired + disputed - guarantors.
fn equation(sums: &Sums, about: impl FnOnce() -> String, nearest: &str, findings: &mut Findings) {
    let left = sums[ISSUED] + sums[GUARANTOR];
    let right: i128 = sums[WAITING..GUARANTOR].iter().sum();
    findings.expect(left == right, What::Equation, || {
        (about(), format!("{left} issued and guaranteed"), format!("{right} accounted for"), nearest.to_owned())
    });
}

fn why(state: State, claimed: bool) -> &'static str {
    match (state, claimed) {
        (State::Nothing, _) => "its claim does not count",
        (State::InFlight, false) => "signed by the wallet, not claimed",
        (State::InFlight, true) => "its claim has ended",
        (State::Payable(_), _) => "claimed by the terminal",
        (State::Back, _) => "taken back by the wallet",
    }
}

pub(crate) fn said(amount: i128) -> String {
    if amount == 0 { "nothing".to_owned() } else { amount.to_string() }
}

fn nearest(moved: &Moved, missing: &str) -> String {
    if moved.name.is_empty() { format!("no posting for {missing}") } else { moved.name.clone() }
}

/// The refunds of one card.
fn refunds<'a>(evidence: &Evidence<'a>, card: &Id) -> impl Iterator<Item = (&'a Hash, &'a crate::sold::Back)> {
    let card = *card;
    evidence.sold.back.iter().filter(move |(_, back)| back.card == Some(card))
}
