//! A provider, the processor and the bank, each with its own sockets: what a credit payment is, and each test card's way.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tegata_core::talk::credit::{
    Authorize, CardExpiry, CardNumber, Clear, DeclineReason, MerchantDetails, OpenAccount, Outcome, OutcomeState,
    PaymentOption, ProcessorAnswer, ProcessorInfo, ProcessorRefusal, Query, Refund, VoidAuthorization,
};
use tegata_core::wire::canonical::{Bytes, Message, Wire};
use tegata_core::wire::signed::{Algorithm, Verified};
use tegata_core::{AccountId, Amount, ClearingNumber, DeviceId, PartyId, RequestNumber, Time, Unit};
use tegata_crypto_native::SecretKey;
use tegata_crypto_native::entropy::fresh;
use tegata_iso8583::AcquirerId;
use tegata_processor::asker::Asker;
use tegata_processor::bank::{Host, HostConfig, TestCard};
use tegata_processor::{LineConfig, Now, Processor, http};
use tokio::sync::oneshot;

const PROVIDER: PartyId = PartyId([0x10; 16]);

fn provider_key() -> SecretKey {
    SecretKey::from_seed(Algorithm::Ed25519, &[7; 32])
}

fn usd(minor: u64) -> Amount {
    Amount::new(Unit::USD, minor).unwrap()
}

fn number() -> RequestNumber {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    RequestNumber(bytes)
}

/// A processor that is served, and a provider that asks it.
struct Line {
    url: String,
    asker: Asker,
    client: reqwest::blocking::Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Processor>>,
}

impl Line {
    fn start(folder: &Path, bank: SocketAddr) -> Self {
        let acquirer = AcquirerId::new("00456").unwrap();
        let config =
            LineConfig { answer_within: 400, repeat_after: 150, reconnect_after: 100, ..LineConfig::new(acquirer) };
        let now = Now { time: Time(1_795_500_000), ms: 0 };
        let mut processor = Processor::open_folder(folder, "Clearing House", config, now, fresh()).unwrap();
        processor.admit(PROVIDER, provider_key().public(), "Tegata", now).unwrap();
        let (bound, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let config = http::Config { listen: "127.0.0.1:0".parse().unwrap(), bank, operator: None, bound: Some(bound) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(http::run(processor, config, async { drop(stopped.await) })).unwrap()
        });
        let url = format!("http://{}", address.blocking_recv().unwrap());
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let info = client.get(format!("{url}/v1/processor")).send().unwrap().bytes().unwrap();
        let processor = ProcessorInfo::from_bytes(&info).unwrap();
        let asker = Asker { party: PROVIDER, key: provider_key(), processor };
        Self { url, asker, client, stop: Some(stop), thread: Some(thread) }
    }
    /// Asks; the signed answer and what it says.
    fn told<T: Message>(&self, body: T) -> (Vec<u8>, ProcessorAnswer) {
        let question = self.asker.ask(body, fresh()).unwrap();
        let body = vec![Bytes(question.envelope())].to_bytes();
        let answer = self.client.post(format!("{}/v1/messages", self.url)).body(body).send().unwrap();
        let answers = Vec::<Bytes>::from_bytes(&answer.bytes().unwrap()).unwrap();
        let signed = question.open(&answers[0].0).unwrap();
        let read = question.read(&signed).unwrap();
        (signed, read)
    }
    fn ask<T: Message>(&self, body: T) -> ProcessorAnswer {
        self.told(body).1
    }
    fn outcome<T: Message>(&self, body: T) -> Verified<Outcome> {
        match self.ask(body) {
            ProcessorAnswer::Outcome(outcome) => outcome,
            other => panic!("an outcome was expected: {other:?}"),
        }
    }
    fn refusal<T: Message>(&self, body: T) -> ProcessorRefusal {
        match self.ask(body) {
            ProcessorAnswer::Refused(refused) => refused.why,
            other => panic!("a refusal was expected: {other:?}"),
        }
    }
    /// Asks anew, each time under another number, until it is known.
    fn known(&self, about: RequestNumber) -> Verified<Outcome> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let outcome = self.outcome(query(about));
            if outcome.state != OutcomeState::Unknown {
                return outcome;
            }
            assert!(Instant::now() < until, "it is still unknown");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    fn user(&self, card: TestCard) -> AccountId {
        let (digits, expiry) = (CardNumber::new(card.number().as_bytes()).unwrap(), CardExpiry::new(29, 12).unwrap());
        let card = Some(self.asker.seal_card(digits, expiry, fresh()).unwrap());
        self.outcome(OpenAccount { card, merchant: None, ..open() }).account.unwrap()
    }
    fn merchant(&self, code: &str) -> AccountId {
        let merchant = MerchantDetails {
            code: code.into(),
            category: 5814,
            name: "CAFE TEGATA TOKYO JP".into(),
            extensions: Default::default(),
        };
        self.outcome(OpenAccount { merchant: Some(merchant), ..open() }).account.unwrap()
    }
    fn stop(mut self) -> Processor {
        self.stop.take();
        self.thread.take().unwrap().join().unwrap()
    }
}

