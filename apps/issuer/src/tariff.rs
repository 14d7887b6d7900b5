//! What calls cost: rates from a spreadsheet, signed as the issuer's tariff.
//!
//! ```text
//! prefix,when,setup,price,seconds,minimum,kept
//! 49,,0.05,0.12,60,1,
//! 49,Mon-Fri 18:00-24:00,0.05,0.06,60,1,
//! ,,0.20,0.90,60,1,yes
//! ```
//!
//! The longest prefix decides, and of one prefix a rate for a part of the week goes before the rest. `kept`: the set-up charge is kept
//! also where nobody answers.

use crate::issuer::{Issuer, IssuerError};
use tegata_core::charging::{Rate, Tariff, WeekTime};
use tegata_core::record::{Batch, Space};
use tegata_core::talk::cards::Done;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, Unit};
use tegata_device::{Now, Post};
use tegata_vault::Vault;

/// The columns, in any order.
const COLUMNS: [&str; 7] = ["prefix", "when", "setup", "price", "seconds", "minimum", "kept"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u64 = 24 * 60;

/// Why a file is no list of rates. Lines count from 1, with the head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The head does not name a column.
    #[error(
        "line 1: the head must name the columns prefix, setup, price and seconds, and may name when, minimum and kept; '{0}' is {1}"
    )]
    Head(String, &'static str),
    /// A row has not as many fields as the head.
    #[error("line {0}: it has another number of fields than the head")]
    Fields(usize),
    /// Not an amount.
    #[error("line {0}: '{1}' is no amount in {2}")]
    Amount(usize, String, &'static str),
    /// Not a number.
    #[error("line {0}: '{1}' is no number of {2}")]
    Number(usize, String, &'static str),
    /// Not a part of the week.
    #[error("line {0}: '{1}' is no part of the week; write it like 'Mon-Fri 18:00-24:00'")]
    When(usize, String),
    /// Neither yes nor no.
    #[error("line {0}: 'kept' is yes or no, not '{1}'")]
    Kept(usize, String),
}

/// Reads rates.
///
/// # Errors
/// [`RateError`] with its line.
pub fn read_rates(text: &str, unit: Unit) -> Result<Vec<Rate>, RateError> {
    let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let head: Vec<String> = lines
        .next()
        .map_or_else(Vec::new, |(_, line)| line.split(',').map(|name| name.trim().to_lowercase()).collect());
    if let Some(unknown) = head.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        return Err(RateError::Head(unknown.clone(), "none of them"));
    }
    if let Some(missing) =
        ["prefix", "setup", "price", "seconds"].iter().find(|name| !head.iter().any(|it| it == *name))
    {
        return Err(RateError::Head((*missing).to_owned(), "missing"));
    }
    let mut rates = Vec::new();
    for (at, line) in lines {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.len() != head.len() {
            return Err(RateError::Fields(at + 1));
        }
        let field = |name: &str| {
            let place = head.iter().position(|it| it == name);
            place.and_then(|place| fields.get(place)).copied().unwrap_or_default()
        };
        rates.extend(row(at + 1, field, unit)?);
    }
    Ok(rates)
}

fn row<'a>(line: usize, field: impl Fn(&str) -> &'a str, unit: Unit) -> Result<Vec<Rate>, RateError> {
    let money = |name: &str| match field(name) {
        "" => Ok(0),
        text => Amount::parse(unit, text)
            .map(Amount::minor)
            .ok_or_else(|| RateError::Amount(line, text.to_owned(), unit.name())),
    };
    let length = milliseconds(field("seconds"))
        .ok_or_else(|| RateError::Number(line, field("seconds").to_owned(), "seconds"))?;
    let minimum = match field("minimum") {
        "" => 1,
        text => text.parse().map_err(|_| RateError::Number(line, text.to_owned(), "units"))?,
    };
    let setup_kept = match field("kept").to_lowercase().as_str() {
        "" | "no" => None,
        "yes" => Some(true),
        other => return Err(RateError::Kept(line, other.to_owned())),
    };
    let (setup, price) = (money("setup")?, money("price")?);
    let parts = parts_of_week(field("when")).ok_or_else(|| RateError::When(line, field("when").to_owned()))?;
    let rate = |when| Rate {
        prefix: field("prefix").to_owned(),
        when,
        setup,
        price,
        length,
        minimum,
        setup_kept,
        extensions: Default::default(),
    };
    Ok(if parts.is_empty() { vec![rate(None)] } else { parts.into_iter().map(|part| rate(Some(part))).collect() })
}

/// Seconds, with up to three decimals.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = (part.len() <= 3).then(|| format!("{part:0<3}"))?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part.parse().ok()?)
}

