//! The promoter's side of a change: what it says about an event is signed and stored all at once, before the first of it is sent. The
//! articles that sell the old terms sell the new ones first, then the change is sent; said again, the same bytes go out, so that whoever
//! was cut off goes on (flow 15). `finish.rs` does that for what was cut off before.

use crate::event::next;
use crate::issuer::{Issuer, IssuerError};
use std::collections::HashSet;
use tegata_core::card::Terms;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::buy::Listing;
use tegata_core::talk::cards::Done;
use tegata_core::talk::event::{Change, EventPlan, SeatMove};
use tegata_core::talk::report::{ProviderRefusal, Refused, ReportKind};
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{EventId, Handle, Time};
use tegata_device::{Now, Post, RequestError};
use tegata_vault::{Found, Vault, VaultError};

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

/// One of the changes of an event that are said together.
#[derive(Clone, Debug)]
pub struct Replacing {
    /// The terms that are replaced.
    pub before: Terms,
    /// The terms that replace them; absent: cancelled, everyone is paid back.
    pub after: Option<Terms>,
    /// The seats that are moved, by the numbers that they have. Nothing of these terms may be on sale meanwhile.
    pub moves: Option<Vec<SeatMove>>,
}

fn key(event: EventId, before: Handle) -> RecordKey {
    RecordKey::new(Space::Event, [b"change".as_slice(), &event.0, &before.0].concat())
}

/// What sold these terms before the change, an article after this; absent: all of them.
fn sold_key(event: EventId, before: Handle, article: Option<u64>) -> RecordKey {
    let article = article.map(u64::to_be_bytes);
    RecordKey::new(
        Space::Event,
        [b"sold".as_slice(), &event.0, &before.0, article.as_ref().map_or(&[], |it| it)].concat(),
    )
}

/// Whether tickets of these terms let nobody in any more: whoever took one for another would have nothing.
fn is_past(terms: &Terms, now: Time) -> bool {
    terms.ticket.as_ref().is_some_and(|ticket| ticket.until <= now)
}

