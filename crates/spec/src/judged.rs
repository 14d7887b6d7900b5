//! Vectors of judgements: who is trusted, which checks pay, what convicts.

use crate::case::{Case, refusal};
use crate::keys::{Who, ed, public};
use crate::samples::*;
use crate::show::{Show, hexed};
use serde_json::{Value, json};
use std::num::NonZeroU64;
use tegata_core::card::*;
use tegata_core::talk::pay::{Charge, Checked};
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::canonical::{MAX_NUMBER, Wire};
use tegata_core::wire::certificate::*;
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{Amount, CardId, DeviceId, Hash, Time, Unit};

/// Which certificates are accepted in which role.
pub fn certificates() -> Vec<Case> {
    let case = |name: &str, body: Certificate, who: Who, role: Role, time: u64, why: Option<&str>| {
        let signed = by(who, &[], body);
        let expect = why.map_or_else(|| signed.show(), refusal);
        Case::new(name, "SignedCertificate", signed.encode(), expect)
            .at(time)
            .given("judge", "participant")
            .given("role", role.name())
            .given("anchors", hexed(&anchors()))
    };
    let ours = terminal_certificate;
    let (from, until) = (ours().from.0, ours().until.0);
    let mut all = vec![
        case("a terminal", ours(), Who::Provider, Role::Terminal, NOW, None),
        case("in its first second", ours(), Who::Provider, Role::Terminal, from, None),
        case("in its last second", ours(), Who::Provider, Role::Terminal, until - 1, None),
        case(
            "by a clock that is behind",
            Certificate { from: Time(NOW + CLOCK_TOLERANCE), ..ours() },
            Who::Provider,
            Role::Terminal,
            NOW,
            None,
        ),
        case(
            "a second early",
            Certificate { from: Time(NOW + CLOCK_TOLERANCE + 1), ..ours() },
            Who::Provider,
            Role::Terminal,
            NOW,
            Some("NotYetValid"),
        ),
        case("a second late", ours(), Who::Provider, Role::Terminal, until, Some("Expired")),
        case(
            "before its signer's key is valid",
            ours(),
            Who::Provider,
            Role::Terminal,
            from - CLOCK_TOLERANCE - 1,
            Some("NotYetValid"),
        ),
        case(
            "after its signer's key is valid",
            Certificate { until: Time::END, ..ours() },
            Who::Provider,
            Role::Terminal,
            NOW + 90 * Time::DAY,
            Some("Expired"),
        ),
        case(
            "by nobody known",
            Certificate { signer: 8, ..ours() },
            Who::Provider,
            Role::Terminal,
            NOW,
            Some("UnknownSigner"),
        ),
        case(
            "of a device, by the root",
            Certificate { signer: 0, ..ours() },
            Who::Root,
            Role::Terminal,
            NOW,
            Some("UnknownSigner"),
        ),
        case("forged", ours(), Who::Stranger, Role::Terminal, NOW, Some("Forged")),
        case("by the device itself", ours(), Who::Terminal, Role::Terminal, NOW, Some("Forged")),
        case(
            "revoked",
            Certificate { subject: Subject([0xdd; 16]), ..ours() },
            Who::Provider,
            Role::Terminal,
            NOW,
            Some("Revoked"),
        ),
        case(
            "first on the list",
            Certificate { subject: Subject([0x01; 16]), ..ours() },
            Who::Provider,
            Role::Terminal,
            NOW,
            Some("Revoked"),
        ),
    ];
    for role in Role::ALL {
        let why = (*role != Role::Wallet).then_some("WrongRole");
        let wallet = Certificate { role: Role::Wallet, ..ours() };
        all.push(case(&format!("a wallet as {}", role.name()), wallet, Who::Provider, *role, NOW, why));
        let why = (*role != Role::Terminal).then_some("WrongRole");
        all.push(case(&format!("a terminal as {}", role.name()), ours(), Who::Provider, *role, NOW, why));
    }
    all
}

