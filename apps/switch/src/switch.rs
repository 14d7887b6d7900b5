//! A switch over its vault: what it works with, calls that it was in when it went down, its line to the provider.

use crate::records::CallRecord;
use std::collections::HashSet;
use std::sync::Arc;
use tegata_core::Time;
use tegata_core::charging::Tariff;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::{Event, Fault};
use tegata_core::talk::call::{Call, CallState, EndNotice, EndOfCall, Exchange, SwitchCall};
use tegata_core::talk::journal::{Journal, LogEntry};
use tegata_core::talk::reach::StandsFor;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::Signed;
use tegata_device::{
    Device, Now, Out, Post, PostError, Summary, Talking, TerminalTap, UpdateError, UpdateStep, Updating, update,
};
use tegata_vault::{Vault, VaultError};

/// Seconds within which a caller agrees to the tariff of a call.
const VALID_FOR: u64 = 60;
/// How long before a unit ends the next one is asked for, in milliseconds; never more than half a unit.
const LEAD: u64 = 2_000;
/// For how many days records of calls are kept where nobody says otherwise: bills of a month are disputed within the two that follow. The
/// evidence is in the log, which the provider keeps for good.
pub const KEPT_DAYS: u64 = 90;
/// How many records of calls are looked at at once, so that calls under way need not wait for long.
const AT_ONCE: usize = 1_000;
/// How often that is done after an update: more calls than a switch ends between two of them.
const ROUNDS: usize = 5;

/// Why the switch did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// Not joined.
    #[error("this switch has not joined a provider yet; ask its operator for a token and join")]
    NotJoined,
    /// Nothing to charge by.
    #[error("this switch knows no tariff yet; an issuer of telephone cards sets one, then update this switch once")]
    NotReady,
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The update did not come to its end.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// SIP could not be spoken.
    #[error(transparent)]
    Sip(Box<tegata_sip::StartError>),
}

impl From<tegata_sip::StartError> for SwitchError {
    fn from(error: tegata_sip::StartError) -> Self {
        Self::Sip(Box::new(error))
    }
}

/// A switch.
pub struct Switch<V> {
    /// Its records and keys.
    pub device: Device<V>,
    exchange: Option<Arc<Exchange>>,
}

