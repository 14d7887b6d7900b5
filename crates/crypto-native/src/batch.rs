//! Checking the signatures of records, singly or many at once: the set of ZIP 215 both ways (R3).
//!
//! ZIP 215 accepts whatever a strict device accepted ([`NativeVerifier`]), and decides alike for one signature and for
//! a batch; the plain batch equation does not. Provider and auditor judge records by it. Keys are strict all the same:
//! whoever registers one of small order, under which anybody can sign, is refused ([`is_strict_key`]).

use crate::verify::{NativeVerifier, is_strict};
use ed25519_zebra::batch::{Item, Verifier as Batch};
use rand_core06::OsRng;
use std::sync::{Mutex, PoisonError};
use tegata_core::wire::signed::{PublicKey, Signature, Verifier};

/// Verifies one record's signature by ZIP 215; stateless.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordVerifier;

impl Verifier for RecordVerifier {
    fn verify(&self, key: &PublicKey, tbs: &[u8], signature: &Signature) -> bool {
        // The strict check is faster and accepts nothing that ZIP 215 does not.
        NativeVerifier.verify(key, tbs, signature)
            || matches!(key, PublicKey::Ed25519(key) if item(key, tbs, signature).verify_single().is_ok())
    }
}

/// Whether nobody but its holder can sign under this key.
pub fn is_strict_key(key: &PublicKey) -> bool {
    match key {
        PublicKey::Ed25519(bytes) => is_strict(bytes),
        // The library refuses points that are not on the curve, and the group has no other subgroup.
        PublicKey::P256(_) => true,
    }
}

fn item(key: &[u8; 32], tbs: &[u8], signature: &Signature) -> Item {
    Item::from(((*key).into(), signature.0.into(), tbs))
}

/// Says yes to every Ed25519 signature, notes it, and checks all that it noted at once afterwards, in half the time.
///
/// What was decided with it stands only if [`Gathering::holds`]; otherwise it is decided again with
/// [`RecordVerifier`]. P-256 signatures are checked as they come.
#[derive(Debug, Default)]
pub struct Gathering(Mutex<Vec<Item>>);

impl Verifier for Gathering {
    fn verify(&self, key: &PublicKey, tbs: &[u8], signature: &Signature) -> bool {
        match key {
            PublicKey::Ed25519(bytes) => {
                let item = item(bytes, tbs, signature);
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(item);
                true
            }
            PublicKey::P256(_) => NativeVerifier.verify(key, tbs, signature),
        }
    }
}

impl Gathering {
    /// Whether every signature noted is good.
    pub fn holds(self) -> bool {
        let mut batch = Batch::new();
        for item in self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            batch.queue(item);
        }
        batch.verify(OsRng).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use proptest::prelude::*;
    use tegata_core::wire::signed::Algorithm;

    fn gathered(all: &[(PublicKey, Vec<u8>, Signature)]) -> bool {
        let gathering = Gathering::default();
        let said = all.iter().all(|(key, tbs, signature)| gathering.verify(key, tbs, signature));
        said && gathering.holds()
    }

    fn honest(count: u8) -> Vec<(PublicKey, Vec<u8>, Signature)> {
        let sign = |number: u8| {
            let algorithm = if number.is_multiple_of(5) { Algorithm::P256 } else { Algorithm::Ed25519 };
            let secret = SecretKey::from_seed(algorithm, &[number / 2; 32]);
            let tbs = vec![number; 40];
            let signature = secret.sign(&tbs);
            (secret.public(), tbs, signature)
        };
        (0..count).map(sign).collect()
    }

    #[test]
    fn a_batch_holds_and_one_bad_signature_among_many_breaks_it() {
        assert!(gathered(&[]) && gathered(&honest(1)) && gathered(&honest(64)));
        for bad in 0..64 {
            let mut all = honest(64);
            all[bad].2.0[bad] ^= 1;
            assert!(!gathered(&all), "{bad}");
            assert!(!RecordVerifier.verify(&all[bad].0, &all[bad].1, &all[bad].2));
        }
    }

    #[test]
    fn keys_of_small_order_are_none() {
        for point in EIGHT_TORSION {
            assert!(!is_strict_key(&PublicKey::Ed25519(point.compress().0)));
        }
        assert!(honest(8).iter().all(|(key, ..)| is_strict_key(key)));
    }

    /// A signature by crafted points: torsion on key and nonce, which strict and cofactored equations judge apart.
    fn crafted(seed: [u8; 32], nonce: [u8; 32], torsion: (usize, usize), tbs: &[u8]) -> (PublicKey, Signature) {
        let (a, r) = (Scalar::from_bytes_mod_order(seed), Scalar::from_bytes_mod_order(nonce));
        let encode = |scalar: Scalar, torsion: usize| -> [u8; 32] {
            let point: EdwardsPoint = B * scalar + EIGHT_TORSION[torsion];
            point.compress().0
        };
        let (key, r_bytes) = (encode(a, torsion.0), encode(r, torsion.1));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &[&r_bytes, &key, tbs].concat());
        let mut wide = [0; 64];
        wide.copy_from_slice(digest.as_ref());
        let s = r + Scalar::from_bytes_mod_order_wide(&wide) * a;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r_bytes);
        signature[32..].copy_from_slice(&s.to_bytes());
        (PublicKey::Ed25519(key), Signature(signature))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn one_and_many_decide_alike_and_take_whatever_a_strict_device_took(
            seed: [u8; 32], nonce: [u8; 32], torsion in (0..8usize, 0..8usize), tbs: Vec<u8>,
            flip in proptest::option::of((0..64usize, 0..8u8)),
        ) {
            let (key, mut signature) = crafted(seed, nonce, torsion, &tbs);
            if let Some((at, bit)) = flip {
                signature.0[at] ^= 1 << bit;
            }
            let single = RecordVerifier.verify(&key, &tbs, &signature);
            let mut many = honest(6);
            many.push((key, tbs.clone(), signature));
            prop_assert_eq!(gathered(&many), single);
            prop_assert!(single || !NativeVerifier.verify(&key, &tbs, &signature));
            if flip.is_none() {
                prop_assert!(single, "torsion alone is taken by ZIP 215");
            }
        }
    }
}
