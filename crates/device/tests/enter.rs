//! Gates and tickets as scripts: both sides real, the link's bytes between them, vaults in memory (R20-R22).
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::venue::*;
use std::sync::Arc;
use tegata_core::card::CardCertificate;
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::ticket::{TicketTerms, Usage};
use tegata_core::record::{Batch, Space};
use tegata_core::step::{Context, Effect, Event, Step, Talk};
use tegata_core::talk::enter::*;
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::talk::pay::{load_purse, purse_key};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::*;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{EventId, Hash, PartyId, Time};
use tegata_crypto_native::SecretKey;
use tegata_device::{Now, TerminalTap, WalletTap};
use tegata_vault::Vault;

#[test]
fn a_tap_is_two_exchanges_and_a_code_is_at_most_300_bytes() {
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let mut venue = Venue::new(algorithm, ticket_terms());
        let code = venue.code();
        println!("{algorithm:?}: code {} bytes", code.len());
        assert!(code.len() <= MAX_CODE);
        let told = venue.enter(0);
        assert!(let_in(&told), "{told:?}");
        println!("{algorithm:?}: tap {} bytes in {} exchanges", venue.bytes, venue.exchanges);
        assert!(venue.exchanges <= 2 && venue.bytes <= 1_200);
    }
}

#[test]
fn in_out_in_again_and_never_twice_for_one_entry() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside);
    assert!(let_in(&venue.touch(0, 2, usize::MAX)));
    assert_eq!(venue.inside(0), 2);
    assert_eq!(venue.refusal(0, 1), EnterRefusal::Inside);
    let (seen, shown) = venue.enter(2);
    assert!(matches!(seen[..], [WalletEnterNotice::Out { .. }]), "{seen:?}");
    assert!(matches!(shown[..], [GateNotice::LetOut(_)]));
    // The gate has not heard of the exit: the wallet shows it.
    assert!(let_in(&venue.enter(0)));
    assert_eq!(venue.inside(0), 1);
    assert_eq!(venue.refusal(0, 3), EnterRefusal::TooMany);
    assert_eq!(venue.log(0), [EntryKind::Admitted, EntryKind::TurnedAway, EntryKind::Admitted, EntryKind::TurnedAway]);
}

#[test]
fn wherever_the_link_is_cut_the_gate_opens_once_and_the_wallet_hears_of_it() {
    for frames in 0..4 {
        let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
        let (_, first) = venue.touch(0, 1, frames);
        let (seen, second) = venue.enter(0);
        let opened = |shown: &[GateNotice]| shown.iter().any(|notice| matches!(notice, GateNotice::Open(_)));
        assert!(opened(&first) != opened(&second), "cut after {frames}: {first:?} {second:?}");
        assert!(matches!(seen[..], [WalletEnterNotice::In { .. }]), "cut after {frames}: {seen:?}");
        assert_eq!(venue.inside(0), 1, "cut after {frames}");
    }
}

#[test]
fn what_was_let_in_elsewhere_is_told_and_a_copy_is_not() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    let copy = venue.wallet.vault.clone();
    // The answer of the first gate is lost; the second hears of it from its neighbour.
    venue.touch(0, 1, 3);
    venue.tell(0, 1).unwrap();
    assert_eq!(venue.inside(1), 1);
    assert_eq!(venue.refusal(1, 1), EnterRefusal::Used);
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]), "the wallet knows by that that it is inside");
    venue.tell(2, 1).unwrap();
    assert_eq!(venue.inside(1), 0);
    // A copy of the wallet as it was before knows nothing of the first gate.
    let mine = std::mem::replace(&mut venue.wallet.vault, copy);
    assert_eq!(venue.refusal(1, 1), EnterRefusal::UsedElsewhere);
    venue.wallet.vault = mine;
    assert!(let_in(&venue.enter(1)));
}

