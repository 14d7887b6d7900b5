//! The negotiable card: what its certificate says, what its chain of events proves, what its terms allow.

mod certificate;
mod chain;
pub mod payment;
mod raise;
mod terms;
pub mod ticket;
pub mod title;

pub use certificate::CardCertificate;
pub use chain::{CardEvent, Counterpart, EventKind, ForkProof, Position};
pub use raise::{Load, Raise, RaiseError, Reversal, Void};
pub use terms::{CardKind, Terms};
