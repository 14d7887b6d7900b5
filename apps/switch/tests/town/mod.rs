//! A telephone town: a provider whose network is a call, an issuer with a tariff, an operator's switch, and wallets that hold a
//! telephone card each.
#![allow(dead_code)] // the soak takes its own part of it

use std::sync::{Arc, Mutex};
use tegata_core::card::{CardKind, Terms};
use tegata_core::charging::Rate;
use tegata_core::step::Broken;
use tegata_core::talk::call::Caller;
use tegata_core::talk::pay::load_purse;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, PartyId, Time, Unit};
use tegata_crypto_native::{NativeVerifier, entropy};
use tegata_device::{Device, KeyRing, Now, Post, PostError, join, take_up_all};
use tegata_issuer::Issuer;
use tegata_provider::{Keys, Provider};
use tegata_store::Store;
use tegata_switch::Switch;
use tegata_vault::{MemoryVault, Vault};
use tegata_wallet::Wallet;

/// The time of the machine.
pub fn now() -> Now {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Now { time: Time(since.map_or(0, |since| since.as_secs())), entropy: entropy::fresh() }
}

/// The provider, as far as its network is a call.
#[derive(Clone)]
pub struct Line(pub Arc<Mutex<Provider>>, fn() -> Now);

impl Post for Line {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        let now = (self.1)();
        Ok(self.0.lock().expect("one thread").handle(&envelopes, now.time, now.entropy))
    }
}

impl Line {
    /// A device that has joined, its keys made of this seed.
    fn joined<V: Vault>(&mut self, vault: V, seed: &[u8; 32], role: Role, owner: Option<PartyId>) -> Device<V> {
        let ring = KeyRing::in_memory(Algorithm::Ed25519, seed);
        let mut device = Device::new(vault, ring, &NativeVerifier);
        let now = (self.1)();
        let (token, info) = {
            let mut provider = self.0.lock().expect("one thread");
            let token = provider.invite(role, owner, "part", now.time, entropy::fresh()).expect("a token");
            (token, provider.info().clone())
        };
        join(&mut device, self, &info, &token, role, "part", now).expect("joined");
        device
    }
}

/// So much for each unit of so many milliseconds to numbers that begin so.
pub fn rate(prefix: &str, price: u64, length: u64) -> Rate {
    Rate {
        prefix: prefix.into(),
        when: None,
        setup: 0,
        price,
        length,
        minimum: 1,
        setup_kept: None,
        extensions: Default::default(),
    }
}

/// A wallet and its card.
pub struct Held {
    pub wallet: Wallet<MemoryVault>,
    pub card: CardId,
    /// What its keys are made of.
    pub seed: [u8; 32],
}

impl Held {
    /// As somebody who calls this number.
    pub fn caller(&self, called: &str, limit: Option<u64>) -> Caller {
        Caller { payer: self.wallet.payer(self.card).expect("a card"), called: called.into(), limit }
    }
    /// What is on the card.
    pub fn left(&self) -> u64 {
        load_purse(&self.wallet.device, self.card).expect("a card").remaining
    }
    /// Takes back what is its own, and hears what the provider knows.
    pub fn update(&mut self, line: &mut Line, now: Now) {
        take_up_all(&mut self.wallet.device, self.card, now).expect("taken up");
        for _ in 0..2 {
            self.wallet.update(line, now).expect("updated");
        }
    }
}

/// The town.
pub struct Parts<V> {
    pub line: Line,
    /// It belongs to a merchant, and knows the tariff.
    pub switch: Switch<V>,
    pub wallets: Vec<Held>,
}

/// So many wallets whose cards hold `face` each, and a switch over this vault.
pub fn telephone<V: Vault>(vault: V, rates: Vec<Rate>, face: u64, wallets: u64, clock: fn() -> Now) -> Parts<V> {
    let at = clock().time;
    let keys = Keys::new([9; 32], at);
    let provider = Provider::open(Store::memory().expect("memory"), keys, "Town", at, Broken::NONE);
    let mut line = Line(Arc::new(Mutex::new(provider.expect("a provider"))), clock);
    let mut issuer = Issuer::new(line.joined(MemoryVault::new(), &entropy::fresh(), Role::Issuer, None));
    let merchant = line.joined(MemoryVault::new(), &entropy::fresh(), Role::Merchant, None);
    let owner = merchant.certificate().expect("joined").claimed().subject.party();
    let mut switch = Switch::new(line.joined(vault, &entropy::fresh(), Role::Switch, Some(owner)));
    issuer.set_tariff(&mut line, (Unit::USD, 0), rates, clock()).expect("set");
    let terms = Terms {
        issuer: issuer.party().expect("joined"),
        kind: CardKind::Telephone,
        unit: Unit::USD,
        name: "Phone card".into(),
        max_payment: face,
        offline_limit: face,
        due_after: 30 * Time::DAY,
        list_age: 7 * Time::DAY,
        record_age: 7 * Time::DAY,
        max_balance: face,
        handovers: 0,
        refundable: true,
        max_untouched: 0,
        register_within: None,
        program: None,
        ticket: None,
        extensions: Default::default(),
    };
    let amount = Amount::new(Unit::USD, face).expect("in range");
    let until = at.after(1_000 * Time::DAY);
    let batch = issuer.order(&mut line, terms, amount, (wallets, until), clock()).expect("ordered");
    issuer.activate(&mut line, batch, (1, wallets), clock()).expect("activated");
    let numbers = issuer.print(batch).expect("printed");
    let held = numbers.into_iter().map(|printed| {
        let seed = entropy::fresh();
        let device = line.joined(MemoryVault::new(), &seed, Role::Wallet, None);
        let mut wallet = Wallet::new(device, Algorithm::Ed25519);
        let card = wallet.install(&mut line, &printed.number.to_string(), None, clock()).expect("installed");
        Held { wallet, card, seed }
    });
    let wallets = held.collect();
    switch.update(&mut line, clock()).expect("updated");
    Parts { line, switch, wallets }
}

/// What the operator is owed; the auditor agrees with the provider.
pub fn audited(line: &Line) -> i128 {
    let provider = line.0.lock().expect("one thread");
    let audited = tegata_audit::audit(provider.store().connection(), &tegata_audit::Options::default());
    assert!(audited.expect("audited").difference.is_none());
    let book = provider.books().expect("books")[0].2;
    book.sum(tegata_ledger::Side::Payable)
}
