//! The merchant's line to the provider: authorization, clearing, evidence, goods; in this order and each stored before the next.
//!
//! | claim | sent, the same bytes again until answered | ends |
//! | --- | --- | --- |
//! | Open | [`AuthorizationRequest`] | closed, by the provider's refusal, at its expiry, or by whoever runs the till |
//! | Clearing | [`ClearingRequest`] | by the provider's answer and nothing else (R26): paid or closed |
//! | Paid | - | the notification \[8418\] and the receipt \[8419\] were stored before this was told |

use super::messages::*;
use super::processor::Audience;
use super::wallet::AGAIN;
use super::{CreditRefusal, offered};
use crate::card::Void;
use crate::id::{DeviceId, PartyId};
use crate::money::{Amount, Time};
use crate::record::Batch;
use crate::step::{Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::talk::pay::{Claim, ClaimState, close_till, closing};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, read_reply};
use crate::wire::canonical::{Bytes, Message, Wire};
use crate::wire::certificate::{Anchors, Certificate};
use crate::wire::signed::{Signed, Unsigned};
use alloc::{string::String, vec};

/// What the merchant is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreditClaimNotice {
    /// Not known yet; asked again then.
    Waits {
        /// When.
        until: Time,
        /// How it stands.
        state: CreditState,
    },
    /// Cleared, and the evidence is stored: hand over the goods.
    Paid {
        /// Which charge.
        transaction: u64,
        /// How much.
        amount: Amount,
    },
    /// The charge ended unpaid.
    Closed {
        /// Which charge.
        transaction: u64,
        /// Why.
        why: CreditRefusal,
    },
    /// It had ended before; nothing has changed. No goods.
    EndedBefore(ClaimState),
    /// The charge was not asked for by credit.
    NotByCredit,
    /// There is no such charge.
    Unknown,
    /// The provider could not or would not read the request. Nothing is known; ask again later.
    ProviderRefused(Refused),
    /// The answer is not the provider's, or not to this request, or does not fit the charge. Nothing is known; ask again.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// With what a terminal asks for its money.
#[derive(Clone, Debug)]
pub struct Clerk {
    /// The terminal's own certificate.
    pub certificate: Signed<Certificate>,
    /// Whom it trusts.
    pub anchors: Anchors,
    /// What the merchant tells the user on the receipt \[13702\], at most [`MAX_NOTE`] bytes; longer ones are left out.
    pub sales: Option<String>,
}

impl Clerk {
    fn machine(&self) -> DeviceId {
        self.certificate.claimed().subject.device()
    }
    fn merchant(&self) -> PartyId {
        let certificate = self.certificate.claimed();
        certificate.owner.unwrap_or_else(|| certificate.subject.party())
    }
    fn unsigned<T: Message>(&self, body: T) -> (Unsigned<T>, Effect<CreditClaimNotice>) {
        let unsigned = Unsigned::new(body, self.certificate.claimed().key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: unsigned.tbs(&[]) };
        (unsigned, sign)
    }
}

/// The terminal's side of its line.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum CreditClaim {
    /// Asked to go on with this charge, wherever it stands.
    Start(Clerk, u64),
    /// Signs the request for authorization.
    SigningAuthorization(Clerk, Claim, Unsigned<AuthorizationRequest>),
    /// Signs the clearing request.
    SigningClearing(Clerk, Claim, Unsigned<ClearingRequest>),
    /// Stores a request with its claim.
    StoringRequest(Clerk, u64),
    /// Waits for the answer to what the claim's state asks.
    Expect(Clerk, Claim),
    /// Signs the receipt.
    SigningReceipt(Claim, Signed<ClearingNotification>, Unsigned<MerchantReceipt>),
    /// Signs the end of a charge that is not paid.
    SigningClose(Claim, Unsigned<Void>, CreditRefusal),
    /// Stores the end of the charge.
    StoringEnd(CreditClaimNotice),
    /// Ended.
    Over,
}

type Next = Step<CreditClaim, CreditClaimNotice>;