#[test]
fn gates_that_cannot_hear_each_other_let_a_copy_in_and_the_presentations_convict() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    let copy = venue.wallet.vault.clone();
    assert!(let_in(&venue.enter(0)));
    venue.wallet.vault = copy;
    assert!(let_in(&venue.enter(1)), "it cannot know");
    let shown = |gate: usize| {
        let key = tegata_core::record::RecordKey::numbered(Space::Log, 1);
        let bytes = tegata_core::step::Records::get(&venue.gates[gate].device, &key).unwrap();
        LogEntry::from_bytes(&bytes).unwrap().shown.unwrap()
    };
    let (one, two) = (shown(0), shown(1));
    let hash = |shown: &Shown, gate: usize| shown.hash(venue.gates[gate].door.certificate.claimed().subject.device());
    let (first, second) = (hash(&one, 0).unwrap(), hash(&two, 1).unwrap());
    let told = |hash, shown: &Shown| {
        let said = shown.presentation.as_ref().unwrap().claimed();
        (hash, said.attempt, said.earlier.clone().unwrap_or_default())
    };
    let ((a, b, c), (d, e, f)) = (told(first, &one), told(second, &two));
    assert!(twice(Told { hash: &a, attempt: b, earlier: &c }, Told { hash: &d, attempt: e, earlier: &f }));
}

#[test]
fn a_code_is_taken_in_its_window_at_its_own_door_and_yields_to_a_tap() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    let code = venue.code();
    assert_eq!(venue.camera(1, &code), GateNotice::Refused(EnterRefusal::TapNeeded, None), "another door, alone");
    venue.gates[1].door.hears = true;
    venue.now = venue.now.after(Window::SECONDS + 1);
    assert_eq!(venue.camera(1, &code), GateNotice::Refused(EnterRefusal::WindowOver, None), "a screenshot");
    let code = venue.code();
    assert!(matches!(venue.camera(0, &code), GateNotice::Open(_)), "its own door");
    assert!(matches!(venue.camera(0, &code), GateNotice::Refused(EnterRefusal::Used, Some(_))), "once");
    assert_eq!(venue.inside(0), 1);
    // Whoever can answer a challenge holds the ticket (R21).
    assert!(let_in(&venue.enter(0)));
    assert_eq!(venue.inside(0), 1, "the same entry, by an answer");
    let mut damaged = venue.code();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert_eq!(venue.camera(0, &damaged), GateNotice::Refused(EnterRefusal::NotTrusted, None));
    assert_eq!(venue.camera(0, b"nothing"), GateNotice::Refused(EnterRefusal::Malformed, None));
    // What it is for instead is said, as to a tap.
    type Elsewhere = (EnterRefusal, fn(&mut Setup));
    let elsewhere: [Elsewhere; 4] = [
        (EnterRefusal::OtherEvent, |setup| setup.event = EventId([7; 16])),
        (EnterRefusal::OtherEvent, |setup| (setup.event, setup.terms) = (EventId([7; 16]), vec![])),
        (EnterRefusal::OtherZone, |setup| setup.zone = 2),
        (EnterRefusal::NotTrusted, |_| ()),
    ];
    for (why, change) in elsewhere {
        let mut setup = venue.setup(1, Direction::In);
        change(&mut setup);
        venue.gates[0].door.setup = Arc::new(setup);
        let mut code = venue.code();
        let last = code.len() - 1;
        code[last] ^= u8::from(why == EnterRefusal::NotTrusted);
        assert_eq!(venue.camera(0, &code), GateNotice::Refused(why, None), "{why:?}");
    }
}

