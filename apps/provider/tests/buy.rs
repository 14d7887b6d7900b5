//! Buying by credit: the real provider, the real processor and a bank behind real sockets, the wallet's own program.

use crate::clearing::{Clearing, audited, register};
use crate::says::{PROCESSOR, Says};
use crate::world;
use crate::world::{Person, World, usd};
use std::time::{Duration, Instant};
use tegata_core::card::{CardKind, Terms};
use tegata_core::talk::buy::*;
use tegata_core::talk::contract::Tender;
use tegata_core::talk::credit::*;
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::Algorithm;
use tegata_core::{CardId, PartyId, RequestNumber, Time, Unit};
use tegata_device::Now;
use tegata_ledger::Side;
use tegata_processor::bank::TestCard;
use tegata_provider::{Fee, Provider};
use tegata_wallet::Wallet;

type Buyer = Wallet<tegata_vault::MemoryVault>;

const FACE: u64 = 2_000;

/// The issuer lists 3 cards of 20.00.
fn listing(world: &World) -> Listing {
    Listing {
        issuer: world.issuer_id(),
        article: 1,
        revision: 1,
        terms: world.terms(),
        face: usd(FACE),
        price: usd(FACE),
        stock: 3,
        until: world.now.after(100 * Time::DAY),
        valid_for: 1000 * Time::DAY,
        clear_after: None,
        at: world.now,
        extensions: Default::default(),
    }
}

fn enrol_issuer(world: &mut World) {
    let (issuer, now, entropy) = (world.issuer_id(), world.now, world.entropy());
    let details = MerchantDetails {
        code: "BANK".into(),
        category: 6012,
        name: "BANK CARDS".into(),
        extensions: Default::default(),
    };
    world.provider.enrol(issuer, details, now, entropy).expect("enrolled");
}

/// A wallet whose bank card behaves like this.
fn buyer(world: &mut World, clearing: &Clearing, seed: u8, card: TestCard) -> Buyer {
    let mut wallet = world.wallet(seed);
    register(world, clearing, &mut wallet, card);
    Wallet::new(wallet, Algorithm::Ed25519)
}

fn article(world: &mut World, buyer: &mut Buyer) -> Article {
    let now = world.moment();
    let mut wire = world.wire(now, false);
    let articles = buyer.catalogue(&mut wire, now).expect("a catalogue");
    articles.into_iter().next().expect("something for sale")
}

fn reserve(world: &mut World, buyer: &mut Buyer, card: Option<CardId>) -> (RequestNumber, BuyNotice) {
    let article = article(world, buyer);
    reserve_of(world, buyer, article, card)
}

fn reserve_of(
    world: &mut World,
    buyer: &mut Buyer,
    article: Article,
    card: Option<CardId>,
) -> (RequestNumber, BuyNotice) {
    let now = world.moment();
    let mut wire = world.wire(now, false);
    buyer.reserve(&mut wire, article, card, now).expect("answered")
}

fn pay(world: &mut World, buyer: &mut Buyer, purchase: RequestNumber) -> BuyNotice {
    let now = world.moment();
    let mut wire = world.wire(now, false);
    buyer.buy(&mut wire, purchase, PaymentOption::Once, now).expect("answered")
}

fn ask(world: &mut World, buyer: &mut Buyer, purchase: RequestNumber) -> BuyNotice {
    let now = world.moment();
    let mut wire = world.wire(now, false);
    buyer.purchase(&mut wire, purchase, now).expect("answered")
}

/// Reserves, pays and asks until it is known.
fn bought(world: &mut World, clearing: &Clearing, buyer: &mut Buyer, card: Option<CardId>) -> BuyNotice {
    let (purchase, kept) = reserve(world, buyer, card);
    assert!(matches!(kept, BuyNotice::Reserved { .. }), "{kept:?}");
    pay(world, buyer, purchase);
    known(world, clearing, buyer, purchase)
}

fn known(world: &mut World, clearing: &Clearing, buyer: &mut Buyer, purchase: RequestNumber) -> BuyNotice {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let notice = ask(world, buyer, purchase);
        if !matches!(notice, BuyNotice::Waiting { .. }) {
            return notice;
        }
        assert!(Instant::now() < patience, "{notice:?}");
        clearing.carry(world);
        world.now = world.now.after(2);
    }
}

/// A town that sells cards; the processor has signed on at its bank.
fn selling(world: &mut World, listing: Listing) -> Clearing {
    let clearing = Clearing::start(world);
    enrol_issuer(world);
    world.issuer_asks(listing);
    let mut first = buyer(world, &clearing, 50, TestCard::Approved);
    let patience = Instant::now() + Duration::from_secs(10);
    // Declined as long as the bank is not there: nothing is sold by it.
    while matches!(bought(world, &clearing, &mut first, None), BuyNotice::Ended(_)) {
        assert!(Instant::now() < patience);
    }
    clearing
}

/// The sums of one book: issued, waiting, held, payable, paid, refunded, disputed.
fn book(world: &World, issuer: PartyId) -> [i128; 7] {
    let all = world.provider.books().expect("books");
    let sums = all.into_iter().find(|(of, ..)| *of == issuer).expect("a book").2;
    [Side::Issued, Side::Waiting, Side::Held, Side::Payable, Side::Paid, Side::Refunded, Side::Disputed]
        .map(|side| sums.sum(side))
}

fn posted(clearing: &Clearing) -> i64 {
    clearing.bank.bank().posted("BANK", Unit::USD)
}

fn taken(world: &World) -> u64 {
    world.provider.store().article(world.issuer_id(), 1).expect("read").expect("listed").taken
}

fn clean(world: &World) {
    assert_eq!(audited(world).difference, None);
}

