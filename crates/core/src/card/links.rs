//! Payment by a hash chain where units are shorter than a second (PayWord, Rivest and Shamir 1996): one tick of a session commits to a
//! chain and to what all of its links pay; from then on each link that is shown pays for one unit more, and proves that by itself.

use super::CardEvent;
use crate::id::Hash;
use crate::message;

/// Links of one chain, at most: what a device hashes for one of them is bounded.
pub const MAX_LINKS: u64 = 1_000;

message! {
    /// A chain that a tick commits to. It serves this tick alone, and with it one call (R24).
    pub struct Links {
        /// The last link hashed as often as there are links.
        1 root: Hash,
        /// How many there are, 1 to 1,000.
        2 count: u64,
    }
}

message! {
    /// One link, which stands for all before it.
    pub struct Link {
        /// Counts from 1.
        1 index: u64,
        /// Hashed `index` times it is the root.
        2 value: Hash,
    }
}

fn hashed(value: Hash, times: u64) -> Hash {
    (0..times).fold(value, |value, _| Hash::of(&value.0))
}

impl Links {
    /// The chain that ends in this secret.
    pub fn of(secret: &Hash, count: u64) -> Self {
        Self { root: hashed(*secret, count), count, extensions: Default::default() }
    }
    /// A link of the chain that ends in this secret; `None`: it has no such link.
    pub fn link(&self, secret: &Hash, index: u64) -> Option<Link> {
        let left = self.count.checked_sub(index).filter(|_| index > 0)?;
        Some(Link { index, value: hashed(*secret, left), extensions: Default::default() })
    }
    /// Whether this link is of the chain. `last`: one that was found to be, so that less is hashed.
    pub fn has(&self, link: &Link, last: Option<&Link>) -> bool {
        if link.index == 0 || link.index > self.count || self.count > MAX_LINKS {
            return false;
        }
        match last.filter(|last| last.index <= link.index) {
            Some(last) => hashed(link.value, link.index - last.index) == last.value,
            None => hashed(link.value, link.index) == self.root,
        }
    }
}

impl CardEvent {
    /// What a tick has paid once so many links of its chain are shown, each over `price`; a tick without a chain is paid as it stands.
    /// `None`: its links come to more than it.
    pub fn paid(&self, price: u64, links: u64) -> Option<u64> {
        let open = self.links.as_ref().map_or(0, |chain| chain.count.saturating_sub(links));
        self.amount.checked_sub(open.checked_mul(price)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_link_proves_itself_and_those_before_it(secret: [u8; 32], count in 1..60u64, index in 1..60u64, earlier in 1..60u64) {
            let secret = Hash(secret);
            let chain = Links::of(&secret, count);
            let Some(link) = chain.link(&secret, index) else {
                prop_assert!(index > count);
                return Ok(());
            };
            prop_assert!(chain.has(&link, None));
            if let Some(last) = chain.link(&secret, earlier) {
                prop_assert!(chain.has(&link, Some(&last)));
            }
            for wrong in [
                Link { index: index + 1, ..link.clone() },
                Link { index: index - 1, ..link.clone() },
                Link { value: Hash::of(b"else"), ..link.clone() },
            ] {
                prop_assert!(!chain.has(&wrong, None), "{wrong:?}");
            }
        }
    }

    #[test]
    fn a_chain_is_as_long_as_it_says_and_not_too_long() {
        let secret = Hash([7; 32]);
        assert_eq!(Links::of(&secret, 5).link(&secret, 0), None);
        assert_eq!(Links::of(&secret, 5).link(&secret, 6), None);
        let long = Links::of(&secret, MAX_LINKS + 1);
        assert!(!long.has(&long.link(&secret, 1).expect("a link"), None));
    }
}
