//! Merchants and users call each other by numbers (flow 21): devices say where they are called, ask for numbers, the switch hears whom
//! these stand for, and somebody dials them: in time, too late, twice, or after a mute.

use crate::dial::{Dialled, Ends, Spoken};
use crate::dice::Dice;
use crate::fault::FrameFault;
use crate::tap::skewed;
use crate::town::Town;
use std::collections::BTreeMap;
use tegata_core::card::payment::PurseState;
use tegata_core::talk::pay::{ClaimState, load_purse};
use tegata_core::talk::reach::{Address, CallNumber};
use tegata_core::{CardId, DeviceId, PartyId, Time};
use tegata_device::Now;

/// Who says where it is called, or asks for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ringer {
    /// A wallet.
    User(usize),
    /// A terminal.
    Shop(usize),
}

/// A number that somebody was given.
#[derive(Clone, Debug)]
pub struct Given {
    /// The answer.
    pub number: CallNumber,
    /// Who asked.
    pub asker: DeviceId,
    /// A merchant asked; else a user.
    pub by_shop: bool,
    /// Who was asked for.
    pub to: Address,
    /// When, as the request says.
    pub at: Time,
    /// Whom that address means, by receipts; nobody where who holds it was switched off.
    pub callee: Option<DeviceId>,
    /// The merchant on either side.
    pub merchant: Option<PartyId>,
    /// The provider knew when it was asked that whoever is called does not want to hear this merchant.
    pub muted: bool,
    /// So it knew later, and the switch has updated since.
    pub silenced: bool,
    /// A call to it was answered, and the switch has stored that.
    pub answered: bool,
}

/// A number that led to a phone.
#[derive(Clone, Debug)]
pub struct Rang {
    /// The number, as it stood then.
    pub given: Given,
    /// Whose phone.
    pub owner: Option<DeviceId>,
    /// When.
    pub at: Time,
}

/// What the town knows of calls by number.
pub struct Ringing {
    /// Dice of their own.
    pub dice: Dice,
    /// Every phone that was ever named, and by whom.
    pub phones: BTreeMap<String, DeviceId>,
    /// Numbers that were given.
    pub given: Vec<Given>,
    /// Where they led.
    pub rang: Vec<Rang>,
    /// Calls by number that were answered.
    pub answered: u64,
    /// Times that a number was dialled that stood for nobody.
    pub silent: u64,
}

impl Ringing {
    /// Nobody is called yet.
    pub fn new(dice: Dice) -> Self {
        Self { dice, phones: BTreeMap::new(), given: Vec::new(), rang: Vec::new(), answered: 0, silent: 0 }
    }
}

impl Town {
    fn ring_odds(&mut self, per_mille: u64) -> bool {
        self.ringing.as_mut().is_some_and(|ringing| ringing.dice.chance(per_mille))
    }
    fn ring_below(&mut self, bound: u64) -> u64 {
        self.ringing.as_mut().map_or(0, |ringing| ringing.dice.below(bound))
    }
    fn ring_index(&mut self, len: usize) -> usize {
        self.ringing.as_mut().map_or(0, |ringing| ringing.dice.index(len))
    }
    fn ring_now(&mut self, who: Ringer) -> Now {
        let skew = match who {
            Ringer::User(at) => self.people.get(at).map_or(0, |person| person.skew),
            Ringer::Shop(at) => self.tills.get(at).map_or(0, |till| till.skew),
        };
        Now { time: skewed(self.time, skew), entropy: self.ringing.as_mut().map_or([0; 32], |it| it.dice.entropy()) }
    }
    fn ringer(&self, who: Ringer) -> Option<DeviceId> {
        match who {
            Ringer::User(at) => self.people.get(at).map(|person| person.id),
            Ringer::Shop(at) => self.tills.get(at).map(|till| till.id),
        }
    }
    fn ready_ringer(&mut self, who: Ringer) {
        match who {
            Ringer::User(at) => self.ready_person(at),
            Ringer::Shop(at) => self.ready_till(at),
        }
    }
    fn rest_ringer(&mut self, who: Ringer) {
        match who {
            Ringer::User(at) => self.rest(Some(at), None),
            Ringer::Shop(at) => self.rest(None, Some(at)),
        }
    }
    fn draw_ringer(&mut self) -> Ringer {
        match self.ring_odds(500) {
            true => Ringer::User(self.ring_index(self.people.len())),
            false => Ringer::Shop(self.ring_index(self.tills.len())),
        }
    }