#[test]
fn a_card_is_bought_once_however_often_it_is_asked_for_used_and_given_back() {
    let mut world = World::new();
    let listing = listing(&world);
    let clearing = selling(&mut world, listing);
    let mut wallet = buyer(&mut world, &clearing, 51, TestCard::Approved);
    let before = (posted(&clearing), clearing.bank.bank().captures());

    let (purchase, kept) = reserve(&mut world, &mut wallet, None);
    assert!(matches!(kept, BuyNotice::Reserved { price, .. } if price == usd(FACE)), "{kept:?}");
    assert_eq!(taken(&world), 2, "one sold before, one kept");
    // Asked again, it is the same reservation.
    assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Reserved { .. }));
    assert_eq!(taken(&world), 2);
    for _ in 0..3 {
        pay(&mut world, &mut wallet, purchase);
    }
    let BuyNotice::Delivered { card, amount, provisional: false } = known(&mut world, &clearing, &mut wallet, purchase)
    else {
        panic!("not delivered")
    };
    assert_eq!(amount, usd(FACE));
    assert_eq!(posted(&clearing), before.0 + i64::try_from(FACE).expect("small"));
    assert_eq!(clearing.bank.bank().captures(), before.1 + 1, "charged once");
    assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Delivered { .. }), "and told the same");
    let kept = &wallet.purchases().expect("read")[0];
    assert_eq!(kept.receipt.as_ref().expect("a receipt").claimed().information.claimed().amount, usd(FACE));
    assert_eq!(book(&world, world.issuer_id())[..3], [2 * i128::from(FACE), 0, 2 * i128::from(FACE)]);
    assert_eq!(book(&world, clearing.info.processor)[3], 2 * i128::from(FACE), "owed to the issuer");
    clean(&world);

    // It pays offline, and what remains is given back.
    let mut terminal = world.terminal(52);
    world.pay(&mut wallet.device, card, &mut terminal, 750);
    world.update(&mut terminal);
    let now = world.moment();
    assert_eq!(wallet.surrender(card, now).expect("given back"), usd(FACE - 750));
    world.update(&mut wallet.device);
    clean(&world);
    // Nothing comes back before all that it may have spent is known (R11).
    carry(&mut world, &clearing);
    assert_eq!(posted(&clearing), before.0 + 2_000);
    world.now = world.now.after(15 * Time::DAY);
    let patience = Instant::now() + Duration::from_secs(10);
    while wallet.refunded(card).is_none() {
        assert!(Instant::now() < patience);
        carry(&mut world, &clearing);
        world.update(&mut wallet.device);
    }
    let refunded = wallet.refunded(card).expect("told");
    assert_eq!((refunded.amount, refunded.left), (usd(FACE - 750), usd(0)));
    assert_eq!(posted(&clearing), before.0 + 750, "what was spent, and nothing else");
    let [_, _, held, payable, .., back, _] = book(&world, world.issuer_id());
    assert_eq!((held, payable, back), (2_000, 750, 1_250));
    assert_eq!(book(&world, clearing.info.processor)[5], 1_250);
    clean(&world);
    // Given back, it pays nothing any more, here or there.
    let now = world.moment();
    assert!(wallet.surrender(card, now).is_err());
    assert!(world.tap(&mut wallet.device, card, &mut terminal, 100, 99).is_none());
    assert!(world.open_exceptions().is_empty());
}

#[test]
fn a_telephone_card_is_sold_over_the_network_like_any_other() {
    let mut world = World::new();
    let terms = Terms { kind: CardKind::Telephone, name: "Town calls".into(), ..world.terms() };
    let listing = Listing { terms, ..listing(&world) };
    let clearing = selling(&mut world, listing);
    let mut wallet = buyer(&mut world, &clearing, 51, TestCard::Approved);
    let BuyNotice::Delivered { card, amount, .. } = bought(&mut world, &clearing, &mut wallet, None) else {
        panic!("not delivered")
    };
    assert_eq!((amount, world.remaining(&wallet.device, card)), (usd(FACE), FACE));
    assert_eq!(wallet.payer(card).expect("a card").terms.kind, CardKind::Telephone);
    assert_eq!(book(&world, clearing.info.processor)[3], 2 * i128::from(FACE), "owed to the issuer");
    clean(&world);
}

fn carry(world: &mut World, clearing: &Clearing) {
    clearing.carry(world);
    world.now = world.now.after(2);
}

#[test]
fn what_the_bank_declines_loses_or_answers_late_is_charged_to_nobody_or_delivered() {
    let mut world = World::new();
    let listing = Listing { stock: 20, ..listing(&world) };
    let clearing = selling(&mut world, listing);
    let start = (posted(&clearing), taken(&world));
    let cards = [
        TestCard::Declined,
        TestCard::Funds,
        TestCard::Later,
        TestCard::Partial,
        TestCard::Silent,
        TestCard::Lost,
        TestCard::Late,
        TestCard::Twice,
        TestCard::Garbled,
        TestCard::Unclear,
        TestCard::Forgetful,
    ];
    let mut delivered = 0;
    for (seed, card) in (60..).zip(cards) {
        let mut wallet = buyer(&mut world, &clearing, seed, card);
        match bought(&mut world, &clearing, &mut wallet, None) {
            BuyNotice::Delivered { .. } => delivered += 1,
            BuyNotice::Ended(why) => assert_eq!(why, PurchaseRefusal::Declined, "{card:?}"),
            other => panic!("{card:?}: {other:?}"),
        }
        assert_eq!(taken(&world), start.1 + delivered, "{card:?}");
    }
    assert!(delivered >= 2, "those that approve");
    let patience = Instant::now() + Duration::from_secs(20);
    while clearing.bank.bank().held(Unit::USD) != 0 {
        assert!(Instant::now() < patience, "something stays held");
        carry(&mut world, &clearing);
    }
    assert_eq!(posted(&clearing), start.0 + i64::try_from(delivered * FACE).expect("small"));
    clean(&world);
}

