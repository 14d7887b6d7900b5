//! The terminal's side of paying: charge stored before it is sent, check stored before goods (R7, R8).

use super::messages::*;
use crate::card::{CardCertificate, CardEvent, Counterpart, Raise, Terms, Void, payment};
use crate::id::{CardId, DeviceId, Handle, Hash};
use crate::money::Amount;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Break, Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::credit::{AuthorizationRequest, ClearingNotification, ClearingRequest, CreditOffer};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::certificate::{Anchors, Certificate, SessionProof};
use crate::wire::signed::{PublicKey, Signature, Signed, Unsigned};
use crate::{codes, message};
use alloc::{string::String, vec, vec::Vec};

codes! {
    /// Where a charge stands. It ends once (R7).
    pub enum ClaimState {
        /// Sent, not answered.
        Open = 1,
        /// A check is stored.
        Paid = 2,
        /// Accepts no check any more.
        Closed = 3,
        /// Was paid and is undone.
        Voided = 4,
        /// By credit: the clearing was asked for. Nothing but its answer ends this (R26).
        Clearing = 5,
    }
}

message! {
    /// A charge and its end, as the terminal keeps it.
    pub struct Claim {
        /// Where it stands.
        1 state: ClaimState,
        /// The charge as sent.
        2 charge: Signed<Charge>,
        /// The session that first carried it.
        3 session: Hash,
        /// The card that paid.
        4 card: Option<CardId>,
        /// Its generation.
        5 generation: Option<u64>,
        /// The check.
        6 check: Option<Signed<CardEvent>>,
        /// The receipt as sent.
        7 receipt: Option<Signed<Receipt>>,
        /// The void or close as sent.
        8 void: Option<Signed<Void>>,
        /// By credit: the offer as it came. The charge takes no check then.
        9 offer: Option<Signed<CreditOffer>>,
        /// By credit: the request for authorization, as sent.
        10 asked: Option<Signed<AuthorizationRequest>>,
        /// By credit: the clearing request as sent \[13550\].
        11 clearing: Option<Signed<ClearingRequest>>,
        /// By credit: the clearing completion notification \[8418\].
        12 notification: Option<Signed<ClearingNotification>>,
    }
}

impl Claim {
    /// A charge that nobody has answered.
    pub(super) fn open(charge: Signed<Charge>, session: Hash) -> Self {
        Self {
            state: ClaimState::Open,
            charge,
            session,
            card: None,
            generation: None,
            check: None,
            receipt: None,
            void: None,
            offer: None,
            asked: None,
            clearing: None,
            notification: None,
            extensions: Default::default(),
        }
    }
    /// Stores a new one, and that it is open.
    pub(super) fn begin(&self, records: &dyn Records) -> Batch {
        let transaction = self.charge.claimed().transaction;
        let (till, stored) = Till::load(records);
        let after = Till { next: transaction + 1, open: Some(transaction), ..till };
        let mut batch = Batch::default();
        batch.replace(Till::key(), stored, after.to_bytes());
        batch.replace(Self::key(transaction), None, self.to_bytes());
        batch
    }
    /// Where it is stored.
    pub fn key(transaction: u64) -> RecordKey {
        RecordKey::numbered(Space::Charge, transaction)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, transaction: u64) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(transaction))?).ok()
    }
    /// The hash of the stored check in its context.
    pub fn check_hash(&self, terminal: DeviceId) -> Option<Hash> {
        let check = self.check.as_ref()?;
        Some(check.hash(&CardEvent::context(self.card?, self.generation?, &self.counterpart(terminal))))
    }
    /// What a check for this charge answers.
    pub fn counterpart(&self, terminal: DeviceId) -> Counterpart<'_> {
        Counterpart::Charge { session: self.session, terminal, charge: self.charge.payload() }
    }
}

message! {
    /// The terminal's counters. Guards every charge.
    pub struct Till {
        /// The next transaction number; numbers are never used again.
        1 next: u64,
        /// The one charge that is open.
        2 open: Option<u64>,
    }
}

