//! Telephone cards of call units, bought by credit: the real provider, real calls, and a processor that says what a script wants.

use crate::says::{PROCESSOR, Says};
use crate::world::{Person, World, blank, usd};
use std::sync::Arc;
use tegata_audit::{Options, audit};
use tegata_core::card::{CallEnd, CallReceipt, CardKind, Terms};
use tegata_core::charging::{Rate, Tariff};
use tegata_core::record::Space;
use tegata_core::step::Event;
use tegata_core::talk::buy::{BuyNotice, Listing};
use tegata_core::talk::call::{Caller, CallerNotice, EndOfCall, Exchange, SwitchCall, SwitchNotice, WalletCall};
use tegata_core::talk::credit::*;
use tegata_core::talk::pay::Payer;
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{Amount, CardId, Time, Unit};
use tegata_device::{Talking, TapStep, TerminalTap, WalletTap, hang_up_all};
use tegata_ledger::Side;
use tegata_store::Store;
use tegata_vault::Vault;
use tegata_wallet::Wallet;

/// Units on each card.
const UNITS: u64 = 60;
/// What they cost, in cents: 16.65 each.
const PRICE: u64 = 999;
/// What a call costs that somebody answers: the set-up charge and the least that is charged.
const CALL: u64 = 13;
const SETUP: u64 = 3;

fn units(count: u64) -> Amount {
    Amount::new(Unit::CALL_UNITS, count).expect("few units")
}

fn terms(world: &World) -> Terms {
    Terms { kind: CardKind::Telephone, unit: Unit::CALL_UNITS, name: "Town calls".into(), ..world.terms() }
}

fn listing(world: &World, face: u64, price: u64) -> Listing {
    Listing {
        issuer: world.issuer_id(),
        article: 1,
        revision: 1,
        terms: terms(world),
        face: units(face),
        price: usd(price),
        stock: 9,
        until: world.now.after(100 * Time::DAY),
        valid_for: 1000 * Time::DAY,
        clear_after: None,
        at: world.now,
        extensions: Default::default(),
    }
}

fn tariff(world: &World) -> Tariff {
    let rate = Rate {
        prefix: "49".into(),
        when: None,
        setup: SETUP,
        price: 1,
        length: 60_000,
        minimum: CALL - SETUP,
        setup_kept: None,
        extensions: Default::default(),
    };
    Tariff {
        issuer: world.issuer_id(),
        number: 1,
        unit: Unit::CALL_UNITS,
        ahead: 0,
        rates: vec![rate],
        at: world.now,
        extensions: Default::default(),
    }
}

/// A town in which units are sold: a wallet with a bank card, a switch, and a processor that says what it is told to.
struct Town {
    world: World,
    says: Says,
    wallet: Wallet<tegata_vault::MemoryVault>,
    switch: Person,
    bought: u8,
}

/// One call.
struct Line {
    left: WalletTap<WalletCall>,
    right: TerminalTap<SwitchCall>,
    /// What is on its way: whether to the switch, and the frame.
    queue: Vec<(bool, Vec<u8>)>,
    rings: bool,
    receipt: Option<CallReceipt>,
}

