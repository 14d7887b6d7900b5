//! What the processor was asked, each request signed by the provider, and what it answered, signed by the processor.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::reading::{Id, each, hex};
use crate::trust::Trust;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use tegata_core::talk::credit::{
    Authorize, Clear, ClearingCompletion, OutcomeState, ProcessorAnswer, ProcessorInfo, Refund, VoidAuthorization,
    read_processor_answer,
};
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::signed::{PublicKey, Signed, Verified};
use tegata_crypto_native::RecordVerifier;

/// A capture that was asked for, and how it was answered.
pub(crate) struct Capture {
    pub request: Signed<Clear>,
    pub answer: Option<Verified<ClearingCompletion>>,
}

/// A refund that was asked for, and what was paid back of it, in minor units.
pub(crate) struct PaidBack {
    pub request: Signed<Refund>,
    pub back: Option<u64>,
}

/// All of it, by the requests' numbers.
#[derive(Default)]
pub(crate) struct Asked {
    pub processor: Option<Id>,
    pub captures: HashMap<Id, Capture>,
    /// Authorizations that were approved over what was asked for, in minor units.
    pub approved: HashMap<Id, u64>,
    /// Authorizations that were approved, over whatever amount.
    held: HashSet<Id>,
    /// Authorizations that the processor was asked to let go.
    let_go: HashSet<Id>,
    pub refunds: HashMap<Id, PaidBack>,
}

impl Asked {
    /// Reads and verifies; a database of a format without credit has none.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut asked = Self::default();
        if format < 3 {
            return Ok(asked);
        }
        let mut key = None;
        each(connection, "SELECT info FROM processor", [], |row| {
            if let Ok(info) = ProcessorInfo::from_bytes(&row.get::<Vec<u8>>(0)?) {
                asked.processor = Some(info.processor.0);
                key = Some(info.key);
            }
            Ok(())
        })?;
        each(connection, "SELECT number, body, answer FROM asked ORDER BY number", [], |row| {
            let (number, body, answer) = (row.get::<Id>(0)?, row.get::<Vec<u8>>(1)?, row.get::<Option<Vec<u8>>>(2)?);
            let mut one = One { number, answer, key: key.as_ref(), trust, checked, findings };
            if let Some((request, answer)) = one.holds::<Clear>(&body, |clear| clear.number.0) {
                let answer = match answer {
                    Some(ProcessorAnswer::Cleared(completion)) => Some(completion),
                    _ => None,
                };
                asked.captures.insert(number, Capture { request, answer });
            } else if let Some((request, answer)) = one.holds::<Authorize>(&body, |asked| asked.number.0) {
                if let Some(ProcessorAnswer::Outcome(outcome)) = &answer
                    && outcome.state == OutcomeState::Approved
                {
                    asked.held.insert(number);
                }
                if state(answer.as_ref(), request.claimed().amount) == Some(OutcomeState::Approved) {
                    asked.approved.insert(number, request.claimed().amount.minor());
                }
            } else if let Some((request, _)) = one.holds::<VoidAuthorization>(&body, |void| void.number.0) {
                asked.let_go.insert(request.claimed().authorization.0);
            } else if let Some((request, answer)) = one.holds::<Refund>(&body, |refund| refund.number.0) {
                let most = request.claimed().amount;
                let back = match &answer {
                    Some(ProcessorAnswer::Outcome(outcome)) if outcome.state == OutcomeState::Refunded => {
                        outcome.amount
                    }
                    _ => None,
                };
                let back = back.filter(|back| back.unit() == most.unit() && (1..=most.minor()).contains(&back.minor()));
                asked.refunds.insert(number, PaidBack { request, back: back.map(tegata_core::Amount::minor) });
            }
            Ok(())
        })?;
        Ok(asked)
    }
}

impl Asked {
    /// Whether the bank holds it and nobody asked that it be let go.
    pub fn are_kept(&self, authorization: &Id) -> bool {
        self.held.contains(authorization) && !self.let_go.contains(authorization)
    }
}

/// The state of an outcome over exactly this amount.
fn state(answer: Option<&ProcessorAnswer>, amount: tegata_core::Amount) -> Option<OutcomeState> {
    match answer? {
        ProcessorAnswer::Outcome(outcome) if outcome.amount == Some(amount) => Some(outcome.state),
        _ => None,
    }
}

/// One row of table asked.
struct One<'a, 'b> {
    number: Id,
    answer: Option<Vec<u8>>,
    key: Option<&'a PublicKey>,
    trust: &'a Trust,
    checked: &'b mut u64,
    findings: &'b mut Findings,
}

impl One<'_, '_> {
    /// The row as a request of this sort, if it is one and holds.
    fn holds<T: Message + Clone>(
        &mut self,
        body: &[u8],
        number: impl Fn(&T) -> Id,
    ) -> Option<(Signed<T>, Option<ProcessorAnswer>)> {
        let request = Signed::<T>::decode(body).ok()?;
        *self.checked += 1;
        let ours = number(request.claimed()) == self.number && self.trust.signed_by_provider(&request);
        let read = self.answer.as_ref().zip(self.key).map(|(answer, key)| {
            *self.checked += 1;
            read_processor_answer(answer, &request.hash(&[]), key, &RecordVerifier)
        });
        self.findings.expect(ours && read.as_ref().is_none_or(Option::is_some), What::Row, || {
            let about = format!("request {} to the processor", hex(&self.number));
            (about, "no such request, or no such answer", "one", "its row of table asked".to_owned())
        });
        ours.then_some((request, read.flatten()))
    }
}
