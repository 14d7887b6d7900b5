//! Call detail records: what an operator counts, each with the name of its evidence.

use tegata_core::card::CallEnd;
use tegata_core::talk::call::Call;
use tegata_core::{Amount, CardId, Time};

/// One call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Its number at this switch; the receipt and the log name it so.
    pub number: u64,
    /// When its tariff was agreed to.
    pub at: Time,
    /// The number that was called, as the caller knows it.
    pub called: String,
    /// The card that paid; none, if no check came.
    pub card: Option<CardId>,
    /// How long it lasted since it was answered, in milliseconds.
    pub lasted: Option<u64>,
    /// What was paid.
    pub paid: Amount,
    /// What it cost.
    pub used: Amount,
    /// How it ended.
    pub ended: CallEnd,
    /// What names it everywhere: session, switch and tariff, hashed.
    pub evidence: tegata_core::Hash,
}

impl CallRecord {
    /// `None`: it has not ended.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        let (tariff, receipt) = (call.tariff.claimed(), call.receipt.as_ref()?.claimed());
        Some(Self {
            number: tariff.transaction,
            at: tariff.at,
            called: tariff.called.clone(),
            card: call.card,
            lasted: receipt.lasted,
            paid: Amount::new(tariff.unit, call.paid())?,
            used: receipt.used,
            ended: receipt.ended,
            evidence: receipt.call,
        })
    }
}
