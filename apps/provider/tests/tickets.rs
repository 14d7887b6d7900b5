//! Tickets: planned, sold by credit, shown at gates with no network, brought up and compared (R20).

mod clearing;
mod says;
mod world;

use clearing::audited;
use says::{PROCESSOR, Says};
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::step::Event;
use tegata_core::talk::buy::*;
use tegata_core::talk::credit::*;
use tegata_core::talk::enter::{Direction, EnterRefusal, GateNotice, Setup, WalletEnterNotice};
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
use world::{World, blank, usd};

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
    visitor: Visitor,
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
        let visitor = Wallet::new(wallet, Algorithm::Ed25519);
        let mut concert = Self { world, says, visitor, gates: Vec::new(), clearings: 0 };
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
    fn touch(&mut self, card: CardId, gate: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
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
    fn enters(&mut self, card: CardId, gate: usize) {
        let told = self.touch(card, gate);
        assert!(matches!(told.1[..], [GateNotice::Open(_) | GateNotice::LetOut(_)]), "{told:?}");
    }
    fn refused(&mut self, card: CardId, gate: usize) -> EnterRefusal {
        let (told, shown) = self.touch(card, gate);
        match (&told[..], &shown[..]) {
            ([WalletEnterNotice::Refused { why, .. }], [GateNotice::Refused(same)]) if why == same => *why,
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
    fn clean(&self) {
        assert_eq!(audited(&self.world).difference, None);
    }
}

/// What the promoter is told of its event.
fn report(concert: &mut Concert) -> serde_json::Value {
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

#[test]
fn a_ticket_is_bought_shown_with_no_network_and_brought_up() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let ticket = concert.visitor.ticket(card).expect("a ticket");
    assert_eq!(ticket.purse.certificate.claimed().seat, Some(1));
    concert.clean();
    concert.brings(0);
    assert_eq!(concert.refused(card, 0), EnterRefusal::TooEarly);
    concert.doors_open();
    concert.enters(card, 0);
    assert_eq!(concert.refused(card, 0), EnterRefusal::Inside);
    concert.enters(card, 2);
    concert.enters(card, 1);
    assert_eq!(concert.gates[1].tally().inside(1), 1);
    for gate in 0..3 {
        concert.brings(gate);
        assert_eq!(concert.gates[gate].waiting(), 0);
    }
    concert.world.update(&mut concert.visitor.device);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    let rows = concert.world.provider.store().admissions_at(EVENT).expect("read");
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.by_gate && row.by_wallet), "both sides say the same");
    let report = report(&mut concert);
    assert_eq!(report["categories"][0]["sold"], 1);
    assert_eq!(
        report["tickets"],
        serde_json::json!({ "installed": 1, "given": 0, "dead": 0, "came": 1, "no_shows": 0 })
    );
    let quarter = |door: u64| {
        let from = concert.world.now.0 / 900 * 900;
        serde_json::json!({ "door": door, "name": format!("door {door}"), "from": from, "entries": 1, "people": 1 })
    };
    assert_eq!(report["arrivals"], serde_json::json!([quarter(1), quarter(2)]));
    concert.clean();
}

#[test]
fn a_gate_that_begins_late_hears_what_was_archived_long_ago() {
    // R22; found by the simulator (seed 304545): the first gate had pruned what is on a second medium (R15).
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    for _ in 0..3 {
        concert.brings(0);
        concert.world.now = concert.world.now.after(15 * Time::DAY);
    }
    let now = concert.world.moment();
    let (certificate, page) = concert.gates[0].page(0, now).expect("signed");
    let heard = concert.gates[1].take(certificate, page, now).expect("heard");
    assert_eq!((heard.number, heard.last), (1, 1), "nothing is missing");
    assert_eq!(concert.gates[1].tally().inside(1), 1);
}

#[test]
fn a_copy_that_came_in_elsewhere_is_found_with_both_presentations_and_blocked() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let copy = concert.visitor.device.vault.clone();
    concert.enters(card, 0);
    let mine = std::mem::replace(&mut concert.visitor.device.vault, copy);
    concert.enters(card, 1);
    concert.visitor.device.vault = mine;
    concert.brings(0);
    assert!(concert.world.open_exceptions().is_empty(), "one alone says nothing");
    concert.brings(1);
    assert_eq!(concert.world.open_exceptions(), ["cloned"]);
    let found = concert.world.provider.exceptions().expect("read").pop().expect("one");
    assert_eq!((found.card, found.bearer), (Some(card), "holder"));
    assert!(found.wallet_record.is_some() && found.terminal_record.is_some(), "both records");
    // Every gate knows it by its next update, and the wallet by its own.
    concert.brings(0);
    let setup = Setup::load(&concert.gates[0].device).expect("set up");
    assert_eq!(setup.dead(card, 1), Some(EnterRefusal::Blocked));
    concert.world.update(&mut concert.visitor.device);
    assert_eq!(concert.refused(card, 2), EnterRefusal::Blocked);
    concert.clean();
}

