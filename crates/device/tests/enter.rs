//! Gates and tickets as scripts: both sides real, the link's bytes between them, vaults in memory (R20-R22).
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::sync::Arc;
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::ticket::{TicketTerms, Usage};
use tegata_core::card::{CardCertificate, CardKind, Terms};
use tegata_core::record::Batch;
use tegata_core::step::{Context, Event};
use tegata_core::talk::enter::*;
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

fn sign<T: Message>(body: T, key: &SecretKey) -> Signed<T> {
    let unsigned = Unsigned::new(body, key.public().algorithm());
    let signature = key.sign(&unsigned.tbs(&[]));
    unsigned.sign(signature)
}

struct Gate {
    device: Device<MemoryVault>,
    door: Door,
}

struct Venue {
    operational: SecretKey,
    anchors: Anchors,
    terms: Terms,
    wallet: Device<MemoryVault>,
    gates: Vec<Gate>,
    now: Time,
    draws: u64,
    bytes: usize,
    exchanges: usize,
}

fn ticket_terms() -> TicketTerms {
    TicketTerms {
        event: EVENT,
        place: "Town hall".into(),
        from: DOORS,
        until: DOORS.after(6 * 3600),
        zones: vec![1],
        entries: 3,
        a_day: None,
        day_begins: 0,
        reentry: true,
        companions: 1,
        door: Some(1),
        give_until: None,
        give_price: None,
        refund_until: None,
        extensions: Default::default(),
    }
}

impl Venue {
    fn new(algorithm: Algorithm, ticket: TicketTerms) -> Self {
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
        let terms = Terms {
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
            handovers: 0,
            refundable: true,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: Some(ticket),
            extensions: Default::default(),
        };
        let ring = KeyRing::in_memory(algorithm, &[3; 32]);
        let mut wallet = Device::new(MemoryVault::new(), ring, &NativeVerifier);
        let key = wallet.ring.make(&mut wallet.vault, algorithm, &[4; 32]).unwrap();
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
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.put(anchors_key(), anchors.to_bytes());
        batch.put(Journal::key(), Journal::new(1, DOORS).to_bytes());
        batch.put(purse_key(CARD), Purse::new(sign(said, &operational)).to_bytes());
        wallet.vault.commit(&batch).unwrap();
        let now = DOORS.after(60);
        let mut venue =
            Self { operational, anchors, terms, wallet, gates: Vec::new(), now, draws: 0, bytes: 0, exchanges: 0 };
        for number in 1..=2 {
            let gate = venue.gate(number, Direction::In, PROMOTER, Role::Gate);
            venue.gates.push(gate);
        }
        let exit = venue.gate(3, Direction::Out, PROMOTER, Role::Gate);
        venue.gates.push(exit);
        venue
    }

    fn setup(&self, door: u64, direction: Direction) -> Setup {
        Setup {
            number: 1,
            event: EVENT,
            name: "Concert".into(),
            terms: vec![self.terms.clone()],
            replaced: vec![],
            dead: vec![],
            door,
            zone: 1,
            direction,
            at: DOORS,
            gates: vec![],
            staff: None,
            seats: Some(vec![SeatRun { seat: 12_301, count: 50, name: "Row 5, 01".into(), step: 1 }]),
            unnamed: None,
            extensions: Default::default(),
        }
    }

    fn gate(&self, number: u8, direction: Direction, owner: PartyId, role: Role) -> Gate {
        let ring = KeyRing::in_memory(Algorithm::Ed25519, &[10 + number; 32]);
        let certificate = Certificate {
            subject: DeviceId([number; 16]).into(),
            role,
            key: ring.device_key().unwrap(),
            sealing: None,
            from: Time(0),
            until: Time(2_000_000_000),
            epoch: 1,
            signer: 1,
            owner: Some(owner),
            name: Some(format!("door {number}")),
            number: None,
            extensions: Default::default(),
        };
        let mut device = Device::new(MemoryVault::new(), ring, &NativeVerifier);
        let mut batch = Batch::default();
        batch.put(Journal::key(), Journal::new(1, DOORS).to_bytes());
        device.vault.commit(&batch).unwrap();
        let door = Door {
            certificate: sign(certificate, &self.operational),
            anchors: Arc::new(self.anchors.clone()),
            setup: Arc::new(self.setup(u64::from(number), direction)),
            hears: false,
        };
        Gate { device, door }
    }

    fn tick(&mut self) -> Now {
        self.draws += 1;
        Now { time: self.now, entropy: Hash::of(&self.draws.to_be_bytes()).0 }
    }

