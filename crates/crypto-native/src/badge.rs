//! Numbers at gates, each as on an installation slip and shown once. A badge of the staff: its key is made from it, the promoter keeps
//! the public key alone. The number of a gate that is to be set up: a join token's secret is made from it.

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

/// The number by which a gate joins and is set up for an event in one step: printed, shown as a code, or typed.
pub struct GateNumber(InstallationNumber);

impl GateNumber {
    /// The number that belongs to this entropy.
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
    /// The secret of the join token that it stands for.
    pub fn secret(&self) -> [u8; 16] {
        let text = Zeroizing::new(self.0.to_string());
        let mut secret = [0; 16];
        secret.copy_from_slice(&mac(&[0; 32], "tegata gate number v1", &[text.as_bytes()])[..16]);
        secret
    }
    /// What is printed or typed: shown once.
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

    #[test]
    fn a_gate_number_read_again_makes_the_same_secret() {
        let (one, two) = (GateNumber::generate([1; 32]), GateNumber::generate([2; 32]));
        let read = GateNumber::parse(&one.text().to_lowercase()).expect("a number");
        assert!(read.secret() == one.secret() && one.secret() != two.secret());
        assert!(GateNumber::parse("K7QF-2M9X").is_err());
    }
}
