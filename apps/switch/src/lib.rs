//! The switching center [105]: connects calls and takes telephone cards while they last.
//!
//! `tegata_sip` speaks SIP and rings nobody before it is told to; the core says what a call costs and when it is paid. [`desk`] stands
//! between the two: it carries words from one to the other, and gathers what many calls store into one durable write. [`hotspot`] is the
//! same charging over HTTP, for a way to the network instead of a call.

// The town of the tests is the same within this crate and beside it.
#[cfg(test)]
extern crate self as tegata_switch;
#[cfg(test)]
#[path = "../tests/town/mod.rs"]
mod town;

mod courier;
pub mod desk;
pub mod hotspot;
mod records;
mod switch;

pub use courier::Courier;
pub use records::{CallRecord, TrunkKey, TrunkTotal, by_trunk};
pub use switch::{KEPT_DAYS, Switch, SwitchError, forget};
