//! What merchant and user ask, each over its own line; only what both name alike and in time is authorized (R23).

use super::{courier, refuse, refused, told, trusted};
use crate::desk::{Desk, Failure};
use tegata_core::step::Break;
use tegata_core::talk::credit::{
    AuthorizationRequest, Authorize, CreditRefusal, CreditState, Line, Matched, NamedOffer, PaymentRequest, Sides,
    matched,
};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::Verified;
use tegata_core::{DeviceId, RequestNumber, Time};
use tegata_store::{About, CreditRow, CreditSide, StoreError};

/// The merchant's line: what it names under the keys of offer and terminal.
pub(crate) fn authorize(
    desk: &mut Desk<'_>,
    request: &Verified<AuthorizationRequest>,
    named: Option<&(NamedOffer, Line, Time)>,
) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    let terminal = desk.known(request.machine.into()).ok_or(ProviderRefusal::NotAllowed)?;
    if terminal.owner != Some(request.merchant) {
        return Err(ProviderRefusal::NotAllowed.into());
    }
    let (offer, line, expires) = named.ok_or(ProviderRefusal::Malformed)?;
    let (line, expires) = (Line { arrived: desk.now, ..*line }, *expires);
    if offer.provider != desk.shared.info.provider {
        return Ok(refused(desk, &hash, CreditRefusal::OtherProvider));
    }
    let mut row = row(desk, request.machine, offer)?;
    match &row.merchant {
        Some((side, _)) if side.hash == hash => {}
        Some(_) => return Ok(refused(desk, &hash, CreditRefusal::Repeated)),
        None => {
            let side = CreditSide { who: request.merchant, line, hash, body: request.signed().encode() };
            row.merchant = Some((side, expires));
            heard(desk, &mut row, request.merchant.0, CreditRefusal::NoMerchant)?;
        }
    }
    advance(desk, &mut row)?;
    // An authorization is what the merchant waits for; the user waits for the end.
    desk.patient &= row.state != CreditState::Authorized;
    let told = told(desk, &hash, &row);
    if row.state == CreditState::Authorized {
        desk.waits_for = None;
    }
    Ok(told)
}

/// The user's line: what it names under the offer's key.
pub(crate) fn pay(
    desk: &mut Desk<'_>,
    request: &Verified<PaymentRequest>,
    named: Option<&(NamedOffer, Line)>,
) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    let (offer, line) = named.ok_or(ProviderRefusal::Malformed)?;
    let line = Line { arrived: desk.now, ..*line };
    if offer.provider != desk.shared.info.provider {
        return Ok(refused(desk, &hash, CreditRefusal::OtherProvider));
    }
    let mut row = row(desk, line.machine, offer)?;
    match &row.user {
        Some(side) if side.hash == hash => {}
        Some(_) => return Ok(refused(desk, &hash, CreditRefusal::Repeated)),
        None => {
            row.user = Some(CreditSide { who: request.wallet, line, hash, body: request.signed().encode() });
            heard(desk, &mut row, request.wallet.0, CreditRefusal::NoCard)?;
        }
    }
    advance(desk, &mut row)?;
    Ok(told(desk, &hash, &row))
}

/// Keeps what a line asked, and goes on with it. Without an account of its own it ends the payment, and that is kept too: what
/// was told as the end stays the end, should the same request come again once there is an account.
fn heard(desk: &mut Desk<'_>, row: &mut CreditRow, subject: [u8; 16], without: CreditRefusal) -> Result<(), Failure> {
    let has_account = desk.store.clearing_account(subject)?.is_some_and(|account| account.account.is_some());
    if row.state == CreditState::Waiting && !has_account {
        return refuse(desk, row, without);
    }
    if !advance(desk, row)? {
        desk.keep_credit(row)?;
    }
    Ok(())
}

/// What is known of this offer at this machine.
fn row(desk: &Desk<'_>, machine: DeviceId, offer: &NamedOffer) -> Result<CreditRow, Failure> {
    if let Some(row) = desk.store.credit(machine, &offer.hash)? {
        return Ok(row);
    }
    Ok(CreditRow {
        machine,
        offer: offer.hash,
        state: CreditState::Waiting,
        why: None,
        request: offer.request,
        option: offer.option,
        merchant: None,
        user: None,
        authorization: None,
        authorized: None,
        clearing: None,
        void: None,
        completed: None,
        receipt: None,
        at: desk.now,
        ended: None,
    })
}

/// Compares the two lines and asks the processor once both are there. Says whether it went on, and was kept so.
pub(super) fn advance(desk: &mut Desk<'_>, row: &mut CreditRow) -> Result<bool, Failure> {
    if row.state != CreditState::Waiting {
        return Ok(false);
    }
    let sides = Sides {
        merchant: row.merchant.as_ref().map(|(side, expires)| (side.line, *expires)),
        user: row.user.as_ref().map(|side| side.line),
    };
    match matched(&sides, desk.now) {
        Matched::Wait => return Ok(false),
        Matched::Refuse(CreditRefusal::Mismatch) if desk.shared.broken.has(Break::MismatchIgnored) => ask(desk, row),
        Matched::Refuse(why) => refuse(desk, row, why),
        Matched::Authorize => ask(desk, row),
    }?;
    Ok(true)
}

/// Asks whether the user's card may be charged: durable before it is sent, under one number for ever (R26).
fn ask(desk: &mut Desk<'_>, row: &mut CreditRow) -> Result<(), Failure> {
    let (Some((merchant, _)), Some(user)) = (&row.merchant, &row.user) else {
        return Err(StoreError::Damaged.into());
    };
    if trusted(desk)?.is_none() {
        return refuse(desk, row, CreditRefusal::NoProcessor);
    }
    let account = |subject| desk.store.clearing_account(subject).map(|row| row.and_then(|row| row.account));
    // Whoever names another card has none until that one is open: since its line came, this one may have gone.
    let Some(user_account) = account(user.who.0)? else {
        return refuse(desk, row, CreditRefusal::NoCard);
    };
    let Some(merchant_account) = account(merchant.who.0)? else {
        return refuse(desk, row, CreditRefusal::NoMerchant);
    };
    let line = merchant.line;
    let (provider, option, at) = (desk.shared.info.provider, row.option, desk.now);
    let number = RequestNumber(desk.draw_id());
    let signed = desk.sign(&[], |_| Authorize {
        provider,
        number,
        at,
        user: user_account,
        merchant: merchant_account,
        amount: line.amount,
        option,
        transaction: line.transaction,
        machine: line.machine,
        partial: false,
        extensions: Default::default(),
    });
    row.state = CreditState::Pending;
    row.authorization = Some(number);
    desk.keep_credit(row)?;
    courier::send(desk, number, &signed, About::Payment(row.machine, row.offer), at)
}
