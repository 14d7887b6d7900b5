//! Paying by credit: the real provider between two lines, the real processor and a bank behind real sockets (R23, R26).

use tegata_core::record::{RecordKey, Space};
use tegata_core::step::Event;
use tegata_core::talk::pay::{ClaimState, TerminalNotice};
use tegata_device::WalletTap;
use tegata_terminal::Terminal;
use tegata_wallet::Wallet;

use crate::clearing::{Clearing, answer, audited, credit_sums, register, registration, serve};
use crate::world::{Person, World, usd};
use std::time::{Duration, Instant};
use tegata_core::talk::credit::*;
use tegata_core::talk::pay::Charge;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::Wire as _;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{Amount, Hash, RequestNumber, Time};
use tegata_crypto_native::SecretKey;
use tegata_device::RequestError;
use tegata_processor::bank::TestCard;

/// One purchase, as both sides have it.
struct Purchase {
    key: SecretKey,
    offer: Signed<CreditOffer>,
    session: Hash,
    charge: Signed<Charge>,
}

impl Purchase {
    fn new(world: &mut World, terminal: &Person, transaction: u64, minor: u64) -> Self {
        let session = Hash(world.entropy());
        let key = SecretKey::from_seed(Algorithm::Ed25519, &world.entropy());
        let offer = CreditOffer {
            key: key.public(),
            request: RequestNumber(world.entropy()[..16].try_into().expect("16")),
            provider: world.provider.info().provider,
            option: PaymentOption::Once,
            at: world.now,
            extensions: Default::default(),
        };
        let offer = by(&key, offer, &CreditOffer::context(&session));
        let charge = Charge {
            transaction,
            amount: usd(minor),
            at: world.now,
            expires: world.now.after(120),
            items: Some("bread".into()),
            extensions: Default::default(),
        };
        let machine = terminal.id().expect("joined");
        let unsigned = Unsigned::new(charge, Algorithm::Ed25519);
        let tbs = unsigned.tbs(&Charge::context(&session, machine));
        let charge = unsigned.sign(terminal.ring.sign(&terminal.key().expect("joined"), &tbs).expect("signs"));
        Self { key, offer, session, charge }
    }
    fn hash(&self) -> Hash {
        CreditOffer::hash(&self.offer, &self.session)
    }
    fn charge_hash(&self, terminal: &Person) -> Hash {
        Charge::named(&self.session, terminal.id().expect("joined"), self.charge.payload())
    }
    fn authorization(&self, world: &World, terminal: &Person) -> AuthorizationRequest {
        AuthorizationRequest {
            machine: terminal.id().expect("joined"),
            merchant: world.merchant_id(),
            offer: self.offer.clone(),
            charge: self.charge.clone(),
            session: self.session,
            at: world.now,
            extensions: Default::default(),
        }
    }
    fn payment(&self, world: &World, wallet: &Person, terminal: &Person, seen: Amount) -> PaymentRequest {
        let agreement = Agreement {
            machine: terminal.id().expect("joined"),
            charge: self.charge_hash(terminal),
            transaction: self.charge.claimed().transaction,
            amount: seen,
            extensions: Default::default(),
        };
        PaymentRequest {
            wallet: wallet.id().expect("joined"),
            offer: self.offer.clone(),
            session: self.session,
            agreement: by(&self.key, agreement, &Agreement::context(&self.hash())),
            at: world.now,
            extensions: Default::default(),
        }
    }
    fn clearing(&self, world: &World, terminal: &Person) -> ClearingRequest {
        ClearingRequest {
            machine: terminal.id().expect("joined"),
            merchant: world.merchant_id(),
            offer: self.hash(),
            request: self.offer.claimed().request,
            charge: self.charge_hash(terminal),
            transaction: self.charge.claimed().transaction,
            amount: self.charge.claimed().amount,
            option: PaymentOption::Once,
            at: world.now,
            extensions: Default::default(),
        }
    }
}

fn by<T: tegata_core::wire::canonical::Message>(key: &SecretKey, body: T, context: &[u8]) -> Signed<T> {
    let unsigned = Unsigned::new(body, Algorithm::Ed25519);
    let signature = key.sign(&unsigned.tbs(context));
    unsigned.sign(signature)
}

