//! Tickets on sale: each seat and the last of a quota sold once, what is not paid or is given back free for others; and the auditor
//! finds whatever was changed in that.

use crate::clearing::audited;
use crate::says::{PROCESSOR, Says};
use crate::world;
use crate::world::{World, usd};
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::talk::buy::*;
use tegata_core::talk::cards::{CardNotice, Done, InstallReply, InstallRequest, Order};
use tegata_core::talk::credit::*;
use tegata_core::talk::event::*;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::{Bytes, Message};
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, EventId, RequestNumber, Time, Unit};
use tegata_crypto_native::number::InstallationNumber;
use tegata_device::RequestError;
use tegata_vault::MemoryVault;
use tegata_wallet::{Wallet, WalletError};

type Visitor = Wallet<MemoryVault>;

const EVENT: EventId = EventId([0xe1; 16]);
const PRICE: u64 = 4_500;
/// Article 1 sells seats 1 to 3, article 2 standing room.
const STALLS: u64 = 1;
const STANDING: u64 = 2;

/// A concert that opens in ten days, two visitors with accounts, a processor that says what it is told to.
struct Sale {
    world: World,
    says: Says,
    visitors: Vec<Visitor>,
    clearings: u8,
}

fn terms(world: &World, name: &str) -> Terms {
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
        refund_until: Some(world.now.after(8 * Time::DAY)),
        seating: None,
        extensions: Default::default(),
    };
    Terms {
        kind: CardKind::Ticket,
        unit: Unit::ENTRIES,
        name: name.into(),
        max_payment: 0,
        offline_limit: 0,
        max_balance: 2,
        ticket: Some(ticket),
        ..world.terms()
    }
}

fn plan(world: &World) -> EventPlan {
    let seat = |seat| Seat { seat, name: format!("Row 1, {seat}"), article: STALLS, extensions: Default::default() };
    EventPlan {
        promoter: world.issuer_id(),
        event: EVENT,
        revision: 1,
        name: "Concert".into(),
        place: "Town hall".into(),
        zones: vec![PlannedZone { zone: 1, name: "Hall".into(), extensions: Default::default() }],
        doors: vec![PlannedDoor { door: 1, name: "Door".into(), zone: 1, extensions: Default::default() }],
        seats: (1..=3).map(seat).collect(),
        at: world.now,
        extensions: Default::default(),
    }
}

fn listing(world: &World, article: u64, stock: u64) -> Listing {
    Listing {
        issuer: world.issuer_id(),
        article,
        revision: 1,
        terms: terms(world, if article == STALLS { "Concert, Stalls" } else { "Concert, Standing" }),
        face: Amount::new(Unit::ENTRIES, 2).expect("in range"),
        price: usd(PRICE),
        stock,
        until: world.now.after(10 * Time::DAY),
        valid_for: 20 * Time::DAY,
        clear_after: None,
        at: world.now,
        extensions: Default::default(),
    }
}

