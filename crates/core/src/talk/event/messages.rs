//! What promoter and wallets sign about an event.

use crate::card::{CardCertificate, Terms};
use crate::id::{CardId, DeviceId, EventId, Handle, Hash, PartyId};
use crate::money::Time;
use crate::talk::enter::{Direction, Member};
use crate::wire::signed::Signed;
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

message! {
    /// A zone of a venue.
    pub struct PlannedZone {
        /// Its number.
        1 zone: u64,
        /// What people call it.
        2 name: String,
    }
}

message! {
    /// A door of a venue.
    pub struct PlannedDoor {
        /// Its number.
        1 door: u64,
        /// What people call it.
        2 name: String,
        /// The zone behind it.
        3 zone: u64,
    }
}

message! {
    /// A numbered seat.
    pub struct Seat {
        /// Its number in this plan; never used again for another one.
        1 seat: u64,
        /// What stands on it, such as "Row 5, 12".
        2 name: String,
        /// The article that sells it.
        3 article: u64,
    }
}

message! {
    /// An event as its promoter plans it. Signed by the promoter. A higher revision replaces it; seats that are sold keep their
    /// numbers.
    pub struct EventPlan kind 54 max 4_000_000 {
        /// The promoter.
        1 promoter: PartyId,
        /// The event.
        2 event: EventId,
        /// Counts up from 1.
        3 revision: u64,
        /// What people call it.
        4 name: String,
        /// Where it is.
        5 place: String,
        /// Its zones, by number, none twice.
        6 zones: Vec<PlannedZone>,
        /// Its doors, by number, none twice.
        7 doors: Vec<PlannedDoor>,
        /// Its numbered seats, by number, none twice.
        8 seats: Vec<Seat>,
        /// When it was made.
        9 at: Time,
    }
}

/// Why a plan is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A number twice, or not in order.
    #[error("{0} {1} stands twice in the plan, or not in order")]
    Twice(&'static str, u64),
    /// Two seats of one name.
    #[error("the seat '{0}' stands twice in the plan")]
    SameName(String),
    /// A door into no zone of the plan.
    #[error("door {0} leads into a zone that the plan does not have")]
    NoZone(u64),
    /// A seat number left out.
    #[error("seat {0} is missing in the plan: numbers go from 1 without gaps")]
    Missing(u64),
}

impl EventPlan {
    /// Whether its numbers are in order and lead somewhere.
    ///
    /// # Errors
    /// [`PlanError`]: the promoter is at fault.
    pub fn check(&self) -> Result<(), PlanError> {
        fn ascending<T>(all: &[T], what: &'static str, number: impl Fn(&T) -> u64) -> Result<(), PlanError> {
            match all.windows(2).find(|two| number(&two[0]) >= number(&two[1])) {
                Some(two) => Err(PlanError::Twice(what, number(&two[1]))),
                None => Ok(()),
            }
        }
        ascending(&self.zones, "zone", |zone| zone.zone)?;
        ascending(&self.doors, "door", |door| door.door)?;
        ascending(&self.seats, "seat", |seat| seat.seat)?;
        if let Some(door) = self.doors.iter().find(|door| !self.zones.iter().any(|zone| zone.zone == door.zone)) {
            return Err(PlanError::NoZone(door.door));
        }
        for (expected, seat) in (1..).zip(&self.seats) {
            if seat.seat != expected {
                return Err(PlanError::Missing(expected));
            }
        }
        let mut names: Vec<&String> = self.seats.iter().map(|seat| &seat.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|two| two[0] == two[1]) {
            Some(two) => Err(PlanError::SameName(two[0].clone())),
            None => Ok(()),
        }
    }
}

message! {
    /// A gate that has joined shall stand at this door. Signed by the promoter, whose gate it is. A later order replaces it.
    pub struct GateOrder kind 55 max 200 {
        /// The promoter.
        1 promoter: PartyId,
        /// The gate.
        2 gate: DeviceId,
        /// The event.
        3 event: EventId,
        /// The door.
        4 door: u64,
        /// Which way it lets pass.
        5 direction: Direction,
        /// When it was made.
        6 at: Time,
    }
}

