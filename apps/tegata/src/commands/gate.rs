//! What a gate does on the command line.

use crate::flags::GateCommand;
use crate::place::{Opened, Place, Sort, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use std::io::BufRead;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tegata_core::CardId;
use tegata_core::talk::enter::{Direction, EnterRefusal, GateNotice, Passing, Setup};
use tegata_core::wire::signed::Algorithm;
use tegata_crypto_native::Badge;
use tegata_gate::lan::Shared;
use tegata_gate::{Gate, Hand, serve};
use tegata_vault::SqliteVault;

/// Does it.
pub fn run(place: &Place, screen: Screen, name: &str, command: GateCommand) -> Result<Answer, Failure> {
    match command {
        GateCommand::Join { token } => super::join_part(place, Sort::Gate, name, &token, Algorithm::Ed25519),
        GateCommand::Run { listen, lan, neighbour, update_every } => {
            open(place, screen, name, (&listen, &lan), &neighbour, update_every)
        }
        GateCommand::Status => status(&mut looked(place, name)?, &[]),
        GateCommand::Update => {
            let summary = place.gate(name)?.part.update(&mut place.post()?, now())?;
            Ok(super::updated(name, &summary))
        }
        GateCommand::Log => log(&looked(place, name)?),
    }
}

/// Its records, also while it is open.
fn looked(place: &Place, name: &str) -> Result<Gate<SqliteVault>, Failure> {
    Ok(Gate::new(place.look(Sort::Gate, name)?.0))
}

/// What comes to an open gate.
enum Input {
    Shown(GateNotice),
    Typed(String),
    Over,
}

/// Opens the gate until it is stopped.
fn open(
    place: &Place,
    screen: Screen,
    name: &str,
    (listen, lan): (&str, &str),
    neighbours: &[String],
    update_every: u64,
) -> Result<Answer, Failure> {
    let Opened { part: mut gate, folder } = place.gate(name)?;
    let door = gate.door()?;
    let gate = Shared::new(gate, now);
    let (listener, lan) = (tegata_link::listen(listen)?, TcpListener::bind(lan)?);
    let (address, lan) = (listener.addr(), gate.serve(lan)?);
    for neighbour in neighbours {
        gate.listen_to(address_of(neighbour)?);
    }
    let (inputs, input) = channel();
    let (notices, shown) = channel();
    serve(&gate, listener, notices);
    forward(shown, inputs.clone());
    typed(inputs.clone());
    stopped(inputs)?;
    write_address(folder.path(), &address.to_string())?;
    let opened = json!({
        "listening": address.to_string(), "lan": lan.to_string(), "event": door.setup.name,
        "door_name": door.setup.door_name, "zone_name": door.setup.zone_name(door.setup.zone),
    });
    let text = format!(
        "{} {name} is open at {address}, {}; neighbours listen at {lan}.{} Now touch with a wallet, in another window:\n  \
         tegata wallet alice enter {name}",
        bold(&door.setup.name),
        stands(&door.setup),
        left_out(&door.setup)
    );
    screen.show(&Answer::new(text, opened));
    let ended = admit(place, screen, &gate, &input, update_every);
    forget_address(folder.path());
    gate.stop();
    ended
}

fn address_of(text: &str) -> Result<SocketAddr, Failure> {
    match text.parse() {
        Ok(address) => Ok(address),
        Err(_) => fail(format!("'{text}' is no address; write it like 192.168.1.20:7000")),
    }
}

fn forward(shown: Receiver<GateNotice>, inputs: Sender<Input>) {
    std::thread::spawn(move || shown.into_iter().try_for_each(|notice| inputs.send(Input::Shown(notice))));
}

fn typed(inputs: Sender<Input>) {
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        lines.map(Input::Typed).try_for_each(|line| inputs.send(line))
    });
}

fn stopped(inputs: Sender<Input>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(crate::interrupted());
        inputs.send(Input::Over)
    });
    Ok(())
}

