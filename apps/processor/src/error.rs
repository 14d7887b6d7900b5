//! Why the processor itself could not do what was asked. Providers are told only [`ProcessorRefusal`]s.
//!
//! [`ProcessorRefusal`]: tegata_core::talk::credit::ProcessorRefusal

use crate::store::StoreError;

/// Why the processor could not go on. Nothing of what was at hand is kept.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of keys.
    #[error("the processor's keys cannot be used: {0}")]
    Keys(String),
    /// Keys and database belong to different processors.
    #[error("these keys are not this database's; restore both from the same place")]
    OtherKeys,
    /// Nothing is known under that name.
    #[error("nothing is known under that name; check it")]
    Unknown,
    /// A card in the vault does not open.
    #[error(
        "a card in the vault does not open under this processor's key; restore keys and database from the same place"
    )]
    Vault,
    /// A message to the bank could not be put together; this program is at fault.
    #[error("a message to the bank could not be put together ({0}); this is a fault of the program, report it")]
    Message(&'static str),
    /// The address to listen on.
    #[error("cannot listen on {address}: {reason}; end what uses it, or choose another with --listen")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        reason: String,
    },
}
