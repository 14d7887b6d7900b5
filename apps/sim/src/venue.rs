//! The venue of a town with an event: its gates, and the network between them that loses, repeats, delays and changes pages of
//! their logs, and falls apart (R22).

use crate::dice::{Dice, flip};
use crate::tap::skewed;
use crate::template::GATES;
use crate::town::Town;
use std::collections::BTreeSet;
use tegata_core::talk::enter::{Direction, Listened, Page, Relay};
use tegata_core::talk::journal::Journal;
use tegata_core::wire::certificate::Certificate;
use tegata_core::wire::signed::Signed;
use tegata_core::{CardId, DeviceId, Time};
use tegata_device::{Device, Now};
use tegata_gate::Gate;
use tegata_vault::{SimulatedVault, Snapshot};

/// After how many seconds without a word a neighbour is not heard any more, as in the gate's program.
pub const SILENCE: u64 = 3;

/// Rounds of pages until what a lost gate has told is with everybody, at most: a page a round.
const MOST_TOLD: usize = 200;

/// A gate and what became of it.
pub struct GateAt {
    /// The gate.
    pub gate: Gate<SimulatedVault>,
    /// Who it is to the provider.
    pub id: DeviceId,
    /// Its door.
    pub door: u64,
    /// Which way it lets pass.
    pub direction: Direction,
    /// What its clock is off by, in seconds.
    pub skew: i64,
    /// Why it is not a gate on a disk that keeps what it stored; `None` if it is.
    pub tampered: Option<&'static str>,
    /// It hardly ever uploads.
    pub late: bool,
    /// Its store is gone for good; what it was is kept here to judge by, and takes part in nothing.
    pub lost: bool,
    /// Up to this entry of its log it had brought everything when the provider was put back, and forgot it.
    pub forgotten: u64,
    /// Earlier states of it.
    pub snapshots: Vec<Snapshot>,
}

impl GateAt {
    /// A gate that begins here.
    pub fn new(device: Device<SimulatedVault>, id: DeviceId, (door, direction): (u64, Direction)) -> Self {
        let gate = Gate::new(device);
        Self {
            gate,
            id,
            door,
            direction,
            skew: 0,
            tampered: None,
            late: false,
            lost: false,
            forgotten: 0,
            snapshots: Vec::new(),
        }
    }
    /// Whether the provider has an entry of its log, as far as it knows; one that is there brings everything in the end.
    pub fn has_brought(&self, number: u64) -> bool {
        let known = |journal: Journal| number > self.forgotten && number <= journal.acknowledged;
        !self.lost || Journal::load(&self.gate.device).is_some_and(known)
    }
    /// The zone behind its door.
    pub fn zone(&self) -> u64 {
        GATES.iter().find(|(door, ..)| *door == self.door).map_or(0, |(_, zone, _)| *zone)
    }
}

/// A gate that opened, as the town saw it.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Which gate.
    pub gate: usize,
    /// For which ticket.
    pub card: CardId,
    /// Of which generation.
    pub generation: u64,
    /// Into which zone.
    pub zone: u64,
    /// For which entry.
    pub entry: u64,
    /// That it has opened is not stored: it may open once more (R20).
    pub unsure: bool,
    /// By a code on a screen.
    pub window: bool,
}

/// A code that was on a screen, and may be on others.
#[derive(Clone, Debug)]
pub struct Code {
    /// What a camera reads.
    pub bytes: Vec<u8>,
    /// When, by its wallet's clock.
    pub at: Time,
    /// Its ticket.
    pub card: CardId,
    /// The only door of this ticket where a gate that hears no other takes it.
    pub door: Option<u64>,
}

/// What can happen to a page on its way between gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageFault {
    /// It is lost, or the question was.
    Lose,
    /// It arrives twice.
    Duplicate,
    /// It arrives after others.
    Delay,
    /// A bit changes.
    Corrupt,
}

impl PageFault {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Lose, Self::Duplicate, Self::Delay, Self::Corrupt];
    /// As the matrix prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lose => "page lost",
            Self::Duplicate => "page duplicated",
            Self::Delay => "page delayed",
            Self::Corrupt => "page corrupted",
        }
    }
}

/// What can happen to a code between a screen and a camera (R21).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeFault {
    /// No camera reads it.
    Lose,
    /// It is read twice.
    Duplicate,
    /// A bit changes.
    Corrupt,
    /// It is read when it is over.
    Late,
    /// Somebody else shows a picture of it first, at another door that hears no other.
    Alone,
    /// Somebody else shows a picture of it first, at another door that hears all.
    Picture,
}

impl CodeFault {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Lose, Self::Duplicate, Self::Corrupt, Self::Late, Self::Alone, Self::Picture];
    /// As the matrix prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lose => "code not read",
            Self::Duplicate => "code read twice",
            Self::Corrupt => "code corrupted",
            Self::Late => "code read late",
            Self::Alone => "picture first, door alone",
            Self::Picture => "picture first, all heard",
        }
    }
}

/// When a page goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagePlan {
    /// So often, in a thousand.
    Sometimes(u64),
    /// The page of this number (from 0), this way.
    At(u64, PageFault),
}

