//! A small world for scripts: the real provider, real devices, real conversations; only the network is a call.

pub mod house;

use tegata_core::card::{CardKind, Terms};
use tegata_core::step::{Broken, Event};
use tegata_core::talk::cards::{
    Activate, CardNotice, CardRequest, Done, InstallRequest, LoadRequest, NumberKey, Order, Wanted,
};
use tegata_core::talk::pay::{EndNotice, EndOfClaim, Payer, Sale, TerminalNotice, WalletNotice};
use tegata_core::talk::update::load_terms;
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, Hash, PartyId, Time, Unit};
use tegata_crypto_native::NativeVerifier;
use tegata_crypto_native::number::InstallationNumber;
use tegata_device::{
    Device, Joining, KeyRing, Now, Out, Post, PostError, Summary, Talking, TerminalTap, UpdateError, WalletTap,
};
use tegata_ledger::{Equation, Side};
use tegata_provider::{Keys, Provider};
use tegata_store::Store;
use tegata_vault::MemoryVault;

pub type Person = Device<MemoryVault>;

pub const START: Time = Time(1_000_000_000);
pub const NUMBER_KEY: [u8; 32] = [77; 32];

/// Provider and clock.
pub struct World {
    pub provider: Provider,
    pub now: Time,
    drawn: u64,
    pub issuer: Person,
    pub merchant: Person,
    pub batch: u64,
}

/// The network: a call, which keeps what went over it.
pub struct Wire<'a> {
    pub provider: &'a mut Provider,
    pub now: Time,
    pub entropy: [u8; 32],
    pub lose_answer: bool,
}

impl Post for Wire<'_> {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        self.entropy = Hash::of(&self.entropy).0;
        let answers = self.provider.handle(&envelopes, self.now, self.entropy);
        if self.lose_answer { Err(PostError::Away("here".into())) } else { Ok(answers) }
    }
}

pub fn usd(minor: u64) -> Amount {
    Amount::new(Unit::USD, minor).expect("in range")
}

pub fn blank(seed: u8) -> Person {
    Device::new(MemoryVault::default(), KeyRing::in_memory(Algorithm::Ed25519, &[seed; 32]), &NativeVerifier)
}

