//! One file a part: what its subcommands do.

pub mod bank;
pub mod buy;
pub mod category;
pub mod change;
pub mod credit;
pub mod doors;
pub mod event;
pub mod gate;
pub mod give;
pub mod hotspot;
pub mod issuer;
pub mod merchant;
mod moved;
pub mod opened;
pub mod phone;
mod planned;
pub mod processor;
pub mod provider;
pub mod reach;
pub mod settlement;
pub mod statement;
pub mod switch;
pub mod terminal;
pub mod ticket;
pub mod wallet;

use crate::calendar;
use crate::place::{Place, Sort, now};
use crate::screen::{Answer, Failure, fail};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::json;
use tegata_core::talk::enter::Setup;
use tegata_core::talk::join::JoinToken;
use tegata_core::wire::certificate::{Anchors, Certificate, Role};
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, Time, Unit};
use tegata_crypto_native::GateNumber;
use tegata_device::{HttpPost, JoinError, Summary, fetch_info, join};

/// Reads an amount as people write it.
pub fn amount(text: &str, currency: &str) -> Result<Amount, Failure> {
    let Some(unit) = Unit::parse(currency) else {
        return fail(format!("'{currency}' is no currency this program knows; it knows USD, EUR and JPY"));
    };
    // What is counted in whole pieces may be written like money: a default of 100.00 is a hundred of them.
    let whole = text.strip_suffix(".00").filter(|_| unit.decimals() == 0);
    match (Amount::parse(unit, whole.unwrap_or(text)), unit.decimals()) {
        (Some(amount), _) => Ok(amount),
        (None, 0) => fail(format!("'{text}' is no amount of {currency}: write digits and no sign, such as 30")),
        (None, decimals) => fail(format!(
            "'{text}' is no amount of {currency}: write digits and at most {decimals} decimals, no sign, such as 4.50"
        )),
    }
}

