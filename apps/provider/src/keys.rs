//! The provider's secrets: root, operational keys, sealing key; in memory, or in a file that only its owner reads.

use crate::ProviderError;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{Hash, Time};
use tegata_crypto_native::primitive::mac;
use tegata_crypto_native::{SealingSecret, SecretKey};
use zeroize::Zeroizing;

const MARK: &[u8; 8] = b"TGTKEYS1";
/// How long an operational key signs and is accepted, in seconds: twenty years.
const LIFETIME: u64 = 20 * 365 * Time::DAY;

/// One operational key.
pub(crate) struct Operational {
    pub(crate) number: u64,
    pub(crate) from: Time,
    pub(crate) until: Time,
    pub(crate) secret: SecretKey,
}

/// All secrets of a provider. Nothing prints them.
pub struct Keys {
    pub(crate) root: SecretKey,
    pub(crate) sealing: SealingSecret,
    pub(crate) operational: Vec<Operational>,
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// New keys from this entropy.
    pub fn new(entropy: [u8; 32], now: Time) -> Self {
        let seed = |label: &str| Zeroizing::new(mac(&entropy, label, &[]));
        let mut keys = Self {
            root: SecretKey::from_seed(Algorithm::Ed25519, &seed("tegata provider root v1")),
            sealing: SealingSecret::from_seed(&seed("tegata provider sealing v1")),
            operational: Vec::new(),
        };
        keys.add(entropy, now);
        keys
    }
    /// Adds the next operational key.
    pub(crate) fn add(&mut self, entropy: [u8; 32], from: Time) {
        let seed = Zeroizing::new(mac(&entropy, "tegata provider operational v1", &[]));
        let number = self.operational.last().map_or(1, |last| last.number + 1);
        let secret = SecretKey::from_seed(Algorithm::Ed25519, &seed);
        self.operational.push(Operational { number, from, until: from.after(LIFETIME), secret });
    }
    /// The key that signs at `now`: the newest that is valid, else the first.
    pub(crate) fn signing(&self, now: Time) -> &Operational {
        let valid = self.operational.iter().rev().find(|key| key.from <= now && now < key.until);
        valid.unwrap_or(&self.operational[0])
    }
    /// The oldest key that is valid at `now`: whoever joined was told of all that there were, so every device knows it.
    fn oldest(&self, now: Time) -> &Operational {
        let valid = self.operational.iter().find(|key| key.from <= now && now < key.until);
        valid.unwrap_or(&self.operational[0])
    }
    /// Signs a body with the operational key of `now`.
    pub(crate) fn sign<T: Message>(&self, now: Time, context: &[u8], body: impl FnOnce(u64) -> T) -> Signed<T> {
        Self::by(self.signing(now), context, body)
    }
    /// Signs a body for a device that may have forgotten the newer keys, or not heard of them.
    pub(crate) fn sign_known<T: Message>(&self, now: Time, context: &[u8], body: impl FnOnce(u64) -> T) -> Signed<T> {
        Self::by(self.oldest(now), context, body)
    }
    fn by<T: Message>(key: &Operational, context: &[u8], body: impl FnOnce(u64) -> T) -> Signed<T> {
        let unsigned = Unsigned::new(body(key.number), Algorithm::Ed25519);
        let signature = key.secret.sign(&unsigned.tbs(context));
        unsigned.sign(signature)
    }
    /// Bytes that nobody else can make of these parts, in this label's sense.
    pub(crate) fn own_word(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let root = self.root.to_secret_bytes();
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(&root[1..]);
        let key = Zeroizing::new(mac(&seed, "tegata provider own words v1", &[]));
        mac(&key, label, parts)
    }
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(MARK.to_vec());
        bytes.extend_from_slice(&self.root.to_secret_bytes()[..]);
        bytes.extend_from_slice(&self.sealing.to_secret_bytes()[..]);
        for key in &self.operational {
            for number in [key.number, key.from.0, key.until.0] {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes.extend_from_slice(&key.secret.to_secret_bytes()[..]);
        }
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
        let (root, rest) = rest.split_at_checked(33)?;
        let (sealing, rest) = rest.split_at_checked(33)?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        let operational: Option<Vec<Operational>> = rest
            .chunks(57)
            .map(|key| {
                Some(Operational {
                    number: number(key.get(..8)?)?,
                    from: Time(number(key.get(8..16)?)?),
                    until: Time(number(key.get(16..24)?)?),
                    secret: SecretKey::from_secret_bytes(key.get(24..)?).ok()?,
                })
            })
            .collect();
        let operational = operational.filter(|keys| !keys.is_empty())?;
        let root = SecretKey::from_secret_bytes(root).ok()?;
        Some(Self { root, sealing: SealingSecret::from_secret_bytes(sealing).ok()?, operational })
    }
    /// Writes them to a file that only its owner reads, whole or not at all; replaces an older one.
    ///
    /// # Errors
    /// [`ProviderError::Keys`].
    pub fn save(&self, path: &Path) -> Result<(), ProviderError> {
        let wrong = |error: std::io::Error| ProviderError::Keys(format!("{}: {error}", path.display()));
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
        drop(file);
        Self::settle(&unfinished, path)
    }
    /// Gives saved keys their lasting name.
    ///
    /// # Errors
    /// [`ProviderError::Keys`].
    pub(crate) fn settle(from: &Path, to: &Path) -> Result<(), ProviderError> {
        let wrong = |error: std::io::Error| ProviderError::Keys(format!("{}: {error}", to.display()));
        fs::rename(from, to).map_err(wrong)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
    /// Reads what [`Keys::save`] wrote; `None` where nothing is.
    ///
    /// # Errors
    /// [`ProviderError::Keys`].
    pub fn load(path: &Path) -> Result<Option<Self>, ProviderError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ProviderError::Keys(format!("{}: {error}", path.display()))),
        };
        let damaged = || ProviderError::Keys(format!("{} is damaged; restore it from a copy", path.display()));
        Self::from_bytes(&bytes).map(Some).ok_or_else(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_damage_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        assert!(Keys::load(&path).expect("read").is_none());
        let mut keys = Keys::new([1; 32], Time(5));
        keys.add([2; 32], Time(9));
        keys.save(&path).expect("saved");
        let again = Keys::load(&path).expect("read").expect("there");
        assert_eq!(again.root.public(), keys.root.public());
        assert_eq!(again.sealing.public(), keys.sealing.public());
        assert_eq!(again.signing(Time(9)).secret.public(), keys.signing(Time(9)).secret.public());
        assert_ne!(again.signing(Time(8)).number, again.signing(Time(9)).number);
        let mut bytes = fs::read(&path).expect("read");
        bytes[20] ^= 1;
        fs::write(&path, &bytes).expect("written");
        assert!(matches!(Keys::load(&path), Err(ProviderError::Keys(_))));
    }
}
