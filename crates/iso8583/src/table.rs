//! The field table: what each data element of ISO 8583:1987 may hold and how long it may be.
//!
//! Fields 2 to 64 and 66 to 128. Field 1 is no field but the bit that announces the secondary bitmap, and 65 would announce a
//! third one, which the codec refuses as unknown. Lengths count characters, or bytes of binary fields; of an amount with a
//! sign (`x+n`) they include the sign. Names follow the standard's list of data elements.

/// What a field's characters may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// `n`: digits.
    N,
    /// `an`: letters and digits; blanks, with which fixed fields are filled up.
    An,
    /// `ans`: any printable ASCII character, 20h to 7Eh.
    Ans,
    /// `ns`: digits and special characters: printable and no letter.
    Ns,
    /// `a` or `n`: all letters or all digits, as currency codes are. No field of 1987 is letters alone.
    AOrN,
    /// `z`: the code set of tracks 2 and 3, 30h to 3Fh: digits and `:;<=>?`.
    Z,
    /// `b`: any bytes.
    B,
    /// `x+n`: `C` (credit) or `D` (debit), then digits.
    XN,
}

impl Class {
    /// The standard's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::N => "n",
            Self::An => "an",
            Self::Ans => "ans",
            Self::Ns => "ns",
            Self::AOrN => "a or n",
            Self::Z => "z",
            Self::B => "b",
            Self::XN => "x+n",
        }
    }
    /// Where the first byte stands that does not belong, from 0. The byte itself is told to nobody: it may be a secret.
    pub(crate) fn misfit(self, value: &[u8]) -> Option<usize> {
        let letters = value.first().is_some_and(u8::is_ascii_alphabetic);
        let printable = |byte: &u8| (0x20..=0x7e).contains(byte);
        value.iter().enumerate().position(|(at, byte)| !match self {
            Self::N => byte.is_ascii_digit(),
            Self::An => byte.is_ascii_alphanumeric() || *byte == b' ',
            Self::Ans => printable(byte),
            Self::Ns => printable(byte) && !byte.is_ascii_alphabetic(),
            Self::AOrN => (letters && byte.is_ascii_alphabetic()) || (!letters && byte.is_ascii_digit()),
            Self::Z => (0x30..=0x3f).contains(byte),
            Self::B => true,
            Self::XN => (at == 0 && matches!(byte, b'C' | b'D')) || (at > 0 && byte.is_ascii_digit()),
        })
    }
}

/// How a field says how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// Always this long; nothing stands before it.
    Fixed(usize),
    /// Two digits of length before it; 1 to this long.
    LlVar(usize),
    /// Three digits of length before it; 1 to this long.
    LllVar(usize),
}

impl Length {
    /// The most it can be.
    pub fn max(self) -> usize {
        let (Self::Fixed(max) | Self::LlVar(max) | Self::LllVar(max)) = self;
        max
    }
    /// How many digits of length stand before the field.
    pub fn prefix(self) -> usize {
        match self {
            Self::Fixed(_) => 0,
            Self::LlVar(_) => 2,
            Self::LllVar(_) => 3,
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its number: its bit in the bitmaps, counted from 1.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub class: Class,
    /// How long it may be.
    pub length: Length,
    /// Whether what it holds is never shown: card numbers, tracks, PINs, accounts, and all fields whose content the standard
    /// leaves to agreement, because nobody can know what the other side puts there.
    pub secret: bool,
}

/// The field with this number; `None` if 1987 has none.
pub fn field(number: u8) -> Option<&'static Field> {
    TABLE.binary_search_by_key(&number, |field| field.number).ok().map(|at| &TABLE[at])
}

/// All fields, by number.
pub fn fields() -> &'static [Field] {
    &TABLE
}

const fn shown(number: u8, name: &'static str, class: Class, length: Length) -> Field {
    Field { number, name, class, length, secret: false }
}

const fn secret(number: u8, name: &'static str, class: Class, length: Length) -> Field {
    Field { number, name, class, length, secret: true }
}

use Class::{AOrN, An, Ans, B, N, Ns, XN, Z};
use Length::{Fixed, LlVar, LllVar};

