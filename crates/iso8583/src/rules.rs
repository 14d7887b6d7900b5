//! Which fields a message must and may carry, by its type. Everything else is refused, in both directions.

use crate::fault::place;
use crate::kind::MessageType;
use crate::message::Message;

/// Why a well-formed message is not one of ours. Carries no field's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misuse {
    /// A field that such a message must carry.
    #[error("message {} lacks {}", kind.code(), place(*field))]
    Missing {
        /// In which message.
        kind: MessageType,
        /// Which field.
        field: u8,
    },
    /// A field that such a message does not carry.
    #[error("message {} must not carry {}", kind.code(), place(*field))]
    NotAllowed {
        /// In which message.
        kind: MessageType,
        /// Which field.
        field: u8,
    },
    /// A value that fits its field and means nothing, or not together with the others.
    #[error("{} has a value without a meaning here", place(*field))]
    Value {
        /// Which field.
        field: u8,
    },
    /// A request where an answer belongs, or an answer where a request belongs.
    #[error("message {} goes the other way", .0.code())]
    Direction(MessageType),
}

/// Fields of every request about a card's money.
const REQUEST: &[u8] = &[2, 3, 4, 7, 11, 12, 13, 18, 22, 25, 32, 37, 41, 42, 49];
/// Fields of every answer to one.
const ANSWER: &[u8] = &[3, 4, 7, 11, 32, 37, 39, 41, 42, 49];

/// What a type must carry, further fields that it must, and what it may.
type Rule = (&'static [u8], &'static [u8], &'static [u8]);

fn rule(kind: MessageType) -> Rule {
    match kind {
        MessageType::AuthorizationRequest => (REQUEST, &[14], &[43, 48]),
        MessageType::FinancialRequest => (REQUEST, &[], &[14, 38, 43, 48, 90]),
        MessageType::ReversalRequest | MessageType::ReversalRepeat => (REQUEST, &[90], &[14, 38, 43, 48, 95]),
        MessageType::AuthorizationAnswer | MessageType::FinancialAnswer => (ANSWER, &[], &[2, 12, 13, 15, 38, 48]),
        MessageType::ReversalAnswer => (ANSWER, &[], &[2, 12, 13, 15, 38, 48, 90, 95]),
        MessageType::NetworkRequest => (&[7, 11, 32, 70], &[], &[]),
        MessageType::NetworkAnswer => (&[7, 11, 32, 39, 70], &[], &[]),
    }
}

/// Whether all is there that must be, and nothing that must not.
pub(crate) fn check(message: &Message) -> Result<(), Misuse> {
    let kind = message.kind();
    let (must, further, may) = rule(kind);
    if let Some(field) = must.iter().chain(further).find(|field| message.get(**field).is_none()) {
        return Err(Misuse::Missing { kind, field: *field });
    }
    let known = |field: u8| [must, further, may].iter().any(|list| list.contains(&field));
    match message.fields().find(|(field, _)| !known(*field)) {
        Some((field, _)) => Err(Misuse::NotAllowed { kind, field }),
        None => Ok(()),
    }
}
