//! The operator's side of settlement: contracts, periods, orders for the bank, and its statements. What it asks of the provider
//! may be lost on the way there or back, and the provider may die of it: it is asked again (R26).

use crate::banking::{OURS, PayingBank, THEIRS};
use crate::dice::Dice;
use crate::template::template;
use crate::town::Town;
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::talk::contract::{Contract, Tender};
use tegata_core::{PartyId, Time, Unit};
use tegata_provider::Fee;

/// Rounds in calm until nothing is owed that could be paid.
const ROUNDS: usize = 3;
/// Statements told in one such round at most.
const MOST: usize = 200;

/// What the town knows of settlement beside what the provider keeps.
pub struct Settling {
    /// The bank that pays.
    pub bank: PayingBank,
    /// Dice of contracts and of what the operator does.
    dice: Dice,
    /// Payees without bank details so far.
    unknown: Vec<PartyId>,
    /// Periods whose orders were asked for, and may have been written, and never came.
    unanswered: BTreeSet<u64>,
    /// What each closed period looked like when it was first seen.
    pub closed: BTreeMap<u64, String>,
}

impl Settling {
    /// Of a town with these dice; nobody has bank details yet.
    pub fn new(mut dice: Dice) -> Self {
        let bank = PayingBank::new(dice.fork());
        Self { bank, dice, unknown: Vec::new(), unanswered: BTreeSet::new(), closed: BTreeMap::new() }
    }
}

impl Town {
    /// Who is paid by the provider, each with its account.
    pub fn payees(&self) -> Vec<(PartyId, &'static str)> {
        let issuer = self.sells.then_some(template().issuer_party);
        template().merchants.iter().copied().chain(issuer).zip(THEIRS).collect()
    }

    /// Before the first day: accounts, and contracts with some.
    pub(super) fn agree(&mut self) {
        for _ in 0..self.open_account() {
            if self.toss(700) {
                self.give_details();
            }
            if self.toss(700) {
                self.contract_some();
            }
        }
    }

    /// The same with everybody, and a bank that only gives back what it is told to.
    pub fn agree_with_all(&mut self) {
        for _ in 0..self.open_account() {
            self.give_details();
        }
        for (party, _) in self.payees() {
            self.contract(party, Tender::Cards, Fee { share: 15_000, fixed: 10 }, None);
        }
        if let Some(settling) = &mut self.settling {
            settling.bank.calm = true;
        }
        self.wait(60);
    }

    /// The provider has an account to pay from. How many payees there are, all without details so far.
    fn open_account(&mut self) -> usize {
        let payees = self.payees();
        let now = self.center.now;
        let Some(settling) = &mut self.settling else {
            return 0;
        };
        let ours = |provider: &mut tegata_provider::Provider| {
            provider.set_bank_account(None, "Town", (OURS.0, Some(OURS.1)), now).map(|_| ())
        };
        let done = self.center.provider().map(ours);
        if !matches!(done, Some(Ok(()))) {
            self.wrong.push(format!("the provider has no account: {done:?}"));
        }
        settling.unknown = payees.iter().map(|(payee, _)| *payee).collect();
        payees.len()
    }

    /// True this many times in a thousand.
    fn toss(&mut self, per_mille: u64) -> bool {
        self.settling.as_mut().is_some_and(|it| it.dice.chance(per_mille))
    }

    /// A payee says where it is paid.
    fn give_details(&mut self) {
        let Some(payee) = self.settling.as_mut().and_then(|it| it.unknown.pop()) else {
            return;
        };
        let account = self.payees().into_iter().find(|(other, _)| *other == payee).map_or("", |(_, account)| account);
        let done =
            self.center.operate(|provider, now| provider.set_bank_account(Some(payee), "Payee", (account, None), now));
        if let (Err(_), Some(settling)) = (&done, &mut self.settling) {
            settling.unknown.push(payee);
        }
        self.say(|| format!("{payee} is paid by {account}: {done:?}"));
    }

    /// The operator sets what somebody pays.
    pub(super) fn contract_some(&mut self) {
        let (payees, now) = (self.payees(), self.time);
        let Some(Settling { dice, .. }) = &mut self.settling else {
            return;
        };
        let party = payees[dice.index(payees.len())].0;
        let tender = if dice.chance(500) { Tender::Cards } else { Tender::Credit };
        let share = if dice.chance(40) { Contract::WHOLE } else { dice.within(0, 60_000) };
        let fee = Fee { share, fixed: dice.below(60) };
        let from = dice.chance(300).then(|| now.after(dice.within(60, 3 * Time::DAY)));
        self.contract(party, tender, fee, from);
    }

    /// The operator sets what this payee pays.
    pub fn contract(&mut self, party: PartyId, tender: Tender, fee: Fee, from: Option<Time>) {
        let done =
            self.center.operate(|provider, now| provider.set_contract(party, (tender, Unit::USD), fee, from, now));
        self.say(|| format!("the operator sets a contract: {done:?}"));
    }

    /// The operator pays merchants, and closes the period.
    pub fn settle(&mut self) {
        if self.settling.is_none() {
            let done = self.center.settle_merchants();
            return self.say(|| format!("the operator pays merchants: {done:?}"));
        }
        let done = self
            .center
            .operate(|provider, now| provider.settle(now).map(|settled| (settled.period, settled.payouts.len())));
        self.note_periods();
        self.say(|| format!("the operator pays merchants, period and payouts: {done:?}"));
    }

