//! What a gate needs to know of its event, whenever that has changed: terms, tickets that let nobody in, and nothing about persons.

use super::hand::staff_of;
use super::plan::planned;
use crate::desk::{Desk, Failure};
use tegata_core::talk::enter::{EnterRefusal, SeatRun, Setup};
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::{CardId, DeviceId};
use tegata_store::{GateRow, StoreError};

/// Gives a gate what has changed since it was told last.
pub(crate) fn due(desk: &mut Desk<'_>, gate: DeviceId) -> Result<(), Failure> {
    let Some(place) = desk.store.gate(gate)? else {
        return Ok(());
    };
    let event = desk.store.planned(place.event)?.ok_or(StoreError::Damaged)?;
    if place.sent == event.changed {
        return Ok(());
    }
    let plan = planned(&event)?;
    let (mut terms, mut replaced) = (Vec::new(), Vec::new());
    for (handle, since) in desk.store.event_terms(place.event)? {
        // Replaced ones, too: a neighbour that has not heard of the change lets in under them, and says so (R22).
        terms.push(desk.terms(handle)?);
        if since.is_some() {
            replaced.push(handle);
        }
    }
    // One that was lost is waited for no more: nobody is alone for its sake.
    let stands = |gate: &DeviceId| desk.known((*gate).into()).is_some_and(|known| known.revoked.is_none());
    let standing = desk.store.gates_of(place.event)?.into_iter().map(|gate| gate.gate).filter(stands).collect();
    // A seat's number and name stay, so that no ticket is shown under another name by a gate that has not heard of the last plan.
    let seats = SeatRun::of(&plan.seats);
    let (zones, door_name) = Setup::place_names(&plan, place.door);
    let setup = Setup {
        number: event.changed,
        event: place.event,
        name: plan.name,
        terms,
        replaced,
        dead: desk.store.dead_tickets(place.event)?,
        door: place.door,
        zone: place.zone,
        direction: place.direction,
        at: desk.now,
        gates: standing,
        staff: staff_of(desk, place.event)?,
        unnamed: seats.is_none().then_some(plan.seats.len() as u64),
        seats: seats.filter(|runs| !runs.is_empty()),
        zones,
        door_name,
        extensions: Default::default(),
    };
    desk.command(gate, &Command { setup: Some(setup), ..Command::new(CommandKind::Setup) })?;
    Ok(desk.store.put_gate(&GateRow { sent: event.changed, ..place })?)
}

/// A ticket lets nobody in any more, up to this generation: its gates hear of it. Other cards are none.
pub(crate) fn kill(desk: &mut Desk<'_>, card: CardId, generation: u64, why: EnterRefusal) -> Result<(), Failure> {
    let Some(mut ticket) = desk.store.ticket(card)?.filter(|ticket| ticket.dead < generation) else {
        return Ok(());
    };
    ticket.dead = generation;
    ticket.why = Some(why);
    desk.store.put_ticket(&ticket)?;
    Ok(desk.store.event_changed(ticket.event)?)
}
