//! The processor's secrets: what signs its answers, what opens envelopes to it, what locks the vault of card numbers; in
//! memory, or in a file that only its owner reads.

use crate::ProcessorError;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{AccountId, Hash};
use tegata_crypto_native::primitive::{self, NONCE_LEN, mac};
use tegata_crypto_native::{SealingSecret, SecretKey};
use zeroize::Zeroizing;

const MARK: &[u8; 8] = b"TGTXKEY1";

/// All secrets of a processor. Nothing prints them.
pub struct Keys {
    pub(crate) signing: SecretKey,
    pub(crate) sealing: SealingSecret,
    vault: Zeroizing<[u8; 32]>,
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// New keys from this entropy.
    pub fn new(entropy: [u8; 32]) -> Self {
        let seed = |label: &str| Zeroizing::new(mac(&entropy, label, &[]));
        Self {
            signing: SecretKey::from_seed(Algorithm::Ed25519, &seed("tegata processor signing v1")),
            sealing: SealingSecret::from_seed(&seed("tegata processor sealing v1")),
            vault: seed("tegata processor vault v1"),
        }
    }
    /// Signs a body in a context.
    pub(crate) fn sign<T: Message>(&self, context: &[u8], body: T) -> Signed<T> {
        let unsigned = Unsigned::new(body, Algorithm::Ed25519);
        let signature = self.signing.sign(&unsigned.tbs(context));
        unsigned.sign(signature)
    }
    /// Locks a card's details away for this account.
    pub(crate) fn lock(&self, account: AccountId, entropy: [u8; 32], plain: &[u8]) -> ([u8; NONCE_LEN], Vec<u8>) {
        // Also a function of what is sealed: entropy used twice by a restored machine repeats a nonce only with all else.
        let about = Hash::of(plain);
        let drawn = mac(&self.vault, "tegata vault nonce v1", &[&entropy, &account.0, &about.0]);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&drawn[..NONCE_LEN]);
        (nonce, primitive::seal(&self.vault, nonce, &account.0, plain))
    }
    /// Opens what [`Keys::lock`] made for this account; `None` for anything else.
    pub(crate) fn unlock(
        &self,
        account: AccountId,
        nonce: [u8; NONCE_LEN],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        primitive::open(&self.vault, nonce, &account.0, sealed).map(Zeroizing::new)
    }
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&self.signing.to_secret_bytes()[..]);
        bytes.extend_from_slice(&self.sealing.to_secret_bytes()[..]);
        bytes.extend_from_slice(&self.vault[..]);
        let check = Hash::of(&bytes);
        bytes.extend_from_slice(&check.0);
        bytes
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        let rest = body.strip_prefix(MARK)?;
        if Hash::of(body).0 != check {
            return None;
        }
        let (signing, rest) = rest.split_at_checked(33)?;
        let (sealing, vault) = rest.split_at_checked(33)?;
        Some(Self {
            signing: SecretKey::from_secret_bytes(signing).ok()?,
            sealing: SealingSecret::from_secret_bytes(sealing).ok()?,
            vault: Zeroizing::new(vault.try_into().ok()?),
        })
    }
    /// Writes them to a new file that only its owner reads, whole or not at all.
    ///
    /// # Errors
    /// [`ProcessorError::Keys`].
    pub fn save(&self, path: &Path) -> Result<(), ProcessorError> {
        let wrong = |error: std::io::Error| ProcessorError::Keys(format!("{}: {error}", path.display()));
        let unfinished = path.with_extension("new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(wrong(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished).map_err(wrong)?;
        file.write_all(&self.to_bytes()).and_then(|()| file.sync_all()).map_err(wrong)?;
        fs::hard_link(&unfinished, path).map_err(wrong)?;
        fs::remove_file(&unfinished).map_err(wrong)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
    /// Reads what [`Keys::save`] wrote; `None` where nothing is.
    ///
    /// # Errors
    /// [`ProcessorError::Keys`].
    pub fn load(path: &Path) -> Result<Option<Self>, ProcessorError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ProcessorError::Keys(format!("{}: {error}", path.display()))),
        };
        let damaged = || ProcessorError::Keys(format!("{} is damaged; restore it from a copy", path.display()));
        Self::from_bytes(&bytes).map(Some).ok_or_else(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_damage_is_noticed_and_the_vault_opens_for_its_account_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        assert!(Keys::load(&path).expect("read").is_none());
        let keys = Keys::new([1; 32]);
        keys.save(&path).expect("saved");
        let again = Keys::load(&path).expect("read").expect("there");
        assert_eq!(again.signing.public(), keys.signing.public());
        let (nonce, sealed) = keys.lock(AccountId([1; 16]), [2; 32], b"4111111111111111");
        assert!(!sealed.windows(4).any(|some| some == b"4111"));
        let opened = again.unlock(AccountId([1; 16]), nonce, &sealed).expect("opens");
        assert_eq!(opened.as_slice(), b"4111111111111111");
        assert!(again.unlock(AccountId([2; 16]), nonce, &sealed).is_none());
        let mut bytes = fs::read(&path).expect("read");
        bytes[20] ^= 1;
        fs::write(&path, &bytes).expect("written");
        assert!(matches!(Keys::load(&path), Err(ProcessorError::Keys(_))));
        assert_eq!(format!("{keys:?}"), "Keys(..)");
    }
}
