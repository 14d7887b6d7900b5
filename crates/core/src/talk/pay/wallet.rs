//! The wallet's side of paying: the user agrees, the check is stored before it leaves, a repeat sends the same bytes.

use super::messages::*;
use super::paying::{Paying, PayingState, Untouched, load_purse, purse_key};
use crate::card::payment::{Advance, CannotSpend, Purse};
use crate::card::{CardCertificate, Raise, Terms, Void};
use crate::id::{CardId, DeviceId, Handle, Hash};
use crate::money::Amount;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Break, Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::certificate::{Anchors, Certificate, Role, SessionProof};
use crate::wire::signed::{Signature, Signed, Verified};
use alloc::{string::String, vec, vec::Vec};

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalletNotice {
    /// Answer with [`Event::Agreed`] or [`Event::Declined`].
    Consent {
        /// The merchant, as the provider certified it.
        merchant: String,
        /// How much.
        amount: Amount,
        /// What for.
        items: Option<String>,
    },
    /// Paid; the receipt is stored.
    Paid {
        /// The merchant.
        merchant: String,
        /// How much.
        amount: Amount,
        /// What remains on the card, in minor units.
        remaining: u64,
    },
    /// The charge ended unpaid or was undone; the money comes back.
    Returning {
        /// How much.
        amount: Amount,
    },
    /// The other side said no. `spent`: a check is out; touch again or update to learn its end (R8).
    Refused {
        /// Why.
        why: Refusal,
        /// Whether a check is out.
        spent: bool,
    },
    /// This wallet cannot pay that.
    Cannot(CannotSpend),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// With what a wallet pays.
#[derive(Clone, Debug)]
pub struct Payer {
    /// The card.
    pub card: CardId,
    /// Its terms.
    pub terms: Terms,
    /// Whom the wallet trusts.
    pub anchors: Anchors,
}

/// A session whose terminal has proven itself, or will with its certificate.
#[derive(Clone, Debug)]
pub struct Met {
    session: Hash,
    handle: Handle,
    proof: Signature,
    terminal: Option<Verified<Certificate>>,
}

/// A charge that was verified, and what answers it.
#[derive(Clone, Debug)]
pub struct Answer {
    paying: Paying,
    before: Option<Paying>,
    touched: bool,
}

/// What travels with the check.
#[derive(Clone, Debug)]
pub struct Travel {
    /// The terminal's certificate, just learned: stored with the check.
    certificate: Option<Signed<Certificate>>,
    /// The terminal knows the card's checkpoint.
    known: bool,
}

/// The wallet's states.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum WalletPay {
    /// Waits for the session.
    Idle(Payer),
    /// Waits for the terminal's proof.
    ExpectProof(Payer, Hash),
    /// Waits for the charge.
    ExpectCharge(Payer, Met),
    /// Waits for the user.
    AwaitConsent(Payer, Answer, Travel),
    /// Signs the check.
    SigningCheck(Answer, Travel, Purse, Advance),
    /// Stores the check.
    StoringCheck(Paying, Option<Signed<CardCertificate>>),
    /// Waits for the receipt.
    ExpectReceipt(Paying, u64),
    /// Stores the receipt, the return, or what was shown.
    Storing(WalletNotice),
    /// Ended.
    Over,
}

type Next = Step<WalletPay, WalletNotice>;

fn send(message: &PayMessage) -> Effect<WalletNotice> {
    Effect::Send(message.to_bytes())
}

impl WalletPay {
    /// Touches a terminal with this card.
    pub fn new(payer: Payer) -> Self {
        Self::Idle(payer)
    }

    fn refuse(why: Refusal) -> Next {
        let shown = Effect::Show(WalletNotice::Refused { why, spent: false });
        Step::new(Self::Over, [send(&PayMessage::Refused(why)), shown])
    }
    fn cannot(why: CannotSpend) -> Next {
        let told = send(&PayMessage::Refused(Refusal::BeyondTerms));
        Step::new(Self::Over, [told, Effect::Show(WalletNotice::Cannot(why))])
    }
    fn end(notice: WalletNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }
    fn store(batch: Batch, then: WalletNotice) -> Next {
        Step::new(Self::Storing(then), [Effect::Store(batch)])
    }

