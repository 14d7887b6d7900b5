//! A card for somebody far away: its own key locks it, the provider makes a number, and whoever installs that has it (R18).

use super::number::{For, hashed, number};
use super::register::{arrived, from};
use super::title::{next_generation, said_given, twice};
use crate::desk::{Desk, Failure};
use crate::enter;
use crate::install::reconciling;
use crate::shared::Shared;
use tegata_core::Hash;
use tegata_core::card::title::register_by;
use tegata_core::card::{CardCertificate, CardEvent, CardKind, Counterpart, EventKind};
use tegata_core::talk::cards::{InstallReply, InstallRequest};
use tegata_core::talk::enter::EnterRefusal;
use tegata_core::talk::give::{Gift, GiftRequest};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::{Signed, Verified, Verifier};
use tegata_crypto_native::number::InstallationNumber;
use tegata_store::{HandedRow, HandedState, StoreError};

/// Proves that the card's own key has locked it: the hash of that event.
pub(crate) fn lock(shared: &Shared, by: &dyn Verifier, request: &GiftRequest) -> Option<Hash> {
    let GiftRequest { card, generation, used, at, .. } = *request;
    let key = *shared.directory().card_keys.get(&(card, generation))?;
    let counterpart = Counterpart::Gift { provider: shared.info.provider, used, at };
    let context = CardEvent::context(card, generation, &counterpart);
    let event = request.event.clone().verify(&key, &context, by).ok()?;
    let whole = event.event == EventKind::Lock && event.tick.is_none() && event.remaining == 0;
    whole.then_some(event.hash())
}

/// Takes the card back from its giver and answers with its number. The same request gets the same.
pub(crate) fn gift(
    desk: &mut Desk<'_>,
    request: &Verified<GiftRequest>,
    hash: Option<Hash>,
) -> Result<Vec<u8>, Failure> {
    if reconciling(desk)? {
        return Err(Failure::Refused(ProviderRefusal::Reconciling, Some(60)));
    }
    let hash = hash.ok_or(ProviderRefusal::NotAllowed)?;
    let (id, generation) = (request.card, request.generation);
    if let Some(row) = desk.store.handed(id, generation)? {
        if row.hash == hash {
            return Ok(answer(desk, request, &row));
        }
        let source = from(desk, request.wallet, request.signed().encode())?;
        twice(desk, &source, (id, generation, hash), row.body)?;
        return Ok(desk.refuse(&request.hash(), ProviderRefusal::GivenTwice, None));
    }
    let card = desk.card(id)?.filter(|card| card.wallet == request.wallet).map(|card| card.clone());
    let card = card.ok_or(ProviderRefusal::Unknown)?;
    let terms = desk.terms(card.terms)?;
    let now = desk.now;
    let said = request.event.claimed();
    let given = said_given(desk, id, generation)?;
    let ticket = terms.ticket.as_ref().filter(|_| terms.kind == CardKind::Ticket && given < terms.handovers);
    let in_time = ticket.is_some_and(|ticket| {
        now < ticket.until
            && ticket.give_until.is_none_or(|until| request.at < until && now < until.after(terms.record_age))
    });
    let next = (said.seq, said.previous, said.amount) == (card.seq.saturating_add(1), card.head, card.remaining);
    if !in_time || !next || card.generation != generation || card.blocked.is_some() {
        return Err(ProviderRefusal::Terms.into());
    }
    let until = register_by(&terms, now);
    let row = HandedRow {
        card: id,
        generation,
        hash,
        gift: true,
        body: request.signed().encode(),
        used: request.used,
        until,
        home: generation,
        giver: card.wallet,
        state: HandedState::Open,
        due: until,
        taker: None,
        proof: None,
        number: Some(hashed(desk, For::Gift, &number(desk, For::Gift, id, generation))),
    };
    desk.store.put_handed(&row)?;
    enter::kill(desk, id, generation, EnterRefusal::GivenAway)?;
    Ok(answer(desk, request, &row))
}

fn answer(desk: &Desk<'_>, request: &Verified<GiftRequest>, row: &HandedRow) -> Vec<u8> {
    let number = number(desk, For::Gift, row.card, row.generation).to_string();
    let number = number.chars().filter(char::is_ascii_alphanumeric).collect();
    let (card, until) = (row.card, row.until);
    desk.answer(&request.hash(), |signer| Gift { card, number, until, signer, extensions: Default::default() })
}

/// Installs the card of a gift's number; `None`: it is none, or not any more. The same key gets the same certificate again.
pub(crate) fn take(desk: &mut Desk<'_>, request: &Verified<InstallRequest>) -> Result<Option<Vec<u8>>, Failure> {
    let Ok(number) = InstallationNumber::parse(&request.number) else {
        return Ok(None);
    };
    let Some(row) = desk.store.gift(&hashed(desk, For::Gift, &number))? else {
        return Ok(None);
    };
    let next = row.generation.saturating_add(1);
    let certificate: Signed<CardCertificate> = match row.state {
        HandedState::Open if desk.now < row.until => {
            let card = desk.known_card(row.card)?;
            if card.blocked.is_some() || card.generation != row.generation {
                return Ok(None);
            }
            card.wallet = request.wallet;
            let certificate = next_generation(desk, row.card, next, request.key, row.used)?;
            let now = desk.now;
            arrived(desk, &row, request.wallet, now)?;
            let (taker, proof) = (Some(request.wallet), Some(request.signed().encode()));
            desk.store.put_handed(&HandedRow { state: HandedState::Taken, taker, proof, ..row })?;
            certificate
        }
        HandedState::Taken => {
            let first = desk.store.generation(row.card, next)?.ok_or(StoreError::Damaged)?;
            if first.key != request.key || row.taker != Some(request.wallet) {
                return Ok(None);
            }
            Signed::decode(&first.body).map_err(|_| StoreError::Damaged)?
        }
        _ => return Ok(None),
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
