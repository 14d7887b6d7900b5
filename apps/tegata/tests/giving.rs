//! Tickets given and taken as people type it: two wallets that touch with no network, a number for somebody far away.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::hall::{Hall, read};
use serde_json::{Value, json};

/// Alice gives, bob takes, each in a process of its own; what both are told.
fn given(hall: &Hall, ticket: &str, agree: (&[&str], &[&str])) -> (std::process::Output, std::process::Output) {
    let waiting = hall.start(&[&["wallet", "alice", "give", ticket, "--wait", "20"], agree.0].concat());
    while !hall.address("alice").exists() {
        std::thread::yield_now();
    }
    let took = hall.start(&[&["wallet", "bob", "take", "alice"], agree.1].concat()).wait_with_output().unwrap();
    (waiting.wait_with_output().unwrap(), took)
}

fn name(ticket: &Value) -> String {
    ticket["ticket"].as_str().unwrap().to_owned()
}

#[test]
fn given_face_to_face_tapped_until_it_is_registered_and_registered_by_going_online() {
    let mut hall = Hall::open(&["alice", "bob"], 2, &["--handovers", "2", "--give-price", "50.00"]);
    let tickets = hall.tickets("alice");
    let ticket = name(&tickets[0]);
    assert_eq!(tickets[0]["standing"], json!({ "is": "own" }));
    assert_eq!((&tickets[0]["giving"]["most"], &tickets[0]["giving"]["handovers"]), (&"50.00".into(), &2.into()));

    // Who is not asked does not agree; neither side is left with half of it.
    let (gave, took) = given(&hall, &ticket, (&["--yes"], &[]));
    for output in [gave, took] {
        assert!(String::from_utf8_lossy(&output.stderr).contains("declined; nothing was changed"), "{output:?}");
    }
    let (gave, _) = given(&hall, &ticket, (&[], &["--yes"]));
    assert!(String::from_utf8_lossy(&gave.stderr).contains("declined; nothing was changed"), "{gave:?}");
    assert_eq!(hall.tickets("alice")[0]["state"], "valid");

    // Nobody needs the provider.
    hall.provider = None;
    let (gave, took) = given(&hall, &ticket, (&["--yes"], &["--yes"]));
    let (gave, took) = (read(&gave, &["give"]), read(&took, &["take"]));
    assert_eq!(
        (&gave["given"], &gave["taken"], &took["taken"]),
        (&ticket.clone().into(), &true.into(), &ticket.clone().into())
    );
    assert_eq!(gave["code"], took["code"]);
    assert_eq!(gave["code"].as_str().map(str::len), Some(6));
    assert_eq!(gave["register_by"], took["register_by"]);
    let gone = hall.tickets("alice").into_iter().find(|held| name(held) == ticket).unwrap();
    assert_eq!((&gone["state"], &gone["standing"]["taken"]), (&"given away".into(), &true.into()));
    let held = hall.tickets("bob").remove(0);
    assert_eq!((&held["state"], &held["standing"]["only_tapped"]), (&"not registered".into(), &true.into()));
    assert!(hall.text(&["wallet", "bob", "tickets"]).contains("a gate that has only a camera does not take it"));

    // A camera would not take it, and is told so by nobody but the wallet; a tap opens, and the giver's copy does not.
    hall.bad(&["wallet", "bob", "show"], "tap it at the gate");
    hall.bad(&["wallet", "alice", "enter", "north", "--ticket", &ticket], "given");
    hall.bad(&["wallet", "alice", "show", "--ticket", &ticket], "it was given away on 20");
    assert_eq!(hall.good(&["wallet", "bob", "enter", "north"])["entry"], 1);
    hall.bad(&["wallet", "bob", "register"], "cannot be reached");
}

