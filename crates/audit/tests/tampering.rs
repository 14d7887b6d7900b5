//! Every kind of row is tampered with, and the auditor must name it.

#![allow(clippy::unwrap_used)] // helpers of tests

use crate::town;
use crate::town::{Town, ordinary};
use rusqlite::Connection;
use tegata_audit::{Audit, Options, Scope, What, audit};
use tegata_core::step::{Break, Broken};
use tegata_store::Store;

fn amount(audit: &Audit, account: &str) -> i128 {
    let found = audit.accounts.iter().find(|found| found.account == account && found.party.is_none());
    found.map_or(-1, |found| found.amount)
}

#[test]
fn an_ordinary_town_is_clean_and_its_sums_are_made_from_evidence() {
    let found = ordinary().audit();
    assert!(found.is_clean(), "{}", found.difference.unwrap());
    let sums = ["issued", "waiting", "held", "in flight", "payable", "paid", "guarantor"].map(|of| amount(&found, of));
    // 8 sold, 4 used; 2,500 + 1,500 + 4,000 cleared and settled, then 1,000; 700 with its wallet only.
    assert_eq!(sums, [80_000, 40_000, 30_300, 700, 1_000, 8_000, 0]);
    assert_eq!((found.cards, found.checks, found.merchants, found.forks), (3, 7, 1, 0));
}

/// One tampering: what it is, how it is done, what examination must find it, and words that must name it.
type Story = (&'static str, &'static str, What, &'static [&'static str]);

