//! Seats moved by a change of their event, as people type it: from a file whose wrong lines are named, and read by their holder.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

mod typed;

use typed::{Running, bad, good, text};

/// How often it is asked how far a change has come: some seconds.
const TRIES: usize = 200;

#[test]
fn seats_are_moved_from_a_file_and_their_holder_reads_both() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let _provider = Running::start(data, "provider run");
    let token =
        |role: &str, name: &str| good(data, &["provider", "invite", role, name])["token"].as_str().unwrap().to_owned();
    good(data, &["issuer", "hall", "join", &token("issuer", "Hall")]);
    let file = |name: &str, content: &str| {
        let path = data.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let seats = file("seats.csv", "seat,category\nA 1,Stalls\nA 2,Stalls\nBox,Balcony\nB 1,Stalls\nB 2,Stalls\n");
    let plan = ["plan", "Concert", "--place", "Town hall", "--category", "Stalls=45.00", "--category", "Balcony=30.00"];
    let open = ["--from", "2099-12-24 19:00", "--seats", &seats];
    good(data, &[&["issuer", "hall", "event"], &plan[..], &open[..]].concat());
    good(data, &["issuer", "hall", "event", "numbers", "Concert", "Stalls", "--seats", "A 1; A 2"]);
    good(data, "issuer hall activate 1 1");
    let number = good(data, "issuer hall print 1")["numbers"][0]["number"].as_str().unwrap().to_owned();
    good(data, &["wallet", "alice", "join", &token("wallet", "alice")]);
    let installed = good(data, &["wallet", "alice", "install", &number]);
    assert_eq!(installed["seat_name"], "A 1", "{installed}");

    let change = |moves: &str, more: &[&str]| -> Vec<String> {
        let words = ["issuer", "hall", "change", "Concert", "--seats", moves, "--text", "The stage grows"];
        let silence = ["--silence", "accepts"];
        [&words[..], &silence[..], more].concat().into_iter().map(str::to_owned).collect()
    };
    let wrong = |content: &str, says: &str| {
        let moves = change(&file("moves.csv", content), &[]);
        bad(data, &moves.iter().map(String::as_str).collect::<Vec<_>>(), says);
    };
    wrong("from\nA 1\n", "line 1: the head must name the columns 'from' and 'to'");
    wrong("from,to\nA 1,C 1\n", "line 2: there is no seat 'C 1' in the plan");
    wrong("from,to\nA 1,B 1\n\nA 1,B 2\n", "line 4: seat 'A 1' is moved in line 2 already");
    wrong("from,to\nA 1,B 1\nA 2,B 1\n", "line 3: another seat is moved onto 'B 1' in line 2 already");
    wrong("from,to\nA 1,Box\n", "line 2: seat 'Box' is sold by another category than 'A 1'");
    wrong("from,to\nB 1,B 2\nA 1,A 2\n", "line 3: seat 'A 2' is sold or reserved");

    // What it would do; then nobody can buy meanwhile, and it is done.
    let moves = file("moves.csv", "from,to\nA 1,B 2\nA 2,B 1\n");
    let words = change(&moves, &["--dry-run"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let tried = good(data, &words);
    assert_eq!((&tried["seats_moved"], &tried["seats_empty"]), (&2.into(), &0.into()), "{tried}");
    let said = text(data, &words);
    assert!(said.contains("2 seats that people have are moved") && said.contains("Nothing was changed."), "{said}");
    let words = change(&moves, &[]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    bad(data, &words, "is on sale: take it off sale before its seats are moved");
    good(data, "issuer hall restock 1 0");
    assert_eq!(good(data, &words)["seats_moved"], 2);
    bad(data, &words, "nothing would change");
    // The seats that are left are not sold any more.
    bad(data, "issuer hall restock 1 3", "has 2 numbered seats");
    good(data, "issuer hall restock 1 2");

    let told = || good(data, "issuer hall changes")["changes"][0]["told"].as_u64() == Some(1);
    assert!((0..TRIES).any(|_| told()), "nobody is told");
    good(data, "wallet alice update");
    let shown = text(data, "wallet alice changes");
    assert!(shown.lines().any(|line| line.contains("was: Concert, Stalls") && line.ends_with("seat A 1")), "{shown}");
    assert!(shown.lines().any(|line| line.contains("now: Concert, Stalls") && line.ends_with("seat B 2")), "{shown}");
    let changes = good(data, "wallet alice changes");
    let one = &changes["changes"][0];
    assert_eq!((&one["seat_before"], &one["seat_after"]), (&"A 1".into(), &"B 2".into()), "{one}");
    let card = one["ticket"].as_str().unwrap().to_owned();
    assert_eq!(good(data, &["wallet", "alice", "accept", &card])["stands"], "Taken");
    let shown = text(data, "wallet alice tickets");
    assert!(shown.contains("B 2") && !shown.contains("A 1"), "{shown}");
}
