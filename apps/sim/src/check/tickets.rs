//! What must never happen to tickets, checked when all is quiet: from what the town saw open, gates' and wallets' records, and the
//! provider's rows.

use super::changes::{bought_under, seat_moved};
use super::shown_in;
use super::staff::Done;
use crate::template::{EVENT, template};
use crate::town::Town;
use crate::venue::{GateAt, Opened, Venue};
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::card::Terms;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::record::Space;
use tegata_core::talk::buy::PurchaseState;
use tegata_core::talk::enter::{Admitted, Direction, Setup, Tally, Told, twice};
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::wire::canonical::Wire;
use tegata_core::{CardId, DeviceId, Unit};
use tegata_ledger::Side;
use tegata_store::{AdmissionRow, ExceptionKind, ExceptionRow, Store, StoreError};
use tegata_vault::Vault;

/// An entry of a ticket into a zone.
type Entry = (CardId, u64, u64);

/// What the records say of one entry: how many people came in, and whether it went out.
type Passed = (Option<u64>, bool);

impl Town {
    pub(super) fn tickets(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(venue) = &self.venue else {
            return Ok(());
        };
        let store = self.center.store()?;
        let rows = store.admissions_at(EVENT)?;
        let shown = store.exceptions(None, tegata_core::Time(0), tegata_core::Time(u64::MAX >> 1))?;
        self.each_entry_once(venue, &rows, &shown, wrong);
        self.what_opened_is_recorded(venue, &rows, &shown, wrong);
        for gate in venue.gates.iter().filter(|gate| gate.tampered.is_none()) {
            self.is_recorded(gate, &rows, wrong);
        }
        // Gates count tickets that the provider has forgotten.
        if !venue.opened.iter().any(|opened| self.is_lost(opened.card)) {
            counts_agree(venue, &rows, &self.done_by_hand(), wrong);
        }
        self.who_showed_twice_is_named(store, &rows, &shown, wrong)?;
        self.beyond_terms_is_reported(store, &rows, &shown, wrong)?;
        self.what_is_given_back_is_dead(venue, store, wrong)?;
        self.entries_add_up(store, wrong)?;
        self.seats_have_one_holder(store, wrong)
    }

    /// No gate lets in by a ticket that was given back, whoever has kept a copy of its wallet: each has heard that it is dead.
    fn what_is_given_back_is_dead(
        &self,
        venue: &Venue,
        store: &Store,
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        for card in self.given_back.keys().filter(|card| !self.is_undone(**card)) {
            let (Some(row), Some(_)) = (store.surrender(*card)?, store.ticket(*card)?) else {
                continue;
            };
            for (at, gate) in venue.standing() {
                let device = &gate.gate.device;
                let told = Setup::load(device).is_some_and(|setup| setup.dead(*card, row.generation).is_some());
                let listed = device.anchors().is_some_and(|anchors| anchors.is_dead(*card, row.generation));
                if !told && !listed {
                    wrong.push(format!("{card} was given back, and gate {at} would let it in"));
                }
            }
        }
        Ok(())
    }

    /// No seat is sold to two that hold it, be it over the network or by a number that is printed for it, sold or not, wherever changes
    /// have moved it.
    fn seats_have_one_holder(&self, store: &Store, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let mut holders: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for row in store.purchases()?.iter().filter(|row| row.state == PurchaseState::Delivered) {
            let (Some(seat), Some(card)) = (row.seat, row.card) else { continue };
            let bought = bought_under(store, row)?;
            let known = store.card(card)?.ok_or(StoreError::Damaged)?;
            let (named, moved) = (
                store.ticket(card)?.and_then(|ticket| ticket.seat),
                seat_moved(store, (seat, bought), Some(known.terms))?,
            );
            if named != Some(moved) {
                wrong.push(format!("{card} was bought with seat {seat}, moved to {moved}, and names {named:?}"));
            }
            if store.surrender(card)?.is_none() {
                holders.entry(seat_moved(store, (seat, bought), None)?).or_default().insert(card.to_string());
            }
        }
        for (at, slip) in self.booth.iter().flat_map(|booth| booth.slips.iter().enumerate()) {
            if let Some(seat) = slip.seat.filter(|_| self.batch_stands(slip.batch)) {
                let batch = store.batch(template().issuer_party, slip.batch)?;
                let now = match batch {
                    Some(batch) => seat_moved(store, (seat, batch.terms), None)?,
                    None => seat,
                };
                holders.entry(now).or_default().insert(format!("slip {at}"));
            }
        }
        for (seat, holders) in holders.iter().filter(|(_, holders)| holders.len() > 1) {
            wrong.push(format!("seat {seat} is held by {holders:?}"));
        }
        Ok(())
    }

