//! Tickets given from wallet to wallet: registered, late, twice, given on, come back, and by a number; the auditor agrees (R12).

use crate::clearing::audited;
use crate::says::{PROCESSOR, Says};
use crate::world::{World, blank, usd};
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::ticket::{GATE_TOLERANCE, TicketTerms};
use tegata_core::card::{CardKind, Terms};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::Event;
use tegata_core::talk::buy::*;
use tegata_core::talk::credit::*;
use tegata_core::talk::enter::{Direction, EnterRefusal, GateNotice, WalletEnterNotice};
use tegata_core::talk::event::*;
use tegata_core::talk::give::{GiverNotice, ReceiverNotice, Register};
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, EventId, Time, Unit};
use tegata_gate::Gate;
use tegata_vault::{MemoryVault, Vault};
use tegata_wallet::{Standing, Wallet, WalletError};

type Visitor = Wallet<MemoryVault>;
type Door = Gate<MemoryVault>;

const EVENT: EventId = EventId([0xe1; 16]);

fn plan(world: &World) -> EventPlan {
    let door = |door| PlannedDoor { door, name: format!("door {door}"), zone: 1, extensions: Default::default() };
    let seat = |seat| Seat { seat, name: format!("Row 1, {seat}"), article: 1, extensions: Default::default() };
    EventPlan {
        promoter: world.issuer_id(),
        event: EVENT,
        revision: 1,
        name: "Concert".into(),
        place: "Town hall".into(),
        zones: vec![PlannedZone { zone: 1, name: "Hall".into(), extensions: Default::default() }],
        doors: (1..=3).map(door).collect(),
        seats: (1..=3).map(seat).collect(),
        at: world.now,
        extensions: Default::default(),
    }
}

fn terms(world: &World) -> Terms {
    let ticket = TicketTerms {
        event: EVENT,
        place: "Town hall".into(),
        from: world.now.after(10 * Time::DAY),
        until: world.now.after(10 * Time::DAY + 6 * 3600),
        zones: vec![1],
        entries: 2,
        a_day: None,
        day_begins: 0,
        reentry: true,
        companions: 0,
        door: None,
        give_until: None,
        give_price: None,
        refund_until: None,
        seating: None,
        extensions: Default::default(),
    };
    Terms {
        kind: CardKind::Ticket,
        unit: Unit::ENTRIES,
        name: "Concert, stalls".into(),
        max_payment: 0,
        offline_limit: 0,
        max_balance: 2,
        handovers: 2,
        register_within: Some(3 * Time::DAY),
        ticket: Some(ticket),
        ..world.terms()
    }
}

fn listing(world: &World) -> Listing {
    Listing {
        issuer: world.issuer_id(),
        article: 1,
        revision: 1,
        terms: terms(world),
        face: Amount::new(Unit::ENTRIES, 2).expect("in range"),
        price: usd(4_500),
        stock: 3,
        until: world.now.after(10 * Time::DAY),
        valid_for: 20 * Time::DAY,
        clear_after: None,
        at: world.now,
        extensions: Default::default(),
    }
}

/// A town with a concert: a processor that says what it is told to, a wallet with an account, three gates in their place.
struct Concert {
    world: World,
    says: Says,
    people: Vec<Visitor>,
    gates: Vec<Door>,
    clearings: u8,
}

