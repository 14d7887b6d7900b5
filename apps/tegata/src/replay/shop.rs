//! The supply side of a replay: the provider's process, an issuer with its numbers, merchants with their terminals.
#![allow(clippy::float_arithmetic)] // CPU seconds and mebibytes, never money

use super::fleet::Fleet;
use super::sales::Purchase;
use crate::measure;
use crate::place::now;
use crate::rig::{ClearingProcess, ProviderProcess};
use crate::screen::{Failure, fail};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tegata_core::card::{CardKind, Terms};
use tegata_core::talk::join::{JoinToken, ProviderInfo};
use tegata_core::talk::report::ReportKind;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, PartyId, Time, Unit};
use tegata_crypto_native::{NativeVerifier, entropy};
use tegata_device::{Device, HttpPost, KeyRing, Now, Post, PostError, join, update};
use tegata_issuer::Issuer;
use tegata_terminal::Terminal;
use tegata_vault::MemoryVault;

/// Face values of the numbers on sale, in cents.
pub const FACES: [u64; 3] = [10_000, 50_000, 200_000];
/// What a merchant pays of a payment by credit, in millionths of its amount: 1.5 %.
const SHARE: u64 = 15_000;
/// And of each, in cents; never more than the payment.
const FIXED: u64 = 10;
/// How often a late terminal updates, in days; the others do daily.
const LATE: u64 = 21;
/// How often a message is sent again while the provider is away.
const TRIES: u32 = 200;

/// Locks; a thread that panicked has ended the replay anyway.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device that lives in memory.
pub fn device(algorithm: Algorithm) -> Device<MemoryVault> {
    Device::new(MemoryVault::new(), KeyRing::in_memory(algorithm, &entropy::fresh()), &NativeVerifier)
}

/// The provider's process, shared by the lines to it.
struct Process {
    provider: Mutex<ProviderProcess>,
    kill: AtomicBool,
    spent: Mutex<f64>,
}

/// One terminal.
pub struct Counter {
    /// The terminal.
    pub terminal: Terminal<MemoryVault>,
    /// Whether it updates weeks late.
    pub late: bool,
    /// Its line to the provider, which its customers' wallets use too.
    pub line: Line,
    /// Another one, that does not wait for what is not known yet.
    pub quick: Line,
}

/// A merchant: owns two terminals, reads its statement.
struct Merchant {
    device: Device<MemoryVault>,
    party: PartyId,
}

/// The supply side.
pub struct Shop {
    process: Arc<Process>,
    info: ProviderInfo,
    issuer: Mutex<Issuer<MemoryVault>>,
    merchants: Vec<Mutex<Merchant>>,
    line: Mutex<Line>,
    /// The terminals.
    pub counters: Vec<Mutex<Counter>>,
    day: AtomicU64,
    /// The provider's clock.
    clock: AtomicU64,
}

/// A line to the provider that asks again until it is answered (R26).
pub struct Line {
    http: HttpPost,
    process: Arc<Process>,
}

impl Line {
    fn open(url: &str, process: &Arc<Process>) -> Result<Self, Failure> {
        Ok(Self { http: HttpPost::new(url)?, process: Arc::clone(process) })
    }
    fn impatient(self) -> Self {
        Self { http: self.http.impatient(), ..self }
    }
}

impl Post for Line {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        if self.process.kill.swap(false, Ordering::SeqCst) {
            let process = Arc::clone(&self.process);
            std::thread::spawn(move || process.kill());
        }
        let mut last = None;
        for _ in 0..TRIES {
            match self.http.post(envelopes.clone()) {
                Err(PostError::Away(url)) => {
                    last = Some(PostError::Away(url));
                    // Whoever restarts it holds the lock until it is up.
                    drop(lock(&self.process.provider));
                    std::thread::sleep(Duration::from_millis(10));
                }
                answered => return answered,
            }
        }
        Err(last.unwrap_or(PostError::Away("the provider".into())))
    }
}

impl Process {
    /// SIGKILL in the middle of whatever it does, then a new process on the same folder.
    fn kill(&self) {
        std::thread::sleep(Duration::from_millis(2));
        let mut provider = lock(&self.provider);
        *lock(&self.spent) += measure::cpu_seconds(provider.pid()).unwrap_or(0.0);
        if let Err(failure) = provider.kill_and_restart() {
            eprintln!("the provider did not start again: {}", failure.0);
        }
    }
}

