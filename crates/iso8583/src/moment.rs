//! Dates and times in messages: without a year, validated, and written by whoever has a clock.

use crate::element::{Element, number};
use crate::message::Message;
use crate::rules::Misuse;
use std::fmt;
use tegata_core::money::Time;

/// A day and a time of day without a year. February has 29 days, because nobody can know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Moment {
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Moment {
    /// `MMDDhhmmss`.
    fn read(value: &[u8]) -> Option<Self> {
        let pair = |at: usize| number(value.get(at..at + 2)?)?.try_into().ok();
        let moment = Self { month: pair(0)?, day: pair(2)?, hour: pair(4)?, minute: pair(6)?, second: pair(8)? };
        let days = match moment.month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let fits = (1..=days).contains(&moment.day) && moment.hour < 24 && moment.minute < 60 && moment.second < 60;
        (fits && value.len() == 10).then_some(moment)
    }
    /// The moment so many seconds after 1970 began.
    fn after(seconds: u64) -> Self {
        let (mut year, mut day) = (1970u64, seconds / Time::DAY);
        // 400 years are a whole number of days; what is left is at most 400 steps.
        day %= 146_097;
        let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        while day >= 365 + u64::from(leap(year)) {
            day -= 365 + u64::from(leap(year));
            year += 1;
        }
        let mut month = 1u8;
        for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        let second = seconds % Time::DAY;
        let small = |value: u64| u8::try_from(value).expect("at most 59");
        Self {
            month,
            day: small(day + 1),
            hour: small(second / 3600),
            minute: small(second / 60 % 60),
            second: small(second % 60),
        }
    }
    fn date(self) -> String {
        format!("{:02}{:02}", self.month, self.day)
    }
    fn time(self) -> String {
        format!("{:02}{:02}{:02}", self.hour, self.minute, self.second)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { month, day, hour, minute, second } = self;
        write!(f, "{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// Transmission date and time (field 7): UTC, `MMDDhhmmss`, when the request was first sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Transmitted(Moment);

impl Transmitted {
    /// This moment.
    pub fn at(time: Time) -> Self {
        Self(Moment::after(time.0))
    }
}

impl Element for Transmitted {
    const FIELD: u8 = 7;
    fn read(value: &[u8]) -> Option<Self> {
        Moment::read(value).map(Self)
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(self.to_string().as_bytes());
    }
}

impl fmt::Display for Transmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.date(), self.0.time())
    }
}

/// Local transaction time (field 12, `hhmmss`) and date (field 13, `MMDD`): where the card acceptor is, when the sale began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Local(Moment);

impl Local {
    const TIME: u8 = 12;
    const DATE: u8 = 13;

    /// This moment where clocks are so many minutes ahead of UTC (behind it, if negative).
    pub fn at(time: Time, minutes_east: i16) -> Self {
        Self(Moment::after(time.0.saturating_add_signed(i64::from(minutes_east) * 60)))
    }
    /// Both fields or neither.
    pub(crate) fn optional(message: &Message) -> Result<Option<Self>, Misuse> {
        let (time, date) = match (message.get(Self::TIME), message.get(Self::DATE)) {
            (None, None) => return Ok(None),
            (Some(time), Some(date)) => (time, date),
            (None, _) => return Err(Misuse::Missing { kind: message.kind(), field: Self::TIME }),
            (_, None) => return Err(Misuse::Missing { kind: message.kind(), field: Self::DATE }),
        };
        // The date is judged with a time that is one, so that the fault is told of the right field.
        let field = if Moment::read(&[date, b"000000"].concat()).is_some() { Self::TIME } else { Self::DATE };
        Moment::read(&[date, time].concat()).map(Self).map(Some).ok_or(Misuse::Value { field })
    }
    pub(crate) fn required(message: &Message) -> Result<Self, Misuse> {
        Self::optional(message)?.ok_or(Misuse::Missing { kind: message.kind(), field: Self::TIME })
    }
    pub(crate) fn put(self, message: &mut Message) {
        for (field, text) in [(Self::TIME, self.0.time()), (Self::DATE, self.0.date())] {
            message.set(field, text.as_bytes()).expect("six digits and four");
        }
    }
}

