//! Calls between merchants and users (flow 21): they go the ways of letters. The provider makes up a number that stands for whoever is
//! called, once and for a while, and tells the switch alone for which phone. A muted merchant gets a number like anybody; the switch is told
//! no phone, and whoever dials it hears that nobody answers.

use super::{LETTERS, Way, counts, done, way};
use crate::desk::{Desk, Failure};
use tegata_core::step::Break;
use tegata_core::talk::reach::{CallAsk, CallNumber, PhoneAt, STANDS_FOR, STANDS_FOR_DIGITS, StandsFor};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Verified;
use tegata_core::{MerchantId, Time, WalletId};
use tegata_store::{PhoneRow, Side, StandsForRow, StoreError};

/// For how many seconds a number stands for somebody.
const STANDS: u64 = 600;
/// Longest name of a phone.
const MOST: usize = 64;

/// A device says where it is called.
pub(crate) fn phone_at(desk: &mut Desk<'_>, request: &Verified<PhoneAt>) -> Result<Vec<u8>, Failure> {
    let before = desk.store.phone(request.device)?;
    counts(desk, request.at, before.as_ref().map(|before| before.at))?;
    let phone = match (request.switch, &request.phone) {
        (None, None) => None,
        (Some(switch), Some(phone)) => {
            let known = desk.known(switch.into()).is_some_and(|known| known.role == Role::Switch);
            let name = |sign: char| sign.is_ascii_alphanumeric() || "+-_.".contains(sign);
            let sound = (1..=MOST).contains(&phone.len()) && phone.chars().all(name);
            match (known, sound) {
                (true, true) => Some((switch, phone.clone())),
                (false, _) => return Err(ProviderRefusal::Unknown.into()),
                (true, false) => return Err(ProviderRefusal::Malformed.into()),
            }
        }
        _ => return Err(ProviderRefusal::Malformed.into()),
    };
    // Whoever called it there does not ring a phone that may be somebody else's by now.
    let moved = before.is_some_and(|before| before.phone.is_some() && before.phone != phone);
    if moved && !desk.shared.broken.has(Break::OldPhoneRings) {
        for row in desk.store.numbers_of(request.device, desk.now)? {
            take_back(desk, row)?;
        }
    }
    desk.store.put_phone(&PhoneRow { device: request.device, phone, at: request.at })?;
    Ok(done(desk, &request.hash(), request.at))
}

/// A device asks for a number by which an address is called. The same request gets the same number, also once that is over.
pub(crate) fn ask(desk: &mut Desk<'_>, request: &Verified<CallAsk>) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    if let Some(row) = desk.store.stands_for(&hash)? {
        return answer(desk, &row);
    }
    let Way { to, wallet, side } = way(desk, request.device, &request.to)?;
    let phone = desk.store.phone(to.device)?.and_then(|row| row.phone);
    let (switch, phone) = phone.ok_or(ProviderRefusal::Unknown)?;
    let since = Time(desk.now.0.saturating_sub(Time::DAY));
    if desk.store.numbers_since(to.merchant, wallet, side, since)?.len() as u64 >= LETTERS {
        return Err(Failure::Refused(ProviderRefusal::TooMany, Some(3600)));
    }
    let heeded = !desk.shared.broken.has(Break::CallThroughMute);
    let muted = heeded && desk.store.muted(wallet, to.merchant)?.is_some_and(|(muted, _)| muted);
    let mut short = [0; 8];
    short.copy_from_slice(&desk.draw()[..8]);
    let number = format!("{STANDS_FOR}{:0STANDS_FOR_DIGITS$}", u64::from_be_bytes(short) % 1_000_000_000_000);
    let (at, until) = (desk.now, desk.now.after(STANDS));
    let told = side == Side::User || !muted;
    let row =
        StandsForRow { hash, number, merchant: to.merchant, wallet, side, called: to.device, switch, told, at, until };
    desk.store.put_stands_for(&row)?;
    // Where nobody shall ring, the switch knows the number all the same: whoever dials it hears what is heard where a phone is off.
    tell(desk, &row, told.then_some(phone))?;
    answer(desk, &row)
}

fn answer(desk: &Desk<'_>, row: &StandsForRow) -> Result<Vec<u8>, Failure> {
    let name = desk.store.participant(row.switch.into())?.ok_or(StoreError::Damaged)?.name;
    Ok(desk.answer(&row.hash, |signer| CallNumber {
        number: row.number.clone(),
        switch: row.switch,
        name,
        until: row.until,
        signer,
        extensions: Default::default(),
    }))
}

/// The switch learns with its next update for which phone a number stands.
fn tell(desk: &mut Desk<'_>, row: &StandsForRow, phone: Option<String>) -> Result<(), Failure> {
    let stands =
        Some(StandsFor { number: row.number.clone(), phone, until: row.until, extensions: Default::default() });
    Ok(desk.command(row.switch, &Command { stands, ..Command::new(CommandKind::StandsFor) })?)
}

/// A number stands for nobody any more.
fn take_back(desk: &mut Desk<'_>, row: StandsForRow) -> Result<(), Failure> {
    tell(desk, &row, None)?;
    Ok(desk.store.put_stands_for(&StandsForRow { told: false, ..row })?)
}

/// The user has muted a merchant: the numbers that it was given stand for nobody any more.
pub(super) fn muted(desk: &mut Desk<'_>, wallet: WalletId, merchant: MerchantId) -> Result<(), Failure> {
    if desk.shared.broken.has(Break::CallThroughMute) {
        return Ok(());
    }
    let since = Time(desk.now.0.saturating_sub(STANDS));
    for row in desk.store.numbers_since(merchant, wallet, Side::Merchant, since)? {
        if row.told {
            take_back(desk, row)?;
        }
    }
    Ok(())
}