#[test]
fn the_last_one_is_sold_once_and_a_reservation_that_is_not_paid_is_for_others() {
    let mut world = World::new();
    let listing = Listing { stock: 2, ..listing(&world) };
    let clearing = selling(&mut world, listing.clone());
    let mut first = buyer(&mut world, &clearing, 70, TestCard::Approved);
    let mut second = buyer(&mut world, &clearing, 71, TestCard::Approved);
    let offered = article(&mut world, &mut second);
    let (kept, _) = reserve(&mut world, &mut first, None);
    let now = world.moment();
    let mut wire = world.wire(now, false);
    assert!(second.catalogue(&mut wire, now).expect("a catalogue").is_empty(), "none left");
    let (_, none) = reserve_of(&mut world, &mut second, offered.clone(), None);
    assert_eq!(none, BuyNotice::Ended(PurchaseRefusal::SoldOut));
    // It expires; the second has it then, and the first has to begin anew.
    world.now = world.now.after(601);
    carry(&mut world, &clearing);
    let (late, _) = reserve(&mut world, &mut second, None);
    assert_eq!(pay(&mut world, &mut first, kept), BuyNotice::Ended(PurchaseRefusal::Expired));
    pay(&mut world, &mut second, late);
    // Paid is not given up any more, and does not expire (R23).
    world.now = world.now.after(601);
    let now = world.moment();
    let mut wire = world.wire(now, false);
    assert!(!matches!(second.cancel(&mut wire, late, now).expect("answered"), BuyNotice::Ended(_)));
    assert!(matches!(known(&mut world, &clearing, &mut second, late), BuyNotice::Delivered { .. }));
    // More of them, in a new revision: who saw the old one looks again.
    world.issuer_asks(Listing { revision: 2, stock: 3, ..listing });
    assert_eq!(reserve_of(&mut world, &mut first, offered, None).1, BuyNotice::Ended(PurchaseRefusal::Changed));
    let (given_up, _) = reserve(&mut world, &mut first, None);
    let now = world.moment();
    let mut wire = world.wire(now, false);
    let cancelled = first.cancel(&mut wire, given_up, now).expect("answered");
    assert_eq!(cancelled, BuyNotice::Ended(PurchaseRefusal::Cancelled));
    assert_eq!(taken(&world), 2);
    clean(&world);
}

#[test]
fn a_card_is_topped_up_and_refunds_take_from_each_purchase_no_more_than_it_cost() {
    let mut world = World::new();
    let listing = Listing { stock: 9, ..listing(&world) };
    let clearing = selling(&mut world, listing);
    let mut wallet = buyer(&mut world, &clearing, 72, TestCard::Approved);
    let BuyNotice::Delivered { card, .. } = bought(&mut world, &clearing, &mut wallet, None) else { panic!("a card") };
    let topped = bought(&mut world, &clearing, &mut wallet, Some(card));
    assert_eq!(topped, BuyNotice::Delivered { card, amount: usd(FACE), provisional: false });
    assert_eq!(world.remaining(&wallet.device, card), 2 * FACE);
    world.update(&mut wallet.device);
    clean(&world);
    // A number from a shop, too: what nobody paid for by credit does not go to a bank card.
    let number = world.order(1, 500, true).remove(0);
    world.load(&mut wallet.device, card, &number);
    let before = posted(&clearing);
    let now = world.moment();
    assert_eq!(wallet.surrender(card, now).expect("given back"), usd(2 * FACE + 500));
    world.update(&mut wallet.device);
    world.now = world.now.after(15 * Time::DAY);
    let patience = Instant::now() + Duration::from_secs(10);
    while wallet.refunded(card).is_none() {
        assert!(Instant::now() < patience);
        carry(&mut world, &clearing);
        world.update(&mut wallet.device);
    }
    let refunded = wallet.refunded(card).expect("told");
    assert_eq!((refunded.amount, refunded.left), (usd(2 * FACE), usd(500)));
    assert_eq!(posted(&clearing), before - i64::try_from(2 * FACE).expect("small"));
    assert_eq!(world.open_exceptions(), ["unreturned"]);
    assert_eq!(book(&world, world.issuer_id())[6], 500, "in dispute until a person has looked");
    clean(&world);
}

#[test]
fn what_is_cleared_later_comes_with_a_temporary_receipt_first() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    enrol_issuer(&mut world);
    let later = Listing { clear_after: Some(Time::DAY), ..listing(&world) };
    world.issuer_asks(later);
    let mut wallet = buyer(&mut world, &clearing, 73, TestCard::Approved);
    let patience = Instant::now() + Duration::from_secs(10);
    let card = loop {
        match bought(&mut world, &clearing, &mut wallet, None) {
            BuyNotice::Delivered { card, provisional: true, .. } => break card,
            other => assert!(Instant::now() < patience, "{other:?}"),
        }
    };
    let bought = |wallet: &Buyer| wallet.purchases().expect("read").pop().expect("one");
    assert!(bought(&wallet).temporary.is_some() && bought(&wallet).receipt.is_none());
    assert_eq!(posted(&clearing), 0, "not captured yet");
    clean(&world);
    let mut terminal = world.terminal(74);
    world.pay(&mut wallet.device, card, &mut terminal, 300);
    world.now = world.now.after(Time::DAY);
    let patience = Instant::now() + Duration::from_secs(10);
    while bought(&wallet).receipt.is_none() {
        assert!(Instant::now() < patience);
        carry(&mut world, &clearing);
        world.update(&mut wallet.device);
    }
    assert_eq!(bought(&wallet).state, PurchaseState::Delivered);
    assert_eq!(posted(&clearing), i64::try_from(FACE).expect("small"));
    clean(&world);
}

