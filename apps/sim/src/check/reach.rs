//! What must never happen to a letter (flow 21), checked when all is quiet: from what devices and provider keep, and what the town
//! saw of muting.

use crate::town::Town;
use std::collections::BTreeMap;
use tegata_core::talk::pay::ClaimState;
use tegata_core::talk::reach::{Address, KeptLetter, LetterState, NotShown, Whose, key_name};
use tegata_core::wire::canonical::Wire;
use tegata_core::{DeviceId, PartyId};
use tegata_device::Device;
use tegata_store::{LetterState as Carried, Side, StoreError};
use tegata_vault::SimulatedVault;

/// How many letters of a town are tried with everybody else's keys.
const TRIED: usize = 8;

/// A letter as somebody read it.
struct Read {
    reader: DeviceId,
    kept: KeptLetter,
    text: Result<String, NotShown>,
}

impl Town {
    pub(super) fn letters_arrive(&mut self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        if self.letters.count() == 0 {
            return Ok(());
        }
        let read = self.read_all(wrong);
        let mut texts: BTreeMap<&str, Vec<DeviceId>> = BTreeMap::new();
        for (read, text) in read.iter().filter_map(|read| Some((read, read.text.as_deref().ok()?))) {
            texts.entry(text).or_default().push(read.reader);
        }
        for (text, readers) in texts.iter().filter(|(_, readers)| readers.len() > 1) {
            wrong.push(format!("the letter '{text}' was read {} times", readers.len()));
        }
        self.each_letter_ended(&texts, wrong)?;
        self.nobody_else_opens(&read, wrong);
        self.nobody_is_named(&read, wrong)
    }

    /// Every letter that came to a device of the town, as its app shows it.
    fn read_all(&mut self, wrong: &mut Vec<String>) -> Vec<Read> {
        let mut all = Vec::new();
        let now = self.now(0);
        for (at, person) in self.people.iter_mut().enumerate() {
            match person.wallet.letters(now) {
                Ok(read) => {
                    let theirs = read.into_iter().filter(|read| read.kept.whose() == Whose::Theirs);
                    all.extend(theirs.map(|read| Read { reader: person.id, kept: read.kept, text: read.text }));
                }
                Err(why) if person.tampered.is_none() => wrong.push(format!("wallet {at} cannot read: {why}")),
                Err(_) => {}
            }
        }
        for (at, till) in self.tills.iter_mut().enumerate() {
            match till.terminal.letters(now) {
                Ok(read) => {
                    let theirs = read.into_iter().filter(|read| read.kept.whose() == Whose::Theirs);
                    all.extend(theirs.map(|read| Read { reader: till.id, kept: read.kept, text: read.text }));
                }
                Err(why) if till.tampered.is_none() => wrong.push(format!("terminal {at} cannot read: {why}")),
                Err(_) => {}
            }
        }
        all
    }

