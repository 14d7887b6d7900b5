//! Vectors of every message: its honest forms, and each way in which bytes can be wrong.

use crate::case::{Case, refusal};
use crate::keys::{Who, envelope, protected, public, secret, sign, sign1, tbs};
use crate::samples::{self, Forms};
use crate::show::Show;
use serde_json::json;
use tegata_core::card::CallReceipt;
use tegata_core::card::payment::Purse;
use tegata_core::card::ticket::{TicketTerms, Usage, Use};
use tegata_core::card::title::Hop;
use tegata_core::card::*;
use tegata_core::charging::{CallTariff, Rate, Tariff, WeekTime};
use tegata_core::talk::call::{Call, CallRequest, Calling, Tariffed, Ticked};
use tegata_core::talk::credit::{processor::*, *};
use tegata_core::talk::{
    buy::*, cards::*, contract::*, enter::*, event::*, give::*, join::*, journal::*, pay::*, reach::*, report::*,
    update::*,
};
use tegata_core::wire::canonical::{MAX_NUMBER, MAX_TEXT, Message, Reader, Wire, Writer};
use tegata_core::wire::certificate::*;
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::{Algorithm, Signature};

/// A map's fields, each key and value as encoded.
#[derive(Clone)]
struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    /// `None` if it is no map.
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let len = from.map_len().ok()?;
        let mut pair = || Some((from.raw().ok()?.to_vec(), from.raw().ok()?.to_vec()));
        (0..len).map(|_| pair()).collect::<Option<_>>().map(Self)
    }
    fn bytes(&self) -> Vec<u8> {
        let mut to = Writer::new();
        to.map(self.0.len() as u64);
        self.body(&mut to);
        to.finish()
    }
    fn body(&self, to: &mut Writer) {
        for (key, value) in &self.0 {
            to.raw(key);
            to.raw(value);
        }
    }
    fn with(&self, change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>)) -> Vec<u8> {
        let mut changed = self.clone();
        change(&mut changed.0);
        changed.bytes()
    }
}

fn uint(number: u64) -> Vec<u8> {
    number.to_bytes()
}

/// Ways in which a map's bytes can be wrong, or new: a name, the bytes, the refusal. `first`: index of the first field
/// that is not the kind.
fn wrong_maps(good: &[u8], first: usize) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let Some(fields) = Fields::of(good) else {
        return Vec::new();
    };
    let count = fields.0.len();
    let mut all = Vec::new();
    all.push(("body truncated", good[..good.len() - 1].to_vec(), "Truncated"));
    all.push(("body trailing", [good, &[0]].concat(), "Trailing"));
    all.push((
        "body of indefinite length",
        {
            let mut to = Writer::new();
            to.raw(&[0xbf]);
            fields.body(&mut to);
            to.raw(&[0xff]);
            to.finish()
        },
        "NotCanonical",
    ));
    if let (true, Ok(len)) = (count < 24, u8::try_from(count)) {
        let mut long = vec![0xb8, len];
        long.extend_from_slice(&good[1..]);
        all.push(("body length not minimal", long, "NotCanonical"));
    }
    let long_key = fields.with(|all| {
        if let Some(last) = all.last_mut() {
            last.0.insert(0, 0x18);
        }
    });
    if count > 0 {
        all.push(("key not minimal", long_key, "NotCanonical"));
        all.push(("double key", fields.with(|all| all.extend(all.last().cloned())), "NotCanonical"));
    }
    all.push(("unknown key 127", fields.with(|all| all.push((uint(127), uint(0)))), "UnknownField"));
    all.push(("negative key", fields.with(|all| all.push((vec![0x20], uint(0)))), "Type"));
    all.push((
        "no map",
        {
            let mut to = Writer::new();
            to.array(1);
            to.bytes(good);
            to.finish()
        },
        "Type",
    ));
    all.push(("kept key, value not minimal", fields.with(|all| all.push((uint(128), vec![0x18, 1]))), "NotCanonical"));
    all.push(("kept key, value null", fields.with(|all| all.push((uint(128), vec![0xf6]))), "NotCanonical"));
    all.push(("kept key, value a float", fields.with(|all| all.push((uint(128), vec![0xf9, 0, 0]))), "NotCanonical"));
    all.push(("kept key, value tagged", fields.with(|all| all.push((uint(128), vec![0xc1, 0]))), "NotCanonical"));
    all.push((
        "kept key, nested 9 deep",
        fields.with(|all| all.push((uint(128), [vec![0x81; 8], vec![0]].concat()))),
        "NotCanonical",
    ));
    all.push((
        "kept key, its map unsorted",
        fields.with(|all| all.push((uint(128), vec![0xa2, 2, 0, 1, 0]))),
        "NotCanonical",
    ));
    all.push((
        "kept keys unsorted",
        fields.with(|all| all.extend([(uint(129), uint(0)), (uint(128), uint(0))])),
        "NotCanonical",
    ));
    if count > first {
        all.push(("first field missing", fields.with(|all| drop(all.remove(first))), "MissingField"));
        all.push(("first field null", fields.with(|all| all[first].1 = vec![0xf6]), "Type"));
    }
    if count > first + 1 {
        all.push(("unsorted keys", fields.with(|all| all.swap(first, first + 1)), "NotCanonical"));
    }
    if first == 1 {
        all.push(("of another kind", fields.with(|all| all[0].1 = uint(100)), "Kind"));
        all.push(("without its kind", fields.with(|all| drop(all.remove(0))), "Kind"));
        all.push(("empty map", vec![0xa0], "Kind"));
    }
    all
}