fn open() -> OpenAccount {
    OpenAccount {
        provider: PROVIDER,
        number: number(),
        at: Time(5),
        card: None,
        merchant: None,
        extensions: Default::default(),
    }
}
fn authorize(user: AccountId, merchant: AccountId, amount: Amount) -> Authorize {
    Authorize {
        provider: PROVIDER,
        number: number(),
        at: Time(5),
        user,
        merchant,
        amount,
        option: PaymentOption::Instalments(6),
        transaction: 17,
        machine: DeviceId([0x7e; 16]),
        partial: false,
        extensions: Default::default(),
    }
}
fn clear(authorization: RequestNumber, amount: Amount) -> Clear {
    let (provider, at) = (PROVIDER, Time(6));
    Clear { provider, number: number(), at, authorization, amount, extensions: Default::default() }
}
fn void(authorization: RequestNumber) -> VoidAuthorization {
    let (provider, at) = (PROVIDER, Time(6));
    VoidAuthorization { provider, number: number(), at, authorization, extensions: Default::default() }
}
fn refund(clearing: ClearingNumber, amount: Amount) -> Refund {
    let (provider, at) = (PROVIDER, Time(7));
    Refund { provider, number: number(), at, clearing, amount, extensions: Default::default() }
}
fn query(about: RequestNumber) -> Query {
    Query { provider: PROVIDER, number: number(), at: Time(8), about, extensions: Default::default() }
}

fn bank(late: u64) -> Host {
    Host::start(HostConfig { listen: "127.0.0.1:0".parse().unwrap(), late }).unwrap()
}

