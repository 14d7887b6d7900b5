//! The hall itself: provider, processor and bank, the promoter with its event and tickets on sale.

use super::crowd::{Crowd, Line};
use super::kills::Killed;
use super::venue::GateProcess;
use crate::flags::EventFlags;
use crate::place::now;
use crate::replay::shop::device;
use crate::rig::{ClearingProcess, ProviderProcess};
use crate::screen::{Failure, fail};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::talk::buy::Listing;
use tegata_core::talk::cards::Done;
use tegata_core::talk::event::{EventPlan, PlannedDoor, PlannedZone};
use tegata_core::wire::canonical::Message;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{Algorithm, Verified};
use tegata_core::{Amount, EventId, Hash, PartyId, Time, Unit};
use tegata_device::{Device, join};
use tegata_vault::MemoryVault;

/// The zone of the hall.
pub const ZONE: u64 = 1;

/// The evening's parts; everything started is stopped with it.
pub struct Evening {
    /// The provider's process.
    pub provider: ProviderProcess,
    /// The processor's, with the bank.
    pub clearing: ClearingProcess,
    /// The promoter.
    pub promoter: Device<MemoryVault>,
    /// The event.
    pub event: EventId,
    /// The gates' processes, once they are opened.
    pub gates: Vec<GateProcess>,
    /// The data folder.
    pub folder: PathBuf,
    /// Whether parts are killed.
    pub kills: bool,
    /// What was killed so far.
    pub killed: Killed,
    keep: bool,
}

impl Drop for Evening {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed is left to the machine's own cleaning of temporary files.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Evening {
    /// Opens it: tickets are on sale.
    pub fn open(flags: &EventFlags) -> Result<Self, Failure> {
        let keep = flags.keep.is_some();
        let folder = match &flags.keep {
            Some(folder) => folder.clone(),
            None => std::env::temp_dir().join(format!("tegata-replay-{}-event", std::process::id())),
        };
        std::fs::create_dir_all(&folder)?;
        let provider = ProviderProcess::start_now(&folder)?;
        let clearing = ClearingProcess::start(&provider)?;
        let mut promoter = device(Algorithm::Ed25519);
        let token = provider.invite("issuer", &["Town hall".into()], None)?.remove(0);
        let mut line = Line::open(&provider.url())?;
        join(&mut promoter, &mut line, &provider.info()?, &token, Role::Issuer, "Town hall", now())?;
        let event = EventId(Hash::of(&now().entropy).0[..16].try_into().unwrap_or([1; 16]));
        let (gates, kills, killed) = (Vec::new(), flags.kill, Killed::default());
        let mut evening = Self { provider, clearing, promoter, event, gates, folder, kills, killed, keep };
        let party = evening.party()?;
        evening.clearing.enrol(&evening.provider, party, "HALL")?;
        evening.plan(flags)?;
        evening.settled()?;
        Ok(evening)
    }
    /// The provider's database.
    pub fn database(&self) -> PathBuf {
        self.folder.join("provider").join("provider.db")
    }
    /// The promoter.
    pub fn party(&self) -> Result<PartyId, Failure> {
        match self.promoter.certificate() {
            Some(certificate) => Ok(certificate.claimed().subject.party()),
            None => fail("the promoter did not join"),
        }
    }
    /// Signs for the promoter and sends it.
    pub fn asks<T: Message + Clone>(&mut self, body: T) -> Result<(), Failure> {
        let signed = self.promoter.signed(body)?;
        let mut line = Line::open(&self.provider.url())?;
        let _: Verified<Done> = self.promoter.request(&mut line, &signed, now())?;
        Ok(())
    }
    /// The event, its doors and its tickets: open since an hour, for the whole night.
    fn plan(&mut self, flags: &EventFlags) -> Result<(), Failure> {
        let (promoter, event, at) = (self.party()?, self.event, now().time);
        let door = |door: usize| PlannedDoor {
            door: door as u64,
            name: format!("door {door}"),
            zone: ZONE,
            extensions: Default::default(),
        };
        self.asks(EventPlan {
            promoter,
            event,
            revision: 1,
            name: "Concert".into(),
            place: "Town hall".into(),
            zones: vec![PlannedZone { zone: ZONE, name: "hall".into(), extensions: Default::default() }],
            doors: (1..=flags.gates).map(door).collect(),
            seats: Vec::new(),
            at,
            extensions: Default::default(),
        })?;
        let ticket = TicketTerms {
            event,
            place: "Town hall".into(),
            from: Time(at.0 - 3600),
            until: at.after(12 * 3600),
            zones: vec![ZONE],
            entries: 2,
            a_day: None,
            day_begins: 0,
            reentry: true,
            companions: 0,
            door: None,
            give_until: None,
            give_price: None,
            refund_until: None,
            seating: None,
            extensions: Default::default(),
        };
        let terms = Terms {
            issuer: promoter,
            kind: CardKind::Ticket,
            unit: Unit::ENTRIES,
            name: "Concert".into(),
            max_payment: 0,
            offline_limit: 0,
            due_after: 30 * Time::DAY,
            list_age: Time::DAY,
            record_age: Time::DAY,
            max_balance: 2,
            handovers: 2,
            refundable: true,
            max_untouched: 0,
            register_within: Some(Time::DAY),
            program: None,
            ticket: Some(ticket),
            extensions: Default::default(),
        };
        let (Some(face), Some(price)) = (Amount::new(Unit::ENTRIES, 2), Amount::new(Unit::USD, 4_500)) else {
            return fail("no price");
        };
        self.asks(Listing {
            issuer: promoter,
            article: 1,
            revision: 1,
            terms,
            face,
            price,
            stock: flags.tickets as u64 + 1_000,
            until: at.after(6 * 3600),
            valid_for: 2 * Time::DAY,
            clear_after: None,
            at,
            extensions: Default::default(),
        })
    }
    /// Waits until the bank has signed the processor on: somebody buys the first ticket, and never comes.
    fn settled(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let bar = indicatif::ProgressBar::hidden();
            let crowd = Crowd::gather(&self.provider, 1, &bar)?;
            match crowd.buy(&[0], &bar) {
                Ok(()) => return Ok(()),
                Err(failure) if Instant::now() > until => return Err(failure),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}
