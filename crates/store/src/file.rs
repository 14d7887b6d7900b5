//! The file: made whole, opened only if it is wholly ours, copied and put back.

use crate::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, MAIN_DB, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Marks the file as ours: "Tgtp".
const APPLICATION_ID: u32 = 0x5467_7470;
/// One migration after the other; a file's format is how many it has had.
const MIGRATIONS: [&str; 19] = [
    include_str!("migrations/001.sql"),
    include_str!("migrations/002.sql"),
    include_str!("migrations/003.sql"),
    include_str!("migrations/004.sql"),
    include_str!("migrations/005.sql"),
    include_str!("migrations/006.sql"),
    include_str!("migrations/007.sql"),
    include_str!("migrations/008.sql"),
    include_str!("migrations/009.sql"),
    include_str!("migrations/010.sql"),
    include_str!("migrations/011.sql"),
    include_str!("migrations/012.sql"),
    include_str!("migrations/013.sql"),
    include_str!("migrations/014.sql"),
    include_str!("migrations/015.sql"),
    include_str!("migrations/016.sql"),
    include_str!("migrations/017.sql"),
    include_str!("migrations/018.sql"),
    include_str!("migrations/019.sql"),
];
/// How long another process's commit is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Prepared statements that are kept; one process uses fewer.
const STATEMENTS: usize = 512;

/// The provider's database, with its one writer.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    open: bool,
    /// Transactions that wrote something and are durable, since it was opened; and the changes up to the last of them.
    commits: u64,
    changes: u64,
}

impl Store {
    /// Creates an empty database, which appears at `path` complete or not at all, and opens it.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Full`] or [`StoreError::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if path.try_exists()? {
            return Err(StoreError::Exists);
        }
        let unfinished = beside(path, ".new");
        remove_database(&unfinished)?;
        make(&unfinished)?;
        appear(&unfinished, path)?;
        Self::open(path)
    }
    /// Opens the database at `path`, and brings an older format up to this program's.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::HalfMade`], [`StoreError::Foreign`], [`StoreError::Newer`],
    /// [`StoreError::Damaged`], by what is there; [`StoreError::Locked`] or [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        examine(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Self::over(Connection::open_with_flags(path, flags)?)?;
        store.migrate()?;
        // A backup that was copied here by hand has no log: whoever reads from it, for the next backup, would hold up whoever writes.
        store.connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        Ok(store)
    }
    /// Opens the database at `path`, or creates it where nothing is.
    ///
    /// # Errors
    /// As [`Store::open`] and [`Store::create`].
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        match Self::open(path.as_ref()) {
            Err(StoreError::Missing) => Self::create(path),
            opened => opened,
        }
    }
    /// An empty database in memory, for tests and the simulated town.
    ///
    /// # Errors
    /// [`StoreError::Io`] without memory.
    pub fn memory() -> Result<Self, StoreError> {
        let mut store = Self::over(Connection::open_in_memory()?)?;
        store.connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
        store.migrate()?;
        Ok(store)
    }
    /// A copy of all that is committed: a backup.
    ///
    /// # Errors
    /// [`StoreError::Locked`] inside a transaction; [`StoreError::Io`].
    pub fn snapshot(&mut self) -> Result<Vec<u8>, StoreError> {
        if self.open {
            return Err(StoreError::Locked);
        }
        Ok(self.connection.serialize(MAIN_DB)?.to_vec())
    }
    /// The database that a backup holds, in memory. Whoever goes on with it must begin a new epoch (R15).
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn restore(backup: &[u8]) -> Result<Self, StoreError> {
        judge(header(backup))?;
        let mut connection = Connection::open_in_memory()?;
        // A copy of a file in WAL mode says so in its header; memory has no log.
        let mut bytes = backup.to_vec();
        for version in bytes.iter_mut().skip(18).take(2) {
            *version = 1;
        }
        connection.deserialize_read_exact(MAIN_DB, &bytes[..], bytes.len(), false)?;
        let mut store = Self::over(connection)?;
        store.migrate()?;
        Ok(store)
    }
    /// Begins a transaction; does nothing if one is open.
    ///
    /// # Errors
    /// [`StoreError::Locked`] and others.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if !self.open {
            self.sql("BEGIN IMMEDIATE")?.execute([])?;
            self.open = true;
        }
        Ok(())
    }
    /// Makes all since [`Store::begin`] durable; does nothing if none is open.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing since is there.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if !self.open {
            return Ok(());
        }
        let committed = self.sql("COMMIT").and_then(|mut commit| Ok(commit.execute([])?));
        if committed.is_err() {
            self.rollback();
        }
        self.open = false;
        self.count_commit();
        committed.map(drop)
    }
    /// Transactions that wrote something and became durable since this was opened.
    pub fn commits(&self) -> u64 {
        self.commits
    }
    fn count_commit(&mut self) {
        let changes = self.connection.total_changes();
        self.commits += u64::from(changes > self.changes);
        self.changes = changes;
    }
    /// Forgets all since [`Store::begin`].
    pub fn rollback(&mut self) {
        if self.open {
            // Where SQLite has rolled back already, there is nothing to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.open = false;
        }
    }
    /// A prepared statement, kept for the next time.
    pub(crate) fn sql(&self, text: &str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.connection.prepare_cached(text)?)
    }
    /// The connection, for readers such as the auditor and the benchmark.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Everything to the last page can be read, and is as SQLite wrote it.
    pub(crate) fn is_whole(&self) -> Result<bool, StoreError> {
        let found: String = self.connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        Ok(found == "ok")
    }

    fn over(connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Plans do not depend on bound values: otherwise a statement with a bound LIMIT is compiled anew at every use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 16_000, |_| Ok(()))?;
        Ok(Self { connection, open: false, commits: 0, changes: 0 })
    }
    fn migrate(&mut self) -> Result<(), StoreError> {
        let format: u32 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for (number, migration) in (1u32..).zip(MIGRATIONS).filter(|(number, _)| *number > format) {
            self.connection
                .execute_batch(&format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;"))?;
        }
        Ok(())
    }
}

