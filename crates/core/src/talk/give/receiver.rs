//! The receiver's side: a new key is stored before it is named, and the card before it is said to be here.

use super::messages::*;
use crate::card::payment::{Purse, PurseState};
use crate::card::title::{Holder, holder, is_allowed};
use crate::card::{CardCertificate, CardKind, ticket};
use crate::id::{CardId, DeviceId, Hash};
use crate::message;
use crate::money::Amount;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::enter::{Pass, SessionSignature};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::talk::pay::{load_purse, purse_key};
use crate::wire::canonical::Wire;
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signature};
use alloc::{string::String, vec, vec::Vec};

message! {
    /// A card that is being taken, or was, as its receiver keeps it.
    pub struct Taking {
        /// The generation that is given.
        1 generation: u64,
        /// The key that was named.
        2 key: PublicKey,
        /// That it is stored, as the giver is told.
        3 taken: Option<SessionSignature>,
        /// That it is this wallet's, as the provider is told.
        4 registers: Option<SessionSignature>,
        /// The key that gives it.
        5 from: Option<PublicKey>,
    }
}

impl Taking {
    /// Where it is stored.
    pub fn key(card: CardId) -> RecordKey {
        RecordKey::new(Space::Ticket, [b"take".as_slice(), &card.0].concat())
    }
    /// Reads it.
    pub fn load(records: &dyn Records, card: CardId) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(card))?).ok()
    }
}

/// Who takes.
#[derive(Clone, Debug)]
pub struct Taker {
    /// The wallet; crosses no tap (R17).
    pub wallet: DeviceId,
    /// A new key for the card to come; durable.
    pub key: PublicKey,
    /// Whom the wallet trusts.
    pub anchors: Anchors,
}

/// What the receiver sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverNotice {
    /// Take this? Asks: [`Event::Agreed`] or [`Event::Declined`].
    Consent {
        /// What people call it.
        name: String,
        /// Its seat, by its number in the plan.
        seat: Option<u64>,
        /// What stands on it.
        seat_name: Option<String>,
        /// Entries that are left.
        left: u64,
        /// The most that its terms let anybody ask for it: told to both people, since no money moves here.
        most: Option<Amount>,
        /// To be registered before then.
        until: crate::Time,
    },
    /// The code that the giver's screen shows, too, where the giver is asked.
    Code(String),
    /// It is here. Go online before `until`, or it goes back; until then it is touched, not shown to a camera (R21).
    Taken {
        /// Which.
        card: CardId,
        /// When it has to be registered.
        until: crate::Time,
    },
    /// No.
    Refused(GiveRefusal),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// What is offered in this session, proven.
#[derive(Clone, Debug)]
pub struct Offered {
    session: Hash,
    offer: GiveOffer,
    held: Holder,
    key: PublicKey,
    nonce: Hash,
    /// Agreed to in an earlier session.
    known: bool,
}

/// A card on its way into the store.
#[derive(Clone, Debug)]
pub struct Arriving {
    offered: Offered,
    given: Given,
    taken: Option<SessionSignature>,
}

/// The receiver's states.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum Receiver {
    /// Waits for the session.
    Idle(Taker),
    /// Waits for the offer.
    ExpectOffer(Taker, Hash),
    /// Waits for the person.
    Consent(Taker, Offered),
    /// Signs with the new key that it is at hand.
    Accepting(Taker, Offered),
    /// Stores the key's purpose.
    StoringKey(Taker, Offered, SessionSignature),
    /// Waits for the giver's part of the code.
    ExpectReveal(Taker, Offered),
    /// Waits for the hand-over.
    ExpectGiven(Taker, Offered),
    /// Signs that it is stored, which is said only once it is.
    SigningTaken(Taker, Arriving),
    /// Signs that it is this wallet's.
    SigningRegisters(Taker, Arriving),
    /// Stores the card.
    Storing(Arriving),
    /// Ended.
    Over,
}

type Next = Step<Receiver, ReceiverNotice>;

fn send(message: &GiveMessage) -> Effect<ReceiverNotice> {
    Effect::Send(message.to_bytes())
}

fn told(proof: SessionSignature) -> Effect<ReceiverNotice> {
    send(&GiveMessage::Taken(Taken { proof, extensions: Default::default() }))
}

impl Receiver {
    /// Touches a wallet that gives.
    pub fn new(taker: Taker) -> Self {
        Self::Idle(taker)
    }
    fn refuse(why: GiveRefusal) -> Next {
        Step::new(Self::Over, [send(&GiveMessage::Refused(why)), Effect::Show(ReceiverNotice::Refused(why))])
    }
    fn refused(why: GiveRefusal) -> Next {
        Step::new(Self::Over, [Effect::Show(ReceiverNotice::Refused(why))])
    }
    fn fail(fault: Fault) -> Next {
        let told = send(&GiveMessage::Refused(GiveRefusal::OutOfOrder));
        Step::new(Self::Over, [told, Effect::Show(ReceiverNotice::Failed(fault))])
    }

