//! What both sides keep of a call: with each check, before it is sent or acted on, and with its end.

use crate::card::payment::Purse;
use crate::card::{CallReceipt, CardEvent, Counterpart, Link, Raise};
use crate::charging::CallTariff;
use crate::id::{CardId, DeviceId, Handle, Hash};
use crate::money::{Amount, Time};
use crate::record::{Batch, RecordKey, Space};
use crate::step::Records;
use crate::talk::journal::{EntryKind, Journal, LogEntry, Through};
use crate::talk::pay::{load_purse, purse_key};
use crate::wire::canonical::{Bytes, DecodeError, Reader, Wire, Writer};
use crate::wire::signed::Signed;
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

codes! {
    /// Where a call stands for its wallet.
    pub enum CallingState {
        /// Checks may follow.
        Open = 1,
        /// Over and logged; what it cost is not known yet.
        Ended = 2,
        /// What it cost is known, and nothing comes back.
        Receipted = 3,
        /// The receipt is kept, and what is left over will be taken up.
        Returning = 4,
        /// The rest is back on the card.
        Returned = 5,
    }
}

message! {
    /// A call as the wallet keeps it, from its first check on.
    pub struct Calling {
        /// Where it stands.
        1 state: CallingState,
        /// The switch.
        2 switch: DeviceId,
        /// Its name as its certificate has it.
        3 name: String,
        /// The tariff for this call.
        4 tariff: Signed<CallTariff>,
        /// The session that carried it.
        5 session: Hash,
        /// The card that pays.
        6 card: CardId,
        /// Its generation.
        7 generation: u64,
        /// The last check.
        8 tick: Option<Signed<CardEvent>>,
        /// The raises as sent with the first.
        9 raises: Vec<Raise>,
        /// The receipt.
        10 receipt: Option<Signed<CallReceipt>>,
        /// The secret at the end of the chain that the last check commits to.
        11 secret: Option<ChainSecret>,
        /// How many links of it may have left: stored before they do (R24).
        12 released: Option<u64>,
    }
}

/// The secret at the end of a chain of links. Whoever knows it can take what the chain pays.
#[derive(Clone, PartialEq, Eq)]
pub struct ChainSecret(pub Hash);

impl core::fmt::Debug for ChainSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ChainSecret(..)")
    }
}

impl Drop for ChainSecret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0.0);
    }
}

impl Wire for ChainSecret {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Hash::read(from).map(Self)
    }
}

