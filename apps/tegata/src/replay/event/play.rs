//! The evening: who comes when and to which gate, what each gate and wallet says to it.

use super::crowd::Crowd;
use super::doors::{Counted, Doors};
use super::gifts::{self, Gift, Given};
use super::hall::Evening;
use super::kills::{LOOK, Part};
use super::reckon::recorded;
use super::venue::GateProcess;
use crate::flags::EventFlags;
use crate::place::now;
use crate::replay::shop::lock;
use crate::screen::{Answer, Failure, Screen, fail};
use indicatif::ProgressBar;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};
use tegata_core::talk::enter::Direction;
use tegata_core::talk::event::GateOrder;
use tegata_core::{CardId, DeviceId};
use tegata_vault::MemoryVault;

/// Gates that are cut off for a while.
pub const CUT_OFF: usize = 2;
/// One in so many goes out for a while.
const LEAVING: usize = 10;
/// How long the venue's network may take to bring what is new everywhere.
const HEARD: Duration = Duration::from_secs(60);

/// Plays it.
pub fn run(screen: Screen, flags: &EventFlags) -> Result<Answer, Failure> {
    let started = Instant::now();
    // What cannot be played is said before anybody joins.
    if flags.gates < CUT_OFF + 2 {
        return fail(format!(
            "{CUT_OFF} gates are cut off, and others are entrance and exit; say at least {} --gates",
            CUT_OFF + 2
        ));
    }
    gifts::pairs(flags, flags.tickets - flags.tickets / 3)?;
    let mut evening = Evening::open(flags)?;
    let people = flags.tickets;
    let all: Vec<usize> = (0..people).collect();
    let bar = screen.progress((people * 4) as u64, "steps");
    let crowd = Crowd::gather(&evening.provider, people, &bar)?;
    screen.say(format!("{people} people have joined; each buys a ticket by credit"));
    // Each goes on with every purchase where it was.
    let kills = [(people / 5, Part::Processor), (people * 2 / 5, Part::Provider), (people * 3 / 5, Part::Bank)];
    evening.while_killing(&crowd, &kills, || crowd.buy(&all, &bar))?;
    evening.equip(flags)?;
    screen.say(format!("{} gates are open, {CUT_OFF} of them cut off", evening.gates.len()));
    let counted = Mutex::new(Counted::default());
    let tickets: Vec<CardId> = crowd.people.iter().filter_map(|person| lock(person).ticket).collect();
    let given = evening.queue(&crowd, flags, &counted, &bar, screen)?;
    bar.finish_and_clear();
    evening.close(&crowd, &all)?;
    let counted = counted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let given = Given { registered: gifts::registered(&crowd, &given), gifts: given };
    evening.reckoned(flags, screen, &tickets, (counted, &given, crowd.bought_again()), started)
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
    pub fn connect(&mut self, who: std::ops::Range<usize>, whom: std::ops::Range<usize>) -> Result<(), Failure> {
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
        bar: &ProgressBar,
        screen: Screen,
    ) -> Result<Vec<Gift>, Failure> {
        let people = crowd.people.len();
        let (heard, gates) = (self.gates.len() - CUT_OFF, self.gates.len());
        let exit = heard - 1;
        let clones = flags.clones.min(people / 4);
        // The wallets as they are before anybody comes: what a thief has copied.
        let copied: Vec<(usize, MemoryVault)> =
            (0..clones).map(|number| (number, lock(&crowd.people[number]).wallet.device.vault.clone())).collect();
        let addresses: Vec<String> = self.gates.iter().map(|gate| gate.address.clone()).collect();
        let doors = Doors { addresses, exit, counted };
        screen.say("The doors open.");
        let opened = SystemTime::now();
        let third = people / 3;
        let early: Vec<usize> = (0..people - third).collect();
        let [first, last] = gifts::pairs(flags, people - third)?;
        let mut given = gifts::swap(crowd, &first)?;
        // One of those that hear each other, and one that is cut off.
        let kills = [(early.len() / 4, Part::Gate(0, heard)), (early.len() / 2, Part::Gate(gates - 1, 0))];
        self.while_killing(crowd, &kills, || doors.come(crowd, &early, bar))?;
        let known = self.agree(0..heard)?;
        self.hear(0..heard)?;
        for gate in &mut self.gates[heard..] {
            lock(counted).alone += gate.status()?.pointer("/zones/0/came").and_then(Value::as_u64).unwrap_or(0);
        }
        screen.say(format!("{known} are in by the gates that hear each other; two know of others only."));
        self.screenshots(crowd, flags, counted, (exit, true))?;
        self.thieves(crowd, &copied, &doors.addresses, counted, (heard, exit))?;
        screen.say("The two gates are on the venue's network again.");
        self.connect(0..heard, heard..gates)?;
        self.connect(heard..gates, 0..gates)?;
        self.hear(0..gates)?;
        lock(counted).cut_off = opened.elapsed().unwrap_or_default();
        self.agree(0..gates)?;
        self.screenshots(crowd, flags, counted, (exit, false))?;
        let entrances: Vec<&String> =
            (0..gates).filter(|door| *door != exit).map(|door| &doors.addresses[door]).collect();
        gifts::copies(crowd, &given, &entrances, counted)?;
        let swapped = gifts::swap(crowd, &last)?;
        let late: Vec<usize> = (people - third..people).collect();
        // One of the two that were cut off.
        self.while_killing(crowd, &[(late.len() / 3, Part::Gate(heard, gates))], || doors.come(crowd, &late, bar))?;
        self.agree(0..gates)?;
        gifts::copies(crowd, &swapped, &entrances, counted)?;
        given.extend(swapped);
        // Some go out for a while and come in elsewhere, also by gates that hear of it by their wallets only. The exit dies meanwhile.
        let leaving: Vec<usize> = (clones..people).step_by(LEAVING).collect();
        let kills = [(leaving.len() / 8, Part::Gate(exit, gates))];
        self.while_killing(crowd, &kills, || doors.leave_and_return(crowd, &leaving, bar))?;
        self.agree(0..gates)?;
        Ok(given)
    }
    /// Every gate brings its log, every wallet updates.
    fn close(&mut self, crowd: &Crowd, all: &[usize]) -> Result<(), Failure> {
        if self.kills {
            // The provider in the middle of what the first gate brings.
            let mut first = self.gates.remove(0);
            let bringing = std::thread::spawn(move || {
                let brought = first.bring();
                (first, brought)
            });
            let database = self.database();
            while recorded(&database)? == 0 && !bringing.is_finished() {
                std::thread::sleep(LOOK);
            }
            self.kill(Part::Provider)?;
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
        crowd.update(all, &ProgressBar::hidden())
    }
}
