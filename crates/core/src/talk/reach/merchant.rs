//! The merchant's side, its terminal: what a user's letter must prove.

use super::NotShown;
use super::kept::KeptLetter;
use super::messages::*;
use crate::id::DeviceId;
use crate::money::Time;
use crate::step::{Context, Records};
use crate::talk::credit::CreditOffer;
use crate::talk::pay::{Charge, Claim};
use crate::wire::canonical::Wire;
use crate::wire::signed::PublicKey;
use alloc::string::String;

/// The payment that a receipt names, if it was made at this terminal.
pub fn asked_about(records: &dyn Records, receipt: &ReceiptName) -> Option<Claim> {
    let claim = Claim::load(records, receipt.transaction)?;
    let offer = claim.offer.as_ref().map(|offer| CreditOffer::hash(offer, &claim.session));
    (receipt.names(&claim.session, &claim.charge) && receipt.offer == offer).then_some(claim)
}

impl Claim {
    /// What names this payment's receipt.
    pub fn receipt_name(&self, machine: DeviceId) -> ReceiptName {
        ReceiptName {
            machine,
            transaction: self.charge.claimed().transaction,
            charge: Charge::named(&self.session, machine, self.charge.payload()),
            offer: self.offer.as_ref().map(|offer| CreditOffer::hash(offer, &self.session)),
            extensions: Default::default(),
        }
    }
}

/// Reads what was in the envelope of a letter that came to a terminal: whoever paid has signed it, by `key`, the key of that
/// payment. Says what it says, and when that was by the user's clock.
///
/// # Errors
/// [`NotShown`].
pub fn from_user(
    kept: &KeptLetter,
    plain: &[u8],
    key: &PublicKey,
    context: &Context<'_>,
) -> Result<(String, Time), NotShown> {
    let enclosed = Enclosed::from_bytes(plain).map_err(|_| NotShown::Malformed)?;
    let letter = enclosed.letter.verify(key, &[], context.verifier).map_err(|_| NotShown::NotTrusted)?;
    let fits = letter.to == kept.to && letter.number == kept.number;
    fits.then(|| (letter.text.clone(), letter.at)).ok_or(NotShown::NotTrusted)
}
