//! The sales file: what is in it, played day by day, and what must come out.
#![allow(clippy::float_arithmetic)] // seconds and mebibytes, never money

use super::fleet::{Fleet, Tally};
use super::shop::{Shop, Stock};
use crate::calendar::days;
use crate::flags::{SalesFlags, Tender};
use crate::measure;
use crate::rig::ClearingProcess;
use crate::screen::{Answer, Failure, Screen, fail};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tegata_core::{Amount, Time, Unit};

/// One purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// The customer's number.
    pub customer: u32,
    /// Days since 1970-01-01.
    pub day: u64,
    /// In cents.
    pub cents: u64,
}

/// Reads the file: one header line, then customer, date, count and dollars.
fn read(path: &Path) -> Result<Vec<Purchase>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return fail(format!("{} cannot be read: {error}", path.display())),
    };
    let mut purchases = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        if line.trim().is_empty() {
            continue;
        }
        match parse(line) {
            Some(purchase) => purchases.push(purchase),
            None => return fail(format!("{}, line {}: not a purchase: {line}", path.display(), number + 1)),
        }
    }
    if purchases.is_empty() {
        return fail(format!("{} holds no purchases", path.display()));
    }
    Ok(purchases)
}

fn parse(line: &str) -> Option<Purchase> {
    let mut fields = line.split_whitespace();
    let customer = fields.next()?.parse().ok()?;
    let date: u64 = fields.next()?.parse().ok()?;
    let _count: u64 = fields.next()?.parse().ok()?;
    let cents = Amount::parse(Unit::USD, fields.next()?)?.minor();
    fields.next().is_none().then_some(())?;
    Some(Purchase { customer, day: days(date / 10_000, date / 100 % 100, date % 100)?, cents })
}

/// Plays the file.
pub fn run(screen: Screen, flags: &SalesFlags) -> Result<Answer, Failure> {
    let started = Instant::now();
    let purchases = read(&flags.file)?;
    let mut by_day: BTreeMap<u64, Vec<Purchase>> = BTreeMap::new();
    for purchase in &purchases {
        by_day.entry(purchase.day).or_default().push(*purchase);
    }
    let (first, last) = match (by_day.keys().next(), by_day.keys().next_back()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => return fail("no purchases"),
    };
    let folder = Folder::new(flags.keep.as_deref())?;
    let mut shop = Shop::open(&folder.path, flags.terminals.max(1), Time(first * Time::DAY))?;
    let fleet = Fleet::new(purchases.iter().map(|purchase| purchase.customer), &shop)?;
    let tender = match flags.tender {
        Tender::Cards => Paying::Cards(Stock::order(&mut shop, &purchases)?),
        Tender::Credit => {
            // Nobody buys one; terminals are equipped by them.
            Stock::order(&mut shop, &[])?;
            Paying::Credit(shop.clear_credit()?)
        }
    };
    let bar = screen.progress(purchases.len() as u64, "purchases");
    let half = first + (last - first) / 2;
    for day in first..=last {
        shop.set_day(day)?;
        if flags.kill && day == half {
            shop.kill_soon();
        }
        let bought = by_day.get(&day).map_or(&[][..], Vec::as_slice);
        match &tender {
            Paying::Cards(stock) => {
                shop.activate(stock, &fleet, bought)?;
                fleet.day(&shop, stock, day, bought, flags.idle_days)?;
            }
            Paying::Credit(clearing) => fleet.credit_day(&shop, clearing, day, bought)?,
        }
        bar.inc(bought.len() as u64);
    }
    shop.set_day(last + 1)?;
    if flags.tender == Tender::Credit {
        // The merchants' receipts reach the users by what terminals say last.
        shop.close()?;
    }
    fleet.last_update(&shop, last + 1)?;
    shop.close()?;
    bar.finish_and_clear();
    let end = shop.settle()?;
    let tally = fleet.tally();
    let credit = match &tender {
        Paying::Cards(_) => None,
        Paying::Credit(clearing) => Some(Credit::read(&fleet, &shop, clearing)?),
    };
    let processor_cpu = credit.as_ref().map_or(0.0, |credit| credit.cpu);
    let cpu = measure::cpu_seconds(std::process::id()).unwrap_or(0.0) + shop.provider_cpu() + processor_cpu;
    let (ours, theirs) = (measure::peak_mebibytes(std::process::id()).unwrap_or(0.0), shop.provider_peak());
    let memory = ours + theirs;
    let provider_cpu = shop.provider_cpu();
    let wall = started.elapsed().as_secs_f64();
    drop(tender);
    let database = shop.stop()?;
    let audited = crate::audit::audit_file(&database)?;
    let unexplained = end.exceptions
        + u64::from(audited.difference.is_some())
        + tally.contradicts(&end)
        + credit.as_ref().map_or(0, |credit| credit.contradicts(&tally));
    let cleared = Amount::new(Unit::USD, end.cleared);
    let Some((cleared, fees)) = cleared.zip(Amount::new(Unit::USD, end.fees)) else {
        return fail("more was cleared than an amount can hold");
    };
    let json = json!({
        "payments": tally.payments,
        "refused": tally.refused,
        "cleared": cleared.decimal().to_string(),
        "fees": fees.decimal().to_string(),
        "unexplained": unexplained,
        "wall_s": measure::rounded(wall, 1),
        "cpu_s": measure::rounded(cpu, 1),
        "max_rss_mb": measure::rounded(memory, 0),
        "max_rss_mb_by_process": { "provider": measure::rounded(theirs, 0), "devices": measure::rounded(ours, 0) },
        "cpu_s_provider": measure::rounded(provider_cpu, 1),
        "customers": fleet.len(),
        "loads": tally.loads,
        "wallet_updates": tally.updates,
        "merchants": end.merchants,
        "provider_killed": flags.kill,
        "credit": credit.as_ref().map(Credit::json),
        "audit": audited.json,
        "trial_balance": end.trial_balance,
        "measured_on": measure::machine(),
    });
    let refused: Vec<String> = tally.refused.iter().map(|(why, count)| format!("{count} ({why})")).collect();
    let text = format!(
        "{} payments by {} customers, {} refused.\n{} cleared to {} merchants, {fees} of it fees, {unexplained} unexplained; audit: {}.\n\
         {wall:.1} s, {cpu:.1} CPU-seconds, {memory:.0} MB in all processes together.",
        tally.payments,
        fleet.len(),
        if refused.is_empty() { "none".to_owned() } else { refused.join(", ") },
        cleared,
        end.merchants.len(),
        audited.difference.as_deref().unwrap_or("clean"),
    );
    Ok(Answer::new(text, json))
}

