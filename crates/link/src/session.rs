//! The ephemeral session of a tap, without I/O.
//!
//! ```text
//! wallet                                                       terminal
//!   WalletHello::new   --- version 1, ephemeral (33) --------->  accept -> transcript, to be signed
//!   finish             <-- ephemeral (32), {proof} (72 + 16) --  TerminalPending::reply
//!   Session            <-------- {message} (+ 16) ------------>  Session
//! ```
//!
//! Transcript = SHA-256(label, 0, version, wallet's ephemeral, terminal's ephemeral). Keys, one a direction =
//! HKDF-SHA256(salt: transcript, X25519's shared secret, info: direction). Messages are ChaCha20-Poly1305 with the
//! count of messages of that direction as nonce, which never travels: what is lost, repeated, swapped or changed
//! does not open, and the session is dead from then on. Entropy serves one handshake only.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf;
use core::fmt;
use tegata_core::Hash;
use tegata_crypto_native::primitive::{NONCE_LEN, TAG_LEN, mac};
use zeroize::Zeroizing;

use crate::frame::MAX_FRAME;

/// The version of this handshake.
pub const VERSION: u8 = 1;
/// Bytes of the wallet's hello.
pub const HELLO_LEN: usize = 1 + KEY_LEN;
/// What a session adds to each message, in bytes.
pub const OVERHEAD: usize = TAG_LEN;

const KEY_LEN: usize = 32;
const LABEL: &[u8] = b"tegata link v1\0";
const TO_TERMINAL: &[u8] = b"wallet to terminal";
const TO_WALLET: &[u8] = b"terminal to wallet";

/// Why a session did not come about or ended. Only a new touch helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The wallet speaks another version.
    #[error("the wallet speaks version {0} of the link and this terminal version 1; update the older one")]
    Version(u8),
    /// A hello or reply of a wrong length.
    #[error("the other side's greeting is malformed; it is at fault")]
    Malformed,
    /// An ephemeral key of small order, which would make the session's keys known to everybody.
    #[error("the other side's ephemeral key is not valid; it is at fault, or somebody is in between")]
    WeakKey,
    /// A message that does not open as the next one.
    #[error("a message was changed, lost, repeated or out of order on the way; touch again")]
    Broken,
    /// The session ended with an earlier error.
    #[error("the session has ended; touch again")]
    Dead,
    /// Longer than a frame takes; we are at fault.
    #[error("the message is too long for the link; this program is at fault")]
    TooLong,
    /// The library failed.
    #[error("this device's cryptographic library failed; touch again")]
    Library,
}

/// A key pair for one handshake.
struct Ephemeral {
    secret: PrivateKey,
    public: [u8; KEY_LEN],
}

impl Ephemeral {
    /// `side` parts the two sides, should both ever be handed the same entropy.
    fn new(entropy: [u8; 32], side: &[u8]) -> Result<Self, LinkError> {
        let entropy = Zeroizing::new(entropy);
        let seed = Zeroizing::new(mac(&entropy, "tegata link ephemeral v1", &[side]));
        let secret = PrivateKey::from_private_key(&X25519, &seed[..]).map_err(|_| LinkError::Library)?;
        let public = secret.compute_public_key().map_err(|_| LinkError::Library)?;
        let public = public.as_ref().try_into().map_err(|_| LinkError::Library)?;
        Ok(Self { secret, public })
    }
    /// The two directions' keys: to the terminal, to the wallet.
    fn keys(&self, peer: &[u8; KEY_LEN], transcript: &Hash) -> Result<(Direction, Direction), LinkError> {
        agree(&self.secret, UnparsedPublicKey::new(&X25519, peer), LinkError::WeakKey, |shared| {
            // The library refuses an all-zero secret, too; that is not in its documentation.
            if shared.iter().all(|byte| *byte == 0) {
                return Err(LinkError::WeakKey);
            }
            let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &transcript.0).extract(shared);
            Ok((Direction::new(&prk, TO_TERMINAL)?, Direction::new(&prk, TO_WALLET)?))
        })
    }
}

/// Names a session by both greetings.
fn transcript(version: u8, wallet: &[u8; KEY_LEN], terminal: &[u8; KEY_LEN]) -> Hash {
    Hash::of(&[LABEL, &[version], wallet, terminal].concat())
}

/// The wallet, having greeted.
pub struct WalletHello(Ephemeral);

