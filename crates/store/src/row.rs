//! Between columns and typed values.

use crate::StoreError;
use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, OptionalExtension, Params, Row};
use tegata_core::wire::canonical::Wire;
use tegata_core::{Time, Unit};

/// A number as SQLite keeps it: 64 bits, with a sign that we never use.
pub(crate) fn n(number: u64) -> i64 {
    number.cast_signed()
}

/// A time or number that may be absent.
pub(crate) fn opt(number: Option<u64>) -> Option<i64> {
    number.map(n)
}

/// Reads columns one after the other.
pub(crate) struct Columns<'a, 'r> {
    row: &'a Row<'r>,
    next: usize,
}

impl<'a, 'r> Columns<'a, 'r> {
    pub(crate) fn new(row: &'a Row<'r>) -> Self {
        Self { row, next: 0 }
    }
    pub(crate) fn get<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }
    pub(crate) fn u64(&mut self) -> rusqlite::Result<u64> {
        self.get::<i64>().map(i64::cast_unsigned)
    }
    pub(crate) fn opt_u64(&mut self) -> rusqlite::Result<Option<u64>> {
        Ok(self.get::<Option<i64>>()?.map(i64::cast_unsigned))
    }
    pub(crate) fn time(&mut self) -> rusqlite::Result<Time> {
        self.u64().map(Time)
    }
    pub(crate) fn unit(&mut self) -> rusqlite::Result<Unit> {
        let code = self.get::<u16>()?;
        Unit::from_code(code).ok_or(rusqlite::Error::InvalidQuery)
    }
    /// A value kept as its canonical bytes or number.
    pub(crate) fn code<T: Copy>(&mut self, all: &[T], code: impl Fn(T) -> u64) -> rusqlite::Result<T> {
        let found = self.u64()?;
        all.iter().copied().find(|one| code(*one) == found).ok_or(rusqlite::Error::InvalidQuery)
    }
}

/// At most one row.
pub(crate) fn one<T>(
    mut statement: CachedStatement<'_>,
    params: impl Params,
    read: impl FnOnce(&mut Columns<'_, '_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    Ok(statement.query_row(params, |row| read(&mut Columns::new(row))).optional()?)
}

/// All rows.
pub(crate) fn all<T>(
    mut statement: CachedStatement<'_>,
    params: impl Params,
    read: impl Fn(&mut Columns<'_, '_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let rows = statement.query_map(params, |row| read(&mut Columns::new(row)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Reads canonical bytes that this program wrote itself.
pub(crate) fn decoded<T: Wire>(bytes: &[u8]) -> rusqlite::Result<T> {
    T::from_bytes(bytes).map_err(|_| rusqlite::Error::InvalidQuery)
}
