//! The provider without sockets: bytes in, bytes out. The HTTP server and the simulator drive the same one.

use crate::buy;
use crate::credit::{self, Answered, Sent, ToProcessor};
use crate::desk::{Desk, Failure, refusal};
use crate::directory::{Directory, Learned};
use crate::give;
use crate::keys::{Keys, Operational};
use crate::prepare::{Prepared, prepare_all};
use crate::shared::Shared;
use crate::{ProviderError, compare, director, enter, exceptions, install, report, update};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tegata_core::step::{Break, Broken};
use tegata_core::talk::credit::{MerchantDetails, ProcessorInfo};
use tegata_core::talk::join::{JoinToken, ProviderInfo};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Certificate, Role, Subject};
use tegata_core::wire::signed::{Algorithm, PublicKey, Unsigned, Verifier};
use tegata_core::{CardId, Hash, IssuerId, MerchantId, PartyId, RequestNumber, Time, Unit};
use tegata_crypto_native::RecordVerifier;
use tegata_crypto_native::primitive::mac;
use tegata_ledger::Equation;
use tegata_store::{ExceptionRow, ProviderRow, PutBack, Store, TokenRow};

/// Longest name of a participant, in bytes: it travels in certificates.
pub(crate) const MAX_NAME: usize = 64;
/// How long a token can be used, in seconds: a week.
const TOKEN: u64 = 7 * Time::DAY;

