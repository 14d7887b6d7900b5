//! Numbered seats: each that is reserved or sold belongs to one purchase, which has the seat that its wallet wanted or that the
//! system chose, or to one number that the promoter had printed for it; of the article that sells it by the promoter's signed plan; and
//! its ticket says so. Where changes have moved it, as their promoter signed them, it is the one that they lead to.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::moves::Moves;
use crate::numbers::Placed;
use crate::reading::{Id, each, hex};
use crate::sold::Listings;
use crate::trust::{Trust, holds};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, HashMap, HashSet};
use tegata_core::card::CardCertificate;
use tegata_core::talk::buy::{PurchaseState, Reserve};
use tegata_core::talk::event::EventPlan;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;

/// A purchase by its wallet and number.
type Named = (Id, Id);
/// The article that sells each seat of an event, and what stands on the seat.
type Plans = HashMap<Id, BTreeMap<u64, (u64, String)>>;

/// Who has a seat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A purchase.
    Purchase(Named),
    /// A number, by issuer, batch and serial.
    Number(Id, u64, u64),
}

impl Holder {
    fn name(self) -> String {
        match self {
            Self::Purchase(named) => format!("purchase {}", hex(&named.1)),
            Self::Number(issuer, batch, serial) => {
                format!("number {serial} of batch {batch} of issuer {}", hex(&issuer))
            }
        }
    }
    /// The table that says so.
    fn table(self) -> &'static str {
        match self {
            Self::Purchase(_) => "seat_taken",
            Self::Number(..) => "seat_printed",
        }
    }
}

/// Who has which seat of which event.
type Taken = BTreeMap<(Id, u64), Holder>;

fn place(event: &Id, seat: u64) -> String {
    format!("seat {seat} of event-{}", hex(event))
}

