//! How a provider asks: sign, seal, and open what comes back. For the town and tests; a provider does the same with its own key.

use tegata_core::talk::credit::{
    CardDetails, CardExpiry, CardNumber, ProcessorAnswer, ProcessorInfo, read_processor_answer,
};
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::Unsigned;
use tegata_core::{Hash, PartyId};
use tegata_crypto_native::{Channel, NativeVerifier, SealError, SecretKey, seal_to};
use zeroize::Zeroizing;

/// A provider that a processor has admitted.
pub struct Asker {
    /// Who it is.
    pub party: PartyId,
    /// The key that the processor has admitted.
    pub key: SecretKey,
    /// The processor.
    pub processor: ProcessorInfo,
}

/// A question on its way. The same signed bytes may be sealed and sent again (R26).
pub struct Question {
    /// The signed request.
    pub signed: Vec<u8>,
    hash: Hash,
    sealed: Sealed,
    channel: Channel,
    processor: ProcessorInfo,
}

impl Asker {
    /// Signs and seals a request. `entropy` must serve this one call only.
    ///
    /// # Errors
    /// [`SealError`]: the processor's sealing key is none.
    pub fn ask<T: Message>(&self, body: T, entropy: [u8; 32]) -> Result<Question, SealError> {
        let unsigned = Unsigned::new(body, self.key.public().algorithm());
        let hash = unsigned.hash(&[]);
        let signature = self.key.sign(&unsigned.tbs(&[]));
        let signed = unsigned.sign(signature).encode();
        let (sealed, channel) = seal_to(entropy, self.processor.processor, None, &self.processor.sealing, &signed)?;
        Ok(Question { signed, hash, sealed, channel, processor: self.processor.clone() })
    }
    /// Seals a card to the processor, as the wallet does that holds it. `entropy` must serve this one call only.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_card(&self, number: CardNumber, expiry: CardExpiry, entropy: [u8; 32]) -> Result<Sealed, SealError> {
        let details = CardDetails { number, expiry, provider: self.party, extensions: Default::default() };
        let plain = Zeroizing::new(details.to_bytes());
        Ok(seal_to(entropy, self.processor.processor, None, &self.processor.sealing, &plain)?.0)
    }
}

impl Question {
    /// The envelope to post.
    pub fn envelope(&self) -> Vec<u8> {
        self.sealed.to_bytes()
    }
    /// The signed answer in an envelope that came back; `None` if it is none to this envelope.
    pub fn open(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let sealed = Sealed::from_bytes(answer).ok()?;
        self.channel.open_reply(&self.sealed, &sealed).ok()
    }
    /// Reads a signed answer; `None` if the processor did not sign it, or not to this request.
    pub fn read(&self, signed: &[u8]) -> Option<ProcessorAnswer> {
        read_processor_answer(signed, &self.hash, &self.processor.key, &NativeVerifier)
    }
}