impl Concert {
    fn new() -> Self {
        let mut world = World::new();
        let says = Says::registered(&mut world);
        let (issuer, now, entropy) = (world.issuer_id(), world.now, world.entropy());
        let details = MerchantDetails {
            code: "HALL".into(),
            category: 7922,
            name: "HALL".into(),
            extensions: Default::default(),
        };
        world.provider.enrol(issuer, details, now, entropy).expect("enrolled");
        says.open(&mut world, 1);
        let body = plan(&world);
        world.issuer_asks(body);
        let body = listing(&world);
        world.issuer_asks(body);
        let mut wallet = world.wallet(80);
        let card = Sealed {
            profile: Profile::Hpke,
            addressee: PROCESSOR,
            sender: None,
            header: Bytes(vec![1; 32]),
            ciphertext: Bytes(vec![2; 32]),
            extensions: Default::default(),
        };
        let id = wallet.id().expect("joined");
        let register = RegisterCard { wallet: id, card, at: world.now, extensions: Default::default() };
        let _: CreditAnswer = world.ask(&mut wallet, register).expect("answered");
        says.open(&mut world, 2);
        let mut people = vec![Wallet::new(wallet, Algorithm::Ed25519)];
        for seed in [81, 82] {
            people.push(Wallet::new(world.wallet(seed), Algorithm::Ed25519));
        }
        let mut concert = Self { world, says, people, gates: Vec::new(), clearings: 0 };
        for (door, direction) in [(1, Direction::In), (2, Direction::In), (3, Direction::Out)] {
            let gate = concert.gate(door, direction);
            concert.gates.push(gate);
        }
        concert
    }
    fn gate(&mut self, door: u8, direction: Direction) -> Door {
        let mut device = blank(100 + door);
        let promoter = self.world.issuer_id();
        self.world.join(&mut device, Role::Gate, Some(promoter), &format!("door {door}"));
        let order = GateOrder {
            promoter,
            gate: device.id().expect("joined"),
            event: EVENT,
            door: u64::from(door),
            direction,
            at: self.world.now,
            extensions: Default::default(),
        };
        self.world.issuer_asks(order);
        self.world.update(&mut device);
        Gate::new(device)
    }
    /// Buys a ticket for any seat.
    fn buys(&mut self) -> CardId {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        let article = self.people[0].catalogue(&mut wire, now).expect("a catalogue").remove(0);
        let (purchase, kept) = self.people[0].reserve(&mut wire, article, None, now).expect("answered");
        assert!(matches!(kept, BuyNotice::Reserved { price, .. } if price == usd(4_500)), "{kept:?}");
        self.people[0].buy(&mut wire, purchase, PaymentOption::Once, now).expect("answered");
        let authorized = self.says.approve(&mut self.world);
        self.clearings += 1;
        self.says.clear(&mut self.world, &authorized, self.clearings);
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        match self.people[0].purchase(&mut wire, purchase, now).expect("answered") {
            BuyNotice::Delivered { card, .. } => card,
            other => panic!("no ticket: {other:?}"),
        }
    }
    /// Tickets that are sold from now on may be given on so often in all; the first gate knows.
    fn allows(&mut self, handovers: u64) {
        let more = Terms { handovers, ..terms(&self.world) };
        let body = Listing { revision: 2, terms: more, ..listing(&self.world) };
        self.world.issuer_asks(body);
        self.brings(0);
    }
    /// Touches a gate; nothing crosses the network.
    fn touch(&mut self, who: usize, card: CardId, gate: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
        let now = self.world.moment();
        let (mut wallet, hello) = self.people[who].enter(card, 1, now).expect("starts");
        let gate = &mut self.gates[gate];
        let mut tap = gate.tap().expect("ready");
        let (mut up, mut told, mut shown) = (vec![hello], Vec::new(), Vec::new());
        while let Some(frame) = up.pop() {
            let step = tap.receive(&frame, self.world.moment(), &mut gate.device).expect("gate");
            shown.extend(step.notices);
            for frame in step.frames {
                let step = wallet.receive(&frame, self.world.moment(), &mut self.people[who].device).expect("wallet");
                told.extend(step.notices);
                up.extend(step.frames);
            }
        }
        if !wallet.is_over() {
            let now = self.world.moment();
            told.extend(wallet.event(Event::Lost, now, &mut self.people[who].device).expect("lost").notices);
        }
        (told, shown)
    }
    fn enters(&mut self, who: usize, card: CardId, gate: usize) {
        let told = self.touch(who, card, gate);
        assert!(matches!(told.1[..], [GateNotice::Open(_) | GateNotice::LetOut(_)]), "{told:?}");
    }
    fn refused(&mut self, who: usize, card: CardId, gate: usize) -> EnterRefusal {
        let (told, shown) = self.touch(who, card, gate);
        match (&told[..], &shown[..]) {
            ([WalletEnterNotice::Refused { why, .. }], [GateNotice::Refused(same, _)]) if why == same => *why,
            other => panic!("both are told: {other:?}"),
        }
    }
    fn brings(&mut self, gate: usize) {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.gates[gate].update(&mut wire, now).expect("updated");
        self.world.balanced();
    }
    fn doors_open(&mut self) {
        self.world.now = self.world.now.after(10 * Time::DAY + 60);
    }
    fn updates(&mut self, who: usize) {
        self.world.update(&mut self.people[who].device);
    }
    /// Whatever is overdue ends.
    fn later(&mut self, seconds: u64) {
        self.world.now = self.world.now.after(seconds);
        let (now, entropy) = (self.world.now, self.world.entropy());
        self.world.provider.to_processor(now, entropy).expect("done");
        self.world.balanced();
    }
    /// Two wallets touch, both people agree; nothing crosses the network.
    fn gives(&mut self, from: usize, to: usize, card: CardId) {
        let mut giver = self.people[from].give(card).expect("a ticket");
        let (mut taker, hello) = self.people[to].take(self.world.moment()).expect("starts");
        let (mut up, mut told) = (vec![hello], Vec::new());
        while !up.is_empty() {
            let mut down = Vec::new();
            for frame in std::mem::take(&mut up) {
                let now = self.world.moment();
                let device = &mut self.people[from].device;
                let step = giver.receive(&frame, now, device).expect("giver");
                down.extend(step.frames);
                if step.notices.iter().any(|notice| matches!(notice, GiverNotice::Consent { .. })) {
                    let step = giver.event(Event::Agreed, now, device).expect("agrees");
                    down.extend(step.frames);
                }
            }
            for frame in down {
                let now = self.world.moment();
                let device = &mut self.people[to].device;
                let mut step = taker.receive(&frame, now, device).expect("taker");
                if step.notices.iter().any(|notice| matches!(notice, ReceiverNotice::Consent { .. })) {
                    step = taker.event(Event::Agreed, now, device).expect("agrees");
                }
                up.extend(step.frames);
                told.extend(step.notices);
            }
        }
        assert!(told.iter().any(|notice| matches!(notice, ReceiverNotice::Taken { .. })), "{told:?}");
    }
    fn registers(&mut self, who: usize, card: CardId) -> Result<(), WalletError> {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.people[who].register(&mut wire, card, now)
    }
    fn gift(&mut self, who: usize, card: CardId, lose_answer: bool) -> Result<(String, Time), WalletError> {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, lose_answer);
        self.people[who].gift(&mut wire, card, now)
    }
    fn installs(&mut self, who: usize, number: &str) -> Result<CardId, WalletError> {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.people[who].install(&mut wire, number, None, now)
    }
    /// What was sold is changed to another hall; holders have two days, and who says nothing keeps its ticket.
    fn changes(&mut self) -> Terms {
        self.changes_for_who_is_silent(false)
    }
    fn changes_for_who_is_silent(&mut self, silence_refunds: bool) -> Terms {
        self.changes_with(silence_refunds, None)
    }
    /// The same, and whoever has this seat has the other one there; nobody answers, and all of it is done.
    fn moves_while_nobody_answers(&mut self, from: u64, to: u64) -> Terms {
        let after = self.changes_with(false, Some(vec![SeatMove { from, to, extensions: Default::default() }]));
        self.works();
        self.world.now = self.world.now.after(2 * Time::DAY + 60);
        self.works();
        after
    }
    fn changes_with(&mut self, silence_refunds: bool, moves: Option<Vec<SeatMove>>) -> Terms {
        let (issuer, now) = (self.world.issuer_id(), self.world.now);
        let (_, body) = self.world.provider.store().listing(issuer, 1, 1).expect("read").expect("listed");
        let sold = tegata_core::wire::signed::Signed::<Listing>::decode(&body).expect("a listing");
        let before = sold.claimed().terms.clone();
        let ticket = before.ticket.clone().expect("a ticket's");
        let after = Terms { ticket: Some(TicketTerms { place: "Gymnasium".into(), ..ticket }), ..before.clone() };
        let body = Listing { revision: 2, terms: after.clone(), at: now, ..listing(&self.world) };
        self.world.issuer_asks(body);
        self.world.issuer_asks(Change {
            promoter: issuer,
            event: EVENT,
            before: before.handle(),
            after: Some(after.clone()),
            text: "The town hall has no roof any more".into(),
            answer_until: now.after(2 * Time::DAY),
            silence_refunds,
            at: now,
            moves,
            extensions: Default::default(),
        });
        after
    }
    /// Every ticket has its turn that can have it now.
    fn works(&mut self) {
        for _ in 0..10 {
            let (now, entropy) = (self.world.now, self.world.entropy());
            self.world.provider.change_on(now, entropy);
        }
        self.world.balanced();
    }
    /// The seat that a wallet's certificate names, and what it says stands there.
    fn seat(&self, who: usize, card: CardId) -> (Option<u64>, Option<String>) {
        let purse = self.purse(who, card);
        (purse.certificate.claimed().seat, purse.seat_name)
    }
    fn purse(&self, who: usize, card: CardId) -> Purse {
        self.people[who].ticket(card).expect("a ticket").purse
    }
    fn wallet_of(&self, card: CardId) -> tegata_core::DeviceId {
        self.world.provider.store().card(card).expect("read").expect("a card").wallet
    }
    fn id(&self, who: usize) -> tegata_core::DeviceId {
        self.people[who].device.id().expect("joined")
    }
    fn clean(&self) {
        assert_eq!(audited(&self.world).difference, None);
    }
}

