//! Events changed or cancelled after their tickets were sold: a ticket has other terms, or was paid back without its own key's
//! word, only by a change that its promoter signed; and by its holder's signed answer, or by the promoter's rule once the deadline
//! had passed. Whoever had not answered when a later change came has its turn in that one, and a change that has ended leaves nobody
//! waiting. That a ticket was let in before is taken as recorded, and so is the moment of a decision: the provider's clock.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::numbers::Numbers;
use crate::reading::{Id, each, has_table, hex, signed_changes};
use crate::trust::{Trust, holds};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use tegata_core::card::Terms;
use tegata_core::talk::event::{Change, ChangeAnswer};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;
use tegata_core::{Handle, Hash};

/// What changes did to tickets.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The terms that a ticket had, and those that it took up for them.
    taken: HashMap<(Id, Handle), Handle>,
    /// The terms of a change that its holder had not answered when a later one came, and those that the later one replaces.
    superseded: HashMap<(Id, Handle), Handle>,
    /// Tickets that are paid back without having been given back.
    undone: HashSet<Id>,
}

/// A ticket's row, and what it is held against.
struct Row {
    card: Id,
    change: Hash,
    wallet: Id,
    state: u64,
    at: u64,
    answer: Option<Vec<u8>>,
    came: bool,
    given_back: bool,
    /// It has its turn in a later change that came before the deadline of this one.
    passed_on: bool,
}

impl Changes {
    /// Reads and judges; a database of a format without changes has none.
    pub fn read(
        connection: &Connection,
        (trust, numbers): (&Trust, &Numbers),
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let mut changes = Self::default();
        if !has_table(connection, "change")? {
            return Ok(changes);
        }
        let signed = signed(connection, trust, numbers, checked, findings)?;
        let sql = "SELECT card, change, wallet, state, at, answer,
                EXISTS (SELECT 1 FROM admission WHERE admission.card = change_ticket.card AND done = 1),
                EXISTS (SELECT 1 FROM surrender WHERE surrender.card = change_ticket.card),
                state = 11 AND EXISTS (SELECT 1 FROM change AS earlier
                    JOIN change AS later ON later.event = earlier.event AND later.before = earlier.after
                    JOIN change_ticket AS next ON next.change = later.change
                    WHERE earlier.change = change_ticket.change AND next.card = change_ticket.card
                        AND later.at < earlier.answer_until)
            FROM change_ticket ORDER BY card, at, change";
        each(connection, sql, [], |columns| {
            let row = Row {
                card: columns.get(0)?,
                change: Hash(columns.get(1)?),
                wallet: columns.get(2)?,
                state: columns.u64(3)?,
                at: columns.u64(4)?,
                answer: columns.get(5)?,
                came: columns.get(6)?,
                given_back: columns.get(7)?,
                passed_on: columns.get(8)?,
            };
            *checked += u64::from(row.answer.is_some());
            let change = signed.get(&row.change);
            findings.expect(change.is_some_and(|change| row.holds(change, trust)), What::Row, || {
                let about = format!("card-{} in change {}", hex(&row.card), row.change);
                let ledger = NAMES.get(usize::try_from(row.state).unwrap_or(0)).unwrap_or(&"?").to_string();
                (about, "nothing signed that makes it so", ledger, "its row of table change_ticket".to_owned())
            });
            // What is not signed explains nothing further on.
            let Some(change) = change.filter(|change| row.holds(change, trust)) else { return Ok(()) };
            match (row.state, &change.after) {
                (ACCEPTED | SILENT_ACCEPTED | KEPT, Some(after)) => {
                    changes.taken.insert((row.card, change.before), after.handle());
                }
                (SUPERSEDED, Some(after)) => {
                    changes.superseded.insert((row.card, change.before), after.handle());
                }
                (DECLINED | SILENT_REFUNDED | CANCELLED, _) => {
                    changes.undone.insert(row.card);
                }
                _ => {}
            }
            Ok(())
        })?;
        let sql = "SELECT count(*) FROM change JOIN card ON card.unit = 1000 AND card.terms = change.before
            WHERE change.ended IS NOT NULL AND NOT EXISTS (SELECT 1 FROM change_ticket
                WHERE change_ticket.card = card.card AND change_ticket.change = change.change)";
        let forgotten: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        findings.expect(forgotten == 0, What::Row, || {
            let (evidence, ledger) = ("that every ticket has its turn", format!("{forgotten} tickets had none"));
            ("changes that have ended".to_owned(), evidence, ledger, "table change_ticket".to_owned())
        });
        if has_table(connection, "change_refused")? {
            let sql = "SELECT count(*) FROM change JOIN change_refused ON change_refused.change = change.change";
            let both: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            findings.expect(both == 0, What::Row, || {
                let (evidence, ledger) = ("that no change was both", format!("{both} were refused and recorded"));
                ("changes that were refused".to_owned(), evidence, ledger, "table change_refused".to_owned())
            });
        }
        let sql = "SELECT count(*) FROM change JOIN change_ticket ON change_ticket.change = change.change
            WHERE change.ended IS NOT NULL AND change_ticket.state IN (1, 2)";
        let open: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        findings.expect(open == 0, What::Row, || {
            let (evidence, ledger) = ("that every ticket is decided", format!("{open} tickets wait"));
            ("changes that have ended".to_owned(), evidence, ledger, "table change_ticket".to_owned())
        });
        Ok(changes)
    }
    /// Whether a change has paid this ticket back.
    pub fn has_undone(&self, card: &Id) -> bool {
        self.undone.contains(card)
    }
    /// The terms that a card has in the end that was bought under these.
    pub fn terms_of(&self, card: &Id, bought: Handle) -> Handle {
        let mut terms = bought;
        // No change leads back to terms that were replaced; a forged one shall not lead in circles.
        for _ in 0..=self.taken.len() {
            match self.next(card, terms) {
                Some(after) => terms = after,
                None => break,
            }
        }
        terms
    }
    /// What a card that had these terms took up next: by the change of them, or by the later one that took its place.
    fn next(&self, card: &Id, terms: Handle) -> Option<Handle> {
        let mut asked = terms;
        for _ in 0..=self.superseded.len() {
            match self.superseded.get(&(*card, asked)) {
                Some(later) => asked = *later,
                None => break,
            }
        }
        self.taken.get(&(*card, asked)).copied()
    }
    /// Whether a card that was bought under `bought` had these terms at some time.
    pub fn explain(&self, card: &Id, bought: Handle, terms: Handle) -> bool {
        let mut had = bought;
        for _ in 0..=self.taken.len() {
            match self.next(card, had) {
                _ if had == terms => return true,
                Some(after) => had = after,
                None => return false,
            }
        }
        false
    }
}

