//! What a promoter may read of its changes: how many tickets and how much money each price category is, before it changes anything,
//! and how far each change has come. Names no person.

use crate::desk::{Desk, Failure};
use crate::report::decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tegata_core::talk::buy::Listing;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::Signed;
use tegata_core::{Amount, EventId, Handle, PartyId, Unit};
use tegata_store::{ChangeRow, ChangeState, StoreError};

/// How many failed tickets are named; all are counted.
const NAMED: u64 = 1000;

/// The promoter's report.
pub(crate) fn progress(desk: &Desk<'_>, promoter: PartyId) -> Result<Value, Failure> {
    let (mut events, mut names) = (Vec::new(), BTreeMap::new());
    for event in desk.store.all_planned()?.into_iter().filter(|row| row.promoter == promoter) {
        let mut sold = Vec::new();
        for (terms, replaced) in desk.store.event_terms(event.event)? {
            if replaced.is_none() {
                sold.push(concerned(desk, (promoter, event.event), terms)?);
            }
        }
        let cancelled = event.cancelled.map(|at| at.0);
        let name = super::planned(&event)?.name;
        events.push(json!({ "event": event.event.to_string(), "name": name, "cancelled": cancelled, "terms": sold }));
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
fn leading_to(desk: &Desk<'_>, event: EventId, handle: Handle) -> Result<Vec<Handle>, Failure> {
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

/// What a change of these terms would concern: nothing has happened yet.
fn concerned(desk: &Desk<'_>, (promoter, event): (PartyId, EventId), handle: Handle) -> Result<Value, Failure> {
    let terms = desk.terms(handle)?;
    let (mut holders, mut unanswered, mut came, mut by_hand) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut money: BTreeMap<u16, u64> = BTreeMap::new();
    let mut all = Vec::new();
    for one in leading_to(desk, event, handle)? {
        let sold = desk.store.sold_under(one)?;
        if one != handle {
            unanswered = sold.iter().fold(unanswered, |sum, sold| sum.saturating_add(sold.count));
        }
        all.extend(sold);
    }
    for sold in all {
        holders = holders.saturating_add(sold.count);
        came = came.saturating_add(sold.came);
        let Some((article, revision)) = sold.listing else {
            by_hand = by_hand.saturating_add(sold.count);
            continue;
        };
        let price = price(desk, promoter, (article, revision))?;
        let sum = price.minor().checked_mul(sold.count).ok_or(StoreError::Damaged)?;
        let all = money.entry(price.unit().code()).or_default();
        *all = all.checked_add(sum).ok_or(StoreError::Damaged)?;
    }
    let ticket = terms.ticket.as_ref();
    // A promoter's device keeps what its articles sell now: what they sold before it learns from here, and checks by the hash.
    let body = terms.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(json!({
        "terms": handle.to_string(), "body": body, "name": terms.name, "from": ticket.map(|ticket| ticket.from.0),
        "holders": holders, "unanswered": unanswered, "came": came, "by_hand": by_hand, "money": sums(&money),
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
    let mut money: [BTreeMap<u16, u64>; 3] = Default::default();
    let mut refunds = [0_u64; 3];
    for (state, tickets, sum, listing) in desk.store.change_refunds(&row.change)? {
        let at = usize::try_from(state.saturating_sub(1)).unwrap_or(usize::MAX);
        let (Some(sums), Some(all)) = (money.get_mut(at), refunds.get_mut(at)) else { continue };
        *all = all.saturating_add(tickets);
        let unit = price(desk, row.promoter, listing)?.unit();
        let of_unit = sums.entry(unit.code()).or_default();
        *of_unit = of_unit.checked_add(sum).ok_or(StoreError::Damaged)?;
    }
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
    Ok(json!({
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
            "asked": refunds[0], "paid": refunds[1], "refused": refunds[2],
            "asked_money": sums(&money[0]), "paid_money": sums(&money[1]), "refused_money": sums(&money[2]),
        },
    }))
}

fn price(desk: &Desk<'_>, promoter: PartyId, (article, revision): (u64, u64)) -> Result<Amount, Failure> {
    let (_, body) = desk.store.listing(promoter, article, revision)?.ok_or(StoreError::Damaged)?;
    Ok(Signed::<Listing>::decode(&body).map_err(|_| StoreError::Damaged)?.claimed().price)
}

fn sums(money: &BTreeMap<u16, u64>) -> Value {
    let one = |(code, minor): (&u16, &u64)| {
        let unit = Unit::from_code(*code)?;
        Some(json!({ "currency": unit.name(), "amount": decimal(unit, *minor) }))
    };
    money.iter().filter_map(one).collect()
}
