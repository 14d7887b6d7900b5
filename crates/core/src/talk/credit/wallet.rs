//! The user's side of a payment by credit: at the counter it offers, sees the price and agrees; then it asks the provider, over
//! its own line, with the same bytes until it is known (R26).
//!
//! At the counter nothing names the user: the offer's key is made for this one payment (R17). The request is stored before the
//! counter is left, and sent after.

use super::PaymentOption;
use super::matching::CreditRefusal;
use super::messages::*;
use super::processor::Audience;
use crate::id::{DeviceId, Hash, RequestNumber};
use crate::message;
use crate::money::Amount;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::pay::{Charge, CreditOffered, PayMessage, Refusal, prove};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, read_reply};
use crate::wire::canonical::Wire;
use crate::wire::certificate::{Anchors, Certificate, Role};
use crate::wire::sealed::Sealed;
use crate::wire::signed::{PublicKey, Signature, Signed, Unsigned, Verified};
use alloc::{string::String, vec, vec::Vec};

message! {
    /// A payment by credit as the wallet keeps it.
    pub struct Credited {
        /// How it stands, as the provider last said.
        1 state: CreditState,
        /// Why it ended without a payment.
        2 why: Option<CreditRefusal>,
        /// The accounting machine.
        3 machine: DeviceId,
        /// The merchant's name as the terminal's certificate has it.
        4 merchant: String,
        /// The charge.
        5 charge: Signed<Charge>,
        /// The request as sent.
        6 request: Signed<PaymentRequest>,
        /// The receipt \[8421\]; first without the merchant's part, then with it.
        7 receipt: Option<Signed<UserReceipt>>,
    }
}

impl Credited {
    /// Where it is stored.
    pub fn key(request: RequestNumber) -> RecordKey {
        RecordKey::new(Space::Receipt, request.0)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, request: RequestNumber) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(request))?).ok()
    }
    /// Whether a receipt is for this payment: the charge that the user agreed to, one clearing, for the user's eyes; and the
    /// merchant's part, where it is there, of the same.
    pub fn is_answered_by(&self, receipt: &UserReceipt) -> bool {
        let (charge, information) = (self.charge.claimed(), receipt.information.claimed());
        let paid = (charge.amount, charge.transaction);
        let sale = |sale: &MerchantReceipt| {
            let said = sale.charge.claimed();
            (sale.machine, sale.session) == (self.machine, self.request.claimed().session)
                && (sale.clearing, said.amount, said.transaction) == (information.clearing, paid.0, paid.1)
        };
        information.audience == Audience::User
            && (information.amount, information.transaction) == paid
            && receipt.receipt.as_ref().is_none_or(|receipt| sale(receipt.claimed()))
    }
    /// How it ended, if nothing more will be heard of it but a receipt.
    fn ended(&self) -> Option<CreditNotice> {
        match self.state {
            CreditState::Cleared => Some(CreditNotice::Cleared),
            CreditState::Refused => Some(CreditNotice::Ended(self.why.unwrap_or(CreditRefusal::Closed))),
            _ => None,
        }
    }
    /// Takes up a receipt: one with the merchant's part stands for good (R23).
    pub fn receive(&mut self, receipt: Signed<UserReceipt>) {
        let whole = |receipt: &Signed<UserReceipt>| receipt.claimed().receipt.is_some();
        if self.receipt.as_ref().is_none_or(|held| whole(&receipt) && !whole(held)) {
            self.receipt = Some(receipt);
        }
        self.state = CreditState::Cleared;
        self.why = None;
    }
}

