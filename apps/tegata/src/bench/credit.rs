//! Payments by credit and purchases: provider's and processor's own processes, both stores durable, against the floor: their
//! signatures, seals and durable commits, each measured by itself in the same run. And how fast a provider that was killed goes
//! on with purchases that it was in the middle of.
//!
//! Two floors. *The floor* seals each message to its addressee by itself (HPKE), as the protocol is written. *The lower floor*
//! counts only what this build makes: after its first message a line is a channel, which needs no HPKE.
#![allow(clippy::float_arithmetic)] // microseconds, never money

use super::upload::{bare_inserts, snapshot};
use crate::measure::{self, microseconds_each, rounded};
use crate::place::now;
use crate::replay::shop::{device, joined, terms};
use crate::rig::{ClearingProcess, ProviderProcess};
use crate::screen::{Failure, Screen, fail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tegata_core::step::Event;
use tegata_core::talk::buy::{Article, BuyNotice};
use tegata_core::talk::credit::{ClaimNotice, CreditNotice, CreditPay, PaymentOption};
use tegata_core::talk::pay::TerminalNotice;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Algorithm, Verifier};
use tegata_core::{Amount, PartyId, RequestNumber, Time, Unit};
use tegata_crypto_native::{NativeVerifier, SealingSecret, SecretKey, entropy, open, seal_to};
use tegata_device::{HttpPost, Now, WalletTap, join};
use tegata_issuer::{Issuer, Offered};
use tegata_terminal::Terminal;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

/// Pairs of wallet and terminal that pay and buy at the same time.
const PAIRS: usize = 8;

/// What one payment or purchase needs at least, at provider and processor together.
struct Needs {
    signs: f64,
    verifies: f64,
    /// Sealed or opened.
    seals: f64,
}

/// Provider: signs Authorize, Clear, [8418], [8421] twice, an answer to each line; opens three requests, answers them; checks
/// both lines (request, offer, charge or agreement), the clearing request, the outcome, [8417] with its three informations,
/// [8419]. Processor: opens two requests, checks them, signs an outcome and [8417] with its three, seals two answers;
/// writes each message to the bank before it goes, and the bank's answer. How often both commit is counted.
const PAYMENT: Needs = Needs { signs: 12.0, verifies: 15.0, seals: 16.0 };
/// Provider: signs a reservation, Authorize, Clear, the certificate, [8421], the answer; checks reservation, agreement, outcome,
/// [8417] with its three. Processor: as above.
const PURCHASE: Needs = Needs { signs: 11.0, verifies: 9.0, seals: 12.0 };

/// The town that pays and buys: pairs of wallet and terminal, all at once.
struct Town {
    provider: ProviderProcess,
    clearing: ClearingProcess,
    folder: PathBuf,
    pairs: Vec<Pair>,
}

/// One who pays and one who is paid, each with a line of its own.
struct Pair {
    wallet: Wallet<MemoryVault>,
    users: HttpPost,
    /// Hears at once, also that something is not known yet.
    quick: HttpPost,
    terminal: Terminal<MemoryVault>,
    merchants: HttpPost,
}

impl Drop for Town {
    fn drop(&mut self) {
        // What cannot be removed is left to the machine's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What was measured.
pub struct Measured {
    cpu_us: f64,
    floor_us: f64,
    lower_us: f64,
    wall_us: f64,
    parts: Value,
    count: usize,
}

impl Measured {
    /// The heads of [`Self::row`].
    pub const HEADS: [&str; 7] = ["by credit", "cpu us", "floor us", "ratio", "lower floor us", "ratio", "wall ms"];
    /// A row of the table.
    pub fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            format!("{:.0}", self.cpu_us),
            format!("{:.0}", self.floor_us),
            format!("{:.2}", self.cpu_us / self.floor_us),
            format!("{:.0}", self.lower_us),
            format!("{:.2}", self.cpu_us / self.lower_us),
            format!("{:.1}", self.wall_us / 1000.0),
        ]
    }
    /// Figures.
    pub fn json(&self) -> Value {
        json!({
            "cpu_us": rounded(self.cpu_us, 1),
            "floor_us": rounded(self.floor_us, 1),
            "ratio": rounded(self.cpu_us / self.floor_us, 3),
            "lower_floor_us": rounded(self.lower_us, 1),
            "lower_ratio": rounded(self.cpu_us / self.lower_us, 3),
            "wall_us": rounded(self.wall_us, 1),
            "floor": self.parts,
            "count": self.count,
        })
    }
}