fn admit(
    place: &Place,
    screen: Screen,
    gate: &Arc<Shared<SqliteVault>>,
    input: &Receiver<Input>,
    update_every: u64,
) -> Result<Answer, Failure> {
    let every = Duration::from_secs(update_every);
    let mut next = Instant::now() + every;
    let mut was_alone = None;
    loop {
        // It is said once whenever it changes (R22).
        let alone = !gate.hears_all();
        let before = was_alone.replace(alone);
        if before == Some(true) && !alone {
            let text = "Not alone any more: all gates of this event are heard.";
            screen.show(&Answer::new(bold(text), json!({ "alone": false })));
        }
        if before != Some(alone) && alone {
            let codes = gate.with(|gate, _| gate.door()).map_or(NO_CODES, |door| codes_alone(&door.setup));
            let text = format!(
                "ALONE: not all gates of this event are heard; this one goes on by what it knows, and takes {codes}."
            );
            screen.show(&Answer::new(bold(text), json!({ "alone": true })));
        }
        let answer = match input.recv_timeout(Duration::from_millis(500)) {
            Ok(Input::Over) | Err(RecvTimeoutError::Disconnected) => {
                return Ok(Answer::new("The gate is closed.", json!({ "closed": true })));
            }
            Ok(Input::Shown(notice)) => told_here(gate, &notice),
            Ok(Input::Typed(line)) => match command(place, gate, line.trim()) {
                Ok(None) => return Ok(Answer::new("The gate is closed.", json!({ "closed": true }))),
                Ok(Some(answer)) => Ok(answer),
                Err(failure) => Err(failure),
            },
            Err(RecvTimeoutError::Timeout) => {
                if update_every > 0 && Instant::now() >= next {
                    next = Instant::now() + every;
                    // With no network it goes on; what waits goes up with the next try.
                    if let Err(failure) = bring(place, gate) {
                        tracing::info!("the log waits: {}", failure.0);
                    }
                }
                continue;
            }
        };
        match answer {
            Ok(answer) => screen.show(&answer),
            Err(failure) => screen.show(&Answer::new(format!("error: {}", failure.0), json!({ "error": failure.0 }))),
        }
    }
}

/// One line that a steward has typed; `None`: stop.
fn command(place: &Place, gate: &Arc<Shared<SqliteVault>>, line: &str) -> Result<Option<Answer>, Failure> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "" => Ok(Some(Answer::new("", Value::Null))),
        "stop" => Ok(None),
        "status" => {
            let ears = gate.ears();
            let alone = ears.iter().map(|ear| (ear.address.to_string(), ear.heard)).collect::<Vec<_>>();
            gate.with(|gate, _| status(gate, &alone)).map(Some)
        }
        "neighbour" => {
            gate.listen_to(address_of(rest)?);
            Ok(Some(Answer::new(format!("Listening to {rest}."), json!({ "neighbour": rest }))))
        }
        "update" => bring(place, gate).map(Some),
        "out" | "in" | "over" => by_hand(gate, word, rest.trim()).map(Some),
        "camera" => {
            let Ok(code) = base45::decode(rest.trim()) else {
                return fail("this is no code: it has letters, digits and $%*+-./: only");
            };
            let notice = gate.with(|gate, now| gate.camera(&code, now))?;
            let mut answer = told(&notice);
            if matches!(notice, GateNotice::Refused(EnterRefusal::Used, _)) {
                // No wallet hears of its code: its holder may have come in by the same entry on another day.
                answer.text.push_str(" (who came in by a code on a day before tells the wallet: show --came-in)");
            }
            answer.json["camera"] = true.into();
            Ok(Some(answer))
        }
        other => fail(format!(
            "'{other}' is none of: camera CODE, out COUNT BADGE, in COUNT BADGE, over [TICKET] BADGE, neighbour ADDRESS, update, status, stop"
        )),
    }
}

