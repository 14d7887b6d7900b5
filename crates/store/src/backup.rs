//! A backup is a whole database in one file, made while the provider works; put back, it takes the database's place, and what was there is
//! kept beside it.

use crate::file::{appear, beside, examine, new_file, remove_database, sync_folder};
use crate::{Store, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Copies all that is committed in the database at `database` to `backup`, a new file that appears complete or not at all. Another process
/// may go on writing meanwhile.
///
/// # Errors
/// [`StoreError::Exists`] where there is a file already; as [`Store::open`] otherwise.
pub fn back_up(database: &Path, backup: &Path) -> Result<(), StoreError> {
    if backup.try_exists()? {
        return Err(StoreError::Exists);
    }
    examine(database)?;
    let unfinished = beside(backup, ".new");
    remove_database(&unfinished)?;
    let made = copied(database, &unfinished).and_then(|()| appear(&unfinished, backup));
    if made.is_err() {
        // Half a copy may be what fills the disk that the provider writes to.
        let _ = remove_database(&unfinished);
    }
    made
}

fn copied(database: &Path, unfinished: &Path) -> Result<(), StoreError> {
    new_file(unfinished).map_err(|error| match error {
        StoreError::Missing => StoreError::Io("no such folder".to_owned()),
        other => other,
    })?;
    let path = unfinished.to_str().ok_or(StoreError::Io("a path that is no text".to_owned()))?;
    let reader = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    reader.execute("VACUUM INTO ?1", [path])?;
    Ok(File::open(unfinished)?.sync_all()?)
}

/// Copies the bytes of a file to a new one that only its owner reads and writes, whoever may read or write the first.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    io::copy(&mut File::open(from)?, &mut new_file(to)?)?;
    Ok(())
}

/// A backup on its way to the place of a database, which is untouched until [`PutBack::finish`]. Dropped before that, nothing is left of it.
pub struct PutBack {
    database: PathBuf,
    coming: PathBuf,
}

