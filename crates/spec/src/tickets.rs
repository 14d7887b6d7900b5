//! Vectors of judgements about tickets: which two presentations convict, and which codes a camera reads.

use crate::case::{Case, refusal};
use crate::judge::{Verdict, decode_signed, key};
use crate::keys::{Who, ed};
use crate::samples::*;
use crate::show::Show;
use serde_json::{Value, json};
use tegata_core::talk::enter::{
    Direction, Gateway, MAX_CODE, MAX_EARLIER, Presentation, Told, earlier, twice as convicts,
};
use tegata_core::wire::canonical::{DecodeError, Reader, Wire};
use tegata_core::wire::signed::{Algorithm, PublicKey, Signed};
use tegata_core::{CardId, DeviceId, EventId, Hash, Time};
use tegata_crypto_native::NativeVerifier;

/// What must be the same in both contexts for two presentations to be of one entry: all but session and gate.
type Place = (CardId, u64, EventId, u64, Direction);

fn place(context: &[u8]) -> Result<Place, DecodeError> {
    let mut from = Reader::new(context);
    from.array(7)?;
    let (card, generation) = (CardId::read(&mut from)?, u64::read(&mut from)?);
    let (_, _) = (Hash::read(&mut from)?, DeviceId::read(&mut from)?);
    let (event, zone, direction) = (EventId::read(&mut from)?, u64::read(&mut from)?, Direction::read(&mut from)?);
    from.end()?;
    Ok((card, generation, event, zone, direction))
}

/// Whether two presentations convict a ticket's holder. The bytes are the first, `second` the other.
pub fn judge_twice(case: &Case) -> Verdict {
    let key: PublicKey = key(case.key.as_deref().unwrap_or_default())?;
    let first = decode_signed::<Presentation>(&case.bytes)?;
    let second = decode_signed::<Presentation>(&case.hex("second"))?;
    let contexts = (case.context.clone().unwrap_or_default(), case.hex("second_context"));
    let no = || String::from("NotTwice");
    let (one, two) = (place(&contexts.0).map_err(|_| no())?, place(&contexts.1).map_err(|_| no())?);
    let first = first.verify(&key, &contexts.0, &NativeVerifier).map_err(|_| no())?;
    let second = second.verify(&key, &contexts.1, &NativeVerifier).map_err(|_| no())?;
    let (names, of_one_entry) = ((first.hash(), second.hash()), one == two && first.entry == second.entry);
    let one = Told { hash: &names.0, attempt: first.attempt, earlier: earlier(&first) };
    let two = Told { hash: &names.1, attempt: second.attempt, earlier: earlier(&second) };
    if of_one_entry && convicts(one, two) { Ok(json!({ "convicts": true })) } else { Err(no()) }
}

/// A presentation at a place, by somebody.
#[derive(Clone)]
struct Try {
    who: Who,
    generation: u64,
    at: Gateway,
    body: Presentation,
}

impl Try {
    fn context(&self) -> Vec<u8> {
        Presentation::context(CARD, self.generation, &self.at)
    }
    fn signed(&self) -> Signed<Presentation> {
        by(self.who, &self.context(), self.body.clone())
    }
    fn hash(&self) -> Hash {
        self.signed().hash(&self.context())
    }
}

/// The first presentation, as it is everywhere below unless said otherwise.
fn first() -> Try {
    Try { who: Who::Card, generation: 1, at: gateway(), body: Presentation()[0].1.clone() }
}
/// One at another gate, in another session, a minute later.
fn elsewhere(attempt: u64, earlier: &[Hash]) -> Try {
    let at = Gateway { session: Hash([0x5f; 32]), gate: DeviceId([0x6b; 16]), ..gateway() };
    let earlier = (!earlier.is_empty()).then(|| earlier.to_vec());
    Try { at, body: Presentation { at: Time(NOW + 60), attempt, earlier, ..first().body }, ..first() }
}

