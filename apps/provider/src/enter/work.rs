//! Changes worked off in pieces: each is a transaction of its own, so that everybody else is served in between, and a provider
//! that dies goes on with the next one. What one transaction did is done once, whatever happens before the answer to the promoter.

use super::change::{failed, superseded_by, turn};
use crate::desk::{Desk, Failure};
use crate::install::reconciling;
use tegata_core::{CardId, Time};
use tegata_store::{ChangeRow, ChangeState, Store, StoreError};

/// How many tickets have their turn in one transaction: some tens of milliseconds.
const PIECE: u64 = 250;

/// What is to be done now.
#[derive(Debug)]
pub(crate) struct Piece {
    change: ChangeRow,
    cards: Vec<CardId>,
    /// They were found by walking through all tickets: the last of them is where the walk goes on.
    walked: bool,
}

/// The next piece; `None`: there is nothing to do at this moment.
pub(crate) fn next(store: &Store, now: Time) -> Result<Option<Piece>, StoreError> {
    let open = store.changes_open()?;
    for change in &open {
        if let Some(cursor) = change.cursor {
            let cards = store.tickets_under(change.before, cursor, PIECE)?;
            return Ok(Some(Piece { change: change.clone(), cards, walked: true }));
        }
        let mut cards = store.change_tickets(&change.change, ChangeState::Listed, PIECE)?;
        let asks = change.after.is_some() && now < change.answer_until && superseded_by(store, change)?.is_none();
        if cards.is_empty() && !asks {
            cards = store.change_tickets(&change.change, ChangeState::Told, PIECE)?;
        }
        // It is over when no ticket can come to it any more: not before every change that leads to its old terms is.
        let leads_here = |earlier: &ChangeRow| earlier.event == change.event && earlier.after == Some(change.before);
        let waits = asks || open.iter().any(leads_here);
        if !waits || !cards.is_empty() {
            return Ok(Some(Piece { change: change.clone(), cards, walked: false }));
        }
    }
    Ok(None)
}

impl Piece {
    /// Does it whole. `false`: it has to wait.
    pub(crate) fn work(&self, desk: &mut Desk<'_>) -> Result<bool, Failure> {
        if reconciling(desk)? {
            return Ok(false);
        }
        for card in &self.cards {
            turn(desk, &self.change, *card)?;
        }
        self.finish(desk)
    }
    /// Each ticket by itself, where they cannot all have their turn in one transaction.
    pub(crate) fn alone(&self) -> impl Iterator<Item = Self> {
        self.cards.iter().map(|card| Self { change: self.change.clone(), cards: vec![*card], walked: self.walked })
    }
    /// Puts down that this ticket's turn could not be done.
    pub(crate) fn give_up(&self, desk: &mut Desk<'_>) -> Result<bool, Failure> {
        for card in &self.cards {
            failed(desk, &self.change, *card)?;
        }
        self.finish(desk)
    }
    /// Where the walk goes on, or that it is over.
    fn finish(&self, desk: &mut Desk<'_>) -> Result<bool, Failure> {
        if !self.walked && !self.cards.is_empty() {
            return Ok(true);
        }
        match self.walked {
            true => desk.store.walk_change(&self.change.change, self.cards.last().copied())?,
            false => desk.store.end_change(&self.change.change, desk.now)?,
        }
        Ok(true)
    }
}