impl PutBack {
    /// Copies a backup beside the database whose place it will take, and opens the copy: whoever puts it back begins a new epoch in it
    /// first (R15).
    ///
    /// # Errors
    /// As [`Store::open`] of the backup; [`StoreError::Damaged`] where some page of it cannot be read.
    pub fn begin(backup: &Path, database: &Path) -> Result<(Self, Store), StoreError> {
        examine(backup)?;
        let put = Self { database: database.to_owned(), coming: beside(database, ".coming") };
        remove_database(&put.coming)?;
        copy(backup, &put.coming)?;
        // What was kept of a provider that died has its log beside it still.
        let log = beside(backup, "-wal");
        if log.try_exists()? {
            copy(&log, &beside(&put.coming, "-wal"))?;
        }
        let store = Store::open(&put.coming)?;
        if !store.is_whole()? {
            return Err(StoreError::Damaged);
        }
        Ok((put, store))
    }
    /// Puts it in the database's place, once the store is closed. What was there has `kept` after its name now; gives its path.
    ///
    /// Interrupted, there is no database, and it can be put back again: a provider does not begin anew where its keys are.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while a part of it lies in its log, since the store is open still; [`StoreError::Exists`] where something has that name already.
    pub fn finish(self, kept: &str) -> Result<Option<PathBuf>, StoreError> {
        if beside(&self.coming, "-wal").try_exists()? {
            return Err(StoreError::Locked);
        }
        File::open(&self.coming)?.sync_all()?;
        let aside = beside(&self.database, kept);
        if aside.try_exists()? {
            return Err(StoreError::Exists);
        }
        let mut found = false;
        // What was committed and not moved into the file yet lies in its log, or what was not committed and is in the file already in its
        // journal: they keep belonging together, and must not be taken for the new file's.
        for suffix in ["", "-wal", "-shm", "-journal"] {
            match fs::rename(beside(&self.database, suffix), beside(&aside, suffix)) {
                Ok(()) => found = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        sync_folder(&self.database)?;
        appear(&self.coming, &self.database)?;
        Ok(found.then_some(aside))
    }
}

impl Drop for PutBack {
    fn drop(&mut self) {
        // It holds what people did. After [`PutBack::finish`] nothing has that name.
        let _ = remove_database(&self.coming);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::Time;

    /// The numbers of the lists that are in it.
    fn listed(store: &Store) -> Vec<u64> {
        (1..10).filter(|number| store.listed_at(*number).expect("read") == Some(Time(*number))).collect()
    }

    #[test]
    fn what_is_committed_when_it_is_made_is_there_when_it_is_put_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (database, backup) = (folder.path().join("provider.db"), folder.path().join("of-today"));
        assert_eq!(back_up(&database, &backup), Err(StoreError::Missing));
        let mut store = Store::create(&database).expect("created");
        store.put_list(1, Time(1), b"one").expect("put");
        // Beside the one writer, which has a transaction open.
        store.begin().expect("begun");
        store.put_list(2, Time(2), b"two").expect("put");
        back_up(&database, &backup).expect("made");
        store.commit().expect("committed");
        assert_eq!(back_up(&database, &backup), Err(StoreError::Exists));

        // Its writer has gone without a word: the log is there still.
        std::mem::forget(store);
        let (put, store) = PutBack::begin(&backup, &database).expect("begun");
        assert_eq!(listed(&store), [1]);
        store.put_list(3, Time(3), b"three").expect("put");
        let (again, _) = (put, drop(store));
        let kept = again.finish(".before-7").expect("put back").expect("something was there");
        let now = Store::open(&database).expect("opened");
        assert_eq!((listed(&now), listed(&Store::open(kept).expect("opened"))), (vec![1, 3], vec![1, 2]));
        drop(now);

        let (put, store) = PutBack::begin(&backup, &database).expect("begun");
        store.put_list(3, Time(3), b"three").expect("put");
        assert_eq!(put.finish(".before-7"), Err(StoreError::Locked), "a part of it lies in its log");
        drop(store);
        let (put, store) = PutBack::begin(&backup, &database).expect("begun");
        drop(store);
        assert_eq!(put.finish(".before-7"), Err(StoreError::Exists), "nothing that is kept is lost");
        assert_eq!(listed(&Store::open(&database).expect("opened")), [1, 3]);
    }

    #[test]
    fn what_is_put_back_is_its_owners_alone_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let (database, backup) = (folder.path().join("provider.db"), folder.path().join("backup"));
        drop(Store::create(&database).expect("created"));
        back_up(&database, &backup).expect("made");
        // A journal that its provider died with is not the new file's.
        fs::write(beside(&database, "-journal"), b"of the old one").expect("written");
        let mut others = fs::metadata(&backup).expect("read").permissions();
        others.set_readonly(true);
        fs::set_permissions(&backup, others).expect("set");
        drop(PutBack::begin(&backup, &database).expect("begun"));
        assert!(!beside(&database, ".coming").exists());
        let (put, store) = PutBack::begin(&backup, &database).expect("begun");
        store.put_list(1, Time(1), b"one").expect("put");
        drop(store);
        let kept = put.finish(".before-7").expect("put back").expect("something was there");
        assert!(!beside(&database, "-journal").exists() && beside(&kept, "-journal").exists());
        assert!(!fs::metadata(&database).expect("read").permissions().readonly());
        let mut store = Store::open(&database).expect("opened");
        assert_eq!(listed(&store), [1]);

        // Its provider dies with a part of what it has committed in its log: that is put back, too.
        store.begin().expect("begun");
        store.put_list(2, Time(2), b"two").expect("put");
        store.commit().expect("committed");
        std::mem::forget(store);
        let (put, store) = PutBack::begin(&backup, &database).expect("begun");
        drop(store);
        let kept = put.finish(".before-8").expect("put back").expect("something was there");
        let (put, store) = PutBack::begin(&kept, &database).expect("begun");
        assert_eq!(listed(&store), [1, 2]);
        drop((store, put));
    }

    #[test]
    fn only_a_whole_backup_is_put_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (database, backup) = (folder.path().join("provider.db"), folder.path().join("backup"));
        drop(Store::create(&database).expect("created"));
        assert_eq!(PutBack::begin(&backup, &database).err(), Some(StoreError::Missing));
        back_up(&database, &backup).expect("made");
        let whole = fs::read(&backup).expect("read");
        fs::write(&backup, [whole.get(..whole.len() / 2).expect("half"), &vec![0xA5; whole.len() / 2]].concat())
            .expect("written");
        assert_eq!(PutBack::begin(&backup, &database).err(), Some(StoreError::Damaged));
        fs::write(&backup, b"a letter").expect("written");
        assert_eq!(PutBack::begin(&backup, &database).err(), Some(StoreError::Foreign));
        drop(Store::open(&database).expect("it is as it was"));
    }
}
