//! What a caller is told by voice before its paid time ends, read from a WAV file. No sockets here.
//!
//! A WAV file (RIFF) is a list of chunks: a name, a length and so many bytes, made even. Of these `fmt ` says how the sound is written,
//! and `data`, which comes after it, has it. The reader is our own, since the one that is kept well (`hound`) reads no G.711.

use super::tone::{Codec, RATE};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The longest announcement, in seconds: the warning comes ten seconds before the end, and the beeps are played first.
pub const LONGEST: u32 = 9;
/// Formats of samples (RFC 2361): linear, A-law, mu-law, and one whose name comes later.
const LINEAR: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// Why a file cannot be played to a caller; whoever made it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnnouncementError {
    /// No RIFF file, or none of sound.
    #[error("it is no WAV file")]
    NotWav,
    /// Its lengths lead beyond its end, or a part is missing.
    #[error("the WAV file is damaged or cut off")]
    Damaged,
    /// Stereo, say.
    #[error("it has {0} channels; a telephone has one (mono)")]
    Channels(u16),
    /// Music, say.
    #[error("it has {0} samples a second; a telephone has 8000")]
    Rate(u32),
    /// Neither linear samples of 16 bits nor G.711: the format, and the bits of a sample.
    #[error(
        "its samples have {1} bits in WAV's format {0}; only PCM of 16 bits (1) and G.711 of 8 bits (6, 7) are read"
    )]
    Samples(u16, u16),
    /// Nothing is said.
    #[error("it has no sound in it")]
    Empty,
    /// More than [`LONGEST`].
    #[error("it lasts longer than nine seconds; the warning comes only ten before the end")]
    TooLong,
}

/// A voice of at most nine seconds; cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Announcement(Arc<[i16]>);

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Announcement({} samples)", self.0.len())
    }
}

impl Announcement {
    /// The one that the switch has of its own: "Your call will end soon." (`assets/README.md` says how it was made).
    ///
    /// # Errors
    /// None, unless this program was built with a damaged file.
    pub fn usual() -> Result<Self, AnnouncementError> {
        Self::read(include_bytes!("../../assets/warning.wav"))
    }

    /// A WAV file: one channel, 8,000 samples a second, linear ones of 16 bits or G.711's.
    ///
    /// # Errors
    /// [`AnnouncementError`] says what is wrong with it.
    pub fn read(file: &[u8]) -> Result<Self, AnnouncementError> {
        let chunks = match (file.get(..4), file.get(8..12), file.get(12..)) {
            (Some(b"RIFF"), Some(b"WAVE"), Some(chunks)) => chunks,
            _ => return Err(AnnouncementError::NotWav),
        };
        let format = Format::read(chunk(chunks, *b"fmt ")?)?;
        let data = chunk(chunks, *b"data")?;
        let samples: Arc<[i16]> = match format {
            Format::Linear => data.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect(),
            Format::Coded(codec) => data.iter().map(|byte| codec.read(*byte)).collect(),
        };
        let longest = RATE.saturating_mul(LONGEST);
        match u32::try_from(samples.len()) {
            Ok(0) => Err(AnnouncementError::Empty),
            Ok(length) if length <= longest => Ok(Self(samples)),
            _ => Err(AnnouncementError::TooLong),
        }
    }

    /// What is said, linear.
    pub(super) fn samples(&self) -> &[i16] {
        &self.0
    }
}

/// How samples are written.
enum Format {
    Linear,
    Coded(Codec),
}

impl Format {
    /// From the chunk `fmt `.
    fn read(chunk: &[u8]) -> Result<Self, AnnouncementError> {
        let two = |at: usize| chunk.get(at..)?.first_chunk::<2>().map(|bytes| u16::from_le_bytes(*bytes));
        let rate = chunk.get(4..).and_then(|rest| rest.first_chunk::<4>()).map(|bytes| u32::from_le_bytes(*bytes));
        let (Some(mut format), Some(channels), Some(rate), Some(bits)) = (two(0), two(2), rate, two(14)) else {
            return Err(AnnouncementError::Damaged);
        };
        if format == EXTENSIBLE {
            format = two(24).unwrap_or(format);
        }
        if channels != 1 {
            return Err(AnnouncementError::Channels(channels));
        }
        if rate != RATE {
            return Err(AnnouncementError::Rate(rate));
        }
        match (format, bits) {
            (LINEAR, 16) => Ok(Self::Linear),
            (A_LAW, 8) => Ok(Self::Coded(Codec::Pcma)),
            (MU_LAW, 8) => Ok(Self::Coded(Codec::Pcmu)),
            _ => Err(AnnouncementError::Samples(format, bits)),
        }
    }
}