    /// No gate opens twice for one entry of an honest wallet, unless that is reported, or it was the opening stored and not done.
    fn each_entry_once(&self, venue: &Venue, rows: &[AdmissionRow], shown: &[ExceptionRow], wrong: &mut Vec<String>) {
        let mut all: BTreeMap<Entry, Vec<&Opened>> = BTreeMap::new();
        for opened in &venue.opened {
            let at = venue.gates.get(opened.gate);
            let known = self.is_honest_card(opened.card) && !self.is_lost(opened.card);
            if known && at.is_some_and(|gate| gate.tampered.is_none()) {
                all.entry((opened.card, opened.zone, opened.entry)).or_default().push(opened);
            }
        }
        for ((card, zone, entry), opened) in all {
            let sure = opened.iter().filter(|one| !one.unsure).count();
            let reported = shown
                .iter()
                .any(|row| row.kind == ExceptionKind::CameTwice && (row.card, row.seq) == (Some(card), Some(entry)));
            // What a gate had not brought up that was lost nobody can compare.
            let lost = opened.iter().any(|one| {
                let gate = venue.gates.get(one.gate).filter(|gate| gate.lost);
                gate.is_some_and(|gate| !rows.iter().any(|row| is_of(row, one, gate)))
            });
            // One gate says it once.
            let mut gates = BTreeSet::new();
            let again = opened.iter().filter(|one| !one.unsure).any(|one| !gates.insert((one.gate, one.window)));
            if sure > 1 && (again || !(reported || lost)) {
                let at: Vec<_> = opened.iter().map(|one| (one.gate, one.generation, one.window, one.unsure)).collect();
                wrong.push(format!(
                    "R20: {card} came into zone {zone} with entry {entry} at {at:?}, reported: {reported}"
                ));
            }
        }
    }

    /// Every entry of an honest wallet that a gate opened for is in the provider's records.
    fn what_opened_is_recorded(
        &self,
        venue: &Venue,
        rows: &[AdmissionRow],
        shown: &[ExceptionRow],
        wrong: &mut Vec<String>,
    ) {
        for opened in &venue.opened {
            let Some(gate) = venue.gates.get(opened.gate).filter(|gate| gate.tampered.is_none()) else {
                continue;
            };
            if !self.is_honest_card(opened.card) {
                continue;
            }
            if self.is_lost(opened.card) {
                let shows =
                    |row: &ExceptionRow| row.device == Some(gate.id) && shown_in(row).any(|card| card == opened.card);
                if !gate.lost && !shown.iter().any(shows) {
                    wrong.push(format!(
                        "R15: {} is forgotten, came in at gate {}, and nobody is told",
                        opened.card, opened.gate
                    ));
                }
                continue;
            }
            let found = rows.iter().filter(|row| is_of(row, opened, gate)).count();
            // One code is one row, of the gate that was heard first; another one that it opened is in the exception about that.
            let named = |row: &ExceptionRow| {
                (row.kind, row.device, row.card, row.seq)
                    == (ExceptionKind::CameTwice, Some(gate.id), Some(opened.card), Some(opened.entry))
            };
            let found = if found == 0 && opened.window && shown.iter().any(named) { 1 } else { found };
            let again = venue.opened.iter().any(|one| {
                (one.card, one.zone, one.entry, one.gate) == (opened.card, opened.zone, opened.entry, opened.gate)
                    && one.unsure
            });
            // A gate that was lost may not have brought it up; what it had is looked at elsewhere.
            if (found == 0 && !gate.lost) || (found > 1 && !again && !venue.failed) {
                wrong.push(format!(
                    "entry {} of {} at gate {} is recorded {found} times",
                    opened.entry, opened.card, opened.gate
                ));
            }
        }
    }

