//! A ticket issued anew after its wallet was lost, or an older copy of it was put back which has the ticket's key no more (R14): the
//! operator says so, whoever has the number installs it, in that wallet or another. What was lost is dead, also what may have been given
//! on from it and nobody has told of: whoever found the wallet has nothing by it without the number.

use super::number::{For, hashed, number};
use super::title::next_generation;
use super::{is_convicted, is_open};
use crate::desk::{Desk, Failure};
use crate::error::NotAnew;
use crate::install::reconciling;
use crate::update::block;
use tegata_core::CardId;
use tegata_core::card::{CardCertificate, CardKind};
use tegata_core::talk::cards::{InstallReply, InstallRequest};
use tegata_core::wire::signed::{Signed, Verified};
use tegata_crypto_native::number::InstallationNumber;
use tegata_store::{AnewRow, StoreError};

/// Blocks a lost ticket for good and gives the number by which it is installed again. Asked again, it gives the same number, until the
/// ticket is lost once more.
pub(crate) fn anew(desk: &mut Desk<'_>, id: CardId) -> Result<Result<InstallationNumber, NotAnew>, Failure> {
    if reconciling(desk)? {
        return Ok(Err(NotAnew::Reconciling));
    }
    let Some(card) = desk.card(id)?.map(|card| card.clone()) else {
        return Ok(Err(NotAnew::Unknown));
    };
    if desk.store.anew(id, card.generation)?.is_some() {
        return Ok(Ok(number(desk, For::Anew, id, card.generation)));
    }
    let terms = desk.terms(card.terms)?;
    let Some(ticket) = terms.ticket.as_ref().filter(|_| terms.kind == CardKind::Ticket) else {
        return Ok(Err(NotAnew::NoTicket));
    };
    let dead = desk.store.ticket(id)?.is_none_or(|ticket| ticket.dead >= card.generation);
    if desk.now >= ticket.until || dead {
        return Ok(Err(NotAnew::Over));
    }
    if is_open(desk, &card)? {
        return Ok(Err(NotAnew::Given));
    }
    if is_convicted(desk, &card, card.wallet)? {
        return Ok(Err(NotAnew::Cheated));
    }
    block(desk, id, card.generation)?;
    let number = number(desk, For::Anew, id, card.generation);
    let next = card.generation.saturating_add(terms.handovers).saturating_add(1);
    desk.store.put_anew(&AnewRow {
        card: id,
        generation: card.generation,
        next,
        number: hashed(desk, For::Anew, &number),
        at: desk.now,
        lost: card.wallet,
        taker: None,
        proof: None,
    })?;
    Ok(Ok(number))
}

/// Installs a ticket that is issued anew; `None`: the number is of none, or it was taken. The same key gets the same certificate again.
pub(crate) fn take_anew(desk: &mut Desk<'_>, request: &Verified<InstallRequest>) -> Result<Option<Vec<u8>>, Failure> {
    let Ok(number) = InstallationNumber::parse(&request.number) else {
        return Ok(None);
    };
    let Some(row) = desk.store.anew_by(&hashed(desk, For::Anew, &number))? else {
        return Ok(None);
    };
    let certificate: Signed<CardCertificate> = match row.taker {
        None => {
            let terms = {
                let card = desk.known_card(row.card)?.clone();
                if card.generation != row.generation || is_convicted(desk, &card, card.wallet)? {
                    return Ok(None);
                }
                desk.terms(card.terms)?
            };
            let over = desk.store.ticket(row.card)?.is_none_or(|ticket| ticket.dead >= row.generation);
            if over || terms.ticket.as_ref().is_none_or(|ticket| desk.now >= ticket.until) {
                return Ok(None);
            }
            let card = desk.known_card(row.card)?;
            card.wallet = request.wallet;
            card.blocked = None;
            let certificate = next_generation(desk, row.card, row.next, request.key, 0)?;
            let (taker, proof) = (Some(request.wallet), Some(request.signed().encode()));
            desk.store.put_anew(&AnewRow { taker, proof, ..row })?;
            certificate
        }
        Some(taker) => {
            let first = desk.store.generation(row.card, row.next)?.ok_or(StoreError::Damaged)?;
            if first.key != request.key || taker != request.wallet {
                return Ok(None);
            }
            Signed::decode(&first.body).map_err(|_| StoreError::Damaged)?
        }
    };
    let terms = desk.terms(certificate.claimed().terms)?;
    let seat_name = desk.seat_name(&terms, certificate.claimed())?;
    Ok(Some(desk.answer(&request.hash(), |signer| InstallReply {
        certificate,
        terms,
        signer,
        seat_name,
        extensions: Default::default(),
    })))
}