/// The first chunk of this name.
fn chunk(mut chunks: &[u8], wanted: [u8; 4]) -> Result<&[u8], AnnouncementError> {
    loop {
        let (name, rest) = chunks.split_first_chunk::<4>().ok_or(AnnouncementError::Damaged)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(AnnouncementError::Damaged)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| AnnouncementError::Damaged)?;
        if *name == wanted {
            return rest.get(..length).ok_or(AnnouncementError::Damaged);
        }
        // One byte more where the length is odd; the last chunk may be without it.
        chunks = rest.get(length.saturating_add(length % 2)..).ok_or(AnnouncementError::Damaged)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("short");
        let even = vec![0; content.len() % 2];
        [name.as_slice(), &length.to_le_bytes(), content, &even].concat()
    }

    fn format(format: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let mut chunk = [format.to_le_bytes(), channels.to_le_bytes()].concat();
        chunk.extend(rate.to_le_bytes());
        chunk.extend([0; 6]);
        chunk.extend(bits.to_le_bytes());
        with(b"fmt ", &chunk)
    }

    fn file(chunks: &[&[u8]]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WAVE".as_slice(), &chunks.concat()].concat()
    }

    fn read(format: &[u8], data: &[u8]) -> Result<Vec<i16>, AnnouncementError> {
        Announcement::read(&file(&[format, &with(b"data", data)])).map(|read| read.samples().to_vec())
    }

    #[test]
    fn sound_is_found_among_whatever_else_is_in_the_file() {
        let linear = format(LINEAR, 1, 8_000, 16);
        assert_eq!(read(&linear, &[1, 0, 0xff, 0xff, 0, 0x80]), Ok(vec![1, -1, -32_768]));
        assert_eq!(read(&format(MU_LAW, 1, 8_000, 8), &[0xff, 0x80, 0x00]), Ok(vec![0, 32_124, -32_124]));
        assert_eq!(read(&format(A_LAW, 1, 8_000, 8), &[0xd5, 0x55]), Ok(vec![8, -8]));
        // Odd chunks before it, and others after it.
        let (title, more) = (with(b"LIST", b"abc"), with(b"id3 ", b"x"));
        let whole = file(&[&title, &linear, &title, &with(b"data", &[2, 0]), &more]);
        assert_eq!(Announcement::read(&whole).map(|read| read.samples().to_vec()), Ok(vec![2]));
        // The format is said later.
        let mut chunk = [EXTENSIBLE.to_le_bytes(), 1_u16.to_le_bytes()].concat();
        chunk.extend(8_000_u32.to_le_bytes());
        chunk.extend([0; 6]);
        chunk.extend([16, 0, 22, 0, 16, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(read(&with(b"fmt ", &chunk), &[3, 0]), Ok(vec![3]));
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_what_is_wrong() {
        use AnnouncementError as E;
        let good = format(LINEAR, 1, 8_000, 16);
        for (format, data, expected) in [
            (format(LINEAR, 2, 8_000, 16), vec![0; 8], E::Channels(2)),
            (format(LINEAR, 1, 44_100, 16), vec![0; 8], E::Rate(44_100)),
            (format(LINEAR, 1, 8_000, 8), vec![0; 8], E::Samples(1, 8)),
            (format(3, 1, 8_000, 32), vec![0; 8], E::Samples(3, 32)),
            (with(b"fmt ", &[1, 0]), vec![0; 8], E::Damaged),
            (good.clone(), vec![], E::Empty),
            (good.clone(), vec![0; 2 * 72_001], E::TooLong),
        ] {
            assert_eq!(read(&format, &data), Err(expected));
        }
        assert_eq!(read(&good, &vec![0; 2 * 72_000]).map(|samples| samples.len()), Ok(72_000), "nine seconds");
        let whole = file(&[&good, &with(b"data", &[0; 8])]);
        assert_eq!(Announcement::read(&whole[..whole.len() - 1]), Err(E::Damaged), "cut off");
        assert_eq!(Announcement::read(&file(&[&good])), Err(E::Damaged), "nothing is said");
        for strange in [b"".as_slice(), b"RIFF", b"ID3\x04 a song, and not short", b"RIFF\0\0\0\0AVI LIST"] {
            assert_eq!(Announcement::read(strange), Err(E::NotWav));
        }
    }

    #[test]
    fn the_usual_one_is_heard_and_short() {
        let usual = Announcement::usual().expect("it is whole");
        let loudest = usual.samples().iter().map(|sample| sample.unsigned_abs()).max().expect("something is said");
        assert!((8_000..16_000).contains(&usual.samples().len()), "{usual:?}");
        assert!((8_000..24_000).contains(&loudest), "{loudest}");
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Announcement::read(&bytes);
            let _ = Announcement::read(&file(&[&bytes]));
            let _ = Announcement::read(&file(&[&format(LINEAR, 1, 8_000, 16), &bytes]));
            let _ = Announcement::read(&file(&[&with(b"fmt ", &bytes), &with(b"data", &bytes)]));
        }
    }
}
