//! Seats moved by a change of their event, as people type it: from a file whose wrong lines are named, and read by their holder.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed;
use crate::typed::{Running, bad, good, run, text};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

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

/// One message of HTTP, with its body.
fn message(from: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut byte = [0];
    while !all.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).unwrap();
        all.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&all).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).map(|length| length.trim().parse());
    let mut body = vec![0; length.transpose().unwrap().unwrap_or(0)];
    from.read_exact(&mut body).unwrap();
    all.extend(body);
    all
}

/// A line to the provider that is cut at the request of this number, from 1; from then on it is dead.
fn line_cut(provider: &str, at: usize) -> String {
    let (provider, listener) = (provider.to_owned(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (_, taken) in (1..at).zip(listener.incoming()) {
            let (mut taken, mut to) = (taken.unwrap(), TcpStream::connect(&provider).unwrap());
            to.write_all(&message(&mut taken)).unwrap();
            let answer = message(&mut to);
            let first = answer.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            // One request a connection, so that they are counted.
            taken.write_all(&[&answer[..first], b"connection: close\r\n", &answer[first..]].concat()).unwrap();
        }
    });
    url
}

#[test]
fn a_promoter_that_is_cut_off_says_the_same_again_and_all_seats_are_moved_or_the_event_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let provider = Running::start(data, "provider run");
    let token = good(data, "provider invite issuer Hall")["token"].as_str().unwrap().to_owned();
    good(data, &["issuer", "hall", "join", &token]);
    let file = |name: &str, content: &str| {
        let path = data.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plan = "seat,category\nA 1,Stalls\nA 2,Stalls\nBox,Balcony\nB 1,Stalls\nB 2,Stalls\nBox 2,Balcony\n";
    let seats = file("seats.csv", plan);
    let plan = ["plan", "Concert", "--place", "Town hall", "--category", "Stalls=45.00", "--category", "Balcony=30.00"];
    let open = ["--from", "2099-12-24 19:00", "--seats", &seats];
    good(data, &[&["issuer", "hall", "event"], &plan[..], &open[..]].concat());
    good(data, &["issuer", "hall", "event", "numbers", "Concert", "Stalls", "--seats", "A 1"]);
    good(data, "issuer hall restock 1 0");
    good(data, "issuer hall restock 2 0");
    // Cut off at each request in turn, it comes further each time: nobody has the seats A 2 and Box, and the balcony's turn is last.
    let moves = file("moves.csv", "from,to\nA 1,B 2\nA 2,B 1\nBox,Box 2\n");
    let change = |moves: &'static str, more: &[&'static str]| -> Vec<String> {
        let words =
            ["issuer", "hall", "change", "Concert", "--text", "The stage grows", "--silence", "accepts", "--seats"];
        let file = data.join(moves).to_str().unwrap().to_owned();
        let words = words.into_iter().map(str::to_owned).chain([file]);
        words.chain(more.iter().map(|word| (*word).to_owned())).collect()
    };
    let words = change("moves.csv", &[]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert!(words.contains(&moves.as_str()));
    let cut = |words: &[&str], at: usize| {
        let line = line_cut(&provider.address, at);
        run(data, &[words, &["--provider", line.as_str()][..]].concat())
    };
    let (at, output) = (1..20).map(|at| (at, cut(&words, at))).find(|(_, output)| output.status.success()).unwrap();
    assert!(at > 4, "a report, and a listing and a change for each category: through at {at}");
    let done = typed::json(&output);
    assert_eq!(done["finished"][0]["text"], "The stage grows", "{done}");
    let changes = good(data, "issuer hall changes");
    let moved = |changes: &serde_json::Value| -> Vec<u64> {
        let rows = changes["changes"].as_array().unwrap().iter();
        rows.map(|row| row["seats_moved"].as_u64().unwrap()).collect()
    };
    let mut counts = moved(&changes);
    counts.sort_unstable();
    assert_eq!((counts, &changes["cut_off"]), (vec![1, 2], &0.into()), "{changes}");
    bad(data, &words, "nothing would change");

    // There, and back again by the same file: only where that is said, and once.
    file("swap.csv", "from,to\nB 1,B 2\nB 2,B 1\n");
    for (more, refused) in [(vec![], "say --again 2"), (vec!["--again", "2"], "say --again 3")] {
        let words = change("swap.csv", &more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(good(data, &words)["seats_moved"], 1);
        bad(data, &words, refused);
    }
    assert_eq!(moved(&good(data, "issuer hall changes")).len(), 4);

    // A dry run finishes nothing, and says so; the cancellation finishes the change first.
    let words = change("moves.csv", &["--again", "4"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    file("moves.csv", "from,to\nB 2,A 2\nB 1,A 1\n");
    assert!(!cut(&words, 2).status.success());
    assert_eq!(good(data, "issuer hall changes")["cut_off"], 1);
    bad(data, "issuer hall cancel Concert --dry-run", "1 changes of 'Concert' were cut off");
    // A report, the plan, a listing, and the change; then a report, and the first of what cancels.
    assert!(!cut(&["issuer", "hall", "cancel", "Concert"], 4).status.success());
    assert!(!cut(&["issuer", "hall", "cancel", "Concert"], 6).status.success());
    bad(data, &words, "a cancellation of 'Concert' was cut off");
    let over = good(data, "issuer hall cancel Concert");
    assert!(over["finished"].as_array().is_some_and(|finished| !finished.is_empty()), "{over}");
    let changes = good(data, "issuer hall changes");
    let cancels = changes["changes"].as_array().unwrap().iter().filter(|row| row["cancels"] == true).count();
    assert_eq!((cancels, &changes["cut_off"]), (2, &0.into()), "{changes}");
    bad(data, "issuer hall cancel Concert", "is cancelled already");
}
