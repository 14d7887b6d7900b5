//! An event is changed or cancelled after its tickets were sold (flow 15): what its promoter signs, what each holder says to that,
//! and what becomes of each ticket.
//!
//! A change replaces terms by other terms, which the promoter has listed before: from that moment on only the new ones are sold, and
//! gates refuse the old ones as changed. Whoever takes the new ticket keeps its card, key and generation, and gets a certificate
//! under the new terms: the entries that it has used stay used at every gate that has seen it, nothing has to be put on a
//! revocation list, and no key has to travel. Whoever declines is paid back.
//!
//! A ticket that had let somebody in before is not offered its money: it goes on under the new terms, which its wallet is told. If
//! the event is cancelled it is paid back like all others.
//!
//! What is changed may be changed again, or cancelled, while some have not answered yet. Then the later word takes the place of the
//! earlier one for them: the earlier question is closed in the transaction in which the ticket has its turn in the later change, by
//! the terms that it has. Whoever answers the closed question is told that it is over; that answer moves no money.
//!
//! A change may move seats (`moves.rs`): the ticket's certificate names its new seat once it has the new terms.
//!
//! A cancelled ticket, and one whose doors have not opened, is paid back at once: no gate can let it in any more. Where the old
//! doors are open, a gate that has not heard of the change might have, so its log is waited for, L + U, as with every card that is
//! given back (R11).

use super::moves;
use super::setup::kill;
use crate::buy;
use crate::cards::done;
use crate::desk::{Desk, Failure};
use crate::give;
use crate::install::reconciling;
use tegata_core::card::ticket::GATE_TOLERANCE;
use tegata_core::card::{CardCertificate, Terms};
use tegata_core::step::Break;
use tegata_core::talk::enter::{Admitted, EnterRefusal};
use tegata_core::talk::event::{Change, ChangeAnswer, ChangeOutcome, ChangeReply, Changed, MovedSeat};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{CardId, EventId, Handle, Hash, Time, WalletId};
use tegata_store::{CardRow, ChangeRow, ChangeState, ChangeTicketRow, Store, StoreError, TicketRow};

/// How many changes may lead to terms that are changed once more: a ticket that comes late, such as one by number, passes through all
/// of them in one turn. To cancel is always possible.
const MOST_BEFORE: usize = 100;

/// Begins a change. The same one again changes nothing, but those tickets that failed have another turn. One that was refused stays so:
/// its promoter was told, and says it otherwise, so that a late copy of it must not count.
pub(crate) fn change(desk: &mut Desk<'_>, request: &Verified<Change>) -> Result<Vec<u8>, Failure> {
    let hash = request.hash();
    if desk.store.change(&hash)?.is_some() {
        if desk.store.retry_change(&hash)? > 0 {
            desk.store.reopen_change(&hash)?;
            desk.changing = true;
        }
        return Ok(done(desk, &hash, request.at));
    }
    // What was sold since the backup is not known yet (R15).
    if reconciling(desk)? {
        return Err(Failure::Refused(ProviderRefusal::Reconciling, Some(60)));
    }
    if let Some((why, text)) = desk.store.refused_change(&hash)? {
        return Err(text.map_or(Failure::Refused(why, None), |text| Failure::Told(why, text)));
    }
    let begun = begin(desk, request);
    let refused = match &begun {
        Err(Failure::Refused(why, _)) => Some((*why, None)),
        Err(Failure::Told(why, text)) => Some((*why, Some(text.as_str()))),
        Ok(()) | Err(Failure::Provider(_)) => None,
    };
    if let Some((why, text)) = refused.filter(|(why, _)| !why.is_transient()) {
        desk.store.refuse_change(&hash, (why, text), desk.now)?;
    }
    begun.map(|()| done(desk, &hash, request.at))
}

