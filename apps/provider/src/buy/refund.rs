//! Money on its way back: for a card that its own key gave back (flow 16), and for what could not be delivered. Of a purchase
//! never more goes back than it cost.
//!
//! A card given back is paid back L + U later (R11): until then what it spent before may still come. Its value stays held on
//! the dead card until the bank has the money; only then it is posted.

use super::saga::exception;
use super::{end, listing};
use crate::books::Accounts;
use crate::credit::{Sort, book_of, ends, outcome_of, send};
use crate::desk::{Desk, Failure};
use crate::install::reconciling;
use crate::settle::fees;
use crate::update::money;
use crate::update::record::Event;
use tegata_core::step::Break;
use tegata_core::talk::buy::{PurchaseRefusal, PurchaseState, Refunded};
use tegata_core::talk::credit::{OutcomeState, ProcessorAnswer, Refund};
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::{Amount, CardId, Hash, RequestNumber, Time};
use tegata_ledger::Kind;
use tegata_store::{
    About, Cause, ExceptionKind, ExceptionRow, PurchaseRow, RefundRow, RefundState, StoreError, SurrenderRow,
};

/// How many cards given back are looked at in one round.
const ROUND: u64 = 256;

/// A wallet's log says that a card was given back: it is dead from now on, and paid back when nothing can come any more.
pub(crate) fn surrendered(desk: &mut Desk<'_>, event: &Event) -> Result<(), Failure> {
    let card = desk.known_card(event.card)?.clone();
    if event.generation != card.generation || desk.store.surrender(event.card)?.is_some() {
        return Ok(());
    }
    let terms = desk.terms(card.terms)?;
    desk.kill(event.card, event.generation)?;
    let early = desk.shared.broken.has(Break::RefundedEarly);
    let later = if early { 0 } else { terms.list_age.saturating_add(terms.record_age) };
    let now = desk.now;
    desk.known_card(event.card)?.blocked = Some(now);
    desk.store.put_surrender(&SurrenderRow {
        card: event.card,
        generation: event.generation,
        wallet: card.wallet,
        due: now.after(later),
        asked: None,
        ended: None,
        body: None,
    })?;
    // Checks whose void or reversal was on its way to the wallet: it takes nothing up any more.
    for event in desk.store.ended_before(event.card, event.generation + 1)? {
        money::hold_back(desk, &event)?;
    }
    Ok(())
}

/// A check of a card given back came back to it: if the card was paid back already, what came is paid back too.
pub(crate) fn came_back(desk: &mut Desk<'_>, card: CardId) -> Result<(), Failure> {
    let Some(row) = desk.store.surrender(card)?.filter(|row| row.ended.is_some()) else {
        return Ok(());
    };
    let row = SurrenderRow { due: desk.now, asked: None, ended: None, body: None, ..row };
    desk.store.put_surrender(&row)?;
    // What was left is counted anew with what came.
    let known = desk.known_card(card)?.clone();
    let (accounts, mut again) = (Accounts::of(&known), 0);
    loop {
        let reference = dispute(known.head, again);
        let left = desk.store.posted(card.0, Cause::Disputed, &reference)?;
        if left == 0 {
            return Ok(());
        }
        if desk.store.posted(card.0, Cause::Reopened, &reference)? == 0 {
            let posted = (card.0, Cause::Reopened, reference);
            desk.books.post(desk.store, posted, accounts.disputed(), accounts.held(), left)?;
            return Ok(desk.store.resolve(ExceptionKind::Unreturned, card, &known.head)?);
        }
        again += 1;
    }
}

