//! Events changed and cancelled after their tickets were sold: every holder told, answered once, silence by the promoter's rule,
//! money back once, a provider that dies at every step, and the gates before and after (flow 15).

use crate::clearing::audited;
use crate::says::{PROCESSOR, Says};
use crate::world;
use crate::world::{World, blank, usd};
use tegata_core::card::payment::PurseState;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::step::{Broken, Event};
use tegata_core::talk::buy::*;
use tegata_core::talk::cards::Done;
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
use tegata_provider::Provider;
use tegata_store::{ChangeRow, ChangeState, RefundState, Store};
use tegata_vault::MemoryVault;
use tegata_wallet::{Since, Wallet};

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
        seats: (1..=6).map(seat).collect(),
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
        stock: 6,
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
    fn clean(&self) {
        assert_eq!(audited(&self.world).difference, None);
    }
    /// The promoter lists tickets of these terms instead of those it sold.
    fn lists(&mut self, revision: u64, terms: Terms) {
        let body = Listing { revision, terms, at: self.world.now, ..listing(&self.world) };
        self.world.issuer_asks(body);
    }
    /// What the promoter signs: another day and hall, or nothing any more.
    fn order(&self, before: &Terms, after: Option<Terms>, silence_refunds: bool) -> Change {
        Change {
            promoter: self.world.issuer_id(),
            event: EVENT,
            before: before.handle(),
            after,
            text: "The town hall has no roof any more".into(),
            answer_until: self.world.now.after(3 * Time::DAY),
            silence_refunds,
            at: self.world.now,
            moves: None,
            extensions: Default::default(),
        }
    }
    /// The event is changed to these terms.
    fn changes(&mut self, after: &Terms, silence_refunds: bool) -> Change {
        let before = terms_sold(self);
        self.lists(2, after.clone());
        let change = self.order(&before, Some(after.clone()), silence_refunds);
        self.world.issuer_asks(change.clone());
        change
    }
    /// What it was changed to is changed once more, which `revision` of its article sells.
    fn changes_again(&mut self, revision: u64, before: &Terms, after: &Terms, silence_refunds: bool) -> Change {
        self.lists(revision, after.clone());
        let change = self.order(before, Some(after.clone()), silence_refunds);
        self.world.issuer_asks(change.clone());
        change
    }
    /// What it was changed to is cancelled.
    fn cancels_after(&mut self, before: &Terms) -> Change {
        let change = self.order(before, None, false);
        self.world.issuer_asks(change.clone());
        change
    }
    fn cancels(&mut self) -> Change {
        let change = self.order(&terms_sold(self), None, false);
        self.world.issuer_asks(change.clone());
        change
    }
    /// Everything has its turn that can have it now.
    fn work(&mut self) {
        for _ in 0..50 {
            let (now, entropy) = (self.world.now, self.world.entropy());
            self.world.provider.change_on(now, entropy);
            self.world.balanced();
            if !self.world.provider.is_changing() {
                return;
            }
        }
        panic!("a change does not end");
    }
    fn deadline(&mut self) {
        self.world.now = self.world.now.after(3 * Time::DAY);
    }
    fn hears(&mut self) {
        self.world.update(&mut self.visitor.device);
    }
    fn answers(&mut self, card: CardId, accept: bool) -> Result<ChangeOutcome, tegata_wallet::WalletError> {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        let told = self.visitor.answer_change(&mut wire, card, accept, now);
        self.world.balanced();
        told
    }
    /// Answers, and the provider's reply is lost.
    fn answers_unheard(&mut self, card: CardId, accept: bool) {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, true);
        self.visitor.answer_change(&mut wire, card, accept, now).expect_err("the reply is lost");
    }
    fn state(&self, card: CardId) -> Option<ChangeState> {
        let all = self.world.provider.store().changes_to(card).expect("read");
        // A ticket that two changes have concerned was cancelled by the second.
        all.iter().find(|row| row.state == ChangeState::Cancelled).or(all.last()).map(|row| row.state)
    }
    /// How a ticket stands in one change.
    fn state_in(&self, card: CardId, change: &Change) -> Option<ChangeState> {
        let row = self.row_of(change);
        let found = self.world.provider.store().change_ticket(card, &row.change).expect("read");
        found.map(|row| row.state)
    }
    fn row_of(&self, change: &Change) -> ChangeRow {
        self.world.provider.store().change_of(EVENT, change.before).expect("read").expect("a change")
    }
    /// How many tickets of a change stand how.
    fn counts(&self, change: &Change) -> Vec<(ChangeState, u64)> {
        self.world.provider.store().change_counts(&self.row_of(change).change).expect("read")
    }
    fn is_over(&self, change: &Change) -> bool {
        self.row_of(change).ended.is_some()
    }
    /// The bank pays everything back that it is asked for; gives how much, each.
    fn bank_pays_back(&mut self) -> Vec<u64> {
        let mut paid = Vec::new();
        while self.says.asks::<Refund>(&mut self.world) {
            let amount = self.says.one::<Refund>(&mut self.world).1.claimed().amount;
            self.says.say::<Refund>(&mut self.world, |outcome| {
                (outcome.state, outcome.amount) = (OutcomeState::Refunded, Some(amount));
            });
            paid.push(amount.minor());
        }
        paid
    }
    /// The refunds that were ever asked for of this ticket.
    fn refunds(&self, card: CardId) -> usize {
        self.world.provider.store().refunds_of(card).expect("read").len()
    }
    /// What the visitor's wallet says became of a purchase.
    fn since(&self, card: CardId) -> Option<Since> {
        let bought = self.visitor.purchases().expect("read");
        self.visitor.since(bought.iter().find(|bought| bought.card == Some(card)).expect("bought"))
    }
    fn terms_of(&self, card: CardId) -> Terms {
        self.visitor.ticket(card).expect("a ticket").terms
    }
    /// The power goes out and comes back; what was not committed is gone.
    fn dies(&mut self, broken: Broken) {
        let blank = Provider::open(
            Store::memory().expect("memory"),
            tegata_provider::Keys::new([1; 32], self.world.now),
            "Blank",
            self.world.now,
            Broken::NONE,
        );
        let (store, keys) = std::mem::replace(&mut self.world.provider, blank.expect("a provider")).crash();
        let keys = keys.expect("its keys");
        self.world.provider = Provider::open(store, keys, "Town", self.world.now, broken).expect("open again");
    }
}

/// The terms that were sold first: [`terms`] at the beginning of the world.
fn terms_sold(concert: &Concert) -> Terms {
    let store = concert.world.provider.store();
    let (_, body) = store.listing(concert.world.issuer_id(), 1, 1).expect("read").expect("listed");
    tegata_core::wire::signed::Signed::<Listing>::decode(&body).expect("a listing").claimed().terms.clone()
}

