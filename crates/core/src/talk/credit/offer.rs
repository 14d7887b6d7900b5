//! The wallet at the counter, paying by credit: it offers by a key made for this payment, sees the price, and stores what the
//! user agreed to. Nothing is charged here: the stored request goes over the user's own line ([`super::CreditPayment`]).

use super::messages::*;
use super::{CreditPaying, PaymentOption, charge_hash};
use crate::id::{DeviceId, Handle, Hash, RequestNumber};
use crate::money::Amount;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::pay::{Charge, Charged, CreditOffered, PayMessage, Refusal, prove, read_proof};
use crate::wire::canonical::Wire;
use crate::wire::certificate::{Anchors, Certificate};
use crate::wire::signed::{PublicKey, Signature, Signed, Unsigned, Verified};
use alloc::{string::String, vec};

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferNotice {
    /// Answer with [`Event::Agreed`] or [`Event::Declined`].
    Consent {
        /// The merchant, as the provider certified it.
        merchant: String,
        /// How much.
        amount: Amount,
        /// What for.
        items: Option<String>,
    },
    /// What the user agreed to is stored; [`super::CreditPayment`] sends it.
    Ready {
        /// Number of the request.
        request: RequestNumber,
    },
    /// No payment: nothing was signed that could charge anything.
    Refused(Refusal),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// With what a wallet pays by credit.
#[derive(Clone, Debug)]
pub struct Buyer {
    /// The wallet.
    pub wallet: DeviceId,
    /// Its own key.
    pub key: PublicKey,
    /// A key made for this payment alone, durable before it is used.
    pub offer_key: PublicKey,
    /// How the user wants to be charged.
    pub option: PaymentOption,
    /// Whom the wallet trusts.
    pub anchors: Anchors,
}

/// A session whose terminal has proven itself, or will with its certificate.
#[derive(Clone, Debug)]
pub struct MetTerminal {
    session: Hash,
    handle: Handle,
    proof: Signature,
    terminal: Option<Verified<Certificate>>,
}

/// A charge that was verified, and the offer that it answers.
#[derive(Clone, Debug)]
pub struct Priced {
    terminal: Verified<Certificate>,
    charge: Signed<Charge>,
    session: Hash,
    offer: Signed<CreditOffer>,
}

impl Priced {
    fn offer_hash(&self) -> Hash {
        CreditOffer::hash(&self.offer, &self.session)
    }
}

/// The wallet's states at the counter.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum CreditTap {
    /// Waits for the session.
    Idle(Buyer),
    /// Waits for the terminal's proof.
    ExpectProof(Buyer, Hash),
    /// Signs the offer.
    SigningOffer(Buyer, MetTerminal, Unsigned<CreditOffer>),
    /// Waits for the charge.
    ExpectCharge(Buyer, MetTerminal, Signed<CreditOffer>),
    /// Waits for the user.
    AwaitConsent(Buyer, Priced),
    /// Signs what the user agreed to, with the offer's key.
    SigningAgreement(Buyer, Priced, Unsigned<Agreement>),
    /// Signs the request, with the device's key.
    SigningRequest(Priced, Unsigned<PaymentRequest>),
    /// Stores both.
    Storing(RequestNumber),
    /// Ended.
    Over,
}

type Next = Step<CreditTap, OfferNotice>;

impl CreditTap {
    /// Touches a terminal with this.
    pub fn new(buyer: Buyer) -> Self {
        Self::Idle(buyer)
    }

    fn end(notice: OfferNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }
    fn refuse(why: Refusal) -> Next {
        let told = Effect::Send(PayMessage::Refused(why).to_bytes());
        Step::new(Self::Over, [told, Effect::Show(OfferNotice::Refused(why))])
    }

    /// The terminal's proof comes first (R17); what answers it names a key that exists for this payment only.
    fn met(buyer: Buyer, session: Hash, bytes: &[u8], context: &Context<'_>) -> Next {
        let Some((handle, proof)) = read_proof(bytes) else {
            return Self::refuse(Refusal::Malformed);
        };
        let mut met = MetTerminal { session, handle, proof, terminal: None };
        let stored = context.records.get(&RecordKey::new(Space::Certificate, handle.0));
        if let Some(certificate) = stored.and_then(|bytes| Signed::decode(&bytes).ok()) {
            met.terminal = prove(&buyer.anchors, &session, proof, certificate, context);
            if met.terminal.is_none() {
                return Self::refuse(Refusal::TerminalNotTrusted);
            }
        }
        let drawn = Hash::of(&[&context.entropy, b"request number".as_slice()].concat());
        let mut request = [0; 16];
        request.copy_from_slice(&drawn.0[..16]);
        let offer = CreditOffer {
            key: buyer.offer_key,
            request: RequestNumber(request),
            provider: buyer.anchors.provider,
            option: buyer.option,
            at: context.now,
            extensions: Default::default(),
        };
        let offer = Unsigned::new(offer, buyer.offer_key.algorithm());
        let tbs = offer.tbs(&CreditOffer::context(&session));
        let sign = Effect::Sign { key: SigningKey::Offer(buyer.offer_key), tbs };
        Step::new(Self::SigningOffer(buyer, met, offer), [sign])
    }

    fn offer(buyer: Buyer, met: MetTerminal, offer: Signed<CreditOffer>) -> Next {
        let unknown = met.terminal.is_none().then_some(true);
        let offered = CreditOffered { offer: offer.clone(), unknown, extensions: Default::default() };
        let send = Effect::Send(PayMessage::Credit(offered).to_bytes());
        Step::new(Self::ExpectCharge(buyer, met, offer), [send])
    }

