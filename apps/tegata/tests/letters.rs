//! Letters and opened credit payments as people type them: real processes, real sockets, real folders, SIGKILL.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed::{Running, bad, good, tegata, text};
use serde_json::Value;
use std::path::Path;

fn wait_for_the_next_second() {
    let second = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = second();
    while second() == now {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Whether any file below holds these bytes.
fn stands(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| match entry.file_type().unwrap().is_dir() {
        true => stands(&entry.path(), text),
        false => std::fs::read(entry.path()).unwrap().windows(text.len()).any(|window| window == text.as_bytes()),
    })
}

fn texts(messages: &Value) -> Vec<&str> {
    messages["messages"].as_array().unwrap().iter().filter_map(|message| message["text"].as_str()).collect()
}

/// The message that says this: within one second they are in no order.
fn said<'a>(messages: &'a Value, text: &str) -> &'a Value {
    messages["messages"].as_array().unwrap().iter().find(|message| message["text"] == text).unwrap()
}

#[test]
fn merchant_and_user_write_to_each_other_and_the_provider_keeps_nothing_readable() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let walked = good(data, &["town", "--once"]);
    let letters = &walked["walk"]["credit"]["letters"];
    assert_eq!(texts(&letters["alice"]).len(), 2);
    assert_eq!(texts(&letters["cafe"]).len(), 2);
    let customer = letters["customer"].as_str().unwrap();

    // Without the provider what is there is read all the same, and that nothing could be fetched is said.
    let offline = good(data, &["wallet", "alice", "messages"]);
    assert_eq!(texts(&offline).len(), 2);
    assert!(offline["failed"].as_str().unwrap().contains("no provider"));

    let running = Running::start(data, "provider run");
    good(data, &["terminal", "cafe", "write", customer, "We found a grey bag"]);
    bad(data, &["terminal", "kiosk", "write", customer, "Buy here"], "refused");
    bad(data, &["terminal", "cafe", "write", "customer-00", "x"], "no customer number");
    bad(data, &["terminal", "cafe", "write", customer, "two\nlines"], "without control characters");
    bad(data, &["wallet", "alice", "write", "ffff", "x"], "names 0 receipts");
    // The provider is killed: what it has taken is there when it is up again.
    drop(running);
    let running = Running::start(data, "provider run");
    let read = good(data, &["wallet", "alice", "messages"]);
    assert!(texts(&read).contains(&"We found a grey bag"));
    let credits = good(data, &["wallet", "alice", "credits"]);
    let number = credits["credits"][0]["receipt_number"].as_str().unwrap();
    good(data, &["wallet", "alice", "write", &number[..8], "That is mine"]);
    let read = good(data, &["terminal", "cafe", "messages"]);
    let asked = said(&read, "That is mine");
    assert_eq!(
        (&asked["text"], &asked["from"], &asked["receipt"]),
        (&"That is mine".into(), &customer.into(), &number.into())
    );

    // A prepaid card's receipt, too: the merchant sees the receipt, no customer.
    let paid = good(data, &["wallet", "alice", "payments"]);
    let by_card = paid["payments"][0]["receipt_number"].as_str().unwrap();
    good(data, &["wallet", "alice", "write", by_card, "Is there milk in it?"]);
    let read = good(data, &["terminal", "cafe", "messages"]);
    assert_eq!(said(&read, "Is there milk in it?")["from"], "who paid by card");
    good(data, &["terminal", "cafe", "write", by_card, "Oat milk only"]);
    assert!(texts(&good(data, &["wallet", "alice", "messages"])).contains(&"Oat milk only"));

    // Called, by a number that says nothing; nobody who has not said where is called.
    bad(data, &["wallet", "alice", "call-number", by_card], "refused");
    let owner = good(data, &["merchant", "cafe", "statement"])["merchant"].as_str().unwrap().to_owned();
    let token = good(data, &["provider", "invite", "switch", "booth", "--owner", &owner]);
    let joined = good(data, &["switch", "booth", "join", token["token"].as_str().unwrap()]);
    let switch = joined["id"].as_str().unwrap();
    bad(data, &["wallet", "alice", "called-at", "+4930100"], "--switch");
    bad(data, &["wallet", "alice", "called-at", "+4930100", "--switch", "booth"], "'booth' is no switch");
    good(data, &["wallet", "alice", "called-at", "+4930100", "--switch", switch]);
    good(data, &["terminal", "cafe", "called-at", "cafe-phone", "--switch", switch]);
    let to_customer = good(data, &["terminal", "cafe", "call-number", customer]);
    let to_merchant = good(data, &["wallet", "alice", "call-number", by_card]);
    for given in [&to_customer, &to_merchant] {
        assert_eq!((&given["switch"], &given["name"]), (&switch.into(), &"booth".into()), "{given}");
        assert!(given["number"].as_str().unwrap().starts_with("0021"), "{given}");
        assert!(!given.to_string().contains("4930100") && !given.to_string().contains("cafe-phone"), "{given}");
    }
    bad(data, &["terminal", "kiosk", "call-number", customer], "refused");
    good(data, &["switch", "booth", "update"]);
    good(data, &["terminal", "cafe", "called-at", "--nowhere"]);
    // Asked again within the same second, it would be the same request, which gets the same number.
    wait_for_the_next_second();
    bad(data, &["wallet", "alice", "call-number", by_card], "refused");

    // Muted, the merchant is told the same as ever.
    good(data, &["wallet", "alice", "mute", "cafe"]);
    let told = good(data, &["terminal", "cafe", "write", customer, "Are you there?"]);
    assert!(told["written"].as_str().unwrap().starts_with("letter-"));
    bad(data, &["wallet", "alice", "write", number, "Hello"], "unmute it first");
    bad(data, &["wallet", "bob", "mute", "cafe"], "names 0 merchants");
    let heard = texts(&good(data, &["wallet", "alice", "messages"])).len();
    good(data, &["wallet", "alice", "unmute", "cafe"]);
    let read = good(data, &["wallet", "alice", "messages"]);
    assert!(texts(&read).len() > heard && !texts(&read).contains(&"Are you there?"));

    drop(running);
    let provider = data.join("provider");
    for text in ["We found a grey bag", "That is mine", "Is there milk in it?", "Oat milk only", "Are you there?"] {
        assert!(!stands(&provider, text), "{text}");
    }
    assert_eq!(good(data, &["audit"])["clean"], true);
}

