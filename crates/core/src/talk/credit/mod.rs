//! Credit: paying by a bank card, of which the wallet holds a reference and the merchant sees nothing (flow 5).
//!
//! | message | kind | from → to | answered by |
//! | --- | --- | --- | --- |
//! | [`Authorize`] | 60 | provider → processor | [`Outcome`] |
//! | [`Clear`] | 61 | provider → processor | [`ClearingCompletion`] \[8417\], or [`Outcome`] |
//! | [`VoidAuthorization`] | 62 | provider → processor | [`Outcome`] |
//! | [`Refund`] | 63 | provider → processor | [`Outcome`] |
//! | [`Query`] | 64 | provider → processor | [`Outcome`] |
//! | [`OpenAccount`] | 65 | provider → processor | [`Outcome`] |
//! | [`Outcome`] | 66 | processor → provider | - |
//! | [`ClearingCompletion`] | 67 | processor → provider | - |
//! | [`ClearingInformation`] | 68 | processor → provider, merchant, user | travels within 67 |
//! | [`ProcessorRefused`] | 69 | processor → provider | - |
//! | [`CreditOffer`] \[8405\] | 70 | wallet → terminal | [`Charge`](crate::talk::pay::Charge) |
//! | [`AuthorizationRequest`] | 71 | merchant → provider | [`CreditAnswer`] |
//! | [`PaymentRequest`] | 72 | user → provider | [`CreditAnswer`] |
//! | [`Agreement`] | 73 | user → provider | travels within 72 |
//! | [`CreditAnswer`] | 74 | provider → merchant, user | - |
//! | [`ClearingRequest`] \[13550\] | 75 | merchant → provider | [`ClearingNotification`], or [`CreditAnswer`] |
//! | [`ClearingNotification`] \[8418\] | 76 | provider → merchant | - |
//! | [`MerchantReceipt`] \[8419\] | 77 | merchant → provider | travels in the terminal's log |
//! | [`UserReceipt`] \[8421\] | 78 | provider → user | travels as a command of the update |
//! | [`RegisterCard`] | 79 | user → provider | [`CreditAnswer`] |

mod matching;
mod merchant;
mod messages;
pub mod processor;
mod wallet;

pub use matching::*;
pub use merchant::{Asking, ClaimNotice, CreditClaim};
pub use messages::*;
pub use wallet::{CreditAsk, CreditNotice, CreditPay, CreditPayer, Credited};

pub use processor::{
    Audience, Authorize, CardDetails, Clear, ClearingCompletion, ClearingInformation, DeclineReason, MerchantDetails,
    OpenAccount, Outcome, OutcomeState, ProcessorAnswer, ProcessorInfo, ProcessorRefusal, ProcessorRefused, Query,
    Refund, VoidAuthorization, read_processor_answer,
};

use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use alloc::boxed::Box;
use core::fmt;
use zeroize::Zeroizing;

/// How the user wants to be charged; on the wire its code (the text's payment option code \[13619\]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PaymentOption {
    /// 10: all at once.
    Once,
    /// 21: all at once, with the next bonus.
    Bonus,
    /// 6102 to 6199: in so many instalments, 2 to 99.
    Instalments(u8),
}

impl PaymentOption {
    /// The code.
    pub fn code(self) -> u64 {
        match self {
            Self::Once => 10,
            Self::Bonus => 21,
            Self::Instalments(count) => 6100 + u64::from(count),
        }
    }
    /// The option of a code; `None` if it has none.
    pub fn from_code(code: u64) -> Option<Self> {
        match code {
            10 => Some(Self::Once),
            21 => Some(Self::Bonus),
            6102..=6199 => u8::try_from(code - 6100).ok().map(Self::Instalments),
            _ => None,
        }
    }
}

impl Wire for PaymentOption {
    fn write(&self, to: &mut Writer) {
        to.uint(self.code());
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_code(from.uint()?).ok_or(DecodeError::Value("unknown payment option"))
    }
}

/// A card number on its way to the processor's vault: 12 to 19 bytes, which whoever takes it up reads as digits. Wiped when
/// dropped; nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct CardNumber(Zeroizing<Box<[u8]>>);

impl CardNumber {
    /// These digits; `None` if there are fewer than 12 or more than 19.
    pub fn new(digits: &[u8]) -> Option<Self> {
        (12..=19).contains(&digits.len()).then(|| Self(Zeroizing::new(digits.into())))
    }
    /// The digits, in the clear: for the vault and the bank, and for nothing that is shown or logged.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardNumber(..)")
    }
}

impl Wire for CardNumber {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(from.bytes()?).ok_or(DecodeError::Value("wrong length"))
    }
}

/// The last month in which a card is good, as it stands on the card: year and month, `YYMM`. Not shown: with the card
/// number it is what a card is charged by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CardExpiry(u16);

impl CardExpiry {
    /// The last two digits of the year, 0 to 99, and the month, 1 to 12; `None` outside.
    pub fn new(year: u8, month: u8) -> Option<Self> {
        (year <= 99 && (1..=12).contains(&month)).then_some(Self(u16::from(year) * 100 + u16::from(month)))
    }
    /// The last two digits of the year, and the month.
    pub fn year_month(self) -> (u8, u8) {
        let small = |number: u16| u8::try_from(number).unwrap_or_default();
        (small(self.0 / 100), small(self.0 % 100))
    }
}

impl fmt::Debug for CardExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardExpiry(..)")
    }
}

impl Wire for CardExpiry {
    fn write(&self, to: &mut Writer) {
        to.uint(u64::from(self.0));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = from.uint()?;
        let small = |number: u64| u8::try_from(number).ok();
        small(number / 100)
            .zip(small(number % 100))
            .and_then(|(year, month)| Self::new(year, month))
            .ok_or(DecodeError::Value("no month of a year"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn every_payment_option_has_one_code() {
        for code in 0..=7000 {
            assert_eq!(PaymentOption::from_code(code).map_or(code, PaymentOption::code), code);
        }
        for option in [PaymentOption::Once, PaymentOption::Bonus, PaymentOption::Instalments(12)] {
            assert_eq!(PaymentOption::from_code(option.code()), Some(option));
        }
        assert_eq!(PaymentOption::from_code(6101), None, "one instalment is no instalment");
    }

    #[test]
    fn card_numbers_and_expiries_read_back_and_are_not_printed() {
        let number = CardNumber::new(b"4111111111111111").expect("16 digits");
        assert_eq!(CardNumber::from_bytes(&number.to_bytes()), Ok(number.clone()));
        let expiry = CardExpiry::new(29, 12).expect("a month");
        assert_eq!(CardExpiry::from_bytes(&expiry.to_bytes()), Ok(expiry));
        assert_eq!(expiry.year_month(), (29, 12));
        for wrong in [0u64, 2900, 2913, 10_001, 65_536] {
            assert!(CardExpiry::from_bytes(&wrong.to_bytes()).is_err(), "{wrong}");
        }
        let shown = format!("{number:?} {expiry:?}");
        assert!(!shown.contains("4111") && !shown.contains("2912") && !shown.contains("49, 49"));
    }
}