/// With what a wallet pays by credit.
#[derive(Clone, Debug)]
pub struct CreditPayer {
    /// The wallet.
    pub wallet: DeviceId,
    /// Its key.
    pub wallet_key: PublicKey,
    /// The key made for this payment; durable before it is used.
    pub key: PublicKey,
    /// The number of this request; random.
    pub request: RequestNumber,
    /// How the user wants to be charged.
    pub option: PaymentOption,
    /// Whom it trusts.
    pub anchors: Anchors,
}

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreditNotice {
    /// Answer with [`Event::Agreed`] or [`Event::Declined`].
    Consent {
        /// The merchant, as the provider certified it.
        merchant: String,
        /// How much.
        amount: Amount,
        /// What for.
        items: Option<String>,
    },
    /// The request is stored: ask the provider.
    Ready(RequestNumber),
    /// It is not known yet. Ask again after so many seconds.
    Waiting {
        /// Seconds.
        again: u64,
    },
    /// Authorized, or registered.
    Authorized,
    /// The merchant was paid.
    Cleared,
    /// It ended without a payment.
    Ended(CreditRefusal),
    /// At the counter one side said no; nothing was asked for.
    Refused(Refusal),
    /// The provider does not take this request at all.
    NotAllowed(Refused),
    /// There is no such payment.
    Unknown,
    /// The answer is not the provider's, or not to this request.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// The session at the counter, and who is behind it.
#[derive(Clone, Debug)]
pub struct Counter {
    session: Hash,
    handle: crate::id::Handle,
    proof: Signature,
    terminal: Option<Verified<Certificate>>,
    offer: Option<Signed<CreditOffer>>,
}

/// What the user is asked to agree to.
#[derive(Clone, Debug)]
pub struct Shown {
    session: Hash,
    offer: Signed<CreditOffer>,
    machine: DeviceId,
    merchant: String,
    charge: Verified<Charge>,
    /// The terminal's certificate, just learned: stored with the request.
    learned: Option<Signed<Certificate>>,
}

/// The wallet at the counter.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum CreditPay {
    /// Waits for the session.
    Idle(CreditPayer),
    /// Waits for the terminal's proof.
    ExpectProof(CreditPayer, Hash),
    /// Signs the offer.
    SigningOffer(CreditPayer, Counter, Unsigned<CreditOffer>),
    /// Waits for the price.
    ExpectCharge(CreditPayer, Counter),
    /// Waits for the user.
    AwaitConsent(CreditPayer, Shown),
    /// Signs what the user agreed to, by the offer's key.
    SigningAgreement(CreditPayer, Shown, Unsigned<Agreement>),
    /// Signs the request, by the wallet's.
    SigningRequest(CreditPayer, Shown, Unsigned<PaymentRequest>),
    /// Stores the request.
    Storing(RequestNumber),
    /// Ended.
    Over,
}

type Next = Step<CreditPay, CreditNotice>;

