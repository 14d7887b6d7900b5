//! The staff at an event's gates: the promoter takes people on and lets them go; they count people by hand and end entries, also with
//! badges that are over, or that are nobody's (R22).

use crate::dice::Dice;
use crate::tap::skewed;
use crate::template::EVENT;
use crate::town::Town;
use tegata_core::talk::enter::{HandError, MOST_BY_HAND, Setup, StaffRole};
use tegata_core::{CardId, Time};
use tegata_crypto_native::Badge;
use tegata_device::Now;
use tegata_gate::{GateError, Hand};

/// Somebody with a badge, as the promoter knows it.
pub struct Hired {
    /// The badge.
    pub badge: Badge,
    /// What it may do.
    pub role: StaffRole,
    /// From when on it counts no more.
    pub until: Option<Time>,
}

/// What the town knows of the staff.
pub struct Staff {
    /// Dice of their own.
    pub dice: Dice,
    /// Everybody who is or was of it; the first has number 1.
    pub hired: Vec<Hired>,
    /// How often a gate took something by hand.
    pub done: u64,
    /// Gates that took something by hand.
    pub gates: Vec<usize>,
}

impl Staff {
    /// Nobody yet.
    pub fn new(dice: Dice) -> Self {
        Self { dice, hired: Vec::new(), done: 0, gates: Vec::new() }
    }
}

impl Town {
    fn staff_dice(&mut self) -> Option<&mut Dice> {
        self.staff.as_mut().map(|staff| &mut staff.dice)
    }
    fn staff_draw(&mut self, bound: u64) -> u64 {
        self.staff_dice().map_or(0, |dice| dice.below(bound))
    }
    fn staff_now(&mut self, skew: i64) -> Now {
        let time = skewed(self.time, skew);
        Now { time, entropy: self.staff_dice().map_or([0; 32], Dice::entropy) }
    }

    /// Before the first day: one or two of the staff come, and most gates hear of them.
    pub(super) fn staff_comes(&mut self) {
        if self.staff.is_none() {
            return;
        }
        self.take_on(StaffRole::Supervisor);
        if self.staff_draw(2) == 0 {
            self.take_on(StaffRole::Steward);
        }
        for at in 0..self.gates() {
            if self.staff_draw(10) < 8 {
                self.update_gate_plain(at);
            }
        }
    }

    /// Somebody does something by hand, comes or goes, if it is the day for it.
    pub(super) fn staff_some(&mut self) {
        if self.staff_draw(1000) >= self.mix.staff {
            return;
        }
        match self.staff_draw(100) {
            0..10 if self.staff_draw(3) == 0 => self.take_on(StaffRole::Supervisor),
            0..10 => self.take_on(StaffRole::Steward),
            10..17 => self.let_some_go(),
            _ => {
                for _ in 0..=self.staff_draw(3) {
                    self.by_hand_some();
                }
            }
        }
    }

    /// The promoter takes somebody on; the badge counts also where nobody knows whether its order has arrived.
    pub fn take_on(&mut self, role: StaffRole) {
        let now = self.staff_now(0);
        let badge = Badge::generate(now.entropy);
        let done = self.issuer.take_on(&mut self.center, (&EVENT.to_string(), "somebody"), role, now);
        self.say(|| format!("the promoter takes on a {role:?}: {:?}", done.as_ref().map(|(number, _)| *number)));
        let known = self.issuer.staff(EVENT).unwrap_or_default().len();
        if let Some(staff) = self.staff.as_mut().filter(|staff| staff.hired.len() < known) {
            staff.hired.push(Hired { badge, role, until: None });
        }
    }
    fn let_some_go(&mut self) {
        let count = self.staff.as_ref().map_or(0, |staff| staff.hired.len());
        let number = self.staff_draw(count as u64) + 1;
        self.let_go(number);
    }
    /// The promoter lets somebody go: the badge is over from now on, whoever has heard of that.
    pub fn let_go(&mut self, number: u64) {
        let now = self.staff_now(0);
        let done = self.issuer.let_go(&mut self.center, (&EVENT.to_string(), &number.to_string()), now);
        self.say(|| format!("the promoter lets member {number} go: {done:?}"));
        let known = self.issuer.staff(EVENT).unwrap_or_default();
        let hired = self.staff.iter_mut().flat_map(|staff| &mut staff.hired);
        hired.zip(known).for_each(|(hired, (member, _))| hired.until = member.until);
    }