impl Sale {
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
        for (article, stock) in [(STALLS, 3), (STANDING, 1)] {
            let body = listing(&world, article, stock);
            world.issuer_asks(body);
        }
        let mut sale = Self { world, says, visitors: Vec::new(), clearings: 0 };
        (0..3).for_each(|number| sale.arrives(number));
        sale
    }
    fn arrives(&mut self, number: u8) {
        let mut wallet = self.world.wallet(80 + number);
        let card = Sealed {
            profile: Profile::Hpke,
            addressee: PROCESSOR,
            sender: None,
            header: Bytes(vec![1; 32]),
            ciphertext: Bytes(vec![2 + number; 32]),
            extensions: Default::default(),
        };
        let id = wallet.id().expect("joined");
        let register = RegisterCard { wallet: id, card, at: self.world.now, extensions: Default::default() };
        let _: CreditAnswer = self.world.ask(&mut wallet, register).expect("answered");
        self.says.open(&mut self.world, 2 + number);
        self.visitors.push(Wallet::new(wallet, Algorithm::Ed25519));
    }
    fn reserves(&mut self, who: usize, article: u64, seat: Option<u64>) -> (RequestNumber, BuyNotice) {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        let visitor = &mut self.visitors[who];
        let all = visitor.catalogue(&mut wire, now).expect("a catalogue");
        let article = all.into_iter().find(|offered| offered.article == article).expect("it is listed");
        match seat {
            Some(seat) => visitor.reserve_seat(&mut wire, article, seat, now).expect("answered"),
            None => visitor.reserve(&mut wire, article, None, now).expect("answered"),
        }
    }
    fn keeps(&mut self, who: usize, article: u64, seat: Option<u64>) -> RequestNumber {
        let (purchase, kept) = self.reserves(who, article, seat);
        assert!(matches!(kept, BuyNotice::Reserved { price, .. } if price == usd(PRICE)), "{kept:?}");
        purchase
    }
    fn refused(&mut self, who: usize, article: u64, seat: Option<u64>) -> PurchaseRefusal {
        match self.reserves(who, article, seat).1 {
            BuyNotice::Ended(why) => why,
            other => panic!("not refused: {other:?}"),
        }
    }
    fn agrees(&mut self, who: usize, purchase: RequestNumber) {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.visitors[who].buy(&mut wire, purchase, PaymentOption::Once, now).expect("answered");
    }
    fn asks(&mut self, who: usize, purchase: RequestNumber) -> BuyNotice {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.visitors[who].purchase(&mut wire, purchase, now).expect("answered")
    }
    fn pays(&mut self, who: usize, purchase: RequestNumber) -> CardId {
        self.agrees(who, purchase);
        let authorized = self.says.approve(&mut self.world);
        self.clearings += 1;
        self.says.clear(&mut self.world, &authorized, self.clearings);
        match self.asks(who, purchase) {
            BuyNotice::Delivered { card, .. } => card,
            other => panic!("no ticket: {other:?}"),
        }
    }
    fn buys(&mut self, who: usize, article: u64, seat: Option<u64>) -> CardId {
        let purchase = self.keeps(who, article, seat);
        self.pays(who, purchase)
    }
    fn cancels(&mut self, who: usize, purchase: RequestNumber) {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.visitors[who].cancel(&mut wire, purchase, now).expect("answered");
    }
    fn seat(&self, who: usize, card: CardId) -> Option<u64> {
        self.visitors[who].ticket(card).expect("a ticket").purse.certificate.claimed().seat
    }
    fn gives_back(&mut self, who: usize, card: CardId) -> Result<Amount, WalletError> {
        let now = self.world.moment();
        self.visitors[who].surrender(card, now)
    }
    fn updates(&mut self, who: usize) {
        self.world.update(&mut self.visitors[who].device);
    }
    /// The bank gives back what it is asked for.
    fn pays_back(&mut self) {
        self.says.say::<Refund>(&mut self.world, |outcome| {
            (outcome.state, outcome.amount) = (OutcomeState::Refunded, Some(usd(PRICE)));
        });
    }
    fn taken(&self, article: u64) -> u64 {
        self.world.provider.store().article(self.world.issuer_id(), article).expect("read").expect("listed").taken
    }
    fn passes(&mut self, seconds: u64) {
        self.world.now = self.world.now.after(seconds);
        self.says.due(&mut self.world);
    }
    fn clean(&self) {
        assert_eq!(audited(&self.world).difference, None);
    }
}

#[test]
fn a_seat_is_sold_once_wanted_or_any() {
    let mut sale = Sale::new();
    let wanted = sale.buys(0, STALLS, Some(2));
    assert_eq!(sale.seat(0, wanted), Some(2));
    let held = sale.visitors[0].ticket(wanted).expect("a ticket");
    assert_eq!(held.purse.seat_name.as_deref(), Some("Row 1, 2"));
    assert_eq!(sale.refused(1, STALLS, Some(2)), PurchaseRefusal::Seat, "sold");
    assert_eq!(sale.refused(1, STALLS, Some(4)), PurchaseRefusal::Seat, "no such seat");
    assert_eq!(sale.refused(1, STANDING, Some(1)), PurchaseRefusal::Seat, "of another category");
    let first = sale.keeps(1, STALLS, None);
    assert_eq!(sale.refused(0, STALLS, Some(1)), PurchaseRefusal::Seat, "reserved");
    let (first, third) = (sale.pays(1, first), sale.buys(0, STALLS, None));
    assert_eq!((sale.seat(1, first), sale.seat(0, third)), (Some(1), Some(3)));
    assert_eq!(sale.taken(STALLS), 3);
    let standing = sale.buys(2, STANDING, None);
    assert_eq!(sale.seat(2, standing), None);
    sale.clean();
}

