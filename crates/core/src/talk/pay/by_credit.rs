//! The terminal's side of an offer to pay by credit: charge and offer are stored before the price is told. What follows goes
//! over the terminal's own line to the provider ([`CreditClaim`](crate::talk::credit::CreditClaim)).

use super::messages::*;
use super::terminal::{Claim, Next, Sale, TerminalPay, Till, new_charge};
use crate::id::Hash;
use crate::record::Batch;
use crate::step::{Context, Effect, Step};
use crate::talk::credit;
use crate::wire::canonical::Wire;
use crate::wire::signed::Signed;

impl TerminalPay {
    /// An offer of a key made for this payment, signed in this session: a stranger's, or one of another session, gets no
    /// charge. Old lists and waiting records do not matter here, since nothing is taken offline (R11).
    pub(super) fn credit_offered(sale: Sale, session: Hash, offered: CreditOffered, context: &Context<'_>) -> Next {
        let Some(offer) = credit::offered(&offered.offer, &session, context.verifier) else {
            return Self::refuse(Refusal::OfferNotTrusted);
        };
        if offer.provider != sale.anchors.provider {
            return Self::refuse(Refusal::NotAccepted);
        }
        let (till, _) = Till::load(context.records);
        if till.open.is_some() || sale.amount.is_zero() {
            return Self::refuse(Refusal::NothingToPay);
        }
        let (charge, sign) = new_charge(&sale, &session, till.next, context);
        Step::new(Self::SigningCreditCharge(sale, session, charge, offered), [sign])
    }

    pub(super) fn credit_charge_signed(
        sale: &Sale,
        session: Hash,
        charge: Signed<Charge>,
        offered: CreditOffered,
        context: &Context<'_>,
    ) -> Next {
        let transaction = charge.claimed().transaction;
        let unknown = offered.unknown.unwrap_or(false);
        let charged = Charged {
            charge: charge.clone(),
            certificate: unknown.then(|| sale.certificate.clone()),
            known: None,
            session: None,
            extensions: Default::default(),
        };
        let claim = Claim { offer: Some(offered.offer), ..Claim::open(charge, session) };
        let (till, stored) = Till::load(context.records);
        let after = Till { next: transaction + 1, open: Some(transaction), ..till };
        let mut batch = Batch::default();
        batch.replace(Till::key(), stored, after.to_bytes());
        batch.replace(Claim::key(transaction), None, claim.to_bytes());
        let told = PayMessage::Charged(charged).to_bytes();
        Step::new(Self::StoringCreditCharge(claim, told), [Effect::Store(batch)])
    }
}
