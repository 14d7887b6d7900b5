//! What calls cost, by the issuers of the cards that pay them.

use crate::row::{all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{Hash, IssuerId, Unit};

/// A tariff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TariffRow {
    /// Whose.
    pub issuer: IssuerId,
    /// In which unit.
    pub unit: Unit,
    /// Counts up from 1.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
    /// As its issuer has signed it.
    pub body: Vec<u8>,
}

impl Store {
    /// The tariff of an issuer that counts now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tariff(&self, issuer: IssuerId, unit: Unit) -> Result<Option<TariffRow>, StoreError> {
        let sql = "SELECT number, hash, body FROM tariff WHERE issuer = ?1 AND unit = ?2 ORDER BY number DESC LIMIT 1";
        one(self.sql(sql)?, params![issuer.0, unit.code()], |row| {
            Ok(TariffRow { issuer, unit, number: row.u64()?, hash: Hash(row.get()?), body: row.get()? })
        })
    }
    /// The tariffs that count now, of all issuers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tariffs(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM tariff AS one WHERE number =
            (SELECT max(number) FROM tariff WHERE issuer = one.issuer AND unit = one.unit) ORDER BY issuer, unit";
        all(self.sql(sql)?, [], |row| row.get())
    }
    /// Adds a tariff.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_tariff(&self, row: &TariffRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO tariff (issuer, unit, number, hash, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.sql(sql)?.execute(params![row.issuer.0, row.unit.code(), n(row.number), row.hash.0, row.body])?;
        Ok(())
    }
}
