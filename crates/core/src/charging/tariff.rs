//! What a call costs where, when and for how long: the issuer's tariff, and what of it was agreed for one call.

use crate::card::MAX_LINKS;
use crate::id::{Hash, PartyId};
use crate::message;
use crate::money::{Time, Unit};
use crate::record::{RecordKey, Space};
use alloc::{string::String, vec::Vec};

/// In milliseconds.
pub(super) const SECOND: u64 = 1_000;
/// Minutes of a week.
pub const WEEK: u64 = 7 * 24 * 60;
/// Rates of one tariff, at most.
pub const MAX_RATES: usize = 1_000;
/// Digits of a prefix or number, at most (ITU-T E.164 has 15; some networks dial more).
pub const MAX_DIGITS: usize = 24;
/// Seconds within which a call's tariff is to be agreed to, at most: so a switch cannot date a call back to when it was dearer.
pub const AGREED_WITHIN: u64 = 600;

message! {
    /// A part of every week. Minutes from Monday 00:00 by the tariff's own clock.
    pub struct WeekTime {
        /// From this minute on, below 10,080.
        1 from: u64,
        /// Until before this one, 1 to 10,080, above `from`.
        2 until: u64,
    }
}

message! {
    /// What calls to some numbers cost.
    pub struct Rate {
        /// First digits of the number that is called; none: every number.
        1 prefix: String,
        /// When it holds; absent: whenever no other rate of this prefix does.
        2 when: Option<WeekTime>,
        /// Set-up charge, in the tariff's unit.
        3 setup: u64,
        /// Price of one unit of the call's length, in the tariff's unit.
        4 price: u64,
        /// Length of such a unit, in milliseconds, from 100 to a day.
        5 length: u64,
        /// An answered call pays for so many at least ([`CallTariff::least`]).
        6 minimum: u64,
        /// The set-up charge is kept also where nobody answers.
        7 setup_kept: Option<bool>,
    }
}

message! {
    /// What calls cost. Signed by the issuer of the cards that pay them; a higher number replaces it for calls that begin then.
    pub struct Tariff kind 36 max 100_000 {
        /// Whose.
        1 issuer: PartyId,
        /// Counts up from 1.
        2 number: u64,
        /// In which unit: a currency's minor units, or call units.
        3 unit: Unit,
        /// Minutes that its clock is ahead of UTC; behind it: so many less than a week.
        4 ahead: u64,
        /// The rates.
        5 rates: Vec<Rate>,
        /// When it was made.
        6 at: Time,
    }
}

message! {
    /// What was agreed for one call; the tariff may change meanwhile. Signed by the switch in the context of the session.
    pub struct CallTariff kind 37 max 300 {
        /// The call's number at this switch; never used again.
        1 transaction: u64,
        /// In which unit.
        2 unit: Unit,
        /// Set-up charge.
        3 setup: u64,
        /// Price of a unit of length.
        4 price: u64,
        /// That length, in milliseconds.
        5 length: u64,
        /// An answered call pays for so many at least ([`CallTariff::least`]).
        6 minimum: u64,
        /// The set-up charge is kept also where nobody answers.
        7 setup_kept: Option<bool>,
        /// The tariff it is from, by its hash.
        8 tariff: Hash,
        /// The number that is called, as the caller knows it.
        9 called: String,
        /// When, by the switch's clock.
        10 at: Time,
        /// To be agreed to before then.
        11 expires: Time,
    }
}

/// What is wrong with a tariff; its issuer is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TariffError {
    /// Too many rates, or none.
    #[error("a tariff has 1 to 1,000 rates")]
    Rates,
    /// Not digits.
    #[error("'{0}' is no prefix: digits only, at most 24")]
    Prefix(String),
    /// A length out of range.
    #[error("a unit of a call to '{0}' lasts 100 milliseconds at least, and a day at most")]
    Length(String),
    /// Not a part of a week.
    #[error("a rate for '{0}' holds at no time: it begins before it ends, within a week of 10,080 minutes")]
    When(String),
    /// Two rates for one moment.
    #[error("two rates for '{0}' hold at the same time")]
    Twice(String),
    /// A clock out of range.
    #[error("its clock is ahead of UTC by less than a week, in minutes")]
    Clock,
    /// What it costs does not fit.
    #[error("a call to '{0}' could cost more than can be counted")]
    Overflow(String),
}

/// The number as it is rated: digits alone. `None`: it has others, or too many.
pub fn digits(number: &str) -> Option<String> {
    let number = number.strip_prefix('+').unwrap_or(number);
    let kept: String = number.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    (is_digits(&kept) && !kept.is_empty()).then_some(kept)
}