impl Calling {
    /// Where it is stored.
    pub fn key(switch: DeviceId, transaction: u64) -> RecordKey {
        let mut name = switch.0.to_vec();
        name.extend_from_slice(&transaction.to_be_bytes());
        RecordKey::new(Space::Call, name)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, switch: DeviceId, transaction: u64) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(switch, transaction))?).ok()
    }
    /// The call that this card is in.
    pub fn of_card(records: &dyn Records, card: CardId) -> Option<Self> {
        let name = load_purse(records, card)?.session?;
        Self::from_bytes(&records.get(&RecordKey::new(Space::Call, name.0))?).ok()
    }
    fn own_key(&self) -> RecordKey {
        Self::key(self.switch, self.tariff.claimed().transaction)
    }
    pub(super) fn counterpart(&self) -> Counterpart<'_> {
        Counterpart::Charge { session: self.session, terminal: self.switch, charge: self.tariff.payload() }
    }
    /// What names the call.
    pub fn named(&self) -> Hash {
        CallTariff::named(&self.session, self.switch, self.tariff.payload())
    }
    /// What its last check comes to.
    pub fn total(&self) -> u64 {
        self.tick.as_ref().map_or(0, |tick| tick.claimed().amount)
    }
    /// What its switch can claim: all of the last check, but for links that have not left.
    pub fn paid(&self) -> u64 {
        let price = self.tariff.claimed().price;
        let paid = |tick: &Signed<CardEvent>| tick.claimed().paid(price, self.released.unwrap_or(0));
        self.tick.as_ref().and_then(paid).unwrap_or(0)
    }
    /// Stores that so many links of its chain may leave.
    pub(super) fn release(&self, links: u64) -> (Self, Batch) {
        let after = Self { released: Some(links), ..self.clone() };
        let mut batch = Batch::default();
        batch.replace(self.own_key(), Some(self.to_bytes()), after.to_bytes());
        (after, batch)
    }
    /// Stores a check with the card as it is after it, before it leaves (R13).
    pub(super) fn rise(&self, before: Option<&Self>, purses: (&Purse, &Purse)) -> Batch {
        let (purse, after) = purses;
        let session = Some(Bytes(self.own_key().name));
        let after = Purse { session, ..after.clone() };
        let mut batch = Batch::default();
        batch.replace(purse_key(self.card), Some(purse.to_bytes()), after.to_bytes());
        batch.replace(self.own_key(), before.map(Wire::to_bytes), self.to_bytes());
        batch
    }
    /// Ends it: logged with the last check, the card free again. The receipt, where there is one, is kept with the card if it
    /// returns something. `None`: this device has no journal.
    pub(super) fn end(&self, receipt: Option<Signed<CallReceipt>>, records: &dyn Records, now: Time) -> Option<Batch> {
        let journal = Journal::load(records)?;
        let receipt = receipt.or_else(|| self.receipt.clone());
        let transaction = self.tariff.claimed().transaction;
        let entry = LogEntry {
            terminal: Some(self.switch),
            charge: Some(Bytes(self.tariff.payload().to_vec())),
            session: Some(self.session),
            card: Some(self.card),
            generation: Some(self.generation),
            event: self.tick.clone(),
            call: receipt.clone(),
            ..LogEntry::new(EntryKind::Called, now, transaction)
        };
        let mut batch = Batch::default();
        let mut ended = Self { state: CallingState::Ended, ..self.clone() };
        // A card that was put on a new generation meanwhile is not in this call any more (R14).
        if let Some(purse) = load_purse(records, self.card)
            && purse.session.as_ref().is_some_and(|name| name.0 == self.own_key().name)
        {
            let mut after = Purse { session: None, ..purse.clone() };
            if let Some(receipt) = receipt {
                ended = ended.with(receipt, &mut after);
            }
            batch.replace(purse_key(self.card), Some(purse.to_bytes()), after.to_bytes());
        }
        batch.replace(self.own_key(), Some(self.to_bytes()), ended.to_bytes());
        journal.append(&[entry], &mut batch);
        Some(batch)
    }
    /// With its receipt: what it returns is kept with the card.
    fn with(self, receipt: Signed<CallReceipt>, purse: &mut Purse) -> Self {
        let returns = receipt.claimed().unused(self.total()).is_some_and(|unused| !unused.is_zero());
        let state = if returns { CallingState::Returning } else { CallingState::Receipted };
        if returns {
            purse.keep(Raise::Call(self.switch, receipt.clone()));
        }
        Self { state, receipt: Some(receipt), ..self }
    }
    /// Keeps the receipt of a call that ended without one: the provider has brought it. One that comes while the call still seems to
    /// last ends it the next time that this device looks. Again changes nothing. Of two, the lower one counts: a switch whose disk has lost
    /// the first is paid what it says then, and the rest comes back (R9).
    pub(crate) fn keep_receipt(self, receipt: Signed<CallReceipt>, records: &dyn Records, batch: &mut Batch) {
        if !self.is_ended_by(receipt.claimed()) {
            return;
        }
        let (key, before) = (self.own_key(), self.to_bytes());
        if self.state == CallingState::Open {
            let kept = Self { receipt: Some(receipt), ..self };
            return batch.replace(key, Some(before), kept.to_bytes());
        }
        let known = self.receipt.as_ref().map(|known| known.claimed().used.minor());
        let counts = match self.state {
            CallingState::Ended => true,
            CallingState::Receipted | CallingState::Returning => {
                known.is_some_and(|known| receipt.claimed().used.minor() < known)
            }
            _ => false,
        };
        // What is left over of a call of an earlier generation, the provider holds back (R9).
        let of_call = |purse: &Purse| counts && purse.generation() == self.generation;
        let Some(purse) = load_purse(records, self.card).filter(of_call) else { return };
        let mut after = purse.clone();
        let number = receipt.claimed().transaction;
        let is_first = |raise: &Raise| matches!(raise, Raise::Call(by, said) if *by == self.switch && said.claimed().transaction == number);
        after.waiting.retain(|raise| !is_first(raise));
        let kept = self.with(receipt, &mut after);
        batch.replace(purse_key(kept.card), Some(purse.to_bytes()), after.to_bytes());
        batch.replace(key, Some(before), kept.to_bytes());
    }
    /// The call that this raise is the end of, if it is one of this wallet's and its rest is still out.
    pub fn returned_by(records: &dyn Records, raise: &Raise) -> Option<Self> {
        let Raise::Call(switch, receipt) = raise else {
            return None;
        };
        let calling = Self::load(records, *switch, receipt.claimed().transaction)?;
        let out = matches!(calling.state, CallingState::Ended | CallingState::Returning);
        (out && calling.is_ended_by(receipt.claimed())).then_some(calling)
    }
    /// Whether this receipt is this call's.
    pub(super) fn is_ended_by(&self, receipt: &CallReceipt) -> bool {
        let tariff = self.tariff.claimed();
        receipt.transaction == tariff.transaction
            && receipt.call == self.named()
            && receipt.used.unit() == tariff.unit
            && receipt.used.minor() <= self.paid()
    }
    /// What comes back to the card by its receipt.
    pub fn unused(&self, receipt: &CallReceipt) -> Option<Amount> {
        receipt.unused(self.total())
    }
    /// The rest is back on the card.
    pub(crate) fn returned(self, batch: &mut Batch) {
        let (key, before) = (self.own_key(), self.to_bytes());
        batch.replace(key, Some(before), Self { state: CallingState::Returned, ..self }.to_bytes());
    }
}