/// Ends what of one kind is overdue.
type Overdue = fn(&mut Desk<'_>) -> Result<(), Failure>;

/// The service providing system.
#[derive(Debug)]
pub struct Provider {
    shared: Arc<Shared>,
    store: Store,
    keys_file: Option<PathBuf>,
    /// Something was put down for the processor since it was last asked what.
    asking: bool,
    /// Tickets may have their turn in a change: at first, and whenever one began or a second has passed.
    changing: bool,
    /// Offers and reservations that went on since this was last asked.
    moved: Vec<Hash>,
    /// What is on its way to the processor.
    sent: Sent,
    /// When it last looked for what is overdue.
    looked: Option<Time>,
}

/// What a message is answered.
#[derive(Clone, Debug)]
pub struct Said {
    /// The answer, sealed; empty where a patient asker is to be held.
    pub answer: Vec<u8>,
    /// The offer or reservation that it says is not known yet; whoever asked may be held until that goes on.
    pub waits_for: Option<Hash>,
}

impl Provider {
    /// Creates a provider over an empty database, or opens the one that is there. `keys` must be its own.
    ///
    /// # Errors
    /// [`ProviderError::OtherKeys`] and others.
    pub fn open(store: Store, keys: Keys, name: &str, now: Time, broken: Broken) -> Result<Self, ProviderError> {
        Self::open_judging(store, keys, name, now, (broken, &RecordVerifier))
    }
    /// The same, with signatures of records judged by `verifier`: for the simulator, which knows many already.
    ///
    /// # Errors
    /// As [`Provider::open`].
    pub fn open_judging(
        mut store: Store,
        keys: Keys,
        name: &str,
        now: Time,
        (broken, verifier): (Broken, &'static dyn Verifier),
    ) -> Result<Self, ProviderError> {
        let row = match store.provider()? {
            Some(row) => row,
            None => found(&mut store, &keys, name, now)?,
        };
        if row.root != keys.root.public().to_bytes() || row.sealing != keys.sealing.public().0 {
            return Err(ProviderError::OtherKeys);
        }
        let info = ProviderInfo {
            provider: row.party,
            name: row.name,
            root: keys.root.public(),
            sealing: keys.sealing.public(),
            extensions: Default::default(),
        };
        keys_known(&store, &keys, row.party)?;
        let directory = Directory::load(&store)?;
        Ok(Self {
            shared: Arc::new(Shared::new(info, keys, directory, (broken, verifier))),
            store,
            keys_file: None,
            asking: true,
            changing: true,
            moved: Vec::new(),
            sent: Sent::new(),
            looked: None,
        })
    }
    /// Opens or creates the provider in a folder: `provider.db`, and `keys`, which only its owner reads.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn open_folder(folder: &Path, name: &str, now: Time, entropy: [u8; 32]) -> Result<Self, ProviderError> {
        let (file, first, database) = (folder.join("keys"), folder.join("keys.first"), folder.join("provider.db"));
        // Keys have this name until the database stands: a provider that lost its database is not taken for a new one.
        let half_made = Keys::load(&first)?;
        let keys = match (Keys::load(&file)?, half_made) {
            (Some(_), _) if !database.exists() => {
                return Err(ProviderError::Keys(format!(
                    "{} is missing, and with it all that was recorded; restore it from a backup",
                    database.display()
                )));
            }
            (Some(keys), _) | (None, Some(keys)) => keys,
            (None, None) if database.exists() => {
                return Err(ProviderError::Keys(format!("{} is missing; restore it from a copy", file.display())));
            }
            (None, None) => {
                let keys = Keys::new(entropy, now);
                keys.save(&first)?;
                keys
            }
        };
        let store = Store::open_or_create(database)?;
        let mut provider = Self::open(store, keys, name, now, Broken::NONE)?;
        if first.exists() {
            Keys::settle(&first, &file)?;
        }
        provider.keys_file = Some(file);
        Ok(provider)
    }
    /// Puts a backup back in the place of the database of a folder, in which no provider runs, in a new epoch (R15). What was there is kept
    /// beside it; gives its path.
    ///
    /// # Errors
    /// [`ProviderError::Keys`] without the folder's own keys, [`ProviderError::OtherKeys`] for the backup of another provider, and others.
    pub fn put_back(folder: &Path, backup: &Path, now: Time) -> Result<(ProviderRow, Option<PathBuf>), ProviderError> {
        let file = folder.join("keys");
        let keys = Keys::load(&file)?.ok_or_else(|| {
            ProviderError::Keys(format!("{} is missing; restore it from a copy of its own first", file.display()))
        })?;
        let (put, store) = PutBack::begin(backup, &folder.join("provider.db"))?;
        if store.provider()?.is_none() {
            return Err(tegata_store::StoreError::HalfMade.into());
        }
        let mut provider = Self::open(store, keys, "", now, Broken::NONE)?;
        provider.restored(now)?;
        let row = provider.store.provider()?.ok_or(tegata_store::StoreError::Damaged)?;
        drop(provider);
        let kept = put.finish(&format!(".before-{}", now.0))?;
        Ok((row, kept))
    }
    /// Whether installs, loads, sales and refunds wait for devices to be heard after a backup was put back (R15), and until when at most.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn reconciling(&mut self, now: Time) -> Result<Option<Time>, ProviderError> {
        self.transact(now, [0; 32], |desk| {
            let waits = install::reconciling(desk).map_err(Failure::into_error)?;
            Ok(desk.provider.reconciling_until.filter(|_| waits))
        })
    }
    /// Whether sales do not wait for somebody who compares ([`Self::compared`]).
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn is_compared(&self) -> Result<bool, ProviderError> {
        Ok(self.store.provider()?.is_none_or(|row| row.compared >= row.epoch))
    }
    /// What was sold after the backup that was put back has been compared with what is known here: sales go on. Says whether they waited for
    /// that.
    ///
    /// # Errors
    /// [`ProviderError::Reconciling`] while devices are heard that bring a part of it.
    pub fn compared(&mut self, now: Time) -> Result<bool, ProviderError> {
        self.transact(now, [0; 32], |desk| {
            if install::reconciling(desk).map_err(Failure::into_error)? {
                return Err(ProviderError::Reconciling);
            }
            let before = std::mem::replace(&mut desk.provider.compared, desk.provider.epoch);
            Ok(before < desk.provider.epoch)
        })
    }
    /// What it publishes of itself.
    pub fn info(&self) -> &ProviderInfo {
        &self.shared.info
    }
    /// What both stages share.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }
    /// The database, for readers.
    pub fn store(&self) -> &Store {
        &self.store
    }
    /// A copy of all that is committed.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn snapshot(&mut self) -> Result<Vec<u8>, ProviderError> {
        Ok(self.store.snapshot()?)
    }
    /// The power goes out: what is not committed is gone. Gives back database and keys, to be opened again.
    pub fn crash(mut self) -> (Store, Option<Keys>) {
        self.store.rollback();
        let keys = Arc::into_inner(self.shared).map(Shared::into_keys);
        (self.store, keys)
    }

    /// Makes a token for one who shall join in this role, as a device of `owner` or as a party. Terminals need an owner.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`] if the owner is not a party here.
    pub fn invite(
        &mut self,
        role: Role,
        owner: Option<PartyId>,
        name: &str,
        now: Time,
        entropy: [u8; 32],
    ) -> Result<JoinToken, ProviderError> {
        let owner_of = |owner: PartyId| self.shared.directory().participants.get(&Subject::from(owner)).cloned();
        let owned = owner.map(|owner| owner_of(owner).ok_or(ProviderError::Unknown)).transpose()?;
        let needs = matches!(role, Role::Terminal | Role::Gate | Role::Switch);
        let readable = String::from_bytes(&name.to_owned().to_bytes()).is_ok_and(|name| name.len() <= MAX_NAME);
        if name.contains(['/', '\\']) || !readable {
            return Err(ProviderError::Name);
        }
        let party = owned.as_ref().is_some_and(|known| matches!(known.role, Role::Merchant | Role::Issuer));
        if matches!(role, Role::Root | Role::Provider) || (needs && !party) {
            return Err(ProviderError::Unknown);
        }
        let mut secret = [0; 16];
        secret.copy_from_slice(&mac(&entropy, "tegata join token v1", &[])[..16]);
        let mut pin = [0; 16];
        pin.copy_from_slice(&self.shared.info.fingerprint().0[..16]);
        let row =
            TokenRow { role, owner, name: name.to_owned(), valid_until: now.after(TOKEN), place: None, used: None };
        self.store.begin()?;
        let written = self.store.put_token(&Hash::of(&secret), &row);
        self.finish(written.map_err(ProviderError::from))?;
        Ok(JoinToken { secret, pin })
    }

    /// Answers envelopes, in order: one durable transaction, and only then the answers.
    pub fn handle(&mut self, envelopes: &[Vec<u8>], now: Time, entropy: [u8; 32]) -> Vec<Vec<u8>> {
        let prepared: Vec<Incoming> = Incoming::prepare_all(&self.shared, envelopes, now);
        self.commit(&prepared, now, entropy).into_iter().map(|said| said.answer).collect()
    }
    /// The second stage: judge, post, sign, commit, for many devices at once. Where that fails, each message is tried
    /// alone, so that none holds up the others.
    pub fn commit(&mut self, prepared: &[Incoming], now: Time, entropy: [u8; 32]) -> Vec<Said> {
        if let Ok(answers) = self.transact(now, entropy, |desk| {
            prepared.iter().map(|incoming| said(desk, incoming)).collect::<Result<Vec<_>, _>>()
        }) {
            return answers;
        }
        let alone = |(number, incoming): (u64, &Incoming)| {
            let entropy = mac(&entropy, "tegata provider alone v1", &[&number.to_be_bytes()]);
            let failed = |provider: &Self, error: &ProviderError| Said {
                answer: provider.unavailable(incoming, now, entropy, error),
                waits_for: None,
            };
            self.transact(now, entropy, |desk| said(desk, incoming)).unwrap_or_else(|error| failed(self, &error))
        };
        (0u64..).zip(prepared).map(alone).collect()
    }
    fn unavailable(&self, incoming: &Incoming, now: Time, entropy: [u8; 32], error: &ProviderError) -> Vec<u8> {
        tracing::error!(%error, "a message could not be recorded");
        let why = ProviderRefusal::Unavailable;
        match &incoming.prepared {
            Prepared::Closed(hash, _) => refusal(&self.shared, now, hash, why, Some(5)),
            Prepared::Open(opened) => {
                let plain = refusal(&self.shared, now, &opened.hash, why, Some(5));
                opened.channel.seal_reply(entropy, &opened.envelope, &plain).to_bytes()
            }
        }
    }
    /// One transaction: all of it durable, or none.
    pub(crate) fn transact<T>(
        &mut self,
        now: Time,
        entropy: [u8; 32],
        work: impl FnOnce(&mut Desk<'_>) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        // Only where the order is broken on purpose is one still open here.
        self.store.commit()?;
        let done = self.attempt(now, entropy, work)?;
        let broken = self.shared.broken;
        let early = broken.has(Break::AcknowledgeBeforeCommit) || broken.has(Break::AskedBeforeStored) && done.asking;
        if !early {
            self.store.commit()?;
        }
        Ok(self.learn(done))
    }
    /// What a transaction does, not committed yet; where it fails, nothing of it is left.
    fn attempt<T>(
        &mut self,
        now: Time,
        entropy: [u8; 32],
        work: impl FnOnce(&mut Desk<'_>) -> Result<T, ProviderError>,
    ) -> Result<Attempted<T>, ProviderError> {
        self.store.begin()?;
        let done = Desk::new(&self.store, &self.shared, now, entropy).and_then(|mut desk| {
            let value = work(&mut desk)?;
            let (asking, changing, moved) = (desk.asking, desk.changing, std::mem::take(&mut desk.moved));
            Ok(Attempted { value, learned: desk.close()?, asking, changing, moved })
        });
        if done.is_err() {
            self.store.rollback();
        }
        done
    }
    /// What is durable is known from here on.
    fn learn<T>(&mut self, done: Attempted<T>) -> T {
        self.asking |= done.asking;
        self.changing |= done.changing;
        self.moved.extend(done.moved);
        let mut directory = self.shared.directory_mut();
        done.learned.into_iter().for_each(|learned| directory.learn(learned));
        done.value
    }
    fn finish<T>(&mut self, done: Result<T, ProviderError>) -> Result<T, ProviderError> {
        match done {
            Ok(value) => {
                self.store.commit()?;
                Ok(value)
            }
            Err(error) => {
                self.store.rollback();
                Err(error)
            }
        }
    }

    /// Revokes a party or device: it is on the next list.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`] and others.
    pub fn revoke(&mut self, subject: Subject, now: Time) -> Result<(), ProviderError> {
        self.transact(now, [0; 32], |desk| {
            let processor = desk.store.processor()?.filter(|row| Subject::from(row.info.processor) == subject);
            if let Some(processor) = processor {
                return credit::revoke_processor(desk, processor);
            }
            desk.known(subject).ok_or(ProviderError::Unknown)?;
            desk.store.set_revoked(subject, now)?;
            desk.learned.push(Learned::Revoked(subject, now));
            if let Some(place) = desk.store.gate(subject.device())? {
                desk.store.event_changed(place.event)?;
            }
            desk.publish();
            Ok(())
        })
    }
    /// Blocks a card: on the next list, and by a command to its wallet. What was spent before is still paid.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`] and others.
    pub fn block(&mut self, card: CardId, now: Time) -> Result<(), ProviderError> {
        self.transact(now, [0; 32], |desk| {
            let generation = desk.card(card)?.ok_or(ProviderError::Unknown)?.generation;
            update::block(desk, card, generation).map_err(Failure::into_error)
        })
    }
    /// Issues a ticket anew whose wallet was lost: what was lost is dead at gates from their next update on, and whoever installs the
    /// number has the ticket. Asked again, the same number.
    ///
    /// # Errors
    /// [`ProviderError::NotAnew`] and others.
    pub fn anew(&mut self, card: CardId, now: Time) -> Result<String, ProviderError> {
        self.transact(now, [0; 32], |desk| Ok(give::anew(desk, card).map_err(Failure::into_error)??.to_string()))
    }
    /// This database was put back from a backup: a new epoch begins (R15).
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn restored(&mut self, now: Time) -> Result<(), ProviderError> {
        self.transact(now, [0; 32], |desk| {
            let epoch = desk.provider.epoch;
            update::begin_epoch(desk, epoch).map_err(Failure::into_error)
        })
    }
    /// Adds an operational key; devices get it with their next update, and it signs from `from` on (flow 20).
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn rotate(&mut self, from: Time, now: Time, entropy: [u8; 32]) -> Result<(), ProviderError> {
        {
            let mut keys = self.shared.keys_mut();
            keys.add(entropy, from);
            if let Some(file) = &self.keys_file {
                keys.save(file)?;
            }
        }
        self.transact(now, entropy, |desk| keys_known(desk.store, &desk.shared.keys(), desk.shared.info.provider))
    }
    /// The processor that credit is cleared with from now on.
    ///
    /// # Errors
    /// [`ProviderError::OtherProcessor`] and others.
    pub fn register_processor(
        &mut self,
        info: ProcessorInfo,
        url: String,
        now: Time,
        entropy: [u8; 32],
    ) -> Result<(), ProviderError> {
        self.transact(now, entropy, |desk| credit::register_processor(desk, info, url))
    }
    /// The key that signs what the processor is asked now: its operator admits it there.
    pub fn signing_key(&self, now: Time) -> PublicKey {
        self.shared.keys().signing(now).secret.public()
    }
    /// The processor that wallets seal their bank cards to, certified by this provider; `None` if there is none.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn processor_certificate(&self, now: Time) -> Result<Option<Vec<u8>>, ProviderError> {
        let Some(row) = self.store.processor()?.filter(|row| row.revoked.is_none()) else {
            return Ok(None);
        };
        let signed = self.shared.keys().sign(now, &[], |signer| Certificate {
            subject: row.info.processor.into(),
            role: Role::Processor,
            key: row.info.key,
            sealing: Some(row.info.sealing),
            from: now,
            until: now.after(Time::DAY),
            epoch: 1,
            signer,
            owner: None,
            name: Some(row.info.name.clone()),
            number: None,
            extensions: Default::default(),
        });
        Ok(Some(signed.encode()))
    }
    /// Enrols a merchant, or an issuer that sells by credit, as the bank shall know it. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`], [`ProviderError::NoProcessor`] and others.
    pub fn enrol(
        &mut self,
        merchant: MerchantId,
        details: MerchantDetails,
        now: Time,
        entropy: [u8; 32],
    ) -> Result<(), ProviderError> {
        self.transact(now, entropy, |desk| {
            desk.known(merchant.into())
                .filter(|known| matches!(known.role, Role::Merchant | Role::Issuer))
                .ok_or(ProviderError::Unknown)?;
            credit::enrol(desk, merchant, details)
        })
    }
    /// Whether something was put down for the processor since [`Provider::to_processor`] was last asked.
    pub fn is_asking(&self) -> bool {
        self.asking
    }
    /// The offers and reservations that went on since this was last asked: whoever waits for one can be told.
    pub fn moved(&mut self) -> Vec<Hash> {
        std::mem::take(&mut self.moved)
    }
    /// Ends what is overdue, and gives what the processor is to be asked now.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn to_processor(&mut self, now: Time, entropy: [u8; 32]) -> Result<Vec<ToProcessor>, ProviderError> {
        self.asking = false;
        if self.looked.is_none_or(|looked| looked != now) {
            self.looked = Some(now);
            self.changing = true;
            self.change_on(now, mac(&entropy, "tegata provider change v1", &[]));
            // Each alone: what cannot be ended holds up nothing else.
            let all: [(&str, Overdue); 5] = [
                ("payments", credit::overdue),
                ("reservations", buy::overdue),
                ("refunds", buy::refunds_due),
                ("gifts", give::overdue),
                ("waiting lists", buy::offers),
            ];
            for (what, overdue) in all {
                let entropy = mac(&entropy, "tegata provider overdue v1", &[what.as_bytes()]);
                if let Err(error) = self.transact(now, entropy, |desk| overdue(desk).map_err(Failure::into_error)) {
                    tracing::error!(%error, "overdue {what} could not be ended");
                }
            }
        }
        let mut sent = std::mem::take(&mut self.sent);
        let work = |desk: &mut Desk<'_>| credit::due(desk, &mut sent).map_err(Failure::into_error);
        let due = if self.shared.broken.has(Break::AskedBeforeStored) {
            self.attempt(now, entropy, work).map(|done| self.learn(done))
        } else {
            self.transact(now, entropy, work)
        };
        self.sent = sent;
        due
    }
    /// Whether tickets may have their turn in a change: [`Provider::change_on`] goes on with it.
    pub fn is_changing(&self) -> bool {
        self.changing
    }
    /// Gives the next tickets of a change their turn, some hundreds in one transaction; a ticket that cannot have it holds up no
    /// other, and is put down as failed. Whoever calls this serves everybody else in between.
    pub fn change_on(&mut self, now: Time, entropy: [u8; 32]) {
        self.changing = false;
        let piece = match enter::next_piece(&self.store, now) {
            Ok(Some(piece)) => piece,
            Ok(None) => return,
            Err(error) => return tracing::error!(%error, "a change of tickets could not be read"),
        };
        match self.transact(now, entropy, |desk| piece.work(desk).map_err(Failure::into_error)) {
            Ok(done) => self.changing |= done,
            Err(error) => {
                tracing::error!(%error, "tickets of a change could not have their turn together; each has it alone");
                for (number, one) in (0_u64..).zip(piece.alone()) {
                    let entropy = mac(&entropy, "tegata provider ticket v1", &[&number.to_be_bytes()]);
                    let done = self.transact(now, entropy, |desk| one.work(desk).map_err(Failure::into_error));
                    let done = done.or_else(|error| {
                        tracing::error!(%error, "a ticket could not have its turn in a change; a person has to look");
                        self.transact(now, entropy, |desk| one.give_up(desk).map_err(Failure::into_error))
                    });
                    match done {
                        Ok(done) => self.changing |= done,
                        // It has its turn again a second later.
                        Err(error) => return tracing::error!(%error, "a change of tickets waits"),
                    }
                }
            }
        }
    }
    /// Takes up what the processor answered, in one transaction; where that fails each answer alone, so that none holds up the
    /// others.
    ///
    /// # Errors
    /// [`ProviderError`] of the last that could not be recorded; it is asked for again.
    pub fn from_processor(&mut self, answers: &[Answered], now: Time, entropy: [u8; 32]) -> Result<(), ProviderError> {
        let together = self.hear(answers, now, entropy);
        if together.is_ok() || answers.len() == 1 {
            return together;
        }
        let mut last = Ok(());
        for (number, answer) in (0u64..).zip(answers) {
            let entropy = mac(&entropy, "tegata provider answer v1", &[&number.to_be_bytes()]);
            last = self.hear(std::slice::from_ref(answer), now, entropy).and(last);
        }
        last
    }
    fn hear(&mut self, answers: &[Answered], now: Time, entropy: [u8; 32]) -> Result<(), ProviderError> {
        let mut sent = std::mem::take(&mut self.sent);
        let heard =
            self.transact(now, entropy, |desk| credit::answered(desk, answers, &mut sent).map_err(Failure::into_error));
        self.sent = sent;
        heard
    }
    /// Payments by credit, for the operator: each by the request number that [`Provider::credit`] opens.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn credits(&self) -> Result<serde_json::Value, ProviderError> {
        credit::opened::list(&self.store)
    }
    /// The four messages of one payment by credit, opened, with who signed each and whether that holds.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`] and others.
    pub fn credit(&self, request: RequestNumber) -> Result<serde_json::Value, ProviderError> {
        credit::opened::open(&self.store, &self.shared, request)?.ok_or(ProviderError::Unknown)
    }
    /// Looks for records that only one side has; says how many exceptions are open.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn compare(&mut self, now: Time) -> Result<u64, ProviderError> {
        self.transact(now, [0; 32], compare::compare)
    }
    /// All exceptions, for the operator.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn exceptions(&self) -> Result<Vec<ExceptionRow>, ProviderError> {
        let (from, until) = report::ALWAYS;
        Ok(self.store.exceptions(None, from, until)?)
    }
    /// The same as JSON, each in plain words, too: what happened, and what to do next.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn exceptions_told(&self) -> Result<Vec<serde_json::Value>, ProviderError> {
        exceptions::told(&self.store, &self.shared.directory(), &self.exceptions()?)
    }
    /// The sums of R10, per issuer and unit.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub fn books(&self) -> Result<Vec<(IssuerId, Unit, Equation)>, ProviderError> {
        let pairs = self.store.books()?.into_iter();
        pairs.map(|(issuer, unit)| Ok((issuer, unit, self.store.equation(issuer, unit)?))).collect()
    }
}

