//! What must never happen to what is done by hand, checked when all is quiet: from gates' logs, the promoter's word on who was of the
//! staff when, and the provider's rows (R22).

use crate::act::Staff;
use crate::template::EVENT;
use crate::town::Town;
use crate::venue::{GateAt, Venue};
use std::collections::BTreeMap;
use tegata_core::DeviceId;
use tegata_core::record::Space;
use tegata_core::talk::enter::{ByHand, Direction, Tally};
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::wire::canonical::Wire;
use tegata_crypto_native::NativeVerifier;
use tegata_store::{ExceptionKind, ExceptionRow, HandRow, StoreError};
use tegata_vault::Vault;

/// What a gate's log says was done by hand.
pub(super) struct Done {
    /// At which gate.
    pub gate: DeviceId,
    /// The entry's number.
    pub number: u64,
    /// What was said.
    pub said: ByHand,
    /// Whether its badge was good at that moment, by the promoter's word.
    pub counts: bool,
    /// Whether anybody has heard of it who is there still.
    pub is_told: bool,
    /// Whether the gate knows that the provider has it, or had all the time to bring it.
    is_brought: bool,
    bytes: Vec<u8>,
}

impl Town {
    pub(super) fn by_hands(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let (Some(venue), Some(staff)) = (&self.venue, &self.staff) else {
            return Ok(());
        };
        let store = self.center.store()?;
        let rows = store.by_hand(EVENT)?;
        let shown = store.exceptions(None, tegata_core::Time(0), tegata_core::Time(u64::MAX >> 1))?;
        let mut all = Vec::new();
        for gate in venue.gates.iter().filter(|gate| gate.tampered.is_none()) {
            let done = done_at(venue, gate, staff, wrong);
            for one in &done {
                is_recorded(one, &rows, &shown, wrong);
            }
            all.extend(done);
        }
        sums_agree(venue, staff, &all, wrong);
        for row in &rows {
            let of_honest = venue.gates.iter().any(|gate| gate.id == row.gate && gate.tampered.is_none());
            if of_honest && !all.iter().any(|one| one.counts && (one.gate, one.number) == (row.gate, row.number)) {
                wrong.push(format!(
                    "R22: {} people by member {} are recorded that no good badge has signed",
                    row.people, row.staff
                ));
            }
        }
        Ok(())
    }
    /// What good badges have signed at gates, and whether there is more that only some gates may have counted.
    pub(super) fn done_by_hand(&self) -> Vec<Done> {
        let (Some(venue), Some(staff)) = (&self.venue, &self.staff) else {
            return Vec::new();
        };
        let gates = venue.gates.iter().filter(|gate| gate.tampered.is_none());
        gates.flat_map(|gate| done_at(venue, gate, staff, &mut Vec::new())).collect()
    }
    /// Whether an exception is about what somebody signed whose badge was over, at a gate that had not heard of that.
    pub(super) fn was_let_go(&self, row: &ExceptionRow) -> bool {
        self.done_by_hand().iter().any(|one| !one.counts && names(row, one))
    }
}

fn names(row: &ExceptionRow, one: &Done) -> bool {
    row.device == Some(one.gate) && row.wallet_record.as_deref() == Some(&one.bytes)
}

/// What a gate's log says was done there by hand; each was signed by somebody with a badge.
fn done_at(venue: &Venue, gate: &GateAt, staff: &Staff, wrong: &mut Vec<String>) -> Vec<Done> {
    let found = gate.gate.device.vault.scan(Space::Log, &[], usize::MAX).unwrap_or_default();
    let mut all = Vec::new();
    for (bytes, entry) in found.iter().filter_map(|(_, bytes)| Some((bytes, LogEntry::from_bytes(bytes).ok()?))) {
        let (EntryKind::ByHand, Some(signed)) = (entry.kind, &entry.hand) else {
            continue;
        };
        let (number, said) = (entry.transaction, signed.claimed().clone());
        let hired = usize::try_from(said.staff).ok().and_then(|at| staff.hired.get(at.checked_sub(1)?));
        let context = ByHand::context(gate.id, number);
        let is_theirs = |key| signed.clone().verify(&key, &context, &NativeVerifier).is_ok();
        let Some(hired) = hired.filter(|hired| is_theirs(hired.badge.key().public())) else {
            wrong.push(format!("R22: gate at door {} has entry {number} by hand, which nobody has signed", gate.door));
            continue;
        };
        let counts = hired.until.is_none_or(|until| said.at < until);
        let (is_told, is_brought) = (venue.is_told(gate, number), gate.has_brought(number));
        all.push(Done { gate: gate.id, number, said, counts, is_told, is_brought, bytes: bytes.clone() });
    }
    all
}

/// What a good badge has signed is recorded as it was, and everything else is shown to a person and recorded nowhere.
fn is_recorded(one: &Done, rows: &[HandRow], shown: &[ExceptionRow], wrong: &mut Vec<String>) {
    let of = |row: &&HandRow| (row.gate, row.number) == (one.gate, one.number);
    let same = |row: &HandRow| {
        let over = one.said.over.as_ref();
        (row.staff, row.zone, row.direction, row.people, row.at)
            == (one.said.staff, one.said.zone, one.said.direction, one.said.people, one.said.at)
            && (row.card, row.entry) == (over.map(|over| over.card), over.map(|over| over.entry))
    };
    let found: Vec<_> = rows.iter().filter(of).collect();
    let named = shown.iter().any(|row| row.kind == ExceptionKind::Malformed && row.open && names(row, one));
    let good = match one.counts {
        // Lost, it may have brought it up and not have heard so.
        _ if found.is_empty() && !named && !one.is_brought => true,
        true => found.len() == 1 && found.iter().all(|row| same(row)) && !named,
        false => found.is_empty() && named,
    };
    if !good {
        let (said, counts) = (&one.said, one.counts);
        wrong.push(format!(
            "R22: {said:?} counts: {counts}, is recorded {} times, shown to a person: {named}",
            found.len()
        ));
    }
}

/// All gates count the same people in and out by hand, in whatever order they heard of them: those that good badges have signed. What
/// somebody signed whose badge was over counts at most where nobody had heard of that yet.
fn sums_agree(venue: &Venue, staff: &Staff, all: &[Done], wrong: &mut Vec<String>) {
    let is_tampered = |at: &usize| venue.gates.get(*at).is_some_and(|gate| gate.tampered.is_some());
    // What a gate forgot that was put back, or whose disk lied, some have heard, and nobody else will.
    if staff.gates.iter().any(is_tampered) {
        return;
    }
    let mut sums: BTreeMap<u64, [(u64, u64); 2]> = BTreeMap::new();
    for one in all.iter().filter(|one| one.is_told && one.said.over.is_none()) {
        let sum = &mut sums.entry(one.said.zone).or_default()[usize::from(one.said.direction == Direction::Out)];
        sum.0 += if one.counts { one.said.people } else { 0 };
        sum.1 += one.said.people;
    }
    for (at, gate) in venue.standing() {
        let tally = Tally::load(&gate.gate.device).0;
        for (zone, sums) in &sums {
            let counted = tally.zones.iter().find(|one| one.zone == *zone);
            let counted = counted.map_or([0, 0], |one| [one.hand_in.unwrap_or(0), one.hand_out.unwrap_or(0)]);
            if counted.iter().zip(sums).any(|(counted, (good, most))| !(good..=most).contains(&counted)) {
                wrong.push(format!(
                    "R22: gate {at} counts {counted:?} by hand in zone {zone}, badges have signed {sums:?}"
                ));
            }
        }
    }
}
