//! Seats moved by changes, as their promoters signed it: where a seat goes that was bought under some terms, and which are left empty.
//!
//! Whether the provider was right to take a change in, and whose tickets it reached, is `changes.rs`; here it counts as it stands.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::reading::{Id, each, has_table, hex, signed_changes};
use crate::trust::{Trust, holds};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, HashMap, HashSet};
use tegata_core::card::Terms;
use tegata_core::talk::event::Change;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;
use tegata_core::{Handle, Hash};

/// Where changes have moved seats.
#[derive(Default)]
pub(crate) struct Moves {
    /// By event and the terms that they replace.
    changes: HashMap<(Id, Handle), Change>,
    /// Seats that somebody was moved away from.
    left: HashSet<(Id, u64)>,
    /// Seats that somebody was moved onto.
    onto: HashSet<(Id, u64)>,
}

impl Moves {
    /// Reads them, and holds the provider's table of them against what was signed; a database of a format without changes has none.
    pub fn read(connection: &Connection, trust: &Trust, findings: &mut Findings) -> Result<Self, AuditError> {
        let mut moves = Self::default();
        if !has_table(connection, "change")? {
            return Ok(moves);
        }
        let mut signed: BTreeMap<(Hash, u64), u64> = BTreeMap::new();
        let sql = format!(
            "SELECT change, promoter, coalesce(body, x'') FROM {} ORDER BY change",
            signed_changes(connection)?
        );
        each(connection, &sql, [], |row| {
            let (hash, promoter) = (Hash(row.get(0)?), row.get::<Id>(1)?);
            let found = Signed::<Change>::decode(&row.get::<Vec<u8>>(2)?).ok().filter(|found| {
                found.hash(&[]) == hash
                    && found.claimed().check_moves().is_ok()
                    && trust.key(&promoter, Role::Issuer).is_some_and(|key| holds(found, key, &[]))
            });
            let Some(change) = found.map(|found| found.claimed().clone()) else { return Ok(()) };
            for one in change.moves() {
                signed.insert((hash, one.from), one.to);
                moves.left.insert((change.event.0, one.from));
                moves.onto.insert((change.event.0, one.to));
            }
            moves.changes.insert((change.event.0, change.before), change);
            Ok(())
        })?;
        if has_table(connection, "seat_move")? {
            each(connection, "SELECT change, seat, onto FROM seat_move ORDER BY change, seat", [], |row| {
                let (change, seat, onto) = (Hash(row.get(0)?), row.u64(1)?, row.u64(2)?);
                let said = signed.remove(&(change, seat));
                findings.expect(said == Some(onto), What::Row, || {
                    let evidence = said.map_or("that it stays".to_owned(), |said| format!("onto seat {said}"));
                    let ledger = format!("onto seat {onto}");
                    let about = format!("seat {seat} by change {change}");
                    (about, evidence, ledger, "its row of table seat_move".to_owned())
                });
                Ok(())
            })?;
        }
        if let Some(((change, seat), onto)) = signed.first_key_value() {
            findings.expect(false, What::Row, || {
                let about = format!("seat {seat} by change {change}");
                (about, format!("onto seat {onto}"), "that it stays", "table seat_move".to_owned())
            });
        }
        Ok(moves)
    }
    /// Where a seat is in the end that was bought under these terms.
    pub fn last(&self, event: Id, bought: Handle, seat: u64) -> u64 {
        self.along(event, bought, seat).last().map_or(seat, |(_, seat)| seat)
    }
    /// Which seat a ticket of these terms names that was bought under others with this seat. `None`: nothing leads there.
    pub fn under(&self, event: Id, bought: Handle, seat: u64, terms: Handle) -> Option<u64> {
        self.along(event, bought, seat).find(|(had, _)| *had == terms).map(|(_, seat)| seat)
    }
    /// The terms that a ticket had, one after the other, and its seat under each. A forged change shall not lead in circles.
    fn along(&self, event: Id, bought: Handle, seat: u64) -> impl Iterator<Item = (Handle, u64)> {
        let next = move |(terms, seat): &(Handle, u64)| {
            let change = self.changes.get(&(event, *terms))?;
            Some((change.after.as_ref().map(Terms::handle)?, change.seat_after(*seat)))
        };
        std::iter::successors(Some((bought, seat)), next).take(self.changes.len() + 1)
    }
    /// Whether a seat may stand empty without being sold: somebody was moved away from it.
    pub fn may_be_closed(&self, event: Id, seat: u64) -> bool {
        self.left.contains(&(event, seat))
    }
    /// Whether it has to: nobody was ever moved onto it.
    pub fn is_closed(&self, event: Id, seat: u64) -> bool {
        self.may_be_closed(event, seat) && !self.onto.contains(&(event, seat))
    }
    /// What a ticket names that was bought with this seat under these terms: in its row, and in the certificates that it was issued with.
    pub fn compare(
        &self,
        connection: &Connection,
        card: Option<Id>,
        (event, bought, seat): (Id, Handle, u64),
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let Some(card) = card else {
            return Ok(());
        };
        let mut expect = |terms: Handle, named: Option<u64>, nearest: &str| {
            let Some(expected) = self.under(event, bought, seat, terms) else { return };
            findings.expect(named == Some(expected), What::Row, || {
                let about = format!("the seat of card-{} of event-{}", hex(&card), hex(&event));
                let ledger = named.map_or("none".to_owned(), |seat| format!("seat {seat}"));
                (about, format!("seat {expected}, as bought and moved since"), ledger, nearest.to_owned())
            });
        };
        let sql =
            "SELECT ticket.seat, card.terms FROM ticket JOIN card ON card.card = ticket.card WHERE ticket.card = ?1";
        each(connection, sql, params![card], |row| {
            expect(Handle(row.get(1)?), row.opt_u64(0)?, "its row of table ticket");
            Ok(())
        })?;
        each(connection, "SELECT body FROM generation WHERE card = ?1 AND generation > 1", params![card], |row| {
            let read = Signed::<tegata_core::card::CardCertificate>::decode(&row.get::<Vec<u8>>(0)?).ok();
            if let Some(read) = read {
                expect(read.claimed().terms, read.claimed().seat, "its rows of table generation");
            }
            Ok(())
        })
    }
}