/// The same concert in another hall, so many days later.
fn moved(concert: &Concert, days: u64) -> Terms {
    let before = terms_sold(concert);
    let ticket = before.ticket.clone().expect("a ticket's");
    let later = |at: Time| at.after(days * Time::DAY);
    let ticket =
        TicketTerms { place: "Gymnasium".into(), from: later(ticket.from), until: later(ticket.until), ..ticket };
    Terms { name: "Concert, benches".into(), ticket: Some(ticket), ..before }
}

#[test]
fn holders_are_told_and_take_the_new_ticket_or_their_money_and_silence_takes_it() {
    let mut concert = Concert::new();
    let (taken, declined, silent) = (concert.buys(), concert.buys(), concert.buys());
    let after = moved(&concert, 20);
    let change = concert.changes(&after, false);
    concert.work();
    assert!(concert.visitor.changes().expect("read").is_empty(), "told by the next update");
    assert!(concert.answers(taken, true).is_err(), "and not before");
    concert.hears();
    let told = concert.visitor.changes().expect("read");
    assert_eq!(told.len(), 3);
    for change in &told {
        let (before, offered) = (change.before.as_ref().expect("known"), &change.offered.changed);
        assert_eq!((&before.name[..], change.stands), ("Concert, stalls", None));
        assert_eq!(offered.after.as_ref(), Some(&after));
        assert_eq!(offered.text, "The town hall has no roof any more");
    }
    assert_eq!(concert.answers(taken, true).expect("answered"), ChangeOutcome::Taken);
    assert_eq!(concert.terms_of(taken), after);
    assert!(concert.answers(taken, false).is_err(), "the first answer counts");
    assert_eq!(concert.answers(taken, true).expect("the same again"), ChangeOutcome::Taken);
    concert.answers_unheard(declined, false);
    assert_eq!(concert.state(declined), Some(ChangeState::Declined));
    assert_eq!(concert.answers(declined, false).expect("the same bytes again"), ChangeOutcome::Refunded);
    assert_eq!(concert.refunds(declined), 1, "asked for once");
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.work();
    assert!(!concert.is_over(&change), "one has not said anything");
    concert.deadline();
    concert.work();
    assert!(concert.is_over(&change));
    assert_eq!(concert.state(silent), Some(ChangeState::SilentAccepted));
    concert.hears();
    assert_eq!(concert.terms_of(silent), after);
    let refunded = concert.visitor.refunded(declined).expect("told");
    assert_eq!((refunded.amount, refunded.left.minor()), (usd(4_500), 0));
    assert_eq!(concert.visitor.change(silent).expect("told").stands, Some(ChangeOutcome::Taken));
    assert_eq!(concert.answers(silent, false).expect("late"), ChangeOutcome::Taken, "silence has decided");
    concert.clean();
    // Nobody buys the old ones any more.
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let articles = concert.visitor.catalogue(&mut wire, now).expect("a catalogue");
    assert_eq!(articles[0].terms, after);
    // At the new doors: who took it comes in, who did not does not.
    concert.world.now = after.ticket.as_ref().expect("a ticket's").from.after(60);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.hears();
    concert.enters(taken, 0);
    concert.enters(silent, 1);
    assert_eq!(concert.refused(declined, 0), EnterRefusal::Refunded);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.hears();
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn the_answer_is_its_holders_also_where_another_one_was_told_who_gave_it_on() {
    // Found by the simulator (seed 209 with lost gates): the row named whoever was told, who had signed no such answer.
    let mut concert = Concert::new();
    let card = concert.buys();
    let after = moved(&concert, 1);
    concert.changes(&after, false);
    concert.work();
    concert.hears();
    let connection = concert.world.provider.store().connection();
    connection.execute("UPDATE change_ticket SET wallet = zeroblob(16)", []).expect("told to another");
    assert_eq!(concert.answers(card, true).expect("answered"), ChangeOutcome::Taken);
    concert.clean();
}

#[test]
fn silence_is_paid_back_where_the_promoter_says_so_and_a_late_answer_is_told_so() {
    let mut concert = Concert::new();
    let (late, silent) = (concert.buys(), concert.buys());
    let after = moved(&concert, 20);
    let change = concert.changes(&after, true);
    concert.work();
    concert.hears();
    concert.deadline();
    assert_eq!(concert.answers(late, true).expect("told"), ChangeOutcome::Refunded);
    assert_eq!(concert.state(late), Some(ChangeState::SilentRefunded));
    concert.work();
    assert_eq!(concert.state(silent), Some(ChangeState::SilentRefunded));
    assert!(concert.is_over(&change));
    assert_eq!(concert.bank_pays_back(), [4_500, 4_500]);
    concert.hears();
    assert_eq!(concert.visitor.refunded(silent).expect("told").amount, usd(4_500));
    assert_eq!(concert.visitor.change(silent).expect("told").stands, Some(ChangeOutcome::Refunded));
    concert.world.now = concert.world.now.after(40 * Time::DAY);
    concert.work();
    assert_eq!((concert.refunds(late), concert.refunds(silent)), (1, 1));
    concert.clean();
}

#[test]
fn a_ticket_blocked_before_its_wallet_has_heard_of_it_comes_blocked() {
    let mut concert = Concert::new();
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let article = concert.visitor.catalogue(&mut wire, now).expect("a catalogue").remove(0);
    let (purchase, _) = concert.visitor.reserve(&mut wire, article, None, now).expect("answered");
    concert.visitor.buy(&mut wire, purchase, PaymentOption::Once, now).expect("answered");
    let authorized = concert.says.approve(&mut concert.world);
    concert.says.clear(&mut concert.world, &authorized, 9);
    // Delivered, and its wallet has not asked yet; the promoter's rule decides, and the wallet hears of the block.
    let after = moved(&concert, 20);
    concert.changes(&after, true);
    concert.work();
    concert.deadline();
    concert.work();
    concert.hears();
    assert!(concert.visitor.tickets().expect("read").is_empty());
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    concert.visitor.purchase(&mut wire, purchase, now).expect("answered");
    let tickets = concert.visitor.tickets().expect("read");
    let [ticket] = &tickets[..] else { panic!("one ticket") };
    assert_eq!(concert.state(ticket.card), Some(ChangeState::SilentRefunded));
    assert_eq!(ticket.purse.state, PurseState::Blocked, "it lets nobody in, and says so");
    concert.clean();
}

#[test]
fn a_cancelled_event_is_paid_back_to_everyone_also_to_who_came_in_and_once() {
    let mut concert = Concert::new();
    let (came, stayed, given_back) = (concert.buys(), concert.buys(), concert.buys());
    let now = concert.world.moment();
    concert.visitor.surrender(given_back, now).expect("given back");
    concert.hears();
    assert_eq!(concert.since(given_back), Some(Since::GivenBack), "and not paid back yet");
    assert_eq!(concert.since(stayed), None);
    concert.doors_open();
    concert.enters(came, 0);
    concert.brings(0);
    let change = concert.cancels();
    concert.work();
    assert!(concert.is_over(&change));
    assert_eq!(concert.state(came), Some(ChangeState::Cancelled));
    assert_eq!(concert.state(given_back), Some(ChangeState::Over));
    concert.world.now = concert.world.now.after(5 * Time::DAY);
    assert_eq!(concert.bank_pays_back(), [4_500; 3], "each once, also what was given back before");
    concert.hears();
    for card in [came, stayed, given_back] {
        assert_eq!(concert.visitor.refunded(card).expect("told").amount, usd(4_500));
        assert!(matches!(concert.since(card), Some(Since::Settled(_))));
        assert_eq!(concert.refunds(card), 1);
    }
    assert!(concert.answers(stayed, true).is_err(), "there is nothing to answer");
    let cancelled = concert.world.provider.store().planned(EVENT).expect("read").expect("planned").cancelled;
    assert!(cancelled.is_some() && change.after.is_none());
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    assert!(concert.visitor.catalogue(&mut wire, now).expect("a catalogue").is_empty(), "nothing is sold any more");
    concert.brings(1);
    assert_eq!(concert.refused(stayed, 1), EnterRefusal::Refunded, "its wallet knows");
    concert.clean();
}

#[test]
fn a_ticket_bought_over_a_counter_is_paid_back_by_hand_also_if_it_is_installed_later() {
    let mut concert = Concert::new();
    let standing = Terms { name: "Concert, standing".into(), ..terms_sold(&concert) };
    let body = Listing { article: 2, terms: standing.clone(), at: concert.world.now, ..listing(&concert.world) };
    concert.world.issuer_asks(body);
    concert.world.batch += 1;
    let numbers = [[5; 32], [6; 32]].map(tegata_crypto_native::number::InstallationNumber::generate);
    let order = tegata_core::talk::cards::Order {
        issuer: concert.world.issuer_id(),
        batch: concert.world.batch,
        terms: standing.clone(),
        face: Amount::new(Unit::ENTRIES, 2).expect("in range"),
        numbers: numbers.iter().map(|number| number.keyed_hash(&world::NUMBER_KEY)).collect(),
        at: concert.world.now,
        until: concert.world.now.after(30 * Time::DAY),
        seats: None,
        extensions: Default::default(),
    };
    concert.world.issuer_asks(order);
    let activation = concert.world.activation(concert.world.batch, 2);
    concert.world.issuer_asks(activation);
    let before = concert.world.install(&mut concert.visitor.device, &numbers[0], 99);
    let change = concert.order(&standing, None, false);
    concert.world.issuer_asks(change.clone());
    concert.work();
    assert!(concert.is_over(&change));
    let left = |concert: &Concert| {
        let (issuer, now) = (concert.world.issuer_id(), concert.world.now);
        concert.world.provider.store().numbers_left(issuer, standing.handle(), now).expect("read")
    };
    assert_eq!(left(&concert), 1, "over but for one, as its promoter is told");
    let after = concert.world.install(&mut concert.visitor.device, &numbers[1], 98);
    assert!(!concert.is_over(&change), "another one has come");
    concert.work();
    assert!(concert.is_over(&change) && !concert.says.asks::<Refund>(&mut concert.world));
    assert_eq!(left(&concert), 0);
    concert.hears();
    for card in [before, after] {
        assert_eq!(concert.state(card), Some(ChangeState::Cancelled));
        assert_eq!(concert.visitor.refunded(card).expect("told").left.minor(), 2);
    }
    assert_eq!(concert.world.open_exceptions(), ["unreturned"; 2]);
    let bearers: Vec<_> = concert.world.provider.exceptions().expect("read").iter().map(|row| row.bearer).collect();
    assert_eq!(bearers, ["issuer"; 2]);
    for told in concert.world.provider.exceptions_told().expect("told") {
        let says = told["says"].as_str().expect("words");
        assert!(says.contains("for 'Concert' went back and was not paid back by itself"), "{says}");
    }
    let row = concert.world.provider.store().change_of(EVENT, change.before).expect("read").expect("a change");
    assert_eq!(concert.world.provider.store().change_by_hand(&row.change), Ok(2), "its promoter is told how many");
    concert.clean();
}

#[test]
fn what_the_bank_refuses_is_shown_to_a_person_and_the_others_are_paid() {
    let mut concert = Concert::new();
    let cards = [concert.buys(), concert.buys(), concert.buys()];
    concert.cancels();
    concert.work();
    concert.says.say::<Refund>(&mut concert.world, |outcome| outcome.state = OutcomeState::Declined);
    assert_eq!(concert.bank_pays_back(), [4_500, 4_500]);
    assert_eq!(concert.world.open_exceptions(), ["unreturned"; 2], "the refusal, and the ticket in dispute");
    let refunds = cards.map(|card| concert.world.provider.store().refunds_of(card).expect("read").remove(0).state);
    assert_eq!(refunds.iter().filter(|state| **state == RefundState::Refused).count(), 1);
    concert.work();
    assert!(!concert.says.asks::<Refund>(&mut concert.world), "nothing is asked for again");
    concert.clean();
}

#[test]
fn a_provider_that_dies_at_every_step_pays_nobody_twice_and_forgets_nobody() {
    let mut concert = Concert::new();
    let cards = [concert.buys(), concert.buys(), concert.buys(), concert.buys()];
    let after = moved(&concert, 20);
    concert.changes(&after, true);
    let lost = Broken::only(tegata_core::step::Break::AcknowledgeBeforeCommit);
    let step = |concert: &mut Concert| {
        // Once it dies before what it did is durable, once after.
        for broken in [lost, Broken::NONE] {
            concert.dies(broken);
            let (now, entropy) = (concert.world.now, concert.world.entropy());
            concert.world.provider.change_on(now, entropy);
            concert.dies(Broken::NONE);
        }
    };
    (0..4).for_each(|_| step(&mut concert));
    concert.hears();
    assert_eq!(concert.visitor.changes().expect("read").len(), 4);
    let commands = |concert: &Concert| {
        let device = concert.visitor.device.id().expect("joined");
        concert.world.provider.store().device(device).expect("read").expect("known").commands
    };
    let told = commands(&concert);
    concert.dies(Broken::NONE);
    concert.answers_unheard(cards[0], true);
    concert.dies(Broken::NONE);
    assert_eq!(concert.answers(cards[0], true).expect("told"), ChangeOutcome::Taken);
    concert.answers_unheard(cards[1], false);
    concert.dies(Broken::NONE);
    assert_eq!(commands(&concert), told, "nobody was told twice");
    concert.deadline();
    (0..4).for_each(|_| step(&mut concert));
    assert_eq!(concert.bank_pays_back(), [4_500; 3]);
    concert.dies(Broken::NONE);
    (0..4).for_each(|_| step(&mut concert));
    assert!(concert.bank_pays_back().is_empty());
    assert_eq!(cards.map(|card| concert.refunds(card)), [0, 1, 1, 1]);
    concert.clean();
}

#[test]
fn one_that_fails_stops_no_other_and_has_another_turn_when_the_promoter_says_so_again() {
    let mut concert = Concert::new();
    let cards = [concert.buys(), concert.buys(), concert.buys()];
    let sql = |concert: &Concert, text: &str| {
        concert.world.provider.store().connection().execute(text, [cards[1].0]).expect("done");
    };
    sql(&concert, "UPDATE purchase SET revision = 99 WHERE card = ?1");
    let change = concert.cancels();
    concert.work();
    assert!(concert.is_over(&change));
    let states = |concert: &Concert| cards.map(|card| concert.state(card).expect("a row"));
    assert_eq!(states(&concert), [ChangeState::Cancelled, ChangeState::Failed, ChangeState::Cancelled]);
    assert_eq!(concert.bank_pays_back(), [4_500, 4_500]);
    assert_eq!(concert.world.open_exceptions(), ["unreturned"]);
    sql(&concert, "UPDATE purchase SET revision = 1 WHERE card = ?1");
    concert.world.issuer_asks(change.clone());
    concert.work();
    assert_eq!(states(&concert), [ChangeState::Cancelled; 3]);
    assert_eq!(concert.bank_pays_back(), [4_500]);
    assert!(concert.is_over(&change));
    concert.clean();
}

#[test]
fn gates_before_and_after_admit_the_ticket_of_their_set_up_and_no_other() {
    let mut concert = Concert::new();
    let card = concert.buys();
    (0..2).for_each(|gate| concert.brings(gate));
    // Another hall on the same day.
    let after = moved(&concert, 0);
    concert.changes(&after, false);
    concert.work();
    concert.brings(0);
    assert_eq!(concert.refused(card, 0), EnterRefusal::Changed);
    concert.hears();
    assert_eq!(concert.refused(card, 0), EnterRefusal::Changed, "told, and not taken yet");
    concert.answers(card, true).expect("answered");
    concert.doors_open();
    // Gate 1 has not heard of the change: it knows no such ticket yet.
    assert_eq!(concert.refused(card, 1), EnterRefusal::OtherEvent);
    concert.enters(card, 0);
    concert.brings(1);
    concert.brings(2);
    concert.enters(card, 2);
    concert.enters(card, 1);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.hears();
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn who_was_let_in_before_goes_on_under_the_new_terms_and_is_not_paid_back() {
    let mut concert = Concert::new();
    let (came, comes) = (concert.buys(), concert.buys());
    concert.doors_open();
    concert.enters(came, 0);
    concert.enters(came, 2);
    (0..3).for_each(|gate| concert.brings(gate));
    // The second half of it in another hall, the same evening.
    let after = moved(&concert, 0);
    let change = concert.changes(&after, true);
    concert.work();
    assert_eq!(concert.state(came), Some(ChangeState::Kept));
    concert.hears();
    assert_eq!(concert.terms_of(came), after);
    assert_eq!(concert.answers(came, false).expect("told"), ChangeOutcome::Kept);
    // A gate that has not heard of the change lets one in that then wants its money.
    concert.enters(comes, 1);
    concert.brings(1);
    assert_eq!(concert.answers(comes, false).expect("told"), ChangeOutcome::Kept);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.enters(came, 1);
    concert.deadline();
    concert.work();
    assert!(concert.is_over(&change) && !concert.says.asks::<Refund>(&mut concert.world));
    concert.clean();
}

#[test]
fn a_ticket_declined_while_its_doors_are_open_is_paid_back_when_no_gate_can_say_anything_any_more() {
    let mut concert = Concert::new();
    let (honest, cheat) = (concert.buys(), concert.buys());
    concert.doors_open();
    let after = moved(&concert, 20);
    concert.changes(&after, true);
    concert.work();
    let old = concert.visitor.device.vault.clone();
    concert.hears();
    for card in [honest, cheat] {
        assert_eq!(concert.answers(card, false).expect("answered"), ChangeOutcome::Refunded);
    }
    assert!(!concert.says.asks::<Refund>(&mut concert.world), "a gate's log may still come");
    let mine = std::mem::replace(&mut concert.visitor.device.vault, old);
    concert.enters(cheat, 0);
    concert.visitor.device.vault = mine;
    concert.brings(0);
    concert.world.now = concert.world.now.after(14 * Time::DAY);
    assert_eq!(concert.bank_pays_back(), [4_500]);
    assert_eq!((concert.refunds(honest), concert.refunds(cheat)), (1, 0));
    assert_eq!(concert.world.open_exceptions(), ["beyond terms", "unreturned"]);
    concert.clean();
}

#[test]
fn what_is_declined_while_the_provider_reconciles_is_paid_back_when_it_has() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let after = moved(&concert, 20);
    concert.changes(&after, false);
    concert.work();
    concert.hears();
    concert.world.provider.restored(concert.world.now).expect("a new epoch");
    assert_eq!(concert.answers(card, false).expect("answered"), ChangeOutcome::Refunded);
    assert!(!concert.says.asks::<Refund>(&mut concert.world), "what was said since the backup is not known yet (R15)");
    concert.world.now = concert.world.now.after(14 * Time::DAY);
    assert_eq!(concert.bank_pays_back(), [4_500]);
    assert_eq!(concert.refunds(card), 1);
}

#[test]
fn who_came_in_by_terms_of_before_is_paid_back_only_when_no_gate_can_say_anything_any_more() {
    for surrenders in [false, true] {
        let mut concert = Concert::new();
        let card = concert.buys();
        concert.doors_open();
        // A cheat comes in by a copy; the gate has heard of no change, and is not heard for a while.
        let mine = concert.visitor.device.vault.clone();
        concert.enters(card, 0);
        concert.visitor.device.vault = mine;
        let (first, second) = (moved(&concert, 20), moved(&concert, 21));
        concert.changes(&first, false);
        concert.work();
        concert.hears();
        assert_eq!(concert.answers(card, true).expect("answered"), ChangeOutcome::Taken);
        // The doors of what it has now are far away.
        if surrenders {
            let now = concert.world.moment();
            concert.visitor.surrender(card, now).expect("given back");
            concert.hears();
        } else {
            concert.changes_again(3, &first, &second, false);
            concert.work();
            concert.hears();
            assert_eq!(concert.answers(card, false).expect("answered"), ChangeOutcome::Refunded);
        }
        assert!(!concert.says.asks::<Refund>(&mut concert.world), "a gate's log may still come");
        concert.brings(0);
        concert.world.now = concert.world.now.after(14 * Time::DAY);
        assert!(concert.bank_pays_back().is_empty(), "it was used");
        assert_eq!(concert.refunds(card), 0);
    }
}

#[test]
fn a_cancellation_takes_hold_at_once_also_of_who_has_not_answered_a_change() {
    let mut concert = Concert::new();
    let (taken, declined, silent, given_back) = (concert.buys(), concert.buys(), concert.buys(), concert.buys());
    let first = moved(&concert, 20);
    let moves = concert.changes(&first, false);
    concert.work();
    concert.hears();
    concert.answers(taken, true).expect("answered");
    concert.answers(declined, false).expect("answered");
    let now = concert.world.moment();
    concert.visitor.surrender(given_back, now).expect("given back");
    concert.hears();
    let cancels = concert.cancels_after(&first);
    concert.work();
    let before = [taken, declined, silent, given_back].map(|card| concert.state_in(card, &moves));
    use ChangeState::{Accepted, Cancelled, Declined, Over, Superseded};
    assert_eq!(before, [Some(Accepted), Some(Declined), Some(Superseded), Some(Over)]);
    let after = [taken, declined, silent, given_back].map(|card| concert.state_in(card, &cancels));
    assert_eq!(after, [Some(Cancelled), None, Some(Cancelled), None]);
    assert!(concert.is_over(&moves) && concert.is_over(&cancels), "nobody is waited for");
    let counted = [concert.counts(&moves), concert.counts(&cancels)];
    // The old question has no answer any more, and the wallet shows what has come instead.
    assert_eq!(concert.answers(silent, true).expect("told"), ChangeOutcome::Over);
    concert.hears();
    let told = concert.visitor.change(silent).expect("told");
    assert_eq!((told.offered.changed.after, told.stands), (None, Some(ChangeOutcome::Refunded)));
    assert_eq!(told.comes_back, Some(usd(4_500)));
    assert!(concert.answers(silent, true).is_err(), "there is nothing to answer");
    assert_eq!(concert.bank_pays_back(), [4_500; 4]);
    concert.hears();
    assert_eq!(concert.visitor.refunded(silent).expect("told").amount, usd(4_500));
    assert_eq!(concert.visitor.change(silent).expect("told").comes_back, None, "it is here");
    concert.deadline();
    concert.work();
    assert_eq!([concert.counts(&moves), concert.counts(&cancels)], counted, "what is over counts no more");
    assert!(!concert.says.asks::<Refund>(&mut concert.world));
    assert_eq!([taken, declined, silent, given_back].map(|card| concert.refunds(card)), [1; 4]);
    concert.clean();
}

#[test]
fn an_answer_under_way_while_the_event_is_cancelled_is_told_that_it_is_over_and_moves_no_money() {
    for accept in [true, false] {
        let mut concert = Concert::new();
        let card = concert.buys();
        let first = moved(&concert, 20);
        let moves = concert.changes(&first, true);
        concert.work();
        concert.hears();
        let cancels = concert.cancels_after(&first);
        // No ticket has had its turn, and nobody hears the reply.
        concert.answers_unheard(card, accept);
        let states = |concert: &Concert| [&moves, &cancels].map(|change| concert.state_in(card, change));
        assert_eq!(states(&concert), [Some(ChangeState::Superseded), Some(ChangeState::Cancelled)]);
        concert.dies(Broken::NONE);
        assert_eq!(concert.answers(card, accept).expect("the same bytes again"), ChangeOutcome::Over);
        concert.work();
        assert_eq!(states(&concert), [Some(ChangeState::Superseded), Some(ChangeState::Cancelled)]);
        assert_eq!(concert.bank_pays_back(), [4_500]);
        concert.hears();
        assert_eq!(concert.visitor.refunded(card).expect("told").amount, usd(4_500));
        assert_eq!(concert.refunds(card), 1);
        concert.clean();
    }
}

#[test]
fn who_was_let_in_while_the_question_was_open_is_paid_back_by_the_cancellation() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    let first = moved(&concert, 20);
    concert.changes(&first, false);
    concert.work();
    concert.hears();
    // The gate has not heard of the change.
    concert.enters(card, 0);
    concert.brings(0);
    concert.cancels_after(&first);
    concert.work();
    assert_eq!(concert.state(card), Some(ChangeState::Cancelled));
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.clean();
}