const STORIES: &[Story] = &[
    // ---- postings and balances
    ("a posting's amount is raised", "UPDATE posting SET amount = amount + 100 WHERE what = 5 AND amount = 2500",
        What::Posting, &["payable to merchant", "2500", "2600", "entry 1 of dev-"]),
    ("a posting is dropped", "DELETE FROM posting WHERE what = 5 AND amount = 4000",
        What::Posting, &["payable to merchant", "4000", "nothing"]),
    ("a posting is sent to another merchant", "UPDATE posting SET party = zeroblob(16) WHERE what = 5 AND amount = 1500",
        What::Posting, &["payable to merchant"]),
    ("a claim is credited twice under another name", "INSERT INTO posting SELECT subject, what, randomblob(32), source,
        target, issuer, unit,
        party, amount, period FROM posting WHERE what = 5 AND amount = 1500",
        What::Posting, &["payable to merchant", "nothing signed for it", "1500"]),
    ("a voided claim is credited all the same", "DELETE FROM posting WHERE what IN (6, 7) AND amount = 3000",
        What::Posting, &["0 for check", "taken back by the wallet", "says 3000"]),
    ("an install is posted higher", "UPDATE posting SET amount = amount + 1 WHERE what = 2 AND rowless(subject)",
        What::Posting, &["held of card-", "10000", "10001"]),
    ("an activation is posted higher", "UPDATE posting SET amount = amount + 1 WHERE what = 1",
        What::Posting, &["waiting of issuer", "80000", "80001"]),
    ("a payout is posted twice", "INSERT INTO posting SELECT subject, what, randomblob(32), source, target, issuer, unit,
        party, amount, period FROM posting WHERE what = 9", What::Balance, &["paid to merchant", "8000", "16000"]),
    ("a payout's row is raised", "UPDATE payout SET amount = amount + 5", What::Balance, &["paid to merchant", "8005"]),
    ("a merchant's balance is raised", "UPDATE balance SET amount = amount + 7 WHERE kind = 5 AND party <> x''",
        What::Balance, &["payable to merchant", "1000", "1007"]),
    ("a sum is lowered", "UPDATE balance SET amount = amount - 1 WHERE kind = 3 AND party = x''",
        What::Balance, &["held of issuer", "30300", "30299"]),
    ("value appears from nowhere, in balance", "UPDATE balance SET amount = amount + 9 WHERE kind IN (1, 2)",
        What::Balance, &["issued of issuer", "80000", "80009"]),
    ("a closed period's books are changed in balance", "UPDATE trial_balance SET amount = amount + 1 WHERE kind IN (1, 2)",
        What::Balance, &["issued in the trial balance of period 1", "80000", "80001"]),
    ("a claim is put into a closed period", "UPDATE posting SET period = 1 WHERE what = 5 AND amount = 1000",
        What::Balance, &["period 1"]),
    ("what was due is changed", "UPDATE position SET due = due + 1 WHERE side = 1", What::Balance, &["due to party-", "8001"]),
    ("a closed period's books are changed", "UPDATE trial_balance SET amount = amount + 1 WHERE kind = 3",
        What::Equation, &["trial balance of period 1"]),
    // ---- cards
    ("a card holds more", "UPDATE card SET held = held + 1 WHERE in_flight > 0", What::Balance, &["held of card-"]),
    ("a card's remaining is raised", "UPDATE card SET remaining = remaining + 1 WHERE in_flight > 0",
        What::Row, &["where card-", "5300", "5301", "entry 6 of dev-"]),
    ("a card's chain is set back", "UPDATE card SET seq = seq - 1 WHERE in_flight > 0", What::Row, &["where card-"]),
    ("a card disappears", "DELETE FROM card WHERE in_flight > 0", What::Card, &["card-", "no such card"]),
    ("a card is made up", "INSERT INTO card SELECT zeroblob(16), wallet, issuer, unit, terms, generation, seq, head,
        remaining, last_load, loads, held, in_flight, covered, held_back, release_at, blocked, dead_generation, dead_list, face,
        until FROM card LIMIT 1", What::Card, &["card-00000000000000000000000000000000", "no certificate"]),
    ("a checkpoint is another wallet's", "UPDATE device SET reply = (SELECT max(reply) FROM device JOIN card ON wallet = device)
        WHERE device NOT IN (SELECT wallet FROM card)", What::Card, &["the checkpoint of card-", "the last answer to dev-"]),
    ("a checkpoint is forged", "UPDATE device SET reply = flip(reply, 250) WHERE device IN (SELECT wallet FROM card)", What::Card, &["the checkpoint of card-"]),
    ("a last answer cannot be read", "UPDATE device SET reply = flip(reply, 3)", What::Card, &["the last answer to dev-"]),
    ("a generation's certificate is forged", "UPDATE generation SET body = flip(body, 60) WHERE generation = 1",
        What::Card, &["generation 1 of card-", "no such certificate"]),
    ("a load is forged", "UPDATE load SET amount = amount + 1", What::Card, &["load 1 of card-", "no such load"]),
    ("a load has no number behind it", "UPDATE load SET source = randomblob(32)", What::Number, &["activated as serial", "used as serial"]),
    ("a reversal is forged", "UPDATE reversal SET amount = 1", What::Card, &["the reversal of check", "no such reversal"]),
    ("a reversal is made up", "INSERT INTO reversal SELECT card, randomblob(32), generation, amount, at, randomblob(32),
        body FROM reversal", What::Card, &["no such reversal"]),
    // ---- numbers
    ("a number is activated twice", "UPDATE activation SET activated = activated + 1", What::Number,
        &["batch 1", "serials 1 to 8", "9 activated"]),
    ("an activation is forged", "UPDATE activation SET body = flip(body, 20)", What::Number, &["no activation signed"]),
    ("an activation is dropped", "DELETE FROM activation", What::Number, &["batch 1"]),
    ("an order is forged", "UPDATE number_batch SET body = flip(body, 200)", What::Number, &["no order signed"]),
    ("a number is used twice", "UPDATE generation SET number = (SELECT number FROM generation ORDER BY card LIMIT 1)
        WHERE card = (SELECT max(card) FROM generation)", What::Number, &["used once"]),
    ("a used number can be used again", "UPDATE number SET state = 2 WHERE state = 3 AND load IS NOT NULL",
        What::Number, &["used as serial", "activated as serial"]),
    ("a printed number is value", "UPDATE number SET state = 2 WHERE state = 1", What::Number, &["printed as serial"]),
    // ---- logs
    ("a byte of an entry is changed", "UPDATE entry SET body = flip(body, 12) WHERE number = 1", What::Log,
        &["not what the device signed"]),
    ("an entry is dropped", "DELETE FROM entry WHERE number = 2 AND device = (SELECT device FROM entry WHERE number = 4)",
        What::Log, &["entry 2 of dev-", "dropped"]),
    ("the last entry is dropped", "DELETE FROM entry WHERE number = (SELECT max(number) FROM entry)", What::Log,
        &["dropped"]),
    ("an upload is dropped", "DELETE FROM upload WHERE last = (SELECT max(last) FROM upload)", What::Log,
        &["the log of dev-"]),
    ("two entries change places", "UPDATE entry SET body = CASE number WHEN 1 THEN (SELECT body FROM entry AS other
        WHERE other.device = entry.device AND other.number = 2) ELSE body END", What::Log, &["not what the device signed"]),
    ("an upload's signature is another's", "UPDATE upload SET signature = randomblob(64)", What::Log,
        &["the signature does not hold"]),
    ("a log's end is set back", "UPDATE device SET recorded = recorded - 1 WHERE recorded > 0", What::Log,
        &["the log of dev-"]),
    ("an entry is added that nobody sent", "INSERT INTO entry SELECT device, number + 100, body FROM entry", What::Log,
        &["signed entries"]),
    // ---- what is derived
    ("a statement shows a claim higher", "UPDATE claim SET amount = amount + 1 WHERE amount = 2500", What::Row,
        &["the claim of transaction", "2500", "2501", "entry"]),
    ("a voided claim shows as paid", "UPDATE claim SET state = 1 WHERE state = 3", What::Row, &["voided over 3000"]),
    ("a closed charge shows as paid", "UPDATE claim SET state = 1 WHERE state = 2", What::Row, &["closed", "paid"]),
    ("a claim is dropped", "DELETE FROM claim WHERE amount = 2500", What::Row, &["event 2 of card-", "2500", "no row of it in table claim", "entry 1 of dev-"]),
    ("a claim is refused without a reason", "UPDATE claim SET state = 4 WHERE amount = 2500", What::Verdict,
        &["refused, without an exception"]),
    ("a claim is refused for a made-up reason", "UPDATE claim SET state = 4 WHERE amount = 2500;
        INSERT INTO exception (kind, at, state, card, check_hash, bearer)
        SELECT 6, 0, 1, card, check_hash, 'merchant' FROM claim WHERE amount = 2500", What::Verdict,
        &["does not bear out"]),
    ("an event shows another remainder", "UPDATE event SET remaining = remaining + 1 WHERE amount = 4000", What::Row,
        &["event", "3000 remain"]),
    ("an event is dropped", "DELETE FROM event WHERE amount = 4000", What::Row, &["event 2 of card-", "4000", "no row of it in table event"]),
    // ---- participants
    ("a terminal is given to another merchant", "UPDATE participant SET owner = zeroblob(16) WHERE role = 5",
        What::Certificate, &["participant"]),
    ("a device's key is replaced", "UPDATE participant SET key = randomblob(32) WHERE role = 6", What::Certificate,
        &["participant"]),
    ("the root is replaced", "UPDATE provider SET root = CAST(x'5820' || randomblob(32) AS BLOB)", What::Certificate,
        &["operational key 1"]),
    ("a revocation list is forged", "UPDATE list SET body = flip(body, 20)", What::Certificate, &["revocation list"]),
];

/// `flip(column, at)` in the stories: that column with another byte there.
fn flips(sql: &str) -> String {
    let Some((before, rest)) = sql.split_once("flip(") else { return sql.to_owned() };
    let (call, after) = rest.split_once(')').unwrap();
    let (column, at) = call.split_once(", ").unwrap();
    let at: usize = at.parse().unwrap();
    let (head, tail) = (format!("substr({column}, 1, {at})"), format!("substr({column}, {})", at + 2));
    let byte = format!("CASE substr({column}, {}, 1) WHEN x'01' THEN x'02' ELSE x'01' END", at + 1);
    format!("{before}CAST({head} || {byte} || {tail} AS BLOB){after}")
}

fn tampered(backup: &[u8], sql: &str) -> Audit {
    let store = Store::restore(backup).unwrap();
    let connection: &Connection = store.connection();
    let sql = sql.replace("rowless(subject)", "subject = (SELECT min(subject) FROM posting WHERE what = 2)");
    connection.execute_batch(&flips(&sql)).unwrap();
    audit(connection, &Options::default()).unwrap()
}

#[test]
fn whatever_is_tampered_with_is_named() {
    let backup = ordinary().provider.snapshot().unwrap();
    let mut missed = Vec::new();
    for (story, sql, what, words) in STORIES {
        let found = tampered(&backup, sql);
        let Some(difference) = found.difference else {
            missed.push(format!("{story}: not found"));
            continue;
        };
        let text = difference.to_string();
        println!("{story}:\n    {}", text.replace('\n', "\n    "));
        assert!(text.lines().count() <= 2, "{text}");
        if difference.what != *what || !words.iter().all(|word| text.contains(word)) {
            missed.push(format!("{story}: {:?} {text}", difference.what));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_copied_wallet_is_explained_by_the_provider_and_found_where_it_is_not() {
    for (broken, clean) in [(Broken::NONE, true), (Broken::only(Break::ForkIgnored), false)] {
        let mut town = Town::new(broken, 6);
        let (mut one, mut two) = (town.terminal(20), town.terminal(21));
        let (mut wallet, card) = town.wallet(10);
        let mut copy = town.copy(&wallet, 10);
        town.pay((&mut wallet, card), &mut one, 9_000);
        town.pay((&mut copy, card), &mut two, 8_000);
        town.update(&mut wallet);
        town.update_terminal(&mut one);
        town.update_terminal(&mut two);
        let found = town.audit();
        assert_eq!(found.forks, 1);
        assert_eq!(found.is_clean(), clean, "{:?}", found.difference);
        if clean {
            assert_eq!(amount(&found, "guarantor"), 7_000);
            let backup = town.provider.snapshot().unwrap();
            let hidden = tampered(&backup, "UPDATE exception SET terminal_record = NULL WHERE kind = 3");
            let text = hidden.difference.unwrap().to_string();
            assert!(
                text.contains("a fork") && text.contains("entry 1 of dev-") && text.contains("the holder"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_wallet_put_back_from_a_copy_and_a_late_void_are_clean() {
    let mut town = Town::new(Broken::NONE, 6);
    let mut one = town.terminal(20);
    let (mut wallet, card) = town.wallet(10);
    town.pay((&mut wallet, card), &mut one, 1_000);
    town.update(&mut wallet);
    let backup = wallet.device.vault.clone();
    let late = town.pay((&mut wallet, card), &mut one, 500);
    town.update(&mut wallet);
    wallet.device.vault = backup;
    town.now = town.now.after(3600);
    town.update(&mut wallet);
    let found = town.audit();
    assert!(found.is_clean(), "{}", found.difference.unwrap());
    town.update_terminal(&mut one);
    let now = town.moment();
    one.void(late, now).unwrap();
    town.now = town.now.after(3600);
    town.update_terminal(&mut one);
    let found = town.audit();
    assert!(found.is_clean(), "{}", found.difference.unwrap());
    assert_eq!((amount(&found, "held"), amount(&found, "payable")), (9_000, 1_000));
    town.now = town.now.after(20 * tegata_core::Time::DAY);
    town.update(&mut wallet);
    town.update(&mut wallet);
    let found = town.audit();
    assert!(found.is_clean(), "{}", found.difference.unwrap());
    assert_eq!(wallet.cards().unwrap()[0].remaining.minor(), 9_000, "released");
    town.update_terminal(&mut one);
    town.pay((&mut wallet, card), &mut one, 9_000);
    town.update_terminal(&mut one);
    let found = town.audit();
    assert!(found.is_clean(), "{}", found.difference.unwrap());
}

#[test]
fn value_that_no_guarantor_covers_is_found() {
    let mut town = Town::new(Broken::only(Break::NoGuarantor), 6);
    let (mut one, mut two) = (town.terminal(20), town.terminal(21));
    let (mut wallet, card) = town.wallet(10);
    let mut copy = town.copy(&wallet, 10);
    town.pay((&mut wallet, card), &mut one, 9_000);
    town.pay((&mut copy, card), &mut two, 8_000);
    town.update_terminal(&mut one);
    town.update_terminal(&mut two);
    let text = town.audit().difference.unwrap().to_string();
    assert!(text.contains("8000") && text.contains("posting claimed"), "{text}");
}

#[test]
fn a_sample_checks_fewer_signatures_and_finds_the_same_sums() {
    let town = ordinary();
    let connection = town.provider.store().connection();
    let all = audit(connection, &Options::default()).unwrap();
    for scope in [Scope::OneIn(3), Scope::Since(town::START.after(7200))] {
        let some = audit(connection, &Options { scope, ..Options::default() }).unwrap();
        assert!(some.is_clean() && some.signatures < all.signatures, "{scope:?}");
        assert_eq!(some.accounts, all.accounts);
    }
}

#[test]
fn another_root_than_the_one_pinned_is_found() {
    let town = ordinary();
    let root = Some(tegata_core::wire::signed::PublicKey::Ed25519([7; 32]));
    let options = Options { root, ..Options::default() };
    let found = audit(town.provider.store().connection(), &options).unwrap();
    assert!(found.difference.unwrap().about.contains("root"));
    let root = Some(town.provider.info().root);
    assert!(audit(town.provider.store().connection(), &Options { root, ..Options::default() }).unwrap().is_clean());
}