/// Which cards' certificates are accepted.
pub fn cards() -> Vec<Case> {
    let case = |name: &str, body: CardCertificate, who: Who, time: u64, why: Option<&str>| {
        let signed = by(who, &[], body);
        let expect = why.map_or_else(|| signed.show(), refusal);
        let case = Case::new(name, "SignedCardCertificate", signed.encode(), expect);
        case.at(time).given("judge", "card").given("anchors", hexed(&anchors()))
    };
    let ours = card_certificate;
    let dead = |generation| CardCertificate { card: CardId([0xde; 16]), generation, ..ours() };
    vec![
        case("usual", ours(), Who::Provider, NOW, None),
        case(
            "signed in the future of this clock",
            CardCertificate { from: Time(NOW + 9), ..ours() },
            Who::Provider,
            NOW,
            None,
        ),
        case("overdue, which bounds judge", CardCertificate { due: Time(NOW - 9), ..ours() }, Who::Provider, NOW, None),
        case("in its last second", CardCertificate { until: Time(NOW + 1), ..ours() }, Who::Provider, NOW, None),
        case("a second late", CardCertificate { until: Time(NOW), ..ours() }, Who::Provider, NOW, Some("Expired")),
        case("forged", ours(), Who::Issuer, NOW, Some("Forged")),
        case("signed by itself", ours(), Who::Card, NOW, Some("Forged")),
        case("by nobody known", CardCertificate { signer: 1, ..ours() }, Who::Provider, NOW, Some("UnknownSigner")),
        case("of a dead generation", dead(1), Who::Provider, NOW, Some("Revoked")),
        case("of the last dead generation", dead(2), Who::Provider, NOW, Some("Revoked")),
        case("of the generation after", dead(3), Who::Provider, NOW, None),
    ]
}

/// A check with all that it is judged by.
#[derive(Clone)]
struct Tap {
    certificate: CardCertificate,
    terms: Terms,
    raises: Vec<Raise>,
    check: CardEvent,
    charge: Charge,
    now: u64,
    card_key: (Who, Algorithm),
    presented_at: DeviceId,
}

impl Tap {
    fn usual() -> Self {
        Self {
            certificate: card_certificate(),
            terms: terms(),
            raises: vec![],
            check: check(),
            charge: charge(),
            now: NOW,
            card_key: (Who::Card, Algorithm::Ed25519),
            presented_at: TERMINAL,
        }
    }
    /// Pays `amount` and leaves `remaining`.
    fn paying(mut self, amount: u64, remaining: u64) -> Self {
        self.charge.amount = usd(amount);
        self.check.amount = amount;
        self.check.remaining = remaining;
        self
    }
    fn context(&self) -> Vec<u8> {
        let bytes = self.charge.to_bytes();
        let counterpart = Counterpart::Charge { session: SESSION, terminal: TERMINAL, charge: &bytes };
        CardEvent::context(self.certificate.card, self.certificate.generation, &counterpart)
    }
    fn signed(&self) -> Signed<CardEvent> {
        with(self.card_key.0, self.card_key.1, &self.context(), self.check.clone())
    }
    fn case(self, name: &str, why: Option<&str>) -> Case {
        let check = self.signed();
        let expect = match why {
            Some(why) => refusal(why),
            None => json!({ "accepted": check.hash(&self.context()).show() }),
        };
        let checked = Checked {
            check,
            certificate: Some(by(Who::Provider, &[], self.certificate)),
            raises: (!self.raises.is_empty()).then_some(self.raises),
            extensions: Default::default(),
        };
        Case::new(name, "Checked", checked.to_bytes(), expect)
            .at(self.now)
            .given("judge", "check")
            .given("anchors", hexed(&anchors()))
            .given("terms", hexed(&self.terms))
            .given("charge", hexed(&self.charge))
            .given("session", hexed(&SESSION))
            .given("terminal", hexed(&self.presented_at))
    }
}

