//! The gate's side: a ticket is verified, judged and stored before the gate opens, and that it has opened is stored, too (R20).

use super::messages::*;
use super::setup::Setup;
use super::tally::{count, former};
use super::window::read_window;
use super::{MAX_EARLIER, earlier};
use crate::card::ticket::{TicketTerms, Usage, Use, Verdict, Wanted};
use crate::card::title::{Holder, Hop, MAX_HOPS, TitleError, holder};
use crate::card::{CardCertificate, CardKind, ticket};
use crate::id::{CardId, DeviceId, Handle, Hash};
use crate::money::Time;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Break, Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::wire::canonical::Wire;
use crate::wire::certificate::{Anchors, Certificate, Role, SessionProof, Untrusted};
use crate::wire::signed::{PublicKey, Signature, Signed, Unsigned};
use alloc::{string::String, sync::Arc, vec, vec::Vec};

/// With what a gate works.
#[derive(Clone, Debug)]
pub struct Door {
    /// The gate's certificate, as it travels.
    pub certificate: Signed<Certificate>,
    /// Whom it trusts.
    pub anchors: Arc<Anchors>,
    /// Its event.
    pub setup: Arc<Setup>,
    /// Whether it hears all its neighbours (R22).
    pub hears: bool,
}

impl Door {
    fn gate(&self) -> DeviceId {
        self.certificate.claimed().subject.device()
    }
    fn key(&self) -> &PublicKey {
        &self.certificate.claimed().key
    }
}

/// What the steward sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateNotice {
    /// Stored: open.
    Open(Passing),
    /// Stored: let out.
    LetOut(Passing),
    /// This ticket was let in before and is told so again. Nothing opens.
    Repeated(Passing),
    /// No; to whom, where the ticket proved itself.
    Refused(EnterRefusal, Option<Passing>),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

impl GateNotice {
    /// Whom it is about, where a ticket proved itself.
    pub fn passing(&self) -> Option<&Passing> {
        match self {
            Self::Open(passing) | Self::LetOut(passing) | Self::Repeated(passing) => Some(passing),
            Self::Refused(_, passing) => passing.as_ref(),
            Self::Failed(_) => None,
        }
    }
}

/// Whom a gate lets pass, or not. Names no person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The ticket.
    pub card: CardId,
    /// Which entry.
    pub entry: u64,
    /// How many people.
    pub people: u64,
    /// The seat, by its number in the plan.
    pub seat: Option<u64>,
    /// What stands on it; absent: free seating, or this gate was not told.
    pub seat_name: Option<String>,
}

/// A ticket that proved itself, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Judged {
    shown: Shown,
    hash: Hash,
    passing: Passing,
    refused: Option<EnterRefusal>,
    journal: Journal,
    usage: Usage,
}

impl Judged {
    /// Whether the gate opens.
    fn opens(&self) -> bool {
        self.refused.is_none() && self.shown.direction == Direction::In
    }
}

/// The gate's states.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum GateEnter {
    /// Waits for the session.
    Idle(Door),
    /// Waits for what a camera reads.
    Camera(Door),
    /// Signs the proof of itself.
    Proving(Door, Hash),
    /// Waits for the presentation.
    ExpectPresented(Door, Hash),
    /// Signs its word.
    Signing(Door, Judged, Unsigned<Admission>),
    /// Stores the use.
    Storing(Judged, Option<Signed<Admission>>),
    /// Stores that it has opened.
    Opening,
    /// Ended.
    Over,
}

type Next = Step<GateEnter, GateNotice>;

fn send(message: &EnterMessage) -> Effect<GateNotice> {
    Effect::Send(message.to_bytes())
}

impl GateEnter {
    /// Waits for a ticket to touch.
    pub fn new(door: Door) -> Self {
        Self::Idle(door)
    }
    /// Waits for a ticket's code before the camera: [`Event::Received`] with its bytes (R21).
    pub fn camera(door: Door) -> Self {
        Self::Camera(door)
    }
    fn refuse(why: EnterRefusal) -> Next {
        Self::refuse_whom(why, None)
    }
    fn refuse_whom(why: EnterRefusal, passing: Option<Passing>) -> Next {
        Step::new(Self::Over, [send(&EnterMessage::Refused(why)), Effect::Show(GateNotice::Refused(why, passing))])
    }
    fn fail(fault: Fault) -> Next {
        let told = send(&EnterMessage::Refused(EnterRefusal::OutOfOrder));
        Step::new(Self::Over, [told, Effect::Show(GateNotice::Failed(fault))])
    }

