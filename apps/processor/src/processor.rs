//! The processor without sockets and clock: works in, one durable transaction, effects out. The service and the tests drive the
//! same one.

use crate::ProcessorError;
use crate::desk::{Answered, Desk, Reply, unknown};
use crate::keys::Keys;
use crate::line::{Heard, Job, Line, LineConfig, LineEffect, LineEvent, Now};
use crate::prepare::Prepared;
use crate::shared::Shared;
use crate::store::{Durable, Named, ProviderRow, Store, StoreError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tegata_core::talk::credit::{ProcessorInfo, ProcessorRefusal};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::PublicKey;
use tegata_core::{Hash, PartyId, RequestNumber};
use tegata_crypto_native::primitive::mac;
use tegata_iso8583::AcquirerId;
use zeroize::Zeroizing;

/// Who waits for an answer: whatever the driver gave.
pub type Ticket = u64;

/// What there is to do.
#[derive(Debug)]
pub enum Work {
    /// A message came.
    Message(Ticket, Box<Prepared>),
    /// Something happened on the bank's line.
    Bank(LineEvent),
}

/// What the driver has to do, in order.
#[derive(Debug)]
pub enum Effect {
    /// Connect to the bank.
    Connect,
    /// Send this frame's body to the bank.
    Send(Zeroizing<Vec<u8>>),
    /// Drop the connection to the bank.
    Close,
    /// Answer a message.
    Reply(Ticket, Vec<u8>),
}

/// What a transaction brought: replies, what may be sent now, which requests are answered.
type Transacted = (Vec<Reply>, Vec<Durable<Job>>, Vec<Answered>);

/// A message whose answer depends on the bank.
#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    prepared: Box<Prepared>,
    deadline: u64,
}

/// The transaction processing system.
#[derive(Debug)]
pub struct Processor {
    shared: Arc<Shared>,
    store: Store,
    line: Line,
    config: LineConfig,
    waiting: BTreeMap<(PartyId, RequestNumber), Vec<Waiting>>,
    /// Whether the line pursues all that is open in the store.
    recovered: bool,
}

impl Processor {
    /// Creates a processor over an empty database, or opens the one that is there: what was sent without an answer is unknown
    /// then, and is undone or asked again. `keys` must be its own. The acquirer code of the first opening is kept.
    ///
    /// # Errors
    /// [`ProcessorError::OtherKeys`] and others.
    pub fn open(
        mut store: Store,
        keys: Keys,
        name: &str,
        mut config: LineConfig,
        now: Now,
        entropy: [u8; 32],
    ) -> Result<Self, ProcessorError> {
        let key = keys.signing.public();
        let named = match store.named()? {
            Some(named) => named,
            None => {
                let mut party = [0; 16];
                party.copy_from_slice(&Hash::of(&key.to_bytes()).0[..16]);
                let (sealing, acquirer) = (keys.sealing.public().0, config.acquirer.to_string());
                let named =
                    Named { party: PartyId(party), name: name.to_owned(), key: key.to_bytes(), sealing, acquirer };
                store.begin()?;
                store.put_named(&named)?;
                store.commit(Vec::<()>::new())?;
                named
            }
        };
        if named.key != key.to_bytes() || named.sealing != keys.sealing.public().0 {
            return Err(ProcessorError::OtherKeys);
        }
        // What was said first counts: the bank finds what is under way by it.
        config.acquirer = AcquirerId::new(&named.acquirer).ok_or(StoreError::Damaged)?;
        let info = ProcessorInfo {
            processor: named.party,
            name: named.name,
            key,
            sealing: keys.sealing.public(),
            extensions: Default::default(),
        };
        let shared = Arc::new(Shared::new(info, keys, store.providers()?));
        let mut processor =
            Self { shared, store, line: Line::new(config), config, waiting: BTreeMap::new(), recovered: false };
        processor.recover(now, entropy)?;
        Ok(processor)
    }
    /// Opens or creates the processor in a folder: `processor.db`, and `keys`, which only its owner reads.
    ///
    /// # Errors
    /// [`ProcessorError`].
    pub fn open_folder(
        folder: &Path,
        name: &str,
        config: LineConfig,
        now: Now,
        entropy: [u8; 32],
    ) -> Result<Self, ProcessorError> {
        let (file, database) = (folder.join("keys"), folder.join("processor.db"));
        let keys = match Keys::load(&file)? {
            Some(keys) => keys,
            None if database.exists() => {
                return Err(ProcessorError::Keys(format!("{} is missing; restore it from a copy", file.display())));
            }
            None => {
                let keys = Keys::new(entropy);
                keys.save(&file)?;
                keys
            }
        };
        Self::open(Store::open_or_create(database)?, keys, name, config, now, entropy)
    }
    /// What it publishes of itself.
    pub fn info(&self) -> &ProcessorInfo {
        &self.shared.info
    }
    /// What opening envelopes needs, for other threads.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }
    /// The database, for readers.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// Whether the bank's line is signed on.
    pub fn line_is_open(&self) -> bool {
        self.line.is_open()
    }
    /// How many messages to the bank are not answered.
    pub fn pursued(&self) -> usize {
        self.line.pursued()
    }

