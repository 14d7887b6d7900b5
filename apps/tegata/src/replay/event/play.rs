//! The evening: who comes when and to which gate, what each gate and wallet says to it, and what must come out.
#![allow(clippy::float_arithmetic)] // seconds, never money

use super::crowd::Crowd;
use super::gifts::{self, Gift};
use super::hall::Evening;
use super::venue::GateProcess;
use crate::flags::EventFlags;
use crate::place::now;
use crate::replay::shop::lock;
use crate::screen::{Answer, Failure, Screen, fail, fail_with};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tegata_core::talk::enter::{Direction, WalletEnterNotice};
use tegata_core::talk::event::GateOrder;
use tegata_core::{CardId, DeviceId};
use tegata_vault::MemoryVault;
use tegata_wallet::enter_at;

/// Gates that are cut off for a while.
pub const CUT_OFF: usize = 2;
/// How long the venue's network may take to bring what is new everywhere.
const HEARD: Duration = Duration::from_secs(60);

/// What was counted at the doors.
#[derive(Default)]
pub struct Counted {
    admitted: BTreeSet<CardId>,
    honest_refused: u64,
    /// Screenshots that came in.
    pub copies_admitted: u64,
    /// Cloned wallets that came in.
    pub clones_admitted: u64,
    /// Let in by the gates that were cut off, until they were heard again.
    alone: u64,
    /// Copies of what was handed on that came in.
    pub gift_copies_admitted: u64,
    /// Why somebody was not let in, and how often.
    pub whys: BTreeMap<String, u64>,
}

/// What was handed on, and how much of it is registered in the end.
struct Given {
    gifts: Vec<Gift>,
    registered: usize,
}

/// Plays it.
pub fn run(screen: Screen, flags: &EventFlags) -> Result<Answer, Failure> {
    let started = Instant::now();
    // What cannot be played is said before anybody joins.
    gifts::pairs(flags, flags.tickets - flags.tickets / 3)?;
    let mut evening = Evening::open(flags)?;
    let people = flags.tickets;
    let all: Vec<usize> = (0..people).collect();
    let bar = screen.progress((people * 4) as u64, "steps");
    let crowd = Crowd::gather(&evening.provider, people, &bar)?;
    screen.say(format!("{people} people have joined; each buys a ticket by credit"));
    if flags.kill {
        // In the middle of the sale, the provider; it goes on with every purchase where it was.
        let half = people / 2;
        crowd.buy(&all[..half], &bar)?;
        std::thread::scope(|scope| -> Result<(), Failure> {
            let (crowd, rest, bar) = (&crowd, &all[half..], &bar);
            let buying = scope.spawn(move || crowd.buy(rest, bar));
            std::thread::sleep(Duration::from_millis(500));
            evening.provider.kill_and_restart()?;
            match buying.join() {
                Ok(done) => done,
                Err(_) => fail("the buyers stopped unexpectedly"),
            }
        })?;
    } else {
        crowd.buy(&all, &bar)?;
    }
    evening.equip(flags)?;
    screen.say(format!("{} gates are open, {CUT_OFF} of them cut off", evening.gates.len()));
    let counted = Mutex::new(Counted::default());
    let tickets: Vec<CardId> = crowd.people.iter().filter_map(|person| lock(person).ticket).collect();
    let given = evening.queue(&crowd, flags, &counted, &bar, screen)?;
    bar.finish_and_clear();
    evening.close(flags, &crowd, &all)?;
    let counted = counted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let given = Given { registered: gifts::registered(&crowd, &given), gifts: given };
    evening.reckoned(flags, screen, &tickets, (&counted, &given), started)
}

