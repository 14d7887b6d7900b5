//! What a promoter does on the command line.

use super::category;
use super::doors;
use super::statement::{cell, cells, list as list_of};
use crate::calendar;
use crate::csv::csv;
use crate::flags::{EventCommand, PassesFlags};
use crate::place::{Place, Sort, now};
use crate::screen::{Answer, Failure, bold, fail, table};
use serde_json::{Value, json};
use std::path::Path;
use tegata_core::talk::buy::Listing;
use tegata_core::talk::enter::{Direction, StaffRole};
use tegata_core::talk::event::EventPlan;
use tegata_core::talk::join::JoinToken;
use tegata_core::{DeviceId, Time};
use tegata_issuer::{Category, Draft, Issuer, Numbering, Passes};
use tegata_vault::SqliteVault;

/// Does it.
pub fn run(place: &Place, name: &str, command: EventCommand) -> Result<Answer, Failure> {
    match command {
        EventCommand::Plan { name: event, place: at, zone, door, seats, category, passes } => {
            let doors = door.iter().map(|door| match door.split_once('=') {
                Some((door, zone)) => (door.to_owned(), Some(zone.to_owned())),
                None => (door.clone(), None),
            });
            let seats = seats.as_deref().map(read).transpose()?;
            let draft = Draft { name: event, place: at, zones: zone, doors: doors.collect(), seats };
            let categories = category.iter().map(|text| described(text, &passes)).collect::<Result<Vec<_>, _>>()?;
            let mut opened = place.issuer(name)?;
            let (plan, _) = opened.part.plan(&mut place.post()?, &draft, &categories, now())?;
            let mut answer = show(&opened.part, &plan, None)?;
            answer.text = format!("{} is planned.\n{}\n{}", bold(&plan.name), answer.text, hints(name, &plan));
            Ok(answer)
        }
        EventCommand::Seats { event, file } => {
            let text = read(&file)?;
            let mut opened = place.issuer(name)?;
            let plan = opened.part.seats(&mut place.post()?, &event, &text, now())?;
            let mut answer = show(&opened.part, &plan, None)?;
            answer.text = format!("{} has {} numbered seats.\n{}", bold(&plan.name), plan.seats.len(), answer.text);
            Ok(answer)
        }
        EventCommand::Category { event, category, passes } => {
            let category = described(&category, &passes)?;
            let listed = place.issuer(name)?.part.category(&mut place.post()?, &event, &category, now())?;
            let text =
                format!("{} is for sale: {} tickets at {}.", bold(&listed.terms.name), listed.stock, listed.price);
            Ok(Answer::new(text, json!({ "category": category::listed(&listed) })))
        }
        EventCommand::Gate { event, gate, door, out } => gate_at(place, name, (&event, &gate, door.as_deref()), out),
        EventCommand::Invite { event, door, gate, out, days } => {
            invite_gate(place, name, (&event, door.as_deref(), gate.as_deref()), (out, days))
        }
        EventCommand::Staff { event, add, supervisor, end } => {
            staff(place, name, &event, add.map(|name| (name, supervisor)), end)
        }
        EventCommand::Numbers { event, category, count, seats, seats_file } => {
            let wanted = match (seats, seats_file) {
                (Some(seats), _) => picked(seats.split(';'))?,
                (None, Some(file)) => picked(read(&file)?.trim_start_matches('\u{feff}').lines())?,
                (None, None) => Numbering::Count(count),
            };
            let mut opened = place.issuer(name)?;
            let batch = opened.part.numbers(&mut place.post()?, (&event, &category), &wanted, now())?;
            let printed = opened.part.print(batch)?;
            let (count, seats): (usize, Vec<_>) =
                (printed.len(), printed.into_iter().filter_map(|number| number.seat).collect());
            let places = if seats.is_empty() { "" } else { ", each with its seat" };
            let text = format!(
                "Batch {batch}: {count} tickets by number. Print it{places}: tegata issuer {name} print {batch}\n\
                 They let nobody in until they are activated, when they are sold or given out: tegata issuer {name} activate \
                 {batch} SERIAL"
            );
            Ok(Answer::new(text, json!({ "batch": batch, "count": count, "seats": seats })))
        }
        EventCommand::Report { event, csv } => {
            let content = place.issuer(name)?.part.report(&mut place.post()?, &event, now())?;
            let report: Value = serde_json::from_str(&content)?;
            Ok(Answer::new(if csv { spreadsheet(&report) } else { told(&report) }, report))
        }
        EventCommand::Show { event: None, .. } => list(&place.issuer(name)?.part, name),
        EventCommand::Show { event: Some(event), seats } => {
            let mut opened = place.issuer(name)?;
            let plan = opened.part.event(&event)?;
            let told = doors::told(place, &mut opened.part, plan.event);
            let mut answer = show(&opened.part, &plan, told.as_ref().ok())?;
            if let Err(why) = &told {
                answer.text =
                    format!("{}\n\nWhich gates have joined by a number the provider knows: {}", answer.text, why.0);
            }
            let (text, json) = category::seats(&plan, &opened.part.categories(plan.event)?);
            answer.json["seats"] = json;
            if seats {
                answer.text = format!("{}\n\n{text}", answer.text);
            } else if !plan.seats.is_empty() {
                let more = format!("tegata issuer {name} event show \"{}\" --seats", plan.name);
                answer.text = format!("{}\n\nWhich number is which seat: {more}", answer.text);
            }
            Ok(answer)
        }
    }
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            fail(format!("{} is no text in UTF-8; save it as such", file.display()))
        }
        Err(error) => fail(format!("{} cannot be read: {error}", file.display())),
    }
}

