//! Terms: what may happen with a card away from the network. Pinned by their hash in every certificate.

use super::ticket::TicketTerms;
use crate::id::{Handle, Hash, PartyId};
use crate::money::Unit;
use crate::wire::canonical::Wire;
use crate::{codes, message};
use alloc::string::String;

codes! {
    /// The kinds of negotiable card.
    pub enum CardKind {
        /// Remaining counts entries.
        Ticket = 1,
        /// Remaining counts money.
        Payment = 2,
        /// Remaining counts money or call units.
        Telephone = 3,
    }
}

message! {
    /// An issuer's terms for one sort of card. Signed by the issuer when ordered; devices hold them by handle.
    pub struct Terms kind 10 max 900 {
        /// Who owes what the card holds.
        1 issuer: PartyId,
        /// The kind of card.
        2 kind: CardKind,
        /// What the card counts.
        3 unit: Unit,
        /// What people call this sort of card.
        4 name: String,
        /// Largest single spend, in minor units.
        5 max_payment: u64,
        /// Largest total spent since the last update, in minor units; restore holds back at most this (R11).
        6 offline_limit: u64,
        /// Seconds from an update until the next is due; past it the card does not spend offline.
        7 due_after: u64,
        /// L: how old a terminal's revocation list may be, in seconds (R11).
        8 list_age: u64,
        /// U: how old the oldest record that a terminal holds unacknowledged may be, in seconds (R11).
        9 record_age: u64,
        /// The most a card may hold, in minor units.
        10 max_balance: u64,
        /// How often a card may be given on in all; 0: not transferable (R12).
        11 handovers: u64,
        /// Whether the remainder is refunded.
        12 refundable: bool,
        /// Largest payment that may go without a touch where the holder switched that on (R17), in minor units.
        13 max_untouched: u64,
        /// Seconds from a transfer within which its receiver registers (R12).
        14 register_within: Option<u64>,
        /// The issuer's program; absent: the standard program of the kind.
        15 program: Option<Hash>,
        /// A ticket's own terms; there exactly if the kind is one.
        16 ticket: Option<TicketTerms>,
    }
}

impl Terms {
    /// The handle by which certificates name these terms.
    pub fn handle(&self) -> Handle {
        Handle::of(&Hash::of(&self.to_bytes()))
    }
}
