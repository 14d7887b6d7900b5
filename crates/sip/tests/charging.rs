//! The seam as charging sees it: what it is told, in which order, and what comes of what it says.

use crate::support;
use crate::support::sipp_is_missing;
use crate::support::town::{Town, next};
use std::time::Duration;
use tegata_sip::reason::Reason;
use tegata_sip::{Body, By, CallId, Caller, Command, Control, Event, Number, Route, Shown, Side};

fn number(text: &str) -> Number {
    Number::read(text).expect("a number")
}

fn word(text: &str) -> Body {
    Body(text.as_bytes().to_vec())
}

/// The text of the next word, which comes from the caller.
async fn said(control: &mut Control) -> String {
    match next(control).await {
        Event::Body { from: Side::Caller, body, .. } => String::from_utf8_lossy(&body.0).trim().to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn asked(control: &mut Control) -> CallId {
    match next(control).await {
        Event::Asked { call, .. } => call,
        other => panic!("{other:?}"),
    }
}

async fn ended(control: &mut Control) -> By {
    loop {
        if let Event::Ended { by, .. } = next(control).await {
            return by;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_paid_warned_and_cut_off() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |_| {}).await;
    let callee = town.callee("callee_cut_off", 1, &[]);
    let payer = town.caller("payer", 1, &[]);
    let Event::Asked { call, caller, called, route, body, .. } = next(&mut control).await else { panic!("asked") };
    assert_eq!(caller, Caller::Trunk { trunk: "callers".into(), number: Some(number("0300")) });
    assert_eq!((&called, &route), (&number("0912345"), &Route::Trunk("callees".into())));
    assert_eq!(body.map(|body| String::from_utf8_lossy(&body.0).trim().to_owned()).as_deref(), Some("offer"));
    let command = |command| control.commands.send(command).expect("the switch runs");
    command(Command::Tell { call, body: word("tariff") });
    assert_eq!(said(&mut control).await, "check one");
    let command = |command| control.commands.send(command).expect("the switch runs");
    command(Command::Proceed { call, to: called, route, shown_as: Shown::Anonymous });
    assert!(matches!(next(&mut control).await, Event::Ringing { .. }));
    assert!(matches!(next(&mut control).await, Event::Answered { .. }));
    let command = |command| control.commands.send(command).expect("the switch runs");
    command(Command::Warn { call, left: Duration::from_secs(10), body: Some(word("pay more")) });
    assert_eq!(said(&mut control).await, "check two");
    let command = |command| control.commands.send(command).expect("the switch runs");
    let reason = Reason::new(402, "Paid time is over");
    command(Command::HangUp { call, reason, body: Some(word("receipt")) });
    assert_eq!(ended(&mut control).await, By::Control);
    payer.succeeds().await;
    callee.succeeds().await;
    town.is_empty(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_rings_nobody_and_says_why() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |_| {}).await;
    let caller = town.caller("caller_refused", 1, &[]);
    let call = asked(&mut control).await;
    let refusal = Command::Refuse { call, status: 402, text: "No card".into(), body: Some(word("last word")) };
    control.commands.send(refusal).expect("the switch runs");
    assert_eq!(ended(&mut control).await, By::Control);
    caller.succeeds().await;
    town.is_empty(Duration::from_secs(5)).await;
    assert_eq!(control.events.try_recv().ok(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callee_sees_nobody_where_charging_says_so() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |_| {}).await;
    let callee = town.callee("callee_anonymous", 1, &[]);
    let caller = town.caller("caller", 1, &[]);
    let call = asked(&mut control).await;
    let proceed = Command::Proceed {
        call,
        to: number("0912345"),
        route: Route::Trunk("callees".into()),
        shown_as: Shown::Anonymous,
    };
    control.commands.send(proceed).expect("the switch runs");
    caller.succeeds().await;
    callee.succeeds().await;
    assert_eq!(ended(&mut control).await, By::Caller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emergency_calls_go_through_whatever_charging_does() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |config| {
        config.emergency.numbers = vec!["0912345".into()];
        config.emergency.trunks = vec!["callers".into(), "callees".into()];
        config.most_calls = 0;
    })
    .await;
    // The first trunk has no line free: the second is tried. The caller is unknown here.
    let busy = support::Start { scenario: "callee_fails", port: town.callers, ..support::Start::default() }.run();
    let callee = town.callee("callee_anonymous", 1, &[]);
    let to = Some((town.switch.address(), "0912345"));
    let caller = support::Start { scenario: "caller", to, more: &["-d", "500"], ..support::Start::default() }.run();
    let Event::Emergency { call, called, .. } = next(&mut control).await else { panic!("an emergency") };
    assert_eq!(called, number("0912345"));
    // No command reaches it.
    let reason = Reason::new(402, "Pay");
    control.commands.send(Command::HangUp { call, reason, body: None }).expect("the switch runs");
    assert_eq!(ended(&mut control).await, By::Caller);
    caller.succeeds().await;
    callee.succeeds().await;
    busy.succeeds().await;

    // Charging dies.
    drop(control);
    let busy = support::Start { scenario: "callee_fails", port: town.callers, ..support::Start::default() }.run();
    let callee = town.callee("callee_anonymous", 1, &[]);
    support::Start { scenario: "caller", to, ..support::Start::default() }.run().succeeds().await;
    callee.succeeds().await;
    busy.succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_helps_sees_the_number_of_a_caller_that_is_known() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |config| {
        config.emergency.numbers = vec!["0912345".into()];
        config.emergency.trunks = vec!["callees".into()];
    })
    .await;
    let callee = town.callee("callee_shown", 1, &[]);
    let caller = town.caller("caller", 1, &["-d", "200"]);
    assert!(matches!(next(&mut control).await, Event::Emergency { .. }), "it asks nobody");
    caller.succeeds().await;
    callee.succeeds().await;
    assert_eq!(ended(&mut control).await, By::Caller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_end_where_charging_goes_away() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |_| {}).await;
    let callee = town.callee("callee", 1, &[]);
    let caller = town.caller("caller_hung_up", 1, &[]);
    let call = asked(&mut control).await;
    let shown_as = Shown::As(number("0300"));
    control
        .commands
        .send(Command::Proceed { call, to: number("0912345"), route: Route::Trunk("callees".into()), shown_as })
        .expect("the switch runs");
    while !matches!(next(&mut control).await, Event::Answered { .. }) {}
    drop(control);
    caller.succeeds().await;
    callee.succeeds().await;
    town.is_empty(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_died_is_noticed() {
    if sipp_is_missing() {
        return;
    }
    let quick = |config: &mut tegata_sip::Config| {
        config.limits.session = Duration::from_secs(4);
        config.limits.shortest_session = Duration::from_secs(1);
    };
    // One that lives is asked with an UPDATE, and answers.
    let town = Town::free(false, quick).await;
    let callee = town.callee("refresher", 1, &[]);
    let caller = town.caller("caller_refreshed", 1, &["-d", "200"]);
    callee.succeeds().await;
    caller.succeeds().await;

    // One that is gone does not.
    let (town, mut control) = Town::charged(false, quick).await;
    let callee = town.callee("callee_dies", 1, &[]);
    let caller = town.caller("caller_hung_up_late", 1, &[]);
    let call = asked(&mut control).await;
    let shown_as = Shown::As(number("0300"));
    control
        .commands
        .send(Command::Proceed { call, to: number("0912345"), route: Route::Trunk("callees".into()), shown_as })
        .expect("the switch runs");
    callee.succeeds().await;
    let by = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let Some(Event::Ended { by, .. }) = control.events.recv().await {
                return by;
            }
        }
    });
    assert_eq!(by.await.ok(), Some(By::Switch("a leg is gone")));
    caller.succeeds().await;
}
