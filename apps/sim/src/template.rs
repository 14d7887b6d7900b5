//! The town before its first day: everybody has joined, terminals are equipped, numbers are printed and half of them
//! sold. Made once; every seed starts from a copy.

use crate::clearing::Clearing;
use crate::courier::Courier;
use crate::dice::Dice;
use crate::post::Center;
use std::sync::OnceLock;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::step::Broken;
use tegata_core::talk::credit::MerchantDetails;
use tegata_core::talk::enter::Direction;
use tegata_core::talk::event::{EventPlan, PlannedDoor, PlannedZone, Seat};
use tegata_core::talk::join::JoinToken;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, DeviceId, EventId, PartyId, Time, Unit};
use tegata_crypto_native::NativeVerifier;
use tegata_device::{Device, KeyRing, Now, join};
use tegata_issuer::{Issuer, Offered};
use tegata_provider::{Keys, Provider};
use tegata_store::Store;
use tegata_terminal::Terminal;
use tegata_vault::{Faults, SimulatedVault};
use tegata_wallet::Wallet;

/// The town's first moment.
pub const START: Time = Time(1_700_000_000);
/// L of the town's terms, in seconds.
pub const LIST_AGE: u64 = 7 * Time::DAY;
/// U of the town's terms, in seconds.
pub const RECORD_AGE: u64 = 10 * Time::DAY;
/// How many wallets, terminals and merchants there are at most.
pub const WALLETS: usize = 4;
/// Terminals: the first three are the first merchant's.
pub const TERMINALS: usize = 5;
/// Face values of the batches, in cents, and whether their numbers are sold at the start.
pub const BATCHES: [(u64, u64, bool); 3] = [(5_000, 12, true), (2_000, 12, true), (10_000, 12, false)];

/// The merchants as the bank knows them: code and name.
pub const MERCHANTS: [(&str, &str); 2] = [("CAFE", "CORNER CAFE TOWN US"), ("KIOSK", "KIOSK TOWN US")];

/// The issuer as the bank knows it: code and name.
pub const SELLER: (&str, &str) = ("CARDS", "TOWN CARDS TOWN US");
/// What the issuer sells over the network, from article 1 on: cents on each, how many, and after how many seconds the money is
/// captured; absent: before the card is delivered.
pub const ARTICLES: [(u64, u64, Option<u64>); 2] = [(3_000, 5, None), (4_000, 4, Some(2 * Time::DAY))];

/// The event that the issuer promotes in some towns.
pub const EVENT: EventId = EventId([0xe7; 16]);
/// Its gates: door, zone behind it, which way.
pub const GATES: [(u64, u64, Direction); 4] =
    [(1, 1, Direction::In), (2, 1, Direction::In), (3, 1, Direction::Out), (4, 2, Direction::In)];
/// Gates in reserve.
const SPARES: usize = 2;
/// What lets in, from the article after [`ARTICLES`] on: entries, how many are for sale, what one costs in cents.
pub const TICKETS: [(u64, u64, u64); 2] = [(6, 6, 4_500), (1, 4, 2_500)];
/// A telephone card of call units, sold where people call as well: units on each, what they cost in cents, how many are for sale.
pub const UNITS: (u64, u64, u64) = (70, 999, 6);
/// Its article, after those of [`TICKETS`].
pub const UNITS_ARTICLE: u64 = ARTICLES.len() as u64 + TICKETS.len() as u64 + 1;

/// Whoever was given a ticket registers it within so many seconds.
pub const REGISTER_WITHIN: u64 = 2 * Time::DAY;

/// What a device starts from.
pub struct Start {
    /// Its records.
    pub vault: SimulatedVault,
    /// What its keys are made of.
    pub seed: [u8; 32],
    /// Who it is.
    pub id: DeviceId,
}

/// An installation number and where it comes from.
#[derive(Clone, Debug)]
pub struct Number {
    /// As printed.
    pub text: String,
    /// Its batch.
    pub batch: u64,
    /// Its serial.
    pub serial: u64,
    /// What it is worth, in cents.
    pub face: u64,
    /// Whether it was sold, so that it is value.
    pub sold: bool,
}

/// The town before its first day.
pub struct Template {
    /// The provider's database.
    pub image: Vec<u8>,
    /// What the provider's keys are made of.
    pub keys: [u8; 32],
    /// Wallets.
    pub wallets: Vec<Start>,
    /// Terminals, each with its merchant.
    pub terminals: Vec<(Start, PartyId)>,
    /// The issuer.
    pub issuer: Start,
    /// Its numbers.
    pub numbers: Vec<Number>,
    /// The issuer's id.
    pub issuer_party: PartyId,
    /// The merchants.
    pub merchants: Vec<PartyId>,
    /// What a town starts from that clears credit.
    pub credit: CreditTemplate,
    /// What a town starts from whose issuer sells over the network as well.
    pub buying: BuyingTemplate,
    /// What a town starts from whose issuer sells tickets of an event as well.
    pub event: EventTemplate,
}

