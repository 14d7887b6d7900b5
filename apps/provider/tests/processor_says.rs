//! What a processor may say, and what the provider makes of it: money is concluded from nothing but the answer that the request
//! asks for (R26), and what was authorized and is not taken is let go.

use crate::says::{PROCESSOR, Says, by};
use crate::world::{Person, World, usd};
use tegata_core::talk::credit::*;
use tegata_core::talk::pay::Charge;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{AccountId, Amount, DeviceId, Hash, RequestNumber};
use tegata_crypto_native::SecretKey;

struct Sale {
    wallet: Person,
    terminal: Person,
    paid: PaymentRequest,
    clearing: ClearingRequest,
}

/// Both lines have asked for 5.00; the processor has not said anything.
fn asked(world: &mut World) -> (Says, Sale) {
    let says = Says::registered(world);
    let (merchant, now, entropy) = (world.merchant_id(), world.now, world.entropy());
    let details =
        MerchantDetails { code: "SHOP".into(), category: 5814, name: "SHOP".into(), extensions: Default::default() };
    world.provider.enrol(merchant, details, now, entropy).expect("enrolled");
    let open = |account| {
        move |outcome: &mut Outcome| {
            (outcome.state, outcome.account) = (OutcomeState::Opened, Some(AccountId([account; 16])));
        }
    };
    says.say::<OpenAccount>(world, open(1));
    let (mut wallet, mut terminal) = (world.wallet(31), world.terminal(32));
    let card = Sealed {
        profile: Profile::Hpke,
        addressee: PROCESSOR,
        sender: None,
        header: tegata_core::wire::canonical::Bytes(vec![1; 32]),
        ciphertext: tegata_core::wire::canonical::Bytes(vec![2; 32]),
        extensions: Default::default(),
    };
    let (id, at) = (wallet.id().expect("joined"), world.now);
    let register = RegisterCard { wallet: id, card, at, extensions: Default::default() };
    let _: CreditAnswer = world.ask(&mut wallet, register).expect("answered");
    says.say::<OpenAccount>(world, open(2));

    let (session, key) = (Hash(world.entropy()), SecretKey::from_seed(Algorithm::Ed25519, &world.entropy()));
    let (machine, at, request) = (terminal.id().expect("joined"), world.now, RequestNumber([5; 16]));
    let offer = CreditOffer {
        key: key.public(),
        request,
        provider: world.provider.info().provider,
        option: PaymentOption::Once,
        at,
        extensions: Default::default(),
    };
    let offer = by(&key, offer, &CreditOffer::context(&session));
    let charge = charge(&terminal, machine, &session, world);
    let hash = CreditOffer::hash(&offer, &session);
    let named = Charge::named(&session, machine, charge.payload());
    let agreement =
        Agreement { machine, charge: named, transaction: 1, amount: usd(500), extensions: Default::default() };
    let agreement = by(&key, agreement, &Agreement::context(&hash));
    let paid =
        PaymentRequest { wallet: id, offer: offer.clone(), session, agreement, at, extensions: Default::default() };
    let asks = AuthorizationRequest { machine, merchant, offer, charge, session, at, extensions: Default::default() };
    let _: CreditAnswer = world.ask(&mut terminal, asks).expect("answered");
    let told: CreditAnswer = world.ask(&mut wallet, paid.clone()).expect("answered");
    assert_eq!(told.state, CreditState::Pending);
    let (amount, option) = (usd(500), PaymentOption::Once);
    let clearing = ClearingRequest {
        machine,
        merchant,
        offer: hash,
        request,
        charge: named,
        transaction: 1,
        amount,
        option,
        at,
        extensions: Default::default(),
    };
    (says, Sale { wallet, terminal, paid, clearing })
}

fn charge(terminal: &Person, machine: DeviceId, session: &Hash, world: &World) -> Signed<Charge> {
    let (at, expires) = (world.now, world.now.after(600));
    let body = Charge { transaction: 1, amount: usd(500), at, expires, items: None, extensions: Default::default() };
    let unsigned = Unsigned::new(body, Algorithm::Ed25519);
    let tbs = unsigned.tbs(&Charge::context(session, machine));
    unsigned.sign(terminal.ring.sign(&terminal.key().expect("joined"), &tbs).expect("signs"))
}

fn approved(amount: Amount) -> impl FnOnce(&mut Outcome) {
    move |outcome| (outcome.state, outcome.amount) = (OutcomeState::Approved, Some(amount))
}

fn stands(world: &mut World, sale: &mut Sale) -> (CreditState, Option<CreditRefusal>) {
    let told: CreditAnswer = world.ask(&mut sale.wallet, sale.paid.clone()).expect("answered");
    (told.state, told.why)
}

