//! Texts with the bounds of the schemas (`Max35Text` and its like), and the narrower ones that SEPA orders carry.
//!
//! A [`Text`] is what a bank may write: any characters but control characters. A [`Sepa`] text is what an order of
//! ours may hold: `a-z A-Z 0-9 / - ? : ( ) . , ' +` and the space, which every bank of the area passes on unchanged.
//! Nothing is ever cut off: what is too long is refused, and the caller decides what to leave out.

use super::transliterate::transliterate;
use std::fmt;

/// A text that does not fit its field. Names the field; quotes one character at most.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct TextError {
    /// The field, in the caller's words, or the element's name when a file is read.
    pub field: &'static str,
    /// What is wrong.
    pub why: TextFault,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Nothing, or nothing but spaces.
    #[error("is empty")]
    Empty,
    /// More characters than the field holds.
    #[error("has {found} characters, {most} are allowed")]
    Long {
        /// What the field holds.
        most: usize,
        /// What was given.
        found: usize,
    },
    /// A character outside of the field's set.
    #[error("the character {found:?}, number {at}, is not allowed")]
    Character {
        /// The first such character.
        found: char,
        /// Where it stands, counted from 1.
        at: usize,
    },
    /// Spaces at either end, which banks take away.
    #[error("begins or ends with a space")]
    Spaces,
    /// An id begins or ends with a slash or has two in a row, which SEPA forbids.
    #[error("an id must not begin or end with '/' nor contain '//'")]
    Slash,
    /// A word that stands for "no id".
    #[error("NOTPROVIDED is what banks write where there is no id")]
    Reserved,
}

/// 1 to `MAX` characters, none of them a control character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// # Errors
    /// [`TextError`] that names `field`.
    pub fn new(field: &'static str, text: &str) -> Result<Self, TextError> {
        let is_allowed = |c: char| !c.is_control() && c != '\u{fffe}' && c != '\u{ffff}';
        check(text, MAX, is_allowed).map_err(|why| TextError { field, why })?;
        Ok(Self(text.to_owned()))
    }
    /// Takes free text of a bank: every run of white space becomes one space, those at the ends none.
    ///
    /// # Errors
    /// [`TextError`] that names `field`.
    pub fn folded(field: &'static str, text: &str) -> Result<Self, TextError> {
        Self::new(field, &fold(text))
    }
    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 1 to `MAX` characters of the SEPA set, without spaces at the ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sepa<const MAX: usize>(String);

impl<const MAX: usize> Sepa<MAX> {
    /// # Errors
    /// [`TextError`] that names `field`.
    pub fn new(field: &'static str, text: &str) -> Result<Self, TextError> {
        let fail = |why| TextError { field, why };
        check(text, MAX, is_sepa).map_err(fail)?;
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(fail(if text.trim().is_empty() { TextFault::Empty } else { TextFault::Spaces }));
        }
        Ok(Self(text.to_owned()))
    }
    /// Takes a name as people write it: letters of Europe's Latin alphabets lose their marks (`Ü` becomes `U`, `ß`
    /// `ss`, `Æ` `AE`), signs get the nearest one of the set (`&` becomes `+`, `_` `-`, quotes `'`, `;` a comma, `€`
    /// `EUR`), runs of white space become one space. Other scripts and signs are refused rather than guessed.
    ///
    /// # Errors
    /// [`TextError`] that names `field`; positions count in the text as it was given.
    pub fn transliterated(field: &'static str, text: &str) -> Result<Self, TextError> {
        let mut latin = String::with_capacity(text.len());
        for (at, found) in text.chars().enumerate() {
            match transliterate(found) {
                Some(instead) => latin.push_str(instead),
                None if is_sepa(found) || found.is_whitespace() => latin.push(found),
                None => return Err(TextError { field, why: TextFault::Character { found, at: at + 1 } }),
            }
        }
        Self::new(field, &fold(&latin))
    }
    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_sepa(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(c)
}

fn check(text: &str, most: usize, is_allowed: impl Fn(char) -> bool) -> Result<(), TextFault> {
    if text.is_empty() {
        return Err(TextFault::Empty);
    }
    if let Some((at, found)) = text.chars().enumerate().find(|(_, c)| !is_allowed(*c)) {
        return Err(TextFault::Character { found, at: at + 1 });
    }
    let found = text.chars().count();
    if found > most { Err(TextFault::Long { most, found }) } else { Ok(()) }
}

fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ids that an order carries to the bank and back: SEPA texts with the rule for slashes.
fn check_id(field: &'static str, text: &str) -> Result<(), TextError> {
    if text.starts_with('/') || text.ends_with('/') || text.contains("//") {
        return Err(TextError { field, why: TextFault::Slash });
    }
    if text == "NOTPROVIDED" {
        return Err(TextError { field, why: TextFault::Reserved });
    }
    Ok(())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($max:literal, $field:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Sepa<$max>);

        impl $name {
            /// # Errors
            /// [`TextError`]. Ids are never transliterated: the bank gives them back as they are.
            pub fn new(text: &str) -> Result<Self, TextError> {
                let id = Sepa::new($field, text)?;
                check_id($field, text)?;
                Ok(Self(id))
            }
            /// Its characters.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        shown!([] $name);
    )*};
}

macro_rules! shown {
    ([$($generic:tt)*] $name:ty) => {
        impl<$($generic)*> fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl<$($generic)*> fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

shown!([const MAX: usize] Text<MAX>);
shown!([const MAX: usize] Sepa<MAX>);

ids! {
    /// Names a file of orders. 31 characters, so that with a currency behind it names a block in 35.
    MessageId(31, "message id");
    /// Names one transfer from end to end: given by who pays, carried unchanged to who is paid and into statements.
    EndToEndId(35, "end-to-end id");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sepa(text: &str) -> Result<String, String> {
        Sepa::<10>::new("creditor name", text).map(|text| text.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn refusals_name_the_field_and_what_is_wrong() {
        assert_eq!(sepa("Caf+ 'A', "), Err("creditor name: begins or ends with a space".into()));
        assert_eq!(sepa("0123456789"), Ok("0123456789".into()));
        assert_eq!(sepa("01234567890"), Err("creditor name: has 11 characters, 10 are allowed".into()));
        assert_eq!(sepa(""), Err("creditor name: is empty".into()));
        assert_eq!(sepa("   "), Err("creditor name: is empty".into()));
        assert_eq!(sepa("Caf\u{e9}"), Err("creditor name: the character '\u{e9}', number 4, is not allowed".into()));
        assert_eq!(sepa("a\nb"), Err("creditor name: the character '\\n', number 2, is not allowed".into()));
    }

    #[test]
    fn names_are_brought_into_the_set_or_refused() {
        for (given, taken) in [
            ("B\u{e4}ckerei Stra\u{df}e", "Backerei Strasse"),
            ("  M\u{fc}ller \t & S\u{f6}hne ", "Muller + Sohne"),
            ("\u{141}\u{f3}d\u{17a}, \u{218}tefan", "Lodz, Stefan"),
            ("\u{201e}Ey\u{fe}\u{f3}r\u{201c} \u{2013} [1]", "'Eythor' - (1)"),
            ("50 \u{20ac}; \u{c6}r\u{f8}", "50 EUR, AEro"),
        ] {
            let text = Sepa::<70>::transliterated("creditor name", given);
            assert_eq!(text.map(|text| text.to_string()), Ok(taken.to_owned()));
        }
        let refused = Sepa::<70>::transliterated("creditor name", "Cafe \u{6771}\u{4eac}").map_err(|error| error.why);
        assert_eq!(refused, Err(TextFault::Character { found: '\u{6771}', at: 6 }));
        let long = Sepa::<3>::transliterated("creditor name", "Stra\u{df}e").map_err(|error| error.why);
        assert_eq!(long, Err(TextFault::Long { most: 3, found: 7 }));
        let empty = Sepa::<3>::transliterated("creditor name", " \n ").map_err(|error| error.why);
        assert_eq!(empty, Err(TextFault::Empty));
    }

    #[test]
    fn ids_keep_slashes_apart() {
        for (wrong, why) in [
            ("/A", TextFault::Slash),
            ("A/", TextFault::Slash),
            ("A//B", TextFault::Slash),
            ("NOTPROVIDED", TextFault::Reserved),
        ] {
            assert_eq!(EndToEndId::new(wrong), Err(TextError { field: "end-to-end id", why }), "{wrong}");
        }
        assert_eq!(EndToEndId::new("A/B").map(|id| id.to_string()), Ok("A/B".to_owned()));
        assert!(MessageId::new(&"M".repeat(32)).is_err());
    }

    #[test]
    fn a_bank_may_write_any_script_but_no_control_characters() {
        assert!(Text::<140>::new("Nm", "\u{6771}\u{4eac}\u{5546}\u{4e8b} <&>").is_ok());
        assert!(Text::<140>::new("Nm", "a\u{85}b").is_err());
        assert!(Text::<140>::new("Nm", "a\u{ffff}").is_err());
        assert_eq!(Text::<9>::folded("Nm", " a \n\t b ").map(|text| text.to_string()), Ok("a b".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_transliterated_is_in_the_set(text: String) {
            if let Ok(taken) = Sepa::<70>::transliterated("name", &text) {
                prop_assert_eq!(Sepa::<70>::new("name", taken.as_str()), Ok(taken.clone()));
                prop_assert_eq!(Sepa::<70>::transliterated("name", taken.as_str()), Ok(taken));
            }
        }
    }
}
