//! Deterministic CBOR (RFC 8949 4.2), read strictly (R4): what does not re-encode to the same bytes is refused.
//!
//! Messages are maps with integer keys, declared with [`message!`](crate::message). Unknown keys under 128 are
//! refused; from 128 up they are kept as received, covered by the signature, and ignored.

use alloc::{string::String, vec::Vec};
use minicbor::{Decoder, Encoder, data::Type};

/// Keys from here up belong to later versions and are kept unread (R4).
pub const FIRST_EXTENSION: u64 = 128;
/// The largest number of a field: databases count with 63 bits.
pub const MAX_NUMBER: u64 = i64::MAX.cast_unsigned();
/// The longest text of a field, in bytes.
pub const MAX_TEXT: usize = 300;
/// How deep an unread extension may nest.
const MAX_DEPTH: u8 = 8;

/// Why bytes were refused. Always the sender's fault, never worth sending again unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the message does.
    #[error("the message is cut short")]
    Truncated,
    /// Something follows the message.
    #[error("bytes follow the end of the message")]
    Trailing,
    /// Not the shortest form, not sorted, or of indefinite length.
    #[error("the message is not in canonical form")]
    NotCanonical,
    /// Another type than the one expected.
    #[error("the message holds another type than expected")]
    Type,
    /// A key under 128 that this message does not have.
    #[error("the message has an unknown field {0}")]
    UnknownField(u64),
    /// A required key is missing.
    #[error("the message lacks field {0}")]
    MissingField(u64),
    /// A value outside its range.
    #[error("the message has a wrong value: {0}")]
    Value(&'static str),
    /// Longer than this message may be.
    #[error("the message is too large")]
    TooLarge,
    /// The message is of another kind than expected.
    #[error("another kind of message was expected")]
    Kind,
}

impl From<minicbor::decode::Error> for DecodeError {
    fn from(error: minicbor::decode::Error) -> Self {
        if error.is_end_of_input() { Self::Truncated } else { Self::Type }
    }
}

/// Writes canonical CBOR into memory, which cannot fail.
pub struct Writer(Encoder<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! emit {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $kind:ty)?) => $call:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self $(, $arg: $kind)?) {
            // Writing into memory has no way to fail.
            let _ = self.0.$call($($arg)?);
        }
    )*};
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self(Encoder::new(Vec::with_capacity(256)))
    }
    emit! {
        /// An unsigned integer.
        uint(value: u64) => u64;
        /// A signed integer.
        int(value: i64) => i64;
        /// A byte string.
        bytes(value: &[u8]) => bytes;
        /// A text.
        text(value: &str) => str;
        /// True or false.
        bool(value: bool) => bool;
        /// The head of an array.
        array(len: u64) => array;
        /// The head of a map.
        map(len: u64) => map;
    }
    /// CBOR that is already encoded.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.0.writer_mut().extend_from_slice(encoded);
    }
    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// Reads CBOR; minimal lengths are checked as each head is read.
pub struct Reader<'b>(Decoder<'b>);