    fn offered(taker: Taker, session: Hash, offer: GiveOffer, context: &Context<'_>) -> Next {
        let (now, by) = (context.now, context.verifier);
        let Ok(said) = CardCertificate::certified(offer.certificate.clone(), &taker.anchors, now, by) else {
            return Self::refuse(GiveRefusal::NotTrusted);
        };
        if offer.terms.handle() != said.terms || offer.terms.kind != CardKind::Ticket {
            return Self::refuse(GiveRefusal::NotTrusted);
        }
        let hops = offer.title.clone().unwrap_or_default();
        let held = match holder(&said, &hops, &offer.terms, now, by) {
            Ok(held) => held,
            Err(why) => return Self::refuse(why.into()),
        };
        let card = held.card;
        // Of two that say to hold one generation each is somebody else.
        let same =
            |taking: &Taking| taking.generation == held.generation && taking.from.is_none_or(|it| it == held.key);
        let known = Taking::load(context.records, card).filter(same);
        // It is here already, and the giver has not heard of it.
        if let Some(proof) = known.as_ref().and_then(|taking| taking.taken) {
            let until = offer.until;
            let shown = Effect::Show(ReceiverNotice::Taken { card, until });
            return Step::new(Self::Over, [told(proof), shown]);
        }
        if taker.anchors.is_dead(card, said.generation) {
            return Self::refuse(GiveRefusal::Blocked);
        }
        if offer.terms.handovers == 0 {
            return Self::refuse(GiveRefusal::NotTransferable);
        }
        if let Err(why) = is_allowed(&said, hops.len().saturating_add(1), &offer.terms) {
            return Self::refuse(why.into());
        }
        if now >= offer.until {
            return Self::refuse(GiveRefusal::Unregistered);
        }
        // What this wallet holds is not given to it.
        let holds = |purse: &Purse| purse.state == PurseState::Active || purse.generation() > held.generation;
        if load_purse(context.records, card).is_some_and(|purse| holds(&purse)) {
            return Self::refuse(GiveRefusal::Malformed);
        }
        let key = known.as_ref().map_or(taker.key, |taking| taking.key);
        let nonce = Hash::of(&[b"tegata take nonce v1".as_slice(), &context.entropy].concat());
        let offered = Offered { session, offer, held, key, nonce, known: known.is_some() };
        if offered.known {
            return Self::accept(taker, offered);
        }
        let ticket = ticket::of(&offered.offer.terms);
        let consent = ReceiverNotice::Consent {
            name: offered.offer.terms.name.clone(),
            seat: said.seat,
            seat_name: offered.offer.seat_name.clone(),
            left: ticket.map_or(0, |ticket| ticket.entries).saturating_sub(offered.offer.used),
            most: ticket.and_then(|ticket| ticket.give_price),
            until: offered.offer.until,
        };
        Step::new(Self::Consent(taker, offered), [Effect::Show(consent)])
    }

    fn accept(taker: Taker, offered: Offered) -> Next {
        let takes = Proof::Takes(offered.session, offered.held.card, offered.held.generation);
        let sign = Effect::Sign { key: SigningKey::Offer(offered.key), tbs: takes.tbs(&offered.key) };
        Step::new(Self::Accepting(taker, offered), [sign])
    }

