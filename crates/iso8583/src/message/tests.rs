//! The codec's cases: messages as they stand on the wire, and every way in which they can be wrong.

use super::*;
use crate::table::{Class, fields};
use proptest::prelude::*;
use proptest::sample::subsequence;

fn echo() -> Message {
    let mut message = Message::new(MessageType::NetworkRequest);
    for (number, value) in [(7, "1124075800"), (11, "000001"), (70, "301")] {
        message.set(number, value.as_bytes()).expect("fits");
    }
    message
}

fn purchase() -> Message {
    let mut message = Message::new(MessageType::AuthorizationRequest);
    for (number, value) in [(2, "4111111111111111"), (3, "000000"), (4, "000000001234"), (48, "10")] {
        message.set(number, value.as_bytes()).expect("fits");
    }
    message
}

#[test]
fn messages_stand_on_the_wire_as_the_standard_draws_them() {
    let wire = b"0100\x70\x00\x00\x00\x00\x01\x00\x00164111111111111111000000000000001234002\x31\x30";
    assert_eq!(purchase().encode().as_slice(), wire);
    let wire = b"0800\x82\x20\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x001124075800000001301";
    assert_eq!(echo().encode().as_slice(), wire);
    assert_eq!(Message::new(MessageType::NetworkAnswer).encode().as_slice(), b"0810\0\0\0\0\0\0\0\0");
}

#[test]
fn a_cut_anywhere_is_told_with_the_field_it_is_in() {
    // Type 4, bitmap 8, field 2 18, field 3 6, field 4 12, field 48 5.
    let wire = purchase().encode();
    for (len, field) in [(0, 0), (3, 0), (4, 1), (11, 1), (12, 2), (13, 2), (14, 2), (29, 2), (30, 3), (36, 4), (47, 4)]
    {
        assert_eq!(Message::decode(&wire[..len]), Err(Fault::Truncated { field }), "{len}");
    }
    for len in 48..wire.len() {
        assert_eq!(Message::decode(&wire[..len]), Err(Fault::Truncated { field: 48 }), "{len}");
    }
    let wire = echo().encode();
    assert_eq!(Message::decode(&wire[..19]), Err(Fault::Truncated { field: 1 }), "within the secondary bitmap");
}

#[test]
fn malformed_messages_are_refused_by_name() {
    let bits = |bits: &[u8]| {
        let mut map = [0; 16];
        for bit in bits {
            map[usize::from((bit - 1) / 8)] |= 0x80 >> ((bit - 1) % 8);
        }
        map
    };
    let short = |bit: u8, rest: &[u8]| [b"0800", &bits(&[bit])[..8], rest].concat();
    let long = |all: &[u8], rest: &[u8]| [b"0800", &bits(all)[..], rest].concat();
    let content = |field, at, class| Fault::Content { field, at, class };
    for (story, wire, fault) in [
        ("letters for a type", b"O800\0\0\0\0\0\0\0\0".to_vec(), Fault::NoType),
        ("a type of 1993", b"1800\0\0\0\0\0\0\0\0".to_vec(), Fault::UnknownType(1800)),
        ("an advice", b"0420\0\0\0\0\0\0\0\0".to_vec(), Fault::UnknownType(420)),
        ("secondary bitmap for nothing", long(&[1], b""), Fault::EmptySecondary),
        ("a third bitmap", long(&[1, 65], &[0; 8]), Fault::UnknownField { field: 65 }),
        ("letters in a number", short(11, b"00000A"), content(11, 5, Class::N)),
        ("a blank in a number", short(11, b" 00001"), content(11, 0, Class::N)),
        ("punctuation in a reference", short(37, b"12345678901-"), content(37, 11, Class::An)),
        ("a line feed in a name", short(41, b"TERM\n001"), content(41, 4, Class::Ans)),
        ("no sign before a fee", short(28, b"000000000"), content(28, 0, Class::XN)),
        ("letters in a track", short(35, b"054111D"), content(35, 4, Class::Z)),
        ("half a currency", short(49, b"US0"), content(49, 2, Class::AOrN)),
        ("letters in an extended number", short(34, b"0359A"), content(34, 2, Class::Ns)),
        ("a length in letters", short(2, b"1Z4111111111111111"), Fault::LengthDigits { field: 2 }),
        ("a length with a blank", short(2, b" 4111111"), Fault::LengthDigits { field: 2 }),
        ("a length with a sign", short(48, b"+021"), Fault::LengthDigits { field: 48 }),
        ("twenty digits of card", short(2, b"2041111111111111111111"), Fault::TooLong { field: 2, len: 20, max: 19 }),
        ("a length that lies", short(2, b"1941111"), Fault::Truncated { field: 2 }),
        ("no length at all", short(48, b"00"), Fault::Truncated { field: 48 }),
        ("nothing in a field", short(2, b"00"), Fault::Empty { field: 2 }),
        ("a byte too many", short(11, b"0000010"), Fault::Trailing { bytes: 1 }),
        ("bytes and no fields", b"0800\0\0\0\0\0\0\0\0x".to_vec(), Fault::Trailing { bytes: 1 }),
        ("an authentication code cut off", long(&[1, 128], &[7; 7]), Fault::Truncated { field: 128 }),
    ] {
        assert_eq!(Message::decode(&wire), Err(fault), "{story}");
    }
}

