//! The sealed envelope: what others carry, only its addressee opens. The core names its parts; adapters seal.

use super::canonical::Bytes;
use crate::id::{DeviceId, PartyId};
use crate::{codes, message};

codes! {
    /// How an envelope is sealed.
    pub enum Profile {
        /// HPKE base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305 (RFC 9180). Its exporter secret becomes the channel.
        Hpke = 1,
        /// ChaCha20-Poly1305 under the channel that an earlier HPKE envelope of the same device set up.
        Channel = 2,
    }
}

message! {
    /// A sealed message. Addressee, profile and sender are bound in as additional data.
    pub struct Sealed {
        /// How it is sealed.
        1 profile: Profile,
        /// Who can open it.
        2 addressee: PartyId,
        /// Which device's channel; absent in HPKE envelopes of those who have not joined.
        3 sender: Option<DeviceId>,
        /// HPKE's encapsulated key, or the channel's nonce.
        4 header: Bytes,
        /// Ciphertext and tag.
        5 ciphertext: Bytes,
    }
}
