//! Calls as people type it: telephone cards ordered, prices set, a switch joined and opened; and a whole day of calls.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

fn command(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tegata"));
    command.arg("--data").arg(data).env("TEGATA_CODE", "1234").env("COLUMNS", "200").stdin(Stdio::null());
    command.args(words);
    command
}

fn tegata(data: &Path, words: &[&str]) -> Output {
    command(data, words).output().unwrap()
}

fn good(data: &Path, words: &[&str]) -> Value {
    let output = tegata(data, &[&["--json"], words].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn bad(data: &Path, words: &[&str], says: &str) {
    let output = tegata(data, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(says), "{words:?}: {said}");
}

/// A part that runs until it is dropped, and says where on its first line.
struct Running(Child, Value, BufReader<ChildStdout>);

impl Running {
    fn start(data: &Path, words: &[&str]) -> Self {
        let mut child = command(data, &[&["--json"], words].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut line, mut out): (String, BufReader<ChildStdout>) =
            (String::new(), BufReader::new(child.stdout.take().unwrap()));
        out.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        assert!(said.get("listening").is_some(), "{line}");
        Self(child, said, out)
    }
}

impl Running {
    /// Its last line, once it has ended by itself.
    fn ends(mut self) -> Value {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.2, &mut said).unwrap();
        assert!(self.0.wait().unwrap().success(), "{said}");
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }
    fn address(&self) -> &str {
        self.1["listening"].as_str().unwrap()
    }
}

impl Drop for Running {
    /// SIGKILL: nothing is finished.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn token(data: &Path, role: &str, name: &str, owner: &[&str]) -> String {
    good(data, &[&["provider", "invite", role, name], owner].concat())["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_day_of_calls_costs_to_the_cent_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let played = good(folder.path(), &["replay", "calls", "--calls", "400", "--phones", "30", "--seed", "5"]);
    let figure = |name: &str| played[name].as_u64().unwrap();
    assert_eq!((figure("calls"), figure("mispriced"), figure("unexplained")), (400, 0, 0), "{played}");
    assert!(figure("max_units_at_risk") <= 1 && figure("connected") > 200 && figure("cut") > 3, "{played}");
    assert!(figure("vanished") > 3 && figure("unanswered") > 10, "{played}");
    assert_eq!(figure("lost_cents"), figure("owed_cents"), "{played}");
}

#[test]
fn a_switch_is_set_up_by_its_operator() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _provider = Running::start(&data, &["provider", "run", "--listen", "127.0.0.1:0"]);
    let issuer = token(&data, "issuer", "Calls Inc", &[]);
    good(&data, &["issuer", "calls", "join", &issuer]);
    let merchant = token(&data, "merchant", "Exchange", &[]);
    let operator = good(&data, &["merchant", "exchange", "join", &merchant])["id"].as_str().unwrap().to_owned();
    let switch = token(&data, "switch", "exchange", &["--owner", &operator]);
    good(&data, &["switch", "exchange", "join", &switch]);
    bad(&data, &["switch", "exchange", "run", "--listen", "127.0.0.1:0"], "knows no tariff yet");

    // Another machine knows from the code where the provider is, and remembers it.
    let (machine, invited) =
        (folder.path().join("machine"), good(&data, &["provider", "invite", "gate", "north", "--owner", &operator]));
    bad(
        &machine,
        &["gate", "north", "join", invited["token"].as_str().unwrap()],
        "no provider runs on this data folder",
    );
    let scanned = invited["to_scan"].as_str().unwrap();
    assert_eq!(good(&machine, &["gate", "north", "join", scanned])["role"], "Gate");
    good(&machine, &["gate", "north", "update"]);

    // What calls cost; what is wrong is named with its line, and nothing is set.
    let rates = folder.path().join("rates.csv");
    let file = rates.to_str().unwrap();
    std::fs::write(&rates, "prefix,setup,price,seconds\n49,0.05,twelve,60\n").unwrap();
    bad(&data, &["issuer", "calls", "tariff", file], "line 2: 'twelve' is no amount in USD");
    std::fs::write(&rates, "prefix,setup,price,seconds\n49,0.05,0.12,60\n49,0.05,0.10,60\n").unwrap();
    bad(&data, &["issuer", "calls", "tariff", file], "two rates for '49' hold at the same time");
    std::fs::write(&rates, "prefix,when,setup,price,seconds\n49,,0.05,0.12,60\n49,Sat-Sun 00:00-24:00,0.05,0.06,60\n")
        .unwrap();
    assert_eq!(good(&data, &["issuer", "calls", "tariff", file])["rates"], 3);
    assert_eq!(good(&data, &["issuer", "calls", "tariff", file])["tariff"], 1, "the same again changes nothing");
    let shown = good(&data, &["issuer", "calls", "tariff"]);
    assert_eq!(
        (&shown["rates"][1]["when"], &shown["rates"][1]["price"]),
        (&"Sat 00:00-24:00".into(), &6.into()),
        "{shown}"
    );
    good(&data, &["issuer", "calls", "order", "--telephone", "--count", "2", "--face", "10.00"]);

    good(&data, &["switch", "exchange", "update"]);
    let status = good(&data, &["switch", "exchange", "status"]);
    assert_eq!((&status["cards"], &status["tariffs"][0]["rates"]), (&1.into(), &3.into()), "{status}");
    let password = good(&data, &["switch", "exchange", "phone", "+49 30 100"])["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 24);
    assert_eq!(good(&data, &["switch", "exchange", "phones"])["phones"][0], "+4930100");
    bad(&data, &["switch", "exchange", "run", "--listen", "127.0.0.1:0", "--trunk", "carrier"], "is no trunk");
    let carrier = "carrier=127.0.0.1:5999/49";
    let run = ["switch", "exchange", "run", "--listen", "127.0.0.1:0", "--update-every", "0", "--trunk", carrier];
    bad(&data, &[&run[..], &["--operator", "other=party-1"]].concat(), "there is no trunk 'other'");
    bad(&data, &[&run[..], &["--operator", "carrier=Exchange"]].concat(), "names no operator");
    let paid = format!("carrier={operator}");
    let running = Running::start(&data, &[&run[..], &["--operator", &paid]].concat());
    assert!(running.1["listening"].as_str().unwrap().starts_with("127.0.0.1:"));
    drop(running);
    assert_eq!(good(&data, &["switch", "exchange", "calls"])["calls"].as_array().map(Vec::len), Some(0));
    assert_eq!(good(&data, &["switch", "exchange", "calls", "--by-trunk"])["trunks"].as_array().map(Vec::len), Some(0));
    assert_eq!(good(&data, &["provider", "trunks"])["trunks"].as_array().map(Vec::len), Some(0));
    good(&data, &["switch", "exchange", "phone", "+4930100", "--remove"]);
    assert_eq!(good(&data, &["audit"])["clean"], true);
}

/// Two wallets with a phone each, at a switch that connects them; alice has a card that lasts for ten units of 0.3 seconds.
struct House {
    data: std::path::PathBuf,
    _provider: Running,
    switch: Running,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let provider = Running::start(&data, &["provider", "run", "--listen", "127.0.0.1:0"]);
        good(&data, &["issuer", "calls", "join", &token(&data, "issuer", "Calls Inc", &[])]);
        let merchant = token(&data, "merchant", "Exchange", &[]);
        let operator = good(&data, &["merchant", "exchange", "join", &merchant])["id"].as_str().unwrap().to_owned();
        let rates = folder.path().join("rates.csv");
        std::fs::write(&rates, "prefix,setup,price,seconds\n030,0.02,0.05,0.3\n").unwrap();
        good(&data, &["issuer", "calls", "tariff", rates.to_str().unwrap()]);
        let ordered = good(&data, &["issuer", "calls", "order", "--telephone", "--count", "1", "--face", "0.52"]);
        let batch = ordered["batch"].to_string();
        good(&data, &["issuer", "calls", "activate", &batch, "1"]);
        let printed = good(&data, &["issuer", "calls", "print", &batch]);
        let number = printed["numbers"][0]["number"].as_str().unwrap().to_owned();
        good(&data, &["switch", "exchange", "join", &token(&data, "switch", "exchange", &["--owner", &operator])]);
        for (name, phone) in [("alice", "0300"), ("bob", "0301")] {
            good(&data, &["wallet", name, "join", &token(&data, "wallet", "", &[])]);
            let password =
                good(&data, &["switch", "exchange", "phone", phone])["password"].as_str().unwrap().to_owned();
            good(&data, &["wallet", name, "phone", phone, "--password", &password, "--at", "exchange"]);
        }
        good(&data, &["wallet", "alice", "install", &number]);
        let switch =
            Running::start(&data, &["switch", "exchange", "run", "--listen", "127.0.0.1:0", "--update-every", "0"]);
        Self { data, _provider: provider, switch, _folder: folder }
    }
}

#[test]
fn nobody_is_called_who_is_not_there_or_was_not_agreed_to() {
    let house = House::new();
    let data = house.data.as_path();
    assert_eq!(good(data, &["wallet", "alice", "phone"])["phone"], "0300");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(data.join("wallets/alice/phone.csv")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o077, 0, "a password is nobody else's");

    // Nobody is asked where nobody can answer; nothing is called, and nothing paid.
    bad(data, &["wallet", "alice", "call", "0301"], "nobody can be called under that number");
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    bad(data, &["wallet", "alice", "call", "0301"], "the user declined");
    drop(bob);
}

#[test]
fn a_wallet_calls_another_until_the_card_ends() {
    let house = House::new();
    let data = house.data.as_path();
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    let called = good(data, &["wallet", "alice", "call", "0301", "--yes", "--seconds", "1"]);
    assert_eq!((&called["ended"], &called["answered"]), (&"HungUp".into(), &true.into()), "{called}");
    let cents = |field: &str| (called[field].as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as u64;
    let (paid, used, back) = (cents("paid"), cents("used"), cents("returned"));
    assert!(paid == used + back && (22..=27).contains(&used), "{called}");
    let taken = bob.ends();
    assert_eq!((&taken["from"], &taken["answered"]), (&"0300".into(), &true.into()), "{taken}");

    // The card ends the next call.
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    let called = good(data, &["wallet", "alice", "call", "0301", "--yes"]);
    assert_eq!((&called["ended"], &called["returned"]), (&"PaidTimeOver".into(), &"0.00".into()), "{called}");
    assert_eq!(called["said"], "What was paid for is over");
    let left = called["remaining"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(left < 0.07, "{called}");
    bob.ends();
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    bad(data, &["wallet", "alice", "call", "0301", "--yes"], "the card holds too little");
    drop(bob);

    let calls = good(data, &["wallet", "alice", "calls"])["calls"].clone();
    let ends: Vec<&str> = calls.as_array().unwrap().iter().map(|call| call["ended"].as_str().unwrap()).collect();
    assert_eq!(ends, ["HungUp", "PaidTimeOver"]);

    // A switch that is closed is said, and a number that it does not know.
    let at = house.switch.address().to_owned();
    drop(house.switch);
    bad(data, &["wallet", "alice", "call", "0301", "--yes"], "connects no calls at the moment");
    bad(data, &["wallet", "alice", "call", "0301", "--yes", "--at", &at], "the switch cannot be reached");
    for words in [["switch", "exchange", "update"], ["wallet", "alice", "update"], ["wallet", "alice", "update"]] {
        good(data, &words);
    }
    let recorded = good(data, &["switch", "exchange", "calls"])["calls"].clone();
    let recorded: u64 = recorded.as_array().unwrap().iter().map(|call| call["used"].as_u64().unwrap()).sum();
    let cards = good(data, &["wallet", "alice", "cards"])["cards"].clone();
    let left = (cards[0]["remaining"].as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as u64;
    assert_eq!(recorded + left, 52, "what is gone from the card is what the switch is owed");
    assert_eq!(good(data, &["audit"])["clean"], true);
}

#[test]
fn a_wallet_without_a_number_or_with_a_wrong_password_is_told_what_to_do() {
    let house = House::new();
    let data = house.data.as_path();
    good(data, &["wallet", "carol", "join", &token(data, "wallet", "", &[])]);
    bad(data, &["wallet", "carol", "answer"], "this wallet has no phone number yet");
    bad(data, &["wallet", "carol", "phone", "0302"], "the password that the switch's operator gave");
    good(data, &["wallet", "carol", "phone", "0302", "--password", "guess", "--at", "exchange"]);
    bad(data, &["wallet", "carol", "answer"], "The number or its password is wrong");
    bad(data, &["wallet", "carol", "call", "0301"], "this wallet holds no telephone card yet");
    bad(data, &["wallet", "carol", "answer", "--at", "nowhere"], "there is no switch 'nowhere' on this data folder");
    bad(data, &["wallet", "nobody", "answer"], "there is no wallet 'nobody' here yet");
}
