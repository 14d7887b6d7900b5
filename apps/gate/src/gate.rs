//! A gate over its vault: what it can do, whoever asks.

use std::sync::Arc;
use tegata_core::record::Space;
use tegata_core::step::{Broken, Context, Event, Fault};
use tegata_core::talk::enter::{
    ByHand, Direction, Door, EnterRefusal, GateEnter, GateNotice, HandError, Listened, Neighbour, Page, PageError,
    Relay, Setup, Tally, by_hand, inside, next_number, page, relay, take, take_relay,
};
use tegata_core::talk::journal::{Journal, LogEntry};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Anchors, Certificate};
use tegata_core::wire::signed::{Signed, Unsigned};
use tegata_core::{CardId, DeviceId, EventId};
use tegata_crypto_native::{Badge, NativeVerifier};
use tegata_device::{Device, Now, Out, Post, Summary, Talking, TerminalTap, UpdateError, update};
use tegata_vault::{Vault, VaultError};

/// Records that are read at once where it is not known how many there are.
const PIECE: usize = 32;

/// Why the gate did not do it.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Not joined.
    #[error("this gate has not joined a provider yet; ask its operator for a token and join")]
    NotJoined,
    /// Not set up.
    #[error("this gate is not set up for an event; its promoter puts it in its place, then update it once")]
    NotReady,
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The key is not there.
    #[error("this gate's key is locked or missing")]
    Key,
    /// A neighbour's page was not taken.
    #[error(transparent)]
    Neighbour(#[from] PageError),
    /// What staff wanted by hand cannot be.
    #[error(transparent)]
    Hand(#[from] HandError),
    /// The update did not come to its end.
    #[error(transparent)]
    Update(#[from] UpdateError),
}

/// What staff does by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// So many people went out with nothing to show.
    Out(u64),
    /// So many people came in with nothing to show.
    In(u64),
    /// Nobody is inside with this ticket any more.
    Over(CardId),
}

/// A gate.
pub struct Gate<V> {
    /// Its records and keys.
    pub device: Device<V>,
    door: Option<Door>,
    hears: bool,
}

impl<V: Vault> Gate<V> {
    /// Over this device; alone until it hears others.
    pub fn new(device: Device<V>) -> Self {
        Self { device, door: None, hears: false }
    }
    /// Its door, read once and again after each update: the event's set-up may be large.
    ///
    /// # Errors
    /// [`GateError::NotJoined`], [`GateError::NotReady`].
    pub fn door(&mut self) -> Result<Door, GateError> {
        if self.door.is_none() {
            let certificate = self.device.certificate().ok_or(GateError::NotJoined)?;
            let anchors = Arc::new(self.device.anchors().ok_or(GateError::NotJoined)?);
            let setup = Arc::new(Setup::load(&self.device).ok_or(GateError::NotReady)?);
            self.door = Some(Door { certificate, anchors, setup, hears: false });
        }
        let hears = self.hears;
        self.door.clone().map(|door| Door { hears, ..door }).ok_or(GateError::NotReady)
    }
    /// Reads its set-up anew when it is needed next.
    pub fn reopen(&mut self) {
        self.door = None;
    }
    /// Whether it hears all its neighbours (R22).
    pub fn hear(&mut self, all: bool) {
        self.hears = all;
    }
    /// Waits for a ticket to touch.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn tap(&mut self) -> Result<TerminalTap<GateEnter>, GateError> {
        Ok(TerminalTap::waiting(GateEnter::new(self.door()?)))
    }
    /// Judges a code that the camera has read (R21).
    ///
    /// # Errors
    /// [`GateError`].
    pub fn camera(&mut self, code: &[u8], now: Now) -> Result<GateNotice, GateError> {
        let mut talking = Talking::new(GateEnter::camera(self.door()?));
        let outs = talking.deliver(Event::Received(code.to_vec()), now, &mut self.device);
        let shown = outs.into_iter().find_map(|out| match out {
            Out::Show(notice) => Some(notice),
            _ => None,
        });
        Ok(shown.unwrap_or(GateNotice::Failed(Fault::Storage)))
    }
    /// What staff does by hand, signed with its badge: people counted out or in, or a ticket's entry ended (R22).
    ///
    /// # Errors
    /// [`GateError::Hand`] and others; nothing has changed.
    pub fn by_hand(&mut self, badge: &Badge, hand: Hand, now: Now) -> Result<ByHand, GateError> {
        let door = self.door()?;
        let key = badge.key();
        let staff = door.setup.staff.as_deref().unwrap_or_default();
        let member = staff.iter().find(|member| member.key == key.public()).ok_or(HandError::Unknown)?;
        let zone = door.setup.zone;
        let (direction, people, over) = match hand {
            Hand::Out(people) => (Direction::Out, people, None),
            Hand::In(people) => (Direction::In, people, None),
            Hand::Over(card) => {
                let (over, people) = inside(&self.device, card, zone)?;
                (Direction::Out, people, Some(over))
            }
        };
        let said = ByHand {
            staff: member.number,
            zone,
            direction,
            people,
            over,
            at: now.time,
            event: door.setup.event,
            extensions: Default::default(),
        };
        let number = next_number(&self.device).ok_or(GateError::NotJoined)?;
        let gate = self.device.id().ok_or(GateError::NotJoined)?;
        let unsigned = Unsigned::new(said.clone(), key.public().algorithm());
        let signature = key.sign(&unsigned.tbs(&ByHand::context(gate, number)));
        let batch = by_hand(&door, unsigned.sign(signature), &context(&self.device, now))?;
        self.device.vault.commit(&batch)?;
        Ok(said)
    }
    /// The ticket that was refused here last because somebody is inside with it.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn last_inside(&self) -> Result<Option<CardId>, GateError> {
        let inside = |entry: &LogEntry| {
            let why = entry.shown.as_ref()?.admission.as_ref()?.claimed().why?;
            (why == EnterRefusal::Inside).then_some(entry.card?)
        };
        Ok(self.log()?.iter().rev().find_map(inside))
    }
    /// How many people are inside, by all gates that were heard.
    pub fn tally(&self) -> Tally {
        Tally::load(&self.device).0
    }
    /// Its event.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn event(&mut self) -> Result<EventId, GateError> {
        Ok(self.door()?.setup.event)
    }
    /// Brings its log to the provider, and what has changed back.
    ///
    /// # Errors
    /// [`GateError::Update`].
    pub fn update(&mut self, post: &mut dyn Post, now: Now) -> Result<Summary, GateError> {
        let summary = update(&mut self.device, post, now);
        self.reopen();
        Ok(summary?)
    }
    /// How many entries of its log the provider has not acknowledged.
    pub fn waiting(&self) -> u64 {
        Journal::load(&self.device).map_or(0, |journal| journal.number - journal.acknowledged)
    }
    /// Its log, oldest first, as far as it is kept.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn log(&self) -> Result<Vec<LogEntry>, GateError> {
        let found = self.device.vault.scan(Space::Log, &[], usize::MAX)?;
        Ok(found.iter().filter_map(|(_, bytes)| LogEntry::from_bytes(bytes).ok()).collect())
    }

    /// A page of its log for a neighbour, signed, with its certificate (R22).
    ///
    /// # Errors
    /// [`GateError`].
    pub fn page(&mut self, after: u64, now: Now) -> Result<(Signed<Certificate>, Signed<Page>), GateError> {
        let door = self.door()?;
        let page = page(&door, after, &context(&self.device, now)).ok_or(GateError::NotJoined)?;
        let key = door.certificate.claimed().key;
        let page = Unsigned::new(page, key.algorithm());
        let signature = self.device.ring.sign(&key, &page.tbs(&[])).ok_or(GateError::Key)?;
        Ok((door.certificate, page.sign(signature)))
    }
    /// Takes a neighbour's page.
    ///
    /// # Errors
    /// [`GateError::Neighbour`] and others; nothing has changed.
    pub fn take(
        &mut self,
        certificate: Signed<Certificate>,
        page: Signed<Page>,
        now: Now,
    ) -> Result<Neighbour, GateError> {
        let door = self.door()?;
        let (batch, heard) = take(&door, certificate, page, &context(&self.device, now))?;
        self.device.vault.commit(&batch)?;
        Ok(heard)
    }
    /// How far it has heard each gate that it ever heard, lost ones too.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn neighbours(&self) -> Result<Vec<(DeviceId, Neighbour)>, GateError> {
        let gate = |key: &[u8]| Some(DeviceId(key.strip_prefix(b"n")?.try_into().ok()?));
        let (mut found, mut from) = (Vec::new(), b"n".to_vec());
        // Behind them stand all pages of others: never more than a piece of these is read.
        loop {
            let piece = self.device.vault.scan(Space::Event, &from, PIECE)?;
            let more = piece.len() == PIECE;
            for (key, bytes) in piece {
                let Some(gate) = gate(&key) else { return Ok(found) };
                found.push((gate, Neighbour::from_bytes(&bytes).map_err(|_| VaultError::Damaged)?));
                from = [key.as_slice(), &[0]].concat();
            }
            if !more {
                return Ok(found);
            }
        }
    }
    /// A page of a gate that has fallen silent, for one that asks and has heard less of it. `heard`: those that it hears itself.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn relay(&mut self, others: &[Listened], heard: &[DeviceId]) -> Result<Option<Signed<Relay>>, GateError> {
        let door = self.door()?;
        for (gate, known) in self.neighbours()? {
            let after = match others.iter().find(|other| other.gate == gate) {
                Some(other) if other.heard => continue,
                Some(other) => other.number,
                None if heard.contains(&gate) => continue,
                None => 0,
            };
            let found = (known.number > after).then(|| relay(&door, gate, after, &self.device)).flatten();
            if let Some(found) = found {
                let key = door.certificate.claimed().key;
                let found = Unsigned::new(found, key.algorithm());
                let signature = self.device.ring.sign(&key, &found.tbs(&[])).ok_or(GateError::Key)?;
                return Ok(Some(found.sign(signature)));
            }
        }
        Ok(None)
    }
    /// Takes a page that a neighbour tells on.
    ///
    /// # Errors
    /// [`GateError::Neighbour`] and others; nothing has changed.
    pub fn take_relay(
        &mut self,
        by: Signed<Certificate>,
        relay: Signed<Relay>,
        now: Now,
    ) -> Result<Neighbour, GateError> {
        let door = self.door()?;
        let (batch, known) = take_relay(&door, by, relay, &context(&self.device, now))?;
        self.device.vault.commit(&batch)?;
        Ok(known)
    }
    /// What was heard of a neighbour.
    pub fn heard(&self, gate: DeviceId) -> Neighbour {
        Neighbour::load(&self.device, gate).0
    }
    /// What it trusts.
    pub fn anchors(&self) -> Option<Anchors> {
        self.device.anchors()
    }
}

