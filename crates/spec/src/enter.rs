//! Honest messages about tickets: one concert, one gate, one ticket that comes in at its second try, goes out and comes back.

use crate::event::{Change, MovedSeat};
use crate::keys::{Who, ed, public};
use crate::samples::{CARD, Forms, ISSUER, NOW, SESSION, by, card_certificate, terminal_certificate, terms};
use tegata_core::card::ticket::*;
use tegata_core::card::{CardCertificate, CardKind, Terms};
use tegata_core::talk::enter::*;
use tegata_core::talk::event::{Changed, PlannedZone};
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::wire::canonical::{Bytes, Extensions, Wire};
use tegata_core::wire::certificate::{Certificate, Role, SessionProof};
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{Amount, CardId, DeviceId, EventId, Handle, Hash, Time, Unit};

/// The gate.
pub const GATE: DeviceId = DeviceId([0x6a; 16]);
/// The event.
pub const EVENT: EventId = EventId([0xe7; 16]);

fn none() -> Extensions {
    Extensions::default()
}
fn entries(minor: u64) -> Amount {
    Amount::new(Unit::ENTRIES, minor).expect("few entries")
}

/// The ticket's own terms.
pub fn ticket_terms() -> TicketTerms {
    TicketTerms {
        event: EVENT,
        place: "Town hall".into(),
        from: Time(NOW - 3600),
        until: Time(NOW + 3 * Time::DAY),
        zones: vec![1, 2],
        entries: 3,
        a_day: Some(2),
        day_begins: 14_400,
        reentry: true,
        companions: 1,
        door: Some(4),
        give_until: Some(Time(NOW + Time::DAY)),
        give_price: Some(crate::samples::usd(4_500)),
        refund_until: Some(Time(NOW - Time::DAY)),
        seating: Some(Handle::of(&Hash::of(b"the seats moved before"))),
        extensions: none(),
    }
}
/// The terms of a ticket.
pub fn terms_of_ticket() -> Terms {
    Terms {
        kind: CardKind::Ticket,
        unit: Unit::ENTRIES,
        name: "Concert, standing".into(),
        register_within: Some(3600),
        refundable: false,
        handovers: 2,
        ticket: Some(ticket_terms()),
        ..terms()
    }
}
/// The ticket's certificate.
pub fn ticket() -> CardCertificate {
    CardCertificate {
        kind: CardKind::Ticket,
        terms: terms_of_ticket().handle(),
        face: entries(3),
        seq: 0,
        remaining: 3,
        last_load: 0,
        offline_limit: 3,
        seat: Some(512),
        used: Some(1),
        ..card_certificate()
    }
}
pub(crate) fn signed_ticket() -> Signed<CardCertificate> {
    by(Who::Provider, &[], ticket())
}
fn gate_certificate() -> Signed<Certificate> {
    let gate = Certificate {
        subject: GATE.into(),
        role: Role::Gate,
        key: ed(Who::Gate),
        owner: Some(ISSUER),
        name: Some("Gate 4, west".into()),
        ..terminal_certificate()
    };
    by(Who::Provider, &[], gate)
}

/// Where the ticket is shown: the gate in this session, into zone 1.
pub fn gateway() -> Gateway {
    Gateway { session: SESSION, gate: GATE, event: EVENT, zone: 1, direction: Direction::In }
}
/// The context of a presentation there.
pub fn presentation_context() -> Vec<u8> {
    Presentation::context(CARD, 1, &gateway())
}
/// The context of a window.
pub fn window_context() -> Vec<u8> {
    Window::context(CARD, 1, EVENT, 1)
}
/// The hash of the usual presentation.
pub fn presentation_hash() -> Hash {
    signed_presentation().hash(&presentation_context())
}
fn signed_presentation() -> Signed<Presentation> {
    by(Who::Card, &presentation_context(), Presentation()[0].1.clone())
}
fn signed_admission(form: usize) -> Signed<Admission> {
    by(Who::Gate, &Admission::context(&presentation_hash()), Admission()[form].1.clone())
}
fn out() -> Gateway {
    Gateway { session: Hash([0x0e; 32]), direction: Direction::Out, ..gateway() }
}

