//! The staff at an event's gates, and what it did by hand (R22): recorded with who has signed it, for the promoter's report.

use crate::cards::done;
use crate::desk::{Desk, Failure};
use crate::update::{Source, malformed};
use tegata_core::talk::enter::{ByHand, Member, check};
use tegata_core::talk::event::StaffOrder;
use tegata_core::talk::journal::LogEntry;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{DeviceId, EventId, PartyId};
use tegata_store::{ExceptionKind, HandRow, StaffRow, StoreError};

/// Keeps who is of the staff. The same order again changes nothing; one that leaves somebody out, or gives somebody another key, is
/// refused: what was signed before still says by whom.
pub(crate) fn order_staff(desk: &mut Desk<'_>, request: &Verified<StaffOrder>) -> Result<Vec<u8>, Failure> {
    let event = desk.store.planned(request.event)?.filter(|row| row.promoter == request.promoter);
    event.ok_or(ProviderRefusal::Unknown)?;
    let before = match desk.store.staff(request.event)? {
        Some(row) => {
            let last = Signed::<StaffOrder>::decode(&row.body).map_err(|_| StoreError::Damaged)?;
            if last.hash(&[]) == request.hash() {
                return Ok(done(desk, &request.hash(), request.at));
            }
            Some(last)
        }
        None => None,
    };
    let last = before.as_ref().map(Signed::claimed);
    // Revisions between may be missing: a provider put back from a backup has forgotten them (R15).
    if request.revision <= last.map_or(0, |last| last.revision) {
        return Err(ProviderRefusal::Repeated.into());
    }
    if !request.follows(last.map_or(&[], |last| &last.staff)) {
        return Err(ProviderRefusal::Terms.into());
    }
    let body = request.signed().encode();
    desk.store.put_staff(&StaffRow { event: request.event, revision: request.revision, body })?;
    desk.store.event_changed(request.event)?;
    over_since(desk, request.event, &request.staff)?;
    known_since(desk, request.event, last.map_or(&[], |last| &last.staff), &request.staff)?;
    Ok(done(desk, &request.hash(), request.at))
}

/// What was recorded under a badge that was over by then, as is only heard now: it counts no more, and is shown to a person.
fn over_since(desk: &mut Desk<'_>, event: EventId, staff: &[Member]) -> Result<(), Failure> {
    for row in desk.store.by_hand(event)? {
        let over = |member: &&Member| member.number == row.staff && member.until.is_some_and(|until| row.at >= until);
        if staff.iter().find(over).is_none() {
            continue;
        }
        let entries = desk.store.entries(row.gate, row.number, u64::MAX >> 1)?;
        let is_it = |bytes: &Vec<u8>| {
            LogEntry::from_bytes(bytes).is_ok_and(|entry| entry.hand.is_some() && entry.transaction == row.number)
        };
        let (number, bytes) = (row.number..).zip(entries).find(|(_, bytes)| is_it(bytes)).ok_or(StoreError::Damaged)?;
        let known = desk.known(row.gate.into()).ok_or(StoreError::Damaged)?;
        let source = Source { device: row.gate, known, number, bytes, before: row.at, list: 0 };
        malformed(desk, &source)?;
        desk.store.drop_hand(row.gate, row.number)?;
    }
    Ok(())
}

/// Who is or was of the staff of an event; `None`: nobody yet.
pub(super) fn staff_of(desk: &Desk<'_>, event: EventId) -> Result<Option<Vec<Member>>, Failure> {
    let row = desk.store.staff(event)?;
    let body = row.map(|row| Signed::<StaffOrder>::decode(&row.body)).transpose().map_err(|_| StoreError::Damaged)?;
    Ok(body.map(|body| body.claimed().staff.clone()))
}

/// A gate says what was done by hand there, under the number that its log gave it first. What no badge of the event has signed is shown to a person.
pub(crate) fn by_hand(
    desk: &mut Desk<'_>,
    source: &Source,
    (signed, number): (&Signed<ByHand>, u64),
) -> Result<(), Failure> {
    let staff = staff_of(desk, signed.claimed().event)?.unwrap_or_default();
    match row(desk, (source.device, number), source.known.owner, &staff, signed)? {
        Some(row) => Ok(desk.store.put_hand(&row)?),
        None => malformed(desk, source),
    }
}

/// What is recorded of it, if a badge of this staff has signed it at a gate of the event's promoter.
fn row(
    desk: &Desk<'_>,
    (gate, number): (DeviceId, u64),
    owner: Option<PartyId>,
    staff: &[Member],
    signed: &Signed<ByHand>,
) -> Result<Option<HandRow>, Failure> {
    let said = signed.claimed();
    let theirs = desk.store.planned(said.event)?.is_some_and(|row| Some(row.promoter) == owner);
    if !theirs || check(signed, staff, (gate, number), said.at, desk.shared.verifier()).is_err() {
        return Ok(None);
    }
    Ok(Some(HandRow {
        gate,
        number,
        event: said.event,
        staff: said.staff,
        zone: said.zone,
        direction: said.direction,
        people: said.people,
        card: said.over.as_ref().map(|over| over.card),
        entry: said.over.as_ref().map(|over| over.entry),
        at: said.at,
    }))
}

/// What gates brought up before somebody was known here to be of the staff counts now: a provider that was put back from a backup has
/// forgotten whom the promoter had taken on (R15).
fn known_since(desk: &mut Desk<'_>, event: EventId, before: &[Member], staff: &[Member]) -> Result<(), Failure> {
    if staff.iter().all(|member| before.iter().any(|old| old.number == member.number)) {
        return Ok(());
    }
    for shown in desk.store.open_at(ExceptionKind::Malformed, event)? {
        let entry = shown.wallet_record.as_deref().and_then(|bytes| LogEntry::from_bytes(bytes).ok());
        let (Some(gate), Some(entry)) = (shown.device, entry) else { continue };
        let Some(signed) = entry.hand.as_ref().filter(|signed| signed.claimed().event == event) else { continue };
        let owner = desk.known(gate.into()).and_then(|known| known.owner);
        if let Some(row) = row(desk, (gate, entry.transaction), owner, staff, signed)? {
            desk.store.put_hand(&row)?;
            desk.store.explained(shown.number)?;
        }
    }
    Ok(())
}
