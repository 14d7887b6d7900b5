//! The staff at events' gates, as their promoters signed it, and what badges signed by hand: each row stands for an entry of a gate's
//! log, and each such entry has its row.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::facts::Place;
use crate::reading::{Id, each, hex};
use crate::trust::{Trust, holds};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap};
use tegata_core::talk::enter::{ByHand, Member, check};
use tegata_core::talk::event::StaffOrder;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;
use tegata_core::{DeviceId, PartyId};
use tegata_crypto_native::RecordVerifier;

/// The staff of events, by their promoters.
#[derive(Default)]
pub(crate) struct Staff(HashMap<Id, (PartyId, Vec<Member>)>);

/// What a badge has signed: staff, zone, direction, people, ticket and entry, when, at which event.
pub(crate) type Hand = (u64, u64, u64, u64, Option<Id>, Option<u64>, u64, Id);
/// By gate, and the number that its log gave it first.
pub(crate) type Hands = BTreeMap<(Id, u64), (Hand, Place)>;

impl Staff {
    /// Reads the orders; a database of a format without staff has none.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let mut all = HashMap::new();
        if !has_staff(connection)? {
            return Ok(Self(all));
        }
        let sql = "SELECT staff.event, staff.revision, staff.body, planned.promoter FROM staff
            LEFT JOIN planned ON planned.event = staff.event ORDER BY staff.event";
        each(connection, sql, [], |row| {
            let (event, revision) = (row.get::<Id>(0)?, row.u64(1)?);
            let promoter: Option<Id> = row.get(3)?;
            *checked += 1;
            let order = Signed::<StaffOrder>::decode(&row.get::<Vec<u8>>(2)?).ok().filter(|signed| {
                let said = signed.claimed();
                (said.event.0, said.revision, Some(said.promoter.0)) == (event, revision, promoter)
                    && trust.key(&said.promoter.0, Role::Issuer).is_some_and(|key| holds(signed, key, &[]))
            });
            findings.expect(order.is_some(), What::Row, || {
                let about = format!("the staff of event-{}", hex(&event));
                (about, "no such order signed by its promoter", "an order", "its row of table staff".to_owned())
            });
            if let Some(order) = order {
                let said = order.claimed();
                all.insert(event, (said.promoter, said.staff.clone()));
            }
            Ok(())
        })?;
        Ok(Self(all))
    }
    /// What a badge of the event has signed for this place in a gate's log.
    pub fn by_hand(
        &self,
        signed: &Signed<ByHand>,
        (gate, number, owner): (Id, u64, Option<Id>),
    ) -> Result<Hand, &'static str> {
        let said = signed.claimed();
        let (promoter, staff) = self.0.get(&said.event.0).ok_or("its event has no staff")?;
        if owner != Some(promoter.0) {
            return Err("the gate is another promoter's");
        }
        let place = (DeviceId(gate), number);
        check(signed, staff, place, said.at, &RecordVerifier).map_err(|_| "no badge of its event has signed it")?;
        let over = said.over.as_ref();
        Ok((
            said.staff,
            said.zone,
            said.direction.code(),
            said.people,
            over.map(|over| over.card.0),
            over.map(|over| over.entry),
            said.at.0,
            said.event.0,
        ))
    }
}

fn has_staff(connection: &Connection) -> Result<bool, AuditError> {
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(format >= 10)
}

/// Holds the rows against the entries.
pub(crate) fn compare(connection: &Connection, hands: &Hands, findings: &mut Findings) -> Result<(), AuditError> {
    if !has_staff(connection)? {
        return Ok(());
    }
    let mut rows: BTreeMap<(Id, u64), Hand> = BTreeMap::new();
    let sql = "SELECT gate, number, staff, zone, direction, people, card, entry, at, event FROM by_hand";
    each(connection, sql, [], |row| {
        let (card, entry) = (row.get::<Option<Id>>(6)?, row.opt_u64(7)?);
        let said = (row.u64(2)?, row.u64(3)?, row.u64(4)?, row.u64(5)?, card, entry, row.u64(8)?, row.get::<Id>(9)?);
        rows.insert((row.get(0)?, row.u64(1)?), said);
        Ok(())
    })?;
    for ((gate, number), (said, place)) in hands {
        findings.expect(rows.remove(&(*gate, *number)).as_ref() == Some(said), What::Row, || {
            let about = format!("what was done by hand at dev-{}", hex(gate));
            (about, "what a badge has signed", "another row of table by_hand, or none", place.to_string())
        });
    }
    for (gate, number) in rows.keys() {
        findings.expect(false, What::Row, || {
            let about = format!("what was done by hand at dev-{}", hex(gate));
            (about, "nothing that a badge has signed", "a row of table by_hand", format!("its row {number}"))
        });
    }
    Ok(())
}