impl WalletHello {
    /// Greets: the state, and the bytes to send.
    ///
    /// # Errors
    /// [`LinkError::Library`].
    pub fn new(entropy: [u8; 32]) -> Result<(Self, Vec<u8>), LinkError> {
        let ephemeral = Ephemeral::new(entropy, b"wallet")?;
        let mut hello = Vec::with_capacity(HELLO_LEN);
        hello.push(VERSION);
        hello.extend_from_slice(&ephemeral.public);
        Ok((Self(ephemeral), hello))
    }
    /// Takes the terminal's reply: the session, its transcript hash, and the proof payload, which the caller checks
    /// over that hash before anything else.
    ///
    /// # Errors
    /// [`LinkError::Malformed`], [`LinkError::WeakKey`] or [`LinkError::Broken`].
    pub fn finish(self, reply: &[u8]) -> Result<(Session, Hash, Vec<u8>), LinkError> {
        let (terminal, proof) = reply.split_first_chunk::<KEY_LEN>().ok_or(LinkError::Malformed)?;
        let transcript = transcript(VERSION, &self.0.public, terminal);
        let (sending, receiving) = self.0.keys(terminal, &transcript)?;
        let mut session = Session { sending, receiving, dead: false };
        let proof = session.open(proof)?;
        Ok((session, transcript, proof))
    }
}

/// Takes a wallet's hello: the terminal's state, and the transcript hash that its proof signs.
///
/// # Errors
/// [`LinkError::Version`], [`LinkError::Malformed`], [`LinkError::WeakKey`] or [`LinkError::Library`].
pub fn accept(entropy: [u8; 32], hello: &[u8]) -> Result<(TerminalPending, Hash), LinkError> {
    let (version, wallet) = hello.split_first().ok_or(LinkError::Malformed)?;
    if *version != VERSION {
        return Err(LinkError::Version(*version));
    }
    let wallet = wallet.try_into().map_err(|_| LinkError::Malformed)?;
    let ephemeral = Ephemeral::new(entropy, b"terminal")?;
    let transcript = transcript(VERSION, wallet, &ephemeral.public);
    let (receiving, sending) = ephemeral.keys(wallet, &transcript)?;
    let session = Session { sending, receiving, dead: false };
    Ok((TerminalPending { public: ephemeral.public, session }, transcript))
}

/// The terminal, about to prove itself.
pub struct TerminalPending {
    public: [u8; KEY_LEN],
    session: Session,
}

impl TerminalPending {
    /// Replies with the proof: the bytes to send, and the session.
    ///
    /// # Errors
    /// [`LinkError::TooLong`] or [`LinkError::Library`].
    pub fn reply(mut self, proof_payload: &[u8]) -> Result<(Vec<u8>, Session), LinkError> {
        if proof_payload.len() > MAX_FRAME - KEY_LEN - OVERHEAD {
            return Err(LinkError::TooLong);
        }
        let mut reply = self.public.to_vec();
        reply.extend_from_slice(&self.session.seal(proof_payload)?);
        Ok((reply, self.session))
    }
}

/// One direction's key and the number of its next message.
struct Direction {
    key: LessSafeKey,
    next: u64,
}

impl Direction {
    fn new(prk: &hkdf::Prk, label: &[u8]) -> Result<Self, LinkError> {
        let info = [label];
        let key = prk.expand(&info, &CHACHA20_POLY1305).map_err(|_| LinkError::Library)?;
        Ok(Self { key: LessSafeKey::new(UnboundKey::from(key)), next: 0 })
    }
    /// The next nonce; there are more than any session can use.
    fn nonce(&mut self) -> Result<Nonce, LinkError> {
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&self.next.to_be_bytes());
        self.next = self.next.checked_add(1).ok_or(LinkError::Dead)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// An open session, at either side.
pub struct Session {
    sending: Direction,
    receiving: Direction,
    dead: bool,
}

impl Session {
    /// Seals the next message to the other side.
    ///
    /// # Errors
    /// [`LinkError::Dead`]; [`LinkError::TooLong`], which changes nothing; [`LinkError::Library`].
    pub fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, LinkError> {
        if self.dead {
            return Err(LinkError::Dead);
        }
        if plain.len() > MAX_FRAME - OVERHEAD {
            return Err(LinkError::TooLong);
        }
        let mut text = Vec::with_capacity(plain.len() + OVERHEAD);
        text.extend_from_slice(plain);
        let nonce = self.sending.nonce()?;
        self.sending.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut text).map_err(|_| LinkError::Library)?;
        Ok(text)
    }
    /// Opens the next message from the other side.
    ///
    /// # Errors
    /// [`LinkError::Broken`], after which the session is dead; [`LinkError::Dead`].
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, LinkError> {
        if self.dead {
            return Err(LinkError::Dead);
        }
        let mut text = sealed.to_vec();
        let nonce = self.receiving.nonce()?;
        let opened = self.receiving.key.open_in_place(nonce, Aad::empty(), &mut text).map(|plain| plain.len());
        match opened {
            Ok(len) => {
                text.truncate(len);
                Ok(text)
            }
            Err(_) => {
                self.dead = true;
                Err(LinkError::Broken)
            }
        }
    }
    /// Whether an error has ended it.
    pub fn is_dead(&self) -> bool {
        self.dead
    }
}

