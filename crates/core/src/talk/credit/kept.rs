//! What a wallet keeps of its payments by credit: each with its request and how it stands; the receipts.

use super::messages::*;
use super::processor::Audience;
use super::{CreditRefusal, CreditState};
use crate::id::{DeviceId, Hash, RequestNumber};
use crate::message;
use crate::money::Time;
use crate::record::{Batch, RecordKey, Space};
use crate::step::Records;
use crate::talk::pay::Charge;
use crate::wire::canonical::Wire;
use crate::wire::certificate::Anchors;
use crate::wire::signed::{Signed, Verifier};
use alloc::string::String;

message! {
    /// A payment by credit as the wallet keeps it: stored with the signed request before that is sent.
    pub struct CreditPaying {
        /// How it stands, as far as this wallet was told.
        1 state: CreditState,
        /// The terminal.
        2 terminal: DeviceId,
        /// The merchant's name as the terminal's certificate has it.
        3 merchant: String,
        /// The charge.
        4 charge: Signed<Charge>,
        /// The session that carried it.
        5 session: Hash,
        /// The request as sent, again and again until it is answered (R26).
        6 request: Signed<PaymentRequest>,
        /// Why it ended without a payment.
        7 why: Option<CreditRefusal>,
        /// When the provider last told, by its clock.
        8 told: Option<Time>,
    }
}

impl CreditPaying {
    /// Where the payment of this request is stored.
    pub fn key(request: RequestNumber) -> RecordKey {
        RecordKey::new(Space::Charge, [b"credit".as_slice(), &request.0].concat())
    }
    /// Reads one.
    pub fn load(records: &dyn Records, request: RequestNumber) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(request))?).ok()
    }
    /// The number of its request.
    pub fn number(&self) -> RequestNumber {
        self.request.claimed().offer.claimed().request
    }
    /// Whether nothing more will be heard of it but a receipt.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, CreditState::Cleared | CreditState::Refused)
    }
    pub(super) fn store(&self, before: Option<&Self>, batch: &mut Batch) {
        batch.replace(Self::key(self.number()), before.map(Wire::to_bytes), self.to_bytes());
    }
}

/// The receipts \[8421\] that a wallet holds, by the number of its request.
#[derive(Clone, Copy, Debug)]
pub struct UserReceipts;

impl UserReceipts {
    /// Where the receipt of this request is stored.
    pub fn key(request: RequestNumber) -> RecordKey {
        RecordKey::new(Space::Receipt, request.0)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, request: RequestNumber) -> Option<Signed<UserReceipt>> {
        Signed::decode(&records.get(&Self::key(request))?).ok()
    }
}

/// Whether what a receipt opens belongs together: one clearing, the user's own information, what was charged.
fn fits(receipt: &UserReceipt) -> bool {
    let information = receipt.information.claimed();
    let same = |merchants: &MerchantReceipt| {
        let charge = merchants.charge.claimed();
        (merchants.clearing, charge.amount, charge.transaction, merchants.offer.claimed().request)
            == (information.clearing, information.amount, information.transaction, receipt.request)
    };
    information.audience == Audience::User && receipt.receipt.as_ref().is_none_or(|merchants| same(merchants.claimed()))
}

/// Whether a receipt says what this wallet asked for.
fn answers(receipt: &UserReceipt, paying: &CreditPaying) -> bool {
    let charge = paying.charge.claimed();
    let information = receipt.information.claimed();
    (information.amount, information.transaction) == (charge.amount, charge.transaction)
        && receipt.receipt.as_ref().is_none_or(|merchants| {
            let merchants = merchants.claimed();
            (merchants.machine, merchants.session) == (paying.terminal, paying.session)
        })
}

/// Verifies a receipt that an update brought and keeps it; false if it is not the provider's or not for this wallet. It is
/// judged by the key that was valid when it was issued (R16). One with the merchant's part replaces one without, and is
/// never replaced by one without (R23).
pub(crate) fn keep_receipt(
    receipt: &Signed<UserReceipt>,
    (wallet, anchors): (DeviceId, &Anchors),
    by: &dyn Verifier,
    records: &dyn Records,
    batch: &mut Batch,
) -> bool {
    let said = receipt.claimed();
    let key = anchors.signer(said.signer, said.at).ok();
    let verified = key.is_some_and(|key| receipt.clone().verify(key, &[], by).is_ok());
    let paying = CreditPaying::load(records, said.request);
    let ours = said.user == wallet && said.provider == anchors.provider;
    if !verified || !ours || !fits(said) || paying.as_ref().is_some_and(|paying| !answers(said, paying)) {
        return false;
    }
    let key = UserReceipts::key(said.request);
    let before = records.get(&key);
    let complete = UserReceipts::load(records, said.request).is_some_and(|held| held.claimed().receipt.is_some());
    if !complete || said.receipt.is_some() {
        batch.replace(key, before, receipt.encode());
    }
    if let Some(before) = paying.filter(|paying| paying.state != CreditState::Cleared) {
        let after = CreditPaying { state: CreditState::Cleared, why: None, told: Some(said.at), ..before.clone() };
        after.store(Some(&before), batch);
    }
    true
}
