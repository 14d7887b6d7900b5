//! Tickets by number, sold over a counter: they come out of the same house as those that are sold over the network, so that each seat
//! has one ticket, and no category has more than there are.

use crate::desk::{Desk, Failure};
use std::collections::BTreeSet;
use tegata_core::EventId;
use tegata_core::talk::buy::Listing;
use tegata_core::talk::cards::Order;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::Signed;
use tegata_store::StoreError;

/// How many bytes of seats' names a refusal has; its text has 300 at most.
const NAMED: usize = 150;

/// What an order of tickets takes: judged before anything is written, taken with the batch in one transaction.
pub(crate) struct Counter {
    article: u64,
    /// How many of the article are gone with these.
    taken: u64,
    event: EventId,
    /// In the order of the serials; none: free seating.
    seats: Vec<u64>,
}

/// What an order takes. Its tickets have the terms that an article is listed with; where that has numbered seats, each number names one
/// that is free. `None`: it is not of tickets. `again`: it was taken before this provider was put back from a backup.
pub(crate) fn counter(desk: &Desk<'_>, order: &Order, again: bool) -> Result<Option<Counter>, Failure> {
    let Some(ticket) = &order.terms.ticket else {
        return if order.seats.is_none() { Ok(None) } else { Err(ProviderRefusal::Terms.into()) };
    };
    for row in desk.store.articles()?.into_iter().filter(|row| row.issuer == order.issuer) {
        let listing = Signed::<Listing>::decode(&row.body).map_err(|_| StoreError::Damaged)?;
        let said = listing.claimed();
        if said.terms != order.terms {
            continue;
        }
        let no = |why: &str| Err(Failure::Told(ProviderRefusal::Terms, format!("{why}; nothing was ordered")));
        if crate::enter::is_replaced(desk, &order.terms)? {
            return no("these tickets were changed, or their event is cancelled");
        }
        // Whoever waits comes first, but for what was sold already.
        if !again && desk.store.first_waiting(order.issuer, row.article)?.is_some() {
            return no("people wait for these tickets, and come first");
        }
        let seats = seats(desk, order, (ticket.event, row.article))?;
        let taken = row.taken.saturating_add(order.numbers.len() as u64);
        if order.face != said.face {
            return Err(ProviderRefusal::Terms.into());
        }
        if taken > said.stock {
            return no(&format!("only {} tickets of this category are left", said.stock.saturating_sub(row.taken)));
        }
        return Ok(Some(Counter { article: row.article, taken, event: ticket.event, seats }));
    }
    Err(ProviderRefusal::Terms.into())
}

/// The seats that an order takes: one for each number, sold by this article, free, and named once.
fn seats(desk: &Desk<'_>, order: &Order, (event, article): (EventId, u64)) -> Result<Vec<u64>, Failure> {
    let numbered = desk.store.has_seats(event, article)?;
    let wanted = match &order.seats {
        None if numbered => return Err(ProviderRefusal::Terms.into()),
        None => return Ok(Vec::new()),
        Some(wanted) => wanted,
    };
    if !numbered || wanted.len() != order.numbers.len() {
        return Err(ProviderRefusal::Terms.into());
    }
    let (mut named, mut gone) = (BTreeSet::new(), Vec::new());
    for seat in wanted {
        if !named.insert(*seat) || !desk.store.is_free_seat(event, article, *seat)? {
            gone.push(*seat);
        }
    }
    match gone.is_empty() {
        true => Ok(wanted.clone()),
        false => Err(Failure::Told(ProviderRefusal::Seats, told(desk, event, &gone)?)),
    }
}

/// Seats by their names, for people: as many as a refusal has room for.
pub(crate) fn seat_names(desk: &Desk<'_>, event: EventId, seats: &[u64]) -> Result<String, Failure> {
    let mut names = Vec::new();
    let mut length = 0;
    for seat in seats {
        let name = desk.store.seat_name(event, *seat)?.unwrap_or_else(|| format!("number {seat}"));
        length += name.len() + 2;
        if length > NAMED {
            break;
        }
        names.push(name);
    }
    let more = match seats.len() - names.len() {
        0 => String::new(),
        more if names.is_empty() => format!("{more} of them"),
        more => format!(" and {more} more"),
    };
    Ok(format!("{}{more}", names.join("; ")))
}

/// Which seats cannot be had, for people.
fn told(desk: &Desk<'_>, event: EventId, gone: &[u64]) -> Result<String, Failure> {
    let names = seat_names(desk, event, gone)?;
    Ok(format!("seats taken, named twice or not sold by this category: {names}; nothing was ordered"))
}

impl Counter {
    /// Takes it for a batch that is written: its seats are not for sale any more, whether its numbers are ever sold or not.
    pub(crate) fn take(&self, desk: &Desk<'_>, order: &Order) -> Result<(), Failure> {
        desk.store.set_batch_article(order.issuer, order.batch, self.article)?;
        desk.store.set_taken(order.issuer, self.article, self.taken)?;
        for (serial, seat) in (1u64..).zip(&self.seats) {
            desk.store.print_seat(self.event, *seat, (order.issuer, order.batch, serial))?;
        }
        Ok(())
    }
}
