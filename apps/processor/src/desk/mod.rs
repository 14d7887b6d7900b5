//! One transaction: requests are judged, what the bank said is written down, messages to the bank are written before they go.
//!
//! Every request is looked up by its number first: known bytes get their answer again, other bytes are refused. What is judged
//! stands in [`ask`]; what follows from the bank's word in [`hear`].

mod ask;
mod bank;
mod hear;

use crate::ProcessorError;
use crate::line::{Heard, Job};
use crate::prepare::{Prepared, Request};
use crate::shared::Shared;
use crate::store::{RequestRow, Store, StoreError};
use tegata_core::talk::credit::{Outcome, OutcomeState, ProcessorRefusal};
use tegata_core::wire::canonical::Message;
use tegata_core::{Hash, PartyId, RequestNumber, Time};
use tegata_crypto_native::primitive::mac;
use tegata_iso8583::AcquirerId;

/// Why a request was not done: refused, or the processor itself failed.
pub(crate) enum Failure {
    Refused(ProcessorRefusal),
    Processor(ProcessorError),
}

impl<E: Into<ProcessorError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Processor(error.into())
    }
}

impl From<ProcessorRefusal> for Failure {
    fn from(why: ProcessorRefusal) -> Self {
        Self::Refused(why)
    }
}

/// A request that now has its answer.
pub(crate) type Answered = (PartyId, RequestNumber, Vec<u8>);

/// What a request gets once the transaction is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// These bytes.
    Now(Vec<u8>),
    /// The answer that the request of this number will have, or that it is unknown.
    Wait(PartyId, RequestNumber),
}

/// What a handler found.
enum Found {
    /// An outcome that will not change; kept as the request's answer.
    Final(Box<Outcome>),
    /// An outcome that may; not kept.
    Passing(Box<Outcome>),
    /// Nothing yet: the bank is asked. What authorization it is about.
    Asked(RequestNumber),
}

/// One transaction at work.
pub(crate) struct Desk<'a> {
    pub(crate) store: &'a Store,
    pub(crate) shared: &'a Shared,
    pub(crate) acquirer: AcquirerId,
    pub(crate) now: Time,
    pub(crate) line_open: bool,
    entropy: [u8; 32],
    drawn: u64,
    /// To be handed to the line once this is durable.
    pub(crate) jobs: Vec<Job>,
    /// Requests that now have their answer.
    pub(crate) answered: Vec<Answered>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(
        store: &'a Store,
        shared: &'a Shared,
        acquirer: AcquirerId,
        line_open: bool,
        (now, entropy): (Time, [u8; 32]),
    ) -> Self {
        Self { store, shared, acquirer, now, line_open, entropy, drawn: 0, jobs: Vec::new(), answered: Vec::new() }
    }
    /// 32 bytes that nothing else gets.
    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        mac(&self.entropy, "tegata processor draw v1", &[&self.drawn.to_be_bytes()])
    }
    fn draw_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(&self.draw()[..16]);
        id
    }

    /// Judges one message.
    pub(crate) fn message(&mut self, prepared: &Prepared) -> Result<Reply, ProcessorError> {
        let request = match &prepared.request {
            Ok(request) => request,
            Err(why) => return self.refuse(prepared, *why),
        };
        let (provider, number, kind) = request.name();
        if let Some(row) = self.store.request(provider, number)? {
            return match row.answer {
                _ if row.kind == 0 => self.refuse(prepared, ProcessorRefusal::Closed),
                _ if row.hash != prepared.hash => self.refuse(prepared, ProcessorRefusal::Mismatch),
                Some(answer) => Ok(Reply::Now(answer)),
                None => Ok(Reply::Wait(provider, number)),
            };
        }
        let mut row =
            RequestRow { provider, number, hash: prepared.hash, kind, at: self.now, authorization: None, answer: None };
        match self.judge(request) {
            Ok(Found::Final(outcome)) => {
                let answer = self.shared.answer(&prepared.hash, *outcome);
                row.answer = Some(answer.clone());
                self.store.put_request(&row)?;
                Ok(Reply::Now(answer))
            }
            Ok(Found::Passing(outcome)) => Ok(Reply::Now(self.shared.answer(&prepared.hash, *outcome))),
            Ok(Found::Asked(authorization)) => {
                row.authorization = Some(authorization);
                self.store.put_request(&row)?;
                Ok(Reply::Wait(provider, number))
            }
            Err(Failure::Refused(why)) => {
                if !why.is_transient() {
                    row.answer = Some(self.shared.refusal(&prepared.hash, why, self.now));
                    self.store.put_request(&row)?;
                }
                self.refuse(prepared, why)
            }
            Err(Failure::Processor(error)) => Err(error),
        }
    }
    fn judge(&mut self, request: &Request) -> Result<Found, Failure> {
        match request {
            Request::Open(body) => self.open_account(body),
            Request::Authorize(body) => self.authorize(body),
            Request::Clear(body) => self.clear(body),
            Request::Void(body) => self.void(body),
            Request::Refund(body) => self.refund(body),
            Request::Query(body) => self.query(body),
        }
    }
    /// Refuses, and keeps why.
    fn refuse(&mut self, prepared: &Prepared, why: ProcessorRefusal) -> Result<Reply, ProcessorError> {
        self.store.put_refusal(self.now, why.name(), prepared.claimed, Some(prepared.hash))?;
        Ok(Reply::Now(self.shared.refusal(&prepared.hash, why, self.now)))
    }
    /// Signs and keeps the final answer of a request that waited for the bank.
    fn settle<T: Message>(&mut self, row: &RequestRow, body: T) -> Result<(), ProcessorError> {
        let answer = self.shared.answer(&row.hash, body);
        self.store.answer(row.provider, row.number, &answer)?;
        self.answered.push((row.provider, row.number, answer));
        Ok(())
    }
    /// The request of this number, which must be there.
    fn asker(&self, provider: PartyId, number: RequestNumber) -> Result<RequestRow, ProcessorError> {
        Ok(self.store.request(provider, number)?.ok_or(StoreError::Damaged)?)
    }
    /// Takes what the line tells.
    pub(crate) fn line(&mut self, heard: &Heard) -> Result<(), ProcessorError> {
        match heard {
            Heard::Up => self.line_open = true,
            Heard::Down => self.line_open = false,
            Heard::Answered { job, answer } => self.bank_answered(*job, answer)?,
            Heard::Silent { job } => self.bank_silent(*job)?,
            Heard::Stray(answer) => self.bank_strayed(answer)?,
            Heard::Odd(why) => self.store.put_refusal(self.now, &format!("bank: {why}"), None, None)?,
        }
        Ok(())
    }
}

/// What is told while nothing is known: not kept, signed for this request alone.
pub(crate) fn unknown(shared: &Shared, hash: &Hash, number: RequestNumber, now: Time) -> Vec<u8> {
    shared.answer(hash, shared.outcome(number, OutcomeState::Unknown, now))
}
