//! Tickets at the gates, the provider's side: what promoters plan, what gates are set up with, and what they and wallets say was
//! shown and let in, compared (R20).
//!
//! | file | holds |
//! | --- | --- |
//! | `plan.rs` | events as planned, gates put in their place |
//! | `setup.rs` | what a gate needs to know, by its update |
//! | `change.rs` | an event changed or cancelled after its tickets were sold, and what holders say to that |
//! | `moves.rs` | the seats that such a change moves |
//! | `work.rs` | that for tens of thousands of tickets, piece by piece |
//! | `progress.rs` | how far it has come, and what it would concern |
//! | `hand.rs` | the staff at gates, and what it did by hand |
//! | `shown.rs` | presentations recorded and compared; whoever showed one ticket from two wallets is convicted |

mod change;
mod hand;
mod moves;
mod plan;
mod progress;
mod setup;
mod shown;
mod work;

pub(crate) use change::{
    answered, change, is_replaced, joined, may_have_come, told_again, told_decided, told_late, undone,
};
pub(crate) use hand::{by_hand, order_staff};
pub(crate) use plan::{invite_gate, order_gate, place_of, plan, planned, take_place};
pub(crate) use progress::progress;
pub(crate) use setup::{due, kill};
pub(crate) use shown::{Seen, prove, seen};
pub(crate) use work::next as next_piece;
