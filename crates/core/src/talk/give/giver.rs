//! The giver's side: the copy is dead before anybody hears of it, and from then on it says the same bytes again.

use super::messages::*;
use crate::card::payment::{Advance, CannotSpend, Purse, PurseState};
use crate::card::title::{Handover, Hop, is_allowed, register_by};
use crate::card::{CardKind, Terms, ticket};
use crate::id::{CardId, Hash};
use crate::message;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Break, Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::enter::{Pass, SessionSignature};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::talk::pay::{load_purse, purse_key};
use crate::talk::update::load_terms;
use crate::wire::canonical::Wire;
use crate::wire::signed::Signature;
use alloc::{string::String, vec, vec::Vec};

message! {
    /// A card that was handed over, as its giver keeps it.
    pub struct HandedOver {
        /// The generation that was given.
        1 generation: u64,
        /// The hand-over, and exits: what is said again.
        2 given: Given,
        /// The receiver's signature that it was stored.
        3 taken: Option<SessionSignature>,
        /// When somebody has registered it, as the provider said first.
        4 arrived: Option<crate::Time>,
    }
}

impl HandedOver {
    /// Where it is stored.
    pub fn key(card: CardId) -> RecordKey {
        RecordKey::new(Space::Ticket, [b"give".as_slice(), &card.0].concat())
    }
    /// Reads it, if this wallet's copy of the card is the one that was given.
    pub fn load(records: &dyn Records, purse: &Purse) -> Option<Self> {
        let kept = Self::from_bytes(&records.get(&Self::key(purse.card()))?).ok()?;
        (kept.generation == purse.generation()).then_some(kept)
    }
    /// The provider has said when this generation was registered by whoever has it: kept once.
    pub fn arrive(records: &dyn Records, (card, generation): (CardId, u64), at: crate::Time) -> Batch {
        let mut batch = Batch::default();
        let kept = records.get(&Self::key(card)).and_then(|bytes| Self::from_bytes(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.generation == generation && kept.arrived.is_none()) {
            let after = Self { arrived: Some(at), ..kept.clone() };
            batch.replace(Self::key(card), Some(kept.to_bytes()), after.to_bytes());
        }
        batch
    }
    /// Whether this wallet has given an earlier generation of the card that it holds, and nobody has registered that.
    pub fn came_back(records: &dyn Records, purse: &Purse) -> bool {
        let kept = records.get(&Self::key(purse.card())).and_then(|bytes| Self::from_bytes(&bytes).ok());
        kept.is_some_and(|kept| kept.generation < purse.generation() && kept.arrived.is_none())
    }
}

/// Why a ticket cannot be given now; `None`: it can. `away`: through the provider, which sees it.
pub fn why_not(
    records: &dyn Records,
    purse: &Purse,
    terms: &Terms,
    now: crate::Time,
    away: bool,
) -> Option<GiveRefusal> {
    let said = purse.certificate.claimed();
    if terms.kind != CardKind::Ticket || terms.handovers == 0 {
        return Some(GiveRefusal::NotTransferable);
    }
    let Some(ticket) = ticket::of(terms) else {
        return Some(GiveRefusal::NotTransferable);
    };
    if purse.state != PurseState::Active {
        return Some(GiveRefusal::Blocked);
    }
    let over = now >= said.until || now >= ticket.until || ticket.give_until.is_some_and(|until| now >= until);
    if over {
        return Some(GiveRefusal::TooLate);
    }
    if away && !purse.hops().is_empty() || purse.hops().iter().any(|hop| now >= hop.until) {
        return Some(GiveRefusal::Unregistered);
    }
    if let Err(why) = is_allowed(said, purse.hops().len().saturating_add(1), terms) {
        return Some(why.into());
    }
    let passes = || ticket.zones.iter().map(|zone| Pass::load(records, purse, *zone).0);
    if passes().any(|pass| pass.inside) {
        return Some(GiveRefusal::Inside);
    }
    passes().any(|pass| pass.is_pending()).then_some(GiveRefusal::Pending)
}

/// The highest entry that was used in any zone: what follows it is the receiver's.
pub(super) fn used(records: &dyn Records, purse: &Purse, terms: &Terms) -> u64 {
    let zones = ticket::of(terms).map_or(&[][..], |ticket| &ticket.zones);
    let entries = zones.iter().map(|zone| Pass::load(records, purse, *zone).0.entry);
    entries.fold(purse.used(), u64::max)
}

fn exits(records: &dyn Records, purse: &Purse, terms: &Terms) -> Option<Vec<Exit>> {
    let zones = ticket::of(terms).map_or(&[][..], |ticket| &ticket.zones);
    let exit = |zone: &u64| {
        let left = Pass::load(records, purse, *zone).0.left?;
        Some(Exit { zone: *zone, left, extensions: Default::default() })
    };
    let exits: Vec<_> = zones.iter().filter_map(exit).take(2).collect();
    (!exits.is_empty()).then_some(exits)
}

/// What is given.
#[derive(Clone, Copy, Debug)]
pub struct GiveCard {
    /// The card.
    pub card: CardId,
}

/// What the giver sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiverNotice {
    /// Give it to the wallet whose screen shows the same code? Asks: [`Event::Agreed`] or [`Event::Declined`].
    Consent {
        /// The code.
        code: String,
    },
    /// It is given, and this copy is dead. Until the receiver has gone online the ticket must be touched: a gate that has only a
    /// camera does not take it (R21).
    Given {
        /// Which.
        card: CardId,
        /// The receiver registers before then; else it comes back.
        until: crate::Time,
    },
    /// The receiver has stored it.
    Taken,
    /// No.
    Refused(GiveRefusal),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// What the giver offers in this session.
#[derive(Clone, Debug)]
pub struct Offering {
    session: Hash,
    purse: Purse,
    terms: Terms,
    nonce: Hash,
    handover: (crate::Time, u64, crate::Time),
    /// Given before: to whom, and what is said again.
    before: Option<HandedOver>,
}

/// The giver's states.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum Giver {
    /// Waits for the session.
    Idle(GiveCard),
    /// Waits for the acceptance, or to hear that it was taken before.
    ExpectAcceptance(Offering),
    /// Waits for the person.
    Consent(Offering, Acceptance),
    /// Signs the hand-over.
    Signing(Offering, Handover, Advance),
    /// Stores it.
    Storing(CardId, HandedOver),
    /// Waits to hear that it is stored there.
    ExpectTaken(CardId, HandedOver),
    /// Stores that it is.
    Keeping,
    /// Ended.
    Over,
}

