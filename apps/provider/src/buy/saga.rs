//! Paid: authorized, issued, captured; each step durable before the next is asked for, and undone in reverse where one fails.

use super::deliver::{deliver, fits, refused, told};
use super::{end, listing, reference, refund, reserve};
use crate::credit::{Sort, book_of, ends, outcome_of, send, sound, trusted};
use crate::desk::{Desk, Failure};
use crate::settle::fees;
use tegata_core::step::Break;
use tegata_core::talk::buy::{Listing, Purchase, PurchaseRefusal, PurchaseState, TemporaryReceipt};
use tegata_core::talk::contract::Tender;
use tegata_core::talk::credit::{
    Authorize, Clear, ClearingCompletion, OutcomeState, ProcessorAnswer, UserReceipt, VoidAuthorization,
};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::signed::Verified;
use tegata_core::{DeviceId, RequestNumber, Time};
use tegata_ledger::{Account, Kind};
use tegata_store::{About, Cause, ExceptionKind, ExceptionRow, PurchaseRow, StoreError};

/// The user agrees to the price: the bank is asked, once for ever.
pub(crate) fn pay(desk: &mut Desk<'_>, request: &Verified<Purchase>) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    let row = desk.store.purchase(request.wallet, request.purchase)?;
    let mut row = row.ok_or(ProviderRefusal::Unknown)?;
    let key = (row.wallet, row.number);
    if let Some((known, _)) = desk.store.purchase_record(row.wallet, row.number, tegata_store::Signed::Purchase)? {
        if desk.shared.broken.has(Break::ChargedAgain) && row.state == PurchaseState::Pending {
            let listing = listing(desk, &row)?;
            authorize(desk, &mut row, &listing)?;
        }
        return match known == hash {
            true => told(desk, &hash, &row),
            false => Ok(refused(desk, &hash, row.number, PurchaseRefusal::Repeated)),
        };
    }
    if reserve::expired(&row, desk.now) {
        end(desk, &mut row, PurchaseState::Refused, PurchaseRefusal::Expired)?;
    }
    if row.state != PurchaseState::Reserved {
        return told(desk, &hash, &row);
    }
    let listing = listing(desk, &row)?;
    if (request.reserve, request.price) != (reference(desk, &row)?, listing.price) {
        return Ok(refused(desk, &hash, row.number, PurchaseRefusal::Price));
    }
    desk.store.put_purchase_record(key, tegata_store::Signed::Purchase, &hash, &request.signed().encode())?;
    row.option = Some(request.option);
    authorize(desk, &mut row, &listing)?;
    told(desk, &hash, &row)
}

/// The hash of the user's agreement: what the issue is posted under.
fn agreed(desk: &Desk<'_>, row: &PurchaseRow) -> Result<tegata_core::Hash, Failure> {
    let record = desk.store.purchase_record(row.wallet, row.number, tegata_store::Signed::Purchase)?;
    Ok(record.ok_or(StoreError::Damaged)?.0)
}

/// How the processor and the bank call this sale: a number of its own and the provider as the machine.
pub(super) fn sale(row: &PurchaseRow, provider: tegata_core::PartyId) -> (u64, DeviceId) {
    let mut number = [0; 8];
    number[3..].copy_from_slice(&row.number.0[..5]);
    (u64::from_be_bytes(number), DeviceId(provider.0))
}

