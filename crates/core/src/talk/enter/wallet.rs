//! The wallet's side of a gate: what it shows is stored before it leaves, and what a gate answered is kept.

use super::MAX_EARLIER;
use super::messages::*;
use crate::card::payment::{Purse, PurseState};
use crate::card::ticket::{GATE_TOLERANCE, TicketTerms};
use crate::card::{Terms, ticket};
use crate::id::{CardId, DeviceId, EventId, Hash};
use crate::message;
use crate::money::Time;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Break, Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::give::{GiftKept, HandedOver};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::talk::pay::load_purse;
use crate::wire::canonical::Wire;
use crate::wire::certificate::{Anchors, Certificate, Role, SessionProof, Untrusted};
use crate::wire::signed::{Signature, Signed, Unsigned, Verified};
use alloc::{string::String, vec, vec::Vec};

message! {
    /// One presentation of the entry that is next, and what came of it.
    pub struct Attempt {
        /// What was shown.
        1 presentation: Signed<Presentation>,
        /// In which session.
        2 session: Hash,
        /// The gate's certificate.
        3 gate: Signed<Certificate>,
        /// The event.
        4 event: EventId,
        /// The zone.
        5 zone: u64,
        /// Which way.
        6 direction: Direction,
        /// The gate's refusal, if it has answered.
        7 refused: Option<Signed<Admission>>,
    }
}

impl Attempt {
    fn device(&self) -> DeviceId {
        self.gate.claimed().subject.device()
    }
    /// The hash that names the presentation.
    pub fn hash(&self, card: CardId, generation: u64) -> Hash {
        let (session, event, zone, direction) = (self.session, self.event, self.zone, self.direction);
        let at = Gateway { session, gate: self.device(), event, zone, direction };
        self.presentation.hash(&Presentation::context(card, generation, &at))
    }
    /// Whether it asked to come in and was not answered: a gate may have let in.
    fn is_unheard(&self) -> bool {
        self.direction == Direction::In && self.refused.is_none()
    }
    /// Whether a gate of the way out has said that nobody is inside by this entry, or not any more.
    fn is_not_inside(&self) -> bool {
        let why = self.refused.as_ref().and_then(|admission| admission.claimed().why);
        let outside = [EnterRefusal::NotInside, EnterRefusal::InsideElsewhere, EnterRefusal::Used];
        self.direction == Direction::Out && why.is_some_and(|why| outside.contains(&why))
    }
}

message! {
    /// A ticket's entries into one zone, as its wallet knows them.
    pub struct Pass {
        /// The last entry that a gate has let in.
        1 entry: u64,
        /// Whether the holder is inside.
        2 inside: bool,
        /// Attempts of what comes next, oldest first.
        3 attempts: Vec<Attempt>,
        /// The last exit, as a gate has signed it.
        4 left: Option<LeftBefore>,
        /// The generation that it is about; absent: whichever the wallet holds.
        5 generation: Option<u64>,
        /// The entry that a code was shown for last (R21): whoever came in by it goes out by a touch.
        6 coded: Option<u64>,
        /// Since when the holder is inside, by the clock of the gate that let in; absent: not inside, or not known.
        7 since: Option<Time>,
        /// When a code was first shown for that entry, by the wallet's clock; absent: not known.
        8 coded_at: Option<Time>,
    }
}

