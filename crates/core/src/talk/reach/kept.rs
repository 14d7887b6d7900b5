//! Letters as a device keeps them: what came stays sealed, what was written stays until the provider has it, and longer.

use super::messages::*;
use super::tell::Told;
use super::wallet::is_muted;
use crate::id::{LetterNumber, PartyId};
use crate::money::Time;
use crate::record::{Batch, RecordKey, Space};
use crate::step::Records;
use crate::wire::canonical::Wire;
use crate::wire::sealed::Sealed;
use crate::wire::signed::Signed;
use crate::{codes, message};

codes! {
    /// Where a letter stands.
    pub enum LetterState {
        /// It came; it is opened when it is read.
        Received = 1,
        /// It came and did not open; the provider was told.
        Unopened = 2,
        /// Written, and not with the provider yet.
        Waiting = 3,
        /// The provider has it. Nobody is told more: neither that it was read nor that it was dropped.
        Sent = 4,
        /// The provider does not take it.
        Refused = 5,
    }
}

/// Whose letters a record's name is among: a number is its writer's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It came.
    Theirs = 1,
    /// Written here.
    Ours = 2,
}

message! {
    /// A letter as a device keeps it.
    pub struct KeptLetter {
        /// Where it stands.
        1 state: LetterState,
        /// The merchant on either side.
        2 merchant: PartyId,
        /// To whom it goes.
        3 to: Address,
        /// Its number.
        4 number: LetterNumber,
        /// When it came or was written, by this device's clock.
        5 at: Time,
        /// One that came, still sealed.
        6 sealed: Option<Sealed>,
        /// One of our own.
        7 letter: Option<Signed<Letter>>,
        /// One of our own: the request that carries it, as sent.
        8 carry: Option<Signed<Carry>>,
        /// One of our own: the provider's epoch when it had it (R15).
        9 epoch: Option<u64>,
    }
}

impl KeptLetter {
    /// Where it is stored. Our own numbers are unique; those of others are among one merchant's.
    pub fn key(whose: Whose, merchant: PartyId, number: LetterNumber) -> RecordKey {
        let mut name = alloc::vec![whose as u8];
        if whose == Whose::Theirs {
            name.extend_from_slice(&merchant.0);
        }
        name.extend_from_slice(&number.0);
        RecordKey::new(Space::Letter, name)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, whose: Whose, merchant: PartyId, number: LetterNumber) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(whose, merchant, number))?).ok()
    }
    /// Who wrote it.
    pub fn whose(&self) -> Whose {
        if self.letter.is_some() { Whose::Ours } else { Whose::Theirs }
    }
    /// Replaces what stands there.
    pub fn replace(&self, before: &Self, batch: &mut Batch) {
        batch.replace(Self::key(self.whose(), self.merchant, self.number), Some(before.to_bytes()), self.to_bytes());
    }
    /// One of our own, to be sealed and sent.
    pub fn written(merchant: PartyId, letter: Signed<Letter>, at: Time) -> Self {
        Self {
            state: LetterState::Waiting,
            merchant,
            to: letter.claimed().to.clone(),
            number: letter.claimed().number,
            at,
            sealed: None,
            letter: Some(letter),
            carry: None,
            epoch: None,
            extensions: Default::default(),
        }
    }
    fn came(delivery: &Delivery, at: Time) -> Self {
        Self {
            state: LetterState::Received,
            merchant: delivery.merchant,
            to: delivery.to.clone(),
            number: delivery.number,
            at,
            sealed: delivery.sealed.clone(),
            letter: None,
            carry: None,
            epoch: None,
            extensions: Default::default(),
        }
    }
}

/// Takes in what a command brought: it is stored with the acknowledgement, and opened later. The same letter again changes
/// nothing; one that was sealed again takes the place of what did not open. What a muted merchant wrote is let go.
pub fn take_in(delivery: &Delivery, records: &dyn Records, now: Time) -> Batch {
    let mut batch = Batch::default();
    let Delivery { merchant, number, sealed, .. } = delivery;
    if sealed.is_none() {
        // Also where the answer to its request was lost: the provider has it, or would not say this.
        if let Some(own) = KeptLetter::load(records, Whose::Ours, *merchant, *number)
            && let Some(carry) = &own.carry
        {
            batch.remove(carry.claimed().pending());
            KeptLetter { state: LetterState::Waiting, carry: None, ..own.clone() }.replace(&own, &mut batch);
        }
        return batch;
    }
    if is_muted(records, *merchant) {
        return batch;
    }
    match KeptLetter::load(records, Whose::Theirs, *merchant, *number) {
        None => {
            let key = KeptLetter::key(Whose::Theirs, *merchant, *number);
            batch.replace(key, None, KeptLetter::came(delivery, now).to_bytes());
        }
        Some(held) if held.state == LetterState::Unopened && held.sealed != *sealed => {
            KeptLetter::came(delivery, held.at).replace(&held, &mut batch);
        }
        Some(_) => {}
    }
    batch
}