impl Town {
    /// Its issuer sells cards of so many units for so much.
    fn new(face: u64, price: u64) -> Self {
        let mut world = World::new();
        let says = Says::registered(&mut world);
        let (issuer, now, entropy) = (world.issuer_id(), world.now, world.entropy());
        let (code, name) = ("BANK".into(), "BANK CARDS".into());
        let details = MerchantDetails { code, category: 6012, name, extensions: Default::default() };
        world.provider.enrol(issuer, details, now, entropy).expect("enrolled");
        says.open(&mut world, 1);
        let (listing, tariff) = (listing(&world, face, price), tariff(&world));
        world.issuer_asks(listing);
        world.issuer_asks(tariff);
        let mut wallet = world.wallet(80);
        let card = Sealed {
            profile: Profile::Hpke,
            addressee: PROCESSOR,
            sender: None,
            header: Bytes(vec![1; 32]),
            ciphertext: Bytes(vec![2; 32]),
            extensions: Default::default(),
        };
        let register =
            RegisterCard { wallet: wallet.id().expect("joined"), card, at: world.now, extensions: Default::default() };
        let _: CreditAnswer = world.ask(&mut wallet, register).expect("answered");
        says.open(&mut world, 2);
        let mut switch = blank(20);
        let owner = world.merchant_id();
        world.join(&mut switch, Role::Switch, Some(owner), "exchange");
        world.update(&mut switch);
        Self { world, says, wallet: Wallet::new(wallet, Algorithm::Ed25519), switch, bought: 0 }
    }
    /// Buys what is for sale: a new card, or more on this one.
    fn buys(&mut self, card: Option<CardId>) -> CardId {
        let now = self.world.moment();
        let articles = self.wallet.catalogue(&mut self.world.wire(now, false), now).expect("a catalogue");
        let article = articles.into_iter().next().expect("something for sale");
        let now = self.world.moment();
        let (purchase, _) =
            self.wallet.reserve(&mut self.world.wire(now, false), article, card, now).expect("answered");
        let now = self.world.moment();
        self.wallet.buy(&mut self.world.wire(now, false), purchase, PaymentOption::Once, now).expect("answered");
        let authorized = self.says.approve(&mut self.world);
        self.bought += 1;
        self.says.clear(&mut self.world, &authorized, self.bought);
        let now = self.world.moment();
        match self.wallet.purchase(&mut self.world.wire(now, false), purchase, now).expect("answered") {
            BuyNotice::Delivered { card, .. } => card,
            other => panic!("{other:?}"),
        }
    }
    fn dial(&mut self, card: CardId) -> Line {
        let terms = terms(&self.world);
        let payer = Payer { card, terms: terms.clone(), anchors: self.wallet.device.anchors().expect("joined") };
        let caller = Caller { payer, called: "4930".into(), limit: None };
        let tariffs = self.switch.vault.scan(Space::Tariff, &[], usize::MAX).expect("scanned");
        let tariffs = tariffs.into_iter().map(|(_, bytes)| {
            let signed = Signed::<Tariff>::decode(&bytes).expect("a tariff");
            (signed.hash(&[]), signed.claimed().clone())
        });
        let exchange = Arc::new(Exchange {
            certificate: self.switch.certificate().expect("joined"),
            anchors: self.switch.anchors().expect("joined"),
            terms: vec![terms],
            tariffs: tariffs.collect(),
            valid_for: 60,
            lead: 2_000,
        });
        let right = TerminalTap::waiting(SwitchCall::new(exchange, caller.called.clone()));
        let entropy = self.world.entropy();
        let (left, hello) = WalletTap::touch(WalletCall::new(caller), entropy).expect("starts");
        let mut line = Line { left, right, queue: vec![(true, hello)], rings: false, receipt: None };
        self.carry(&mut line);
        assert!(line.rings, "the first check is stored");
        line
    }
    /// Carries what is on its way, and what follows from it.
    fn carry(&mut self, line: &mut Line) {
        while !line.queue.is_empty() {
            let (to_switch, frame) = line.queue.remove(0);
            let now = self.world.moment();
            if to_switch {
                let step = line.right.receive(&frame, now, &mut self.switch).expect("the session holds");
                Self::switched(line, step);
            } else {
                let step = line.left.receive(&frame, now, &mut self.wallet.device).expect("the session holds");
                self.walleted(line, step);
            }
        }
    }
    fn switched(line: &mut Line, step: TapStep<SwitchNotice>) {
        for notice in step.notices {
            match notice {
                SwitchNotice::Proceed => line.rings = true,
                SwitchNotice::Over(receipt) => line.receipt = Some(receipt),
                _ => {}
            }
        }
        line.queue.extend(step.frames.into_iter().map(|frame| (false, frame)));
    }
    fn walleted(&mut self, line: &mut Line, step: TapStep<CallerNotice>) {
        line.queue.extend(step.frames.into_iter().map(|frame| (true, frame)));
        if step.notices.iter().any(|notice| matches!(notice, CallerNotice::Consent { .. })) {
            let now = self.world.moment();
            let step = line.left.event(Event::Agreed, now, &mut self.wallet.device).expect("agreed");
            self.walleted(line, step);
        }
    }
    /// Both look at their clocks.
    fn look(&mut self, line: &mut Line) {
        let now = self.world.moment();
        let step = line.left.event(Event::Tick, now, &mut self.wallet.device).expect("looks");
        self.walleted(line, step);
        let step = line.right.event(Event::Tick, now, &mut self.switch).expect("looks");
        Self::switched(line, step);
        self.carry(line);
    }
    /// A call that somebody answers, who hangs up at once; both sides tell the provider.
    fn calls(&mut self, card: CardId) {
        let mut line = self.dial(card);
        line.left.talking().tell(|call| call.at(1_000).answered());
        line.right.talking().tell(|call| call.at(1_000).answered());
        self.look(&mut line);
        line.right.talking().tell(|call| call.at(2_000).ended(CallEnd::CalledHungUp));
        let now = self.world.moment();
        let step = line.right.event(Event::Tick, now, &mut self.switch).expect("ends");
        Self::switched(&mut line, step);
        self.carry(&mut line);
        line.left.talking().tell(|call| call.at(2_000).hung_up());
        let step = line.left.event(Event::Tick, now, &mut self.wallet.device).expect("ends");
        self.walleted(&mut line, step);
        assert_eq!(line.receipt.expect("a receipt").used, units(CALL));
        self.world.update(&mut self.wallet.device);
        self.world.update(&mut self.switch);
        self.world.update(&mut self.wallet.device);
    }
    /// Gives the card back with what is left on it, and waits until it is paid back.
    fn gives_back(&mut self, card: CardId, left: u64) {
        let now = self.world.moment();
        assert_eq!(self.wallet.surrender(card, now).expect("given back"), units(left));
        self.world.update(&mut self.wallet.device);
        self.clean();
        self.world.now = self.world.now.after(15 * Time::DAY);
    }
    /// The bank pays the next refund back: all of it, or what is given.
    fn pays_back(&mut self, part: Option<u64>) -> u64 {
        let asked = self.says.one::<Refund>(&mut self.world);
        let amount = asked.1.claimed().amount;
        let paid = part.map_or(amount, usd);
        let outcome =
            Outcome { state: OutcomeState::Refunded, amount: Some(paid), ..self.says.outcome(&self.world, &asked.0) };
        self.says.answer(&mut self.world, &asked, outcome);
        self.world.update(&mut self.wallet.device);
        self.clean();
        amount.minor()
    }
    /// What the wallet was told: paid back, and left for a person.
    fn told(&self, card: CardId) -> (Amount, Amount) {
        let refunded = self.wallet.refunded(card).expect("told");
        (refunded.amount, refunded.left)
    }
    /// The issuer's units: issued, held, payable, refunded, disputed.
    fn book(&self) -> [i128; 5] {
        let issuer = self.world.issuer_id();
        let books = self.world.provider.books().expect("books");
        let of_units = books.into_iter().find(|(of, unit, _)| (*of, *unit) == (issuer, Unit::CALL_UNITS));
        let sums = of_units.expect("a book").2;
        [Side::Issued, Side::Held, Side::Payable, Side::Refunded, Side::Disputed].map(|side| sums.sum(side))
    }
    fn clean(&self) {
        let done = audit(self.world.provider.store().connection(), &Options::default()).expect("audited");
        assert!(done.difference.is_none(), "{:?}", done.difference);
    }
}