#[test]
fn given_offline_registered_online_and_the_old_copy_is_dead_at_every_gate() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let copy = concert.people[0].device.vault.clone();
    concert.gives(0, 1, card);
    assert!(matches!(concert.people[0].standing(&concert.purse(0, card)), Standing::Given { taken: true, .. }));
    assert!(matches!(concert.people[1].standing(&concert.purse(1, card)), Standing::Unregistered(_)));
    concert.registers(1, card).expect("registered");
    let purse = concert.purse(1, card);
    assert_eq!((purse.certificate.claimed().generation, purse.hops().len()), (2, 0));
    assert_eq!(concert.people[1].standing(&purse), Standing::Own);
    assert_eq!(concert.wallet_of(card), concert.id(1));
    concert.clean();
    // Both logs say the same; nothing changes by that.
    concert.updates(0);
    concert.updates(1);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    assert_eq!(concert.purse(1, card).generation(), 2);
    concert.clean();
    concert.brings(0);
    concert.doors_open();
    concert.enters(1, card, 0);
    // A gate that hears of it by its set-up alone.
    concert.brings(1);
    concert.people[0].device.vault = copy;
    assert_eq!(concert.refused(0, card, 1), EnterRefusal::GivenAway);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.updates(1);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn the_same_registration_gets_the_same_answer_and_nobody_else_registers_it() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    let before = concert.people[1].device.vault.clone();
    concert.registers(1, card).expect("registered");
    let certificate = concert.purse(1, card).certificate;
    // The answer was lost.
    concert.people[1].device.vault = before;
    concert.registers(1, card).expect("registered again");
    assert_eq!(concert.purse(1, card).certificate, certificate);
    assert!(matches!(concert.registers(1, card), Err(WalletError::NotGiven(_))), "there is nothing to register");
    // Another wallet that has seen the title cannot bind it to itself.
    let mut title = Concert::new();
    let stolen = title.buys();
    title.gives(0, 1, stolen);
    let taking = title.people[1].taking(stolen).expect("taken");
    let purse = title.purse(1, stolen);
    let body = Register {
        wallet: title.id(2),
        card: stolen,
        generation: 1,
        title: purse.hops().to_vec(),
        proof: taking.registers.expect("signed"),
        extensions: Default::default(),
    };
    let mut thief = std::mem::replace(&mut title.people[2], Wallet::new(blank(201), Algorithm::Ed25519));
    let answer: Result<tegata_core::talk::cards::InstallReply, _> = title.world.ask(&mut thief.device, body);
    assert!(answer.is_err());
    title.registers(1, stolen).expect("its own wallet does");
    title.clean();
}