    fn prove(door: Door, session: Hash) -> Next {
        let tbs = SessionProof::unsigned(door.key()).tbs(&SessionProof::context(&session));
        Step::new(Self::Proving(door, session), [Effect::Sign { key: SigningKey::Device, tbs }])
    }
    fn proven(door: Door, session: Hash, proof: Signature) -> Next {
        let examination = Examination {
            certificate: door.certificate.clone(),
            proof: SessionSignature(proof),
            event: door.setup.event,
            zone: door.setup.zone,
            direction: door.setup.direction,
            extensions: Default::default(),
        };
        Step::new(Self::ExpectPresented(door, session), [send(&EnterMessage::Examination(examination))])
    }

    /// A presentation: by a ticket of this event, to this gate, in this session.
    fn presented(door: Door, session: Hash, presented: Presented, context: &Context<'_>) -> Next {
        let Presented { presentation, certificate, left, title, unheard, .. } = presented;
        let setup = door.setup.clone();
        let ticket = (&certificate, title.as_deref().unwrap_or_default());
        let (said, dead) = match held(&door, ticket, (setup.zone, setup.direction), context.now, context) {
            Ok(held) => held,
            Err(why) => return Self::refuse(why),
        };
        let at =
            Gateway { session, gate: door.gate(), event: setup.event, zone: setup.zone, direction: setup.direction };
        let context_of = Presentation::context(said.card, said.generation, &at);
        let Ok(presentation) = presentation.verify(&said.key, &context_of, context.verifier) else {
            return Self::refuse(EnterRefusal::NotItsAnswer);
        };
        if earlier(&presentation).len() > MAX_EARLIER {
            return Self::refuse(EnterRefusal::Malformed);
        }
        let left = left.is_some_and(|left| has_left(&door, &said, &presentation, left, context));
        let shown = Shown {
            presentation: Some(presentation.signed().clone()),
            session: Some(session),
            title,
            ..shown(&setup, certificate)
        };
        let wanted = Wanted {
            entry: presentation.entry,
            direction: setup.direction,
            zone: setup.zone,
            people: presentation.people,
            earlier: earlier(&presentation),
            left,
            window: false,
            doubted: door.hears && unheard == Some(true),
            now: context.now,
        };
        // One that is dead, or is no ticket any more, lets out who came in by it before, and nobody else.
        if let Some(why) = dead
            && Usage::of(context.records, &said, wanted.zone).lets_out(said.generation, &wanted).is_none()
        {
            return Self::refuse(why);
        }
        let hash = presentation.hash();
        Self::judge(door, (&said, shown, hash), &wanted, context)
    }

    /// A code that the camera has read: only of a ticket that holds now, and where nobody else may have let it in (R21).
    fn seen(door: Door, bytes: &[u8], context: &Context<'_>) -> Next {
        let Ok(WindowCode { certificate, window, .. }) = read_window(bytes) else {
            return Self::refuse(EnterRefusal::Malformed);
        };
        // Whoever goes out touches: a picture would end somebody's entry.
        if door.setup.direction == Direction::Out {
            return Self::refuse(EnterRefusal::TapNeeded);
        }
        let said = match accept(&door, (&certificate, &[]), context) {
            Ok(said) => said,
            Err(why) => return Self::refuse(why),
        };
        let (event, zone) = (door.setup.event, door.setup.zone);
        let context_of = Window::context(said.card, said.generation, event, zone);
        // Signed for another event or zone it does not hold here: what its ticket is for says which.
        let Ok(window) = window.verify(&said.key, &context_of, context.verifier) else {
            return Self::refuse(elsewhere(&door.setup, certificate.claimed().terms));
        };
        let apart = context.now.since(window.at).max(window.at.since(context.now));
        if apart > Window::SECONDS && !context.broken.has(Break::WindowOfAnyAge) {
            return Self::refuse(EnterRefusal::WindowOver);
        }
        let terms = door.setup.terms(certificate.claimed().terms).ok().and_then(ticket::of);
        let own = terms.is_some_and(|terms| terms.door == Some(door.setup.door));
        if !door.hears && !own && !context.broken.has(Break::WindowAtAnyDoor) {
            return Self::refuse(EnterRefusal::TapNeeded);
        }
        let hash = window.hash();
        let setup = door.setup.clone();
        let shown = Shown { window: Some(window.signed().clone()), ..shown(&setup, certificate) };
        let wanted = Wanted {
            entry: window.entry,
            direction: setup.direction,
            zone: setup.zone,
            people: window.people,
            earlier: &[],
            left: false,
            window: true,
            doubted: false,
            now: context.now,
        };
        Self::judge(door, (&said, shown, hash), &wanted, context)
    }

