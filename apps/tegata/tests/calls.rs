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
struct Running(Child, Value);

impl Running {
    fn start(data: &Path, words: &[&str]) -> Self {
        let mut child = command(data, &[&["--json"], words].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut line, mut out): (String, BufReader<ChildStdout>) =
            (String::new(), BufReader::new(child.stdout.take().unwrap()));
        out.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        assert!(said.get("listening").is_some(), "{line}");
        Self(child, said)
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
