//! Prices against an independent calculation, and what a session's meter never does.

use proptest::prelude::*;
use tegata_core::charging::*;
use tegata_core::{Hash, PartyId, Time, Unit};

fn rate(prefix: &str, when: Option<(u64, u64)>, price: u64) -> Rate {
    Rate {
        prefix: prefix.into(),
        when: when.map(|(from, until)| WeekTime { from, until, extensions: Default::default() }),
        setup: 10,
        price,
        length: 60_000,
        minimum: 1,
        setup_kept: None,
        extensions: Default::default(),
    }
}

fn tariff(rates: Vec<Rate>) -> Tariff {
    Tariff {
        issuer: PartyId([1; 16]),
        number: 1,
        unit: Unit::USD,
        ahead: 0,
        rates,
        at: Time(0),
        extensions: Default::default(),
    }
}

fn agreed(rate: &Rate) -> CallTariff {
    CallTariff {
        transaction: 1,
        unit: Unit::USD,
        setup: rate.setup,
        price: rate.price,
        length: rate.length,
        minimum: rate.minimum,
        setup_kept: rate.setup_kept,
        tariff: Hash::ZERO,
        called: "4912345".into(),
        at: Time(0),
        expires: Time(60),
        extensions: Default::default(),
    }
}

/// Monday, the fifth of January 1970, 00:00 UTC.
const MONDAY: u64 = 4 * 86_400;

#[test]
fn the_longest_prefix_that_has_a_rate_now_decides() {
    let evening = Some((18 * 60, 24 * 60));
    let tariff = tariff(vec![
        rate("", None, 50),
        rate("49", None, 20),
        rate("49", evening, 10),
        rate("4912", Some((0, 8 * 60)), 5),
        rate("1", None, 7),
    ]);
    tariff.check().expect("a tariff");
    let price = |called, minute: u64| tariff.rate(called, Time(MONDAY + minute * 60)).expect("a rate").price;
    assert_eq!(price("33123", 0), 50);
    assert_eq!((price("49999", 1_079), price("49999", 1_080), price("49999", 1_440)), (20, 10, 20));
    assert_eq!((price("49123", 0), price("49123", 8 * 60)), (5, 20), "no rate of the longest prefix holds now");
    assert_eq!(price("1", 0), 7);
    // Midnight on Monday in a zone that is an hour ahead is Sunday, 23:00 UTC.
    let ahead = Tariff { ahead: 60, ..tariff.clone() };
    assert_eq!(ahead.rate("49123", Time(MONDAY - 3600)).expect("a rate").price, 5);
    let behind = Tariff { ahead: WEEK - 60, ..tariff };
    assert_eq!(behind.rate("49123", Time(MONDAY)).expect("a rate").price, 20, "it is Sunday there");
}

#[test]
fn what_is_no_tariff_is_told_with_the_rate_that_is_wrong() {
    let wrong = |rates| tariff(rates).check().expect_err("no tariff");
    assert_eq!(wrong(vec![]), TariffError::Rates);
    assert_eq!(wrong(vec![rate("4a", None, 1)]), TariffError::Prefix("4a".into()));
    assert_eq!(wrong(vec![Rate { length: 99, ..rate("4", None, 1) }]), TariffError::Length("4".into()));
    assert_eq!(wrong(vec![rate("4", Some((5, 5)), 1)]), TariffError::When("4".into()));
    assert_eq!(wrong(vec![rate("4", Some((5, WEEK + 1)), 1)]), TariffError::When("4".into()));
    assert_eq!(wrong(vec![rate("4", None, 1), rate("4", None, 2)]), TariffError::Twice("4".into()));
    assert_eq!(wrong(vec![rate("4", Some((1, 5)), 1), rate("4", Some((4, 9)), 2)]), TariffError::Twice("4".into()));
    assert_eq!(wrong(vec![rate("4", None, u64::MAX)]), TariffError::Overflow("4".into()));
    assert_eq!(Tariff { ahead: WEEK, ..tariff(vec![rate("", None, 1)]) }.check(), Err(TariffError::Clock));
    assert_eq!(digits("+49 (0)123-45.6").as_deref(), Some("490123456"));
    for none in ["", "+", "12a", "sip:12", "1234567890123456789012345"] {
        assert_eq!(digits(none), None, "{none}");
    }
}

