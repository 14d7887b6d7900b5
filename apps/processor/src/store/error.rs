//! Why the store did not do what was asked: who is at fault and what to do. Texts never hold a row's content.

use rusqlite::{ErrorCode, ffi};
use std::io;

/// Why the store did not do what was asked. Nothing of the transaction at hand was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process holds it. Transient.
    #[error("another process is using the processor's database; end that process, then try again")]
    Locked,
    /// Nothing is there.
    #[error("there is no processor's database here yet; check the path, or create it first")]
    Missing,
    /// Something is there already.
    #[error("there is a processor's database here already; open it, or choose another path")]
    Exists,
    /// A newer version of this program wrote it.
    #[error(
        "a newer version of this program made this database (its format is {found}, this program knows {known}); \
         nothing was changed: update this program"
    )]
    Newer {
        /// The format found.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// It belongs to another program.
    #[error("this file belongs to another program and was left untouched; check the path")]
    Foreign,
    /// Whoever made it was interrupted.
    #[error(
        "this database is empty or half made, its creation was interrupted; if it was never in use, remove it and \
         create it again, otherwise restore a backup"
    )]
    HalfMade,
    /// The disk is full. Transient, once there is space.
    #[error("the disk is full; nothing was changed: free some space and try again")]
    Full,
    /// The file is not as this program wrote it.
    #[error("the database is damaged, by its disk or by another program; stop using it and restore a backup")]
    Damaged,
    /// A row that must be there once is there twice. This program is at fault.
    #[error("a record would be written twice; nothing was changed: this is a fault of the program, report it")]
    Twice,
    /// The operating system could not read or write.
    #[error("the storage does not work ({0}); check the disk and who may write to it, then try again")]
    Io(String),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            kind => Self::Io(kind.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(failure) = error.sqlite_error() else {
            // A column of another type, or a row that is not there: not our table.
            return Self::Damaged;
        };
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseCorrupt => Self::Damaged,
            ErrorCode::NotADatabase => Self::Foreign,
            ErrorCode::ConstraintViolation => Self::Twice,
            // The text of the number alone: SQLite's own message may quote.
            _ => Self::Io(ffi::code_to_str(failure.extended_code).to_owned()),
        }
    }
}
