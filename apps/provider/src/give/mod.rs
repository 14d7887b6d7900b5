//! Cards given from wallet to wallet (flow 6), the provider's side (R12).
//!
//! | file | holds |
//! | --- | --- |
//! | `title.rs` | hand-overs taken in, whoever tells of them: each ends a generation and begins the next; two of one convict |
//! | `register.rs` | the wallet that holds a card by title gets its certificate |
//! | `away.rs` | a card locked for somebody far away, and taken by its number |
//! | `anew.rs` | a ticket whose wallet was lost, installed again by a number |
//! | `number.rs` | the numbers of both |
//! | `back.rs` | what nobody registered or took comes back by the provider alone |
//! | `used.rs` | what came in after it was given on |
//! | `convicted.rs` | which of its holders was convicted by a card |

mod anew;
mod away;
mod back;
mod convicted;
mod number;
mod register;
mod title;
mod used;

pub(crate) use anew::{anew, take_anew};
pub(crate) use away::{gift, lock, take};
pub(crate) use back::{forgotten, is_open, overdue};
pub(crate) use convicted::is_convicted;
pub(crate) use register::{logged, register};
pub(crate) use title::{Title, prove, tell, twice};
pub(crate) use used::came_after;
