//! What a merchant terminal does on the command line.

use super::reach;
use crate::flags::TerminalCommand;
use crate::place::{Opened, Place, Sort, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::json;
use std::time::Duration;
use tegata_core::talk::credit::ClaimNotice;
use tegata_core::talk::pay::{Refusal, TerminalNotice};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{IssuerId, PartyId};
use tegata_terminal::{Charged, Terminal, listen};
use tegata_vault::SqliteVault;

/// Does it.
pub fn run(place: &Place, screen: Screen, name: &str, command: TerminalCommand) -> Result<Answer, Failure> {
    match command {
        TerminalCommand::Join { token } => super::join_part(place, Sort::Terminal, name, &token, Algorithm::Ed25519),
        TerminalCommand::Charge { amount, items, currency, listen, wait } => {
            let amount = super::amount(&amount, &currency)?;
            charge(place, screen, name, (amount, items), (&listen, wait))
        }
        TerminalCommand::Clear { transaction } => {
            by_credit(place, screen, &mut place.terminal(name)?.part, transaction)
        }
        TerminalCommand::Messages => reach::terminal_messages(place, name),
        TerminalCommand::CalledAt { phone, switch, .. } => {
            let mut opened = place.terminal(name)?;
            reach::called_at(&mut opened.part.device, &mut place.post()?, (phone, switch))
        }
        TerminalCommand::CallNumber { to } => reach::terminal_calls(place, name, &to),
        TerminalCommand::Write { to, text } => reach::terminal_writes(place, name, &to, &text),
        TerminalCommand::Payments => payments(&place.terminal(name)?.part),
        TerminalCommand::Receipt { transaction } => receipt(&place.terminal(name)?.part, transaction),
        TerminalCommand::Close => {
            let closed = place.terminal(name)?.part.close_open(now())?;
            let text = closed.map_or_else(|| "No charge is open.".to_owned(), |n| format!("Charge {n} is closed."));
            Ok(Answer::new(text, json!({ "closed": closed })))
        }
        TerminalCommand::Void { transaction } => {
            let amount = place.terminal(name)?.part.void(transaction, now())?;
            let text = format!(
                "Charge {transaction} is voided: {amount} go back to the card, at its next touch here or its next update."
            );
            Ok(Answer::new(text, json!({ "voided": transaction, "amount": amount.decimal().to_string() })))
        }
        TerminalCommand::Update => {
            let mut opened = place.terminal(name)?;
            let summary = opened.part.update(&mut place.post()?, now())?;
            Ok(super::updated(name, &summary))
        }
        TerminalCommand::Journal => journal(&place.terminal(name)?.part),
        TerminalCommand::Activate { issuer, batch, first, last, slip } => {
            let Some(issuer) = PartyId::parse(&issuer) else {
                return fail(
                    "name the issuer by its id: party- and 32 digits, as `tegata issuer NAME batches` shows it",
                );
            };
            activate(place, name, issuer, (batch, first, last.unwrap_or(first)), slip)
        }
    }
}

fn charge(
    place: &Place,
    screen: Screen,
    name: &str,
    (amount, items): (tegata_core::Amount, Option<String>),
    (address, wait): (&str, u64),
) -> Result<Answer, Failure> {
    let Opened { part: mut terminal, folder } = place.terminal(name)?;
    let sale = terminal.sale(amount, items)?;
    let counter = listen(address)?;
    let at = counter.address().to_string();
    write_address(folder.path(), &at)?;
    screen.say(format!("{name} charges {}. Now touch with a wallet, in another window:", bold(amount)));
    screen.say(format!("  tegata wallet alice pay {name}        (or by address: {at})"));
    let charged = counter.charge(&mut terminal, &sale, Duration::from_secs(wait), now);
    forget_address(folder.path());
    match charged? {
        Charged::Nobody => fail(format!("no wallet touched {name} within {wait} seconds; nothing was charged")),
        Charged::Notices(notices) => settled(place, screen, &mut terminal, &notices),
    }
}

/// What the merchant is told after a touch; a charge by credit is gone on with until it is known.
pub fn settled(
    place: &Place,
    screen: Screen,
    terminal: &mut Terminal<SqliteVault>,
    notices: &[TerminalNotice],
) -> Result<Answer, Failure> {
    match asked_by_credit(notices) {
        Some(transaction) => by_credit(place, screen, terminal, transaction),
        None => outcome(notices),
    }
}

/// The charge that a wallet answered by an offer of credit.
fn asked_by_credit(notices: &[TerminalNotice]) -> Option<u64> {
    notices.iter().find_map(|notice| match notice {
        TerminalNotice::CreditAsked { transaction } => Some(*transaction),
        _ => None,
    })
}

/// Goes on with a charge by credit until it is known (R26); the provider says when to ask again.
fn by_credit(
    place: &Place,
    screen: Screen,
    terminal: &mut Terminal<SqliteVault>,
    transaction: u64,
) -> Result<Answer, Failure> {
    let mut post = place.post()?;
    screen.say(format!("Charge {transaction} is paid by credit; the provider is asked."));
    loop {
        match terminal.credit(&mut post, transaction, now())? {
            ClaimNotice::Waiting { again } => std::thread::sleep(Duration::from_secs(again.clamp(1, 60))),
            ClaimNotice::Paid { transaction, amount, customer } => {
                let text = format!(
                    "{} Charge {transaction}: {amount} by credit from {customer}. Hand over the goods.",
                    bold("Paid.")
                );
                let json = json!({
                    "paid": amount.decimal().to_string(), "transaction": transaction, "customer": customer.to_string(),
                });
                return Ok(Answer::new(text, json));
            }
            ClaimNotice::Refused { transaction, why } => {
                return fail(format!("charge {transaction} is closed unpaid: {}", why.advice()));
            }
            ClaimNotice::NotAllowed(refused) => return fail(format!("the provider refused: {}", refused.told())),
            ClaimNotice::Unknown => return fail(format!("charge {transaction} is no charge by credit")),
            ClaimNotice::EndedBefore(state) => {
                return fail(format!("charge {transaction} had ended before ({})", state.name().to_lowercase()));
            }
            ClaimNotice::NotTrusted => return fail("the answer is not by the provider; nothing was changed"),
            ClaimNotice::Failed(fault) => return Err(fault.into()),
        }
    }
}

/// What the merchant is told after a touch.
pub fn outcome(notices: &[TerminalNotice]) -> Result<Answer, Failure> {
    for notice in notices {
        match notice {
            TerminalNotice::Paid { transaction, amount, .. } => {
                let text = format!("{} Charge {transaction}: {amount}. Hand over the goods.", bold("Paid."));
                let json = json!({ "paid": amount.decimal().to_string(), "transaction": transaction });
                return Ok(Answer::new(text, json));
            }
            TerminalNotice::Closed { transaction, why } => {
                return fail(format!("charge {transaction} is closed unpaid: {}", why.advice()));
            }
            TerminalNotice::Refused(why) => return fail(format!("nothing was charged: {}", why.advice())),
            TerminalNotice::Failed(fault) => return fail(format!("nothing was charged: {fault}")),
            TerminalNotice::Repeated { .. } | TerminalNotice::CreditAsked { .. } => {}
        }
    }
    fail(format!("the wallet broke off: {}", Refusal::OutOfOrder.advice()))
}

fn payments(terminal: &Terminal<SqliteVault>) -> Result<Answer, Failure> {
    let listed = terminal.payments()?;
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|payment| {
            let items = payment.items.clone().unwrap_or_default();
            let state = payment.state.name().to_lowercase();
            let with = payment.customer.map_or_else(|| payment.receipt.to_string(), |customer| customer.to_string());
            let (at, amount) = (super::moment(payment.at), payment.amount.to_string());
            vec![payment.transaction.to_string(), at, amount, state, with, items]
        })
        .collect();
    let json = listed
        .iter()
        .map(|payment| {
            json!({
                "transaction": payment.transaction,
                "at": payment.at.0,
                "amount": payment.amount.decimal().to_string(),
                "currency": payment.amount.unit().name(),
                "state": payment.state.name(),
                "items": payment.items,
                "card": payment.card.map(|card| card.to_string()),
                "customer": payment.customer.map(|customer| customer.to_string()),
                "receipt_number": payment.receipt.to_string(),
            })
        })
        .collect::<Vec<_>>();
    let text = if rows.is_empty() {
        "No charges yet.".to_owned()
    } else {
        table(&["no", "at", "amount", "state", "customer or receipt", "items"], &rows)
    };
    Ok(Answer::new(text, json!({ "payments": json })))
}