impl Till {
    /// Where it is stored.
    pub fn key() -> RecordKey {
        RecordKey::new(Space::Device, *b"till")
    }
    /// Reads it; a new terminal starts at 1.
    pub fn load(records: &dyn Records) -> (Self, Option<Vec<u8>>) {
        let stored = records.get(&Self::key());
        let till = stored.as_deref().and_then(|bytes| Self::from_bytes(bytes).ok());
        (till.unwrap_or(Self { next: 1, open: None, extensions: Default::default() }), stored)
    }
}

/// What is to be charged, and with what the terminal works.
#[derive(Clone, Debug)]
pub struct Sale {
    /// How much.
    pub amount: Amount,
    /// What for, at most [`MAX_ITEMS`] bytes.
    pub items: Option<String>,
    /// Seconds until the charge expires (R8).
    pub valid_for: u64,
    /// The terminal's certificate, as it travels.
    pub certificate: Signed<Certificate>,
    /// Whom it trusts.
    pub anchors: Anchors,
    /// The terms it accepts.
    pub terms: Vec<Terms>,
}

impl Sale {
    pub(super) fn terminal(&self) -> DeviceId {
        self.certificate.claimed().subject.device()
    }
    pub(super) fn key(&self) -> &PublicKey {
        &self.certificate.claimed().key
    }
    fn accepts(&self, offered: &Offered) -> Option<&Terms> {
        self.terms.iter().find(|terms| {
            terms.kind == offered.kind && terms.handle() == offered.terms && terms.unit == self.amount.unit()
        })
    }
    fn terms(&self, handle: Handle) -> Option<&Terms> {
        self.terms.iter().find(|terms| terms.handle() == handle)
    }
}

/// What the merchant is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalNotice {
    /// The check is stored: hand over the goods.
    Paid {
        /// Which charge.
        transaction: u64,
        /// How much.
        amount: Amount,
        /// What remains on the card, in minor units.
        remaining: u64,
    },
    /// The receipt went out again for a charge that was paid before. No goods.
    Repeated {
        /// Which charge.
        transaction: u64,
    },
    /// The wallet pays by credit: the charge is stored; ask the provider.
    CreditAsked {
        /// Which charge.
        transaction: u64,
    },
    /// The charge ended unpaid.
    Closed {
        /// Which charge.
        transaction: u64,
        /// Why.
        why: Refusal,
    },
    /// Nothing was charged.
    Refused(Refusal),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// The terminal's states.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum TerminalPay {
    /// Waits for the session.
    Idle(Sale),
    /// Signs the proof of itself.
    Proving(Sale, Hash),
    /// Waits for the offer.
    ExpectOffer(Sale, Hash),
    /// Signs the charge.
    SigningCharge(Sale, Hash, Unsigned<Charge>, Option<Handle>, bool),
    /// Stores the charge.
    StoringCharge(Sale, Claim, Option<Handle>, Vec<u8>),
    /// By credit: signs the charge.
    SigningCredit(Sale, Hash, Unsigned<Charge>, CreditOffered),
    /// By credit: stores the charge.
    StoringCredit(Claim, Vec<u8>),
    /// Waits for the check.
    ExpectCheck(Sale, Claim, Option<Handle>),
    /// Signs the receipt.
    SigningReceipt(Sale, Claim, Accepted),
    /// Stores check and receipt.
    StoringReceipt(Sale, Claim, u64),
    /// Signs the close after a check that may not be accepted.
    SigningClose(Sale, Claim, Unsigned<Void>, Refusal),
    /// Stores the close.
    StoringClose(Sale, Claim, Refusal),
    /// Ended.
    Over,
}

/// A check that was verified and judged, on its way into the store.
#[derive(Clone, Debug)]
pub struct Accepted {
    check: Signed<CardEvent>,
    card: CardId,
    generation: u64,
    checkpoint: Signed<CardCertificate>,
    raises: Vec<Raise>,
    receipt: Unsigned<Receipt>,
    journal: Journal,
}

pub(super) type Next = Step<TerminalPay, TerminalNotice>;

pub(super) fn send(message: &PayMessage) -> Effect<TerminalNotice> {
    Effect::Send(message.to_bytes())
}

impl TerminalPay {
    /// Waits at the counter with this to charge.
    pub fn new(sale: Sale) -> Self {
        Self::Idle(sale)
    }

