//! The holder gives a card back: the card's own key signs its end, and the wallet's log carries it to the provider (flow 16).
//!
//! Nothing else has to be asked for. The provider pays what the card held back to the bank card that it was bought with, once
//! nothing that was spent before can still come (L + U, R11), and says so by a [`super::Refunded`].

use crate::card::payment::{Advance, CannotSpend, Purse};
use crate::card::ticket::TicketTerms;
use crate::id::CardId;
use crate::money::{Amount, Time};
use crate::record::Batch;
use crate::step::{Break, Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::enter::Pass;
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::talk::pay::{load_purse, purse_key};
use crate::talk::update::load_terms;
use crate::wire::canonical::Wire;
use crate::wire::certificate::Anchors;
use crate::wire::signed::Signature;
use alloc::vec;

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurrenderNotice {
    /// The card is over; update the wallet, so that the provider learns of it.
    Surrendered {
        /// Which.
        card: CardId,
        /// What was on it.
        amount: Amount,
    },
    /// Its terms do not refund.
    NotRefundable,
    /// A ticket that was refunded until this moment, which is over.
    TooLate(Time),
    /// A ticket that has let somebody in.
    Used,
    /// It cannot be given back as it is.
    Cannot(CannotSpend),
    /// No such card.
    Unknown,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// The holder's side.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum Surrender {
    /// Asked to, for this card.
    Start(CardId, Anchors),
    /// Signs the card's last event.
    Signing(Purse, Amount, Advance),
    /// Stores the end of the card with its entry of the log, in one batch.
    Storing(SurrenderNotice),
    /// Ended.
    Over,
}

type Next = Step<Surrender, SurrenderNotice>;

impl Surrender {
    fn over(notice: SurrenderNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn start(card: CardId, anchors: &Anchors, context: &Context<'_>) -> Next {
        let Some(purse) = load_purse(context.records, card) else {
            return Self::over(SurrenderNotice::Unknown);
        };
        let Some(terms) = load_terms(context.records, purse.certificate.claimed().terms) else {
            return Self::over(SurrenderNotice::Failed(Fault::Storage));
        };
        if !terms.refundable {
            return Self::over(SurrenderNotice::NotRefundable);
        }
        if let Some(why) = terms.ticket.as_ref().and_then(|ticket| kept(&purse, ticket, context)) {
            return Self::over(why);
        }
        let Some(amount) = Amount::new(terms.unit, purse.remaining) else {
            return Self::over(SurrenderNotice::Failed(Fault::Storage));
        };
        match purse.surrender(anchors.provider) {
            Ok(advance) => {
                let tbs = advance.event.tbs(&advance.context);
                let sign = Effect::Sign { key: SigningKey::Card(card), tbs };
                Step::new(Self::Signing(purse, amount, advance), [sign])
            }
            Err(why) => Self::over(SurrenderNotice::Cannot(why)),
        }
    }

    fn keep(purse: &Purse, amount: Amount, advance: Advance, signature: Signature, context: &Context<'_>) -> Next {
        let Some(journal) = Journal::load(context.records) else {
            return Self::over(SurrenderNotice::Failed(Fault::Storage));
        };
        let said = purse.certificate.claimed();
        let card = said.card;
        let mut after = advance.purse;
        if context.broken.has(Break::ValueKept) {
            (after.state, after.remaining) = (purse.state, purse.remaining);
        }
        let entry = LogEntry {
            card: Some(card),
            generation: Some(said.generation),
            event: Some(advance.event.sign(signature)),
            ..LogEntry::new(EntryKind::Surrendered, context.now, 0)
        };
        let mut batch = Batch::default();
        // Another process that spent meanwhile wins (R13): the purse must still be what the event was drafted from.
        batch.replace(purse_key(card), Some(purse.to_bytes()), after.to_bytes());
        journal.append(&[entry], &mut batch);
        Step::new(Self::Storing(SurrenderNotice::Surrendered { card, amount }), [Effect::Store(batch)])
    }
}

/// Why a ticket is not given back: nothing would be paid for it.
fn kept(purse: &Purse, ticket: &TicketTerms, context: &Context<'_>) -> Option<SurrenderNotice> {
    if let Some(until) = ticket.refund_until.filter(|until| context.now >= *until) {
        return Some(SurrenderNotice::TooLate(until));
    }
    let used = |zone: &u64| Pass::load(context.records, purse, *zone).0.entry > 0;
    ticket.zones.iter().any(used).then_some(SurrenderNotice::Used)
}

impl Talk for Surrender {
    type Notice = SurrenderNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(card, anchors), Event::Tick) => Self::start(card, &anchors, context),
            (Self::Signing(purse, amount, advance), Event::Signed(signature)) => {
                Self::keep(&purse, amount, advance, signature, context)
            }
            (Self::Storing(notice), Event::Stored) => Self::over(notice),
            (_, Event::Failed(fault)) => Self::over(SurrenderNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