/// The town with an event: it is planned, its tickets are listed, and its gates stand in their places.
pub struct EventTemplate {
    /// Provider and processor.
    pub credit: CreditTemplate,
    /// The issuer.
    pub issuer: Start,
    /// The gates, as [`GATES`] names them; they have not been told of the event yet.
    pub gates: Vec<Start>,
    /// Gates in reserve: they have joined, and stand nowhere.
    pub spares: Vec<Start>,
}

/// The town whose issuer sells cards over the network: it is enrolled, and has listed [`ARTICLES`].
pub struct BuyingTemplate {
    /// Provider and processor.
    pub credit: CreditTemplate,
    /// The issuer, which knows what it listed.
    pub issuer: Start,
}

/// The town that clears credit: a processor is registered, and the merchants are enrolled.
pub struct CreditTemplate {
    /// The provider's database.
    pub image: Vec<u8>,
    processor: Vec<u8>,
    keys: [u8; 32],
}

impl CreditTemplate {
    /// The line to the processor as it was then; its bank's books are empty.
    ///
    /// # Errors
    /// It did not open: in words.
    pub fn courier(&self, now: Time, line: Dice, bank: Dice) -> Result<Courier, String> {
        let store = tegata_processor::Store::restore(&self.processor).map_err(|error| error.to_string())?;
        Ok(Courier::new(Clearing::new(store, self.keys, now, bank)?, line))
    }
}

/// The keys of a device.
pub fn ring(seed: &[u8; 32]) -> KeyRing {
    KeyRing::in_memory(Algorithm::Ed25519, seed)
}

/// The town's one sort of card.
pub fn terms(issuer: PartyId) -> Terms {
    Terms {
        issuer,
        kind: CardKind::Payment,
        unit: Unit::USD,
        name: "Town card".into(),
        max_payment: 6_000,
        offline_limit: 15_000,
        due_after: 30 * Time::DAY,
        list_age: LIST_AGE,
        record_age: RECORD_AGE,
        max_balance: 50_000,
        handovers: 0,
        refundable: true,
        max_untouched: 500,
        register_within: None,
        program: None,
        ticket: None,
        extensions: Default::default(),
    }
}

/// The template, made at first use.
pub fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| make().expect("the template is the same every time and was seen to work"))
}

type Whatever = Box<dyn std::error::Error>;

fn joined(
    center: &mut Center,
    role: Role,
    owner: Option<PartyId>,
    name: &str,
    dice: &mut Dice,
) -> Result<(Device<SimulatedVault>, [u8; 32]), Whatever> {
    let seed = dice.entropy();
    let mut device = Device::new(SimulatedVault::new(Faults::none()), ring(&seed), &NativeVerifier);
    let (now, entropy) = (center.now, dice.entropy());
    let provider = center.provider().ok_or("no provider")?;
    let token: JoinToken = provider.invite(role, owner, name, now, entropy)?;
    let info = provider.info().clone();
    let now = Now { time: center.now, entropy: dice.entropy() };
    join(&mut device, center, &info, &token, role, name, now)?;
    Ok((device, seed))
}

fn start(device: Device<SimulatedVault>, seed: [u8; 32]) -> Start {
    let id = device.id().unwrap_or(DeviceId([0; 16]));
    Start { vault: device.vault, seed, id }
}

