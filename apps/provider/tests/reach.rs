//! Letters as scripts: real wallets, real terminals, the real provider between them, which cannot read what it carries
//! (flow 21, R13, R17, R25, R26).

use crate::world;
use crate::world::house::{House, Shop, User, five, nobody, shop};
use crate::world::{Person, World};
use tegata_core::talk::reach::*;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::certificate::{Role, SealingKey};
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::{CustomerNumber, Hash, LetterNumber, PartyId, Time};
use tegata_crypto_native::{SealingSecret, seal_to};
use tegata_device::{LettersError, RequestError};
use tegata_terminal::{Terminal, TerminalError};
use tegata_wallet::WalletError;

const RECALL: &str = "The bread of Monday may hold nuts; bring it back";
const BAG: &str = "Did I leave my bag at your place?";

/// A user who has paid by credit at a shop; both have updated.
struct Town {
    world: World,
    house: House,
    user: User,
    shop: Shop,
    customer: CustomerNumber,
}

impl Town {
    fn new() -> Self {
        let mut world = World::new();
        let mut house = House::open(&mut world);
        world.order(1, 1_000, false);
        let mut user = house.user(&mut world, 31);
        let mut shop = shop(&mut world, 32);
        let customer = house.pay(&mut world, &mut user, &mut shop, five());
        let mut town = Self { world, house, user, shop, customer };
        town.shop_updates();
        town.user_updates();
        town
    }
    fn user_updates(&mut self) {
        exchange_user(&mut self.world, &mut self.user).expect("exchanged");
    }
    fn shop_updates(&mut self) {
        exchange_shop(&mut self.world, &mut self.shop).expect("exchanged");
    }
    fn merchant_writes(&mut self, to: Address, text: &str) -> Result<LetterNumber, TerminalError> {
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.shop.write(&mut wire, to, text, now)
    }
    fn recalls(&mut self, text: &str) -> LetterNumber {
        self.merchant_writes(Address::Customer(self.customer), text).expect("carried")
    }
    fn user_writes(&mut self, text: &str) -> Result<LetterNumber, WalletError> {
        let purchase = self.user.receipts().expect("read").remove(0);
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.user.write(&mut wire, &purchase, text, now)
    }
    fn mute(&mut self, muted: bool) {
        let merchant = self.world.merchant_id();
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        self.user.mute(&mut wire, merchant, muted, now).expect("told");
    }
    /// What the user has been written, as it is shown.
    fn user_reads(&mut self) -> Vec<Result<String, NotShown>> {
        let now = self.world.moment();
        self.user
            .letters(now)
            .expect("read")
            .into_iter()
            .filter(|read| read.is_theirs())
            .map(|read| read.text)
            .collect()
    }
    fn shop_reads(&mut self) -> Vec<Result<String, NotShown>> {
        let now = self.world.moment();
        let all = self.shop.letters(now).expect("read").into_iter();
        all.filter(|read| read.kept.whose() == Whose::Theirs).map(|read| read.text).collect()
    }
    /// The provider is switched off and on again: what is committed is all there is.
    fn restart(mut self) -> Self {
        let (store, keys) = self.world.provider.crash();
        let keys = keys.expect("nobody else holds them");
        self.world.provider =
            tegata_provider::Provider::open(store, keys, "Town", self.world.now, tegata_core::step::Broken::NONE)
                .expect("opened");
        self
    }
}

fn exchange_user(world: &mut World, user: &mut User) -> Result<(), WalletError> {
    world.now = world.now.after(1);
    let now = world.moment();
    let mut wire = world.wire(now, false);
    user.exchange_letters(&mut wire, now)
}

fn exchange_shop(world: &mut World, shop: &mut Shop) -> Result<(), TerminalError> {
    world.now = world.now.after(1);
    let now = world.moment();
    let mut wire = world.wire(now, false);
    shop.exchange_letters(&mut wire, now)
}

fn text(text: &str) -> Result<String, NotShown> {
    Ok(text.to_owned())
}

