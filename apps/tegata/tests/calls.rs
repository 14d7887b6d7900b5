//! Calls as people type it: telephone cards ordered, prices set, a switch joined and opened; and a whole day of calls.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::support;
use crate::typed::{Running, bad, good, json, run, tegata, token};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_day_of_calls_costs_to_the_cent_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let played = good(folder.path(), &["replay", "calls", "--calls", "400", "--phones", "30", "--seed", "5"]);
    let figure = |name: &str| played[name].as_u64().unwrap();
    assert_eq!((figure("calls"), figure("mispriced"), figure("unexplained")), (400, 0, 0), "{played}");
    // Neither side: callers pay one unit ahead, and more than that only as the agreed least.
    assert!(figure("max_units_at_risk") <= 1 && figure("connected") > 200 && figure("cut") > 3, "{played}");
    assert_eq!(
        figure("max_units_paid_ahead").max(figure("max_units_served_ahead")),
        figure("max_units_at_risk"),
        "{played}"
    );
    // Links are on their way for longer than a unit: what is at risk is that, and calls that vanished count.
    let (most, way) = (figure("max_ms_served_ahead_by_links"), figure("longest_way_and_back_ms"));
    assert!(figure("paid_by_links") > 3 && most > 0 && most <= way.max(500), "{played}");
    assert_eq!(figure("beyond_a_unit_and_the_way"), 0, "{played}");
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
    bad(&data, &["provider", "invite", "switch", "other"], "--owner party-");

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
    bad(&data, &["issuer", "calls", "tariff", "no.csv"], "no.csv cannot be read");
    bad(
        &data,
        &["issuer", "calls", "sell", "1", "--telephone", "--face", "5", "--currency", "units"],
        "sold for a price in money",
    );
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
    let of = |unit| good(&data, &["issuer", "calls", "tariff", "--unit", unit])["rates"].as_array().map(Vec::len);
    assert_eq!((of("USD"), of("EUR")), (Some(3), Some(0)));
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
    bad(&data, &[&run[..], &["--trunk", "carrier=127.0.0.1:5998/1"]].concat(), "two trunks are called 'carrier'");
    bad(&data, &[&run[..], &["--operator", "other=party-1"]].concat(), "there is no trunk 'other'");
    bad(&data, &[&run[..], &["--operator", "carrier=Exchange"]].concat(), "names no operator");
    let paid = format!("carrier={operator}");
    let running = Running::start(&data, &[&run[..], &["--operator", &paid]].concat());
    assert!(running.address.starts_with("127.0.0.1:"));
    assert_eq!(running.said["emergency"], serde_json::json!(["112", "911"]));
    assert_eq!(running.said["relay"], "127.0.0.1", "callers hear that their time ends");
    assert!(running.said["relayed_at_once"].as_u64().unwrap() > 0, "{}", running.said);
    drop(running);
    let silent = Running::start(&data, &[&run[..], &["--end-to-end"]].concat());
    assert!(silent.said["relay"].is_null());
    assert_eq!(silent.said["relayed_at_once"], 0);
    drop(silent);
    let nowhere = ["switch", "exchange", "run", "--listen", "0.0.0.0:0", "--announcement", "none"];
    bad(&data, &nowhere, "name an address of it (--relay)");
    assert_eq!(good(&data, &["switch", "exchange", "calls"])["calls"].as_array().map(Vec::len), Some(0));
    assert_eq!(good(&data, &["switch", "exchange", "calls", "--by-trunk"])["trunks"].as_array().map(Vec::len), Some(0));
    assert_eq!(good(&data, &["provider", "trunks"])["trunks"].as_array().map(Vec::len), Some(0));
    good(&data, &["switch", "exchange", "phone", "+4930100", "--remove"]);
    assert_eq!(good(&data, &["audit"])["clean"], true);
}

