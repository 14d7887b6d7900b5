//! Authorizations, each with what became of it.

use super::{Store, StoreError, amount, n, one, u};
use rusqlite::{Row, params};
use tegata_core::talk::credit::PaymentOption;
use tegata_core::{AccountId, Amount, ClearingNumber, DeviceId, PartyId, RequestNumber, Time};

/// Where an authorization stands.
///
/// ```text
/// Sent --approved--> Approved --Clear--> Capturing --0210--> Captured (refunds)
///  |                  |    ^------------declined'   'less than asked
///  |--declined--> Declined |                               |
///  |--silent------------>  Reversing(why) <----------------'
///                          Reversing(why) --0410--> Undone(why)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The 0100 may be at the bank; no answer yet.
    Sent = 1,
    /// Approved and held.
    Approved = 2,
    /// Declined: nothing is held.
    Declined = 3,
    /// The 0200 may be at the bank; no answer yet.
    Capturing = 4,
    /// Charged.
    Captured = 5,
    /// No answer came: being undone.
    ReversingUnknown = 6,
    /// Less was approved than asked for: being undone.
    ReversingPartial = 7,
    /// The provider let it go: being undone.
    ReversingVoid = 8,
    /// Undone, after no answer came.
    UndoneUnknown = 9,
    /// Undone, because less was approved.
    UndonePartial = 10,
    /// Undone, because the provider let it go.
    UndoneVoid = 11,
    /// The bank took another amount than was asked: that is being undone.
    ReversingCapture = 12,
    /// Undone, because the bank took another amount.
    UndoneCapture = 13,
}

impl State {
    const ALL: [Self; 13] = [
        Self::Sent,
        Self::Approved,
        Self::Declined,
        Self::Capturing,
        Self::Captured,
        Self::ReversingUnknown,
        Self::ReversingPartial,
        Self::ReversingVoid,
        Self::UndoneUnknown,
        Self::UndonePartial,
        Self::UndoneVoid,
        Self::ReversingCapture,
        Self::UndoneCapture,
    ];
    /// What a reversal that was answered leads to; `None` where none is under way.
    pub(crate) fn undone(self) -> Option<Self> {
        match self {
            Self::ReversingUnknown => Some(Self::UndoneUnknown),
            Self::ReversingPartial => Some(Self::UndonePartial),
            Self::ReversingVoid => Some(Self::UndoneVoid),
            Self::ReversingCapture => Some(Self::UndoneCapture),
            _ => None,
        }
    }
    /// Whether it has been undone.
    pub(crate) fn is_undone(self) -> bool {
        matches!(self, Self::UndoneUnknown | Self::UndonePartial | Self::UndoneVoid | Self::UndoneCapture)
    }
}

/// One authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorizationRow {
    pub(crate) provider: PartyId,
    pub(crate) number: RequestNumber,
    pub(crate) sequence: u64,
    pub(crate) at: Time,
    pub(crate) user: AccountId,
    pub(crate) merchant: AccountId,
    pub(crate) amount: Amount,
    pub(crate) option: PaymentOption,
    pub(crate) sale: u64,
    pub(crate) machine: DeviceId,
    pub(crate) partial: bool,
    pub(crate) state: State,
    /// What the bank approved, in minor units.
    pub(crate) approved: u64,
    /// The bank's name for what it approved.
    pub(crate) code: Option<String>,
    /// Trace number and time of the 0100.
    pub(crate) sent: (u32, Time),
    pub(crate) clearing: Option<ClearingNumber>,
    pub(crate) captured: u64,
    /// Trace number and time of the 0200 that captured.
    pub(crate) capture: Option<(u32, Time)>,
    pub(crate) refunded: u64,
    /// What refunds under way would pay back.
    pub(crate) refunding: u64,
}

const COLUMNS: &str = "provider, number, sequence, at, user, merchant, unit, amount, option, sale, machine, partial, state, \
                       approved, code, stan, sent, clearing, captured, captured_stan, captured_sent, refunded, refunding";

fn authorization(row: &Row<'_>) -> rusqlite::Result<AuthorizationRow> {
    let wrong = || rusqlite::Error::InvalidQuery;
    let state = u(row, 12)?;
    let capture = row.get::<_, Option<u32>>(19)?.zip(row.get::<_, Option<i64>>(20)?);
    Ok(AuthorizationRow {
        provider: PartyId(row.get(0)?),
        number: RequestNumber(row.get(1)?),
        sequence: u(row, 2)?,
        at: Time(u(row, 3)?),
        user: AccountId(row.get(4)?),
        merchant: AccountId(row.get(5)?),
        amount: amount(u(row, 6)?, u(row, 7)?)?,
        option: PaymentOption::from_code(u(row, 8)?).ok_or_else(wrong)?,
        sale: u(row, 9)?,
        machine: DeviceId(row.get(10)?),
        partial: row.get(11)?,
        state: State::ALL.into_iter().find(|known| *known as u64 == state).ok_or_else(wrong)?,
        approved: u(row, 13)?,
        code: row.get(14)?,
        sent: (row.get(15)?, Time(u(row, 16)?)),
        clearing: row.get::<_, Option<_>>(17)?.map(ClearingNumber),
        captured: u(row, 18)?,
        capture: capture.map(|(stan, at)| (stan, Time(at.cast_unsigned()))),
        refunded: u(row, 21)?,
        refunding: u(row, 22)?,
    })
}

impl Store {
    pub(crate) fn authorization(
        &self,
        provider: PartyId,
        number: RequestNumber,
    ) -> Result<Option<AuthorizationRow>, StoreError> {
        let mut sql = self.sql(&format!("SELECT {COLUMNS} FROM authorization WHERE provider = ?1 AND number = ?2"))?;
        one(sql.query_row(params![provider.0, number.0], authorization))
    }
    pub(crate) fn cleared(
        &self,
        provider: PartyId,
        clearing: ClearingNumber,
    ) -> Result<Option<AuthorizationRow>, StoreError> {
        let mut sql =
            self.sql(&format!("SELECT {COLUMNS} FROM authorization WHERE clearing = ?1 AND provider = ?2"))?;
        one(sql.query_row(params![clearing.0, provider.0], authorization))
    }
    pub(crate) fn put_authorization(&self, row: &AuthorizationRow) -> Result<(), StoreError> {
        let mut sql = self.sql(&format!(
            "INSERT OR REPLACE INTO authorization ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
             ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)"
        ))?;
        sql.execute(params![
            row.provider.0,
            row.number.0,
            n(row.sequence),
            n(row.at.0),
            row.user.0,
            row.merchant.0,
            row.amount.unit().code(),
            n(row.amount.minor()),
            n(row.option.code()),
            n(row.sale),
            row.machine.0,
            row.partial,
            row.state as i64,
            n(row.approved),
            row.code,
            row.sent.0,
            n(row.sent.1.0),
            row.clearing.map(|clearing| clearing.0),
            n(row.captured),
            row.capture.map(|(stan, _)| stan),
            row.capture.map(|(_, at)| n(at.0)),
            n(row.refunded),
            n(row.refunding),
        ])?;
        Ok(())
    }
}