impl CreditClaim {
    fn over(notice: CreditClaimNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    /// Goes on from what is stored: a crash, a lost answer and a second call all come back here.
    fn start(clerk: Clerk, transaction: u64, context: &Context<'_>) -> Next {
        let Some(claim) = Claim::load(context.records, transaction) else {
            return Self::over(CreditClaimNotice::Unknown);
        };
        let Some(offer) = claim.offer.clone() else {
            return Self::over(CreditClaimNotice::NotByCredit);
        };
        let stored = match claim.state {
            ClaimState::Open if context.now >= claim.charge.claimed().expires => {
                return Self::close(&clerk, claim, CreditRefusal::Late, context);
            }
            ClaimState::Open => claim.authorization.as_ref().map(Signed::encode),
            ClaimState::Clearing => claim.clearing.as_ref().map(Signed::encode),
            ended => return Self::over(CreditClaimNotice::EndedBefore(ended)),
        };
        match stored {
            Some(bytes) => Step::new(Self::Expect(clerk, claim), [Effect::Send(bytes)]),
            None => {
                let request = AuthorizationRequest {
                    machine: clerk.machine(),
                    merchant: clerk.merchant(),
                    offer,
                    charge: claim.charge.clone(),
                    session: claim.session,
                    at: context.now,
                    extensions: Default::default(),
                };
                let (request, sign) = clerk.unsigned(request);
                Step::new(Self::SigningAuthorization(clerk, claim, request), [sign])
            }
        }
    }

    /// A request becomes durable with its claim; it leaves when it is read back.
    fn store(clerk: Clerk, before: &Claim, after: &Claim, context: &Context<'_>) -> Next {
        let transaction = after.charge.claimed().transaction;
        let mut batch = Batch::default();
        batch.replace(Claim::key(transaction), Some(before.to_bytes()), after.to_bytes());
        if after.state == ClaimState::Clearing {
            close_till(transaction, context.records, &mut batch);
        }
        Step::new(Self::StoringRequest(clerk, transaction), [Effect::Store(batch)])
    }

    fn answered(clerk: Clerk, claim: Claim, bytes: &[u8], context: &Context<'_>) -> Next {
        let asked = match claim.state {
            ClaimState::Clearing => claim.clearing.as_ref().map(|request| request.hash(&[])),
            _ => claim.authorization.as_ref().map(|request| request.hash(&[])),
        };
        let Some(asked) = asked else {
            return Self::over(CreditClaimNotice::Failed(Fault::Storage));
        };
        if claim.state == ClaimState::Clearing {
            let notification = read_reply::<ClearingNotification>(bytes, &asked, &clerk.anchors, context);
            if let Some(Answered::Reply(notification)) = notification {
                return Self::notified(&clerk, claim, notification.into_signed(), context);
            }
        }
        let answer = match read_reply::<CreditAnswer>(bytes, &asked, &clerk.anchors, context) {
            Some(Answered::Reply(answer)) => answer,
            Some(Answered::Refused(refused)) => return Self::over(CreditClaimNotice::ProviderRefused(refused)),
            None => return Self::over(CreditClaimNotice::NotTrusted),
        };
        match (answer.state, claim.state) {
            (CreditState::Refused, _) => {
                Self::close(&clerk, claim, answer.why.unwrap_or(CreditRefusal::NotAuthorized), context)
            }
            (CreditState::Authorized, ClaimState::Open) => Self::authorized(clerk, claim, context),
            (state, _) => {
                let expires = claim.charge.claimed().expires;
                let again = context.now.after(answer.again.unwrap_or(AGAIN).max(1));
                let until = if claim.state == ClaimState::Open { again.min(expires) } else { again };
                let waits = Effect::Show(CreditClaimNotice::Waits { until, state });
                let transaction = claim.charge.claimed().transaction;
                Step::new(Self::Start(clerk, transaction), [waits, Effect::WaitUntil(until)])
            }
        }
    }

    /// The provider holds the money for this charge: it is asked for, unless the charge has expired meanwhile (R8).
    fn authorized(clerk: Clerk, claim: Claim, context: &Context<'_>) -> Next {
        let charge = claim.charge.claimed();
        if context.now >= charge.expires {
            return Self::close(&clerk, claim, CreditRefusal::Late, context);
        }
        let offer = claim.offer.as_ref().and_then(|offer| offered(offer, &claim.session, context.verifier));
        let Some(offer) = offer else {
            return Self::over(CreditClaimNotice::Failed(Fault::Storage));
        };
        let request = ClearingRequest {
            machine: clerk.machine(),
            merchant: clerk.merchant(),
            offer: offer.hash,
            request: offer.request,
            charge: super::charge_hash(&claim.charge, &claim.session, clerk.machine()),
            transaction: charge.transaction,
            amount: charge.amount,
            option: offer.option,
            at: context.now,
            extensions: Default::default(),
        };
        let (request, sign) = clerk.unsigned(request);
        Step::new(Self::SigningClearing(clerk, claim, request), [sign])
    }

    /// The provider signed this for our request; it must open that request, and tell of this charge and no other.
    fn notified(clerk: &Clerk, claim: Claim, told: Signed<ClearingNotification>, context: &Context<'_>) -> Next {
        let charge = claim.charge.claimed();
        let said = told.claimed();
        let ours = claim.clearing.as_ref().map(|request| request.hash(&[])) == Some(said.request.hash(&[]));
        let information = said.information.claimed();
        let fits = (information.audience, information.clearing, information.amount, information.transaction)
            == (Audience::Merchant, said.clearing, charge.amount, charge.transaction);
        let (true, Some(offer)) = (ours && fits && said.provider == clerk.anchors.provider, claim.offer.clone()) else {
            return Self::over(CreditClaimNotice::NotTrusted);
        };
        let receipt = MerchantReceipt {
            item: charge.items.clone().unwrap_or_else(|| "goods".into()),
            sales: clerk.sales.clone().filter(|sales| sales.len() <= MAX_NOTE),
            clearing: said.clearing,
            charge: claim.charge.clone(),
            session: claim.session,
            offer,
            machine: clerk.machine(),
            merchant: clerk.merchant(),
            at: context.now,
            extensions: Default::default(),
        };
        let (receipt, sign) = clerk.unsigned(receipt);
        Step::new(Self::SigningReceipt(claim, told, receipt), [sign])
    }

    /// Evidence before goods: the notification, the receipt and the log's entry in one batch.
    fn paid(
        before: Claim,
        told: Signed<ClearingNotification>,
        receipt: Signed<MerchantReceipt>,
        context: &Context<'_>,
    ) -> Next {
        let Some(journal) = Journal::load(context.records) else {
            return Self::over(CreditClaimNotice::Failed(Fault::Storage));
        };
        let (transaction, amount) = (before.charge.claimed().transaction, before.charge.claimed().amount);
        let entry = LogEntry {
            charge: Some(Bytes(before.charge.payload().to_vec())),
            session: Some(before.session),
            credit: Some(receipt),
            ..LogEntry::new(EntryKind::Cleared, context.now, transaction)
        };
        let claim = Claim { state: ClaimState::Paid, cleared: Some(told), ..before.clone() };
        let mut batch = Batch::default();
        batch.replace(Claim::key(transaction), Some(before.to_bytes()), claim.to_bytes());
        journal.append(&[entry], &mut batch);
        Step::new(Self::StoringEnd(CreditClaimNotice::Paid { transaction, amount }), [Effect::Store(batch)])
    }

    /// One end (R7): a signed void of the whole charge, for nothing was paid for it.
    fn close(clerk: &Clerk, claim: Claim, why: CreditRefusal, context: &Context<'_>) -> Next {
        let charge = claim.charge.claimed();
        let void = Void {
            transaction: charge.transaction,
            check: None,
            amount: charge.amount,
            at: context.now,
            extensions: Default::default(),
        };
        let void = Unsigned::new(void, clerk.certificate.claimed().key.algorithm());
        let tbs = void.tbs(&Void::context(clerk.machine()));
        Step::new(Self::SigningClose(claim, void, why), [Effect::Sign { key: SigningKey::Device, tbs }])
    }

    fn closed(claim: Claim, void: Signed<Void>, why: CreditRefusal, context: &Context<'_>) -> Next {
        let transaction = claim.charge.claimed().transaction;
        let mut batch = Batch::default();
        match closing(claim, void, context, &mut batch) {
            Some(_) => {
                Step::new(Self::StoringEnd(CreditClaimNotice::Closed { transaction, why }), [Effect::Store(batch)])
            }
            None => Self::over(CreditClaimNotice::Failed(Fault::Storage)),
        }
    }
}

impl Talk for CreditClaim {
    type Notice = CreditClaimNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(clerk, transaction), Event::Tick) => Self::start(clerk, transaction, context),
            (Self::SigningAuthorization(clerk, claim, request), Event::Signed(signature)) => {
                let after = Claim { authorization: Some(request.sign(signature)), ..claim.clone() };
                Self::store(clerk, &claim, &after, context)
            }
            (Self::SigningClearing(clerk, claim, request), Event::Signed(signature)) => {
                let clearing = Some(request.sign(signature));
                let after = Claim { state: ClaimState::Clearing, clearing, ..claim.clone() };
                Self::store(clerk, &claim, &after, context)
            }
            // Durable before sent: what leaves is what is stored.
            (Self::StoringRequest(clerk, transaction), Event::Stored) => Self::start(clerk, transaction, context),
            (Self::Expect(clerk, claim), Event::Received(bytes)) => Self::answered(clerk, claim, &bytes, context),
            (Self::SigningReceipt(claim, told, receipt), Event::Signed(signature)) => {
                Self::paid(claim, told, receipt.sign(signature), context)
            }
            (Self::SigningClose(claim, void, why), Event::Signed(signature)) => {
                Self::closed(claim, void.sign(signature), why, context)
            }
            (Self::StoringEnd(notice), Event::Stored) => Self::over(notice),
            // What is stored is sent again until it is answered.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(CreditClaimNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