/// The terms of the cards on sale: wide enough for the largest purchase, lateness for the late terminals.
pub fn terms(issuer: PartyId) -> Terms {
    Terms {
        issuer,
        kind: CardKind::Payment,
        unit: Unit::USD,
        name: "Music card".into(),
        max_payment: 500_000,
        offline_limit: 1_000_000,
        due_after: 35 * Time::DAY,
        list_age: 30 * Time::DAY,
        record_age: 30 * Time::DAY,
        max_balance: 1_000_000,
        handovers: 0,
        refundable: true,
        max_untouched: 0,
        register_within: None,
        program: None,
        ticket: None,
        extensions: Default::default(),
    }
}

impl Shop {
    /// Opens it: provider, issuer, one merchant for every two terminals.
    pub fn open(data: &Path, terminals: usize, clock: Time) -> Result<Self, Failure> {
        let provider = ProviderProcess::start(data, clock)?;
        let (url, info) = (provider.url(), provider.info()?);
        let mut post = HttpPost::new(&url)?;
        let at = Now { time: clock, entropy: now().entropy };
        let issuer = joined(&mut post, &info, provider.invite("issuer", &["Records".into()], None)?, Role::Issuer, at)?;
        let mut merchants = Vec::new();
        let mut devices = Vec::new();
        for number in 0..terminals {
            if number % 2 == 0 {
                let name = vec![format!("Shop {}", number / 2 + 1)];
                let device = joined(&mut post, &info, provider.invite("merchant", &name, None)?, Role::Merchant, at)?;
                let party = party_of(&device)?;
                merchants.push(Merchant { device, party });
            }
            let owner = merchants.last().map(|merchant: &Merchant| merchant.party);
            let token = provider.invite("terminal", &[format!("Till {}", number + 1)], owner)?;
            devices.push(joined(&mut post, &info, token, Role::Terminal, at)?);
        }
        let process = Process { provider: Mutex::new(provider), kill: AtomicBool::new(false), spent: Mutex::new(0.0) };
        let process = Arc::new(process);
        let line = || -> Result<Line, Failure> { Line::open(&url, &process) };
        let mut counters = Vec::new();
        for (number, device) in devices.into_iter().enumerate() {
            let (terminal, late) = (Terminal::new(device), number % 4 == 3);
            let quick = line()?.impatient();
            counters.push(Mutex::new(Counter { terminal, late, line: line()?, quick }));
        }
        Ok(Self {
            line: Mutex::new(line()?),
            process,
            info,
            issuer: Mutex::new(Issuer::new(issuer)),
            merchants: merchants.into_iter().map(Mutex::new).collect(),
            counters,
            day: AtomicU64::new(clock.0 / Time::DAY),
            clock: AtomicU64::new(clock.0),
        })
    }
    /// Who the provider is.
    pub fn info(&self) -> &ProviderInfo {
        &self.info
    }
    /// Tokens for wallets.
    pub fn invite_wallets(&self, names: &[String]) -> Result<Vec<JoinToken>, Failure> {
        lock(&self.process.provider).invite("wallet", names, None)
    }
    /// `hour` o'clock on the day that is played, with fresh entropy.
    pub fn at(&self, hour: u64) -> Now {
        let time = Time(self.day.load(Ordering::SeqCst) * Time::DAY + hour * 3600);
        Now { time, entropy: entropy::fresh() }
    }
    /// Begins a day, here and at the provider.
    pub fn set_day(&mut self, day: u64) -> Result<(), Failure> {
        let morning = day * Time::DAY + 6 * 3600;
        self.day.store(day, Ordering::SeqCst);
        self.clock.store(morning, Ordering::SeqCst);
        lock(&self.process.provider).set_clock(Time(morning))
    }
    /// The provider clears with a processor of its own from now on; every merchant is enrolled, for [`SHARE`] and [`FIXED`].
    pub fn clear_credit(&self) -> Result<ClearingProcess, Failure> {
        let provider = lock(&self.process.provider);
        let clearing = ClearingProcess::start(&provider)?;
        for (number, merchant) in self.merchants.iter().enumerate() {
            let party = lock(merchant).party;
            clearing.enrol(&provider, party, &format!("SHOP {}", number + 1))?;
            provider.operator().ask(&json!({
                "do": "contract", "party": party.to_string(), "share": SHARE, "fixed": FIXED, "unit": Unit::USD.name(),
                "tender": "credit",
            }))?;
        }
        Ok(clearing)
    }
    /// What the processor has charged for all merchants, by its own books, in cents.
    pub fn captured(&self, clearing: &ClearingProcess) -> Result<u64, Failure> {
        clearing.captured(&lock(&self.process.provider))
    }
    /// Where the provider answers.
    pub fn url(&self) -> String {
        lock(&self.process.provider).url()
    }
    /// So many seconds later, here and at the provider: what waits for its time goes on.
    pub fn later(&self, seconds: u64) -> Result<(), Failure> {
        let before = self.clock.fetch_add(seconds, Ordering::SeqCst);
        lock(&self.process.provider).set_clock(Time(before + seconds))
    }
    /// The next message is answered with SIGKILL.
    pub fn kill_soon(&self) {
        self.process.kill.store(true, Ordering::SeqCst);
    }
    /// Activates the numbers that today's customers buy.
    pub fn activate(&self, stock: &Stock, fleet: &Fleet, bought: &[Purchase]) -> Result<(), Failure> {
        let mut line = lock(&self.line);
        for (pool, wanted) in stock.pools.iter().zip(fleet.wanted(bought)) {
            if wanted > 0 {
                let first = pool.activated.fetch_add(wanted, Ordering::SeqCst) + 1;
                let at = self.at(7);
                lock(&self.issuer).activate(&mut *line, pool.batch, (first, first + wanted - 1), at)?;
            }
        }
        Ok(())
    }
    /// Whether this terminal updates today.
    pub fn updates_today(&self, counter: &Counter) -> bool {
        !counter.late || self.day.load(Ordering::SeqCst).is_multiple_of(LATE)
    }
    /// The last update of every terminal.
    pub fn close(&self) -> Result<(), Failure> {
        for counter in &self.counters {
            let counter = &mut *lock(counter);
            counter.terminal.update(&mut counter.line, self.at(23))?;
        }
        Ok(())
    }
    /// Settles, and reads every merchant's statement as that merchant.
    pub fn settle(&self) -> Result<End, Failure> {
        let provider = lock(&self.process.provider);
        let settled = provider.operator().ask(&json!({ "do": "settle" }))?;
        let exceptions = provider.operator().ask(&json!({ "do": "exceptions" }))?;
        drop(provider);
        let exceptions = exceptions.get("exceptions").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        let mut line = lock(&self.line);
        let (mut cleared, mut fees) = (0u64, 0u64);
        let mut merchants = Vec::new();
        for merchant in &self.merchants {
            let mut merchant = lock(merchant);
            let span = (Time(0), Time::END);
            let content = merchant.device.report(&mut *line, ReportKind::MerchantStatement, span, self.at(23))?;
            let statement: Statement = serde_json::from_str(&content)?;
            let paid: Option<u64> = statement.paid.iter().map(cents).sum();
            let Some(paid) = paid else {
                return fail("a merchant's statement has an amount that is none");
            };
            let charged: Option<u64> = statement.payments.iter().map(Charged::cents).sum();
            let Some(charged) = charged else {
                return fail("a merchant's statement has a fee that is none");
            };
            cleared += paid + charged;
            fees += charged;
            merchants.push(json!({
                "merchant": merchant.party.to_string(), "payments": statement.payments.len(), "paid_minor": paid,
                "fees_minor": charged, "payable": statement.payable,
            }));
        }
        Ok(End { cleared, fees, exceptions, merchants, trial_balance: settled })
    }
    /// CPU seconds of the provider, before and after a kill.
    pub fn provider_cpu(&self) -> f64 {
        *lock(&self.process.spent) + measure::cpu_seconds(lock(&self.process.provider).pid()).unwrap_or(0.0)
    }
    /// The most memory the provider held, in mebibytes.
    pub fn provider_peak(&self) -> f64 {
        measure::peak_mebibytes(lock(&self.process.provider).pid()).unwrap_or(0.0)
    }
    /// Stops the provider; gives its database.
    pub fn stop(self) -> Result<PathBuf, Failure> {
        let provider = lock(&self.process.provider);
        provider.operator().ask(&json!({ "do": "stop" }))?;
        Ok(provider.data.join("provider").join("provider.db"))
    }
}