    /// Somebody says where it is called, asks for a number or dials one, if it is the day for it.
    pub(super) fn ring_some(&mut self) {
        if !self.ring_odds(self.mix.ringing) {
            return;
        }
        match self.ring_below(100) {
            0..20 => {
                let who = self.draw_ringer();
                let gone = self.ring_odds(150);
                self.ready_ringer(who);
                self.be_called(who, gone);
                self.rest_ringer(who);
            }
            20..85 => self.reach_somebody(),
            _ => {
                let given = self.ringing.as_ref().map_or(0, |ringing| ringing.given.len());
                if given > 0 {
                    let given = self.ring_index(given);
                    self.somebody_dials(given);
                }
            }
        }
    }

    /// Somebody asks for a number, and it is dialled, or not.
    fn reach_somebody(&mut self) {
        let Some((who, to, pair)) = self.whom_to_call() else { return };
        if self.ring_odds(700) {
            self.acquaint(pair, &to);
        }
        let callee = self.called_by(&to, who);
        for side in [Some(who), callee].into_iter().flatten() {
            let named = self.ringer(side).is_some_and(|id| self.is_called(id));
            if self.ring_odds(if named { 100 } else { 850 }) {
                self.ready_ringer(side);
                self.be_called(side, false);
                self.rest_ringer(side);
            }
        }
        let now = self.ring_now(who);
        self.ready_ringer(who);
        let mut given = self.ask_at(who, &to, now);
        self.rest_ringer(who);
        if self.ring_odds(if given.is_some() { 250 } else { 600 }) {
            // The same request once more.
            let entropy = self.ring_now(who).entropy;
            self.ready_ringer(who);
            given = self.ask_at(who, &to, Now { entropy, ..now }).or(given);
            self.rest_ringer(who);
        }
        let Some(given) = given else { return };
        let told = self.ring_odds(500);
        if told {
            self.switch_updates();
        }
        let merchant = self.ringing.as_ref().and_then(|ringing| ringing.given.get(given)?.merchant);
        if let (Some(Ringer::User(at)), Some(merchant), true) = (callee, merchant, self.ring_odds(200)) {
            self.ready_person(at);
            self.mute(at, merchant, true);
            self.rest(Some(at), None);
        }
        if self.ring_odds(if told { 400 } else { 850 }) {
            self.switch_updates();
        }
        let most = if self.ring_odds(300) { 900 } else { 100 };
        let seconds = self.ring_below(most);
        self.wait(seconds);
        self.somebody_dials(given);
        if self.ring_odds(500) {
            self.somebody_dials(given);
        }
    }

    /// Who wants to call whom, and the wallet and terminal of the receipt that lets it.
    fn whom_to_call(&mut self) -> Option<(Ringer, Address, (usize, usize))> {
        let machines: Vec<DeviceId> = self.tills.iter().map(|till| till.id).collect();
        let receipts = |at: usize, it: &crate::town::Person| {
            let all = it.wallet.receipts().unwrap_or_default().into_iter();
            let tills = all.filter_map(|receipt| {
                let till = machines.iter().position(|id| *id == receipt.name.machine)?;
                Some((at, till, receipt.name))
            });
            tills.collect::<Vec<_>>()
        };
        let mut pairs: Vec<_> = self.people.iter().enumerate().flat_map(|(at, it)| receipts(at, it)).collect();
        if pairs.is_empty() {
            return None;
        }
        let (at, till, name) = pairs.swap_remove(self.ring_index(pairs.len()));
        if self.ring_odds(450) {
            // Somebody tries a receipt of another.
            let who = if self.ring_odds(60) { self.ring_index(self.people.len()) } else { at };
            return Some((Ringer::User(who), Address::Receipt(name), (at, till)));
        }
        // Or a customer of another shop; or one that will not hear.
        let who = if self.ring_odds(60) { self.ring_index(self.tills.len()) } else { till };
        let all = self.addresses(who);
        if self.ring_odds(300)
            && let Some(deaf) = self.deaf(who, &all)
        {
            return Some((Ringer::Shop(who), deaf, (at, till)));
        }
        let customer = self.tills[till].terminal.claim(name.transaction).and_then(|claim| claim.notification);
        let customer = customer.filter(|_| self.ring_odds(700)).map(|told| Address::Customer(told.claimed().customer));
        Some((Ringer::Shop(who), customer.unwrap_or(Address::Receipt(name)), (at, till)))
    }

