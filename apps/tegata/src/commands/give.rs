//! Tickets given to another wallet and taken, on the command line: face to face with no network, or by a number.

use super::buy::agreed;
use crate::place::{Opened, Place, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail};
use serde_json::{Value, json};
use std::time::Duration;
use tegata_core::talk::give::{GiveRefusal, GiverNotice, ReceiverNotice};
use tegata_core::{Amount, CardId};
use tegata_crypto_native::number::InstallationNumber;
use tegata_device::HttpPost;
use tegata_vault::SqliteVault;
use tegata_wallet::{Answer as Consent, Meeting, Standing, Ticket, Wallet, take_from};

/// What holds until the provider has certified it for its receiver (R21).
const TAPPED: &str = "Until it is registered it is tapped at the gate: a gate that has only a camera does not take it.";

/// The ticket of that name.
fn named(text: &str) -> Result<CardId, Failure> {
    match CardId::parse(text) {
        Some(card) => Ok(card),
        None => fail(format!("'{text}' names no ticket; it is card- and 32 digits, as `tickets` shows it")),
    }
}

/// What its terms let anybody ask for it.
pub fn at_most(most: Option<Amount>) -> String {
    most.map_or_else(String::new, |most| {
        format!("\nIt may be given on for at most {most}; no money moves through Tegata.")
    })
}

/// That bound of a ticket.
pub fn price(ticket: &Ticket) -> Option<Amount> {
    ticket.terms.ticket.as_ref().and_then(|terms| terms.give_price)
}

fn called(name: &str, seat: Option<u64>, seat_name: Option<&str>) -> String {
    match (seat, seat_name) {
        (None, _) => bold(name),
        (Some(seat), None) => format!("{}, seat number {seat}", bold(name)),
        (Some(seat), Some(said)) => format!("{}, seat {said} (number {seat})", bold(name)),
    }
}

/// How a ticket may be given on, for programs.
pub fn bounds(ticket: &Ticket) -> Value {
    let terms = ticket.terms.ticket.as_ref();
    let before = ticket.purse.certificate.claimed().given.unwrap_or(0);
    json!({
        "handovers": ticket.terms.handovers,
        "given": before.saturating_add(ticket.purse.hops().len() as u64),
        "until": terms.and_then(|terms| terms.give_until).map(|until| until.0),
        "most": price(ticket).map(|most| most.decimal().to_string()),
        "currency": price(ticket).map(|most| most.unit().name()),
    })
}

/// How a ticket stands, for programs.
pub fn standing(stands: Standing) -> Value {
    match stands {
        Standing::Own => json!({ "is": "own" }),
        Standing::Unregistered(until) => json!({ "is": "unregistered", "register_by": until.0, "only_tapped": true }),
        Standing::CameBack => json!({ "is": "own", "came_back": true }),
        Standing::Given { until, taken, arrived } => {
            json!({ "is": "given", "register_by": until.0, "taken": taken, "arrived": arrived.map(|at| at.0) })
        }
        Standing::Gift { until, arrived } => {
            json!({ "is": "gift", "until": until.map(|until| until.0), "arrived": arrived.map(|at| at.0) })
        }
        Standing::Over => json!({ "is": "over" }),
    }
}

/// What its holder, or who gave it, should know of it.
pub fn note(card: CardId, stands: Standing) -> Option<String> {
    match stands {
        Standing::Own | Standing::Over => None,
        Standing::Unregistered(until) if now().time >= until => {
            Some(format!("{card} was not registered in time and goes back; an update says how it stands."))
        }
        Standing::Unregistered(until) => {
            let until = super::moment(until);
            Some(format!("{card} was given to you: go online before {until}, or it goes back. {TAPPED}"))
        }
        Standing::CameBack => Some(format!("{card} was given, and came back.")),
        Standing::Given { arrived: Some(at), .. } => {
            Some(format!("{card} is given, and was registered by its receiver on {}.", super::moment(at)))
        }
        Standing::Given { until, taken: true, .. } => Some(format!(
            "{card} is given, and its receiver's. It waits to be registered until {}; else it comes back to this wallet some days later.",
            super::moment(until)
        )),
        Standing::Given { .. } => {
            Some(format!("{card} is given, and its receiver has not confirmed it: give it again to the same wallet."))
        }
        Standing::Gift { arrived: Some(at), .. } => {
            Some(format!("{card} is given by a number, and was taken on {}.", super::moment(at)))
        }
        Standing::Gift { until: Some(until), .. } if now().time >= until => Some(format!(
            "{card} was given by a number, and nobody is known to have taken it: an update says how it stands."
        )),
        Standing::Gift { until: Some(until), .. } => Some(format!(
            "{card} is given by a number, and waits until {} to be taken: `gift {card}` shows the number again.",
            super::moment(until)
        )),
        Standing::Gift { .. } => Some(format!("{card} is given by a number: `gift {card}` shows it.")),
    }
}