fn make(path: &Path) -> Result<(), StoreError> {
    new_file(path)?;
    let mut store = Store::over(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)?;
    store.connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    store.connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    store.migrate()?;
    store.connection.flush_prepared_statement_cache();
    store.connection.close().map_err(|(_, error)| error)?;
    Ok(File::open(path)?.sync_all()?)
}

/// An empty file that only its owner reads: it holds what people did.
pub(crate) fn new_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(options.open(path)?)
}

/// Gives what is finished its name, where nothing has that name, for good.
pub(crate) fn appear(finished: &Path, path: &Path) -> Result<(), StoreError> {
    match fs::hard_link(finished, path) {
        Ok(()) => fs::remove_file(finished)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(error.into()),
        // A medium that knows no links, such as a memory stick.
        Err(_) if !path.try_exists()? => fs::rename(finished, path)?,
        Err(error) => return Err(error.into()),
    }
    sync_folder(path)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Looks at the file as it is, before SQLite may touch it.
pub(crate) fn examine(path: &Path) -> Result<(), StoreError> {
    let mut bytes = Vec::with_capacity(100);
    File::open(path)?.take(100).read_to_end(&mut bytes)?;
    judge(header(&bytes))
}

/// Application id and format, of a file that is SQLite's.
enum Header {
    Empty,
    Short,
    Other,
    Sqlite { application: u32, format: u32 },
}

fn header(bytes: &[u8]) -> Header {
    if bytes.is_empty() {
        return Header::Empty;
    }
    if !bytes.starts_with(MAGIC) {
        return if MAGIC.starts_with(bytes) { Header::Short } else { Header::Other };
    }
    // https://sqlite.org/fileformat.html 1.3
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    match (number(68), number(60)) {
        (Some(application), Some(format)) => Header::Sqlite { application, format },
        _ => Header::Short,
    }
}

fn judge(header: Header) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    match header {
        Header::Empty => Err(StoreError::HalfMade),
        Header::Short => Err(StoreError::Damaged),
        Header::Other => Err(StoreError::Foreign),
        Header::Sqlite { application: APPLICATION_ID, format: 0 } => Err(StoreError::HalfMade),
        Header::Sqlite { application: APPLICATION_ID, format } if format > known => {
            Err(StoreError::Newer { found: format, known })
        }
        Header::Sqlite { application: APPLICATION_ID, .. } => Ok(()),
        Header::Sqlite { .. } => Err(StoreError::Foreign),
    }
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn remove_database(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWER: u8 = MIGRATIONS.len() as u8 + 1;

    #[test]
    fn only_a_whole_database_of_ours_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("provider.db");
        assert_eq!(Store::open(&path).err(), Some(StoreError::Missing));
        drop(Store::create(&path).expect("created"));
        assert_eq!(Store::create(&path).err(), Some(StoreError::Exists));
        drop(Store::open(&path).expect("opened"));
        let whole = fs::read(&path).expect("read");
        for (change, expected) in [
            (&(|bytes: &mut Vec<u8>| bytes.clear()) as &dyn Fn(&mut Vec<u8>), StoreError::HalfMade),
            (&|bytes| bytes.truncate(10), StoreError::Damaged),
            (&|bytes| bytes[0] = b'X', StoreError::Foreign),
            (&|bytes| bytes[68] = 0, StoreError::Foreign),
            (&|bytes| bytes[63] = 0, StoreError::HalfMade),
            (&|bytes| bytes[63] = NEWER, StoreError::Newer { found: NEWER.into(), known: u32::from(NEWER) - 1 }),
        ] {
            let mut bytes = whole.clone();
            change(&mut bytes);
            fs::write(&path, &bytes).expect("written");
            assert_eq!(Store::open(&path).err(), Some(expected));
            assert_eq!(fs::read(&path).expect("read"), bytes, "left untouched");
        }
    }

    #[test]
    fn a_backup_is_what_was_committed() {
        let mut store = Store::memory().expect("memory");
        let count = |store: &Store| -> i64 {
            store.connection.query_row("SELECT count(*) FROM period", [], |row| row.get(0)).expect("counted")
        };
        let add = |store: &Store| store.connection.execute("INSERT INTO period (at) VALUES (1)", []).expect("added");
        store.begin().expect("begun");
        add(&store);
        assert_eq!(store.snapshot().err(), Some(StoreError::Locked));
        store.commit().expect("committed");
        let backup = store.snapshot().expect("a backup");
        store.begin().expect("begun");
        add(&store);
        store.rollback();
        assert_eq!(count(&store), 1);
        store.begin().expect("begun");
        add(&store);
        store.commit().expect("committed");
        assert_eq!((count(&store), count(&Store::restore(&backup).expect("restored"))), (2, 1));
        assert_eq!(Store::restore(b"nonsense").err(), Some(StoreError::Foreign));
    }
}