fn loaded(load: Load) -> Raise {
    Raise::Load(by(Who::Provider, &[], load))
}

fn yen(minor: u64) -> Amount {
    Amount::new(Unit::JPY, minor).expect("a small amount")
}

/// Which checks a terminal takes (R6).
pub fn checks() -> Vec<Case> {
    let tap = Tap::usual;
    let certified = |change: fn(&mut CardCertificate)| {
        let mut tap = tap();
        change(&mut tap.certificate);
        tap
    };
    let checked = |change: fn(&mut CardEvent)| {
        let mut tap = tap();
        change(&mut tap.check);
        tap
    };
    let raised = |raises: Vec<Raise>, amount, remaining| {
        let mut tap = tap().paying(amount, remaining);
        tap.terms.max_payment = 100_000;
        tap.certificate.offline_limit = 100_000;
        tap.raises = raises;
        tap
    };
    let one = || loaded(load());
    let void = || Raise::Void(TERMINAL, by(Who::Terminal, &Void::context(TERMINAL), Void()[0].1.clone()));
    let close = || Raise::Void(TERMINAL, by(Who::Terminal, &Void::context(TERMINAL), Void()[1].1.clone()));
    let reversal = || Raise::Reversal(by(Who::Provider, &[], reversal()));
    let p256 = {
        let mut tap = tap();
        tap.card_key = (Who::Card, Algorithm::P256);
        tap.certificate.key = public(Who::Card, Algorithm::P256);
        tap
    };
    let mut all = vec![
        tap().case("usual", None),
        p256.case("by a P-256 card", None),
        tap().paying(10_000, 10_000).case("the largest payment", None),
        tap().paying(10_001, 9_999).case("above the largest payment", Some("AboveMaximum")),
        tap().paying(1, 19_999).case("the smallest payment", None),
        tap().paying(0, 20_000).case("nothing", Some("Zero")),
        tap().paying(5_000, 5_000).case("up to the offline limit, with what was spent before", None),
        tap().paying(5_000, 4_999).case("a cent above the offline limit", Some("OfflineLimit")),
        tap().paying(1_250, 18_751).case("remaining a cent above what the checkpoint allows", Some("TooLittle")),
        tap().paying(1_250, MAX_NUMBER).case("remaining as much as there can be", Some("TooLittle")),
        tap().paying(1_250, MAX_NUMBER + 1).case("remaining more than there can be", Some("Value")),
        checked(|check| check.remaining = 20_000)
            .case("a payment that leaves the balance as it was", Some("TooLittle")),
        checked(|check| check.amount = 1_249).case("a cent less than charged", Some("Overflow")),
        checked(|check| check.amount = 1_251).case("a cent more than charged", Some("Overflow")),
        checked(|check| check.event = EventKind::Load).case("a load as a check", Some("Overflow")),
        checked(|check| check.event = EventKind::CreditBack).case("a credit-back as a check", Some("Overflow")),
        checked(|check| check.tick = NonZeroU64::new(1)).case("a tick as a check", Some("Overflow")),
        checked(|check| check.seq = 4).case("the checkpoint's own event number", Some("Repeated")),
        checked(|check| check.seq = 3).case("an event before the checkpoint", Some("Repeated")),
        checked(|check| check.seq = 99).case("events in between that the terminal has not seen", None),
        certified(|card| card.due = Time(NOW + 1)).case("a second before the update is due", None),
        certified(|card| card.due = Time(NOW)).case("when the update is due", Some("Overdue")),
        certified(|card| card.until = Time(NOW)).case("an expired card", Some("Expired")),
        certified(|card| card.signer = 9).case("a card certified by nobody known", Some("UnknownSigner")),
        certified(|card| (card.card, card.generation) = (CardId([0xde; 16]), 2))
            .case("a dead generation", Some("Revoked")),
        certified(|card| card.key = ed(Who::Stranger))
            .case("signed with another key than the certificate's", Some("BadSignature")),
        Tap { presented_at: DeviceId([0x7f; 16]), ..tap() }.case("signed for another terminal", Some("BadSignature")),
        Tap { terms: Terms { unit: Unit::EUR, ..terms() }, ..tap() }
            .case("terms in another currency", Some("OtherUnit")),
        raised(vec![one()], 25_000, 0).case("with a load", None),
        raised(vec![one()], 25_001, 0).case("a cent above a load", Some("TooLittle")),
        raised(vec![loaded(Load { number: 2, ..load() })], 20_001, 0)
            .case("with a load that the checkpoint contains", Some("TooLittle")),
        raised(vec![loaded(Load { number: 2, ..load() })], 20_000, 0)
            .case("a load that the checkpoint contains does not count", None),
        raised(vec![one(), loaded(Load { number: 4, ..load() })], 30_000, 0).case("with two loads", None),
        raised(vec![one(), one()], 30_000, 0).case("with one load shown twice", Some("Overflow")),
        raised(vec![one(), one()], 1_250, 18_750).case("with one load shown twice, not needed", Some("Overflow")),
        raised(vec![one(), loaded(Load { at: Time(NOW), ..load() })], 30_000, 0)
            .case("with two loads of one number", Some("Overflow")),
        raised(vec![loaded(Load { amount: yen(5_000), ..load() })], 25_000, 0)
            .case("with a load in another unit", Some("Overflow")),
        raised(vec![loaded(Load { amount: yen(5_000), number: 2, ..load() })], 20_000, 0)
            .case("with a load in another unit that does not count", None),
        raised(vec![one(), loaded(Load { number: 4, ..load() }), void()], 30_000, 0)
            .case("with three raises", Some("TooManyRaises")),
        raised(vec![void()], 20_000, 0).case("a void does not lift above the checkpoint", None),
        raised(vec![void()], 20_001, 0).case("a void presented as a load", Some("TooLittle")),
        raised(vec![close()], 20_001, 0).case("a close presented as a load by an empty card", Some("TooLittle")),
        raised(vec![reversal()], 20_001, 0).case("a reversal presented as a load", Some("TooLittle")),
        raised(vec![loaded(Load { card: CardId([9; 16]), ..load() })], 25_000, 0)
            .case("another card's load", Some("OtherCard")),
        raised(vec![loaded(Load { generation: 2, ..load() })], 25_000, 0)
            .case("another generation's load", Some("OtherCard")),
        raised(vec![loaded(Load { signer: 8, ..load() })], 25_000, 0)
            .case("a load by nobody known", Some("UnknownSigner")),
        raised(vec![Raise::Load(by(Who::Card, &[], load()))], 25_000, 0)
            .case("a load that the card signed itself", Some("Forged")),
    ];
    let mut euro = tap();
    euro.charge.amount = Amount::new(Unit::EUR, 1_250).expect("a small amount");
    all.push(euro.case("a charge in another currency than the terms", Some("OtherUnit")));
    let without = Checked { check: tap().signed(), certificate: None, raises: None, extensions: Default::default() };
    let mut case = tap().case("without a certificate", Some("CertificateNeeded"));
    case.bytes = without.to_bytes();
    all.push(case);
    all
}

