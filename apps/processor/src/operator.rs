//! What the operator asks of a running processor: JSON in, JSON out, on the processor's own machine, opened by a key that lies in its
//! folder and that only its owner reads.

use crate::{Now, Processor};
use serde_json::{Value, json};
use std::path::Path;
use tegata_core::wire::signed::PublicKey;
use tegata_core::{Amount, Hash, PartyId};
use tegata_crypto_native::entropy::fresh;

/// The key's file within the processor's folder.
const FILE: &str = "operator.key";

/// Reads the operator's key, or makes it.
///
/// # Errors
/// The file cannot be read or written.
pub fn key(folder: &Path) -> std::io::Result<String> {
    use std::io::Write;
    let path = folder.join(FILE);
    if let Ok(key) = std::fs::read_to_string(&path) {
        return Ok(key.trim().to_owned());
    }
    let key = Hash(fresh()).to_string();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    Ok(key)
}

/// Whether these are the operator's words before a question. Hashes are compared, so that the time it takes says nothing.
pub(crate) fn opens(given: &str, key: &str) -> bool {
    Hash::of(given.as_bytes()) == Hash::of(format!("Bearer {key}").as_bytes())
}

/// Answers one question. An `error` in the answer says what was wrong with it; nothing has changed then.
pub fn answer(processor: &mut Processor, question: &Value, now: Now) -> Value {
    asked(processor, question, now).unwrap_or_else(|error| json!({ "error": error }))
}

fn asked(processor: &mut Processor, question: &Value, now: Now) -> Result<Value, String> {
    let text = |name: &str| question.get(name).and_then(Value::as_str).unwrap_or_default();
    let party = || PartyId::parse(text("provider")).ok_or("a provider's id is party- and 32 digits");
    match text("do") {
        "admit" => {
            let party = party()?;
            let key = read_key(text("key")).ok_or("a public key is 64 hexadecimal digits (Ed25519) or 66 (P-256)")?;
            processor.admit(party, key, text("name"), now).map_err(|error| error.to_string())?;
            Ok(json!({ "admitted": text("provider") }))
        }
        "revoke" => {
            processor.revoke(party()?, now).map_err(|error| error.to_string())?;
            Ok(json!({ "revoked": text("provider") }))
        }
        "refusals" => {
            let all = processor.store().refusals().map_err(|error| error.to_string())?;
            let whom = |party: &Option<PartyId>| party.map(|party| party.to_string());
            let all: Vec<Value> =
                all.iter().map(|(at, why, by)| json!({ "at": at.0, "why": why, "sender": whom(by) })).collect();
            Ok(json!({ "refusals": all }))
        }
        "status" => {
            let info = processor.info();
            Ok(json!({
                "processor": info.processor.to_string(),
                "name": info.name,
                "key": format!("{:?}", info.key),
                "bank": if processor.line_is_open() { "signed on" } else { "not signed on" },
                "unanswered": processor.pursued(),
                "commits": processor.store().commits(),
            }))
        }
        "balances" => {
            let all = processor.store().balances().map_err(|error| error.to_string())?;
            let all: Vec<Value> = all
                .iter()
                .map(|(provider, code, name, unit, minor)| {
                    let amount = u64::try_from(*minor).ok().and_then(|minor| Amount::new(*unit, minor));
                    let amount = amount.map_or_else(|| minor.to_string(), |amount| amount.decimal().to_string());
                    json!({
                        "provider": provider.to_string(),
                        "code": code,
                        "name": name,
                        "currency": unit.name(),
                        "amount": amount,
                    })
                })
                .collect();
            Ok(json!({ "balances": all }))
        }
        _ => Err("the operator can ask to admit, revoke, and for refusals, balances and status".to_owned()),
    }
}

/// A public key of its hexadecimal digits.
fn read_key(text: &str) -> Option<PublicKey> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    let bytes = bytes?;
    match bytes.len() {
        32 => bytes.try_into().ok().map(PublicKey::Ed25519),
        33 => bytes.try_into().ok().map(PublicKey::P256),
        _ => None,
    }
}
