//! Calls through a switch with sipp on both sides: what the scenarios of `scenarios/` say is what happens.

use crate::support::town::{Town, next};
use crate::support::{Start, free_port, sipp_is_missing};
use std::time::{Duration, Instant};
use tegata_sip::config::Proof;
use tegata_sip::{By, Caller, Event, Number, Route};

fn number(text: &str) -> Number {
    Number::read(text).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_between_trunks_go_as_their_scenarios_say() {
    if sipp_is_missing() {
        return;
    }
    let town = Town::free(false, |_| {}).await;
    for (caller, callee) in [
        ("caller", "callee"),
        ("caller_hung_up", "callee_hangs_up"),
        ("caller_busy", "callee_busy"),
        ("caller_declined", "callee_declines"),
        ("caller_cancels", "callee_rings"),
        ("caller_cancels", "callee_crosses"),
        ("caller_early", "callee_early"),
        ("caller_reinvites", "callee_reinvited"),
        ("caller_late", "callee_late"),
        ("caller_twice", "callee_twice"),
    ] {
        eprintln!("{caller} calls {callee}");
        town.call(caller, callee).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tcp_goes_through() {
    if sipp_is_missing() {
        return;
    }
    let town = Town::free(true, |_| {}).await;
    town.call("caller", "callee").await;
    town.call("caller_reinvites", "callee_reinvited").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_rings_for_ever() {
    if sipp_is_missing() {
        return;
    }
    let town = Town::free(false, |config| config.limits.ringing = Duration::from_millis(700)).await;
    let begun = Instant::now();
    town.call("caller_unanswered", "callee_rings").await;
    assert!(begun.elapsed() >= Duration::from_millis(700));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_proves_its_password_and_is_rung_where_it_registered() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |_| {}).await;
    let phone = free_port();
    let at = Some((town.switch.address(), "0300"));
    Start { scenario: "register_refused", port: phone, to: at, ..Start::default() }.run().succeeds().await;
    assert_eq!(town.switch.sizes().phones, 0);
    Start { scenario: "register", port: phone, to: at, ..Start::default() }.run().succeeds().await;
    assert_eq!(town.switch.sizes().phones, 1);

    // The trunk calls the phone.
    let rung = Start { scenario: "callee", port: phone, ..Start::default() }.run();
    let caller = Start { scenario: "caller", port: town.callers, to: at, ..Start::default() }.run();
    let Event::Asked { call, caller: who, called, route, .. } = next(&mut control).await else { panic!("asked") };
    let trunk = Caller::Trunk { trunk: "callers".into(), number: Some(number("0300")) };
    assert_eq!((who, &called, &route), (trunk, &number("0300"), &Route::Phone { contacts: 1 }));
    let shown_as = tegata_sip::Shown::As(number("0800"));
    control.commands.send(tegata_sip::Command::Proceed { call, to: called, route, shown_as }).expect("the switch runs");
    caller.succeeds().await;
    rung.succeeds().await;
    while !matches!(next(&mut control).await, Event::Ended { by: By::Caller, .. }) {}

    // The phone calls through the other trunk.
    let callee = town.callee("callee", 1, &[]);
    let to = Some((town.switch.address(), "0912345"));
    let caller = Start { scenario: "phone", port: phone, to, ..Start::default() }.run();
    tokio::spawn(tegata_sip::policy::free_calls(control));
    caller.succeeds().await;
    callee.succeeds().await;
    town.is_empty(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_packets_are_made_good() {
    if sipp_is_missing() {
        return;
    }
    let town = Town::free(false, |_| {}).await;
    let callee = town.callee("callee_lossy", 40, &[]);
    let caller = town.caller("caller", 40, &["-lost", "10", "-r", "20"]);
    caller.succeeds().await;
    callee.succeeds().await;
    town.is_empty(Duration::from_secs(40)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_rings_everywhere_and_is_answered_once() {
    if sipp_is_missing() {
        return;
    }
    let town = Town::free(false, |config| config.proof = Proof::Registration).await;
    let (desk, pocket) = (free_port(), free_port());
    let to = |user| Some((town.switch.address(), user));
    for port in [desk, pocket] {
        Start { scenario: "register", port, to: to("0300"), ..Start::default() }.run().succeeds().await;
    }
    assert_eq!(town.switch.sizes().phones, 1);
    let rings = Start { scenario: "callee_rings", port: desk, ..Start::default() }.run();
    let answers = Start { scenario: "callee", port: pocket, ..Start::default() }.run();
    Start { scenario: "caller", port: town.callers, to: to("0300"), ..Start::default() }.run().succeeds().await;
    rings.succeeds().await;
    answers.succeeds().await;

    // From where it registered it need not prove itself again.
    let callee = town.callee("callee", 1, &[]);
    Start { scenario: "caller", port: desk, to: to("0912345"), ..Start::default() }.run().succeeds().await;
    callee.succeeds().await;
    town.is_empty(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_acknowledges_ends_the_call() {
    if sipp_is_missing() {
        return;
    }
    let town = Town::free(false, |_| {}).await;
    town.call("caller_deaf", "callee").await;
}
