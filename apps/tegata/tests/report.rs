//! A promoter's report as a spreadsheet: what was sold, given, who came in by which door.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::hall::Hall;
use serde_json::Value;

#[test]
fn a_promoters_report_is_a_figure_a_line() {
    let mut hall = Hall::open(&["alice", "bob"], 4, &["--companions", "1"]);
    let tickets: Vec<String> =
        hall.tickets("alice").iter().map(|held| held["ticket"].as_str().unwrap().to_owned()).collect();
    let gift = hall.good(&["wallet", "alice", "gift", &tickets[0]]);
    hall.good(&["wallet", "bob", "take", gift["number"].as_str().unwrap()]);
    hall.good(&["wallet", "bob", "enter", "north"]);
    hall.good(&["wallet", "alice", "enter", "north", "--ticket", &tickets[1], "--people", "2"]);
    hall.bad(&["wallet", "alice", "enter", "north", "--ticket", &tickets[1]], "the gate stays closed");
    hall.brings();
    let report = ["issuer", "hall", "event", "report", "Concert"];
    let text = hall.text(&[&report[..], &["--csv"]].concat());
    let lines: Vec<Vec<String>> = text.lines().map(fields).collect();
    assert_eq!(lines[0], ["sort", "of", "from", "figure", "value"]);
    assert!(lines.iter().all(|line| line.len() == 5), "{text}");
    let figure = |sort: &str, of: &str, figure: &str| {
        let found: Vec<_> =
            lines.iter().filter(|line| (&*line[0], &*line[1], &*line[3]) == (sort, of, figure)).collect();
        assert_eq!(found.len(), 1, "{sort} {of} {figure}: {text}");
        found[0][4].clone()
    };
    let standing = "Concert, Standing";
    assert_eq!(
        (figure("category", standing, "price"), figure("category", standing, "stock")),
        ("45.00".into(), "100".into())
    );
    assert_eq!(figure("category", standing, "by_number"), "4");
    assert_eq!(figure("category", standing, "installed_by_number"), "4");
    assert_eq!(figure("category", standing, "sold"), "0");
    assert_eq!((figure("tickets", "", "installed"), figure("tickets", "", "given")), ("4".into(), "1".into()));
    // Others may still come: who did not is not counted yet.
    assert_eq!((figure("tickets", "", "came"), figure("tickets", "", "no_shows")), ("2".into(), String::new()));
    // A ticket that was given away lets its new holder in: only the giver's copy is dead.
    assert_eq!(figure("tickets", "", "dead"), "0");
    // Both may have come in one quarter of an hour, or in two.
    let at_door = |figure: &str| -> u64 {
        let of = lines.iter().filter(|line| (&*line[0], &*line[1], &*line[3]) == ("door", "Door", figure));
        of.map(|line| line[4].parse::<u64>().unwrap()).sum()
    };
    assert_eq!((at_door("entries"), at_door("people")), (2, 3));
    assert!(!lines.iter().any(|line| line[0] == "exception"), "{text}");
    // The same for programs, and no other figures.
    let said = hall.good(&report);
    assert_eq!((&said["tickets"]["came"], &said["tickets"]["given"]), (&Value::from(2), &Value::from(1)));

    // Nobody is moved into the past.
    let move_to = |from: &'static str| {
        let words = ["issuer", "hall", "change", "Concert", "--text", "moved", "--silence", "accepts", "--dry-run"];
        [&words[..], &["--from", from]].concat()
    };
    hall.bad(&move_to("2020-01-01T18:00"), "would let nobody in");
    hall.good(&move_to("2099-01-01T18:00"));
    // Called off: its promoter sees which event that was, and how many are to be paid by hand.
    hall.good(&["issuer", "hall", "cancel", "Concert"]);
    let changes = ["issuer", "hall", "changes"];
    while hall.good(&changes)["changes"][0]["ended"].is_null() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(hall.good(&changes)["changes"][0]["by_hand"], 4);
    let told = hall.text(&changes);
    assert!(told.lines().nth(1).is_some_and(|row| row.starts_with("Concert  cancelled  ")), "{told}");
    let told = hall.text(&["provider", "exceptions"]);
    assert_eq!(told.matches("for 'Concert' went back and was not paid back by itself").count(), 4, "{told}");
    assert_eq!(told.matches("Next: whoever sold it decides").count(), 4, "{told}");
}

