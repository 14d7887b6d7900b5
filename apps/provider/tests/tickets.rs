//! Tickets: planned, sold by credit, shown at gates with no network, brought up and compared (R20).

use crate::clearing::audited;
use crate::concert::*;
use crate::world::blank;
use tegata_core::Time;
use tegata_core::card::payment::PurseState;
use tegata_core::talk::cards::Done;
use tegata_core::talk::enter::{Direction, EnterRefusal, GateNotice, SeatRun, Setup};
use tegata_core::talk::event::*;
use tegata_core::talk::join::JoinToken;
use tegata_core::wire::certificate::Role;
use tegata_core::{EventId, Hash, PartyId};
use tegata_crypto_native::GateNumber;
use tegata_device::{JoinError, join};
use tegata_gate::Gate;

#[test]
fn a_ticket_is_bought_shown_with_no_network_and_brought_up() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let ticket = concert.visitor.ticket(card).expect("a ticket");
    assert_eq!(ticket.purse.certificate.claimed().seat, Some(1));
    concert.clean();
    concert.brings(0);
    assert_eq!(concert.refused(card, 0), EnterRefusal::TooEarly);
    concert.doors_open();
    concert.enters(card, 0);
    assert_eq!(concert.refused(card, 0), EnterRefusal::Inside);
    concert.enters(card, 2);
    concert.enters(card, 1);
    assert_eq!(concert.gates[1].tally().inside(1), 1);
    for gate in 0..3 {
        concert.brings(gate);
        assert_eq!(concert.gates[gate].waiting(), 0);
    }
    concert.world.update(&mut concert.visitor.device);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    let rows = concert.world.provider.store().admissions_at(EVENT).expect("read");
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.by_gate && row.by_wallet), "both sides say the same");
    let report = report(&mut concert);
    assert_eq!(report["categories"][0]["sold"], 1);
    assert_eq!(
        report["tickets"],
        serde_json::json!({ "installed": 1, "given": 0, "dead": 0, "came": 1, "no_shows": null }),
        "others may still come"
    );
    let at = |door: u64, way: &str| serde_json::json!([door, way]);
    let gates = report["gates"].as_array().expect("gates").iter();
    let mut gates: Vec<_> = gates.map(|gate| serde_json::json!([gate["door"], gate["direction"]])).collect();
    gates.sort_by_key(ToString::to_string);
    assert_eq!(gates, [at(1, "In"), at(2, "In"), at(3, "Out")]);
    let quarter = |door: u64| {
        let from = concert.world.now.0 / 900 * 900;
        serde_json::json!({ "door": door, "name": format!("door {door}"), "from": from, "entries": 1, "people": 1 })
    };
    assert_eq!(report["arrivals"], serde_json::json!([quarter(1), quarter(2)]));
    assert_eq!(report["not_left"]["count"], 0);
    concert.clean();
}

#[test]
fn who_did_not_come_is_counted_when_nobody_may_come_any_more() {
    let mut concert = Concert::new();
    let (came, _) = (concert.buys(), concert.buys());
    concert.doors_open();
    concert.enters(came, 0);
    concert.brings(0);
    concert.world.update(&mut concert.visitor.device);
    concert.world.now = concert.world.now.after(6 * 3600);
    assert_eq!(report(&mut concert)["tickets"]["no_shows"], 1);
    concert.clean();
}

/// The plan of before with these seats more.
fn grows(concert: &mut Concert, revision: u64, more: Vec<String>) {
    let before = plan(&concert.world);
    let added = (4..).zip(more).map(|(seat, name)| Seat { seat, name, article: 1, extensions: Default::default() });
    let seats = before.seats.iter().cloned().chain(added).collect();
    concert.world.issuer_asks(EventPlan { revision, seats, ..before });
}

