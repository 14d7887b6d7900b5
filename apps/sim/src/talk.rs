//! A driver of conversations that can be stopped between any two effects: as the devices' own driver, but it can hold a
//! store back while another process works on the same records, and what comes after a power cut is never said.

use tegata_core::record::Batch;
use tegata_core::step::{Break, Effect, Event, Fault, SigningKey, Talk};
use tegata_core::talk::pay::load_purse;
use tegata_core::wire::signed::Signature;
use tegata_device::{Device, Now, Out};
use tegata_vault::{SimulatedVault, Vault};

/// A conversation under way.
pub struct Steps<T> {
    state: Option<T>,
    held: Option<Batch>,
}

impl<T: Talk> Steps<T> {
    /// Starts one.
    pub fn new(talk: T) -> Self {
        Self { state: Some(talk), held: None }
    }
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.state.as_ref().is_none_or(Talk::is_over)
    }
    /// Whether a store is held back.
    pub fn is_holding(&self) -> bool {
        self.held.is_some()
    }
    /// Carries out what follows from an event. With `hold`, the first store is held back until [`Steps::release`].
    pub fn deliver(
        &mut self,
        event: Event,
        now: Now,
        device: &mut Device<SimulatedVault>,
        hold: bool,
    ) -> Vec<Out<T::Notice>> {
        let mut out = Vec::new();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let Some(talk) = self.state.take() else {
                break;
            };
            let step = device.with_context(now, |context| talk.step(event, context));
            self.state = Some(step.state);
            for effect in step.effects {
                match effect {
                    Effect::Store(batch) if hold => self.held = Some(batch),
                    Effect::Store(batch) => next = Some(commit(device, &batch)),
                    Effect::Sign { key, tbs } => {
                        next = Some(sign(device, key, &tbs).map_or(Event::Failed(Fault::Key), Event::Signed));
                    }
                    // A device that is off says and shows nothing.
                    _ if device.vault.is_off() => {}
                    Effect::Send(bytes) => out.push(Out::Send(bytes)),
                    Effect::Show(notice) => out.push(Out::Show(notice)),
                    Effect::WaitUntil(time) => out.push(Out::WaitUntil(time)),
                }
            }
            if device.vault.is_off() && next.as_ref().is_some_and(|event| matches!(event, Event::Failed(_))) {
                self.state = None;
                break;
            }
        }
        out
    }
    /// Carries out the store that was held back, and what follows.
    pub fn release(&mut self, now: Now, device: &mut Device<SimulatedVault>) -> Vec<Out<T::Notice>> {
        match self.held.take() {
            Some(batch) => {
                let event = commit(device, &batch);
                self.deliver(event, now, device, false)
            }
            None => Vec::new(),
        }
    }
}

fn commit(device: &mut Device<SimulatedVault>, batch: &Batch) -> Event {
    let stored = if device.broken.has(Break::NoCompareAndSwap) {
        device.vault.commit(&Batch { guards: Vec::new(), writes: batch.writes.clone() })
    } else {
        device.vault.commit(batch)
    };
    stored.map_or_else(|error| Event::Failed(error.fault()), |()| Event::Stored)
}

fn sign(device: &Device<SimulatedVault>, key: SigningKey, tbs: &[u8]) -> Option<Signature> {
    let public = match key {
        SigningKey::Device => device.key()?,
        SigningKey::Offer(key) => key,
        SigningKey::Card(card) => load_purse(device, card)?.key(),
    };
    device.ring.sign(&public, tbs)
}