type Next = Step<Giver, GiverNotice>;

fn send(message: &GiveMessage) -> Effect<GiverNotice> {
    Effect::Send(message.to_bytes())
}

impl Giver {
    /// Waits for another wallet to touch.
    pub fn new(give: GiveCard) -> Self {
        Self::Idle(give)
    }
    fn refuse(why: GiveRefusal) -> Next {
        Step::new(Self::Over, [send(&GiveMessage::Refused(why)), Effect::Show(GiverNotice::Refused(why))])
    }
    fn refused(why: GiveRefusal) -> Next {
        Step::new(Self::Over, [Effect::Show(GiverNotice::Refused(why))])
    }
    fn fail(fault: Fault) -> Next {
        let told = send(&GiveMessage::Refused(GiveRefusal::OutOfOrder));
        Step::new(Self::Over, [told, Effect::Show(GiverNotice::Failed(fault))])
    }

    fn offer(give: GiveCard, session: Hash, context: &Context<'_>) -> Next {
        let Some(purse) = load_purse(context.records, give.card) else {
            return Self::refuse(GiveRefusal::NoCard);
        };
        let Some(terms) = load_terms(context.records, purse.certificate.claimed().terms) else {
            return Self::fail(Fault::Storage);
        };
        let before = HandedOver::load(context.records, &purse).filter(|_| purse.state == PurseState::Ended);
        if let (None, Some(why)) = (&before, why_not(context.records, &purse, &terms, context.now, false)) {
            return Self::refuse(why);
        }
        let handover = match &before {
            Some(before) => (before.given.hop.until, before.given.hop.used, before.given.hop.at),
            None => (register_by(&terms, context.now), used(context.records, &purse, &terms), context.now),
        };
        let nonce = Hash::of(&[b"tegata give nonce v1".as_slice(), &context.entropy].concat());
        let offer = GiveOffer {
            certificate: purse.certificate.clone(),
            terms: terms.clone(),
            title: purse.title.clone(),
            until: handover.0,
            used: handover.1,
            at: handover.2,
            commit: Hash::of(&nonce.0),
            seat_name: purse.seat_name.clone(),
            extensions: Default::default(),
        };
        let offering = Offering { session, purse, terms, nonce, handover, before };
        Step::new(Self::ExpectAcceptance(offering), [send(&GiveMessage::Offer(offer))])
    }