/// The same, where it is new: nothing is written before all of it is judged.
fn begin(desk: &mut Desk<'_>, request: &Verified<Change>) -> Result<(), Failure> {
    let hash = request.hash();
    let mut planned = desk.store.planned(request.event)?.filter(|row| row.promoter == request.promoter);
    let planned = planned.as_mut().ok_or(ProviderRefusal::Unknown)?;
    let known = desk.store.event_terms(request.event)?;
    let is_sold = |terms: Handle| known.iter().any(|(one, replaced)| *one == terms && replaced.is_none());
    if !is_sold(request.before) {
        // Another change was first, or there are no such tickets.
        return Err(ProviderRefusal::Repeated.into());
    }
    if let Some(after) = &request.after
        && !(is_sold(after.handle()) && fits(desk, request, after)?)
    {
        return Err(ProviderRefusal::Terms.into());
    }
    let leading = leading_here(desk.store, request.event, request.before)?;
    if request.after.is_some() && leading.len() >= MOST_BEFORE {
        return Err(ProviderRefusal::Terms.into());
    }
    moves::judge(desk, request)?;
    desk.store.put_event_terms(request.event, request.before, Some(desk.now))?;
    let all_cancelled =
        known.iter().all(|(terms, replaced)| *terms == request.before || replaced.is_some()) && request.after.is_none();
    if all_cancelled {
        planned.cancelled = Some(desk.now);
    }
    planned.changed += 1;
    desk.store.put_planned(planned)?;
    // What earlier changes could not do with their tickets has another turn, which leads here: also what failed in one before the
    // last, where silence had decided before that came.
    for earlier in leading {
        if desk.store.retry_change(&earlier.change)? > 0 {
            desk.store.reopen_change(&earlier.change)?;
        }
    }
    let row = ChangeRow {
        change: hash,
        promoter: request.promoter,
        event: request.event,
        before: request.before,
        after: request.after.as_ref().map(Terms::handle),
        answer_until: request.answer_until,
        silence_refunds: request.silence_refunds,
        at: desk.now,
        cursor: Some(CardId([0; 16])),
        ended: None,
        text: Some(request.text.clone()),
    };
    desk.store.put_change(&row, &request.signed().encode())?;
    desk.store.move_seats(request.event, &hash, request.moves())?;
    desk.changing = true;
    Ok(())
}

/// The changes that lead to these terms, directly or by others. None leads back, and each replaces other terms, so none comes twice.
fn leading_here(store: &Store, event: EventId, terms: Handle) -> Result<Vec<ChangeRow>, StoreError> {
    let (mut all, mut next) = (store.changes_into(event, terms)?, 0);
    while let Some(before) = all.get(next).map(|earlier| earlier.before) {
        all.extend(store.changes_into(event, before)?);
        next += 1;
    }
    Ok(all)
}

/// Whether tickets under the old terms can go on under these: as many entries, at the same event, and no article sells the old
/// ones any more.
fn fits(desk: &Desk<'_>, request: &Change, after: &Terms) -> Result<bool, Failure> {
    let before = desk.terms(request.before)?;
    let entries = |terms: &Terms| terms.ticket.as_ref().map(|ticket| (ticket.event, ticket.entries));
    let alike = entries(after) == entries(&before) && (after.unit, after.kind) == (before.unit, before.kind);
    let still_sold = desk.store.articles()?.iter().any(|row| {
        let listing = Signed::<tegata_core::talk::buy::Listing>::decode(&row.body);
        listing.is_ok_and(|listing| listing.claimed().terms.handle() == request.before)
    });
    Ok(alike && !still_sold && after.issuer == request.promoter && request.answer_until > desk.now)
}

/// Whether a change has replaced these terms: nothing is sold or delivered under them any more.
pub(crate) fn is_replaced(desk: &Desk<'_>, terms: &Terms) -> Result<bool, Failure> {
    let Some(ticket) = &terms.ticket else {
        return Ok(false);
    };
    let handle = terms.handle();
    Ok(desk.store.event_terms(ticket.event)?.iter().any(|(one, replaced)| *one == handle && replaced.is_some()))
}

