//! Merchants write to customers and to whoever paid, users write about receipts, both read, and users mute and unmute (flow 21).

use crate::town::Town;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use tegata_core::step::Records;
use tegata_core::talk::pay::ClaimState;
use tegata_core::talk::reach::{Address, KeptLetter, LetterState, ReceiptHeld, Whose};
use tegata_core::{CardId, DeviceId, LetterNumber, PartyId, Time};

/// How often the post is carried in calm, until nothing is on its way.
const CARRIED: usize = 5;

/// How young a letter is that is carried once more, in seconds: somewhat less than devices say.
const TOLD_AGAIN: u64 = 29 * Time::DAY;

/// A wallet that did not want to hear a merchant, as far as the town can tell.
#[derive(Clone, Debug)]
struct Muted {
    wallet: DeviceId,
    merchant: PartyId,
    /// The provider has said that it knows, and nobody has taken it back since.
    known: bool,
    /// When the provider had said that it is over.
    until: Option<Time>,
}

/// A letter that was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// When, by the true time.
    pub at: Time,
    /// From writing it until the provider had it the provider knew that its reader does not want it.
    pub muted: bool,
}

/// What the town knows of letters beside what devices and provider keep.
#[derive(Debug, Default)]
pub struct Letters {
    texts: u64,
    muted: Vec<Muted>,
    written: BTreeMap<LetterNumber, Written>,
}

impl Letters {
    /// A text that no other letter has.
    fn text(&mut self) -> String {
        self.texts += 1;
        format!("about your visit, number {}", self.texts)
    }
    /// What is known of a letter of that number.
    pub fn written(&self, number: LetterNumber) -> Option<Written> {
        self.written.get(&number).copied()
    }
    /// Letters that were written.
    pub fn count(&self) -> usize {
        self.written.len()
    }
    /// Whether this wallet may have been deaf to that merchant at this moment or later.
    pub fn may_be_muted(&self, wallet: DeviceId, merchant: PartyId, at: Time) -> bool {
        let mut spans = self.muted.iter().filter(|it| (it.wallet, it.merchant) == (wallet, merchant));
        spans.any(|it| it.until.is_none_or(|until| until >= at))
    }
    pub(super) fn is_known_muted(&self, wallet: DeviceId, merchant: PartyId) -> bool {
        self.muted.iter().any(|it| (it.wallet, it.merchant, it.known) == (wallet, merchant, true))
    }
}

impl Town {
    /// A merchant's terminal writes to somebody who paid.
    pub(super) fn write_some(&mut self, at: usize) {
        // Somebody tries a customer of another shop.
        let whose = if self.dice.chance(80) { self.dice.index(self.tills.len()) } else { at };
        let mut addresses = self.addresses(whose);
        if whose == at && self.dice.chance(600) {
            // An answer.
            let asked = self.asked_by(at);
            addresses = if asked.is_empty() { addresses } else { asked };
        }
        // Somebody will not hear.
        let deaf = self.dice.chance(600).then(|| self.deaf(at, &addresses)).flatten();
        let Some(to) = deaf.or_else(|| addresses.get(self.dice.index(addresses.len())).cloned()) else {
            return;
        };
        self.ready_till(at);
        self.write_to(at, to);
        self.rest(None, Some(at));
    }

    /// One of these addresses whose reader has muted this terminal's merchant, for all that is known.
    pub(super) fn deaf(&self, at: usize, addresses: &[Address]) -> Option<Address> {
        let merchant = self.tills.get(at)?.terminal.device.owner()?;
        let deaf = |to: &&Address| {
            let reader = self.addressee(to).and_then(|person| self.people.get(person));
            reader.is_some_and(|reader| self.letters.is_known_muted(reader.id, merchant))
        };
        addresses.iter().find(deaf).cloned()
    }

    /// Who has written to this terminal.
    pub fn asked_by(&self, at: usize) -> Vec<Address> {
        let kept = self.tills.get(at).and_then(|till| till.terminal.device.letters().ok()).unwrap_or_default();
        kept.into_iter().filter(|kept| kept.whose() == Whose::Theirs).map(|kept| kept.to).collect()
    }

