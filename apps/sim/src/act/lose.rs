//! Gates are lost with their stores: the operator declares them lost some time, and another takes the place (R11, R22): a gate in
//! reserve by the promoter's order, or a new one that joins by a number and is set up by that one step (R25).

use crate::dice::Dice;
use crate::template::EVENT;
use crate::town::{Town, new_device};
use crate::trouble::NetPlan;
use crate::venue::GateAt;
use std::collections::BTreeMap;
use tegata_core::step::Broken;
use tegata_core::talk::enter::StaffRole;
use tegata_core::talk::join::JoinToken;
use tegata_core::wire::certificate::Role;
use tegata_core::{CardId, DeviceId, Time};
use tegata_device::{Device, Now, join};
use tegata_gate::Hand;
use tegata_vault::{CommitFault, Faults, SimulatedVault};

/// Tries until the operator's word must have arrived in calm.
const TRIES: usize = 3;

/// A gate that was lost.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// Which.
    pub gate: usize,
    /// How far others had heard it then, and that are there still.
    pub told: u64,
    /// The operator knows that it has declared it lost.
    declared: bool,
    /// The one that takes its place.
    replaced: Option<usize>,
}

/// What the town knows of gates that were lost.
pub struct Losing {
    /// Dice of their own.
    pub dice: Dice,
    /// Those that were lost.
    pub lost: Vec<Lost>,
    /// As many can be lost.
    most: usize,
    spares: Vec<(Device<SimulatedVault>, DeviceId)>,
    /// New ones that will join by a number.
    blanks: Vec<Newcomer>,
    /// Which of them takes the place of which lost one, until it has joined.
    joining: BTreeMap<usize, Newcomer>,
    /// Whether there are such.
    joins: bool,
    /// Gates that have joined by a number.
    pub joined: u64,
}

/// A new device that shall be a gate.
pub struct Newcomer {
    device: Device<SimulatedVault>,
    /// The secret of the number that was typed into it.
    secret: Option<[u8; 16]>,
}

impl Newcomer {
    /// Fresh from its box.
    pub fn new(seed: [u8; 32], broken: Broken) -> Self {
        Self { device: new_device(SimulatedVault::new(Faults::none()), seed, broken), secret: None }
    }
}

impl Losing {
    /// All are there; these are in reserve, and these can join.
    pub fn new(dice: Dice, spares: Vec<(Device<SimulatedVault>, DeviceId)>, blanks: Vec<Newcomer>) -> Self {
        let (most, joins) = (spares.len() + blanks.len(), !blanks.is_empty());
        Self { dice, lost: Vec::new(), most, spares, blanks, joining: BTreeMap::new(), joins, joined: 0 }
    }
}

impl Town {
    fn lose_draw(&mut self, bound: u64) -> u64 {
        self.losing.as_mut().map_or(0, |losing| losing.dice.below(bound))
    }

    /// A gate is lost, declared lost or replaced, if it is the day for it.
    pub(super) fn lose_some(&mut self) {
        if self.lose_draw(1000) >= self.mix.losing {
            return;
        }
        let count = self.losing.as_ref().map_or(0, |losing| losing.lost.len()) as u64;
        let one = usize::try_from(self.lose_draw(count)).unwrap_or(0);
        match self.lose_draw(10) {
            0..3 => {
                let gates = self.gates() as u64;
                let at = usize::try_from(self.lose_draw(gates)).unwrap_or(0);
                self.lose_gate(at);
            }
            3..6 => drop(self.declare_lost(one)),
            6..9 => {
                self.trouble_newcomers();
                self.replace_gate(one);
            }
            _ => self.tell_gates(),
        }
    }