message! {
    /// Whoever joins as a gate with this number shall stand at this door: the gate is this promoter's, and set up for the event by the
    /// one step. Signed by the promoter. The number itself is told to nobody but whoever sets the gate up.
    pub struct GateInvite kind 39 max 300 {
        /// The promoter.
        1 promoter: PartyId,
        /// Hash of the join token's secret, which the number makes.
        2 secret: Hash,
        /// What the gate is called; empty: as it calls itself.
        3 name: String,
        /// The event.
        4 event: EventId,
        /// The door.
        5 door: u64,
        /// Which way it lets pass.
        6 direction: Direction,
        /// Until before when it can be used.
        7 until: Time,
        /// When it was made.
        8 at: Time,
    }
}

/// The staff of one event, at most.
pub const MAX_STAFF: usize = 200;

message! {
    /// The staff at an event's gates. Signed by the promoter; a higher revision replaces it.
    pub struct StaffOrder kind 34 max 20_000 {
        /// The promoter.
        1 promoter: PartyId,
        /// The event.
        2 event: EventId,
        /// Counts up from 1.
        3 revision: u64,
        /// Everybody who is or was of the staff, by number.
        4 staff: Vec<Member>,
        /// When it was made.
        5 at: Time,
    }
}

impl StaffOrder {
    /// Whether it can follow `before`: nobody is left out, and nobody's key or role changes, so that what was signed before still
    /// says who has signed it.
    pub fn follows(&self, before: &[Member]) -> bool {
        let numbered = self.staff.iter().zip(1..).all(|(member, number)| member.number == number);
        let kept = before.iter().all(|old| {
            let same = |now: &&Member| (now.number, &now.key, now.role) == (old.number, &old.key, old.role);
            let found = self.staff.iter().find(same);
            found.is_some_and(|now| old.until.is_none() || now.until == old.until)
        });
        numbered && kept && self.staff.len() <= MAX_STAFF
    }
}

message! {
    /// Who has one seat has another one from now on.
    pub struct SeatMove {
        /// The seat, by its number in the event's plan.
        1 from: u64,
        /// The one in its place, which the same article sells.
        2 to: u64,
    }
}

message! {
    /// Tickets of these terms are replaced by tickets of others. Signed by the promoter.
    pub struct Change kind 56 max 1_000_000 {
        /// The promoter.
        1 promoter: PartyId,
        /// The event.
        2 event: EventId,
        /// The terms that are replaced.
        3 before: Handle,
        /// The terms that replace them; absent: the event is cancelled, everyone is paid back.
        4 after: Option<Terms>,
        /// What people are told.
        5 text: String,
        /// Until when a holder may say no and is paid back.
        6 answer_until: Time,
        /// Whether who says nothing is paid back; else the new ticket is theirs.
        7 silence_refunds: bool,
        /// When it was made.
        8 at: Time,
        /// The seats that are moved, by the number that they have, none twice and none onto the same one; absent: all stay. A seat that is
        /// left empty by that is not sold any more.
        9 moves: Option<Vec<SeatMove>>,
    }
}

/// Why seats cannot be moved so, whoever has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The event is cancelled.
    #[error("a cancelled event moves no seats")]
    Cancelled,
    /// None is named.
    #[error("no seat is named that is moved")]
    Nothing,
    /// A seat twice, or not in order.
    #[error("seat {0} is moved twice, or not in order")]
    Twice(u64),
    /// Two onto one.
    #[error("two seats are moved onto seat {0}")]
    Onto(u64),
    /// One onto itself.
    #[error("seat {0} is moved onto itself")]
    Stays(u64),
}