/// Seats as people list them.
fn picked<'a>(seats: impl Iterator<Item = &'a str>) -> Result<Numbering, Failure> {
    let seats: Vec<String> = seats.map(str::trim).filter(|seat| !seat.is_empty()).map(str::to_owned).collect();
    match seats.is_empty() {
        true => fail("no seat is named; `event show EVENT --seats` lists them"),
        false => Ok(Numbering::Seats(seats)),
    }
}

/// A category as the flags describe it.
fn described(text: &str, flags: &PassesFlags) -> Result<Category, Failure> {
    let Some((name, price)) = text.split_once('=') else {
        return fail(format!(
            "'{text}' is no category; write NAME=PRICE or NAME=PRICE:COUNT, such as Standing=20.00:500"
        ));
    };
    let (price, count) = price.split_once(':').map_or((price, None), |(price, count)| (price, Some(count)));
    let stock = match count.map(str::parse::<u64>) {
        None => None,
        Some(Ok(count)) => Some(count),
        Some(Err(_)) => return fail(format!("'{text}': after the colon stands how many tickets there are, in digits")),
    };
    let Some(from) = &flags.from else {
        return fail("say when the doors open: --from \"2026-12-24 19:00\"");
    };
    let from = moment(from)?;
    let until = from.after(flags.hours.saturating_mul(3600));
    let passes = Passes {
        from,
        until,
        zones: flags.into.clone(),
        entries: flags.entries,
        a_day: flags.a_day,
        reentry: flags.entries > 1 && !flags.no_reentry,
        companions: flags.companions,
        refund_until: Some(Time(from.since(Time(flags.refund_hours.saturating_mul(3600))))),
        refundable: !flags.no_refund,
        handovers: if flags.not_transferable { 0 } else { flags.handovers },
        give_until: flags.give_hours.map(|hours| Time(from.since(Time(hours.saturating_mul(3600))))),
        give_price: flags.give_price.as_deref().map(|price| super::amount(price, &flags.currency)).transpose()?,
    };
    let price = super::amount(price, &flags.currency)?;
    Ok(Category { name: name.trim().to_owned(), price, stock, sold_until: until, passes })
}

