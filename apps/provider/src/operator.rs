//! What the operator asks of a running provider: JSON in, JSON out, on the provider's own machine, opened by a key that
//! lies in its folder and that only its owner reads.

use crate::{Provider, settle, trial_balance};
use serde_json::{Value, json};
use std::path::Path;
use tegata_core::talk::credit::{MerchantDetails, ProcessorInfo};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::{Amount, CardId, DeviceId, Hash, PartyId, RequestNumber, Time, Unit};
use tegata_crypto_native::entropy::fresh;
use tegata_ledger::Equation;

/// The key's file within the provider's folder.
const FILE: &str = "operator.key";

/// Reads the operator's key, or makes it.
///
/// # Errors
/// The file cannot be read or written.
pub fn key(folder: &Path) -> std::io::Result<String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(FILE);
    if let Ok(key) = std::fs::read_to_string(&path) {
        return Ok(key.trim().to_owned());
    }
    let key = Hash(fresh()).to_string();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    Ok(key)
}

/// Answers one question. An `error` in the answer says what was wrong with it; nothing has changed then.
pub fn answer(provider: &mut Provider, question: &Value, now: Time, entropy: [u8; 32]) -> Value {
    asked(provider, question, now, entropy).unwrap_or_else(|error| json!({ "error": error }))
}

fn asked(provider: &mut Provider, question: &Value, now: Time, entropy: [u8; 32]) -> Result<Value, String> {
    let text = |name: &str| question.get(name).and_then(Value::as_str);
    match text("do") {
        Some("invite") => invite(provider, question, now, entropy),
        Some("exceptions") => {
            provider.compare(now).map_err(|error| error.to_string())?;
            let told = provider.exceptions_told().map_err(|error| error.to_string())?;
            Ok(json!({ "exceptions": told }))
        }
        Some("revoke") => {
            let name = text("subject").ok_or("name whom to revoke")?;
            let subject = PartyId::parse(name).map(Subject::from).or(DeviceId::parse(name).map(Subject::from));
            let subject = subject.ok_or("an id is party- or dev- and 32 digits")?;
            provider.revoke(subject, now).map_err(|error| error.to_string())?;
            Ok(json!({ "revoked": name }))
        }
        Some("block") => {
            let name = text("card").ok_or("name the card to block")?;
            let card = CardId::parse(name).ok_or("a card's id is card- and 32 digits")?;
            provider.block(card, now).map_err(|error| error.to_string())?;
            Ok(json!({ "blocked": name }))
        }
        Some("reissue") => {
            let name = text("card").ok_or("name the ticket to issue anew")?;
            let card = CardId::parse(name).ok_or("a card's id is card- and 32 digits")?;
            let number = provider.anew(card, now).map_err(|error| error.to_string())?;
            Ok(json!({ "reissued": name, "number": number }))
        }
        Some("key") => {
            let key = format!("{:?}", provider.signing_key(now));
            Ok(json!({ "provider": provider.info().provider.to_string(), "key": key }))
        }
        Some("processor") => {
            let info = text("info").and_then(bytes_of).ok_or("give the processor's info in hexadecimal")?;
            let info = ProcessorInfo::from_bytes(&info).map_err(|_| "this is no processor's info")?;
            let url = text("url").ok_or("say where the processor is reached")?.to_owned();
            let named = json!({ "processor": info.processor.to_string(), "name": info.name });
            provider.register_processor(info, url, now, entropy).map_err(|error| error.to_string())?;
            Ok(named)
        }
        Some("enrol") => {
            let name = text("merchant").ok_or("name the merchant")?;
            let merchant = PartyId::parse(name).ok_or("a merchant's id is party- and 32 digits")?;
            let details = MerchantDetails {
                code: text("code").ok_or("give the merchant's code at the bank")?.to_owned(),
                category: question.get("category").and_then(Value::as_u64).ok_or("give the merchant's category")?,
                name: text("name").ok_or("give the name for the cardholder's statement")?.to_owned(),
                extensions: Default::default(),
            };
            provider.enrol(merchant, details, now, entropy).map_err(|error| error.to_string())?;
            Ok(json!({ "enrolled": name }))
        }
        Some("credits") => provider.credits().map_err(|error| error.to_string()),
        Some("credit") => {
            let request = text("request").and_then(RequestNumber::parse);
            let request = request.ok_or("name the payment by its request number: request- and 32 digits")?;
            provider.credit(request).map_err(|error| error.to_string())
        }
        Some("compared") => {
            let waited = provider.compared(now).map_err(|error| error.to_string())?;
            Ok(json!({ "compared": true, "waited": waited }))
        }
        Some("status") => {
            let books = provider.books().map_err(|error| error.to_string())?;
            let books: Vec<Value> = books.iter().map(|(issuer, unit, sums)| book(*issuer, *unit, sums)).collect();
            let commits = provider.store().commits();
            let waits = provider.reconciling(now).map_err(|error| error.to_string())?;
            Ok(json!({
                "provider": provider.info().name, "at": now.0, "commits": commits, "books": books,
                "reconciling_until": waits.map(|time| time.0), "compared": provider.is_compared().map_err(|error| error.to_string())?,
            }))
        }
        _ => settle::operator::asked(provider, question, now).unwrap_or_else(|| {
            Err("the operator can ask to invite, settle, revoke, block, reissue, enrol, say that sales are compared, for a processor, contracts, bank accounts, what \
                 is owed, payouts, to reconcile, for exceptions, credits, a credit, status and the key"
                .to_owned())
        }),
    }
}

pub(crate) fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// One-time tokens, one for each name.
fn invite(provider: &mut Provider, question: &Value, now: Time, entropy: [u8; 32]) -> Result<Value, String> {
    let role = match question.get("role").and_then(Value::as_str) {
        Some("issuer") => Role::Issuer,
        Some("merchant") => Role::Merchant,
        Some("terminal") => Role::Terminal,
        Some("gate") => Role::Gate,
        Some("switch") => Role::Switch,
        Some("wallet") => Role::Wallet,
        _ => return Err("a role is issuer, merchant, terminal, gate, switch or wallet".to_owned()),
    };
    let owner = match question.get("owner").and_then(Value::as_str) {
        Some(owner) => Some(PartyId::parse(owner).ok_or("an owner's id is party- and 32 digits")?),
        None => None,
    };
    let names = question.get("names").and_then(Value::as_array).ok_or("name whom to invite")?;
    let mut tokens = Vec::new();
    let mut drawn = entropy;
    for name in names {
        drawn = Hash::of(&drawn).0;
        let name = name.as_str().ok_or("a name is a text")?;
        let token = provider.invite(role, owner, name, now, drawn).map_err(|error| error.to_string())?;
        tokens.push(token.reveal());
    }
    Ok(json!({ "tokens": tokens }))
}

pub(crate) fn decimal(unit: Unit, minor: i128) -> String {
    let amount = u64::try_from(minor.unsigned_abs()).ok().and_then(|minor| Amount::new(unit, minor));
    let sign = if minor < 0 { "-" } else { "" };
    amount.map_or_else(|| minor.to_string(), |amount| format!("{sign}{}", amount.decimal()))
}

pub(crate) fn book(issuer: PartyId, unit: Unit, sums: &Equation) -> Value {
    let mut lines = serde_json::Map::new();
    for (name, minor) in trial_balance(sums) {
        lines.insert(name.replace(' ', "_"), decimal(unit, minor).into());
    }
    json!({ "issuer": issuer.to_string(), "unit": unit.name(), "lines": lines })
}
