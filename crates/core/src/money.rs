//! Money and time: integer minor units with their unit, checked arithmetic, UTC seconds handed in.

use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use core::fmt;

/// What a number counts: minor units of a currency, entries of a ticket, or call units (R1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(u16);

impl Unit {
    /// US dollar, in cents (ISO 4217 code 840).
    pub const USD: Self = Self(840);
    /// Euro, in cents (ISO 4217 code 978).
    pub const EUR: Self = Self(978);
    /// Yen; its minor unit is the yen itself (ISO 4217 code 392).
    pub const JPY: Self = Self(392);
    /// Entries of a ticket.
    pub const ENTRIES: Self = Self(1000);
    /// Units of a telephone call.
    pub const CALL_UNITS: Self = Self(1001);

    /// The unit of a number on the wire: an ISO 4217 numeric code, or 1000 and 1001.
    pub fn from_code(code: u16) -> Option<Self> {
        [Self::USD, Self::EUR, Self::JPY, Self::ENTRIES, Self::CALL_UNITS].into_iter().find(|unit| unit.0 == code)
    }
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self.0
    }
    /// The unit of a name such as `USD`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::USD, Self::EUR, Self::JPY, Self::ENTRIES, Self::CALL_UNITS].into_iter().find(|unit| unit.name() == name)
    }
    /// Its name on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::USD => "USD",
            Self::EUR => "EUR",
            Self::JPY => "JPY",
            Self::ENTRIES => "entries",
            _ => "units",
        }
    }
    /// Whether it is a currency, which a bank can pay.
    pub fn is_money(self) -> bool {
        self != Self::ENTRIES && self != Self::CALL_UNITS
    }
    /// Digits behind the decimal point (ISO 4217 minor unit).
    pub fn decimals(self) -> usize {
        if self == Self::USD || self == Self::EUR { 2 } else { 0 }
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Wire for Unit {
    fn write(&self, to: &mut Writer) {
        to.uint(u64::from(self.0));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u16::try_from(from.uint()?).ok().and_then(Self::from_code).ok_or(DecodeError::Value("unknown unit"))
    }
}

/// An amount of something: never negative, at most [`Amount::MAX`] minor units, never without its unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount {
    unit: Unit,
    minor: u64,
}

impl Amount {
    /// The most that one amount can be, in minor units: ten trillion major units; sums of many still fit an `i64`.
    pub const MAX: u64 = 1_000_000_000_000_000;

    /// `minor` units. `None` above [`Amount::MAX`].
    pub fn new(unit: Unit, minor: u64) -> Option<Self> {
        (minor <= Self::MAX).then_some(Self { unit, minor })
    }
    /// Nothing, in this unit.
    pub fn zero(unit: Unit) -> Self {
        Self { unit, minor: 0 }
    }
    /// What it counts.
    pub fn unit(self) -> Unit {
        self.unit
    }
    /// How many minor units.
    pub fn minor(self) -> u64 {
        self.minor
    }
    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.minor == 0
    }
    /// The sum; `None` if the units differ or it grows beyond [`Amount::MAX`].
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.unit != other.unit {
            return None;
        }
        Self::new(self.unit, self.minor.checked_add(other.minor)?)
    }
    /// The difference; `None` if the units differ or it would be negative.
    pub fn minus(self, other: Self) -> Option<Self> {
        if self.unit != other.unit {
            return None;
        }
        Self::new(self.unit, self.minor.checked_sub(other.minor)?)
    }
    /// Reads `12.34` in this unit. `None` for signs, too many decimals, or anything else that is no such number.
    pub fn parse(unit: Unit, text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > unit.decimals() {
            return None;
        }
        if text.contains('.') && part.is_empty() {
            return None;
        }
        let scale = 10u64.pow(u32::try_from(unit.decimals()).ok()?);
        let missing = 10u64.pow(u32::try_from(unit.decimals() - part.len()).ok()?);
        let part: u64 = if part.is_empty() { 0 } else { part.parse().ok()? };
        let minor = whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part.checked_mul(missing)?)?;
        Self::new(unit, minor)
    }
    /// The number alone, as `12.34`.
    pub fn decimal(self) -> impl fmt::Display {
        Decimal(self)
    }
}

struct Decimal(Amount);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.0.unit.decimals();
        if decimals == 0 {
            return write!(f, "{}", self.0.minor);
        }
        let scale = (0..decimals).fold(1, |scale, _| scale * 10);
        write!(f, "{}.{:0decimals$}", self.0.minor / scale, self.0.minor % scale)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.unit {
            Unit::ENTRIES if self.minor == 1 => "entry",
            Unit::CALL_UNITS if self.minor == 1 => "unit",
            unit => unit.name(),
        };
        write!(f, "{} {name}", self.decimal())
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Wire for Amount {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        self.unit.write(to);
        to.uint(self.minor);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(2)?;
        let unit = Unit::read(from)?;
        Self::new(unit, from.uint()?).ok_or(DecodeError::Value("amount too large"))
    }
}

/// A moment: UTC seconds since 1970, always handed in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub u64);

impl Time {
    /// Later than anything: what "without end" is written as.
    pub const END: Self = Self(crate::wire::canonical::MAX_NUMBER);
    /// One day in seconds.
    pub const DAY: u64 = 86_400;
    /// This many seconds later; stays at the end of time rather than wrap.
    pub fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
    /// Seconds from `earlier` to this; 0 if it is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Wire for Time {
    fn write(&self, to: &mut Writer) {
        to.uint(self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u64::read(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let cents = |text| Amount::parse(Unit::USD, text).map(Amount::minor);
        assert_eq!(cents("12.34"), Some(1234));
        assert_eq!(cents("12.3"), Some(1230));
        assert_eq!(cents("12"), Some(1200));
        for wrong in ["", ".", "12.", "-1", "+1", "1.234", "1e3", "99999999999999999999", " 1"] {
            assert_eq!(cents(wrong), None, "{wrong}");
        }
        assert_eq!(Amount::parse(Unit::JPY, "1.0"), None);
    }

    #[test]
    fn one_of_what_is_counted_is_one() {
        let said = |unit, minor| Amount::new(unit, minor).map(|amount| alloc::format!("{amount}"));
        assert_eq!(
            [1, 2].map(|minor| said(Unit::CALL_UNITS, minor)),
            ["1 unit", "2 units"].map(|text| Some(text.into()))
        );
        assert_eq!(
            [0, 1].map(|minor| said(Unit::ENTRIES, minor)),
            ["0 entries", "1 entry"].map(|text| Some(text.into()))
        );
        assert_eq!(said(Unit::JPY, 1), Some("1 JPY".into()));
    }

    #[test]
    fn units_never_mix() {
        assert_eq!(Amount::zero(Unit::USD).plus(Amount::zero(Unit::EUR)), None);
        assert_eq!(Amount::zero(Unit::USD).minus(Amount::zero(Unit::JPY)), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(minor in 0..=Amount::MAX) {
            let amount = Amount::new(Unit::EUR, minor).expect("in range");
            prop_assert_eq!(Amount::parse(Unit::EUR, &format!("{}", amount.decimal())), Some(amount));
        }
    }
}
