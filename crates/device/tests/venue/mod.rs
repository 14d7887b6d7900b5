//! An event as its gates and a wallet with a ticket see it: both sides real, the link's bytes between them, vaults in memory.
#![allow(dead_code, clippy::unwrap_used)] // each test uses its part; one that cannot go on says where

use std::sync::Arc;
use tegata_core::card::payment::Purse;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardCertificate, CardKind, Terms};
use tegata_core::record::Batch;
use tegata_core::step::{Context, Event};
use tegata_core::talk::enter::*;
use tegata_core::talk::journal::{EntryKind, Journal, LogEntry};
use tegata_core::talk::pay::{load_purse, purse_key};
use tegata_core::talk::update::anchors_key;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::*;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{Amount, CardId, DeviceId, EventId, Hash, PartyId, Time, Unit};
use tegata_crypto_native::{NativeVerifier, SecretKey};
use tegata_device::{Device, KeyRing, Now, Out, Talking, TerminalTap, WalletTap};
use tegata_vault::{MemoryVault, Vault};

pub const DOORS: Time = Time(1_000_000);
pub const EVENT: EventId = EventId([0xe1; 16]);
pub const PROMOTER: PartyId = PartyId([8; 16]);
pub const CARD: CardId = CardId([5; 16]);

pub fn sign<T: Message>(body: T, key: &SecretKey) -> Signed<T> {
    let unsigned = Unsigned::new(body, key.public().algorithm());
    let signature = key.sign(&unsigned.tbs(&[]));
    unsigned.sign(signature)
}

/// A gate, its door, and what its clock is off by, in seconds.
pub struct Gate {
    pub device: Device<MemoryVault>,
    pub door: Door,
    pub skew: i64,
}

/// A promoter's event: two gates in, the third one out, and a wallet with a ticket.
pub struct Venue {
    pub operational: SecretKey,
    pub anchors: Anchors,
    pub terms: Terms,
    pub wallet: Device<MemoryVault>,
    pub gates: Vec<Gate>,
    pub now: Time,
    draws: u64,
    pub bytes: usize,
    pub exchanges: usize,
}

pub fn ticket_terms() -> TicketTerms {
    TicketTerms {
        event: EVENT,
        place: "Town hall".into(),
        from: DOORS,
        until: DOORS.after(6 * 3600),
        zones: vec![1],
        entries: 3,
        a_day: None,
        day_begins: 0,
        reentry: true,
        companions: 1,
        door: Some(1),
        give_until: None,
        give_price: None,
        refund_until: None,
        seating: None,
        extensions: Default::default(),
    }
}

