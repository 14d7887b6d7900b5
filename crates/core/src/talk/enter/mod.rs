//! Enter with a ticket (flow 2), with no network at all.
//!
//! ```text
//! wallet                                        gate
//!   | hello (ephemeral key)                       |
//!   |-------------------------------------------->|
//!   |  hello, proof of the gate (R17), its event  |
//!   |<--------------------------------------------|
//!   | stores that it shows this entry here        |
//!   |  presentation, certificate                  |
//!   |-------------------------------------------->|  verifies, judges, stores
//!   |                      admission or refusal   |
//!   |<--------------------------------------------|  opens, stores that it has (R20)
//! ```
//!
//! An entry that was refused or never answered may be shown again, elsewhere, as the next attempt, with the hashes of those before
//! (R20). So two different presentations of one entry under one attempt's number, or one that names another at an earlier one's
//! place, come from two wallets, or from one that was put back: they convict ([`twice`]).

mod gate;
mod hand;
mod messages;
mod relay;
mod seats;
mod setup;
mod share;
mod tally;
mod wallet;
mod window;
mod word;

pub use gate::{Door, GateEnter, GateNotice, Passing};
pub use hand::{ByHand, EntryOver, HandError, MOST_BY_HAND, Member, StaffRole, by_hand, check, inside, next_number};
pub use messages::*;
pub use relay::{Listened, PagesAsked, PagesTold, Relay, relay, take_relay};
pub use seats::{MAX_SEAT_NAMES, SeatRun};
pub use setup::{DeadTicket, MAX_PLACE_NAMES, Setup};
pub use share::{Neighbour, Page, PageError, page, take};
pub use tally::{Tally, Zone};
pub use wallet::{Attempt, Pass, Visitor, WalletEnter, WalletEnterNotice, key_over};
pub use window::{MAX_CODE, code, draft_window, read_window};
pub use word::NotByCode;

use crate::id::Hash;

/// A presentation as [`twice`] compares it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its hash.
    pub hash: &'a Hash,
    /// Its attempt's number.
    pub attempt: u64,
    /// Those before it that it names, the last one last.
    pub earlier: &'a [Hash],
}

/// Whether two presentations of one entry in one direction convict the ticket's holder: what one says of the other's place is not
/// the other. Where neither says anything of it, they do not.
pub fn twice(one: Told<'_>, two: Told<'_>) -> bool {
    let (first, second) = if one.attempt <= two.attempt { (one, two) } else { (two, one) };
    let apart = second.attempt - first.attempt;
    if apart == 0 {
        return first.hash != second.hash;
    }
    let place = usize::try_from(apart).ok().and_then(|apart| second.earlier.len().checked_sub(apart));
    place.and_then(|place| second.earlier.get(place)).is_some_and(|named| named != first.hash)
}

/// The earlier attempts that a presentation names.
pub fn earlier(presentation: &Presentation) -> &[Hash] {
    presentation.earlier.as_deref().map_or(&[], |all| all)
}

/// At most so many earlier attempts travel: a wallet that was refused more often than that goes to the box office.
pub const MAX_EARLIER: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_the_other_at_its_place_is_one_wallet_and_who_does_not_is_two() {
        let hash = |number: u8| Hash([number; 32]);
        let (one, two, three) = (hash(1), hash(2), hash(3));
        fn told<'a>(hash: &'a Hash, attempt: u64, earlier: &'a [Hash]) -> Told<'a> {
            Told { hash, attempt, earlier }
        }
        assert!(!twice(told(&one, 1, &[]), told(&one, 1, &[])), "the same one");
        assert!(twice(told(&one, 1, &[]), told(&two, 1, &[])), "a copy");
        assert!(!twice(told(&one, 1, &[]), told(&two, 2, &[hash(1)])), "an honest repeat");
        assert!(!twice(told(&two, 2, &[hash(1)]), told(&one, 1, &[])), "in any order");
        assert!(twice(told(&one, 1, &[]), told(&three, 2, &[hash(2)])), "a copy that repeats itself");
        assert!(!twice(told(&one, 1, &[]), told(&three, 3, &[hash(2)])), "nothing is said of the first");
        assert!(!twice(told(&one, 1, &[]), told(&three, 3, &[hash(1), hash(2)])));
        assert!(twice(told(&two, 1, &[]), told(&three, 3, &[hash(1), hash(2)])));
    }
}
