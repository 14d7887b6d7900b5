//! The promoter's side of tickets: what is planned, which gates stand where, what changes, and what its holders say to that.
//!
//! ```text
//! promoter    EventPlan --------------> zones, doors, seats (a higher revision replaces it)
//!             Listing (talk/buy) -----> a price category: terms, price, how many, of which seats
//!             GateOrder --------------> a gate that has joined is set up for the event: by its next update it works alone
//!             GateInvite -------------> the same for a gate that has yet to join: by its number it joins and is set up at once
//!             Change, Cancel ---------> terms that replace others; every holder hears of it by the next update
//! provider    Changed, in a command --> every holder's wallet, at its next update
//! wallet      ChangeAnswer -----------> takes the new ticket, or its money back: ChangeReply says what was decided
//! ```

mod messages;
mod wallet;

pub use messages::*;
pub use wallet::*;
