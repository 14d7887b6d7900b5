//! What staff does by hand where a phone is silent: people counted in or out, and a ticket's entry ended, so that it comes in again.
//! Signed by the member of the staff who did it (R22); every gate of the event counts it by that signature alone.

use super::gate::Door;
use super::messages::Direction;
use super::tally::{adjust, count, former};
use crate::card::ticket::{Usage, Use};
use crate::card::{CardKind, ticket};
use crate::id::{CardId, DeviceId, EventId, Hash};
use crate::money::Time;
use crate::record::{Batch, Overlay, RecordKey, Space};
use crate::step::{Context, Records};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::wire::canonical::{Bytes, DecodeError, Reader, Wire, Writer};
use crate::wire::signed::{PublicKey, Signed, Verifier};
use crate::{codes, message};
use alloc::vec::Vec;

/// People counted by hand at once, at most.
pub const MOST_BY_HAND: u64 = 100;
/// How much a gate keeps that was done by hand elsewhere under badges it has not been told of, at most.
const MOST_UNPROVEN: usize = 1000;

codes! {
    /// What a member of the staff may do at the gates of an event.
    pub enum StaffRole {
        /// Counts people out.
        Steward = 1,
        /// Counts people in, too, and ends a ticket's entry.
        Supervisor = 2,
    }
}

message! {
    /// One of the staff at an event's gates: a number and a key. Who that is only the promoter knows.
    pub struct Member {
        /// The number, from 1; none is used twice at one event.
        1 number: u64,
        /// The key of the badge.
        2 key: PublicKey,
        /// What it may do.
        3 role: StaffRole,
        /// Not any more from then on.
        4 until: Option<Time>,
    }
}

message! {
    /// An entry of a ticket that is over, though it was not shown at an exit.
    pub struct EntryOver {
        /// The ticket.
        1 card: CardId,
        /// Its generation.
        2 generation: u64,
        /// The entry.
        3 entry: u64,
    }
}

message! {
    /// What was done by hand. Signed with the badge, in [`ByHand::context`].
    pub struct ByHand kind 35 max 200 {
        /// The member's number.
        1 staff: u64,
        /// Into or out of which zone.
        2 zone: u64,
        /// Which way.
        3 direction: Direction,
        /// How many people, 1 to 100; of a ticket whose entry is over, as many as came in with it.
        4 people: u64,
        /// A ticket whose entry is over.
        5 over: Option<EntryOver>,
        /// When, by the gate's clock.
        6 at: Time,
        /// At which event.
        7 event: EventId,
    }
}

impl ByHand {
    /// Context: the gate, and the number of the entry in its log.
    pub fn context(gate: DeviceId, number: u64) -> Vec<u8> {
        let mut to = Writer::new();
        to.array(2);
        gate.write(&mut to);
        to.uint(number);
        to.finish()
    }
    /// Whether somebody of this role may do it, and it says nothing that cannot be.
    pub fn is_allowed(&self, role: StaffRole) -> bool {
        let out = self.direction == Direction::Out;
        (1..=MOST_BY_HAND).contains(&self.people)
            && match role {
                StaffRole::Steward => out && self.over.is_none(),
                StaffRole::Supervisor => out || self.over.is_none(),
            }
    }
}

/// Why a gate does not take it; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandError {
    /// The badge is nobody's at this event.
    #[error(
        "this badge is not known at this event, or not any more; its promoter gives badges, and the gate hears of them by its next update"
    )]
    Unknown,
    /// The member's role does not allow it.
    #[error("this badge does not allow that; ask a supervisor")]
    NotAllowed,
    /// Nobody is inside by this ticket, as far as this gate knows.
    #[error("by what this gate knows nobody is inside with this ticket")]
    NotInside,
    /// The gate has not joined.
    #[error("this gate has not joined a provider yet")]
    NotJoined,
}

/// The number that the next entry of this gate's log will have: the badge signs it.
pub fn next_number(records: &dyn Records) -> Option<u64> {
    Some(Journal::load(records)?.number + 1)
}

