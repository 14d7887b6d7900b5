//! What the operator asks about settlement: JSON in, JSON out.

use super::statement::{contract, position, side, with};
use super::{Fee, Reconciled, Settlement};
use crate::operator::{book, bytes_of, decimal};
use crate::{Provider, ProviderError};
use serde_json::{Value, json};
use tegata_core::talk::contract::Tender;
use tegata_core::talk::journal::LogEntry;
use tegata_core::wire::canonical::Wire;
use tegata_core::{PartyId, Time, Unit};
use tegata_iso20022::camt053::{Detail, Side as BankSide};
use tegata_store::{BankAccountRow, PositionRow, PositionSide, TransferRow, TrunkRow};

/// Answers a question about settlement; `None` if it is about something else.
pub(crate) fn asked(provider: &mut Provider, question: &Value, now: Time) -> Option<Result<Value, String>> {
    let answer = match question.get("do").and_then(Value::as_str)? {
        "settle" => provider.settle(now).map(|settled| settlement(provider, &settled)).map_err(said),
        "contract" => set_contract(provider, question, now),
        "contracts" => contracts(provider).map_err(said),
        "bank" => set_account(provider, question, now),
        "owed" => owed(provider, number(question, "period")).map_err(said),
        "payouts" => payouts(provider, question),
        "trunks" => trunks(provider, number(question, "period")).map_err(said),
        "pain001" => pain001(provider, question, now),
        "reconcile" => reconcile(provider, question, now),
        _ => return None,
    };
    Some(answer)
}

fn said(error: ProviderError) -> String {
    error.to_string()
}

fn text<'a>(question: &'a Value, name: &str) -> Option<&'a str> {
    question.get(name).and_then(Value::as_str)
}

fn number(question: &Value, name: &str) -> Option<u64> {
    question.get(name).and_then(Value::as_u64)
}

fn party(question: &Value) -> Result<PartyId, String> {
    let name = text(question, "party").ok_or("name the party")?;
    PartyId::parse(name).ok_or_else(|| "a party's id is party- and 32 digits".to_owned())
}

/// What people call a party.
fn called(provider: &Provider, party: PartyId) -> String {
    if party == provider.info().provider {
        return provider.info().name.clone();
    }
    let processor = provider.store().processor().ok().flatten().filter(|row| row.info.processor == party);
    let known = || provider.store().participant(party.into()).ok().flatten().map(|row| row.name);
    processor.map(|row| row.info.name).or_else(known).unwrap_or_default()
}

fn set_contract(provider: &mut Provider, question: &Value, now: Time) -> Result<Value, String> {
    let party = party(question)?;
    let unit = text(question, "unit").and_then(Unit::parse).ok_or("name the currency: USD, EUR or JPY")?;
    let fee = Fee {
        share: number(question, "share").ok_or("give the share in millionths")?,
        fixed: number(question, "fixed").ok_or("give the fixed part in minor units")?,
    };
    let tenders = match text(question, "tender") {
        Some("cards") => &[Tender::Cards][..],
        Some("credit") => &[Tender::Credit],
        Some(_) => return Err("a tender is cards or credit".to_owned()),
        None => Tender::ALL,
    };
    let from = number(question, "from").map(Time);
    let mut set = Vec::new();
    for tender in tenders {
        let made = provider.set_contract(party, (*tender, unit), fee, from, now).map_err(said)?;
        set.push(with(contract(&made), json!({ "name": called(provider, party) })));
    }
    Ok(json!({ "contracts": set }))
}

fn contracts(provider: &Provider) -> Result<Value, ProviderError> {
    let all = provider.contracts()?;
    let named = |one| with(contract(one), json!({ "name": called(provider, one.party) }));
    let mut parties: Vec<PartyId> = provider.store().participants()?.iter().map(|row| row.subject.party()).collect();
    parties.push(provider.info().provider);
    let mut accounts = Vec::new();
    for party in parties {
        if let Some(row) = provider.store().bank_account(party)? {
            accounts.push(with(account(&row), json!({ "name": called(provider, party) })));
        }
    }
    Ok(json!({ "contracts": all.iter().map(named).collect::<Vec<_>>(), "accounts": accounts }))
}

fn account(row: &BankAccountRow) -> Value {
    json!({ "party": row.party.to_string(), "holder": row.holder, "iban": row.iban, "bic": row.bic })
}

fn set_account(provider: &mut Provider, question: &Value, now: Time) -> Result<Value, String> {
    let party = if text(question, "party") == Some("own") { None } else { Some(party(question)?) };
    let iban = text(question, "iban").ok_or("give the IBAN")?;
    let holder = match (text(question, "holder"), party) {
        (Some(holder), _) => holder.to_owned(),
        (None, party) => called(provider, party.unwrap_or(provider.info().provider)),
    };
    provider.set_bank_account(party, &holder, (iban, text(question, "bic")), now).map(|row| account(&row)).map_err(said)
}

/// Who owes whom, with what that is made of.
fn line(provider: &Provider, row: &PositionRow) -> Value {
    let (name, ours) = (called(provider, row.party), provider.info().name.clone());
    let named = match row.side {
        PositionSide::Guarantor => format!("guarantor of {name}"),
        PositionSide::Payee if row.party == provider.info().provider => format!("{name} (fees)"),
        _ => name,
    };
    // What is below nothing is owed the other way round.
    let (from, to) = if (row.side == PositionSide::Payee) == (row.due >= 0) { (ours, named) } else { (named, ours) };
    let more = json!({
        "from": from, "to": to, "party": row.party.to_string(), "side": side(row.side),
        "amount": decimal(row.unit, i128::from(row.due.unsigned_abs())),
    });
    with(position(row), more)
}

