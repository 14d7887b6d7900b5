//! What gates of one venue tell each other over the venue's own network (R22): pages of their logs. A neighbour is trusted for its
//! numbers only; what counts are presentations that tickets have signed.

use super::gate::{Door, held};
use super::hand;
use super::messages::*;
use super::relay::keep;
use super::tally::{count, former};
use crate::card::ticket;
use crate::card::ticket::{Usage, Use};
use crate::id::{DeviceId, EventId, Hash};
use crate::message;
use crate::money::Time;
use crate::record::{Batch, Overlay, RecordKey, Space};
use crate::step::{Context, Records};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::certificate::{Certificate, Role, Untrusted};
use crate::wire::signed::{Signed, Verified};
use alloc::vec::Vec;

/// How many entries a page carries at most.
pub const PAGE: u64 = 200;

message! {
    /// A piece of a gate's log. Signed by the gate.
    pub struct Page kind 27 max 500_000 {
        /// The gate.
        1 gate: DeviceId,
        /// Its event.
        2 event: EventId,
        /// The entries follow this number.
        3 after: u64,
        /// The entries, at most 200.
        4 entries: Vec<Bytes>,
        /// Number of the last entry that the gate has.
        5 number: u64,
        /// Hash over all entries up to it.
        6 head: Hash,
        /// When, by the gate's clock.
        7 at: Time,
    }
}

message! {
    /// What a gate has heard of a neighbour.
    pub struct Neighbour {
        /// Number of the last entry heard.
        1 number: u64,
        /// Hash over all entries up to it.
        2 head: Hash,
        /// Number of the last entry that it is known to have.
        3 last: u64,
        /// When it was heard last, by the listener's clock.
        4 heard: Time,
        /// How many of its pages are kept, to be told on.
        5 pages: Option<u64>,
    }
}

/// Why a page was not taken; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Not by a gate of this promoter.
    #[error("the neighbour is not trusted: {0}")]
    Untrusted(#[from] Untrusted),
    /// Of another event, or of a gate of another promoter.
    #[error("the neighbour is a gate of another event")]
    OtherEvent,
    /// It does not go on from what was heard.
    #[error("entries of the neighbour are missing")]
    Gap,
    /// Its log was changed or began anew.
    #[error("the neighbour's log is not the one that it told before")]
    OtherLog,
    /// An entry that cannot be read.
    #[error("the neighbour's log cannot be read")]
    Malformed,
    /// It has seen a ticket under a provider's key that this gate does not hold: not counted is not heard.
    #[error(
        "the neighbour has seen a ticket that is signed by a provider's key that this gate does not hold; update this gate"
    )]
    NewerKey,
}

impl Neighbour {
    /// Where it is stored.
    pub fn key(gate: DeviceId) -> RecordKey {
        RecordKey::new(Space::Event, [b"n".as_slice(), &gate.0].concat())
    }
    /// Reads it; of a gate that was never heard nothing is known.
    pub fn load(records: &dyn Records, gate: DeviceId) -> (Self, Option<Vec<u8>>) {
        let stored = records.get(&Self::key(gate));
        let known = stored.as_deref().and_then(|bytes| Self::from_bytes(bytes).ok());
        let new =
            Self { number: 0, head: Hash::ZERO, last: 0, heard: Time(0), pages: None, extensions: Default::default() };
        (known.unwrap_or(new), stored)
    }
    /// Whether everything that it had when it was heard last is known, and that is not long ago.
    pub fn is_heard(&self, now: Time, silence: u64) -> bool {
        self.number >= self.last && now.since(self.heard) <= silence
    }
}

/// The next page of this gate's log, after the entry of this number: to be signed. `None`: the gate has not joined.
pub fn page(door: &Door, after: u64, context: &Context<'_>) -> Option<Page> {
    let journal = Journal::load(context.records)?;
    let until = journal.number.min(after.saturating_add(PAGE));
    let entries = (after + 1..=until)
        .map_while(|number| context.records.get(&RecordKey::numbered(Space::Log, number)).map(Bytes))
        .collect();
    Some(Page {
        gate: door.certificate.claimed().subject.device(),
        event: door.setup.event,
        after,
        entries,
        number: journal.number,
        head: journal.head,
        at: context.now,
        extensions: Default::default(),
    })
}

/// Takes a neighbour's page: what it changes, as one batch, and how much of its log is known then.
///
/// # Errors
/// [`PageError`].
pub fn take(
    door: &Door,
    certificate: Signed<Certificate>,
    page: Signed<Page>,
    context: &Context<'_>,
) -> Result<(Batch, Neighbour), PageError> {
    let gate = door.anchors.accept(certificate, Role::Gate, context.now, context.verifier)?;
    follow(door, &gate, page, context, true)
}

