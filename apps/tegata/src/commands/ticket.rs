//! A wallet's tickets on the command line: listed, shown, entered with.

use super::buy::agreed;
use super::give;
use crate::place::{Place, now};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use tegata_core::CardId;
use tegata_core::card::payment::PurseState;
use tegata_core::talk::enter::{EnterRefusal, Pass, WalletEnterNotice};
use tegata_vault::SqliteVault;
use tegata_wallet::{Standing, Ticket, Wallet, enter_at};

/// Lists them.
pub fn list(place: &Place, name: &str) -> Result<Answer, Failure> {
    let wallet = place.wallet(name)?.part;
    let tickets = wallet.tickets()?;
    let stands: Vec<Standing> = tickets.iter().map(|ticket| wallet.standing(&ticket.purse)).collect();
    let rows: Vec<Vec<String>> = tickets
        .iter()
        .zip(&stands)
        .map(|(ticket, stands)| {
            let said = ticket.purse.certificate.claimed();
            let from = ticket.terms.ticket.as_ref().map_or_else(String::new, |terms| super::moment(terms.from));
            vec![
                ticket.card.to_string(),
                ticket.terms.name.clone(),
                from,
                match (said.seat, &ticket.purse.seat_name) {
                    (None, _) => "free".to_owned(),
                    (Some(_), Some(name)) => name.clone(),
                    (Some(seat), None) => format!("number {seat}"),
                },
                left_in_words(ticket),
                state(ticket, *stands).to_owned(),
            ]
        })
        .collect();
    let text = match rows.as_slice() {
        [] => format!("No tickets yet. What is for sale: tegata wallet {name} catalogue"),
        rows => {
            let table = table(&["ticket", "for", "doors open", "seat", "entries left", "state"], rows);
            let notes = tickets.iter().zip(&stands).filter_map(|(ticket, stands)| give::note(ticket.card, *stands));
            let lost = tickets.iter().zip(&stands).filter(|(ticket, stands)| state(ticket, **stands) == "key lost");
            let lost = lost.map(|(ticket, _)| without_key(ticket.card));
            [table].into_iter().chain(notes).chain(lost).collect::<Vec<_>>().join("\n")
        }
    };
    let json: Vec<Value> = tickets.iter().zip(&stands).map(|(ticket, stands)| listed(ticket, *stands)).collect();
    Ok(Answer::new(text, json!({ "tickets": json })))
}

/// What is said of a ticket that this wallet holds and cannot show.
fn without_key(card: CardId) -> String {
    format!(
        "{card} cannot be shown: an older copy of this wallet was put back, and its key was not in it. The provider issues the ticket anew, \
         by a number that this wallet takes, or another: tegata provider reissue {card}"
    )
}

/// The entries left, of several zones in the one that has most: gates count each zone by itself.
fn left(ticket: &Ticket) -> u64 {
    let entries = ticket.terms.ticket.as_ref().map_or(0, |terms| terms.entries);
    entries.saturating_sub(ticket.passes.iter().map(|(_, pass)| pass.entry).min().unwrap_or(0))
}

/// The entries left into each zone of its terms.
fn left_by_zone(ticket: &Ticket) -> Vec<(u64, u64)> {
    let entries = ticket.terms.ticket.as_ref().map_or(0, |terms| terms.entries);
    ticket.passes.iter().map(|(zone, pass)| (*zone, entries.saturating_sub(pass.entry))).collect()
}

