//! A wallet names the bank card that it pays with. The details are sealed to the processor before they come here; the request
//! is stored before it is sent, and the same bytes are sent until they are answered (R26).

use super::CreditRefusal;
use super::messages::*;
use super::wallet::AGAIN;
use crate::id::Hash;
use crate::money::Time;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, read_reply};
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signed, Unsigned};
use alloc::{vec, vec::Vec};

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterNotice {
    /// Not known yet; asked again then.
    Waits {
        /// When.
        until: Time,
    },
    /// The card is registered: this wallet pays with it.
    Registered,
    /// It is not; another one that was registered before still is.
    Refused(CreditRefusal),
    /// The provider could not or would not read the request. Ask again later.
    ProviderRefused(Refused),
    /// No registration waits for an answer.
    Nothing,
    /// The answer is not the provider's, or not to this request.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// The wallet's side of registering its bank card.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum CardRegistration {
    /// Asked to. A registration that waits for its answer is given up for this one.
    Start(RegisterCard, Anchors, PublicKey),
    /// Sends the stored request again.
    Resume(Anchors),
    /// Signs the request.
    Signing(Unsigned<RegisterCard>, Anchors),
    /// Stores the request.
    Storing(Anchors),
    /// Waits for the answer.
    Expect(Vec<u8>, Hash, Anchors),
    /// Stores the answer.
    Keeping(RegisterNotice),
    /// Ended.
    Over,
}

type Next = Step<CardRegistration, RegisterNotice>;

fn request_key() -> RecordKey {
    RecordKey::new(Space::Request, *b"register card")
}

fn registered_key() -> RecordKey {
    RecordKey::new(Space::Device, *b"bank card")
}

/// When the provider told this wallet that its bank card is registered; `None`: never.
pub fn card_registered(records: &dyn Records) -> Option<Time> {
    let told = records.get(&registered_key())?;
    Signed::<CreditAnswer>::decode(&told).ok().map(|answer| answer.claimed().at)
}

impl CardRegistration {
    fn over(notice: RegisterNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn resume(anchors: Anchors, context: &Context<'_>) -> Next {
        let stored = context.records.get(&request_key());
        let Some((bytes, hash)) = stored.and_then(|bytes| {
            let hash = Signed::<RegisterCard>::decode(&bytes).ok()?.hash(&[]);
            Some((bytes, hash))
        }) else {
            return Self::over(RegisterNotice::Nothing);
        };
        Step::new(Self::Expect(bytes.clone(), hash, anchors), [Effect::Send(bytes)])
    }

    fn answered(request: Vec<u8>, hash: &Hash, anchors: Anchors, bytes: &[u8], context: &Context<'_>) -> Next {
        let answer = match read_reply::<CreditAnswer>(bytes, hash, &anchors, context) {
            Some(Answered::Reply(answer)) => answer,
            Some(Answered::Refused(refused)) => return Self::over(RegisterNotice::ProviderRefused(refused)),
            None => return Self::over(RegisterNotice::NotTrusted),
        };
        // Guarded: a newer registration that went out meanwhile keeps waiting for its own answer.
        let mut batch = Batch::default();
        batch.guards.push((request_key(), Some(request)));
        batch.remove(request_key());
        let notice = match answer.state {
            CreditState::Waiting | CreditState::Pending => {
                let until = context.now.after(answer.again.unwrap_or(AGAIN).max(1));
                let waits = Effect::Show(RegisterNotice::Waits { until });
                return Step::new(Self::Resume(anchors), [waits, Effect::WaitUntil(until)]);
            }
            CreditState::Authorized => {
                batch.put(registered_key(), answer.signed().encode());
                RegisterNotice::Registered
            }
            CreditState::Refused => RegisterNotice::Refused(answer.why.unwrap_or(CreditRefusal::Card)),
            // Nothing is cleared by registering.
            CreditState::Cleared => return Self::over(RegisterNotice::NotTrusted),
        };
        Step::new(Self::Keeping(notice), [Effect::Store(batch)])
    }
}

impl Talk for CardRegistration {
    type Notice = RegisterNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(request, anchors, key), Event::Tick) => {
                let request = Unsigned::new(request, key.algorithm());
                let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
                Step::new(Self::Signing(request, anchors), [sign])
            }
            (Self::Signing(request, anchors), Event::Signed(signature)) => {
                let mut batch = Batch::default();
                batch.put(request_key(), request.sign(signature).encode());
                Step::new(Self::Storing(anchors), [Effect::Store(batch)])
            }
            (Self::Storing(anchors), Event::Stored) | (Self::Resume(anchors), Event::Tick) => {
                Self::resume(anchors, context)
            }
            (Self::Expect(request, hash, anchors), Event::Received(bytes)) => {
                Self::answered(request, &hash, anchors, &bytes, context)
            }
            (Self::Keeping(notice), Event::Stored) => Self::over(notice),
            // The request stays stored and is sent again until it is answered.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(RegisterNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
