//! What a merchant does on the command line.

use crate::flags::MerchantCommand;
use crate::place::{Place, Sort, now};
use crate::screen::{Answer, Failure, fail};
use serde_json::Value;
use tegata_core::Time;
use tegata_core::talk::report::{Report, ReportKind, ReportRequest};
use tegata_core::wire::signed::{Algorithm, Verified};

/// Does it.
pub fn run(place: &Place, name: &str, command: MerchantCommand) -> Result<Answer, Failure> {
    let report = match command {
        MerchantCommand::Join { token } => {
            return super::join_part(place, Sort::Merchant, name, &token, Algorithm::Ed25519);
        }
        MerchantCommand::Statement => ReportKind::MerchantStatement,
        MerchantCommand::Exceptions => ReportKind::Exceptions,
    };
    let mut opened = place.open(Sort::Merchant, name)?;
    let Some(certificate) = opened.part.certificate() else {
        return fail(format!("{name} has not joined a provider yet"));
    };
    let party = certificate.claimed().subject.party();
    let (from, until) = (Time(0), Time::END);
    let body = ReportRequest { report, party, from, until, device: None, extensions: Default::default() };
    let request = opened.part.signed(body)?;
    let report: Verified<Report> = opened.part.request(&mut place.post()?, &request, now())?;
    let json: Value = serde_json::from_slice(&report.content.0)?;
    Ok(Answer::new(serde_json::to_string_pretty(&json)?, json))
}
