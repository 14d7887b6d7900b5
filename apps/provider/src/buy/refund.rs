//! Money on its way back: for a card that its own key gave back (flow 16), and for what could not be delivered. Of a purchase
//! never more goes back than it cost, and of a part of its units no more than their share of that (`share.rs`).
//!
//! A card given back is paid back L + U later (R11): until then what it spent before may still come. What the bank is asked to
//! pay back leaves the card as it is asked, so that no late claim takes it, too; what the bank refuses comes back to it. Should
//! a check of it end even later, what comes back is paid back in another round.

use super::saga::exception;
use super::share::{now_due, paid_for};
use super::{end, free, listing};
use crate::books::Accounts;
use crate::credit::{Sort, book_of, ends, outcome_of, send};
use crate::desk::{Desk, Failure};
use crate::enter;
use crate::give;
use crate::install::reconciling;
use crate::settle::fees;
use crate::update::money;
use crate::update::record::Event;
use tegata_core::card::EventKind;
use tegata_core::step::Break;
use tegata_core::talk::buy::{Listing, PurchaseRefusal, PurchaseState, Refunded};
use tegata_core::talk::credit::{OutcomeState, ProcessorAnswer, Refund};
use tegata_core::talk::enter::{Admitted, EnterRefusal};
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::{Amount, CardId, Hash, RequestNumber, Time, Unit};
use tegata_ledger::{Account, Kind, Side};
use tegata_store::{
    About, CardRow, Cause, ExceptionKind, ExceptionRow, PurchaseRow, RefundRow, RefundState, StoreError, SurrenderRow,
};

/// How far the clock of a gate may be off, in seconds, so that what it let in before the doors open is none.
const BEFORE_DOORS: u64 = 3600;
/// After how many seconds a card is looked at again of which units are on their way back.
const COUNTED: u64 = 60;
/// How many cards given back are looked at in one round.
const ROUND: u64 = 256;

