//! A gate: what an admission costs it with a durable store, what its upload costs the provider, how large a set-up is and how long
//! it takes to apply.
#![allow(clippy::float_arithmetic)] // microseconds, never money

use crate::flags::EventFlags;
use crate::measure::{self, microseconds_each, rounded, thread_nanoseconds};
use crate::place::now;
use crate::replay::event::crowd::{Crowd, Line};
use crate::replay::event::hall::Evening;
use crate::replay::shop::lock;
use crate::screen::{Failure, Screen, fail};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tegata_core::card::ticket::Usage;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::enter::{DeadTicket, Direction, EnterRefusal, GateNotice, MAX_CODE, SeatRun, Setup, Tally};
use tegata_core::talk::event::{GateOrder, Seat};
use tegata_core::talk::journal::{Journal, LogEntry};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Algorithm, Verifier};
use tegata_core::{CardId, Hash};
use tegata_crypto_native::code::CodeCost;
use tegata_crypto_native::{NativeVerifier, SecretKey, entropy};
use tegata_device::{Device, KeyRing, join};
use tegata_gate::Gate;
use tegata_vault::{SqliteVault, Vault, VaultError};

/// How many tickets a large event has.
const LARGE: usize = 100_000;
/// How many of them let nobody in any more, and are named: far more than any event has seen. A gate knows no others by name, so
/// that each costs nothing but these, 20 bytes each.
const DEAD: usize = LARGE / 2;

/// Seats of a row, rows of a block, of an event whose tickets are all for seats.
const HALL: (usize, usize) = (25, 40);

/// What was measured.
pub struct Measured {
    admission_us: f64,
    floor_us: f64,
    upload_us: f64,
    code_bytes: usize,
    exchanges: usize,
    setup_bytes: usize,
    names_bytes: usize,
    setup_s: f64,
    count: usize,
}

impl Measured {
    /// In words.
    pub fn text(&self) -> String {
        format!(
            "gate: {:.0} us CPU an admission ({:.0} a second on one core), floor {:.0} us (ratio {:.2}), {:.0} us provider CPU to upload it; \
             code {} bytes, tap {} exchanges; set-up for {LARGE} tickets with seats, {DEAD} of them dead, {:.2} MB ({:.2} MB of it what stands \
             on the seats), applied in {:.2} s",
            self.admission_us,
            1e6 / self.admission_us,
            self.floor_us,
            self.admission_us / self.floor_us,
            self.upload_us,
            self.code_bytes,
            self.exchanges,
            self.setup_bytes as f64 / 1e6,
            self.names_bytes as f64 / 1e6,
            self.setup_s,
        )
    }
    /// Figures.
    pub fn json(&self) -> Value {
        json!({
            "admission_us": rounded(self.admission_us, 1),
            "admissions_a_second": rounded(1e6 / self.admission_us, 0),
            "admission_floor_us": rounded(self.floor_us, 1),
            "admission_ratio": rounded(self.admission_us / self.floor_us, 3),
            "upload_us": rounded(self.upload_us, 1),
            "code_bytes": self.code_bytes,
            "exchanges": self.exchanges,
            "setup_bytes": self.setup_bytes,
            "setup_names_bytes": self.names_bytes,
            "setup_s": rounded(self.setup_s, 3),
            "count": self.count,
        })
    }
}