fn authorize(desk: &mut Desk<'_>, row: &mut PurchaseRow, listing: &Listing) -> Result<(), Failure> {
    if trusted(desk)?.is_none() {
        return end(desk, row, PurchaseState::Refused, PurchaseRefusal::NoProcessor);
    }
    let account = |subject| desk.store.clearing_account(subject).map(|row| row.and_then(|row| row.account));
    // Whoever names another card has none until that one is open.
    let Some(user) = account(row.wallet.0)? else {
        return end(desk, row, PurchaseState::Refused, PurchaseRefusal::NoCard);
    };
    let Some(merchant) = account(row.issuer.0)? else {
        return end(desk, row, PurchaseState::Refused, PurchaseRefusal::NoIssuer);
    };
    let option = row.option.ok_or(StoreError::Damaged)?;
    let (provider, at, amount) = (desk.shared.info.provider, desk.now, listing.price);
    let (transaction, machine) = sale(row, provider);
    let number = RequestNumber(desk.draw_id());
    let signed = desk.sign(&[], |_| Authorize {
        provider,
        number,
        at,
        user,
        merchant,
        amount,
        option,
        transaction,
        machine,
        partial: false,
        extensions: Default::default(),
    });
    row.state = PurchaseState::Pending;
    row.authorization = Some(number);
    desk.keep_purchase(row)?;
    send(desk, number, &signed, About::Purchase(row.wallet, row.number), at)
}

/// What the processor answered. `false`: it is none to this sort of request, and is asked again (R26).
pub(crate) fn heard(
    desk: &mut Desk<'_>,
    (wallet, purchase): (DeviceId, RequestNumber),
    number: RequestNumber,
    answer: &ProcessorAnswer,
    bytes: &[u8],
) -> Result<bool, Failure> {
    let mut row = desk.store.purchase(wallet, purchase)?.ok_or(StoreError::Damaged)?;
    let sort = if row.authorization == Some(number) {
        Sort::Authorize
    } else if row.clear == Some(number) {
        Sort::Clear
    } else {
        Sort::Void
    };
    let unknown = outcome_of(answer).is_some_and(|outcome| outcome.state == OutcomeState::Unknown);
    let guessed = unknown && sort == Sort::Clear && desk.shared.broken.has(Break::CaptureGuessed);
    if !guessed && !ends(sort, answer) {
        return Ok(false);
    }
    desk.store.answered(number, bytes)?;
    match sort {
        Sort::Authorize => authorized(desk, &mut row, answer)?,
        Sort::Clear => match answer {
            ProcessorAnswer::Cleared(completion) => captured(desk, &mut row, number, completion)?,
            _ => not_captured(desk, &mut row, answer)?,
        },
        // A void: let go, or there was nothing left to let go.
        _ => {}
    }
    Ok(true)
}

fn why(answer: &ProcessorAnswer) -> PurchaseRefusal {
    match answer {
        ProcessorAnswer::Refused(_) => PurchaseRefusal::NoProcessor,
        _ => PurchaseRefusal::Declined,
    }
}

/// The bank has said whether the card may be charged: what it approved is issued, and only then captured.
fn authorized(desk: &mut Desk<'_>, row: &mut PurchaseRow, answer: &ProcessorAnswer) -> Result<(), Failure> {
    if row.state != PurchaseState::Pending {
        return Ok(());
    }
    let listing = listing(desk, row)?;
    match outcome_of(answer).filter(|outcome| outcome.state == OutcomeState::Approved) {
        None => return end(desk, row, PurchaseState::Refused, why(answer)),
        // Another amount than was asked for is not what the user agreed to.
        Some(outcome) if outcome.amount != Some(listing.price) => return undo(desk, row, PurchaseRefusal::Declined),
        Some(_) => {}
    }
    if !fits(desk, row, &listing)? {
        return undo(desk, row, PurchaseRefusal::Card);
    }
    let books = |kind| Account::new(row.issuer, listing.face.unit(), kind);
    let posted = (row.issuer.0, Cause::Sold, agreed(desk, row)?);
    desk.books.post(desk.store, posted, books(Kind::Issued), books(Kind::Waiting), listing.face.minor())?;
    let Some(delay) = listing.clear_after else {
        row.state = PurchaseState::Issued;
        if desk.shared.broken.has(Break::DeliveredBeforeCapture) {
            deliver(desk, row, &listing)?;
            row.state = PurchaseState::Delivered;
        }
        return capture(desk, row, &listing, desk.now);
    };
    let clears = desk.now.after(delay);
    deliver(desk, row, &listing)?;
    row.state = PurchaseState::Provisional;
    temporary(desk, row, &listing, clears)?;
    capture(desk, row, &listing, clears)
}