/// A field of a later version, as nested as it may be.
fn later(good: &[u8]) -> Option<Vec<u8>> {
    let deep = [vec![0x81; 7], vec![0]].concat();
    let map = vec![0xa2, 0x01, 0x63, b'n', b'e', b'w', 0x61, b'k', 0x42, 1, 2];
    let more = [(uint(128), deep), (uint(1000), map), (uint(u64::MAX), vec![0x3a, 0, 1, 0, 0])];
    Some(Fields::of(good)?.with(|all| all.extend(more)))
}

/// The message with a field of a later version that makes it `len` bytes long. `None` where no field fits exactly.
fn padded(good: &[u8], len: usize, sign: impl Fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let fields = Fields::of(good)?;
    let filled = |fill: usize| {
        let mut to = Writer::new();
        to.bytes(&vec![0; fill]);
        sign(&fields.with(|all| all.push((uint(128), to.finish()))))
    };
    let around = filled(len).len() - len;
    let fills = len.saturating_sub(around)..=len.saturating_sub(around) + 6;
    fills.map(filled).find(|bytes| bytes.len() == len)
}

const BOTH: [(&str, Algorithm); 2] = [("Ed25519", Algorithm::Ed25519), ("P-256", Algorithm::P256)];

/// The shown form of signed bytes.
fn shown<T: Message + Show>(bytes: &[u8]) -> serde_json::Value {
    crate::judge::decode_signed::<T>(bytes).map_or_else(refusal, |signed| signed.show())
}