    /// A key that proves that it is at hand. One that was given to before needs no consent, every other is refused.
    fn accepted(offering: Offering, acceptance: Acceptance, context: &Context<'_>) -> Next {
        let (card, generation) = (offering.purse.card(), offering.purse.generation());
        let takes = Proof::Takes(offering.session, card, generation);
        if !takes.holds(&acceptance.key, acceptance.proof, context.verifier) {
            return Self::refuse(GiveRefusal::NotTrusted);
        }
        let reveal = send(&GiveMessage::Reveal(Reveal { nonce: offering.nonce, extensions: Default::default() }));
        if let Some(before) = offering.before {
            if before.given.hop.to != acceptance.key {
                return Self::refuse(GiveRefusal::Locked);
            }
            // Stored long ago.
            let again = send(&GiveMessage::Given(before.given.clone()));
            return Step::new(Self::ExpectTaken(card, before), [reveal, again]);
        }
        let code = short_code(&offering.session, &offering.nonce, &acceptance.nonce);
        Step::new(Self::Consent(offering, acceptance), [reveal, Effect::Show(GiverNotice::Consent { code })])
    }

    fn agreed(offering: Offering, acceptance: &Acceptance) -> Next {
        let (until, used, at) = offering.handover;
        let handover = Handover { to: acceptance.key, until, used, at };
        match offering.purse.hand_over(handover) {
            Ok(advance) => {
                let tbs = advance.event.tbs(&advance.context);
                let sign = Effect::Sign { key: SigningKey::Card(offering.purse.card()), tbs };
                Step::new(Self::Signing(offering, handover, advance), [sign])
            }
            Err(CannotSpend::Unregistered) => Self::refuse(GiveRefusal::Unregistered),
            Err(_) => Self::refuse(GiveRefusal::Blocked),
        }
    }

    /// The end of this copy, what is said again, and the log's entry: one batch, before anything leaves (R12, R13).
    fn keep(offering: &Offering, handover: Handover, advance: Advance, by: Signature, context: &Context<'_>) -> Next {
        let purse = &offering.purse;
        let (card, generation) = (purse.card(), purse.generation());
        let Some(journal) = Journal::load(context.records) else {
            return Self::fail(Fault::Storage);
        };
        // A gate may have been touched while the people looked at their screens.
        if let Some(why) = why_not(context.records, purse, &offering.terms, context.now, false) {
            return Self::refuse(why);
        }
        if used(context.records, purse, &offering.terms) != handover.used {
            return Self::refuse(GiveRefusal::Pending);
        }
        let hop = Hop::new(advance.event.sign(by), handover);
        let exits = exits(context.records, purse, &offering.terms);
        let title: Vec<_> = purse.hops().iter().cloned().chain([hop.clone()]).collect();
        let kept = HandedOver {
            generation,
            given: Given { hop, exits, extensions: Default::default() },
            taken: None,
            arrived: None,
            extensions: Default::default(),
        };
        let entry = LogEntry {
            card: Some(card),
            generation: Some(generation),
            title: Some(title),
            ..LogEntry::new(EntryKind::Given, context.now, 0)
        };
        let mut batch = Batch::default();
        batch.replace(purse_key(card), Some(purse.to_bytes()), advance.purse.to_bytes());
        batch.put(HandedOver::key(card), kept.to_bytes());
        journal.append(&[entry], &mut batch);
        let mut effects = vec![Effect::Store(batch)];
        if context.broken.has(Break::GivenBeforeStored) {
            effects.insert(0, send(&GiveMessage::Given(kept.given.clone())));
        }
        Step::new(Self::Storing(card, kept), effects)
    }

