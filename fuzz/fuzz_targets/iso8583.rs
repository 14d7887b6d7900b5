#![no_main]
//! ISO 8583 messages: what is read encodes to the same bytes, and so does the request or answer that it is, if it is one.
use tegata_iso8583::{Answer, Key, Message, Request};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(message) = Message::decode(input) else { return };
    assert_eq!(message.encode().as_slice(), input);
    if let Ok(request) = Request::read(&message) {
        assert_eq!(Key::of(&message), Ok(request.key()));
        assert_eq!(request.message(), Ok(message.clone()));
        assert!(Answer::read(&message).is_err());
    }
    if let Ok(answer) = Answer::read(&message) {
        assert_eq!(Key::of(&message), Ok(answer.key()));
        assert_eq!(answer.message(), Ok(message));
    }
});
