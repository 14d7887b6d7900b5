//! A party's own statement, for people, for programs and for spreadsheets.

use crate::csv::csv;
use crate::screen::{Answer, bold, table};
use serde_json::{Value, json};
use tegata_core::Time;

/// A statement, as its reader wants it.
pub fn show(statement: Value, as_csv: bool) -> Answer {
    let text = if as_csv { spreadsheet(&statement) } else { told(&statement) };
    Answer::new(text, statement)
}

/// The text of a field, nothing where it is absent; moments as people read them.
pub fn cell(row: &Value, name: &str) -> String {
    match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if matches!(name, "at" | "from" | "closed") => {
            super::moment(Time(number.as_u64().unwrap_or(0)))
        }
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A list within an object; empty where it is absent.
pub fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// These fields of each row.
pub fn cells(rows: &[Value], names: &[&str]) -> Vec<Vec<String>> {
    rows.iter().map(|row| names.iter().map(|name| cell(row, name)).collect()).collect()
}

/// By what a payment was made: cards where it does not say.
fn tender(payment: &Value) -> String {
    let said = cell(payment, "tender");
    if said.is_empty() { "card".to_owned() } else { said }
}

/// What is left of a payment that stands: all of it without a fee. Of one that was undone, nothing.
fn net(payment: &Value) -> String {
    let said = cell(payment, "net");
    if said.is_empty() && cell(payment, "state") == "paid" { cell(payment, "amount") } else { said }
}

/// The columns of an issuer's books and the fields that they show: with what is seldom there, they add up (R10).
fn accounts(books: &[Value]) -> Vec<(&'static str, &'static str)> {
    let always = [("", "unit"), ("issued", "issued"), ("waiting", "waiting"), ("held", "held")];
    let always = always.into_iter().chain([("in flight", "in_flight"), ("payable", "payable"), ("paid", "paid")]);
    let seldom =
        [("refunded", "refunded"), ("expired", "expired"), ("disputed", "disputed"), ("- guarantors", "guarantor")];
    let says = |name: &str| books.iter().any(|book| is_some(&cell(book, name)));
    always.chain(seldom.into_iter().filter(|(_, name)| says(name))).collect()
}

/// Whether an amount, as it is written, is not zero.
fn is_some(amount: &str) -> bool {
    amount.bytes().any(|digit| (b'1'..=b'9').contains(&digit))
}

fn told(statement: &Value) -> String {
    let mut parts = Vec::new();
    let mut part = |title: &str, head: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            parts.push(format!("{}\n{}", bold(title), table(head, &rows)));
        }
    };
    let payments = list(statement, "payments").iter().map(|one| {
        let [at, terminal, number] = ["at", "terminal", "transaction"].map(|name| cell(one, name));
        let [state, unit, amount, fee] = ["state", "unit", "amount", "fee"].map(|name| cell(one, name));
        vec![at, terminal.chars().take(12).collect(), number, tender(one), state, unit, amount, fee, net(one)]
    });
    let head = ["when", "terminal", "number", "by", "state", "", "amount", "fee", "net"];
    part("Payments", &head, payments.collect());
    let books = accounts(list(statement, "books"));
    let heads: Vec<&str> = books.iter().map(|(head, _)| *head).collect();
    let names: Vec<&str> = books.iter().map(|(_, name)| *name).collect();
    part("Books", &heads, cells(list(statement, "books"), &names));
    let periods = ["period", "at", "side", "unit", "carried", "credited", "undone", "fees", "returned", "due"];
    let head = ["period", "closed", "", "", "carried", "credited", "undone", "fees", "returned", "comes to"];
    part("Periods", &head, cells(list(statement, "periods"), &periods));
    let payouts = ["period", "at", "unit", "amount", "state", "id", "told"];
    part(
        "Payouts",
        &["period", "closed", "", "amount", "state", "name at the bank", ""],
        cells(list(statement, "payouts"), &payouts),
    );
    let mut payable = cells(list(statement, "payable"), &["unit", "amount", "issuer"]);
    payable.retain(|row| is_some(&row[1]));
    part("Payable now", &["", "amount", "of"], payable);
    let contracts = ["tender", "unit", "percent", "fixed", "from", "version"];
    part(
        "Contracts",
        &["on", "", "percent", "and", "from", "version"],
        cells(list(statement, "contracts"), &contracts),
    );
    if parts.is_empty() { "Nothing yet.".to_owned() } else { parts.join("\n\n") }
}

fn spreadsheet(statement: &Value) -> String {
    let head = [
        "kind",
        "at",
        "period",
        "terminal",
        "transaction",
        "tender",
        "state",
        "currency",
        "amount",
        "fee",
        "net",
        "undone",
        "returned",
        "carried",
        "reference",
        "trunk",
    ];
    let fields = |kind: &str, row: &Value, names: [&str; 14]| {
        let rest = names.iter().map(|name| cell(row, name));
        std::iter::once(kind.to_owned()).chain(rest).collect::<Vec<String>>()
    };
    let mut rows = Vec::new();
    for one in list(statement, "payments") {
        let names = ["at", "", "terminal", "transaction", "", "state", "unit", "amount", "fee", "", "", "", "", "card"];
        let mut row = fields("payment", one, names);
        (row[5], row[10]) = (tender(one), net(one));
        row.push(cell(one, "trunk"));
        rows.push(row);
    }
    for one in list(statement, "periods") {
        let names = [
            "at", "period", "", "", "", "side", "unit", "credited", "fees", "due", "undone", "returned", "carried", "",
        ];
        rows.push([fields("period", one, names), vec![String::new()]].concat());
    }
    // What stands so far: an issuer has that before anything is settled.
    for one in list(statement, "books") {
        let accounts = one.as_object().into_iter().flatten().filter(|(name, _)| name.as_str() != "unit");
        for (account, amount) in accounts {
            let stands = json!({ "at": statement.get("at"), "period": "open", "account": account.replace('_', " "),
                "unit": one.get("unit"), "amount": amount });
            let names = ["at", "period", "", "", "", "account", "unit", "amount", "", "", "", "", "", ""];
            rows.push([fields("book", &stands, names), vec![String::new()]].concat());
        }
    }
    for one in list(statement, "payouts") {
        let names = ["at", "period", "", "", "", "state", "unit", "amount", "", "", "", "", "", "id"];
        rows.push([fields("payout", one, names), vec![String::new()]].concat());
    }
    csv(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuers_books_show_every_account_that_makes_them_add_up() {
        let book = |refunded: &str, disputed: &str| {
            json!({ "books": [{
                "unit": "entries", "issued": "28", "waiting": "0", "held": "14", "in_flight": "0", "payable": "0", "paid": "0",
                "refunded": refunded, "expired": "0", "disputed": disputed, "guarantor": "0",
            }] })
        };
        let heads = |statement: &Value| told(statement).lines().nth(1).unwrap().to_owned();
        assert!(heads(&book("12", "2")).ends_with("refunded  disputed"), "{}", told(&book("12", "2")));
        assert!(heads(&book("0", "0")).ends_with("payable  paid"), "{}", told(&book("0", "0")));
    }
}