#[test]
fn the_last_of_a_quota_is_sold_once() {
    let mut sale = Sale::new();
    let offer = |sale: &mut Sale| {
        let now = sale.world.moment();
        let mut wire = sale.world.wire(now, false);
        sale.visitors[1].catalogue(&mut wire, now).expect("a catalogue").pop().expect("standing")
    };
    let article = offer(&mut sale);
    let kept = sale.keeps(0, STANDING, None);
    let now = sale.world.moment();
    let mut wire = sale.world.wire(now, false);
    let (_, second) = sale.visitors[1].reserve(&mut wire, article, None, now).expect("answered");
    assert_eq!(second, BuyNotice::Ended(PurchaseRefusal::SoldOut));
    sale.pays(0, kept);
    assert_eq!(sale.taken(STANDING), 1);
    sale.clean();
}

#[test]
fn expired_cancelled_and_refused_purchases_give_seat_and_quota_back() {
    let mut sale = Sale::new();
    let expired = sale.keeps(0, STALLS, Some(1));
    sale.passes(601);
    assert_eq!(sale.asks(0, expired), BuyNotice::Ended(PurchaseRefusal::Expired));
    let cancelled = sale.keeps(1, STALLS, Some(1));
    sale.cancels(1, cancelled);
    sale.cancels(1, cancelled);
    let declined = sale.keeps(2, STALLS, Some(1));
    sale.agrees(2, declined);
    sale.says.say::<Authorize>(&mut sale.world, |_| {});
    assert_eq!(sale.asks(2, declined), BuyNotice::Ended(PurchaseRefusal::Declined));
    assert_eq!(sale.taken(STALLS), 0);
    let uncaptured = sale.keeps(0, STALLS, Some(1));
    sale.agrees(0, uncaptured);
    sale.says.approve(&mut sale.world);
    sale.says.say::<Clear>(&mut sale.world, |_| {});
    assert!(matches!(sale.asks(0, uncaptured), BuyNotice::Ended(_)));
    assert_eq!(sale.taken(STALLS), 0);
    let card = sale.buys(1, STALLS, Some(1));
    assert_eq!(sale.seat(1, card), Some(1));
    // What ended long ago takes nothing from whoever has it now.
    sale.cancels(1, cancelled);
    sale.passes(601);
    assert_eq!(sale.refused(0, STALLS, Some(1)), PurchaseRefusal::Seat);
    sale.clean();
}

#[test]
fn a_ticket_given_back_is_refunded_its_price_and_sold_again() {
    let mut sale = Sale::new();
    let (card, last) = (sale.buys(0, STALLS, Some(2)), sale.buys(0, STANDING, None));
    sale.gives_back(0, card).expect("given back");
    sale.gives_back(0, last).expect("given back");
    assert_eq!(sale.refused(1, STALLS, Some(2)), PurchaseRefusal::Seat, "the provider has not heard of it");
    sale.updates(0);
    sale.pays_back();
    sale.pays_back();
    sale.updates(0);
    for card in [card, last] {
        let back = sale.visitors[0].refunded(card).expect("told");
        assert_eq!((back.amount, back.left.minor()), (usd(PRICE), 0));
    }
    assert_eq!((sale.taken(STALLS), sale.taken(STANDING)), (0, 0));
    sale.clean();
    let (again, other) = (sale.buys(1, STALLS, Some(2)), sale.buys(2, STANDING, None));
    assert_eq!((sale.seat(1, again), sale.seat(2, other)), (Some(2), None));
    assert_eq!((sale.taken(STALLS), sale.taken(STANDING)), (1, 1));
    assert!(sale.world.open_exceptions().is_empty());
    sale.clean();
}

