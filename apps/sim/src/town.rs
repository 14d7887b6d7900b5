//! The town of one seed: its people, its tills, its provider, and what has happened so far.

use crate::Options;
use crate::act::{Booth, Hands, Letters, Lines, Losing, Newcomer, Plans, Queue, Ringing, Settling, Staff};
use crate::dice::Dice;
use crate::fault::Mix;
use crate::known;
use crate::link::Air;
use crate::post::{Center, open};
use crate::tap::skewed;
use crate::template::{self, Number, START, Start, ring, template};
use crate::trouble::NetPlan;
use crate::venue::{GateAt, Venue};
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::step::Broken;
use tegata_core::talk::buy::Article;
use tegata_core::talk::credit::CreditRefusal;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{CardId, DeviceId, Hash, RequestNumber, Time};
use tegata_crypto_native::number::InstallationNumber;
use tegata_device::{Device, Now};
use tegata_issuer::Issuer;
use tegata_store::{NumberState, Store};
use tegata_terminal::Terminal;
use tegata_vault::{CommitFault, Faults, SimulatedVault, Snapshot};
use tegata_wallet::Wallet;

/// How many seeds in a thousand have credit in their towns.
const CREDIT: u64 = 350;
/// How many towns with credit in a thousand have an issuer that sells over the network.
const BUYING: u64 = 250;

/// How many towns with credit in a thousand have bank cards that refuse in the end.
const REFUSING: u64 = 500;

/// How many towns in a thousand write letters.
const LETTERS: u64 = 300;

/// How many towns in a thousand have contracts and a bank that pays.
const SETTLING: u64 = 300;

/// How many towns in a thousand have an event with tickets and gates.
const TICKETS: u64 = 150;

/// How many towns with an event in a thousand give tickets on.
const GIVING: u64 = 750;

/// How many towns with an event in a thousand have it changed or cancelled.
const CHANGING: u64 = 600;

/// How many towns in a thousand call.
const CALLS: u64 = 200;

/// How many towns with an event in a thousand have staff at the gates.
const STAFF: u64 = 600;

/// How many towns with an event in a thousand lose gates.
const LOSING: u64 = 400;

/// How many towns with an event in a thousand sell tickets by number.
const BOOTH: u64 = 400;

/// How many towns with an event in a thousand have few tickets, and people who wait for them.
const QUEUE: u64 = 400;

/// How many towns with letters and calls in a thousand have people and merchants who call each other by numbers.
const RINGING: u64 = 800;

/// A wallet and what became of it.
pub struct Person {
    /// The wallet.
    pub wallet: Wallet<SimulatedVault>,
    /// Who it is to the provider.
    pub id: DeviceId,
    seed: [u8; 32],
    /// What its clock is off by, in seconds.
    pub skew: i64,
    /// Why it is not an honest wallet on a disk that keeps what it stored; `None` if it is.
    pub tampered: Option<&'static str>,
    /// A copy made by a thief; it is gone when calm comes.
    pub is_copy: bool,
    /// It was told that a bank card of its own is registered.
    pub has_bank_card: bool,
    /// The registration that is in force: the last one that it made itself.
    pub registration: Option<Hash>,
    /// Sessions that it took part in.
    pub sessions: BTreeSet<Hash>,
    snapshots: Vec<Snapshot>,
}

/// A terminal and what became of it.
pub struct Till {
    /// The terminal.
    pub terminal: Terminal<SimulatedVault>,
    /// Who it is to the provider.
    pub id: DeviceId,
    /// What its clock is off by, in seconds.
    pub skew: i64,
    /// Why it is not an honest terminal on a disk that keeps what it stored; `None` if it is.
    pub tampered: Option<&'static str>,
    /// It hardly ever uploads.
    pub late: bool,
    /// Its last update that went well.
    pub updated: Time,
    snapshots: Vec<Snapshot>,
}

/// Goods that were handed over.
#[derive(Clone, Copy, Debug)]
pub struct Goods {
    /// At which till.
    pub till: usize,
    /// For which transaction.
    pub transaction: u64,
}