/// A wallet with this test card, a terminal of the enrolled merchant, both ready to deal.
fn ready(world: &mut World, clearing: &Clearing, card: TestCard) -> (Person, Person) {
    let (mut wallet, terminal) = (world.wallet(31), world.terminal(32));
    let (merchant, now, entropy) = (world.merchant_id(), world.now, world.entropy());
    let details = MerchantDetails {
        code: "SHOP".into(),
        category: 5814,
        name: "SHOP TOWN".into(),
        extensions: Default::default(),
    };
    world.provider.enrol(merchant, details, now, entropy).expect("enrolled");
    signed_on(world, clearing);
    register(world, clearing, &mut wallet, card);
    (wallet, terminal)
}

/// Waits until the processor has signed on at the bank: a card that is always approved is.
fn signed_on(world: &mut World, clearing: &Clearing) {
    let patience = Instant::now() + Duration::from_secs(10);
    let (mut wallet, mut terminal) = (world.wallet(33), world.terminal(34));
    register(world, clearing, &mut wallet, TestCard::Approved);
    for transaction in 1.. {
        let purchase = Purchase::new(world, &terminal, transaction, 1);
        let known = both(world, clearing, &purchase, (&mut wallet, &mut terminal));
        if known.state == CreditState::Authorized {
            return;
        }
        assert!(Instant::now() < patience, "{known:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Both lines ask for the same; what the user hears in the end.
fn both(
    world: &mut World,
    clearing: &Clearing,
    purchase: &Purchase,
    (wallet, terminal): (&mut Person, &mut Person),
) -> CreditAnswer {
    let seen = purchase.charge.claimed().amount;
    let asked = purchase.authorization(world, terminal);
    let paid = purchase.payment(world, wallet, terminal, seen);
    assert_eq!(answer(world, terminal, asked).state, CreditState::Waiting);
    clearing.until(world, |world| answer(world, wallet, paid.clone()))
}

/// What the clearing request is answered with, once it is known.
fn cleared(
    world: &mut World,
    clearing: &Clearing,
    request: &ClearingRequest,
    terminal: &mut Person,
) -> (Vec<u8>, ClearingNotification) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let signed = terminal.signed(request.clone()).expect("signs");
        let now = world.moment();
        let mut wire = world.wire(now, false);
        let bytes = terminal.exchange(&mut wire, now.entropy, &signed.encode()).expect("answered");
        if let Ok(notification) = Signed::<ClearingNotification>::decode(&bytes) {
            return (bytes, notification.claimed().clone());
        }
        let waits = Signed::<CreditAnswer>::decode(&bytes).expect("one of the two");
        assert_eq!(waits.claimed().state, CreditState::Pending, "{waits:?}");
        assert!(Instant::now() < patience);
        clearing.carry(world);
        world.now = world.now.after(2);
    }
}

#[test]
fn what_both_lines_name_is_authorized_cleared_once_and_told_to_all() {
    let mut world = World::new();
    let mut clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let purchase = Purchase::new(&mut world, &terminal, 1, 4_550);
    let request = purchase.clearing(&world, &terminal);

    // Nothing is cleared that was not authorized.
    let early = answer(&mut world, &mut terminal, request.clone());
    assert_eq!((early.state, early.why), (CreditState::Refused, Some(CreditRefusal::NotAuthorized)));
    let known = both(&mut world, &clearing, &purchase, (&mut wallet, &mut terminal));
    assert_eq!(known.state, CreditState::Authorized);

    let (bytes, told) = cleared(&mut world, &clearing, &request, &mut terminal);
    assert_eq!(told.request.claimed(), &request, "its own request, opened");
    let informed = told.information.claimed();
    assert_eq!((informed.amount, informed.audience), (usd(4_550), Audience::Merchant));
    assert_eq!(credit_sums(&world, clearing.info.processor), [4_550, 4_550]);

    // The same request is answered by the same bytes and clears nothing again; another one is refused.
    assert_eq!(cleared(&mut world, &clearing, &request, &mut terminal).0, bytes);
    let other = ClearingRequest { at: world.now.after(1), ..request.clone() };
    assert_eq!(answer(&mut world, &mut terminal, other).why, Some(CreditRefusal::Repeated));
    // Another terminal's request is none of its business.
    let mut stranger = world.terminal(40);
    let foreign = ClearingRequest { machine: stranger.id().expect("joined"), ..request };
    assert_eq!(answer(&mut world, &mut stranger, foreign).why, Some(CreditRefusal::NotAuthorized));

    // The user hears that it is cleared, over both of its ways.
    let paid = purchase.payment(&world, &wallet, &terminal, usd(4_550));
    assert_eq!(answer(&mut world, &mut wallet, paid).why, Some(CreditRefusal::Repeated), "made at another time");
    let device = wallet.id().expect("joined");
    let commands = world.provider.store().commands_after(device, 0, 100).expect("commands");
    let receipts: Vec<_> =
        commands.iter().filter_map(|body| tegata_core::talk::update::Command::from_bytes(body).ok()?.receipt).collect();
    let [receipt] = receipts.as_slice() else { panic!("one receipt: {receipts:?}") };
    let said = receipt.claimed();
    assert_eq!((said.user, said.request), (device, purchase.offer.claimed().request));
    assert_eq!(said.information.claimed().clearing, told.clearing);

    // The same user at the same merchant is the same customer.
    let again = Purchase::new(&mut world, &terminal, 2, 100);
    both(&mut world, &clearing, &again, (&mut wallet, &mut terminal));
    let request = again.clearing(&world, &terminal);
    assert_eq!(cleared(&mut world, &clearing, &request, &mut terminal).1.customer, told.customer);

    let processor = clearing.stop();
    assert_eq!(clearing.bank.bank().posted("SHOP", tegata_core::Unit::USD), 4_650);
    assert!(processor.line_is_open());
    assert!(world.open_exceptions().is_empty());
    let now = world.now;
    assert_eq!(world.provider.settle(now).expect("settled").payouts[0].amount, 4_650);
    let audit = audited(&world);
    assert_eq!((audit.difference, audit.credits), (None, 2));
}

#[test]
fn credit_pays_its_own_fee_and_is_set_off_against_cards_that_were_undone() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let (shop, now) = (world.merchant_id(), world.now);
    let fee = tegata_provider::Fee { share: 20_000, fixed: 30 };
    let credit = (tegata_core::talk::contract::Tender::Credit, tegata_core::Unit::USD);
    world.provider.set_contract(shop, credit, fee, None, now).expect("a contract");

    // A payment by card, which pays no fee, is paid out, and is undone afterwards.
    let numbers = world.order(1, 10_000, true);
    let card = world.install(&mut wallet, &numbers[0], 60);
    world.update(&mut wallet);
    world.update(&mut terminal);
    let sold = world.pay(&mut wallet, card, &mut terminal, 3_000);
    world.update(&mut terminal);
    let first = world.provider.settle(world.now).expect("settled");
    assert_eq!(first.payouts[0].amount, 3_000);
    world.end(&mut terminal, sold, true);
    world.update(&mut terminal);

    let purchase = Purchase::new(&mut world, &terminal, sold + 1, 4_550);
    both(&mut world, &clearing, &purchase, (&mut wallet, &mut terminal));
    let request = purchase.clearing(&world, &terminal);
    cleared(&mut world, &clearing, &request, &mut terminal);
    let settled = world.provider.settle(world.now).expect("settled");
    let position = |party, side| {
        let row = settled.positions.iter().find(|row| (row.party, row.side) == (party, side)).expect("a position");
        (row.credited, row.undone, row.fees, row.due)
    };
    use tegata_store::PositionSide;
    // 2 percent and 0.30 of 45.50; 30.00 is taken off.
    assert_eq!(position(shop, PositionSide::Payee), (4_550, 3_000, 121, 1_429));
    assert_eq!(position(clearing.info.processor, PositionSide::Issuer), (4_550, 0, 0, 4_550), "processor to provider");
    assert_eq!(position(world.issuer_id(), PositionSide::Issuer), (0, 3_000, 0, -3_000), "provider to issuer");
    assert_eq!(position(world.provider.info().provider, PositionSide::Payee).2, -121);
    assert_eq!(settled.payouts.iter().map(|row| row.amount).collect::<Vec<_>>(), [1_429], "one payout for both");
    let audit = audited(&world);
    assert_eq!((audit.difference, audit.credits), (None, 1));
}