#[test]
fn each_wrong_ticket_has_its_own_answer_on_both_screens() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    let set = |venue: &mut Venue, change: &dyn Fn(&mut Setup)| {
        let mut setup = venue.setup(1, Direction::In);
        change(&mut setup);
        venue.gates[0].door.setup = Arc::new(setup);
    };
    for why in [EnterRefusal::GivenAway, EnterRefusal::Refunded, EnterRefusal::Blocked, EnterRefusal::Changed] {
        set(&mut venue, &|setup| setup.dead = vec![DeadTicket { card: CARD, generation: 1, why }]);
        assert_eq!(venue.refusal(0, 1), why);
    }
    let handle = venue.terms.handle();
    set(&mut venue, &|setup| (setup.terms, setup.replaced) = (vec![], vec![handle]));
    assert_eq!(venue.refusal(0, 1), EnterRefusal::Changed);
    set(&mut venue, &|setup| setup.event = EventId([7; 16]));
    assert_eq!(venue.refusal(0, 1), EnterRefusal::OtherEvent);
    set(&mut venue, &|setup| setup.zone = 2);
    assert_eq!(venue.refusal(0, 1), EnterRefusal::OtherZone);
    set(&mut venue, &|_| ());
    venue.now = Time(DOORS.0 - 600);
    assert_eq!(venue.refusal(0, 1), EnterRefusal::TooEarly);
    venue.now = DOORS.after(7 * 3600);
    assert_eq!(venue.refusal(0, 1), EnterRefusal::TooLate);
    venue.now = DOORS.after(60);
    // A shop's terminal is no gate, and neither is another promoter's.
    let shop = venue.gate(4, Direction::In, PROMOTER, Role::Terminal);
    let stranger = venue.gate(5, Direction::In, PartyId([7; 16]), Role::Gate);
    venue.gates.extend([shop, stranger]);
    assert_eq!(venue.refusal(3, 1), EnterRefusal::GateNotTrusted);
    assert_eq!(venue.refusal(4, 1), EnterRefusal::GateNotTrusted);
    // Neither is one that shows another gate's certificate, whose key it does not have.
    let anothers = venue.gates[1].door.certificate.clone();
    let own = std::mem::replace(&mut venue.gates[0].door.certificate, anothers);
    assert_eq!(venue.refusal(0, 1), EnterRefusal::GateNotTrusted);
    venue.gates[0].door.certificate = own;
    // A wallet whose ticket was blocked shows it nowhere.
    let mut purse = load_purse(&venue.wallet, CARD).unwrap();
    purse.state = PurseState::Blocked;
    let mut batch = Batch::default();
    batch.put(purse_key(CARD), purse.to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
    assert_eq!(venue.refusal(0, 1), EnterRefusal::Blocked);
    // A ticket that somebody else has signed.
    let other = SecretKey::from_seed(Algorithm::Ed25519, &[77; 32]);
    let forged = sign(purse.certificate.claimed().clone(), &other);
    let mut batch = Batch::default();
    batch.put(purse_key(CARD), Purse::new(forged).to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
    assert_eq!(venue.refusal(0, 1), EnterRefusal::NotTrusted);
}

/// Who has heard what a ticket has shown, and shows the same.
enum Copyist {
    Waits(Box<Presented>),
    Shows,
    Over,
}

impl Talk for Copyist {
    type Notice = EnterRefusal;

    fn step(self, event: Event, _: &Context<'_>) -> Step<Self, EnterRefusal> {
        let heard = match &event {
            Event::Received(bytes) => Some(EnterMessage::received(bytes).unwrap()),
            _ => None,
        };
        match (self, heard) {
            (Self::Waits(copied), Some(EnterMessage::Examination(_))) => {
                Step::new(Self::Shows, [Effect::Send(EnterMessage::Presented(*copied).to_bytes())])
            }
            (Self::Shows, Some(EnterMessage::Refused(why))) => Step::new(Self::Over, [Effect::Show(why)]),
            (state, _) => Step::new(state, vec![]),
        }
    }
    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

#[test]
fn what_a_ticket_has_shown_lets_nobody_in_again_at_this_gate_or_at_another() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.enter(0)));
    let found = venue.gates[0].device.vault.scan(Space::Log, &[], usize::MAX).unwrap();
    let shown = LogEntry::from_bytes(&found[0].1).unwrap().shown.unwrap();
    let copied = Presented {
        presentation: shown.presentation.unwrap(),
        certificate: shown.certificate,
        left: None,
        title: None,
        unheard: None,
        extensions: Default::default(),
    };
    for at in [0, 1] {
        let before = venue.log(at);
        let now = Now { time: venue.now, entropy: [50 + at as u8; 32] };
        let (mut thief, mut frame) = WalletTap::touch(Copyist::Waits(Box::new(copied.clone())), now.entropy).unwrap();
        let mut gate = TerminalTap::waiting(GateEnter::new(venue.gates[at].door.clone()));
        let (mut told, mut seen) = (Vec::new(), Vec::new());
        while !thief.is_over() {
            let step = gate.receive(&frame, now, &mut venue.gates[at].device).unwrap();
            told.extend(step.notices);
            for answer in step.frames {
                let step = thief.receive(&answer, now, &mut venue.wallet).unwrap();
                seen.extend(step.notices);
                frame = step.frames.into_iter().next().unwrap_or_default();
            }
        }
        assert_eq!(seen, [EnterRefusal::NotItsAnswer]);
        assert_eq!(told, [GateNotice::Refused(EnterRefusal::NotItsAnswer, None)]);
        assert_eq!(venue.log(at), before, "nothing is signed, and nothing counted");
    }
}

