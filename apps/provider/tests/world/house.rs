//! A clearing house that says yes to everything, and a counter at which real wallets pay by credit: what scripts need that are
//! about what comes after a payment.

use super::{Person, World, usd};
use std::collections::BTreeMap;
use tegata_core::step::Event;
use tegata_core::talk::credit::*;
use tegata_core::talk::pay::TerminalNotice;
use tegata_core::talk::update::kind_of;
use tegata_core::wire::canonical::{Bytes, Message, Wire as _};
use tegata_core::wire::certificate::SealingKey;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{AccountId, Amount, ClearingNumber, CustomerNumber, Hash, PartyId, RequestNumber};
use tegata_crypto_native::SecretKey;
use tegata_device::WalletTap;
use tegata_provider::Answered;
use tegata_terminal::Terminal;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

const HOUSE: PartyId = PartyId([0x9c; 16]);

/// A wallet and a terminal as people hold them.
pub type User = Wallet<MemoryVault>;
pub type Shop = Terminal<MemoryVault>;

/// What it remembers: what each request was about.
pub struct House {
    key: SecretKey,
    authorized: BTreeMap<RequestNumber, Authorize>,
    opened: u8,
}

fn by<T: Message>(key: &SecretKey, body: T, context: &[u8]) -> Signed<T> {
    let unsigned = Unsigned::new(body, Algorithm::Ed25519);
    let signature = key.sign(&unsigned.tbs(context));
    unsigned.sign(signature)
}

impl House {
    /// Opens it; the provider clears with it, and takes credit for the world's merchant.
    pub fn open(world: &mut World) -> Self {
        let key = SecretKey::from_seed(Algorithm::Ed25519, &[0x9c; 32]);
        let info = ProcessorInfo {
            processor: HOUSE,
            name: "House of Yes".into(),
            key: key.public(),
            sealing: SealingKey([9; 32]),
            extensions: Default::default(),
        };
        let (now, entropy) = (world.now, world.entropy());
        world.provider.register_processor(info, "http://nowhere".into(), now, entropy).expect("registered");
        let mut house = Self { key, authorized: BTreeMap::new(), opened: 0 };
        house.enrol(world, world.merchant_id());
        house
    }
    pub fn enrol(&mut self, world: &mut World, merchant: PartyId) {
        let details = MerchantDetails {
            code: "SHOP".into(),
            category: 5814,
            name: "SHOP".into(),
            extensions: Default::default(),
        };
        let (now, entropy) = (world.now, world.entropy());
        world.provider.enrol(merchant, details, now, entropy).expect("enrolled");
        self.say_yes(world);
    }
    /// Answers whatever is due.
    pub fn say_yes(&mut self, world: &mut World) {
        world.now = world.now.after(2);
        let (now, entropy) = (world.now, world.entropy());
        let due = world.provider.to_processor(now, entropy).expect("due");
        let answers: Vec<_> = due
            .iter()
            .map(|asked| Answered { number: asked.number, answer: self.answer(world, &asked.body) })
            .collect();
        let entropy = world.entropy();
        world.provider.from_processor(&answers, now, entropy).expect("heard");
    }
    fn answer(&mut self, world: &World, body: &[u8]) -> Vec<u8> {
        let outcome = |number| Outcome {
            processor: HOUSE,
            number,
            at: world.now,
            state: OutcomeState::Opened,
            about: None,
            account: None,
            amount: None,
            reason: None,
            answer: None,
            extensions: Default::default(),
        };
        match kind_of(body) {
            Ok(OpenAccount::KIND) => {
                let request = Signed::<OpenAccount>::decode(body).expect("a request");
                self.opened += 1;
                let account = Some(AccountId([self.opened; 16]));
                let body = Outcome { account, ..outcome(request.claimed().number) };
                by(&self.key, body, &request.hash(&[]).to_bytes()).encode()
            }
            Ok(Authorize::KIND) => {
                let request = Signed::<Authorize>::decode(body).expect("a request");
                let said = request.claimed().clone();
                let amount = Some(said.amount);
                let body = Outcome { state: OutcomeState::Approved, amount, ..outcome(said.number) };
                self.authorized.insert(said.number, said);
                by(&self.key, body, &request.hash(&[]).to_bytes()).encode()
            }
            Ok(Clear::KIND) => {
                let request = Signed::<Clear>::decode(body).expect("a request");
                let (said, asked) = (request.claimed(), &self.authorized[&request.claimed().authorization]);
                let clearing = ClearingNumber(said.number.0);
                let told = |audience| {
                    let information = ClearingInformation {
                        audience,
                        clearing,
                        amount: said.amount,
                        transaction: asked.transaction,
                        account: None,
                        option: None,
                        name: None,
                        reference: None,
                        processor: HOUSE,
                        at: world.now,
                        extensions: Default::default(),
                    };
                    by(&self.key, information, &[])
                };
                let body = ClearingCompletion {
                    clearing,
                    user: asked.user,
                    number: said.number,
                    amount: said.amount,
                    option: asked.option,
                    merchant: asked.merchant,
                    transaction: asked.transaction,
                    for_provider: told(Audience::Provider),
                    for_merchant: told(Audience::Merchant),
                    for_user: told(Audience::User),
                    processor: HOUSE,
                    at: world.now,
                    extensions: Default::default(),
                };
                by(&self.key, body, &request.hash(&[]).to_bytes()).encode()
            }
            other => panic!("{other:?}"),
        }
    }
    /// A user with a bank card.
    pub fn user(&mut self, world: &mut World, seed: u8) -> User {
        let mut wallet = world.wallet(seed);
        self.bank_card(world, &mut wallet);
        Wallet::new(wallet, Algorithm::Ed25519)
    }
    fn bank_card(&mut self, world: &mut World, wallet: &mut Person) {
        let card = Sealed {
            profile: Profile::Hpke,
            addressee: HOUSE,
            sender: None,
            header: Bytes(vec![1; 32]),
            ciphertext: Bytes(vec![2; 32]),
            extensions: Default::default(),
        };
        let (id, at) = (wallet.id().expect("joined"), world.now);
        let register = RegisterCard { wallet: id, card, at, extensions: Default::default() };
        let _: CreditAnswer = world.ask(wallet, register).expect("answered");
        self.say_yes(world);
    }
    /// Pays by credit, to the end on both sides. The customer, as the merchant knows it.
    pub fn pay(&mut self, world: &mut World, user: &mut User, shop: &mut Shop, amount: Amount) -> CustomerNumber {
        let (transaction, request) = counter(world, user, shop, amount);
        for _ in 0..8 {
            let now = world.moment();
            let mut wire = world.wire(now, false);
            let merchants = shop.credit(&mut wire, transaction, now).expect("asks");
            let now = world.moment();
            let mut wire = world.wire(now, false);
            let _ = user.credit(&mut wire, request, now).expect("asks");
            if let ClaimNotice::Paid { customer, .. } = merchants {
                return customer;
            }
            self.say_yes(world);
        }
        panic!("not cleared")
    }
}