/// A ticket's own terms.
#[allow(non_snake_case)] // named like the message
pub fn TicketTerms() -> Forms<TicketTerms> {
    let plain = TicketTerms {
        zones: vec![1],
        entries: 1,
        a_day: None,
        day_begins: 0,
        reentry: false,
        companions: 0,
        door: None,
        give_until: None,
        give_price: None,
        refund_until: None,
        seating: None,
        ..ticket_terms()
    };
    vec![("with everything", ticket_terms()), ("of one entry", plain)]
}
/// What gates show first.
#[allow(non_snake_case)] // named like the message
pub fn Examination() -> Forms<Examination> {
    let proof = SessionProof::unsigned(&ed(Who::Gate)).tbs(&SessionProof::context(&SESSION));
    let proof = crate::keys::sign(&crate::keys::secret(Who::Gate, Algorithm::Ed25519), &proof);
    let inward = Examination {
        certificate: gate_certificate(),
        proof: SessionSignature(proof),
        event: EVENT,
        zone: 1,
        direction: Direction::In,
        extensions: none(),
    };
    vec![("in", inward.clone()), ("out", Examination { direction: Direction::Out, ..inward })]
}
/// What tickets sign at gates.
#[allow(non_snake_case)] // named like the message
pub fn Presentation() -> Forms<Presentation> {
    let first = Presentation { entry: 2, people: 1, at: Time(NOW), attempt: 1, earlier: None, extensions: none() };
    let again = Presentation { attempt: 2, people: 2, earlier: Some(vec![Hash::of(b"the first")]), ..first.clone() };
    let all = (1..=MAX_EARLIER).map(|number| Hash::of(&[number.to_le_bytes()[0]])).collect();
    let often = Presentation { attempt: 90, earlier: Some(all), ..first.clone() };
    vec![("usual", first), ("a second attempt", again), ("with as many earlier attempts as may travel", often)]
}
/// Presentations with what proves them.
#[allow(non_snake_case)] // named like the message
pub fn Presented() -> Forms<Presented> {
    let first = Presented {
        presentation: signed_presentation(),
        certificate: signed_ticket(),
        left: None,
        title: None,
        unheard: None,
        extensions: none(),
    };
    let given = Presented { title: Some(vec![crate::give::hop()]), ..first.clone() };
    let back = Presented { left: Some(LeftBefore()[0].1.clone()), ..first.clone() };
    let out = Presented { unheard: Some(true), ..first.clone() };
    vec![
        ("usual", first),
        ("after an exit elsewhere", back),
        ("given on", given),
        ("of an exit whose entry it has not heard of", out),
    ]
}
/// Exits that another gate has signed.
#[allow(non_snake_case)] // named like the message
pub fn LeftBefore() -> Forms<LeftBefore> {
    let context = Presentation::context(CARD, 1, &out());
    let gone = Presentation { entry: 1, ..Presentation()[0].1.clone() };
    let presentation = by(Who::Card, &context, gone);
    let word = Admission { done: Admitted::Out, ..Admission()[0].1.clone() };
    let admission = by(Who::Gate, &Admission::context(&presentation.hash(&context)), word);
    let left =
        LeftBefore { gate: gate_certificate(), presentation, session: out().session, admission, extensions: none() };
    vec![("usual", left)]
}
/// Gates' words.
#[allow(non_snake_case)] // named like the message
pub fn Admission() -> Forms<Admission> {
    let let_in = Admission { done: Admitted::In, number: 31, at: Time(NOW + 1), why: None, extensions: none() };
    let let_out = Admission { done: Admitted::Out, ..let_in.clone() };
    let no = Admission { done: Admitted::Refused, why: Some(EnterRefusal::Inside), ..let_in.clone() };
    vec![("let in", let_in), ("let out", let_out), ("refused", no)]
}
/// What screens show.
#[allow(non_snake_case)] // named like the message
pub fn Window() -> Forms<Window> {
    let one = Window { entry: 2, at: Time(NOW), people: 1, extensions: none() };
    vec![("usual", one.clone()), ("of two people", Window { people: 2, ..one })]
}
fn signed_window() -> Signed<Window> {
    by(Who::Card, &window_context(), Window()[0].1.clone())
}
/// Codes on screens.
#[allow(non_snake_case)] // named like the message
pub fn WindowCode() -> Forms<WindowCode> {
    let usual = WindowCode { certificate: signed_ticket(), window: signed_window(), extensions: none() };
    let key = public(Who::Card, Algorithm::P256);
    let other = CardCertificate { key, ..ticket() };
    let window = crate::samples::with(Who::Card, Algorithm::P256, &window_context(), Window()[1].1.clone());
    let p256 = WindowCode { certificate: by(Who::Provider, &[], other), window, extensions: none() };
    vec![("usual", usual), ("with a P-256 key", p256)]
}
/// What logs keep.
#[allow(non_snake_case)] // named like the message
pub fn Shown() -> Forms<Shown> {
    let answered = Shown {
        presentation: Some(signed_presentation()),
        window: None,
        certificate: signed_ticket(),
        session: Some(SESSION),
        event: EVENT,
        zone: 1,
        direction: Direction::In,
        admission: Some(signed_admission(0)),
        title: None,
        extensions: none(),
    };
    let blank = Shown { presentation: None, session: None, admission: None, ..answered.clone() };
    let window = Shown { window: Some(signed_window()), ..blank.clone() };
    let nothing = Shown { direction: Direction::Out, ..blank };
    // What is missing in the first is missing: its first field is one that must be there.
    vec![("nothing at all", nothing), ("a presentation", answered), ("a window", window)]
}
/// Everything at a gate.
#[allow(non_snake_case)] // named like the message
pub fn EnterMessage() -> Forms<EnterMessage> {
    vec![
        ("an examination", EnterMessage::Examination(Examination()[0].1.clone())),
        ("a presentation", EnterMessage::Presented(Presented()[1].1.clone())),
        ("an admission", EnterMessage::Admission(signed_admission(0))),
        ("a refusal", EnterMessage::Refused(EnterRefusal::GateNotTrusted)),
        ("a ticket under a newer key", EnterMessage::Refused(EnterRefusal::TicketKeyUnknown)),
    ]
}
/// Gates' events.
#[allow(non_snake_case)] // named like the message
pub fn Setup() -> Forms<Setup> {
    let dead = |byte, generation, why| DeadTicket { card: CardId([byte; 16]), generation, why };
    let setup = Setup {
        number: 5,
        event: EVENT,
        name: "Concert of the town band".into(),
        terms: vec![terms_of_ticket()],
        replaced: vec![terms().handle()],
        dead: vec![dead(1, 1, EnterRefusal::GivenAway), dead(2, 3, EnterRefusal::Blocked)],
        door: 4,
        zone: 1,
        direction: Direction::In,
        at: Time(NOW - 600),
        gates: vec![GATE],
        staff: None,
        seats: None,
        unnamed: None,
        zones: None,
        door_name: None,
        extensions: none(),
    };
    let staffed = Setup { staff: Some(staff()), ..setup.clone() };
    let run = |seat, count, name: &str, step| SeatRun { seat, count, name: name.into(), step };
    let seats = vec![run(1, 12, "Row 5, 09", 1), run(13, 30, "Row 6, 1", 2), run(43, 1, "Box", 1)];
    let seated = Setup { seats: Some(seats), ..setup.clone() };
    let unnamed = Setup { unnamed: Some(70_000), ..setup.clone() };
    let zone = |zone, name: &str| PlannedZone { zone, name: name.into(), extensions: none() };
    let zones = Some(vec![zone(1, "Hall"), zone(2, "Bar")]);
    let named = Setup { zones, door_name: Some("North".into()), ..setup.clone() };
    let new = Setup { number: 1, terms: vec![], replaced: vec![], dead: vec![], gates: vec![], ..setup.clone() };
    vec![
        ("usual", setup),
        ("with nothing in it", new),
        ("with staff", staffed),
        ("with seats", seated),
        ("with too many seats", unnamed),
        ("with the names of its zones and its door", named),
    ]
}
/// The staff of an event.
pub fn staff() -> Vec<Member> {
    let badge = |seed: u8| tegata_crypto_native::Badge::generate([seed; 32]).key().public();
    let steward = Member { number: 1, key: badge(1), role: StaffRole::Steward, until: None, extensions: none() };
    let until = Some(Time(NOW + 3600));
    vec![steward, Member { number: 2, key: badge(2), role: StaffRole::Supervisor, until, extensions: none() }]
}
/// Members of the staff.
#[allow(non_snake_case)] // named like the message
pub fn Member() -> Forms<Member> {
    let [steward, supervisor]: [Member; 2] = staff().try_into().unwrap_or_else(|_| unreachable!("two"));
    vec![("a steward", steward), ("a supervisor that was", supervisor)]
}
/// Entries that are over.
#[allow(non_snake_case)] // named like the message
pub fn EntryOver() -> Forms<EntryOver> {
    vec![("usual", EntryOver { card: CARD, generation: 1, entry: 2, extensions: none() })]
}
/// What staff did by hand.
#[allow(non_snake_case)] // named like the message
pub fn ByHand() -> Forms<ByHand> {
    let out = ByHand {
        staff: 1,
        zone: 1,
        direction: Direction::Out,
        people: 3,
        over: None,
        at: Time(NOW),
        event: EVENT,
        extensions: none(),
    };
    let over = ByHand { staff: 2, people: 1, over: Some(EntryOver()[0].1.clone()), ..out.clone() };
    vec![
        ("people out", out.clone()),
        ("an entry over", over),
        ("people in", ByHand { staff: 2, direction: Direction::In, ..out }),
    ]
}
/// Pieces of gates' logs.
#[allow(non_snake_case)] // named like the message
pub fn Page() -> Forms<Page> {
    let entry = admitted_entry().to_bytes();
    let page = Page {
        gate: GATE,
        event: EVENT,
        after: 30,
        number: 31,
        head: Hash::of(b"thirty entries").chain(&entry),
        entries: vec![Bytes(entry)],
        at: Time(NOW + 2),
        extensions: none(),
    };
    vec![("usual", page.clone()), ("of nothing", Page { after: 31, entries: vec![], ..page })]
}
/// Pages told on.
#[allow(non_snake_case)] // named like the message
pub fn Relay() -> Forms<Relay> {
    let page = by(Who::Gate, &[], Page()[0].1.clone());
    let certificate = gate_certificate();
    vec![("usual", Relay { by: DeviceId([0x6b; 16]), certificate, page, extensions: none() })]
}
/// How far gates are heard.
#[allow(non_snake_case)] // named like the message
pub fn Listened() -> Forms<Listened> {
    let heard = Listened { gate: GATE, number: 31, heard: true, extensions: none() };
    vec![("silent", Listened { heard: false, ..heard.clone() }), ("heard", heard)]
}
/// Questions between gates.
#[allow(non_snake_case)] // named like the message
pub fn PagesAsked() -> Forms<PagesAsked> {
    let first = PagesAsked { after: 0, others: None, extensions: none() };
    let others = Some(Listened().into_iter().map(|(_, one)| one).collect());
    vec![("the first", first), ("with others", PagesAsked { after: 31, others, extensions: none() })]
}
/// Answers between gates.
#[allow(non_snake_case)] // named like the message
pub fn PagesTold() -> Forms<PagesTold> {
    let page = by(Who::Gate, &[], Page()[0].1.clone());
    let certificate = gate_certificate();
    let own = PagesTold { certificate, page, relay: None, extensions: none() };
    let relay = Some(by(Who::Gate, &[], Relay()[0].1.clone()));
    vec![("its own", own.clone()), ("with another's", PagesTold { relay, ..own })]
}
/// What is known of neighbours.
#[allow(non_snake_case)] // named like the message
pub fn Neighbour() -> Forms<Neighbour> {
    let head = Hash::of(b"thirty entries");
    let neighbour = Neighbour { number: 30, head, last: 31, heard: Time(NOW), pages: None, extensions: none() };
    vec![("usual", neighbour.clone()), ("with pages kept", Neighbour { pages: Some(12), ..neighbour })]
}
/// Uses.
#[allow(non_snake_case)] // named like the message
pub fn Use() -> Forms<Use> {
    let opened = Use {
        entry: 2,
        direction: Direction::In,
        shown: presentation_hash(),
        gate: GATE,
        number: 31,
        at: Time(NOW + 1),
        people: 1,
        opening: None,
        window: None,
        extensions: none(),
    };
    let opening = Use { opening: Some(true), ..opened.clone() };
    let shown = signed_window().hash(&window_context());
    vec![("opened", opened.clone()), ("opening", opening), ("by a window", Use { shown, window: Some(true), ..opened })]
}
/// What gates know of tickets.
#[allow(non_snake_case)] // named like the message
pub fn Usage() -> Forms<Usage> {
    let one = Use()[0].1.clone();
    let day = ticket_terms().day(one.at);
    let uses = vec![one.clone()];
    let inside = Usage { entry: 2, inside: 1, day, today: 1, uses, ..Usage::new(1, 0) };
    let given = Usage { former: Some(vec![one]), ..Usage::new(2, 2) };
    vec![("inside", inside), ("never seen", Usage::new(1, 0)), ("given on", given)]
}
/// People inside a zone.
#[allow(non_snake_case)] // named like the message
pub fn Zone() -> Forms<Zone> {
    vec![("usual", Zone { zone: 1, inside: 412, came: 530, hand_in: None, hand_out: None, extensions: none() })]
}
/// People inside.
#[allow(non_snake_case)] // named like the message
pub fn Tally() -> Forms<Tally> {
    let of = |zones| Tally { zones, extensions: none() };
    vec![("of one zone", of(vec![Zone()[0].1.clone()])), ("nobody", of(vec![]))]
}
/// Attempts.
#[allow(non_snake_case)] // named like the message
pub fn Attempt() -> Forms<Attempt> {
    let open = Attempt {
        presentation: signed_presentation(),
        session: SESSION,
        gate: gate_certificate(),
        event: EVENT,
        zone: 1,
        direction: Direction::In,
        refused: None,
        extensions: none(),
    };
    let refused = Attempt { refused: Some(signed_admission(2)), ..open.clone() };
    vec![("not answered", open), ("refused", refused)]
}
/// Entries, as wallets know them.
#[allow(non_snake_case)] // named like the message
pub fn Pass() -> Forms<Pass> {
    let inside = Pass { entry: 2, inside: true, ..Pass::new(1, 2) };
    let outside = Pass {
        entry: 1,
        inside: false,
        attempts: Attempt().into_iter().map(|(_, attempt)| attempt).collect(),
        left: Some(LeftBefore()[0].1.clone()),
        ..inside.clone()
    };
    let coded = Pass { coded: Some(1), ..Pass::new(1, 0) };
    let since = Pass { coded: Some(3), since: Some(Time(NOW + 1)), ..inside.clone() };
    let moment = Pass { coded_at: Some(Time(NOW)), ..coded.clone() };
    vec![
        ("inside", inside),
        ("outside, after two attempts", outside),
        ("a code was shown", coded),
        ("inside, and a code was shown on another day", since),
        ("a code was shown, and when", moment),
    ]
}

