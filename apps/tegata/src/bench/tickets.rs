//! The last tickets of a large house, sold to sixteen at once over real sockets: each seat once, none left, nobody refused while one
//! was free.
#![allow(clippy::float_arithmetic)] // milliseconds, never money

use crate::measure::rounded;
use crate::place::now;
use crate::replay::shop::{device, joined};
use crate::rig::{ClearingProcess, ProviderProcess};
use crate::screen::{Failure, Screen, fail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tegata_core::talk::buy::{Article, BuyNotice, PurchaseRefusal};
use tegata_core::talk::credit::PaymentOption;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, Time, Unit};
use tegata_device::{HttpPost, join};
use tegata_issuer::{Category, Draft, Issuer, Passes};
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

/// Buyers at once.
const BUYERS: usize = 16;
/// How long somebody tries.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured.
pub struct Sold {
    planned: usize,
    sold: usize,
    seconds: f64,
    /// Of each reservation, sorted.
    reserved_ms: Vec<f64>,
    audited: bool,
}

impl Sold {
    /// For people.
    pub fn told(&self) -> String {
        format!(
            "{} tickets of a plan of {} seats sold to {BUYERS} buyers at once in {:.1} s, each seat once; a reservation took {:.1} ms \
             (99 of 100: {:.1} ms)",
            self.sold,
            self.planned,
            self.seconds,
            self.part(50),
            self.part(99)
        )
    }
    /// Figures.
    pub fn json(&self) -> Value {
        json!({
            "contention": {
                "buyers": BUYERS,
                "planned": self.planned,
                "sold": self.sold,
                "seconds": rounded(self.seconds, 2),
                "each_ms": rounded(self.seconds * 1000.0 / self.sold.max(1) as f64, 2),
                "reserve_ms_half": rounded(self.part(50), 2),
                "reserve_ms_99": rounded(self.part(99), 2),
                "clean": self.audited,
            }
        })
    }
    fn part(&self, percent: usize) -> f64 {
        let at = (self.reserved_ms.len() * percent / 100).min(self.reserved_ms.len().saturating_sub(1));
        self.reserved_ms.get(at).copied().unwrap_or(0.0)
    }
}

/// The house; removed with it.
struct House {
    provider: ProviderProcess,
    _clearing: ClearingProcess,
    folder: PathBuf,
    buyers: Vec<Buyer>,
}

struct Buyer {
    wallet: Wallet<MemoryVault>,
    line: HttpPost,
    reserved_ms: Vec<f64>,
}

