//! The provider's side of the update: the log recorded and judged, the answer signed, in one transaction (R13-R16).

mod call;
mod chain;
mod fit;
pub(crate) mod money;
pub(crate) mod record;
mod restart;
mod standing;
mod terminal;
mod wallet;

use crate::buy;
use crate::credit;
use crate::desk::{Desk, Failure};
use crate::directory::{Known, Learned};
use crate::enter;
use crate::give;
use crate::join::decoded_keys;
use crate::reach;
pub(crate) use chain::{block, record_of};
use fit::{Fit, doubt, fit};
use record::{Record, Upload};
pub(crate) use restart::begin_epoch;
use standing::Standing;
use tegata_core::card::CardCertificate;
use tegata_core::step::Break;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind, Restart, UpdateReply, UpdateRequest};
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::certificate::{Certificate, Role, Subject};
use tegata_core::wire::signed::Signed;
use tegata_core::{DeviceId, Time};
use tegata_store::{DeviceRow, ExceptionKind, ExceptionRow, StoreError, UploadRow};

/// How many commands one answer carries at most, but for one that tells of keys.
const COMMANDS: u64 = 500;
/// Terminals update daily, if nothing says otherwise; in seconds.
const TERMINAL_DUE: u64 = Time::DAY;
/// A certificate is renewed this long before its end.
const RENEWAL: u64 = 180 * Time::DAY;

/// Where the entry at hand comes from.
pub(crate) struct Source {
    pub(crate) device: DeviceId,
    pub(crate) known: Known,
    /// Its number in the log.
    pub(crate) number: u64,
    /// Its exact bytes.
    pub(crate) bytes: Vec<u8>,
    /// The acknowledged update before it was written, whatever was acknowledged since (R11, R16).
    pub(crate) before: Time,
    /// The revocation list that the device held for certain when it wrote the entry.
    pub(crate) list: u64,
}

/// Answers an update.
pub(crate) fn update(desk: &mut Desk<'_>, upload: &Upload) -> Result<Vec<u8>, Failure> {
    let row = desk.device(upload.device)?.clone();
    if let Some((hash, reply)) = &row.answered
        && *hash == upload.request.hash()
    {
        return Ok(reply.clone());
    }
    let last = revoked(desk, upload, &row)?;
    let fit = fit(desk, &row, &upload.request)?;
    if let Some(challenge) = doubt(desk, &row, (fit, last), &upload.request, &upload.request.hash()) {
        return Ok(challenge);
    }
    // From here on the log is being written: what cannot be carried through undoes the whole transaction.
    let written = recorded(desk, upload, &row, fit);
    written.map_err(|failure| Failure::Provider(failure.into_error()))
}

/// Records, judges, commands and answers, all or nothing.
fn recorded(desk: &mut Desk<'_>, upload: &Upload, row: &DeviceRow, fit: Fit) -> Result<Vec<u8>, Failure> {
    let turns = row.turns.max(upload.request.turn.saturating_add(1));
    desk.device(upload.device)?.turns = turns;
    let restart = match fit {
        Fit::Continues(first) => {
            record(desk, upload, row, first)?;
            None
        }
        Fit::Behind if desk.shared.broken.has(Break::RollbackIgnored) => {
            unnoticed(desk, upload)?;
            None
        }
        Fit::Behind => Some(restart::behind(desk, upload)?),
        Fit::Ahead => Some(restart::ahead(desk, upload)?),
    };
    commands_due(desk, upload, restart.is_some())?;
    reply(desk, upload, row, restart)
}

/// A revoked device is heard once more: what it did before the block, by its place in the log, counts (R16). Says whether this is
/// that last time.
fn revoked(desk: &Desk<'_>, upload: &Upload, row: &DeviceRow) -> Result<bool, Failure> {
    let since = desk.known(upload.device.into()).and_then(|known| known.revoked);
    let refused = since.is_some_and(|since| desk.shared.broken.has(Break::JudgedAtArrival) || row.updated >= since);
    if refused { Err(ProviderRefusal::Revoked.into()) } else { Ok(since.is_some()) }
}

