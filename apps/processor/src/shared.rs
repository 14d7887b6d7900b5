//! What opening envelopes and answering share: who the processor is, its keys, the providers that it knows.

use crate::keys::Keys;
use crate::store::ProviderRow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{PoisonError, RwLock};
use tegata_core::talk::credit::{Outcome, OutcomeState, ProcessorInfo, ProcessorRefusal, ProcessorRefused};
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::sealed::Sealed;
use tegata_core::{Hash, PartyId, RequestNumber, Time};
use tegata_crypto_native::Channel;

/// How many channels of one provider are remembered: it sets up several at once when it begins with many requests.
const CHANNELS: usize = 16;

/// Shared by all threads.
pub struct Shared {
    pub(crate) info: ProcessorInfo,
    pub(crate) keys: Keys,
    providers: RwLock<Vec<ProviderRow>>,
    /// What providers that were heard by HPKE seal under since, the newest first. Forgotten with the process: they begin anew.
    channels: RwLock<BTreeMap<PartyId, VecDeque<Channel>>>,
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Shared(..)")
    }
}

impl Shared {
    pub(crate) fn new(info: ProcessorInfo, keys: Keys, providers: Vec<ProviderRow>) -> Self {
        Self { info, keys, providers: RwLock::new(providers), channels: RwLock::default() }
    }
    /// The keys of a provider, revoked ones too.
    pub(crate) fn keys_of(&self, party: PartyId) -> Vec<ProviderRow> {
        let providers = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        providers.iter().filter(|row| row.party == party).cloned().collect()
    }
    pub(crate) fn learn(&self, providers: Vec<ProviderRow>) {
        *self.providers.write().unwrap_or_else(PoisonError::into_inner) = providers;
    }
    /// What an envelope of a known channel holds.
    pub(crate) fn open_channel(&self, envelope: &Sealed) -> Option<(Vec<u8>, Channel)> {
        let sender = PartyId(envelope.sender?.0);
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let opened = |channel: &Channel| Some((channel.open(envelope).ok()?, channel.clone()));
        channels.get(&sender)?.iter().find_map(opened)
    }
    /// The channel that a provider set up, whose signature was in its first envelope.
    pub(crate) fn keep_channel(&self, provider: PartyId, channel: &Channel) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let known = channels.entry(provider).or_default();
        known.push_front(channel.clone());
        known.truncate(CHANNELS);
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
