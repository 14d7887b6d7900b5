//! Settlement, told against the real provider: fees, periods, payouts through the bank and what it says of them.

use crate::world;
use crate::world::{Person, World};
use tegata_core::step::{Break, Broken};
use tegata_core::talk::contract::{Contract, Tender};
use tegata_core::talk::report::{Report, ReportKind, ReportRequest};
use tegata_core::{Amount, CardId, PartyId, Time, Unit};
use tegata_iso20022::camt053::{
    Balance, Counterparty, Detail, Entry, Reason, Return, Side as BankSide, Statement, StatementHead,
};
use tegata_iso20022::pain001::{Batch, Transfer};
use tegata_iso20022::value::{Date, Iban, Text};
use tegata_provider::{Fee, Keys, Provider, ProviderError, SettleError};
use tegata_store::{PositionRow, PositionSide, Store, TransferState};

const OURS: &str = "DE89370400440532013000";
const SHOPS: &str = "GB82WEST12345698765432";

/// A world with a wallet, a card of 200.00 and a terminal.
fn ready() -> (World, Person, CardId, Person) {
    ready_over(Store::memory().expect("memory"), Broken::NONE)
}

fn ready_over(store: Store, broken: Broken) -> (World, Person, CardId, Person) {
    let mut world = World::over(store, broken);
    let numbers = world.order(2, 20_000, true);
    let (mut wallet, terminal) = (world.wallet(10), world.terminal(20));
    let card = world.install(&mut wallet, &numbers[0], 30);
    world.update(&mut wallet);
    (world, wallet, card, terminal)
}

/// 1.5 percent and 0.10 on payments by card, from the next moment on.
fn contract(world: &mut World) -> Contract {
    let (party, fee, now) = (world.merchant_id(), Fee { share: 15_000, fixed: 10 }, world.now);
    let made = world.provider.set_contract(party, (Tender::Cards, Unit::USD), fee, None, now).expect("a contract");
    world.now = world.now.after(60);
    made
}

fn audited(world: &World) -> tegata_audit::Audit {
    tegata_audit::audit(world.provider.store().connection(), &tegata_audit::Options::default()).expect("audited")
}

fn clean(world: &World) {
    world.balanced();
    let found = audited(world);
    assert!(found.is_clean(), "{}", found.difference.expect("one"));
}

/// The payee's or debtor's position.
fn position(rows: &[PositionRow], party: PartyId, side: PositionSide) -> PositionRow {
    *rows.iter().find(|row| (row.party, row.side) == (party, side)).expect("a position")
}

/// What is owed to payees is owed by issuers and guarantors: in what moved, not in what is carried or came back.
fn evens_out(rows: &[PositionRow]) {
    let moved = |payees: bool| -> i64 {
        let of = rows.iter().filter(|row| (row.side == PositionSide::Payee) == payees);
        of.map(|row| row.credited - row.undone - row.fees).sum()
    };
    assert_eq!(moved(true), moved(false), "{rows:?}");
}

fn details(world: &mut World) {
    let (shop, now) = (world.merchant_id(), world.now);
    world.provider.set_bank_account(None, "Tegata Town", (OURS, Some("COBADEFFXXX")), now).expect("ours");
    world.provider.set_bank_account(Some(shop), "Caf\u{e9} Shop", (SHOPS, None), now).expect("the shop's");
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new("text", text).expect("a text")
}

/// The bank's statement number `number` with these entries.
fn camt(world: &World, number: u64, entries: Vec<Entry>) -> Vec<u8> {
    let date = Date::of(world.now).expect("a day");
    let head = StatementHead {
        message: text(&format!("M{number}")),
        id: text(&format!("S{number}")),
        sequence: number,
        created: world.now,
        account: Iban::new(OURS).expect("an IBAN"),
        opening: Balance { amount: Amount::new(Unit::USD, 1_000_000).expect("small"), side: BankSide::Credit, date },
    };
    let written = Statement::new(head, date, entries).expect("a statement").write();
    let ours = Iban::new(OURS).expect("an IBAN");
    assert_eq!(Statement::read(&written, &ours).expect("within the schema's rules").write(), written);
    written
}

