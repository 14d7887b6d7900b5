//! Who waits for one of what is sold out, in the order in which they said so.

use crate::row::{Columns, all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{Hash, IssuerId, RequestNumber, Time, WalletId};

/// How a wish stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It waits.
    Waits = 1,
    /// It became a reservation.
    Offered = 2,
    /// Given up, or there is nothing to wait for any more.
    Over = 3,
}

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRow {
    /// Its place in the list.
    pub number: u64,
    /// Whose.
    pub wallet: WalletId,
    /// The purchase that it becomes.
    pub purchase: RequestNumber,
    /// Whose article.
    pub issuer: IssuerId,
    /// Which.
    pub article: u64,
    /// How it stands.
    pub state: Wish,
    /// When its wallet heard of the reservation.
    pub told: Option<Time>,
    /// When it was said.
    pub at: Time,
    /// The hash of the reservation in it.
    pub hash: Hash,
    /// The wallet's signed wish.
    pub body: Vec<u8>,
}

const WAITING: &str = "number, wallet, purchase, issuer, article, state, told, at, hash, body";

fn waiting(row: &mut Columns<'_, '_>) -> rusqlite::Result<WaitingRow> {
    Ok(WaitingRow {
        number: row.u64()?,
        wallet: tegata_core::DeviceId(row.get()?),
        purchase: RequestNumber(row.get()?),
        issuer: tegata_core::PartyId(row.get()?),
        article: row.u64()?,
        state: row.code(&[Wish::Waits, Wish::Offered, Wish::Over], |state| state as u64)?,
        told: row.opt_u64()?.map(Time),
        at: row.time()?,
        hash: Hash(row.get()?),
        body: row.get()?,
    })
}

impl Store {
    /// The wish of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn wish(&self, wallet: WalletId, purchase: RequestNumber) -> Result<Option<WaitingRow>, StoreError> {
        let sql = format!("SELECT {WAITING} FROM waiting WHERE wallet = ?1 AND purchase = ?2");
        one(self.sql(&sql)?, params![wallet.0, purchase.0], waiting)
    }
    /// Whoever waits longest for one of these.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn first_waiting(&self, issuer: IssuerId, article: u64) -> Result<Option<WaitingRow>, StoreError> {
        let sql = format!(
            "SELECT {WAITING} FROM waiting WHERE issuer = ?1 AND article = ?2 AND state = 1 ORDER BY number LIMIT 1"
        );
        one(self.sql(&sql)?, params![issuer.0, n(article)], waiting)
    }
    /// The articles that somebody waits for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waited_for(&self) -> Result<Vec<(IssuerId, u64)>, StoreError> {
        let sql = "SELECT issuer, article FROM article WHERE EXISTS (SELECT 1 FROM waiting
            WHERE waiting.issuer = article.issuer AND waiting.article = article.article AND state = 1)";
        all(self.sql(sql)?, [], |row| Ok((tegata_core::PartyId(row.get()?), row.u64()?)))
    }
    /// The reservations that this wallet has not heard of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn offers_untold(&self, wallet: WalletId) -> Result<Vec<WaitingRow>, StoreError> {
        let sql =
            format!("SELECT {WAITING} FROM waiting WHERE wallet = ?1 AND state = 2 AND told IS NULL ORDER BY number");
        all(self.sql(&sql)?, [wallet.0], waiting)
    }
    /// In how many lists a wallet stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn wishes_of(&self, wallet: WalletId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM waiting WHERE wallet = ?1 AND state = 1";
        Ok(one(self.sql(sql)?, [wallet.0], |row| row.u64())?.unwrap_or(0))
    }
    /// Puts a wish at the end of its list; its number is given here.
    ///
    /// # Errors
    /// [`StoreError::Twice`] and others.
    pub fn put_wish(&self, row: &WaitingRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO waiting (wallet, purchase, issuer, article, state, told, at, hash, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.sql(sql)?.execute(params![
            row.wallet.0,
            row.purchase.0,
            row.issuer.0,
            n(row.article),
            row.state as i64,
            opt(row.told.map(|at| at.0)),
            n(row.at.0),
            row.hash.0,
            row.body,
        ])?;
        Ok(())
    }
    /// How a wish stands now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_wish(&self, number: u64, state: Wish, told: Option<Time>) -> Result<(), StoreError> {
        let sql = "UPDATE waiting SET state = ?2, told = ?3 WHERE number = ?1";
        self.sql(sql)?.execute(params![n(number), state as i64, opt(told.map(|at| at.0))])?;
        Ok(())
    }
}