fn make() -> Result<Template, Whatever> {
    let mut dice = Dice::new(0x7465_6761_7461);
    let keys = dice.entropy();
    let provider = Provider::open(Store::memory()?, Keys::new(keys, START), "Town", START, Broken::NONE)?;
    let mut center = Center::new(provider, (keys, START), START, dice.fork());
    let (device, issuer_seed) = joined(&mut center, Role::Issuer, None, "Town card issuer", &mut dice)?;
    let mut issuer = Issuer::new(device);
    let issuer_party = issuer.party()?;
    let mut numbers = Vec::new();
    for (face, count, sold) in BATCHES {
        let amount = Amount::new(Unit::USD, face).ok_or("a face value")?;
        let until = START.after(2000 * Time::DAY);
        let now = Now { time: START, entropy: dice.entropy() };
        let batch = issuer.order(&mut center, terms(issuer_party), amount, (count, until), now)?;
        if sold {
            let now = Now { time: START, entropy: dice.entropy() };
            issuer.activate(&mut center, batch, (1, count), now)?;
        }
        numbers.extend(issuer.print(batch)?.into_iter().map(|printed| Number {
            text: printed.number.to_string(),
            batch,
            serial: printed.serial,
            face,
            sold,
        }));
    }
    let mut merchants = Vec::new();
    for name in ["Corner cafe", "Kiosk"] {
        let (device, _) = joined(&mut center, Role::Merchant, None, name, &mut dice)?;
        merchants.push(device.certificate().ok_or("a merchant")?.claimed().subject.party());
    }
    let mut terminals = Vec::new();
    for number in 0..TERMINALS {
        let merchant = merchants[usize::from(number >= 3)];
        let name = if number >= 3 { "Kiosk" } else { "Corner cafe" };
        let (device, seed) = joined(&mut center, Role::Terminal, Some(merchant), name, &mut dice)?;
        let mut terminal = Terminal::new(device);
        terminal.update(&mut center, Now { time: START, entropy: dice.entropy() })?;
        terminals.push((start(terminal.device, seed), merchant));
    }
    let mut wallets = Vec::new();
    for _ in 0..WALLETS {
        let (device, seed) = joined(&mut center, Role::Wallet, None, "", &mut dice)?;
        let mut wallet = Wallet::new(device, Algorithm::Ed25519);
        wallet.update(&mut center, Now { time: START, entropy: dice.entropy() })?;
        wallets.push(start(wallet.device, seed));
    }
    let (vault, id) = (issuer.device.vault.clone(), issuer.device.id().unwrap_or(DeviceId([0; 16])));
    let image = center.provider().ok_or("no provider")?.snapshot()?;
    let (credit, courier) = enrolled(&mut center, &merchants, &mut dice)?;
    center.courier = Some(courier);
    let seller = listed(&mut center, &mut issuer, credit.keys, &mut dice)?;
    let selling = Start { vault: issuer.device.vault.clone(), seed: issuer_seed, id };
    center.courier = Some(seller.courier(center.now, dice.fork(), dice.fork())?);
    let buying = BuyingTemplate { credit: seller, issuer: selling };
    let gates = planned(&mut center, &mut issuer, &mut dice)?;
    let mut spares = Vec::new();
    for _ in 0..SPARES {
        let (device, seed) = joined(&mut center, Role::Gate, Some(issuer_party), "in reserve", &mut dice)?;
        spares.push(start(device, seed));
    }
    let mut courier = center.courier.take().ok_or("no line")?;
    let (processor, keys_of) = (courier.clearing.snapshot()?, credit.keys);
    let seen = center.provider().ok_or("no provider")?.snapshot()?;
    let event = EventTemplate {
        credit: CreditTemplate { image: seen, processor, keys: keys_of },
        issuer: start(issuer.device, issuer_seed),
        gates,
        spares,
    };
    let issuer = Start { vault, seed: issuer_seed, id };
    Ok(Template { image, keys, wallets, terminals, issuer, numbers, issuer_party, merchants, credit, buying, event })
}

/// What lets in. The first opens both zones again and again, up to three times a day and two people at once; the second has a
/// seat, begins a day later, and lets in once.
fn ticket_terms(number: usize, entries: u64) -> TicketTerms {
    let festival = number == 0;
    TicketTerms {
        event: EVENT,
        place: "Town hall".into(),
        from: if festival { START } else { START.after(Time::DAY) },
        until: START.after(if festival { 300 } else { 60 } * Time::DAY),
        zones: if festival { vec![1, 2] } else { vec![1] },
        entries,
        a_day: festival.then_some(3),
        day_begins: 4 * 3600,
        reentry: festival,
        companions: u64::from(festival),
        door: festival.then_some(1),
        give_until: None,
        give_price: None,
        refund_until: None,
        seating: None,
        extensions: Default::default(),
    }
}

/// What stands on a seat: two rows, one of odd numbers, and a box, so that gates are told runs of several shapes.
pub(crate) fn seat_name(seat: u64) -> String {
    match seat {
        1 | 2 => format!("Row A, {:02}", 2 * seat + 7),
        3 => "Row B, 1".into(),
        _ => format!("Box {seat} left"),
    }
}