    /// A gate is lost: whatever it has told nobody is gone. As many can be as there are in reserve.
    pub fn lose_gate(&mut self, at: usize) {
        let (Some(venue), Some(losing)) = (&mut self.venue, &mut self.losing) else {
            return;
        };
        if !venue.stands(at) || losing.lost.len() >= losing.most {
            return;
        }
        // A gate that is off is lost with what its disk has kept.
        if let Some(own) = venue.gates.get_mut(at) {
            own.lost = true;
            own.gate.device.vault.power_cut();
        }
        let gone = venue.gates.iter().map(|gate| gate.id).collect::<Vec<_>>();
        losing.lost.push(Lost { gate: at, told: 0, declared: false, replaced: None });
        // What only the one had heard that is lost now, too, is lost with it.
        for lost in &mut losing.lost {
            let here = venue.gates.iter().filter(|gate| !gate.lost && gate.tampered.is_none());
            let heard =
                gone.get(lost.gate).map_or(0, |id| here.map(|gate| gate.gate.heard(*id).number).max().unwrap_or(0));
            lost.told = heard;
        }
        // Others do not know whom it had let in.
        venue.deaf = true;
        self.faults += 1;
        self.say(|| format!("gate {at} is lost with its store"));
    }
    /// The operator declares it lost.
    pub fn declare_lost(&mut self, number: usize) -> bool {
        let lost = self.losing.as_ref().and_then(|losing| losing.lost.get(number).copied());
        let id = lost.and_then(|lost| Some(self.venue.as_ref()?.gates.get(lost.gate)?.id));
        let (Some(lost), Some(id)) = (lost, id) else {
            return true;
        };
        let done = self.center.operate(|provider, now| provider.revoke(id.into(), now));
        self.say(|| format!("the operator declares gate {} lost: {done:?}", lost.gate));
        if let Some(lost) = self.losing.as_mut().and_then(|losing| losing.lost.get_mut(number)) {
            lost.declared |= done.is_ok();
        }
        done.is_ok()
    }
    /// Every second lost gate is replaced by a new one that joins, where some can.
    pub fn replace_gate(&mut self, number: usize) {
        let begun = self.losing.as_ref().is_some_and(|losing| losing.joining.contains_key(&number));
        let joins = self.losing.as_ref().is_some_and(|losing| losing.joins);
        if begun || number % 2 == 1 && joins { self.replace_by_number(number) } else { self.replace_by_order(number) }
    }
    /// The promoter puts a gate in reserve at its door; said again, it says the same.
    fn replace_by_order(&mut self, number: usize) {
        let (Some(venue), Some(losing)) = (&mut self.venue, &mut self.losing) else {
            return;
        };
        let Some(lost) = losing.lost.get_mut(number) else {
            return;
        };
        let Some((door, direction)) = venue.gates.get(lost.gate).map(|gate| (gate.door, gate.direction)) else {
            return;
        };
        if lost.replaced.is_none()
            && let Some((device, id)) = losing.spares.pop()
        {
            lost.replaced = Some(venue.gates.len());
            venue.gates.push(GateAt::new(device, id, (door, direction)));
        }
        let now = Now { time: self.time, entropy: losing.dice.entropy() };
        let Some((at, gate)) = lost.replaced.and_then(|at| Some((at, venue.gates.get(at)?.id))) else {
            return;
        };
        let done = self.issuer.gate(&mut self.center, (gate, &EVENT.to_string(), &door.to_string()), direction, now);
        self.say(|| format!("gate {at} takes the place of a lost one at door {door}: {:?}", done.map(|_| ())));
        self.update_gate_plain(at);
    }

