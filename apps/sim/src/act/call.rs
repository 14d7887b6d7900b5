//! People call: each has a telephone card, and one switch connects them. Calls end in every way, wallets and switch lose power in them,
//! and the words between them get lost. Where cards are sold over the network, one of them holds call units.

use super::surf;
use crate::dial::{Dial, Dialled, Ends, Spoken, SwitchSide};
use crate::dice::Dice;
use crate::fault::FrameFault;
use crate::park::{Comes, Happens, Park, Parked};
use crate::post::Center;
use crate::tap::Clocks;
use crate::template::{LIST_AGE, RECORD_AGE, START, UNITS, UNITS_ARTICLE, template};
use crate::town::Town;
use std::sync::Arc;
use tegata_core::card::{CallEnd, CardKind, Terms};
use tegata_core::charging::{Rate, Tariff};
use tegata_core::step::Broken;
use tegata_core::talk::call::{Call, Caller, Exchange, SwitchNotice};
use tegata_core::talk::journal::Through;
use tegata_core::talk::pay::load_purse;
use tegata_core::talk::reach::STANDS_FOR;
use tegata_core::wire::certificate::Role;
use tegata_core::{Amount, CardId, DeviceId, PartyId, Time, Unit};
use tegata_device::{Now, Summary, UpdateStep, Updating, hang_up_all, join, post_one};
use tegata_issuer::{Issuer, Offered};
use tegata_switch::Switch;
use tegata_vault::{Faults, SimulatedVault};

/// What a telephone card holds at first, in cents.
const FACE: u64 = 2_000;
/// What all telephone cards hold at first, in cents.
pub const PRINTED: u64 = FACE * crate::template::WALLETS as u64;
/// Milliseconds of a unit.
const UNIT: u64 = 60_000;

/// A number that is called through a trunk whose operator nobody knows.
pub const UNKNOWN_OPERATOR: &str = "1400";

/// What the town knows of calls.
pub struct Lines {
    /// Dice of their own.
    pub dice: Dice,
    /// Dice of whoever surfs: they shift no call.
    pub surfs: Dice,
    /// The switch.
    pub switch: Switch<SimulatedVault>,
    /// Who it is to the provider.
    pub id: DeviceId,
    /// Why it is not an honest switch on a disk that keeps what it stored; `None` if it is.
    pub tampered: Option<&'static str>,
    /// Telephone cards by number, not installed yet.
    numbers: Vec<String>,
    /// Calls that were connected.
    pub connected: u64,
    /// Calls that were cut when what was paid was over.
    pub cut: u64,
    /// Calls that wallets ended from their records.
    pub hung_up: u64,
    /// Ways to the network that were opened.
    pub surfed: u64,
    /// What its issuer says that calls cost, in each unit.
    tariffs: Vec<Tariff>,
    /// It charges more than that, for the call at hand.
    dearer: bool,
    /// Its last update did not come to its end.
    cut_off: bool,
    /// How often it was started: what it was doing before is forgotten.
    starts: u64,
    /// When the answer to an update comes during the next call that one is parked in, and how; the matrix says.
    pub parks: Option<(usize, Comes)>,
}

/// The sort of card that pays for calls.
fn terms() -> Terms {
    Terms {
        kind: CardKind::Telephone,
        name: "Town calls".into(),
        max_payment: 5_000,
        list_age: LIST_AGE,
        record_age: RECORD_AGE,
        ..crate::template::terms(template().issuer_party)
    }
}

/// What a call costs to numbers with this prefix.
fn rate(prefix: &str, (setup, price, length): (u64, u64, u64), setup_kept: Option<bool>) -> Rate {
    let (prefix, when) = (prefix.into(), None);
    Rate { prefix, when, setup, price, length, minimum: 1, setup_kept, extensions: Default::default() }
}

/// What a way to the network costs at the town's hotspot, with a least of several units.
fn surfing((setup, price): (u64, u64)) -> Rate {
    Rate { minimum: surf::LEAST, ..rate(surf::SERVICE, (setup, price, surf::UNIT), None) }
}

