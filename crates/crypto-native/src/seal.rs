//! Sealing to an addressee (HPKE, RFC 9180) and, after the first envelope, within the channel that it set up.
//!
//! ```text
//! device                                             party
//!   seal_to(party's key)  --- Sealed, profile 1 --->  open(party's secret)
//!   Channel C <------------ HPKE's exporter --------> Channel C
//!   C.open_reply          <-- Sealed, profile 2 ----  C.seal_reply(request)
//!   C.seal                --- Sealed, profile 2 --->  C.open
//! ```
//!
//! Profile, addressee, sender, header and extensions are additional data: an envelope that was re-addressed on the
//! way does not open. Whether the addressee is oneself is for the caller to look at before opening. Base mode and
//! channel say nothing about who sealed; signatures inside do (R25). Nothing here stops a replay; numbers inside do.

use crate::keys::SealingSecret;
use crate::primitive::{NONCE_LEN, mac, open as open_text, seal as seal_text};
use core::{convert::Infallible, fmt};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::certificate::SealingKey;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::{DeviceId, Hash, PartyId};
use zeroize::Zeroizing;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// HPKE's `info`: parts this use of a sealing key from every other.
const INFO: &[u8] = b"tegata sealed v1";
/// HPKE's exporter context for the channel.
const CHANNEL: &[u8] = b"tegata channel v1";

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The addressee's key is no usable X25519 key.
    #[error("the addressee's sealing key is not valid; whoever certified it is at fault")]
    Key,
    /// Another profile than this call opens.
    #[error("the envelope is sealed in another way than expected here; its sender is at fault")]
    Profile,
    /// Encapsulated key or nonce of a wrong length or value.
    #[error("the envelope's header is malformed; its sender is at fault")]
    Header,
    /// Changed on the way, or for another key or channel; the three cannot be told apart.
    #[error("the envelope does not open: it was changed on the way, or sealed to another key or channel than ours")]
    Unopenable,
    /// A reply that does not belong to this request.
    #[error("the reply is not to the request that was sent; the other side is at fault")]
    OtherRequest,
    /// The library failed; nothing was sealed.
    #[error("this device's cryptographic library failed; nothing was sealed")]
    Library,
}

/// Seals to whoever holds the secret of `key`, and keeps the channel for what follows.
///
/// Deterministic in its arguments; `entropy` must serve this one call only.
///
/// # Errors
/// [`SealError::Key`]; [`SealError::Library`].
pub fn seal_to(
    entropy: [u8; 32],
    addressee: PartyId,
    sender: Option<DeviceId>,
    key: &SealingKey,
    plain: &[u8],
) -> Result<(Sealed, Channel), SealError> {
    let key = PublicKey::from_bytes(&key.0).map_err(|_| SealError::Key)?;
    let mut entropy = Expanded { seed: Zeroizing::new(entropy), drawn: 0 };
    let (encapsulated, mut context) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        INFO,
        &mut entropy,
    )
    .map_err(|_| SealError::Key)?;
    let mut sealed = envelope(Profile::Hpke, addressee, sender, encapsulated.to_bytes().to_vec());
    sealed.ciphertext = Bytes(context.seal(plain, &bound(&sealed)).map_err(|_| SealError::Library)?);
    let mut secret = Zeroizing::new([0; 32]);
    context.export(CHANNEL, &mut secret[..]).map_err(|_| SealError::Library)?;
    Ok((sealed, Channel(secret)))
}

/// Opens what [`seal_to`] made.
///
/// # Errors
/// [`SealError::Profile`], [`SealError::Header`] or [`SealError::Unopenable`].
pub fn open(secret: &SealingSecret, sealed: &Sealed) -> Result<(Vec<u8>, Channel), SealError> {
    if sealed.profile != Profile::Hpke {
        return Err(SealError::Profile);
    }
    let encapsulated = EncappedKey::from_bytes(&sealed.header.0).map_err(|_| SealError::Header)?;
    let secret = PrivateKey::from_bytes(secret.scalar()).map_err(|_| SealError::Library)?;
    let mut context =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&OpModeR::Base, &secret, &encapsulated, INFO)
            .map_err(|_| SealError::Header)?;
    let plain = context.open(&sealed.ciphertext.0, &bound(sealed)).map_err(|_| SealError::Unopenable)?;
    let mut secret = Zeroizing::new([0; 32]);
    context.export(CHANNEL, &mut secret[..]).map_err(|_| SealError::Library)?;
    Ok((plain, Channel(secret)))
}

/// The secret that an HPKE envelope leaves with both sides; wiped when dropped.
#[derive(Clone)]
pub struct Channel(Zeroizing<[u8; 32]>);

/// The directions of a channel; each has keys of its own.
#[derive(Clone, Copy)]
enum Direction {
    Request,
    Reply,
}

impl Direction {
    fn label(self) -> &'static str {
        match self {
            Self::Request => "tegata channel request v1",
            Self::Reply => "tegata channel reply v1",
        }
    }
}

