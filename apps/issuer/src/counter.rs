//! Tickets by number, to be sold over a counter: so many of a category, or for certain numbered seats. Whether a seat is free is the
//! provider's to say: it takes all seats of an order, or refuses the order.

use crate::event::title;
use crate::issuer::{Issuer, IssuerError};
use std::collections::{HashMap, HashSet};
use tegata_core::EventId;
use tegata_core::record::Space;
use tegata_core::talk::cards::Order;
use tegata_core::talk::event::Seat;
use tegata_core::wire::signed::Signed;
use tegata_device::{Now, Post};
use tegata_vault::Vault;

/// Which tickets of a category get numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// So many. Where seats are numbered, the last ones of the plan that are in no batch yet: who buys over the network and names no seat
    /// gets the first.
    Count(u64),
    /// Those for these seats, each by its name or its number in the plan; their numbers come in this order.
    Seats(Vec<String>),
}

impl<V: Vault> Issuer<V> {
    /// Orders tickets of a category by number: to be sold over a counter once they are activated, or as vouchers, which cost nothing.
    ///
    /// # Errors
    /// [`IssuerError::NoCategory`] and others.
    pub fn numbers(
        &mut self,
        post: &mut dyn Post,
        (event, category): (&str, &str),
        wanted: &Numbering,
        now: Now,
    ) -> Result<u64, IssuerError> {
        let plan = self.event(event)?;
        let name = title(&plan, category);
        let found = self.categories(plan.event)?.into_iter().find(|listing| listing.terms.name == name);
        let listing = found.ok_or_else(|| IssuerError::NoCategory(category.to_owned()))?;
        let sold: Vec<&Seat> = plan.seats.iter().filter(|seat| seat.article == listing.article).collect();
        let open = self.open_plan(&plan)?;
        let left: Vec<&Seat> = open.seats.iter().filter(|seat| seat.article == listing.article).collect();
        let (count, seats) = match wanted {
            Numbering::Count(count) if sold.is_empty() => (*count, None),
            Numbering::Count(count) => (*count, Some(self.last_left((plan.event, category), &left, *count)?)),
            Numbering::Seats(named) => {
                let seats = picked(category, &sold, named)?;
                (seats.len() as u64, Some(seats))
            }
        };
        let until = listing.terms.ticket.as_ref().map_or(listing.until, |ticket| ticket.until);
        self.ordered(post, (listing.terms, listing.face), (count, seats, until), now)
    }

    /// The last seats that are in no batch yet, in the order of the plan.
    fn last_left(
        &self,
        (event, category): (EventId, &str),
        sold: &[&Seat],
        count: u64,
    ) -> Result<Vec<u64>, IssuerError> {
        let printed = self.seats_printed(event)?;
        let left: Vec<u64> = sold.iter().map(|seat| seat.seat).filter(|seat| !printed.contains(seat)).collect();
        let few = || IssuerError::FewSeats(category.to_owned(), left.len() as u64);
        let first = usize::try_from(count).ok().and_then(|count| left.len().checked_sub(count)).ok_or_else(few)?;
        Ok(left.into_iter().skip(first).collect())
    }

    /// Seats of an event that are in its batches; of an order that was refused none is.
    fn seats_printed(&self, event: EventId) -> Result<HashSet<u64>, IssuerError> {
        let mut printed: HashSet<u64> = HashSet::new();
        for (_, bytes) in self.device.vault.scan(Space::Receipt, &[], usize::MAX)? {
            let Ok(order) = Signed::<Order>::decode(&bytes) else {
                continue;
            };
            let said = order.claimed();
            if said.terms.ticket.as_ref().is_some_and(|ticket| ticket.event == event) {
                printed.extend(said.seats.iter().flatten());
            }
        }
        Ok(printed)
    }

    /// What stands on the seats of an order, in the order of its numbers.
    pub(crate) fn seat_names(&self, order: &Order) -> Result<Vec<String>, IssuerError> {
        let (Some(seats), Some(ticket)) = (&order.seats, &order.terms.ticket) else {
            return Ok(Vec::new());
        };
        let plan = self.events()?.into_iter().find(|plan| plan.event == ticket.event);
        let planned = plan.map_or_else(Vec::new, |plan| plan.seats);
        let names: HashMap<u64, String> = planned.into_iter().map(|seat| (seat.seat, seat.name)).collect();
        Ok(seats.iter().map(|seat| names.get(seat).cloned().unwrap_or_else(|| format!("number {seat}"))).collect())
    }
}

/// The seats that somebody names, each once.
fn picked(category: &str, sold: &[&Seat], named: &[String]) -> Result<Vec<u64>, IssuerError> {
    let by_name: HashMap<&str, u64> = sold.iter().map(|seat| (seat.name.as_str(), seat.seat)).collect();
    let numbers: HashSet<u64> = sold.iter().map(|seat| seat.seat).collect();
    let (mut seats, mut once) = (Vec::new(), HashSet::new());
    for name in named {
        let by_number = || name.parse::<u64>().ok().filter(|seat| numbers.contains(seat));
        let seat = by_name.get(name.as_str()).copied().or_else(by_number);
        let seat = seat.ok_or_else(|| IssuerError::NoSeat(name.clone(), category.to_owned()))?;
        if !once.insert(seat) {
            return Err(IssuerError::SeatTwice(name.clone()));
        }
        seats.push(seat);
    }
    Ok(seats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_named_by_what_stands_on_them_or_by_number_each_once() {
        let seat = |seat, name: &str| Seat { seat, name: name.into(), article: 1, extensions: Default::default() };
        // What is called by another one's number is meant by its name.
        let seats = [seat(4, "Row 1, 1"), seat(5, "Row 1, 2"), seat(6, "5")];
        let sold: Vec<&Seat> = seats.iter().collect();
        let pick = |named: &[&str]| {
            let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
            picked("Stalls", &sold, &named).map_err(|error| error.to_string())
        };
        assert_eq!(pick(&["Row 1, 2", "4", "5"]), Ok(vec![5, 4, 6]));
        assert!(pick(&["Row 1, 2", "Row 2, 1"]).is_err_and(|error| error.contains("'Row 2, 1' is no numbered seat")));
        assert!(pick(&["3"]).is_err_and(|error| error.contains("of category 'Stalls'")));
        assert!(pick(&["4", "Row 1, 1"]).is_err_and(|error| error.contains("'Row 1, 1' is named twice")));
    }
}
