//! Numbers become cards: installed, loaded, asked again, guessed.

use crate::cheat;
use crate::tap::skewed;
use crate::town::Town;
use tegata_core::CardId;
use tegata_core::record::RecordKey;
use tegata_core::step::Records;
use tegata_core::talk::cards::{Activate, CardNotice, CardRequest, InstallRequest, LoadRequest};
use tegata_core::wire::signed::Signed;
use tegata_device::{ask, take_up_all};

impl Town {
    /// A request that was cut off is sent again as it was.
    pub fn finish_request(&mut self, at: usize, key: RecordKey) {
        let now = self.now(0);
        let Some(person) = self.people.get_mut(at) else {
            return;
        };
        let device = &mut person.wallet.device;
        let number = device.get(&key).and_then(|bytes| {
            let install = Signed::<InstallRequest>::decode(&bytes).map(|request| request.claimed().number.clone());
            let load = || Signed::<LoadRequest>::decode(&bytes).map(|request| request.claimed().number.clone());
            install.or_else(|_| load()).ok()
        });
        let Some(anchors) = device.anchors() else {
            return;
        };
        let done = ask(device, &mut self.center, CardRequest::Resume(key, anchors), now);
        let id = person.id;
        let took = done.as_ref().is_ok_and(|notices| {
            notices.iter().any(|it| matches!(it, CardNotice::Installed { .. } | CardNotice::Loaded { .. }))
        });
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let found = number.and_then(|text| self.numbers.iter().position(|number| plain(&number.text) == text));
        if let (true, Some(number)) = (took, found) {
            self.took(number, id, true);
        }
        let cards = self.people.get(at).and_then(|person| person.wallet.device.cards().ok()).unwrap_or_default();
        for card in cards {
            let now = self.now(0);
            if let Some(person) = self.people.get_mut(at) {
                let _ = take_up_all(&mut person.wallet.device, card, now);
            }
        }
        self.say(|| format!("wallet {at} asks again: {done:?}"));
    }

    /// The first number that was (not) sold and not used.
    pub(super) fn number(&mut self, sold: bool) -> Option<usize> {
        let free: Vec<usize> = (0..self.numbers.len())
            .filter(|at| self.numbers[*at].sold == sold && !self.used.contains_key(&self.numbers[*at].text))
            .collect();
        self.dice.pick(&free)
    }

    /// A slip of a till for a number not activated yet.
    pub(super) fn slip(&mut self, number: usize) -> Option<Signed<Activate>> {
        let at = self.dice.index(self.tills.len());
        let (batch, serial) = self.numbers.get(number).map(|number| (number.batch, number.serial))?;
        let till = self.tills.get(at)?;
        let issuer = crate::template::template().issuer_party;
        till.terminal.slip(issuer, batch, (serial, serial), skewed(self.time, till.skew)).ok()
    }

    /// A number for an install or load: mostly sold online, sometimes by a slip, sometimes used by somebody before.
    pub(super) fn draw_number(&mut self) -> Option<(usize, Option<Signed<Activate>>)> {
        if self.dice.chance(200) {
            let number = self.number(false)?;
            let slip = if self.dice.chance(800) { self.slip(number) } else { None };
            return Some((number, slip));
        }
        if self.dice.chance(60) {
            let used: Vec<usize> =
                (0..self.numbers.len()).filter(|at| self.used.contains_key(&self.numbers[*at].text)).collect();
            if let Some(number) = self.dice.pick(&used) {
                return Some((number, None));
            }
        }
        self.number(true).map(|number| (number, None))
    }

    pub(super) fn install(&mut self, at: usize) {
        let Some((number, slip)) = self.draw_number() else {
            return;
        };
        self.ready_person(at);
        self.install_number(at, number, slip);
        self.rest(Some(at), None);
    }

    /// A wallet installs the card of a number; a request that was cut off is asked again sometimes.
    pub fn install_number(&mut self, at: usize, number: usize, slip: Option<Signed<Activate>>) -> Option<CardId> {
        let now = self.now(self.people.get(at)?.skew);
        let entry = self.numbers.get(number)?.clone();
        let newer = self.dice.chance(self.mix.newer);
        let person = self.people.get_mut(at)?;
        let by_slip = slip.is_some();
        let done = if newer {
            cheat::install_newer(&mut person.wallet, &mut self.center, &entry.text, slip, now)
        } else {
            person.wallet.install(&mut self.center, &entry.text, slip, now).map_err(|error| error.to_string())
        };
        let id = person.id;
        if done.is_ok() {
            self.took(number, id, by_slip);
        }
        self.say(|| match &done {
            Ok(card) => format!("wallet {at} installs number {number} ({} cents) as {card}", entry.face),
            Err(why) => format!("wallet {at} cannot install number {number}: {why}"),
        });
        done.ok()
    }

    /// A wallet was told that a number is its own: nobody else may have been, and it must have been sold (R18).
    pub(super) fn took(&mut self, number: usize, by: tegata_core::DeviceId, by_slip: bool) {
        let Some(entry) = self.numbers.get_mut(number) else {
            return;
        };
        if !entry.sold && !by_slip {
            self.wrong.push(format!("R18: number {number} served before it was sold"));
        }
        entry.sold = true;
        if let Some(before) = self.used.insert(entry.text.clone(), by)
            && before != by
        {
            self.wrong.push(format!("R18: number {number} served two wallets"));
        }
    }

    pub(super) fn load(&mut self, at: usize) {
        let Some((number, slip)) = self.draw_number() else {
            return;
        };
        self.ready_person(at);
        self.load_number(at, number, slip);
        self.rest(Some(at), None);
    }

    /// A wallet loads its first card by a number.
    pub fn load_number(&mut self, at: usize, number: usize, slip: Option<Signed<Activate>>) -> bool {
        let Some(card) = self.card(at) else {
            return false;
        };
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(entry) = self.numbers.get(number).cloned() else {
            return false;
        };
        let by_slip = slip.is_some();
        let fetch_only = self.dice.chance(300);
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let done = if fetch_only {
            person.wallet.fetch_load(&mut self.center, card, &entry.text, slip, now)
        } else {
            person.wallet.load(&mut self.center, card, &entry.text, slip, now)
        };
        let id = person.id;
        if done.is_ok() {
            self.took(number, id, by_slip);
        }
        self.say(|| match &done {
            Ok(amount) => format!("wallet {at} loads number {number}, {amount}"),
            Err(why) => format!("wallet {at} cannot load number {number}: {why}"),
        });
        done.is_ok()
    }

    /// A card of a wallet. One that was given back is tried now and then, but not in calm.
    pub fn card(&mut self, at: usize) -> Option<CardId> {
        let mut cards = self.people.get(at)?.wallet.device.cards().ok()?;
        if self.venue.is_some() {
            cards.retain(|card| !self.is_ticket(at, *card));
        }
        if self.lines.is_some() {
            cards.retain(|card| !self.is_telephone(at, *card));
        }
        if self.sells && !(self.mix.buying > 0 && self.dice.chance(150)) {
            cards.retain(|card| !self.is_given_back(*card));
        }
        self.dice.pick(&cards)
    }

    pub(super) fn guess(&mut self, at: usize) {
        let number = tegata_crypto_native::number::InstallationNumber::generate(self.dice.entropy()).to_string();
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        self.ready_person(at);
        let now = self.now(skew);
        if let Some(person) = self.people.get_mut(at) {
            let done = person.wallet.install(&mut self.center, &number, None, now);
            if done.is_ok() {
                self.wrong.push("R18: a guessed number was installed".into());
            }
        }
        self.rest(Some(at), None);
    }
}