impl CreditPay {
    /// Touches a terminal to pay by credit.
    pub fn new(payer: CreditPayer) -> Self {
        Self::Idle(payer)
    }
    fn refuse(why: Refusal) -> Next {
        let told = Effect::Send(PayMessage::Refused(why).to_bytes());
        Step::new(Self::Over, [told, Effect::Show(CreditNotice::Refused(why))])
    }
    fn over(notice: CreditNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    /// The terminal has proven itself, or will with its certificate: only then does the wallet say anything (R17).
    fn met(payer: CreditPayer, session: Hash, bytes: &[u8], context: &Context<'_>) -> Next {
        let (Some(handle), Some(proof)) = (bytes.first_chunk::<8>(), bytes.get(8..).and_then(|s| s.try_into().ok()))
        else {
            return Self::refuse(Refusal::Malformed);
        };
        let (handle, proof) = (crate::id::Handle(*handle), Signature(proof));
        let mut counter = Counter { session, handle, proof, terminal: None, offer: None };
        let stored = context.records.get(&RecordKey::new(Space::Certificate, handle.0));
        if let Some(certificate) = stored.and_then(|bytes| Signed::decode(&bytes).ok()) {
            match prove(&payer.anchors, Role::Terminal, (&session, proof), certificate, context) {
                Some(terminal) => counter.terminal = Some(terminal),
                None => return Self::refuse(Refusal::TerminalNotTrusted),
            }
        }
        let offer = CreditOffer {
            key: payer.key,
            request: payer.request,
            provider: payer.anchors.provider,
            option: payer.option,
            at: context.now,
            extensions: Default::default(),
        };
        let offer = Unsigned::new(offer, payer.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Offer(payer.key), tbs: offer.tbs(&CreditOffer::context(&session)) };
        Step::new(Self::SigningOffer(payer, counter, offer), [sign])
    }

    fn offer(payer: CreditPayer, counter: Counter, offer: Signed<CreditOffer>) -> Next {
        let unknown = counter.terminal.is_none().then_some(true);
        let told = CreditOffered { offer: offer.clone(), unknown, extensions: Default::default() };
        let counter = Counter { offer: Some(offer), ..counter };
        Step::new(Self::ExpectCharge(payer, counter), [Effect::Send(PayMessage::Credit(told).to_bytes())])
    }

    /// The price: by this terminal, in this session, for nothing else (R5).
    fn charged(
        payer: CreditPayer,
        counter: Counter,
        charged: crate::talk::pay::Charged,
        context: &Context<'_>,
    ) -> Next {
        let Counter { session, handle, proof, mut terminal, offer } = counter;
        let mut learned = None;
        if let (None, Some(certificate)) = (&terminal, charged.certificate) {
            if Certificate::handle(&certificate) != handle {
                return Self::refuse(Refusal::TerminalNotTrusted);
            }
            learned = Some(certificate.clone());
            terminal = prove(&payer.anchors, Role::Terminal, (&session, proof), certificate, context);
        }
        let (Some(terminal), Some(offer), None) = (terminal, offer, charged.session) else {
            return Self::refuse(Refusal::TerminalNotTrusted);
        };
        let machine = terminal.subject.device();
        let by_terminal = Charge::context(&session, machine);
        let Ok(charge) = charged.charge.verify(&terminal.key, &by_terminal, context.verifier) else {
            return Self::refuse(Refusal::TerminalNotTrusted);
        };
        if context.now >= charge.expires {
            return Self::refuse(Refusal::ChargeExpired);
        }
        let merchant = terminal.name.clone().unwrap_or_default();
        let (amount, items) = (charge.amount, charge.items.clone());
        let consent = CreditNotice::Consent { merchant: merchant.clone(), amount, items };
        let shown = Shown { session, offer, machine, merchant, charge, learned };
        Step::new(Self::AwaitConsent(payer, shown), [Effect::Show(consent)])
    }

    fn agreed(payer: CreditPayer, shown: Shown, context: &Context<'_>) -> Next {
        // The provider would say so too; here nothing is signed for it.
        if context.now >= shown.charge.expires {
            return Self::over(CreditNotice::Refused(Refusal::ChargeExpired));
        }
        let agreement = Agreement {
            machine: shown.machine,
            charge: Charge::named(&shown.session, shown.machine, shown.charge.signed().payload()),
            transaction: shown.charge.transaction,
            amount: shown.charge.amount,
            extensions: Default::default(),
        };
        let agreement = Unsigned::new(agreement, payer.key.algorithm());
        let offer = Agreement::context(&CreditOffer::hash(&shown.offer, &shown.session));
        let sign = Effect::Sign { key: SigningKey::Offer(payer.key), tbs: agreement.tbs(&offer) };
        Step::new(Self::SigningAgreement(payer, shown, agreement), [sign])
    }

    fn request(payer: CreditPayer, shown: Shown, agreement: Signed<Agreement>, context: &Context<'_>) -> Next {
        let request = PaymentRequest {
            wallet: payer.wallet,
            offer: shown.offer.clone(),
            session: shown.session,
            agreement,
            at: context.now,
            extensions: Default::default(),
        };
        let request = Unsigned::new(request, payer.wallet_key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
        Step::new(Self::SigningRequest(payer, shown, request), [sign])
    }

    fn keep(payer: &CreditPayer, shown: Shown, request: Signed<PaymentRequest>) -> Next {
        let record = Credited {
            state: CreditState::Waiting,
            why: None,
            machine: shown.machine,
            merchant: shown.merchant,
            charge: shown.charge.into_signed(),
            request,
            receipt: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.replace(Credited::key(payer.request), None, record.to_bytes());
        if let Some(certificate) = shown.learned {
            let handle = Certificate::handle(&certificate);
            batch.put(RecordKey::new(Space::Certificate, handle.0), certificate.encode());
            batch.put(RecordKey::new(Space::Certificate, shown.machine.0), certificate.encode());
        }
        Step::new(Self::Storing(payer.request), [Effect::Store(batch)])
    }
}

impl Talk for CreditPay {
    type Notice = CreditNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(payer), Event::Opened(session)) => Step::new(Self::ExpectProof(payer, session), vec![]),
            (Self::ExpectProof(payer, session), Event::Received(bytes)) => Self::met(payer, session, &bytes, context),
            (Self::SigningOffer(payer, counter, offer), Event::Signed(signature)) => {
                Self::offer(payer, counter, offer.sign(signature))
            }
            (Self::ExpectCharge(payer, counter), Event::Received(bytes)) => match PayMessage::received(&bytes) {
                Ok(PayMessage::Charged(charged)) => Self::charged(payer, counter, charged, context),
                Ok(PayMessage::Refused(why)) => Self::over(CreditNotice::Refused(why)),
                _ => Self::refuse(Refusal::Malformed),
            },
            (Self::AwaitConsent(payer, shown), Event::Agreed) => Self::agreed(payer, shown, context),
            (Self::AwaitConsent(..), Event::Declined) => Self::refuse(Refusal::Declined),
            // The terminal is not needed any more: it asks by its own line.
            (state @ Self::AwaitConsent(..), Event::Lost) => Step::new(state, vec![]),
            (Self::SigningAgreement(payer, shown, agreement), Event::Signed(signature)) => {
                Self::request(payer, shown, agreement.sign(signature), context)
            }
            (Self::SigningRequest(payer, shown, request), Event::Signed(signature)) => {
                Self::keep(&payer, shown, request.sign(signature))
            }
            // Stored before it is sent.
            (Self::Storing(request), Event::Stored) => Self::over(CreditNotice::Ready(request)),
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(CreditNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}

/// What a wallet asks its provider for.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum CreditAsk {
    /// How the payment of this number stands.
    Payment(RequestNumber, Anchors),
    /// That this bank card is registered, which is sealed to the processor.
    Register(Sealed, DeviceId, PublicKey, Anchors),
    /// Signs the registration.
    Signing(Unsigned<RegisterCard>, Anchors),
    /// Stores the registration before it is sent.
    StoringRequest(Signed<RegisterCard>, Anchors),
    /// Waits for the answer to the request of this hash.
    Expect(Option<RequestNumber>, Hash, Anchors),
    /// Stores the answer.
    Storing(CreditNotice),
    /// Ended.
    Over,
}

/// Where the registration that is not answered yet is stored.
fn registration() -> RecordKey {
    RecordKey::new(Space::Request, *b"register card")
}

impl CreditAsk {
    /// The registration that was not answered yet, sent again as it is.
    pub fn registering(records: &dyn Records) -> Option<Signed<RegisterCard>> {
        Signed::decode(&records.get(&registration())?).ok()
    }
    fn over(notice: CreditNotice) -> Step<Self, CreditNotice> {
        Step::new(Self::Over, [Effect::Show(notice)])
    }
    fn register(
        sealed: Sealed,
        wallet: DeviceId,
        key: &PublicKey,
        anchors: Anchors,
        context: &Context<'_>,
    ) -> Step<Self, CreditNotice> {
        let request = RegisterCard { wallet, card: sealed, at: context.now, extensions: Default::default() };
        let request = Unsigned::new(request, key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
        Step::new(Self::Signing(request, anchors), [sign])
    }

    fn answered(
        number: Option<RequestNumber>,
        hash: &Hash,
        anchors: &Anchors,
        bytes: &[u8],
        context: &Context<'_>,
    ) -> Step<Self, CreditNotice> {
        let answer = match read_reply::<CreditAnswer>(bytes, hash, anchors, context) {
            Some(Answered::Reply(answer)) => answer,
            Some(Answered::Refused(refused)) => return Self::over(CreditNotice::NotAllowed(refused)),
            None => return Self::over(CreditNotice::NotTrusted),
        };
        let notice = match (answer.state, answer.why) {
            // An answer that leaves out why ends it as well.
            (CreditState::Refused, why) => CreditNotice::Ended(why.unwrap_or(CreditRefusal::Closed)),
            (CreditState::Authorized, _) => CreditNotice::Authorized,
            (CreditState::Cleared, _) => CreditNotice::Cleared,
            _ => return Self::over(CreditNotice::Waiting { again: answer.again.unwrap_or(1) }),
        };
        let mut batch = Batch::default();
        match number {
            None => batch.remove(registration()),
            Some(number) => {
                let Some(before) = Credited::load(context.records, number) else {
                    return Self::over(CreditNotice::Unknown);
                };
                // It has ended, by an answer or a receipt: nothing that comes later says otherwise.
                if let Some(ended) = before.ended() {
                    return Self::over(ended);
                }
                let after = Credited { state: answer.state, why: answer.why, ..before.clone() };
                batch.replace(Credited::key(number), Some(before.to_bytes()), after.to_bytes());
            }
        }
        Step::new(Self::Storing(notice), [Effect::Store(batch)])
    }
}

impl Talk for CreditAsk {
    type Notice = CreditNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Step<Self, CreditNotice> {
        match (self, event) {
            (Self::Payment(number, anchors), Event::Tick) => match Credited::load(context.records, number) {
                // Known: it is not asked for again.
                Some(record) if record.ended().is_some() => Self::over(record.ended().unwrap_or(CreditNotice::Unknown)),
                Some(record) => {
                    let (hash, bytes) = (record.request.hash(&[]), record.request.encode());
                    Step::new(Self::Expect(Some(number), hash, anchors), [Effect::Send(bytes)])
                }
                None => Self::over(CreditNotice::Unknown),
            },
            (Self::Register(sealed, wallet, key, anchors), Event::Tick) => {
                Self::register(sealed, wallet, &key, anchors, context)
            }
            (Self::Signing(request, anchors), Event::Signed(signature)) => {
                let request = request.sign(signature);
                let mut batch = Batch::default();
                batch.put(registration(), request.encode());
                Step::new(Self::StoringRequest(request, anchors), [Effect::Store(batch)])
            }
            // A stored one, sent again; or one just stored.
            (Self::StoringRequest(request, anchors), Event::Stored | Event::Tick) => {
                let (hash, bytes): (Hash, Vec<u8>) = (request.hash(&[]), request.encode());
                Step::new(Self::Expect(None, hash, anchors), [Effect::Send(bytes)])
            }
            (Self::Expect(number, hash, anchors), Event::Received(bytes)) => {
                Self::answered(number, &hash, &anchors, &bytes, context)
            }
            (Self::Storing(notice), Event::Stored) => Self::over(notice),
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(CreditNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
