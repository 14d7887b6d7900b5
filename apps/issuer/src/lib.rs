//! The issuing systems: payment and telephone cards by installation number (R18) or over the network, tickets of events with their seats and
//! gates; statements.
//!
//! Numbers are derived from the issuer's own key, so that a batch can be exported again and no list of secrets is kept.

mod change;
mod counter;
mod event;
mod finish;
mod issuer;
mod listing;
mod moves;
mod seats;
mod staff;
mod tariff;

pub use change::{Replacing, Wording};
pub use counter::Numbering;
pub use event::{Category, Draft, Passes, ZONE};
pub use finish::Finished;
pub use issuer::{Issuer, IssuerError, Numbered, Printed};
pub use listing::Offered;
pub use moves::{MovesError, Moving, have_room, in_order, read_moves, seating};
pub use seats::{SeatError, read_seats};
pub use tariff::{RateError, read_rates};