/// Goes on in a neighbour's log by a page of it. `heard`: from itself, now.
pub(super) fn follow(
    door: &Door,
    gate: &Verified<Certificate>,
    page: Signed<Page>,
    context: &Context<'_>,
    heard: bool,
) -> Result<(Batch, Neighbour), PageError> {
    let page = page.verify(&gate.key, &[], context.verifier).map_err(Untrusted::from)?;
    if gate.owner != door.certificate.claimed().owner || page.gate != gate.subject.device() {
        return Err(PageError::OtherEvent);
    }
    if page.event != door.setup.event {
        return Err(PageError::OtherEvent);
    }
    if page.entries.len() as u64 > PAGE {
        return Err(PageError::Malformed);
    }
    let (known, before) = Neighbour::load(context.records, page.gate);
    // A page told on may be an old one; from the gate itself it is a log that began anew.
    if page.number < known.number {
        return if heard { Err(PageError::OtherLog) } else { Ok((Batch::default(), known)) };
    }
    if page.after > known.number {
        return Err(PageError::Gap);
    }
    let now = if heard { context.now } else { known.heard };
    let mut after = Neighbour { last: page.number.max(known.last), heard: now, ..known.clone() };
    let mut overlay = Overlay { records: context.records, batch: Batch::default() };
    hand::hear_again(door, context, &mut overlay);
    // What was heard before is told again where an answer was lost.
    let skip = usize::try_from(known.number - page.after).unwrap_or(usize::MAX);
    for bytes in page.entries.iter().skip(skip) {
        after.number += 1;
        after.head = after.head.chain(&bytes.0);
        let entry = LogEntry::from_bytes(&bytes.0).map_err(|_| PageError::Malformed)?;
        if is_by_newer_key(door, &entry) {
            return Err(PageError::NewerKey);
        }
        let mut drafted = Batch::default();
        let within = Context { records: &overlay, verifier: context.verifier, ..*context };
        hear(door, gate, (after.number, &entry), &within, &mut drafted);
        overlay.merge(drafted);
    }
    if after.number == page.number && after.head != page.head {
        return Err(PageError::OtherLog);
    }
    let mut batch = overlay.batch;
    if after.number > known.number {
        let kept = known.pages.unwrap_or(0);
        after.pages = Some(keep(context.records, kept, (gate.signed(), page.signed()), &mut batch));
    }
    batch.replace(Neighbour::key(page.gate), before, after.to_bytes());
    Ok((batch, after))
}

/// Whether a ticket of this event stands in it under a provider's key that came into use after this gate was updated: dropped, it would
/// never be counted here, also not after the next update. A neighbour that makes one up is not heard, and nobody else.
fn is_by_newer_key(door: &Door, entry: &LogEntry) -> bool {
    entry.shown.as_ref().is_some_and(|shown| {
        let signer = door.anchors.signer(shown.certificate.claimed().signer, entry.at);
        shown.event == door.setup.event && matches!(signer, Err(Untrusted::UnknownSigner))
    })
}

/// Counts an entry of a neighbour's log, if a ticket has signed it for that gate; else it counts for nothing.
fn hear(
    door: &Door,
    gate: &Verified<Certificate>,
    (number, entry): (u64, &LogEntry),
    context: &Context<'_>,
    batch: &mut Batch,
) -> Option<()> {
    if entry.kind == EntryKind::ByHand {
        return hand::hear(door, (gate.subject.device(), number), entry, context, batch);
    }
    let shown = entry.shown.as_ref()?;
    let came = matches!(entry.kind, EntryKind::Admitted | EntryKind::Left);
    let given = entry.kind == EntryKind::TurnedAway && !shown.hops().is_empty();
    ((came || given) && shown.event == door.setup.event).then_some(())?;
    let device = gate.subject.device();
    // Also tickets that are dead by now: they were let in before this gate, or without it, knew.
    let way = (shown.zone, shown.direction);
    let (said, _) = held(door, (&shown.certificate, shown.hops()), way, entry.at, context).ok()?;
    let hash = shown.hash(device)?;
    match (&shown.presentation, &shown.window) {
        (Some(presentation), None) => {
            let at = Gateway {
                session: shown.session?,
                gate: device,
                event: shown.event,
                zone: shown.zone,
                direction: shown.direction,
            };
            let context_of = Presentation::context(said.card, said.generation, &at);
            presentation.clone().verify(&said.key, &context_of, context.verifier).ok()?;
        }
        (None, Some(window)) if shown.direction == Direction::In => {
            let context_of = Window::context(said.card, said.generation, shown.event, shown.zone);
            window.clone().verify(&said.key, &context_of, context.verifier).ok()?;
        }
        _ => return None,
    }
    let terms = door.setup.counted(shown.certificate.claimed().terms).and_then(ticket::of);
    (terms.is_some() || shown.direction == Direction::Out).then_some(())?;
    let (of_entry, people) = shown.entry()?;
    let usage = Usage::of(context.records, &said, shown.zone);
    if given {
        // It was refused there; whoever gave it on does not come in here any more either.
        let (key, stored) =
            (Usage::key(said.card, shown.zone), context.records.get(&Usage::key(said.card, shown.zone)));
        if usage.generation == said.generation {
            batch.replace(key, stored, usage.to_bytes());
        }
        return Some(());
    }
    // What this gate knows by an answer is known better than by a window (R21).
    let known = usage.used(of_entry, shown.direction).map(|used| used.window);
    if known.is_some_and(|window| window.is_none() || shown.window.is_some()) && usage.generation == said.generation {
        return None;
    }
    let used = Use {
        entry: of_entry,
        direction: shown.direction,
        shown: hash,
        gate: device,
        number,
        at: entry.at,
        people,
        opening: None,
        window: shown.window.is_some().then_some(true),
        extensions: Default::default(),
    };
    let of = (Usage::key(said.card, shown.zone), usage);
    match of.1.generation > said.generation {
        true => former(context.records, of, (terms, shown.zone), used, batch),
        false => drop(count(context.records, of, (terms, shown.zone), used, batch)),
    }
    Some(())
}
