//! The service providing system [110]: joins everyone, installs and loads cards, collects what happened, compares,
//! clears and pays.
//!
//! ```text
//! envelopes -> prepare (all cores, no database) -> commit (one writer, one transaction) -> answers
//!                open, decode, verify               judge, post, sign, commit
//! ```
//!
//! [`Provider`] has no socket and no clock; [`http`] gives it both.

mod books;
mod buy;
mod cards;
mod compare;
mod credit;
mod desk;
mod director;
mod directory;
mod enter;
mod error;
mod exceptions;
mod give;
pub mod http;
mod install;
mod join;
mod keys;
mod line;
pub mod operator;
mod prepare;
mod provider;
mod reach;
mod report;
mod settle;
mod shared;
mod tariffs;
mod turnout;
mod update;

pub use credit::{Answered, ToProcessor};
pub use error::ProviderError;
pub use keys::Keys;
pub use provider::{Incoming, Provider, Said};
pub use settle::{Fee, Reconciled, ReconciledPayout, SettleError, Settlement, trial_balance};
pub use shared::Shared;