fn entry(world: &World, reference: &str, side: BankSide, transfer: &Transfer, why: Option<&str>) -> Entry {
    let account = Some(transfer.creditor.account.clone());
    let detail = Detail {
        end_to_end: Some(text(transfer.end_to_end.as_str())),
        amount: transfer.amount,
        side,
        counterparty: Some(Counterparty { name: None, account }),
        returned: why.map(|code| Return { reason: Some(Reason::Code(text(code))), text: None }),
    };
    Entry::of_one(text(reference), Date::of(world.now).expect("a day"), detail)
}

#[test]
fn each_payment_pays_its_fee_and_a_period_says_who_owes_whom() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    world.pay(&mut wallet, card, &mut terminal, 1_000);
    world.update(&mut terminal);
    let made = contract(&mut world);
    assert_eq!((made.version, made.from), (1, world::START.after(1)), "what came in this second is charged already");
    world.pay(&mut wallet, card, &mut terminal, 2_500); // 37.5 rounded half up, and 10
    world.pay(&mut wallet, card, &mut terminal, 5); // never more than the payment
    world.update(&mut terminal);
    world.update(&mut wallet);
    let (shop, bank, ours) = (world.merchant_id(), world.issuer_id(), world.provider.info().provider);
    let settled = world.provider.settle(world.now).expect("settled");
    evens_out(&settled.positions);
    let shops = position(&settled.positions, shop, PositionSide::Payee);
    assert_eq!((shops.credited, shops.undone, shops.fees, shops.due), (3_505, 0, 48 + 5, 3_452));
    let fees = position(&settled.positions, ours, PositionSide::Payee);
    assert_eq!((fees.fees, fees.due), (-53, 53));
    assert_eq!(position(&settled.positions, bank, PositionSide::Issuer).due, 3_505);
    assert_eq!(settled.payouts.iter().map(|row| (row.party, row.amount)).collect::<Vec<_>>(), [(shop, 3_452)]);
    assert_eq!(world.sums()[3..5], [0, 3_505]);
    clean(&world);
    // The period is closed: another one begins, and is empty.
    let again = world.provider.settle(world.now).expect("settled");
    assert_eq!((again.period, again.payouts.len(), again.positions.len()), (2, 0, 0));
    assert_eq!(world.provider.owed(Some(1)).expect("kept").1, settled.positions);
    clean(&world);
}

#[test]
fn a_void_gives_the_fee_back_also_after_the_payout_and_what_is_owed_is_carried_on() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    contract(&mut world);
    let early = world.pay(&mut wallet, card, &mut terminal, 3_000);
    world.update(&mut terminal);
    world.end(&mut terminal, early, true);
    world.update(&mut terminal);
    assert_eq!(world.sums()[3..5], [0, 0], "voided before the payout: no fee is left");
    let sold = world.pay(&mut wallet, card, &mut terminal, 4_000);
    world.update(&mut terminal);
    let (shop, ours) = (world.merchant_id(), world.provider.info().provider);
    assert_eq!(world.provider.settle(world.now).expect("settled").payouts[0].amount, 3_930);
    world.end(&mut terminal, sold, true);
    world.update(&mut terminal);
    clean(&world);
    let owing = world.provider.settle(world.now).expect("settled");
    evens_out(&owing.positions);
    assert!(owing.payouts.is_empty());
    let shops = position(&owing.positions, shop, PositionSide::Payee);
    assert_eq!((shops.carried, shops.undone, shops.fees, shops.due), (0, 4_000, -70, -3_930));
    assert_eq!(position(&owing.positions, ours, PositionSide::Payee).due, -70, "the provider owes its fee as well");
    assert_eq!(position(&owing.positions, world.issuer_id(), PositionSide::Issuer).due, -4_000);
    clean(&world);
    // A period in which nothing happens carries it on.
    let idle = world.provider.settle(world.now).expect("settled");
    assert_eq!(position(&idle.positions, shop, PositionSide::Payee).due, -3_930);
    world.update(&mut wallet);
    world.pay(&mut wallet, card, &mut terminal, 10_000);
    world.update(&mut terminal);
    let after = world.provider.settle(world.now).expect("settled");
    let shops = position(&after.positions, shop, PositionSide::Payee);
    assert_eq!((shops.carried, shops.credited, shops.fees, shops.due), (-3_930, 10_000, 160, 5_910));
    assert_eq!(after.payouts[0].amount, 5_910);
    clean(&world);
}

