//! What a promoter may read of its changes: how many tickets and how much money each price category is, before it changes anything,
//! and how far each change has come. Names no person.

use super::moves;
use crate::desk::{Desk, Failure};
use crate::give;
use crate::report::decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tegata_core::talk::buy::{Listing, PurchaseState};
use tegata_core::talk::enter::Admitted;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::Signed;
use tegata_core::{Amount, CardId, EventId, Handle, PartyId, Unit};
use tegata_store::{ChangeRow, ChangeState, StoreError};

/// How many failed tickets are named; all are counted.
const NAMED: u64 = 1000;

/// The promoter's report.
pub(crate) fn progress(desk: &Desk<'_>, promoter: PartyId) -> Result<Value, Failure> {
    let (mut events, mut names) = (Vec::new(), BTreeMap::new());
    for event in desk.store.all_planned()?.into_iter().filter(|row| row.promoter == promoter) {
        let (mut sold, seats) = (Vec::new(), moves::held(desk, event.event)?);
        for (terms, replaced) in desk.store.event_terms(event.event)? {
            if replaced.is_none() {
                let mut concerned = concerned(desk, (promoter, event.event), terms)?;
                let reached = leading_to(desk, event.event, terms)?;
                let ours = seats.iter().filter(|(_, terms)| reached.contains(terms));
                concerned["seats"] = moves::runs(ours.map(|(seat, _)| *seat));
                sold.push(concerned);
            }
        }
        let taken = moves::runs(seats.iter().map(|(seat, _)| *seat));
        let cancelled = event.cancelled.map(|at| at.0);
        let name = super::planned(&event)?.name;
        let id = event.event.to_string();
        events.push(json!({ "event": id, "name": name, "cancelled": cancelled, "terms": sold, "taken": taken }));
        names.insert(event.event, name);
    }
    let changes = desk.store.changes_by(promoter)?;
    // Terms lead to several changes, one after the other: their numbers are counted once.
    let mut left = BTreeMap::new();
    let told = |row: &ChangeRow| come(desk, row, names.get(&row.event), &mut left);
    let changes = changes.iter().map(told).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "promoter": promoter.to_string(), "at": desk.now.0, "events": events, "changes": changes }))
}

/// These terms, and all that changes have led from to them: a ticket that still has one of those has not answered yet, and goes
/// wherever these go.
pub(super) fn leading_to(desk: &Desk<'_>, event: EventId, handle: Handle) -> Result<Vec<Handle>, Failure> {
    let (mut all, mut next) = (vec![handle], 0);
    while let Some(one) = all.get(next).copied() {
        for earlier in desk.store.changes_into(event, one)? {
            if !all.contains(&earlier.before) {
                all.push(earlier.before);
            }
        }
        next += 1;
    }
    Ok(all)
}

/// Money by currency.
type Money = BTreeMap<u16, u64>;

/// The price of so many tickets more.
fn add(to: &mut Money, price: Amount, tickets: u64) -> Result<(), Failure> {
    let sum = price.minor().checked_mul(tickets).ok_or(StoreError::Damaged)?;
    let all = to.entry(price.unit().code()).or_default();
    *all = all.checked_add(sum).ok_or(StoreError::Damaged)?;
    Ok(())
}

/// The price of one ticket less.
fn take(from: &mut Money, price: Amount) -> Result<(), Failure> {
    let all = from.entry(price.unit().code()).or_default();
    *all = all.checked_sub(price.minor()).ok_or(StoreError::Damaged)?;
    Ok(())
}

/// An article and the revision of its listing.
type Listed = (u64, u64);

/// What a convicting ticket was bought as, if what was paid for it stays in dispute (R9); and whether it has let somebody in.
fn in_dispute(desk: &Desk<'_>, id: CardId) -> Result<Option<(Listed, bool)>, Failure> {
    let card = desk.store.card(id)?.ok_or(StoreError::Damaged)?;
    let bought = desk.store.purchases_on(id)?.into_iter().find(|bought| bought.state != PurchaseState::Unpaid);
    let Some(bought) = bought else {
        return Ok(None);
    };
    if !give::is_convicted(desk, &card, card.wallet)? && !give::is_convicted(desk, &card, bought.wallet)? {
        return Ok(None);
    }
    let came = desk.store.admissions_by(id)?.iter().any(|one| one.done == Admitted::In);
    Ok(Some(((bought.article, bought.revision), came)))
}

/// What a change of these terms would concern: nothing has happened yet. Of all holders some are paid by hand, some stay in dispute,
/// and the others are those whose money is counted.
fn concerned(desk: &Desk<'_>, (promoter, event): (PartyId, EventId), handle: Handle) -> Result<Value, Failure> {
    let terms = desk.terms(handle)?;
    let (mut holders, mut unanswered, mut came, mut by_hand, mut disputed) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    // What a cancellation pays back, and what a change does if all decline: it keeps those who were let in.
    let (mut money, mut unused, mut disputed_money) = (Money::new(), Money::new(), Money::new());
    let (mut all, mut convicted) = (Vec::new(), Vec::new());
    for one in leading_to(desk, event, handle)? {
        let sold = desk.store.sold_under(one)?;
        if one != handle {
            unanswered = sold.iter().fold(unanswered, |sum, sold| sum.saturating_add(sold.count));
        }
        all.extend(sold);
        convicted.extend(desk.store.convicted_under(one)?);
    }
    for sold in all {
        holders = holders.saturating_add(sold.count);
        came = came.saturating_add(sold.came);
        let Some((article, revision)) = sold.listing else {
            by_hand = by_hand.saturating_add(sold.count);
            continue;
        };
        if sold.unpaid {
            disputed = disputed.saturating_add(sold.count);
            continue;
        }
        let price = price(desk, promoter, (article, revision))?;
        add(&mut money, price, sold.count)?;
        add(&mut unused, price, sold.count.saturating_sub(sold.came))?;
    }
    for card in convicted {
        let Some((listing, came)) = in_dispute(desk, card)? else { continue };
        let price = price(desk, promoter, listing)?;
        disputed = disputed.saturating_add(1);
        take(&mut money, price)?;
        if !came {
            take(&mut unused, price)?;
        }
        add(&mut disputed_money, price, 1)?;
    }
    let ticket = terms.ticket.as_ref();
    // A promoter's device keeps what its articles sell now: what they sold before it learns from here, and checks by the hash.
    let body = terms.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(json!({
        "terms": handle.to_string(), "body": body, "name": terms.name, "from": ticket.map(|ticket| ticket.from.0),
        "holders": holders, "unanswered": unanswered, "came": came, "by_hand": by_hand, "disputed": disputed,
        "by_bank": holders.saturating_sub(by_hand).saturating_sub(disputed),
        "money": sums(&money), "unused_money": sums(&unused), "disputed_money": sums(&disputed_money),
    }))
}