fn receipt(terminal: &Terminal<SqliteVault>, transaction: u64) -> Result<Answer, Failure> {
    let Some(claim) = terminal.claim(transaction) else {
        return fail(format!("there is no charge {transaction}; `tegata terminal NAME payments` lists them"));
    };
    let charge = claim.charge.claimed();
    let text = format!(
        "Charge {transaction}: {} at {}, {}.\nCard: {}\nReceipt: {}",
        charge.amount,
        super::moment(charge.at),
        claim.state.name().to_lowercase(),
        claim.card.map_or_else(|| "none".to_owned(), |card| card.to_string()),
        claim.receipt.as_ref().map_or_else(|| "none".to_owned(), |receipt| hex::encode(receipt.encode())),
    );
    let json = json!({
        "transaction": transaction,
        "amount": charge.amount.decimal().to_string(),
        "state": claim.state.name(),
        "charge": hex::encode(claim.charge.encode()),
        "session": claim.session.to_string(),
        "check": claim.check.map(|check| hex::encode(check.encode())),
        "receipt": claim.receipt.map(|receipt| hex::encode(receipt.encode())),
        "void": claim.void.map(|void| hex::encode(void.encode())),
    });
    Ok(Answer::new(text, json))
}

fn journal(terminal: &Terminal<SqliteVault>) -> Result<Answer, Failure> {
    let (journal, entries) = terminal.journal()?;
    let acknowledged = journal.as_ref().map_or(0, |journal| journal.acknowledged);
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|(number, entry)| {
            let with = if *number <= acknowledged { "recorded" } else { "waiting" };
            vec![
                number.to_string(),
                super::moment(entry.at),
                entry.kind.name().to_lowercase(),
                entry.transaction.to_string(),
                with.to_owned(),
            ]
        })
        .collect();
    let json = entries
        .iter()
        .map(|(number, entry)| {
            json!({
                "number": number,
                "at": entry.at.0,
                "kind": entry.kind.name(),
                "transaction": entry.transaction,
                "bytes": hex::encode(entry.to_bytes()),
            })
        })
        .collect::<Vec<_>>();
    let text = if rows.is_empty() {
        "The journal is empty.".to_owned()
    } else {
        table(&["entry", "at", "kind", "charge", "provider"], &rows)
    };
    Ok(Answer::new(text, json!({ "journal": json, "acknowledged": acknowledged })))
}

fn activate(
    place: &Place,
    name: &str,
    issuer: IssuerId,
    (batch, first, last): (u64, u64, u64),
    only_slip: bool,
) -> Result<Answer, Failure> {
    let mut opened = place.terminal(name)?;
    let slip = opened.part.slip(issuer, batch, (first, last), now().time)?;
    let printed = hex::encode(slip.encode());
    if only_slip {
        let text = format!("Slip for serials {first} to {last} of batch {batch}:\n{printed}");
        return Ok(Answer::new(text, json!({ "slip": printed })));
    }
    opened.part.activate(&mut place.post()?, &slip, now())?;
    let text = format!("Serials {first} to {last} of batch {batch} are activated.");
    Ok(Answer::new(text, json!({ "activated": [first, last], "slip": printed })))
}
