//! Calls to trunks and to numbers that stand for somebody, told to a desk as SIP would tell it.

use super::*;
use std::sync::{Arc, Mutex};
use tegata_core::card::{CardKind, Terms};
use tegata_core::charging::Rate;
use tegata_core::record::Batch;
use tegata_core::step::Broken;
use tegata_core::talk::call::{Caller, CallerNotice, WalletCall};
use tegata_core::talk::reach::StandsFor;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, Time, Unit};
use tegata_crypto_native::{NativeVerifier, entropy};
use tegata_device::{Device, KeyRing, Post, PostError, WalletTap, join};
use tegata_issuer::Issuer;
use tegata_provider::{Keys, Provider};
use tegata_store::Store;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

const DIALLED: &str = "0021482910375528";
const PHONE: &str = "+4930100";

fn now() -> Now {
    now_at(0)
}
pub(super) fn now_at(seconds: u64) -> Now {
    Now { time: Time(1_800_000_000 + seconds), entropy: entropy::fresh() }
}

/// The provider, as far as its network is a call.
struct Line(Arc<Mutex<Provider>>);

impl Post for Line {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        Ok(self.0.lock().expect("one thread").handle(&envelopes, now().time, entropy::fresh()))
    }
}

fn joined(line: &mut Line, role: Role, owner: Option<PartyId>) -> Device<MemoryVault> {
    joined_on(line, MemoryVault::new(), &entropy::fresh(), role, owner)
}

fn joined_on<V: Vault>(line: &mut Line, vault: V, seed: &[u8; 32], role: Role, owner: Option<PartyId>) -> Device<V> {
    let ring = KeyRing::in_memory(Algorithm::Ed25519, seed);
    let mut device = Device::new(vault, ring, &NativeVerifier);
    let (token, info) = {
        let mut provider = line.0.lock().expect("one thread");
        let token = provider.invite(role, owner, "part", now().time, entropy::fresh()).expect("a token");
        (token, provider.info().clone())
    };
    join(&mut device, line, &info, &token, role, "part", now()).expect("joined");
    device
}

/// A desk that knows whom [`DIALLED`] stands for, and a wallet with a telephone card.
fn town() -> (Desk<MemoryVault>, Wallet<MemoryVault>, Caller) {
    let (mut desk, wallet, _, caller) = town_on(MemoryVault::new(), 500);
    let (phone, until) = (Some(PHONE.to_owned()), now().time.after(600));
    let stands = StandsFor { number: DIALLED.into(), phone, until, extensions: Default::default() };
    let mut kept = Batch::default();
    kept.put(StandsFor::key(DIALLED), stands.to_bytes());
    desk.switch.device.vault.commit(&kept).expect("kept");
    desk.phones.insert(PHONE.to_owned());
    (desk, wallet, caller)
}

/// A desk over this vault, and a wallet with its keys' seed and a telephone card that holds so much.
pub(super) fn town_on<V: Vault>(vault: V, holds: u64) -> (Desk<V>, Wallet<MemoryVault>, [u8; 32], Caller) {
    let at = now().time;
    let keys = Keys::new([9; 32], at);
    let provider = Provider::open(Store::memory().expect("memory"), keys, "Town", at, Broken::NONE);
    let mut line = Line(Arc::new(Mutex::new(provider.expect("a provider"))));
    let mut issuer = Issuer::new(joined(&mut line, Role::Issuer, None));
    let merchant = joined(&mut line, Role::Merchant, None);
    let owner = merchant.certificate().expect("joined").claimed().subject.party();
    let (keys, seed) = (entropy::fresh(), entropy::fresh());
    let mut switch = Switch::new(joined_on(&mut line, vault, &keys, Role::Switch, Some(owner)));
    let device = joined_on(&mut line, MemoryVault::new(), &seed, Role::Wallet, None);
    let mut wallet = Wallet::new(device, Algorithm::Ed25519);
    let rate = Rate {
        prefix: "0021".into(),
        when: None,
        setup: 0,
        price: 5,
        length: 60_000,
        minimum: 1,
        setup_kept: None,
        extensions: Default::default(),
    };
    issuer.set_tariff(&mut line, (Unit::USD, 0), vec![rate], now()).expect("set");
    let terms = Terms {
        issuer: issuer.party().expect("joined"),
        kind: CardKind::Telephone,
        unit: Unit::USD,
        name: "Calls".into(),
        max_payment: holds,
        offline_limit: holds,
        due_after: 30 * Time::DAY,
        list_age: 7 * Time::DAY,
        record_age: 7 * Time::DAY,
        max_balance: holds,
        handovers: 0,
        refundable: true,
        max_untouched: 0,
        register_within: None,
        program: None,
        ticket: None,
        extensions: Default::default(),
    };
    let face = Amount::new(Unit::USD, holds).expect("in range");
    let batch = issuer.order(&mut line, terms, face, (1, at.after(1_000 * Time::DAY)), now()).expect("ordered");
    issuer.activate(&mut line, batch, (1, 1), now()).expect("activated");
    let number = issuer.print(batch).expect("printed").remove(0).number.to_string();
    let card = wallet.install(&mut line, &number, None, now()).expect("installed");
    switch.update(&mut line, now()).expect("updated");
    let caller = Caller { payer: wallet.payer(card).expect("a card"), called: DIALLED.into(), limit: None };
    (Desk::new(switch), wallet, seed, caller)
}

/// Somebody with a phone dials, to a phone.
pub(super) fn asked_of(call: u64, ms: u64, body: Vec<u8>) -> sip::Event {
    match asked(call, Route::Phone { contacts: 1 }, body) {
        sip::Event::Asked { call, caller, called, route, body, .. } => {
            sip::Event::Asked { call, caller, called, route, body, at: At(ms) }
        }
        other => other,
    }
}

