//! A small town built by the real parts; only the network is a call. Its database is what the auditor is shown.
#![allow(clippy::unwrap_used)] // only tests run this

use tegata_audit::{Audit, Options, audit};
use tegata_core::card::{CardKind, Terms};
use tegata_core::step::{Broken, Event};
use tegata_core::talk::pay::{TerminalNotice, WalletNotice};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, Hash, PartyId, Time, Unit};
use tegata_crypto_native::NativeVerifier;
use tegata_device::{Device, KeyRing, Now, Post, PostError, WalletTap, join, take_up_all};
use tegata_issuer::Issuer;
use tegata_provider::{Keys, Provider};
use tegata_store::Store;
use tegata_terminal::Terminal;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

pub const START: Time = Time(1_000_000_000);
/// Face of every number.
pub const FACE: u64 = 10_000;

/// The network: a call.
pub struct Wire<'a> {
    provider: &'a mut Provider,
    now: Now,
}

impl Post for Wire<'_> {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        self.now.entropy = Hash::of(&self.now.entropy).0;
        Ok(self.provider.handle(&envelopes, self.now.time, self.now.entropy))
    }
}

pub struct Town {
    pub provider: Provider,
    pub now: Time,
    drawn: u64,
    pub issuer: Issuer<MemoryVault>,
    pub merchant: PartyId,
    /// Numbers that are activated and not used.
    pub numbers: Vec<String>,
}

fn device(seed: u16) -> Device<MemoryVault> {
    let seed = Hash::of(&seed.to_be_bytes()).0;
    Device::new(MemoryVault::new(), KeyRing::in_memory(Algorithm::Ed25519, &seed), &NativeVerifier)
}

