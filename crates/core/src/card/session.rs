//! A card in a metered session: one event of the chain whose total rises tick by tick, the last one superseding (R1). Both sides
//! compute the same bounds as for a payment (R6).

use super::payment::{Advance, CannotSpend, MAX_RAISES, Purse, PurseState, within_bounds};
use super::{CardCertificate, CardEvent, Counterpart, EventKind, Links, Raise, Terms};
use crate::money::{Amount, Time};
use crate::wire::signed::Unsigned;
use core::num::NonZeroU64;

/// What the holder's side signs next in a session.
#[derive(Clone, Debug)]
pub struct Rise<'a> {
    /// What was signed last; `None`: the session begins.
    pub last: Option<&'a CardEvent>,
    /// The new total, never less than the last.
    pub total: Amount,
    /// It is paid link by link: the total is what all of them come to.
    pub links: Option<Links>,
}

impl Purse {
    /// Whether it is in a session: then it does nothing else.
    pub fn is_in_session(&self) -> bool {
        self.session.is_some()
    }
    /// Drafts the next tick of a session, or its first.
    ///
    /// # Errors
    /// [`CannotSpend`]; nothing has changed.
    pub fn rise(
        &self,
        terms: &Terms,
        rise: &Rise<'_>,
        counterpart: &Counterpart<'_>,
        now: Time,
    ) -> Result<Advance, CannotSpend> {
        if self.state != PurseState::Active {
            return Err(CannotSpend::NotActive);
        }
        if rise.last.is_some() != self.is_in_session() {
            return Err(CannotSpend::InSession);
        }
        // `Purse::remaining` is what is left after the last tick.
        let paid = rise.last.map_or(0, |last| last.amount);
        let more = rise.total.minor().checked_sub(paid).ok_or(CannotSpend::Overflow)?;
        let remaining = self.remaining.checked_sub(more).ok_or(CannotSpend::TooLittle)?;
        within_bounds(self.certificate.claimed(), terms, &self.raises, rise.total, remaining, now)?;
        let (seq, tick, previous) = match rise.last {
            Some(last) => (last.seq, last.tick.map_or(1, |tick| tick.get() + 1), last.previous),
            None => (self.seq + 1, 1, self.head),
        };
        let event = CardEvent {
            event: EventKind::Session,
            seq,
            tick: NonZeroU64::new(tick),
            previous,
            amount: rise.total.minor(),
            remaining,
            links: rise.links.clone(),
            extensions: Default::default(),
        };
        let event = Unsigned::new(event, self.key().algorithm());
        let context = CardEvent::context(self.card(), self.generation(), counterpart);
        let head = event.hash(&context);
        Ok(Advance { purse: Self { seq, head, remaining, ..self.clone() }, event, context })
    }
}

/// Whether one tick can stand beside another of the same session: totals rise with ticks, and what both say was there before is
/// the same (R1).
pub fn agree(one: &CardEvent, other: &CardEvent) -> bool {
    let sessions = one.event == EventKind::Session && other.event == EventKind::Session;
    let before = one.amount.checked_add(one.remaining);
    sessions
        && (one.seq, one.previous) == (other.seq, other.previous)
        && before.is_some()
        && before == other.amount.checked_add(other.remaining)
        && rises_with(one, other)
        && (one.tick != other.tick || one == other)
}

fn rises_with(one: &CardEvent, other: &CardEvent) -> bool {
    let (early, late) = if one.tick <= other.tick { (one, other) } else { (other, one) };
    early.amount <= late.amount
}

/// What a switch judges: a tick by a card whose certificate and signatures have been verified (R6). `last`: what it has stored.
///
/// # Errors
/// [`CannotSpend`]: the wallet should have known; it is at fault, or older than its terms.
pub fn accept_tick(
    certificate: &CardCertificate,
    terms: &Terms,
    raises: &[Raise],
    (last, tick): (Option<&CardEvent>, &CardEvent),
    now: Time,
) -> Result<(), CannotSpend> {
    let Some(total) = Amount::new(terms.unit, tick.amount) else {
        return Err(CannotSpend::Overflow);
    };
    if tick.event != EventKind::Session || tick.tick.is_none() {
        return Err(CannotSpend::Overflow);
    }
    if tick.seq <= certificate.seq || last.is_some_and(|last| !agree(last, tick) || last.tick >= tick.tick) {
        return Err(CannotSpend::Repeated);
    }
    if raises.len() > MAX_RAISES {
        return Err(CannotSpend::TooManyRaises);
    }
    within_bounds(certificate, terms, raises, total, tick.remaining, now)
}