/// A wallet with an account, and an issuer with one, at a processor that says what it is told to.
fn told(world: &mut World, listing: Listing) -> (Says, Buyer) {
    let says = Says::registered(world);
    enrol_issuer(world);
    says.open(world, 1);
    world.issuer_asks(listing);
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
    says.open(world, 2);
    (says, Wallet::new(wallet, Algorithm::Ed25519))
}

fn paid(world: &mut World, wallet: &mut Buyer, card: Option<CardId>) -> RequestNumber {
    let (purchase, _) = reserve(world, wallet, card);
    assert!(matches!(pay(world, wallet, purchase), BuyNotice::Waiting { .. }));
    purchase
}

#[test]
fn each_step_that_fails_is_undone_in_reverse() {
    let mut world = World::new();
    let listing = listing(&world);
    let (says, mut wallet) = told(&mut world, listing);
    // Approved over another amount: let go.
    let purchase = paid(&mut world, &mut wallet, None);
    says.say::<Authorize>(&mut world, |outcome| {
        (outcome.state, outcome.amount) = (OutcomeState::Approved, Some(usd(FACE / 2)));
    });
    assert_eq!(ask(&mut world, &mut wallet, purchase), BuyNotice::Ended(PurchaseRefusal::Declined));
    assert!(says.asks::<VoidAuthorization>(&mut world));
    says.say::<VoidAuthorization>(&mut world, |outcome| outcome.state = OutcomeState::Voided);
    // Authorized and issued, and the capture is declined: withdrawn, let go, for others again.
    let purchase = paid(&mut world, &mut wallet, None);
    says.approve(&mut world);
    assert_eq!(book(&world, world.issuer_id())[..2], [2_000, 2_000], "issued, on no card");
    clean(&world);
    says.say::<Clear>(&mut world, |outcome| outcome.state = OutcomeState::Declined);
    assert_eq!(ask(&mut world, &mut wallet, purchase), BuyNotice::Ended(PurchaseRefusal::Declined));
    says.say::<VoidAuthorization>(&mut world, |outcome| outcome.state = OutcomeState::Voided);
    assert_eq!((book(&world, world.issuer_id())[..2].to_vec(), taken(&world)), (vec![0, 0], 0));
    // An answer to something else, and one that says nothing for good, is no answer (R26).
    let purchase = paid(&mut world, &mut wallet, None);
    for state in [OutcomeState::Unknown, OutcomeState::Voided, OutcomeState::Refunded, OutcomeState::Opened] {
        says.say::<Authorize>(&mut world, |outcome| outcome.state = state);
        assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Waiting { .. }), "{state:?}");
    }
    let authorized = says.approve(&mut world);
    says.say::<Clear>(&mut world, |outcome| outcome.state = OutcomeState::Voided);
    assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Waiting { .. }));
    says.clear(&mut world, &authorized, 1);
    let BuyNotice::Delivered { card, .. } = ask(&mut world, &mut wallet, purchase) else { panic!("delivered") };
    clean(&world);

    // Captured, and the card cannot take it any more: it goes back.
    let purchase = paid(&mut world, &mut wallet, Some(card));
    let authorized = says.approve(&mut world);
    world.provider.block(card, world.now).expect("blocked");
    says.clear(&mut world, &authorized, 2);
    assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Waiting { .. }));
    clean(&world);
    says.say::<Refund>(&mut world, |outcome| {
        (outcome.state, outcome.amount) = (OutcomeState::Refunded, Some(usd(FACE)));
    });
    assert_eq!(ask(&mut world, &mut wallet, purchase), BuyNotice::Returned(PurchaseRefusal::Card));
    assert_eq!(taken(&world), 1);
    assert_eq!(book(&world, PROCESSOR)[3..6], [2_000, 0, 2_000]);
    clean(&world);
    assert!(world.open_exceptions().is_empty());
}

#[test]
fn a_clearing_number_seen_before_or_another_amount_posts_nothing() {
    let mut world = World::new();
    let listing = listing(&world);
    let (says, mut wallet) = told(&mut world, listing);
    let first = paid(&mut world, &mut wallet, None);
    let authorized = says.approve(&mut world);
    says.clear(&mut world, &authorized, 7);
    assert!(matches!(ask(&mut world, &mut wallet, first), BuyNotice::Delivered { .. }));
    let second = paid(&mut world, &mut wallet, None);
    let authorized = says.approve(&mut world);
    says.clear(&mut world, &authorized, 7);
    assert!(matches!(ask(&mut world, &mut wallet, second), BuyNotice::Waiting { .. }), "nobody is told");
    assert_eq!(world.open_exceptions(), ["malformed"]);
    assert_eq!(book(&world, PROCESSOR)[3], 2_000);
    assert_eq!(audited(&world).difference.map(|found| found.what), Some(tegata_audit::What::Row), "and it shows");
}

#[test]
fn delivered_before_the_capture_and_refused_then_is_blocked_and_the_issuers_loss() {
    let mut world = World::new();
    let later = Listing { clear_after: Some(60), ..listing(&world) };
    let (says, mut wallet) = told(&mut world, later);
    let purchase = paid(&mut world, &mut wallet, None);
    says.approve(&mut world);
    let BuyNotice::Delivered { card, provisional: true, .. } = ask(&mut world, &mut wallet, purchase) else {
        panic!("delivered")
    };
    assert!(!says.asks::<Clear>(&mut world), "not yet");
    world.now = world.now.after(60);
    says.say::<Clear>(&mut world, |outcome| outcome.state = OutcomeState::Declined);
    assert_eq!(ask(&mut world, &mut wallet, purchase), BuyNotice::Unpaid);
    world.update(&mut wallet.device);
    let mut terminal = world.terminal(81);
    assert!(world.tap(&mut wallet.device, card, &mut terminal, 100, 99).is_none(), "blocked");
    assert_eq!(world.open_exceptions(), ["unpaid"]);
    clean(&world);
}

