//! A provider, the processor on a real SQLite file, and the bank, with a clock that a test moves and one fault at one step.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::collections::BTreeMap;
use std::path::PathBuf;
use tegata_core::talk::credit::{
    Authorize, CardExpiry, CardNumber, MerchantDetails, OpenAccount, OutcomeState, PaymentOption, ProcessorAnswer,
    ProcessorRefusal,
};
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{AccountId, Amount, DeviceId, Hash, PartyId, RequestNumber, Time, Unit};
use tegata_crypto_native::SecretKey;
use tegata_iso8583::{AcquirerId, Answer, CardAmount, Financial, Message as BankMessage, Request, ResponseCode};
use tegata_processor::asker::{Asker, Question};
use tegata_processor::bank::{Bank, TestCard};
use tegata_processor::{Effect, LineConfig, LineEvent, Now, Prepared, Processor, Work};
use zeroize::Zeroizing;

pub const PROVIDER: PartyId = PartyId([0x10; 16]);
/// How long the processor waits for the bank, in milliseconds.
pub const PATIENCE: u64 = 4_000;
/// How long a frame is on its way.
const WAY: u64 = 10;

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// The request of this number is lost.
    LostRequest(usize),
    /// The bank gets it twice.
    DoubleRequest(usize),
    /// It comes to the bank long after its time-out.
    LateRequest(usize),
    /// The bank has no time for it: it is to be asked later.
    Busy(usize),
    /// The bank does half of it and says so.
    Half(usize),
    /// The answer of this number is lost.
    LostAnswer(usize),
    DoubleAnswer(usize),
    LateAnswer(usize),
    /// Its bitmap is malformed.
    GarbledAnswer(usize),
    /// Beside it comes an answer to a message never sent.
    StrangeAnswer(usize),
    /// The bank dies before it gets the request.
    DeadBefore(usize),
    /// The bank dies when it has done what was asked, before it answers.
    DeadAfter(usize),
    /// The processor dies before it stores what came.
    CrashBefore(usize),
    /// The processor dies when it has stored, before anything leaves.
    CrashAfter(usize),
    /// The processor dies when half of what shall leave has left.
    CrashAmid(usize),
}

/// A frame on its way.
struct Flying {
    at: u64,
    body: Zeroizing<Vec<u8>>,
}

pub struct World {
    path: PathBuf,
    _folder: tempfile::TempDir,
    processor: Option<Processor>,
    pub bank: Bank,
    pub asker: Asker,
    pub fault: Fault,
    /// What else goes wrong.
    pub more: Vec<Fault>,
    /// Requests of which the bank does half.
    halved: Vec<Zeroizing<Vec<u8>>>,
    ms: u64,
    drawn: u64,
    signed_on: bool,
    connected: bool,
    dead_until: u64,
    to_bank: Vec<Flying>,
    to_processor: Vec<Flying>,
    events: Vec<LineEvent>,
    replies: BTreeMap<u64, Vec<u8>>,
    pub requests: usize,
    pub answers: usize,
    pub turns: usize,
    counted: bool,
}

fn config() -> LineConfig {
    let acquirer = AcquirerId::new("00456").unwrap();
    LineConfig { answer_within: PATIENCE, repeat_after: 2_000, reconnect_after: 500, ..LineConfig::new(acquirer) }
}

pub fn usd(minor: u64) -> Amount {
    Amount::new(Unit::USD, minor).unwrap()
}

