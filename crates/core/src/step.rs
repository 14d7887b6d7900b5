//! The one shape of every conversation: a state takes an event and gives the next state and effects.
//!
//! A step is synchronous and pure. What it wants done leaves as [`Effect`]s; how that ended comes back as the next
//! [`Event`]. A [`Effect::Send`] of anything that spends, admits, hands over or acknowledges is emitted only while
//! handling [`Event::Stored`], so that storing cannot be forgotten.

use crate::card::CardEvent;
use crate::id::{CardId, Hash};
use crate::money::Time;
use crate::record::Batch;
use crate::wire::signed::{Signature, Verifier};
use alloc::vec::Vec;

/// Which key shall sign; the driver knows where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningKey {
    /// The device's own key.
    Device,
    /// A card's key.
    Card(CardId),
}

/// What a step wants done. Drivers carry effects out in order and report each one that answers.
#[derive(Clone, Debug)]
pub enum Effect<N> {
    /// Make this batch durable; answered by [`Event::Stored`] or [`Event::Failed`].
    Store(Batch),
    /// Sign; answered by [`Event::Signed`] or [`Event::Failed`].
    Sign {
        /// With which key.
        key: SigningKey,
        /// The bytes to be signed; they describe themselves (R5).
        tbs: Vec<u8>,
    },
    /// Send to the other side of this conversation; not answered.
    Send(Vec<u8>),
    /// Tell the person or the app in charge; answered only where the notice asks something.
    Show(N),
    /// Wake with [`Event::Tick`] at this time, if nothing came before.
    WaitUntil(Time),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The link has set up its session; this is the hash of its transcript.
    Opened(Hash),
    /// The other side sent this.
    Received(Vec<u8>),
    /// The batch is durable.
    Stored,
    /// The signature asked for.
    Signed(Signature),
    /// The person agreed to what was shown.
    Agreed,
    /// The person did not agree.
    Declined,
    /// The time waited for has come.
    Tick,
    /// The link is gone.
    Lost,
    /// Storing or signing did not work; nothing was changed.
    Failed(Fault),
}

/// Why the device itself could not do what a step asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another process advanced the same record first (R13).
    #[error("another process is using this device's data; try again")]
    Raced,
    /// The vault could not be written.
    #[error("this device's storage failed or is full; nothing was changed")]
    Storage,
    /// The key is not there or not open.
    #[error("this device's key is locked or missing")]
    Key,
}

/// What every step is given besides its event.
pub struct Context<'a> {
    /// The time now.
    pub now: Time,
    /// 32 fresh random bytes.
    pub entropy: [u8; 32],
    /// Checks signatures.
    pub verifier: &'a dyn Verifier,
    /// The device's records, read only.
    pub records: &'a dyn Records,
}

/// Reads the device's durable records.
pub trait Records {
    /// What stands there.
    fn get(&self, key: &crate::record::RecordKey) -> Option<Vec<u8>>;
}

/// The next state and what it wants done.
#[derive(Debug)]
pub struct Step<S, N> {
    /// The state to go on from; consumed by the next event.
    pub state: S,
    /// What to do, in order.
    pub effects: Vec<Effect<N>>,
}

impl<S, N> Step<S, N> {
    /// A step.
    pub fn new(state: S, effects: impl Into<Vec<Effect<N>>>) -> Self {
        Self { state, effects: effects.into() }
    }
}

/// One side of a conversation.
pub trait Talk: Sized {
    /// What it shows.
    type Notice;
    /// Handles one event. Events that make no sense in this state change nothing.
    fn step(self, event: Event, context: &Context<'_>) -> Step<Self, Self::Notice>;
    /// Whether it has ended, well or not.
    fn is_over(&self) -> bool;
}

/// Keeps the draft of a card event beside its context until its signature comes.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The event.
    pub event: crate::wire::signed::Unsigned<CardEvent>,
    /// Its context.
    pub context: Vec<u8>,
}
