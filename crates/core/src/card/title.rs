//! The title of a card that was given from wallet to wallet: signed hand-overs from the holder that the provider has certified to
//! the one who holds it now (R12). It travels with the card until the provider issues it anew under the last key.
//!
//! Each hand-over is the last event of its holder's chain and begins the next generation under the receiver's key, so that the
//! generation that the provider then certifies is the one that the receiver has used meanwhile.

use super::{CardCertificate, CardEvent, Counterpart, EventKind, Terms};
use crate::id::{CardId, Hash};
use crate::message;
use crate::money::Time;
use crate::wire::certificate::CLOCK_TOLERANCE;
use crate::wire::signed::{PublicKey, Signed, Verifier};
use alloc::vec::Vec;

/// The most hand-overs that travel, whatever terms allow: a title must fit a tap.
pub const MAX_HOPS: usize = 4;
/// Within how many seconds a receiver registers where the terms do not say.
pub const REGISTER_WITHIN: u64 = 7 * Time::DAY;

/// What a hand-over is signed for (R5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The receiver's new key.
    pub to: PublicKey,
    /// The receiver registers before then (R12).
    pub until: Time,
    /// Entries used so far: the receiver's next one follows.
    pub used: u64,
    /// When, by the giver's clock.
    pub at: Time,
}

message! {
    /// One hand-over: the last event of the giver's chain, and what it was signed for.
    pub struct Hop {
        /// The event.
        1 event: Signed<CardEvent>,
        /// The receiver's new key.
        2 to: PublicKey,
        /// The receiver registers before then (R12).
        3 until: Time,
        /// Entries used so far.
        4 used: u64,
        /// When, by the giver's clock.
        5 at: Time,
    }
}

impl Hop {
    /// What was signed for what.
    pub fn new(event: Signed<CardEvent>, handover: Handover) -> Self {
        let Handover { to, until, used, at } = handover;
        Self { event, to, until, used, at, extensions: Default::default() }
    }
    /// What it is signed for.
    pub fn handover(&self) -> Handover {
        Handover { to: self.to, until: self.until, used: self.used, at: self.at }
    }
    /// The context of its signature, by the holder of this generation.
    pub fn context(&self, card: CardId, generation: u64) -> Vec<u8> {
        CardEvent::context(card, generation, &Counterpart::Transfer(self.handover()))
    }
    /// The hash that names it.
    pub fn hash(&self, card: CardId, generation: u64) -> Hash {
        self.event.hash(&self.context(card, generation))
    }
}

/// Why a title proves nothing, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TitleError {
    /// A signature is not by the holder before, or the chain does not go on.
    #[error("the card's title is not signed by those who held it")]
    Forged,
    /// More hand-overs than the terms allow in all.
    #[error("the card was given on more often than its terms allow in all")]
    TooMany,
    /// A time to register has passed, or is not one of the terms; or more hand-overs than travel.
    #[error("the card was handed over and not registered in time; go online once")]
    Unregistered,
}

/// Who holds a card, as certificate and title prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The card.
    pub card: CardId,
    /// The generation that is held.
    pub generation: u64,
    /// The holder's key.
    pub key: PublicKey,
    /// Entries that were used before.
    pub used: u64,
    /// Those before, from the certified one on: their generations and keys.
    pub before: Vec<(u64, PublicKey)>,
}

impl Holder {
    /// Whom the provider has certified.
    pub fn certified(said: &CardCertificate) -> Self {
        let (card, generation, key, used) = (said.card, said.generation, said.key, said.used.unwrap_or(0));
        Self { card, generation, key, used, before: Vec::new() }
    }
    /// Who holds it after these hand-overs; their signatures are checked, not their times. `None`: it is no title.
    pub fn after(mut self, hops: &[Hop], by: &dyn Verifier) -> Option<Self> {
        let mut amount = None;
        for hop in hops {
            let said = hop.event.claimed();
            let begins = self.before.is_empty() || (said.seq == 1 && said.previous == Hash::ZERO);
            let whole = said.event == EventKind::Transfer && said.tick.is_none() && said.remaining == 0;
            let follows = amount.is_none_or(|amount| amount == said.amount) && hop.used >= self.used;
            let generation = self.generation.checked_add(1)?;
            (begins && whole && follows && hop.to != self.key).then_some(())?;
            hop.event.clone().verify(&self.key, &hop.context(self.card, self.generation), by).ok()?;
            amount = Some(said.amount);
            self.before.push((self.generation, self.key));
            (self.generation, self.key, self.used) = (generation, hop.to, hop.used);
        }
        Some(self)
    }
    /// Whether it was handed over since the provider has certified it.
    pub fn is_titled(&self) -> bool {
        !self.before.is_empty()
    }
}

/// Until when a receiver registers what is handed over at this moment.
pub fn register_by(terms: &Terms, at: Time) -> Time {
    at.after(terms.register_within.unwrap_or(REGISTER_WITHIN))
}

/// Whether a card that was handed over so often since its certificate was so rightly: as often in all as the terms say, with what was
/// given on before (R12), and no more often than a title carries.
///
/// # Errors
/// [`TitleError::TooMany`] for good; [`TitleError::Unregistered`] until its holder has registered it.
pub fn is_allowed(said: &CardCertificate, hops: usize, terms: &Terms) -> Result<(), TitleError> {
    if said.given.unwrap_or(0).saturating_add(hops as u64) > terms.handovers && hops > 0 {
        return Err(TitleError::TooMany);
    }
    if hops > MAX_HOPS { Err(TitleError::Unregistered) } else { Ok(()) }
}

/// Whether a hand-over keeps to its terms, whenever it is looked at.
pub fn is_within(terms: &Terms, hop: &Hop) -> bool {
    let given = terms.ticket.as_ref().and_then(|ticket| ticket.give_until).is_none_or(|until| hop.at < until);
    given && hop.until <= register_by(terms, hop.at)
}

/// Judges certificate and title at this moment, away from the provider (R12). The certificate's signature has been checked.
///
/// # Errors
/// [`TitleError`].
pub fn holder(
    said: &CardCertificate,
    hops: &[Hop],
    terms: &Terms,
    now: Time,
    by: &dyn Verifier,
) -> Result<Holder, TitleError> {
    is_allowed(said, hops.len(), terms)?;
    let whole = hops.first().is_none_or(|hop| {
        let first = hop.event.claimed();
        (first.seq, first.amount) == (said.seq.saturating_add(1), said.remaining)
    });
    let holder = Holder::certified(said).after(hops, by).filter(|_| whole).ok_or(TitleError::Forged)?;
    let in_time = |hop: &Hop| now < hop.until && hop.at <= now.after(CLOCK_TOLERANCE) && is_within(terms, hop);
    if hops.iter().all(in_time) { Ok(holder) } else { Err(TitleError::Unregistered) }
}