impl<'b> Reader<'b> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(Decoder::new(bytes))
    }
    /// The bytes from `start` to here.
    fn since(&self, start: usize) -> &'b [u8] {
        &self.0.input()[start..self.0.position()]
    }
    fn head(&mut self, value: u64, start: usize, payload: usize) -> Result<(), DecodeError> {
        let head = self.0.position() - start - payload;
        let shortest = match value {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if head == shortest { Ok(()) } else { Err(DecodeError::NotCanonical) }
    }
    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        let start = self.0.position();
        let value = self.0.u64()?;
        self.head(value, start, 0)?;
        Ok(value)
    }
    /// A signed integer.
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        let start = self.0.position();
        let value = self.0.i64()?;
        self.head(if value < 0 { !value.cast_unsigned() } else { value.cast_unsigned() }, start, 0)?;
        Ok(value)
    }
    /// A byte string of definite length.
    pub fn bytes(&mut self) -> Result<&'b [u8], DecodeError> {
        let start = self.0.position();
        let value = self.0.bytes()?;
        self.head(value.len() as u64, start, value.len())?;
        Ok(value)
    }
    /// A byte string of exactly `N` bytes.
    pub fn array_bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.bytes()?.try_into().map_err(|_| DecodeError::Value("wrong length"))
    }
    /// A text of definite length.
    pub fn text(&mut self) -> Result<&'b str, DecodeError> {
        let start = self.0.position();
        let value = self.0.str()?;
        self.head(value.len() as u64, start, value.len())?;
        Ok(value)
    }
    /// True or false.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.0.bool()?)
    }
    /// The head of an array of any definite length.
    pub fn array_len(&mut self) -> Result<u64, DecodeError> {
        let start = self.0.position();
        let len = self.0.array()?.ok_or(DecodeError::NotCanonical)?;
        self.head(len, start, 0)?;
        Ok(len)
    }
    /// The head of an array of exactly `len`.
    pub fn array(&mut self, len: u64) -> Result<(), DecodeError> {
        if self.array_len()? == len { Ok(()) } else { Err(DecodeError::Value("wrong length")) }
    }
    /// The head of a map.
    pub fn map_len(&mut self) -> Result<u64, DecodeError> {
        let start = self.0.position();
        let len = self.0.map()?.ok_or(DecodeError::NotCanonical)?;
        self.head(len, start, 0)?;
        Ok(len)
    }
    /// One whole value, canonical, unread.
    pub fn raw(&mut self) -> Result<&'b [u8], DecodeError> {
        let start = self.0.position();
        self.skip(MAX_DEPTH)?;
        Ok(self.since(start))
    }
    fn skip(&mut self, depth: u8) -> Result<(), DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::NotCanonical)?;
        match self.0.datatype()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.uint().map(drop),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => self.int().map(drop),
            Type::Bytes => self.bytes().map(drop),
            Type::String => self.text().map(drop),
            Type::Bool => self.bool().map(drop),
            Type::Array => (0..self.array_len()?).try_for_each(|_| self.skip(depth)),
            Type::Map => {
                let mut last: &[u8] = &[];
                for _ in 0..self.map_len()? {
                    let start = self.0.position();
                    self.skip(depth)?;
                    let key = self.since(start);
                    if key <= last {
                        return Err(DecodeError::NotCanonical);
                    }
                    last = key;
                    self.skip(depth)?;
                }
                Ok(())
            }
            _ => Err(DecodeError::NotCanonical),
        }
    }
    /// The next map key: integers only, strictly ascending.
    pub fn key(&mut self, last: &mut Option<u64>) -> Result<u64, DecodeError> {
        let key = self.uint()?;
        if last.is_some_and(|last| key <= last) {
            return Err(DecodeError::NotCanonical);
        }
        *last = Some(key);
        Ok(key)
    }
    /// Nothing may follow.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.0.position() == self.0.input().len() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

/// Something with one canonical form.
pub trait Wire: Sized {
    /// Writes the canonical form.
    fn write(&self, to: &mut Writer);
    /// Reads it, refusing every other form.
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
    /// Whether a field holding this is written at all (only an empty option is not).
    fn is_present(&self) -> bool {
        true
    }
    /// What a missing field means; `None` if the field is required.
    fn missing() -> Option<Self> {
        None
    }
    /// The canonical bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }
    /// Reads exactly these bytes.
    ///
    /// # Errors
    /// What is wrong with them; the sender is at fault.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, to: &mut Writer) {
        if let Some(value) = self {
            value.write(to);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::read(from).map(Some)
    }
    fn is_present(&self) -> bool {
        self.is_some()
    }
    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, to: &mut Writer) {
        to.array(self.len() as u64);
        self.iter().for_each(|item| item.write(to));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array_len()?;
        (0..len).map(|_| T::read(from)).collect()
    }
}

