//! Why a vault or a data folder did not do what was asked: who is at fault and what to do.
//!
//! Texts never hold a record's name or value, so that they can be shown, logged and sent to support.

use rusqlite::{ErrorCode, ffi};
use std::io;
use tegata_core::step::Fault;

/// Why a vault did not do what was asked. Unless said otherwise, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A guard does not hold: another writer was first. Transient.
    #[error("another writer changed this record first; nothing was written: read it again and decide again")]
    Raced,
    /// Another process holds it. Transient.
    #[error("another process is using this data; end that process or choose another folder, then try again")]
    Locked,
    /// Nothing is there.
    #[error("there is nothing here yet; check the path, or create it first")]
    Missing,
    /// Something is there already.
    #[error("there is one here already; open it, or choose another path")]
    Exists,
    /// A newer version of this program wrote it.
    #[error(
        "a newer version of this program made this data (its format is {found}, this program knows {known}); \
         nothing was changed: update this program"
    )]
    Newer {
        /// The format found.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// It belongs to another program.
    #[error("this belongs to another program and was left untouched; check the path")]
    Foreign,
    /// Whoever made it was interrupted before it was complete.
    #[error(
        "this data is empty or half made, its creation was interrupted; if it was never in use, remove it and \
         create it again, otherwise restore the device"
    )]
    HalfMade,
    /// The disk is full. Transient, once there is space.
    #[error("the disk is full; nothing was changed: free some space and try again")]
    Full,
    /// The file is not as this program wrote it.
    #[error("this data is damaged, by its disk or by another program; stop using it and restore the device")]
    Damaged,
    /// The power went out, in the simulator: the device is off, and whether the batch is there shows when it is back.
    #[error("the power went out while storing; start the device again")]
    Cut,
    /// The operating system could not read or write.
    #[error("this device's storage does not work ({0}); check the disk and who may write to it, then try again")]
    Io(String),
}

impl VaultError {
    /// What a step is told.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Raced | Self::Locked => Fault::Raced,
            _ => Fault::Storage,
        }
    }
}

impl From<io::Error> for VaultError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            kind => Self::Io(kind.to_string()),
        }
    }
}

impl From<rusqlite::Error> for VaultError {
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
            // The text of the number alone: SQLite's own message may quote.
            _ => Self::Io(ffi::code_to_str(failure.extended_code).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do_and_what_a_step_is_told() {
        let raced = Fault::Raced;
        let storage = Fault::Storage;
        for (error, hint, fault) in [
            (VaultError::Raced, "read it again", raced),
            (VaultError::Locked, "end that process", raced),
            (VaultError::Missing, "create it first", storage),
            (VaultError::Exists, "open it", storage),
            (VaultError::Newer { found: 2, known: 1 }, "update this program", storage),
            (VaultError::Foreign, "check the path", storage),
            (VaultError::HalfMade, "remove it and create it again", storage),
            (VaultError::Full, "free some space", storage),
            (VaultError::Damaged, "restore the device", storage),
            (VaultError::Cut, "start the device again", storage),
            (VaultError::Io("disk I/O error".into()), "check the disk", storage),
        ] {
            assert!(error.to_string().contains(hint), "{error}");
            assert_eq!(error.fault(), fault, "{error}");
        }
    }

    #[test]
    fn the_operating_systems_full_disk_is_ours() {
        assert_eq!(VaultError::from(io::Error::from(io::ErrorKind::StorageFull)), VaultError::Full);
        assert_eq!(VaultError::from(io::Error::from(io::ErrorKind::NotFound)), VaultError::Missing);
        let denied = VaultError::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(denied, VaultError::Io(_)), "{denied}");
    }
}