/// The provider's key of this number, as somebody holds it.
fn held(venue: &Venue, number: u64, (from, until): (Time, Time)) -> OperationalKey {
    OperationalKey { number, key: venue.operational.public(), from, until, extensions: Default::default() }
}

fn trusting(venue: &Venue, keys: &[OperationalKey]) -> Anchors {
    Anchors { keys: keys.to_vec(), ..venue.anchors.clone() }
}

#[test]
fn a_key_that_is_over_or_not_known_has_its_own_answer_on_both_screens() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    let (usual, now) = (venue.anchors.clone(), venue.now);
    let key = |venue: &Venue, from, until| vec![held(venue, 1, (from, until))];
    let over = key(&venue, Time(0), now);
    let later = key(&venue, now.after(CLOCK_TOLERANCE + 1), Time::END);
    // What the gate holds of the provider's keys, what the wallet does; and whom that stops.
    let cases = [
        (Some(over.clone()), None, EnterRefusal::TicketKeyOver),
        (Some(vec![]), None, EnterRefusal::TicketKeyUnknown),
        (Some(later.clone()), None, EnterRefusal::TicketKeyUnknown),
        (None, Some(over), EnterRefusal::GateKeyOver),
        (None, Some(vec![]), EnterRefusal::GateKeyUnknown),
        (None, Some(later), EnterRefusal::GateKeyUnknown),
    ];
    for (of_gate, of_wallet, why) in cases {
        let gates = of_gate.map_or_else(|| usual.clone(), |keys| trusting(&venue, &keys));
        let wallets = of_wallet.map_or_else(|| usual.clone(), |keys| trusting(&venue, &keys));
        (venue.gates[0].door.anchors, venue.anchors) = (Arc::new(gates), wallets);
        assert_eq!(venue.refusal(0, 1), why);
        assert!(venue.log(0).is_empty(), "{why:?}: nothing is signed, and nothing counted");
        // A screen hears nothing of the gate; the gate says the same of the ticket.
        let code = venue.code();
        match venue.camera(0, &code) {
            GateNotice::Refused(seen, None) => assert_eq!(seen, why),
            GateNotice::Open(_) => assert!(why == EnterRefusal::GateKeyOver || why == EnterRefusal::GateKeyUnknown),
            other => panic!("{why:?}: {other:?}"),
        }
        venue.anchors = usual.clone();
        venue.gates[0] = venue.gate(1, Direction::In, PROMOTER, Role::Gate);
    }
    assert!(let_in(&venue.enter(0)), "as soon as both are updated");
}

#[test]
fn a_gate_whose_own_certificate_is_over_is_shown_nothing() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    let certificate = venue.gates[0].door.certificate.claimed().clone();
    let mut certified = |from, until| {
        let certificate = Certificate { from, until, ..certificate.clone() };
        venue.gates[0].door.certificate = sign(certificate, &venue.operational);
        venue.refusal(0, 1)
    };
    let now = DOORS.after(60);
    assert_eq!(certified(Time(0), now), EnterRefusal::GateKeyOver);
    assert_eq!(certified(now.after(CLOCK_TOLERANCE + 1), Time::END), EnterRefusal::GateKeyUnknown);
    let purse = load_purse(&venue.wallet, CARD).unwrap();
    assert!(Pass::load(&venue.wallet, &purse, 1).0.attempts.is_empty());
}

#[test]
fn a_wallet_that_knows_that_its_tickets_key_is_over_shows_nothing_before_it_is_updated() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    // Another key has signed the gate since; the wallet holds both.
    let certificate = Certificate { signer: 2, ..venue.gates[0].door.certificate.claimed().clone() };
    let keys = [held(&venue, 1, (Time(0), venue.now)), held(&venue, 2, (Time(0), Time::END))];
    let both = trusting(&venue, &keys);
    (venue.gates[0].door.anchors, venue.anchors) = (Arc::new(both.clone()), both);
    venue.gates[0].door.certificate = sign(certificate, &venue.operational);
    assert_eq!(venue.refusal(0, 1), EnterRefusal::TicketKeyOver);
    let purse = load_purse(&venue.wallet, CARD).unwrap();
    assert!(Pass::load(&venue.wallet, &purse, 1).0.attempts.is_empty());
    // The update signs it again (R6).
    let mut renewed = purse.clone();
    renewed.renew(sign(CardCertificate { signer: 2, ..purse.certificate.claimed().clone() }, &venue.operational));
    let mut batch = Batch::default();
    batch.replace(purse_key(CARD), Some(purse.to_bytes()), renewed.to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
    assert!(let_in(&venue.enter(0)));
}