impl fmt::Debug for WalletHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WalletHello(..)")
    }
}
impl fmt::Debug for TerminalPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TerminalPending(..)")
    }
}
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session(sent {}, received {}, dead {})", self.sending.next, self.receiving.next, self.dead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: [u8; 72] = [0x5a; 72];

    /// A session's two sides and the greetings that made it.
    fn shake() -> (Session, Session, Vec<u8>, Vec<u8>) {
        let (wallet, hello) = WalletHello::new([1; 32]).expect("greets");
        let (terminal, seen) = accept([2; 32], &hello).expect("accepts");
        let (reply, terminal) = terminal.reply(&PROOF).expect("replies");
        let (wallet, transcript, proof) = wallet.finish(&reply).expect("finishes");
        assert_eq!(proof, PROOF);
        assert_eq!(transcript, seen);
        (wallet, terminal, hello, reply)
    }

    #[test]
    fn both_sides_talk_within_the_budget_of_bytes() {
        let (mut wallet, mut terminal, hello, reply) = shake();
        assert_eq!((hello.len(), reply.len()), (33, 32 + 72 + 16));
        for number in 0..5u8 {
            let sealed = wallet.seal(&[number; 9]).expect("seals");
            assert_eq!(sealed.len(), 9 + OVERHEAD);
            assert_eq!(terminal.open(&sealed), Ok(vec![number; 9]));
            let sealed = terminal.seal(&[]).expect("seals");
            assert_eq!(wallet.open(&sealed), Ok(vec![]));
        }
        let (first, second) = (wallet.seal(b"1").expect("seals"), wallet.seal(b"2").expect("seals"));
        assert_eq!(terminal.open(&first).as_deref(), Ok(&b"1"[..]));
        assert_eq!(terminal.open(&second).as_deref(), Ok(&b"2"[..]));
    }

    #[test]
    fn a_session_is_a_function_of_its_entropy() {
        let (mut a, _, hello_a, reply_a) = shake();
        let (mut b, _, hello_b, reply_b) = shake();
        assert_eq!((hello_a, reply_a, a.seal(b"x")), (hello_b, reply_b, b.seal(b"x")));
        let (_, other) = WalletHello::new([3; 32]).expect("greets");
        assert_ne!(accept([2; 32], &other).expect("accepts").1, accept([4; 32], &other).expect("accepts").1);
    }

    #[test]
    fn whatever_happens_to_a_message_ends_the_session() {
        type Harm = fn(&mut Session, &mut Session) -> Vec<u8>;
        let harms: [(&str, Harm); 7] = [
            ("replayed", |wallet, terminal| {
                let sealed = wallet.seal(b"pay").expect("seals");
                assert!(terminal.open(&sealed).is_ok());
                sealed
            }),
            ("reordered", |wallet, _| {
                wallet.seal(b"1").expect("seals");
                wallet.seal(b"2").expect("seals")
            }),
            ("tampered text", |wallet, _| {
                let mut sealed = wallet.seal(b"pay").expect("seals");
                sealed[0] ^= 1;
                sealed
            }),
            ("tampered tag", |wallet, _| {
                let mut sealed = wallet.seal(b"pay").expect("seals");
                sealed[18] ^= 0x80;
                sealed
            }),
            ("truncated", |wallet, _| {
                let mut sealed = wallet.seal(b"pay").expect("seals");
                sealed.pop();
                sealed
            }),
            ("reflected", |_, terminal| terminal.seal(b"pay").expect("seals")),
            ("empty", |_, _| vec![]),
        ];
        for (name, harm) in harms {
            let (mut wallet, mut terminal, ..) = shake();
            let sealed = harm(&mut wallet, &mut terminal);
            assert_eq!(terminal.open(&sealed), Err(LinkError::Broken), "{name}");
            assert!(terminal.is_dead());
            let honest = wallet.seal(b"again").expect("seals");
            assert_eq!(terminal.open(&honest), Err(LinkError::Dead), "{name}");
            assert_eq!(terminal.seal(b"sorry"), Err(LinkError::Dead), "{name}");
        }
    }

    #[test]
    fn greetings_that_are_wrong_say_what_is_wrong() {
        let (_, hello) = WalletHello::new([1; 32]).expect("greets");
        let mut newer = hello.clone();
        newer[0] = 2;
        assert_eq!(accept([2; 32], &newer).err(), Some(LinkError::Version(2)));
        for len in 0..HELLO_LEN {
            assert_eq!(accept([2; 32], &hello[..len]).err(), Some(LinkError::Malformed), "{len}");
        }
        assert_eq!(accept([2; 32], &[&hello[..], &[0]].concat()).err(), Some(LinkError::Malformed));
        let (_, _, hello, reply) = shake();
        for len in 0..reply.len() {
            let (wallet, again) = WalletHello::new([1; 32]).expect("greets");
            assert_eq!(again, hello);
            let expected = if len < 32 { LinkError::Malformed } else { LinkError::Broken };
            assert_eq!(wallet.finish(&reply[..len]).err(), Some(expected), "{len}");
        }
    }

    #[test]
    fn greetings_changed_on_the_way_part_the_two_sides() {
        for at in 1..HELLO_LEN {
            let (wallet, mut hello) = WalletHello::new([1; 32]).expect("greets");
            hello[at] ^= 1;
            let (terminal, _) = accept([2; 32], &hello).expect("another key is a key");
            let (reply, _) = terminal.reply(&PROOF).expect("replies");
            assert_eq!(wallet.finish(&reply).err(), Some(LinkError::Broken), "{at}");
        }
        let (_, _, _, reply) = shake();
        for at in 0..reply.len() {
            let (wallet, _) = WalletHello::new([1; 32]).expect("greets");
            let mut other = reply.clone();
            other[at] ^= 1;
            assert_eq!(wallet.finish(&other).err(), Some(LinkError::Broken), "{at}");
        }
    }

    #[test]
    fn the_unused_top_bit_of_a_key_is_covered_by_the_transcript() {
        let (wallet, mut hello) = WalletHello::new([1; 32]).expect("greets");
        hello[32] ^= 0x80; // X25519 ignores it: the shared secret stays
        let (terminal, _) = accept([2; 32], &hello).expect("accepts");
        let (reply, _) = terminal.reply(&PROOF).expect("replies");
        assert_eq!(wallet.finish(&reply).err(), Some(LinkError::Broken));
    }

    #[test]
    fn all_zero_shared_secrets_are_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = [0xff; 32]; // p - 1
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        for weak in [[0; 32], one, minus_one] {
            let hello = [&[VERSION][..], &weak].concat();
            assert_eq!(accept([2; 32], &hello).err(), Some(LinkError::WeakKey));
            let (wallet, _) = WalletHello::new([1; 32]).expect("greets");
            let reply = [&weak[..], &[0; 88]].concat();
            assert_eq!(wallet.finish(&reply).err(), Some(LinkError::WeakKey));
        }
    }

    #[test]
    fn messages_that_fit_no_frame_are_not_sealed_and_harm_nothing() {
        let (mut wallet, mut terminal, ..) = shake();
        assert_eq!(wallet.seal(&[0; MAX_FRAME - OVERHEAD + 1]), Err(LinkError::TooLong));
        let sealed = wallet.seal(&[0; MAX_FRAME - OVERHEAD]).expect("seals");
        assert_eq!(sealed.len(), MAX_FRAME);
        assert!(terminal.open(&sealed).is_ok());
        let (_, hello) = WalletHello::new([1; 32]).expect("greets");
        let (pending, _) = accept([2; 32], &hello).expect("accepts");
        assert_eq!(pending.reply(&[0; MAX_FRAME]).err(), Some(LinkError::TooLong));
    }
}
