//! What a gate needs to know of its event, and nothing about persons: set up once, then it works alone.

use super::hand::Member;
use super::messages::{Direction, EnterRefusal};
use super::seats::{self, SeatRun};
use crate::card::Terms;
use crate::id::{CardId, DeviceId, EventId, Handle};
use crate::message;
use crate::money::Time;
use crate::record::{RecordKey, Space};
use crate::step::Records;
use crate::talk::event::{EventPlan, PlannedZone};
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use alloc::{format, string::String, vec::Vec};
use core::cmp::Reverse;

/// Bytes that the names of all zones, and of the door, may have in a set-up. Beyond, they are left out, and the gate shows numbers.
pub const MAX_PLACE_NAMES: usize = 20_000;

/// A ticket whose generations up to this one let nobody in, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadTicket {
    /// The ticket.
    pub card: CardId,
    /// Dead up to and including this generation.
    pub generation: u64,
    /// Why: given away, changed, paid back or blocked.
    pub why: EnterRefusal,
}

impl Wire for DeadTicket {
    fn write(&self, to: &mut Writer) {
        to.array(3);
        self.card.write(to);
        to.uint(self.generation);
        self.why.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(3)?;
        Ok(Self { card: CardId::read(from)?, generation: u64::read(from)?, why: EnterRefusal::read(from)? })
    }
}

message! {
    /// A gate's event. A higher number replaces it. It names tickets only where they let nobody in.
    pub struct Setup {
        /// Counts up with every change.
        1 number: u64,
        /// The event.
        2 event: EventId,
        /// What people call it.
        3 name: String,
        /// The terms of its tickets, those that were replaced too.
        4 terms: Vec<Terms>,
        /// Terms that were replaced by a change: their tickets are to be taken up anew.
        5 replaced: Vec<Handle>,
        /// Tickets that let nobody in, by card, none twice.
        6 dead: Vec<DeadTicket>,
        /// The door's number at its venue.
        7 door: u64,
        /// Into or out of which zone.
        8 zone: u64,
        /// Which way.
        9 direction: Direction,
        /// When it was made.
        10 at: Time,
        /// All gates of the event: one that does not hear them all is alone (R22).
        11 gates: Vec<DeviceId>,
        /// Its staff, also who is it no more; absent: nobody.
        12 staff: Option<Vec<Member>>,
        /// What stands on its numbered seats, by number, none twice; absent: it has none, or they are unnamed.
        13 seats: Option<Vec<SeatRun>>,
        /// How many seats are unnamed, because all names together are too long; absent: none.
        14 unnamed: Option<u64>,
        /// The event's zones, by number, none twice; absent: the gate shows them by their numbers.
        15 zones: Option<Vec<PlannedZone>>,
        /// What people call the door; absent: the gate shows its number.
        16 door_name: Option<String>,
    }
}

