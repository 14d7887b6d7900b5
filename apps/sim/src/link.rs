//! The air between wallet and terminal: frames that are lost, repeated, changed or come out of order.

use crate::dice::{Dice, flip};
use crate::fault::FrameFault;
use tegata_core::DeviceId;
use tegata_core::talk::pay::Charged;

/// What earlier taps left in the air, for whoever replays it.
#[derive(Debug, Default)]
pub struct Air {
    /// Frames.
    pub frames: Vec<Vec<u8>>,
    /// Charges with their session, by terminal.
    pub charges: Vec<(DeviceId, Charged)>,
    /// What terminals prove themselves with.
    pub proofs: Vec<(DeviceId, Vec<u8>)>,
}

/// The link of one tap.
#[derive(Debug)]
pub struct Link {
    fault: Option<(usize, FrameFault)>,
    cut: bool,
    frames: Vec<Vec<u8>>,
}

/// What comes of a frame.
#[derive(Debug, Default)]
pub struct Crossed {
    /// What arrives.
    pub frames: Vec<Vec<u8>>,
    /// The terminal's charge expires before that.
    pub expires: bool,
}

impl Link {
    /// A link on which this goes wrong with the frame of this number (from 0, both directions).
    pub fn new(fault: Option<(usize, FrameFault)>) -> Self {
        Self { fault, cut: false, frames: Vec::new() }
    }
    /// Frames that crossed so far.
    pub fn crossed(&self) -> usize {
        self.frames.len()
    }
    /// Whether nothing crosses any more.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
    /// A frame is sent.
    pub fn cross(&mut self, frame: Vec<u8>, air: &mut Air, dice: &mut Dice) -> Crossed {
        if self.cut {
            return Crossed::default();
        }
        let number = self.frames.len();
        self.frames.push(frame.clone());
        if air.frames.len() < 64 {
            air.frames.push(frame.clone());
        }
        let fault = self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        let frames = match fault {
            None | Some(FrameFault::Expire) => vec![frame],
            Some(FrameFault::Lose) => {
                self.cut = true;
                Vec::new()
            }
            Some(FrameFault::Duplicate) => vec![frame.clone(), frame],
            Some(FrameFault::Replay) => {
                let older = air.frames.get(dice.index(air.frames.len())).cloned();
                older.into_iter().chain([frame]).collect()
            }
            Some(FrameFault::Reorder) => {
                // Two back is the same side's.
                let earlier = self.frames.len().checked_sub(3).or(self.frames.len().checked_sub(2));
                let earlier = earlier.and_then(|at| self.frames.get(at)).cloned();
                [frame].into_iter().chain(earlier).collect()
            }
            Some(FrameFault::Version) if number == 0 => {
                let mut frame = frame;
                if let Some(version) = frame.first_mut() {
                    *version += 1;
                }
                vec![frame]
            }
            Some(FrameFault::Corrupt | FrameFault::Version) => {
                let mut frame = frame;
                flip(&mut frame, dice);
                vec![frame]
            }
        };
        Crossed { frames, expires: fault == Some(FrameFault::Expire) }
    }
}