impl Wire for u64 {
    fn write(&self, to: &mut Writer) {
        to.uint(*self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = from.uint()?;
        if value > MAX_NUMBER { Err(DecodeError::Value("number too large")) } else { Ok(value) }
    }
}

/// A number that is never 0: what 0 would mean is said by leaving the field out.
impl Wire for core::num::NonZeroU64 {
    fn write(&self, to: &mut Writer) {
        to.uint(self.get());
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(u64::read(from)?).ok_or(DecodeError::Value("zero is said by leaving the field out"))
    }
}

impl Wire for u32 {
    fn write(&self, to: &mut Writer) {
        to.uint(u64::from(*self));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::try_from(from.uint()?).map_err(|_| DecodeError::Value("number too large"))
    }
}

impl Wire for bool {
    fn write(&self, to: &mut Writer) {
        to.bool(*self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.bool()
    }
}

/// Control characters, separators of lines, and those that turn the direction of writing: a screen would show another
/// text than was signed.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Wire for String {
    fn write(&self, to: &mut Writer) {
        to.text(self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = from.text()?;
        if text.len() > MAX_TEXT || text.chars().any(is_unprintable) {
            return Err(DecodeError::Value("text too long, or with characters that people cannot see"));
        }
        Ok(String::from(text))
    }
}

/// A byte string (a `Vec<u8>` would be an array of numbers).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Wire for Bytes {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.bytes().map(|bytes| Self(bytes.into()))
    }
}

/// Fields of a later version: keys from 128 up, kept as received (R4).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Extensions(Vec<(u64, Vec<u8>)>);

impl Extensions {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Adds one field under `key`, which is 128 or more and above those added before; `value` is canonical CBOR.
    pub fn push(&mut self, key: u64, value: Vec<u8>) {
        self.0.push((key, value));
    }
    /// Writes them, after all known fields.
    pub fn write(&self, to: &mut Writer) {
        for (key, value) in &self.0 {
            to.uint(*key);
            to.raw(value);
        }
    }
}

/// A signed message's kind and structure version: field 0 of every signed body.
pub trait Message: Wire {
    /// The kind, unique among messages; `spec/tegata.cddl` lists them.
    const KIND: u64;
    /// The largest that the whole signed message may be, in bytes.
    const MAX_LEN: usize;
}