/// The issuer plans an event, lists its tickets and puts gates in their places.
fn planned(center: &mut Center, issuer: &mut Issuer<SimulatedVault>, dice: &mut Dice) -> Result<Vec<Start>, Whatever> {
    let (promoter, at) = (issuer.party()?, center.now);
    let seats = ARTICLES.len() as u64 + TICKETS.len() as u64;
    let plan = EventPlan {
        promoter,
        event: EVENT,
        revision: 1,
        name: "Festival".into(),
        place: "Town hall".into(),
        zones: [1, 2]
            .map(|zone| PlannedZone { zone, name: format!("zone {zone}"), extensions: Default::default() })
            .into(),
        doors: GATES
            .map(|(door, zone, _)| PlannedDoor {
                door,
                name: format!("door {door}"),
                zone,
                extensions: Default::default(),
            })
            .into(),
        seats: (1..=TICKETS[1].1)
            .map(|seat| Seat { seat, name: seat_name(seat), article: seats, extensions: Default::default() })
            .collect(),
        at,
        extensions: Default::default(),
    };
    let now = Now { time: at, entropy: dice.entropy() };
    issuer.plan_drafted(center, plan, now)?;
    for (number, (entries, stock, price)) in TICKETS.into_iter().enumerate() {
        let article = (ARTICLES.len() + number + 1) as u64;
        let offered = Offered {
            terms: Terms {
                kind: CardKind::Ticket,
                unit: Unit::ENTRIES,
                name: format!("Festival, sort {number}"),
                max_payment: 0,
                offline_limit: 0,
                max_balance: entries,
                handovers: 4,
                register_within: Some(REGISTER_WITHIN),
                ticket: Some(ticket_terms(number, entries)),
                ..terms(promoter)
            },
            face: Amount::new(Unit::ENTRIES, entries).ok_or("entries")?,
            price: Amount::new(Unit::USD, price).ok_or("a price")?,
            stock,
            until: START.after(1000 * Time::DAY),
            valid_for: 2000 * Time::DAY,
            clear_after: None,
        };
        let now = Now { time: at, entropy: dice.entropy() };
        issuer.list(center, article, offered, now)?;
    }
    let mut gates = Vec::new();
    for (door, _, direction) in GATES {
        let (device, seed) = joined(center, Role::Gate, Some(promoter), &format!("door {door}"), dice)?;
        let gate = device.id().ok_or("a gate")?;
        let now = Now { time: at, entropy: dice.entropy() };
        issuer.gate(center, (gate, &EVENT.to_string(), &door.to_string()), direction, now)?;
        gates.push(start(device, seed));
    }
    Ok(gates)
}

/// The issuer is enrolled, and lists what it sells.
fn listed(
    center: &mut Center,
    issuer: &mut Issuer<SimulatedVault>,
    keys: [u8; 32],
    dice: &mut Dice,
) -> Result<CreditTemplate, Whatever> {
    let (party, now) = (issuer.party()?, center.now);
    let (code, name) = (SELLER.0.to_owned(), SELLER.1.to_owned());
    let details = MerchantDetails { code, category: 6012, name, extensions: Default::default() };
    center.provider().ok_or("no provider")?.enrol(party, details, now, dice.entropy())?;
    center.pass(now.after(20));
    let account = center.store()?.clearing_account(party.0)?.and_then(|row| row.account);
    account.ok_or("the issuer is not enrolled")?;
    for (article, (face, stock, clear_after)) in (1..).zip(ARTICLES) {
        let offered = Offered {
            terms: terms(party),
            face: Amount::new(Unit::USD, face).ok_or("a face value")?,
            price: Amount::new(Unit::USD, face).ok_or("a price")?,
            stock,
            until: START.after(1000 * Time::DAY),
            valid_for: 2000 * Time::DAY,
            clear_after,
        };
        let now = Now { time: center.now, entropy: dice.entropy() };
        issuer.list(center, article, offered, now)?;
    }
    let mut courier = center.courier.take().ok_or("no line")?;
    let image = center.provider().ok_or("no provider")?.snapshot()?;
    Ok(CreditTemplate { image, processor: courier.clearing.snapshot()?, keys })
}

fn enrolled(
    center: &mut Center,
    merchants: &[PartyId],
    dice: &mut Dice,
) -> Result<(CreditTemplate, Courier), Whatever> {
    let keys = dice.entropy();
    let store = tegata_processor::Store::memory()?;
    let mut clearing = Clearing::new(store, keys, START, dice.fork())?;
    let provider = center.provider().ok_or("no provider")?;
    clearing.admit(provider.info().provider, provider.signing_key(START))?;
    let info = clearing.info().ok_or("no processor")?;
    provider.register_processor(info, "town".into(), START, dice.entropy())?;
    for (merchant, (code, name)) in merchants.iter().zip(MERCHANTS) {
        let (code, name) = (code.to_owned(), name.to_owned());
        let details = MerchantDetails { code, category: 5814, name, extensions: Default::default() };
        center.provider().ok_or("no provider")?.enrol(*merchant, details, START, dice.entropy())?;
    }
    center.courier = Some(Courier::new(clearing, dice.fork()));
    center.pass(START.after(30));
    for merchant in merchants {
        let account = center.store()?.clearing_account(merchant.0)?.and_then(|row| row.account);
        account.ok_or("a merchant is not enrolled")?;
    }
    let mut courier = center.courier.take().ok_or("no line")?;
    let image = center.provider().ok_or("no provider")?.snapshot()?;
    let processor = courier.clearing.snapshot()?;
    Ok((CreditTemplate { image, processor, keys }, courier))
}
