//! What tickets have shown, as gates and wallets say it: recorded once, compared with what the same ticket has shown before.

use super::setup::kill;
use crate::desk::{Desk, Failure};
use crate::directory::Known;
use crate::give;
use crate::shared::Shared;
use crate::update::{Source, block, exception};
use tegata_core::card::ticket::{GATE_TOLERANCE, TicketTerms};
use tegata_core::step::Break;
use tegata_core::talk::enter::{
    Admission, Admitted, Direction, EnterRefusal, Gateway, Presentation, Told, Window, earlier, twice,
};
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::signed::Verifier;
use tegata_core::{DeviceId, EventId};
use tegata_store::{AdmissionRow, ExceptionKind, ExceptionRow, HandedState, StoreError};

/// What an entry proves that was shown: the ticket's signature holds, and the gate's.
#[derive(Debug)]
pub(crate) struct Seen {
    event: EventId,
    row: AdmissionRow,
    /// How the ticket was given on before it was shown.
    title: Option<give::Title>,
}

/// Proves an entry of a gate's log, or of a wallet's that says what a gate answered.
pub(crate) fn prove(
    shared: &Shared,
    by: &dyn Verifier,
    (device, known): (DeviceId, &Known),
    entry: LogEntry,
) -> Option<Seen> {
    let by_gate = known.role == Role::Gate;
    let gate = if by_gate { device } else { entry.terminal? };
    let (card, generation) = (entry.card?, entry.generation?);
    let gate_key = {
        let directory = shared.directory();
        directory.participants.get(&Subject::from(gate)).filter(|known| known.role == Role::Gate)?.key
    };
    let shown = entry.shown?;
    let said = shown.certificate.claimed();
    ((said.card, shown.generation()) == (card, generation)).then_some(())?;
    let (card_key, title) = match shown.hops() {
        [] => (*shared.directory().card_keys.get(&(card, generation))?, None),
        hops => {
            let (title, holder) = give::prove(shared, by, card, said.generation, hops)?;
            (holder.key, Some(title))
        }
    };
    let (hash, (of_entry, people)) = (shown.hash(gate)?, shown.entry()?);
    let (mut attempt, mut before) = (0, Vec::new());
    if let (Some(presentation), Some(session)) = (&shown.presentation, shown.session) {
        let (event, zone, direction) = (shown.event, shown.zone, shown.direction);
        let at = Gateway { session, gate, event, zone, direction };
        presentation.clone().verify(&card_key, &Presentation::context(card, generation, &at), by).ok()?;
        (attempt, before) = (presentation.claimed().attempt, earlier(presentation.claimed()).to_vec());
    } else {
        let window = shown.window.as_ref()?;
        (shown.direction == Direction::In).then_some(())?;
        let context = Window::context(card, generation, shown.event, shown.zone);
        window.clone().verify(&card_key, &context, by).ok()?;
    }
    let word = match shown.admission {
        Some(word) => Some(word.verify(&gate_key, &Admission::context(&hash), by).ok()?),
        // To a window a gate says nothing; its log does.
        None => (by_gate && shown.window.is_some()).then_some(None)?,
    };
    let done = match (entry.kind, shown.direction) {
        (EntryKind::Admitted, Direction::In) => Admitted::In,
        (EntryKind::Left, Direction::Out) => Admitted::Out,
        (EntryKind::TurnedAway, _) => Admitted::Refused,
        (EntryKind::Presented, _) => word.as_ref()?.done,
        _ => return None,
    };
    (word.as_ref().is_none_or(|word| word.done == done)).then_some(())?;
    let row = AdmissionRow {
        card,
        zone: shown.zone,
        entry: of_entry,
        direction: shown.direction,
        shown: hash,
        generation,
        gate,
        number: entry.transaction,
        at: word.as_ref().map_or(entry.at, |word| word.at),
        people,
        done,
        window: shown.window.is_some(),
        attempt,
        earlier: before,
        by_gate,
        by_wallet: !by_gate,
        holder: card_key.to_bytes(),
    };
    Some(Seen { event: shown.event, row, title })
}