/// What the simulator's town 1028 found: its certificate was refused for ever by a wallet that knew it blocked before it had it.
#[test]
fn a_card_that_was_blocked_before_its_wallet_heard_of_it_is_known_all_the_same() {
    let mut world = World::new();
    let later = Listing { clear_after: Some(60), ..listing(&world) };
    let (says, mut wallet) = told(&mut world, later);
    let purchase = paid(&mut world, &mut wallet, None);
    says.approve(&mut world);
    world.now = world.now.after(60);
    says.say::<Clear>(&mut world, |outcome| outcome.state = OutcomeState::Declined);
    world.update(&mut wallet.device);
    assert_eq!(ask(&mut world, &mut wallet, purchase), BuyNotice::Unpaid, "R26");
    let [card] = wallet.device.cards().expect("read")[..] else { panic!("one card") };
    let mut terminal = world.terminal(81);
    assert!(world.tap(&mut wallet.device, card, &mut terminal, 100, 99).is_none(), "blocked");
    clean(&world);
}

#[test]
fn a_provider_that_dies_at_any_step_goes_on_and_charges_once() {
    for dies in 0..5 {
        let mut world = World::new();
        let listing = listing(&world);
        let (says, mut wallet) = told(&mut world, listing);
        let mut step = 0;
        let mut point = |world: &mut World| {
            if step == dies {
                reopened(world);
            }
            step += 1;
        };
        let (purchase, _) = reserve(&mut world, &mut wallet, None);
        point(&mut world);
        pay(&mut world, &mut wallet, purchase);
        point(&mut world);
        let authorized = says.approve(&mut world);
        point(&mut world);
        says.clear(&mut world, &authorized, 3);
        point(&mut world);
        assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Delivered { .. }), "{dies}");
        point(&mut world);
        assert!(says.due(&mut world).is_empty(), "{dies}: nothing more is asked of the bank");
        assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Delivered { .. }), "{dies}");
        assert_eq!((taken(&world), book(&world, PROCESSOR)[3]), (1, 2_000), "{dies}");
        clean(&world);
    }
}

/// The power goes out and comes back.
fn reopened(world: &mut World) {
    let blank = Provider::open(
        tegata_store::Store::memory().expect("memory"),
        tegata_provider::Keys::new([1; 32], world.now),
        "Blank",
        world.now,
        tegata_core::step::Broken::NONE,
    );
    let (store, keys) = std::mem::replace(&mut world.provider, blank.expect("a provider")).crash();
    let keys = keys.expect("its keys");
    world.provider =
        Provider::open(store, keys, "Town", world.now, tegata_core::step::Broken::NONE).expect("open again");
}

#[test]
fn the_issuers_fee_is_charged_with_the_sale_and_given_back_with_the_first_refund_of_it() {
    let mut world = World::new();
    let listing = listing(&world);
    let (says, mut wallet) = told(&mut world, listing);
    let (issuer, provider, now) = (world.issuer_id(), world.provider.info().provider, world.now);
    let fee = Fee { share: 15_000, fixed: 10 };
    world.provider.set_contract(issuer, (Tender::Credit, Unit::USD), fee, None, now).expect("a contract");
    world.now = world.now.after(1);
    let purchase = paid(&mut world, &mut wallet, None);
    let authorized = says.approve(&mut world);
    says.clear(&mut world, &authorized, 1);
    let BuyNotice::Delivered { card, .. } = ask(&mut world, &mut wallet, purchase) else { panic!("delivered") };
    let payable = |world: &World, party| {
        world.provider.store().balance(PROCESSOR, Unit::USD, Side::Payable, party).expect("read")
    };
    assert_eq!((payable(&world, issuer), payable(&world, provider)), (1_960, 40), "1.5 percent and 0.10");
    clean(&world);
    // Paid out, and then given back with 5.00 spent: the issuer owes what it has had for it.
    let now = world.now;
    world.provider.settle(now).expect("settled");
    let mut terminal = world.terminal(83);
    world.pay(&mut wallet.device, card, &mut terminal, 500);
    world.update(&mut terminal);
    let now = world.moment();
    wallet.surrender(card, now).expect("given back");
    world.update(&mut wallet.device);
    world.now = world.now.after(15 * Time::DAY);
    says.say::<Refund>(&mut world, |outcome| {
        (outcome.state, outcome.amount) = (OutcomeState::Refunded, Some(usd(1_500)));
    });
    world.update(&mut wallet.device);
    assert_eq!(wallet.refunded(card).expect("told").amount, usd(1_500));
    clean(&world);
    let now = world.now;
    world.provider.settle(now).expect("settled");
    clean(&world);
    let position = |party| -> (i64, i64) {
        let sql = "SELECT fees, due FROM position WHERE period = 2 AND party = ?1 AND side = 1";
        let connection = world.provider.store().connection();
        connection.query_row(sql, [party], |row| Ok((row.get(0)?, row.get(1)?))).expect("a position")
    };
    assert_eq!(position(issuer.0), (-40, -1_460), "it has 20.00 less the fee, and keeps 5.00");
}

