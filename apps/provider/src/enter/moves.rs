//! Seats moved by a change: a concert goes to a hall with other seats.
//!
//! Whoever has a seat when the change is taken in has the one in its place from that moment on, in the transaction that takes the change
//! in: all seats are moved, or none and the change is refused. So no seat has two who have it, whatever is sold, paid back or changed
//! again in between. A ticket's certificate names its new seat when it has the new terms, not before: each holder is asked first.
//!
//! A seat that is left empty is not sold any more, since its old ticket may still be shown where nobody has heard of the change; and in
//! the new hall it is not there. A later change may move somebody onto it.

use super::progress::leading_to;
use crate::buy;
use crate::desk::{Desk, Failure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::card::CardCertificate;
use tegata_core::talk::buy::Listing;
use tegata_core::talk::event::{Change, MoveError, MovedSeat};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::Signed;
use tegata_core::{CardId, EventId, Handle};
use tegata_store::{ChangeRow, SeatState, StoreError, TicketRow};

/// Refuses to move seats so: these are at fault.
fn no(desk: &Desk<'_>, event: EventId, what: &str, seats: &[u64]) -> Result<(), Failure> {
    let names = match seats.is_empty() {
        true => String::new(),
        false => format!(": {}", buy::seat_names(desk, event, seats)?),
    };
    Err(Failure::Told(ProviderRefusal::Seats, format!("{what}{names}; nothing was changed")))
}

/// Whether all seats can be moved that a change moves.
pub(super) fn judge(desk: &Desk<'_>, request: &Change) -> Result<(), Failure> {
    let event = request.event;
    if let Err(why) = request.check_moves() {
        let what = match why {
            MoveError::Cancelled => "a cancelled event moves no seats",
            MoveError::Nothing => "no seat is named that is moved",
            MoveError::Twice(_) => "a seat that is moved twice, or not in order",
            MoveError::Onto(_) => "a seat that two are moved onto",
            MoveError::Stays(_) => "a seat that is moved onto itself",
        };
        return no(desk, event, what, why.seat().as_slice());
    }
    let moves = request.moves();
    if moves.is_empty() {
        return Ok(());
    }
    let rows = desk.store.seats_of(event)?;
    let seats: BTreeMap<u64, _> = rows.iter().map(|row| (row.seat, (row.article, row.state))).collect();
    let named = moves.iter().flat_map(|one| [one.from, one.to]).filter(|seat| !seats.contains_key(seat));
    let unknown: BTreeSet<u64> = named.collect();
    if !unknown.is_empty() {
        let unknown: Vec<u64> = unknown.into_iter().collect();
        return no(desk, event, "seats that the plan does not have", &unknown);
    }
    let article = |seat: u64| seats.get(&seat).map(|(article, _)| *article);
    let other: Vec<u64> = moves.iter().filter(|one| article(one.from) != article(one.to)).map(|one| one.from).collect();
    if !other.is_empty() {
        return no(desk, event, "seats that would be moved into another category", &other);
    }
    let from: BTreeSet<u64> = moves.iter().map(|one| one.from).collect();
    let is_taken = |seat: u64| seats.get(&seat).is_some_and(|(_, state)| *state == SeatState::Taken);
    let gone: Vec<u64> = moves.iter().map(|one| one.to).filter(|to| is_taken(*to) && !from.contains(to)).collect();
    if !gone.is_empty() {
        return no(desk, event, "seats that others would be moved onto, and that are sold or reserved", &gone);
    }
    let reached = leading_to(desk, event, request.before)?;
    let held = held(desk, event)?;
    let beyond = held.iter().filter(|(seat, terms)| from.contains(seat) && !reached.contains(terms));
    let beyond: Vec<u64> = beyond.map(|(seat, _)| *seat).collect();
    match beyond.is_empty() {
        true => Ok(()),
        false => no(desk, event, "seats whose tickets this change does not reach", &beyond),
    }
}

/// The seats of an event that somebody has, and the terms that it has them under; without a ticket, those that it would be sold under.
pub(super) fn held(desk: &Desk<'_>, event: EventId) -> Result<Vec<(u64, Handle)>, Failure> {
    let (mut all, mut listed) = (Vec::new(), BTreeMap::new());
    for seat in desk.store.held_seats(event)? {
        let terms = match (seat.terms, seat.listed) {
            (Some(terms), _) => terms,
            (None, None) => return Err(StoreError::Damaged.into()),
            (None, Some(of)) => match listed.get(&of) {
                Some(known) => *known,
                None => {
                    let (_, body) = desk.store.listing(of.0, of.1, of.2)?.ok_or(StoreError::Damaged)?;
                    let listing = Signed::<Listing>::decode(&body).map_err(|_| StoreError::Damaged)?;
                    *listed.entry(of).or_insert(listing.claimed().terms.handle())
                }
            },
        };
        all.push((seat.seat, terms));
    }
    Ok(all)
}

/// Seats by number, as a report has them: the first and the last of each row of neighbours.
pub(super) fn runs(seats: impl Iterator<Item = u64>) -> Value {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seat in seats {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(seat) => *last = seat,
            _ => runs.push((seat, seat)),
        }
    }
    runs.into_iter().map(|(first, last)| Value::from(vec![first, last])).collect()
}

/// A ticket with its seat, and the one that it has by this change: where the ticket waits in earlier ones, they move it first. `None`:
/// it has no numbered seat.
pub(super) fn seat_by(
    desk: &mut Desk<'_>,
    change: &ChangeRow,
    card: CardId,
) -> Result<Option<(TicketRow, u64, u64)>, Failure> {
    let mut terms = desk.known_card(card)?.terms;
    let ticket = desk.store.ticket(card)?.ok_or(StoreError::Damaged)?;
    let Some(from) = ticket.seat else {
        return Ok(None);
    };
    let mut to = from;
    while let Some((hash, after)) = desk.store.next_terms(change.event, terms)? {
        to = desk.store.moved_seat(&hash, to)?.unwrap_or(to);
        match after {
            Some(after) if hash != change.change => terms = after,
            _ => break,
        }
    }
    Ok(Some((ticket, from, to)))
}

/// What its wallet is told of that.
pub(super) fn told(desk: &mut Desk<'_>, change: &ChangeRow, card: CardId) -> Result<Option<MovedSeat>, Failure> {
    match seat_by(desk, change, card)? {
        Some((ticket, from, to)) => moved(desk, ticket.event, (from, to)),
        None => Ok(None),
    }
}

/// What a wallet is told whose certificate names another seat than its ticket has by now.
pub(super) fn since(desk: &Desk<'_>, certificate: &CardCertificate) -> Result<Option<MovedSeat>, Failure> {
    let ticket = desk.store.ticket(certificate.card)?.ok_or(StoreError::Damaged)?;
    match certificate.seat.zip(ticket.seat) {
        Some(seats) => moved(desk, ticket.event, seats),
        None => Ok(None),
    }
}

/// Both seats by what stands on them. `None`: they are one.
fn moved(desk: &Desk<'_>, event: EventId, (from, to): (u64, u64)) -> Result<Option<MovedSeat>, Failure> {
    if from == to {
        return Ok(None);
    }
    let (was, name) = (desk.store.seat_name(event, from)?, desk.store.seat_name(event, to)?);
    Ok(Some(MovedSeat { from, to, was, name, extensions: Default::default() }))
}
