//! What calls cost: the issuers' tariffs, and the switches that learn them.

use crate::cards::{done, in_role};
use crate::desk::{Desk, Failure};
use tegata_core::DeviceId;
use tegata_core::charging::Tariff;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_store::{StoreError, TariffRow};

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
    })?;
    for switch in in_role(desk, Role::Switch)? {
        let command = Command { tariff: Some(signed.clone()), ..Command::new(CommandKind::Tariff) };
        desk.command(switch, &command)?;
    }
    Ok(done(desk, &request.hash(), request.at))
}

/// Gives a new switch the tariffs of every issuer.
pub(crate) fn equip(desk: &mut Desk<'_>, switch: DeviceId) -> Result<(), Failure> {
    for body in desk.store.tariffs()? {
        let tariff = Some(Signed::<Tariff>::decode(&body).map_err(|_| StoreError::Damaged)?);
        desk.command(switch, &Command { tariff, ..Command::new(CommandKind::Tariff) })?;
    }
    Ok(())
}