/// What was done to the town, as far as it explains exceptions.
#[derive(Clone, Debug, Default)]
pub struct Causes {
    /// The provider went back to a backup.
    pub restored: bool,
    /// Cards that were blocked.
    pub blocked: BTreeSet<CardId>,
    /// Devices that were revoked, and when.
    pub revoked: BTreeMap<DeviceId, Time>,
    /// A terminal uploaded more than L + U after its update before.
    pub late: bool,
    /// A clock was off.
    pub clocks: bool,
    /// When each device last updated well.
    updated: BTreeMap<DeviceId, Time>,
    /// Devices that were once silent for more than L + U: others' records waited that long for theirs.
    pub silent: BTreeSet<DeviceId>,
    /// Merchants whose terminal claimed one check twice: terminal and check.
    pub double_claims: Vec<(DeviceId, Hash)>,
}

impl Causes {
    /// A device has updated well.
    pub fn heard(&mut self, device: DeviceId, now: Time) {
        let before = self.updated.insert(device, now).unwrap_or(START);
        if now.since(before) > template::LIST_AGE + template::RECORD_AGE {
            self.silent.insert(device);
        }
    }
}

/// The town.
pub struct Town {
    /// Provider and network.
    pub center: Center,
    /// Wallets.
    pub people: Vec<Person>,
    /// Terminals.
    pub tills: Vec<Till>,
    /// The issuer.
    pub issuer: Issuer<SimulatedVault>,
    /// Installation numbers.
    pub numbers: Vec<Number>,
    /// Which number became what, as wallets were told: the wallet.
    pub used: BTreeMap<String, DeviceId>,
    /// The true time.
    pub time: Time,
    /// Chance.
    pub dice: Dice,
    /// What earlier taps left in the air.
    pub air: Air,
    /// How often what goes wrong.
    pub mix: Mix,
    /// Rules broken on purpose.
    pub broken: Broken,
    /// Goods handed over.
    pub goods: Vec<Goods>,
    /// The issuer sells over the network.
    pub sells: bool,
    /// People and merchants write letters.
    pub writes: bool,
    /// What is known of them.
    pub letters: Letters,
    /// What is known of settlement; `None`: there are no contracts, and no bank pays.
    pub settling: Option<Settling>,
    /// Dice of the shop, for what was thought of later: they shift nothing else.
    pub shop: Dice,
    /// Dice of bank cards that refuse in the end: they shift nothing else, either.
    pub moods: Dice,
    /// What was for sale when somebody last looked.
    pub seen: Vec<Article>,
    /// When its wallet last tried to give a card back that it could still use.
    pub given_back: BTreeMap<CardId, Time>,
    /// Payments by credit of which wallets were told that they ended without a payment.
    pub ended: BTreeMap<RequestNumber, CreditRefusal>,
    /// The event's venue; `None`: there is no event.
    pub venue: Option<Venue>,
    /// What is known of tickets given on; `None`: nobody gives any.
    pub hands: Option<Hands>,
    /// What is known of changes of the event; `None`: it is not changed.
    pub plans: Option<Plans>,
    /// The switch and its calls; `None`: nobody calls.
    pub lines: Option<Lines>,
    /// The staff at the event's gates; `None`: there is none.
    pub staff: Option<Staff>,
    /// What is known of gates that were lost; `None`: none is.
    pub losing: Option<Losing>,
    /// What is known of tickets by number; `None`: there are none.
    pub booth: Option<Booth>,
    /// What is known of waiting lists; `None`: nobody waits.
    pub queue: Option<Queue>,
    /// What is known of calls by number; `None`: nobody asks for one.
    pub ringing: Option<Ringing>,
    /// What must never happen, and did.
    pub wrong: Vec<String>,
    /// What explains exceptions.
    pub causes: Causes,
    /// Frames that crossed a link so far.
    pub crossed: usize,
    /// Taps that paid.
    pub payments: u64,
    /// Faults that happened.
    pub faults: u64,
    /// What happened, if somebody wants to read it.
    pub story: Option<Vec<String>>,
}

fn device(start: &Start, broken: Broken) -> Device<SimulatedVault> {
    new_device(start.vault.clone(), start.seed, broken)
}