#[test]
fn an_event_that_was_moved_is_titled_by_its_new_place_and_a_ticket_says_what_it_is_for() {
    let hall = Hall::open(&["alice"], 1, &[]);
    let shown = hall.text(&["wallet", "alice", "show"]);
    assert!(shown.contains("This code is for Concert, Standing, zone 1,"), "{shown}");
    hall.bad(&["wallet", "alice", "show", "--zone", "2"], "it is for zone 1");
    hall.bad(&["wallet", "alice", "show", "--zone", "Inside"], "by number, and 'Inside' is none: it is for zone 1");
    assert!(hall.text(&["issuer", "hall", "event", "show", "Concert"]).starts_with("Concert at Town hall, "));
    let words = ["issuer", "hall", "change", "Concert", "--place", "Gymnasium", "--text", "moved"];
    let nowhere = ["--silence", "accepts", "--zones", "Foyer", "--dry-run"];
    hall.bad(&[&words[..], &nowhere].concat(), "zone 'Foyer' is none of this event");
    // The zone that they open already, by its name: nothing but the place changes.
    hall.good(&[&words[..], &["--silence", "accepts", "--zones", "Inside"]].concat());
    let told = hall.text(&["issuer", "hall", "event", "show", "Concert"]);
    assert!(told.starts_with("Concert at Gymnasium, "), "{told}");
    assert_eq!(hall.good(&["issuer", "hall", "event", "report", "Concert"])["place"], "Gymnasium");
}

#[test]
fn a_ticket_whose_entries_are_used_says_so() {
    let hall = Hall::open(&["alice"], 1, &[]);
    let invited = hall.good(&["issuer", "hall", "event", "invite", "Concert", "--out"]);
    hall.good(&["gate", "south", "join", invited["number"].as_str().unwrap()]);
    let mut south = hall.start(&["gate", "south", "run", "--update-every", "0"]);
    while !hall.data().join("gates/south/address").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let stands = || {
        let held = hall.tickets("alice").remove(0);
        (held["state"].as_str().unwrap().to_owned(), held["entries_left"].as_u64().unwrap())
    };
    for after in [("valid".to_owned(), 1), ("used up".to_owned(), 0)] {
        hall.good(&["wallet", "alice", "enter", "north"]);
        assert_eq!(stands().0, "inside");
        hall.good(&["wallet", "alice", "enter", "south"]);
        assert_eq!(stands(), after);
    }
    south.kill().unwrap();
    south.wait().unwrap();
}

/// No camera tells a wallet that its code was read.
#[test]
fn who_came_in_by_a_code_says_so_and_the_next_one_is_for_the_next_entry() {
    let hall = Hall::open(&["alice"], 1, &[]);
    let show = ["wallet", "alice", "show"];
    let say = |more: &[&'static str]| [&show[..], &["--came-in"], more].concat();
    hall.bad(&say(&["--yes"]), "no code was shown for the next entry");
    assert_eq!(hall.good(&show)["may_have_come_in"], false);
    hall.bad(&say(&["--yes"]), "the day of that code is not over");
    hall.bad(&[&show[..], &["--went-out"]].concat(), "--came-in");
    // Nobody is there to say yes.
    hall.bad(&say(&["--went-out"]), "nothing was noted");
    assert_eq!(hall.tickets("alice")[0]["entries_left"], 2);
    let noted = hall.good(&say(&["--went-out", "--yes"]));
    assert_eq!((&noted["entry"], &noted["left"]), (&1.into(), &1.into()), "{noted}");
    assert_eq!(hall.tickets("alice")[0]["entries_left"], 1);
    hall.bad(&say(&["--went-out", "--yes"]), "no code was shown for the next entry");
    assert_eq!(hall.good(&["wallet", "alice", "enter", "north"])["entry"], 2);
}

/// One line of CSV, with quotes where a field has a comma.
fn fields(line: &str) -> Vec<String> {
    let (mut all, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            other => all.last_mut().unwrap().push(other),
        }
    }
    all
}