fn owed(provider: &Provider, period: Option<u64>) -> Result<Value, ProviderError> {
    let (period, rows) = provider.owed(period)?;
    let at = provider.store().closed(period)?.map(|at| at.0);
    let lines: Vec<Value> = rows.iter().map(|row| line(provider, row)).collect();
    Ok(json!({ "period": period, "closed": at, "owed": lines }))
}

/// Whom the last of these calls names as the operator of its trunk, if that is nobody who is paid: no merchant of that id has joined.
fn unknown_operator(provider: &Provider, row: &TrunkRow) -> Option<PartyId> {
    let bytes = provider.store().entry(row.switch, row.entry?).ok()??;
    let named = LogEntry::from_bytes(&bytes).ok()?.through?.operator?;
    (named != row.operator).then_some(named)
}

/// What calls came to that were claimed in a period, for each trunk; the open one, where none is named.
fn trunks(provider: &Provider, period: Option<u64>) -> Result<Value, ProviderError> {
    let open = provider.store().last_period()? + 1;
    let period = period.unwrap_or(open);
    let rows = provider.store().trunks(period)?;
    let line = |row: &TrunkRow| {
        let switch = provider.store().participant(row.switch.into()).ok().flatten();
        let text = |minor: u64| decimal(row.unit, i128::from(minor));
        json!({
            "switch": row.switch.to_string(), "name": switch.map(|switch| switch.name), "trunk": row.trunk,
            "operator": row.operator.to_string(), "paid_to": called(provider, row.operator), "unit": row.unit.name(),
            "calls": row.calls, "used": text(row.used), "fees": text(row.fees),
            "net": text(row.used.saturating_sub(row.fees)), "unpaid": row.unpaid,
            "unknown_operator": unknown_operator(provider, row).map(|party| party.to_string()),
        })
    };
    Ok(json!({ "period": period, "open": period >= open, "trunks": rows.iter().map(line).collect::<Vec<_>>() }))
}

fn payout(provider: &Provider, row: &TransferRow) -> Value {
    let details = provider.store().bank_account(row.party).ok().flatten().is_some();
    json!({
        "period": row.period, "merchant": row.party.to_string(), "name": called(provider, row.party),
        "unit": row.unit.name(), "amount": decimal(row.unit, i128::from(row.amount)), "id": row.end_to_end,
        "state": row.state.name(), "ordered": row.ordered, "told": row.why, "bank_details": details,
    })
}

fn settlement(provider: &Provider, settled: &Settlement) -> Value {
    let payouts: Vec<Value> = settled.payouts.iter().map(|row| payout(provider, row)).collect();
    let owed: Vec<Value> = settled.positions.iter().map(|row| line(provider, row)).collect();
    let books: Vec<Value> = settled.books.iter().map(|(issuer, unit, sums)| book(*issuer, *unit, sums)).collect();
    json!({
        "period": settled.period, "payouts": payouts, "owed": owed, "books": books, "exceptions": settled.exceptions,
    })
}

fn payouts(provider: &Provider, question: &Value) -> Result<Value, String> {
    let period = number(question, "period").ok_or("name the period")?;
    let rows = provider.payouts(period).map_err(said)?;
    Ok(json!({ "period": period, "payouts": rows.iter().map(|row| payout(provider, row)).collect::<Vec<_>>() }))
}

fn pain001(provider: &mut Provider, question: &Value, now: Time) -> Result<Value, String> {
    let period = number(question, "period").ok_or("name the period")?;
    let compared = question.get("compared").and_then(Value::as_bool).unwrap_or(false);
    let file = provider.payout_file(period, compared, now).map_err(said)?;
    let waiting = provider.payouts(period).map_err(said)?;
    let waiting = waiting.iter().filter(|row| row.ordered.is_none());
    let waiting: Vec<Value> = waiting.map(|row| payout(provider, row)).collect();
    Ok(json!({ "period": period, "pain001": String::from_utf8_lossy(&file), "waiting": waiting }))
}

fn reconcile(provider: &mut Provider, question: &Value, now: Time) -> Result<Value, String> {
    let statement = text(question, "statement").and_then(bytes_of).ok_or("give the statement in hexadecimal")?;
    let found = provider.reconcile(&statement, now).map_err(said)?;
    Ok(reconciled(provider, &found))
}

fn booked(reference: &dyn std::fmt::Display, detail: &Detail) -> Value {
    let way = if detail.side == BankSide::Debit { "paid" } else { "received" };
    json!({
        "reference": reference.to_string(), "way": way, "amount": detail.amount.decimal().to_string(),
        "unit": detail.amount.unit().name(), "id": detail.end_to_end.as_ref().map(ToString::to_string),
    })
}

fn reconciled(provider: &Provider, found: &Reconciled) -> Value {
    let payouts = found.payouts.iter().map(|one| {
        with(
            payout(provider, &one.transfer),
            json!({ "told": one.told, "changed": one.changed, "attention": one.attention }),
        )
    });
    let unordered = found.unordered.iter().map(|one| booked(&one.reference, &one.detail));
    let twice = found.contradictions.iter().map(|one| one.later.reference.to_string());
    json!({
        "new": found.new, "payouts": payouts.collect::<Vec<_>>(), "not_ordered": unordered.collect::<Vec<_>>(),
        "contradicted": twice.collect::<Vec<_>>(),
    })
}
