//! What a tap and an upload cost, beside a floor measured in the same run; and how fast tens of thousands of tickets are changed.

mod calls;
mod change;
mod credit;
mod gate;
mod refunds;
mod relay;
mod tap;
mod tickets;
mod upload;

use crate::flags::{BenchFlags, BenchPart};
use crate::measure;
use crate::screen::{Answer, Failure, Screen, table};
use serde_json::{Value, json};
use tegata_core::wire::signed::Algorithm;

/// Both sorts of wallet, under the names that figures carry.
const ALGORITHMS: [(&str, Algorithm); 2] = [("ed25519", Algorithm::Ed25519), ("p256", Algorithm::P256)];

/// Measures.
pub fn run(screen: Screen, flags: &BenchFlags) -> Result<Answer, Failure> {
    if flags.only == Some(BenchPart::Tickets) {
        let sold = tickets::measure(screen, flags.last_seats, flags.seats)?;
        return Ok(Answer::new(sold.told(), json!({ "tickets": sold.json(), "measured_on": measure::machine() })));
    }
    if flags.only == Some(BenchPart::Gate) {
        let gate = gate::measure(screen, flags.tickets)?;
        return Ok(Answer::new(gate.text(), json!({ "tickets": gate.json(), "measured_on": measure::machine() })));
    }
    if flags.only == Some(BenchPart::Calls) {
        let called = calls::measure(screen, flags.calls)?;
        let relayed = relay::measure(screen, flags.relayed)?;
        let json = json!({ "calls": called.json(), "relay": relayed.json(), "measured_on": measure::machine() });
        return Ok(Answer::new(format!("{}\n{}", called.text(), relayed.text()), json));
    }
    if flags.only == Some(BenchPart::Refunds) {
        let paid_back = refunds::measure(screen, flags.refunded)?;
        let json = json!({ "tickets": { "paid_back": paid_back.json() }, "measured_on": measure::machine() });
        return Ok(Answer::new(paid_back.text(), json));
    }
    let changed = change::measure(screen, flags.changed)?;
    let by_change = table(&change::Changed::HEADS, &changed.rows());
    if flags.only == Some(BenchPart::Change) {
        let machine = measure::machine();
        let json = json!({ "tickets": { "change": changed.json() }, "measured_on": machine });
        return Ok(Answer::new(format!("{by_change}\nMeasured on {machine}"), json));
    }
    let mut taps = serde_json::Map::new();
    let mut uploads = serde_json::Map::new();
    let mut rows = Vec::new();
    let mut bytes = (0, 0, 0);
    for (name, algorithm) in ALGORITHMS {
        let town = upload::Town::open(algorithm)?;
        screen.say(format!("{name}: {} taps, then {} uploads of 1,000 checks", flags.taps, flags.batches));
        let (town, tapped) = tap::measure(town, flags.taps)?;
        bytes = (tapped.exchanges, bytes.1.max(tapped.bytes_first), bytes.2.max(tapped.bytes_known));
        let uploaded = upload::measure(screen, town, flags.batches)?;
        rows.push(vec![
            name.to_owned(),
            format!("{} / {}", tapped.bytes_first, tapped.bytes_known),
            format!("{:.0} + {:.0}", tapped.wallet_us, tapped.terminal_us),
            format!("{:.1}", uploaded.cpu_us),
            format!("{:.1}", uploaded.floor_us),
            format!("{:.2}", uploaded.ratio()),
        ]);
        taps.insert(name.into(), tapped.cpu_json());
        uploads.insert(name.into(), uploaded.json());
    }
    let head =
        ["wallet", "bytes first / known", "tap us (wallet + terminal)", "upload us/check", "floor us/check", "ratio"];
    let (paid, bought, (count, seconds)) = credit::measure(screen, flags.credits, flags.resumed)?;
    let sold = tickets::measure(screen, flags.last_seats, flags.seats)?;
    let by_credit = table(&credit::Measured::HEADS, &[paid.row("payment"), bought.row("purchase")]);
    let gate = gate::measure(screen, flags.tickets)?;
    let paid_back = refunds::measure(screen, flags.refunded)?;
    let called = calls::measure(screen, flags.calls)?;
    let relayed = relay::measure(screen, flags.relayed)?;
    let machine = measure::machine();
    let text = format!(
        "{}\n{by_credit}\n{by_change}\n{}\n{count} purchases resumed after SIGKILL in {seconds:.1} s\n{}\nMeasured on {machine}",
        table(&head, &rows),
        paid_back.text(),
        format_args!("{}\n{}\n{}\n{}", gate.text(), sold.told(), called.text(), relayed.text())
    );
    let json = json!({
        "tap": {
            "exchanges": bytes.0,
            "bytes_first": bytes.1,
            "bytes_known": bytes.2,
            "cpu_us": total(&taps),
            "cpu_us_by_side": Value::Object(taps),
        },
        "upload": Value::Object(uploads),
        "credit": paid.json(),
        "purchase": bought.json(),
        "resumed": { "count": count, "seconds": measure::rounded(seconds, 2) },
        "tickets": together(
            together(gate.json(), sold.json()),
            json!({ "change": changed.json(), "paid_back": paid_back.json() }),
        ),
        "calls": called.json(),
        "relay": relayed.json(),
        "measured_on": machine,
    });
    Ok(Answer::new(text, json))
}

/// The figures of two objects in one.
fn together(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut all), Value::Object(more)) => {
            all.extend(more);
            Value::Object(all)
        }
        (one, _) => one,
    }
}

/// CPU of both sides together, by algorithm.
fn total(taps: &serde_json::Map<String, Value>) -> Value {
    let both = taps.iter().map(|(name, sides)| (name.clone(), sides.get("both").cloned().unwrap_or_default()));
    Value::Object(both.collect())
}
