//! Who waits for what is sold out: when one becomes free it is reserved for whoever is first in the list, and nobody else is sold one
//! before. The wallet hears of it by its next update and has half an hour from then; what it lets go is for the next.

use super::deliver::{listed, refused, told};
use super::reserve::{HELD, MOST, keep, objection};
use crate::desk::{Desk, Failure};
use crate::install::{sales_go_on, waits_to_sell};
use tegata_core::talk::buy::{Kept, Listing, PurchaseRefusal, PurchaseState, Reserve, Wait};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::signed::{Signed, Verified, Verifier};
use tegata_core::{Hash, Time, WalletId};
use tegata_store::{StoreError, WaitingRow, Wish};

/// How long a reservation holds once its wallet has heard of it, in seconds.
const HEARD: u64 = 30 * 60;

/// Puts a wallet in the list, or keeps one for it where one is free.
pub(crate) fn wait(
    desk: &mut Desk<'_>,
    request: &Verified<Wait>,
    reserve: Option<&Verified<Reserve>>,
) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    let reserve = reserve.ok_or(ProviderRefusal::NotAllowed)?;
    let number = reserve.purchase;
    if let Some(row) = desk.store.purchase(request.wallet, number)? {
        return match super::reference(desk, &row)? == reserve.hash() {
            true => told(desk, &hash, &row),
            false => Ok(refused(desk, &hash, number, PurchaseRefusal::Repeated)),
        };
    }
    if let Some(wish) = desk.store.wish(request.wallet, number)? {
        return match wish.hash == reserve.hash() {
            true => stands(desk, &hash, &wish),
            false => Ok(refused(desk, &hash, number, PurchaseRefusal::Repeated)),
        };
    }
    sales_go_on(desk)?;
    // Whoever wants a certain seat asks for that; a card is topped up at once or not.
    if reserve.seat.is_some() || reserve.card.is_some() {
        return Ok(refused(desk, &hash, number, PurchaseRefusal::Seat));
    }
    let full = match objection(desk, reserve)? {
        None => match keep(desk, reserve, desk.now.after(HELD))? {
            Ok(row) => return told(desk, &hash, &row),
            Err(why) => why,
        },
        Some(why) => why,
    };
    let many = desk.store.wishes_of(request.wallet)? >= MOST;
    match full {
        PurchaseRefusal::SoldOut if many => Ok(refused(desk, &hash, number, PurchaseRefusal::TooMany)),
        PurchaseRefusal::SoldOut => {
            desk.store.put_wish(&WaitingRow {
                number: 0,
                wallet: request.wallet,
                purchase: number,
                issuer: reserve.issuer,
                article: reserve.article,
                state: Wish::Waits,
                told: None,
                at: desk.now,
                hash: reserve.hash(),
                body: request.signed().encode(),
            })?;
            Ok(listed(desk, &hash, number))
        }
        why => Ok(refused(desk, &hash, number, why)),
    }
}

/// How a wish stands that has not become a purchase, told to its wallet.
pub(super) fn stands(desk: &Desk<'_>, request: &Hash, wish: &WaitingRow) -> Result<Vec<u8>, Failure> {
    Ok(match wish.state {
        Wish::Waits => listed(desk, request, wish.purchase),
        Wish::Offered | Wish::Over => refused(desk, request, wish.purchase, PurchaseRefusal::NoArticle),
    })
}

/// Reserves what has become free for those who wait.
pub(crate) fn offers(desk: &mut Desk<'_>) -> Result<(), Failure> {
    if waits_to_sell(desk)? {
        return Ok(());
    }
    for (issuer, article) in desk.store.waited_for()? {
        while let Some(wish) = desk.store.first_waiting(issuer, article)? {
            match offered(desk, &wish)? {
                Some(state) => desk.store.set_wish(wish.number, state, None)?,
                None => break,
            }
        }
    }
    Ok(())
}

/// Reserves one for this wish. `None`: there is none yet.
fn offered(desk: &mut Desk<'_>, wish: &WaitingRow) -> Result<Option<Wish>, Failure> {
    let said = Signed::<Wait>::decode(&wish.body).map_err(|_| StoreError::Damaged)?.claimed().reserve.clone();
    let row = desk.store.article(wish.issuer, wish.article)?.ok_or(StoreError::Damaged)?;
    let listing = Signed::<Listing>::decode(&row.body).map_err(|_| StoreError::Damaged)?.claimed().clone();
    let seen = desk.store.listing(wish.issuer, wish.article, said.claimed().revision)?.ok_or(StoreError::Damaged)?.1;
    let seen = Signed::<Listing>::decode(&seen).map_err(|_| StoreError::Damaged)?;
    let same = |seen: &Listing| (&seen.terms, seen.face, seen.price) == (&listing.terms, listing.face, listing.price);
    // At another price nobody has wished for it.
    if !same(seen.claimed())
        || listing.stock == 0
        || desk.now >= listing.until
        || crate::enter::is_replaced(desk, &listing.terms)?
    {
        return Ok(Some(Wish::Over));
    }
    if row.taken >= listing.stock {
        return Ok(None);
    }
    let Some(known) = desk.known(wish.wallet.into()).filter(|known| known.revoked.is_none()) else {
        return Ok(Some(Wish::Over));
    };
    let by: &dyn Verifier = desk.shared.verifier();
    let reserve = said.verify(&known.key, &[], by).map_err(|_| StoreError::Damaged)?;
    // It has until it hears of it, by its next update at the latest when that is due; and half an hour from then.
    let expires = Time(desk.now.after(listing.terms.due_after).0.min(listing.until.0)).0.max(desk.now.after(HELD).0);
    Ok(match keep(desk, &reserve, Time(expires))? {
        Ok(_) => Some(Wish::Offered),
        Err(_) => None,
    })
}

/// Tells a wallet at its update what is reserved for it now.
pub(crate) fn tell(desk: &mut Desk<'_>, wallet: WalletId) -> Result<(), Failure> {
    for wish in desk.store.offers_untold(wallet)? {
        desk.store.set_wish(wish.number, Wish::Offered, Some(desk.now))?;
        let row = desk.store.purchase(wallet, wish.purchase)?;
        let Some(mut row) = row.filter(|row| row.state == PurchaseState::Reserved && desk.now < row.expires) else {
            continue;
        };
        row.expires = desk.now.after(HEARD);
        desk.keep_purchase(&row)?;
        let kept = Kept { purchase: row.number, expires: row.expires, extensions: Default::default() };
        desk.command(wallet, &Command { kept: Some(kept), ..Command::new(CommandKind::Kept) })?;
    }
    Ok(())
}
