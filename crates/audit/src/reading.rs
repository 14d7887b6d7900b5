//! Reading rows: one table after the other, in pieces, so that a large database needs little memory.

use crate::AuditError;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};
use tegata_core::Unit;

/// How many rows are read, then checked on all cores at once.
pub(crate) const PIECE: usize = 4096;

/// A 16 byte id, whatever it names.
pub(crate) type Id = [u8; 16];

/// One row of one table.
pub(crate) struct Columns<'a, 'r>(&'a Row<'r>);

impl Columns<'_, '_> {
    pub fn get<T: FromSql>(&self, at: usize) -> rusqlite::Result<T> {
        self.0.get(at)
    }
    pub fn u64(&self, at: usize) -> rusqlite::Result<u64> {
        self.0.get::<_, i64>(at).map(i64::cast_unsigned)
    }
    pub fn opt_u64(&self, at: usize) -> rusqlite::Result<Option<u64>> {
        Ok(self.0.get::<_, Option<i64>>(at)?.map(i64::cast_unsigned))
    }
}

/// Whether this database has a table of this name: older formats lack some.
pub(crate) fn has_table(connection: &Connection, name: &str) -> Result<bool, AuditError> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    Ok(connection.query_row(sql, [name], |row| row.get::<_, i64>(0))? > 0)
}

/// Where changes are read as their promoters signed them: since format 18 these stand by themselves.
pub(crate) fn signed_changes(connection: &Connection) -> Result<&'static str, AuditError> {
    Ok(match has_table(connection, "change_signed")? {
        true => "change LEFT JOIN change_signed USING (change)",
        false => "change",
    })
}

/// Gives every row of a query to `row`.
pub(crate) fn each<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut row: impl FnMut(&Columns<'_, '_>) -> rusqlite::Result<T>,
) -> Result<(), AuditError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(found) = rows.next()? {
        row(&Columns(found))?;
    }
    Ok(())
}

/// Gives the rows of a query to `piece`, some thousand at a time.
pub(crate) fn pieces<T>(
    connection: &Connection,
    sql: &str,
    mut row: impl FnMut(&Columns<'_, '_>) -> rusqlite::Result<T>,
    mut piece: impl FnMut(Vec<T>) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut held = Vec::new();
    while let Some(found) = rows.next()? {
        held.push(row(&Columns(found))?);
        if held.len() >= PIECE {
            piece(std::mem::take(&mut held))?;
        }
    }
    piece(held)
}

/// A unit's name on screens; its number where it is none of ours.
pub(crate) fn unit_name(code: u16) -> String {
    Unit::from_code(code).map_or_else(|| format!("unit {code}"), |unit| unit.name().to_owned())
}

/// Hexadecimal, for hashes and ids in texts.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