    pub(super) fn refuse(why: Refusal) -> Next {
        Step::new(Self::Over, [send(&PayMessage::Refused(why)), Effect::Show(TerminalNotice::Refused(why))])
    }
    fn fail(fault: Fault) -> Next {
        let told = send(&PayMessage::Refused(Refusal::OutOfOrder));
        Step::new(Self::Over, [told, Effect::Show(TerminalNotice::Failed(fault))])
    }

    fn prove(sale: Sale, session: Hash) -> Next {
        let tbs = SessionProof::unsigned(sale.key()).tbs(&SessionProof::context(&session));
        Step::new(Self::Proving(sale, session), [Effect::Sign { key: SigningKey::Device, tbs }])
    }

    fn proven(sale: Sale, session: Hash, proof: Signature) -> Next {
        let mut told = Certificate::handle(&sale.certificate).0.to_vec();
        told.extend_from_slice(&proof.0);
        Step::new(Self::ExpectOffer(sale, session), [Effect::Send(told)])
    }

    /// The first thing a wallet says: what it pays with, and perhaps what it did not see the end of.
    fn offered(sale: Sale, session: Hash, offer: &Offer, context: &Context<'_>) -> Next {
        let unknown = offer.unknown.unwrap_or(false);
        let known = offer.checkpoint.filter(|handle| seen(*handle, context.records).is_some());
        if let Some(transaction) = offer.resume {
            return Self::resume(sale, transaction, unknown, known, context);
        }
        let Some(terms) = sale.accepts(&offer.card) else {
            return Self::refuse(Refusal::NotAccepted);
        };
        if stale(&sale.anchors, terms, context) {
            return Self::refuse(Refusal::TerminalStale);
        }
        let (till, _) = Till::load(context.records);
        if till.open.is_some() || sale.amount.is_zero() {
            return Self::refuse(Refusal::NothingToPay);
        }
        let (charge, sign) = Self::draft(&sale, &session, till.next, context);
        Step::new(Self::SigningCharge(sale, session, charge, known, unknown), [sign])
    }

    /// Drafts the charge of this number.
    pub(super) fn draft(
        sale: &Sale,
        session: &Hash,
        transaction: u64,
        context: &Context<'_>,
    ) -> (Unsigned<Charge>, Effect<TerminalNotice>) {
        let charge = Charge {
            transaction,
            amount: sale.amount,
            at: context.now,
            expires: context.now.after(sale.valid_for),
            items: sale.items.clone(),
            extensions: Default::default(),
        };
        let charge = Unsigned::new(charge, sale.key().algorithm());
        let tbs = charge.tbs(&Charge::context(session, sale.terminal()));
        (charge, Effect::Sign { key: SigningKey::Device, tbs })
    }

    /// A wallet asks for the end of a charge: it gets the stored bytes again.
    fn resume(sale: Sale, transaction: u64, unknown: bool, known: Option<Handle>, context: &Context<'_>) -> Next {
        let Some(claim) = Claim::load(context.records, transaction) else {
            return Self::refuse(Refusal::UnknownTransaction);
        };
        let reopens = claim.state == ClaimState::Closed && context.broken.has(Break::ClosedAccepts);
        if let (Some(void), false) = (claim.void.clone(), reopens) {
            return Step::new(Self::Over, [send(&PayMessage::Ended(void))]);
        }
        if claim.offer.is_some() {
            // It is being paid by credit: no check is asked for beside that (R7).
            return Self::refuse(Refusal::AnsweredBefore);
        }
        Self::recharge(sale, claim, unknown, known)
    }

    fn recharge(sale: Sale, claim: Claim, unknown: bool, known: Option<Handle>) -> Next {
        let charged = Charged {
            charge: claim.charge.clone(),
            certificate: unknown.then(|| sale.certificate.clone()),
            known: known.map(|_| true),
            session: Some(claim.session),
            extensions: Default::default(),
        };
        Step::new(Self::ExpectCheck(sale, claim, known), [send(&PayMessage::Charged(charged))])
    }