/// So many people before one gate.
pub fn measure(screen: Screen, count: usize) -> Result<Measured, Failure> {
    screen.say(format!("tickets: {count} sold, shown to one gate, uploaded"));
    let flags = EventFlags { tickets: count, gates: 1, copies: 0, clones: 0, gifts: Some(0), kill: false, keep: None };
    let mut evening = Evening::open(&flags)?;
    let bar = ProgressBar::hidden();
    let crowd = Crowd::gather(&evening.provider, count, &bar)?;
    let all: Vec<usize> = (0..count).collect();
    crowd.buy(&all, &bar)?;
    let mut gate = equip(&mut evening)?;
    let (mut nanoseconds, mut exchanges, mut code_bytes) = (0, 0, 0);
    for number in &all {
        let person = &mut *lock(&crowd.people[*number]);
        let Some(ticket) = person.ticket else { return fail("somebody has no ticket") };
        code_bytes = code_bytes.max(person.wallet.window(ticket, 1, 1, now())?.len());
        let (mut tap, hello) = person.wallet.enter(ticket, 1, now())?;
        let (mut up, mut opened) = (vec![hello], false);
        exchanges = 0;
        let mut door = None;
        while let Some(frame) = up.pop() {
            exchanges += 1;
            let before = thread_nanoseconds();
            let door = match &mut door {
                Some(door) => door,
                None => door.insert(gate.tap()?),
            };
            let step = door.receive(&frame, now(), &mut gate.device)?;
            nanoseconds += thread_nanoseconds() - before;
            opened |= step.notices.iter().any(|notice| matches!(notice, GateNotice::Open(_)));
            for frame in step.frames {
                up.extend(tap.receive(&frame, now(), &mut person.wallet.device)?.frames);
            }
        }
        if !opened {
            return fail("somebody was not let in");
        }
    }
    if code_bytes > MAX_CODE {
        return fail(format!("a code has {code_bytes} bytes"));
    }
    let floor_us = floor(&gate, &evening.folder.join("floor.db"))?;
    let mut line = Line::open(&evening.provider.url())?;
    let before = measure::cpu_seconds(evening.provider.pid());
    gate.update(&mut line, now())?;
    let spent = measure::cpu_seconds(evening.provider.pid()).zip(before);
    let Some((after, before)) = spent else { return fail("the provider's process is gone") };
    if gate.waiting() != 0 {
        return fail("the gate's log is not with the provider");
    }
    let (setup_bytes, names_bytes, setup_s) = large(&mut gate)?;
    Ok(Measured {
        admission_us: nanoseconds as f64 / 1_000.0 / count as f64,
        floor_us,
        upload_us: (after - before) * 1e6 / count as f64,
        code_bytes,
        exchanges,
        setup_bytes,
        names_bytes,
        setup_s,
        count,
    })
}

/// A gate on a real database, in its place.
fn equip(evening: &mut Evening) -> Result<Gate<SqliteVault>, Failure> {
    let mut vault = SqliteVault::create(evening.folder.join("gate.db"))?;
    let bound = entropy::fresh();
    let ring = KeyRing::create(&mut vault, None, &bound, Algorithm::Ed25519, CodeCost::default())?;
    let mut device = Device::new(vault, ring, &NativeVerifier);
    let promoter = evening.party()?;
    let token = evening.provider.invite("gate", &["door".into()], Some(promoter))?.remove(0);
    let mut line = Line::open(&evening.provider.url())?;
    join(&mut device, &mut line, &evening.provider.info()?, &token, Role::Gate, "door", now())?;
    let Some(gate) = device.id() else { return fail("the gate did not join") };
    let (event, at) = (evening.event, now().time);
    let direction = Direction::In;
    evening.asks(GateOrder { promoter, gate, event, door: 1, direction, at, extensions: Default::default() })?;
    let mut gate = Gate::new(device);
    gate.update(&mut line, now())?;
    Ok(gate)
}

