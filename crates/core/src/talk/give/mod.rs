//! Give a card to another wallet (flow 6), face to face, with both offline; or to somebody far away, by a number.
//!
//! ```text
//! receiver                                       giver
//!   | hello (ephemeral key)                        |
//!   |--------------------------------------------->|
//!   |           hello, offer: card, title, terms   |
//!   |<---------------------------------------------|
//!   | the receiver agrees; stores a new key        |
//!   |  acceptance (new key)                        |
//!   |--------------------------------------------->|
//!   |                      reveal: both show a code|
//!   |<---------------------------------------------|  the giver agrees; stores: the copy is dead
//!   |                            given (the hop)   |
//!   |<---------------------------------------------|
//!   | stores the card                              |
//!   |  taken                                       |
//!   |--------------------------------------------->|  stores it
//! ```
//!
//! From the moment the hand-over is stored the giver's copy is locked to that receiver's key and can only say the same bytes again
//! (R12): whatever frame is lost, touching again mends it. The code is of both sides' parts, of which the giver's is committed to
//! before the receiver's is known, so that nobody in between can choose it (R17).
//!
//! | file | holds |
//! | --- | --- |
//! | `messages.rs` | what travels |
//! | `giver.rs`, `receiver.rs` | both sides |
//! | `away.rs` | the wallet and the provider: a card registered, a gift to somebody far away |

mod away;
mod giver;
mod messages;
mod receiver;

pub use away::{Away, AwayNotice, GiftKept, Wish};
pub use giver::{GiveCard, Giver, GiverNotice, HandedOver, why_not};
pub use messages::*;
pub use receiver::{Receiver, ReceiverNotice, Taker, Taking};