/// Waits for another wallet and gives it the ticket.
pub fn give(
    place: &Place,
    screen: Screen,
    name: &str,
    (ticket, yes): (&str, bool),
    (address, wait): (&str, u64),
) -> Result<Answer, Failure> {
    let card = named(ticket)?;
    let Opened { part: mut wallet, folder } = place.wallet(name)?;
    let held = wallet.to_give(card, now().time, false)?;
    let meeting = Meeting::at(address)?;
    let at = meeting.address().to_string();
    write_address(folder.path(), &at)?;
    let seat = held.purse.certificate.claimed().seat;
    screen.say(format!(
        "{name} gives {}. {TAPPED}{}\nNow touch with the other wallet, in another window:\n  tegata wallet bob take {name}        \
         (or by address: {at})",
        called(&held.terms.name, seat, held.purse.seat_name.as_deref()),
        at_most(price(&held))
    ));
    let mut shown = None;
    let asked = |notice: &GiverNotice| {
        let GiverNotice::Consent { code } = notice else { return None };
        shown = Some(code.clone());
        screen.say(format!("The other screen must show this code, too: {}", bold(code)));
        let agrees = yes || agreed("Does it, and shall it have the ticket? [y/N] ");
        Some(if agrees { Consent::Agree } else { Consent::Decline })
    };
    let notices = meeting.give(&mut wallet, card, Duration::from_secs(wait), asked, now);
    forget_address(folder.path());
    gave(name, card, &notices?, (shown, wait))
}

/// What the giver is told after a touch.
pub fn gave(
    name: &str,
    card: CardId,
    notices: &[GiverNotice],
    (code, wait): (Option<String>, u64),
) -> Result<Answer, Failure> {
    let until = notices.iter().find_map(|notice| match notice {
        GiverNotice::Given { until, .. } => Some(*until),
        _ => None,
    });
    if notices.contains(&GiverNotice::Taken) {
        let by = until.map_or_else(String::new, |until| {
            format!(" Not registered there before {}, it comes back to you some days later.", super::moment(until))
        });
        let text = format!("{} {card} is the other wallet's, and dead here.{by}", bold("Given."));
        let json = json!({ "given": card.to_string(), "taken": true, "register_by": until.map(|until| until.0), "code": code });
        return Ok(Answer::new(text, json));
    }
    if until.is_some() {
        return fail(format!(
            "{card} is given, and the other wallet has not confirmed that it is there; let the same wallet touch again: tegata \
             wallet {name} give {card}"
        ));
    }
    match notices.last() {
        Some(GiverNotice::Refused(why)) => fail(format!("not given: {}", refused(*why))),
        Some(GiverNotice::Failed(fault)) => fail(format!("not given: {fault}")),
        _ => fail(format!("no wallet took {card} from {name} within {wait} seconds; nothing was given")),
    }
}

fn refused(why: GiveRefusal) -> String {
    let hint = if why == GiveRefusal::Declined { ". Without a terminal, agree by --yes" } else { "" };
    format!("{}{hint}", why.for_people())
}

/// Takes a ticket from a wallet that gives, or by a gift's number.
pub fn take(place: &Place, screen: Screen, name: &str, from: &str, yes: bool) -> Result<Answer, Failure> {
    if !place.exists(crate::place::Sort::Wallet, from) && InstallationNumber::parse(from).is_ok() {
        return super::wallet::install(place, name, from, None);
    }
    let address = place.giver(from)?;
    let mut wallet = place.wallet(name)?.part;
    let mut shown = None;
    let asked = |notice: &ReceiverNotice| match notice {
        ReceiverNotice::Consent { name: ticket, seat, seat_name, left, until, most } => {
            screen.say(format!(
                "{from} offers {}, {left} entries left. Go online before {}, or it goes back. {TAPPED}{}",
                called(ticket, *seat, seat_name.as_deref()),
                super::moment(*until),
                at_most(*most)
            ));
            let agrees = yes || agreed("Take it? [y/N] ");
            Some(if agrees { Consent::Agree } else { Consent::Decline })
        }
        ReceiverNotice::Code(code) => {
            shown = Some(code.clone());
            screen.say(format!(
                "Where the giver is asked, the code must be this one: {}\nIf it is another, say so: somebody stands between you.",
                bold(code)
            ));
            None
        }
        _ => None,
    };
    let notices = take_from(&mut wallet, address.as_str(), asked, now)?;
    took(name, &notices, shown)
}