impl Pass {
    /// Where it is stored: of each zone apart.
    pub fn key(card: CardId, zone: u64) -> RecordKey {
        RecordKey::new(Space::Ticket, [card.0.as_slice(), &zone.to_be_bytes()].concat())
    }
    /// A ticket of this generation that was never shown.
    pub fn new(generation: u64, entry: u64) -> Self {
        let (inside, attempts, left, generation) = (false, Vec::new(), None, Some(generation));
        let (coded, since, coded_at) = (None, None, None);
        Self { entry, inside, attempts, left, generation, coded, since, coded_at, extensions: Default::default() }
    }
    /// Reads it; a ticket that was never shown in this generation has used what its certificate or title says.
    pub fn load(records: &dyn Records, purse: &Purse, zone: u64) -> (Self, Option<Vec<u8>>) {
        let stored = records.get(&Self::key(purse.card(), zone));
        let new = Self::new(purse.generation(), purse.used());
        let pass = match stored.as_deref().and_then(|bytes| Self::from_bytes(bytes).ok()) {
            Some(pass) if pass.generation.is_none_or(|of| of == purse.generation()) => pass,
            Some(before) => Self { entry: before.entry.max(new.entry), ..new },
            None => new,
        };
        (pass, stored)
    }
    /// Whether a gate may have let it in without the wallet knowing: shown, and neither answered nor gone out since.
    pub fn is_pending(&self) -> bool {
        self.attempts.iter().any(|held| held.refused.is_none())
    }
    /// Whether the holder is inside, or may have come in without hearing of it.
    fn may_be_inside(&self) -> bool {
        self.inside || self.coded_entry().is_some() || self.attempts.iter().any(Attempt::is_unheard)
    }
    /// The next entry, where a gate may have let in for it by a code: it tells the wallet nothing.
    pub(super) fn coded_entry(&self) -> Option<u64> {
        self.coded.filter(|coded| self.entry.checked_add(1) == Some(*coded))
    }
    /// Whether the end of a day has ended the stay at this moment, as gates hold it; `unknown` where it is not known when it began.
    fn is_stay_over(&self, terms: &TicketTerms, now: Time, unknown: bool) -> bool {
        self.inside && self.since.map_or(unknown, |since| terms.is_day_over(terms.day(since), now))
    }
    /// A code is about to be shown for the next entry; `None`: that is known, or of no use.
    pub fn with_code(&self, terms: &TicketTerms, now: Time) -> Option<Self> {
        let next = self.entry.checked_add(1);
        // Whoever is inside shows it to nobody who lets in: no gate's clock says by now that the day is over.
        let is_of_use = !self.inside || self.is_stay_over(terms, now.after(GATE_TOLERANCE), true);
        (is_of_use && self.coded != next).then(|| Self { coded: next, coded_at: Some(now), ..self.clone() })
    }
    /// Which entry a gate of this direction is shown.
    pub fn next(&self, direction: Direction, terms: &TicketTerms, now: Time) -> u64 {
        match direction {
            Direction::In => self.entry + 1,
            Direction::Out => self.going_out(terms, now),
        }
    }
    /// By which entry the holder goes out: by one that may have come in without the wallet hearing of it, or by the last one that it
    /// has heard of. Where it may be either, a gate that says that nobody is inside by one of them is shown the other next.
    fn going_out(&self, terms: &TicketTerms, now: Time) -> u64 {
        let touched = self.attempts.iter().rev().find(|held| held.is_unheard());
        let touched = touched.map(|held| held.presentation.claimed().entry);
        let Some(unheard) = touched.or(self.coded_entry()) else {
            return self.entry;
        };
        if !self.inside {
            return unheard;
        }
        // A code may have been seen by nobody: it comes first only once no gate's clock says that the stay before goes on.
        let sure = Time(now.0.saturating_sub(GATE_TOLERANCE));
        let is_newer = touched.is_some() || self.is_stay_over(terms, sure, false);
        if is_newer { self.in_turn(unheard, self.entry) } else { self.in_turn(self.entry, unheard) }
    }
    /// The first of two entries to go out by, until a gate has said in this stay that nobody is inside by it; then one after the other.
    fn in_turn(&self, first: u64, second: u64) -> u64 {
        let of_this_stay = |held: &&Attempt| self.since.is_none_or(|since| held.presentation.claimed().at >= since);
        if !self.of(first, Direction::Out).filter(of_this_stay).any(Attempt::is_not_inside) {
            return first;
        }
        // What was not answered yet is asked again.
        let last = self.attempts.iter().rev().find(|held| held.direction == Direction::Out);
        let is_firsts = last.is_none_or(|held| (held.presentation.claimed().entry == first) != held.is_not_inside());
        if is_firsts { first } else { second }
    }
    /// Attempts of this entry in this direction, oldest first: those that are still kept.
    fn of(&self, entry: u64, direction: Direction) -> impl Iterator<Item = &Attempt> {
        self.attempts
            .iter()
            .filter(move |held| (held.presentation.claimed().entry, held.direction) == (entry, direction))
    }
    /// Keeps an attempt; of one entry and direction as many as may be named.
    fn keep(&mut self, attempt: Attempt) {
        let (entry, direction) = (attempt.presentation.claimed().entry, attempt.direction);
        if self.of(entry, direction).count() >= MAX_EARLIER {
            let same = |held: &Attempt| (held.presentation.claimed().entry, held.direction) == (entry, direction);
            if let Some(oldest) = self.attempts.iter().position(same) {
                self.attempts.remove(oldest);
            }
        }
        self.attempts.push(attempt);
    }
}

