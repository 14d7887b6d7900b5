//! The driver: carries out the effects of a conversation against one device's vault and keys, in order.

use crate::ring::KeyRing;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::{Broken, Context, Effect, Event, Fault, Records, SigningKey, Talk};
use tegata_core::talk::pay::load_purse;
use tegata_core::talk::update::load_anchors;
use tegata_core::wire::certificate::{Anchors, Certificate, SealingKey};
use tegata_core::wire::signed::{PublicKey, Signature, Signed, Verifier};
use tegata_core::{CardId, DeviceId, PartyId, Time};
use tegata_crypto_native::Channel;
use tegata_vault::{Vault, VaultError};

/// Time and randomness for one event.
#[derive(Clone, Copy)]
pub struct Now {
    /// The time.
    pub time: Time,
    /// 32 fresh random bytes.
    pub entropy: [u8; 32],
}

/// A device: its records, its keys, its line to the provider.
pub struct Device<V> {
    /// Its records.
    pub vault: V,
    /// Its keys; empty while locked.
    pub ring: KeyRing,
    /// Rules broken on purpose; none outside the simulator.
    pub broken: Broken,
    pub(crate) channel: Option<Channel>,
    verifier: &'static dyn Verifier,
    /// Read once; forgotten where the records it comes from change.
    identity: OnceCell<Identity>,
    /// What is gathered, and not written yet; `None`: every batch is written by itself.
    gathered: Option<Gathered>,
}

/// Batches that are to be written as one.
#[derive(Default)]
struct Gathered {
    batch: Batch,
    /// What will stand there; `None`: nothing.
    records: BTreeMap<RecordKey, Option<Vec<u8>>>,
}

/// Who the device is and whom it writes to, as its certificate and anchors say.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) id: DeviceId,
    pub(crate) key: PublicKey,
    pub(crate) provider: PartyId,
    pub(crate) sealing: SealingKey,
}

/// Reads through to a vault. A record that cannot be read looks missing; the guards of the next batch then fail.
struct Reading<'a, V>(&'a V);

impl<V: Vault> Records for Reading<'_, V> {
    fn get(&self, key: &RecordKey) -> Option<Vec<u8>> {
        self.0.get(key).ok().flatten()
    }
}

/// What leaves a conversation.
#[derive(Clone, Debug)]
pub enum Out<N> {
    /// To the other side.
    Send(Vec<u8>),
    /// To the person or app in charge.
    Show(N),
    /// Wake it then.
    WaitUntil(Time),
}

/// A conversation under way on a device.
pub struct Talking<T>(Option<T>);

impl<T: Talk> Talking<T> {
    /// Starts one.
    pub fn new(talk: T) -> Self {
        Self(Some(talk))
    }
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(Talk::is_over)
    }
    /// Tells it something that is no event: it looks at the next one.
    pub fn tell(&mut self, change: impl FnOnce(T) -> T) {
        self.0 = self.0.take().map(change);
    }
    /// Looks at it.
    pub fn look<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.as_ref().map(read)
    }
    /// Hands it an event and carries out what follows, until it waits for the outside again.
    pub fn deliver<V: Vault>(&mut self, event: Event, now: Now, device: &mut Device<V>) -> Vec<Out<T::Notice>> {
        let mut out = Vec::new();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let Some(talk) = self.0.take() else {
                break;
            };
            let step = talk.step(event, &device.context(now));
            self.0 = Some(step.state);
            for effect in step.effects {
                match effect {
                    Effect::Store(batch) => {
                        let stored = device.commit(&batch);
                        next = Some(stored.map_or_else(|error| Event::Failed(error.fault()), |()| Event::Stored));
                    }
                    Effect::Sign { key, tbs } => {
                        next = Some(device.sign(key, &tbs).map_or(Event::Failed(Fault::Key), Event::Signed));
                    }
                    Effect::Send(bytes) => out.push(Out::Send(bytes)),
                    Effect::Show(notice) => out.push(Out::Show(notice)),
                    Effect::WaitUntil(time) => out.push(Out::WaitUntil(time)),
                }
            }
        }
        out
    }
}

impl<V: Vault> Device<V> {
    /// A device over its records; its keys are locked until the ring is opened.
    pub fn new(vault: V, ring: KeyRing, verifier: &'static dyn Verifier) -> Self {
        Self { vault, ring, broken: Broken::NONE, channel: None, verifier, identity: OnceCell::new(), gathered: None }
    }

