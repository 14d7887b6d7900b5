//! Calls to trunks and to numbers that stand for somebody, told to a desk as SIP would tell it.

use super::*;
use crate::town::{Parts, rate, telephone};
use tegata_core::Time;
use tegata_core::record::Batch;
use tegata_core::talk::call::{Caller, CallerNotice, WalletCall};
use tegata_core::talk::reach::StandsFor;
use tegata_core::wire::canonical::Wire;
use tegata_crypto_native::entropy;
use tegata_device::WalletTap;
use tegata_vault::{MemoryVault, SqliteVault};
use tegata_wallet::Wallet;

const DIALLED: &str = "0021482910375528";
const PHONE: &str = "+4930100";
/// Begins alike, and is a number abroad.
const ABROAD: &str = "0021355512345";

fn now() -> Now {
    now_at(0)
}
pub(super) fn now_at(seconds: u64) -> Now {
    Now { time: Time(1_800_000_000 + seconds), entropy: entropy::fresh() }
}

/// A desk that knows whom [`DIALLED`] stands for, and a wallet with a telephone card.
fn desk() -> (Desk<MemoryVault>, Wallet<MemoryVault>, Caller) {
    let (mut desk, wallet, _, caller) = desk_on(MemoryVault::new(), 500);
    let caller = Caller { called: DIALLED.to_owned(), ..caller };
    stands_for(&mut desk, Some(PHONE));
    desk.phones.insert(PHONE.to_owned());
    (desk, wallet, caller)
}

/// The provider says for which phone [`DIALLED`] stands.
fn stands_for<V: Vault>(desk: &mut Desk<V>, phone: Option<&str>) {
    let (phone, until) = (phone.map(str::to_owned), now().time.after(600));
    let stands = StandsFor { number: DIALLED.into(), phone, until, extensions: Default::default() };
    let mut kept = Batch::default();
    kept.put(StandsFor::key(DIALLED), stands.to_bytes());
    desk.switch.device.vault.commit(&kept).expect("kept");
}

fn proceed(call: u64, to: &str, route: Route, shown_as: Shown) -> Command {
    Command::Proceed { call: CallId(call), to: Number::read(to).expect("a number"), route, shown_as }
}

/// A desk over this vault, and a wallet with its keys' seed and a telephone card that holds so much.
pub(super) fn desk_on<V: Vault>(vault: V, holds: u64) -> (Desk<V>, Wallet<MemoryVault>, [u8; 32], Caller) {
    let Parts { switch, mut wallets, .. } = telephone(vault, vec![rate("0021", 5, 60_000)], holds, 1, now);
    let held = wallets.remove(0);
    let caller = held.caller(ABROAD, None);
    (Desk::new(switch), held.wallet, held.seed, caller)
}

/// Somebody with a phone dials, to a phone.
pub(super) fn asked_of(call: u64, ms: u64, body: Vec<u8>) -> sip::Event {
    match asked(call, (ABROAD, Route::Phone { contacts: 1 }), body) {
        sip::Event::Asked { call, caller, called, route, body, .. } => {
            sip::Event::Asked { call, caller, called, route, body, at: At(ms) }
        }
        other => other,
    }
}

fn asked(call: u64, (called, route): (&str, Route), body: Vec<u8>) -> sip::Event {
    sip::Event::Asked {
        call: CallId(call),
        caller: sip::Caller::Phone(Number::read("+4930200").expect("a number")),
        called: Number::read(called).expect("a number"),
        route,
        body: Some(Body(body)),
        at: At(0),
    }
}

/// Dials until somebody rings or the call is refused; gives what SIP is told at last.
fn dial(desk: &mut Desk<MemoryVault>, wallet: &mut Wallet<MemoryVault>, caller: &Caller, call: u64) -> Command {
    dial_to(desk, wallet, caller, (call, Route::Unknown))
}