/// Which two presentations of one entry convict (R20).
pub fn twice() -> Vec<Case> {
    let case = |name: &str, one: &Try, two: &Try, why: Option<&str>| {
        let expect = why.map_or_else(|| json!({ "convicts": true }), refusal);
        Case::new(name, "SignedPresentation", one.signed().encode(), expect)
            .signed(ed(Who::Card).as_bytes(), &one.context())
            .given("judge", "twice")
            .given("second", hex::encode(two.signed().encode()))
            .given("second_context", hex::encode(two.context()))
    };
    let no = Some("NotTwice");
    let (one, other) = (first(), Hash::of(b"what another wallet showed"));
    let copy = elsewhere(1, &[]);
    let moved = |change: fn(&mut Try)| {
        let mut copy = elsewhere(1, &[]);
        change(&mut copy);
        copy
    };
    let second = elsewhere(2, &[one.hash()]);
    let most: Vec<Hash> = (1..MAX_EARLIER).map(|number| Hash([number.to_le_bytes()[0]; 32])).collect();
    let full = |oldest: Hash| elsewhere(7, &[&[oldest], &most[..]].concat());
    let mut all = vec![
        case("one attempt at two gates", &one, &copy, None),
        case("one attempt in two sessions of one gate", &one, &moved(|copy| copy.at.gate = GATE), None),
        case(
            "one attempt for one and for two people",
            &one,
            &{
                let mut more = first();
                more.body.people = 2;
                more
            },
            None,
        ),
        case("one attempt that names two pasts", &second, &elsewhere(2, &[other]), None),
        case("the second names another as the first", &one, &elsewhere(2, &[other]), None),
        case("the same in the other order", &elsewhere(2, &[other]), &one, None),
        case("the third names another as the first", &one, &elsewhere(3, &[other, Hash([2; 32])]), None),
        case("the seventh names another as the first", &one, &full(other), None),
        case("the same presentation twice", &one, &one, no),
        case("the second names the first", &one, &second, no),
        case("the second names the first, in the other order", &second, &one, no),
        case("the third names the first", &one, &elsewhere(3, &[one.hash(), Hash([2; 32])]), no),
        case("the seventh names the first", &one, &full(one.hash()), no),
        case("the third says nothing of the first", &one, &elsewhere(3, &[Hash([2; 32])]), no),
        case("the second names nothing", &one, &elsewhere(2, &[]), no),
        case("the largest attempt says nothing of the first", &one, &elsewhere((1 << 63) - 1, &[other]), no),
        case("of two entries", &one, &moved(|copy| copy.body.entry = 3), no),
        case("in and out", &one, &moved(|copy| copy.at.direction = Direction::Out), no),
        case("into two zones", &one, &moved(|copy| copy.at.zone = 2), no),
        case("at two events", &one, &moved(|copy| copy.at.event = EventId([1; 16])), no),
        case("of two generations", &one, &moved(|copy| copy.generation = 2), no),
        case("the second by somebody else", &one, &moved(|copy| copy.who = Who::Stranger), no),
        case("the first by somebody else", &Try { who: Who::Terminal, ..first() }, &copy, no),
    ];
    let mut changed = |name: &str, key: &str, value: Vec<u8>, why: &str| {
        let mut case = case(name, &one, &copy, Some(why));
        case.given.insert(key.into(), Value::String(hex::encode(value)));
        all.push(case);
    };
    let (context, signed) = (copy.context(), copy.signed().encode());
    changed("the second shown in another context than signed", "second_context", one.context(), "NotTwice");
    changed("the second in a window's context", "second_context", window_context(), "NotTwice");
    changed("in a context with something behind it", "second_context", [&context[..], &[0]].concat(), "NotTwice");
    changed("the second truncated", "second", signed[..signed.len() - 1].to_vec(), "Truncated");
    changed(
        "the second is a window",
        "second",
        by(Who::Card, &window_context(), Window()[0].1.clone()).encode(),
        "Kind",
    );
    all
}

/// Which codes a camera reads (R21).
pub fn codes() -> Vec<Case> {
    let of = |name: &str, bytes: Vec<u8>, why: Option<&str>| {
        let shown = tegata_core::talk::enter::read_window(&bytes).map_or_else(|_| refusal("none"), |code| code.show());
        Case::new(name, "TicketCode", bytes, why.map_or(shown, refusal))
    };
    let usual = WindowCode()[0].1.to_bytes();
    let mut largest = WindowCode()[1].1.clone();
    let mut said = largest.certificate.claimed().clone();
    (said.seat, said.used, said.remaining) = (Some(70_000), Some(30), 100);
    largest.certificate = by(Who::Provider, &[], said);
    let later = |len: usize| {
        // The usual code with a field of a later version behind it.
        let fill = len - usual.len() - if len - usual.len() > 28 { 4 } else { 3 };
        let field = [vec![0x18, 0x80], tegata_core::wire::canonical::Bytes(vec![1; fill]).to_bytes()].concat();
        [&[usual[0] + 1], &usual[1..], &field].concat()
    };
    vec![
        of("usual", usual.clone(), None),
        of("with a P-256 key", WindowCode()[1].1.to_bytes(), None),
        of("of a large venue", largest.to_bytes(), None),
        of("as large as it may be", later(MAX_CODE), None),
        of("too large", later(MAX_CODE + 1), Some("TooLarge")),
        of("truncated", usual[..usual.len() - 1].to_vec(), Some("Truncated")),
        of("trailing", [&usual[..], &[0]].concat(), Some("Trailing")),
        of("nothing", vec![], Some("Truncated")),
        of("a text", String::from("https://example.com").to_bytes(), Some("Type")),
    ]
}

/// The size of a code, of a key of each algorithm.
pub fn code_sizes() -> Vec<(Algorithm, usize)> {
    let [ed, p256] = [0, 1].map(|form: usize| WindowCode()[form].1.to_bytes().len());
    vec![(Algorithm::Ed25519, ed), (Algorithm::P256, p256)]
}
