//! The wallet and the provider: a card held by title is registered, and a card is given to somebody far away by a number. What is
//! asked is stored first, and asked again with the same bytes until it is answered (R26).

use super::giver::{used, why_not};
use super::messages::*;
use super::receiver::Taking;
use crate::card::payment::{Advance, Purse};
use crate::card::{CardCertificate, EventKind};
use crate::id::{CardId, DeviceId, Hash};
use crate::message;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::cards::InstallReply;
use crate::talk::pay::{load_purse, purse_key};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, load_terms, read_reply};
use crate::wire::canonical::Wire;
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signature, Signed, Unsigned};
use alloc::{string::String, vec};

message! {
    /// A gift, as its giver keeps it.
    pub struct GiftKept {
        /// The generation that was given.
        1 generation: u64,
        /// What the provider is asked.
        2 request: Signed<GiftRequest>,
        /// The number, once it is known.
        3 number: Option<String>,
        /// Until when it can be taken.
        4 until: Option<crate::Time>,
        /// When somebody has taken it, as the provider said first.
        5 arrived: Option<crate::Time>,
    }
}

impl GiftKept {
    /// Where it is stored.
    pub fn key(card: CardId) -> RecordKey {
        RecordKey::new(Space::Ticket, [b"gift".as_slice(), &card.0].concat())
    }
    /// Reads it.
    pub fn load(records: &dyn Records, card: CardId) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(card))?).ok()
    }
    /// The provider has said when this generation was taken by its number: kept once.
    pub fn arrive(records: &dyn Records, (card, generation): (CardId, u64), at: crate::Time) -> Batch {
        let mut batch = Batch::default();
        let kept = Self::load(records, card);
        if let Some(kept) = kept.filter(|kept| kept.generation == generation && kept.arrived.is_none()) {
            let after = Self { arrived: Some(at), ..kept.clone() };
            batch.replace(Self::key(card), Some(kept.to_bytes()), after.to_bytes());
        }
        batch
    }
    /// Whether this wallet has given an earlier generation of the card that it holds, and nobody has taken that.
    pub fn came_back(records: &dyn Records, purse: &Purse) -> bool {
        let kept = Self::load(records, purse.card());
        kept.is_some_and(|kept| kept.generation < purse.generation() && kept.arrived.is_none())
    }
}

/// What is wanted of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To register this card, which is held by title.
    Register(CardId),
    /// To give this card by a number.
    Gift(CardId),
}

/// What the person sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwayNotice {
    /// It is registered, and can be shown to a camera, given on and surrendered.
    Registered(CardId),
    /// Send this number to whoever shall have the card. Not taken in time it comes back.
    Gift {
        /// The number.
        number: String,
        /// Until when.
        until: crate::Time,
    },
    /// It cannot be done as it is.
    Cannot(GiveRefusal),
    /// The provider says no.
    Refused(Refused),
    /// The answer is not the provider's, or not to this request.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// The wallet's side.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum Away {
    /// Asked to, by this wallet with this key.
    Start(Wish, (DeviceId, PublicKey), Anchors),
    /// Signs the registration.
    SigningRegister(CardId, Unsigned<Register>, Anchors),
    /// Signs the card's last event.
    SigningLock(CardId, Advance, (DeviceId, PublicKey, u64), Anchors),
    /// Signs the request.
    SigningGift(CardId, Advance, Unsigned<GiftRequest>, Anchors),
    /// Stores the end of the card with the request.
    Storing(CardId, Signed<GiftRequest>, Anchors),
    /// Waits for the certificate.
    ExpectCertificate(CardId, Hash, Anchors),
    /// Waits for the number.
    ExpectNumber(CardId, Hash, Anchors),
    /// Stores the answer.
    Keeping(AwayNotice),
    /// Ended.
    Over,
}

type Next = Step<Away, AwayNotice>;

