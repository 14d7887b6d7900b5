//! The durable records of a device: where a batch is either wholly there, for good, or not at all (R13).
//!
//! [`Vault`] is the one shape. [`sqlite`] keeps a real device's records in a file, [`memory`] keeps those of tests
//! and of the simulated town, [`folder`] is the data folder that the files stand in. Nothing here knows what a
//! record means, seals or opens anything, reads a clock or draws randomness.

pub mod error;
mod file;
pub mod folder;
pub mod memory;
pub mod sqlite;
#[cfg(test)]
mod suite;

pub use error::VaultError;
pub use folder::{DataFolder, FolderError, PartFolder};
pub use memory::{CommitFault, Faults, MemoryVault, SimulatedVault, Snapshot};
pub use sqlite::SqliteVault;

use tegata_core::record::{Batch, RecordKey, Space};

/// A record as a scan finds it: its name and its value.
pub type Found = (Vec<u8>, Vec<u8>);

/// A device's durable records.
pub trait Vault: Send {
    /// What stands there.
    ///
    /// # Errors
    /// Why the storage could not be read.
    fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError>;
    /// At most `limit` records of a space, in the order of their names, from the name `from` on (itself included).
    ///
    /// # Errors
    /// Why the storage could not be read.
    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<Found>, VaultError>;
    /// Makes a batch durable if every guard holds. The guards are judged by what stood there before the batch; of
    /// two writes to one record the later one counts.
    ///
    /// # Errors
    /// [`VaultError::Raced`] if a guard does not hold. After any error but [`VaultError::Cut`] nothing has changed.
    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError>;
}

impl<V: Vault + ?Sized> Vault for Box<V> {
    fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
        (**self).get(key)
    }
    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<Found>, VaultError> {
        (**self).scan(space, from, limit)
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        (**self).commit(batch)
    }
}
