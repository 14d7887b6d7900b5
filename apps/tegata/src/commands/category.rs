//! Price categories and numbered seats as their promoter reads them: the terms in plain words, and which number is which seat.

use crate::screen::table;
use serde_json::{Value, json};
use tegata_core::card::Terms;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::talk::buy::Listing;
use tegata_core::talk::event::EventPlan;

/// How names and numbers of seats relate: said wherever somebody picks by the number or sees it.
const NUMBERS: &str = "Seats are numbered from 1 as they were planned, and a number stays its seat's. Gates and wallets show what stands on the seat; a buyer \
     picks it by the number: tegata wallet NAME buy ARTICLE --seat NUMBER";

/// A category for programs.
pub fn listed(listed: &Listing) -> Value {
    let ticket = listed.terms.ticket.as_ref();
    json!({
        "article": listed.article,
        "name": listed.terms.name,
        "price": listed.price.decimal().to_string(),
        "currency": listed.price.unit().name(),
        "stock": listed.stock,
        "sold_until": listed.until.0,
        "from": ticket.map(|ticket| ticket.from.0),
        "until": ticket.map(|ticket| ticket.until.0),
        "zones": ticket.map(|ticket| ticket.zones.clone()),
        "entries": ticket.map(|ticket| ticket.entries),
        "a_day": ticket.and_then(|ticket| ticket.a_day),
        "reentry": ticket.map(|ticket| ticket.reentry),
        "companions": ticket.map(|ticket| ticket.companions),
        "handovers": listed.terms.handovers,
        "give_until": ticket.and_then(|ticket| ticket.give_until).map(|until| until.0),
        "give_price": ticket.and_then(|ticket| ticket.give_price).map(|most| most.decimal().to_string()),
        "refundable": listed.terms.refundable,
        "refund_until": ticket.and_then(|ticket| ticket.refund_until).map(|until| until.0),
    })
}

/// A category's terms in plain words, a line for each question that people ask.
pub fn in_words(plan: &EventPlan, listed: &Listing) -> String {
    let terms = &listed.terms;
    let Some(ticket) = &terms.ticket else {
        return terms.name.clone();
    };
    let lines = [
        format!("{} (article {}), sold until {}:", terms.name, listed.article, super::moment(listed.until)),
        admits(plan, ticket),
        entries(ticket),
        given(terms, ticket),
        refunded(terms, ticket),
    ];
    lines.join("\n  ")
}

fn admits(plan: &EventPlan, ticket: &TicketTerms) -> String {
    let zone = |number: &u64| {
        let known = plan.zones.iter().find(|zone| zone.zone == *number);
        known.map_or_else(|| format!("zone {number}"), |zone| zone.name.clone())
    };
    let zones: Vec<String> = ticket.zones.iter().map(zone).collect();
    let (from, until) = (super::moment(ticket.from), super::moment(ticket.until));
    format!("admits from {from} until before {until}, into {}", zones.join(", "))
}

fn entries(ticket: &TicketTerms) -> String {
    // Gates count each zone by itself.
    let all = match (ticket.entries, ticket.zones.len()) {
        (1, 0 | 1) => "one entry".to_owned(),
        (1, _) => "one entry into each zone".to_owned(),
        (entries, 0 | 1) => format!("{entries} entries in all"),
        (entries, _) => format!("{entries} entries into each zone"),
    };
    let day = match ticket.a_day {
        None => String::new(),
        Some(most) => {
            let begins = ticket.day_begins / 60;
            format!(", at most {most} on one day (which begins at {:02}:{:02}Z)", begins / 60, begins % 60)
        }
    };
    let again = match (ticket.entries, ticket.reentry) {
        (0 | 1, _) => "",
        (_, true) => "; who has gone out may come in again",
        (_, false) => "; who has gone out does not come in again on that day",
    };
    let with = match ticket.companions {
        0 => "for its holder alone".to_owned(),
        1 => "for its holder and one more".to_owned(),
        more => format!("for its holder and {more} more"),
    };
    format!("{all}{day}{again}; {with}")
}