#[test]
fn the_auditor_sees_what_was_captured_for_nothing_and_what_was_paid_without_a_capture() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    for (transaction, minor) in [(1, 4_550), (2, 300)] {
        let purchase = Purchase::new(&mut world, &terminal, transaction, minor);
        both(&mut world, &clearing, &purchase, (&mut wallet, &mut terminal));
        let request = purchase.clearing(&world, &terminal);
        cleared(&mut world, &clearing, &request, &mut terminal);
    }
    let open = Purchase::new(&mut world, &terminal, 3, 100);
    both(&mut world, &clearing, &open, (&mut wallet, &mut terminal));
    assert_eq!(audited(&world).difference, None);
    let before = world.provider.snapshot().expect("a copy");
    for (change, what) in [
        ("DELETE FROM credit WHERE completion IS NOT NULL", "captured, and nothing that it was for"),
        ("UPDATE credit SET state = 4 WHERE completion IS NULL", "cleared, and nothing captured"),
        ("UPDATE credit SET state = 5 WHERE completion IS NOT NULL", "captured, and said to be refused"),
        ("UPDATE asked SET answer = NULL", "cleared by an answer that is not there"),
        ("UPDATE credit SET state = 5, ended = 1 WHERE completion IS NULL", "approved, and never let go"),
        ("UPDATE credit SET user_body = (SELECT user_body FROM credit WHERE completion IS NULL)", "another's consent"),
        ("DELETE FROM posting WHERE what = 10", "captured, and owed to nobody"),
        ("UPDATE posting SET amount = amount + 1 WHERE what = 10", "owed more than was captured"),
        ("UPDATE balance SET amount = amount + 1 WHERE kind = 5", "a balance of its own"),
    ] {
        let changed = tegata_store::Store::restore(&before).expect("restored");
        changed.connection().execute_batch(change).expect("changed");
        let audit = tegata_audit::audit(changed.connection(), &tegata_audit::Options::default()).expect("audited");
        assert!(audit.difference.is_some(), "{what}");
    }
}

