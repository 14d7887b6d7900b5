//! Call with a telephone card (flow 3). What wallet and switch say rides in the call's own SIP messages, within a session of the link.
//!
//! ```text
//! wallet                                   switch
//!   | hello (ephemeral key)                  |  INVITE
//!   |--------------------------------------->|
//!   |          hello, proof of switch (R17)  |  183
//!   |<---------------------------------------|
//!   | request: kinds, issuers, number        |  INFO
//!   |--------------------------------------->|  stores the tariff for this call
//!   |                 tariff (certificate)   |  183
//!   |<---------------------------------------|
//!   | the user agrees; stores the check      |
//!   |  check: nothing, or the set-up charge  |  INFO
//!   |--------------------------------------->|  verifies, stores; rings (R24)
//!   |                                        |  answered
//!   |                      ask: next total   |  INFO
//!   |<---------------------------------------|
//!   |  check over the total, stored          |  INFO
//!   |--------------------------------------->|  verifies, stores; goes on
//!   |                 ...                    |
//!   | stop                                   |  INFO, or BYE
//!   |--------------------------------------->|  stores what it costs
//!   |                        call receipt    |  BYE
//!   |<---------------------------------------|
//! ```
//!
//! Where a unit is shorter than a second, a check over each would take too long: a check commits to a chain of links then, whose
//! total all of them come to, and the wallet shows one link for each unit by its own clock, unasked (R24):
//!
//! ```text
//!   |                      ask: next total   |
//!   |<---------------------------------------|
//!   |  check with a chain's root, stored     |
//!   |--------------------------------------->|  verifies, stores
//!   |  link, link, ...: stored before        |
//!   |--------------------------------------->|  hashes, stores; each goes on for one unit
//! ```
//!
//! All checks of a call are one event of the card's chain, whose total rises tick by tick (R1). The last one that each side has is
//! logged when the call ends; the switch claims what was used, and the rest comes back on its receipt. Whoever dies in between
//! ends the call when it is back, from what it has stored (R8, R13).

mod calling;
mod end;
mod messages;
mod switch;
mod wallet;

pub use calling::{Call, CallState, Calling, CallingState, ChainSecret};
pub use end::{EndNotice, EndOfCall, HangUp};
pub use messages::*;
pub use switch::{Exchange, SwitchCall, SwitchNotice};
pub use wallet::{Caller, CallerNotice, WalletCall};
