//! The values of single fields as types: a terminal's id cannot be passed where a merchant's is meant.
//!
//! Each knows its field. What is constructed fits its field, what is read from a field is written back the same.

use crate::message::Message;
use crate::pan::Pan;
use crate::rules::Misuse;
use crate::table::{Class, field};
use std::fmt;
use tegata_core::money::{Amount, Unit};

/// A value that stands in one field, always the same.
pub(crate) trait Element: Sized {
    /// The field's number.
    const FIELD: u8;
    /// Reads a value that fits the field by the table; `None` if it means nothing.
    fn read(value: &[u8]) -> Option<Self>;
    /// Hands the bytes to `to`, without leaving a copy behind.
    fn write(&self, to: &mut dyn FnMut(&[u8]));
}

/// The element of a message, if its field is there.
pub(crate) fn optional<T: Element>(message: &Message) -> Result<Option<T>, Misuse> {
    let Some(value) = message.get(T::FIELD) else { return Ok(None) };
    T::read(value).map(Some).ok_or(Misuse::Value { field: T::FIELD })
}

/// The element of a message, whose field must be there.
pub(crate) fn required<T: Element>(message: &Message) -> Result<T, Misuse> {
    optional(message)?.ok_or(Misuse::Missing { kind: message.kind(), field: T::FIELD })
}

/// Puts the element into its field.
pub(crate) fn put<T: Element>(message: &mut Message, element: &T) {
    element.write(&mut |value| {
        message.set(T::FIELD, value).expect("an element is constructed to fit its field");
    });
}

/// Puts it, if there is one.
pub(crate) fn put_some<T: Element>(message: &mut Message, element: Option<&T>) {
    if let Some(element) = element {
        put(message, element);
    }
}

/// The number that these digits write; `None` for anything else, and above 19 digits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

macro_rules! digits {
    ($($(#[$doc:meta])* $name:ident: $int:ty, field $field:literal, $width:literal digits, up to $most:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name($int);

        impl $name {
            /// This number; `None` if it has more digits.
            pub const fn new(number: $int) -> Option<Self> {
                if number <= $most { Some(Self(number)) } else { None }
            }
            /// The number.
            pub fn get(self) -> $int {
                self.0
            }
        }

        impl Element for $name {
            const FIELD: u8 = $field;
            fn read(value: &[u8]) -> Option<Self> {
                Self::new(number(value)?.try_into().ok()?)
            }
            fn write(&self, to: &mut dyn FnMut(&[u8])) {
                to(self.to_string().as_bytes());
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $width, "}"), self.0)
            }
        }
    )*};
}

digits! {
    /// Systems trace audit number (field 11): numbers a sender's requests, 0 to 999999, and begins again. Within one
    /// transmission time it does not repeat.
    Stan: u32, field 11, 6 digits, up to 999_999;
    /// Merchant type (field 18): the merchant's category code (ISO 18245), 0 to 9999.
    MerchantType: u16, field 18, 4 digits, up to 9999;
    /// Point of service entry mode (field 22): two digits for how the card number came in, one for whether PINs can.
    EntryMode: u16, field 22, 3 digits, up to 999;
    /// Point of service condition code (field 25), 0 to 99.
    ConditionCode: u8, field 25, 2 digits, up to 99;
}

impl Stan {
    /// The number after this one; 1 after 999999.
    pub fn next(self) -> Self {
        Self(self.0 % 999_999 + 1)
    }
}

impl EntryMode {
    /// 000: not said.
    pub const UNSPECIFIED: Self = Self(0);
    /// 012: typed in; no PIN can be.
    pub const MANUAL: Self = Self(12);
    /// 051: read from the chip; a PIN can be typed.
    pub const CHIP: Self = Self(51);
}

