//! What a wallet keeps of its payments: each with its charge, check and end; the cards themselves; small amounts.

use super::messages::{Charge, Receipt};
use crate::card::payment::Purse;
use crate::card::{CardEvent, Counterpart, Raise, Terms};
use crate::id::{CardId, DeviceId, Hash};
use crate::money::Amount;
use crate::record::{Batch, RecordKey, Space};
use crate::step::Records;
use crate::wire::canonical::Wire;
use crate::wire::signed::Signed;
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

codes! {
    /// Where a payment stands for its wallet.
    pub enum PayingState {
        /// Shown to the user, who has not answered.
        Shown = 1,
        /// The user agreed after the link was gone; the next touch pays.
        Agreed = 2,
        /// The check is signed and stored. Only a receipt, void, close or reversal ends this (R8).
        Spent = 3,
        /// Receipted.
        Paid = 4,
        /// A void, close or reversal is kept and will be taken up.
        Returning = 5,
        /// The money is back on the card.
        Returned = 6,
    }
}

message! {
    /// A payment as the wallet keeps it.
    pub struct Paying {
        /// Where it stands.
        1 state: PayingState,
        /// The terminal.
        2 terminal: DeviceId,
        /// The merchant's name as the terminal's certificate has it.
        3 merchant: String,
        /// The charge.
        4 charge: Signed<Charge>,
        /// The session that first carried it.
        5 session: Hash,
        /// The card that pays.
        6 card: CardId,
        /// Its generation.
        7 generation: u64,
        /// The check as sent.
        8 check: Option<Signed<CardEvent>>,
        /// The raises as sent with it.
        9 raises: Vec<Raise>,
        /// The receipt.
        10 receipt: Option<Signed<Receipt>>,
    }
}

impl Paying {
    /// Where it is stored.
    pub fn key(terminal: DeviceId, transaction: u64) -> RecordKey {
        let mut name = terminal.0.to_vec();
        name.extend_from_slice(&transaction.to_be_bytes());
        RecordKey::new(Space::Charge, name)
    }
    /// Where the number of the one unfinished payment at this terminal is stored.
    pub fn pending_key(terminal: DeviceId) -> RecordKey {
        RecordKey::new(Space::Charge, terminal.0)
    }
    /// Where a check's payment is found by the check's hash.
    pub fn check_key(check: &Hash) -> RecordKey {
        RecordKey::new(Space::Check, check.0)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, terminal: DeviceId, transaction: u64) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(terminal, transaction))?).ok()
    }
    /// The payment that a check belongs to.
    pub fn of_check(records: &dyn Records, check: &Hash) -> Option<Self> {
        let name = records.get(&Self::check_key(check))?;
        Self::from_bytes(&records.get(&RecordKey::new(Space::Charge, name))?).ok()
    }
    /// The unfinished payment at this terminal.
    pub fn pending(records: &dyn Records, terminal: DeviceId) -> Option<Self> {
        let number = records.get(&Self::pending_key(terminal))?;
        Self::load(records, terminal, u64::from_be_bytes(number.try_into().ok()?))
    }
    pub(super) fn counterpart(&self) -> Counterpart<'_> {
        Counterpart::Charge { session: self.session, terminal: self.terminal, charge: self.charge.payload() }
    }
    /// The hash of its check.
    pub fn check_hash(&self) -> Option<Hash> {
        let check = self.check.as_ref()?;
        Some(check.hash(&CardEvent::context(self.card, self.generation, &self.counterpart())))
    }
    pub(super) fn store(&self, before: Option<&Self>, batch: &mut Batch) {
        let key = Self::key(self.terminal, self.charge.claimed().transaction);
        batch.replace(key, before.map(Wire::to_bytes), self.to_bytes());
    }
    /// The user agrees to a payment shown while the link is gone: the next touch pays.
    pub fn agree(mut self) -> Option<Batch> {
        let before = self.clone();
        if self.state != PayingState::Shown {
            return None;
        }
        self.state = PayingState::Agreed;
        let mut batch = Batch::default();
        self.store(Some(&before), &mut batch);
        Some(batch)
    }
    /// Whether this raise ends this payment and returns its amount.
    fn is_returned_by(&self, raise: &Raise) -> bool {
        let check = self.check_hash();
        let amount = self.charge.claimed().amount;
        match raise {
            Raise::Void(terminal, void) => {
                let void = void.claimed();
                let named = void.check.is_none() || void.check == check;
                *terminal == self.terminal
                    && void.transaction == self.charge.claimed().transaction
                    && named
                    && void.amount == amount
            }
            Raise::Reversal(back) => Some(back.claimed().check) == check && back.claimed().amount == amount,
            Raise::Load(_) | Raise::Call(..) => false,
        }
    }
    /// The payment that this raise returns, if it is one of this wallet's and still out.
    pub fn returned_by(records: &dyn Records, raise: &Raise) -> Option<Self> {
        let paying = match raise {
            Raise::Void(terminal, void) => Self::load(records, *terminal, void.claimed().transaction)?,
            Raise::Reversal(back) => Self::of_check(records, &back.claimed().check)?,
            Raise::Load(_) | Raise::Call(..) => return None,
        };
        let out = matches!(paying.state, PayingState::Spent | PayingState::Paid | PayingState::Returning);
        (out && paying.check.is_some() && paying.is_returned_by(raise)).then_some(paying)
    }
}

message! {
    /// Paying small amounts without a touch (R17): off unless this record exists.
    pub struct Untouched {
        /// Largest single payment, in minor units of the card.
        1 per_payment: u64,
        /// Largest total until the next touch, in minor units.
        2 cap: u64,
        /// Paid since the last touch, in minor units.
        3 used: u64,
    }
}

impl Untouched {
    /// Where it is stored.
    pub fn key() -> RecordKey {
        RecordKey::new(Space::Device, *b"untouched")
    }
    /// Reads it.
    pub fn load(records: &dyn Records) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key())?).ok()
    }
    /// Whether this amount may go without a touch, under the terms' bound too.
    pub(super) fn covers(&self, amount: Amount, terms: &Terms) -> bool {
        let minor = amount.minor();
        let total = self.used.saturating_add(minor);
        minor <= self.per_payment && minor <= terms.max_untouched && total <= self.cap
    }
}

/// Where a wallet keeps a card.
pub fn purse_key(card: CardId) -> RecordKey {
    RecordKey::new(Space::Card, card.0)
}

/// Reads a card.
pub fn load_purse(records: &dyn Records, card: CardId) -> Option<Purse> {
    Purse::from_bytes(&records.get(&purse_key(card))?).ok()
}
