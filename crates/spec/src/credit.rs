//! Honest messages about credit: one payment between wallet, merchant, provider and processor.

use crate::keys::{Who, ed};
use crate::samples::{Forms, MERCHANT, NOW, PROVIDER, SESSION, SIGNER, Sealed, TERMINAL, WALLET, by, charge, usd};
use tegata_core::talk::credit::*;
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::talk::pay::{Charge, Claim, ClaimState, CreditOffered};
use tegata_core::wire::canonical::{Bytes, Extensions, Wire};
use tegata_core::wire::certificate::SealingKey;
use tegata_core::wire::signed::Signed;
use tegata_core::{AccountId, ClearingNumber, CustomerNumber, Hash, PartyId, RequestNumber, Time};

/// The processor.
pub const PROCESSOR: PartyId = PartyId([0x9c; 16]);
const USER: AccountId = AccountId([0xa5; 16]);
const SHOP: AccountId = AccountId([0xa3; 16]);
const CLEARING: ClearingNumber = ClearingNumber([0xc7; 16]);
const AUTHORIZED: RequestNumber = RequestNumber([0x61; 16]);
const NUMBER: RequestNumber = RequestNumber([0x62; 16]);

fn none() -> Extensions {
    Extensions::default()
}

/// What a processor publishes.
#[allow(non_snake_case)] // named like the message
pub fn ProcessorInfo() -> Forms<ProcessorInfo> {
    let (name, sealing) = ("Clearing House".into(), SealingKey([0x5b; 32]));
    let info = ProcessorInfo { processor: PROCESSOR, name, key: ed(Who::Processor), sealing, extensions: none() };
    vec![("usual", info)]
}
/// A card.
#[allow(non_snake_case)] // named like the message
pub fn CardDetails() -> Forms<CardDetails> {
    let card = |digits: &[u8]| CardDetails {
        number: CardNumber::new(digits).expect("12 to 19 digits"),
        expiry: CardExpiry::new(29, 12).expect("a month"),
        provider: PROVIDER,
        extensions: none(),
    };
    vec![("usual", card(b"4111111111111111")), ("of 12 digits", card(b"411111111113"))]
}
/// A merchant.
#[allow(non_snake_case)] // named like the message
pub fn MerchantDetails() -> Forms<MerchantDetails> {
    let name = "CAFE TEGATA TOKYO JP".into();
    vec![("usual", MerchantDetails { code: "TEGATA CAFE".into(), category: 5814, name, extensions: none() })]
}
/// Requests to hold.
#[allow(non_snake_case)] // named like the message
pub fn Authorize() -> Forms<Authorize> {
    let all = Authorize {
        provider: PROVIDER,
        number: AUTHORIZED,
        at: Time(NOW),
        user: USER,
        merchant: SHOP,
        amount: usd(4_550),
        option: PaymentOption::Once,
        transaction: 17,
        machine: TERMINAL,
        partial: false,
        extensions: none(),
    };
    let part = Authorize { option: PaymentOption::Instalments(6), partial: true, ..all.clone() };
    let bonus = Authorize { option: PaymentOption::Bonus, ..all.clone() };
    vec![("usual", all), ("in instalments, a part is welcome", part), ("with the next bonus", bonus)]
}
/// A request to take.
#[allow(non_snake_case)] // named like the message
pub fn Clear() -> Forms<Clear> {
    let (at, amount) = (Time(NOW), usd(4_550));
    let body = Clear { provider: PROVIDER, number: NUMBER, at, authorization: AUTHORIZED, amount, extensions: none() };
    vec![("usual", body)]
}
/// A request to let go.
#[allow(non_snake_case)] // named like the message
pub fn VoidAuthorization() -> Forms<VoidAuthorization> {
    let (number, at, authorization) = (NUMBER, Time(NOW), AUTHORIZED);
    vec![("usual", VoidAuthorization { provider: PROVIDER, number, at, authorization, extensions: none() })]
}
/// A request to pay back.
#[allow(non_snake_case)] // named like the message
pub fn Refund() -> Forms<Refund> {
    let (number, at, clearing) = (NUMBER, Time(NOW), CLEARING);
    vec![("usual", Refund { provider: PROVIDER, number, at, clearing, amount: usd(1_000), extensions: none() })]
}
/// A question.
#[allow(non_snake_case)] // named like the message
pub fn Query() -> Forms<Query> {
    vec![("usual", Query { provider: PROVIDER, number: NUMBER, at: Time(NOW), about: AUTHORIZED, extensions: none() })]
}
/// Requests for accounts.
#[allow(non_snake_case)] // named like the message
pub fn OpenAccount() -> Forms<OpenAccount> {
    let user = OpenAccount {
        provider: PROVIDER,
        number: NUMBER,
        at: Time(NOW),
        card: Some(tegata_core::wire::sealed::Sealed { addressee: PROCESSOR, ..Sealed()[0].1.clone() }),
        merchant: None,
        extensions: none(),
    };
    let merchant = OpenAccount { card: None, merchant: Some(MerchantDetails()[0].1.clone()), ..user.clone() };
    vec![("a user's", user), ("a merchant's", merchant)]
}
fn outcome(state: OutcomeState) -> Outcome {
    Outcome {
        processor: PROCESSOR,
        number: NUMBER,
        at: Time(NOW),
        state,
        about: None,
        account: None,
        amount: None,
        reason: None,
        answer: None,
        extensions: none(),
    }
}
/// Answers.
#[allow(non_snake_case)] // named like the message
pub fn Outcome() -> Forms<Outcome> {
    vec![
        ("an account", Outcome { account: Some(USER), ..outcome(OutcomeState::Opened) }),
        ("approved", Outcome { amount: Some(usd(4_550)), ..outcome(OutcomeState::Approved) }),
        ("declined", Outcome { reason: Some(DeclineReason::Funds), ..outcome(OutcomeState::Declined) }),
        ("unknown", outcome(OutcomeState::Unknown)),
        (
            "to a query",
            Outcome {
                about: Some(AUTHORIZED),
                amount: Some(usd(4_550)),
                answer: Some(Bytes(vec![0x84, 0])),
                ..outcome(OutcomeState::Cleared)
            },
        ),
    ]
}
/// What the three hear.
#[allow(non_snake_case)] // named like the message
pub fn ClearingInformation() -> Forms<ClearingInformation> {
    let provider = ClearingInformation {
        audience: Audience::Provider,
        clearing: CLEARING,
        amount: usd(4_550),
        transaction: 17,
        account: None,
        option: Some(PaymentOption::Once),
        name: None,
        reference: Some("000000000042".into()),
        processor: PROCESSOR,
        at: Time(NOW),
        extensions: none(),
    };
    let merchant = ClearingInformation {
        audience: Audience::Merchant,
        account: Some(SHOP),
        option: None,
        reference: None,
        ..provider.clone()
    };
    let user = ClearingInformation {
        audience: Audience::User,
        account: Some(USER),
        name: Some("CAFE TEGATA TOKYO JP".into()),
        reference: None,
        ..provider.clone()
    };
    vec![("for the provider", provider), ("for the merchant", merchant), ("for the user", user)]
}
/// The clearing completion notification.
#[allow(non_snake_case)] // named like the message
pub fn ClearingCompletion() -> Forms<ClearingCompletion> {
    let told = |at: usize| by(Who::Processor, &[], ClearingInformation()[at].1.clone());
    let body = ClearingCompletion {
        clearing: CLEARING,
        user: USER,
        number: NUMBER,
        amount: usd(4_550),
        option: PaymentOption::Once,
        merchant: SHOP,
        transaction: 17,
        for_provider: told(0),
        for_merchant: told(1),
        for_user: told(2),
        processor: PROCESSOR,
        at: Time(NOW),
        extensions: none(),
    };
    vec![("usual", body)]
}
/// A refusal.
#[allow(non_snake_case)] // named like the message
pub fn ProcessorRefused() -> Forms<ProcessorRefused> {
    let why = ProcessorRefusal::Mismatch;
    vec![("usual", ProcessorRefused { processor: PROCESSOR, why, at: Time(NOW), extensions: none() })]
}