/// The same for people: of one zone the number alone.
fn left_in_words(ticket: &Ticket) -> String {
    match left_by_zone(ticket).as_slice() {
        [] | [_] => left(ticket).to_string(),
        several => {
            let each = several.iter().map(|(zone, left)| format!("{left} into zone {zone}"));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

fn state(ticket: &Ticket, stands: Standing) -> &'static str {
    match (ticket.purse.state, stands) {
        (_, Standing::Given { .. } | Standing::Gift { .. }) => "given away",
        (PurseState::Blocked, _) => "blocked",
        (PurseState::Ended, _) => "over",
        (PurseState::Active, _) if !ticket.has_key => "key lost",
        (PurseState::Active, _) if ticket.passes.iter().any(|(_, pass)| pass.inside) => "inside",
        (PurseState::Active, _) if left(ticket) == 0 => "used up",
        (PurseState::Active, Standing::Unregistered(_)) => "not registered",
        (PurseState::Active, _) => "valid",
    }
}

fn listed(ticket: &Ticket, stands: Standing) -> Value {
    let terms = ticket.terms.ticket.as_ref();
    let by_zone = left_by_zone(ticket).into_iter().map(|(zone, left)| json!({ "zone": zone, "left": left }));
    json!({
        "ticket": ticket.card.to_string(),
        "name": ticket.terms.name,
        "place": terms.map(|terms| terms.place.clone()),
        "from": terms.map(|terms| terms.from.0),
        "until": terms.map(|terms| terms.until.0),
        "seat": ticket.purse.certificate.claimed().seat,
        "seat_name": ticket.purse.seat_name,
        "entries_left": left(ticket),
        "entries_left_by_zone": by_zone.collect::<Vec<_>>(),
        "zones": terms.map(|terms| terms.zones.clone()),
        "state": state(ticket, stands),
        "standing": give::standing(stands),
        "giving": give::bounds(ticket),
    })
}

fn chosen(wallet: &Wallet<SqliteVault>, named: Option<&str>) -> Result<CardId, Failure> {
    if let Some(named) = named {
        return match CardId::parse(named) {
            Some(card) => Ok(card),
            None => fail(format!("'{named}' names no ticket; it is card- and 32 digits, as `tickets` shows it")),
        };
    }
    let (mut valid, over): (Vec<_>, Vec<_>) =
        wallet.tickets()?.into_iter().partition(|ticket| ticket.purse.state == PurseState::Active);
    // Whoever is inside goes out, also with a ticket that is over by now.
    if valid.is_empty() {
        valid.extend(over.into_iter().filter(|ticket| !inside(ticket).is_empty()));
    }
    match valid.as_slice() {
        [one] => Ok(one.card),
        [] => fail("this wallet holds no valid ticket; `tickets` shows all it has"),
        _ => fail("this wallet holds several tickets; name one with --ticket, as `tickets` shows it"),
    }
}

/// Touches a gate.
pub fn enter(
    place: &Place,
    screen: Screen,
    name: &str,
    (gate, ticket, people): (&str, Option<&str>, u64),
) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let card = chosen(&opened.part, ticket)?;
    if opened.part.ticket(card).is_ok_and(|ticket| ticket.purse.state == PurseState::Active && !ticket.has_key) {
        return fail(without_key(card));
    }
    let address = place.gateway(gate)?;
    screen.say(format!("{name} touches {gate}."));
    let notices = enter_at(&mut opened.part, address.as_str(), (card, people), now)?;
    if let Some(WalletEnterNotice::Refused { why: why @ EnterRefusal::InsideElsewhere, .. }) = notices.last() {
        // Who came in by a code has not heard of it.
        let inside = match inside(&opened.part.ticket(card)?) {
            none if none.is_empty() => "this wallet has not heard which: a code from its screen came in".to_owned(),
            these => format!("the ticket is inside {these}"),
        };
        return fail(format!("the gate stays closed: {} ({inside})", why.for_holder()));
    }
    told(&notices, card)
}

/// The zones that its holder is inside of.
fn inside(ticket: &Ticket) -> String {
    zones(ticket.passes.iter().filter(|(_, pass)| pass.inside).map(|(zone, _)| *zone))
}

/// Zones as people read them.
fn zones(of: impl Iterator<Item = u64>) -> String {
    let names: Vec<String> = of.map(|zone| format!("zone {zone}")).collect();
    names.join(", ")
}

/// What the holder sees after a touch.
pub fn told(notices: &[WalletEnterNotice], card: CardId) -> Result<Answer, Failure> {
    let card = card.to_string();
    match notices.last() {
        Some(WalletEnterNotice::In { gate, entry }) => Ok(Answer::new(
            format!("{} {gate} let you in (entry {entry}).", bold("Welcome.")),
            json!({ "in": gate, "entry": entry, "ticket": card }),
        )),
        Some(WalletEnterNotice::Out { gate }) => Ok(Answer::new(
            format!("{gate} let you out. Your ticket comes in again if its terms allow it."),
            json!({ "out": gate, "ticket": card }),
        )),
        Some(WalletEnterNotice::Refused { why, .. }) => fail(format!("the gate stays closed: {}", why.for_holder())),
        Some(WalletEnterNotice::Failed(fault)) => fail(format!("the ticket was not shown: {fault}")),
        None => fail("the gate broke off before it answered; touch again, here or at another gate"),
    }
}

/// The zone that a code is for: a wallet knows zones by their numbers alone, as its ticket does.
fn zone_of(named: Option<&str>, opens: &[u64]) -> Result<u64, Failure> {
    let Some(named) = named else {
        return opens.first().copied().map_or_else(|| fail("this ticket opens no zone"), Ok);
    };
    let digits = named.strip_prefix("zone").unwrap_or(named).trim();
    match digits.parse::<u64>() {
        Ok(zone) if opens.contains(&zone) => Ok(zone),
        Ok(zone) => {
            let others = zones(opens.iter().copied());
            fail(format!("this ticket does not open zone {zone}: it is for {others}"))
        }
        Err(_) => fail(format!(
            "a ticket has its zones by number, and '{named}' is none: it is for {}; the gate or the promoter says which is which",
            zones(opens.iter().copied())
        )),
    }
}

/// Why a ticket has no code any more: it was given, and when; or it is blocked or over.
fn not_shown(wallet: &Wallet<SqliteVault>, ticket: &Ticket) -> Option<String> {
    let (card, stands) = (ticket.card, wallet.standing(&ticket.purse));
    match (ticket.purse.state, stands) {
        (PurseState::Active, _) => None,
        (_, Standing::Given { .. } | Standing::Gift { .. }) => {
            let at = wallet.given_at(&ticket.purse).map_or_else(String::new, |at| format!(" on {}", super::moment(at)));
            let note = give::note(card, stands).unwrap_or_default();
            Some(format!("it was given away{at}, and only its receiver's wallet shows it: {note}"))
        }
        (PurseState::Blocked, _) => Some(format!("{card} is blocked: update, and ask the box office")),
        (PurseState::Ended, _) => Some(format!("{card} is over: `tickets` and `changes` say how it stands")),
    }
}

/// Draws the code of this moment.
pub fn show(
    place: &Place,
    name: &str,
    (ticket, zone, people): (Option<&str>, Option<&str>, u64),
) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let card = chosen(&opened.part, ticket)?;
    let ticket = opened.part.ticket(card)?;
    if ticket.purse.state == PurseState::Active && !ticket.has_key {
        return fail(without_key(card));
    }
    if let Some(why) = not_shown(&opened.part, &ticket) {
        return fail(why);
    }
    let (zone, pass) = into(&ticket, zone)?;
    let opens: Vec<u64> = ticket.passes.iter().map(|(zone, _)| *zone).collect();
    let unsaid = ticket.terms.ticket.as_ref().is_some_and(|terms| pass.may_have_come_in(terms, now().time));
    let code = opened.part.window(card, zone, people, now())?;
    let text = base45::encode(&code);
    let picture = super::qr(&text)?;
    let others: Vec<u64> = opens.iter().copied().filter(|other| *other != zone).collect();
    let others = match others.as_slice() {
        [] => String::new(),
        _ => format!(" The ticket is for {}, too: --zone NUMBER.", zones(others.iter().copied())),
    };
    let hint = if unsaid {
        format!(
            "\nYou have shown a code on a day before. If you came in by it, gates refuse this one as used: say so first, by\n  \
             tegata wallet {name} show --ticket {card} --zone {zone} --came-in"
        )
    } else {
        String::new()
    };
    let shown = format!(
        "{picture}\n{text}\nThis code is for {}, zone {zone}, and for the next moments only; a picture of it is worth nothing later.{others}{hint}",
        bold(&ticket.terms.name)
    );
    let json = json!({ "code": text, "bytes": code.len(), "ticket": card.to_string(), "zone": zone, "zones": opens,
        "may_have_come_in": unsaid });
    Ok(Answer::new(shown, json))
}