impl Drop for House {
    fn drop(&mut self) {
        // What cannot be removed is left to the machine's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Sells the last `last` seats of a plan of `planned`.
pub fn measure(screen: Screen, last: usize, planned: usize) -> Result<Sold, Failure> {
    screen.say(format!("tickets: the last {last} of {planned} seats, {BUYERS} buyers at once"));
    let mut house = House::open(last, planned.max(last))?;
    let started = Instant::now();
    let seats = house.rush()?;
    let seconds = started.elapsed().as_secs_f64();
    let each: BTreeSet<u64> = seats.iter().copied().collect();
    if (seats.len(), each.len()) != (last, last) {
        return fail(format!("{} tickets for {} seats were sold, of {last}", seats.len(), each.len()));
    }
    let mut reserved_ms: Vec<f64> = house.buyers.iter().flat_map(|buyer| buyer.reserved_ms.clone()).collect();
    reserved_ms.sort_by(f64::total_cmp);
    let database = house.folder.join("provider").join("provider.db");
    let audited = tegata_audit::audit_file(&database, &tegata_audit::Options::default())?;
    if let Some(difference) = audited.difference {
        return fail(format!("the auditor finds: {difference}"));
    }
    Ok(Sold { planned: planned.max(last), sold: seats.len(), seconds, reserved_ms, audited: true })
}

impl House {
    fn open(last: usize, planned: usize) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tegata-bench-{}-tickets", std::process::id()));
        let at = now();
        let provider = ProviderProcess::start_now(&folder)?;
        let clearing = ClearingProcess::start(&provider)?;
        let (mut post, info) = (HttpPost::new(&provider.url())?, provider.info()?);
        let promoter = joined(&mut post, &info, provider.invite("issuer", &["Hall".into()], None)?, Role::Issuer, at)?;
        let mut promoter = Issuer::new(promoter);
        clearing.enrol(&provider, promoter.party()?, "HALL")?;
        let mut seats = String::from("seat,category\n");
        for seat in 1..=planned {
            writeln!(seats, "{seat},{}", if seat > planned - last { "Last" } else { "Other" })?;
        }
        let categories: Vec<_> = [("Last", last), ("Other", planned - last)]
            .into_iter()
            .filter(|(_, seats)| *seats > 0)
            .map(|(name, _)| category(name, at.time))
            .collect::<Option<_>>()
            .ok_or(tegata_issuer::IssuerError::Face)?;
        let draft = Draft { name: "Concert".into(), place: "Hall".into(), seats: Some(seats), ..Draft::default() };
        promoter.plan(&mut post, &draft, &categories, now())?;
        let names: Vec<_> = (0..BUYERS).map(|number| format!("buyer {number}")).collect();
        let mut buyers = Vec::new();
        for (token, name) in provider.invite("wallet", &names, None)?.iter().zip(&names) {
            let mut wallet = Wallet::new(device(Algorithm::Ed25519), Algorithm::Ed25519);
            join(&mut wallet.device, &mut post, &info, token, Role::Wallet, name, now())?;
            wallet.update(&mut post, now())?;
            clearing.register(&mut wallet, &mut post, &provider.url(), now)?;
            buyers.push(Buyer { wallet, line: HttpPost::new(&provider.url())?, reserved_ms: Vec::new() });
        }
        Ok(Self { provider, _clearing: clearing, folder, buyers })
    }

    /// All buy until nothing is left; gives the seats on their tickets.
    fn rush(&mut self) -> Result<Vec<u64>, Failure> {
        std::thread::scope(|scope| {
            let all: Vec<_> = self.buyers.iter_mut().map(|buyer| scope.spawn(move || buyer.buy_all())).collect();
            all.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(_) => fail("a buyer stopped unexpectedly"),
            })
        })?;
        let _ = &self.provider;
        let mut seats = Vec::new();
        for buyer in &self.buyers {
            let tickets = buyer.wallet.tickets()?;
            seats.extend(tickets.iter().filter_map(|ticket| ticket.purse.certificate.claimed().seat));
        }
        Ok(seats)
    }
}

fn category(name: &str, at: Time) -> Option<Category> {
    let from = at.after(30 * Time::DAY);
    let passes = Passes {
        from,
        until: from.after(Time::DAY),
        zones: Vec::new(),
        entries: 1,
        a_day: None,
        reentry: false,
        companions: 0,
        refund_until: None,
        refundable: true,
        handovers: 0,
        give_until: None,
        give_price: None,
    };
    let price = Amount::new(Unit::USD, 4_500)?;
    Some(Category { name: name.to_owned(), price, stock: None, sold_until: from, passes })
}

impl Buyer {
    /// Buys one after the other until they are sold out.
    fn buy_all(&mut self) -> Result<(), Failure> {
        let offered = self.wallet.catalogue(&mut self.line, now())?;
        let Some(article) = offered.into_iter().find(|article| article.terms.name.ends_with("Last")) else {
            return fail("nothing is for sale");
        };
        while self.buy(&article)? {}
        Ok(())
    }

    /// Whether it got one; the bank that is not there yet is tried again.
    fn buy(&mut self, article: &Article) -> Result<bool, Failure> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let started = Instant::now();
            let (purchase, kept) = self.wallet.reserve(&mut self.line, article.clone(), None, now())?;
            self.reserved_ms.push(started.elapsed().as_secs_f64() * 1000.0);
            match kept {
                BuyNotice::Reserved { .. } => {}
                BuyNotice::Ended(PurchaseRefusal::SoldOut) => return Ok(false),
                other => return fail(format!("refused wrongly: {other:?}")),
            }
            let mut notice = self.wallet.buy(&mut self.line, purchase, PaymentOption::Once, now())?;
            while let BuyNotice::Waiting { .. } = notice {
                notice = self.wallet.purchase(&mut self.line, purchase, now())?;
            }
            match notice {
                BuyNotice::Delivered { .. } => return Ok(true),
                BuyNotice::Ended(PurchaseRefusal::Declined) if Instant::now() < patience => {}
                other => return fail(format!("nothing was bought: {other:?}")),
            }
        }
    }
}
