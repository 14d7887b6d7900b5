//! The warning that a caller hears: three short beeps of 1,400 Hz in 0.6 s, computed sample by sample in whole numbers, and an
//! announcement after them where there is one; as G.711 (ITU-T). No sockets and no clock here.

use super::announcement::Announcement;
use std::time::Duration;

/// Samples of a second in both formats.
pub(super) const RATE: u32 = 8_000;
/// A beep, and the silence between two of them: 120 ms.
const BEEP: usize = 960;
/// Three beeps and the two silences between them: 0.6 s.
const LENGTH: usize = 5 * BEEP;
/// Silence before the announcement: 100 ms.
const GAP: usize = 800;
/// 1,400 Hz are seven waves in forty samples, so that one wave of forty steps holds all there is to know.
const STEPS: usize = 40;
/// See [`STEPS`].
const WAVES: usize = 7;
/// A quarter of a wave in steps of nine degrees, 12 dB below the loudest: heard over speech, and not painful.
const QUARTER: [i16; 11] = [0, 1251, 2472, 3632, 4702, 5657, 6472, 7128, 7608, 7902, 8000];

/// How G.711 writes a sample. The warning is known in these two; what most networks can hear is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// RTP format 0, North America and Japan.
    Pcmu,
    /// RTP format 8, everywhere else.
    Pcma,
}

impl Codec {
    /// What this RTP format means (RFC 3551, 6); the two cannot mean anything else.
    pub(crate) fn of(format: u8) -> Option<Self> {
        match format {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// The RTP format.
    pub(crate) fn format(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// A linear sample of sixteen bits in eight.
    fn write(self, sample: i16) -> u8 {
        let sample = i32::from(sample);
        let byte = match self {
            Self::Pcmu => {
                let sign = if sample < 0 { 0x80 } else { 0 };
                let height = sample.unsigned_abs().min(32_635) + 132;
                let segment = height.ilog2() - 7;
                !(sign | (segment << 4) | ((height >> (segment + 3)) & 0x0f))
            }
            Self::Pcma => {
                // Thirteen bits; below nothing they are counted from -1.
                let (height, mask) = if sample < 0 { (!(sample >> 3), 0x55) } else { (sample >> 3, 0xd5) };
                let height = height.unsigned_abs();
                let segment = if height < 32 { 0 } else { height.ilog2() - 4 };
                ((segment << 4) | ((height >> segment.max(1)) & 0x0f)) ^ mask
            }
        };
        (byte & 0xff) as u8
    }

    /// The linear sample that was meant.
    pub(super) fn read(self, byte: u8) -> i16 {
        match self {
            Self::Pcmu => {
                let byte = !byte;
                let height = (((i16::from(byte & 0x0f) << 3) + 132) << ((byte >> 4) & 7)) - 132;
                if byte & 0x80 == 0 { height } else { -height }
            }
            Self::Pcma => {
                let byte = byte ^ 0x55;
                let (segment, within) = ((byte >> 4) & 7, i16::from(byte & 0x0f) << 4);
                let height = if segment == 0 { within + 8 } else { (within + 0x108) << (segment - 1) };
                if byte & 0x80 == 0 { -height } else { height }
            }
        }
    }
}

/// The warning, and how far it has been played.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sound {
    /// What is said after the beeps.
    said: Option<Announcement>,
    played: usize,
}

impl Sound {
    /// The beeps, and what is said after them; from the beginning.
    pub(crate) fn new(said: Option<Announcement>) -> Self {
        Self { said, played: 0 }
    }

    /// How long it takes.
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_secs(1) * u32::try_from(self.length()).unwrap_or(u32::MAX) / RATE
    }

    fn length(&self) -> usize {
        LENGTH + self.said.as_ref().map_or(0, |said| GAP + said.samples().len())
    }

    /// The sample so far into it.
    fn level(&self, at: usize) -> i16 {
        if at < LENGTH {
            return beep(at);
        }
        let spoken = self.said.as_ref().zip(at.checked_sub(LENGTH + GAP));
        spoken.and_then(|(said, at)| said.samples().get(at).copied()).unwrap_or(0)
    }

    /// Writes what comes next over these samples; what follows the end stays as it is.
    pub(crate) fn fill(&mut self, codec: Codec, samples: &mut [u8]) {
        let end = self.length().min(self.played + samples.len());
        for (sample, at) in samples.iter_mut().zip(self.played..end) {
            *sample = codec.write(self.level(at));
        }
        self.played = end;
    }

    /// All has been played.
    pub(crate) fn is_over(&self) -> bool {
        self.played >= self.length()
    }

    /// Nothing has been played.
    pub(crate) fn is_unheard(&self) -> bool {
        self.played == 0
    }
}

/// The sample so far into the beeps. Each begins with a wave.
fn beep(at: usize) -> i16 {
    let (part, within) = (at / BEEP, at % BEEP);
    if part.is_multiple_of(2) { wave(within * WAVES % STEPS) } else { 0 }
}

fn wave(step: usize) -> i16 {
    const HALF: usize = STEPS / 2;
    let height = |step: usize| if step < QUARTER.len() { QUARTER[step] } else { QUARTER[HALF - step] };
    if step < HALF { height(step) } else { -height(step - HALF) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(codec: Codec) -> Vec<u8> {
        let (mut beeps, mut bytes) = (Sound::default(), vec![0x2a; LENGTH + 10]);
        assert!(beeps.is_unheard());
        assert_eq!(beeps.lasts(), Duration::from_millis(600));
        for packet in bytes.chunks_mut(160) {
            assert_eq!(beeps.is_over(), packet.len() < 160);
            beeps.fill(codec, packet);
        }
        bytes
    }

    #[test]
    fn every_sample_comes_back_nearly_as_it_was() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            assert_eq!(Codec::of(codec.format()), Some(codec));
            for sample in (-32_768..=32_767).step_by(7) {
                let (meant, heard) = (sample, i32::from(codec.read(codec.write(sample as i16))));
                // A step of a segment is at most a sixteenth of what is said.
                assert!((meant - heard).abs() <= meant.abs() / 16 + 16, "{codec:?}: {meant} became {heard}");
            }
        }
        assert_eq!((Codec::Pcmu.write(0), Codec::Pcma.write(0)), (0xff, 0xd5), "silence");
        assert_eq!(Codec::of(9), None);
    }

