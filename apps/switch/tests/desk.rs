//! A switch with everything that is real about it: SIP over loopback, the desk, wallets that pay, phones that ring; and all agree on
//! what each call cost.

use crate::town::{Held, Line, Parts, audited, now, rate, telephone};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tegata_core::card::CallEnd;
use tegata_core::charging::Rate;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::call::CallerNotice;
use tegata_device::hang_up_all;
use tegata_sip::phones::digest::secret;
use tegata_sip::{
    Algorithm as Digest, Config, Line as PhoneLine, Number, Passwords, Phone, PhoneCommand, PhoneConfig, PhoneEvent,
};
use tegata_switch::SwitchError;
use tegata_switch::desk::{Desk, Done};
use tegata_vault::{Found, MemoryVault, Vault, VaultError};
use tegata_wallet::{Called, Heard, Person, PhoneError, Speaker, call, registered};
use tokio::sync::watch;

/// Whoever is called.
const BOB: &str = "09430002";
/// A unit: 5 cents for 0.3 seconds, so that a card lasts for three seconds.
const PRICE: u64 = 5;
const LENGTH: u64 = 1_000;
/// As short as a link pays for, to numbers that begin with 0945.
const SHORT: u64 = 200;
const FACE: u64 = 50;

/// A vault whose next write fails when it is told to.
#[derive(Default)]
struct Fragile(MemoryVault, Arc<AtomicBool>);

impl Vault for Fragile {
    fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
        self.0.get(key)
    }
    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<Found>, VaultError> {
        self.0.scan(space, from, limit)
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        if self.1.swap(false, Ordering::Relaxed) {
            return Err(VaultError::Full);
        }
        self.0.commit(batch)
    }
}

/// Everybody's password is the same.
struct Sesame;

impl Passwords for Sesame {
    fn secret(&self, name: &str, realm: &str, algorithm: Digest) -> Option<String> {
        Some(secret(name, realm, "sesame", algorithm))
    }
}

type Served = (Desk<Fragile>, Result<(), SwitchError>);

struct Town {
    line: Line,
    held: Held,
    /// The next write of the switch fails.
    fails: Arc<AtomicBool>,
    at: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    desk: Option<std::thread::JoinHandle<Served>>,
    runtime: tokio::runtime::Runtime,
}

impl Town {
    /// A provider, an issuer, a switch that connects calls, and a wallet with a card.
    fn open(setup: u64, setup_kept: bool) -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let vault = Fragile(MemoryVault::new(), fails.clone());
        let charged =
            |prefix, length| Rate { setup, setup_kept: setup_kept.then_some(true), ..rate(prefix, PRICE, length) };
        let rates = vec![charged("0943", LENGTH), charged("0945", SHORT)];
        let Parts { line, switch, mut wallets } = telephone(vault, rates, FACE, 1, now);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let config = Config::new(std::net::SocketAddr::from(([127, 0, 0, 1], 0)), "town");
        let (sip, mut control) =
            runtime.block_on(tegata_sip::Switch::start(config, Sesame)).expect("the switch starts");
        let (at, (stop, stopped)) = (sip.address(), watch::channel(false));
        let desk = runtime.handle().clone();
        let desk = std::thread::spawn(move || {
            let mut serving = Desk::new(switch);
            let served = desk.block_on(serving.run(&sip, &mut control, stopped, now));
            (serving, served)
        });
        Self { line, held: wallets.remove(0), fails, at, stop, desk: Some(desk), runtime }
    }

    fn config(&self, number: &str) -> PhoneConfig {
        PhoneConfig::new(self.at, Number::read(number).expect("a number"), "sesame")
    }

    /// Somebody who does this with each call.
    fn callee(&self, number: &str, does: Callee) -> tokio::task::JoinHandle<()> {
        let config = PhoneConfig { lines: usize::from(!matches!(does, Callee::Busy)), ..self.config(number) };
        let (phone, mut line) = self.runtime.block_on(async {
            let (phone, mut line) = Phone::start(config).await.expect("a phone");
            registered(&mut line).await.expect("registered");
            (phone, line)
        });
        self.runtime.spawn(async move {
            let _phone = phone;
            does.serve(&mut line).await;
        })
    }

    /// The wallet calls, from a phone of its own.
    fn call(&mut self, to: &str, limit: Option<u64>, person: &mut Somebody) -> Result<Called, PhoneError> {
        let config = self.config("09430001");
        let caller = self.held.caller(to, limit);
        let device = &mut self.held.wallet.device;
        self.runtime.block_on(async {
            // A phone that is dropped before its line says no word more.
            let (phone, line) = Phone::start(config).await.expect("a phone");
            let mut line = line;
            let phone = phone;
            registered(&mut line).await?;
            let called = call(device, caller, &mut line, now, person).await;
            phone.stop().await;
            called
        })
    }

    /// Stops the switch, brings everybody up to date, and looks that all agree on what was used.
    fn agree(mut self, used: u64) -> (Desk<Fragile>, Done) {
        self.stop.send(true).expect("it runs");
        let (mut desk, served) = self.desk.take().expect("it runs").join().expect("it ran");
        served.expect("served");
        desk.switch.recover(now()).expect("recovered");
        desk.switch.update(&mut self.line, now()).expect("updated");
        self.held.update(&mut self.line, now());
        let recorded: u64 = desk.switch.records().expect("records").iter().map(|record| record.used.minor()).sum();
        assert_eq!((FACE - self.held.left(), recorded), (used, used));
        assert_eq!(audited(&self.line), i128::from(used));
        let done = desk.done();
        (desk, done)
    }
}

