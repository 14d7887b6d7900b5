//! Tickets given from wallet to wallet as scripts: both sides real, the link's bytes between them, cut after every frame (R12, R17,
//! R21). Gates judge what comes of it.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::sync::Arc;
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::title::{TitleError, holder};
use tegata_core::card::{CardCertificate, CardEvent, CardKind, Counterpart, ForkProof, Position, Terms};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::{Context, Event};
use tegata_core::talk::enter::*;
use tegata_core::talk::give::*;
use tegata_core::talk::journal::{EntryKind, Journal, LogEntry};
use tegata_core::talk::pay::{load_purse, purse_key};
use tegata_core::talk::update::anchors_key;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::*;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{Amount, CardId, DeviceId, EventId, Hash, PartyId, Time, Unit};
use tegata_crypto_native::{NativeVerifier, SecretKey};
use tegata_device::{Device, KeyRing, Now, Out, Talking, TerminalTap, WalletTap};
use tegata_vault::{MemoryVault, Vault};

const DOORS: Time = Time(1_000_000);
const EVENT: EventId = EventId([0xe1; 16]);
const PROMOTER: PartyId = PartyId([8; 16]);
const CARD: CardId = CardId([5; 16]);
const HOUR: u64 = 3600;

fn sign<T: Message>(body: T, key: &SecretKey) -> Signed<T> {
    let unsigned = Unsigned::new(body, key.public().algorithm());
    let signature = key.sign(&unsigned.tbs(&[]));
    unsigned.sign(signature)
}

struct Gate {
    device: Device<MemoryVault>,
    door: Door,
}

/// Three people, two gates to come in by and one to go out by.
struct Street {
    operational: SecretKey,
    anchors: Anchors,
    terms: Terms,
    people: Vec<Device<MemoryVault>>,
    gates: Vec<Gate>,
    now: Time,
    draws: u64,
}

fn terms() -> Terms {
    let ticket = TicketTerms {
        event: EVENT,
        place: "Town hall".into(),
        from: DOORS,
        until: DOORS.after(6 * HOUR),
        zones: vec![1],
        entries: 3,
        a_day: None,
        day_begins: 0,
        reentry: true,
        companions: 0,
        door: Some(1),
        give_until: Some(DOORS.after(3 * HOUR)),
        give_price: None,
        refund_until: None,
        seating: None,
        extensions: Default::default(),
    };
    Terms {
        issuer: PROMOTER,
        kind: CardKind::Ticket,
        unit: Unit::ENTRIES,
        name: "Concert, stalls".into(),
        max_payment: 0,
        offline_limit: 0,
        due_after: 30 * Time::DAY,
        list_age: 7 * Time::DAY,
        record_age: 7 * Time::DAY,
        max_balance: 100,
        handovers: 2,
        refundable: true,
        max_untouched: 0,
        register_within: Some(2 * HOUR),
        program: None,
        ticket: Some(ticket),
        extensions: Default::default(),
    }
}

type Told = (Vec<GiverNotice>, Vec<ReceiverNotice>);