/// Declares a message: a map with integer keys in ascending order. `Option` fields may be absent. With
/// `kind N max M`, it is a signed body: field 0 holds N, and the signed message is at most M bytes long.
#[macro_export]
macro_rules! message {
    ($(#[$doc:meta])* pub struct $name:ident kind $kind:literal max $max:literal { $($body:tt)* }) => {
        $crate::message!(@struct [$kind] $(#[$doc])* $name { $($body)* });
        impl $crate::wire::canonical::Message for $name {
            const KIND: u64 = $kind;
            const MAX_LEN: usize = $max;
        }
    };
    ($(#[$doc:meta])* pub struct $name:ident { $($body:tt)* }) => {
        $crate::message!(@struct [] $(#[$doc])* $name { $($body)* });
    };
    (@struct [$($kind:literal)?] $(#[$doc:meta])* $name:ident {
        $($(#[$fdoc:meta])* $key:literal $field:ident: $kindof:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $kindof,)*
            /// Fields of a later version.
            pub extensions: $crate::wire::canonical::Extensions,
        }
        impl $crate::wire::canonical::Wire for $name {
            fn write(&self, to: &mut $crate::wire::canonical::Writer) {
                let mut len = self.extensions.len() as u64;
                $(let _: u64 = $kind; len += 1;)?
                $(len += u64::from($crate::wire::canonical::Wire::is_present(&self.$field));)*
                to.map(len);
                $(to.uint(0); to.uint($kind);)?
                $(if $crate::wire::canonical::Wire::is_present(&self.$field) {
                    to.uint($key);
                    $crate::wire::canonical::Wire::write(&self.$field, to);
                })*
                self.extensions.write(to);
            }
            fn read(
                from: &mut $crate::wire::canonical::Reader<'_>,
            ) -> Result<Self, $crate::wire::canonical::DecodeError> {
                use $crate::wire::canonical::{DecodeError, Extensions, FIRST_EXTENSION};
                let mut left = from.map_len()?;
                let mut last = None;
                $(
                    if left == 0 || from.key(&mut last)? != 0 || from.uint()? != $kind {
                        return Err(DecodeError::Kind);
                    }
                    left -= 1;
                )?
                $(let mut $field: Option<$kindof> = None;)*
                let mut extensions = Extensions::default();
                while left > 0 {
                    left -= 1;
                    match from.key(&mut last)? {
                        $($key => $field = Some(<$kindof as $crate::wire::canonical::Wire>::read(from)?),)*
                        key if key >= FIRST_EXTENSION => {
                            let value = from.raw()?;
                            extensions.push(key, value.into());
                        }
                        key => return Err(DecodeError::UnknownField(key)),
                    }
                }
                Ok(Self {
                    $($field: match $field {
                        Some(value) => value,
                        None => <$kindof as $crate::wire::canonical::Wire>::missing().ok_or(DecodeError::MissingField($key))?,
                    },)*
                    extensions,
                })
            }
        }
    };
}

/// Declares a plain enumeration that travels as its number.
#[macro_export]
macro_rules! codes {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// Every value, in the order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The number on the wire.
            pub fn code(self) -> u64 {
                match self { $(Self::$variant => $code,)* }
            }
            /// Its name in tests, reports and vectors.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
        impl $crate::wire::canonical::Wire for $name {
            fn write(&self, to: &mut $crate::wire::canonical::Writer) {
                to.uint(self.code());
            }
            fn read(
                from: &mut $crate::wire::canonical::Reader<'_>,
            ) -> Result<Self, $crate::wire::canonical::DecodeError> {
                match from.uint()? {
                    $($code => Ok(Self::$variant),)*
                    _ => Err($crate::wire::canonical::DecodeError::Value(concat!("unknown ", stringify!($name)))),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    message! {
        /// A message for these tests.
        pub struct Sample kind 99 max 100 {
            /// A number.
            1 number: u64,
            /// A text that may be absent.
            2 note: Option<String>,
        }
    }

    fn refused(bytes: &[u8]) -> DecodeError {
        Sample::from_bytes(bytes).expect_err("must be refused")
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let good = [0xa2, 0x00, 0x18, 99, 0x01, 0x05];
        assert_eq!(Sample::from_bytes(&good).map(|s| s.to_bytes()), Ok(good.to_vec()));
        assert_eq!(refused(&good[..5]), DecodeError::Truncated);
        assert_eq!(refused(&[0xa2, 0x00, 0x18, 99, 0x01, 0x05, 0x00]), DecodeError::Trailing);
        assert_eq!(refused(&[0xa2, 0x00, 0x18, 99, 0x01, 0x18, 0x05]), DecodeError::NotCanonical);
        assert_eq!(refused(&[0xa2, 0x00, 0x18, 98, 0x01, 0x05]), DecodeError::Kind);
        assert_eq!(refused(&[0xa1, 0x00, 0x18, 99]), DecodeError::MissingField(1));
        assert_eq!(refused(&[0xa3, 0x00, 0x18, 99, 0x01, 0x05, 0x03, 0x00]), DecodeError::UnknownField(3));
        assert_eq!(refused(&[0xa3, 0x00, 0x18, 99, 0x01, 0x05, 0x01, 0x05]), DecodeError::NotCanonical);
        assert_eq!(refused(&[0xbf, 0x00, 0x18, 99, 0x01, 0x05, 0xff]), DecodeError::NotCanonical);
    }

    #[test]
    fn fields_of_later_versions_are_kept_as_received() {
        let later = vec![0xa3, 0x00, 0x18, 99, 0x01, 0x05, 0x18, 0x80, 0x82, 0x01, 0x60];
        assert_eq!(Sample::from_bytes(&later).map(|s| s.to_bytes()), Ok(later));
        let sloppy = [0xa3, 0x00, 0x18, 99, 0x01, 0x05, 0x18, 0x80, 0x18, 0x01];
        assert_eq!(refused(&sloppy), DecodeError::NotCanonical);
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(sample) = Sample::from_bytes(&bytes) {
                prop_assert_eq!(sample.to_bytes(), bytes);
            }
        }
    }
}
