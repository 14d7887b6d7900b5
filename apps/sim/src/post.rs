//! The provider behind a network that loses, repeats, delays and changes envelopes, and that crashes with it.

use crate::dice::{Dice, flip};
use crate::fault::NetFault;
use tegata_core::Time;
use tegata_core::step::Broken;
use tegata_device::{Post, PostError};
use tegata_provider::{Keys, Provider};
use tegata_store::Store;

/// When something goes wrong on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetPlan {
    /// Never.
    Never,
    /// This often, in a thousand.
    Sometimes(u64),
    /// At the exchange of this number (from 0, counted from [`Center::plan`]).
    At(u64, NetFault),
}

/// Provider and network.
pub struct Center {
    /// The provider.
    pub provider: Provider,
    /// The true time.
    pub now: Time,
    /// What it does wrong on purpose.
    pub broken: Broken,
    /// What happened, if anybody listens.
    pub notes: Vec<String>,
    /// Faults that really happened.
    pub faults: u64,
    /// What goes wrong.
    plan: NetPlan,
    exchanges: u64,
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
            provider,
            now,
            broken: Broken::NONE,
            notes: Vec::new(),
            faults: 0,
            plan: NetPlan::Never,
            exchanges: 0,
            dice,
            keys,
            delayed: Vec::new(),
            requests: Vec::new(),
            replies: Vec::new(),
            backups: Vec::new(),
        }
    }
    /// Says what goes wrong from here on.
    pub fn plan(&mut self, plan: NetPlan) {
        self.plan = plan;
        self.exchanges = 0;
    }
    /// How many exchanges there were since the last plan.
    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }
    /// The network comes to rest: what was delayed arrives now or never.
    pub fn settle(&mut self) {
        self.plan = NetPlan::Never;
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
        if let Ok(image) = self.provider.store().snapshot() {
            self.backups.push(image);
        }
    }
    /// Puts a backup back, in a new epoch (R15). `None`: there is no backup.
    pub fn restore(&mut self) -> Option<()> {
        let image = self.backups.get(self.dice.index(self.backups.len()))?.clone();
        self.reopen(&image);
        self.delayed.clear();
        let entropy = self.dice.entropy();
        self.provider.begin_epoch(self.now, entropy).ok()
    }
    fn reopen(&mut self, image: &[u8]) {
        let Ok(store) = Store::restore(image) else {
            return;
        };
        if let Ok(mut provider) = Provider::open(store, self.keys()) {
            provider.broken = self.broken;
            self.provider = provider;
        }
    }
    fn handle(&mut self, envelopes: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let entropy = self.dice.entropy();
        self.provider.handle(&envelopes, self.now, entropy)
    }
    fn fault(&mut self) -> Option<NetFault> {
        let number = self.exchanges;
        self.exchanges += 1;
        match self.plan {
            NetPlan::Never => None,
            NetPlan::At(at, fault) => (at == number).then_some(fault),
            NetPlan::Sometimes(rate) => {
                if self.dice.chance(rate) {
                    self.dice.pick(&NetFault::ALL)
                } else {
                    None
                }
            }
        }
    }
    fn away<T>() -> Result<T, PostError> {
        Err(PostError::Away("the town's provider".to_owned()))
    }
    fn crash(&mut self, envelopes: Vec<Vec<u8>>, committed: bool) -> Vec<Vec<u8>> {
        let before = self.provider.store().snapshot();
        self.provider.lose_commits(!committed);
        let replies = self.handle(envelopes);
        self.provider.lose_commits(false);
        let image = if committed { self.provider.store().snapshot() } else { before };
        if let Ok(image) = image {
            self.reopen(&image);
        }
        replies
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
        let fault = self.fault();
        if let Some(fault) = fault {
            self.faults += 1;
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
                let replies = self.crash(envelopes, false);
                // Only a provider that answers before it commits has something to say here.
                if self.broken.has(tegata_core::step::Break::AcknowledgeBeforeCommit) {
                    replies
                } else {
                    return Self::away();
                }
            }
            Some(NetFault::CrashAfter) => {
                self.crash(envelopes, true);
                return Self::away();
            }
            Some(NetFault::Full) => {
                self.provider.lose_commits(true);
                let replies = self.handle(envelopes);
                self.provider.lose_commits(false);
                replies
            }
        };
        if self.replies.len() < 32 {
            self.replies.extend(replies.iter().cloned());
        }
        Ok(replies)
    }
}