/// The change that takes the place of this one for everybody who has not answered by then: it replaces the terms that this one
/// offers. Where it came after the deadline there was nobody left to answer: silence has decided first.
pub(super) fn superseded_by(store: &Store, change: &ChangeRow) -> Result<Option<ChangeRow>, StoreError> {
    let Some(after) = change.after else {
        return Ok(None);
    };
    Ok(store.change_of(change.event, after)?.filter(|later| later.at < change.answer_until))
}

/// A holder says what it wants. The first answer counts, and none that comes after the deadline or after a later change: whoever is
/// late is told what the promoter's rule has made of its silence, or that the question is over.
pub(crate) fn answered(desk: &mut Desk<'_>, request: &Verified<ChangeAnswer>) -> Result<Vec<u8>, Failure> {
    let ours = desk.card(request.card)?.is_some_and(|card| card.wallet == request.wallet);
    let change = desk.store.change(&request.change)?.filter(|_| ours).ok_or(ProviderRefusal::Unknown)?;
    let row = desk.store.change_ticket(request.card, &request.change)?;
    let mut row = row.ok_or(ProviderRefusal::Unknown)?;
    let given = desk.known_card(request.card)?.clone();
    // Whoever has given it away has no say any more (R12): whoever has it is asked as soon as it is registered.
    if row.state.is_open() && give::is_open(desk, &given)? {
        return Err(ProviderRefusal::NotAllowed.into());
    }
    let later = superseded_by(desk.store, &change)?.filter(|_| row.state.is_open());
    if let Some(later) = later {
        // Signed before its wallet had heard of the later change, which has its say at once; money waits as with every turn (R15).
        if reconciling(desk)? {
            return Err(Failure::Refused(ProviderRefusal::Reconciling, Some(60)));
        }
        supersede(desk, &change, row.clone(), &later)?;
        row = desk.store.change_ticket(request.card, &request.change)?.ok_or(StoreError::Damaged)?;
    } else if row.state.is_open() || desk.shared.broken.has(Break::LaterAnswerCounts) {
        let wanted = match () {
            () if change.after.is_none() => ChangeState::Cancelled,
            () if desk.now >= change.answer_until => silence(&change),
            () => {
                // It may have been told when another one held it, which gave it to this one.
                row.wallet = request.wallet;
                row.answer = Some(request.signed().encode());
                if request.accept { ChangeState::Accepted } else { ChangeState::Declined }
            }
        };
        decide(desk, &change, &mut row, wanted)?;
    }
    let outcome = match row.state {
        state if state.is_refund() => ChangeOutcome::Refunded,
        ChangeState::Kept => ChangeOutcome::Kept,
        state if state.is_taken() => ChangeOutcome::Taken,
        ChangeState::Over | ChangeState::Superseded => ChangeOutcome::Over,
        _ => ChangeOutcome::Failed,
    };
    let card = desk.known_card(request.card)?.clone();
    let certificate = match row.state.is_taken() && Some(card.terms) == change.after {
        true => Some(desk.certify(&card, &desk.terms(card.terms)?, desk.card_key(&card)?)?),
        false => None,
    };
    Ok(desk.answer(&request.hash(), |signer| ChangeReply {
        card: request.card,
        change: request.change,
        outcome,
        certificate,
        signer,
        extensions: Default::default(),
    }))
}

/// What becomes of a ticket whose holder says nothing.
fn silence(change: &ChangeRow) -> ChangeState {
    if change.silence_refunds { ChangeState::SilentRefunded } else { ChangeState::SilentAccepted }
}