/// A moment as people write it, in UTC.
fn moment(text: &str) -> Result<Time, Failure> {
    let read = || {
        let (date, clock) = text.trim().trim_end_matches('Z').split_once(['T', ' '])?;
        let date: Vec<u64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let clock: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let ([year, month, day], [hour, minute, rest @ ..]) = (&date[..], &clock[..]) else {
            return None;
        };
        let second = match rest {
            [] => 0,
            [second] => *second,
            _ => return None,
        };
        let fits = *hour < 24 && *minute < 60 && second < 60;
        let days = calendar::days(*year, *month, *day).filter(|_| fits)?;
        Some(Time(days * Time::DAY + hour * 3600 + minute * 60 + second))
    };
    match read() {
        Some(time) => Ok(time),
        None => fail(format!("'{text}' is no moment; write it in UTC like \"2026-12-24 19:00\"")),
    }
}

fn hints(issuer: &str, plan: &EventPlan) -> String {
    format!(
        "Sell more: tegata issuer {issuer} event category \"{}\" NAME=PRICE:COUNT --from MOMENT\n\
         Put a gate in its place: tegata issuer {issuer} event gate \"{}\" GATE DOOR",
        plan.name, plan.name
    )
}

fn gate_at(
    place: &Place,
    name: &str,
    (event, gate, door): (&str, &str, Option<&str>),
    out: bool,
) -> Result<Answer, Failure> {
    let id = match DeviceId::parse(gate) {
        Some(id) => id,
        None if !place.exists(Sort::Gate, gate) => {
            return fail(format!(
                "there is no gate '{gate}' on this data folder; name one that stands elsewhere by its id, dev- and 32 digits, as its `join` \
                 showed it"
            ));
        }
        // Only its name is looked up, so that it may be open meanwhile.
        None => match place.look(Sort::Gate, gate)?.0.id() {
            Some(id) => id,
            None => return fail(format!("gate '{gate}' has not joined yet; join it first")),
        },
    };
    let mut opened = place.issuer(name)?;
    let plan = opened.part.event(event)?;
    let door = door_of(&plan, door)?;
    let direction = if out { Direction::Out } else { Direction::In };
    let order = opened.part.gate(&mut place.post()?, (id, event, &door), direction, now())?;
    let (door, way) = (named(&plan, order.door), if out { "out" } else { "in" });
    let text = format!(
        "Gate {gate} lets {way} at {door} of {}. Its next update sets it up: tegata gate NAME update, or `update` typed where it is open",
        plan.name
    );
    Ok(Answer::new(text, json!({ "gate": id.to_string(), "door": order.door, "direction": direction.name() })))
}

fn door_of(plan: &EventPlan, door: Option<&str>) -> Result<String, Failure> {
    match (door, plan.doors.as_slice()) {
        (Some(door), _) => Ok(door.to_owned()),
        (None, [only]) => Ok(only.door.to_string()),
        (None, _) => fail("this event has several doors; name the one where the gate stands"),
    }
}

fn named(plan: &EventPlan, door: u64) -> &str {
    plan.doors.iter().find(|known| known.door == door).map_or("", |door| &door.name)
}

fn invite_gate(
    place: &Place,
    name: &str,
    (event, door, gate): (&str, Option<&str>, Option<&str>),
    (out, days): (bool, u64),
) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    let plan = opened.part.event(event)?;
    let door = door_of(&plan, door)?;
    let (url, now) = (place.provider_url()?, now());
    let pin = super::pin_of(&url, opened.part.device.anchors().as_ref())?;
    let (way, until) = (if out { Direction::Out } else { Direction::In }, now.time.after(days * Time::DAY));
    let named_as = gate.unwrap_or_default();
    let (number, invite) = opened.part.invite_gate(&mut place.post()?, (named_as, event, &door), (way, until), now)?;
    let to_scan = format!("{}@{url}", JoinToken { secret: number.secret(), pin }.reveal());
    let (number, door, gate) = (number.text(), named(&plan, invite.door), gate.unwrap_or("NAME"));
    let leads = if out { ", that lets out," } else { "" };
    let text = format!(
        "For one gate{leads} at {door} of {}, until {}. It joins and is set up by scanning this code:\n{}\n  tegata gate {gate} join {to_scan}\n\
         or, on a machine where a part of this provider has joined before, by this number:\n  tegata gate {gate} join {}",
        plan.name,
        super::moment(until),
        super::qr(&to_scan)?,
        *number
    );
    let json = json!({
        "number": *number, "to_scan": to_scan, "door": invite.door, "direction": way.name(), "until": until.0,
    });
    Ok(Answer::new(text, json))
}

