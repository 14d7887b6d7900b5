//! The audit: what is asked for, what comes out, and the order in which it is done.

use crate::admitted;
use crate::asked::Asked;
use crate::books::{ACCOUNTS, Books};
use crate::cards::Cards;
use crate::changes::Changes;
use crate::contracts::Contracts;
use crate::credit::Credit;
use crate::difference::{Difference, Findings};
use crate::facts::Facts;
use crate::judge::Evidence;
use crate::log::Logs;
use crate::numbers::Numbers;
use crate::prices::Prices;
use crate::reading::{hex, unit_name};
use crate::sold::Sold;
use crate::staff::{self, Staff};
use crate::trust::Trust;
use crate::verdicts::Verdicts;
use crate::{gates, given};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use tegata_core::Time;
use tegata_core::wire::signed::PublicKey;

/// The newest format of the provider's database that this program knows, and the mark of such a file ("Tgtp").
const FORMAT: u32 = 19;
const APPLICATION_ID: u32 = 0x5467_7470;

/// Which uploads' signatures are checked; everything else is always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// One in so many: a sample.
    OneIn(u64),
    /// Those that arrived at this moment or later; earlier ones were audited before.
    Since(Time),
}

impl Scope {
    pub(crate) fn covers(self, upload: u64, at: u64) -> bool {
        match self {
            Self::All => true,
            Self::OneIn(many) => upload.is_multiple_of(many.max(1)),
            Self::Since(time) => at >= time.0,
        }
    }
}

/// How an audit is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The provider's root key as the auditor knows it; absent: the one in the database is believed.
    pub root: Option<PublicKey>,
    /// Which uploads' signatures are checked.
    pub scope: Scope,
}

/// A recomputed balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose value it is, in hexadecimal.
    pub issuer: String,
    /// What it counts, such as `USD`.
    pub unit: String,
    /// Which account: `issued`, `waiting`, `held`, ...
    pub account: &'static str,
    /// The merchant of payable and paid, in hexadecimal; absent for the sum over all.
    pub party: Option<String>,
    /// In minor units.
    pub amount: i128,
}

/// What an audit found. Made of the evidence alone, but for what the crate's documentation names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Entries of devices' logs.
    pub entries: u64,
    /// Uploads that brought them.
    pub uploads: u64,
    /// Signatures checked.
    pub signatures: u64,
    /// Devices that sent a log.
    pub devices: u64,
    /// Cards.
    pub cards: u64,
    /// Checks that cards signed, as either side showed them.
    pub checks: u64,
    /// Payments by credit that were captured.
    pub credits: u64,
    /// Merchants that were ever owed anything.
    pub merchants: u64,
    /// Positions under which a card signed two contents.
    pub forks: u64,
    /// Exceptions recorded.
    pub exceptions: u64,
    /// Exceptions that wait for a person.
    pub open_exceptions: u64,
    /// The recomputed balances.
    pub accounts: Vec<Account>,
    /// The first difference.
    pub difference: Option<Difference>,
    /// How many differences there are, with the first.
    pub differences: u64,
}

impl Audit {
    /// Whether evidence and books agree.
    pub fn is_clean(&self) -> bool {
        self.difference.is_none()
    }
}

/// Why there was no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Nothing is there, or it cannot be read.
    #[error("the provider's database cannot be opened for reading ({0}); check the path and who may read it")]
    Open(rusqlite::Error),
    /// It belongs to another program.
    #[error("this file is no provider's database; check the path")]
    Foreign,
    /// A newer program wrote it.
    #[error("a newer version of this program made this database (format {found}, known {FORMAT}); update this program")]
    Newer {
        /// The format found.
        found: u32,
    },
    /// It holds no provider.
    #[error("this database holds no provider yet; there is nothing to audit")]
    NoProvider,
    /// A table cannot be read as its schema says.
    #[error("the database is damaged or being changed by another program ({0}); restore a backup, or try again")]
    Read(#[from] rusqlite::Error),
}

/// Opens the provider's database read-only and audits it. A running provider is not disturbed: the audit sees the
/// moment at which it began.
///
/// # Errors
/// [`AuditError`]: there was no audit. Differences are no errors.
pub fn audit_file(path: &Path, options: &Options) -> Result<Audit, AuditError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(AuditError::Open)?;
    audit(&connection, options)
}

