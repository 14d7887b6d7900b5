//! The codec: a message type and fields, to bytes and back.
//!
//! ```text
//! 0200            message type, four ASCII digits
//! F2 30 ..        primary bitmap, 8 bytes; bit 1 (the highest of the first byte) announces the secondary one
//! 00 00 ..        secondary bitmap, 8 bytes, only if a field above 64 is there
//! 16 4111..       the fields by number, ASCII; digits of length before variable ones; binary fields as they are
//! ```
//!
//! There is one encoding of a message, and nothing else is read: whatever decodes encodes to the same bytes. A message cannot
//! hold a value that does not fit its field, so encoding cannot fail.

use crate::fault::{Fault, place};
use crate::kind::MessageType;
use crate::table::{Field, Length, field};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

const TYPE: usize = 4;
const BITMAP: usize = 8;
/// The bit of the primary bitmap that announces the secondary one.
const SECONDARY: u64 = 1 << 63;

/// A message type and its fields, each of which fits the table. Values are wiped when it is dropped; secret ones are not
/// shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    kind: MessageType,
    fields: BTreeMap<u8, Zeroizing<Vec<u8>>>,
}

impl Message {
    /// A message without fields.
    pub fn new(kind: MessageType) -> Self {
        Self { kind, fields: BTreeMap::new() }
    }
    /// Its type.
    pub fn kind(&self) -> MessageType {
        self.kind
    }
    /// A field's value, without the length before it.
    pub fn get(&self, number: u8) -> Option<&[u8]> {
        self.fields.get(&number).map(|value| value.as_slice())
    }
    /// The fields by number.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.fields.iter().map(|(number, value)| (*number, value.as_slice()))
    }
    /// Sets a field, in place of what it held.
    ///
    /// # Errors
    /// A [`Fault`] if there is no such field or the value does not fit it; the message stays as it was.
    pub fn set(&mut self, number: u8, value: &[u8]) -> Result<(), Fault> {
        let field = field(number).ok_or(Fault::UnknownField { field: number })?;
        if let Length::Fixed(fixed) = field.length
            && value.len() != fixed
        {
            return Err(Fault::WrongLength { field: number, len: value.len(), fixed });
        }
        fitting_length(field, value.len())?;
        fitting_content(field, value)?;
        self.fields.insert(number, Zeroizing::new(value.to_vec()));
        Ok(())
    }
    /// Takes a field out.
    pub fn remove(&mut self, number: u8) {
        self.fields.remove(&number);
    }

    /// The message's bytes, wiped when dropped.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (primary, secondary) = self.bitmaps();
        // All memory at once: a vector that grows would leave unwiped copies behind.
        let fields: usize = self.fields.values().map(|value| value.len() + 3).sum();
        let mut to = Zeroizing::new(Vec::with_capacity(TYPE + 2 * BITMAP + fields));
        to.extend_from_slice(self.kind.code().as_bytes());
        to.extend_from_slice(&primary.to_be_bytes());
        if secondary != 0 {
            to.extend_from_slice(&secondary.to_be_bytes());
        }
        for (number, value) in &self.fields {
            let digits = field(*number).map_or(0, |field| field.length.prefix());
            if digits > 0 {
                to.extend_from_slice(format!("{:0digits$}", value.len()).as_bytes());
            }
            to.extend_from_slice(value);
        }
        to
    }

    fn bitmaps(&self) -> (u64, u64) {
        let (mut primary, mut secondary) = (0, 0);
        for number in self.fields.keys() {
            if *number <= 64 {
                primary |= 1 << (64 - number);
            } else {
                secondary |= 1 << (128 - number);
            }
        }
        if secondary != 0 {
            primary |= SECONDARY;
        }
        (primary, secondary)
    }

    /// Reads one message that fills these bytes. Judged in order: type, bitmaps and all their bits, then each field's length
    /// and content, then what is left.
    ///
    /// # Errors
    /// The first [`Fault`]: the sender's.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut left = bytes;
        let code = take(&mut left, TYPE, 0)?;
        let number = decimal(code).ok_or(Fault::NoType)?;
        let kind = MessageType::from_code(code)
            .ok_or(Fault::UnknownType(u16::try_from(number).map_err(|_| Fault::NoType)?))?;
        let mut message = Self::new(kind);
        for number in numbers(&mut left)? {
            let field = field(number).ok_or(Fault::UnknownField { field: number })?;
            let len = match field.length {
                Length::Fixed(fixed) => fixed,
                _ => decimal(take(&mut left, field.length.prefix(), number)?)
                    .ok_or(Fault::LengthDigits { field: number })?,
            };
            fitting_length(field, len)?;
            let value = take(&mut left, len, number)?;
            fitting_content(field, value)?;
            message.fields.insert(number, Zeroizing::new(value.to_vec()));
        }
        if left.is_empty() { Ok(message) } else { Err(Fault::Trailing { bytes: left.len() }) }
    }
}

/// The numbers of the fields that the bitmaps announce, every one of them in the table.
fn numbers(left: &mut &[u8]) -> Result<Vec<u8>, Fault> {
    let primary = bitmap(left)?;
    let mut bits = u128::from(primary & !SECONDARY) << 64;
    if primary & SECONDARY != 0 {
        let secondary = bitmap(left)?;
        if secondary == 0 {
            return Err(Fault::EmptySecondary);
        }
        bits |= u128::from(secondary);
    }
    let numbers: Vec<u8> = (1..=128).filter(|number| bits & (1 << (128 - number)) != 0).collect();
    match numbers.iter().find(|number| field(**number).is_none()) {
        Some(unknown) => Err(Fault::UnknownField { field: *unknown }),
        None => Ok(numbers),
    }
}

fn bitmap(left: &mut &[u8]) -> Result<u64, Fault> {
    let (bits, rest) = left.split_first_chunk::<BITMAP>().ok_or(Fault::Truncated { field: 1 })?;
    *left = rest;
    Ok(u64::from_be_bytes(*bits))
}

fn take<'a>(left: &mut &'a [u8], len: usize, field: u8) -> Result<&'a [u8], Fault> {
    let (taken, rest) = left.split_at_checked(len).ok_or(Fault::Truncated { field })?;
    *left = rest;
    Ok(taken)
}

/// The number that up to four digits write; `None` if they are no digits.
fn decimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + usize::from(digit - b'0')))
}

fn fitting_length(field: &Field, len: usize) -> Result<(), Fault> {
    let max = field.length.max();
    match len {
        0 => Err(Fault::Empty { field: field.number }),
        _ if len > max => Err(Fault::TooLong { field: field.number, len, max }),
        _ => Ok(()),
    }
}

fn fitting_content(field: &Field, value: &[u8]) -> Result<(), Fault> {
    match field.class.misfit(value) {
        Some(at) => Err(Fault::Content { field: field.number, at, class: field.class }),
        None => Ok(()),
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_map();
        shown.entry(&"type", &self.kind.code());
        for (number, value) in &self.fields {
            let text = match field(*number) {
                Some(field) if !field.secret => String::from_utf8_lossy(value).into_owned(),
                _ => format!("{} bytes, not shown", value.len()),
            };
            shown.entry(&place(*number), &text);
        }
        shown.finish()
    }
}

#[cfg(test)]
mod tests;
