//! Requests and answers as messages, and every way in which a well-formed message is none of ours.

use super::*;
use crate::element::Instalments;
use crate::rules::Misuse;
use proptest::prelude::*;
use tegata_core::money::{Amount, Time, Unit};

pub(crate) fn amount(minor: u64) -> CardAmount {
    CardAmount::new(Amount::new(Unit::JPY, minor).expect("in range")).expect("fits")
}

pub(crate) fn stan(number: u32) -> Stan {
    Stan::new(number).expect("in range")
}

/// So many seconds after 2026-11-24 06:00 UTC.
pub(crate) fn time(seconds: u64) -> Transmitted {
    Transmitted::at(Time(1_795_500_000 + seconds))
}

fn acquirer() -> AcquirerId {
    AcquirerId::new("00456").expect("digits")
}

fn authorized() -> AuthorizationId {
    AuthorizationId::new("A1B2C3").expect("fits")
}

pub(crate) fn purchase() -> Payment {
    Payment {
        pan: Pan::parse(b"4111111111111111").expect("checked"),
        processing: ProcessingCode::PURCHASE,
        amount: amount(1234),
        trace: Trace {
            stan: stan(1),
            transmitted: time(0),
            acquirer: acquirer(),
            reference: Reference::new("632806000001").expect("fits"),
        },
        local: Local::at(Time(1_795_500_000), 540),
        expiry: Expiry::new(29, 12),
        acceptor: Acceptor {
            category: MerchantType::new(5814).expect("in range"),
            terminal: TerminalId::new("TERM0001").expect("fits"),
            merchant: MerchantId::new("TEGATA CAFE").expect("fits"),
            name: NameLocation::new("TEGATA CAFE            TOKYO          JP"),
        },
        entry: EntryMode::MANUAL,
        condition: ConditionCode::NORMAL,
        option: Some(PaymentOption::Once),
    }
}

pub(crate) fn network(action: NetworkAction) -> Request {
    Request::Network(NetworkRequest { stan: stan(1), transmitted: time(0), acquirer: acquirer(), action })
}

/// One of each, with and without what may be left out.
fn requests() -> Vec<Request> {
    let authorization = Request::Authorization(purchase());
    let capture = Financial::capture(&purchase(), authorized(), amount(1000), stan(2), time(60)).expect("a part");
    let refund = Financial::refund(&capture.payment, amount(1), stan(3), time(3600)).expect("a part");
    let part = authorization.reversal(stan(4), time(31), Some(authorized()), ReplacementAmounts::new(1233));
    let whole = Request::Financial(capture.clone()).reversal(stan(5), time(90), None, None).expect("can be undone");
    let bare =
        Payment { expiry: None, option: None, acceptor: Acceptor { name: None, ..purchase().acceptor }, ..purchase() };
    vec![
        authorization,
        Request::Financial(capture),
        Request::Financial(refund),
        Request::Financial(Financial { payment: bare, authorization: None, original: None }),
        Request::Reversal(part.expect("can be undone")),
        Request::Reversal(whole.repeated()),
        Request::Reversal(whole),
        network(NetworkAction::SignOn),
        network(NetworkAction::SignOff),
        network(NetworkAction::Echo),
    ]
}

fn answers() -> Vec<Answer> {
    let each = requests().into_iter().flat_map(|request| {
        [
            request.answered(ResponseCode::Approved, Some(authorized())),
            request.answered(ResponseCode::DoNotHonor, None),
            request.answered(ResponseCode::new("N7").expect("two characters"), None),
        ]
    });
    each.collect()
}

#[test]
fn requests_and_answers_read_back_from_the_wire() {
    for request in requests() {
        let message = request.message().expect("ours");
        let read = Message::decode(&message.encode()).expect("well-formed");
        assert_eq!(Request::read(&read), Ok(request.clone()));
        assert_eq!(Key::of(&read), Ok(request.key()));
        assert_eq!(Answer::read(&read), Err(Misuse::Direction(request.kind())));
    }
    for answer in answers() {
        let message = answer.message().expect("ours");
        let read = Message::decode(&message.encode()).expect("well-formed");
        assert_eq!(Answer::read(&read), Ok(answer.clone()));
        assert_eq!(Key::of(&read), Ok(answer.key()));
        assert_eq!(Request::read(&read), Err(Misuse::Direction(answer.kind())));
    }
}