    /// The terminal's proof: a handle and a signature over the session.
    fn met(payer: Payer, session: Hash, bytes: &[u8], context: &Context<'_>) -> Next {
        let (Some(handle), Some(proof)) = (bytes.first_chunk::<8>(), bytes.get(8..).and_then(|s| s.try_into().ok()))
        else {
            return Self::refuse(Refusal::Malformed);
        };
        let mut met = Met { session, handle: Handle(*handle), proof: Signature(proof), terminal: None };
        let stored = context.records.get(&RecordKey::new(Space::Certificate, *handle));
        if let Some(certificate) = stored.and_then(|bytes| Signed::decode(&bytes).ok()) {
            match prove(&payer.anchors, Role::Terminal, (&met.session, met.proof), certificate, context) {
                Some(terminal) => met.terminal = Some(terminal),
                None => return Self::refuse(Refusal::TerminalNotTrusted),
            }
        }
        let Some(purse) = load_purse(context.records, payer.card) else {
            return Self::cannot(CannotSpend::NotActive);
        };
        let known = met.terminal.as_ref();
        let pending = known.and_then(|terminal| Paying::pending(context.records, terminal.subject.device()));
        let offer = Offer {
            card: Offered { kind: payer.terms.kind, terms: payer.terms.handle(), extensions: Default::default() },
            // Nothing that names the card goes out before the terminal is recognised (R17).
            checkpoint: (known.is_some() || context.broken.has(Break::CardNamedEarly))
                .then(|| CardCertificate::handle(&purse.certificate)),
            unknown: known.is_none().then_some(true),
            resume: pending.map(|paying| paying.charge.claimed().transaction),
            extensions: Default::default(),
        };
        Step::new(Self::ExpectCharge(payer, met), [send(&PayMessage::Offer(offer))])
    }

    /// A charge: from whom, bound to this session or to the one that first carried it, and answered before or not.
    fn charged(payer: Payer, mut met: Met, charged: Charged, context: &Context<'_>) -> Next {
        let mut learned = None;
        if let (None, Some(certificate)) = (&met.terminal, charged.certificate) {
            if Certificate::handle(&certificate) != met.handle {
                return Self::refuse(Refusal::TerminalNotTrusted);
            }
            learned = Some(certificate.clone());
            met.terminal = prove(&payer.anchors, Role::Terminal, (&met.session, met.proof), certificate, context);
        }
        let Some(terminal) = met.terminal else {
            return Self::refuse(Refusal::TerminalNotTrusted);
        };
        let device = terminal.subject.device();
        let session = charged.session.unwrap_or(met.session);
        let Ok(charge) = charged.charge.verify(&terminal.key, &Charge::context(&session, device), context.verifier)
        else {
            return Self::refuse(Refusal::TerminalNotTrusted);
        };
        let before = Paying::load(context.records, device, charge.transaction);
        if let Some(before) = before {
            if before.session != session {
                return Self::refuse(Refusal::TerminalNotTrusted);
            }
            return Self::charged_again(payer, before, &charge, charged.known, context);
        }
        if session != met.session && !context.broken.has(Break::NonceNotBound) {
            // Someone else's charge, or one of a past that this wallet does not know: a nonce not seen is not answered.
            return Self::refuse(Refusal::UnknownTransaction);
        }
        if context.now >= charge.expires {
            return Self::refuse(Refusal::ChargeExpired);
        }
        let Some(purse) = load_purse(context.records, payer.card) else {
            return Self::cannot(CannotSpend::NotActive);
        };
        let paying = Paying {
            state: PayingState::Shown,
            terminal: device,
            merchant: terminal.name.clone().unwrap_or_default(),
            charge: charge.signed().clone(),
            session,
            card: payer.card,
            generation: purse.certificate.claimed().generation,
            check: None,
            raises: Vec::new(),
            receipt: None,
            extensions: Default::default(),
        };
        // What cannot be paid is said before the user is asked.
        if let Err(why) = purse.spend(&payer.terms, charge.amount, &paying.counterpart(), context.now) {
            return Self::cannot(why);
        }
        let small = Untouched::load(context.records).is_some_and(|held| held.covers(charge.amount, &payer.terms));
        let answer = Answer { paying, before: None, touched: !small };
        let travel = Travel { certificate: learned, known: charged.known.unwrap_or(false) };
        if small {
            return Self::agreed(payer, answer, travel, context);
        }
        let consent = WalletNotice::Consent {
            merchant: answer.paying.merchant.clone(),
            amount: charge.amount,
            items: charge.items.clone(),
        };
        Step::new(Self::AwaitConsent(payer, answer, travel), [Effect::Show(consent)])
    }