#[test]
fn lines_that_differ_end_it_for_both_and_a_stranger_changes_nothing() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let held = clearing.bank.bank().held(tegata_core::Unit::USD);

    // The user saw 5.00, the merchant asks for 50.00.
    let purchase = Purchase::new(&mut world, &terminal, 1, 5_000);
    let asked = purchase.authorization(&world, &terminal);
    let paid = purchase.payment(&world, &wallet, &terminal, usd(500));
    answer(&mut world, &mut terminal, asked.clone());
    for told in [answer(&mut world, &mut wallet, paid), answer(&mut world, &mut terminal, asked)] {
        assert_eq!((told.state, told.why), (CreditState::Refused, Some(CreditRefusal::Mismatch)));
    }

    // A stranger that got hold of the offer cannot make it mismatch: the terminal's own line stands beside it.
    let purchase = Purchase::new(&mut world, &terminal, 2, 700);
    let mut stranger = world.terminal(41);
    let theirs = Purchase {
        key: SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]),
        offer: purchase.offer.clone(),
        session: purchase.session,
        charge: Purchase::new(&mut world, &stranger, 2, 99_999).charge,
    };
    let forged = theirs.authorization(&world, &stranger);
    let refused: Result<CreditAnswer, RequestError> = world.ask(&mut stranger, forged);
    assert!(
        matches!(&refused, Err(RequestError::Refused(said)) if said.why == ProviderRefusal::Malformed),
        "the charge was not made in this session: {refused:?}"
    );
    assert_eq!(both(&mut world, &clearing, &purchase, (&mut wallet, &mut terminal)).state, CreditState::Authorized);

    // A user's line signed by another key than the offer's is nobody's.
    let purchase = Purchase::new(&mut world, &terminal, 3, 700);
    let mut thief = world.wallet(42);
    let forged = Purchase { key: SecretKey::from_seed(Algorithm::Ed25519, &[2; 32]), ..purchase };
    let forged = forged.payment(&world, &thief, &terminal, usd(700));
    let refused: Result<CreditAnswer, RequestError> = world.ask(&mut thief, forged);
    assert!(matches!(&refused, Err(RequestError::Refused(said)) if said.why == ProviderRefusal::Malformed));

    clearing.carry(&mut world);
    assert_eq!(clearing.bank.bank().held(tegata_core::Unit::USD), held + 700, "nothing but the one was authorized");
}