/// The price by walking through the call, unit by unit, and through the tariff, rate by rate.
fn independent(tariff: &Tariff, called: &str, at: u64, lasted: Option<u64>) -> Option<u128> {
    let minute = i128::from(at).div_euclid(60) - 4 * 24 * 60 + i128::from(tariff.ahead);
    let minute = u64::try_from(minute.rem_euclid(7 * 24 * 60)).expect("of a week");
    let mut best: Option<&Rate> = None;
    for rate in &tariff.rates {
        let fits = called.chars().take(rate.prefix.chars().count()).eq(rate.prefix.chars());
        let inside = match &rate.when {
            None => true,
            Some(when) => minute >= when.from && minute < when.until,
        };
        let better = match best {
            None => true,
            Some(old) if old.prefix.len() != rate.prefix.len() => rate.prefix.len() > old.prefix.len(),
            Some(old) => old.when.is_none(),
        };
        if fits && inside && better {
            best = Some(rate);
        }
    }
    let rate = best?;
    let Some(lasted) = lasted else {
        return Some(if rate.setup_kept == Some(true) { u128::from(rate.setup) } else { 0 });
    };
    let (mut cost, mut paid_until, mut units) = (u128::from(rate.setup), 0u64, 0u64);
    while paid_until < lasted || units < rate.minimum {
        cost += u128::from(rate.price);
        paid_until += rate.length;
        units += 1;
    }
    Some(cost)
}

