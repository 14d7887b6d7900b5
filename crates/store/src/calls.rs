//! Calls between merchants and users: where devices are called, and the numbers that stand for them for a while.

use crate::reach::Side;
use crate::row::{Columns, all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{DeviceId, Hash, MerchantId, PartyId, Time, WalletId};

/// Where a device is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneRow {
    /// The device.
    pub device: DeviceId,
    /// The switch, and the phone there; absent: it is not called any more.
    pub phone: Option<(DeviceId, String)>,
    /// When it said so, by its own clock.
    pub at: Time,
}

/// A number that stands for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandsForRow {
    /// Hash of the request for it.
    pub hash: Hash,
    /// The number.
    pub number: String,
    /// The merchant on either side.
    pub merchant: MerchantId,
    /// The user's device.
    pub wallet: WalletId,
    /// Who calls.
    pub side: Side,
    /// Which device is called.
    pub called: DeviceId,
    /// The switch.
    pub switch: DeviceId,
    /// Whether it rings: the switch knows the phone.
    pub told: bool,
    /// When it was asked for.
    pub at: Time,
    /// Until when it stands for anybody.
    pub until: Time,
}

const COLUMNS: &str = "hash, number, merchant, wallet, side, called, switch, told, at, until";

fn stands_for(row: &mut Columns<'_, '_>) -> rusqlite::Result<StandsForRow> {
    Ok(StandsForRow {
        hash: Hash(row.get()?),
        number: row.get()?,
        merchant: PartyId(row.get()?),
        wallet: DeviceId(row.get()?),
        side: row.code(&[Side::User, Side::Merchant], |side| side as u64)?,
        called: DeviceId(row.get()?),
        switch: DeviceId(row.get()?),
        told: row.u64()? != 0,
        at: row.time()?,
        until: row.time()?,
    })
}

impl Store {
    /// Where a device is called.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn phone(&self, device: DeviceId) -> Result<Option<PhoneRow>, StoreError> {
        let sql = "SELECT switch, phone, at FROM phone WHERE device = ?1";
        one(self.sql(sql)?, [device.0], |row| {
            let (switch, phone): (Option<_>, Option<String>) = (row.get()?, row.get()?);
            Ok(PhoneRow { device, phone: switch.map(DeviceId).zip(phone), at: row.time()? })
        })
    }
    /// Writes where a device is called.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_phone(&self, row: &PhoneRow) -> Result<(), StoreError> {
        let (switch, phone) = row.phone.as_ref().map(|(switch, phone)| (switch.0, phone)).unzip();
        let sql = "INSERT OR REPLACE INTO phone (device, switch, phone, at) VALUES (?1, ?2, ?3, ?4)";
        self.sql(sql)?.execute(params![row.device.0, switch, phone, n(row.at.0)])?;
        Ok(())
    }
    /// The number that was given for this request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn stands_for(&self, request: &Hash) -> Result<Option<StandsForRow>, StoreError> {
        one(self.sql(&format!("SELECT {COLUMNS} FROM stands_for WHERE hash = ?1"))?, [request.0], stands_for)
    }
    /// The numbers that one side was given to call the other since then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn numbers_since(
        &self,
        merchant: MerchantId,
        wallet: WalletId,
        side: Side,
        since: Time,
    ) -> Result<Vec<StandsForRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM stands_for WHERE wallet = ?1 AND merchant = ?2 AND at >= ?3 AND side = ?4 ORDER BY at, hash"
        );
        all(self.sql(&sql)?, params![wallet.0, merchant.0, n(since.0), side as i64], stands_for)
    }
    /// The numbers by which this device is called now, as its switch knows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn numbers_of(&self, called: DeviceId, now: Time) -> Result<Vec<StandsForRow>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM stands_for WHERE called = ?1 AND until > ?2 AND told = 1 ORDER BY at, hash");
        all(self.sql(&sql)?, params![called.0, n(now.0)], stands_for)
    }
    /// Writes a number, or that its switch does not know it any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_stands_for(&self, row: &StandsForRow) -> Result<(), StoreError> {
        let sql =
            format!("INSERT OR REPLACE INTO stands_for ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
        self.sql(&sql)?.execute(params![
            row.hash.0,
            row.number,
            row.merchant.0,
            row.wallet.0,
            row.side as i64,
            row.called.0,
            row.switch.0,
            i64::from(row.told),
            n(row.at.0),
            n(row.until.0),
        ])?;
        Ok(())
    }
}