const OFFERED: RequestNumber = RequestNumber([0x0f; 16]);

/// The offer, signed by its own key: here the card's.
fn signed_offer() -> Signed<CreditOffer> {
    by(Who::Card, &CreditOffer::context(&SESSION), CreditOffer()[0].1.clone())
}
fn signed_charge() -> Signed<Charge> {
    by(Who::Terminal, &Charge::context(&SESSION, TERMINAL), charge())
}
fn told(audience: usize) -> Signed<ClearingInformation> {
    by(Who::Processor, &[], ClearingInformation()[audience].1.clone())
}
/// The hash of the offer.
pub fn offer_hash() -> Hash {
    CreditOffer::hash(&signed_offer(), &SESSION)
}
/// Offers to pay by credit.
#[allow(non_snake_case)] // named like the message
pub fn CreditOffer() -> Forms<CreditOffer> {
    let once = CreditOffer {
        key: ed(Who::Card),
        request: OFFERED,
        provider: PROVIDER,
        option: PaymentOption::Once,
        at: Time(NOW),
        extensions: none(),
    };
    vec![("usual", once.clone()), ("in instalments", CreditOffer { option: PaymentOption::Instalments(12), ..once })]
}
/// What a user agrees to.
#[allow(non_snake_case)] // named like the message
pub fn Agreement() -> Forms<Agreement> {
    let charge = Charge::named(&SESSION, TERMINAL, signed_charge().payload());
    let agreement = Agreement { machine: TERMINAL, charge, transaction: 17, amount: usd(4_550), extensions: none() };
    vec![("usual", agreement)]
}
/// The merchant's line.
#[allow(non_snake_case)] // named like the message
pub fn AuthorizationRequest() -> Forms<AuthorizationRequest> {
    let request = AuthorizationRequest {
        machine: TERMINAL,
        merchant: MERCHANT,
        offer: signed_offer(),
        charge: signed_charge(),
        session: SESSION,
        at: Time(NOW),
        extensions: none(),
    };
    vec![("usual", request)]
}
/// The user's line.
#[allow(non_snake_case)] // named like the message
pub fn PaymentRequest() -> Forms<PaymentRequest> {
    let request = PaymentRequest {
        wallet: WALLET,
        offer: signed_offer(),
        session: SESSION,
        agreement: by(Who::Card, &Agreement::context(&offer_hash()), Agreement()[0].1.clone()),
        at: Time(NOW),
        extensions: none(),
    };
    vec![("usual", request)]
}
/// How it stands.
#[allow(non_snake_case)] // named like the message
pub fn CreditAnswer() -> Forms<CreditAnswer> {
    let waits = CreditAnswer {
        state: CreditState::Waiting,
        why: None,
        again: Some(1),
        at: Time(NOW),
        signer: SIGNER,
        extensions: none(),
    };
    let differs =
        CreditAnswer { state: CreditState::Refused, why: Some(CreditRefusal::Mismatch), again: None, ..waits.clone() };
    vec![("waits", waits), ("refused", differs)]
}
/// The merchant takes what was authorized.
#[allow(non_snake_case)] // named like the message
pub fn ClearingRequest() -> Forms<ClearingRequest> {
    let Agreement { charge, transaction, amount, .. } = Agreement()[0].1.clone();
    let request = ClearingRequest {
        machine: TERMINAL,
        merchant: MERCHANT,
        offer: offer_hash(),
        request: OFFERED,
        charge,
        transaction,
        amount,
        option: PaymentOption::Once,
        at: Time(NOW),
        extensions: none(),
    };
    vec![("usual", request)]
}
/// It was cleared, told to the merchant.
#[allow(non_snake_case)] // named like the message
pub fn ClearingNotification() -> Forms<ClearingNotification> {
    let told = ClearingNotification {
        clearing: CLEARING,
        information: told(1),
        customer: CustomerNumber([0xc5; 16]),
        request: by(Who::Terminal, &[], ClearingRequest()[0].1.clone()),
        service: None,
        provider: PROVIDER,
        at: Time(NOW),
        signer: SIGNER,
        extensions: none(),
    };
    let more = ClearingNotification { service: Some("Thank you".into()), ..told.clone() };
    vec![("usual", told), ("with a word of the provider", more)]
}
/// The merchant's receipt.
#[allow(non_snake_case)] // named like the message
pub fn MerchantReceipt() -> Forms<MerchantReceipt> {
    let receipt = MerchantReceipt {
        item: "bread".into(),
        sales: None,
        clearing: CLEARING,
        charge: signed_charge(),
        session: SESSION,
        offer: signed_offer(),
        machine: TERMINAL,
        merchant: MERCHANT,
        at: Time(NOW),
        extensions: none(),
    };
    let more = MerchantReceipt { sales: Some("Fresh again tomorrow".into()), ..receipt.clone() };
    vec![("usual", receipt), ("with sales information", more)]
}
/// The user's receipt.
#[allow(non_snake_case)] // named like the message
pub fn UserReceipt() -> Forms<UserReceipt> {
    let early = UserReceipt {
        user: WALLET,
        receipt: None,
        information: told(2),
        service: None,
        provider: PROVIDER,
        at: Time(NOW),
        signer: SIGNER,
        request: OFFERED,
        extensions: none(),
    };
    let merchants = by(Who::Terminal, &[], MerchantReceipt()[0].1.clone());
    let whole = UserReceipt { receipt: Some(merchants), ..early.clone() };
    vec![("at once", early), ("with the merchant's", whole)]
}
/// A wallet names its card.
#[allow(non_snake_case)] // named like the message
pub fn RegisterCard() -> Forms<RegisterCard> {
    let card = Sealed()[0].1.clone();
    vec![("usual", RegisterCard { wallet: WALLET, card, at: Time(NOW), extensions: none() })]
}

