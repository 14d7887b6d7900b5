//! The provider behind a network that loses, repeats, delays and changes envelopes, and that crashes with it.

use crate::courier::Courier;
use crate::dice::{Dice, flip};
use crate::fault::NetFault;
use crate::known;
use crate::trouble::{NetPlan, Trouble};
use tegata_core::step::{Break, Broken};
use tegata_core::{CardId, DeviceId, Time};
use tegata_device::{Post, PostError};
use tegata_provider::{Keys, Provider, ProviderError};
use tegata_store::{Store, StoreError};

/// In so many transactions a change of a few tickets is over.
const MOST_PIECES: usize = 200;

/// The town's provider over this database.
///
/// # Errors
/// [`ProviderError`].
pub fn open(store: Store, keys: Keys, now: Time, broken: Broken) -> Result<Provider, ProviderError> {
    Provider::open_judging(store, keys, "Town", now, (broken, known::for_provider(broken)))
}

/// Provider and network.
pub struct Center {
    provider: Option<Provider>,
    /// The true time.
    pub now: Time,
    /// What it does wrong on purpose.
    pub broken: Broken,
    /// What happened, if anybody listens.
    pub notes: Vec<String>,
    /// What goes wrong between devices and provider.
    pub trouble: Trouble,
    /// The line to the processor; `None`: the town clears no credit.
    pub courier: Option<Courier>,
    /// When the operator revoked the processor's key.
    pub processor_revoked: Option<Time>,
    /// What no fault explains.
    pub broken_down: Vec<String>,
    dice: Dice,
    keys: ([u8; 32], Time),
    delayed: Vec<Vec<u8>>,
    requests: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
    backups: Vec<Vec<u8>>,
}

