#![no_main]
//! Frames on a stream: what is split off is what would be written, and nothing is lost between two frames.
use tegata_link::frame;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut left = input;
    while let Ok(Some((body, rest))) = frame::decode(left) {
        let read = left.len() - rest.len();
        assert_eq!(frame::encode(body).expect("what was read can be written"), left[..read]);
        assert_eq!(frame::read(&mut &left[..]).expect("both readers agree"), body);
        assert!(read > 0);
        left = rest;
    }
});
