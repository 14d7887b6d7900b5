//! The keys of a device. At rest each is sealed under a master key, and that under code number and device key (R19).

use tegata_core::PartyId;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Algorithm, PublicKey, Signature};
use tegata_crypto_native::code::{self, CodeCost, CodeError};
use tegata_crypto_native::{SealingSecret, SecretKey, entropy, primitive};
use tegata_vault::{Vault, VaultError};
use zeroize::Zeroizing;

/// Wrong code numbers in a row before the vault stays shut.
pub const TRIES: u8 = 5;
/// The code number of a device that nobody types one into: a terminal. Its device key alone keeps its keys.
const UNATTENDED: &str = "unattended";

/// Where the secret stands that the keys are made from to which letters come.
const REACH: &[u8] = b"reach";

/// Why keys do not open.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The code number is wrong.
    #[error("wrong code number; {0} tries left")]
    WrongCode(u8),
    /// Wrong too often.
    #[error(
        "the code number was wrong too often; this vault is blocked. Block the wallet at your provider and restore it"
    )]
    Blocked,
    /// The vault has no keys: it is half made or not a device's.
    #[error("this vault holds no keys; it was not created completely")]
    NoKeys,
    /// Something else is wrong with the sealed keys.
    #[error("the keys do not open: {0}")]
    Code(CodeError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Open keys. Dropping it locks them.
#[derive(Default)]
pub struct KeyRing {
    keys: Vec<(PublicKey, SecretKey)>,
    device: Option<PublicKey>,
    master: Option<Zeroizing<[u8; 32]>>,
    /// What the keys are made from to which letters come; made when it is first needed.
    reach: Option<Zeroizing<[u8; 32]>>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys.len())
    }
}

fn named(name: &[u8]) -> RecordKey {
    RecordKey::new(Space::Key, name)
}

impl KeyRing {
    /// Keys that live in memory only, for devices of a simulation or a replay.
    pub fn in_memory(algorithm: Algorithm, seed: &[u8; 32]) -> Self {
        // Room for the device's key and one card's, as most wallets have.
        let mut ring = Self { keys: Vec::with_capacity(2), ..Self::default() };
        ring.device = Some(ring.add(SecretKey::from_seed(algorithm, seed)));
        ring
    }

    fn add(&mut self, secret: SecretKey) -> PublicKey {
        let public = secret.public();
        self.keys.push((public, secret));
        public
    }

    /// The device's own key.
    pub fn device_key(&self) -> Option<PublicKey> {
        self.device
    }
    /// Whether the key of this public half is here.
    pub fn has(&self, public: &PublicKey) -> bool {
        self.keys.iter().any(|(held, _)| held == public)
    }
    /// Signs with the key of this public half; `None` if it is not here.
    pub fn sign(&self, public: &PublicKey, tbs: &[u8]) -> Option<Signature> {
        self.keys.iter().find(|(held, _)| held == public).map(|(_, secret)| secret.sign(tbs))
    }

    /// Makes the keys of a new device in `vault`: a master key under `code` (none for an unattended device) and
    /// `device_key`, and the device's own key.
    ///
    /// # Errors
    /// [`RingError::Vault`] or [`RingError::Code`]; nothing was made.
    pub fn create(
        vault: &mut impl Vault,
        code: Option<&str>,
        device_key: &[u8; 32],
        algorithm: Algorithm,
        cost: CodeCost,
    ) -> Result<Self, RingError> {
        let master = Zeroizing::new(entropy::fresh());
        let sealed = code::seal_secret(cost, entropy::fresh(), code.unwrap_or(UNATTENDED), device_key, &*master)
            .map_err(RingError::Code)?;
        let mut ring = Self { master: Some(master), ..Self::default() };
        let mut batch = Batch::default();
        batch.replace(named(b"master"), None, sealed);
        batch.put(named(b"tries"), vec![0]);
        let public = ring.draft(algorithm, &mut batch);
        batch.put(named(b"device"), public.to_bytes());
        vault.commit(&batch)?;
        ring.device = Some(public);
        Ok(ring)
    }