fn signed<T: Message + Show>(name: &str, who: Who, context: &[u8], forms: Forms<T>) -> Vec<Case> {
    let rule = format!("Signed{name}");
    let good = forms[0].1.to_bytes();
    let ed = secret(who, Algorithm::Ed25519);
    let key = ed.public();
    let case = |name: &str, bytes: Vec<u8>, why: &str| {
        Case::new(name, &rule, bytes, refusal(why)).signed(key.as_bytes(), context)
    };
    let mut all = Vec::new();
    for (algorithm_name, algorithm) in BOTH {
        for (word, body) in &forms {
            let bytes = sign1(&secret(who, algorithm), context, &body.to_bytes());
            let signature = &bytes[bytes.len() - 64..];
            let expect = json!({
                "algorithm": if algorithm == Algorithm::Ed25519 { "Ed25519" } else { "P256" },
                "payload": body.show(),
                "signature": hex::encode(signature),
            });
            let name = format!("{word}, {algorithm_name}");
            all.push(Case::new(name, &rule, bytes, expect).signed(public(who, algorithm).as_bytes(), context));
        }
    }
    if let Some(payload) = later(&good) {
        let bytes = sign1(&ed, context, &payload);
        let expect = shown::<T>(&bytes);
        all.push(Case::new("fields of a later version are kept", &rule, bytes, expect).signed(key.as_bytes(), context));
    }
    let bytes = sign1(&ed, context, &good);
    // The body, signed again each time: nothing else is wrong.
    for (name, payload, why) in wrong_maps(&good, 1) {
        all.push(case(name, sign1(&ed, context, &payload), why));
    }
    // The envelope.
    let signature = Signature(bytes[bytes.len() - 64..].try_into().expect("64 bytes"));
    let parts = |protected: &[u8], unprotected: &[u8], signature: &[u8]| {
        let mut to = Writer::new();
        to.array(4);
        to.bytes(protected);
        to.raw(unprotected);
        to.bytes(&good);
        to.bytes(signature);
        to.finish()
    };
    let ours = protected(Algorithm::Ed25519);
    all.push(case("truncated", bytes[..bytes.len() - 1].to_vec(), "Truncated"));
    all.push(case("nothing", vec![], "Truncated"));
    all.push(case("trailing", [&bytes[..], &[0]].concat(), "Trailing"));
    all.push(case("array length not minimal", [&[0x98, 4], &bytes[1..]].concat(), "NotCanonical"));
    all.push(case("array of indefinite length", [&[0x9f], &bytes[1..], &[0xff]].concat(), "NotCanonical"));
    all.push(case("byte string length not minimal", [&[0x84, 0x58, 3], &bytes[2..]].concat(), "NotCanonical"));
    all.push(case("tagged COSE_Sign1", [&[0xd2], &bytes[..]].concat(), "Type"));
    all.push(case("algorithm -7", parts(&[0xa1, 1, 0x26], &[0xa0], &signature.0), "Value"));
    all.push(case("algorithm not minimal", parts(&[0xa1, 1, 0x38, 0x12], &[0xa0], &signature.0), "Value"));
    all.push(case("protected header empty", parts(&[], &[0xa0], &signature.0), "Value"));
    all.push(case("unprotected header", parts(&ours, &[0xa1, 4, 0x41, 1], &signature.0), "Value"));
    all.push(case("signature of 63 bytes", parts(&ours, &[0xa0], &signature.0[1..]), "Value"));
    let sized = |len: usize| padded(&good, len, |payload| sign1(&ed, context, payload));
    if let (true, Some(largest)) = (T::MAX_LEN <= 4096, sized(T::MAX_LEN)) {
        let expect = shown::<T>(&largest);
        all.push(Case::new("as large as it may be", &rule, largest, expect).signed(key.as_bytes(), context));
    }
    if let Some(larger) = sized(T::MAX_LEN + 1) {
        all.push(case("too large", larger, "TooLarge"));
    }
    // The signature.
    let mut flipped = bytes.clone();
    let last = flipped.len() - 1;
    flipped[last - 40] ^= 1;
    all.push(case("a bit of the signature flipped", flipped, "BadSignature"));
    let elsewhere = [context, &[0]].concat();
    all.push(case("signed in another context", sign1(&ed, &elsewhere, &good), "BadSignature"));
    all.push(case(
        "signed by somebody else",
        sign1(&secret(Who::Stranger, Algorithm::Ed25519), context, &good),
        "BadSignature",
    ));
    let p256 = secret(who, Algorithm::P256);
    all.push(case("of a key of the other algorithm", sign1(&p256, context, &good), "BadSignature"));
    let mixed = envelope(Algorithm::Ed25519, &good, &sign(&ed, &tbs(Algorithm::P256, context, &good)));
    all.push(case("signed under the other protected header", mixed, "BadSignature"));
    let mut p256_flipped = sign1(&p256, context, &good);
    let last = p256_flipped.len() - 1;
    p256_flipped[last] ^= 1;
    let wrong = Case::new("a bit of a P-256 signature flipped", &rule, p256_flipped, refusal("BadSignature"));
    all.push(wrong.signed(p256.public().as_bytes(), context));
    all
}

fn plain<T: Wire + Show>(name: &str, forms: Forms<T>, first: usize) -> Vec<Case> {
    let good = forms[0].1.to_bytes();
    let mut all: Vec<Case> =
        forms.iter().map(|(word, body)| Case::new(*word, name, body.to_bytes(), body.show())).collect();
    if let Some(bytes) = later(&good) {
        let expect = crate::judge::decode_plain::<T>(&bytes).map_or_else(refusal, |body| body.show());
        all.push(Case::new("fields of a later version are kept", name, bytes, expect));
    }
    for (word, bytes, why) in wrong_maps(&good, first) {
        all.push(Case::new(word, name, bytes, refusal(why)));
    }
    all.push(Case::new("nothing", name, vec![], refusal("Truncated")));
    all
}

/// Messages that are an array of a number and a body.
fn choices<T: Wire + Show>(name: &str, forms: Forms<T>, unknown: &'static str) -> Vec<Case> {
    let mut all = Vec::new();
    for (word, body) in &forms {
        let bytes = body.to_bytes();
        all.push(Case::new(*word, name, bytes.clone(), body.show()));
        let case =
            |what: &str, bytes: Vec<u8>, why: &str| Case::new(format!("{word}: {what}"), name, bytes, refusal(why));
        all.push(case("truncated", bytes[..bytes.len() - 1].to_vec(), "Truncated"));
        all.push(case("trailing", [&bytes[..], &[0]].concat(), "Trailing"));
        all.push(case("length not minimal", [&[0x98, bytes[0] & 0x1f], &bytes[1..]].concat(), "NotCanonical"));
        all.push(case("of indefinite length", [&[0x9f], &bytes[1..], &[0xff]].concat(), "NotCanonical"));
        all.push(case("number not minimal", [&bytes[..1], &[0x18], &bytes[1..]].concat(), "NotCanonical"));
        all.push(case("of an unknown number", [&bytes[..1], &[23], &bytes[2..]].concat(), unknown));
        all.push(case("with an item more", [&[bytes[0] + 1], &bytes[1..], &[0]].concat(), "Value"));
    }
    all.push(Case::new("no array", name, vec![0xa0], refusal("Type")));
    all
}