/// A wallet's log says that a card was given back: it is dead from now on, and paid back when nothing can come any more.
pub(crate) fn surrendered(desk: &mut Desk<'_>, event: &Event) -> Result<(), Failure> {
    let card = desk.known_card(event.card)?.clone();
    if event.generation != card.generation || desk.store.surrender(event.card)?.is_some() {
        return Ok(());
    }
    let terms = desk.terms(card.terms)?;
    if terms.ticket.is_none() || !desk.shared.broken.has(Break::GivenBackLetIn) {
        desk.kill(event.card, event.generation)?;
        enter::kill(desk, event.card, event.generation, EnterRefusal::Refunded)?;
    }
    let now = desk.now;
    // Before the doors open no gate can have let it in: there is nothing to wait for.
    let unused = terms.ticket.is_some() && !enter::may_have_come(desk, &card, BEFORE_DOORS)?;
    let early = unused || desk.shared.broken.has(Break::RefundedEarly);
    let later = if early { 0 } else { terms.list_age.saturating_add(terms.record_age) };
    desk.known_card(event.card)?.blocked = Some(now);
    desk.store.put_surrender(&SurrenderRow {
        card: event.card,
        generation: event.generation,
        wallet: card.wallet,
        at: now,
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

/// A check of a card given back came back to it: there is another round, also if the card was paid back already.
pub(crate) fn came_back(desk: &mut Desk<'_>, card: CardId) -> Result<(), Failure> {
    match desk.store.surrender(card)?.filter(|row| row.asked.is_some()) {
        // What was signed of it so far stands until the round has ended.
        Some(row) => Ok(desk.store.put_surrender(&SurrenderRow { due: desk.now, asked: None, ended: None, ..row })?),
        None => Ok(()),
    }
}

/// Asks for the refunds that are due.
pub(crate) fn due(desk: &mut Desk<'_>) -> Result<(), Failure> {
    // What was bought since the backup is not known yet (R15).
    if reconciling(desk)? {
        return Ok(());
    }
    for row in desk.store.surrenders_due(desk.now, ROUND)? {
        pay_back(desk, row)?;
    }
    Ok(())
}

/// What a ticket given back is worth: what it cost, or nothing where it let somebody in or came back too late.
fn worth(desk: &Desk<'_>, row: &SurrenderRow, card: &CardRow, held: u64, undone: bool) -> Result<u64, Failure> {
    let until = desk.terms(card.terms)?.ticket.and_then(|ticket| ticket.refund_until);
    let late = !undone && until.is_some_and(|until| row.at >= until);
    let used = desk.store.ticket(row.card)?.is_some_and(|ticket| ticket.used > 0)
        || desk.store.admissions_by(row.card)?.iter().any(|one| one.done == Admitted::In);
    Ok(if late || used || held != card.face { 0 } else { u64::MAX })
}

/// A ticket is over because its event was changed or cancelled: it is paid back from `due` on, once.
pub(crate) fn undone(desk: &mut Desk<'_>, card: &CardRow, due: Time) -> Result<(), Failure> {
    if desk.store.surrender(card.card)?.is_some() {
        return Ok(());
    }
    let now = desk.now;
    let blocked = &mut desk.known_card(card.card)?.blocked;
    *blocked = blocked.or(Some(now));
    let (wallet, generation) = (card.wallet, card.generation);
    let row = SurrenderRow { card: card.card, generation, wallet, due, asked: None, ended: None, body: None, at: now };
    // What was bought since the backup is not known yet: it is paid back as soon as it is (R15).
    if due > now || reconciling(desk)? {
        return Ok(desk.store.put_surrender(&row)?);
    }
    pay_back(desk, row)
}

/// Asks for what a card given back is worth.
fn pay_back(desk: &mut Desk<'_>, mut row: SurrenderRow) -> Result<(), Failure> {
    let purchases = desk.store.purchases_on(row.card)?;
    let card = desk.known_card(row.card)?.clone();
    // What is not captured yet cannot be paid back yet; nor is the share of units known while the bank may refuse that of others.
    let provisional = purchases.iter().any(|purchase| purchase.state == PurchaseState::Provisional);
    if provisional || is_counting(desk, &card)? {
        row.due = desk.now.after(if provisional { Time::DAY } else { COUNTED });
        return Ok(desk.store.put_surrender(&row)?);
    }
    let held = desk.books.balance(desk.store, Accounts::of(&card).held())?;
    // A ticket that has let nobody in is worth what it cost; one that has, nothing, unless its event is cancelled.
    let undone = if card.unit == Unit::ENTRIES { enter::undone(desk, row.card)? } else { None };
    let mut left = match card.unit == Unit::ENTRIES {
        // An event that is cancelled is paid back whatever was used of it.
        true if undone == Some(true) && held == card.face => u64::MAX,
        true => worth(desk, &row, &card, held, undone.is_some())?,
        false => held,
    };
    row.asked = Some(desk.now);
    desk.store.put_surrender(&row)?;
    // What the bank would not pay for in the end is not paid back out of what it did pay for.
    for unpaid in purchases.iter().filter(|purchase| purchase.state == PurchaseState::Unpaid) {
        left = left.saturating_sub(listing(desk, unpaid)?.face.minor());
    }
    let terms = desk.known_card(row.card)?.terms;
    let refundable = undone.is_some() || desk.terms(terms)?.refundable;
    // Whoever cheated with it gets nothing back before a person has looked (R9): neither for what it holds nor for what it bought.
    let refundable = refundable && !give::is_convicted(desk, &card, row.wallet)?;
    // Each purchase takes back at most what it cost and was not paid back before.
    for purchase in purchases.iter().filter(|one| refundable && one.state == PurchaseState::Delivered) {
        if give::is_convicted(desk, &card, purchase.wallet)? {
            continue;
        }
        let (part, amount) = due_of(desk, purchase, &card, left)?;
        if part == 0 {
            continue;
        }
        left -= part;
        if amount.is_zero() {
            too_little(desk, purchase, row.card, part)?;
            continue;
        }
        ask(desk, purchase, Some((row.card, part)), amount)?;
        if card.unit == Unit::ENTRIES {
            free(desk, purchase)?;
        }
        if desk.shared.broken.has(Break::RefundedTwice) {
            ask(desk, purchase, Some((row.card, part)), amount)?;
        }
    }
    settle(desk, row)
}

/// Whether the bank has not said yet what becomes of units that leave this card.
fn is_counting(desk: &Desk<'_>, card: &CardRow) -> Result<bool, Failure> {
    let asked = |refund: &RefundRow| refund.state == RefundState::Asked;
    Ok(card.unit == Unit::CALL_UNITS && desk.store.refunds_of(card.card)?.iter().any(asked))
}

/// What of `left` goes back for this purchase: what leaves the card, and what that has cost.
fn due_of(desk: &Desk<'_>, purchase: &PurchaseRow, card: &CardRow, left: u64) -> Result<(u64, Amount), Failure> {
    let sold = listing(desk, purchase)?;
    let paid = desk.store.refunded(purchase.wallet, purchase.number)?;
    let most = sold.price.minor().saturating_sub(paid);
    // Of a ticket not money goes, but the ticket: whole, or not at all.
    let (part, money) = if card.unit == Unit::ENTRIES {
        let money = left.min(most);
        (if money == 0 { 0 } else { card.face }, money)
    } else {
        let before = gone(desk, purchase, None)?;
        let part = left.min(sold.face.minor().saturating_sub(before));
        (part, now_due(whole(&sold), before, part).ok_or(StoreError::Damaged)?.min(most))
    };
    Ok((part, Amount::new(sold.price.unit(), money).ok_or(StoreError::Damaged)?))
}

/// What a purchase brought, and what that cost.
fn whole(sold: &Listing) -> (u64, u64) {
    (sold.face.minor(), sold.price.minor())
}

/// What of a purchase has left its card by refunds, but for this one. What the bank refused is on it again.
fn gone(desk: &Desk<'_>, purchase: &PurchaseRow, but: Option<RequestNumber>) -> Result<u64, Failure> {
    let card = purchase.card.ok_or(StoreError::Damaged)?;
    let of_this = |refund: &RefundRow| {
        (refund.wallet, refund.purchase) == (purchase.wallet, purchase.number) && Some(refund.number) != but
    };
    let mut gone = 0_u64;
    for refund in desk.store.refunds_of(card)?.iter().filter(|refund| of_this(refund)) {
        gone = gone.saturating_add(taken(desk, refund)?);
    }
    Ok(gone)
}

/// What a refund took from its card and did not bring back.
fn taken(desk: &Desk<'_>, refund: &RefundRow) -> Result<u64, Failure> {
    let Some(card) = refund.card else {
        return Ok(0);
    };
    let reference = Hash::of(&refund.number.0);
    let from = |side| desk.store.posted_from(card.0, Cause::Refunded, &reference, side);
    Ok(from(Side::Held)?.saturating_sub(from(Side::Refunded)?))
}

/// Units that have cost less than the smallest coin: no bank pays that. They leave the card, and count with those that come back to it
/// later.
fn too_little(desk: &mut Desk<'_>, purchase: &PurchaseRow, card: CardId, part: u64) -> Result<(), Failure> {
    let refund = RefundRow {
        number: RequestNumber(desk.draw_id()),
        wallet: purchase.wallet,
        purchase: purchase.number,
        card: Some(card),
        amount: 0,
        state: RefundState::Done,
        at: desk.now,
    };
    desk.store.put_refund(&refund)?;
    of_card(desk, &refund, part, |accounts| (accounts.held(), accounts.refunded()))
}

/// Asks the processor to pay back this amount of a purchase. `of`: the part of its card that goes for it, from now on not on it any
/// more.
pub(super) fn ask(
    desk: &mut Desk<'_>,
    purchase: &PurchaseRow,
    of: Option<(CardId, u64)>,
    amount: Amount,
) -> Result<(), Failure> {
    let clearing = purchase.clearing.ok_or(StoreError::Damaged)?;
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let number = RequestNumber(desk.draw_id());
    let signed = desk.sign(&[], |_| Refund { provider, number, at, clearing, amount, extensions: Default::default() });
    let refund = RefundRow {
        number,
        wallet: purchase.wallet,
        purchase: purchase.number,
        card: of.map(|(card, _)| card),
        amount: amount.minor(),
        state: RefundState::Asked,
        at,
    };
    desk.store.put_refund(&refund)?;
    let part = of.map_or(0, |(_, part)| part);
    of_card(desk, &refund, part, |accounts| (accounts.held(), accounts.refunded()))?;
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
    let sold = listing(desk, &purchase)?;
    let (price, asked) = (sold.price, refund.amount);
    let back = outcome_of(answer).filter(|outcome| outcome.state == OutcomeState::Refunded);
    let back = back.and_then(|outcome| outcome.amount).filter(|amount| amount.unit() == price.unit());
    let back = back.map(Amount::minor).filter(|back| (1..=asked).contains(back));
    // The bank may have paid back a part.
    let (done, rest) = (back == Some(asked), asked - back.unwrap_or(0));
    if rest > 0 {
        let part = unpaid_part(desk, &refund, &purchase, (&sold, back))?;
        of_card(desk, &refund, part, |accounts| (accounts.refunded(), accounts.held()))?;
        let row = exception(desk, &purchase, &sold, ExceptionKind::Unreturned, "processor")?;
        let amount = Some((price.unit(), rest));
        desk.except(&ExceptionRow { amount, terminal_record: Some(bytes.to_vec()), ..row })?;
    }
    refund.amount = back.unwrap_or(asked);
    refund.state = if back.is_some() { RefundState::Done } else { RefundState::Refused };
    desk.store.put_refund(&refund)?;
    if back.is_some() {
        paid_back(desk, &refund, &purchase, price)?;
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

/// What of a refund's card comes back to it, since the bank paid only so much, or nothing.
fn unpaid_part(
    desk: &mut Desk<'_>,
    refund: &RefundRow,
    purchase: &PurchaseRow,
    (sold, back): (&Listing, Option<u64>),
) -> Result<u64, Failure> {
    let Some(card) = refund.card else {
        return Ok(0);
    };
    let taken = taken(desk, refund)?;
    match back {
        None => Ok(taken),
        // A ticket comes back whole, or not at all.
        Some(_) if desk.known_card(card)?.unit == Unit::ENTRIES => Ok(0),
        Some(money) => {
            let before = gone(desk, purchase, Some(refund.number))?;
            let paid = paid_for(whole(sold), before, money).ok_or(StoreError::Damaged)?;
            Ok(taken.saturating_sub(paid))
        }
    }
}

/// Moves a part of a refund's card from it, or back to it, if the refund is of a card.
fn of_card(
    desk: &mut Desk<'_>,
    refund: &RefundRow,
    part: u64,
    way: impl Fn(&Accounts) -> (Account, Account),
) -> Result<(), Failure> {
    let Some(card) = refund.card else {
        return Ok(());
    };
    let (from, to) = way(&Accounts::of(desk.known_card(card)?));
    let posted = (card.0, Cause::Refunded, Hash::of(&refund.number.0));
    Ok(desk.books.post(desk.store, posted, from, to, part)?)
}

/// The bank has the money: the issuer is owed that much less for what was sold.
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
    Ok(desk.books.post(desk.store, posted, paid, books(Kind::Refunded), refund.amount - first)?)
}

/// What its next dispute is posted under, the card's last event and a count where something came back later; and what is in
/// dispute of it already.
fn dispute(desk: &Desk<'_>, card: CardId, last: Hash) -> Result<(Hash, u64), Failure> {
    let (mut reference, mut again, mut before) = (last, 0_u64, 0_u64);
    loop {
        match desk.store.posted(card.0, Cause::Disputed, &reference)? {
            0 => return Ok((reference, before)),
            posted => before = before.saturating_add(posted),
        }
        again += 1;
        reference = Hash::of(&[last.0.as_slice(), &again.to_be_bytes()].concat());
    }
}

/// The event by which a card's own key gave it back, as it was heard of first: a copy may have signed something else at its place (R9).
fn given_back(desk: &Desk<'_>, row: &SurrenderRow) -> Result<Option<Hash>, Failure> {
    let all = desk.store.events(row.card, row.generation, 0, u64::MAX >> 1)?;
    let own = all.into_iter().filter(|event| event.kind == EventKind::Surrender);
    Ok(own.min_by_key(|event| (event.at, event.hash.0)).map(|event| event.hash))
}

/// Ends a card given back once every refund of it is known, and tells its wallet.
fn settle(desk: &mut Desk<'_>, mut row: SurrenderRow) -> Result<(), Failure> {
    let refunds = desk.store.refunds_of(row.card)?;
    if row.ended.is_some() || row.asked.is_none() || refunds.iter().any(|refund| refund.state == RefundState::Asked) {
        return Ok(());
    }
    let card = desk.known_card(row.card)?.clone();
    let accounts = Accounts::of(&card);
    let last = given_back(desk, &row)?.unwrap_or(card.head);
    let (reference, before) = dispute(desk, row.card, last)?;
    let left = desk.books.balance(desk.store, accounts.held())?;
    if left > 0 {
        let posted = (row.card.0, Cause::Disputed, reference);
        desk.books.post(desk.store, posted, accounts.held(), accounts.disputed(), left)?;
        unreturned(desk, &row, left)?;
    }
    let done = refunds.iter().filter(|refund| refund.state == RefundState::Done).map(|refund| refund.amount).sum();
    let paid = match refunds.first() {
        Some(refund) => {
            let purchase = desk.store.purchase(refund.wallet, refund.purchase)?.ok_or(StoreError::Damaged)?;
            listing(desk, &purchase)?.price.unit()
        }
        None => card.unit,
    };
    let amount = |unit, minor| Amount::new(unit, minor).ok_or(StoreError::Damaged);
    let (amount, left) = (amount(paid, done)?, amount(card.unit, before.saturating_add(left))?);
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

/// What was on a card given back and was not paid back: a person has to look.
fn unreturned(desk: &mut Desk<'_>, row: &SurrenderRow, amount: u64) -> Result<(), Failure> {
    let card = desk.known_card(row.card)?.clone();
    let generation = Some(row.generation);
    let found = about(desk, &card, card.head, amount);
    Ok(desk.except(&ExceptionRow { generation, device: Some(row.wallet), bearer: "issuer", ..found })?)
}

/// A card that the provider itself could not pay back, because of what this hash names: a person has to look.
pub(crate) fn looked_at(
    desk: &mut Desk<'_>,
    card: &CardRow,
    because: Hash,
    record: Option<Vec<u8>>,
) -> Result<(), Failure> {
    let found = about(desk, card, because, card.face);
    Ok(desk.except(&ExceptionRow { terminal_record: record, ..found })?)
}

fn about(desk: &Desk<'_>, card: &CardRow, check: Hash, amount: u64) -> ExceptionRow {
    ExceptionRow {
        number: 0,
        kind: ExceptionKind::Unreturned,
        at: desk.now,
        open: true,
        device: Some(card.wallet),
        merchant: None,
        issuer: Some(card.issuer),
        card: Some(card.card),
        generation: Some(card.generation),
        seq: Some(card.seq),
        check: Some(check),
        amount: Some((card.unit, amount)),
        bearer: "provider",
        wallet_record: None,
        terminal_record: None,
    }
}
