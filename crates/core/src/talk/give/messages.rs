//! What two wallets say to each other when a card is given, and what they ask the provider. Nothing here names a person or a
//! wallet but the requests, which go to the provider alone (R17).

use crate::card::title::{Hop, TitleError};
use crate::card::{CardCertificate, CardEvent, Terms};
use crate::id::{CardId, DeviceId, Hash};
use crate::money::Time;
use crate::talk::enter::{LeftBefore, SessionSignature};
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::certificate::SessionProof;
use crate::wire::signed::{PublicKey, Signed, Unsigned, Verifier};
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

codes! {
    /// Why a card is not given, or not taken.
    pub enum GiveRefusal {
        /// The message could not be read.
        Malformed = 1,
        /// The certificate, the title or a signature is not valid.
        NotTrusted = 2,
        /// Its terms do not let it be given away.
        NotTransferable = 3,
        /// It was given on as often as its terms allow in all.
        UsedUp = 4,
        /// The time to give it away is over.
        TooLate = 5,
        /// Its holder is inside with it.
        Inside = 6,
        /// It was shown to a gate that has not answered.
        Pending = 7,
        /// It is blocked or over.
        Blocked = 8,
        /// It was given to another wallet.
        Locked = 9,
        /// Somebody declined.
        Declined = 10,
        /// The device itself failed; nothing was changed.
        OutOfOrder = 11,
        /// It was received from somebody and the time to register has passed, or it must be registered first.
        Unregistered = 12,
        /// No such card.
        NoCard = 13,
    }
}

impl GiveRefusal {
    /// Who is at fault and what to do, for both screens.
    pub fn for_people(self) -> &'static str {
        match self {
            Self::Malformed => "the other wallet sent something that cannot be read; touch again, or update this app",
            Self::NotTrusted => "the other wallet could not prove that it holds this ticket; take nothing from it",
            Self::NotTransferable => "the promoter does not let this ticket be given away",
            Self::UsedUp => "this ticket was given on as often as it may be in all; it stays with whoever holds it",
            Self::TooLate => "the time to give this ticket away is over",
            Self::Inside => "its holder is inside; check out first, then give it",
            Self::Pending => "a gate that never answered may have let this ticket in; touch a gate again, then give it",
            Self::Blocked => "this ticket is blocked or over; update the wallet, and if it stays so ask the box office",
            Self::Locked => "this ticket was given to another wallet already, and only that one can take it",
            Self::Declined => "it was declined; nothing was changed",
            Self::OutOfOrder => "a phone could not store or sign; nothing was changed, try again",
            Self::Unregistered => "this ticket was given on and is not registered; its holder goes online once",
            Self::NoCard => "this wallet holds no such ticket",
        }
    }
}

impl From<TitleError> for GiveRefusal {
    fn from(why: TitleError) -> Self {
        match why {
            TitleError::Forged => Self::NotTrusted,
            TitleError::TooMany => Self::UsedUp,
            TitleError::Unregistered => Self::Unregistered,
        }
    }
}

message! {
    /// What the giver shows first: the card, how it came to the giver, and what it will be signed over with.
    pub struct GiveOffer {
        /// The card.
        1 certificate: Signed<CardCertificate>,
        /// Its terms.
        2 terms: Terms,
        /// How it was given on since the certificate.
        3 title: Option<Vec<Hop>>,
        /// The receiver registers before then (R12).
        4 until: Time,
        /// Entries used so far.
        5 used: u64,
        /// When, by the giver's clock.
        6 at: Time,
        /// Hash of the giver's part of the code: said before the receiver's part is known, so that nobody between the two can
        /// make both screens show the same code (R17).
        7 commit: Hash,
        /// What stands on its seat.
        8 seat_name: Option<String>,
    }
}

message! {
    /// The receiver takes it, under a new key that is stored before it is named.
    pub struct Acceptance {
        /// The key.
        1 key: PublicKey,
        /// The receiver's part of the code.
        2 nonce: Hash,
        /// That key's signature of this session and card.
        3 proof: SessionSignature,
    }
}

message! {
    /// The giver's part of the code.
    pub struct Reveal {
        /// What the offer's `commit` is the hash of.
        1 nonce: Hash,
    }
}

message! {
    /// The last exit from one zone, as a gate has signed it for the giver.
    pub struct Exit {
        /// The zone.
        1 zone: u64,
        /// The exit.
        2 left: LeftBefore,
    }
}

message! {
    /// The card is the receiver's: the giver's copy is dead, and can only say this again.
    pub struct Given {
        /// The hand-over.
        1 hop: Hop,
        /// Exits, for gates that have not heard of them.
        2 exits: Option<Vec<Exit>>,
    }
}

message! {
    /// The receiver has stored it. Signed by the new key, in the context of the hand-over.
    pub struct Taken {
        /// The signature.
        1 proof: SessionSignature,
    }
}