#[test]
fn whatever_goes_online_registers_what_was_taken() {
    let hall = Hall::open(&["alice", "bob"], 3, &[]);
    let tickets: Vec<String> = hall.tickets("alice").iter().map(name).collect();
    let standing = |ticket: &str| {
        let held = hall.tickets("bob").into_iter().find(|held| name(held) == ticket).unwrap();
        held["standing"]["is"].as_str().unwrap().to_owned()
    };
    for (ticket, online) in tickets.iter().zip([&["register"][..], &["catalogue"], &["update"]]) {
        let (gave, took) = given(&hall, ticket, (&["--yes"], &["--yes"]));
        assert!(gave.status.success() && took.status.success(), "{gave:?} {took:?}");
        assert_eq!(standing(ticket), "unregistered");
        let done = hall.good(&[&["wallet", "bob"], online].concat());
        if online == ["register"] {
            assert_eq!(done["registered"], json!([ticket]));
        }
        assert_eq!(standing(ticket), "own", "{online:?}");
        hall.good(&["wallet", "bob", "show", "--ticket", ticket]);
    }
    assert_eq!(hall.good(&["wallet", "bob", "register"])["registered"], json!([]));
    assert_eq!(hall.good(&["wallet", "bob", "register", &tickets[0]])["registered"], json!([]));
    assert_eq!(hall.good(&["audit"])["clean"], true);
}

/// Waits for a process that says where it is touched.
fn gives(hall: &Hall, ticket: &str) -> std::process::Child {
    // A giver that was killed has left its address.
    let _ = std::fs::remove_file(hall.address("alice"));
    let waiting = hall.start(&["wallet", "alice", "give", ticket, "--yes", "--wait", "20"]);
    while !hall.address("alice").exists() {
        std::thread::yield_now();
    }
    waiting
}

#[test]
fn whichever_wallet_is_killed_in_the_middle_giving_again_ends_with_one_holder() {
    let hall = Hall::open(&["alice", "bob"], 10, &[]);
    let tickets: Vec<String> = hall.tickets("alice").iter().map(name).collect();
    let state = |who: &str, ticket: &str| {
        let held = hall.tickets(who).into_iter().find(|held| name(held) == ticket);
        held.map(|held| held["state"].as_str().unwrap().to_owned())
    };
    for (number, ticket) in (0..).zip(&tickets) {
        let mut giver = gives(&hall, ticket);
        let mut taker = hall.start(&["wallet", "bob", "take", "alice", "--yes"]);
        std::thread::sleep(std::time::Duration::from_millis(120 + 25 * (number / 2)));
        let _ = if number % 2 == 0 { taker.kill() } else { giver.kill() };
        taker.wait().unwrap();
        if number % 2 == 1 {
            giver.wait().unwrap();
            giver = gives(&hall, ticket);
        }
        // Who was quick enough has done it.
        if giver.try_wait().unwrap().is_none() {
            hall.start(&["wallet", "bob", "take", "alice", "--yes"]).wait_with_output().unwrap();
        }
        let told = giver.wait_with_output().unwrap();
        assert!(told.status.success(), "{number}: {told:?}");
        let stands = (state("alice", ticket), state("bob", ticket));
        assert_eq!(stands, (Some("given away".into()), Some("not registered".into())), "{number}");
    }
    hall.good(&["wallet", "bob", "update"]);
    hall.good(&["wallet", "alice", "update"]);
    assert!(hall.tickets("bob").iter().all(|held| held["standing"]["is"] == "own"));
    assert_eq!(hall.good(&["audit"])["clean"], true);
}