/// What whoever is called does.
enum Callee {
    Talks,
    HangsUpAfter(Duration),
    Busy,
    Declines,
    Ignores,
}

impl Callee {
    async fn serve(&self, line: &mut PhoneLine) {
        while let Some(event) = line.events.recv().await {
            let command = match (event, self) {
                (PhoneEvent::Incoming { call, .. }, Self::Talks | Self::HangsUpAfter(_)) => {
                    PhoneCommand::Answer { call }
                }
                (PhoneEvent::Incoming { call, .. }, Self::Declines) => PhoneCommand::Decline { call },
                (PhoneEvent::Answered { call }, Self::HangsUpAfter(after)) => {
                    tokio::time::sleep(*after).await;
                    PhoneCommand::HangUp { call, body: None }
                }
                _ => continue,
            };
            line.commands.send(command).expect("the phone runs");
        }
    }
}

/// Agrees, and goes after so many checks, or after a while of ringing.
struct Somebody {
    goes_after: u64,
    gives_up: Option<Duration>,
    vanishes: bool,
    checks: u64,
    rings: Option<Instant>,
    heard: Vec<CallerNotice>,
    texts: Vec<String>,
}

fn somebody(goes_after: u64) -> Somebody {
    let (heard, texts) = (Vec::new(), Vec::new());
    Somebody { goes_after, gives_up: None, vanishes: false, checks: 0, rings: None, heard, texts }
}

impl Person for Somebody {
    fn told(&mut self, notice: &CallerNotice) -> bool {
        self.checks += u64::from(matches!(notice, CallerNotice::Paid { .. }));
        self.heard.push(notice.clone());
        assert!(!(self.vanishes && self.checks >= self.goes_after), "vanished");
        true
    }
    fn ends(&mut self) -> bool {
        let tired = self.gives_up.zip(self.rings).is_some_and(|(after, since)| since.elapsed() > after);
        tired || self.checks >= self.goes_after
    }
}

impl Speaker for Somebody {
    fn hears(&mut self, what: &Heard) {
        match what {
            Heard::Ringing(_) => self.rings = Some(Instant::now()),
            Heard::Answered => self.gives_up = None,
            Heard::Text(text) => self.texts.push(text.clone()),
        }
    }
}

#[test]
fn whoever_calls_hangs_up_and_has_the_rest_back() {
    let mut town = Town::open(0, false);
    let _bob = town.callee(BOB, Callee::Talks);
    let mut person = somebody(3);
    let called = town.call(BOB, None, &mut person).expect("called");
    let receipt = called.receipt.clone().unwrap_or_else(|| panic!("no receipt: {called:?} {:?}", person.heard));
    let used = receipt.used.minor();
    assert!(receipt.ended == CallEnd::HungUp && (PRICE..=3 * PRICE).contains(&used), "{receipt:?}");
    let paid = called.paid.expect("paid").minor();
    assert!(paid == 3 * PRICE && called.returned.map(|back| back.minor()) == Some(paid - used), "{called:?}");
    let listed = town.held.wallet.calls().expect("calls");
    assert_eq!((listed.len(), listed[0].used, listed[0].called.as_str()), (1, Some(receipt.used), BOB));
    let (_, done) = town.agree(used);
    assert_eq!((done.asked, done.ended, done.refused), (1, 1, 0));
}

