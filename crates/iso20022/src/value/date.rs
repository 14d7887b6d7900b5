//! Dates and moments as XML writes them (`xs:date`, `xs:dateTime`), years 1970 to 9999, Gregorian.

use std::fmt;
use tegata_core::money::Time;

/// Why a text or number is no date or moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// Not written so.
    #[error("a date is written YYYY-MM-DD, a moment YYYY-MM-DDThh:mm:ssZ")]
    Shape,
    /// No such day in the calendar, no such time of day, or outside of the years.
    #[error("there is no such day or time of day between 1970 and 9999")]
    Calendar,
}

/// A day. Whose day it is (the bank's, the debtor's) is said by the field that holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// # Errors
    /// [`DateError::Calendar`].
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, DateError> {
        let is_day = (1970..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
        if is_day && u64::from(day) <= days_in(year.into(), month.into()) {
            Ok(Self { year, month, day })
        } else {
            Err(DateError::Calendar)
        }
    }
    /// The day of a moment, in UTC.
    ///
    /// # Errors
    /// [`DateError::Calendar`] after the year 9999.
    pub fn of(moment: Time) -> Result<Self, DateError> {
        let days = moment.0 / Time::DAY;
        let mut year = 1970 + days / 366;
        if year > 9999 {
            return Err(DateError::Calendar);
        }
        while days >= days_before(year + 1) {
            year += 1;
        }
        let mut left = days - days_before(year);
        let mut month = 1;
        while left >= days_in(year, month) {
            left -= days_in(year, month);
            month += 1;
        }
        let small = |number| u8::try_from(number).map_err(|_| DateError::Calendar);
        Self::new(u16::try_from(year).map_err(|_| DateError::Calendar)?, small(month)?, small(left + 1)?)
    }
    /// Reads `xs:date`. A time zone behind it is checked and dropped: the day counts as it is written.
    ///
    /// # Errors
    /// [`DateError`].
    pub fn parse(text: &str) -> Result<Self, DateError> {
        let (date, zone) = text.split_at_checked(10).ok_or(DateError::Shape)?;
        if !zone.is_empty() {
            offset(zone)?;
        }
        let mut parts = date.split('-');
        let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(DateError::Shape);
        };
        let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
        let small = |number| u8::try_from(number).map_err(|_| DateError::Shape);
        Self::new(u16::try_from(year).map_err(|_| DateError::Shape)?, small(month)?, small(day)?)
    }
    /// Days since 1970-01-01.
    pub fn days(self) -> u64 {
        let year = u64::from(self.year);
        let months: u64 = (1..u64::from(self.month)).map(|month| days_in(year, month)).sum();
        days_before(year) + months + u64::from(self.day) - 1
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes a moment as `xs:dateTime` in UTC, in whole seconds.
pub(crate) fn write_moment(moment: Time) -> Result<String, DateError> {
    let second = moment.0 % Time::DAY;
    Ok(format!("{}T{:02}:{:02}:{:02}Z", Date::of(moment)?, second / 3600, second / 60 % 60, second % 60))
}

/// Reads `xs:dateTime`: parts of a second are dropped; without a zone it is taken as UTC.
pub(crate) fn read_moment(text: &str) -> Result<Time, DateError> {
    let (date, time) = text.split_once('T').ok_or(DateError::Shape)?;
    if date.len() != 10 {
        return Err(DateError::Shape);
    }
    let date = Date::parse(date)?;
    let (clock, mut rest) = time.split_at_checked(8).ok_or(DateError::Shape)?;
    let mut parts = clock.split(':');
    let (Some(hour), Some(minute), Some(second), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(DateError::Shape);
    };
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return Err(DateError::Calendar);
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(DateError::Shape);
        }
        rest = &fraction[digits..];
    }
    let local = date.days() * Time::DAY + hour * 3600 + minute * 60 + second;
    let utc = if rest.is_empty() { Some(local) } else { local.checked_add_signed(-offset(rest)?) };
    let moment = Time(utc.ok_or(DateError::Calendar)?);
    Date::of(moment).map(|_| moment)
}

