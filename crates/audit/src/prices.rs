//! Issuers' tariffs, as they signed them: what switches charge must be what these say (R24). Since when each counts is taken as recorded.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::numbers::{Book, Numbers};
use crate::reading::{Id, each, has_table, hex, unit_name};
use crate::trust::{Trust, holds};
use rusqlite::Connection;
use std::collections::HashMap;
use tegata_core::charging::{CallTariff, Tariff};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Signed;
use tegata_core::{Handle, Hash, Time};

/// One version.
#[derive(Debug)]
struct Version {
    hash: Hash,
    tariff: Tariff,
    /// When the provider took it in, where that is known.
    since: Option<Time>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    /// The oldest first.
    of: HashMap<Book, Vec<Version>>,
    /// How long a switch may go without hearing of a newer one, by the card's terms, in seconds.
    heard: HashMap<Handle, u64>,
    /// A database of a format in which prices were not compared.
    unknown: bool,
}

impl Prices {
    /// Reads them.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        numbers: &Numbers,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let heard = numbers.terms.iter().map(|(handle, terms)| (*handle, terms.list_age)).collect();
        let dated = "SELECT 1 FROM pragma_table_info('tariff') WHERE name = 'at'";
        let mut prices = Self { of: HashMap::new(), heard, unknown: true };
        each(connection, dated, [], |_| {
            prices.unknown = false;
            Ok(())
        })?;
        if prices.unknown || !has_table(connection, "tariff")? {
            return Ok(prices);
        }
        let sql = "SELECT issuer, unit, number, hash, body, at FROM tariff ORDER BY issuer, unit, number";
        each(connection, sql, [], |row| {
            let (issuer, unit, number): (Id, u16, u64) = (row.get(0)?, row.get(1)?, row.u64(2)?);
            let (hash, body, since) = (Hash(row.get(3)?), row.get::<Vec<u8>>(4)?, row.opt_u64(5)?.map(Time));
            *checked += 1;
            let versions = prices.of.entry((issuer, unit)).or_default();
            let signed = Signed::<Tariff>::decode(&body).ok().filter(|signed| {
                let said = signed.claimed();
                (said.issuer.0, said.unit.code(), said.number) == (issuer, unit, number)
                    && number == versions.len() as u64 + 1
                    && signed.hash(&[]) == hash
                    && trust.key(&issuer, Role::Issuer).is_some_and(|key| holds(signed, key, &[]))
            });
            findings.expect(signed.is_some(), What::Row, || {
                let about = format!("tariff {number} of issuer {} in {}", hex(&issuer), unit_name(unit));
                (about, "no such tariff signed by the issuer", "a tariff", "its row of table tariff".to_owned())
            });
            versions.extend(signed.map(|signed| Version { hash, tariff: signed.claimed().clone(), since }));
            Ok(())
        })?;
        Ok(prices)
    }
    /// Whether a call that a card of these terms paid was priced by its issuer: by the tariff that it names, unless the switch must
    /// have heard that this one was replaced, else by the one in force when the call began.
    pub fn hold(&self, book: Book, terms: Handle, call: &CallTariff) -> bool {
        let versions = self.of.get(&book).map_or(&[][..], Vec::as_slice);
        let heard = self.heard.get(&terms).copied().unwrap_or(0);
        let mut named = None;
        for (at, version) in versions.iter().enumerate().filter(|(_, version)| version.hash == call.tariff) {
            let replaced = versions.get(at + 1).and_then(|next| next.since);
            named = replaced.is_none_or(|since| call.at.0 <= since.0.saturating_add(heard)).then_some(version);
        }
        let then = || versions.iter().rev().find(|version| version.since.is_none_or(|since| since <= call.at));
        self.unknown || named.or_else(then).is_some_and(|version| version.tariff.prices(call))
    }
}
