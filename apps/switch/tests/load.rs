//! A thousand paid calls at once, a hundred new ones a second, their voice through the switch: phones with wallets of their own, a switch on a
//! real database, and sipp at the other end of its trunk. Afterwards everybody agrees on what each call cost.

use crate::support;
use crate::support::{Start, figure, free_port, sipp_is_missing, statistics};
use crate::town::{Held, Parts, audited, now, rate, telephone};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tegata_core::card::CallEnd;
use tegata_core::talk::call::CallerNotice;
use tegata_sip::phones::digest::secret;
use tegata_sip::{Algorithm as Digest, Config, Number, Passwords, Phone, PhoneConfig};
use tegata_switch::desk::Desk;
use tegata_vault::SqliteVault;
use tegata_wallet::{Called, Heard, Person, Speaker, call, registered};
use tokio::sync::watch;

/// Phones, each with a wallet.
const PHONES: u64 = 1_100;
/// New calls a second: a tenth more than must begin in the slowest.
const RATE: u64 = 110;
/// How long each talks, in milliseconds: longer than it takes until all have called.
const TALKS: u64 = 12_000;
/// A unit.
const PRICE: u64 = 5;
const LENGTH: u64 = 4_000;
const FACE: u64 = 50;
/// Where sipp is.
const CALLED: &str = "0912345";

/// Everybody's password is the same.
struct Sesame;

impl Passwords for Sesame {
    fn secret(&self, name: &str, realm: &str, algorithm: Digest) -> Option<String> {
        Some(secret(name, realm, "sesame", algorithm))
    }
}

/// Agrees to every price, and hangs up in time.
struct Talker {
    dialled: Instant,
    answered: Option<(Instant, Duration)>,
    talking: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Person for Talker {
    fn told(&mut self, _: &CallerNotice) -> bool {
        true
    }
    fn ends(&mut self) -> bool {
        self.answered.is_some_and(|(since, _)| since.elapsed() >= Duration::from_millis(TALKS))
    }
}

impl Speaker for Talker {
    fn hears(&mut self, what: &Heard) {
        if matches!(what, Heard::Answered) {
            self.answered = Some((Instant::now(), self.dialled.elapsed()));
            let talking = self.talking.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(talking, Ordering::Relaxed);
        }
    }
}

/// One who called: the wallet, what came of it, when it was dialled and how long it took until somebody answered.
struct Told {
    held: Held,
    called: Called,
    dialled: Instant,
    answer: Option<Duration>,
}

/// CPU time of the calling thread, in microseconds.
fn thread_us() -> u64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    spent.split_whitespace().next().and_then(|spent| spent.parse::<u64>().ok()).unwrap_or_default() / 1_000
}