/// At the counter: offer, price, consent. The number of the charge and of the user's request.
fn counter(world: &mut World, user: &mut User, shop: &mut Shop, amount: Amount) -> (u64, RequestNumber) {
    let now = world.moment();
    let payer = user.credit_payer(PaymentOption::Once, now).expect("a payer");
    let sale = shop.sale(amount, Some("bread".into())).expect("a sale");
    let mut till = shop.tap(sale, world.moment()).expect("waits");
    let (mut tap, hello) = WalletTap::touch(CreditPay::new(payer), world.entropy()).expect("touches");
    let (mut frames, mut charged, mut ready) = (vec![hello], None, None);
    while let Some(frame) = frames.pop() {
        let answer = shop.receive(&mut till, &frame, world.moment()).expect("answers");
        for notice in answer.notices {
            if let TerminalNotice::CreditAsked { transaction } = notice {
                charged = Some(transaction);
            }
        }
        for frame in answer.frames {
            let now = world.moment();
            let mut step = tap.receive(&frame, now, &mut user.device).expect("reads");
            if step.notices.iter().any(|notice| matches!(notice, CreditNotice::Consent { .. })) {
                step = tap.event(Event::Agreed, now, &mut user.device).expect("decides");
            }
            for notice in step.notices {
                if let CreditNotice::Ready(request) = notice {
                    ready = Some(request);
                }
            }
            frames.extend(step.frames);
        }
    }
    (charged.expect("a charge"), ready.expect("agreed"))
}

/// A terminal of the world's merchant, equipped.
pub fn shop(world: &mut World, seed: u8) -> Shop {
    Terminal::new(world.terminal(seed))
}

/// A small sum.
pub fn five() -> Amount {
    usd(500)
}

/// A number that nobody has.
pub fn nobody() -> CustomerNumber {
    let mut number = [0; 16];
    number.copy_from_slice(&Hash::of(b"nobody").0[..16]);
    CustomerNumber(number)
}