/// Two wallets with a phone each, at a switch that connects them; alice has a card that lasts for ten units of 0.3 seconds.
struct House {
    data: std::path::PathBuf,
    /// A second card, in nobody's wallet.
    number: String,
    operator: String,
    exchange: String,
    _provider: Running,
    switch: Running,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self::open(&["--update-every", "0"])
    }
    /// With a switch that is run so.
    fn open(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let provider = Running::start(&data, &["provider", "run", "--listen", "127.0.0.1:0"]);
        good(&data, &["issuer", "calls", "join", &token(&data, "issuer", "Calls Inc", &[])]);
        let merchant = token(&data, "merchant", "Exchange", &[]);
        let operator = good(&data, &["merchant", "exchange", "join", &merchant])["id"].as_str().unwrap().to_owned();
        let rates = folder.path().join("rates.csv");
        std::fs::write(&rates, "prefix,setup,price,seconds\n030,0.02,0.05,0.3\n0021,0.00,0.05,0.3\n").unwrap();
        good(&data, &["issuer", "calls", "tariff", rates.to_str().unwrap()]);
        let ordered = good(&data, &["issuer", "calls", "order", "--telephone", "--count", "2", "--face", "0.52"]);
        let batch = ordered["batch"].to_string();
        good(&data, &["issuer", "calls", "activate", &batch, "1", "2"]);
        let printed = good(&data, &["issuer", "calls", "print", &batch]);
        let [first, number] = [0, 1].map(|at| printed["numbers"][at]["number"].as_str().unwrap().to_owned());
        let switch = token(&data, "switch", "exchange", &["--owner", &operator]);
        let exchange = good(&data, &["switch", "exchange", "join", &switch])["id"].as_str().unwrap().to_owned();
        for (name, phone) in [("alice", "0300"), ("bob", "0301")] {
            good(&data, &["wallet", name, "join", &token(&data, "wallet", "", &[])]);
            let password =
                good(&data, &["switch", "exchange", "phone", phone])["password"].as_str().unwrap().to_owned();
            good(&data, &["wallet", name, "phone", phone, "--password", &password, "--at", "exchange"]);
        }
        good(&data, &["wallet", "alice", "install", &first]);
        let run = ["switch", "exchange", "run", "--listen", "127.0.0.1:0"];
        let switch = Running::start(&data, &[&run[..], more].concat());
        Self { data, number, operator, exchange, _provider: provider, switch, _folder: folder }
    }
}

#[test]
fn nobody_is_called_who_is_not_there_or_was_not_agreed_to() {
    let house = House::new();
    let data = house.data.as_path();
    assert_eq!(good(data, &["wallet", "alice", "phone"])["phone"], "0300");
    assert_eq!(house.switch.said["emergency"].as_array().map(Vec::len), Some(0), "nobody is helped without a trunk");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(data.join("wallets/alice/phone.csv")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o077, 0, "a password is nobody else's");

    // Nobody is asked where nobody can answer; nothing is called, and nothing paid.
    bad(data, &["wallet", "alice", "call", "0301"], "off or away at the moment");
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    bad(data, &["wallet", "alice", "call", "0301"], "the user declined. Without a terminal, say --yes");
    drop(bob);
}

#[test]
fn a_card_that_is_blocked_is_not_chosen_where_another_pays() {
    let house = House::new();
    let data = house.data.as_path();
    let call = ["wallet", "alice", "call", "0301", "--yes", "--seconds", "1"];
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    good(data, &call);
    bob.ends();
    // The one that is blocked holds more.
    let installed = good(data, &["wallet", "alice", "install", &house.number]);
    good(data, &["provider", "block", installed["installed"].as_str().unwrap()]);
    good(data, &["wallet", "alice", "update"]);
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    let called = good(data, &call);
    assert!(called["answered"] == true, "{called}");
    bob.ends();
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
    let at = house.switch.address.clone();
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
    // Nothing is settled yet: the issuer sees what stands so far, and where calls are.
    let stands = tegata(data).args(["issuer", "calls", "statement", "--csv"]).output().unwrap();
    let (stands, said) = (String::from_utf8(stands.stdout).unwrap(), String::from_utf8(stands.stderr).unwrap());
    let payable = format!(",open,,,,payable,USD,0.{recorded:02},");
    assert!(stands.lines().any(|row| row.starts_with("book,") && row.contains(&payable)), "{stands}");
    assert!(said.contains("Calls are in no issuer's statement"), "{said}");
    assert_eq!(good(data, &["audit"])["clean"], true);
}

