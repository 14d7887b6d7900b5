//! What was asked and is not answered yet: finds an answer's request, and sees an answer that nobody asked for.
//!
//! It remembers no card number, only its mask. Time-outs are the caller's: it has the clock and says [`Asked::forget`], after
//! which the outcome is unknown and a late answer is one that nobody asked for.

use crate::answer::{Answer, PaymentAnswer};
use crate::element::{CardAmount, MerchantId, ProcessingCode, TerminalId};
use crate::key::Key;
use crate::kind::MessageType;
use crate::request::{Financial, NetworkAction, Request, Reversal};
use crate::response::ResponseCode;
use std::collections::BTreeMap;

/// The key is taken by another request that is not answered yet. This program is at fault: its trace numbers repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("another request with this trace number, time, acquirer and reference is not answered yet")]
pub struct AskedAlready;

/// An answer that cannot be taken. No request is ended by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unasked {
    /// No open request has its key: it is late, a duplicate, or somebody else's.
    #[error("nobody asked for this answer, or not any more")]
    Nobody,
    /// It answers another type of request than was asked under its key.
    #[error("message {} is no answer to message {}", answer.code(), request.code())]
    OtherKind {
        /// What was asked.
        request: MessageType,
        /// What came.
        answer: MessageType,
    },
    /// It repeats a field of the request with another value.
    #[error("field {field} of the answer is not the request's")]
    Differs {
        /// Which field.
        field: u8,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum About {
    Money { masked: String, processing: ProcessingCode, amount: CardAmount, terminal: TerminalId, merchant: MerchantId },
    Line(NetworkAction),
}

/// The open requests.
#[derive(Clone, Default, Debug)]
pub struct Asked {
    open: BTreeMap<Key, (MessageType, About)>,
}

impl Asked {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// How many requests are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }
    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
    /// A request is about to be sent. The same again is fine, also as 0401 after 0400.
    ///
    /// # Errors
    /// [`AskedAlready`].
    pub fn ask(&mut self, request: &Request) -> Result<(), AskedAlready> {
        let about = about(request);
        match self.open.get(&request.key()) {
            Some((kind, open)) if *open != about || kind.answer() != request.kind().answer() => Err(AskedAlready),
            _ => {
                self.open.insert(request.key(), (request.kind(), about));
                Ok(())
            }
        }
    }
    /// An answer has come: the type of the request that it ends.
    ///
    /// # Errors
    /// [`Unasked`]; the open requests stay open.
    pub fn hear(&mut self, answer: &Answer) -> Result<MessageType, Unasked> {
        let key = answer.key();
        let (request, about) = self.open.get(&key).ok_or(Unasked::Nobody)?;
        let request = *request;
        if request.answer() != Some(answer.kind()) {
            return Err(Unasked::OtherKind { request, answer: answer.kind() });
        }
        if let Some(field) = difference(about, answer) {
            return Err(Unasked::Differs { field });
        }
        self.open.remove(&key);
        Ok(request)
    }
    /// No answer is waited for any more. Whether one was.
    pub fn forget(&mut self, key: &Key) -> bool {
        self.open.remove(key).is_some()
    }
    /// The keys of the open requests.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.open.keys()
    }
}

fn about(request: &Request) -> About {
    match request {
        Request::Network(network) => About::Line(network.action),
        Request::Authorization(payment)
        | Request::Financial(Financial { payment, .. })
        | Request::Reversal(Reversal { payment, .. }) => About::Money {
            masked: payment.pan.masked(),
            processing: payment.processing,
            amount: payment.amount,
            terminal: payment.acceptor.terminal,
            merchant: payment.acceptor.merchant,
        },
    }
}

/// The first field, by number, that the answer should have repeated and did not; 0 is the message type.
fn difference(about: &About, answer: &Answer) -> Option<u8> {
    match (about, answer) {
        (About::Line(action), Answer::Network(answer)) => (*action != answer.request.action).then_some(70),
        (About::Money { masked, processing, amount, terminal, merchant }, Answer::Payment(answer)) => [
            (2, answer.pan.as_ref().is_none_or(|pan| pan.masked() == *masked)),
            (3, answer.processing == *processing),
            (4, is_right_amount(*amount, answer)),
            (41, answer.terminal == *terminal),
            (42, answer.merchant == *merchant),
            (49, answer.amount.get().unit() == amount.get().unit()),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field)),
        _ => Some(0),
    }
}

