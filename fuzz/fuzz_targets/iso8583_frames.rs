#![no_main]
//! Frames to the bank: however a stream is cut into pieces, the same bodies come out, or the same error.
use tegata_iso8583::frame::{FrameError, FrameReader, encode};

/// What comes out of these pieces, and how it ends.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let (mut reader, mut bodies) = (FrameReader::new(), Vec::new());
    for mut piece in pieces {
        while let Ok(Some(body)) = reader.next(&mut piece) {
            bodies.push(body.to_vec());
        }
    }
    (bodies, reader.finish())
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((step, stream)) = input.split_first() else { return };
    let whole = read(std::iter::once(stream));
    assert_eq!(whole, read(stream.chunks(usize::from(*step) + 1)));
    let written: Vec<u8> = whole.0.iter().flat_map(|body| encode(body).expect("was read").to_vec()).collect();
    assert!(stream.starts_with(&written));
    assert_eq!(whole.1.is_ok(), written.len() == stream.len());
});