#[test]
fn gates_say_what_stands_on_a_seat_as_its_wallet_does_and_hear_of_every_plan() {
    let mut concert = Concert::new();
    let run = |seat, count, name: &str| SeatRun { seat, count, name: name.into(), step: 1 };
    let named = |concert: &Concert| {
        let setup = Setup::load(&concert.gates[0].device).expect("set up");
        (setup.seats, setup.unnamed)
    };
    assert_eq!(named(&concert), (Some(vec![run(1, 3, "Row 1, 1")]), None));
    let setup = Setup::load(&concert.gates[0].device).expect("set up");
    assert_eq!((setup.zone_name(1), setup.door_name()), ("Hall".to_owned(), "door 1".to_owned()));
    assert_eq!(setup.door_name.as_deref(), Some("door 1"), "its plan's own name");
    let card = concert.buys();
    concert.doors_open();
    let told = concert.touch(card, 0).1.remove(0);
    let passing = told.passing().expect("a ticket");
    let held = concert.visitor.ticket(card).expect("a ticket").purse;
    assert_eq!((passing.seat, passing.seat_name.as_deref()), (Some(1), Some("Row 1, 1")));
    assert_eq!(held.seat_name, passing.seat_name);
    let more = ["Row 1, 4".to_owned(), "Box".to_owned()];
    grows(&mut concert, 2, more.to_vec());
    concert.brings(0);
    assert_eq!(named(&concert), (Some(vec![run(1, 4, "Row 1, 1"), run(5, 1, "Box")]), None));
    // More than a set-up has room for: the gate says so, and shows the number.
    let many = (0..20_000).map(|seat| format!("Seat {seat} of the upper balcony, left"));
    grows(&mut concert, 3, more.into_iter().chain(many).collect());
    concert.brings(0);
    assert_eq!(named(&concert), (None, Some(20_005)));
    let told = concert.touch(card, 0).1.remove(0);
    let passing = told.passing().expect("a ticket");
    assert_eq!((passing.seat, passing.seat_name.as_deref()), (Some(1), None));
    concert.clean();
}

#[test]
fn a_gate_that_begins_late_hears_what_was_archived_long_ago() {
    // R22; found by the simulator (seed 304545): the first gate had pruned what is on a second medium (R15).
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    for _ in 0..3 {
        concert.brings(0);
        concert.world.now = concert.world.now.after(15 * Time::DAY);
    }
    let now = concert.world.moment();
    let (certificate, page) = concert.gates[0].page(0, now).expect("signed");
    let heard = concert.gates[1].take(certificate, page, now).expect("heard");
    assert_eq!((heard.number, heard.last), (1, 1), "nothing is missing");
    assert_eq!(concert.gates[1].tally().inside(1), 1);
}

#[test]
fn a_copy_that_came_in_elsewhere_is_found_with_both_presentations_and_blocked() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let copy = concert.visitor.device.vault.clone();
    concert.enters(card, 0);
    let mine = std::mem::replace(&mut concert.visitor.device.vault, copy);
    concert.enters(card, 1);
    concert.visitor.device.vault = mine;
    concert.brings(0);
    assert!(concert.world.open_exceptions().is_empty(), "one alone says nothing");
    concert.brings(1);
    assert_eq!(concert.world.open_exceptions(), ["cloned"]);
    let found = concert.world.provider.exceptions().expect("read").pop().expect("one");
    assert_eq!((found.card, found.bearer), (Some(card), "holder"));
    assert!(found.wallet_record.is_some() && found.terminal_record.is_some(), "both records");
    let told = concert.world.provider.exceptions_told().expect("told").pop().expect("one");
    let says = told["says"].as_str().expect("words");
    assert!(says.contains("for 'Concert' was shown from two wallets for one entry, at gate '"), "{says}");
    assert_eq!(says.matches("gate '").count(), 2, "both gates by name: {says}");
    // Every gate knows it by its next update, and the wallet by its own.
    concert.brings(0);
    let setup = Setup::load(&concert.gates[0].device).expect("set up");
    assert_eq!(setup.dead(card, 1), Some(EnterRefusal::Blocked));
    concert.world.update(&mut concert.visitor.device);
    assert_eq!(concert.refused(card, 0), EnterRefusal::Blocked);
    // It came in with it, and goes out.
    concert.enters(card, 2);
    concert.brings(2);
    assert_eq!(concert.world.open_exceptions(), ["cloned"]);
    concert.clean();
    finds(
        &concert,
        &[
            ("another number of people", "UPDATE admission SET people = people + 1 WHERE direction = 1", "entry 1"),
            ("another gate", "UPDATE admission SET gate = zeroblob(16) WHERE direction = 2", "entry 1"),
            ("nobody went out", "DELETE FROM admission WHERE direction = 2", "entry 1"),
            ("refused, says the row", "UPDATE admission SET done = 3 WHERE direction = 1", "entry 1"),
            ("a wallet has said it", "UPDATE admission SET wallets = 1 WHERE direction = 2", "entry 1"),
            ("another attempt", "UPDATE admission SET attempt = attempt + 1 WHERE direction = 2", "entry 1"),
            (
                "an entry that nobody made",
                "INSERT INTO admission SELECT card, zone, entry + 6, direction, shown, generation, gate, number, at, people, done, window,
                    attempt, earlier, gates, wallets, holder FROM admission LIMIT 1",
                "entry 7",
            ),
            ("nobody is convicted", "DELETE FROM exception WHERE kind = 14", "card-"),
        ],
    );
}