    /// What becomes of a ticket that proved itself.
    fn judge(
        door: Door,
        (said, shown, hash): (&Holder, Shown, Hash),
        wanted: &Wanted<'_>,
        context: &Context<'_>,
    ) -> Next {
        let Some(journal) = Journal::load(context.records) else {
            return Self::fail(Fault::Storage);
        };
        let usage = Usage::of(context.records, said, wanted.zone);
        let certified = shown.certificate.claimed();
        let terms = match wanted.direction {
            Direction::In => door.setup.terms(certified.terms),
            // A change ends nobody's stay.
            Direction::Out => door.setup.listed(certified.terms).ok_or(EnterRefusal::OtherEvent),
        };
        let terms = terms.map(ticket::of);
        let leaves = usage.lets_out(said.generation, wanted);
        let seat = seat_of(&door.setup, certified, terms).or(certified.seat.filter(|_| leaves.is_some()));
        let passing = Passing {
            card: said.card,
            entry: wanted.entry,
            people: wanted.people,
            seat,
            seat_name: seat.and_then(|seat| door.setup.seat_name(seat)),
        };
        let given = usage.generation > said.generation && !context.broken.has(Break::GiverLetIn);
        let verdict = match terms {
            Err(why) => Verdict::Refuse(why),
            Ok(Some(_)) if given => Verdict::Refuse(EnterRefusal::GivenAway),
            Ok(Some(terms)) if terms.event == door.setup.event => match usage.judge(terms, wanted) {
                Verdict::Refuse(EnterRefusal::NotInside) if is_elsewhere(said, terms, wanted, context) => {
                    Verdict::Refuse(EnterRefusal::InsideElsewhere)
                }
                verdict => verdict,
            },
            Ok(_) => Verdict::Refuse(EnterRefusal::OtherEvent),
        };
        // Changed, given on, or of terms that let in fewer by now: whoever is inside goes out all the same.
        let verdict = match verdict {
            Verdict::Refuse(why) => leaves.unwrap_or(Verdict::Refuse(why)),
            kept => kept,
        };
        let used = usage.used(wanted.entry, Direction::In).is_some();
        let again = used && matches!(verdict, Verdict::Repeat(_) | Verdict::Refuse(_));
        let verdict = match verdict {
            _ if again && context.broken.has(Break::EntryTwice) => Verdict::Admit,
            kept => kept,
        };
        let refused = match verdict {
            Verdict::Admit | Verdict::OpenNow => None,
            Verdict::Refuse(why) => Some(why),
            Verdict::Repeat(used) => match Self::repeated(&door, &used, &passing, context) {
                Some(next) => return next,
                // Signed, so that the wallet knows that it came in, and goes on with its next entry.
                None => Some(EnterRefusal::Used),
            },
        };
        let judged = Judged { shown, hash, passing, refused, journal, usage };
        if wanted.window {
            // A screen hears nothing: there is nobody to sign for.
            return match refused {
                Some(why) => Self::refuse_whom(why, Some(judged.passing)),
                None => Self::store(door, judged, None, context),
            };
        }
        let done = match (refused, wanted.direction) {
            (Some(_), _) => Admitted::Refused,
            (None, Direction::In) => Admitted::In,
            (None, Direction::Out) => Admitted::Out,
        };
        let number = judged.journal.number + 1;
        let admission = Admission { done, number, at: context.now, why: refused, extensions: Default::default() };
        let admission = Unsigned::new(admission, door.key().algorithm());
        let tbs = admission.tbs(&Admission::context(&hash));
        Step::new(Self::Signing(door, judged, admission), [Effect::Sign { key: SigningKey::Device, tbs }])
    }