impl MoveError {
    /// The seat at fault.
    pub fn seat(self) -> Option<u64> {
        match self {
            Self::Cancelled | Self::Nothing => None,
            Self::Twice(seat) | Self::Onto(seat) | Self::Stays(seat) => Some(seat),
        }
    }
}

impl Change {
    /// The seats that it moves.
    pub fn moves(&self) -> &[SeatMove] {
        self.moves.as_deref().unwrap_or_default()
    }
    /// Whether each seat is moved once, and onto another one than all others.
    ///
    /// # Errors
    /// [`MoveError`]: the promoter is at fault.
    pub fn check_moves(&self) -> Result<(), MoveError> {
        let Some(moves) = &self.moves else {
            return Ok(());
        };
        if self.after.is_none() {
            return Err(MoveError::Cancelled);
        }
        if moves.is_empty() {
            return Err(MoveError::Nothing);
        }
        if let Some(two) = moves.windows(2).find(|two| two[0].from >= two[1].from) {
            return Err(MoveError::Twice(two[1].from));
        }
        if let Some(stays) = moves.iter().find(|one| one.from == one.to) {
            return Err(MoveError::Stays(stays.from));
        }
        let mut onto: Vec<u64> = moves.iter().map(|one| one.to).collect();
        onto.sort_unstable();
        match onto.windows(2).find(|two| two[0] == two[1]) {
            Some(two) => Err(MoveError::Onto(two[0])),
            None => Ok(()),
        }
    }
    /// Where a seat is after it.
    pub fn seat_after(&self, seat: u64) -> u64 {
        let moves = self.moves();
        let found = moves.binary_search_by_key(&seat, |one| one.from).ok().and_then(|at| moves.get(at));
        found.map_or(seat, |one| one.to)
    }
}

message! {
    /// Where a ticket's seat is moved; within what its wallet is told.
    pub struct MovedSeat {
        /// The seat that it has, by its number in the event's plan.
        1 from: u64,
        /// The one in its place.
        2 to: u64,
        /// What stands on the one that it has; absent: too long for a ticket.
        3 was: Option<String>,
        /// What stands on the one in its place; absent: too long for a ticket.
        4 name: Option<String>,
    }
}

message! {
    /// What a wallet is told of a change of its ticket; within a command.
    pub struct Changed {
        /// The change, as the promoter signed it, by its hash.
        1 change: Hash,
        /// The ticket.
        2 card: CardId,
        /// The terms that replace those that it has; absent: the event is cancelled.
        3 after: Option<Terms>,
        /// What people are told.
        4 text: String,
        /// Until when the holder may say no.
        5 answer_until: Time,
        /// Whether who says nothing is paid back.
        6 silence_refunds: bool,
        /// Where its seat is moved; absent: it has none, or keeps it.
        7 seat: Option<MovedSeat>,
    }
}

message! {
    /// A holder's answer to a change. Signed by the wallet. The first one counts.
    pub struct ChangeAnswer kind 57 max 300 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The ticket.
        2 card: CardId,
        /// The change.
        3 change: Hash,
        /// Takes the new ticket; else it is paid back.
        4 accept: bool,
        /// When, by the wallet's clock.
        5 at: Time,
    }
}

codes! {
    /// What became of a ticket whose event was changed.
    pub enum ChangeOutcome {
        /// The new ticket is the holder's.
        Taken = 1,
        /// It is over, and paid back.
        Refunded = 2,
        /// It had let somebody in before: it goes on under the new terms, and is not paid back.
        Kept = 3,
        /// The question is over: the holder had given the ticket back, or a later change has taken this one's place for it.
        Over = 4,
        /// A person at the provider has to look.
        Failed = 5,
    }
}

