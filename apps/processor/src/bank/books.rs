//! The bank without a socket: bodies in, bodies out, and books to compare with.

use super::TestCard;
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::Unit;
use tegata_iso8583::{
    Answer, AuthorizationId, CardAmount, Financial, Key, Message, MessageType, OriginalData, Payment, Request,
    ResponseCode, Reversal, Transaction,
};
use zeroize::Zeroizing;

/// A body to be sent, after so many milliseconds.
#[derive(Debug)]
pub struct Out {
    /// How long from now.
    pub after: u64,
    /// The body of the frame.
    pub body: Zeroizing<Vec<u8>>,
}

/// What the bank holds or has posted under one request.
#[derive(Clone, Debug)]
struct Entry {
    key: Key,
    kind: MessageType,
    merchant: String,
    unit: Unit,
    /// Held (0100) or posted (0200), in minor units; a refund's is negative.
    minor: i64,
    /// Of a capture: what was paid back.
    refunded: i64,
    open: bool,
}

/// The bank.
#[derive(Debug)]
pub struct Bank {
    late: u64,
    forgets: bool,
    entries: Vec<Entry>,
    /// Requests and their answers, by trace number, time and acquirer.
    answered: BTreeMap<(Key, MessageType), (Request, Answer)>,
    /// Reversed before they came.
    reversed: BTreeSet<(MessageType, Key)>,
    forgotten: BTreeSet<(Key, MessageType)>,
    approvals: u64,
    refused: (u64, u64),
}

fn original_key(original: &OriginalData, payment: &Payment, entry: &Key) -> bool {
    original.names(original.kind, entry) && entry.reference == Some(payment.trace.reference)
}

impl Bank {
    /// A bank whose late answers come after so many milliseconds.
    pub fn new(late: u64) -> Self {
        Self {
            late,
            forgets: false,
            entries: Vec::new(),
            answered: BTreeMap::new(),
            reversed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            approvals: 0,
            refused: (0, 0),
        }
    }
    /// From now on it approves what it was told to undo before it came, as a bank without memory does.
    pub fn forget_reversals(&mut self) {
        self.forgets = true;
    }
    /// What is held and not taken, in minor units.
    pub fn held(&self, unit: Unit) -> i64 {
        self.sum(|entry| entry.kind == MessageType::AuthorizationRequest && entry.unit == unit)
    }
    /// What was posted for a merchant, less what was paid back, in minor units.
    pub fn posted(&self, merchant: &str, unit: Unit) -> i64 {
        self.sum(|entry| {
            entry.kind == MessageType::FinancialRequest && entry.unit == unit && entry.merchant == merchant
        })
    }
    /// What was posted for all merchants, less what was paid back, in minor units.
    pub fn posted_in_all(&self, unit: Unit) -> i64 {
        self.sum(|entry| entry.kind == MessageType::FinancialRequest && entry.unit == unit)
    }
    /// How many captures were posted.
    pub fn captures(&self) -> usize {
        let all = self.entries.iter().filter(|entry| entry.open && entry.minor > 0);
        all.filter(|entry| entry.kind == MessageType::FinancialRequest).count()
    }
    /// How many refunds were posted, and how many captures are paid back whole: as many, where each was paid back once.
    pub fn refunds(&self) -> (usize, usize) {
        let posted = self.entries.iter().filter(|entry| entry.open && entry.kind == MessageType::FinancialRequest);
        let (captures, refunds): (Vec<&Entry>, Vec<&Entry>) = posted.partition(|entry| entry.minor > 0);
        (refunds.len(), captures.iter().filter(|entry| entry.refunded == entry.minor).count())
    }
    /// How many captures and how many refunds it refused for the card's sake, each once.
    pub fn refused(&self) -> (u64, u64) {
        self.refused
    }
    fn sum(&self, which: impl Fn(&Entry) -> bool) -> i64 {
        self.entries.iter().filter(|entry| entry.open && which(entry)).map(|entry| entry.minor).sum()
    }

    /// Takes a frame's body; `signed_on` is the connection's. What it does not understand it does not answer.
    pub fn take(&mut self, body: &[u8], signed_on: &mut bool) -> Vec<Out> {
        let Some(request) = Message::decode(body).ok().and_then(|message| Request::read(&message).ok()) else {
            return Vec::new();
        };
        let now = |answer: &Answer| Out { after: 0, body: encoded(answer) };
        if let Request::Network(_) = request {
            *signed_on = true;
            return vec![now(&request.answered(ResponseCode::Approved, None))];
        }
        if !*signed_on {
            return vec![now(&request.answered(ResponseCode::SecurityViolation, None))];
        }
        let Some(payment) = request.payment() else { return Vec::new() };
        let (card, kind) = (TestCard::of(&payment.pan), request.kind());
        let authorization = kind == MessageType::AuthorizationRequest;
        if authorization && card == TestCard::Lost {
            return Vec::new();
        }
        let answer = self.answer(&request);
        let name = (request.key(), kind);
        match card {
            TestCard::Silent if authorization => Vec::new(),
            TestCard::Late if authorization => vec![Out { after: self.late, body: encoded(&answer) }],
            TestCard::Garbled if authorization => {
                let mut body = encoded(&answer);
                // Field 65 is in no table: bit 1 of the secondary bitmap, which is announced.
                body[4] |= 0x80;
                vec![Out { after: 0, body }]
            }
            TestCard::Unclear if authorization => vec![now(&request.answered(ResponseCode::Malfunction, None))],
            TestCard::Forgetful if !authorization && self.forgotten.insert(name) => Vec::new(),
            TestCard::Twice => vec![now(&answer), now(&answer)],
            _ => vec![now(&answer)],
        }
    }