/// Nobody who stops a switch has to think of its records; where the provider is away, it says what to do.
#[test]
fn a_switch_that_is_closed_brings_its_records_up() {
    let house = House::open(&["--update-every", "3600"]);
    let data = house.data.as_path();
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    good(data, &["wallet", "alice", "call", "0301", "--yes", "--seconds", "1"]);
    bob.ends();
    assert_eq!(good(data, &["switch", "exchange", "status"])["waiting"], 1);
    let closed = house.switch.close();
    assert_eq!((&closed["ended"], &closed["cut"], &closed["waiting"]), (&1.into(), &0.into(), &0.into()), "{closed}");
    assert_eq!(good(data, &["switch", "exchange", "status"])["waiting"], 0);

    let run = ["switch", "exchange", "run", "--listen", "127.0.0.1:0", "--update-every", "3600"];
    let switch = Running::start(data, &run);
    let bob = Running::start(data, &["wallet", "bob", "answer"]);
    good(data, &["wallet", "alice", "call", "0301", "--yes", "--seconds", "1"]);
    bob.ends();
    drop(house._provider);
    let closed = switch.close();
    assert_eq!(closed["waiting"], 1, "{closed}");
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

/// Flow 21, all of it: the provider gives the number, the switch learns whom it stands for, a phone rings, and nobody sees the other's.
#[test]
fn a_customer_and_a_merchant_call_each_other_by_numbers_that_ring_once() {
    let house = House::open(&["--update-every", "1"]);
    let data = house.data.as_path();
    // Alice has paid at the exchange's till; bob sits at its telephone.
    good(data, &["terminal", "till", "join", &token(data, "terminal", "till", &["--owner", &house.operator])]);
    let ordered = good(data, &["issuer", "calls", "order", "--count", "1", "--face", "5.00"])["batch"].to_string();
    good(data, &["issuer", "calls", "activate", &ordered, "1"]);
    let printed = good(data, &["issuer", "calls", "print", &ordered]);
    good(data, &["wallet", "alice", "install", printed["numbers"][0]["number"].as_str().unwrap()]);
    good(data, &["wallet", "bob", "install", &house.number]);
    good(data, "terminal till update");
    let waiting = tegata(data).args(["terminal", "till", "charge", "1.00"]).stdout(Stdio::piped()).spawn().unwrap();
    while !data.join("terminals/till/address").exists() {
        std::thread::yield_now();
    }
    good(data, "wallet alice pay till --yes");
    assert!(waiting.wait_with_output().unwrap().status.success());
    good(data, "terminal till update");
    good(data, "wallet alice update");
    let paid = good(data, "wallet alice payments");
    let receipt = paid["payments"][0]["receipt_number"].as_str().unwrap();
    let switch = &house.exchange;
    // Whoever paid by card is reached by the receipt, once it has written about it; until then both are told who does what first.
    bad(data, &["terminal", "till", "call-number", receipt], "must first write about it (tegata wallet NAME write");
    bad(data, &["wallet", "alice", "call-number", receipt], "(tegata terminal NAME called-at PHONE --switch SWITCH)");
    good(data, &["wallet", "alice", "write", receipt, "Is my bag there?"]);
    bad(data, &["terminal", "till", "call-number", receipt], "say where to call");
    good(data, &["wallet", "alice", "called-at", "0300", "--switch", switch]);
    good(data, &["terminal", "till", "called-at", "0301", "--switch", switch]);

    let asked = [("wallet", "alice", "alice", "bob"), ("terminal", "till", "bob", "alice")];
    for (part, name, caller, callee) in asked {
        let given = good(data, &[part, name, "call-number", receipt]);
        let number = given["number"].as_str().unwrap();
        let answers = Running::start(data, &["wallet", callee, "answer"]);
        // Until the switch has heard of it, the number leads nowhere.
        let until = Instant::now() + Duration::from_secs(20);
        let called = loop {
            let call = run(data, &["wallet", caller, "call", number, "--yes", "--seconds", "1"]);
            if call.status.success() {
                break json(&call);
            }
            let said = String::from_utf8_lossy(&call.stderr).into_owned();
            assert!(said.contains("nobody can be called under that number") && Instant::now() < until, "{said}");
        };
        assert_eq!((&called["ended"], &called["answered"]), (&"HungUp".into(), &true.into()), "{called}");
        let taken = answers.ends();
        assert!(taken["answered"] == true && taken["from"].is_null(), "{taken}");
        for (seen, phone) in [(&called, ["0300", "0301"]), (&taken, ["0300", "0301"])] {
            assert!(!phone.iter().any(|phone| seen.to_string().contains(&format!("\"{phone}\""))), "{seen}");
        }
        // It rings once.
        let answers = Running::start(data, &["wallet", callee, "answer"]);
        bad(data, &["wallet", caller, "call", number, "--yes"], "nobody can be called under that number");
        drop(answers);
    }
}

/// Whoever needs help has no card, and no number at any switch; the records of one that connects calls can be read meanwhile.
#[test]
fn a_call_for_help_needs_neither_a_card_nor_a_number() {
    if support::sipp_is_missing() {
        return;
    }
    let port = support::free_port();
    let trunk = format!("carrier=127.0.0.1:{port}/99");
    let numbers = ["--emergency", "112", "--emergency", "110"];
    let house = House::open(&[&["--update-every", "0", "--trunk", &trunk], &numbers[..]].concat());
    let data = house.data.as_path();
    let helper = support::Start { port, ..support::Start::default() }.run();
    good(data, &["wallet", "carol", "join", &token(data, "wallet", "", &[])]);
    bad(data, "wallet carol call 112", "name the switch");
    let called = good(data, "wallet carol call 112 --at exchange --seconds 1");
    assert!(called["answered"] == true && called["emergency"] == true, "{called}");
    tokio::runtime::Runtime::new().unwrap().block_on(helper.succeeds());
    // Which numbers are for help the switch knows, and however they are written.
    let helper = support::Start { port, ..support::Start::default() }.run();
    let called = good(data, "wallet carol call 1-1-0 --at exchange --seconds 1");
    assert!(called["answered"] == true && called["emergency"] == true, "{called}");
    tokio::runtime::Runtime::new().unwrap().block_on(helper.succeeds());
    bad(data, "wallet carol call 111 --at exchange --yes", "carol");
    assert_eq!(good(data, "switch exchange calls")["calls"].as_array().map(Vec::len), Some(0), "it costs nothing");
    assert_eq!(good(data, "switch exchange status")["tariffs"].as_array().map(Vec::len), Some(1));
    // A phone of this switch that is off is no wrong number.
    bad(data, "wallet alice call 0301 --yes", "off or away at the moment");
}