#[test]
fn an_honest_repeat_that_came_in_twice_convicts_nobody_and_is_shown() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    // The first gate's answer is lost: the wallet tells the second gate of it.
    let now = concert.world.moment();
    let (mut wallet, hello) = concert.visitor.enter(card, 1, now).expect("starts");
    let mut tap = concert.gates[0].tap().expect("ready");
    let step = tap.receive(&hello, concert.world.moment(), &mut concert.gates[0].device).expect("gate");
    let step = wallet.receive(&step.frames[0], concert.world.moment(), &mut concert.visitor.device).expect("wallet");
    tap.receive(&step.frames[0], concert.world.moment(), &mut concert.gates[0].device).expect("gate");
    concert.enters(card, 1);
    concert.brings(0);
    concert.brings(1);
    assert_eq!(concert.world.open_exceptions(), ["came twice"]);
    concert.world.update(&mut concert.visitor.device);
    concert.enters(card, 2);
    concert.clean();
}

#[test]
fn a_code_that_yielded_to_a_touch_opened_twice_and_is_shown_also_at_one_gate() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let now = concert.world.moment();
    let code = concert.visitor.window(card, 1, 1, now).expect("a code");
    concert.gates[0].hear(true);
    let told = concert.gates[0].camera(&code, now).expect("ready");
    assert!(matches!(told, GateNotice::Open(_)), "{told:?}");
    concert.enters(card, 0);
    concert.brings(0);
    assert_eq!(concert.world.open_exceptions(), ["came twice"]);
    concert.clean();
}

#[test]
fn what_a_gate_that_did_not_know_let_in_beyond_the_terms_is_reported() {
    let mut concert = Concert::new();
    let (card, other) = (concert.buys(), concert.buys());
    concert.doors_open();
    concert.enters(card, 0);
    concert.enters(card, 2);
    concert.enters(card, 1);
    concert.enters(card, 2);
    assert_eq!(concert.refused(card, 1), EnterRefusal::UsedUp);
    (0..3).for_each(|gate| concert.brings(gate));
    assert!(concert.world.open_exceptions().is_empty());
    // Given back meanwhile, and let in by a gate that has not heard of it.
    let now = concert.world.moment();
    let vault = concert.visitor.device.vault.clone();
    concert.visitor.surrender(other, now).expect("given back");
    concert.world.update(&mut concert.visitor.device);
    let mine = std::mem::replace(&mut concert.visitor.device.vault, vault);
    concert.enters(other, 0);
    concert.visitor.device.vault = mine;
    concert.brings(0);
    assert_eq!(concert.world.open_exceptions(), ["beyond terms"]);
    assert_eq!(concert.refused(other, 1), EnterRefusal::GivenAway, "its wallet knows");
    concert.clean();
}

#[test]
fn a_gate_that_lost_an_answer_brings_the_same_again() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, true);
    assert!(concert.gates[0].update(&mut wire, now).is_err(), "the answer is lost");
    assert_eq!(concert.gates[0].waiting(), 1);
    concert.brings(0);
    assert_eq!(concert.gates[0].waiting(), 0);
    assert_eq!(concert.world.provider.store().admissions_by(card).expect("read").len(), 1);
    concert.clean();
}

#[test]
fn only_its_promoter_plans_an_event_and_puts_its_gates_in_place() {
    let mut concert = Concert::new();
    let world = &mut concert.world;
    let mut other = blank(150);
    world.join(&mut other, Role::Issuer, None, "Other");
    let promoter = tegata_core::PartyId(other.id().expect("joined").0);
    let stolen = EventPlan { promoter, revision: 2, ..plan(world) };
    let answer: Result<tegata_core::talk::cards::Done, _> = world.ask(&mut other, stolen);
    assert!(answer.is_err(), "another promoter's event");
    let gate = concert.gates[0].device.id().expect("joined");
    let at = world.now;
    let order = GateOrder {
        promoter,
        gate,
        event: EVENT,
        door: 2,
        direction: Direction::Out,
        at,
        extensions: Default::default(),
    };
    let answer: Result<tegata_core::talk::cards::Done, _> = world.ask(&mut other, order);
    assert!(answer.is_err(), "another promoter's gate");
    let mut seats = EventPlan { revision: 2, ..plan(world) };
    seats.seats[0].name = "Row 9, 9".into();
    let kept = world.provider.store().planned(EVENT).expect("read").expect("planned").body;
    let same = tegata_core::wire::signed::Signed::<EventPlan>::decode(&kept).expect("a plan").claimed().clone();
    let mut issuer = std::mem::replace(&mut world.issuer, blank(200));
    let answer: Result<tegata_core::talk::cards::Done, _> = world.ask(&mut issuer, seats);
    assert!(answer.is_err(), "a seat that may be sold gets no other name");
    let again: Result<tegata_core::talk::cards::Done, _> = world.ask(&mut issuer, same);
    assert!(again.is_ok(), "the same plan again changes nothing: {again:?}");
}
