//! The card or load itself, and what the wallet is told.

use super::{AGAIN, listing, reference};
use crate::books::Accounts;
use crate::desk::{Desk, Failure, named};
use crate::install::{first_generation, issue_load};
use tegata_core::card::CardCertificate;
use tegata_core::talk::buy::{Listing, PurchaseAnswer, PurchaseRefusal, PurchaseState, Reserve};
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::Signed;
use tegata_core::{CardId, Hash, RequestNumber, Time, WalletId};
use tegata_store::{CardRow, Cause, PurchaseRow, StoreError, TicketRow};

/// Whether this card of this wallet can be topped up by this article.
pub(super) fn has_room(
    desk: &mut Desk<'_>,
    wallet: WalletId,
    card: CardId,
    listing: &Listing,
) -> Result<bool, Failure> {
    let Some(card) = desk.card(card)?.filter(|card| card.wallet == wallet).map(|card| card.clone()) else {
        return Ok(false);
    };
    let accounts = Accounts::of(&card);
    let held = desk.books.balance(desk.store, accounts.held())?;
    // A card that somebody else had to pay for is not loaded until that is settled (R9).
    let covered = desk.books.balance(desk.store, accounts.guarantor())?;
    Ok(covered == 0
        && card.terms == listing.terms.handle()
        && card.blocked.is_none()
        && card.generation > card.dead_generation
        && desk.now < card.until
        && held.saturating_add(listing.face.minor()) <= listing.terms.max_balance)
}

/// Whether what was bought can be delivered now.
pub(super) fn fits(desk: &mut Desk<'_>, row: &PurchaseRow, listing: &Listing) -> Result<bool, Failure> {
    match row.card {
        Some(card) => has_room(desk, row.wallet, card, listing),
        // A ticket of an event that was changed meanwhile is not delivered: what was paid goes back.
        None => Ok(!crate::enter::is_replaced(desk, &listing.terms)?),
    }
}

/// Delivers: from now on the value is the wallet's.
pub(super) fn deliver(desk: &mut Desk<'_>, row: &mut PurchaseRow, listing: &Listing) -> Result<(), Failure> {
    let face = listing.face.minor();
    if let Some(card) = row.card {
        let load = issue_load(desk, card, face, None)?;
        let accounts = Accounts::of(desk.known_card(card)?);
        let posted = (card.0, Cause::Loaded, load.hash(&[]));
        desk.books.post(desk.store, posted, accounts.waiting(), accounts.held(), face)?;
        row.load = Some(load.claimed().number);
        return Ok(desk.keep_purchase(row)?);
    }
    let key = reserved(desk, row)?.key.ok_or(StoreError::Damaged)?;
    let card = CardRow {
        card: CardId(desk.draw_id()),
        wallet: row.wallet,
        issuer: row.issuer,
        unit: listing.face.unit(),
        terms: listing.terms.handle(),
        face,
        until: valid_until(desk, listing),
        generation: 1,
        seq: 0,
        head: Hash::ZERO,
        remaining: face,
        last_load: 0,
        loads: 0,
        held: 0,
        in_flight: 0,
        covered: 0,
        held_back: 0,
        release_at: None,
        blocked: None,
        dead_generation: 0,
        dead_list: 0,
    };
    let (id, accounts) = (card.card, Accounts::of(&card));
    if let Some(ticket) = &listing.terms.ticket {
        let (card, event) = (id, ticket.event);
        desk.store.put_ticket(&TicketRow { card, event, seat: row.seat, used: 0, dead: 0, why: None })?;
    }
    first_generation(desk, card, &listing.terms, key, None)?;
    let posted = (id.0, Cause::Installed, reference(desk, row)?);
    desk.books.post(desk.store, posted, accounts.waiting(), accounts.held(), face)?;
    row.card = Some(id);
    Ok(desk.keep_purchase(row)?)
}