#[test]
fn contracts_count_from_their_moment_and_never_backwards() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    let (shop, now) = (world.merchant_id(), world.now);
    let set = |world: &mut World, share, from, now| {
        world.provider.set_contract(shop, (Tender::Cards, Unit::USD), Fee { share, fixed: 0 }, from, now)
    };
    assert!(matches!(set(&mut world, 1_000_001, None, now), Err(ProviderError::Settle(SettleError::Fee))));
    let past = Some(Time(now.0 - 1));
    assert!(matches!(set(&mut world, 10_000, past, now), Err(ProviderError::Settle(SettleError::Past))));
    set(&mut world, 10_000, None, now).expect("one percent");
    set(&mut world, 20_000, Some(now.after(1_000)), now).expect("two percent, later");
    let nobody = PartyId([9; 16]);
    let unknown =
        world.provider.set_contract(nobody, (Tender::Cards, Unit::USD), Fee { share: 1, fixed: 1 }, None, now);
    assert!(matches!(unknown, Err(ProviderError::Unknown)));
    for (later, fee) in [(1, 10), (1_000, 20), (2_000, 20)] {
        world.now = now.after(later);
        world.pay(&mut wallet, card, &mut terminal, 1_000);
        world.update(&mut terminal);
        let settled = world.provider.settle(world.now).expect("settled");
        assert_eq!(position(&settled.positions, shop, PositionSide::Payee).fees, fee, "after {later} seconds");
    }
    clean(&world);
}

#[test]
fn a_late_claim_that_is_paid_after_all_pays_the_fee_of_its_arrival() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    contract(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 19_000);
    world.now = world.now.after(20 * Time::DAY);
    world.update(&mut terminal);
    world.update(&mut wallet);
    clean(&world);
    let settled = world.provider.settle(world.now).expect("settled");
    let row = position(&settled.positions, world.merchant_id(), PositionSide::Payee);
    assert_eq!((row.credited, row.fees), (19_000, 295));
}

#[test]
fn payouts_go_to_the_bank_once_and_come_back_as_owed() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    contract(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 5_000);
    world.update(&mut terminal);
    let first = world.provider.settle(world.now).expect("settled").period;
    let file = |world: &mut World, period| {
        let now = world.now;
        world.provider.payout_file(period, false, now)
    };
    let why = |found: Result<Vec<u8>, ProviderError>| found.expect_err("refused").to_string();
    assert!(why(file(&mut world, first + 1)).contains("not closed"));
    assert!(why(file(&mut world, first)).contains("account that pays"));
    let (shop, now) = (world.merchant_id(), world.now);
    let wrong = world.provider.set_bank_account(Some(shop), "Shop", ("GB83WEST12345698765432", None), now);
    assert!(wrong.expect_err("mistyped").to_string().contains("check digits"));
    world.provider.set_bank_account(None, "Tegata Town", (OURS, Some("COBADEFFXXX")), now).expect("ours");
    assert!(why(file(&mut world, first)).contains("no payee"), "waits, and is not lost");
    details(&mut world);
    let bytes = file(&mut world, first).expect("a file");
    world.now = world.now.after(Time::DAY);
    world.provider.set_bank_account(Some(shop), "Shop", (OURS, None), world.now).expect("moved");
    assert_eq!(file(&mut world, first).expect("again"), bytes, "the same bytes, whatever changed since");
    let batch = Batch::read(&bytes).expect("within the schema's rules");
    let [transfer] = batch.transfers() else { panic!("one payout: {batch:?}") };
    assert_eq!((transfer.amount.minor(), transfer.creditor.name.as_str()), (4_915, "Cafe Shop"));
    clean(&world);

    // Booked; the same statement again changes nothing.
    let booked = camt(&world, 1, vec![entry(&world, "R1", BankSide::Debit, transfer, None)]);
    let found = world.provider.reconcile(&booked, world.now).expect("reconciled");
    let row = |found: &tegata_provider::Reconciled| (found.payouts[0].transfer.state, found.payouts[0].changed);
    assert_eq!((found.new, row(&found)), (true, (TransferState::Booked, true)));
    let found = world.provider.reconcile(&booked, world.now).expect("reconciled");
    assert_eq!((found.new, row(&found)), (false, (TransferState::Booked, false)));

    // It comes back, beside something that nobody ordered; told twice, it is owed again once.
    let stray = Detail {
        end_to_end: None,
        counterparty: None,
        ..entry(&world, "x", BankSide::Credit, transfer, None).details.remove(0)
    };
    let date = Date::of(world.now).expect("a day");
    let back =
        vec![entry(&world, "R2", BankSide::Credit, transfer, Some("AC04")), Entry::of_one(text("R3"), date, stray)];
    let returned = camt(&world, 2, back);
    for time in 0..2 {
        let found = world.provider.reconcile(&returned, world.now).expect("reconciled");
        assert_eq!((found.new, row(&found)), (time == 0, (TransferState::CameBack, time == 0)));
        assert!(found.payouts[0].told.contains("closed"), "{}", found.payouts[0].told);
        assert_eq!((found.unordered.len(), found.contradictions.len()), (1, 0));
        assert_eq!(world.sums()[3..5], [4_915, 85], "payable again; the fee stays the provider's");
        clean(&world);
    }
    let settled = world.provider.settle(world.now).expect("settled");
    let shops = position(&settled.positions, shop, PositionSide::Payee);
    assert_eq!((shops.returned, shops.credited, shops.due), (4_915, 0, 4_915));
    assert_eq!(world.provider.owed(Some(first)).expect("kept").1.len(), 3, "the period before stays as it was");
    let second = file(&mut world, settled.period).expect("a file");
    let again = Batch::read(&second).expect("reads");
    assert_ne!(again.transfers()[0].end_to_end, transfer.end_to_end, "a new payout has a new name");
    assert_ne!(again.head().message, batch.head().message);
    clean(&world);
}