codes! {
    /// Where a call stands for its switch. It ends once (R7).
    pub enum CallState {
        /// Checks may follow.
        Open = 1,
        /// Over and logged.
        Ended = 2,
    }
}

message! {
    /// A call as the switch keeps it, from its tariff on.
    pub struct Call {
        /// Where it stands.
        1 state: CallState,
        /// The tariff as sent.
        2 tariff: Signed<CallTariff>,
        /// The session that carried it.
        3 session: Hash,
        /// The card that pays.
        4 card: Option<CardId>,
        /// Its generation.
        5 generation: Option<u64>,
        /// The last check.
        6 tick: Option<Signed<CardEvent>>,
        /// The checkpoint under which checks are accepted.
        7 checkpoint: Option<Handle>,
        /// The raises that came with the first check.
        8 raises: Option<Vec<Raise>>,
        /// What it costs at least, by what has happened until the last check was stored; a switch that is restarted charges no more.
        9 certain: u64,
        /// The receipt as sent.
        10 receipt: Option<Signed<CallReceipt>>,
        /// The trunk that it goes through, if it goes through one.
        11 through: Option<Through>,
        /// The last link of the chain that the last check commits to.
        12 link: Option<Link>,
    }
}

impl Call {
    /// Where it is stored.
    pub fn key(transaction: u64) -> RecordKey {
        RecordKey::numbered(Space::Call, transaction)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, transaction: u64) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(transaction))?).ok()
    }
    pub(super) fn transaction(&self) -> u64 {
        self.tariff.claimed().transaction
    }
    /// What a check of this call answers.
    pub fn counterpart(&self, switch: DeviceId) -> Counterpart<'_> {
        Counterpart::Charge { session: self.session, terminal: switch, charge: self.tariff.payload() }
    }
    /// The hash of the last check in its context.
    pub fn tick_hash(&self, switch: DeviceId) -> Option<Hash> {
        let tick = self.tick.as_ref()?;
        Some(tick.hash(&CardEvent::context(self.card?, self.generation?, &self.counterpart(switch))))
    }
    /// What has been paid for it.
    pub fn paid(&self) -> u64 {
        let (price, links) = (self.tariff.claimed().price, self.link.as_ref().map_or(0, |link| link.index));
        self.tick.as_ref().and_then(|tick| tick.claimed().paid(price, links)).unwrap_or(0)
    }
    /// Ends it: logged with the last check and what it cost. `None`: this device has no journal.
    pub(super) fn end(&self, receipt: Signed<CallReceipt>, records: &dyn Records, now: Time) -> Option<(Self, Batch)> {
        let journal = Journal::load(records)?;
        let entry = LogEntry {
            charge: Some(Bytes(self.tariff.payload().to_vec())),
            session: Some(self.session),
            card: self.card,
            generation: self.generation,
            event: self.tick.clone(),
            checkpoint: self.checkpoint,
            raises: self.raises.clone(),
            call: Some(receipt.clone()),
            through: self.through.clone(),
            link: self.link.clone(),
            ..LogEntry::new(EntryKind::Called, now, self.transaction())
        };
        let ended = Self { state: CallState::Ended, receipt: Some(receipt), ..self.clone() };
        let mut batch = Batch::default();
        batch.replace(Self::key(self.transaction()), Some(self.to_bytes()), ended.to_bytes());
        journal.append(&[entry], &mut batch);
        Some((ended, batch))
    }
}