/// Which pairs of events convict (R1, R2, R9).
pub fn forks() -> Vec<Case> {
    let usual = check_context(&charge().to_bytes());
    let other = check_context(&Charge { transaction: 18, ..charge() }.to_bytes());
    let taken = CardEvent::context(CARD, 1, &Counterpart::Raise(Hash::of(b"a load")));
    type Event<'a> = (Who, CardEvent, &'a [u8]);
    let case = |name: &str, first: Event<'_>, second: Event<'_>, at: Value, why: Option<&str>| {
        let (one, two) = (by(first.0, first.2, first.1), by(second.0, second.2, second.1));
        let expect = why.map_or_else(|| json!({ "convicts": true }), refusal);
        Case::new(name, "SignedCardEvent", one.encode(), expect)
            .signed(ed(Who::Card).as_bytes(), first.2)
            .given("judge", "fork")
            .given("position", at)
            .given("second", hex::encode(two.encode()))
            .given("second_context", hex::encode(second.2))
    };
    let at = |seq: u64, tick: u64| json!({ "card": CARD.show(), "generation": 1, "seq": seq, "tick": tick });
    let mine = |change: fn(&mut CardEvent)| {
        let mut event = check();
        change(&mut event);
        event
    };
    let session = |tick: u64, amount: u64| CardEvent {
        event: EventKind::Session,
        tick: NonZeroU64::new(tick),
        amount,
        ..check()
    };
    let same = || (Who::Card, check(), &usual[..]);
    let mut all = vec![
        case(
            "two amounts under one number",
            same(),
            (Who::Card, mine(|e| e.remaining = 19_000), &usual),
            at(5, 0),
            None,
        ),
        case("one payload for two charges", same(), (Who::Card, check(), &other), at(5, 0), None),
        case(
            "a check and a load under one number",
            same(),
            (Who::Card, mine(|e| e.event = EventKind::Load), &taken),
            at(5, 0),
            None,
        ),
        case("two pasts", same(), (Who::Card, mine(|e| e.previous = Hash::ZERO), &usual), at(5, 0), None),
        case(
            "two totals under one tick",
            (Who::Card, session(3, 10), &usual),
            (Who::Card, session(3, 20), &usual),
            at(5, 3),
            None,
        ),
        case("the same event twice", same(), same(), at(5, 0), Some("NoFork")),
        case("two numbers", same(), (Who::Card, mine(|e| e.seq = 6), &usual), at(5, 0), Some("NoFork")),
        case(
            "two ticks of one session",
            (Who::Card, session(3, 10), &usual),
            (Who::Card, session(4, 20), &usual),
            at(5, 3),
            Some("NoFork"),
        ),
        case(
            "another number than the proof says",
            same(),
            (Who::Card, mine(|e| e.remaining = 1), &usual),
            at(6, 0),
            Some("NoFork"),
        ),
        case(
            "the second by somebody else",
            same(),
            (Who::Stranger, mine(|e| e.remaining = 1), &usual),
            at(5, 0),
            Some("NoFork"),
        ),
        case(
            "the first by somebody else",
            (Who::Terminal, check(), &usual),
            (Who::Card, mine(|e| e.remaining = 1), &usual),
            at(5, 0),
            Some("NoFork"),
        ),
    ];
    let bytes = charge().to_bytes();
    let counterpart = Counterpart::Charge { session: SESSION, terminal: TERMINAL, charge: &bytes };
    let twice = |name: &str, context: &[u8]| {
        let other = mine(|event| event.remaining = 1);
        case(name, same(), (Who::Card, other, context), at(5, 0), Some("NoFork"))
    };
    // One key serves two generations after a restore (R14).
    all.push(twice("of two generations", &CardEvent::context(CARD, 2, &counterpart)));
    all.push(twice("of two cards", &CardEvent::context(CardId([9; 16]), 1, &counterpart)));
    all.push(twice("in a context that names no card", &[]));
    all.push(twice("in a context with something behind it", &[&usual[..], &[0]].concat()));
    all.push(twice("in a context of four parts", &[&[0x84], &taken[1..], &[0]].concat()));
    all.push(twice("in a context whose number is not minimal", &{
        let mut long = taken.clone();
        long.splice(18..19, [0x18, 1]);
        long
    }));
    all.push(case(
        "of another generation than the proof says",
        same(),
        (Who::Card, mine(|e| e.remaining = 1), &usual),
        json!({ "card": CARD.show(), "generation": 2, "seq": 5, "tick": 0 }),
        Some("NoFork"),
    ));
    let mut moved = case(
        "the second shown in another context than signed",
        same(),
        (Who::Card, mine(|e| e.remaining = 1), &usual),
        at(5, 0),
        Some("NoFork"),
    );
    moved.given.insert("second_context".into(), json!(hex::encode(&other)));
    all.push(moved);
    let mut cut = case(
        "the second truncated",
        same(),
        (Who::Card, mine(|e| e.remaining = 1), &usual),
        at(5, 0),
        Some("Truncated"),
    );
    let short = cut.hex("second");
    cut.given.insert("second".into(), json!(hex::encode(&short[..short.len() - 1])));
    all.push(cut);
    all
}

