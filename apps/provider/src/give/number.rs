//! Numbers of cards that the provider holds for whoever has the number: gifts, and tickets issued anew. Each is made from the provider's
//! secret whenever it is asked for; only its hash is stored (R18).

use crate::desk::Desk;
use tegata_core::{CardId, Hash};
use tegata_crypto_native::number::InstallationNumber;
use tegata_crypto_native::primitive::mac;

/// What a number is for.
#[derive(Clone, Copy)]
pub(super) enum For {
    /// A card that was given to somebody far away.
    Gift,
    /// A ticket whose wallet was lost.
    Anew,
}

impl For {
    fn name(self) -> &'static str {
        match self {
            Self::Gift => "tegata gift v1",
            Self::Anew => "tegata anew v1",
        }
    }
    fn hashed(self) -> &'static str {
        match self {
            Self::Gift => "tegata gift number v1",
            Self::Anew => "tegata anew number v1",
        }
    }
}

fn secret(desk: &Desk<'_>) -> [u8; 32] {
    Hash::of(&desk.shared.keys().sealing.to_secret_bytes()[..]).0
}

/// The number of this generation of a card.
pub(super) fn number(desk: &Desk<'_>, what: For, card: CardId, generation: u64) -> InstallationNumber {
    InstallationNumber::generate(mac(&secret(desk), what.name(), &[&card.0, &generation.to_be_bytes()]))
}

/// What is stored of it.
pub(super) fn hashed(desk: &Desk<'_>, what: For, number: &InstallationNumber) -> Hash {
    number.keyed_hash(&mac(&secret(desk), what.hashed(), &[]))
}