/// The issuer sells telephone cards of call units over the network, and says what calls cost in units.
fn sell_units(
    center: &mut Center,
    issuer: &mut Issuer<SimulatedVault>,
    mut now: impl FnMut() -> Now,
) -> Result<(), String> {
    let (count, cents, stock) = UNITS;
    let offered = Offered {
        terms: Terms { unit: Unit::CALL_UNITS, name: "Town units".into(), ..terms() },
        face: Amount::new(Unit::CALL_UNITS, count).ok_or("units")?,
        price: Amount::new(Unit::USD, cents).ok_or("a price")?,
        stock,
        until: START.after(1000 * Time::DAY),
        valid_for: 2000 * Time::DAY,
        clear_after: None,
    };
    issuer.list(center, UNITS_ARTICLE, offered, now()).map_err(|error| error.to_string())?;
    let rates = vec![
        rate("", (1, 1, UNIT), None),
        rate("1", (2, 3, UNIT), Some(true)),
        rate("7", (0, 1, 250), None),
        rate(STANDS_FOR, (1, 2, UNIT), None),
        surfing((0, 1)),
    ];
    let set = issuer.set_tariff(center, (Unit::CALL_UNITS, 0), rates, now());
    set.map(|_| ()).map_err(|error| error.to_string())
}

impl Lines {
    /// A switch joins, the issuer prints telephone cards and says what calls cost; before the first day. `sells`: it also sells some of
    /// call units.
    ///
    /// # Errors
    /// In words.
    pub fn open(
        center: &mut Center,
        issuer: &mut Issuer<SimulatedVault>,
        (broken, sells): (Broken, bool),
        (mut dice, surfs): (Dice, Dice),
    ) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let seed = dice.entropy();
        let mut device = crate::town::new_device(SimulatedVault::new(Faults::none()), seed, broken);
        let owner = template().merchants.first().copied();
        let (time, entropy) = (center.now, dice.entropy());
        let provider = center.provider().ok_or("no provider")?;
        let token = provider.invite(Role::Switch, owner, "Exchange", time, entropy).map_err(|error| told(&error))?;
        let info = provider.info().clone();
        let mut now = || Now { time, entropy: dice.entropy() };
        join(&mut device, center, &info, &token, Role::Switch, "Exchange", now()).map_err(|error| told(&error))?;
        let amount = Amount::new(Unit::USD, FACE).ok_or("a face")?;
        let until = time.after(2000 * Time::DAY);
        let count = crate::template::WALLETS as u64;
        let batch = issuer.order(center, terms(), amount, (count, until), now()).map_err(|error| told(&error))?;
        issuer.activate(center, batch, (1, count), now()).map_err(|error| told(&error))?;
        let printed = issuer.print(batch).map_err(|error| told(&error))?;
        let rates = vec![
            rate("", (10, 60, UNIT), None),
            rate("1", (25, 45, UNIT), Some(true)),
            // Paid link by link.
            rate("7", (5, 2, 250), None),
            // Numbers that stand for somebody.
            rate(STANDS_FOR, (15, 50, UNIT), None),
            surfing((3, 5)),
        ];
        issuer.set_tariff(center, (Unit::USD, 0), rates, now()).map_err(|error| told(&error))?;
        if sells {
            sell_units(center, issuer, &mut now)?;
        }
        let mut switch = Switch::new(device);
        switch.update(center, now()).map_err(|error| told(&error))?;
        let id = switch.device.id().ok_or("a switch")?;
        let numbers = printed.into_iter().map(|printed| printed.number.to_string()).collect();
        let exchange = switch.exchange().map_err(|error| told(&error))?;
        let tariffs: Vec<Tariff> = exchange.tariffs.iter().map(|(_, tariff)| tariff.clone()).collect();
        if tariffs.len() != 1 + usize::from(sells) {
            return Err("a switch that does not know every tariff".into());
        }
        Ok(Self {
            dice,
            surfs,
            switch,
            id,
            tampered: None,
            numbers,
            connected: 0,
            cut: 0,
            hung_up: 0,
            surfed: 0,
            tariffs,
            dearer: false,
            cut_off: false,
            starts: 0,
            parks: None,
        })
    }
    /// What its switch charges by now.
    fn exchange(&mut self) -> Option<Arc<Exchange>> {
        let exchange = self.switch.exchange().ok()?;
        if !self.dearer {
            return Some(exchange);
        }
        let mut dearer = Exchange::clone(&exchange);
        for rate in dearer.tariffs.iter_mut().flat_map(|(_, tariff)| &mut tariff.rates) {
            rate.price += 1;
        }
        Some(Arc::new(dearer))
    }
    /// Far away they are called through a trunk of the second merchant, or through one whose operator was mistyped.
    fn through(called: &str) -> Option<Through> {
        let (trunk, operator) = match called {
            UNKNOWN_OPERATOR => ("other", Some(PartyId([0xee; 16]))),
            _ if called.starts_with('1') => ("carrier", template().merchants.get(1).copied()),
            _ => return None,
        };
        Some(Through { trunk: trunk.to_owned(), operator, extensions: Default::default() })
    }
    /// Who is paid for a call: whose trunk it went through, if that is a merchant, else the owner of the switch.
    pub fn paid_for(called: &str) -> Option<PartyId> {
        let merchants = &template().merchants;
        let operator = Self::through(called).and_then(|through| through.operator);
        operator.filter(|operator| merchants.contains(operator)).or_else(|| merchants.first().copied())
    }
    /// What the switch charges for a unit of a call to this number that is paid in money, by what it has heard.
    pub fn charges(&mut self, called: &str, now: Time) -> Option<u64> {
        let exchange = self.switch.exchange().ok()?;
        let tariffs = exchange.tariffs.iter().map(|(_, tariff)| tariff).filter(|tariff| tariff.unit == Unit::USD);
        let counts = tariffs.max_by_key(|tariff| tariff.number)?;
        counts.rate(called, now).map(|rate| rate.price)
    }
    /// Whether a call was charged otherwise than its issuer says.
    pub fn is_dearer(&self, call: &Call) -> bool {
        !self.tariffs.iter().any(|tariff| tariff.prices(call.tariff.claimed()))
    }
}