    /// The key is durable; what it is for is, too, before it is named (R18).
    fn keep_key(taker: Taker, offered: Offered, by: Signature) -> Next {
        let taking = Taking {
            generation: offered.held.generation,
            key: offered.key,
            taken: None,
            registers: None,
            from: Some(offered.held.key),
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.put(Taking::key(offered.held.card), taking.to_bytes());
        Step::new(Self::StoringKey(taker, offered, SessionSignature(by)), [Effect::Store(batch)])
    }

    fn revealed(taker: Taker, offered: Offered, reveal: &Reveal) -> Next {
        if Hash::of(&reveal.nonce.0) != offered.offer.commit {
            return Self::refuse(GiveRefusal::NotTrusted);
        }
        let code = short_code(&offered.session, &reveal.nonce, &offered.nonce);
        // Also in a session that goes on with an earlier one: the giver may have declined that, and is asked again.
        Step::new(Self::ExpectGiven(taker, offered), [Effect::Show(ReceiverNotice::Code(code))])
    }

    fn given(taker: Taker, offered: Offered, given: Given, context: &Context<'_>) -> Next {
        let hop = &given.hop;
        let offer = &offered.offer;
        let promised = (hop.to, hop.until, hop.used, hop.at) == (offered.key, offer.until, offer.used, offer.at);
        let hops: Vec<_> = offer.title.iter().flatten().cloned().chain([hop.clone()]).collect();
        let certificate = offer.certificate.claimed();
        let held = holder(certificate, &hops, &offer.terms, context.now, context.verifier);
        if !promised || held.is_err() {
            return Self::refuse(GiveRefusal::NotTrusted);
        }
        let has = Proof::Has(hop.hash(offered.held.card, offered.held.generation));
        let sign = Effect::Sign { key: SigningKey::Offer(offered.key), tbs: has.tbs(&offered.key) };
        Step::new(Self::SigningTaken(taker, Arriving { offered, given, taken: None }), [sign])
    }

    fn taken(taker: Taker, arriving: Arriving, by: Signature) -> Next {
        let (held, key) = (&arriving.offered.held, arriving.offered.key);
        let registers = Proof::Registers(held.card, held.generation.saturating_add(1), taker.wallet);
        let sign = Effect::Sign { key: SigningKey::Offer(key), tbs: registers.tbs(&key) };
        let arriving = Arriving { taken: Some(SessionSignature(by)), ..arriving };
        Step::new(Self::SigningRegisters(taker, arriving), [sign])
    }

    /// The card, its title, what is said of it and the log's entry, in one batch.
    fn keep(arriving: Arriving, registers: SessionSignature, context: &Context<'_>) -> Next {
        let Some(journal) = Journal::load(context.records) else {
            return Self::fail(Fault::Storage);
        };
        let Offered { offer, held, key, .. } = &arriving.offered;
        let (card, generation) = (held.card, held.generation.saturating_add(1));
        let hops: Vec<_> = offer.title.iter().flatten().cloned().chain([arriving.given.hop.clone()]).collect();
        let purse = Purse::received(offer.certificate.clone(), hops.clone()).seated(offer.seat_name.as_ref());
        let taking = Taking {
            generation: held.generation,
            key: *key,
            taken: arriving.taken,
            registers: Some(registers),
            from: Some(held.key),
            extensions: Default::default(),
        };
        let entry = LogEntry {
            card: Some(card),
            generation: Some(generation),
            title: Some(hops),
            proof: Some(registers),
            ..LogEntry::new(EntryKind::Taken, context.now, 0)
        };
        let mut batch = Batch::default();
        batch.replace(purse_key(card), context.records.get(&purse_key(card)), purse.to_bytes());
        batch.put(Taking::key(card), taking.to_bytes());
        batch.put(RecordKey::new(Space::Terms, offer.terms.handle().0), offer.terms.to_bytes());
        for exit in arriving.given.exits.iter().flatten() {
            let pass = Pass { left: Some(exit.left.clone()), ..Pass::new(generation, offer.used) };
            batch.put(Pass::key(card, exit.zone), pass.to_bytes());
        }
        journal.append(&[entry], &mut batch);
        Step::new(Self::Storing(arriving), [Effect::Store(batch)])
    }
}

impl Talk for Receiver {
    type Notice = ReceiverNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(taker), Event::Opened(session)) => Step::new(Self::ExpectOffer(taker, session), vec![]),
            (Self::ExpectOffer(taker, session), Event::Received(bytes)) => match GiveMessage::received(&bytes) {
                Ok(GiveMessage::Offer(offer)) => Self::offered(taker, session, offer, context),
                Ok(GiveMessage::Refused(why)) => Self::refused(why),
                _ => Self::refuse(GiveRefusal::Malformed),
            },
            (Self::Consent(taker, offered), Event::Agreed) => Self::accept(taker, offered),
            (Self::Consent(..), Event::Declined) => Self::refuse(GiveRefusal::Declined),
            (Self::Accepting(taker, offered), Event::Signed(by)) => Self::keep_key(taker, offered, by),
            (Self::StoringKey(taker, offered, proof), Event::Stored) => {
                let (key, nonce) = (offered.key, offered.nonce);
                let acceptance = Acceptance { key, nonce, proof, extensions: Default::default() };
                Step::new(Self::ExpectReveal(taker, offered), [send(&GiveMessage::Acceptance(acceptance))])
            }
            (Self::ExpectReveal(taker, offered), Event::Received(bytes)) => match GiveMessage::received(&bytes) {
                Ok(GiveMessage::Reveal(reveal)) => Self::revealed(taker, offered, &reveal),
                Ok(GiveMessage::Refused(why)) => Self::refused(why),
                _ => Self::refuse(GiveRefusal::Malformed),
            },
            (Self::ExpectGiven(taker, offered), Event::Received(bytes)) => match GiveMessage::received(&bytes) {
                Ok(GiveMessage::Given(given)) => Self::given(taker, offered, given, context),
                Ok(GiveMessage::Refused(why)) => Self::refused(why),
                _ => Self::refuse(GiveRefusal::Malformed),
            },
            (Self::ExpectGiven(..), Event::Declined) => Self::refuse(GiveRefusal::Declined),
            (Self::SigningTaken(taker, arriving), Event::Signed(by)) => Self::taken(taker, arriving, by),
            (Self::SigningRegisters(_, arriving), Event::Signed(by)) => {
                Self::keep(arriving, SessionSignature(by), context)
            }
            // Durable before sent.
            (Self::Storing(arriving), Event::Stored) => {
                let (card, until) = (arriving.offered.held.card, arriving.given.hop.until);
                let mut effects: Vec<_> = arriving.taken.map(told).into_iter().collect();
                effects.push(Effect::Show(ReceiverNotice::Taken { card, until }));
                Step::new(Self::Over, effects)
            }
            (_, Event::Failed(fault)) => Self::fail(fault),
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
