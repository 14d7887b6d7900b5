//! Contracts, positions, payouts and the bank's statements, on the command line.

use super::statement::{cell, cells, list};
use crate::calendar;
use crate::csv::csv;
use crate::flags::SettlementCommand;
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use std::path::Path;
use tegata_core::Time;

/// Does it.
pub fn run(
    screen: Screen,
    ask: impl Fn(Value) -> Result<Value, Failure>,
    command: SettlementCommand,
) -> Result<Answer, Failure> {
    match command {
        SettlementCommand::Contract { party, percent, fixed, cards, credit, currency, from } => {
            let Some(share) = millionths(&percent) else {
                return fail(format!(
                    "'{percent}' is no percentage; write 0 to 100 with at most four decimals, as 1.50"
                ));
            };
            let tender = if cards { Some("cards") } else { credit.then_some("credit") };
            let from = from.map(|day| beginning(&day)).transpose()?;
            let made = ask(json!({
                "do": "contract", "party": party, "share": share, "fixed": fixed, "unit": currency, "tender": tender,
                "from": from,
            }))?;
            Ok(Answer::new(contracts(list(&made, "contracts")), made))
        }
        SettlementCommand::Contracts => {
            let found = ask(json!({ "do": "contracts" }))?;
            let accounts = cells(list(&found, "accounts"), &["party", "name", "holder", "iban", "bic"]);
            let accounts = table(&["party", "name", "holder", "IBAN", "BIC"], &accounts);
            Ok(Answer::new(format!("{}\n\n{accounts}", contracts(list(&found, "contracts"))), found))
        }
        SettlementCommand::Bank { party, iban, bic, holder } => {
            let set = ask(json!({ "do": "bank", "party": party, "iban": iban, "bic": bic, "holder": holder }))?;
            let way = if party == "own" { "Payouts come from" } else { "It is paid to" };
            Ok(Answer::new(format!("{way} {} of {}.", cell(&set, "iban"), cell(&set, "holder")), set))
        }
        SettlementCommand::Owed { period, csv } => {
            let found = ask(json!({ "do": "owed", "period": period }))?;
            Ok(Answer::new(if csv { spreadsheet(&found) } else { owed(&found) }, found))
        }
        SettlementCommand::Trunks { period, csv } => {
            let found = ask(json!({ "do": "trunks", "period": period }))?;
            Ok(Answer::new(trunks(&found, csv), found))
        }
        SettlementCommand::Payouts { period, pain001: false, .. } => {
            let found = ask(json!({ "do": "payouts", "period": period }))?;
            let rows = list(&found, "payouts");
            let text = if rows.is_empty() { format!("Period {period} pays nobody by bank.") } else { payouts(rows) };
            Ok(Answer::new(text, found))
        }
        SettlementCommand::Payouts { period, pain001: true, compared } => {
            let found = ask(json!({ "do": "pain001", "period": period, "compared": compared }))?;
            for waits in list(&found, "waiting") {
                screen.warn(format!("{} waits: {}", cell(waits, "name"), no_details(waits)));
            }
            // The screen ends the last line.
            let file = cell(&found, "pain001");
            Ok(Answer::new(file.strip_suffix('\n').unwrap_or(&file), found))
        }
        SettlementCommand::Reconcile { file } => reconcile(&file, ask),
    }
}

/// 1.5 percent are 15000 millionths.
fn millionths(percent: &str) -> Option<u64> {
    let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() > 3 || part.len() > 4 {
        return None;
    }
    let all = whole.parse::<u64>().ok()? * 10_000 + format!("{part:0<4}").parse::<u64>().ok()?;
    (all <= 1_000_000).then_some(all)
}

/// The first second of a day, in UTC.
fn beginning(day: &str) -> Result<u64, Failure> {
    let numbers: Vec<u64> = day.split('-').filter_map(|part| part.parse().ok()).collect();
    let days = match numbers[..] {
        [year, month, of] if day.len() == 10 => calendar::days(year, month, of),
        _ => None,
    };
    match days {
        Some(days) => Ok(days * Time::DAY),
        None => fail(format!("'{day}' is no day; write it as 2027-01-31")),
    }
}

fn contracts(rows: &[Value]) -> String {
    if rows.is_empty() {
        return "No contracts: nobody pays a fee.".to_owned();
    }
    let names = ["party", "name", "tender", "unit", "percent", "fixed", "from", "version"];
    table(&["party", "name", "on", "", "percent", "and", "from", "version"], &cells(rows, &names))
}

/// Who owes whom, for people.
pub fn owed(found: &Value) -> String {
    let rows = list(found, "owed");
    if rows.is_empty() {
        return "Nobody owes anybody anything.".to_owned();
    }
    let names =
        ["from", "to", "unit", "amount", "carried", "credited", "undone", "fees", "returned", "due", "carried_on"];
    let head =
        ["who", "owes", "", "amount", "carried", "credited", "undone", "fees", "returned", "comes to", "carried on"];
    let closed =
        if found.get("closed").is_some() { format!(", closed {}", cell(found, "closed")) } else { String::new() };
    format!("{}\n{}", bold(format!("Period {}{closed}", cell(found, "period"))), table(&head, &cells(rows, &names)))
}