impl Evening {
    /// Gates join, are put in their places, set up, and opened: all but the last two hear each other. The last of those that do is
    /// an exit.
    fn equip(&mut self, flags: &EventFlags) -> Result<(), Failure> {
        let promoter = self.party()?;
        for number in 1..=flags.gates {
            let name = format!("door{number}");
            let id = GateProcess::join(&self.provider, promoter, &name)?;
            let Some(gate) = DeviceId::parse(&id) else { return fail("a gate has no id") };
            let out = number == flags.gates - CUT_OFF;
            let order = GateOrder {
                promoter,
                gate,
                event: self.event,
                door: number as u64,
                direction: if out { Direction::Out } else { Direction::In },
                at: now().time,
                extensions: Default::default(),
            };
            self.asks(order)?;
            let gate = GateProcess::open(&self.provider, &name)?;
            self.gates.push(gate);
        }
        let heard = self.gates.len() - CUT_OFF;
        // Each hears of the others.
        for gate in &mut self.gates {
            gate.bring()?;
        }
        self.connect(0..heard, 0..heard)?;
        self.hear(0..heard)
    }
    /// Waits until these gates hear all neighbours that they know of.
    fn hear(&mut self, of: std::ops::Range<usize>) -> Result<(), Failure> {
        let until = Instant::now() + HEARD;
        for gate in &mut self.gates[of] {
            loop {
                let status = gate.status()?;
                let neighbours = status.get("neighbours").and_then(Value::as_array).cloned().unwrap_or_default();
                let heard = |one: &Value| one.get("heard").and_then(Value::as_bool) == Some(true);
                if neighbours.iter().all(heard) {
                    break;
                }
                if Instant::now() > until {
                    return fail(format!("{} does not hear its neighbours: {status}", gate.name));
                }
            }
        }
        Ok(())
    }
    /// Each of these listens to each of those.
    fn connect(&mut self, who: std::ops::Range<usize>, whom: std::ops::Range<usize>) -> Result<(), Failure> {
        let addresses: Vec<String> = self.gates.iter().map(|gate| gate.lan.clone()).collect();
        for one in who {
            for other in whom.clone().filter(|other| *other != one) {
                self.gates[one].neighbour(&addresses[other])?;
            }
        }
        Ok(())
    }
    /// Waits until all that these gates know is known to the others of them: as many came in by each one's count.
    fn agree(&mut self, of: std::ops::Range<usize>) -> Result<u64, Failure> {
        let until = Instant::now() + HEARD;
        loop {
            let mut came = BTreeSet::new();
            for gate in &mut self.gates[of.clone()] {
                let status = gate.status()?;
                came.insert(status.pointer("/zones/0/came").and_then(Value::as_u64).unwrap_or(0));
            }
            match came.first() {
                Some(all) if came.len() == 1 => return Ok(*all),
                _ if Instant::now() > until => return fail(format!("the gates count differently: {came:?}")),
                _ => {}
            }
        }
    }

