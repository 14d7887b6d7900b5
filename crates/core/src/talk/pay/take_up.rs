//! The wallet takes up what is kept for a card: loads, voids, closes, reversals. Each once (R6, R7).

use super::paying::{Paying, PayingState, load_purse, purse_key};
use super::wallet::{terminal_certificate, terminal_key};
use crate::card::payment::{Advance, CannotSpend, Purse};
use crate::card::{Raise, RaiseError};
use crate::id::CardId;
use crate::money::Amount;
use crate::record::Batch;
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::call::Calling;
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::wire::canonical::Wire;
use crate::wire::certificate::Anchors;
use alloc::vec;

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeUpNotice {
    /// It is on the card.
    TookUp {
        /// How much.
        amount: Amount,
        /// What remains now, in minor units.
        remaining: u64,
    },
    /// Nothing (more) can be taken up now.
    Nothing,
    /// It stays kept; an update makes room.
    Waits(CannotSpend),
    /// It is not what it claims and was dropped.
    Dropped(RaiseError),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// Takes up the first raise kept for a card that can be. Run again until it shows [`TakeUpNotice::Nothing`].
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum TakeUp {
    /// Asked to.
    Start(CardId, Anchors),
    /// Signs the event.
    Signing(Purse, Raise, Advance),
    /// Stores it.
    Storing(TakeUpNotice),
    /// Ended.
    Over,
}

type Next = Step<TakeUp, TakeUpNotice>;

impl TakeUp {
    fn over(notice: TakeUpNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn start(card: CardId, anchors: &Anchors, context: &Context<'_>) -> Next {
        let Some(purse) = load_purse(context.records, card) else {
            return Self::over(TakeUpNotice::Nothing);
        };
        // A load that waits for an earlier one holds nothing else up.
        let in_order = |raise: &&Raise| raise.load_number().is_none_or(|number| number <= purse.last_load + 1);
        let Some(raise) = purse.waiting.iter().find(in_order).cloned() else {
            return Self::over(TakeUpNotice::Nothing);
        };
        if let Err(why) = trusted(&purse, &raise, anchors, context) {
            let mut after = purse.clone();
            after.waiting.retain(|waiting| *waiting != raise);
            let mut batch = Batch::default();
            batch.replace(purse_key(card), Some(purse.to_bytes()), after.to_bytes());
            return Step::new(Self::Storing(TakeUpNotice::Dropped(why)), [Effect::Store(batch)]);
        }
        let Some(amount) = returned_amount(&raise, context.records) else {
            return Self::over(TakeUpNotice::Nothing);
        };
        match purse.take_up(&raise, amount) {
            Err(CannotSpend::Repeated) => {
                let mut after = purse.clone();
                after.waiting.retain(|waiting| *waiting != raise);
                let mut batch = Batch::default();
                batch.replace(purse_key(card), Some(purse.to_bytes()), after.to_bytes());
                Step::new(Self::Storing(TakeUpNotice::Nothing), [Effect::Store(batch)])
            }
            Err(why) => Self::over(TakeUpNotice::Waits(why)),
            Ok(advance) => {
                let tbs = advance.event.tbs(&advance.context);
                let sign = Effect::Sign { key: SigningKey::Card(card), tbs };
                Step::new(Self::Signing(purse, raise, advance), [sign])
            }
        }
    }
}

/// What waits to be taken up by a card, in minor units.
pub fn waiting(purse: &Purse, records: &dyn Records) -> u64 {
    purse.waiting.iter().filter_map(|raise| returned_amount(raise, records)).map(Amount::minor).sum()
}

/// What a raise returns or adds: of a call, what its last check was over beyond what it cost.
fn returned_amount(raise: &Raise, records: &dyn Records) -> Option<Amount> {
    match raise {
        Raise::Call(_, receipt) => Calling::returned_by(records, raise)?.unused(receipt.claimed()),
        _ => raise.amount(),
    }
}

/// Whether the raise is by its authority, for this card, and not returned before (R7: one credit-back per check).
fn trusted(purse: &Purse, raise: &Raise, anchors: &Anchors, context: &Context<'_>) -> Result<(), RaiseError> {
    let said = purse.certificate.claimed();
    match raise {
        Raise::Void(..) => {
            let paying = Paying::returned_by(context.records, raise).ok_or(RaiseError::OtherCard)?;
            let terminal = terminal_key(&paying, context).ok_or(RaiseError::OtherCard)?;
            raise.check_by_terminal(&terminal.key, context.verifier)
        }
        Raise::Call(switch, _) => {
            Calling::returned_by(context.records, raise).ok_or(RaiseError::OtherCard)?;
            let switch = terminal_certificate(context.records, *switch).ok_or(RaiseError::OtherCard)?;
            raise.check_by_terminal(&switch.claimed().key, context.verifier)
        }
        Raise::Reversal(_) => {
            Paying::returned_by(context.records, raise).ok_or(RaiseError::OtherCard)?;
            raise.check_by_provider(said.card, said.generation, anchors, context.now, context.verifier)
        }
        Raise::Load(_) => raise.check_by_provider(said.card, said.generation, anchors, context.now, context.verifier),
    }
}

impl Talk for TakeUp {
    type Notice = TakeUpNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(card, anchors), Event::Tick) => Self::start(card, &anchors, context),
            (Self::Signing(purse, raise, advance), Event::Signed(signature)) => {
                let Some(journal) = Journal::load(context.records) else {
                    return Self::over(TakeUpNotice::Failed(Fault::Storage));
                };
                let said = purse.certificate.claimed();
                let paying = Paying::returned_by(context.records, &raise);
                let calling = Calling::returned_by(context.records, &raise);
                let of_call = calling.as_ref().map(|calling| (calling.switch, calling.tariff.claimed().transaction));
                let of =
                    paying.as_ref().map(|paying| (paying.terminal, paying.charge.claimed().transaction)).or(of_call);
                let unit = said.face.unit();
                let amount = Amount::new(unit, advance.event.body().amount).unwrap_or(Amount::zero(unit));
                let entry = LogEntry {
                    card: Some(said.card),
                    generation: Some(said.generation),
                    event: Some(advance.event.sign(signature)),
                    raises: Some(vec![raise.clone()]),
                    terminal: of.map(|(terminal, _)| terminal),
                    ..LogEntry::new(EntryKind::TookUp, context.now, of.map_or(0, |(_, transaction)| transaction))
                };
                let mut batch = Batch::default();
                batch.replace(purse_key(said.card), Some(purse.to_bytes()), advance.purse.to_bytes());
                if let Some(before) = paying {
                    Paying { state: PayingState::Returned, ..before.clone() }.store(Some(&before), &mut batch);
                }
                if let Some(calling) = calling {
                    calling.returned(&mut batch);
                }
                journal.append(&[entry], &mut batch);
                let notice = TakeUpNotice::TookUp { amount, remaining: advance.purse.remaining };
                Step::new(Self::Storing(notice), [Effect::Store(batch)])
            }
            (Self::Storing(notice), Event::Stored) => Self::over(notice),
            (_, Event::Failed(fault)) => Self::over(TakeUpNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