    /// Each letter of an honest writer was read by its honest addressee, or was muted, or its writer was told why not.
    fn each_letter_ended(
        &self,
        texts: &BTreeMap<&str, Vec<DeviceId>>,
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        for (at, till) in self.tills.iter().enumerate().filter(|(_, till)| self.is_honest_till(till)) {
            let merchant = till.terminal.device.owner();
            for (own, text) in own(&till.terminal.device) {
                let reader = self.addressee(&own.to).map(|person| &self.people[person]);
                let ours = self.is_of(merchant, &own.to);
                let muted = reader.is_some_and(|it| self.muted(it.id, &own));
                if own.state == LetterState::Sent && !ours {
                    wrong.push(format!("terminal {at} wrote '{text}' to another merchant's customer"));
                }
                if muted && !self.causes.restored {
                    self.was_dropped(&own, &text, texts, wrong)?;
                }
                let reads = reader.is_some_and(|reader| self.is_honest_person(reader)) && ours;
                let deaf = reader.is_some_and(|it| self.may_have_been_deaf(it.id, &own));
                let arrived = reader.is_some_and(|it| texts.get(text.as_str()).is_some_and(|by| by.contains(&it.id)));
                match own.state {
                    LetterState::Sent if !reads || deaf || arrived || self.is_of_before(&own) => {}
                    // Somebody who was not there yet is no customer: that is told.
                    LetterState::Refused => {}
                    state => wrong.push(format!("terminal {at}: '{text}' is {state:?} there and was not read")),
                }
            }
        }
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| self.is_honest_person(person)) {
            for (own, text) in own(&person.wallet.device) {
                let till =
                    own.to.receipt().and_then(|receipt| self.tills.iter().find(|till| till.id == receipt.machine));
                let honest = till.filter(|till| self.is_honest_till(till));
                let claim = honest.zip(own.to.receipt()).and_then(|(till, it)| till.terminal.claim(it.transaction));
                // A charge that was not paid in the end is no receipt: the user is told that nobody knows it.
                let paid = claim.is_some_and(|claim| claim.state == ClaimState::Paid) && !self.causes.restored;
                let arrived = honest.is_some_and(|it| texts.get(text.as_str()).is_some_and(|by| by.contains(&it.id)));
                let had = own.state == LetterState::Sent && !self.is_of_before(&own);
                if arrived && paid && !self.is_answerable(&person.wallet.device, &own)? {
                    wrong.push(format!("wallet {at}: '{text}' was read and nobody can answer it"));
                }
                if honest.is_some() && !arrived && (had || paid) {
                    wrong.push(format!("wallet {at}: '{text}' is {:?} there and was not read", own.state));
                }
            }
        }
        Ok(())
    }

    /// Whether the merchant of this receipt reaches whoever asked about it.
    fn is_answerable(&self, device: &Device<SimulatedVault>, own: &KeptLetter) -> Result<bool, StoreError> {
        let by_card = own.to.receipt().is_some_and(|receipt| receipt.offer.is_none());
        match key_name(device, &own.to).filter(|_| by_card) {
            Some(card) => Ok(self.center.store()?.reach(own.merchant, &card)?.is_some()),
            None => Ok(true),
        }
    }

    /// Whether this address is one of this merchant's: its customer's, or of a receipt of one of its terminals.
    pub fn is_of(&self, merchant: Option<PartyId>, to: &Address) -> bool {
        let machine = |id| self.tills.iter().any(|till| till.id == id && till.terminal.device.owner() == merchant);
        match to {
            Address::Receipt(receipt) => machine(receipt.machine),
            Address::Customer(customer) => self.tills.iter().any(|till| {
                let claims = till.terminal.claims().unwrap_or_default();
                let told = claims.iter().filter_map(|claim| claim.notification.as_ref());
                machine(till.id) && told.into_iter().any(|told| told.claimed().customer == *customer)
            }),
        }
    }

    fn muted(&self, reader: DeviceId, own: &KeptLetter) -> bool {
        let honest = self.people.iter().any(|person| person.id == reader && self.is_honest_person(person));
        honest && self.letters.written(own.number).is_some_and(|written| written.muted)
    }

    fn may_have_been_deaf(&self, reader: DeviceId, own: &KeptLetter) -> bool {
        let written = self.letters.written(own.number);
        written.is_none_or(|written| self.letters.may_be_muted(reader, own.merchant, written.at))
    }

    /// What was written after the provider knew that its reader is deaf is nowhere on its way.
    fn was_dropped(
        &self,
        own: &KeptLetter,
        text: &str,
        texts: &BTreeMap<&str, Vec<DeviceId>>,
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let row = self.center.store()?.letter(own.merchant, Side::Merchant, own.number)?;
        let carried = row.is_some_and(|row| row.state != Carried::Dropped || row.body.is_some());
        if carried || texts.contains_key(text) {
            wrong.push(format!("'{text}' was written to somebody who had muted its writer, and was carried"));
        }
        Ok(())
    }

    /// No other device opens a letter with the keys that it would use, and the provider's copy is not the text.
    fn nobody_else_opens(&mut self, read: &[Read], wrong: &mut Vec<String>) {
        for Read { reader, kept, text } in read.iter().take(TRIED) {
            let sealed = kept.sealed.as_ref().map(|sealed| sealed.to_bytes()).unwrap_or_default();
            if text.as_ref().is_ok_and(|text| holds(&sealed, text.as_bytes())) {
                wrong.push(format!("a letter to {reader} is not sealed"));
            }
            for person in self.people.iter_mut().filter(|person| person.id != *reader) {
                let device = &mut person.wallet.device;
                let mut names = vec![[0; 16]];
                names.extend(key_name(device, &kept.to));
                names.extend(device.cards().unwrap_or_default().into_iter().map(|card| card.0));
                if names.iter().any(|name| device.open_letter(kept, name).is_ok_and(|plain| plain.is_some())) {
                    wrong.push(format!("a letter to {reader} opens with the keys of {}", person.id));
                }
            }
            for till in self.tills.iter_mut().filter(|till| till.id != *reader) {
                let name = till.id.0;
                if till.terminal.device.open_letter(kept, &name).is_ok_and(|plain| plain.is_some()) {
                    wrong.push(format!("a letter to {reader} opens with the keys of {}", till.id));
                }
            }
        }
    }

    /// Nothing that a merchant gets names the user, and no two keys that it seals to are one (R17).
    fn nobody_is_named(&mut self, read: &[Read], wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let keys = |device: &Device<SimulatedVault>| device.key().map(|key| key.as_bytes().to_vec());
        let users: Vec<(DeviceId, Vec<u8>)> =
            self.people.iter().map(|it| (it.id, keys(&it.wallet.device).unwrap_or_else(|| it.id.0.to_vec()))).collect();
        for till in &mut self.tills {
            let (id, device) = (till.id, &mut till.terminal.device);
            for read in read.iter().filter(|read| read.reader == id) {
                let plain = device.open_letter(&read.kept, &id.0).ok().flatten().unwrap_or_default();
                let kept = read.kept.to_bytes();
                let names = |bytes: &[u8]| users.iter().any(|(id, key)| holds(bytes, &id.0) || holds(bytes, key));
                if names(&plain) || names(&kept) {
                    wrong.push(format!("R17: a letter to {id} names the user"));
                }
            }
        }
        let sql = "SELECT count(*) - count(DISTINCT sealing) FROM reach";
        let shared: i64 = self.center.store()?.connection().query_row(sql, [], |row| row.get(0)).unwrap_or(-1);
        if shared != 0 {
            wrong.push(format!("R17: {shared} keys are one for two merchants, customers or cards"));
        }
        Ok(())
    }
}

/// What a device wrote, with its text.
fn own(device: &Device<SimulatedVault>) -> Vec<(KeptLetter, String)> {
    let kept = device.letters().unwrap_or_default().into_iter();
    kept.filter_map(|kept| Some((kept.clone(), kept.letter?.claimed().text.clone()))).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len().max(1)).any(|window| window == part)
}