impl Street {
    fn new(algorithm: Algorithm, terms: Terms) -> Self {
        let operational = SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]);
        let key = OperationalKey {
            number: 1,
            key: operational.public(),
            from: Time(0),
            until: Time::END,
            extensions: Default::default(),
        };
        let anchors = Anchors {
            provider: PartyId([9; 16]),
            root: operational.public(),
            sealing: SealingKey([0; 32]),
            epoch: 1,
            keys: vec![key],
            list: None,
            extensions: Default::default(),
        };
        let mut people: Vec<_> = (1..=3)
            .map(|seed| {
                let ring = KeyRing::in_memory(algorithm, &[seed; 32]);
                let mut device = Device::new(MemoryVault::new(), ring, &NativeVerifier);
                let mut batch = Batch::default();
                batch.put(anchors_key(), anchors.to_bytes());
                batch.put(Journal::key(), Journal::new(1, DOORS).to_bytes());
                device.vault.commit(&batch).unwrap();
                device
            })
            .collect();
        let first = &mut people[0];
        let key = first.ring.make(&mut first.vault, algorithm, &[40; 32]).unwrap();
        let said = CardCertificate {
            card: CARD,
            kind: CardKind::Ticket,
            terms: terms.handle(),
            face: Amount::new(Unit::ENTRIES, 3).unwrap(),
            key,
            generation: 1,
            from: DOORS,
            until: DOORS.after(30 * Time::DAY),
            epoch: 1,
            signer: 1,
            seq: 0,
            remaining: 3,
            last_load: 0,
            last_received: None,
            offline_limit: 0,
            due: DOORS.after(30 * Time::DAY),
            seat: Some(12_345),
            used: None,
            given: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        let purse = Purse::new(sign(said, &operational)).seated(Some(&"Row 5, 12".into()));
        batch.put(purse_key(CARD), purse.to_bytes());
        batch.put(RecordKey::new(Space::Terms, terms.handle().0), terms.to_bytes());
        first.vault.commit(&batch).unwrap();
        let now = DOORS.after(60);
        let mut street = Self { operational, anchors, terms, people, gates: Vec::new(), now, draws: 0 };
        for (number, direction) in [(1, Direction::In), (2, Direction::In), (3, Direction::Out)] {
            let gate = street.gate(number, direction);
            street.gates.push(gate);
        }
        street
    }
    fn gate(&self, number: u8, direction: Direction) -> Gate {
        let ring = KeyRing::in_memory(Algorithm::Ed25519, &[10 + number; 32]);
        let certificate = Certificate {
            subject: DeviceId([number; 16]).into(),
            role: Role::Gate,
            key: ring.device_key().unwrap(),
            sealing: None,
            from: Time(0),
            until: Time(2_000_000_000),
            epoch: 1,
            signer: 1,
            owner: Some(PROMOTER),
            name: Some(format!("door {number}")),
            number: None,
            extensions: Default::default(),
        };
        let mut device = Device::new(MemoryVault::new(), ring, &NativeVerifier);
        let mut batch = Batch::default();
        batch.put(Journal::key(), Journal::new(1, DOORS).to_bytes());
        device.vault.commit(&batch).unwrap();
        let setup = Setup {
            number: 1,
            event: EVENT,
            name: "Concert".into(),
            terms: vec![self.terms.clone()],
            replaced: vec![],
            dead: vec![],
            door: u64::from(number),
            zone: 1,
            direction,
            at: DOORS,
            gates: vec![],
            staff: None,
            seats: None,
            unnamed: None,
            zones: None,
            door_name: None,
            extensions: Default::default(),
        };
        let door = Door {
            certificate: sign(certificate, &self.operational),
            anchors: Arc::new(self.anchors.clone()),
            setup: Arc::new(setup),
            hears: true,
        };
        Gate { device, door }
    }
    fn tick(&mut self) -> Now {
        self.draws += 1;
        Now { time: self.now, entropy: Hash::of(&self.draws.to_be_bytes()).0 }
    }
    fn purse(&self, who: usize) -> Option<Purse> {
        load_purse(&self.people[who], CARD)
    }
    fn kinds(&self, who: usize) -> Vec<EntryKind> {
        let found = self.people[who].vault.scan(Space::Log, &[], usize::MAX).unwrap();
        found.iter().map(|(_, bytes)| LogEntry::from_bytes(bytes).unwrap().kind).collect()
    }

    /// One touch of two wallets; both people agree to whatever they are asked. The link is cut after `frames` frames.
    fn give(&mut self, from: usize, to: usize, frames: usize) -> Told {
        self.asked(from, to, frames, Event::Agreed)
    }
    /// The same; the giver answers this.
    fn asked(&mut self, from: usize, to: usize, frames: usize, answer: Event) -> Told {
        let now = self.tick();
        let algorithm = self.people[to].ring.device_key().unwrap().algorithm();
        let receiving = &mut self.people[to];
        let key = receiving.ring.make(&mut receiving.vault, algorithm, &now.entropy).unwrap();
        let taker =
            Taker { wallet: DeviceId([0x70 + u8::try_from(to).unwrap(); 16]), key, anchors: self.anchors.clone() };
        let (mut right, hello) = WalletTap::touch(Receiver::new(taker), self.tick().entropy).unwrap();
        let mut left = TerminalTap::waiting(Giver::new(GiveCard { card: CARD }));
        let (mut up, mut down) = (vec![hello], Vec::new());
        let (mut gave, mut took) = (Vec::new(), Vec::new());
        let mut crossed = 0;
        while !up.is_empty() || !down.is_empty() {
            for frame in std::mem::take(&mut up) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                let now = self.tick();
                let mut step = left.receive(&frame, now, &mut self.people[from]).unwrap();
                down.extend(step.frames);
                if step.notices.iter().any(|notice| matches!(notice, GiverNotice::Consent { .. })) {
                    gave.extend(step.notices);
                    step = left.event(answer.clone(), now, &mut self.people[from]).unwrap();
                    down.extend(step.frames);
                }
                gave.extend(step.notices);
            }
            for frame in std::mem::take(&mut down) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                let now = self.tick();
                let mut step = right.receive(&frame, now, &mut self.people[to]).unwrap();
                up.extend(step.frames);
                if step.notices.iter().any(|notice| matches!(notice, ReceiverNotice::Consent { .. })) {
                    took.extend(step.notices);
                    step = right.event(Event::Agreed, now, &mut self.people[to]).unwrap();
                    up.extend(step.frames);
                }
                took.extend(step.notices);
            }
        }
        let now = self.tick();
        if !left.is_over() {
            gave.extend(left.event(Event::Lost, now, &mut self.people[from]).unwrap().notices);
        }
        if !right.is_over() {
            took.extend(right.event(Event::Lost, now, &mut self.people[to]).unwrap().notices);
        }
        (gave, took)
    }
    fn given(&mut self, from: usize, to: usize) {
        let (gave, took) = self.give(from, to, usize::MAX);
        assert!(gave.contains(&GiverNotice::Taken), "{gave:?} {took:?}");
        assert!(took.iter().any(|notice| matches!(notice, ReceiverNotice::Taken { .. })), "{took:?}");
    }
    fn refusal(&mut self, from: usize, to: usize) -> GiveRefusal {
        let (gave, took) = self.give(from, to, usize::MAX);
        match (gave.last(), took.last()) {
            (Some(GiverNotice::Refused(why)), Some(ReceiverNotice::Refused(same))) if why == same => *why,
            other => panic!("both sides are told: {other:?}"),
        }
    }
    fn enter(&mut self, who: usize, at: usize, frames: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
        let visitor = Visitor { card: CARD, terms: self.terms.clone(), people: 1, anchors: self.anchors.clone() };
        let (mut wallet, hello) = WalletTap::touch(WalletEnter::new(visitor), self.tick().entropy).unwrap();
        let mut gate = TerminalTap::waiting(GateEnter::new(self.gates[at].door.clone()));
        let (mut queue, mut seen, mut shown) = (vec![(true, hello)], Vec::new(), Vec::new());
        let mut crossed = 0;
        while let Some((up, frame)) = queue.pop() {
            crossed += 1;
            if crossed > frames {
                break;
            }
            let now = self.tick();
            if up {
                let step = gate.receive(&frame, now, &mut self.gates[at].device).unwrap();
                queue.extend(step.frames.into_iter().map(|frame| (false, frame)));
                shown.extend(step.notices);
            } else {
                let step = wallet.receive(&frame, now, &mut self.people[who]).unwrap();
                queue.extend(step.frames.into_iter().map(|frame| (true, frame)));
                seen.extend(step.notices);
            }
        }
        (seen, shown)
    }
    fn comes_in(&mut self, who: usize, at: usize) -> bool {
        let (seen, shown) = self.enter(who, at, usize::MAX);
        matches!(seen[..], [WalletEnterNotice::In { .. }]) && matches!(shown[..], [GateNotice::Open(_)])
    }
    /// Shows a code to the camera of a gate.
    fn shows(&mut self, who: usize, at: usize) -> GateNotice {
        let purse = self.purse(who).unwrap();
        let (pass, _) = Pass::load(&self.people[who], &purse, 1);
        let (window, tbs) = draft_window(&purse, &pass, (EVENT, 1), 1, self.now).unwrap();
        let signature = self.people[who].ring.sign(&purse.key(), &tbs).unwrap();
        let shown = code(purse.certificate, window, signature);
        let now = self.tick();
        let Gate { device, door } = &mut self.gates[at];
        let mut talking = Talking::new(GateEnter::camera(door.clone()));
        let outs = talking.deliver(Event::Received(shown), now, device);
        outs.into_iter().find_map(|out| if let Out::Show(notice) = out { Some(notice) } else { None }).unwrap()
    }
    /// Gate `from` tells gate `to` all that it has.
    fn tell(&mut self, from: usize, to: usize) {
        let (now, broken) = (self.now, tegata_core::step::Broken::NONE);
        let within = |records| Context { now, entropy: [0; 32], verifier: &NativeVerifier, records, broken };
        let (teller, listener) = (&self.gates[from], &self.gates[to]);
        let certificate = teller.door.certificate.clone();
        let (known, _) = Neighbour::load(&listener.device, certificate.claimed().subject.device());
        let page = Unsigned::new(
            page(&teller.door, known.number, &within(&teller.device)).unwrap(),
            certificate.claimed().key.algorithm(),
        );
        let tbs = page.tbs(&[]);
        let page = page.sign(teller.device.ring.sign(&certificate.claimed().key, &tbs).unwrap());
        let (batch, _) = take(&listener.door, certificate, page, &within(&listener.device)).unwrap();
        self.gates[to].device.vault.commit(&batch).unwrap();
    }
    /// People inside, and people who came in all, as a gate counts them.
    fn counts(&self, at: usize) -> (u64, u64) {
        let tally = Tally::load(&self.gates[at].device).0;
        tally.zones.first().map_or((0, 0), |zone| (zone.people(), zone.arrived()))
    }
    fn turned_away(&mut self, who: usize, at: usize) -> EnterRefusal {
        let (seen, shown) = self.enter(who, at, usize::MAX);
        match (&seen[..], &shown[..]) {
            ([WalletEnterNotice::Refused { why, .. }], [GateNotice::Refused(same, _)]) if why == same => *why,
            other => panic!("both sides are told: {other:?}"),
        }
    }
}