impl Town {
    pub(super) fn line_odds(&mut self, per_mille: u64) -> bool {
        self.lines.as_mut().is_some_and(|lines| lines.dice.chance(per_mille))
    }
    fn line_below(&mut self, bound: u64) -> u64 {
        self.lines.as_mut().map_or(0, |lines| lines.dice.below(bound))
    }
    fn line_now(&mut self, skew: i64) -> Now {
        let time = crate::tap::skewed(self.time, skew);
        Now { time, entropy: self.lines.as_mut().map_or([0; 32], |lines| lines.dice.entropy()) }
    }
    /// Whether this card pays for calls, and for nothing else.
    pub fn is_telephone(&self, at: usize, card: CardId) -> bool {
        let device = self.people.get(at).map(|person| &person.wallet.device);
        device
            .and_then(|device| load_purse(device, card))
            .is_some_and(|purse| purse.certificate.claimed().kind == CardKind::Telephone)
    }
    /// The telephone card of a wallet that holds money.
    pub fn telephone(&self, at: usize) -> Option<CardId> {
        let cards = self.people.get(at)?.wallet.device.cards().ok()?;
        cards.into_iter().find(|card| self.is_telephone(at, *card) && !self.holds_units(at, *card))
    }
    /// A telephone card of a wallet that holds units, and was not given back.
    pub fn units_card(&self, at: usize) -> Option<CardId> {
        let cards = self.people.get(at)?.wallet.device.cards().ok()?;
        cards.into_iter().find(|card| self.holds_units(at, *card) && !self.is_given_back(*card))
    }
    /// Whether this card holds units.
    fn holds_units(&self, at: usize, card: CardId) -> bool {
        let purse = self.people.get(at).and_then(|person| load_purse(&person.wallet.device, card));
        purse.is_some_and(|purse| purse.certificate.claimed().face.unit() == Unit::CALL_UNITS)
    }
    /// Whether somebody buys units rather than something else; and the card that they are for.
    pub(super) fn wants_units(&mut self, at: usize) -> Option<Option<CardId>> {
        if !self.sells || !self.line_odds(350) {
            return None;
        }
        let card = self.units_card(at);
        Some(card.filter(|_| self.line_odds(500)))
    }

    /// Somebody calls, or the switch updates, if it is the day for it.
    pub(super) fn call_some(&mut self) {
        if !self.line_odds(self.mix.calls) {
            return;
        }
        match self.line_below(100) {
            0..70 => {
                let people = self.people.len() as u64;
                let at = usize::try_from(self.line_below(people)).unwrap_or(0);
                self.call_from(at);
            }
            _ => {
                self.update_switch();
            }
        }
    }