#[test]
fn after_its_time_a_ticket_is_not_taken_back_by_the_wallet_nor_refunded() {
    let mut sale = Sale::new();
    let card = sale.buys(0, STALLS, Some(2));
    // Given back in time, and brought too late.
    let before = sale.visitors[0].device.vault.clone();
    sale.gives_back(0, card).expect("given back");
    let given = std::mem::replace(&mut sale.visitors[0].device.vault, before);
    sale.passes(8 * Time::DAY);
    let no = sale.gives_back(0, card).expect_err("too late");
    assert!(no.to_string().contains("is over"), "{no}");
    sale.visitors[0].device.vault = given;
    sale.updates(0);
    sale.passes(2);
    assert!(!sale.says.asks::<Refund>(&mut sale.world));
    assert_eq!(sale.world.open_exceptions(), ["unreturned"], "a person has to look");
    assert_eq!(sale.taken(STALLS), 1, "its seat is nobody else's");
    assert_eq!(sale.refused(1, STALLS, Some(2)), PurchaseRefusal::Seat);
    sale.clean();
}

#[test]
fn whoever_waits_first_has_what_becomes_free_first_and_what_is_let_go_is_for_the_next() {
    let mut sale = Sale::new();
    let card = sale.buys(0, STANDING, None);
    let waits = |sale: &mut Sale, who: usize| {
        let now = sale.world.moment();
        let mut wire = sale.world.wire(now, false);
        let all = sale.visitors[who].catalogue(&mut wire, now).expect("a catalogue");
        let article = all.into_iter().find(|offered| offered.article == STANDING).expect("it is listed");
        assert_eq!(article.left, 0);
        sale.visitors[who].wait_for(&mut wire, article, now).expect("answered")
    };
    let (first, listed) = waits(&mut sale, 1);
    assert_eq!((&listed, sale.asks(1, first)), (&BuyNotice::Listed, BuyNotice::Listed));
    let (second, _) = waits(&mut sale, 2);
    let (third, _) = waits(&mut sale, 0);
    sale.cancels(0, third);
    assert_eq!(sale.refused(0, STANDING, None), PurchaseRefusal::SoldOut);
    sale.passes(2);
    assert_eq!(sale.asks(2, second), BuyNotice::Listed, "nothing is free");
    sale.clean();
    // One is given back: it is kept for the first, whatever happens until it hears of that.
    sale.gives_back(0, card).expect("given back");
    sale.updates(0);
    sale.pays_back();
    sale.passes(2);
    assert_eq!(sale.refused(0, STANDING, None), PurchaseRefusal::SoldOut, "others waited");
    sale.passes(2 * 3600);
    sale.updates(1);
    let kept =
        sale.visitors[1].purchases().expect("read").into_iter().find(|one| one.purchase() == first).expect("kept");
    assert_eq!((kept.state, kept.expires), (PurchaseState::Reserved, Some(sale.world.now.after(1800))));
    sale.clean();
    // It does not pay in time: the next has it, and the same bytes get the same answer.
    sale.passes(1801);
    sale.passes(2);
    assert_eq!(sale.asks(1, first), BuyNotice::Ended(PurchaseRefusal::Expired));
    sale.updates(2);
    sale.updates(2);
    let bought = sale.pays(2, second);
    assert_eq!((sale.seat(2, bought), sale.taken(STANDING)), (None, 1));
    assert!(sale.world.open_exceptions().is_empty());
    sale.clean();
    let connection = sale.world.provider.store().connection();
    connection.execute("UPDATE waiting SET state = 1 WHERE number = 1", []).expect("changed");
    assert!(audited(&sale.world).difference.expect("found").about.contains("wish"));
}