    fn charge_signed(
        sale: Sale,
        session: Hash,
        charge: Unsigned<Charge>,
        (known, unknown): (Option<Handle>, bool),
        signature: Signature,
        context: &Context<'_>,
    ) -> Next {
        let charge = charge.sign(signature);
        let charged = Charged {
            charge: charge.clone(),
            certificate: unknown.then(|| sale.certificate.clone()),
            known: known.map(|_| true),
            session: None,
            extensions: Default::default(),
        };
        let claim = Claim::open(charge, session);
        let batch = claim.begin(context.records);
        let told = PayMessage::Charged(charged).to_bytes();
        Step::new(Self::StoringCharge(sale, claim, known, told), [Effect::Store(batch)])
    }

    /// Judges a check: first whether it is what it claims, then whether it may pay.
    fn checked(sale: Sale, claim: Claim, known: Option<Handle>, checked: Checked, context: &Context<'_>) -> Next {
        let terminal = sale.terminal();
        let seen = || known.and_then(|handle| seen(handle, context.records));
        let Some(certificate) = checked.certificate.clone().or_else(seen) else {
            return Self::refuse(Refusal::CertificateNeeded);
        };
        let said = certificate.claimed();
        let (card, generation) = (said.card, said.generation);
        let signed_in = CardEvent::context(card, generation, &claim.counterpart(terminal));
        if let Some(stored) = claim.check_hash(terminal) {
            return Self::repeated(&claim, stored == checked.check.hash(&signed_in));
        }
        let ended = claim.void.is_some() || claim.state != ClaimState::Open;
        if ended && !context.broken.has(Break::ClosedAccepts) {
            return Self::ended(&claim);
        }
        let Ok(check) = checked.check.clone().verify(&said.key, &signed_in, context.verifier) else {
            return Self::refuse(Refusal::CardNotTrusted);
        };
        let raises = checked.raises.unwrap_or_default();
        if let Err(why) = may_pay(&sale, &claim, &certificate, &check, &raises, context) {
            return Self::close(sale, claim, why, context);
        }
        let Some(journal) = Journal::load(context.records) else {
            return Self::fail(Fault::Storage);
        };
        let receipt = Receipt { entry: journal.number + 1, at: context.now, extensions: Default::default() };
        let receipt = Unsigned::new(receipt, sale.key().algorithm());
        let tbs = receipt.tbs(&Receipt::context(&check.hash()));
        let accepted = Accepted {
            check: check.into_signed(),
            card,
            generation,
            checkpoint: certificate,
            raises,
            receipt,
            journal,
        };
        let sign = Effect::Sign { key: SigningKey::Device, tbs };
        Step::new(Self::SigningReceipt(sale, claim, accepted), [sign])
    }

    /// The same check again gets the same receipt; another one is too late.
    fn repeated(claim: &Claim, same: bool) -> Next {
        if !same {
            return Self::refuse(Refusal::AnsweredBefore);
        }
        if claim.void.is_some() {
            return Self::ended(claim);
        }
        let transaction = claim.charge.claimed().transaction;
        match claim.receipt.clone() {
            Some(receipt) => Step::new(
                Self::Over,
                [send(&PayMessage::Receipt(receipt)), Effect::Show(TerminalNotice::Repeated { transaction })],
            ),
            None => Self::refuse(Refusal::OutOfOrder),
        }
    }

    fn ended(claim: &Claim) -> Next {
        match claim.void.clone() {
            Some(void) => Step::new(Self::Over, [send(&PayMessage::Ended(void))]),
            None => Self::refuse(Refusal::OutOfOrder),
        }
    }

    /// A check that may not pay ends the charge, so that the wallet gets its money back on the spot.
    fn close(sale: Sale, claim: Claim, why: Refusal, context: &Context<'_>) -> Next {
        let charge = claim.charge.claimed();
        let void = Void {
            transaction: charge.transaction,
            check: None,
            amount: charge.amount,
            at: context.now,
            extensions: Default::default(),
        };
        let void = Unsigned::new(void, sale.key().algorithm());
        let tbs = void.tbs(&Void::context(sale.terminal()));
        let sign = Effect::Sign { key: SigningKey::Device, tbs };
        Step::new(Self::SigningClose(sale, claim, void, why), [sign])
    }

