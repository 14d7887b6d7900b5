//! The user's line to the provider: the stored request, the same bytes again until the provider says how it ended (R26).

use super::messages::*;
use super::{CreditPaying, CreditRefusal};
use crate::id::RequestNumber;
use crate::money::{Amount, Time};
use crate::record::Batch;
use crate::step::{Context, Effect, Event, Fault, Step, Talk};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, read_reply};
use crate::wire::certificate::Anchors;
use alloc::vec;

/// Seconds after which a side asks again where the provider names none.
pub(super) const AGAIN: u64 = 2;

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentNotice {
    /// Not known yet; asked again then.
    Waits {
        /// When.
        until: Time,
        /// How it stands.
        state: CreditState,
    },
    /// Authorized: the merchant may take it. The receipt comes with an update.
    Authorized {
        /// How much.
        amount: Amount,
    },
    /// The merchant has taken it.
    Cleared {
        /// How much.
        amount: Amount,
    },
    /// Ended; nothing was charged.
    Refused(CreditRefusal),
    /// The provider could not or would not read the request. Nothing is known; ask again later.
    ProviderRefused(Refused),
    /// There is no such payment.
    Unknown,
    /// The answer is not the provider's, or not to this request. Nothing is known; ask again later.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// The wallet's side of its line.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum CreditPayment {
    /// Asked to; again and again, whether it was begun before or not.
    Start(RequestNumber, Anchors),
    /// Waits for the answer.
    Expect(CreditPaying, Anchors),
    /// Stores how it stands.
    Storing(PaymentNotice),
    /// Ended.
    Over,
}

type Next = Step<CreditPayment, PaymentNotice>;

impl CreditPayment {
    fn over(notice: PaymentNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn start(request: RequestNumber, anchors: Anchors, context: &Context<'_>) -> Next {
        let Some(paying) = CreditPaying::load(context.records, request) else {
            return Self::over(PaymentNotice::Unknown);
        };
        if paying.has_ended() {
            return Self::over(told(&paying));
        }
        let send = Effect::Send(paying.request.encode());
        Step::new(Self::Expect(paying, anchors), [send])
    }

    fn answered(before: CreditPaying, anchors: Anchors, bytes: &[u8], context: &Context<'_>) -> Next {
        let request = before.request.hash(&[]);
        let answer = match read_reply::<CreditAnswer>(bytes, &request, &anchors, context) {
            Some(Answered::Reply(answer)) => answer,
            Some(Answered::Refused(refused)) => return Self::over(PaymentNotice::ProviderRefused(refused)),
            None => return Self::over(PaymentNotice::NotTrusted),
        };
        let until = match answer.state {
            CreditState::Waiting | CreditState::Pending => context.now.after(answer.again.unwrap_or(AGAIN).max(1)),
            CreditState::Authorized | CreditState::Cleared | CreditState::Refused => {
                let after =
                    CreditPaying { state: answer.state, why: answer.why, told: Some(answer.at), ..before.clone() };
                let mut batch = Batch::default();
                after.store(Some(&before), &mut batch);
                return Step::new(Self::Storing(told(&after)), [Effect::Store(batch)]);
            }
        };
        let waits = Effect::Show(PaymentNotice::Waits { until, state: answer.state });
        Step::new(Self::Start(before.number(), anchors), [waits, Effect::WaitUntil(until)])
    }
}

/// How a payment stands, for its user.
fn told(paying: &CreditPaying) -> PaymentNotice {
    let amount = paying.charge.claimed().amount;
    match paying.state {
        CreditState::Cleared => PaymentNotice::Cleared { amount },
        CreditState::Refused => PaymentNotice::Refused(paying.why.unwrap_or(CreditRefusal::Closed)),
        _ => PaymentNotice::Authorized { amount },
    }
}

impl Talk for CreditPayment {
    type Notice = PaymentNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(request, anchors), Event::Tick) => Self::start(request, anchors, context),
            (Self::Expect(paying, anchors), Event::Received(bytes)) => Self::answered(paying, anchors, &bytes, context),
            (Self::Storing(notice), Event::Stored) => Self::over(notice),
            // The request stays stored and is sent again until it is answered.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(PaymentNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