fn given(terms: &Terms, ticket: &TicketTerms) -> String {
    let often = match terms.handovers {
        0 => return "cannot be given away".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let until = match ticket.give_until {
        None => "as long as it is valid".to_owned(),
        Some(until) => format!("until {}", super::moment(until)),
    };
    let price = ticket.give_price.map_or_else(String::new, |most| format!(", for at most {most}"));
    format!("may be given on {often} in all, {until}{price}")
}

fn refunded(terms: &Terms, ticket: &TicketTerms) -> String {
    match (terms.refundable, ticket.refund_until) {
        (false, _) => "not refunded".to_owned(),
        (true, None) => "refunded as long as it let nobody in".to_owned(),
        (true, Some(until)) => format!("refunded until {}, if it let nobody in", super::moment(until)),
    }
}

/// The numbered seats, by number: for people under the words that say what the number is for, and for programs.
pub fn seats(plan: &EventPlan, categories: &[Listing]) -> (String, Value) {
    let category = |article: u64| {
        let listed = categories.iter().find(|listed| listed.article == article);
        listed.map_or_else(|| format!("article {article}, not listed"), |listed| listed.terms.name.clone())
    };
    let seats = plan.seats.iter().map(|seat| (seat, category(seat.article)));
    let rows: Vec<Vec<String>> =
        seats.clone().map(|(seat, of)| vec![seat.seat.to_string(), seat.name.clone(), of]).collect();
    let json = seats
        .map(|(seat, of)| json!({ "seat": seat.seat, "name": seat.name, "article": seat.article, "category": of }))
        .collect();
    let text = match rows.as_slice() {
        [] => "No seat is numbered: whoever comes first sits first.".to_owned(),
        rows => format!("{NUMBERS}\n\n{}", table(&["number", "seat", "category"], rows)),
    };
    (text, json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::card::CardKind;
    use tegata_core::talk::event::PlannedZone;
    use tegata_core::{Amount, EventId, PartyId, Time, Unit};

    fn plan() -> EventPlan {
        EventPlan {
            promoter: PartyId([1; 16]),
            event: EventId([2; 16]),
            revision: 1,
            name: "Concert".into(),
            place: "Town hall".into(),
            zones: vec![PlannedZone { zone: 1, name: "Hall".into(), extensions: Default::default() }],
            doors: Vec::new(),
            seats: Vec::new(),
            at: Time(5),
            extensions: Default::default(),
        }
    }

    fn sold(handovers: u64, ticket: TicketTerms) -> Listing {
        let terms = Terms {
            issuer: PartyId([1; 16]),
            kind: CardKind::Ticket,
            unit: Unit::ENTRIES,
            name: "Concert, Stalls".into(),
            max_payment: 0,
            offline_limit: 0,
            due_after: Time::DAY,
            list_age: Time::DAY,
            record_age: Time::DAY,
            max_balance: ticket.entries,
            handovers,
            refundable: handovers > 0,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: Some(ticket),
            extensions: Default::default(),
        };
        Listing {
            issuer: PartyId([1; 16]),
            article: 3,
            revision: 1,
            face: Amount::zero(Unit::ENTRIES),
            price: Amount::zero(Unit::USD),
            terms,
            stock: 5,
            until: Time(1_795_381_200),
            valid_for: Time::DAY,
            clear_after: None,
            at: Time(5),
            extensions: Default::default(),
        }
    }

    fn ticket() -> TicketTerms {
        TicketTerms {
            event: EventId([2; 16]),
            place: "Town hall".into(),
            from: Time(1_795_381_200),
            until: Time(1_795_402_800),
            zones: vec![1, 2],
            entries: 3,
            a_day: Some(2),
            day_begins: 75_600,
            reentry: true,
            companions: 1,
            door: None,
            give_until: Some(Time(1_795_381_200)),
            give_price: Amount::new(Unit::USD, 5_000),
            refund_until: Some(Time(1_795_381_200)),
            seating: None,
            extensions: Default::default(),
        }
    }

    fn told_of(ticket: TicketTerms) -> String {
        in_words(&plan(), &sold(2, ticket))
    }

    #[test]
    fn terms_are_told_in_plain_words() {
        let told = in_words(&plan(), &sold(2, ticket()));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines,
            [
                "Concert, Stalls (article 3), sold until 2026-11-22 21:00:00Z:",
                "  admits from 2026-11-22 21:00:00Z until before 2026-11-23 03:00:00Z, into Hall, zone 2",
                "  3 entries into each zone, at most 2 on one day (which begins at 21:00Z); who has gone out may come in again; for its holder and \
                 one more",
                "  may be given on 2 times in all, until 2026-11-22 21:00:00Z, for at most 50.00 USD",
                "  refunded until 2026-11-22 21:00:00Z, if it let nobody in",
            ]
        );
        let hall = told_of(TicketTerms { zones: vec![1], ..ticket() });
        assert!(hall.contains("into Hall\n  3 entries in all, at most 2"), "{hall}");
        let both = told_of(TicketTerms { entries: 1, a_day: None, ..ticket() });
        assert!(both.contains("\n  one entry into each zone; for its holder and one more\n"), "{both}");
        let plain = TicketTerms { zones: vec![1], entries: 1, a_day: None, reentry: false, companions: 0, ..ticket() };
        let told = in_words(&plan(), &sold(0, plain));
        assert!(
            told.ends_with("\n  one entry; for its holder alone\n  cannot be given away\n  not refunded"),
            "{told}"
        );
    }
}
