//! COSE_Sign1 (RFC 9052 4.2) with context as external additional data (R5).
//!
//! [`Signed`] is bytes with a claim; only a [`Verifier`] turns it into [`Verified`], and conversations accept
//! nothing else. Hashes cover protected header, context and payload, never the signature (R2).

use super::canonical::{DecodeError, Message, Reader, Wire, Writer};
use crate::id::Hash;
use alloc::vec::Vec;
use core::{fmt, ops::Deref};

/// A signature algorithm by its COSE number (RFC 9864).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519, COSE -19; verified strictly (R3).
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (ESP256), COSE -9: what secure elements of phones offer.
    P256,
}

impl Algorithm {
    fn code(self) -> i64 {
        match self {
            Self::Ed25519 => -19,
            Self::P256 => -9,
        }
    }
    /// The protected header `{1: alg}`.
    fn protected(self) -> [u8; 3] {
        [0xa1, 0x01, 0x20 | u8::try_from(-1 - self.code()).unwrap_or(0)]
    }
}

/// A verification key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// RFC 8032 encoding.
    Ed25519([u8; 32]),
    /// SEC 1 compressed point.
    P256([u8; 33]),
}

impl PublicKey {
    /// The algorithm that this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::P256(_) => Algorithm::P256,
        }
    }
    /// Its bytes; the length tells the algorithm.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::P256(bytes) => bytes,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Wire for PublicKey {
    fn write(&self, to: &mut Writer) {
        to.bytes(self.as_bytes());
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = from.bytes()?;
        match bytes.len() {
            32 => Ok(Self::Ed25519(bytes.try_into().map_err(|_| DecodeError::Type)?)),
            33 => Ok(Self::P256(bytes.try_into().map_err(|_| DecodeError::Type)?)),
            _ => Err(DecodeError::Value("no such key")),
        }
    }
}

/// 64 bytes: `R || S` (Ed25519) or `r || s` (P-256).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// Checks signatures; injected, so that the core holds no cryptography but hashing.
pub trait Verifier: Send + Sync {
    /// Whether `signature` by `key` covers exactly `tbs`. Ed25519 strictly: no small-order or non-canonical
    /// points (R3).
    fn verify(&self, key: &PublicKey, tbs: &[u8], signature: &Signature) -> bool;
}

/// A body that is about to be signed: its bytes are fixed, its signature is still to come.
#[derive(Clone, Debug)]
pub struct Unsigned<T> {
    body: T,
    payload: Vec<u8>,
    algorithm: Algorithm,
}

impl<T: Message> Unsigned<T> {
    /// Fixes the bytes of `body`, to be signed with a key of this algorithm.
    pub fn new(body: T, algorithm: Algorithm) -> Self {
        let payload = body.to_bytes();
        Self { body, payload, algorithm }
    }
    /// The body.
    pub fn body(&self) -> &T {
        &self.body
    }
    /// The exact bytes of the body.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
    /// The bytes to be signed: COSE `Sig_structure` with `context` as external additional data.
    pub fn tbs(&self, context: &[u8]) -> Vec<u8> {
        sig_structure(self.algorithm, context, &self.payload)
    }
    /// The hash that names this message in this context (R2); known before the signature is.
    pub fn hash(&self, context: &[u8]) -> Hash {
        Hash::of(&self.tbs(context))
    }
    /// Adds the signature.
    pub fn sign(self, signature: Signature) -> Signed<T> {
        Signed { body: self.body, payload: self.payload, algorithm: self.algorithm, signature }
    }
}

/// COSE `Sig_structure` = ["Signature1", protected, external_aad, payload].
fn sig_structure(algorithm: Algorithm, context: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.array(4);
    writer.text("Signature1");
    writer.bytes(&algorithm.protected());
    writer.bytes(context);
    writer.bytes(payload);
    writer.finish()
}

/// A decoded message whose signature nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    body: T,
    payload: Vec<u8>,
    algorithm: Algorithm,
    signature: Signature,
}

/// The signature does not verify under the key and context it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by the expected key or not for this context")]
pub struct BadSignature;

impl<T: Message> Signed<T> {
    /// The COSE_Sign1 bytes as they travel (untagged).
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(4);
        writer.bytes(&self.algorithm.protected());
        writer.map(0);
        writer.bytes(&self.payload);
        writer.bytes(&self.signature.0);
        writer.finish()
    }
    /// Reads one such message.
    ///
    /// # Errors
    /// What is wrong with the bytes (R4); the sender is at fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > T::MAX_LEN {
            return Err(DecodeError::TooLarge);
        }
        let mut from = Reader::new(bytes);
        from.array(4)?;
        let protected = from.bytes()?;
        let algorithm = [Algorithm::Ed25519, Algorithm::P256]
            .into_iter()
            .find(|algorithm| algorithm.protected() == protected)
            .ok_or(DecodeError::Value("unknown algorithm"))?;
        if from.map_len()? != 0 {
            return Err(DecodeError::Value("unprotected header"));
        }
        let payload = from.bytes()?.to_vec();
        let signature = Signature(from.array_bytes()?);
        from.end()?;
        let body = T::from_bytes(&payload)?;
        Ok(Self { body, payload, algorithm, signature })
    }
    /// The claimed body. Whoever acts on it needs it [`Verified`].
    pub fn claimed(&self) -> &T {
        &self.body
    }
    /// The exact bytes of the body.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
    /// The bytes that were signed in this context.
    pub fn tbs(&self, context: &[u8]) -> Vec<u8> {
        sig_structure(self.algorithm, context, &self.payload)
    }
    /// The hash that names this message in this context (R2).
    pub fn hash(&self, context: &[u8]) -> Hash {
        Hash::of(&self.tbs(context))
    }
    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`]: not by this key, or not in this context.
    pub fn verify(self, key: &PublicKey, context: &[u8], by: &dyn Verifier) -> Result<Verified<T>, BadSignature> {
        let tbs = self.tbs(context);
        if key.algorithm() != self.algorithm || !by.verify(key, &tbs, &self.signature) {
            return Err(BadSignature);
        }
        Ok(Verified { hash: Hash::of(&tbs), signed: self })
    }
}

impl<T: Message> Wire for Signed<T> {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.encode());
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode(from.bytes()?)
    }
}

/// A message whose signature holds under a known key in its context. Nothing but [`Signed::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    signed: Signed<T>,
    hash: Hash,
}

impl<T> Verified<T> {
    /// The hash that names this message (R2).
    pub fn hash(&self) -> Hash {
        self.hash
    }
    /// The message as it travels.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }
    /// The message as it travels.
    pub fn into_signed(self) -> Signed<T> {
        self.signed
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.signed.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::certificate::SessionProof;
    use coset::{CborSerializable, CoseSign1};

    #[test]
    fn our_bytes_are_cose_by_an_independent_reader() {
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let unsigned = Unsigned::new(SessionProof { extensions: Default::default() }, algorithm);
            let tbs = unsigned.tbs(b"context");
            let signed = unsigned.sign(Signature([7; 64]));
            let theirs = CoseSign1::from_slice(&signed.encode()).expect("an oracle reads it");
            assert_eq!(theirs.tbs_data(b"context"), tbs);
            assert_eq!(theirs.signature, [7; 64]);
            assert_eq!(Signed::<SessionProof>::decode(&signed.encode()), Ok(signed));
        }
    }
}
