//! Two hundred calls at once, one after the other on every line, and the switch holds no more of them than at the beginning. Nine
//! minutes of calls by default; `TEGATA_SOAK_HOURS=24` plays a day.

use super::tests::{asked_of, desk_on, now_at};
use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tegata_core::talk::call::{Caller, CallerNotice, WalletCall};
use tegata_crypto_native::{NativeVerifier, entropy};
use tegata_device::{Device, KeyRing, WalletTap};
use tegata_vault::{MemoryVault, SqliteVault};

/// Calls at once.
const LINES: u64 = 200;
/// How long each lasts, in milliseconds: whole units, so that nothing is left over.
const LASTS: u64 = 180_000;
/// Milliseconds from one look to the next.
const STEP: u64 = 1_000;
/// By how much memory may grow, in KiB: the database's cache fills while it does.
const MOST: u64 = 4 * 1024;
/// By how much it may grow in the second half of a long run, in KiB, when that cache is full; a run is long from an hour on.
const MOST_AT_LAST: u64 = 1024;
const LONG: u64 = 3_600_000;

static SECONDS: AtomicU64 = AtomicU64::new(0);

fn clock() -> Now {
    now_at(SECONDS.load(Ordering::Relaxed))
}

fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or_default()
}

/// One line: a wallet that is as new for every call, so that only the switch could grow.
struct Phone {
    call: u64,
    tap: WalletTap<WalletCall>,
    device: Device<MemoryVault>,
    answered: Option<u64>,
}

struct Exchange<'a> {
    desk: Desk<SqliteVault>,
    wallet: &'a MemoryVault,
    seed: [u8; 32],
    caller: Caller,
    phones: Vec<Option<Phone>>,
    dialled: u64,
    ms: u64,
}

impl Exchange<'_> {
    fn dial(&mut self, line: usize, events: &mut Vec<sip::Event>) {
        let (tap, hello) = WalletTap::touch(WalletCall::new(self.caller.clone()), entropy::fresh()).expect("starts");
        let ring = KeyRing::in_memory(tegata_core::wire::signed::Algorithm::Ed25519, &self.seed);
        let mut device = Device::new(self.wallet.clone(), ring, &NativeVerifier);
        device.ring.reload_in_memory(&device.vault).expect("its cards' keys");
        self.dialled += 1;
        events.push(asked_of(self.dialled, self.ms, hello));
        self.phones[line] = Some(Phone { call: self.dialled, tap, device, answered: None });
    }
    /// What a wallet says is told to the desk.
    fn said(&mut self, line: usize, step: TapStep<CallerNotice>, events: &mut Vec<sip::Event>) {
        let Some(phone) = &mut self.phones[line] else { return };
        let (id, at) = (CallId(phone.call), At(self.ms));
        let mut frames = step.frames;
        if step.notices.iter().any(|notice| matches!(notice, CallerNotice::Consent { .. })) {
            let more = phone.tap.event(Event::Agreed, clock(), &mut phone.device).expect("agreed");
            frames.extend(more.frames);
        }
        let body = |frame| sip::Event::Body { call: id, from: Side::Caller, body: Body(frame), at };
        events.extend(frames.into_iter().map(body));
    }
    /// Everything that is to be said now is said.
    fn settle(&mut self, mut events: Vec<sip::Event>) {
        loop {
            self.desk.turn(std::mem::take(&mut events), At(self.ms), clock).expect("turned");
            let commands: Vec<Command> = self.desk.out.drain(..).collect();
            for command in commands {
                let line = usize::try_from((command.call().0 - 1) % LINES).expect("a line");
                let word = match command {
                    Command::Proceed { call, .. } => {
                        if let Some(phone) = &mut self.phones[line] {
                            phone.answered = Some(self.ms);
                            let ms = self.ms;
                            phone.tap.talking().tell(|call| call.at(ms).answered());
                        }
                        events.push(sip::Event::Answered { call, at: At(self.ms) });
                        None
                    }
                    Command::Tell { body, .. } => Some(body),
                    Command::Warn { body, .. } | Command::HangUp { body, .. } | Command::Refuse { body, .. } => body,
                };
                let (Some(Body(word)), Some(phone)) = (word, &mut self.phones[line]) else { continue };
                let ms = self.ms;
                phone.tap.talking().tell(|call| call.at(ms));
                let step = phone.tap.receive(&word, clock(), &mut phone.device).expect("the session holds");
                self.said(line, step, &mut events);
            }
            if events.is_empty() {
                return;
            }
        }
    }
    /// Wallets pay what is due, calls end that have lasted, and the next one is dialled on their line.
    fn look(&mut self) {
        let mut events = Vec::new();
        for line in 0..self.phones.len() {
            let Some(phone) = &mut self.phones[line] else {
                // Lines begin one after the other.
                if self.ms / (LASTS / LINES) > line as u64 {
                    self.dial(line, &mut events);
                }
                continue;
            };
            if phone.answered.is_some_and(|since| self.ms >= since + LASTS) {
                let (call, by, at) = (CallId(phone.call), By::Caller, At(self.ms));
                events.push(sip::Event::Ended { call, by, at });
                self.phones[line] = None;
                continue;
            }
            let ms = self.ms;
            phone.tap.talking().tell(|call| call.at(ms));
            let step = phone.tap.event(Event::Tick, clock(), &mut phone.device).expect("looks");
            self.said(line, step, &mut events);
        }
        self.settle(events);
    }
}

