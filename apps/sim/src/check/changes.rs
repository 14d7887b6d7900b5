//! What must never happen to tickets whose event was changed or cancelled, checked when all is quiet: each has its turn and one end,
//! each answer counts once, and what goes back is what was paid (flow 15).

use super::buying::price;
use super::given::{convicts, tickets};
use crate::template::{EVENT, template};
use crate::town::Town;
use tegata_core::card::payment::PurseState;
use tegata_core::talk::buy::{Listing, PurchaseState};
use tegata_core::talk::enter::Admitted;
use tegata_core::talk::event::{Change, ChangeOutcome, KeptChange};
use tegata_core::wire::signed::Signed;
use tegata_core::{CardId, Handle, Time};
use tegata_store::{
    ChangeRow, ChangeState, ChangeTicketRow, ExceptionRow, PurchaseRow, RefundState, Store, StoreError,
};

impl Town {
    pub(super) fn changed(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        if self.plans.is_none() {
            return Ok(());
        }
        let store = self.center.store()?;
        self.promoted(store, wrong)?;
        let shown = store.exceptions(None, Time(0), Time(u64::MAX >> 1))?;
        for card in tickets(store)? {
            let undone = store.changes_to(card)?.iter().filter(|row| row.state.is_refund()).count();
            if undone > 1 {
                wrong.push(format!("flow 15: {card} is paid back by {undone} changes"));
            }
        }
        for change in store.changes_by(template().issuer_party)? {
            if change.ended.is_none() || change.cursor.is_some() {
                wrong.push(format!("flow 15: change {} is under way for ever", change.change));
            }
            for card in tickets(store)? {
                let Some(row) = store.change_ticket(card, &change.change)? else {
                    let left = store.card(card)?.is_some_and(|row| row.terms == change.before);
                    if left {
                        wrong.push(format!("flow 15: {card} has no turn in change {}", change.change));
                    }
                    continue;
                };
                self.has_an_end(store, &change, &row, wrong)?;
                self.is_paid_back_once(store, &shown, &row, wrong)?;
                self.answer_counts(&row, wrong);
                self.asks_no_more(store, &change, &row, wrong)?;
            }
        }
        Ok(())
    }

    /// Promoter and provider say the same: of what was changed, and of what is sold. How much of it there is, the promoter may have said in vain.
    fn promoted(&self, store: &Store, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        if self.causes.restored {
            return Ok(());
        }
        let (promoter, left) = (template().issuer_party, self.unended_changes());
        if left > 0 {
            wrong.push(format!("flow 15: the promoter does not know what became of {left} changes"));
        }
        let recorded = store.changes_by(promoter)?.iter().map(|row| row.change.to_string()).collect();
        let unfinished = self.issuer.unfinished(None, &recorded).unwrap_or_default();
        if !unfinished.is_empty() {
            wrong.push(format!("flow 15: the provider never heard of {unfinished:?}"));
        }
        for listed in self.issuer.listings().unwrap_or_default() {
            let row = store.article(promoter, listed.article)?;
            let sold = row.and_then(|row| Signed::<Listing>::decode(&row.body).ok());
            let sold = sold.map(|sold| sold.claimed().terms.clone());
            if sold.as_ref() != Some(&listed.terms) {
                wrong.push(format!("flow 15: article {} sells {sold:?}, and not {:?}", listed.article, listed.terms));
            }
        }
        Ok(())
    }

    /// Whether a change has paid this ticket back, or will.
    pub fn is_undone(&self, card: CardId) -> bool {
        let rows = self.center.store().and_then(|store| store.changes_to(card));
        rows.is_ok_and(|rows| rows.iter().any(|row| row.state.is_refund()))
    }

    /// Whoever takes the new ticket has it, under the new terms; whoever does not, has none.
    fn has_an_end(
        &self,
        store: &Store,
        change: &ChangeRow,
        row: &ChangeTicketRow,
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let Some(card) = store.card(row.card)? else {
            return Ok(());
        };
        if row.state.is_open() || row.state == ChangeState::Failed {
            wrong.push(format!("flow 15: {} is {} for ever", row.card, row.state.name()));
        }
        let fits = match row.state {
            state if state.is_taken() => card.terms != change.before,
            state if state.is_refund() => store.surrender(row.card)?.is_some(),
            ChangeState::Superseded => later(store, change, row.card)?.is_some(),
            _ => true,
        };
        if !fits {
            wrong.push(format!("flow 15: {} is {}, and its card is not", row.card, row.state.name()));
        }
        for (at, person) in self.people.iter().enumerate() {
            let honest = person.tampered.is_none() && !self.causes.revoked.contains_key(&person.id);
            let Some(held) = person.wallet.ticket(row.card).ok().filter(|_| honest && card.wallet == person.id) else {
                continue;
            };
            if held.purse.state == PurseState::Active && held.purse.certificate.claimed().terms != card.terms {
                wrong.push(format!("flow 15: wallet {at} holds {} under other terms than the provider", row.card));
            }
            let seat = store.ticket(row.card)?.and_then(|ticket| ticket.seat);
            let said = held.purse.certificate.claimed();
            if held.purse.state == PurseState::Active && said.terms == card.terms && said.seat != seat {
                wrong
                    .push(format!("flow 15: wallet {at} has seat {:?} by {}, and it is {seat:?}", said.seat, row.card));
            }
        }
        Ok(())
    }