impl Center {
    /// Over a provider whose keys come from this entropy and time.
    pub fn new(provider: Provider, keys: ([u8; 32], Time), now: Time, dice: Dice) -> Self {
        Self {
            provider: Some(provider),
            now,
            broken: Broken::NONE,
            notes: Vec::new(),
            trouble: Trouble::new(&NetFault::ALL),
            courier: None,
            processor_revoked: None,
            broken_down: Vec::new(),
            dice,
            keys,
            delayed: Vec::new(),
            requests: Vec::new(),
            replies: Vec::new(),
            backups: Vec::new(),
        }
    }
    /// The provider; `None` if it could not be opened again, which is a failure of its own.
    pub fn provider(&mut self) -> Option<&mut Provider> {
        self.provider.as_mut()
    }
    /// The provider's database, for readers.
    ///
    /// # Errors
    /// There is none any more.
    pub fn store(&self) -> Result<&Store, StoreError> {
        self.provider.as_ref().map(Provider::store).ok_or(StoreError::Missing)
    }
    /// Pays merchants.
    ///
    /// # Errors
    /// In words.
    pub fn settle_merchants(&mut self) -> Result<u64, String> {
        let now = self.now;
        let provider = self.provider.as_mut().ok_or("no provider")?;
        provider.settle(now).map(|done| done.period).map_err(|error| error.to_string())
    }
    /// The operator asks for something; the way there and back fails like that of devices.
    ///
    /// # Errors
    /// In words: what the provider says, or that nobody knows whether it was done.
    pub fn operate<T>(&mut self, what: impl Fn(&mut Provider, Time) -> Result<T, ProviderError>) -> Result<T, String> {
        let fault = self.trouble.meets(&mut self.dice);
        if let Some(fault) = fault {
            self.notes.push(format!("operator: {}", fault.name()));
        }
        let lost = || Err("nobody knows whether it was done".to_owned());
        match fault {
            Some(NetFault::LoseRequest | NetFault::Delay | NetFault::CorruptRequest) => return lost(),
            Some(NetFault::CrashBefore) => {
                self.crash();
                return lost();
            }
            _ => {}
        }
        let now = self.now;
        if fault == Some(NetFault::Full) {
            self.limit_pages(1);
        }
        let mut done = what(self.provider.as_mut().ok_or("no provider")?, now).map_err(|error| error.to_string());
        match fault {
            Some(NetFault::Full) => self.limit_pages(u32::MAX - 1),
            Some(NetFault::Duplicate | NetFault::Replay) => {
                done = what(self.provider.as_mut().ok_or("no provider")?, now).map_err(|error| error.to_string());
            }
            Some(NetFault::LoseReply | NetFault::CorruptReply | NetFault::StaleReply) => return lost(),
            Some(NetFault::CrashAfter) => {
                self.crash();
                return lost();
            }
            _ => {}
        }
        done
    }
    /// Looks for what only one side has recorded.
    ///
    /// # Errors
    /// In words.
    pub fn compare(&mut self) -> Result<u64, String> {
        let now = self.now;
        let provider = self.provider.as_mut().ok_or("no provider")?;
        provider.compare(now).map_err(|error| error.to_string())
    }
    /// Revokes a device.
    ///
    /// # Errors
    /// In words.
    pub fn revoke(&mut self, device: DeviceId) -> Result<(), String> {
        let now = self.now;
        let provider = self.provider.as_mut().ok_or("no provider")?;
        provider.revoke(device.into(), now).map_err(|error| error.to_string())
    }
    /// Revokes the processor's key.
    pub fn revoke_processor(&mut self) {
        let (now, row) = (self.now, self.store().and_then(|store| store.processor()).ok().flatten());
        let done =
            self.provider.as_mut().zip(row).map(|(provider, row)| provider.revoke(row.info.processor.into(), now));
        self.notes.push(format!("the operator revokes the processor: {done:?}"));
        self.processor_revoked = self.processor_revoked.or(Some(now));
    }
    /// Blocks a card.
    ///
    /// # Errors
    /// In words.
    pub fn block(&mut self, card: CardId) -> Result<(), String> {
        let now = self.now;
        let provider = self.provider.as_mut().ok_or("no provider")?;
        provider.block(card, now).map_err(|error| error.to_string())
    }
    /// Issues a ticket anew whose wallet was lost; the number.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn reissue(&mut self, card: CardId) -> Result<String, String> {
        let now = self.now;
        let provider = self.provider.as_mut().ok_or("no provider")?;
        provider.anew(card, now).map_err(|error| error.to_string())
    }
    /// Tickets of a change have their turn, one transaction after the other, as the provider's own process has it; it dies between
    /// them so often, in a thousand.
    pub fn work_off(&mut self, dies: u64) {
        for _ in 0..MOST_PIECES {
            let (now, entropy) = (self.now, self.dice.entropy());
            let Some(provider) = &mut self.provider else {
                return;
            };
            provider.change_on(now, entropy);
            if !provider.is_changing() {
                return;
            }
            if self.dice.chance(dies) {
                self.crash();
            }
        }
        self.broken_down.push("flow 15: a change of a few tickets does not come to an end".into());
    }
    /// The independent auditor's first difference.
    ///
    /// # Errors
    /// The difference, in words.
    pub fn audit(&self) -> Result<(), String> {
        let store = self.store().map_err(|error| error.to_string())?;
        let found = tegata_audit::audit(store.connection(), &tegata_audit::Options::default());
        let audit = found.map_err(|error| error.to_string())?;
        match audit.difference {
            Some(difference) => Err(difference.to_string()),
            None => Ok(()),
        }
    }
    /// Says what goes wrong between devices and provider from here on.
    pub fn plan(&mut self, plan: NetPlan) {
        self.trouble.plan(plan);
    }
    /// Faults that really happened.
    pub fn faults(&self) -> u64 {
        self.trouble.faults + self.courier.as_ref().map_or(0, Courier::faults)
    }
    /// The network comes to rest: what was delayed arrives now or never.
    pub fn settle(&mut self) {
        self.trouble.plan(NetPlan::Never);
        if let Some(courier) = &mut self.courier {
            courier.settle();
        }
        for envelope in std::mem::take(&mut self.delayed) {
            self.handle(vec![envelope]);
        }
    }
    /// Its keys, made again.
    pub fn keys(&self) -> Keys {
        Keys::new(self.keys.0, self.keys.1)
    }
    /// Keeps a backup.
    pub fn back_up(&mut self) {
        if let Some(Ok(image)) = self.provider.as_mut().map(Provider::snapshot) {
            self.backups.push(image);
        }
    }
    /// Puts a backup back, in a new epoch (R15): the backup's epoch and the one after. `None`: there is no backup.
    pub fn restore(&mut self) -> Option<(u64, u64)> {
        let image = self.backups.get(self.dice.index(self.backups.len()))?;
        let store = Store::restore(image).ok()?;
        self.reopen(store);
        self.delayed.clear();
        let epoch = |center: &Self| Some(center.store().ok()?.provider().ok()??.epoch);
        let (now, before) = (self.now, epoch(self)?);
        self.provider.as_mut()?.restored(now).ok()?;
        Some((before, epoch(self)?))
    }
    fn reopen(&mut self, store: Store) {
        self.provider = open(store, self.keys(), self.now, self.broken).ok();
    }
    fn handle(&mut self, envelopes: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let entropy = self.dice.entropy();
        let now = self.now;
        self.provider.as_mut().map(|provider| provider.handle(&envelopes, now, entropy)).unwrap_or_default()
    }
    fn away<T>() -> Result<T, PostError> {
        Err(PostError::Away("the town's provider".to_owned()))
    }
    /// The provider's process ends and starts again; what it had not committed is gone.
    pub fn crash(&mut self) {
        if let Some(courier) = &mut self.courier {
            courier.forget();
        }
        if let Some(provider) = self.provider.take() {
            let (store, _) = provider.crash();
            self.reopen(store);
        }
    }
    /// The provider works with a disk that has no room left.
    fn handle_full(&mut self, envelopes: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        self.limit_pages(1);
        let replies = self.handle(envelopes);
        self.limit_pages(u32::MAX - 1);
        replies
    }
    /// Bounds the provider's database. Below what is there it means: no more than that.
    fn limit_pages(&self, pages: u32) {
        if let Ok(store) = self.store() {
            drop(store.connection().execute_batch(&format!("PRAGMA max_page_count = {pages}")));
        }
    }
}