#[test]
fn what_the_bank_books_otherwise_is_shown_to_a_person() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    details(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 5_000);
    world.update(&mut terminal);
    let period = world.provider.settle(world.now).expect("settled").period;
    let bytes = world.provider.payout_file(period, false, world.now).expect("a file");
    let transfer = Batch::read(&bytes).expect("reads").transfers()[0].clone();
    let empty = world.provider.reconcile(&camt(&world, 1, Vec::new()), world.now).expect("reconciled");
    assert_eq!((empty.payouts[0].transfer.state, empty.payouts[0].changed), (TransferState::Ordered, false));
    assert!(empty.payouts[0].told.contains("no statement"), "missing");
    let less = Transfer { amount: Amount::new(Unit::USD, 4_999).expect("small"), ..transfer.clone() };
    let wrong = camt(&world, 2, vec![entry(&world, "R1", BankSide::Debit, &less, None)]);
    let found = world.provider.reconcile(&wrong, world.now).expect("reconciled");
    assert_eq!(found.payouts[0].transfer.state, TransferState::Differs);
    assert_eq!(world.sums()[3..5], [0, 5_000], "nothing is posted on a guess (R26)");
    // Another account's statement, and no statement at all.
    let other = String::from_utf8(wrong).expect("text").replace(OURS, SHOPS);
    assert!(world.provider.reconcile(other.as_bytes(), world.now).is_err());
    assert!(world.provider.reconcile(b"<Document/>", world.now).is_err());
    clean(&world);
}

#[test]
fn a_payout_that_came_back_after_a_void_owes_only_what_stands() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    contract(&mut world);
    details(&mut world);
    let undone = world.pay(&mut wallet, card, &mut terminal, 2_000);
    world.pay(&mut wallet, card, &mut terminal, 3_000);
    world.update(&mut terminal);
    let period = world.provider.settle(world.now).expect("settled").period;
    let bytes = world.provider.payout_file(period, false, world.now).expect("a file");
    let transfer = Batch::read(&bytes).expect("reads").transfers()[0].clone();
    world.end(&mut terminal, undone, true);
    world.update(&mut terminal);
    let refused = vec![
        entry(&world, "R1", BankSide::Debit, &transfer, None),
        entry(&world, "R2", BankSide::Credit, &transfer, Some("AC01")),
    ];
    world.provider.reconcile(&camt(&world, 1, refused), world.now).expect("reconciled");
    clean(&world);
    let settled = world.provider.settle(world.now).expect("settled");
    evens_out(&settled.positions);
    // 30.00 less 0.55 stands; 20.00 less 0.40 was undone.
    assert_eq!(settled.payouts[0].amount, 2_945);
    clean(&world);
}

