//! How many people are inside, per zone, by all gates that were heard.

use super::messages::Direction;
use crate::card::ticket::{TicketTerms, Usage, Use};
use crate::message;
use crate::record::{Batch, RecordKey, Space};
use crate::step::Records;
use crate::wire::canonical::Wire;
use alloc::vec::Vec;

message! {
    /// One zone.
    pub struct Zone {
        /// The zone.
        1 zone: u64,
        /// People inside by tickets.
        2 inside: u64,
        /// People who came in by tickets, in all.
        3 came: u64,
        /// People counted in by hand.
        4 hand_in: Option<u64>,
        /// People counted out by hand, who had no ticket to show.
        5 hand_out: Option<u64>,
    }
}

message! {
    /// All zones that anybody has come into.
    pub struct Tally {
        /// By zone.
        1 zones: Vec<Zone>,
    }
}

impl Zone {
    /// People inside now: the same at every gate that has heard the same, in whatever order.
    pub fn people(&self) -> u64 {
        self.inside.saturating_add(self.hand_in.unwrap_or(0)).saturating_sub(self.hand_out.unwrap_or(0))
    }
    /// People who came in, in all.
    pub fn arrived(&self) -> u64 {
        self.came.saturating_add(self.hand_in.unwrap_or(0))
    }
}

impl Tally {
    /// Where a gate keeps it.
    pub fn key() -> RecordKey {
        RecordKey::new(Space::Event, *b"tally")
    }
    /// Reads it; nobody is inside at first.
    pub fn load(records: &dyn Records) -> (Self, Option<Vec<u8>>) {
        let stored = records.get(&Self::key());
        let tally = stored.as_deref().and_then(|bytes| Self::from_bytes(bytes).ok());
        (tally.unwrap_or(Self { zones: Vec::new(), extensions: Default::default() }), stored)
    }
    /// People inside a zone.
    pub fn inside(&self, zone: u64) -> u64 {
        self.zones.iter().find(|one| one.zone == zone).map_or(0, Zone::people)
    }
    fn of(&mut self, zone: u64) -> Option<&mut Zone> {
        if !self.zones.iter().any(|one| one.zone == zone) {
            self.zones.push(Zone {
                zone,
                inside: 0,
                came: 0,
                hand_in: None,
                hand_out: None,
                extensions: Default::default(),
            });
        }
        self.zones.iter_mut().find(|one| one.zone == zone)
    }
    /// Counts what a use changes: the ticket's people inside before and after it.
    fn count(&mut self, zone: u64, before: u64, after: &Usage, used: &Use) {
        let counted = after.used(used.entry, used.direction).is_some();
        if let Some(one) = self.of(zone) {
            one.inside = one.inside.saturating_sub(before).saturating_add(after.inside);
            if used.direction == Direction::In && counted {
                one.came = one.came.saturating_add(used.people);
            }
        }
    }
}

/// People who were counted in or out by hand, with no ticket.
pub(super) fn adjust(records: &dyn Records, zone: u64, direction: Direction, people: u64, batch: &mut Batch) {
    let (mut tally, stored) = Tally::load(records);
    if let Some(one) = tally.of(zone) {
        match direction {
            Direction::In => one.hand_in = Some(one.hand_in.unwrap_or(0).saturating_add(people)),
            Direction::Out => one.hand_out = Some(one.hand_out.unwrap_or(0).saturating_add(people)),
        }
    }
    batch.replace(Tally::key(), stored, tally.to_bytes());
}

/// Adds a use to what is known of its ticket and to the counts, within `batch`. A use of an entry that is counted already changes
/// only what is known of the ticket. `zone` and the ticket's usage before say whose. No terms: it goes out, whatever its terms were.
pub(super) fn count(
    records: &dyn Records,
    (key, usage): (RecordKey, Usage),
    (terms, zone): (Option<&TicketTerms>, u64),
    used: Use,
    batch: &mut Batch,
) -> Usage {
    let stored = records.get(&key);
    let (mut tally, counts) = Tally::load(records);
    let mut after = usage.clone();
    // Whoever was inside before a new holder came is not counted beside that one.
    let before = stored.as_deref().and_then(|bytes| Usage::from_bytes(bytes).ok()).map_or(0, |known| known.inside);
    // The same entry opened now, or by an answer after a window: the use is replaced, nobody more came in.
    let known = usage.used(used.entry, used.direction).is_some();
    if known {
        after.uses.retain(|old| (old.entry, old.direction) != (used.entry, used.direction));
        after.uses.push(used);
    } else {
        match terms {
            Some(terms) => after.count(terms, used.clone()),
            None => after.went_out(used.clone()),
        }
        tally.count(zone, before, &after, &used);
        batch.replace(Tally::key(), counts, tally.to_bytes());
    }
    batch.replace(key, stored, after.to_bytes());
    after
}

/// Counts what somebody did who has given the ticket on since, where its receiver was seen first: who came is counted once, and
/// whether somebody is inside is known better as long as the receiver has not come in.
pub(super) fn former(
    records: &dyn Records,
    (key, usage): (RecordKey, Usage),
    (terms, zone): (Option<&TicketTerms>, u64),
    used: Use,
    batch: &mut Batch,
) {
    // By a window, and then by the answer of who holds it (R21): nobody more came.
    if usage.used_before(used.entry, used.direction).is_some() {
        return;
    }
    let (mut tally, counts) = Tally::load(records);
    let mut after = usage.clone();
    let came = if used.direction == Direction::In { used.people } else { 0 };
    if usage.uses.is_empty() && used.entry >= usage.entry {
        // That it went out may have been heard first.
        let out = usage.used_before(used.entry, Direction::Out).is_some();
        (after.entry, after.inside) = (used.entry, if out { 0 } else { came });
        if let (true, Some(terms)) = (came > 0, terms) {
            after.day = after.day.max(terms.day(used.at));
        }
    }
    after.keep_former(used);
    if let Some(one) = tally.of(zone) {
        one.inside = one.inside.saturating_sub(usage.inside).saturating_add(after.inside);
        one.came = one.came.saturating_add(came);
    }
    batch.replace(Tally::key(), counts, tally.to_bytes());
    batch.replace(key.clone(), records.get(&key), after.to_bytes());
}
