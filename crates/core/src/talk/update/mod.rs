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
//!
//! A request that does not go on from where the log stands is a device gone back to an earlier state (R14), a provider
//! gone back (R15), or an old request that a carrier brings again. Only the device itself can tell these apart: it signs
//! its request again with the challenge, and nothing happens before that. An old request cannot name it, and its carrier
//! cannot read it.
//!
//! ```text
//! device                                   provider
//!   | entries, last command, epoch, turn     |
//!   |--------------------------------------->|  does not go on from here: changes nothing
//!   |   challenge: names the last answer     |
//!   |<---------------------------------------|
//!   | the same again, with the challenge     |
//!   |--------------------------------------->|
//!   |   restart: log and commands go on here |
//!   |<---------------------------------------|
//! ```

mod device;
mod messages;

pub use device::{DeviceUpdate, Updated, anchors_key, is_blocked_before, load_anchors, load_terms};
pub use messages::*;