#[test]
fn a_crash_around_the_commit_leaves_the_period_open_or_closed_whole() {
    // What a settlement comes to without any fault.
    let (mut world, mut wallet, card, mut terminal) = ready();
    contract(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 5_000);
    world.update(&mut terminal);
    let before = world.provider.snapshot().expect("a copy");
    let expected = world.provider.settle(world.now).expect("settled");

    // The power goes out after everything was written and before it is durable.
    let open = |bytes: &[u8], broken| {
        let store = Store::restore(bytes).expect("restored");
        Provider::open(store, Keys::new([9; 32], world::START), "Town", world.now, broken).expect("opened")
    };
    let mut cut = open(&before, Broken::only(Break::AcknowledgeBeforeCommit));
    cut.settle(world.now).expect("said to be settled");
    let (store, keys) = cut.crash();
    let mut after = Provider::open(store, keys.expect("its keys"), "Town", world.now, Broken::NONE).expect("opened");
    assert_eq!(after.store().last_period().expect("read"), 0);
    let settled = after.settle(world.now).expect("settled");
    assert_eq!(
        (settled.period, settled.positions, settled.payouts),
        (1, expected.positions.clone(), expected.payouts.clone())
    );

    // The last write fails, whichever it is: nothing of the period is there.
    for table in ["posting", "position", "payout", "transfer", "trial_balance", "period", "movement", "balance"] {
        let mut full = open(&before, Broken::NONE);
        let fail =
            format!("CREATE TEMP TRIGGER full BEFORE INSERT ON main.{table} BEGIN SELECT RAISE(ABORT, 'full'); END");
        full.store().connection().execute_batch(&fail).expect("planted");
        let done = full.settle(world.now);
        // No row of this table is written by a settlement alone: movements and balances were there.
        assert!(done.is_err() || matches!(table, "movement" | "balance"), "{table}");
        full.store().connection().execute_batch("DROP TRIGGER full").expect("mended");
        if done.is_err() {
            assert_eq!(full.store().last_period().expect("read"), 0, "{table}");
            let settled = full.settle(world.now).expect("settled");
            assert_eq!((settled.period, settled.positions), (1, expected.positions.clone()), "{table}");
        }
        let found = tegata_audit::audit(full.store().connection(), &tegata_audit::Options::default()).expect("audited");
        assert!(found.is_clean(), "{table}: {:?}", found.difference);
    }

    // Settled, and nobody heard: asked again, an empty period closes, and the payouts are still there.
    let mut unheard = open(&before, Broken::NONE);
    unheard.settle(world.now).expect("settled");
    let (store, keys) = unheard.crash();
    let mut after = Provider::open(store, keys.expect("its keys"), "Town", world.now, Broken::NONE).expect("opened");
    assert!(after.settle(world.now).expect("settled").payouts.is_empty());
    assert_eq!(after.payouts(1).expect("kept"), expected.payouts);
}

#[test]
fn a_statement_shows_fees_periods_payouts_and_the_signed_contract() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    contract(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 5_000);
    world.update(&mut terminal);
    world.provider.settle(world.now).expect("settled");
    let body = ReportRequest {
        report: ReportKind::MerchantStatement,
        party: world.merchant_id(),
        from: Time(0),
        until: Time::END,
        device: None,
        event: None,
        extensions: Default::default(),
    };
    let mut owner = std::mem::replace(&mut world.merchant, world::blank(250));
    let report: Report = world.ask(&mut owner, body).expect("a statement");
    let said: serde_json::Value = serde_json::from_slice(&report.content.0).expect("JSON");
    let text = |path: &str| said.pointer(path).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    assert_eq!(
        [text("/payments/0/amount"), text("/payments/0/fee"), text("/payments/0/net")],
        ["50.00", "0.85", "49.15"]
    );
    assert_eq!(
        [text("/periods/0/due"), text("/periods/0/fees"), text("/payouts/0/amount")],
        ["49.15", "0.85", "49.15"]
    );
    assert_eq!([text("/payouts/0/state"), text("/contracts/0/percent")], ["waiting", "1.5000"]);
    let signed: Vec<u8> = text("/contracts/0/signed")
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("hexadecimal"))
        .collect();
    let signed = tegata_core::wire::signed::Signed::<Contract>::decode(&signed).expect("a contract");
    let key = world.provider.signing_key(world.now);
    assert!(signed.verify(&key, &[], &tegata_crypto_native::NativeVerifier).is_ok());
}