impl World {
    pub fn new(fault: Fault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let now = Now { time: Time(1_795_500_000), ms: 0 };
        let mut processor = Processor::open_folder(&path, "Clearing House", config(), now, [1; 32]).unwrap();
        let key = SecretKey::from_seed(Algorithm::Ed25519, &[7; 32]);
        processor.admit(PROVIDER, key.public(), "Tegata", now).unwrap();
        let asker = Asker { party: PROVIDER, key, processor: processor.info().clone() };
        let mut world = Self {
            path,
            _folder: folder,
            processor: Some(processor),
            bank: Bank::new(3 * PATIENCE),
            asker,
            fault,
            more: Vec::new(),
            halved: Vec::new(),
            ms: 0,
            drawn: 0,
            signed_on: false,
            connected: false,
            dead_until: 0,
            to_bank: Vec::new(),
            to_processor: Vec::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            requests: 0,
            answers: 0,
            turns: 0,
            counted: false,
        };
        world.run(1_000);
        assert!(world.processor().line_is_open(), "signed on before anything goes wrong");
        world.counted = true;
        world
    }
    pub fn processor(&self) -> &Processor {
        self.processor.as_ref().unwrap()
    }
    pub fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        Hash::of(&self.drawn.to_be_bytes()).0
    }
    pub fn number(&mut self) -> RequestNumber {
        let mut number = [0; 16];
        number.copy_from_slice(&self.draw()[..16]);
        RequestNumber(number)
    }
    fn now(&self) -> Now {
        Now { time: Time(1_795_500_000 + self.ms / 1000), ms: self.ms }
    }
    fn goes_wrong(&self, fault: Fault) -> bool {
        self.fault == fault || self.more.contains(&fault)
    }
    fn hang_up(&mut self) {
        self.connected = false;
        self.signed_on = false;
        self.to_processor.clear();
    }

    /// The process ends, what is on its way to the bank gets there, and it is started again.
    pub fn crash(&mut self) {
        self.processor = None;
        self.hang_up();
        self.events.clear();
        let (now, entropy) = (self.now(), self.draw());
        self.processor = Some(Processor::open_folder(&self.path, "", config(), now, entropy).unwrap());
    }

    fn turn(&mut self, works: Vec<Work>) {
        let (now, entropy) = (self.now(), self.draw());
        if self.counted && !works.is_empty() {
            self.turns += 1;
        }
        let this = (self.counted && !works.is_empty()).then_some(self.turns);
        if this.is_some_and(|turn| self.goes_wrong(Fault::CrashBefore(turn))) {
            return self.crash();
        }
        let effects = self.processor.as_mut().unwrap().turn(works, now, entropy);
        let leave = match this {
            Some(turn) if self.goes_wrong(Fault::CrashAfter(turn)) => Some(0),
            Some(turn) if self.goes_wrong(Fault::CrashAmid(turn)) => Some(effects.len().div_ceil(2)),
            _ => None,
        };
        for effect in effects.into_iter().take(leave.unwrap_or(usize::MAX)) {
            self.carry_out(effect);
        }
        if leave.is_some() {
            self.crash();
        }
    }
    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect => {
                self.hang_up();
                self.connected = self.ms >= self.dead_until;
                self.events.push(if self.connected { LineEvent::Connected } else { LineEvent::Lost });
            }
            Effect::Close => self.hang_up(),
            Effect::Reply(ticket, bytes) => drop(self.replies.insert(ticket, bytes)),
            Effect::Send(body) if self.connected => {
                let mut flying = Flying { at: self.ms + WAY, body };
                if is_money(&flying.body) && self.counted {
                    self.requests += 1;
                    let this = self.requests;
                    if self.goes_wrong(Fault::LostRequest(this)) {
                        return;
                    }
                    if self.goes_wrong(Fault::DeadBefore(this)) {
                        return self.die();
                    }
                    if self.goes_wrong(Fault::Busy(this)) {
                        self.to_processor.push(Flying { at: flying.at + WAY, body: later(&flying.body) });
                        return;
                    }
                    if self.goes_wrong(Fault::Half(this)) && !is_reversal(&flying.body) {
                        self.halved.push(flying.body.clone());
                    }
                    if self.goes_wrong(Fault::LateRequest(this)) {
                        flying.at += 3 * PATIENCE;
                    }
                    if self.goes_wrong(Fault::DoubleRequest(this)) {
                        self.to_bank.push(Flying { at: flying.at, body: flying.body.clone() });
                    }
                }
                self.to_bank.push(flying);
            }
            Effect::Send(_) => {}
        }
    }
    fn die(&mut self) {
        self.hang_up();
        self.events.push(LineEvent::Lost);
        self.dead_until = self.ms + 3 * PATIENCE;
    }
    fn bank_takes(&mut self, body: &[u8]) {
        let mut signed_on = self.signed_on || is_money(body);
        let half = self.halved.iter().any(|asked| asked.as_slice() == body);
        let outs = match half {
            true => self.bank.take(&halved(body), &mut signed_on),
            false => self.bank.take(body, &mut signed_on),
        };
        self.signed_on = signed_on;
        for mut out in outs {
            if half {
                out.body = in_part(&out.body);
            }
            let mut flying = Flying { at: self.ms + WAY + out.after, body: out.body };
            if is_money(&flying.body) && self.counted {
                self.answers += 1;
                let this = self.answers;
                if self.goes_wrong(Fault::LostAnswer(this)) {
                    continue;
                }
                if self.goes_wrong(Fault::DeadAfter(this)) {
                    return self.die();
                }
                if self.goes_wrong(Fault::LateAnswer(this)) {
                    flying.at += 3 * PATIENCE;
                }
                if self.goes_wrong(Fault::DoubleAnswer(this)) {
                    self.to_processor.push(Flying { at: flying.at, body: flying.body.clone() });
                }
                if self.goes_wrong(Fault::StrangeAnswer(this)) {
                    let mut strange = tegata_iso8583::Message::decode(&flying.body).unwrap();
                    strange.set(11, b"777777").unwrap();
                    let body = strange.encode();
                    self.to_processor.push(Flying { at: flying.at, body });
                }
                if self.goes_wrong(Fault::GarbledAnswer(this)) {
                    flying.body[4] |= 0x80;
                }
            }
            if self.connected {
                self.to_processor.push(flying);
            }
        }
    }
    /// Everything that is due now; whether anything was.
    fn pump(&mut self) -> bool {
        let ms = self.ms;
        let due = |all: &mut Vec<Flying>| -> Vec<Flying> {
            let (due, still) = std::mem::take(all).into_iter().partition(|flying| flying.at <= ms);
            *all = still;
            due
        };
        let mut works: Vec<Work> = std::mem::take(&mut self.events).into_iter().map(Work::Bank).collect();
        for flying in due(&mut self.to_bank) {
            self.bank_takes(&flying.body);
        }
        works.extend(due(&mut self.to_processor).into_iter().map(|one| Work::Bank(LineEvent::Received(one.body))));
        let any = !works.is_empty() || self.processor().wake_at() <= ms;
        if any {
            self.turn(works);
        }
        any
    }
    /// Lets time pass, by so many milliseconds.
    pub fn run(&mut self, for_ms: u64) {
        let until = self.ms + for_ms;
        while self.step(until) {}
    }
    fn step(&mut self, until: u64) -> bool {
        let mut rounds = 0;
        while self.pump() {
            rounds += 1;
            assert!(rounds < 1000, "it goes round in circles");
        }
        let flying = self.to_bank.iter().chain(&self.to_processor).map(|flying| flying.at).min();
        let next = flying.unwrap_or(u64::MAX).min(self.processor().wake_at()).max(self.ms + 1);
        self.ms = next.min(until);
        self.ms < until
    }
    /// Sends these bytes until their answer is final: lost answers and unknown ones are asked again (R26).
    pub fn answer(&mut self, question: &Question) -> (Vec<u8>, ProcessorAnswer) {
        for _ in 0..60 {
            let Some((signed, answer)) = self.once(question) else { continue };
            match &answer {
                ProcessorAnswer::Outcome(outcome) if outcome.state == OutcomeState::Unknown => self.run(1_000),
                ProcessorAnswer::Refused(refused) if is_passing(refused.why) => self.run(1_000),
                _ => return (signed, answer),
            }
        }
        panic!("{:?}: it never became known", self.fault);
    }
    /// Sends once and waits; `None` if no answer comes.
    pub fn once(&mut self, question: &Question) -> Option<(Vec<u8>, ProcessorAnswer)> {
        let ticket = self.drawn + 1_000_000;
        let prepared = Box::new(Prepared::new(&self.processor().shared(), &question.envelope()));
        self.turn(vec![Work::Message(ticket, prepared)]);
        let until = self.ms + 3 * PATIENCE;
        while !self.replies.contains_key(&ticket) && self.step(until) {}
        let signed = question.open(&self.replies.remove(&ticket)?).unwrap();
        let answer = question.read(&signed).unwrap();
        Some((signed, answer))
    }
    pub fn ask<T: Message>(&mut self, body: T) -> (Question, ProcessorAnswer) {
        let entropy = self.draw();
        let question = self.asker.ask(body, entropy).unwrap();
        let answer = self.answer(&question).1;
        (question, answer)
    }
    /// Bytes as they are, and the bytes that come back.
    pub fn raw(&mut self, bytes: &[u8]) -> Vec<u8> {
        let prepared = Box::new(Prepared::new(&self.processor().shared(), bytes));
        self.turn(vec![Work::Message(1, prepared)]);
        self.replies.remove(&1).unwrap()
    }
    pub fn revoke(&mut self) {
        let now = self.now();
        self.processor.as_mut().unwrap().revoke(PROVIDER, now).unwrap();
    }
    pub fn other_asker(&self) -> Asker {
        let key = SecretKey::from_seed(Algorithm::Ed25519, &[9; 32]);
        Asker { party: PROVIDER, key, processor: self.asker.processor.clone() }
    }
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
    pub fn outcome(&mut self, answer: ProcessorAnswer) -> tegata_core::talk::credit::Outcome {
        match answer {
            ProcessorAnswer::Outcome(outcome) => outcome.signed().claimed().clone(),
            other => panic!("{:?}: an outcome was expected: {other:?}", self.fault),
        }
    }
    pub fn accounts(&mut self, card: TestCard) -> (AccountId, AccountId) {
        let (digits, expiry) = (CardNumber::new(card.number().as_bytes()).unwrap(), CardExpiry::new(29, 12).unwrap());
        let entropy = self.draw();
        let card = Some(self.asker.seal_card(digits, expiry, entropy).unwrap());
        let (code, name) = ("CAFE".into(), "CAFE TEGATA TOKYO JP".into());
        let details = MerchantDetails { code, category: 5814, name, extensions: Default::default() };
        let mut open = |card, merchant| {
            let number = self.number();
            let at = Time(5);
            let body = OpenAccount { provider: PROVIDER, number, at, card, merchant, extensions: Default::default() };
            let answer = self.ask(body).1;
            self.outcome(answer).account.unwrap()
        };
        (open(card, None), open(None, Some(details)))
    }
    pub fn authorize(&mut self, (user, merchant): (AccountId, AccountId), minor: u64) -> Authorize {
        Authorize {
            provider: PROVIDER,
            number: self.number(),
            at: Time(5),
            user,
            merchant,
            amount: usd(minor),
            option: PaymentOption::Once,
            transaction: 17,
            machine: DeviceId([0x7e; 16]),
            partial: false,
            extensions: Default::default(),
        }
    }
}