/// The auditor finds each of these changes of the database, and says about what.
fn finds(concert: &Concert, stories: &[(&str, &str, &str)]) {
    let connection = concert.world.provider.store().connection();
    for (what, how, about) in stories {
        connection.execute_batch("SAVEPOINT tampered").expect("begun");
        assert!(connection.execute(how, []).expect(what) > 0, "{what}");
        let found = audited(&concert.world);
        connection.execute_batch("ROLLBACK TO tampered; RELEASE tampered").expect("undone");
        let difference = found.difference.unwrap_or_else(|| panic!("{what}: nothing is found"));
        assert!(difference.about.contains(about), "{what}: {difference}");
    }
}

#[test]
fn the_auditor_finds_a_conviction_that_nothing_proves() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    concert.brings(0);
    concert.clean();
    let convicted = "INSERT INTO exception (kind, at, state, device, issuer, card, generation, seq, bearer)
        SELECT 14, at, 1, gate, zeroblob(16), card, generation, entry, 'holder' FROM admission LIMIT 1";
    finds(&concert, &[("a conviction", convicted, &card.to_string())]);
}

#[test]
fn a_wallet_that_was_put_back_and_shows_its_ticket_again_before_its_update_is_convicted_and_says_so() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.world.update(&mut concert.visitor.device);
    concert.doors_open();
    let copy = concert.visitor.device.vault.clone();
    concert.enters(card, 0);
    concert.world.update(&mut concert.visitor.device);
    concert.visitor.device.vault = copy;
    concert.enters(card, 1);
    // It gets a new generation under the same key (R14), and brings what convicts it.
    concert.world.update(&mut concert.visitor.device);
    concert.world.update(&mut concert.visitor.device);
    let purse = concert.visitor.ticket(card).expect("a ticket").purse;
    assert_eq!((purse.generation(), purse.state), (2, PurseState::Blocked));
    (0..3).for_each(|gate| concert.brings(gate));
    assert_eq!(concert.world.open_exceptions(), ["cloned"]);
    assert_eq!(concert.refused(card, 0), EnterRefusal::Blocked);
    let setup = Setup::load(&concert.gates[1].device).expect("set up");
    assert_eq!(setup.dead(card, 2), Some(EnterRefusal::Blocked), "nor does its new generation come in");
    concert.clean();
}

#[test]
fn a_wallet_that_was_put_back_hears_again_what_stands_on_its_seat() {
    let mut concert = Concert::new();
    concert.world.update(&mut concert.visitor.device);
    let copy = concert.visitor.device.vault.clone();
    let card = concert.buys();
    let named = |concert: &Concert| concert.visitor.ticket(card).expect("a ticket").purse.seat_name;
    assert_eq!(named(&concert), Some("Row 1, 1".into()));
    // A copy that is one turn behind looks like a wallet that lost the last answer.
    concert.world.update(&mut concert.visitor.device);
    concert.world.update(&mut concert.visitor.device);
    concert.visitor.device.vault = copy;
    assert!(concert.visitor.ticket(card).is_err(), "it knows of no ticket");
    let summary = concert.world.update(&mut concert.visitor.device);
    assert!(summary.restarted, "{summary:?}");
    assert_eq!(named(&concert), Some("Row 1, 1".into()));
    concert.clean();
}