/// An order of numbers for tickets of a category, for these seats of it or for free seating.
fn order(sale: &mut Sale, article: u64, count: usize, seats: Option<Vec<u64>>) -> (Order, Vec<InstallationNumber>) {
    sale.world.batch += 1;
    let batch = sale.world.batch;
    let numbers: Vec<_> = (0..count).map(|_| InstallationNumber::generate(sale.world.entropy())).collect();
    let row = sale.world.provider.store().article(sale.world.issuer_id(), article).expect("read").expect("listed");
    let listed = tegata_core::wire::signed::Signed::<Listing>::decode(&row.body).expect("a listing").claimed().clone();
    let order = Order {
        issuer: listed.issuer,
        batch,
        terms: listed.terms,
        face: listed.face,
        numbers: numbers.iter().map(|number| number.keyed_hash(&world::NUMBER_KEY)).collect(),
        at: sale.world.now,
        until: sale.world.now.after(10 * Time::DAY),
        seats,
        extensions: Default::default(),
    };
    (order, numbers)
}

/// The promoter asks the provider for this.
fn promoter_asks<T: Message>(sale: &mut Sale, body: T) -> Result<Done, RequestError> {
    let mut issuer = std::mem::replace(&mut sale.world.issuer, world::blank(200));
    let done = sale.world.ask(&mut issuer, body);
    sale.world.issuer = issuer;
    done
}

/// Orders numbers for tickets of a category, all activated.
fn printed(
    sale: &mut Sale,
    article: u64,
    count: usize,
    seats: Option<Vec<u64>>,
) -> Result<Vec<InstallationNumber>, RequestError> {
    let (order, numbers) = order(sale, article, count, seats);
    let activation = sale.world.activation(order.batch, count as u64);
    promoter_asks(sale, order)?;
    promoter_asks(sale, activation)?;
    Ok(numbers)
}

#[test]
fn tickets_by_number_come_out_of_the_same_quota_and_a_voucher_costs_nothing() {
    let mut sale = Sale::new();
    let more = Listing { revision: 2, stock: 3, ..listing(&sale.world, STANDING, 3) };
    sale.world.issuer_asks(more);
    assert!(printed(&mut sale, STALLS, 1, None).is_err(), "numbered seats are named");
    assert!(printed(&mut sale, STANDING, 4, None).is_err(), "more than there are");
    let vouchers = printed(&mut sale, STANDING, 2, None).expect("ordered");
    assert_eq!(sale.taken(STANDING), 2);
    sale.clean();
    let paid = sale.clearings;
    let card = sale.world.install(&mut sale.visitors[0].device, &vouchers[0], 90);
    let ticket = sale.visitors[0].ticket(card).expect("a ticket");
    assert_eq!((ticket.purse.certificate.claimed().seat, ticket.terms.name.as_str()), (None, "Concert, Standing"));
    let row = sale.world.provider.store().ticket(card).expect("read").expect("known");
    assert_eq!((row.event, row.seat, row.dead), (EVENT, None, 0));
    let again = sale.world.try_install(&mut sale.visitors[1].device, &vouchers[0].to_string(), 91);
    assert!(!matches!(again, CardNotice::Installed { .. }), "once only: {again:?}");
    assert_eq!(sale.clearings, paid, "nobody is charged");
    sale.buys(1, STANDING, None);
    assert_eq!(sale.taken(STANDING), 3);
    sale.clean();
    // What was not paid for is not paid back: a person looks.
    sale.gives_back(0, card).expect("given back");
    sale.updates(0);
    sale.passes(2);
    assert!(!sale.says.asks::<Refund>(&mut sale.world));
    assert_eq!(sale.world.open_exceptions(), ["unreturned"]);
    sale.clean();
    let connection = sale.world.provider.store().connection();
    connection.execute("UPDATE number_batch SET article = NULL", []).expect("changed");
    assert!(audited(&sale.world).difference.expect("found").about.contains("batch"));
}

/// The auditor finds each of these changes: what it is, how it is made, and what is found.
fn finds(sale: &Sale, stories: &[(&str, &str, &str)]) {
    let connection = sale.world.provider.store().connection();
    for (what, how, about) in stories {
        connection.execute_batch("SAVEPOINT tampered").expect("begun");
        assert!(connection.execute(how, []).expect(what) > 0, "{what}");
        let found = audited(&sale.world);
        connection.execute_batch("ROLLBACK TO tampered; RELEASE tampered").expect("undone");
        let difference = found.difference.unwrap_or_else(|| panic!("{what}: nothing is found"));
        assert!(difference.about.contains(about), "{what}: {difference}");
    }
}