    /// Whoever showed one entry twice without knowing of the first is named with both records, and blocked; nobody honest is.
    fn who_showed_twice_is_named(
        &self,
        store: &Store,
        rows: &[AdmissionRow],
        shown: &[ExceptionRow],
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let mut by_entry: BTreeMap<_, Vec<&AdmissionRow>> = BTreeMap::new();
        for row in rows.iter().filter(|row| !row.window) {
            // Two may hold it whose giver gave it twice: each has a key of its own.
            let entry = (row.card, row.generation, &row.holder, row.zone, row.entry, row.direction == Direction::In);
            by_entry.entry(entry).or_default().push(row);
        }
        for ((card, generation, holder, ..), all) in by_entry {
            let differ =
                |one: &AdmissionRow| all.iter().any(|two| one.shown != two.shown && twice(told(one), told(two)));
            // Whoever holds it by a hand-over that does not count holds nothing.
            let recorded = store.generation(card, generation)?.is_none_or(|row| row.key.to_bytes() == *holder);
            if !recorded || !all.iter().any(|one| differ(one)) {
                continue;
            }
            let named = shown.iter().any(|row| {
                row.kind == ExceptionKind::Cloned
                    && row.card == Some(card)
                    && row.wallet_record.is_some()
                    && row.terminal_record.is_some()
            });
            // A later generation that was there before the proof stands (R9).
            let blocked = store.card(card)?.is_some_and(|row| row.blocked.is_some() || row.generation > generation);
            if !named || !blocked {
                wrong.push(format!("R20: {card} was shown by two wallets; named: {named}, blocked: {blocked}"));
            }
        }
        for row in shown.iter().filter(|row| row.kind == ExceptionKind::Cloned) {
            if row.card.is_some_and(|card| self.is_honest_card(card)) {
                wrong.push(format!("R20: the holder of {:?} is honest and was convicted", row.card));
            }
        }
        Ok(())
    }

    /// Nobody was admitted beyond the terms without an exception.
    fn beyond_terms_is_reported(
        &self,
        store: &Store,
        rows: &[AdmissionRow],
        shown: &[ExceptionRow],
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let mut days: BTreeMap<(CardId, u64, u64), BTreeSet<u64>> = BTreeMap::new();
        let mut beyond = BTreeSet::new();
        for row in rows.iter().filter(|row| row.done == Admitted::In) {
            let Some(terms) = ticket_terms(store, row.card)? else {
                continue;
            };
            let entries = days.entry((row.card, row.zone, terms.day(row.at))).or_default();
            entries.insert(row.entry);
            let today = entries.len() as u64;
            let bounds = terms.a_day.is_some_and(|most| today > most) || (!terms.reentry && today > 1);
            if row.entry > terms.entries || bounds {
                beyond.insert(row.card);
            }
        }
        for card in beyond {
            let named = |row: &&ExceptionRow| row.card == Some(card) && is_of_gates(row.kind);
            if !shown.iter().any(|row| named(&row)) {
                wrong.push(format!("{card} came in beyond its terms, and nobody is told"));
            }
        }
        Ok(())
    }

