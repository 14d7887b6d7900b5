//! `camt.053.001.08`, bank to customer statement: what a bank has booked on one account, usually in one day.
//!
//! ```text
//! Document/BkToCstmrStmt
//!   GrpHdr                     MsgId (1-35), CreDtTm (UTC)
//!   Stmt                       exactly one, on one page
//!     Id (1-35), ElctrncSeqNb (or LglSeqNb), CreDtTm
//!     Acct                     Id/IBAN: ours; Ccy
//!     Bal                      Tp/CdOrPrtry/Cd OPBD (or PRCD) and CLBD; Amt with Ccy, CdtDbtInd, Dt
//!     Ntry                     any number
//!       Amt, CdtDbtInd, RvslInd, Sts/Cd BOOK, PDNG or INFO, BookgDt
//!       AcctSvcrRef            1-35, each once: says which entry was seen before
//!       NtryDtls/TxDtls        one for each payment in the entry; Amt where there are several
//!         Refs/EndToEndId
//!         RltdPties            Dbtr/Pty/Nm, DbtrAcct/Id/IBAN, Cdtr, CdtrAcct
//!         RtrInf               Rsn/Cd or Rsn/Prtry, AddtlInf: returned, or refused
//! ```
//!
//! Opening balance and booked entries make the closing balance, in one currency; a statement for which that does not
//! hold cannot be made, and is not read. Banks write many more elements than these: the reader passes over those that
//! the schema has at their place, once if it has them once, and refuses everything else.

mod entry;
mod read;
mod write;

pub use entry::{Counterparty, Detail, Entry, Reason, Return, Side, Status};

use crate::Blame;
use crate::value::{Date, DateError, Iban, Text, is_currency, write_moment};
use crate::xml::XmlError;
use std::collections::HashSet;
use tegata_core::money::{Amount, Time, Unit};

/// The namespace, which carries the version.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08";

/// What is on the account at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// How much.
    pub amount: Amount,
    /// Whether the owner has it or owes it.
    pub side: Side,
    /// At the beginning (opening) or end (closing) of this day of the bank.
    pub date: Date,
}

impl Balance {
    /// What lies this many minor units above or below nothing; `None` beyond what amounts hold.
    fn of(unit: Unit, signed: i128, date: Date) -> Option<Self> {
        let amount = Amount::new(unit, u64::try_from(signed.unsigned_abs()).ok()?)?;
        Some(Self { amount, side: if signed < 0 { Side::Debit } else { Side::Credit }, date })
    }
}

/// What a statement says before its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementHead {
    /// Names the file.
    pub message: Text<35>,
    /// Names the statement; the same when it is told again.
    pub id: Text<35>,
    /// Counts the account's statements, so that a missing one is noticed. At most 18 digits.
    pub sequence: u64,
    /// When it was made. Written in whole seconds of UTC.
    pub created: Time,
    /// Whose movements these are.
    pub account: Iban,
    /// What was there before.
    pub opening: Balance,
}

/// A statement whose sums are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    head: StatementHead,
    closing: Balance,
    entries: Vec<Entry>,
}

/// Why entries make no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The moment of its making cannot be written.
    #[error("creation time: {0}")]
    Created(DateError),
    /// More than 18 digits.
    #[error("a statement's number has at most 18 digits")]
    Sequence,
    /// The account is in what is no currency.
    #[error("accounts are not kept in {0:?}")]
    Unit(Unit),
    /// An entry or a payment in it is in another currency than the account.
    #[error("entry {at} is in {found:?}, the account in {expected:?}")]
    Currency {
        /// Which, counted from 0.
        at: usize,
        /// The account's.
        expected: Unit,
        /// The entry's.
        found: Unit,
    },
    /// The payments in an entry do not add up to it.
    #[error("the payments in entry {at} do not add up to it")]
    Details {
        /// Which, counted from 0.
        at: usize,
    },
    /// Two entries have the same reference, so that neither could be recognized.
    #[error("entry {at} has the reference of an earlier one")]
    Doubled {
        /// Which, counted from 0.
        at: usize,
    },
    /// The statement closes before it opens.
    #[error("it closes on a day before it opens")]
    Dates,
    /// The closing balance is more than amounts hold.
    #[error("the closing balance has more digits than can be said")]
    Large,
}

