//! The card number: a secret that is wiped when dropped and shown masked only.

use std::fmt;
use zeroize::Zeroizing;

/// Fewest and most digits: those of ISO/IEC 7812 that a mask can still hide something of, and the most that field 2 holds.
const DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// Why this is no card number. Says nothing about the digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PanError {
    /// Too short or too long.
    #[error("a card number has 12 to 19 digits, not {0}")]
    Length(usize),
    /// Something else than digits.
    #[error("a card number has nothing but digits")]
    Digits,
    /// The last digit does not follow from the others (ISO/IEC 7812-1, Luhn): mistyped.
    #[error("the card number's check digit is wrong; it is probably mistyped")]
    CheckDigit,
}

/// A card number (PAN): 12 to 19 digits of which the last one checks the others. Wiped when dropped. `Debug` and `Display` mask
/// it: the first six and last four digits from 14 digits on, where that hides enough; of shorter ones the last four.
#[derive(Clone, PartialEq, Eq)]
pub struct Pan(Zeroizing<Box<[u8]>>);

impl Pan {
    /// The card number of these digits.
    ///
    /// # Errors
    /// [`PanError`].
    pub fn parse(digits: &[u8]) -> Result<Self, PanError> {
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(PanError::Digits);
        }
        if !DIGITS.contains(&digits.len()) {
            return Err(PanError::Length(digits.len()));
        }
        if luhn(digits) != 0 {
            return Err(PanError::CheckDigit);
        }
        Ok(Self(Zeroizing::new(digits.into())))
    }
    /// All digits, in the clear: for the message to the bank and for nothing that is shown or logged.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
    /// What may be shown.
    pub fn masked(&self) -> String {
        let len = self.0.len();
        let first = if len >= 14 { 6 } else { 0 };
        let shown = |at: usize| at < first || at >= len - 4;
        self.0.iter().enumerate().map(|(at, digit)| if shown(at) { char::from(*digit) } else { '*' }).collect()
    }
}

/// The sum of the digits, every second one from the right doubled and taken modulo nine, modulo ten.
fn luhn(digits: &[u8]) -> u32 {
    let weighed = digits.iter().rev().enumerate().map(|(at, digit)| {
        let digit = u32::from(digit - b'0');
        match at % 2 {
            1 if digit < 5 => digit * 2,
            1 => digit * 2 - 9,
            _ => digit,
        }
    });
    weighed.sum::<u32>() % 10
}

impl fmt::Display for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_numbers_are_checked() {
        for (digits, expected) in [
            ("4111111111111111", Ok("411111******1111")),
            ("378282246310005", Ok("378282*****0005")),
            ("30569309025904", Ok("305693****5904")),
            ("6304000000000000000", Ok("630400*********0000")),
            ("4222222222222", Ok("*********2222")),
            ("501800000009", Ok("********0009")),
            ("4111111111111112", Err(PanError::CheckDigit)),
            ("4111111111111", Err(PanError::CheckDigit)),
            ("1411111111111111", Err(PanError::CheckDigit)),
            ("4111 1111 1111 1111", Err(PanError::Digits)),
            ("41111111111111l1", Err(PanError::Digits)),
            ("", Err(PanError::Length(0))),
            ("00000000000", Err(PanError::Length(11))),
            ("00000000000000000000", Err(PanError::Length(20))),
        ] {
            let found = Pan::parse(digits.as_bytes()).map(|pan| pan.masked());
            assert_eq!(found, expected.map(str::to_owned), "{digits}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_noticed_and_none_but_the_shown_ones_show(
            mut digits in proptest::collection::vec(b'0'..=b'9', 11..=18), at: prop::sample::Index, by in 1u8..=9,
        ) {
            let check = (b'0'..=b'9').find(|check| luhn(&[&digits[..], &[*check]].concat()) == 0).expect("one of ten");
            digits.push(check);
            let pan = Pan::parse(&digits).expect("checked");
            prop_assert_eq!(pan.reveal(), &digits[..]);
            let shown = format!("{pan}");
            prop_assert_eq!(format!("{pan:?}"), format!("Pan({shown})"));
            prop_assert!(shown.bytes().filter(u8::is_ascii_digit).count() <= 10);
            prop_assert!(shown.bytes().filter(|byte| *byte == b'*').count() >= 4);
            let at = at.index(digits.len());
            digits[at] = b'0' + (digits[at] - b'0' + by) % 10;
            prop_assert_eq!(Pan::parse(&digits), Err(PanError::CheckDigit));
        }
    }
}