/// Everything that travels between two wallets, once the session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum GiveMessage {
    /// Giver to receiver.
    Offer(GiveOffer),
    /// Receiver to giver.
    Acceptance(Acceptance),
    /// Giver to receiver.
    Reveal(Reveal),
    /// Giver to receiver.
    Given(Given),
    /// Receiver to giver.
    Taken(Taken),
    /// Either way: no.
    Refused(GiveRefusal),
}

/// Largest message between two wallets, in bytes.
pub const MAX_GIVE_MESSAGE: usize = 8192;

impl GiveMessage {
    /// Reads what came over the link.
    ///
    /// # Errors
    /// What is wrong with it; the other side is at fault.
    pub fn received(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_GIVE_MESSAGE {
            return Err(DecodeError::TooLarge);
        }
        Self::from_bytes(bytes)
    }
}

impl Wire for GiveMessage {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        match self {
            Self::Offer(body) => {
                to.uint(1);
                body.write(to);
            }
            Self::Acceptance(body) => {
                to.uint(2);
                body.write(to);
            }
            Self::Reveal(body) => {
                to.uint(3);
                body.write(to);
            }
            Self::Given(body) => {
                to.uint(4);
                body.write(to);
            }
            Self::Taken(body) => {
                to.uint(5);
                body.write(to);
            }
            Self::Refused(body) => {
                to.uint(6);
                body.write(to);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(2)?;
        match from.uint()? {
            1 => GiveOffer::read(from).map(Self::Offer),
            2 => Acceptance::read(from).map(Self::Acceptance),
            3 => Reveal::read(from).map(Self::Reveal),
            4 => Given::read(from).map(Self::Given),
            5 => Taken::read(from).map(Self::Taken),
            6 => GiveRefusal::read(from).map(Self::Refused),
            _ => Err(DecodeError::Kind),
        }
    }
}

/// What a card's new key signs besides events: each for one purpose only (R5). The body is empty, the context says it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// That it is at hand in this session, to take this card in the generation that is given.
    Takes(Hash, CardId, u64),
    /// That this hand-over is stored.
    Has(Hash),
    /// That this wallet registers the card in this generation.
    Registers(CardId, u64, DeviceId),
}

impl Proof {
    fn context(self) -> Vec<u8> {
        let mut to = Writer::new();
        match self {
            Self::Takes(session, card, generation) => {
                to.array(4);
                to.text("takes");
                session.write(&mut to);
                card.write(&mut to);
                to.uint(generation);
            }
            Self::Has(hop) => {
                to.array(2);
                to.text("has");
                hop.write(&mut to);
            }
            Self::Registers(card, generation, wallet) => {
                to.array(4);
                to.text("registers");
                card.write(&mut to);
                to.uint(generation);
                wallet.write(&mut to);
            }
        }
        to.finish()
    }
    fn unsigned(key: &PublicKey) -> Unsigned<SessionProof> {
        SessionProof::unsigned(key)
    }
    /// The bytes to be signed with this key.
    pub fn tbs(self, key: &PublicKey) -> Vec<u8> {
        Self::unsigned(key).tbs(&self.context())
    }
    /// Whether this key has signed it.
    pub fn holds(self, key: &PublicKey, proof: SessionSignature, by: &dyn Verifier) -> bool {
        Self::unsigned(key).sign(proof.0).verify(key, &self.context(), by).is_ok()
    }
}

/// The code that both screens show: six digits of the session and both sides' parts.
pub fn short_code(session: &Hash, giver: &Hash, receiver: &Hash) -> String {
    let hash = Hash::of(&[b"tegata give code v1".as_slice(), &session.0, &giver.0, &receiver.0].concat());
    let mut number = [0; 8];
    number.copy_from_slice(&hash.0[..8]);
    alloc::format!("{:06}", u64::from_be_bytes(number) % 1_000_000)
}

message! {
    /// A wallet registers a card that it holds by title. Signed by the wallet; its card's key has signed that it is this wallet's.
    pub struct Register kind 28 max 2500 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The card.
        2 card: CardId,
        /// The generation that the provider has certified.
        3 generation: u64,
        /// The hand-overs since.
        4 title: Vec<Hop>,
        /// The last key's signature ([`Proof::Registers`]).
        5 proof: SessionSignature,
    }
}

message! {
    /// A wallet gives a card to somebody far away: the card is locked to the provider, which makes a number for whoever shall have
    /// it. Signed by the wallet.
    pub struct GiftRequest kind 29 max 600 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The card.
        2 card: CardId,
        /// Its generation.
        3 generation: u64,
        /// The card's last event, which locks it.
        4 event: Signed<CardEvent>,
        /// Entries used so far.
        5 used: u64,
        /// When, by the wallet's clock.
        6 at: Time,
    }
}

message! {
    /// The gift's number, to be sent by any means. Signed by the provider, in the context of the request's hash; the same request
    /// gets the same number.
    pub struct Gift kind 50 max 300 {
        /// The card.
        1 card: CardId,
        /// The number: an installation number, without spaces. Whoever installs it has the card.
        2 number: String,
        /// Until when; then it comes back.
        3 until: Time,
        /// Number of the operational key that signed.
        4 signer: u64,
    }
}
