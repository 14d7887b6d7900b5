//! What a merchant does on the command line.

use crate::flags::MerchantCommand;
use crate::place::{Place, Sort, now};
use crate::screen::{Answer, Failure, fail};
use serde_json::Value;
use tegata_core::Time;
use tegata_core::talk::report::ReportKind;
use tegata_core::wire::signed::Algorithm;

/// Does it.
pub fn run(place: &Place, name: &str, command: MerchantCommand) -> Result<Answer, Failure> {
    let csv = matches!(command, MerchantCommand::Statement { csv: true });
    let report = match command {
        MerchantCommand::Join { token } => {
            return super::join_part(place, Sort::Merchant, name, &token, Algorithm::Ed25519);
        }
        MerchantCommand::Statement { .. } => ReportKind::MerchantStatement,
        MerchantCommand::Exceptions => ReportKind::Exceptions,
    };
    let mut opened = place.open(Sort::Merchant, name)?;
    let content = opened.part.report(&mut place.post()?, report, (Time(0), Time::END), now())?;
    let json: Value = serde_json::from_str(&content)?;
    match report {
        ReportKind::MerchantStatement => Ok(super::statement::show(json, csv)),
        _ => Ok(Answer::new(serde_json::to_string_pretty(&json)?, json)),
    }
}

/// The id under which a merchant of this data folder has joined.
pub fn id(place: &Place, name: &str) -> Result<String, Failure> {
    match place.open(Sort::Merchant, name)?.part.certificate() {
        Some(certificate) => Ok(certificate.claimed().subject.party().to_string()),
        None => fail(format!("{name} has not joined a provider yet")),
    }
}
