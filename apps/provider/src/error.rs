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
    /// Devices are heard still.
    #[error(
        "this provider was put back from a backup and is still hearing what it has forgotten; `tegata provider status` says until when at most"
    )]
    Reconciling,
    /// A card is not issued anew.
    #[error(transparent)]
    NotAnew(#[from] NotAnew),
    /// The address to listen on.
    #[error("cannot listen on {address}: {reason}; end what uses it, or choose another with --listen")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        reason: String,
    },
}

/// Why a card is not issued anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnew {
    /// No such card.
    #[error("no card has that id; `tegata wallet NAME tickets` shows it, and so does the promoter's report")]
    Unknown,
    /// A card with value on it.
    #[error("only tickets are issued anew: what a card held may have been spent offline; block it instead")]
    NoTicket,
    /// Nothing to issue.
    #[error("this ticket is over: its event has ended, it was paid back, or it was replaced")]
    Over,
    /// Somebody else has it.
    #[error(
        "this ticket was given away and its receiver has not registered it yet; it comes back by itself if nobody does"
    )]
    Given,
    /// Its holder is why it is blocked.
    #[error("this ticket was copied by its holder, and both presentations prove it; it is not issued anew")]
    Cheated,
    /// Restored.
    #[error(
        "this provider was put back from a backup and is still hearing what it has forgotten; try again in a while"
    )]
    Reconciling,
}

impl From<Unbalanced> for ProviderError {
    fn from(why: Unbalanced) -> Self {
        Self::Ledger(why.into())
    }
}
