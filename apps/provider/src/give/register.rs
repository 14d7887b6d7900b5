//! The wallet that holds a card by title gets its certificate: by asking, or by what its log tells.

use super::title::{Title, tell};
use crate::desk::{Desk, Failure};
use crate::enter;
use crate::install::reconciling;
use crate::update::Source;
use tegata_core::card::CardCertificate;
use tegata_core::talk::cards::InstallReply;
use tegata_core::talk::enter::SessionSignature;
use tegata_core::talk::give::{Proof, Register};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::Command;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{CardId, Time, WalletId};
use tegata_store::{HandedRow, HandedState, StoreError};

/// A wallet asks. The same request gets the same certificate.
pub(crate) fn register(
    desk: &mut Desk<'_>,
    request: &Verified<Register>,
    title: Option<&Title>,
) -> Result<Vec<u8>, Failure> {
    if reconciling(desk)? {
        return Err(Failure::Refused(ProviderRefusal::Reconciling, Some(60)));
    }
    let title = title.ok_or(ProviderRefusal::NotAllowed)?;
    let source = from(desk, request.wallet, request.signed().encode())?;
    if let Some(why) = tell(desk, &source, title)? {
        return Ok(desk.refuse(&request.hash(), why, None));
    }
    if let Some(why) = taken_by(desk, request.wallet, title, request.proof)? {
        return Ok(desk.refuse(&request.hash(), why, None));
    }
    let certificate = certificate(desk, title)?;
    let terms = desk.terms(certificate.claimed().terms)?;
    let seat_name = desk.seat_name(&terms, certificate.claimed())?;
    Ok(desk.answer(&request.hash(), |signer| InstallReply {
        certificate,
        terms,
        signer,
        seat_name,
        extensions: Default::default(),
    }))
}

/// A wallet's log tells of a hand-over: its own (no proof), or one to it. One that does not count is blocked in that wallet.
pub(crate) fn logged(
    desk: &mut Desk<'_>,
    source: &Source,
    title: &Title,
    proof: Option<SessionSignature>,
) -> Result<(), Failure> {
    let told = tell(desk, source, title)?;
    let Some(proof) = proof else {
        return Ok(());
    };
    let refused = match told {
        Some(why) => Some(why),
        None => taken_by(desk, source.device, title, proof)?,
    };
    if refused.is_some() {
        return Ok(desk.command(source.device, &Command::block(title.card, title.last()))?);
    }
    if desk.known_card(title.card)?.generation != title.last() {
        return Ok(());
    }
    // Also if it has asked before: the answer may be lost, and what it has already changes nothing.
    let certificate = certificate(desk, title)?;
    let terms = desk.terms(certificate.claimed().terms)?;
    let command = desk.install_command(title.card, certificate, terms)?;
    Ok(desk.command(source.device, &command)?)
}

/// Binds the last receiver's generation to this wallet, by that generation's own key.
fn taken_by(
    desk: &mut Desk<'_>,
    wallet: WalletId,
    title: &Title,
    proof: SessionSignature,
) -> Result<Option<ProviderRefusal>, Failure> {
    let (last, key) = (title.last(), title.key().ok_or(ProviderRefusal::NotAllowed)?);
    if !Proof::Registers(title.card, last, wallet).holds(&key, proof, desk.shared.verifier()) {
        return Ok(Some(ProviderRefusal::NotAllowed));
    }
    let row = desk.store.handed(title.card, last.saturating_sub(1))?.ok_or(StoreError::Damaged)?;
    match row.taker {
        Some(taker) if taker == wallet => return Ok(None),
        Some(_) => return Ok(Some(ProviderRefusal::NotAllowed)),
        None => {}
    }
    let now = desk.now;
    if !given_on(desk, wallet, title.card, last)? {
        arrived(desk, &row, wallet, now)?;
    }
    let state = match row.state {
        HandedState::Open => {
            let card = desk.known_card(title.card)?;
            card.wallet = wallet;
            let (generation, terms) = (card.generation, card.terms);
            // Blocked when it was still the giver's, who alone was told.
            if card.blocked.is_some() {
                let block = Command::block(title.card, generation);
                desk.command(wallet, &block)?;
            }
            // So was a change that was decided since the hand-over was told of.
            let first = certificate(desk, title)?;
            if first.claimed().terms != terms {
                enter::told_decided(desk, wallet, first.claimed())?;
            }
            HandedState::Taken
        }
        state => state,
    };
    let proof = Some(proof.0.0.to_vec());
    desk.store.put_handed(&HandedRow { state, taker: Some(wallet), proof, ..row })?;
    Ok(None)
}

/// Given on before it was registered, perhaps more than once: should that come back, it comes back to this wallet; and where somebody has
/// it already, this wallet hears that. Whether whoever gave it first has heard so before: that it was given on is nothing to it.
fn given_on(desk: &mut Desk<'_>, wallet: WalletId, card: CardId, last: u64) -> Result<bool, Failure> {
    let (mut generation, mut there, mut heard) = (last, false, false);
    while let Some(next) = desk.store.handed(card, generation)?.filter(|next| next.home < last) {
        match next.state {
            HandedState::Open => desk.known_card(card)?.wallet = wallet,
            HandedState::Back => break,
            HandedState::Taken | HandedState::Passed => {}
        }
        there |= next.taker.is_some_and(|taker| taker != wallet);
        heard |= next.taker.is_some_and(|taker| taker != next.giver);
        desk.store.put_handed(&HandedRow { home: last, giver: wallet, ..next })?;
        generation = generation.saturating_add(1);
    }
    if there {
        let now = desk.now;
        desk.command(wallet, &Command::arrived(card, last, now))?;
    }
    Ok(heard)
}

/// Whoever gave it hears that it has arrived, and not with whom.
pub(super) fn arrived(desk: &mut Desk<'_>, row: &HandedRow, taker: WalletId, at: Time) -> Result<(), Failure> {
    if row.giver == taker {
        return Ok(());
    }
    Ok(desk.command(row.giver, &Command::arrived(row.card, row.home, at))?)
}

/// The first certificate of the last receiver's generation.
fn certificate(desk: &Desk<'_>, title: &Title) -> Result<Signed<CardCertificate>, Failure> {
    let row = desk.store.generation(title.card, title.last())?.ok_or(StoreError::Damaged)?;
    Ok(Signed::decode(&row.body).map_err(|_| StoreError::Damaged)?)
}

/// A request as the source of what it tells.
pub(super) fn from(desk: &Desk<'_>, wallet: WalletId, bytes: Vec<u8>) -> Result<Source, Failure> {
    let known = desk.known(wallet.into()).ok_or(ProviderRefusal::NotAllowed)?;
    Ok(Source { device: wallet, known, number: 0, bytes, before: Time(0), list: 0 })
}