fn dial_to<V: Vault>(
    desk: &mut Desk<V>,
    wallet: &mut Wallet<MemoryVault>,
    caller: &Caller,
    (call, route): (u64, Route),
) -> Command {
    let (mut tap, hello) = WalletTap::touch(WalletCall::new(caller.clone()), entropy::fresh()).expect("starts");
    let mut events = vec![asked(call, (&caller.called, route), hello)];
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
    let (mut desk, mut wallet, caller) = desk();
    let rings = |call| proceed(call, PHONE, Route::Phone { contacts: 0 }, Shown::Anonymous);
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
    let (mut desk, mut wallet, caller) = desk();
    desk.phones.clear();
    // Nobody has that number for a phone: whoever dials hears that nobody is there, as where a phone is off.
    let nowhere = |call| proceed(call, DIALLED, Route::Phone { contacts: 0 }, Shown::Anonymous);
    assert_eq!(dial(&mut desk, &mut wallet, &caller, 1), nowhere(1));
    let by = By::Callee { refused: Some(480) };
    desk.turn(vec![sip::Event::Ended { call: CallId(1), by, at: At(1) }], At(1), now).expect("turned");
    desk.out.clear();
    tegata_device::hang_up_all(&mut wallet.device, now()).expect("hung up");
    // The same where the provider has named no phone: its merchant is muted, or whoever it stands for is called elsewhere.
    stands_for(&mut desk, None);
    desk.phones.insert(PHONE.to_owned());
    assert_eq!(dial(&mut desk, &mut wallet, &caller, 2), nowhere(2));
}

#[test]
fn a_number_that_stands_for_nobody_any_more_is_looked_for_behind_no_trunk() {
    let (mut desk, mut wallet, caller) = desk();
    desk.switch.forget(DIALLED).expect("forgotten");
    let refused = dial_to(&mut desk, &mut wallet, &caller, (1, Route::Trunk("carrier".to_owned())));
    assert!(matches!(refused, Command::Refuse { status: 404, .. }), "{refused:?}");
}

#[test]
fn whoever_says_nothing_is_refused_after_a_while() {
    let (mut desk, wallet, caller) = desk();
    let (_, hello) = WalletTap::touch(WalletCall::new(caller), entropy::fresh()).expect("starts");
    desk.turn(vec![asked(1, (DIALLED, Route::Unknown), hello)], At(0), now).expect("turned");
    desk.out.clear();
    for (at, left) in [(59_999, 1), (60_000, 0)] {
        desk.turn(Vec::new(), At(at), now).expect("turned");
        assert_eq!(desk.lines.len(), left, "at {at} ms");
    }
    assert!(matches!(desk.out.last(), Some(Command::Refuse { status: 408, .. })), "{:?}", desk.out);
    drop(wallet);
}

