//! Tickets at the gates, the provider's side: what promoters plan, what gates are set up with, and what they and wallets say was
//! shown and let in, compared (R20).
//!
//! | file | holds |
//! | --- | --- |
//! | `plan.rs` | events as planned, gates put in their place |
//! | `setup.rs` | what a gate needs to know, by its update |
//! | `shown.rs` | presentations recorded and compared; whoever showed one ticket from two wallets is convicted |

mod plan;
mod setup;
mod shown;

pub(crate) use plan::{order_gate, plan, planned};
pub(crate) use setup::{due, kill};
pub(crate) use shown::{Seen, prove, seen};