#[test]
fn given_on_twice_before_anybody_goes_online() {
    for last_first in [true, false] {
        let mut concert = Concert::new();
        concert.allows(3);
        let card = concert.buys();
        concert.gives(0, 1, card);
        concert.gives(1, 2, card);
        if last_first {
            concert.registers(2, card).expect("registered");
            concert.updates(1);
            concert.updates(0);
        } else {
            concert.updates(0);
            concert.updates(1);
            concert.registers(2, card).expect("registered");
        }
        concert.updates(2);
        assert_eq!(concert.purse(2, card).certificate.claimed().generation, 3);
        assert_eq!(concert.wallet_of(card), concert.id(2));
        assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
        concert.clean();
        // Registered, it can be given on again.
        concert.gives(2, 0, card);
        concert.updates(0);
        assert_eq!(concert.purse(0, card).certificate.claimed().generation, 4, "by the log alone");
        concert.doors_open();
        concert.enters(0, card, 0);
        concert.clean();
    }
}

#[test]
fn a_ticket_that_may_be_given_once_is_given_once_in_all() {
    for by_number in [false, true] {
        let mut concert = Concert::new();
        concert.allows(1);
        let card = concert.buys();
        let given = |concert: &Concert, who: usize| concert.purse(who, card).certificate.claimed().given;
        // What nobody takes is not given.
        concert.gift(0, card, false).expect("a number");
        concert.later(3 * Time::DAY + 60);
        concert.updates(0);
        assert_eq!((concert.purse(0, card).generation(), given(&concert, 0)), (2, None));
        if by_number {
            let (number, _) = concert.gift(0, card, false).expect("a number");
            concert.installs(1, &number).expect("taken");
        } else {
            concert.gives(0, 1, card);
            concert.registers(1, card).expect("registered");
        }
        assert_eq!(given(&concert, 1), Some(1));
        concert.updates(1);
        assert_eq!(given(&concert, 1), Some(1), "each checkpoint says so");
        match concert.gift(1, card, false) {
            Err(WalletError::NotGiven(why)) => assert!(why.contains("in all"), "{why}"),
            other => panic!("{other:?}"),
        }
        // Nor does a loss begin anew.
        let now = concert.world.now;
        let number = concert.world.provider.anew(card, now).expect("a number");
        concert.installs(2, &number).expect("installed");
        assert_eq!(given(&concert, 2), Some(1));
        concert.clean();
        // The provider counts, whatever a wallet makes of its terms.
        let ticket = concert.people[2].ticket(card).expect("a ticket");
        let more = Terms { handovers: 9, ..ticket.terms.clone() };
        let mut batch = Batch::default();
        batch.put(RecordKey::new(Space::Terms, ticket.terms.handle().0), more.to_bytes());
        concert.people[2].device.vault.commit(&batch).expect("changed");
        let told = concert.gift(2, card, false);
        assert!(matches!(told, Err(WalletError::Refused(_))), "{told:?}");
        assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
        concert.clean();
    }
}

#[test]
fn what_nobody_registers_comes_back_and_who_comes_late_is_told_why() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    concert.updates(0);
    concert.clean();
    concert.later(3 * Time::DAY + 7 * Time::DAY - 60);
    concert.updates(0);
    assert_ne!(concert.purse(0, card).state, PurseState::Active, "not yet");
    concert.later(120);
    concert.updates(0);
    let purse = concert.purse(0, card);
    assert_eq!((purse.state, purse.generation()), (PurseState::Active, 5), "behind all that may have been given on");
    assert_eq!(concert.people[0].standing(&purse), Standing::CameBack);
    match concert.registers(1, card) {
        Err(WalletError::Refused(why)) => assert!(why.contains("went back"), "{why}"),
        other => panic!("{other:?}"),
    }
    concert.updates(1);
    assert_eq!(concert.purse(1, card).state, PurseState::Blocked);
    (0..2).for_each(|gate| concert.brings(gate));
    concert.world.now = concert.world.now.after(120);
    concert.enters(0, card, 0);
    concert.brings(0);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn two_hand_overs_of_one_copy_convict_and_the_first_told_stands() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let copy = concert.people[0].device.vault.clone();
    concert.gives(0, 1, card);
    concert.people[0].device.vault = copy;
    concert.gives(0, 2, card);
    concert.registers(1, card).expect("registered");
    match concert.registers(2, card) {
        Err(WalletError::Refused(why)) => assert!(why.contains("somebody else"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(concert.world.open_exceptions(), ["given twice"]);
    let found = concert.world.provider.exceptions().expect("read").pop().expect("one");
    assert!(found.wallet_record.is_some() && found.terminal_record.is_some(), "both records");
    assert_eq!((found.card, found.generation, found.bearer), (Some(card), Some(1), "holder"));
    concert.updates(1);
    assert_eq!(concert.purse(1, card).state, PurseState::Active);
    concert.doors_open();
    concert.enters(1, card, 0);
    concert.clean();
}

#[test]
fn what_was_used_before_it_was_given_is_no_offence_after_it() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(0, card, 0);
    concert.enters(0, card, 2);
    concert.gives(0, 1, card);
    // The gate has not heard of the exit: the receiver shows it.
    concert.enters(1, card, 0);
    concert.registers(1, card).expect("registered");
    (0..3).for_each(|gate| concert.brings(gate));
    concert.updates(0);
    concert.updates(1);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.enters(1, card, 2);
    assert_eq!(concert.refused(1, card, 0), EnterRefusal::UsedUp);
    concert.clean();
}

#[test]
fn a_copy_that_came_in_after_its_ticket_was_given_is_told_from_a_visit_before() {
    for gate_first in [true, false] {
        let mut concert = Concert::new();
        let card = concert.buys();
        concert.doors_open();
        let copy = concert.people[0].device.vault.clone();
        concert.gives(0, 1, card);
        concert.later(GATE_TOLERANCE + 1);
        concert.people[0].device.vault = copy;
        concert.enters(0, card, 0);
        if gate_first {
            concert.brings(0);
            assert!(concert.world.open_exceptions().is_empty(), "nobody has told of the hand-over");
        }
        concert.registers(1, card).expect("registered");
        concert.brings(0);
        assert_eq!(concert.world.open_exceptions(), ["used after it was given"]);
        let all = concert.world.provider.exceptions().expect("exceptions");
        let gate = concert.gates[0].device.id();
        assert_eq!((all[0].device, all[0].generation, all[0].bearer), (gate, Some(1), "holder"));
        assert!(all[0].wallet_record.is_some() && all[0].terminal_record.is_some(), "both signed records");
        concert.clean();
    }
}

#[test]
fn a_gate_that_was_shown_a_title_tells_of_it_before_its_holders_do() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.gives(0, 1, card);
    concert.enters(1, card, 0);
    concert.brings(0);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
    concert.updates(1);
    concert.updates(0);
    assert_eq!(concert.purse(1, card).certificate.claimed().generation, 2);
    concert.enters(1, card, 2);
    concert.clean();
}