/// What a transaction brought, before it is committed.
struct Attempted<T> {
    value: T,
    learned: Vec<Learned>,
    /// Something was put down for the processor.
    asking: bool,
    /// A change has tickets whose turn has come.
    changing: bool,
    /// Offers and reservations that went on.
    moved: Vec<Hash>,
}

/// A message that went through the first stage.
#[derive(Debug)]
pub struct Incoming {
    prepared: Prepared,
    /// Whoever asks waits until it is known; what it waits for is told then, and no answer before.
    pub patient: bool,
}

impl Incoming {
    /// The first stage: open, decode, verify on all cores. Needs no database.
    pub fn prepare_all<E: AsRef<[u8]> + Sync>(shared: &Shared, envelopes: &[E], now: Time) -> Vec<Self> {
        let patient = false;
        prepare_all(shared, envelopes, now).into_iter().map(|prepared| Self { prepared, patient }).collect()
    }
}

fn said(desk: &mut Desk<'_>, incoming: &Incoming) -> Result<Said, ProviderError> {
    desk.waits_for = None;
    desk.patient = incoming.patient;
    let answer = director::answer(desk, &incoming.prepared)?;
    Ok(Said { answer, waits_for: desk.waits_for })
}

/// The root's word for an operational key, by its number.
fn certify(keys: &Keys, key: &Operational, provider: PartyId) -> (u64, Vec<u8>) {
    let body = Certificate {
        subject: provider.into(),
        role: Role::Provider,
        key: key.secret.public(),
        sealing: None,
        from: key.from,
        until: key.until,
        epoch: 1,
        signer: 0,
        owner: None,
        name: None,
        number: Some(key.number),
        extensions: Default::default(),
    };
    let unsigned = Unsigned::new(body, Algorithm::Ed25519);
    let signature = keys.root.sign(&unsigned.tbs(&[]));
    (key.number, unsigned.sign(signature).encode())
}