    /// A wallet and a terminal write and read, so that the provider knows how one reaches the other.
    fn acquaint(&mut self, (at, till): (usize, usize), to: &Address) {
        self.ready_till(till);
        self.read_till(till);
        self.rest(None, Some(till));
        let receipts = self.people.get(at).and_then(|person| person.wallet.receipts().ok()).unwrap_or_default();
        if let Some(receipt) = receipts.into_iter().find(|receipt| Some(&receipt.name) == to.receipt()) {
            self.ready_person(at);
            self.ask_about(at, &receipt);
            self.rest(Some(at), None);
        }
    }

    /// Whom this address means to whoever calls it.
    fn called_by(&self, to: &Address, who: Ringer) -> Option<Ringer> {
        match who {
            Ringer::Shop(_) => self.addressee(to).map(Ringer::User),
            Ringer::User(_) => {
                let machine = to.receipt()?.machine;
                self.tills.iter().position(|till| till.id == machine).map(Ringer::Shop)
            }
        }
    }

    fn is_called(&self, id: DeviceId) -> bool {
        let row = self.center.store().and_then(|store| store.phone(id));
        row.ok().flatten().is_some_and(|row| row.phone.is_some())
    }

    /// A device says where it is called from now on: at a phone of its own that nobody has had, or nowhere.
    pub fn be_called(&mut self, who: Ringer, gone: bool) -> bool {
        let Some((id, switch)) = self.ringer(who).zip(self.lines.as_ref().map(|lines| lines.id)) else {
            return false;
        };
        let now = self.ring_now(who);
        let Some(ringing) = &mut self.ringing else { return false };
        let phone = format!("phone-{:04}", ringing.phones.len());
        if !gone {
            ringing.phones.insert(phone.clone(), id);
        }
        let at = (!gone).then_some((switch, phone.clone()));
        let device = match who {
            Ringer::User(at) => self.people.get_mut(at).map(|person| &mut person.wallet.device),
            Ringer::Shop(at) => self.tills.get_mut(at).map(|till| &mut till.terminal.device),
        };
        let Some(device) = device else { return false };
        let told = device.be_called_at(&mut self.center, at, now);
        self.say(|| format!("{who:?} is called at {}: {told:?}", if gone { "nothing" } else { &phone }));
        told.is_ok()
    }

    /// A device asks for a number, without misfortune of its own.
    pub fn ask_number(&mut self, who: Ringer, to: &Address) -> Option<usize> {
        let now = self.ring_now(who);
        self.ask_at(who, to, now)
    }