/// A partial approval is for less than was asked and more than nothing; every other answer repeats the amount.
fn is_right_amount(asked: CardAmount, answer: &PaymentAnswer) -> bool {
    let (asked, answered) = (asked.get().minor(), answer.amount.get().minor());
    match answer.response {
        ResponseCode::PartialApproval => (1..asked).contains(&answered),
        _ => answered == asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::{AuthorizationId, Reference};
    use crate::pan::Pan;
    use crate::request::tests::{amount, network, purchase, stan, time};

    fn authorized() -> Option<AuthorizationId> {
        AuthorizationId::new("A1B2C3")
    }

    #[test]
    fn an_answer_ends_its_request_once() {
        let (mut asked, request) = (Asked::new(), Request::Authorization(purchase()));
        asked.ask(&request).expect("new");
        let answer = request.answered(ResponseCode::Approved, authorized());
        assert_eq!(asked.hear(&answer), Ok(MessageType::AuthorizationRequest));
        assert_eq!(asked.hear(&answer), Err(Unasked::Nobody), "a duplicate");
        assert!(asked.is_empty());
    }

    #[test]
    fn answers_nobody_asked_for_end_nothing() {
        let (mut asked, request) = (Asked::new(), Request::Authorization(purchase()));
        asked.ask(&request).expect("new");
        let Answer::Payment(good) = request.answered(ResponseCode::Approved, authorized()) else { panic!("a payment") };
        let trace = good.trace;
        let bent = |change: &dyn Fn(&mut PaymentAnswer)| {
            let mut answer = good.clone();
            change(&mut answer);
            Answer::Payment(answer)
        };
        let other_kind =
            Unasked::OtherKind { request: MessageType::AuthorizationRequest, answer: MessageType::FinancialAnswer };
        for (story, answer, expected) in [
            ("another trace number", bent(&|a| a.trace.stan = trace.stan.next()), Unasked::Nobody),
            ("another time", bent(&|a| a.trace.transmitted = time(60)), Unasked::Nobody),
            ("another reference", bent(&|a| a.trace.reference = Reference::new("X").expect("fits")), Unasked::Nobody),
            ("another type", bent(&|a| a.kind = MessageType::FinancialAnswer), other_kind),
            ("another card", bent(&|a| a.pan = Pan::parse(b"5555555555554444").ok()), Unasked::Differs { field: 2 }),
            ("less than asked", bent(&|a| a.amount = amount(1)), Unasked::Differs { field: 4 }),
            (
                "a part that is more",
                bent(&|a| {
                    a.response = ResponseCode::PartialApproval;
                    a.amount = amount(1235)
                }),
                Unasked::Differs { field: 4 },
            ),
            (
                "a part that is all",
                bent(&|a| a.response = ResponseCode::PartialApproval),
                Unasked::Differs { field: 4 },
            ),
            (
                "another till",
                bent(&|a| a.terminal = TerminalId::new("T2").expect("fits")),
                Unasked::Differs { field: 41 },
            ),
        ] {
            assert_eq!(asked.hear(&answer), Err(expected), "{story}");
            assert_eq!(asked.len(), 1, "{story}");
        }
        let part = bent(&|a| {
            a.response = ResponseCode::PartialApproval;
            a.amount = amount(1000)
        });
        assert_eq!(asked.hear(&part), Ok(MessageType::AuthorizationRequest));
    }

    #[test]
    fn a_late_answer_is_one_that_nobody_asked_for() {
        let (mut asked, request) = (Asked::new(), Request::Authorization(purchase()));
        asked.ask(&request).expect("new");
        assert!(asked.forget(&request.key()));
        assert!(!asked.forget(&request.key()));
        assert_eq!(asked.hear(&request.answered(ResponseCode::Approved, authorized())), Err(Unasked::Nobody));
    }

    #[test]
    fn a_reversal_is_repeated_and_answered_once() {
        let reversal =
            Request::Authorization(purchase()).reversal(stan(2), time(31), None, None).expect("can be undone");
        let (first, again) = (Request::Reversal(reversal.clone()), Request::Reversal(reversal.repeated()));
        let mut asked = Asked::new();
        asked.ask(&first).expect("new");
        asked.ask(&again).expect("the same again");
        assert_eq!(asked.len(), 1);
        assert_eq!(asked.hear(&first.answered(ResponseCode::Approved, None)), Ok(MessageType::ReversalRepeat));
        assert_eq!(asked.hear(&again.answered(ResponseCode::Approved, None)), Err(Unasked::Nobody));
    }

    #[test]
    fn a_trace_number_in_use_is_not_given_to_another_request() {
        let mut asked = Asked::new();
        asked.ask(&Request::Authorization(purchase())).expect("new");
        asked.ask(&Request::Authorization(purchase())).expect("the same");
        let mut other = purchase();
        other.amount = amount(1);
        assert_eq!(asked.ask(&Request::Authorization(other)), Err(AskedAlready));
        asked.ask(&network(NetworkAction::Echo)).expect("without a reference it is another key");
        assert_eq!(asked.ask(&network(NetworkAction::SignOff)), Err(AskedAlready));
        assert_eq!(asked.keys().count(), 2);
        let answer = network(NetworkAction::Echo).answered(ResponseCode::Approved, None);
        assert_eq!(asked.hear(&answer), Ok(MessageType::NetworkRequest));
        assert!(!format!("{asked:?}").contains("4111111111111111"));
    }
}
