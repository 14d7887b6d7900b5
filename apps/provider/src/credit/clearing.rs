//! The merchant takes what was authorized: its clearing request \[13550\] goes to the processor, whose completion \[8417\] becomes
//! the merchant's notification \[8418\], the user's receipt \[8421\], and one posting, all in one transaction.

use super::{courier, refuse, refused, told};
use crate::desk::{Desk, Failure};
use crate::settle::fees;
use tegata_core::step::Break;
use tegata_core::talk::contract::Tender;
use tegata_core::talk::credit::{
    Authorize, Clear, ClearingCompletion, ClearingNotification, ClearingRequest, CreditOffer, CreditRefusal,
    CreditState, MerchantReceipt, PaymentOption, UserReceipt, VoidAuthorization,
};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, CustomerNumber, DeviceId, Hash, MerchantId, PartyId, RequestNumber, Unit};
use tegata_crypto_native::primitive::mac;
use tegata_ledger::{Account, Kind};
use tegata_store::{About, Cause, ClearingAsked, Completed, CreditRow, ExceptionKind, ExceptionRow, StoreError};

/// The clearing request \[13550\].
pub(crate) fn clear(desk: &mut Desk<'_>, request: &Verified<ClearingRequest>) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    let Some(mut row) = desk.store.credit(request.machine, &request.offer)? else {
        return Ok(refused(desk, &hash, CreditRefusal::NotAuthorized));
    };
    if !fits(&row, request) {
        return Err(ProviderRefusal::NotAllowed.into());
    }
    if let (Some(asked), Some(done)) = (&row.clearing, &row.completed)
        && asked.hash == hash
    {
        return Ok(done.notification.clone());
    }
    match (&row.clearing, row.state) {
        (Some(asked), _) if asked.hash != hash => return Ok(refused(desk, &hash, CreditRefusal::Repeated)),
        (None, CreditState::Authorized) => ask(desk, &mut row, request)?,
        (None, CreditState::Waiting | CreditState::Pending) => {
            return Ok(refused(desk, &hash, CreditRefusal::NotAuthorized));
        }
        (Some(_), CreditState::Pending) if desk.shared.broken.has(Break::ClearedUnderNewNumber) => {
            ask(desk, &mut row, request)?;
        }
        _ => {}
    }
    Ok(told(desk, &hash, &row))
}

/// Whether the request names what this merchant's own line named.
fn fits(row: &CreditRow, request: &ClearingRequest) -> bool {
    row.merchant.as_ref().is_some_and(|(side, _)| {
        let line = &side.line;
        (side.who, line.charge, line.transaction, line.amount, row.request, row.option)
            == (request.merchant, request.charge, request.transaction, request.amount, request.request, request.option)
    })
}

fn ask(desk: &mut Desk<'_>, row: &mut CreditRow, request: &Verified<ClearingRequest>) -> Result<(), Failure> {
    let authorization = row.authorization.ok_or(StoreError::Damaged)?;
    let (provider, at, amount) = (desk.shared.info.provider, desk.now, request.amount);
    let number = RequestNumber(desk.draw_id());
    let signed =
        desk.sign(&[], |_| Clear { provider, number, at, authorization, amount, extensions: Default::default() });
    row.state = CreditState::Pending;
    row.clearing = Some(ClearingAsked { hash: request.hash(), body: request.signed().encode(), number });
    desk.keep_credit(row)?;
    courier::send(desk, number, &signed, About::Payment(row.machine, row.offer), at)
}

/// The processor has cleared it \[8417\].
pub(super) fn completed(
    desk: &mut Desk<'_>,
    row: &mut CreditRow,
    number: RequestNumber,
    completion: &Verified<ClearingCompletion>,
) -> Result<(), Failure> {
    let (Some((merchant, _)), Some(user), Some(asked)) = (&row.merchant, &row.user, &row.clearing) else {
        return Err(StoreError::Damaged.into());
    };
    if row.completed.is_some() || asked.number != number {
        return Ok(());
    }
    let ours = (merchant.line.amount, merchant.line.transaction, Some(row.option), number);
    if !sound(desk, completion, ours, row.authorization)? {
        // The processor signed something else than it was asked: a person has to look; nothing is told or posted.
        let row = exception(desk, row, completion.signed().encode());
        return Ok(desk.except(&row)?);
    }
    let processor = desk.store.processor()?.ok_or(StoreError::Damaged)?;
    let customer = customer_number(&processor.customer_key, user.who, merchant.who);
    let request = Signed::<ClearingRequest>::decode(&asked.body).map_err(|_| StoreError::Damaged)?;
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let notification = desk.answer(&asked.hash, |signer| ClearingNotification {
        clearing: completion.clearing,
        information: completion.for_merchant.clone(),
        customer,
        request,
        service: None,
        provider,
        at,
        signer,
        extensions: Default::default(),
    });
    let (merchant, wallet, amount) = (merchant.who, user.who, completion.amount);
    row.state = CreditState::Cleared;
    row.ended = Some(at);
    row.completed =
        Some(Completed { clearing: completion.clearing, completion: completion.signed().encode(), notification });
    desk.keep_credit(row)?;
    let books = book_of(completion.processor, amount.unit());
    let key = (merchant.0, Cause::Cleared, row.offer);
    desk.books.post(desk.store, key, books(Kind::Issued), books(Kind::Payable(merchant)), amount.minor())?;
    let book = (completion.processor, amount.unit());
    fees::charge(desk, (Tender::Credit, book), merchant, row.offer, amount.minor(), at)?;
    receipt(desk, row, wallet, completion)
}