/// A new provider's first rows.
fn found(store: &mut Store, keys: &Keys, name: &str, now: Time) -> Result<ProviderRow, ProviderError> {
    let root = keys.root.public().to_bytes();
    let mut party = [0; 16];
    party.copy_from_slice(&Hash::of(&root).0[..16]);
    let row = ProviderRow {
        party: PartyId(party),
        name: name.to_owned(),
        root,
        sealing: keys.sealing.public().0,
        epoch: 1,
        epoch_began: now,
        reconciling_until: None,
        compared: 1,
        list: 0,
    };
    store.begin()?;
    let written = store.put_provider(&row).map_err(ProviderError::from);
    match written.and_then(|()| keys_known(store, keys, row.party)) {
        Ok(()) => store.commit()?,
        Err(error) => {
            store.rollback();
            return Err(error);
        }
    }
    Ok(row)
}

/// Writes down the keys that the database does not know: of a backup that was made before them, or of a power cut right after they were
/// made.
fn keys_known(store: &Store, keys: &Keys, provider: PartyId) -> Result<(), ProviderError> {
    let known = store.operational_keys()?.len();
    for key in keys.operational.iter().skip(known) {
        let (number, body) = certify(keys, key, provider);
        store.put_operational_key(number, &body)?;
    }
    Ok(())
}