    /// The price: by a terminal that proved itself, made in this very session (R5), so that an old charge is none.
    fn charged(
        buyer: Buyer,
        met: MetTerminal,
        offer: Signed<CreditOffer>,
        charged: Charged,
        context: &Context<'_>,
    ) -> Next {
        let learned = charged.certificate.filter(|certificate| Certificate::handle(certificate) == met.handle);
        let terminal = met.terminal.or_else(|| prove(&buyer.anchors, &met.session, met.proof, learned?, context));
        let Some(terminal) = terminal else {
            return Self::refuse(Refusal::TerminalNotTrusted);
        };
        let session = met.session;
        if charged.session.is_some_and(|named| named != session) {
            return Self::refuse(Refusal::UnknownTransaction);
        }
        let signed_in = Charge::context(&session, terminal.subject.device());
        let Ok(charge) = charged.charge.verify(&terminal.key, &signed_in, context.verifier) else {
            return Self::refuse(Refusal::TerminalNotTrusted);
        };
        if context.now >= charge.expires {
            return Self::refuse(Refusal::ChargeExpired);
        }
        let consent = OfferNotice::Consent {
            merchant: terminal.name.clone().unwrap_or_default(),
            amount: charge.amount,
            items: charge.items.clone(),
        };
        let priced = Priced { terminal, charge: charge.into_signed(), session, offer };
        Step::new(Self::AwaitConsent(buyer, priced), [Effect::Show(consent)])
    }

    fn agreed(buyer: Buyer, priced: Priced, context: &Context<'_>) -> Next {
        let charge = priced.charge.claimed();
        if context.now >= charge.expires {
            return Self::end(OfferNotice::Refused(Refusal::ChargeExpired));
        }
        let machine = priced.terminal.subject.device();
        let agreement = Agreement {
            machine,
            charge: charge_hash(&priced.charge, &priced.session, machine),
            transaction: charge.transaction,
            amount: charge.amount,
            extensions: Default::default(),
        };
        let agreement = Unsigned::new(agreement, buyer.offer_key.algorithm());
        let tbs = agreement.tbs(&Agreement::context(&priced.offer_hash()));
        let sign = Effect::Sign { key: SigningKey::Offer(buyer.offer_key), tbs };
        Step::new(Self::SigningAgreement(buyer, priced, agreement), [sign])
    }

    fn agreement_signed(buyer: &Buyer, priced: Priced, agreement: Signed<Agreement>, context: &Context<'_>) -> Next {
        let request = PaymentRequest {
            wallet: buyer.wallet,
            offer: priced.offer.clone(),
            session: priced.session,
            agreement,
            at: context.now,
            extensions: Default::default(),
        };
        let request = Unsigned::new(request, buyer.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: request.tbs(&[]) };
        Step::new(Self::SigningRequest(priced, request), [sign])
    }

    /// Agreement and request become durable together, before either can leave (R13).
    fn request_signed(priced: Priced, request: Signed<PaymentRequest>) -> Next {
        let terminal = priced.terminal.subject.device();
        let paying = CreditPaying {
            state: CreditState::Waiting,
            terminal,
            merchant: priced.terminal.name.clone().unwrap_or_default(),
            charge: priced.charge,
            session: priced.session,
            request,
            why: None,
            told: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        paying.store(None, &mut batch);
        let certificate = priced.terminal.signed();
        let handle = Certificate::handle(certificate);
        batch.put(RecordKey::new(Space::Certificate, handle.0), certificate.encode());
        batch.put(RecordKey::new(Space::Certificate, terminal.0), certificate.encode());
        Step::new(Self::Storing(paying.number()), [Effect::Store(batch)])
    }
}

impl Talk for CreditTap {
    type Notice = OfferNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Idle(buyer), Event::Opened(session)) => Step::new(Self::ExpectProof(buyer, session), vec![]),
            (Self::ExpectProof(buyer, session), Event::Received(bytes)) => Self::met(buyer, session, &bytes, context),
            (Self::SigningOffer(buyer, met, offer), Event::Signed(signature)) => {
                Self::offer(buyer, met, offer.sign(signature))
            }
            (Self::ExpectCharge(buyer, met, offer), Event::Received(bytes)) => match PayMessage::received(&bytes) {
                Ok(PayMessage::Charged(charged)) => Self::charged(buyer, met, offer, charged, context),
                Ok(PayMessage::Refused(why)) => Self::end(OfferNotice::Refused(why)),
                _ => Self::refuse(Refusal::Malformed),
            },
            (Self::AwaitConsent(buyer, priced), Event::Agreed) => Self::agreed(buyer, priced, context),
            (Self::AwaitConsent(..), Event::Declined) => Self::refuse(Refusal::Declined),
            (Self::SigningAgreement(buyer, priced, agreement), Event::Signed(signature)) => {
                Self::agreement_signed(&buyer, priced, agreement.sign(signature), context)
            }
            (Self::SigningRequest(priced, request), Event::Signed(signature)) => {
                Self::request_signed(priced, request.sign(signature))
            }
            (Self::Storing(request), Event::Stored) => Self::end(OfferNotice::Ready { request }),
            // Cut off before the price: nothing was shown, nothing is owed. After it, the link is needed no more.
            (Self::Idle(_) | Self::ExpectProof(..) | Self::SigningOffer(..) | Self::ExpectCharge(..), Event::Lost) => {
                Step::new(Self::Over, vec![])
            }
            (_, Event::Failed(fault)) => Self::end(OfferNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
