//! A hotspot over real sockets: the way is open while the card pays, and closes when it is empty or the user goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tegata_core::card::{CallEnd, CardKind, Terms};
use tegata_core::charging::Rate;
use tegata_core::step::Broken;
use tegata_core::talk::call::{Caller, CallerNotice};
use tegata_core::talk::pay::load_purse;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, PartyId, Time, Unit};
use tegata_crypto_native::{NativeVerifier, entropy};
use tegata_device::{Device, KeyRing, Now, Post, PostError, join, take_up_all};
use tegata_issuer::Issuer;
use tegata_provider::{Keys, Provider};
use tegata_store::Store;
use tegata_switch::Switch;
use tegata_switch::hotspot::Hotspot;
use tegata_vault::MemoryVault;
use tegata_wallet::{Person, Wallet, surf};

/// The number by which the hotspot's rate is found.
const SERVICE: &str = "09430001";
const FACE: u64 = 15;

fn now() -> Now {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Now { time: Time(seconds), entropy: entropy::fresh() }
}

/// The provider, as far as its network is a call.
struct Line(Arc<Mutex<Provider>>);

impl Post for Line {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        Ok(self.0.lock().expect("one thread").handle(&envelopes, now().time, entropy::fresh()))
    }
}

struct Town {
    provider: Arc<Mutex<Provider>>,
    line: Line,
    wallet: Wallet<MemoryVault>,
    card: CardId,
    hotspot: Arc<Hotspot<MemoryVault>>,
    url: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    runtime: tokio::runtime::Runtime,
}

fn joined(town: &Arc<Mutex<Provider>>, role: Role, owner: Option<PartyId>, name: &str) -> Device<MemoryVault> {
    let ring = KeyRing::in_memory(Algorithm::Ed25519, &entropy::fresh());
    let mut device = Device::new(MemoryVault::new(), ring, &NativeVerifier);
    let (token, info) = {
        let mut provider = town.lock().expect("one thread");
        let token = provider.invite(role, owner, name, now().time, entropy::fresh()).expect("a token");
        (token, provider.info().clone())
    };
    join(&mut device, &mut Line(town.clone()), &info, &token, role, name, now()).expect("joined");
    device
}

