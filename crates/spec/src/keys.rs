//! The fixed keys of the vectors, and signatures that are the same each time.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature as P256Signature, SigningKey};
use tegata_core::wire::canonical::Writer;
use tegata_core::wire::signed::{Algorithm, PublicKey, Signature};
use tegata_crypto_native::SecretKey;

/// Whose key it is; also the byte that its seed repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Who {
    /// The provider's root.
    Root = 1,
    /// The provider's operational key number 7.
    Provider = 2,
    /// The issuer.
    Issuer = 3,
    /// The terminal.
    Terminal = 4,
    /// The wallet.
    Wallet = 5,
    /// The card.
    Card = 6,
    /// Somebody else.
    Stranger = 7,
    /// The transaction processor.
    Processor = 8,
    /// The gate.
    Gate = 9,
}

/// The secret key of the seed that repeats this byte 32 times.
pub fn secret(who: Who, algorithm: Algorithm) -> SecretKey {
    SecretKey::from_seed(algorithm, &[who as u8; 32])
}

/// Its public key.
pub fn public(who: Who, algorithm: Algorithm) -> PublicKey {
    secret(who, algorithm).public()
}

/// The Ed25519 key, of which most examples are made.
pub fn ed(who: Who) -> PublicKey {
    public(who, Algorithm::Ed25519)
}

/// Signs; P-256 with the nonce of RFC 6979, since the product's own draws another one each time.
pub fn sign(secret: &SecretKey, tbs: &[u8]) -> Signature {
    match secret {
        SecretKey::Ed25519(_) => secret.sign(tbs),
        SecretKey::P256(_) => {
            let scalar = secret.to_secret_bytes();
            let key = SigningKey::from_slice(&scalar[1..]).expect("the product made it");
            let signature: P256Signature = key.sign(tbs);
            Signature(signature.to_bytes().into())
        }
    }
}

/// The protected header of an algorithm.
pub fn protected(algorithm: Algorithm) -> [u8; 3] {
    match algorithm {
        Algorithm::Ed25519 => [0xa1, 0x01, 0x32],
        Algorithm::P256 => [0xa1, 0x01, 0x28],
    }
}

/// COSE `Sig_structure`, for payloads that no type of the core would make.
pub fn tbs(algorithm: Algorithm, context: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut to = Writer::new();
    to.array(4);
    to.text("Signature1");
    to.bytes(&protected(algorithm));
    to.bytes(context);
    to.bytes(payload);
    to.finish()
}

/// A COSE_Sign1 around these parts.
pub fn envelope(algorithm: Algorithm, payload: &[u8], signature: &Signature) -> Vec<u8> {
    let mut to = Writer::new();
    to.array(4);
    to.bytes(&protected(algorithm));
    to.map(0);
    to.bytes(payload);
    to.bytes(&signature.0);
    to.finish()
}

/// Signs any payload in any context.
pub fn sign1(secret: &SecretKey, context: &[u8], payload: &[u8]) -> Vec<u8> {
    let algorithm = secret.public().algorithm();
    envelope(algorithm, payload, &sign(secret, &tbs(algorithm, context, payload)))
}