#[test]
fn a_gift_is_taken_once_by_its_number() {
    let mut concert = Concert::new();
    let card = concert.buys();
    assert!(concert.gift(0, card, true).is_err(), "the answer is lost");
    let (number, until) = concert.gift(0, card, false).expect("a number");
    assert_eq!(concert.gift(0, card, false).expect("the same"), (number.clone(), until));
    let stands = |concert: &Concert| concert.people[0].standing(&concert.purse(0, card));
    assert_eq!(stands(&concert), Standing::Gift { until: Some(until), arrived: None });
    concert.clean();
    assert_eq!(concert.installs(1, &number).expect("taken"), card);
    assert_eq!(concert.wallet_of(card), concert.id(1));
    assert_eq!(concert.purse(1, card).generation(), 2);
    assert!(concert.installs(2, &number).is_err(), "once");
    concert.updates(0);
    let taken = concert.world.now;
    assert_eq!(stands(&concert), Standing::Gift { until: Some(until), arrived: Some(taken) }, "and not by whom");
    concert.updates(1);
    concert.doors_open();
    concert.enters(1, card, 0);
    concert.clean();
}

#[test]
fn a_gift_that_comes_back_and_is_blocked_before_its_wallet_has_heard_comes_blocked() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let (number, _) = concert.gift(0, card, false).expect("a number");
    concert.installs(1, &number).expect("taken");
    let (number, _) = concert.gift(1, card, false).expect("a number");
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, true);
    assert!(concert.people[0].install(&mut wire, &number, None, now).is_err(), "the answer is lost");
    // Nobody answers: it is paid back. The wallet hears of the block while it still has only what it gave.
    concert.changes_for_who_is_silent(true);
    concert.works();
    concert.later(2 * Time::DAY + 1);
    concert.works();
    concert.updates(0);
    let before = concert.purse(0, card);
    assert_eq!((before.generation(), before.state), (1, PurseState::Ended));
    assert_eq!(concert.installs(0, &number).expect("installed"), card);
    let purse = concert.purse(0, card);
    assert_eq!((purse.generation(), purse.state), (3, PurseState::Blocked), "it lets nobody in, and says so");
    concert.clean();
}

#[test]
fn a_ticket_whose_wallet_was_lost_is_installed_again_by_a_number() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let copy = concert.people[0].device.vault.clone();
    concert.enters(0, card, 0);
    concert.brings(0);
    let (mut other, now) = (card, concert.world.now);
    other.0[0] ^= 1;
    let why = concert.world.provider.anew(other, now).map_err(|error| error.to_string());
    assert!(why.is_err_and(|why| why.starts_with("no card has that id")));
    let number = concert.world.provider.anew(card, now).expect("a number");
    assert_eq!(concert.world.provider.anew(card, now).expect("said again"), number);
    concert.clean();
    assert_eq!(concert.installs(1, &number).expect("installed"), card);
    assert!(concert.installs(2, &number).is_err(), "once");
    let purse = concert.purse(1, card);
    // All that the lost wallet may have given on before anybody said so is behind it; what it used is used.
    assert_eq!((purse.generation(), purse.certificate.claimed().used), (4, Some(1)));
    assert_eq!(concert.wallet_of(card), concert.id(1));
    // A gate that has not heard of it knows the new one by its certificate, and after its update the old one no more.
    concert.enters(1, card, 1);
    (0..3).for_each(|gate| concert.brings(gate));
    let why = concert.refused(0, card, 2);
    assert!(matches!(why, EnterRefusal::GivenAway | EnterRefusal::Blocked), "the lost one stays outside: {why:?}");
    // Gate 2 is a way out: a copy of before its visit is told there that it is not inside.
    concert.people[0].device.vault = copy;
    let why = concert.refused(0, card, 0);
    assert!(matches!(why, EnterRefusal::GivenAway | EnterRefusal::Blocked), "so does a copy of it: {why:?}");
    concert.updates(0);
    assert_eq!(concert.purse(0, card).state, PurseState::Blocked);
    concert.updates(1);
    // Lost once more.
    let now = concert.world.now;
    let again = concert.world.provider.anew(card, now).expect("another number");
    assert_ne!(again, number);
    assert!(concert.installs(0, &number).is_err(), "the first number is used");
    assert_eq!(concert.installs(2, &again).expect("installed"), card);
    assert_eq!(concert.wallet_of(card), concert.id(2));
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn a_ticket_issued_anew_is_installed_in_the_wallet_that_has_lost_its_key() {
    for knows in [true, false] {
        let mut concert = Concert::new();
        let card = concert.buys();
        let now = concert.world.now;
        let number = concert.world.provider.anew(card, now).expect("a number");
        if knows {
            concert.updates(0);
            assert_eq!(concert.purse(0, card).state, PurseState::Blocked);
        }
        assert_eq!(concert.installs(0, &number).expect("installed"), card);
        // The block of what was lost may come only now: it is not meant for this generation.
        concert.updates(0);
        let purse = concert.purse(0, card);
        assert_eq!((purse.generation(), purse.state), (4, PurseState::Active), "knows: {knows}");
        assert_eq!(concert.wallet_of(card), concert.id(0));
        assert!(concert.installs(1, &number).is_err() && concert.installs(0, &number).is_err(), "once");
        concert.doors_open();
        (0..3).for_each(|gate| concert.brings(gate));
        concert.enters(0, card, 0);
        concert.brings(0);
        assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
        concert.clean();
    }
}

