//! The staff at events' gates, and what it did by hand.

use crate::row::{all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::talk::enter::Direction;
use tegata_core::{CardId, DeviceId, EventId, Time};

/// The staff of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffRow {
    /// The event.
    pub event: EventId,
    /// The order's revision.
    pub revision: u64,
    /// The signed order.
    pub body: Vec<u8>,
}

/// What was done by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandRow {
    /// At which gate.
    pub gate: DeviceId,
    /// The entry's number in the gate's log.
    pub number: u64,
    /// The event.
    pub event: EventId,
    /// The member of the staff.
    pub staff: u64,
    /// The zone.
    pub zone: u64,
    /// Which way.
    pub direction: Direction,
    /// How many people.
    pub people: u64,
    /// A ticket whose entry is over.
    pub card: Option<CardId>,
    /// Which entry.
    pub entry: Option<u64>,
    /// When, by the gate's clock.
    pub at: Time,
}

impl Store {
    /// The staff of an event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn staff(&self, event: EventId) -> Result<Option<StaffRow>, StoreError> {
        one(self.sql("SELECT revision, body FROM staff WHERE event = ?1")?, [event.0], |row| {
            Ok(StaffRow { event, revision: row.u64()?, body: row.get()? })
        })
    }
    /// Writes the staff of an event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_staff(&self, row: &StaffRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO staff (event, revision, body) VALUES (?1, ?2, ?3)";
        self.sql(sql)?.execute(params![row.event.0, n(row.revision), row.body])?;
        Ok(())
    }
    /// Adds what was done by hand; again it changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_hand(&self, row: &HandRow) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO by_hand (gate, number, event, staff, zone, direction, people, card, entry, at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.sql(sql)?.execute(params![
            row.gate.0,
            n(row.number),
            row.event.0,
            n(row.staff),
            n(row.zone),
            n(row.direction.code()),
            n(row.people),
            row.card.map(|card| card.0),
            opt(row.entry),
            n(row.at.0),
        ])?;
        Ok(())
    }
    /// Removes what was done by hand under a badge that was over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_hand(&self, gate: DeviceId, number: u64) -> Result<(), StoreError> {
        self.sql("DELETE FROM by_hand WHERE gate = ?1 AND number = ?2")?.execute(params![gate.0, n(number)])?;
        Ok(())
    }
    /// What was done by hand at an event, by gate and number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn by_hand(&self, event: EventId) -> Result<Vec<HandRow>, StoreError> {
        let sql = "SELECT gate, number, staff, zone, direction, people, card, entry, at FROM by_hand
            WHERE event = ?1 ORDER BY gate, number";
        all(self.sql(sql)?, [event.0], |row| {
            Ok(HandRow {
                gate: DeviceId(row.get()?),
                number: row.u64()?,
                event,
                staff: row.u64()?,
                zone: row.u64()?,
                direction: row.code(Direction::ALL, Direction::code)?,
                people: row.u64()?,
                card: row.get::<Option<_>>()?.map(CardId),
                entry: row.opt_u64()?,
                at: row.time()?,
            })
        })
    }
}