/// The turn of one ticket: it is told, or decided where its holder has no say or has not used it.
pub(super) fn turn(desk: &mut Desk<'_>, change: &ChangeRow, id: CardId) -> Result<(), Failure> {
    let (wallet, at) = (desk.known_card(id)?.wallet, desk.now);
    let listed =
        ChangeTicketRow { card: id, change: change.change, wallet, state: ChangeState::Listed, at, answer: None };
    let before = desk.store.change_ticket(id, &change.change)?;
    let mut row = before.unwrap_or(listed);
    if !row.state.is_open() {
        return Ok(());
    }
    if let Some(later) = superseded_by(desk.store, change)? {
        return supersede(desk, change, row, &later);
    }
    row.wallet = wallet;
    if change.after.is_none() {
        // The wallet is told, too: what was paid back comes to it by a command of its own.
        tell(desk, change, &row, change.answer_until)?;
        return decide(desk, change, &mut row, ChangeState::Cancelled);
    }
    if let ChangeState::Listed = row.state {
        if over(desk, id)? {
            return decide(desk, change, &mut row, ChangeState::Over);
        }
        if came_in(desk, id)? {
            // There is nothing to answer any more.
            tell(desk, change, &row, desk.now)?;
            return decide(desk, change, &mut row, ChangeState::Kept);
        }
        tell(desk, change, &row, change.answer_until)?;
        row.state = ChangeState::Told;
        row.at = at;
        return Ok(desk.store.put_change_ticket(&row)?);
    }
    if desk.now >= change.answer_until {
        decide(desk, change, &mut row, silence(change))?;
    }
    Ok(())
}

/// A ticket whose holder has not answered has its turn in a later change, at once; one that was given back has none.
fn supersede(
    desk: &mut Desk<'_>,
    change: &ChangeRow,
    mut row: ChangeTicketRow,
    later: &ChangeRow,
) -> Result<(), Failure> {
    if over(desk, row.card)? {
        return decide(desk, change, &mut row, ChangeState::Over);
    }
    let card = row.card;
    pass_on(desk, row, later)?;
    turn(desk, later, card)
}

/// Closes the question of an earlier change: from now on the later one counts the ticket, and is not over before it is decided there.
fn pass_on(desk: &mut Desk<'_>, row: ChangeTicketRow, later: &ChangeRow) -> Result<(), Failure> {
    desk.store.put_change_ticket(&ChangeTicketRow { state: ChangeState::Superseded, at: desk.now, ..row })?;
    desk.store.reopen_change(&later.change)?;
    desk.changing = true;
    Ok(())
}

/// The ticket's wallet hears of it by its next update.
fn tell(desk: &mut Desk<'_>, change: &ChangeRow, row: &ChangeTicketRow, answer_until: Time) -> Result<(), Failure> {
    let seat = moves::told(desk, change, row.card)?;
    say(desk, change, (row.card, row.wallet), answer_until, seat)
}

/// Says to a wallet what a change makes of its ticket, and of the seat that it knows.
fn say(
    desk: &mut Desk<'_>,
    change: &ChangeRow,
    (card, wallet): (CardId, WalletId),
    answer_until: Time,
    seat: Option<MovedSeat>,
) -> Result<(), Failure> {
    // The signed change is read only where nothing else says it: with many seats it is long.
    let text = match &change.text {
        Some(text) => text.clone(),
        None => {
            let signed = desk.store.change_signed(&change.change)?;
            Signed::<Change>::decode(&signed).map_err(|_| StoreError::Damaged)?.claimed().text.clone()
        }
    };
    let changed = Changed {
        change: change.change,
        card,
        after: change.after.map(|after| desk.terms(after)).transpose()?,
        text,
        answer_until,
        silence_refunds: change.silence_refunds,
        seat,
        extensions: Default::default(),
    };
    let command = Command { card: Some(card), change: Some(changed), ..Command::new(CommandKind::Change) };
    Ok(desk.command(wallet, &command)?)
}

/// Its holder has given it back, or a change before this one has paid it back.
fn over(desk: &Desk<'_>, card: CardId) -> Result<bool, Failure> {
    Ok(desk.store.surrender(card)?.is_some())
}

fn came_in(desk: &Desk<'_>, card: CardId) -> Result<bool, Failure> {
    Ok(desk.store.admissions_by(card)?.iter().any(|one| one.done == Admitted::In))
}

