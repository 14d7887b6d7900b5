//! Numbers from shops: what issuers ordered and activated, by their own signatures, and what became of each number (R18).

use crate::AuditError;
use crate::difference::{Difference, Findings, What};
use crate::reading::{Id, each, hex, unit_name};
use crate::trust::{Trust, holds};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use tegata_core::card::Terms;
use tegata_core::talk::cards::{Activate, Order};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;
use tegata_core::{Handle, Hash};

/// Issuer and unit: the books of R10.
pub(crate) type Book = (Id, u16);

/// What a number became.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub card: Id,
    pub load: Option<u64>,
}

/// A number that was used, as its order has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub book: Book,
    pub terms: Handle,
    pub face: u64,
}

/// A ticket's number: the seat that its order names, and the ticket that it became.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub issuer: Id,
    pub batch: u64,
    pub serial: u64,
    pub event: Id,
    pub terms: Handle,
    pub seat: Option<u64>,
    pub card: Option<Id>,
}

/// What was sold.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// What became value, per issuer and unit.
    pub issued: HashMap<Book, u64>,
    /// The used numbers.
    pub used: HashMap<Hash, Number>,
    /// Terms by handle, as their issuers signed them.
    pub terms: HashMap<Handle, Terms>,
    /// The value that each activation brought, by its hash.
    pub activations: HashMap<Hash, (Book, u64)>,
    /// Tickets' numbers that are for a seat, or became a ticket.
    pub placed: Vec<Placed>,
}

/// The uses of all numbers, as cards and loads name them; one number twice is a finding.
fn uses(connection: &Connection, findings: &mut Findings) -> Result<HashMap<Hash, Use>, AuditError> {
    let mut uses: HashMap<Hash, Use> = HashMap::new();
    let sql = "SELECT number, card, NULL FROM generation WHERE number IS NOT NULL
        UNION ALL SELECT source, card, number FROM load WHERE source IS NOT NULL";
    each(connection, sql, [], |row| {
        let (hash, found) = (Hash(row.get(0)?), Use { card: row.get(1)?, load: row.opt_u64(2)? });
        let before = uses.insert(hash, found);
        findings.expect(before.is_none(), What::Number, || {
            let cards = before.map_or(String::new(), |before| hex(&before.card));
            let nearest = format!("card-{} and card-{cards}", hex(&found.card));
            (format!("number {hash}"), "that a number is used once", "two uses of it", nearest)
        });
        Ok(())
    })?;
    Ok(uses)
}

impl Numbers {
    /// Reads every order and activation.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let mut numbers = Self::default();
        let uses = uses(connection, findings)?;
        let mut orders = connection.prepare("SELECT issuer, batch, body FROM number_batch ORDER BY issuer, batch")?;
        let mut rows = orders.query([])?;
        while let Some(row) = rows.next()? {
            let (issuer, batch, body): (Id, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let batch = batch.cast_unsigned();
            *checked += 1;
            let order = Signed::<Order>::decode(&body).ok().filter(|signed| {
                let said = signed.claimed();
                let same = said.issuer.0 == issuer && said.batch == batch && said.terms.issuer.0 == issuer;
                same && trust.key(&issuer, Role::Issuer).is_some_and(|key| holds(signed, key, &[]))
            });
            match order {
                Some(order) => numbers.order(connection, trust, order.claimed(), &uses, checked, findings)?,
                None => findings.add(|| Difference {
                    what: What::Number,
                    about: format!("batch {batch} of issuer {}", hex(&issuer)),
                    evidence: "no order signed by the issuer".into(),
                    ledger: "an order".into(),
                    nearest: "its row of table number_batch".into(),
                    at_fault: crate::difference::PROVIDER.into(),
                }),
            }
        }
        for (hash, found) in &uses {
            findings.expect(numbers.used.contains_key(hash), What::Number, || {
                let nearest = place(found);
                (format!("number {hash}"), "that no issuer ordered it", "a use of it", nearest)
            });
        }
        let mut orphans = 0u64;
        let sql = "SELECT count(*) FROM activation a WHERE NOT EXISTS
            (SELECT 1 FROM number_batch b WHERE b.issuer = a.issuer AND b.batch = a.batch)";
        each(connection, sql, [], |row| {
            orphans = row.u64(0)?;
            Ok(())
        })?;
        findings.expect(orphans == 0, What::Number, || {
            let ledger = format!("{orphans} activations of them");
            ("batches".into(), "no order of some batches", ledger, "table activation".into())
        });
        Ok(numbers)
    }

