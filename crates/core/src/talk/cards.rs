//! Cards over the network: numbers ordered and activated by the issuer's side, installed and loaded by wallets (R18).
//!
//! Each request is signed by its sender; each reply by the provider, in the context of the request's hash, so that a
//! reply serves one request only. A repeat of the same request gets the same bytes.

use crate::card::payment::{Purse, PurseState};
use crate::card::{CardCertificate, Load, Raise, Terms};
use crate::id::{CardId, DeviceId, Hash, PartyId};
use crate::message;
use crate::money::{Amount, Time};
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::event::KeptChange;
use crate::talk::pay::{load_purse, purse_key};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, read_reply};
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signed, Unsigned};
use alloc::{string::String, vec, vec::Vec};

message! {
    /// The key under which an issuer hashes its numbers; shared with the provider, sealed, before the first order.
    pub struct NumberKey kind 45 max 300 {
        /// The issuer.
        1 issuer: PartyId,
        /// 32 secret bytes.
        2 key: Bytes,
    }
}

message! {
    /// An issuer orders a batch of numbers. They are worth nothing until activated (R10, R18).
    pub struct Order kind 46 max 8_000_000 {
        /// The issuer.
        1 issuer: PartyId,
        /// Number of the batch at this issuer.
        2 batch: u64,
        /// The terms of its cards.
        3 terms: Terms,
        /// Face value of each.
        4 face: Amount,
        /// Keyed hashes of the numbers, in the order of their serials from 1.
        5 numbers: Vec<Hash>,
        /// When.
        6 at: Time,
        /// The cards' last moment.
        7 until: Time,
        /// Tickets: the seat of each number, in the same order, by its number in the event's plan; absent: free seating.
        8 seats: Option<Vec<u64>>,
    }
}

message! {
    /// Numbers are sold: from now on they are value. Signed by the issuer or by the till that took the money; online, or
    /// as a slip that the wallet shows.
    pub struct Activate kind 47 max 300 {
        /// The issuer.
        1 issuer: PartyId,
        /// The batch.
        2 batch: u64,
        /// The first serial.
        3 first: u64,
        /// The last serial.
        4 last: u64,
        /// When.
        5 at: Time,
        /// The till that signs; absent: the issuer itself.
        6 till: Option<DeviceId>,
    }
}

message! {
    /// The provider has durably recorded a request that needs no other answer.
    pub struct Done kind 52 max 200 {
        /// When.
        1 at: Time,
        /// Number of the operational key that signed.
        2 signer: u64,
    }
}

message! {
    /// A wallet asks for the card of a number. Bound durably to this key: the same key gets the same answer again.
    pub struct InstallRequest kind 42 max 900 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The number as printed, without spaces.
        2 number: String,
        /// The key that the card shall have.
        3 key: PublicKey,
        /// The till's slip, if the number may not be activated yet.
        4 slip: Option<Signed<Activate>>,
    }
}

message! {
    /// The card.
    pub struct InstallReply kind 43 max 1600 {
        /// Its certificate.
        1 certificate: Signed<CardCertificate>,
        /// Its terms.
        2 terms: Terms,
        /// Number of the operational key that signed.
        3 signer: u64,
        /// A ticket: what stands on its seat.
        4 seat_name: Option<String>,
    }
}

message! {
    /// A wallet asks to load a card by a further number.
    pub struct LoadRequest kind 44 max 900 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The number as printed, without spaces.
        2 number: String,
        /// The card.
        3 card: CardId,
        /// Its generation.
        4 generation: u64,
        /// The till's slip.
        5 slip: Option<Signed<Activate>>,
    }
}

message! {
    /// The load, to be taken up by the card's chain.
    pub struct LoadReply kind 51 max 400 {
        /// The load.
        1 load: Signed<Load>,
        /// Number of the operational key that signed.
        2 signer: u64,
    }
}

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardNotice {
    /// The card is installed.
    Installed {
        /// Which.
        card: CardId,
        /// What is on it.
        remaining: Amount,
    },
    /// The load is kept and will be taken up.
    Loaded {
        /// Onto which card.
        card: CardId,
        /// How much.
        amount: Amount,
    },
    /// The provider said no.
    Refused(Refused),
    /// The answer is not the provider's, or not to this request.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// What a wallet asks for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A new card.
    Install(InstallRequest),
    /// A load.
    Load(LoadRequest),
}