impl Town {
    /// An issuer that has sold all but two of `count` numbers, and a merchant.
    pub fn new(broken: Broken, count: u64) -> Self {
        let store = Store::memory().unwrap();
        let provider = Provider::open(store, Keys::new([9; 32], START), "Town", START, broken).unwrap();
        let issuer = Issuer::new(device(1));
        let mut town = Self { provider, now: START, drawn: 0, issuer, merchant: PartyId([0; 16]), numbers: Vec::new() };
        let mut issuer = device(1);
        town.join(&mut issuer, Role::Issuer, None);
        town.issuer = Issuer::new(issuer);
        let mut merchant = device(2);
        town.join(&mut merchant, Role::Merchant, None);
        town.merchant = PartyId(merchant.id().unwrap().0);
        let (terms, until) = (town.terms(), START.after(1000 * Time::DAY));
        let face = Amount::new(Unit::USD, FACE).unwrap();
        let (now, again) = (town.moment(), town.moment());
        let mut wire = Wire { provider: &mut town.provider, now };
        let batch = town.issuer.order(&mut wire, terms, face, (count, until), now).unwrap();
        town.issuer.activate(&mut wire, batch, (1, count - 2), again).unwrap();
        let printed = town.issuer.print(batch).unwrap();
        town.numbers = printed.iter().take(count as usize - 2).rev().map(|one| one.number.to_string()).collect();
        town
    }
    fn terms(&self) -> Terms {
        Terms {
            issuer: self.issuer.party().unwrap(),
            kind: CardKind::Payment,
            unit: Unit::USD,
            name: "Town card".into(),
            max_payment: 50_000,
            offline_limit: 20_000,
            due_after: 30 * Time::DAY,
            list_age: 7 * Time::DAY,
            record_age: 7 * Time::DAY,
            max_balance: 100_000,
            handovers: 0,
            refundable: true,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: None,
            extensions: Default::default(),
        }
    }
    pub fn moment(&mut self) -> Now {
        self.drawn += 1;
        Now { time: self.now, entropy: Hash::of(&self.drawn.to_be_bytes()).0 }
    }
    fn join(&mut self, device: &mut Device<MemoryVault>, role: Role, owner: Option<PartyId>) {
        let now = self.moment();
        let token = self.provider.invite(role, owner, "somebody", self.now, now.entropy).unwrap();
        let info = self.provider.info().clone();
        let mut wire = Wire { provider: &mut self.provider, now };
        join(device, &mut wire, &info, &token, role, "somebody", now).unwrap();
    }
    pub fn wallet(&mut self, seed: u8) -> (Wallet<MemoryVault>, CardId) {
        self.wallet_of(seed.into())
    }
    pub fn wallet_of(&mut self, seed: u16) -> (Wallet<MemoryVault>, CardId) {
        let mut device = device(seed);
        self.join(&mut device, Role::Wallet, None);
        let mut wallet = Wallet::new(device, if seed.is_multiple_of(2) { Algorithm::Ed25519 } else { Algorithm::P256 });
        let (number, now) = (self.numbers.pop().unwrap(), self.moment());
        let mut wire = Wire { provider: &mut self.provider, now };
        let card = wallet.install(&mut wire, &number, None, now).unwrap();
        (wallet, card)
    }
    pub fn load(&mut self, wallet: &mut Wallet<MemoryVault>, card: CardId) {
        let (number, now) = (self.numbers.pop().unwrap(), self.moment());
        let mut wire = Wire { provider: &mut self.provider, now };
        wallet.load(&mut wire, card, &number, None, now).unwrap();
    }
    pub fn terminal(&mut self, seed: u8) -> Terminal<MemoryVault> {
        let mut device = device(seed.into());
        self.join(&mut device, Role::Terminal, Some(self.merchant));
        let mut terminal = Terminal::new(device);
        self.update_terminal(&mut terminal);
        terminal
    }
    pub fn update(&mut self, wallet: &mut Wallet<MemoryVault>) {
        let now = self.moment();
        wallet.update(&mut Wire { provider: &mut self.provider, now }, now).unwrap();
    }
    pub fn update_terminal(&mut self, terminal: &mut Terminal<MemoryVault>) {
        let now = self.moment();
        terminal.update(&mut Wire { provider: &mut self.provider, now }, now).unwrap();
    }
    /// A tap whose link is cut after so many frames; gives the transaction, if it was paid.
    pub fn tap(
        &mut self,
        (wallet, card): (&mut Wallet<MemoryVault>, CardId),
        terminal: &mut Terminal<MemoryVault>,
        minor: u64,
        frames: u32,
    ) -> Option<u64> {
        let now = self.moment();
        let sale = terminal.sale(Amount::new(Unit::USD, minor).unwrap(), None).unwrap();
        let (mut left, first) = WalletTap::start(wallet.payer(card).unwrap(), now.entropy).unwrap();
        let mut right = terminal.tap(sale, now).unwrap();
        let (mut queue, mut paid) = (vec![(true, first)], None);
        for _ in 0..frames {
            let Some((to_terminal, frame)) = queue.pop() else { break };
            let now = self.moment();
            if to_terminal {
                let step = terminal.receive(&mut right, &frame, now).unwrap();
                for notice in step.notices {
                    if let TerminalNotice::Paid { transaction, .. } = notice {
                        paid = Some(transaction);
                    }
                }
                queue.extend(step.frames.into_iter().map(|frame| (false, frame)));
            } else {
                let mut step = left.receive(&frame, now, &mut wallet.device).unwrap();
                if step.notices.iter().any(|notice| matches!(notice, WalletNotice::Consent { .. })) {
                    step = left.event(Event::Agreed, now, &mut wallet.device).unwrap();
                }
                queue.extend(step.frames.into_iter().map(|frame| (true, frame)));
            }
        }
        left.event(Event::Lost, now, &mut wallet.device).unwrap();
        right.event(Event::Lost, now, &mut terminal.device).unwrap();
        take_up_all(&mut wallet.device, card, now).unwrap();
        paid
    }
    pub fn pay(
        &mut self,
        holder: (&mut Wallet<MemoryVault>, CardId),
        terminal: &mut Terminal<MemoryVault>,
        minor: u64,
    ) -> u64 {
        self.tap(holder, terminal, minor, 99).expect("paid")
    }
    /// The same wallet once more: a copied vault.
    pub fn copy(&self, wallet: &Wallet<MemoryVault>, seed: u8) -> Wallet<MemoryVault> {
        let mut device = device(seed.into());
        device.vault = wallet.device.vault.clone();
        device.ring.reload_in_memory(&wallet.device.vault).unwrap();
        Wallet::new(device, wallet.algorithm)
    }
    pub fn audit(&self) -> Audit {
        audit(self.provider.store().connection(), &Options::default()).unwrap()
    }
}

/// A town in which everything ordinary has happened: bought, loaded, paid, voided, closed, settled; one check is with
/// its wallet only, one with its terminal only.
pub fn ordinary() -> Town {
    let mut town = Town::new(Broken::NONE, 10);
    let (mut one, mut two) = (town.terminal(20), town.terminal(21));
    let (mut anna, card) = town.wallet(10);
    town.load(&mut anna, card);
    town.pay((&mut anna, card), &mut one, 2_500);
    town.pay((&mut anna, card), &mut two, 1_500);
    let (mut ben, bens) = town.wallet(11);
    let undone = town.pay((&mut ben, bens), &mut one, 3_000);
    town.pay((&mut ben, bens), &mut one, 4_000);
    let (mut cleo, cleos) = town.wallet(12);
    assert_eq!(town.tap((&mut cleo, cleos), &mut two, 3_000, 4), None, "signed and lost");
    town.update(&mut anna);
    town.update(&mut cleo);
    town.update_terminal(&mut one);
    town.update_terminal(&mut two);
    let now = town.moment();
    one.void(undone, now).unwrap();
    town.now = town.now.after(3600);
    town.update_terminal(&mut one);
    town.update(&mut ben);
    town.update(&mut cleo);
    town.provider.settle(town.now).unwrap();
    town.now = town.now.after(Time::DAY);
    town.pay((&mut anna, card), &mut one, 1_000);
    town.update_terminal(&mut one);
    town.pay((&mut ben, bens), &mut two, 700);
    town.update(&mut ben);
    town
}