/// The entry of a ticket that is inside here, and with how many people: what a supervisor can end.
///
/// # Errors
/// [`HandError::NotInside`].
pub fn inside(records: &dyn Records, card: CardId, zone: u64) -> Result<(EntryOver, u64), HandError> {
    let usage = Usage::load(records, card, zone).filter(|usage| usage.inside > 0).ok_or(HandError::NotInside)?;
    let over = EntryOver { card, generation: usage.generation, entry: usage.entry, extensions: Default::default() };
    Ok((over, usage.inside))
}

/// Takes what a badge has signed at this gate: its log's entry and the counts, as one batch.
///
/// # Errors
/// [`HandError`].
pub fn by_hand(door: &Door, signed: Signed<ByHand>, context: &Context<'_>) -> Result<Batch, HandError> {
    let journal = Journal::load(context.records).ok_or(HandError::NotJoined)?;
    let (gate, number) = (door.certificate.claimed().subject.device(), journal.number + 1);
    let hash = verified(door, &signed, (gate, number), context.now, context.verifier)?;
    let mut batch = Batch::default();
    let said = signed.claimed();
    let counted = counts(door, said, (gate, number, hash), context.records, &mut batch);
    counted.ok_or(HandError::NotInside)?;
    let entry = LogEntry {
        card: said.over.as_ref().map(|over| over.card),
        generation: said.over.as_ref().map(|over| over.generation),
        hand: Some(signed.clone()),
        ..LogEntry::new(EntryKind::ByHand, context.now, number)
    };
    journal.append(&[entry], &mut batch);
    Ok(batch)
}

/// What a neighbour's log says was done by hand there, under a badge that this gate has not been told of yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unproven {
    gate: DeviceId,
    number: u64,
    signed: Bytes,
}

impl Wire for Unproven {
    fn write(&self, to: &mut Writer) {
        to.array(3);
        self.gate.write(to);
        to.uint(self.number);
        self.signed.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(3)?;
        Ok(Self { gate: DeviceId::read(from)?, number: u64::read(from)?, signed: Bytes::read(from)? })
    }
}

impl Unproven {
    fn key() -> RecordKey {
        RecordKey::new(Space::Event, *b"unproven")
    }
    fn load(records: &dyn Records) -> (Vec<Self>, Option<Vec<u8>>) {
        let stored = records.get(&Self::key());
        (stored.as_deref().and_then(|bytes| Vec::from_bytes(bytes).ok()).unwrap_or_default(), stored)
    }
}

/// Counts what a neighbour's log says was done by hand there, if a badge of this event has signed it. Who took the badge on may have
/// told that neighbour first: what nobody known here has signed is kept until the set-up names its member.
pub(super) fn hear(
    door: &Door,
    (gate, number): (DeviceId, u64),
    entry: &LogEntry,
    context: &Context<'_>,
    batch: &mut Batch,
) -> Option<()> {
    // Counted at its own place alone.
    let signed = entry.hand.as_ref().filter(|_| entry.transaction == number)?;
    if is_known(door, signed) {
        return heard(door, signed, (gate, number), context, batch);
    }
    let (mut kept, stored) = Unproven::load(context.records);
    if kept.len() < MOST_UNPROVEN {
        kept.push(Unproven { gate, number, signed: Bytes(signed.encode()) });
        batch.replace(Unproven::key(), stored, kept.to_bytes());
    }
    Some(())
}

/// Counts what was kept under badges that this gate has been told of since.
pub(super) fn hear_again(door: &Door, context: &Context<'_>, overlay: &mut Overlay<'_>) {
    let (kept, stored) = Unproven::load(overlay);
    let read = |one: &Unproven| Signed::decode(&one.signed.0).ok();
    let told = |one: &Unproven| read(one).is_none_or(|signed| is_known(door, &signed));
    let (told, left): (Vec<_>, Vec<_>) = kept.into_iter().partition(told);
    if told.is_empty() {
        return;
    }
    for one in &told {
        let mut drafted = Batch::default();
        let within = Context { records: &*overlay, ..*context };
        if let Some(signed) = read(one) {
            heard(door, &signed, (one.gate, one.number), &within, &mut drafted);
        }
        overlay.merge(drafted);
    }
    let mut drafted = Batch::default();
    drafted.replace(Unproven::key(), stored, left.to_bytes());
    overlay.merge(drafted);
}