    /// A charge that this wallet has seen: the stored check again, or what was agreed meanwhile.
    fn charged_again(
        payer: Payer,
        before: Paying,
        charge: &Charge,
        known: Option<bool>,
        context: &Context<'_>,
    ) -> Next {
        if before.charge.claimed() != charge {
            return Self::refuse(Refusal::TerminalNotTrusted);
        }
        let travel = Travel { certificate: None, known: known.unwrap_or(false) };
        match (before.state, before.check.clone()) {
            (PayingState::Agreed, None) => {
                let answer = Answer { paying: before.clone(), before: Some(before), touched: true };
                Self::agreed(payer, answer, travel, context)
            }
            (PayingState::Shown, None) => {
                let consent = WalletNotice::Consent {
                    merchant: before.merchant.clone(),
                    amount: charge.amount,
                    items: charge.items.clone(),
                };
                let answer = Answer { paying: before.clone(), before: Some(before), touched: true };
                Step::new(Self::AwaitConsent(payer, answer, travel), [Effect::Show(consent)])
            }
            // The identical bytes again, never a second check (R2, R7). The certificate travels: the card may have moved
            // on to a newer checkpoint, which names the same key.
            (_, Some(_)) if context.broken.has(Break::DebitAgainOnReplay) => {
                let answer = Answer { paying: before.clone(), before: Some(before), touched: true };
                Self::agreed(payer, answer, travel, context)
            }
            (_, Some(check)) => {
                let Some(purse) = load_purse(context.records, before.card) else {
                    return Self::cannot(CannotSpend::NotActive);
                };
                let remaining = check.claimed().remaining;
                let checked = Checked {
                    check,
                    certificate: Some(purse.certificate),
                    raises: (!before.raises.is_empty()).then(|| before.raises.clone()),
                    extensions: Default::default(),
                };
                Step::new(Self::ExpectReceipt(before, remaining), [send(&PayMessage::Checked(checked))])
            }
            _ => Self::refuse(Refusal::UnknownTransaction),
        }
    }

    fn agreed(payer: Payer, answer: Answer, travel: Travel, context: &Context<'_>) -> Next {
        let Some(purse) = load_purse(context.records, answer.paying.card) else {
            return Self::cannot(CannotSpend::NotActive);
        };
        let charge = answer.paying.charge.claimed();
        if context.now >= charge.expires {
            return Self::refuse(Refusal::ChargeExpired);
        }
        match purse.spend(&payer.terms, charge.amount, &answer.paying.counterpart(), context.now) {
            Err(why) => Self::cannot(why),
            Ok(advance) => {
                let tbs = advance.event.tbs(&advance.context);
                let key = SigningKey::Card(answer.paying.card);
                Step::new(Self::SigningCheck(answer, travel, purse, advance), [Effect::Sign { key, tbs }])
            }
        }
    }

