//! Who owes whom at the close of a period.
//!
//! ```text
//! issuer, processor  -- what their value was credited to payees, less what was undone -->  provider
//! guarantor          -- what was overspent, less what came back ----------------------->  provider
//! provider           -- credited less undone, less fees, and what the bank gave back -->  merchants, issuers, itself (fees)
//! ```
//!
//! What comes out below nothing is owed the other way round, and carried to the next period.

use super::Parts;
use crate::desk::Desk;
use crate::{Provider, ProviderError};
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::{PartyId, Unit};
use tegata_ledger::Side;
use tegata_store::{PositionRow, PositionSide};

impl Provider {
    /// What a closed period came to; the last one, where none is named. Gives its number (0: none is closed) and the rows.
    ///
    /// # Errors
    /// [`super::SettleError::Open`] and others.
    pub fn owed(&self, period: Option<u64>) -> Result<(u64, Vec<PositionRow>), ProviderError> {
        let last = self.store().last_period()?;
        let period = period.unwrap_or(last);
        if period > last {
            return Err(super::SettleError::Open(period).into());
        }
        Ok((period, self.store().positions(period)?))
    }
}

/// One party's sums of a period.
#[derive(Clone, Copy, Default)]
struct Sums {
    credited: i64,
    undone: i64,
    fees: i64,
    returned: i64,
}

impl Sums {
    fn moved(self) -> i64 {
        self.credited - self.undone - self.fees + self.returned
    }
    fn row(self, period: u64, (party, unit): (PartyId, Unit), side: PositionSide, carried: i64) -> PositionRow {
        let Self { credited, undone, fees, returned } = self;
        let due = carried + self.moved();
        PositionRow { period, party, unit, side, carried, credited, undone, fees, returned, due }
    }
}

/// The positions of the period that is being closed, written. Whoever had nothing and gets nothing has none.
pub(super) fn positions(desk: &mut Desk<'_>, period: u64, parts: &Parts) -> Result<Vec<PositionRow>, ProviderError> {
    let mut payees: BTreeMap<(PartyId, Unit), Sums> = BTreeMap::new();
    let mut issuers: BTreeMap<(PartyId, Unit), Sums> = BTreeMap::new();
    // Settling itself moves nothing to or from payees: what is stored is complete.
    for row in desk.store.movements(period)? {
        let payee = payees.entry((row.party, row.unit)).or_default();
        payee.credited += row.credited;
        payee.undone += row.undone;
        payee.fees += row.fees;
        let issuer = issuers.entry((row.issuer, row.unit)).or_default();
        issuer.credited += row.credited;
        issuer.undone += row.undone;
    }
    for (party, unit, amount) in desk.store.came_back(period)? {
        payees.entry((party, unit)).or_default().returned += amount;
    }
    let mut rows = Vec::new();
    for key in parts.keys().chain(payees.keys()).copied().collect::<BTreeSet<_>>() {
        let due: i64 = parts.get(&key).map_or(0, |parts| parts.values().sum());
        let sums = payees.get(&key).copied().unwrap_or_default();
        rows.push(sums.row(period, key, PositionSide::Payee, due - sums.moved()));
    }
    let before = desk.store.positions(period - 1)?;
    let carried = |key, side| {
        let of = before.iter().find(|row| ((row.party, row.unit), row.side) == (key, side));
        of.map_or(0, |row| row.due.min(0))
    };
    for key in desk.store.books()? {
        let (issuer, unit) = key;
        let guaranteed = desk.books.equation(desk.store, issuer, unit)?.sum(Side::Guarantor);
        let guaranteed = i64::try_from(guaranteed).map_err(|_| tegata_ledger::LedgerError::Overflow)?;
        let covered = guaranteed - desk.store.closing(period - 1, issuer, unit, Side::Guarantor)?;
        // What a guarantor pays, the issuer does not.
        let sums = issuers.get(&key).copied().unwrap_or_default();
        let own = Sums { credited: sums.credited - covered, ..sums };
        rows.push(own.row(period, key, PositionSide::Issuer, carried(key, PositionSide::Issuer)));
        let guarantor = Sums { credited: covered, ..Sums::default() };
        rows.push(guarantor.row(period, key, PositionSide::Guarantor, carried(key, PositionSide::Guarantor)));
    }
    rows.retain(|row| [row.carried, row.credited, row.undone, row.fees, row.returned, row.due] != [0; 6]);
    rows.sort_by_key(|row| (row.side, row.party, row.unit));
    for row in &rows {
        desk.store.put_position(row)?;
    }
    Ok(rows)
}