/// Audits an open database, within one read transaction. Never writes.
///
/// # Errors
/// [`AuditError`]: there was no audit. Differences are no errors.
pub fn audit(connection: &Connection, options: &Options) -> Result<Audit, AuditError> {
    let application: u32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(|_| AuditError::Foreign)?;
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match (application, format) {
        // What the first formats lack is not read of them; the rest has not changed.
        (APPLICATION_ID, 1..=FORMAT) => {}
        (APPLICATION_ID, found) if found > FORMAT => return Err(AuditError::Newer { found }),
        _ => return Err(AuditError::Foreign),
    }
    // Inside somebody's transaction there is one already.
    let moment = if connection.is_autocommit() { Some(connection.unchecked_transaction()?) } else { None };
    let audit = examine(connection, options);
    drop(moment);
    audit
}

/// Evidence first, books last: the first difference is the cause of those after it.
fn examine(connection: &Connection, options: &Options) -> Result<Audit, AuditError> {
    let mut findings = Findings::default();
    let mut signatures = 0;
    let trust = Trust::read(connection, options.root.as_ref(), &mut signatures, &mut findings)?;
    let mut numbers = Numbers::read(connection, &trust, &mut signatures, &mut findings)?;
    let mut asked = Asked::read(connection, &trust, &mut signatures, &mut findings)?;
    let sold = Sold::read(connection, &trust, (&mut asked, &mut numbers), &mut signatures, &mut findings)?;
    let changes = Changes::read(connection, (&trust, &numbers), &mut signatures, &mut findings)?;
    let cards = Cards::read(connection, &trust, (&numbers, &sold, &changes), &mut signatures, &mut findings)?;
    gates::examine(connection, &trust, &mut signatures, &mut findings)?;
    given::examine(connection, &trust, &cards, &mut signatures, &mut findings)?;
    let verdicts = Verdicts::read(connection)?;
    let mut facts = Facts::default();
    let staff = Staff::read(connection, &trust, &mut signatures, &mut findings)?;
    let (cards_of, verdicts_of) = (&cards, &verdicts);
    let prices = Prices::read(connection, &trust, &numbers, &mut signatures, &mut findings)?;
    let logs = Logs {
        connection,
        trust: &trust,
        cards: cards_of,
        prices: &prices,
        staff: &staff,
        verdicts: verdicts_of,
        scope: options.scope,
    };
    let counts = logs.read(&mut facts, &mut findings)?;
    staff::compare(connection, &facts.hands, &mut findings)?;
    admitted::compare(connection, (&facts.admissions, cards_of), verdicts_of, &mut findings)?;
    let credit = Credit::read(connection, &trust, asked, &mut signatures, &mut findings)?;
    let contracts = Contracts::read(connection, &trust, &mut signatures, &mut findings)?;
    let evidence = Evidence {
        trust: &trust,
        numbers: &numbers,
        cards: &cards,
        facts: &facts,
        verdicts: &verdicts,
        credit: &credit,
        sold: &sold,
        changes: &changes,
        contracts: &contracts,
    };
    let forks = evidence.judge(connection, &mut findings)?;
    let mut books = Books::new(&evidence, connection);
    books.compare(&mut findings)?;
    let totals = books.totals;
    let merchants: std::collections::BTreeSet<_> = totals.merchants.keys().map(|(merchant, _)| merchant).collect();
    let mut accounts = Vec::new();
    for ((issuer, unit), sums) in &totals.books {
        let account =
            |account, party, amount| Account { issuer: hex(issuer), unit: unit_name(*unit), account, party, amount };
        accounts.extend(ACCOUNTS.iter().zip(sums).map(|(name, sum)| account(*name, None, *sum)));
        for ((merchant, book), (payable, paid)) in &totals.merchants {
            if *book == (*issuer, *unit) {
                accounts.push(account("payable", Some(hex(merchant)), *payable));
                accounts.push(account("paid", Some(hex(merchant)), *paid));
            }
        }
    }
    Ok(Audit {
        entries: counts.entries,
        uploads: counts.uploads,
        signatures: signatures + counts.signatures,
        devices: counts.devices,
        cards: cards.cards.len() as u64,
        checks: totals.checks,
        credits: (credit.captured.len() + sold.captured.len()) as u64,
        merchants: merchants.len() as u64,
        forks,
        exceptions: verdicts.count,
        open_exceptions: verdicts.open,
        accounts,
        difference: findings.first,
        differences: findings.count,
    })
}
