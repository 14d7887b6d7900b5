//! A promoter's work as people type it: an event planned, seated, sold by category, its gate put in place.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed::{Running, bad, good, text};

#[test]
fn the_last_seats_are_sold_once_each_to_sixteen_buyers_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["bench", "--only", "tickets", "--last-seats", "80", "--seats", "3000"];
    let sold = &good(folder.path(), &words)["tickets"]["contention"];
    assert_eq!((&sold["sold"], &sold["buyers"], &sold["clean"]), (&80.into(), &16.into(), &true.into()), "{sold}");
}

#[test]
fn a_cancelled_event_is_paid_back_once_each_though_provider_and_processor_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["bench", "--only", "refunds", "--refunded", "150"];
    let paid = &good(folder.path(), &words)["tickets"]["paid_back"];
    // With that of the first buyer, for whom the bank was waited. That the books agree is part of the measurement.
    assert_eq!(paid["count"], 151, "{paid}");
    assert!(paid["processor_cpu_us"].as_f64() > Some(0.0), "{paid}");
}

#[test]
fn an_evening_with_gifts_in_the_queue_comes_out_though_parts_of_it_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let words =
        ["replay", "event", "--tickets", "240", "--gates", "5", "--copies", "16", "--clones", "4", "--gifts", "20"];
    let played = good(folder.path(), &[&words[..], &["--kill"]].concat());
    let figures = |names: &[&str]| names.iter().map(|name| played[name].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(figures(&["tickets", "admitted", "recorded"]), [240; 3], "{played}");
    assert_eq!(figures(&["gifts", "gifts_registered", "gift_copies"]), [20; 3], "{played}");
    assert_eq!(figures(&["clones", "clones_named"]), [4; 2], "{played}");
    assert_eq!(
        figures(&["copies_admitted", "gift_copies_admitted", "honest_refused", "unexplained"]),
        [0; 4],
        "{played}"
    );
    assert!(played["cut_off"]["admitted_meanwhile"].as_u64() > Some(0), "{played}");
    assert!(played["cut_off"]["seconds"].as_f64() > Some(0.0), "{played}");
    // One in ten of the 236 whose wallets are not cloned.
    assert_eq!(figures(&["left", "returned"]), [24; 2], "{played}");
    let killed = serde_json::json!({ "bank": 1, "gate": 4, "processor": 1, "provider": 2 });
    assert_eq!(played["killed"], killed, "each in the middle of something: {played}");
    assert_eq!(played["audit"]["clean"], true);
    bad(folder.path(), &["replay", "event", "--tickets", "40", "--gates", "3"], "say at least 4 --gates");
    bad(folder.path(), &["replay", "event", "--tickets", "40", "--gifts", "400"], "say fewer --gifts");
}

/// Numbers for the stalls, by what comes after that.
fn numbers<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["numbers", "Concert", "Stalls"][..], words].concat()
}

const OPEN: [&str; 2] = ["--from", "2099-12-24 19:00"];

