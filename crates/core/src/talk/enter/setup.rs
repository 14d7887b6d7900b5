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
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use alloc::{string::String, vec::Vec};

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
    fn runs(&self) -> &[SeatRun] {
        self.seats.as_deref().unwrap_or_default()
    }
    /// What stands on a seat; `None`: this gate was not told.
    pub fn seat_name(&self, seat: u64) -> Option<String> {
        seats::seat_name(self.runs(), seat)
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
