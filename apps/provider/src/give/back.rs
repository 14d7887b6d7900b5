//! What nobody registered or took in time comes back to the wallet that had it last, by the provider alone (R12).

use super::register::arrived;
use super::title::next_generation;
use crate::desk::{Desk, Failure};
use crate::install::reconciling;
use tegata_core::card::CardKind;
use tegata_core::talk::update::Command;
use tegata_core::{CardId, DeviceId};
use tegata_store::{CardRow, HandedRow, HandedState, StoreError};

/// How many are looked at in one round.
const ROUND: u64 = 256;

/// Takes back what is due.
pub(crate) fn overdue(desk: &mut Desk<'_>) -> Result<(), Failure> {
    // What was registered since the backup is not known yet (R15).
    if reconciling(desk)? {
        return Ok(());
    }
    for row in desk.store.handed_due(desk.now, ROUND)? {
        let card = desk.known_card(row.card)?.clone();
        let current = row.generation.saturating_add(u64::from(!row.gift)) == card.generation;
        let state = if current { HandedState::Back } else { HandedState::Passed };
        let (id, home, used, gift) = (row.card, row.home, row.used, row.gift);
        desk.store.put_handed(&HandedRow { state, ..row })?;
        if !current || card.blocked.is_some() {
            continue;
        }
        // All that may have been given on meanwhile is behind it, also what nobody has told of.
        let terms = desk.terms(card.terms)?;
        let ahead = if gift { 0 } else { terms.handovers };
        let next = card.generation.saturating_add(ahead).saturating_add(1);
        // What went back with it, hop by hop.
        for generation in home..card.generation {
            if let Some(row) = desk.store.handed(id, generation)? {
                desk.store.put_handed(&HandedRow { state: HandedState::Back, ..row })?;
            }
        }
        let key = desk.store.generation(id, home)?.ok_or(StoreError::Damaged)?.key;
        let certificate = next_generation(desk, id, next, key, used)?;
        let command = desk.install_command(id, certificate, terms)?;
        desk.command(card.wallet, &command)?;
    }
    Ok(())
}

/// Whether a card was given and nobody has it yet: then its row names who gave it.
pub(crate) fn is_open(desk: &Desk<'_>, card: &CardRow) -> Result<bool, Failure> {
    if desk.terms(card.terms)?.kind != CardKind::Ticket {
        return Ok(false);
    }
    let open =
        |row: Option<HandedRow>, gift: bool| row.is_some_and(|row| row.state == HandedState::Open && row.gift == gift);
    let handed = open(desk.store.handed(card.card, card.generation.saturating_sub(1))?, false);
    Ok(handed || open(desk.store.handed(card.card, card.generation)?, true))
}

/// A wallet that was put back may have forgotten what it gave, and that it arrived: it is told again. Says which cards these are.
pub(crate) fn forgotten(desk: &mut Desk<'_>, wallet: DeviceId) -> Result<Vec<CardId>, Failure> {
    let mut gone = Vec::new();
    for (card, given) in desk.store.given_by(wallet)? {
        let row = desk.known_card(card)?.clone();
        if row.wallet != wallet || is_open(desk, &row)? {
            desk.command(wallet, &Command::block(card, given))?;
            gone.push(card);
        }
        // Nor does it know of what arrived since. When it was registered is written nowhere: not before it was heard of.
        let taken = desk.store.handed(card, given)?.and_then(|handed| Some((handed.taker?, handed)));
        let began = desk.store.generation(card, given.saturating_add(1))?;
        if let Some(((taker, handed), began)) = taken.zip(began) {
            arrived(desk, &handed, taker, began.at)?;
        }
    }
    Ok(gone)
}