fn why<T: core::fmt::Debug>(answer: Result<T, TerminalError>) -> ProviderRefusal {
    match answer {
        Err(TerminalError::Letters(error)) => match *error {
            LettersError::Refused(refused) => refused.why,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Everything that the provider has stored, as one string of bytes.
fn database(world: &mut World) -> Vec<u8> {
    world.provider.snapshot().expect("a copy")
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_merchant_writes_to_a_customer_and_the_user_asks_back_and_nobody_else_can_read_it() {
    let mut town = Town::new();
    town.recalls(RECALL);
    assert!(town.user_reads().is_empty(), "not before the update");
    town.user_updates();
    assert_eq!(town.user_reads(), [text(RECALL)]);
    let now = town.world.moment();
    let read = town.user.letters(now).expect("read").remove(0);
    assert_eq!(read.shop, "counter", "as the provider has certified it");

    town.user_writes(BAG).expect("carried");
    town.shop_updates();
    assert_eq!(town.shop_reads(), [text(BAG)]);
    let now = town.world.moment();
    let asked = town.shop.letters(now).expect("read").into_iter().find(|read| read.claim.is_some()).expect("about one");
    assert_eq!(asked.customer, Some(town.customer));
    // The answer goes the way that the question came.
    let receipt = asked.kept.to.clone();
    town.merchant_writes(receipt, "It is at the counter").expect("carried");
    town.user_updates();
    assert_eq!(town.user_reads(), [text(RECALL), text("It is at the counter")]);

    let stored = database(&mut town.world);
    for secret in [RECALL, BAG, "It is at the counter"] {
        assert!(!holds(&stored, secret), "{secret}");
    }
    // What the terminal holds names neither the wallet nor its key.
    let (id, key) = (town.user.device.id().expect("joined").0, town.user.device.key().expect("joined"));
    for space in tegata_core::record::Space::ALL {
        for (_, bytes) in tegata_vault::Vault::scan(&town.shop.device.vault, *space, &[], usize::MAX).expect("read") {
            assert!(!bytes.windows(16).any(|window| window == id), "{space:?}");
            assert!(!bytes.windows(32).any(|window| window == key.as_bytes()), "{space:?}");
        }
    }
    town.world.balanced();
}

#[test]
fn two_merchants_know_one_user_by_different_numbers_and_keys_and_a_card_is_no_customer() {
    let mut town = Town::new();
    // Another merchant with a terminal of its own.
    let mut other = Person::new(
        tegata_vault::MemoryVault::default(),
        tegata_device::KeyRing::in_memory(tegata_core::wire::signed::Algorithm::Ed25519, &[50; 32]),
        &tegata_crypto_native::NativeVerifier,
    );
    town.world.join(&mut other, Role::Merchant, None, "Kiosk");
    let kiosk = PartyId(other.id().expect("joined").0);
    town.house.enrol(&mut town.world, kiosk);
    let mut device = Person::new(
        tegata_vault::MemoryVault::default(),
        tegata_device::KeyRing::in_memory(tegata_core::wire::signed::Algorithm::Ed25519, &[51; 32]),
        &tegata_crypto_native::NativeVerifier,
    );
    town.world.join(&mut device, Role::Terminal, Some(kiosk), "kiosk");
    town.world.update(&mut device);
    let mut stall = Terminal::new(device);
    let there = town.house.pay(&mut town.world, &mut town.user, &mut stall, five());
    assert_ne!(there, town.customer);
    exchange_shop(&mut town.world, &mut stall).expect("exchanged");
    town.user_updates();

    // And a card of the same wallet at the first merchant.
    let number = town.world.order(1, 5_000, true).remove(0);
    let card = town.world.install(&mut town.user.device, &number, 60);
    let _ = town.world.update(&mut town.shop.device);
    town.world.pay(&mut town.user.device, card, &mut town.shop.device, 700);
    town.shop_updates();
    let by_card = town.user.receipts().expect("read").into_iter().find(|purchase| purchase.name.offer.is_none());
    let by_card = by_card.expect("a receipt");
    let now = town.world.moment();
    let mut wire = town.world.wire(now, false);
    town.user.write(&mut wire, &by_card, BAG, now).expect("carried");
    town.shop_updates();
    assert_eq!(town.shop_reads(), [text(BAG)]);
    let now = town.world.moment();
    let asked = town.shop.letters(now).expect("read").remove(0);
    assert_eq!(asked.customer, None, "who paid by card is no customer");
    town.merchant_writes(asked.kept.to.clone(), "We keep it for you").expect("carried");
    town.user_updates();
    assert_eq!(town.user_reads(), [text("We keep it for you")]);

    // Three keys: for the customer here, for the customer there, for the card (R17).
    let ask = |town: &mut Town, shop: &mut Shop, to: Address| -> SealingKey {
        let device = shop.device.id().expect("joined");
        let answer: KeyAnswer =
            town.world.ask(&mut shop.device, KeyAsk { device, to, extensions: Default::default() }).expect("a key");
        answer.sealing
    };
    let mut first = std::mem::replace(&mut town.shop, shop(&mut town.world, 52));
    let customer = Address::Customer(town.customer);
    let here = ask(&mut town, &mut first, customer);
    let card = ask(&mut town, &mut first, Address::Receipt(by_card.name.clone()));
    let first_receipt = by_card.name;
    let elsewhere = ask(&mut town, &mut stall, Address::Customer(there));
    assert!(here != card && here != elsewhere && card != elsewhere);

    // The same card at the other merchant, whom the user asks too: that one still reaches nobody by a receipt of the first.
    let _ = town.world.update(&mut stall.device);
    let held = town.user.device.cards().expect("read")[0];
    town.world.pay(&mut town.user.device, held, &mut stall.device, 300);
    exchange_shop(&mut town.world, &mut stall).expect("exchanged");
    let mut purchases = town.user.receipts().expect("read").into_iter();
    let theirs = purchases.find(|purchase| purchase.merchant == kiosk && purchase.name.offer.is_none());
    let theirs = theirs.expect("a receipt");
    let now = town.world.moment();
    let mut wire = town.world.wire(now, false);
    town.user.write(&mut wire, &theirs, BAG, now).expect("carried");
    let there = ask(&mut town, &mut stall, Address::Receipt(theirs.name));
    assert!(![here, card, elsewhere].contains(&there), "nor can the two compare the card's keys");
    let device = stall.device.id().expect("joined");
    let foreign = KeyAsk { device, to: Address::Receipt(first_receipt), extensions: Default::default() };
    assert_eq!(refused(town.world.ask::<_, KeyAnswer>(&mut stall.device, foreign)), ProviderRefusal::Unknown);
}

/// What the simulator found: the user was never reached by the answer, because its key was refused while the receipt was unknown.
#[test]
fn who_asks_before_the_terminal_has_told_its_log_is_answered_all_the_same() {
    let mut town = Town::new();
    let number = town.world.order(1, 5_000, true).remove(0);
    let card = town.world.install(&mut town.user.device, &number, 60);
    let _ = town.world.update(&mut town.shop.device);
    for receipts in 1..=2 {
        town.world.pay(&mut town.user.device, card, &mut town.shop.device, 700);
        let mut by_card = town.user.receipts().expect("read");
        by_card.retain(|receipt| receipt.name.offer.is_none());
        assert_eq!(by_card.len(), receipts);
        let asked = by_card.remove(receipts - 1);
        let now = town.world.moment();
        let mut wire = town.world.wire(now, false);
        assert!(town.user.write(&mut wire, &asked, BAG, now).is_err(), "its terminal has not told it yet");
    }
    town.shop_updates();
    town.user_updates();
    town.shop_updates();
    assert_eq!(town.shop_reads(), [text(BAG), text(BAG)]);
    let now = town.world.moment();
    let asked = town.shop.letters(now).expect("read").remove(0);
    town.merchant_writes(asked.kept.to, "We keep it for you").expect("the user is reached");
    town.user_updates();
    assert_eq!(town.user_reads(), [text("We keep it for you")]);
}

#[test]
fn nobody_reaches_whom_it_has_nothing_to_do_with() {
    let mut town = Town::new();
    assert_eq!(why(town.merchant_writes(Address::Customer(nobody()), RECALL)), ProviderRefusal::Unknown);
    // A customer number of one merchant is nothing at another.
    let mut other = world_merchant(&mut town, 50);
    let device = other.device.id().expect("joined");
    for to in [Address::Customer(town.customer), Address::Receipt(town.user.receipts().expect("read").remove(0).name)] {
        let ask = KeyAsk { device, to: to.clone(), extensions: Default::default() };
        let answer: Result<KeyAnswer, _> = town.world.ask(&mut other.device, ask);
        assert_eq!(refused(answer), ProviderRefusal::Unknown);
        let sealed = sealed(&to, SealingKey(SealingSecret::from_seed(&[1; 32]).public().0));
        let number = LetterNumber([1; 16]);
        let carry = Carry { device, to, number, sealed, extensions: Default::default() };
        let answer: Result<tegata_core::talk::cards::Done, _> = town.world.ask(&mut other.device, carry);
        assert_eq!(refused(answer), ProviderRefusal::Unknown);
    }
    // A receipt of somebody else: neither its terminal's key nor a letter, and it is answered like one that is none.
    let mut thief = town.house.user(&mut town.world, 40);
    let device = thief.device.id().expect("joined");
    let theirs = town.user.receipts().expect("read").remove(0).name;
    let made_up = ReceiptName { charge: Hash::of(b"made up"), ..theirs.clone() };
    for name in [theirs.clone(), made_up, ReceiptName { offer: None, ..theirs.clone() }] {
        let to = Address::Receipt(name.clone());
        let ask = KeyAsk { device, to: to.clone(), extensions: Default::default() };
        assert_eq!(refused(town.world.ask::<_, KeyAnswer>(&mut thief.device, ask)), ProviderRefusal::Unknown);
        let sealed = sealed(&to, SealingKey(SealingSecret::from_seed(&[1; 32]).public().0));
        let number = LetterNumber([2; 16]);
        let carry = Carry { device, to, number, sealed, extensions: Default::default() };
        let answer: Result<tegata_core::talk::cards::Done, _> = town.world.ask(&mut thief.device, carry);
        assert_eq!(refused(answer), ProviderRefusal::Unknown);
        let at = town.world.now;
        let key = SealingKey([7; 32]);
        let body =
            Reachable { device, receipt: Some(name), sealing: key, epoch: 1, at, extensions: Default::default() };
        let answer: Result<tegata_core::talk::cards::Done, _> = town.world.ask(&mut thief.device, body);
        assert_eq!(refused(answer), ProviderRefusal::Unknown, "nobody puts a key in another's place");
    }
    town.user_updates();
    town.shop_updates();
    assert!(town.user_reads().is_empty() && town.shop_reads().is_empty());
}

/// A merchant that has nothing to do with the user.
fn world_merchant(town: &mut Town, seed: u8) -> Shop {
    let blank = |seed: u8| {
        Person::new(
            tegata_vault::MemoryVault::default(),
            tegata_device::KeyRing::in_memory(tegata_core::wire::signed::Algorithm::Ed25519, &[seed; 32]),
            &tegata_crypto_native::NativeVerifier,
        )
    };
    let mut party = blank(seed);
    town.world.join(&mut party, Role::Merchant, None, "Stranger");
    let owner = PartyId(party.id().expect("joined").0);
    let mut device = blank(seed + 1);
    town.world.join(&mut device, Role::Terminal, Some(owner), "stranger");
    town.world.update(&mut device);
    Terminal::new(device)
}

fn refused<T: core::fmt::Debug>(answer: Result<T, RequestError>) -> ProviderRefusal {
    match answer {
        Err(RequestError::Refused(refused)) => refused.why,
        other => panic!("{other:?}"),
    }
}

fn sealed(to: &Address, key: SealingKey) -> Sealed {
    seal_to([3; 32], to.addressee(), None, &key, b"nothing").expect("sealed").0
}

#[test]
fn envelopes_that_say_more_than_they_may_or_are_too_large_are_refused() {
    let mut town = Town::new();
    let (device, to) = (town.shop.device.id().expect("joined"), Address::Customer(town.customer));
    let key = SealingSecret::from_seed(&[1; 32]).public();
    let good = sealed(&to, key);
    let carry = |town: &mut Town, number: u8, sealed: Sealed| {
        let (to, number) = (to.clone(), LetterNumber([number; 16]));
        let carry = Carry { device, to, number, sealed, extensions: Default::default() };
        let answer: Result<tegata_core::talk::cards::Done, _> = town.world.ask(&mut town.shop.device, carry);
        answer
    };
    for (number, wrong) in [
        (1, Sealed { sender: Some(device), ..good.clone() }),
        (2, Sealed { profile: Profile::Channel, ..good.clone() }),
        (3, Sealed { addressee: PartyId([1; 16]), ..good.clone() }),
    ] {
        assert_eq!(refused(carry(&mut town, number, wrong)), ProviderRefusal::Malformed, "{number}");
    }
    // One that is too large is not even read, so that nothing that it says is answered.
    let large = Sealed { ciphertext: Bytes(vec![0; 1600]), ..good.clone() };
    assert!(matches!(carry(&mut town, 4, large), Err(RequestError::NotTrusted)));
    // One that fits is carried whatever is in it: the provider cannot look. The user is shown that it is nothing.
    carry(&mut town, 5, good.clone()).expect("carried");
    let other = seal_to([4; 32], to.addressee(), None, &key, b"something else").expect("sealed").0;
    assert_eq!(refused(carry(&mut town, 5, other)), ProviderRefusal::Repeated, "a number is one letter");
    town.user_updates();
    assert_eq!(town.user_reads(), [Err(NotShown::Sealed)]);
}

#[test]
fn texts_that_cannot_be_shown_are_not_even_stored() {
    let mut town = Town::new();
    let to = Address::Customer(town.customer);
    for wrong in ["", "  ", "bell\u{7}", "two\nlines", "\u{202e}desrever", &"x".repeat(301)] {
        let answer = town.merchant_writes(to.clone(), wrong);
        assert!(
            matches!(&answer, Err(TerminalError::Letters(error)) if matches!(**error, LettersError::Text)),
            "{wrong:?}: {answer:?}"
        );
        assert!(matches!(town.user_writes(wrong), Err(WalletError::Letters(_))));
    }
    assert!(town.shop.device.letters().expect("read").is_empty());
    let longest = "\u{5238}".repeat(100);
    town.recalls(&longest);
    town.user_updates();
    assert_eq!(town.user_reads(), [text(&longest)]);
}

#[test]
fn whichever_answer_is_lost_each_letter_arrives_once() {
    // A post that loses the answer of one number.
    struct Losing<'a> {
        town: &'a mut World,
        lose: Option<usize>,
        sent: usize,
    }
    impl tegata_device::Post for Losing<'_> {
        fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, tegata_device::PostError> {
            let entropy = self.town.entropy();
            let now = self.town.now;
            let answers = self.town.provider.handle(&envelopes, now, entropy);
            self.sent += 1;
            match self.lose == Some(self.sent - 1) {
                true => Err(tegata_device::PostError::Away("here".into())),
                false => Ok(answers),
            }
        }
    }
    let mut town = Town::new();
    let purchase = town.user.receipts().expect("read").remove(0);
    for (round, lose) in (0..6).map(Some).chain([None]).enumerate() {
        let (recall, bag) = (format!("{RECALL} {round}"), format!("{BAG} {round}"));
        let now = town.world.moment();
        let to = Address::Customer(town.customer);
        let mut post = Losing { town: &mut town.world, lose, sent: 0 };
        let wrote = town.shop.write(&mut post, to, &recall, now);
        assert!(wrote.is_err() || lose.is_none_or(|lose| lose >= post.sent), "{lose:?}");
        let mut post = Losing { town: &mut town.world, lose, sent: 0 };
        let _ = town.user.write(&mut post, &purchase, &bag, now);
        let mut post = Losing { town: &mut town.world, lose, sent: 0 };
        let _ = town.shop.exchange_letters(&mut post, now);
        let mut post = Losing { town: &mut town.world, lose, sent: 0 };
        let _ = town.user.exchange_letters(&mut post, now);
        for _ in 0..2 {
            town.user_updates();
            town.shop_updates();
        }
        let count =
            |all: Vec<Result<String, NotShown>>, one: &str| all.iter().filter(|read| **read == text(one)).count();
        assert_eq!((count(town.user_reads(), &recall), count(town.shop_reads(), &bag)), (1, 1), "{lose:?}");
    }
    let waits = |letters: Vec<KeptLetter>| letters.iter().any(|kept| kept.state == LetterState::Waiting);
    assert!(!waits(town.shop.device.letters().expect("read")) && !waits(town.user.device.letters().expect("read")));
}

#[test]
fn what_the_provider_has_taken_survives_it_and_a_repeat_gets_the_same_bytes() {
    let mut town = Town::new();
    let number = town.recalls(RECALL);
    let kept = KeptLetter::load(&town.shop.device, Whose::Ours, PartyId([0; 16]), number).expect("kept");
    let carry = kept.carry.expect("as sent").encode();
    let again = |town: &mut Town| {
        town.world.now = town.world.now.after(100);
        let now = town.world.moment();
        let mut wire =
            Wire { provider: &mut town.world.provider, now: now.time, entropy: now.entropy, lose_answer: false };
        town.shop.device.exchange(&mut wire, now.entropy, &carry).expect("answered")
    };
    let first = again(&mut town);
    let mut town = town.restart();
    assert_eq!(again(&mut town), first);
    town.user_updates();
    assert_eq!(again(&mut town), first, "also once it has gone down");
    town.user_updates();
    assert_eq!(town.user_reads(), [text(RECALL)]);
}

use crate::world::Wire;

#[test]
fn a_muted_merchant_is_not_heard_and_cannot_tell() {
    let mut town = Town::new();
    town.recalls("before");
    town.user_updates();
    // What waits at the provider when it is muted does not come any more, also once it is unmuted.
    town.recalls("queued");
    town.mute(true);
    town.recalls("muted");
    town.user_updates();
    assert!(town.user_reads().is_empty(), "what a muted merchant wrote is not shown");
    assert!(matches!(town.user_writes(BAG), Err(WalletError::Muted)), "no answer would come");
    town.mute(false);
    town.user_updates();
    assert_eq!(town.user_reads(), [text("before")]);
    town.recalls("after");
    town.user_updates();
    assert_eq!(town.user_reads(), [text("before"), text("after")]);

    // Also where the device has heard nothing in between.
    town.recalls("queued again");
    town.mute(true);
    town.mute(false);
    town.user_updates();
    assert_eq!(town.user_reads(), [text("before"), text("after")]);

    // The merchant sees one and the same: each letter is sent, each repeat gets the same bytes, and all count for its limit.
    let letters = town.shop.device.letters().expect("read");
    assert!(letters.iter().all(|kept| kept.state == LetterState::Sent));
    town.mute(true);
    let mut sent = letters.len();
    let end = loop {
        match town.merchant_writes(Address::Customer(town.customer), "again") {
            Ok(_) => sent += 1,
            refused => break why(refused),
        }
    };
    assert_eq!((sent, end), (20, ProviderRefusal::TooMany));
    // A day later it may write again, and what waits goes out.
    town.world.now = town.world.now.after(Time::DAY + 1);
    town.mute(false);
    town.shop_updates();
    town.user_updates();
    assert_eq!(town.user_reads().last(), Some(&text("again")));
}

#[test]
fn a_merchant_that_seals_again_cannot_tell_that_it_is_muted() {
    let mut town = Town::new();
    let mut batch = tegata_core::record::Batch::default();
    batch.remove(tegata_core::record::RecordKey::new(tegata_core::record::Space::Key, *b"reach"));
    // Both are asked to be sealed again; the merchant is muted before that is done, and the second time not any more.
    for (round, still_muted) in [(1, true), (2, false)] {
        let number = town.recalls(RECALL);
        tegata_vault::Vault::commit(&mut town.user.device.vault, &batch).expect("lost");
        town.user_updates();
        assert_eq!(town.user_reads().last(), Some(&Err(NotShown::Sealed)));
        town.mute(true);
        if !still_muted {
            town.mute(false);
        }
        let (device, to) = (town.shop.device.id().expect("joined"), Address::Customer(town.customer));
        let sealed = seal_to([round; 32], to.addressee(), None, &SealingSecret::from_seed(&[1; 32]).public(), b"x");
        let carry = Carry { device, to, number, sealed: sealed.expect("sealed").0, extensions: Default::default() };
        let answer: Result<tegata_core::talk::cards::Done, _> = town.world.ask(&mut town.shop.device, carry);
        assert!(answer.is_ok(), "{round}: answered like any other");
        town.mute(false);
        town.user_updates();
        let row = town.world.provider.store().letter(town.world.merchant_id(), tegata_store::Side::Merchant, number);
        let row = row.expect("read").expect("kept");
        assert_eq!((row.state, row.body), (tegata_store::LetterState::Dropped, None), "{round}: it is let go");
    }
    town.recalls("after");
    town.user_updates();
    assert_eq!(town.user_reads().last(), Some(&text("after")));
}

#[test]
fn a_mute_counts_at_once_on_the_device_and_is_told_until_the_provider_has_it() {
    let mut town = Town::new();
    let merchant = town.world.merchant_id();
    /// The network is away: nothing gets there.
    struct Away;
    impl tegata_device::Post for Away {
        fn post(&mut self, _: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, tegata_device::PostError> {
            Err(tegata_device::PostError::Away("nowhere".into()))
        }
    }
    let now = town.world.moment();
    assert!(town.user.mute(&mut Away, merchant, true, now).is_err());
    assert!(town.user.is_muted(merchant));
    // The provider does not know it and carries a letter, which the device lets go.
    town.recalls("not heard");
    assert_eq!(town.world.update(&mut town.user.device).commands, 1);
    assert!(town.user.device.letters().expect("read").is_empty());
    // It is told with the next exchange.
    town.user_updates();
    let wallet = town.user.device.id().expect("joined");
    assert!(matches!(town.world.provider.store().muted(wallet, merchant), Ok(Some((true, _)))));
    town.recalls("dropped");
    town.mute(false);
    town.user_updates();
    assert!(town.user_reads().is_empty(), "it was dropped, not kept back");
    // An old word brought again by a carrier changes nothing.
    let at = Time(town.world.now.0 - 50);
    let old = Mute { wallet, merchant, muted: true, epoch: 1, at, extensions: Default::default() };
    let answer: Result<tegata_core::talk::cards::Done, _> = town.world.ask(&mut town.user.device, old);
    assert_eq!(refused(answer), ProviderRefusal::Repeated);
    town.recalls(RECALL);
    town.user_updates();
    assert_eq!(town.user_reads(), [text(RECALL)]);
}

#[test]
fn a_lost_key_is_told_and_the_letter_is_sealed_again() {
    let mut town = Town::new();
    town.recalls(RECALL);
    // The wallet loses the secret that its key for this merchant was made from.
    let mut batch = tegata_core::record::Batch::default();
    batch.remove(tegata_core::record::RecordKey::new(tegata_core::record::Space::Key, *b"reach"));
    tegata_vault::Vault::commit(&mut town.user.device.vault, &batch).expect("lost");
    town.user_updates();
    assert_eq!(town.user_reads(), [Err(NotShown::Sealed)]);
    // It has said so; the terminal's next update brings it the number, and it seals the same letter to the new key.
    town.shop_updates();
    town.user_updates();
    assert_eq!(town.user_reads(), [text(RECALL)]);

    // The terminal's key, likewise.
    town.user_writes(BAG).expect("carried");
    tegata_vault::Vault::commit(&mut town.shop.device.vault, &batch).expect("lost");
    town.shop_updates();
    assert_eq!(town.shop_reads(), [Err(NotShown::Sealed)]);
    town.user_updates();
    town.shop_updates();
    assert_eq!(town.shop_reads(), [text(BAG)]);
}

#[test]
fn a_wallet_put_back_from_a_copy_gets_its_letters_again() {
    let mut town = Town::new();
    let copy = town.user.device.vault.clone();
    town.recalls(RECALL);
    town.user_updates();
    assert_eq!(town.user_reads(), [text(RECALL)]);
    town.user.device.vault = copy;
    assert!(town.user_reads().is_empty());
    town.user_updates();
    assert_eq!(town.user_reads(), [text(RECALL)]);
}

#[test]
fn a_provider_put_back_from_a_backup_is_told_keys_mutes_and_letters_again() {
    let mut town = Town::new();
    town.recalls("known to the backup");
    town.user_updates();
    let kiosk = world_merchant(&mut town, 70).device.owner().expect("joined");
    let backup = town.world.provider.snapshot().expect("a copy");
    // Another merchant was muted since.
    let now = town.world.moment();
    let mut wire = town.world.wire(now, false);
    town.user.mute(&mut wire, kiosk, true, now).expect("told");
    town.recalls(RECALL);
    town.user_writes(BAG).expect("carried");
    let store = tegata_store::Store::restore(&backup).expect("restored");
    let (_, keys) = town.world.provider.crash();
    let broken = tegata_core::step::Broken::NONE;
    let mut provider =
        tegata_provider::Provider::open(store, keys.expect("held"), "Town", town.world.now, broken).expect("opened");
    provider.restored(town.world.now).expect("a new epoch");
    town.world.provider = provider;
    for _ in 0..2 {
        town.shop_updates();
        town.user_updates();
    }
    assert_eq!(town.user_reads(), [text("known to the backup"), text(RECALL)]);
    assert_eq!(town.shop_reads(), [text(BAG)]);
    let wallet = town.user.device.id().expect("joined");
    assert!(matches!(town.world.provider.store().muted(wallet, kiosk), Ok(Some((true, _)))));
}

/// What may happen between a merchant and a user.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Write,
    Mute,
    Unmute,
    Update,
    Restart,
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 24, failure_persistence: None, ..Default::default() })]

    /// However the user mutes and unmutes: exactly the letters are heard that were neither written nor waiting while this
    /// merchant was muted, and the merchant is answered in one and the same way.
    #[test]
    fn exactly_what_was_not_muted_is_heard(turns in proptest::collection::vec(
        proptest::prop_oneof![
            3 => proptest::strategy::Just(Turn::Write),
            2 => proptest::strategy::Just(Turn::Mute),
            2 => proptest::strategy::Just(Turn::Unmute),
            2 => proptest::strategy::Just(Turn::Update),
            1 => proptest::strategy::Just(Turn::Restart),
        ],
        1..20,
    )) {
        let mut town = Town::new();
        let (mut muted, mut waiting, mut heard) = (false, Vec::new(), Vec::new());
        for (number, turn) in turns.iter().enumerate() {
            town.world.now = town.world.now.after(1);
            match turn {
                Turn::Write => {
                    let said = format!("letter {number}");
                    let written = town.recalls(&said);
                    let kept = KeptLetter::load(&town.shop.device, Whose::Ours, PartyId([0; 16]), written).expect("kept");
                    proptest::prop_assert_eq!(kept.state, LetterState::Sent);
                    if !muted {
                        waiting.push(text(&said));
                    }
                }
                Turn::Mute => {
                    town.mute(true);
                    muted = true;
                    waiting.clear();
                }
                Turn::Unmute => {
                    town.mute(false);
                    muted = false;
                }
                Turn::Update => {
                    town.user_updates();
                    heard.append(&mut waiting);
                }
                Turn::Restart => town = town.restart(),
            }
            if muted {
                proptest::prop_assert!(town.user_reads().is_empty());
            }
        }
        town.mute(false);
        town.user_updates();
        heard.append(&mut waiting);
        let order = |mut all: Vec<Result<String, NotShown>>| {
            all.sort_by_key(|one| one.clone().unwrap_or_default());
            all
        };
        proptest::prop_assert_eq!(order(town.user_reads()), order(heard));
    }
}