/// What staff does by hand, with its badge as the last word (R22).
fn by_hand(gate: &Arc<Shared<SqliteVault>>, word: &str, rest: &str) -> Result<Answer, Failure> {
    let (what, badge) = match rest.rsplit_once(' ') {
        Some((what, badge)) => (what.trim(), badge),
        None => ("", rest),
    };
    let badge = match Badge::parse(badge) {
        Ok(badge) => badge,
        Err(why) => {
            return fail(format!(
                "the badge is not readable: {why}; write it last, such as: out 2 K7QF-2M9X-0TRB-W4HZ"
            ));
        }
    };
    let people = || match what.parse::<u64>() {
        Ok(people) => Ok(people),
        Err(_) => fail(format!("'{what}' is no number of people; write: {word} 2 BADGE")),
    };
    let hand = match (word, what) {
        ("out", _) => Hand::Out(people()?),
        ("in", _) => Hand::In(people()?),
        (_, "") => match gate.with(|gate, _| gate.last_inside())? {
            Some(card) => Hand::Over(card),
            None => {
                return fail("no ticket was refused here because somebody is inside with it; write: over TICKET BADGE");
            }
        },
        (_, ticket) => match CardId::parse(ticket) {
            Some(card) => Hand::Over(card),
            None => return fail(format!("'{ticket}' is no ticket; `tegata gate NAME log` lists them")),
        },
    };
    let said = gate.with(|gate, now| gate.by_hand(&badge, hand, now))?;
    let (people, staff) = (said.people, said.staff);
    let way = said.direction.name().to_lowercase();
    let text = match &said.over {
        Some(over) => format!("Entry {} of {} is over, by badge {staff}: it may come in again.", over.entry, over.card),
        None => format!("{people} counted {way} by hand, by badge {staff}."),
    };
    let json = json!({
        "by_hand": way, "people": people, "staff": staff,
        "ticket": said.over.as_ref().map(|over| over.card.to_string()),
    });
    Ok(Answer::new(text, json))
}

fn bring(place: &Place, gate: &Arc<Shared<SqliteVault>>) -> Result<Answer, Failure> {
    let mut post = place.post()?;
    let summary = gate.with(|gate, at| gate.update(&mut post, at))?;
    Ok(super::updated("the gate", &summary))
}

/// The same where it stands: of a way out, which zone's it is.
fn told_here(gate: &Arc<Shared<SqliteVault>>, notice: &GateNotice) -> Result<Answer, Failure> {
    let mut answer = told(notice);
    if matches!(notice, GateNotice::Refused(EnterRefusal::InsideElsewhere, _)) {
        let setup = gate.with(|gate, _| gate.door())?.setup;
        let zone = setup.zone_name(setup.zone);
        answer.text.push_str(&format!(" (this is the way out of {zone})"));
        answer.json["zone"] = setup.zone.into();
        answer.json["zone_name"] = zone.into();
    }
    Ok(answer)
}

/// Where the gate is to be updated, the steward reads what to type.
const OWN_UPDATE_HELPS: [EnterRefusal; 2] = [EnterRefusal::TicketKeyUnknown, EnterRefusal::GateKeyOver];

/// What the steward sees.
pub fn told(notice: &GateNotice) -> Answer {
    let seat = |passing: &Passing| match (passing.seat, &passing.seat_name) {
        (None, _) => None,
        (Some(_), Some(name)) => Some(name.clone()),
        (Some(seat), None) => Some(format!("seat number {seat}")),
    };
    let who = |passing: &Passing| {
        let seat = seat(passing).map_or_else(String::new, |seat| format!(", {seat}"));
        format!("{} {}{seat}", passing.people, if passing.people == 1 { "person" } else { "people" })
    };
    let passed = |done: &str, passing: &Passing| {
        json!({
            "done": done, "ticket": passing.card.to_string(), "entry": passing.entry, "people": passing.people,
            "seat": passing.seat, "seat_name": passing.seat_name,
        })
    };
    match notice {
        GateNotice::Open(passing) => Answer::new(format!("{} {}", bold("OPEN"), who(passing)), passed("in", passing)),
        GateNotice::LetOut(passing) => Answer::new(format!("{} {}", bold("OUT"), who(passing)), passed("out", passing)),
        GateNotice::Repeated(passing) => Answer::new(
            format!("{} let in before; the wallet is told so again, nothing opens", who(passing)),
            passed("repeated", passing),
        ),
        GateNotice::Refused(why, whom) => Answer::new(
            match whom.as_ref().and_then(seat) {
                Some(seat) => format!("{} {} ({seat})", bold("NO:"), why.for_steward()),
                None if OWN_UPDATE_HELPS.contains(why) => {
                    format!("{} {} (write: update)", bold("NO:"), why.for_steward())
                }
                None => format!("{} {}", bold("NO:"), why.for_steward()),
            },
            json!({
                "done": "refused", "why": why.name(), "advice": why.for_steward(),
                "seat": whom.as_ref().and_then(|whom| whom.seat),
                "seat_name": whom.as_ref().and_then(|whom| whom.seat_name.clone()),
            }),
        ),
        GateNotice::Failed(fault) => {
            Answer::new(format!("{} {fault}", bold("FAILED:")), json!({ "done": "failed", "why": fault.to_string() }))
        }
    }
}