fn code_of(told: &Told) -> Option<(String, String)> {
    let gave =
        told.0.iter().find_map(|one| if let GiverNotice::Consent { code } = one { Some(code.clone()) } else { None });
    let took =
        told.1.iter().find_map(|one| if let ReceiverNotice::Code(code) = one { Some(code.clone()) } else { None });
    gave.zip(took)
}

#[test]
fn given_and_taken_with_both_offline_and_both_screens_show_one_code() {
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let mut street = Street::new(algorithm, terms());
        let told = street.give(0, 1, usize::MAX);
        assert!(told.0.contains(&GiverNotice::Taken), "{told:?}");
        let (gave, took) = code_of(&told).unwrap();
        assert_eq!((gave.len(), &gave), (6, &took));
        let (before, after) = (street.purse(0).unwrap(), street.purse(1).unwrap());
        assert_eq!((before.state, before.remaining), (PurseState::Ended, 0));
        assert_eq!((after.state, after.remaining, after.generation()), (PurseState::Active, 3, 2));
        assert_eq!(after.seat_name.as_deref(), Some("Row 5, 12"));
        assert_eq!((street.kinds(0), street.kinds(1)), (vec![EntryKind::Given], vec![EntryKind::Taken]));
        // The old copy is dead, the new one opens.
        assert!(street.comes_in(1, 0));
        assert_eq!(
            street.enter(0, 1, usize::MAX).0,
            [WalletEnterNotice::Refused { why: EnterRefusal::GivenAway, shown: false }]
        );
    }
}