#[test]
fn a_letter_can_be_read_when_its_terminal_is_long_gone() {
    let mut town = Town::new();
    town.recalls(RECALL);
    town.user_updates();
    // Years later, the terminal's certificate has ended and the terminal is revoked.
    let terminal = town.shop.device.id().expect("joined");
    let now = town.world.now;
    town.world.provider.revoke(terminal.into(), now).expect("revoked");
    town.world.now = town.world.now.after(800 * Time::DAY);
    let _ = town.world.update(&mut town.user.device);
    assert_eq!(town.user_reads(), [text(RECALL)]);
    // It cannot write any more.
    assert_eq!(why(town.merchant_writes(Address::Customer(town.customer), RECALL)), ProviderRefusal::Revoked);
}

impl Town {
    /// A switch, and where both sides are called at it.
    fn with_switch(&mut self) -> Person {
        let mut switch = world::blank(70);
        let owner = self.world.merchant_id();
        self.world.join(&mut switch, Role::Switch, Some(owner), "exchange");
        self.world.update(&mut switch);
        let id = switch.id().expect("joined");
        self.called_at(true, Some((id, USERS.into()))).expect("told");
        self.called_at(false, Some((id, SHOPS.into()))).expect("told");
        switch
    }
    fn called_at(&mut self, user: bool, at: Option<(tegata_core::DeviceId, String)>) -> Result<(), LettersError> {
        self.world.now = self.world.now.after(1);
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        let device = if user { &mut self.user.device } else { &mut self.shop.device };
        device.be_called_at(&mut wire, at, now)
    }
    /// The merchant asks for a number to call its customer at.
    fn merchant_calls(&mut self) -> Result<CallNumber, ProviderRefusal> {
        self.world.now = self.world.now.after(1);
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        let to = Address::Customer(self.customer);
        asked(self.shop.device.ask_to_call(&mut wire, to, now))
    }
    /// The user asks for a number to call the merchant of its receipt at.
    fn user_calls(&mut self) -> Result<CallNumber, ProviderRefusal> {
        let purchase = self.user.receipts().expect("read").remove(0);
        self.world.now = self.world.now.after(1);
        let now = self.world.moment();
        let mut wire = self.world.wire(now, false);
        asked(self.user.device.ask_to_call(&mut wire, Address::Receipt(purchase.name), now))
    }
}