/// What its set-up leaves out, to stand behind what a gate says of itself.
pub fn left_out(setup: &Setup) -> String {
    let told = |seats: u64| format!(" It shows its {seats} seats by number: their names are too long for a set-up.");
    setup.unnamed.map_or_else(String::new, told)
}

/// What a gate that is alone takes of codes, where no ticket is for its door.
const NO_CODES: &str = "no codes on screens: tickets touch";

/// The same where it is known which tickets there are: only one that names this door can be shown at no other (R21).
fn codes_alone(setup: &Setup) -> &'static str {
    let mut tickets = setup.terms.iter().filter_map(|terms| terms.ticket.as_ref());
    match tickets.any(|ticket| ticket.door == Some(setup.door)) {
        true => "no codes on screens but of tickets for this door: others touch",
        false => NO_CODES,
    }
}

/// Where a gate stands, in words.
fn stands(setup: &Setup) -> String {
    let way = match setup.direction {
        Direction::In => "into",
        Direction::Out => "out of",
    };
    format!("{}, {way} {}", setup.door_name(), setup.zone_name(setup.zone))
}

fn status(gate: &mut Gate<SqliteVault>, neighbours: &[(String, bool)]) -> Result<Answer, Failure> {
    let door = gate.door()?;
    let tally = gate.tally();
    let zones: Vec<Value> = tally
        .zones
        .iter()
        .map(|zone| {
            let name = door.setup.zone_name(zone.zone);
            json!({ "zone": zone.zone, "name": name, "inside": zone.people(), "came": zone.arrived() })
        })
        .collect();
    let waiting = gate.waiting();
    let heard: Vec<Value> =
        neighbours.iter().map(|(address, heard)| json!({ "address": address, "heard": heard })).collect();
    let mut text = format!(
        "{}: {}. {waiting} records wait for the provider.{}",
        door.setup.name,
        stands(&door.setup),
        left_out(&door.setup)
    );
    for zone in &tally.zones {
        let name = door.setup.zone_name(zone.zone);
        text.push_str(&format!("\n  {name}: {} inside, {} came in", zone.people(), zone.arrived()));
    }
    for (address, heard) in neighbours {
        text.push_str(&format!("\n  neighbour {address}: {}", if *heard { "heard" } else { "NOT HEARD" }));
    }
    let json = json!({
        "event": door.setup.name, "door": door.setup.door, "door_name": door.setup.door_name, "zone": door.setup.zone,
        "zone_name": door.setup.zone_name(door.setup.zone), "direction": door.setup.direction.name(),
        "waiting": waiting, "zones": zones, "neighbours": heard, "seats_unnamed": door.setup.unnamed,
    });
    Ok(Answer::new(text, json))
}