    /// The evening itself.
    fn queue(
        &mut self,
        crowd: &Crowd,
        flags: &EventFlags,
        counted: &Mutex<Counted>,
        bar: &indicatif::ProgressBar,
        screen: Screen,
    ) -> Result<Vec<Gift>, Failure> {
        let people = crowd.people.len();
        let (heard, gates) = (self.gates.len() - CUT_OFF, self.gates.len());
        let exit = heard - 1;
        let clones = flags.clones.min(people / 4);
        // The wallets as they are before anybody comes: what a thief has copied.
        let copied: Vec<(usize, MemoryVault)> =
            (0..clones).map(|number| (number, lock(&crowd.people[number]).wallet.device.vault.clone())).collect();
        let doors: Vec<String> = self.gates.iter().map(|gate| gate.address.clone()).collect();
        let door_of = |number: usize| match number % (gates - 1) {
            door if door < exit => door,
            door => door + 1,
        };
        screen.say("The doors open.");
        let third = people / 3;
        let early: Vec<usize> = (0..people - third).collect();
        let [first, last] = gifts::pairs(flags, people - third)?;
        let mut given = gifts::swap(crowd, &first)?;
        let come = |of: &[usize]| {
            crowd.each(of, bar, |person, number, _| {
                let Some(ticket) = person.ticket else { return fail("somebody has no ticket") };
                let door = &doors[door_of(number)];
                let told = enter_at(&mut person.wallet, door.as_str(), (ticket, 1), now);
                counted_in(counted, ticket, told.ok().as_deref());
                Ok(())
            })
        };
        if flags.kill {
            // A gate in the middle of its queue: whoever stands before it touches again when it is up.
            std::thread::scope(|scope| -> Result<(), Failure> {
                let (come, early) = (&come, &early);
                let coming = scope.spawn(move || come(early));
                std::thread::sleep(Duration::from_millis(1_500));
                self.gates[0].kill_and_reopen()?;
                self.gates[gates - 1].kill_and_reopen()?;
                match coming.join() {
                    Ok(done) => done,
                    Err(_) => fail("the queue stopped unexpectedly"),
                }
            })?;
            self.connect(0..1, 0..heard)?;
        } else {
            come(&early)?;
        }
        // Whoever was before a gate that died comes again.
        self.again(crowd, &early, &doors, door_of, counted, bar)?;
        let known = self.agree(0..heard)?;
        self.hear(0..heard)?;
        for gate in &mut self.gates[heard..] {
            lock(counted).alone += gate.status()?.pointer("/zones/0/came").and_then(Value::as_u64).unwrap_or(0);
        }
        screen.say(format!("{known} are in by the gates that hear each other; two know of others only."));
        self.screenshots(crowd, flags, counted, (exit, true))?;
        self.thieves(crowd, &copied, &doors, counted, (heard, exit))?;
        screen.say("The two gates are on the venue's network again.");
        self.connect(0..heard, heard..gates)?;
        self.connect(heard..gates, 0..gates)?;
        self.hear(0..gates)?;
        self.agree(0..gates)?;
        self.screenshots(crowd, flags, counted, (exit, false))?;
        let entrances: Vec<&String> = (0..gates).filter(|door| *door != exit).map(|door| &doors[door]).collect();
        gifts::copies(crowd, &given, &entrances, counted)?;
        let swapped = gifts::swap(crowd, &last)?;
        let late: Vec<usize> = (people - third..people).collect();
        come(&late)?;
        self.again(crowd, &late, &doors, door_of, counted, bar)?;
        self.agree(0..gates)?;
        gifts::copies(crowd, &swapped, &entrances, counted)?;
        given.extend(swapped);
        // Some go out for a while and come in elsewhere.
        let leaving: Vec<usize> = (clones..people).step_by(50).collect();
        crowd.each(&leaving, bar, |person, number, _| {
            let Some(ticket) = person.ticket else { return Ok(()) };
            let out = enter_at(&mut person.wallet, doors[exit].as_str(), (ticket, 1), now)?;
            if !matches!(out.last(), Some(WalletEnterNotice::Out { .. })) {
                lock(counted).honest_refused += 1;
            }
            let back = enter_at(&mut person.wallet, doors[door_of(number + 1)].as_str(), (ticket, 1), now)?;
            counted_in(counted, ticket, Some(&back));
            Ok(())
        })?;
        self.agree(0..gates)?;
        Ok(given)
    }
    /// Everybody of these who is not in yet touches once more.
    fn again(
        &self,
        crowd: &Crowd,
        of: &[usize],
        doors: &[String],
        door_of: impl Fn(usize) -> usize + Sync,
        counted: &Mutex<Counted>,
        bar: &indicatif::ProgressBar,
    ) -> Result<(), Failure> {
        let outside = |number: &&usize| {
            let ticket = lock(&crowd.people[**number]).ticket;
            ticket.is_some_and(|ticket| !lock(counted).admitted.contains(&ticket))
        };
        let waiting: Vec<usize> = of.iter().filter(outside).copied().collect();
        crowd.each(&waiting, bar, |person, number, _| {
            let Some(ticket) = person.ticket else { return Ok(()) };
            let told = enter_at(&mut person.wallet, doors[door_of(number)].as_str(), (ticket, 1), now)?;
            counted_in(counted, ticket, Some(&told));
            if !lock(counted).admitted.contains(&ticket) {
                let mut counted = lock(counted);
                counted.honest_refused += 1;
                *counted.whys.entry(format!("{:?}", told.last())).or_default() += 1;
            }
            Ok(())
        })
    }
    /// Every gate brings its log, every wallet updates.
    fn close(&mut self, flags: &EventFlags, crowd: &Crowd, all: &[usize]) -> Result<(), Failure> {
        if flags.kill {
            // The provider in the middle of what the first gate brings.
            let mut first = self.gates.remove(0);
            let bringing = std::thread::spawn(move || {
                let brought = first.bring();
                (first, brought)
            });
            std::thread::sleep(Duration::from_millis(20));
            self.provider.kill_and_restart()?;
            let Ok((first, _)) = bringing.join() else { return fail("a gate stopped unexpectedly") };
            self.gates.insert(0, first);
        }
        for gate in &mut self.gates {
            let until = Instant::now() + Duration::from_secs(60);
            while !gate.bring()? {
                if Instant::now() > until {
                    return fail(format!("{} could not bring its log", gate.name));
                }
            }
        }
        crowd.update(all, &indicatif::ProgressBar::hidden())
    }
    /// What came out, and whether it is what must.
    fn reckoned(
        &mut self,
        flags: &EventFlags,
        screen: Screen,
        tickets: &[CardId],
        (counted, given): (&Counted, &Given),
        started: Instant,
    ) -> Result<Answer, Failure> {
        let exceptions = self.provider.operator().ask(&json!({ "do": "exceptions" }))?;
        let exceptions = exceptions.get("exceptions").and_then(Value::as_array).cloned().unwrap_or_default();
        let kind = |row: &Value| row.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let card = |row: &Value| row.get("card").and_then(Value::as_str).and_then(CardId::parse);
        let named: BTreeSet<CardId> = exceptions.iter().filter(|row| kind(row) == "cloned").filter_map(card).collect();
        let clones: BTreeSet<CardId> = tickets.iter().take(flags.clones.min(tickets.len() / 4)).copied().collect();
        let clones_named = named.intersection(&clones).count();
        let proven = |row: &Value| {
            let has = |name: &str| row.get(name).is_some_and(|record| !record.is_null());
            has("wallet_record") && has("terminal_record")
        };
        let mut unexplained = Vec::new();
        for row in exceptions.iter().filter(|row| row.get("open").and_then(Value::as_bool) != Some(false)) {
            let of_clone = card(row).is_some_and(|card| clones.contains(&card));
            if !of_clone || (kind(row) == "cloned" && !proven(row)) {
                unexplained.push(row.clone());
            }
        }
        let database = self.folder.join("provider").join("provider.db");
        let recorded = recorded(&database)?;
        let audited = crate::audit::audit_file(&database)?;
        let (admitted, tickets) = (counted.admitted.len(), tickets.len());
        let gifts = given.gifts.iter().filter(|gift| counted.admitted.contains(&gift.ticket)).count();
        let differs = u64::from(recorded != admitted as u64) + u64::from(audited.difference.is_some());
        let clean = differs == 0
            && unexplained.is_empty()
            && admitted == tickets
            && counted.honest_refused == 0
            && counted.copies_admitted == 0
            && clones_named == clones.len()
            && (gifts, given.registered) == (given.gifts.len(), given.gifts.len())
            && counted.gift_copies_admitted == 0;
        let json = json!({
            "tickets": tickets,
            "gates": flags.gates,
            "admitted": admitted,
            "recorded": recorded,
            "copies": flags.copies,
            "copies_admitted": counted.copies_admitted,
            "clones": clones.len(),
            "clones_admitted": counted.clones_admitted,
            "clones_named": clones_named,
            "gifts": gifts,
            "gifts_registered": given.registered,
            "gift_copies": given.gifts.len(),
            "gift_copies_admitted": counted.gift_copies_admitted,
            "cut_off": { "gates": CUT_OFF, "admitted_meanwhile": counted.alone },
            "honest_refused": counted.honest_refused,
            "unexplained": unexplained.len() as u64 + differs,
            "exceptions": unexplained,
            "refused": counted.whys,
            "killed": flags.kill,
            "audit": audited.json,
            "wall_s": crate::measure::rounded(started.elapsed().as_secs_f64(), 1),
        });
        let text = format!(
            "{tickets} tickets at {} gates: {admitted} admitted, {recorded} by the provider's records; {} of {} screenshots; {clones_named} of {} \
             clones named with both presentations ({} of them came in where nobody heard of it); {gifts} of {} came in by a ticket that was \
             handed on, {} of the givers' copies; {} let in by gates that were cut off; {} honest people refused; {} unexplained; audit {}; \
             {:.0} s.",
            flags.gates,
            counted.copies_admitted,
            flags.copies,
            clones.len(),
            counted.clones_admitted,
            given.gifts.len(),
            counted.gift_copies_admitted,
            counted.alone,
            counted.honest_refused,
            unexplained.len() as u64 + differs,
            if audited.difference.is_none() { "clean" } else { "NOT CLEAN" },
            started.elapsed().as_secs_f64(),
        );
        if clean {
            return Ok(Answer::new(text, json));
        }
        screen.say(format!("{:?}", audited.difference));
        fail_with(format!("the evening did not come out as it must: {text}"), json)
    }
}

/// What a wallet was told counts where it was let in.
fn counted_in(counted: &Mutex<Counted>, ticket: CardId, told: Option<&[WalletEnterNotice]>) {
    if let Some(Some(WalletEnterNotice::In { .. })) = told.map(<[_]>::last) {
        lock(counted).admitted.insert(ticket);
    }
}

/// Tickets that came in by the provider's records.
fn recorded(database: &std::path::Path) -> Result<u64, Failure> {
    let connection = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT count(DISTINCT card) FROM admission WHERE done = 1";
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}
