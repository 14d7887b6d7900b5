//! The line by itself: what goes out for what comes in, written as a script.

use super::*;
use crate::store::Store;
use tegata_core::{Amount, Unit};
use tegata_iso8583::{
    Acceptor, AuthorizationId, CardAmount, ConditionCode, EntryMode, Expiry, Local, MerchantId, MerchantType, Pan,
    Payment, ProcessingCode, Reference, TerminalId, Trace,
};

fn at(ms: u64) -> Now {
    Now { time: Time(1_795_500_000 + ms / 1000), ms }
}

fn line() -> Line {
    let acquirer = AcquirerId::new("00456").expect("digits");
    let times = LineConfig::new(acquirer);
    Line::new(LineConfig { answer_within: 1_000, repeat_after: 500, echo_after: 5_000, reconnect_after: 200, ..times })
}

fn durable(job: Job) -> Durable<Job> {
    let mut store = Store::memory().expect("memory");
    store.begin().expect("begun");
    store.commit(vec![job]).expect("committed").pop().expect("one")
}

fn payment(stan: u32) -> Payment {
    let amount = Amount::new(Unit::USD, 1234).expect("in range");
    Payment {
        pan: Pan::parse(b"4111111111111111").expect("checked"),
        processing: ProcessingCode::PURCHASE,
        amount: CardAmount::new(amount).expect("fits"),
        trace: Trace {
            stan: Stan::new(stan).expect("in range"),
            transmitted: Transmitted::at(at(0).time),
            acquirer: AcquirerId::new("00456").expect("digits"),
            reference: Reference::new("000000000001").expect("fits"),
        },
        local: Local::at(at(0).time, 0),
        expiry: Expiry::new(29, 12),
        acceptor: Acceptor {
            category: MerchantType::new(5814).expect("in range"),
            terminal: TerminalId::new("TERM0001").expect("fits"),
            merchant: MerchantId::new("CAFE").expect("fits"),
            name: None,
        },
        entry: EntryMode::MANUAL,
        condition: ConditionCode::NORMAL,
        option: None,
    }
}

fn authorization(id: u64) -> Job {
    let request = Request::Authorization(payment(1));
    Job { id, request, patience: Patience::Once, repeat: false, delay: 0 }
}

fn reversal(id: u64, repeat: bool) -> Job {
    let whole = Request::Authorization(payment(1));
    let reversal = whole.reversal(Stan::new(2).expect("in range"), Transmitted::at(at(0).time), None, None);
    let request = Request::Reversal(reversal.expect("can be undone"));
    Job { id, request, patience: Patience::UntilAnswered, repeat, delay: 0 }
}

/// What a line wants, as words: the message types that it sends, and what it tells.
fn words(effects: &[LineEffect]) -> Vec<String> {
    let word = |effect: &LineEffect| match effect {
        LineEffect::Connect => "connect".to_owned(),
        LineEffect::Close => "close".to_owned(),
        LineEffect::Send(body) => String::from_utf8_lossy(&body[..4]).into_owned(),
        LineEffect::Heard(Heard::Up) => "up".to_owned(),
        LineEffect::Heard(Heard::Down) => "down".to_owned(),
        LineEffect::Heard(Heard::Answered { job, answer }) => format!("answered {job} {}", answer.response.code()),
        LineEffect::Heard(Heard::Silent { job }) => format!("silent {job}"),
        LineEffect::Heard(Heard::Stray(_)) => "stray".to_owned(),
        LineEffect::Heard(Heard::Odd(_)) => "odd".to_owned(),
    };
    effects.iter().map(word).collect()
}

fn body(effects: &[LineEffect]) -> Request {
    let sent = effects.iter().find_map(|effect| match effect {
        LineEffect::Send(body) => Some(body),
        _ => None,
    });
    Request::read(&Message::decode(sent.expect("something was sent")).expect("a message")).expect("a request")
}

fn answered(request: &Request, code: ResponseCode) -> LineEvent {
    let answer = request.answered(code, AuthorizationId::new("A1B2C3"));
    LineEvent::Received(answer.message().expect("an answer").encode())
}

/// A line that has signed on at millisecond 0.
fn open() -> Line {
    let mut line = line();
    assert_eq!(words(&line.step(LineEvent::Tick, at(0))), ["connect"]);
    let signing = line.step(LineEvent::Connected, at(0));
    assert_eq!(words(&signing), ["0800"]);
    assert_eq!(words(&line.step(answered(&body(&signing), ResponseCode::Approved), at(0))), ["up"]);
    line
}

#[test]
fn a_line_that_the_bank_does_not_take_is_dropped_and_tried_again() {
    let mut line = line();
    line.step(LineEvent::Tick, at(0));
    let signing = line.step(LineEvent::Connected, at(0));
    let refused = answered(&body(&signing), ResponseCode::SecurityViolation);
    assert_eq!(words(&line.step(refused, at(10))), ["close"]);
    assert!(!line.is_open());
    assert_eq!(words(&line.step(LineEvent::Tick, at(209))), [""; 0]);
    assert_eq!(words(&line.step(LineEvent::Tick, at(210))), ["connect"]);
    line.step(LineEvent::Connected, at(220));
    assert_eq!(words(&line.step(LineEvent::Tick, at(1_220))), ["close"], "no 0810 in time");
    assert_eq!(words(&line.step(LineEvent::Tick, at(1_420))), ["connect"]);
    assert_eq!(words(&line.step(LineEvent::Lost, at(1_421))), [""; 0], "could not be made");
}