#[test]
fn who_is_inside_when_the_event_is_cancelled_goes_out_and_that_is_no_exception() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    let now = concert.world.moment();
    let (certificate, page) = concert.gates[0].page(0, now).expect("signed");
    concert.gates[2].take(certificate, page, now).expect("heard");
    concert.brings(0);
    concert.cancels();
    concert.work();
    concert.hears();
    assert_eq!(concert.visitor.ticket(card).expect("a ticket").purse.state, PurseState::Ended);
    // All know by now that it is paid back: the wallet, and every gate.
    (0..3).for_each(|gate| concert.brings(gate));
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.hears();
    assert_eq!(concert.gates[2].tally().inside(1), 1);
    concert.enters(card, 2);
    assert_eq!(concert.gates[2].tally().inside(1), 0);
    assert_eq!(concert.refused(card, 0), EnterRefusal::Refunded, "it does not come in again");
    (0..3).for_each(|gate| concert.brings(gate));
    concert.hears();
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn a_provider_that_dies_at_every_step_of_a_cancellation_over_a_change_pays_everyone_once() {
    let mut concert = Concert::new();
    let cards = [concert.buys(), concert.buys(), concert.buys()];
    let first = moved(&concert, 20);
    let moves = concert.changes(&first, false);
    concert.work();
    concert.hears();
    concert.answers(cards[0], true).expect("answered");
    let lost = Broken::only(tegata_core::step::Break::AcknowledgeBeforeCommit);
    let step = |concert: &mut Concert| {
        // Once it dies before what it did is durable, once after.
        for broken in [lost, Broken::NONE] {
            concert.dies(broken);
            let (now, entropy) = (concert.world.now, concert.world.entropy());
            concert.world.provider.change_on(now, entropy);
            concert.dies(Broken::NONE);
        }
    };
    let cancels = concert.cancels_after(&first);
    (0..6).for_each(|_| step(&mut concert));
    assert!(concert.is_over(&moves) && concert.is_over(&cancels));
    assert_eq!(concert.counts(&cancels), [(ChangeState::Cancelled, 3)]);
    assert_eq!(concert.bank_pays_back(), [4_500; 3]);
    (0..2).for_each(|_| step(&mut concert));
    assert!(concert.bank_pays_back().is_empty());
    assert_eq!(cards.map(|card| concert.refunds(card)), [1; 3]);
    concert.clean();
}

