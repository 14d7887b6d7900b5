//! Days and dates of the Gregorian calendar, in UTC.

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn lengths(year: u64) -> [u64; 12] {
    [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn year_length(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

/// Days from 1970-01-01 to a date. `None` for what is no date from 1970 to 9999.
pub fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let lengths = lengths(year);
    let index = usize::try_from(month - 1).ok()?;
    let before: u64 = (1970..year).map(year_length).sum::<u64>() + lengths.iter().take(index).sum::<u64>();
    (day <= *lengths.get(index)?).then_some(before + day - 1)
}

/// Year, month and day that lie this many days after 1970-01-01.
pub fn date(days: u64) -> (u64, u64, u64) {
    let (mut year, mut left) = (1970, days);
    while left >= year_length(year) {
        left -= year_length(year);
        year += 1;
    }
    let mut month = 1;
    for length in lengths(year) {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_each_others_inverse() {
        for day in 0..40_000 {
            let (year, month, date) = date(day);
            assert_eq!(days(year, month, date), Some(day));
        }
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(1997, 13, 1), None);
        assert_eq!(days(1997, 2, 29), None);
    }
}
