//! Money in and out of a bank account: payouts as ISO 20022 `pain.001` orders ([`pain001`]), the bank's `camt.053`
//! statements ([`camt053`]), and what became of the payouts according to the statements ([`reconcile`]).
//!
//! Values keep the schemas' rules by their types ([`value`]). Nothing here does I/O, looks at a clock or at chance:
//! bytes and moments come in, bytes and findings go out, and the same input gives the same output.

pub mod camt053;
pub mod pain001;
pub mod reconcile;
pub mod value;
mod xml;

pub use xml::{Fault, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, XmlError};

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The program that called: it gave values that do not fit together.
    Caller,
    /// Whoever wrote the file; nobody here can mend it.
    Writer,
}