macro_rules! messages {
    (signed { $($name:ident by $who:ident in $context:expr;)* } plain { $($plain:ident)* } bodies { $($body:ident)* }) => {
        /// A file for each message.
        pub fn files() -> Vec<(&'static str, Vec<Case>)> {
            vec![
                $((concat!("signed_", stringify!($name), ".json"),
                    signed::<$name>(stringify!($name), Who::$who, &$context, samples::$name())),)*
                $((concat!("plain_", stringify!($plain), ".json"),
                    plain::<$plain>(stringify!($plain), samples::$plain(), 0)),)*
                $((concat!("plain_", stringify!($body), ".json"),
                    plain::<$body>(stringify!($body), samples::$body(), 1)),)*
                ("plain_PayMessage.json", pay_messages()),
                ("plain_EnterMessage.json", enter_messages()),
                ("plain_GiveMessage.json", give_messages()),
                ("plain_CallMessage.json", choices("CallMessage", samples::CallMessage(), "Kind")),
                ("plain_Raise.json", choices("Raise", samples::Raise(), "Value")),
                ("plain_Address.json", choices("Address", samples::Address(), "Value")),
                ("values.json", values()),
            ]
        }
        /// What this implementation makes of a case of these rules; `None` for other rules.
        pub fn read(case: &Case) -> Option<crate::judge::Verdict> {
            Some(match case.rule.as_str() {
                $(concat!("Signed", stringify!($name)) => crate::judge::signed::<$name>(case),)*
                $(stringify!($plain) => crate::judge::plain::<$plain>(case),)*
                $(stringify!($body) => crate::judge::plain::<$body>(case),)*
                "PayMessage" => crate::judge::pay_message(case),
                "EnterMessage" => crate::judge::enter_message(case),
                "GiveMessage" => crate::judge::give_message(case),
                "TicketCode" => crate::judge::ticket_code(case),
                "CallMessage" => crate::judge::call_message(case),
                "Raise" => crate::judge::plain::<Raise>(case),
                "Address" => crate::judge::plain::<Address>(case),
                _ => return None,
            })
        }
    };
}

