//! The device's side of one turn of the update. Everything that the answer brings is stored in one batch.

use super::messages::*;
use crate::card::payment::{Purse, PurseState};
use crate::card::{Raise, Terms};
use crate::id::{CardId, DeviceId, Hash};
use crate::record::{Batch, Overlay, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::buy::{Bought, Kept, PurchaseState, Refunded};
use crate::talk::call::Calling;
use crate::talk::credit::{Credited, UserReceipt};
use crate::talk::enter::Setup;
use crate::talk::event::KeptChange;
use crate::talk::give::{GiftKept, HandedOver};
use crate::talk::join::operational_keys;
use crate::talk::journal::{Journal, LogEntry};
use crate::talk::pay::{Paying, Till, keep_raise, load_purse, purse_key, terminal_certificate};
use crate::talk::reach::take_in;
use crate::talk::report::Refused;
use crate::wire::canonical::{Bytes, Message, Wire};
use crate::wire::certificate::{Anchors, Certificate, OperationalKey};
use crate::wire::signed::Signed;
use crate::wire::signed::{Algorithm, PublicKey, Unsigned};
use alloc::{vec, vec::Vec};

/// Where a device keeps what it trusts.
pub fn anchors_key() -> RecordKey {
    RecordKey::new(Space::Device, *b"anchors")
}

/// Reads what a device trusts; `None` before it has joined.
pub fn load_anchors(records: &dyn Records) -> Option<Anchors> {
    Anchors::from_bytes(&records.get(&anchors_key())?).ok()
}

/// Where a block is kept of a card, or of a later generation of it, that this wallet has not heard of.
fn block_key(card: CardId) -> RecordKey {
    RecordKey::new(Space::Ticket, [b"block".as_slice(), &card.0].concat())
}

/// Whether this generation of a card was blocked before this wallet heard of it.
pub fn is_blocked_before(records: &dyn Records, card: CardId, generation: u64) -> bool {
    let kept = records.get(&block_key(card)).and_then(|bytes| Command::from_bytes(&bytes).ok());
    kept.is_some_and(|block| block.generation.is_none_or(|dead| generation <= dead))
}

/// Reads terms by their handle.
pub fn load_terms(records: &dyn Records, handle: crate::id::Handle) -> Option<Terms> {
    Terms::from_bytes(&records.get(&RecordKey::new(Space::Terms, handle.0))?).ok()
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Stored. `again`: entries or commands are left for another turn.
    Turn {
        /// Whether another turn is needed.
        again: bool,
        /// Entries now known to be recorded.
        recorded: u64,
        /// Commands carried out.
        commands: usize,
        /// The device was found behind itself and restored (R14).
        restarted: bool,
    },
    /// The provider said no.
    Refused(Refused),
    /// The answer is not the provider's, or not to this request, or contradicts this device's own log.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// The device's states in one turn.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum DeviceUpdate {
    /// Asked to.
    Start(DeviceId, PublicKey),
    /// Asked to, by a device that goes on with its work until the answer is there: what it logs meanwhile goes up with the next turn.
    StartMeanwhile(DeviceId, PublicKey),
    /// Signs the request.
    Signing(Unsigned<UpdateRequest>, Here),
    /// Waits for the answer.
    Expect(UpdateRequest, Hash, Here),
    /// Stores the answer.
    Storing(Updated),
    /// Ended.
    Over,
}

/// Where the device stood when it asked; another process that moves it on meanwhile wins (R13).
#[derive(Clone, Debug)]
pub struct Here {
    journal: Journal,
    anchors: Anchors,
    algorithm: Algorithm,
    /// The log may have grown since, and by nothing else than new entries.
    grows: bool,
}

impl Here {
    /// The journal that the answer is applied to.
    fn journal(&self, records: &dyn Records) -> Option<Journal> {
        if !self.grows {
            return Some(self.journal.clone());
        }
        Journal::load(records).filter(|now| now.has_only_grown_since(&self.journal))
    }
}

type Next = Step<DeviceUpdate, Updated>;

impl DeviceUpdate {
    fn over(notice: Updated) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    /// No clock and no randomness goes into the request, so that a repeat is the same request.
    fn start((device, key, grows): (DeviceId, &PublicKey, bool), context: &Context<'_>) -> Next {
        let Some((journal, anchors)) = Journal::load(context.records).zip(load_anchors(context.records)) else {
            return Self::over(Updated::Failed(Fault::Storage));
        };
        let last = journal.number.min(journal.acknowledged.saturating_add(MAX_ENTRIES as u64));
        let entries: Option<Vec<Bytes>> = (journal.acknowledged + 1..=last)
            .map(|number| context.records.get(&RecordKey::numbered(Space::Log, number)).map(Bytes))
            .collect();
        let Some(entries) = entries else {
            return Self::over(Updated::Failed(Fault::Storage));
        };
        let request = UpdateRequest {
            device,
            epoch: journal.epoch,
            acknowledged: journal.acknowledged,
            acknowledged_head: journal.acknowledged_head,
            entries,
            number: journal.number,
            commands: journal.commands,
            commands_head: journal.commands_head,
            list: anchors.list.as_ref().map_or(0, |list| list.claimed().number),
            turn: journal.turns,
            challenge: None,
            standing: journal.standing,
            extensions: Default::default(),
        };
        Self::sign(request, Here { journal, anchors, algorithm: key.algorithm(), grows })
    }

    fn sign(request: UpdateRequest, here: Here) -> Next {
        let request = Unsigned::new(request, here.algorithm);
        let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
        Step::new(Self::Signing(request, here), [sign])
    }

    /// The provider cannot tell this request from an old one that somebody carries again: only a device that is here now
    /// signs what it is asked to (R14). Nothing is stored: cut off, it begins anew.
    fn challenged(request: UpdateRequest, hash: &Hash, here: Here, bytes: &[u8], context: &Context<'_>) -> Next {
        match read_reply::<Challenge>(bytes, hash, &here.anchors, context) {
            // Asked the same again, it has no other answer.
            Some(Answered::Reply(asked))
                if asked.device == request.device && request.challenge != Some(asked.challenge) =>
            {
                Self::sign(UpdateRequest { challenge: Some(asked.challenge), ..request }, here)
            }
            _ => Self::over(Updated::NotTrusted),
        }
    }

    fn answered(request: &UpdateRequest, hash: &Hash, here: Here, bytes: &[u8], context: &Context<'_>) -> Next {
        let Some(journal) = here.journal(context.records) else {
            return Self::over(Updated::Failed(Fault::Raced));
        };
        let anchors = here.anchors;
        let by = |trusted: Anchors| Some((read_reply::<UpdateReply>(bytes, hash, &trusted, context)?, trusted));
        let answered = by(anchors.clone()).or_else(|| by(told_keys(bytes, &anchors, context)?));
        let (reply, trusted) = match answered {
            Some((Answered::Reply(reply), trusted)) => (reply, trusted),
            Some((Answered::Refused(refused), _)) => return Self::over(Updated::Refused(refused)),
            None => return Self::over(Updated::NotTrusted),
        };
        let over = Overlay { records: context.records, batch: Batch::default() };
        let mut apply = Apply { device: request.device, over, journal: journal.clone(), anchors: trusted, context };
        let Some(done) = apply.all(request, &reply) else {
            return Self::over(Updated::NotTrusted);
        };
        let Apply { over, journal: after, anchors: trusted, .. } = apply;
        let mut batch = over.batch;
        if trusted != anchors {
            batch.replace(anchors_key(), Some(anchors.to_bytes()), trusted.to_bytes());
        }
        let again = after.acknowledged < after.number || !reply.commands.is_empty() || reply.restart.is_some();
        batch.replace(Journal::key(), Some(journal.to_bytes()), after.to_bytes());
        let restarted = reply.restart.is_some();
        let turn = Updated::Turn { again, recorded: reply.recorded, commands: done, restarted };
        Step::new(Self::Storing(turn), [Effect::Store(batch)])
    }
}

/// What a device trusts with the provider's keys that an answer tells of. A device that was away while a key came into use hears of it
/// by an answer that this very key has signed: the root, which it has pinned, vouches for the key before the answer is believed.
fn told_keys(bytes: &[u8], anchors: &Anchors, context: &Context<'_>) -> Option<Anchors> {
    let reply = Signed::<UpdateReply>::decode(bytes).ok()?;
    let keys = reply.claimed().commands.iter().rev().find_map(|bytes| Command::from_bytes(&bytes.0).ok()?.keys)?;
    let keys = operational_keys(&keys, &anchors.root, context.verifier)?;
    // A provider adds keys and takes none away.
    let is_kept = |known: &OperationalKey| keys.iter().any(|key| (key.number, &key.key) == (known.number, &known.key));
    let kept = anchors.keys.iter().all(is_kept);
    kept.then(|| Anchors { keys, ..anchors.clone() })
}

/// Turns an answer into writes.
struct Apply<'a> {
    device: DeviceId,
    over: Overlay<'a>,
    journal: Journal,
    anchors: Anchors,
    context: &'a Context<'a>,
}

