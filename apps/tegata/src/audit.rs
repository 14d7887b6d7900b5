//! The auditor on the command line and at the end of a replay.

use crate::screen::{Answer, Failure, fail};
use serde_json::{Value, json};
use std::path::Path;
use tegata_audit::Options;

/// What it found.
pub struct Audited {
    /// The first difference, in words.
    pub difference: Option<String>,
    /// All figures.
    pub json: Value,
}

/// Audits a provider's database.
pub fn audit_file(path: &Path) -> Result<Audited, Failure> {
    if !path.exists() {
        return fail(format!("there is no provider's database at {}; name it with --store", path.display()));
    }
    let audit = tegata_audit::audit_file(path, &Options::default())?;
    let difference = audit.difference.as_ref().map(ToString::to_string);
    let json = json!({
        "clean": difference.is_none(),
        "difference": difference,
        "entries": audit.entries,
        "signatures": audit.signatures,
        "cards": audit.cards,
        "merchants": audit.merchants,
    });
    Ok(Audited { difference, json })
}

/// `tegata audit`.
pub fn run(path: &Path) -> Result<Answer, Failure> {
    let audited = audit_file(path)?;
    if let Some(difference) = audited.difference {
        return fail(format!("the books and the signed evidence differ: {difference}"));
    }
    let figure = |name: &str| audited.json.get(name).and_then(Value::as_u64).unwrap_or(0);
    let text = format!(
        "Clean: {} records and {} signatures of {} cards and {} merchants, every balance recomputed and the same.",
        figure("entries"),
        figure("signatures"),
        figure("cards"),
        figure("merchants"),
    );
    Ok(Answer::new(text, audited.json))
}