impl ConditionCode {
    /// 00: the usual.
    pub const NORMAL: Self = Self(0);
    /// 01: the customer is not there.
    pub const CUSTOMER_ABSENT: Self = Self(1);
    /// 08: mail or telephone order.
    pub const REMOTE_ORDER: Self = Self(8);
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: field $field:literal, $width:literal characters;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $width]);

        impl $name {
            /// This text, filled up with blanks. `None` if it is blank, too long, or has a character that the field does not.
            pub fn new(text: &str) -> Option<Self> {
                let mut filled = [b' '; $width];
                filled.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
                Self::read(&filled)
            }
            /// The text without the blanks after it.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or_default().trim_end()
            }
        }

        impl Element for $name {
            const FIELD: u8 = $field;
            fn read(value: &[u8]) -> Option<Self> {
                let blank = value.iter().all(|byte| *byte == b' ');
                (!blank && field($field)?.class.misfit(value).is_none()).then_some(Self(value.try_into().ok()?))
            }
            fn write(&self, to: &mut dyn FnMut(&[u8])) {
                to(&self.0);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

texts! {
    /// Retrieval reference number, RRN (field 37): the sender's name for a transaction, the same from authorization to reversal.
    Reference: field 37, 12 characters;
    /// Authorization identification response (field 38): the bank's name for what it approved.
    AuthorizationId: field 38, 6 characters;
    /// Card acceptor terminal identification (field 41).
    TerminalId: field 41, 8 characters;
    /// Card acceptor identification code (field 42): the merchant, as the bank knows it.
    MerchantId: field 42, 15 characters;
    /// Card acceptor name and location (field 43), as it shall stand on the cardholder's statement.
    NameLocation: field 43, 40 characters;
}

/// Acquiring institution identification code (field 32): 1 to 11 digits. Leading zeros count where it stands alone; in field 90,
/// which fills up with zeros, they do not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AcquirerId {
    digits: [u8; 11],
    len: usize,
}

impl AcquirerId {
    /// The code of these digits. `None` if there are none or above 11, or something else than digits.
    pub fn new(digits: &str) -> Option<Self> {
        Self::read(digits.as_bytes())
    }
    /// The code without its leading zeros.
    pub fn number(&self) -> u64 {
        number(&self.digits[..self.len]).unwrap_or_default()
    }
}

impl Element for AcquirerId {
    const FIELD: u8 = 32;
    fn read(value: &[u8]) -> Option<Self> {
        let mut digits = [0; 11];
        digits.get_mut(..value.len())?.copy_from_slice(value);
        (!value.is_empty() && Class::N.misfit(value).is_none()).then_some(Self { digits, len: value.len() })
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(&self.digits[..self.len]);
    }
}

impl fmt::Display for AcquirerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits[..self.len]).unwrap_or_default())
    }
}

impl fmt::Debug for AcquirerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is done (field 3, first two digits).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transaction {
    /// 00: goods or services are bought.
    Purchase,
    /// 20: goods come back, the cardholder is paid.
    Refund,
}

/// Processing code (field 3): what is done, then two digits each for the account it comes from and the one it goes to. The
/// account is the cardholder's credit facility (30) or not said (00).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProcessingCode {
    /// What is done.
    pub transaction: Transaction,
    /// Whether the cardholder's account is named as the credit facility: 003000 and 200030, not 000000 and 200000.
    pub credit: bool,
}

impl ProcessingCode {
    /// 003000: a purchase on credit.
    pub const PURCHASE: Self = Self { transaction: Transaction::Purchase, credit: true };
    /// 200030: a refund to the credit account.
    pub const REFUND: Self = Self { transaction: Transaction::Refund, credit: true };

    fn code(self) -> &'static [u8; 6] {
        match (self.transaction, self.credit) {
            (Transaction::Purchase, false) => b"000000",
            (Transaction::Purchase, true) => b"003000",
            (Transaction::Refund, false) => b"200000",
            (Transaction::Refund, true) => b"200030",
        }
    }
}

impl Element for ProcessingCode {
    const FIELD: u8 = 3;
    fn read(value: &[u8]) -> Option<Self> {
        let all = [Transaction::Purchase, Transaction::Refund]
            .map(|transaction| [true, false].map(|credit| Self { transaction, credit }));
        all.into_iter().flatten().find(|code| code.code() == value)
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(self.code());
    }
}

/// How the cardholder wants to be charged (field 48). The standard leaves field 48 to agreement; this is the content until an
/// acquirer's manual says otherwise: `10`, `21`, or `61` and two digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PaymentOption {
    /// `10`: all at once.
    Once,
    /// `21`: all at once, with the next bonus.
    Bonus,
    /// `61nn`: in so many instalments.
    Instalments(Instalments),
}

/// A number of instalments, 2 to 99.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instalments(u8);

impl Instalments {
    /// So many; `None` outside 2 to 99.
    pub fn new(count: u8) -> Option<Self> {
        (2..=99).contains(&count).then_some(Self(count))
    }
    /// How many.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Element for PaymentOption {
    const FIELD: u8 = 48;
    fn read(value: &[u8]) -> Option<Self> {
        match value {
            b"10" => Some(Self::Once),
            b"21" => Some(Self::Bonus),
            [b'6', b'1', count @ ..] if count.len() == 2 => {
                Instalments::new(number(count)?.try_into().ok()?).map(Self::Instalments)
            }
            _ => None,
        }
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Once => to(b"10"),
            Self::Bonus => to(b"21"),
            Self::Instalments(count) => to(format!("61{:02}", count.0).as_bytes()),
        }
    }
}

impl Element for Pan {
    const FIELD: u8 = 2;
    fn read(value: &[u8]) -> Option<Self> {
        Self::parse(value).ok()
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(self.reveal());
    }
}

/// An amount that a card is charged: field 4 in minor units, at most twelve digits, and field 49, its currency (ISO 4217
/// numeric). Call units and entries are no money and cannot be one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CardAmount(Amount);

impl CardAmount {
    /// The most that field 4 holds, in minor units.
    pub const MAX: u64 = 999_999_999_999;
    const FIELD: u8 = 4;
    const CURRENCY: u8 = 49;