/// The zone that is meant, of those that the ticket opens, and what was shown for it.
fn into<'a>(ticket: &'a Ticket, named: Option<&str>) -> Result<(u64, &'a Pass), Failure> {
    let opens: Vec<u64> = ticket.passes.iter().map(|(zone, _)| *zone).collect();
    let zone = zone_of(named, &opens)?;
    let pass = ticket.passes.iter().find(|(of, _)| *of == zone);
    pass.map_or_else(|| fail("this ticket opens no zone"), |(zone, pass)| Ok((*zone, pass)))
}

/// Notes that its holder came in by the last code, as they say.
pub fn came_in(
    place: &Place,
    screen: Screen,
    name: &str,
    (ticket, zone): (Option<&str>, Option<&str>),
    (went_out, yes): (bool, bool),
) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let card = chosen(&opened.part, ticket)?;
    let ticket = opened.part.ticket(card)?;
    let (zone, pass) = into(&ticket, zone)?;
    let Some(terms) = &ticket.terms.ticket else {
        return fail("this ticket opens no zone");
    };
    // Nobody is asked what cannot be noted.
    let entry = pass.came_in(terms, now().time, went_out)?.entry;
    screen.say(format!(
        "To be noted: you came in by the last code of {}, into zone {zone}, which was for entry {entry} of {}{}. It cannot be undone: if nobody \
         came in by it, that entry is lost.",
        bold(&ticket.terms.name),
        terms.entries,
        if went_out { ", and went out with no touch" } else { "" }
    ));
    if !yes && !agreed("Did you? [y/N] ") {
        return fail("nothing was noted. Without a terminal, say --yes");
    }
    let entry = opened.part.came_in(card, zone, went_out, now())?;
    let left = terms.entries.saturating_sub(entry);
    let next = match left {
        0 => "None is left into this zone.".to_owned(),
        left => format!("{left} left into this zone; the next code is for the next one: tegata wallet {name} show"),
    };
    let json = json!({ "ticket": card.to_string(), "zone": zone, "entry": entry, "left": left });
    Ok(Answer::new(format!("Entry {entry} is noted as used. {next}"), json))
}
