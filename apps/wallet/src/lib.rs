//! The wallet: holds cards, shows them, pays, keeps receipts, updates. Works with the provider away.

mod buy;
mod credit;
mod pay;
mod wallet;

pub use pay::{Answer, Paid, offer_credit, pay};
pub use wallet::{Held, PaymentMade, Wallet, WalletError};