/// Records it and compares it with what the same ticket has shown for the same entry.
pub(crate) fn seen(desk: &mut Desk<'_>, source: &Source, seen: &Seen) -> Result<(), Failure> {
    let row = &seen.row;
    let Some(ticket) = desk.store.ticket(row.card)?.filter(|ticket| ticket.event == seen.event) else {
        return crate::update::malformed(desk, source);
    };
    if let Some(title) = &seen.title {
        give::tell(desk, source, title)?;
    }
    let others = desk.store.admissions_of(row.card, row.zone, row.entry, row.direction)?;
    let known = others.iter().any(|other| other.shown == row.shown);
    desk.store.put_admission(row)?;
    if known {
        // One code before two cameras at once: both opened, and neither had heard of the other (R21).
        let twice = |other: &&AdmissionRow| other.shown == row.shown && other.gate != row.gate && other.by_gate;
        let opened = row.window && row.by_gate && row.done == Admitted::In;
        if let Some(other) = others.iter().find(twice).filter(|_| opened) {
            except(desk, source, row, Some(other), ExceptionKind::CameTwice)?;
        }
        return Ok(());
    }
    let mut convicted = false;
    // Of two to whom one generation was given neither has shown it twice: its giver has cheated, and is named already. The one whose
    // hand-over does not count holds nothing that could be blocked.
    let recorded = desk.store.generation(row.card, row.generation)?;
    let counts = recorded.is_none_or(|recorded| recorded.key.to_bytes() == row.holder);
    for other in others.iter().filter(|other| counts && is_same_holder(row, other)) {
        let differs = !row.window && !other.window && twice(told(row), told(other));
        if differs && !convicted && !desk.shared.broken.has(Break::ForkIgnored) {
            convict(desk, source, row, other)?;
            convicted = true;
        }
    }
    let came = |one: &AdmissionRow| one.done == Admitted::In;
    if !came(row) {
        return Ok(());
    }
    // A gate that had stored it and not opened says it twice, and opened once (R20). One that had seen a window opened for whoever
    // showed that, and again for whoever answered (R21).
    let again = |other: &&AdmissionRow| came(other) && (other.gate != row.gate || other.window != row.window);
    let before = others.iter().find(|other| came(other));
    let after_given = give::came_after(desk, source, row)?;
    if let (Some(other), false) = (others.iter().find(again), convicted || after_given) {
        // Who gave it on came in with it, too, and that is said already.
        let told = desk.store.has_exception(ExceptionKind::UsedAfterGiven, row.card, &other.shown)?;
        if !told {
            except(desk, source, row, Some(other), ExceptionKind::CameTwice)?;
        }
    }
    let card = desk.known_card(row.card)?.clone();
    let terms = desk.terms(card.terms)?;
    let beyond = match &terms.ticket {
        Some(terms) => before.is_none() && is_beyond(desk, terms, row)?,
        None => return Err(StoreError::Damaged.into()),
    };
    let dead = ticket.dead >= row.generation && !convicted && !before_it_was_given(desk, row)?;
    // Blocked by then, and the gate had not heard of it.
    let blocked = !convicted
        && row.generation <= card.dead_generation
        && card.blocked.is_some_and(|at| row.at > at.after(GATE_TOLERANCE));
    if !after_given && (beyond || dead || blocked) {
        except(desk, source, row, None, ExceptionKind::BeyondTerms)?;
    }
    Ok(())
}

/// Whether this entry was used before its generation was given on, or by who held it until it came back.
fn before_it_was_given(desk: &Desk<'_>, row: &AdmissionRow) -> Result<bool, Failure> {
    if desk.store.handed(row.card, row.generation)?.is_some_and(|given| row.entry <= given.used) {
        return Ok(true);
    }
    let held = desk.store.handed(row.card, row.generation.saturating_sub(1))?;
    Ok(held.is_some_and(|held| held.state == HandedState::Back && row.at < held.until))
}

/// Whether one key has signed both, so that one person has shown them.
fn is_same_holder(row: &AdmissionRow, other: &AdmissionRow) -> bool {
    (row.generation, &row.holder) == (other.generation, &other.holder)
}

fn told(row: &AdmissionRow) -> Told<'_> {
    Told { hash: &row.shown, attempt: row.attempt, earlier: &row.earlier }
}

/// Whether this ticket has now come in more often than its terms say, all gates together.
fn is_beyond(desk: &Desk<'_>, terms: &TicketTerms, row: &AdmissionRow) -> Result<bool, Failure> {
    let all = desk.store.admissions_by(row.card)?;
    let mut entries: Vec<u64> = Vec::new();
    for one in all.iter().filter(|one| one.zone == row.zone && one.done == Admitted::In) {
        if terms.day(one.at) == terms.day(row.at) && !entries.contains(&one.entry) {
            entries.push(one.entry);
        }
    }
    let today = entries.len() as u64;
    Ok(row.entry > terms.entries || terms.a_day.is_some_and(|most| today > most) || (!terms.reentry && today > 1))
}

/// The holder has shown one ticket from two wallets: it is blocked, and dead at the gates from their next update on (R9, R20).
fn convict(desk: &mut Desk<'_>, source: &Source, row: &AdmissionRow, other: &AdmissionRow) -> Result<(), Failure> {
    except(desk, source, row, Some(other), ExceptionKind::Cloned)?;
    let generation = last_by_this_key(desk, row)?;
    block(desk, row.card, generation)?;
    kill(desk, row.card, generation, EnterRefusal::Blocked)
}

/// The generation up to which whoever has shown this holds the ticket: a wallet that was put back got a new one under the same key (R14).
/// One under another's key stands (R9).
fn last_by_this_key(desk: &mut Desk<'_>, row: &AdmissionRow) -> Result<u64, Failure> {
    let card = desk.known_card(row.card)?.clone();
    let current = desk.store.generation(row.card, card.generation)?;
    let same = current.is_some_and(|current| current.key.to_bytes() == row.holder);
    Ok(if same { row.generation.max(card.generation) } else { row.generation })
}

/// Shows it to a person, with both records.
fn except(
    desk: &mut Desk<'_>,
    source: &Source,
    row: &AdmissionRow,
    other: Option<&AdmissionRow>,
    kind: ExceptionKind,
) -> Result<(), Failure> {
    if desk.store.has_exception(kind, row.card, &row.shown)? {
        return Ok(());
    }
    let card = desk.known_card(row.card)?.clone();
    let bearer = if kind == ExceptionKind::Cloned { "holder" } else { "issuer" };
    let record = match other {
        Some(other) if other.by_gate => desk.store.entry(other.gate, other.number)?,
        _ => None,
    };
    let mut exception = ExceptionRow {
        device: Some(row.gate),
        issuer: Some(card.issuer),
        card: Some(row.card),
        generation: Some(row.generation),
        seq: Some(row.entry),
        check: Some(row.shown),
        amount: None,
        wallet_record: record,
        terminal_record: Some(source.bytes.clone()),
        ..exception(desk, source, kind, bearer)
    };
    if exception.wallet_record.is_none() {
        exception.wallet_record = other.map(|other| other.shown.0.to_vec());
    }
    Ok(desk.except(&exception)?)
}