    /// Balance down, counter up, the signed bytes and the log's entry: one transaction, before the check leaves.
    fn check_signed(
        answer: Answer,
        travel: Travel,
        purse: &Purse,
        advance: Advance,
        signature: Signature,
        context: &Context<'_>,
    ) -> Next {
        let Some(journal) = Journal::load(context.records) else {
            return Self::end(WalletNotice::Failed(Fault::Storage));
        };
        let hash = advance.event.hash(&advance.context);
        let check = advance.event.sign(signature);
        let transaction = answer.paying.charge.claimed().transaction;
        let paying = Paying {
            state: PayingState::Spent,
            check: Some(check.clone()),
            raises: purse.raises.clone(),
            generation: purse.certificate.claimed().generation,
            ..answer.paying
        };
        let entry = LogEntry {
            terminal: Some(paying.terminal),
            charge: Some(Bytes(paying.charge.payload().to_vec())),
            session: Some(paying.session),
            card: Some(paying.card),
            generation: Some(paying.generation),
            event: Some(check),
            ..LogEntry::new(EntryKind::Spent, context.now, transaction)
        };
        let mut batch = Batch::default();
        batch.replace(purse_key(paying.card), Some(purse.to_bytes()), advance.purse.to_bytes());
        paying.store(answer.before.as_ref(), &mut batch);
        let name = Paying::key(paying.terminal, transaction).name;
        batch.put(Paying::check_key(&hash), name);
        batch.put(Paying::pending_key(paying.terminal), transaction.to_be_bytes().to_vec());
        if let Some(certificate) = &travel.certificate {
            let handle = Certificate::handle(certificate);
            batch.put(RecordKey::new(Space::Certificate, handle.0), certificate.encode());
            batch.put(RecordKey::new(Space::Certificate, paying.terminal.0), certificate.encode());
        }
        if let Some(held) = Untouched::load(context.records) {
            let minor = paying.charge.claimed().amount.minor();
            let used = if answer.touched { 0 } else { held.used.saturating_add(minor) };
            batch.replace(Untouched::key(), Some(held.to_bytes()), Untouched { used, ..held }.to_bytes());
        }
        journal.append(&[entry], &mut batch);
        let certificate = (!travel.known).then(|| purse.certificate.clone());
        if context.broken.has(Break::SendBeforeStore) {
            let mut early = Self::check_stored(paying, certificate);
            early.effects.push(Effect::Store(batch));
            return early;
        }
        Step::new(Self::StoringCheck(paying, certificate), [Effect::Store(batch)])
    }

    fn check_stored(paying: Paying, certificate: Option<Signed<CardCertificate>>) -> Next {
        let Some(check) = paying.check.clone() else {
            return Self::end(WalletNotice::Failed(Fault::Storage));
        };
        let remaining = check.claimed().remaining;
        let raises = (!paying.raises.is_empty()).then(|| paying.raises.clone());
        let checked = Checked { check, certificate, raises, extensions: Default::default() };
        Step::new(Self::ExpectReceipt(paying, remaining), [send(&PayMessage::Checked(checked))])
    }

    /// Break::RefundOnTimeout: the wallet helps itself.
    fn refund_unasked(paying: &Paying, context: &Context<'_>) -> Next {
        let Some(purse) = load_purse(context.records, paying.card) else {
            return Self::end(WalletNotice::Failed(Fault::Storage));
        };
        let minor = paying.charge.claimed().amount.minor();
        let after = Purse { remaining: purse.remaining.saturating_add(minor), ..purse.clone() };
        let mut batch = Batch::default();
        batch.replace(purse_key(paying.card), Some(purse.to_bytes()), after.to_bytes());
        Self::store(batch, WalletNotice::Returning { amount: paying.charge.claimed().amount })
    }

    fn receipted(paying: Paying, remaining: u64, receipt: Signed<Receipt>, context: &Context<'_>) -> Next {
        let verified = paying.check_hash().zip(terminal_key(&paying, context)).and_then(|(check, terminal)| {
            receipt.verify(&terminal.key, &Receipt::context(&check), context.verifier).ok()
        });
        let Some(receipt) = verified.map(Verified::into_signed) else {
            return Self::end(WalletNotice::Refused { why: Refusal::TerminalNotTrusted, spent: true });
        };
        let transaction = paying.charge.claimed().transaction;
        let paid =
            WalletNotice::Paid { merchant: paying.merchant.clone(), amount: paying.charge.claimed().amount, remaining };
        if paying.state != PayingState::Spent {
            return Self::end(paid);
        }
        let Some(journal) = Journal::load(context.records) else {
            return Self::end(WalletNotice::Failed(Fault::Storage));
        };
        let entry = LogEntry {
            terminal: Some(paying.terminal),
            receipt: Some(receipt.clone()),
            ..LogEntry::new(EntryKind::Receipted, context.now, transaction)
        };
        let after = Paying { state: PayingState::Paid, receipt: Some(receipt), ..paying.clone() };
        let mut batch = Batch::default();
        after.store(Some(&paying), &mut batch);
        forget_pending(&paying, context.records, &mut batch);
        journal.append(&[entry], &mut batch);
        Self::store(batch, paid)
    }

