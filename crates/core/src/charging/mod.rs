//! Charging for what lasts, apart from what it is: a call, a charging point, a hotspot.
//!
//! | file | holds |
//! | --- | --- |
//! | `tariff.rs` | rates by prefix, time of day and week; what was agreed for one session, and what it costs |
//! | `meter.rs` | one session: asked for, paid, warned, cut, stopped (RFC 8506) |

mod meter;
mod tariff;

pub use meter::{Due, Meter, MeterError, PATIENCE, Stopped, WARNING};
pub use tariff::{AGREED_WITHIN, CallTariff, MAX_DIGITS, MAX_RATES, Rate, Tariff, TariffError, WEEK, WeekTime, digits};