impl<V: Vault> Switch<V> {
    /// Over this device.
    pub fn new(device: Device<V>) -> Self {
        Self { device, exchange: None }
    }
    /// With what it works, read once and again after each update.
    ///
    /// # Errors
    /// [`SwitchError::NotJoined`], [`SwitchError::NotReady`].
    pub fn exchange(&mut self) -> Result<Arc<Exchange>, SwitchError> {
        if let Some(exchange) = &self.exchange {
            return Ok(exchange.clone());
        }
        let certificate = self.device.certificate().ok_or(SwitchError::NotJoined)?;
        let anchors = self.device.anchors().ok_or(SwitchError::NotJoined)?;
        let tariffs = self.device.vault.scan(Space::Tariff, &[], usize::MAX)?;
        let tariffs = tariffs.iter().filter_map(|(_, bytes)| Signed::<Tariff>::decode(bytes).ok());
        let tariffs: Vec<_> = tariffs.map(|signed| (signed.hash(&[]), signed.claimed().clone())).collect();
        if tariffs.is_empty() {
            return Err(SwitchError::NotReady);
        }
        let terms = self.device.vault.scan(Space::Terms, &[], usize::MAX)?;
        let terms = terms.iter().filter_map(|(_, bytes)| tegata_core::card::Terms::from_bytes(bytes).ok()).collect();
        let exchange = Exchange { certificate, anchors, terms, tariffs, valid_for: VALID_FOR, lead: LEAD };
        Ok(self.exchange.insert(Arc::new(exchange)).clone())
    }
    /// Waits for the words of a caller who dials this number.
    ///
    /// # Errors
    /// [`SwitchError`].
    pub fn tap(&mut self, called: &str) -> Result<TerminalTap<SwitchCall>, SwitchError> {
        Ok(TerminalTap::waiting(SwitchCall::new(self.exchange()?, called.to_owned())))
    }
    /// The phone that this number stands for now (flow 21).
    pub fn stands_for(&self, number: &str, now: Time) -> Option<String> {
        StandsFor::load(&self.device, number, now)?.phone
    }
    /// Whether this number stands for somebody, or for nobody whom one could ring.
    pub fn knows(&self, number: &str, now: Time) -> bool {
        StandsFor::load(&self.device, number, now).is_some()
    }
    /// This number stands for nobody any more: it has done so once.
    ///
    /// # Errors
    /// The vault cannot be written.
    pub fn forget(&mut self, number: &str) -> Result<(), SwitchError> {
        Ok(forget(&mut self.device, number)?)
    }
    /// Forgets the numbers whose time is over.
    fn forget_old(&mut self, now: Time) -> Result<(), SwitchError> {
        let mut batch = Batch::default();
        for (name, bytes) in self.device.vault.scan(Space::StandsFor, &[], usize::MAX)? {
            if !StandsFor::from_bytes(&bytes).is_ok_and(|held| now < held.until) {
                batch.remove(RecordKey::new(Space::StandsFor, name));
            }
        }
        if !batch.writes.is_empty() {
            self.device.vault.commit(&batch)?;
        }
        Ok(())
    }
    /// Removes what has no use any more: numbers that stand for nobody, and the oldest records of calls, if these ended more than `keep`
    /// seconds ago; some of them at once, says how many. What the provider has not recorded stays, however old it is.
    ///
    /// # Errors
    /// The vault cannot be read or written, or was written by somebody else meanwhile; nothing more is removed.
    pub fn prune(&mut self, now: Time, keep: u64) -> Result<usize, SwitchError> {
        self.forget_old(now)?;
        let old = |bytes: &[u8]| {
            let call = Call::from_bytes(bytes).ok().filter(|call| call.state == CallState::Ended)?;
            let ended = call.receipt.as_ref()?.claimed().at;
            (now.since(ended) > keep).then(|| call.tariff.claimed().transaction)
        };
        let mut found = self.device.vault.scan(Space::Call, &[], AT_ONCE)?;
        found.retain(|(_, bytes)| old(bytes).is_some());
        let stored = self.device.vault.get(&Journal::key())?;
        let journal = stored.as_deref().and_then(|bytes| Journal::from_bytes(bytes).ok());
        let (Some(journal), false) = (journal, found.is_empty()) else { return Ok(0) };
        // Each call's entry was logged with its end; an entry that cannot be read may be any call's.
        let first = journal.acknowledged.saturating_add(1).to_be_bytes();
        let waiting = self.device.vault.scan(Space::Log, &first, usize::MAX)?;
        let entry = |(_, bytes): &(Vec<u8>, Vec<u8>)| Some(LogEntry::from_bytes(bytes).ok()?.transaction);
        let Some(waiting) = waiting.iter().map(entry).collect::<Option<HashSet<u64>>>() else { return Ok(0) };
        found.retain(|(_, bytes)| old(bytes).is_some_and(|transaction| !waiting.contains(&transaction)));
        let mut batch = Batch::default();
        // What was decided by stands still, or nothing is removed (R13).
        batch.guards.push((Journal::key(), stored));
        let gone = found.len();
        for (name, bytes) in found {
            let key = RecordKey::new(Space::Call, name);
            batch.guards.push((key.clone(), Some(bytes)));
            batch.remove(key);
        }
        if gone > 0 {
            self.device.vault.commit(&batch)?;
        }
        Ok(gone)
    }
    /// The calls in its records, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn calls(&self) -> Result<Vec<Call>, SwitchError> {
        let found = self.device.vault.scan(Space::Call, &[], usize::MAX)?;
        Ok(found.iter().filter_map(|(_, bytes)| Call::from_bytes(bytes).ok()).collect())
    }
    /// The calls that have ended, as an operator counts them.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn records(&self) -> Result<Vec<CallRecord>, SwitchError> {
        Ok(self.calls()?.iter().filter_map(CallRecord::of).collect())
    }
    /// Ends the calls that it was in when it went down; says how many (R8).
    ///
    /// # Errors
    /// [`SwitchError`].
    pub fn recover(&mut self, now: Now) -> Result<usize, SwitchError> {
        self.end_others(&HashSet::new(), now)
    }
    /// Ends the calls that stand in its records as open and that nobody holds any more; says how many (R8).
    ///
    /// # Errors
    /// [`SwitchError`].
    pub fn end_others(&mut self, held: &HashSet<u64>, now: Now) -> Result<usize, SwitchError> {
        let open = self.calls()?.into_iter().filter(|call| call.state == CallState::Open);
        let open: Vec<u64> = open.map(|call| call.tariff.claimed().transaction).collect();
        let open: Vec<u64> = open.into_iter().filter(|transaction| !held.contains(transaction)).collect();
        for transaction in &open {
            self.end(*transaction, now)?;
        }
        Ok(open.len())
    }
    /// Ends one call from what is stored of it.
    ///
    /// # Errors
    /// [`SwitchError`].
    pub fn end(&mut self, transaction: u64, now: Now) -> Result<(), SwitchError> {
        let (switch, key) = self.device.id().zip(self.device.key()).ok_or(SwitchError::NotJoined)?;
        let mut talking = Talking::new(EndOfCall::Start { transaction, switch, key });
        for out in talking.deliver(Event::Tick, now, &mut self.device) {
            if let Out::Show(EndNotice::Failed(fault)) = out {
                return Err(fault.into());
            }
        }
        Ok(())
    }
    /// Brings the log to the provider, and takes in tariffs, terms and lists.
    ///
    /// # Errors
    /// [`SwitchError::Update`].
    pub fn update(&mut self, post: &mut dyn Post, now: Now) -> Result<Summary, SwitchError> {
        let summary = update(&mut self.device, post, now);
        self.exchange = None;
        let summary = summary?;
        self.updated(now.time, None)?;
        Ok(summary)
    }
    /// An answer for an update that goes on meanwhile. What it has brought counts from here on, whatever becomes of the rest.
    ///
    /// # Errors
    /// [`UpdateError`]; what was stored stays.
    pub fn answered(
        &mut self,
        updating: Updating,
        answer: Result<Vec<u8>, PostError>,
        now: Now,
    ) -> Result<UpdateStep, UpdateError> {
        let step = updating.answered(&mut self.device, answer, now);
        self.exchange = None;
        step
    }
    /// An update has come to its end: records of calls that ended more than `keep` seconds ago go.
    ///
    /// # Errors
    /// The vault cannot be written.
    pub fn updated(&mut self, now: Time, keep: Option<u64>) -> Result<(), SwitchError> {
        self.forget_old(now)?;
        let Some(keep) = keep else { return Ok(()) };
        for _ in 0..ROUNDS {
            if self.prune(now, keep)? < AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}

/// The device of a switch forgets whom this number stands for.
///
/// # Errors
/// The vault cannot be written.
pub fn forget<V: Vault>(device: &mut Device<V>, number: &str) -> Result<(), VaultError> {
    let mut batch = Batch::default();
    batch.remove(StandsFor::key(number));
    device.vault.commit(&batch)
}