    /// Opens the keys. Each try is counted in the vault before the code is tested, so that a power cut gives none away.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn open(vault: &mut impl Vault, code: Option<&str>, device_key: &[u8; 32]) -> Result<Self, RingError> {
        let sealed = vault.get(&named(b"master"))?.ok_or(RingError::NoKeys)?;
        let counted = vault.get(&named(b"tries"))?;
        let tries = counted.as_ref().and_then(|tries| tries.first().copied()).unwrap_or(0);
        if tries >= TRIES {
            return Err(RingError::Blocked);
        }
        if code.is_some() {
            let mut batch = Batch::default();
            batch.replace(named(b"tries"), counted, vec![tries + 1]);
            vault.commit(&batch)?;
        }
        let opened =
            code::open_secret(code.unwrap_or(UNATTENDED), device_key, &sealed).map_err(|error| match error {
                CodeError::WrongCode if tries + 1 >= TRIES => RingError::Blocked,
                CodeError::WrongCode => RingError::WrongCode(TRIES - tries - 1),
                other => RingError::Code(other),
            })?;
        let master: [u8; 32] = opened.as_slice().try_into().map_err(|_| RingError::NoKeys)?;
        if code.is_some() {
            let mut batch = Batch::default();
            batch.put(named(b"tries"), vec![0]);
            vault.commit(&batch)?;
        }
        let mut ring = Self { master: Some(Zeroizing::new(master)), ..Self::default() };
        ring.load(vault)?;
        Ok(ring)
    }

    fn load(&mut self, vault: &impl Vault) -> Result<(), RingError> {
        let Some(master) = self.master.clone() else {
            return Err(RingError::NoKeys);
        };
        for (name, sealed) in vault.scan(Space::Key, &[], usize::MAX)? {
            let Ok(public) = PublicKey::from_bytes(&name) else {
                continue;
            };
            let nonce = nonce(&public);
            let opened = primitive::open(&master, nonce, &name, &sealed).ok_or(RingError::NoKeys)?;
            let secret = SecretKey::from_secret_bytes(&opened).map_err(|_| RingError::NoKeys)?;
            self.keys.push((public, secret));
        }
        let device = vault.get(&named(b"device"))?.ok_or(RingError::NoKeys)?;
        self.device = PublicKey::from_bytes(&device).ok();
        Ok(())
    }

    /// Changes the code number; the keys stay.
    ///
    /// # Errors
    /// [`RingError`]; the old code number stays valid.
    pub fn change_code(
        &self,
        vault: &mut impl Vault,
        code: &str,
        device_key: &[u8; 32],
        cost: CodeCost,
    ) -> Result<(), RingError> {
        let master = self.master.as_ref().ok_or(RingError::NoKeys)?;
        let sealed = code::seal_secret(cost, entropy::fresh(), code, device_key, &**master).map_err(RingError::Code)?;
        let mut batch = Batch::default();
        batch.put(named(b"master"), sealed);
        Ok(vault.commit(&batch)?)
    }

    /// Makes a further key and writes it, sealed, into `batch`.
    fn draft(&mut self, algorithm: Algorithm, batch: &mut Batch) -> PublicKey {
        self.draft_from(algorithm, &entropy::fresh(), batch)
    }

    fn draft_from(&mut self, algorithm: Algorithm, seed: &[u8; 32], batch: &mut Batch) -> PublicKey {
        let secret = SecretKey::from_seed(algorithm, seed);
        let public = secret.public();
        let name = public.to_bytes();
        let plain = secret.to_secret_bytes();
        let kept = match &self.master {
            Some(master) => primitive::seal(master, nonce(&public), &name, &*plain),
            None => plain.to_vec(),
        };
        batch.put(named(&name), kept);
        self.add(secret)
    }

    /// Makes a key for a card and makes it durable before it is used for anything (R18).
    ///
    /// # Errors
    /// [`RingError::Vault`]; no key was made.
    pub fn make(
        &mut self,
        vault: &mut impl Vault,
        algorithm: Algorithm,
        seed: &[u8; 32],
    ) -> Result<PublicKey, RingError> {
        let mut batch = Batch::default();
        let public = self.draft_from(algorithm, seed, &mut batch);
        if let Err(error) = vault.commit(&batch) {
            self.keys.pop();
            return Err(error.into());
        }
        Ok(public)
    }

    /// The key to which letters come that concern this merchant and, of a prepaid card, this card: another one for each, from
    /// one secret, so that no two merchants can compare them (R17). The secret is durable before a key of it is used.
    ///
    /// # Errors
    /// [`RingError::Vault`]; [`RingError::NoKeys`]: the secret does not open, and no other one takes its place.
    pub fn reach(
        &mut self,
        vault: &mut impl Vault,
        merchant: PartyId,
        name: &[u8; 16],
    ) -> Result<SealingSecret, RingError> {
        let secret = match (&self.reach, vault.get(&named(REACH))?) {
            (Some(secret), Some(_)) => secret.clone(),
            (_, Some(kept)) => self.open_reach(&kept).ok_or(RingError::NoKeys)?,
            (_, None) => {
                let secret = Zeroizing::new(entropy::fresh());
                let mut batch = Batch::default();
                batch.replace(named(REACH), None, self.seal_reach(&secret));
                vault.commit(&batch)?;
                secret
            }
        };
        let seed = Zeroizing::new(primitive::mac(&secret, "tegata reach key v1", &[&merchant.0, name]));
        self.reach = Some(secret);
        Ok(SealingSecret::from_seed(&seed))
    }
    /// A nonce of its own in front: should the secret be lost and made again, it is another one.
    fn seal_reach(&self, secret: &[u8; 32]) -> Vec<u8> {
        let mut nonce = [0; primitive::NONCE_LEN];
        nonce.copy_from_slice(&entropy::fresh()[..primitive::NONCE_LEN]);
        match &self.master {
            Some(master) => [&nonce[..], &primitive::seal(master, nonce, REACH, secret)].concat(),
            None => secret.to_vec(),
        }
    }
    fn open_reach(&self, kept: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let plain = match &self.master {
            Some(master) => {
                let (nonce, sealed) = kept.split_first_chunk()?;
                Zeroizing::new(primitive::open(master, *nonce, REACH, sealed)?)
            }
            None => Zeroizing::new(kept.to_vec()),
        };
        Some(Zeroizing::new(plain.as_slice().try_into().ok()?))
    }

    /// Opens what a device that lives in memory stored, after a simulated restart.
    ///
    /// # Errors
    /// [`RingError::Vault`].
    pub fn reload_in_memory(&mut self, vault: &impl Vault) -> Result<(), RingError> {
        self.keys.truncate(1);
        for (name, plain) in vault.scan(Space::Key, &[], usize::MAX)? {
            if let (Ok(public), Ok(secret)) = (PublicKey::from_bytes(&name), SecretKey::from_secret_bytes(&plain)) {
                self.keys.push((public, secret));
            }
        }
        Ok(())
    }
}