#[test]
fn every_answer_may_be_lost_and_is_asked_for_again_with_the_same_bytes() {
    let mut world = World::new();
    let listing = listing(&world);
    let (says, mut wallet) = told(&mut world, listing);
    let offered = article(&mut world, &mut wallet);
    let lost = |world: &mut World, wallet: &mut Buyer, ask: &dyn Fn(&mut Buyer, &mut world::Wire<'_>, Now) -> bool| {
        let now = world.moment();
        let mut wire = world.wire(now, true);
        assert!(ask(wallet, &mut wire, now), "the line broke");
    };
    lost(&mut world, &mut wallet, &|wallet, wire, now| wallet.reserve(wire, offered.clone(), None, now).is_err());
    let kept = wallet.purchases().expect("read").pop().expect("kept before it was sent");
    let purchase = kept.purchase();
    assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Reserved { .. }));
    lost(&mut world, &mut wallet, &|wallet, wire, now| wallet.buy(wire, purchase, PaymentOption::Once, now).is_err());
    // Agreed once, whatever is asked for then.
    for _ in 0..2 {
        assert!(matches!(pay(&mut world, &mut wallet, purchase), BuyNotice::Waiting { .. }));
    }
    let authorized = says.approve(&mut world);
    says.clear(&mut world, &authorized, 9);
    lost(&mut world, &mut wallet, &|wallet, wire, now| wallet.purchase(wire, purchase, now).is_err());
    assert!(wallet.device.cards().expect("read").is_empty());
    let BuyNotice::Delivered { card, .. } = ask(&mut world, &mut wallet, purchase) else { panic!("delivered") };
    assert_eq!(wallet.device.cards().expect("read"), [card]);
    assert_eq!((taken(&world), says.due(&mut world).len()), (1, 0));
    // A wallet's own copies of what it sent and kept are what the provider has.
    let store = world.provider.store();
    let id = wallet.device.id().expect("joined");
    let record = store.purchase_record(id, purchase, tegata_store::Signed::Purchase).expect("read").expect("kept");
    let agreed = wallet.purchases().expect("read").pop().expect("one").pay.expect("agreed");
    assert_eq!(record, (agreed.hash(&[]), agreed.encode()));
    clean(&world);
}

#[test]
fn what_is_not_for_sale_for_this_wallet_or_this_card_is_refused_with_the_reason() {
    let mut world = World::new();
    let listing = listing(&world);
    let (says, mut wallet) = told(&mut world, listing.clone());
    // A listing that is not what the issuer may sell.
    let wrong = |change: &dyn Fn(&mut Listing)| {
        let mut other = Listing { article: 9, ..listing.clone() };
        change(&mut other);
        other
    };
    for other in [
        wrong(&|other| other.price = usd(1)),
        wrong(&|other| other.face = usd(0)),
        wrong(&|other| other.revision = 0),
        wrong(&|other| other.terms.issuer = PartyId([7; 16])),
        wrong(&|other| (other.article, other.stock) = (1, 99)),
    ] {
        let mut issuer = std::mem::replace(&mut world.issuer, world_blank());
        let answered: Result<tegata_core::talk::cards::Done, _> = world.ask(&mut issuer, other.clone());
        world.issuer = issuer;
        assert!(answered.is_err(), "{other:?}");
    }
    let offered = article(&mut world, &mut wallet);
    // Not registered, no such card, another's card.
    let mut stranger = Wallet::new(world.wallet(82), Algorithm::Ed25519);
    let no_card = reserve_of(&mut world, &mut stranger, offered.clone(), None).1;
    assert_eq!(no_card, BuyNotice::Ended(PurchaseRefusal::NoCard));
    let unknown = reserve_of(&mut world, &mut wallet, offered.clone(), Some(CardId([3; 16]))).1;
    assert_eq!(unknown, BuyNotice::Ended(PurchaseRefusal::Card));
    let gone = Article { article: 5, ..offered.clone() };
    assert_eq!(reserve_of(&mut world, &mut wallet, gone, None).1, BuyNotice::Ended(PurchaseRefusal::NoArticle));
    // Another price than is asked for is agreed to by nobody here; who signs one all the same gets nothing.
    let (purchase, _) = reserve(&mut world, &mut wallet, None);
    let reserved = wallet.purchases().expect("read").pop().expect("one").reserve.hash(&[]);
    let cheap = Purchase {
        wallet: wallet.device.id().expect("joined"),
        purchase,
        reserve: reserved,
        price: usd(1),
        option: PaymentOption::Once,
        at: world.now,
        extensions: Default::default(),
    };
    let answer: PurchaseAnswer = world.ask(&mut wallet.device, cheap).expect("answered");
    assert_eq!((answer.state, answer.why), (PurchaseState::Refused, Some(PurchaseRefusal::Price)));
    assert!(says.due(&mut world).is_empty(), "the bank is not asked");
    // Too many at once.
    for _ in 0..2 {
        reserve(&mut world, &mut wallet, None);
    }
    let sold_out = reserve_of(&mut world, &mut wallet, offered, None).1;
    assert_eq!(sold_out, BuyNotice::Ended(PurchaseRefusal::SoldOut));
    clean(&world);
}

fn world_blank() -> Person {
    tegata_device::Device::new(
        tegata_vault::MemoryVault::default(),
        tegata_device::KeyRing::in_memory(Algorithm::Ed25519, &[201; 32]),
        &tegata_crypto_native::NativeVerifier,
    )
}

#[test]
fn the_auditor_sees_what_was_sold_for_nothing_and_what_was_paid_for_nothing() {
    let mut world = World::new();
    let listing = listing(&world);
    let (says, mut wallet) = told(&mut world, listing);
    let purchase = paid(&mut world, &mut wallet, None);
    let authorized = says.approve(&mut world);
    says.clear(&mut world, &authorized, 4);
    assert!(matches!(ask(&mut world, &mut wallet, purchase), BuyNotice::Delivered { .. }));
    paid(&mut world, &mut wallet, None);
    clean(&world);
    let before = world.provider.snapshot().expect("a copy");
    for (change, what) in [
        ("DELETE FROM purchase WHERE state = 5", "captured, and nothing that it was for"),
        ("UPDATE purchase SET state = 6 WHERE state = 5", "captured, and said to be refused"),
        ("UPDATE purchase SET state = 4 WHERE state = 5", "captured, and said not to be yet"),
        ("UPDATE purchase SET state = 5 WHERE state = 2", "delivered, and nothing captured"),
        ("UPDATE purchase SET card = x'00112233445566778899aabbccddeeff' WHERE state = 5", "another card"),
        ("UPDATE asked SET answer = NULL", "bought by an answer that is not there"),
        ("DELETE FROM purchase_record WHERE what = 1", "nobody reserved it"),
        ("DELETE FROM purchase_record WHERE what = 2", "nobody agreed to it"),
        ("DELETE FROM listing", "nobody listed it"),
        ("UPDATE article SET taken = 0", "more sold than said"),
        ("DELETE FROM posting WHERE what = 10", "captured, and owed to nobody"),
        ("DELETE FROM posting WHERE what = 11", "issued, and not posted"),
        ("UPDATE posting SET amount = amount + 1 WHERE what = 11", "issued more than was sold"),
        ("DELETE FROM posting WHERE what = 2", "delivered, and not posted"),
    ] {
        let changed = tegata_store::Store::restore(&before).expect("restored");
        changed.connection().execute_batch(change).expect("changed");
        let audit = tegata_audit::audit(changed.connection(), &tegata_audit::Options::default()).expect("audited");
        assert!(audit.difference.is_some(), "{what}");
    }
}

