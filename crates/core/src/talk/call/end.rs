//! How a device ends calls that it was in when it went down: each is logged with what is stored, before anything else happens to its
//! card and before every upload, so that none stays open (R8).

use super::calling::{Call, CallState, Calling, CallingState};
use super::switch::receipt;
use crate::card::{CallEnd, CallReceipt};
use crate::id::DeviceId;
use crate::money::Amount;
use crate::step::{Break, Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::wire::signed::{PublicKey, Unsigned};
use alloc::vec;

/// What whoever is in charge is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndNotice {
    /// Over and logged.
    Over {
        /// Which call.
        transaction: u64,
        /// What was paid for it, in minor units of its tariff.
        total: u64,
    },
    /// There is no such call, or it had ended before; nothing has changed.
    Nothing,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// A wallet ends a call that it does not take part in any more.
#[derive(Clone, Debug)]
pub enum HangUp {
    /// Asked to.
    Start {
        /// The switch.
        switch: DeviceId,
        /// Its number there.
        transaction: u64,
    },
    /// Stores it.
    Storing(EndNotice),
    /// Ended.
    Over,
}

impl Talk for HangUp {
    type Notice = EndNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Step<Self, EndNotice> {
        let over = |notice| Step::new(Self::Over, [Effect::Show(notice)]);
        match (self, event) {
            (Self::Start { switch, transaction }, Event::Tick) => {
                let calling = Calling::load(context.records, switch, transaction);
                let broken = context.broken.has(Break::CallNotLogged);
                let Some(calling) = calling.filter(|calling| calling.state == CallingState::Open && !broken) else {
                    return over(EndNotice::Nothing);
                };
                match calling.end(None, context.records, context.now) {
                    Some(batch) => {
                        let notice = EndNotice::Over { transaction, total: calling.total() };
                        Step::new(Self::Storing(notice), [Effect::Store(batch)])
                    }
                    None => over(EndNotice::Failed(Fault::Storage)),
                }
            }
            (Self::Storing(notice), Event::Stored) => over(notice),
            (_, Event::Failed(fault)) => over(EndNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}

/// A switch ends a call that it does not connect any more: what is certain is charged.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum EndOfCall {
    /// Asked to.
    Start {
        /// Which call.
        transaction: u64,
        /// The switch.
        switch: DeviceId,
        /// Its key.
        key: PublicKey,
    },
    /// Signs the receipt.
    Signing(Call, Unsigned<CallReceipt>),
    /// Stores it.
    Storing(EndNotice),
    /// Ended.
    Over,
}

impl Talk for EndOfCall {
    type Notice = EndNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Step<Self, EndNotice> {
        let over = |notice| Step::new(Self::Over, [Effect::Show(notice)]);
        match (self, event) {
            (Self::Start { transaction, switch, key }, Event::Tick) => {
                let open = Call::load(context.records, transaction).filter(|call| call.state == CallState::Open);
                let Some(call) = open else {
                    return over(EndNotice::Nothing);
                };
                let Some(used) = Amount::new(call.tariff.claimed().unit, call.certain) else {
                    return over(EndNotice::Failed(Fault::Storage));
                };
                let receipt = receipt(&call, switch, used, None, CallEnd::SwitchRestarted, context);
                let receipt = Unsigned::new(receipt, key.algorithm());
                let tbs = receipt.tbs(&CallReceipt::context(switch));
                Step::new(Self::Signing(call, receipt), [Effect::Sign { key: SigningKey::Device, tbs }])
            }
            (Self::Signing(call, receipt), Event::Signed(signature)) => {
                let (transaction, total) = (call.transaction(), call.paid());
                match call.end(receipt.sign(signature), context.records, context.now) {
                    Some((_, batch)) => {
                        let notice = EndNotice::Over { transaction, total };
                        Step::new(Self::Storing(notice), [Effect::Store(batch)])
                    }
                    None => over(EndNotice::Failed(Fault::Storage)),
                }
            }
            (Self::Storing(notice), Event::Stored) => over(notice),
            (_, Event::Failed(fault)) => over(EndNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
