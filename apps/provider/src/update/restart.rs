//! A device behind itself (R14), or ahead of us (R15).

use super::record::Upload;
use super::{chain, money};
use crate::books::Accounts;
use crate::desk::{Desk, Failure};
use tegata_core::step::Break;
use tegata_core::talk::update::{Command, CommandKind, Restart};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::Role;
use tegata_core::{CardId, DeviceId, Hash};
use tegata_store::{GenerationRow, StoreError};

/// The device was restored from an older copy: its log and commands go on where ours stand, its own old numbers are
/// dead, a wallet's cards begin a new generation (R11, R14).
pub(crate) fn behind(desk: &mut Desk<'_>, upload: &Upload) -> Result<Restart, Failure> {
    let device = upload.device;
    let restart = here(desk, device)?;
    if upload.known.role == Role::Wallet {
        for card in desk.store.cards_of(device)? {
            regenerate(desk, card.card)?;
        }
    } else {
        for body in desk.store.all_terms()? {
            let terms = tegata_core::card::Terms::from_bytes(&body).map_err(|_| StoreError::Damaged)?;
            let command = Command { terms: Some(terms), ..Command::new(CommandKind::Terms) };
            desk.command(device, &command)?;
        }
    }
    Ok(restart)
}

/// Where the log and the commands of a device stand here.
fn here(desk: &mut Desk<'_>, device: DeviceId) -> Result<Restart, Failure> {
    let next = desk.store.last_transaction(device)? + 1;
    let row = desk.device(device)?;
    row.keys = 0;
    row.next_transaction = row.next_transaction.max(next);
    row.confirmed = row.commands;
    row.confirmed_head = row.commands_head;
    row.said = row.recorded;
    Ok(Restart {
        number: row.recorded,
        head: row.head,
        commands: row.commands,
        commands_head: row.commands_head,
        next_transaction: row.next_transaction,
        extensions: Default::default(),
    })
}

/// This provider was restored from a backup: a new epoch begins, the device sends again what is missing here.
pub(crate) fn ahead(desk: &mut Desk<'_>, upload: &Upload) -> Result<Restart, Failure> {
    let row = desk.device(upload.device)?.clone();
    let epoch_of_request = upload.request.epoch;
    // Devices that were heard in an epoch that this copy never knew show as well that it is a copy.
    if row.epoch >= desk.provider.epoch || epoch_of_request > desk.provider.epoch {
        begin_epoch(desk, epoch_of_request);
    }
    here(desk, upload.device)
}

/// A new epoch: installs and loads wait until every device was heard, or L + U passed (R15).
pub(crate) fn begin_epoch(desk: &mut Desk<'_>, heard: u64) {
    if desk.shared.broken.has(Break::EpochKept) {
        return;
    }
    let lateness = desk.shared.directory().lateness();
    desk.provider.epoch = desk.provider.epoch.max(heard) + 1;
    desk.provider.epoch_began = desk.now;
    desk.provider.reconciling_until = Some(desk.now.after(lateness));
}

/// A new generation of a card: what is certain goes on it now, at most the offline limit is held back (R11).
pub(crate) fn regenerate(desk: &mut Desk<'_>, id: CardId) -> Result<(), Failure> {
    let before = desk.known_card(id)?.clone();
    if before.blocked.is_some() {
        return chain::block(desk, id, before.generation);
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
    let command = Command {
        card: Some(id),
        certificate: Some(certificate),
        terms: Some(terms),
        ..Command::new(CommandKind::Install)
    };
    Ok(desk.command(card.wallet, &command)?)
}