#[test]
fn what_the_bank_never_paid_for_is_not_paid_back_out_of_what_it_did() {
    let mut world = World::new();
    let now = listing(&world);
    let (says, mut wallet) = told(&mut world, now);
    let first = paid(&mut world, &mut wallet, None);
    let authorized = says.approve(&mut world);
    says.clear(&mut world, &authorized, 1);
    let BuyNotice::Delivered { card, .. } = ask(&mut world, &mut wallet, first) else { panic!("a card") };
    // Topped up by what is captured later, and the bank takes its word back; its worth is spent by then.
    let later = Listing { revision: 2, clear_after: Some(60), ..listing(&world) };
    world.issuer_asks(later);
    let second = paid(&mut world, &mut wallet, Some(card));
    says.approve(&mut world);
    assert!(matches!(ask(&mut world, &mut wallet, second), BuyNotice::Delivered { provisional: true, .. }));
    let mut terminal = world.terminal(82);
    world.pay(&mut wallet.device, card, &mut terminal, FACE);
    world.update(&mut terminal);
    let now = world.moment();
    assert_eq!(wallet.surrender(card, now).expect("given back"), usd(FACE));
    world.update(&mut wallet.device);
    world.now = world.now.after(60);
    says.say::<Clear>(&mut world, |outcome| outcome.state = OutcomeState::Declined);
    says.say::<VoidAuthorization>(&mut world, |outcome| outcome.state = OutcomeState::Voided);
    clean(&world);
    world.now = world.now.after(15 * Time::DAY);
    assert!(!says.asks::<Refund>(&mut world), "goods for 20.00, and 20.00 paid: nothing is left");
    world.update(&mut wallet.device);
    let refunded = wallet.refunded(card).expect("told");
    assert_eq!((refunded.amount, refunded.left), (usd(0), usd(FACE)));
    assert_eq!(world.open_exceptions(), ["unpaid", "unreturned"]);
    clean(&world);
}

/// A wallet with a card that it bought, and a terminal that took a quarter of it.
fn spent_some(seed: u8) -> (World, Says, Buyer, CardId, Person, u64) {
    let mut world = World::new();
    let listing = listing(&world);
    let (says, mut wallet) = told(&mut world, listing);
    let purchase = paid(&mut world, &mut wallet, None);
    let authorized = says.approve(&mut world);
    says.clear(&mut world, &authorized, 1);
    let BuyNotice::Delivered { card, .. } = ask(&mut world, &mut wallet, purchase) else { panic!("a card") };
    let mut terminal = world.terminal(seed);
    let transaction = world.pay(&mut wallet.device, card, &mut terminal, FACE / 4);
    (world, says, wallet, card, terminal, transaction)
}

fn gives_back(world: &mut World, wallet: &mut Buyer, card: CardId) {
    let now = world.moment();
    assert_eq!(wallet.surrender(card, now).expect("given back"), usd(FACE - FACE / 4));
    world.update(&mut wallet.device);
}

fn pays_back(says: &Says, world: &mut World, minor: u64) {
    says.say::<Refund>(world, |outcome| {
        (outcome.state, outcome.amount) = (OutcomeState::Refunded, Some(usd(minor)));
    });
}

#[test]
fn what_is_being_paid_back_is_not_on_the_card_any_more_and_comes_back_if_the_bank_refuses() {
    let (mut world, says, mut wallet, card, mut terminal, _) = spent_some(83);
    world.update(&mut terminal);
    gives_back(&mut world, &mut wallet, card);
    world.now = world.now.after(15 * Time::DAY);
    assert!(says.asks::<Refund>(&mut world));
    let [_, _, held, .., back, _] = book(&world, world.issuer_id());
    assert_eq!((held, back), (0, 1_500), "a late claim finds nothing");
    clean(&world);
    says.say::<Refund>(&mut world, |outcome| outcome.state = OutcomeState::Declined);
    world.update(&mut wallet.device);
    let refunded = wallet.refunded(card).expect("told");
    assert_eq!((refunded.amount, refunded.left), (usd(0), usd(1_500)));
    let [_, _, held, .., back, disputed] = book(&world, world.issuer_id());
    assert_eq!((held, back, disputed), (0, 0, 1_500));
    assert_eq!(world.open_exceptions(), ["unreturned", "unreturned"], "of the purchase, and of the card");
    clean(&world);
}

