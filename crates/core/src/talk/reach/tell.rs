//! One signed request that only wants to be known: stored before it is sent, sent as the same bytes until it is answered
//! by [`Done`] (R26). Wallet and terminal tell the provider everything about letters in this way.

use super::calls::PhoneAt;
use super::kept::{KeptLetter, LetterState, Whose};
use super::messages::*;
use super::wallet::muted_key;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::cards::Done;
use crate::talk::report::{ProviderRefusal, Refused};
use crate::talk::update::{Answered, read_reply};
use crate::wire::canonical::Message;
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signed, Unsigned};
use alloc::vec;

/// What is told, and what a device writes down about it.
pub trait Told: Message {
    /// Whether a refusal as *repeated* says that the provider has it already.
    const HAD: bool = false;
    /// Where the request waits until it is answered.
    fn pending(&self) -> RecordKey;
    /// What else is written when it is stored, before it is sent.
    fn asked(_signed: &Signed<Self>, _records: &dyn Records, _batch: &mut Batch) {}
    /// What is written once it is answered: by [`Done`] in this epoch, or refused for good.
    fn answered(_signed: &Signed<Self>, _done: Option<u64>, _records: &dyn Records, _batch: &mut Batch) {}
}

fn waits(what: &[u8], who: &[&[u8]]) -> RecordKey {
    RecordKey::new(Space::Request, [&[what], who].concat().concat())
}

impl Reachable {
    /// Where the one that the provider has is kept: by merchant and, of a card, by card; a terminal's by nothing.
    pub fn known_key(name: &[u8]) -> RecordKey {
        RecordKey::new(Space::Device, [&b"reachable "[..], name].concat())
    }
}

impl Told for Reachable {
    fn pending(&self) -> RecordKey {
        waits(b"reachable ", &[&self.sealing.0])
    }
    fn answered(signed: &Signed<Self>, done: Option<u64>, _: &dyn Records, batch: &mut Batch) {
        if done.is_some() {
            batch.put(Self::known_key(&signed.claimed().sealing.0), signed.encode());
        }
    }
}

impl Told for Mute {
    fn pending(&self) -> RecordKey {
        waits(b"mute ", &[&self.merchant.0])
    }
    /// It counts here from the moment at which it is stored.
    fn asked(signed: &Signed<Self>, _: &dyn Records, batch: &mut Batch) {
        batch.put(muted_key(signed.claimed().merchant), signed.encode());
    }
}

impl PhoneAt {
    /// Where the device keeps what it has said last.
    pub fn own_key() -> RecordKey {
        RecordKey::new(Space::Device, *b"called at")
    }
}

impl Told for PhoneAt {
    fn pending(&self) -> RecordKey {
        waits(b"called at", &[])
    }
    fn asked(signed: &Signed<Self>, _: &dyn Records, batch: &mut Batch) {
        batch.put(Self::own_key(), signed.encode());
    }
    /// At a switch that the provider does not know, nobody is called.
    fn answered(_: &Signed<Self>, done: Option<u64>, _: &dyn Records, batch: &mut Batch) {
        if done.is_none() {
            batch.remove(Self::own_key());
        }
    }
}

impl Told for Unopened {
    fn pending(&self) -> RecordKey {
        waits(b"unopened ", &[&self.merchant.0, &self.number.0])
    }
    fn asked(signed: &Signed<Self>, records: &dyn Records, batch: &mut Batch) {
        let said = signed.claimed();
        if let Some(held) = KeptLetter::load(records, Whose::Theirs, said.merchant, said.number) {
            KeptLetter { state: LetterState::Unopened, ..held.clone() }.replace(&held, batch);
        }
    }
}

/// The letter that this request carries.
fn own(signed: &Signed<Carry>, records: &dyn Records) -> Option<KeptLetter> {
    // One of our own is found by its number alone.
    KeptLetter::load(records, Whose::Ours, crate::id::PartyId([0; 16]), signed.claimed().number)
}

