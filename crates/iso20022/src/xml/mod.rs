//! XML under both messages: a writer of one form ([`out`]) and a bounded reader of what strangers send ([`pull`]).
//!
//! The reader knows no DTD, no entity but the five of XML, no processing instruction, no encoding but UTF-8, and one
//! namespace a document. It never holds more of a file than the element it is at, and it stops at its limits.

pub(crate) mod out;
pub(crate) mod pull;

use crate::value::ValueError;

/// The most bytes of a file that is read: 32 MiB, some 40,000 transfers.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The most elements open within each other. Statements need about 20.
pub const MAX_DEPTH: usize = 32;
/// The most elements in a file.
pub const MAX_ELEMENTS: usize = 2_000_000;

/// Why a file is not the message it should be: the element, and what is wrong there. Who wrote the file is at fault;
/// reading the same bytes again fails again. Quotes names of elements but no account numbers or names of people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct XmlError {
    /// The element, as `/Document/CstmrCdtTrfInitn/PmtInf[2]/PmtInfId`; a number where one repeats, counted from 1.
    /// Where the XML itself is broken, the element read last.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with an element or the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than [`MAX_BYTES`].
    #[error("the file has {0} bytes; at most 33554432 are read")]
    Size(usize),
    /// More elements within each other than [`MAX_DEPTH`].
    #[error("elements stand more than 32 deep within each other")]
    Depth,
    /// More elements than [`MAX_ELEMENTS`].
    #[error("the file has more than 2000000 elements")]
    Elements,
    /// Not UTF-8, or declared as something else.
    #[error("the file is not UTF-8, or says that it is not")]
    Encoding,
    /// A character that XML 1.0 does not allow.
    #[error("the character {0:?} must not stand in XML")]
    Character(char),
    /// Not well formed, or cut off.
    #[error("this is not well-formed XML: {0}")]
    Syntax(String),
    /// The file ends within an element.
    #[error("the file ends before this element does; it was cut off")]
    Cut,
    /// A document type, which could define entities.
    #[error("a document type (DTD) is never read")]
    DocumentType,
    /// An entity that XML does not predefine.
    #[error("the entity {0:?} is not one of XML's own; none is expanded")]
    Entity(String),
    /// A processing instruction.
    #[error("processing instructions are never read")]
    Instruction,
    /// An element of another namespace: another message, or another version of it.
    #[error("this is of namespace {found:?}, not {expected:?}: another message or version")]
    Namespace {
        /// What this reader reads.
        expected: &'static str,
        /// What the element says.
        found: String,
    },
    /// Another element than the schema has here: missing, doubled, misplaced or unknown.
    #[error("{expected} should be here, not {found}")]
    Element {
        /// What the schema or our profile has here.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// Characters between elements.
    #[error("text stands where only elements may")]
    Text,
    /// An attribute that is not expected, or one that is missing.
    #[error("the attributes are not the ones that belong here")]
    Attributes,
    /// The content does not fit the element's type.
    #[error(transparent)]
    Value(#[from] ValueError),
}