    #[test]
    fn three_beeps_of_1400_hz_take_six_tenths_of_a_second() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let bytes = whole(codec);
            assert_eq!(LENGTH * 10, RATE as usize * 6);
            assert_eq!(bytes[LENGTH..], [0x2a; 10], "what comes after is left alone");
            let heard: Vec<i32> = bytes[..LENGTH].iter().map(|byte| i32::from(codec.read(*byte))).collect();
            for (part, samples) in heard.chunks(BEEP).enumerate() {
                let loudest = samples.iter().map(|sample| sample.abs()).max().unwrap_or_default();
                // Each wave falls below nothing once, and rises above it once.
                let signs: Vec<bool> = samples.iter().map(|sample| *sample < 0).collect();
                let crossings = signs.windows(2).filter(|pair| pair[0] != pair[1]).count();
                // 1,400 Hz for 0.12 s are 168 waves.
                let expected = if part.is_multiple_of(2) { (335..=337, 7_500..=8_500) } else { (0..=0, 0..=8) };
                assert!(expected.0.contains(&crossings), "{codec:?}, part {part}: {crossings} crossings");
                assert!(expected.1.contains(&loudest), "{codec:?}, part {part}: {loudest}");
            }
        }
    }

    #[test]
    fn however_packets_are_cut_the_tone_is_the_same() {
        let expected = whole(Codec::Pcma);
        for length in [1, 80, 161, 240, 6_000] {
            let (mut beeps, mut bytes) = (Sound::default(), vec![0x2a; LENGTH + 10]);
            bytes.chunks_mut(length).for_each(|packet| beeps.fill(Codec::Pcma, packet));
            assert_eq!(bytes, expected, "{length}");
            assert!(beeps.is_over() && !beeps.is_unheard());
        }
    }
    #[test]
    fn what_is_said_comes_after_the_beeps_as_it_was_recorded() {
        let usual = Announcement::usual().expect("it is whole");
        let (end, spoken) = (LENGTH + GAP + usual.samples().len(), usual.samples().to_vec());
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let (mut sound, mut bytes) = (Sound::new(Some(usual.clone())), vec![0x2a; end + 10]);
            assert_eq!(sound.lasts(), Duration::from_micros(125) * u32::try_from(end).expect("short"));
            bytes.chunks_mut(160).for_each(|packet| sound.fill(codec, packet));
            assert!(sound.is_over());
            assert_eq!(bytes[..LENGTH], whole(codec)[..LENGTH], "the beeps are as they were");
            assert!(bytes[LENGTH..LENGTH + GAP].iter().all(|byte| *byte == codec.write(0)), "a short silence");
            let heard: Vec<u8> = spoken.iter().map(|sample| codec.write(*sample)).collect();
            assert_eq!(bytes[LENGTH + GAP..end], heard);
            assert_eq!(bytes[end..], [0x2a; 10], "what comes after is left alone");
        }
        // A file of G.711 is sent as it is where the call speaks the same; mu-law has two zeros, and one is written.
        for byte in 0..=255 {
            assert_eq!(Codec::Pcma.write(Codec::Pcma.read(byte)), byte);
            assert_eq!(Codec::Pcmu.write(Codec::Pcmu.read(byte)), if byte == 0x7f { 0xff } else { byte });
        }
    }
}
