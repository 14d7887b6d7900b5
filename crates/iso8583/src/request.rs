//! Requests: what the processor asks the bank, as types, and as messages.
//!
//! ```text
//! processor                          bank
//!   0100 authorization  ------------>       may this card be charged?
//!                       <------------  0110 code, authorization id
//!   0200 financial      ------------>       post it (capture), or pay it back (refund)
//!                       <------------  0210
//!   0400 reversal       ------------>       undo it, whole or in part (95), done or not
//!   0401 the same again ------------>       while no answer comes
//!                       <------------  0410
//!   0800 network        ------------>       sign on, sign off, echo
//!                       <------------  0810
//! ```

use crate::answer::{Answer, NetworkAnswer, PaymentAnswer};
use crate::element::{
    AcquirerId, AuthorizationId, CardAmount, ConditionCode, Element, EntryMode, MerchantId, MerchantType, NameLocation,
    PaymentOption, ProcessingCode, Reference, Stan, TerminalId, Transaction, number, optional, put, put_some, required,
};
use crate::key::Key;
use crate::kind::MessageType;
use crate::message::Message;
use crate::moment::{Expiry, Local, Transmitted};
use crate::original::{OriginalData, ReplacementAmounts};
use crate::pan::Pan;
use crate::response::ResponseCode;
use crate::rules::{self, Misuse};

/// What names a request about a card's money (fields 11, 7, 32, 37). The reference stays the same from authorization to
/// reversal; each request has a trace number and a time of its own, and keeps them when it is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Field 11.
    pub stan: Stan,
    /// Field 7.
    pub transmitted: Transmitted,
    /// Field 32.
    pub acquirer: AcquirerId,
    /// Field 37.
    pub reference: Reference,
}

impl Trace {
    /// What its answer is found by.
    pub fn key(&self) -> Key {
        let Self { stan, transmitted, acquirer, reference } = *self;
        Key { stan, transmitted, acquirer, reference: Some(reference) }
    }
}

/// Who takes the card (fields 18, 41, 42, 43).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acceptor {
    /// Field 18.
    pub category: MerchantType,
    /// Field 41.
    pub terminal: TerminalId,
    /// Field 42.
    pub merchant: MerchantId,
    /// Field 43.
    pub name: Option<NameLocation>,
}

/// What all requests about a card's money carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    /// Field 2.
    pub pan: Pan,
    /// Field 3.
    pub processing: ProcessingCode,
    /// Fields 4 and 49.
    pub amount: CardAmount,
    /// Fields 7, 11, 32, 37.
    pub trace: Trace,
    /// Fields 12 and 13.
    pub local: Local,
    /// Field 14; an authorization must have it.
    pub expiry: Option<Expiry>,
    /// Fields 18, 41, 42, 43.
    pub acceptor: Acceptor,
    /// Field 22.
    pub entry: EntryMode,
    /// Field 25.
    pub condition: ConditionCode,
    /// Field 48.
    pub option: Option<PaymentOption>,
}

impl Payment {
    /// The same card, acceptor and reference, under a new trace number and time.
    fn next(&self, stan: Stan, transmitted: Transmitted) -> Self {
        Self { trace: Trace { stan, transmitted, ..self.trace }, ..self.clone() }
    }
    fn names(&self, kind: MessageType) -> OriginalData {
        OriginalData::of(kind, self.trace.stan, self.trace.transmitted, self.trace.acquirer)
    }
    fn put(&self, message: &mut Message) {
        put(message, &self.pan);
        put(message, &self.processing);
        self.amount.put(message);
        put(message, &self.trace.transmitted);
        put(message, &self.trace.stan);
        self.local.put(message);
        put_some(message, self.expiry.as_ref());
        put(message, &self.acceptor.category);
        put(message, &self.entry);
        put(message, &self.condition);
        put(message, &self.trace.acquirer);
        put(message, &self.trace.reference);
        put(message, &self.acceptor.terminal);
        put(message, &self.acceptor.merchant);
        put_some(message, self.acceptor.name.as_ref());
        put_some(message, self.option.as_ref());
    }
    fn read(message: &Message) -> Result<Self, Misuse> {
        Ok(Self {
            pan: required(message)?,
            processing: required(message)?,
            amount: CardAmount::read(message)?,
            trace: Trace {
                transmitted: required(message)?,
                stan: required(message)?,
                acquirer: required(message)?,
                reference: required(message)?,
            },
            local: Local::required(message)?,
            expiry: optional(message)?,
            acceptor: Acceptor {
                category: required(message)?,
                terminal: required(message)?,
                merchant: required(message)?,
                name: optional(message)?,
            },
            entry: required(message)?,
            condition: required(message)?,
            option: optional(message)?,
        })
    }
}

