//! The town's concert: alice buys a ticket by credit, comes in, goes out, comes in again, and is refused in the end; gates are
//! opened as processes of the same folder would be, over sockets.

use super::CODE;
use crate::commands::{self, buy::Wanted, ticket};
use crate::operator::Operator;
use crate::place::{Opened, Place, Sort, now};
use crate::screen::{Answer, Failure, Screen, bold, fail};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::talk::buy::Listing;
use tegata_core::talk::cards::Done;
use tegata_core::talk::credit::PaymentOption;
use tegata_core::talk::enter::{Direction, GateNotice};
use tegata_core::talk::event::{EventPlan, GateOrder, PlannedDoor, PlannedZone, Seat};
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::{Algorithm, Verified};
use tegata_core::{Amount, CardId, DeviceId, EventId, Hash, PartyId, Time, Unit};
use tegata_gate::lan::Shared;
use tegata_gate::{Gate, serve};
use tegata_vault::{PartFolder, SqliteVault};
use tegata_wallet::enter_at;

/// The promoter.
const PROMOTER: &str = "townhall";
/// The gates: two doors in, one out.
const GATES: [(&str, Direction); 3] = [("door1", Direction::In), ("door2", Direction::In), ("exit", Direction::Out)];
/// How many seats there are.
const SEATS: u64 = 20;

/// A gate that is open.
struct Open {
    gate: Arc<Shared<SqliteVault>>,
    address: String,
    lan: std::net::SocketAddr,
    shown: Receiver<GateNotice>,
    _folder: PartFolder,
}