#[test]
fn a_partner_that_never_comes_and_a_clearing_that_nobody_asks_for_hold_nothing() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let alone = Purchase::new(&mut world, &terminal, 1, 500);
    let asked = alone.authorization(&world, &terminal);
    assert_eq!(answer(&mut world, &mut terminal, asked.clone()).state, CreditState::Waiting);
    let authorized = Purchase::new(&mut world, &terminal, 2, 800);
    assert_eq!(both(&mut world, &clearing, &authorized, (&mut wallet, &mut terminal)).state, CreditState::Authorized);

    world.now = world.now.after(120 + PATIENCE);
    while clearing.carry(&mut world) > 0 {
        world.now = world.now.after(2);
    }
    assert_eq!(answer(&mut world, &mut terminal, asked).why, Some(CreditRefusal::Late));
    let request = authorized.clearing(&world, &terminal);
    assert_eq!(answer(&mut world, &mut terminal, request).why, Some(CreditRefusal::Late));
    assert_eq!(clearing.bank.bank().held(tegata_core::Unit::USD), 0, "all of it was let go at the bank");
    assert_eq!(credit_sums(&world, clearing.info.processor), [0, 0]);
}

#[test]
fn whatever_the_bank_does_nothing_is_charged_twice_or_left_held() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let mut total = 0;
    // Those that say no in the end have tests of their own.
    let cards = TestCard::ALL.into_iter().filter(|(card, _)| !card.refuses_later());
    for (transaction, (card, _)) in (1..).zip(cards) {
        register(&mut world, &clearing, &mut wallet, card);
        let purchase = Purchase::new(&mut world, &terminal, transaction, 1_000);
        let known = both(&mut world, &clearing, &purchase, (&mut wallet, &mut terminal));
        let approves = matches!(card, TestCard::Approved | TestCard::Twice | TestCard::Forgetful);
        let state = if approves { CreditState::Authorized } else { CreditState::Refused };
        assert_eq!(known.state, state, "{card:?}: {known:?}");
        if approves {
            let request = purchase.clearing(&world, &terminal);
            cleared(&mut world, &clearing, &request, &mut terminal);
            total += 1_000;
        } else {
            assert_eq!(known.why, Some(CreditRefusal::Declined), "{card:?}");
        }
        assert_eq!(clearing.bank.bank().posted("SHOP", tegata_core::Unit::USD), total, "{card:?}");
        assert_eq!(credit_sums(&world, clearing.info.processor), [i128::from(total); 2], "{card:?}");
    }
    world.now = world.now.after(120 + PATIENCE);
    while clearing.carry(&mut world) > 0 {
        world.now = world.now.after(2);
    }
    assert_eq!(clearing.bank.bank().held(tegata_core::Unit::USD), 0);
    assert!(world.open_exceptions().is_empty());
    assert_eq!(audited(&world).difference, None);
}

/// What the simulator's towns 107 and 417 found: an old registration that a carrier brings again changed the card back.
#[test]
fn an_old_registration_brought_again_changes_nothing() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (mut wallet, _) = ready(&mut world, &clearing, TestCard::Declined);
    let [first, second] =
        [TestCard::Funds, TestCard::Approved].map(|card| registration(&world, &clearing, &wallet, card));
    for named in [&first, &second] {
        let known = clearing.until(&mut world, |world| answer(world, &mut wallet, named.clone()));
        assert_eq!(known.state, CreditState::Authorized);
    }
    let id = wallet.id().expect("joined").0;
    let account = |world: &World| {
        let row = world.provider.store().clearing_account(id).expect("read");
        row.and_then(|row| row.account).expect("open")
    };
    let named = account(&world);
    let again = answer(&mut world, &mut wallet, first);
    assert_eq!((again.state, again.why), (CreditState::Refused, Some(CreditRefusal::Repeated)));
    assert_eq!(answer(&mut world, &mut wallet, second).state, CreditState::Authorized, "and this one is in force");
    assert_eq!(account(&world), named);
}

/// The simulator's town 230: the user names another card while a payment by the one before is under way.
#[test]
fn a_card_named_since_changes_nothing_of_a_payment_under_way() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let purchase = Purchase::new(&mut world, &terminal, 1, 4_550);
    assert_eq!(both(&mut world, &clearing, &purchase, (&mut wallet, &mut terminal)).state, CreditState::Authorized);
    register(&mut world, &clearing, &mut wallet, TestCard::Declined);
    let request = purchase.clearing(&world, &terminal);
    cleared(&mut world, &clearing, &request, &mut terminal);
    assert!(world.open_exceptions().is_empty());
    assert_eq!(audited(&world).difference, None);
}

