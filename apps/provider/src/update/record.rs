//! One entry of a log, decoded and proven: which signatures hold, what its hashes are.

use crate::directory::Known;
use crate::enter;
use crate::give;
use crate::shared::Shared;
use tegata_core::card::{CallReceipt, CardEvent, Counterpart, EventKind, Raise, Void};
use tegata_core::charging::CallTariff;
use tegata_core::talk::credit::MerchantReceipt;
use tegata_core::talk::enter::{ByHand, SessionSignature};
use tegata_core::talk::journal::{EntryKind, LogEntry, Through};
use tegata_core::talk::pay::Charge;
use tegata_core::talk::update::UpdateRequest;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::signed::{Signed, Verified, Verifier};
use tegata_core::{CardId, DeviceId, Hash};

/// An update whose signature holds.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) device: DeviceId,
    pub(crate) known: Known,
    pub(crate) request: Verified<UpdateRequest>,
    pub(crate) signature: [u8; 64],
    /// One per entry of the request.
    pub(crate) records: Vec<Option<Record>>,
}

/// What an entry proves. `None` where it proves nothing: then it is kept, and shown to a person.
#[derive(Debug)]
pub(crate) enum Record {
    /// A terminal's claim, or a wallet's check.
    Check(Check),
    /// A terminal's close.
    Closed(Charged),
    /// A terminal's void of a paid charge.
    Voided(Charged, Raise),
    /// A terminal's receipt of a charge that was cleared by credit \[8419\].
    Cleared(Box<Verified<MerchantReceipt>>),
    /// A wallet's receipt.
    Receipted,
    /// A raise taken up.
    TookUp(Event, Raise, Option<DeviceId>, u64),
    /// A card given back.
    Surrendered(Event),
    /// What a ticket has shown to a gate.
    Seen(Box<enter::Seen>),
    /// What a gate's staff did by hand; its badge is looked up where it is judged.
    ByHand(Box<Signed<ByHand>>, u64),
    /// A call has ended, for its switch or its wallet.
    Called(Box<Called>),
    /// A card handed over; with the new key's proof, if it was to this wallet.
    Titled(give::Title, Option<SessionSignature>),
}

/// A charge named by its hash.
#[derive(Debug, Clone)]
pub(crate) struct Charged {
    pub(crate) terminal: DeviceId,
    pub(crate) charge: Charge,
    pub(crate) hash: Hash,
}

/// A call, as one side's log ends it.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) switch: DeviceId,
    pub(crate) tariff: CallTariff,
    /// What names it: session, switch and tariff.
    pub(crate) name: Hash,
    /// The last check that this side has.
    pub(crate) event: Option<Event>,
    /// What of it is paid, by the links that were shown; of a check without a chain, all.
    pub(crate) paid: u64,
    /// The switch's word on what it cost.
    pub(crate) receipt: Option<Signed<CallReceipt>>,
    /// The trunk that it went through, as its switch has logged it.
    pub(crate) through: Option<Through>,
}

/// A card's event whose signature holds.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) card: CardId,
    pub(crate) generation: u64,
    pub(crate) event: CardEvent,
    pub(crate) hash: Hash,
    /// A tick of a session: the name of its call.
    pub(crate) session: Option<Hash>,
}

/// A check and what it answers.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) charged: Charged,
    pub(crate) event: Event,
}