impl Setup {
    /// Where a gate keeps it.
    pub fn key() -> RecordKey {
        RecordKey::new(Space::Event, *b"setup")
    }
    /// Reads it; a gate that was not set up has none.
    pub fn load(records: &dyn Records) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key())?).ok()
    }
    /// Whether it is sorted, as those who search it expect.
    pub fn is_sorted(&self) -> bool {
        self.dead.windows(2).all(|two| two[0].card < two[1].card) && seats::is_sorted(self.runs())
    }
    /// Takes over from what the gate was told before, of the same event, what is over for good: generations that are dead, and who is or was
    /// of the staff. A provider put back from a backup has forgotten what came since (R15); any other names it all itself.
    pub fn after(mut self, before: Self) -> Self {
        if before.event != self.event {
            return self;
        }
        self.dead.extend(before.dead);
        // Of two the later generation; what is said now of the same one comes first.
        self.dead.sort_by_key(|dead| (dead.card, Reverse(dead.generation)));
        self.dead.dedup_by_key(|dead| dead.card);
        for old in before.staff.into_iter().flatten() {
            let staff = self.staff.get_or_insert_default();
            match staff.iter_mut().find(|now| now.number == old.number) {
                Some(now) if now.key == old.key => now.until = now.until.or(old.until),
                Some(_) => {}
                None => staff.push(old),
            }
        }
        self
    }
    fn runs(&self) -> &[SeatRun] {
        self.seats.as_deref().unwrap_or_default()
    }
    /// What stands on a seat; `None`: this gate was not told.
    pub fn seat_name(&self, seat: u64) -> Option<String> {
        seats::seat_name(self.runs(), seat)
    }
    /// What a plan calls its zones and this door: of either nothing where it has no such door, or where it is too long for a set-up.
    pub fn place_names(plan: &EventPlan, door: u64) -> (Option<Vec<PlannedZone>>, Option<String>) {
        let fits = |bytes: usize| bytes <= MAX_PLACE_NAMES;
        let zones = fits(plan.zones.to_bytes().len()).then(|| plan.zones.clone());
        let door = plan.doors.iter().find(|known| known.door == door && fits(known.name.len()));
        (zones, door.map(|door| door.name.clone()))
    }
    /// What people call a zone, else its number.
    pub fn zone_name(&self, zone: u64) -> String {
        let known = self.zones.iter().flatten().find(|known| known.zone == zone);
        known.map_or_else(|| format!("zone {zone}"), |known| known.name.clone())
    }
    /// What people call the gate's door, else its number.
    pub fn door_name(&self) -> String {
        self.door_name.clone().unwrap_or_else(|| format!("door {}", self.door))
    }
    /// Why this generation of a ticket lets nobody in.
    pub fn dead(&self, card: CardId, generation: u64) -> Option<EnterRefusal> {
        let found = self.dead.binary_search_by_key(&card, |dead| dead.card).ok()?;
        self.dead.get(found).filter(|dead| generation <= dead.generation).map(|dead| dead.why)
    }
    /// Terms of this event, replaced ones, too.
    pub fn listed(&self, handle: Handle) -> Option<&Terms> {
        self.terms.iter().find(|terms| terms.handle() == handle)
    }
    /// By which terms a neighbour's admission is counted. Under terms that only it has heard of somebody is in all the same: nothing is
    /// judged by them any more, and any of the event say when its day begins.
    pub fn counted(&self, handle: Handle) -> Option<&Terms> {
        self.listed(handle).or(self.terms.first())
    }
    /// Terms of this event.
    pub fn terms(&self, handle: Handle) -> Result<&Terms, EnterRefusal> {
        if self.replaced.contains(&handle) {
            return Err(EnterRefusal::Changed);
        }
        self.listed(handle).ok_or(EnterRefusal::OtherEvent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PartyId;
    use crate::talk::enter::StaffRole;
    use crate::talk::event::PlannedDoor;
    use crate::wire::signed::PublicKey;
    use alloc::vec;

    #[test]
    fn what_is_over_stays_so_whatever_a_provider_has_forgotten() {
        let dead = |card, generation, why| DeadTicket { card: CardId([card; 16]), generation, why };
        let member = |number, until| Member {
            number,
            key: PublicKey::Ed25519([u8::try_from(number).unwrap_or(0); 32]),
            role: StaffRole::Steward,
            until,
            extensions: Default::default(),
        };
        let setup = |number, dead, staff| Setup {
            number,
            event: EventId([2; 16]),
            name: "Concert".into(),
            terms: vec![],
            replaced: vec![],
            dead,
            door: 1,
            zone: 1,
            direction: Direction::In,
            at: Time(5),
            gates: vec![],
            staff,
            seats: None,
            unnamed: None,
            zones: None,
            door_name: None,
            extensions: Default::default(),
        };
        let (blocked, given) = (EnterRefusal::Blocked, EnterRefusal::GivenAway);
        let before = setup(
            7,
            vec![dead(1, 2, blocked), dead(2, 1, given), dead(4, 1, given)],
            Some(vec![member(1, Some(Time(3))), member(2, None), member(3, None)]),
        );
        let forgotten = setup(
            5,
            vec![dead(1, 1, given), dead(3, 1, given), dead(4, 1, blocked)],
            Some(vec![member(1, None), member(2, Some(Time(4)))]),
        );
        let after = forgotten.clone().after(before.clone());
        let all = vec![dead(1, 2, blocked), dead(2, 1, given), dead(3, 1, given), dead(4, 1, blocked)];
        let staff = vec![member(1, Some(Time(3))), member(2, Some(Time(4))), member(3, None)];
        assert_eq!((&after.dead, &after.staff, after.number), (&all, &Some(staff), 5));
        assert!(after.is_sorted());
        assert_eq!(after.clone().after(before.clone()), after, "said again it changes nothing");
        let other = Setup { event: EventId([9; 16]), ..before };
        assert_eq!(forgotten.clone().after(other), forgotten, "nothing of another event");
        assert_eq!(setup(1, vec![], None).after(setup(1, vec![], None)).staff, None);
    }

    #[test]
    fn a_set_up_has_names_of_zones_and_of_its_own_door_as_far_as_there_is_room() {
        let zone = |zone, name: &str| PlannedZone { zone, name: name.into(), extensions: Default::default() };
        let door = |door, name: &str| PlannedDoor { door, name: name.into(), zone: 1, extensions: Default::default() };
        let mut plan = EventPlan {
            promoter: PartyId([1; 16]),
            event: EventId([2; 16]),
            revision: 1,
            name: "Concert".into(),
            place: "Town hall".into(),
            zones: vec![zone(1, "Hall"), zone(2, "Bar")],
            doors: vec![door(1, "North"), door(2, "South")],
            seats: vec![],
            at: Time(5),
            extensions: Default::default(),
        };
        assert_eq!(Setup::place_names(&plan, 2), (Some(plan.zones.clone()), Some("South".into())));
        assert_eq!(Setup::place_names(&plan, 3).1, None, "no such door");
        plan.zones[1].name = "a".repeat(MAX_PLACE_NAMES);
        plan.doors[1].name = "b".repeat(MAX_PLACE_NAMES + 1);
        assert_eq!(Setup::place_names(&plan, 2), (None, None));
        assert_eq!(Setup::place_names(&plan, 1), (None, Some("North".into())), "each by itself");
    }
}