/// Date, expiration (field 14): the last month in which the card is good, `YYMM`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiry {
    year: u8,
    month: u8,
}

impl Expiry {
    /// The last two digits of the year, 0 to 99, and the month, 1 to 12; `None` outside.
    pub fn new(year: u8, month: u8) -> Option<Self> {
        (year <= 99 && (1..=12).contains(&month)).then_some(Self { year, month })
    }
}

impl Element for Expiry {
    const FIELD: u8 = 14;
    fn read(value: &[u8]) -> Option<Self> {
        let (year, month) = value.split_at_checked(2)?;
        Self::new(number(year)?.try_into().ok()?, number(month)?.try_into().ok()?)
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(format!("{:02}{:02}", self.year, self.month).as_bytes());
    }
}

/// Not shown: with the card number it is what a card is charged by.
impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expiry(****)")
    }
}

/// Date, settlement (field 15): the day on which the bank settles this, `MMDD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SettlementDate(Moment);

impl SettlementDate {
    /// The day of this moment, UTC.
    pub fn on(time: Time) -> Self {
        Self(Moment { hour: 0, minute: 0, second: 0, ..Moment::after(time.0) })
    }
}

impl Element for SettlementDate {
    const FIELD: u8 = 15;
    fn read(value: &[u8]) -> Option<Self> {
        Moment::read(&[value, b"000000"].concat()).map(Self)
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(self.0.date().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::MessageType;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, written) in [
            (0, "0101000000"),
            (951_782_399, "0228235959"),
            (951_782_400, "0229000000"),
            (1_709_164_800, "0229000000"),
            (1_795_500_000, "1124060000"),
            (4_107_542_399, "0228235959"),
            (4_107_542_400, "0301000000"),
            (4_102_444_799, "1231235959"),
        ] {
            let found = Transmitted::at(Time(seconds)).to_string();
            assert_eq!(found, written, "{seconds}");
            assert_eq!(Transmitted::read(found.as_bytes()), Some(Transmitted::at(Time(seconds))));
        }
        Transmitted::at(Time(u64::MAX));
    }

    #[test]
    fn what_is_no_moment_is_not_read() {
        for wrong in [
            "0001000000",
            "1301000000",
            "0100000000",
            "0132000000",
            "0230000000",
            "0431000000",
            "0101240000",
            "0101006000",
            "0101000060",
            "010100000",
            "01010000000",
            "01010000 0",
            "+101000000",
        ] {
            assert_eq!(Transmitted::read(wrong.as_bytes()), None, "{wrong}");
        }
        for wrong in ["0000", "2513", "25"] {
            assert_eq!(Expiry::read(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(SettlementDate::read(b"0230"), None);
        assert_eq!(SettlementDate::read(b"1124"), Some(SettlementDate::on(Time(1_795_500_000))));
        assert!(!format!("{:?}", Expiry::new(29, 12)).contains("29"));
    }

    #[test]
    fn local_time_is_two_fields_or_none() {
        let kind = MessageType::AuthorizationAnswer;
        let mut message = Message::new(kind);
        assert_eq!(Local::optional(&message), Ok(None));
        assert_eq!(Local::required(&message), Err(Misuse::Missing { kind, field: 12 }));
        let tokyo = Local::at(Time(1_795_500_000), 9 * 60);
        tokyo.put(&mut message);
        assert_eq!((message.get(12), message.get(13)), (Some(&b"150000"[..]), Some(&b"1124"[..])));
        assert_eq!(Local::optional(&message), Ok(Some(tokyo)));
        for (field, value, good) in [(12, "250000", "150000"), (13, "0230", "1124")] {
            message.set(field, value.as_bytes()).expect("fits");
            assert_eq!(Local::required(&message), Err(Misuse::Value { field }));
            message.set(field, good.as_bytes()).expect("fits");
        }
        message.remove(12);
        assert_eq!(Local::optional(&message), Err(Misuse::Missing { kind, field: 12 }));
        assert_eq!(Local::at(Time(0), -60), Local::at(Time(0), 0), "there is nothing before 1970");
    }
}
