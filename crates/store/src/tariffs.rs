//! What calls cost, by the issuers of the cards that pay them.

use crate::row::{Columns, all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{Hash, IssuerId, Time, Unit};

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
    /// When the provider took it in; absent for those of a format that did not keep it.
    pub at: Option<Time>,
}

impl Store {
    /// The tariff of an issuer that counts now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tariff(&self, issuer: IssuerId, unit: Unit) -> Result<Option<TariffRow>, StoreError> {
        let sql =
            "SELECT number, hash, body, at FROM tariff WHERE issuer = ?1 AND unit = ?2 ORDER BY number DESC LIMIT 1";
        one(self.sql(sql)?, params![issuer.0, unit.code()], |row| of(issuer, unit, row))
    }
    /// The newest that the provider had taken in by then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tariff_at(&self, issuer: IssuerId, unit: Unit, at: Time) -> Result<Option<TariffRow>, StoreError> {
        let sql = "SELECT number, hash, body, at FROM tariff WHERE issuer = ?1 AND unit = ?2
            AND (at IS NULL OR at <= ?3) ORDER BY number DESC LIMIT 1";
        one(self.sql(sql)?, params![issuer.0, unit.code(), n(at.0)], |row| of(issuer, unit, row))
    }
    /// The tariff of this hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tariff_named(&self, issuer: IssuerId, unit: Unit, hash: &Hash) -> Result<Option<TariffRow>, StoreError> {
        let sql = "SELECT number, hash, body, at FROM tariff WHERE issuer = ?1 AND unit = ?2 AND hash = ?3";
        one(self.sql(sql)?, params![issuer.0, unit.code(), hash.0], |row| of(issuer, unit, row))
    }
    /// When the provider took in the tariff that replaces this one; `None`: none does, or it is not known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tariff_replaced(&self, row: &TariffRow) -> Result<Option<Time>, StoreError> {
        let sql = "SELECT at FROM tariff WHERE issuer = ?1 AND unit = ?2 AND number = ?3 AND at IS NOT NULL";
        one(self.sql(sql)?, params![row.issuer.0, row.unit.code(), n(row.number + 1)], |row| Ok(Time(row.u64()?)))
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
        let sql = "INSERT INTO tariff (issuer, unit, number, hash, body, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let at = row.at.map(|at| n(at.0));
        self.sql(sql)?.execute(params![row.issuer.0, row.unit.code(), n(row.number), row.hash.0, row.body, at])?;
        Ok(())
    }
}

fn of(issuer: IssuerId, unit: Unit, row: &mut Columns<'_, '_>) -> rusqlite::Result<TariffRow> {
    Ok(TariffRow {
        issuer,
        unit,
        number: row.u64()?,
        hash: Hash(row.get()?),
        body: row.get()?,
        at: row.opt_u64()?.map(Time),
    })
}