    /// A ticket that was refused at this gate because somebody is inside with it, or any.
    fn a_ticket_inside(&mut self, gate: usize) -> Option<CardId> {
        let refused = self.venue.as_ref()?.gates.get(gate)?.gate.last_inside().ok().flatten();
        if refused.is_some() && self.staff_draw(10) < 5 {
            return refused;
        }
        let of = |at: usize| self.people[at].wallet.tickets().unwrap_or_default();
        let all: Vec<CardId> = (0..self.people.len()).flat_map(of).map(|held| held.card).collect();
        self.staff_dice()?.pick(&all)
    }
    fn some_hand(&mut self, gate: usize) -> Option<Hand> {
        Some(match self.staff_draw(100) {
            0..40 => Hand::Out(1 + self.staff_draw(3)),
            40..65 => Hand::In(1 + self.staff_draw(4)),
            65..95 => Hand::Over(self.a_ticket_inside(gate)?),
            // Nobody, and more than one counts at once.
            95..97 => Hand::Out(0),
            _ => Hand::In(MOST_BY_HAND + 1),
        })
    }
    fn by_hand_some(&mut self) {
        let gates = self.gates() as u64;
        let gate = usize::try_from(self.staff_draw(gates)).unwrap_or(0);
        let hired = self.staff.as_ref().map_or(0, |staff| staff.hired.len()) as u64;
        // Now and then a badge is none.
        let badge = match self.staff_draw(10) < 9 && hired > 0 {
            true => Some(self.staff_draw(hired) + 1),
            false => None,
        };
        self.ready_gate(gate);
        if let Some(hand) = self.some_hand(gate) {
            self.by_hand(gate, badge, hand);
        }
        self.rest_gate(gate);
        if self.staff_draw(10) < 6 {
            self.tell_gates();
        }
    }

    /// A gate is asked to take something by hand, under the badge of this number; `None`: under one that is nobody's.
    pub fn by_hand(&mut self, at: usize, badge: Option<u64>, hand: Hand) -> Option<()> {
        let skew = self.venue.as_ref()?.gates.get(at)?.skew;
        let now = self.staff_now(skew);
        let staff = self.staff.as_mut()?;
        let hired = badge.and_then(|number| staff.hired.get(usize::try_from(number).ok()?.checked_sub(1)?));
        let nobody = Badge::generate(now.entropy);
        let own = self.venue.as_mut()?.gates.get_mut(at).filter(|own| !own.lost)?;
        let done = own.gate.by_hand(hired.map_or(&nobody, |hired| &hired.badge), hand, now);
        if !matches!(&done, Err(GateError::Hand(_))) {
            // Also what a store has kept that failed: what it knew is known to nobody else where its disk lied.
            staff.gates.push(at);
        }
        if done.is_ok() {
            staff.done += 1;
            // What the gate has been told of this badge, not what the promoter has said meanwhile.
            let told = Setup::load(&own.gate.device).and_then(|setup| setup.staff).unwrap_or_default();
            let told = told.iter().find(|member| Some(member.number) == badge);
            let over = told.is_none_or(|member| member.until.is_some_and(|until| now.time >= until));
            let may = hired.is_some_and(|hired| may(hired.role, hand));
            if over || !may {
                self.wrong.push(format!("R22: gate {at} took {hand:?} from badge {badge:?}, which may not"));
            }
        }
        let refused = matches!(&done, Err(GateError::Hand(HandError::Unknown | HandError::NotAllowed)));
        self.say(|| format!("badge {badge:?} at gate {at}: {hand:?}: {done:?}, refused {refused}"));
        self.wake_gate(at);
        Some(())
    }

    /// In calm: what the promoter has said of its staff, and nobody answered, is said again with what it says next (R26).
    pub fn finish_staff(&mut self) {
        if self.staff.is_some() {
            self.take_on(StaffRole::Supervisor);
        }
    }
}

/// What a role may do, in the town's own words.
fn may(role: StaffRole, hand: Hand) -> bool {
    let few = |people: u64| people > 0 && people <= 100;
    match (role, hand) {
        (_, Hand::Out(people)) => few(people),
        (StaffRole::Supervisor, Hand::In(people)) => few(people),
        (StaffRole::Supervisor, Hand::Over(_)) => true,
        (StaffRole::Steward, _) => false,
    }
}
