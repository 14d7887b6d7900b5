//! The staff at an event's gates, and what it did by hand (R22): recorded with who has signed it, for the promoter's report.

use crate::cards::done;
use crate::desk::{Desk, Failure};
use crate::update::{Source, malformed};
use tegata_core::EventId;
use tegata_core::talk::enter::{ByHand, Member, check};
use tegata_core::talk::event::StaffOrder;
use tegata_core::talk::journal::LogEntry;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_store::{HandRow, StaffRow, StoreError};

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
    if request.revision != last.map_or(0, |last| last.revision) + 1 {
        return Err(ProviderRefusal::Repeated.into());
    }
    if !request.follows(last.map_or(&[], |last| &last.staff)) {
        return Err(ProviderRefusal::Terms.into());
    }
    let body = request.signed().encode();
    desk.store.put_staff(&StaffRow { event: request.event, revision: request.revision, body })?;
    desk.store.event_changed(request.event)?;
    over_since(desk, request.event, &request.staff)?;
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
    let said = signed.claimed();
    let event = desk.store.planned(said.event)?.filter(|row| Some(row.promoter) == source.known.owner);
    let staff = match event {
        Some(_) => staff_of(desk, said.event)?.unwrap_or_default(),
        None => return malformed(desk, source),
    };
    let place = (source.device, number);
    if check(signed, &staff, place, said.at, desk.shared.verifier()).is_err() {
        return malformed(desk, source);
    }
    Ok(desk.store.put_hand(&HandRow {
        gate: source.device,
        number,
        event: said.event,
        staff: said.staff,
        zone: said.zone,
        direction: said.direction,
        people: said.people,
        card: said.over.as_ref().map(|over| over.card),
        entry: said.over.as_ref().map(|over| over.entry),
        at: said.at,
    })?)
}