    /// What is undone is paid back as it was bought, unless it let somebody in or its holder cheated, or the bank refuses.
    fn is_paid_back_once(
        &self,
        store: &Store,
        shown: &[ExceptionRow],
        row: &ChangeTicketRow,
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        if !row.state.is_refund() || self.center.processor_revoked.is_some() {
            return Ok(());
        }
        // It is paid back when no gate can say otherwise any more, L + U later.
        if store.surrender(row.card)?.is_some_and(|row| row.asked.is_none() && self.time < row.due) {
            return Ok(());
        }
        let accused = shown.iter().any(|it| it.card == Some(row.card) && convicts(it.kind));
        let came = store.admissions_by(row.card)?.iter().any(|one| one.done == Admitted::In);
        let used = row.state != ChangeState::Cancelled
            && (came || store.ticket(row.card)?.is_some_and(|ticket| ticket.used > 0));
        let mut paid = 0;
        for bought in store.purchases_on(row.card)?.iter().filter(|it| it.state == PurchaseState::Delivered) {
            paid += price(store, bought)?;
        }
        let refunds = store.refunds_of(row.card)?;
        let sum = |state| refunds.iter().filter(|it| it.state == state).map(|it| it.amount).sum::<u64>();
        let (done, refused) = (sum(RefundState::Done), sum(RefundState::Refused));
        let whole = done + refused == paid;
        if done + refused > paid || !(whole || used || accused) {
            wrong.push(format!(
                "flow 15: {} is {}, {paid} was paid, {done} paid back and {refused} refused",
                row.card,
                row.state.name()
            ));
        }
        Ok(())
    }

    /// Whoever was told of the later change shows the question of the earlier one no more.
    fn asks_no_more(
        &self,
        store: &Store,
        change: &ChangeRow,
        row: &ChangeTicketRow,
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        if row.state != ChangeState::Superseded {
            return Ok(());
        }
        let told = later(store, change, row.card)?.map(|later| later.wallet);
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| told == Some(person.id)) {
            let honest = person.tampered.is_none() && !self.causes.revoked.contains_key(&person.id);
            let kept = KeptChange::load(&person.wallet.device, row.card).filter(|_| honest && !self.causes.restored);
            if kept.is_some_and(|kept| kept.changed.change == row.change) {
                wrong.push(format!(
                    "flow 15: wallet {at} shows a change of {} that a later one has superseded",
                    row.card
                ));
            }
        }
        Ok(())
    }

    /// What an honest wallet answered is what the provider went by, if it was in time; and what it was told is so.
    fn answer_counts(&self, row: &ChangeTicketRow, wrong: &mut Vec<String>) {
        for (at, person) in self.people.iter().enumerate() {
            let kept = KeptChange::load(&person.wallet.device, row.card);
            let Some(kept) = kept.filter(|kept| kept.changed.change == row.change) else {
                continue;
            };
            let honest = person.tampered.is_none() && self.is_honest_card(row.card);
            if !honest || row.wallet != person.id {
                continue;
            }
            let answer = kept.answer.as_ref().map(Signed::encode);
            if row.answer.is_some() && row.answer != answer {
                wrong.push(format!("flow 15: the answer of wallet {at} for {} is not what counted", row.card));
            }
            let stands = match row.state {
                state if state.is_refund() => ChangeOutcome::Refunded,
                ChangeState::Kept => ChangeOutcome::Kept,
                state if state.is_taken() => ChangeOutcome::Taken,
                ChangeState::Over | ChangeState::Superseded => ChangeOutcome::Over,
                _ => ChangeOutcome::Failed,
            };
            if kept.outcome.is_some_and(|outcome| outcome != stands) {
                wrong.push(format!(
                    "flow 15: wallet {at} was told {:?} of {}, it is {stands:?}",
                    kept.outcome, row.card
                ));
            }
            let said = kept.accepts();
            let other = match row.state {
                ChangeState::Accepted => said == Some(false),
                ChangeState::Declined => said == Some(true),
                _ => false,
            };
            if other {
                wrong.push(format!(
                    "flow 15: wallet {at} said {said:?} of {}, which is {}",
                    row.card,
                    row.state.name()
                ));
            }
        }
    }
}

/// How a ticket stands in the change that came after this one.
fn later(store: &Store, change: &ChangeRow, card: CardId) -> Result<Option<ChangeTicketRow>, StoreError> {
    let Some(after) = change.after else {
        return Ok(None);
    };
    match store.change_of(change.event, after)? {
        Some(later) => store.change_ticket(card, &later.change),
        None => Ok(None),
    }
}

/// The terms that a purchase was made under.
pub(super) fn bought_under(store: &Store, row: &PurchaseRow) -> Result<Handle, StoreError> {
    let (_, body) = store.listing(row.issuer, row.article, row.revision)?.ok_or(StoreError::Damaged)?;
    Ok(Signed::<Listing>::decode(&body).map_err(|_| StoreError::Damaged)?.claimed().terms.handle())
}

/// The seat that a ticket has under the terms `now`, or in the end, which was bought with this one under others: each change that leads
/// there has moved it, as the promoter has signed it.
pub(super) fn seat_moved(store: &Store, (seat, bought): (u64, Handle), now: Option<Handle>) -> Result<u64, StoreError> {
    let (mut seat, mut terms) = (seat, bought);
    while Some(terms) != now {
        let Some(row) = store.change_of(EVENT, terms)? else { break };
        let change = Signed::<Change>::decode(&store.change_signed(&row.change)?).map_err(|_| StoreError::Damaged)?;
        seat = change.claimed().seat_after(seat);
        match row.after {
            Some(after) => terms = after,
            None => break,
        }
    }
    Ok(seat)
}
