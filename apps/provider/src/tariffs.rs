//! What calls cost: the issuers' tariffs, the switches that learn them, and what these charge held against them.

use crate::cards::{done, in_role};
use crate::desk::{Desk, Failure};
use tegata_core::charging::{CallTariff, Tariff};
use tegata_core::step::Break;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{DeviceId, Time};
use tegata_store::{CardRow, StoreError, TariffRow};

/// Keeps an issuer's tariff and tells every switch. The same again changes nothing.
pub(crate) fn tariff(desk: &mut Desk<'_>, request: &Verified<Tariff>) -> Result<Vec<u8>, Failure> {
    let last = desk.store.tariff(request.issuer, request.unit)?;
    if last.as_ref().is_some_and(|last| last.hash == request.hash()) {
        return Ok(done(desk, &request.hash(), request.at));
    }
    if request.number != last.map_or(0, |last| last.number) + 1 {
        return Err(ProviderRefusal::Repeated.into());
    }
    request.check().map_err(|_| ProviderRefusal::Terms)?;
    let signed = request.signed().clone();
    desk.store.put_tariff(&TariffRow {
        issuer: request.issuer,
        unit: request.unit,
        number: request.number,
        hash: request.hash(),
        body: signed.encode(),
        at: Some(desk.now),
    })?;
    for switch in in_role(desk, Role::Switch)? {
        let command = Command { tariff: Some(signed.clone()), ..Command::new(CommandKind::Tariff) };
        desk.command(switch, &command)?;
    }
    Ok(done(desk, &request.hash(), request.at))
}

/// Whether a switch charges this call as the tariff of its card's issuer says (R24).
///
/// The tariff that it names counts, unless it was replaced so long before that call that the switch must have heard of it: then, and
/// where nobody knows that tariff, the one that was in force when the call began.
pub(crate) fn is_priced_by_its_issuer(desk: &Desk<'_>, card: &CardRow, call: &CallTariff) -> Result<bool, Failure> {
    if desk.shared.broken.has(Break::PriceNotCompared) {
        return Ok(true);
    }
    let (issuer, unit) = (card.issuer, card.unit);
    let heard = desk.terms(card.terms)?.list_age;
    let named = match desk.store.tariff_named(issuer, unit, &call.tariff)? {
        Some(named) => {
            let replaced: Option<Time> = desk.store.tariff_replaced(&named)?;
            replaced.is_none_or(|since| call.at <= since.after(heard)).then_some(named)
        }
        None => None,
    };
    let counts = match named {
        Some(named) => Some(named),
        None => desk.store.tariff_at(issuer, unit, call.at)?,
    };
    let Some(counts) = counts else {
        return Ok(false);
    };
    let signed = Signed::<Tariff>::decode(&counts.body).map_err(|_| StoreError::Damaged)?;
    Ok(signed.claimed().prices(call))
}

/// Gives a new switch the tariffs of every issuer.
pub(crate) fn equip(desk: &mut Desk<'_>, switch: DeviceId) -> Result<(), Failure> {
    for body in desk.store.tariffs()? {
        let tariff = Some(Signed::<Tariff>::decode(&body).map_err(|_| StoreError::Damaged)?);
        desk.command(switch, &Command { tariff, ..Command::new(CommandKind::Tariff) })?;
    }
    Ok(())
}
