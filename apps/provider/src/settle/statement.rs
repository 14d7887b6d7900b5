//! What a party reads of its payments, fees, periods and payouts.

use crate::ProviderError;
use crate::desk::{Desk, Failure};
use crate::operator::decimal;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tegata_core::{DeviceId, Hash, PartyId, Time, Unit};
use tegata_store::{Cause, ClaimRow, ClaimState, CreditRow, PositionRow, PositionSide, Store};

/// One payment of a statement.
#[derive(Serialize)]
pub(crate) struct Payment {
    terminal: String,
    transaction: u64,
    state: &'static str,
    amount: String,
    unit: &'static str,
    at: u64,
    card: Option<String>,
    /// A call: the trunk that it went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk: Option<String>,
    /// By credit; absent: by a card. Statements have many payments, and a limit in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    tender: Option<&'static str>,
    /// Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<String>,
}

/// A party's payments that arrived in this span: by cards, then by credit.
pub(crate) fn payments(
    desk: &Desk<'_>,
    party: PartyId,
    (from, until): (Time, Time),
    device: Option<DeviceId>,
) -> Result<Vec<Payment>, Failure> {
    // Without a contract there was never a fee.
    let charged = !desk.store.contracts(Some(party))?.is_empty();
    let fee = |reference: Option<Hash>| -> Result<Option<u64>, ProviderError> {
        let Some(reference) = reference.filter(|_| charged) else { return Ok(None) };
        let posted = |cause| desk.store.posted(party.0, cause, &reference);
        Ok(Some(posted(Cause::Fee)?.saturating_sub(posted(Cause::FeeBack)?)).filter(|fee| *fee > 0))
    };
    let mut payments = Vec::new();
    for claim in desk.store.claims_of(party, from, until)? {
        if device.is_none_or(|device| device == claim.terminal) {
            // A call goes by its name in the books, which stands for whichever tick is known.
            let fee = fee(claim.check.map(|(.., check, _)| if claim.period.is_some() { claim.charge } else { check }))?;
            payments.push(by_card(&claim, fee));
        }
    }
    for row in desk.store.captures_of(party, from, until)? {
        if device.is_none_or(|device| device == row.machine) {
            let fee = fee(Some(row.offer))?;
            payments.extend(by_credit(&row, fee));
        }
    }
    Ok(payments)
}

fn with_fee(unit: Unit, amount: u64, fee: Option<u64>) -> (Option<String>, Option<String>) {
    let text = |minor: u64| decimal(unit, i128::from(minor));
    (fee.map(text), fee.map(|fee| text(amount.saturating_sub(fee))))
}

fn by_card(claim: &ClaimRow, charged: Option<u64>) -> Payment {
    let state = match claim.state {
        ClaimState::Paid => "paid",
        ClaimState::Closed => "closed",
        ClaimState::Voided => "voided",
        ClaimState::Refused => "refused",
    };
    let (fee, net) = with_fee(claim.unit, claim.amount, charged);
    Payment {
        terminal: claim.terminal.to_string(),
        transaction: claim.transaction,
        state,
        amount: decimal(claim.unit, i128::from(claim.amount)),
        unit: claim.unit.name(),
        at: claim.at.0,
        card: claim.check.map(|(card, ..)| card.to_string()),
        trunk: claim.trunk.clone(),
        tender: None,
        fee,
        net,
    }
}

fn by_credit(row: &CreditRow, charged: Option<u64>) -> Option<Payment> {
    let (side, _) = row.merchant.as_ref()?;
    let (unit, amount) = (side.line.amount.unit(), side.line.amount.minor());
    let (fee, net) = with_fee(unit, amount, charged);
    Some(Payment {
        terminal: row.machine.to_string(),
        transaction: side.line.transaction,
        state: "paid",
        amount: decimal(unit, i128::from(amount)),
        unit: unit.name(),
        at: row.ended?.0,
        card: None,
        trunk: None,
        tender: Some("credit"),
        fee,
        net,
    })
}

/// A position for people and programs: what it is made of, what it comes to, what of that is carried on.
pub(crate) fn position(row: &PositionRow) -> Value {
    let text = |minor: i64| decimal(row.unit, i128::from(minor));
    json!({
        "period": row.period, "unit": row.unit.name(), "carried": text(row.carried), "credited": text(row.credited),
        "undone": text(row.undone), "fees": text(row.fees), "returned": text(row.returned), "due": text(row.due),
        "carried_on": text(row.due.min(0)),
    })
}

/// What periods closed in this span came to for a party. `side`: what it is due, or what it owes.
pub(crate) fn periods(store: &Store, party: PartyId, (from, until): (Time, Time)) -> Result<Vec<Value>, ProviderError> {
    let rows = store.positions_of(party, from, until)?;
    Ok(rows.iter().map(|(row, at)| with(position(row), json!({ "at": at.0, "side": side(row.side) }))).collect())
}

/// What people call a side.
pub(crate) fn side(side: PositionSide) -> &'static str {
    match side {
        PositionSide::Payee => "due",
        PositionSide::Issuer => "owes",
        PositionSide::Guarantor => "guarantor owes",
    }
}

/// Both objects in one.
pub(crate) fn with(mut one: Value, more: Value) -> Value {
    if let (Some(one), Value::Object(more)) = (one.as_object_mut(), more) {
        one.extend(more);
    }
    one
}

/// A party's payouts, and what the bank said of each.
pub(crate) fn payouts(store: &Store, party: PartyId) -> Result<Vec<Value>, ProviderError> {
    let mut sums: BTreeMap<(u64, Unit), (Time, i64)> = BTreeMap::new();
    for (row, at) in store.payouts_of(party)? {
        sums.entry((row.period, row.unit)).or_insert((at, 0)).1 += row.amount;
    }
    let transfers = store.transfers_of(party)?;
    let told = |((period, unit), (at, amount)): ((u64, Unit), (Time, i64))| {
        let transfer = transfers.iter().find(|row| (row.period, row.unit) == (period, unit));
        json!({
            "period": period, "at": at.0, "unit": unit.name(), "amount": decimal(unit, i128::from(amount)),
            "id": transfer.map(|row| &row.end_to_end), "state": transfer.map(|row| row.state.name()),
            "told": transfer.and_then(|row| row.why.as_ref()),
        })
    };
    Ok(sums.into_iter().map(told).collect())
}

/// A party's contracts, each with the provider's signed message in hexadecimal.
pub(crate) fn contracts(store: &Store, party: PartyId) -> Result<Vec<Value>, ProviderError> {
    let rows = store.contracts(Some(party))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(rows.iter().map(|row| with(contract(&row.contract), json!({ "signed": hex(&row.body) }))).collect())
}

/// A contract for people and programs.
pub(crate) fn contract(one: &tegata_core::talk::contract::Contract) -> Value {
    json!({
        "party": one.party.to_string(), "tender": one.tender.name().to_lowercase(), "unit": one.unit.name(),
        "version": one.version, "from": one.from.0, "at": one.at.0,
        "percent": format!("{}.{:04}", one.share / 10_000, one.share % 10_000),
        "fixed": decimal(one.unit, i128::from(one.fixed)),
    })
}
