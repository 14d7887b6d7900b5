//! What a payment card issuing system does on the command line.

use crate::csv::cell;
use crate::flags::{IssuerCommand, OrderFlags, SellFlags, TermsFlags};
use crate::place::{Place, Sort, now};
use crate::screen::{Answer, Failure, Screen, fail, table};
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tegata_core::card::{CardKind, Terms};
use tegata_core::charging::{Rate, Tariff, WEEK, WeekTime};
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{Amount, IssuerId, Time, Unit};
use tegata_issuer::{Issuer, Offered, read_rates};
use tegata_vault::SqliteVault;

/// Does it.
pub fn run(place: &Place, screen: Screen, name: &str, command: IssuerCommand) -> Result<Answer, Failure> {
    match command {
        IssuerCommand::Join { token } => super::join_part(place, Sort::Issuer, name, &token, Algorithm::Ed25519),
        IssuerCommand::Order(flags) => order(place, name, &flags),
        IssuerCommand::Batches => batches(&place.issuer(name)?.part),
        IssuerCommand::Print { batch, csv } => print(&place.issuer(name)?.part, batch, csv),
        IssuerCommand::Activate { batch, first, last } => {
            let last = last.unwrap_or(first);
            place.issuer(name)?.part.activate(&mut place.post()?, batch, (first, last), now())?;
            let text = format!("Serials {first} to {last} of batch {batch} are activated: they are value now.");
            Ok(Answer::new(text, json!({ "batch": batch, "activated": [first, last] })))
        }
        IssuerCommand::Resend { batch } => {
            place.issuer(name)?.part.resend(&mut place.post()?, batch, now())?;
            Ok(Answer::new(format!("Batch {batch} is with the provider."), json!({ "sent": batch })))
        }
        IssuerCommand::Sell(flags) => sell(place, name, &flags),
        IssuerCommand::Restock { article, stock } => {
            place.issuer(name)?.part.restock(&mut place.post()?, article, stock, now())?;
            let text = match stock {
                0 => format!("Article {article} is off sale. What is sold stays sold."),
                stock => format!("Of article {article}, {stock} may be sold in all."),
            };
            Ok(Answer::new(text, json!({ "article": article, "stock": stock })))
        }
        IssuerCommand::Event { command } => super::event::run(place, name, command),
        IssuerCommand::Tariff { file, unit, ahead } => tariff(place, name, file.as_deref(), (unit.as_deref(), ahead)),
        IssuerCommand::Change(command) => super::change::run(place, name, &command),
        IssuerCommand::Articles => articles(&place.issuer(name)?.part),
        IssuerCommand::Statement { csv } => {
            let mut opened = place.issuer(name)?;
            let content = opened.part.statement(&mut place.post()?, (Time(0), Time::END), now())?;
            let json: Value = serde_json::from_str(&content)?;
            // Whoever sells telephone cards looks for calls there.
            if csv && !opened.part.tariffs()?.is_empty() {
                screen.warn(
                    "Calls are in no issuer's statement, but in that of whoever connected them: tegata merchant NAME statement --csv. \
                     Rows of the kind book are what the cards come to so far, while the period is open.",
                );
            }
            Ok(super::statement::show(json, csv))
        }
    }
}

/// The terms that the flags describe.
pub fn terms(issuer: IssuerId, flags: &TermsFlags) -> Result<Terms, Failure> {
    let money = |text: &str| super::amount(text, &flags.currency);
    let single = money(&flags.max_payment)?;
    Ok(Terms {
        issuer,
        kind: if flags.telephone { CardKind::Telephone } else { CardKind::Payment },
        unit: single.unit(),
        name: flags.card_name.clone(),
        max_payment: single.minor(),
        offline_limit: money(&flags.offline_limit)?.minor(),
        due_after: flags.due_days.saturating_mul(Time::DAY),
        list_age: flags.list_days.saturating_mul(Time::DAY),
        record_age: flags.record_days.saturating_mul(Time::DAY),
        max_balance: money(&flags.max_balance)?.minor(),
        handovers: 0,
        refundable: true,
        max_untouched: single.minor() / 10,
        register_within: None,
        program: None,
        ticket: None,
        extensions: Default::default(),
    })
}

fn order(place: &Place, name: &str, flags: &OrderFlags) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    let face = super::amount(&flags.face, &flags.terms.currency)?;
    let terms = terms(opened.part.party()?, &flags.terms)?;
    let until = now().time.after(flags.terms.years.saturating_mul(366 * Time::DAY));
    let batch = opened.part.order(&mut place.post()?, terms, face, (flags.count, until), now())?;
    let text = format!(
        "Batch {batch} of {} numbers at {face} is ordered. Print it: tegata issuer {name} print {batch}\n\
         Its numbers are worth nothing until they are activated: tegata issuer {name} activate {batch} SERIAL",
        flags.count
    );
    Ok(Answer::new(text, json!({ "batch": batch, "count": flags.count, "face": face.decimal().to_string() })))
}

