//! What a payee has agreed to pay the provider for being paid: a contract is signed by the provider, numbered, and counts
//! from a moment on; it is never changed, only followed by another.

use crate::id::PartyId;
use crate::money::{Time, Unit};
use crate::{codes, message};

codes! {
    /// What a payment is made by.
    pub enum Tender {
        /// Prepaid cards of an issuer.
        Cards = 1,
        /// Credit, captured by the processor.
        Credit = 2,
    }
}

message! {
    /// The fee on each payment to a party. Signed by the provider.
    pub struct Contract kind 53 max 300 {
        /// Who pays the fee: a merchant, or an issuer that is paid.
        1 party: PartyId,
        /// On payments by what.
        2 tender: Tender,
        /// On payments in what.
        3 unit: Unit,
        /// Counts the contracts of this party, tender and unit, from 1.
        4 version: u64,
        /// It counts for payments that reach the provider at this moment or later, until a later version does.
        5 from: Time,
        /// When it was made.
        6 at: Time,
        /// The share of the amount, in millionths: 15000 is 1.5 percent. At most 1000000.
        7 share: u64,
        /// And so many minor units on each payment.
        8 fixed: u64,
        /// Number of the operational key that signed.
        9 signer: u64,
    }
}

impl Contract {
    /// All of the amount, in millionths.
    pub const WHOLE: u64 = 1_000_000;
}