/// Asks for the refunds that are due.
pub(crate) fn due(desk: &mut Desk<'_>) -> Result<(), Failure> {
    // What was bought since the backup is not known yet (R15).
    if reconciling(desk)? {
        return Ok(());
    }
    for mut row in desk.store.surrenders_due(desk.now, ROUND)? {
        let purchases = desk.store.purchases_on(row.card)?;
        if purchases.iter().any(|purchase| purchase.state == PurchaseState::Provisional) {
            // What is not captured yet cannot be paid back yet.
            row.due = desk.now.after(Time::DAY);
            desk.store.put_surrender(&row)?;
            continue;
        }
        row.asked = Some(desk.now);
        desk.store.put_surrender(&row)?;
        let accounts = Accounts::of(desk.known_card(row.card)?);
        let mut left = desk.books.balance(desk.store, accounts.held())?;
        let terms = desk.known_card(row.card)?.terms;
        // Whoever cheated with it gets nothing back before a person has looked (R9).
        let refundable = desk.terms(terms)?.refundable && !desk.store.is_convicted(row.card)?;
        // Each purchase takes back at most what it cost and was not paid back before.
        for purchase in purchases.iter().filter(|_| refundable) {
            let price = listing(desk, purchase)?.price;
            let before = desk.store.refunded(purchase.wallet, purchase.number)?;
            let amount = left.min(price.minor().saturating_sub(before));
            if let Some(amount) = Amount::new(price.unit(), amount).filter(|amount| !amount.is_zero()) {
                left -= amount.minor();
                ask(desk, purchase, Some(row.card), amount)?;
                if desk.shared.broken.has(Break::RefundedTwice) {
                    ask(desk, purchase, Some(row.card), amount)?;
                }
            }
        }
        settle(desk, row)?;
    }
    Ok(())
}

/// Asks the processor to pay back a part of a purchase.
pub(super) fn ask(
    desk: &mut Desk<'_>,
    purchase: &PurchaseRow,
    card: Option<CardId>,
    amount: Amount,
) -> Result<(), Failure> {
    let clearing = purchase.clearing.ok_or(StoreError::Damaged)?;
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let number = RequestNumber(desk.draw_id());
    let signed = desk.sign(&[], |_| Refund { provider, number, at, clearing, amount, extensions: Default::default() });
    desk.store.put_refund(&RefundRow {
        number,
        wallet: purchase.wallet,
        purchase: purchase.number,
        card,
        amount: amount.minor(),
        state: RefundState::Asked,
        at,
    })?;
    send(desk, number, &signed, About::Refund, at)
}

/// What the processor answered. `false`: it is none to a refund, and is asked again (R26).
pub(crate) fn heard(
    desk: &mut Desk<'_>,
    number: RequestNumber,
    answer: &ProcessorAnswer,
    bytes: &[u8],
) -> Result<bool, Failure> {
    if !ends(Sort::Refund, answer) {
        return Ok(false);
    }
    desk.store.answered(number, bytes)?;
    let mut refund = desk.store.refund(number)?.ok_or(StoreError::Damaged)?;
    let mut purchase = desk.store.purchase(refund.wallet, refund.purchase)?.ok_or(StoreError::Damaged)?;
    let price = listing(desk, &purchase)?.price;
    let asked = Amount::new(price.unit(), refund.amount);
    let done =
        outcome_of(answer).is_some_and(|outcome| outcome.state == OutcomeState::Refunded && outcome.amount == asked);
    refund.state = if done { RefundState::Done } else { RefundState::Refused };
    desk.store.put_refund(&refund)?;
    if done {
        paid_back(desk, &refund, &purchase, price)?;
    } else {
        let row = exception(desk, &purchase, &listing(desk, &purchase)?, ExceptionKind::Unreturned, "processor")?;
        let amount = Some((price.unit(), refund.amount));
        desk.except(&ExceptionRow { amount, terminal_record: Some(bytes.to_vec()), ..row })?;
    }
    match refund.card {
        Some(card) => {
            let row = desk.store.surrender(card)?.ok_or(StoreError::Damaged)?;
            settle(desk, row)
        }
        None if done => end(desk, &mut purchase, PurchaseState::Returned, PurchaseRefusal::Card),
        // A person has to look: it stays on its way back.
        None => Ok(()),
    }
    .map(|()| true)
}