/// How far a change of the event of this name has come.
fn come(
    desk: &Desk<'_>,
    row: &ChangeRow,
    name: Option<&String>,
    left: &mut BTreeMap<Handle, u64>,
) -> Result<Value, Failure> {
    let counts: BTreeMap<ChangeState, u64> = desk.store.change_counts(&row.change)?.into_iter().collect();
    let count = |state| counts.get(&state).copied().unwrap_or(0);
    let mut money: [Money; 3] = Default::default();
    let mut refunds = [0_u64; 3];
    for (state, tickets, sum, listing) in desk.store.change_refunds(&row.change)? {
        let at = usize::try_from(state.saturating_sub(1)).unwrap_or(usize::MAX);
        let (Some(sums), Some(all)) = (money.get_mut(at), refunds.get_mut(at)) else { continue };
        *all = all.saturating_add(tickets);
        let unit = price(desk, row.promoter, listing)?.unit();
        let of_unit = sums.entry(unit.code()).or_default();
        *of_unit = of_unit.checked_add(sum).ok_or(StoreError::Damaged)?;
    }
    let (later, later_money) = unreturned(desk, row, true)?;
    let (disputed, disputed_money) = unreturned(desk, row, false)?;
    let mut to_come = 0_u64;
    for terms in leading_to(desk, row.event, row.before)? {
        let numbers = match left.get(&terms) {
            Some(known) => *known,
            None => desk.store.numbers_left(row.promoter, terms, desk.now)?,
        };
        left.insert(terms, numbers);
        to_come = to_come.saturating_add(numbers);
    }
    let failed = desk.store.change_tickets(&row.change, ChangeState::Failed, NAMED)?;
    let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
    let mut told = json!({
        "change": row.change.to_string(), "event": row.event.to_string(), "name": name,
        "category": desk.terms(row.before)?.name,
        "before": row.before.to_string(), "after": row.after.map(|after| after.to_string()),
        "cancels": row.after.is_none(), "at": row.at.0, "answer_until": row.answer_until.0,
        "silence_refunds": row.silence_refunds, "all_found": row.cursor.is_none(), "ended": row.ended.map(|at| at.0),
        "tickets": counts.values().sum::<u64>(),
        "waiting": count(ChangeState::Listed), "told": count(ChangeState::Told),
        "accepted": count(ChangeState::Accepted), "declined": count(ChangeState::Declined),
        "silent_accepted": count(ChangeState::SilentAccepted), "silent_refunded": count(ChangeState::SilentRefunded),
        "cancelled": count(ChangeState::Cancelled), "kept": count(ChangeState::Kept),
        "over": count(ChangeState::Over), "superseded": count(ChangeState::Superseded), "to_come": to_come,
        "failed": count(ChangeState::Failed), "failed_tickets": failed,
        "by_hand": desk.store.change_by_hand(&row.change)?,
        "refunds": {
            "asked": refunds[0], "paid": refunds[1], "refused": refunds[2], "later": later, "disputed": disputed,
            "later_money": sums(&later_money), "disputed_money": sums(&disputed_money),
            "asked_money": sums(&money[0]), "paid_money": sums(&money[1]), "refused_money": sums(&money[2]),
        },
    });
    told["seats_moved"] = desk.store.seats_moved(&row.change)?.into();
    Ok(told)
}

/// What goes back and was not asked back: of those whose turn is yet to come (R11), or of those that stay in dispute.
fn unreturned(desk: &Desk<'_>, row: &ChangeRow, later: bool) -> Result<(u64, Money), Failure> {
    let (mut tickets, mut money) = (0_u64, Money::new());
    for one in desk.store.change_unreturned(&row.change)?.into_iter().filter(|one| one.later == later) {
        tickets = tickets.saturating_add(one.count);
        if !one.unpaid {
            add(&mut money, price(desk, row.promoter, one.listing)?, one.count)?;
        }
    }
    Ok((tickets, money))
}

fn price(desk: &Desk<'_>, promoter: PartyId, (article, revision): (u64, u64)) -> Result<Amount, Failure> {
    let (_, body) = desk.store.listing(promoter, article, revision)?.ok_or(StoreError::Damaged)?;
    Ok(Signed::<Listing>::decode(&body).map_err(|_| StoreError::Damaged)?.claimed().price)
}

fn sums(money: &Money) -> Value {
    let one = |(code, minor): (&u16, &u64)| {
        let unit = Unit::from_code(*code)?;
        Some(json!({ "currency": unit.name(), "amount": decimal(unit, *minor) }))
    };
    money.iter().filter_map(one).collect()
}
