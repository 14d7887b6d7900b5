//! Samples of what calls cost.

use crate::keys::Who;
use crate::samples::{
    CARD, Forms, ISSUER, MERCHANT, NOW, Offered, SESSION, TERMINAL, by, check, raises, signed_card, usd,
};
use core::num::NonZeroU64;
use tegata_core::card::{CallEnd, CallReceipt, CardEvent, EventKind};
use tegata_core::charging::*;
use tegata_core::talk::call::{
    Call, CallMessage, CallRequest, CallState, Calling, CallingState, ChainSecret, Tariffed, Ticked,
};
use tegata_core::talk::journal::Through;
use tegata_core::talk::pay::Refusal;
use tegata_core::wire::canonical::Extensions;
use tegata_core::wire::signed::Signed;
use tegata_core::{Hash, Time, Unit};

fn none() -> Extensions {
    Extensions::default()
}

/// Parts of a week.
#[allow(non_snake_case)] // named like the message
pub fn WeekTime() -> Forms<WeekTime> {
    vec![("the first evening", WeekTime { from: 1_080, until: 1_440, extensions: none() })]
}
/// Rates.
#[allow(non_snake_case)] // named like the message
pub fn Rate() -> Forms<Rate> {
    let day = Rate {
        prefix: "49".into(),
        when: None,
        setup: 5,
        price: 12,
        length: 60_000,
        minimum: 1,
        setup_kept: None,
        extensions: none(),
    };
    let when = Some(WeekTime()[0].1.clone());
    let evening = Rate { when, setup_kept: Some(true), length: 1_000, price: 1, ..day.clone() };
    let rest = Rate { prefix: String::new(), setup_kept: Some(false), minimum: 0, ..day.clone() };
    vec![("by day", day), ("in the evening", evening), ("everywhere else", rest)]
}
/// Tariffs.
#[allow(non_snake_case)] // named like the message
pub fn Tariff() -> Forms<Tariff> {
    let tariff = Tariff {
        issuer: ISSUER,
        number: 3,
        unit: Unit::USD,
        ahead: 60,
        rates: Rate().into_iter().map(|(_, rate)| rate).collect(),
        at: Time(NOW),
        extensions: none(),
    };
    let units = Tariff {
        number: 1,
        unit: Unit::CALL_UNITS,
        rates: Rate().drain(..1).map(|(_, rate)| rate).collect(),
        ..tariff.clone()
    };
    vec![("in money", tariff), ("in call units", units)]
}
/// What was agreed for a call.
#[allow(non_snake_case)] // named like the message
pub fn CallTariff() -> Forms<CallTariff> {
    let agreed = CallTariff {
        transaction: 17,
        unit: Unit::USD,
        setup: 5,
        price: 12,
        length: 60_000,
        minimum: 1,
        setup_kept: None,
        tariff: Hash::of(b"a tariff"),
        called: "4930123456".into(),
        at: Time(NOW),
        expires: Time(NOW + 60),
        extensions: none(),
    };
    vec![("usual", agreed.clone()), ("that keeps the set-up charge", CallTariff { setup_kept: Some(true), ..agreed })]
}