#[test]
fn a_thousand_paid_calls_at_once_and_a_hundred_a_second() {
    if sipp_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let vault = SqliteVault::create(folder.path().join("switch.db")).expect("created");
    let Parts { mut line, switch, wallets } = telephone(vault, vec![rate("09", PRICE, LENGTH)], FACE, PHONES, now);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let callees = free_port();
    let mut config = Config::new(std::net::SocketAddr::from(([127, 0, 0, 1], 0)), "town");
    config.trunks = vec![support::town::trunk("callees", "09", callees, false)];
    // As a switch runs by itself: each call's voice goes through it.
    config.relay = Some(config.listen.ip());
    let (sip, mut control) = runtime.block_on(tegata_sip::Switch::start(config, Sesame)).expect("the switch starts");
    let relayed = sip.most_relayed() as u64;
    assert!(
        relayed >= PHONES,
        "{relayed} calls can be relayed, {PHONES} must be: raise the hard limit of open files (ulimit -Hn) to 8,000"
    );
    let (at, (stop, stopped)) = (sip.address(), watch::channel(false));
    let handle = runtime.handle().clone();
    let desk = std::thread::spawn(move || {
        let mut desk = Desk::new(switch);
        let before = thread_us();
        let served = handle.block_on(desk.run(&sip, &mut control, stopped, now));
        (desk, served, thread_us() - before)
    });
    let calls = usize::try_from(PHONES).expect("few");
    let more = ["-l", "100000", "-trace_stat", "-stf", "statistics", "-fd", "1"];
    let callee = Start { scenario: "callee", port: callees, to: None, calls, tcp: false, more: &more }.run_quietly();
    let (talking, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (told, sipp): (Vec<Told>, _) = runtime.block_on(async {
        let mut phones = Vec::new();
        for (index, held) in wallets.into_iter().enumerate() {
            let number = Number::read(&format!("0300{index:05}")).expect("a number");
            let config = PhoneConfig { session: Duration::from_secs(300), ..PhoneConfig::new(at, number, "sesame") };
            let (phone, mut line) = Phone::start(config).await.expect("a phone");
            registered(&mut line).await.expect("registered");
            phones.push((phone, line, held));
        }
        let begun = tokio::time::Instant::now();
        let mut callers = Vec::new();
        for (index, (phone, mut line, mut held)) in phones.into_iter().enumerate() {
            tokio::time::sleep_until(begun + Duration::from_millis(index as u64 * 1_000 / RATE)).await;
            let (talking, most) = (talking.clone(), most.clone());
            callers.push(tokio::spawn(async move {
                let dialled = Instant::now();
                let mut person = Talker { dialled, answered: None, talking, most };
                let caller = held.caller(CALLED, None);
                let called = call(&mut held.wallet.device, caller, &mut line, now, &mut person).await.expect("called");
                phone.stop().await;
                if person.answered.is_some() {
                    person.talking.fetch_sub(1, Ordering::Relaxed);
                }
                Told { held, called, dialled, answer: person.answered.map(|(_, after)| after) }
            }));
        }
        let mut told = Vec::new();
        for caller in callers {
            told.push(caller.await.expect("it ran"));
        }
        let callee = callee.watch(|| {}).await;
        let lines = statistics(&callee.file("statistics"));
        (told, lines.last().expect("seconds").clone())
    });
    stop.send(true).expect("it runs");
    let (mut desk, served, desk_us) = desk.join().expect("it ran");
    served.expect("served");

    let begun = told.iter().map(|one| one.dialled).min().expect("calls");
    let in_second = |second: u64| {
        let calls = told.iter().filter(|one| one.dialled.duration_since(begun).as_secs() == second);
        calls.count()
    };
    let slowest = (0..PHONES / RATE - 1).map(in_second).min().expect("seconds");
    let answers: Vec<Duration> = told.iter().filter_map(|one| one.answer).collect();
    let (answer, longest) = (answers.iter().sum::<Duration>() / PHONES as u32, answers.iter().max().expect("answers"));
    let done = desk.done();
    let paid: u64 = told.iter().map(|one| one.called.paid.map_or(0, |paid| paid.minor()) / PRICE).sum();
    let most = most.load(Ordering::Relaxed);
    println!(
        "sipp: {} calls good, {} failed, {} retransmissions\n\
         phones: {PHONES} paid calls, {most} people talk at once, {slowest} new ones in the slowest second; answered after {} ms on average, {} ms at most\n\
         desk: {paid} units paid in {} durable writes; {desk_us} us CPU, {} us a call",
        figure(&sipp, "SuccessfulCall(C)"),
        figure(&sipp, "FailedCall(C)"),
        figure(&sipp, "Retransmissions(C)"),
        answer.as_millis(),
        longest.as_millis(),
        done.writes,
        desk_us / PHONES,
    );
    assert_eq!((figure(&sipp, "SuccessfulCall(C)"), figure(&sipp, "FailedCall(C)")), (PHONES, 0));
    let odd = told.iter().find(|one| {
        let ended = one.called.receipt.as_ref().map(|receipt| receipt.ended);
        ended != Some(CallEnd::HungUp) || one.called.doubtful
    });
    assert!(odd.is_none(), "{:?}", odd.map(|one| &one.called));
    assert_eq!((done.asked, done.ended, done.refused), (PHONES, PHONES, 0));
    assert!(most >= 1_000, "{most} at once");
    assert!(slowest >= 100, "{slowest} new calls in a second");
    assert!(answer < Duration::from_millis(500), "{answer:?} to an answer");

    // Everybody's books.
    desk.switch.update(&mut line, now()).expect("updated");
    let recorded: u64 = desk.switch.records().expect("records").iter().map(|record| record.used.minor()).sum();
    let mut used = 0;
    for mut one in told {
        one.held.update(&mut line, now());
        used += FACE - one.held.left();
    }
    assert_eq!((used, i128::from(used)), (recorded, audited(&line)));
    // Nobody pays for more than the units that were begun, and nobody talks without paying.
    let begun = TALKS.div_ceil(LENGTH) * PRICE;
    assert!((PHONES * begun..=PHONES * (begun + PRICE)).contains(&used), "{used}");
}