fn is_known(door: &Door, signed: &Signed<ByHand>) -> bool {
    let said = signed.claimed();
    let staff = door.setup.staff.as_deref().unwrap_or_default();
    // Of another event nothing will ever be known here: it is dropped.
    said.event != door.setup.event || staff.iter().any(|member| member.number == said.staff)
}

fn heard(
    door: &Door,
    signed: &Signed<ByHand>,
    (gate, number): (DeviceId, u64),
    context: &Context<'_>,
    batch: &mut Batch,
) -> Option<()> {
    let hash = verified(door, signed, (gate, number), signed.claimed().at, context.verifier).ok()?;
    counts(door, signed.claimed(), (gate, number, hash), context.records, batch)
}

fn verified(
    door: &Door,
    signed: &Signed<ByHand>,
    (gate, number): (DeviceId, u64),
    at: Time,
    by: &dyn Verifier,
) -> Result<Hash, HandError> {
    if signed.claimed().event != door.setup.event {
        return Err(HandError::Unknown);
    }
    check(signed, door.setup.staff.as_deref().unwrap_or_default(), (gate, number), at, by)
}

/// The hash of what a member of this staff has signed for a place in a gate's log, and was allowed to at that moment.
///
/// # Errors
/// [`HandError::Unknown`], [`HandError::NotAllowed`].
pub fn check(
    signed: &Signed<ByHand>,
    staff: &[Member],
    (gate, number): (DeviceId, u64),
    at: Time,
    by: &dyn Verifier,
) -> Result<Hash, HandError> {
    let member = staff.iter().find(|member| member.number == signed.claimed().staff).ok_or(HandError::Unknown)?;
    if member.until.is_some_and(|until| at >= until) {
        return Err(HandError::Unknown);
    }
    let said =
        signed.clone().verify(&member.key, &ByHand::context(gate, number), by).map_err(|_| HandError::Unknown)?;
    if said.is_allowed(member.role) { Ok(said.hash()) } else { Err(HandError::NotAllowed) }
}

/// What it changes. `None`: nothing, it is known already or somebody came in since.
fn counts(
    door: &Door,
    said: &ByHand,
    (gate, number, shown): (DeviceId, u64, Hash),
    records: &dyn Records,
    batch: &mut Batch,
) -> Option<()> {
    let Some(over) = &said.over else {
        adjust(records, said.zone, said.direction, said.people, batch);
        return Some(());
    };
    let used = Use {
        entry: over.entry,
        direction: Direction::Out,
        shown,
        gate,
        number,
        at: said.at,
        people: said.people,
        opening: None,
        window: None,
        extensions: Default::default(),
    };
    let usage = match Usage::load(records, over.card, said.zone) {
        // Who has it now was not seen here yet: what its former holder did is no use of this one's.
        Some(known) if known.generation < over.generation => {
            Usage { generation: over.generation, uses: Vec::new(), ..known }
        }
        Some(known) => known,
        None => Usage::new(over.generation, 0),
    };
    let terms = door.setup.terms.iter().filter(|terms| terms.kind == CardKind::Ticket).find_map(ticket::of);
    if usage.generation > over.generation {
        // It was given on since, and its receiver was seen here first.
        former(records, (Usage::key(over.card, said.zone), usage), (terms, said.zone), used, batch);
        return Some(());
    }
    let is_over = usage.entry > over.entry || usage.used(over.entry, Direction::Out).is_some();
    if is_over {
        return None;
    }
    count(records, (Usage::key(over.card, said.zone), usage), (terms, said.zone), used, batch);
    Some(())
}