/// A gate's entry about an admission.
pub fn admitted_entry() -> LogEntry {
    LogEntry {
        card: Some(CARD),
        generation: Some(1),
        shown: Some(Shown()[1].1.clone()),
        ..LogEntry::new(EntryKind::Admitted, Time(NOW + 1), 31)
    }
}
/// A gate's entry about what its staff did.
pub fn hand_entry() -> LogEntry {
    let hand = by(Who::Card, &ByHand::context(GATE, 31), ByHand()[0].1.clone());
    LogEntry { hand: Some(hand), ..LogEntry::new(EntryKind::ByHand, Time(NOW + 1), 31) }
}
/// A wallet's entry about the same.
pub fn presented_entry() -> LogEntry {
    LogEntry { kind: EntryKind::Presented, terminal: Some(GATE), ..admitted_entry() }
}
/// What a wallet is told of a change.
#[allow(non_snake_case)] // named like the message
pub fn Changed() -> Forms<Changed> {
    let change = Change()[0].1.clone();
    let moved = Changed {
        change: Unsigned::new(change.clone(), Algorithm::Ed25519).hash(&[]),
        card: CARD,
        after: change.after,
        text: change.text,
        answer_until: change.answer_until,
        silence_refunds: change.silence_refunds,
        seat: None,
        extensions: none(),
    };
    vec![
        ("moved", moved.clone()),
        ("its seat moved", Changed { seat: Some(MovedSeat()[0].1.clone()), ..moved.clone() }),
        ("cancelled", Changed { after: None, silence_refunds: true, ..moved }),
    ]
}