#[test]
fn who_has_not_answered_is_asked_by_the_newest_change_about_the_ticket_that_it_still_has() {
    let mut concert = Concert::new();
    let cards @ [taken, late, declined, silent] = [(); 4].map(|()| concert.buys());
    let (first, second) = (moved(&concert, 20), Terms { name: "Concert, balcony".into(), ..moved(&concert, 21) });
    let one = concert.changes(&first, true);
    concert.work();
    concert.hears();
    concert.answers(taken, true).expect("answered");
    let two = concert.changes_again(3, &first, &second, false);
    assert_eq!(concert.answers(late, false).expect("told"), ChangeOutcome::Over, "that question is over");
    concert.work();
    assert!(concert.is_over(&one) && !concert.is_over(&two));
    assert_eq!(concert.state_in(taken, &one), Some(ChangeState::Accepted));
    for card in [late, declined, silent] {
        assert_eq!(concert.state_in(card, &one), Some(ChangeState::Superseded));
    }
    assert_eq!(concert.counts(&two), [(ChangeState::Told, 4)]);
    concert.hears();
    for card in cards {
        let told = concert.visitor.change(card).expect("told");
        assert_eq!((told.offered.changed.after.as_ref(), told.stands), (Some(&second), None));
        let has = if card == taken { "Concert, benches" } else { "Concert, stalls" };
        assert_eq!(told.before.expect("known").name, has);
    }
    assert_eq!(concert.answers(taken, true).expect("answered"), ChangeOutcome::Taken);
    assert_eq!(concert.answers(late, true).expect("answered"), ChangeOutcome::Taken);
    assert_eq!(concert.answers(declined, false).expect("answered"), ChangeOutcome::Refunded);
    assert_eq!([taken, late].map(|card| concert.terms_of(card)), [second.clone(), second.clone()]);
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.deadline();
    concert.work();
    assert!(concert.is_over(&two));
    assert_eq!(concert.state_in(silent, &two), Some(ChangeState::SilentAccepted), "by the newest rule");
    concert.hears();
    assert_eq!(concert.terms_of(silent), second);
    assert_eq!(cards.map(|card| concert.refunds(card)), [0, 0, 1, 0]);
    concert.clean();
    concert.world.now = second.ticket.as_ref().expect("a ticket's").from.after(60);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.hears();
    for card in [taken, late, silent] {
        concert.enters(card, 0);
    }
    assert_eq!(concert.refused(declined, 1), EnterRefusal::Refunded);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.hears();
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn a_wallet_that_was_put_back_is_asked_again_and_can_show_its_ticket_when_silence_has_decided() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.hears();
    let bought = concert.visitor.device.vault.clone();
    let (first, second) = (moved(&concert, 20), Terms { name: "Concert, balcony".into(), ..moved(&concert, 21) });
    concert.changes(&first, true);
    concert.work();
    concert.hears();
    let asked_once = concert.visitor.device.vault.clone();
    let two = concert.changes_again(3, &first, &second, false);
    concert.work();
    concert.hears();
    concert.hears();
    // It still shows the first question, and is told that another one has come: its update brings that.
    concert.visitor.device.vault = asked_once;
    assert_eq!(concert.answers(card, false).expect("told"), ChangeOutcome::Over);
    concert.hears();
    let told = concert.visitor.change(card).expect("asked again");
    assert_eq!((told.offered.changed.after.as_ref(), told.stands, told.offered.accepts()), (Some(&second), None, None));
    // It has heard of no change at all.
    concert.visitor.device.vault = bought;
    concert.hears();
    let told = concert.visitor.change(card).expect("asked again");
    assert_eq!((told.offered.changed.after.as_ref(), told.stands), (Some(&second), None));
    concert.deadline();
    concert.work();
    assert_eq!(concert.state_in(card, &two), Some(ChangeState::SilentAccepted));
    concert.hears();
    assert_eq!(concert.terms_of(card), second);
    concert.world.now = second.ticket.as_ref().expect("a ticket's").from.after(60);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.hears();
    concert.enters(card, 0);
    concert.clean();
}