prop_compose! {
    fn rates()(
        prefixes in prop::collection::btree_set("[1-4]{0,3}", 1..8),
        cuts in prop::collection::vec((0..WEEK, 1..3_000u64, any::<bool>()), 8),
        money in prop::collection::vec((0..500u64, 0..300u64, 0..4u64, any::<bool>()), 16),
        lengths in prop::collection::vec(prop::sample::select(vec![100u64, 1_000, 6_000, 30_000, 60_000, 180_000]), 16),
    ) -> Vec<Rate> {
        let mut all = Vec::new();
        for (at, prefix) in prefixes.iter().enumerate() {
            let made = |when, at: usize| {
                let (setup, price, minimum, kept) = money[at];
                let setup_kept = kept.then_some(true);
                Rate { setup, minimum, length: lengths[at], setup_kept, ..rate(prefix, when, price) }
            };
            all.push(made(None, at));
            let (from, long, also) = cuts[at];
            if also {
                all.push(made(Some((from, (from + long).min(WEEK))), at + 8));
            }
        }
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn a_calls_price_is_the_same_as_by_an_independent_calculation(
        rates in rates(),
        ahead in 0..WEEK,
        called in "[1-5]{1,5}",
        at in 0..2_000_000_000u64,
        lasted in prop::option::weighted(0.9, 0..4_000_000u64),
    ) {
        let tariff = Tariff { ahead, ..tariff(rates) };
        prop_assert!(tariff.check().is_ok());
        let cost = tariff.rate(&called, Time(at)).map(|rate| agreed(rate).cost(lasted).expect("in range"));
        prop_assert_eq!(cost.map(u128::from), independent(&tariff, &called, at, lasted));
    }
}

/// A moment of a session: how long it has lasted, in milliseconds, what is paid then, and what the units that have begun come to.
#[derive(Clone, Copy, Debug)]
struct Moment {
    lasted: u64,
    paid: u64,
    begun: u64,
}

impl Moment {
    fn of(agreed: &CallTariff, lasted: u64, paid: u64) -> Self {
        Self { lasted, paid: paid.saturating_sub(agreed.setup), begun: lasted.div_ceil(agreed.length) * agreed.price }
    }
    /// What whoever pays loses if the other side goes now.
    fn ahead(&self) -> u64 {
        self.paid.saturating_sub(self.begun)
    }
    /// What whoever serves loses if the other side goes now.
    fn behind(&self) -> u64 {
        self.begun.saturating_sub(self.paid)
    }
    /// A unit, or what is left of the agreed least.
    fn most_ahead(&self, agreed: &CallTariff) -> u64 {
        agreed.price.max((agreed.price * agreed.minimum).saturating_sub(self.begun))
    }
}

/// Plays a session: the payer pays what is asked after `delay`, until it has paid `budget`; somebody hangs up after `hangs_up`. Gives
/// how it ended, and how both sides stood before and after every payment, and at the end: between two of these, only the units begun grow.
fn play(agreed: &CallTariff, lead: u64, delay: u64, budget: u64, hangs_up: u64) -> (Stopped, Vec<Moment>) {
    let since = 1_000;
    let mut meter = Meter::start(agreed.clone(), lead);
    if meter.first() > 0 {
        meter.pay(meter.first(), 0).expect("the set-up charge");
    }
    meter.answered(since);
    let (mut now, mut moments, end) = (since, Vec::new(), since + hangs_up);
    // What is paid for ends, whoever is late.
    let stood = |meter: &Meter, now: u64| {
        let until = meter.ends().expect("it runs").min(now).min(end);
        Moment::of(agreed, until - since, meter.paid())
    };
    while let Some(due) = meter.due() {
        let (Due::Ask { at, .. } | Due::Warn { at } | Due::Cut { at }) = due;
        now = now.max(at);
        if now >= end || matches!(due, Due::Cut { .. }) {
            break;
        }
        meter.done(due);
        let Due::Ask { total, .. } = due else { continue };
        if total > budget {
            meter.no_more();
            continue;
        }
        now += delay;
        moments.push(stood(&meter, now));
        if now >= end || meter.pay(total, now).is_err() {
            break;
        }
        moments.push(stood(&meter, now));
    }
    moments.push(stood(&meter, now));
    (meter.stop(now.min(end)), moments)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_has_more_than_one_unit_at_risk_beyond_the_agreed_least(
        price in 1..1_000u64,
        setup in 0..200u64,
        length in prop::sample::select(vec![1_000u64, 6_000, 30_000, 60_000]),
        minimum in 0..=10u64,
        (lead, delay) in (0..20_000u64, 0..2_000u64),
        units in 0..40u64,
        hangs_up in 0..2_000_000u64,
    ) {
        let agreed = agreed(&Rate { setup, price, length, minimum, ..rate("", None, 1) });
        let budget = setup + units * price;
        let (stopped, moments) = play(&agreed, lead, delay, budget, hangs_up);
        let lasted = stopped.lasted.expect("answered");
        // The payer: nothing that it did not allow, and one unit ahead of what has begun.
        prop_assert!(stopped.cost + stopped.unused <= budget);
        prop_assert!(stopped.unused <= price, "what goes back is one unit at most: {:?}", stopped);
        for moment in &moments {
            prop_assert!(moment.ahead() <= moment.most_ahead(&agreed), "{:?}", moment);
            // The other side: what it gave and was not paid for is one unit at most, whatever the least is.
            prop_assert!(moment.behind() <= price, "{:?}", moment);
        }
        let due = agreed.cost(Some(lasted)).expect("small");
        prop_assert!(due - stopped.cost <= price.max(price * minimum), "{} {:?}", due, stopped);
        // Whoever has paid the least pays all that is due; else only the least was never paid.
        if stopped.cost > setup {
            prop_assert_eq!(stopped.cost, due);
        }
    }
}

/// Plays a session that is paid link by link: chains are committed to and links shown after `delay`, each as the unit before it begins,
/// until `budget` is spent. Gives how it ended, what was committed to, and how both sides stood at each millisecond.
fn play_links(agreed: &CallTariff, delay: u64, budget: u64, hangs_up: u64) -> (Stopped, u64, Vec<Moment>) {
    let (since, end) = (1_000, 1_000 + hangs_up);
    let mut meter = Meter::start(agreed.clone(), 0);
    if meter.first() > 0 {
        meter.pay(meter.first(), 0).expect("the set-up charge");
    }
    meter.answered(since);
    let (mut committed, mut shown, mut asked, mut moments) = (agreed.setup, agreed.setup, None, Vec::new());
    // Every millisecond both sides look.
    for now in since..end {
        moments.push(Moment::of(agreed, now - since, shown));
        while let Some(due) = meter.due().filter(|due| due.at() <= now) {
            match due {
                Due::Cut { .. } => return (meter.stop(now), committed, moments),
                Due::Warn { .. } => meter.done(due),
                Due::Ask { total, .. } => {
                    meter.done(due);
                    let units = total.min(budget).saturating_sub(committed) / agreed.price;
                    if units == 0 {
                        meter.no_more();
                    } else {
                        asked = Some(units);
                    }
                }
            }
        }
        // The next chain is offered once all of the last one is shown.
        if let Some(units) = asked.take_if(|_| shown == committed && now >= since + delay)
            && meter.commit(committed + units * agreed.price, units, now).is_ok()
        {
            committed += units * agreed.price;
        }
        let units = (now - since).saturating_sub(delay) / agreed.length + 2;
        let due = agreed.total(units.max(agreed.minimum)).expect("small").min(committed);
        if now >= since + delay && due > shown && meter.pay(due, now).is_ok() {
            shown = due;
        }
        // By the end of this millisecond the unit has begun whose first one it is.
        moments.push(Moment::of(agreed, now + 1 - since, shown));
    }
    (meter.stop(end), committed, moments)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn by_links_a_unit_is_at_risk_or_what_is_on_its_way(
        price in 1..1_000u64,
        setup in 0..200u64,
        length in prop::sample::select(vec![100u64, 250, 999]),
        minimum in 0..=10u64,
        delay in 0..1_500u64,
        units in 0..200u64,
        hangs_up in 0..40_000u64,
    ) {
        let agreed = agreed(&Rate { setup, price, length, minimum, ..rate("", None, 1) });
        let budget = setup + units.max(minimum) * price;
        let (stopped, committed, moments) = play_links(&agreed, delay, budget, hangs_up);
        let lasted = stopped.lasted.expect("answered");
        // The way to the payer and back may take longer than a unit; the first link is waited for a second.
        let on_the_way = delay.min(1_000).div_ceil(length).max(1);
        prop_assert!(stopped.cost <= budget && committed <= budget);
        for moment in &moments {
            prop_assert!(moment.ahead() <= moment.most_ahead(&agreed), "{:?}", moment);
            prop_assert!(moment.behind() <= price * on_the_way, "{:?}", moment);
        }
        let due = agreed.cost(Some(lasted)).expect("small");
        // What was given and not paid for: that, or the least where the first link never came.
        let most = price * if stopped.cost > setup { on_the_way } else { on_the_way.max(minimum) };
        prop_assert!(due - stopped.cost <= most, "{} {:?}", due, stopped);
        // What was paid and goes back: the unit ahead, or the minimum of a call that ended at once.
        prop_assert!(stopped.unused <= price, "{:?}", stopped);
    }
}

#[test]
fn calls_paid_by_links_are_not_cut_where_the_way_is_long_and_are_where_the_money_ends() {
    for length in [100, 150, 250, 500, 999] {
        // Three tenths of a second there and back, and twice that, as SIP may take.
        for delay in [0, 20, 300, 600] {
            let agreed = agreed(&Rate { setup: 0, price: 2, length, minimum: 1, ..rate("", None, 1) });
            let (stopped, _, moments) = play_links(&agreed, delay, 1_000_000, 30_000);
            assert_eq!(stopped.lasted, Some(30_000), "{length} {delay}");
            let due = agreed.cost(Some(30_000)).expect("small");
            assert!(due - stopped.cost <= 2 * (delay / length), "{length} {delay}: {stopped:?}");
            assert_eq!(moments.iter().map(|moment| moment.lasted).max(), Some(30_000), "to its end");
            // What the last of the links pays for is all that is served.
            let (stopped, committed, _) = play_links(&agreed, delay, 400, 300_000);
            assert_eq!((stopped.lasted, stopped.cost, committed), (Some(200 * length), 400, 400), "{length} {delay}");
        }
    }
}

/// The agreed least is asked for with the answer, in one, and used up before another unit is asked for.
#[test]
fn the_agreed_least_is_paid_at_once_and_used_up_before_more_is_asked_for() {
    let agreed = agreed(&Rate { price: 2, length: 1_000, minimum: 10, ..rate("", None, 1) });
    assert_eq!(agreed.least(), Some(30));
    assert_eq!(agreed.least(), agreed.cost(Some(1)), "however soon it ends");
    let mut meter = Meter::start(agreed, 400);
    meter.pay(10, 0).expect("the set-up charge");
    meter.answered(0);
    let ask = Due::Ask { total: 30, at: 0 };
    assert_eq!(meter.due(), Some(ask));
    meter.done(ask);
    // Until it is paid, no more than a unit is given.
    assert_eq!(meter.due(), Some(Due::Cut { at: 1_000 }));
    meter.pay(30, 200).expect("the least");
    assert_eq!(meter.due(), Some(Due::Ask { total: 32, at: 9_600 }));
    assert_eq!(meter.clone().stop(300), Stopped { lasted: Some(300), cost: 30, unused: 0 }, "as agreed");
    assert_eq!(meter.stop(9_999), Stopped { lasted: Some(9_999), cost: 30, unused: 0 });
}

#[test]
fn totals_only_rise_by_whole_units_that_were_asked_for() {
    let agreed = agreed(&rate("", None, 30));
    let mut meter = Meter::start(agreed, 5_000);
    assert_eq!(meter.due(), None, "it rings");
    assert_eq!(meter.pay(40, 0), Err(MeterError::Early), "R24");
    meter.pay(10, 0).expect("the set-up charge");
    meter.answered(1_000);
    let ask = Due::Ask { total: 40, at: 1_000 };
    assert_eq!(meter.due(), Some(ask));
    assert_eq!(meter.pay(40, 1_000), Err(MeterError::TooMuch), "before it is asked for");
    meter.done(ask);
    assert_eq!(meter.due(), Some(Due::Cut { at: 6_000 }), "it is waited for that long");
    assert_eq!(meter.pay(39, 1_500), Err(MeterError::Uneven));
    assert_eq!(meter.pay(70, 1_500), Err(MeterError::TooMuch));
    meter.pay(40, 1_500).expect("a unit");
    meter.pay(40, 1_600).expect("again");
    assert_eq!(meter.pay(10, 1_600), Err(MeterError::Lower));
    let ask = Due::Ask { total: 70, at: 56_000 };
    assert_eq!(meter.due(), Some(ask), "early enough to hide the way");
    meter.done(ask);
    meter.no_more();
    let warn = Due::Warn { at: 51_000 };
    assert_eq!(meter.due(), Some(warn));
    meter.done(warn);
    assert_eq!(meter.due(), Some(Due::Cut { at: 61_000 }), "at the paid second");
    assert_eq!(meter.pay(70, 61_000), Err(MeterError::Over), "too late");
    let stopped = meter.stop(61_000);
    assert_eq!(stopped, Stopped { lasted: Some(60_000), cost: 40, unused: 0 });
    assert_eq!(meter.pay(70, 61_500), Err(MeterError::Over));
}

#[test]
fn what_nobody_answers_costs_what_was_agreed_and_the_rest_goes_back() {
    for (kept, cost) in [(None, 0), (Some(true), 10)] {
        let mut meter = Meter::start(agreed(&Rate { setup_kept: kept, ..rate("", None, 30) }), 0);
        meter.pay(10, 0).expect("paid");
        assert_eq!(meter.stop(20_000), Stopped { lasted: None, cost, unused: 10 - cost });
    }
    // An emergency, or a call that costs nothing, is never cut.
    let mut free = Meter::start(agreed(&Rate { setup: 0, ..rate("", None, 0) }), 0);
    free.answered(0);
    assert_eq!((free.due(), free.ends()), (None, None));
    assert_eq!(free.stop(9_999), Stopped { lasted: Some(9_999), cost: 0, unused: 0 });
}

#[test]
fn a_chain_is_as_long_as_ten_seconds_and_never_too_long() {
    let links = |length, minimum| agreed(&Rate { length, minimum, ..rate("", None, 1) }).links();
    assert_eq!((links(100, 1), links(250, 1), links(999, 1), links(100, 400)), (100, 40, 10, 400));
    assert_eq!((links(100, u64::MAX), links(1, 0)), (tegata_core::card::MAX_LINKS, tegata_core::card::MAX_LINKS));
}
