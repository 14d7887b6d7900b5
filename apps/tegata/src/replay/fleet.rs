//! The customers of a replay: one wallet and one prepaid card each, in memory; every purchase a full tap.

use super::sales::Purchase;
use super::shop::{Counter, End, FACES, Line, Shop, Stock, cover, device, lock};
use crate::screen::{Failure, fail};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use tegata_core::step::Event;
use tegata_core::talk::cards::CardNotice;
use tegata_core::talk::pay::{TerminalNotice, WalletNotice};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, Unit};
use tegata_device::{Device, Joining, Post, WalletTap, ask_all, take_up_all, update_all};
use tegata_terminal::TerminalError;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

/// How many wallets' messages one POST carries at most.
pub(super) const CHUNK: usize = 250;

/// A customer.
pub struct Customer {
    /// The number in the file.
    pub number: u32,
    pub(super) wallet: Wallet<MemoryVault>,
    card: Option<CardId>,
    /// Whether its bank card is registered.
    pub(super) registered: bool,
    balance: u64,
    updated: u64,
}

/// What was counted on the customers' side.
#[derive(Default, Clone)]
pub struct Tally {
    /// Purchases paid.
    pub payments: u64,
    /// Purchases refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Cents paid.
    pub cents: u64,
    /// Cents of that which the contracts leave with the provider.
    pub fees: u64,
    /// Numbers loaded after the first.
    pub loads: u64,
    /// Updates of wallets.
    pub updates: u64,
}

impl Tally {
    /// How many totals disagree with what the provider says: 0 to 2.
    pub fn contradicts(&self, end: &End) -> u64 {
        u64::from(self.cents != end.cleared) + u64::from(self.fees != end.fees)
    }
}

/// All customers.
pub struct Fleet {
    pub(super) customers: Vec<Mutex<Customer>>,
    index: HashMap<u32, usize>,
    pub(super) tally: Mutex<Tally>,
    pool: rayon::ThreadPool,
}

/// What one terminal's customers do in a day.
#[derive(Default)]
pub(super) struct Visits {
    pub(super) buying: Vec<(usize, Vec<u64>)>,
    pub(super) idle: Vec<usize>,
}

impl Fleet {
    /// One customer for each number in the file.
    pub fn new(numbers: impl Iterator<Item = u32>, shop: &Shop) -> Result<Self, Failure> {
        let numbers: BTreeSet<u32> = numbers.collect();
        let customers: Vec<_> = numbers
            .iter()
            .map(|number| {
                let wallet = Wallet::new(device(Algorithm::Ed25519), Algorithm::Ed25519);
                Mutex::new(Customer { number: *number, wallet, card: None, registered: false, balance: 0, updated: 0 })
            })
            .collect();
        let index = numbers.into_iter().enumerate().map(|(index, number)| (number, index)).collect();
        // A thread for each terminal: while some wait for the provider, others go on.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(shop.counters.len()).build()?;
        Ok(Self { customers, index, tally: Mutex::new(Tally::default()), pool })
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.customers.len()
    }
    /// What was counted.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Today's purchases by customer, in the order of the file.
    pub(super) fn by_customer(&self, bought: &[Purchase]) -> Vec<(usize, Vec<u64>)> {
        let mut visits: Vec<(usize, Vec<u64>)> = Vec::new();
        let mut place: HashMap<u32, usize> = HashMap::new();
        for purchase in bought {
            let at = *place.entry(purchase.customer).or_insert_with(|| {
                visits.push((self.index[&purchase.customer], Vec::new()));
                visits.len() - 1
            });
            visits[at].1.push(purchase.cents);
        }
        visits
    }

    /// How many numbers of each face value today's customers will buy.
    pub fn wanted(&self, bought: &[Purchase]) -> [u64; FACES.len()] {
        let mut wanted = [0; FACES.len()];
        for (index, cents) in self.by_customer(bought) {
            let balance = lock(&self.customers[index]).balance;
            for face in cover(cents.iter().sum::<u64>().saturating_sub(balance)) {
                wanted[face] += 1;
            }
        }
        wanted
    }

    /// Plays a day: each customer visits one terminal, terminals in parallel.
    pub fn day(
        &self,
        shop: &Shop,
        stock: &Stock,
        day: u64,
        bought: &[Purchase],
        idle_days: u64,
    ) -> Result<(), Failure> {
        let terminals = shop.counters.len();
        let mut visits: Vec<Visits> = (0..terminals).map(|_| Visits::default()).collect();
        let at = |index: usize| (index + usize::try_from(day / 30).unwrap_or(0)) % terminals;
        let mut buying = BTreeSet::new();
        for (index, cents) in self.by_customer(bought) {
            buying.insert(index);
            visits[at(index)].buying.push((index, cents));
        }
        for (index, customer) in self.customers.iter().enumerate() {
            let customer = lock(customer);
            if customer.card.is_some() && customer.updated + idle_days <= day && !buying.contains(&index) {
                visits[at(index)].idle.push(index);
            }
        }
        self.each_terminal(shop, &visits, |counter, visits| self.visit(shop, stock, counter, visits, day))
    }