    /// To whom the payments at this terminal lead: customers, and whoever paid.
    pub fn addresses(&self, at: usize) -> Vec<Address> {
        let Some(till) = self.tills.get(at) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for claim in till.terminal.claims().unwrap_or_default() {
            if !matches!(claim.state, ClaimState::Paid | ClaimState::Voided) {
                continue;
            }
            let told = claim.notification.as_ref().map(|told| Address::Customer(told.claimed().customer));
            all.extend(told);
            all.push(Address::Receipt(claim.receipt_name(till.id)));
        }
        all
    }

    /// A terminal writes to this address, without misfortune of its own.
    pub fn write_to(&mut self, at: usize, to: Address) -> Option<LetterNumber> {
        let (text, skew) = (self.letters.text(), self.tills.get(at).map_or(0, |till| till.skew));
        let merchant = self.tills.get(at).and_then(|till| till.terminal.device.owner());
        let reader = self.addressee(&to).and_then(|person| self.people.get(person)).map(|person| person.id);
        let muted = reader.zip(merchant).is_some_and(|(reader, shop)| self.letters.is_known_muted(reader, shop));
        let now = self.now(skew);
        // What was written before power failed is nobody's that is muted now.
        self.note_letters(false);
        let till = self.tills.get_mut(at)?;
        let told = till.terminal.write(&mut self.center, to, &text, now);
        let new = self.note_letters(muted);
        self.say(|| format!("terminal {at} writes '{text}'{}: {told:?}", if muted { " in vain" } else { "" }));
        told.ok().or(new)
    }

    /// Whom a merchant's letter to this address is for: who holds what the address was made of.
    pub fn addressee(&self, to: &Address) -> Option<usize> {
        let claims = |till: &crate::town::Till| till.terminal.claims().unwrap_or_default();
        let (till, claim) = match to {
            Address::Receipt(receipt) => {
                let till = self.tills.iter().find(|till| till.id == receipt.machine)?;
                (till, claims(till).into_iter().find(|claim| claim.receipt_name(till.id) == *receipt)?)
            }
            Address::Customer(customer) => self.tills.iter().find_map(|till| {
                let of_this = |told: &_| customer_of(told) == *customer;
                let found = claims(till).into_iter().find(|claim| claim.notification.as_ref().is_some_and(of_this));
                found.map(|claim| (till, claim))
            })?,
        };
        let name = claim.receipt_name(till.id);
        self.people.iter().position(|person| {
            let holds = |held: &ReceiptHeld| held.name == name;
            !person.is_copy && person.wallet.receipts().unwrap_or_default().iter().any(holds)
        })
    }

    /// A user asks about a receipt.
    pub(super) fn ask_about_some(&mut self, at: usize) {
        let receipts = self.people.get(at).and_then(|person| person.wallet.receipts().ok()).unwrap_or_default();
        let Some(receipt) = receipts.get(self.dice.index(receipts.len())).cloned() else {
            return;
        };
        self.ready_person(at);
        self.ask_about(at, &receipt);
        self.rest(Some(at), None);
    }

    /// A wallet writes about this receipt, without misfortune of its own.
    pub fn ask_about(&mut self, at: usize, receipt: &ReceiptHeld) -> Option<LetterNumber> {
        let (text, skew) = (self.letters.text(), self.people.get(at).map_or(0, |person| person.skew));
        let now = self.now(skew);
        let person = self.people.get_mut(at)?;
        let told = person.wallet.write(&mut self.center, receipt, &text, now);
        let new = self.note_letters(false);
        self.say(|| format!("wallet {at} writes '{text}' to {} about {:?}: {told:?}", receipt.shop, receipt.name));
        told.ok().or(new)
    }

    /// Remembers letters that were not seen before; names the last.
    fn note_letters(&mut self, muted: bool) -> Option<LetterNumber> {
        let devices =
            self.people.iter().map(|it| &it.wallet.device).chain(self.tills.iter().map(|it| &it.terminal.device));
        let kept = devices.flat_map(|device| device.letters().unwrap_or_default());
        let new: Vec<_> = kept.filter(|kept| kept.whose() == Whose::Ours).map(|kept| kept.number).collect();
        let mut last = None;
        for number in new {
            if let Entry::Vacant(entry) = self.letters.written.entry(number) {
                entry.insert(Written { at: self.time, muted });
                last = Some(number);
            }
        }
        last
    }