    /// Everything that was presented to this gate is with the provider, or shown to a person where it has forgotten the ticket.
    fn is_recorded(&self, gate: &GateAt, rows: &[AdmissionRow], wrong: &mut Vec<String>) {
        let found = gate.gate.device.vault.scan(Space::Log, &[], usize::MAX).unwrap_or_default();
        for entry in found.iter().filter_map(|(_, bytes)| LogEntry::from_bytes(bytes).ok()) {
            let Some(hash) = entry.shown.as_ref().and_then(|shown| shown.hash(gate.id)) else {
                continue;
            };
            let recorded = rows.iter().any(|row| row.shown == hash && row.by_gate);
            let lost = entry.card.is_some_and(|card| self.is_lost(card));
            if !recorded && !lost && gate.has_brought(entry.transaction) {
                wrong.push(format!("gate at door {}: its entry {} is not recorded", gate.door, entry.transaction));
            }
        }
    }

    /// What was sold is held, paid back, or in dispute; in entries.
    fn entries_add_up(&self, store: &Store, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let sold = self.sold_by_credit(Unit::ENTRIES)? + self.sold_by_number();
        let equation = store.equation(template().issuer_party, Unit::ENTRIES)?;
        let [issued, waiting, held, refunded, disputed] =
            [Side::Issued, Side::Waiting, Side::Held, Side::Refunded, Side::Disputed].map(|side| equation.sum(side));
        if issued != i128::from(sold) || held + waiting + refunded + disputed != i128::from(sold) {
            wrong.push(format!(
                "{sold} entries were sold, {issued} issued: {waiting} wait, {held} are held, {refunded} paid back, {disputed} in dispute"
            ));
        }
        Ok(())
    }

    /// Whether gates that did not know explain that a ticket came in twice, or too often: deaf, failing, by a picture of its code, or
    /// before they heard that it is dead.
    pub(super) fn let_in_badly(&self, row: &ExceptionRow) -> bool {
        let Some(venue) = &self.venue else {
            return false;
        };
        let Some(card) = row.card else {
            return false;
        };
        let of = |one: &&Opened| one.card == card && row.seq.is_none_or(|entry| one.entry == entry);
        let window = venue.opened.iter().filter(of).any(|one| one.window);
        let dead = self.is_given_back(card) || self.is_undone(card) || self.causes.blocked.contains(&card);
        let tampered = venue.gates.iter().any(|gate| gate.tampered.is_some());
        match row.kind {
            ExceptionKind::CameTwice => {
                venue.opened.iter().filter(of).count() > 1 || venue.failed || tampered || window
            }
            // A code that was taken without its wallet hearing of it, which then gave the ticket away.
            _ if window && self.given_on(card, row.generation) => true,
            _ => venue.deaf || tampered || dead || venue.failed,
        }
    }
    /// Whether a ticket was used before it was given back, as a gate or who gave it on says: it is worth nothing then.
    pub(super) fn was_shown(&self, row: &ExceptionRow) -> bool {
        let (Some(card), Ok(store)) = (row.card, self.center.store()) else {
            return false;
        };
        let came = store.admissions_by(card).is_ok_and(|rows| rows.iter().any(|row| row.done == Admitted::In));
        came || store.ticket(card).is_ok_and(|ticket| ticket.is_some_and(|ticket| ticket.used > 0))
    }
}

/// Whether the provider's row is about this opening.
fn is_of(row: &AdmissionRow, opened: &Opened, gate: &GateAt) -> bool {
    (row.card, row.zone, row.entry, row.direction) == (opened.card, opened.zone, opened.entry, Direction::In)
        && (row.gate, row.done, row.window) == (gate.id, Admitted::In, opened.window)
}

fn is_of_gates(kind: ExceptionKind) -> bool {
    matches!(kind, ExceptionKind::BeyondTerms | ExceptionKind::Cloned)
}

fn told(row: &AdmissionRow) -> Told<'_> {
    Told { hash: &row.shown, attempt: row.attempt, earlier: &row.earlier }
}