/// An answer on its way: a page of the teller's own log, and one that it tells on of a gate that the listener cannot hear (R22).
struct Flying {
    to: usize,
    certificate: Vec<u8>,
    page: Vec<u8>,
    relay: Option<Vec<u8>>,
}

/// The venue.
pub struct Venue {
    /// Its gates.
    pub gates: Vec<GateAt>,
    /// Dice of their own.
    pub dice: Dice,
    /// Gates that opened.
    pub opened: Vec<Opened>,
    /// Codes that were seen.
    pub codes: Vec<Code>,
    /// What happens to the code of this number (from 0); the matrix says.
    pub code_plan: Option<(usize, CodeFault)>,
    /// A ticket was shown to a gate that did not hear all.
    pub deaf: bool,
    /// A gate lost power, or could not store.
    pub failed: bool,
    /// What goes wrong with pages.
    pub plan: PagePlan,
    /// Pages told so far.
    pub told: u64,
    /// Pages told on that brought something new.
    pub relayed: u64,
    /// Pages that went wrong.
    pub faults: u64,
    cut: BTreeSet<(usize, usize)>,
    flying: Vec<Flying>,
}

impl Venue {
    /// The provider was put back: what gates had brought is sent again by those that are there.
    pub fn forget_brought(&mut self) {
        for gate in &mut self.gates {
            let brought = Journal::load(&gate.gate.device).map_or(0, |journal| journal.acknowledged);
            gate.forgotten = gate.forgotten.max(brought);
        }
    }
    /// A venue with these gates; its network goes wrong so often, in a thousand.
    pub fn new(gates: Vec<GateAt>, dice: Dice, lan: u64) -> Self {
        Self {
            gates,
            dice,
            opened: Vec::new(),
            codes: Vec::new(),
            code_plan: None,
            deaf: false,
            failed: false,
            plan: PagePlan::Sometimes(lan),
            told: 0,
            relayed: 0,
            faults: 0,
            cut: BTreeSet::new(),
            flying: Vec::new(),
        }
    }
    /// The network falls apart between some, or comes together again.
    pub fn part(&mut self) {
        self.cut.clear();
        if self.dice.chance(350) {
            return;
        }
        let alone = self.dice.index(self.gates.len());
        for (one, two) in pairs(self.gates.len()) {
            if one == alone || two == alone || self.dice.chance(250) {
                self.cut.insert((one, two));
            }
        }
    }
    /// The network is whole, and nothing goes wrong on it any more.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.flying.clear();
        self.plan = PagePlan::Sometimes(0);
    }
    /// Whether a gate is there.
    pub fn stands(&self, at: usize) -> bool {
        self.gates.get(at).is_some_and(|gate| !gate.lost)
    }
    /// Gates that are there, and kept what they stored.
    pub fn standing(&self) -> impl Iterator<Item = (usize, &GateAt)> {
        self.gates.iter().enumerate().filter(|(_, gate)| !gate.lost && gate.tampered.is_none())
    }
    /// How far any of them has heard a gate.
    pub fn told_of(&self, gate: DeviceId) -> u64 {
        self.standing().map(|(_, other)| other.gate.heard(gate).number).max().unwrap_or(0)
    }
    /// Whether an entry of a gate's log is not lost with it.
    pub fn is_told(&self, gate: &GateAt, number: u64) -> bool {
        !gate.lost || number <= self.told_of(gate.id)
    }
    /// Whether a gate hears all whom its set-up names, as the gate's program has it.
    pub fn hears(&mut self, at: usize, time: Time) -> bool {
        let Some(own) = self.gates.get_mut(at) else {
            return false;
        };
        let (id, now) = (own.id, skewed(time, own.skew));
        let Ok(door) = own.gate.door() else {
            return false;
        };
        let mut others = door.setup.gates.iter().filter(|other| **other != id);
        others.all(|other| own.gate.heard(*other).is_heard(now, SILENCE))
    }
    /// Whether it hears every gate that is there, whatever it was told of them.
    pub fn hears_everybody(&self, at: usize, time: Time) -> bool {
        let Some(own) = self.gates.get(at) else {
            return false;
        };
        let now = skewed(time, own.skew);
        let mut others = self.gates.iter().filter(|other| other.id != own.id && !other.lost);
        others.all(|other| own.gate.heard(other.id).is_heard(now, SILENCE))
    }
    /// Every gate asks each neighbour that it can reach what is new.
    pub fn tell(&mut self, time: Time) {
        for (listener, teller) in pairs(self.gates.len()) {
            self.tell_one(listener, teller, time);
        }
        // What was late comes now.
        if !self.flying.is_empty() && self.dice.chance(600) {
            let late = self.flying.remove(0);
            self.arrives(&late, time);
        }
    }
    /// One gate asks another what is new, if it can reach it.
    pub fn tell_one(&mut self, listener: usize, teller: usize, time: Time) -> Option<()> {
        if !self.reaches(listener, teller) {
            return None;
        }
        let mut flying = self.answer(listener, teller, time)?;
        let number = self.told;
        self.told += 1;
        let fault = match self.plan {
            PagePlan::Sometimes(rate) => match self.dice.chance(rate) {
                true => self.dice.pick(&PageFault::ALL),
                false => None,
            },
            PagePlan::At(at, fault) => (at == number).then_some(fault),
        };
        self.faults += u64::from(fault.is_some());
        match fault {
            Some(PageFault::Lose) => return None,
            Some(PageFault::Delay) => {
                self.flying.push(flying);
                return None;
            }
            Some(PageFault::Duplicate) => self.arrives(&flying, time),
            Some(PageFault::Corrupt) => match &mut flying.relay {
                Some(relay) if self.dice.chance(500) => flip(relay, &mut self.dice),
                _ => flip(&mut flying.page, &mut self.dice),
            },
            None => {}
        }
        self.arrives(&flying, time);
        Some(())
    }
    fn reaches(&self, one: usize, two: usize) -> bool {
        one != two && self.stands(one) && self.stands(two) && !self.cut.contains(&(one, two))
    }
    /// What the teller has heard of a gate that the listener cannot hear (R22).
    fn tells_on(&mut self, listener: usize, teller: usize) -> Option<Vec<u8>> {
        let hears = |at: usize| -> Vec<DeviceId> {
            let reached = (0..self.gates.len()).filter(|other| self.reaches(at, *other));
            reached.filter_map(|other| Some(self.gates.get(other)?.id)).collect()
        };
        let (own, heard) = (hears(listener), hears(teller));
        let to = self.gates.get(listener)?;
        let one = |gate, number, heard| Listened { gate, number, heard, extensions: Default::default() };
        let known = to.gate.neighbours().ok()?.into_iter();
        let mut others: Vec<_> = known.map(|(gate, known)| one(gate, known.number, own.contains(&gate))).collect();
        others.push(one(to.id, 0, true));
        let relay = self.gates.get_mut(teller)?.gate.relay(&others, &heard).ok()??;
        Some(relay.encode())
    }
    fn now(&mut self, at: usize, time: Time) -> Now {
        let skew = self.gates.get(at).map_or(0, |gate| gate.skew);
        Now { time: skewed(time, skew), entropy: self.dice.entropy() }
    }
    fn answer(&mut self, listener: usize, teller: usize, time: Time) -> Option<Flying> {
        let now = self.now(teller, time);
        let id = self.gates.get(teller)?.id;
        let after = self.gates.get(listener)?.gate.heard(id).number;
        let (certificate, page) = self.gates.get_mut(teller)?.gate.page(after, now).ok()?;
        let relay = self.tells_on(listener, teller);
        Some(Flying { to: listener, certificate: certificate.encode(), page: page.encode(), relay })
    }
    fn arrives(&mut self, flying: &Flying, time: Time) {
        let now = self.now(flying.to, time);
        let (Ok(certificate), Some(to)) =
            (Signed::<Certificate>::decode(&flying.certificate), self.gates.get_mut(flying.to).filter(|to| !to.lost))
        else {
            return;
        };
        if let Ok(page) = Signed::<Page>::decode(&flying.page) {
            // What is not taken changes nothing; it is asked for again.
            drop(to.gate.take(certificate.clone(), page, now));
        }
        let relay = flying.relay.as_deref().and_then(|relay| Signed::<Relay>::decode(relay).ok());
        if let Some(relay) = relay {
            let of = relay.claimed().page.claimed().gate;
            let before = to.gate.heard(of).number;
            let taken = to.gate.take_relay(certificate, relay, now);
            self.relayed += u64::from(taken.is_ok_and(|known| known.number > before));
        }
    }
}