    /// A wallet sends and reads.
    pub(super) fn read_some(&mut self, at: usize) {
        self.ready_person(at);
        self.read_wallet(at);
        self.rest(Some(at), None);
    }

    /// A terminal sends and reads.
    pub(super) fn read_at_till(&mut self, at: usize) {
        self.ready_till(at);
        self.read_till(at);
        self.rest(None, Some(at));
    }

    /// A wallet sends and reads, without misfortune of its own.
    pub fn read_wallet(&mut self, at: usize) -> bool {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let told = person.wallet.exchange_letters(&mut self.center, now);
        let (id, good) = (person.id, told.is_ok());
        if good {
            self.causes.heard(id, self.time);
        }
        self.say(|| format!("wallet {at} exchanges letters: {told:?}"));
        good
    }

    /// A terminal sends and reads, without misfortune of its own.
    pub fn read_till(&mut self, at: usize) -> bool {
        // What an update of a terminal means for its records is told there.
        self.update_till_plain(at);
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        let Some(till) = self.tills.get_mut(at) else {
            return false;
        };
        let told = till.terminal.exchange_letters(&mut self.center, now);
        self.say(|| format!("terminal {at} exchanges letters: {told:?}"));
        told.is_ok()
    }

    /// A user mutes a merchant, or wants to hear it again.
    pub(super) fn mute_some(&mut self, at: usize) {
        let merchants = &crate::template::template().merchants;
        let kept = self.people.get(at).and_then(|person| person.wallet.device.letters().ok()).unwrap_or_default();
        // Whoever wrote to somebody, or heard of it, has a reason.
        let (known, other) = (kept.last().map(|kept| kept.merchant), self.dice.pick(merchants));
        let Some(merchant) = (if self.dice.chance(800) { known } else { other }) else {
            return;
        };
        let deaf = self.people.get(at).is_some_and(|person| person.wallet.is_muted(merchant));
        self.ready_person(at);
        self.mute(at, merchant, !deaf);
        self.rest(Some(at), None);
        let last = kept.into_iter().rev().find(|kept| kept.merchant == merchant);
        if let Some(kept) = last.filter(|_| self.dice.chance(700)) {
            self.write_back(kept.to);
        }
    }

    /// The terminal of a receipt writes to whoever asked about it, whether that wants to hear it or not.
    fn write_back(&mut self, to: Address) {
        let machine = to.receipt().map(|receipt| receipt.machine);
        if let Some(till) = self.tills.iter().position(|till| Some(till.id) == machine) {
            self.ready_till(till);
            self.write_to(till, to);
            self.rest(None, Some(till));
        }
    }

    /// The same, without misfortune of the wallet's own.
    pub fn mute(&mut self, at: usize, merchant: PartyId, muted: bool) -> bool {
        let (time, skew) = (self.time, self.people.get(at).map_or(0, |person| person.skew));
        let Some(wallet) = self.people.get(at).map(|person| person.id) else {
            return false;
        };
        if !muted {
            self.unmutes(wallet, merchant);
        }
        let now = self.now(skew);
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let told = person.wallet.mute(&mut self.center, merchant, muted, now);
        let good = told.is_ok() && !person.wallet.device.vault.is_off();
        if muted {
            self.letters.muted.push(Muted { wallet, merchant, known: good, until: None });
        } else if good {
            let spans = self.letters.muted.iter_mut().filter(|it| (it.wallet, it.merchant) == (wallet, merchant));
            spans.filter(|it| it.until.is_none()).for_each(|it| it.until = Some(time));
        }
        self.say(|| format!("wallet {at} {} {merchant}: {told:?}", if muted { "mutes" } else { "hears again" }));
        good
    }

