//! Pay with a payment card (flow 1), with no network at all.
//!
//! ```text
//! wallet                                   terminal
//!   | hello (ephemeral key)                  |
//!   |--------------------------------------->|
//!   |        hello, proof of terminal (R17)  |
//!   |<---------------------------------------|
//!   | offer: kinds, issuers, checkpoint      |
//!   |--------------------------------------->|  stores the charge
//!   |                charge (certificate)    |
//!   |<---------------------------------------|
//!   | the user agrees; stores the check      |
//!   |  check (certificate, raises)           |
//!   |--------------------------------------->|  verifies, stores the check
//!   |                           receipt      |
//!   |<---------------------------------------|  goods
//! ```
//!
//! A charge ends *paid* or *closed* (R7). A repeat gets the stored bytes again. What the link loses is asked for again
//! at the next touch: the wallet names the transaction that it answered.

mod credit;
mod end;
mod messages;
mod paying;
mod take_up;
mod terminal;
mod wallet;

pub(crate) use end::closing;
pub use end::{EndNotice, EndOfClaim};
pub use messages::*;
pub use paying::{Paying, PayingState, Untouched, load_purse, purse_key};
pub use take_up::{TakeUp, TakeUpNotice, waiting};
pub use terminal::{Claim, ClaimState, Sale, TerminalNotice, TerminalPay, Till};
pub(crate) use terminal::{close_till, seen, seen_key, stale};
pub use wallet::{Payer, WalletNotice, WalletPay, terminal_certificate};
pub(crate) use wallet::{keep_raise, prove};