#[test]
fn changes_that_come_before_any_ticket_had_its_turn_lead_to_the_last_of_them() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let (first, second) = (moved(&concert, 20), moved(&concert, 21));
    let one = concert.changes(&first, true);
    let two = concert.changes_again(3, &first, &second, true);
    let three = concert.cancels_after(&second);
    concert.work();
    let states = [&one, &two, &three].map(|change| concert.state_in(card, change));
    use ChangeState::{Cancelled, Superseded};
    assert_eq!(states, [Some(Superseded), Some(Superseded), Some(Cancelled)]);
    assert!([&one, &two, &three].iter().all(|change| concert.is_over(change)));
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.hears();
    assert!(concert.visitor.change(card).expect("told").offered.changed.after.is_none());
    concert.clean();
}

#[test]
fn a_change_that_comes_after_the_deadline_of_the_first_finds_what_silence_has_decided() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let (first, second) = (moved(&concert, 20), moved(&concert, 21));
    let one = concert.changes(&first, false);
    concert.work();
    concert.deadline();
    let two = concert.changes_again(3, &first, &second, false);
    concert.work();
    assert_eq!(concert.state_in(card, &one), Some(ChangeState::SilentAccepted));
    assert_eq!(concert.state_in(card, &two), Some(ChangeState::Told));
    assert!(concert.is_over(&one) && !concert.is_over(&two));
    concert.clean();
}