#[test]
fn what_follows_a_purchase_names_it() {
    let authorized_key = purchase().trace.key();
    let capture = Financial::capture(&purchase(), authorized(), amount(1000), stan(2), time(60)).expect("a part");
    let original = capture.original.expect("names the authorization");
    assert!(original.names(MessageType::AuthorizationRequest, &authorized_key));
    let refund = Financial::refund(&capture.payment, amount(1000), stan(3), time(120)).expect("all of it");
    assert_eq!(refund.payment.processing, ProcessingCode::REFUND);
    assert!(refund.original.expect("it does").names(MessageType::FinancialRequest, &capture.payment.trace.key()));
    let posted = Request::Financial(capture);
    let reversal = posted.reversal(stan(4), time(180), None, None).expect("can be undone");
    assert!(reversal.original.names(MessageType::FinancialRequest, &posted.key()));
    assert_eq!(reversal.payment.trace.reference, purchase().trace.reference, "one reference all along");
    assert_eq!(Request::Reversal(reversal).reversal(stan(5), time(181), None, None), None, "no undoing of an undoing");
    assert_eq!(network(NetworkAction::Echo).reversal(stan(5), time(181), None, None), None);
}

#[test]
fn nobody_captures_or_pays_back_more_than_there_was() {
    let dollars = CardAmount::new(Amount::new(Unit::USD, 1).expect("in range")).expect("fits");
    for (story, part) in [("more", amount(1235)), ("nothing", amount(0)), ("another currency", dollars)] {
        assert_eq!(Financial::capture(&purchase(), authorized(), part, stan(2), time(1)), None, "{story}");
        assert_eq!(Financial::refund(&purchase(), part, stan(2), time(1)), None, "{story}");
    }
    let refund = Financial::refund(&purchase(), amount(1234), stan(2), time(1)).expect("all of it");
    assert_eq!(Financial::refund(&refund.payment, amount(1), stan(3), time(2)), None, "a refund is not paid back");
}

#[test]
fn every_field_that_must_be_there_is_missed_and_no_other_is_taken() {
    let optional = [2, 12, 13, 14, 15, 38, 43, 48, 90, 95];
    let messages = requests().into_iter().map(|request| request.message());
    for message in messages.chain(answers().into_iter().map(|answer| answer.message())) {
        let message = message.expect("ours");
        let (kind, is_request) = (message.kind(), message.kind().answer().is_some());
        let read = |message: &Message| match is_request {
            true => Request::read(message).map(drop),
            false => Answer::read(message).map(drop),
        };
        for (field, _) in message.fields() {
            let mut less = message.clone();
            less.remove(field);
            match read(&less) {
                Err(found) => assert_eq!(found, Misuse::Missing { kind, field }, "{kind:?}"),
                Ok(()) => assert!(optional.contains(&field), "{kind:?} without field {field}"),
            }
        }
        for (field, value) in [(5, "000000000001"), (35, "4111111111111111=2912"), (44, "text"), (128, "8 bytes!")] {
            let mut more = message.clone();
            more.set(field, value.as_bytes()).expect("fits");
            assert_eq!(read(&more), Err(Misuse::NotAllowed { kind, field }));
        }
    }
}

