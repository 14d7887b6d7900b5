//! Settlement as people do it: real processes, real files for the bank and from it, SIGKILL in between.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed::{Running, bad, good, tegata, text};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use tegata_core::{Amount, Unit};
use tegata_iso20022::camt053::{Balance, Detail, Entry, Reason, Return, Side, Statement, StatementHead};
use tegata_iso20022::pain001::{Batch, Transfer};
use tegata_iso20022::value::Text;

const OURS: &str = "DE89370400440532013000";
const CAFES: &str = "GB82WEST12345698765432";
const KIOSKS: &str = "NO9386011117947";

fn pay(data: &Path, terminal: &str, amount: &str) {
    let address = data.join("terminals").join(terminal).join("address");
    let mut command = tegata(data);
    let waiting = command
        .args(["terminal", terminal, "charge", amount])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !address.exists() {
        std::thread::yield_now();
    }
    good(data, &format!("wallet alice pay {terminal} --yes"));
    assert!(waiting.wait_with_output().unwrap().status.success());
}

/// The bank's answer to orders, written to a file: paid, and (with a reason) given back.
fn camt(data: &Path, number: u64, batch: &Batch, back: Option<&str>) -> String {
    let word = |text: &str| Text::new("text", text).unwrap();
    let day = batch.head().execution;
    let entry = |reference: String, side, transfer: &Transfer, returned| {
        let end_to_end = Some(Text::new("text", transfer.end_to_end.as_str()).unwrap());
        let detail = Detail { end_to_end, amount: transfer.amount, side, counterparty: None, returned };
        Entry::of_one(Text::new("text", &reference).unwrap(), day, detail)
    };
    let mut entries = Vec::new();
    for (at, transfer) in batch.transfers().iter().enumerate() {
        entries.push(entry(format!("D{number}-{at}"), Side::Debit, transfer, None));
        if let Some(code) = back {
            let why = Return { reason: Some(Reason::Code(Text::new("code", code).unwrap())), text: None };
            entries.push(entry(format!("C{number}-{at}"), Side::Credit, transfer, Some(why)));
        }
    }
    let amount = Amount::new(Unit::USD, 100_000).unwrap();
    let head = StatementHead {
        message: word("camt"),
        id: word(&format!("S{number}")),
        sequence: number,
        created: batch.head().created,
        account: batch.head().debtor.account.clone(),
        opening: Balance { amount, side: Side::Credit, date: day },
    };
    let written = Statement::new(head, day, entries).unwrap().write();
    Statement::read(&written, &batch.head().debtor.account).unwrap();
    let path = data.join(format!("bank-{number}.camt053.xml"));
    std::fs::write(&path, written).unwrap();
    path.display().to_string()
}

/// Rows of CSV without quoted cells, by the head's names.
fn rows(csv: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    assert!(csv.ends_with("\r\n") && !csv.contains('"'), "{csv:?}");
    let mut lines = csv.split("\r\n").filter(|line| !line.is_empty());
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), head.len(), "{line}");
        head.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect()
    };
    lines.map(row).collect()
}

