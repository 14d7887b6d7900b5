//! Cards given from wallet to wallet: one row for each generation that ended so.

use crate::row::{Columns, all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::codes;
use tegata_core::{CardId, Hash, Time, WalletId};

codes! {
    /// Where a transfer stands.
    pub enum HandedState {
        /// Nobody has registered or taken it.
        Open = 1,
        /// Somebody has.
        Taken = 2,
        /// It was given on before anybody registered it.
        Passed = 3,
        /// Nobody did in time: it came back.
        Back = 4,
    }
}

/// One transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedRow {
    /// The card.
    pub card: CardId,
    /// The generation that was given.
    pub generation: u64,
    /// The hash of the card's last event in it.
    pub hash: Hash,
    /// It was locked to the provider, for somebody far away.
    pub gift: bool,
    /// The hop; of a gift the signed request.
    pub body: Vec<u8>,
    /// Entries that were used before.
    pub used: u64,
    /// To be registered or taken before then.
    pub until: Time,
    /// The generation that a wallet was certified for last.
    pub home: u64,
    /// That wallet.
    pub giver: WalletId,
    /// Where it stands.
    pub state: HandedState,
    /// When it comes back.
    pub due: Time,
    /// The wallet that has it.
    pub taker: Option<WalletId>,
    /// What binds it to that wallet.
    pub proof: Option<Vec<u8>>,
    /// A gift's number, as a keyed hash.
    pub number: Option<Hash>,
}

const HANDED: &str = "card, generation, hash, gift, body, used, until, home, giver, state, due, taker, proof, number";

fn handed(row: &mut Columns<'_, '_>) -> rusqlite::Result<HandedRow> {
    Ok(HandedRow {
        card: CardId(row.get()?),
        generation: row.u64()?,
        hash: Hash(row.get()?),
        gift: row.u64()? != 0,
        body: row.get()?,
        used: row.u64()?,
        until: row.time()?,
        home: row.u64()?,
        giver: tegata_core::DeviceId(row.get()?),
        state: row.code(HandedState::ALL, HandedState::code)?,
        due: row.time()?,
        taker: row.get::<Option<_>>()?.map(tegata_core::DeviceId),
        proof: row.get()?,
        number: row.get::<Option<_>>()?.map(Hash),
    })
}

impl Store {
    /// How a generation of a card was given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn handed(&self, card: CardId, generation: u64) -> Result<Option<HandedRow>, StoreError> {
        let sql = format!("SELECT {HANDED} FROM handed WHERE card = ?1 AND generation = ?2");
        one(self.sql(&sql)?, params![card.0, n(generation)], handed)
    }
    /// How often a card had been given on before this generation: what came back, or was never taken by its number, is not counted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn given(&self, card: CardId, generation: u64) -> Result<u64, StoreError> {
        // A gift is on its way into the generation after its own until that one is certified.
        let sql = "SELECT count(*) FROM handed WHERE card = ?1 AND generation < ?2
            AND ((gift = 0 AND state <> 4) OR (gift = 1 AND (state = 2 OR (state = 1 AND generation + 1 = ?2))))";
        Ok(one(self.sql(sql)?, params![card.0, n(generation)], |row| row.u64())?.unwrap_or(0))
    }
    /// The gift of this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn gift(&self, number: &Hash) -> Result<Option<HandedRow>, StoreError> {
        one(self.sql(&format!("SELECT {HANDED} FROM handed WHERE number = ?1"))?, [number.0], handed)
    }
    /// Open ones that come back now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn handed_due(&self, now: Time, most: u64) -> Result<Vec<HandedRow>, StoreError> {
        let sql = format!("SELECT {HANDED} FROM handed WHERE state = 1 AND due <= ?1 ORDER BY due, card LIMIT ?2");
        all(self.sql(&sql)?, params![n(now.0), n(most)], handed)
    }
    /// Cards that a wallet has given, with the newest generation of each that it gave, or that was given on from there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn given_by(&self, wallet: WalletId) -> Result<Vec<(CardId, u64)>, StoreError> {
        let sql = "SELECT card, max(generation) FROM handed WHERE giver = ?1 GROUP BY card ORDER BY card";
        all(self.sql(sql)?, [wallet.0], |row| Ok((CardId(row.get()?), row.u64()?)))
    }
    /// Writes one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_handed(&self, row: &HandedRow) -> Result<(), StoreError> {
        let sql =
            "INSERT OR REPLACE INTO handed (card, generation, hash, gift, body, used, until, home, giver, state, due,
            taker, proof, number) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        self.sql(sql)?.execute(params![
            row.card.0,
            n(row.generation),
            row.hash.0,
            i64::from(row.gift),
            row.body,
            n(row.used),
            n(row.until.0),
            n(row.home),
            row.giver.0,
            n(row.state.code()),
            n(row.due.0),
            row.taker.map(|taker| taker.0),
            row.proof,
            row.number.map(|number| number.0),
        ])?;
        Ok(())
    }
}