/// Proves one entry of the log of `device`. `context_free`: only for the broken rule R2.
pub(crate) fn prove(
    shared: &Shared,
    by: &dyn Verifier,
    device: DeviceId,
    known: &Known,
    bytes: &[u8],
    context_free: bool,
) -> Option<Record> {
    let entry = LogEntry::from_bytes(bytes).ok()?;
    match (known.role, entry.kind) {
        (Role::Terminal, EntryKind::Paid) => check(shared, by, device, entry, context_free).map(Record::Check),
        (Role::Terminal, EntryKind::Closed | EntryKind::Voided) => end(by, device, known, entry),
        (Role::Terminal, EntryKind::Cleared) => cleared(by, device, known, entry),
        (Role::Wallet, EntryKind::Spent) => {
            let terminal = entry.terminal?;
            let subject = Subject::from(terminal);
            shared.directory().participants.get(&subject).filter(|known| known.role == Role::Terminal)?;
            check(shared, by, terminal, entry, context_free).map(Record::Check)
        }
        (Role::Switch, EntryKind::Called) => called(shared, by, (device, known), entry),
        (Role::Wallet, EntryKind::Called) => {
            let switch = entry.terminal?;
            let known = shared.directory().participants.get(&Subject::from(switch))?.clone();
            if known.role != Role::Switch || entry.event.is_none() {
                return None;
            }
            // Which way it went is its switch's word alone.
            called(shared, by, (switch, &known), LogEntry { through: None, ..entry })
        }
        (Role::Wallet, EntryKind::Receipted) => Some(Record::Receipted),
        (Role::Wallet, EntryKind::TookUp) => took_up(shared, by, entry),
        (Role::Wallet, EntryKind::Surrendered) => surrendered(shared, by, entry),
        (Role::Wallet, EntryKind::Given | EntryKind::Taken) => titled(shared, by, entry),
        (Role::Gate, EntryKind::Admitted | EntryKind::Left | EntryKind::TurnedAway)
        | (Role::Wallet, EntryKind::Presented) => {
            enter::prove(shared, by, (device, known), entry).map(|seen| Record::Seen(Box::new(seen)))
        }
        (Role::Gate, EntryKind::ByHand) => Some(Record::ByHand(Box::new(entry.hand?), entry.transaction)),
        _ => None,
    }
}

fn charged(terminal: DeviceId, entry: &LogEntry) -> Option<Charged> {
    let bytes = &entry.charge.as_ref()?.0;
    let charge = Charge::from_bytes(bytes).ok()?;
    let hash = Charge::named(entry.session.as_ref()?, terminal, bytes);
    (charge.transaction == entry.transaction).then_some(Charged { terminal, charge, hash })
}

fn check(shared: &Shared, by: &dyn Verifier, terminal: DeviceId, entry: LogEntry, context_free: bool) -> Option<Check> {
    let charged = charged(terminal, &entry)?;
    let charge = &entry.charge.as_ref()?.0;
    let counterpart = Counterpart::Charge { session: entry.session?, terminal, charge };
    let (card, generation) = (entry.card?, entry.generation?);
    let context = CardEvent::context(card, generation, &counterpart);
    let event = event(shared, by, (card, generation), entry.event?, &context, context_free)?;
    event.event.tick.is_none().then_some(Check { charged, event })
}

fn event(
    shared: &Shared,
    by: &dyn Verifier,
    (card, generation): (CardId, u64),
    event: Signed<CardEvent>,
    context: &[u8],
    context_free: bool,
) -> Option<Event> {
    let key = *shared.directory().card_keys.get(&(card, generation))?;
    let bare = context_free.then(|| event.hash(&[]));
    let proven = event.verify(&key, context, by).ok()?;
    Some(Event { card, generation, hash: bare.unwrap_or(proven.hash()), event: (*proven).clone(), session: None })
}

fn end(by: &dyn Verifier, device: DeviceId, known: &Known, entry: LogEntry) -> Option<Record> {
    let charged = charged(device, &entry)?;
    let void = entry.void?;
    let said = void.claimed();
    if said.transaction != entry.transaction || said.amount != charged.charge.amount {
        return None;
    }
    let closes = entry.kind == EntryKind::Closed;
    if closes != said.check.is_none() {
        return None;
    }
    void.clone().verify(&known.key, &Void::context(device), by).ok()?;
    Some(if closes { Record::Closed(charged) } else { Record::Voided(charged, Raise::Void(device, void)) })
}

/// A receipt that this terminal signed, for the charge that the entry is about.
fn cleared(by: &dyn Verifier, device: DeviceId, known: &Known, entry: LogEntry) -> Option<Record> {
    let charged = charged(device, &entry)?;
    let receipt = entry.sale?.verify(&known.key, &[], by).ok()?;
    let theirs = (receipt.machine, receipt.session, receipt.charge.payload());
    let ours = (device, entry.session?, entry.charge.as_ref()?.0.as_slice());
    let fits = theirs == ours && receipt.charge.claimed() == &charged.charge;
    fits.then(|| Record::Cleared(Box::new(receipt)))
}