    /// It was let in here before, and did not hear of it: the same bytes again, and nothing opens (R2). `None`: a neighbour has let
    /// it in, or what was said is not kept any more, because the provider has it.
    fn repeated(door: &Door, used: &Use, passing: &Passing, context: &Context<'_>) -> Option<Next> {
        let kept = (used.gate == door.gate()).then(|| RecordKey::numbered(Space::Log, used.number));
        let entry = kept.and_then(|key| LogEntry::from_bytes(&context.records.get(&key)?).ok());
        let admission = entry.and_then(|entry| entry.shown?.admission)?;
        let told = send(&EnterMessage::Admission(admission));
        Some(Step::new(Self::Over, [told, Effect::Show(GateNotice::Repeated(passing.clone()))]))
    }

    /// The use and the log's entry: one transaction, before anything opens.
    fn store(door: Door, judged: Judged, admission: Option<Signed<Admission>>, context: &Context<'_>) -> Next {
        let said = judged.shown.certificate.claimed();
        let (card, generation) = (said.card, judged.shown.generation());
        let zone = judged.shown.zone;
        // Terms that were replaced, or that this gate has not heard of, are those of somebody who goes out.
        let terms = door.setup.counted(said.terms).and_then(ticket::of);
        let mut batch = Batch::default();
        let kind = match (judged.refused, judged.shown.direction) {
            (Some(_), _) => EntryKind::TurnedAway,
            (None, Direction::In) => EntryKind::Admitted,
            (None, Direction::Out) => EntryKind::Left,
        };
        let number = judged.journal.number + 1;
        let entry = LogEntry {
            card: Some(card),
            generation: Some(generation),
            shown: Some(Shown { admission: admission.clone(), ..judged.shown.clone() }),
            ..LogEntry::new(kind, context.now, number)
        };
        let mut judged = judged;
        if judged.refused.is_none() {
            let opens = judged.opens();
            let used = Use {
                entry: judged.passing.entry,
                direction: judged.shown.direction,
                shown: judged.hash,
                gate: door.gate(),
                number,
                at: context.now,
                people: judged.passing.people,
                opening: opens.then_some(true),
                window: judged.shown.window.is_some().then_some(true),
                extensions: Default::default(),
            };
            let given = judged.usage.generation > generation && used.direction == Direction::Out;
            let key = Usage::key(card, zone);
            match given {
                true => former(context.records, (key, judged.usage.clone()), (terms, zone), used, &mut batch),
                false => judged.usage = count(context.records, (key, judged.usage), (terms, zone), used, &mut batch),
            }
        } else if judged.usage.generation == generation && !judged.shown.hops().is_empty() {
            // Whoever gave it does not come in here any more, though its receiver did not yet.
            let key = Usage::key(card, zone);
            batch.replace(key.clone(), context.records.get(&key), judged.usage.to_bytes());
        }
        judged.journal = judged.journal.append(&[entry], &mut batch);
        let mut effects = vec![Effect::Store(batch)];
        if context.broken.has(Break::OpenBeforeStored) && judged.opens() {
            effects.insert(0, Effect::Show(GateNotice::Open(judged.passing.clone())));
        }
        Step::new(Self::Storing(judged, admission), effects)
    }

    /// Durable: the wallet is told, the gate opens, and that it has is stored.
    fn stored(judged: Judged, admission: Option<Signed<Admission>>, context: &Context<'_>) -> Next {
        let mut effects: Vec<_> =
            admission.map(|admission| send(&EnterMessage::Admission(admission))).into_iter().collect();
        if let Some(why) = judged.refused {
            effects.push(Effect::Show(GateNotice::Refused(why, Some(judged.passing))));
            return Step::new(Self::Over, effects);
        }
        if judged.shown.direction == Direction::Out {
            effects.push(Effect::Show(GateNotice::LetOut(judged.passing)));
            return Step::new(Self::Over, effects);
        }
        let key = Usage::key(judged.passing.card, judged.shown.zone);
        if !context.broken.has(Break::OpenBeforeStored) {
            effects.push(Effect::Show(GateNotice::Open(judged.passing)));
        }
        let before = judged.usage.to_bytes();
        let mut after = judged.usage;
        for used in after.uses.iter_mut().filter(|used| used.shown == judged.hash) {
            used.opening = None;
        }
        let mut batch = Batch::default();
        batch.replace(key, Some(before), after.to_bytes());
        effects.push(Effect::Store(batch));
        Step::new(Self::Opening, effects)
    }
}

