//! A card's chain: two contents under one position, or numbers that do not follow, convict the holder (R1, R9).

use super::record::Event;
use super::{Source, call, exception};
use crate::desk::{Desk, Failure};
use tegata_core::CardId;
use tegata_core::card::EventKind;
use tegata_core::step::Break;
use tegata_core::talk::update::Command;
use tegata_core::wire::certificate::Role;
use tegata_store::{EventRow, ExceptionKind, ExceptionRow, StoreError};

/// What is known around an event.
pub(crate) struct Around {
    /// The same event, if it was recorded by the other side.
    pub(crate) same: Option<EventRow>,
}

/// Looks up the event and its neighbours, and convicts where they contradict.
pub(crate) fn look(desk: &mut Desk<'_>, source: &Source, event: &Event) -> Result<Around, Failure> {
    let (seq, tick) = (event.event.seq, event.event.tick.map_or(0, core::num::NonZero::get));
    let near = desk.store.events(event.card, event.generation, seq.saturating_sub(1), seq.saturating_add(1))?;
    let mut same = None;
    let mut other = None;
    let mut fits = true;
    for row in near {
        if row.seq == seq && (row.tick == tick || !call::goes_with(&row, event)) {
            if row.hash == event.hash {
                same = Some(row);
            } else {
                other = Some(row);
            }
        } else if row.seq == seq {
            // Another tick of the same session: the later one stands for it ([`call`]).
        } else if row.seq < seq && row.kind == EventKind::Session && row.wallet_entry.is_none() {
            // The last tick that its switch has: the wallet may have signed more.
        } else if row.seq > seq && event.session.is_some() && source.known.role == Role::Switch {
            // As above: what follows it follows the last tick that the wallet signed.
        } else if row.seq < seq {
            fits &= follows(row.remaining, event.event.event, event.event.amount, event.event.remaining);
        } else {
            fits &= follows(event.event.remaining, row.kind, row.amount, row.remaining);
        }
    }
    if same.is_none() {
        if let Some(other) = other.filter(|_| !desk.shared.broken.has(Break::ForkIgnored)) {
            convict(desk, source, event, ExceptionKind::Fork, Some(&other))?;
        } else if !fits {
            convict(desk, source, event, ExceptionKind::Altered, None)?;
        }
    }
    Ok(Around { same })
}

/// Whether an event that leaves `after` can follow one that left `before`.
pub(crate) fn follows(before: u64, kind: EventKind, amount: u64, after: u64) -> bool {
    match kind {
        EventKind::Spend | EventKind::Session => before.checked_sub(amount) == Some(after),
        EventKind::Load | EventKind::CreditBack | EventKind::Receive => before.checked_add(amount) == Some(after),
        EventKind::Surrender => (before, 0) == (amount, after),
        _ => true,
    }
}

/// The holder of this generation is convicted: the card is blocked, and dead from the next list on. What it spent is
/// still paid.
pub(crate) fn convict(
    desk: &mut Desk<'_>,
    source: &Source,
    event: &Event,
    kind: ExceptionKind,
    other: Option<&EventRow>,
) -> Result<(), Failure> {
    let card = desk.known_card(event.card)?.clone();
    if desk.store.has_exception(kind, event.card, &event.hash)? {
        return Ok(());
    }
    let mut row = ExceptionRow {
        issuer: Some(card.issuer),
        card: Some(event.card),
        generation: Some(event.generation),
        seq: Some(event.event.seq),
        check: Some(event.hash),
        amount: Some((card.unit, event.event.amount)),
        ..exception(desk, source, kind, "holder")
    };
    if let Some(other) = other {
        let record = record_of(desk, other)?;
        let free = if row.wallet_record.is_none() { &mut row.wallet_record } else { &mut row.terminal_record };
        *free = record;
    }
    desk.except(&row)?;
    block(desk, event.card, event.generation)
}

/// The entry that recorded an event, from the terminal's log or else the wallet's.
pub(crate) fn record_of(desk: &mut Desk<'_>, event: &EventRow) -> Result<Option<Vec<u8>>, Failure> {
    let wallet = desk.known_card(event.card)?.wallet;
    if let (Some(terminal), Some(number)) = (event.terminal, event.terminal_entry) {
        return Ok(desk.store.entry(terminal, number)?);
    }
    Ok(match event.wallet_entry {
        Some(number) => desk.store.entry(wallet, number)?,
        None => None,
    })
}

/// Blocks a card: on the next list, and by a command to its wallet.
pub(crate) fn block(desk: &mut Desk<'_>, card: CardId, generation: u64) -> Result<(), Failure> {
    desk.kill(card, generation)?;
    let now = desk.now;
    let row = desk.known_card(card)?;
    if generation < row.generation || row.blocked.is_some() {
        return Ok(());
    }
    row.blocked = Some(now);
    let wallet = row.wallet;
    if desk.store.device(wallet)?.is_none() {
        return Err(StoreError::Damaged.into());
    }
    Ok(desk.command(wallet, &Command::block(card, generation))?)
}
