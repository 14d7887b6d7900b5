//! Secret keys in software: signing keys of devices and cards, sealing keys of those who are written to.
//!
//! Keys come from 32 byte seeds and leave only as [`Zeroizing`] bytes; nothing prints them.

use crate::primitive::{mac, sound};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use core::fmt;
use tegata_core::wire::certificate::SealingKey;
use tegata_core::wire::signed::{Algorithm, PublicKey, Signature};
use zeroize::Zeroizing;

/// Bytes of an exported secret: what it is for, then the secret.
pub const SECRET_LEN: usize = 33;

/// The first byte of an exported secret.
const ED25519: u8 = 1;
const P256: u8 = 2;
const SEALING: u8 = 3;

/// Why bytes are no secret key. Whoever stored them is at fault; trying again does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 33 bytes.
    #[error("a stored secret key has the wrong length; the place it was kept in is damaged")]
    Length,
    /// A secret for another purpose, or of a later version.
    #[error("a stored secret key is of another kind than needed here")]
    Kind,
    /// Not a number that can be a key.
    #[error("a stored secret key is not a valid key; the place it was kept in is damaged")]
    Value,
}

/// A secret that signs, ready to sign at once.
pub enum SecretKey {
    /// Ed25519: about 11 us and the same signature each time.
    Ed25519(Ed25519Secret),
    /// P-256: another signature each time.
    P256(P256Secret),
}

/// An Ed25519 key: the seed, and the library's expanded form.
pub struct Ed25519Secret {
    seed: Zeroizing<[u8; 32]>,
    public: [u8; 32],
    pair: Ed25519KeyPair,
}

/// A P-256 key: the scalar, and the library's expanded form.
pub struct P256Secret {
    scalar: Zeroizing<[u8; 32]>,
    public: [u8; 33],
    pair: EcdsaKeyPair,
}

impl SecretKey {
    /// The key that belongs to a seed, always the same one. Ed25519 takes the seed as RFC 8032 does; P-256 takes
    /// the first of `HMAC(seed, 0), HMAC(seed, 1), ...` that is a scalar, almost always the first.
    pub fn from_seed(algorithm: Algorithm, seed: &[u8; 32]) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(Ed25519Secret::new(seed)),
            Algorithm::P256 => {
                let mut attempt = 0u8;
                loop {
                    let scalar = Zeroizing::new(mac(seed, "tegata p256 key v1", &[&[attempt]]));
                    match P256Secret::new(&scalar) {
                        Ok(secret) => return Self::P256(secret),
                        // One in 2^32 each time; 256 in a row only with a library that takes no key at all.
                        Err(_) => attempt = sound(attempt.checked_add(1).ok_or(()), "making a key"),
                    }
                }
            }
        }
    }
    /// The key that verifies.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Ed25519(secret) => PublicKey::Ed25519(secret.public),
            Self::P256(secret) => PublicKey::P256(secret.public),
        }
    }
    /// Signs exactly these bytes.
    pub fn sign(&self, tbs: &[u8]) -> Signature {
        let signature = match self {
            Self::Ed25519(secret) => secret.pair.sign(tbs),
            Self::P256(secret) => sound(secret.pair.sign(&SystemRandom::new(), tbs), "signing"),
        };
        Signature(sound(signature.as_ref().try_into(), "signing"))
    }
    /// The secret, for storage under a code number or in a sealed file: a byte for the algorithm and 32 bytes.
    pub fn to_secret_bytes(&self) -> Zeroizing<[u8; SECRET_LEN]> {
        match self {
            Self::Ed25519(secret) => tagged(ED25519, &secret.seed),
            Self::P256(secret) => tagged(P256, &secret.scalar),
        }
    }
    /// Reads what [`SecretKey::to_secret_bytes`] wrote.
    ///
    /// # Errors
    /// Why it is none ([`KeyError`]).
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (kind, secret) = untagged(bytes)?;
        match kind {
            ED25519 => Ok(Self::Ed25519(Ed25519Secret::new(secret))),
            P256 => P256Secret::new(secret).map(Self::P256),
            _ => Err(KeyError::Kind),
        }
    }
}

impl Ed25519Secret {
    fn new(seed: &[u8; 32]) -> Self {
        let pair = sound(Ed25519KeyPair::from_seed_unchecked(seed), "making a key");
        let public = sound(pair.public_key().as_ref().try_into(), "making a key");
        Self { seed: Zeroizing::new(*seed), public, pair }
    }
}

