//! Why the provider itself could not do what was asked. Participants are told only [`ProviderRefusal`]s.
//!
//! [`ProviderRefusal`]: tegata_core::talk::report::ProviderRefusal

use crate::settle::SettleError;
use tegata_ledger::{LedgerError, Unbalanced};
use tegata_store::StoreError;

/// Why the provider could not go on. Nothing of what was at hand is kept.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The books; the program is at fault.
    #[error("the provider's books are wrong ({0}); nothing was recorded: stop and audit")]
    Ledger(#[from] LedgerError),
    /// The file of keys.
    #[error("the provider's keys cannot be used: {0}")]
    Keys(String),
    /// Keys and database belong to different providers.
    #[error("these keys are not this database's; restore both from the same place")]
    OtherKeys,
    /// A name that certificates cannot carry or people cannot read.
    #[error("a name has at most 64 bytes, no slash and no control character; choose another")]
    Name,
    /// No processor is registered.
    #[error("no processor is registered; register one first")]
    NoProcessor,
    /// Another processor is registered.
    #[error("another processor is registered, and accounts are open there; it cannot be replaced")]
    OtherProcessor,
    /// The processor's key was revoked.
    #[error("the key of this processor was revoked; what it says is not believed any more")]
    RevokedProcessor,
    /// What was asked about settlement cannot be done.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// Nothing is known under that name.
    #[error("nothing is known under that name; check it")]
    Unknown,
    /// The address to listen on.
    #[error("cannot listen on {address}: {reason}; end what uses it, or choose another with --listen")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        reason: String,
    },
}

impl From<Unbalanced> for ProviderError {
    fn from(why: Unbalanced) -> Self {
        Self::Ledger(why.into())
    }
}