#[test]
fn a_call_through_a_trunk_says_which_and_whose_it_is() {
    let (mut desk, mut wallet, caller) = desk();
    let caller = Caller { called: ABROAD.to_owned(), ..caller };
    let operator = PartyId([0x0b; 16]);
    desk.operators.insert("carrier".to_owned(), operator);
    for (call, trunk, paid) in [(1, "carrier", Some(operator)), (2, "other", None)] {
        let rings = dial_to(&mut desk, &mut wallet, &caller, (call, Route::Trunk(trunk.to_owned())));
        let (to, shown_as) = (Number::read(ABROAD), Number::read("+4930200").map(Shown::As));
        let (to, shown_as) = (to.expect("a number"), shown_as.expect("a number"));
        assert_eq!(rings, Command::Proceed { call: CallId(call), to, route: Route::Trunk(trunk.to_owned()), shown_as });
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

/// What a dead card is used for from here on nobody would be paid.
#[test]
fn a_call_ends_when_its_card_is_blocked() {
    let Parts { mut line, switch, mut wallets } =
        telephone(MemoryVault::new(), vec![rate("0021", 5, 60_000)], 500, 1, now);
    let (mut held, mut desk) = (wallets.remove(0), Desk::new(switch));
    let caller = held.caller(ABROAD, None);
    let rings = dial_to(&mut desk, &mut held.wallet, &caller, (1, Route::Trunk("carrier".to_owned())));
    assert!(matches!(rings, Command::Proceed { .. }), "{rings:?}");
    desk.turn(vec![sip::Event::Answered { call: CallId(1), at: At(1) }], At(1), now).expect("turned");
    desk.end_dead(At(2), now);
    assert_eq!(desk.lines.len(), 1, "nothing is known against it");
    desk.out.clear();
    line.0.lock().expect("one thread").block(held.card, now().time).expect("blocked");
    desk.switch.update(&mut line, now()).expect("updated");
    desk.end_dead(At(3), now);
    let Some(Command::HangUp { call: CallId(1), reason, body: Some(_) }) = desk.out.last() else {
        panic!("hung up with a receipt: {:?}", desk.out)
    };
    assert_eq!(
        reason.to_string(),
        "SIP;cause=403;text=\"the card is blocked; update the wallet and ask the provider\""
    );
    let ended: Vec<CallEnd> = desk.switch.records().expect("read").iter().map(|record| record.ended).collect();
    assert_eq!((ended.as_slice(), desk.lines.len()), ([CallEnd::CardBlocked].as_slice(), 0));
}

/// What the desk has not looked at yet happened all the same.
#[test]
fn a_call_that_was_hung_up_before_its_switch_is_stopped_ends_when_it_was() {
    let (mut desk, mut wallet, caller) = desk();
    for call in [1, 2] {
        let rings = dial_to(
            &mut desk,
            &mut wallet,
            &Caller { called: ABROAD.to_owned(), ..caller.clone() },
            (call, Route::Trunk("carrier".to_owned())),
        );
        assert!(matches!(rings, Command::Proceed { .. }), "{rings:?}");
        let happened = match call {
            1 => vec![
                sip::Event::Answered { call: CallId(1), at: At(1_000) },
                sip::Event::Ended { call: CallId(1), by: By::Caller, at: At(2_500) },
            ],
            _ => vec![sip::Event::Answered { call: CallId(2), at: At(4_000) }],
        };
        let open = desk.part(happened, At(5_000), now).expect("ended");
        assert_eq!(open, HashSet::from_iter((call == 2).then_some(CallId(2))), "{call}");
        let told = desk.out.drain(..).filter(|command| matches!(command, Command::HangUp { .. })).count();
        assert_eq!(told, usize::from(call == 2), "the first has hung up itself");
        tegata_device::hang_up_all(&mut wallet.device, now()).expect("hung up");
    }
    let ended: Vec<_> = desk.switch.records().expect("read").iter().map(|it| (it.ended, it.lasted)).collect();
    assert_eq!(ended, [(CallEnd::HungUp, Some(1_500)), (CallEnd::SwitchRestarted, Some(1_000))]);
    assert!(desk.lines.is_empty());
}

/// On a real store: what the provider has not recorded stays, however old it is.
#[test]
fn records_of_calls_go_when_they_are_old_and_recorded_and_numbers_when_their_time_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let vault = SqliteVault::create(folder.path().join("switch.db")).expect("created");
    let Parts { mut line, switch, mut wallets } = telephone(vault, vec![rate("0021", 5, 60_000)], 500, 1, now);
    let (mut held, mut desk) = (wallets.remove(0), Desk::new(switch));
    let caller = held.caller(ABROAD, None);
    for call in 1..=2 {
        dial_to(&mut desk, &mut held.wallet, &caller, (call, Route::Trunk("carrier".to_owned())));
        let ended = sip::Event::Ended { call: CallId(call), by: By::Callee { refused: Some(486) }, at: At(call) };
        desk.turn(vec![ended], At(call), now).expect("turned");
        desk.out.clear();
        tegata_device::hang_up_all(&mut held.wallet.device, now()).expect("hung up");
        if call == 1 {
            desk.switch.update(&mut line, now()).expect("updated");
        }
    }
    stands_for(&mut desk, Some(PHONE));
    let keep = crate::KEPT_DAYS * Time::DAY;
    let (young, old) = (now().time.after(keep), now().time.after(keep + 1));
    let left = |desk: &Desk<SqliteVault>| -> Vec<u64> {
        desk.switch.records().expect("read").iter().map(|record| record.number).collect()
    };
    let [first, second] = left(&desk)[..] else { panic!("two calls") };
    assert_eq!(desk.switch.prune(now().time, keep).expect("pruned"), 0);
    assert!(desk.switch.knows(DIALLED, now().time), "its time is not over");
    assert_eq!(desk.switch.prune(young, keep).expect("pruned"), 0);
    assert!(!desk.switch.knows(DIALLED, now().time), "it is removed, not only out of its time");
    assert_eq!((desk.switch.prune(old, keep).expect("pruned"), left(&desk)), (1, vec![second]), "not {first}");
    assert_eq!(desk.switch.prune(old, keep).expect("pruned"), 0, "nobody but this switch has it");
    desk.switch.update(&mut line, now()).expect("updated");
    assert_eq!((desk.switch.prune(old, keep).expect("pruned"), left(&desk)), (1, vec![]));
    // The log is pruned by the provider's word alone; and numbers of calls go on.
    let log = desk.switch.device.vault.scan(tegata_core::record::Space::Log, &[], usize::MAX).expect("read");
    assert_eq!(log.len(), 2);
    dial_to(&mut desk, &mut held.wallet, &caller, (3, Route::Trunk("carrier".to_owned())));
    let calls = desk.switch.calls().expect("read");
    assert_eq!(calls.iter().map(|call| call.tariff.claimed().transaction).collect::<Vec<_>>(), [second + 1]);
}
