//! A hotspot over real sockets: the way is open while the card pays, and closes when it is empty or the user goes.

use crate::town::{Held, Line, Parts, audited, now, rate, telephone};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tegata_core::card::CallEnd;
use tegata_core::talk::call::{Caller, CallerNotice};
use tegata_switch::hotspot::Hotspot;
use tegata_vault::MemoryVault;
use tegata_wallet::{Person, surf};

/// The number by which the hotspot's rate is found.
const SERVICE: &str = "09430001";
const FACE: u64 = 15;

struct Town {
    line: Line,
    held: Held,
    hotspot: Arc<Hotspot<MemoryVault>>,
    url: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    runtime: tokio::runtime::Runtime,
}

impl Town {
    fn open() -> Self {
        let rates = vec![rate(SERVICE, 5, 2_000)];
        let Parts { line, switch, mut wallets } = telephone(MemoryVault::new(), rates, FACE, 1, now);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let hotspot = Hotspot::new(switch, SERVICE, now);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(hotspot.clone().serve(listener, async {
            let _ = stopped.await;
        }));
        Self { line, held: wallets.remove(0), hotspot, url, stop: Some(stop), runtime }
    }
    fn caller(&self) -> Caller {
        self.held.caller(SERVICE, None)
    }
    /// Everybody updates; what the card has lost is what the merchant is owed, and the auditor agrees.
    fn agree(&mut self, used: u64) {
        let line = &mut self.line;
        self.hotspot.switch(|switch| switch.update(line, now()).map(drop)).expect("updated");
        self.held.update(line, now());
        assert_eq!(self.held.left(), FACE - used);
        assert_eq!(audited(&self.line), i128::from(used));
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
    let receipt = surf(&mut town.held.wallet.device, caller, &url, now, &mut person).expect("surfed");
    let receipt = receipt.unwrap_or_else(|| panic!("no receipt: {:?}", person.heard));
    assert_eq!((receipt.used.minor(), receipt.lasted, receipt.ended), (FACE, Some(6_000), CallEnd::PaidTimeOver));
    assert!(person.heard.iter().any(|heard| matches!(heard, CallerNotice::Ending { .. })), "{:?}", person.heard);
    let warned = |heard: &CallerNotice| matches!(heard, CallerNotice::Warned(left) if *left >= 4_000);
    assert!(person.heard.iter().any(warned), "{:?}", person.heard);
    town.agree(FACE);
    // An empty card opens nothing.
    let caller = town.caller();
    let mut person = somebody(u64::MAX);
    assert_eq!(surf(&mut town.held.wallet.device, caller, &url, now, &mut person).expect("refused"), None);
    assert!(person.heard.iter().any(|heard| matches!(heard, CallerNotice::Cannot(_))), "{:?}", person.heard);
}

#[test]
fn whoever_goes_has_the_rest_back() {
    let mut town = Town::open();
    let (caller, url) = (town.caller(), town.url.clone());
    let mut person = somebody(2);
    let receipt =
        surf(&mut town.held.wallet.device, caller, &url, now, &mut person).expect("surfed").expect("a receipt");
    let used = receipt.used.minor();
    assert!((5..FACE).contains(&used) && receipt.ended == CallEnd::HungUp, "{receipt:?}");
    town.agree(used);
}

/// Pays, and has the hotspot stopped while the third check is under way: by then a unit is used up.
struct Stops {
    checks: u64,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Person for Stops {
    fn told(&mut self, notice: &CallerNotice) -> bool {
        self.checks += u64::from(matches!(notice, CallerNotice::Paid { .. }));
        if self.checks == 3
            && let Some(stop) = self.stop.take()
        {
            stop.send(()).expect("it serves");
        }
        true
    }
    fn ends(&mut self) -> bool {
        false
    }
}

#[test]
fn a_hotspot_that_is_stopped_charges_until_then_and_tells_who_pays() {
    let mut town = Town::open();
    let (caller, url) = (town.caller(), town.url.clone());
    let mut person = Stops { checks: 0, stop: town.stop.take() };
    let receipt = surf(&mut town.held.wallet.device, caller, &url, now, &mut person);
    let receipt = receipt.expect("surfed").expect("a receipt");
    let used = receipt.used.minor();
    assert!((5..FACE).contains(&used) && receipt.ended == CallEnd::SwitchRestarted, "{receipt:?}");
    let records = town.hotspot.switch(|switch| switch.records().expect("records"));
    let logged: Vec<_> = records.iter().map(|record| (record.ended, record.used.minor())).collect();
    assert_eq!(logged, [(CallEnd::SwitchRestarted, used)], "what the wallet heard is what is logged");
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
    let device = &mut town.held.wallet.device;
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
    tegata_device::hang_up_all(&mut town.held.wallet.device, now()).expect("hung up");
    town.agree(ended.used.minor());
    let _ = &town.runtime;
}