#[test]
fn two_hundred_calls_at_once_all_day_leave_the_switch_as_small_as_it_was() {
    let hours: f64 = std::env::var("TEGATA_SOAK_HOURS").ok().and_then(|text| text.parse().ok()).unwrap_or(0.15);
    let folder = tempfile::tempdir().expect("a folder");
    let vault = SqliteVault::create(folder.path().join("switch.db")).expect("created");
    let (desk, wallet, seed, caller) = desk_on(vault, u64::MAX >> 20);
    let template = wallet.device.vault.clone();
    let phones = (0..LINES).map(|_| None).collect();
    let mut exchange = Exchange { desk, wallet: &template, seed, caller, phones, dialled: 0, ms: 0 };
    #[allow(clippy::float_arithmetic, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // hours, not money
    let steps = ((hours * 3_600_000.0) as u64 / STEP).max(3 * LASTS / STEP);
    let (mut first, mut quarter, mut half, mut most) = (0, 0, 0, 0);
    for step in 0..steps {
        exchange.ms = step * STEP;
        SECONDS.store(exchange.ms / 1_000, Ordering::Relaxed);
        exchange.look();
        most = most.max(exchange.desk.lines.len());
        // All lines have been in use, and one call has ended on each.
        if exchange.ms == 2 * LASTS {
            first = memory_kib();
        }
        if step == steps / 4 {
            quarter = memory_kib();
        }
        if step == steps / 2 {
            half = memory_kib();
        }
    }
    let last = memory_kib();
    let done = exchange.desk.done();
    println!(
        "soak: {} calls in {} simulated minutes, {most} at once; {first} KiB after the first of each line, {quarter} after a quarter, \
         {half} half-way, {last} KiB at the end",
        done.asked,
        exchange.ms / 60_000
    );
    assert_eq!((done.refused, most as u64), (0, LINES), "{done:?}");
    assert!(done.ended + LINES >= done.asked && done.ended > LINES, "{done:?}");
    assert!(last < first + MOST, "{first} KiB grew to {last} KiB");
    // Growth that goes on shows in the second half as well as in the first.
    assert!(steps * STEP < LONG || last <= half + MOST_AT_LAST, "{half} KiB half-way grew to {last} KiB");
    assert!(exchange.desk.due.len() < 20 * LINES as usize, "{} things are due", exchange.desk.due.len());
}