#[test]
fn whoever_is_called_hangs_up_and_the_receipt_comes_with_the_goodbye() {
    let mut town = Town::open(0, false);
    let _bob = town.callee(BOB, Callee::HangsUpAfter(Duration::from_millis(2_300)));
    let called = town.call(BOB, None, &mut somebody(u64::MAX)).expect("called");
    let receipt = called.receipt.clone().unwrap_or_else(|| panic!("no receipt: {called:?}"));
    assert_eq!((receipt.ended, called.reason.cause, called.doubtful), (CallEnd::CalledHungUp, 200, false));
    assert_eq!(receipt.used.minor(), 3 * PRICE, "{receipt:?}");
    town.agree(3 * PRICE);
}

#[test]
fn a_call_ends_when_the_card_does() {
    let mut town = Town::open(0, false);
    let _bob = town.callee(BOB, Callee::Talks);
    let mut person = somebody(u64::MAX);
    let called = town.call(BOB, None, &mut person).expect("called");
    let receipt = called.receipt.clone().unwrap_or_else(|| panic!("no receipt: {called:?} {:?}", person.heard));
    assert_eq!(
        (receipt.used.minor(), receipt.lasted, receipt.ended),
        (FACE, Some(FACE / PRICE * LENGTH), CallEnd::PaidTimeOver)
    );
    assert_eq!((called.reason.cause, called.reason.text.as_str()), (402, "What was paid for is over"));
    // In time, though the switch hears half a second before the end that no more is paid.
    let warned = person.heard.iter().any(|heard| matches!(heard, CallerNotice::Warned(left) if *left >= 5_000));
    assert!(warned && person.texts.iter().any(|text| text.starts_with("Paid time ends")), "{:?}", person.heard);
    assert_eq!(person.checks, FACE / PRICE);
    // An empty card calls nobody.
    let called = town.call(BOB, None, &mut somebody(u64::MAX)).expect("refused");
    assert_eq!(called.refused.as_deref(), Some("the card holds too little; load it or use another"));
    assert_eq!((called.paid, called.lasted), (None, None));
    town.agree(FACE);
}

/// Units of a fifth of a second: a check commits to a chain, and each link of it goes in the call's own INFO (R24).
#[test]
fn units_shorter_than_a_second_are_paid_by_links_until_the_card_ends() {
    let mut town = Town::open(0, false);
    let _carol = town.callee("09450003", Callee::Talks);
    let mut person = somebody(u64::MAX);
    let called = town.call("09450003", None, &mut person).expect("called");
    let receipt = called.receipt.clone().unwrap_or_else(|| panic!("no receipt: {called:?} {:?}", person.heard));
    assert_eq!((receipt.used.minor(), receipt.ended), (FACE, CallEnd::PaidTimeOver), "{called:?} {:?}", person.heard);
    // What is paid, and not a unit more: the wallet has said that no link follows.
    assert_eq!(receipt.lasted, Some(FACE / PRICE * SHORT));
    assert!(person.heard.iter().any(|heard| matches!(heard, CallerNotice::Warned(_))), "{:?}", person.heard);
    town.agree(FACE);
}

#[test]
fn a_wallet_that_stops_paying_is_warned_and_cut_at_the_paid_second() {
    let mut town = Town::open(0, false);
    let _bob = town.callee(BOB, Callee::Talks);
    let mut person = somebody(u64::MAX);
    let called = town.call(BOB, Some(4 * PRICE), &mut person).expect("called");
    let receipt = called.receipt.expect("a receipt");
    assert_eq!((receipt.used.minor(), receipt.lasted), (4 * PRICE, Some(4 * LENGTH)));
    assert!(person.heard.iter().any(|heard| matches!(heard, CallerNotice::Ending { why: None })));
    town.agree(4 * PRICE);
}

