//! The merchant's line of a payment by credit: asks for authorization, takes what was authorized, and hands over goods only
//! once the notification \[8418\] is stored (evidence before goods).
//!
//! Every request is stored before it is sent and sent as the same bytes until it is answered (R26). Once the clearing was
//! asked for, nothing but its answer ends the charge.

use super::matching::{CreditRefusal, offered};
use super::messages::*;
use super::processor::Audience;
use crate::card::Void;
use crate::id::{CustomerNumber, DeviceId, Hash, PartyId};
use crate::money::Amount;
use crate::record::Batch;
use crate::step::{Break, Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::talk::pay::{Charge, Claim, ClaimState, close_till, closing};
use crate::talk::update::{Answered, read_reply};
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signed, Unsigned};
use alloc::{string::String, vec};

/// What the merchant is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimNotice {
    /// Cleared, stored: hand over the goods.
    Paid {
        /// Which charge.
        transaction: u64,
        /// How much.
        amount: Amount,
        /// The customer, as this merchant knows it.
        customer: CustomerNumber,
    },
    /// It is not known yet. Ask again after so many seconds.
    Waiting {
        /// Seconds.
        again: u64,
    },
    /// It has ended without a payment: the charge is closed, and that is stored.
    Refused {
        /// Which charge.
        transaction: u64,
        /// Why.
        why: CreditRefusal,
    },
    /// The provider does not take this request at all.
    NotAllowed(crate::talk::report::Refused),
    /// There is no such charge by credit.
    Unknown,
    /// It had ended before.
    EndedBefore(ClaimState),
    /// The answer is not the provider's, or not to this request.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// With what the terminal asks.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The accounting machine.
    pub machine: DeviceId,
    /// Its merchant.
    pub merchant: PartyId,
    /// Its key.
    pub key: PublicKey,
    /// Whom it trusts.
    pub anchors: Anchors,
    /// What the receipt says beside the charge's items.
    pub sales: Option<String>,
}

/// The merchant's line.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum CreditClaim {
    /// Asked to go on with this charge.
    Start(Asking, u64),
    /// Signs the request for authorization.
    SigningAsk(Asking, Claim, Unsigned<AuthorizationRequest>),
    /// Signs the clearing request.
    SigningClear(Asking, Claim, Unsigned<ClearingRequest>),
    /// Stores a request before it is sent.
    StoringRequest(Asking, Claim),
    /// Waits for the answer to the request of this hash.
    Expect(Asking, Claim, Hash),
    /// Signs the receipt.
    SigningReceipt(Claim, Signed<ClearingNotification>, Unsigned<MerchantReceipt>),
    /// Signs the end of a charge that is not paid.
    SigningClose(Claim, Unsigned<Void>, CreditRefusal),
    /// Stores the end.
    Storing(ClaimNotice),
    /// Ended.
    Over,
}

type Next = Step<CreditClaim, ClaimNotice>;