    fn receipt_signed(
        sale: Sale,
        claim: Claim,
        accepted: Accepted,
        signature: Signature,
        context: &Context<'_>,
    ) -> Next {
        let Accepted { check, card, generation, checkpoint, raises, receipt, journal } = accepted;
        let remaining = check.claimed().remaining;
        let transaction = claim.charge.claimed().transaction;
        let before = claim.to_bytes();
        let handle = CardCertificate::handle(&checkpoint);
        let entry = LogEntry {
            charge: Some(Bytes(claim.charge.payload().to_vec())),
            session: Some(claim.session),
            card: Some(card),
            generation: Some(generation),
            event: Some(check.clone()),
            checkpoint: Some(handle),
            raises: (!raises.is_empty()).then_some(raises),
            ..LogEntry::new(EntryKind::Paid, context.now, transaction)
        };
        let claim = Claim {
            state: ClaimState::Paid,
            card: Some(card),
            generation: Some(generation),
            check: Some(check),
            receipt: Some(receipt.sign(signature)),
            ..claim
        };
        let mut batch = Batch::default();
        batch.replace(Claim::key(transaction), Some(before), claim.to_bytes());
        batch.put(seen_key(handle), checkpoint.encode());
        close_till(context.records, transaction, &mut batch);
        journal.append(&[entry], &mut batch);
        let store = Effect::Store(batch);
        if context.broken.has(Break::GoodsBeforeEvidence) {
            let amount = claim.charge.claimed().amount;
            let goods = Effect::Show(TerminalNotice::Paid { transaction, amount, remaining });
            return Step::new(Self::StoringReceipt(sale, claim, remaining), [goods, store]);
        }
        Step::new(Self::StoringReceipt(sale, claim, remaining), [store])
    }

    fn close_signed(sale: Sale, claim: Claim, void: Signed<Void>, why: Refusal, context: &Context<'_>) -> Next {
        let mut batch = Batch::default();
        match super::end::closing(claim, void, context, &mut batch) {
            Some(claim) => Step::new(Self::StoringClose(sale, claim, why), [Effect::Store(batch)]),
            None => Self::fail(Fault::Storage),
        }
    }
}

impl Talk for TerminalPay {
    type Notice = TerminalNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(sale), Event::Opened(session)) => Self::prove(sale, session),
            (Self::Proving(sale, session), Event::Signed(proof)) => Self::proven(sale, session, proof),
            (Self::ExpectOffer(sale, session), Event::Received(bytes)) => match PayMessage::received(&bytes) {
                Ok(PayMessage::Offer(offer)) => Self::offered(sale, session, &offer, context),
                Ok(PayMessage::Credit(offered)) => Self::credit_offered(sale, session, offered, context),
                Ok(PayMessage::Refused(why)) => Step::new(Self::Over, [Effect::Show(TerminalNotice::Refused(why))]),
                _ => Self::refuse(Refusal::Malformed),
            },
            (Self::SigningCharge(sale, session, charge, known, unknown), Event::Signed(signature)) => {
                Self::charge_signed(sale, session, charge, (known, unknown), signature, context)
            }
            (Self::SigningCredit(sale, session, charge, offered), Event::Signed(signature)) => {
                Self::credit_charged(&sale, session, charge.sign(signature), offered, context)
            }
            (Self::StoringCredit(claim, told), Event::Stored) => {
                let transaction = claim.charge.claimed().transaction;
                Step::new(Self::Over, [Effect::Send(told), Effect::Show(TerminalNotice::CreditAsked { transaction })])
            }
            // Durable before sent: the charge leaves only now.
            (Self::StoringCharge(sale, claim, known, told), Event::Stored) => {
                let expires = claim.charge.claimed().expires;
                Step::new(Self::ExpectCheck(sale, claim, known), [Effect::Send(told), Effect::WaitUntil(expires)])
            }
            (Self::ExpectCheck(sale, claim, known), Event::Received(bytes)) => match PayMessage::received(&bytes) {
                Ok(PayMessage::Checked(checked)) => Self::checked(sale, claim, known, checked, context),
                Ok(PayMessage::Refused(why)) if claim.state == ClaimState::Open => {
                    Self::close(sale, claim, why, context)
                }
                Ok(PayMessage::Refused(_)) => Step::new(Self::Over, []),
                _ => Self::refuse(Refusal::Malformed),
            },
            (Self::ExpectCheck(sale, claim, _), Event::Tick) if claim.state == ClaimState::Open => {
                Self::close(sale, claim, Refusal::ChargeExpired, context)
            }
            (Self::SigningReceipt(sale, claim, accepted), Event::Signed(signature)) => {
                Self::receipt_signed(sale, claim, accepted, signature, context)
            }
            // Evidence before goods: receipt and goods only now.
            (Self::StoringReceipt(_, claim, remaining), Event::Stored) => {
                let (transaction, amount) = (claim.charge.claimed().transaction, claim.charge.claimed().amount);
                let receipt = claim.receipt.map(|receipt| send(&PayMessage::Receipt(receipt)));
                let shown = Effect::Show(TerminalNotice::Paid { transaction, amount, remaining });
                Step::new(Self::Over, receipt.into_iter().chain([shown]).collect::<Vec<_>>())
            }
            (Self::SigningClose(sale, claim, void, why), Event::Signed(signature)) => {
                Self::close_signed(sale, claim, void.sign(signature), why, context)
            }
            (Self::StoringClose(_, claim, why), Event::Stored) => {
                let transaction = claim.charge.claimed().transaction;
                let told = claim.void.map(|void| send(&PayMessage::Ended(void)));
                let shown = Effect::Show(TerminalNotice::Closed { transaction, why });
                Step::new(Self::Over, told.into_iter().chain([shown]).collect::<Vec<_>>())
            }
            (_, Event::Failed(fault)) => Self::fail(fault),
            // The claim, if one is stored, stays open: the wallet may come back for it until it expires.
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (state, _) => Step::new(state, vec![]),
        }
    }
}