#[test]
fn values_without_a_meaning_are_refused_with_their_field() {
    let authorization = Request::Authorization(purchase()).message().expect("ours");
    let undo = Request::Authorization(purchase()).reversal(stan(4), time(31), None, ReplacementAmounts::new(1));
    let undo = Request::Reversal(undo.expect("can be undone")).message().expect("ours");
    let echo = network(NetworkAction::Echo).message().expect("ours");
    for (story, message, field, value) in [
        ("a card number that is mistyped", &authorization, 2, "4111111111111112"),
        ("a card number that is none", &authorization, 2, "42"),
        ("cash", &authorization, 3, "010000"),
        ("a refund to be authorized", &authorization, 3, "200000"),
        ("the thirteenth month", &authorization, 7, "1301000000"),
        ("25 o'clock", &authorization, 12, "250000"),
        ("30 February", &authorization, 13, "0230"),
        ("a card without a month", &authorization, 14, "2900"),
        ("a reference of blanks", &authorization, 37, "            "),
        ("a terminal of blanks", &authorization, 41, "        "),
        ("a payment option nobody has", &authorization, 48, "99"),
        ("one instalment", &authorization, 48, "6101"),
        ("a currency in letters", &authorization, 49, "JPY"),
        ("a currency nobody has here", &authorization, 49, "826"),
        ("the original an answer", &undo, 90, "011000000111240600000000000045600000000000"),
        ("the original a reversal", &undo, 90, "040000000111240600000000000045600000000000"),
        ("nothing remains", &undo, 95, "000000000000000000000000C00000000C00000000"),
        ("all remains", &undo, 95, "000000001234000000000000C00000000C00000000"),
        ("a fee", &undo, 95, "000000000001000000000000D00000001C00000000"),
        ("a network action nobody has", &echo, 70, "101"),
    ] {
        let mut bent = message.clone();
        bent.set(field, value.as_bytes()).expect("fits its field");
        assert_eq!(Request::read(&bent), Err(Misuse::Value { field }), "{story}");
    }
}

#[test]
fn what_would_not_be_read_is_not_sent() {
    let refund = Payment { processing: ProcessingCode::REFUND, ..purchase() };
    assert_eq!(Request::Authorization(refund).message(), Err(Misuse::Value { field: 3 }));
    let kind = MessageType::AuthorizationRequest;
    let forever = Payment { expiry: None, ..purchase() };
    assert_eq!(Request::Authorization(forever).message(), Err(Misuse::Missing { kind, field: 14 }));
    let request = Request::Authorization(purchase());
    let all = request.reversal(stan(2), time(1), None, ReplacementAmounts::new(1234)).expect("can be undone");
    assert_eq!(Request::Reversal(all).message(), Err(Misuse::Value { field: 95 }));
    let kind = MessageType::AuthorizationAnswer;
    let nameless = request.answered(ResponseCode::Approved, None);
    assert_eq!(nameless.message(), Err(Misuse::Missing { kind, field: 38 }));
    let Answer::Payment(mut answer) = nameless else { panic!("a payment") };
    answer.kind = MessageType::ReversalRequest;
    assert_eq!(Answer::Payment(answer.clone()).message(), Err(Misuse::Direction(MessageType::ReversalRequest)));
    answer.kind = MessageType::ReversalAnswer;
    answer.response = ResponseCode::PartialApproval;
    assert_eq!(Answer::Payment(answer).message(), Err(Misuse::Value { field: 39 }));
}

#[test]
fn nothing_that_is_shown_has_a_card_number() {
    for request in requests() {
        let message = request.message().expect("ours");
        let shown = format!("{request:?} {message:?} {:?}", request.answered(ResponseCode::Approved, None));
        assert!(!shown.contains("4111111111111111") && !shown.contains("11111111"), "{shown}");
    }
}

proptest! {
    #[test]
    fn whatever_a_request_is_it_reads_back(
        minor in 0..=CardAmount::MAX, number in 0u32..=999_999, seconds in 0u64..4_000_000_000, east in -720i16..=840,
        terminal in "[!-~][ -~]{0,7}", count in 2u8..=99, remains in 1..=CardAmount::MAX,
    ) {
        let mut payment = purchase();
        payment.amount = amount(minor);
        payment.trace.stan = stan(number);
        payment.trace.transmitted = Transmitted::at(Time(seconds));
        payment.local = Local::at(Time(seconds), east);
        payment.acceptor.terminal = TerminalId::new(&terminal).expect("fits");
        payment.option = Instalments::new(count).map(PaymentOption::Instalments);
        let authorization = Request::Authorization(payment);
        let message = authorization.message().expect("ours");
        prop_assert_eq!(Request::read(&Message::decode(&message.encode()).expect("well-formed")), Ok(authorization.clone()));
        let undo = authorization.reversal(stan(number).next(), time(0), None, ReplacementAmounts::new(remains));
        let undo = Request::Reversal(undo.expect("can be undone"));
        match undo.message() {
            Ok(message) => prop_assert_eq!(Request::read(&message), Ok(undo)),
            Err(misuse) => prop_assert_eq!((misuse, remains >= minor), (Misuse::Value { field: 95 }, true)),
        }
    }
}