/// The bank has the money: the issuer owes that much less for what was sold, and the card that much less.
fn paid_back(desk: &mut Desk<'_>, refund: &RefundRow, purchase: &PurchaseRow, price: Amount) -> Result<(), Failure> {
    let processor = desk.store.processor()?.ok_or(StoreError::Damaged)?;
    let books = book_of(processor.info.processor, price.unit());
    let reference = Hash::of(&refund.number.0);
    let posted = (purchase.issuer.0, Cause::Refunded, reference);
    let payable = books(Kind::Payable(purchase.issuer));
    // A purchase of which something goes back has its fee back first, whole: so what goes back is always there.
    let reserved = super::reference(desk, purchase)?;
    if desk.store.posted(purchase.issuer.0, Cause::FeeBack, &reserved)? == 0 {
        fees::give_back(desk, (processor.info.processor, price.unit()), purchase.issuer, reserved)?;
    }
    let first = desk.books.balance(desk.store, payable)?.min(refund.amount);
    desk.books.post(desk.store, posted, payable, books(Kind::Refunded), first)?;
    let paid = books(Kind::Paid(purchase.issuer));
    desk.books.post(desk.store, posted, paid, books(Kind::Refunded), refund.amount - first)?;
    if let Some(card) = refund.card {
        let accounts = Accounts::of(desk.known_card(card)?);
        let posted = (card.0, Cause::Refunded, reference);
        desk.books.post(desk.store, posted, accounts.held(), accounts.refunded(), refund.amount)?;
    }
    Ok(())
}

/// What a dispute about what was left is posted under: the card's last event, and a count where it came to another one.
fn dispute(last: Hash, again: u64) -> Hash {
    if again == 0 { last } else { Hash::of(&[last.0.as_slice(), &again.to_be_bytes()].concat()) }
}

/// Ends a card given back once every refund of it is known, and tells its wallet.
fn settle(desk: &mut Desk<'_>, mut row: SurrenderRow) -> Result<(), Failure> {
    let refunds = desk.store.refunds_of(row.card)?;
    if row.ended.is_some() || refunds.iter().any(|refund| refund.state == RefundState::Asked) {
        return Ok(());
    }
    let card = desk.known_card(row.card)?.clone();
    let accounts = Accounts::of(&card);
    let left = desk.books.balance(desk.store, accounts.held())?;
    if left > 0 {
        let mut again = 0;
        while desk.store.posted(row.card.0, Cause::Disputed, &dispute(card.head, again))? != 0 {
            again += 1;
        }
        let posted = (row.card.0, Cause::Disputed, dispute(card.head, again));
        desk.books.post(desk.store, posted, accounts.held(), accounts.disputed(), left)?;
        desk.except(&ExceptionRow {
            number: 0,
            kind: ExceptionKind::Unreturned,
            at: desk.now,
            open: true,
            device: Some(row.wallet),
            merchant: None,
            issuer: Some(card.issuer),
            card: Some(row.card),
            generation: Some(row.generation),
            seq: Some(card.seq),
            check: Some(card.head),
            amount: Some((card.unit, left)),
            bearer: "issuer",
            wallet_record: None,
            terminal_record: None,
        })?;
    }
    let done = refunds.iter().filter(|refund| refund.state == RefundState::Done).map(|refund| refund.amount).sum();
    let amount = |minor| Amount::new(card.unit, minor).ok_or(StoreError::Damaged);
    let (amount, left) = (amount(done)?, amount(left)?);
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let signed = desk.sign(&[], |signer| Refunded {
        wallet: row.wallet,
        card: row.card,
        amount,
        left,
        provider,
        at,
        signer,
        extensions: Default::default(),
    });
    row.ended = Some(at);
    row.body = Some(signed.encode());
    desk.store.put_surrender(&row)?;
    let command = Command { card: Some(row.card), refund: Some(signed), ..Command::new(CommandKind::Refund) };
    Ok(desk.command(row.wallet, &command)?)
}