#[test]
fn a_silent_line_is_asked_whether_it_is_there() {
    let mut line = open();
    assert_eq!(line.wake_at(), 5_000);
    let echo = line.step(LineEvent::Tick, at(5_000));
    assert_eq!(words(&echo), ["0800"]);
    line.step(answered(&body(&echo), ResponseCode::Approved), at(5_010));
    assert!(line.is_open());
    assert_eq!(words(&line.step(LineEvent::Tick, at(10_010))), ["0800"]);
    assert_eq!(words(&line.step(LineEvent::Tick, at(11_010))), ["close", "down"], "no answer: it is dead");
}

#[test]
fn the_banks_own_echo_is_answered() {
    let mut line = open();
    let request = Request::Network(NetworkRequest {
        stan: Stan::new(5).expect("in range"),
        transmitted: Transmitted::at(at(0).time),
        acquirer: AcquirerId::new("00456").expect("digits"),
        action: NetworkAction::Echo,
    });
    let received = LineEvent::Received(request.message().expect("a message").encode());
    assert_eq!(words(&line.step(received, at(1))), ["0810"]);
    let charge = Request::Authorization(payment(9)).message().expect("a message").encode();
    assert_eq!(words(&line.step(LineEvent::Received(charge), at(2))), ["odd"], "the bank may not ask for money");
}

#[test]
fn an_authorization_is_sent_once_and_answered_or_silent() {
    let mut line = open();
    let sent = line.ask(durable(authorization(7)), at(10));
    assert_eq!(words(&sent), ["0100"]);
    let request = body(&sent);
    assert_eq!(words(&line.step(answered(&request, ResponseCode::Approved), at(20))), ["answered 7 00"]);
    assert_eq!(words(&line.step(answered(&request, ResponseCode::Approved), at(21))), ["stray"], "a duplicate");
    let sent = line.ask(durable(authorization(8)), at(30));
    assert_eq!(words(&line.step(LineEvent::Tick, at(1_029))), [""; 0]);
    assert_eq!(words(&line.step(LineEvent::Tick, at(1_030))), ["silent 8"]);
    assert_eq!(words(&line.step(answered(&body(&sent), ResponseCode::Approved), at(1_031))), ["stray"], "late");
    assert_eq!(line.pursued(), 0);
}

#[test]
fn an_answer_that_names_a_request_and_cannot_be_read_makes_it_unknown() {
    let mut line = open();
    let sent = line.ask(durable(authorization(7)), at(10));
    let answer = body(&sent).answered(ResponseCode::Approved, AuthorizationId::new("A1B2C3"));
    let mut message = answer.message().expect("an answer");
    message.remove(38);
    assert_eq!(words(&line.step(LineEvent::Received(message.encode()), at(20))), ["odd", "silent 7"]);
    let noise = LineEvent::Received(Zeroizing::new(b"nonsense".to_vec()));
    assert_eq!(words(&line.step(noise, at(30))), ["odd"]);
}

#[test]
fn a_reversal_is_repeated_as_0401_with_growing_pauses_until_it_is_answered() {
    let mut line = open();
    let first = line.ask(durable(reversal(3, false)), at(0));
    assert_eq!(words(&first), ["0400"]);
    for (ms, expected) in
        [(499, vec![]), (500, vec!["0401"]), (1_499, vec![]), (1_500, vec!["0401"]), (3_500, vec!["0401"])]
    {
        assert_eq!(words(&line.step(LineEvent::Tick, at(ms))), expected, "{ms}");
    }
    // Across a connection that is lost: again as soon as it is back.
    assert_eq!(words(&line.step(LineEvent::Lost, at(3_600))), ["down"]);
    assert_eq!(words(&line.step(LineEvent::Tick, at(3_800))), ["connect"]);
    let signing = line.step(LineEvent::Connected, at(3_810));
    let up = line.step(answered(&body(&signing), ResponseCode::Approved), at(3_820));
    assert_eq!(words(&up), ["up", "0401"]);
    assert_eq!(words(&line.step(answered(&body(&first), ResponseCode::Approved), at(3_900))), ["answered 3 00"]);
    assert_eq!(words(&line.step(LineEvent::Tick, at(8_000))), [""; 0]);
}

#[test]
fn what_waits_while_the_line_is_down_goes_out_when_it_is_up() {
    let mut line = line();
    assert_eq!(words(&line.ask(durable(reversal(3, true)), at(0))), [""; 0]);
    line.step(LineEvent::Tick, at(0));
    let signing = line.step(LineEvent::Connected, at(5));
    let up = line.step(answered(&body(&signing), ResponseCode::Approved), at(10));
    assert_eq!(words(&up), ["up", "0401"], "it may have been sent before a crash");
}

#[test]
fn nothing_of_a_line_shows_a_card_number() {
    let mut line = open();
    line.ask(durable(authorization(7)), at(10));
    assert!(!format!("{line:?}").contains("4111111111111111"));
}