    /// The promoter makes a number, and whoever sets a new gate up types it in; cut off, it is typed in again.
    pub fn replace_by_number(&mut self, number: usize) {
        let (Some(venue), Some(losing)) = (&mut self.venue, &mut self.losing) else {
            return;
        };
        let Some(lost) = losing.lost.get_mut(number) else {
            return;
        };
        if let Some(at) = lost.replaced {
            self.update_gate_plain(at);
            return;
        }
        let Some((door, direction)) = venue.gates.get(lost.gate).map(|gate| (gate.door, gate.direction)) else {
            return;
        };
        let Some(info) = self.center.provider().map(|provider| provider.info().clone()) else {
            return;
        };
        let Some(mut new) = losing.joining.remove(&number).or_else(|| losing.blanks.pop()) else {
            return;
        };
        let now = Now { time: self.time, entropy: losing.dice.entropy() };
        if new.secret.is_none() {
            let (named, until) = (("", EVENT.to_string(), door.to_string()), (direction, Time::END));
            let invited = self.issuer.invite_gate(&mut self.center, (named.0, &named.1, &named.2), until, now);
            new.secret = invited.ok().map(|(number, _)| number.secret());
        }
        let now = Now { time: self.time, entropy: losing.dice.entropy() };
        let joined = new.secret.map(|secret| {
            let mut token = JoinToken { secret, pin: [0; 16] };
            token.pin.copy_from_slice(&info.fingerprint().0[..16]);
            join(&mut new.device, &mut self.center, &info, &token, Role::Gate, "new", now)
                .map_err(|why| why.to_string())
        });
        if new.device.vault.is_off() {
            new.device.vault.power_cut();
            new.device.forget_channel();
            self.faults += 1;
        }
        // What its store holds counts, whatever it has said.
        match new.device.id() {
            Some(id) => {
                new.device.vault.set_faults(Faults::none());
                let at = venue.gates.len();
                lost.replaced = Some(at);
                losing.joined += 1;
                venue.gates.push(GateAt::new(new.device, id, (door, direction)));
                self.say(|| format!("gate {at} joins by a number and takes the place of a lost one at door {door}"));
                self.update_gate_plain(at);
            }
            None => {
                losing.joining.insert(number, new);
                self.say(|| format!("a new gate for door {door} does not join: {:?}", joined.map(|it| it.map(|_| ()))));
            }
        }
    }

    /// A new gate's store fails while it joins, now and then.
    fn trouble_newcomers(&mut self) {
        let Some(Losing { dice, blanks, joining, .. }) = &mut self.losing else {
            return;
        };
        for new in blanks.iter_mut().chain(joining.values_mut()) {
            let vault = &mut new.device.vault;
            let fault = dice.pick(&[CommitFault::CutBefore, CommitFault::CutAfter, CommitFault::Full]);
            let fault = fault.filter(|_| dice.chance(400));
            let at = vault.commits() + 1 + dice.below(2);
            vault.set_faults(fault.map_or(Faults::none(), |fault| Faults::none().at(at, fault)));
        }
    }

    /// In calm: every lost gate is declared lost and replaced, whatever was known of that (R26).
    pub fn finish_losing(&mut self) {
        let count = self.losing.as_ref().map_or(0, |losing| losing.lost.len());
        if let Some(losing) = &mut self.losing {
            for new in losing.blanks.iter_mut().chain(losing.joining.values_mut()) {
                new.device.vault.set_faults(Faults::none());
            }
        }
        for number in 0..count {
            self.center.plan(NetPlan::Never);
            if !(0..TRIES).any(|_| self.declare_lost(number)) {
                self.wrong.push("liveness: a gate cannot be declared lost in calm".into());
            }
            let stands = |town: &Self| {
                town.losing
                    .as_ref()
                    .and_then(|losing| losing.lost.get(number))
                    .is_some_and(|lost| lost.replaced.is_some())
            };
            if !(0..TRIES).any(|_| {
                self.replace_gate(number);
                stands(self)
            }) {
                self.wrong.push("liveness: a lost gate cannot be replaced in calm".into());
            }
        }
    }

    /// Whether the gate that let this wallet's ticket out last is lost.
    pub(super) fn left_where_lost(&self, at: usize, card: CardId) -> bool {
        let held = self.people.get(at).and_then(|person| person.wallet.ticket(card).ok());
        let passes = held.iter().flat_map(|held| &held.passes);
        let left = passes.filter(|(zone, _)| *zone == 1).find_map(|(_, pass)| pass.left.as_ref());
        let gate = left.map(|left| left.gate.claimed().subject.device());
        let lost = self.venue.iter().flat_map(|venue| &venue.gates).filter(|gate| gate.lost);
        gate.is_some_and(|gate| lost.into_iter().any(|lost| lost.id == gate))
    }
    /// A supervisor says at this gate that nobody is inside with a ticket; where there was no staff, one is taken on.
    pub(super) fn supervised(&mut self, gate: usize, card: CardId) {
        if self.staff.is_none() {
            let dice = self.losing.as_mut().map(|losing| losing.dice.fork());
            self.staff = dice.map(super::Staff::new);
        }
        self.take_on(StaffRole::Supervisor);
        self.update_gate_plain(gate);
        let last = self.staff.as_ref().map_or(0, |staff| staff.hired.len()) as u64;
        self.by_hand(gate, Some(last), Hand::Over(card));
    }
}
