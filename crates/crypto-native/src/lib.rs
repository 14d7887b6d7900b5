//! Cryptography where there is an operating system: the core's injected [`Verifier`], software keys, sealing,
//! code numbers and installation numbers, on aws-lc-rs, `hpke` and `argon2`.
//!
//! Nothing here does I/O or reads a clock, and nothing but [`entropy::fresh`] draws randomness: entropy comes in
//! as 32 bytes that are used for one call only, so that the simulator can replay every envelope. The exception is
//! a P-256 signature, whose nonce the library draws itself.
//!
//! [`Verifier`]: tegata_core::wire::signed::Verifier

pub mod badge;
pub mod batch;
pub mod code;
pub mod entropy;
pub mod keys;
pub mod number;
pub mod primitive;
pub mod seal;
pub mod verify;

pub use badge::{Badge, GateNumber};
pub use batch::{Gathering, RecordVerifier, is_strict_key};
pub use keys::{KeyError, SealingSecret, SecretKey};
pub use seal::{Channel, SealError, open, seal_to};
pub use verify::NativeVerifier;
