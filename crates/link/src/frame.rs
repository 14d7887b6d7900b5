//! Frames on a byte stream: two bytes of length, big endian, then 1 to 16,384 bytes.
//!
//! A frame is one message; nothing here knows what is in it.

use std::io::{self, ErrorKind, Read, Write};

/// The most that one frame carries, in bytes.
pub const MAX_FRAME: usize = 16 * 1024;
/// Bytes before each frame's body.
pub const HEAD: usize = 2;

/// Why a frame was not sent or received.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side announced more than a frame holds, or nothing at all.
    #[error("the other side announced a frame of {0} bytes; 1 to 16384 are allowed")]
    Announced(usize),
    /// We wanted to send more than a frame holds, or nothing at all.
    #[error("a message of {0} bytes does not fit a frame; this program is at fault")]
    Unsendable(usize),
    /// The stream ended between two frames: the other side is done.
    #[error("the other side has closed the connection")]
    Closed,
    /// The stream ended within a frame.
    #[error("the connection broke in the middle of a frame")]
    Cut,
    /// The stream failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// A frame's bytes for this body.
///
/// # Errors
/// [`FrameError::Unsendable`].
pub fn encode(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let len = u16::try_from(body.len()).ok().filter(|_| is_allowed(body.len()));
    let len = len.ok_or(FrameError::Unsendable(body.len()))?;
    let mut frame = Vec::with_capacity(HEAD + body.len());
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

/// A frame's body, and the bytes after the frame.
pub type BodyAndRest<'a> = (&'a [u8], &'a [u8]);

/// The first frame's body in these bytes and what follows it; `None` while more bytes are needed.
///
/// # Errors
/// [`FrameError::Announced`], as soon as the length is there.
pub fn decode(bytes: &[u8]) -> Result<Option<BodyAndRest<'_>>, FrameError> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    Ok(rest.split_at_checked(announced(*head)?))
}

/// Writes one frame, in one piece.
///
/// # Errors
/// [`FrameError::Unsendable`], which changes nothing; [`FrameError::Io`].
pub fn write(to: &mut impl Write, body: &[u8]) -> Result<(), FrameError> {
    to.write_all(&encode(body)?)?;
    Ok(to.flush()?)
}

/// Reads one frame's body; waits for all of it.
///
/// # Errors
/// [`FrameError::Closed`] before the first byte; [`FrameError::Cut`], [`FrameError::Announced`] or
/// [`FrameError::Io`], after which the stream is of no more use.
pub fn read(from: &mut impl Read) -> Result<Vec<u8>, FrameError> {
    let mut head = [0; HEAD];
    let started = loop {
        match from.read(&mut head) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(len) => break len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    };
    fill(from, &mut head[started..])?;
    let mut body = vec![0; announced(head)?];
    fill(from, &mut body)?;
    Ok(body)
}

fn fill(from: &mut impl Read, to: &mut [u8]) -> Result<(), FrameError> {
    from.read_exact(to).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => FrameError::Cut,
        _ => FrameError::Io(error),
    })
}

fn announced(head: [u8; HEAD]) -> Result<usize, FrameError> {
    let len = usize::from(u16::from_be_bytes(head));
    if is_allowed(len) { Ok(len) } else { Err(FrameError::Announced(len)) }
}

fn is_allowed(len: usize) -> bool {
    (1..=MAX_FRAME).contains(&len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives one byte at a time, with interruptions.
    struct Drip<'a>(&'a [u8], bool);

    impl Read for Drip<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let len = to.len().min(1);
            self.0.read(&mut to[..len])
        }
    }

    #[test]
    fn frames_of_a_wrong_size_are_neither_sent_nor_taken() {
        for len in [0, MAX_FRAME + 1, 1 << 16] {
            assert!(matches!(encode(&vec![0; len]), Err(FrameError::Unsendable(found)) if found == len));
        }
        for len in [0u16, 16_385, u16::MAX] {
            let bytes = len.to_be_bytes();
            assert!(matches!(decode(&bytes), Err(FrameError::Announced(found)) if found == usize::from(len)));
            assert!(matches!(read(&mut &bytes[..]), Err(FrameError::Announced(_))));
        }
        assert_eq!(encode(&[7; MAX_FRAME]).expect("fits").len(), MAX_FRAME + HEAD);
    }

    #[test]
    fn a_cut_frame_is_told_from_a_closed_stream() {
        let frame = encode(b"message").expect("fits");
        assert!(matches!(read(&mut &frame[..0]), Err(FrameError::Closed)));
        for len in 1..frame.len() {
            assert!(matches!(read(&mut &frame[..len]), Err(FrameError::Cut)), "{len}");
            assert!(matches!(decode(&frame[..len]), Ok(None)), "{len}");
        }
    }

    proptest! {
        #[test]
        fn frames_read_back_in_order_however_they_arrive(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5)
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                write(&mut stream, body).expect("memory takes it");
            }
            let (mut at_once, mut dripping) = (&stream[..], Drip(&stream, false));
            let mut left = &stream[..];
            for body in &bodies {
                prop_assert_eq!(&read(&mut at_once).expect("reads"), body);
                prop_assert_eq!(&read(&mut dripping).expect("reads"), body);
                let (found, rest) = decode(left).expect("allowed").expect("complete");
                prop_assert_eq!(found, &body[..]);
                left = rest;
            }
            prop_assert!(left.is_empty());
            prop_assert!(matches!(read(&mut dripping), Err(FrameError::Closed)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let taken = decode(&bytes).ok().flatten().map(|(body, _)| body.to_vec());
            prop_assert_eq!(taken, read(&mut &bytes[..]).ok());
        }
    }
}