fn context<V: Vault>(device: &Device<V>, now: Now) -> Context<'_> {
    Context { now: now.time, entropy: now.entropy, verifier: &NativeVerifier, records: device, broken: Broken::NONE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tegata_core::record::{Batch, RecordKey};
    use tegata_core::wire::signed::Algorithm;
    use tegata_core::{Hash, Time};
    use tegata_device::KeyRing;
    use tegata_vault::{Found, MemoryVault};

    /// Counts what is read of it.
    struct Counted(MemoryVault, Cell<usize>);

    impl Vault for Counted {
        fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
            Vault::get(&self.0, key)
        }
        fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<Found>, VaultError> {
            let found = self.0.scan(space, from, limit)?;
            self.1.set(self.1.get() + found.len());
            Ok(found)
        }
        fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
            self.0.commit(batch)
        }
    }

    #[test]
    fn who_was_heard_is_read_without_what_they_said() {
        let gate = |number: u8| DeviceId([number; 16]);
        let mut batch = Batch::default();
        for number in 0..70 {
            let known = Neighbour {
                number: number.into(),
                head: Hash::ZERO,
                last: 0,
                heard: Time(0),
                pages: None,
                extensions: Default::default(),
            };
            batch.put(Neighbour::key(gate(number)), known.to_bytes());
        }
        for page in 0..5_000_u32 {
            let name = [b"p".as_slice(), &gate(1).0, &page.to_be_bytes()].concat();
            batch.put(RecordKey::new(Space::Event, name), vec![0; 100]);
        }
        let mut vault = Counted(MemoryVault::new(), Cell::new(0));
        vault.commit(&batch).expect("written");
        let ring = KeyRing::in_memory(Algorithm::Ed25519, &[7; 32]);
        let heard = Gate::new(Device::new(vault, ring, &NativeVerifier));
        let found = heard.neighbours().expect("read");
        assert_eq!(found.len(), 70);
        assert!(found.iter().all(|(id, known)| *id == gate(u8::try_from(known.number).expect("small"))));
        let read = heard.device.vault.1.get();
        assert!(read < 70 + 2 * PIECE, "{read} records read");
    }
}