/// What the holder sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalletEnterNotice {
    /// The gate let in.
    In {
        /// The gate, as the provider certified it.
        gate: String,
        /// Which entry.
        entry: u64,
    },
    /// The gate let out.
    Out {
        /// The gate.
        gate: String,
    },
    /// The gate, or this wallet, said no. `shown`: the ticket was shown; it may be shown again elsewhere.
    Refused {
        /// Why.
        why: EnterRefusal,
        /// Whether the ticket was shown.
        shown: bool,
    },
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// Who enters, and with what.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The ticket.
    pub card: CardId,
    /// Its terms.
    pub terms: Terms,
    /// How many people.
    pub people: u64,
    /// Whom the wallet trusts.
    pub anchors: Anchors,
}

/// A presentation on its way into the store.
#[derive(Clone, Debug)]
pub struct Showing {
    presentation: Unsigned<Presentation>,
    purse: Purse,
    at: Gateway,
    gate: Signed<Certificate>,
    left: Option<LeftBefore>,
    unheard: bool,
}

/// The wallet's states.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum WalletEnter {
    /// Waits for the session.
    Idle(Visitor),
    /// Waits for the gate.
    ExpectGate(Visitor, Hash),
    /// Signs what it shows.
    Signing(Visitor, Showing),
    /// Stores it.
    Storing(Visitor, Attempt, Presented),
    /// Waits for the gate's word.
    ExpectAdmission(Visitor, Attempt),
    /// Stores the gate's word.
    Keeping(WalletEnterNotice),
    /// Ended.
    Over,
}

type Next = Step<WalletEnter, WalletEnterNotice>;

fn send(message: &EnterMessage) -> Effect<WalletEnterNotice> {
    Effect::Send(message.to_bytes())
}

impl WalletEnter {
    /// Touches a gate with this ticket.
    pub fn new(visitor: Visitor) -> Self {
        Self::Idle(visitor)
    }
    fn refuse(why: EnterRefusal) -> Next {
        let shown = Effect::Show(WalletEnterNotice::Refused { why, shown: false });
        Step::new(Self::Over, [send(&EnterMessage::Refused(why)), shown])
    }
    fn fail(fault: Fault) -> Next {
        Step::new(Self::Over, [Effect::Show(WalletEnterNotice::Failed(fault))])
    }