pub(crate) fn seen_key(handle: Handle) -> RecordKey {
    RecordKey::new(Space::Certificate, handle.0)
}

pub(crate) fn seen(handle: Handle, records: &dyn Records) -> Option<Signed<CardCertificate>> {
    Signed::decode(&records.get(&seen_key(handle))?).ok()
}

/// This charge is not the open one any more.
pub(crate) fn close_till(records: &dyn Records, transaction: u64, batch: &mut Batch) {
    let (till, stored) = Till::load(records);
    let open = till.open.filter(|open| *open != transaction);
    batch.replace(Till::key(), stored, Till { open, ..till }.to_bytes());
}

/// L and U of R11: past either, the terminal stops selling offline.
pub(crate) fn stale(anchors: &Anchors, terms: &Terms, context: &Context<'_>) -> bool {
    if context.broken.has(Break::StaleListAccepted) {
        return false;
    }
    let list_too_old = anchors.list_age(context.now).is_none_or(|age| age > terms.list_age);
    let oldest = Journal::load(context.records).and_then(|journal| journal.oldest);
    list_too_old || oldest.is_some_and(|oldest| context.now.since(oldest) > terms.record_age)
}

/// Everything that decides whether a verified check may pay this charge.
fn may_pay(
    sale: &Sale,
    claim: &Claim,
    certificate: &Signed<CardCertificate>,
    check: &CardEvent,
    raises: &[Raise],
    context: &Context<'_>,
) -> Result<(), Refusal> {
    use crate::wire::certificate::Untrusted;
    let charge = claim.charge.claimed();
    if context.now >= charge.expires {
        return Err(Refusal::ChargeExpired);
    }
    let card = CardCertificate::accept(certificate.clone(), &sale.anchors, context.now, context.verifier);
    let card = card.map_err(|why| match why {
        Untrusted::Revoked => Refusal::CardRevoked,
        Untrusted::Expired => Refusal::BeyondTerms,
        _ => Refusal::CardNotTrusted,
    })?;
    let terms = sale.terms(card.terms).ok_or(Refusal::NotAccepted)?;
    for raise in raises {
        if raise.is_by_provider() {
            raise
                .check_by_provider(card.card, card.generation, &sale.anchors, context.now, context.verifier)
                .map_err(|_| Refusal::CardNotTrusted)?;
        }
    }
    if context.broken.has(Break::CeilingIgnored) {
        return Ok(());
    }
    payment::accept_check(&card, terms, raises, check, charge.amount, context.now).map_err(|_| Refusal::BeyondTerms)
}