messages! {
    signed {
        Certificate by Provider in [];
        SessionProof by Terminal in SessionProof::context(&samples::SESSION);
        RevocationList by Provider in [];
        Terms by Issuer in [];
        CardCertificate by Provider in [];
        Load by Provider in [];
        Void by Terminal in Void::context(samples::TERMINAL);
        Reversal by Provider in [];
        CardEvent by Card in samples::check_context(&samples::charge().to_bytes());
        Charge by Terminal in Charge::context(&samples::SESSION, samples::TERMINAL);
        Receipt by Terminal in Receipt::context(&samples::check_hash());
        UpdateRequest by Terminal in [];
        Challenge by Provider in samples::REQUEST.to_bytes();
        UpdateReply by Provider in samples::REQUEST.to_bytes();
        JoinRequest by Terminal in [];
        JoinReply by Provider in samples::REQUEST.to_bytes();
        NumberKey by Issuer in [];
        Order by Issuer in [];
        Activate by Terminal in [];
        Done by Provider in samples::REQUEST.to_bytes();
        InstallRequest by Wallet in [];
        InstallReply by Provider in samples::REQUEST.to_bytes();
        LoadRequest by Wallet in [];
        LoadReply by Provider in samples::REQUEST.to_bytes();
        Refused by Provider in samples::REQUEST.to_bytes();
        ReportRequest by Terminal in [];
        Report by Provider in samples::REQUEST.to_bytes();
        Contract by Provider in [];
        Authorize by Provider in [];
        Clear by Provider in [];
        VoidAuthorization by Provider in [];
        Refund by Provider in [];
        Query by Provider in [];
        OpenAccount by Provider in [];
        Outcome by Processor in samples::REQUEST.to_bytes();
        ClearingInformation by Processor in [];
        ClearingCompletion by Processor in samples::REQUEST.to_bytes();
        ProcessorRefused by Processor in samples::REQUEST.to_bytes();
        CreditOffer by Card in CreditOffer::context(&samples::SESSION);
        Agreement by Card in Agreement::context(&samples::offer_hash());
        AuthorizationRequest by Terminal in [];
        PaymentRequest by Wallet in [];
        CreditAnswer by Provider in samples::REQUEST.to_bytes();
        ClearingRequest by Terminal in [];
        ClearingNotification by Provider in samples::REQUEST.to_bytes();
        MerchantReceipt by Terminal in [];
        UserReceipt by Provider in [];
        RegisterCard by Wallet in [];
        Listing by Issuer in [];
        CatalogueRequest by Wallet in [];
        Catalogue by Provider in samples::REQUEST.to_bytes();
        Reserve by Wallet in [];
        Purchase by Wallet in [];
        PurchaseAnswer by Provider in samples::REQUEST.to_bytes();
        TemporaryReceipt by Provider in [];
        Cancel by Wallet in [];
        Wait by Wallet in [];
        Refunded by Provider in [];
        Reachable by Wallet in [];
        KeyAsk by Terminal in [];
        KeyAnswer by Provider in samples::REQUEST.to_bytes();
        Carry by Terminal in [];
        Letter by Terminal in [];
        Mute by Wallet in [];
        Unopened by Wallet in [];
        PhoneAt by Wallet in [];
        CallAsk by Wallet in [];
        CallNumber by Provider in samples::REQUEST.to_bytes();
        Presentation by Card in samples::presentation_context();
        Admission by Gate in Admission::context(&samples::presentation_hash());
        Window by Card in samples::window_context();
        Page by Gate in [];
        Relay by Gate in [];
        Register by Wallet in [];
        GiftRequest by Wallet in [];
        Gift by Provider in samples::REQUEST.to_bytes();
        EventPlan by Issuer in [];
        Tariff by Issuer in [];
        CallTariff by Terminal in CallTariff::context(&samples::SESSION, samples::TERMINAL);
        CallReceipt by Terminal in CallReceipt::context(samples::TERMINAL);
        GateOrder by Issuer in [];
        GateInvite by Issuer in [];
        StaffOrder by Issuer in [];
        ByHand by Card in ByHand::context(crate::enter::GATE, 31);
        Change by Issuer in [];
        ChangeAnswer by Wallet in [];
        ChangeReply by Provider in samples::REQUEST.to_bytes();
    }
    plain {
        OperationalKey Anchors Offered Offer Charged Checked LogEntry Journal Command Restart ProviderInfo Sealed Purse
        Paying Untouched Claim Till ProcessorInfo CardDetails MerchantDetails CreditOffered Credited
        Article Bought ReceiptName Enclosed Delivery KeptLetter StandsFor
        TicketTerms Examination Presented LeftBefore WindowCode Shown Setup Neighbour Listened PagesAsked PagesTold Use Usage Zone Tally Attempt Pass
        CallRequest Tariffed Ticked Calling Call Through Links Link
        WeekTime Rate Member EntryOver PlannedZone PlannedDoor Seat SeatMove MovedSeat Changed KeptChange Kept
        Hop GiveOffer Acceptance Reveal Exit Given Taken HandedOver Taking GiftKept
    }
    bodies { Terms }
}

/// What is said while paying, at and beyond its bounds.
fn pay_messages() -> Vec<Case> {
    let mut all = choices("PayMessage", samples::PayMessage(), "Kind");
    let offer = samples::Offer()[0].1.to_bytes();
    let sized = |len: usize| padded(&offer, len, |body| [&[0x82, 1], body].concat()).expect("a field of any length");
    let accepted = |name: &str, bytes: Vec<u8>| {
        let expect = PayMessage::received(&bytes).map_or_else(|_| refusal("none"), |message| message.show());
        Case::new(name, "PayMessage", bytes, expect)
    };
    all.push(accepted("as large as it may be", sized(MAX_PAY_MESSAGE)));
    all.push(Case::new("too large", "PayMessage", sized(MAX_PAY_MESSAGE + 1), refusal("TooLarge")));
    let charged = |len: usize| {
        let charge = Charge { items: Some("x".repeat(len)), ..samples::charge() };
        let context = Charge::context(&samples::SESSION, samples::TERMINAL);
        let charge = samples::by(Who::Terminal, &context, charge);
        PayMessage::Charged(Charged { charge, ..samples::Charged()[1].1.clone() }).to_bytes()
    };
    all.push(accepted("a charge with the longest items", charged(MAX_ITEMS)));
    all.push(Case::new("a charge with items a byte too long", "PayMessage", charged(MAX_ITEMS + 1), refusal("Value")));
    all
}

