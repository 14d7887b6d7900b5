//! The switching centre's SIP half: a back-to-back user agent (RFC 3261) between phones and trunks, which rings nobody
//! before whoever drives charging has said so.
#![warn(missing_docs)]

pub mod body;
mod call;
pub mod config;
mod leg;
mod number;
pub mod phones;
pub mod policy;
pub mod reason;
pub mod seam;
mod setup;
mod switch;
mod timer;
mod wire;

pub use config::Config;
pub use number::{Number, NumberError};
pub use phones::digest::{Algorithm, Passwords};
pub use seam::{At, Body, By, CallId, Caller, Command, Control, Event, Route, Shown, Side};
pub use switch::{Sizes, StartError, Switch};
