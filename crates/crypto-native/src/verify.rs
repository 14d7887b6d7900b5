//! Checking signatures with aws-lc-rs.
//!
//! Ed25519 is checked without the cofactor, with `S < L` and `R` compared as bytes; aws-lc does that, but takes
//! small-order `A` and `R`, which R3 refuses. With the two refusals here, what is accepted is what dalek's
//! `verify_strict` accepts, so that devices, provider and auditor agree whichever library they use. One set is
//! refused here that dalek would decode: `A` of large order whose `y` is not reduced. There are fewer than 40 such
//! encodings (`y` from p + 2 to p + 18), nobody knows a secret key of one, and so no signature parts the two.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use tegata_core::wire::signed::{PublicKey, Signature, Verifier};

/// Verifies natively, about 40 us for Ed25519; stateless.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeVerifier;

impl Verifier for NativeVerifier {
    fn verify(&self, key: &PublicKey, tbs: &[u8], signature: &Signature) -> bool {
        match key {
            PublicKey::Ed25519(a) => {
                let Some(r) = signature.0.first_chunk::<32>() else {
                    return false;
                };
                is_strict(a) && is_strict(r) && UnparsedPublicKey::new(&ED25519, a).verify(tbs, &signature.0).is_ok()
            }
            PublicKey::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(tbs, &signature.0).is_ok()
            }
        }
    }
}

/// The field's prime, 2^255 - 19, little endian.
const P: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};

/// The reduced `y` of the eight points of small order: 1 (order 1), -1 (2), 0 (4) and two of order 8.
const SMALL_ORDER_Y: [[u8; 32]; 5] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = P;
    minus_one[0] -= 1;
    [
        one,
        minus_one,
        [0; 32],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
    ]
};

