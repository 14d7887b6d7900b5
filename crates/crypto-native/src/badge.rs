//! Badges of a gate's staff: a number as on an installation slip, from which the badge's key is made. It is printed once and kept by
//! whoever wears it; the promoter keeps the public key alone.

use crate::keys::SecretKey;
use crate::number::{InstallationNumber, NumberError};
use crate::primitive::mac;
use zeroize::Zeroizing;

/// A badge. Whoever knows it signs as its member of the staff.
pub struct Badge(InstallationNumber);

impl Badge {
    /// The badge that belongs to this entropy.
    pub fn generate(entropy: [u8; 32]) -> Self {
        Self(InstallationNumber::generate(entropy))
    }
    /// Reads what was typed or scanned.
    ///
    /// # Errors
    /// [`NumberError`], in words for whoever typed it.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        InstallationNumber::parse(text).map(Self)
    }
    /// Its key.
    pub fn key(&self) -> SecretKey {
        let text = Zeroizing::new(self.0.to_string());
        let seed = Zeroizing::new(mac(&[0; 32], "tegata staff badge v1", &[text.as_bytes()]));
        SecretKey::from_seed(tegata_core::wire::signed::Algorithm::Ed25519, &seed)
    }
    /// What is printed on it: shown once.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_read_again_has_the_same_key() {
        let (one, two) = (Badge::generate([1; 32]), Badge::generate([2; 32]));
        let read = Badge::parse(&one.text().to_lowercase()).expect("a badge");
        assert!(read.key().public() == one.key().public() && one.key().public() != two.key().public());
    }
}
