//! The processor's database: coarse operations on its tables. It decides nothing.

mod accounts;
mod asked;
mod authorizations;
mod error;
mod file;
mod requests;

pub(crate) use accounts::{AccountRow, Named, ProviderRow};
pub(crate) use asked::{AskedRow, Purpose};
pub(crate) use authorizations::{AuthorizationRow, State};
pub use error::StoreError;
pub use file::Store;
pub(crate) use requests::RequestRow;

use tegata_core::{Amount, Unit};

/// Something that may be done because the transaction that it belongs to is durable. Only [`Store::commit`] makes one, so that
/// nothing is sent before it is stored.
#[derive(Debug)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    fn after_commit(value: T) -> Self {
        Self(value)
    }
    /// What may be done now.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A number as SQLite keeps it: 64 bits, with a sign that we never use here.
fn n(number: u64) -> i64 {
    number.cast_signed()
}

/// At most one row.
fn one<T>(found: rusqlite::Result<T>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn u(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::cast_unsigned)
}

fn amount(unit: u64, minor: u64) -> rusqlite::Result<Amount> {
    let unit = u16::try_from(unit).ok().and_then(Unit::from_code);
    unit.and_then(|unit| Amount::new(unit, minor)).ok_or(rusqlite::Error::InvalidQuery)
}
