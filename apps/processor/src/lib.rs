//! The transaction processing system \[106\]: keeps clearing accounts, and has bank cards charged through the bank's line.
//!
//! ```text
//! envelopes -> prepare -> Processor::turn: judge, write, commit -> answers
//!                              |  ^
//!                        jobs  v  |  what was heard
//!                            line (pure)  <->  TCP  <->  bank (ISO 8583)
//! ```
//!
//! [`Processor`] has no socket and no clock; [`http`] gives it both. [`bank`] is an acquirer for tests and the town.
//! The card number stands in the vault, encrypted, and in messages to the bank; nothing else holds it.

pub mod asker;
pub mod bank;
mod desk;
mod error;
pub mod http;
mod keys;
mod line;
pub mod operator;
mod prepare;
mod processor;
mod shared;
mod store;

pub use error::ProcessorError;
pub use keys::Keys;
pub use line::{Heard, Job, LineConfig, LineEvent, Now, Patience};
pub use prepare::Prepared;
pub use processor::{Effect, Processor, Ticket, Work};
pub use shared::Shared;
pub use store::{Durable, Store, StoreError};
