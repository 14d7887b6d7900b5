//! The standard program of payment cards: what the holder's side may spend and take up, what a terminal accepts.
//!
//! Both sides compute the same bound (R6): a card never goes above its checkpoint but by loads and received value
//! numbered after it, and never spends more than its offline limit below that.

use super::title::{Handover, Hop};
use super::{CardCertificate, CardEvent, Counterpart, EventKind, Raise, Terms};
use crate::id::{Hash, PartyId};
use crate::money::{Amount, Time};
use crate::wire::canonical::Bytes;
use crate::wire::signed::{PublicKey, Signed, Unsigned};
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

/// How many raises travel with a check; a further one waits for the next update (R6).
pub const MAX_RAISES: usize = 2;

codes! {
    /// What a wallet may do with a card.
    pub enum PurseState {
        /// Everything.
        Active = 1,
        /// Nothing until an update: it was rolled back or blocked.
        Blocked = 2,
        /// Nothing: this generation is over.
        Ended = 3,
    }
}

message! {
    /// A payment card as its wallet holds it. Stored whole, replaced by compare-and-swap (R13).
    pub struct Purse {
        /// Certificate with the latest checkpoint.
        1 certificate: Signed<CardCertificate>,
        /// What may be done with it.
        2 state: PurseState,
        /// Number of the last event.
        3 seq: u64,
        /// Hash of the last event.
        4 head: Hash,
        /// What remains, in minor units.
        5 remaining: u64,
        /// Raises taken up since the checkpoint; they travel with each check.
        6 raises: Vec<Raise>,
        /// Raises not taken up yet.
        7 waiting: Vec<Raise>,
        /// Number of the last load taken up.
        8 last_load: u64,
        /// How it came to this wallet from the one that the certificate names, until the provider issues it anew (R12).
        9 title: Option<Vec<Hop>>,
        /// In a session: the name of its record. It pays nothing else until that has ended.
        10 session: Option<Bytes>,
        /// A ticket: what stands on its seat, as the provider or whoever gave it says.
        11 seat_name: Option<String>,
        /// What of its value the provider holds back since an older copy of the wallet was put back, in minor units (R11).
        12 held_back: Option<u64>,
        /// From when on an update brings that.
        13 release_at: Option<Time>,
    }
}

/// Why a card cannot do this. The first two are the holder's to mend, the rest say what the card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotSpend {
    /// It was received from somebody and is not registered yet.
    #[error("the card was given to you and is not registered yet; update the wallet first")]
    Unregistered,
    /// Not enough remains.
    #[error("the card holds too little; load it or use another")]
    TooLittle,
    /// The update is overdue.
    #[error("the card has not been updated for too long; update the wallet")]
    Overdue,
    /// Above the largest single payment of its terms.
    #[error("the amount is above what this card pays at once")]
    AboveMaximum,
    /// Above what may be spent between two updates.
    #[error("the card has spent its limit since its last update; update the wallet")]
    OfflineLimit,
    /// Nothing to pay.
    #[error("an amount of zero cannot be paid")]
    Zero,
    /// Another currency.
    #[error("the card is in another currency")]
    OtherUnit,
    /// Past its validity.
    #[error("the card has expired")]
    Expired,
    /// Blocked or over.
    #[error("the card is blocked or over; update the wallet, and if it stays so ask the provider")]
    NotActive,
    /// Too many raises to travel along.
    #[error("the card waits for an update before it can take this up")]
    TooManyRaises,
    /// Taken up already.
    #[error("this was taken up before")]
    Repeated,
    /// An earlier load was not taken up yet: loads are taken up in the order of their numbers, or one would be lost.
    #[error("an earlier load of this card is still missing; load its number again")]
    LoadMissing,
    /// Numbers do not fit.
    #[error("the amounts do not add up")]
    Overflow,
    /// In a session.
    #[error("the card is paying for a call; hang up first, or use another")]
    InSession,
}