/// Which revocation lists a device takes (R11).
pub fn lists() -> Vec<Case> {
    let case = |name: &str, change: fn(&mut RevocationList), who: Who, time: u64, why: Option<&str>| {
        let mut body = revocation_list();
        change(&mut body);
        let signed = by(who, &[], body);
        let expect = why.map_or_else(|| signed.show(), refusal);
        let case = Case::new(name, "SignedRevocationList", signed.encode(), expect);
        case.at(time).given("judge", "list").given("anchors", hexed(&anchors()))
    };
    let ours =
        |name: &str, change: fn(&mut RevocationList), why: Option<&str>| case(name, change, Who::Provider, NOW, why);
    let unsorted = Some("Unsorted");
    vec![
        ours("usual", |_| (), None),
        ours("empty", |list| (list.subjects, list.cards) = (vec![], vec![]), None),
        ours("of one subject", |list| list.subjects.truncate(1), None),
        ours("subjects descending", |list| list.subjects.reverse(), unsorted),
        ours("a subject twice", |list| list.subjects[0] = list.subjects[1], unsorted),
        ours("cards descending", |list| list.cards.reverse(), unsorted),
        ours("a card twice, of two generations", |list| list.cards[0].card = list.cards[1].card, unsorted),
        ours("by nobody known", |list| list.signer = 8, Some("UnknownSigner")),
        case("forged", |_| (), Who::Terminal, NOW, Some("Forged")),
        case("after its signer's key is valid", |_| (), Who::Provider, NOW + 90 * Time::DAY, Some("Expired")),
    ]
}