#[test]
fn what_is_on_its_way_or_over_is_not_issued_anew() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let says = |concert: &mut Concert| {
        let now = concert.world.now;
        concert.world.provider.anew(card, now).expect_err("no").to_string()
    };
    concert.gives(0, 1, card);
    concert.updates(0);
    assert!(says(&mut concert).contains("its receiver has not registered it yet"), "its receiver has it");
    concert.registers(1, card).expect("registered");
    let (number, _) = concert.gift(1, card, false).expect("a number");
    assert!(says(&mut concert).contains("this ticket is over"), "whoever has that number has it");
    concert.installs(2, &number).expect("taken");
    concert.later(20 * Time::DAY);
    assert!(says(&mut concert).contains("its event has ended"));
    concert.clean();
}

#[test]
fn a_gift_that_nobody_takes_comes_back() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let (number, _) = concert.gift(0, card, false).expect("a number");
    concert.later(3 * Time::DAY + 60);
    concert.updates(0);
    let purse = concert.purse(0, card);
    assert_eq!((purse.state, purse.generation()), (PurseState::Active, 2));
    assert_eq!(concert.people[0].standing(&purse), Standing::CameBack);
    assert!(concert.installs(1, &number).is_err());
    concert.clean();
    // And can be given again.
    let (again, _) = concert.gift(0, card, false).expect("another number");
    assert_ne!(again, number);
    assert_eq!(concert.installs(0, &again).expect("also by its giver"), card);
    concert.clean();
}

#[test]
fn a_wallet_that_was_put_back_is_told_what_it_gave() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.updates(0);
    let copy = concert.people[0].device.vault.clone();
    concert.gives(0, 1, card);
    concert.updates(0);
    concert.people[0].device.vault = copy;
    concert.updates(0);
    assert_eq!(concert.purse(0, card).state, PurseState::Blocked);
    concert.registers(1, card).expect("registered");
    concert.clean();
}

#[test]
fn a_giver_hears_when_its_ticket_was_registered_also_after_it_was_put_back() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    concert.updates(0);
    let stands = |concert: &Concert| concert.people[0].standing(&concert.purse(0, card));
    assert!(matches!(stands(&concert), Standing::Given { taken: true, arrived: None, .. }), "it waits");
    let copy = concert.people[0].device.vault.clone();
    concert.later(60);
    concert.registers(1, card).expect("registered");
    let at = concert.world.now;
    concert.later(60);
    concert.updates(0);
    assert!(matches!(stands(&concert), Standing::Given { arrived: Some(when), .. } if when == at));
    concert.people[0].device.vault = copy;
    concert.updates(0);
    assert!(matches!(stands(&concert), Standing::Given { arrived: Some(when), .. } if when <= at), "told again");
    concert.clean();
}

#[test]
fn who_is_given_a_ticket_on_before_it_is_registered_is_who_its_first_giver_hears_of() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    concert.gives(1, 2, card);
    concert.updates(0);
    concert.registers(2, card).expect("registered");
    concert.updates(0);
    let stands = concert.people[0].standing(&concert.purse(0, card));
    assert!(matches!(stands, Standing::Given { arrived: Some(_), .. }), "{stands:?}");
    concert.clean();
}

#[test]
fn who_gave_a_ticket_on_before_it_was_registered_hears_that_it_arrived_and_its_first_giver_hears_nothing_more() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    concert.gives(1, 2, card);
    concert.registers(2, card).expect("registered");
    concert.updates(0);
    let told = |concert: &Concert| {
        concert.world.provider.store().device(concert.id(0)).expect("read").expect("known").commands
    };
    let before = told(&concert);
    concert.updates(1);
    concert.updates(1);
    for who in [0, 1] {
        let stands = concert.people[who].standing(&concert.purse(who, card));
        assert!(matches!(stands, Standing::Given { arrived: Some(_), .. }), "{who}: {stands:?}");
    }
    assert_eq!(told(&concert), before, "through whose hands it went is nothing to its first giver");
    assert_eq!(concert.wallet_of(card), concert.id(2));
    concert.clean();
}