impl P256Secret {
    fn new(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        let private = PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| KeyError::Value)?;
        let point = private.compute_public_key().map_err(|_| KeyError::Value)?;
        let compressed: EcPublicKeyCompressedBin<'_> = point.as_be_bytes().map_err(|_| KeyError::Value)?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar, point.as_ref())
                .map_err(|_| KeyError::Value)?;
        let public = compressed.as_ref().try_into().map_err(|_| KeyError::Value)?;
        Ok(Self { scalar: Zeroizing::new(*scalar), public, pair })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

/// An X25519 secret that opens what was sealed to its [`SealingKey`].
pub struct SealingSecret {
    secret: Zeroizing<[u8; 32]>,
    public: SealingKey,
}

impl SealingSecret {
    /// The key that belongs to a seed, always the same one and never that of a signing key from the same seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::new(Zeroizing::new(mac(seed, "tegata x25519 key v1", &[])))
    }
    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let private = sound(PrivateKey::from_private_key(&X25519, &secret[..]), "making a key");
        let public: agreement::PublicKey = sound(private.compute_public_key(), "making a key");
        let public = SealingKey(sound(public.as_ref().try_into(), "making a key"));
        Self { secret, public }
    }
    /// The key to which others seal.
    pub fn public(&self) -> SealingKey {
        self.public
    }
    /// The scalar, for the one module that opens.
    pub(crate) fn scalar(&self) -> &[u8; 32] {
        &self.secret
    }
    /// The secret, for storage: a byte for the kind and 32 bytes.
    pub fn to_secret_bytes(&self) -> Zeroizing<[u8; SECRET_LEN]> {
        tagged(SEALING, &self.secret)
    }
    /// Reads what [`SealingSecret::to_secret_bytes`] wrote.
    ///
    /// # Errors
    /// Why it is none ([`KeyError`]).
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (kind, secret) = untagged(bytes)?;
        if kind != SEALING {
            return Err(KeyError::Kind);
        }
        Ok(Self::new(Zeroizing::new(*secret)))
    }
}

impl fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingSecret(of {:02x?})", self.public.0)
    }
}

fn tagged(kind: u8, secret: &[u8; 32]) -> Zeroizing<[u8; SECRET_LEN]> {
    let mut bytes = Zeroizing::new([0; SECRET_LEN]);
    bytes[0] = kind;
    bytes[1..].copy_from_slice(secret);
    bytes
}

fn untagged(bytes: &[u8]) -> Result<(u8, &[u8; 32]), KeyError> {
    let (kind, secret) = bytes.split_first().ok_or(KeyError::Length)?;
    Ok((*kind, secret.try_into().map_err(|_| KeyError::Length)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::NativeVerifier;
    use tegata_core::wire::signed::Verifier;

    const BOTH: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::P256];

    #[test]
    fn a_seed_gives_one_key_and_its_stored_form_gives_it_back() {
        for algorithm in BOTH {
            let secret = SecretKey::from_seed(algorithm, &[7; 32]);
            assert_eq!(secret.public().algorithm(), algorithm);
            assert_eq!(secret.public(), SecretKey::from_seed(algorithm, &[7; 32]).public());
            assert_ne!(secret.public(), SecretKey::from_seed(algorithm, &[8; 32]).public());
            let again = SecretKey::from_secret_bytes(&secret.to_secret_bytes()[..]).expect("reads back");
            assert_eq!(again.public(), secret.public());
            assert!(NativeVerifier.verify(&secret.public(), b"tbs", &again.sign(b"tbs")));
        }
        let sealing = SealingSecret::from_seed(&[7; 32]);
        let again = SealingSecret::from_secret_bytes(&sealing.to_secret_bytes()[..]).expect("reads back");
        assert_eq!(again.public(), sealing.public());
    }

    #[test]
    fn stored_forms_are_not_mistaken_for_one_another() {
        let sealing = SealingSecret::from_seed(&[7; 32]);
        let signing = SecretKey::from_seed(Algorithm::P256, &[7; 32]);
        assert_eq!(SecretKey::from_secret_bytes(&sealing.to_secret_bytes()[..]).err(), Some(KeyError::Kind));
        assert_eq!(SealingSecret::from_secret_bytes(&signing.to_secret_bytes()[..]).err(), Some(KeyError::Kind));
        for bytes in [&[][..], &[1; 32], &[1; 34]] {
            assert_eq!(SecretKey::from_secret_bytes(bytes).err(), Some(KeyError::Length));
            assert_eq!(SealingSecret::from_secret_bytes(bytes).err(), Some(KeyError::Length));
        }
        for scalar in [[0; 32], [0xff; 32]] {
            let bytes = tagged(P256, &scalar);
            assert_eq!(SecretKey::from_secret_bytes(&bytes[..]).err(), Some(KeyError::Value));
        }
    }

    #[test]
    fn debug_prints_no_secret() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for algorithm in BOTH {
            let secret = SecretKey::from_seed(algorithm, &[0xa7; 32]);
            assert!(!format!("{secret:?}").contains(&hex(&secret.to_secret_bytes()[1..5])));
        }
        let sealing = SealingSecret::from_seed(&[0xa7; 32]);
        let plain = format!("{sealing:?}").replace(", ", "");
        assert!(!plain.contains(&hex(&sealing.to_secret_bytes()[1..5])));
    }
}