/// 0200: the capture of an authorized purchase, a purchase without authorization, or a refund.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Financial {
    /// What is posted.
    pub payment: Payment,
    /// Field 38: under which authorization.
    pub authorization: Option<AuthorizationId>,
    /// Field 90: the authorization that is captured, or the purchase that is refunded.
    pub original: Option<OriginalData>,
}

impl Financial {
    /// Captures what was authorized, or a part of it. `None` if that is more, nothing, in another currency, or of no purchase.
    pub fn capture(
        authorized: &Payment,
        authorization: AuthorizationId,
        amount: CardAmount,
        stan: Stan,
        transmitted: Transmitted,
    ) -> Option<Self> {
        is_part(amount, authorized).then(|| Self {
            payment: Payment { amount, ..authorized.next(stan, transmitted) },
            authorization: Some(authorization),
            original: Some(authorized.names(MessageType::AuthorizationRequest)),
        })
    }
    /// Pays back what was posted, or a part of it. `None` if that is more, nothing, in another currency, or of no purchase.
    /// Whether parts add up to more is for who knows them all.
    pub fn refund(posted: &Payment, amount: CardAmount, stan: Stan, transmitted: Transmitted) -> Option<Self> {
        let processing = ProcessingCode { transaction: Transaction::Refund, ..posted.processing };
        is_part(amount, posted).then(|| Self {
            payment: Payment { amount, processing, ..posted.next(stan, transmitted) },
            authorization: None,
            original: Some(posted.names(MessageType::FinancialRequest)),
        })
    }
}

fn is_part(amount: CardAmount, purchase: &Payment) -> bool {
    let (part, whole) = (amount.get(), purchase.amount.get());
    let fits = part.unit() == whole.unit() && (1..=whole.minor()).contains(&part.minor());
    fits && purchase.processing.transaction == Transaction::Purchase
}

/// 0400, or 0401 as a repeat: undo a request, whether the bank has carried it out or never seen it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reversal {
    /// What was asked; its trace number and time are the reversal's own.
    pub payment: Payment,
    /// Field 90: which request.
    pub original: OriginalData,
    /// Field 38: what the bank called it, if it answered.
    pub authorization: Option<AuthorizationId>,
    /// Field 95: what shall remain charged, less than the amount. `None` undoes all.
    pub remains: Option<ReplacementAmounts>,
    /// Whether it is 0401: sent before and not answered.
    pub repeat: bool,
}

impl Reversal {
    /// The same said again.
    pub fn repeated(&self) -> Self {
        Self { repeat: true, ..self.clone() }
    }
}

/// Network management information code (field 70).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NetworkAction {
    /// 001: we are there.
    SignOn,
    /// 002: we leave.
    SignOff,
    /// 301: are you there?
    Echo,
}

impl NetworkAction {
    const ALL: [Self; 3] = [Self::SignOn, Self::SignOff, Self::Echo];
    fn code(self) -> u64 {
        match self {
            Self::SignOn => 1,
            Self::SignOff => 2,
            Self::Echo => 301,
        }
    }
}

impl Element for NetworkAction {
    const FIELD: u8 = 70;
    fn read(value: &[u8]) -> Option<Self> {
        let code = number(value)?;
        Self::ALL.into_iter().find(|action| action.code() == code)
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        to(format!("{:03}", self.code()).as_bytes());
    }
}

/// 0800: about the line, not about money.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetworkRequest {
    /// Field 11.
    pub stan: Stan,
    /// Field 7.
    pub transmitted: Transmitted,
    /// Field 32: who signs on.
    pub acquirer: AcquirerId,
    /// Field 70.
    pub action: NetworkAction,
}

impl NetworkRequest {
    /// What its answer is found by.
    pub fn key(&self) -> Key {
        let Self { stan, transmitted, acquirer, .. } = *self;
        Key { stan, transmitted, acquirer, reference: None }
    }
}

/// What can be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// 0100: a purchase; refunds are not authorized but posted.
    Authorization(Payment),
    /// 0200.
    Financial(Financial),
    /// 0400 and 0401.
    Reversal(Reversal),
    /// 0800.
    Network(NetworkRequest),
}

