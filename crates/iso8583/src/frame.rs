//! Frames on a byte stream: two bytes of length, big endian, then the message. Nothing here reads a socket.

use zeroize::Zeroizing;

/// Bytes before each frame's body.
pub const HEAD: usize = 2;
/// The most that one frame carries, in bytes: several times the longest message that is spoken here.
pub const MAX_BODY: usize = 8 * 1024;

/// Why a frame was not made or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side announced more than a frame holds, or nothing at all. The stream is of no more use.
    #[error("the other side announced a frame of {0} bytes; 1 to {MAX_BODY} are allowed")]
    Announced(usize),
    /// We wanted to send more than a frame holds, or nothing at all.
    #[error("a message of {0} bytes does not fit a frame; this program is at fault")]
    Unsendable(usize),
    /// The stream ended within a frame, or within the length before it.
    #[error("the connection broke in the middle of a frame")]
    Cut,
}

/// A frame's bytes for this body, wiped when dropped.
///
/// # Errors
/// [`FrameError::Unsendable`].
pub fn encode(body: &[u8]) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let len = u16::try_from(body.len()).ok().filter(|_| is_allowed(body.len()));
    let len = len.ok_or(FrameError::Unsendable(body.len()))?;
    let mut frame = Zeroizing::new(Vec::with_capacity(HEAD + body.len()));
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Puts bodies together from bytes as they arrive. Holds one frame at most, and wipes what it held.
#[derive(Default)]
pub struct FrameReader {
    head: Vec<u8>,
    body: Zeroizing<Vec<u8>>,
    /// Once the stream is out of step it stays so.
    broken: Option<FrameError>,
}

impl FrameReader {
    /// A reader at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes off the front of `from` until a body is complete; `None` when all are taken and more are needed.
    /// Call it again while it returns a body.
    ///
    /// # Errors
    /// [`FrameError::Announced`] as soon as the length is there, and again on every later call.
    pub fn next(&mut self, from: &mut &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        take(&mut self.head, HEAD, from);
        let Some(head) = self.head.first_chunk::<HEAD>() else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes(*head));
        if !is_allowed(len) {
            return Err(*self.broken.insert(FrameError::Announced(len)));
        }
        // All memory at once: a vector that grows would leave unwiped copies behind.
        let missing = len - self.body.len();
        self.body.reserve_exact(missing);
        take(&mut self.body, len, from);
        if self.body.len() < len {
            return Ok(None);
        }
        self.head.clear();
        Ok(Some(std::mem::take(&mut self.body)))
    }

    /// The stream has ended; was that between two frames?
    ///
    /// # Errors
    /// [`FrameError::Cut`], or the error that broke the stream before.
    pub fn finish(self) -> Result<(), FrameError> {
        match self.broken {
            Some(error) => Err(error),
            None if self.head.is_empty() => Ok(()),
            None => Err(FrameError::Cut),
        }
    }
}

fn take(to: &mut Vec<u8>, len: usize, from: &mut &[u8]) {
    let (taken, rest) = from.split_at(from.len().min(len - to.len()));
    to.extend_from_slice(taken);
    *from = rest;
}

fn is_allowed(len: usize) -> bool {
    (1..=MAX_BODY).contains(&len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_of_a_wrong_size_are_neither_made_nor_taken() {
        for len in [0, MAX_BODY + 1, 1 << 16] {
            assert_eq!(encode(&vec![0; len]), Err(FrameError::Unsendable(len)));
        }
        for len in [0u16, 8193, u16::MAX] {
            let (mut reader, bytes) = (FrameReader::new(), [&len.to_be_bytes()[..], b"rest"].concat());
            let mut from = &bytes[..];
            let error = FrameError::Announced(usize::from(len));
            assert_eq!(reader.next(&mut from), Err(error));
            assert_eq!(reader.next(&mut &b"\0\x01a"[..]), Err(error), "it stays out of step");
            assert_eq!(reader.finish(), Err(error));
        }
        assert_eq!(encode(&[7; MAX_BODY]).expect("fits").len(), MAX_BODY + HEAD);
    }

    #[test]
    fn a_cut_frame_is_told_from_an_ended_stream() {
        let frame = encode(b"message").expect("fits");
        for len in 0..=frame.len() {
            let mut reader = FrameReader::new();
            let found = reader.next(&mut &frame[..len]).expect("allowed");
            assert_eq!(found.is_some(), len == frame.len());
            let ended_well = len == 0 || len == frame.len();
            assert_eq!(reader.finish(), if ended_well { Ok(()) } else { Err(FrameError::Cut) }, "{len}");
        }
    }

    proptest! {
        #[test]
        fn bodies_come_out_in_order_however_they_arrive(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5),
            step in 1usize..400,
        ) {
            let frames: Vec<u8> = bodies.iter().flat_map(|body| encode(body).expect("fits").to_vec()).collect();
            let (mut reader, mut found) = (FrameReader::new(), Vec::new());
            for mut piece in frames.chunks(step) {
                while let Some(body) = reader.next(&mut piece).expect("allowed") {
                    found.push(body.to_vec());
                }
                prop_assert!(piece.is_empty());
            }
            prop_assert_eq!(found, bodies);
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
