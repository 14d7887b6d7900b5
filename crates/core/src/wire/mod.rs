//! Bytes: canonical CBOR, signed messages, sealed envelopes, participants' certificates.

pub mod canonical;
pub mod certificate;
pub mod sealed;
pub mod signed;