#[test]
fn a_wallet_that_vanishes_is_cut_off_when_what_it_paid_is_over() {
    let mut town = Town::open(0, false);
    let _bob = town.callee(BOB, Callee::Talks);
    let mut person = Somebody { vanishes: true, ..somebody(3) };
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| town.call(BOB, None, &mut person).map(drop)));
    assert!(gone.is_err());
    std::thread::sleep(Duration::from_millis(3 * LENGTH + 500));
    hang_up_all(&mut town.held.wallet.device, now()).expect("hung up");
    let (desk, _) = town.agree(3 * PRICE);
    let records = desk.switch.records().expect("records");
    assert_eq!((records[0].ended, records[0].lasted), (CallEnd::PaidTimeOver, Some(3 * LENGTH)));
}

#[test]
fn busy_declined_and_unanswered_calls_cost_nothing() {
    let mut town = Town::open(20, false);
    for (at, does) in [Callee::Busy, Callee::Declines, Callee::Ignores].into_iter().enumerate() {
        let number = format!("0943001{at}");
        let _them = town.callee(&number, does);
        let mut person = Somebody { gives_up: Some(Duration::from_millis(300)), ..somebody(u64::MAX) };
        let called = town.call(&number, None, &mut person).expect("called");
        assert_eq!((called.lasted, called.paid.map(|paid| paid.minor())), (None, Some(20)), "{number} {called:?}");
        // What was paid ahead for the connection comes back, since the receipt comes with the refusal; the third time with the
        // next update (R6).
        assert_eq!(called.returned.map(|back| back.minor()), Some(20), "{called:?}");
        let left = town.held.left();
        assert_eq!(left, if at < 2 { FACE } else { FACE - 20 });
    }
    let (desk, done) = town.agree(0);
    let ends: Vec<CallEnd> = desk.switch.records().expect("records").iter().map(|record| record.ended).collect();
    assert_eq!((ends.as_slice(), done.ended), ([CallEnd::Busy, CallEnd::Busy, CallEnd::Cancelled].as_slice(), 3));
}

#[test]
fn a_setup_charge_that_is_kept_is_all_that_an_unanswered_call_costs() {
    let mut town = Town::open(20, true);
    let _bob = town.callee(BOB, Callee::Ignores);
    let mut person = Somebody { gives_up: Some(Duration::from_millis(300)), ..somebody(u64::MAX) };
    let called = town.call(BOB, None, &mut person).expect("called");
    assert_eq!(called.receipt.map(|receipt| receipt.used.minor()), Some(20));
    town.agree(20);
}

#[test]
fn what_cannot_be_called_is_said_with_its_status() {
    let mut town = Town::open(0, false);
    // Nobody is there.
    let called = town.call("09430999", None, &mut somebody(u64::MAX)).expect("refused");
    let unknown = "nobody can be called under that number with this card; check the number";
    assert_eq!((called.reason.cause, called.reason.text.as_str(), called.paid), (404, unknown, None));
    // Somebody is, and the card's tariff does not lead there.
    let _carol = town.callee("0500", Callee::Talks);
    let called = town.call("0500", None, &mut somebody(u64::MAX)).expect("refused");
    assert_eq!((called.reason.cause, called.refused.as_deref(), called.paid), (404, Some(unknown), None));
    // A phone without a wallet.
    let _bob = town.callee(BOB, Callee::Talks);
    let config = town.config("09430001");
    let ended = town.runtime.block_on(async {
        let (_phone, mut line) = Phone::start(config).await.expect("a phone");
        let to = Number::read(BOB).expect("a number");
        line.commands.send(PhoneCommand::Dial { to, body: None }).expect("it runs");
        loop {
            if let Some(PhoneEvent::Ended { reason, .. }) = line.events.recv().await {
                break reason;
            }
        }
    });
    assert_eq!((ended.cause, ended.text.contains("dial with a wallet")), (402, true), "{ended:?}");
    // Who declines the price has paid nothing.
    let called = town.call(BOB, Some(PRICE - 1), &mut somebody(u64::MAX)).expect("declined");
    assert_eq!((called.paid, called.refused.is_some()), (None, true), "{called:?}");
    let (_, done) = town.agree(0);
    assert_eq!(done.asked, 4);
}

