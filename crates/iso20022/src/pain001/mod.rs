//! `pain.001.001.09`, customer credit transfer initiation: a batch of payouts that a bank is asked to make.
//!
//! ```text
//! Document/CstmrCdtTrfInitn
//!   GrpHdr                 MsgId (1-31), CreDtTm (UTC), NbOfTxs, CtrlSum, InitgPty/Nm (the debtor's)
//!   PmtInf                 one for each currency, in order of its code
//!     PmtInfId             MsgId, "-", currency
//!     PmtMtd TRF, BtchBookg false: each transfer becomes an entry of its own in the statement
//!     NbOfTxs, CtrlSum     of this block
//!     PmtTpInf/SvcLvl/Cd   SEPA, in the block of euros alone
//!     ReqdExctnDt/Dt       the same in all blocks
//!     Dbtr/Nm, DbtrAcct/Id/IBAN, DbtrAgt/FinInstnId/BICFI
//!     ChrgBr               SLEV for euros, SHAR otherwise
//!     CdtTrfTxInf          1 to 50,000 in a file
//!       PmtId/EndToEndId   1-35, each once in a file
//!       Amt/InstdAmt       with Ccy; more than 0, at most 10^15 minor units
//!       CdtrAgt/FinInstnId/BICFI   optional
//!       Cdtr/Nm (1-70), CdtrAcct/Id/IBAN
//!       RmtInf/Ustrd       1-140, optional
//! ```
//!
//! Counts and sums are computed, never given. Texts are of the SEPA set. The reader takes this profile and nothing
//! else: a bank that passed over an element of an order would pay something else than was ordered.

mod read;
mod write;

use crate::Blame;
use crate::value::{Bic, ControlSum, Date, DateError, EndToEndId, Iban, MessageId, Sepa, is_currency, write_moment};
use crate::xml::XmlError;
use std::collections::HashSet;
use tegata_core::money::{Amount, Time, Unit};

/// The namespace, which carries the version.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";
/// The most transfers in one file.
pub const MAX_TRANSFERS: usize = 50_000;

/// Who pays, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debtor {
    /// The account's owner.
    pub name: Sepa<70>,
    /// The account.
    pub account: Iban,
    /// The bank that keeps it.
    pub bank: Bic,
}

/// Who is paid, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creditor {
    /// The account's owner.
    pub name: Sepa<70>,
    /// The account.
    pub account: Iban,
    /// The bank that keeps it; within SEPA the IBAN is enough.
    pub bank: Option<Bic>,
}

/// One payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its name from end to end.
    pub end_to_end: EndToEndId,
    /// How much, in which currency.
    pub amount: Amount,
    /// Who is paid.
    pub creditor: Creditor,
    /// What the creditor reads.
    pub remittance: Option<Sepa<140>>,
}

/// What the transfers of a batch have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHead {
    /// Names the file; never used again by this debtor.
    pub message: MessageId,
    /// When the batch was made. Written in whole seconds of UTC.
    pub created: Time,
    /// Who pays.
    pub debtor: Debtor,
    /// The debtor's bank day on which to pay.
    pub execution: Date,
}

/// A batch whose rules hold: it can be written, and was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    head: BatchHead,
    /// In order of their currencies' codes, otherwise as given.
    transfers: Vec<Transfer>,
}

/// Why transfers make no batch. A file is not at fault in its XML but in what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No transfers.
    #[error("a batch without transfers is not sent")]
    Empty,
    /// More than [`MAX_TRANSFERS`].
    #[error("{0} transfers are more than the 50000 of one file")]
    Many(usize),
    /// The moment of its making cannot be written.
    #[error("creation time: {0}")]
    Created(DateError),
    /// The day of payment was over in every time zone when the batch was made.
    #[error("the execution date {0} lies before the batch was made")]
    Execution(Date),
    /// Two transfers have the same end-to-end id.
    #[error("two transfers are called {id:?}")]
    Doubled {
        /// The second of them, counted from 0.
        at: usize,
        /// Their id.
        id: EndToEndId,
    },
    /// A transfer of nothing.
    #[error("transfer {id:?} pays nothing")]
    Nothing {
        /// Which, counted from 0.
        at: usize,
        /// Its id.
        id: EndToEndId,
    },
    /// A transfer of what is no currency.
    #[error("transfer {id:?} pays in {unit:?}, which no bank knows")]
    Currency {
        /// Which, counted from 0.
        at: usize,
        /// Its id.
        id: EndToEndId,
        /// Its unit.
        unit: Unit,
    },
    /// The control sum needs more than 18 digits.
    #[error("the transfers' sum has more digits than a file can say")]
    Sum,
}

