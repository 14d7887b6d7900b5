//! The vectors: `ours.json` and `fields.json` are written here and judged by `check.py`; `theirs.json` is written there, by
//! another implementation, and judged here. `WRITE_VECTORS=1 cargo test -p tegata-iso8583 --test vectors` writes ours anew.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tegata_core::money::{Amount, Time, Unit};
use tegata_iso8583::table::{Class, Length, field, fields};
use tegata_iso8583::*;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("vectors/{name}: {error}"))
}

fn cases(name: &str) -> Vec<Value> {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("vectors/{name}: {error}"))
}

/// One case a line.
fn to_text(cases: &[Value]) -> String {
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// A message as it is shown: text fields as text, binary ones in hexadecimal.
fn shown(message: &Message) -> Value {
    let mut all = Map::new();
    for (number, value) in message.fields() {
        let text = match field(number).unwrap().class {
            Class::B => hex::encode(value),
            _ => std::str::from_utf8(value).unwrap().to_owned(),
        };
        all.insert(number.to_string(), text.into());
    }
    json!({ "type": message.kind().code(), "fields": all })
}

/// What the codec makes of these bytes.
fn judged(bytes: &[u8]) -> Value {
    match Message::decode(bytes) {
        Ok(message) => {
            assert_eq!(*message.encode(), bytes, "what is read encodes to the same bytes");
            shown(&message)
        }
        Err(fault) => {
            let told = format!("{fault:?}");
            let name: String = told.chars().take_while(char::is_ascii_alphabetic).collect();
            json!({ "refusal": name, "field": fault.field() })
        }
    }
}

fn case(name: &str, bytes: &[u8]) -> Value {
    json!({ "name": name, "bytes": hex::encode(bytes), "expect": judged(bytes) })
}

fn at(seconds: u64) -> (Time, Transmitted) {
    let time = Time(1_795_500_000 + seconds);
    (time, Transmitted::at(time))
}

fn amount(minor: u64) -> CardAmount {
    CardAmount::new(Amount::new(Unit::JPY, minor).unwrap()).unwrap()
}

fn purchase() -> Payment {
    Payment {
        pan: Pan::parse(b"4111111111111111").unwrap(),
        processing: ProcessingCode::PURCHASE,
        amount: amount(24_800),
        trace: Trace {
            stan: Stan::new(1).unwrap(),
            transmitted: at(0).1,
            acquirer: AcquirerId::new("00456").unwrap(),
            reference: Reference::new("632806000001").unwrap(),
        },
        local: Local::at(at(0).0, 540),
        expiry: Expiry::new(29, 12),
        acceptor: Acceptor {
            category: MerchantType::new(5812).unwrap(),
            terminal: TerminalId::new("TERM0001").unwrap(),
            merchant: MerchantId::new("TEGATA CAFE").unwrap(),
            name: NameLocation::new("TEGATA CAFE            TOKYO          JP"),
        },
        entry: EntryMode::MANUAL,
        condition: ConditionCode::CUSTOMER_ABSENT,
        option: Instalments::new(12).map(PaymentOption::Instalments),
    }
}

/// A day at the bank: sign-on to sign-off.
fn day() -> Vec<(&'static str, Message)> {
    let stan = |number| Stan::new(number).unwrap();
    let network = |number, seconds, action| {
        let acquirer = purchase().trace.acquirer;
        Request::Network(NetworkRequest { stan: stan(number), transmitted: at(seconds).1, acquirer, action })
    };
    let id = AuthorizationId::new("A1B2C3");
    let authorization = Request::Authorization(purchase());
    let Answer::Payment(mut part) = authorization.answered(ResponseCode::PartialApproval, id) else {
        panic!("payment")
    };
    (part.amount, part.settlement, part.pan) =
        (amount(20_000), Some(SettlementDate::on(at(0).0)), Some(purchase().pan));
    let capture = Financial::capture(&purchase(), id.unwrap(), amount(20_000), stan(3), at(60).1).unwrap();
    let refund = Financial::refund(&capture.payment, amount(5_000), stan(4), at(3600).1).unwrap();
    let capture = Request::Financial(capture);
    let partly = authorization.reversal(stan(2), at(31).1, id, ReplacementAmounts::new(20_000)).unwrap();
    let wholly = capture.reversal(stan(5), at(7200).1, None, None).unwrap();
    let undo = Request::Reversal(wholly.clone());
    let sign_on = network(900, 0, NetworkAction::SignOn);
    [
        ("sign-on", sign_on.message()),
        ("sign-on, taken", sign_on.answered(ResponseCode::Approved, None).message()),
        ("authorization", authorization.message()),
        ("authorization, approved", authorization.answered(ResponseCode::Approved, id).message()),
        ("authorization, declined", authorization.answered(ResponseCode::InsufficientFunds, None).message()),
        ("authorization, approved for a part", Answer::Payment(part).message()),
        ("reversal of a part", Request::Reversal(partly).message()),
        ("capture", capture.message()),
        ("capture, a duplicate", capture.answered(ResponseCode::Duplicate, None).message()),
        ("refund", Request::Financial(refund).message()),
        ("reversal of a capture", undo.message()),
        ("reversal, said again", Request::Reversal(wholly.repeated()).message()),
        ("reversal, nothing to undo", undo.answered(ResponseCode::OriginalNotFound, None).message()),
        ("echo", network(901, 60, NetworkAction::Echo).message()),
        ("sign-off", network(902, 80_000, NetworkAction::SignOff).message()),
    ]
    .map(|(name, message)| (name, message.unwrap()))
    .into()
}

/// Sixteen fields at a time, each as short and as long as it may be (up to 120).
fn all_fields() -> Vec<(String, Message)> {
    let mut messages = Vec::new();
    for (group, rows) in fields().chunks(16).enumerate() {
        for (story, most) in [("shortest", 1), ("longest", 120)] {
            let mut message = Message::new(MessageType::ALL[group % MessageType::ALL.len()]);
            for row in rows {
                let len = match row.length {
                    Length::Fixed(fixed) => fixed,
                    length => length.max().min(most),
                };
                let characters: &[u8] = match row.class {
                    Class::N | Class::AOrN => b"0123456789",
                    Class::An => b"aZ09 ",
                    Class::Ans => b" ~\"\\aZ09/",
                    Class::Ns => b"0-9 /",
                    Class::Z => b"0123456789:;<=>?",
                    Class::B => &[0, 0x7f, 0x80, 0xff],
                    Class::XN => b"D0000001234567890",
                };
                let value: Vec<u8> = characters.iter().copied().cycle().take(len).collect();
                message.set(row.number, &value).unwrap();
            }
            messages.push((format!("fields {} to {}, {story}", rows[0].number, rows[rows.len() - 1].number), message));
        }
    }
    messages
}

/// Bytes that are no message, each for one reason.
fn refused() -> Vec<(String, Vec<u8>)> {
    let purchase = Request::Authorization(purchase()).message().unwrap().encode().to_vec();
    let mut all: Vec<(String, Vec<u8>)> = [0, 3, 4, 11, 12, 13, 20, 31, 100, purchase.len() - 1]
        .map(|len| (format!("an authorization cut after {len} bytes"), purchase[..len].to_vec()))
        .into();
    let one = |number: u8, rest: &[u8]| {
        let bits = 1u128 << (128 - number) | if number > 64 { 1 << 127 } else { 0 };
        let bitmaps = bits.to_be_bytes();
        [&b"0800"[..], if number > 64 { &bitmaps[..] } else { &bitmaps[..8] }, rest].concat()
    };
    for (story, bytes) in [
        ("no digits for a type", b"O800\0\0\0\0\0\0\0\0".to_vec()),
        ("a type of 1993", b"1200\0\0\0\0\0\0\0\0".to_vec()),
        ("a type that is not spoken", b"0420\0\0\0\0\0\0\0\0".to_vec()),
        ("a secondary bitmap for nothing", [&b"0800\x80"[..], &[0; 15]].concat()),
        ("half a secondary bitmap", [&b"0800\x80"[..], &[0; 11]].concat()),
        ("a third bitmap", one(65, &[0; 8])),
        ("a card number above nineteen digits", one(2, b"2041111111111111111111")),
        ("a card number without digits", one(2, b"00")),
        ("a card number with a blank", one(2, b"164111 11111111111")),
        ("a length in letters", one(2, b"1G4111111111111111")),
        ("a length with a blank", one(2, b" 94111111111")),
        ("a length with a sign", one(48, b"+0210")),
        ("a length that lies", one(48, b"99910")),
        ("a length above the maximum", one(36, b"1050")),
        ("half a length", one(48, b"00")),
        ("a letter in an amount", one(4, b"0000000248O0")),
        ("a sign before an amount that has none", one(4, b"-00000024800")),
        ("a fee without a sign", one(28, b"000000100")),
        ("a fee with a sign in small", one(28, b"d00000100")),
        ("a fee with two signs", one(28, b"DD0000100")),
        ("a hyphen in a reference", one(37, b"6328-0600000")),
        ("a tab in a terminal", one(41, b"TERM\t001")),
        ("a byte above ASCII", one(41, b"TERM\xff001")),
        ("a track with the wrong separator", one(35, b"214111111111111111D2912")),
        ("a letter in an extended number", one(34, b"0559a00")),
        ("a currency half in letters", one(49, b"39J")),
        ("a PIN block cut off", one(52, &[1; 7])),
        ("an authentication code with a byte too many", one(64, &[1; 9])),
        ("a network code with a byte too many", one(70, b"3010")),
        ("an authentication code at the very end, cut off", one(128, &[1; 7])),
        (
            "a net amount without digits",
            one(97, b"C0000000000000000".map(|b| if b == b'0' { b' ' } else { b }).as_slice()),
        ),
        ("two messages in one", [&purchase[..], &purchase[..]].concat()),
    ] {
        all.push((story.into(), bytes));
    }
    all
}

fn ours() -> Vec<Value> {
    let accepted = day().into_iter().map(|(name, message)| (name.to_owned(), message)).chain(all_fields());
    let accepted = accepted.map(|(name, message)| case(&name, &message.encode()));
    accepted.chain(refused().into_iter().map(|(name, bytes)| case(&name, &bytes))).collect()
}

fn table() -> Vec<Value> {
    let rows = fields().iter().map(|row| {
        let length = match row.length {
            Length::Fixed(_) => "fixed",
            Length::LlVar(_) => "LLVAR",
            Length::LllVar(_) => "LLLVAR",
        };
        let class = row.class.name();
        json!({ "number": row.number, "name": row.name, "class": class, "length": length, "max": row.length.max() })
    });
    rows.collect()
}

#[test]
fn the_files_are_what_this_code_writes() {
    for (name, cases) in [("ours.json", ours()), ("fields.json", table())] {
        let text = to_text(&cases);
        if std::env::var_os("WRITE_VECTORS").is_some() {
            std::fs::write(file(name), &text).unwrap();
        }
        let stored = read(name);
        let differs = text.lines().zip(stored.lines()).find(|(new, old)| new != old);
        assert!(
            text == stored,
            "vectors/{name} differs from what this code writes; first: {differs:?}. If the wire format shall change: \
             WRITE_VECTORS=1 cargo test -p tegata-iso8583 --test vectors"
        );
    }
}

#[test]
fn the_day_at_the_bank_reads_back_as_requests_and_answers() {
    for (name, message) in day() {
        let again = match message.kind().answer() {
            Some(_) => Request::read(&message).and_then(|request| request.message()),
            None => Answer::read(&message).and_then(|answer| answer.message()),
        };
        assert_eq!(again, Ok(message), "{name}");
    }
}

#[test]
fn what_another_implementation_encodes_is_read_field_by_field_and_what_it_refuses_is_refused() {
    let wrong: Vec<String> = cases("theirs.json")
        .iter()
        .filter_map(|case| {
            let bytes = hex::decode(case["bytes"].as_str().unwrap()).unwrap();
            let found = judged(&bytes);
            (found != case["expect"]).then(|| format!("{}: expected {}, found {found}", case["name"], case["expect"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_as_many_refusals_as_acceptances_of_every_kind_there_is() {
    for name in ["ours.json", "theirs.json"] {
        let cases = cases(name);
        let refused = cases.iter().filter(|case| !case["expect"]["refusal"].is_null()).count();
        assert!(refused * 2 >= cases.len(), "{name}: {refused} of {} are refusals", cases.len());
    }
    let ours = cases("ours.json");
    for fault in [
        "Truncated",
        "NoType",
        "UnknownType",
        "EmptySecondary",
        "UnknownField",
        "LengthDigits",
        "TooLong",
        "Empty",
        "Content",
        "Trailing",
    ] {
        assert!(ours.iter().any(|case| case["expect"]["refusal"] == fault), "no vector is refused for {fault}");
    }
}