/// A device over this vault.
pub fn new_device(vault: SimulatedVault, seed: [u8; 32], broken: Broken) -> Device<SimulatedVault> {
    let mut device = Device::new(vault, ring(&seed), known::for_devices(broken));
    device.broken = broken;
    device
}

impl Town {
    /// The town of a seed on its first day.
    ///
    /// # Errors
    /// The provider did not open: in words.
    pub fn new(seed: u64, options: &Options) -> Result<Self, String> {
        let (template, broken) = (template(), options.broken);
        let mut dice = Dice::new(seed);
        // Credit has dice of its own: a town without it is the same whether others have it or not.
        let mut own = Dice::new(!seed);
        let drawn = own.chance(CREDIT);
        let mix = options.mix.unwrap_or_else(|| Mix::draw(&mut dice));
        let mix = match (options.mix, options.restoring) {
            (None, Some(true)) => mix.draw_restoring(&mut Dice::new(seed.rotate_left(52) ^ 0x6261_636b)),
            (None, Some(false)) => Mix { restore: 0, ..mix },
            _ => mix,
        };
        let mix = match options.mix {
            None if options.credit.unwrap_or(drawn) => mix.draw_credit(&mut own),
            _ => mix,
        };
        // So has buying.
        let mut shop = Dice::new(seed.rotate_left(32) ^ 0x7368_6f70);
        let drawn = shop.chance(BUYING);
        let mix = match options.mix {
            None if options.buying.unwrap_or(drawn) => mix.draw_buying(&mut shop),
            _ => mix,
        };
        let mut moods = Dice::new(seed.rotate_left(16) ^ 0x6d6f_6f64);
        let drawn = moods.chance(REFUSING);
        let mix = match options.mix {
            None if options.refusing.unwrap_or(drawn) => mix.draw_refusing(&mut moods),
            _ => mix,
        };
        let mut mail = Dice::new(seed.rotate_left(48) ^ 0x6d61_696c);
        let drawn = mail.chance(LETTERS);
        let mix = match options.mix {
            None if options.letters.unwrap_or(drawn) => mix.draw_letters(&mut mail),
            _ => mix,
        };
        let mut till = Dice::new(seed.rotate_left(8) ^ 0x7469_6c6c);
        let drawn = till.chance(SETTLING);
        let mix = match options.mix {
            None if options.settling.unwrap_or(drawn) => mix.draw_settling(&mut till),
            _ => mix,
        };
        let mut hall = Dice::new(seed.rotate_left(24) ^ 0x6861_6c6c);
        let drawn = hall.chance(TICKETS) && options.credit != Some(false) && options.buying != Some(false);
        let mix = match options.mix {
            None if options.tickets.unwrap_or(drawn) => mix.draw_tickets(&mut hall),
            _ => mix,
        };
        let mut hands = Dice::new(seed.rotate_left(40) ^ 0x6861_6e64);
        let drawn = hands.chance(GIVING);
        let mix = match options.mix {
            None if options.giving.unwrap_or(drawn) => mix.draw_giving(&mut hands),
            _ => mix,
        };
        let mut plans = Dice::new(seed.rotate_left(56) ^ 0x706c_616e);
        let drawn = plans.chance(CHANGING);
        let mix = match options.mix {
            None if options.changing.unwrap_or(drawn) => mix.draw_changing(&mut plans),
            _ => mix,
        };
        let mut lines = Dice::new(seed.rotate_left(4) ^ 0x6c69_6e65);
        let drawn = lines.chance(CALLS);
        let mix = match options.mix {
            None if options.calls.unwrap_or(drawn) => mix.draw_calls(&mut lines),
            _ => mix,
        };
        let mut staff = Dice::new(seed.rotate_left(12) ^ 0x7374_6166);
        let drawn = staff.chance(STAFF);
        let mix = match options.mix {
            None if options.staff.unwrap_or(drawn) => mix.draw_staff(&mut staff),
            _ => mix,
        };
        let mut losing = Dice::new(seed.rotate_left(20) ^ 0x6c6f_7374);
        let new_gate = Dice::new(seed.rotate_left(20) ^ 0x6e65_7767).entropy();
        let drawn = losing.chance(LOSING);
        let mix = match options.mix {
            None if options.losing.unwrap_or(drawn) => mix.draw_losing(&mut losing),
            _ => mix,
        };
        let mut booth = Dice::new(seed.rotate_left(28) ^ 0x626f_6f74);
        let drawn = booth.chance(BOOTH);
        let mix = match options.mix {
            None if options.booth.unwrap_or(drawn || mix.restore > 0) => mix.draw_booth(&mut booth),
            _ => mix,
        };
        let mut queue = Dice::new(seed.rotate_left(36) ^ 0x7175_6575);
        let drawn = queue.chance(QUEUE);
        let mix = match options.mix {
            None if options.queue.unwrap_or(drawn) => mix.draw_queue(&mut queue),
            _ => mix,
        };
        let mut bells = Dice::new(seed.rotate_left(44) ^ 0x6265_6c6c);
        let drawn = bells.chance(RINGING);
        let mix = match options.mix {
            None if options.ringing.unwrap_or(drawn) => mix.draw_ringing(&mut bells),
            _ => mix,
        };
        let (sells, event) = (mix.buying > 0, mix.tickets > 0);
        let (credit, issuer) = match (event, sells) {
            (true, _) => (&template.event.credit, &template.event.issuer),
            (false, true) => (&template.buying.credit, &template.buying.issuer),
            (false, false) => (&template.credit, &template.issuer),
        };
        let image = if mix.credit > 0 || event { &credit.image } else { &template.image };
        let store = Store::restore(image).map_err(|error| error.to_string())?;
        let keys = tegata_provider::Keys::new(template.keys, START);
        let time = START.after(60);
        let provider = open(store, keys, time, broken).map_err(|error| error.to_string())?;
        let mut center = Center::new(provider, (template.keys, START), time, dice.fork());
        center.broken = broken;
        if mix.credit > 0 {
            let mut courier = credit.courier(time, own.fork(), own.fork())?;
            courier.trouble.plan(NetPlan::Sometimes(mix.courier));
            courier.clearing.trouble.plan(NetPlan::Sometimes(mix.bank));
            center.courier = Some(courier);
        }
        let mut issuer = Issuer::new(device(issuer, broken));
        let lines = match mix.calls {
            0 => None,
            _ => {
                let surfs = Dice::new(seed.rotate_left(44) ^ 0x7375_7266);
                Some(Lines::open(&mut center, &mut issuer, (broken, sells), (lines, surfs))?)
            }
        };
        let wallets = usize::try_from(dice.within(3, template::WALLETS as u64)).unwrap_or(3);
        let people = template.wallets.iter().take(wallets).map(|start| Person {
            wallet: Wallet::new(device(start, broken), Algorithm::Ed25519),
            id: start.id,
            seed: start.seed,
            skew: 0,
            tampered: None,
            is_copy: false,
            has_bank_card: false,
            registration: None,
            sessions: BTreeSet::new(),
            snapshots: Vec::new(),
        });
        let people = people.collect();
        let tills = template.terminals.iter().take(usize::try_from(dice.within(2, 5)).unwrap_or(2));
        let tills = tills.map(|(start, _)| Till {
            terminal: Terminal::new(device(start, broken)),
            id: start.id,
            skew: 0,
            tampered: None,
            late: false,
            updated: START,
            snapshots: Vec::new(),
        });
        let tills = tills.collect();
        let venue = event.then(|| {
            let gates = template.event.gates.iter().zip(template::GATES);
            let gates = gates
                .map(|(start, (door, _, direction))| GateAt::new(device(start, broken), start.id, (door, direction)));
            Venue::new(gates.collect(), hall, mix.lan)
        });
        let spares = template.event.spares.iter().map(|start| (device(start, broken), start.id)).collect();
        Ok(Self {
            center,
            people,
            tills,
            issuer,
            numbers: template.numbers.clone(),
            used: BTreeMap::new(),
            time,
            dice,
            air: Air::default(),
            mix,
            broken,
            goods: Vec::new(),
            ended: BTreeMap::new(),
            sells,
            writes: mix.letters > 0,
            settling: (mix.settling > 0).then(|| Settling::new(till)),
            letters: Letters::default(),
            shop,
            moods,
            seen: Vec::new(),
            given_back: BTreeMap::new(),
            venue,
            hands: (mix.giving > 0).then(|| Hands::new(hands)),
            plans: (mix.changing > 0).then(|| Plans::new(plans)),
            lines,
            staff: (mix.staff > 0).then(|| Staff::new(staff)),
            booth: (mix.booth > 0).then(|| Booth::new(booth)),
            queue: (mix.queue > 0).then(|| Queue::new(queue)),
            losing: (mix.losing > 0).then(|| {
                // Whoever joins after a backup is not known to a provider that is put back (ARCHITECTURE, limits).
                let newcomer = (mix.restore == 0).then(|| Newcomer::new(new_gate, broken));
                Losing::new(losing, spares, newcomer.into_iter().collect())
            }),
            ringing: (mix.ringing > 0 && mix.calls > 0).then(|| Ringing::new(bells)),
            wrong: Vec::new(),
            causes: Causes::default(),
            crossed: 0,
            payments: 0,
            faults: 0,
            story: options.traced.then(Vec::new),
        })
    }

