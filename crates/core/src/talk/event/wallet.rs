//! The holder's side of a change: what was offered is kept with its ticket, and answered once.
//!
//! The answer is durable before it is sent, and sent again as the same bytes until the provider has said what became of the ticket.
//! A holder who says nothing has a ticket by the promoter's rule; the wallet hears of it by its next update like everybody.

use super::messages::{ChangeAnswer, ChangeOutcome, ChangeReply, Changed};
use crate::card::payment::{Purse, PurseState};
use crate::card::{CardCertificate, Terms};
use crate::id::{CardId, DeviceId, Handle, Hash};
use crate::message;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::buy::Refunded;
use crate::talk::pay::{load_purse, purse_key};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, is_blocked_before, load_terms, read_reply};
use crate::wire::canonical::Wire;
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signature, Signed, Unsigned};
use alloc::{boxed::Box, vec};

message! {
    /// A change as its ticket's wallet keeps it; one for each ticket, the last.
    pub struct KeptChange {
        /// What the provider told.
        1 changed: Changed,
        /// The terms that the ticket had then.
        2 before: Handle,
        /// The holder's answer: the first one counts, so there is no other.
        3 answer: Option<Signed<ChangeAnswer>>,
        /// What became of the ticket, as the provider has said it.
        4 outcome: Option<ChangeOutcome>,
    }
}

impl KeptChange {
    /// Where it is stored.
    pub fn key(card: CardId) -> RecordKey {
        RecordKey::new(Space::Ticket, [b"change".as_slice(), &card.0].concat())
    }
    /// Reads it.
    pub fn load(records: &dyn Records, card: CardId) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(card))?).ok()
    }
    /// The terms before the change.
    pub fn terms_before(&self, records: &dyn Records) -> Option<Terms> {
        load_terms(records, self.before)
    }
    /// The holder's answer: whether it takes the new ticket.
    pub fn accepts(&self) -> Option<bool> {
        self.answer.as_ref().map(|answer| answer.claimed().accept)
    }
    /// What became of the ticket as far as this wallet knows, whoever decided it.
    pub fn stands(&self, records: &dyn Records) -> Option<ChangeOutcome> {
        let purse = load_purse(records, self.changed.card)?;
        let taken = self.changed.after.as_ref().map(Terms::handle) == Some(purse.certificate.claimed().terms);
        match (self.outcome, purse.state) {
            (Some(outcome), _) => Some(outcome),
            (None, PurseState::Ended) => Some(ChangeOutcome::Refunded),
            (None, _) => taken.then_some(ChangeOutcome::Taken),
        }
    }
    /// The purse with its certificate under other terms, or with a newer checkpoint; where that names another seat, what stands on it is
    /// what the change has told.
    pub fn renewed(purse: &Purse, certificate: &Signed<CardCertificate>, records: &dyn Records) -> Purse {
        let mut after = purse.clone();
        after.renew(certificate.clone());
        let seat = certificate.claimed().seat;
        if seat != purse.certificate.claimed().seat {
            let told = Self::load(records, certificate.claimed().card).and_then(|kept| kept.changed.seat);
            after.seat_name = told.and_then(|told| match seat {
                Some(seat) if seat == told.to => told.name,
                // A change before that one has moved it.
                Some(seat) if seat == told.from => told.was,
                _ => None,
            });
        }
        after
    }
    /// How a card of this generation stands that comes only now: its event may be cancelled since it was bought, its money on its way
    /// back, or it may be blocked.
    pub fn state_of(records: &dyn Records, card: CardId, generation: u64) -> PurseState {
        let cancelled = Self::load(records, card).is_some_and(|kept| kept.changed.after.is_none());
        match cancelled || records.get(&Refunded::key(card)).is_some() {
            true => PurseState::Ended,
            false if is_blocked_before(records, card, generation) => PurseState::Blocked,
            false => PurseState::Active,
        }
    }
    /// Keeps what the provider tells of a ticket of this wallet. The same change again changes nothing. With the new terms at hand
    /// the ticket's next checkpoint can be shown; a cancelled one is over at once.
    pub fn take_in(changed: &Changed, records: &dyn Records) -> Batch {
        let mut batch = Batch::default();
        let (card, stored) = (changed.card, records.get(&Self::key(changed.card)));
        let known = stored.as_ref().and_then(|bytes| Self::from_bytes(bytes).ok());
        // It may be told before the wallet has asked for the ticket that it bought.
        let purse = load_purse(records, card);
        if known.is_some_and(|known| known.changed.change == changed.change) {
            return batch;
        }
        match (&changed.after, &purse) {
            (Some(terms), _) => batch.put(RecordKey::new(Space::Terms, terms.handle().0), terms.to_bytes()),
            (None, Some(purse)) if purse.state == PurseState::Active => {
                let over = Purse { state: PurseState::Ended, ..purse.clone() };
                batch.replace(purse_key(card), Some(purse.to_bytes()), over.to_bytes());
            }
            (None, _) => {}
        }
        let before = purse.map_or(Handle([0; 8]), |purse| purse.certificate.claimed().terms);
        let kept =
            Self { changed: changed.clone(), before, answer: None, outcome: None, extensions: Default::default() };
        batch.replace(Self::key(card), stored, kept.to_bytes());
        batch
    }
}

/// What the holder sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeNotice {
    /// What became of the ticket.
    Stands(ChangeOutcome),
    /// Answered before, the other way: `accept` is what counts.
    Answered {
        /// What was answered.
        accept: bool,
    },
    /// The event is cancelled: there is nothing to answer, it is paid back.
    Cancelled,
    /// This wallet was told of no change of that ticket; update it.
    Unknown,
    /// The provider said no.
    NotAllowed(Refused),
    /// The answer is not the provider's, or not to this.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// Who answers.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The wallet.
    pub wallet: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// Whom it trusts.
    pub anchors: Anchors,
}

