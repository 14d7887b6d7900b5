//! What both stages share: who the provider is, its keys, its directory, how signatures are checked.

use crate::directory::Directory;
use crate::keys::Keys;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tegata_core::step::Broken;
use tegata_core::talk::join::ProviderInfo;
use tegata_core::wire::signed::Verifier;

/// Shared by all threads.
pub struct Shared {
    pub(crate) info: ProviderInfo,
    keys: RwLock<Keys>,
    directory: RwLock<Directory>,
    pub(crate) broken: Broken,
    verifier: &'static dyn Verifier,
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Shared(..)")
    }
}

impl Shared {
    pub(crate) fn new(
        info: ProviderInfo,
        keys: Keys,
        directory: Directory,
        (broken, verifier): (Broken, &'static dyn Verifier),
    ) -> Self {
        Self { info, keys: RwLock::new(keys), directory: RwLock::new(directory), broken, verifier }
    }
    /// Checks signatures one by one.
    pub(crate) fn verifier(&self) -> &'static dyn Verifier {
        self.verifier
    }
    pub(crate) fn into_keys(self) -> Keys {
        self.keys.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn keys_mut(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }
}
