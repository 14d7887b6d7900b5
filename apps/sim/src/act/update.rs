//! Devices update, honest or not.

use crate::cheat;
use crate::town::Town;

impl Town {
    /// A wallet updates.
    pub fn update_wallet(&mut self, at: usize) -> bool {
        self.ready_person(at);
        let good = self.update_wallet_plain(at);
        self.rest(Some(at), None);
        good
    }

    /// A wallet updates, without misfortune of its own.
    pub fn update_wallet_plain(&mut self, at: usize) -> bool {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let done = person.wallet.update(&mut self.center, now);
        let good = done.is_ok();
        if good {
            self.causes.heard(person.id, self.time);
        }
        self.say(|| match &done {
            Ok(done) => format!("wallet {at} updates: {done:?}"),
            Err(why) => format!("wallet {at} cannot update: {why}"),
        });
        good
    }

    /// In calm: a terminal says to be ahead of the provider, which has not told it so. That begins no epoch, which would close sales and
    /// installs for everybody (R15); then it is as before.
    pub fn somebody_is_ahead(&mut self) {
        let epoch = |town: &Self| Some(town.center.store().ok()?.provider().ok()??.epoch);
        let (before, now) = (epoch(self), self.now(0));
        let (Some(heard), Some(till)) = (before, self.tills.first_mut()) else {
            return;
        };
        let kept = till.terminal.device.vault.snapshot();
        let lied = cheat::be_ahead(&mut till.terminal.device, heard).is_some();
        let done = till.terminal.update(&mut self.center, now);
        till.terminal.device.vault.roll_back(&kept);
        self.say(|| format!("terminal 0 says to be ahead of the provider: {done:?}"));
        let after = epoch(self);
        if lied && (after != before || done.is_ok()) {
            self.wrong.push(format!("R15: terminal 0 said to be ahead, and epoch {before:?} became {after:?}"));
        }
    }

    /// A terminal updates.
    pub fn update_till(&mut self, at: usize) -> bool {
        self.ready_till(at);
        if self.dice.chance(self.mix.terminal_cheats) {
            self.cheat_till(at);
        }
        let good = self.update_till_plain(at);
        self.rest(None, Some(at));
        good
    }

    /// A terminal updates, without misfortune of its own.
    pub fn update_till_plain(&mut self, at: usize) -> bool {
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        let time = self.time;
        let Some(till) = self.tills.get_mut(at) else {
            return false;
        };
        let done = till.terminal.update(&mut self.center, now);
        if done.is_ok() {
            let late = time.since(till.updated) > crate::template::LIST_AGE + crate::template::RECORD_AGE;
            self.causes.late |= late;
            till.updated = time;
            self.causes.heard(till.id, time);
        }
        let good = done.is_ok();
        self.say(|| match &done {
            Ok(done) => format!("terminal {at} updates: {done:?}"),
            Err(why) => format!("terminal {at} cannot update: {why}"),
        });
        good
    }

    /// A dishonest merchant touches the terminal's records.
    pub(super) fn cheat_till(&mut self, at: usize) {
        if self.dice.chance(250) {
            let Some(till) = self.tills.get_mut(at) else {
                return;
            };
            if let Some(open) = cheat::never_close(&mut till.terminal.device) {
                till.tampered = Some("cheats");
                self.faults += 1;
                self.say(|| format!("terminal {at} leaves {open} open for ever"));
            }
            return;
        }
        let drop = self.dice.chance(500);
        let Some(till) = self.tills.get_mut(at) else {
            return;
        };
        let device = &mut till.terminal.device;
        let done = if drop { cheat::drop_last_claim(device) } else { cheat::claim_again(device) };
        if let Some(check) = done {
            till.tampered = Some("cheats");
            let id = till.id;
            if !drop {
                self.causes.double_claims.push((id, check));
            }
            self.faults += 1;
            self.say(|| format!("terminal {at} {}", if drop { "drops a claim" } else { "claims a check again" }));
        }
    }
}
