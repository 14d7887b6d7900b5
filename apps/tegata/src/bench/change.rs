//! Tens of thousands of tickets changed, then cancelled: in the provider's own process, on its real store, killed in the middle of
//! each. One ticket is bought as people buy them, and its rows are copied for all the other holders; what the change does to them
//! goes through the real rows: commands, certificates' terms, refunds that the processor is asked for. The processor is held still
//! meanwhile: what paying back takes is measured by itself (`refunds.rs`).
#![allow(clippy::float_arithmetic)] // seconds, never money

use crate::measure::{self, rounded};
use crate::place::now;
use crate::replay::shop::{device, joined, terms};
use crate::rig::{ClearingProcess, ProviderProcess};
use crate::screen::{Failure, Screen, fail};
use rusqlite::{Connection, OpenFlags, params};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::buy::{BuyNotice, Listing};
use tegata_core::talk::cards::Done;
use tegata_core::talk::credit::PaymentOption;
use tegata_core::talk::event::{EventPlan, PlannedZone};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Algorithm, Verified};
use tegata_core::{Amount, CardId, EventId, Time, Unit};
use tegata_device::{HttpPost, Now, join};
use tegata_issuer::{Issuer, Wording};
use tegata_vault::{MemoryVault, Vault};
use tegata_wallet::Wallet;

const EVENT: EventId = EventId([0xe1; 16]);
/// Longer than this is a fault.
const PATIENCE: Duration = Duration::from_secs(600);

/// What was measured.
pub struct Changed {
    tickets: usize,
    told: Took,
    cancelled: Took,
}

/// Seconds of the clock, from the promoter's word to the last ticket decided, with a SIGKILL in between; and of CPU, of both
/// processes of the provider.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    cpu: f64,
    /// Of the clock, from the restart to the last ticket.
    resumed: f64,
}

impl Changed {
    /// The heads of [`Self::rows`].
    pub const HEADS: [&str; 5] = ["tickets", "how many", "seconds", "of them after SIGKILL", "cpu seconds"];
    /// Rows of the table.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, took: Took| {
            vec![
                name.to_owned(),
                self.tickets.to_string(),
                format!("{:.1}", took.wall),
                format!("{:.1}", took.resumed),
                format!("{:.1}", took.cpu),
            ]
        };
        vec![row("changed, silence takes the new one", self.told), row("cancelled, refunds asked for", self.cancelled)]
    }
    /// Figures.
    pub fn json(&self) -> Value {
        let of = |took: Took| {
            json!({
                "seconds": rounded(took.wall, 2),
                "resumed_seconds": rounded(took.resumed, 2),
                "cpu_seconds": rounded(took.cpu, 2),
            })
        };
        json!({ "count": self.tickets, "change": of(self.told), "cancel": of(self.cancelled) })
    }
}

/// The town and its one real holder.
struct Hall {
    provider: ProviderProcess,
    clearing: ClearingProcess,
    folder: PathBuf,
    issuer: Issuer<MemoryVault>,
    sold: Terms,
    card: CardId,
}