/// Asks for the money: now, or when the issuer wants it.
fn capture(desk: &mut Desk<'_>, row: &mut PurchaseRow, listing: &Listing, due: Time) -> Result<(), Failure> {
    let authorization = row.authorization.ok_or(StoreError::Damaged)?;
    let (provider, at, amount) = (desk.shared.info.provider, desk.now, listing.price);
    let number = RequestNumber(desk.draw_id());
    let signed =
        desk.sign(&[], |_| Clear { provider, number, at, authorization, amount, extensions: Default::default() });
    row.clear = Some(number);
    desk.keep_purchase(row)?;
    send(desk, number, &signed, About::Purchase(row.wallet, row.number), due)
}

/// The money is here \[8417\]: it is the issuer's, and the card is the wallet's.
fn captured(
    desk: &mut Desk<'_>,
    row: &mut PurchaseRow,
    number: RequestNumber,
    completion: &Verified<ClearingCompletion>,
) -> Result<(), Failure> {
    let listing = listing(desk, row)?;
    let (transaction, _) = sale(row, desk.shared.info.provider);
    let ours = (listing.price, transaction, row.option, number);
    if !sound(desk, completion, ours, row.authorization)? {
        // The processor signed something else than it was asked: a person has to look; nothing is told or posted.
        let exception = exception(desk, row, &listing, ExceptionKind::Malformed, "processor")?;
        let body = completion.signed().encode();
        return Ok(desk.except(&ExceptionRow { terminal_record: Some(body), ..exception })?);
    }
    let (key, reserved) = ((row.wallet, row.number), reference(desk, row)?);
    row.clearing = Some(completion.clearing);
    row.captured = Some(desk.now);
    let body = completion.signed().encode();
    desk.store.put_purchase_record(key, tegata_store::Signed::Completion, &completion.hash(), &body)?;
    let books = book_of(completion.processor, listing.price.unit());
    let posted = (row.issuer.0, Cause::Cleared, reserved);
    desk.books.post(
        desk.store,
        posted,
        books(Kind::Issued),
        books(Kind::Payable(row.issuer)),
        listing.price.minor(),
    )?;
    let book = (Tender::Credit, (completion.processor, listing.price.unit()));
    fees::charge(desk, book, row.issuer, reserved, listing.price.minor(), desk.now)?;
    if row.state == PurchaseState::Issued && !fits(desk, row, &listing)? {
        // The card cannot take it any more: the money goes back where it came from.
        withdraw(desk, row, &listing)?;
        row.state = PurchaseState::Returning;
        row.why = Some(PurchaseRefusal::Card);
        desk.keep_purchase(row)?;
        return refund::ask(desk, row, None, listing.price);
    }
    receipt(desk, row, completion)?;
    if row.state == PurchaseState::Issued {
        deliver(desk, row, &listing)?;
    }
    row.state = PurchaseState::Delivered;
    row.ended = Some(desk.now);
    Ok(desk.keep_purchase(row)?)
}

/// The bank refused the money that it had authorized.
fn not_captured(desk: &mut Desk<'_>, row: &mut PurchaseRow, answer: &ProcessorAnswer) -> Result<(), Failure> {
    let listing = listing(desk, row)?;
    if row.state != PurchaseState::Provisional {
        withdraw(desk, row, &listing)?;
        return undo(desk, row, why(answer));
    }
    // Delivered on the issuer's word: the card is blocked, what was spent of it is the issuer's loss.
    let card = row.card.ok_or(StoreError::Damaged)?;
    let exception = exception(desk, row, &listing, ExceptionKind::Unpaid, "issuer")?;
    desk.except(&exception)?;
    let generation = desk.known_card(card)?.generation;
    crate::update::block(desk, card, generation)?;
    let_go(desk, row)?;
    row.state = PurchaseState::Unpaid;
    row.why = Some(why(answer));
    row.ended = Some(desk.now);
    Ok(desk.keep_purchase(row)?)
}