fn is_digits(text: &str) -> bool {
    text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The longest call that is counted: a week.
const LONGEST: u64 = WEEK * 60_000;

impl Tariff {
    /// Where a switch keeps the one that counts, as its issuer has signed it.
    pub fn key(&self) -> RecordKey {
        let mut name = self.issuer.0.to_vec();
        name.extend_from_slice(&self.unit.code().to_be_bytes());
        RecordKey::new(Space::Tariff, name)
    }
    /// Whether it says one price for every number and moment that it names.
    ///
    /// # Errors
    /// [`TariffError`].
    pub fn check(&self) -> Result<(), TariffError> {
        if self.rates.is_empty() || self.rates.len() > MAX_RATES {
            return Err(TariffError::Rates);
        }
        if self.ahead >= WEEK {
            return Err(TariffError::Clock);
        }
        for (at, rate) in self.rates.iter().enumerate() {
            let prefix = || rate.prefix.clone();
            if !is_digits(&rate.prefix) {
                return Err(TariffError::Prefix(prefix()));
            }
            if !(100..=86_400_000).contains(&rate.length) {
                return Err(TariffError::Length(prefix()));
            }
            if rate.when.as_ref().is_some_and(|when| when.from >= when.until || when.until > WEEK) {
                return Err(TariffError::When(prefix()));
            }
            let most = (LONGEST / rate.length + 1).max(rate.minimum).checked_mul(rate.price);
            if most.and_then(|most| most.checked_add(rate.setup)).is_none_or(|most| most > u64::MAX / 2) {
                return Err(TariffError::Overflow(prefix()));
            }
            let same = self.rates.iter().take(at).filter(|other| other.prefix == rate.prefix);
            let overlaps = |other: &Rate| match (&other.when, &rate.when) {
                (None, None) => true,
                (Some(one), Some(two)) => one.from < two.until && two.from < one.until,
                _ => false,
            };
            if same.into_iter().any(overlaps) {
                return Err(TariffError::Twice(prefix()));
            }
        }
        Ok(())
    }
    /// The minute of the week by its own clock.
    pub fn minute(&self, at: Time) -> u64 {
        // The first of January 1970 was a Thursday.
        (at.0 / 60 + 3 * 24 * 60 + self.ahead) % WEEK
    }
    /// What a call to this number that begins now costs: by the longest prefix that has a rate for this moment. `None`: it is not
    /// connected.
    pub fn rate(&self, called: &str, at: Time) -> Option<&Rate> {
        let minute = self.minute(at);
        let holds = |rate: &&Rate| {
            let now = rate.when.as_ref().is_none_or(|when| (when.from..when.until).contains(&minute));
            now && called.starts_with(rate.prefix.as_str())
        };
        // Of one prefix, a rate for a part of the week goes before the one for the rest.
        self.rates.iter().filter(holds).max_by_key(|rate| (rate.prefix.len(), rate.when.is_some()))
    }
    /// Whether a switch that follows this tariff could have agreed to that for a call: its price is the one for the number and the
    /// moment that the call's tariff names.
    pub fn prices(&self, call: &CallTariff) -> bool {
        let rated = digits(&call.called).and_then(|called| self.rate(&called, call.at).cloned());
        let same = rated.is_some_and(|rate| {
            (rate.setup, rate.price, rate.length, rate.minimum) == (call.setup, call.price, call.length, call.minimum)
                && rate.setup_kept.unwrap_or(false) == call.setup_kept.unwrap_or(false)
        });
        same && call.unit == self.unit && call.expires <= call.at.after(AGREED_WITHIN)
    }
}

impl CallTariff {
    /// Units of length that an answered call of so many milliseconds pays for: each that has begun, and the minimum. A call that ends
    /// as it is answered pays for the minimum.
    pub fn units(&self, lasted: u64) -> u64 {
        lasted.div_ceil(self.length.max(1)).max(self.minimum)
    }
    /// What so many units cost with the set-up charge. `None`: more than can be counted.
    pub fn total(&self, units: u64) -> Option<u64> {
        self.price.checked_mul(units)?.checked_add(self.setup)
    }
    /// The agreed least: what a call costs that is answered, however soon it ends. Whoever calls sees it before agreeing; it is owed with
    /// the answer, and asked for at once. `None`: more than can be counted.
    pub fn least(&self) -> Option<u64> {
        self.total(self.minimum.max(1))
    }
    /// Whether it is paid link by link: its units are shorter than a second, too short for a check each (R24).
    pub fn is_linked(&self) -> bool {
        self.length < SECOND && self.price > 0
    }
    /// For how many units one chain lasts: ten seconds.
    pub fn links(&self) -> u64 {
        (10 * SECOND / self.length.max(1)).max(self.minimum.max(1)).min(MAX_LINKS)
    }
    /// What the call costs: `lasted` in milliseconds since it was answered, `None` where nobody answered.
    pub fn cost(&self, lasted: Option<u64>) -> Option<u64> {
        match lasted {
            Some(lasted) => self.total(self.units(lasted)),
            None if self.setup_kept == Some(true) => Some(self.setup),
            None => Some(0),
        }
    }
}