impl Channel {
    /// A channel from storage.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }
    /// The secret, for storage.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }
    /// Seals from the device that set the channel up to the other side.
    pub fn seal(&self, entropy: [u8; 32], addressee: PartyId, sender: Option<DeviceId>, plain: &[u8]) -> Sealed {
        self.put(Direction::Request, entropy, addressee, sender, &[], plain)
    }
    /// Opens what [`Channel::seal`] made.
    ///
    /// # Errors
    /// [`SealError::Profile`], [`SealError::Header`] or [`SealError::Unopenable`].
    pub fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        self.take(Direction::Request, sealed, &[])
    }
    /// Seals an answer to exactly this request, whichever profile that had. Addressee and sender are the
    /// request's: they name the channel, not the direction.
    pub fn seal_reply(&self, entropy: [u8; 32], request: &Sealed, plain: &[u8]) -> Sealed {
        let bound_to = Hash::of(&request.to_bytes());
        self.put(Direction::Reply, entropy, request.addressee, request.sender, &bound_to.0, plain)
    }
    /// Opens what [`Channel::seal_reply`] made for this request.
    ///
    /// # Errors
    /// [`SealError::OtherRequest`], [`SealError::Profile`], [`SealError::Header`] or [`SealError::Unopenable`].
    pub fn open_reply(&self, request: &Sealed, reply: &Sealed) -> Result<Vec<u8>, SealError> {
        if reply.addressee != request.addressee || reply.sender != request.sender {
            return Err(SealError::OtherRequest);
        }
        self.take(Direction::Reply, reply, &Hash::of(&request.to_bytes()).0)
    }

    fn put(
        &self,
        direction: Direction,
        entropy: [u8; 32],
        addressee: PartyId,
        sender: Option<DeviceId>,
        bound_to: &[u8],
        plain: &[u8],
    ) -> Sealed {
        let key = Zeroizing::new(mac(&self.0, direction.label(), &[]));
        // Also a function of what is sealed, so that entropy used twice by a restored machine repeats a nonce only
        // together with the whole envelope.
        let about = Hash::of(&[&addressee.0[..], bound_to, plain].concat());
        let drawn = mac(&key, "tegata channel nonce v1", &[&entropy, &about.0]);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&drawn[..NONCE_LEN]);
        let mut sealed = envelope(Profile::Channel, addressee, sender, nonce.to_vec());
        let aad = [&bound(&sealed), bound_to].concat();
        sealed.ciphertext = Bytes(seal_text(&key, nonce, &aad, plain));
        sealed
    }
    fn take(&self, direction: Direction, sealed: &Sealed, bound_to: &[u8]) -> Result<Vec<u8>, SealError> {
        if sealed.profile != Profile::Channel {
            return Err(SealError::Profile);
        }
        let nonce = sealed.header.0.as_slice().try_into().map_err(|_| SealError::Header)?;
        let key = Zeroizing::new(mac(&self.0, direction.label(), &[]));
        let aad = [&bound(sealed), bound_to].concat();
        open_text(&key, nonce, &aad, &sealed.ciphertext.0).ok_or(SealError::Unopenable)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel(..)")
    }
}

fn envelope(profile: Profile, addressee: PartyId, sender: Option<DeviceId>, header: Vec<u8>) -> Sealed {
    Sealed {
        profile,
        addressee,
        sender,
        header: Bytes(header),
        ciphertext: Bytes::default(),
        extensions: Default::default(),
    }
}

/// The additional data: the envelope's canonical bytes with an empty cipher text.
fn bound(sealed: &Sealed) -> Vec<u8> {
    let empty = Sealed {
        profile: sealed.profile,
        addressee: sealed.addressee,
        sender: sealed.sender,
        header: sealed.header.clone(),
        ciphertext: Bytes::default(),
        extensions: sealed.extensions.clone(),
    };
    empty.to_bytes()
}

/// The entropy handed in, stretched for HPKE's key generation, which draws 32 bytes.
struct Expanded {
    seed: Zeroizing<[u8; 32]>,
    drawn: u64,
}

impl TryRng for Expanded {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            let block = Zeroizing::new(mac(&self.seed, "tegata hpke entropy v1", &[&self.drawn.to_be_bytes()]));
            chunk.copy_from_slice(&block[..chunk.len()]);
            self.drawn += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for Expanded {}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTY: PartyId = PartyId([3; 16]);
    const DEVICE: DeviceId = DeviceId([4; 16]);

