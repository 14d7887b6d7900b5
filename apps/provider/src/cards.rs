//! Cards on the issuer's side: the key of its numbers, batches ordered, numbers activated (R18).

use crate::buy;
use crate::desk::{Desk, Failure};
use crate::directory::Learned;
use crate::install::{sales_go_on, waits_to_sell};
use crate::prepare::may_sell;
use std::collections::BTreeSet;
use tegata_core::card::{CardKind, Terms};
use tegata_core::talk::cards::{Activate, Done, NumberKey, Order};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, DeviceId, Hash, IssuerId, Time};
use tegata_ledger::{Account, Kind};
use tegata_store::{ActivationRow, BatchRow, Cause};

pub(crate) fn done(desk: &Desk<'_>, request: &Hash, at: Time) -> Vec<u8> {
    desk.answer(request, |signer| Done { at, signer, extensions: Default::default() })
}

/// Keeps the key under which an issuer hashes its numbers; once for all.
pub(crate) fn number_key(desk: &mut Desk<'_>, request: &Verified<NumberKey>) -> Result<Vec<u8>, Failure> {
    let secret: [u8; 32] = request.key.0.as_slice().try_into().map_err(|_| ProviderRefusal::Malformed)?;
    match desk.store.number_key(request.issuer)? {
        Some((stored, at)) if stored == secret => Ok(done(desk, &request.hash(), at)),
        Some(_) => Err(ProviderRefusal::Repeated.into()),
        None => {
            desk.store.put_number_key(request.issuer, &secret, desk.now, &request.signed().encode())?;
            Ok(done(desk, &request.hash(), desk.now))
        }
    }
}

/// Records an ordered batch: printed numbers, worth nothing (R10).
pub(crate) fn order(desk: &mut Desk<'_>, request: &Verified<Order>) -> Result<Vec<u8>, Failure> {
    if let Some(stored) = desk.store.batch(request.issuer, request.batch)? {
        let order = desk.store.order(request.issuer, request.batch)?.unwrap_or_default();
        let same = Signed::<Order>::decode(&order).is_ok_and(|order| order.hash(&[]) == request.hash());
        return if same { Ok(done(desk, &request.hash(), stored.at)) } else { Err(ProviderRefusal::Repeated.into()) };
    }
    let terms = &request.terms;
    let fits = terms.issuer == request.issuer
        && terms.unit == request.face.unit()
        && !request.face.is_zero()
        && request.face.minor() <= terms.max_balance
        && terms.max_balance <= Amount::MAX
        && request.until > desk.now;
    if !fits || desk.store.number_key(request.issuer)?.is_none() {
        return Err(ProviderRefusal::Terms.into());
    }
    let different: BTreeSet<&Hash> = request.numbers.iter().collect();
    if different.len() != request.numbers.len() || different.is_empty() || desk.store.knows_number(&request.numbers)? {
        return Err(ProviderRefusal::Repeated.into());
    }
    let row = BatchRow {
        issuer: request.issuer,
        batch: request.batch,
        terms: terms.handle(),
        unit: terms.unit,
        face: request.face.minor(),
        count: request.numbers.len() as u64,
        until: request.until,
        at: desk.now,
    };
    // Who is restored from a backup may have sold the last one, or that seat, already. What was ordered before that is taken in again, and
    // before anything is sold: its numbers may be out, and its seats are theirs (R15).
    let again = terms.ticket.is_some() && waits_to_sell(desk)?;
    if again && request.at >= desk.provider.epoch_began {
        sales_go_on(desk)?;
    }
    let counter = buy::counter(desk, request, again)?;
    desk.store.put_batch(&row, &request.signed().encode(), &request.numbers)?;
    match counter {
        Some(counter) => counter.take(desk, request)?,
        None => equip(desk, row.issuer, terms)?,
    }
    Ok(done(desk, &request.hash(), desk.now))
}

/// Keeps terms; whether they are new.
pub(crate) fn keep_terms(desk: &mut Desk<'_>, issuer: IssuerId, terms: &Terms) -> Result<bool, Failure> {
    let new = desk.store.put_terms(terms.handle(), issuer, &terms.to_bytes())?;
    if new {
        desk.learned.push(Learned::Terms(terms.handle(), Box::new(terms.clone())));
    }
    Ok(new)
}

/// New terms: every terminal, or switch, learns what it may accept.
pub(crate) fn equip(desk: &mut Desk<'_>, issuer: IssuerId, terms: &Terms) -> Result<(), Failure> {
    if keep_terms(desk, issuer, terms)? {
        let role = if terms.kind == CardKind::Telephone { Role::Switch } else { Role::Terminal };
        for device in in_role(desk, role)? {
            let command = Command { terms: Some(terms.clone()), ..Command::new(CommandKind::Terms) };
            desk.command(device, &command)?;
        }
    }
    Ok(())
}

/// All devices in a role, also those that join with this batch.
pub(crate) fn in_role(desk: &Desk<'_>, role: Role) -> Result<Vec<DeviceId>, Failure> {
    let mut devices = desk.store.devices_in_role(role)?;
    let joined_now = desk.devices.keys().copied().filter(|id| {
        desk.learned.iter().any(|learned| {
            matches!(learned, Learned::Participant(subject, known)
                if subject.device() == *id && known.role == role)
        })
    });
    devices.extend(joined_now.collect::<Vec<_>>());
    Ok(devices)
}

/// Numbers become value, online.
pub(crate) fn activate(desk: &mut Desk<'_>, request: &Verified<Activate>) -> Result<Vec<u8>, Failure> {
    let seller = request.till.map_or(request.issuer.into(), Subject::from);
    if !desk.known(seller).is_some_and(|known| may_sell(&known, request)) {
        return Err(ProviderRefusal::NotAllowed.into());
    }
    let at = activated(desk, request)?;
    Ok(done(desk, &request.hash(), at))
}

/// Records an activation, once; says when that was.
pub(crate) fn activated(desk: &mut Desk<'_>, slip: &Verified<Activate>) -> Result<Time, Failure> {
    if let Some(at) = desk.store.activation(slip.issuer, slip.batch, &slip.hash())? {
        return Ok(at);
    }
    let batch = desk.store.batch(slip.issuer, slip.batch)?.ok_or(ProviderRefusal::Unknown)?;
    if slip.first == 0 || slip.first > slip.last || slip.last > batch.count {
        return Err(ProviderRefusal::Unknown.into());
    }
    let row = ActivationRow {
        issuer: slip.issuer,
        batch: slip.batch,
        hash: slip.hash(),
        first: slip.first,
        last: slip.last,
        activated: 0,
        at: desk.now,
        body: slip.signed().encode(),
    };
    let count = desk.store.activate(&row)?;
    let amount = count.checked_mul(batch.face).ok_or(ProviderRefusal::Terms)?;
    let account = |kind| Account::new(slip.issuer, batch.unit, kind);
    let key = (slip.issuer.0, Cause::Activated, slip.hash());
    desk.books.post(desk.store, key, account(Kind::Issued), account(Kind::Waiting), amount)?;
    Ok(desk.now)
}