fn staff(
    place: &Place,
    name: &str,
    event: &str,
    add: Option<(String, bool)>,
    end: Option<String>,
) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    if let Some((who, supervisor)) = add {
        let role = if supervisor { StaffRole::Supervisor } else { StaffRole::Steward };
        let (number, badge) = opened.part.take_on(&mut place.post()?, (event, &who), role, now())?;
        let text = format!(
            "{} is number {number}, {}. The badge, shown once: {}\n\
             Gates hear of it by their next update. At a gate: out 2 BADGE counts two people out by hand.",
            bold(&who),
            role.name().to_lowercase(),
            badge.text().as_str()
        );
        let json = json!({ "number": number, "role": role.name(), "badge": badge.text().as_str() });
        return Ok(Answer::new(text, json));
    }
    if let Some(who) = end {
        let number = opened.part.let_go(&mut place.post()?, (event, &who), now())?;
        let text = format!("Badge {number} counts no more, at each gate from its next update on.");
        return Ok(Answer::new(text, json!({ "number": number, "ended": true })));
    }
    let plan = opened.part.event(event)?;
    let staff = opened.part.staff(plan.event)?;
    let rows = staff.iter().map(|(member, called)| {
        let until = member.until.map_or_else(String::new, super::moment);
        vec![member.number.to_string(), called.clone(), member.role.name().to_owned(), until]
    });
    let rows: Vec<_> = rows.collect();
    let text = match rows.as_slice() {
        [] => format!("Nobody yet: tegata issuer {name} event staff \"{}\" --add NAME", plan.name),
        rows => table(&["number", "name", "role", "ended"], rows),
    };
    let json: Vec<Value> = staff
        .iter()
        .map(|(member, called)| {
            json!({
                "number": member.number, "name": called, "role": member.role.name(),
                "until": member.until.map(|until| until.0),
            })
        })
        .collect();
    Ok(Answer::new(text, json!({ "staff": json })))
}

fn list(issuer: &Issuer<SqliteVault>, name: &str) -> Result<Answer, Failure> {
    let events = issuer.events()?;
    let row = |plan: &EventPlan| -> Result<Vec<String>, Failure> {
        let categories = issuer.categories(plan.event)?;
        let place = place_of(plan, &categories);
        let state = if is_off(&called_off(issuer, &categories, false)?) { "cancelled" } else { "" };
        Ok(vec![plan.name.clone(), place, plan.seats.len().to_string(), state.to_owned(), plan.event.to_string()])
    };
    let rows = events.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let json: Vec<Value> = events.iter().map(plan_json).collect();
    let text = match rows.as_slice() {
        [] => format!("No event is planned yet: tegata issuer {name} event plan NAME --place PLACE"),
        rows => table(&["event", "place", "seats", "state", "id"], rows),
    };
    Ok(Answer::new(text, json!({ "events": json })))
}

/// Where it is by the terms of its tickets of now: a change moves these, and the plan stays as it was signed.
fn place_of(plan: &EventPlan, categories: &[Listing]) -> String {
    let mut places: Vec<&str> = Vec::new();
    for ticket in categories.iter().filter_map(|listed| listed.terms.ticket.as_ref()) {
        if !places.contains(&ticket.place.as_str()) {
            places.push(&ticket.place);
        }
    }
    if places.is_empty() { plan.place.clone() } else { places.join(" and ") }
}

