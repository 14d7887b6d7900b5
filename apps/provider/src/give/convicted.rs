//! Who of those that have held a card was convicted by it (R9): what convicts is about one generation, and a ticket goes from hand to
//! hand.

use crate::desk::{Desk, Failure};
use tegata_core::WalletId;
use tegata_store::CardRow;

/// Whether this wallet was convicted of what it did with the card.
pub(crate) fn is_convicted(desk: &Desk<'_>, card: &CardRow, wallet: WalletId) -> Result<bool, Failure> {
    for generation in desk.store.convicted(card.card)? {
        if held_by(desk, card, generation)? == Some(wallet) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The wallet that held a generation, as far as anybody has told. A card that is issued anew, or comes back, keeps its key.
fn held_by(desk: &Desk<'_>, card: &CardRow, generation: u64) -> Result<Option<WalletId>, Failure> {
    let Some(held) = desk.store.generation(card.card, generation)? else {
        return Ok(None);
    };
    let mut first = generation;
    for earlier in (0..generation).rev() {
        let row = desk.store.generation(card.card, earlier)?;
        first = if row.is_some_and(|row| row.key == held.key) { earlier } else { first };
    }
    if let Some(before) = first.checked_sub(1)
        && let Some(received) = desk.store.handed(card.card, before)?
    {
        return Ok(received.taker);
    }
    // Nobody gave it to its first holder, who is the first to give it.
    for later in first..=card.generation {
        if let Some(given) = desk.store.handed(card.card, later)? {
            return Ok(Some(given.giver));
        }
        if let Some(lost) = desk.store.anew(card.card, later)? {
            return Ok(Some(lost.lost));
        }
    }
    Ok(Some(card.wallet))
}