/// Who may ask whom.
fn pairs(gates: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..gates).flat_map(move |one| (0..gates).filter(move |two| *two != one).map(move |two| (one, two)))
}

impl Town {
    /// A second of the venue's network.
    pub fn tell_gates(&mut self) {
        let time = self.time;
        if let Some(venue) = &mut self.venue {
            venue.tell(time);
        }
    }
    /// Gates tell each other, and on, what they have heard, until nobody hears anything new.
    pub fn tell_gates_all(&mut self) {
        for _ in 0..MOST_TOLD {
            let before = self.venue.as_ref().map_or(0, |venue| venue.relayed);
            self.tell_gates();
            if self.venue.as_ref().is_none_or(|venue| venue.relayed == before) {
                return;
            }
        }
    }
    /// A gate is switched on again, if it was off.
    pub fn wake_gate(&mut self, at: usize) {
        let Some(own) = self.venue.as_mut().and_then(|venue| venue.gates.get_mut(at)) else {
            return;
        };
        let device = &mut own.gate.device;
        if device.vault.is_off() {
            device.vault.power_cut();
            device.forget_channel();
            if device.vault.forgot() {
                own.tampered = own.tampered.or(Some("its disk lied"));
            }
            own.gate.reopen();
            self.faults += 1;
            if let Some(venue) = &mut self.venue {
                venue.failed = true;
            }
            self.say(|| format!("gate {at} is switched on again"));
        }
    }
}