/// Makes of a ticket what was decided, once: what is decided stays.
fn decide(
    desk: &mut Desk<'_>,
    change: &ChangeRow,
    row: &mut ChangeTicketRow,
    wanted: ChangeState,
) -> Result<(), Failure> {
    row.state = match wanted {
        _ if over(desk, row.card)? => ChangeState::Over,
        // It was let in while its holder thought about it.
        ChangeState::Declined | ChangeState::SilentRefunded if came_in(desk, row.card)? => ChangeState::Kept,
        wanted => wanted,
    };
    row.at = desk.now;
    desk.store.put_change_ticket(row)?;
    if row.state.is_refund() {
        let card = desk.known_card(row.card)?.clone();
        kill(desk, row.card, card.generation, EnterRefusal::Refunded)?;
        let due = refunded_from(desk, change, &card)?;
        // It is paid back later, perhaps much later, and lets nobody in from now on: its wallet shall not show it as good.
        if row.state == ChangeState::SilentRefunded {
            desk.command(card.wallet, &Command::block(row.card, card.generation))?;
        }
        return buy::undone(desk, &card, due);
    }
    match (row.state.is_taken(), change.after) {
        (true, Some(after)) => take_up(desk, change, row.card, after),
        _ => Ok(()),
    }
}

/// From when on a refund may be asked for.
fn refunded_from(desk: &Desk<'_>, change: &ChangeRow, card: &CardRow) -> Result<Time, Failure> {
    let terms = desk.terms(card.terms)?;
    Ok(match change.after.is_some() && may_have_come(desk, card, GATE_TOLERANCE)? {
        true => desk.now.after(terms.list_age.saturating_add(terms.record_age)),
        false => desk.now,
    })
}