impl Request {
    /// Its message type.
    pub fn kind(&self) -> MessageType {
        match self {
            Self::Authorization(_) => MessageType::AuthorizationRequest,
            Self::Financial(_) => MessageType::FinancialRequest,
            Self::Reversal(reversal) if reversal.repeat => MessageType::ReversalRepeat,
            Self::Reversal(_) => MessageType::ReversalRequest,
            Self::Network(_) => MessageType::NetworkRequest,
        }
    }
    /// What its answer is found by.
    pub fn key(&self) -> Key {
        match self {
            Self::Network(network) => network.key(),
            Self::Authorization(payment)
            | Self::Financial(Financial { payment, .. })
            | Self::Reversal(Reversal { payment, .. }) => payment.trace.key(),
        }
    }
    /// What it says about a card's money; `None` of network requests.
    pub fn payment(&self) -> Option<&Payment> {
        match self {
            Self::Network(_) => None,
            Self::Authorization(payment)
            | Self::Financial(Financial { payment, .. })
            | Self::Reversal(Reversal { payment, .. }) => Some(payment),
        }
    }
    /// The reversal of this request; `remains` if only a part is undone, `authorization` if the bank has answered. `None` of
    /// reversals and network requests, which cannot be undone.
    pub fn reversal(
        &self,
        stan: Stan,
        transmitted: Transmitted,
        authorization: Option<AuthorizationId>,
        remains: Option<ReplacementAmounts>,
    ) -> Option<Reversal> {
        let (Self::Authorization(payment) | Self::Financial(Financial { payment, .. })) = self else { return None };
        let original = payment.names(self.kind());
        Some(Reversal { payment: payment.next(stan, transmitted), original, authorization, remains, repeat: false })
    }
    /// An answer to it, as the bank makes it: with the request's amount, and without the card number.
    pub fn answered(&self, response: ResponseCode, authorization: Option<AuthorizationId>) -> Answer {
        match self {
            Self::Network(request) => Answer::Network(NetworkAnswer { request: *request, response }),
            Self::Authorization(payment)
            | Self::Financial(Financial { payment, .. })
            | Self::Reversal(Reversal { payment, .. }) => {
                Answer::Payment(PaymentAnswer::to(self.kind(), payment, response, authorization))
            }
        }
    }

    /// Its message.
    ///
    /// # Errors
    /// What [`Request::read`] would refuse: this program is at fault.
    pub fn message(&self) -> Result<Message, Misuse> {
        let mut message = Message::new(self.kind());
        if let Some(payment) = self.payment() {
            payment.put(&mut message);
        }
        match self {
            Self::Authorization(_) => {}
            Self::Financial(financial) => {
                put_some(&mut message, financial.authorization.as_ref());
                put_some(&mut message, financial.original.as_ref());
            }
            Self::Reversal(reversal) => {
                put_some(&mut message, reversal.authorization.as_ref());
                put(&mut message, &reversal.original);
                put_some(&mut message, reversal.remains.as_ref());
            }
            Self::Network(network) => {
                put(&mut message, &network.transmitted);
                put(&mut message, &network.stan);
                put(&mut message, &network.acquirer);
                put(&mut message, &network.action);
            }
        }
        rules::check(&message)?;
        self.check()?;
        Ok(message)
    }

    /// The request that a message is. Judged in order: direction, the fields' presence, each value, the values together.
    ///
    /// # Errors
    /// The first [`Misuse`]: the sender's.
    pub fn read(message: &Message) -> Result<Self, Misuse> {
        let kind = message.kind();
        if kind.answer().is_none() {
            return Err(Misuse::Direction(kind));
        }
        rules::check(message)?;
        let request = match kind {
            MessageType::AuthorizationRequest => Self::Authorization(Payment::read(message)?),
            MessageType::FinancialRequest => Self::Financial(Financial {
                payment: Payment::read(message)?,
                authorization: optional(message)?,
                original: optional(message)?,
            }),
            MessageType::ReversalRequest | MessageType::ReversalRepeat => Self::Reversal(Reversal {
                payment: Payment::read(message)?,
                original: required(message)?,
                authorization: optional(message)?,
                remains: optional(message)?,
                repeat: kind == MessageType::ReversalRepeat,
            }),
            _ => Self::Network(NetworkRequest {
                stan: required(message)?,
                transmitted: required(message)?,
                acquirer: required(message)?,
                action: required(message)?,
            }),
        };
        request.check()?;
        Ok(request)
    }

    /// What single fields cannot say.
    fn check(&self) -> Result<(), Misuse> {
        match self {
            Self::Authorization(payment) if payment.processing.transaction == Transaction::Refund => {
                Err(Misuse::Value { field: ProcessingCode::FIELD })
            }
            Self::Reversal(Reversal { original, .. })
                if !matches!(original.kind, MessageType::AuthorizationRequest | MessageType::FinancialRequest) =>
            {
                Err(Misuse::Value { field: OriginalData::FIELD })
            }
            Self::Reversal(Reversal { remains: Some(remains), payment, .. })
                if remains.minor() >= payment.amount.get().minor() =>
            {
                Err(Misuse::Value { field: ReplacementAmounts::FIELD })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