    /// The charge ended: the proof is kept, and taken up by [`TakeUp`].
    fn ended(void: Signed<Void>, from: DeviceId, context: &Context<'_>) -> Next {
        let amount = void.claimed().amount;
        let raise = Raise::Void(from, void);
        let Some(paying) = Paying::returned_by(context.records, &raise) else {
            let ended = WalletNotice::Refused { why: Refusal::ChargeExpired, spent: false };
            // Shown or agreed, and never paid: nothing comes back, and the next touch here asks for it no more.
            let unpaid = Paying::pending(context.records, from).filter(|pending| pending.check.is_none());
            let Some(unpaid) = unpaid else {
                return Self::end(ended);
            };
            let mut batch = Batch::default();
            forget_pending(&unpaid, context.records, &mut batch);
            return Self::store(batch, ended);
        };
        let trusted = terminal_key(&paying, context)
            .is_some_and(|terminal| raise.check_by_terminal(&terminal.key, context.verifier).is_ok());
        if !trusted {
            return Self::end(WalletNotice::Refused { why: Refusal::TerminalNotTrusted, spent: true });
        }
        let mut batch = Batch::default();
        if !keep_raise(&paying, raise, context.records, &mut batch) {
            return Self::end(WalletNotice::Failed(Fault::Storage));
        }
        Self::store(batch, WalletNotice::Returning { amount })
    }
}

/// Keeps a raise with its card and marks its payment, so that it is taken up once.
pub(crate) fn keep_raise(paying: &Paying, raise: Raise, records: &dyn Records, batch: &mut Batch) -> bool {
    let Some(purse) = load_purse(records, paying.card) else {
        return false;
    };
    let mut after = purse.clone();
    after.keep(raise);
    batch.replace(purse_key(paying.card), Some(purse.to_bytes()), after.to_bytes());
    let returning = Paying { state: PayingState::Returning, ..paying.clone() };
    returning.store(Some(paying), batch);
    forget_pending(paying, records, batch);
    true
}

fn forget_pending(paying: &Paying, records: &dyn Records, batch: &mut Batch) {
    let pending = Paying::pending(records, paying.terminal);
    if pending.is_some_and(|pending| pending.charge == paying.charge) {
        batch.remove(Paying::pending_key(paying.terminal));
    }
}

/// The certificate of the terminal of a stored payment; it is stored with the first check.
pub(super) fn terminal_key(paying: &Paying, context: &Context<'_>) -> Option<Certificate> {
    terminal_certificate(context.records, paying.terminal).map(|signed| signed.claimed().clone())
}

/// Where a terminal's certificate, once verified, is found by the terminal.
pub fn terminal_certificate(records: &dyn Records, terminal: DeviceId) -> Option<Signed<Certificate>> {
    Signed::decode(&records.get(&RecordKey::new(Space::Certificate, terminal.0))?).ok()
}

/// Whether this certificate is in this role, and its key signed this session's proof (R17).
pub(crate) fn prove(
    anchors: &Anchors,
    role: Role,
    (session, proof): (&Hash, Signature),
    certificate: Signed<Certificate>,
    context: &Context<'_>,
) -> Option<Verified<Certificate>> {
    let terminal = anchors.accept(certificate, role, context.now, context.verifier).ok()?;
    let proof = SessionProof::unsigned(&terminal.key).sign(proof);
    proof.verify(&terminal.key, &SessionProof::context(session), context.verifier).ok()?;
    Some(terminal)
}

