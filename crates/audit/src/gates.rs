//! Where gates stand: each by an order of the event's promoter, whose gate it is, or by the invitation that it joined with (R25).

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::reading::{Id, each, hex};
use crate::trust::{Trust, holds};
use rusqlite::{Connection, OptionalExtension};
use tegata_core::Hash;
use tegata_core::talk::event::{GateInvite, GateOrder};
use tegata_core::talk::join::JoinReply;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;

/// Promoter, event, door and direction.
type Place = (Id, Id, u64, u64);

/// Judges them all; a database of a format without tickets has none.
pub(crate) fn examine(
    connection: &Connection,
    trust: &Trust,
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format < 8 {
        return Ok(());
    }
    let sql = "SELECT gate.gate, gate.event, gate.door, gate.direction, gate.order_body, planned.promoter FROM gate
        LEFT JOIN planned ON planned.event = gate.event ORDER BY gate.gate";
    let mut rows = Vec::new();
    each(connection, sql, [], |row| {
        let place = (row.get::<Id>(1)?, row.u64(2)?, row.u64(3)?);
        rows.push((row.get::<Id>(0)?, place, row.get::<Vec<u8>>(4)?, row.get::<Option<Id>>(5)?));
        Ok(())
    })?;
    for (gate, (event, door, direction), order, promoter) in rows {
        *checked += 1;
        let owner = trust.member(&gate).filter(|member| member.role == Role::Gate).and_then(|member| member.owner);
        let signed = match Signed::<GateInvite>::decode(&order) {
            Ok(invite) if format >= 12 => invited(connection, trust, (&invite, &order), gate)?,
            _ => ordered(trust, &order, gate),
        };
        let fits = promoter.is_some() && owner == promoter;
        let fits = fits && signed == promoter.map(|promoter| (promoter, event, door, direction));
        findings.expect(fits, What::Row, || {
            let about = format!("the place of gate dev-{}", hex(&gate));
            (about, "no such order or invitation signed by its promoter", "a place", "its row of table gate".to_owned())
        });
    }
    Ok(())
}

/// What a promoter has ordered for this gate.
fn ordered(trust: &Trust, order: &[u8], gate: Id) -> Option<Place> {
    let signed = Signed::<GateOrder>::decode(order).ok()?;
    let said = signed.claimed();
    let good = said.gate.0 == gate && holds(&signed, trust.key(&said.promoter.0, Role::Issuer)?, &[]);
    good.then_some((said.promoter.0, said.event.0, said.door, said.direction.code()))
}

/// Where a promoter has invited whoever joins with the token that this gate joined with.
fn invited(
    connection: &Connection,
    trust: &Trust,
    (signed, bytes): (&Signed<GateInvite>, &[u8]),
    gate: Id,
) -> Result<Option<Place>, AuditError> {
    let said = signed.claimed();
    let Hash(secret) = said.secret;
    let sql = "SELECT reply FROM token WHERE secret = ?1 AND place = ?2 AND reply IS NOT NULL";
    let reply: Option<Vec<u8>> = connection.query_row(sql, (secret, bytes), |row| row.get(0)).optional()?;
    let joined = reply.and_then(|reply| Signed::<JoinReply>::decode(&reply).ok());
    let its = joined.is_some_and(|reply| reply.claimed().certificate.claimed().subject.0 == gate);
    let good = its && trust.key(&said.promoter.0, Role::Issuer).is_some_and(|key| holds(signed, key, &[]));
    Ok(good.then_some((said.promoter.0, said.event.0, said.door, said.direction.code())))
}