/// Why an order of one number for each of these seats was refused, and in which words.
fn seats_refused(sale: &mut Sale, article: u64, seats: &[u64]) -> (ProviderRefusal, String) {
    match printed(sale, article, seats.len(), Some(seats.to_vec())) {
        Err(RequestError::Refused(refused)) => (refused.why, refused.told()),
        other => panic!("not refused: {:?}", other.map(|numbers| numbers.len())),
    }
}

#[test]
fn a_seat_is_sold_once_over_the_counter_or_over_the_network() {
    let mut sale = Sale::new();
    let numbers = printed(&mut sale, STALLS, 1, Some(vec![3])).expect("ordered");
    assert_eq!((sale.taken(STALLS), sale.refused(0, STALLS, Some(3))), (1, PurchaseRefusal::Seat));
    let reserved = sale.keeps(0, STALLS, Some(2));
    sale.clean();
    // Reserved, in a batch, named twice, and not there: the whole order is refused, and says which.
    for (seats, named) in [
        (vec![1, 2], "category: Row 1, 2;"),
        (vec![3, 1], "category: Row 1, 3;"),
        (vec![1, 1], "category: Row 1, 1;"),
        (vec![1, 9], "category: number 9;"),
        (vec![2, 3, 1], "category: Row 1, 2; Row 1, 3;"),
    ] {
        let (why, told) = seats_refused(&mut sale, STALLS, &seats);
        assert!(why == ProviderRefusal::Seats && told.contains(named), "{seats:?}: {why:?}: {told}");
    }
    assert_eq!(seats_refused(&mut sale, STANDING, &[1]).0, ProviderRefusal::Terms, "free seating");
    assert!(printed(&mut sale, STALLS, 2, Some(vec![1])).is_err(), "a seat for each number");
    assert_eq!(sale.taken(STALLS), 2, "nothing of them stands");
    // What is let go is for the counter again; the same order twice is one.
    sale.cancels(0, reserved);
    let (order, _) = order(&mut sale, STALLS, 2, Some(vec![2, 1]));
    let first = promoter_asks(&mut sale, order.clone()).expect("ordered");
    sale.passes(60);
    assert_eq!(promoter_asks(&mut sale, order.clone()).expect("the same").at, first.at);
    assert!(promoter_asks(&mut sale, Order { seats: Some(vec![1, 2]), ..order }).is_err(), "another under its number");
    assert_eq!((sale.taken(STALLS), sale.refused(1, STALLS, None)), (3, PurchaseRefusal::SoldOut));
    let card = sale.world.install(&mut sale.visitors[1].device, &numbers[0], 92);
    assert_eq!(sale.seat(1, card), Some(3));
    let held = sale.visitors[1].ticket(card).expect("a ticket");
    assert_eq!(held.purse.seat_name.as_deref(), Some("Row 1, 3"));
    sale.clean();
    // Paid over the counter, it is paid back there, by a person; its seat stays the number's.
    sale.gives_back(1, card).expect("given back");
    sale.updates(1);
    sale.passes(2);
    assert_eq!((sale.world.open_exceptions(), sale.taken(STALLS)), (vec!["unreturned"], 3));
    sale.clean();
}