/// Records the new entries and judges each.
fn record(desk: &mut Desk<'_>, upload: &Upload, row: &DeviceRow, first: usize) -> Result<(), Failure> {
    let request = &*upload.request;
    let fresh = request.entries.get(first..).unwrap_or_default();
    if !fresh.is_empty() {
        desk.store.append(upload.device, row.recorded + 1, fresh)?;
        desk.store.put_upload(&evidence(desk, upload, row))?;
    }
    let mut ends = money::Ends::default();
    let mut head = row.head;
    for ((number, entry), record) in (row.recorded + 1..).zip(fresh).zip(upload.records.iter().skip(first)) {
        head = head.chain(&entry.0);
        let listed = if number > row.said { request.list } else { row.list };
        let source = Source {
            device: upload.device,
            known: upload.known.clone(),
            number,
            bytes: entry.0.clone(),
            before: before(row, number),
            list: listed,
        };
        judge(desk, &source, record.as_ref(), &mut ends)?;
    }
    ends.settle(desk)?;
    let device = desk.device(upload.device)?;
    device.recorded += fresh.len() as u64;
    device.head = head;
    device.said = row.said.max(request.number);
    device.waiting = match device.recorded {
        recorded if recorded >= device.said => None,
        recorded if recorded < row.said => Some(row.waiting.unwrap_or(row.updated)),
        _ => Some(row.updated),
    };
    device.confirmed = request.commands;
    device.confirmed_head = request.commands_head;
    Ok(())
}

/// The acknowledged update before the entry of this number was written. One that the device has said to have, and not
/// sent, is older than the updates that it stayed away from (R11).
fn before(row: &DeviceRow, number: u64) -> Time {
    row.waiting.filter(|_| number <= row.said).unwrap_or(row.updated)
}

/// What the auditor needs to verify what the device signed.
fn evidence(desk: &Desk<'_>, upload: &Upload, row: &DeviceRow) -> UploadRow {
    let request = &*upload.request;
    UploadRow {
        device: upload.device,
        first: request.acknowledged + 1,
        last: request.acknowledged + request.entries.len() as u64,
        at: desk.now,
        before: before(row, row.recorded + 1),
        request: UpdateRequest { entries: Vec::new(), ..request.clone() }.to_bytes(),
        signature: upload.signature,
    }
}

fn judge(desk: &mut Desk<'_>, source: &Source, record: Option<&Record>, ends: &mut money::Ends) -> Result<(), Failure> {
    let terminal = source.known.role == Role::Terminal;
    match record {
        Some(Record::Check(check)) if terminal => terminal::paid(desk, source, check, ends),
        Some(Record::Check(check)) => wallet::spent(desk, source, check, ends),
        Some(Record::Closed(charged)) => terminal::closed(desk, source, charged, ends),
        Some(Record::Voided(charged, void)) => terminal::voided(desk, source, charged, void),
        Some(Record::Cleared(receipt)) => match credit::receipted(desk, receipt)? {
            true => Ok(()),
            false => malformed(desk, source),
        },
        Some(Record::Called(called)) if source.known.role == Role::Switch => call::claimed(desk, source, called),
        Some(Record::Called(called)) => call::signed(desk, source, called),
        Some(Record::Receipted) => Ok(()),
        Some(Record::TookUp(event, raise, of, transaction)) => {
            wallet::took_up(desk, source, event, raise, (*of, *transaction))
        }
        Some(Record::Surrendered(event)) => wallet::surrendered(desk, source, event),
        Some(Record::Seen(seen)) => enter::seen(desk, source, seen),
        Some(Record::ByHand(signed, number)) => enter::by_hand(desk, source, (signed, *number)),
        Some(Record::Titled(title, proof)) => give::logged(desk, source, title, *proof),
        None => malformed(desk, source),
    }
}