#[test]
fn one_that_failed_in_a_change_has_its_turn_in_the_later_one_and_fails_there() {
    let mut concert = Concert::new();
    let (stuck, broken) = (concert.buys(), concert.buys());
    let sql = |concert: &Concert, text: &str, card: CardId| {
        concert.world.provider.store().connection().execute(text, [card.0]).expect("done");
    };
    let first = moved(&concert, 20);
    let moves = concert.changes(&first, false);
    concert.work();
    sql(&concert, "UPDATE change_ticket SET state = 10 WHERE card = ?1", stuck);
    sql(&concert, "UPDATE purchase SET revision = 99 WHERE card = ?1", broken);
    let cancels = concert.cancels_after(&first);
    concert.work();
    assert_eq!(concert.counts(&moves), [(ChangeState::Superseded, 2)]);
    assert_eq!(concert.state_in(stuck, &cancels), Some(ChangeState::Cancelled));
    assert_eq!(concert.state_in(broken, &cancels), Some(ChangeState::Failed));
    assert!(concert.is_over(&moves) && concert.is_over(&cancels));
    assert_eq!(concert.bank_pays_back(), [4_500]);
    sql(&concert, "UPDATE purchase SET revision = 1 WHERE card = ?1", broken);
    concert.world.issuer_asks(cancels.clone());
    concert.work();
    assert_eq!(concert.state_in(broken, &cancels), Some(ChangeState::Cancelled));
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.clean();
}

#[test]
fn one_that_failed_in_the_first_of_three_changes_has_its_turn_when_the_last_cancels() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let sql = |concert: &Concert, text: &str| {
        concert.world.provider.store().connection().execute(text, [card.0]).expect("done");
    };
    let (first, second) = (moved(&concert, 20), moved(&concert, 21));
    let one = concert.changes(&first, true);
    concert.work();
    sql(&concert, "UPDATE purchase SET revision = 99 WHERE card = ?1");
    concert.deadline();
    concert.work();
    assert_eq!(concert.state_in(card, &one), Some(ChangeState::Failed));
    // This one comes after the deadline of the first: silence decides there, and fails again.
    let two = concert.changes_again(3, &first, &second, false);
    concert.work();
    assert_eq!([&one, &two].map(|change| concert.state_in(card, change)), [Some(ChangeState::Failed), None]);
    sql(&concert, "UPDATE purchase SET revision = 1 WHERE card = ?1");
    concert.cancels_after(&second);
    concert.work();
    assert_eq!(concert.state_in(card, &one), Some(ChangeState::SilentRefunded));
    assert!(concert.is_over(&one));
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.clean();
}