    fn ask_at(&mut self, who: Ringer, to: &Address, now: Now) -> Option<usize> {
        let (asker, by_shop) = (self.ringer(who)?, matches!(who, Ringer::Shop(_)));
        let callee = self.called_by(to, who);
        let callee = callee.and_then(|callee| self.ringer(callee));
        let owner = |id: DeviceId| self.tills.iter().find(|till| till.id == id)?.terminal.device.owner();
        let merchant = if by_shop { owner(asker) } else { callee.and_then(owner) };
        let known = |(callee, merchant)| self.letters.is_known_muted(callee, merchant);
        let muted = by_shop && callee.zip(merchant).is_some_and(known);
        let device = match who {
            Ringer::User(at) => &mut self.people.get_mut(at)?.wallet.device,
            Ringer::Shop(at) => &mut self.tills.get_mut(at)?.terminal.device,
        };
        let told = device.ask_to_call(&mut self.center, to.clone(), now);
        let off = device.vault.is_off();
        self.say(|| format!("{who:?} asks for a number{}: {told:?}", if muted { " in vain" } else { "" }));
        let number = told.ok().filter(|_| !off)?;
        if !number.number.starts_with(tegata_core::talk::reach::STANDS_FOR)
            || self.lines.as_ref().is_none_or(|lines| lines.id != number.switch)
        {
            self.wrong.push(format!("flow 21: {who:?} was given {number:?}"));
        }
        let restored = self.causes.restored;
        let given = &mut self.ringing.as_mut()?.given;
        let (silenced, answered, at) = (false, false, now.time);
        let new = Given { number, asker, by_shop, to: to.clone(), at, callee, merchant, muted, silenced, answered };
        let before = given.iter().position(|old| (old.asker, &old.to, old.at) == (new.asker, &new.to, new.at));
        let Some(before) = before else {
            given.push(new);
            return Some(given.len() - 1);
        };
        let old = &given[before].number;
        if (&old.number, old.until) == (&new.number.number, new.number.until) {
            return Some(before);
        }
        if !restored {
            self.wrong.push(format!("R26: {who:?} was given {} and then {new:?} by one request", old.number));
        }
        let given = &mut self.ringing.as_mut()?.given;
        given.push(new);
        Some(given.len() - 1)
    }

    /// The switch updates, and may lose power while it does.
    fn switch_updates(&mut self) {
        self.wake_switch();
        if self.ring_odds(self.mix.power)
            && let (Some(lines), Some(ringing)) = (&mut self.lines, &mut self.ringing)
        {
            Self::arm_within(&mut lines.switch.device.vault, &mut ringing.dice, (self.mix.lost_sync, 3));
        }
        self.update_switch();
        self.wake_switch();
        if let Some(lines) = &mut self.lines {
            lines.switch.device.vault.set_faults(tegata_vault::Faults::none());
        }
    }

    /// The switch has updated, and this was no update that had been cut off before: numbers of those whom the provider knows to be muted are silent from here on. Whoever looked into its
    /// records would see where all others lead.
    pub(super) fn numbers_heard(&mut self) {
        let (time, letters) = (self.time, &self.letters);
        let (store, restored) = (self.center.store().ok(), self.causes.restored);
        let Some((ringing, lines)) = self.ringing.as_mut().zip(self.lines.as_ref()) else { return };
        let calm = !restored && lines.tampered.is_none();
        for given in &mut ringing.given {
            let known = |(callee, merchant)| letters.is_known_muted(callee, merchant);
            given.silenced |= given.by_shop && given.callee.zip(given.merchant).is_some_and(known);
            if let Some(phone) = lines.switch.stands_for(&given.number.number, time) {
                let at = given.callee.and_then(|callee| store.as_ref()?.phone(callee).ok().flatten()?.phone);
                if at.is_none_or(|(_, at)| at != phone) && given.callee.is_some() && calm {
                    let number = &given.number.number;
                    self.wrong.push(format!("flow 21: {number} stands for {phone}, where nobody is called any more"));
                }
                let owner = ringing.phones.get(&phone).copied();
                ringing.rang.push(Rang { given: given.clone(), owner, at: time });
            }
        }
    }

    /// Somebody with a telephone card dials this number.
    fn somebody_dials(&mut self, given: usize) -> Option<Dialled> {
        let at = self.ring_index(self.people.len());
        self.call(at, Some(given))
    }