#[test]
fn who_is_inside_goes_out_also_when_the_key_that_signed_the_ticket_is_over_by_then() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.enter(0)));
    venue.tell(0, 2).unwrap();
    let over = trusting(&venue, &[held(&venue, 1, (Time(0), venue.now.after(10)))]);
    venue.gates[2].door.anchors = Arc::new(over);
    venue.now = venue.now.after(20);
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]));
}

#[test]
fn a_steward_reads_what_stands_on_a_seat_of_this_event_and_no_other() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    let seat = |venue: &mut Venue, at: usize| {
        let shown = venue.enter(at).1.remove(0);
        shown.passing().map(|passing| (passing.seat, passing.seat_name.clone())).unwrap()
    };
    let named = (Some(12_345), Some("Row 5, 45".to_owned()));
    // Let in, refused as inside, let out.
    assert_eq!([0, 0, 2].map(|at| seat(&mut venue, at)), [named.clone(), named.clone(), named.clone()]);
    let setup = venue.setup(1, Direction::In);
    let unnamed = Setup { seats: None, unnamed: Some(50_000), ..setup.clone() };
    let others = Setup { terms: vec![], ..setup.clone() };
    let replaced = Setup { replaced: vec![venue.terms.handle()], ..setup };
    for (setup, said) in [(replaced, named), (unnamed, (Some(12_345), None)), (others, (None, None))] {
        venue.gates[0].door.setup = Arc::new(setup);
        assert_eq!(seat(&mut venue, 0), said);
    }
}

#[test]
fn refused_again_and_again_and_then_let_in_convicts_nobody() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    venue.now = Time(DOORS.0 - 600);
    for _ in 0..9 {
        assert_eq!(venue.refusal(0, 1), EnterRefusal::TooEarly);
    }
    venue.now = DOORS;
    assert!(let_in(&venue.enter(0)));
    let device = &venue.gates[0].device;
    let found = device.vault.scan(Space::Log, &[], usize::MAX).unwrap();
    let shown: Vec<Shown> =
        found.iter().map(|(_, bytes)| LogEntry::from_bytes(bytes).unwrap().shown.unwrap()).collect();
    let gate = venue.gates[0].door.certificate.claimed().subject.device();
    let all: Vec<_> = shown
        .iter()
        .map(|one| {
            let said = one.presentation.as_ref().unwrap().claimed();
            (one.hash(gate).unwrap(), said.attempt, said.earlier.clone().unwrap_or_default())
        })
        .collect();
    assert_eq!(all.iter().map(|(_, attempt, _)| *attempt).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    let told = |one: &(Hash, u64, Vec<Hash>)| one.clone();
    for one in &all {
        for two in &all {
            let (a, b) = (told(one), told(two));
            let one = Told { hash: &a.0, attempt: a.1, earlier: &a.2 };
            assert!(!twice(one, Told { hash: &b.0, attempt: b.1, earlier: &b.2 }));
        }
    }
}

#[test]
fn a_gate_that_has_brought_up_its_log_still_says_that_an_entry_came_in() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    venue.touch(0, 1, 3);
    let mut batch = Batch::default();
    batch.remove(tegata_core::record::RecordKey::numbered(Space::Log, 1));
    venue.gates[0].device.vault.commit(&batch).unwrap();
    assert_eq!(venue.refusal(0, 1), EnterRefusal::Used);
    assert_eq!(venue.refusal(0, 1), EnterRefusal::Inside, "the wallet knows by that, and shows its next entry");
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]));
    assert!(let_in(&venue.enter(0)));
    assert_eq!(venue.inside(0), 1);
}