impl Venue {
    pub fn new(algorithm: Algorithm, ticket: TicketTerms) -> Self {
        let operational = SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]);
        let key = OperationalKey {
            number: 1,
            key: operational.public(),
            from: Time(0),
            until: Time::END,
            extensions: Default::default(),
        };
        let anchors = Anchors {
            provider: PartyId([9; 16]),
            root: operational.public(),
            sealing: SealingKey([0; 32]),
            epoch: 1,
            keys: vec![key],
            list: None,
            extensions: Default::default(),
        };
        let terms = Terms {
            issuer: PROMOTER,
            kind: CardKind::Ticket,
            unit: Unit::ENTRIES,
            name: "Concert, stalls".into(),
            max_payment: 0,
            offline_limit: 0,
            due_after: 30 * Time::DAY,
            list_age: 7 * Time::DAY,
            record_age: 7 * Time::DAY,
            max_balance: 100,
            handovers: 0,
            refundable: true,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: Some(ticket),
            extensions: Default::default(),
        };
        let ring = KeyRing::in_memory(algorithm, &[3; 32]);
        let mut wallet = Device::new(MemoryVault::new(), ring, &NativeVerifier);
        let key = wallet.ring.make(&mut wallet.vault, algorithm, &[4; 32]).unwrap();
        let said = CardCertificate {
            card: CARD,
            kind: CardKind::Ticket,
            terms: terms.handle(),
            face: Amount::new(Unit::ENTRIES, 3).unwrap(),
            key,
            generation: 1,
            from: DOORS,
            until: DOORS.after(30 * Time::DAY),
            epoch: 1,
            signer: 1,
            seq: 0,
            remaining: 3,
            last_load: 0,
            last_received: None,
            offline_limit: 0,
            due: DOORS.after(30 * Time::DAY),
            seat: Some(12_345),
            used: None,
            given: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.put(anchors_key(), anchors.to_bytes());
        batch.put(Journal::key(), Journal::new(1, DOORS).to_bytes());
        batch.put(purse_key(CARD), Purse::new(sign(said, &operational)).to_bytes());
        wallet.vault.commit(&batch).unwrap();
        let now = DOORS.after(60);
        let mut venue =
            Self { operational, anchors, terms, wallet, gates: Vec::new(), now, draws: 0, bytes: 0, exchanges: 0 };
        for number in 1..=2 {
            let gate = venue.gate(number, Direction::In, PROMOTER, Role::Gate);
            venue.gates.push(gate);
        }
        let exit = venue.gate(3, Direction::Out, PROMOTER, Role::Gate);
        venue.gates.push(exit);
        venue
    }

    pub fn setup(&self, door: u64, direction: Direction) -> Setup {
        Setup {
            number: 1,
            event: EVENT,
            name: "Concert".into(),
            terms: vec![self.terms.clone()],
            replaced: vec![],
            dead: vec![],
            door,
            zone: 1,
            direction,
            at: DOORS,
            gates: vec![],
            staff: None,
            seats: Some(vec![SeatRun { seat: 12_301, count: 50, name: "Row 5, 01".into(), step: 1 }]),
            unnamed: None,
            zones: None,
            door_name: None,
            extensions: Default::default(),
        }
    }

    pub fn gate(&self, number: u8, direction: Direction, owner: PartyId, role: Role) -> Gate {
        let ring = KeyRing::in_memory(Algorithm::Ed25519, &[10 + number; 32]);
        let certificate = Certificate {
            subject: DeviceId([number; 16]).into(),
            role,
            key: ring.device_key().unwrap(),
            sealing: None,
            from: Time(0),
            until: Time(2_000_000_000),
            epoch: 1,
            signer: 1,
            owner: Some(owner),
            name: Some(format!("door {number}")),
            number: None,
            extensions: Default::default(),
        };
        let mut device = Device::new(MemoryVault::new(), ring, &NativeVerifier);
        let mut batch = Batch::default();
        batch.put(Journal::key(), Journal::new(1, DOORS).to_bytes());
        device.vault.commit(&batch).unwrap();
        let door = Door {
            certificate: sign(certificate, &self.operational),
            anchors: Arc::new(self.anchors.clone()),
            setup: Arc::new(self.setup(u64::from(number), direction)),
            hears: false,
        };
        Gate { device, door, skew: 0 }
    }

    fn tick(&mut self) -> Now {
        self.draws += 1;
        Now { time: self.now, entropy: Hash::of(&self.draws.to_be_bytes()).0 }
    }
    /// The same by this gate's clock.
    fn tick_at(&mut self, at: usize) -> Now {
        let now = self.tick();
        Now { time: Time(now.time.0.checked_add_signed(self.gates[at].skew).unwrap()), ..now }
    }

    /// One touch at a gate. The link is cut after `frames` frames have crossed it.
    pub fn touch(&mut self, at: usize, people: u64, frames: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
        let visitor = Visitor { card: CARD, terms: self.terms.clone(), people, anchors: self.anchors.clone() };
        let (mut wallet, hello) = WalletTap::touch(WalletEnter::new(visitor), self.tick().entropy).unwrap();
        let mut gate = TerminalTap::waiting(GateEnter::new(self.gates[at].door.clone()));
        let (mut up, mut down) = (vec![hello], Vec::new());
        let (mut seen, mut shown) = (Vec::new(), Vec::new());
        let mut crossed = 0;
        (self.bytes, self.exchanges) = (0, 0);
        while !up.is_empty() || !down.is_empty() {
            for frame in std::mem::take(&mut up) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                self.bytes += frame.len() + 2;
                self.exchanges += 1;
                let now = self.tick_at(at);
                let step = gate.receive(&frame, now, &mut self.gates[at].device).unwrap();
                down.extend(step.frames);
                shown.extend(step.notices);
            }
            for frame in std::mem::take(&mut down) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                self.bytes += frame.len() + 2;
                let now = self.tick();
                let step = wallet.receive(&frame, now, &mut self.wallet).unwrap();
                up.extend(step.frames);
                seen.extend(step.notices);
            }
        }
        let now = self.tick();
        if !wallet.is_over() {
            seen.extend(wallet.event(Event::Lost, now, &mut self.wallet).unwrap().notices);
        }
        (seen, shown)
    }

    pub fn enter(&mut self, at: usize) -> (Vec<WalletEnterNotice>, Vec<GateNotice>) {
        self.touch(at, 1, usize::MAX)
    }

    pub fn refusal(&mut self, at: usize, people: u64) -> EnterRefusal {
        let (seen, shown) = self.touch(at, people, usize::MAX);
        match (&seen[..], &shown[..]) {
            ([WalletEnterNotice::Refused { why, .. }], [GateNotice::Refused(same, _)]) if why == same => *why,
            other => panic!("both sides are told: {other:?}"),
        }
    }

    /// The code on the wallet's screen, seconds after its moment.
    pub fn code(&mut self) -> Vec<u8> {
        let purse = load_purse(&self.wallet, CARD).unwrap();
        let (pass, _) = Pass::load(&self.wallet, &purse, 1);
        let (window, tbs) = draft_window(&purse, &pass, (EVENT, 1), 1, self.now).unwrap();
        let signature = self.wallet.ring.sign(&purse.certificate.claimed().key, &tbs).unwrap();
        code(purse.certificate, window, signature)
    }

    /// The same, and that it is shown is stored before, as wallets do.
    pub fn shows_code(&mut self) -> Vec<u8> {
        let code = self.code();
        let purse = load_purse(&self.wallet, CARD).unwrap();
        let (pass, before) = Pass::load(&self.wallet, &purse, 1);
        if let Some(coded) = pass.with_code(self.terms.ticket.as_ref().unwrap(), self.now) {
            let mut batch = Batch::default();
            batch.replace(Pass::key(CARD, 1), before, coded.to_bytes());
            self.wallet.vault.commit(&batch).unwrap();
        }
        code
    }

    pub fn camera(&mut self, at: usize, code: &[u8]) -> GateNotice {
        let now = self.tick_at(at);
        let Gate { device, door, .. } = &mut self.gates[at];
        let mut talking = Talking::new(GateEnter::camera(door.clone()));
        let outs = talking.deliver(Event::Received(code.to_vec()), now, device);
        let shown = outs.into_iter().find_map(|out| if let Out::Show(notice) = out { Some(notice) } else { None });
        shown.unwrap()
    }

    /// Gate `from` tells gate `to` all that it has.
    pub fn tell(&mut self, from: usize, to: usize) -> Result<Neighbour, PageError> {
        let now = self.now;
        let teller = &self.gates[from];
        let within = |device| Context {
            now,
            entropy: [0; 32],
            verifier: &NativeVerifier,
            records: device,
            broken: tegata_core::step::Broken::NONE,
        };
        let id = teller.door.certificate.claimed().subject.device();
        let (known, _) = Neighbour::load(&self.gates[to].device, id);
        let page = page(&teller.door, known.number, &within(&teller.device)).unwrap();
        let page = Unsigned::new(page, Algorithm::Ed25519);
        let tbs = page.tbs(&[]);
        let page = page.sign(teller.device.ring.sign(&teller.door.certificate.claimed().key, &tbs).unwrap());
        let certificate = teller.door.certificate.clone();
        let (batch, after) = {
            let listener = &self.gates[to];
            take(&listener.door, certificate, page, &within(&listener.device))?
        };
        self.gates[to].device.vault.commit(&batch).unwrap();
        Ok(after)
    }

    pub fn inside(&self, at: usize) -> u64 {
        Tally::load(&self.gates[at].device).0.inside(1)
    }

    pub fn log(&self, at: usize) -> Vec<EntryKind> {
        let device = &self.gates[at].device;
        let found = device.vault.scan(tegata_core::record::Space::Log, &[], usize::MAX).unwrap();
        found.iter().map(|(_, bytes)| LogEntry::from_bytes(bytes).unwrap().kind).collect()
    }
}

/// Whether both sides say that the ticket came in.
pub fn let_in(told: &(Vec<WalletEnterNotice>, Vec<GateNotice>)) -> bool {
    matches!(told.0[..], [WalletEnterNotice::In { .. }]) && matches!(told.1[..], [GateNotice::Open(_)])
}
