//! Join (flow 7): a one-time token from an operator turns a key into a participant (R25).

use crate::id::{DeviceId, Hash, PartyId};
use crate::message;
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::certificate::{Anchors, Certificate, OperationalKey, Role, SealingKey};
use crate::wire::signed::{PublicKey, Signed};
use alloc::{string::String, vec::Vec};

message! {
    /// What a provider publishes of itself. Whoever joins compares its hash with the one in the token.
    pub struct ProviderInfo {
        /// The provider.
        1 provider: PartyId,
        /// What people call it.
        2 name: String,
        /// Its root key.
        3 root: PublicKey,
        /// Where messages to it are sealed to.
        4 sealing: SealingKey,
    }
}

impl ProviderInfo {
    /// The hash that a token carries, so that a joiner pins the right root.
    pub fn fingerprint(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }
}

message! {
    /// A key asks to become a participant. Signed by that key, so that it is shown to be held.
    pub struct JoinRequest kind 40 max 600 {
        /// The token's secret, given out by the operator for one use.
        1 token: Bytes,
        /// The role asked for; the token allows one.
        2 role: Role,
        /// The key.
        3 key: PublicKey,
        /// Where messages to the participant are sealed to.
        4 sealing: Option<SealingKey>,
        /// What people shall call it.
        5 name: String,
    }
}

message! {
    /// The provider's answer: who the participant is now, and whom it trusts. Context: the request's hash.
    pub struct JoinReply kind 41 max 100_000 {
        /// The participant's certificate.
        1 certificate: Signed<Certificate>,
        /// The operational keys, each certified by the root.
        2 keys: Vec<Signed<Certificate>>,
        /// The provider's epoch.
        3 epoch: u64,
        /// Number of the operational key that signed.
        4 signer: u64,
    }
}

/// Reads the operational keys that the root certified.
pub fn operational_keys(
    keys: &[Signed<Certificate>],
    root: &PublicKey,
    by: &dyn crate::wire::signed::Verifier,
) -> Option<Vec<OperationalKey>> {
    let mut numbers = Vec::new();
    keys.iter()
        .map(|signed| {
            let verified = signed.clone().verify(root, &[], by).ok()?;
            // 0 is the root; one number names one key.
            let number = verified.number.filter(|number| *number != 0 && !numbers.contains(number))?;
            numbers.push(number);
            (verified.role == Role::Provider && verified.signer == 0).then(|| OperationalKey {
                number,
                key: verified.key,
                from: verified.from,
                until: verified.until,
                extensions: Default::default(),
            })
        })
        .collect()
}

/// The first anchors of a participant that has joined.
pub fn anchors(info: &ProviderInfo, keys: Vec<OperationalKey>, epoch: u64) -> Anchors {
    Anchors {
        provider: info.provider,
        root: info.root,
        sealing: info.sealing,
        epoch,
        keys,
        list: None,
        extensions: Default::default(),
    }
}

/// The token that an operator hands to whoever shall join: `tegata1-` and 64 hexadecimal digits, of which the first half
/// is a secret for one use and the second pins the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The secret.
    pub secret: [u8; 16],
    /// The first half of [`ProviderInfo::fingerprint`].
    pub pin: [u8; 16],
}

impl JoinToken {
    /// Reads what [`JoinToken::reveal`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix("tegata1-")?;
        let (secret, pin) = (digits.get(..32)?, digits.get(32..)?);
        Some(Self { secret: DeviceId::parse(&hexed(secret))?.0, pin: DeviceId::parse(&hexed(pin))?.0 })
    }
    /// The text to hand over. It lets its reader join: show it to nobody else.
    pub fn reveal(&self) -> String {
        alloc::format!("tegata1-{}{}", bare(&self.secret), bare(&self.pin))
    }
    /// Whether this is the provider that the operator meant.
    pub fn pins(&self, info: &ProviderInfo) -> bool {
        info.fingerprint().0[..16] == self.pin
    }
}

impl core::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("JoinToken(..)")
    }
}

fn hexed(digits: &str) -> String {
    alloc::format!("{}-{digits}", DeviceId::PREFIX)
}

fn bare(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_its_secret_is_not_printed() {
        let token = JoinToken { secret: [0xab; 16], pin: [7; 16] };
        assert_eq!(JoinToken::parse(&token.reveal()), Some(token.clone()));
        assert_eq!(JoinToken::parse("tegata1-00"), None);
        assert!(!alloc::format!("{token:?}").contains("ab"));
    }
}
