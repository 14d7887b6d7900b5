//! The files in `samples/`, which `check` holds against the schemas without Rust, are what this crate writes, takes
//! and refuses. `WRITE_SAMPLES=1` writes them anew.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use serde_json::Value;
use std::path::PathBuf;
use tegata_core::money::{Amount, Time, Unit};
use tegata_iso20022::camt053::{
    Balance, Counterparty, Detail, Entry, Reason, Return, Side, Statement, StatementHead, Status,
};
use tegata_iso20022::pain001::{Batch, BatchHead, Creditor, Debtor, Transfer};
use tegata_iso20022::reconcile::{Outcome, reconcile};
use tegata_iso20022::value::{Bic, Date, EndToEndId, Iban, MessageId, Sepa, Text};

const OURS: &str = "DE89370400440532013000";

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

fn same_as_written(name: &str, bytes: &[u8]) {
    if std::env::var_os("WRITE_SAMPLES").is_some() {
        std::fs::write(file(name), bytes).unwrap();
    }
    let found = std::fs::read(file(name)).unwrap_or_default();
    assert_eq!(String::from_utf8(found), String::from_utf8(bytes.to_vec()), "{name}; WRITE_SAMPLES=1 writes it anew");
}

fn transfer(id: &str, unit: Unit, minor: u64, to: &str, name: &str) -> Transfer {
    Transfer {
        end_to_end: EndToEndId::new(id).unwrap(),
        amount: Amount::new(unit, minor).unwrap(),
        creditor: Creditor {
            name: Sepa::transliterated("creditor name", name).unwrap(),
            account: Iban::new(to).unwrap(),
            bank: None,
        },
        remittance: None,
    }
}

/// Every currency, every bound, every character of the set.
fn batch() -> Batch {
    let head = BatchHead {
        message: MessageId::new("TEGATA-2026-10-31-PAYOUT-000001").unwrap(),
        created: Time(1_793_448_000),
        debtor: Debtor {
            name: Sepa::new("debtor name", "Tegata Clearing").unwrap(),
            account: Iban::new(OURS).unwrap(),
            bank: Bic::new("COBADEFFXXX").unwrap(),
        },
        execution: Date::new(2026, 11, 2).unwrap(),
    };
    let all = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 /-?:().,'+";
    let least = transfer("PAYOUT-0001", Unit::EUR, 1, "NO9386011117947", "X");
    let mut most =
        transfer(&"E".repeat(35), Unit::EUR, 99_999_999_999_999, "MT84MALT011000012345MTLCAST001S", &"N".repeat(70));
    most.creditor.bank = Some(Bic::new("MALTMTMT").unwrap());
    most.remittance = Some(Sepa::new("remittance", &format!("{all}{}", "R".repeat(140 - all.len()))).unwrap());
    let back = transfer("PAYOUT-0003", Unit::EUR, 7_500, "AT611904300234573201", "Caf\u{e9} Zentral GmbH");
    let yen = transfer("PAYOUT-0004", Unit::JPY, 120_000, "GB82WEST12345698765432", "Tokyo & Co");
    let dollars = transfer("PAYOUT-0005", Unit::USD, 1_999, "CH9300762011623852957", "Br\u{fc}cke");
    Batch::new(head, vec![least, dollars, most, yen, back]).unwrap()
}

fn detail(id: &str, side: Side, minor: u64) -> Detail {
    Detail {
        end_to_end: Some(Text::new("id", id).unwrap()),
        amount: Amount::new(Unit::EUR, minor).unwrap(),
        side,
        counterparty: None,
        returned: None,
    }
}

