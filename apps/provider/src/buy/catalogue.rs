//! What issuers list, and what is left of it.

use crate::cards::{done, equip, keep_terms};
use crate::desk::{Desk, Failure};
use tegata_core::card::CardKind;
use tegata_core::talk::buy::{Article, Catalogue, CatalogueRequest, Listing};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::certificate::Certificate;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, IssuerId, Unit};
use tegata_store::{ArticleRow, StoreError};

/// Keeps an issuer's listing. The same one again changes nothing; an older or another one under the same revision is refused.
pub(crate) fn list(desk: &mut Desk<'_>, request: &Verified<Listing>) -> Result<Vec<u8>, Failure> {
    let (hash, issuer, article, revision) = (request.hash(), request.issuer, request.article, request.revision);
    if let Some((known, _)) = desk.store.listing(issuer, article, revision)? {
        return match known == hash {
            true => Ok(done(desk, &hash, request.at)),
            false => Err(ProviderRefusal::Repeated.into()),
        };
    }
    let before = desk.store.article(issuer, article)?;
    // Revisions between may be missing: a provider put back from a backup has forgotten them (R15).
    if revision <= before.as_ref().map_or(0, |row| row.revision) {
        return Err(ProviderRefusal::Repeated.into());
    }
    let terms = &request.terms;
    let fits = terms.issuer == issuer
        && terms.unit == request.face.unit()
        && is_priced(request)
        && !request.face.is_zero()
        && request.face.minor() <= terms.max_balance
        && terms.max_balance <= Amount::MAX
        && request.valid_for > 0;
    if !fits {
        return Err(ProviderRefusal::Terms.into());
    }
    match &terms.ticket {
        Some(ticket) => {
            let planned = desk.store.planned(ticket.event)?.filter(|row| row.promoter == issuer);
            let planned = planned.ok_or(ProviderRefusal::Terms)?;
            let plan = crate::enter::planned(&planned)?;
            if !ticket.zones.iter().all(|zone| plan.zones.iter().any(|known| known.zone == *zone)) {
                return Err(ProviderRefusal::Terms.into());
            }
            // What a change has replaced does not come back.
            if crate::enter::is_replaced(desk, terms)? {
                return Err(ProviderRefusal::Terms.into());
            }
            keep_terms(desk, issuer, terms)?;
            desk.store.put_event_terms(ticket.event, terms.handle(), None)?;
            desk.store.event_changed(ticket.event)?;
        }
        None => equip(desk, issuer, terms)?,
    }
    let taken = before.map_or(0, |row| row.taken);
    let row = ArticleRow { issuer, article, revision, taken, body: request.signed().encode() };
    desk.store.put_listing(&row, &hash, desk.now)?;
    Ok(done(desk, &hash, request.at))
}

/// What is on a card in money is what it costs: a refund pays back what remains, and never more than was paid. Call units are sold for
/// money, and a part of them is paid back at its share of that (`share.rs`). A ticket lets in, and costs money.
fn is_priced(listing: &Listing) -> bool {
    let terms = &listing.terms;
    match (terms.kind, &terms.ticket) {
        (CardKind::Telephone, None) if terms.unit == Unit::CALL_UNITS => {
            listing.price.unit().is_money() && !listing.price.is_zero()
        }
        (CardKind::Payment | CardKind::Telephone, None) => {
            listing.price == listing.face && listing.face.unit().is_money()
        }
        (CardKind::Ticket, Some(ticket)) => {
            terms.unit == Unit::ENTRIES
                && listing.face.minor() == ticket.entries
                && ticket.from < ticket.until
                && !ticket.zones.is_empty()
                && listing.price.unit().is_money()
                && !listing.price.is_zero()
                // Nothing of it can be spent: it is held whole, or given back.
                && (terms.max_payment, terms.offline_limit) == (0, 0)
        }
        _ => false,
    }
}

/// What is for sale now.
pub(crate) fn catalogue(desk: &mut Desk<'_>, request: &Verified<CatalogueRequest>) -> Result<Vec<u8>, Failure> {
    let mut articles = Vec::new();
    for row in desk.store.articles()? {
        let said = Signed::<Listing>::decode(&row.body).map_err(|_| StoreError::Damaged)?.claimed().clone();
        let left = said.stock.saturating_sub(row.taken);
        // Whoever wants a ticket of what is sold out can wait for one.
        let gone = left == 0 && (said.terms.ticket.is_none() || said.stock == 0);
        if gone || desk.now >= said.until || crate::enter::is_replaced(desk, &said.terms)? {
            continue;
        }
        articles.push(Article {
            issuer: row.issuer,
            issuer_name: name(desk, row.issuer)?,
            article: row.article,
            revision: row.revision,
            terms: said.terms,
            face: said.face,
            price: said.price,
            left,
            until: said.until,
            clear_after: said.clear_after,
            extensions: Default::default(),
        });
    }
    let at = desk.now;
    Ok(desk.answer(&request.hash(), |signer| Catalogue { articles, at, signer, extensions: Default::default() }))
}

/// What an issuer is called, by its certificate.
pub(super) fn name(desk: &Desk<'_>, issuer: IssuerId) -> Result<String, Failure> {
    let row = desk.store.participant(issuer.into())?.ok_or(StoreError::Damaged)?;
    let certificate = Signed::<Certificate>::decode(&row.body).map_err(|_| StoreError::Damaged)?;
    Ok(certificate.claimed().name.clone().unwrap_or_default())
}