fn ticket_terms(store: &Store, card: CardId) -> Result<Option<TicketTerms>, StoreError> {
    let Some(row) = store.card(card)? else {
        return Ok(None);
    };
    let terms = store.terms(row.terms)?;
    Ok(terms.and_then(|bytes| Terms::from_bytes(&bytes).ok()?.ticket))
}

/// A use of a ticket that gates count.
struct Came {
    card: CardId,
    generation: u64,
    zone: u64,
    entry: u64,
    people: u64,
    is_in: bool,
}

/// What is recorded of gates that are there, and what lost ones had told somebody who is there still.
fn all_came(venue: &Venue, rows: &[AdmissionRow]) -> Vec<Came> {
    let lost = |gate: DeviceId| venue.gates.iter().any(|one| one.lost && one.id == gate);
    let rows = rows.iter().filter(|row| row.done != Admitted::Refused && !lost(row.gate)).map(|row| Came {
        card: row.card,
        generation: row.generation,
        zone: row.zone,
        entry: row.entry,
        people: row.people,
        is_in: row.done == Admitted::In,
    });
    let told = venue.gates.iter().filter(|gate| gate.lost).flat_map(|gate| {
        let entries = gate.gate.log().unwrap_or_default().into_iter();
        entries.filter(|entry| venue.is_told(gate, entry.transaction)).filter_map(|entry| came(&entry))
    });
    rows.chain(told).collect()
}

fn came(entry: &LogEntry) -> Option<Came> {
    let is_in = match entry.kind {
        EntryKind::Admitted => true,
        EntryKind::Left => false,
        _ => return None,
    };
    let shown = entry.shown.as_ref()?;
    let (of_entry, people) = shown.entry()?;
    Some(Came { card: entry.card?, generation: entry.generation?, zone: shown.zone, entry: of_entry, people, is_in })
}

/// Gates that hear all count what the records say, where those are plain: no ticket is in them that came in twice.
fn counts_agree(venue: &Venue, rows: &[AdmissionRow], by_hand: &[Done], wrong: &mut Vec<String>) {
    if venue.gates.iter().any(|gate| gate.tampered.is_some()) {
        return;
    }
    let mut expected: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut entries: BTreeMap<(u64, CardId), BTreeMap<u64, Passed>> = BTreeMap::new();
    let mut generations: BTreeMap<CardId, u64> = BTreeMap::new();
    for one in all_came(venue, rows) {
        if *generations.entry(one.card).or_insert(one.generation) != one.generation {
            return;
        }
        let passed = entries.entry((one.zone, one.card)).or_default().entry(one.entry).or_default();
        match one.is_in {
            true if passed.0.is_some_and(|people| people != one.people) => return,
            true => passed.0 = Some(one.people),
            false => passed.1 = true,
        }
    }
    for one in by_hand.iter().filter(|one| one.is_told) {
        let Some(over) = &one.said.over else {
            continue;
        };
        // An entry that somebody ended whose badge was over is so only where nobody had heard of that.
        if !one.counts || generations.get(&over.card).is_some_and(|generation| *generation != over.generation) {
            return;
        }
        entries.entry((one.said.zone, over.card)).or_default().entry(over.entry).or_default().1 = true;
    }
    for ((zone, _), all) in &entries {
        let of = expected.entry(*zone).or_default();
        of.1 += all.values().filter_map(|(people, _)| *people).sum::<u64>();
        if let Some((people, out)) = all.values().next_back() {
            of.0 += if *out { 0 } else { people.unwrap_or(0) };
        }
    }
    for (at, gate) in venue.standing() {
        let tally = Tally::load(&gate.gate.device).0;
        for (zone, (inside, came)) in &expected {
            let counted = tally.zones.iter().find(|one| one.zone == *zone).map_or((0, 0), |one| (one.inside, one.came));
            if counted != (*inside, *came) {
                wrong.push(format!(
                    "R22: gate {at} counts {counted:?} inside and in all in zone {zone}, the records say {:?}",
                    (inside, came)
                ));
            }
        }
    }
}