#[test]
fn what_would_not_decode_cannot_be_set() {
    let mut message = echo();
    for (number, value, fault) in [
        (0, "0800", Fault::UnknownField { field: 0 }),
        (1, "00000000", Fault::UnknownField { field: 1 }),
        (65, "0", Fault::UnknownField { field: 65 }),
        (129, "0", Fault::UnknownField { field: 129 }),
        (11, "1", Fault::WrongLength { field: 11, len: 1, fixed: 6 }),
        (11, "", Fault::WrongLength { field: 11, len: 0, fixed: 6 }),
        (11, "ABCDEF", Fault::Content { field: 11, at: 0, class: Class::N }),
        (2, "", Fault::Empty { field: 2 }),
        (2, "41111111111111111111", Fault::TooLong { field: 2, len: 20, max: 19 }),
        (41, "caf\u{e9} 01", Fault::Content { field: 41, at: 3, class: Class::Ans }),
    ] {
        assert_eq!(message.set(number, value.as_bytes()), Err(fault), "{number} {value}");
    }
    assert_eq!(message, echo());
}

#[test]
fn a_card_number_is_never_shown() {
    let mut message = purchase();
    message.set(35, b"4111111111111111=2512").expect("fits");
    message.set(63, b"4111111111111111").expect("fits");
    let shown = format!("{message:?} {message:#?}");
    assert!(!shown.contains("411111") && shown.contains("16 bytes, not shown"), "{shown}");
    assert!(shown.contains("000000001234"), "what is no secret is shown: {shown}");
    // Wherever it is cut or bent, the fault does not quote it.
    let wire = message.encode();
    for at in 0..wire.len() {
        let mut bent = wire.to_vec();
        bent[at] ^= 0x40;
        for bytes in [&wire[..at], &bent] {
            if let Err(fault) = Message::decode(bytes) {
                assert!(!format!("{fault} {fault:?}").contains("1111"), "{fault:?}");
            }
        }
    }
}

/// Any value that the table lets into the field.
fn value(field: &'static Field) -> BoxedStrategy<Vec<u8>> {
    let len = match field.length {
        Length::Fixed(fixed) => fixed..=fixed,
        length => 1..=length.max(),
    };
    let of = |characters: String| proptest::string::bytes_regex(&characters).expect("a pattern").boxed();
    let (least, most) = (*len.start(), *len.end());
    match field.class {
        Class::N => of(format!("[0-9]{{{least},{most}}}")),
        Class::An => of(format!("[0-9A-Za-z ]{{{least},{most}}}")),
        Class::Ans => of(format!("[ -~]{{{least},{most}}}")),
        Class::Ns => of(format!("[ -@]{{{least},{most}}}")),
        Class::AOrN => of(format!("([0-9]{{{most}}}|[A-Za-z]{{{most}}})")),
        Class::Z => of(format!("[0-?]{{{least},{most}}}")),
        Class::B => proptest::collection::vec(any::<u8>(), len).boxed(),
        Class::XN => of(format!("[CD][0-9]{{{}}}", most - 1)),
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let kind = proptest::sample::select(MessageType::ALL.to_vec());
    let some = subsequence(fields().to_vec(), 0..12).prop_flat_map(|some| {
        let each: Vec<_> = some
            .into_iter()
            .map(|row| {
                let row = field(row.number).expect("in the table");
                value(row).prop_map(move |value| (row.number, value))
            })
            .collect();
        each
    });
    (kind, some).prop_map(|(kind, values)| {
        let mut message = Message::new(kind);
        for (number, value) in values {
            message.set(number, &value).expect("drawn to fit");
        }
        message
    })
}

#[test]
fn the_longest_value_of_every_field_reads_back() {
    let mut all = Message::new(MessageType::FinancialRequest);
    for field in fields() {
        let max = field.length.max();
        let value = if field.class == Class::XN { format!("D{:0<1$}", "", max - 1) } else { "7".repeat(max) };
        all.set(field.number, value.as_bytes()).expect("fits");
    }
    assert_eq!(Message::decode(&all.encode()), Ok(all));
}

proptest! {
    #[test]
    fn whatever_is_encoded_reads_back(message in any_message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn whatever_is_read_encodes_to_the_same_bytes(message in any_message(), at: prop::sample::Index, byte: u8) {
        let mut bytes = message.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Message::decode(&bytes) {
            prop_assert_eq!(read.encode().to_vec(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        if let Ok(read) = Message::decode(&bytes) {
            prop_assert_eq!(read.encode().to_vec(), bytes);
        }
    }
}
