//! Response codes (field 39): what the bank says, and what that allows to be done next.

use crate::element::Element;
use std::fmt;

/// What a response code allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It was done, whole or in part: the answer's amount says how much.
    Approved,
    /// It was not done, and the same request will not be.
    Declined,
    /// It was not done; the same may be asked again later, as a new request with a new trace number.
    Again,
    /// Nobody here knows whether it was done. Undo it by a reversal until that is answered; never guess.
    Unknown,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $verdict:ident, $meaning:literal;)*) => {
        /// A response code of 1987. Codes that are not in this list are kept as they came.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ResponseCode {
            $(#[doc = concat!($code, ": ", $meaning, ".")] $(#[$doc])* $name,)*
            /// Any other code, two characters: nothing is known of its meaning.
            Other(OtherCode),
        }

        impl ResponseCode {
            /// All codes with a meaning here.
            pub const KNOWN: &'static [Self] = &[$(Self::$name),*];

            /// The code of two characters; `None` if field 39 does not hold them.
            pub fn new(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => {
                        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
                        code.iter().all(u8::is_ascii_alphanumeric).then_some(Self::Other(OtherCode(code)))
                    }
                }
            }
            /// The two characters.
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(other) => std::str::from_utf8(&other.0).unwrap_or_default(),
                }
            }
            /// What it means, for people.
            pub fn meaning(&self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                    Self::Other(_) => "a code without a meaning here",
                }
            }
            /// What it allows.
            pub fn verdict(&self) -> Verdict {
                match self {
                    $(Self::$name => Verdict::$verdict,)*
                    Self::Other(_) => Verdict::Unknown,
                }
            }
        }
    };
}

codes! {
    Approved = "00", Approved, "approved";
    ReferToIssuer = "01", Declined, "the merchant shall call the card's issuer";
    InvalidMerchant = "03", Declined, "the bank does not know this merchant";
    PickUp = "04", Declined, "the card shall be kept";
    DoNotHonor = "05", Declined, "the issuer refuses and does not say why";
    Error = "06", Unknown, "something went wrong";
    PartialApproval = "10", Approved, "approved for a part of the amount";
    InvalidTransaction = "12", Declined, "this cannot be done with this card here";
    InvalidAmount = "13", Declined, "the amount is not one the bank takes";
    InvalidCard = "14", Declined, "there is no such card";
    NoSuchIssuer = "15", Declined, "there is no such issuer";
    Reenter = "19", Again, "the bank wants it sent again";
    /// Of a reversal: there is nothing to undo, so it is as good as undone.
    OriginalNotFound = "25", Declined, "the original is not known";
    FormatError = "30", Declined, "the bank could not read the message";
    NotSupported = "40", Declined, "the bank does not do this";
    LostCard = "41", Declined, "the card is reported lost";
    StolenCard = "43", Declined, "the card is reported stolen";
    InsufficientFunds = "51", Declined, "the account does not cover it";
    ExpiredCard = "54", Declined, "the card has expired";
    IncorrectPin = "55", Declined, "the PIN is wrong";
    NotPermittedToCardholder = "57", Declined, "the cardholder may not do this";
    NotPermittedToTerminal = "58", Declined, "the terminal may not do this";
    SuspectedFraud = "59", Declined, "fraud is suspected";
    ExceedsAmount = "61", Declined, "above the card's limit";
    RestrictedCard = "62", Declined, "the card is restricted";
    SecurityViolation = "63", Declined, "a security check failed";
    ExceedsFrequency = "65", Declined, "too many uses of the card in this time";
    Late = "68", Unknown, "the issuer's answer came too late";
    PinTriesExceeded = "75", Declined, "the PIN was wrong too often";
    CutOff = "90", Again, "the bank is closing its day";
    IssuerUnavailable = "91", Again, "the issuer cannot be reached";
    NoRoute = "92", Declined, "there is no way to the issuer";
    /// The bank has such a request already, and this answer does not say how that one ended.
    Duplicate = "94", Unknown, "the bank has had this message before";
    /// A host that fails does not say how far it got, so this is no promise that nothing was posted.
    Malfunction = "96", Unknown, "the bank's system failed";
}

/// A response code without a meaning here, as it came.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherCode([u8; 2]);

impl fmt::Debug for OtherCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.meaning())
    }
}

impl Element for ResponseCode {
    const FIELD: u8 = 39;
    fn read(value: &[u8]) -> Option<Self> {
        Self::new(std::str::from_utf8(value).ok()?)
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(self.code().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_may_be_done_next() {
        for (code, verdict) in [
            ("00", Verdict::Approved),
            ("10", Verdict::Approved),
            ("05", Verdict::Declined),
            ("14", Verdict::Declined),
            ("25", Verdict::Declined),
            ("51", Verdict::Declined),
            ("54", Verdict::Declined),
            ("91", Verdict::Again),
            ("68", Verdict::Unknown),
            ("94", Verdict::Unknown),
            ("96", Verdict::Unknown),
            ("11", Verdict::Unknown),
            ("N7", Verdict::Unknown),
        ] {
            let found = ResponseCode::new(code).expect("two characters");
            assert_eq!((found.verdict(), found.code()), (verdict, code));
        }
        for wrong in ["", "0", "000", "0 ", "--", "é"] {
            assert_eq!(ResponseCode::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_known_code_is_read_as_itself_and_no_two_are_the_same() {
        for (at, code) in ResponseCode::KNOWN.iter().enumerate() {
            assert_eq!(ResponseCode::new(code.code()), Some(*code));
            assert!(!ResponseCode::KNOWN[..at].iter().any(|other| other.code() == code.code()));
        }
        assert_eq!(ResponseCode::DoNotHonor.to_string(), "05 (the issuer refuses and does not say why)");
    }
}
