//! The provider itself: its name, its epoch, its operational keys and revocation lists.

use crate::row::{all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{PartyId, Time};

/// The provider's one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRow {
    /// Its id.
    pub party: PartyId,
    /// What people call it.
    pub name: String,
    /// Its root key's canonical bytes.
    pub root: Vec<u8>,
    /// Its sealing key.
    pub sealing: [u8; 32],
    /// Its epoch (R15).
    pub epoch: u64,
    /// When that began.
    pub epoch_began: Time,
    /// Installs and loads wait until then (R15).
    pub reconciling_until: Option<Time>,
    /// Number of the newest revocation list.
    pub list: u64,
    /// The last epoch for which somebody has compared what was sold before it began, and was forgotten (R15).
    pub compared: u64,
}

impl Store {
    /// The provider; `None` in a new database.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn provider(&self) -> Result<Option<ProviderRow>, StoreError> {
        let sql =
            "SELECT party, name, root, sealing, epoch, epoch_began, reconciling_until, list, compared FROM provider";
        one(self.sql(sql)?, [], |row| {
            Ok(ProviderRow {
                party: PartyId(row.get()?),
                name: row.get()?,
                root: row.get()?,
                sealing: row.get()?,
                epoch: row.u64()?,
                epoch_began: row.time()?,
                reconciling_until: row.opt_u64()?.map(Time),
                list: row.u64()?,
                compared: row.u64()?,
            })
        })
    }
    /// Writes the provider.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_provider(&self, row: &ProviderRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO provider
            (one, party, name, root, sealing, epoch, epoch_began, reconciling_until, list, compared)
            VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.sql(sql)?.execute(params![
            row.party.0,
            row.name,
            row.root,
            row.sealing,
            n(row.epoch),
            n(row.epoch_began.0),
            opt(row.reconciling_until.map(|time| time.0)),
            n(row.list),
            n(row.compared),
        ])?;
        Ok(())
    }
    /// The signed certificates of all operational keys, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn operational_keys(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        all(self.sql("SELECT body FROM operational_key ORDER BY number")?, [], |row| row.get())
    }
    /// Adds an operational key's certificate.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_operational_key(&self, number: u64, body: &[u8]) -> Result<(), StoreError> {
        self.sql("INSERT INTO operational_key (number, body) VALUES (?1, ?2)")?.execute(params![n(number), body])?;
        Ok(())
    }
    /// The newest revocation list, signed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_list(&self) -> Result<Option<Vec<u8>>, StoreError> {
        one(self.sql("SELECT body FROM list ORDER BY number DESC LIMIT 1")?, [], |row| row.get())
    }
    /// Whether the list of this number was published.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn has_list(&self, number: u64) -> Result<bool, StoreError> {
        Ok(one(self.sql("SELECT number FROM list WHERE number = ?1")?, params![n(number)], |row| row.u64())?.is_some())
    }
    /// When the first list of this number or a later one was published.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn listed_at(&self, number: u64) -> Result<Option<Time>, StoreError> {
        let sql = "SELECT at FROM list WHERE number >= ?1 ORDER BY number LIMIT 1";
        one(self.sql(sql)?, params![n(number)], |row| row.u64().map(Time))
    }
    /// Adds a revocation list.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_list(&self, number: u64, at: Time, body: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO list (number, at, body) VALUES (?1, ?2, ?3)";
        self.sql(sql)?.execute(params![n(number), n(at.0), body])?;
        Ok(())
    }
}