fn asked(call: u64, route: Route, body: Vec<u8>) -> sip::Event {
    sip::Event::Asked {
        call: CallId(call),
        caller: sip::Caller::Phone(Number::read("+4930200").expect("a number")),
        called: Number::read(DIALLED).expect("a number"),
        route,
        body: Some(Body(body)),
        at: At(0),
    }
}

/// Dials until somebody rings or the call is refused; gives what SIP is told at last.
fn dial(desk: &mut Desk<MemoryVault>, wallet: &mut Wallet<MemoryVault>, caller: &Caller, call: u64) -> Command {
    dial_to(desk, wallet, caller, (call, Route::Unknown))
}

fn dial_to(
    desk: &mut Desk<MemoryVault>,
    wallet: &mut Wallet<MemoryVault>,
    caller: &Caller,
    (call, route): (u64, Route),
) -> Command {
    let (mut tap, hello) = WalletTap::touch(WalletCall::new(caller.clone()), entropy::fresh()).expect("starts");
    let mut events = vec![asked(call, route, hello)];
    loop {
        desk.turn(std::mem::take(&mut events), At(0), now).expect("turned");
        for command in desk.out.drain(..).collect::<Vec<_>>() {
            let Command::Tell { body: Body(word), .. } = command else { return command };
            let mut step = tap.receive(&word, now(), &mut wallet.device).expect("the session holds");
            if step.notices.iter().any(|notice| matches!(notice, CallerNotice::Consent { .. })) {
                let more = tap.event(Event::Agreed, now(), &mut wallet.device).expect("agreed");
                step.frames.extend(more.frames);
            }
            let body =
                |frame| sip::Event::Body { call: CallId(call), from: Side::Caller, body: Body(frame), at: At(0) };
            events.extend(step.frames.into_iter().map(body));
        }
        assert!(!events.is_empty(), "nobody says anything");
    }
}

#[test]
fn a_number_that_stands_for_somebody_rings_once_and_shows_nobody_to_nobody() {
    let (mut desk, mut wallet, caller) = town();
    let to = Number::read(PHONE).expect("a number");
    let rings = |call| Command::Proceed { call: CallId(call), to: to.clone(), shown_as: Shown::Anonymous };
    assert_eq!(dial(&mut desk, &mut wallet, &caller, 1), rings(1));
    // While it rings, it is not called by a second one.
    let second = dial(&mut desk, &mut wallet, &caller, 2);
    assert!(matches!(second, Command::Refuse { status: 486, .. }), "{second:?}");
    // Nobody has answered: it can be called again.
    let by = By::Callee { refused: Some(480) };
    desk.turn(vec![sip::Event::Ended { call: CallId(1), by, at: At(1) }], At(1), now).expect("turned");
    desk.out.clear();
    tegata_device::hang_up_all(&mut wallet.device, now()).expect("hung up");
    assert_eq!(dial(&mut desk, &mut wallet, &caller, 3), rings(3));
    let calls = desk.switch.calls().expect("read");
    assert!(calls.iter().all(|call| call.tariff.claimed().called == DIALLED && call.through.is_none()));
    desk.turn(vec![sip::Event::Answered { call: CallId(3), at: At(2) }], At(2), now).expect("turned");
    desk.out.clear();
    let third = dial(&mut desk, &mut wallet, &caller, 4);
    assert!(matches!(third, Command::Refuse { status: 404, .. }), "once only: {third:?}");
}

#[test]
fn a_number_that_stands_for_no_phone_of_this_switch_rings_nowhere() {
    let (mut desk, mut wallet, caller) = town();
    desk.phones.clear();
    let refused = dial(&mut desk, &mut wallet, &caller, 1);
    assert!(matches!(refused, Command::Refuse { status: 404, .. }), "{refused:?}");
}

#[test]
fn a_call_through_a_trunk_says_which_and_whose_it_is() {
    let (mut desk, mut wallet, caller) = town();
    desk.switch.forget(DIALLED).expect("forgotten");
    let operator = PartyId([0x0b; 16]);
    desk.operators.insert("carrier".to_owned(), operator);
    for (call, trunk, paid) in [(1, "carrier", Some(operator)), (2, "other", None)] {
        let rings = dial_to(&mut desk, &mut wallet, &caller, (call, Route::Trunk(trunk.to_owned())));
        let (to, shown_as) = (Number::read(DIALLED), Number::read("+4930200").map(Shown::As));
        let (to, shown_as) = (to.expect("a number"), shown_as.expect("a number"));
        assert_eq!(rings, Command::Proceed { call: CallId(call), to, shown_as });
        let ended = sip::Event::Ended { call: CallId(call), by: By::Callee { refused: Some(486) }, at: At(call) };
        desk.turn(vec![ended], At(call), now).expect("turned");
        desk.out.clear();
        tegata_device::hang_up_all(&mut wallet.device, now()).expect("hung up");
        let record = desk.switch.records().expect("read").pop().expect("one");
        assert_eq!((record.trunk.as_deref(), record.operator), (Some(trunk), paid));
    }
    // What it logs for the provider says so, too.
    let log = desk.switch.device.vault.scan(tegata_core::record::Space::Log, &[], usize::MAX).expect("read");
    let entries =
        log.iter().map(|(_, bytes)| tegata_core::talk::journal::LogEntry::from_bytes(bytes).expect("an entry"));
    let through: Vec<_> = entries.map(|entry| entry.through.map(|through| (through.trunk, through.operator))).collect();
    assert_eq!(through, [Some(("carrier".to_owned(), Some(operator))), Some(("other".to_owned(), None))]);
}