impl World {
    pub fn new() -> Self {
        Self::over(Store::memory().expect("memory"), Broken::NONE)
    }
    pub fn over(store: Store, broken: Broken) -> Self {
        let provider = Provider::open(store, Keys::new([9; 32], START), "Town", START, broken).expect("a provider");
        let (issuer, merchant) = (blank(1), blank(2));
        let mut world = Self { provider, now: START, drawn: 0, issuer, merchant, batch: 0 };
        let mut issuer = blank(1);
        world.join(&mut issuer, Role::Issuer, None, "Bank");
        world.issuer = issuer;
        let mut merchant = blank(2);
        world.join(&mut merchant, Role::Merchant, None, "Shop");
        world.merchant = merchant;
        let issuer = world.issuer_id();
        let body = NumberKey { issuer, key: Bytes(NUMBER_KEY.to_vec()), extensions: Default::default() };
        world.issuer_asks(body);
        world
    }
    pub fn entropy(&mut self) -> [u8; 32] {
        self.drawn += 1;
        Hash::of(&self.drawn.to_be_bytes()).0
    }
    /// The network at this moment; `lose_answer`: what the provider says does not arrive.
    pub fn wire(&mut self, now: Now, lose_answer: bool) -> Wire<'_> {
        Wire { provider: &mut self.provider, now: now.time, entropy: now.entropy, lose_answer }
    }
    pub fn moment(&mut self) -> Now {
        Now { time: self.now, entropy: self.entropy() }
    }
    pub fn issuer_id(&self) -> PartyId {
        PartyId(self.issuer.id().expect("joined").0)
    }
    pub fn merchant_id(&self) -> PartyId {
        PartyId(self.merchant.id().expect("joined").0)
    }
    pub fn join(&mut self, device: &mut Person, role: Role, owner: Option<PartyId>, name: &str) {
        let entropy = self.entropy();
        let token = self.provider.invite(role, owner, name, self.now, entropy).expect("a token");
        let info = self.provider.info().clone();
        let now = self.moment();
        let joining = Joining::start(device, &info, &token, role, name, now).expect("starts");
        let answer = self.provider.handle(&[joining.envelope()], self.now, now.entropy).remove(0);
        joining.finish(device, &answer, now).expect("joined");
    }
    pub fn wallet(&mut self, seed: u8) -> Person {
        let mut device = blank(seed);
        self.join(&mut device, Role::Wallet, None, "wallet");
        device
    }
    pub fn terminal(&mut self, seed: u8) -> Person {
        let mut device = blank(seed);
        let owner = self.merchant_id();
        self.join(&mut device, Role::Terminal, Some(owner), "counter");
        self.update(&mut device);
        device
    }
    pub fn ask<T: tegata_core::wire::canonical::Message, R: tegata_core::talk::update::ByProvider + Clone>(
        &mut self,
        device: &mut Person,
        body: T,
    ) -> Result<R, tegata_device::RequestError> {
        let signed = device.signed(body).expect("signs");
        let now = self.moment();
        let mut wire = self.wire(now, false);
        device.request::<T, R>(&mut wire, &signed, now).map(|reply| (*reply).clone())
    }
    pub fn issuer_asks<T: tegata_core::wire::canonical::Message>(&mut self, body: T) {
        let mut issuer = std::mem::replace(&mut self.issuer, blank(200));
        let done: Result<Done, _> = self.ask(&mut issuer, body);
        self.issuer = issuer;
        done.expect("done");
    }
    pub fn terms(&self) -> Terms {
        Terms {
            issuer: self.issuer_id(),
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
    /// Orders a batch of numbers of this face; activates them if asked to.
    pub fn order(&mut self, count: u8, face: u64, activate: bool) -> Vec<InstallationNumber> {
        self.order_of(self.terms(), count, face, activate)
    }
    /// The same, of other terms.
    pub fn order_of(&mut self, terms: Terms, count: u8, face: u64, activate: bool) -> Vec<InstallationNumber> {
        self.batch += 1;
        let batch = self.batch;
        let numbers: Vec<_> = (0..count).map(|_| InstallationNumber::generate(self.entropy())).collect();
        let order = Order {
            issuer: self.issuer_id(),
            batch,
            terms,
            face: usd(face),
            numbers: numbers.iter().map(|number| number.keyed_hash(&NUMBER_KEY)).collect(),
            at: self.now,
            until: self.now.after(1000 * Time::DAY),
            seats: None,
            extensions: Default::default(),
        };
        self.issuer_asks(order);
        if activate {
            let body = self.activation(batch, u64::from(count));
            self.issuer_asks(body);
        }
        numbers
    }
    pub fn activation(&self, batch: u64, last: u64) -> Activate {
        let (issuer, at) = (self.issuer_id(), self.now);
        Activate { issuer, batch, first: 1, last, at, till: None, extensions: Default::default() }
    }
    pub fn cards(&mut self, device: &mut Person, wanted: Wanted) -> CardNotice {
        let (anchors, key) = device.anchors().zip(device.key()).expect("joined");
        let now = self.moment();
        let mut wire = self.wire(now, false);
        let talk = CardRequest::Start(wanted, anchors, key);
        tegata_device::ask(device, &mut wire, talk, now).expect("answered").pop().expect("shown")
    }
    pub fn try_install(&mut self, device: &mut Person, number: &str, seed: u8) -> CardNotice {
        let key = device.ring.make(&mut device.vault, Algorithm::Ed25519, &[seed; 32]).expect("a key");
        let wallet = device.id().expect("joined");
        let request = InstallRequest { wallet, number: number.into(), key, slip: None, extensions: Default::default() };
        self.cards(device, Wanted::Install(request))
    }
    pub fn install(&mut self, device: &mut Person, number: &InstallationNumber, seed: u8) -> CardId {
        match self.try_install(device, &number.to_string(), seed) {
            CardNotice::Installed { card, .. } => card,
            other => panic!("{other:?}"),
        }
    }
    pub fn load(&mut self, device: &mut Person, card: CardId, number: &InstallationNumber) -> CardNotice {
        let purse = tegata_core::talk::pay::load_purse(device, card).expect("a card");
        let request = LoadRequest {
            wallet: device.id().expect("joined"),
            number: number.to_string(),
            card,
            generation: purse.certificate.claimed().generation,
            slip: None,
            extensions: Default::default(),
        };
        let notice = self.cards(device, Wanted::Load(request));
        let now = self.moment();
        tegata_device::take_up_all(device, card, now).expect("taken up");
        notice
    }
    pub fn try_update(&mut self, device: &mut Person) -> Result<Summary, UpdateError> {
        let now = self.moment();
        let mut wire = self.wire(now, false);
        let summary = tegata_device::update(device, &mut wire, now);
        self.balanced();
        summary
    }
    pub fn update(&mut self, device: &mut Person) -> Summary {
        self.try_update(device).expect("updated")
    }
    /// A whole tap; `heard`: whether the wallet hears the receipt.
    pub fn pay(&mut self, wallet: &mut Person, card: CardId, terminal: &mut Person, minor: u64) -> u64 {
        self.tap(wallet, card, terminal, minor, 99).expect("paid")
    }
    /// A tap whose wire is cut after so many frames. Gives the transaction if the terminal stored a check.
    pub fn tap(
        &mut self,
        wallet: &mut Person,
        card: CardId,
        terminal: &mut Person,
        minor: u64,
        frames: u32,
    ) -> Option<u64> {
        let purse = tegata_core::talk::pay::load_purse(wallet, card).expect("a card");
        let handle = purse.certificate.claimed().terms;
        let terms = load_terms(wallet, handle).expect("terms");
        let payer = Payer { card, terms: terms.clone(), anchors: wallet.anchors().expect("joined") };
        let sale = Sale {
            amount: usd(minor),
            items: None,
            valid_for: 300,
            certificate: terminal.certificate().expect("joined"),
            anchors: terminal.anchors().expect("joined"),
            terms: vec![terms],
        };
        let entropy = self.entropy();
        let (mut left, first) = WalletTap::start(payer, entropy).expect("starts");
        let mut right = TerminalTap::new(sale);
        let (mut queue, mut done, mut sent) = (vec![(true, first)], None, 0);
        while let Some((to_terminal, frame)) = queue.pop() {
            sent += 1;
            if sent > frames {
                break;
            }
            let now = self.moment();
            if to_terminal {
                let step = right.receive(&frame, now, terminal).expect("terminal");
                for notice in step.notices {
                    match notice {
                        TerminalNotice::Paid { transaction, .. } => done = Some(transaction),
                        TerminalNotice::Repeated { transaction } => done = Some(transaction),
                        other => eprintln!("terminal: {other:?}"),
                    }
                }
                queue.extend(step.frames.into_iter().map(|frame| (false, frame)));
            } else {
                let mut step = left.receive(&frame, now, wallet).expect("wallet");
                if step.notices.iter().any(|notice| matches!(notice, WalletNotice::Consent { .. })) {
                    step = left.event(Event::Agreed, now, wallet).expect("agreed");
                }
                step.notices.iter().for_each(|notice| eprintln!("wallet: {notice:?}"));
                queue.extend(step.frames.into_iter().map(|frame| (true, frame)));
            }
        }
        let now = self.moment();
        left.event(Event::Lost, now, wallet).expect("lost");
        right.event(Event::Lost, now, terminal).expect("lost");
        done
    }
    /// Closes an open charge, or voids a paid one.
    pub fn end(&mut self, terminal: &mut Person, transaction: u64, void: bool) {
        let (id, key) = terminal.id().zip(terminal.key()).expect("joined");
        let now = self.moment();
        let mut talking = Talking::new(EndOfClaim::Start { transaction, terminal: id, key, void });
        let shown = talking.deliver(Event::Tick, now, terminal);
        let ended =
            shown.iter().any(|out| matches!(out, Out::Show(EndNotice::Closed { .. } | EndNotice::Voided { .. })));
        assert!(ended, "{shown:?}");
    }
    pub fn remaining(&self, device: &Person, card: CardId) -> u64 {
        tegata_core::talk::pay::load_purse(device, card).expect("a card").remaining
    }
    /// The equation, from the stored sums and again from every card's row.
    pub fn balanced(&self) {
        for (issuer, unit, equation) in self.provider.books().expect("books") {
            equation.check().expect("balanced");
            let sql = "SELECT coalesce(sum(held),0), coalesce(sum(in_flight),0), coalesce(sum(covered),0)
                FROM card WHERE issuer = ?1 AND unit = ?2";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let connection = self.provider.store().connection();
            let sums: (i64, i64, i64) =
                connection.query_row(sql, rusqlite::params![issuer.0, unit.code()], read).expect("summed");
            let held = |side| i64::try_from(equation.sum(side)).expect("small");
            assert_eq!(sums, (held(Side::Held), held(Side::InFlight), held(Side::Guarantor)));
        }
    }
    pub fn book(&self) -> Equation {
        self.balanced();
        self.provider.books().expect("books")[0].2
    }
    /// waiting, held, in flight, payable, paid, guarantor
    pub fn sums(&self) -> [i128; 6] {
        let book = self.book();
        [Side::Waiting, Side::Held, Side::InFlight, Side::Payable, Side::Paid, Side::Guarantor]
            .map(|side| book.sum(side))
    }
    pub fn open_exceptions(&self) -> Vec<&'static str> {
        let all = self.provider.exceptions().expect("exceptions");
        all.into_iter().filter(|row| row.open).map(|row| row.kind.name()).collect()
    }
}