fn sell(place: &Place, name: &str, flags: &SellFlags) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    let (terms, face, price) = priced(opened.part.party()?, flags)?;
    let offered = Offered {
        terms,
        face,
        price,
        stock: flags.stock,
        until: now().time.after(flags.sold_days.saturating_mul(Time::DAY)),
        valid_for: flags.terms.years.saturating_mul(366 * Time::DAY),
        clear_after: flags.clear_after_hours.map(|hours| hours.saturating_mul(3600)),
    };
    let listed = opened.part.list(&mut place.post()?, flags.article, offered, now())?;
    let text = format!(
        "Article {} is for sale: {} with {} for {}, {} of them. Wallets see it: tegata wallet NAME catalogue\n\
         The provider's operator enrols this issuer for credit once: tegata provider enrol {} --code CODE --category 6012 --name NAME",
        listed.article, listed.terms.name, listed.face, listed.price, listed.stock, listed.issuer
    );
    Ok(Answer::new(text, json!({ "article": listed.article, "revision": listed.revision, "stock": listed.stock })))
}

/// The terms of what is sold, what is on each card and what it costs: units for a price, or money for as much.
fn priced(issuer: IssuerId, flags: &SellFlags) -> Result<(Terms, Amount, Amount), Failure> {
    let currency = &flags.terms.currency;
    let (terms, face, price) = match (flags.units, &flags.price) {
        (Some(units), Some(price)) => {
            let Some(face) = Amount::new(Unit::CALL_UNITS, units) else {
                return fail("no card holds so many units");
            };
            let unit = Unit::CALL_UNITS.name().to_owned();
            let in_units = TermsFlags { telephone: true, currency: unit, ..flags.terms.clone() };
            (terms(issuer, &in_units)?, face, super::amount(price, currency)?)
        }
        _ => {
            let face = super::amount(&flags.face, currency)?;
            (terms(issuer, &flags.terms)?, face, face)
        }
    };
    if !price.unit().is_money() {
        return fail("units are sold for a price in money, such as --units 60 --price 9.99");
    }
    Ok((terms, face, price))
}

/// Sets what calls cost, or shows it.
fn tariff(
    place: &Place,
    name: &str,
    file: Option<&Path>,
    (named, ahead): (Option<&str>, i64),
) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    let unit = named.map_or(Some(Unit::USD), Unit::parse);
    let Some(unit) = unit else {
        return fail(format!("'{}' is no unit; use USD, EUR, JPY or units", named.unwrap_or_default()));
    };
    let Some(file) = file else {
        let mut set = opened.part.tariffs()?;
        set.retain(|signed| named.is_none() || signed.claimed().unit == unit);
        return Ok(tariffs(&set));
    };
    let rates = match std::fs::read_to_string(file) {
        Ok(text) => read_rates(&text, unit)?,
        Err(error) => return fail(format!("{} cannot be read: {error}", file.display())),
    };
    let week = i64::try_from(WEEK)?;
    let ahead = u64::try_from(ahead.rem_euclid(week))?;
    let set = opened.part.set_tariff(&mut place.post()?, (unit, ahead), rates, now())?;
    let text = format!(
        "Tariff {} in {} is set, with {} rates. Switches have it after their next update; calls under way keep theirs.",
        set.number,
        unit.name(),
        set.rates.len()
    );
    Ok(Answer::new(text, json!({ "tariff": set.number, "unit": unit.name(), "rates": set.rates.len() })))
}

fn tariffs(set: &[Signed<Tariff>]) -> Answer {
    let rated: Vec<(&Tariff, &Rate)> =
        set.iter().flat_map(|signed| signed.claimed().rates.iter().map(|rate| (signed.claimed(), rate))).collect();
    let money = |unit, minor| Amount::new(unit, minor).map_or_else(String::new, |amount| amount.decimal().to_string());
    let row = |(tariff, rate): &(&Tariff, &Rate)| {
        vec![
            tariff.unit.name().to_owned(),
            if rate.prefix.is_empty() { "everywhere else".to_owned() } else { rate.prefix.clone() },
            rate.when.as_ref().map_or_else(|| "always".to_owned(), week_time),
            format!("{}{}", money(tariff.unit, rate.setup), if rate.setup_kept == Some(true) { ", kept" } else { "" }),
            money(tariff.unit, rate.price),
            format!(
                "{} s",
                format!("{}.{:03}", rate.length / 1000, rate.length % 1000).trim_end_matches('0').trim_end_matches('.')
            ),
            rate.minimum.max(1).to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = rated.iter().map(row).collect();
    let json: Vec<Value> = rated
        .iter()
        .map(|(tariff, rate)| {
            json!({ "unit": tariff.unit.name(), "tariff": tariff.number, "prefix": rate.prefix,
                "when": rate.when.as_ref().map(week_time), "setup": rate.setup, "price": rate.price,
                "length_ms": rate.length, "minimum": rate.minimum, "kept": rate.setup_kept.unwrap_or(false) })
        })
        .collect();
    let text = if rows.is_empty() {
        "No tariff is set yet: tegata issuer NAME tariff FILE.csv".to_owned()
    } else {
        table(&["unit", "prefix", "when", "set-up", "price", "for each", "at least"], &rows)
    };
    Answer::new(text, json!({ "rates": json }))
}

/// A part of a week as people write it.
fn week_time(when: &WeekTime) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let day = usize::try_from(when.from / 1440).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"?");
    format!("{day} {}-{}", clock(when.from % 1440), clock(when.until - when.from / 1440 * 1440))
}

