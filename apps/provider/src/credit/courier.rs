//! What the processor is asked, and its answers. A request is durable before it is sent, sent as the same bytes until it is
//! answered for good, and never given up (R26).

use super::{accounts, clearing, lines, refuse};
use crate::buy;
use crate::desk::{Desk, Failure};
use std::collections::BTreeMap;
use tegata_core::step::Break;
use tegata_core::talk::credit::{CreditRefusal, CreditState, Outcome, OutcomeState, ProcessorAnswer};
use tegata_core::talk::credit::{PATIENCE, read_processor_answer};
use tegata_core::wire::canonical::Message;
use tegata_core::wire::certificate::SealingKey;
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::Signed;
use tegata_core::{DeviceId, Hash, PartyId, RequestNumber, Time};
use tegata_crypto_native::{Channel, SealError, seal_to};
use tegata_store::{About, AskedRow, CreditRow, ExceptionKind, ExceptionRow, StoreError};

/// After how many seconds a request is sent again that is not answered for good.
const RETRY: u64 = 2;
/// How many requests are looked at in one round.
const ROUND: u64 = 256;

/// A request on its way to the processor: to be sealed to it and posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToProcessor {
    /// Its number.
    pub number: RequestNumber,
    /// The signed request.
    pub body: Vec<u8>,
    /// The provider, whose line it is.
    pub provider: PartyId,
    /// The processor.
    pub processor: PartyId,
    /// To whom it is sealed.
    pub sealing: SealingKey,
    /// Where the processor is reached.
    pub url: String,
}

impl ToProcessor {
    /// Sealed for the way: under the channel that an earlier envelope set up, else by HPKE, which sets one up. `entropy` must
    /// serve this one call only.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, channel: Option<&Channel>, entropy: [u8; 32]) -> Result<(Sealed, Channel), SealError> {
        let line = Some(DeviceId(self.provider.0));
        match channel {
            Some(channel) => Ok((channel.seal(entropy, self.processor, line, &self.body), channel.clone())),
            None => seal_to(entropy, self.processor, line, &self.sealing, &self.body),
        }
    }
}

/// What came back, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The request's number.
    pub number: RequestNumber,
    /// The processor's signed answer.
    pub answer: Vec<u8>,
}

/// Queues a request within the open transaction, to be sent then.
pub(crate) fn send<T: Message>(
    desk: &mut Desk<'_>,
    number: RequestNumber,
    signed: &Signed<T>,
    about: About,
    due: Time,
) -> Result<(), Failure> {
    desk.asking = true;
    let row = AskedRow { number, hash: signed.hash(&[]), body: signed.encode(), about, at: desk.now };
    Ok(desk.store.put_asked(&row, due)?)
}

/// When each request that was sent may be sent again, should no answer come. Forgotten in a crash: then it is sent at once.
pub(crate) type Sent = BTreeMap<RequestNumber, Time>;

/// What is to be sent now.
pub(crate) fn due(desk: &Desk<'_>, sent: &mut Sent) -> Result<Vec<ToProcessor>, Failure> {
    if desk.store.processor()?.is_some_and(|row| row.revoked.is_some()) {
        return Ok(Vec::new());
    }
    let mut rows = desk.store.asked_due(desk.now, ROUND + sent.len() as u64)?;
    rows.retain(|row| sent.get(&row.number).is_none_or(|again| *again <= desk.now));
    rows.truncate(usize::try_from(ROUND).unwrap_or(usize::MAX));
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    sent.extend(rows.iter().map(|row| (row.number, desk.now.after(RETRY))));
    let processor = desk.store.processor()?.ok_or(StoreError::Damaged)?;
    rows.into_iter()
        .map(|row| {
            Ok(ToProcessor {
                number: row.number,
                body: row.body,
                provider: desk.shared.info.provider,
                processor: processor.info.processor,
                sealing: processor.info.sealing,
                url: processor.url.clone(),
            })
        })
        .collect()
}