impl Away {
    fn over(notice: AwayNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    /// A registration is made of what is stored: it has the same bytes each time, but for a signature that may differ.
    fn register(card: CardId, (wallet, key): (DeviceId, PublicKey), anchors: Anchors, context: &Context<'_>) -> Next {
        let purse = load_purse(context.records, card).filter(|purse| !purse.hops().is_empty());
        let Some(purse) = purse else {
            return Self::over(AwayNotice::Cannot(GiveRefusal::NoCard));
        };
        let Some(proof) = Taking::load(context.records, card).and_then(|taking| taking.registers) else {
            return Self::over(AwayNotice::Failed(Fault::Storage));
        };
        let body = Register {
            wallet,
            card,
            generation: purse.certificate.claimed().generation,
            title: purse.hops().to_vec(),
            proof,
            extensions: Default::default(),
        };
        let body = Unsigned::new(body, key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: body.tbs(&[]) };
        Step::new(Self::SigningRegister(card, body, anchors), [sign])
    }

    fn registered(card: CardId, request: &Hash, anchors: &Anchors, bytes: &[u8], context: &Context<'_>) -> Next {
        let reply = match read_reply::<InstallReply>(bytes, request, anchors, context) {
            Some(Answered::Reply(reply)) => reply,
            Some(Answered::Refused(refused)) => return Self::over(AwayNotice::Refused(refused)),
            None => return Self::over(AwayNotice::NotTrusted),
        };
        let certificate = CardCertificate::certified(reply.certificate.clone(), anchors, context.now, context.verifier);
        let (Ok(certificate), Some(purse)) = (certificate, load_purse(context.records, card)) else {
            return Self::over(AwayNotice::NotTrusted);
        };
        let ours = (certificate.card, certificate.generation, certificate.key);
        if ours != (card, purse.generation(), purse.key()) {
            return Self::over(AwayNotice::NotTrusted);
        }
        let mut after = purse.clone();
        after.register(certificate.into_signed());
        after = after.seated(reply.seat_name.as_ref());
        let mut batch = Batch::default();
        batch.replace(purse_key(card), Some(purse.to_bytes()), after.to_bytes());
        Step::new(Self::Keeping(AwayNotice::Registered(card)), [Effect::Store(batch)])
    }

    fn gift(card: CardId, (wallet, key): (DeviceId, PublicKey), anchors: Anchors, context: &Context<'_>) -> Next {
        let Some(purse) = load_purse(context.records, card) else {
            return Self::over(AwayNotice::Cannot(GiveRefusal::NoCard));
        };
        // Asked for before: the same again.
        if let Some(kept) = GiftKept::load(context.records, card).filter(|kept| kept.generation == purse.generation()) {
            return match (kept.number, kept.until) {
                (Some(number), Some(until)) => Self::over(AwayNotice::Gift { number, until }),
                _ => {
                    let (hash, bytes) = (kept.request.hash(&[]), kept.request.encode());
                    Step::new(Self::ExpectNumber(card, hash, anchors), [Effect::Send(bytes)])
                }
            };
        }
        let Some(terms) = load_terms(context.records, purse.certificate.claimed().terms) else {
            return Self::over(AwayNotice::Failed(Fault::Storage));
        };
        if let Some(why) = why_not(context.records, &purse, &terms, context.now, true) {
            return Self::over(AwayNotice::Cannot(why));
        }
        let used = used(context.records, &purse, &terms);
        match purse.lock(anchors.provider, used, context.now) {
            Ok(advance) => {
                let tbs = advance.event.tbs(&advance.context);
                let sign = Effect::Sign { key: SigningKey::Card(card), tbs };
                Step::new(Self::SigningLock(card, advance, (wallet, key, used), anchors), [sign])
            }
            Err(_) => Self::over(AwayNotice::Cannot(GiveRefusal::Blocked)),
        }
    }

    fn locked(
        card: CardId,
        advance: Advance,
        (wallet, key, used): (DeviceId, PublicKey, u64),
        anchors: Anchors,
        by: Signature,
        context: &Context<'_>,
    ) -> Next {
        let body = GiftRequest {
            wallet,
            card,
            generation: advance.purse.generation(),
            event: advance.event.clone().sign(by),
            used,
            at: context.now,
            extensions: Default::default(),
        };
        debug_assert_eq!(body.event.claimed().event, EventKind::Lock);
        let body = Unsigned::new(body, key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: body.tbs(&[]) };
        Step::new(Self::SigningGift(card, advance, body, anchors), [sign])
    }

    /// The end of this copy, with what is asked: before it is asked.
    fn keep(
        card: CardId,
        advance: Advance,
        request: Signed<GiftRequest>,
        anchors: Anchors,
        context: &Context<'_>,
    ) -> Next {
        let Some(before) = load_purse(context.records, card) else {
            return Self::over(AwayNotice::Failed(Fault::Storage));
        };
        // Spent or shown meanwhile: another process wins (R13).
        if before.seq.saturating_add(1) != advance.purse.seq || before.generation() != advance.purse.generation() {
            return Self::over(AwayNotice::Failed(Fault::Raced));
        }
        let kept = GiftKept {
            generation: advance.purse.generation(),
            request: request.clone(),
            number: None,
            until: None,
            arrived: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.replace(purse_key(card), Some(before.to_bytes()), advance.purse.to_bytes());
        batch.put(GiftKept::key(card), kept.to_bytes());
        Step::new(Self::Storing(card, request, anchors), [Effect::Store(batch)])
    }

    fn numbered(card: CardId, request: &Hash, anchors: &Anchors, bytes: &[u8], context: &Context<'_>) -> Next {
        let reply = match read_reply::<Gift>(bytes, request, anchors, context) {
            Some(Answered::Reply(reply)) if reply.card == card => reply,
            Some(Answered::Refused(refused)) => return Self::over(AwayNotice::Refused(refused)),
            _ => return Self::over(AwayNotice::NotTrusted),
        };
        let Some(kept) = GiftKept::load(context.records, card) else {
            return Self::over(AwayNotice::Failed(Fault::Storage));
        };
        let (number, until) = (reply.number.clone(), reply.until);
        let after = GiftKept { number: Some(number.clone()), until: Some(until), ..kept.clone() };
        let mut batch = Batch::default();
        batch.replace(GiftKept::key(card), Some(kept.to_bytes()), after.to_bytes());
        Step::new(Self::Keeping(AwayNotice::Gift { number, until }), [Effect::Store(batch)])
    }
}

impl Talk for Away {
    type Notice = AwayNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(Wish::Register(card), who, anchors), Event::Tick) => {
                Self::register(card, who, anchors, context)
            }
            (Self::Start(Wish::Gift(card), who, anchors), Event::Tick) => Self::gift(card, who, anchors, context),
            (Self::SigningRegister(card, body, anchors), Event::Signed(by)) => {
                let hash = body.hash(&[]);
                let bytes = body.sign(by).encode();
                Step::new(Self::ExpectCertificate(card, hash, anchors), [Effect::Send(bytes)])
            }
            (Self::SigningLock(card, advance, who, anchors), Event::Signed(by)) => {
                Self::locked(card, advance, who, anchors, by, context)
            }
            (Self::SigningGift(card, advance, body, anchors), Event::Signed(by)) => {
                Self::keep(card, advance, body.sign(by), anchors, context)
            }
            // Durable before sent: this copy is dead from here on.
            (Self::Storing(card, request, anchors), Event::Stored) => {
                let (hash, bytes) = (request.hash(&[]), request.encode());
                Step::new(Self::ExpectNumber(card, hash, anchors), [Effect::Send(bytes)])
            }
            (Self::ExpectCertificate(card, hash, anchors), Event::Received(bytes)) => {
                Self::registered(card, &hash, &anchors, &bytes, context)
            }
            (Self::ExpectNumber(card, hash, anchors), Event::Received(bytes)) => {
                Self::numbered(card, &hash, &anchors, &bytes, context)
            }
            (Self::Keeping(notice), Event::Stored) => Self::over(notice),
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(AwayNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