    /// The gate has said who it is and which way it lets pass: the ticket answers no other (R17).
    fn examined(visitor: Visitor, session: Hash, examination: Examination, context: &Context<'_>) -> Next {
        let Examination { certificate, proof, event, zone, direction, .. } = examination;
        let gate = match prove(&visitor.anchors, (&session, proof.0), certificate, context) {
            Ok(gate) => gate,
            Err(why) => return Self::refuse(why),
        };
        let Some(terms) = ticket::of(&visitor.terms).filter(|terms| terms.event == event) else {
            return Self::refuse(EnterRefusal::OtherEvent);
        };
        // A gate of another promoter does not see the ticket, whatever event it names.
        if gate.owner != Some(visitor.terms.issuer) {
            return Self::refuse(EnterRefusal::GateNotTrusted);
        }
        let Some(purse) = load_purse(context.records, visitor.card) else {
            return Self::refuse(EnterRefusal::NotTrusted);
        };
        let (pass, _) = Pass::load(context.records, &purse, zone);
        // Whoever may be inside goes out with what the ticket was when it came in, whatever has become of it since.
        let leaves = direction == Direction::Out && pass.may_be_inside();
        let why =
            lets_nobody_in(&purse, terms, zone, context).or_else(|| key_over(&purse, &visitor.anchors, context.now));
        if let Some(why) = why.filter(|_| !leaves) {
            return Self::refuse(why);
        }
        // Whoever has gone out does not go out again: what was shown for that is forgotten, and its first number would be used twice,
        // as two wallets do (R20).
        if direction == Direction::Out && !pass.may_be_inside() {
            let elsewhere = inside(context.records, &purse, &visitor.terms).any(|of| of != zone);
            return Self::refuse(if elsewhere { EnterRefusal::InsideElsewhere } else { EnterRefusal::NotInside });
        }
        let entry = pass.next(direction, terms, context.now);
        let known = |_: &&Attempt| !context.broken.has(Break::AttemptsForgotten);
        let before: Vec<_> = pass.of(entry, direction).filter(known).collect();
        let earlier: Vec<_> = before.iter().map(|held| held.hash(visitor.card, purse.generation())).collect();
        let last = before.last().map_or(0, |held| held.presentation.claimed().attempt);
        let presentation = Presentation {
            entry,
            attempt: last + 1,
            people: visitor.people,
            at: context.now,
            earlier: (!earlier.is_empty()).then_some(earlier),
            extensions: Default::default(),
        };
        let presentation = Unsigned::new(presentation, purse.key().algorithm());
        let at = Gateway { session, gate: gate.subject.device(), event, zone, direction };
        let tbs = presentation.tbs(&Presentation::context(visitor.card, purse.generation(), &at));
        let unheard = direction == Direction::Out && !(pass.inside && entry == pass.entry);
        let left = pass.left.filter(|_| direction == Direction::In);
        let showing = Showing { presentation, purse, at, gate: gate.signed().clone(), left, unheard };
        let sign = Effect::Sign { key: SigningKey::Card(visitor.card), tbs };
        Step::new(Self::Signing(visitor, showing), [sign])
    }

    /// What is shown is stored before it leaves: a wallet that is put back does not know of it, and that shows (R20).
    fn signed(visitor: Visitor, showing: Showing, signature: Signature, context: &Context<'_>) -> Next {
        let Showing { presentation, purse, at, gate, left, unheard } = showing;
        let presentation = presentation.sign(signature);
        let attempt = Attempt {
            presentation: presentation.clone(),
            session: at.session,
            gate,
            event: at.event,
            zone: at.zone,
            direction: at.direction,
            refused: None,
            extensions: Default::default(),
        };
        let (mut pass, before) = Pass::load(context.records, &purse, attempt.zone);
        let Purse { certificate, title, .. } = purse;
        let unheard = unheard.then_some(true);
        let presented = Presented { presentation, certificate, left, title, unheard, extensions: Default::default() };
        pass.keep(attempt.clone());
        let mut batch = Batch::default();
        batch.replace(Pass::key(visitor.card, attempt.zone), before, pass.to_bytes());
        let mut effects = vec![Effect::Store(batch)];
        if context.broken.has(Break::ShownBeforeStored) {
            effects.insert(0, send(&EnterMessage::Presented(presented.clone())));
        }
        Step::new(Self::Storing(visitor, attempt, presented), effects)
    }

    /// The gate's word, in the context of what was shown to it, now or before: a gate that has let in says so again.
    fn answered(visitor: &Visitor, shown: &Attempt, said: &Signed<Admission>, context: &Context<'_>) -> Next {
        let (Some(purse), Some(journal)) = (load_purse(context.records, visitor.card), Journal::load(context.records))
        else {
            return Self::fail(Fault::Storage);
        };
        let (card, generation, zone) = (purse.card(), purse.generation(), shown.zone);
        let (mut pass, before) = Pass::load(context.records, &purse, zone);
        let answers = |attempt: &Attempt| {
            let context_of = Admission::context(&attempt.hash(card, generation));
            let admission = said.clone().verify(&attempt.gate.claimed().key, &context_of, context.verifier).ok()?;
            Some((attempt.clone(), admission))
        };
        let of_this_gate = pass.attempts.iter().rev().filter(|held| held.device() == shown.device());
        let Some((attempt, admission)) = of_this_gate.filter_map(answers).next() else {
            return Self::refused(EnterRefusal::GateNotTrusted, true);
        };
        let notice = pass.answered(&attempt, &admission, (card, generation));
        let kept = Shown {
            presentation: Some(attempt.presentation.clone()),
            window: None,
            certificate: purse.certificate.clone(),
            session: Some(attempt.session),
            event: attempt.event,
            zone,
            direction: attempt.direction,
            admission: Some(said.clone()),
            title: purse.title.clone(),
            extensions: Default::default(),
        };
        let entry = LogEntry {
            terminal: Some(attempt.device()),
            card: Some(card),
            generation: Some(generation),
            shown: Some(kept),
            ..LogEntry::new(EntryKind::Presented, context.now, admission.number)
        };
        let mut batch = Batch::default();
        batch.replace(Pass::key(card, zone), before, pass.to_bytes());
        journal.append(&[entry], &mut batch);
        Step::new(Self::Keeping(notice), [Effect::Store(batch)])
    }
}

