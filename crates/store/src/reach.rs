//! Letters: to which key they are sealed, who wants none, and the sealed letters themselves.

use crate::row::{Columns, all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::wire::certificate::SealingKey;
use tegata_core::{DeviceId, Hash, LetterNumber, MerchantId, PartyId, Time, WalletId};

/// To which key letters are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachRow {
    /// The merchant on either side.
    pub merchant: MerchantId,
    /// The customer number at this merchant, or the card; a terminal's: its device.
    pub name: [u8; 16],
    /// Who is reached.
    pub device: DeviceId,
    /// The key.
    pub sealing: SealingKey,
    /// When, by that device's clock.
    pub at: Time,
}

/// Who wrote a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The user.
    User = 1,
    /// The merchant.
    Merchant = 2,
}

/// Where a letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterState {
    /// For its reader's next update.
    Waiting = 1,
    /// In a command.
    Delivered = 2,
    /// Its reader could not open it; its writer is asked to seal it again.
    Unopened = 3,
    /// The user wants no letters of this merchant.
    Dropped = 4,
}

impl LetterState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Unopened, Self::Dropped];
}

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// The merchant on either side.
    pub merchant: MerchantId,
    /// Who wrote it.
    pub side: Side,
    /// Its number.
    pub number: LetterNumber,
    /// Hash of the request that carried it.
    pub hash: Hash,
    /// The writer's device.
    pub writer: DeviceId,
    /// The reader's device.
    pub reader: DeviceId,
    /// The user's device.
    pub wallet: WalletId,
    /// Where it stands.
    pub state: LetterState,
    /// How often it could not be opened.
    pub again: u64,
    /// When it came first.
    pub at: Time,
    /// What goes down; absent where it was dropped.
    pub body: Option<Vec<u8>>,
}

const COLUMNS: &str = "merchant, side, number, hash, writer, reader, wallet, state, again, at, body";

fn letter(row: &mut Columns<'_, '_>) -> rusqlite::Result<LetterRow> {
    Ok(LetterRow {
        merchant: PartyId(row.get()?),
        side: row.code(&[Side::User, Side::Merchant], |side| side as u64)?,
        number: LetterNumber(row.get()?),
        hash: Hash(row.get()?),
        writer: DeviceId(row.get()?),
        reader: DeviceId(row.get()?),
        wallet: DeviceId(row.get()?),
        state: row.code(&LetterState::ALL, |state| state as u64)?,
        again: row.u64()?,
        at: row.time()?,
        body: row.get()?,
    })
}

impl Store {
    /// Who is reached under this name at this merchant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reach(&self, merchant: MerchantId, name: &[u8; 16]) -> Result<Option<ReachRow>, StoreError> {
        let sql = "SELECT device, sealing, at FROM reach WHERE merchant = ?1 AND name = ?2";
        one(self.sql(sql)?, params![merchant.0, name], |row| {
            let (device, sealing) = (DeviceId(row.get()?), SealingKey(row.get()?));
            Ok(ReachRow { merchant, name: *name, device, sealing, at: row.time()? })
        })
    }
    /// Writes to which key letters are sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_reach(&self, row: &ReachRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO reach (merchant, name, device, sealing, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.sql(sql)?.execute(params![row.merchant.0, row.name, row.device.0, row.sealing.0, n(row.at.0)])?;
        Ok(())
    }
    /// Whether this wallet has muted this merchant, and when it said so by its clock.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn muted(&self, wallet: WalletId, merchant: MerchantId) -> Result<Option<(bool, Time)>, StoreError> {
        let sql = "SELECT muted, at FROM mute WHERE wallet = ?1 AND merchant = ?2";
        one(self.sql(sql)?, params![wallet.0, merchant.0], |row| Ok((row.u64()? != 0, row.time()?)))
    }
    /// Writes whether this wallet has muted this merchant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_muted(&self, wallet: WalletId, merchant: MerchantId, muted: bool, at: Time) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO mute (wallet, merchant, muted, at) VALUES (?1, ?2, ?3, ?4)";
        self.sql(sql)?.execute(params![wallet.0, merchant.0, i64::from(muted), n(at.0)])?;
        Ok(())
    }
    /// Drops what this merchant has written to this wallet: what has not gone down does not any more. One that is to be sealed
    /// again stays so, without its body: its writer is answered as if nothing had happened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_letters(&self, wallet: WalletId, merchant: MerchantId) -> Result<(), StoreError> {
        let sql = "UPDATE letter SET state = iif(state = 3, 3, 4), body = NULL WHERE merchant = ?1 AND wallet = ?2 AND side = 2";
        self.sql(sql)?.execute(params![merchant.0, wallet.0])?;
        Ok(())
    }
    /// One letter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn letter(
        &self,
        merchant: MerchantId,
        side: Side,
        number: LetterNumber,
    ) -> Result<Option<LetterRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM letter WHERE merchant = ?1 AND side = ?2 AND number = ?3");
        one(self.sql(&sql)?, params![merchant.0, side as i64, number.0], letter)
    }
    /// Letters that wait for this device's update, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn letters_waiting(&self, reader: DeviceId, most: u64) -> Result<Vec<LetterRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM letter WHERE reader = ?1 AND state = 1 ORDER BY at, number LIMIT ?2");
        all(self.sql(&sql)?, params![reader.0, n(most)], letter)
    }
    /// This device may have forgotten the letters that came to it: they wait for it again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn letters_again(&self, reader: DeviceId) -> Result<(), StoreError> {
        self.sql("UPDATE letter SET state = 1 WHERE reader = ?1 AND state = 2")?.execute([reader.0])?;
        Ok(())
    }
    /// How many letters one side has written to the other since then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn letters_since(
        &self,
        merchant: MerchantId,
        wallet: WalletId,
        side: Side,
        since: Time,
    ) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM letter WHERE merchant = ?1 AND wallet = ?2 AND side = ?3 AND at >= ?4";
        let given = params![merchant.0, wallet.0, side as i64, n(since.0)];
        Ok(one(self.sql(sql)?, given, |row| row.u64())?.unwrap_or(0))
    }
    /// Writes a letter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_letter(&self, row: &LetterRow) -> Result<(), StoreError> {
        let sql =
            format!("INSERT OR REPLACE INTO letter ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
        self.sql(&sql)?.execute(params![
            row.merchant.0,
            row.side as i64,
            row.number.0,
            row.hash.0,
            row.writer.0,
            row.reader.0,
            row.wallet.0,
            row.state as i64,
            n(row.again),
            n(row.at.0),
            row.body,
        ])?;
        Ok(())
    }
}