fn plan_json(plan: &EventPlan) -> Value {
    json!({
        "event": plan.event.to_string(),
        "name": plan.name,
        "place": plan.place,
        "revision": plan.revision,
        "zones": plan.zones.iter().map(|zone| json!({ "zone": zone.zone, "name": zone.name })).collect::<Vec<_>>(),
        "doors": plan.doors.iter().map(|door| json!({ "door": door.door, "name": door.name, "zone": door.zone })).collect::<Vec<_>>(),
        "seats": plan.seats.len(),
    })
}

/// An event as it was planned; with the provider's report of it where there is one, else as far as this device knows.
fn show(issuer: &Issuer<SqliteVault>, plan: &EventPlan, told: Option<&Value>) -> Result<Answer, Failure> {
    let categories = issuer.categories(plan.event)?;
    let known = match told {
        Some(report) => report.clone(),
        None => doors::ordered(issuer, plan.event)?,
    };
    let off = called_off(issuer, &categories, known["cancelled"].is_u64())?;
    let cancelled = known["cancelled"].is_u64() || is_off(&off);
    let mut parts =
        vec![format!("{} at {}, {}", plan.name, place_of(plan, &categories), plan.event), doors::shown(plan, &known)];
    if cancelled {
        parts.insert(0, format!("{}: nothing of it is for sale; `changes` shows who is paid back.", bold("Cancelled")));
    }
    let sold = categories.iter().zip(&off).map(|(listed, off)| {
        let seats = plan.seats.iter().filter(|seat| seat.article == listed.article).count();
        vec![
            listed.article.to_string(),
            listed.terms.name.clone(),
            listed.price.to_string(),
            if *off { "cancelled".to_owned() } else { listed.stock.to_string() },
            if seats == 0 { String::new() } else { seats.to_string() },
        ]
    });
    let sold: Vec<_> = sold.collect();
    if !sold.is_empty() {
        parts.push(table(&["article", "category", "price", "may be sold", "seats"], &sold));
    }
    for (listed, _) in categories.iter().zip(&off).filter(|(_, off)| !**off) {
        parts.push(category::in_words(plan, listed));
    }
    let listed = |(listed, off): (&Listing, &bool)| {
        let mut json = category::listed(listed);
        json["cancelled"] = (*off).into();
        json
    };
    let json = json!({
        "plan": plan_json(plan),
        "place": place_of(plan, &categories),
        "cancelled": cancelled,
        "categories": categories.iter().zip(&off).map(listed).collect::<Vec<_>>(),
        "gates": known["gates"],
        "invited": known["invited"],
    });
    Ok(Answer::new(parts.join("\n\n"), json))
}

/// Which of these categories are cancelled: all of them where the event is.
fn called_off(issuer: &Issuer<SqliteVault>, categories: &[Listing], all: bool) -> Result<Vec<bool>, Failure> {
    categories.iter().map(|listed| Ok(all || issuer.is_called_off(&listed.terms)?)).collect()
}

/// Whether an event with these categories is.
fn is_off(categories: &[bool]) -> bool {
    !categories.is_empty() && categories.iter().all(|off| *off)
}

const SALES: [&str; 10] =
    ["name", "price", "stock", "left", "sold", "reserved", "by_number", "installed_by_number", "waiting", "refunds"];
const HANDS: [&str; 5] = ["staff", "zone", "way", "people", "tickets_ended"];
const NOT_LEFT: [&str; 7] = ["ticket", "zone", "entry", "at", "door", "came_in", "came_in_door"];
const TICKETS: [&str; 5] = ["installed", "given", "dead", "came", "no_shows"];