impl Wanted {
    /// Under which name the request is stored until it is answered: the key or card that it is for.
    fn name(&self) -> Vec<u8> {
        match self {
            Self::Install(request) => request.key.as_bytes().to_vec(),
            Self::Load(request) => Hash::of(request.number.as_bytes()).0.to_vec(),
        }
    }
}

/// A request signed and on its way; its bytes are stored and sent again until they are answered (R26).
#[derive(Clone, Debug)]
pub struct Asked {
    name: Vec<u8>,
    request: Hash,
    bytes: Vec<u8>,
}

/// The wallet's side of install and load.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum CardRequest {
    /// Asked to.
    Start(Wanted, Anchors, PublicKey),
    /// Signs an install.
    SigningInstall(Unsigned<InstallRequest>, Vec<u8>, Anchors),
    /// Signs a load.
    SigningLoad(Unsigned<LoadRequest>, Vec<u8>, Anchors),
    /// Stores the request: a new key and what it asks for are durable before they are sent (R18).
    Storing(Asked, Anchors),
    /// Sends a stored request again.
    Resume(RecordKey, Anchors),
    /// Waits for the answer.
    Expect(Asked, Anchors),
    /// Stores the answer.
    Keeping(CardNotice),
    /// Ended.
    Over,
}

type Next = Step<CardRequest, CardNotice>;

