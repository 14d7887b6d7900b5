//! The one shape of every conversation: a state takes an event and gives the next state and effects.
//!
//! A step is synchronous and pure. What it wants done leaves as [`Effect`]s; how that ended comes back as the next
//! [`Event`]. A [`Effect::Send`] of anything that spends, admits, hands over or acknowledges is emitted only while
//! handling [`Event::Stored`], so that storing cannot be forgotten.

use crate::codes;
use crate::id::{CardId, Hash};
use crate::money::Time;
use crate::record::Batch;
use crate::wire::signed::{PublicKey, Signature, Verifier};
use alloc::vec::Vec;

/// Which key shall sign; the driver knows where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningKey {
    /// The device's own key.
    Device,
    /// A card's key.
    Card(CardId),
    /// A key made for one payment by credit, or for a card to come.
    Offer(PublicKey),
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

codes! {
    /// Rules that the simulator breaks on purpose, to show that it would notice. Nothing else may break any: a test
    /// checks that only the simulator names one.
    pub enum Break {
        /// The check leaves before it is stored (DESIGN 8).
        SendBeforeStore = 1,
        /// Goods are handed over before the check is stored (DESIGN 8).
        GoodsBeforeEvidence = 2,
        /// A spent check is returned because no answer came (R8).
        RefundOnTimeout = 3,
        /// A repeated charge is paid by a new check (R2, R7).
        DebitAgainOnReplay = 4,
        /// A claim is credited as often as it arrives (R7).
        ClearWithoutDedupe = 5,
        /// A void is told but not stored (R7).
        VoidNotStored = 6,
        /// Two contents under one chain key pass (R1, R9).
        ForkIgnored = 7,
        /// Answers are compared without their context (R2).
        HashWithoutContext = 8,
        /// Signatures are not checked (R3).
        SignatureIgnored = 9,
        /// The wallet answers a charge of a session that it does not know (R5).
        NonceNotBound = 10,
        /// The terminal believes the remaining that the card declares (R6).
        CeilingIgnored = 11,
        /// A closed charge accepts a check (R7).
        ClosedAccepts = 12,
        /// A charge is never closed (R8).
        NeverClosed = 13,
        /// What was overspent is posted to nobody (R9, R10).
        NoGuarantor = 14,
        /// The terminal sells with a revocation list of any age (R11).
        StaleListAccepted = 15,
        /// Two processes may both advance one record (R13).
        NoCompareAndSwap = 16,
        /// A device behind what it acknowledged goes on unnoticed (R14).
        RollbackIgnored = 17,
        /// A provider restored from a backup keeps its epoch (R15).
        EpochKept = 18,
        /// Records are judged by what is valid when they arrive (R16).
        JudgedAtArrival = 19,
        /// The wallet names its card before the terminal is authenticated (R17).
        CardNamedEarly = 20,
        /// A number serves any key (R18).
        NumberForAnyKey = 21,
        /// The acknowledgement leaves before the provider has committed (R7, R14).
        AcknowledgeBeforeCommit = 22,
        /// An old update that a carrier brings again is taken for a device gone back (R14).
        ReplayBelieved = 23,
        /// Two lines that name different things are authorized (R23).
        MismatchIgnored = 24,
        /// The processor is asked before that is durable (R26).
        AskedBeforeStored = 25,
        /// What the processor does not know yet is taken for declined (R26).
        UnknownIsDeclined = 26,
        /// A clearing that is not known yet is asked for again under a new number (R26).
        ClearedUnderNewNumber = 27,
        /// The user's receipt is not sent again with the merchant's part (R23).
        ReceiptNotRepeated = 28,
        /// What was authorized for a charge that ended is not let go (R8).
        HoldKept = 29,
        /// A charge whose clearing was asked for is closed when it expires (R26).
        ClearingClosed = 30,
        /// The clearing request leaves before it is stored (R26).
        ClearingBeforeStore = 31,
        /// An agreement to a purchase that comes again is charged again (R26).
        ChargedAgain = 32,
        /// What is bought is delivered before the money is known to be captured (R26).
        DeliveredBeforeCapture = 33,
        /// What is reserved or sold is not counted, and sold again.
        StockNotCounted = 34,
        /// A capture that is not known yet is taken for refused, and the purchase given up (R26).
        CaptureGuessed = 35,
        /// The refund of a card given back is asked for twice.
        RefundedTwice = 36,
        /// A card given back is paid back before all that it spent can be known (R11).
        RefundedEarly = 37,
        /// A card that was given back can still pay.
        ValueKept = 38,
        /// A letter of which it is not known whether it arrived is written again, under a new number (R26).
        LetterUnderNewNumber = 39,
        /// What a muted merchant writes is carried all the same.
        MuteIgnored = 40,
        /// A file of orders orders again what an earlier one has ordered.
        OrderedAgain = 41,
        /// What was paid out is due again at the next settlement.
        PaidAgain = 42,
        /// The fee on a payment that was undone is kept.
        FeeKept = 43,
        /// A ticket is shown before that is stored (R13, R20).
        ShownBeforeStored = 44,
        /// A wallet does not name its earlier attempts, and begins with the first again (R20).
        AttemptsForgotten = 45,
        /// A gate opens before it has stored whom it lets in (R13, R20).
        OpenBeforeStored = 46,
        /// A gate lets in an entry that it has let in (R20).
        EntryTwice = 47,
        /// A gate takes a window of any age (R21).
        WindowOfAnyAge = 48,
        /// A gate that hears no other takes windows of tickets for any door (R21).
        WindowAtAnyDoor = 49,
        /// A hand-over leaves before the end of the giver's copy is stored (R12, R13).
        GivenBeforeStored = 50,
        /// Whoever gives one generation of a ticket to two is not convicted (R9, R12).
        GivenTwiceIgnored = 51,
        /// A ticket that was given comes back before its receiver is late (R12).
        TakenBackEarly = 52,
        /// A gate lets in who has given a ticket away, where its receiver was seen already (R12).
        GiverLetIn = 53,
        /// A holder's later answer to a change counts, too (flow 15).
        LaterAnswerCounts = 54,
        /// A switch does not hang up when what was paid is over (R24).
        CallGoesOn = 55,
        /// What a call leaves over does not go back to its card (R8).
        RestKept = 56,
        /// A wallet that was cut off from a call does not log it when it is back (R8).
        CallNotLogged = 57,
        /// What a switch charges is not held against the issuer's tariff (R24).
        PriceNotCompared = 58,
        /// A switch claims units whose links were not shown to it (R24).
        LinksGuessed = 59,
        /// A link leaves before it is stored that it may (R24).
        LinkBeforeStored = 60,
        /// A muted merchant's number rings all the same (flow 21).
        CallThroughMute = 61,
        /// A number that was given before rings where somebody was called then (flow 21).
        OldPhoneRings = 62,
        /// A device's word for where it stands is taken for the provider's (R15).
        StandingBelieved = 63,
        /// A provider that was put back sells before its operator has compared what was sold since (R15).
        SoldUncompared = 64,
        /// A ticket that was given back is not dead for gates.
        GivenBackLetIn = 65,
    }
}

/// Which rules are broken on purpose: none, but in the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Broken(u128);

impl Broken {
    /// Everything holds.
    pub const NONE: Self = Self(0);
    /// All but this one holds.
    pub fn only(which: Break) -> Self {
        Self(1 << which.code())
    }
    /// Whether this one is broken.
    pub fn has(self, which: Break) -> bool {
        self.0 & (1 << which.code()) != 0
    }
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
    /// Rules broken on purpose; [`Broken::NONE`] outside the simulator.
    pub broken: Broken,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_broken_by_itself() {
        for one in Break::ALL {
            assert!(!Broken::NONE.has(*one), "{one:?}");
            for other in Break::ALL {
                assert_eq!(Broken::only(*one).has(*other), one == other, "{one:?}, {other:?}");
            }
        }
    }
}