    /// This amount; `None` above [`CardAmount::MAX`] or if it is not in a currency.
    pub fn new(amount: Amount) -> Option<Self> {
        // Units of ours are numbered above the three digits of ISO 4217.
        (amount.minor() <= Self::MAX && amount.unit().code() <= 999).then_some(Self(amount))
    }
    /// The amount.
    pub fn get(self) -> Amount {
        self.0
    }
    pub(crate) fn read(message: &Message) -> Result<Self, Misuse> {
        let digits = |field| {
            let value = message.get(field).ok_or(Misuse::Missing { kind: message.kind(), field })?;
            number(value).ok_or(Misuse::Value { field })
        };
        let (minor, code) = (digits(Self::FIELD)?, digits(Self::CURRENCY)?);
        let unit = u16::try_from(code).ok().and_then(Unit::from_code).ok_or(Misuse::Value { field: Self::CURRENCY })?;
        Amount::new(unit, minor).and_then(Self::new).ok_or(Misuse::Value { field: Self::FIELD })
    }
    pub(crate) fn put(self, message: &mut Message) {
        for (field, text) in
            [(Self::FIELD, format!("{:012}", self.0.minor())), (Self::CURRENCY, format!("{:03}", self.0.unit().code()))]
        {
            message.set(field, text.as_bytes()).expect("a card amount has twelve digits and a currency");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::MessageType;

    fn again<T: Element>(value: &str) -> Option<String> {
        let mut written = None;
        T::read(value.as_bytes())?.write(&mut |value| written = String::from_utf8(value.to_vec()).ok());
        written
    }

    #[test]
    fn elements_are_written_back_as_they_were_read() {
        type Again = fn(&str) -> Option<String>;
        let cases: [(&str, Again, &[&str], &[&str]); 12] = [
            ("trace number", again::<Stan>, &["000000", "000001", "999999"], &["", "00000A", "1000000"]),
            ("merchant type", again::<MerchantType>, &["5411", "0000"], &["-411"]),
            ("entry mode", again::<EntryMode>, &["012", "051"], &["1000"]),
            ("condition", again::<ConditionCode>, &["00", "99"], &["100"]),
            (
                "reference",
                again::<Reference>,
                &["632807000001", "A1          "],
                &["            ", "63280700000-", "short"],
            ),
            ("terminal", again::<TerminalId>, &["TERM-001", " T      "], &["        ", "TERM\t001"]),
            ("merchant", again::<MerchantId>, &["TEGATA CAFE    "], &["TEGATA CAFE"]),
            ("acquirer", again::<AcquirerId>, &["1", "00456", "12345678901"], &["", "123456789012", "12A"]),
            ("processing", again::<ProcessingCode>, &["000000", "003000", "200000", "200030"], &["010000", "300000"]),
            (
                "option",
                again::<PaymentOption>,
                &["10", "21", "6102", "6199"],
                &["", "1", "61", "6101", "61100", "61+3", "80"],
            ),
            ("card", again::<Pan>, &["4111111111111111"], &["4111111111111112", "411"]),
            ("authorization", again::<AuthorizationId>, &["0A1B2C"], &["0A1B2", "      "]),
        ];
        for (story, again, accepted, refused) in cases {
            for value in accepted {
                assert_eq!(again(value).as_deref(), Some(*value), "{story}");
            }
            for value in refused {
                assert_eq!(again(value), None, "{story} {value:?}");
            }
        }
    }

    #[test]
    fn texts_are_filled_up_and_shown_without_the_filling() {
        let merchant = MerchantId::new("TEGATA CAFE").expect("fits");
        assert_eq!((merchant.to_string(), format!("{merchant:?}")), ("TEGATA CAFE".into(), "\"TEGATA CAFE\"".into()));
        assert_eq!(MerchantId::new("a name of sixteen"), None);
        assert_eq!(NameLocation::new("Café"), None);
    }

    #[test]
    fn trace_numbers_begin_again() {
        assert_eq!(Stan::new(999_998).map(Stan::next), Stan::new(999_999));
        assert_eq!(Stan::new(999_999).map(Stan::next), Stan::new(1));
        assert_eq!(Stan::new(0).map(Stan::next), Stan::new(1));
    }

    #[test]
    fn amounts_fit_twelve_digits_and_have_a_currency() {
        let amount = |unit, minor| CardAmount::new(Amount::new(unit, minor).expect("in range"));
        assert_eq!(amount(Unit::JPY, CardAmount::MAX + 1), None);
        assert_eq!(amount(Unit::ENTRIES, 1), None);
        assert_eq!(amount(Unit::CALL_UNITS, 1), None);
        for (unit, minor) in [(Unit::USD, 1234), (Unit::JPY, CardAmount::MAX), (Unit::EUR, 0)] {
            let mut message = Message::new(MessageType::AuthorizationRequest);
            assert_eq!(CardAmount::read(&message), Err(Misuse::Missing { kind: message.kind(), field: 4 }));
            let amount = amount(unit, minor).expect("fits");
            amount.put(&mut message);
            assert_eq!(CardAmount::read(&message), Ok(amount));
            message.set(49, b"999").expect("fits");
            assert_eq!(CardAmount::read(&message), Err(Misuse::Value { field: 49 }), "a currency nobody has here");
        }
    }
}
