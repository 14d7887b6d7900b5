//! A cancelled event paid back to the last cent: tickets bought by credit from many wallets, the event cancelled, every refund asked of a
//! real processor and bank, while provider and processor are killed once each; then three sets of books must say that everybody was
//! paid back once.
#![allow(clippy::float_arithmetic)] // seconds, never money

use crate::flags::EventFlags;
use crate::measure::{self, rounded};
use crate::place::now;
use crate::replay::event::crowd::Crowd;
use crate::replay::event::hall::Evening;
use crate::replay::event::kills::Part;
use crate::replay::shop::lock;
use crate::screen::{Failure, Screen, fail};
use indicatif::ProgressBar;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tegata_core::talk::event::Change;

/// Longer than this is a fault.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often the provider's books are looked into.
const LOOK: Duration = Duration::from_millis(20);
/// Refunds that the bank has made, by the provider's books; and tickets of which every refund is known.
const DONE: &str = "SELECT count(*) FROM refund WHERE state = 2";
const ENDED: &str = "SELECT count(*) FROM surrender WHERE ended IS NOT NULL";

/// What was measured.
pub struct PaidBack {
    tickets: u64,
    wall: f64,
    /// Of the clock, from the provider's restart to the last refund.
    resumed: f64,
    provider: f64,
    processor: f64,
}

impl PaidBack {
    /// For people.
    pub fn text(&self) -> String {
        format!(
            "{} tickets bought by credit and cancelled were paid back once each in {:.1} s, {:.0} a second, the processor killed and then the \
             provider ({:.1} s of it after that); CPU a ticket: provider {:.0} us, processor {:.0} us",
            self.tickets,
            self.wall,
            self.tickets as f64 / self.wall,
            self.resumed,
            self.each(self.provider),
            self.each(self.processor),
        )
    }
    /// Figures.
    pub fn json(&self) -> Value {
        json!({
            "count": self.tickets,
            "seconds": rounded(self.wall, 2),
            "resumed_seconds": rounded(self.resumed, 2),
            "a_second": rounded(self.tickets as f64 / self.wall, 0),
            "provider_cpu_us": rounded(self.each(self.provider), 1),
            "processor_cpu_us": rounded(self.each(self.processor), 1),
        })
    }
    /// Microseconds of these seconds, a ticket.
    fn each(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.tickets as f64
    }
}

/// Sells so many tickets and cancels their event.
pub fn measure(screen: Screen, tickets: usize) -> Result<PaidBack, Failure> {
    screen.say(format!(
        "tickets: {tickets} bought by credit, cancelled, paid back by the bank, processor and provider killed meanwhile"
    ));
    let flags = EventFlags { tickets, gates: 1, copies: 0, clones: 0, gifts: Some(0), kill: false, keep: None };
    let mut evening = Evening::open(&flags)?;
    let bar = ProgressBar::hidden();
    let crowd = Crowd::gather(&evening.provider, tickets, &bar)?;
    let all: Vec<usize> = (0..tickets).collect();
    crowd.buy(&all, &bar)?;
    // With the one of the first buyer, for whom the bank was waited.
    let sold = ask(&evening, "SELECT count(*) FROM purchase WHERE state = 5")?;
    let taken = evening.clearing.posted();
    if (tickets as u64) > sold || u64::try_from(taken) != Ok(evening.clearing.captured(&evening.provider)?) {
        return fail(format!("{sold} of {tickets} tickets were sold, and the bank took {taken} cents for them"));
    }
    let before = (cpu(evening.provider.pid())?, cpu(evening.clearing.pid())?);
    let started = Instant::now();
    cancel(&mut evening, &crowd)?;
    until(&evening, DONE, sold / 3)?;
    let mut processor = cpu(evening.clearing.pid())? - before.1;
    evening.kill(Part::Processor)?;
    until(&evening, DONE, sold * 2 / 3)?;
    let mut provider = cpu(evening.provider.pid())? - before.0;
    evening.kill(Part::Provider)?;
    let killed = Instant::now();
    until(&evening, ENDED, sold)?;
    let (wall, resumed) = (started.elapsed().as_secs_f64(), killed.elapsed().as_secs_f64());
    provider += cpu(evening.provider.pid())?;
    processor += cpu(evening.clearing.pid())?;
    agreed(&evening, sold)?;
    Ok(PaidBack { tickets: sold, wall, resumed, provider, processor })
}

/// The promoter cancels the event of these tickets.
fn cancel(evening: &mut Evening, crowd: &Crowd) -> Result<(), Failure> {
    let before = match crowd.people.first().map(lock) {
        Some(person) => match person.ticket {
            Some(ticket) => person.wallet.ticket(ticket)?.terms.handle(),
            None => return fail("somebody has no ticket"),
        },
        None => return fail("nobody has bought a ticket"),
    };
    let (promoter, event, at) = (evening.party()?, evening.event, now().time);
    evening.asks(Change {
        promoter,
        event,
        before,
        after: None,
        moves: None,
        text: "Cancelled".into(),
        answer_until: at.after(1),
        silence_refunds: true,
        at,
        extensions: Default::default(),
    })
}

/// Waits until the provider's books count so many.
fn until(evening: &Evening, sql: &str, count: u64) -> Result<(), Failure> {
    let patience = Instant::now() + PATIENCE;
    while ask(evening, sql)? < count {
        if Instant::now() > patience {
            return fail("not every ticket was paid back within ten minutes");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Whether all three say that everything that was taken is paid back, of each purchase once.
fn agreed(evening: &Evening, sold: u64) -> Result<(), Failure> {
    let asked = ask(evening, "SELECT count(*) FROM refund")?;
    let cards = ask(evening, "SELECT count(DISTINCT card) FROM refund")?;
    let done = ask(evening, DONE)?;
    if [asked, cards, done] != [sold; 3] {
        return fail(format!(
            "{asked} refunds were asked for {cards} of {sold} tickets, and {done} made: not each once"
        ));
    }
    let (refunds, whole) = evening.clearing.refunds();
    if [refunds as u64, whole as u64] != [sold; 2] {
        return fail(format!("the bank made {refunds} refunds, and {whole} of {sold} tickets are paid back whole"));
    }
    let left = (evening.clearing.posted(), evening.clearing.captured(&evening.provider)?);
    if left != (0, 0) {
        return fail(format!("the bank has kept {} cents, the processor {}", left.0, left.1));
    }
    match crate::audit::audit_file(&evening.database())?.difference {
        None => Ok(()),
        Some(difference) => fail(format!("the auditor finds: {difference}")),
    }
}

/// CPU seconds of a process.
fn cpu(pid: u32) -> Result<f64, Failure> {
    match measure::cpu_seconds(pid) {
        Some(seconds) => Ok(seconds),
        None => fail("a process is gone"),
    }
}

fn ask(evening: &Evening, sql: &str) -> Result<u64, Failure> {
    let connection = Connection::open_with_flags(evening.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}