#[test]
fn the_auditor_names_wrong_fees_positions_payouts_and_orders() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    contract(&mut world);
    details(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 5_000);
    let undone = world.pay(&mut wallet, card, &mut terminal, 3_000);
    world.update(&mut terminal);
    let period = world.provider.settle(world.now).expect("settled").period;
    world.provider.payout_file(period, false, world.now).expect("a file");
    world.end(&mut terminal, undone, true);
    world.update(&mut terminal);
    clean(&world);
    let before = world.provider.snapshot().expect("a copy");
    let mut missed = Vec::new();
    for (change, words) in [
        ("UPDATE posting SET amount = amount + 1 WHERE what = 15 AND amount = 85", &["the fee of", "85", "86"][..]),
        ("DELETE FROM posting WHERE what = 15 AND amount = 85", &["the fee of", "85", "nothing"]),
        ("DELETE FROM posting WHERE what = 16", &["the fee of", "nothing", "55"]),
        ("UPDATE posting SET party = zeroblob(16) WHERE what = 15 AND amount = 85", &["the fee of", "other accounts"]),
        ("UPDATE posting SET target = 2 WHERE what = 15 AND amount = 85", &["no such movement"]),
        ("UPDATE posting SET period = 2 WHERE what = 5 AND amount = 5000", &["period 1", "8000"]),
        ("UPDATE contract SET counts_from = counts_from + 1", &["contract 1 of party-", "no such contract"]),
        ("UPDATE contract SET body = CAST(substr(body, 1, 40) || x'00' || substr(body, 42) AS BLOB)", &["contract 1"]),
        ("DELETE FROM contract", &["the fee of", "nothing"]),
        ("UPDATE position SET due = due + 1 WHERE side = 1", &["due to party-"]),
        ("UPDATE position SET credited = credited + 1 WHERE side = 2", &["owed by party-"]),
        ("DELETE FROM position WHERE side = 2", &["owed by party-"]),
        ("UPDATE movement SET fees = fees - 1 WHERE fees > 0", &["was credited in period"]),
        ("UPDATE payout SET amount = amount + 5", &["paid to merchant"]),
        ("UPDATE transfer SET amount = amount + 5", &["paid out to party-", "by bank"]),
        ("UPDATE transfer SET end_to_end = 'T9P9-x-USD'", &["the payout T9P9-x-USD", "0 ordered"]),
        ("DELETE FROM transfer", &["paid out to party-", "0 by bank"]),
        ("UPDATE transfer SET back = 1", &["paid to merchant"]),
        ("UPDATE payout_file SET body = CAST(replace(body, '78.60', '78.61') AS BLOB)", &["the orders of period 1"]),
        ("UPDATE trial_balance SET amount = amount + 1 WHERE kind IN (1, 2)", &["trial balance of period 1", "issued"]),
        ("DELETE FROM trial_balance", &["trial balance of period 1"]),
    ] {
        let changed = Store::restore(&before).expect("restored");
        changed.connection().execute_batch(change).expect(change);
        let audit = tegata_audit::audit(changed.connection(), &tegata_audit::Options::default()).expect("audited");
        let said = audit.difference.map_or("nothing found".to_owned(), |found| found.to_string());
        println!("{change}:\n    {said}");
        if !words.iter().all(|word| said.contains(word)) {
            missed.push(format!("{change}: {said}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn what_a_guarantor_covers_the_issuer_does_not_owe() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    let copy = wallet.vault.clone();
    world.pay(&mut wallet, card, &mut terminal, 18_000);
    let honest = std::mem::replace(&mut wallet.vault, copy);
    world.pay(&mut wallet, card, &mut terminal, 7_000);
    wallet.vault = honest;
    world.update(&mut terminal);
    let settled = world.provider.settle(world.now).expect("settled");
    evens_out(&settled.positions);
    let issuer = world.issuer_id();
    assert_eq!(position(&settled.positions, issuer, PositionSide::Issuer).due, 20_000);
    assert_eq!(position(&settled.positions, issuer, PositionSide::Guarantor).due, 5_000);
    assert_eq!(settled.payouts[0].amount, 25_000);
    clean(&world);
}

#[test]
fn a_database_of_before_goes_on_with_what_stood() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    let sold = world.pay(&mut wallet, card, &mut terminal, 4_000);
    world.update(&mut terminal);
    world.provider.settle(world.now).expect("settled");
    world.pay(&mut wallet, card, &mut terminal, 500);
    world.update(&mut terminal);
    // As the migration leaves it: postings of no period, no positions, payouts that no bank was told of by a file.
    let aged =
        "UPDATE posting SET period = 0; UPDATE period SET stamped = 0; DELETE FROM movement; DELETE FROM position;
        DELETE FROM transfer;";
    world.provider.store().connection().execute_batch(aged).expect("aged");
    clean(&world);
    world.pay(&mut wallet, card, &mut terminal, 300);
    world.update(&mut terminal);
    let settled = world.provider.settle(world.now).expect("settled");
    let shops = position(&settled.positions, world.merchant_id(), PositionSide::Payee);
    assert_eq!((settled.period, shops.carried, shops.credited, shops.due), (2, 500, 300, 800));
    clean(&world);
    world.end(&mut terminal, sold, true);
    world.update(&mut terminal);
    let settled = world.provider.settle(world.now).expect("settled");
    assert_eq!(position(&settled.positions, world.merchant_id(), PositionSide::Payee).due, -4_000);
    clean(&world);
}

/// Numbers from a seed (xorshift64*): enough for a walk, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % most
    }
}

