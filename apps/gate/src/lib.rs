//! The gate terminal [101]: set up for an event once, it admits tickets with no network from then on, always. It holds no personal
//! data. Gates of one venue share what they admit over the venue's own network (R22) and go on alone, saying so, when that breaks.

mod gate;
pub mod lan;
mod serve;

pub use gate::{Gate, GateError, Hand};
pub use serve::serve;
