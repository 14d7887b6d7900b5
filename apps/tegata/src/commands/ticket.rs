//! A wallet's tickets on the command line: listed, shown, entered with.

use crate::place::{Place, now};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};
use tegata_core::CardId;
use tegata_core::card::payment::PurseState;
use tegata_core::talk::enter::WalletEnterNotice;
use tegata_vault::SqliteVault;
use tegata_wallet::{Ticket, Wallet, enter_at};

/// Lists them.
pub fn list(place: &Place, name: &str) -> Result<Answer, Failure> {
    let tickets = place.wallet(name)?.part.tickets()?;
    let rows: Vec<Vec<String>> = tickets
        .iter()
        .map(|ticket| {
            let said = ticket.purse.certificate.claimed();
            let from = ticket.terms.ticket.as_ref().map_or_else(String::new, |terms| super::moment(terms.from));
            vec![
                ticket.card.to_string(),
                ticket.terms.name.clone(),
                from,
                said.seat.map_or_else(|| "free".to_owned(), |seat| seat.to_string()),
                left(ticket).to_string(),
                state(ticket).to_owned(),
            ]
        })
        .collect();
    let text = match rows.as_slice() {
        [] => format!("No tickets yet. What is for sale: tegata wallet {name} catalogue"),
        rows => table(&["ticket", "for", "doors open", "seat", "entries left", "state"], rows),
    };
    Ok(Answer::new(text, json!({ "tickets": tickets.iter().map(listed).collect::<Vec<_>>() })))
}

fn left(ticket: &Ticket) -> u64 {
    let entries = ticket.terms.ticket.as_ref().map_or(0, |terms| terms.entries);
    entries.saturating_sub(ticket.passes.iter().map(|(_, pass)| pass.entry).max().unwrap_or(0))
}

fn state(ticket: &Ticket) -> &'static str {
    match ticket.purse.state {
        PurseState::Blocked => "blocked",
        PurseState::Ended => "over",
        PurseState::Active if ticket.passes.iter().any(|(_, pass)| pass.inside) => "inside",
        PurseState::Active => "valid",
    }
}

fn listed(ticket: &Ticket) -> Value {
    let terms = ticket.terms.ticket.as_ref();
    json!({
        "ticket": ticket.card.to_string(),
        "name": ticket.terms.name,
        "place": terms.map(|terms| terms.place.clone()),
        "from": terms.map(|terms| terms.from.0),
        "until": terms.map(|terms| terms.until.0),
        "seat": ticket.purse.certificate.claimed().seat,
        "entries_left": left(ticket),
        "state": state(ticket),
    })
}

fn chosen(wallet: &Wallet<SqliteVault>, named: Option<&str>) -> Result<CardId, Failure> {
    if let Some(named) = named {
        return match CardId::parse(named) {
            Some(card) => Ok(card),
            None => fail(format!("'{named}' names no ticket; it is card- and 32 digits, as `tickets` shows it")),
        };
    }
    let valid: Vec<_> =
        wallet.tickets()?.into_iter().filter(|ticket| ticket.purse.state == PurseState::Active).collect();
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
    let address = place.gateway(gate)?;
    screen.say(format!("{name} touches {gate}."));
    let notices = enter_at(&mut opened.part, address.as_str(), (card, people), now)?;
    told(&notices, card)
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

/// Draws the code of this moment.
pub fn show(
    place: &Place,
    name: &str,
    (ticket, zone, people): (Option<&str>, Option<u64>, u64),
) -> Result<Answer, Failure> {
    let opened = place.wallet(name)?;
    let card = chosen(&opened.part, ticket)?;
    let zones = opened.part.ticket(card)?.passes;
    let Some(zone) = zone.or(zones.first().map(|(zone, _)| *zone)) else {
        return fail("this ticket opens no zone");
    };
    let code = opened.part.window(card, zone, people, now())?;
    let text = base45::encode(&code);
    let drawn = QrCode::with_error_correction_level(&text, EcLevel::M)?;
    let picture = drawn.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let shown =
        format!("{picture}\n{text}\nThis code is for the next moments only; a picture of it is worth nothing later.");
    Ok(Answer::new(shown, json!({ "code": text, "bytes": code.len(), "ticket": card.to_string() })))
}
