//! What the provider says about records that it did not take at face value: its exceptions, and the claims it refused.
//! Nobody signed these; each is held against its premise.

use crate::AuditError;
use crate::reading::{Id, each};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use tegata_core::Hash;

/// The kinds of exception, by their number in the schema.
pub(crate) mod kind {
    pub const FORK: u64 = 3;
    pub const ALTERED: u64 = 4;
    pub const OVERSPENT: u64 = 5;
    pub const LATE: u64 = 6;
    pub const AFTER_BLOCK: u64 = 7;
    pub const OVER_LIMIT: u64 = 8;
    pub const DOUBLE_CLAIM: u64 = 9;
    pub const MALFORMED: u64 = 10;
    pub const RESTORED: u64 = 11;
    pub const CLONED: u64 = 14;
    pub const MISPRICED: u64 = 18;
    /// Shown twice, came twice, beyond its terms, given twice, used after it was given.
    pub const OF_GATES: [u64; 5] = [CLONED, 15, 16, 17, 19];
}

/// One exception about a card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception {
    pub kind: u64,
    pub generation: Option<u64>,
    pub seq: Option<u64>,
    pub check: Option<Hash>,
    /// Both records are there, and they are two.
    pub both: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    pub count: u64,
    pub open: u64,
    by_card: HashMap<Id, Vec<Exception>>,
    malformed: HashSet<(Id, Hash)>,
    /// Checks whose claim was refused.
    pub refused: HashSet<Hash>,
}

impl Verdicts {
    /// Reads exceptions and refusals.
    pub fn read(connection: &Connection) -> Result<Self, AuditError> {
        let mut verdicts = Self::default();
        let sql = "SELECT kind, state, device, card, generation, seq, check_hash, wallet_record, terminal_record
            FROM exception ORDER BY number";
        each(connection, sql, [], |row| {
            verdicts.count += 1;
            verdicts.open += u64::from(row.u64(1)? == 1);
            let records = (row.get::<Option<Vec<u8>>>(7)?, row.get::<Option<Vec<u8>>>(8)?);
            let kind = row.u64(0)?;
            let convicts = matches!(kind, kind::MALFORMED | kind::ALTERED | kind::FORK);
            if let (true, Some(device)) = (convicts, row.get::<Option<Id>>(2)?) {
                for record in [&records.0, &records.1].into_iter().flatten() {
                    verdicts.malformed.insert((device, Hash::of(record)));
                }
            }
            if let Some(card) = row.get::<Option<Id>>(3)? {
                let both = matches!(&records, (Some(one), Some(other)) if one != other);
                let check = row.get::<Option<[u8; 32]>>(6)?.map(Hash);
                let (generation, seq) = (row.opt_u64(4)?, row.opt_u64(5)?);
                verdicts.by_card.entry(card).or_default().push(Exception { kind, generation, seq, check, both });
            }
            Ok(())
        })?;
        let sql = "SELECT check_hash FROM claim WHERE state = 4 AND check_hash IS NOT NULL
            UNION ALL SELECT hash FROM event WHERE state = 5";
        each(connection, sql, [], |row| {
            verdicts.refused.insert(Hash(row.get(0)?));
            Ok(())
        })?;
        Ok(verdicts)
    }
    /// Whether an exception shows this record of this device as not what it says.
    pub fn is_malformed(&self, device: Id, record: Hash) -> bool {
        self.malformed.contains(&(device, record))
    }
    /// Cards whose holder is convicted by what was shown at gates.
    pub fn convicted_at_gates(&self) -> impl Iterator<Item = &Id> {
        let cloned = |all: &&Vec<Exception>| all.iter().any(|one| one.kind == kind::CLONED);
        self.by_card.iter().filter(move |(_, all)| cloned(all)).map(|(card, _)| card)
    }
    /// The exceptions about a card.
    pub fn about(&self, card: &Id) -> &[Exception] {
        self.by_card.get(card).map_or(&[], Vec::as_slice)
    }
    /// Whether a check has an exception of this kind.
    pub fn has(&self, card: &Id, check: &Hash, kind: u64) -> bool {
        self.about(card).iter().any(|found| found.kind == kind && found.check == Some(*check))
    }
}
