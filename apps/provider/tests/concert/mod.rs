//! A town with a concert: its promoter, a visitor, three gates.

use crate::clearing::audited;
use crate::says::{PROCESSOR, Says};
use crate::world::{World, blank, usd};
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::step::Event;
use tegata_core::talk::buy::*;
use tegata_core::talk::credit::*;
use tegata_core::talk::enter::{Direction, EnterRefusal, GateNotice, WalletEnterNotice};
use tegata_core::talk::event::*;
use tegata_core::talk::report::{Report, ReportKind, ReportRequest};
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, EventId, Time, Unit};
use tegata_gate::Gate;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

pub type Visitor = Wallet<MemoryVault>;
pub type Door = Gate<MemoryVault>;

pub const EVENT: EventId = EventId([0xe1; 16]);

pub fn plan(world: &World) -> EventPlan {
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

pub fn terms(world: &World) -> Terms {
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
        ticket: Some(ticket),
        ..world.terms()
    }
}

pub fn listing(world: &World) -> Listing {
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
pub struct Concert {
    pub world: World,
    pub says: Says,
    pub visitor: Visitor,
    pub gates: Vec<Door>,
    clearings: u8,
}

impl Concert {
    pub fn new() -> Self {
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
        let visitor = Wallet::new(wallet, Algorithm::Ed25519);
        let mut concert = Self { world, says, visitor, gates: Vec::new(), clearings: 0 };
        for (door, direction) in [(1, Direction::In), (2, Direction::In), (3, Direction::Out)] {
            let gate = concert.gate(door, direction);
            concert.gates.push(gate);
        }
        concert
    }
    pub fn gate(&mut self, door: u8, direction: Direction) -> Door {
        self.gate_of(100 + door, door, direction)
    }
    /// A gate with keys from this seed, set up at a door.
    pub fn gate_of(&mut self, seed: u8, door: u8, direction: Direction) -> Door {
        let mut device = blank(seed);
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
    pub fn buys(&mut self) -> CardId {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        let article = self.visitor.catalogue(&mut wire, now).expect("a catalogue").remove(0);
        let (purchase, kept) = self.visitor.reserve(&mut wire, article, None, now).expect("answered");
        assert!(matches!(kept, BuyNotice::Reserved { price, .. } if price == usd(4_500)), "{kept:?}");
        self.visitor.buy(&mut wire, purchase, PaymentOption::Once, now).expect("answered");
        let authorized = self.says.approve(&mut self.world);
        self.clearings += 1;
        self.says.clear(&mut self.world, &authorized, self.clearings);
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        match self.visitor.purchase(&mut wire, purchase, now).expect("answered") {
            BuyNotice::Delivered { card, .. } => card,
            other => panic!("no ticket: {other:?}"),
        }
    }
    /// Touches a gate; nothing crosses the network.
    pub fn touch(&mut self, card: CardId, gate: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
        let now = self.world.moment();
        let (mut wallet, hello) = self.visitor.enter(card, 1, now).expect("starts");
        let gate = &mut self.gates[gate];
        let mut tap = gate.tap().expect("ready");
        let (mut up, mut told, mut shown) = (vec![hello], Vec::new(), Vec::new());
        while let Some(frame) = up.pop() {
            let step = tap.receive(&frame, self.world.moment(), &mut gate.device).expect("gate");
            shown.extend(step.notices);
            for frame in step.frames {
                let step = wallet.receive(&frame, self.world.moment(), &mut self.visitor.device).expect("wallet");
                told.extend(step.notices);
                up.extend(step.frames);
            }
        }
        if !wallet.is_over() {
            let now = self.world.moment();
            told.extend(wallet.event(Event::Lost, now, &mut self.visitor.device).expect("lost").notices);
        }
        (told, shown)
    }
    pub fn enters(&mut self, card: CardId, gate: usize) {
        let told = self.touch(card, gate);
        assert!(matches!(told.1[..], [GateNotice::Open(_) | GateNotice::LetOut(_)]), "{told:?}");
    }
    pub fn refused(&mut self, card: CardId, gate: usize) -> EnterRefusal {
        let (told, shown) = self.touch(card, gate);
        match (&told[..], &shown[..]) {
            ([WalletEnterNotice::Refused { why, .. }], [GateNotice::Refused(same, _)]) if why == same => *why,
            other => panic!("both are told: {other:?}"),
        }
    }
    pub fn brings(&mut self, gate: usize) {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.gates[gate].update(&mut wire, now).expect("updated");
        self.world.balanced();
    }
    pub fn doors_open(&mut self) {
        self.world.now = self.world.now.after(10 * Time::DAY + 60);
    }
    pub fn clean(&self) {
        assert_eq!(audited(&self.world).difference, None);
    }
}

/// What the promoter is told of its event.
pub fn report(concert: &mut Concert) -> serde_json::Value {
    let promoter = concert.world.issuer_id();
    let body = |party| ReportRequest {
        report: ReportKind::Event,
        party,
        from: Time(0),
        until: Time::END,
        device: None,
        event: Some(EVENT),
        extensions: Default::default(),
    };
    let mut other = blank(151);
    concert.world.join(&mut other, Role::Issuer, None, "Other");
    let party = tegata_core::PartyId(other.id().expect("joined").0);
    let refused: Result<Report, _> = concert.world.ask(&mut other, body(party));
    assert!(refused.is_err(), "another promoter's event");
    let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
    let told: Result<Report, _> = concert.world.ask(&mut issuer, body(promoter));
    concert.world.issuer = issuer;
    serde_json::from_slice(&told.expect("a report").content.0).expect("JSON")
}
