//! Events as their promoters plan them, and which gate stands where.

use crate::cards::done;
use crate::desk::{Desk, Failure};
use tegata_core::talk::event::{EventPlan, GateOrder};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_store::{GateRow, PlannedRow, StoreError};

/// Keeps a plan. The same one again changes nothing; another one under the same revision, and one that is none, is refused.
pub(crate) fn plan(desk: &mut Desk<'_>, request: &Verified<EventPlan>) -> Result<Vec<u8>, Failure> {
    let before = desk.store.planned(request.event)?;
    if let Some(before) = &before {
        if before.promoter != request.promoter {
            return Err(ProviderRefusal::NotAllowed.into());
        }
        let last = Signed::<EventPlan>::decode(&before.body).map_err(|_| StoreError::Damaged)?;
        if last.hash(&[]) == request.hash() {
            return Ok(done(desk, &request.hash(), request.at));
        }
        // What is sold keeps its seat: a seat's number and name stay, whatever is added.
        let kept = last.claimed().seats.iter().all(|seat| {
            let at = usize::try_from(seat.seat).ok().and_then(|number| request.seats.get(number.checked_sub(1)?));
            at.is_some_and(|now| (now.seat, &now.name, now.article) == (seat.seat, &seat.name, seat.article))
        });
        if !kept {
            return Err(ProviderRefusal::Terms.into());
        }
    }
    if request.revision != before.as_ref().map_or(0, |row| row.revision) + 1 {
        return Err(ProviderRefusal::Repeated.into());
    }
    if request.check().is_err() {
        return Err(ProviderRefusal::Terms.into());
    }
    desk.store.put_seats(request.event, &request.seats)?;
    desk.store.put_planned(&PlannedRow {
        event: request.event,
        promoter: request.promoter,
        revision: request.revision,
        body: request.signed().encode(),
        changed: before.as_ref().map_or(0, |row| row.changed) + 1,
        cancelled: before.and_then(|row| row.cancelled),
    })?;
    Ok(done(desk, &request.hash(), request.at))
}

/// The plan of an event as it stands.
pub(crate) fn planned(row: &PlannedRow) -> Result<EventPlan, Failure> {
    Ok(Signed::<EventPlan>::decode(&row.body).map_err(|_| StoreError::Damaged)?.claimed().clone())
}

/// Puts a gate of this promoter in its place: it hears of it by its next update.
pub(crate) fn order_gate(desk: &mut Desk<'_>, request: &Verified<GateOrder>) -> Result<Vec<u8>, Failure> {
    let known = desk.known(request.gate.into()).filter(|known| known.role == Role::Gate);
    if known.is_none_or(|known| known.owner != Some(request.promoter)) {
        return Err(ProviderRefusal::NotAllowed.into());
    }
    let row = desk.store.planned(request.event)?.filter(|row| row.promoter == request.promoter);
    let row = row.ok_or(ProviderRefusal::Unknown)?;
    let plan = planned(&row)?;
    let door = plan.doors.iter().find(|door| door.door == request.door).ok_or(ProviderRefusal::Unknown)?;
    let body = request.signed().encode();
    if let Some(before) = desk.store.gate(request.gate)? {
        let last = Signed::<GateOrder>::decode(&before.order).map_err(|_| StoreError::Damaged)?;
        if last.hash(&[]) == request.hash() {
            return Ok(done(desk, &request.hash(), request.at));
        }
        // An old order that somebody brings again changes nothing.
        if request.at <= last.claimed().at {
            return Err(ProviderRefusal::Repeated.into());
        }
    }
    desk.store.put_gate(&GateRow {
        gate: request.gate,
        event: request.event,
        door: request.door,
        zone: door.zone,
        direction: request.direction,
        sent: 0,
        order: body,
    })?;
    // Its neighbours hear that there is another one.
    desk.store.event_changed(request.event)?;
    Ok(done(desk, &request.hash(), request.at))
}
