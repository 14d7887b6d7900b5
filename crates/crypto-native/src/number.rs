//! Installation numbers, as shops sell them (R18): `K7QF-2M9X-0TRB-W4HZ`.
//!
//! Sixteen characters: fifteen of 32 digits and letters (no I, L, O, U, which are misread) and the check character
//! of ISO 7064 MOD 37,36 over them. Numbers whose check character would be one of those four are not given out, so
//! that 74.8 of the 75 bits stay. All-digit numbers would need 21 digits for 60 bits and the two check digits.
//! MOD 37,36 finds every single wrong character and almost every swap of two neighbours.

use crate::primitive::mac;
use core::fmt;
use tegata_core::Hash;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Characters of a number, without the dashes.
pub const LEN: usize = 16;
/// What numbers are made of.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a text is no installation number. The person who typed it can look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not 16 characters.
    #[error("the number has {found} characters instead of 16; one may be missing or doubled")]
    Length {
        /// How many were typed, without spaces and dashes.
        found: usize,
    },
    /// A character that no number has.
    #[error("'{0}' is in no number; digits and letters only")]
    Character(char),
    /// The check character does not fit.
    #[error("the number has a typing error: a wrong character, or two that changed places")]
    Typo,
}

/// A number that turns into a card once; whoever knows it can use it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct InstallationNumber([u8; LEN]);

impl InstallationNumber {
    /// The number that belongs to this entropy.
    pub fn generate(entropy: [u8; 32]) -> Self {
        let entropy = Zeroizing::new(entropy);
        let mut attempt = 0u64;
        loop {
            let drawn = Zeroizing::new(mac(&entropy, "tegata number v1", &[&attempt.to_be_bytes()]));
            let mut text = [0; LEN];
            for (to, from) in text.iter_mut().zip(drawn.iter()) {
                *to = ALPHABET[usize::from(from % 32)];
            }
            let check = check_character(&text[..LEN - 1]);
            if ALPHABET.contains(&check) {
                text[LEN - 1] = check;
                return Self(text);
            }
            attempt += 1;
        }
    }
    /// Reads what a person typed: spaces and dashes are skipped, small letters are taken, and I, L and O are
    /// taken for 1, 1 and 0.
    ///
    /// # Errors
    /// [`NumberError`], in words for that person.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let mut number = [0; LEN];
        let mut found = 0;
        for character in text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}')) {
            let read = match character.to_ascii_uppercase() {
                'I' | 'L' => '1',
                'O' => '0',
                other => other,
            };
            let byte = u8::try_from(read).ok().filter(|byte| ALPHABET.contains(byte));
            let byte = byte.ok_or(NumberError::Character(character))?;
            if let Some(to) = number.get_mut(found) {
                *to = byte;
            }
            found += 1;
        }
        let number = Self(number);
        if found != LEN {
            return Err(NumberError::Length { found });
        }
        if check_character(&number.0[..LEN - 1]) != number.0[LEN - 1] {
            return Err(NumberError::Typo);
        }
        Ok(number)
    }
    /// What is stored instead of the number: HMAC-SHA256 under the provider's key, over the label
    /// `tegata number hash v1`, a zero byte and the 16 characters.
    pub fn keyed_hash(&self, key: &[u8; 32]) -> Hash {
        Hash(mac(key, "tegata number hash v1", &[&self.0]))
    }
}

impl fmt::Display for InstallationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.iter().enumerate() {
            if at > 0 && at % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*character))?;
        }
        Ok(())
    }
}

impl fmt::Debug for InstallationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallationNumber(..)")
    }
}

/// ISO 7064 MOD 37,36: the hybrid system over `0-9A-Z`.
fn check_character(data: &[u8]) -> u8 {
    let mut product = 36;
    for byte in data {
        let sum = (product + value(*byte)) % 36;
        product = if sum == 0 { 36 } else { sum } * 2 % 37;
    }
    match (37 - product) % 36 {
        digit @ 0..=9 => b'0' + digit,
        letter => b'A' + letter - 10,
    }
}

fn value(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        _ => character.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(seed: u8) -> InstallationNumber {
        InstallationNumber::generate([seed; 32])
    }

    #[test]
    fn the_check_character_is_that_of_the_standard() {
        // Published numbers that use it: a Global Release Identifier and two ISANs.
        assert_eq!(check_character(b"A12425GABC1234002"), b'M');
        assert_eq!(check_character(b"00000000D07A0090"), b'Q');
        assert_eq!(check_character(b"0000000189470000"), b'8');
    }

    #[test]
    fn what_is_printed_reads_back_however_it_is_typed() {
        for seed in 0..200 {
            let number = number(seed);
            let text = number.to_string();
            assert_eq!(text.len(), LEN + 3);
            for typed in [
                text.clone(),
                text.to_lowercase(),
                text.replace('-', ""),
                text.replace('-', " \u{2013} "),
                format!(" {text}\n"),
                text.replace('1', "l").replace('0', "o"),
                text.replace('1', "I"),
            ] {
                assert_eq!(InstallationNumber::parse(&typed).as_ref(), Ok(&number), "{typed}");
            }
        }
    }

    #[test]
    fn every_wrong_character_and_almost_every_swap_is_a_typing_error() {
        let (mut swaps, mut missed) = (0, 0);
        for seed in 0..100 {
            let number = number(seed);
            for at in 0..LEN {
                for character in ALPHABET {
                    let mut other = number.0;
                    other[at] = *character;
                    let text = std::str::from_utf8(&other).expect("ASCII");
                    let expected = if *character == number.0[at] { Ok(()) } else { Err(NumberError::Typo) };
                    assert_eq!(InstallationNumber::parse(text).map(drop), expected);
                }
                if at + 1 < LEN && number.0[at] != number.0[at + 1] {
                    let mut other = number.0;
                    other.swap(at, at + 1);
                    swaps += 1;
                    missed += u32::from(InstallationNumber::parse(std::str::from_utf8(&other).expect("ASCII")).is_ok());
                }
            }
        }
        assert!(missed * 50 < swaps, "{missed} of {swaps}");
    }

    #[test]
    fn refusals_tell_what_to_look_for() {
        let text = number(1).to_string();
        assert_eq!(InstallationNumber::parse(""), Err(NumberError::Length { found: 0 }));
        assert_eq!(InstallationNumber::parse(&text[1..]), Err(NumberError::Length { found: 15 }));
        assert_eq!(InstallationNumber::parse(&format!("{text}7")), Err(NumberError::Length { found: 17 }));
        assert_eq!(InstallationNumber::parse(&format!("{text}!")), Err(NumberError::Character('!')));
        assert_eq!(InstallationNumber::parse("U"), Err(NumberError::Character('U')));
        assert_eq!(InstallationNumber::parse("é"), Err(NumberError::Character('é')));
    }

    #[test]
    fn numbers_differ_and_hide() {
        assert_ne!(number(1), number(2));
        assert_eq!(number(1), number(1));
        assert_eq!(format!("{:?}", number(1)), "InstallationNumber(..)");
        assert_eq!(number(1).keyed_hash(&[1; 32]), number(1).keyed_hash(&[1; 32]));
        assert_ne!(number(1).keyed_hash(&[1; 32]), number(1).keyed_hash(&[2; 32]));
        assert_ne!(number(1).keyed_hash(&[1; 32]), number(2).keyed_hash(&[1; 32]));
    }
}