/// Payments, purchases, and purchases resumed: the two figures, and (how many, seconds).
pub fn measure(screen: Screen, payments: usize, resumed: usize) -> Result<(Measured, Measured, (usize, f64)), Failure> {
    let mut town = Town::open(payments * 2 + resumed)?;
    screen.say(format!(
        "credit: {payments} payments, {payments} purchases, then {resumed} purchases resumed after SIGKILL"
    ));
    let costs = Costs::measure()?;
    let paid = town.measured(payments, &PAYMENT, &costs, "payments", Town::payments)?;
    let bought = town.measured(payments, &PURCHASE, &costs, "purchases", Town::purchases)?;
    let seconds = town.resume(resumed)?;
    Ok((paid, bought, (resumed, seconds)))
}

fn fresh(at: Now) -> Now {
    Now { entropy: now().entropy, ..at }
}

impl Town {
    fn open(stock: usize) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tegata-bench-{}-credit", std::process::id()));
        let at = now();
        let provider = ProviderProcess::start_now(&folder)?;
        let clearing = ClearingProcess::start(&provider)?;
        let (mut post, info) = (HttpPost::new(&provider.url())?, provider.info()?);
        let issuer = joined(&mut post, &info, provider.invite("issuer", &["Issuer".into()], None)?, Role::Issuer, at)?;
        let mut issuer = Issuer::new(issuer);
        let party = issuer.party()?;
        let Some(face) = Amount::new(Unit::USD, 2_000) else {
            return fail("no face value");
        };
        let offered = Offered {
            terms: terms(party),
            face,
            price: face,
            stock: stock as u64,
            until: at.time.after(365 * Time::DAY),
            valid_for: 365 * Time::DAY,
            clear_after: None,
        };
        issuer.list(&mut post, 1, offered, fresh(at))?;
        let merchant =
            joined(&mut post, &info, provider.invite("merchant", &["Shop".into()], None)?, Role::Merchant, at)?;
        let Some(owner) = merchant.certificate().map(|certificate| certificate.claimed().subject.party()) else {
            return fail("the merchant did not join");
        };
        for (payee, code) in [(owner, "SHOP"), (party, "ISSUER")] {
            clearing.enrol(&provider, payee, code)?;
        }
        let (wallets, tills): (Vec<_>, Vec<_>) =
            (0..PAIRS).map(|number| (format!("wallet {number}"), format!("till {number}"))).unzip();
        let tokens = provider.invite("wallet", &wallets, None)?;
        let tills = provider.invite("terminal", &tills, Some(owner))?;
        let mut pairs = Vec::new();
        for ((token, name), till) in tokens.iter().zip(&wallets).zip(tills) {
            let mut wallet = Wallet::new(device(Algorithm::Ed25519), Algorithm::Ed25519);
            join(&mut wallet.device, &mut post, &info, token, Role::Wallet, name, fresh(at))?;
            wallet.update(&mut post, fresh(at))?;
            clearing.register(&mut wallet, &mut post, &provider.url(), now)?;
            let terminal = Terminal::new(joined(&mut post, &info, vec![till], Role::Terminal, fresh(at))?);
            let line = || HttpPost::new(&provider.url());
            pairs.push(Pair { wallet, users: line()?, quick: line()?.impatient(), terminal, merchants: line()? });
        }
        let mut town = Self { provider, clearing, folder, pairs };
        town.settled()?;
        Ok(town)
    }

    /// Waits until payees are known to the processor and the bank has it signed on: a payment goes through.
    fn settled(&mut self) -> Result<(), Failure> {
        let patience = Instant::now() + Duration::from_secs(20);
        let pair = &mut self.pairs[0];
        while let Err(failure) = pair.pay().and_then(|()| pair.buy()) {
            if Instant::now() > patience {
                return Err(failure);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Does `count` of something and compares what it took with its floor.
    fn measured(
        &mut self,
        count: usize,
        needs: &Needs,
        costs: &Costs,
        name: &str,
        work: impl Fn(&mut Self, usize) -> Result<(), Failure>,
    ) -> Result<Measured, Failure> {
        let path = |sort: &str, when: &str| self.folder.join(format!("{name}-{sort}-{when}.db"));
        let databases = [
            ("provider", self.folder.join("provider").join("provider.db")),
            ("processor", self.folder.join("processor").join("processor.db")),
        ];
        let paths: Vec<_> = databases
            .iter()
            .map(|(sort, ..)| [path(sort, "before"), path(sort, "after"), path(sort, "floor")])
            .collect();
        for ((_, database), [before, ..]) in databases.iter().zip(&paths) {
            snapshot(database, before)?;
        }
        let commits = self.commits()?;
        let (spent, started) = (self.cpu()?, Instant::now());
        work(self, count)?;
        let (cpu, wall) = (self.cpu()? - spent, started.elapsed().as_secs_f64());
        // What commits together in the run commits together in the floor.
        let made = self.commits()?;
        let commits = [made[0] - commits[0], made[1] - commits[1]];
        let mut inserts = 0.0;
        for (((_, database), commits), [before, after, floor]) in databases.iter().zip(commits).zip(&paths) {
            snapshot(database, after)?;
            inserts += bare_inserts(before, after, floor, (count, commits))?;
        }
        let signatures = needs.signs * costs.sign + needs.verifies * costs.verify;
        let (seals, made) = (needs.seals * costs.hpke, needs.seals * costs.channel);
        Ok(Measured {
            cpu_us: cpu * 1e6 / count as f64,
            floor_us: signatures + seals + inserts,
            lower_us: signatures + made + inserts,
            wall_us: wall * 1e6 / count as f64,
            parts: json!({
                "signatures_us": rounded(signatures, 1),
                "seals_us": rounded(seals, 1),
                "seals_made_us": rounded(made, 1),
                "commits_us": rounded(inserts, 1),
                "commits": rounded((commits[0] + commits[1]) as f64 / count as f64, 2),
            }),
            count,
        })
    }

    /// Durable transactions that provider and processor have made.
    fn commits(&self) -> Result<[usize; 2], Failure> {
        let of =
            |status: Value| status.get("commits").and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        let provider = of(self.provider.operator().ask(&json!({ "do": "status" }))?);
        let processor = of(self.clearing.ask(&self.provider, "status")?);
        match provider.zip(processor) {
            Some((provider, processor)) => Ok([provider, processor]),
            None => fail("a part does not say how often it has committed"),
        }
    }

    /// CPU of provider and processor, in seconds.
    fn cpu(&self) -> Result<f64, Failure> {
        let of = |pid| measure::cpu_seconds(pid);
        match of(self.provider.pid()).zip(of(self.clearing.pid())) {
            Some((provider, processor)) => Ok(provider + processor),
            None => fail("a process is gone"),
        }
    }

    /// Each pair does its share, all at once.
    fn all(
        &mut self,
        count: usize,
        work: impl Fn(&mut Pair, usize) -> Result<(), Failure> + Sync,
    ) -> Result<(), Failure> {
        let (share, work) = (count.div_ceil(PAIRS), &work);
        std::thread::scope(|scope| {
            let all: Vec<_> = self
                .pairs
                .iter_mut()
                .enumerate()
                .map(|(at, pair)| {
                    let mine = share.min(count.saturating_sub(at * share));
                    scope.spawn(move || work(pair, mine))
                })
                .collect();
            all.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(_) => fail("a pair stopped unexpectedly"),
            })
        })
    }

    fn payments(&mut self, count: usize) -> Result<(), Failure> {
        self.all(count, |pair, mine| {
            (0..mine).try_for_each(|_| pair.pay())?;
            // The merchant's receipts up, the users' down.
            pair.terminal.update(&mut pair.merchants, now())?;
            pair.wallet.update(&mut pair.users, now())?;
            Ok(())
        })
    }

    fn purchases(&mut self, count: usize) -> Result<(), Failure> {
        self.all(count, |pair, mine| (0..mine).try_for_each(|_| pair.buy()))
    }

    /// Agrees to `count` purchases while the processor is held still, kills the provider, and measures from its restart until all
    /// of them are delivered. Seconds.
    fn resume(&mut self, count: usize) -> Result<f64, Failure> {
        let delivered = "SELECT count(*) FROM purchase WHERE state = 5";
        let before = self.ask(delivered)?;
        // What the provider asks meanwhile finds nobody: the purchases stand authorized by nobody yet.
        self.clearing.hold(true)?;
        self.all(count, |pair, mine| {
            (0..mine).try_for_each(|_| match begun(&mut pair.wallet, &mut pair.quick)?.1 {
                BuyNotice::Waiting { .. } => Ok(()),
                other => fail(format!("a purchase is not under way: {other:?}")),
            })
        })?;
        let open = self.ask("SELECT count(*) FROM purchase WHERE state = 2")?;
        if open != count as u64 {
            return fail(format!("{open} purchases are under way, {count} were begun"));
        }
        self.provider.kill()?;
        self.clearing.hold(false)?;
        let started = Instant::now();
        self.provider.restart()?;
        while self.ask(delivered)? < before + count as u64 {
            if started.elapsed() > Duration::from_secs(120) {
                return fail("purchases were not resumed within two minutes");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(started.elapsed().as_secs_f64())
    }

    fn ask(&self, sql: &str) -> Result<u64, Failure> {
        let database = self.folder.join("provider").join("provider.db");
        let connection = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
    }
}

impl Pair {
    /// One payment by credit of one dollar: offer and price in memory, the user's line, the merchant's until it is paid, and
    /// what the user hears then.
    fn pay(&mut self) -> Result<(), Failure> {
        let Some(amount) = Amount::new(Unit::USD, 100) else {
            return fail("no amount");
        };
        let (request, transaction) = offer(&mut self.terminal, &mut self.wallet, amount)?;
        match self.wallet.credit(&mut self.quick, request, now())? {
            CreditNotice::Waiting { .. } => {}
            other => return fail(format!("the wallet did not pay: {other:?}")),
        }
        loop {
            match self.terminal.credit(&mut self.merchants, transaction, now())? {
                ClaimNotice::Paid { .. } => break,
                ClaimNotice::Waiting { .. } => {}
                other => return fail(format!("the terminal was not paid: {other:?}")),
            }
        }
        match self.wallet.credit(&mut self.users, request, now())? {
            CreditNotice::Cleared => Ok(()),
            other => fail(format!("the wallet did not hear of it: {other:?}")),
        }
    }

    /// One card bought.
    fn buy(&mut self) -> Result<(), Failure> {
        let (purchase, mut notice) = begun(&mut self.wallet, &mut self.users)?;
        loop {
            match notice {
                BuyNotice::Delivered { .. } => return Ok(()),
                BuyNotice::Waiting { .. } => notice = self.wallet.purchase(&mut self.users, purchase, now())?,
                other => return fail(format!("nothing was bought: {other:?}")),
            }
        }
    }
}

fn the_article(wallet: &mut Wallet<MemoryVault>, post: &mut HttpPost) -> Result<Article, Failure> {
    match wallet.catalogue(post, now())?.into_iter().next() {
        Some(article) => Ok(article),
        None => fail("nothing is for sale"),
    }
}

/// Reserves one and agrees to its price.
fn begun(wallet: &mut Wallet<MemoryVault>, post: &mut HttpPost) -> Result<(RequestNumber, BuyNotice), Failure> {
    let article = the_article(wallet, post)?;
    let (purchase, kept) = wallet.reserve(post, article, None, now())?;
    if !matches!(kept, BuyNotice::Reserved { .. }) {
        return fail(format!("nothing was reserved: {kept:?}"));
    }
    Ok((purchase, wallet.buy(post, purchase, PaymentOption::Once, now())?))
}

/// Offer, price and agreement, frame by frame in memory: the user's request, and the terminal's number of the charge.
fn offer(
    terminal: &mut Terminal<MemoryVault>,
    wallet: &mut Wallet<MemoryVault>,
    amount: Amount,
) -> Result<(RequestNumber, u64), Failure> {
    let payer = wallet.credit_payer(PaymentOption::Once, now())?;
    let sale = terminal.sale(amount, Some("coffee".into()))?;
    let mut till = terminal.tap(sale, now())?;
    let (mut tap, hello) = WalletTap::touch(CreditPay::new(payer), now().entropy)?;
    let (mut frames, mut request, mut transaction) = (vec![hello], None, None);
    while let Some(frame) = frames.pop() {
        let answer = till.receive(&frame, now(), &mut terminal.device)?;
        for notice in answer.notices {
            if let TerminalNotice::CreditAsked { transaction: number, .. } = notice {
                transaction = Some(number);
            }
        }
        for frame in answer.frames {
            let mut step = tap.receive(&frame, now(), &mut wallet.device)?;
            if step.notices.iter().any(|notice| matches!(notice, CreditNotice::Consent { .. })) {
                step = tap.event(Event::Agreed, now(), &mut wallet.device)?;
            }
            for notice in step.notices {
                if let CreditNotice::Ready(number) = notice {
                    request = Some(number);
                }
            }
            frames.extend(step.frames);
        }
    }
    match request.zip(transaction) {
        Some(both) => Ok(both),
        None => fail("an offer of credit broke off"),
    }
}

/// What each thing that the floor is made of costs here and now, in microseconds.
struct Costs {
    sign: f64,
    verify: f64,
    hpke: f64,
    channel: f64,
}

impl Costs {
    /// A message of a middling length, a thousand times.
    fn measure() -> Result<Self, Failure> {
        const TIMES: usize = 1000;
        let (key, message) = (SecretKey::from_seed(Algorithm::Ed25519, &entropy::fresh()), vec![7; 400]);
        let (public, signature) = (key.public(), key.sign(&message));
        let mut good = 0;
        let sign = microseconds_each(TIMES, || good = (0..TIMES).filter(|_| key.sign(&message) == signature).count());
        let verify = microseconds_each(TIMES, || {
            good += (0..TIMES).filter(|_| NativeVerifier.verify(&public, &message, &signature)).count();
        });
        let secret = SealingSecret::from_seed(&entropy::fresh());
        let (sealing, party) = (secret.public(), PartyId([1; 16]));
        let hpke = microseconds_each(TIMES * 2, || {
            let opened = |_: &usize| {
                let sealed = seal_to(entropy::fresh(), party, None, &sealing, &message);
                sealed.is_ok_and(|(sealed, _)| open(&secret, &sealed).is_ok_and(|(plain, _)| plain == message))
            };
            good += (0..TIMES).filter(opened).count();
        });
        let Ok((_, channel)) = seal_to(entropy::fresh(), party, None, &sealing, &message) else {
            return fail("nothing can be sealed");
        };
        let within = microseconds_each(TIMES * 2, || {
            let opened = |_: &usize| {
                let sealed = channel.seal(entropy::fresh(), party, None, &message);
                channel.open(&sealed).is_ok_and(|plain| plain == message)
            };
            good += (0..TIMES).filter(opened).count();
        });
        if good != TIMES * 4 {
            return fail("something of the floor does not hold");
        }
        Ok(Self { sign, verify, hpke, channel: within })
    }
}