static TABLE: [Field; 126] = [
    secret(2, "primary account number", N, LlVar(19)),
    shown(3, "processing code", N, Fixed(6)),
    shown(4, "amount, transaction", N, Fixed(12)),
    shown(5, "amount, settlement", N, Fixed(12)),
    shown(6, "amount, cardholder billing", N, Fixed(12)),
    shown(7, "transmission date and time", N, Fixed(10)),
    shown(8, "amount, cardholder billing fee", N, Fixed(8)),
    shown(9, "conversion rate, settlement", N, Fixed(8)),
    shown(10, "conversion rate, cardholder billing", N, Fixed(8)),
    shown(11, "systems trace audit number", N, Fixed(6)),
    shown(12, "time, local transaction", N, Fixed(6)),
    shown(13, "date, local transaction", N, Fixed(4)),
    secret(14, "date, expiration", N, Fixed(4)),
    shown(15, "date, settlement", N, Fixed(4)),
    shown(16, "date, conversion", N, Fixed(4)),
    shown(17, "date, capture", N, Fixed(4)),
    shown(18, "merchant type", N, Fixed(4)),
    shown(19, "acquiring institution country code", N, Fixed(3)),
    shown(20, "primary account number, country code", N, Fixed(3)),
    shown(21, "forwarding institution country code", N, Fixed(3)),
    shown(22, "point of service entry mode", N, Fixed(3)),
    shown(23, "card sequence number", N, Fixed(3)),
    shown(24, "network international identifier", N, Fixed(3)),
    shown(25, "point of service condition code", N, Fixed(2)),
    shown(26, "point of service PIN capture code", N, Fixed(2)),
    shown(27, "authorization identification response length", N, Fixed(1)),
    shown(28, "amount, transaction fee", XN, Fixed(9)),
    shown(29, "amount, settlement fee", XN, Fixed(9)),
    shown(30, "amount, transaction processing fee", XN, Fixed(9)),
    shown(31, "amount, settlement processing fee", XN, Fixed(9)),
    shown(32, "acquiring institution identification code", N, LlVar(11)),
    shown(33, "forwarding institution identification code", N, LlVar(11)),
    secret(34, "primary account number, extended", Ns, LlVar(28)),
    secret(35, "track 2 data", Z, LlVar(37)),
    secret(36, "track 3 data", Z, LllVar(104)),
    shown(37, "retrieval reference number", An, Fixed(12)),
    shown(38, "authorization identification response", An, Fixed(6)),
    shown(39, "response code", An, Fixed(2)),
    shown(40, "service restriction code", An, Fixed(3)),
    shown(41, "card acceptor terminal identification", Ans, Fixed(8)),
    shown(42, "card acceptor identification code", Ans, Fixed(15)),
    shown(43, "card acceptor name and location", Ans, Fixed(40)),
    secret(44, "additional response data", Ans, LlVar(25)),
    secret(45, "track 1 data", Ans, LlVar(76)),
    secret(46, "additional data, ISO", Ans, LllVar(999)),
    secret(47, "additional data, national", Ans, LllVar(999)),
    secret(48, "additional data, private", Ans, LllVar(999)),
    shown(49, "currency code, transaction", AOrN, Fixed(3)),
    shown(50, "currency code, settlement", AOrN, Fixed(3)),
    shown(51, "currency code, cardholder billing", AOrN, Fixed(3)),
    secret(52, "personal identification number data", B, Fixed(8)),
    secret(53, "security related control information", N, Fixed(16)),
    shown(54, "additional amounts", An, LllVar(120)),
    secret(55, "reserved, ISO", Ans, LllVar(999)),
    secret(56, "reserved, ISO", Ans, LllVar(999)),
    secret(57, "reserved, national", Ans, LllVar(999)),
    secret(58, "reserved, national", Ans, LllVar(999)),
    secret(59, "reserved, national", Ans, LllVar(999)),
    secret(60, "reserved, private", Ans, LllVar(999)),
    secret(61, "reserved, private", Ans, LllVar(999)),
    secret(62, "reserved, private", Ans, LllVar(999)),
    secret(63, "reserved, private", Ans, LllVar(999)),
    shown(64, "message authentication code", B, Fixed(8)),
    shown(66, "settlement code", N, Fixed(1)),
    shown(67, "extended payment code", N, Fixed(2)),
    shown(68, "receiving institution country code", N, Fixed(3)),
    shown(69, "settlement institution country code", N, Fixed(3)),
    shown(70, "network management information code", N, Fixed(3)),
    shown(71, "message number", N, Fixed(4)),
    shown(72, "message number, last", N, Fixed(4)),
    shown(73, "date, action", N, Fixed(6)),
    shown(74, "credits, number", N, Fixed(10)),
    shown(75, "credits, reversal number", N, Fixed(10)),
    shown(76, "debits, number", N, Fixed(10)),
    shown(77, "debits, reversal number", N, Fixed(10)),
    shown(78, "transfer, number", N, Fixed(10)),
    shown(79, "transfer, reversal number", N, Fixed(10)),
    shown(80, "inquiries, number", N, Fixed(10)),
    shown(81, "authorizations, number", N, Fixed(10)),
    shown(82, "credits, processing fee amount", N, Fixed(12)),
    shown(83, "credits, transaction fee amount", N, Fixed(12)),
    shown(84, "debits, processing fee amount", N, Fixed(12)),
    shown(85, "debits, transaction fee amount", N, Fixed(12)),
    shown(86, "credits, amount", N, Fixed(16)),
    shown(87, "credits, reversal amount", N, Fixed(16)),
    shown(88, "debits, amount", N, Fixed(16)),
    shown(89, "debits, reversal amount", N, Fixed(16)),
    shown(90, "original data elements", N, Fixed(42)),
    shown(91, "file update code", An, Fixed(1)),
    shown(92, "file security code", An, Fixed(2)),
    shown(93, "response indicator", An, Fixed(5)),
    shown(94, "service indicator", An, Fixed(7)),
    shown(95, "replacement amounts", An, Fixed(42)),
    secret(96, "message security code", B, Fixed(8)),
    shown(97, "amount, net settlement", XN, Fixed(17)),
    shown(98, "payee", Ans, Fixed(25)),
    shown(99, "settlement institution identification code", N, LlVar(11)),
    shown(100, "receiving institution identification code", N, LlVar(11)),
    secret(101, "file name", Ans, LlVar(17)),
    secret(102, "account identification 1", Ans, LlVar(28)),
    secret(103, "account identification 2", Ans, LlVar(28)),
    secret(104, "transaction description", Ans, LllVar(100)),
    secret(105, "reserved, ISO", Ans, LllVar(999)),
    secret(106, "reserved, ISO", Ans, LllVar(999)),
    secret(107, "reserved, ISO", Ans, LllVar(999)),
    secret(108, "reserved, ISO", Ans, LllVar(999)),
    secret(109, "reserved, ISO", Ans, LllVar(999)),
    secret(110, "reserved, ISO", Ans, LllVar(999)),
    secret(111, "reserved, ISO", Ans, LllVar(999)),
    secret(112, "reserved, national", Ans, LllVar(999)),
    secret(113, "reserved, national", Ans, LllVar(999)),
    secret(114, "reserved, national", Ans, LllVar(999)),
    secret(115, "reserved, national", Ans, LllVar(999)),
    secret(116, "reserved, national", Ans, LllVar(999)),
    secret(117, "reserved, national", Ans, LllVar(999)),
    secret(118, "reserved, national", Ans, LllVar(999)),
    secret(119, "reserved, national", Ans, LllVar(999)),
    secret(120, "reserved, private", Ans, LllVar(999)),
    secret(121, "reserved, private", Ans, LllVar(999)),
    secret(122, "reserved, private", Ans, LllVar(999)),
    secret(123, "reserved, private", Ans, LllVar(999)),
    secret(124, "reserved, private", Ans, LllVar(999)),
    secret(125, "reserved, private", Ans, LllVar(999)),
    secret(126, "reserved, private", Ans, LllVar(999)),
    secret(127, "reserved, private", Ans, LllVar(999)),
    shown(128, "message authentication code", B, Fixed(8)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_row_but_the_bitmaps() {
        for number in 0..=u8::MAX {
            let expected = matches!(number, 2..=64 | 66..=128);
            assert_eq!(field(number).map(|field| field.number), expected.then_some(number));
        }
    }

    #[test]
    fn a_length_fits_the_digits_before_it() {
        for field in fields() {
            let most = 10usize.pow(u32::try_from(field.length.prefix()).expect("0, 2 or 3"));
            assert!(field.length.prefix() == 0 || field.length.max() < most, "field {}", field.number);
        }
    }

    #[test]
    fn a_misfit_is_found_where_it_stands() {
        for (class, fits, misfit, at) in [
            (N, "0123456789", "12 4", 2),
            (N, "", "C1", 0),
            (An, "aZ 9", "ab-c", 2),
            (Ans, "any: ~ / (printable)", "tab\t", 3),
            (Ns, "12-34 /", "12a", 2),
            (AOrN, "840", "8U0", 1),
            (AOrN, "USD", "US4", 2),
            (Z, "4111=2512:;<>?", "4111D", 4),
            (XN, "C00000000", "E00000000", 0),
            (XN, "D00000001", "DD0000001", 1),
        ] {
            assert_eq!(class.misfit(fits.as_bytes()), None, "{class:?}: {fits}");
            assert_eq!(class.misfit(misfit.as_bytes()), Some(at), "{class:?}: {misfit}");
        }
        assert_eq!(Ans.misfit("ä".as_bytes()), Some(0));
        assert_eq!(B.misfit(&[0, 255]), None);
    }

    #[test]
    fn what_can_hold_a_card_number_is_secret() {
        // Everything long enough for a card number is secret, or fixed in its meaning by the standard.
        let meant = [3, 4, 5, 6, 32, 33, 41, 42, 43, 54, 90, 95, 97, 98, 99, 100];
        for field in fields().iter().filter(|field| field.length.max() > 12 && !field.secret) {
            assert!(meant.contains(&field.number) || (82..=89).contains(&field.number), "field {}", field.number);
        }
        for number in [2, 34, 35, 36, 45, 48, 52, 55] {
            assert!(field(number).expect("in the table").secret, "field {number}");
        }
    }
}
