//! Signatures are real, and each is checked once. Whether one holds never changes, and towns repeat each other's beginnings thousands of times:
//! without this, two fifths of a simulation are the same curve's points, again and again.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use tegata_core::Hash;
use tegata_core::step::{Break, Broken};
use tegata_core::wire::signed::{PublicKey, Signature, Verifier};
use tegata_crypto_native::{NativeVerifier, RecordVerifier};

/// How many are kept; with one more, all are forgotten.
const MOST: usize = 1 << 19;

/// What the strict judge of devices has said of the signatures that it was shown.
#[derive(Default)]
struct Strict {
    said: Mutex<HashMap<Hash, bool>>,
}

impl Verifier for Strict {
    fn verify(&self, key: &PublicKey, tbs: &[u8], signature: &Signature) -> bool {
        let by = match key {
            PublicKey::Ed25519(point) => point.as_slice(),
            PublicKey::P256(point) => point.as_slice(),
        };
        let name = Hash::of(&[by, &signature.0].concat()).chain(tbs);
        let said = || self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = said().get(&name) {
            return *known;
        }
        let holds = NativeVerifier.verify(key, tbs, signature);
        let mut said = said();
        if said.len() >= MOST {
            said.clear();
        }
        said.insert(name, holds);
        holds
    }
}

/// The provider's judge, who takes whatever devices take, and a little more (R3).
struct OfRecords;

impl Verifier for OfRecords {
    fn verify(&self, key: &PublicKey, tbs: &[u8], signature: &Signature) -> bool {
        STRICT.verify(key, tbs, signature) || RecordVerifier.verify(key, tbs, signature)
    }
}

static STRICT: LazyLock<Strict> = LazyLock::new(Strict::default);

/// [`Break::SignatureIgnored`].
struct Believes;

impl Verifier for Believes {
    fn verify(&self, _: &PublicKey, _: &[u8], _: &Signature) -> bool {
        true
    }
}

/// Who judges for devices: as strictly as they do.
pub fn for_devices(broken: Broken) -> &'static dyn Verifier {
    if broken.has(Break::SignatureIgnored) { &Believes } else { &*STRICT }
}

/// Who judges records for the provider.
pub fn for_provider(broken: Broken) -> &'static dyn Verifier {
    if broken.has(Break::SignatureIgnored) { &Believes } else { &OfRecords }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::wire::signed::Algorithm;
    use tegata_crypto_native::SecretKey;

    /// Whatever is changed, it is another signature, also one that was known for good.
    #[test]
    fn what_is_known_is_this_very_signature() {
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let (ours, theirs) = (SecretKey::from_seed(algorithm, &[1; 32]), SecretKey::from_seed(algorithm, &[2; 32]));
            let signature = ours.sign(b"one");
            let mut other = signature;
            other.0[9] ^= 1;
            for _ in 0..2 {
                for judge in [for_devices(Broken::NONE), for_provider(Broken::NONE)] {
                    assert!(judge.verify(&ours.public(), b"one", &signature));
                    assert!(!judge.verify(&ours.public(), b"two", &signature));
                    assert!(!judge.verify(&theirs.public(), b"one", &signature));
                    assert!(!judge.verify(&ours.public(), b"one", &other));
                }
            }
        }
    }
}
