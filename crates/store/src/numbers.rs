//! Numbers from shops: ordered, activated, used once (R18); and the terms of their cards.

use crate::row::{all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{CardId, Handle, Hash, IssuerId, Time, Unit, WalletId};

/// CROSS JOIN keeps the order: the other way round every number that the issuer ever had is looked at.
const LEFT: &str = "SELECT count(*) FROM number_batch
    CROSS JOIN number ON number.issuer = number_batch.issuer AND number.batch = number_batch.batch
    WHERE number_batch.issuer = ?1 AND number_batch.terms = ?2 AND number_batch.valid_until > ?3
        AND number.state IN (1, 2)";

/// Where a number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberState {
    /// Printed: worth nothing.
    Printed = 1,
    /// Sold: waits to be used.
    Activated = 2,
    /// On a card.
    Used = 3,
}

impl NumberState {
    const ALL: [Self; 3] = [Self::Printed, Self::Activated, Self::Used];
}

/// One number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRow {
    /// Its keyed hash.
    pub hash: Hash,
    /// Who ordered it.
    pub issuer: IssuerId,
    /// In which batch.
    pub batch: u64,
    /// Its place in it, from 1.
    pub serial: u64,
    /// Where it stands.
    pub state: NumberState,
    /// The card key that it is bound to (install).
    pub key: Option<Vec<u8>>,
    /// The card that it became or was loaded onto.
    pub card: Option<CardId>,
    /// The number of the load that it became.
    pub load: Option<u64>,
    /// The request that used it, and the certificate or load that answered.
    pub used: Option<(Hash, Vec<u8>)>,
}

/// One batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRow {
    /// Who ordered it.
    pub issuer: IssuerId,
    /// Its number at that issuer.
    pub batch: u64,
    /// The terms of its cards.
    pub terms: Handle,
    /// What they count.
    pub unit: Unit,
    /// What each is worth, in minor units.
    pub face: u64,
    /// How many.
    pub count: u64,
    /// The cards' last moment.
    pub until: Time,
    /// When it was ordered.
    pub at: Time,
}

/// One activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationRow {
    /// Who ordered the batch.
    pub issuer: IssuerId,
    /// The batch.
    pub batch: u64,
    /// The hash that names it.
    pub hash: Hash,
    /// The first serial.
    pub first: u64,
    /// The last serial.
    pub last: u64,
    /// How many became value by it.
    pub activated: u64,
    /// When.
    pub at: Time,
    /// The signed activation.
    pub body: Vec<u8>,
}