/// The holder's states.
#[derive(Clone, Debug)]
pub enum Answering {
    /// Asked to: takes the new ticket of this card, or its money back.
    Start(CardId, bool, Box<Holder>),
    /// Signs the answer.
    Signing(Unsigned<ChangeAnswer>, Box<Holder>),
    /// Stores it.
    Storing(Signed<ChangeAnswer>, Box<Holder>),
    /// Waits for the provider.
    Expect(CardId, Hash, Box<Holder>),
    /// Stores what became of the ticket.
    Keeping(ChangeNotice),
    /// Ended.
    Over,
}

type Next = Step<Answering, ChangeNotice>;

impl Answering {
    fn over(notice: ChangeNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn start(card: CardId, accept: bool, holder: Box<Holder>, context: &Context<'_>) -> Next {
        let Some(kept) = KeptChange::load(context.records, card) else {
            return Self::over(ChangeNotice::Unknown);
        };
        if kept.changed.after.is_none() {
            return Self::over(ChangeNotice::Cancelled);
        }
        match kept.answer {
            // The first one counts: it is asked again how that stands.
            Some(answer) if answer.claimed().accept == accept => Self::send(&answer, holder),
            Some(_) => Self::over(ChangeNotice::Answered { accept: !accept }),
            None => {
                let (wallet, change, at) = (holder.wallet, kept.changed.change, context.now);
                let body = ChangeAnswer { wallet, card, change, accept, at, extensions: Default::default() };
                let answer = Unsigned::new(body, holder.key.algorithm());
                let sign = Effect::Sign { key: SigningKey::Device, tbs: answer.tbs(&[]) };
                Step::new(Self::Signing(answer, holder), [sign])
            }
        }
    }

    fn signed(answer: Unsigned<ChangeAnswer>, holder: Box<Holder>, by: Signature, context: &Context<'_>) -> Next {
        let (card, change) = (answer.body().card, answer.body().change);
        // Another one may have come while this was signed, of which the holder knows nothing: it is not answered by it.
        let kept = KeptChange::load(context.records, card).filter(|kept| kept.changed.change == change);
        let Some(kept) = kept.filter(|kept| kept.answer.is_none()) else {
            return Self::over(ChangeNotice::Failed(Fault::Raced));
        };
        let answer = answer.sign(by);
        let after = KeptChange { answer: Some(answer.clone()), ..kept.clone() };
        let mut batch = Batch::default();
        // Of two processes one answers (R13).
        batch.replace(KeptChange::key(card), Some(kept.to_bytes()), after.to_bytes());
        Step::new(Self::Storing(answer, holder), [Effect::Store(batch)])
    }

    fn send(answer: &Signed<ChangeAnswer>, holder: Box<Holder>) -> Next {
        let expect = Self::Expect(answer.claimed().card, answer.hash(&[]), holder);
        Step::new(expect, [Effect::Send(answer.encode())])
    }

    fn answered(card: CardId, hash: &Hash, holder: &Holder, bytes: &[u8], context: &Context<'_>) -> Next {
        let reply = match read_reply::<ChangeReply>(bytes, hash, &holder.anchors, context) {
            Some(Answered::Reply(reply)) => reply,
            Some(Answered::Refused(refused)) => return Self::over(ChangeNotice::NotAllowed(refused)),
            None => return Self::over(ChangeNotice::NotTrusted),
        };
        let (Some(kept), Some(purse)) = (KeptChange::load(context.records, card), load_purse(context.records, card))
        else {
            return Self::over(ChangeNotice::Failed(Fault::Storage));
        };
        if (reply.card, reply.change) != (card, kept.changed.change) {
            return Self::over(ChangeNotice::NotTrusted);
        }
        let mut after = purse.clone();
        if let Some(certificate) = &reply.certificate {
            // Blocked meanwhile, it is still this ticket's.
            let accepted =
                CardCertificate::certified(certificate.clone(), &holder.anchors, context.now, context.verifier);
            let (said, held) = (certificate.claimed(), purse.certificate.claimed());
            let same = (said.card, said.generation, said.key) == (held.card, held.generation, held.key);
            if accepted.is_err() || !same || load_terms(context.records, said.terms).is_none() {
                return Self::over(ChangeNotice::NotTrusted);
            }
            after = KeptChange::renewed(&purse, certificate, context.records);
        }
        if reply.outcome == ChangeOutcome::Refunded && purse.state == PurseState::Active {
            after.state = PurseState::Ended;
        }
        let known = KeptChange { outcome: Some(reply.outcome), ..kept.clone() };
        let mut batch = Batch::default();
        batch.replace(KeptChange::key(card), Some(kept.to_bytes()), known.to_bytes());
        batch.replace(purse_key(card), Some(purse.to_bytes()), after.to_bytes());
        Step::new(Self::Keeping(ChangeNotice::Stands(reply.outcome)), [Effect::Store(batch)])
    }
}

impl Talk for Answering {
    type Notice = ChangeNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start(card, accept, holder), Event::Tick) => Self::start(card, accept, holder, context),
            (Self::Signing(answer, holder), Event::Signed(by)) => Self::signed(answer, holder, by, context),
            // Durable before sent.
            (Self::Storing(answer, holder), Event::Stored) => Self::send(&answer, holder),
            (Self::Expect(card, hash, holder), Event::Received(bytes)) => {
                Self::answered(card, &hash, &holder, &bytes, context)
            }
            (Self::Keeping(notice), Event::Stored) => Self::over(notice),
            // The answer stays stored and is sent again.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(ChangeNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
