//! The file: made whole, opened only if it is wholly ours, by one process at a time.

use super::StoreError;
use rusqlite::{CachedStatement, Connection, MAIN_DB, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Marks the file as ours: "Tgtx".
const APPLICATION_ID: u32 = 0x5467_7478;
/// One migration after the other; a file's format is how many it has had.
const MIGRATIONS: [&str; 1] = [include_str!("001.sql")];
/// How long another process's commit is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The processor's database, with its one writer.
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
        fs::hard_link(&unfinished, path)?;
        fs::remove_file(&unfinished)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Self::open(path)
    }
    /// Opens the database at `path`.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::HalfMade`], [`StoreError::Foreign`], [`StoreError::Newer`],
    /// [`StoreError::Damaged`], by what is there; [`StoreError::Locked`] or [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let mut bytes = Vec::with_capacity(100);
        File::open(path)?.take(100).read_to_end(&mut bytes)?;
        judge(&bytes)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Self::over(Connection::open_with_flags(path, flags)?)?;
        store.migrate()?;
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
    /// An empty database in memory, for tests.
    ///
    /// # Errors
    /// [`StoreError::Io`] without memory.
    pub fn memory() -> Result<Self, StoreError> {
        let mut store = Self::over(Connection::open_in_memory()?)?;
        store.connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
        store.migrate()?;
        Ok(store)
    }
    /// A copy of all that is committed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] inside a transaction; [`StoreError::Io`].
    pub fn snapshot(&mut self) -> Result<Vec<u8>, StoreError> {
        if self.open {
            return Err(StoreError::Locked);
        }
        Ok(self.connection.serialize(MAIN_DB)?.to_vec())
    }
    /// The database that a copy holds, in memory, for tests.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn restore(copy: &[u8]) -> Result<Self, StoreError> {
        judge(copy)?;
        let mut connection = Connection::open_in_memory()?;
        connection.deserialize_read_exact(MAIN_DB, copy, copy.len(), false)?;
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
    /// Makes all since [`Store::begin`] durable, and with it what was to be done once it is: see [`Durable`](crate::Durable).
    ///
    /// # Errors
    /// [`StoreError`]; then nothing since is there.
    pub fn commit<T>(&mut self, then: Vec<T>) -> Result<Vec<super::Durable<T>>, StoreError> {
        if self.open {
            let committed = self.sql("COMMIT").and_then(|mut commit| Ok(commit.execute([])?));
            if committed.is_err() {
                self.rollback();
            }
            self.open = false;
            self.count_commit();
            committed?;
        }
        Ok(then.into_iter().map(super::Durable::after_commit).collect())
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
    /// The connection, for tests and readers.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn over(connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
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
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    let mut store = Store::over(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)?;
    store.connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    store.connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
    store.migrate()?;
    store.connection.flush_prepared_statement_cache();
    store.connection.close().map_err(|(_, error)| error)?;
    Ok(File::open(path)?.sync_all()?)
}

/// Looks at the file's first bytes as they are, before SQLite may touch it.
fn judge(bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.is_empty() {
        return Err(StoreError::HalfMade);
    }
    if !bytes.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(bytes) { StoreError::Damaged } else { StoreError::Foreign });
    }
    // https://sqlite.org/fileformat.html 1.3
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    let (Some(application), Some(format)) = (number(68), number(60)) else { return Err(StoreError::Damaged) };
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    match format {
        _ if application != APPLICATION_ID => Err(StoreError::Foreign),
        0 => Err(StoreError::HalfMade),
        found if found > known => Err(StoreError::Newer { found, known }),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_database(path: &Path) -> Result<(), StoreError> {
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

    /// A change to a file's bytes.
    type Bend = fn(&mut Vec<u8>);

    #[test]
    fn a_copy_is_what_was_committed() {
        let mut store = Store::memory().expect("memory");
        let count = |store: &Store| -> i64 {
            store.connection.query_row("SELECT count(*) FROM refusal", [], |row| row.get(0)).expect("counted")
        };
        store.begin().expect("begun");
        store.put_refusal(tegata_core::Time(1), "odd", None, None).expect("written");
        assert_eq!(store.snapshot().err(), Some(StoreError::Locked));
        store.commit(Vec::<()>::new()).expect("committed");
        let copy = store.snapshot().expect("a copy");
        assert_eq!(count(&Store::restore(&copy).expect("restored")), 1);
        assert_eq!(Store::restore(b"nonsense").err(), Some(StoreError::Foreign));
    }

    #[test]
    fn only_a_whole_database_of_ours_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("processor.db");
        assert_eq!(Store::open(&path).err(), Some(StoreError::Missing));
        drop(Store::create(&path).expect("created"));
        assert_eq!(Store::create(&path).err(), Some(StoreError::Exists));
        drop(Store::open(&path).expect("opened"));
        let whole = fs::read(&path).expect("read");
        let bends: [(Bend, StoreError); 6] = [
            (|bytes| bytes.clear(), StoreError::HalfMade),
            (|bytes| bytes.truncate(10), StoreError::Damaged),
            (|bytes| bytes[0] = b'X', StoreError::Foreign),
            (|bytes| bytes[68] = 0, StoreError::Foreign),
            (|bytes| bytes[63] = 0, StoreError::HalfMade),
            (|bytes| bytes[63] = 9, StoreError::Newer { found: 9, known: 1 }),
        ];
        for (bend, expected) in bends {
            let mut bytes = whole.clone();
            bend(&mut bytes);
            fs::write(&path, &bytes).expect("written");
            assert_eq!(Store::open(&path).err(), Some(expected));
            assert_eq!(fs::read(&path).expect("read"), bytes, "left untouched");
        }
    }
}
