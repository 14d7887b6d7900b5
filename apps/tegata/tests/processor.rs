//! Processor and bank as people start them: real processes, real sockets, real folders, SIGKILL.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed::{Running, bad, good};
use std::process::Command;
use std::time::{Duration, Instant};
use tegata_core::talk::credit::{
    Authorize, CardExpiry, CardNumber, Clear, DeclineReason, MerchantDetails, OpenAccount, Outcome, OutcomeState,
    PaymentOption, ProcessorAnswer, ProcessorInfo, Query,
};
use tegata_core::wire::canonical::{Bytes, Message, Wire};
use tegata_core::wire::signed::Algorithm;
use tegata_core::{AccountId, Amount, DeviceId, PartyId, RequestNumber, Time, Unit};
use tegata_crypto_native::SecretKey;
use tegata_crypto_native::entropy::fresh;
use tegata_processor::asker::{Asker, Question};
use tegata_processor::bank::TestCard;

const PROVIDER: PartyId = PartyId([0x10; 16]);

/// Posts one question; `None` if the processor is gone.
fn post(address: &str, question: &Question) -> Option<(Vec<u8>, ProcessorAnswer)> {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let body = vec![Bytes(question.envelope())].to_bytes();
    let answer = client.post(format!("http://{address}/v1/messages")).body(body).send().ok()?.bytes().ok()?;
    let signed = question.open(&Vec::<Bytes>::from_bytes(&answer).ok()?.first()?.0)?;
    let read = question.read(&signed)?;
    Some((signed, read))
}

fn outcome<T: Message>(asker: &Asker, address: &str, body: T) -> Outcome {
    let question = asker.ask(body, fresh()).unwrap();
    match post(address, &question).unwrap().1 {
        ProcessorAnswer::Outcome(outcome) => outcome.into_signed().claimed().clone(),
        other => panic!("an outcome was expected: {other:?}"),
    }
}

fn number(byte: u8) -> RequestNumber {
    RequestNumber([byte; 16])
}

fn usd(minor: u64) -> Amount {
    Amount::new(Unit::USD, minor).unwrap()
}

fn account(asker: &Asker, address: &str, byte: u8, card: Option<TestCard>) -> AccountId {
    let expiry = CardExpiry::new(29, 12).unwrap();
    let card = card.map(|card| {
        let digits = CardNumber::new(card.number().as_bytes()).unwrap();
        asker.seal_card(digits, expiry, fresh()).unwrap()
    });
    let (code, name) = ("CAFE".into(), "CAFE TEGATA".into());
    let merchant =
        card.is_none().then(|| MerchantDetails { code, category: 5814, name, extensions: Default::default() });
    let (number, at) = (number(byte), Time(5));
    let body = OpenAccount { provider: PROVIDER, number, at, card, merchant, extensions: Default::default() };
    outcome(asker, address, body).account.unwrap()
}

fn authorize(byte: u8, user: AccountId, merchant: AccountId) -> Authorize {
    Authorize {
        provider: PROVIDER,
        number: number(byte),
        at: Time(5),
        user,
        merchant,
        amount: usd(1200),
        option: PaymentOption::Bonus,
        transaction: 3,
        machine: DeviceId([0x7e; 16]),
        partial: false,
        extensions: Default::default(),
    }
}