#[test]
fn a_switch_that_cannot_store_ends_its_calls_and_charges_what_is_certain() {
    let mut town = Town::open(0, false);
    let _bob = town.callee(BOB, Callee::Talks);
    // The write of the fourth check fails.
    struct Breaks(Somebody, Arc<AtomicBool>);
    let fails = town.fails.clone();
    impl Person for Breaks {
        fn told(&mut self, notice: &CallerNotice) -> bool {
            let agrees = self.0.told(notice);
            if matches!(notice, CallerNotice::Paid { .. }) && self.0.checks == 4 {
                self.1.store(true, Ordering::Relaxed);
            }
            agrees
        }
        fn ends(&mut self) -> bool {
            false
        }
    }
    impl Speaker for Breaks {
        fn hears(&mut self, _: &Heard) {}
    }
    let (config, caller) = (town.config("09430001"), town.held.caller(BOB, None));
    let device = &mut town.held.wallet.device;
    let called = town.runtime.block_on(async {
        let (_phone, mut line) = Phone::start(config).await.expect("a phone");
        call(device, caller, &mut line, now, &mut Breaks(somebody(u64::MAX), fails)).await.expect("called")
    });
    assert_eq!((called.reason.cause, called.reason.text.as_str()), (500, "The switch could not store"));
    assert!(called.receipt.is_none(), "the provider brings it: {called:?}");
    // Two units were over when the third check was stored; half a unit ahead it may be that only one was.
    let (desk, _) = {
        let records = town.held.wallet.calls().expect("calls");
        assert_eq!(records[0].paid.minor(), 4 * PRICE);
        town.agree_on_what_is_recorded()
    };
    let records = desk.switch.records().expect("records");
    assert_eq!(records[0].ended, CallEnd::SwitchRestarted);
    assert!((PRICE..=3 * PRICE).contains(&records[0].used.minor()), "{records:?}");
}

#[test]
fn a_switch_that_is_stopped_ends_its_calls_with_their_receipts() {
    let mut town = Town::open(0, false);
    let _bob = town.callee(BOB, Callee::Talks);
    /// The switch is stopped as the second unit is paid.
    struct Stops(Somebody, watch::Sender<bool>);
    impl Person for Stops {
        fn told(&mut self, notice: &CallerNotice) -> bool {
            let agrees = self.0.told(notice);
            if matches!(notice, CallerNotice::Paid { .. }) && self.0.checks == 2 {
                self.1.send_replace(true);
            }
            agrees
        }
        fn ends(&mut self) -> bool {
            false
        }
    }
    impl Speaker for Stops {
        fn hears(&mut self, _: &Heard) {}
    }
    let (_heard, stop) = (town.stop.subscribe(), town.stop.clone());
    let (config, caller) = (town.config("09430001"), town.held.caller(BOB, None));
    let device = &mut town.held.wallet.device;
    let called = town.runtime.block_on(async {
        let (_phone, mut line) = Phone::start(config).await.expect("a phone");
        call(device, caller, &mut line, now, &mut Stops(somebody(u64::MAX), stop)).await.expect("called")
    });
    assert_eq!((called.reason.cause, called.reason.text.as_str()), (503, "The switch has been stopped"));
    let receipt = called.receipt.expect("with the last word");
    assert_eq!(receipt.ended, CallEnd::SwitchRestarted);
    let used = receipt.used.minor();
    assert!((PRICE..=2 * PRICE).contains(&used), "{receipt:?}");
    let (_, done) = town.agree(used);
    assert_eq!((done.asked, done.ended), (1, 1));
}

impl Town {
    /// As [`Self::agree`], on whatever the switch has recorded once it has stopped.
    fn agree_on_what_is_recorded(mut self) -> (Desk<Fragile>, Done) {
        self.stop.send(true).expect("it runs");
        let (mut desk, served) = self.desk.take().expect("it runs").join().expect("it ran");
        served.expect("served");
        desk.switch.recover(now()).expect("recovered");
        let used = desk.switch.records().expect("records").iter().map(|record| record.used.minor()).sum();
        self.desk = Some(std::thread::spawn(move || (desk, Ok(()))));
        let _heard = self.stop.subscribe();
        self.agree(used)
    }
}