    fn secret() -> SealingSecret {
        SealingSecret::from_seed(&[1; 32])
    }
    fn sealed_to() -> (Sealed, Channel) {
        seal_to([9; 32], PARTY, Some(DEVICE), &secret().public(), b"hello").expect("seals")
    }
    /// Every way to change an envelope in one place.
    fn tampered(sealed: &Sealed) -> Vec<Sealed> {
        let mut all = vec![
            Sealed { addressee: PartyId([5; 16]), ..sealed.clone() },
            Sealed { sender: None, ..sealed.clone() },
            Sealed { sender: Some(DeviceId([5; 16])), ..sealed.clone() },
        ];
        let mut extended = sealed.clone();
        extended.extensions.push(128, vec![1]);
        all.push(extended);
        for at in 0..sealed.ciphertext.0.len() {
            let mut one = sealed.clone();
            one.ciphertext.0[at] ^= 1;
            all.push(one);
            let mut cut = sealed.clone();
            cut.ciphertext.0.truncate(at);
            all.push(cut);
        }
        for at in 0..sealed.header.0.len() {
            let mut one = sealed.clone();
            one.header.0[at] ^= 1;
            all.push(one);
            let mut cut = sealed.clone();
            cut.header.0.truncate(at);
            all.push(cut);
        }
        all
    }

    #[test]
    fn only_the_addressee_opens_and_both_sides_hold_the_same_channel() {
        let (sealed, ours) = sealed_to();
        let (plain, theirs) = open(&secret(), &sealed).expect("opens");
        assert_eq!(plain, b"hello");
        assert_eq!(ours.to_bytes(), theirs.to_bytes());
        let stranger = SealingSecret::from_seed(&[2; 32]);
        assert_eq!(open(&stranger, &sealed).err(), Some(SealError::Unopenable));
        for other in tampered(&sealed) {
            assert!(open(&secret(), &other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn sealing_is_a_function_of_its_arguments() {
        let (sealed, channel) = sealed_to();
        assert_eq!(sealed_to().0, sealed);
        let (other, _) = seal_to([8; 32], PARTY, Some(DEVICE), &secret().public(), b"hello").expect("seals");
        assert_ne!(other.header, sealed.header);
        assert_eq!(channel.seal([1; 32], PARTY, None, b"a"), channel.seal([1; 32], PARTY, None, b"a"));
        let (a, b) = (channel.seal([1; 32], PARTY, None, b"a"), channel.seal([1; 32], PARTY, None, b"b"));
        assert_ne!(a.header, b.header, "entropy used twice does not repeat a nonce");
    }

    #[test]
    fn the_channel_carries_requests_and_their_own_replies() {
        let (first, device) = sealed_to();
        let (_, party) = open(&secret(), &first).expect("opens");
        let request = device.seal([1; 32], PARTY, Some(DEVICE), b"log");
        assert_eq!(party.open(&request).as_deref(), Ok(&b"log"[..]));
        for (number, request) in [first, request.clone()].iter().enumerate() {
            let reply = party.seal_reply([2; 32], request, b"commands");
            assert_eq!(device.open_reply(request, &reply).as_deref(), Ok(&b"commands"[..]));
            assert_eq!(party.open(&reply), Err(SealError::Unopenable), "a reply is no request");
            let other = device.seal([3; 32], PARTY, Some(DEVICE), b"log");
            assert_eq!(device.open_reply(&other, &reply), Err(SealError::Unopenable), "{number}");
            let elsewhere = Sealed { sender: None, ..reply.clone() };
            assert_eq!(device.open_reply(request, &elsewhere), Err(SealError::OtherRequest));
            for other in tampered(&reply) {
                assert!(device.open_reply(request, &other).is_err(), "{other:?}");
            }
        }
        for other in tampered(&request) {
            assert!(party.open(&other).is_err(), "{other:?}");
        }
        assert_eq!(device.open_reply(&request, &request), Err(SealError::Unopenable), "a request is no reply");
        assert_eq!(Channel::from_bytes([7; 32]).open(&request), Err(SealError::Unopenable));
    }

    #[test]
    fn malformed_envelopes_say_what_is_wrong() {
        let (sealed, channel) = sealed_to();
        let request = channel.seal([1; 32], PARTY, None, b"");
        assert_eq!(open(&secret(), &request).err(), Some(SealError::Profile));
        assert_eq!(channel.open(&sealed), Err(SealError::Profile));
        let short = Sealed { header: Bytes(vec![1; 31]), ..sealed.clone() };
        assert_eq!(open(&secret(), &short).err(), Some(SealError::Header));
        let zero = Sealed { header: Bytes(vec![0; 32]), ..sealed };
        assert_eq!(open(&secret(), &zero).err(), Some(SealError::Header), "an all-zero shared secret");
        let long = Sealed { header: Bytes(vec![1; 13]), ..request };
        assert_eq!(channel.open(&long), Err(SealError::Header));
        let zero = seal_to([1; 32], PARTY, None, &SealingKey([0; 32]), b"");
        assert_eq!(zero.err(), Some(SealError::Key));
    }

    #[test]
    fn debug_prints_no_secret() {
        assert_eq!(format!("{:?}", Channel::from_bytes([7; 32])), "Channel(..)");
    }
}
