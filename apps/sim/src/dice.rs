//! The dice: all chance of a seed comes from here, and nothing else is random.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Draws that repeat for the same seed.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
    /// Dice of their own for a part of the town, so that its draws do not shift those of others.
    pub fn fork(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }
    /// 32 random bytes.
    pub fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.next_u64() % bound }
    }
    /// An index below `len`; 0 where nothing is there.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }
    /// A number in `low..=high`.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }
    /// True this many times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { from.get(self.index(from.len())).copied() }
    }
}

/// Changes one bit somewhere.
pub fn flip(bytes: &mut [u8], dice: &mut Dice) {
    let at = dice.index(bytes.len());
    let bit = dice.below(8);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
}