fn signed_tariff() -> Signed<CallTariff> {
    by(Who::Terminal, &CallTariff::context(&SESSION, TERMINAL), CallTariff()[0].1.clone())
}
fn named() -> Hash {
    use tegata_core::wire::canonical::Wire;
    CallTariff::named(&SESSION, TERMINAL, &CallTariff()[0].1.to_bytes())
}
/// A receipt as the switch signs it.
pub fn signed_call_receipt() -> Signed<CallReceipt> {
    by(Who::Terminal, &CallReceipt::context(TERMINAL), CallReceipt()[0].1.clone())
}
fn tick() -> Signed<CardEvent> {
    use tegata_core::wire::canonical::Wire;
    let body = CardEvent { event: EventKind::Session, tick: NonZeroU64::new(2), ..check() };
    by(Who::Card, &crate::samples::check_context(&CallTariff()[0].1.to_bytes()), body)
}
fn linked() -> Signed<CardEvent> {
    use tegata_core::wire::canonical::Wire;
    let links = Some(crate::samples::Links()[0].1.clone());
    let body = CardEvent { event: EventKind::Session, tick: NonZeroU64::new(2), links, ..check() };
    by(Who::Card, &crate::samples::check_context(&CallTariff()[0].1.to_bytes()), body)
}
/// Ends of calls.
#[allow(non_snake_case)] // named like the message
pub fn CallReceipt() -> Forms<CallReceipt> {
    let usual = CallReceipt {
        transaction: 17,
        call: named(),
        check: Some(Hash::of(b"a tick")),
        used: usd(29),
        lasted: Some(61_500),
        ended: CallEnd::CalledHungUp,
        at: Time(NOW + 90),
        extensions: none(),
    };
    let missed = CallReceipt { check: None, used: usd(0), lasted: None, ended: CallEnd::Busy, ..usual.clone() };
    vec![("usual", usual), ("nobody answered", missed)]
}
/// Requests.
#[allow(non_snake_case)] // named like the message
pub fn CallRequest() -> Forms<CallRequest> {
    let request = CallRequest {
        card: Offered()[0].1.clone(),
        checkpoint: None,
        unknown: Some(true),
        called: "4930123456".into(),
        extensions: none(),
    };
    let known = CallRequest { checkpoint: Some(tegata_core::Handle([0xc4; 8])), unknown: None, ..request.clone() };
    vec![("at a switch not seen before", request), ("at a known switch", known)]
}
/// Tariffs as they travel.
#[allow(non_snake_case)] // named like the message
pub fn Tariffed() -> Forms<Tariffed> {
    let plain = Tariffed { tariff: signed_tariff(), certificate: None, known: Some(true), extensions: none() };
    let certificate = Some(by(Who::Provider, &[], crate::samples::Certificate()[0].1.clone()));
    vec![("usual", plain.clone()), ("to a new wallet", Tariffed { certificate, known: None, ..plain })]
}
/// Checks as they travel.
#[allow(non_snake_case)] // named like the message
pub fn Ticked() -> Forms<Ticked> {
    let next = Ticked { tick: tick(), certificate: None, raises: None, extensions: none() };
    let first = Ticked { certificate: Some(signed_card()), raises: Some(raises()), ..next.clone() };
    vec![("the first", first), ("a further one", next)]
}
/// What is said about a call.
#[allow(non_snake_case)] // named like the message
pub fn CallMessage() -> Forms<CallMessage> {
    vec![
        ("a request", CallMessage::Request(CallRequest()[0].1.clone())),
        ("a tariff", CallMessage::Tariffed(Tariffed()[1].1.clone())),
        ("a check", CallMessage::Ticked(Ticked()[0].1.clone())),
        ("asked for more", CallMessage::Ask(41)),
        ("no more", CallMessage::NoMore),
        ("stop", CallMessage::Stop),
        ("a warning", CallMessage::Warned(10_000)),
        ("a receipt", CallMessage::Receipt(signed_call_receipt())),
        ("a refusal", CallMessage::Refused(Refusal::UnknownDestination)),
        ("a link", CallMessage::Linked(crate::samples::Link()[0].1.clone())),
    ]
}
/// Calls as wallets keep them.
#[allow(non_snake_case)] // named like the message
pub fn Calling() -> Forms<Calling> {
    let open = Calling {
        state: CallingState::Open,
        switch: TERMINAL,
        name: "Tegata Calls".into(),
        tariff: signed_tariff(),
        session: SESSION,
        card: CARD,
        generation: 1,
        tick: Some(tick()),
        raises: vec![],
        receipt: None,
        secret: None,
        released: None,
        extensions: none(),
    };
    let receipt = Some(signed_call_receipt());
    let secret = Some(ChainSecret(crate::samples::CHAIN));
    vec![
        ("open", open.clone()),
        ("paid link by link", Calling { secret, released: Some(20), tick: Some(linked()), ..open.clone() }),
        ("returning", Calling { state: CallingState::Returning, receipt, ..open }),
    ]
}
/// Ways to other networks.
#[allow(non_snake_case)] // named like the message
pub fn Through() -> Forms<Through> {
    let own = Through { trunk: "carrier".into(), operator: None, extensions: none() };
    let paid = Through { operator: Some(MERCHANT), ..own.clone() };
    vec![("the switch's own", own), ("an operator's", paid)]
}
/// Calls as switches keep them.
#[allow(non_snake_case)] // named like the message
pub fn Call() -> Forms<Call> {
    let new = Call {
        state: CallState::Open,
        tariff: signed_tariff(),
        session: SESSION,
        card: None,
        generation: None,
        tick: None,
        checkpoint: None,
        raises: None,
        certain: 0,
        receipt: None,
        through: None,
        link: None,
        extensions: none(),
    };
    let ended = Call {
        state: CallState::Ended,
        card: Some(CARD),
        generation: Some(1),
        tick: Some(tick()),
        checkpoint: Some(tegata_core::Handle([0xc4; 8])),
        raises: Some(raises()),
        certain: 17,
        receipt: Some(signed_call_receipt()),
        through: Some(Through()[1].1.clone()),
        ..new.clone()
    };
    vec![("new", new), ("ended", ended)]
}
