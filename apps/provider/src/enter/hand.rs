//! The staff at an event's gates, and what it did by hand (R22): recorded with who has signed it, for the promoter's report.

use crate::cards::done;
use crate::desk::{Desk, Failure};
use crate::update::{Source, malformed};
use tegata_core::EventId;
use tegata_core::talk::enter::{ByHand, Member, check};
use tegata_core::talk::event::StaffOrder;
use tegata_core::talk::report::ProviderRefusal;
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
    Ok(done(desk, &request.hash(), request.at))
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