/// What the receiver is told after a touch.
pub fn took(name: &str, notices: &[ReceiverNotice], code: Option<String>) -> Result<Answer, Failure> {
    match notices.last() {
        Some(ReceiverNotice::Taken { card, until }) => {
            let text = format!(
                "{} {card} is yours. Go online before {}, or it goes back: tegata wallet {name} register\n{TAPPED}",
                bold("Taken."),
                super::moment(*until)
            );
            Ok(Answer::new(text, json!({ "taken": card.to_string(), "register_by": until.0, "code": code })))
        }
        Some(ReceiverNotice::Refused(why)) => fail(format!("not taken: {}", refused(*why))),
        Some(ReceiverNotice::Failed(fault)) => fail(format!("not taken: {fault}")),
        _ => fail("the other wallet broke off before the ticket was here; touch it again, it may be yours already"),
    }
}

/// Has the provider certify what was taken from others.
pub fn register(place: &Place, name: &str, ticket: Option<&str>) -> Result<Answer, Failure> {
    let wanted = ticket.map(named).transpose()?;
    let (mut wallet, mut post) = (place.wallet(name)?.part, place.post()?);
    let open = |stands| matches!(stands, Standing::Unregistered(_));
    let done = match wanted {
        None => wallet.register_all(&mut post, now)?,
        // Registered before is as good.
        Some(card) if !open(wallet.standing(&wallet.ticket(card)?.purse)) => Vec::new(),
        Some(card) => wallet.register(&mut post, card, now()).map(|()| vec![card])?,
    };
    let text = match done.as_slice() {
        [] => "Nothing is left to register.".to_owned(),
        [one] => format!("{one} is registered: it is yours, and can be shown to a camera and given on."),
        several => format!(
            "{} tickets are registered: they are yours, and can be shown to a camera and given on.",
            several.len()
        ),
    };
    Ok(Answer::new(text, json!({ "registered": done.iter().map(ToString::to_string).collect::<Vec<_>>() })))
}

/// What became of a gift since it was given; `None`: it was not, or waits.
fn given_before(
    wallet: &mut Wallet<SqliteVault>,
    post: &mut HttpPost,
    card: CardId,
) -> Result<Option<Answer>, Failure> {
    if !matches!(wallet.standing(&wallet.ticket(card)?.purse), Standing::Gift { .. }) {
        return Ok(None);
    }
    wallet.update(post, now())?;
    let stands = wallet.standing(&wallet.ticket(card)?.purse);
    let known = matches!(stands, Standing::Gift { arrived: Some(_), .. } | Standing::CameBack);
    let told = note(card, stands).filter(|_| known);
    Ok(told.map(|told| Answer::new(told, json!({ "gift": card.to_string(), "standing": standing(stands) }))))
}

/// Gives a ticket by a number.
pub fn gift(place: &Place, name: &str, ticket: &str) -> Result<Answer, Failure> {
    let card = named(ticket)?;
    let (mut opened, mut post) = place.online(name)?;
    if let Some(answer) = given_before(&mut opened.part, &mut post, card)? {
        return Ok(answer);
    }
    let held = opened.part.to_give(card, now().time, true)?;
    let (number, until) = opened.part.gift(&mut post, card, now())?;
    let number = InstallationNumber::parse(&number).map_or(number, |number| number.to_string());
    let text = format!(
        "{card} waits for whoever has this number, until {}: {}\nThey take it by: tegata wallet NAME take {number}\nWhat nobody \
         takes comes back; by the same number you take it back at once.{}",
        super::moment(until),
        bold(&number),
        at_most(price(&held))
    );
    Ok(Answer::new(text, json!({ "gift": card.to_string(), "number": number, "until": until.0 })))
}