impl StatementError {
    /// Who is at fault when a statement is made; when one is read, see [`ReadError::blame`].
    pub fn blame(&self) -> Blame {
        Blame::Caller
    }
    fn at(&self) -> Option<usize> {
        match self {
            Self::Currency { at, .. } | Self::Details { at } | Self::Doubled { at } => Some(*at),
            _ => None,
        }
    }
}

/// Why a file is no statement of our account. Reading it again fails again; ask the bank.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The XML, or an element's content.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A rule of statements.
    #[error("{path}: {why}")]
    Rule {
        /// The element.
        path: String,
        /// The rule.
        why: StatementError,
    },
    /// It is of another account.
    #[error("{path}: this is the statement of another account than ours")]
    Account {
        /// The element.
        path: String,
    },
    /// The closing balance is not what opening balance and booked entries make.
    #[error("{path}: says {says} where the opening balance and the entries make {computed}, in minor units")]
    Closing {
        /// The element.
        path: String,
        /// What it says, credits above nothing.
        says: i128,
        /// What the entries make.
        computed: i128,
    },
    /// The file holds what this reader does not take: pages, a balance missing or doubled, two currencies.
    #[error("{path}: {what}")]
    Content {
        /// The element.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl ReadError {
    /// Who is at fault: whoever wrote the file; if it is of another account, whoever picked it.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Account { .. } => Blame::Caller,
            _ => Blame::Writer,
        }
    }
    /// The element that is at fault.
    pub fn path(&self) -> &str {
        match self {
            Self::Xml(error) => &error.path,
            Self::Rule { path, .. }
            | Self::Account { path }
            | Self::Closing { path, .. }
            | Self::Content { path, .. } => path,
        }
    }
}

impl Statement {
    /// Makes a statement; its closing balance is computed.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn new(mut head: StatementHead, closes: Date, entries: Vec<Entry>) -> Result<Self, StatementError> {
        Date::of(head.created).map_err(StatementError::Created)?;
        if head.sequence >= 10u64.pow(18) {
            return Err(StatementError::Sequence);
        }
        let unit = head.opening.amount.unit();
        if !is_currency(unit) {
            return Err(StatementError::Unit(unit));
        }
        let mut signed = head.opening.side.signed(head.opening.amount);
        head.opening = Balance::of(unit, signed, head.opening.date).ok_or(StatementError::Large)?;
        let mut seen = HashSet::new();
        for (at, entry) in entries.iter().enumerate() {
            let amounts = entry.details.iter().map(|detail| detail.amount);
            if let Some(other) = amounts.chain([entry.amount]).find(|amount| amount.unit() != unit) {
                return Err(StatementError::Currency { at, expected: unit, found: other.unit() });
            }
            let total = entry.side.signed(entry.amount);
            let parts: i128 = entry.details.iter().map(|detail| detail.side.signed(detail.amount)).sum();
            if !entry.details.is_empty() && parts != total {
                return Err(StatementError::Details { at });
            }
            if !seen.insert(&entry.reference) {
                return Err(StatementError::Doubled { at });
            }
            if entry.status == Status::Booked {
                signed += total;
            }
        }
        if closes < head.opening.date {
            return Err(StatementError::Dates);
        }
        let closing = Balance::of(unit, signed, closes).ok_or(StatementError::Large)?;
        Ok(Self { head, closing, entries })
    }
    /// What it says before its entries.
    pub fn head(&self) -> &StatementHead {
        &self.head
    }
    /// The account's currency.
    pub fn currency(&self) -> Unit {
        self.head.opening.amount.unit()
    }
    /// What is there after the booked entries.
    pub fn closing(&self) -> Balance {
        self.closing
    }
    /// Its entries, as the bank lists them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    /// The file: the same bytes for the same statement.
    pub fn write(&self) -> Vec<u8> {
        write::write(self)
    }
    /// Reads a bank's file about this account of ours.
    ///
    /// # Errors
    /// [`ReadError`]: the first that is wrong. Elements come before what follows from several of them.
    pub fn read(bytes: &[u8], ours: &Iban) -> Result<Self, ReadError> {
        read::read(bytes, ours)
    }
}

/// The moment of a statement's making, which can be written.
fn created(head: &StatementHead) -> String {
    write_moment(head.created).expect("its day was looked up when the statement was made")
}

#[cfg(test)]
pub(crate) mod tests;
