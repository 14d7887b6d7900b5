//! The merchant terminal: charges, keeps receipts, closes and voids, updates. Works with the provider away.

mod credit;
mod reach;
mod terminal;
mod till;

pub use reach::Read;
pub use terminal::{Payment, Terminal, TerminalError};
pub use till::{Charged, Waiting, listen};
