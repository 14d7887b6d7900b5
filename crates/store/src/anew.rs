//! Cards that are issued anew because their wallet was lost.

use crate::row::{Columns, all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{CardId, DeviceId, Hash, Time, WalletId};

/// One card issued anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnewRow {
    /// The card.
    pub card: CardId,
    /// The generation that was lost.
    pub generation: u64,
    /// The one that whoever installs the number begins.
    pub next: u64,
    /// The number, as a keyed hash.
    pub number: Hash,
    /// When the operator said so.
    pub at: Time,
    /// The wallet that was lost.
    pub lost: WalletId,
    /// The wallet that has the card now.
    pub taker: Option<WalletId>,
    /// That wallet's request.
    pub proof: Option<Vec<u8>>,
}

const ANEW: &str = "card, generation, next, number, at, lost, taker, proof";

fn anew(row: &mut Columns<'_, '_>) -> rusqlite::Result<AnewRow> {
    Ok(AnewRow {
        card: CardId(row.get()?),
        generation: row.u64()?,
        next: row.u64()?,
        number: Hash(row.get()?),
        at: row.time()?,
        lost: DeviceId(row.get()?),
        taker: row.get::<Option<_>>()?.map(DeviceId),
        proof: row.get()?,
    })
}

impl Store {
    /// How a generation of a card that was lost is issued anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn anew(&self, card: CardId, generation: u64) -> Result<Option<AnewRow>, StoreError> {
        let sql = format!("SELECT {ANEW} FROM anew WHERE card = ?1 AND generation = ?2");
        one(self.sql(&sql)?, params![card.0, n(generation)], anew)
    }
    /// The card that is issued anew by this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn anew_by(&self, number: &Hash) -> Result<Option<AnewRow>, StoreError> {
        one(self.sql(&format!("SELECT {ANEW} FROM anew WHERE number = ?1"))?, [number.0], anew)
    }
    /// The cards that were issued anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn all_anew(&self) -> Result<Vec<AnewRow>, StoreError> {
        all(self.sql(&format!("SELECT {ANEW} FROM anew ORDER BY at, card"))?, [], anew)
    }
    /// Writes one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_anew(&self, row: &AnewRow) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO anew ({ANEW}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        self.sql(&sql)?.execute(params![
            row.card.0,
            n(row.generation),
            n(row.next),
            row.number.0,
            n(row.at.0),
            row.lost.0,
            row.taker.map(|taker| taker.0),
            row.proof,
        ])?;
        Ok(())
    }
}