#[test]
fn an_honest_repeat_that_came_in_twice_convicts_nobody_and_is_shown() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    // The first gate's answer is lost: the wallet tells the second gate of it.
    let now = concert.world.moment();
    let (mut wallet, hello) = concert.visitor.enter(card, 1, now).expect("starts");
    let mut tap = concert.gates[0].tap().expect("ready");
    let step = tap.receive(&hello, concert.world.moment(), &mut concert.gates[0].device).expect("gate");
    let step = wallet.receive(&step.frames[0], concert.world.moment(), &mut concert.visitor.device).expect("wallet");
    tap.receive(&step.frames[0], concert.world.moment(), &mut concert.gates[0].device).expect("gate");
    concert.enters(card, 1);
    concert.brings(0);
    concert.brings(1);
    assert_eq!(concert.world.open_exceptions(), ["came twice"]);
    concert.world.update(&mut concert.visitor.device);
    concert.enters(card, 2);
    concert.clean();
}

#[test]
fn a_code_that_yielded_to_a_touch_opened_twice_and_is_shown_also_at_one_gate() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let now = concert.world.moment();
    let code = concert.visitor.window(card, 1, 1, now).expect("a code");
    concert.gates[0].hear(true);
    let told = concert.gates[0].camera(&code, now).expect("ready");
    assert!(matches!(told, GateNotice::Open(_)), "{told:?}");
    concert.enters(card, 0);
    concert.brings(0);
    assert_eq!(concert.world.open_exceptions(), ["came twice"]);
    concert.clean();
}

#[test]
fn who_comes_in_again_past_gates_that_do_not_hear_each_other_is_told_to_the_promoter() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    let first = concert.world.now;
    concert.world.now = first.after(600);
    concert.enters(card, 1);
    (0..3).for_each(|gate| concert.brings(gate));
    let told = report(&mut concert)["not_left"].clone();
    let ticket = serde_json::json!({
        "ticket": card.to_string(), "zone": 1, "entry": 2, "at": first.0 + 600, "door": "door 2", "came_in": first.0, "came_in_door": "door 1",
    });
    assert_eq!(told, serde_json::json!({ "count": 1, "tickets": [ticket] }));
    // Seen by the gate of the way out, though later.
    concert.enters(card, 2);
    concert.brings(2);
    assert_eq!(report(&mut concert)["not_left"]["count"], 1, "that was the second entry's");
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
}

#[test]
fn whoever_came_in_by_a_code_goes_out_by_a_touch_and_in_again() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    assert_eq!(concert.refused(card, 2), EnterRefusal::NotInside, "no code was shown yet");
    let now = concert.world.moment();
    let code = concert.visitor.window(card, 1, 1, now).expect("a code");
    concert.gates[0].hear(true);
    assert!(matches!(concert.gates[0].camera(&code, now).expect("ready"), GateNotice::Open(_)));
    concert.enters(card, 2);
    assert_eq!(concert.refused(card, 2), EnterRefusal::NotInside, "once");
    concert.enters(card, 0);
    concert.enters(card, 2);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.world.update(&mut concert.visitor.device);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    let rows = concert.world.provider.store().admissions_at(EVENT).expect("read");
    let mut uses: Vec<_> = rows.iter().map(|row| (row.entry, row.direction == Direction::Out)).collect();
    uses.sort_unstable();
    assert_eq!(uses, [(1, false), (1, true), (2, false), (2, true)]);
    concert.clean();
}

#[test]
fn one_code_before_two_cameras_at_once_is_reported() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let now = concert.world.moment();
    let code = concert.visitor.window(card, 1, 1, now).expect("a code");
    // Each hears the other, and neither has heard of this yet.
    for gate in [0, 1] {
        concert.gates[gate].hear(true);
        let told = concert.gates[gate].camera(&code, now).expect("ready");
        assert!(matches!(told, GateNotice::Open(_)), "{told:?}");
        concert.brings(gate);
    }
    assert_eq!(concert.world.open_exceptions(), ["came twice"]);
    concert.brings(0);
    assert_eq!(concert.world.open_exceptions(), ["came twice"], "once");
    concert.clean();
}

