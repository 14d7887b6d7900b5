//! Contracts: what a payee pays for being paid, as the provider signed it. Fees are recomputed from these and from what was
//! paid; the arithmetic is written out once more here.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::reading::{Id, each, has_table, hex, unit_name};
use crate::trust::Trust;
use rusqlite::Connection;
use std::collections::HashMap;
use tegata_core::Hash;
use tegata_core::talk::contract::{Contract, Tender};
use tegata_core::wire::signed::Signed;

/// Contracts of one payee, tender and unit, by version.
type Versions = Vec<Contract>;

/// All contracts.
#[derive(Debug, Default)]
pub(crate) struct Contracts {
    /// The provider's own party: who earns the fees. Made from its root key, as its id is.
    pub provider: Id,
    by_payee: HashMap<(Id, u64, u16), Versions>,
}

impl Contracts {
    /// Reads them; a database of a format without contracts has none.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let mut contracts = Self::default();
        each(connection, "SELECT root FROM provider", [], |row| {
            contracts.provider.copy_from_slice(&Hash::of(&row.get::<Vec<u8>>(0)?).0[..16]);
            Ok(())
        })?;
        if !has_table(connection, "contract")? {
            return Ok(contracts);
        }
        let sql = "SELECT party, tender, unit, version, counts_from, body FROM contract
            ORDER BY party, tender, unit, version";
        each(connection, sql, [], |row| {
            let (party, tender, unit): (Id, u64, u16) = (row.get(0)?, row.u64(1)?, row.get(2)?);
            let (version, from, body) = (row.u64(3)?, row.u64(4)?, row.get::<Vec<u8>>(5)?);
            *checked += 1;
            let versions = contracts.by_payee.entry((party, tender, unit)).or_default();
            let signed = Signed::<Contract>::decode(&body).ok().filter(|signed| {
                let said = signed.claimed();
                (said.party.0, said.tender.code(), said.unit.code(), said.version, said.from.0)
                    == (party, tender, unit, version, from)
                    && version == versions.len() as u64 + 1
                    && said.from >= said.at
                    && trust.signed_by_provider(signed)
            });
            findings.expect(signed.is_some(), What::Row, || {
                let about = format!("contract {version} of party-{} in {}", hex(&party), unit_name(unit));
                (about, "no such contract signed by the provider", "a contract", "its row of table contract".to_owned())
            });
            versions.extend(signed.map(|signed| signed.claimed().clone()));
            Ok(())
        })?;
        Ok(contracts)
    }
    /// What a payee pays for a payment that arrived at this moment.
    pub fn fee(&self, payee: Id, (tender, unit): (Tender, u16), at: u64, amount: u64) -> i128 {
        let versions = self.by_payee.get(&(payee, tender.code(), unit));
        let counting = versions.into_iter().flatten().rev().find(|contract| contract.from.0 <= at);
        let Some(contract) = counting else { return 0 };
        // Half up: the share of twice the amount, and one, halved.
        let (amount, whole) = (i128::from(amount), i128::from(Contract::WHOLE));
        let share = (2 * amount * i128::from(contract.share) / whole + 1) / 2;
        (share + i128::from(contract.fixed)).min(amount)
    }
}