#[test]
fn what_was_given_on_twice_comes_back_to_who_registered_it_last() {
    let mut concert = Concert::new();
    concert.allows(3);
    let wallet = concert.world.wallet(83);
    concert.people.push(Wallet::new(wallet, Algorithm::Ed25519));
    let card = concert.buys();
    concert.doors_open();
    for from in 0..3 {
        concert.gives(from, from + 1, card);
    }
    // A gate tells of all three; the first receiver goes online, and nobody behind it.
    concert.enters(3, card, 0);
    concert.brings(0);
    concert.updates(1);
    assert_eq!(concert.wallet_of(card), concert.id(1), "it is not its first giver's any more");
    concert.later(10 * Time::DAY + 60);
    assert_eq!(concert.wallet_of(card), concert.id(1));
    concert.updates(1);
    assert_eq!(concert.purse(1, card).state, PurseState::Active);
    concert.updates(0);
    assert_ne!(concert.purse(0, card).state, PurseState::Active);
    concert.clean();
}

#[test]
fn who_gives_back_what_was_given_pays_back_who_bought_it() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    let now = concert.world.moment();
    assert!(concert.people[1].surrender(card, now).is_err(), "registered first");
    concert.registers(1, card).expect("registered");
    concert.people[1].surrender(card, now).expect("given back");
    concert.updates(1);
    concert.later(15 * Time::DAY);
    let refunds = concert.world.provider.store().refunds_of(card).expect("read");
    let buyer = concert.id(0);
    assert!(matches!(&refunds[..], [refund] if refund.wallet == buyer && refund.amount == 4_500), "{refunds:?}");
    concert.clean();
}

#[test]
fn the_auditor_names_a_generation_without_a_transfer_and_a_transfer_that_nobody_signed() {
    let tampered = |sql: &str| {
        let mut concert = Concert::new();
        let card = concert.buys();
        concert.gives(0, 1, card);
        concert.registers(1, card).expect("registered");
        let other = concert.buys();
        let (number, _) = concert.gift(0, other, false).expect("a number");
        concert.installs(2, &number).expect("taken");
        concert.clean();
        concert.world.provider.store().connection().execute_batch(sql).expect("tampered");
        audited(&concert.world).difference.expect("found").to_string()
    };
    for (sql, words) in [
        ("DELETE FROM handed WHERE gift = 0", "no hand-over to its key"),
        ("DELETE FROM handed WHERE gift = 1", "no hand-over to its key"),
        (
            "UPDATE handed SET body = (SELECT body FROM handed WHERE gift = 1) WHERE gift = 0",
            "nothing that its holder has signed",
        ),
        ("UPDATE handed SET used = used + 1 WHERE gift = 0", "nothing that its holder has signed"),
        ("UPDATE handed SET giver = zeroblob(16) WHERE gift = 1", "nothing that its holder has signed"),
        ("UPDATE handed SET proof = zeroblob(64) WHERE gift = 0", "nothing that its new key"),
        ("UPDATE handed SET state = 3 WHERE gift = 1", "had been given on before generation 2"),
        ("UPDATE handed SET taker = giver WHERE gift = 0", "nothing that its new key"),
        ("UPDATE card SET wallet = (SELECT giver FROM handed WHERE handed.card = card.card)", "who holds card-"),
    ] {
        let found = tampered(sql);
        assert!(found.contains(words), "{sql}: {found}");
    }
}

#[test]
fn who_gave_a_ticket_twice_is_not_paid_back_before_a_person_has_looked() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let copy = concert.people[0].device.vault.clone();
    concert.gives(0, 1, card);
    concert.people[0].device.vault = copy;
    concert.gives(0, 2, card);
    concert.registers(1, card).expect("registered");
    assert!(concert.registers(2, card).is_err());
    // Its honest holder gives it back; the money would go to who bought it, and cheated.
    let now = concert.world.moment();
    concert.people[1].surrender(card, now).expect("given back");
    concert.updates(1);
    concert.later(15 * Time::DAY);
    assert!(concert.world.provider.store().refunds_of(card).expect("read").is_empty());
    assert_eq!(concert.world.open_exceptions(), ["given twice", "unreturned"], "it waits for a person");
    concert.clean();
}

#[test]
fn who_has_a_ticket_back_from_somebody_who_cheated_with_it_is_paid_back() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    concert.registers(1, card).expect("registered");
    let copy = concert.people[1].device.vault.clone();
    concert.gives(1, 0, card);
    concert.people[1].device.vault = copy;
    concert.gives(1, 2, card);
    concert.registers(0, card).expect("registered");
    assert!(concert.registers(2, card).is_err());
    assert_eq!(concert.world.open_exceptions(), ["given twice"]);
    let now = concert.world.moment();
    concert.people[0].surrender(card, now).expect("given back");
    concert.updates(0);
    concert.later(15 * Time::DAY);
    let refunds = concert.world.provider.store().refunds_of(card).expect("read");
    let buyer = concert.id(0);
    assert!(matches!(&refunds[..], [refund] if refund.wallet == buyer && refund.amount == 4_500), "{refunds:?}");
    concert.clean();
}