/// What is said at a gate, at and beyond its bounds.
fn enter_messages() -> Vec<Case> {
    let mut all = choices("EnterMessage", samples::EnterMessage(), "Kind");
    let shown = samples::Presented()[0].1.to_bytes();
    let sized = |len: usize| padded(&shown, len, |body| [&[0x82, 2], body].concat()).expect("a field of any length");
    let accepted = |name: &str, bytes: Vec<u8>| {
        let expect = EnterMessage::received(&bytes).map_or_else(|_| refusal("none"), |message| message.show());
        Case::new(name, "EnterMessage", bytes, expect)
    };
    all.push(accepted("as large as it may be", sized(MAX_ENTER_MESSAGE)));
    all.push(Case::new("too large", "EnterMessage", sized(MAX_ENTER_MESSAGE + 1), refusal("TooLarge")));
    all.push(Case::new("an unknown refusal", "EnterMessage", vec![0x82, 4, 0x18, 255], refusal("Value")));
    all
}

/// What two wallets say, at and beyond its bounds.
fn give_messages() -> Vec<Case> {
    let mut all = choices("GiveMessage", samples::GiveMessage(), "Kind");
    let offer = samples::GiveOffer()[0].1.to_bytes();
    let sized = |len: usize| padded(&offer, len, |body| [&[0x82, 1], body].concat()).expect("a field of any length");
    let bytes = sized(MAX_GIVE_MESSAGE);
    let expect = GiveMessage::received(&bytes).map_or_else(|_| refusal("none"), |message| message.show());
    all.push(Case::new("as large as it may be", "GiveMessage", bytes, expect));
    all.push(Case::new("too large", "GiveMessage", sized(MAX_GIVE_MESSAGE + 1), refusal("TooLarge")));
    all.push(Case::new("an unknown refusal", "GiveMessage", vec![0x82, 6, 0x18, 255], refusal("Value")));
    all
}

/// Texts that people read, at and beyond their bounds: a name, the text, whether it is accepted.
fn texts() -> Vec<(&'static str, String, bool)> {
    vec![
        ("a text of 300 bytes", "x".repeat(MAX_TEXT), true),
        ("a text of 301 bytes", "x".repeat(MAX_TEXT + 1), false),
        ("a text of 101 characters and 303 bytes", "\u{5238}".repeat(101), false),
        ("an empty text", String::new(), true),
        ("a text in another script", "\u{5238} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{1f375}".into(), true),
        ("a text with a line break", "tea\nTotal 0.01 USD".into(), false),
        ("a text with a zero byte", "tea\0".into(), false),
        ("a text with an escape", "\u{1b}[2Jtea".into(), false),
        ("a text with a delete character", "tea\u{7f}".into(), false),
        ("a text with a control character of two bytes", "tea\u{85}".into(), false),
        ("a text with a line separator", "tea\u{2028}Total 0.01 USD".into(), false),
        ("a text with a paragraph separator", "tea\u{2029}Total 0.01 USD".into(), false),
        ("a text with an override of direction", "\u{202e}DSU 10.0".into(), false),
        ("a text with an isolate", "\u{2067}tea\u{2069}".into(), false),
        ("a text with a mark of direction", "tea\u{200f}".into(), false),
        ("a text with an Arabic letter mark", "tea\u{61c}".into(), false),
    ]
}

