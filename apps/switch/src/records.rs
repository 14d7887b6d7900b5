//! Call detail records: what an operator counts, each with the name of its evidence.

use std::collections::BTreeMap;
use tegata_core::card::CallEnd;
use tegata_core::talk::call::Call;
use tegata_core::{Amount, CardId, PartyId, Time, Unit};

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
    /// The trunk that it went through; none: to a phone of this switch.
    pub trunk: Option<String>,
    /// Whose trunk that is, and who is paid; none: the owner of this switch.
    pub operator: Option<PartyId>,
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
            trunk: call.through.as_ref().map(|through| through.trunk.clone()),
            operator: call.through.as_ref().and_then(|through| through.operator),
            evidence: receipt.call,
        })
    }
}

/// What went through one trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkTotal {
    /// Calls that have rung, as the provider counts them: a card was to pay, whether somebody answered or not.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// How long these lasted, in milliseconds.
    pub lasted: u64,
    /// What they cost.
    pub used: Amount,
}

/// The trunk, who is paid, and in which unit.
pub type TrunkKey = (Option<String>, Option<PartyId>, Unit);

/// Totals for each trunk, those of the switch's own phones first.
pub fn by_trunk(records: &[CallRecord]) -> BTreeMap<TrunkKey, TrunkTotal> {
    let mut totals: BTreeMap<TrunkKey, TrunkTotal> = BTreeMap::new();
    for record in records.iter().filter(|record| record.card.is_some()) {
        let unit = record.used.unit();
        let key = (record.trunk.clone(), record.operator, unit);
        let none = TrunkTotal { calls: 0, answered: 0, lasted: 0, used: Amount::zero(unit) };
        let total = totals.entry(key).or_insert(none);
        total.calls += 1;
        total.answered += u64::from(record.lasted.is_some());
        total.lasted += record.lasted.unwrap_or(0);
        // A sum of amounts that were paid is one that can be counted.
        total.used = total.used.plus(record.used).unwrap_or(total.used);
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_nobody_answered_count_and_those_that_nobody_agreed_to_do_not() {
        let usd = |minor| Amount::new(Unit::USD, minor).expect("in range");
        let record = |card: Option<u8>, lasted, used| CallRecord {
            number: 1,
            at: Time(0),
            called: "4930".into(),
            card: card.map(|card| CardId([card; 16])),
            lasted,
            paid: usd(used),
            used: usd(used),
            ended: CallEnd::NoAnswer,
            trunk: Some("carrier".into()),
            operator: None,
            evidence: tegata_core::Hash::ZERO,
        };
        let records = [record(None, None, 0), record(Some(1), None, 30), record(Some(2), Some(1_500), 70)];
        let totals: Vec<_> = by_trunk(&records).into_values().collect();
        assert_eq!(totals, [TrunkTotal { calls: 2, answered: 1, lasted: 1_500, used: usd(100) }]);
        assert!(by_trunk(&records[..1]).is_empty());
    }
}