impl Apply<'_> {
    /// All of it, or nothing. `None`: the answer contradicts this device's own records.
    fn all(&mut self, request: &UpdateRequest, reply: &UpdateReply) -> Option<usize> {
        if reply.device != request.device || reply.epoch < self.journal.epoch {
            return None;
        }
        match &reply.restart {
            Some(restart) => self.restart(restart)?,
            None => self.acknowledge(request, reply)?,
        }
        for (number, bytes) in (self.journal.commands + 1..).zip(&reply.commands) {
            self.command(&Command::from_bytes(&bytes.0).ok()?)?;
            self.journal.commands = number;
            self.journal.commands_head = self.journal.commands_head.chain(&bytes.0);
        }
        for checkpoint in &reply.checkpoints {
            let said = checkpoint.claimed();
            // The answer to its install may still be on the way; it is asked for again (R18).
            let Some(purse) = load_purse(&self.over, said.card) else {
                continue;
            };
            if purse.certificate.claimed().generation == said.generation && purse.hops().is_empty() {
                let mut after = KeptChange::renewed(&purse, checkpoint, &self.over);
                after.released(reply.at);
                self.over.batch.replace(purse_key(said.card), Some(purse.to_bytes()), after.to_bytes());
            }
        }
        if let Some(list) = &reply.list {
            // The answer's own signature vouches for the list: both are the provider's, and devices show it to nobody.
            let newer = self.anchors.list.as_ref().is_none_or(|held| held.claimed().number < list.claimed().number);
            list.claimed().is_sorted().then_some(())?;
            if newer {
                self.anchors.list = Some(list.clone());
            }
        }
        self.anchors.epoch = reply.epoch;
        self.journal.epoch = reply.epoch;
        self.journal.standing = reply.standing;
        self.journal.due = reply.due;
        self.journal.updated = self.context.now;
        self.journal.turns += 1;
        if let Some(restart) = &reply.restart {
            self.journal.turns = self.journal.turns.max(restart.turn);
        }
        self.prune(reply.archived);
        Some(reply.commands.len())
    }

    /// What is acknowledged must be this device's own log, entry by entry (R14, R15).
    fn acknowledge(&mut self, request: &UpdateRequest, reply: &UpdateReply) -> Option<()> {
        let sent = usize::try_from(reply.recorded.checked_sub(request.acknowledged)?).ok()?;
        let entries = request.entries.get(..sent)?;
        let head = entries.iter().fold(request.acknowledged_head, |head, entry| head.chain(&entry.0));
        if head != reply.recorded_head {
            return None;
        }
        if reply.recorded > self.journal.acknowledged {
            self.journal.acknowledged = reply.recorded;
            self.journal.acknowledged_head = reply.recorded_head;
        }
        let waiting = self.over.get(&RecordKey::numbered(Space::Log, self.journal.acknowledged + 1));
        let waiting = waiting.and_then(|bytes| LogEntry::from_bytes(&bytes).ok());
        self.journal.oldest = waiting.map(|entry| entry.at);
        Some(())
    }

    /// One of both sides is behind: what the provider has not recorded is sent again.
    fn restart(&mut self, restart: &Restart) -> Option<()> {
        if restart.number < self.journal.acknowledged {
            self.again_from(restart)?;
        } else {
            self.renumber(restart)?;
        }
        self.journal.commands = restart.commands;
        self.journal.commands_head = restart.commands_head;
        let (till, stored) = Till::load(&self.over);
        if till.next < restart.next_transaction {
            let after = Till { next: restart.next_transaction, ..till };
            self.over.batch.replace(Till::key(), stored, after.to_bytes());
        }
        Some(())
    }

    /// The provider is behind: it was restored from a backup (R15). What it has lost is sent again as it was; entries
    /// that were archived are not here any more, and it has those.
    fn again_from(&mut self, restart: &Restart) -> Option<()> {
        let head = (restart.number + 1..=self.journal.acknowledged).try_fold(restart.head, |head, number| {
            let entry = self.over.get(&RecordKey::numbered(Space::Log, number))?;
            Some(head.chain(&entry))
        })?;
        if head != self.journal.acknowledged_head {
            return None;
        }
        self.journal.acknowledged = restart.number;
        self.journal.acknowledged_head = restart.head;
        let oldest = self.over.get(&RecordKey::numbered(Space::Log, restart.number + 1));
        self.journal.oldest = oldest.and_then(|bytes| LogEntry::from_bytes(&bytes).ok()).map(|entry| entry.at);
        Some(())
    }

    /// This device is behind itself (R14): its own old numbers are dead.
    fn renumber(&mut self, restart: &Restart) -> Option<()> {
        let waiting: Vec<Vec<u8>> = (self.journal.acknowledged + 1..=self.journal.number)
            .map(|number| self.over.get(&RecordKey::numbered(Space::Log, number)))
            .collect::<Option<_>>()?;
        for number in self.journal.acknowledged + 1..=self.journal.number {
            self.over.batch.remove(RecordKey::numbered(Space::Log, number));
        }
        self.journal.number = restart.number;
        self.journal.head = restart.head;
        self.journal.acknowledged = restart.number;
        self.journal.acknowledged_head = restart.head;
        for entry in waiting {
            self.journal.number += 1;
            self.journal.head = self.journal.head.chain(&entry);
            self.over.batch.put(RecordKey::numbered(Space::Log, self.journal.number), entry);
        }
        Some(())
    }

    fn command(&mut self, command: &Command) -> Option<()> {
        match command.kind {
            CommandKind::Install => self.install(command)?,
            CommandKind::Raise => self.raise(command)?,
            CommandKind::Block => {
                let purse = load_purse(&self.over, command.card?);
                // The answer to its install may still be on the way, also where an earlier generation was here: it comes blocked.
                let held = purse.as_ref().map_or(0, Purse::generation);
                if command.generation.map_or(purse.is_none(), |dead| dead > held) {
                    self.over.batch.put(block_key(command.card?), command.to_bytes());
                }
                let Some(purse) = purse else {
                    return Some(());
                };
                // It was said of what this wallet had before.
                if command.generation.is_some_and(|dead| dead < purse.generation()) {
                    return Some(());
                }
                // What is over stays so: a card that was given back meanwhile, for one.
                let over = purse.state == PurseState::Ended;
                let state = if over { PurseState::Ended } else { PurseState::Blocked };
                let after = Purse { state, ..purse.clone() };
                self.over.batch.replace(purse_key(command.card?), Some(purse.to_bytes()), after.to_bytes());
            }
            CommandKind::Keys => {
                let keys = command.keys.as_ref()?;
                let root = self.anchors.root;
                self.anchors.keys = operational_keys(keys, &root, self.context.verifier)?;
            }
            CommandKind::Terms => self.terms(command.terms.as_ref()?),
            CommandKind::Renew => {
                let renewed = command.renewed.as_ref()?;
                let key = self.anchors.signer(renewed.claimed().signer, self.context.now).ok()?;
                renewed.clone().verify(key, &[], self.context.verifier).ok()?;
                self.over.batch.put(Certificate::own_key(), renewed.encode());
            }
            CommandKind::Receipt => command.receipt.as_ref().map_or(Some(()), |receipt| self.receipt(receipt))?,
            CommandKind::Refund => command.refund.as_ref().map_or(Some(()), |refund| self.refund(refund))?,
            CommandKind::Letter => {
                let letter = command.letter.as_ref()?;
                let more = take_in(letter, &self.over, self.context.now);
                self.over.merge(more);
            }
            CommandKind::Setup => {
                let setup = command.setup.as_ref().filter(|setup| setup.is_sorted())?;
                let setup = Setup::load(&self.over).map_or_else(|| setup.clone(), |before| setup.clone().after(before));
                self.over.batch.put(Setup::key(), setup.to_bytes());
            }
            CommandKind::Tariff => {
                let tariff = command.tariff.as_ref()?;
                self.over.batch.put(tariff.claimed().key(), tariff.encode());
            }
            CommandKind::StandsFor => command.stands.as_ref()?.take_in(&mut self.over.batch),
            CommandKind::Change => {
                if let Some(changed) = &command.change {
                    let more = KeptChange::take_in(changed, &self.over);
                    self.over.merge(more);
                }
            }
            CommandKind::Kept => self.kept(command.kept.as_ref()?),
            CommandKind::Arrived => self.arrived((command.card?, command.generation?), command.at?),
            // Of later kinds of card: recorded as carried out, it names nothing this device holds.
            CommandKind::Program => {}
        }
        Some(())
    }

    /// The receipt of a payment by credit \[8421\]. One for a payment that this wallet does not know, because it was restored,
    /// changes nothing. It is judged by the key that was valid when it was issued (R16): a wallet that was away for long still
    /// gets it, and the commands behind it.
    fn receipt(&mut self, receipt: &Signed<UserReceipt>) -> Option<()> {
        let key = self.anchors.signer(receipt.claimed().signer, receipt.claimed().at).ok()?;
        let receipt = receipt.clone().verify(key, &[], self.context.verifier).ok()?;
        let number = receipt.request;
        (receipt.user == self.device && receipt.provider == self.anchors.provider).then_some(())?;
        if let Some(before) = Credited::load(&self.over, number) {
            before.is_answered_by(&receipt).then_some(())?;
            let mut after = before.clone();
            after.receive(receipt.into_signed());
            self.over.batch.replace(Credited::key(number), Some(before.to_bytes()), after.to_bytes());
        } else if let Some(before) = Bought::load(&self.over, number) {
            before.is_answered_by(&receipt).then_some(())?;
            let mut after = before.clone();
            after.receive(receipt.into_signed());
            self.over.batch.replace(Bought::key(number), Some(before.to_bytes()), after.to_bytes());
        }
        Some(())
    }

    /// What came back for a card that was surrendered; judged like a receipt (R16).
    fn refund(&mut self, refund: &Signed<Refunded>) -> Option<()> {
        let key = self.anchors.signer(refund.claimed().signer, refund.claimed().at).ok()?;
        let refund = refund.clone().verify(key, &[], self.context.verifier).ok()?;
        (refund.wallet == self.device && refund.provider == self.anchors.provider).then_some(())?;
        self.over.batch.put(Refunded::key(refund.card), refund.signed().encode());
        // One that its holder did not give back was paid back by its issuer: it is over all the same.
        if let Some(purse) = load_purse(&self.over, refund.card).filter(|purse| purse.state != PurseState::Ended) {
            let over = Purse { state: PurseState::Ended, ..purse.clone() };
            self.over.batch.replace(purse_key(refund.card), Some(purse.to_bytes()), over.to_bytes());
        }
        Some(())
    }

    /// What was waited for is reserved. One that this wallet does not know, because it was restored, changes nothing.
    fn kept(&mut self, kept: &Kept) {
        let before = Bought::load(&self.over, kept.purchase).filter(|before| before.is_waiting());
        if let Some(before) = before {
            let after = Bought { state: PurchaseState::Reserved, expires: Some(kept.expires), ..before.clone() };
            self.over.batch.replace(Bought::key(kept.purchase), Some(before.to_bytes()), after.to_bytes());
        }
    }

    /// What this wallet gave is its receiver's. What it has forgotten, because it was put back, changes nothing.
    fn arrived(&mut self, given: (CardId, u64), at: crate::Time) {
        let more = HandedOver::arrive(&self.over, given, at);
        self.over.merge(more);
        let more = GiftKept::arrive(&self.over, given, at);
        self.over.merge(more);
    }

    fn terms(&mut self, terms: &Terms) {
        self.over.batch.put(RecordKey::new(Space::Terms, terms.handle().0), terms.to_bytes());
    }

    /// A new generation of a card held already: the old numbers are dead (R14), what waits is kept if it is for it.
    fn install(&mut self, command: &Command) -> Option<()> {
        let certificate = command.certificate.as_ref()?;
        let card = certificate.claimed().card;
        if let Some(terms) = &command.terms {
            self.terms(terms);
        }
        let before = load_purse(&self.over, card);
        let newer = before.as_ref().is_none_or(|purse| purse.generation() < certificate.claimed().generation);
        // What is held by title, or was until it was given on, is issued anew under the key that it is held by (R12).
        if let Some(held) = before.as_ref().filter(|purse| !purse.hops().is_empty()) {
            let said = certificate.claimed();
            if (said.generation, said.key) == (held.generation(), held.key()) {
                let mut after = held.clone();
                after.register(certificate.clone());
                let after = after.seated(command.seat_name.as_ref());
                self.over.batch.replace(purse_key(card), Some(held.to_bytes()), after.to_bytes());
                return Some(());
            }
        }
        if newer {
            // Moved meanwhile, it stands on another seat.
            let same = |before: &&Purse| before.certificate.claimed().seat == certificate.claimed().seat;
            let known = before.as_ref().filter(same).and_then(|before| before.seat_name.as_ref());
            let purse = Purse::new(certificate.clone())
                .seated(command.seat_name.as_ref().or(known))
                .held(command.held_back, command.release_at);
            self.over.batch.replace(purse_key(card), before.map(|purse| purse.to_bytes()), purse.to_bytes());
        }
        Some(())
    }

    fn raise(&mut self, command: &Command) -> Option<()> {
        let raise = command.raise.as_ref()?;
        if let (Raise::Void(terminal, _) | Raise::Call(terminal, _), Some(certificate)) = (raise, &command.renewed) {
            // The terminal's certificate comes along, so that its void can be checked when it is taken up. It may have
            // expired or been revoked since: what it signed before still returns the money.
            let key = self.anchors.signer(certificate.claimed().signer, self.context.now).ok()?;
            certificate.clone().verify(key, &[], self.context.verifier).ok()?;
            if certificate.claimed().subject.device() != *terminal {
                return None;
            }
            self.over.batch.put(RecordKey::new(Space::Certificate, terminal.0), certificate.encode());
        }
        if let Raise::Load(load) = raise {
            let purse = load_purse(&self.over, load.claimed().card)?;
            let mut after = purse.clone();
            if load.claimed().number > purse.last_load {
                after.keep(raise.clone());
            }
            self.over.batch.replace(purse_key(load.claimed().card), Some(purse.to_bytes()), after.to_bytes());
            return Some(());
        }
        if let Raise::Call(switch, receipt) = raise {
            // Ended here first, so that it is known what comes back; a call that this wallet is still in ends when it is told so.
            let transaction = receipt.claimed().transaction;
            let by = terminal_certificate(&self.over, *switch).map(|certificate| certificate.claimed().key);
            if by.is_none_or(|key| raise.check_by_terminal(&key, self.context.verifier).is_err()) {
                return Some(());
            }
            if let Some(calling) = Calling::load(&self.over, *switch, transaction) {
                let mut more = Batch::default();
                calling.keep_receipt(receipt.clone(), &self.over, &mut more);
                self.over.merge(more);
            }
            return Some(());
        }
        // Returned before, by a close shown at the counter or by this command itself: nothing to do.
        if let Some(paying) = Paying::returned_by(&self.over, raise) {
            let known = paying.state == crate::talk::pay::PayingState::Returning;
            if !known {
                let mut more = Batch::default();
                keep_raise(&paying, raise.clone(), &self.over, &mut more).then_some(())?;
                self.over.merge(more);
            }
        }
        Some(())
    }

    fn prune(&mut self, archived: u64) {
        // A gate's log is what its neighbours hear, also one that begins late (R22).
        if self.over.get(&Setup::key()).is_some() {
            return;
        }
        for number in self.journal.archived + 1..=archived.min(self.journal.acknowledged) {
            self.over.batch.remove(RecordKey::numbered(Space::Log, number));
            self.journal.archived = number;
        }
    }
}

impl Talk for DeviceUpdate {
    type Notice = Updated;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(device, key), Event::Tick) => Self::start((device, &key, false), context),
            (Self::StartMeanwhile(device, key), Event::Tick) => Self::start((device, &key, true), context),
            (Self::Signing(request, here), Event::Signed(signature)) => {
                let hash = request.hash(&[]);
                let body = request.body().clone();
                let bytes = request.sign(signature).encode();
                Step::new(Self::Expect(body, hash, here), [Effect::Send(bytes)])
            }
            (Self::Expect(request, hash, here), Event::Received(bytes)) => match kind_of(&bytes) {
                Ok(Challenge::KIND) => Self::challenged(request, &hash, here, &bytes, context),
                _ => Self::answered(&request, &hash, here, &bytes, context),
            },
            (Self::Storing(turn), Event::Stored) => Self::over(turn),
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(Updated::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