/// Which operational keys a device takes.
pub fn keys() -> Vec<Case> {
    let command = |name: &str, keys: Option<Vec<Signed<Certificate>>>, expect: Value| {
        let command = Command { keys, ..Command::new(CommandKind::Keys) };
        let case = Case::new(name, "Command", command.to_bytes(), expect);
        case.given("judge", "keys").given("root", hex::encode(ed(Who::Root).as_bytes()))
    };
    let by_root = |body: Certificate| by(Who::Root, &[], body);
    let numbered = |number: u64| by_root(Certificate { number: Some(number), ..key_certificate() });
    let held = |number: u64| {
        let said = key_certificate();
        OperationalKey { number, from: said.from, until: said.until, ..operational_key() }.show()
    };
    let refused = |name: &str, keys: Vec<Signed<Certificate>>| command(name, Some(keys), refusal("NotTrusted"));
    vec![
        command("one key", Some(vec![numbered(7)]), json!({ "keys": [held(7)] })),
        command("two keys", Some(vec![numbered(8), numbered(7)]), json!({ "keys": [held(8), held(7)] })),
        command("no keys at all", None, refusal("NotTrusted")),
        // Certificates of signer 0 would pass for the root's.
        refused("a key numbered 0", vec![numbered(0)]),
        refused("a key without a number", vec![by_root(Certificate { number: None, ..key_certificate() })]),
        refused("one number twice", vec![numbered(7), numbered(7)]),
        refused("a key of another role", vec![by_root(Certificate { role: Role::Issuer, ..key_certificate() })]),
        refused("a key of another signer", vec![by_root(Certificate { signer: 7, ..key_certificate() })]),
        refused("a key by an operational key", vec![by(Who::Provider, &[], key_certificate())]),
        refused("a good key and a forged one", vec![numbered(8), by(Who::Stranger, &[], key_certificate())]),
    ]
}