/// The simulator's town 225: what was told as the end stays the end (R26).
#[test]
fn no_card_is_told_for_good_to_both_lines() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    let (_, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let mut wallet = world.wallet(41);
    let purchase = Purchase::new(&mut world, &terminal, 1, 4_550);
    let asked = purchase.authorization(&world, &terminal);
    let paid = purchase.payment(&world, &wallet, &terminal, usd(4_550));
    let ended = (CreditState::Refused, Some(CreditRefusal::NoCard));
    assert_eq!(answer(&mut world, &mut terminal, asked.clone()).state, CreditState::Waiting);
    let told = answer(&mut world, &mut wallet, paid.clone());
    assert_eq!((told.state, told.why), ended);
    register(&mut world, &clearing, &mut wallet, TestCard::Approved);
    for told in [answer(&mut world, &mut wallet, paid), answer(&mut world, &mut terminal, asked)] {
        assert_eq!((told.state, told.why), ended);
    }
    assert_eq!(clearing.carry(&mut world), 0, "the bank is not asked");
}

#[test]
fn a_processor_that_is_away_is_asked_again_until_it_is_known() {
    let mut world = World::new();
    let mut clearing = Clearing::start(&mut world);
    let (mut wallet, mut terminal) = ready(&mut world, &clearing, TestCard::Approved);
    let purchase = Purchase::new(&mut world, &terminal, 1, 1_200);
    clearing.stop();
    let asked = purchase.authorization(&world, &terminal);
    let paid = purchase.payment(&world, &wallet, &terminal, usd(1_200));
    answer(&mut world, &mut terminal, asked);
    assert_eq!(answer(&mut world, &mut wallet, paid.clone()).state, CreditState::Pending);
    assert_eq!(clearing.carry(&mut world), 0, "nobody answers");
    // It does not expire while its authorization is unknown (R23).
    world.now = world.now.after(Time::DAY);
    assert_eq!(clearing.carry(&mut world), 0);
    assert_eq!(answer(&mut world, &mut wallet, paid.clone()).state, CreditState::Pending);

    let (url, running) = serve(&world, &clearing.folder, &clearing.bank);
    let (info, now, entropy) = (clearing.info.clone(), world.now, world.entropy());
    world.provider.register_processor(info, url.clone(), now, entropy).expect("its new address");
    (clearing.url, clearing.running) = (url, Some(running));
    world.now = world.now.after(2);
    let known = clearing.until(&mut world, |world| answer(world, &mut wallet, paid.clone()));
    // Known at last, and far too late to be cleared: it is let go.
    assert!(matches!(known.state, CreditState::Authorized | CreditState::Refused), "{known:?}");
    while clearing.carry(&mut world) > 0 {
        world.now = world.now.after(2);
    }
    assert_eq!(clearing.bank.bank().held(tegata_core::Unit::USD), 0);
}

/// A wallet and a terminal as people hold them.
type Hands = (Wallet<tegata_vault::MemoryVault>, Terminal<tegata_vault::MemoryVault>);

fn hands((wallet, terminal): (Person, Person)) -> Hands {
    (Wallet::new(wallet, Algorithm::Ed25519), Terminal::new(terminal))
}

/// At the counter: offer, price, consent or not. The number of the charge, and of the user's request where there is one.
fn counter(
    world: &mut World,
    (wallet, terminal): &mut Hands,
    minor: u64,
    agrees: bool,
) -> (u64, Option<RequestNumber>) {
    let now = world.moment();
    let payer = wallet.credit_payer(PaymentOption::Once, now).expect("a payer");
    let sale = terminal.sale(usd(minor), Some("bread".into())).expect("a sale");
    let mut till = terminal.tap(sale, world.moment()).expect("waits");
    let (mut tap, hello) = WalletTap::touch(CreditPay::new(payer), world.entropy()).expect("touches");
    let (mut frames, mut charged, mut ready) = (vec![hello], None, None);
    while let Some(frame) = frames.pop() {
        let answer = terminal.receive(&mut till, &frame, world.moment()).expect("answers");
        for notice in answer.notices {
            match notice {
                TerminalNotice::CreditAsked { transaction } => charged = Some(transaction),
                other => eprintln!("terminal: {other:?}"),
            }
        }
        for frame in answer.frames {
            let now = world.moment();
            let mut step = tap.receive(&frame, now, &mut wallet.device).expect("reads");
            if step.notices.iter().any(|notice| matches!(notice, CreditNotice::Consent { .. })) {
                let said = if agrees { Event::Agreed } else { Event::Declined };
                step = tap.event(said, now, &mut wallet.device).expect("decides");
            }
            for notice in step.notices {
                match notice {
                    CreditNotice::Ready(request) => ready = Some(request),
                    other => eprintln!("wallet: {other:?}"),
                }
            }
            frames.extend(step.frames);
        }
    }
    (charged.expect("a charge"), ready)
}

