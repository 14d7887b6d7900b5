//! Update: one conversation for every device. Log up, commands down (flow 12, R13-R16).
//!
//! ```text
//! device                                   provider
//!   | entries n+1.., last command, epoch     |
//!   |--------------------------------------->|  records log, judges, signs the answer: one transaction
//!   |   recorded up to m, commands,          |
//!   |   checkpoints, revocation list         |
//!   |<---------------------------------------|
//!   | stores all of it at once               |
//!   | takes up raises; again until quiet     |
//! ```
//!
//! Either side can be cut off at any byte: a repeat is harmless and returns the same bytes.

mod device;
mod messages;

pub use device::{DeviceUpdate, Updated, anchors_key, load_anchors, load_terms};
pub use messages::*;