/// Whether a completion says what the processor was asked for (amount, sale, option, request) by the accounts that were
/// authorized, under a clearing number that was never seen before.
pub(crate) fn sound(
    desk: &Desk<'_>,
    completion: &ClearingCompletion,
    (amount, transaction, option, number): (Amount, u64, Option<PaymentOption>, RequestNumber),
    authorization: Option<RequestNumber>,
) -> Result<bool, Failure> {
    // By the accounts that were authorized: since then the user may have named another card.
    let authorize = authorization.map(|number| desk.store.asked(number)).transpose()?.flatten();
    let authorize =
        authorize.and_then(|asked| Signed::<Authorize>::decode(&asked.body).ok()).ok_or(StoreError::Damaged)?;
    let authorized = authorize.claimed();
    let named = (completion.amount, completion.transaction, Some(completion.option), completion.number);
    Ok(named == (amount, transaction, option, number)
        && (completion.merchant, completion.user) == (authorized.merchant, authorized.user)
        && !desk.store.knows_clearing(completion.clearing)?)
}

/// The books of what a processor captured.
pub(crate) fn book_of(processor: PartyId, unit: Unit) -> impl Fn(Kind) -> Account {
    move |kind| Account::new(processor, unit, kind)
}

/// The user's receipt \[8421\]: at once when it is cleared, and again once the merchant's receipt \[8419\] is here (R23).
pub(super) fn receipt(
    desk: &mut Desk<'_>,
    row: &CreditRow,
    user: DeviceId,
    completion: &ClearingCompletion,
) -> Result<(), Failure> {
    let receipt = row.receipt.as_deref().map(Signed::decode).transpose().map_err(|_| StoreError::Damaged)?;
    let (provider, at, request) = (desk.shared.info.provider, desk.now, row.request);
    let information = completion.for_user.clone();
    let signed = desk.sign(&[], |signer| UserReceipt {
        user,
        receipt,
        information,
        service: None,
        provider,
        at,
        signer,
        request,
        extensions: Default::default(),
    });
    let command = Command { receipt: Some(signed), ..Command::new(CommandKind::Receipt) };
    Ok(desk.command(user, &command)?)
}

/// The merchant's receipt \[8419\], from its terminal's log: it completes the user's. Says whether it is about a payment that
/// was cleared here; the same one again changes nothing.
pub(crate) fn receipted(desk: &mut Desk<'_>, receipt: &Verified<MerchantReceipt>) -> Result<bool, Failure> {
    let offer = CreditOffer::hash(&receipt.offer, &receipt.session);
    let Some(mut row) = desk.store.credit(receipt.machine, &offer)? else {
        return Ok(false);
    };
    let cleared = row.completed.as_ref().is_some_and(|done| done.clearing == receipt.clearing);
    let same = row.merchant.as_ref().is_some_and(|(side, _)| side.who == receipt.merchant);
    if !cleared || !same {
        return Ok(false);
    }
    if row.receipt.is_some() {
        return Ok(true);
    }
    row.receipt = Some(receipt.signed().encode());
    desk.keep_credit(&row)?;
    if desk.shared.broken.has(Break::ReceiptNotRepeated) {
        return Ok(true);
    }
    let (Some(user), Some(done)) = (&row.user, &row.completed) else {
        return Err(StoreError::Damaged.into());
    };
    let completion = Signed::<ClearingCompletion>::decode(&done.completion).map_err(|_| StoreError::Damaged)?;
    self::receipt(desk, &row, user.who, completion.claimed())?;
    Ok(true)
}

/// The charge of an authorization was closed, or nobody asked for its clearing in time: it is let go.
pub(crate) fn release(desk: &mut Desk<'_>, row: &mut CreditRow, why: CreditRefusal) -> Result<(), Failure> {
    let authorization = row.authorization.ok_or(StoreError::Damaged)?;
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let number = RequestNumber(desk.draw_id());
    let signed =
        desk.sign(&[], |_| VoidAuthorization { provider, number, at, authorization, extensions: Default::default() });
    if desk.shared.broken.has(Break::HoldKept) {
        return refuse(desk, row, why);
    }
    row.void = Some(number);
    refuse(desk, row, why)?;
    courier::send(desk, number, &signed, About::Payment(row.machine, row.offer), at)
}

/// One user at one merchant: stable there, another at every other, and no way back without the provider's key.
pub(crate) fn customer_number(key: &[u8; 32], user: DeviceId, merchant: MerchantId) -> CustomerNumber {
    let made = mac(key, "tegata customer number v1", &[&user.0, &merchant.0]);
    let mut number = [0; 16];
    number.copy_from_slice(&made[..16]);
    CustomerNumber(number)
}

fn exception(desk: &Desk<'_>, row: &CreditRow, record: Vec<u8>) -> ExceptionRow {
    let merchant = row.merchant.as_ref();
    ExceptionRow {
        number: 0,
        kind: ExceptionKind::Malformed,
        at: desk.now,
        open: true,
        device: Some(row.machine),
        merchant: merchant.map(|(side, _)| side.who),
        issuer: None,
        card: None,
        generation: None,
        seq: None,
        check: Some(Hash(row.offer.0)),
        amount: merchant.map(|(side, _)| (side.line.amount.unit(), side.line.amount.minor())),
        bearer: "processor",
        wallet_record: row.user.as_ref().map(|side| side.body.clone()),
        terminal_record: Some(record),
    }
}
