//! The fault matrix: every fault at every step of every conversation, each in a small town of its own that must come to
//! rest with nothing wrong.
//!
//! Steps are not listed by hand: each conversation is run once undisturbed to count its frames, exchanges and stores.

mod conversation;
mod lines;
mod play;
mod steps;

pub use conversation::Conversation;

use crate::Options;
use crate::fault::{FrameFault, Mix, NetFault};
use crate::park::Comes;
use crate::tap::Plan;
use crate::template;
use crate::town::Town;
use crate::trouble::NetPlan;
use crate::venue::{CodeFault, PageFault, PagePlan};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use tegata_core::step::Broken;
use tegata_vault::{CommitFault, Faults};

/// Where in a conversation something goes wrong, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    Frame(usize, FrameFault),
    Exchange(u64, NetFault),
    Processor(u64, NetFault),
    Bank(u64, NetFault),
    WalletStore(u64, CommitFault),
    TerminalStore(u64, CommitFault),
    Page(u64, PageFault),
    Code(usize, CodeFault),
    GateStore(usize, u64, CommitFault),
    SwitchStore(u64, CommitFault),
    PromoterStore(u64, CommitFault),
    /// The answer to a parked update comes when so many frames of the call have crossed, or after it.
    Answer(usize, Comes),
}

impl Spot {
    fn step(self) -> String {
        match self {
            Self::Frame(at, _) => format!("frame {}", at + 1),
            Self::Exchange(at, _) => format!("exchange {}", at + 1),
            Self::Processor(at, _) => format!("processor asked {}", at + 1),
            Self::Bank(at, _) => format!("bank asked {}", at + 1),
            Self::WalletStore(at, _) => format!("wallet store {at}"),
            Self::TerminalStore(at, _) => format!("terminal store {at}"),
            Self::Page(at, _) => format!("page {}", at + 1),
            Self::Code(at, _) => format!("code {}", at + 1),
            Self::GateStore(gate, at, _) => format!("gate {} store {at}", gate + 1),
            Self::SwitchStore(at, _) => format!("switch store {at}"),
            Self::PromoterStore(at, _) => format!("promoter store {at}"),
            Self::Answer(usize::MAX, _) => "answer after the call".to_owned(),
            Self::Answer(at, _) => format!("answer after {at} frames"),
        }
    }
    fn fault(self) -> &'static str {
        match self {
            Self::Frame(_, fault) => fault.name(),
            Self::Exchange(_, fault) | Self::Processor(_, fault) | Self::Bank(_, fault) => fault.name(),
            Self::Page(_, fault) => fault.name(),
            Self::Code(_, fault) => fault.name(),
            Self::Answer(_, comes) => comes.name(),
            Self::WalletStore(_, fault)
            | Self::TerminalStore(_, fault)
            | Self::SwitchStore(_, fault)
            | Self::PromoterStore(_, fault)
            | Self::GateStore(_, _, fault) => match fault {
                CommitFault::CutBefore => "power cut before",
                CommitFault::CutAfter => "power cut after",
                CommitFault::Full => "disk full",
                CommitFault::LostSync => "sync lost, then power cut",
                CommitFault::Normal => "nothing",
            },
        }
    }
}

/// One cell of the matrix.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The conversation.
    pub conversation: Conversation,
    /// The step of it.
    pub step: String,
    /// What went wrong there.
    pub fault: &'static str,
    /// What must never happen, and did.
    pub wrong: Vec<String>,
    /// What happened.
    pub story: Vec<String>,
}

/// How many steps of which sort a conversation has.
struct Steps {
    frames: usize,
    exchanges: u64,
    processor: u64,
    bank: u64,
    wallet: u64,
    terminal: u64,
    pages: u64,
    codes: usize,
    gates: Vec<u64>,
    switch: u64,
    promoter: u64,
    answers: Vec<usize>,
}

fn town(conversation: Conversation, broken: Broken) -> Result<Town, String> {
    let credit = u64::from(conversation.by_credit());
    let (buying, letters) = (u64::from(conversation.buys()), u64::from(conversation.writes()));
    let (settling, tickets) = (u64::from(conversation.settles()), u64::from(conversation.at_gates()));
    let (giving, changing) = (u64::from(conversation.gives()), u64::from(conversation.changes()));
    let (calls, ringing) = (u64::from(conversation.calls()), u64::from(conversation.rings()));
    let (staff, losing) = (u64::from(conversation.by_staff()), u64::from(conversation.loses()));
    let (booth, queue) = (u64::from(conversation.numbers()), u64::from(conversation.queues()));
    let mix = Some(Mix {
        booth,
        queue,
        credit,
        buying,
        letters,
        settling,
        tickets,
        giving,
        changing,
        staff,
        losing,
        calls,
        ringing,
        ..Mix::CALM
    });
    let mut town = Town::new(7, &Options { broken, mix, traced: true, ..Options::default() })?;
    conversation.prepare(&mut town);
    Ok(town)
}

