//! A vault in one SQLite file: the write-ahead log with `synchronous = FULL` (DESIGN.md 5 has the measurement).
//!
//! Several processes may open one file; a commit takes the write lock before it looks at its guards, so of two
//! writers one sees what the other wrote. Nothing is ever repaired or created on the way: a file that is not
//! wholly ours is refused and left untouched.

use crate::{Found, Vault, VaultError, file};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tegata_core::record::{Batch, RecordKey, Space};

/// Marks the file as ours (`file` and SQLite show it): "Tgta".
const APPLICATION_ID: u32 = 0x5467_7461;
/// The format that this program writes; the highest it reads.
const FORMAT: u32 = 1;
/// How long a commit waits for another process's commit.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Bytes of SQLite's file header.
const HEADER: usize = 100;

const SCHEMA: &str = "CREATE TABLE record (
    space INTEGER NOT NULL,
    name BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (space, name)
) WITHOUT ROWID, STRICT";
const GET: &str = "SELECT value FROM record WHERE space = ?1 AND name = ?2";
const SCAN: &str = "SELECT name, value FROM record WHERE space = ?1 AND name >= ?2 ORDER BY name LIMIT ?3";
const PUT: &str = "INSERT INTO record (space, name, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (space, name) DO UPDATE SET value = excluded.value";
const REMOVE: &str = "DELETE FROM record WHERE space = ?1 AND name = ?2";

/// A vault in one SQLite file. Dropping it closes the file.
#[derive(Debug)]
pub struct SqliteVault {
    connection: Connection,
}

impl SqliteVault {
    /// Creates an empty vault, which appears at `path` complete or not at all, and opens it.
    ///
    /// # Errors
    /// [`VaultError::Exists`] if anything is at `path`; [`VaultError::Full`] or [`VaultError::Io`] if it cannot be
    /// written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        let path = path.as_ref();
        if path.try_exists()? {
            return Err(VaultError::Exists);
        }
        let unfinished = file::unfinished(path);
        remove_database(&unfinished)?;
        let made = make(&unfinished).and_then(|()| Ok(file::publish(&unfinished, path)?));
        if let Err(error) = made {
            // The first error matters; a leftover of this name is removed by the next try.
            let _ = remove_database(&unfinished);
            return Err(error);
        }
        Self::open(path)
    }

    /// Opens the vault at `path`.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::HalfMade`], [`VaultError::Foreign`], [`VaultError::Newer`] or
    /// [`VaultError::Damaged`], by what is there; [`VaultError::Locked`] or [`VaultError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        let path = path.as_ref();
        let left_open = examine(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = configure(Connection::open_with_flags(path, flags)?)?;
        match connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? {
            0 => return Err(VaultError::HalfMade),
            FORMAT => {}
            found => return Err(VaultError::Newer { found, known: FORMAT }),
        }
        if left_open {
            let verdict: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
            if verdict != "ok" {
                return Err(VaultError::Damaged);
            }
        }
        connection.prepare_cached(GET).map_err(|_| VaultError::Damaged)?;
        Ok(Self { connection })
    }

    /// Opens the vault at `path`, or creates it where nothing is.
    ///
    /// # Errors
    /// As [`SqliteVault::open`] and [`SqliteVault::create`].
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        let path = path.as_ref();
        match Self::open(path) {
            Err(VaultError::Missing) => match Self::create(path) {
                // Another process was faster.
                Err(VaultError::Exists) => Self::open(path),
                created => created,
            },
            opened => opened,
        }
    }

    /// Allows no more pages than the file has now: a full disk, for tests.
    #[cfg(test)]
    fn fill_disk(&self) {
        let pages: u32 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("a number");
        let limited =
            self.connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, u32>(0));
        assert_eq!(limited, Ok(pages));
    }
}

impl Vault for SqliteVault {
    fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
        let mut statement = self.connection.prepare_cached(GET)?;
        Ok(statement.query_row(params![number(key.space), key.name], |row| row.get(0)).optional()?)
    }

    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<Found>, VaultError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(SCAN)?;
        let found = statement.query_map(params![number(space), from, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (key, expected) in &batch.guards {
            if !stands(&transaction, key, expected.as_deref())? {
                return Err(VaultError::Raced);
            }
        }
        for (key, value) in &batch.writes {
            match value {
                Some(value) => transaction.prepare_cached(PUT)?.execute(params![number(key.space), key.name, value])?,
                None => transaction.prepare_cached(REMOVE)?.execute(params![number(key.space), key.name])?,
            };
        }
        Ok(transaction.commit()?)
    }
}

/// Whether exactly this stands there.
fn stands(transaction: &Transaction<'_>, key: &RecordKey, expected: Option<&[u8]>) -> Result<bool, VaultError> {
    let mut statement = transaction.prepare_cached(GET)?;
    let mut rows = statement.query(params![number(key.space), key.name])?;
    Ok(match rows.next()? {
        Some(row) => expected == Some(row.get_ref(0)?.as_blob().map_err(|_| VaultError::Damaged)?),
        None => expected.is_none(),
    })
}

fn number(space: Space) -> i64 {
    space.code().cast_signed()
}

fn configure(connection: Connection) -> Result<Connection, VaultError> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    // Removed records (a key given away, a note) are overwritten, not only forgotten.
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    Ok(connection)
}

/// Makes a complete database under a name that nobody opens yet.
fn make(path: &Path) -> Result<(), VaultError> {
    file::create_private(path)?;
    let connection = configure(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.execute_batch(&format!(
        "BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {SCHEMA}; COMMIT;"
    ))?;
    // Closing moves everything from the log into the file and removes the log.
    connection.close().map_err(|(_, error)| error)?;
    Ok(File::open(path)?.sync_all()?)
}

/// Looks at the file as it is, before SQLite may touch it. Returns whether it was left open: by a process that runs
/// still, or by one that was killed.
fn examine(path: &Path) -> Result<bool, VaultError> {
    let mut header = Vec::with_capacity(HEADER);
    let mut opened = File::open(path)?;
    let length = opened.metadata()?.len();
    opened.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
    if header.is_empty() {
        return Err(VaultError::HalfMade);
    }
    if !header.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(&header) { VaultError::Damaged } else { VaultError::Foreign });
    }
    if header.len() < HEADER {
        return Err(VaultError::Damaged);
    }
    match (big_endian(&header, 68), big_endian(&header, 60)) {
        (APPLICATION_ID, 0) | (0, _) if is_bare(path)? => return Err(VaultError::HalfMade),
        (APPLICATION_ID, found) if found > FORMAT => return Err(VaultError::Newer { found, known: FORMAT }),
        (APPLICATION_ID, _) => {}
        _ => return Err(VaultError::Foreign),
    }
    let left_open = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    // After a clean end the header tells the file's length; with a log, SQLite and its check know better.
    let page = match big_endian(&header, 16) >> 16 {
        1 => 65_536,
        size => u64::from(size),
    };
    if !left_open && length < page * u64::from(big_endian(&header, 28)) {
        return Err(VaultError::Damaged);
    }
    Ok(left_open)
}

/// Whether the database at `path` has no table at all: whoever began to make it stopped there.
fn is_bare(path: &Path) -> Result<bool, VaultError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? == 0)
}

/// Four bytes of the header as a number (https://sqlite.org/fileformat.html 1.3); 0 beyond its end.
fn big_endian(header: &[u8], at: usize) -> u32 {
    header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// A file that SQLite keeps beside the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_database(path: &Path) -> Result<(), VaultError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        file::remove_if_there(&beside(path, suffix))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
