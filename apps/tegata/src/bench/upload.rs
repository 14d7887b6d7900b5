//! Uploads: HTTP in, opened, decoded, verified, judged, posted durably, acknowledged under a signature - in the provider's
//! own process - against the floor: one bare check of each signature that is required, and inserts of the same rows.
#![allow(clippy::float_arithmetic)] // microseconds, never money

use super::tap::tap;
use crate::measure::{self, microseconds_each, rounded};
use crate::place::now;
use crate::replay::shop::{device, joined, terms};
use crate::rig::ProviderProcess;
use crate::screen::{Failure, Screen, fail};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tegata_core::card::CardEvent;
use tegata_core::talk::pay::{Claim, load_purse};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Algorithm, PublicKey, Signature, Verifier};
use tegata_core::{Amount, Time, Unit};
use tegata_crypto_native::NativeVerifier;
use tegata_device::{HttpPost, Now, join};
use tegata_issuer::Issuer;
use tegata_terminal::Terminal;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

/// Wallets that pay.
const WALLETS: usize = 40;
/// Checks in one upload.
const BATCH: usize = 1000;

/// A provider in a process of its own, one terminal, and wallets with a card each.
pub struct Town {
    provider: ProviderProcess,
    folder: PathBuf,
    /// The terminal.
    pub terminal: Terminal<MemoryVault>,
    /// The wallets.
    pub wallets: Vec<Wallet<MemoryVault>>,
}

