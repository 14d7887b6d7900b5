//! What issuer and operator do.

use crate::town::Town;
use crate::trouble::NetPlan;
use crate::venue::Venue;

impl Town {
    /// The provider is put back from a backup, in a new epoch, if there is one (R15).
    pub fn put_provider_back(&mut self) {
        let Some((backup, after)) = self.center.restore() else {
            return;
        };
        if after <= backup {
            self.wrong.push("R15: the provider went back to a backup and kept its epoch".into());
        }
        self.causes.restored = true;
        self.faults += 1;
        self.forget_numbers();
        self.doubt_booth();
        self.venue.iter_mut().for_each(Venue::forget_brought);
        self.say(|| "the provider is restored from a backup".into());
    }
    /// Whether nothing may be sold, because nobody has compared yet what was sold after the backup that was put back (R15).
    pub fn sales_wait(&mut self) -> bool {
        let compared = self.center.provider().map(|provider| provider.is_compared());
        matches!(compared, Some(Ok(false)))
    }

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
