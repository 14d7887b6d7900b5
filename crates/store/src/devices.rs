//! Devices: their logs, what they uploaded, and the commands for them. Everything leads with the device.

use crate::row::{Columns, all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::wire::canonical::Bytes;
use tegata_core::{DeviceId, Hash, Time};

/// Where a device stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// The device.
    pub device: DeviceId,
    /// Number of the last entry recorded.
    pub recorded: u64,
    /// Hash over all entries up to it.
    pub head: Hash,
    /// Highest entry number that it has said to have.
    pub said: u64,
    /// Number of the last command issued.
    pub commands: u64,
    /// Hash over all commands up to it.
    pub commands_head: Hash,
    /// Number of the last command confirmed.
    pub confirmed: u64,
    /// Hash over all commands up to it.
    pub confirmed_head: Hash,
    /// The revocation list that it said to hold in its last update.
    pub list: u64,
    /// Its last update.
    pub updated: Time,
    /// This provider's epoch in which it was last heard.
    pub epoch: u64,
    /// No transaction number below this is new.
    pub next_transaction: u64,
    /// The highest operational key that it was sent.
    pub keys: u64,
    /// The turn of its update that it sends next, or sends again the one before; 0 before its first.
    pub turns: u64,
    /// The acknowledged update before the oldest entry that it has said to have and not sent (R11).
    pub waiting: Option<Time>,
    /// Hash of its last request and the signed answer.
    pub answered: Option<(Hash, Vec<u8>)>,
}

impl DeviceRow {
    /// A device that has just joined.
    pub fn new(device: DeviceId, now: Time, epoch: u64, keys: u64) -> Self {
        Self {
            device,
            recorded: 0,
            head: Hash::ZERO,
            said: 0,
            commands: 0,
            commands_head: Hash::ZERO,
            confirmed: 0,
            confirmed_head: Hash::ZERO,
            list: 0,
            updated: now,
            epoch,
            next_transaction: 1,
            keys,
            turns: 0,
            waiting: None,
            answered: None,
        }
    }
}

/// A request that brought entries; with them put back it is what the device signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    /// The device.
    pub device: DeviceId,
    /// The first entry it carried.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// When it arrived.
    pub at: Time,
    /// The acknowledged update before the oldest entry that is new in it was written.
    pub before: Time,
    /// The UpdateRequest with its entries left out.
    pub request: Vec<u8>,
    /// The device's signature over it with them.
    pub signature: [u8; 64],
}

const COLUMNS: &str = "device, recorded, head, said, commands, commands_head, confirmed, confirmed_head, list, \
    updated, epoch, next_transaction, keys, turns, waiting, request, reply";

fn device(row: &mut Columns<'_, '_>) -> rusqlite::Result<DeviceRow> {
    Ok(DeviceRow {
        device: DeviceId(row.get()?),
        recorded: row.u64()?,
        head: Hash(row.get()?),
        said: row.u64()?,
        commands: row.u64()?,
        commands_head: Hash(row.get()?),
        confirmed: row.u64()?,
        confirmed_head: Hash(row.get()?),
        list: row.u64()?,
        updated: row.time()?,
        epoch: row.u64()?,
        next_transaction: row.u64()?,
        keys: row.u64()?,
        turns: row.u64()?,
        waiting: row.opt_u64()?.map(Time),
        answered: row.get::<Option<_>>()?.map(Hash).zip(row.get()?),
    })
}