#[test]
fn tickets_sold_before_their_category_was_listed_anew_are_called_off_with_the_others() {
    let hall = Hall::open(&["alice"], 2, &[]);
    let other = ["Standing=50.00:100", "--entries", "2", "--from", "2099-01-01T18:00"];
    hall.good(&[&["issuer", "hall", "event", "category", "Concert"], &other[..]].concat());
    let change = |more: [&str; 2]| {
        let words = ["issuer", "hall", "change", "Concert", "--text", "moved", "--silence", "accepts", "--dry-run"];
        hall.good(&[&words[..], &more].concat())
    };
    // They can go to what is sold now; elsewhere only what is sold now goes, and that is said.
    let moved = change(["--from", "2099-01-01T18:00"]);
    assert_eq!((&moved["concerns"][0]["holders"], &moved["beyond"]), (&Value::from(2), &Value::from(0)));
    let moved = change(["--place", "Gymnasium"]);
    assert_eq!((&moved["concerns"][0]["holders"], &moved["beyond"]), (&Value::from(0), &Value::from(2)));
    let cancel = ["issuer", "hall", "cancel", "Concert"];
    hall.good(&cancel);
    hall.bad(&cancel, "is cancelled already");
    // It is for sale nowhere, by what the provider says and by what this device has signed.
    let shown = hall.good(&["issuer", "hall", "event", "show", "Concert"]);
    assert_eq!((&shown["cancelled"], &shown["categories"][0]["cancelled"]), (&true.into(), &true.into()), "{shown}");
    assert_eq!(hall.good(&["issuer", "hall", "articles"])["articles"][0]["cancelled"], true);
    let changes = || hall.good(&["issuer", "hall", "changes"])["changes"].as_array().unwrap().clone();
    while changes().iter().any(|change| change["ended"].is_null()) {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(changes().iter().map(|change| change["by_hand"].as_u64().unwrap()).sum::<u64>(), 2);
    // Whoever updates is told, once; what was bought at the counter is not said to be paid back.
    let told = hall.text(&["wallet", "alice", "update"]);
    assert_eq!((told.matches("now: cancelled").count(), told.matches("and paid back").count()), (2, 0), "{told}");
    assert_eq!(told.matches("ask for the money where it was bought").count(), 2, "{told}");
    assert!(!hall.text(&["wallet", "alice", "update"]).contains("cancelled"));
    assert!(hall.tickets("alice").iter().all(|held| held["state"] == "over"));
    assert!(hall.good(&["issuer", "hall", "event", "report", "Concert"])["cancelled"].is_u64());
}

#[test]
fn a_ticket_whose_key_an_older_copy_of_its_wallet_has_not_says_so() {
    let hall = Hall::open(&["alice"], 1, &[]);
    let folder = hall.data().join("wallets/alice");
    let files = ["vault.db", "device.key"];
    let copy = files.map(|file| std::fs::read(folder.join(file)).unwrap());
    hall.good(&["issuer", "hall", "event", "numbers", "Concert", "Standing", "--count", "1"]);
    hall.good(&["issuer", "hall", "activate", "2", "1"]);
    let printed = hall.good(&["issuer", "hall", "print", "2"]);
    let late = hall.good(&["wallet", "alice", "install", printed["numbers"][0]["number"].as_str().unwrap()]);
    let late = late["installed"].as_str().unwrap();
    // The copy is put back; the log beside the vault, if there is one, is of what it was before.
    for (file, bytes) in files.iter().zip(copy) {
        std::fs::write(folder.join(file), bytes).unwrap();
    }
    for beside in ["vault.db-wal", "vault.db-shm"] {
        std::fs::remove_file(folder.join(beside)).ok();
    }
    hall.good(&["wallet", "alice", "update"]);
    let stands = |ticket: &Value| (ticket["ticket"] == late, ticket["state"].as_str().unwrap().to_owned());
    let mut all: Vec<_> = hall.tickets("alice").iter().map(stands).collect();
    all.sort();
    assert_eq!(all, [(false, "valid".to_owned()), (true, "key lost".to_owned())]);
    hall.bad(&["wallet", "alice", "enter", "north", "--ticket", late], "its key was not in it");
    let told = hall.text(&["wallet", "alice", "tickets"]);
    assert!(told.contains(&format!("tegata provider reissue {late}")), "{told}");
    let anew = hall.good(&["provider", "reissue", late]);
    assert_eq!(hall.good(&["wallet", "alice", "take", anew["number"].as_str().unwrap()])["installed"], late);
    assert!(hall.tickets("alice").iter().all(|ticket| ticket["state"] == "valid"), "this wallet has it again");
}
