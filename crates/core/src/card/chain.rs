//! The chain of events signed by a card's own key. Two contents under one position convict (R1, R9).

use super::links::Links;
use super::title::Handover;
use crate::id::{CardId, DeviceId, Hash, PartyId};
use crate::money::Time;
use crate::wire::canonical::{Reader, Wire, Writer};
use crate::wire::signed::{PublicKey, Signed, Verifier};
use crate::{codes, message};
use alloc::vec::Vec;
use core::num::NonZeroU64;

codes! {
    /// What an event does (R1).
    pub enum EventKind {
        /// Pays for a charge: the check.
        Spend = 1,
        /// Takes up a load.
        Load = 2,
        /// Takes up value received from another card.
        Receive = 3,
        /// Takes back what a void, close or reversal returns.
        CreditBack = 4,
        /// Locks the card to a receiver.
        Lock = 5,
        /// Hands the card over.
        Transfer = 6,
        /// Surrenders the card for refund.
        Surrender = 7,
        /// A metered session whose ticks only rise.
        Session = 8,
    }
}

message! {
    /// One event of a card's chain. Card, generation and counterpart are signed as context (R5).
    pub struct CardEvent kind 15 max 250 {
        /// What it does.
        1 event: EventKind,
        /// Counts up from 1 within the generation.
        2 seq: u64,
        /// 0 (absent) except inside a metered session (R1).
        3 tick: Option<NonZeroU64>,
        /// Hash of the event before; zeros at the start of a generation.
        4 previous: Hash,
        /// How much this event moves, in minor units.
        5 amount: u64,
        /// What remains after it, in minor units.
        6 remaining: u64,
        /// A tick that is paid link by link (R24): `amount` is what all of them come to.
        7 links: Option<Links>,
    }
}

/// The chain key of R1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The card.
    pub card: CardId,
    /// Its generation.
    pub generation: u64,
    /// The event's number.
    pub seq: u64,
    /// The tick within a session, else 0.
    pub tick: u64,
}

/// What an event answers; part of what is signed, so that one signature serves one purpose only (R2, R5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counterpart<'a> {
    /// A charge: the session that first carried it, the terminal, the charge's exact bytes.
    Charge {
        /// Transcript hash of that session.
        session: Hash,
        /// Who charges.
        terminal: DeviceId,
        /// The charge's payload, so that an IC card can read the amount.
        charge: &'a [u8],
    },
    /// The raise, by its hash, that a load or credit-back takes up.
    Raise(Hash),
    /// The provider that a card is surrendered to.
    Provider(PartyId),
    /// Whom a card is handed over to.
    Transfer(Handover),
    /// The provider that a card is locked to, so that it can be given to somebody far away.
    Gift {
        /// The provider.
        provider: PartyId,
        /// Entries used so far.
        used: u64,
        /// When, by the giver's clock.
        at: Time,
    },
}

impl CardEvent {
    /// The context in which a card signs an event.
    pub fn context(card: CardId, generation: u64, counterpart: &Counterpart<'_>) -> Vec<u8> {
        let mut to = Writer::new();
        match counterpart {
            Counterpart::Charge { session, terminal, charge } => {
                to.array(5);
                card.write(&mut to);
                to.uint(generation);
                session.write(&mut to);
                terminal.write(&mut to);
                to.bytes(charge);
            }
            Counterpart::Raise(hash) => {
                to.array(3);
                card.write(&mut to);
                to.uint(generation);
                hash.write(&mut to);
            }
            Counterpart::Provider(provider) => {
                to.array(4);
                card.write(&mut to);
                to.uint(generation);
                provider.write(&mut to);
                to.uint(EventKind::Surrender.code());
            }
            Counterpart::Gift { provider, used, at } => {
                to.array(6);
                card.write(&mut to);
                to.uint(generation);
                to.uint(EventKind::Lock.code());
                provider.write(&mut to);
                to.uint(*used);
                at.write(&mut to);
            }
            Counterpart::Transfer(handover) => {
                to.array(7);
                card.write(&mut to);
                to.uint(generation);
                to.uint(EventKind::Transfer.code());
                handover.to.write(&mut to);
                handover.until.write(&mut to);
                to.uint(handover.used);
                handover.at.write(&mut to);
            }
        }
        to.finish()
    }
    /// The card and generation that a context names; `None` for bytes that are no such context.
    pub fn named_in(context: &[u8]) -> Option<(CardId, u64)> {
        let mut from = Reader::new(context);
        let len = from.array_len().ok()?;
        let named = (CardId::read(&mut from).ok()?, from.uint().ok()?);
        match len {
            3 => drop(Hash::read(&mut from).ok()?),
            4 => {
                PartyId::read(&mut from).ok()?;
                (from.uint().ok()? == EventKind::Surrender.code()).then_some(())?;
            }
            5 => {
                Hash::read(&mut from).ok()?;
                DeviceId::read(&mut from).ok()?;
                from.bytes().ok()?;
            }
            6 => {
                (from.uint().ok()? == EventKind::Lock.code()).then_some(())?;
                PartyId::read(&mut from).ok()?;
                from.uint().ok()?;
                Time::read(&mut from).ok()?;
            }
            7 => {
                (from.uint().ok()? == EventKind::Transfer.code()).then_some(())?;
                PublicKey::read(&mut from).ok()?;
                Time::read(&mut from).ok()?;
                from.uint().ok()?;
                Time::read(&mut from).ok()?;
            }
            _ => return None,
        }
        from.end().ok().map(|()| named)
    }
    /// Where this event stands in its card's chain.
    pub fn position(&self, card: CardId, generation: u64) -> Position {
        Position { card, generation, seq: self.seq, tick: self.tick.map_or(0, NonZeroU64::get) }
    }
}

/// Two different events, both signed by the card, under one position: proof that needs no witness (R1, R9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkProof {
    /// Card and generation that are convicted.
    pub position: Position,
    /// Both events, each with its context.
    pub events: [(Signed<CardEvent>, Vec<u8>); 2],
}

impl ForkProof {
    /// Whether this really is one: both signatures hold, both stand at the position, their hashes differ (R2).
    pub fn convicts(&self, key: &PublicKey, by: &dyn Verifier) -> bool {
        let Position { card, generation, .. } = self.position;
        let holds = |(event, context): &(Signed<CardEvent>, Vec<u8>)| {
            // Each was signed for this very card and generation: a key may have served an earlier one (R14).
            CardEvent::named_in(context) == Some((card, generation))
                && event.claimed().position(card, generation) == self.position
                && event.clone().verify(key, context, by).is_ok()
        };
        let [first, second] = &self.events;
        holds(first) && holds(second) && first.0.hash(&first.1) != second.0.hash(&second.1)
    }
}
