//! One is kept for a wallet: never more than there are, given back when it expires, is given up, or is not paid.

use super::deliver::{refused, told};
use super::{end, waiting};
use crate::credit::trusted;
use crate::desk::{Desk, Failure};
use crate::install::sales_go_on;
use tegata_core::step::Break;
use tegata_core::talk::buy::{Cancel, Listing, PurchaseRefusal, PurchaseState, Reserve};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{EventId, Time};
use tegata_store::{PurchaseRow, StoreError, Wish};

/// How long a reservation holds, in seconds: time enough to read and agree.
pub(super) const HELD: u64 = 10 * 60;
/// How many unpaid reservations a wallet may have at once.
pub(super) const MOST: u64 = 10;
/// How many expired reservations are ended in one round.
const ROUND: u64 = 256;

/// Keeps one.
pub(crate) fn reserve(desk: &mut Desk<'_>, request: &Verified<Reserve>) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    if let Some(row) = desk.store.purchase(request.wallet, request.purchase)? {
        return match super::reference(desk, &row)? == hash {
            true => told(desk, &hash, &row),
            false => Ok(refused(desk, &hash, request.purchase, PurchaseRefusal::Repeated)),
        };
    }
    if let Some(wish) = desk.store.wish(request.wallet, request.purchase)? {
        return match wish.hash == hash {
            true => waiting::stands(desk, &hash, &wish),
            false => Ok(refused(desk, &hash, request.purchase, PurchaseRefusal::Repeated)),
        };
    }
    // Who is restored from a backup may have sold the last one already (R15).
    sales_go_on(desk)?;
    let kept = match objection(desk, request)? {
        Some(why) => Err(why),
        None => keep(desk, request, desk.now.after(HELD))?,
    };
    match kept {
        Ok(row) => told(desk, &hash, &row),
        Err(why) => Ok(refused(desk, &hash, request.purchase, why)),
    }
}

/// Keeps one until then, with its seat.
pub(super) fn keep(
    desk: &mut Desk<'_>,
    request: &Verified<Reserve>,
    expires: Time,
) -> Result<Result<PurchaseRow, PurchaseRefusal>, Failure> {
    let seat = match seat(desk, request)? {
        Ok(seat) => seat,
        Err(why) => return Ok(Err(why)),
    };
    let hash = request.hash();
    let article = desk.store.article(request.issuer, request.article)?.ok_or(StoreError::Damaged)?;
    let counted = u64::from(!desk.shared.broken.has(Break::StockNotCounted));
    desk.store.set_taken(request.issuer, request.article, article.taken + counted)?;
    let row = PurchaseRow {
        wallet: request.wallet,
        number: request.purchase,
        state: PurchaseState::Reserved,
        why: None,
        issuer: request.issuer,
        article: request.article,
        revision: request.revision,
        expires,
        option: None,
        authorization: None,
        clear: None,
        void: None,
        card: request.card,
        load: None,
        clearing: None,
        captured: None,
        at: desk.now,
        ended: None,
        seat: seat.map(|(_, seat)| seat),
    };
    if let Some((event, seat)) = seat {
        desk.store.take_seat(event, seat, (row.wallet, row.number))?;
    }
    desk.keep_purchase(&row)?;
    let key = (row.wallet, row.number);
    desk.store.put_purchase_record(key, tegata_store::Signed::Reserve, &hash, &request.signed().encode())?;
    Ok(Ok(row))
}