fn told(report: &Value) -> String {
    let mut parts = vec![format!("{} at {}", bold(cell(report, "name")), cell(report, "place"))];
    if report["cancelled"].is_u64() {
        parts.push(format!("{}: everyone is paid back (`changes` shows how far that is).", bold("Cancelled")));
    }
    let heads = SALES.map(|name| match name {
        "by_number" => "by number",
        "installed_by_number" => "of these installed",
        other => other,
    });
    parts.push(table(&heads, &cells(list_of(report, "categories"), &SALES)));
    let tickets = report.get("tickets").cloned().unwrap_or_default();
    // Who may still come is none: nothing is counted before the event is over.
    let counted = TICKETS.map(|name| if tickets[name].is_u64() { cell(&tickets, name) } else { "-".to_owned() });
    let heads = TICKETS.map(|name| if name == "no_shows" { "no-shows" } else { name });
    parts.push(table(&heads, &[Vec::from(counted)]));
    let arrivals = cells(list_of(report, "arrivals"), &["door", "name", "from", "entries", "people"]);
    if !arrivals.is_empty() {
        parts.push(table(&["door", "", "quarter from", "entries", "people"], &arrivals));
    }
    let by_hand = cells(list_of(report, "by_hand"), &HANDS);
    if !by_hand.is_empty() {
        parts.push(table(&["staff", "zone", "by hand", "people", "tickets ended"], &by_hand));
    }
    let again = report.get("not_left").cloned().unwrap_or_default();
    let tickets = cells(list_of(&again, "tickets"), &NOT_LEFT);
    if !tickets.is_empty() {
        parts.push(format!(
            "{} times a ticket came in again on the same day, though nobody has seen it go out: it was passed back past gates that did not \
             hear each other, or its holder was let out and nobody wrote that down.",
            cell(&again, "count")
        ));
        parts.push(table(&["ticket", "zone", "entry", "in again", "door", "had come in", "door"], &tickets));
    }
    let exceptions = cells(list_of(report, "exceptions"), &["kind", "count", "open"]);
    if !exceptions.is_empty() {
        parts.push(table(&["exceptions", "", "open"], &exceptions));
    }
    parts.join("\n\n")
}

/// A figure a line: of what sort, of what, when, which, how much.
fn spreadsheet(report: &Value) -> String {
    let mut rows = Vec::new();
    let mut line = |sort: &str, of: String, from: String, figure: &str, value: String| {
        rows.push(vec![sort.to_owned(), of, from, figure.to_owned(), value]);
    };
    for category in list_of(report, "categories") {
        for figure in SALES.iter().skip(1).chain(&["refunded"]) {
            line("category", cell(category, "name"), String::new(), figure, cell(category, figure));
        }
    }
    let tickets = report.get("tickets").cloned().unwrap_or_default();
    for figure in TICKETS {
        line("tickets", String::new(), String::new(), figure, cell(&tickets, figure));
    }
    for quarter in list_of(report, "arrivals") {
        for figure in ["entries", "people"] {
            line("door", cell(quarter, "name"), cell(quarter, "from"), figure, cell(quarter, figure));
        }
    }
    for hand in list_of(report, "by_hand") {
        let of = format!("staff {} zone {} {}", cell(hand, "staff"), cell(hand, "zone"), cell(hand, "way"));
        for figure in ["people", "tickets_ended"] {
            line("by hand", of.clone(), String::new(), figure, cell(hand, figure));
        }
    }
    let again = report.get("not_left").cloned().unwrap_or_default();
    line("tickets", String::new(), String::new(), "not_left", cell(&again, "count"));
    for exception in list_of(report, "exceptions") {
        for figure in ["count", "open"] {
            line("exception", cell(exception, "kind"), String::new(), figure, cell(exception, figure));
        }
    }
    csv(&["sort", "of", "from", "figure", "value"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let read = |text| moment(text).ok();
        assert_eq!(read("2026-11-22 21:00"), Some(Time(1_795_381_200)));
        assert_eq!(read("2026-11-22T21:00:00Z"), Some(Time(1_795_381_200)));
        for wrong in ["", "2026-11-22", "2026-13-22 21:00", "2026-11-22 24:00", "tomorrow 21:00", "2026-11-22 21"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