impl Store {
    /// Where a device stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn device(&self, id: DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        one(self.sql(&format!("SELECT {COLUMNS} FROM device WHERE device = ?1"))?, [id.0], device)
    }
    /// Writes where a device stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_device(&self, row: &DeviceRow) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT OR REPLACE INTO device ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"
        );
        let (request, reply) = row.answered.as_ref().map(|(hash, reply)| (hash.0, reply)).unzip();
        self.sql(&sql)?.execute(params![
            row.device.0,
            n(row.recorded),
            row.head.0,
            n(row.said),
            n(row.commands),
            row.commands_head.0,
            n(row.confirmed),
            row.confirmed_head.0,
            n(row.list),
            n(row.updated.0),
            n(row.epoch),
            n(row.next_transaction),
            n(row.keys),
            n(row.turns),
            opt(row.waiting.map(|time| time.0)),
            request,
            reply,
        ])?;
        Ok(())
    }
    /// How many devices were not heard since this epoch began (R15).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unheard(&self, epoch: u64) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM device WHERE epoch < ?1 AND (recorded > 0 OR reply IS NOT NULL)";
        Ok(one(self.sql(sql)?, [n(epoch)], |row| row.u64())?.unwrap_or(0))
    }
    /// Adds entries to a device's log, from the number `first` on.
    ///
    /// # Errors
    /// [`StoreError::Twice`] and others.
    pub fn append(&self, device: DeviceId, first: u64, entries: &[Bytes]) -> Result<(), StoreError> {
        let mut insert = self.sql("INSERT INTO entry (device, number, body) VALUES (?1, ?2, ?3)")?;
        for (number, entry) in (first..).zip(entries) {
            insert.execute(params![device.0, n(number), entry.0])?;
        }
        Ok(())
    }
    /// One entry of a device's log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entry(&self, device: DeviceId, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM entry WHERE device = ?1 AND number = ?2";
        one(self.sql(sql)?, params![device.0, n(number)], |row| row.get())
    }
    /// The entries `first..=last` of a device's log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entries(&self, device: DeviceId, first: u64, last: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM entry WHERE device = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number";
        all(self.sql(sql)?, params![device.0, n(first), n(last)], |row| row.get())
    }
    /// Adds what an upload was signed with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_upload(&self, row: &UploadRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO upload (device, last, first, at, before, request, signature)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (last, first) = (n(row.last), n(row.first));
        let (at, before) = (n(row.at.0), n(row.before.0));
        self.sql(sql)?.execute(params![row.device.0, last, first, at, before, row.request, row.signature])?;
        Ok(())
    }
    /// The last entry that arrived before `then`; 0 if none did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn arrived_before(&self, device: DeviceId, then: Time) -> Result<u64, StoreError> {
        let sql = "SELECT last FROM upload WHERE device = ?1 AND at < ?2 ORDER BY last DESC LIMIT 1";
        Ok(one(self.sql(sql)?, params![device.0, n(then.0)], |row| row.u64())?.unwrap_or(0))
    }
    /// Adds a command; its number and the chain's head stand in the device's row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_command(&self, row: &DeviceRow, at: Time, body: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO command (device, number, at, head, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (number, at) = (n(row.commands), n(at.0));
        self.sql(sql)?.execute(params![row.device.0, number, at, row.commands_head.0, body])?;
        Ok(())
    }
    /// The commands after a number, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commands_after(&self, device: DeviceId, number: u64, limit: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM command WHERE device = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        all(self.sql(sql)?, params![device.0, n(number), n(limit)], |row| row.get())
    }
    /// The hash over all commands up to this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commands_head(&self, device: DeviceId, number: u64) -> Result<Option<Hash>, StoreError> {
        if number == 0 {
            return Ok(Some(Hash::ZERO));
        }
        let sql = "SELECT head FROM command WHERE device = ?1 AND number = ?2";
        one(self.sql(sql)?, params![device.0, n(number)], |row| row.get().map(Hash))
    }
    /// Devices of participants in a role that are not revoked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn devices_in_role(&self, role: tegata_core::wire::certificate::Role) -> Result<Vec<DeviceId>, StoreError> {
        let sql = "SELECT device FROM device JOIN participant ON subject = device
            WHERE role = ?1 AND revoked IS NULL ORDER BY device";
        all(self.sql(sql)?, [n(role.code())], |row| row.get().map(DeviceId))
    }
}