    /// Every wallet updates once more.
    pub fn last_update(&self, shop: &Shop, day: u64) -> Result<(), Failure> {
        let terminals = shop.counters.len();
        let mut visits: Vec<Visits> = (0..terminals).map(|_| Visits::default()).collect();
        for (index, customer) in self.customers.iter().enumerate() {
            let joined = { lock(customer).wallet.device.id().is_some() };
            if joined {
                visits[index % terminals].idle.push(index);
            }
        }
        self.each_terminal(shop, &visits, |counter, visits| {
            let counter = &mut *lock(counter);
            for some in visits.idle.chunks(CHUNK) {
                self.update(shop, &mut counter.line, some, day)?;
            }
            Ok(())
        })
    }

    pub(super) fn each_terminal(
        &self,
        shop: &Shop,
        visits: &[Visits],
        play: impl Fn(&Mutex<Counter>, &Visits) -> Result<(), Failure> + Sync,
    ) -> Result<(), Failure> {
        let pairs: Vec<_> = shop.counters.iter().zip(visits).collect();
        self.pool.install(|| pairs.into_par_iter().map(|(counter, visits)| play(counter, visits)).collect())
    }

    fn visit(
        &self,
        shop: &Shop,
        stock: &Stock,
        counter: &Mutex<Counter>,
        visits: &Visits,
        day: u64,
    ) -> Result<(), Failure> {
        let counter = &mut *lock(counter);
        if !visits.buying.is_empty() {
            self.join(shop, &mut counter.line, &visits.buying)?;
            self.fill(shop, stock, &mut counter.line, &visits.buying, day)?;
            for (index, cents) in &visits.buying {
                for cents in cents {
                    self.purchase(shop, counter, &mut lock(&self.customers[*index]), *cents)?;
                }
            }
        }
        let mut updating: Vec<usize> = visits.buying.iter().map(|(index, _)| *index).collect();
        updating.extend(&visits.idle);
        updating.retain(|index| lock(&self.customers[*index]).card.is_some());
        for some in updating.chunks(CHUNK) {
            self.update(shop, &mut counter.line, some, day)?;
        }
        if shop.updates_today(counter) {
            counter.terminal.update(&mut counter.line, shop.at(22))?;
        }
        Ok(())
    }

    /// Runs `work` with the devices of these customers, all of them locked.
    fn with<R>(&self, indexes: &[usize], work: impl FnOnce(Vec<&mut Customer>) -> R) -> R {
        let mut guards: Vec<_> = indexes.iter().map(|index| lock(&self.customers[*index])).collect();
        work(guards.iter_mut().map(|guard| &mut **guard).collect())
    }

    /// New customers join, in one POST.
    pub(super) fn join(&self, shop: &Shop, line: &mut Line, buying: &[(usize, Vec<u64>)]) -> Result<(), Failure> {
        let joins = |(index, _): &&(usize, Vec<u64>)| lock(&self.customers[*index]).wallet.device.id().is_none();
        let new: Vec<usize> = buying.iter().filter(joins).map(|(index, _)| *index).collect();
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = new.iter().map(|index| format!("customer {index}")).collect();
        let tokens = shop.invite_wallets(&names)?;
        self.with(&new, |mut customers| {
            let mut sent = Vec::new();
            for (customer, (token, name)) in customers.iter_mut().zip(tokens.iter().zip(&names)) {
                let (device, at) = (&mut customer.wallet.device, shop.at(8));
                sent.push(Joining::start(device, shop.info(), token, Role::Wallet, name, at)?);
            }
            let answers = line.post(sent.iter().map(Joining::envelope).collect())?;
            for ((customer, joining), answer) in customers.iter_mut().zip(sent).zip(answers) {
                joining.finish(&mut customer.wallet.device, &answer, shop.at(8))?;
            }
            Ok(())
        })
    }

    /// Cards are installed and loaded until they hold enough for the day.
    fn fill(
        &self,
        shop: &Shop,
        stock: &Stock,
        line: &mut Line,
        buying: &[(usize, Vec<u64>)],
        day: u64,
    ) -> Result<(), Failure> {
        let mut wanted: Vec<(usize, Vec<usize>)> = Vec::new();
        for (index, cents) in buying {
            let balance = lock(&self.customers[*index]).balance;
            wanted.push((*index, cover(cents.iter().sum::<u64>().saturating_sub(balance))));
        }
        for round in 0.. {
            let due: Vec<(usize, usize)> =
                wanted.iter().filter_map(|(index, faces)| faces.get(round).map(|face| (*index, *face))).collect();
            if due.is_empty() {
                return Ok(());
            }
            let loaded = self.buy(shop, stock, line, &due)?;
            // A load ends with a new checkpoint (R6); a card just installed has one.
            let more =
                |index: &usize| wanted.iter().any(|(wanting, faces)| wanting == index && faces.len() > round + 1);
            let updating: Vec<usize> =
                due.iter().map(|(index, _)| *index).filter(|index| loaded.contains(index) || more(index)).collect();
            self.update(shop, line, &updating, day)?;
        }
        Ok(())
    }

