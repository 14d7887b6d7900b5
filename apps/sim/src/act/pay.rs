//! People pay at terminals, and how charges end.

use crate::fault::FrameFault;
use crate::tap::{Answer, Clocks, Plan, Seen, Tap, TerminalCheat, WalletCheat, skewed};
use crate::town::{Goods, Town};
use tegata_core::card::CardCertificate;
use tegata_core::card::payment::accept_check;
use tegata_core::talk::pay::{ClaimState, Paying, PayingState, TerminalNotice, load_purse};
use tegata_core::wire::signed::Signed;
use tegata_core::{Amount, Time, Unit};
use tegata_device::take_up_all;

impl Town {
    pub(super) fn tap_somewhere(&mut self, person: usize, till: usize) {
        let amount = match self.dice.below(12) {
            0 => self.dice.within(6_000, 12_000),
            1 => 1,
            _ => self.dice.within(50, 3_000),
        };
        let plan = self.tap_plan();
        if plan.terminal_cheat == Some(TerminalCheat::ReplayCharge) {
            // Somebody else's charge, still fresh.
            let other = self.dice.index(self.people.len());
            self.tap(other, till, amount, Plan::PLAIN);
        }
        self.tap(person, till, amount, plan);
    }

    pub(super) fn tap_plan(&mut self) -> Plan {
        let answer = match self.dice.below(20) {
            0 => Answer::Decline,
            1 => Answer::Leave,
            _ => Answer::Agree,
        };
        let fault = if self.dice.chance(self.mix.frames) {
            let at = self.dice.index(7);
            self.dice.pick(&FrameFault::ALL).map(|fault| (if fault == FrameFault::Version { 0 } else { at }, fault))
        } else {
            None
        };
        let wallet_cheat = if self.dice.chance(self.mix.wallet_cheats) {
            let more = self.dice.within(1, 20_000);
            self.dice.pick(&[WalletCheat::ForgeRemaining(more), WalletCheat::Garbage, WalletCheat::Second])
        } else {
            None
        };
        let terminal_cheat = if self.dice.chance(self.mix.terminal_cheats) {
            self.dice.pick(&[TerminalCheat::ReplayCharge, TerminalCheat::FalseProof, TerminalCheat::NoReceipt])
        } else {
            None
        };
        let newer = self.dice.chance(self.mix.newer);
        let hold = self.dice.chance(self.mix.twins);
        Plan { answer, fault, wallet_cheat, terminal_cheat, newer, hold }
    }

    /// A wallet goes back to where it has something unfinished.
    pub(super) fn again(&mut self, at: usize) {
        let tills: Vec<usize> = (0..self.tills.len())
            .filter(|till| {
                let person = self.people.get(at);
                person.is_some_and(|person| Paying::pending(&person.wallet.device, self.tills[*till].id).is_some())
            })
            .collect();
        let Some(till) = self.dice.pick(&tills) else {
            return;
        };
        let id = self.tills[till].id;
        if let Some(person) = self.people.get_mut(at) {
            let pending = Paying::pending(&person.wallet.device, id);
            let shown = pending.filter(|pending| pending.state == PayingState::Shown);
            if let Some(shown) = shown
                && self.dice.chance(600)
            {
                let _ = person.wallet.agree(id, shown.charge.claimed().transaction);
            }
        }
        let plan = self.tap_plan();
        let amount = self.dice.within(50, 2_000);
        self.tap(at, till, amount, plan);
    }

    /// A wallet touches a terminal that charges this many cents.
    pub fn tap(&mut self, at: usize, till_at: usize, cents: u64, plan: Plan) -> Option<Seen> {
        self.ready_person(at);
        self.ready_till(till_at);
        let seen = self.touch(at, till_at, cents, plan);
        self.rest(Some(at), Some(till_at));
        seen
    }

    /// The touch itself, without misfortune of the devices' own.
    pub fn touch(&mut self, at: usize, till_at: usize, cents: u64, plan: Plan) -> Option<Seen> {
        let card = self.card(at)?;
        // As the app does: what is still open is closed before the next sale. A counter that is asked again by the same
        // customer within the charge's time may also leave it open.
        let closes = !self.dice.chance(250);
        let (wallet_skew, till_skew) = (self.people.get(at)?.skew, self.tills.get(till_at)?.skew);
        let now = self.now(till_skew);
        let payer = self.people.get(at)?.wallet.payer(card).ok()?;
        let till = self.tills.get_mut(till_at)?;
        let sale = till.terminal.sale(Amount::new(Unit::USD, cents)?, None).ok()?;
        if closes {
            self.close_open(till_at, now);
        }
        let before = load_purse(&self.people.get(at)?.wallet.device, card)?;
        let mut tap = Tap::start(payer, sale.clone(), plan.clone(), &mut self.dice).ok()?;
        tap.at(self.tills.get(till_at)?.id);
        let clocks = Clocks { time: self.time, wallet: wallet_skew, terminal: till_skew };
        if plan.wallet_cheat.is_some() {
            self.people.get_mut(at)?.tampered = Some("cheats");
        }
        if plan.terminal_cheat.is_some() {
            self.tills.get_mut(till_at)?.tampered = Some("cheats");
        }
        let sides = (&mut self.people.get_mut(at)?.wallet.device, &mut self.tills.get_mut(till_at)?.terminal.device);
        tap.run(sides, clocks, &mut self.air, &mut self.dice);
        if tap.is_holding() {
            self.twin(at, till_at);
            let wallet = &mut self.people.get_mut(at)?.wallet.device;
            let sides = (wallet, &mut self.tills.get_mut(till_at)?.terminal.device);
            tap.run(sides, clocks, &mut self.air, &mut self.dice);
        }
        let seen = std::mem::take(&mut tap.seen);
        self.judge_tap(at, till_at, cents, &seen, &before.certificate, &sale);
        let now = self.now(wallet_skew);
        let _ = take_up_all(&mut self.people.get_mut(at)?.wallet.device, card, now);
        Some(seen)
    }

