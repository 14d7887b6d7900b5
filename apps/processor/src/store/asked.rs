//! Messages to the bank about money, written before they are sent.

use super::{Store, StoreError, n, one, u};
use rusqlite::{Row, params};
use tegata_core::{PartyId, RequestNumber, Time};

/// What a message to the bank is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// 0100: hold.
    Authorize = 1,
    /// 0200: take.
    Capture = 2,
    /// 0200: pay back.
    Refund = 3,
    /// 0400: undo the 0100, or a 0200 by which the bank took another amount.
    Reverse = 4,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Authorize, Self::Capture, Self::Refund, Self::Reverse];
}

/// One message to the bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AskedRow {
    /// Its number here; 0 before it is written.
    pub(crate) id: u64,
    pub(crate) provider: PartyId,
    /// The request that it serves.
    pub(crate) number: RequestNumber,
    pub(crate) authorization: RequestNumber,
    pub(crate) purpose: Purpose,
    pub(crate) stan: u32,
    pub(crate) sent: Time,
    /// In minor units.
    pub(crate) amount: u64,
    /// What the bank said, or that it was silent.
    pub(crate) response: Option<String>,
    /// Whether an answer is waited for.
    pub(crate) open: bool,
}

const COLUMNS: &str = "id, provider, number, authorization, purpose, stan, sent, amount, response, open";

fn asked(row: &Row<'_>) -> rusqlite::Result<AskedRow> {
    let purpose = u(row, 4)?;
    Ok(AskedRow {
        id: u(row, 0)?,
        provider: PartyId(row.get(1)?),
        number: RequestNumber(row.get(2)?),
        authorization: RequestNumber(row.get(3)?),
        purpose: Purpose::ALL
            .into_iter()
            .find(|known| *known as u64 == purpose)
            .ok_or(rusqlite::Error::InvalidQuery)?,
        stan: row.get(5)?,
        sent: Time(u(row, 6)?),
        amount: u(row, 7)?,
        response: row.get(8)?,
        open: row.get(9)?,
    })
}

impl Store {
    /// Writes a message that is about to be sent, and numbers it.
    pub(crate) fn put_asked(&self, row: &AskedRow) -> Result<u64, StoreError> {
        let mut sql = self.sql(
            "INSERT INTO asked (provider, number, authorization, purpose, stan, sent, amount, response, open)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
        )?;
        let (provider, number, authorization) = (row.provider.0, row.number.0, row.authorization.0);
        let (purpose, sent, amount) = (row.purpose as i64, n(row.sent.0), n(row.amount));
        Ok(sql.query_row(
            params![provider, number, authorization, purpose, row.stan, sent, amount, row.response, row.open],
            |row| u(row, 0),
        )?)
    }
    pub(crate) fn asked(&self, id: u64) -> Result<Option<AskedRow>, StoreError> {
        let mut sql = self.sql(&format!("SELECT {COLUMNS} FROM asked WHERE id = ?1"))?;
        one(sql.query_row([n(id)], asked))
    }
    /// The message is answered, or given up as silent.
    pub(crate) fn close_asked(&self, id: u64, response: &str) -> Result<(), StoreError> {
        self.sql("UPDATE asked SET open = 0, response = ?2 WHERE id = ?1")?.execute(params![n(id), response])?;
        Ok(())
    }
    /// Messages that wait for an answer.
    pub(crate) fn open_asked(&self) -> Result<Vec<AskedRow>, StoreError> {
        let mut sql = self.sql(&format!("SELECT {COLUMNS} FROM asked WHERE open = 1 ORDER BY id"))?;
        let rows = sql.query_map([], asked)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// Messages of this trace number.
    pub(crate) fn traced(&self, stan: u32) -> Result<Vec<AskedRow>, StoreError> {
        let mut sql = self.sql(&format!("SELECT {COLUMNS} FROM asked WHERE stan = ?1 ORDER BY id"))?;
        let rows = sql.query_map([stan], asked)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// Messages about this authorization, oldest first.
    pub(crate) fn asked_about(
        &self,
        provider: PartyId,
        authorization: RequestNumber,
    ) -> Result<Vec<AskedRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM asked WHERE provider = ?1 AND authorization = ?2 ORDER BY id");
        let mut sql = self.sql(&sql)?;
        let rows = sql.query_map(params![provider.0, authorization.0], asked)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
