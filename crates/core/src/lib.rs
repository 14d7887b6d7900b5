//! The core of Tegata: messages, cards and conversations.
//!
//! Nothing here does I/O, reads a clock, draws randomness or holds a private key. Time and entropy come in as
//! arguments; durable writes, signatures and messages leave as [`step::Effect`]s. It compiles `no_std + alloc`.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod card;
pub mod charging;
pub mod id;
pub mod money;
pub mod record;
pub mod step;
pub mod talk;
pub mod wire;

pub use id::*;
pub use money::{Amount, Time, Unit};