/// Which answer of the provider is lost: the one of this number, counted over both lines.
struct Losing {
    at: Option<u32>,
    sent: u32,
}

impl Losing {
    fn next(&mut self) -> bool {
        self.sent += 1;
        self.at == Some(self.sent - 1)
    }
}

/// Both lines ask, each in its turn, until each is told the end; answers may be lost on the way.
fn lines(
    world: &mut World,
    clearing: &Clearing,
    (wallet, terminal): &mut Hands,
    (transaction, request): (u64, RequestNumber),
    losing: &mut Losing,
) -> (Option<CreditNotice>, Option<ClaimNotice>) {
    let patience = Instant::now() + Duration::from_secs(20);
    let (mut users, mut merchants) = (None, None);
    while users.is_none() || merchants.is_none() {
        assert!(Instant::now() < patience, "{users:?} {merchants:?}");
        if merchants.is_none() {
            let (now, lose_answer) = (world.moment(), losing.next());
            let mut wire = world.wire(now, lose_answer);
            merchants = match terminal.credit(&mut wire, transaction, now) {
                Ok(ClaimNotice::Waiting { .. }) | Err(_) => None,
                Ok(told) => Some(told),
            };
        }
        if users.is_none() {
            let (now, lose_answer) = (world.moment(), losing.next());
            let mut wire = world.wire(now, lose_answer);
            users = match wallet.credit(&mut wire, request, now) {
                Ok(CreditNotice::Waiting { .. } | CreditNotice::Authorized) | Err(_) => None,
                Ok(told) => Some(told),
            };
        }
        clearing.carry(world);
        world.now = world.now.after(2);
    }
    (users, merchants)
}

#[test]
fn at_the_counter_a_payment_by_credit_ends_with_receipts_on_both_sides() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    world.order(1, 1_000, false);
    let mut hands = hands(ready(&mut world, &clearing, TestCard::Approved));
    world.update(&mut hands.1.device);
    let (transaction, request) = counter(&mut world, &mut hands, 4_550, true);
    let request = request.expect("agreed");
    let (users, merchants) =
        lines(&mut world, &clearing, &mut hands, (transaction, request), &mut Losing { at: None, sent: 0 });
    assert_eq!(users, Some(CreditNotice::Cleared));
    let Some(ClaimNotice::Paid { amount, .. }) = merchants else { panic!("{merchants:?}") };
    assert_eq!(amount, usd(4_550));
    assert_eq!(clearing.bank.bank().posted("SHOP", tegata_core::Unit::USD), 4_550);

    // The user's receipt [8421] comes at once, without the merchant's part; with it, once the merchant's log is here.
    let device = &mut hands.0.device;
    world.update(device);
    let held = |device: &Person| Credited::load(device, request).expect("kept");
    assert!(held(device).receipt.expect("at once").claimed().receipt.is_none());
    world.update(&mut hands.1.device);
    let device = &mut hands.0.device;
    world.update(device);
    let whole = held(device).receipt.expect("again");
    let merchants = whole.claimed().receipt.clone().expect("with the merchant's");
    assert_eq!(
        (merchants.claimed().item.as_str(), merchants.claimed().clearing),
        ("bread", whole.claimed().information.claimed().clearing)
    );

    // What was cleared is neither closed nor voided at the till.
    assert_eq!(hands.1.claim(transaction).map(|claim| claim.state), Some(ClaimState::Paid));
    assert!(hands.1.void(transaction, world.moment()).is_err());
    assert!(hands.1.clearing().expect("read").is_empty());
    let audit = audited(&world);
    assert_eq!((audit.difference, audit.credits), (None, 1));
    assert!(world.open_exceptions().is_empty());
    // Nothing that crossed the counter names the user: the offer's key and number were made for this payment.
    let id = hands.0.device.id().expect("joined").0;
    let key = RecordKey::numbered(Space::Charge, transaction);
    let claim = tegata_core::step::Records::get(&hands.1.device, &key).expect("kept");
    assert!(!claim.windows(16).any(|window| window == id));
}

