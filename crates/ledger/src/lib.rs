//! Double entry: accounts, postings, and the equation that must hold at every instant (R10).
//!
//! Pure arithmetic on integer minor units. A [`Ledger`] is a working set: balances are put in as they stand, postings
//! move them, what changed is taken out again. It stores nothing, reads no clock and knows no message.

mod account;
mod equation;
mod posting;

pub use account::{Account, Kind, Side};
pub use equation::{Equation, Unbalanced};
pub use posting::{Ledger, LedgerError, Posting};