#[test]
fn wherever_the_link_is_cut_a_second_touch_ends_with_one_holder() {
    for frames in 0..7 {
        let mut street = Street::new(Algorithm::Ed25519, terms());
        street.give(0, 1, frames);
        // Never two that can show it.
        let active =
            |street: &Street, who: usize| street.purse(who).is_some_and(|purse| purse.state == PurseState::Active);
        assert!(!(active(&street, 0) && active(&street, 1)), "cut after {frames}");
        let first = HandedOver::load(&street.people[0], &street.purse(0).unwrap()).map(|kept| kept.given);
        let (gave, took) = street.give(0, 1, usize::MAX);
        assert!(gave.contains(&GiverNotice::Taken), "cut after {frames}: {gave:?} {took:?}");
        assert!(!active(&street, 0) && active(&street, 1), "cut after {frames}");
        let last = HandedOver::load(&street.people[0], &street.purse(0).unwrap()).unwrap();
        assert!(first.is_none_or(|first| first == last.given), "the same bytes");
        assert!(last.taken.is_some());
        assert_eq!((street.kinds(0).len(), street.kinds(1).len()), (1, 1), "said once");
        // And once more, when all is done.
        assert!(street.give(0, 1, usize::MAX).0.contains(&GiverNotice::Taken));
        assert_eq!(street.kinds(1).len(), 1);
    }
}

