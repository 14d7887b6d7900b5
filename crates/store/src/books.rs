//! Postings, balances, periods and payouts.

use crate::row::{Columns, all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{Hash, IssuerId, MerchantId, PartyId, Time, Unit};
use tegata_ledger::{Equation, Kind, Posting, Side};

/// Why a posting was made; part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Numbers were activated; the reference is the activation.
    Activated = 1,
    /// A card was installed; the reference is the number.
    Installed = 2,
    /// A card was loaded; the reference is the raise.
    Loaded = 3,
    /// A wallet's check came before any claim; the reference is the check.
    Spent = 4,
    /// A terminal's claim; the reference is the check.
    Claimed = 5,
    /// A void of a paid charge; the reference is the check.
    Voided = 6,
    /// A void, close or reversal was taken up; the reference is the check.
    Returned = 7,
    /// Value that came back repays the guarantor; the reference is what brought it.
    Repaid = 8,
    /// A payout; the reference is the period's number.
    PaidOut = 9,
    /// Credit was cleared; the reference is the offer, or the reservation of what was bought.
    Cleared = 10,
    /// A card was issued for a purchase; the reference is the user's agreement.
    Sold = 11,
    /// What was issued for a purchase was not delivered after all; the reference is the user's agreement.
    Withdrawn = 12,
    /// Money went back to a bank card; the reference is the refund's number.
    Refunded = 13,
    /// What was left on a card given back that was not paid by credit; the reference is the card's last event.
    Disputed = 14,
    /// The fee on a payment; the reference is its check or offer, the subject who pays it.
    Fee = 15,
    /// The payment was undone and its fee given back; the same reference and subject.
    FeeBack = 16,
    /// The bank gave a payout back; the reference is the hash of its end-to-end id.
    CameBack = 17,
}

/// A posting with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostingRow {
    /// The card, else the issuer or merchant.
    pub subject: [u8; 16],
    /// Why.
    pub cause: Cause,
    /// What caused it.
    pub reference: Hash,
    /// The posting.
    pub posting: Posting,
    /// The period that is open.
    pub period: u64,
}

/// What a merchant was paid in a period of one issuer's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutRow {
    /// The period.
    pub period: u64,
    /// To whom.
    pub merchant: MerchantId,
    /// Whose value.
    pub issuer: IssuerId,
    /// In what.
    pub unit: Unit,
    /// How much; below nothing, it is set off against what the others of the same payout bring.
    pub amount: i64,
}

const POST: &str = "INSERT INTO posting (subject, what, reference, source, target, issuer, unit, party, amount, period) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

fn merchant(kind: Kind) -> Option<[u8; 16]> {
    match kind {
        Kind::Payable(merchant) | Kind::Paid(merchant) => Some(merchant.0),
        _ => None,
    }
}

