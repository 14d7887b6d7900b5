//! What must be so once a gate was lost with its store, checked when all is quiet: what it had told anybody who is there still is known to
//! all of them, those that took its place among them, and nobody waits for it any more (R22).

use crate::town::Town;
use crate::venue::Venue;
use tegata_core::DeviceId;
use tegata_core::card::ticket::Usage;
use tegata_core::talk::enter::{Direction, Setup};
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_store::StoreError;

impl Town {
    pub(super) fn lost_gates(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let (Some(venue), Some(losing)) = (&self.venue, &self.losing) else {
            return Ok(());
        };
        for lost in &losing.lost {
            let Some(gate) = venue.gates.get(lost.gate) else {
                continue;
            };
            nobody_waits(venue, gate.id, wrong);
            // What a gate told that was put back, or whose disk lied, others take for another log.
            if gate.tampered.is_some() {
                continue;
            }
            // Who was put back since has forgotten what it heard; what it alone knew is lost as well.
            let told = match venue.gates.iter().any(|gate| gate.tampered.is_some()) {
                true => venue.told_of(gate.id),
                false => lost.told.max(venue.told_of(gate.id)),
            };
            for (at, other) in venue.standing() {
                let heard = other.gate.heard(gate.id).number;
                if heard != told {
                    wrong.push(format!(
                        "R22: gate {at} has heard {heard} of lost gate {}, and {told} of it was told",
                        lost.gate
                    ));
                }
            }
            let entries = gate.gate.log().unwrap_or_default();
            for entry in entries.iter().filter(|entry| entry.transaction <= told) {
                is_known(venue, entry, wrong);
            }
        }
        Ok(())
    }
}

fn nobody_waits(venue: &Venue, lost: DeviceId, wrong: &mut Vec<String>) {
    for (at, gate) in venue.standing() {
        let waits = Setup::load(&gate.gate.device).is_none_or(|setup| setup.gates.contains(&lost));
        if waits {
            wrong.push(format!("R22: gate {at} waits for {lost}, which is lost"));
        }
    }
}

/// Every gate that is there knows that this entry came in; or of a later one, or of a later holder.
fn is_known(venue: &Venue, entry: &LogEntry, wrong: &mut Vec<String>) {
    let (EntryKind::Admitted, Some(shown), Some(card), Some(generation)) =
        (entry.kind, &entry.shown, entry.card, entry.generation)
    else {
        return;
    };
    let Some((number, _)) = shown.entry() else {
        return;
    };
    for (at, gate) in venue.standing() {
        let known = Usage::load(&gate.gate.device, card, shown.zone).is_some_and(|usage| {
            let used = usage.used(number, Direction::In).is_some() || usage.entry > number;
            usage.generation > generation || (usage.generation == generation && used)
        });
        if !known {
            wrong.push(format!("R22: gate {at} does not know that {card} came in with entry {number} at a lost gate"));
        }
    }
}