    /// Tells whoever reads the story.
    pub fn say(&mut self, line: impl FnOnce() -> String) {
        let notes = std::mem::take(&mut self.center.notes);
        if let Some(story) = &mut self.story {
            let stamp = self.time.since(START);
            let (day, second) = (stamp / Time::DAY, stamp % Time::DAY);
            let at = format!("day {day:>2} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
            story.extend(notes.into_iter().map(|note| format!("{at}   ... {note}")));
            story.push(format!("{at}  {}", line()));
        }
    }

    /// Time passes.
    pub fn wait(&mut self, seconds: u64) {
        self.time = self.time.after(seconds);
        self.center.pass(self.time);
        if self.plans.is_some() {
            self.center.work_off(self.mix.network / 2);
            self.count_changes();
        }
    }

    /// Time and randomness for one action of a device whose clock is off by this.
    pub fn now(&mut self, skew: i64) -> Now {
        Now { time: skewed(self.time, skew), entropy: self.dice.entropy() }
    }

    /// Arms a vault: during what it does next, power or disk may fail.
    pub fn arm(mix: &Mix, vault: &mut SimulatedVault, dice: &mut Dice) {
        if !dice.chance(mix.power) {
            vault.set_faults(Faults::none());
            return;
        }
        let at = vault.commits() + 1 + dice.below(3);
        if dice.chance(mix.lost_sync) {
            vault.set_faults(Faults::none().at(at, CommitFault::LostSync).at(at + 1, CommitFault::CutBefore));
            return;
        }
        if let Some(fault) = dice.pick(&[CommitFault::CutBefore, CommitFault::CutAfter, CommitFault::Full]) {
            vault.set_faults(Faults::none().at(at, fault));
        }
    }

    /// The same, during some of what it stores next: within so many commits.
    pub fn arm_within(vault: &mut SimulatedVault, dice: &mut Dice, (lost_sync, within): (u64, u64)) {
        let at = vault.commits() + 1 + dice.below(within);
        if dice.chance(lost_sync) {
            vault.set_faults(Faults::none().at(at, CommitFault::LostSync).at(at + 1, CommitFault::CutBefore));
        } else if let Some(fault) = dice.pick(&[CommitFault::CutBefore, CommitFault::CutAfter, CommitFault::Full]) {
            vault.set_faults(Faults::none().at(at, fault));
        }
    }

    /// A wallet is switched on again, if it was off.
    pub fn wake_person(&mut self, at: usize) {
        let Some(person) = self.people.get_mut(at) else {
            return;
        };
        let device = &mut person.wallet.device;
        if device.vault.is_off() {
            device.vault.power_cut();
            device.forget_channel();
            let _ = device.ring.reload_in_memory(&device.vault);
            if device.vault.forgot() {
                person.tampered = person.tampered.or(Some("its disk lied"));
            }
            self.faults += 1;
            self.say(|| format!("wallet {at} is switched on again"));
        }
    }

    /// A terminal is switched on again, if it was off; it closes what is open, as the app does.
    pub fn wake_till(&mut self, at: usize) {
        let Some(till) = self.tills.get_mut(at) else {
            return;
        };
        let device = &mut till.terminal.device;
        if device.vault.is_off() {
            device.vault.power_cut();
            device.vault.set_faults(Faults::none());
            device.forget_channel();
            if device.vault.forgot() {
                till.tampered = till.tampered.or(Some("its disk lied"));
            }
            let skew = till.skew;
            self.faults += 1;
            let now = self.now(skew);
            if let Some(till) = self.tills.get_mut(at) {
                let _ = till.terminal.close_open(now);
            }
            self.say(|| format!("terminal {at} is switched on again"));
        }
    }

    /// A provider put back from a backup does not know what was installed or loaded since (ARCHITECTURE, limits): those
    /// numbers, and no others, may serve again.
    pub fn forget_numbers(&mut self) {
        let Ok(store) = self.center.store() else {
            return;
        };
        let keys = store.number_keys().unwrap_or_default();
        let row = |text: &str| {
            let number = InstallationNumber::parse(text).ok()?;
            keys.iter().find_map(|key| store.number(&number.keyed_hash(key)).ok().flatten())
        };
        self.used.retain(|text, _| row(text).is_some_and(|row| row.state == NumberState::Used));
    }

    /// Remembers how a device looks now, for a rollback.
    pub fn remember(&mut self) {
        let at = self.dice.index(self.people.len());
        if let Some(person) = self.people.get_mut(at) {
            person.snapshots.push(person.wallet.device.vault.snapshot());
        }
        let at = self.dice.index(self.tills.len());
        if let Some(till) = self.tills.get_mut(at) {
            till.snapshots.push(till.terminal.device.vault.snapshot());
        }
    }

    /// A device is put back to an earlier state.
    pub fn roll_back(&mut self) {
        if self.dice.chance(700) {
            let at = self.dice.index(self.people.len());
            if let Some(person) = self.people.get_mut(at)
                && !person.snapshots.is_empty()
            {
                let snapshot = person.snapshots[self.dice.index(person.snapshots.len())].clone();
                self.put_back(at, &snapshot);
            }
        } else {
            let at = self.dice.index(self.tills.len());
            if let Some(till) = self.tills.get_mut(at)
                && !till.snapshots.is_empty()
            {
                let snapshot = &till.snapshots[self.dice.index(till.snapshots.len())];
                till.terminal.device.vault.roll_back(snapshot);
                till.tampered = Some("rolled back");
                self.faults += 1;
                self.say(|| format!("terminal {at} is rolled back to an earlier copy"));
            }
        }
    }

    /// A wallet is put back to an earlier state.
    pub fn put_back(&mut self, at: usize, snapshot: &Snapshot) {
        let Some(person) = self.people.get_mut(at) else {
            return;
        };
        person.wallet.device.vault.roll_back(snapshot);
        let _ = person.wallet.device.ring.reload_in_memory(&person.wallet.device.vault);
        person.tampered = Some("rolled back");
        self.faults += 1;
        self.say(|| format!("wallet {at} is rolled back to an earlier copy"));
    }

    /// A wallet is copied; both copies go on.
    pub fn copy_wallet(&mut self) {
        let at = self.dice.index(self.people.len());
        self.copy_of(at);
    }

    /// The same, of this wallet.
    pub fn copy_of(&mut self, at: usize) {
        let broken = self.broken;
        let Some(person) = self.people.get_mut(at) else {
            return;
        };
        if person.wallet.device.vault.is_off() {
            return;
        }
        person.tampered = Some("copied");
        let vault = SimulatedVault::clone_of(&person.wallet.device.vault, Faults::none());
        let start = Start { vault, seed: person.seed, id: person.id };
        let mut copy = device(&start, broken);
        let _ = copy.ring.reload_in_memory(&copy.vault);
        let copy = Person {
            wallet: Wallet::new(copy, Algorithm::Ed25519),
            id: person.id,
            seed: person.seed,
            skew: person.skew,
            tampered: Some("a copy"),
            is_copy: true,
            has_bank_card: person.has_bank_card,
            registration: person.registration,
            sessions: person.sessions.clone(),
            snapshots: Vec::new(),
        };
        self.people.push(copy);
        self.faults += 1;
        self.say(|| format!("wallet {at} is copied"));
    }
}