/// What the customers pay with, and what that needs.
enum Paying {
    Cards(Stock),
    Credit(ClearingProcess),
}

/// What the credit side says in the end: three sets of books, and the users' receipts.
struct Credit {
    processor: u64,
    bank: i64,
    told: u64,
    whole: u64,
    cpu: f64,
}

impl Credit {
    fn read(fleet: &Fleet, shop: &Shop, clearing: &ClearingProcess) -> Result<Self, Failure> {
        let (told, whole) = fleet.receipts()?;
        let cpu = measure::cpu_seconds(clearing.pid()).unwrap_or(0.0);
        Ok(Self { processor: shop.captured(clearing)?, bank: clearing.posted(), told, whole, cpu })
    }
    /// How many of the books disagree with what was bought, and whether a receipt is missing.
    fn contradicts(&self, tally: &Tally) -> u64 {
        u64::from(self.processor != tally.cents)
            + u64::from(u64::try_from(self.bank) != Ok(tally.cents))
            + u64::from(self.whole != tally.payments)
    }
    fn json(&self) -> serde_json::Value {
        let dollars = |minor| Amount::new(Unit::USD, minor).map(|amount| amount.decimal().to_string());
        json!({
            "processor_captured": dollars(self.processor),
            "bank_posted": u64::try_from(self.bank).ok().and_then(dollars),
            "receipts": self.told,
            "receipts_with_merchants_part": self.whole,
            "cpu_s_processor": measure::rounded(self.cpu, 1),
        })
    }
}

/// The folder that the provider works in: kept if it was named, else removed.
/// The provider's folder.
pub(super) struct Folder {
    /// Where.
    pub(super) path: std::path::PathBuf,
    keep: bool,
}

impl Folder {
    /// There, or one that is removed in the end.
    pub(super) fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let path = match keep {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("tegata-replay-{}", std::process::id())),
        };
        Ok(Self { path, keep: keep.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // A folder that cannot be removed is left to the machine's own cleaning of temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_file_reads_as_customer_day_and_cents() {
        let read = parse(" 00002 19970112  5   77.00\r").unwrap();
        assert_eq!((read.customer, read.cents), (2, 7_700));
        assert_eq!(read.day, days(1997, 1, 12).unwrap());
        for wrong in
            ["", "1 19970112 1", "1 19970112 1 x", "1 19971301 1 2.00", "1 19970112 1 -2.00", "1 19970112 1 2 3"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