/// The user's phone, and the shop's.
const USERS: &str = "+4930100";
const SHOPS: &str = "shop-phone";

fn asked(answer: Result<CallNumber, LettersError>) -> Result<CallNumber, ProviderRefusal> {
    answer.map_err(|error| match error {
        LettersError::Refused(refused) => refused.why,
        other => panic!("{other:?}"),
    })
}

/// Which phone rings at this switch now.
fn rings(town: &mut Town, switch: &mut Person, number: &CallNumber) -> Option<String> {
    town.world.update(switch);
    StandsFor::load(switch, &number.number, town.world.now)?.phone
}

#[test]
fn either_side_calls_the_other_by_a_number_that_only_the_switch_understands() {
    let mut town = Town::new();
    assert_eq!(town.merchant_calls(), Err(ProviderRefusal::Unknown), "nobody has said where they are called");
    let mut switch = town.with_switch();
    let (to_user, to_shop) = (town.merchant_calls().expect("a number"), town.user_calls().expect("a number"));
    assert_eq!(to_user.number.len(), 16);
    assert_ne!(to_user.number, to_shop.number);
    assert_eq!((to_user.name.as_str(), to_user.switch), ("exchange", switch.id().expect("joined")));
    assert_eq!(rings(&mut town, &mut switch, &to_user).as_deref(), Some(USERS));
    assert_eq!(rings(&mut town, &mut switch, &to_shop).as_deref(), Some(SHOPS));
    // What the other side holds or was answered names no phone; and no new number is made for the same wish.
    for device in [&town.user.device, &town.shop.device] {
        let other = if device.id() == town.user.device.id() { SHOPS } else { USERS };
        for space in tegata_core::record::Space::ALL {
            for (_, bytes) in tegata_vault::Vault::scan(&device.vault, *space, &[], usize::MAX).expect("read") {
                assert!(!holds(&bytes, other), "{space:?}");
            }
        }
    }
    // It stands for nobody when its time is over.
    town.world.now = to_user.until;
    assert_eq!(rings(&mut town, &mut switch, &to_user), None);
    // Nobody who is not called any more, or to whom nobody may write.
    town.called_at(true, None).expect("told");
    assert_eq!(town.merchant_calls(), Err(ProviderRefusal::Unknown));
    town.called_at(true, Some((tegata_core::DeviceId([7; 16]), USERS.into()))).expect_err("no such switch");
    town.called_at(false, Some((switch.id().expect("joined"), "a phone".into()))).expect_err("no name of a phone");
    town.world.balanced();
}