message! {
    /// What became of the ticket. Signed by the provider, in the context of the answer's hash. Whoever answers twice, or late, is
    /// told what was decided first.
    pub struct ChangeReply kind 33 max 1000 {
        /// The ticket.
        1 card: CardId,
        /// The change.
        2 change: Hash,
        /// What became of it.
        3 outcome: ChangeOutcome,
        /// The ticket's certificate under the new terms: same key and generation, so that entries that were used stay so.
        4 certificate: Option<Signed<CardCertificate>>,
        /// Number of the operational key that signed.
        5 signer: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::CardKind;
    use crate::money::Unit;
    use alloc::{format, vec};

    fn plan() -> EventPlan {
        let zone = |zone| PlannedZone { zone, name: format!("zone {zone}"), extensions: Default::default() };
        let door = |door| PlannedDoor { door, name: format!("door {door}"), zone: 1, extensions: Default::default() };
        let seat = |seat| Seat { seat, name: format!("Row 1, {seat}"), article: 1, extensions: Default::default() };
        EventPlan {
            promoter: PartyId([1; 16]),
            event: EventId([2; 16]),
            revision: 1,
            name: "Concert".into(),
            place: "Town hall".into(),
            zones: vec![zone(1), zone(2)],
            doors: vec![door(1), door(2)],
            seats: vec![seat(1), seat(2), seat(3)],
            at: Time(5),
            extensions: Default::default(),
        }
    }

    fn moved(moves: &[(u64, u64)]) -> Change {
        let moves = moves.iter().map(|(from, to)| SeatMove { from: *from, to: *to, extensions: Default::default() });
        let after = Terms {
            issuer: PartyId([1; 16]),
            kind: CardKind::Ticket,
            unit: Unit::ENTRIES,
            name: "Concert".into(),
            max_payment: 0,
            offline_limit: 0,
            due_after: 1,
            list_age: 1,
            record_age: 1,
            max_balance: 1,
            handovers: 0,
            refundable: false,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: None,
            extensions: Default::default(),
        };
        Change {
            promoter: PartyId([1; 16]),
            event: EventId([2; 16]),
            before: Handle([3; 8]),
            after: Some(after),
            text: "Another hall".into(),
            answer_until: Time(9),
            silence_refunds: false,
            at: Time(5),
            moves: Some(moves.collect()),
            extensions: Default::default(),
        }
    }

    #[test]
    fn each_seat_is_moved_once_onto_one_of_its_own() {
        let swap = moved(&[(1, 2), (2, 1), (3, 9)]);
        assert_eq!(swap.check_moves(), Ok(()));
        assert_eq!([1, 2, 3, 4].map(|seat| swap.seat_after(seat)), [2, 1, 9, 4]);
        for (moves, wrong) in [
            (&[][..], MoveError::Nothing),
            (&[(1, 2), (1, 3)], MoveError::Twice(1)),
            (&[(2, 3), (1, 4)], MoveError::Twice(1)),
            (&[(1, 3), (2, 3)], MoveError::Onto(3)),
            (&[(1, 2), (4, 4)], MoveError::Stays(4)),
        ] {
            assert_eq!(moved(moves).check_moves(), Err(wrong));
        }
        assert_eq!(Change { after: None, ..moved(&[(1, 2)]) }.check_moves(), Err(MoveError::Cancelled));
        assert_eq!(Change { moves: None, ..moved(&[]) }.check_moves(), Ok(()));
    }

    #[test]
    fn a_plan_has_every_number_once_and_doors_that_lead_somewhere() {
        assert_eq!(plan().check(), Ok(()));
        let mut doubled = plan();
        doubled.seats[2].seat = 2;
        assert_eq!(doubled.check(), Err(PlanError::Twice("seat", 2)));
        let mut missing = plan();
        missing.seats.remove(1);
        assert_eq!(missing.check(), Err(PlanError::Missing(2)));
        let mut same = plan();
        same.seats[2].name = same.seats[0].name.clone();
        assert_eq!(same.check(), Err(PlanError::SameName("Row 1, 1".into())));
        let mut nowhere = plan();
        nowhere.doors[1].zone = 3;
        assert_eq!(nowhere.check(), Err(PlanError::NoZone(2)));
    }
}