/// One payment of a walk: its transaction, amount and fee, and whether it stands.
struct Paid {
    transaction: u64,
    amount: u64,
    fee: u64,
    stands: bool,
}

#[test]
fn whatever_happens_every_cent_is_paid_once_or_carried_on() {
    for seed in 1..=8 {
        walk(seed);
    }
}

fn walk(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (mut world, mut wallet, card, mut terminal) = ready();
    details(&mut world);
    let shop = world.merchant_id();
    let (mut paid, mut fee) = (Vec::<Paid>::new(), Fee { share: 0, fixed: 0 });
    let (mut statements, mut bank) = (0, std::collections::BTreeMap::<String, u64>::new());
    for _ in 0..40 {
        world.now = world.now.after(3_600);
        match dice.below(8) {
            0..=2 => {
                let amount = 1 + dice.below(900);
                let transaction = world.pay(&mut wallet, card, &mut terminal, amount);
                // The exact share by another way than the provider's: by whole cents and what is left of them.
                let left = amount * fee.share % 1_000_000;
                let share = amount * fee.share / 1_000_000 + u64::from(left >= 500_000);
                paid.push(Paid { transaction, amount, fee: (share + fee.fixed).min(amount), stands: true });
                world.update(&mut terminal);
            }
            3 => {
                let standing: Vec<usize> = (0..paid.len()).filter(|at| paid[*at].stands).collect();
                if !standing.is_empty() {
                    let one = &mut paid[standing[dice.below(standing.len() as u64) as usize]];
                    one.stands = false;
                    world.end(&mut terminal, one.transaction, true);
                    world.update(&mut terminal);
                    world.update(&mut wallet);
                }
            }
            4 => {
                fee = Fee { share: dice.below(60_000), fixed: dice.below(20) };
                let now = world.now;
                world.provider.set_contract(shop, (Tender::Cards, Unit::USD), fee, None, now).expect("a contract");
            }
            5 | 6 => evens_out(&world.provider.settle(world.now).expect("settled").positions),
            _ => {
                let last = world.provider.store().last_period().expect("read");
                if let Ok(file) = world.provider.payout_file(last, false, world.now) {
                    let mut transfers = Batch::read(&file).expect("reads").transfers().to_vec();
                    transfers.retain(|one| !bank.contains_key(one.end_to_end.as_str()));
                    let mut entries = Vec::new();
                    statements += 1;
                    for (at, one) in transfers.iter().enumerate() {
                        let back = dice.below(3) == 0;
                        entries.push(entry(&world, &format!("D{statements}-{at}"), BankSide::Debit, one, None));
                        if back {
                            let reference = format!("C{statements}-{at}");
                            entries.push(entry(&world, &reference, BankSide::Credit, one, Some("AC01")));
                        }
                        bank.insert(one.end_to_end.to_string(), if back { 0 } else { one.amount.minor() });
                    }
                    let statement = camt(&world, statements, entries);
                    world.provider.reconcile(&statement, world.now).expect("reconciled");
                }
            }
        }
        clean(&world);
    }
    // All is settled and ordered; the bank pays what it was told.
    world.now = world.now.after(3_600);
    let last = world.provider.settle(world.now).expect("settled");
    let transfers = world.provider.store().transfers_of(shop).expect("read");
    let out: u64 = transfers.iter().filter(|row| row.back.is_none()).map(|row| row.amount).sum();
    let owing = last.positions.iter().find(|row| (row.party, row.side) == (shop, PositionSide::Payee));
    let owing = owing.map_or(0, |row| row.due.min(0).unsigned_abs());
    let due: u64 = paid.iter().filter(|one| one.stands).map(|one| one.amount - one.fee).sum();
    assert_eq!(out - owing, due, "seed {seed}: paid out, less what is carried on, is what stands, less its fees");
    let back = transfers.iter().filter(|row| row.back.is_some()).count();
    let given: usize = bank.values().filter(|amount| **amount == 0).count();
    assert_eq!(back, given, "seed {seed}: what the bank gave back is owed again, once each");
}