    /// A wallet gets its telephone card, if it has none.
    pub fn equip_caller(&mut self, at: usize) -> Option<CardId> {
        if let Some(card) = self.telephone(at) {
            return Some(card);
        }
        let number = self.lines.as_mut()?.numbers.pop()?;
        let now = self.line_now(self.people.get(at)?.skew);
        let person = self.people.get_mut(at)?;
        let done = person.wallet.install(&mut self.center, &number, None, now);
        self.say(|| format!("wallet {at} installs a telephone card: {done:?}"));
        if done.is_err() {
            // Typed again some other day.
            self.lines.as_mut()?.numbers.push(number);
        }
        done.ok()
    }

    /// Somebody calls somebody.
    pub fn call_from(&mut self, at: usize) -> Option<Dialled> {
        self.call(at, None)
    }

    /// The same, by a number that somebody was given, or by one that everybody knows.
    pub fn call(&mut self, at: usize, given: Option<usize>) -> Option<Dialled> {
        self.wake_person(at);
        self.wake_switch();
        let mut card = self.equip_caller(at)?;
        if let Some(units) = self.units_card(at)
            && self.line_odds(500)
        {
            card = units;
        }
        if self.line_odds(self.mix.power)
            && let (Some(person), Some(lines)) = (self.people.get_mut(at), &mut self.lines)
        {
            // In the middle of it, mostly.
            let vault =
                if lines.dice.chance(500) { &mut person.wallet.device.vault } else { &mut lines.switch.device.vault };
            Self::arm_within(vault, &mut lines.dice, (self.mix.lost_sync, 8));
        }
        let speaks = match self.line_below(10) {
            0 => None,
            1..3 => Some(self.line_below(30 * UNIT)),
            _ => Some(self.line_below(4 * UNIT)),
        };
        let ends = [Ends::Stop, Ends::HangsUp, Ends::Called, Ends::Vanishes];
        let ends = ends.get(usize::try_from(self.line_below(4)).unwrap_or(0)).copied().unwrap_or(Ends::Stop);
        let limit = self.line_odds(150).then(|| self.line_below(200));
        let plan = Spoken { rings: self.line_below(30_000), speaks, ends, limit };
        let fault = match self.line_odds(self.mix.frames) {
            true => {
                let number = usize::try_from(self.line_below(14)).unwrap_or(0);
                let fault = self.lines.as_mut()?.dice.pick(&FrameFault::ALL);
                fault.map(|fault| (if fault == FrameFault::Version { 0 } else { number }, fault))
            }
            false => None,
        };
        let dearer = self.mix.terminal_cheats > 0 && self.line_odds(self.mix.terminal_cheats);
        if let Some(lines) = &mut self.lines {
            lines.dearer = dearer;
        }
        let seen = match given {
            Some(given) => self.dial_number(at, card, given, plan, fault),
            None => self.dial(at, card, plan, fault),
        };
        if let Some(lines) = &mut self.lines {
            lines.dearer = false;
        }
        if let Some(person) = self.people.get_mut(at) {
            person.wallet.device.vault.set_faults(Faults::none());
        }
        if let Some(lines) = &mut self.lines {
            lines.switch.device.vault.set_faults(Faults::none());
        }
        // Whoever was in it and is here still ends it: the app does when it is opened again, the switch when it is started.
        if self.line_odds(700) {
            self.hang_up(at);
        }
        seen
    }

    /// The call itself, to some number.
    pub fn dial(
        &mut self,
        at: usize,
        card: CardId,
        plan: Spoken,
        fault: Option<(usize, FrameFault)>,
    ) -> Option<Dialled> {
        let (called, most) = match self.line_below(1000) {
            0..300 => ("1900", u64::MAX),
            300..450 => ("7700", 40_000),
            _ => ("4930", u64::MAX),
        };
        let plan = Spoken { speaks: plan.speaks.map(|speaks| speaks.min(most)), ..plan };
        self.dial_to(at, card, (called, false), plan, fault)
    }

    /// The call itself, to this number; it may stand for somebody, once.
    pub fn dial_to(
        &mut self,
        at: usize,
        card: CardId,
        (called, once): (&str, bool),
        plan: Spoken,
        fault: Option<(usize, FrameFault)>,
    ) -> Option<Dialled> {
        self.connect(at, card, (called, once), (plan, fault), None)
    }