impl Pass {
    /// Takes the gate's word on an attempt.
    fn answered(
        &mut self,
        attempt: &Attempt,
        admission: &Verified<Admission>,
        (card, generation): (CardId, u64),
    ) -> WalletEnterNotice {
        let gate = attempt.gate.claimed().name.clone().unwrap_or_default();
        let entry = attempt.presentation.claimed().entry;
        match (admission.done, attempt.direction) {
            (Admitted::In, Direction::In) => {
                self.settled(entry, true);
                self.since = Some(admission.at);
                self.left = None;
                WalletEnterNotice::In { gate, entry }
            }
            (Admitted::Out, Direction::Out) => {
                self.settled(entry, false);
                self.left = Some(LeftBefore {
                    gate: attempt.gate.clone(),
                    presentation: attempt.presentation.clone(),
                    session: attempt.session,
                    admission: admission.signed().clone(),
                    extensions: Default::default(),
                });
                WalletEnterNotice::Out { gate }
            }
            _ => {
                let why = admission.why.unwrap_or(EnterRefusal::Malformed);
                let hash = attempt.hash(card, generation);
                match why {
                    // The gate knows that an earlier attempt of ours came in; or, if there was none, whoever had it before.
                    EnterRefusal::Used if attempt.direction == Direction::In => {
                        self.settled(entry, attempt.presentation.claimed().attempt > 1);
                    }
                    _ => {
                        let held = self.attempts.iter_mut().find(|held| held.hash(card, generation) == hash);
                        if let Some(held) = held {
                            held.refused = Some(admission.signed().clone());
                        }
                    }
                }
                WalletEnterNotice::Refused { why, shown: true }
            }
        }
    }
    /// This entry has come in, or gone out: attempts of it are over.
    pub(super) fn settled(&mut self, entry: u64, inside: bool) {
        self.entry = self.entry.max(entry);
        self.inside = inside;
        self.since = None;
        // A code for an entry after this one may still have come in.
        self.coded = self.coded.filter(|coded| *coded > self.entry);
        self.coded_at = self.coded_at.filter(|_| self.coded.is_some());
        let over = if inside { Direction::In } else { Direction::Out };
        self.attempts.retain(|held| {
            let said = held.presentation.claimed();
            said.entry > entry || (said.entry == entry && over == Direction::In && held.direction == Direction::Out)
        });
    }
}

/// The zones that its holder is inside of, as far as this wallet knows.
fn inside<'a>(records: &'a dyn Records, purse: &'a Purse, terms: &'a Terms) -> impl Iterator<Item = u64> + 'a {
    let zones = ticket::of(terms).map_or(&[][..], |ticket| &ticket.zones);
    zones.iter().copied().filter(move |zone| Pass::load(records, purse, *zone).0.inside)
}

/// Why this wallet does not show a ticket, to come in.
fn lets_nobody_in(purse: &Purse, terms: &TicketTerms, zone: u64, context: &Context<'_>) -> Option<EnterRefusal> {
    if !terms.zones.contains(&zone) {
        return Some(EnterRefusal::OtherZone);
    }
    match purse.state {
        PurseState::Active => {}
        PurseState::Blocked => return Some(EnterRefusal::Blocked),
        PurseState::Ended => return Some(over(purse, context.records)),
    }
    // Given to this wallet, and not registered in time: no gate takes it (R12).
    purse.hops().iter().any(|hop| context.now >= hop.until).then_some(EnterRefusal::Unregistered)
}