#[test]
fn who_has_gone_out_shows_nothing_at_an_exit() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.enter(0)));
    // The answer of the exit is lost: it is asked again, as the next attempt.
    venue.touch(2, 1, 3);
    let (seen, _) = venue.enter(2);
    assert!(matches!(seen[..], [WalletEnterNotice::Out { .. }]), "{seen:?}");
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside);
    assert_eq!(venue.log(2), [EntryKind::Left], "a second first attempt would look like a copy's");
}

#[test]
fn a_code_that_nobody_scanned_costs_no_entry_at_a_way_out_that_hears_all_gates() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    venue.gates[2].door.hears = true;
    venue.shows_code();
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside);
    let (seen, _) = venue.enter(0);
    assert!(matches!(seen[..], [WalletEnterNotice::In { entry: 1, .. }]), "{seen:?}");
    venue.tell(0, 2).unwrap();
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]));
    // By a code, and the way out has heard of it.
    venue.tell(2, 0).unwrap();
    let code = venue.shows_code();
    assert!(matches!(venue.camera(0, &code), GateNotice::Open(_)), "its own door");
    venue.tell(0, 2).unwrap();
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]));
    // One that is alone cannot know, and holds nobody.
    venue.gates[2].door.hears = false;
    venue.shows_code();
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]));
}

#[test]
fn the_way_out_of_another_zone_says_so_on_both_screens() {
    let mut venue = Venue::new(Algorithm::Ed25519, TicketTerms { zones: vec![1, 2], ..ticket_terms() });
    venue.gates[2].door.setup = Arc::new(Setup { zone: 2, ..venue.setup(3, Direction::Out) });
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside);
    assert!(let_in(&venue.enter(0)));
    assert_eq!(venue.refusal(2, 1), EnterRefusal::InsideElsewhere);
    assert!(venue.log(2).is_empty(), "it is not shown there");
}

#[test]
fn a_gate_that_stored_and_did_not_open_opens_once() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.enter(0)));
    // As it would be had the gate lost its power between storing and opening; the wallet heard nothing.
    let mut usage = Usage::load(&venue.gates[0].device, CARD, 1).unwrap();
    usage.uses[0].opening = Some(true);
    let mut batch = Batch::default();
    batch.put(Usage::key(CARD, 1), usage.to_bytes());
    venue.gates[0].device.vault.commit(&batch).unwrap();
    let key = tegata_core::record::RecordKey::numbered(Space::Log, 1);
    let entry = tegata_core::step::Records::get(&venue.gates[0].device, &key).unwrap();
    let shown = LogEntry::from_bytes(&entry).unwrap().shown.unwrap();
    let attempt = Attempt {
        presentation: shown.presentation.unwrap(),
        session: shown.session.unwrap(),
        gate: venue.gates[0].door.certificate.clone(),
        event: EVENT,
        zone: 1,
        direction: Direction::In,
        refused: None,
        extensions: Default::default(),
    };
    let pass = Pass { attempts: vec![attempt], ..Pass::new(1, 0) };
    let mut batch = Batch::default();
    batch.put(Pass::key(CARD, 1), pass.to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
    assert!(let_in(&venue.enter(0)), "it opens now");
    assert_eq!(venue.inside(0), 1, "for the same people");
    assert_eq!(venue.refusal(0, 1), EnterRefusal::Inside);
}

#[test]
fn neighbours_are_trusted_for_their_numbers_only() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.enter(0)));
    let heard = venue.tell(0, 1).unwrap();
    assert_eq!((heard.number, heard.last), (1, 1));
    assert!(heard.is_heard(venue.now.after(10), 10) && !heard.is_heard(venue.now.after(11), 10));
    assert_eq!(venue.tell(0, 1).unwrap(), heard, "told again, nothing is counted twice");
    assert_eq!(venue.inside(1), 1);
    // A gate that began anew, with nothing.
    let fresh = venue.gate(1, Direction::In, PROMOTER, Role::Gate);
    venue.gates[0] = fresh;
    assert_eq!(venue.tell(0, 1), Err(PageError::OtherLog));
    let stranger = venue.gate(6, Direction::In, PartyId([7; 16]), Role::Gate);
    venue.gates.push(stranger);
    assert_eq!(venue.tell(3, 1), Err(PageError::OtherEvent));
    let shop = venue.gate(7, Direction::In, PROMOTER, Role::Terminal);
    venue.gates.push(shop);
    assert_eq!(venue.tell(4, 1), Err(PageError::Untrusted(Untrusted::WrongRole)));
}