    /// One touch at a gate. The link is cut after `frames` frames have crossed it.
    fn touch(&mut self, at: usize, people: u64, frames: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
        let visitor = Visitor { card: CARD, terms: self.terms.clone(), people, anchors: self.anchors.clone() };
        let (mut wallet, hello) = WalletTap::touch(WalletEnter::new(visitor), self.tick().entropy).unwrap();
        let mut gate = TerminalTap::waiting(GateEnter::new(self.gates[at].door.clone()));
        let (mut up, mut down) = (vec![hello], Vec::new());
        let (mut seen, mut shown) = (Vec::new(), Vec::new());
        let mut crossed = 0;
        (self.bytes, self.exchanges) = (0, 0);
        while !up.is_empty() || !down.is_empty() {
            for frame in std::mem::take(&mut up) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                self.bytes += frame.len() + 2;
                self.exchanges += 1;
                let now = self.tick();
                let step = gate.receive(&frame, now, &mut self.gates[at].device).unwrap();
                down.extend(step.frames);
                shown.extend(step.notices);
            }
            for frame in std::mem::take(&mut down) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                self.bytes += frame.len() + 2;
                let now = self.tick();
                let step = wallet.receive(&frame, now, &mut self.wallet).unwrap();
                up.extend(step.frames);
                seen.extend(step.notices);
            }
        }
        let now = self.tick();
        if !wallet.is_over() {
            seen.extend(wallet.event(Event::Lost, now, &mut self.wallet).unwrap().notices);
        }
        (seen, shown)
    }

    fn enter(&mut self, at: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
        self.touch(at, 1, usize::MAX)
    }

    fn refusal(&mut self, at: usize, people: u64) -> EnterRefusal {
        let (seen, shown) = self.touch(at, people, usize::MAX);
        match (&seen[..], &shown[..]) {
            ([WalletEnterNotice::Refused { why, .. }], [GateNotice::Refused(same, _)]) if why == same => *why,
            other => panic!("both sides are told: {other:?}"),
        }
    }

    /// The code on the wallet's screen, seconds after its moment.
    fn code(&mut self) -> Vec<u8> {
        let purse = load_purse(&self.wallet, CARD).unwrap();
        let (pass, _) = Pass::load(&self.wallet, &purse, 1);
        let (window, tbs) = draft_window(&purse, &pass, (EVENT, 1), 1, self.now).unwrap();
        let signature = self.wallet.ring.sign(&purse.certificate.claimed().key, &tbs).unwrap();
        code(purse.certificate, window, signature)
    }

    fn camera(&mut self, at: usize, code: &[u8]) -> GateNotice {
        let now = self.tick();
        let Gate { device, door } = &mut self.gates[at];
        let mut talking = Talking::new(GateEnter::camera(door.clone()));
        let outs = talking.deliver(Event::Received(code.to_vec()), now, device);
        let shown = outs.into_iter().find_map(|out| if let Out::Show(notice) = out { Some(notice) } else { None });
        shown.unwrap()
    }

    /// Gate `from` tells gate `to` all that it has.
    fn tell(&mut self, from: usize, to: usize) -> Result<Neighbour, PageError> {
        let now = self.now;
        let teller = &self.gates[from];
        let within = |device| Context {
            now,
            entropy: [0; 32],
            verifier: &NativeVerifier,
            records: device,
            broken: tegata_core::step::Broken::NONE,
        };
        let id = teller.door.certificate.claimed().subject.device();
        let (known, _) = Neighbour::load(&self.gates[to].device, id);
        let page = page(&teller.door, known.number, &within(&teller.device)).unwrap();
        let page = Unsigned::new(page, Algorithm::Ed25519);
        let tbs = page.tbs(&[]);
        let page = page.sign(teller.device.ring.sign(&teller.door.certificate.claimed().key, &tbs).unwrap());
        let certificate = teller.door.certificate.clone();
        let (batch, after) = {
            let listener = &self.gates[to];
            take(&listener.door, certificate, page, &within(&listener.device))?
        };
        self.gates[to].device.vault.commit(&batch).unwrap();
        Ok(after)
    }

    fn inside(&self, at: usize) -> u64 {
        Tally::load(&self.gates[at].device).0.inside(1)
    }

    fn log(&self, at: usize) -> Vec<EntryKind> {
        let device = &self.gates[at].device;
        let found = device.vault.scan(tegata_core::record::Space::Log, &[], usize::MAX).unwrap();
        found.iter().map(|(_, bytes)| LogEntry::from_bytes(bytes).unwrap().kind).collect()
    }
}

fn let_in(told: &(Vec<WalletEnterNotice>, Vec<GateNotice>)) -> bool {
    matches!(told.0[..], [WalletEnterNotice::In { .. }]) && matches!(told.1[..], [GateNotice::Open(_)])
}

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
        let key = tegata_core::record::RecordKey::numbered(tegata_core::record::Space::Log, 1);
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
    let found = device.vault.scan(tegata_core::record::Space::Log, &[], usize::MAX).unwrap();
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
    batch.remove(tegata_core::record::RecordKey::numbered(tegata_core::record::Space::Log, 1));
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

/// The wallet has shown a code for its next entry.
fn shown(venue: &mut Venue) {
    let purse = load_purse(&venue.wallet, CARD).unwrap();
    let (pass, before) = Pass::load(&venue.wallet, &purse, 1);
    let mut batch = Batch::default();
    batch.replace(Pass::key(CARD, 1), before, pass.with_code().unwrap().to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
}

#[test]
fn a_code_that_nobody_scanned_costs_no_entry_at_a_way_out_that_hears_all_gates() {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    venue.gates[2].door.hears = true;
    shown(&mut venue);
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside);
    let (seen, _) = venue.enter(0);
    assert!(matches!(seen[..], [WalletEnterNotice::In { entry: 1, .. }]), "{seen:?}");
    venue.tell(0, 2).unwrap();
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]));
    // By a code, and the way out has heard of it.
    venue.tell(2, 0).unwrap();
    shown(&mut venue);
    let code = venue.code();
    assert!(matches!(venue.camera(0, &code), GateNotice::Open(_)), "its own door");
    venue.tell(0, 2).unwrap();
    assert!(matches!(venue.enter(2).1[..], [GateNotice::LetOut(_)]));
    // One that is alone cannot know, and holds nobody.
    venue.gates[2].door.hears = false;
    shown(&mut venue);
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
    let key = tegata_core::record::RecordKey::numbered(tegata_core::record::Space::Log, 1);
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