#[test]
fn a_gift_is_a_number_that_one_wallet_takes() {
    let hall = Hall::open(&["alice", "bob", "carol"], 2, &["--give-price", "50.00"]);
    let tickets: Vec<String> = hall.tickets("alice").iter().map(name).collect();
    let gift = hall.good(&["wallet", "alice", "gift", &tickets[0]]);
    let number = gift["number"].as_str().unwrap();
    assert!(gift["until"].as_u64().is_some());
    assert_eq!(hall.good(&["wallet", "alice", "gift", &tickets[0]]), gift, "said again");
    let given = hall.tickets("alice").into_iter().find(|held| name(held) == tickets[0]).unwrap();
    assert_eq!((&given["state"], &given["standing"]["is"]), (&"given away".into(), &"gift".into()));
    let taken = hall.good(&["wallet", "bob", "take", number]);
    assert_eq!((&taken["installed"], &taken["ticket"]), (&tickets[0].clone().into(), &"Concert, Standing".into()));
    assert_eq!(taken["most"], "50.00", "whoever takes it is told, too");
    // Its giver hears that it was taken, and when; who has it is nobody's to say.
    let known = hall.good(&["wallet", "alice", "gift", &tickets[0]]);
    assert!(known["number"].is_null() && known["standing"]["arrived"].as_u64().is_some(), "{known}");
    assert!(hall.text(&["wallet", "alice", "tickets"]).contains("is given by a number, and was taken on "));
    hall.bad(&["wallet", "carol", "take", number], "refused");
    assert_eq!(hall.good(&["wallet", "bob", "enter", "north"])["entry"], 1);
    // Tickets are no money, and are given back by the same command: here it is too late for that.
    hall.bad(&["wallet", "alice", "refund", &tickets[1], "--yes"], "the time in which this ticket is refunded is over");
}

#[test]
fn what_people_do_wrong_when_they_give_is_told_to_them() {
    let hall = Hall::open(&["alice", "bob"], 1, &["--not-transferable"]);
    let ticket = name(&hall.tickets("alice")[0]);
    hall.bad(&["wallet", "alice", "give", &ticket], "does not let this ticket be given away");
    hall.bad(&["wallet", "alice", "gift", &ticket], "does not let this ticket be given away");
    hall.bad(&["wallet", "alice", "give", "ticket"], "names no ticket");
    hall.bad(&["wallet", "alice", "give", "card-00000000000000000000000000000000"], "no such card");
    hall.bad(&["wallet", "bob", "take", "dora"], "no wallet on this data folder and no gift's number");
    hall.bad(&["wallet", "bob", "take", "127.0.0.1:1"], "127.0.0.1:1");
    let hall = Hall::open(&["alice", "bob"], 1, &[]);
    let ticket = name(&hall.tickets("alice")[0]);
    hall.bad(&["wallet", "bob", "take", "alice"], "gives nothing at the moment");
    let mut killed = gives(&hall, &ticket);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(hall.address("alice").exists(), "that it has left");
    hall.bad(&["wallet", "bob", "take", "alice"], "gives nothing at the moment");
    hall.bad(&["wallet", "alice", "give", &ticket, "--wait", "1"], "no wallet took");
    assert_eq!(hall.tickets("alice")[0]["state"], "valid");
    // Inside with it: nothing is handed over the fence.
    hall.good(&["wallet", "alice", "enter", "north"]);
    hall.bad(&["wallet", "alice", "give", &ticket], "check out first");
}

#[test]
fn a_ticket_of_a_lost_phone_is_installed_on_another() {
    let mut hall = Hall::open(&["alice", "bob", "carol"], 1, &[]);
    let ticket = name(&hall.tickets("alice")[0]);
    hall.bad(&["provider", "reissue", "card-00"], "a card's id is card- and 32 digits");
    let anew = hall.good(&["provider", "reissue", &ticket]);
    assert_eq!(hall.good(&["provider", "reissue", &ticket]), anew, "said again");
    let number = anew["number"].as_str().unwrap();
    assert_eq!(hall.good(&["wallet", "bob", "take", number])["installed"], ticket.as_str());
    hall.bad(&["wallet", "carol", "take", number], "refused");
    // Until it has heard of it the gate takes whichever comes first; after that the new one alone.
    hall.brings();
    hall.bad(&["wallet", "alice", "enter", "north"], "the gate stays closed");
    assert_eq!(hall.good(&["wallet", "bob", "enter", "north"])["entry"], 1);
    assert_eq!(hall.good(&["audit"])["clean"], true);
}