#[test]
fn a_chain_of_changes_has_an_end_and_can_be_cancelled_there() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let (mut before, mut changes) = (terms_sold(&concert), Vec::new());
    let next = |concert: &Concert, number: u64| Terms { name: format!("Concert, {number}"), ..moved(concert, 20) };
    for number in 0..100 {
        let after = next(&concert, number);
        changes.push(concert.changes_again(number + 2, &before, &after, false));
        before = after;
    }
    let after = next(&concert, 100);
    concert.lists(102, after.clone());
    let one_more = concert.order(&before, Some(after), false);
    let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
    let answer: Result<Done, _> = concert.world.ask(&mut issuer, one_more);
    concert.world.issuer = issuer;
    assert!(answer.is_err(), "a hundred lead here");
    let cancels = concert.cancels_after(&before);
    for _ in 0..1_000 {
        let (now, entropy) = (concert.world.now, concert.world.entropy());
        concert.world.provider.change_on(now, entropy);
    }
    assert!(changes.iter().all(|change| concert.is_over(change)) && concert.is_over(&cancels));
    assert_eq!(concert.state_in(card, &changes[0]), Some(ChangeState::Superseded));
    assert_eq!(concert.state_in(card, &cancels), Some(ChangeState::Cancelled));
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.clean();
}

/// What is changed in the provider's database after a change over a change, and words by which the auditor must name it.
const TAMPERED_AGAIN: &[(&str, &str, &[&str])] = &[
    (
        "a ticket has no turn in the later change",
        "DELETE FROM change_ticket WHERE state = 3 AND card IN (SELECT card FROM change_ticket WHERE state = 11)",
        &["superseded"],
    ),
    (
        "a question is closed that was answered",
        "UPDATE change_ticket SET state = 11, answer = NULL WHERE state = 4",
        &["superseded"],
    ),
    ("a later change came after the deadline", "UPDATE change SET at = answer_until + 1000000", &["superseded"]),
    ("a closed question waits", "UPDATE change_ticket SET state = 2 WHERE state = 11", &["every ticket is decided"]),
    (
        "a ticket kept its old terms",
        "UPDATE card SET terms = (SELECT before FROM change WHERE after IN (SELECT before FROM change))
        WHERE blocked IS NULL",
        &["the terms of card-"],
    ),
];

#[test]
fn whoever_changes_what_became_of_a_superseded_ticket_is_found() {
    let mut concert = Concert::new();
    let (late, declined) = (concert.buys(), concert.buys());
    let (first, second) = (moved(&concert, 20), moved(&concert, 21));
    concert.changes(&first, true);
    concert.work();
    concert.hears();
    concert.answers(declined, false).expect("answered");
    assert_eq!(concert.bank_pays_back(), [4_500]);
    let two = concert.changes_again(3, &first, &second, true);
    concert.work();
    concert.hears();
    assert_eq!(concert.answers(late, true).expect("answered"), ChangeOutcome::Taken);
    concert.deadline();
    concert.work();
    assert!(concert.is_over(&two));
    concert.clean();
    let whole = concert.world.provider.snapshot().expect("a copy");
    for (story, sql, words) in TAMPERED_AGAIN {
        let store = Store::restore(&whole).expect("restored");
        store.connection().execute_batch(sql).expect("tampered with");
        let found = tegata_audit::audit(store.connection(), &tegata_audit::Options::default()).expect("audited");
        let named = found.difference.unwrap_or_else(|| panic!("{story}: not found")).to_string();
        assert!(words.iter().all(|word| named.contains(word)), "{story}: {named}");
    }
}

#[test]
fn a_purchase_under_way_is_not_delivered_under_terms_that_are_gone() {
    let mut concert = Concert::new();
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let article = concert.visitor.catalogue(&mut wire, now).expect("a catalogue").remove(0);
    let (purchase, _) = concert.visitor.reserve(&mut wire, article, None, now).expect("answered");
    concert.visitor.buy(&mut wire, purchase, PaymentOption::Once, now).expect("answered");
    let authorized = concert.says.approve(&mut concert.world);
    concert.cancels();
    concert.says.clear(&mut concert.world, &authorized, 9);
    assert_eq!(concert.bank_pays_back(), [4_500], "captured, not delivered, paid back");
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let told = concert.visitor.purchase(&mut wire, purchase, now).expect("answered");
    assert!(!matches!(told, BuyNotice::Delivered { .. }), "{told:?}");
    concert.clean();
}

#[test]
fn a_change_is_its_promoters_of_terms_that_are_sold_into_terms_that_are_listed() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let before = terms_sold(&concert);
    let after = moved(&concert, 20);
    let asks = |concert: &mut Concert, change: Change| -> bool {
        let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
        let answer: Result<Done, _> = concert.world.ask(&mut issuer, change);
        concert.world.issuer = issuer;
        answer.is_ok()
    };
    let change = concert.order(&before, Some(after.clone()), false);
    let early = Change { text: "too early".into(), ..change.clone() };
    assert!(!asks(&mut concert, early.clone()), "the new terms are not listed");
    concert.lists(2, after.clone());
    assert!(!asks(&mut concert, early), "what was refused stays so, when it comes again late");
    let mut past = change.clone();
    past.answer_until = concert.world.now;
    assert!(!asks(&mut concert, past), "no time to answer");
    let unknown = Change { before: moved(&concert, 3).handle(), ..change.clone() };
    assert!(!asks(&mut concert, unknown), "no such tickets");
    let same = Change { before: after.handle(), ..change.clone() };
    assert!(!asks(&mut concert, same), "an article sells those");
    let mut other = blank(150);
    concert.world.join(&mut other, Role::Issuer, None, "Other");
    let promoter = tegata_core::PartyId(other.id().expect("joined").0);
    let answer: Result<Done, _> = concert.world.ask(&mut other, Change { promoter, ..change.clone() });
    assert!(answer.is_err(), "another promoter's event");
    assert!(asks(&mut concert, change.clone()));
    assert!(asks(&mut concert, change.clone()), "the same again changes nothing");
    let second = Change { text: "otherwise".into(), ..change };
    assert!(!asks(&mut concert, second), "one change of the same terms");
    concert.work();
    concert.hears();
    // Another wallet's answer is nobody's.
    let mut stranger = concert.world.wallet(81);
    let said = concert.visitor.change(card).expect("told").offered.changed;
    let wallet = stranger.id().expect("joined");
    let answer = ChangeAnswer {
        wallet,
        card,
        change: said.change,
        accept: false,
        at: concert.world.now,
        extensions: Default::default(),
    };
    let told: Result<ChangeReply, _> = concert.world.ask(&mut stranger, answer);
    assert!(told.is_err());
    assert_eq!(concert.state(card), Some(ChangeState::Told));
    concert.clean();
}