    /// One number each: installed by those without a card, loaded by the others.
    fn buy(&self, shop: &Shop, stock: &Stock, line: &mut Line, due: &[(usize, usize)]) -> Result<Vec<usize>, Failure> {
        let indexes: Vec<usize> = due.iter().map(|(index, _)| *index).collect();
        let loads = self.with(&indexes, |mut customers| -> Result<Vec<usize>, Failure> {
            let at = shop.at(9);
            let mut jobs = Vec::new();
            let mut loads = Vec::new();
            for (customer, (index, face)) in customers.iter_mut().zip(due) {
                let number = stock.sell(*face)?;
                let at = shop.at(9);
                let talk = match customer.card {
                    None => customer.wallet.install_request(&number, None, at)?,
                    Some(card) => {
                        loads.push(*index);
                        customer.wallet.load_request(card, &number, None)?
                    }
                };
                jobs.push(talk);
            }
            let devices = customers.iter_mut().map(|customer| &mut customer.wallet.device);
            let notices = ask_all(devices.zip(jobs).collect(), line, at)?;
            for ((customer, (_, face)), notices) in customers.iter_mut().zip(due).zip(notices) {
                match notices.into_iter().next() {
                    Some(CardNotice::Installed { card, .. }) => customer.card = Some(card),
                    Some(CardNotice::Loaded { card, .. }) => {
                        take_up_all(&mut customer.wallet.device, card, at)?;
                    }
                    other => return fail(format!("customer {}: {other:?}", customer.number)),
                }
                customer.balance += FACES[*face];
            }
            Ok(loads)
        })?;
        lock(&self.tally).loads += loads.len() as u64;
        Ok(loads)
    }

    pub(super) fn update(&self, shop: &Shop, line: &mut Line, indexes: &[usize], day: u64) -> Result<(), Failure> {
        if indexes.is_empty() {
            return Ok(());
        }
        self.with(indexes, |mut customers| -> Result<(), Failure> {
            let devices: Vec<&mut Device<MemoryVault>> =
                customers.iter_mut().map(|customer| &mut customer.wallet.device).collect();
            update_all(devices, line, shop.at(21))?;
            customers.iter_mut().for_each(|customer| customer.updated = day);
            Ok(())
        })?;
        lock(&self.tally).updates += indexes.len() as u64;
        Ok(())
    }

    /// One purchase: a full tap through the session's bytes.
    fn purchase(&self, shop: &Shop, counter: &mut Counter, customer: &mut Customer, cents: u64) -> Result<(), Failure> {
        let Some(amount) = Amount::new(Unit::USD, cents) else {
            return fail("a purchase is too large");
        };
        let refused = |why: &str| {
            *lock(&self.tally).refused.entry(why.to_owned()).or_default() += 1;
            Ok(())
        };
        let sale = match counter.terminal.sale(amount, None) {
            Ok(sale) => sale,
            Err(TerminalError::Zero) => return refused("zero amount"),
            Err(other) => return Err(other.into()),
        };
        let Some(card) = customer.card else {
            return fail(format!("customer {} has no card", customer.number));
        };
        let wallet = &mut customer.wallet;
        let mut till = counter.terminal.tap(sale, shop.at(12))?;
        let (mut tap, hello) = WalletTap::start(wallet.payer(card)?, shop.at(12).entropy)?;
        let mut frames = vec![hello];
        let (mut paid, mut goods) = (false, false);
        while let Some(frame) = frames.pop() {
            let answer = till.receive(&frame, shop.at(12), &mut counter.terminal.device)?;
            goods |= answer.notices.iter().any(|notice| matches!(notice, TerminalNotice::Paid { .. }));
            for frame in answer.frames {
                let mut step = tap.receive(&frame, shop.at(12), &mut wallet.device)?;
                if step.notices.iter().any(|notice| matches!(notice, WalletNotice::Consent { .. })) {
                    step = tap.event(Event::Agreed, shop.at(12), &mut wallet.device)?;
                }
                if let Some(notice) = step.notices.first() {
                    match notice {
                        WalletNotice::Paid { .. } => paid = true,
                        other => return fail(format!("customer {}: {other:?}", customer.number)),
                    }
                }
                frames.extend(step.frames);
            }
        }
        if !(paid && goods) {
            return fail(format!("customer {}: the tap broke off", customer.number));
        }
        customer.balance -= cents;
        let mut tally = lock(&self.tally);
        tally.payments += 1;
        tally.cents += cents;
        Ok(())
    }
}