/// The seat of a ticket of this event, replaced or not; a number from another event's plan is somebody else's seat here.
fn seat_of(
    setup: &Setup,
    certified: &CardCertificate,
    terms: Result<Option<&TicketTerms>, EnterRefusal>,
) -> Option<u64> {
    let ours = match terms {
        Ok(terms) => terms.is_some_and(|terms| terms.event == setup.event),
        Err(why) => why == EnterRefusal::Changed,
    };
    certified.seat.filter(|_| ours)
}

/// Whether the holder of a ticket is inside another zone today, by what this gate knows.
fn is_elsewhere(said: &Holder, terms: &TicketTerms, wanted: &Wanted<'_>, context: &Context<'_>) -> bool {
    terms.zones.iter().filter(|zone| **zone != wanted.zone).any(|zone| {
        let usage = Usage::of(context.records, said, *zone);
        usage.inside > 0 && !terms.is_day_over(usage.day, wanted.now)
    })
}

fn shown(setup: &Setup, certificate: Signed<CardCertificate>) -> Shown {
    Shown {
        presentation: None,
        window: None,
        certificate,
        session: None,
        event: setup.event,
        zone: setup.zone,
        direction: setup.direction,
        admission: None,
        title: None,
        extensions: Default::default(),
    }
}

/// A ticket of this provider that is not known to be dead, and who holds it.
fn accept(
    door: &Door,
    ticket: (&Signed<CardCertificate>, &[Hop]),
    context: &Context<'_>,
) -> Result<Holder, EnterRefusal> {
    match prove(door, ticket, context.now, context)? {
        (_, Some(why)) => Err(why),
        (holder, None) => Ok(holder),
    }
}

/// The same, and why it lets nobody in. On the way out of a zone a ticket that is no ticket any more, expired or not registered in time,
/// is looked at as it was when somebody came in by it last: a stay outlives its ticket.
pub(super) fn held(
    door: &Door,
    ticket: (&Signed<CardCertificate>, &[Hop]),
    (zone, direction): (u64, Direction),
    then: Time,
    context: &Context<'_>,
) -> Result<(Holder, Option<EnterRefusal>), EnterRefusal> {
    prove(door, ticket, then, context).or_else(|why| {
        let usage = Usage::load(context.records, ticket.0.claimed().card, zone);
        let came = usage.and_then(|usage| usage.came()).filter(|_| direction == Direction::Out);
        let proven = came.and_then(|came| prove(door, ticket, came, context).ok());
        proven.map(|(holder, _)| (holder, Some(why))).ok_or(why)
    })
}

/// Why a code that nothing here proves is refused: its ticket is for something else, or else it is forged, or of another zone's door.
fn elsewhere(setup: &Setup, handle: Handle) -> EnterRefusal {
    match setup.terms(handle).map(ticket::of) {
        Err(why) => why,
        Ok(Some(terms)) if terms.event != setup.event => EnterRefusal::OtherEvent,
        Ok(Some(terms)) if !terms.zones.contains(&setup.zone) => EnterRefusal::OtherZone,
        Ok(_) => EnterRefusal::NotTrusted,
    }
}

/// A ticket of this provider, who held it then, and why it lets nobody in now.
fn prove(
    door: &Door,
    (certificate, title): (&Signed<CardCertificate>, &[Hop]),
    then: Time,
    context: &Context<'_>,
) -> Result<(Holder, Option<EnterRefusal>), EnterRefusal> {
    // By the keys of that moment, also where a neighbour's log is heard long after it (R16). One that this gate does not hold may
    // have come into use since it was updated: that is no fault of the ticket.
    door.anchors.signer(certificate.claimed().signer, then).map_err(|why| match why {
        Untrusted::Expired => EnterRefusal::TicketKeyOver,
        _ => EnterRefusal::TicketKeyUnknown,
    })?;
    // The ticket's own last moment is a day after its event's last admission.
    let authentic = CardCertificate::certified(certificate.clone(), &door.anchors, then, context.verifier).map_err(
        |why| match why {
            Untrusted::Expired => EnterRefusal::TooLate,
            _ => EnterRefusal::NotTrusted,
        },
    )?;
    if authentic.kind != CardKind::Ticket {
        return Err(EnterRefusal::NotTrusted);
    }
    let held = match title {
        [] => Holder::certified(&authentic),
        hops => titled(door, &authentic, hops, then, context)?,
    };
    let (card, certified) = (authentic.card, authentic.generation);
    // What was given away is dead for the giver alone; for every other reason it is for all who had it after.
    let before = door.setup.dead(card, certified).filter(|why| *why != EnterRefusal::GivenAway);
    let listed = door.anchors.is_dead(card, certified).then_some(EnterRefusal::Blocked);
    let dead = door.setup.dead(card, held.generation).or(before).or(listed);
    Ok((held, dead))
}