#[test]
fn a_giver_who_has_declined_and_is_asked_again_has_a_code_to_compare() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    let (gave, took) = street.asked(0, 1, usize::MAX, Event::Declined);
    assert_eq!(gave.last(), Some(&GiverNotice::Refused(GiveRefusal::Declined)), "{took:?}");
    // The receiver has agreed before and is not asked again; the giver is, and both screens show the same.
    let told = street.give(0, 1, usize::MAX);
    let (gave, took) = code_of(&told).unwrap();
    assert_eq!(gave, took);
    assert!(told.0.contains(&GiverNotice::Taken), "{told:?}");
}

#[test]
fn a_copy_that_was_given_is_locked_to_its_receiver() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    // The hand-over is stored, and nobody has heard of it.
    street.give(0, 1, 4);
    assert_eq!(street.purse(0).unwrap().state, PurseState::Ended);
    assert!(street.purse(1).is_none());
    assert_eq!(street.refusal(0, 2), GiveRefusal::Locked);
    street.given(0, 1);
}

#[test]
fn given_on_before_anybody_goes_online_as_often_as_the_terms_say() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    street.given(0, 1);
    street.given(1, 2);
    assert_eq!(street.purse(2).unwrap().generation(), 3);
    assert_eq!(street.refusal(2, 0), GiveRefusal::UsedUp);
    assert!(street.comes_in(2, 0));
    let once = Terms { handovers: 1, ..terms() };
    let mut street = Street::new(Algorithm::Ed25519, once);
    street.given(0, 1);
    assert_eq!(street.refusal(1, 2), GiveRefusal::UsedUp);
}

#[test]
fn once_in_all_is_once_also_after_it_was_registered() {
    let mut street = Street::new(Algorithm::Ed25519, Terms { handovers: 1, ..terms() });
    street.given(0, 1);
    let mut purse = street.purse(1).unwrap();
    // What the provider makes of it: the generation that is held, under its key, given on once.
    let before = purse.certificate.claimed().clone();
    let said = CardCertificate { generation: 2, key: purse.key(), given: Some(1), ..before.clone() };
    let hops = purse.hops().to_vec();
    assert!(holder(&before, &hops, &street.terms, street.now, &NativeVerifier).is_ok());
    let before = CardCertificate { given: Some(1), ..before };
    let judged = holder(&before, &hops, &street.terms, street.now, &NativeVerifier);
    assert_eq!(judged, Err(TitleError::TooMany), "a receiver and a gate count what went before");
    purse.register(sign(said, &street.operational));
    let mut batch = Batch::default();
    batch.put(purse_key(CARD), purse.to_bytes());
    street.people[1].vault.commit(&batch).unwrap();
    assert!(street.comes_in(1, 0), "it is as good as any");
    assert!(matches!(street.enter(1, 2, usize::MAX).1[..], [GateNotice::LetOut(_)]));
    assert_eq!(street.refusal(1, 2), GiveRefusal::UsedUp);
    let away = why_not(&street.people[1], &street.purse(1).unwrap(), &street.terms, street.now, true);
    assert_eq!(away, Some(GiveRefusal::UsedUp), "by a number neither");
    assert!(GiveRefusal::UsedUp.for_people().contains("in all"));
}

#[test]
fn a_title_carries_four_hand_overs_however_many_are_allowed() {
    let mut street = Street::new(Algorithm::Ed25519, Terms { handovers: 9, ..terms() });
    for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1)] {
        street.given(from, to);
    }
    assert_eq!(street.refusal(1, 2), GiveRefusal::Unregistered);
}

#[test]
fn it_comes_back_to_who_had_it_before() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    assert!(street.comes_in(0, 0));
    assert!(matches!(street.enter(0, 2, usize::MAX).1[..], [GateNotice::LetOut(_)]));
    street.given(0, 1);
    street.given(1, 0);
    let purse = street.purse(0).unwrap();
    assert_eq!((purse.state, purse.generation(), purse.used()), (PurseState::Active, 3, 1));
    assert!(street.comes_in(0, 0), "the second entry, under the newest key");
}

