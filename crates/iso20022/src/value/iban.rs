//! Account numbers as ISO 13616 has them: country, two check digits (ISO 7064, mod 97), the country's own number.

use std::fmt;

/// Total length by country, from the registry that ISO 13616 names; in order of the codes.
#[rustfmt::skip] // nine to a line, or it fills two screens
const LENGTHS: [(&str, usize); 89] = [
    ("AD", 24), ("AE", 23), ("AL", 28), ("AT", 20), ("AZ", 28), ("BA", 20), ("BE", 16), ("BG", 22), ("BH", 22),
    ("BI", 27), ("BR", 29), ("BY", 28), ("CH", 21), ("CR", 22), ("CY", 28), ("CZ", 24), ("DE", 22), ("DJ", 27),
    ("DK", 18), ("DO", 28), ("EE", 20), ("EG", 29), ("ES", 24), ("FI", 18), ("FK", 18), ("FO", 18), ("FR", 27),
    ("GB", 22), ("GE", 22), ("GI", 23), ("GL", 18), ("GR", 27), ("GT", 28), ("HN", 28), ("HR", 21), ("HU", 28),
    ("IE", 22), ("IL", 23), ("IQ", 23), ("IS", 26), ("IT", 27), ("JO", 30), ("KW", 30), ("KZ", 20), ("LB", 28),
    ("LC", 32), ("LI", 21), ("LT", 20), ("LU", 20), ("LV", 21), ("LY", 25), ("MC", 27), ("MD", 24), ("ME", 22),
    ("MK", 19), ("MN", 20), ("MR", 27), ("MT", 31), ("MU", 30), ("NI", 28), ("NL", 18), ("NO", 15), ("OM", 23),
    ("PK", 24), ("PL", 28), ("PS", 29), ("PT", 25), ("QA", 29), ("RO", 24), ("RS", 22), ("RU", 33), ("SA", 24),
    ("SC", 31), ("SD", 18), ("SE", 24), ("SI", 19), ("SK", 24), ("SM", 27), ("SO", 23), ("ST", 25), ("SV", 28),
    ("TL", 23), ("TN", 24), ("TR", 26), ("UA", 29), ("VA", 22), ("VG", 24), ("XK", 20), ("YE", 30),
];

/// Why a text is no IBAN. Says nothing of the number itself, so that it may go into a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IbanError {
    /// Other characters than A-Z and 0-9, or not two letters and two digits in front.
    #[error("an IBAN is two letters, two digits, then letters A-Z and digits, without spaces")]
    Shape,
    /// The country gives out no IBANs.
    #[error("no IBANs are known for this country code")]
    Country,
    /// Not as long as the country's are.
    #[error("an IBAN of this country has {expected} characters, not {found}")]
    Length {
        /// What the registry says.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The check digits are wrong: a digit was mistyped.
    #[error("the check digits of the IBAN are wrong; it was probably mistyped")]
    CheckDigits,
}

/// An account number whose country, length and check digits are right. In upper case without spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iban(String);

impl Iban {
    /// Takes the electronic form, as files carry it.
    ///
    /// # Errors
    /// [`IbanError`], in the order of its variants.
    pub fn new(text: &str) -> Result<Self, IbanError> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() > 4
            && bytes[..2].iter().all(u8::is_ascii_uppercase)
            && bytes[2..4].iter().all(u8::is_ascii_digit)
            && bytes[4..].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !shaped {
            return Err(IbanError::Shape);
        }
        let known = LENGTHS.iter().find(|(country, _)| country.as_bytes() == &bytes[..2]);
        let &(_, expected) = known.ok_or(IbanError::Country)?;
        if bytes.len() != expected {
            return Err(IbanError::Length { expected, found: bytes.len() });
        }
        // 02 to 98 are the digits that the standard's rule yields; 00, 01 and 99 may leave the same remainder.
        let digits = u32::from(bytes[2] - b'0') * 10 + u32::from(bytes[3] - b'0');
        if !(2..=98).contains(&digits) || remainder(bytes) != 1 {
            return Err(IbanError::CheckDigits);
        }
        Ok(Self(text.to_owned()))
    }
    /// Takes the form that people write: groups with spaces between, letters of either case.
    ///
    /// # Errors
    /// [`IbanError`].
    pub fn parse(text: &str) -> Result<Self, IbanError> {
        let joined: String = text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()).collect();
        Self::new(&joined)
    }
    /// The electronic form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// ISO 3166 code of its country.
    pub fn country(&self) -> &str {
        &self.0[..2]
    }
}

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number mod 97, country and check digits moved to the end, letters counted as 10 to 35.
fn remainder(iban: &[u8]) -> u32 {
    iban[4..].iter().chain(&iban[..4]).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_account_numbers_are_taken_and_slips_are_named() {
        for good in
            ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"]
        {
            assert_eq!(Iban::new(good).map(|iban| iban.to_string()), Ok(good.to_owned()));
        }
        for (wrong, why) in [
            ("", IbanError::Shape),
            ("DE", IbanError::Shape),
            ("DE89 3704 0044 0532 0130 00", IbanError::Shape),
            ("de89370400440532013000", IbanError::Shape),
            ("DEA9370400440532013000", IbanError::Shape),
            ("DE8937040044053201300\u{e9}", IbanError::Shape),
            ("JP89370400440532013000", IbanError::Country),
            ("DE8937040044053201300", IbanError::Length { expected: 22, found: 21 }),
            ("DE88370400440532013000", IbanError::CheckDigits),
            ("DE89370400440532013001", IbanError::CheckDigits),
            ("DE98370400440532013000", IbanError::CheckDigits),
        ] {
            assert_eq!(Iban::new(wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn people_write_groups() {
        let iban = Iban::parse("de89 3704 0044 0532 0130 00").expect("right");
        assert_eq!((iban.as_str(), iban.country()), ("DE89370400440532013000", "DE"));
    }

    #[test]
    fn the_check_outside_rust_compares_these_lengths() {
        let listed: Vec<String> = LENGTHS.iter().map(|(country, length)| format!("{country} {length}")).collect();
        assert!(LENGTHS.is_sorted_by_key(|(country, _)| *country));
        assert_eq!(include_str!("../../samples/iban-lengths.txt").lines().collect::<Vec<_>>(), listed);
    }

    proptest! {
        #[test]
        fn one_wrong_or_two_swapped_digits_are_noticed(at in 4usize..22, other in 4usize..22, digit in 0u8..10) {
            let good = b"DE89370400440532013000";
            let mut changed = *good;
            changed[at] = b'0' + digit;
            let mut swapped = *good;
            swapped.swap(at, other);
            let is_adjacent = at.abs_diff(other) == 1;
            for bytes in [Some(changed), is_adjacent.then_some(swapped)].into_iter().flatten() {
                let text = std::str::from_utf8(&bytes).expect("ASCII");
                prop_assert_eq!(Iban::new(text).is_ok(), &bytes == good);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (Iban::new(&text), Iban::parse(&text));
        }
    }
}