    /// Lets a provider's key ask.
    ///
    /// # Errors
    /// [`ProcessorError`].
    pub fn admit(&mut self, party: PartyId, key: PublicKey, name: &str, now: Now) -> Result<(), ProcessorError> {
        self.write_provider(&ProviderRow { party, key, name: name.to_owned(), admitted: now.time, revoked: None })
    }
    /// Revokes all keys of a provider: it may not ask any more.
    ///
    /// # Errors
    /// [`ProcessorError::Unknown`] and others.
    pub fn revoke(&mut self, party: PartyId, now: Now) -> Result<(), ProcessorError> {
        let rows = self.shared.keys_of(party);
        if rows.is_empty() {
            return Err(ProcessorError::Unknown);
        }
        rows.into_iter().try_for_each(|row| {
            let revoked = row.revoked.or(Some(now.time));
            self.write_provider(&ProviderRow { revoked, ..row })
        })
    }
    fn write_provider(&mut self, row: &ProviderRow) -> Result<(), ProcessorError> {
        self.store.begin()?;
        self.store.put_provider(row)?;
        self.store.commit(Vec::<()>::new())?;
        self.shared.learn(self.store.providers()?);
        Ok(())
    }

    /// Begins anew with what is durable: after a start, and after a transaction that failed.
    fn recover(&mut self, now: Now, entropy: [u8; 32]) -> Result<(), ProcessorError> {
        self.line = Line::new(self.config);
        let (jobs, _) = self.transact(now, entropy, |desk| desk.recover())?;
        let effects = self.hand_over(jobs, now);
        debug_assert!(effects.is_empty(), "a line that is down sends nothing");
        self.recovered = true;
        Ok(())
    }
    /// One transaction: all of it durable, or none.
    fn transact(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        work: impl FnOnce(&mut Desk<'_>) -> Result<(), ProcessorError>,
    ) -> Result<(Vec<Durable<Job>>, Vec<Answered>), ProcessorError> {
        self.store.begin()?;
        let mut desk =
            Desk::new(&self.store, &self.shared, self.config.acquirer, self.line.is_open(), (now.time, entropy));
        match work(&mut desk) {
            Ok(()) => {
                let (jobs, answered) = (desk.jobs, desk.answered);
                Ok((self.store.commit(jobs)?, answered))
            }
            Err(error) => {
                self.store.rollback();
                Err(error)
            }
        }
    }
    fn hand_over(&mut self, jobs: Vec<Durable<Job>>, now: Now) -> Vec<LineEffect> {
        jobs.into_iter().flat_map(|job| self.line.ask(job, now)).collect()
    }

    /// Does what there is to do, in one durable transaction, and says what follows from it. Where the store fails, messages
    /// are answered so, and the processor begins anew with what is durable, as after a crash.
    ///
    /// `entropy` must serve this one call only.
    pub fn turn(&mut self, works: Vec<Work>, now: Now, entropy: [u8; 32]) -> Vec<Effect> {
        let (mut effects, mut heard, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        for work in works {
            match work {
                Work::Bank(event) => sort(self.line.step(event, now), &mut effects, &mut heard),
                Work::Message(ticket, prepared) => messages.push((ticket, prepared)),
            }
        }
        sort(self.line.step(LineEvent::Tick, now), &mut effects, &mut heard);
        if !self.recovered && !self.try_again(now, entropy, &mut effects) {
            self.unavailable(messages, &mut effects, now, entropy);
        } else if !heard.is_empty() || !messages.is_empty() {
            match self.transacted(&heard, &messages, now, entropy) {
                Ok(done) => self.finish(messages, done, &mut effects, now, entropy),
                Err(error) => {
                    tracing::warn!(%error, "a transaction failed; each of its parts is tried alone");
                    self.one_by_one(&heard, messages, &mut effects, now, entropy);
                }
            }
        }
        self.give_up(now, entropy, &mut effects);
        effects
    }
    /// What follows from a transaction that is durable: messages to the bank, then answers.
    fn finish(
        &mut self,
        messages: Vec<(Ticket, Box<Prepared>)>,
        (replies, jobs, answered): Transacted,
        effects: &mut Vec<Effect>,
        now: Now,
        entropy: [u8; 32],
    ) {
        // The line hears nothing from being asked but that a message could not be put together, which it repeats.
        sort(self.hand_over(jobs, now), effects, &mut Vec::new());
        for ((ticket, prepared), reply) in messages.into_iter().zip(replies) {
            match reply {
                Reply::Now(plain) => effects.push(self.reply(ticket, &prepared, &plain, entropy)),
                Reply::Wait(provider, number) => {
                    let deadline = now.ms.saturating_add(self.config.reply_within());
                    let waiting = Waiting { ticket, prepared, deadline };
                    self.waiting.entry((provider, number)).or_default().push(waiting);
                }
            }
        }
        for (provider, number, plain) in answered {
            for waiting in self.waiting.remove(&(provider, number)).unwrap_or_default() {
                effects.push(self.reply(waiting.ticket, &waiting.prepared, &plain, entropy));
            }
        }
    }
    /// So that one message that cannot be done holds up no other.
    fn one_by_one(
        &mut self,
        heard: &[Heard],
        messages: Vec<(Ticket, Box<Prepared>)>,
        effects: &mut Vec<Effect>,
        now: Now,
        entropy: [u8; 32],
    ) {
        let draw = |number: u64| mac(&entropy, "tegata processor alone v1", &[&number.to_be_bytes()]);
        match self.transacted(heard, &[], now, draw(0)) {
            Ok(done) => self.finish(Vec::new(), done, effects, now, entropy),
            // What the line told is lost to it: it begins anew with what is durable.
            Err(error) => {
                tracing::error!(%error, "what the bank said could not be stored; beginning anew with what is durable");
                effects.push(Effect::Close);
                self.recovered = false;
                self.line = Line::new(self.config);
                return self.unavailable(messages, effects, now, entropy);
            }
        }
        for (at, message) in (1..).zip(messages) {
            let one = [message];
            match self.transacted(&[], &one, now, draw(at)) {
                Ok(done) => self.finish(one.into(), done, effects, now, entropy),
                Err(error) => {
                    tracing::error!(%error, "a message could not be recorded");
                    self.unavailable(one.into(), effects, now, entropy);
                }
            }
        }
    }
    fn unavailable(
        &mut self,
        messages: Vec<(Ticket, Box<Prepared>)>,
        effects: &mut Vec<Effect>,
        now: Now,
        entropy: [u8; 32],
    ) {
        for (ticket, prepared) in messages {
            let plain = self.shared.refusal(&prepared.hash, ProcessorRefusal::Unavailable, now.time);
            effects.push(self.reply(ticket, &prepared, &plain, entropy));
        }
    }
    /// Takes up what is durable; whether that worked.
    fn try_again(&mut self, now: Now, entropy: [u8; 32], effects: &mut Vec<Effect>) -> bool {
        effects.push(Effect::Close);
        let recovered = self.recover(now, mac(&entropy, "tegata processor recover v1", &[]));
        if let Err(error) = &recovered {
            tracing::error!(%error, "what is durable cannot be taken up; trying again");
        }
        recovered.is_ok()
    }
    fn transacted(
        &mut self,
        heard: &[Heard],
        messages: &[(Ticket, Box<Prepared>)],
        now: Now,
        entropy: [u8; 32],
    ) -> Result<Transacted, ProcessorError> {
        let mut replies = Vec::with_capacity(messages.len());
        let (jobs, answered) = self.transact(now, entropy, |desk| {
            heard.iter().try_for_each(|heard| desk.line(heard))?;
            for (_, prepared) in messages {
                replies.push(desk.message(prepared)?);
            }
            Ok(())
        })?;
        Ok((replies, jobs, answered))
    }
    /// Those who have waited long enough are told that it is unknown.
    fn give_up(&mut self, now: Now, entropy: [u8; 32], effects: &mut Vec<Effect>) {
        let mut over = Vec::new();
        for ((_, number), all) in &mut self.waiting {
            let (late, still): (Vec<_>, Vec<_>) = all.drain(..).partition(|waiting| waiting.deadline <= now.ms);
            over.extend(late.into_iter().map(|waiting| (*number, waiting)));
            *all = still;
        }
        self.waiting.retain(|_, all| !all.is_empty());
        for (number, waiting) in over {
            let plain = unknown(&self.shared, &waiting.prepared.hash, number, now.time);
            effects.push(self.reply(waiting.ticket, &waiting.prepared, &plain, entropy));
        }
    }
    fn reply(&self, ticket: Ticket, prepared: &Prepared, plain: &[u8], entropy: [u8; 32]) -> Effect {
        let Some((envelope, channel)) = &prepared.envelope else { return Effect::Reply(ticket, plain.to_vec()) };
        let entropy = mac(&entropy, "tegata processor reply v1", &[&ticket.to_be_bytes()]);
        Effect::Reply(ticket, channel.seal_reply(entropy, envelope, plain).to_bytes())
    }
    /// When it wants its next turn, in milliseconds.
    pub fn wake_at(&self) -> u64 {
        let waiting = self.waiting.values().flatten().map(|waiting| waiting.deadline);
        waiting.min().map_or(self.line.wake_at(), |first| first.min(self.line.wake_at()))
    }
    /// The store, for tests that look into it after the processor is gone.
    pub fn into_store(self) -> Store {
        self.store
    }
    /// The power goes out: what is not committed is gone. Gives back the database, to be opened again.
    pub fn crash(mut self) -> Store {
        self.store.rollback();
        self.store
    }
    /// A copy of all that is committed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn snapshot(&mut self) -> Result<Vec<u8>, StoreError> {
        self.store.snapshot()
    }
    /// The sum that stands on an account, per currency.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn balance(&self, account: tegata_core::AccountId) -> Result<Vec<tegata_core::Amount>, StoreError> {
        self.store.balance(account)
    }
}

/// Parts what the line tells from what it wants done.
fn sort(found: Vec<LineEffect>, effects: &mut Vec<Effect>, heard: &mut Vec<Heard>) {
    for effect in found {
        match effect {
            LineEffect::Connect => effects.push(Effect::Connect),
            LineEffect::Send(body) => effects.push(Effect::Send(body)),
            LineEffect::Close => effects.push(Effect::Close),
            LineEffect::Heard(what) => heard.push(what),
        }
    }
}