/// What the provider said, where it said no for good: it was never said, and can be said otherwise.
pub(crate) fn refusal(error: &IssuerError) -> Option<&Refused> {
    match error {
        IssuerError::Request(RequestError::Refused(refused)) if !refused.why.is_transient() => Some(refused),
        _ => None,
    }
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
    ) -> Result<(), IssuerError> {
        self.change_all(post, &[Replacing { before: before.clone(), after, moves: None }], &wording, now)
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
    ) -> Result<(), IssuerError> {
        let one = Replacing { before: before.clone(), after: Some(after), moves: Some(moves) };
        self.change_all(post, &[one], &wording, now)
    }

    /// Several such changes, in this order: all are judged and stored before the first is sent. Where one is refused for good, those after
    /// it are not said.
    ///
    /// # Errors
    /// Those of [`Self::move_seats`].
    pub fn change_all(
        &mut self,
        post: &mut dyn Post,
        all: &[Replacing],
        wording: &Wording,
        now: Now,
    ) -> Result<(), IssuerError> {
        let (mut now, mut record, mut changes) = (now, Batch::default(), Vec::new());
        for one in all {
            let stored = self.stored_change(one)?;
            let is_new = stored.is_none();
            let change = stored.map_or_else(|| self.sign_change(one, wording, now.time), Ok)?;
            if is_new {
                record.replace(key(change.claimed().event, change.claimed().before), None, change.encode());
                self.note_sold(change.claimed(), &mut record)?;
            }
            changes.push((change, is_new));
        }
        if !record.writes.is_empty() {
            self.device.vault.commit(&record)?;
        }
        for (at, (change, _)) in changes.iter().enumerate() {
            let Some(refused) = self.say(post, change, &[], &mut now)? else { continue };
            let unsaid = changes.iter().skip(at + 1).filter(|(_, is_new)| *is_new);
            self.forget(std::iter::once(change).chain(unsaid.map(|(change, _)| change)))?;
            return Err(RequestError::Refused(refused).into());
        }
        Ok(())
    }

    /// What was signed about these tickets before, if it says the same.
    fn stored_change(&self, one: &Replacing) -> Result<Option<Signed<Change>>, IssuerError> {
        let event = one.before.ticket.as_ref().ok_or(IssuerError::NoTickets)?.event;
        let stored = self.device.vault.get(&key(event, one.before.handle()))?;
        let stored =
            stored.map(|bytes| Signed::<Change>::decode(&bytes).map_err(|_| VaultError::Damaged)).transpose()?;
        let handle = |terms: &Option<Terms>| terms.as_ref().map(Terms::handle);
        let same = |said: &Change| handle(&said.after) == handle(&one.after) && said.moves == one.moves;
        match stored {
            Some(signed) if !same(signed.claimed()) => Err(IssuerError::OtherChange(one.before.name.clone())),
            stored => Ok(stored),
        }
    }

    fn sign_change(&self, one: &Replacing, wording: &Wording, at: Time) -> Result<Signed<Change>, IssuerError> {
        let event = one.before.ticket.as_ref().ok_or(IssuerError::NoTickets)?.event;
        if let (Some(_), Some(after)) = (&one.moves, &one.after) {
            self.off_sale(&one.before, after)?;
        }
        if one.after.as_ref().is_some_and(|after| is_past(after, at)) {
            return Err(IssuerError::Past(one.before.name.clone()));
        }
        let body = Change {
            promoter: self.party()?,
            event,
            before: one.before.handle(),
            after: one.after.clone(),
            text: wording.text.clone(),
            answer_until: wording.answer_until,
            silence_refunds: wording.silence_refunds,
            at,
            moves: one.moves.clone(),
            extensions: Default::default(),
        };
        Ok(self.device.signed(body)?)
    }

    /// Sends what was signed; first what sells the new terms. `later` are terms that follow on those. Gives why the provider has refused the
    /// change for good: what sold the old terms before sells them again then.
    pub(crate) fn say(
        &mut self,
        post: &mut dyn Post,
        change: &Signed<Change>,
        later: &[Handle],
        now: &mut Now,
    ) -> Result<Option<Refused>, IssuerError> {
        let before = self.sold_before(change.claimed())?;
        // A listing that is refused is no word on the change, which may have been said before: the provider's own word ends that.
        let unlisted = match self.resell(post, change.claimed(), later, now) {
            Ok(()) => None,
            Err(error) => Some(refusal(&error).cloned().ok_or(error)?),
        };
        let refused = match self.device.request::<Change, Done>(post, change, next(now)) {
            Ok(_) => {
                let mut record = Batch::default();
                self.forget_sold(change.claimed(), &mut record)?;
                if !record.writes.is_empty() {
                    self.device.vault.commit(&record)?;
                }
                return Ok(None);
            }
            Err(RequestError::Refused(refused)) if !refused.why.is_transient() => refused,
            Err(error) => return Err(error.into()),
        };
        for old in before {
            let newest = self.listing(old.article)?.map_or(0, |one| one.claimed().revision);
            if newest > old.revision {
                let at = next(now);
                match self.revise(post, Listing { revision: newest + 1, at: at.time, ..old }, at) {
                    // Another device of the promoter has listed it since.
                    Err(error) if refusal(&error).is_some_and(|it| it.why == ProviderRefusal::Repeated) => {}
                    done => drop(done?),
                }
            }
        }
        Ok(Some(unlisted.unwrap_or(refused)))
    }

    /// These were never said.
    pub(crate) fn forget<'a>(&mut self, changes: impl Iterator<Item = &'a Signed<Change>>) -> Result<(), IssuerError> {
        let mut record = Batch::default();
        for change in changes {
            record.remove(key(change.claimed().event, change.claimed().before));
            self.forget_sold(change.claimed(), &mut record)?;
        }
        Ok(self.device.vault.commit(&record)?)
    }

    /// Notes what sells the terms that are replaced, until it is known what became of that.
    fn note_sold(&self, change: &Change, record: &mut Batch) -> Result<(), IssuerError> {
        for listed in self.listings()?.iter().filter(|listed| listed.terms.handle() == change.before) {
            if let Some(signed) = self.listing(listed.article)? {
                record.put(sold_key(change.event, change.before, Some(listed.article)), signed.encode());
            }
        }
        Ok(())
    }
    fn noted_sold(&self, change: &Change) -> Result<Vec<Found>, IssuerError> {
        let all = sold_key(change.event, change.before, None).name;
        let found = self.device.vault.scan(Space::Event, &all, usize::MAX)?;
        Ok(found.into_iter().take_while(|(name, _)| name.starts_with(&all)).collect())
    }
    fn forget_sold(&self, change: &Change, record: &mut Batch) -> Result<(), IssuerError> {
        let noted = self.noted_sold(change)?.into_iter();
        noted.for_each(|(name, _)| record.remove(RecordKey::new(Space::Event, name)));
        Ok(())
    }
    /// What each article sold before this change, also where it has been listed anew for it by somebody who was cut off since.
    fn sold_before(&self, change: &Change) -> Result<Vec<Listing>, IssuerError> {
        let mut sold = self.listings()?;
        for (_, bytes) in self.noted_sold(change)? {
            let noted = Signed::<Listing>::decode(&bytes).map_err(|_| VaultError::Damaged)?.claimed().clone();
            sold.iter_mut().filter(|listed| listed.article == noted.article).for_each(|listed| *listed = noted.clone());
        }
        Ok(sold)
    }

    /// Whether nobody can buy a seat while these terms are replaced.
    fn off_sale(&self, before: &Terms, after: &Terms) -> Result<(), IssuerError> {
        let handles = [before.handle(), after.handle()];
        let sold = self.listings()?.into_iter();
        match sold.filter(|listed| listed.stock > 0).find(|listed| handles.contains(&listed.terms.handle())) {
            Some(listed) => Err(IssuerError::OnSale(listed.article, listed.terms.name)),
            None => Ok(()),
        }
    }

    /// All changes that this device has signed, and that were not refused for good.
    pub(crate) fn signed_changes(&self) -> Result<Vec<Signed<Change>>, IssuerError> {
        let found = self.device.vault.scan(Space::Event, b"change", usize::MAX)?;
        Ok(found.iter().filter_map(|(_, bytes)| Signed::decode(bytes).ok()).collect())
    }

    /// The plan without the seats that changes have left empty, which are not sold any more.
    pub(crate) fn open_plan(&self, plan: &EventPlan) -> Result<EventPlan, IssuerError> {
        let (mut left, mut onto) = (HashSet::new(), HashSet::new());
        for change in self.signed_changes()?.iter().filter(|change| change.claimed().event == plan.event) {
            left.extend(change.claimed().moves().iter().map(|one| one.from));
            onto.extend(change.claimed().moves().iter().map(|one| one.to));
        }
        let mut open = plan.clone();
        open.seats.retain(|seat| !left.contains(&seat.seat) || onto.contains(&seat.seat));
        Ok(open)
    }

    /// The seats that changes of this event move into these terms: from which to which, by number.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn moved_into(&self, event: EventId, after: Handle) -> Result<HashSet<(u64, u64)>, IssuerError> {
        let signed = self.signed_changes()?;
        let leads = |change: &&Signed<Change>| {
            change.claimed().event == event && change.claimed().after.as_ref().map(Terms::handle) == Some(after)
        };
        let moves = signed.iter().filter(leads).flat_map(|change| change.claimed().moves());
        Ok(moves.map(|one| (one.from, one.to)).collect())
    }

    /// What sold the old terms, or such as follow on the new ones, sells the new ones.
    fn resell(
        &mut self,
        post: &mut dyn Post,
        change: &Change,
        later: &[Handle],
        now: &mut Now,
    ) -> Result<(), IssuerError> {
        let Some(after) = &change.after else {
            return Ok(());
        };
        for listed in self.listings()? {
            let handle = listed.terms.handle();
            if handle == after.handle() {
                // Stored, and perhaps not sent.
                self.relist(post, listed.article, next(now))?;
            } else if handle == change.before || later.contains(&handle) {
                let now = next(now);
                let ends = |terms: &Terms| terms.ticket.as_ref().map(|ticket| ticket.until);
                // What was sold to the end of its admission is sold to the end of the new one.
                let to_the_end = ends(&listed.terms) == Some(listed.until);
                let until = ends(after).filter(|_| to_the_end).unwrap_or(listed.until);
                let body =
                    Listing { revision: listed.revision + 1, terms: after.clone(), until, at: now.time, ..listed };
                self.revise(post, body, now)?;
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
        let mut signed = self.signed_changes()?.into_iter();
        let change = signed.find(|change| change.hash(&[]).to_string() == named).ok_or(IssuerError::NoTickets)?;
        let _: Verified<Done> = self.device.request(post, &change, now)?;
        Ok(())
    }
}