#[test]
fn a_day_is_settled_paid_by_the_bank_and_reconciled() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    good(data, "town --once");
    let running = Running::start(data, "provider run");
    let id =
        |merchant: &str| good(data, &format!("merchant {merchant} statement"))["merchant"].as_str().unwrap().to_owned();
    let (cafe, kiosk) = (id("cafe"), id("kiosk"));

    // The kiosk pays 1.5 percent and 0.10; it has no bank details yet.
    bad(data, &format!("provider contract {kiosk} --percent 101"), "no percentage");
    bad(data, "provider contract party-0 --percent 1", "party's id");
    let made = good(data, &format!("provider contract {kiosk} --percent 1.50 --fixed 10"));
    assert_eq!(made["contracts"].as_array().unwrap().len(), 2, "on cards and on credit");
    assert!(text(data, "provider contracts").contains("1.5000"));
    pay(data, "kiosk", "10.00");
    good(data, "terminal kiosk update");
    let settled = good(data, "provider settle");
    let period = settled["period"].as_u64().unwrap();
    assert_eq!(settled["payouts"][0]["amount"], "9.75");
    let owed = rows(&text(data, "provider owed --csv"));
    let line = |side: &str, to: &str| owed.iter().find(|row| row[side] == to).unwrap_or_else(|| panic!("{owed:?}"));
    let kiosks = line("to", "kiosk");
    assert_eq!([&kiosks["credited"], &kiosks["fees"], &kiosks["due"]], ["10.00", "0.25", "9.75"]);
    assert_eq!(line("from", "townbank")["amount"], "10.00", "issuer to provider");
    assert!(
        text(data, "provider owed 2").contains("167.00"),
        "the processor owed it for credit, a card and three tickets"
    );

    // The town's first payouts wait for bank details, too: the cafe's are ordered now, the kiosk's wait.
    let order = format!("provider payouts {period} --pain001");
    bad(data, &order, "account that pays");
    bad(data, "provider bank own --iban DE89370400440532013001 --bic COBADEFF", "check digits");
    good(data, &format!("provider bank own --iban {OURS} --bic COBADEFF"));
    good(data, &format!("provider bank {cafe} --iban {CAFES} --holder Cafe"));
    let ordered = tegata(data).args(order.split_whitespace()).output().unwrap();
    let said = String::from_utf8_lossy(&ordered.stderr).into_owned();
    assert!(ordered.status.success() && said.contains("kiosk waits"), "{said}");
    let batch = Batch::read(&ordered.stdout).unwrap();
    assert_eq!(batch.transfers().iter().map(|one| one.amount.minor()).collect::<Vec<_>>(), [450, 1_650]);
    drop(running);
    let running = Running::start(data, "provider run");
    assert_eq!(text(data, &order).into_bytes(), ordered.stdout, "the same bytes, also after a crash");
    bad(data, "provider payouts 1 --pain001", "ordered with period");
    bad(data, "provider payouts 99 --pain001", "not closed");

    // The bank has paid; the same statement again changes nothing.
    let statement = camt(data, 1, &batch, None);
    let found = good(data, &format!("provider reconcile {statement}"));
    let state =
        |found: &Value, at: usize| (found["payouts"][at]["state"].clone(), found["payouts"][at]["changed"].clone());
    assert_eq!(state(&found, 0), ("booked".into(), true.into()));
    let again = text(data, &format!("provider reconcile {statement}"));
    assert!(again.contains("here before"), "{again}");
    bad(data, "provider reconcile nowhere.xml", "cannot be read");

    // The kiosk's payout goes with the next period, comes back, and is owed and paid again.
    good(data, &format!("provider bank {kiosk} --iban {KIOSKS}"));
    let next = good(data, "provider settle")["period"].as_u64().unwrap();
    let second = Batch::read(text(data, &format!("provider payouts {next} --pain001")).as_bytes()).unwrap();
    assert_eq!(second.transfers()[0].amount.minor(), 975);
    assert_eq!(second.transfers()[0].creditor.name.as_str(), "kiosk");
    let statement = camt(data, 2, &second, Some("AC04"));
    for changed in [true, false] {
        let found = good(data, &format!("provider reconcile {statement}"));
        let back = found["payouts"].as_array().unwrap().iter().find(|one| one["name"] == "kiosk").unwrap().clone();
        assert_eq!((&back["state"], &back["changed"]), (&"came back".into(), &changed.into()), "{back}");
    }
    let settled = good(data, "provider settle");
    assert_eq!(settled["payouts"][0]["amount"], "9.75", "{settled}");

    // Statements, for spreadsheets, programs and people.
    let told = rows(&text(data, "merchant kiosk statement --csv"));
    let kind = |kind: &str| told.iter().filter(|row| row["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(
        [&kind("payment")[0]["amount"], &kind("payment")[0]["fee"], &kind("payment")[0]["net"]],
        ["10.00", "0.25", "9.75"]
    );
    assert_eq!(kind("payout").iter().map(|row| row["state"].as_str()).collect::<Vec<_>>(), ["came back", "waiting"]);
    assert_eq!(kind("period").last().unwrap()["returned"], "9.75");
    let cafes = good(data, "merchant cafe statement");
    let credit: Vec<_> = cafes["payments"].as_array().unwrap().iter().filter(|one| one["tender"] == "credit").collect();
    assert_eq!((credit.len(), &credit[0]["amount"]), (1, &"12.00".into()));
    assert_eq!(cafes["payouts"][1]["state"], "booked");
    let shown = text(data, "merchant cafe statement");
    assert!(shown.contains("credit") && shown.contains("booked") && shown.contains("Periods"), "{shown}");
    let issuers = rows(&text(data, "issuer townbank statement --csv"));
    assert!(issuers.iter().any(|row| row["kind"] == "period" && row["state"] == "owes" && row["net"] == "10.00"));
    let held = |row: &std::collections::BTreeMap<String, String>| row["kind"] == "book" && row["state"] == "held";
    assert!(issuers.iter().any(|row| held(row) && row["period"] == "open" && row["currency"] == "USD"));
    drop(running);
    assert_eq!(good(data, "audit")["clean"], true);
}

#[test]
fn killed_while_it_settles_the_provider_has_settled_wholly_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    good(data, "town --once");
    let mut sold = 0;
    for moment in 0..6 {
        let running = Running::start(data, "provider run");
        sold += 100 + moment;
        pay(data, "kiosk", &format!("1.{moment:02}"));
        good(data, "terminal kiosk update");
        let mut settling = tegata(data);
        let mut settling =
            settling.args(["provider", "settle"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Before the question has come, while it is answered, after it.
        std::thread::sleep(std::time::Duration::from_millis(6 * moment));
        drop(running);
        settling.wait().unwrap();
        assert_eq!(good(data, "audit")["clean"], true, "killed after {} ms", 6 * moment);
    }
    let running = Running::start(data, "provider run");
    good(data, "provider settle");
    let statement = good(data, "merchant kiosk statement");
    let cents = |row: &Value| Amount::parse(Unit::USD, row["amount"].as_str().unwrap()).unwrap().minor();
    assert_eq!(statement["payouts"].as_array().unwrap().iter().map(cents).sum::<u64>(), sold, "{statement}");
    drop(running);
    assert_eq!(good(data, "audit")["clean"], true);
}