#[test]
fn a_venue_is_planned_in_one_line_seated_from_a_file_and_has_its_gate() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let _provider = Running::start(data, "provider run");
    let token = |role: &str, name: &str, more: &[&str]| {
        good(data, &[&["provider", "invite", role, name], more].concat())["token"].as_str().unwrap().to_owned()
    };
    let joined = good(data, &["issuer", "hall", "join", &token("issuer", "Hall", &[])]);
    let promoter = joined["id"].as_str().unwrap();
    let hall = |words: &[&str]| [&["issuer", "hall", "event"], words].concat().join("\n");
    let event = |words: &[&str]| good(data, &hall(words).split('\n').collect::<Vec<_>>());
    let wrong = |words: &[&str], says: &str| bad(data, &hall(words).split('\n').collect::<Vec<_>>(), says);

    // One line, and there is something to sell.
    let plan: &[&str] =
        &["plan", "Concert", "--place", "Town hall", "--category", "Standing=20.00:500", OPEN[0], OPEN[1]];
    let planned = event(plan);
    assert_eq!(planned["plan"]["doors"][0]["name"], "Door");
    assert_eq!(planned["categories"][0]["name"], "Concert, Standing");
    assert_eq!(planned["categories"][0]["stock"], 500);
    // Said again it is the same.
    assert_eq!(event(plan)["plan"]["revision"], 1);

    // Seats from a file, with two categories more and another door.
    let seats = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/seats.csv");
    let seated = event(&[
        "plan",
        "Concert",
        "--place",
        "Town hall",
        "--door",
        "North",
        "--category",
        "Stalls=45.00",
        "--category",
        "Balcony=30.00",
        "--seats",
        seats,
        OPEN[0],
        OPEN[1],
    ]);
    assert_eq!((&seated["plan"]["seats"], &seated["plan"]["revision"]), (&30.into(), &2.into()));
    let stock: Vec<_> =
        seated["categories"].as_array().unwrap().iter().map(|one| one["stock"].as_u64().unwrap()).collect();
    assert_eq!(stock, [500, 24, 6]);
    let grown = folder.path().join("seats.csv");
    let sample = std::fs::read_to_string(seats).unwrap();
    std::fs::write(&grown, format!("{sample}\"Row 1, 3\",Stalls\n")).unwrap();
    wrong(&["seats", "Concert", grown.to_str().unwrap()], "line 32: seat 'Row 1, 3' stands in line 4 already");
    std::fs::write(&grown, "seat,category\n\"Row 1, 1\",Stalls\n").unwrap();
    wrong(&["seats", "Concert", grown.to_str().unwrap()], "has no line for seat 'Row 1, 2'");
    std::fs::write(&grown, format!("{sample}Box,Balcony\n")).unwrap();
    assert_eq!(event(&["seats", "Concert", grown.to_str().unwrap()])["categories"][2]["stock"], 7);

    // A gate joins and is put in its place.
    good(data, &["gate", "north", "join", &token("gate", "north", &["--owner", promoter])]);
    wrong(&["gate", "Concert", "north"], "several doors");
    wrong(&["gate", "Concert", "north", "South"], "no door");
    assert_eq!(event(&["gate", "Concert", "north", "North"])["door"], 2);
    good(data, &["gate", "north", "update"]);
    assert_eq!(good(data, &["gate", "north", "status"])["event"], "Concert");
    // Also while it is open; and one that stands elsewhere is named by its id.
    let open = Running::start(data, "gate north run --update-every 0");
    assert_eq!(event(&["gate", "Concert", "north", "North"])["door"], 2);
    drop(open);
    wrong(&["gate", "Concert", "south", "North"], "by its id");
    let shown = event(&["show", "Concert"]);
    assert_eq!((shown["gates"][0]["door"].as_u64(), shown["plan"]["seats"].as_u64()), (Some(2), Some(31)));

    // One that is new joins and is set up by a code, or by a number; each serves once.
    wrong(&["invite", "Concert"], "several doors");
    let invited = event(&["invite", "Concert", "North", "--out"]);
    let (number, scanned) = (invited["number"].as_str().unwrap(), invited["to_scan"].as_str().unwrap());
    let machine = folder.path().join("machine");
    bad(&machine, &["gate", "west", "join", number, "--provider", "http://127.0.0.1:1"], "scan the code");
    bad(data, &["gate", "west", "join", "K7QF-2M9X"], "neither a gate's number");
    good(&machine, &["gate", "west", "join", scanned]);
    let status = good(&machine, &["gate", "west", "status"]);
    assert_eq!((&status["event"], &status["direction"]), (&"Concert".into(), &"Out".into()), "{status}");
    assert_eq!((&status["door_name"], &status["zone_name"]), (&"North".into(), &"Inside".into()), "{status}");
    bad(data, &["gate", "east", "join", number], "token");
    let number = event(&["invite", "Concert", "North", "--gate", "east"])["number"].as_str().unwrap().to_owned();
    good(data, &["gate", "east", "join", &number]);
    assert_eq!(good(data, &["gate", "east", "status"])["event"], "Concert");
    // Who has joined by a number stands at its door, and is not only invited any more.
    event(&["invite", "Concert", "Door"]);
    let stand = event(&["show", "Concert"]);
    let at =
        |gate: &str| stand["gates"].as_array().unwrap().iter().find(|one| one["name"] == gate).unwrap()["door"].clone();
    assert_eq!(["north", "west", "east"].map(at), [2, 2, 2]);
    assert_eq!(stand["invited"].as_array().unwrap().len(), 1, "{stand}");
    assert!(text(data, "issuer hall event show Concert").contains("west (out)"));

    // What was planned, in plain words; a seat is picked by its number.
    let told = text(data, &hall(&["show", "Concert", "--seats"]).split('\n').collect::<Vec<_>>());
    assert!(told.contains("one entry; for its holder alone"), "{told}");
    assert!(
        told.contains("refunded until 2099-12-24 19:00:00Z") && told.contains("buy ARTICLE --seat NUMBER"),
        "{told}"
    );
    assert!(told.lines().any(|line| line == "31      Box         Concert, Balcony"), "{told}");
    assert!(text(data, "issuer hall event show Concert").contains("Which number is which seat: tegata issuer hall"));
    let box_seat = &shown["seats"][30];
    assert_eq!((&box_seat["seat"], &box_seat["name"], &box_seat["article"]), (&31.into(), &"Box".into(), &3.into()));

    // Each seat is one ticket: nobody has to count them, and nobody may count otherwise.
    wrong(&["category", "Concert", "Balcony=30.00:500", OPEN[0], OPEN[1]], "has 7 numbered seats");
    bad(data, "issuer hall restock 3 8", "has 7 numbered seats");
    good(data, "issuer hall restock 3 6");

    // Numbers for the counter: for seats that are named, or for the last ones; the sheet says which number is for which.
    let printed = event(&numbers(&["--seats", "Row 1, 2; 5"]));
    assert_eq!(printed["seats"], serde_json::json!(["Row 1, 2", "Row 1, 5"]));
    wrong(&numbers(&["--seats", "Row 1, 1;Row 1, 5"]), "by this category: Row 1, 5; nothing was ordered");
    wrong(&numbers(&["--seats", "Balcony, 1"]), "'Balcony, 1' is no numbered seat of category 'Stalls'");
    wrong(&numbers(&["--count", "23"]), "has 22 numbered seats that are in no batch yet");
    let last = event(&numbers(&["--count", "2"]));
    assert_eq!(last["seats"], serde_json::json!(["Row 3, 7", "Row 3, 8"]));
    std::fs::write(&grown, "Row 3, 6\n\nRow 1, 1\n").unwrap();
    let read = event(&numbers(&["--seats-file", grown.to_str().unwrap()]));
    assert_eq!(read["seats"], serde_json::json!(["Row 3, 6", "Row 1, 1"]));
    let sheet = text(data, "issuer hall print 1");
    assert!(sheet.starts_with("serial,number,face,seat,for\n1,"), "{sheet}");
    assert!(sheet.contains(",\"Row 1, 5\",\"Concert, Stalls\""), "{sheet}");
    let batch = good(data, "issuer hall batches")["batches"][0].clone();
    assert_eq!((&batch["for"], &batch["seats"]), (&"Concert, Stalls".into(), &printed["seats"]), "{batch}");
    good(data, &["wallet", "alice", "join", &token("wallet", "alice", &[])]);
    good(data, "issuer hall activate 1 2");
    let sold = good(data, "issuer hall print 1")["numbers"][1].clone();
    let installed = good(data, &["wallet", "alice", "install", sold["number"].as_str().unwrap()]);
    assert_eq!((&installed["seat_name"], &sold["seat"]), (&"Row 1, 5".into(), &"Row 1, 5".into()), "{installed}");
    let report = event(&["report", "Concert"]);
    let stalls = report["categories"].as_array().unwrap().iter().find(|one| one["article"] == 2).unwrap();
    assert_eq!((&stalls["by_number"], &stalls["left"]), (&6.into(), &18.into()), "{report}");

    wrong(&["plan", "Ball", "--place", "Here", "--category", "Any=20.00:5"], "when the doors open");
    wrong(&["category", "Concert", "Foyer=20.00", OPEN[0], OPEN[1]], "no numbered seats");
    wrong(&["category", "Concert", "Foyer", OPEN[0], OPEN[1]], "is no category");
    wrong(&["category", "Ball", "Foyer=20.00:5", OPEN[0], OPEN[1]], "no event 'Ball'");
    wrong(&["category", "Concert", "Foyer=20.00:5", "--from", "tomorrow"], "is no moment");
    assert_eq!(event(&["show"])["events"].as_array().unwrap().len(), 1);
}