#[test]
fn a_user_who_declines_pays_nothing_and_the_charge_closes_at_both() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    world.order(1, 1_000, false);
    let mut hands = hands(ready(&mut world, &clearing, TestCard::Approved));
    world.update(&mut hands.1.device);
    let held = clearing.bank.bank().held(tegata_core::Unit::USD);
    let (transaction, request) = counter(&mut world, &mut hands, 700, false);
    assert_eq!(request, None);
    let asked = |world: &mut World, hands: &mut Hands| {
        let now = world.moment();
        let mut wire = world.wire(now, false);
        hands.1.credit(&mut wire, transaction, now).expect("asks")
    };
    assert!(matches!(asked(&mut world, &mut hands), ClaimNotice::Waiting { .. }));
    world.now = world.now.after(300);
    assert_eq!(asked(&mut world, &mut hands), ClaimNotice::Refused { transaction, why: CreditRefusal::Late });
    assert_eq!(hands.1.claim(transaction).map(|claim| claim.state), Some(ClaimState::Closed));
    assert_eq!(asked(&mut world, &mut hands), ClaimNotice::EndedBefore(ClaimState::Closed));
    assert_eq!(clearing.bank.bank().held(tegata_core::Unit::USD), held);
    // The till is free for the next one.
    let (next, request) = counter(&mut world, &mut hands, 800, true);
    assert!(next > transaction && request.is_some());
    world.update(&mut hands.1.device);
    assert_eq!(audited(&world).difference, None);
}

#[test]
fn whichever_answer_is_lost_each_side_ends_the_same_and_nothing_is_taken_twice() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    world.order(1, 1_000, false);
    let mut hands = hands(ready(&mut world, &clearing, TestCard::Approved));
    world.update(&mut hands.1.device);
    for lost in 0..8 {
        let (transaction, request) = counter(&mut world, &mut hands, 100, true);
        let named = (transaction, request.expect("agreed"));
        let (users, merchants) =
            lines(&mut world, &clearing, &mut hands, named, &mut Losing { at: Some(lost), sent: 0 });
        assert_eq!(users, Some(CreditNotice::Cleared), "{lost}");
        assert!(matches!(merchants, Some(ClaimNotice::Paid { .. })), "{lost}: {merchants:?}");
        assert_eq!(clearing.bank.bank().posted("SHOP", tegata_core::Unit::USD), 100 * i64::from(lost + 1), "{lost}");
    }
    world.update(&mut hands.1.device);
    world.update(&mut hands.0.device);
    let audit = audited(&world);
    assert_eq!((audit.difference, audit.credits), (None, 8));
    assert!(world.open_exceptions().is_empty());
    let credits = hands.0.credits().expect("read");
    assert!(
        credits.iter().all(|paid| paid.receipt.as_ref().is_some_and(|receipt| receipt.claimed().receipt.is_some()))
    );
}

#[test]
fn a_charge_closed_while_the_user_pays_is_let_go_at_the_bank() {
    let mut world = World::new();
    let clearing = Clearing::start(&mut world);
    world.order(1, 1_000, false);
    let mut hands = hands(ready(&mut world, &clearing, TestCard::Approved));
    world.update(&mut hands.1.device);
    let held = clearing.bank.bank().held(tegata_core::Unit::USD);
    let (transaction, request) = counter(&mut world, &mut hands, 900, true);
    let request = request.expect("agreed");
    // Both have asked, the bank has approved; the terminal was switched off and closes the charge on restart (R8).
    for carry in [false, true] {
        let now = world.moment();
        let mut wire = world.wire(now, true);
        assert!(hands.1.credit(&mut wire, transaction, now).is_err());
        let mut wire = world.wire(now, true);
        assert!(hands.0.credit(&mut wire, request, now).is_err());
        if carry {
            clearing.carry(&mut world);
            world.now = world.now.after(2);
        }
    }
    let patience = Instant::now() + Duration::from_secs(10);
    while clearing.bank.bank().held(tegata_core::Unit::USD) != held + 900 {
        assert!(Instant::now() < patience);
        clearing.carry(&mut world);
        world.now = world.now.after(2);
    }
    hands.1.close_open(world.moment()).expect("closed");
    world.update(&mut hands.1.device);
    while clearing.carry(&mut world) > 0 {
        world.now = world.now.after(2);
    }
    assert_eq!(clearing.bank.bank().held(tegata_core::Unit::USD), held);
    let now = world.moment();
    let mut wire = world.wire(now, false);
    assert_eq!(hands.0.credit(&mut wire, request, now).expect("told"), CreditNotice::Ended(CreditRefusal::Closed));
    assert_eq!(audited(&world).difference, None);
}