/// `Mon-Fri 18:00-24:00`: a part of each of these days. Nothing: always.
fn parts_of_week(text: &str) -> Option<Vec<WeekTime>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let (days, hours) = text.split_once(' ').unwrap_or((text, "00:00-24:00"));
    let day = |name: &str| DAYS.iter().position(|day| *day == name.to_lowercase()).map(|day| day as u64);
    let (first, last) = match days.split_once('-') {
        Some((first, last)) => (day(first)?, day(last)?),
        None => (day(days)?, day(days)?),
    };
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour <= 24 && minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
    };
    let (from, until) = hours.split_once('-')?;
    let (from, until) = (minute(from.trim())?, minute(until.trim())?);
    let part = |day: u64| WeekTime { from: day * DAY + from, until: day * DAY + until, extensions: Default::default() };
    (first <= last && from < until).then(|| (first..=last).map(part).collect())
}

impl<V: Vault> Issuer<V> {
    /// Sets what calls cost that its cards pay in this unit; calls under way keep what was agreed. Setting the same again changes
    /// nothing.
    ///
    /// # Errors
    /// [`IssuerError::Tariff`] and others.
    pub fn set_tariff(
        &mut self,
        post: &mut dyn Post,
        (unit, ahead): (Unit, u64),
        rates: Vec<Rate>,
        now: Now,
    ) -> Result<Tariff, IssuerError> {
        let issuer = self.party()?;
        let mut tariff = Tariff { issuer, number: 1, unit, ahead, rates, at: now.time, extensions: Default::default() };
        tariff.check()?;
        let last = self.tariffs()?.into_iter().find(|signed| signed.claimed().unit == unit);
        let signed = match last {
            // Its answer may have been lost.
            Some(last) if (last.claimed().ahead, &last.claimed().rates) == (ahead, &tariff.rates) => last,
            last => {
                // One that was lost on its way is brought first: numbers have no gaps.
                if let Some(last) = &last {
                    let _: Verified<Done> = self.device.request(post, last, now)?;
                }
                tariff.number = last.map_or(0, |last| last.claimed().number) + 1;
                let signed = self.device.signed(tariff)?;
                let mut batch = Batch::default();
                batch.put(signed.claimed().key(), signed.encode());
                self.device.vault.commit(&batch)?;
                signed
            }
        };
        let _: Verified<Done> = self.device.request(post, &signed, now)?;
        Ok(signed.claimed().clone())
    }
    /// The tariffs that it has set, one for each unit.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn tariffs(&self) -> Result<Vec<Signed<Tariff>>, IssuerError> {
        let found = self.device.vault.scan(Space::Tariff, &[], usize::MAX)?;
        Ok(found.iter().filter_map(|(_, bytes)| Signed::decode(bytes).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_parts_of_the_week() {
        let text = "prefix,when,setup,price,seconds,minimum,kept\n\
                    49,,0.05,0.12,60,1,\n\
                    49,Mon-Fri 18:00-24:00,0.05,0.06,60,,no\n\
                    ,,,0.90,0.5,2,yes\n";
        let rates = read_rates(text, Unit::USD).expect("reads");
        assert_eq!(rates.len(), 7);
        assert_eq!((rates[0].setup, rates[0].price, rates[0].length), (5, 12, 60_000));
        assert_eq!(rates[5].when.as_ref().map(|when| (when.from, when.until)), Some((4 * DAY + 1_080, 5 * DAY)));
        assert_eq!((rates[6].length, rates[6].minimum, rates[6].setup_kept), (500, 2, Some(true)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let wrong = |text: &str| read_rates(text, Unit::USD).expect_err("is wrong");
        assert_eq!(wrong("prefix,setup,price"), RateError::Head("seconds".into(), "missing"));
        assert_eq!(wrong("prefix,setup,price,seconds,colour"), RateError::Head("colour".into(), "none of them"));
        let head = "prefix,when,setup,price,seconds\n";
        assert_eq!(wrong(&format!("{head}49,,1,2")), RateError::Fields(2));
        assert_eq!(wrong(&format!("{head}49,,x,2,60")), RateError::Amount(2, "x".into(), "USD"));
        assert_eq!(wrong(&format!("{head}49,,1,2,a minute")), RateError::Number(2, "a minute".into(), "seconds"));
        assert_eq!(wrong(&format!("{head}49,Mon 24:00-18:00,1,2,60")), RateError::When(2, "Mon 24:00-18:00".into()));
        assert_eq!(wrong(&format!("{head}49,Someday,1,2,60")), RateError::When(2, "Someday".into()));
    }
}
