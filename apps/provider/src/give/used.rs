//! A ticket that came in after it was given on, by its giver's copy (R12): the gate had heard of no title, and whoever received it
//! stands outside. The hand-over and the entry are signed by one key, each with its moment. These are two clocks, the wallet's and the gate's,
//! so that it convicts nobody by itself; a person sees both records. What came in before it was given is no offence: its holder may
//! never have heard the gate's answer.

use crate::desk::{Desk, Failure};
use crate::update::{Source, exception};
use tegata_core::CardId;
use tegata_core::card::ticket::GATE_TOLERANCE;
use tegata_core::card::title::Hop;
use tegata_core::talk::enter::Admitted;
use tegata_core::wire::canonical::Wire;
use tegata_store::{AdmissionRow, ExceptionKind, ExceptionRow, StoreError};

/// An entry is heard of: says whether its generation had been handed over by then.
pub(crate) fn came_after(desk: &mut Desk<'_>, source: &Source, row: &AdmissionRow) -> Result<bool, Failure> {
    compared(desk, source, row, &source.bytes)
}

/// Compares an entry with the hand-over; `told` stands for the entry where its gate has not brought it.
fn compared(desk: &mut Desk<'_>, source: &Source, row: &AdmissionRow, told: &[u8]) -> Result<bool, Failure> {
    let given = desk.store.handed(row.card, row.generation)?.filter(|given| !given.gift);
    let (Some(given), Some(held)) = (given, desk.store.generation(row.card, row.generation)?) else {
        return Ok(false);
    };
    let hop = Hop::from_bytes(&given.body).map_err(|_| StoreError::Damaged)?;
    let came = row.done == Admitted::In && row.entry > hop.used && row.at > hop.at.after(GATE_TOLERANCE);
    if !came || held.key.to_bytes() != row.holder {
        return Ok(false);
    }
    if desk.store.has_exception(ExceptionKind::UsedAfterGiven, row.card, &row.shown)? {
        return Ok(true);
    }
    let issuer = desk.known_card(row.card)?.issuer;
    let logged = if row.by_gate { desk.store.entry(row.gate, row.number)? } else { None };
    let found = ExceptionRow {
        device: Some(row.gate),
        issuer: Some(issuer),
        card: Some(row.card),
        generation: Some(row.generation),
        seq: Some(row.entry),
        check: Some(row.shown),
        wallet_record: Some(given.body),
        terminal_record: logged.or_else(|| Some(told.to_vec())),
        ..exception(desk, source, ExceptionKind::UsedAfterGiven, "holder")
    };
    desk.except(&found)?;
    Ok(true)
}

/// A hand-over is heard of: looks at what this generation has come in with, as far as gates have told.
pub(super) fn look_back(
    desk: &mut Desk<'_>,
    source: &Source,
    (card, generation): (CardId, u64),
) -> Result<(), Failure> {
    let all = desk.store.admissions_by(card)?;
    for row in all.iter().filter(|row| row.generation == generation) {
        compared(desk, source, row, &row.shown.0)?;
    }
    Ok(())
}
