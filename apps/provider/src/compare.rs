//! Compare (flow 13): checks that one side recorded and the other did not, within L + U, are shown to a person.

use crate::ProviderError;
use crate::desk::Desk;
use crate::update::record_of;
use tegata_core::Time;
use tegata_core::wire::certificate::Subject;
use tegata_store::{ExceptionKind, ExceptionRow};

/// Looks for what is missing; says how many exceptions are open.
pub(crate) fn compare(desk: &mut Desk<'_>) -> Result<u64, ProviderError> {
    let lateness = desk.shared.directory().lateness();
    let then = Time(desk.now.0.saturating_sub(lateness));
    for event in desk.store.one_sided(then)? {
        let card = desk.known_card(event.card)?.clone();
        let (kind, bearer) = match event.wallet_entry {
            Some(_) => (ExceptionKind::MissingTerminalRecord, "holder"),
            None => (ExceptionKind::MissingWalletRecord, "nobody"),
        };
        if desk.store.has_exception(kind, event.card, &event.reference())? {
            continue;
        }
        let merchant = event.terminal.and_then(|id| desk.known(Subject::from(id))).and_then(|known| known.owner);
        let record = record_of(desk, &event).map_err(crate::desk::Failure::into_error)?;
        let (wallet_record, terminal_record) = match event.wallet_entry {
            Some(_) => (record, None),
            None => (None, record),
        };
        desk.except(&ExceptionRow {
            number: 0,
            kind,
            at: desk.now,
            open: true,
            device: event.terminal,
            merchant,
            issuer: Some(card.issuer),
            card: Some(event.card),
            generation: Some(event.generation),
            seq: Some(event.seq),
            check: Some(event.reference()),
            amount: Some((card.unit, event.amount)),
            bearer,
            wallet_record,
            terminal_record,
        })?;
    }
    Ok(desk.store.open_exceptions()?)
}