fn count(conversation: Conversation, broken: Broken) -> Result<Steps, String> {
    let mut town = town(conversation, broken)?;
    let before = (town.people[0].wallet.device.vault.commits(), town.tills[0].terminal.device.vault.commits());
    let commits = |town: &Town| -> Vec<u64> {
        let gates = town.venue.iter().flat_map(|venue| &venue.gates);
        gates.map(|gate| gate.gate.device.vault.commits()).collect()
    };
    let switched = |town: &Town| town.lines.as_ref().map_or(0, |lines| lines.switch.device.vault.commits());
    let (switch, promoter) = (switched(&town), town.issuer.device.vault.commits());
    let (gates, pages) = (commits(&town), town.venue.as_ref().map_or(0, |venue| venue.told));
    let shown = |town: &Town| town.venue.as_ref().map_or(0, |venue| venue.codes.len());
    let codes = shown(&town);
    plan(&mut town, None);
    let crossed = town.crossed;
    conversation.run(&mut town, &Plan::PLAIN);
    let (courier, frames) = (town.center.courier.as_ref(), town.crossed - crossed);
    let answers = conversation.parks().map(|from| (from..=frames).chain([usize::MAX]).collect::<Vec<_>>());
    Ok(Steps {
        processor: courier.map_or(0, |courier| courier.trouble.exchanges()),
        bank: courier.map_or(0, |courier| courier.clearing.trouble.exchanges()),
        frames,
        answers: answers.unwrap_or_default(),
        exchanges: town.center.trouble.exchanges(),
        wallet: town.people[0].wallet.device.vault.commits() - before.0,
        terminal: town.tills[0].terminal.device.vault.commits() - before.1,
        pages: town.venue.as_ref().map_or(0, |venue| venue.told) - pages,
        codes: shown(&town) - codes,
        switch: switched(&town) - switch,
        promoter: town.issuer.device.vault.commits() - promoter,
        gates: commits(&town).into_iter().zip(gates).map(|(after, before)| after - before).collect(),
    })
}

fn spots(steps: &Steps) -> Vec<Spot> {
    let stores = [CommitFault::CutBefore, CommitFault::CutAfter, CommitFault::Full, CommitFault::LostSync];
    let frames = (0..steps.frames).flat_map(|at| FrameFault::ALL.map(|fault| Spot::Frame(at, fault)));
    let exchanges = (0..steps.exchanges).flat_map(|at| NetFault::ALL.map(|fault| Spot::Exchange(at, fault)));
    let line = NetFault::LINE.into_iter().chain([NetFault::Revoked]);
    let processor = (0..steps.processor).flat_map(|at| line.clone().map(move |fault| Spot::Processor(at, fault)));
    let bank = (0..steps.bank).flat_map(|at| NetFault::LINE.map(|fault| Spot::Bank(at, fault)));
    let wallet = (1..=steps.wallet).flat_map(|at| stores.map(|fault| Spot::WalletStore(at, fault)));
    let terminal = (1..=steps.terminal).flat_map(|at| stores.map(|fault| Spot::TerminalStore(at, fault)));
    let pages = (0..steps.pages).flat_map(|at| PageFault::ALL.map(|fault| Spot::Page(at, fault)));
    let codes = (0..steps.codes).flat_map(|at| CodeFault::ALL.map(|fault| Spot::Code(at, fault)));
    let gates = steps.gates.iter().enumerate();
    let gates = gates.flat_map(|(gate, count)| (1..=*count).map(move |at| (gate, at)));
    let gates = gates.flat_map(|(gate, at)| stores.map(|fault| Spot::GateStore(gate, at, fault)));
    let switch = (1..=steps.switch).flat_map(|at| stores.map(|fault| Spot::SwitchStore(at, fault)));
    // A promoter's disk keeps what it says that it keeps.
    let cuts = [CommitFault::CutBefore, CommitFault::CutAfter, CommitFault::Full];
    let promoter = (1..=steps.promoter).flat_map(|at| cuts.map(|fault| Spot::PromoterStore(at, fault)));
    let answers = steps.answers.iter().flat_map(|at| Comes::ALL.map(|comes| Spot::Answer(*at, comes)));
    let lines = frames.chain(exchanges).chain(processor).chain(bank).chain(pages).chain(codes);
    lines.chain(wallet).chain(terminal).chain(gates).chain(switch).chain(promoter).chain(answers).collect()
}