    /// Somebody dials this number. Where it stands for nobody, the switch refuses before anything is charged, as its desk does.
    pub fn dial_number(
        &mut self,
        at: usize,
        card: CardId,
        given: usize,
        plan: Spoken,
        fault: Option<(usize, FrameFault)>,
    ) -> Option<Dialled> {
        let (time, number) = (self.time, self.ringing.as_ref()?.given.get(given)?.number.number.clone());
        let Some(phone) = self.lines.as_ref()?.switch.stands_for(&number, time) else {
            self.ringing.as_mut()?.silent += 1;
            self.say(|| format!("wallet {at} dials {number}: it stands for nobody"));
            return None;
        };
        let seen = self.dial_to(at, card, (&number, true), plan, fault)?;
        let ringing = self.ringing.as_mut()?;
        if seen.rang {
            let owner = ringing.phones.get(&phone).copied();
            ringing.rang.push(Rang { given: ringing.given[given].clone(), owner, at: time });
        }
        ringing.given[given].answered |= seen.answered;
        ringing.answered += u64::from(seen.answered);
        let shown = format!("{:?} {:?}", seen.wallet, seen.switch);
        if ringing.phones.keys().any(|phone| shown.contains(phone.as_str())) {
            self.wrong.push(format!("flow 21: wallet {at} dialled {number} and saw a phone: {shown}"));
        }
        Some(seen)
    }

    /// A wallet that can call, and the card that pays.
    fn able_caller(&self, not: usize) -> Option<(usize, CardId)> {
        (0..self.people.len()).filter(|at| *at != not).chain([not]).find_map(|at| {
            let (person, card) = (self.people.get(at)?, self.telephone(at)?);
            let barred = !self.is_honest_person(person)
                || self.causes.blocked.contains(&card)
                || self.is_lost(card)
                || self.is_given_back(card);
            let purse = load_purse(&person.wallet.device, card)?;
            let able = purse.remaining > 300 && purse.state == PurseState::Active;
            (able && !barred).then_some((at, card))
        })
    }

    /// In calm, everybody who may write to somebody gets a number that rings there.
    pub fn everybody_rings(&mut self) {
        if self.ringing.is_none() || self.lines.as_ref().is_none_or(|lines| lines.tampered.is_some()) {
            return;
        }
        for at in 0..self.people.len() {
            for till in 0..self.tills.len() {
                if self.is_honest_person(&self.people[at]) && self.is_honest_till(&self.tills[till]) {
                    self.both_ring(at, till);
                }
            }
        }
    }

    fn both_ring(&mut self, at: usize, till: usize) {
        let receipts = self.people[at].wallet.receipts().unwrap_or_default().into_iter();
        let id = self.tills[till].id;
        let receipt = receipts.rev().filter(|receipt| receipt.name.machine == id).find(|receipt| {
            let claim = self.tills[till].terminal.claim(receipt.name.transaction);
            let paid = claim.is_some_and(|claim| claim.state == ClaimState::Paid);
            paid && !self.is_of_lost(receipt)
        });
        let Some(receipt) = receipt else { return };
        self.read_till(till);
        self.mute(at, receipt.merchant, false);
        // So that the merchant reaches the user by this receipt.
        self.ask_about(at, &receipt);
        let (user, shop) = (Ringer::User(at), Ringer::Shop(till));
        self.be_called(user, false);
        self.be_called(shop, false);
        let to = Address::Receipt(receipt.name);
        for (who, callee) in [(user, id), (shop, self.people[at].id)] {
            let given = self.ask_number(who, &to);
            self.update_switch();
            let rings = given.and_then(|given| self.rings_in_calm(given, at));
            if rings != Some(callee) {
                self.wrong.push(format!("liveness: {who:?} cannot call {callee} in calm, but {rings:?}"));
            }
        }
    }

    /// Whose phone rings.
    fn rings_in_calm(&mut self, given: usize, not: usize) -> Option<DeviceId> {
        let number = self.ringing.as_ref()?.given.get(given)?.number.number.clone();
        let phone = self.lines.as_ref()?.switch.stands_for(&number, self.time)?;
        if let Some((by, card)) = self.able_caller(not) {
            let plan = Spoken { rings: 1_000, speaks: Some(20_000), ends: Ends::Stop, limit: None };
            let seen = self.dial_number(by, card, given, plan, None)?;
            if !seen.answered || seen.spoke != 20_000 {
                return None;
            }
        }
        self.ringing.as_ref()?.phones.get(&phone).copied()
    }
}
