//! A device behind itself (R14), or ahead of us (R15).

use super::money;
use super::record::Upload;
use crate::books::Accounts;
use crate::desk::{Desk, Failure};
use crate::enter;
use crate::give;
use tegata_core::step::Break;
use tegata_core::talk::update::{Command, CommandKind, Restart};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Certificate, Role, Subject};
use tegata_core::wire::signed::Signed;
use tegata_core::{CardId, DeviceId, Hash};
use tegata_store::{GenerationRow, StoreError};

/// Lists are numbered from so many times the epoch on: those of before, which a backup has forgotten, and devices hold, have lower numbers.
const LISTS_AN_EPOCH: u64 = 1 << 32;

/// The device was restored from an older copy: its log and commands go on where ours stand, its own old numbers are
/// dead, a wallet's cards begin a new generation (R11, R14).
pub(crate) fn behind(desk: &mut Desk<'_>, upload: &Upload) -> Result<Restart, Failure> {
    let device = upload.device;
    let row = desk.device(device)?;
    let commands = (row.commands, row.commands_head);
    // What it has not sent comes under new numbers, and is not younger for that (R11).
    let unsent = upload.request.number.saturating_sub(upload.request.acknowledged);
    row.said = row.recorded.saturating_add(unsent);
    row.waiting = Some(row.waiting.unwrap_or(row.updated)).filter(|_| unsent > 0);
    let restart = here(desk, device, commands)?;
    if upload.known.role == Role::Wallet {
        let gone = give::forgotten(desk, device)?;
        for card in desk.store.cards_of(device)?.into_iter().filter(|card| !gone.contains(&card.card)) {
            regenerate(desk, card.card)?;
            enter::told_again(desk, card.card)?;
        }
    } else {
        for body in desk.store.all_terms()? {
            let terms = tegata_core::card::Terms::from_bytes(&body).map_err(|_| StoreError::Damaged)?;
            let command = Command { terms: Some(terms), ..Command::new(CommandKind::Terms) };
            desk.command(device, &command)?;
        }
    }
    desk.store.letters_again(device)?;
    certified(desk, device)?;
    Ok(restart)
}

/// The device may have forgotten that its certificate was renewed, and it is not renewed again before that one ends.
fn certified(desk: &mut Desk<'_>, device: DeviceId) -> Result<(), Failure> {
    let row = desk.store.participant(Subject::from(device))?.ok_or(StoreError::Damaged)?;
    let certificate = Signed::<Certificate>::decode(&row.body).map_err(|_| StoreError::Damaged)?;
    if certificate.claimed().from > row.joined {
        desk.command(device, &Command { renewed: Some(certificate), ..Command::new(CommandKind::Renew) })?;
    }
    Ok(())
}

/// Where the log of a device stands here; its commands go on after this one.
fn here(desk: &mut Desk<'_>, device: DeviceId, (commands, commands_head): (u64, Hash)) -> Result<Restart, Failure> {
    let next = desk.store.last_transaction(device)? + 1;
    let row = desk.device(device)?;
    row.keys = 0;
    row.next_transaction = row.next_transaction.max(next);
    row.confirmed = commands;
    row.confirmed_head = commands_head;
    Ok(Restart {
        number: row.recorded,
        head: row.head,
        commands,
        commands_head,
        next_transaction: row.next_transaction,
        turn: row.turns,
        extensions: Default::default(),
    })
}

/// This provider was restored from a backup: a new epoch begins, the device sends again what is missing here, and
/// commands that this copy does not know to be carried out are given again, whoever got them; each can be carried out
/// twice. What it commanded since it was restored is among them.
pub(crate) fn ahead(desk: &mut Desk<'_>, upload: &Upload) -> Result<Restart, Failure> {
    // In an epoch of its own, a restored provider meets devices of earlier ones. One that has heard this epoch, or a
    // later one, shows that we were restored again, and that its number was used before.
    if upload.request.epoch >= desk.provider.epoch {
        begin_epoch(desk, upload.request.epoch)?;
    }
    let row = desk.device(upload.device)?;
    let commands = (row.confirmed, row.confirmed_head);
    // What it sends again was written under a list that it held before this answer (R16); that it comes late is our doing.
    row.said = row.recorded.max(upload.request.number);
    row.waiting = None;
    here(desk, upload.device, commands)
}

/// Lists of this epoch are numbered from here on.
pub(super) fn first_list(epoch: u64) -> u64 {
    if epoch > 1 { epoch.saturating_mul(LISTS_AN_EPOCH) } else { 0 }
}

/// A new epoch: installs and loads wait until every device was heard, or L + U passed (R15).
pub(crate) fn begin_epoch(desk: &mut Desk<'_>, heard: u64) -> Result<(), Failure> {
    if desk.shared.broken.has(Break::EpochKept) {
        return Ok(());
    }
    let lateness = desk.shared.directory().lateness();
    desk.provider.epoch = desk.provider.epoch.max(heard) + 1;
    desk.provider.epoch_began = desk.now;
    // A device knows a newer list by its number; what it says to have held (R16) must not be taken for a list of now.
    desk.provider.list = desk.provider.list.max(first_list(desk.provider.epoch));
    desk.publish();
    desk.provider.reconciling_until = Some(desk.now.after(lateness));
    // Gates may wait for neighbours that have been forgotten here (R22); what is over stays so with them.
    Ok(desk.store.events_changed()?)
}

/// A new generation of a card: what is certain goes on it now, at most the offline limit is held back (R11).
pub(crate) fn regenerate(desk: &mut Desk<'_>, id: CardId) -> Result<(), Failure> {
    let before = desk.known_card(id)?.clone();
    if before.blocked.is_some() {
        // Its wallet may have forgotten the command.
        return Ok(desk.command(before.wallet, &Command::block(id, before.generation))?);
    }
    let key = desk.card_key(&before)?;
    desk.kill(id, before.generation)?;
    let terms = desk.terms(before.terms)?;
    desk.known_card(id)?.generation += 1;
    for event in desk.store.ended_before(id, before.generation + 1)? {
        money::hold_back(desk, &event)?;
    }
    let held = desk.books.balance(desk.store, Accounts::of(&before).held())?;
    let release = desk.now.after(terms.list_age.saturating_add(terms.record_age));
    let card = desk.known_card(id)?;
    card.seq = 0;
    card.head = Hash::ZERO;
    card.last_load = card.loads;
    card.held_back = held.min(terms.offline_limit.max(before.held_back));
    card.remaining = held - card.held_back;
    card.release_at = (card.held_back > 0).then_some(release);
    let card = card.clone();
    let certificate = desk.certify(&card, &terms, key)?;
    desk.store.put_generation(&GenerationRow {
        card: id,
        generation: card.generation,
        key,
        at: desk.now,
        number: None,
        body: certificate.encode(),
    })?;
    desk.learned.push(crate::directory::Learned::CardKey(id, card.generation, key));
    let held_back = (card.held_back > 0).then_some(card.held_back);
    let install = desk.install_command(id, certificate, terms)?;
    Ok(desk.command(card.wallet, &Command { held_back, release_at: card.release_at, ..install })?)
}