fn planned(done: u64, at: u64, fault: CommitFault) -> Faults {
    let faults = Faults::none().at(done + at, fault);
    if fault == CommitFault::LostSync { faults.at(done + at + 1, CommitFault::CutBefore) } else { faults }
}

fn cell(conversation: Conversation, spot: Spot, broken: Broken) -> Cell {
    let mut cell = Cell { conversation, step: spot.step(), fault: spot.fault(), wrong: Vec::new(), story: Vec::new() };
    let mut town = match town(conversation, broken) {
        Ok(town) => town,
        Err(why) => {
            cell.wrong.push(why);
            return cell;
        }
    };
    let mut tap = Plan::PLAIN;
    plan(&mut town, Some(spot));
    match spot {
        Spot::Frame(at, fault) => tap.fault = Some((at, fault)),
        Spot::Exchange(..) | Spot::Processor(..) | Spot::Bank(..) => {}
        Spot::Page(at, fault) => {
            if let Some(venue) = &mut town.venue {
                venue.plan = PagePlan::At(venue.told + at, fault);
            }
        }
        Spot::Code(at, fault) => {
            if let Some(venue) = &mut town.venue {
                venue.code_plan = Some((venue.codes.len() + at, fault));
            }
        }
        Spot::GateStore(gate, at, fault) => {
            if let Some(own) = town.venue.as_mut().and_then(|venue| venue.gates.get_mut(gate)) {
                let vault = &mut own.gate.device.vault;
                vault.set_faults(planned(vault.commits(), at, fault));
                if fault == CommitFault::LostSync {
                    own.tampered = Some("its disk lied");
                }
            }
        }
        Spot::SwitchStore(at, fault) => {
            if let Some(lines) = &mut town.lines {
                let vault = &mut lines.switch.device.vault;
                vault.set_faults(planned(vault.commits(), at, fault));
                if fault == CommitFault::LostSync {
                    lines.tampered = Some("its disk lied");
                }
            }
        }
        Spot::PromoterStore(at, fault) => {
            let vault = &mut town.issuer.device.vault;
            vault.set_faults(planned(vault.commits(), at, fault));
        }
        Spot::Answer(at, comes) => {
            if let Some(lines) = &mut town.lines {
                lines.parks = Some((at, comes));
            }
        }
        Spot::WalletStore(at, fault) => {
            let vault = &mut town.people[0].wallet.device.vault;
            vault.set_faults(planned(vault.commits(), at, fault));
            if fault == CommitFault::LostSync {
                town.people[0].tampered = Some("its disk lied");
            }
        }
        Spot::TerminalStore(at, fault) => {
            let vault = &mut town.tills[0].terminal.device.vault;
            vault.set_faults(planned(vault.commits(), at, fault));
            if fault == CommitFault::LostSync {
                town.tills[0].tampered = Some("its disk lied");
            }
        }
    }
    conversation.run(&mut town, &tap);
    town.people[0].wallet.device.vault.set_faults(Faults::none());
    town.tills[0].terminal.device.vault.set_faults(Faults::none());
    plan(&mut town, None);
    town.wake_person(0);
    town.wake_till(0);
    town.wake_switch();
    town.wake_promoter();
    if let Some(lines) = &mut town.lines {
        lines.switch.device.vault.set_faults(Faults::none());
    }
    town.calm_gates();
    // Whoever was cut off tries once more, as people do.
    town.wait(20);
    conversation.run(&mut town, &Plan::PLAIN);
    town.calm();
    cell.wrong = town.judge();
    cell.story = town.story.take().unwrap_or_default();
    cell
}