/// Booked, returned, pending, refused, taken back, booked together, said to consist of nothing.
fn statement() -> Statement {
    let day = Date::new(2026, 11, 2).unwrap();
    let text = |text: &str| Text::new("reference", text).unwrap();
    let opening = Balance { amount: Amount::new(Unit::EUR, 100_000).unwrap(), side: Side::Credit, date: day };
    let head = StatementHead {
        message: text("CAMT053-20261102-1"),
        id: text("STMT-2026-212"),
        sequence: 212,
        created: Time(1_793_664_000),
        account: Iban::new(OURS).unwrap(),
        opening,
    };
    let cafe = Counterparty {
        name: Some(Text::new("name", "Caf\u{e9} <Zentral> & \u{682a}\u{5f0f}\u{4f1a}\u{793e}").unwrap()),
        account: Some(Iban::new("AT611904300234573201").unwrap()),
    };
    let paid = Detail { counterparty: Some(cafe), ..detail("PAYOUT-0003", Side::Debit, 7_500) };
    let reason = Some(Reason::Code(Text::new("code", "AC04").unwrap()));
    let why = Return { reason, text: Some(Text::new("text", "Konto erloschen").unwrap()) };
    let back = Detail { side: Side::Credit, returned: Some(why), ..paid.clone() };
    let own = Return { reason: Some(Reason::Own(text("limit exceeded"))), text: None };
    let refused = Detail { returned: Some(own), ..detail("PAYOUT-0005", Side::Debit, 1_999) };
    let one = |name: &str, detail| Entry::of_one(text(name), day, detail);
    let together = Entry {
        amount: Amount::new(Unit::EUR, 901).unwrap(),
        details: vec![detail("PAYOUT-0001", Side::Debit, 1), detail(&"E".repeat(35), Side::Debit, 900)],
        ..one("REF-5", detail("X", Side::Debit, 1))
    };
    let unnamed = Detail { end_to_end: None, ..detail("X", Side::Credit, 150_000) };
    let entries = vec![
        one("REF-1", paid),
        one("REF-2", back),
        Entry { status: Status::Pending, ..one("REF-3", detail("PAYOUT-0004", Side::Debit, 999)) },
        Entry { status: Status::Told, ..one("REF-4", refused) },
        together,
        Entry { is_reversal: true, details: vec![], ..one("REF-6", detail("X", Side::Debit, 250_000)) },
        one("REF-7", unnamed),
    ];
    Statement::new(head, day, entries).unwrap()
}

#[test]
fn samples_are_what_is_written_and_read() {
    let (batch, statement) = (batch(), statement());
    same_as_written("pain001.xml", &batch.write());
    same_as_written("camt053.xml", &statement.write());
    assert_eq!(Batch::read(&batch.write()).unwrap(), batch);
    assert_eq!(Statement::read(&statement.write(), &Iban::new(OURS).unwrap()).unwrap(), statement);
}

#[test]
fn orders_and_the_banks_files_are_reconciled() {
    let bank = Statement::read(&std::fs::read(file("camt053-bank.xml")).unwrap(), &Iban::new(OURS).unwrap()).unwrap();
    let found = reconcile([&batch()], [&statement(), &statement()]).unwrap();
    let outcome = |id: &str| found.payout(&EndToEndId::new(id).unwrap()).unwrap().outcome.clone();
    assert_eq!(outcome("PAYOUT-0001"), Outcome::Booked);
    assert!(matches!(outcome("PAYOUT-0003"), Outcome::CameBack(Some(_))));
    assert_eq!(outcome("PAYOUT-0004"), Outcome::Pending);
    assert!(matches!(outcome("PAYOUT-0005"), Outcome::Refused(_)));
    assert_eq!(found.unordered().len(), 2);
    // The bank's file gives PAYOUT-0003 back once more, under another reference.
    let found = found.with(&bank).unwrap();
    let again = found.payout(&EndToEndId::new("PAYOUT-0003").unwrap()).unwrap();
    assert!(matches!(again.outcome, Outcome::Differs(_)));
}

#[test]
fn what_is_refused_without_rust_is_refused_with_it() {
    let list: Value = serde_json::from_slice(&std::fs::read(file("refused.json")).unwrap()).unwrap();
    let ours = Iban::new(OURS).unwrap();
    let mut elsewhere = Vec::new();
    for case in list.as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap_or_else(|| panic!("{case} has no {key}"));
        let sample = std::fs::read_to_string(file(text("of"))).unwrap();
        assert!(sample.contains(text("old")), "{case}");
        let spoilt = sample.replacen(text("old"), text("new"), 1);
        let refusal = if text("of").starts_with("pain") {
            Batch::read(spoilt.as_bytes()).map(|_| ()).map_err(|error| (error.path().to_owned(), error.to_string()))
        } else {
            let read = Statement::read(spoilt.as_bytes(), &ours);
            read.map(|_| ()).map_err(|error| (error.path().to_owned(), error.to_string()))
        };
        let (path, says) = refusal.expect_err(&case.to_string());
        if path != text("at") {
            elsewhere.push(format!("{case}: {path}: {says}"));
        }
    }
    assert!(
        elsewhere.is_empty(),
        "{}",
        elsewhere.join(
            "
"
        )
    );
}
