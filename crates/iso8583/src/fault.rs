//! What can be wrong with a message's bytes or a field's value. No fault carries what it found in a field.

use crate::table::{Class, field};

/// Why bytes are no message, or a value does not fit its field. Of bytes that came in, the sender is at fault; of a value
/// that was to be set, this program is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The bytes end too early. 0 is the message type, 1 a bitmap.
    #[error("the message ends within {}", place(*field))]
    Truncated {
        /// Within which field.
        field: u8,
    },
    /// The first four bytes are no digits, so this is no message at all.
    #[error("the message does not begin with the four digits of a message type")]
    NoType,
    /// Four digits, but no message type that is spoken here.
    #[error("message type {0:04} is not spoken here")]
    UnknownType(u16),
    /// A secondary bitmap is announced and has no bit set. It is to be left out.
    #[error("the secondary bitmap is announced and empty")]
    EmptySecondary,
    /// The bitmap names a field that is not in the table: 1, 65 or above 128.
    #[error("field {field} is not in the table of 1987")]
    UnknownField {
        /// Which one.
        field: u8,
    },
    /// The length before a field is not written in digits.
    #[error("the length of {} is not written in digits", place(*field))]
    LengthDigits {
        /// Of which field.
        field: u8,
    },
    /// Longer than the table allows.
    #[error("{} has a length of {len}; at most {max} are allowed", place(*field))]
    TooLong {
        /// Which field.
        field: u8,
        /// Its length, in characters or bytes.
        len: usize,
        /// The most it may be.
        max: usize,
    },
    /// A fixed field is to be set to a value of another length.
    #[error("{} has a length of {len}; it is always {fixed}", place(*field))]
    WrongLength {
        /// Which field.
        field: u8,
        /// The value's length.
        len: usize,
        /// The field's length.
        fixed: usize,
    },
    /// The field is there and has nothing in it. It is to be left out.
    #[error("{} is there and empty", place(*field))]
    Empty {
        /// Which field.
        field: u8,
    },
    /// A character that the field's class does not have.
    #[error("{} has a wrong character at {at}; only {} is allowed", place(*field), class.name())]
    Content {
        /// Which field.
        field: u8,
        /// Where in its value, from 0.
        at: usize,
        /// What the table allows.
        class: Class,
    },
    /// Bytes are left after the last field.
    #[error("{bytes} bytes follow the last field")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

impl Fault {
    /// The field it concerns; 0 for the message type, 1 for the bitmaps, `None` for bytes after the last field.
    pub fn field(self) -> Option<u8> {
        match self {
            Self::Truncated { field }
            | Self::UnknownField { field }
            | Self::LengthDigits { field }
            | Self::TooLong { field, .. }
            | Self::WrongLength { field, .. }
            | Self::Empty { field }
            | Self::Content { field, .. } => Some(field),
            Self::NoType | Self::UnknownType(_) => Some(0),
            Self::EmptySecondary => Some(1),
            Self::Trailing { .. } => None,
        }
    }
}

/// A field as people know it: `field 4 (amount, transaction)`.
pub(crate) fn place(number: u8) -> String {
    match (number, field(number)) {
        (0, _) => "the message type".into(),
        (1, _) => "the bitmap".into(),
        (_, Some(field)) => format!("field {number} ({})", field.name),
        (_, None) => format!("field {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_say_which_field() {
        for (fault, said) in [
            (Fault::Truncated { field: 0 }, "the message ends within the message type"),
            (Fault::Truncated { field: 1 }, "the message ends within the bitmap"),
            (Fault::UnknownType(420), "message type 0420 is not spoken here"),
            (
                Fault::TooLong { field: 2, len: 20, max: 19 },
                "field 2 (primary account number) has a length of 20; at most 19 are allowed",
            ),
            (
                Fault::Content { field: 28, at: 0, class: Class::XN },
                "field 28 (amount, transaction fee) has a wrong character at 0; only x+n is allowed",
            ),
            (Fault::UnknownField { field: 65 }, "field 65 is not in the table of 1987"),
        ] {
            assert_eq!(fault.to_string(), said);
        }
    }
}