/// Values at and beyond their bounds.
fn values() -> Vec<Case> {
    let charge = samples::charge();
    let good = charge.to_bytes();
    let key = public(Who::Terminal, Algorithm::Ed25519);
    let context = Charge::context(&samples::SESSION, samples::TERMINAL);
    let signed = |name: &str, payload: Vec<u8>, why: Option<&str>| {
        let bytes = sign1(&secret(Who::Terminal, Algorithm::Ed25519), &context, &payload);
        let expect = why.map_or_else(|| shown::<Charge>(&bytes), refusal);
        Case::new(name, "SignedCharge", bytes, expect).signed(key.as_bytes(), &context)
    };
    let amount = |unit: u64, minor: u64| {
        let mut to = Writer::new();
        to.array(2);
        to.uint(unit);
        to.uint(minor);
        let value = to.finish();
        Fields::of(&good).map(|fields| fields.with(|all| all[2].1 = value)).unwrap_or_default()
    };
    let max = tegata_core::Amount::MAX;
    let field =
        |at: usize, value: Vec<u8>| Fields::of(&good).map(|f| f.with(|all| all[at].1 = value)).unwrap_or_default();
    let mut all = vec![
        signed("an amount of nothing", amount(840, 0), None),
        signed("the largest amount", amount(840, max), None),
        signed("an amount above the maximum", amount(840, max + 1), Some("Value")),
        signed("the largest number as amount", amount(840, u64::MAX), Some("Value")),
        signed("an unknown unit", amount(841, 5), Some("Value")),
        signed("a unit beyond two bytes", amount(65_536 + 840, 5), Some("Value")),
        signed("a negative amount", field(2, vec![0x82, 0x19, 0x03, 0x48, 0x20]), Some("Type")),
        signed("an amount with a third part", field(2, vec![0x83, 0x19, 0x03, 0x48, 1, 0]), Some("Value")),
        signed("an amount of one part", field(2, vec![0x81, 0x19, 0x03, 0x48]), Some("Value")),
        signed("an amount in floating point", field(2, vec![0x82, 0x19, 0x03, 0x48, 0xf9, 0x3c, 0]), Some("Type")),
        signed("a big number for the transaction", field(1, vec![0xc2, 0x41, 5]), Some("Type")),
        signed("the largest time", field(4, uint(MAX_NUMBER)), None),
        signed("a time beyond it", field(4, uint(MAX_NUMBER + 1)), Some("Value")),
        signed("the largest number", field(1, uint(MAX_NUMBER)), None),
        signed("a number beyond it", field(1, uint(MAX_NUMBER + 1)), Some("Value")),
        signed("the largest number of 64 bits", field(1, uint(u64::MAX)), Some("Value")),
        signed("items with a line break", field(5, String::from("tea\n0.01 USD").to_bytes()), Some("Value")),
        signed("items written backwards", field(5, String::from("\u{202e}DSU 10.0").to_bytes()), Some("Value")),
        signed("items as bytes", field(5, vec![0x41, b'x']), Some("Type")),
        signed("items that are no UTF-8", field(5, vec![0x62, 0xc3, 0x28]), Some("Type")),
        signed("items of indefinite length", field(5, vec![0x7f, 0x61, b'x', 0xff]), Some("Type")),
        signed("items whose length is not minimal", field(5, vec![0x78, 1, b'x']), Some("NotCanonical")),
    ];
    let certificate = samples::terminal_certificate().to_bytes();
    let provider = secret(Who::Provider, Algorithm::Ed25519);
    let mut certified = |name: &str, at: usize, value: Vec<u8>| {
        let payload = Fields::of(&certificate).map(|f| f.with(|all| all[at].1 = value)).unwrap_or_default();
        let case = Case::new(name, "SignedCertificate", sign1(&provider, &[], &payload), refusal("Value"));
        all.push(case.signed(provider.public().as_bytes(), &[]));
    };
    certified("a subject of 15 bytes", 1, [vec![0x4f], vec![1; 15]].concat());
    certified("an unknown role", 2, uint(10));
    certified("role 0", 2, uint(0));
    certified("a key of 31 bytes", 3, [vec![0x58, 31], vec![1; 31]].concat());
    certified("a key of 65 bytes", 3, [vec![0x58, 65], vec![4; 65]].concat());
    let authorize = samples::Authorize()[0].1.to_bytes();
    for (name, code) in [
        ("payment option 0", 0),
        ("payment option 11", 11),
        ("one instalment", 6101),
        ("two instalments", 6102),
        ("99 instalments", 6199),
        ("a hundred instalments", 6200),
    ] {
        let payload = Fields::of(&authorize).map(|f| f.with(|all| all[7].1 = uint(code))).unwrap_or_default();
        let bytes = sign1(&provider, &[], &payload);
        let accepted = (6102..=6199).contains(&code);
        let expect = if accepted { shown::<Authorize>(&bytes) } else { refusal("Value") };
        all.push(Case::new(name, "SignedAuthorize", bytes, expect).signed(provider.public().as_bytes(), &[]));
    }
    let card = samples::CardDetails()[0].1.to_bytes();
    for (name, at, value) in [
        ("a card number of 11 digits", 0, [vec![0x4b], vec![b'4'; 11]].concat()),
        ("a card number of 20 digits", 0, [vec![0x54], vec![b'4'; 20]].concat()),
        ("a card number as text", 0, String::from("4111111111111111").to_bytes()),
        ("a card that expires in month 13", 1, uint(2913)),
        ("a card that expires in month 0", 1, uint(2900)),
        ("a card of a hundredth year", 1, uint(10_001)),
    ] {
        let bytes = Fields::of(&card).map(|f| f.with(|all| all[at].1 = value)).unwrap_or_default();
        let why = if name.ends_with("as text") { "Type" } else { "Value" };
        all.push(Case::new(name, "CardDetails", bytes, refusal(why)));
    }
    let info = samples::ProviderInfo()[0].1.clone();
    for (name, text, accepted) in texts() {
        let named = ProviderInfo { name: text, ..info.clone() };
        let expect = if accepted { named.show() } else { refusal("Value") };
        all.push(Case::new(name, "ProviderInfo", named.to_bytes(), expect));
    }
    let tick = samples::CardEvent()[1].1.to_bytes();
    let context = samples::check_context(&charge.to_bytes());
    let card = secret(Who::Card, Algorithm::Ed25519);
    for (name, number, accepted) in [
        ("tick 1", 1, true),
        ("tick 0 written out", 0, false),
        ("the largest tick", MAX_NUMBER, true),
        ("a tick beyond it", MAX_NUMBER + 1, false),
    ] {
        let payload = Fields::of(&tick).map(|f| f.with(|all| all[3].1 = uint(number))).unwrap_or_default();
        let bytes = sign1(&card, &context, &payload);
        let expect = if accepted { shown::<CardEvent>(&bytes) } else { refusal("Value") };
        all.push(Case::new(name, "SignedCardEvent", bytes, expect).signed(card.public().as_bytes(), &context));
    }
    let mut list = samples::revocation_list();
    for (name, generation, accepted) in
        [("the largest dead generation", MAX_NUMBER, true), ("a dead generation beyond it", MAX_NUMBER + 1, false)]
    {
        list.cards[1].generation = generation;
        let bytes = sign1(&provider, &[], &list.to_bytes());
        let expect = if accepted { shown::<RevocationList>(&bytes) } else { refusal("Value") };
        all.push(Case::new(name, "SignedRevocationList", bytes, expect).signed(provider.public().as_bytes(), &[]));
    }
    all
}