/// An entry that proves nothing: kept, and shown to a person.
pub(crate) fn malformed(desk: &mut Desk<'_>, source: &Source) -> Result<(), Failure> {
    let row = exception(desk, source, ExceptionKind::Malformed, "nobody");
    Ok(desk.except(&row)?)
}

/// An exception about the entry at hand.
pub(crate) fn exception(desk: &Desk<'_>, source: &Source, kind: ExceptionKind, bearer: &'static str) -> ExceptionRow {
    let terminal = matches!(source.known.role, Role::Terminal | Role::Switch);
    ExceptionRow {
        number: 0,
        kind,
        at: desk.now,
        open: true,
        device: Some(source.device),
        merchant: source.known.owner.filter(|_| terminal),
        issuer: None,
        card: None,
        generation: None,
        seq: None,
        check: None,
        amount: None,
        bearer,
        wallet_record: (!terminal).then(|| source.bytes.clone()),
        terminal_record: terminal.then(|| source.bytes.clone()),
    }
}

/// Only for [`Break::RollbackIgnored`]: the log is taken as if it went on.
fn unnoticed(desk: &mut Desk<'_>, upload: &Upload) -> Result<(), Failure> {
    let request = &*upload.request;
    let head = request.entries.iter().fold(request.acknowledged_head, |head, entry| head.chain(&entry.0));
    let device = desk.device(upload.device)?;
    device.recorded = request.acknowledged + request.entries.len() as u64;
    device.head = head;
    device.confirmed = request.commands;
    device.confirmed_head = request.commands_head;
    Ok(())
}

/// Keys, renewal and released value, as commands.
fn commands_due(desk: &mut Desk<'_>, upload: &Upload, restarted: bool) -> Result<(), Failure> {
    let newest = desk.shared.keys().operational.last().map_or(0, |key| key.number);
    let keys = desk.device(upload.device)?.keys;
    if keys < newest {
        let command = Command { keys: Some(decoded_keys(desk)?), ..Command::new(CommandKind::Keys) };
        desk.command(upload.device, &command)?;
        desk.device(upload.device)?.keys = newest;
    }
    let known = desk.known(upload.device.into()).ok_or(StoreError::Damaged)?;
    let is_due = desk.now.after(RENEWAL) >= known.valid_until && desk.certified_until() > known.valid_until;
    if is_due && known.revoked.is_none() {
        renew(desk, upload.device)?;
    }
    reach::deliver(desk, upload.device)?;
    buy::tell(desk, upload.device)?;
    if known.role == Role::Gate {
        enter::due(desk, upload.device)?;
    }
    if known.role == Role::Wallet {
        // What comes back does not wait for a processor's line.
        give::overdue(desk)?;
        enter::told_late(desk, upload.device)?;
    }
    if known.role == Role::Wallet && !restarted {
        for card in desk.store.card_ids_of(upload.device)? {
            money::release(desk, card)?;
        }
    }
    Ok(())
}

fn renew(desk: &mut Desk<'_>, device: DeviceId) -> Result<(), Failure> {
    let subject = Subject::from(device);
    let mut row = desk.store.participant(subject)?.ok_or(StoreError::Damaged)?;
    let before = Signed::<Certificate>::decode(&row.body).map_err(|_| StoreError::Damaged)?;
    let (from, until, epoch) = (desk.now, desk.certified_until(), desk.provider.epoch);
    let body = before.claimed().clone();
    let renewed = desk.sign(&[], |signer| Certificate { from, until, epoch, signer, ..body });
    row.valid_until = until;
    row.body = renewed.encode();
    desk.store.put_participant(&row)?;
    desk.learned.push(Learned::Participant(subject, Known::from(&row)));
    desk.command(device, &Command { renewed: Some(renewed), ..Command::new(CommandKind::Renew) })?;
    Ok(())
}

