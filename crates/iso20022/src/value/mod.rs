//! The schemas' simple types: a value that exists keeps its rules, so that writers have nothing left to refuse.

mod amount;
mod bic;
mod date;
mod iban;
mod text;
mod transliterate;

pub use amount::{AmountError, is_currency};
pub(crate) use amount::{ControlSum, amount, currency, trim};
pub use bic::{Bic, BicError};
pub use date::{Date, DateError};
pub(crate) use date::{read_moment, write_moment};
pub use iban::{Iban, IbanError};
pub use text::{EndToEndId, MessageId, Sepa, Text, TextError, TextFault};

/// Why an element's content does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// An account number.
    #[error(transparent)]
    Iban(#[from] IbanError),
    /// A bank's code.
    #[error(transparent)]
    Bic(#[from] BicError),
    /// A text or id.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A date or moment.
    #[error(transparent)]
    Date(#[from] DateError),
    /// An amount or currency.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A code that is none of those that can stand here.
    #[error("it should be {0}")]
    Code(&'static str),
}