/// What a processor says whose key is revoked moves nothing, and is kept for a person.
fn kept(desk: &mut Desk<'_>, asked: &Hash, answer: &[u8]) -> Result<(), Failure> {
    tracing::warn!("an answer of the processor is not believed: its key was revoked");
    desk.except(&ExceptionRow {
        number: 0,
        kind: ExceptionKind::Malformed,
        at: desk.now,
        open: true,
        device: None,
        merchant: None,
        issuer: None,
        card: None,
        generation: None,
        seq: None,
        check: Some(*asked),
        amount: None,
        bearer: "processor",
        wallet_record: None,
        terminal_record: Some(answer.to_vec()),
    })?;
    Ok(())
}

/// Takes answers up. One that the processor did not sign for this request is none; one for a request that is answered already
/// changes nothing.
pub(crate) fn answered(desk: &mut Desk<'_>, answers: &[Answered], sent: &mut Sent) -> Result<(), Failure> {
    let Some(processor) = desk.store.processor()? else {
        return Ok(());
    };
    for Answered { number, answer } in answers {
        let Some(asked) = desk.store.asked_open(*number)? else {
            sent.remove(number);
            continue;
        };
        if processor.revoked.is_some() {
            sent.remove(number);
            kept(desk, &asked.hash, answer)?;
            continue;
        }
        let read = read_processor_answer(answer, &asked.hash, &processor.info.key, desk.shared.verifier());
        let Some(read) = read else {
            tracing::warn!(%number, "what answered is not the processor's answer to this");
            continue;
        };
        let guess = match asked.about {
            About::Purchase(..) => Break::CaptureGuessed,
            _ => Break::UnknownIsDeclined,
        };
        let guessed = desk.shared.broken.has(guess) && is_unknown(&read);
        if transient(&read) && !guessed {
            sent.insert(*number, desk.now.after(RETRY));
            continue;
        }
        sent.remove(number);
        match asked.about {
            About::Account(subject) => {
                desk.store.answered(*number, answer)?;
                accounts::opened(desk, subject, *number, outcome_of(&read))?;
            }
            About::Payment(machine, offer) => {
                let row = desk.store.credit(machine, &offer)?.ok_or(StoreError::Damaged)?;
                if !ends(sort(&row, *number), &read) && !guessed {
                    again(desk, *number, sent);
                    continue;
                }
                desk.store.answered(*number, answer)?;
                payment(desk, row, *number, &read)?;
            }
            About::Purchase(wallet, purchase) => {
                if !buy::heard(desk, (wallet, purchase), *number, &read, answer)? {
                    again(desk, *number, sent);
                }
            }
            About::Refund => {
                if !buy::refund_heard(desk, *number, &read, answer)? {
                    again(desk, *number, sent);
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn outcome_of(answer: &ProcessorAnswer) -> Option<&Outcome> {
    match answer {
        ProcessorAnswer::Outcome(outcome) => Some(outcome),
        _ => None,
    }
}

/// Whether it says no more than that it is asked again.
fn transient(answer: &ProcessorAnswer) -> bool {
    match answer {
        ProcessorAnswer::Refused(refused) => refused.why.is_transient(),
        _ => is_unknown(answer),
    }
}

fn is_unknown(answer: &ProcessorAnswer) -> bool {
    outcome_of(answer).is_some_and(|outcome| outcome.state == OutcomeState::Unknown)
}

/// What was asked of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Authorize,
    Clear,
    Void,
    Refund,
}

fn sort(row: &CreditRow, number: RequestNumber) -> Sort {
    if row.clearing.as_ref().is_some_and(|asked| asked.number == number) {
        Sort::Clear
    } else if row.authorization == Some(number) {
        Sort::Authorize
    } else {
        Sort::Void
    }
}

/// Whether an answer is the end of this sort of request. Anything else is asked again: money is not concluded from it (R26).
pub(crate) fn ends(sort: Sort, answer: &ProcessorAnswer) -> bool {
    match answer {
        ProcessorAnswer::Cleared(_) => sort == Sort::Clear,
        ProcessorAnswer::Refused(_) => true,
        ProcessorAnswer::Outcome(outcome) => match outcome.state {
            OutcomeState::Declined => true,
            OutcomeState::Approved => sort == Sort::Authorize,
            OutcomeState::Voided => sort == Sort::Void,
            OutcomeState::Refunded => sort == Sort::Refund,
            _ => false,
        },
    }
}

fn again(desk: &Desk<'_>, number: RequestNumber, sent: &mut Sent) {
    tracing::warn!(%number, "the processor's answer is none to this sort of request");
    sent.insert(number, desk.now.after(RETRY));
}

/// What an answer means for a payment.
fn payment(
    desk: &mut Desk<'_>,
    mut row: CreditRow,
    number: RequestNumber,
    answer: &ProcessorAnswer,
) -> Result<(), Failure> {
    let clears = row.clearing.as_ref().is_some_and(|asked| asked.number == number);
    match answer {
        ProcessorAnswer::Cleared(completion) if clears => clearing::completed(desk, &mut row, number, completion),
        // What was authorized and is not taken is not left held; a void of what is gone already changes nothing.
        _ if clears => clearing::release(desk, &mut row, why(answer)),
        _ if row.authorization == Some(number) => authorized(desk, &mut row, answer),
        // A void: let go, or there was nothing left to let go.
        _ => Ok(()),
    }
}

fn authorized(desk: &mut Desk<'_>, row: &mut CreditRow, answer: &ProcessorAnswer) -> Result<(), Failure> {
    let amount = row.merchant.as_ref().map(|(side, _)| side.line.amount);
    let approved = outcome_of(answer).filter(|outcome| outcome.state == OutcomeState::Approved);
    if row.state == CreditState::Refused {
        // The charge ended while the bank was asked: what it approved is let go.
        let ended = row.why.unwrap_or(CreditRefusal::Closed);
        return if approved.is_some() { clearing::release(desk, row, ended) } else { Ok(()) };
    }
    match approved {
        None => return refuse(desk, row, why(answer)),
        // Another amount than was asked for is not what the user agreed to; what is held of it is let go.
        Some(outcome) if outcome.amount != amount => return clearing::release(desk, row, CreditRefusal::Declined),
        Some(_) => {}
    }
    row.state = CreditState::Authorized;
    row.authorized = Some(desk.now);
    Ok(desk.keep_credit(row)?)
}

fn why(answer: &ProcessorAnswer) -> CreditRefusal {
    match answer {
        ProcessorAnswer::Refused(_) => CreditRefusal::NoProcessor,
        _ => CreditRefusal::Declined,
    }
}

/// Ends what nobody goes on with: a line whose partner never came, an authorization that nobody cleared in time. One whose
/// authorization is unknown does not expire (R23).
pub(crate) fn overdue(desk: &mut Desk<'_>) -> Result<(), Failure> {
    for mut row in desk.store.credits_overdue(desk.now, PATIENCE, ROUND)? {
        match row.state {
            CreditState::Waiting => drop(lines::advance(desk, &mut row)?),
            _ => clearing::release(desk, &mut row, CreditRefusal::Late)?,
        }
    }
    Ok(())
}

/// A terminal's log says that a charge was closed: whatever is authorized for it is let go (R8).
pub(crate) fn closed(desk: &mut Desk<'_>, machine: DeviceId, charge: &Hash) -> Result<(), Failure> {
    for mut row in desk.store.credits_open_at(machine)? {
        let named = row.merchant.as_ref().is_some_and(|(side, _)| side.line.charge == *charge);
        if !named || row.clearing.is_some() {
            continue;
        }
        match row.state {
            CreditState::Authorized => clearing::release(desk, &mut row, CreditRefusal::Closed)?,
            _ => refuse(desk, &mut row, CreditRefusal::Closed)?,
        }
    }
    Ok(())
}