/// Whether the provider's key that signed a ticket is over, by the keys of its own wallet: no gate takes it before the next update.
pub fn key_over(purse: &Purse, anchors: &Anchors, now: Time) -> Option<EnterRefusal> {
    let signer = anchors.signer(purse.certificate.claimed().signer, now);
    matches!(signer, Err(Untrusted::Expired)).then_some(EnterRefusal::TicketKeyOver)
}

/// Why a ticket that is over lets nobody in: it was given, or else it was given back.
fn over(purse: &Purse, records: &dyn Records) -> EnterRefusal {
    let gift = GiftKept::load(records, purse.card()).is_some_and(|kept| kept.generation == purse.generation());
    if gift || HandedOver::load(records, purse).is_some() { EnterRefusal::GivenAway } else { EnterRefusal::Refunded }
}

/// Takes a certificate that is a gate's, and whose key signed this session's proof (R17). Where it cannot be judged by the keys that
/// are held here, it says so, instead of that the gate lies.
fn prove(
    anchors: &Anchors,
    (session, proof): (&Hash, Signature),
    certificate: Signed<Certificate>,
    context: &Context<'_>,
) -> Result<Verified<Certificate>, EnterRefusal> {
    let gate = anchors.accept(certificate, Role::Gate, context.now, context.verifier).map_err(|why| match why {
        Untrusted::Expired => EnterRefusal::GateKeyOver,
        Untrusted::UnknownSigner | Untrusted::NotYetValid => EnterRefusal::GateKeyUnknown,
        Untrusted::Forged | Untrusted::WrongRole | Untrusted::Revoked => EnterRefusal::GateNotTrusted,
    })?;
    let proof = SessionProof::unsigned(&gate.key).sign(proof);
    let proven = proof.verify(&gate.key, &SessionProof::context(session), context.verifier);
    proven.map(|_| gate).map_err(|_| EnterRefusal::GateNotTrusted)
}

impl Talk for WalletEnter {
    type Notice = WalletEnterNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(visitor), Event::Opened(session)) => Step::new(Self::ExpectGate(visitor, session), vec![]),
            (Self::ExpectGate(visitor, session), Event::Received(bytes)) => match EnterMessage::received(&bytes) {
                Ok(EnterMessage::Examination(examination)) => Self::examined(visitor, session, examination, context),
                Ok(EnterMessage::Refused(why)) => Self::refused(why, false),
                _ => Self::refuse(EnterRefusal::Malformed),
            },
            (Self::Signing(visitor, showing), Event::Signed(signature)) => {
                Self::signed(visitor, showing, signature, context)
            }
            // Durable before sent: it is shown only now.
            (Self::Storing(visitor, attempt, presented), Event::Stored) => {
                let told = match context.broken.has(Break::ShownBeforeStored) {
                    true => vec![],
                    false => vec![send(&EnterMessage::Presented(presented))],
                };
                Step::new(Self::ExpectAdmission(visitor, attempt), told)
            }
            (Self::ExpectAdmission(visitor, attempt), Event::Received(bytes)) => match EnterMessage::received(&bytes) {
                Ok(EnterMessage::Admission(admission)) => Self::answered(&visitor, &attempt, &admission, context),
                Ok(EnterMessage::Refused(why)) => Self::refused(why, true),
                _ => Self::refused(EnterRefusal::Malformed, true),
            },
            (Self::Keeping(notice), Event::Stored) => Step::new(Self::Over, [Effect::Show(notice)]),
            (_, Event::Failed(fault)) => Self::fail(fault),
            // What was shown stays stored: the next gate is told of it.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (state, _) => Step::new(state, vec![]),
        }
    }
}

impl WalletEnter {
    fn refused(why: EnterRefusal, shown: bool) -> Next {
        Step::new(Self::Over, [Effect::Show(WalletEnterNotice::Refused { why, shown })])
    }
}
