//! The simulated town: one seed drives wallets, terminals, issuer and provider, and everything that goes wrong.
//!
//! The parts are the real ones, and only bytes pass between them. There is no clock, no thread and no other chance than
//! the seed's inside a town: the same seed is the same story. First faults, then calm; then nothing that must never
//! happen has happened, everything has moved, and the auditor agrees.

mod act;
mod banking;
mod calm;
mod cheat;
mod check;
mod clearing;
mod counter;
mod courier;
mod dial;
mod dice;
mod fault;
mod figures;
mod known;
mod link;
mod matrix;
mod park;
mod post;
mod surf;
mod talk;
mod tap;
mod template;
mod town;
mod trouble;
mod venue;
mod visit;

pub use fault::{FrameFault, Mix, NetFault};
pub use figures::Figures;
pub use matrix::{Cell, Conversation, matrix, one_of, table, undisturbed};
pub use venue::PageFault;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use tegata_core::step::Broken;
use town::Town;

/// How a seed is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Rules broken on purpose, to show that it is noticed.
    pub broken: Broken,
    /// What goes wrong how often; absent: the seed draws its own mix.
    pub mix: Option<Mix>,
    /// Whether the provider of a seed that draws its own mix may be put back from a backup; absent: it draws that as well.
    pub restoring: Option<bool>,
    /// Whether a seed that draws its own mix has credit in its town; absent: it draws that as well.
    pub credit: Option<bool>,
    /// Whether the issuer of a seed that draws its own mix, with credit, sells over the network; absent: it draws that as well.
    pub buying: Option<bool>,
    /// Whether a seed that draws its own mix, with credit, has bank cards that refuse in the end; absent: it draws that as well.
    pub refusing: Option<bool>,
    /// Whether people and merchants of a seed that draws its own mix write letters; absent: it draws that as well.
    pub letters: Option<bool>,
    /// Whether a seed that draws its own mix has contracts and a bank that pays; absent: it draws that as well.
    pub settling: Option<bool>,
    /// Whether a seed that draws its own mix has an event; absent: it draws that as well. Its tickets are sold by credit: not where
    /// `credit` or `buying` say no.
    pub tickets: Option<bool>,
    /// Whether tickets of a seed that draws its own mix, with an event, are given on; absent: it draws that as well.
    pub giving: Option<bool>,
    /// Whether the event of a seed that draws its own mix, and has one, is changed or cancelled; absent: it draws that as well.
    pub changing: Option<bool>,
    /// Whether people of a seed that draws its own mix call each other; absent: it draws that as well.
    pub calls: Option<bool>,
    /// Whether the gates of a seed that draws its own mix, with an event, have staff; absent: it draws that as well.
    pub staff: Option<bool>,
    /// Whether gates of a seed that draws its own mix, with an event, are lost; absent: it draws that as well.
    pub losing: Option<bool>,
    /// Whether tickets of a seed that draws its own mix, with an event, are sold by number; absent: it draws that as well.
    pub booth: Option<bool>,
    /// Whether people of a seed that draws its own mix, with an event, wait for few tickets; absent: it draws that as well.
    pub queue: Option<bool>,
    /// Whether people and merchants of a seed that draws its own mix, with letters and calls, call each other by numbers; absent: it
    /// draws that as well.
    pub ringing: Option<bool>,
    /// Whether the story is written down.
    pub traced: bool,
}

impl Options {
    /// Everything as the seed draws it, and no rule broken.
    pub const PLAIN: Self = Self {
        broken: Broken::NONE,
        mix: None,
        restoring: None,
        credit: None,
        buying: None,
        refusing: None,
        letters: None,
        settling: None,
        tickets: None,
        giving: None,
        changing: None,
        calls: None,
        staff: None,
        losing: None,
        booth: None,
        queue: None,
        ringing: None,
        traced: false,
    };
}

/// How a seed ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What must never happen, and did. Empty: all is well.
    pub wrong: Vec<String>,
    /// What happened, if it was written down.
    pub story: Vec<String>,
    /// Payments made.
    pub payments: u64,
    /// Faults that happened.
    pub faults: u64,
    /// What else happened, counted.
    pub figures: Figures,
}

impl Outcome {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Runs one seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let lived = catch_unwind(AssertUnwindSafe(|| live(seed, options)));
    lived.unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        let wrong = vec![format!("a part panicked: {}", why.unwrap_or_default())];
        Outcome { seed, wrong, ..Outcome::default() }
    })
}

fn live(seed: u64, options: &Options) -> Outcome {
    let mut town = match Town::new(seed, options) {
        Ok(town) => town,
        Err(why) => return Outcome { seed, wrong: vec![why], ..Outcome::default() },
    };
    town.live();
    town.calm();
    let wrong = town.judge();
    let (payments, faults, figures) = (town.payments, town.faults + town.center.faults(), town.figures());
    Outcome { seed, wrong, story: town.story.take().unwrap_or_default(), payments, faults, figures }
}

/// The story of a seed, and what is wrong with it, for people.
pub fn trace(seed: u64, options: &Options) -> String {
    let outcome = run(seed, &Options { traced: true, ..*options });
    let mut text = format!("seed {seed}\n");
    for line in outcome.story.iter().chain(&[String::new()]) {
        text.push_str(line);
        text.push('\n');
    }
    match outcome.wrong.is_empty() {
        true => text.push_str("nothing is wrong\n"),
        false => outcome.wrong.iter().for_each(|wrong| text.push_str(&format!("WRONG: {wrong}\n"))),
    }
    text
}

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many were run.
    pub seeds: u64,
    /// Those that failed, in order, with what is wrong.
    pub failures: Vec<(u64, String)>,
    /// Payments in all.
    pub payments: u64,
    /// Faults in all.
    pub faults: u64,
    /// What else happened, in all.
    pub figures: Figures,
}

/// Runs a range of seeds on so many threads (0: one a core); `progress` is told after each how many are done. Each seed's
/// town stays on one thread.
pub fn run_many(range: Range<u64>, options: &Options, threads: usize, mut progress: impl FnMut(u64)) -> Summary {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores } else { threads };
    let next = AtomicU64::new(range.start);
    let mut summary = Summary::default();
    template::template();
    let (done, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, done, end) = (&next, done.clone(), range.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || done.send(run(seed, options)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        for outcome in results {
            summary.seeds += 1;
            summary.payments += outcome.payments;
            summary.faults += outcome.faults;
            summary.figures += outcome.figures;
            if !outcome.is_clean() {
                summary.failures.push((outcome.seed, outcome.wrong.join("; ")));
            }
            progress(summary.seeds);
        }
    });
    summary.failures.sort();
    summary
}
