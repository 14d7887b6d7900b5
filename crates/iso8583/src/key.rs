//! What names a request among all others, and its answer with it.

use crate::element::{AcquirerId, Reference, Stan, optional, required};
use crate::message::Message;
use crate::moment::Transmitted;
use crate::rules::Misuse;

/// The four fields that an answer repeats from its request: 11, 7, 32 and 37. Network messages have no reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// Field 11.
    pub stan: Stan,
    /// Field 7.
    pub transmitted: Transmitted,
    /// Field 32.
    pub acquirer: AcquirerId,
    /// Field 37.
    pub reference: Option<Reference>,
}

impl Key {
    /// The key of a message, also of one that is wrong otherwise: so an answer that cannot be read still finds its request, whose
    /// outcome is then unknown.
    ///
    /// # Errors
    /// A [`Misuse`] of one of the four fields.
    pub fn of(message: &Message) -> Result<Self, Misuse> {
        Ok(Self {
            stan: required(message)?,
            transmitted: required(message)?,
            acquirer: required(message)?,
            reference: optional(message)?,
        })
    }
}
