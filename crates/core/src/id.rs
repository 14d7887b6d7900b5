//! Typed identifiers: a card id cannot be passed where a terminal id is meant.
//!
//! Ids are 16 random bytes from the entropy handed in; numbers count from 1 within whoever gives them out.

use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use core::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// What stands before the hexadecimal digits on a screen.
            pub const PREFIX: &'static str = $prefix;
            /// Reads what [`fmt::Display`] wrote. `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                parse_hex(text.strip_prefix($prefix)?.strip_prefix('-')?).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str("-")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Wire for $name {
            fn write(&self, to: &mut Writer) {
                to.bytes(&self.0);
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                from.array_bytes().map(Self)
            }
        }
    )*};
}

ids! {
    /// A negotiable card: ticket, payment card or telephone card.
    CardId "card";
    /// A device that takes part with a log of its own: a wallet or any terminal.
    DeviceId "dev";
    /// A participant that owns devices, issues or is paid: merchant, issuer, provider, user.
    PartyId "party";
    /// A clearing account at the transaction processor: a user's bank card or a merchant, by a random name that says neither.
    AccountId "account";
    /// A request to the transaction processor, by the number that its provider chose for it.
    RequestNumber "request";
    /// One clearing of credit, by the number that the transaction processor made up for it \[13615\].
    ClearingNumber "clearing";
    /// A user as one merchant knows it: stable at that merchant, another one at every other, no way back to the user.
    CustomerNumber "customer";
    /// An event that tickets are for, by the random number that its promoter gave it.
    EventId "event";
    /// One letter between a user and a merchant, by the random number that its writer gave it.
    LetterNumber "letter";
}

/// A terminal is a device; the name says which side of the counter is meant.
pub type TerminalId = DeviceId;
/// A wallet is a device; the name says which side of the counter is meant.
pub type WalletId = DeviceId;
/// The merchant that owns terminals and is paid.
pub type MerchantId = PartyId;
/// The issuer that owes what its cards hold.
pub type IssuerId = PartyId;

/// The first 8 bytes of a SHA-256: names a certificate or terms already seen. Checked for collision locally.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub [u8; 8]);

impl Handle {
    /// The handle of something hashed.
    pub fn of(hash: &Hash) -> Self {
        let mut short = [0; 8];
        short.copy_from_slice(&hash.0[..8]);
        Self(short)
    }
}

impl Wire for Handle {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_bytes().map(Self)
    }
}

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first entry of a chain.
    pub const ZERO: Self = Self([0; 32]);
    /// Hashes one piece.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }
    /// The next link of a chain: the hash of the link before and this entry's bytes.
    pub fn chain(self, bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::new().chain_update(self.0).chain_update(bytes).finalize().into())
    }
}

impl Wire for Hash {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_bytes().map(Self)
    }
}

macro_rules! hex_debug {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
hex_debug!(Handle Hash);

fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn ids_read_back_what_they_print_and_nothing_else() {
        let id = CardId([0xa7; 16]);
        assert_eq!(CardId::parse(&id.to_string()), Some(id));
        assert_eq!(DeviceId::parse(&id.to_string()), None);
        assert_eq!(CardId::parse("card-12"), None);
    }
}