#[test]
fn units_are_bought_topped_up_called_with_and_paid_back_at_what_they_cost() {
    let mut town = Town::new(UNITS, PRICE);
    let card = town.buys(None);
    assert_eq!(town.world.remaining(&town.wallet.device, card), UNITS);
    // More on the same card, at another price.
    let cheaper = Listing { revision: 2, ..listing(&town.world, UNITS, 501) };
    town.world.issuer_asks(cheaper);
    assert_eq!(town.buys(Some(card)), card);
    assert_eq!(town.world.remaining(&town.wallet.device, card), 2 * UNITS);
    town.clean();
    town.calls(card);
    town.clean();
    town.gives_back(card, 2 * UNITS - CALL);
    // Whole of the newest, and of the older one its 47 units: 782.55, rounded down.
    let mut paid = [town.pays_back(None), town.pays_back(None)];
    paid.sort_unstable();
    assert_eq!(paid, [501, 782]);
    assert_eq!(town.told(card), (usd(501 + 782), units(0)));
    assert_eq!(town.book(), [120, 0, 13, 107, 0]);
    assert!(town.world.open_exceptions().is_empty());
}

#[test]
fn a_call_that_ends_after_the_refund_is_paid_back_from_the_total_and_loses_no_cent() {
    let mut town = Town::new(UNITS, PRICE);
    let card = town.buys(None);
    // The phone is gone while it rings: what it has paid for the set-up is on its way.
    drop(town.dial(card));
    let now = town.world.moment();
    hang_up_all(&mut town.wallet.device, now).expect("ended");
    town.world.update(&mut town.wallet.device);
    town.gives_back(card, UNITS - SETUP);
    assert_eq!(town.pays_back(None), 949, "949.05");
    assert_eq!(town.told(card), (usd(949), units(0)));
    // The switch says at last that nobody answered: 49.95 for three units, and 0.05 from before.
    let (switch, key) = town.switch.id().zip(town.switch.key()).expect("joined");
    for (name, _) in town.switch.vault.scan(Space::Call, &[], usize::MAX).expect("scanned") {
        let transaction = u64::from_be_bytes(name.try_into().expect("a number"));
        let now = town.world.moment();
        Talking::new(EndOfCall::Start { transaction, switch, key }).deliver(Event::Tick, now, &mut town.switch);
    }
    town.world.update(&mut town.switch);
    town.clean();
    assert_eq!(town.pays_back(None), 50);
    assert_eq!(town.told(card), (usd(PRICE), units(0)), "all that it cost, and no more");
    assert_eq!(town.book(), [60, 0, 0, 60, 0]);
}