impl CardRequest {
    fn over(notice: CardNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn start(wanted: Wanted, anchors: Anchors, key: &PublicKey) -> Next {
        let name = wanted.name();
        match wanted {
            Wanted::Install(request) => {
                let request = Unsigned::new(request, key.algorithm());
                let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
                Step::new(Self::SigningInstall(request, name, anchors), [sign])
            }
            Wanted::Load(request) => {
                let request = Unsigned::new(request, key.algorithm());
                let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
                Step::new(Self::SigningLoad(request, name, anchors), [sign])
            }
        }
    }

    fn store(name: Vec<u8>, request: Hash, bytes: Vec<u8>, anchors: Anchors) -> Next {
        let mut batch = Batch::default();
        batch.put(RecordKey::new(Space::Request, name.clone()), bytes.clone());
        Step::new(Self::Storing(Asked { name, request, bytes }, anchors), [Effect::Store(batch)])
    }

    fn resume(key: &RecordKey, anchors: Anchors, context: &Context<'_>) -> Next {
        let Some(bytes) = context.records.get(key) else {
            return Self::over(CardNotice::Failed(Fault::Storage));
        };
        let hash = Signed::<InstallRequest>::decode(&bytes)
            .map(|signed| signed.hash(&[]))
            .or_else(|_| Signed::<LoadRequest>::decode(&bytes).map(|signed| signed.hash(&[])));
        match hash {
            Ok(request) => {
                let asked = Asked { name: key.name.clone(), request, bytes: bytes.clone() };
                Step::new(Self::Expect(asked, anchors), [Effect::Send(bytes)])
            }
            Err(_) => Self::over(CardNotice::Failed(Fault::Storage)),
        }
    }

    fn answered(asked: Asked, anchors: &Anchors, bytes: &[u8], context: &Context<'_>) -> Next {
        let mut batch = Batch::default();
        match read_reply::<InstallReply>(bytes, &asked.request, anchors, context) {
            Some(Answered::Reply(reply)) => return Self::installed(&asked, &reply, anchors, context, batch),
            Some(Answered::Refused(refused)) => {
                // A number may become value later: it is asked for with the same key then, or an answer to this very
                // request, carried late, would install a card that nobody here waits for (R18).
                let later = refused.why == crate::talk::report::ProviderRefusal::Number;
                if !refused.why.is_transient() && !later {
                    batch.remove(RecordKey::new(Space::Request, asked.name));
                }
                return Step::new(Self::Keeping(CardNotice::Refused(refused)), [Effect::Store(batch)]);
            }
            None => {}
        }
        match read_reply::<LoadReply>(bytes, &asked.request, anchors, context) {
            Some(Answered::Reply(reply)) => Self::loaded(&asked, &reply.load, batch, context),
            _ => Self::over(CardNotice::NotTrusted),
        }
    }

    fn installed(
        asked: &Asked,
        reply: &InstallReply,
        anchors: &Anchors,
        context: &Context<'_>,
        mut batch: Batch,
    ) -> Next {
        // Blocked before this wallet heard that it has it, or the request would wait for ever (R26).
        let accepted = CardCertificate::certified(reply.certificate.clone(), anchors, context.now, context.verifier);
        let Ok(certificate) = accepted else {
            return Self::over(CardNotice::NotTrusted);
        };
        let ours = certificate.key.as_bytes() == asked.name.as_slice();
        let remaining = Amount::new(reply.terms.unit, certificate.remaining);
        let (true, Some(remaining)) = (ours && reply.terms.handle() == certificate.terms, remaining) else {
            return Self::over(CardNotice::NotTrusted);
        };
        let card = certificate.card;
        batch.remove(RecordKey::new(Space::Request, asked.name.clone()));
        batch.put(RecordKey::new(Space::Terms, reply.terms.handle().0), reply.terms.to_bytes());
        // The same answer again changes nothing: the card may have been used since. A higher generation ends all before it, also where
        // this wallet has not heard of that end yet: it was given away and comes back by a number, or is issued anew.
        let before = load_purse(context.records, card);
        let over = |purse: &Purse| purse.generation() < certificate.generation;
        if before.as_ref().is_none_or(over) {
            let dead = anchors.is_dead(card, certificate.generation);
            let stands = KeptChange::state_of(context.records, card, certificate.generation);
            let mut purse = Purse::new(certificate.into_signed()).seated(reply.seat_name.as_ref());
            purse.state = if dead { PurseState::Blocked } else { stands };
            batch.replace(purse_key(card), before.map(|purse| purse.to_bytes()), purse.to_bytes());
        }
        Step::new(Self::Keeping(CardNotice::Installed { card, remaining }), [Effect::Store(batch)])
    }

    fn loaded(asked: &Asked, load: &Signed<Load>, mut batch: Batch, context: &Context<'_>) -> Next {
        let (card, amount) = (load.claimed().card, load.claimed().amount);
        let Some(purse) = load_purse(context.records, card) else {
            return Self::over(CardNotice::NotTrusted);
        };
        batch.remove(RecordKey::new(Space::Request, asked.name.clone()));
        if load.claimed().number > purse.last_load {
            let mut after = purse.clone();
            after.keep(Raise::Load(load.clone()));
            batch.replace(purse_key(card), Some(purse.to_bytes()), after.to_bytes());
        }
        Step::new(Self::Keeping(CardNotice::Loaded { card, amount }), [Effect::Store(batch)])
    }
}

impl Talk for CardRequest {
    type Notice = CardNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(wanted, anchors, key), Event::Tick) => Self::start(wanted, anchors, &key),
            (Self::SigningInstall(request, name, anchors), Event::Signed(signature)) => {
                let hash = request.hash(&[]);
                Self::store(name, hash, request.sign(signature).encode(), anchors)
            }
            (Self::SigningLoad(request, name, anchors), Event::Signed(signature)) => {
                let hash = request.hash(&[]);
                Self::store(name, hash, request.sign(signature).encode(), anchors)
            }
            (Self::Storing(asked, anchors), Event::Stored) => {
                let bytes = asked.bytes.clone();
                Step::new(Self::Expect(asked, anchors), [Effect::Send(bytes)])
            }
            (Self::Resume(key, anchors), Event::Tick) => Self::resume(&key, anchors, context),
            (Self::Expect(asked, anchors), Event::Received(bytes)) => Self::answered(asked, &anchors, &bytes, context),
            (Self::Keeping(notice), Event::Stored) => Self::over(notice),
            // The request stays stored and is sent again until it is answered.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(CardNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
