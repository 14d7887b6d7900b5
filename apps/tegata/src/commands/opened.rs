//! A payment by credit opened: its four messages beside each other where the screen is wide enough, else below each other.

use crate::screen::{Answer, Failure, columns, table};
use serde_json::{Value, json};

/// Lists payments by credit, or opens one.
pub fn credits(
    request: Option<String>,
    ask: impl Fn(Value) -> Result<Value, Failure>,
    width: usize,
) -> Result<Answer, Failure> {
    match request {
        None => {
            let found = ask(json!({ "do": "credits" }))?;
            Ok(Answer::new(listed(&found), found))
        }
        Some(request) => {
            let found = ask(json!({ "do": "credit", "request": request }))?;
            Ok(Answer::new(side_by_side(&found, width), found))
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn listed(found: &Value) -> String {
    let row = |paid: &Value| {
        let at = paid.get("at").and_then(Value::as_u64).unwrap_or_default();
        let at = super::moment(tegata_core::Time(at));
        vec![at, text(paid, "amount").to_owned(), text(paid, "state").to_lowercase(), text(paid, "request").to_owned()]
    };
    let rows: Vec<_> = list(found, "credits").iter().map(row).collect();
    match rows.is_empty() {
        true => "No payments by credit yet.".to_owned(),
        false => table(&["at", "amount", "state", "request"], &rows),
    }
}

/// The four, opened.
pub fn side_by_side(found: &Value, width: usize) -> String {
    let blocks: Vec<Vec<String>> = list(found, "messages").iter().map(block).collect();
    columns(&blocks, width)
}

/// One message: its title, who signed it, its fields.
fn block(message: &Value) -> Vec<String> {
    let mut lines =
        vec![format!("[{}] {}", text(message, "sign"), text(message, "name")), text(message, "way").to_owned()];
    if message.get("here") != Some(&Value::Bool(true)) {
        lines.push("has not come yet".to_owned());
        return lines;
    }
    lines.push(signed(message));
    lines.push(String::new());
    list(message, "fields").iter().for_each(|field| field_lines(field, 0, &mut lines));
    lines
}

fn signed(part: &Value) -> String {
    let holds = match part.get("verified") {
        Some(Value::Bool(true)) => "signature verified",
        _ => "SIGNATURE DOES NOT VERIFY",
    };
    format!("signed by {}: {holds}", text(part, "signed_by"))
}

/// A field's name, and below it its value or its parts.
fn field_lines(field: &Value, depth: usize, lines: &mut Vec<String>) {
    let (indent, more) = ("  ".repeat(depth), "  ".repeat(depth + 1));
    let name = text(field, "field");
    if field.get("fields").is_some() {
        lines.push(format!("{indent}{name}:"));
        lines.push(format!("{more}{}", signed(field)));
        list(field, "fields").iter().for_each(|inner| field_lines(inner, depth + 1, lines));
        return;
    }
    let value = match field.get("time").and_then(Value::as_u64) {
        Some(time) => super::moment(tegata_core::Time(time)),
        None => text(field, "value").to_owned(),
    };
    lines.push(format!("{indent}{name}: {value}"));
}
