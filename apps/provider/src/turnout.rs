//! A promoter's report of one event: what was sold, who came, what went back. Summed by the database; as long as there are
//! categories, doors and quarters of an hour, however many came.

use crate::desk::{Desk, Failure};
use crate::report::decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tegata_core::talk::buy::Listing;
use tegata_core::talk::enter::Direction;
use tegata_core::talk::event::{EventPlan, GateInvite};
use tegata_core::talk::report::{ProviderRefusal, ReportRequest};
use tegata_core::wire::signed::Signed;
use tegata_core::{EventId, PartyId};
use tegata_store::StoreError;

/// What was done by hand, by member of the staff, zone and way.
fn by_hand(desk: &Desk<'_>, event: EventId) -> Result<Vec<Value>, Failure> {
    let mut sums: BTreeMap<(u64, u64, &str), (u64, u64)> = BTreeMap::new();
    for row in desk.store.by_hand(event)? {
        let sum =
            sums.entry((row.staff, row.zone, if row.direction == Direction::Out { "out" } else { "in" })).or_default();
        sum.0 += row.people;
        sum.1 += u64::from(row.card.is_some());
    }
    let told = |((staff, zone, way), (people, tickets))| json!({ "staff": staff, "zone": zone, "way": way, "people": people, "tickets_ended": tickets });
    Ok(sums.into_iter().map(told).collect())
}

/// How many tickets a report names that came in again.
const NAMED: usize = 100;

/// Who came in again on the same day and was not seen to go out. A day's end ends every stay.
fn not_left(desk: &Desk<'_>, event: EventId, plan: &EventPlan) -> Result<Value, Failure> {
    let mut found = Vec::new();
    for row in desk.store.not_left(event)? {
        let terms = desk.terms(row.terms)?.ticket.ok_or(StoreError::Damaged)?;
        if terms.day(row.at) == terms.day(row.before) {
            found.push(row);
        }
    }
    let name = |door: u64| plan.doors.iter().find(|one| one.door == door).map(|door| door.name.clone());
    let told = found.iter().take(NAMED).map(|row| {
        json!({
            "ticket": row.card.to_string(), "zone": row.zone, "entry": row.entry, "at": row.at.0, "door": name(row.door),
            "came_in": row.before.0, "came_in_door": name(row.before_door),
        })
    });
    Ok(json!({ "count": found.len(), "tickets": told.collect::<Vec<_>>() }))
}

/// The gates that stand at the event's doors; one that was lost stands at none.
fn gates(desk: &Desk<'_>, event: EventId) -> Result<Vec<Value>, Failure> {
    let mut told = Vec::new();
    for gate in desk.store.gates_of(event)? {
        let Some(known) = desk.store.participant(gate.gate.into())?.filter(|known| known.revoked.is_none()) else {
            continue;
        };
        let (id, way) = (gate.gate.to_string(), gate.direction.name());
        told.push(json!({ "gate": id, "name": known.name, "door": gate.door, "direction": way }));
    }
    Ok(told)
}

/// The invitations to its doors that may still be used, and were not.
fn invited(desk: &Desk<'_>, (promoter, event): (PartyId, EventId)) -> Result<Vec<Value>, Failure> {
    let mut told = Vec::new();
    for token in desk.store.invitations(promoter)?.into_iter().filter(|token| token.valid_until > desk.now) {
        let Some(place) = token.place else { continue };
        let signed = Signed::<GateInvite>::decode(&place).map_err(|_| StoreError::Damaged)?;
        let invite = signed.claimed();
        if invite.event == event {
            let (way, until) = (invite.direction.name(), invite.until.0);
            told.push(json!({ "gate": token.name, "door": invite.door, "direction": way, "until": until }));
        }
    }
    Ok(told)
}

/// With how many tickets nobody came: `None` as long as somebody still may.
fn no_shows(desk: &Desk<'_>, event: EventId) -> Result<Option<u64>, Failure> {
    for (terms, replaced) in desk.store.event_terms(event)? {
        let until = desk.terms(terms)?.ticket.map(|ticket| ticket.until);
        if replaced.is_none() && until.is_none_or(|until| desk.now < until) {
            return Ok(None);
        }
    }
    Ok(Some(desk.store.no_shows(event)?))
}

/// The report, for the event's own promoter alone.
pub(crate) fn report(desk: &Desk<'_>, request: &ReportRequest) -> Result<Value, Failure> {
    let event = request.event.ok_or(ProviderRefusal::Malformed)?;
    let row = desk.store.planned(event)?.filter(|row| row.promoter == request.party);
    let row = row.ok_or(ProviderRefusal::Unknown)?;
    let plan = crate::enter::planned(&row)?;
    let (mut categories, mut places) = (Vec::new(), Vec::<String>::new());
    for article in desk.store.articles()?.into_iter().filter(|article| article.issuer == request.party) {
        let listing = Signed::<Listing>::decode(&article.body).map_err(|_| StoreError::Damaged)?.claimed().clone();
        let Some(ticket) = listing.terms.ticket.as_ref().filter(|ticket| ticket.event == event) else {
            continue;
        };
        // A change moves the tickets; the plan stays as it was signed.
        if !places.contains(&ticket.place) {
            places.push(ticket.place.clone());
        }
        let sales = desk.store.sales(request.party, article.article)?;
        let unit = listing.price.unit();
        categories.push(json!({
            "article": article.article, "name": listing.terms.name, "unit": unit.name(),
            "price": listing.price.decimal().to_string(), "stock": listing.stock,
            "left": listing.stock.saturating_sub(article.taken), "sold": sales.sold, "reserved": sales.reserved,
            "by_number": sales.numbers, "installed_by_number": sales.installed, "waiting": sales.waiting,
            "refunds": sales.refunds, "refunded": decimal(unit, sales.refunded),
        }));
    }
    let arrivals = desk.store.arrivals(event)?.into_iter().map(|quarter| {
        let door = plan.doors.iter().find(|door| door.door == quarter.door);
        json!({
            "door": quarter.door, "name": door.map(|door| door.name.clone()), "from": quarter.from.0,
            "entries": quarter.entries, "people": quarter.people,
        })
    });
    let exceptions = desk.store.exceptions_at(event)?.into_iter();
    let exceptions = exceptions.map(|(kind, count, open)| json!({ "kind": kind.name(), "count": count, "open": open }));
    let turnout = desk.store.turnout(event)?;
    let place = if places.is_empty() { plan.place.clone() } else { places.join(" and ") };
    Ok(json!({
        "event": event.to_string(), "name": plan.name, "place": place, "at": desk.now.0,
        "cancelled": row.cancelled.map(|at| at.0),
        "tickets": {
            "installed": turnout.tickets, "given": turnout.given, "dead": turnout.dead, "came": turnout.came,
            "no_shows": no_shows(desk, event)?,
        },
        "gates": gates(desk, event)?,
        "invited": invited(desk, (request.party, event))?,
        "categories": categories,
        "arrivals": arrivals.collect::<Vec<_>>(),
        "exceptions": exceptions.collect::<Vec<_>>(),
        "by_hand": by_hand(desk, event)?,
        "not_left": not_left(desk, event, &plan)?,
    }))
}
