//! The negotiable card: what its certificate says, what its chain of events proves, what its terms allow.

mod certificate;
mod chain;
mod links;
pub mod payment;
mod raise;
mod session;
mod terms;
pub mod ticket;
pub mod title;

pub use certificate::CardCertificate;
pub use chain::{CardEvent, Counterpart, EventKind, ForkProof, Position};
pub use links::{Link, Links, MAX_LINKS};
pub use raise::{CallEnd, CallReceipt, Load, Raise, RaiseError, Reversal, Void};
pub use session::{Rise, accept_tick, agree};
pub use terms::{CardKind, Terms};
