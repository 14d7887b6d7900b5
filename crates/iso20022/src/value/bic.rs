//! Bank codes as ISO 9362 has them: four characters of party, two of country, two of suffix, three of branch or none.

use std::fmt;

/// Why a text is no BIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a BIC has 8 or 11 characters A-Z and 0-9, the fifth and sixth being the letters of a country")]
pub struct BicError;

/// A bank's code, as the schemas' `BICFIDec2014Identifier` allows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bic(String);

impl Bic {
    /// Takes upper case only, 8 or 11 characters.
    ///
    /// # Errors
    /// [`BicError`].
    pub fn new(text: &str) -> Result<Self, BicError> {
        let bytes = text.as_bytes();
        let is_bic = matches!(bytes.len(), 8 | 11)
            && bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && bytes[4..6].iter().all(u8::is_ascii_uppercase);
        if is_bic { Ok(Self(text.to_owned())) } else { Err(BicError) }
    }
    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Bic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_or_eleven_characters_with_a_country() {
        for good in ["DEUTDEFF", "DEUTDEFF500", "E097AEXXXXX"] {
            assert_eq!(Bic::new(good).map(|bic| bic.to_string()), Ok(good.to_owned()));
        }
        for wrong in ["", "DEUTDEF", "DEUTDEFF5", "deutdeff", "DEUT1EFF", "DEUTDEFF5000", "DEUT DEF", "D\u{c9}UTDEF"] {
            assert_eq!(Bic::new(wrong), Err(BicError), "{wrong}");
        }
    }
}
