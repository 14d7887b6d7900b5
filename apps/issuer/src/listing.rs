//! What the issuer sells over the network: listings, each stored before it is sent, sent again unchanged until it is taken.

use crate::event::seats_of;
use crate::issuer::{Issuer, IssuerError};
use tegata_core::card::Terms;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::buy::Listing;
use tegata_core::talk::cards::Done;
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, Time};
use tegata_device::{Now, Post, RequestError};
use tegata_vault::{Vault, VaultError};

/// What is to be sold.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The terms of the cards.
    pub terms: Terms,
    /// What is on each card.
    pub face: Amount,
    /// What it costs; a card in money what is on it.
    pub price: Amount,
    /// How many may be sold in all.
    pub stock: u64,
    /// Until when.
    pub until: Time,
    /// Seconds from the sale after which a card ends.
    pub valid_for: u64,
    /// Seconds from the sale until the money is captured; absent: before the card is delivered.
    pub clear_after: Option<u64>,
}

pub(crate) fn key(article: u64) -> RecordKey {
    RecordKey::new(Space::Receipt, [b"article".as_slice(), &article.to_be_bytes()].concat())
}

impl<V: Vault> Issuer<V> {
    /// Lists an article, or a new revision of it.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn list(
        &mut self,
        post: &mut dyn Post,
        article: u64,
        offered: Offered,
        now: Now,
    ) -> Result<Listing, IssuerError> {
        let Offered { terms, face, price, stock, until, valid_for, clear_after } = offered;
        if face.is_zero() || face.unit() != terms.unit || face.minor() > terms.max_balance {
            return Err(IssuerError::Face);
        }
        let before = self.listing(article)?;
        let revision = before.as_ref().map_or(1, |before| before.claimed().revision + 1);
        let listing = Listing {
            issuer: self.party()?,
            article,
            revision,
            terms,
            face,
            price,
            stock,
            until,
            valid_for,
            clear_after,
            at: now.time,
            extensions: Default::default(),
        };
        self.publish(post, before, listing, now)
    }

    /// Changes how many may be sold in all; 0 takes the article off sale. What is sold stays sold.
    ///
    /// # Errors
    /// [`IssuerError::NoArticle`], [`IssuerError::FewerSeats`] and others.
    pub fn restock(&mut self, post: &mut dyn Post, article: u64, stock: u64, now: Now) -> Result<Listing, IssuerError> {
        let before = self.listing(article)?.ok_or(IssuerError::NoArticle(article))?;
        let said = before.claimed().clone();
        if let Some(ticket) = &said.terms.ticket {
            let plan = self.events()?.into_iter().find(|plan| plan.event == ticket.event);
            let plan = plan.map(|plan| self.open_plan(&plan)).transpose()?;
            let seats = plan.map_or(0, |plan| seats_of(&plan, article));
            if (1..stock).contains(&seats) {
                return Err(IssuerError::FewerSeats(article, seats));
            }
        }
        let listing = Listing { revision: said.revision + 1, stock, at: now.time, ..said };
        self.publish(post, Some(before), listing, now)
    }

    /// Lists the next revision of an article as it stands there.
    pub(crate) fn revise(&mut self, post: &mut dyn Post, listing: Listing, now: Now) -> Result<Listing, IssuerError> {
        let before = self.listing(listing.article)?;
        self.publish(post, before, listing, now)
    }

    /// Sends the newest listing of an article again, whose answer was lost.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn relist(&mut self, post: &mut dyn Post, article: u64, now: Now) -> Result<(), IssuerError> {
        let listing = self.listing(article)?.ok_or(IssuerError::NoArticle(article))?;
        let _: Verified<Done> = self.device.request(post, &listing, now)?;
        Ok(())
    }

    fn publish(
        &mut self,
        post: &mut dyn Post,
        before: Option<Signed<Listing>>,
        listing: Listing,
        now: Now,
    ) -> Result<Listing, IssuerError> {
        self.keep_and_send(post, (key(listing.article), before.map(|before| before.encode())), listing, now)
    }

    /// Stores what it signs, then sends it; what is refused for good was never said.
    pub(crate) fn keep_and_send<T: Message + Clone>(
        &mut self,
        post: &mut dyn Post,
        (key, old): (RecordKey, Option<Vec<u8>>),
        body: T,
        now: Now,
    ) -> Result<T, IssuerError> {
        let signed = self.device.signed(body.clone())?;
        let mut record = Batch::default();
        record.replace(key.clone(), old.clone(), signed.encode());
        self.device.vault.commit(&record)?;
        match self.device.request::<T, Done>(post, &signed, now) {
            Err(RequestError::Refused(refused)) if !refused.why.is_transient() => {
                let mut record = Batch::default();
                match old {
                    Some(old) => record.put(key, old),
                    None => record.remove(key),
                }
                self.device.vault.commit(&record)?;
                Err(RequestError::Refused(refused).into())
            }
            sent => Ok(sent.map(|_| body)?),
        }
    }

    pub(crate) fn listing(&self, article: u64) -> Result<Option<Signed<Listing>>, IssuerError> {
        let stored = self.device.vault.get(&key(article))?;
        stored.map(|bytes| Signed::decode(&bytes)).transpose().map_err(|_| VaultError::Damaged.into())
    }

    /// What it sells, by article.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn listings(&self) -> Result<Vec<Listing>, IssuerError> {
        let found = self.device.vault.scan(Space::Receipt, &[], usize::MAX)?;
        Ok(found
            .iter()
            .filter_map(|(_, bytes)| Some(Signed::<Listing>::decode(bytes).ok()?.claimed().clone()))
            .collect())
    }
}