/// Waits until the processor has signed on at the bank.
fn signed_on(line: &Line, user: AccountId, merchant: AccountId) {
    let until = Instant::now() + Duration::from_secs(10);
    while line.outcome(authorize(user, merchant, usd(1))).reason == Some(DeclineReason::Later) {
        assert!(Instant::now() < until, "the processor does not sign on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_payment_is_authorized_cleared_and_refunded_and_both_books_agree() {
    let (folder, host) = (tempfile::tempdir().unwrap(), bank(0));
    let line = Line::start(folder.path(), host.address());
    let (user, merchant) = (line.user(TestCard::Approved), line.merchant("CAFE"));
    signed_on(&line, user, merchant);
    let first = authorize(user, merchant, usd(4550));
    let approved = line.outcome(first.clone());
    assert_eq!((approved.state, approved.amount), (OutcomeState::Approved, Some(usd(4550))));

    // More than was approved is refused; a part is taken.
    assert_eq!(line.refusal(clear(first.number, usd(4551))), ProcessorRefusal::Amount);
    let asked = clear(first.number, usd(4000));
    let (bytes, answer) = line.told(asked.clone());
    let ProcessorAnswer::Cleared(cleared) = answer else { panic!("{answer:?}") };
    assert_eq!((cleared.number, cleared.amount, cleared.transaction), (asked.number, usd(4000), 17));
    assert_eq!((cleared.user, cleared.merchant), (user, merchant));
    let informed = cleared.for_merchant.claimed();
    assert_eq!(
        (informed.account, informed.option),
        (Some(merchant), None),
        "the merchant learns its own account alone"
    );
    assert_eq!(cleared.for_user.claimed().name.as_deref(), Some("CAFE TEGATA TOKYO JP"));
    // The same bytes get the same answer; other bytes under the number nothing.
    assert_eq!(line.told(asked.clone()).0, bytes);
    assert_eq!(line.refusal(Clear { amount: usd(1), ..asked.clone() }), ProcessorRefusal::Mismatch);
    assert_eq!(line.refusal(clear(first.number, usd(1))), ProcessorRefusal::State, "once for each authorization");
    assert_eq!(line.refusal(void(first.number)), ProcessorRefusal::State, "void only before clearing");
    let told = line.outcome(query(asked.number));
    assert_eq!((told.state, told.answer.as_ref().map(|bytes| &bytes.0)), (OutcomeState::Cleared, Some(&bytes)));

    // Refunds: never more than is left.
    assert_eq!(line.outcome(refund(cleared.clearing, usd(1500))).state, OutcomeState::Refunded);
    assert_eq!(line.refusal(refund(cleared.clearing, usd(2501))), ProcessorRefusal::Amount);
    assert_eq!(line.outcome(refund(cleared.clearing, usd(2500))).state, OutcomeState::Refunded);
    assert_eq!(line.refusal(refund(cleared.clearing, usd(1))), ProcessorRefusal::Amount);
    assert_eq!(line.refusal(refund(ClearingNumber([1; 16]), usd(1))), ProcessorRefusal::Unknown);

    // One that is let go.
    let second = authorize(user, merchant, usd(700));
    assert_eq!(line.outcome(second.clone()).state, OutcomeState::Approved);
    assert_eq!(line.outcome(void(second.number)).state, OutcomeState::Voided);
    assert_eq!(line.refusal(clear(second.number, usd(700))), ProcessorRefusal::State);
    assert_eq!(line.known(second.number).state, OutcomeState::Voided);

    // One that stays.
    let third = authorize(user, merchant, usd(990));
    line.outcome(third.clone());
    assert!(matches!(line.ask(clear(third.number, usd(990))), ProcessorAnswer::Cleared(_)));
    // A number asked about before it came is closed.
    let fourth = authorize(user, merchant, usd(5));
    assert_eq!(line.outcome(query(fourth.number)).state, OutcomeState::Closed);
    assert_eq!(line.refusal(fourth), ProcessorRefusal::Closed);

    let processor = line.stop();
    assert_eq!(processor.balance(merchant).unwrap(), [usd(990)]);
    assert_eq!(processor.balance(user).unwrap(), [usd(990)]);
    assert_eq!(host.bank().posted("CAFE", Unit::USD), 990);
    assert_eq!(host.bank().held(Unit::USD), 1, "what the test signed on with");
}

#[test]
fn each_test_card_goes_its_way() {
    let (folder, host) = (tempfile::tempdir().unwrap(), bank(700));
    let line = Line::start(folder.path(), host.address());
    let merchant = line.merchant("CARDS");
    signed_on(&line, line.user(TestCard::Approved), merchant);
    for (card, state, reason) in [
        (TestCard::Declined, OutcomeState::Declined, Some(DeclineReason::Bank)),
        (TestCard::Funds, OutcomeState::Declined, Some(DeclineReason::Funds)),
        (TestCard::Expired, OutcomeState::Declined, Some(DeclineReason::Expired)),
        (TestCard::Later, OutcomeState::Declined, Some(DeclineReason::Later)),
        (TestCard::Partial, OutcomeState::Declined, Some(DeclineReason::Partial)),
        (TestCard::Silent, OutcomeState::Declined, Some(DeclineReason::Undone)),
        (TestCard::Lost, OutcomeState::Declined, Some(DeclineReason::Undone)),
        (TestCard::Late, OutcomeState::Declined, Some(DeclineReason::Undone)),
        (TestCard::Garbled, OutcomeState::Declined, Some(DeclineReason::Undone)),
        (TestCard::Unclear, OutcomeState::Declined, Some(DeclineReason::Undone)),
        (TestCard::Twice, OutcomeState::Approved, None),
        (TestCard::Forgetful, OutcomeState::Approved, None),
    ] {
        let asked = authorize(line.user(card), merchant, usd(1000));
        let first = line.outcome(asked.clone());
        let known = if first.state == OutcomeState::Unknown { line.known(asked.number) } else { first };
        assert_eq!((known.state, known.reason), (state, reason), "{card:?}");
        if state == OutcomeState::Approved {
            let asked = clear(asked.number, usd(1000));
            line.ask(asked.clone());
            assert_eq!(line.known(asked.number).state, OutcomeState::Cleared, "{card:?}");
        }
    }
    // Less is welcome where it was asked for.
    let asked = Authorize { partial: true, ..authorize(line.user(TestCard::Partial), merchant, usd(1000)) };
    let part = line.outcome(asked.clone());
    assert_eq!((part.state, part.amount), (OutcomeState::Approved, Some(usd(500))));
    assert!(matches!(line.ask(clear(asked.number, usd(500))), ProcessorAnswer::Cleared(_)));
    let processor = line.stop();
    assert_eq!(processor.balance(merchant).unwrap(), [usd(2500)]);
    assert_eq!(host.bank().posted("CARDS", Unit::USD), 2500);
    assert_eq!(host.bank().held(Unit::USD), 1, "what the test signed on with");
    assert_eq!(processor.pursued(), 0);
}