    /// The call itself, to a number that everybody knows, while an update of the switch is parked; and what came of that.
    pub fn dial_meanwhile(
        &mut self,
        at: usize,
        card: CardId,
        plan: Spoken,
        fault: Option<(usize, FrameFault)>,
        park: Park,
    ) -> (Option<Dialled>, Result<Summary, String>) {
        if let Happens::Block(card) = park.happens {
            self.causes.blocked.insert(card);
        }
        let mut parked = Parked::new(park);
        let seen = self.connect(at, card, ("4930", false), (plan, fault), Some(&mut parked));
        let done = self.brought(parked);
        // What the issuer has signed by now, it has said, whoever has heard of it.
        let said = self.issuer.tariffs().unwrap_or_default();
        if let Some(lines) = &mut self.lines {
            let new = said.iter().map(|signed| signed.claimed()).filter(|tariff| !lines.tariffs.contains(tariff));
            let new: Vec<Tariff> = new.cloned().collect();
            lines.tariffs.extend(new);
        }
        self.switch_has_updated(&done);
        (seen, done)
    }

    /// The rest of an update that was parked.
    fn brought(&mut self, mut parked: Parked) -> Result<Summary, String> {
        while parked.is_due(usize::MAX) {
            let now = self.line_now(0);
            let lines = self.lines.as_mut().ok_or("no switch")?;
            parked.go_on(usize::MAX, (&mut lines.switch, &mut self.center, &mut self.issuer), now);
        }
        let summary = parked.done().ok_or("it has not ended")??;
        let lines = self.lines.as_mut().ok_or("no switch")?;
        lines.switch.updated(self.time, None).map_err(|error| error.to_string())?;
        Ok(summary)
    }

    fn connect(
        &mut self,
        at: usize,
        card: CardId,
        (called, once): (&str, bool),
        (plan, fault): (Spoken, Option<(usize, FrameFault)>),
        parked: Option<&mut Parked>,
    ) -> Option<Dialled> {
        self.hang_up(at);
        let payer = self.people.get(at)?.wallet.payer(card).ok()?;
        let caller = Caller { payer, called: called.into(), limit: plan.limit };
        let lines = self.lines.as_mut()?;
        let exchange = lines.exchange()?;
        let clocks = Clocks { time: self.time, wallet: self.people.get(at)?.skew, terminal: 0 };
        let dial = Dial::start((caller, exchange, Lines::through(called)), clocks, fault, &mut lines.dice).ok()?;
        let dial = dial.once(once.then(|| called.to_owned()));
        let wallet = &mut self.people.get_mut(at)?.wallet.device;
        let issuer = &mut self.issuer;
        let mut side = SwitchSide { own: &mut lines.switch, center: &mut self.center, issuer, parked };
        let seen = dial.run((wallet, &mut side), plan, &mut self.air, &mut lines.dice);
        self.crossed = seen.crossed;
        let (rang, spoke) = (seen.rang, seen.spoke);
        lines.connected += u64::from(rang && spoke > 0);
        lines.cut += u64::from(seen.switch.contains(&SwitchNotice::HangUp(CallEnd::PaidTimeOver)));
        self.say(|| format!("wallet {at} calls {called} with {card} ({plan:?}, {fault:?}): {seen:?}"));
        self.no_more_than_a_unit(&seen);
        Some(seen)
    }

    /// Nobody speaks more than one unit beyond what is stored as paid (R24).
    pub(super) fn no_more_than_a_unit(&mut self, seen: &Dialled) {
        let Some(lines) = self.lines.as_ref().filter(|lines| lines.tampered.is_none()) else { return };
        let Ok(calls) = lines.switch.calls() else { return };
        let Some(call) = calls.last() else { return };
        let tariff = call.tariff.claimed();
        let paid = call.paid().saturating_sub(tariff.setup) / tariff.price.max(1);
        // Of units shorter than a second, the first one is waited for as long.
        let most = (paid + 1) * tariff.length;
        if seen.spoke > if tariff.is_linked() { most.max(1_000) } else { most } {
            self.wrong.push(format!("R24: they spoke {} ms where {paid} units are paid", seen.spoke));
        }
    }

    /// A wallet ends the calls that it was in, and the switch those that it does not connect any more.
    pub fn hang_up(&mut self, at: usize) {
        self.wake_switch();
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.line_now(skew);
        let person = self.people.get_mut(at);
        let ended = person.and_then(|person| hang_up_all(&mut person.wallet.device, now).ok()).unwrap_or(0);
        let now = self.line_now(0);
        if let Some(lines) = &mut self.lines {
            lines.hung_up += ended as u64;
            let _ = lines.switch.recover(now);
        }
    }