/// Each key is sealed once under one master key, so that its own public half makes a nonce that never repeats.
fn nonce(public: &PublicKey) -> [u8; primitive::NONCE_LEN] {
    let hash = tegata_core::Hash::of(public.as_bytes());
    let mut nonce = [0; primitive::NONCE_LEN];
    nonce.copy_from_slice(&hash.0[..primitive::NONCE_LEN]);
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_vault::MemoryVault;

    #[test]
    fn keys_open_with_the_code_and_block_after_too_many_wrong_ones() {
        let (mut vault, bound) = (MemoryVault::new(), [9; 32]);
        let ring = KeyRing::create(&mut vault, Some("4711"), &bound, Algorithm::Ed25519, CodeCost::CHEAP).unwrap();
        let public = ring.device_key().unwrap();
        let again = KeyRing::open(&mut vault, Some("4711"), &bound).unwrap();
        assert_eq!(again.device_key(), Some(public));
        assert_eq!(again.sign(&public, b"x").map(|s| s.0), ring.sign(&public, b"x").map(|s| s.0));
        for left in (1..TRIES).rev() {
            let wrong = KeyRing::open(&mut vault, Some("0000"), &bound);
            assert!(matches!(wrong, Err(RingError::WrongCode(tries)) if tries == left), "{left}");
        }
        assert!(matches!(KeyRing::open(&mut vault, Some("0000"), &bound), Err(RingError::Blocked)));
        assert!(matches!(KeyRing::open(&mut vault, Some("4711"), &bound), Err(RingError::Blocked)));
    }

    #[test]
    fn a_copied_vault_does_not_open_without_the_device_key() {
        let mut vault = MemoryVault::new();
        KeyRing::create(&mut vault, Some("4711"), &[9; 32], Algorithm::P256, CodeCost::CHEAP).unwrap();
        assert!(KeyRing::open(&mut vault, Some("4711"), &[8; 32]).is_err());
    }

    #[test]
    fn each_merchant_and_card_has_a_key_of_its_own_that_comes_back() {
        let mut vault = MemoryVault::new();
        let mut ring = KeyRing::create(&mut vault, Some("1"), &[9; 32], Algorithm::P256, CodeCost::CHEAP).unwrap();
        let (cafe, kiosk, card) = (PartyId([1; 16]), PartyId([2; 16]), [7; 16]);
        let key = |ring: &mut KeyRing, vault: &mut MemoryVault, merchant, name| {
            ring.reach(vault, merchant, name).unwrap().public()
        };
        let first = key(&mut ring, &mut vault, cafe, &[0; 16]);
        assert_ne!(first, key(&mut ring, &mut vault, kiosk, &[0; 16]));
        assert_ne!(first, key(&mut ring, &mut vault, cafe, &card));
        let mut again = KeyRing::open(&mut vault, Some("1"), &[9; 32]).unwrap();
        assert_eq!(first, key(&mut again, &mut vault, cafe, &[0; 16]));
        // Damaged, it is not made anew behind the back of whoever has it in a copy.
        let mut batch = Batch::default();
        batch.put(named(REACH), vec![1; 60]);
        vault.commit(&batch).unwrap();
        let mut damaged = KeyRing::open(&mut vault, Some("1"), &[9; 32]).unwrap();
        assert!(matches!(damaged.reach(&mut vault, cafe, &[0; 16]), Err(RingError::NoKeys)));
    }

    #[test]
    fn no_secret_stands_in_the_vault_in_the_clear() {
        let mut vault = MemoryVault::new();
        let mut ring = KeyRing::create(&mut vault, Some("1"), &[9; 32], Algorithm::Ed25519, CodeCost::CHEAP).unwrap();
        let public = ring.make(&mut vault, Algorithm::Ed25519, &[3; 32]).unwrap();
        let stored = vault.get(&named(&public.to_bytes())).unwrap().unwrap();
        assert!(!stored.windows(8).any(|window| window == [3; 8]));
    }
}