    /// From now on the provider may hear that the wallet wants this merchant's letters: what it does not have yet may come.
    fn unmutes(&mut self, wallet: DeviceId, merchant: PartyId) {
        for it in self.letters.muted.iter_mut().filter(|it| (it.wallet, it.merchant) == (wallet, merchant)) {
            it.known = false;
        }
        let of_this = |it: &&crate::town::Till| it.terminal.device.owner() == Some(merchant);
        let kept =
            self.tills.iter().filter(of_this).flat_map(|till| till.terminal.device.letters().unwrap_or_default());
        let sent: Vec<LetterNumber> =
            kept.filter(|kept| kept.state == LetterState::Sent).map(|kept: KeptLetter| kept.number).collect();
        for (number, written) in &mut self.letters.written {
            written.muted &= sent.contains(number);
        }
    }

    /// In calm: the post is carried until nothing is on its way.
    pub fn finish_letters(&mut self) {
        for _ in 0..CARRIED {
            if !self.is_post_waiting() {
                return;
            }
            for at in 0..self.tills.len() {
                self.read_till(at);
            }
            for at in 0..self.people.len() {
                self.read_wallet(at);
            }
        }
    }

    /// Whether a letter was sent to a provider that was put back from a backup since: it is told again, unless it is old.
    pub fn is_of_before(&self, kept: &KeptLetter) -> bool {
        let epoch = self.center.store().and_then(|store| store.provider()).ok().flatten().map(|row| row.epoch);
        kept.state == LetterState::Sent && kept.epoch != epoch
    }

    /// Whether a letter waits at its writer or for its reader.
    fn is_post_waiting(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM letter WHERE state IN (1, 3))";
        let there = self.center.store().ok().map(|store| store.connection().query_row(sql, [], |row| row.get(0)));
        let devices =
            self.people.iter().map(|it| &it.wallet.device).chain(self.tills.iter().map(|it| &it.terminal.device));
        let mut kept = devices.flat_map(|device| device.letters().unwrap_or_default());
        let waits = |kept: &KeptLetter| kept.state == LetterState::Waiting || self.is_of_before(kept);
        let young = |kept: &KeptLetter| self.time.since(kept.at) < TOLD_AGAIN;
        there.and_then(Result::ok).unwrap_or(false) || kept.any(|kept| waits(&kept) && young(&kept))
    }

    /// Whether a receipt is of a card that a provider put back from a backup does not know (ARCHITECTURE, limits).
    pub(super) fn is_of_lost(&self, receipt: &ReceiptHeld) -> bool {
        receipt.name.offer.is_none() && self.is_lost(CardId(receipt.key_name))
    }

    /// In calm: an honest wallet asks an honest terminal about a receipt, and is answered.
    pub fn somebody_writes(&mut self) {
        if !self.writes {
            return;
        }
        let pair =
            self.people.iter().enumerate().filter(|(_, person)| self.is_honest_person(person)).find_map(|(at, it)| {
                let receipts = it.wallet.receipts().unwrap_or_default().into_iter();
                let receipt = receipts.rev().find_map(|receipt| {
                    let till = self.tills.iter().position(|till| till.id == receipt.name.machine)?;
                    let paid = self.tills[till].terminal.claim(receipt.name.transaction)?.state == ClaimState::Paid;
                    let known = paid && !self.is_of_lost(&receipt);
                    (known && self.is_honest_till(&self.tills[till])).then_some((till, receipt))
                });
                receipt.map(|(till, receipt)| (at, till, receipt))
            });
        let Some((at, till, receipt)) = pair else {
            return;
        };
        // The receipt is known once the terminal's log is there.
        self.read_till(till);
        self.mute(at, receipt.merchant, false);
        let asked = self.ask_about(at, &receipt);
        self.read_till(till);
        let answered = self.write_to(till, Address::Receipt(receipt.name));
        self.read_wallet(at);
        let came = |device: &dyn Records, number: Option<LetterNumber>| {
            let number = number?;
            KeptLetter::load(device, Whose::Theirs, receipt.merchant, number)
        };
        let there = came(&self.tills[till].terminal.device, asked);
        let answered = there.and_then(|_| came(&self.people[at].wallet.device, answered)).is_some();
        if !answered {
            self.wrong.push(format!("liveness: wallet {at} and terminal {till} cannot write to each other in calm"));
        }
    }
}

fn customer_of(
    told: &tegata_core::wire::signed::Signed<tegata_core::talk::credit::ClearingNotification>,
) -> tegata_core::CustomerNumber {
    told.claimed().customer
}