/// Asks under new numbers until the processor has signed on at the bank and approved.
fn approved(asker: &Asker, address: &str, first: u8, user: AccountId, merchant: AccountId) -> RequestNumber {
    for byte in first..first + 60 {
        let told = outcome(asker, address, authorize(byte, user, merchant));
        if told.state == OutcomeState::Approved {
            return number(byte);
        }
        assert_eq!(told.reason, Some(DeclineReason::Later));
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the processor does not sign on");
}

#[test]
fn processor_and_bank_are_processes_of_their_own_and_survive_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    bad(data, "processor run", "no bank runs");
    let cards = good(data, "bank cards");
    assert_eq!(cards["cards"].as_array().unwrap().len(), TestCard::ALL.len());
    let made = good(data, "processor init --name House --acquirer 456");
    assert_eq!(made["key"].as_str().unwrap().len(), 64);
    bad(data, "processor init", "already");
    let key = SecretKey::from_seed(Algorithm::Ed25519, &[7; 32]);
    bad(data, "processor admit party-12 00", "party-");
    bad(data, &format!("processor admit {PROVIDER} 00"), "public key");
    good(data, &format!("processor admit {PROVIDER} {:?}", key.public()));

    let bank = Running::start(data, "bank run");
    let mut served = Running::start(data, "processor run --answer-within 1");
    bad(data, "processor run --listen 127.0.0.1:0", "another process");
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let info = client.get(format!("http://{}/v1/processor", served.address)).send().unwrap().bytes().unwrap();
    let processor = ProcessorInfo::from_bytes(&info).unwrap();
    assert_eq!(Some(processor.processor.to_string().as_str()), made["processor"].as_str());
    let asker = Asker { party: PROVIDER, key, processor };
    let user = account(&asker, &served.address, 1, Some(TestCard::Approved));
    let silent = account(&asker, &served.address, 2, Some(TestCard::Silent));
    let merchant = account(&asker, &served.address, 3, None);
    let authorization = approved(&asker, &served.address, 10, user, merchant);
    let at = Time(6);
    let clear = Clear {
        provider: PROVIDER,
        number: number(100),
        at,
        authorization,
        amount: usd(1200),
        extensions: Default::default(),
    };
    let clear = asker.ask(clear, fresh()).unwrap();
    let (bytes, answer) = post(&served.address, &clear).unwrap();
    assert!(matches!(answer, ProcessorAnswer::Cleared(_)));

    // Killed while the bank is silent about an authorization: after the start it is undone, and told so.
    let hanging = asker.ask(authorize(101, silent, merchant), fresh()).unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| post(&served.address, &hanging).is_none());
        std::thread::sleep(Duration::from_millis(400));
        Command::new("kill").args(["-9", &served.id().to_string()]).status().unwrap();
        assert!(asked.join().unwrap(), "no answer left before it was killed");
    });
    served.wait();
    let served = Running::start(data, "processor run --answer-within 1");
    assert_eq!(post(&served.address, &clear).unwrap().0, bytes, "the same bytes get the same answer");
    let until = Instant::now() + Duration::from_secs(20);
    for byte in 110.. {
        let (number, about) = (number(byte), number(101));
        let query = Query { provider: PROVIDER, number, at, about, extensions: Default::default() };
        let told = outcome(&asker, &served.address, query);
        if told.state != OutcomeState::Unknown {
            assert_eq!((told.state, told.reason), (OutcomeState::Declined, Some(DeclineReason::Undone)));
            break;
        }
        assert!(Instant::now() < until, "it is still unknown");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(good(data, "processor status")["bank"], "signed on");
    // Revoked while it runs, and after a restart.
    good(data, &format!("processor revoke {PROVIDER}"));
    let refused = asker.ask(authorize(103, user, merchant), fresh()).unwrap();
    assert!(matches!(post(&served.address, &refused).unwrap().1, ProcessorAnswer::Refused(_)));
    Command::new("kill").args(["-TERM", &served.id().to_string()]).status().unwrap();
    drop(served);
    let served = Running::start(data, "processor run");
    let refused = asker.ask(authorize(102, user, merchant), fresh()).unwrap();
    assert!(matches!(post(&served.address, &refused).unwrap().1, ProcessorAnswer::Refused(_)));
    bad(data, &format!("processor revoke {}", PartyId([3; 16])), "nothing is known");
    drop(served);
    let refusals = good(data, "processor refusals");
    assert!(refusals.to_string().contains("Revoked"), "{refusals}");
    drop(bank);
}