/// Takes back what was issued and not delivered.
fn withdraw(desk: &mut Desk<'_>, row: &PurchaseRow, listing: &Listing) -> Result<(), Failure> {
    let books = |kind| Account::new(row.issuer, listing.face.unit(), kind);
    let posted = (row.issuer.0, Cause::Withdrawn, agreed(desk, row)?);
    Ok(desk.books.post(desk.store, posted, books(Kind::Waiting), books(Kind::Issued), listing.face.minor())?)
}

/// Lets the authorization go and gives the reservation back. A void of what is gone already changes nothing.
fn undo(desk: &mut Desk<'_>, row: &mut PurchaseRow, why: PurchaseRefusal) -> Result<(), Failure> {
    let_go(desk, row)?;
    end(desk, row, PurchaseState::Refused, why)
}

fn let_go(desk: &mut Desk<'_>, row: &mut PurchaseRow) -> Result<(), Failure> {
    let authorization = row.authorization.ok_or(StoreError::Damaged)?;
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let number = RequestNumber(desk.draw_id());
    let signed =
        desk.sign(&[], |_| VoidAuthorization { provider, number, at, authorization, extensions: Default::default() });
    row.void = Some(number);
    send(desk, number, &signed, About::Purchase(row.wallet, row.number), at)
}

/// What the user holds until the money is captured.
fn temporary(desk: &mut Desk<'_>, row: &PurchaseRow, listing: &Listing, clears: Time) -> Result<(), Failure> {
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let signed = desk.sign(&[], |signer| TemporaryReceipt {
        user: row.wallet,
        purchase: row.number,
        issuer: row.issuer,
        item: listing.terms.name.clone(),
        amount: listing.price,
        clears,
        provider,
        at,
        signer,
        extensions: Default::default(),
    });
    let key = (row.wallet, row.number);
    desk.store.put_purchase_record(key, tegata_store::Signed::Temporary, &signed.hash(&[]), &signed.encode())?;
    Ok(())
}

/// The user's receipt \[8421\]: with the card, and by the next update where the card was there before.
fn receipt(desk: &mut Desk<'_>, row: &PurchaseRow, completion: &ClearingCompletion) -> Result<(), Failure> {
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let signed = desk.sign(&[], |signer| UserReceipt {
        user: row.wallet,
        receipt: None,
        information: completion.for_user.clone(),
        service: None,
        provider,
        at,
        signer,
        request: row.number,
        extensions: Default::default(),
    });
    let key = (row.wallet, row.number);
    desk.store.put_purchase_record(key, tegata_store::Signed::Receipt, &signed.hash(&[]), &signed.encode())?;
    if row.state == PurchaseState::Provisional {
        let command = Command { receipt: Some(signed), ..Command::new(CommandKind::Receipt) };
        desk.command(row.wallet, &command)?;
    }
    Ok(())
}

pub(super) fn exception(
    desk: &Desk<'_>,
    row: &PurchaseRow,
    listing: &Listing,
    kind: ExceptionKind,
    bearer: &'static str,
) -> Result<ExceptionRow, Failure> {
    let signed = desk.store.purchase_record(row.wallet, row.number, tegata_store::Signed::Purchase)?;
    Ok(ExceptionRow {
        number: 0,
        kind,
        at: desk.now,
        open: true,
        device: Some(row.wallet),
        merchant: None,
        issuer: Some(row.issuer),
        card: row.card,
        generation: None,
        seq: None,
        check: Some(reference(desk, row)?),
        amount: Some((listing.price.unit(), listing.price.minor())),
        bearer,
        wallet_record: signed.map(|(_, body)| body),
        terminal_record: None,
    })
}