fn spreadsheet(found: &Value) -> String {
    let names = [
        "period",
        "closed",
        "from",
        "to",
        "unit",
        "amount",
        "carried",
        "credited",
        "undone",
        "fees",
        "returned",
        "due",
        "carried_on",
    ];
    let whole = |row: &Value| {
        let of = |name: &&str| if *name == "closed" { cell(found, name) } else { cell(row, name) };
        names.iter().map(of).collect::<Vec<String>>()
    };
    let head = names.map(|name| if name == "unit" { "currency" } else { name });
    csv(&head, &list(found, "owed").iter().map(whole).collect::<Vec<_>>())
}

/// What went through each trunk.
fn trunks(found: &Value, as_csv: bool) -> String {
    let rows = list(found, "trunks");
    let names = [
        "name",
        "trunk",
        "paid_to",
        "unit",
        "calls",
        "used",
        "fees",
        "net",
        "unpaid",
        "switch",
        "operator",
        "unknown_operator",
    ];
    if as_csv {
        let head = names.map(|name| if name == "unit" { "currency" } else { name });
        return csv(&head, &cells(rows, &names));
    }
    let period = cell(found, "period");
    if rows.is_empty() {
        return format!("No calls were claimed in period {period}.");
    }
    let head = ["switch", "trunk", "paid to", "", "calls", "used", "fees", "net", "not paid"];
    let mut lines =
        vec![bold(format!("Period {period}")), table(&head, &cells(rows, names.get(..9).unwrap_or_default()))];
    lines.extend(rows.iter().filter_map(mistyped));
    lines.join("\n")
}

/// What to do about an operator whom nobody knows.
fn mistyped(row: &Value) -> Option<String> {
    let named = row.get("unknown_operator").and_then(Value::as_str)?;
    Some(format!(
        "No merchant {named} has joined, whom {} names as the operator of its trunk {}: {} is paid. \
         `run --operator {}=PARTY` takes the id that its merchant joined with.",
        cell(row, "name"),
        cell(row, "trunk"),
        cell(row, "paid_to"),
        cell(row, "trunk")
    ))
}

/// Payouts, for people.
pub fn payouts(rows: &[Value]) -> String {
    let told = |row: &Value| {
        let said = cell(row, "told");
        if said.is_empty() { no_details(row) } else { said }
    };
    let whole = |row: &Value| {
        let mut cells: Vec<String> =
            ["name", "unit", "amount", "state", "id"].iter().map(|name| cell(row, name)).collect();
        cells.push(told(row));
        cells
    };
    table(&["pay out to", "", "amount", "state", "name at the bank", ""], &rows.iter().map(whole).collect::<Vec<_>>())
}

/// What a payout waits for, if anything.
fn no_details(row: &Value) -> String {
    let has = row.get("bank_details").and_then(Value::as_bool).unwrap_or(true);
    if has {
        String::new()
    } else {
        format!("no bank details: tegata provider bank {} --iban ...", cell(row, "merchant"))
    }
}

fn reconcile(file: &Path, ask: impl Fn(Value) -> Result<Value, Failure>) -> Result<Answer, Failure> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return fail(format!("{} cannot be read: {error}", file.display())),
    };
    let found = ask(json!({ "do": "reconcile", "statement": hex::encode(bytes) }))?;
    let mut text = Vec::new();
    if found.get("new").and_then(Value::as_bool) == Some(false) {
        text.push("This statement was here before; nothing has changed.".to_owned());
    }
    // What is over and was over before is not told again.
    let all = list(&found, "payouts");
    let is = |row: &Value, what: &str| row.get(what).and_then(Value::as_bool) == Some(true);
    let is_told = |row: &&Value| cell(row, "state") == "ordered" || is(row, "changed") || is(row, "attention");
    let shown: Vec<Value> = all.iter().filter(is_told).cloned().collect();
    if !shown.is_empty() {
        text.push(payouts(&shown));
    }
    let count = |state: &str| all.iter().filter(|row| cell(row, "state") == state).count();
    let [booked, back, open] = ["booked", "came back", "ordered"].map(count);
    let attention = all.iter().filter(|row| is(row, "attention")).count();
    text.push(format!(
        "Of {} payouts ordered, {booked} are booked, {back} came back, {open} are open; {attention} want a person to look.",
        all.len()
    ));
    for one in list(&found, "not_ordered") {
        let [way, amount, unit, reference] = ["way", "amount", "unit", "reference"].map(|name| cell(one, name));
        text.push(format!("Nobody ordered this: {way} {amount} {unit}, the bank's reference {reference}."));
    }
    for one in list(&found, "contradicted").iter().filter_map(Value::as_str) {
        text.push(format!("The bank told entry {one} twice, and differently: ask it."));
    }
    Ok(Answer::new(text.join("\n"), found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_days_read_as_people_write_them() {
        for (text, found) in [
            ("1.50", Some(15_000)),
            ("0", Some(0)),
            ("100", Some(1_000_000)),
            ("0.0001", Some(1)),
            ("2.5", Some(25_000)),
        ] {
            assert_eq!(millionths(text), found, "{text}");
        }
        for wrong in ["", "-1", "1.", ".5", "1.00001", "100.01", "1,5", "9999"] {
            assert_eq!(millionths(wrong), None, "{wrong}");
        }
        assert_eq!(beginning("2000-03-01").ok(), Some(11_017 * Time::DAY));
        assert!(beginning("2000-3-1").is_err() && beginning("2000-02-30").is_err() && beginning("now").is_err());
    }
}
