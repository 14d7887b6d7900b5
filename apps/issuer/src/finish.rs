//! What a promoter has signed and its provider has not taken in, because it was cut off in between or the provider was put back from a
//! backup: brought to its end byte for byte (R26), before anything else is said about the event.

use crate::change::refusal;
use crate::event::next;
use crate::issuer::{Issuer, IssuerError};
use std::collections::HashSet;
use tegata_core::card::Terms;
use tegata_core::talk::event::Change;
use tegata_core::talk::report::Refused;
use tegata_core::wire::signed::Signed;
use tegata_core::{EventId, Handle};
use tegata_device::{Now, Post};
use tegata_vault::Vault;

/// A change that was cut off, and is no more.
#[derive(Clone, Debug)]
pub struct Finished {
    /// As it was signed.
    pub change: Change,
    /// Why the provider does not take it: it was never said, and can be said otherwise. Absent: it is under way.
    pub refused: Option<Refused>,
}

fn after(change: &Signed<Change>) -> Option<Handle> {
    change.claimed().after.as_ref().map(Terms::handle)
}

/// The terms that these changes lead to from there, one after the other.
fn follow(from: Option<Handle>, changes: &[Signed<Change>]) -> Vec<Handle> {
    let mut reached: Vec<Handle> = Vec::new();
    for change in changes {
        let before = change.claimed().before;
        if Some(before) == from || reached.contains(&before) {
            reached.extend(after(change));
        }
    }
    reached
}

impl<V: Vault> Issuer<V> {
    /// The changes of an event, or of all, that this device has signed and that are not `recorded`, by their hashes as the provider's
    /// report names them. In the order in which they can be said: what leads to terms before what replaces them, and what replaces terms
    /// that are listed before what goes where those go.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn unfinished(
        &self,
        event: Option<EventId>,
        recorded: &HashSet<String>,
    ) -> Result<Vec<Signed<Change>>, IssuerError> {
        let mut left = self.signed_changes()?;
        left.retain(|change| event.is_none_or(|event| change.claimed().event == event));
        left.retain(|change| !recorded.contains(&change.hash(&[]).to_string()));
        let listed: HashSet<Handle> = self.listings()?.iter().map(|listed| listed.terms.handle()).collect();
        left.sort_by_key(|change| !listed.contains(&change.claimed().before));
        let mut ordered = Vec::new();
        while !left.is_empty() {
            let waits = |one: &Signed<Change>| left.iter().any(|other| after(other) == Some(one.claimed().before));
            let first = left.iter().position(|one| !waits(one)).unwrap_or(0);
            ordered.push(left.remove(first));
        }
        Ok(ordered)
    }

    /// Sends these again as they were signed, until the provider has said yes or no to each.
    ///
    /// # Errors
    /// Cut off once more: called again, it goes on.
    pub fn finish(
        &mut self,
        post: &mut dyn Post,
        event: Option<EventId>,
        recorded: &HashSet<String>,
        now: Now,
    ) -> Result<Vec<Finished>, IssuerError> {
        let (mut now, mut finished) = (now, Vec::new());
        let changes = self.unfinished(event, recorded)?;
        // A provider that was put back may have forgotten the seats and zones that they name. One that knows a newer plan says no to this.
        let events: HashSet<EventId> = changes.iter().map(|change| change.claimed().event).collect();
        for event in events {
            match self.say_plan(post, event, next(&mut now)) {
                Err(error) if refusal(&error).is_none() => return Err(error),
                _ => {}
            }
        }
        for (at, change) in changes.iter().enumerate() {
            let later = follow(after(change), changes.get(at + 1..).unwrap_or_default());
            let refused = self.say(post, change, &later, &mut now)?;
            if refused.is_some() {
                self.forget(std::iter::once(change))?;
            }
            finished.push(Finished { change: change.claimed().clone(), refused });
        }
        Ok(finished)
    }
}