/// Why this cannot be reserved.
pub(super) fn objection(desk: &mut Desk<'_>, request: &Reserve) -> Result<Option<PurchaseRefusal>, Failure> {
    let Some(article) = desk.store.article(request.issuer, request.article)? else {
        return Ok(Some(PurchaseRefusal::NoArticle));
    };
    let said = Signed::<Listing>::decode(&article.body).map_err(|_| StoreError::Damaged)?.claimed().clone();
    let account = |subject| -> Result<bool, Failure> {
        Ok(desk.store.clearing_account(subject)?.is_some_and(|account| account.account.is_some()))
    };
    let why = if trusted(desk)?.is_none() {
        PurchaseRefusal::NoProcessor
    } else if request.revision != article.revision {
        PurchaseRefusal::Changed
    } else if desk.now >= said.until || said.stock == 0 || crate::enter::is_replaced(desk, &said.terms)? {
        PurchaseRefusal::NoArticle
    } else if !account(request.wallet.0)? {
        PurchaseRefusal::NoCard
    } else if !account(request.issuer.0)? {
        PurchaseRefusal::NoIssuer
    } else if desk.store.reservations_of(request.wallet)? >= MOST {
        PurchaseRefusal::TooMany
    } else if request.key.is_some() == request.card.is_some() {
        PurchaseRefusal::Key
    } else if let Some(card) = request.card
        && !super::deliver::has_room(desk, request.wallet, card, &said)?
    {
        PurchaseRefusal::Card
    // Whoever waits comes first.
    } else if article.taken >= said.stock || desk.store.first_waiting(request.issuer, request.article)?.is_some() {
        PurchaseRefusal::SoldOut
    } else {
        return Ok(None);
    };
    Ok(Some(why))
}

/// The seat that this reservation takes: the one that is wanted, or the first that is free. `None`: the article has no numbered
/// seats.
fn seat(desk: &Desk<'_>, request: &Reserve) -> Result<Result<Option<(EventId, u64)>, PurchaseRefusal>, Failure> {
    let article = desk.store.article(request.issuer, request.article)?.ok_or(StoreError::Damaged)?;
    let said = Signed::<Listing>::decode(&article.body).map_err(|_| StoreError::Damaged)?;
    let Some(ticket) = &said.claimed().terms.ticket else {
        return Ok(if request.seat.is_some() { Err(PurchaseRefusal::Seat) } else { Ok(None) });
    };
    let (event, article) = (ticket.event, request.article);
    if !desk.store.has_seats(event, article)? {
        return Ok(if request.seat.is_some() { Err(PurchaseRefusal::Seat) } else { Ok(None) });
    }
    let found = match request.seat {
        Some(wanted) if desk.store.is_free_seat(event, article, wanted)? => Ok(wanted),
        Some(_) => Err(PurchaseRefusal::Seat),
        None => desk.store.first_free_seat(event, article)?.ok_or(PurchaseRefusal::SoldOut),
    };
    Ok(found.map(|seat| Some((event, seat))))
}

/// The wallet gives up what it has reserved. What is paid is not undone by this: it is told how that stands.
pub(crate) fn cancel(desk: &mut Desk<'_>, request: &Verified<Cancel>) -> Result<Vec<u8>, Failure> {
    let Some(mut row) = desk.store.purchase(request.wallet, request.purchase)? else {
        let wish = desk.store.wish(request.wallet, request.purchase)?.ok_or(ProviderRefusal::Unknown)?;
        desk.store.set_wish(wish.number, Wish::Over, None)?;
        return Ok(refused(desk, &request.hash(), request.purchase, PurchaseRefusal::Cancelled));
    };
    if row.state == PurchaseState::Reserved {
        end(desk, &mut row, PurchaseState::Refused, PurchaseRefusal::Cancelled)?;
    }
    told(desk, &request.hash(), &row)
}

/// Whether a reservation has run out. One whose authorization was asked for does not any more (R23).
pub(super) fn expired(row: &PurchaseRow, now: Time) -> bool {
    row.state == PurchaseState::Reserved && now >= row.expires
}

/// Ends reservations that ran out.
pub(crate) fn overdue(desk: &mut Desk<'_>) -> Result<(), Failure> {
    for mut row in desk.store.reservations_expired(desk.now, ROUND)? {
        end(desk, &mut row, PurchaseState::Refused, PurchaseRefusal::Expired)?;
    }
    Ok(())
}