#[test]
fn whoever_copies_a_ticket_that_was_given_twice_is_convicted_for_that() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let copy = concert.people[0].device.vault.clone();
    concert.gives(0, 1, card);
    concert.people[0].device.vault = copy;
    concert.gives(0, 2, card);
    concert.registers(1, card).expect("registered");
    assert!(concert.registers(2, card).is_err());
    // Two hold generation 2. That each has shown it accuses neither ...
    let copy = concert.people[1].device.vault.clone();
    concert.enters(1, card, 0);
    assert_eq!(concert.refused(2, card, 0), EnterRefusal::UsedElsewhere);
    concert.brings(0);
    assert!(!concert.world.open_exceptions().contains(&"cloned"), "{:?}", concert.world.open_exceptions());
    // ... but one of them has a copy of his own.
    concert.people[1].device.vault = copy;
    concert.enters(1, card, 1);
    concert.brings(1);
    assert!(concert.world.open_exceptions().contains(&"cloned"), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn who_has_given_a_ticket_away_has_no_say_in_a_change_and_who_has_it_is_asked() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let after = concert.changes();
    concert.works();
    concert.updates(0);
    concert.gives(0, 1, card);
    // The giver's log tells of it; the receiver is away.
    concert.updates(0);
    let answers = |concert: &mut Concert, who: usize, accept: bool| {
        let now = concert.world.moment();
        let mut wire = concert.world.wire(now, false);
        concert.people[who].answer_change(&mut wire, card, accept, now)
    };
    assert!(answers(&mut concert, 0, false).is_err(), "it is not the giver's any more");
    concert.registers(1, card).expect("registered");
    concert.updates(1);
    assert_eq!(answers(&mut concert, 1, true).expect("answered"), ChangeOutcome::Taken);
    assert_eq!(concert.people[1].ticket(card).expect("a ticket").terms, after);
    concert.clean();
}

#[test]
fn who_registers_after_a_change_was_decided_can_show_the_ticket() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.gives(0, 1, card);
    // The giver's log tells of it; the receiver is away.
    concert.updates(0);
    let after = concert.changes();
    concert.works();
    concert.world.now = concert.world.now.after(2 * Time::DAY + 60);
    concert.works();
    let has = concert.world.provider.store().card(card).expect("read").expect("a card").terms;
    assert_eq!(has, after.handle(), "silence has decided");
    concert.registers(1, card).expect("registered");
    concert.updates(1);
    assert_eq!(concert.people[1].ticket(card).expect("it is shown").terms, after);
    concert.clean();
}

#[test]
fn who_registers_after_its_seat_was_moved_hears_of_it_and_has_nothing_to_answer() {
    for asks in [true, false] {
        let mut concert = Concert::new();
        let card = concert.buys();
        concert.gives(0, 1, card);
        // The giver's log tells of it; the receiver is away.
        concert.updates(0);
        let after = concert.moves_while_nobody_answers(1, 3);
        if asks {
            let before = concert.people[1].device.vault.clone();
            concert.registers(1, card).expect("registered");
            assert_eq!(concert.seat(1, card), (Some(1), Some("Row 1, 1".into())), "as it was given");
            // The answer was lost.
            concert.people[1].device.vault = before;
            concert.registers(1, card).expect("registered again");
            assert_eq!(concert.seat(1, card), (Some(1), Some("Row 1, 1".into())));
        }
        concert.updates(1);
        assert_eq!(concert.seat(1, card), (Some(3), Some("Row 1, 3".into())), "asks: {asks}");
        assert_eq!(concert.people[1].ticket(card).expect("it is shown").terms, after);
        let change = concert.people[1].change(card).expect("told");
        assert_eq!(change.stands, Some(ChangeOutcome::Taken));
        let moved = change.offered.changed.seat.expect("from seat to seat");
        assert_eq!((moved.from, moved.was.as_deref(), moved.to), (1, Some("Row 1, 1"), 3));
        concert.clean();
    }
}

#[test]
fn a_ticket_by_a_number_is_the_same_again_with_the_name_of_its_own_seat_though_that_was_moved() {
    for anew in [true, false] {
        let mut concert = Concert::new();
        let card = concert.buys();
        let now = concert.world.now;
        let number = match anew {
            true => concert.world.provider.anew(card, now).expect("a number").to_string(),
            false => concert.gift(0, card, false).expect("a number").0,
        };
        let now = concert.world.moment();
        let mut wire = concert.world.wire(now, true);
        assert!(concert.people[1].install(&mut wire, &number, None, now).is_err(), "the answer is lost");
        concert.moves_while_nobody_answers(1, 3);
        assert_eq!(concert.installs(1, &number).expect("the same"), card);
        assert_eq!(concert.seat(1, card), (Some(1), Some("Row 1, 1".into())), "anew: {anew}");
        concert.updates(1);
        assert_eq!(concert.seat(1, card), (Some(3), Some("Row 1, 3".into())), "anew: {anew}");
        concert.clean();
    }
}

#[test]
fn a_ticket_issued_anew_after_a_loss_is_not_reported_as_given() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let given = |concert: &Concert| concert.world.provider.store().turnout(EVENT).expect("read").given;
    let copy = concert.people[0].device.vault.clone();
    concert.updates(0);
    concert.updates(0);
    concert.people[0].device.vault = copy;
    concert.updates(0);
    assert_eq!((concert.purse(0, card).generation(), given(&concert)), (2, 0), "put back from a copy");
    let (number, _) = concert.gift(0, card, false).expect("a number");
    assert_eq!(given(&concert), 0, "nobody has it yet");
    concert.installs(1, &number).expect("taken");
    assert_eq!(given(&concert), 1);
    concert.gives(1, 2, card);
    concert.updates(1);
    concert.later(11 * Time::DAY);
    concert.updates(1);
    assert_eq!((concert.wallet_of(card), given(&concert)), (concert.id(1), 1), "that came back, the gift did not");
    concert.clean();
}