impl Drop for Hall {
    fn drop(&mut self) {
        // What cannot be removed is left to the machine's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Changes so many tickets, then cancels them.
pub fn measure(screen: Screen, tickets: usize) -> Result<Changed, Failure> {
    screen.say(format!("tickets: {tickets} changed, then cancelled, the provider killed in the middle of each"));
    let mut hall = Hall::open()?;
    hall.provider.kill()?;
    hall.fill(tickets)?;
    hall.provider.restart()?;
    hall.clearing.hold(true)?;
    let Some(ticket) = hall.sold.ticket.clone() else {
        return fail("no ticket's terms");
    };
    let ticket = TicketTerms { from: ticket.from.after(Time::DAY), until: ticket.until.after(Time::DAY), ..ticket };
    let after = Terms { name: "Concert, a day later".into(), ticket: Some(ticket), ..hall.sold.clone() };
    // The deadline passes at once: every holder is told, and then decided by the promoter's rule.
    let told = hall.took(Some(after.clone()), "state IN (3, 5)", tickets)?;
    hall.sold = after;
    let cancelled = hall.took(None, "state = 7", tickets)?;
    let refunds = hall.ask("SELECT count(*) FROM refund")?;
    let of = hall.ask("SELECT count(DISTINCT card) FROM refund")?;
    if (refunds, of) != (tickets as u64, tickets as u64) {
        return fail(format!("{refunds} refunds were asked for {of} of {tickets} tickets: not each once"));
    }
    hall.clearing.hold(false)?;
    Ok(Changed { tickets, told, cancelled })
}

fn fresh(at: Now) -> Now {
    Now { entropy: now().entropy, ..at }
}

impl Hall {
    fn open() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tegata-bench-{}-change", std::process::id()));
        let at = now();
        let provider = ProviderProcess::start_now(&folder)?;
        let clearing = ClearingProcess::start(&provider)?;
        let (mut post, info) = (HttpPost::new(&provider.url())?, provider.info()?);
        let issuer =
            joined(&mut post, &info, provider.invite("issuer", &["Promoter".into()], None)?, Role::Issuer, at)?;
        let mut issuer = Issuer::new(issuer);
        let promoter = issuer.party()?;
        let plan = EventPlan {
            promoter,
            event: EVENT,
            revision: 1,
            name: "Concert".into(),
            place: "Town hall".into(),
            zones: vec![PlannedZone { zone: 1, name: "Hall".into(), extensions: Default::default() }],
            doors: Vec::new(),
            seats: Vec::new(),
            at: at.time,
            extensions: Default::default(),
        };
        let plan = issuer.device.signed(plan)?;
        let _: Verified<Done> = issuer.device.request(&mut post, &plan, fresh(at))?;
        let sold = tickets(terms(promoter), at.time);
        let (Some(face), Some(price)) = (Amount::new(Unit::ENTRIES, 1), Amount::new(Unit::USD, 4_500)) else {
            return fail("no price");
        };
        let listing = Listing {
            issuer: promoter,
            article: 1,
            revision: 1,
            terms: sold.clone(),
            face,
            price,
            stock: 1_000_000,
            until: at.time.after(Time::DAY),
            valid_for: 365 * Time::DAY,
            clear_after: None,
            at: at.time,
            extensions: Default::default(),
        };
        let listing = issuer.device.signed(listing)?;
        let mut kept = Batch::default();
        let key = [b"article".as_slice(), &1_u64.to_be_bytes()].concat();
        kept.put(RecordKey::new(Space::Receipt, key), listing.encode());
        issuer.device.vault.commit(&kept)?;
        let _: Verified<Done> = issuer.device.request(&mut post, &listing, fresh(at))?;
        clearing.enrol(&provider, promoter, "HALL")?;
        let tokens = provider.invite("wallet", &["Holder".into()], None)?;
        let mut wallet = Wallet::new(device(Algorithm::Ed25519), Algorithm::Ed25519);
        for token in &tokens {
            join(&mut wallet.device, &mut post, &info, token, Role::Wallet, "Holder", fresh(at))?;
        }
        wallet.update(&mut post, fresh(at))?;
        clearing.register(&mut wallet, &mut post, &provider.url(), now)?;
        let card = bought(&mut wallet, &mut post)?;
        Ok(Self { provider, clearing, folder, issuer, sold, card })
    }

    fn database(&self) -> PathBuf {
        self.folder.join("provider").join("provider.db")
    }

    fn ask(&self, sql: &str) -> Result<u64, Failure> {
        let connection = Connection::open_with_flags(self.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
    }

    /// Copies the one ticket's rows until there are so many holders, each with a wallet of its own.
    fn fill(&self, tickets: usize) -> Result<(), Failure> {
        let connection = Connection::open(self.database())?;
        let transaction = connection.unchecked_transaction()?;
        // What is replaced in each table's copies; the number makes every id another one.
        let tables = [
            ("device", "device", vec![("device", "?2")]),
            ("card", "card", vec![("card", "?1"), ("wallet", "?2")]),
            ("generation", "card", vec![("card", "?1")]),
            ("ticket", "card", vec![("card", "?1")]),
            ("purchase", "card", vec![("card", "?1"), ("wallet", "?2"), ("number", "?3")]),
            ("purchase_record", "wallet", vec![("wallet", "?2"), ("number", "?3")]),
        ];
        let wallet: Vec<u8> =
            connection.query_row("SELECT wallet FROM card WHERE card = ?1", [self.card.0], |row| row.get(0))?;
        for (table, of, replaced) in tables {
            let statement = connection.prepare(&format!("SELECT * FROM {table} LIMIT 0"))?;
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let columns = names.iter().map(|name| {
                replaced.iter().find(|(column, _)| column == name).map_or(name.as_str(), |(_, mark)| *mark)
            });
            let columns = columns.collect::<Vec<_>>().join(", ");
            // Its wallet may have tried before the bank was there.
            let bought = match table {
                "purchase_record" => "AND number = (SELECT number FROM purchase WHERE card = ?5)",
                _ => "AND ?5 IS NOT NULL",
            };
            // Each mark is bound, used or not.
            let sql = format!(
                "INSERT INTO {table} ({}) SELECT {columns} FROM {table}
                 WHERE {of} = ?4 AND ?1 IS NOT NULL AND ?2 IS NOT NULL AND ?3 IS NOT NULL {bought}",
                names.join(", ")
            );
            let mut insert = connection.prepare(&sql)?;
            let original = if of == "card" { self.card.0.to_vec() } else { wallet.clone() };
            for number in 1..tickets as u64 {
                let id = |sort: u8| {
                    let mut id = [sort; 16];
                    id[8..].copy_from_slice(&number.to_be_bytes());
                    id
                };
                insert.execute(params![id(0xca), id(0xde), id(0xbb), original, self.card.0])?;
            }
        }
        // What they hold was issued.
        let more = i64::try_from(tickets - 1).unwrap_or(i64::MAX);
        let sql = "UPDATE balance SET amount = amount + ?1 WHERE unit = 1000 AND kind IN (1, 3) AND party = x''";
        connection.execute(sql, [more])?;
        transaction.commit()?;
        Ok(())
    }

    /// The promoter's word, a SIGKILL when a half of the tickets has had its turn, and the rest. `decided`: how tickets stand then.
    fn took(&mut self, after: Option<Terms>, decided: &str, tickets: usize) -> Result<Took, Failure> {
        let mut post = HttpPost::new(&self.provider.url())?;
        let started = Instant::now();
        let wording = Wording { text: "Changed".into(), answer_until: now().time.after(1), silence_refunds: false };
        self.issuer.change(&mut post, &self.sold, after, wording, now())?;
        let handle = self.sold.handle().0;
        let count = |hall: &Self, what: &str| -> Result<u64, Failure> {
            let connection = Connection::open_with_flags(hall.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            let sql = format!(
                "SELECT count(*) FROM change JOIN change_ticket USING (change) WHERE change.before = ?1 AND {what}"
            );
            Ok(connection.query_row(&sql, [handle], |row| row.get::<_, i64>(0))?.cast_unsigned())
        };
        while count(self, "TRUE")? < tickets as u64 / 2 {
            if started.elapsed() > PATIENCE {
                return fail("a half of the tickets had no turn within ten minutes");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let first = measure::cpu_seconds(self.provider.pid()).unwrap_or(0.0);
        self.provider.kill()?;
        let killed = Instant::now();
        self.provider.restart()?;
        while count(self, &format!("ended IS NOT NULL AND {decided}"))? < tickets as u64 {
            if started.elapsed() > PATIENCE {
                return fail("not every ticket was decided within ten minutes");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let (wall, resumed) = (started.elapsed().as_secs_f64(), killed.elapsed().as_secs_f64());
        let cpu = first + measure::cpu_seconds(self.provider.pid()).unwrap_or(0.0);
        Ok(Took { wall, cpu, resumed })
    }
}

/// A concert's tickets, otherwise like the cards of these terms.
fn tickets(terms: Terms, at: Time) -> Terms {
    let ticket = TicketTerms {
        event: EVENT,
        place: "Town hall".into(),
        from: at.after(10 * Time::DAY),
        until: at.after(11 * Time::DAY),
        zones: vec![1],
        entries: 1,
        a_day: None,
        day_begins: 0,
        reentry: false,
        companions: 0,
        door: None,
        give_until: None,
        give_price: None,
        refund_until: None,
        seating: None,
        extensions: Default::default(),
    };
    Terms {
        kind: CardKind::Ticket,
        unit: Unit::ENTRIES,
        name: "Concert".into(),
        max_payment: 0,
        offline_limit: 0,
        max_balance: 1,
        max_untouched: 0,
        ticket: Some(ticket),
        ..terms
    }
}

/// Buys the one ticket that is for sale.
fn bought(wallet: &mut Wallet<MemoryVault>, post: &mut HttpPost) -> Result<CardId, Failure> {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let Some(article) = wallet.catalogue(post, now())?.into_iter().next() else {
            return fail("nothing is for sale");
        };
        let (purchase, _) = wallet.reserve(post, article, None, now())?;
        let mut notice = wallet.buy(post, purchase, PaymentOption::Once, now())?;
        while matches!(notice, BuyNotice::Waiting { .. }) && Instant::now() < patience {
            notice = wallet.purchase(post, purchase, now())?;
        }
        match notice {
            BuyNotice::Delivered { card, .. } => return Ok(card),
            // The payee is not known to the processor yet, or the bank has not signed on.
            _ if Instant::now() < patience => std::thread::sleep(Duration::from_millis(100)),
            other => return fail(format!("no ticket was delivered: {other:?}")),
        }
    }
}