    /// Another process of the same wallet pays elsewhere while the first one is about to store its check (R13).
    pub(super) fn twin(&mut self, at: usize, but: usize) {
        let others: Vec<usize> = (0..self.tills.len()).filter(|till| *till != but).collect();
        if let Some(other) = self.dice.pick(&others) {
            self.wake_till(other);
            self.say(|| format!("wallet {at}: a second process pays at terminal {other} meanwhile"));
            let cents = self.dice.within(20, 900);
            self.touch(at, other, cents, Plan::PLAIN);
        }
    }

    /// What a tap showed is remembered, and what must never happen is looked for.
    pub(super) fn judge_tap(
        &mut self,
        at: usize,
        till_at: usize,
        cents: u64,
        seen: &Seen,
        certificate: &Signed<CardCertificate>,
        sale: &tegata_core::talk::pay::Sale,
    ) {
        self.wrong.extend(seen.wrong.iter().cloned());
        self.crossed += seen.crossed;
        let till_skew = self.tills.get(till_at).map_or(0, |till| till.skew);
        let time = skewed(self.time, till_skew);
        if let (Some(session), Some(person)) = (seen.session, self.people.get_mut(at)) {
            person.sessions.insert(session);
        }
        for notice in &seen.terminal {
            if let TerminalNotice::Paid { transaction, amount, .. } = notice {
                self.goods.push(Goods { till: till_at, transaction: *transaction });
                self.payments += 1;
                self.judge_goods(till_at, *amount, seen, certificate, sale, time);
            }
        }
        self.say(|| {
            format!(
                "wallet {at} taps terminal {till_at} for {cents}: {:?} | {:?}{}",
                seen.wallet,
                seen.terminal,
                if seen.cheated { " (cheated)" } else { "" }
            )
        });
    }

    pub(super) fn judge_goods(
        &mut self,
        till: usize,
        amount: Amount,
        seen: &Seen,
        certificate: &Signed<CardCertificate>,
        sale: &tegata_core::talk::pay::Sale,
        time: Time,
    ) {
        if sale.anchors.list_age(time).is_none_or(|age| age > crate::template::LIST_AGE) {
            self.wrong.push(format!("R11: terminal {till} sold with a revocation list that is too old"));
        }
        let Some((shown, raises, check)) = seen.checks.last() else {
            return;
        };
        let certificate = shown.as_ref().unwrap_or(certificate).claimed();
        let Some(terms) = sale.terms.iter().find(|terms| terms.handle() == certificate.terms) else {
            return;
        };
        if let Err(why) = accept_check(certificate, terms, raises, check.claimed(), amount, time) {
            self.wrong.push(format!("R6: terminal {till} handed goods over beyond the card's bounds: {why}"));
        }
    }

    pub(super) fn void(&mut self, at: usize) {
        self.ready_till(at);
        let Some(till) = self.tills.get(at) else {
            return;
        };
        let paid: Vec<u64> = till
            .terminal
            .payments()
            .unwrap_or_default()
            .iter()
            .filter(|payment| payment.state == ClaimState::Paid)
            .map(|payment| payment.transaction)
            .collect();
        if let Some(transaction) = self.dice.pick(&paid) {
            self.void_at(at, transaction);
        }
        self.rest(None, Some(at));
    }

    /// A merchant undoes a payment. What the terminal says it did must be so.
    pub fn void_at(&mut self, at: usize, transaction: u64) -> bool {
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        let Some(till) = self.tills.get_mut(at) else {
            return false;
        };
        let done = till.terminal.void(transaction, now);
        let state = till.terminal.claim(transaction).map(|claim| claim.state);
        let off = till.terminal.device.vault.is_off();
        if done.is_ok() && !off && state != Some(ClaimState::Voided) {
            self.wrong.push(format!("R7: terminal {at} said that {transaction} is voided and did not store it"));
        }
        self.say(|| format!("terminal {at} voids {transaction}: {done:?}"));
        done.is_ok()
    }

    pub(super) fn close(&mut self, at: usize) {
        self.ready_till(at);
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        self.close_open(at, now);
        self.rest(None, Some(at));
    }

    /// A terminal closes what is open. What it says it did must be so.
    pub fn close_open(&mut self, at: usize, now: tegata_device::Now) {
        let Some(till) = self.tills.get_mut(at) else {
            return;
        };
        let done = till.terminal.close_open(now);
        let off = till.terminal.device.vault.is_off();
        if let (Ok(Some(transaction)), false) = (&done, off) {
            let state = till.terminal.claim(*transaction).map(|claim| claim.state);
            if state != Some(ClaimState::Closed) {
                self.wrong.push(format!("R7: terminal {at} said that {transaction} is closed and did not store it"));
            }
            self.say(|| format!("terminal {at} closes {done:?}"));
        }
    }
}