impl Told for Carry {
    /// A letter's number is never used again: a device that was put back from a copy seals one again that it had sent.
    const HAD: bool = true;
    fn pending(&self) -> RecordKey {
        waits(b"carry ", &[&self.number.0])
    }
    fn asked(signed: &Signed<Self>, records: &dyn Records, batch: &mut Batch) {
        if let Some(before) = own(signed, records) {
            KeptLetter { carry: Some(signed.clone()), ..before.clone() }.replace(&before, batch);
        }
    }
    fn answered(signed: &Signed<Self>, done: Option<u64>, records: &dyn Records, batch: &mut Batch) {
        if let Some(before) = own(signed, records) {
            let state = if done.is_some() { LetterState::Sent } else { LetterState::Refused };
            KeptLetter { state, epoch: done.or(before.epoch), ..before.clone() }.replace(&before, batch);
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TellNotice {
    /// The provider knows it.
    Done,
    /// The provider says no.
    Refused(Refused),
    /// The answer is not the provider's, or not to this request.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// Telling one thing.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum Tell<T> {
    /// Asked to tell this, with this device's key.
    Start(T, PublicKey, Anchors),
    /// Asked to tell again what waits.
    Again(Signed<T>, Anchors),
    /// Signs it.
    Signing(Unsigned<T>, Anchors),
    /// Stores it before it is sent.
    Storing(Signed<T>, Anchors),
    /// Waits for the answer.
    Expect(Signed<T>, Anchors),
    /// Stores the answer.
    Keeping(TellNotice),
    /// Ended.
    Over,
}

type Next<T> = Step<Tell<T>, TellNotice>;

impl<T: Told> Tell<T> {
    fn over(notice: TellNotice) -> Next<T> {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn store(signed: Signed<T>, anchors: Anchors, context: &Context<'_>) -> Next<T> {
        let mut batch = Batch::default();
        batch.put(signed.claimed().pending(), signed.encode());
        T::asked(&signed, context.records, &mut batch);
        Step::new(Self::Storing(signed, anchors), [Effect::Store(batch)])
    }

    fn send(signed: Signed<T>, anchors: Anchors) -> Next<T> {
        let bytes = signed.encode();
        Step::new(Self::Expect(signed, anchors), [Effect::Send(bytes)])
    }

    fn answered(signed: &Signed<T>, anchors: &Anchors, bytes: &[u8], context: &Context<'_>) -> Next<T> {
        let answer = read_reply::<Done>(bytes, &signed.hash(&[]), anchors, context);
        let (notice, done) = match answer {
            Some(Answered::Reply(_)) => (TellNotice::Done, Some(anchors.epoch)),
            Some(Answered::Refused(refused)) if T::HAD && refused.why == ProviderRefusal::Repeated => {
                (TellNotice::Done, Some(anchors.epoch))
            }
            // It waits here, and is told again.
            Some(Answered::Refused(refused)) if refused.why.is_transient() => {
                return Self::over(TellNotice::Refused(refused));
            }
            Some(Answered::Refused(refused)) => (TellNotice::Refused(refused), None),
            None => return Self::over(TellNotice::NotTrusted),
        };
        let mut batch = Batch::default();
        batch.remove(signed.claimed().pending());
        T::answered(signed, done, context.records, &mut batch);
        Step::new(Self::Keeping(notice), [Effect::Store(batch)])
    }
}

impl<T: Told> Talk for Tell<T> {
    type Notice = TellNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next<T> {
        match (self, event) {
            (Self::Start(body, key, anchors), Event::Tick) => {
                let body = Unsigned::new(body, key.algorithm());
                let sign = Effect::Sign { key: SigningKey::Device, tbs: body.tbs(&[]) };
                Step::new(Self::Signing(body, anchors), [sign])
            }
            (Self::Again(signed, anchors), Event::Tick) => Self::send(signed, anchors),
            (Self::Signing(body, anchors), Event::Signed(signature)) => {
                Self::store(body.sign(signature), anchors, context)
            }
            (Self::Storing(signed, anchors), Event::Stored) => Self::send(signed, anchors),
            (Self::Expect(signed, anchors), Event::Received(bytes)) => {
                Self::answered(&signed, &anchors, &bytes, context)
            }
            (Self::Keeping(notice), Event::Stored) => Self::over(notice),
            // What is stored is told again.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(TellNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