#[test]
fn what_a_gate_that_did_not_know_let_in_beyond_the_terms_is_reported() {
    let mut concert = Concert::new();
    let (card, other) = (concert.buys(), concert.buys());
    concert.doors_open();
    concert.enters(card, 0);
    concert.enters(card, 2);
    concert.enters(card, 1);
    concert.enters(card, 2);
    assert_eq!(concert.refused(card, 1), EnterRefusal::UsedUp);
    (0..3).for_each(|gate| concert.brings(gate));
    assert!(concert.world.open_exceptions().is_empty());
    // Given back meanwhile, and let in by a gate that has not heard of it.
    let now = concert.world.moment();
    let vault = concert.visitor.device.vault.clone();
    concert.visitor.surrender(other, now).expect("given back");
    concert.world.update(&mut concert.visitor.device);
    let mine = std::mem::replace(&mut concert.visitor.device.vault, vault);
    concert.enters(other, 0);
    concert.visitor.device.vault = mine;
    concert.brings(0);
    assert_eq!(concert.world.open_exceptions(), ["beyond terms"]);
    assert_eq!(concert.refused(other, 1), EnterRefusal::Refunded, "its wallet knows");
    concert.clean();
}

#[test]
fn a_gate_that_lost_an_answer_brings_the_same_again() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, true);
    assert!(concert.gates[0].update(&mut wire, now).is_err(), "the answer is lost");
    assert_eq!(concert.gates[0].waiting(), 1);
    concert.brings(0);
    assert_eq!(concert.gates[0].waiting(), 0);
    assert_eq!(concert.world.provider.store().admissions_by(card).expect("read").len(), 1);
    concert.clean();
}

#[test]
fn only_its_promoter_plans_an_event_and_puts_its_gates_in_place() {
    let mut concert = Concert::new();
    let world = &mut concert.world;
    let mut other = blank(150);
    world.join(&mut other, Role::Issuer, None, "Other");
    let promoter = PartyId(other.id().expect("joined").0);
    let stolen = EventPlan { promoter, revision: 2, ..plan(world) };
    let answer: Result<Done, _> = world.ask(&mut other, stolen);
    assert!(answer.is_err(), "another promoter's event");
    let gate = concert.gates[0].device.id().expect("joined");
    let at = world.now;
    let order = GateOrder {
        promoter,
        gate,
        event: EVENT,
        door: 2,
        direction: Direction::Out,
        at,
        extensions: Default::default(),
    };
    let answer: Result<Done, _> = world.ask(&mut other, order);
    assert!(answer.is_err(), "another promoter's gate");
    let mut seats = EventPlan { revision: 2, ..plan(world) };
    seats.seats[0].name = "Row 9, 9".into();
    let kept = world.provider.store().planned(EVENT).expect("read").expect("planned").body;
    let same = tegata_core::wire::signed::Signed::<EventPlan>::decode(&kept).expect("a plan").claimed().clone();
    let mut issuer = std::mem::replace(&mut world.issuer, blank(200));
    let answer: Result<Done, _> = world.ask(&mut issuer, seats);
    assert!(answer.is_err(), "a seat that may be sold gets no other name");
    let again: Result<Done, _> = world.ask(&mut issuer, same);
    assert!(again.is_ok(), "the same plan again changes nothing: {again:?}");
}

/// A new device joins with this number.
fn set_up(concert: &mut Concert, seed: u8, number: &GateNumber) -> Result<Door, JoinError> {
    let mut device = blank(seed);
    let mut token = JoinToken { secret: number.secret(), pin: [0; 16] };
    token.pin.copy_from_slice(&concert.world.provider.info().fingerprint().0[..16]);
    let (now, info) = (concert.world.moment(), concert.world.provider.info().clone());
    let mut wire = concert.world.wire(now, false);
    join(&mut device, &mut wire, &info, &token, Role::Gate, "east", now)?;
    concert.world.update(&mut device);
    Ok(Gate::new(device))
}

