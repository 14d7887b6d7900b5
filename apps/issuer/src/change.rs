//! The promoter's side of a change: the articles that sell the old terms sell the new ones first, then the change is signed, stored
//! and sent; said again, the same bytes go out, so that whoever was cut off goes on (flow 15).

use crate::issuer::{Issuer, IssuerError};
use std::collections::HashSet;
use tegata_core::card::Terms;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::buy::Listing;
use tegata_core::talk::cards::Done;
use tegata_core::talk::event::{Change, EventPlan, SeatMove};
use tegata_core::talk::report::ReportKind;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{EventId, Handle, Hash, Time};
use tegata_device::{Now, Post, RequestError};
use tegata_vault::{Vault, VaultError};

/// What holders are told, and what they may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// What people read.
    pub text: String,
    /// Until when they may answer.
    pub answer_until: Time,
    /// Whether who says nothing is paid back.
    pub silence_refunds: bool,
}

fn key(event: EventId, before: Handle) -> RecordKey {
    RecordKey::new(Space::Event, [b"change".as_slice(), &event.0, &before.0].concat())
}

/// Whether tickets of these terms let nobody in any more: whoever took one for another would have nothing.
fn is_past(terms: &Terms, now: Time) -> bool {
    terms.ticket.as_ref().is_some_and(|ticket| ticket.until <= now)
}

impl<V: Vault> Issuer<V> {
    /// Replaces the tickets under these terms by tickets under others, or cancels them (`after` is absent): everyone is paid back.
    /// Called again after it was cut off, it goes on with what was signed first.
    ///
    /// # Errors
    /// [`IssuerError::Past`], [`IssuerError::OtherChange`] and others.
    pub fn change(
        &mut self,
        post: &mut dyn Post,
        before: &Terms,
        after: Option<Terms>,
        wording: Wording,
        now: Now,
    ) -> Result<Change, IssuerError> {
        self.replace(post, before, (after, None), wording, now)
    }

    /// The same, and moves seats, by the numbers that they have. Nothing of these terms may be on sale meanwhile.
    ///
    /// # Errors
    /// [`IssuerError::OnSale`], and those of [`Self::change`].
    pub fn move_seats(
        &mut self,
        post: &mut dyn Post,
        before: &Terms,
        (after, moves): (Terms, Vec<SeatMove>),
        wording: Wording,
        now: Now,
    ) -> Result<Change, IssuerError> {
        self.replace(post, before, (Some(after), Some(moves)), wording, now)
    }

    /// Whether nobody can buy a seat while these terms are replaced.
    ///
    /// # Errors
    /// [`IssuerError::OnSale`].
    pub fn off_sale(&self, before: &Terms, after: &Terms) -> Result<(), IssuerError> {
        let handles = [before.handle(), after.handle()];
        let sold = self.listings()?.into_iter();
        match sold.filter(|listed| listed.stock > 0).find(|listed| handles.contains(&listed.terms.handle())) {
            Some(listed) => Err(IssuerError::OnSale(listed.article, listed.terms.name)),
            None => Ok(()),
        }
    }

    /// The plan without the seats that changes have left empty, which are not sold any more.
    pub(crate) fn open_plan(&self, plan: &EventPlan) -> Result<EventPlan, IssuerError> {
        let found = self.device.vault.scan(Space::Event, b"change", usize::MAX)?;
        let signed = found.iter().filter_map(|(_, bytes)| Signed::<Change>::decode(bytes).ok());
        let (mut left, mut onto) = (HashSet::new(), HashSet::new());
        for change in signed.filter(|change| change.claimed().event == plan.event) {
            left.extend(change.claimed().moves().iter().map(|one| one.from));
            onto.extend(change.claimed().moves().iter().map(|one| one.to));
        }
        let mut open = plan.clone();
        open.seats.retain(|seat| !left.contains(&seat.seat) || onto.contains(&seat.seat));
        Ok(open)
    }