/// Who held a ticket by title then. Under terms that this gate has not heard of, it cannot say whether they allow that: nobody comes in
/// here under them, and a neighbour that has let somebody in knew them, so that who has signed is enough.
fn titled(
    door: &Door,
    certified: &CardCertificate,
    hops: &[Hop],
    then: Time,
    context: &Context<'_>,
) -> Result<Holder, EnterRefusal> {
    // Also under terms that are replaced by now: a neighbour may have let it in before it heard of that.
    let Some(terms) = door.setup.listed(certified.terms) else {
        let signed = Holder::certified(certified).after(hops, context.verifier);
        return signed.filter(|_| hops.len() <= MAX_HOPS).ok_or(EnterRefusal::NotTrusted);
    };
    holder(certified, hops, terms, then, context.verifier).map_err(|why| match why {
        // No wallet gives on more often than the terms say, and no provider registers it.
        TitleError::Forged | TitleError::TooMany => EnterRefusal::NotTrusted,
        TitleError::Unregistered => EnterRefusal::Unregistered,
    })
}

/// Whether another gate of the same promoter has let this ticket out of the entry before.
fn has_left(door: &Door, said: &Holder, presentation: &Presentation, left: LeftBefore, context: &Context<'_>) -> bool {
    let accepted = door.anchors.accept(left.gate, Role::Gate, context.now, context.verifier);
    let Ok(gate) = accepted else { return false };
    if gate.owner != door.certificate.claimed().owner {
        return false;
    }
    let at = Gateway {
        session: left.session,
        gate: gate.subject.device(),
        event: door.setup.event,
        zone: door.setup.zone,
        direction: Direction::Out,
    };
    // Whoever gave it on had gone out.
    let holders = said.before.iter().copied().chain([(said.generation, said.key)]);
    let by = |(generation, key): (u64, PublicKey)| {
        let context_of = Presentation::context(said.card, generation, &at);
        left.presentation.clone().verify(&key, &context_of, context.verifier).ok()
    };
    let Some(out) = holders.rev().find_map(by) else { return false };
    let admission = left.admission.verify(&gate.key, &Admission::context(&out.hash()), context.verifier);
    out.entry.checked_add(1) == Some(presentation.entry) && admission.is_ok_and(|word| word.done == Admitted::Out)
}

impl Talk for GateEnter {
    type Notice = GateNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(door), Event::Opened(session)) => Self::prove(door, session),
            (Self::Proving(door, session), Event::Signed(proof)) => Self::proven(door, session, proof),
            (Self::ExpectPresented(door, session), Event::Received(bytes)) => match EnterMessage::received(&bytes) {
                Ok(EnterMessage::Presented(presented)) => Self::presented(door, session, presented, context),
                Ok(EnterMessage::Refused(why)) => Step::new(Self::Over, [Effect::Show(GateNotice::Refused(why, None))]),
                _ => Self::refuse(EnterRefusal::Malformed),
            },
            (Self::Camera(door), Event::Received(bytes)) => Self::seen(door, &bytes, context),
            (Self::Signing(door, judged, admission), Event::Signed(signature)) => {
                Self::store(door, judged, Some(admission.sign(signature)), context)
            }
            // Evidence before it opens (R20).
            (Self::Storing(judged, admission), Event::Stored) => Self::stored(judged, admission, context),
            (Self::Opening, Event::Stored) => Step::new(Self::Over, vec![]),
            (Self::Opening, _) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::fail(fault),
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