/// Signatures that libraries disagree about (R2, R3).
pub fn signatures() -> Vec<Case> {
    let body = samples::Load()[0].1.clone();
    let payload = body.to_bytes();
    let mut all = Vec::new();
    let case = |name: String, key: &[u8], signature: [u8; 64], why: Option<&str>| {
        let algorithm = if key.len() == 32 { Algorithm::Ed25519 } else { Algorithm::P256 };
        let bytes = envelope(algorithm, &payload, &Signature(signature));
        let expect = why.map_or_else(|| shown::<Load>(&bytes), refusal);
        Case::new(name, "SignedLoad", bytes, expect).signed(key, &[])
    };
    let ed = secret(Who::Provider, Algorithm::Ed25519);
    let good = sign(&ed, &tbs(Algorithm::Ed25519, &[], &payload)).0;
    all.push(case("honest, Ed25519".into(), ed.public().as_bytes(), good, None));
    for (name, key) in small_orders() {
        // R = A and S = 0 fits every message under a small-order key, for a verifier that does not look.
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&key);
        all.push(case(format!("Ed25519 key of small order, {name}"), &key, signature, Some("BadSignature")));
        let mut nonce = good;
        nonce[..32].copy_from_slice(&key);
        all.push(case(
            format!("Ed25519 R of small order, {name}"),
            ed.public().as_bytes(),
            nonce,
            Some("BadSignature"),
        ));
    }
    let mut twin = good;
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap_or_default();
    let mut carry = 0;
    for (byte, add) in twin[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    all.push(case("Ed25519 S + L".into(), ed.public().as_bytes(), twin, Some("BadSignature")));
    let p256 = secret(Who::Provider, Algorithm::P256);
    let good = sign(&p256, &tbs(Algorithm::P256, &[], &payload)).0;
    let key = *p256.public().as_bytes().first_chunk::<33>().expect("33 bytes");
    all.push(case("honest, P-256".into(), &key, good, None));
    let parsed = p256::ecdsa::Signature::from_slice(&good).expect("just signed");
    let negated = p256::ecdsa::Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes());
    let twin: [u8; 64] = negated.expect("not zero").to_bytes().into();
    all.push(case("P-256, the valid twin r, n - s: the same message by the same hash (R2)".into(), &key, twin, None));
    for (name, from) in [("r zero", 0), ("s zero", 32)] {
        let mut zero = good;
        zero[from..from + 32].fill(0);
        all.push(case(format!("P-256, {name}"), &key, zero, Some("BadSignature")));
    }
    let mut uncompressed = key;
    uncompressed[0] = 4;
    all.push(case("P-256 key with the lead byte 04".into(), &uncompressed, good, Some("BadSignature")));
    let mut mirrored = key;
    mirrored[0] ^= 1;
    all.push(case("P-256, the key's mirror image".into(), &mirrored, good, Some("BadSignature")));
    all
}

/// Encodings of points of small order, canonical or not.
fn small_orders() -> Vec<(&'static str, [u8; 32])> {
    let all = [
        ("the identity", "0100000000000000000000000000000000000000000000000000000000000000"),
        ("the identity, not canonical", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ("order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ("order 4", "0000000000000000000000000000000000000000000000000000000000000000"),
        ("order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        ("order 8, the other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ];
    all.map(|(name, digits)| {
        let mut key = [0; 32];
        key.copy_from_slice(&hex::decode(digits).unwrap_or_default());
        (name, key)
    })
    .to_vec()
}
