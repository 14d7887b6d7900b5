//! Calm: nothing goes wrong any more, everybody updates until all is quiet, and everybody can pay again.

use crate::fault::Mix;
use crate::tap::Plan;
use crate::town::Town;
use crate::trouble::NetPlan;
use tegata_core::card::payment::PurseState;
use tegata_core::record::{RecordKey, Space};
use tegata_core::talk::pay::{WalletNotice, load_purse};
use tegata_core::{CardId, Time};
use tegata_vault::{Faults, Vault};

/// Seconds before each round of updates; together more than L + U.
const ROUNDS: [u64; 7] = [60, 3_600, Time::DAY, 5 * Time::DAY, 6 * Time::DAY, 7 * Time::DAY, 60];
/// Touches until a payment must have gone through.
const TOUCHES: usize = 3;

impl Town {
    /// All faults stop; every device is switched on, its clock is right; rounds of updates until quiet.
    pub fn calm(&mut self) {
        self.mix = Mix::CALM;
        self.center.settle();
        self.say(|| "calm".into());
        self.people.retain(|person| !person.is_copy);
        for at in 0..self.people.len() {
            self.people[at].wallet.device.vault.set_faults(Faults::none());
            self.people[at].skew = 0;
            self.wake_person(at);
        }
        for at in 0..self.tills.len() {
            self.tills[at].skew = 0;
            self.tills[at].late = false;
            self.wake_till(at);
            self.tills[at].terminal.device.vault.set_faults(Faults::none());
            let now = self.now(0);
            self.close_open(at, now);
        }
        self.calm_gates();
        self.calm_lines();
        for (round, seconds) in ROUNDS.into_iter().enumerate() {
            self.wait(seconds);
            self.finish_credit();
            self.finish_buying();
            self.finish_giving();
            self.calm_changes();
            if round == 0 {
                self.finish_staff();
            }
            if round == 0 || round == 5 && self.causes.restored {
                self.finish_booth(round == 5 || !self.causes.restored);
            }
            self.everybody_updates(round + 1 == ROUNDS.len());
            // People do not type a number for ever: too many wrong ones, and the provider stops answering (R18). One that
            // was restored from a backup says no for L + U, so that they ask once more after that (R15).
            if matches!(round, 0 | 3 | 5) {
                self.finish_requests();
                self.finish_letters();
            }
        }
        self.everybody_pays();
        self.everybody_calls();
        self.somebody_pays_by_credit();
        self.somebody_buys();
        self.somebody_writes();
        self.everybody_rings();
        self.everybody_enters();
        self.finish_queue();
        self.wait(60);
        self.everybody_updates(true);
        self.everybody_updates(true);
        self.finish_letters();
        if self.center.courier.is_some() {
            // What was let go is let go.
            self.wait(60);
        }
        self.finish_settling();
        self.somebody_is_ahead();
        let compared = self.center.compare();
        self.say(|| format!("the provider compares: {compared:?}"));
    }

    fn everybody_updates(&mut self, must: bool) {
        for at in 0..self.tills.len() {
            let good = self.update_till(at);
            let exempt = self.tills[at].tampered.is_some() || self.causes.revoked.contains_key(&self.tills[at].id);
            if must && !good && !exempt {
                self.wrong.push(format!("liveness: terminal {at} cannot update in calm"));
            }
        }
        self.gates_update(must);
        if !self.update_switch() && must {
            self.wrong.push("liveness: the switch cannot update in calm".into());
        }
        for at in 0..self.people.len() {
            let good = self.update_wallet(at);
            let exempt = self.people[at].tampered.is_some() || self.causes.revoked.contains_key(&self.people[at].id);
            if must && !good && !exempt {
                self.wrong.push(format!("liveness: wallet {at} cannot update in calm"));
            }
        }
    }

    /// Requests that were cut off are asked again until they are answered (R26).
    fn finish_requests(&mut self) {
        for at in 0..self.people.len() {
            let device = &self.people[at].wallet.device;
            let waiting = device.vault.scan(Space::Request, &[], usize::MAX).unwrap_or_default();
            for (name, _) in waiting {
                self.finish_request(at, RecordKey::new(Space::Request, name));
            }
        }
    }

    fn everybody_pays(&mut self) {
        self.center.plan(NetPlan::Never);
        for at in 0..self.people.len() {
            let person = &self.people[at];
            if person.tampered.is_some() || self.causes.revoked.contains_key(&person.id) {
                continue;
            }
            let device = &person.wallet.device;
            let mut cards = device.cards().unwrap_or_default();
            cards.retain(|card| {
                !self.is_given_back(*card) && !self.is_ticket(at, *card) && !self.is_telephone(at, *card)
            });
            let able = cards.iter().all(|card| {
                load_purse(device, *card).is_some_and(|purse| purse.remaining > 20 && purse.state == PurseState::Active)
            });
            let unpaid = |card: CardId| self.unpaid_on(card).is_ok_and(|unpaid| unpaid > 0);
            let barred = |card: &CardId| self.causes.blocked.contains(card) || self.is_lost(*card) || unpaid(*card);
            if cards.is_empty() || !able || cards.iter().any(barred) {
                continue;
            }
            for till in 0..self.tills.len() {
                let id = self.tills[till].id;
                if self.tills[till].tampered.is_some() || self.causes.revoked.contains_key(&id) {
                    continue;
                }
                let mut shown = Vec::new();
                for _ in 0..TOUCHES {
                    let seen = self.tap(at, till, 1, Plan::PLAIN);
                    shown = seen.map(|seen| seen.wallet).unwrap_or_default();
                    if shown.iter().any(|notice| matches!(notice, WalletNotice::Paid { .. })) {
                        break;
                    }
                }
                if !shown.iter().any(|notice| matches!(notice, WalletNotice::Paid { .. })) {
                    self.wrong.push(format!("liveness: wallet {at} cannot pay at terminal {till} in calm: {shown:?}"));
                }
            }
        }
    }
}