    fn replace(
        &mut self,
        post: &mut dyn Post,
        before: &Terms,
        (after, moves): (Option<Terms>, Option<Vec<SeatMove>>),
        wording: Wording,
        now: Now,
    ) -> Result<Change, IssuerError> {
        let event = before.ticket.as_ref().ok_or(IssuerError::NoTickets)?.event;
        let key = key(event, before.handle());
        let mut now = now;
        let mut next = move || {
            now.entropy = Hash::of(&now.entropy).0;
            now
        };
        let stored = self.device.vault.get(&key)?;
        let stored =
            stored.map(|bytes| Signed::<Change>::decode(&bytes).map_err(|_| VaultError::Damaged)).transpose()?;
        if let (None, Some(_), Some(after)) = (&stored, &moves, &after) {
            self.off_sale(before, after)?;
        }
        let handle = |terms: &Option<Terms>| terms.as_ref().map(Terms::handle);
        let change = match stored {
            Some(signed) if handle(&signed.claimed().after) != handle(&after) || signed.claimed().moves != moves => {
                return Err(IssuerError::OtherChange(before.name.clone()));
            }
            Some(signed) => signed,
            None if after.as_ref().is_some_and(|after| is_past(after, now.time)) => {
                return Err(IssuerError::Past(before.name.clone()));
            }
            None => {
                let Wording { text, answer_until, silence_refunds } = wording;
                let body = Change {
                    promoter: self.party()?,
                    event,
                    before: before.handle(),
                    after,
                    text,
                    answer_until,
                    silence_refunds,
                    at: now.time,
                    moves,
                    extensions: Default::default(),
                };
                let signed = self.device.signed(body)?;
                let mut record = Batch::default();
                record.replace(key.clone(), None, signed.encode());
                self.device.vault.commit(&record)?;
                signed
            }
        };
        let sent = self.resell(post, change.claimed(), &mut next);
        let sent = sent.and_then(|()| Ok(self.device.request::<Change, Done>(post, &change, next())?));
        match sent {
            // Refused for good: it was never said, and can be said otherwise.
            Err(IssuerError::Request(RequestError::Refused(refused))) if !refused.why.is_transient() => {
                let mut record = Batch::default();
                record.remove(key);
                self.device.vault.commit(&record)?;
                Err(RequestError::Refused(refused).into())
            }
            sent => sent.map(|_| change.claimed().clone()),
        }
    }

    /// What sold the old terms sells the new ones.
    fn resell(
        &mut self,
        post: &mut dyn Post,
        change: &Change,
        next: &mut impl FnMut() -> Now,
    ) -> Result<(), IssuerError> {
        let Some(after) = &change.after else {
            return Ok(());
        };
        for listed in self.listings()? {
            if listed.terms.handle() == change.before {
                let now = next();
                let ends = |terms: &Terms| terms.ticket.as_ref().map(|ticket| ticket.until);
                // What was sold to the end of its admission is sold to the end of the new one.
                let to_the_end = ends(&listed.terms) == Some(listed.until);
                let until = ends(after).filter(|_| to_the_end).unwrap_or(listed.until);
                let body =
                    Listing { revision: listed.revision + 1, terms: after.clone(), until, at: now.time, ..listed };
                self.revise(post, body, now)?;
            } else if listed.terms.handle() == after.handle() {
                // Stored, and perhaps not sent.
                self.relist(post, listed.article, next())?;
            }
        }
        Ok(())
    }

    /// Whether the tickets of these terms are cancelled, as far as this device has signed that.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn is_called_off(&self, terms: &Terms) -> Result<bool, IssuerError> {
        let Some(ticket) = &terms.ticket else {
            return Ok(false);
        };
        let stored = self.device.vault.get(&key(ticket.event, terms.handle()))?;
        let signed =
            stored.map(|bytes| Signed::<Change>::decode(&bytes).map_err(|_| VaultError::Damaged)).transpose()?;
        Ok(signed.is_some_and(|signed| signed.claimed().after.is_none()))
    }

    /// What a change would concern, and how far each has come, as JSON.
    ///
    /// # Errors
    /// [`IssuerError::Request`].
    pub fn changes(&mut self, post: &mut dyn Post, now: Now) -> Result<String, IssuerError> {
        Ok(self.device.report(post, ReportKind::Changes, (Time(0), Time::END), now)?)
    }

    /// Sends the change of this hash again: tickets that failed have another turn.
    ///
    /// # Errors
    /// [`IssuerError::NoTickets`] where none was signed here, and others.
    pub fn change_again(&mut self, post: &mut dyn Post, named: &str, now: Now) -> Result<(), IssuerError> {
        let found = self.device.vault.scan(Space::Event, b"change", usize::MAX)?;
        let mut signed = found.iter().filter_map(|(_, bytes)| Signed::<Change>::decode(bytes).ok());
        let change = signed.find(|change| change.hash(&[]).to_string() == named).ok_or(IssuerError::NoTickets)?;
        let _: Verified<Done> = self.device.request(post, &change, now)?;
        Ok(())
    }
}
