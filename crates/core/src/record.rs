//! What a device stores: small records in named spaces, written in atomic batches with guards (R13).

use crate::codes;
use crate::step::Records;
use alloc::vec::Vec;

codes! {
    /// The spaces of a device's vault.
    pub enum Space {
        /// Who this device is, its anchors, its counters: one record each.
        Device = 1,
        /// Cards a wallet holds, by card id.
        Card = 2,
        /// A terminal's charges, by transaction number; a wallet's, by terminal and transaction number.
        Charge = 3,
        /// The device's log, by number without gaps.
        Log = 4,
        /// Certificates of others already seen, by handle.
        Certificate = 5,
        /// Terms of issuers, by handle.
        Terms = 6,
        /// Requests sent and not answered yet, by their name.
        Request = 7,
        /// Receipts and other things for people to read, by time.
        Receipt = 8,
        /// Keys, sealed.
        Key = 9,
        /// Checks a wallet has signed, by their hash; names the charge.
        Check = 10,
        /// Letters between users and merchants: whose, with whom, and their number.
        Letter = 11,
        /// Tickets: what a wallet has presented, what a gate has admitted, by card id.
        Ticket = 12,
        /// A gate's event, and what it has heard of its neighbours (R22).
        Event = 13,
        /// Calls: a wallet's by switch and number, a switch's by number.
        Call = 14,
        /// What calls cost, by issuer and unit.
        Tariff = 15,
        /// A switch's numbers that stand for somebody for a while, by number.
        StandsFor = 16,
    }
}

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The space.
    pub space: Space,
    /// The name within it; numbers as 8 bytes big-endian, so that they sort.
    pub name: Vec<u8>,
}

impl RecordKey {
    /// A record's key.
    pub fn new(space: Space, name: impl Into<Vec<u8>>) -> Self {
        Self { space, name: name.into() }
    }
    /// A record whose name is a number.
    pub fn numbered(space: Space, number: u64) -> Self {
        Self::new(space, number.to_be_bytes())
    }
}

/// One atomic write: either every guard holds and every write is durable, or nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// What must stand there now, exactly; `None`: nothing may stand there.
    pub guards: Vec<(RecordKey, Option<Vec<u8>>)>,
    /// What shall stand there; `None` removes.
    pub writes: Vec<(RecordKey, Option<Vec<u8>>)>,
}

impl Batch {
    /// Writes a record that must still be what was read (`before`), so that of two writers one fails (R13).
    ///
    /// A record replaced twice in one batch keeps its first guard: what must stand there before the whole batch.
    pub fn replace(&mut self, key: RecordKey, before: Option<Vec<u8>>, after: Vec<u8>) {
        if !self.writes.iter().any(|(written, _)| *written == key) {
            self.guards.push((key.clone(), before));
        }
        self.writes.push((key, Some(after)));
    }
    /// Writes a record, whatever stands there.
    pub fn put(&mut self, key: RecordKey, value: Vec<u8>) {
        self.writes.push((key, Some(value)));
    }
    /// Removes a record.
    pub fn remove(&mut self, key: RecordKey) {
        self.writes.push((key, None));
    }
}

/// Records as they will be once a batch is durable: what a long answer changes twice is read back in between.
pub struct Overlay<'a> {
    /// What stands there now.
    pub records: &'a dyn Records,
    /// What will be written.
    pub batch: Batch,
}

impl Overlay<'_> {
    /// Adds what was drafted on top of this.
    pub fn merge(&mut self, more: Batch) {
        for (key, before) in more.guards {
            if !self.batch.writes.iter().any(|(written, _)| *written == key) {
                self.batch.guards.push((key, before));
            }
        }
        self.batch.writes.extend(more.writes);
    }
}

impl Records for Overlay<'_> {
    fn get(&self, key: &RecordKey) -> Option<Vec<u8>> {
        let written = self.batch.writes.iter().rev().find(|(written, _)| written == key);
        written.map_or_else(|| self.records.get(key), |(_, value)| value.clone())
    }
}