/// The ceiling of R6: the checkpoint's remaining and the loads numbered above its last.
pub fn ceiling(certificate: &CardCertificate, raises: &[Raise]) -> Option<u64> {
    let mut counted = Vec::new();
    let mut sum = certificate.remaining;
    for raise in raises {
        let Some(number) = raise.load_number().filter(|number| *number > certificate.last_load) else {
            continue;
        };
        // Shown twice, or in another unit: not this card's wallet, nothing to add.
        let amount = raise.amount().filter(|amount| amount.unit() == certificate.face.unit())?;
        if counted.contains(&number) {
            return None;
        }
        counted.push(number);
        sum = sum.checked_add(amount.minor())?;
    }
    Some(sum)
}

/// Whether this raise is among these, whatever its signature's bytes (R2).
fn holds(raises: &[Raise], raise: &Raise) -> bool {
    let hash = raise.hash();
    raises.iter().any(|held| held.hash() == hash)
}

/// The bounds that wallet and terminal both compute for a payment of `amount` that leaves `remaining`.
pub(super) fn within_bounds(
    certificate: &CardCertificate,
    terms: &Terms,
    raises: &[Raise],
    amount: Amount,
    remaining: u64,
    now: Time,
) -> Result<(), CannotSpend> {
    if amount.unit() != terms.unit {
        return Err(CannotSpend::OtherUnit);
    }
    if now >= certificate.until {
        return Err(CannotSpend::Expired);
    }
    if now >= certificate.due {
        return Err(CannotSpend::Overdue);
    }
    if amount.minor() > terms.max_payment {
        return Err(CannotSpend::AboveMaximum);
    }
    let ceiling = ceiling(certificate, raises).ok_or(CannotSpend::Overflow)?;
    let before = remaining.checked_add(amount.minor()).ok_or(CannotSpend::Overflow)?;
    if before > ceiling {
        return Err(CannotSpend::TooLittle);
    }
    if ceiling - remaining > certificate.offline_limit {
        return Err(CannotSpend::OfflineLimit);
    }
    Ok(())
}

/// A drafted event with the purse as it will be once the event is signed and stored.
#[derive(Clone, Debug)]
pub struct Advance {
    /// The event to sign.
    pub event: Unsigned<CardEvent>,
    /// The context to sign it in.
    pub context: Vec<u8>,
    /// The purse afterwards.
    pub purse: Purse,
}