#[test]
fn a_provider_put_back_from_a_backup_orders_nothing_before_somebody_has_compared() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    details(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 5_000);
    world.update(&mut terminal);
    let backup = world.provider.snapshot().expect("a copy");
    let period = world.provider.settle(world.now).expect("settled").period;
    let lost = Batch::read(&world.provider.payout_file(period, false, world.now).expect("a file")).expect("reads");

    let store = Store::restore(&backup).expect("restored");
    world.provider =
        Provider::open(store, Keys::new([9; 32], world::START), "Town", world.now, Broken::NONE).expect("opened");
    world.now = world.now.after(60);
    world.provider.restored(world.now).expect("a new epoch");
    assert_eq!(world.provider.settle(world.now).expect("settled").period, period);
    let refused = world.provider.payout_file(period, false, world.now);
    assert!(matches!(refused, Err(ProviderError::Settle(SettleError::Restored))));
    let file = world.provider.payout_file(period, true, world.now).expect("a person has looked");
    let batch = Batch::read(&file).expect("reads");
    assert_ne!(batch.head().message, lost.head().message, "no name is used twice");
    assert_ne!(batch.transfers()[0].end_to_end, lost.transfers()[0].end_to_end);
    // What the bank paid by the forgotten orders is shown.
    let statement = camt(&world, 1, vec![entry(&world, "R1", BankSide::Debit, &lost.transfers()[0], None)]);
    let found = world.provider.reconcile(&statement, world.now).expect("reconciled");
    assert_eq!((found.unordered.len(), found.payouts[0].transfer.state), (1, TransferState::Ordered));
    clean(&world);
}

#[test]
fn a_single_cent_is_paid_out_and_a_payment_that_its_fee_eats_is_none() {
    let (mut world, mut wallet, card, mut terminal) = ready();
    details(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 1);
    world.update(&mut terminal);
    assert_eq!(world.provider.settle(world.now).expect("settled").payouts[0].amount, 1);
    contract(&mut world);
    world.pay(&mut wallet, card, &mut terminal, 1);
    world.update(&mut terminal);
    let settled = world.provider.settle(world.now).expect("settled");
    assert!(settled.payouts.is_empty());
    assert_eq!(position(&settled.positions, world.merchant_id(), PositionSide::Payee).due, 0);
    assert_eq!(position(&settled.positions, world.provider.info().provider, PositionSide::Payee).due, 1);
    let refused = world.provider.payout_file(settled.period, false, world.now);
    assert!(Batch::read(&refused.expect("the cent of the period before")).expect("reads").transfers().len() == 1);
    clean(&world);
}