/// Events as their promoters signed them.
fn plans(
    connection: &Connection,
    trust: &Trust,
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<Plans, AuditError> {
    let mut plans = Plans::new();
    each(connection, "SELECT event, promoter, revision, body FROM planned ORDER BY event", [], |row| {
        let (event, promoter, revision) = (row.get::<Id>(0)?, row.get::<Id>(1)?, row.u64(2)?);
        *checked += 1;
        let plan = Signed::<EventPlan>::decode(&row.get::<Vec<u8>>(3)?).ok().filter(|signed| {
            let said = signed.claimed();
            (said.event.0, said.promoter.0, said.revision) == (event, promoter, revision)
                && said.check().is_ok()
                && trust.key(&promoter, Role::Issuer).is_some_and(|key| holds(signed, key, &[]))
        });
        findings.expect(plan.is_some(), What::Row, || {
            let about = format!("event-{}", hex(&event));
            (about, "no such plan signed by the promoter", "a plan", "its row of table planned".to_owned())
        });
        let seats = plan.iter().flat_map(|plan| &plan.claimed().seats);
        plans.insert(event, seats.map(|seat| (seat.seat, (seat.article, seat.name.clone()))).collect());
        Ok(())
    })?;
    Ok(plans)
}

/// Judges them all; `freed` are purchases whose tickets were given back, `placed` tickets' numbers. A database of a format without
/// tickets has none.
pub(crate) fn judge(
    connection: &Connection,
    trust: &Trust,
    (listings, freed, placed): (&Listings, &HashSet<Named>, &[Placed]),
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format < 8 {
        return Ok(());
    }
    let plans = plans(connection, trust, checked, findings)?;
    let moves = Moves::read(connection, trust, findings)?;
    let mut taken = Taken::new();
    let sql =
        "SELECT wallet, number, state, issuer, article, revision, seat, card FROM purchase ORDER BY wallet, number";
    let mut purchases = Vec::new();
    each(connection, sql, [], |row| {
        let named = (row.get::<Id>(0)?, row.get::<Id>(1)?);
        let listed = (row.get::<Id>(3)?, row.u64(4)?, row.u64(5)?);
        purchases.push((named, row.u64(2)?, listed, row.opt_u64(6)?, row.get::<Option<Id>>(7)?));
        Ok(())
    })?;
    for (named, state, listed, seat, card) in purchases {
        let (article, ticket) = (listed.1, listings.get(&listed).and_then(|listing| listing.terms.ticket.as_ref()));
        let planned = ticket.and_then(|ticket| Some((ticket.event.0, plans.get(&ticket.event.0)?)));
        let fits = match (planned, seat) {
            // Of an article without numbered seats no purchase has one.
            (Some((_, seats)), None) => !seats.values().any(|(sells, _)| *sells == article),
            (Some((_, seats)), Some(seat)) => seats.get(&seat).is_some_and(|(sells, _)| *sells == article),
            (None, seat) => seat.is_none(),
        };
        let about = || format!("purchase {} of dev-{}", hex(&named.1), hex(&named.0));
        let row_of = || "its row of table purchase".to_owned();
        findings.expect(fits, What::Row, || (about(), "another seat, or none", format!("seat {seat:?}"), row_of()));
        let (Some((event, seats)), Some(seat)) = (planned, seat) else {
            continue;
        };
        let (wanted, written) = (wanted(connection, named)?, written(connection, card)?);
        let same = wanted.is_none_or(|wanted| wanted == seat) && written.is_none_or(|written| written == Some(seat));
        findings.expect(same, What::Row, || {
            let evidence = format!("seat {wanted:?} wanted, seat {written:?} on the ticket");
            (about(), evidence, format!("seat {seat}"), row_of())
        });
        let Some(bought) = listings.get(&listed).map(|listing| listing.terms.handle()) else {
            continue;
        };
        moves.compare(connection, card, (event, bought, seat), findings)?;
        let over = [PurchaseState::Refused, PurchaseState::Returned].iter().any(|over| over.code() == state);
        if over || freed.contains(&named) {
            continue;
        }
        let now = moves.last(event, bought, seat);
        let same = seats.get(&now).is_some_and(|(sells, _)| *sells == article);
        findings.expect(same, What::Row, || {
            (about(), "a seat of its article", format!("moved to seat {now}"), "table seat_move".to_owned())
        });
        take(&mut taken, (event, now), Holder::Purchase(named), findings);
    }
    // Before, tickets had no numbers.
    if format >= 9 {
        by_number(connection, (placed, &plans, &moves), &mut taken, findings)?;
    }
    rows(connection, (taken, &plans, &moves), format, findings)
}

/// Nobody else has a seat.
fn take(taken: &mut Taken, at: (Id, u64), holder: Holder, findings: &mut Findings) {
    let before = taken.insert(at, holder);
    findings.expect(before.is_none(), What::Row, || {
        let other = before.map_or(String::new(), Holder::name);
        let nearest = format!("its row of table {}", holder.table());
        (place(&at.0, at.1), "one holder", format!("{other} and {}", holder.name()), nearest)
    });
}

/// The seats that promoters had numbers printed for, by their signed orders: of the article that the batch counts with, and on the ticket
/// that a number became. They stay the numbers', whether those are ever sold or not.
fn by_number(
    connection: &Connection,
    (placed, plans, moves): (&[Placed], &Plans, &Moves),
    taken: &mut Taken,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let mut articles: HashMap<(Id, u64), u64> = HashMap::new();
    each(connection, "SELECT issuer, batch, article FROM number_batch WHERE article IS NOT NULL", [], |row| {
        articles.insert((row.get(0)?, row.u64(1)?), row.u64(2)?);
        Ok(())
    })?;
    for one in placed {
        let holder = Holder::Number(one.issuer, one.batch, one.serial);
        let written = written(connection, one.card)?;
        findings.expect(written.is_none_or(|written| written == one.seat), What::Number, || {
            let ledger = format!("seat {written:?} on its ticket");
            (holder.name(), format!("seat {:?} ordered", one.seat), ledger, "its row of table generation".to_owned())
        });
        let Some(seat) = one.seat else {
            continue;
        };
        let article = articles.get(&(one.issuer, one.batch));
        let planned = plans.get(&one.event).and_then(|seats| seats.get(&seat));
        let fits = planned.is_some_and(|(sells, _)| Some(sells) == article);
        findings.expect(fits, What::Number, || {
            let ledger = format!("printed for {}", place(&one.event, seat));
            (holder.name(), "no such seat of its article", ledger, "its row of table number_batch".to_owned())
        });
        moves.compare(connection, one.card, (one.event, one.terms, seat), findings)?;
        take(taken, (one.event, moves.last(one.event, one.terms, seat)), holder, findings);
    }
    Ok(())
}

/// The seat that a wallet has named.
fn wanted(connection: &Connection, named: Named) -> Result<Option<u64>, AuditError> {
    let mut seat = None;
    let sql = "SELECT body FROM purchase_record WHERE wallet = ?1 AND number = ?2 AND what = 1";
    each(connection, sql, params![named.0, named.1], |row| {
        seat = Signed::<Reserve>::decode(&row.get::<Vec<u8>>(0)?).ok().and_then(|reserve| reserve.claimed().seat);
        Ok(())
    })?;
    Ok(seat)
}

/// The seat on a ticket as it was issued first. `None`: there is no ticket.
fn written(connection: &Connection, card: Option<Id>) -> Result<Option<Option<u64>>, AuditError> {
    let mut seat = None;
    each(connection, "SELECT body FROM generation WHERE card = ?1 AND generation = 1", [card], |row| {
        let certificate = Signed::<CardCertificate>::decode(&row.get::<Vec<u8>>(0)?).ok();
        seat = certificate.map(|certificate| certificate.claimed().seat);
        Ok(())
    })?;
    Ok(seat)
}

/// The tables of seats say the same.
fn rows(
    connection: &Connection,
    (mut taken, plans, moves): (Taken, &Plans, &Moves),
    format: u32,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let gone: HashSet<(Id, u64)> = taken.keys().copied().collect();
    let mut held: Vec<((Id, u64), Holder)> = Vec::new();
    each(connection, "SELECT event, seat, wallet, purchase FROM seat_taken ORDER BY event, seat", [], |row| {
        held.push(((row.get(0)?, row.u64(1)?), Holder::Purchase((row.get(2)?, row.get(3)?))));
        Ok(())
    })?;
    if format >= 15 {
        let sql = "SELECT event, seat, issuer, batch, serial FROM seat_printed ORDER BY event, seat";
        each(connection, sql, [], |row| {
            held.push(((row.get(0)?, row.u64(1)?), Holder::Number(row.get(2)?, row.u64(3)?, row.u64(4)?)));
            Ok(())
        })?;
    }
    for (at, holder) in held {
        let found = taken.remove(&at);
        findings.expect(found == Some(holder), What::Row, || {
            let evidence = found.map_or("nobody who has it".to_owned(), Holder::name);
            (place(&at.0, at.1), evidence, holder.name(), format!("its row of table {}", holder.table()))
        });
    }
    for ((event, seat), holder) in taken {
        findings.expect(false, What::Row, || {
            (place(&event, seat), holder.name(), "free", format!("table {}", holder.table()))
        });
    }
    if format < 9 {
        return Ok(());
    }
    let mut left: HashMap<Id, usize> = plans.iter().map(|(event, seats)| (*event, seats.len())).collect();
    let name = if format < 14 { "NULL" } else { "name" };
    let sql = format!("SELECT event, seat, article, free, {name} FROM seat ORDER BY event, seat");
    each(connection, &sql, [], |row| {
        let (event, seat, article, free) = (row.get::<Id>(0)?, row.u64(1)?, row.u64(2)?, row.u64(3)?);
        let name: Option<String> = row.get(4)?;
        let planned = plans.get(&event).and_then(|seats| seats.get(&seat));
        let planned =
            planned.is_some_and(|(sells, said)| *sells == article && name.as_ref().is_none_or(|name| name == said));
        let stands = match free {
            // Nobody can have one in the end that somebody was moved away from, and nobody ever onto.
            0 => gone.contains(&(event, seat)) && !moves.is_closed(event, seat),
            1 => !gone.contains(&(event, seat)) && !moves.is_closed(event, seat),
            2 => !gone.contains(&(event, seat)) && moves.may_be_closed(event, seat),
            _ => false,
        };
        findings.expect(planned && stands, What::Row, || {
            let state = ["taken", "free", "empty and not sold"].get(usize::try_from(free).unwrap_or(usize::MAX));
            let ledger = format!("sold by article {article}, {}", state.unwrap_or(&"?"));
            (place(&event, seat), "another article, or not so", ledger, "its row of table seat".to_owned())
        });
        if let Some(left) = left.get_mut(&event) {
            *left = left.saturating_sub(1);
        }
        Ok(())
    })?;
    let missing = left.iter().filter(|(_, left)| **left > 0).min();
    findings.expect(missing.is_none(), What::Row, || {
        let (about, count) =
            missing.map_or((String::new(), 0), |(event, left)| (format!("event-{}", hex(event)), *left));
        (about, format!("{count} seats more"), "fewer", "table seat".to_owned())
    });
    Ok(())
}