impl Store {
    /// Adds a posting.
    ///
    /// # Errors
    /// [`StoreError::Twice`] if its key is there already, and others.
    pub fn post(&self, row: &PostingRow) -> Result<(), StoreError> {
        let Posting { from, to, amount } = row.posting;
        self.sql(POST)?.execute(params![
            row.subject,
            row.cause as i64,
            row.reference.0,
            from.kind.side().code(),
            to.kind.side().code(),
            from.issuer.0,
            from.unit.code(),
            merchant(to.kind).or(merchant(from.kind)),
            n(amount),
            n(row.period),
        ])?;
        Ok(())
    }
    /// What was posted under this key, from whatever account; 0 for nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn posted(&self, subject: [u8; 16], cause: Cause, reference: &Hash) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(sum(amount), 0) FROM posting WHERE subject = ?1 AND what = ?2 AND reference = ?3";
        Ok(one(self.sql(sql)?, params![subject, cause as i64, reference.0], |row| row.u64())?.unwrap_or(0))
    }
    /// What was posted under this key from accounts of this side; 0 for nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn posted_from(
        &self,
        subject: [u8; 16],
        cause: Cause,
        reference: &Hash,
        side: Side,
    ) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(sum(amount), 0) FROM posting
            WHERE subject = ?1 AND what = ?2 AND reference = ?3 AND source = ?4";
        Ok(one(self.sql(sql)?, params![subject, cause as i64, reference.0, side.code()], |row| row.u64())?.unwrap_or(0))
    }
    /// The sums of one issuer and unit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn equation(&self, issuer: IssuerId, unit: Unit) -> Result<Equation, StoreError> {
        let sql = "SELECT kind, amount FROM balance WHERE issuer = ?1 AND unit = ?2 AND party = x''";
        let mut equation = Equation::default();
        for (side, amount) in all(self.sql(sql)?, params![issuer.0, unit.code()], side_and_amount)? {
            equation.add(side, i128::from(amount));
        }
        Ok(equation)
    }
    /// Writes the sums of one issuer and unit, as far as they are not as they were read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_equation(
        &self,
        issuer: IssuerId,
        unit: Unit,
        as_read: &Equation,
        equation: &Equation,
    ) -> Result<(), StoreError> {
        for side in Side::ALL.into_iter().filter(|side| as_read.sum(*side) != equation.sum(*side)) {
            let sum = i64::try_from(equation.sum(side)).map_err(|_| StoreError::Damaged)?;
            self.put_balance(issuer, unit, side, None, sum)?;
        }
        Ok(())
    }
    /// What an issuer owes or paid a merchant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn balance(&self, issuer: IssuerId, unit: Unit, side: Side, party: PartyId) -> Result<i64, StoreError> {
        let sql = "SELECT amount FROM balance WHERE issuer = ?1 AND unit = ?2 AND kind = ?3 AND party = ?4";
        let found = one(self.sql(sql)?, params![issuer.0, unit.code(), side.code(), party.0], |row| row.get())?;
        Ok(found.unwrap_or(0))
    }
    /// Writes a merchant's balance, or (without one) the sum over all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_balance(
        &self,
        issuer: IssuerId,
        unit: Unit,
        side: Side,
        party: Option<PartyId>,
        amount: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO balance (issuer, unit, kind, party, amount) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET amount = ?5";
        let party = party.map_or(Vec::new(), |party| party.0.to_vec());
        self.sql(sql)?.execute(params![issuer.0, unit.code(), side.code(), party, amount])?;
        Ok(())
    }
    /// Every issuer and unit that has books.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn books(&self) -> Result<Vec<(IssuerId, Unit)>, StoreError> {
        let sql = "SELECT DISTINCT issuer, unit FROM balance WHERE party = x'' ORDER BY issuer, unit";
        all(self.sql(sql)?, [], |row| Ok((PartyId(row.get()?), row.unit()?)))
    }
    /// What is owed to merchants: issuer, unit, merchant, amount.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn payable(&self) -> Result<Vec<(IssuerId, Unit, MerchantId, u64)>, StoreError> {
        let sql = "SELECT issuer, unit, party, amount FROM balance
            WHERE kind = 5 AND party <> x'' AND amount > 0 ORDER BY party, issuer, unit";
        all(self.sql(sql)?, [], |row| Ok((PartyId(row.get()?), row.unit()?, PartyId(row.get()?), row.u64()?)))
    }
    /// A merchant's balances of one side: issuer, unit, amount.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn balances_of(&self, side: Side, party: MerchantId) -> Result<Vec<(IssuerId, Unit, u64)>, StoreError> {
        let sql = "SELECT issuer, unit, amount FROM balance WHERE kind = ?1 AND party = ?2 ORDER BY issuer, unit";
        let read = |row: &mut Columns<'_, '_>| Ok((PartyId(row.get()?), row.unit()?, row.u64()?));
        all(self.sql(sql)?, params![side.code(), party.0], read)
    }
    /// The number of the last period that was closed; 0 for none. The next one is open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_period(&self) -> Result<u64, StoreError> {
        Ok(one(self.sql("SELECT coalesce(max(number), 0) FROM period")?, [], |row| row.u64())?.unwrap_or(0))
    }
    /// When a period was closed; `None` while it is open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn closed(&self, period: u64) -> Result<Option<Time>, StoreError> {
        one(self.sql("SELECT at FROM period WHERE number = ?1")?, [n(period)], |row| row.time())
    }
    /// Closes a period, once.
    ///
    /// # Errors
    /// [`StoreError::Twice`] if it is closed already, and others.
    pub fn close_period(&self, period: u64, at: Time) -> Result<(), StoreError> {
        let sql = "INSERT INTO period (number, at, stamped) VALUES (?1, ?2, 1)";
        self.sql(sql)?.execute(params![n(period), n(at.0)])?;
        Ok(())
    }
    /// Adds a payout.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_payout(&self, row: &PayoutRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO payout (period, merchant, issuer, unit, amount) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (period, unit) = (n(row.period), row.unit.code());
        self.sql(sql)?.execute(params![period, row.merchant.0, row.issuer.0, unit, row.amount])?;
        Ok(())
    }
    /// A merchant's payouts, with the time of each.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn payouts_of(&self, merchant: MerchantId) -> Result<Vec<(PayoutRow, Time)>, StoreError> {
        let sql = "SELECT period, merchant, issuer, unit, amount, at FROM payout JOIN period ON number = period
            WHERE merchant = ?1 ORDER BY period, issuer, unit";
        all(self.sql(sql)?, [merchant.0], |row| {
            let payout = PayoutRow {
                period: row.u64()?,
                merchant: PartyId(row.get()?),
                issuer: PartyId(row.get()?),
                unit: row.unit()?,
                amount: row.get()?,
            };
            Ok((payout, row.time()?))
        })
    }
    /// Adds one line of a period's closing trial balance.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_trial_balance(
        &self,
        period: u64,
        issuer: IssuerId,
        unit: Unit,
        equation: &Equation,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO trial_balance (period, issuer, unit, kind, amount) VALUES (?1, ?2, ?3, ?4, ?5)";
        for side in Side::ALL {
            let sum = i64::try_from(equation.sum(side)).map_err(|_| StoreError::Damaged)?;
            self.sql(sql)?.execute(params![n(period), issuer.0, unit.code(), side.code(), sum])?;
        }
        Ok(())
    }
}

fn side_and_amount(row: &mut Columns<'_, '_>) -> rusqlite::Result<(Side, i64)> {
    Ok((Side::from_code(row.get()?).ok_or(rusqlite::Error::InvalidQuery)?, row.get()?))
}