impl Purse {
    /// A card just installed.
    pub fn new(certificate: Signed<CardCertificate>) -> Self {
        let said = certificate.claimed();
        Self {
            state: PurseState::Active,
            seq: said.seq,
            head: Hash::ZERO,
            remaining: said.remaining,
            raises: Vec::new(),
            waiting: Vec::new(),
            last_load: said.last_load,
            title: None,
            session: None,
            seat_name: None,
            held_back: None,
            release_at: None,
            certificate,
            extensions: Default::default(),
        }
    }
    /// A card just received from another wallet, with its title, the last hand-over last.
    pub fn received(certificate: Signed<CardCertificate>, title: Vec<Hop>) -> Self {
        let remaining = title.last().map_or(0, |hop| hop.event.claimed().amount);
        Self { seq: 0, remaining, title: Some(title), ..Self::new(certificate) }
    }
    /// The same with what stands on its seat, if somebody says so.
    #[must_use]
    pub fn seated(self, name: Option<&String>) -> Self {
        Self { seat_name: name.cloned().or(self.seat_name), ..self }
    }
    /// The same with what of its value is held back, and until when (R11).
    #[must_use]
    pub fn held(self, held_back: Option<u64>, release_at: Option<Time>) -> Self {
        Self { held_back, release_at, ..self }
    }
    /// The provider has answered at this moment, by its clock: what was held back until then is released.
    pub fn released(&mut self, at: Time) {
        if self.release_at.is_some_and(|release| at >= release) {
            (self.held_back, self.release_at) = (None, None);
        }
    }
    fn said(&self) -> &CardCertificate {
        self.certificate.claimed()
    }
    /// The hand-overs since the certificate.
    pub fn hops(&self) -> &[Hop] {
        self.title.as_deref().unwrap_or_default()
    }
    /// The card.
    pub fn card(&self) -> crate::id::CardId {
        self.said().card
    }
    /// The generation that this wallet holds.
    pub fn generation(&self) -> u64 {
        self.said().generation.saturating_add(self.hops().len() as u64)
    }
    /// The key that this wallet holds it by.
    pub fn key(&self) -> PublicKey {
        self.hops().last().map_or(self.said().key, |hop| hop.to)
    }
    /// Entries that were used before this generation.
    pub fn used(&self) -> u64 {
        self.hops().last().map_or(self.said().used.unwrap_or(0), |hop| hop.used)
    }
    /// Takes the certificate that the provider has issued for what is held by title: nothing else changes.
    pub fn register(&mut self, certificate: Signed<CardCertificate>) {
        self.certificate = certificate;
        self.title = None;
    }
    fn advance(&self, kind: EventKind, amount: u64, remaining: u64, counterpart: &Counterpart<'_>) -> Advance {
        let said = self.said();
        let event = CardEvent {
            event: kind,
            seq: self.seq + 1,
            tick: None,
            previous: self.head,
            amount,
            remaining,
            links: None,
            extensions: Default::default(),
        };
        let event = Unsigned::new(event, self.key().algorithm());
        let context = CardEvent::context(said.card, self.generation(), counterpart);
        let purse = Self { seq: self.seq + 1, head: event.hash(&context), remaining, ..self.clone() };
        Advance { event, context, purse }
    }
    /// Drafts the check that answers a charge.
    ///
    /// # Errors
    /// [`CannotSpend`]; nothing has changed.
    pub fn spend(
        &self,
        terms: &Terms,
        amount: Amount,
        counterpart: &Counterpart<'_>,
        now: Time,
    ) -> Result<Advance, CannotSpend> {
        if self.state != PurseState::Active {
            return Err(CannotSpend::NotActive);
        }
        self.is_free()?;
        if amount.is_zero() {
            return Err(CannotSpend::Zero);
        }
        let remaining = self.remaining.checked_sub(amount.minor()).ok_or(CannotSpend::TooLittle)?;
        within_bounds(self.said(), terms, &self.raises, amount, remaining, now)?;
        Ok(self.advance(EventKind::Spend, amount.minor(), remaining, counterpart))
    }
    /// Drafts the card's last event: the holder gives it back to its provider, with all that remains. What waits to be taken
    /// up comes first, or it would be lost to the card.
    ///
    /// # Errors
    /// [`CannotSpend`]; nothing has changed.
    pub fn surrender(&self, provider: PartyId) -> Result<Advance, CannotSpend> {
        if self.state != PurseState::Active {
            return Err(CannotSpend::NotActive);
        }
        if !self.waiting.is_empty() {
            return Err(CannotSpend::TooManyRaises);
        }
        self.registered()?;
        self.is_free()?;
        let mut advance = self.advance(EventKind::Surrender, self.remaining, 0, &Counterpart::Provider(provider));
        advance.purse.state = PurseState::Ended;
        Ok(advance)
    }
    /// A session is one event of the chain that has not ended: nothing follows it yet.
    fn is_free(&self) -> Result<(), CannotSpend> {
        if self.is_in_session() { Err(CannotSpend::InSession) } else { Ok(()) }
    }
    fn registered(&self) -> Result<(), CannotSpend> {
        if self.hops().is_empty() { Ok(()) } else { Err(CannotSpend::Unregistered) }
    }
    /// Drafts the card's last event here: it is handed over, whole, and this copy is dead (R12).
    ///
    /// # Errors
    /// [`CannotSpend`]; nothing has changed.
    pub fn hand_over(&self, handover: Handover) -> Result<Advance, CannotSpend> {
        self.end(EventKind::Transfer, &Counterpart::Transfer(handover))
    }
    /// Drafts the card's last event here: it is locked to the provider, who gives it to whoever shows the number that it makes.
    ///
    /// # Errors
    /// [`CannotSpend`]; nothing has changed.
    pub fn lock(&self, provider: PartyId, used: u64, at: Time) -> Result<Advance, CannotSpend> {
        self.registered()?;
        self.end(EventKind::Lock, &Counterpart::Gift { provider, used, at })
    }
    fn end(&self, kind: EventKind, counterpart: &Counterpart<'_>) -> Result<Advance, CannotSpend> {
        if self.state != PurseState::Active {
            return Err(CannotSpend::NotActive);
        }
        if !self.waiting.is_empty() {
            return Err(CannotSpend::TooManyRaises);
        }
        self.is_free()?;
        let mut advance = self.advance(kind, self.remaining, 0, counterpart);
        advance.purse.state = PurseState::Ended;
        Ok(advance)
    }
    /// Keeps a raise until it can be taken up. Keeping it twice changes nothing.
    pub fn keep(&mut self, raise: Raise) {
        if !holds(&self.waiting, &raise) && !holds(&self.raises, &raise) {
            self.waiting.push(raise);
        }
    }
    /// Drafts the event that takes up a raise whose authority has been checked. `amount`: what it returns or adds, see
    /// [`Raise::amount`].
    ///
    /// # Errors
    /// [`CannotSpend::Repeated`], [`CannotSpend::TooManyRaises`] and others; nothing has changed.
    pub fn take_up(&self, raise: &Raise, amount: Amount) -> Result<Advance, CannotSpend> {
        if self.state != PurseState::Active {
            return Err(CannotSpend::NotActive);
        }
        self.is_free()?;
        if holds(&self.raises, raise) || raise.load_number().is_some_and(|number| number <= self.last_load) {
            return Err(CannotSpend::Repeated);
        }
        if raise.load_number().is_some_and(|number| number > self.last_load + 1) {
            return Err(CannotSpend::LoadMissing);
        }
        if self.raises.len() >= MAX_RAISES {
            return Err(CannotSpend::TooManyRaises);
        }
        if amount.unit() != self.said().face.unit() {
            return Err(CannotSpend::OtherUnit);
        }
        let remaining = self.remaining.checked_add(amount.minor()).ok_or(CannotSpend::Overflow)?;
        let kind = if raise.load_number().is_some() { EventKind::Load } else { EventKind::CreditBack };
        let mut advance = self.advance(kind, amount.minor(), remaining, &Counterpart::Raise(raise.hash()));
        let taken = raise.hash();
        advance.purse.waiting.retain(|waiting| waiting.hash() != taken);
        advance.purse.raises.push(raise.clone());
        advance.purse.last_load = raise.load_number().unwrap_or(self.last_load);
        Ok(advance)
    }
    /// Takes a newer checkpoint of the same generation: its raises need not travel any longer. `covered` is the number
    /// of events the checkpoint contains; raises taken up later stay.
    pub fn renew(&mut self, checkpoint: Signed<CardCertificate>) {
        let said = checkpoint.claimed();
        if said.seq >= self.seq {
            self.raises.clear();
        } else {
            let last_load = said.last_load;
            self.raises.retain(|raise| raise.load_number().is_none_or(|number| number > last_load));
        }
        self.certificate = checkpoint;
    }
}

/// What a terminal judges: a check by a card whose certificate and signatures have been verified (R6).
///
/// # Errors
/// [`CannotSpend`]: the wallet should have known; it is at fault, or older than its terms.
pub fn accept_check(
    certificate: &CardCertificate,
    terms: &Terms,
    raises: &[Raise],
    check: &CardEvent,
    charged: Amount,
    now: Time,
) -> Result<(), CannotSpend> {
    if check.event != EventKind::Spend || check.tick.is_some() || check.amount != charged.minor() {
        return Err(CannotSpend::Overflow);
    }
    if charged.is_zero() {
        return Err(CannotSpend::Zero);
    }
    if check.seq <= certificate.seq {
        return Err(CannotSpend::Repeated);
    }
    if raises.len() > MAX_RAISES {
        return Err(CannotSpend::TooManyRaises);
    }
    within_bounds(certificate, terms, raises, charged, check.remaining, now)
}
