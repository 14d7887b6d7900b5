//! Randomness of the operating system: the one source; everything else is handed its entropy.

use crate::primitive::sound;

/// 32 fresh random bytes, for one use.
///
/// # Panics
/// When the operating system has no randomness to give: nothing safe can be done then.
pub fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    sound(aws_lc_rs::rand::fill(&mut bytes), "drawing randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(fresh(), fresh());
    }
}
