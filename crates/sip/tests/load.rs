//! A thousand calls at once, a hundred new ones in every second, their voice through the switch, sipp on both sides; afterwards nothing is left.

use crate::support::town::{Town, next};
use crate::support::{Start, figure, sipp_is_missing, statistics};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use tegata_sip::{By, Command, Event, Number, Shown};

/// Calls of the load run.
const CALLS: usize = 3_300;
/// Calls whose voice goes through the switch at once: 110 a second for 11 seconds, and some that ring or part.
const ENOUGH: usize = 1_400;
/// New ones a second: a tenth more than must begin in the slowest.
const RATE: u32 = 110;

/// These tests measure their process: one at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// New calls of the second with the fewest of them, among the first twenty-five.
fn slowest_second(statistics: &[HashMap<String, String>]) -> u64 {
    let rate = |line: &HashMap<String, String>| {
        let whole = line.get("CallRate(P)")?.split('.').next()?.to_owned();
        whole.parse::<u64>().ok()
    };
    statistics.iter().skip(2).take(25).filter_map(rate).min().expect("seconds")
}

/// Milliseconds of a time such as 00:00:00:004000 (microseconds in the end).
fn milliseconds(time: &str) -> u64 {
    let mut fields = time.split(':').map(|field| field.parse::<u64>().unwrap_or_default());
    let mut next = || fields.next().unwrap_or_default();
    ((next() * 60 + next()) * 60 + next()) * 1000 + next() / 1000
}

/// CPU time of this process (the switch and its charging; sipp are others), in milliseconds.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default().to_owned();
    // Ticks of ten milliseconds.
    after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// Memory that this process holds, in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or_default()
}

/// The most that were at once.
#[derive(Default)]
struct Most {
    calls: usize,
    relays: usize,
}

/// One run of calls.
async fn run(town: &Town, calls: usize, held_ms: u64, rate: u32) -> (Most, Vec<HashMap<String, String>>) {
    let held = held_ms.to_string();
    let quiet = |scenario, port, to, more| Start { scenario, port, to, calls, tcp: false, more }.run_quietly();
    let callee = quiet("callee", town.callees, None, &["-l", "100000"]);
    let rate = rate.to_string();
    let more = ["-l", "100000", "-r", &rate, "-d", &held, "-trace_stat", "-stf", "statistics", "-fd", "1"];
    let caller = quiet("caller", town.callers, Some((town.switch.address(), "0912345")), &more);
    let file = caller.file("statistics");
    let mut most = Most::default();
    let look = || {
        let sizes = town.switch.sizes();
        most = Most { calls: most.calls.max(sizes.calls), relays: most.relays.max(sizes.relays) };
    };
    let ended = caller.watch(look).await;
    let statistics = statistics(&file);
    drop(ended);
    callee.succeeds().await;
    (most, statistics)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_and_a_hundred_a_second() {
    if sipp_is_missing() {
        return;
    }
    let _alone = ALONE.lock().await;
    // As a switch runs by itself: four sockets for each call, as the first one rings.
    let town = Town::free(false, |config| config.relay = Some(IpAddr::V4(Ipv4Addr::LOCALHOST))).await;
    let relayed = town.switch.most_relayed();
    assert!(
        relayed >= ENOUGH,
        "{relayed} calls can be relayed, {ENOUGH} must be: raise the hard limit of open files (ulimit -Hn) to 8,000"
    );
    let (begun, cpu) = (Instant::now(), cpu_ms());
    let (Most { calls: most, relays }, lines) = run(&town, CALLS, 11_000, RATE).await;
    let statistics = lines.last().expect("seconds");
    let rate = slowest_second(&lines);
    let (taken, cpu) = (begun.elapsed(), cpu_ms() - cpu);
    let answer = milliseconds(&statistics["ResponseTimesetup(C)"]);
    let (good, failed) = (figure(statistics, "SuccessfulCall(C)"), figure(statistics, "FailedCall(C)"));
    println!(
        "sipp: {good} calls good, {failed} failed, {} retransmissions; {rate} new ones in the slowest second, answered after {answer} ms on average\n\
         switch: {most} calls at once, {relays} of them relayed; {} ms in all, of them {cpu} ms CPU: {} us a call",
        statistics["Retransmissions(C)"],
        taken.as_millis(),
        cpu * 1000 / CALLS as u64,
    );
    assert_eq!((good, failed), (CALLS as u64, 0));
    assert!(most >= 1000, "{most} at once");
    assert!(relays >= 1000, "the voice of {relays} at once");
    assert!(rate >= 100, "{rate} new calls in a second");
    // 30 s to begin the calls at the rate that was asked for, 11 s until the last one ends, and some to spare.
    assert!(taken < Duration::from_secs(60), "{taken:?}");
    assert!(answer < 200, "{answer} ms to an answer");
    town.is_empty(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_short_calls_leave_nothing_behind() {
    if sipp_is_missing() {
        return;
    }
    let _alone = ALONE.lock().await;
    let town = Town::free(false, |_| {}).await;
    run(&town, 2500, 10, 125).await;
    forgotten(&town).await;
    let before = memory_kib();
    run(&town, 2500, 10, 125).await;
    forgotten(&town).await;
    let after = memory_kib();
    println!("memory: {before} KiB after 2,500 calls, {after} KiB after 5,000");
    assert!(after < before + 4 * 1024, "{before} KiB grew to {after} KiB");
}

/// Waits until the stack has forgotten what it keeps for half a minute, too.
async fn forgotten(town: &Town) {
    town.is_empty(Duration::from_secs(10)).await;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let sizes = town.switch.sizes();
        if sizes.transactions + sizes.finished == 0 {
            return;
        }
        assert!(Instant::now() < until, "the stack keeps {sizes:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits for the end of a call.
async fn end(control: &mut tegata_sip::Control) -> By {
    loop {
        if let Event::Ended { by, .. } = next(control).await {
            return by;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_charging_refuses_leave_nothing_behind() {
    if sipp_is_missing() {
        return;
    }
    let _alone = ALONE.lock().await;
    let (town, mut control) = Town::charged(false, |_| {}).await;
    let caller = town.caller("caller_busy", 500, &["-r", "200"]);
    for _ in 0..500 {
        let call = loop {
            if let Event::Asked { call, .. } = next(&mut control).await {
                break call;
            }
        };
        let refusal = Command::Refuse { call, status: 486, text: String::new(), body: None };
        control.commands.send(refusal).expect("the switch runs");
    }
    caller.succeeds().await;
    town.is_empty(Duration::from_secs(10)).await;

    // One that is let through to a number that leads nowhere is over, too.
    let unknown = Some((town.switch.address(), "5555"));
    let caller = Start { scenario: "caller_unknown", port: town.callers, to: unknown, ..Start::default() }.run();
    loop {
        if let Event::Asked { call, called, route, .. } = next(&mut control).await {
            let shown_as = Shown::As(Number::read("0300").expect("a number"));
            control.commands.send(Command::Proceed { call, to: called, route, shown_as }).expect("the switch runs");
            break;
        }
    }
    assert_eq!(end(&mut control).await, By::Switch("the number leads nowhere"));
    caller.succeeds().await;
    town.is_empty(Duration::from_secs(10)).await;
}
