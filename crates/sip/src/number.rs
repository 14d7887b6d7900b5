//! What a caller dials: digits with or without `+`, or the name of a registered phone.

use std::fmt;
use thiserror::Error;

/// A number or name in one spelling: separators gone, escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(String);

/// Why something is no number; the caller is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    /// 484.
    #[error("Address incomplete: nothing was dialled")]
    Empty,
    /// 404.
    #[error("No such number")]
    Unknown,
}

impl Number {
    /// Longest number: E.164 has 15 digits, names may be longer.
    pub const MOST: usize = 64;

    /// Reads the user part of a SIP URI or the number of a `tel` URI (RFC 3966).
    pub fn read(text: &str) -> Result<Self, NumberError> {
        let text = unescape(text).ok_or(NumberError::Unknown)?;
        let text = text.split(';').next().unwrap_or_default();
        let telephone =
            text.trim_start_matches('+').starts_with(|sign: char| sign.is_ascii_digit() || "*#(".contains(sign))
                && text.chars().all(|sign| sign.is_ascii_digit() || "+-.()*# ".contains(sign));
        let plain: String =
            if telephone { text.chars().filter(|sign| !"-.() ".contains(*sign)).collect() } else { text.to_owned() };
        let name = |sign: char| sign.is_ascii_alphanumeric() || "-_.!~*'()+#".contains(sign);
        match plain.len() {
            0 => Err(NumberError::Empty),
            1 if plain == "+" => Err(NumberError::Empty),
            length if length > Self::MOST => Err(NumberError::Unknown),
            _ if !plain.chars().all(name) || plain[1..].contains('+') => Err(NumberError::Unknown),
            _ => Ok(Self(plain)),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push((digit(rest.next()?)? << 4) | digit(rest.next()?)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_number_has_one_spelling() {
        let cases = [
            ("+81-3(1234)5678", Ok("+81312345678")),
            ("%2B81312345678", Ok("+81312345678")),
            ("110", Ok("110")),
            ("*21#", Ok("*21#")),
            ("alice.w", Ok("alice.w")),
            ("0312345678;phone-context=x", Ok("0312345678")),
            ("", Err(NumberError::Empty)),
            ("+", Err(NumberError::Empty)),
            ("a b", Err(NumberError::Unknown)),
            ("a\r\nVia: x", Err(NumberError::Unknown)),
            ("1%0", Err(NumberError::Unknown)),
            ("1+2", Err(NumberError::Unknown)),
        ];
        for (dialled, expected) in cases {
            assert_eq!(Number::read(dialled).as_ref().map(Number::as_str), expected.as_ref().copied(), "{dialled}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_safe_to_write_and_reads_the_same(text in any::<String>()) {
            if let Ok(number) = Number::read(&text) {
                prop_assert!(number.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !b"<>@;:\"%".contains(&byte)));
                prop_assert_eq!(Number::read(number.as_str()), Ok(number));
            }
        }
    }
}
