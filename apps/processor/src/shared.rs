//! What opening envelopes and answering share: who the processor is, its keys, the providers that it knows.

use crate::keys::Keys;
use crate::store::ProviderRow;
use std::sync::{PoisonError, RwLock};
use tegata_core::talk::credit::{Outcome, OutcomeState, ProcessorInfo, ProcessorRefusal, ProcessorRefused};
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::{Hash, PartyId, RequestNumber, Time};

/// Shared by all threads.
pub struct Shared {
    pub(crate) info: ProcessorInfo,
    pub(crate) keys: Keys,
    providers: RwLock<Vec<ProviderRow>>,
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Shared(..)")
    }
}

impl Shared {
    pub(crate) fn new(info: ProcessorInfo, keys: Keys, providers: Vec<ProviderRow>) -> Self {
        Self { info, keys, providers: RwLock::new(providers) }
    }
    /// The keys of a provider, revoked ones too.
    pub(crate) fn keys_of(&self, party: PartyId) -> Vec<ProviderRow> {
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        providers.iter().filter(|row| row.party == party).cloned().collect()
    }
    pub(crate) fn learn(&self, providers: Vec<ProviderRow>) {
        *self.providers.write().unwrap_or_else(PoisonError::into_inner) = providers;
    }
    /// Signs an answer to the request of this hash.
    pub(crate) fn answer<T: Message>(&self, request: &Hash, body: T) -> Vec<u8> {
        self.keys.sign(&request.to_bytes(), body).encode()
    }
    pub(crate) fn refusal(&self, request: &Hash, why: ProcessorRefusal, at: Time) -> Vec<u8> {
        let processor = self.info.processor;
        self.answer(request, ProcessorRefused { processor, why, at, extensions: Default::default() })
    }
    /// An outcome with nothing but its state.
    pub(crate) fn outcome(&self, number: RequestNumber, state: OutcomeState, at: Time) -> Outcome {
        Outcome {
            processor: self.info.processor,
            number,
            at,
            state,
            about: None,
            account: None,
            amount: None,
            reason: None,
            answer: None,
            extensions: Default::default(),
        }
    }
}
