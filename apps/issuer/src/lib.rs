//! The payment card issuing system: terms, batches of installation numbers, activation at the till, statements (R18).
//!
//! Numbers are derived from the issuer's own key, so that a batch can be exported again and no list of secrets is kept.

mod change;
mod issuer;
mod listing;

pub use change::Wording;
pub use issuer::{Issuer, IssuerError, Numbered, Printed};
pub use listing::Offered;