/// A ticket's certificate ends a day after its event's last admission: gates say "too late", not "no ticket".
fn valid_until(desk: &Desk<'_>, listing: &Listing) -> Time {
    match &listing.terms.ticket {
        Some(ticket) => ticket.until.after(Time::DAY),
        None => desk.now.after(listing.valid_for),
    }
}

fn reserved(desk: &Desk<'_>, row: &PurchaseRow) -> Result<Reserve, Failure> {
    Ok(record::<Reserve>(desk, row, tegata_store::Signed::Reserve)?.ok_or(StoreError::Damaged)?.claimed().clone())
}

fn record<T: Message>(
    desk: &Desk<'_>,
    row: &PurchaseRow,
    what: tegata_store::Signed,
) -> Result<Option<Signed<T>>, Failure> {
    let found = desk.store.purchase_record(row.wallet, row.number, what)?;
    Ok(found.map(|(_, body)| Signed::decode(&body)).transpose().map_err(|_| StoreError::Damaged)?)
}

/// How a purchase stands, told to its wallet.
pub(super) fn told(desk: &mut Desk<'_>, request: &Hash, row: &PurchaseRow) -> Result<Vec<u8>, Failure> {
    let listing = listing(desk, row)?;
    let reserved = row.state == PurchaseState::Reserved;
    let waits = matches!(row.state, PurchaseState::Pending | PurchaseState::Issued | PurchaseState::Returning);
    desk.waits_for = waits.then(|| named(row));
    if waits && desk.patient {
        return Ok(Vec::new());
    }
    let mut answer = PurchaseAnswer {
        price: reserved.then_some(listing.price),
        expires: reserved.then_some(row.expires),
        again: waits.then_some(AGAIN),
        // Once it has ended the answer is the same bytes whenever it is asked for (R2).
        at: row.ended.unwrap_or(desk.now),
        why: row.why,
        ..blank(row.number, row.state)
    };
    if let (true, Some(card)) = (row.state.is_delivered(), row.card) {
        match row.load {
            Some(load) => {
                let load = desk.store.load(card, load)?.ok_or(StoreError::Damaged)?;
                answer.load = Some(Signed::decode(&load.body).map_err(|_| StoreError::Damaged)?);
            }
            None => {
                let first = desk.store.generation(card, 1)?.ok_or(StoreError::Damaged)?;
                let first = Signed::<CardCertificate>::decode(&first.body).map_err(|_| StoreError::Damaged)?;
                answer.seat_name = desk.seat_name(&listing.terms, first.claimed())?;
                answer.certificate = Some(first);
                answer.terms = Some(listing.terms);
            }
        }
        answer.temporary = record(desk, row, tegata_store::Signed::Temporary)?;
        answer.receipt = record(desk, row, tegata_store::Signed::Receipt)?;
    }
    Ok(desk.answer(request, |signer| PurchaseAnswer { signer, ..answer }))
}

/// Says no to a request that changes nothing.
pub(super) fn refused(desk: &Desk<'_>, request: &Hash, number: RequestNumber, why: PurchaseRefusal) -> Vec<u8> {
    let at = desk.now;
    desk.answer(request, |signer| PurchaseAnswer {
        why: Some(why),
        at,
        signer,
        ..blank(number, PurchaseState::Refused)
    })
}

/// Tells a wallet that it stands in the list.
pub(super) fn listed(desk: &Desk<'_>, request: &Hash, number: RequestNumber) -> Vec<u8> {
    let at = desk.now;
    desk.answer(request, |signer| PurchaseAnswer { at, signer, ..blank(number, PurchaseState::Listed) })
}

fn blank(purchase: RequestNumber, state: PurchaseState) -> PurchaseAnswer {
    PurchaseAnswer {
        purchase,
        state,
        why: None,
        price: None,
        expires: None,
        again: None,
        certificate: None,
        terms: None,
        load: None,
        temporary: None,
        receipt: None,
        at: Time(0),
        signer: 0,
        seat_name: None,
        extensions: Default::default(),
    }
}
