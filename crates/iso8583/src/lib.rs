//! ISO 8583:1987 towards the bank: messages of card payments to bytes and back.
//!
//! Nothing here does I/O, reads a clock or draws randomness.

pub mod fault;
pub mod frame;
pub mod kind;
pub mod message;
pub mod pan;
pub mod table;

pub use fault::Fault;
pub use kind::MessageType;
pub use message::Message;
pub use pan::{Pan, PanError};