impl Store {
    /// The key under which an issuer hashes its numbers, and when it came.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn number_key(&self, issuer: IssuerId) -> Result<Option<([u8; 32], Time)>, StoreError> {
        let sql = "SELECT secret, at FROM number_key WHERE issuer = ?1";
        one(self.sql(sql)?, [issuer.0], |row| Ok((row.get()?, row.time()?)))
    }
    /// Every issuer's key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn number_keys(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        all(self.sql("SELECT secret FROM number_key ORDER BY issuer")?, [], |row| row.get())
    }
    /// Adds an issuer's key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_number_key(&self, issuer: IssuerId, secret: &[u8; 32], at: Time, body: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO number_key (issuer, secret, at, body) VALUES (?1, ?2, ?3, ?4)";
        self.sql(sql)?.execute(params![issuer.0, secret, n(at.0), body])?;
        Ok(())
    }
    /// Terms, by handle.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn terms(&self, handle: Handle) -> Result<Option<Vec<u8>>, StoreError> {
        one(self.sql("SELECT body FROM terms WHERE handle = ?1")?, [handle.0], |row| row.get())
    }
    /// All terms.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn all_terms(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        all(self.sql("SELECT body FROM terms ORDER BY handle")?, [], |row| row.get())
    }
    /// Adds terms; says whether they are new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_terms(&self, handle: Handle, issuer: IssuerId, body: &[u8]) -> Result<bool, StoreError> {
        let sql = "INSERT INTO terms (handle, issuer, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        Ok(self.sql(sql)?.execute(params![handle.0, issuer.0, body])? > 0)
    }
    /// One batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batch(&self, issuer: IssuerId, batch: u64) -> Result<Option<BatchRow>, StoreError> {
        let sql = "SELECT issuer, batch, terms, unit, face, count, valid_until, at
            FROM number_batch WHERE issuer = ?1 AND batch = ?2";
        one(self.sql(sql)?, params![issuer.0, n(batch)], |row| {
            Ok(BatchRow {
                issuer: tegata_core::PartyId(row.get()?),
                batch: row.u64()?,
                terms: Handle(row.get()?),
                unit: row.unit()?,
                face: row.u64()?,
                count: row.u64()?,
                until: row.time()?,
                at: row.time()?,
            })
        })
    }
    /// The signed order of a batch; long, so that only those who compare it read it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn order(&self, issuer: IssuerId, batch: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT body FROM number_batch WHERE issuer = ?1 AND batch = ?2";
        one(self.sql(sql)?, params![issuer.0, n(batch)], |row| row.get())
    }
    /// Adds a batch with its numbers, printed.
    ///
    /// # Errors
    /// [`StoreError::Twice`] and others.
    pub fn put_batch(&self, row: &BatchRow, order: &[u8], numbers: &[Hash]) -> Result<(), StoreError> {
        let sql = "INSERT INTO number_batch (issuer, batch, terms, unit, face, count, valid_until, at, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.sql(sql)?.execute(params![
            row.issuer.0,
            n(row.batch),
            row.terms.0,
            row.unit.code(),
            n(row.face),
            n(row.count),
            n(row.until.0),
            n(row.at.0),
            order,
        ])?;
        let sql = "INSERT INTO number (hash, issuer, batch, serial, state) VALUES (?1, ?2, ?3, ?4, 1)";
        let mut insert = self.sql(sql)?;
        for (serial, hash) in (1u64..).zip(numbers) {
            insert.execute(params![hash.0, row.issuer.0, n(row.batch), n(serial)])?;
        }
        Ok(())
    }
    /// A batch's numbers count with what this article sells.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_batch_article(&self, issuer: IssuerId, batch: u64, article: u64) -> Result<(), StoreError> {
        let sql = "UPDATE number_batch SET article = ?3 WHERE issuer = ?1 AND batch = ?2";
        self.sql(sql)?.execute(params![issuer.0, n(batch), n(article)])?;
        Ok(())
    }
    /// Whether any of these numbers is known already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn knows_number(&self, numbers: &[Hash]) -> Result<bool, StoreError> {
        for hash in numbers {
            if one(self.sql("SELECT 1 FROM number WHERE hash = ?1")?, [hash.0], |row| row.get::<i64>())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// When this activation was recorded.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn activation(&self, issuer: IssuerId, batch: u64, hash: &Hash) -> Result<Option<Time>, StoreError> {
        let sql = "SELECT at FROM activation WHERE issuer = ?1 AND batch = ?2 AND hash = ?3";
        one(self.sql(sql)?, params![issuer.0, n(batch), hash.0], |row| row.time())
    }
    /// Records an activation and activates what is only printed; says how many that were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn activate(&self, row: &ActivationRow) -> Result<u64, StoreError> {
        let sql =
            "UPDATE number SET state = 2 WHERE issuer = ?1 AND batch = ?2 AND serial BETWEEN ?3 AND ?4 AND state = 1";
        let changed = self.sql(sql)?.execute(params![row.issuer.0, n(row.batch), n(row.first), n(row.last)])?;
        let activated = u64::try_from(changed).unwrap_or(0);
        let sql = "INSERT INTO activation (issuer, batch, hash, first, last, activated, at, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.sql(sql)?.execute(params![
            row.issuer.0,
            n(row.batch),
            row.hash.0,
            n(row.first),
            n(row.last),
            n(activated),
            n(row.at.0),
            row.body,
        ])?;
        Ok(activated)
    }
    /// One number, by its keyed hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn number(&self, hash: &Hash) -> Result<Option<NumberRow>, StoreError> {
        let sql = "SELECT hash, issuer, batch, serial, state, key, card, load, request, reply
            FROM number WHERE hash = ?1";
        one(self.sql(sql)?, [hash.0], |row| {
            Ok(NumberRow {
                hash: Hash(row.get()?),
                issuer: tegata_core::PartyId(row.get()?),
                batch: row.u64()?,
                serial: row.u64()?,
                state: row.code(&NumberState::ALL, |state| state as u64)?,
                key: row.get()?,
                card: row.get::<Option<_>>()?.map(CardId),
                load: row.opt_u64()?,
                used: row.get::<Option<_>>()?.map(Hash).zip(row.get()?),
            })
        })
    }
    /// Writes what became of a number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_number(&self, row: &NumberRow) -> Result<(), StoreError> {
        let sql = "UPDATE number SET state = ?2, key = ?3, card = ?4, load = ?5, request = ?6, reply = ?7
            WHERE hash = ?1";
        let (request, reply) = row.used.as_ref().map(|(hash, reply)| (hash.0, reply)).unzip();
        let (state, card) = (row.state as i64, row.card.map(|card| card.0));
        self.sql(sql)?.execute(params![row.hash.0, state, row.key, card, opt(row.load), request, reply])?;
        Ok(())
    }
    /// How many numbers of an issuer's cards under these terms can still be installed at this time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn numbers_left(&self, issuer: IssuerId, terms: Handle, now: Time) -> Result<u64, StoreError> {
        Ok(one(self.sql(LEFT)?, params![issuer.0, terms.0, n(now.0)], |row| row.u64())?.unwrap_or(0))
    }
    /// How many wrong numbers a wallet has sent, and since when.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn guesses(&self, wallet: WalletId) -> Result<Option<(Time, u64)>, StoreError> {
        let sql = "SELECT since, count FROM guess WHERE wallet = ?1";
        one(self.sql(sql)?, [wallet.0], |row| Ok((row.time()?, row.u64()?)))
    }
    /// Writes how many wrong numbers a wallet has sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_guesses(&self, wallet: WalletId, since: Time, count: u64) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO guess (wallet, since, count) VALUES (?1, ?2, ?3)";
        self.sql(sql)?.execute(params![wallet.0, n(since.0), n(count)])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_counted_in_the_batches_of_these_terms_alone() {
        let store = Store::memory().expect("memory");
        let mut plan = store.connection().prepare(&format!("EXPLAIN QUERY PLAN {LEFT}")).expect("a query");
        let steps = plan.query_map(params![[1_u8; 16], [2_u8; 8], 3], |row| row.get::<_, String>(3)).expect("a plan");
        let steps: Vec<String> = steps.map(|step| step.expect("a step")).collect();
        assert!(steps[0].starts_with("SEARCH number_batch"), "{steps:?}");
        assert!(steps[1].contains("number_serial (issuer=? AND batch=?)"), "{steps:?}");
    }
}