impl Talk for WalletPay {
    type Notice = WalletNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(payer), Event::Opened(session)) => Step::new(Self::ExpectProof(payer, session), vec![]),
            (Self::ExpectProof(payer, session), Event::Received(bytes)) => Self::met(payer, session, &bytes, context),
            (Self::ExpectCharge(payer, met), Event::Received(bytes)) => match PayMessage::received(&bytes) {
                Ok(PayMessage::Charged(charged)) => Self::charged(payer, met, charged, context),
                Ok(PayMessage::Ended(void)) => match met.terminal {
                    Some(terminal) => Self::ended(void, terminal.subject.device(), context),
                    None => Self::refuse(Refusal::TerminalNotTrusted),
                },
                Ok(PayMessage::Refused(why)) => Self::end(WalletNotice::Refused { why, spent: false }),
                _ => Self::refuse(Refusal::Malformed),
            },
            (Self::AwaitConsent(payer, answer, travel), Event::Agreed) => Self::agreed(payer, answer, travel, context),
            (Self::AwaitConsent(..), Event::Declined) => Self::refuse(Refusal::Declined),
            // The user may still agree; a second touch pays then, in a session of its own (R5).
            (Self::AwaitConsent(_, answer, travel), Event::Lost) => {
                let (why, spent) = (Refusal::Declined, false);
                let mut batch = Batch::default();
                answer.paying.store(answer.before.as_ref(), &mut batch);
                let transaction = answer.paying.charge.claimed().transaction;
                batch.put(Paying::pending_key(answer.paying.terminal), transaction.to_be_bytes().to_vec());
                if let Some(certificate) = travel.certificate {
                    let handle = Certificate::handle(&certificate);
                    batch.put(RecordKey::new(Space::Certificate, handle.0), certificate.encode());
                    batch.put(RecordKey::new(Space::Certificate, answer.paying.terminal.0), certificate.encode());
                }
                Self::store(batch, WalletNotice::Refused { why, spent })
            }
            (Self::SigningCheck(answer, travel, purse, advance), Event::Signed(signature)) => {
                Self::check_signed(answer, travel, &purse, advance, signature, context)
            }
            // Stored before it leaves (R13): only now.
            (Self::StoringCheck(paying, certificate), Event::Stored) => Self::check_stored(paying, certificate),
            (Self::ExpectReceipt(paying, remaining), Event::Received(bytes)) => match PayMessage::received(&bytes) {
                Ok(PayMessage::Receipt(receipt)) => Self::receipted(paying, remaining, receipt, context),
                Ok(PayMessage::Ended(void)) => Self::ended(void, paying.terminal, context),
                Ok(PayMessage::Refused(Refusal::CertificateNeeded)) => match load_purse(context.records, paying.card) {
                    Some(purse) => Self::check_stored(paying, Some(purse.certificate)),
                    None => Self::end(WalletNotice::Failed(Fault::Storage)),
                },
                // The check is out: only its end, told by terminal or provider, returns the money (R8).
                Ok(PayMessage::Refused(why)) => Self::end(WalletNotice::Refused { why, spent: true }),
                _ => Self::end(WalletNotice::Refused { why: Refusal::Malformed, spent: true }),
            },
            (Self::ExpectReceipt(paying, _), Event::Lost) if context.broken.has(Break::RefundOnTimeout) => {
                Self::refund_unasked(&paying, context)
            }
            (Self::ExpectReceipt(..), Event::Lost) => {
                Self::end(WalletNotice::Refused { why: Refusal::OutOfOrder, spent: true })
            }
            (Self::Storing(notice), Event::Stored) => Self::end(notice),
            (Self::Idle(_) | Self::ExpectProof(..) | Self::ExpectCharge(..), Event::Lost) => {
                Step::new(Self::Over, vec![])
            }
            (Self::SigningCheck(..), Event::Failed(fault)) => {
                let told = send(&PayMessage::Refused(Refusal::OutOfOrder));
                Step::new(Self::Over, [told, Effect::Show(WalletNotice::Failed(fault))])
            }
            (_, Event::Failed(fault)) => Self::end(WalletNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