/// What a replay reads of one payment in a statement.
#[derive(serde::Deserialize)]
struct Charged {
    fee: Option<String>,
}

/// What a replay reads of a merchant's statement: how many payments and what each cost, not more.
#[derive(serde::Deserialize)]
struct Statement {
    payments: Vec<Charged>,
    paid: Vec<Value>,
    payable: Vec<Value>,
}

impl Charged {
    /// The fee, in cents; without one, 0.
    fn cents(&self) -> Option<u64> {
        self.fee.as_deref().map_or(Some(0), |fee| Amount::parse(Unit::USD, fee).map(Amount::minor))
    }
}

/// What the contract takes of a payment, reckoned apart from the provider: half a cent and more is a cent.
pub fn fee(cents: u64) -> u64 {
    ((cents * SHARE + 500_000) / 1_000_000 + FIXED).min(cents)
}

/// The amount of a statement's line, in cents.
fn cents(line: &Value) -> Option<u64> {
    Amount::parse(Unit::USD, line.get("amount")?.as_str()?).map(Amount::minor)
}

/// What came out.
pub struct End {
    /// Cleared for merchants, in cents, as their statements say: what they were paid, and the fees that were kept of it.
    pub cleared: u64,
    /// Those fees, in cents.
    pub fees: u64,
    /// Open exceptions.
    pub exceptions: u64,
    /// Statements.
    pub merchants: Vec<Value>,
    /// The closing trial balance.
    pub trial_balance: Value,
}