/// What passes by itself; to be admitted takes an operator.
fn is_passing(why: ProcessorRefusal) -> bool {
    matches!(why, ProcessorRefusal::Pending | ProcessorRefusal::Unavailable)
}

fn is_money(body: &[u8]) -> bool {
    !body.starts_with(b"08")
}

fn is_reversal(body: &[u8]) -> bool {
    body.starts_with(b"04")
}

/// The same request over half the amount.
fn halved(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut request = Request::read(&BankMessage::decode(body).unwrap()).unwrap();
    if let Request::Authorization(payment) | Request::Financial(Financial { payment, .. }) = &mut request {
        payment.amount = Amount::new(Unit::USD, payment.amount.get().minor() / 2).and_then(CardAmount::new).unwrap();
    }
    request.message().unwrap().encode()
}

/// An approval of what was halved: of a part, as the bank says.
fn in_part(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let Ok(Answer::Payment(mut answer)) = Answer::read(&BankMessage::decode(body).unwrap()) else {
        panic!("no answer")
    };
    assert_eq!(answer.response, ResponseCode::Approved);
    answer.response = ResponseCode::PartialApproval;
    Answer::Payment(answer).message().unwrap().encode()
}

/// The bank's "later" to this request, which it has not carried out.
fn later(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let request = Request::read(&BankMessage::decode(body).unwrap()).unwrap();
    request.answered(ResponseCode::IssuerUnavailable, None).message().unwrap().encode()
}