fn articles(issuer: &Issuer<SqliteVault>) -> Result<Answer, Failure> {
    let listed = issuer.listings()?;
    let off = listed.iter().map(|listed| issuer.is_called_off(&listed.terms)).collect::<Result<Vec<bool>, _>>()?;
    let rows: Vec<Vec<String>> = listed
        .iter()
        .zip(&off)
        .map(|(listed, off)| {
            let until = if *off { "cancelled".to_owned() } else { super::moment(listed.until) };
            vec![
                listed.article.to_string(),
                listed.terms.name.clone(),
                listed.face.to_string(),
                listed.price.to_string(),
                listed.stock.to_string(),
                until,
            ]
        })
        .collect();
    let json = listed
        .iter()
        .zip(&off)
        .map(|(listed, off)| {
            json!({
                "cancelled": off,
                "article": listed.article,
                "revision": listed.revision,
                "name": listed.terms.name,
                "face": listed.face.decimal().to_string(),
                "face_unit": listed.face.unit().name(),
                "price": listed.price.decimal().to_string(),
                "currency": listed.price.unit().name(),
                "stock": listed.stock,
                "until": listed.until.0,
                "clear_after": listed.clear_after,
            })
        })
        .collect::<Vec<_>>();
    let text = match rows.as_slice() {
        [] => "Nothing is sold over the network yet: tegata issuer NAME sell ARTICLE".to_owned(),
        rows => table(&["article", "card", "with", "price", "may be sold", "until"], rows),
    };
    Ok(Answer::new(text, json!({ "articles": json })))
}

fn batches(issuer: &Issuer<SqliteVault>) -> Result<Answer, Failure> {
    let listed = issuer.batches()?;
    let party = issuer.party()?.to_string();
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|batch| {
            let (number, at) = (batch.batch.to_string(), super::moment(batch.at));
            vec![number, at, batch.name.clone(), batch.count.to_string(), batch.face.to_string(), few(&batch.seats)]
        })
        .collect();
    let json = listed
        .iter()
        .map(|batch| {
            json!({
                "batch": batch.batch,
                "at": batch.at.0,
                "for": batch.name,
                "seats": batch.seats,
                "count": batch.count,
                "face": batch.face.decimal().to_string(),
                "currency": batch.face.unit().name(),
            })
        })
        .collect::<Vec<_>>();
    let text = format!("Issuer {party}\n{}", table(&["batch", "ordered", "for", "numbers", "face", "seats"], &rows));
    Ok(Answer::new(text, json!({ "issuer": party, "batches": json })))
}

/// The first seats of a batch, and how many more there are.
fn few(seats: &[String]) -> String {
    let named = seats.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    match seats.len().saturating_sub(3) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn print(issuer: &Issuer<SqliteVault>, batch: u64, csv: Option<PathBuf>) -> Result<Answer, Failure> {
    let (of, printed) = (issuer.batch(batch)?, issuer.print(batch)?);
    // Whoever sells tickets of several categories has to tell their sheets apart.
    let named = if of.tickets { format!(",{}", cell(&of.name)) } else { String::new() };
    let seated = printed.iter().any(|number| number.seat.is_some());
    let heads = (if seated { ",seat" } else { "" }, if of.tickets { ",for" } else { "" });
    let mut text = format!("serial,number,face{}{}\n", heads.0, heads.1);
    for number in &printed {
        let seat = number.seat.as_ref().map_or_else(String::new, |seat| format!(",{}", cell(seat)));
        writeln!(text, "{},{},{}{seat}{named}", number.serial, number.number, number.face.decimal())?;
    }
    let Some(path) = csv else {
        let numbers = printed
            .iter()
            .map(|number| json!({ "serial": number.serial, "number": number.number.to_string(), "seat": number.seat }))
            .collect::<Vec<_>>();
        return Ok(Answer::new(text.trim_end(), json!({ "batch": batch, "for": of.name, "numbers": numbers })));
    };
    // Whoever reads the file can take the cards: nobody else may, and nothing is overwritten.
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match made.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())) {
        Ok(()) => Ok(Answer::new(
            format!("{} numbers are in {}. Whoever reads them can take the cards.", printed.len(), path.display()),
            json!({ "batch": batch, "for": of.name, "count": printed.len(), "file": path.display().to_string() }),
        )),
        Err(error) => fail(format!("{} was not written: {error}", path.display())),
    }
}