/// The end of a call: what the card signed for this very tariff, and what the switch says that it cost.
fn called(shared: &Shared, by: &dyn Verifier, (switch, known): (DeviceId, &Known), entry: LogEntry) -> Option<Record> {
    let bytes = &entry.charge.as_ref()?.0;
    let tariff = CallTariff::from_bytes(bytes).ok()?;
    let session = entry.session?;
    let name = CallTariff::named(&session, switch, bytes);
    let event = match entry.event {
        Some(signed) => {
            let (card, generation) = (entry.card?, entry.generation?);
            let counterpart = Counterpart::Charge { session, terminal: switch, charge: bytes };
            let context = CardEvent::context(card, generation, &counterpart);
            let event = event(shared, by, (card, generation), signed, &context, false)?;
            Some(Event { session: Some(name), ..event })
        }
        None => None,
    };
    if let Some(receipt) = &entry.call {
        receipt.clone().verify(&known.key, &CallReceipt::context(switch), by).ok()?;
        let said = receipt.claimed();
        let fits = (said.transaction, said.call, said.used.unit()) == (entry.transaction, name, tariff.unit);
        fits.then_some(())?;
    }
    let chain = event.as_ref().and_then(|event| event.event.links.as_ref());
    let links = match (chain, &entry.link) {
        (Some(chain), Some(link)) => chain.has(link, None).then_some(link.index)?,
        (None, Some(_)) => return None,
        (_, None) => 0,
    };
    let paid = event.as_ref().map_or(Some(0), |event| event.event.paid(tariff.price, links))?;
    let fits = tariff.transaction == entry.transaction && event.as_ref().is_none_or(|one| is_tick(&one.event));
    let (receipt, through) = (entry.call, entry.through);
    fits.then(|| Record::Called(Box::new(Called { switch, tariff, name, event, paid, receipt, through })))
}

fn is_tick(event: &CardEvent) -> bool {
    event.event == EventKind::Session && event.tick.is_some()
}

fn took_up(shared: &Shared, by: &dyn Verifier, entry: LogEntry) -> Option<Record> {
    let raise = entry.raises?.into_iter().next()?;
    if let Raise::Void(terminal, _) | Raise::Call(terminal, _) = &raise {
        let key = shared.directory().participants.get(&Subject::from(*terminal))?.key;
        raise.check_by_terminal(&key, by).ok()?;
    }
    let (card, generation) = (entry.card?, entry.generation?);
    let context = CardEvent::context(card, generation, &Counterpart::Raise(raise.hash()));
    let event = event(shared, by, (card, generation), entry.event?, &context, false)?;
    Some(Record::TookUp(event, raise, entry.terminal, entry.transaction))
}

fn surrendered(shared: &Shared, by: &dyn Verifier, entry: LogEntry) -> Option<Record> {
    let (card, generation) = (entry.card?, entry.generation?);
    let context = CardEvent::context(card, generation, &Counterpart::Provider(shared.info.provider));
    let event = event(shared, by, (card, generation), entry.event?, &context, false)?;
    event.event.tick.is_none().then_some(Record::Surrendered(event))
}

/// A hand-over, with all before it since the generation that the provider has certified.
fn titled(shared: &Shared, by: &dyn Verifier, entry: LogEntry) -> Option<Record> {
    let (card, generation, hops) = (entry.card?, entry.generation?, entry.title?);
    let since = match entry.kind {
        EntryKind::Given => (hops.len() as u64).checked_sub(1)?,
        _ => hops.len() as u64,
    };
    let (title, _) = give::prove(shared, by, card, generation.checked_sub(since)?, &hops)?;
    let proof = match entry.kind {
        EntryKind::Given => None,
        _ => Some(entry.proof?),
    };
    Some(Record::Titled(title, proof))
}
