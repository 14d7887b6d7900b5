//! Statements and exceptions, as JSON, for their subject alone (R25).

use crate::desk::{Desk, Failure};
use crate::settle::statement;
use crate::settle::statement::Payment;
use crate::turnout;
use serde::Serialize;
use serde_json::{Value, json};
use tegata_core::talk::report::{ProviderRefusal, Report, ReportKind, ReportRequest};
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::signed::Verified;
use tegata_core::{Amount, Time, Unit};
use tegata_ledger::Side;
use tegata_store::{ExceptionRow, StoreError};

/// Answers a request for a report about its sender.
pub(crate) fn report(desk: &mut Desk<'_>, request: &Verified<ReportRequest>) -> Result<Vec<u8>, Failure> {
    let known = desk.known(Subject::from(request.party)).ok_or(ProviderRefusal::NotAllowed)?;
    let content = match (request.report, known.role) {
        (ReportKind::MerchantStatement, Role::Merchant) => merchant(desk, request)?,
        (ReportKind::IssuerStatement, Role::Issuer) => issuer(desk, request)?.to_string(),
        (ReportKind::Changes, Role::Issuer) => crate::enter::progress(desk, request.party)?.to_string(),
        (ReportKind::Event, Role::Issuer) => turnout::report(desk, request)?.to_string(),
        (ReportKind::Exceptions, _) => exceptions(desk, request)?.to_string(),
        _ => return Err(ProviderRefusal::NotAllowed.into()),
    };
    Ok(desk.answer(&request.hash(), |signer| Report {
        report: request.report,
        content: Bytes(content.into_bytes()),
        signer,
        extensions: Default::default(),
    }))
}

pub(crate) fn decimal(unit: Unit, minor: u64) -> String {
    Amount::new(unit, minor).map_or_else(|| minor.to_string(), |amount| amount.decimal().to_string())
}

/// A merchant's statement. Typed, because it names every payment: a tree of values would take ten times the memory.
#[derive(Serialize)]
struct Statement {
    merchant: String,
    from: u64,
    until: u64,
    payments: Vec<Payment>,
    payable: Vec<Value>,
    paid: Vec<Value>,
    payouts: Vec<Value>,
    periods: Vec<Value>,
    contracts: Vec<Value>,
}

fn merchant(desk: &Desk<'_>, request: &ReportRequest) -> Result<String, Failure> {
    let party = request.party;
    let payments = statement::payments(desk, party, (request.from, request.until), request.device)?;
    let balances = |side| -> Result<Vec<Value>, Failure> {
        let rows = desk.store.balances_of(side, party)?;
        Ok(rows.into_iter().map(|(issuer, unit, amount)| {
            json!({"issuer": issuer.to_string(), "unit": unit.name(), "amount": decimal(unit, amount)})
        }).collect())
    };
    let statement = Statement {
        merchant: party.to_string(),
        from: request.from.0,
        until: request.until.0,
        payments,
        payable: balances(Side::Payable)?,
        paid: balances(Side::Paid)?,
        payouts: statement::payouts(desk.store, party)?,
        periods: statement::periods(desk.store, party, (request.from, request.until))?,
        contracts: statement::contracts(desk.store, party)?,
    };
    serde_json::to_string(&statement).map_err(|_| StoreError::Damaged.into())
}

fn issuer(desk: &mut Desk<'_>, request: &ReportRequest) -> Result<Value, Failure> {
    let mut books = Vec::new();
    for (issuer, unit) in desk.store.books()? {
        if issuer != request.party {
            continue;
        }
        let equation = desk.books.equation(desk.store, issuer, unit)?;
        let mut lines = serde_json::Map::new();
        lines.insert("unit".into(), unit.name().into());
        for side in Side::ALL {
            let sum = u64::try_from(equation.sum(side)).unwrap_or(0);
            lines.insert(side.name().replace(' ', "_"), decimal(unit, sum).into());
        }
        books.push(Value::Object(lines));
    }
    let (party, span) = (request.party, (request.from, request.until));
    // What its tills sold by credit is paid to the issuer as to a merchant.
    Ok(json!({
        "issuer": party.to_string(), "at": desk.now.0, "books": books,
        "payments": statement::payments(desk, party, span, request.device)?,
        "payouts": statement::payouts(desk.store, party)?,
        "periods": statement::periods(desk.store, party, span)?,
        "contracts": statement::contracts(desk.store, party)?,
    }))
}

fn exceptions(desk: &Desk<'_>, request: &ReportRequest) -> Result<Value, Failure> {
    let rows = desk.store.exceptions(Some(request.party), request.from, request.until)?;
    let of_device = |row: &&ExceptionRow| request.device.is_none() || request.device == row.device;
    let rows: Vec<Value> = rows.iter().filter(of_device).map(exception).collect();
    Ok(json!({"party": request.party.to_string(), "exceptions": rows}))
}

/// One exception with both records in hexadecimal digits.
pub(crate) fn exception(row: &ExceptionRow) -> Value {
    let hex = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    json!({
        "number": row.number, "kind": row.kind.name(), "at": row.at.0, "open": row.open, "bearer": row.bearer,
        "device": row.device.map(|id| id.to_string()), "card": row.card.map(|id| id.to_string()),
        "generation": row.generation, "seq": row.seq, "check": row.check.map(|hash| hash.to_string()),
        "amount": row.amount.map(|(unit, amount)| decimal(unit, amount)),
        "unit": row.amount.map(|(unit, _)| unit.name()),
        "wallet_record": hex(&row.wallet_record), "terminal_record": hex(&row.terminal_record),
    })
}

/// From the beginning to the end of time, for operators.
pub(crate) const ALWAYS: (Time, Time) = (Time(0), Time(u64::MAX));
