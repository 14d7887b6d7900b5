//! How an update fits what is recorded here (R14, R15), and whether its device sends it now.

use super::restart::first_list;
use super::standing::Standing;
use crate::desk::{Desk, Failure};
use tegata_core::Hash;
use tegata_core::step::Break;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Challenge, UpdateRequest};
use tegata_store::DeviceRow;

/// How a request fits what is recorded.
#[derive(Clone, Copy)]
pub(super) enum Fit {
    /// Entries from this index of the request on are new.
    Continues(usize),
    /// The device is behind itself (R14).
    Behind,
    /// The device is ahead of us (R15).
    Ahead,
}

/// Looks how this request fits.
pub(super) fn fit(desk: &Desk<'_>, row: &DeviceRow, request: &UpdateRequest) -> Result<Fit, Failure> {
    // Whoever heard an epoch in which we never spoke to it heard it before a backup was put back here.
    if request.acknowledged > row.recorded || request.commands > row.commands || request.epoch > row.epoch {
        return ahead(desk, request);
    }
    let forgotten = is_forgotten(desk, request.list)?;
    if forgotten {
        // The answer says again which list the device holds, also to one that is behind: what we have not told it must not become our
        // word, with which it would be ahead the next time.
        ahead(desk, request)?;
    }
    // The turn that was answered last comes again where the answer was lost, perhaps with more entries; an earlier one
    // only from a device that forgot the answer.
    if request.turn.saturating_add(1) < row.turns {
        return Ok(Fit::Behind);
    }
    let overlap = usize::try_from(row.recorded - request.acknowledged).unwrap_or(usize::MAX);
    let Some(known) = request.entries.get(..overlap) else {
        return Ok(Fit::Behind);
    };
    let head = known.iter().fold(request.acknowledged_head, |head, entry| head.chain(&entry.0));
    let commands = match request.commands == row.commands {
        true => Some(row.commands_head),
        false => desk.store.commands_head(row.device, request.commands)?,
    };
    let last = request.acknowledged.saturating_add(request.entries.len() as u64);
    let same = head == row.head && commands == Some(request.commands_head) && request.commands >= row.confirmed;
    if !same || request.number < last {
        return Ok(Fit::Behind);
    }
    Ok(if forgotten { Fit::Ahead } else { Fit::Continues(overlap) })
}

/// A device is ahead that was told so by us. What follows from it closes sales and installs for everybody: its own word does not do.
fn ahead(desk: &Desk<'_>, request: &UpdateRequest) -> Result<Fit, Failure> {
    let believed = desk.shared.broken.has(Break::StandingBelieved);
    if believed || Standing::said(request).is_told(desk, request.standing) {
        Ok(Fit::Ahead)
    } else {
        Err(ProviderRefusal::Malformed.into())
    }
}

/// Whether the device holds a revocation list of this epoch that is not in our records: they are those of a backup, and what was blocked
/// since is forgotten. What it says to have known must not be taken for a list of now (R16).
fn is_forgotten(desk: &Desk<'_>, list: u64) -> Result<bool, Failure> {
    if list == 0 || list < first_list(desk.provider.epoch) || desk.shared.broken.has(Break::EpochKept) {
        return Ok(false);
    }
    Ok(!desk.store.has_list(list)?)
}

/// The answer to a request that does not go on from here, as long as nobody knows that its device sends it now: an old
/// request, delayed or brought again by a carrier, looks like a device gone back. What follows from that - new
/// generations, dead numbers - is done only when the device has signed the request again with this challenge. So it is
/// with the last one of a revoked device, which is not heard again: an old one that a carrier brings late must not be it,
/// or what the device did between that and its block is lost (R16).
pub(super) fn doubt(
    desk: &Desk<'_>,
    row: &DeviceRow,
    (fit, last): (Fit, bool),
    request: &UpdateRequest,
    hash: &Hash,
) -> Option<Vec<u8>> {
    let broken = desk.shared.broken;
    if matches!(fit, Fit::Continues(_)) && !last || matches!(fit, Fit::Behind if broken.has(Break::RollbackIgnored)) {
        return None;
    }
    let challenge = challenge(desk, row);
    let believed = broken.has(Break::ReplayBelieved) || request.challenge == Some(challenge);
    // One that went back behind a new key hears of that key only by the answer to what it signs now.
    (!believed).then(|| {
        desk.answer_known(hash, |signer| Challenge {
            device: row.device,
            challenge,
            signer,
            extensions: Default::default(),
        })
    })
}

/// Names the last answer to this device, which no request signed before can know, and the epoch: a backup put back has
/// older answers again. The next answer ends it, whichever request that is for.
fn challenge(desk: &Desk<'_>, row: &DeviceRow) -> Hash {
    let last = row.answered.as_ref().map_or(Hash::ZERO, |(_, answer)| Hash::of(answer));
    last.chain(&desk.provider.epoch.to_be_bytes())
}