/// A text as a QR for a camera, in characters.
pub fn qr(text: &str) -> Result<String, Failure> {
    let drawn = QrCode::with_error_correction_level(text, EcLevel::M)?;
    Ok(drawn.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Joins one device or party of the data folder. The token may say where the provider is, as its QR does: `TOKEN@URL`.
pub fn join_part(place: &Place, sort: Sort, name: &str, token: &str, algorithm: Algorithm) -> Result<Answer, Failure> {
    let (token, at) = token.trim().split_once('@').map_or((token, None), |(token, url)| (token, Some(url.to_owned())));
    let token = token_of(place, sort, token)?;
    let role = match sort {
        Sort::Wallet => Role::Wallet,
        Sort::Terminal => Role::Terminal,
        Sort::Gate => Role::Gate,
        Sort::Switch => Role::Switch,
        Sort::Issuer => Role::Issuer,
        Sort::Merchant => Role::Merchant,
    };
    let url = at.clone().map_or_else(|| place.provider_url(), Ok)?;
    let info = fetch_info(&url)?;
    let mut post = HttpPost::new(&url)?;
    let new = !place.exists(sort, name);
    let mut opened = place.create(sort, name, algorithm)?;
    let joined = join(&mut opened.part, &mut post, &info, &token, role, name, now());
    if new && matches!(&joined, Err(JoinError::Refused(_) | JoinError::OtherProvider)) {
        // Nothing of it stays: neither a folder nor a code number.
        std::fs::remove_dir_all(opened.folder.path())?;
    }
    let certificate = joined?;
    place.remember_provider(at.as_deref(), &token.pin)?;
    // Parties keep no log; devices fetch keys, terms and the revocation list at once.
    if matches!(role, Role::Wallet | Role::Terminal | Role::Gate | Role::Switch) {
        tegata_device::update(&mut opened.part, &mut post, now())?;
    }
    let subject = subject_text(certificate.claimed());
    let mut text = format!("{name} has joined {} as {} {subject}.", info.name, role.name().to_lowercase());
    if sort == Sort::Gate {
        text = format!(
            "{text}\n{}",
            match Setup::load(&opened.part) {
                Some(setup) => format!(
                    "It is set up for {}, door {}.{} Open it: tegata gate {name} run",
                    setup.name,
                    setup.door,
                    gate::left_out(&setup)
                ),
                // Whoever promotes the event scans it, or types the number.
                None => format!(
                    "Its promoter puts it in its place by this code, or by its number:\n{}\n  tegata issuer NAME event gate EVENT {subject} DOOR",
                    qr(&subject)?
                ),
            }
        );
    }
    Ok(Answer::new(text, json!({ "joined": name, "role": role.name(), "id": subject, "provider": info.name })))
}

/// A join token as it was scanned or typed; or the number of a gate, where it is known which provider it comes from.
fn token_of(place: &Place, sort: Sort, text: &str) -> Result<JoinToken, Failure> {
    if let Some(token) = JoinToken::parse(text) {
        return Ok(token);
    }
    match GateNumber::parse(text) {
        Ok(number) if sort == Sort::Gate => match place.provider_pin() {
            Some(pin) => Ok(JoinToken { secret: number.secret(), pin }),
            None => fail(
                "nothing on this machine has joined a provider before, so that it cannot tell a false one: scan the code \
                 beside the number, or type what stands below the code",
            ),
        },
        Err(wrong) if sort == Sort::Gate && !text.starts_with("tegata") => {
            fail(format!("this is neither a gate's number ({wrong}) nor a join token, which starts with tegata1-"))
        }
        _ => fail("this is no join token; it starts with tegata1- and is followed by 64 digits. Copy all of it"),
    }
}

/// What a token pins of the provider that answers there: the one that is trusted, or none.
pub fn pin_of(url: &str, trusted: Option<&Anchors>) -> Result<[u8; 16], Failure> {
    let info = fetch_info(url)?;
    if trusted.is_none_or(|trusted| trusted.root != info.root) {
        return fail("who answers at the provider's address is not the provider that this party joined");
    }
    let mut pin = [0; 16];
    pin.copy_from_slice(&info.fingerprint().0[..16]);
    Ok(pin)
}

/// A participant's id as people see it.
pub fn subject_text(certificate: &Certificate) -> String {
    match certificate.role {
        Role::Terminal | Role::Wallet | Role::Gate | Role::Switch => certificate.subject.device().to_string(),
        _ => certificate.subject.party().to_string(),
    }
}

/// What is said to whoever has put a device back from an older copy (R11, R14).
const RESTORED: &str = " It was found behind its own past (an older copy was restored?); the provider set it right. What the copy may \
    have spent meanwhile is held back and returns by itself with an update once the terms' days for late records are over.";

/// What an update did, for people and programs.
pub fn updated(name: &str, summary: &Summary) -> Answer {
    let mut text = format!(
        "{name} is up to date: {} of its records are with the provider, {} commands carried out, {} taken up.",
        summary.recorded, summary.commands, summary.taken_up
    );
    if summary.restarted {
        text.push_str(RESTORED);
    }
    let json = json!({
        "updated": name,
        "turns": summary.turns,
        "recorded": summary.recorded,
        "commands": summary.commands,
        "taken_up": summary.taken_up,
        "restarted": summary.restarted,
    });
    Answer::new(text, json)
}

/// A moment as people read it (UTC, ISO 8601).
pub fn moment(time: Time) -> String {
    let days = time.0 / Time::DAY;
    let (year, month, day) = calendar::date(days);
    let left = time.0 % Time::DAY;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", left / 3600, left / 60 % 60, left % 60)
}

/// The same to the minute, as flags take it.
pub fn minute(time: Time) -> String {
    moment(time)[..16].replace(' ', "T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_the_calendar_has_them() {
        assert_eq!(moment(Time(0)), "1970-01-01 00:00:00Z");
        assert_eq!(moment(Time(951_782_400)), "2000-02-29 00:00:00Z");
        assert_eq!(moment(Time(1_795_381_200)), "2026-11-22 21:00:00Z");
    }
}