/// Whether the encoding has a reduced `y` that is not one of a small-order point. A set sign of x = 0, the other
/// form that is not canonical, occurs only with `y` = 1 and -1. Public data: time may depend on it.
pub(crate) fn is_strict(encoding: &[u8; 32]) -> bool {
    let mut y = *encoding;
    y[31] &= 0x7f;
    y.iter().rev().lt(P.iter().rev()) && !SMALL_ORDER_Y.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;
    use aws_lc_rs::digest::{SHA512, digest};
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
    use curve25519_dalek::edwards::CompressedEdwardsY;
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use proptest::prelude::*;
    use tegata_core::wire::signed::Algorithm;

    fn ours(a: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        NativeVerifier.verify(&PublicKey::Ed25519(*a), message, &Signature(*signature))
    }
    fn dalek(a: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        ed25519_dalek::VerifyingKey::from_bytes(a)
            .is_ok_and(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok())
    }
    fn plain_aws(a: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, a).verify(message, signature).is_ok()
    }
    fn join(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(r);
        signature[32..].copy_from_slice(s);
        signature
    }
    fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
        let hash = digest(&SHA512, &[r, a, message].concat());
        let mut wide = [0; 64];
        wide.copy_from_slice(hash.as_ref());
        Scalar::from_bytes_mod_order_wide(&wide)
    }

    /// Signs with any points: secret `a`, nonce `r`, torsion added to both, in the encodings asked for.
    fn craft(a: Scalar, a_bytes: &[u8; 32], r: Scalar, r_bytes: &[u8; 32], message: &[u8]) -> [u8; 64] {
        let s = r + challenge(r_bytes, a_bytes, message) * a;
        join(r_bytes, &s.to_bytes())
    }
    fn encode(scalar: Scalar, torsion: usize) -> [u8; 32] {
        (B * scalar + EIGHT_TORSION[torsion]).compress().0
    }
    /// Every encoding, canonical or not, of a small-order point.
    fn small_order_encodings() -> Vec<[u8; 32]> {
        let mut all = Vec::new();
        for sign in [0, 0x80] {
            let mut above: Vec<[u8; 32]> = SMALL_ORDER_Y.to_vec();
            above.push(P);
            let mut p_plus_one = P;
            p_plus_one[0] += 1;
            above.push(p_plus_one);
            for mut y in above {
                y[31] |= sign;
                all.push(y);
            }
        }
        all
    }

    #[test]
    fn the_table_of_small_orders_is_complete() {
        for point in EIGHT_TORSION {
            assert!(!is_strict(&point.compress().0), "{point:?}");
        }
        for encoding in small_order_encodings() {
            let point = CompressedEdwardsY(encoding).decompress().expect("on the curve");
            assert!(point.is_small_order());
            assert!(!is_strict(&encoding));
        }
        assert!(is_strict(&B.compress().0));
    }

    #[test]
    fn small_order_keys_and_nonces_are_refused_though_the_library_takes_some() {
        let (a, message) = (Scalar::from(77u8), b"charge");
        let honest = encode(a, 0);
        let mut taken_by_library = 0;
        for encoding in small_order_encodings() {
            // R of small order: r = 0, S = k * a.
            let by_r = craft(a, &honest, Scalar::ZERO, &encoding, message);
            // A of small order: the "secret" is 0, S = r; k * A vanishes for one message in eight.
            for nonce in 1..40u8 {
                let r = Scalar::from(nonce);
                let by_a = craft(Scalar::ZERO, &encoding, r, &encode(r, 0), message);
                taken_by_library += u32::from(plain_aws(&encoding, message, &by_a));
                assert!(!ours(&encoding, message, &by_a) && !dalek(&encoding, message, &by_a));
            }
            taken_by_library += u32::from(plain_aws(&honest, message, &by_r));
            assert!(!ours(&honest, message, &by_r) && !dalek(&honest, message, &by_r));
            // Both, the signature that fits every message.
            let both = join(&encoding, &[0; 32]);
            taken_by_library += u32::from(plain_aws(&encoding, message, &both));
            assert!(!ours(&encoding, message, &both) && !dalek(&encoding, message, &both));
        }
        assert!(taken_by_library > 0, "without our refusals the library would take small orders");
    }

    #[test]
    fn mixed_torsion_is_judged_without_the_cofactor_as_dalek_does() {
        let (a, r) = (Scalar::from(1234u32), Scalar::from(99u8));
        let (mut taken, mut refused) = (0, 0);
        for torsion_a in 0..8 {
            for torsion_r in 0..8 {
                for number in 0..16u8 {
                    let (a_bytes, r_bytes) = (encode(a, torsion_a), encode(r, torsion_r));
                    let signature = craft(a, &a_bytes, r, &r_bytes, &[number]);
                    let verdict = ours(&a_bytes, &[number], &signature);
                    assert_eq!(verdict, dalek(&a_bytes, &[number], &signature));
                    if verdict { taken += 1 } else { refused += 1 }
                }
            }
        }
        assert!(taken > 16 && refused > 16, "{taken} {refused}");
    }

    #[test]
    fn encodings_and_scalars_that_are_not_reduced_are_refused() {
        let (a, r, message) = (Scalar::from(5u8), Scalar::from(6u8), b"m");
        let a_bytes = encode(a, 0);
        let good = craft(a, &a_bytes, r, &encode(r, 0), message);
        assert!(ours(&a_bytes, message, &good) && dalek(&a_bytes, message, &good));
        // S + L, the malleable twin, and beyond.
        let order: [u8; 32] = {
            let mut minus_one = (-Scalar::ONE).to_bytes();
            minus_one[0] += 1;
            minus_one
        };
        let mut twin = good;
        for _ in 0..8 {
            let mut carry = 0;
            for (byte, add) in twin[32..].iter_mut().zip(order) {
                let sum = u16::from(*byte) + u16::from(add) + carry;
                *byte = sum.to_le_bytes()[0];
                carry = sum >> 8;
            }
            assert!(!ours(&a_bytes, message, &twin) && !dalek(&a_bytes, message, &twin));
        }
        // y from p + 2 up: points of large order, whose secret nobody knows; refused before any arithmetic.
        for above in 2..19u8 {
            for sign in [0, 0x80] {
                let mut encoding = P;
                encoding[0] += above;
                encoding[31] |= sign;
                assert!(!is_strict(&encoding));
                let signature = craft(a, &a_bytes, r, &encoding, message);
                assert!(!ours(&a_bytes, message, &signature) && !dalek(&a_bytes, message, &signature));
            }
        }
        // Not on the curve.
        let mut off = [2; 32];
        while CompressedEdwardsY(off).decompress().is_some() {
            off[0] += 1;
        }
        assert!(!ours(&off, message, &good) && !dalek(&off, message, &good));
    }

    #[test]
    fn p256_takes_fixed_signatures_under_compressed_keys() {
        let secret = SecretKey::from_seed(Algorithm::P256, &[4; 32]);
        let (key, signature) = (secret.public(), secret.sign(b"charge"));
        assert!(NativeVerifier.verify(&key, b"charge", &signature));
        assert!(!NativeVerifier.verify(&key, b"charge!", &signature));
        for at in 0..64 {
            let mut other = signature;
            other.0[at] ^= 1;
            assert!(!NativeVerifier.verify(&key, b"charge", &other));
        }
        let PublicKey::P256(point) = key else { panic!("a P-256 key") };
        for lead in [0, 4, 5, 6, 7] {
            let mut other = point;
            other[0] = lead;
            assert!(!NativeVerifier.verify(&PublicKey::P256(other), b"charge", &signature));
        }
        assert!(!NativeVerifier.verify(&PublicKey::P256([0xff; 33]), b"charge", &signature));
        for zeroed in [0..32, 32..64, 0..64] {
            let mut other = signature;
            other.0[zeroed].fill(0);
            assert!(!NativeVerifier.verify(&key, b"charge", &other));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn verdicts_are_those_of_dalek(
            seed: [u8; 32], nonce: [u8; 32], torsion_a in 0..8usize, torsion_r in 0..8usize,
            message: Vec<u8>, flip in proptest::option::of((0..96usize, 0..8u8)),
        ) {
            let (a, r) = (Scalar::from_bytes_mod_order(seed), Scalar::from_bytes_mod_order(nonce));
            let mut a_bytes = encode(a, torsion_a);
            let mut signature = craft(a, &a_bytes, r, &encode(r, torsion_r), &message);
            if let Some((at, bit)) = flip {
                let byte = if at < 64 { &mut signature[at] } else { &mut a_bytes[at - 64] };
                *byte ^= 1 << bit;
            }
            prop_assert_eq!(ours(&a_bytes, &message, &signature), dalek(&a_bytes, &message, &signature));
            if flip.is_none() && torsion_a == 0 && torsion_r == 0 {
                prop_assert!(ours(&a_bytes, &message, &signature));
            }
        }

        #[test]
        fn signatures_are_those_of_dalek(seed: [u8; 32], message: Vec<u8>) {
            use ed25519_dalek::Signer;
            let secret = SecretKey::from_seed(Algorithm::Ed25519, &seed);
            let theirs = ed25519_dalek::SigningKey::from_bytes(&seed);
            prop_assert_eq!(secret.public(), PublicKey::Ed25519(theirs.verifying_key().to_bytes()));
            prop_assert_eq!(secret.sign(&message).0, theirs.sign(&message).to_bytes());
        }
    }

    #[test]
    fn identity_is_the_only_point_of_order_one() {
        assert_eq!(EIGHT_TORSION.iter().filter(|point| **point == EdwardsPoint::default()).count(), 1);
    }
}
