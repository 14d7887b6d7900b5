//! Requests by their numbers, the postings they made, and what was refused.

use super::{AuthorizationRow, Store, StoreError, n, one, u};
use rusqlite::params;
use tegata_core::{AccountId, Amount, Hash, PartyId, RequestNumber, Time};

/// A request that has come. Kind 0: it was asked about before, and is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestRow {
    pub(crate) provider: PartyId,
    pub(crate) number: RequestNumber,
    pub(crate) hash: Hash,
    pub(crate) kind: u64,
    pub(crate) at: Time,
    pub(crate) authorization: Option<RequestNumber>,
    pub(crate) answer: Option<Vec<u8>>,
}

const COLUMNS: &str = "provider, number, hash, kind, at, authorization, answer";

fn request(row: &rusqlite::Row<'_>) -> rusqlite::Result<RequestRow> {
    Ok(RequestRow {
        provider: PartyId(row.get(0)?),
        number: RequestNumber(row.get(1)?),
        hash: Hash(row.get(2)?),
        kind: u(row, 3)?,
        at: Time(u(row, 4)?),
        authorization: row.get::<_, Option<_>>(5)?.map(RequestNumber),
        answer: row.get(6)?,
    })
}

impl Store {
    pub(crate) fn request(&self, provider: PartyId, number: RequestNumber) -> Result<Option<RequestRow>, StoreError> {
        let mut sql = self.sql(&format!("SELECT {COLUMNS} FROM request WHERE provider = ?1 AND number = ?2"))?;
        one(sql.query_row(params![provider.0, number.0], request))
    }
    pub(crate) fn put_request(&self, row: &RequestRow) -> Result<(), StoreError> {
        let mut sql = self.sql(&format!("INSERT INTO request ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"))?;
        let authorization = row.authorization.map(|number| number.0);
        let (provider, number) = (row.provider.0, row.number.0);
        sql.execute(params![provider, number, row.hash.0, n(row.kind), n(row.at.0), authorization, row.answer])?;
        Ok(())
    }
    /// Requests about this authorization that have no answer yet.
    pub(crate) fn waiting(
        &self,
        provider: PartyId,
        authorization: RequestNumber,
    ) -> Result<Vec<RequestRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM request WHERE provider = ?1 AND authorization = ?2 AND answer IS NULL ORDER BY number"
        );
        let mut sql = self.sql(&sql)?;
        let rows = sql.query_map(params![provider.0, authorization.0], request)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// Gives a request its final answer.
    pub(crate) fn answer(&self, provider: PartyId, number: RequestNumber, answer: &[u8]) -> Result<(), StoreError> {
        let mut sql =
            self.sql("UPDATE request SET answer = ?3 WHERE provider = ?1 AND number = ?2 AND answer IS NULL")?;
        // Exactly one: an answer is given once.
        match sql.execute(params![provider.0, number.0, answer])? {
            1 => Ok(()),
            _ => Err(StoreError::Twice),
        }
    }

    /// Posts what a user was charged for a merchant, or paid back. Once for each request.
    pub(crate) fn post(
        &self,
        row: &AuthorizationRow,
        number: RequestNumber,
        minor: i64,
        at: Time,
    ) -> Result<(), StoreError> {
        let mut sql = self.sql(
            "INSERT INTO posting (at, provider, number, clearing, user, merchant, unit, amount)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        let clearing = row.clearing.ok_or(StoreError::Damaged)?;
        let (user, merchant, unit) = (row.user.0, row.merchant.0, row.amount.unit().code());
        sql.execute(params![n(at.0), row.provider.0, number.0, clearing.0, user, merchant, unit, minor])?;
        Ok(())
    }
    /// What stands on an account: what a user was charged, or what a merchant is owed, less what was paid back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn balance(&self, account: AccountId) -> Result<Vec<Amount>, StoreError> {
        let mut sql = self.sql(
            "SELECT unit, sum(amount) FROM posting WHERE user = ?1 OR merchant = ?1 GROUP BY unit ORDER BY unit",
        )?;
        let rows = sql.query_map(params![account.0], |row| super::amount(u(row, 0)?, u(row, 1)?))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps why something was refused; the oldest go when there are many.
    pub(crate) fn put_refusal(
        &self,
        at: Time,
        why: &str,
        sender: Option<PartyId>,
        hash: Option<Hash>,
    ) -> Result<(), StoreError> {
        let mut sql = self.sql("INSERT INTO refusal (at, why, sender, hash) VALUES (?1, ?2, ?3, ?4)")?;
        sql.execute(params![n(at.0), why, sender.map(|party| party.0), hash.map(|hash| hash.0)])?;
        self.sql("DELETE FROM refusal WHERE id <= (SELECT max(id) FROM refusal) - 10000")?.execute([])?;
        Ok(())
    }
    /// What was refused and why, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refusals(&self) -> Result<Vec<(Time, String, Option<PartyId>)>, StoreError> {
        let mut sql = self.sql("SELECT at, why, sender FROM refusal ORDER BY id")?;
        let rows =
            sql.query_map([], |row| Ok((Time(u(row, 0)?), row.get(1)?, row.get::<_, Option<_>>(2)?.map(PartyId))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