    /// The operator settles, and mostly goes to the bank at once.
    pub(super) fn settle_some(&mut self) {
        self.settle();
        if self.toss(600) {
            self.order_some();
        }
        if self.toss(400) {
            self.bank_day();
        }
    }

    /// How each closed period looks that was not seen before.
    fn note_periods(&mut self) {
        let last = self.center.store().and_then(|store| store.last_period()).unwrap_or(0);
        for period in 1..=last {
            if self.settling.as_ref().is_some_and(|it| !it.closed.contains_key(&period))
                && let (Some(look), Some(settling)) = (self.look_of(period), &mut self.settling)
            {
                settling.closed.insert(period, look);
            }
        }
    }

    /// What must never change of a closed period: its positions, trial balance and payouts.
    pub fn look_of(&self, period: u64) -> Option<String> {
        let store = self.center.store().ok()?;
        let mut look = format!("{:?} {:?}", store.closed(period).ok()?, store.positions(period).ok()?);
        for transfer in store.transfers(period).ok()? {
            let parts = store.payout_parts(period, transfer.party, transfer.unit).ok()?;
            look += &format!(" {} {} {} {parts:?}", transfer.end_to_end, transfer.party, transfer.amount);
        }
        for (issuer, unit) in store.books().ok()? {
            let lines = tegata_ledger::Side::ALL.map(|side| store.closing(period, issuer, unit, side).unwrap_or(-1));
            // A book that came later has no lines there.
            if lines.iter().any(|line| *line != 0) {
                look += &format!(" {issuer} {lines:?}");
            }
        }
        Some(look)
    }

    /// The operator takes a closed period's orders to the bank.
    pub(super) fn order_some(&mut self) {
        if self.toss(300) {
            self.give_details();
        }
        if self.toss(500)
            && let Some(period) = self.settling.as_ref().and_then(|it| it.unanswered.first().copied())
        {
            self.order(period);
        }
        let last = self.center.store().and_then(|store| store.last_period()).unwrap_or(0);
        let older = self.toss(300);
        let period = match &mut self.settling {
            Some(settling) if older => settling.dice.within(1, last.max(1)),
            _ => last,
        };
        self.order(period);
    }

    /// The operator takes this period's orders to the bank. How many payouts the bank made.
    pub fn order(&mut self, period: u64) -> usize {
        let file = self.center.operate(|provider, now| provider.payout_file(period, false, now));
        let (now, settling) = (self.time, self.settling.as_mut());
        let paid = match (&file, settling) {
            (Ok(file), Some(settling)) => {
                settling.unanswered.remove(&period);
                settling.bank.take(file, now)
            }
            (Err(_), Some(settling)) => {
                settling.unanswered.insert(period);
                Ok(0)
            }
            _ => Ok(0),
        };
        if let Err(why) = &paid {
            self.wrong.push(format!("the bank cannot read the orders of period {period}: {why}"));
        }
        self.say(|| {
            format!("the operator orders the payouts of period {period}: {:?}, {paid:?}", file.map(|it| it.len()))
        });
        paid.unwrap_or(0)
    }

    /// The bank's day ends, and it may send a statement.
    pub(super) fn bank_day(&mut self) {
        self.end_bank_day();
        if self.toss(700) {
            self.tell();
        }
    }

    /// The bank's day ends.
    pub fn end_bank_day(&mut self) {
        let now = self.time;
        if let Some(Err(why)) = self.settling.as_mut().map(|it| it.bank.day(now)) {
            self.wrong.push(format!("the bank makes no statement: {why}"));
        }
    }

    /// The bank sends a statement, and the operator takes it up. Whether there was one.
    pub fn tell(&mut self) -> bool {
        let Some((number, statement)) = self.settling.as_mut().and_then(|it| it.bank.tells()) else {
            return false;
        };
        let done = self.center.operate(|provider, now| provider.reconcile(&statement, now));
        if let (Ok(found), Some(settling)) = (&done, &mut self.settling) {
            settling.bank.told(number);
            if !found.contradictions.is_empty() || !found.unordered.is_empty() {
                self.wrong.push(format!("statement {number} says what was never ordered or otherwise: {found:?}"));
            }
        }
        self.say(|| {
            let told =
                |it: &tegata_provider::ReconciledPayout| (it.transfer.end_to_end.clone(), it.told.clone(), it.changed);
            let payouts =
                done.map(|it| (it.new, it.payouts.iter().filter(|it| it.changed).map(told).collect::<Vec<_>>()));
            format!("the bank sends statement {number}: {payouts:?}")
        });
        true
    }

    /// In calm: everything is settled, ordered, paid and told, also what came back of it.
    pub fn finish_settling(&mut self) {
        self.settle();
        if self.settling.is_none() {
            return;
        }
        while self.settling.as_ref().is_some_and(|it| !it.unknown.is_empty()) {
            self.give_details();
        }
        for _ in 0..ROUNDS {
            if let Some(settling) = &mut self.settling {
                settling.bank.calm = true;
            }
            let last = self.center.store().and_then(|store| store.last_period()).unwrap_or(0);
            let unanswered = self.settling.as_ref().map(|it| it.unanswered.clone()).unwrap_or_default();
            for period in unanswered.into_iter().chain([last]) {
                self.order(period);
            }
            self.end_bank_day();
            for _ in 0..MOST {
                if !self.tell() {
                    break;
                }
            }
            self.wait(60);
            self.settle();
        }
    }
}