/// Whether a gate may have let this ticket in by now, whose clock is so far off at most: under the terms that it has, or under those
/// that it had, by a gate that has not heard of their change (R11).
pub(crate) fn may_have_come(desk: &Desk<'_>, card: &CardRow, early: u64) -> Result<bool, Failure> {
    let mut had = vec![card.terms];
    for row in desk.store.changes_to(card.card)? {
        if row.state.is_taken() || row.state == ChangeState::Superseded {
            had.push(desk.store.change(&row.change)?.ok_or(StoreError::Damaged)?.before);
        }
    }
    for terms in had {
        if desk.terms(terms)?.ticket.is_none_or(|ticket| desk.now.after(early) >= ticket.from) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The ticket has the new terms and the new seat; its next certificate says so.
fn take_up(desk: &mut Desk<'_>, change: &ChangeRow, id: CardId, after: Handle) -> Result<(), Failure> {
    if let Some((ticket, from, to)) = moves::seat_by(desk, change, id)?
        && from != to
    {
        desk.store.put_ticket(&TicketRow { seat: Some(to), ..ticket })?;
    }
    let terms = desk.terms(after)?;
    let until = terms.ticket.as_ref().ok_or(StoreError::Damaged)?.until.after(Time::DAY);
    let card = desk.known_card(id)?;
    (card.terms, card.until) = (after, until);
    let wallet = card.wallet;
    desk.store.set_card_terms(id, after, until)?;
    // They may have been changed again meanwhile: it has another turn there.
    joined(desk, change.event, id, wallet, after)
}

/// A ticket has come under these terms; where they are changed already, it has a turn like those that were there before. So has one
/// whose number was sold before the change and installed after it.
pub(crate) fn joined(
    desk: &mut Desk<'_>,
    event: EventId,
    card: CardId,
    wallet: WalletId,
    terms: Handle,
) -> Result<(), Failure> {
    let Some(next) = desk.store.change_of(event, terms)? else {
        return Ok(());
    };
    let (change, at) = (next.change, desk.now);
    let row = ChangeTicketRow { card, change, wallet, state: ChangeState::Listed, at, answer: None };
    desk.store.put_change_ticket(&row)?;
    desk.store.reopen_change(&change)?;
    desk.changing = true;
    Ok(())
}

/// Whether this ticket's price goes back because its event was changed: `Some(true)` also if it has let somebody in, because the
/// event is cancelled.
pub(crate) fn undone(desk: &Desk<'_>, card: CardId) -> Result<Option<bool>, Failure> {
    let all = desk.store.changes_to(card)?;
    let found = all.iter().find(|row| row.state.is_refund());
    Ok(found.map(|row| row.state == ChangeState::Cancelled))
}

/// A wallet that holds a ticket which was told to another one, which gave it away, hears of it, too.
pub(crate) fn told_late(desk: &mut Desk<'_>, wallet: WalletId) -> Result<(), Failure> {
    for change in desk.store.changes_open()? {
        // It hears of the later one instead, as soon as the ticket has its turn there.
        if superseded_by(desk.store, &change)?.is_some() {
            continue;
        }
        for card in desk.store.card_ids_of(wallet)? {
            let row = desk.store.change_ticket(card, &change.change)?;
            if let Some(row) = row.filter(|row| row.state == ChangeState::Told && row.wallet != wallet) {
                let row = ChangeTicketRow { wallet, ..row };
                tell(desk, &change, &row, change.answer_until)?;
                desk.store.put_change_ticket(&row)?;
            }
        }
    }
    Ok(())
}

/// A wallet that has a ticket only after a change was decided, by this certificate of before, hears of it, too. There is nothing to answer
/// any more: its next checkpoint is under terms, and for a seat, that it must know to show the ticket.
pub(crate) fn told_decided(
    desk: &mut Desk<'_>,
    wallet: WalletId,
    certificate: &CardCertificate,
) -> Result<(), Failure> {
    let (card, now) = (certificate.card, desk.now);
    let terms = desk.known_card(card)?.terms;
    let mut decided = None;
    for row in desk.store.changes_to(card)?.into_iter().filter(|row| row.state.is_taken()) {
        let change = desk.store.change(&row.change)?.ok_or(StoreError::Damaged)?;
        decided = Some(change).filter(|change| change.after == Some(terms)).or(decided);
    }
    let seat = moves::since(desk, certificate)?;
    say(desk, &decided.ok_or(StoreError::Damaged)?, (card, wallet), now, seat)
}

/// A wallet that was put back may have forgotten what it was asked about its ticket (R14), and the new terms that came with it: without
/// them it could not show the ticket once that is decided. What it still knows changes nothing.
pub(crate) fn told_again(desk: &mut Desk<'_>, card: CardId) -> Result<(), Failure> {
    let wallet = desk.known_card(card)?.wallet;
    for row in desk.store.changes_to(card)? {
        // Where another wallet was told, this one hears of it by the same update (`told_late`).
        if row.state != ChangeState::Told || row.wallet != wallet {
            continue;
        }
        let change = desk.store.change(&row.change)?.ok_or(StoreError::Damaged)?;
        // A later one is told as soon as the ticket has its turn there.
        if superseded_by(desk.store, &change)?.is_none() {
            tell(desk, &change, &row, change.answer_until)?;
        }
    }
    Ok(())
}

/// A ticket whose turn could not be done: the others go on, and a person looks. It has failed in the change that counts for it.
pub(super) fn failed(desk: &mut Desk<'_>, change: &ChangeRow, id: CardId) -> Result<(), Failure> {
    let card = desk.known_card(id)?.clone();
    let answer = desk.store.change_ticket(id, &change.change)?.and_then(|row| row.answer);
    let row = ChangeTicketRow {
        card: id,
        change: change.change,
        wallet: card.wallet,
        state: ChangeState::Failed,
        at: desk.now,
        answer,
    };
    if let Some(later) = superseded_by(desk.store, change)? {
        pass_on(desk, row, &later)?;
        return failed(desk, &later, id);
    }
    desk.store.put_change_ticket(&row)?;
    let known: Hash = change.change;
    if !desk.store.has_exception(tegata_store::ExceptionKind::Unreturned, id, &known)? {
        buy::looked_at(desk, &card, known, Some(desk.store.change_signed(&known)?))?;
    }
    Ok(())
}