#[test]
fn an_answer_to_another_sort_of_request_ends_nothing() {
    let mut world = World::new();
    let (says, mut sale) = asked(&mut world);
    for odd in [OutcomeState::Voided, OutcomeState::Opened, OutcomeState::Refunded, OutcomeState::Unknown] {
        says.say::<Authorize>(&mut world, |outcome| outcome.state = odd);
        assert_eq!(stands(&mut world, &mut sale), (CreditState::Pending, None), "{odd:?}");
    }
    says.say::<Authorize>(&mut world, approved(usd(500)));
    assert_eq!(stands(&mut world, &mut sale), (CreditState::Authorized, None));
    let told: CreditAnswer = world.ask(&mut sale.terminal, sale.clearing.clone()).expect("answered");
    assert_eq!(told.state, CreditState::Pending);
    for odd in [OutcomeState::Approved, OutcomeState::Voided, OutcomeState::Cleared, OutcomeState::Unknown] {
        says.say::<Clear>(&mut world, |outcome| outcome.state = odd);
        assert_eq!(stands(&mut world, &mut sale), (CreditState::Pending, None), "{odd:?}");
    }
}

#[test]
fn a_clearing_that_the_bank_declines_lets_the_authorization_go() {
    let mut world = World::new();
    let (says, mut sale) = asked(&mut world);
    says.say::<Authorize>(&mut world, approved(usd(500)));
    let _: CreditAnswer = world.ask(&mut sale.terminal, sale.clearing.clone()).expect("answered");
    says.say::<Clear>(&mut world, |outcome| outcome.state = OutcomeState::Declined);
    assert_eq!(stands(&mut world, &mut sale), (CreditState::Refused, Some(CreditRefusal::Declined)));
    assert!(says.asks::<VoidAuthorization>(&mut world), "nothing stays held for it");
    says.say::<VoidAuthorization>(&mut world, |outcome| outcome.state = OutcomeState::Voided);
    assert!(!says.asks::<VoidAuthorization>(&mut world));
    world.balanced();
}

#[test]
fn another_amount_than_was_asked_for_is_let_go() {
    let mut world = World::new();
    let (says, mut sale) = asked(&mut world);
    says.say::<Authorize>(&mut world, approved(usd(499)));
    assert_eq!(stands(&mut world, &mut sale), (CreditState::Refused, Some(CreditRefusal::Declined)));
    assert!(says.asks::<VoidAuthorization>(&mut world));
}

/// Whether a request was carried out before, a refusal of its asker does not say: the bank may have captured it (R26).
#[test]
fn a_provider_that_is_not_admitted_any_more_concludes_nothing() {
    let mut world = World::new();
    let (says, mut sale) = asked(&mut world);
    let barred = [ProcessorRefusal::Revoked, ProcessorRefusal::NotAllowed];
    for why in barred {
        says.refuse::<Authorize>(&mut world, why);
        assert_eq!(stands(&mut world, &mut sale), (CreditState::Pending, None), "{why:?}");
    }
    says.say::<Authorize>(&mut world, approved(usd(500)));
    let _: CreditAnswer = world.ask(&mut sale.terminal, sale.clearing.clone()).expect("answered");
    for why in barred {
        says.refuse::<Clear>(&mut world, why);
        assert_eq!(stands(&mut world, &mut sale), (CreditState::Pending, None), "{why:?}");
    }
    says.refuse::<Clear>(&mut world, ProcessorRefusal::State);
    assert_eq!(stands(&mut world, &mut sale), (CreditState::Refused, Some(CreditRefusal::NoProcessor)));
    for why in barred {
        says.refuse::<VoidAuthorization>(&mut world, why);
    }
    assert!(says.asks::<VoidAuthorization>(&mut world), "nothing stays held for it");
}

#[test]
fn a_processor_whose_key_is_revoked_is_not_believed_and_not_asked() {
    let mut world = World::new();
    let (says, mut sale) = asked(&mut world);
    let flies = says.one::<Authorize>(&mut world);
    world.provider.revoke(PROCESSOR.into(), world.now).expect("revoked");
    world.now = world.now.after(60);
    assert!(!says.asks::<Authorize>(&mut world), "nothing is asked of it");
    // What it says to what was on its way moves nothing, and is kept.
    let mut outcome = says.outcome(&world, &flies.0);
    approved(usd(500))(&mut outcome);
    says.answer(&mut world, &flies, outcome);
    assert_eq!(stands(&mut world, &mut sale), (CreditState::Pending, None));
    assert_eq!(world.open_exceptions(), ["malformed"]);
    assert!(!says.asks::<Authorize>(&mut world));
    // Nobody begins anything with it, and it does not come back by its old key.
    assert!(world.provider.processor_certificate(world.now).expect("read").is_none(), "nobody seals a card to it");
    let info = says.info();
    let (now, entropy) = (world.now, world.entropy());
    let again = world.provider.register_processor(info, "http://elsewhere".into(), now, entropy);
    assert!(matches!(again, Err(tegata_provider::ProviderError::RevokedProcessor)), "{again:?}");
}