/// Seconds by which a zone is ahead of UTC: `Z` or `+hh:mm`, up to 14 hours.
fn offset(zone: &str) -> Result<i64, DateError> {
    if zone == "Z" {
        return Ok(0);
    }
    let (sign, clock) = match zone.split_at_checked(1) {
        Some(("+", clock)) => (1, clock),
        Some(("-", clock)) => (-1, clock),
        _ => return Err(DateError::Shape),
    };
    let (hours, minutes) = clock.split_once(':').ok_or(DateError::Shape)?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if minutes > 59 || hours * 60 + minutes > 14 * 60 {
        return Err(DateError::Calendar);
    }
    i64::try_from(hours * 3600 + minutes * 60).map(|seconds| sign * seconds).map_err(|_| DateError::Shape)
}

fn number(text: &str, digits: usize) -> Result<u64, DateError> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DateError::Shape);
    }
    text.parse().map_err(|_| DateError::Shape)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of this year, which is 1970 or later.
fn days_before(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    365 * (year - 1970) + leaps(year - 1) - leaps(1969)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (text, days) in
            [("1970-01-01", 0), ("2000-03-01", 11_017), ("2024-02-29", 19_782), ("9999-12-31", 2_932_896)]
        {
            let date = Date::parse(text).expect("a day");
            assert_eq!((date.days(), date.to_string()), (days, text.to_owned()));
        }
        for (wrong, why) in [
            ("", DateError::Shape),
            ("2026-1-02", DateError::Shape),
            ("26-01-002", DateError::Shape),
            ("2026-01-02 ", DateError::Shape),
            ("2026-01-0\u{e9}", DateError::Shape),
            ("2026-01-02+1:00", DateError::Shape),
            ("2026-01-02+15:00", DateError::Calendar),
            ("2026-02-29", DateError::Calendar),
            ("2026-13-01", DateError::Calendar),
            ("2026-00-10", DateError::Calendar),
            ("2026-01-00", DateError::Calendar),
            ("1969-12-31", DateError::Calendar),
        ] {
            assert_eq!(Date::parse(wrong), Err(why), "{wrong}");
        }
        assert_eq!(Date::parse("2026-01-02+01:00"), Date::new(2026, 1, 2));
    }

    #[test]
    fn moments_are_brought_to_utc() {
        for (text, same) in [
            ("2026-10-31T12:00:00Z", "2026-10-31T12:00:00Z"),
            ("2026-10-31T12:00:00", "2026-10-31T12:00:00Z"),
            ("2026-10-31T12:00:00.999", "2026-10-31T12:00:00Z"),
            ("2026-10-31T00:30:00+01:00", "2026-10-30T23:30:00Z"),
            ("2026-12-31T20:00:00.5-05:00", "2027-01-01T01:00:00Z"),
        ] {
            let moment = read_moment(text).expect("a moment");
            assert_eq!(write_moment(moment), Ok(same.to_owned()));
        }
        for wrong in [
            "2026-10-31",
            "2026-10-31T24:00:00",
            "2026-10-31T12:00",
            "2026-10-31T12:00:00.",
            "2026-10-31T12:00:00z",
            "2026-10-31ZT12:00:00",
            "1970-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert!(read_moment(wrong).is_err(), "{wrong}");
        }
        assert!(write_moment(Time::END).is_err());
    }

    proptest! {
        #[test]
        fn moments_read_back(seconds in 0..253_402_300_800u64) {
            let text = write_moment(Time(seconds)).expect("until 9999");
            prop_assert_eq!(read_moment(&text), Ok(Time(seconds)));
            prop_assert_eq!(Date::of(Time(seconds)).map(Date::days), Ok(seconds / Time::DAY));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (Date::parse(&text), read_moment(&text));
        }
    }
}