impl BatchError {
    /// Who is at fault when a batch is made; when one is read, see [`ReadError::blame`].
    pub fn blame(&self) -> Blame {
        Blame::Caller
    }
    /// The transfer that is at fault, if one is.
    fn at(&self) -> Option<usize> {
        match self {
            Self::Doubled { at, .. } | Self::Nothing { at, .. } | Self::Currency { at, .. } => Some(*at),
            _ => None,
        }
    }
}

/// Why a file is no batch of this profile. Reading it again fails again, and nothing of it may be paid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The XML, or an element's content.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A rule of batches.
    #[error("{path}: {why}")]
    Rule {
        /// The element.
        path: String,
        /// The rule.
        why: BatchError,
    },
    /// A count that the transfers do not bear out.
    #[error("{path}: says {says} where the transfers make {computed}")]
    Computed {
        /// The element.
        path: String,
        /// What it says.
        says: String,
        /// What the transfers make.
        computed: String,
    },
    /// A block contradicts the first, or has its currency or id wrong.
    #[error("{path}: {what}")]
    Block {
        /// The element.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl ReadError {
    /// Who is at fault: always whoever wrote the file.
    pub fn blame(&self) -> Blame {
        Blame::Writer
    }
    /// The element that is at fault.
    pub fn path(&self) -> &str {
        match self {
            Self::Xml(error) => &error.path,
            Self::Rule { path, .. } | Self::Computed { path, .. } | Self::Block { path, .. } => path,
        }
    }
}

/// The transfers of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// Their currency.
    pub currency: Unit,
    /// At least one.
    pub transfers: &'a [Transfer],
}

impl Batch {
    /// Puts transfers in blocks by their currency.
    ///
    /// # Errors
    /// [`BatchError`], in the order of its variants; of transfers, the first that is wrong.
    pub fn new(head: BatchHead, mut transfers: Vec<Transfer>) -> Result<Self, BatchError> {
        if transfers.is_empty() {
            return Err(BatchError::Empty);
        }
        if transfers.len() > MAX_TRANSFERS {
            return Err(BatchError::Many(transfers.len()));
        }
        let made = Date::of(head.created).map_err(BatchError::Created)?;
        // West of Greenwich the day before may not be over yet.
        if head.execution.days() + 1 < made.days() {
            return Err(BatchError::Execution(head.execution));
        }
        let mut seen = HashSet::new();
        for (at, transfer) in transfers.iter().enumerate() {
            let id = &transfer.end_to_end;
            if !seen.insert(id) {
                return Err(BatchError::Doubled { at, id: id.clone() });
            }
            if transfer.amount.is_zero() {
                return Err(BatchError::Nothing { at, id: id.clone() });
            }
            let unit = transfer.amount.unit();
            if !is_currency(unit) {
                return Err(BatchError::Currency { at, id: id.clone(), unit });
            }
        }
        ControlSum::of(transfers.iter().map(|transfer| transfer.amount)).ok_or(BatchError::Sum)?;
        transfers.sort_by_key(|transfer| transfer.amount.unit().name());
        Ok(Self { head, transfers })
    }
    /// What its transfers have in common.
    pub fn head(&self) -> &BatchHead {
        &self.head
    }
    /// All transfers, block by block.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }
    /// Its blocks, one for each currency, in order of their codes.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let blocks = self.transfers.chunk_by(|a, b| a.amount.unit() == b.amount.unit());
        blocks.filter_map(|transfers| Some(Block { currency: transfers.first()?.amount.unit(), transfers }))
    }
    /// The file: the same bytes for the same batch.
    pub fn write(&self) -> Vec<u8> {
        write::write(self)
    }
    /// Reads a file of this profile.
    ///
    /// # Errors
    /// [`ReadError`]: the first that is wrong. Elements come before what follows from several of them.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        read::read(bytes)
    }
}

impl Block<'_> {
    /// Names the block: the message, a hyphen, the currency.
    fn id(&self, message: &MessageId) -> String {
        format!("{message}-{}", self.currency.name())
    }
    fn is_sepa(&self) -> bool {
        self.currency == Unit::EUR
    }
    fn charges(&self) -> &'static str {
        if self.is_sepa() { "SLEV" } else { "SHAR" }
    }
}

/// The control sum of transfers that are part of a batch.
fn sum(transfers: &[Transfer]) -> ControlSum {
    ControlSum::of(transfers.iter().map(|transfer| transfer.amount)).expect("the whole was summed up when it was made")
}

/// The moment of a batch's making, which can be written.
fn created(head: &BatchHead) -> String {
    write_moment(head.created).expect("its day was looked up when the batch was made")
}

#[cfg(test)]
pub(crate) mod tests;