#[test]
fn a_new_gate_is_set_up_by_the_number_that_it_joins_with() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let (promoter, at) = (concert.world.issuer_id(), concert.world.now);
    let number = GateNumber::generate([7; 32]);
    let invite = GateInvite {
        promoter,
        secret: Hash::of(&number.secret()),
        name: String::new(),
        event: EVENT,
        door: 2,
        direction: Direction::In,
        until: at.after(Time::DAY),
        at,
        extensions: Default::default(),
    };
    assert!(set_up(&mut concert, 160, &number).is_err(), "nobody has invited it yet");
    // What names no door, is over, is another's or is said twice with another content is refused.
    let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
    for wrong in [
        GateInvite { door: 99, ..invite.clone() },
        GateInvite { until: at, ..invite.clone() },
        GateInvite { name: "a/b".into(), ..invite.clone() },
        GateInvite { event: EventId([9; 16]), ..invite.clone() },
    ] {
        let answer: Result<Done, _> = concert.world.ask(&mut issuer, wrong.clone());
        assert!(answer.is_err(), "{wrong:?}");
    }
    for _ in 0..2 {
        let answer: Result<Done, _> = concert.world.ask(&mut issuer, invite.clone());
        answer.expect("the same again changes nothing");
    }
    let other: Result<Done, _> = concert.world.ask(&mut issuer, GateInvite { door: 1, ..invite.clone() });
    assert!(other.is_err(), "the number is taken");
    let mut stranger = blank(150);
    concert.world.join(&mut stranger, Role::Issuer, None, "Other");
    let foreign = PartyId(stranger.id().expect("joined").0);
    let secret = Hash::of(&[8; 16]);
    let stolen: Result<Done, _> =
        concert.world.ask(&mut stranger, GateInvite { promoter: foreign, secret, ..invite.clone() });
    assert!(stolen.is_err(), "another promoter's event");
    concert.world.issuer = issuer;

    let gate = set_up(&mut concert, 161, &number).expect("joined");
    assert_eq!(Setup::load(&gate.device).map(|setup| (setup.door, setup.direction)), Some((2, Direction::In)));
    assert!(set_up(&mut concert, 162, &number).is_err(), "a number serves once");
    // The promoter moves it like any other; what it had ordered before it joined changes nothing.
    let id = gate.device.id().expect("joined");
    concert.gates.push(gate);
    concert.doors_open();
    concert.enters(card, 3);
    concert.brings(3);
    concert.clean();
    let order = |at| GateOrder {
        promoter,
        gate: id,
        event: EVENT,
        door: 1,
        direction: Direction::In,
        at,
        extensions: Default::default(),
    };
    let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
    let late: Result<Done, _> = concert.world.ask(&mut issuer, order(at));
    assert!(late.is_err(), "older than the invitation");
    let moved: Result<Done, _> = concert.world.ask(&mut issuer, order(concert.world.now));
    moved.expect("moved");
    concert.world.issuer = issuer;
    concert.brings(3);
    assert_eq!(Setup::load(&concert.gates[3].device).map(|setup| setup.door), Some(1));
    concert.clean();

    // One that comes too late is not let in.
    let number = GateNumber::generate([9; 32]);
    let now = concert.world.now;
    concert.world.issuer_asks(GateInvite {
        secret: Hash::of(&number.secret()),
        at: now,
        until: now.after(60),
        ..invite.clone()
    });
    concert.world.now = now.after(60);
    assert!(set_up(&mut concert, 163, &number).is_err(), "over");
}

#[test]
fn a_gate_that_stands_where_nobody_put_it_is_found() {
    let mut concert = Concert::new();
    let number = GateNumber::generate([7; 32]);
    let (promoter, at) = (concert.world.issuer_id(), concert.world.now);
    concert.world.issuer_asks(GateInvite {
        promoter,
        secret: Hash::of(&number.secret()),
        name: "west".into(),
        event: EVENT,
        door: 2,
        direction: Direction::Out,
        until: at.after(Time::DAY),
        at,
        extensions: Default::default(),
    });
    let gate = set_up(&mut concert, 161, &number).expect("joined").device.id().expect("joined");
    concert.clean();
    let by_order = concert.gates[0].device.id().expect("joined");
    for (what, undo, of) in [
        ("door = 1", "door = 2", gate),
        ("direction = 3 - direction", "direction = 3 - direction", gate),
        ("door = 3", "door = 1", by_order),
    ] {
        let run = |set: &str| {
            let sql = format!("UPDATE gate SET {set} WHERE gate = ?1");
            concert.world.provider.store().connection().execute(&sql, [of.0]).expect("written");
        };
        run(what);
        let found = audited(&concert.world).difference.expect("found");
        assert!(found.to_string().contains("the place of gate"), "{what}: {found}");
        run(undo);
        concert.clean();
    }
    let connection = concert.world.provider.store().connection();
    connection.execute("UPDATE token SET reply = NULL WHERE place IS NOT NULL", []).expect("written");
    assert!(audited(&concert.world).difference.is_some(), "nobody has joined with it");
}
