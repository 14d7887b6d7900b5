//! The terminal's side of a tap that pays by credit: it takes the offer and answers with the charge, stored before it is sent.
//! The rest is between terminal and provider ([`crate::talk::credit::CreditClaim`]).

use super::messages::{Charge, Charged, CreditOffered, PayMessage, Refusal};
use super::terminal::{Claim, Next, Sale, TerminalPay, Till};
use crate::id::Hash;
use crate::step::{Context, Effect, Step};
use crate::talk::credit::offered;
use crate::wire::canonical::Wire;
use crate::wire::signed::Signed;

impl TerminalPay {
    /// The wallet pays by credit.
    pub(super) fn credit_offered(sale: Sale, session: Hash, credit: CreditOffered, context: &Context<'_>) -> Next {
        let Some(offer) = offered(&credit.offer, &session, context.verifier) else {
            return Self::refuse(Refusal::CardNotTrusted);
        };
        if offer.provider != sale.anchors.provider {
            return Self::refuse(Refusal::NotAccepted);
        }
        let (till, _) = Till::load(context.records);
        if till.open.is_some() || sale.amount.is_zero() {
            return Self::refuse(Refusal::NothingToPay);
        }
        let (charge, sign) = Self::draft(&sale, &session, till.next, context);
        Step::new(Self::SigningCredit(sale, session, charge, credit), [sign])
    }

    pub(super) fn credit_charged(
        sale: &Sale,
        session: Hash,
        charge: Signed<Charge>,
        credit: CreditOffered,
        context: &Context<'_>,
    ) -> Next {
        let charged = Charged {
            charge: charge.clone(),
            certificate: credit.unknown.unwrap_or(false).then(|| sale.certificate.clone()),
            known: None,
            session: None,
            extensions: Default::default(),
        };
        let claim = Claim { offer: Some(credit.offer), ..Claim::open(charge, session) };
        let batch = claim.begin(context.records);
        Step::new(Self::StoringCredit(claim, PayMessage::Charged(charged).to_bytes()), [Effect::Store(batch)])
    }
}