fn party_of(device: &Device<MemoryVault>) -> Result<PartyId, Failure> {
    match device.certificate() {
        Some(certificate) => Ok(certificate.claimed().subject.party()),
        None => fail("the provider did not register the merchant"),
    }
}

/// A device of this role that has joined.
pub fn joined(
    post: &mut HttpPost,
    info: &ProviderInfo,
    tokens: Vec<JoinToken>,
    role: Role,
    at: Now,
) -> Result<Device<MemoryVault>, Failure> {
    let mut device = device(Algorithm::Ed25519);
    for token in tokens {
        join(&mut device, post, info, &token, role, "Till", at)?;
    }
    if role == Role::Terminal {
        update(&mut device, post, at)?;
    }
    Ok(device)
}

/// Numbers of one face value.
struct Pool {
    batch: u64,
    numbers: Vec<String>,
    activated: AtomicU64,
    next: AtomicU64,
}

/// All numbers, ordered before the first day.
pub struct Stock {
    pools: Vec<Pool>,
}

/// Which face values cover a shortfall of so many cents: the smallest one that does, after as many of the largest as needed.
pub fn cover(shortfall: u64) -> Vec<usize> {
    let mut left = shortfall;
    let mut chosen = Vec::new();
    while left > 0 {
        let index = FACES.iter().position(|face| *face >= left).unwrap_or(FACES.len() - 1);
        chosen.push(index);
        left = left.saturating_sub(FACES[index]);
    }
    chosen
}

impl Stock {
    /// Orders as many numbers as the customers will need.
    pub fn order(shop: &mut Shop, purchases: &[Purchase]) -> Result<Self, Failure> {
        let mut needed = [0u64; FACES.len()];
        let mut sorted: Vec<&Purchase> = purchases.iter().collect();
        sorted.sort_by_key(|purchase| (purchase.customer, purchase.day));
        let mut balances: HashMap<u32, u64> = HashMap::new();
        for day in sorted.chunk_by(|one, next| one.customer == next.customer && one.day == next.day) {
            let (customer, total) = (day[0].customer, day.iter().map(|purchase| purchase.cents).sum::<u64>());
            let balance = balances.entry(customer).or_default();
            for index in cover(total.saturating_sub(*balance)) {
                needed[index] += 1;
                *balance += FACES[index];
            }
            *balance -= total;
        }
        let mut line = lock(&shop.line);
        let mut issuer = lock(&shop.issuer);
        let terms = terms(issuer.party()?);
        let mut pools = Vec::new();
        for (face, count) in FACES.into_iter().zip(needed) {
            let Some(amount) = Amount::new(Unit::USD, face) else {
                return fail("a face value is too large");
            };
            let at = shop.at(6);
            let until = at.time.after(3650 * Time::DAY);
            let batch = issuer.order(&mut *line, terms.clone(), amount, (count.max(1), until), at)?;
            let numbers = issuer.print(batch)?.into_iter().map(|printed| printed.number.to_string()).collect();
            pools.push(Pool { batch, numbers, activated: AtomicU64::new(0), next: AtomicU64::new(0) });
        }
        drop(issuer);
        for counter in &shop.counters {
            let counter = &mut *lock(counter);
            counter.terminal.update(&mut counter.line, shop.at(6))?;
        }
        Ok(Self { pools })
    }
    /// Sells a number of this face value.
    pub fn sell(&self, face: usize) -> Result<String, Failure> {
        let pool = &self.pools[face];
        let index = usize::try_from(pool.next.fetch_add(1, Ordering::SeqCst)).unwrap_or(usize::MAX);
        match pool.numbers.get(index) {
            Some(number) => Ok(number.clone()),
            None => fail("more numbers were needed than ordered"),
        }
    }
}