/// What an admission needs at least: the handshake, two signatures, two verifications, and two durable commits of the very
/// records that this gate has stored, by themselves. Microseconds of CPU.
fn floor(gate: &Gate<SqliteVault>, path: &Path) -> Result<f64, Failure> {
    let known = |key: &RecordKey| gate.device.vault.get(key)?.ok_or(VaultError::Damaged);
    let (journal, tally) = (Journal::key(), Tally::key());
    let counted = [(journal.clone(), known(&journal)?), (tally.clone(), known(&tally)?)];
    let mut records = Vec::new();
    for (name, entry) in gate.device.vault.scan(Space::Log, &[], usize::MAX)? {
        let Some((card, shown)) = LogEntry::from_bytes(&entry).ok().and_then(|entry| Some((entry.card?, entry.shown?)))
        else {
            continue;
        };
        let key = Usage::key(card, shown.zone);
        let used = (key.clone(), known(&key)?);
        let mut first = Batch::default();
        let entry = (RecordKey::new(Space::Log, name), entry);
        for (key, value) in counted.iter().cloned().chain([entry, used.clone()]) {
            first.put(key, value);
        }
        let mut second = Batch::default();
        second.put(used.0, used.1);
        records.push((first, second));
    }
    let mut vault = SqliteVault::create(path)?;
    let (key, message) = (SecretKey::from_seed(Algorithm::Ed25519, &entropy::fresh()), vec![7; 400]);
    let (public, signature) = (key.public(), key.sign(&message));
    let (_, hello) = tegata_link::session::WalletHello::new(entropy::fresh())?;
    let mut done = Ok(true);
    let each = microseconds_each(records.len(), || {
        done = records.iter().try_fold(true, |good, (first, second)| {
            let greeted = tegata_link::session::accept(entropy::fresh(), &hello).is_ok();
            let signed = (0..2).all(|_| key.sign(&message) == signature);
            let verified = (0..2).all(|_| NativeVerifier.verify(&public, &message, &signature));
            vault.commit(first)?;
            vault.commit(second)?;
            Ok::<_, VaultError>(good && greeted && signed && verified)
        });
    });
    if !done? {
        return fail("something of the floor does not hold");
    }
    Ok(each)
}

/// The seats of a large event, as people find them.
fn seats() -> Vec<Seat> {
    let (row, block) = HALL;
    let name =
        |seat: usize| format!("Block {}, row {}, {}", seat / row / block + 1, seat / row % block + 1, seat % row + 1);
    let seat = |at: usize| Seat { seat: at as u64 + 1, name: name(at), article: 1, extensions: Default::default() };
    (0..LARGE).map(seat).collect()
}

/// The set-up of this gate for a large event: its bytes, those of its seats' names, and the seconds until the gate works by it.
fn large(gate: &mut Gate<SqliteVault>) -> Result<(usize, usize, f64), Failure> {
    let mut dead: Vec<DeadTicket> = (0..DEAD as u64)
        .map(|number| {
            let mut card = [0; 16];
            card.copy_from_slice(&Hash::of(&number.to_be_bytes()).0[..16]);
            DeadTicket { card: CardId(card), generation: 1, why: EnterRefusal::GivenAway }
        })
        .collect();
    dead.sort_by_key(|dead| dead.card);
    let plan = seats();
    let Some(seats) = SeatRun::of(&plan) else { return fail("the names of the seats are too long") };
    let names_bytes = seats.to_bytes().len();
    let setup = Setup { dead, seats: Some(seats), ..(*gate.door()?.setup).clone() };
    let bytes = setup.to_bytes();
    let started = Instant::now();
    // As the update does: read, looked at, stored, and the door opened by it.
    let read = Setup::from_bytes(&bytes)?;
    if !read.is_sorted() {
        return fail("the set-up is not sorted");
    }
    let mut batch = Batch::default();
    batch.put(Setup::key(), bytes.clone());
    gate.device.vault.commit(&batch)?;
    gate.reopen();
    if gate.door()?.setup.dead.len() != DEAD {
        return fail("the set-up was not taken up");
    }
    let seconds = started.elapsed().as_secs_f64();
    let setup = gate.door()?.setup;
    if plan.iter().any(|seat| setup.seat_name(seat.seat).as_ref() != Some(&seat.name)) {
        return fail("a seat has another name at the gate");
    }
    Ok((bytes.len(), names_bytes, seconds))
}
