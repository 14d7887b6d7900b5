//! People at the doors: each touches until the gate says something, and what it says first counts. Nobody is let in at a second try.

use super::crowd::{Crowd, PATIENCE, Person};
use super::kills::Killed;
use crate::place::now;
use crate::replay::shop::lock;
use crate::screen::{Failure, fail};
use indicatif::ProgressBar;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tegata_core::CardId;
use tegata_core::talk::enter::WalletEnterNotice;
use tegata_wallet::{WalletError, enter_at};

/// How long somebody stands before a gate that says nothing.
const STANDS: Duration = Duration::from_secs(60);

/// What was counted at the doors.
#[derive(Default)]
pub struct Counted {
    /// Tickets by which somebody honest came in.
    pub admitted: BTreeSet<CardId>,
    /// Every word of a gate to somebody honest that was another than it must be.
    pub honest_refused: u64,
    /// People who went out for a while.
    pub left: u64,
    /// Those of them who came in again.
    pub returned: u64,
    /// Touches that a gate did not answer at all: it was killed then, and they touched again.
    unanswered: Vec<Silence>,
    /// Screenshots that came in.
    pub copies_admitted: u64,
    /// Cloned wallets that came in.
    pub clones_admitted: u64,
    /// Let in by the gates that were cut off, until they were heard again.
    pub alone: u64,
    /// For how long they were, by the clock that gates and wallets go by.
    pub cut_off: Duration,
    /// Copies of what was handed on that came in.
    pub gift_copies_admitted: u64,
    /// Why somebody was not let in, and how often.
    pub whys: BTreeMap<String, u64>,
}

/// A gate said nothing.
struct Silence {
    /// Its place.
    gate: usize,
    /// When it was touched.
    from: Instant,
    /// When nothing more was to be expected.
    until: Instant,
    /// Whether it was this person's first touch of it.
    is_first: bool,
}

impl Counted {
    /// Somebody honest was told this.
    fn refused(&mut self, doing: &str, told: &WalletEnterNotice) {
        let why = match told {
            WalletEnterNotice::Refused { why, .. } => why.name().to_owned(),
            other => format!("{other:?}"),
        };
        self.honest_refused += 1;
        *self.whys.entry(format!("honest, {doing}: {why}")).or_default() += 1;
    }
    /// How many had to touch again while gates were down. That one said nothing at another time is no better than a refusal.
    pub fn touched_again(&mut self, killed: &Killed) -> u64 {
        let (again, silent): (Vec<Silence>, Vec<Silence>) = std::mem::take(&mut self.unanswered)
            .into_iter()
            .partition(|silence| killed.explains(silence.gate, silence.from, silence.until));
        for silence in silent {
            self.honest_refused += 1;
            *self.whys.entry(format!("honest: gate {} said nothing", silence.gate + 1)).or_default() += 1;
        }
        again.iter().filter(|silence| silence.is_first).count() as u64
    }
}

/// Where people touch, by the gates' places.
pub struct Doors<'a> {
    /// The addresses.
    pub addresses: Vec<String>,
    /// Which of them is the exit.
    pub exit: usize,
    /// What is counted there.
    pub counted: &'a Mutex<Counted>,
}

impl Doors<'_> {
    /// Before which entrance this one of the crowd stands.
    fn of(&self, number: usize) -> usize {
        match number % (self.addresses.len() - 1) {
            door if door < self.exit => door,
            door => door + 1,
        }
    }
    /// Everyone of these comes.
    pub fn come(&self, crowd: &Crowd, of: &[usize], bar: &ProgressBar) -> Result<(), Failure> {
        crowd.each(of, bar, |person, number, _| self.comes_in(person, self.of(number), "coming").map(drop))
    }
    /// Everyone of these goes out, and comes in elsewhere.
    pub fn leave_and_return(&self, crowd: &Crowd, of: &[usize], bar: &ProgressBar) -> Result<(), Failure> {
        crowd.each(of, bar, |person, number, _| {
            match self.touch(person, self.exit)? {
                WalletEnterNotice::Out { .. } => lock(self.counted).left += 1,
                other => {
                    lock(self.counted).refused("leaving", &other);
                    return Ok(());
                }
            }
            if self.comes_in(person, self.of(number + 1), "returning")? {
                lock(self.counted).returned += 1;
            }
            Ok(())
        })
    }
    /// Whether this gate lets in.
    fn comes_in(&self, person: &mut Person, gate: usize, doing: &str) -> Result<bool, Failure> {
        let told = self.touch(person, gate)?;
        let mut counted = lock(self.counted);
        match (told, person.ticket) {
            (WalletEnterNotice::In { .. }, Some(ticket)) => {
                counted.admitted.insert(ticket);
                Ok(true)
            }
            (other, _) => {
                counted.refused(doing, &other);
                Ok(false)
            }
        }
    }
    /// Touches this gate until it says something. One that dies says nothing, and is touched again once it is up: it then says what it
    /// has stored.
    fn touch(&self, person: &mut Person, gate: usize) -> Result<WalletEnterNotice, Failure> {
        let Some(ticket) = person.ticket else { return fail("somebody has no ticket") };
        let (until, mut is_first) = (Instant::now() + STANDS, true);
        loop {
            let from = Instant::now();
            match enter_at(&mut person.wallet, self.addresses[gate].as_str(), (ticket, 1), now) {
                Ok(mut told) => {
                    if let Some(last) = told.pop() {
                        return Ok(last);
                    }
                }
                // Nobody is there.
                Err(WalletError::Link(_)) => {}
                Err(other) => return Err(other.into()),
            }
            lock(self.counted).unanswered.push(Silence { gate, from, until: Instant::now(), is_first });
            is_first = false;
            if Instant::now() > until {
                return fail(format!("gate {} says nothing any more", gate + 1));
            }
            std::thread::sleep(PATIENCE);
        }
    }
}