impl Drop for Town {
    fn drop(&mut self) {
        // What cannot be removed is left to the machine's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What was measured.
pub struct Uploaded {
    /// CPU of the provider's process, each check.
    pub cpu_us: f64,
    /// Of the floor.
    pub floor_us: f64,
    verify_us: f64,
    insert_us: f64,
    wall_us: f64,
    checks: usize,
}

impl Uploaded {
    /// How many times the floor.
    pub fn ratio(&self) -> f64 {
        self.cpu_us / self.floor_us
    }
    /// Figures.
    pub fn json(&self) -> Value {
        json!({
            "cpu_us_per_check": rounded(self.cpu_us, 1),
            "floor_us_per_check": rounded(self.floor_us, 1),
            "ratio": rounded(self.ratio(), 3),
            "floor_verify_us": rounded(self.verify_us, 1),
            "floor_insert_us": rounded(self.insert_us, 1),
            "wall_us_per_check": rounded(self.wall_us, 1),
            "checks": self.checks,
        })
    }
}

impl Town {
    /// Opens it, wallets with card keys of this algorithm.
    pub fn open(algorithm: Algorithm) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tegata-bench-{}-{algorithm:?}", std::process::id()));
        let clock = now().time;
        let provider = ProviderProcess::start(&folder, clock)?;
        let (mut post, info) = (HttpPost::new(&provider.url())?, provider.info()?);
        let at = Now { time: clock, entropy: now().entropy };
        let issuer = joined(&mut post, &info, provider.invite("issuer", &["Issuer".into()], None)?, Role::Issuer, at)?;
        let mut issuer = Issuer::new(issuer);
        let Some(face) = Amount::new(Unit::USD, 200_000) else {
            return fail("no face value");
        };
        let until = at.time.after(3650 * Time::DAY);
        let terms = terms(issuer.party()?);
        let batch = issuer.order(&mut post, terms, face, (WALLETS as u64, until), fresh(at))?;
        issuer.activate(&mut post, batch, (1, WALLETS as u64), fresh(at))?;
        let merchant =
            joined(&mut post, &info, provider.invite("merchant", &["Shop".into()], None)?, Role::Merchant, at)?;
        let Some(owner) = merchant.certificate().map(|certificate| certificate.claimed().subject.party()) else {
            return fail("the merchant did not join");
        };
        let token = provider.invite("terminal", &["Till".into()], Some(owner))?;
        let terminal = joined(&mut post, &info, token, Role::Terminal, fresh(at))?;
        let names: Vec<String> = (0..WALLETS).map(|number| format!("wallet {number}")).collect();
        let mut wallets = Vec::new();
        for ((token, name), number) in
            provider.invite("wallet", &names, None)?.iter().zip(&names).zip(issuer.print(batch)?)
        {
            let mut wallet = Wallet::new(device(Algorithm::Ed25519), algorithm);
            join(&mut wallet.device, &mut post, &info, token, Role::Wallet, name, fresh(at))?;
            wallet.install(&mut post, &number.number.to_string(), None, fresh(at))?;
            wallet.update(&mut post, fresh(at))?;
            wallets.push(wallet);
        }
        Ok(Self { provider, folder, terminal: Terminal::new(terminal), wallets })
    }
    /// The town's time.
    pub fn at(&self) -> Now {
        now()
    }
    fn database(&self) -> PathBuf {
        self.folder.join("provider").join("provider.db")
    }
}

fn fresh(at: Now) -> Now {
    Now { entropy: now().entropy, ..at }
}

/// Uploads `batches` of 1,000 checks each.
pub fn measure(screen: Screen, mut town: Town, batches: usize) -> Result<Uploaded, Failure> {
    let mut post = HttpPost::new(&town.provider.url())?;
    // What the taps before left, so that every batch measured is a full one.
    town.terminal.update(&mut post, now())?;
    let before = town.folder.join("before.db");
    snapshot(&town.database(), &before)?;
    let first = town.terminal.payments()?.last().map_or(0, |payment| payment.transaction) + 1;
    let bar = screen.progress(batches as u64, "uploads");
    let (mut cpu, mut wall) = (0.0, 0.0);
    for _ in 0..batches.max(1) {
        for number in 0..BATCH {
            tap(&mut town.wallets[number % WALLETS], &mut town.terminal, now())?;
        }
        let (spent, started) = (provider_cpu(&town)?, std::time::Instant::now());
        town.terminal.update(&mut post, now())?;
        wall += started.elapsed().as_secs_f64();
        cpu += provider_cpu(&town)? - spent;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let checks = batches.max(1) * BATCH;
    let verify_us = bare_checks(&town, first, checks)?;
    let after = town.folder.join("after.db");
    snapshot(&town.database(), &after)?;
    let insert_us = bare_inserts(&before, &after, &town.folder.join("floor.db"), (checks, checks.div_ceil(BATCH)))?;
    Ok(Uploaded {
        cpu_us: cpu * 1e6 / checks as f64,
        floor_us: verify_us + insert_us,
        verify_us,
        insert_us,
        wall_us: wall * 1e6 / checks as f64,
        checks,
    })
}

fn provider_cpu(town: &Town) -> Result<f64, Failure> {
    match measure::cpu_seconds(town.provider.pid()) {
        Some(seconds) => Ok(seconds),
        None => fail("the provider's process is gone"),
    }
}

/// One bare check of the card's signature on each check uploaded.
fn bare_checks(town: &Town, first: u64, checks: usize) -> Result<f64, Failure> {
    let Some(terminal) = town.terminal.device.id() else {
        return fail("the terminal has not joined");
    };
    let mut keys = std::collections::HashMap::new();
    for wallet in &town.wallets {
        for held in wallet.cards()? {
            if let Some(purse) = load_purse(wallet, held.card) {
                keys.insert(held.card, purse.certificate.claimed().key);
            }
        }
    }
    let mut work: Vec<(PublicKey, Vec<u8>, Signature)> = Vec::with_capacity(checks);
    for transaction in first.. {
        let Some(claim) = town.terminal.claim(transaction) else {
            break;
        };
        work.extend(required(&claim, terminal, &keys));
    }
    if work.len() != checks {
        return fail(format!("{} checks were uploaded, {} have a signature", checks, work.len()));
    }
    let mut good = 0;
    let each = microseconds_each(checks, || {
        good = work.iter().filter(|(key, tbs, signature)| NativeVerifier.verify(key, tbs, signature)).count();
    });
    if good == checks { Ok(each) } else { fail("a signature of the floor does not verify") }
}

fn required(
    claim: &Claim,
    terminal: tegata_core::DeviceId,
    keys: &std::collections::HashMap<tegata_core::CardId, PublicKey>,
) -> Option<(PublicKey, Vec<u8>, Signature)> {
    let (card, generation, check) = (claim.card?, claim.generation?, claim.check.as_ref()?);
    let tbs = check.tbs(&CardEvent::context(card, generation, &claim.counterpart(terminal)));
    let signature = *check.encode().last_chunk::<64>()?;
    Some((*keys.get(&card)?, tbs, Signature(signature)))
}

/// A copy of a database that another process is using.
pub(super) fn snapshot(database: &Path, to: &Path) -> Result<(), Failure> {
    let connection = Connection::open(database)?;
    connection.execute("VACUUM INTO ?1", [to.display().to_string()])?;
    Ok(())
}

/// Inserts the rows that were added, into the same schema, in so many transactions, as durably; microseconds for each item.
pub(super) fn bare_inserts(
    before: &Path,
    after: &Path,
    floor: &Path,
    (checks, batches): (usize, usize),
) -> Result<f64, Failure> {
    let source = Connection::open(after)?;
    source.execute("ATTACH ?1 AS old", [before.display().to_string()])?;
    let mut target = Connection::open(floor)?;
    target.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    let mut tables: Vec<(String, Vec<Vec<Cell>>)> = Vec::new();
    let mut listed = source.prepare(
        "SELECT name, sql, type FROM main.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC",
    )?;
    let found = listed.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
    for entry in found {
        let (name, sql, sort): (String, String, String) = entry?;
        target.execute_batch(&sql)?;
        if sort == "table" {
            let rows = added(&source, &name)?;
            tables.push((name, rows));
        }
    }
    let total: usize = tables.iter().map(|(_, rows)| rows.len()).sum();
    if total < checks {
        return fail(format!("only {total} rows were added for {checks} checks"));
    }
    let mut failed = None;
    let each = microseconds_each(checks, || {
        for batch in 0..batches {
            if let Err(error) = insert_share(&mut target, &tables, batch, batches) {
                failed = Some(error);
            }
        }
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(each),
    }
}

/// Rows of a table that are in `main` and not in `old`.
fn added(source: &Connection, table: &str) -> Result<Vec<Vec<Cell>>, Failure> {
    let mut statement = source.prepare(&format!("SELECT * FROM main.{table} EXCEPT SELECT * FROM old.{table}"))?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn insert_share(
    target: &mut Connection,
    tables: &[(String, Vec<Vec<Cell>>)],
    batch: usize,
    batches: usize,
) -> rusqlite::Result<()> {
    let transaction = target.transaction()?;
    for (name, rows) in tables.iter().filter(|(_, rows)| !rows.is_empty()) {
        let marks = vec!["?"; rows[0].len()].join(",");
        let mut statement = transaction.prepare_cached(&format!("INSERT OR REPLACE INTO {name} VALUES ({marks})"))?;
        let (from, until) = (rows.len() * batch / batches, rows.len() * (batch + 1) / batches);
        for row in &rows[from..until] {
            statement.execute(params_from_iter(row))?;
        }
    }
    transaction.commit()
}
