//! As much of RTP (RFC 3550) as a tone needs: where the voice is in somebody's packet, and the heads of packets of one's own.

use super::tone::{Codec, RATE};
use crate::wire;
use std::ops::Range;

/// Samples in a packet of 20 ms.
pub(super) const SAMPLES: usize = (RATE / 50) as usize;
/// Length of the head that [`Own`] writes.
pub(super) const HEAD: usize = 12;
/// Comfort noise (RFC 3389): it says that nobody speaks.
const NOISE: u8 = 13;

/// Format and place of what is said in a packet; `None` where it is no voice: RTCP, noise, STUN, or damaged.
pub(super) fn voice(packet: &[u8]) -> Option<(u8, Range<usize>)> {
    let (first, second) = (*packet.first()?, *packet.get(1)?);
    // RTCP beside RTP on one port is told apart by these (RFC 5761, 4).
    if first >> 6 != 2 || (192..224).contains(&second) || packet.len() < HEAD {
        return None;
    }
    let mut start = HEAD + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(start + 2..start + 4)?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    let padding = if first & 0x20 == 0 { 0 } else { usize::from(*packet.last()?) };
    let end = packet.len().checked_sub(padding)?;
    let format = second & 0x7f;
    (start <= end && format != NOISE).then_some((format, start..end))
}

/// A stream that the switch sends itself where nobody else does.
#[derive(Debug)]
pub(super) struct Own {
    source: u32,
    sequence: u16,
    timestamp: u32,
    begun: bool,
}

impl Own {
    /// A new one. Its numbers begin anywhere, so that they meet nobody else's (RFC 3550, 5.1 and 8).
    pub(super) fn new() -> Self {
        let any = wire::random(16);
        let any = any.bytes().fold(0_u64, |any, sign| any.wrapping_mul(0x100_0000_01b3) ^ u64::from(sign));
        let [a, b, c, d, e, f, g, h] = any.to_be_bytes();
        Self {
            source: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([e, f]),
            timestamp: u32::from_be_bytes([e, f, g, h]),
            begun: false,
        }
    }

    /// The head of the next packet of [`SAMPLES`]; the first one is marked as the beginning of talk.
    pub(super) fn head(&mut self, codec: Codec) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[0] = 0x80;
        head[1] = codec.format() | if self.begun { 0 } else { 0x80 };
        head[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        head[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        head[8..].copy_from_slice(&self.source.to_be_bytes());
        self.begun = true;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(RATE / 50);
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn voice_is_found_behind_whatever_stands_before_it() {
        let head = |first, second| [vec![first, second], vec![0; 10]].concat();
        let cases = [
            ("plain", [head(0x80, 0), vec![1, 2]].concat(), Some((0, 12..14))),
            ("marked", [head(0x80, 0x88), vec![1]].concat(), Some((8, 12..13))),
            ("empty", head(0x80, 0), Some((0, 12..12))),
            ("two sources", [head(0x82, 0), vec![0; 8], vec![1]].concat(), Some((0, 20..21))),
            ("an extension", [head(0x90, 0), vec![0, 0, 0, 1, 0, 0, 0, 0], vec![1]].concat(), Some((0, 20..21))),
            ("padding", [head(0xa0, 0), vec![1, 2, 0, 0, 3]].concat(), Some((0, 12..14))),
            ("a key", [head(0x80, 101), vec![5, 0, 0, 0]].concat(), Some((101, 12..16))),
            ("noise", [head(0x80, 13), vec![5]].concat(), None),
            ("RTCP", head(0x80, 200), None),
            ("too much padding", [head(0xa0, 0), vec![200]].concat(), None),
            ("an extension cut off", [head(0x90, 0), vec![0, 0, 0]].concat(), None),
            ("an extension beyond the end", [head(0x90, 0), vec![0, 0, 0, 9]].concat(), None),
            ("version 1", head(0x40, 0), None),
            ("short", vec![0x80, 0], None),
        ];
        for (what, packet, expected) in cases {
            assert_eq!(voice(&packet), expected, "{what}");
        }
    }

    #[test]
    fn packets_of_ones_own_count_on() {
        let mut own = Own::new();
        let (first, second) = (own.head(Codec::Pcma), own.head(Codec::Pcma));
        assert_eq!((first[..2].to_vec(), second[..2].to_vec()), (vec![0x80, 0x88], vec![0x80, 0x08]));
        let number = |head: &[u8; HEAD]| u16::from_be_bytes([head[2], head[3]]);
        let time = |head: &[u8; HEAD]| u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        assert_eq!(number(&first).wrapping_add(1), number(&second));
        assert_eq!(time(&first).wrapping_add(160), time(&second));
        assert_eq!(first[8..], second[8..]);
        assert_ne!(Own::new().head(Codec::Pcma)[8..], first[8..]);
    }

    proptest! {
        #[test]
        fn any_packet_has_its_voice_within(packet in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some((_, place)) = voice(&packet) {
                prop_assert!(packet.get(place).is_some());
            }
        }
    }
}