#[test]
fn a_muted_merchant_gets_a_number_like_anybody_and_it_rings_nowhere() {
    let mut town = Town::new();
    let mut switch = town.with_switch();
    let before = town.merchant_calls().expect("a number");
    assert_eq!(rings(&mut town, &mut switch, &before).as_deref(), Some(USERS));
    town.mute(true);
    // Also the number that it had.
    assert_eq!(rings(&mut town, &mut switch, &before), None);
    let muted = town.merchant_calls().expect("a number");
    assert_eq!((muted.switch, muted.number.len()), (before.switch, before.number.len()));
    assert_eq!(rings(&mut town, &mut switch, &muted), None);
    // The user calls whom it likes.
    let to_shop = town.user_calls().expect("a number");
    assert_eq!(rings(&mut town, &mut switch, &to_shop).as_deref(), Some(SHOPS));
    town.mute(false);
    assert_eq!(rings(&mut town, &mut switch, &muted), None, "what was muted stays so");
    let after = town.merchant_calls().expect("a number");
    assert_eq!(rings(&mut town, &mut switch, &after).as_deref(), Some(USERS));
    // Twenty a day, muted or not.
    let given = (0..30).take_while(|_| town.merchant_calls().is_ok()).count();
    assert_eq!((given, town.merchant_calls()), (17, Err(ProviderRefusal::TooMany)));
}