const LISTED: u64 = 1;
const TOLD: u64 = 2;
const ACCEPTED: u64 = 3;
const DECLINED: u64 = 4;
const SILENT_ACCEPTED: u64 = 5;
const SILENT_REFUNDED: u64 = 6;
const CANCELLED: u64 = 7;
const KEPT: u64 = 8;
const OVER: u64 = 9;
const FAILED: u64 = 10;
const SUPERSEDED: u64 = 11;

/// States of tickets, by their number in the schema.
const NAMES: [&str; 12] = [
    "?",
    "listed",
    "told",
    "accepted",
    "declined",
    "accepted by silence",
    "refunded by silence",
    "cancelled",
    "kept",
    "over",
    "failed",
    "superseded",
];

impl Row {
    /// Whether the promoter's change, the holder's answer and the deadline make this state.
    fn holds(&self, change: &Change, trust: &Trust) -> bool {
        let answer = match &self.answer {
            None => None,
            Some(bytes) => {
                let Ok(signed) = Signed::<ChangeAnswer>::decode(bytes) else { return false };
                let said = signed.claimed();
                let ours = (said.card.0, said.change, said.wallet.0) == (self.card, self.change, self.wallet);
                if !ours || !trust.key(&self.wallet, Role::Wallet).is_some_and(|key| holds(&signed, key, &[])) {
                    return false;
                }
                Some(said.accept)
            }
        };
        let asked = change.after.is_some();
        let in_time = self.at < change.answer_until.0;
        match self.state {
            LISTED | TOLD => answer.is_none() && (asked || self.state == LISTED),
            ACCEPTED => asked && in_time && answer == Some(true),
            DECLINED => asked && in_time && answer == Some(false) && self.given_back,
            SILENT_ACCEPTED => asked && !in_time && answer.is_none() && !change.silence_refunds,
            SILENT_REFUNDED => asked && !in_time && answer.is_none() && change.silence_refunds && self.given_back,
            CANCELLED => !asked && answer.is_none() && self.given_back,
            KEPT => asked && self.came,
            OVER => self.given_back,
            FAILED => true,
            SUPERSEDED => asked && answer.is_none() && self.passed_on,
            _ => false,
        }
    }
}

/// What promoters changed, by their own signatures: of their own tickets, into such as they have listed.
fn signed(
    connection: &Connection,
    trust: &Trust,
    numbers: &Numbers,
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<HashMap<Hash, Change>, AuditError> {
    let mut changes = HashMap::new();
    let sql = format!(
        "SELECT change, promoter, event, before, after, answer_until, silence_refunds, coalesce(body, x'')
            FROM {} ORDER BY change",
        signed_changes(connection)?
    );
    each(connection, &sql, [], |row| {
        let (hash, promoter, body) = (Hash(row.get(0)?), row.get::<Id>(1)?, row.get::<Vec<u8>>(7)?);
        let columns = (
            row.get::<Id>(2)?,
            Handle(row.get(3)?),
            row.get::<Option<_>>(4)?.map(Handle),
            row.u64(5)?,
            row.get::<bool>(6)?,
        );
        *checked += 1;
        let of_event = |terms: &Terms| {
            terms.issuer.0 == promoter && terms.ticket.as_ref().is_some_and(|ticket| ticket.event.0 == columns.0)
        };
        let found = Signed::<Change>::decode(&body).ok().filter(|signed| {
            let said = signed.claimed();
            let after = said.after.as_ref().map(Terms::handle);
            let named = (said.event.0, said.before, after, said.answer_until.0, said.silence_refunds);
            let listed = after.is_none_or(|after| numbers.terms.get(&after).is_some_and(of_event));
            (said.promoter.0, signed.hash(&[])) == (promoter, hash)
                && named == columns
                && listed
                && numbers.terms.get(&said.before).is_some_and(of_event)
                && trust.key(&promoter, Role::Issuer).is_some_and(|key| holds(signed, key, &[]))
        });
        findings.expect(found.is_some(), What::Row, || {
            let about = format!("change {hash}");
            (about, "no such change signed by the promoter", "a change", "its row of table change".to_owned())
        });
        if let Some(signed) = found {
            changes.insert(hash, signed.claimed().clone());
        }
        Ok(())
    })?;
    Ok(changes)
}