    /// Gathers from now on what conversations store, so that one durable write serves many of them. Whatever they say meanwhile is to be
    /// kept back until [`Device::write`] has ended well: durable before sent.
    pub fn gather(&mut self) {
        self.gathered.get_or_insert_default();
    }
    /// Writes what was gathered, all or nothing; says whether there was anything.
    ///
    /// # Errors
    /// The vault; nothing has changed. The conversations that stored something have gone on as if it had: end them, and begin anew from
    /// what is stored.
    pub fn write(&mut self) -> Result<bool, VaultError> {
        match self.gathered.take() {
            Some(gathered) if !gathered.batch.writes.is_empty() => self.commit(&gathered.batch).map(|()| true),
            _ => Ok(false),
        }
    }
    fn add(&mut self, batch: &Batch) -> Result<(), VaultError> {
        let holds = batch.guards.iter().all(|(key, before)| Records::get(self, key) == *before);
        let Some(gathered) = self.gathered.as_mut().filter(|_| holds) else {
            return Err(VaultError::Raced);
        };
        for (key, before) in &batch.guards {
            // What was written meanwhile has had its guard.
            if !gathered.records.contains_key(key) {
                gathered.batch.guards.push((key.clone(), before.clone()));
            }
        }
        for (key, value) in &batch.writes {
            gathered.records.insert(key.clone(), value.clone());
            gathered.batch.writes.push((key.clone(), value.clone()));
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        if self.gathered.is_some() {
            return self.add(batch);
        }
        if batch.writes.iter().any(|(key, _)| *key == Certificate::own_key()) {
            self.identity = OnceCell::new();
        }
        if self.broken.has(tegata_core::step::Break::NoCompareAndSwap) {
            let writes = batch.writes.clone();
            return self.vault.commit(&Batch { guards: Vec::new(), writes });
        }
        self.vault.commit(batch)
    }

    /// Runs `read` with what a step is given.
    pub fn with_context<R>(&self, now: Now, read: impl FnOnce(&Context<'_>) -> R) -> R {
        read(&self.context(now))
    }

    fn context(&self, now: Now) -> Context<'_> {
        Context { now: now.time, entropy: now.entropy, verifier: self.verifier, records: self, broken: self.broken }
    }

    /// The device's own certificate; `None` before it has joined.
    pub fn certificate(&self) -> Option<Signed<Certificate>> {
        Signed::decode(&Records::get(self, &Certificate::own_key())?).ok()
    }
    /// Who it is to the provider, and who that is; `None` before it has joined.
    pub(crate) fn identity(&self) -> Option<Identity> {
        if let Some(identity) = self.identity.get() {
            return Some(*identity);
        }
        let (certificate, anchors) = self.certificate().zip(self.anchors())?;
        let certificate = certificate.claimed();
        let (id, key) = (certificate.subject.device(), certificate.key);
        Some(*self.identity.get_or_init(|| Identity { id, key, provider: anchors.provider, sealing: anchors.sealing }))
    }
    /// The device's id; `None` before it has joined.
    pub fn id(&self) -> Option<DeviceId> {
        self.identity().map(|identity| identity.id)
    }
    /// Whom it trusts; `None` before it has joined.
    pub fn anchors(&self) -> Option<Anchors> {
        load_anchors(self)
    }
    /// The key that signs for the device itself.
    pub fn key(&self) -> Option<PublicKey> {
        self.identity().map(|identity| identity.key)
    }
    /// The cards in the vault.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn cards(&self) -> Result<Vec<CardId>, VaultError> {
        let found = self.vault.scan(Space::Card, &[], usize::MAX)?;
        Ok(found.into_iter().filter_map(|(name, _)| name.try_into().ok().map(CardId)).collect())
    }

    fn sign(&self, key: SigningKey, tbs: &[u8]) -> Option<Signature> {
        let public = match key {
            SigningKey::Device => self.key().or_else(|| self.ring.device_key())?,
            SigningKey::Offer(key) => key,
            SigningKey::Card(card) => load_purse(self, card)?.key(),
        };
        self.ring.sign(&public, tbs)
    }
}

impl<V: Vault> Records for Device<V> {
    fn get(&self, key: &RecordKey) -> Option<Vec<u8>> {
        if let Some(value) = self.gathered.as_ref().and_then(|gathered| gathered.records.get(key)) {
            return value.clone();
        }
        Reading(&self.vault).get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::wire::signed::Algorithm;
    use tegata_crypto_native::NativeVerifier;
    use tegata_vault::MemoryVault;

    fn device() -> Device<MemoryVault> {
        Device::new(MemoryVault::new(), KeyRing::in_memory(Algorithm::Ed25519, &[7; 32]), &NativeVerifier)
    }

    fn batch(number: u64, before: Option<&[u8]>, after: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch.replace(RecordKey::numbered(Space::Call, number), before.map(<[u8]>::to_vec), after.to_vec());
        batch
    }

    #[test]
    fn what_is_gathered_is_read_back_at_once_and_stands_in_the_vault_only_once_it_is_written() {
        let mut device = device();
        let key = RecordKey::numbered(Space::Call, 1);
        device.gather();
        device.commit(&batch(1, None, b"one")).expect("gathered");
        device.commit(&batch(1, Some(b"one"), b"two")).expect("gathered upon it");
        assert_eq!(
            device.commit(&batch(1, Some(b"one"), b"three")),
            Err(VaultError::Raced),
            "of two writers one fails (R13)"
        );
        assert_eq!(Records::get(&device, &key).as_deref(), Some(&b"two"[..]));
        assert_eq!(device.vault.get(&key).expect("reads"), None);
        assert!(device.write().expect("written") && !device.write().expect("nothing more"));
        assert_eq!(device.vault.get(&key).expect("reads").as_deref(), Some(&b"two"[..]));
        device.commit(&batch(1, Some(b"two"), b"four")).expect("by itself again");
    }

    #[test]
    fn where_somebody_else_has_written_meanwhile_nothing_of_it_stands() {
        let mut device = device();
        device.gather();
        device.commit(&batch(1, None, b"one")).expect("gathered");
        device.commit(&batch(2, None, b"one")).expect("gathered");
        device.vault.commit(&batch(2, None, b"another")).expect("another process");
        assert_eq!(device.write(), Err(VaultError::Raced));
        assert_eq!(Records::get(&device, &RecordKey::numbered(Space::Call, 1)), None);
    }
}