#[test]
fn what_the_bank_pays_back_in_part_is_counted_as_that_part() {
    let (mut world, says, mut wallet, card, mut terminal, _) = spent_some(84);
    world.update(&mut terminal);
    gives_back(&mut world, &mut wallet, card);
    world.now = world.now.after(15 * Time::DAY);
    pays_back(&says, &mut world, 1_600);
    assert_eq!(world.open_exceptions(), ["unreturned"; 2], "more than was asked is no refund");
    let (mut world, says, mut wallet, card, mut terminal, _) = spent_some(85);
    world.update(&mut terminal);
    gives_back(&mut world, &mut wallet, card);
    world.now = world.now.after(15 * Time::DAY);
    pays_back(&says, &mut world, 400);
    world.update(&mut wallet.device);
    let refunded = wallet.refunded(card).expect("told");
    assert_eq!((refunded.amount, refunded.left), (usd(400), usd(1_100)));
    let [_, _, held, .., back, disputed] = book(&world, world.issuer_id());
    assert_eq!((held, back, disputed), (0, 400, 1_100));
    assert_eq!(world.open_exceptions(), ["unreturned"; 2], "of the purchase, and of the card");
    clean(&world);
}

#[test]
fn what_comes_back_to_a_card_given_back_is_paid_back_too() {
    // Still in flight when the rest is paid back: the terminal comes weeks later, and it has voided.
    let (mut world, says, mut wallet, card, mut terminal, transaction) = spent_some(84);
    gives_back(&mut world, &mut wallet, card);
    world.now = world.now.after(15 * Time::DAY);
    pays_back(&says, &mut world, 1_500);
    world.update(&mut wallet.device);
    assert_eq!(wallet.refunded(card).expect("told").amount, usd(1_500));
    clean(&world);
    world.end(&mut terminal, transaction, true);
    world.update(&mut terminal);
    clean(&world);
    pays_back(&says, &mut world, 500);
    world.update(&mut wallet.device);
    let refunded = wallet.refunded(card).expect("told");
    assert_eq!((refunded.amount, refunded.left), (usd(FACE), usd(0)));
    clean(&world);

    // Voided, and given back before the wallet heard of it.
    let (mut world, says, mut wallet, card, mut terminal, transaction) = spent_some(85);
    world.update(&mut terminal);
    world.end(&mut terminal, transaction, true);
    world.update(&mut terminal);
    gives_back(&mut world, &mut wallet, card);
    clean(&world);
    world.now = world.now.after(15 * Time::DAY);
    pays_back(&says, &mut world, FACE);
    world.update(&mut wallet.device);
    assert_eq!(wallet.refunded(card).expect("told").amount, usd(FACE));
    clean(&world);

    // Voided after everything has ended: it goes on.
    let (mut world, says, mut wallet, card, mut terminal, transaction) = spent_some(86);
    let number = world.order(1, 300, true).remove(0);
    world.load(&mut wallet.device, card, &number);
    world.update(&mut terminal);
    let now = world.moment();
    assert_eq!(wallet.surrender(card, now).expect("given back"), usd(1_800));
    world.update(&mut wallet.device);
    world.now = world.now.after(15 * Time::DAY);
    pays_back(&says, &mut world, 1_800);
    world.update(&mut wallet.device);
    assert_eq!(wallet.refunded(card).expect("told").amount, usd(1_800));
    world.end(&mut terminal, transaction, true);
    world.update(&mut terminal);
    clean(&world);
    pays_back(&says, &mut world, 200);
    world.update(&mut wallet.device);
    let refunded = wallet.refunded(card).expect("told");
    assert_eq!((refunded.amount, refunded.left), (usd(FACE), usd(300)), "no more than it cost");
    assert_eq!(world.open_exceptions(), ["unreturned"]);
    clean(&world);
}

#[test]
fn what_comes_back_to_a_card_given_back_is_paid_back_too_however_late() {
    for loaded in [0, 2_500] {
        let mut world = World::new();
        let listing = listing(&world);
        let (says, mut wallet) = told(&mut world, listing);
        let purchase = paid(&mut world, &mut wallet, None);
        let authorized = says.approve(&mut world);
        says.clear(&mut world, &authorized, 1);
        let BuyNotice::Delivered { card, .. } = ask(&mut world, &mut wallet, purchase) else { panic!("delivered") };
        if loaded > 0 {
            let number = world.order(1, loaded, true).remove(0);
            world.load(&mut wallet.device, card, &number);
        }
        let mut shop = tegata_terminal::Terminal::new(world.terminal(84));
        let [early, late] = [300, 750].map(|minor| world.pay(&mut wallet.device, card, &mut shop.device, minor));
        world.update(&mut shop.device);
        world.update(&mut wallet.device);
        // A void is on its way to the wallet, which has given the card back meanwhile and takes nothing up.
        let now = world.moment();
        shop.void(early, now).expect("voided");
        world.update(&mut shop.device);
        let now = world.moment();
        wallet.surrender(card, now).expect("given back");
        world.update(&mut wallet.device);
        clean(&world);
        let refund = |world: &mut World, wallet: &mut Buyer, minor: u64| {
            if minor > 0 {
                says.say::<Refund>(world, |outcome| {
                    (outcome.state, outcome.amount) = (OutcomeState::Refunded, Some(usd(minor)));
                });
            } else {
                assert!(!says.asks::<Refund>(world), "nothing of this was paid by credit");
            }
            world.update(&mut wallet.device);
            clean(world);
        };
        world.now = world.now.after(30 * Time::DAY);
        let first = (FACE + loaded - 750).min(FACE);
        refund(&mut world, &mut wallet, first);
        assert_eq!(wallet.refunded(card).expect("told").amount, usd(first), "{loaded}");
        // It is over, and then the shop undoes the other payment.
        let now = world.moment();
        shop.void(late, now).expect("voided");
        world.update(&mut shop.device);
        clean(&world);
        refund(&mut world, &mut wallet, FACE - first);
        assert_eq!(wallet.refunded(card).expect("told").amount, usd(FACE), "{loaded}: all that it cost");
        let [_, _, held, payable, _, back, disputed] = book(&world, world.issuer_id());
        assert_eq!((held, payable, back, disputed), (0, 0, i128::from(FACE), i128::from(loaded)));
    }
}