#[test]
fn what_cannot_be_given_says_why() {
    let mut street = Street::new(Algorithm::Ed25519, Terms { handovers: 0, ..terms() });
    assert_eq!(street.refusal(0, 1), GiveRefusal::NotTransferable);
    let mut street = Street::new(Algorithm::Ed25519, terms());
    assert_eq!(street.refusal(1, 2), GiveRefusal::NoCard);
    street.now = DOORS.after(3 * HOUR);
    assert_eq!(street.refusal(0, 1), GiveRefusal::TooLate);
    street.now = DOORS.after(60);
    // Shown to a gate whose answer was lost: it may have let it in.
    street.enter(0, 0, 3);
    assert_eq!(street.refusal(0, 1), GiveRefusal::Pending);
    street.enter(0, 0, usize::MAX);
    assert_eq!(street.refusal(0, 1), GiveRefusal::Inside);
    street.enter(0, 2, usize::MAX);
    street.given(0, 1);
    let mut street = Street::new(Algorithm::Ed25519, terms());
    let mut purse = street.purse(0).unwrap();
    purse.state = PurseState::Blocked;
    let mut batch = Batch::default();
    batch.put(purse_key(CARD), purse.to_bytes());
    street.people[0].vault.commit(&batch).unwrap();
    assert_eq!(street.refusal(0, 1), GiveRefusal::Blocked);
}

#[test]
fn a_gate_that_has_seen_the_title_refuses_the_giver_and_a_late_one() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    let copy = street.people[0].vault.clone();
    street.given(0, 1);
    // Even a gate that turns the receiver away knows it then.
    street.now = Time(DOORS.0 - 200);
    let later = street.now;
    street.now = DOORS.after(60);
    assert!(street.comes_in(1, 0));
    let mine = std::mem::replace(&mut street.people[0].vault, copy);
    assert_eq!(street.turned_away(0, 0), EnterRefusal::GivenAway);
    assert!(later < street.now);
    // A gate that has not seen it cannot know: both signatures are there in the end.
    street.people[0].vault = mine;
    // Not registered in time: the wallet knows, and so does the gate.
    street.now = DOORS.after(60 + 2 * HOUR);
    assert_eq!(
        street.enter(1, 1, usize::MAX).0,
        [WalletEnterNotice::Refused { why: EnterRefusal::Unregistered, shown: false }]
    );
    assert_eq!(street.refusal(1, 2), GiveRefusal::Unregistered);
}

#[test]
fn a_gate_that_turned_the_receiver_away_has_seen_the_title() {
    let mut early = terms();
    early.ticket.as_mut().unwrap().from = DOORS.after(HOUR);
    let mut street = Street::new(Algorithm::Ed25519, early);
    let copy = street.people[0].vault.clone();
    street.given(0, 1);
    assert_eq!(street.turned_away(1, 0), EnterRefusal::TooEarly);
    street.people[0].vault = copy;
    street.now = DOORS.after(HOUR);
    assert_eq!(street.turned_away(0, 0), EnterRefusal::GivenAway);
    assert!(street.comes_in(1, 0));
}

#[test]
fn dead_for_the_giver_alone_when_given_and_for_all_after_it_when_blocked() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    street.given(0, 1);
    let dead = |street: &mut Street, at: usize, why| {
        let mut setup = (*street.gates[at].door.setup).clone();
        setup.dead = vec![DeadTicket { card: CARD, generation: 1, why }];
        street.gates[at].door.setup = Arc::new(setup);
    };
    dead(&mut street, 1, EnterRefusal::Blocked);
    assert_eq!(street.turned_away(1, 1), EnterRefusal::Blocked);
    dead(&mut street, 0, EnterRefusal::GivenAway);
    assert!(street.comes_in(1, 0));
}

#[test]
fn a_ticket_that_was_given_is_touched_and_shows_no_window() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    let giver = street.purse(0).unwrap();
    assert!(draft_window(&giver, &Pass::new(1, 0), (EVENT, 1), 1, street.now).is_some());
    street.given(0, 1);
    for who in [0, 1] {
        let purse = street.purse(who).unwrap();
        assert!(draft_window(&purse, &Pass::new(purse.generation(), 0), (EVENT, 1), 1, street.now).is_none());
    }
}

#[test]
fn not_handed_back_over_the_fence() {
    // A wallet that was changed says that it has gone out: the gate that let it in knows better.
    let mut street = Street::new(Algorithm::Ed25519, terms());
    assert!(street.comes_in(0, 0));
    let purse = street.purse(0).unwrap();
    let mut batch = Batch::default();
    batch.put(Pass::key(CARD, 1), Pass::new(purse.generation(), 1).to_bytes());
    street.people[0].vault.commit(&batch).unwrap();
    street.given(0, 1);
    assert_eq!(street.turned_away(1, 0), EnterRefusal::Inside);
}