/// What is changed in the provider's database, and words by which the auditor must name it.
const TAMPERED: &[(&str, &str, &[&str])] = &[
    (
        "a ticket is paid back whose holder took the new one",
        "UPDATE change_ticket SET state = 4 WHERE state = 3",
        &["change", "declined"],
    ),
    ("a holder's no is made a yes", "UPDATE change_ticket SET state = 3 WHERE state = 4", &["change", "accepted"]),
    ("a holder's answer is dropped", "UPDATE change_ticket SET answer = NULL WHERE state = 4", &["change", "declined"]),
    (
        "a holder's answer is another's",
        "UPDATE change_ticket SET answer = (SELECT answer FROM change_ticket WHERE state = 3)
        WHERE state = 4",
        &["change", "declined"],
    ),
    (
        "an answer is called silence",
        "UPDATE change_ticket SET state = 6, answer = NULL WHERE state = 4",
        &["refunded by silence"],
    ),
    (
        "silence is decided before the deadline",
        "UPDATE change_ticket SET at = 1 WHERE state = 5",
        &["accepted by silence"],
    ),
    (
        "an answer comes after the deadline",
        "UPDATE change_ticket SET at = 9999999999 WHERE state = 4",
        &["change", "declined"],
    ),
    ("a ticket is called let in", "UPDATE change_ticket SET state = 8 WHERE state = 5", &["kept"]),
    ("a ticket is forgotten", "DELETE FROM change_ticket WHERE state = 5", &["terms of card-"]),
    (
        "a refund has no change behind it",
        "DELETE FROM change_ticket WHERE state = 4",
        &["that every ticket has its turn"],
    ),
    (
        "the promoter's rule is turned",
        "UPDATE change SET silence_refunds = 1",
        &["no such change signed by the promoter"],
    ),
    (
        "the deadline is moved",
        "UPDATE change SET answer_until = answer_until - 1",
        &["no such change signed by the promoter"],
    ),
    (
        "the promoter's change is forged",
        "UPDATE change_signed SET body = CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB)",
        &["no such change signed by the promoter"],
    ),
    ("a change is dropped", "DELETE FROM change", &["nothing signed that makes it so"]),
    (
        "a ticket has other terms",
        "UPDATE card SET terms = (SELECT after FROM change) WHERE blocked IS NOT NULL",
        &["the terms of card-"],
    ),
    (
        "a ticket lost its new terms",
        "UPDATE card SET terms = (SELECT before FROM change) WHERE blocked IS NULL",
        &["the terms of card-"],
    ),
    (
        "a question is closed that no later change has taken over",
        "UPDATE change_ticket SET state = 11, answer = NULL WHERE state = 4",
        &["change", "superseded"],
    ),
    ("a declined ticket is never paid back", "DELETE FROM surrender", &["declined"]),
    ("a declined ticket is paid back higher", "UPDATE refund SET amount = amount + 1", &["refund"]),
];

#[test]
fn whoever_changes_what_became_of_a_ticket_is_found() {
    let mut concert = Concert::new();
    let (taken, declined, silent) = (concert.buys(), concert.buys(), concert.buys());
    let after = moved(&concert, 20);
    concert.changes(&after, false);
    concert.work();
    concert.hears();
    concert.answers(taken, true).expect("answered");
    concert.answers(declined, false).expect("answered");
    assert_eq!(concert.bank_pays_back(), [4_500]);
    concert.deadline();
    concert.work();
    concert.hears();
    assert_eq!(concert.state(silent), Some(ChangeState::SilentAccepted));
    concert.clean();
    let whole = concert.world.provider.snapshot().expect("a copy");
    for (story, sql, words) in TAMPERED {
        let store = Store::restore(&whole).expect("restored");
        store.connection().execute_batch(sql).expect("tampered with");
        let found = tegata_audit::audit(store.connection(), &tegata_audit::Options::default()).expect("audited");
        let named = found.difference.unwrap_or_else(|| panic!("{story}: not found")).to_string();
        assert!(words.iter().all(|word| named.contains(word)), "{story}: {named}");
    }
}

/// What the promoter reads of its event's tickets and changes: of this list the one with so many of what is named.
fn progress(concert: &mut Concert, pointer: &str, (of, count): (&str, u64)) -> serde_json::Value {
    let request = ReportRequest {
        report: ReportKind::Changes,
        party: concert.world.issuer_id(),
        from: Time(0),
        until: Time::END,
        device: None,
        event: None,
        extensions: Default::default(),
    };
    let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
    let told: Result<Report, _> = concert.world.ask(&mut issuer, request);
    concert.world.issuer = issuer;
    let told: serde_json::Value = serde_json::from_slice(&told.expect("a report").content.0).expect("JSON");
    let listed = told.pointer(pointer).and_then(serde_json::Value::as_array).expect("a list");
    listed.iter().find(|one| one[of] == count).expect("one").clone()
}

#[test]
fn who_was_convicted_is_not_paid_back_before_a_person_has_looked_though_the_event_is_cancelled() {
    let mut concert = Concert::new();
    let (shared, honest) = (concert.buys(), concert.buys());
    concert.doors_open();
    let copy = concert.visitor.device.vault.clone();
    concert.enters(shared, 0);
    concert.visitor.device.vault = copy;
    concert.enters(shared, 1);
    concert.brings(0);
    concert.brings(1);
    assert!(concert.world.open_exceptions().contains(&"cloned"), "{:?}", concert.world.open_exceptions());
    // Its promoter is told before it cancels, and in the same columns after.
    let told = progress(&mut concert, "/events/0/terms", ("holders", 2));
    let one = serde_json::json!([{ "currency": "USD", "amount": "45.00" }]);
    assert_eq!(
        ["holders", "came", "by_bank", "by_hand", "disputed"].map(|of| told[of].as_u64()),
        [2, 1, 1, 0, 1].map(Some)
    );
    assert_eq!(["money", "unused_money", "disputed_money"].map(|of| &told[of]), [&one; 3], "{told}");
    concert.cancels();
    concert.work();
    assert_eq!([shared, honest].map(|card| concert.state(card)), [Some(ChangeState::Cancelled); 2]);
    assert_eq!(concert.bank_pays_back(), [4_500], "the other one");
    assert_eq!((concert.refunds(shared), concert.refunds(honest)), (0, 1));
    assert!(concert.world.open_exceptions().contains(&"unreturned"), "{:?}", concert.world.open_exceptions());
    let told = progress(&mut concert, "/changes", ("cancelled", 2));
    let counted = ["paid", "asked", "later", "refused", "disputed"].map(|of| told["refunds"][of].as_u64());
    assert_eq!(
        (told["cancelled"].as_u64(), told["by_hand"].as_u64(), counted),
        (Some(2), Some(0), [1, 0, 0, 0, 1].map(Some))
    );
    assert_eq!(["paid_money", "disputed_money"].map(|of| &told["refunds"][of]), [&one; 2], "{told}");
    concert.clean();
}
