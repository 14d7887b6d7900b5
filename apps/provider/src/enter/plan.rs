//! Events as their promoters plan them, and which gate stands where.

use crate::cards::done;
use crate::desk::{Desk, Failure};
use crate::provider::MAX_NAME;
use tegata_core::talk::event::{EventPlan, GateInvite, GateOrder};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{DeviceId, EventId, Hash, PartyId, Time};
use tegata_store::{GateRow, PlannedRow, StoreError, TokenRow};

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
    // Revisions between may be missing: a provider put back from a backup has forgotten them (R15).
    if request.revision <= before.as_ref().map_or(0, |row| row.revision) {
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

/// Where a gate stands, as its promoter has signed it: by an order, or by the invitation that it joined with.
struct Placed {
    hash: Hash,
    at: Time,
}

impl Placed {
    fn read(body: &[u8]) -> Result<Self, Failure> {
        if let Ok(invite) = Signed::<GateInvite>::decode(body) {
            return Ok(Self { hash: invite.hash(&[]), at: invite.claimed().at });
        }
        let order = Signed::<GateOrder>::decode(body).map_err(|_| StoreError::Damaged)?;
        Ok(Self { hash: order.hash(&[]), at: order.claimed().at })
    }
}

/// The zone behind a door of this promoter's event.
fn zone_of(desk: &Desk<'_>, promoter: PartyId, (event, door): (EventId, u64)) -> Result<u64, Failure> {
    let row = desk.store.planned(event)?.filter(|row| row.promoter == promoter);
    let plan = planned(&row.ok_or(ProviderRefusal::Unknown)?)?;
    let door = plan.doors.iter().find(|known| known.door == door).ok_or(ProviderRefusal::Unknown)?;
    Ok(door.zone)
}

/// Puts a gate of this promoter in its place: it hears of it by its next update.
pub(crate) fn order_gate(desk: &mut Desk<'_>, request: &Verified<GateOrder>) -> Result<Vec<u8>, Failure> {
    let known = desk.known(request.gate.into()).filter(|known| known.role == Role::Gate);
    if known.is_none_or(|known| known.owner != Some(request.promoter)) {
        return Err(ProviderRefusal::NotAllowed.into());
    }
    let zone = zone_of(desk, request.promoter, (request.event, request.door))?;
    if let Some(before) = desk.store.gate(request.gate)? {
        let last = Placed::read(&before.order)?;
        if last.hash == request.hash() {
            return Ok(done(desk, &request.hash(), request.at));
        }
        // An old order that somebody brings again changes nothing.
        if request.at <= last.at {
            return Err(ProviderRefusal::Repeated.into());
        }
    }
    desk.store.put_gate(&GateRow {
        gate: request.gate,
        event: request.event,
        door: request.door,
        zone,
        direction: request.direction,
        sent: 0,
        order: request.signed().encode(),
    })?;
    // Its neighbours hear that there is another one.
    desk.store.event_changed(request.event)?;
    Ok(done(desk, &request.hash(), request.at))
}

/// Keeps a promoter's invitation as the token of whoever joins with its number. The same one again changes nothing.
pub(crate) fn invite_gate(desk: &mut Desk<'_>, request: &Verified<GateInvite>) -> Result<Vec<u8>, Failure> {
    let place = Some(request.signed().encode());
    match desk.store.token(&request.secret)? {
        Some(before) if before.place == place => return Ok(done(desk, &request.hash(), request.at)),
        Some(_) => return Err(ProviderRefusal::Repeated.into()),
        None => {}
    }
    zone_of(desk, request.promoter, (request.event, request.door))?;
    if desk.now >= request.until || request.name.contains(['/', '\\']) || request.name.len() > MAX_NAME {
        return Err(ProviderRefusal::Terms.into());
    }
    desk.store.put_token(
        &request.secret,
        &TokenRow {
            role: Role::Gate,
            owner: Some(request.promoter),
            name: request.name.clone(),
            valid_until: request.until,
            place,
            used: None,
        },
    )?;
    Ok(done(desk, &request.hash(), request.at))
}

/// Where a gate that joins with this token shall stand.
///
/// # Errors
/// Its promoter is revoked; the event or the door is not planned any more.
pub(crate) fn place_of(desk: &Desk<'_>, token: &TokenRow) -> Result<Option<GateRow>, Failure> {
    let Some(order) = token.place.clone() else {
        return Ok(None);
    };
    let signed = Signed::<GateInvite>::decode(&order).map_err(|_| StoreError::Damaged)?;
    let GateInvite { promoter, event, door, direction, .. } = *signed.claimed();
    if desk.known(promoter.into()).is_none_or(|known| known.revoked.is_some()) {
        return Err(ProviderRefusal::Token.into());
    }
    let zone = zone_of(desk, promoter, (event, door))?;
    Ok(Some(GateRow { gate: DeviceId([0; 16]), event, door, zone, direction, sent: 0, order }))
}

/// Puts a gate that has just joined in its place: its first update sets it up, and its neighbours hear of it.
pub(crate) fn take_place(desk: &mut Desk<'_>, gate: DeviceId, place: GateRow) -> Result<(), Failure> {
    let event = place.event;
    desk.store.put_gate(&GateRow { gate, ..place })?;
    Ok(desk.store.event_changed(event)?)
}