impl Town {
    fn open() -> Self {
        let at = now().time;
        let provider =
            Provider::open(Store::memory().expect("memory"), Keys::new([9; 32], at), "Town", at, Broken::NONE);
        let provider = Arc::new(Mutex::new(provider.expect("a provider")));
        let mut line = Line(provider.clone());
        let mut issuer = Issuer::new(joined(&provider, Role::Issuer, None, "Net Inc"));
        let merchant = joined(&provider, Role::Merchant, None, "Cafe");
        let owner = merchant.certificate().expect("joined").claimed().subject.party();
        let mut switch = Switch::new(joined(&provider, Role::Switch, Some(owner), "hotspot"));
        let mut wallet = Wallet::new(joined(&provider, Role::Wallet, None, ""), Algorithm::Ed25519);
        let rate = Rate {
            prefix: "0943".into(),
            when: None,
            setup: 0,
            price: 5,
            length: 2_000,
            minimum: 1,
            setup_kept: None,
            extensions: Default::default(),
        };
        issuer.set_tariff(&mut line, (Unit::USD, 0), vec![rate], now()).expect("set");
        let terms = Terms {
            issuer: issuer.party().expect("joined"),
            kind: CardKind::Telephone,
            unit: Unit::USD,
            name: "Net card".into(),
            max_payment: FACE,
            offline_limit: FACE,
            due_after: 30 * Time::DAY,
            list_age: 7 * Time::DAY,
            record_age: 7 * Time::DAY,
            max_balance: FACE,
            handovers: 0,
            refundable: true,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: None,
            extensions: Default::default(),
        };
        let face = Amount::new(Unit::USD, FACE).expect("in range");
        let until = at.after(1_000 * Time::DAY);
        let batch = issuer.order(&mut line, terms, face, (1, until), now()).expect("ordered");
        issuer.activate(&mut line, batch, (1, 1), now()).expect("activated");
        let number = issuer.print(batch).expect("printed").remove(0).number.to_string();
        let card = wallet.install(&mut line, &number, None, now()).expect("installed");
        switch.update(&mut line, now()).expect("updated");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let hotspot = Hotspot::new(switch, SERVICE, now);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(hotspot.clone().serve(listener, async {
            let _ = stopped.await;
        }));
        Self { provider, line, wallet, card, hotspot, url, stop: Some(stop), runtime }
    }
    fn caller(&self) -> Caller {
        Caller { payer: self.wallet.payer(self.card).expect("a card"), called: SERVICE.into(), limit: None }
    }
    /// Everybody updates; what the card has lost is what the merchant is owed, and the auditor agrees.
    fn agree(&mut self, used: u64) {
        take_up_all(&mut self.wallet.device, self.card, now()).expect("taken up");
        let line = &mut self.line;
        self.hotspot.switch(|switch| switch.update(line, now()).map(drop)).expect("updated");
        for _ in 0..2 {
            self.wallet.update(&mut self.line, now()).expect("updated");
        }
        let left = load_purse(&self.wallet.device, self.card).expect("a card").remaining;
        assert_eq!(left, FACE - used);
        let provider = self.provider.lock().expect("one thread");
        let audited = tegata_audit::audit(provider.store().connection(), &tegata_audit::Options::default());
        assert!(audited.expect("audited").difference.is_none());
        let book = provider.books().expect("books")[0].2;
        assert_eq!(book.sum(tegata_ledger::Side::Payable), i128::from(used));
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}

/// Agrees, and goes after so many checks.
struct Somebody {
    checks: AtomicU64,
    goes_after: u64,
    heard: Vec<CallerNotice>,
}

impl Person for Somebody {
    fn told(&mut self, notice: &CallerNotice) -> bool {
        self.checks.fetch_add(u64::from(matches!(notice, CallerNotice::Paid { .. })), Ordering::Relaxed);
        self.heard.push(notice.clone());
        true
    }
    fn ends(&mut self) -> bool {
        self.checks.load(Ordering::Relaxed) >= self.goes_after
    }
}

fn somebody(goes_after: u64) -> Somebody {
    Somebody { checks: AtomicU64::new(0), goes_after, heard: Vec::new() }
}

#[test]
fn the_way_is_open_until_the_card_is_empty() {
    let mut town = Town::open();
    let (caller, url) = (town.caller(), town.url.clone());
    let mut person = somebody(u64::MAX);
    let receipt = surf(&mut town.wallet.device, caller, &url, now, &mut person).expect("surfed");
    let receipt = receipt.unwrap_or_else(|| panic!("no receipt: {:?}", person.heard));
    assert_eq!((receipt.used.minor(), receipt.lasted, receipt.ended), (FACE, Some(6_000), CallEnd::PaidTimeOver));
    assert!(person.heard.iter().any(|heard| matches!(heard, CallerNotice::Ending { .. })), "{:?}", person.heard);
    town.agree(FACE);
    // An empty card opens nothing.
    let caller = town.caller();
    let mut person = somebody(u64::MAX);
    assert_eq!(surf(&mut town.wallet.device, caller, &url, now, &mut person).expect("refused"), None);
    assert!(person.heard.iter().any(|heard| matches!(heard, CallerNotice::Cannot(_))), "{:?}", person.heard);
}

#[test]
fn whoever_goes_has_the_rest_back() {
    let mut town = Town::open();
    let (caller, url) = (town.caller(), town.url.clone());
    let mut person = somebody(2);
    let receipt = surf(&mut town.wallet.device, caller, &url, now, &mut person).expect("surfed").expect("a receipt");
    let used = receipt.used.minor();
    assert!((5..FACE).contains(&used) && receipt.ended == CallEnd::HungUp, "{receipt:?}");
    town.agree(used);
}

#[test]
fn a_wallet_that_vanishes_is_cut_off_when_what_it_paid_is_over() {
    let mut town = Town::open();
    let (caller, url) = (town.caller(), town.url.clone());
    // Gone after the second check, without a word: its device is switched off.
    struct Vanishes(u64);
    impl Person for Vanishes {
        fn told(&mut self, notice: &CallerNotice) -> bool {
            self.0 += u64::from(matches!(notice, CallerNotice::Paid { .. }));
            assert!(self.0 < 2, "vanished");
            true
        }
        fn ends(&mut self) -> bool {
            false
        }
    }
    let device = &mut town.wallet.device;
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        surf(device, caller, &url, now, &mut Vanishes(0)).map(drop)
    }));
    assert!(gone.is_err());
    // The hotspot ends it by itself.
    let until = std::time::Instant::now() + Duration::from_secs(20);
    let ended = loop {
        let records = town.hotspot.switch(|switch| switch.records().expect("records"));
        if let Some(record) = records.into_iter().next() {
            break record;
        }
        assert!(std::time::Instant::now() < until, "it goes on for ever");
        std::thread::yield_now();
    };
    assert_eq!(ended.ended, CallEnd::PaidTimeOver);
    tegata_device::hang_up_all(&mut town.wallet.device, now()).expect("hung up");
    town.agree(ended.used.minor());
    let _ = &town.runtime;
}
