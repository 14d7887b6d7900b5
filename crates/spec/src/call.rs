//! Samples of what calls cost.

use crate::samples::{Forms, ISSUER, NOW};
use tegata_core::charging::*;
use tegata_core::wire::canonical::Extensions;
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
