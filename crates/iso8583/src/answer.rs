//! Answers: what the bank says to a request, as types, and as messages.

use crate::element::{
    AuthorizationId, CardAmount, Element, MerchantId, PaymentOption, ProcessingCode, TerminalId, optional, put,
    put_some, required,
};
use crate::key::Key;
use crate::kind::MessageType;
use crate::message::Message;
use crate::moment::{Local, SettlementDate};
use crate::original::{OriginalData, ReplacementAmounts};
use crate::pan::Pan;
use crate::request::{NetworkRequest, Payment, Trace};
use crate::response::{ResponseCode, Verdict};
use crate::rules::{self, Misuse};

/// 0110, 0210 or 0410.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentAnswer {
    /// Which of the three.
    pub kind: MessageType,
    /// Fields 7, 11, 32, 37: those of the request.
    pub trace: Trace,
    /// Field 3: that of the request.
    pub processing: ProcessingCode,
    /// Fields 4 and 49: the request's, or, with code 10, the part that is approved.
    pub amount: CardAmount,
    /// Field 39.
    pub response: ResponseCode,
    /// Field 38; an approved authorization must have it.
    pub authorization: Option<AuthorizationId>,
    /// Field 15.
    pub settlement: Option<SettlementDate>,
    /// Field 41: that of the request.
    pub terminal: TerminalId,
    /// Field 42: that of the request.
    pub merchant: MerchantId,
    /// Field 2, if the bank repeats it.
    pub pan: Option<Pan>,
    /// Fields 12 and 13, if the bank repeats them.
    pub local: Option<Local>,
    /// Field 48, if the bank repeats it.
    pub option: Option<PaymentOption>,
    /// Field 90, of 0410, if the bank repeats it.
    pub original: Option<OriginalData>,
    /// Field 95, of 0410, if the bank repeats it.
    pub remains: Option<ReplacementAmounts>,
}

impl PaymentAnswer {
    pub(crate) fn to(
        request: MessageType,
        payment: &Payment,
        response: ResponseCode,
        authorization: Option<AuthorizationId>,
    ) -> Self {
        Self {
            kind: request.answer().unwrap_or(request),
            trace: payment.trace,
            processing: payment.processing,
            amount: payment.amount,
            response,
            authorization,
            settlement: None,
            terminal: payment.acceptor.terminal,
            merchant: payment.acceptor.merchant,
            pan: None,
            local: Some(payment.local),
            option: None,
            original: None,
            remains: None,
        }
    }
}

/// 0810.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetworkAnswer {
    /// Fields 7, 11, 32, 70: those of the request.
    pub request: NetworkRequest,
    /// Field 39.
    pub response: ResponseCode,
}

/// What can be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// About a card's money.
    Payment(PaymentAnswer),
    /// About the line.
    Network(NetworkAnswer),
}

impl Answer {
    /// Its message type.
    pub fn kind(&self) -> MessageType {
        match self {
            Self::Payment(answer) => answer.kind,
            Self::Network(_) => MessageType::NetworkAnswer,
        }
    }
    /// What its request is found by.
    pub fn key(&self) -> Key {
        match self {
            Self::Payment(answer) => answer.trace.key(),
            Self::Network(answer) => answer.request.key(),
        }
    }
    /// What the bank says.
    pub fn response(&self) -> ResponseCode {
        match self {
            Self::Payment(answer) => answer.response,
            Self::Network(answer) => answer.response,
        }
    }

    /// Its message.
    ///
    /// # Errors
    /// What [`Answer::read`] would refuse: this program is at fault.
    pub fn message(&self) -> Result<Message, Misuse> {
        let mut message = Message::new(self.kind());
        match self {
            Self::Payment(answer) => {
                put_some(&mut message, answer.pan.as_ref());
                put(&mut message, &answer.processing);
                answer.amount.put(&mut message);
                put(&mut message, &answer.trace.transmitted);
                put(&mut message, &answer.trace.stan);
                if let Some(local) = answer.local {
                    local.put(&mut message);
                }
                put_some(&mut message, answer.settlement.as_ref());
                put(&mut message, &answer.trace.acquirer);
                put(&mut message, &answer.trace.reference);
                put_some(&mut message, answer.authorization.as_ref());
                put(&mut message, &answer.response);
                put(&mut message, &answer.terminal);
                put(&mut message, &answer.merchant);
                put_some(&mut message, answer.option.as_ref());
                put_some(&mut message, answer.original.as_ref());
                put_some(&mut message, answer.remains.as_ref());
            }
            Self::Network(answer) => {
                put(&mut message, &answer.request.transmitted);
                put(&mut message, &answer.request.stan);
                put(&mut message, &answer.request.acquirer);
                put(&mut message, &answer.response);
                put(&mut message, &answer.request.action);
            }
        }
        self.check()?;
        rules::check(&message)?;
        Ok(message)
    }

    /// The answer that a message is. Judged in order: direction, the fields' presence, each value, the values together.
    ///
    /// # Errors
    /// The first [`Misuse`]: the sender's.
    pub fn read(message: &Message) -> Result<Self, Misuse> {
        if message.kind().answer().is_some() {
            return Err(Misuse::Direction(message.kind()));
        }
        rules::check(message)?;
        let answer = if message.kind() == MessageType::NetworkAnswer {
            Self::Network(NetworkAnswer {
                request: NetworkRequest {
                    stan: required(message)?,
                    transmitted: required(message)?,
                    acquirer: required(message)?,
                    action: required(message)?,
                },
                response: required(message)?,
            })
        } else {
            Self::Payment(PaymentAnswer {
                kind: message.kind(),
                trace: Trace {
                    stan: required(message)?,
                    transmitted: required(message)?,
                    acquirer: required(message)?,
                    reference: required(message)?,
                },
                processing: required(message)?,
                amount: CardAmount::read(message)?,
                response: required(message)?,
                authorization: optional(message)?,
                settlement: optional(message)?,
                terminal: required(message)?,
                merchant: required(message)?,
                pan: optional(message)?,
                local: Local::optional(message)?,
                option: optional(message)?,
                original: optional(message)?,
                remains: optional(message)?,
            })
        };
        answer.check()?;
        Ok(answer)
    }

    /// What single fields cannot say.
    fn check(&self) -> Result<(), Misuse> {
        let Self::Payment(answer) = self else { return Ok(()) };
        let kind = answer.kind;
        if kind.answer().is_some() || kind == MessageType::NetworkAnswer {
            return Err(Misuse::Direction(kind));
        }
        let approved = answer.response.verdict() == Verdict::Approved;
        if kind == MessageType::AuthorizationAnswer && approved && answer.authorization.is_none() {
            return Err(Misuse::Missing { kind, field: AuthorizationId::FIELD });
        }
        if kind == MessageType::ReversalAnswer && answer.response == ResponseCode::PartialApproval {
            // Of a part that is undone nobody could say whether it is the part that should remain.
            return Err(Misuse::Value { field: ResponseCode::FIELD });
        }
        Ok(())
    }
}