#[test]
fn what_the_bank_pays_in_part_takes_the_units_that_it_pays_for_and_what_it_refuses_none() {
    let mut town = Town::new(UNITS, PRICE);
    let card = town.buys(None);
    town.calls(card);
    town.gives_back(card, 47);
    assert_eq!(town.pays_back(Some(400)), 782);
    // 24 units have cost 399.60, and 25 have cost 416.25.
    assert_eq!(town.told(card), (usd(400), units(22)));
    assert_eq!(town.book(), [60, 0, 13, 25, 22]);
    assert_eq!(town.world.open_exceptions(), ["unreturned"; 2], "of the purchase, and of the card");

    let mut town = Town::new(UNITS, PRICE);
    let card = town.buys(None);
    town.gives_back(card, UNITS);
    town.says.say::<Refund>(&mut town.world, |outcome| outcome.state = OutcomeState::Declined);
    town.world.update(&mut town.wallet.device);
    assert_eq!(town.told(card), (usd(0), units(UNITS)));
    assert_eq!(town.book(), [60, 0, 0, 0, 60]);
    town.clean();
}

#[test]
fn units_that_cost_less_than_a_cent_leave_the_card_and_nobody_is_asked_to_pay_them() {
    // Two units of 15 for 7 cents are worth 0.93.
    let mut town = Town::new(15, 7);
    let card = town.buys(None);
    town.calls(card);
    town.gives_back(card, 2);
    assert!(!town.says.asks::<Refund>(&mut town.world));
    town.world.update(&mut town.wallet.device);
    assert_eq!(town.told(card), (usd(0), units(0)));
    assert_eq!(town.book(), [15, 0, 13, 2, 0]);
    assert!(town.world.open_exceptions().is_empty());
    town.clean();
}

#[test]
fn units_are_listed_on_telephone_cards_for_money_only() {
    let mut world = World::new();
    let good = listing(&world, UNITS, PRICE);
    let mut payment = good.clone();
    payment.terms.kind = CardKind::Payment;
    let free = Listing { price: usd(0), ..good.clone() };
    let for_units = Listing { price: units(UNITS), ..good.clone() };
    let entries = Amount::new(Unit::ENTRIES, 1).expect("one");
    let for_entries = Listing { price: entries, ..good.clone() };
    for wrong in [payment, free, for_units, for_entries] {
        let mut issuer = std::mem::replace(&mut world.issuer, blank(201));
        let answered: Result<tegata_core::talk::cards::Done, _> = world.ask(&mut issuer, wrong.clone());
        world.issuer = issuer;
        assert!(answered.is_err(), "{wrong:?}");
    }
    world.issuer_asks(good);
}

#[test]
fn the_auditor_sees_more_or_less_paid_for_units_than_their_share() {
    let mut town = Town::new(UNITS, PRICE);
    let card = town.buys(None);
    town.calls(card);
    town.gives_back(card, 47);
    town.pays_back(None);
    let before = town.world.provider.snapshot().expect("a copy");
    // A unit that was paid for is on the card again, or one more is gone: in posting, card and sums alike.
    for by in [-1, 1] {
        let changed = Store::restore(&before).expect("restored");
        let change = format!(
            "UPDATE posting SET amount = amount + {by} WHERE what = 13 AND source = 3;
             UPDATE card SET held = held - {by} WHERE unit = 1001;
             UPDATE balance SET amount = amount - {by} WHERE unit = 1001 AND kind = 3;
             UPDATE balance SET amount = amount + {by} WHERE unit = 1001 AND kind = 7"
        );
        changed.connection().execute_batch(&change).expect("changed");
        let found = audit(changed.connection(), &Options::default()).expect("audited").difference;
        let found = format!("{found:?}");
        assert!(found.contains("refunds of purchase"), "{by}: {found}");
    }
}