/// Why, and in which words, the promoter was refused.
fn refusal(done: Result<Done, RequestError>) -> (ProviderRefusal, String) {
    match done {
        Err(RequestError::Refused(refused)) => (refused.why, refused.told()),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn nothing_is_printed_of_what_somebody_waits_for_or_of_what_was_cancelled() {
    let mut sale = Sale::new();
    let kept = sale.keeps(0, STANDING, None);
    let now = sale.world.moment();
    let mut wire = sale.world.wire(now, false);
    let all = sale.visitors[1].catalogue(&mut wire, now).expect("a catalogue");
    let article = all.into_iter().find(|offered| offered.article == STANDING).expect("it is listed");
    let (_, listed) = sale.visitors[1].wait_for(&mut wire, article, now).expect("answered");
    assert_eq!(listed, BuyNotice::Listed);
    // Given up, and not offered yet.
    sale.cancels(0, kept);
    assert_eq!(sale.taken(STANDING), 0);
    let (body, _) = order(&mut sale, STANDING, 1, None);
    let (why, told) = refusal(promoter_asks(&mut sale, body));
    assert!(why == ProviderRefusal::Terms && told.contains("people wait"), "{why:?}: {told}");
    sale.passes(2);
    assert_eq!(sale.taken(STANDING), 1, "kept for whoever waits");
    sale.clean();
    // Signed before the event was cancelled, and brought after that.
    let (late, _) = order(&mut sale, STALLS, 1, Some(vec![1]));
    let cancelled = Change {
        promoter: late.issuer,
        event: EVENT,
        before: late.terms.handle(),
        after: None,
        text: "The hall has burnt down".into(),
        answer_until: sale.world.now.after(Time::DAY),
        silence_refunds: true,
        at: sale.world.now,
        moves: None,
        extensions: Default::default(),
    };
    promoter_asks(&mut sale, cancelled).expect("cancelled");
    let (why, told) = refusal(promoter_asks(&mut sale, late));
    assert!(why == ProviderRefusal::Terms && told.contains("cancelled"), "{why:?}: {told}");
    assert_eq!(sale.taken(STALLS), 0);
}

#[test]
fn what_was_ordered_before_the_provider_was_put_back_has_its_seats_before_anything_is_sold() {
    let mut sale = Sale::new();
    sale.updates(0);
    // Ordered since the backup, which knows nothing of it.
    let (forgotten, _) = order(&mut sale, STALLS, 2, Some(vec![1, 3]));
    sale.passes(60);
    let now = sale.world.now;
    sale.world.provider.restored(now).expect("a new epoch");
    let (new, _) = order(&mut sale, STALLS, 1, Some(vec![2]));
    assert_eq!(refusal(promoter_asks(&mut sale, new)).0, ProviderRefusal::Reconciling);
    let (issuer, batch) = (forgotten.issuer, forgotten.batch);
    promoter_asks(&mut sale, forgotten.clone()).expect("taken in again");
    promoter_asks(&mut sale, forgotten).expect("the same");
    let store = sale.world.provider.store();
    assert_eq!(store.printed_seat(issuer, batch, 2).expect("read"), Some(3));
    assert_eq!(sale.taken(STALLS), 2);
    assert!(matches!(sale.world.provider.compared(now), Err(tegata_provider::ProviderError::Reconciling)));
    // All were heard. What was sold over the network since the backup is known to nobody here: somebody has to compare that.
    sale.updates(0);
    let (late, _) = order(&mut sale, STALLS, 1, Some(vec![2]));
    let (why, told) = refusal(promoter_asks(&mut sale, late));
    assert!(why == ProviderRefusal::Reconciling && told.contains("compared"), "{why:?}: {told}");
    assert!(!sale.world.provider.is_compared().expect("read"));
    let now = sale.world.now;
    assert!(sale.world.provider.compared(now).expect("compared"));
    assert!(!sale.world.provider.compared(now).expect("the same"), "nothing waits any more");
    // The others are for sale, and these are not.
    assert_eq!(sale.refused(1, STALLS, Some(3)), PurchaseRefusal::Seat);
    sale.keeps(1, STALLS, None);
    assert_eq!(sale.taken(STALLS), 3);
    sale.clean();
}

#[test]
fn the_ticket_of_a_seat_by_number_is_the_same_again_for_its_key() {
    let mut sale = Sale::new();
    let numbers = printed(&mut sale, STALLS, 2, Some(vec![2, 1])).expect("ordered");
    let visitor = &mut sale.visitors[0].device;
    let key = visitor.ring.make(&mut visitor.vault, Algorithm::Ed25519, &[93; 32]).expect("a key");
    let (wallet, number) = (visitor.id().expect("joined"), numbers[1].to_string());
    let request = InstallRequest { wallet, number, key, slip: None, extensions: Default::default() };
    let first: InstallReply = sale.world.ask(visitor, request.clone()).expect("installed");
    assert_eq!((first.certificate.claimed().seat, first.seat_name.as_deref()), (Some(1), Some("Row 1, 1")));
    let activation = sale.world.activation(sale.world.batch, 2);
    let slip = Some(sale.world.issuer.signed(activation).expect("signs"));
    let again: InstallReply = sale.world.ask(visitor, InstallRequest { slip, ..request }).expect("the same");
    assert_eq!((again.certificate, again.seat_name), (first.certificate, first.seat_name));
    sale.clean();
    let stories = [
        ("a seat of another number", "UPDATE seat_printed SET serial = 9 WHERE seat = 2", "seat 2"),
        ("a printed seat that is free", "DELETE FROM seat_printed WHERE seat = 1", "seat 1"),
        ("a printed seat for sale", "UPDATE seat SET free = 1 WHERE seat = 2", "seat 2"),
        (
            "a seat printed by nobody",
            "INSERT INTO seat_printed (event, seat, issuer, batch, serial) SELECT event, 3, issuer, 8, 1 FROM seat_printed LIMIT 1",
            "seat 3",
        ),
    ];
    finds(&sale, &stories);
}

#[test]
fn the_auditor_finds_whatever_was_changed() {
    let mut sale = Sale::new();
    let _ = (sale.buys(0, STALLS, Some(2)), sale.buys(1, STALLS, None));
    let back = sale.buys(2, STALLS, None);
    sale.gives_back(2, back).expect("given back");
    sale.updates(2);
    sale.pays_back();
    sale.clean();
    let stories: [(&str, &str, &str); 12] = [
        ("another price", "UPDATE refund SET amount = amount - 1", "refund"),
        ("a ticket without a purchase", "DELETE FROM purchase WHERE seat = 1", "article 1"),
        ("two tickets on one seat", "UPDATE purchase SET seat = 2 WHERE seat = 1", "purchase"),
        ("a seat that no purchase has", "UPDATE seat_taken SET purchase = zeroblob(16) WHERE seat = 1", "seat 1"),
        (
            "a seat taken for nobody",
            "INSERT INTO seat_taken SELECT event, 3, wallet, purchase FROM seat_taken LIMIT 1",
            "seat 3",
        ),
        ("a sold seat that is free", "DELETE FROM seat_taken WHERE seat = 2", "seat 2"),
        ("a seat by another name", "UPDATE seat SET name = 'Row 9, 9' WHERE seat = 2", "seat 2"),
        ("a sold seat for sale", "UPDATE seat SET free = 1 WHERE seat = 2", "seat 2"),
        ("a seat kept from sale", "UPDATE seat SET free = 0 WHERE seat = 3", "seat 3"),
        ("a seat left out", "DELETE FROM seat WHERE seat = 3", "event-"),
        ("a plan nobody signed", "UPDATE planned SET revision = 2", "event-"),
        ("a ticket more", "UPDATE article SET taken = taken + 1 WHERE article = 1", "article 1"),
    ];
    finds(&sale, &stories);
}

#[test]
fn a_plan_that_leaves_out_or_renames_a_seat_is_refused() {
    let mut sale = Sale::new();
    let planned = plan(&sale.world);
    let body = EventPlan { revision: 2, seats: planned.seats[..2].to_vec(), ..planned.clone() };
    let mut issuer = std::mem::replace(&mut sale.world.issuer, world::blank(200));
    let answer: Result<Done, RequestError> = sale.world.ask(&mut issuer, body);
    assert!(answer.is_err());
    let mut grown = EventPlan { revision: 2, ..planned };
    grown.seats.push(Seat { seat: 4, name: "Row 2, 1".into(), article: STANDING, extensions: Default::default() });
    let answer: Result<Done, RequestError> = sale.world.ask(&mut issuer, grown);
    assert!(answer.is_ok(), "{answer:?}");
    sale.world.issuer = issuer;
    let card = sale.buys(0, STANDING, None);
    assert_eq!(sale.seat(0, card), Some(4));
    sale.clean();
}