    fn order(
        &mut self,
        connection: &Connection,
        trust: &Trust,
        order: &Order,
        uses: &HashMap<Hash, Use>,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let book = (order.issuer.0, order.face.unit().code());
        let face = order.face.minor();
        let about = || format!("batch {} of issuer {}", order.batch, hex(&book.0));
        let handle = order.terms.handle();
        self.terms.insert(handle, order.terms.clone());
        let mut active = vec![false; order.numbers.len()];
        let mut said = 0u64;
        let sql = "SELECT hash, activated, body FROM activation WHERE issuer = ?1 AND batch = ?2";
        each(connection, sql, params![book.0, order.batch.cast_signed()], |row| {
            let (hash, activated, body) = (Hash(row.get(0)?), row.u64(1)?, row.get::<Vec<u8>>(2)?);
            *checked += 1;
            let slip = Signed::<Activate>::decode(&body).ok().filter(|slip| {
                let says = slip.claimed();
                let same = says.issuer == order.issuer && says.batch == order.batch && slip.hash(&[]) == hash;
                same && trust.activator(says).is_some_and(|key| holds(slip, key, &[]))
            });
            findings.expect(slip.is_some(), What::Number, || {
                let nearest = format!("activation {hash}");
                (about(), "no activation signed by the issuer or a till", "an activation", nearest)
            });
            if let Some(slip) = slip {
                let (first, last) = (slip.claimed().first.max(1), slip.claimed().last);
                for serial in first..=last.min(active.len() as u64) {
                    if let Some(one) = usize::try_from(serial - 1).ok().and_then(|at| active.get_mut(at)) {
                        *one = true;
                    }
                }
                findings.expect(activated <= (last + 1).saturating_sub(first), What::Number, || {
                    (
                        about(),
                        format!("serials {first} to {last} activated"),
                        format!("{activated} activated"),
                        format!("activation {hash}"),
                    )
                });
                self.activations.insert(hash, (book, activated.saturating_mul(face)));
                said = said.saturating_add(activated);
            }
            Ok(())
        })?;
        let count = active.iter().filter(|one| **one).count() as u64;
        findings.expect(count == said, What::Number, || {
            let evidence = format!("{count} numbers activated, each once");
            (about(), evidence, format!("{said} activated"), "its rows of table activation".into())
        });
        *self.issued.entry(book).or_default() += count.saturating_mul(face);
        self.place(order, uses, findings);
        self.rows(connection, order, &active, uses, findings)?;
        for (hash, activated) in order.numbers.iter().zip(&active) {
            let Some(found) = uses.get(hash) else { continue };
            findings.expect(*activated, What::Number, || {
                (format!("number {hash}"), "that it was never activated", "a use of it", place(found))
            });
            self.used.insert(*hash, Number { book, terms: handle, face });
        }
        Ok(())
    }

    /// Which seat each number of an order is for: tickets alone have one, then each number.
    fn place(&mut self, order: &Order, uses: &HashMap<Hash, Use>, findings: &mut Findings) {
        let seats = order.seats.as_deref().unwrap_or_default();
        let ticket = order.terms.ticket.as_ref();
        let fits = order.seats.is_none() || (ticket.is_some() && seats.len() == order.numbers.len());
        findings.expect(fits, What::Number, || {
            let about = format!("batch {} of issuer {}", order.batch, hex(&order.issuer.0));
            let evidence = format!("an order of {} numbers for {} seats", order.numbers.len(), seats.len());
            (about, evidence, "ordered", "its row of table number_batch".to_owned())
        });
        let Some(ticket) = ticket else {
            return;
        };
        let (mut seats, terms) = (seats.iter().copied(), order.terms.handle());
        for (serial, hash) in (1u64..).zip(&order.numbers) {
            let (seat, card) = (seats.next(), uses.get(hash).map(|used| used.card));
            if seat.is_some() || card.is_some() {
                let (issuer, batch, event) = (order.issuer.0, order.batch, ticket.event.0);
                self.placed.push(Placed { issuer, batch, serial, event, terms, seat, card });
            }
        }
    }

    /// The rows of table number, against the order's numbers.
    fn rows(
        &self,
        connection: &Connection,
        order: &Order,
        active: &[bool],
        uses: &HashMap<Hash, Use>,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let mut serial = 0u64;
        let sql = "SELECT hash, serial, state, card, load FROM number
            WHERE issuer = ?1 AND batch = ?2 ORDER BY serial";
        each(connection, sql, params![order.issuer.0, order.batch.cast_signed()], |row| {
            serial += 1;
            let (hash, at, state) = (Hash(row.get(0)?), row.u64(1)?, row.u64(2)?);
            let (card, load) = (row.get::<Option<Id>>(3)?, row.opt_u64(4)?);
            let index = usize::try_from(serial - 1).unwrap_or(usize::MAX);
            let expected = match (uses.get(&hash), active.get(index)) {
                (Some(_), _) => 3,
                (None, Some(true)) => 2,
                _ => 1,
            };
            let used = uses.get(&hash);
            let same = at == serial
                && order.numbers.get(index) == Some(&hash)
                && state == expected
                && (state != 3 || (used.map(|used| used.card) == card && used.is_some_and(|used| used.load == load)));
            findings.expect(same, What::Number, || {
                let evidence = format!("{} as serial {serial}", STATES[expected as usize - 1]);
                let ledger = format!("{} as serial {at}", STATES.get(state as usize - 1).unwrap_or(&"?"));
                let batch = format!("batch {} of issuer {}", order.batch, hex(&order.issuer.0));
                (format!("number {hash} of {batch}"), evidence, ledger, "its row of table number".into())
            });
            Ok(())
        })?;
        findings.expect(serial == order.numbers.len() as u64, What::Number, || {
            let about = format!("batch {} of issuer {}", order.batch, hex(&order.issuer.0));
            (about, format!("{} numbers", order.numbers.len()), format!("{serial}"), "table number".into())
        });
        Ok(())
    }
}

const STATES: [&str; 3] = ["printed", "activated", "used"];

fn place(found: &Use) -> String {
    match found.load {
        Some(load) => format!("load {load} of card-{}", hex(&found.card)),
        None => format!("the install of card-{}", hex(&found.card)),
    }
}

/// A book's name: issuer and unit.
pub(crate) fn book_name(book: &Book) -> String {
    format!("issuer {} in {}", hex(&book.0), unit_name(book.1))
}