/// Every part of an opened message, also within others.
fn parts<'a>(value: &'a Value, all: &mut Vec<&'a Value>) {
    if value.get("verified").is_some() {
        all.push(value);
    }
    value["fields"].as_array().into_iter().flatten().for_each(|field| parts(field, all));
}

#[test]
fn a_payment_by_credit_is_opened_with_all_that_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    good(data, &["town", "--once"]);
    let _running = Running::start(data, "provider run");
    let listed = good(data, &["provider", "credits"]);
    let request = listed["credits"][0]["request"].as_str().unwrap();
    let opened = good(data, &["provider", "credits", "--open", request]);
    let messages = opened["messages"].as_array().unwrap();
    let signs: Vec<_> = messages.iter().map(|message| message["sign"].as_str().unwrap()).collect();
    assert_eq!(signs, ["8417", "8418", "8419", "8421"]);
    // The message itself, and what is signed within it: three informations; one and the request; charge and offer; the
    // merchant's receipt with both of these, and the information.
    let counts: Vec<_> = messages
        .iter()
        .map(|message| {
            let mut all = Vec::new();
            parts(message, &mut all);
            assert!(all.iter().all(|part| part["verified"] == true), "{message}");
            all.len()
        })
        .collect();
    assert_eq!(counts, [4, 3, 3, 5]);
    // Field by field, as SYSTEM.md lists them.
    let names = |at: usize| -> Vec<&str> {
        messages[at]["fields"].as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap()).collect()
    };
    let information =
        ["for the provider", "for the merchant", "for the user"].map(|whose| format!("clearing information {whose}"));
    let [provider, merchant, user] = information.each_ref().map(String::as_str);
    let expected: [&[&str]; 4] = [
        &[
            "message kind",
            "clearing number",
            "user clearing account",
            "request number",
            "amount",
            "payment option",
            "merchant clearing account",
            "transaction number",
            provider,
            merchant,
            user,
            "processor id",
            "issue time",
        ],
        &[
            "message kind",
            "clearing number",
            "merchant's clearing information",
            "customer number",
            "merchant's own clearing request [13550]",
            "provider id",
            "issue time",
        ],
        &[
            "message kind",
            "item name",
            "clearing number",
            "transaction information",
            "payment offer [8405]",
            "accounting machine id",
            "merchant id",
            "issue time",
        ],
        &[
            "message kind",
            "user id",
            "merchant's receipt [8419]",
            "user's clearing information",
            "provider id",
            "request number",
            "issue time",
        ],
    ];
    for (at, fields) in expected.iter().enumerate() {
        assert_eq!(names(at), *fields, "{}", signs[at]);
    }
    // The user stands in the user's receipt and nowhere else; the bank card nowhere.
    let user = messages[3]["fields"][1]["value"].as_str().unwrap();
    assert!(user.starts_with("dev-"));
    for message in &messages[..3] {
        assert!(!message.to_string().contains(user));
    }
    assert!(!opened.to_string().contains("4111111111111111"));

    let open = ["provider", "credits", "--open", request];
    let wide = text(data, &open);
    assert!(wide.lines().next().unwrap().matches('│').count() == 3, "{wide}");
    assert!(wide.lines().all(|line| line.chars().count() <= 200) && !wide.contains("DOES NOT"));
    let narrow = tegata(data).args(open).env("COLUMNS", "80").output().unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    assert!(!narrow.contains('│') && narrow.contains("[8421] receipt"), "{narrow}");
    bad(data, &["provider", "credits", "--open", "request-12"], "request number");
    bad(data, &["provider", "credits", "--open", &format!("request-{}", "0".repeat(32))], "nothing is known");
}
