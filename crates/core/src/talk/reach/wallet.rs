//! The user's side: which receipts it can ask about, which merchants it has muted, and what a merchant's letter must prove.

use super::NotShown;
use super::kept::KeptLetter;
use super::messages::*;
use crate::id::{Hash, PartyId};
use crate::money::{Amount, Time};
use crate::record::{RecordKey, Space};
use crate::step::{Context, Records};
use crate::talk::credit::{CreditOffer, Credited};
use crate::talk::pay::{Charge, Paying, load_purse, terminal_certificate};
use crate::wire::canonical::Wire;
use crate::wire::certificate::{Anchors, Role, within};
use crate::wire::signed::{PublicKey, Signed};
use alloc::string::String;

/// A payment that a user can ask about.
#[derive(Clone, Debug)]
pub struct ReceiptHeld {
    /// Its name.
    pub name: ReceiptName,
    /// The merchant, as the terminal's certificate names it.
    pub merchant: PartyId,
    /// What people call it.
    pub shop: String,
    /// How much.
    pub amount: Amount,
    /// When, by the terminal's clock.
    pub at: Time,
    /// The key of the payment: signs what is written about it.
    pub key: PublicKey,
    /// What the merchant's sealing key for this user is made from, beside the merchant ([`key_name`]).
    pub key_name: [u8; 16],
}

/// The receipt of a payment by credit that was cleared; `None` for one that was not.
pub fn receipt_by_credit(records: &dyn Records, paid: &Credited) -> Option<ReceiptHeld> {
    paid.receipt.as_ref()?;
    let (offer, session) = (&paid.request.claimed().offer, paid.request.claimed().session);
    let charge = paid.charge.claimed();
    let name = ReceiptName {
        machine: paid.machine,
        transaction: charge.transaction,
        charge: Charge::named(&session, paid.machine, paid.charge.payload()),
        offer: Some(CreditOffer::hash(offer, &session)),
        extensions: Default::default(),
    };
    let merchant = terminal_certificate(records, paid.machine)?.claimed().owner?;
    let (shop, key) = (paid.merchant.clone(), offer.claimed().key);
    Some(ReceiptHeld { name, merchant, shop, amount: charge.amount, at: charge.at, key, key_name: [0; 16] })
}

/// The receipt of a payment by a card; `None` for one that was not made.
pub fn receipt_by_card(records: &dyn Records, paid: &Paying) -> Option<ReceiptHeld> {
    paid.check.as_ref()?;
    let charge = paid.charge.claimed();
    let name = ReceiptName {
        machine: paid.terminal,
        transaction: charge.transaction,
        charge: Charge::named(&paid.session, paid.terminal, paid.charge.payload()),
        offer: None,
        extensions: Default::default(),
    };
    let merchant = terminal_certificate(records, paid.terminal)?.claimed().owner?;
    let key = load_purse(records, paid.card)?.certificate.claimed().key;
    let shop = paid.merchant.clone();
    Some(ReceiptHeld { name, merchant, shop, amount: charge.amount, at: charge.at, key, key_name: paid.card.0 })
}

/// What the sealing key is made from, beside the merchant, to which letters at this address come: one key for a merchant's
/// customer, another for each card, so that no merchant learns that card and customer are one (R17).
pub fn key_name(records: &dyn Records, to: &Address) -> Option<[u8; 16]> {
    match to {
        Address::Receipt(ReceiptName { offer: None, machine, transaction, .. }) => {
            Paying::load(records, *machine, *transaction).map(|paid| paid.card.0)
        }
        _ => Some([0; 16]),
    }
}

/// Where it stands that a merchant is muted.
pub(super) fn muted_key(merchant: PartyId) -> RecordKey {
    RecordKey::new(Space::Device, [&b"mute "[..], &merchant.0].concat())
}

/// What the user last said about letters of this merchant.
pub fn mute(records: &dyn Records, merchant: PartyId) -> Option<Signed<Mute>> {
    Signed::decode(&records.get(&muted_key(merchant))?).ok()
}

/// Whether the user has muted this merchant.
pub fn is_muted(records: &dyn Records, merchant: PartyId) -> bool {
    mute(records, merchant).is_some_and(|mute| mute.claimed().muted)
}

/// A merchant's letter, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromMerchant {
    /// The merchant's name as the provider certified it.
    pub shop: String,
    /// What it says.
    pub text: String,
    /// When, by the merchant's clock.
    pub at: Time,
}

/// Reads what was in the envelope of a letter that came to a wallet: a terminal of that merchant has signed it, for this
/// address, under this number. It is judged by what was valid when it came (R16), so that it can be read again for good; the
/// provider carries nothing for a terminal that is revoked.
///
/// # Errors
/// [`NotShown`].
pub fn from_merchant(
    kept: &KeptLetter,
    plain: &[u8],
    anchors: &Anchors,
    context: &Context<'_>,
) -> Result<FromMerchant, NotShown> {
    let enclosed = Enclosed::from_bytes(plain).map_err(|_| NotShown::Malformed)?;
    let certificate = enclosed.certificate.ok_or(NotShown::Malformed)?;
    let signer = anchors.signer(certificate.claimed().signer, kept.at).map_err(|_| NotShown::NotTrusted)?;
    let terminal = certificate.verify(signer, &[], context.verifier).map_err(|_| NotShown::NotTrusted)?;
    within(terminal.from, terminal.until, kept.at).map_err(|_| NotShown::NotTrusted)?;
    let letter = enclosed.letter.verify(&terminal.key, &[], context.verifier).map_err(|_| NotShown::NotTrusted)?;
    let ours = (terminal.role, terminal.owner) == (Role::Terminal, Some(kept.merchant));
    let fits = ours && letter.to == kept.to && letter.number == kept.number;
    let shop = terminal.name.clone().unwrap_or_default();
    fits.then(|| FromMerchant { shop, text: letter.text.clone(), at: letter.at }).ok_or(NotShown::NotTrusted)
}

impl ReceiptName {
    /// What names it on screens: the first digits of the charge's hash.
    pub fn handle(&self) -> crate::id::Handle {
        crate::id::Handle::of(&self.charge)
    }
    /// Whether this charge is meant.
    pub fn names(&self, session: &Hash, charge: &Signed<Charge>) -> bool {
        self.charge == Charge::named(session, self.machine, charge.payload())
            && self.transaction == charge.claimed().transaction
    }
}