fn log(gate: &Gate<SqliteVault>) -> Result<Answer, Failure> {
    let entries = gate.log()?;
    let why = |entry: &tegata_core::talk::journal::LogEntry| {
        let word = entry.shown.as_ref()?.admission.as_ref()?;
        word.claimed().why.map(|why| why.name().to_owned())
    };
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let card = entry.card.map_or_else(String::new, |card| card.to_string());
            let number = entry.transaction.to_string();
            vec![number, super::moment(entry.at), entry.kind.name().into(), card, why(entry).unwrap_or_default()]
        })
        .collect();
    let json: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!({
                "number": entry.transaction, "at": entry.at.0, "kind": entry.kind.name(),
                "ticket": entry.card.map(|card| card.to_string()), "why": why(entry),
            })
        })
        .collect();
    let text = match rows.as_slice() {
        [] => "Nobody came yet.".to_owned(),
        rows => table(&["no", "at", "what", "ticket", "why"], rows),
    };
    Ok(Answer::new(text, json!({ "log": json })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::card::ticket::TicketTerms;
    use tegata_core::card::{CardKind, Terms};
    use tegata_core::talk::event::PlannedZone;
    use tegata_core::{EventId, PartyId, Time, Unit};

    #[test]
    fn a_steward_whose_gate_is_behind_reads_what_to_type() {
        let cases = [
            (EnterRefusal::TicketKeyUnknown, true),
            (EnterRefusal::GateKeyOver, true),
            (EnterRefusal::TicketKeyOver, false),
            (EnterRefusal::GateKeyUnknown, false),
        ];
        for (why, typed) in cases {
            let answer = told(&GateNotice::Refused(why, None));
            assert_eq!(answer.text.ends_with("(write: update)"), typed, "{}", answer.text);
            assert_eq!(answer.json["why"], why.name());
        }
    }

    #[test]
    fn a_steward_reads_the_seats_name_and_its_number_only_where_the_gate_knows_no_other() {
        let whom = |seat, name: Option<&str>| Passing {
            card: CardId([5; 16]),
            entry: 1,
            people: 1,
            seat,
            seat_name: name.map(Into::into),
        };
        let named = told(&GateNotice::Open(whom(Some(12), Some("Row 5, 12"))));
        assert!(named.text.ends_with("1 person, Row 5, 12"), "{}", named.text);
        assert_eq!((&named.json["seat"], &named.json["seat_name"]), (&json!(12), &json!("Row 5, 12")));
        let numbered = told(&GateNotice::LetOut(whom(Some(12), None)));
        assert!(numbered.text.ends_with("1 person, seat number 12"), "{}", numbered.text);
        assert_eq!((&numbered.json["seat"], &numbered.json["seat_name"]), (&json!(12), &Value::Null));
        let refused = told(&GateNotice::Refused(EnterRefusal::Inside, Some(whom(Some(12), Some("Row 5, 12")))));
        assert!(refused.text.ends_with("(Row 5, 12)"), "{}", refused.text);
        assert_eq!(refused.json["seat_name"], "Row 5, 12");
        let standing = told(&GateNotice::Repeated(whom(None, None)));
        assert!(standing.text.contains("1 person let in before"), "{}", standing.text);
    }

    /// A set-up for door 4 into zone 1, and one ticket, whose codes are taken at this door.
    fn setup(codes_at: Option<u64>) -> Setup {
        let ticket = TicketTerms {
            event: EventId([2; 16]),
            place: "Town hall".into(),
            from: Time(5),
            until: Time(9),
            zones: vec![1, 2],
            entries: 1,
            a_day: None,
            day_begins: 0,
            reentry: false,
            companions: 0,
            door: codes_at,
            give_until: None,
            give_price: None,
            refund_until: None,
            seating: None,
            extensions: Default::default(),
        };
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
            max_balance: 1,
            handovers: 0,
            refundable: false,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: Some(ticket),
            extensions: Default::default(),
        };
        Setup {
            number: 1,
            event: EventId([2; 16]),
            name: "Concert".into(),
            terms: vec![terms],
            replaced: vec![],
            dead: vec![],
            door: 4,
            zone: 1,
            direction: Direction::In,
            at: Time(5),
            gates: vec![],
            staff: None,
            seats: None,
            unnamed: None,
            zones: None,
            door_name: None,
            extensions: Default::default(),
        }
    }

    #[test]
    fn a_gate_says_in_words_where_it_stands_and_by_numbers_what_it_was_not_told() {
        let numbered = setup(None);
        assert_eq!(stands(&numbered), "door 4, into zone 1");
        let zone = |zone, name: &str| PlannedZone { zone, name: name.into(), extensions: Default::default() };
        let named = Setup {
            zones: Some(vec![zone(1, "Hall"), zone(2, "Bar")]),
            door_name: Some("North".into()),
            direction: Direction::Out,
            ..numbered
        };
        assert_eq!(stands(&named), "North, out of Hall");
        assert_eq!([2, 3].map(|zone| named.zone_name(zone)), ["Bar", "zone 3"]);
    }

    #[test]
    fn a_gate_that_is_alone_promises_codes_only_where_tickets_name_its_door() {
        // R21.
        assert_eq!([None, Some(5)].map(|door| codes_alone(&setup(door))), [NO_CODES; 2]);
        let own = codes_alone(&setup(Some(4)));
        assert!(own.contains("but of tickets for this door"), "{own}");
    }
}