#[test]
fn two_hand_overs_of_one_copy_convict() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    let key = street.purse(0).unwrap().key();
    let copy = street.people[0].vault.clone();
    street.given(0, 1);
    street.people[0].vault = copy;
    street.given(0, 2);
    let event = |street: &Street, who: usize| {
        let hop = street.purse(who).unwrap().hops()[0].clone();
        let context = hop.context(CARD, 1);
        (hop.event, context)
    };
    let position = Position { card: CARD, generation: 1, seq: 1, tick: 0 };
    let proof = ForkProof { position, events: [event(&street, 1), event(&street, 2)] };
    assert!(proof.convicts(&key, &NativeVerifier));
    // What was signed for one purpose serves no other (R5).
    let gift = Counterpart::Gift { provider: PartyId([9; 16]), used: 0, at: street.now };
    assert_eq!(CardEvent::named_in(&CardEvent::context(CARD, 1, &gift)), Some((CARD, 1)));
    let hop = street.purse(1).unwrap().hops()[0].clone();
    assert!(hop.event.verify(&key, &CardEvent::context(CARD, 1, &gift), &NativeVerifier).is_err());
}

#[test]
fn a_gift_is_locked_before_it_is_asked_for_and_asked_for_again_with_the_same_bytes() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    let key = street.people[0].ring.device_key().unwrap();
    let anchors = street.anchors.clone();
    let ask = |street: &mut Street| {
        let now = street.tick();
        let mut talking = Talking::new(Away::Start(Wish::Gift(CARD), (DeviceId([0x70; 16]), key), anchors.clone()));
        let outs = talking.deliver(Event::Tick, now, &mut street.people[0]);
        outs.into_iter().find_map(|out| if let Out::Send(bytes) = out { Some(bytes) } else { None })
    };
    let first = ask(&mut street).unwrap();
    assert_eq!(street.purse(0).unwrap().state, PurseState::Ended);
    assert_eq!(ask(&mut street), Some(first));
    assert_eq!(street.refusal(0, 1), GiveRefusal::Blocked);
}

#[test]
fn what_a_giver_did_counts_once_in_whatever_order_gates_hear_of_it() {
    for early in [true, false] {
        let mut street = Street::new(Algorithm::Ed25519, terms());
        // A code gets somebody in, and its owner's touch gets her in all the same (R21).
        assert!(matches!(street.shows(0, 0), GateNotice::Open(_)));
        if early {
            street.tell(0, 1);
        }
        assert!(street.comes_in(0, 0));
        if early {
            street.tell(0, 1);
        }
        assert!(matches!(street.enter(0, 2, usize::MAX).1[..], [GateNotice::LetOut(_)]));
        street.given(0, 1);
        // The other gate sees the receiver before it hears the rest.
        if early {
            street.tell(2, 1);
        }
        assert!(street.comes_in(1, 1));
        for gate in [2, 0] {
            street.tell(gate, 1);
        }
        street.tell(1, 0);
        street.tell(2, 0);
        assert_eq!([street.counts(0), street.counts(1)], [(1, 2); 2], "two entries, one inside; heard early: {early}");
    }
}

#[test]
fn a_window_and_the_answer_after_it_count_once_also_where_the_receiver_was_seen_between() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    assert!(matches!(street.shows(0, 0), GateNotice::Open(_)));
    street.tell(0, 1);
    assert!(street.comes_in(0, 0));
    assert!(matches!(street.enter(0, 2, usize::MAX).1[..], [GateNotice::LetOut(_)]));
    street.given(0, 1);
    street.tell(2, 1);
    assert!(street.comes_in(1, 1));
    street.tell(0, 1);
    assert_eq!(street.counts(1), (1, 2), "the giver once, the receiver once");
}

#[test]
fn under_terms_that_a_gate_has_not_heard_of_what_others_let_in_counts_and_nobody_comes_in() {
    let mut street = Street::new(Algorithm::Ed25519, terms());
    // All that the second gate knows is a category that cannot be given at all.
    let mut setup = (*street.gates[1].door.setup).clone();
    setup.terms = vec![Terms { handovers: 0, name: "Concert, balcony".into(), ..terms() }];
    street.gates[1].door.setup = Arc::new(setup);
    street.given(0, 1);
    assert_eq!(street.turned_away(1, 1), EnterRefusal::OtherEvent);
    assert!(street.comes_in(1, 0));
    street.tell(0, 1);
    assert_eq!(street.counts(1), (1, 1));
}