    /// The switch is started again, if it was off.
    pub fn wake_switch(&mut self) {
        let Some(lines) = self.lines.as_mut().filter(|lines| lines.switch.device.vault.is_off()) else { return };
        let device = &mut lines.switch.device;
        device.vault.power_cut();
        device.vault.set_faults(Faults::none());
        device.forget_channel();
        if device.vault.forgot() {
            lines.tampered = lines.tampered.or(Some("its disk lied"));
        }
        lines.starts += 1;
        self.faults += 1;
        let now = self.line_now(0);
        if let Some(lines) = &mut self.lines {
            let _ = lines.switch.recover(now);
        }
        self.say(|| "the switch is started again".into());
    }

    /// The switch brings its log to the provider.
    pub fn update_switch(&mut self) -> bool {
        self.wake_switch();
        let done = self.switch_brings();
        self.switch_has_updated(&done)
    }

    /// What the town knows once an update of the switch has ended, however.
    fn switch_has_updated(&mut self, done: &Result<Summary, String>) -> bool {
        let Some(lines) = &mut self.lines else { return true };
        let id = lines.id;
        if done.is_ok() {
            self.causes.heard(id, self.time);
        }
        self.say(|| format!("the switch updates: {done:?}"));
        // One that was cut off is answered as it was then: what happened since comes with the next.
        let fresh = self.lines.as_mut().is_some_and(|lines| !std::mem::replace(&mut lines.cut_off, done.is_err()));
        if done.is_ok() && fresh {
            self.numbers_heard();
        }
        done.is_ok()
    }

    /// Turn by turn; sometimes somebody calls while it waits for an answer.
    fn switch_brings(&mut self) -> Result<Summary, String> {
        let now = self.line_now(0);
        let lines = self.lines.as_mut().ok_or("no switch")?;
        let mut step = Updating::meanwhile(&mut lines.switch.device, now);
        loop {
            let (updating, envelope) = match step.map_err(|error| error.to_string())? {
                UpdateStep::Posts(updating, envelope) => (updating, envelope),
                UpdateStep::Done(summary) => {
                    let lines = self.lines.as_mut().ok_or("no switch")?;
                    lines.switch.updated(self.time, None).map_err(|error| error.to_string())?;
                    return Ok(summary);
                }
            };
            let answer = post_one(&mut self.center, envelope);
            let starts = self.lines.as_ref().map(|lines| lines.starts);
            if self.mix.calls > 0 && !self.people.is_empty() && self.line_odds(150) {
                let at = usize::try_from(self.line_below(self.people.len() as u64)).unwrap_or(0);
                self.say(|| format!("wallet {at} calls while the switch waits for an answer"));
                self.call_from(at);
                self.wake_switch();
            }
            let now = self.line_now(0);
            let lines = self.lines.as_mut().ok_or("no switch")?;
            if Some(lines.starts) != starts {
                return Err("the switch lost power while it waited".into());
            }
            step = lines.switch.answered(updating, answer, now);
        }
    }

    /// In calm: every call has ended, the switch updates, and everybody can call again.
    pub fn calm_lines(&mut self) {
        if self.lines.is_none() {
            return;
        }
        self.wake_switch();
        for at in 0..self.people.len() {
            self.hang_up(at);
        }
    }

    /// In calm, everybody can call.
    pub fn everybody_calls(&mut self) {
        if self.lines.as_ref().is_none_or(|lines| lines.tampered.is_some()) {
            return;
        }
        for at in 0..self.people.len() {
            let Some(card) = self.telephone(at) else { continue };
            let person = &self.people[at];
            let barred = person.tampered.is_some()
                || self.causes.revoked.contains_key(&person.id)
                || self.causes.blocked.contains(&card)
                || self.is_lost(card)
                || self.is_given_back(card);
            let enough = load_purse(&person.wallet.device, card).is_some_and(|purse| purse.remaining > 500);
            if barred || !enough {
                continue;
            }
            let plan = Spoken { rings: 1_000, speaks: Some(90_000), ends: Ends::Stop, limit: None };
            let seen = self.dial_to(at, card, ("4930", false), plan, None);
            if seen.is_none_or(|seen| seen.spoke != 90_000) {
                self.wrong.push(format!("liveness: wallet {at} cannot call in calm"));
            }
        }
    }
}