    fn taken(card: CardId, kept: &HandedOver, taken: &Taken, context: &Context<'_>) -> Next {
        let hop = &kept.given.hop;
        if !Proof::Has(hop.hash(card, kept.generation)).holds(&hop.to, taken.proof, context.verifier) {
            return Self::refused(GiveRefusal::NotTrusted);
        }
        let after = HandedOver { taken: Some(taken.proof), ..kept.clone() };
        let mut batch = Batch::default();
        // The provider may have said meanwhile that it has arrived (R13).
        batch.replace(HandedOver::key(card), Some(kept.to_bytes()), after.to_bytes());
        Step::new(Self::Keeping, [Effect::Store(batch)])
    }
}

impl Talk for Giver {
    type Notice = GiverNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(give), Event::Opened(session)) => Self::offer(give, session, context),
            (Self::ExpectAcceptance(offering), Event::Received(bytes)) => match GiveMessage::received(&bytes) {
                Ok(GiveMessage::Acceptance(acceptance)) => Self::accepted(offering, acceptance, context),
                Ok(GiveMessage::Taken(taken)) => match &offering.before {
                    Some(before) => Self::taken(offering.purse.card(), before, &taken, context),
                    None => Self::refuse(GiveRefusal::Malformed),
                },
                Ok(GiveMessage::Refused(why)) => Self::refused(why),
                _ => Self::refuse(GiveRefusal::Malformed),
            },
            (Self::Consent(offering, acceptance), Event::Agreed) => Self::agreed(offering, &acceptance),
            (Self::Consent(..), Event::Declined) => Self::refuse(GiveRefusal::Declined),
            (Self::Consent(..), Event::Received(bytes)) => match GiveMessage::received(&bytes) {
                Ok(GiveMessage::Refused(why)) => Self::refused(why),
                _ => Self::refuse(GiveRefusal::Malformed),
            },
            (Self::Signing(offering, handover, advance), Event::Signed(by)) => {
                Self::keep(&offering, handover, advance, by, context)
            }
            // Durable before sent: this copy is dead from here on.
            (Self::Storing(card, kept), Event::Stored) => {
                let until = kept.given.hop.until;
                let mut effects = vec![Effect::Show(GiverNotice::Given { card, until })];
                if !context.broken.has(Break::GivenBeforeStored) {
                    effects.insert(0, send(&GiveMessage::Given(kept.given.clone())));
                }
                Step::new(Self::ExpectTaken(card, kept), effects)
            }
            (Self::ExpectTaken(card, kept), Event::Received(bytes)) => match GiveMessage::received(&bytes) {
                Ok(GiveMessage::Taken(taken)) => Self::taken(card, &kept, &taken, context),
                Ok(GiveMessage::Refused(why)) => Self::refused(why),
                _ => Self::refused(GiveRefusal::Malformed),
            },
            (Self::Keeping, Event::Stored) => Step::new(Self::Over, [Effect::Show(GiverNotice::Taken)]),
            (_, Event::Failed(fault)) => Self::fail(fault),
            // What is stored stays: the next touch says it again.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