/// The commands after this one that an answer carries: so many, and further to the last that tells of keys. A device reads neither the
/// answer nor what it brings where a key has signed that it has not heard of, and hears of none but by an answer.
fn page(desk: &mut Desk<'_>, device: DeviceId, confirmed: u64) -> Result<Vec<Vec<u8>>, Failure> {
    let mut commands = desk.store.commands_after(device, confirmed, COMMANDS)?;
    let last = confirmed.saturating_add(commands.len() as u64);
    if last < desk.device(device)?.commands {
        let mut rest = desk.store.commands_after(device, last, i64::MAX.cast_unsigned())?;
        let tells = |body: &Vec<u8>| Command::from_bytes(body).is_ok_and(|command| command.kind == CommandKind::Keys);
        rest.truncate(rest.iter().rposition(tells).map_or(0, |at| at + 1));
        commands.append(&mut rest);
    }
    Ok(commands)
}

/// Signs the answer and keeps it with the request's hash, so that a repeat gets the same bytes.
fn reply(
    desk: &mut Desk<'_>,
    upload: &Upload,
    before: &DeviceRow,
    restart: Option<Restart>,
) -> Result<Vec<u8>, Failure> {
    let request = &*upload.request;
    let (now, epoch) = (desk.now, desk.provider.epoch);
    let confirmed = restart.as_ref().map_or(request.commands, |restart| restart.commands);
    let commands = match confirmed == desk.device(upload.device)?.commands {
        true => Vec::new(),
        false => page(desk, upload.device, confirmed)?,
    };
    let list = desk.list_for(request.list)?;
    let (checkpoints, due) = match upload.known.role {
        Role::Wallet if restart.is_none() => checkpoints(desk, upload.device)?,
        _ => (Vec::new(), now.after(TERMINAL_DUE)),
    };
    let lateness = desk.shared.directory().lateness();
    let old = Time(now.0.saturating_sub(lateness));
    let archived = match before.recorded {
        0 => 0,
        _ => desk.store.arrived_before(upload.device, old)?,
    };
    // A revoked device that is told where to begin again has not been heard yet.
    let unheard = restart.is_some() && desk.known(upload.device.into()).is_some_and(|known| known.revoked.is_some());
    let row = desk.device(upload.device)?;
    // What it has said to have, and not brought yet, was written under the list of then (R16).
    if row.recorded >= row.said {
        row.list = request.list;
    }
    row.updated = if unheard { row.updated } else { now };
    row.epoch = epoch;
    let (recorded, recorded_head) = (row.recorded, row.head);
    let commands: Vec<Bytes> = commands.into_iter().map(Bytes).collect();
    let number = list.as_ref().map(|list| list.claimed().number);
    let standing = Standing::after(request, (epoch, (recorded, recorded_head)), restart.as_ref(), &commands, number);
    let standing = Some(standing.word(desk));
    let answer = desk.answer(&upload.request.hash(), |signer| UpdateReply {
        device: upload.device,
        epoch,
        recorded,
        recorded_head,
        archived: archived.min(before.recorded),
        commands,
        checkpoints,
        list,
        due,
        restart,
        at: now,
        signer,
        standing,
        extensions: Default::default(),
    });
    desk.device(upload.device)?.answered = Some((upload.request.hash(), answer.clone()));
    Ok(answer)
}

/// The wallet's cards with their checkpoints renewed (R6), and when the first of them is due.
fn checkpoints(desk: &mut Desk<'_>, wallet: DeviceId) -> Result<(Vec<Signed<CardCertificate>>, Time), Failure> {
    let mut due = desk.now.after(30 * Time::DAY);
    let mut renewed = Vec::new();
    for id in desk.store.card_ids_of(wallet)? {
        let card = desk.known_card(id)?.clone();
        let terms = desk.terms(card.terms)?;
        due = due.min(desk.now.after(terms.due_after));
        if card.blocked.is_some() || card.generation <= card.dead_generation || desk.now >= card.until {
            continue;
        }
        // Given, and nobody has it yet: nobody's checkpoint.
        if give::is_open(desk, &card)? {
            continue;
        }
        renewed.push(desk.certify(&card, &terms, desk.card_key(&card)?)?);
    }
    Ok((renewed, due))
}