/// Says what goes wrong on which line from here on.
fn plan(town: &mut Town, spot: Option<Spot>) {
    let mut plans = [NetPlan::Never; 3];
    match spot {
        Some(Spot::Exchange(at, fault)) => plans[0] = NetPlan::At(at, fault),
        Some(Spot::Processor(at, fault)) => plans[1] = NetPlan::At(at, fault),
        Some(Spot::Bank(at, fault)) => plans[2] = NetPlan::At(at, fault),
        _ => {}
    }
    let [exchanges, processor, bank] = plans;
    town.center.plan(exchanges);
    if let Some(courier) = &mut town.center.courier {
        courier.trouble.plan(processor);
        courier.clearing.trouble.plan(bank);
    }
}

/// Runs every cell of these conversations, and says how many are done.
pub fn matrix(of: &[Conversation], broken: Broken, progress: impl FnMut(u64, u64)) -> Vec<Cell> {
    played(of, 1, broken, progress)
}

/// What is wrong with a conversation that nothing disturbs, in a town that comes to rest after it.
pub fn undisturbed(conversation: Conversation, broken: Broken) -> Vec<String> {
    let mut town = match town(conversation, broken) {
        Ok(town) => town,
        Err(why) => return vec![why],
    };
    plan(&mut town, None);
    conversation.run(&mut town, &Plan::PLAIN);
    town.calm();
    town.judge()
}

/// Runs one cell of so many, spread over all conversations, each of which runs without a fault first.
pub fn one_of(each: usize, broken: Broken) -> Vec<Cell> {
    played(Conversation::ALL, each.max(1), broken, |_, _| {})
}

/// One cell of `each` of each conversation, on all cores; in the order of steps and faults.
fn played(of: &[Conversation], each: usize, broken: Broken, mut progress: impl FnMut(u64, u64)) -> Vec<Cell> {
    template::template();
    let planned: Vec<_> = on_all_cores(of, |at, conversation| part(*conversation, (at, each), broken), |_| {});
    let planned: Vec<_> = planned.into_iter().flatten().collect();
    let count = planned.len() as u64;
    let play = |_, planned: &Planned| match planned {
        Ok((conversation, spot)) => cell(*conversation, *spot, broken),
        Err(cell) => (**cell).clone(),
    };
    on_all_cores(&planned, play, |done| progress(done, count))
}

/// What is to be played: a fault at a step, or what was wrong before there was any.
type Planned = Result<(Conversation, Spot), Box<Cell>>;

/// One cell of `each` of a conversation, beginning with one or another, so that not all meet the same faults.
fn part(conversation: Conversation, (from, each): (usize, usize), broken: Broken) -> Vec<Planned> {
    match count(conversation, broken) {
        Ok(steps) => {
            let spots = spots(&steps).into_iter().skip(from % each).step_by(each);
            spots.map(|spot| Ok((conversation, spot))).collect()
        }
        Err(why) => {
            let (step, wrong) = ("start".into(), vec![why]);
            vec![Err(Box::new(Cell { conversation, step, fault: "none", wrong, story: Vec::new() }))]
        }
    }
}

/// What comes of each, in their order.
fn on_all_cores<T: Sync, R: Send>(
    all: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
    mut progress: impl FnMut(u64),
) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, work) = (AtomicUsize::new(0), &work);
    let (done, results) = mpsc::channel();
    let mut found = BTreeMap::new();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                while let Some((at, one)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, all.get(at)?)))
                {
                    if done.send((at, work(at, one))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        for (at, result) in results {
            found.insert(at, result);
            progress(found.len() as u64);
        }
    });
    found.into_values().collect()
}

/// The matrix for people: a line a step, a mark a fault.
pub fn table(cells: &[Cell]) -> String {
    let mut lines: Vec<(String, BTreeMap<&str, bool>)> = Vec::new();
    for cell in cells {
        let name = format!("{}, {}", cell.conversation.name(), cell.step);
        match lines.last_mut() {
            Some((last, faults)) if *last == name => {
                faults.insert(cell.fault, cell.wrong.is_empty());
            }
            _ => lines.push((name, BTreeMap::from([(cell.fault, cell.wrong.is_empty())]))),
        }
    }
    let mut text = String::new();
    for (name, faults) in &lines {
        let marks = faults.iter().map(|(fault, good)| format!("{fault} {}", if *good { "ok" } else { "WRONG" }));
        let _ = writeln!(text, "{name:<36} {}", marks.collect::<Vec<_>>().join(" | "));
    }
    let wrong = cells.iter().filter(|cell| !cell.wrong.is_empty()).count();
    let _ = writeln!(text, "{} cells, {wrong} wrong", cells.len());
    text
}