#[test]
fn a_number_rings_nowhere_once_whoever_it_stands_for_is_called_elsewhere() {
    let mut town = Town::new();
    let mut switch = town.with_switch();
    let id = switch.id().expect("joined");
    let (to_user, to_shop) = (town.merchant_calls().expect("a number"), town.user_calls().expect("a number"));
    assert_eq!(rings(&mut town, &mut switch, &to_user).as_deref(), Some(USERS));
    // Said once more, nothing changes.
    town.called_at(true, Some((id, USERS.into()))).expect("told");
    assert_eq!(rings(&mut town, &mut switch, &to_user).as_deref(), Some(USERS));
    town.called_at(true, Some((id, "+4930200".into()))).expect("told");
    town.called_at(false, None).expect("told");
    assert_eq!(rings(&mut town, &mut switch, &to_user), None);
    assert_eq!(rings(&mut town, &mut switch, &to_shop), None);
    let after = town.merchant_calls().expect("a number");
    assert_eq!(rings(&mut town, &mut switch, &after).as_deref(), Some("+4930200"));
    assert_eq!(town.user_calls(), Err(ProviderRefusal::Unknown));
}

#[test]
fn where_somebody_is_called_is_told_again_to_a_provider_put_back_from_a_backup_and_an_old_word_does_not_count() {
    let mut town = Town::new();
    let mut switch = town.with_switch();
    let id = switch.id().expect("joined");
    town.called_at(true, None).expect("told");
    let backup = town.world.provider.snapshot().expect("a copy");
    town.called_at(true, Some((id, USERS.into()))).expect("told");
    let old = town.user.device.called_at().expect("read").expect("said").encode();
    let store = tegata_store::Store::restore(&backup).expect("restored");
    let (_, keys) = town.world.provider.crash();
    let broken = tegata_core::step::Broken::NONE;
    let mut provider =
        tegata_provider::Provider::open(store, keys.expect("held"), "Town", town.world.now, broken).expect("opened");
    provider.restored(town.world.now).expect("a new epoch");
    town.world.provider = provider;
    assert_eq!(town.merchant_calls(), Err(ProviderRefusal::Unknown), "the backup does not know it");
    for _ in 0..2 {
        town.shop_updates();
        town.user_updates();
    }
    let number = town.merchant_calls().expect("a number");
    assert_eq!(rings(&mut town, &mut switch, &number).as_deref(), Some(USERS));
    // Somebody carries what was said before once more.
    town.called_at(true, None).expect("told");
    let now = town.world.moment();
    let mut wire = Wire { provider: &mut town.world.provider, now: now.time, entropy: now.entropy, lose_answer: false };
    town.user.device.exchange(&mut wire, now.entropy, &old).expect("answered");
    assert_eq!(town.merchant_calls(), Err(ProviderRefusal::Unknown));
}