impl CreditClaim {
    fn over(notice: ClaimNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn start(asking: Asking, transaction: u64, context: &Context<'_>) -> Next {
        let Some((claim, offer)) =
            Claim::load(context.records, transaction).and_then(|claim| claim.offer.clone().map(|offer| (claim, offer)))
        else {
            return Self::over(ClaimNotice::Unknown);
        };
        match claim.state {
            ClaimState::Clearing if has_expired(&claim, context) && context.broken.has(Break::ClearingClosed) => {
                Self::close(&asking, claim, CreditRefusal::Late, context)
            }
            ClaimState::Clearing => Self::send(asking, claim),
            ClaimState::Open if has_expired(&claim, context) => {
                Self::close(&asking, claim, CreditRefusal::Late, context)
            }
            ClaimState::Open if claim.asked.is_some() => Self::send(asking, claim),
            ClaimState::Open => {
                let request = AuthorizationRequest {
                    machine: asking.machine,
                    merchant: asking.merchant,
                    offer,
                    charge: claim.charge.clone(),
                    session: claim.session,
                    at: context.now,
                    extensions: Default::default(),
                };
                let request = Unsigned::new(request, asking.key.algorithm());
                let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
                Step::new(Self::SigningAsk(asking, claim, request), [sign])
            }
            ended => Self::over(ClaimNotice::EndedBefore(ended)),
        }
    }

    /// Stores the claim as it shall be; what it asks for leaves after that.
    fn store(asking: Asking, before: &Claim, after: Claim, context: &Context<'_>) -> Next {
        let mut batch = Batch::default();
        let key = Claim::key(before.charge.claimed().transaction);
        batch.replace(key, Some(before.to_bytes()), after.to_bytes());
        if after.state == ClaimState::Clearing && before.state == ClaimState::Open {
            // It is no open charge any more: the till is free, and only the answer ends this one.
            close_till(context.records, before.charge.claimed().transaction, &mut batch);
        }
        let store = Effect::Store(batch);
        match &after.clearing {
            Some(clearing) if context.broken.has(Break::ClearingBeforeStore) => {
                let sent = Effect::Send(clearing.encode());
                Step::new(Self::StoringRequest(asking, after), [sent, store])
            }
            _ => Step::new(Self::StoringRequest(asking, after), [store]),
        }
    }

    /// Sends the request that is stored: always the same bytes.
    fn send(asking: Asking, claim: Claim) -> Next {
        let request = match (&claim.clearing, &claim.asked) {
            (Some(clearing), _) => Some((clearing.hash(&[]), clearing.encode())),
            (None, Some(asked)) => Some((asked.hash(&[]), asked.encode())),
            (None, None) => None,
        };
        match request {
            Some((hash, bytes)) => Step::new(Self::Expect(asking, claim, hash), [Effect::Send(bytes)]),
            None => Self::over(ClaimNotice::Unknown),
        }
    }

    fn answered(asking: Asking, claim: Claim, hash: &Hash, bytes: &[u8], context: &Context<'_>) -> Next {
        if claim.clearing.is_some()
            && let Some(Answered::Reply(told)) =
                read_reply::<ClearingNotification>(bytes, hash, &asking.anchors, context)
        {
            let told = told.into_signed();
            return match fits(&asking, &claim, told.claimed()) {
                true => Self::cleared(&asking, claim, told, context),
                false => Self::over(ClaimNotice::NotTrusted),
            };
        }
        match read_reply::<CreditAnswer>(bytes, hash, &asking.anchors, context) {
            Some(Answered::Reply(answer)) => Self::told(asking, claim, &answer, context),
            Some(Answered::Refused(refused)) => Self::over(ClaimNotice::NotAllowed(refused)),
            None => Self::over(ClaimNotice::NotTrusted),
        }
    }

    fn told(asking: Asking, claim: Claim, answer: &CreditAnswer, context: &Context<'_>) -> Next {
        match answer.state {
            // The user has agreed, but the charge has expired here meanwhile: it ends so, and the provider lets go (R8).
            CreditState::Authorized if claim.clearing.is_none() && has_expired(&claim, context) => {
                Self::close(&asking, claim, CreditRefusal::Late, context)
            }
            CreditState::Authorized if claim.clearing.is_none() => Self::take(asking, claim, context),
            // Nothing was taken, nor will be. An answer that leaves out why ends it as well.
            CreditState::Refused => {
                Self::close(&asking, claim, answer.why.unwrap_or(CreditRefusal::NotAuthorized), context)
            }
            _ => Self::over(ClaimNotice::Waiting { again: answer.again.unwrap_or(1) }),
        }
    }

    /// One end (R7), in one write, so that no crash leaves a charge that is neither open at the till nor closed (R8).
    fn close(asking: &Asking, claim: Claim, why: CreditRefusal, context: &Context<'_>) -> Next {
        let said = claim.charge.claimed();
        let void = Void {
            transaction: said.transaction,
            check: None,
            amount: said.amount,
            at: context.now,
            extensions: Default::default(),
        };
        let void = Unsigned::new(void, asking.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: void.tbs(&Void::context(asking.machine)) };
        Step::new(Self::SigningClose(claim, void, why), [sign])
    }

    fn closed(claim: Claim, void: Signed<Void>, why: CreditRefusal, context: &Context<'_>) -> Next {
        let transaction = claim.charge.claimed().transaction;
        let mut batch = Batch::default();
        match closing(claim, void, context, &mut batch) {
            Some(_) => Step::new(Self::Storing(ClaimNotice::Refused { transaction, why }), [Effect::Store(batch)]),
            None => Self::over(ClaimNotice::Failed(Fault::Storage)),
        }
    }

    /// Authorized: the clearing request \[13550\].
    fn take(asking: Asking, claim: Claim, context: &Context<'_>) -> Next {
        let Some(offer) = claim.offer.as_ref().and_then(|offer| offered(offer, &claim.session, context.verifier))
        else {
            return Self::over(ClaimNotice::Unknown);
        };
        let said = claim.charge.claimed();
        let request = ClearingRequest {
            machine: asking.machine,
            merchant: asking.merchant,
            offer: offer.hash,
            request: offer.request,
            charge: charge_hash(&asking, &claim),
            transaction: said.transaction,
            amount: said.amount,
            option: offer.option,
            at: context.now,
            extensions: Default::default(),
        };
        let request = Unsigned::new(request, asking.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
        Step::new(Self::SigningClear(asking, claim, request), [sign])
    }

    /// Cleared: the merchant's receipt \[8419\].
    fn cleared(asking: &Asking, claim: Claim, told: Signed<ClearingNotification>, context: &Context<'_>) -> Next {
        let Some(offer) = claim.offer.clone() else {
            return Self::over(ClaimNotice::Unknown);
        };
        let receipt = MerchantReceipt {
            item: claim.charge.claimed().items.clone().unwrap_or_default(),
            sales: asking.sales.clone(),
            clearing: told.claimed().clearing,
            charge: claim.charge.clone(),
            session: claim.session,
            offer,
            machine: asking.machine,
            merchant: asking.merchant,
            at: context.now,
            extensions: Default::default(),
        };
        let receipt = Unsigned::new(receipt, asking.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: receipt.tbs(&[]) };
        Step::new(Self::SigningReceipt(claim, told, receipt), [sign])
    }

    /// The notification, the end of the charge and the log's entry: one write, before the goods.
    fn keep(
        claim: &Claim,
        told: Signed<ClearingNotification>,
        receipt: Signed<MerchantReceipt>,
        context: &Context<'_>,
    ) -> Next {
        let Some(journal) = Journal::load(context.records) else {
            return Self::over(ClaimNotice::Failed(Fault::Storage));
        };
        let (said, customer) = (claim.charge.claimed(), told.claimed().customer);
        let paid = ClaimNotice::Paid { transaction: said.transaction, amount: said.amount, customer };
        let entry = LogEntry {
            charge: Some(Bytes(claim.charge.payload().to_vec())),
            session: Some(claim.session),
            sale: Some(receipt),
            ..LogEntry::new(EntryKind::Cleared, context.now, said.transaction)
        };
        let after = Claim { state: ClaimState::Paid, notification: Some(told), ..claim.clone() };
        let mut batch = Batch::default();
        batch.replace(Claim::key(said.transaction), Some(claim.to_bytes()), after.to_bytes());
        journal.append(&[entry], &mut batch);
        let store = Effect::Store(batch);
        if context.broken.has(Break::GoodsBeforeEvidence) {
            return Step::new(Self::Over, [Effect::Show(paid), store]);
        }
        Step::new(Self::Storing(paid), [store])
    }
}

/// Whether the time has come at which an open charge is closed (R8).
fn has_expired(claim: &Claim, context: &Context<'_>) -> bool {
    context.now >= claim.charge.claimed().expires && !context.broken.has(Break::NeverClosed)
}

/// Whether a notification is about this charge: its own request, and the amount that was charged.
fn fits(asking: &Asking, claim: &Claim, told: &ClearingNotification) -> bool {
    let said = claim.charge.claimed();
    let information = told.information.claimed();
    claim.clearing.as_ref() == Some(&told.request)
        && told.provider == asking.anchors.provider
        && (information.audience, information.clearing) == (Audience::Merchant, told.clearing)
        && (information.amount, information.transaction) == (said.amount, said.transaction)
}

/// The charge by its hash in its session.
fn charge_hash(asking: &Asking, claim: &Claim) -> Hash {
    Charge::named(&claim.session, asking.machine, claim.charge.payload())
}

impl Talk for CreditClaim {
    type Notice = ClaimNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(asking, transaction), Event::Tick) => Self::start(asking, transaction, context),
            (Self::SigningAsk(asking, claim, request), Event::Signed(signature)) => {
                let after = Claim { asked: Some(request.sign(signature)), ..claim.clone() };
                Self::store(asking, &claim, after, context)
            }
            (Self::SigningClear(asking, claim, request), Event::Signed(signature)) => {
                let clearing = Some(request.sign(signature));
                let after = Claim { state: ClaimState::Clearing, clearing, ..claim.clone() };
                Self::store(asking, &claim, after, context)
            }
            (Self::StoringRequest(asking, claim), Event::Stored) => Self::send(asking, claim),
            (Self::Expect(asking, claim, hash), Event::Received(bytes)) => {
                Self::answered(asking, claim, &hash, &bytes, context)
            }
            (Self::SigningReceipt(claim, told, receipt), Event::Signed(signature)) => {
                Self::keep(&claim, told, receipt.sign(signature), context)
            }
            (Self::SigningClose(claim, void, why), Event::Signed(signature)) => {
                Self::closed(claim, void.sign(signature), why, context)
            }
            (Self::Storing(notice), Event::Stored) => Self::over(notice),
            // What is stored is sent again (R26).
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(ClaimNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