impl Post for Center {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        if self.requests.len() < 64 {
            self.requests.extend(envelopes.iter().cloned());
        }
        // What was delayed arrives some time.
        if !self.delayed.is_empty() && self.dice.chance(300) {
            let envelope = self.delayed.remove(0);
            self.handle(vec![envelope]);
        }
        let fault = self.trouble.meets(&mut self.dice);
        if let Some(fault) = fault {
            self.notes.push(format!("network: {}", fault.name()));
        }
        let replies = match fault {
            None => self.handle(envelopes),
            Some(NetFault::LoseRequest) => return Self::away(),
            Some(NetFault::LoseReply) => {
                self.handle(envelopes);
                return Self::away();
            }
            Some(NetFault::Duplicate) => {
                self.handle(envelopes.clone());
                self.handle(envelopes)
            }
            Some(NetFault::Delay) => {
                self.delayed.extend(envelopes);
                return Self::away();
            }
            Some(NetFault::CorruptRequest) => {
                let mut envelopes = envelopes;
                let dice = &mut self.dice;
                envelopes.iter_mut().for_each(|envelope| flip(envelope, dice));
                self.handle(envelopes)
            }
            Some(NetFault::CorruptReply) => {
                let mut replies = self.handle(envelopes);
                let dice = &mut self.dice;
                replies.iter_mut().for_each(|reply| flip(reply, dice));
                replies
            }
            Some(NetFault::StaleReply) => {
                let replies = self.handle(envelopes);
                match self.replies.get(self.dice.index(self.replies.len())) {
                    Some(older) => vec![older.clone()],
                    None => replies,
                }
            }
            Some(NetFault::Replay) => {
                let older = self.requests.get(self.dice.index(self.requests.len())).cloned();
                self.handle(older.into_iter().collect());
                self.handle(envelopes)
            }
            Some(NetFault::CrashBefore) => {
                // Nothing is kept; only a provider that answers before it commits has something to say here.
                let early = self.broken.has(Break::AcknowledgeBeforeCommit);
                let replies = if early { self.handle(envelopes) } else { Vec::new() };
                self.crash();
                if !early {
                    return Self::away();
                }
                replies
            }
            Some(NetFault::CrashAfter) => {
                self.handle(envelopes);
                if self.broken.has(Break::AcknowledgeBeforeCommit) {
                    // It commits with what comes next.
                    self.handle(Vec::new());
                }
                self.crash();
                return Self::away();
            }
            Some(NetFault::Full) => self.handle_full(envelopes),
            // These are no exchanges that wait.
            Some(
                NetFault::DelayReply
                | NetFault::CrashAmid
                | NetFault::AskerCrash
                | NetFault::AskerCrashBefore
                | NetFault::AskerCrashAfter
                | NetFault::Revoked,
            ) => self.handle(envelopes),
        };
        if self.replies.len() < 32 {
            self.replies.extend(replies.iter().cloned());
        }
        Ok(replies)
    }
}
