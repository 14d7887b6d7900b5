//! What issuer and operator do.

use crate::town::Town;
use crate::trouble::NetPlan;

impl Town {
    pub(super) fn sell(&mut self) {
        let Some(number) = self.number(false) else {
            return;
        };
        let (batch, serial) = (self.numbers[number].batch, self.numbers[number].serial);
        let now = self.now(0);
        let done = self.issuer.activate(&mut self.center, batch, (serial, serial), now);
        if done.is_ok() {
            self.numbers[number].sold = true;
        } else {
            // The answer was lost: it is asked again until it is known (R26).
            let now = self.now(0);
            self.center.plan(NetPlan::Never);
            if self.issuer.activate(&mut self.center, batch, (serial, serial), now).is_ok() {
                self.numbers[number].sold = true;
            }
        }
        self.say(|| format!("the issuer activates number {number}: {done:?}"));
    }

    /// The operator blocks a card or revokes a terminal.
    pub(super) fn revoke(&mut self) {
        if self.dice.chance(700) {
            let at = self.dice.index(self.people.len());
            let Some(id) = self.people.get(at).map(|person| person.id) else {
                return;
            };
            let cards = self.people.get(at).and_then(|person| person.wallet.device.cards().ok()).unwrap_or_default();
            let whole = self.dice.chance(500);
            let done = if whole {
                self.causes.revoked.entry(id).or_insert(self.time);
                self.center.revoke(id)
            } else {
                cards.iter().try_for_each(|card| self.center.block(*card))
            };
            self.causes.blocked.extend(cards);
            self.say(|| format!("the operator blocks wallet {at}{}: {done:?}", if whole { "" } else { "'s cards" }));
        } else {
            let at = self.dice.index(self.tills.len());
            let Some(id) = self.tills.get(at).map(|till| till.id) else {
                return;
            };
            self.causes.revoked.entry(id).or_insert(self.time);
            let done = self.center.revoke(id);
            self.say(|| format!("the operator revokes terminal {at}: {done:?}"));
        }
        self.faults += 1;
    }
}