/// A payment by credit on its way to the terminal.
#[allow(non_snake_case)] // named like the message
pub fn CreditOffered() -> Forms<CreditOffered> {
    let known = CreditOffered { offer: signed_offer(), unknown: None, extensions: none() };
    vec![("usual", known.clone()), ("to a terminal not known", CreditOffered { unknown: Some(true), ..known })]
}
/// A payment by credit, as its wallet keeps it.
#[allow(non_snake_case)] // named like the message
pub fn Credited() -> Forms<Credited> {
    let asked = Credited {
        state: CreditState::Waiting,
        why: None,
        machine: TERMINAL,
        merchant: "Cafe".into(),
        charge: signed_charge(),
        request: by(Who::Wallet, &[], PaymentRequest()[0].1.clone()),
        receipt: None,
        extensions: none(),
    };
    let refused = Credited { state: CreditState::Refused, why: Some(CreditRefusal::Declined), ..asked.clone() };
    let receipt = Some(by(Who::Provider, &[], UserReceipt()[1].1.clone()));
    let paid = Credited { state: CreditState::Cleared, receipt, ..asked.clone() };
    vec![("asked", asked), ("refused", refused), ("paid", paid)]
}
/// A charge that was cleared, as its terminal keeps it.
pub fn cleared_claim() -> Claim {
    Claim {
        state: ClaimState::Paid,
        charge: signed_charge(),
        session: SESSION,
        card: None,
        generation: None,
        check: None,
        receipt: None,
        void: None,
        offer: Some(signed_offer()),
        asked: Some(by(Who::Terminal, &[], AuthorizationRequest()[0].1.clone())),
        clearing: Some(by(Who::Terminal, &[], ClearingRequest()[0].1.clone())),
        notification: Some(by(
            Who::Provider,
            &by(Who::Terminal, &[], ClearingRequest()[0].1.clone()).hash(&[]).to_bytes(),
            ClearingNotification()[0].1.clone(),
        )),
        extensions: none(),
    }
}
/// The terminal's entry of it.
pub fn cleared_entry() -> LogEntry {
    LogEntry {
        charge: Some(Bytes(charge().to_bytes())),
        session: Some(SESSION),
        sale: Some(by(Who::Terminal, &[], MerchantReceipt()[0].1.clone())),
        ..LogEntry::new(EntryKind::Cleared, Time(NOW), charge().transaction)
    }
}