    /// The answer to a request about money; a repeat gets the first one's.
    fn answer(&mut self, request: &Request) -> Answer {
        let first = match request {
            Request::Reversal(reversal) => Request::Reversal(Reversal { repeat: false, ..reversal.clone() }),
            other => other.clone(),
        };
        let name = (first.key(), first.kind());
        if let Some((before, answer)) = self.answered.get(&name) {
            return if *before == first { answer.clone() } else { request.answered(ResponseCode::Duplicate, None) };
        }
        let answer = match &first {
            Request::Authorization(payment) => self.authorize(&first, payment),
            Request::Financial(financial) => self.post(&first, financial),
            Request::Reversal(reversal) => self.reverse(&first, reversal),
            Request::Network(_) => first.answered(ResponseCode::InvalidTransaction, None),
        };
        self.answered.insert(name, (first, answer.clone()));
        answer
    }
    fn enter(&mut self, request: &Request, payment: &Payment, minor: i64) {
        self.entries.push(Entry {
            key: request.key(),
            kind: request.kind(),
            merchant: payment.acceptor.merchant.as_str().to_owned(),
            unit: payment.amount.get().unit(),
            minor,
            refunded: 0,
            open: true,
        });
    }
    fn authorize(&mut self, request: &Request, payment: &Payment) -> Answer {
        let card = TestCard::of(&payment.pan);
        if !self.forgets && self.reversed.contains(&(request.kind(), request.key())) {
            return request.answered(ResponseCode::InvalidTransaction, None);
        }
        if let Some(code) = card.refusal() {
            return request.answered(code, None);
        }
        self.approvals += 1;
        let code = AuthorizationId::new(&format!("{:06}", self.approvals % 1_000_000));
        let whole = payment.amount.get();
        let half = tegata_core::Amount::new(whole.unit(), whole.minor() / 2).and_then(CardAmount::new);
        match (card, half) {
            (TestCard::Partial, Some(half)) if half.get().minor() > 0 => {
                self.enter(request, payment, half.get().minor().cast_signed());
                let Answer::Payment(mut answer) = request.answered(ResponseCode::PartialApproval, code) else {
                    return request.answered(ResponseCode::Malfunction, None);
                };
                answer.amount = half;
                Answer::Payment(answer)
            }
            _ => {
                self.enter(request, payment, whole.minor().cast_signed());
                request.answered(ResponseCode::Approved, code)
            }
        }
    }
    fn post(&mut self, request: &Request, financial: &Financial) -> Answer {
        let payment = &financial.payment;
        let minor = payment.amount.get().minor().cast_signed();
        let refund = payment.processing.transaction == Transaction::Refund;
        let Some(original) = &financial.original else {
            return request.answered(ResponseCode::InvalidTransaction, None);
        };
        match (TestCard::of(&payment.pan), refund) {
            (TestCard::Reneging, false) => {
                self.refused.0 += 1;
                return request.answered(ResponseCode::DoNotHonor, None);
            }
            (TestCard::Keeping, true) => {
                self.refused.1 += 1;
                return request.answered(ResponseCode::DoNotHonor, None);
            }
            _ => {}
        }
        // What is named is nearly always of the last few.
        let found = self.entries.iter_mut().rev().find(|entry| {
            entry.open && entry.minor > 0 && entry.kind == original.kind && original_key(original, payment, &entry.key)
        });
        let Some(found) = found.filter(|entry| minor <= entry.minor - entry.refunded) else {
            return request.answered(ResponseCode::InvalidAmount, None);
        };
        if refund {
            found.refunded += minor;
            self.enter(request, payment, -minor);
        } else {
            // The hold is over with its capture, also where less is taken.
            found.open = false;
            self.enter(request, payment, minor);
        }
        request.answered(ResponseCode::Approved, financial.authorization)
    }
    fn reverse(&mut self, request: &Request, reversal: &Reversal) -> Answer {
        let (original, payment) = (&reversal.original, &reversal.payment);
        let found = self
            .entries
            .iter_mut()
            .rev()
            .find(|entry| entry.kind == original.kind && original_key(original, payment, &entry.key));
        match found {
            Some(entry) => {
                entry.open = false;
                request.answered(ResponseCode::Approved, None)
            }
            None => {
                let key = Key { stan: original.stan, transmitted: original.transmitted, ..request.key() };
                self.reversed.insert((original.kind, key));
                request.answered(ResponseCode::OriginalNotFound, None)
            }
        }
    }
}

fn encoded(answer: &Answer) -> Zeroizing<Vec<u8>> {
    answer.message().map(|message| message.encode()).unwrap_or_default()
}