impl Open {
    fn new(place: &Place, name: &str) -> Result<Self, Failure> {
        let Opened { part, folder } = place.gate(name)?;
        let gate: Arc<Shared<SqliteVault>> = Shared::new(Gate::new(part.device), now);
        let listener = tegata_link::listen("127.0.0.1:0")?;
        let (address, lan) = (listener.addr().to_string(), gate.serve(TcpListener::bind("127.0.0.1:0")?)?);
        let (notices, shown) = channel();
        serve(&gate, listener, notices);
        Ok(Self { gate, address, lan, shown, _folder: folder })
    }
    fn told(&self) -> Result<String, Failure> {
        match self.shown.recv_timeout(Duration::from_secs(10)) {
            Ok(notice) => Ok(commands::gate::told(&notice).text),
            Err(_) => fail("the gate saw nobody"),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gate.stop();
    }
}

/// Plays it, and says what everybody sees.
pub fn play(place: &Place, screen: Screen, operator: &Operator) -> Result<Value, Failure> {
    screen.say(bold(
        "10. A concert: the town hall sells seats and opens three gates, which need no network from then on.",
    ));
    let token = |role: &str, name: &str, owner: Option<&str>| -> Result<String, Failure> {
        let answer = operator.ask(&json!({ "do": "invite", "role": role, "names": [name], "owner": owner }))?;
        Ok(answer.pointer("/tokens/0").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    let promoter =
        commands::join_part(place, Sort::Issuer, PROMOTER, &token("issuer", PROMOTER, None)?, Algorithm::Ed25519)?;
    let id = promoter.json.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    operator.ask(&json!({
        "do": "enrol", "merchant": id, "code": "TOWNHALL", "category": 7922, "name": "TOWN HALL TICKETS",
    }))?;
    let event = plan(place)?;
    for (door, (name, direction)) in (1..).zip(GATES) {
        let joined =
            commands::join_part(place, Sort::Gate, name, &token("gate", name, Some(&id))?, Algorithm::Ed25519)?;
        let gate = joined.json.get("id").and_then(Value::as_str).and_then(DeviceId::parse);
        let Some(gate) = gate else { return fail("a gate has no id") };
        let (promoter, at) = (party(place)?, now().time);
        asks(place, GateOrder { promoter, gate, event, door, direction, at, extensions: Default::default() })?;
    }
    for (name, _) in GATES {
        place.gate(name)?.part.update(&mut place.post()?, now())?;
    }
    let wanted = Wanted {
        article: 1,
        issuer: Some(&id),
        card: None,
        seat: None,
        wait: false,
        option: PaymentOption::Once,
        yes: true,
    };
    let bought = commands::buy::buy(place, screen, "alice", &wanted)?;
    let Some(card) = bought.json.get("card").and_then(Value::as_str).and_then(CardId::parse) else {
        return fail("alice got no ticket");
    };
    screen.say(ticket::list(place, "alice")?.text);
    let gates: Vec<Open> = GATES.iter().map(|(name, _)| Open::new(place, name)).collect::<Result<_, _>>()?;
    for one in &gates {
        gates.iter().filter(|other| other.lan != one.lan).for_each(|other| one.gate.listen_to(other.lan));
    }
    let mut alice = place.wallet("alice")?;
    let mut touch = |at: usize| -> Result<Result<Answer, String>, Failure> {
        let notices = enter_at(&mut alice.part, gates[at].address.as_str(), (card, 1), now)?;
        let told = ticket::told(&notices, card).map_err(|failure| failure.0);
        let shown = match &told {
            Ok(answer) => answer.text.clone(),
            Err(why) => why.clone(),
        };
        screen.say(format!("  {}: {}\n  alice: {shown}", GATES[at].0, gates[at].told()?));
        Ok(told)
    };
    screen.say(bold("  She enters, goes out, and comes in again by another door, which has heard of it."));
    for at in [0, 2, 1, 2] {
        if let Err(why) = touch(at)? {
            return fail(format!("alice was not let pass: {why}"));
        }
    }
    screen.say(bold("  The ticket's two entries are used: the third is refused, on both screens."));
    let Err(refused) = touch(1)? else { return fail("alice came in once too often") };
    for one in &gates {
        one.gate.with(|gate, at| gate.update(&mut place.post()?, at).map_err(Failure::from))?;
    }
    alice.part.update(&mut place.post()?, now())?;
    let inside = gates[0].gate.with(|gate, _| gate.tally().inside(1));
    Ok(json!({ "ticket": card.to_string(), "refused": refused, "inside": inside, "code": CODE }))
}

fn party(place: &Place) -> Result<PartyId, Failure> {
    Ok(place.issuer(PROMOTER)?.part.party()?)
}

/// Signs for the promoter and sends it.
fn asks<T: Message + Clone>(place: &Place, body: T) -> Result<(), Failure> {
    let mut promoter = place.issuer(PROMOTER)?.part;
    let signed = promoter.device.signed(body)?;
    let _: Verified<Done> = promoter.device.request(&mut place.post()?, &signed, now())?;
    Ok(())
}

/// The event, open since an hour, and its seats on sale.
fn plan(place: &Place) -> Result<EventId, Failure> {
    let (promoter, at) = (party(place)?, now().time);
    let mut id = [0; 16];
    id.copy_from_slice(&Hash::of(&now().entropy).0[..16]);
    let event = EventId(id);
    let door = |(door, (name, _)): (u64, &(&str, Direction))| PlannedDoor {
        door,
        name: (*name).into(),
        zone: 1,
        extensions: Default::default(),
    };
    let seat = |seat| Seat { seat, name: format!("Row 1, {seat}"), article: 1, extensions: Default::default() };
    asks(
        place,
        EventPlan {
            promoter,
            event,
            revision: 1,
            name: "Concert".into(),
            place: "Town hall".into(),
            zones: vec![PlannedZone { zone: 1, name: "hall".into(), extensions: Default::default() }],
            doors: (1..).zip(&GATES).map(door).collect(),
            seats: (1..=SEATS).map(seat).collect(),
            at,
            extensions: Default::default(),
        },
    )?;
    let ticket = TicketTerms {
        event,
        place: "Town hall".into(),
        from: Time(at.0 - 3600),
        until: at.after(12 * 3600),
        zones: vec![1],
        entries: 2,
        a_day: None,
        day_begins: 0,
        reentry: true,
        companions: 0,
        door: None,
        give_until: None,
        give_price: None,
        refund_until: None,
        extensions: Default::default(),
    };
    let terms = Terms {
        issuer: promoter,
        kind: CardKind::Ticket,
        unit: Unit::ENTRIES,
        name: "Concert in the town hall".into(),
        max_payment: 0,
        offline_limit: 0,
        due_after: 30 * Time::DAY,
        list_age: Time::DAY,
        record_age: Time::DAY,
        max_balance: 2,
        handovers: 2,
        refundable: true,
        max_untouched: 0,
        register_within: Some(Time::DAY),
        program: None,
        ticket: Some(ticket),
        extensions: Default::default(),
    };
    let (Some(face), Some(price)) = (Amount::new(Unit::ENTRIES, 2), Amount::new(Unit::USD, 4_500)) else {
        return fail("no price");
    };
    asks(
        place,
        Listing {
            issuer: promoter,
            article: 1,
            revision: 1,
            terms,
            face,
            price,
            stock: SEATS,
            until: at.after(6 * 3600),
            valid_for: 2 * Time::DAY,
            clear_after: None,
            at,
            extensions: Default::default(),
        },
    )?;
    Ok(event)
}
