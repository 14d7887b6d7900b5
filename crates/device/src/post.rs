//! The line to the provider: envelopes out, envelopes back, over HTTP.

use crate::asking::post_one;
use crate::drive::{Device, Identity};
use std::time::Duration;
use tegata_core::talk::join::ProviderInfo;
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::sealed::Sealed;
use tegata_crypto_native::{Channel, SealError, seal_to};
use tegata_vault::Vault;

/// Why nothing came back. Nothing is known about what the provider did (R26): ask again with the same bytes.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// It could not be reached.
    #[error("the provider at {0} cannot be reached; cards and terminals go on working, update when it is back")]
    Away(String),
    /// It answered something that is no answer.
    #[error(
        "the provider at {0} answered something else than expected (status {1}); its operator should look at its log"
    )]
    Odd(String, u16),
}

/// Carries envelopes to the provider, answered in order.
pub trait Post {
    /// Sends them.
    ///
    /// # Errors
    /// [`PostError`]; nothing is known about what the provider did.
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError>;
}

/// By HTTP.
pub struct HttpPost {
    client: reqwest::blocking::Client,
    url: String,
    patient: bool,
}

/// How long the provider may hold an answer that is not known yet, in seconds: it comes the moment it is known.
const WAIT: u64 = 5;

impl HttpPost {
    /// To the provider at this address, such as `http://127.0.0.1:8420`.
    ///
    /// # Errors
    /// [`PostError::Away`] if no client can be made.
    pub fn new(url: &str) -> Result<Self, PostError> {
        Self::within(url, Duration::from_secs(60))
    }
    /// As [`HttpPost::new`], for somebody whom others wait for meanwhile: an answer that takes longer counts as none.
    ///
    /// # Errors
    /// As [`HttpPost::new`].
    pub fn within(url: &str, longest: Duration) -> Result<Self, PostError> {
        let url = url.trim_end_matches('/').to_owned();
        let client = reqwest::blocking::Client::builder()
            .timeout(longest)
            .connect_timeout(longest.min(Duration::from_secs(5)))
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map_err(|_| PostError::Away(url.clone()))?;
        Ok(Self { client, url, patient: true })
    }
    /// Wants to hear at once, also that something is not known yet.
    #[must_use]
    pub fn impatient(self) -> Self {
        Self { patient: false, ..self }
    }

    fn read(&self, response: reqwest::Result<reqwest::blocking::Response>) -> Result<Vec<u8>, PostError> {
        let response = response.map_err(|_| PostError::Away(self.url.clone()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(PostError::Odd(self.url.clone(), status.as_u16()));
        }
        Ok(response.bytes().map_err(|_| PostError::Away(self.url.clone()))?.to_vec())
    }
}

impl Post for HttpPost {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        let count = envelopes.len();
        let body = envelopes.into_iter().map(Bytes).collect::<Vec<_>>().to_bytes();
        let mut request = self.client.post(format!("{}/v1/messages", self.url)).body(body);
        if self.patient {
            // RFC 7240, 4.3.
            request = request.header("prefer", format!("wait={WAIT}"));
        }
        let sent = request.send();
        let answer = self.read(sent)?;
        let answers = Vec::<Bytes>::from_bytes(&answer).map_err(|_| PostError::Odd(self.url.clone(), 200))?;
        if answers.len() != count {
            return Err(PostError::Odd(self.url.clone(), 200));
        }
        Ok(answers.into_iter().map(|bytes| bytes.0).collect())
    }
}

/// Asks a provider who it is. Compare with the token before believing it.
///
/// # Errors
/// [`PostError`].
pub fn fetch_info(url: &str) -> Result<ProviderInfo, PostError> {
    let post = HttpPost::new(url)?;
    let answer = post.read(post.client.get(format!("{}/v1/provider", post.url)).send())?;
    ProviderInfo::from_bytes(&answer).map_err(|_| PostError::Odd(post.url.clone(), 200))
}

/// What a provider publishes of the processor that it clears credit with: a certificate, to be believed only as its
/// signature says. `None`: it clears none.
///
/// # Errors
/// [`PostError`].
pub fn fetch_processor(url: &str) -> Result<Option<Vec<u8>>, PostError> {
    let post = HttpPost::new(url)?;
    match post.read(post.client.get(format!("{}/v1/processor", post.url)).send()) {
        Err(PostError::Odd(_, 404)) => Ok(None),
        answer => answer.map(Some),
    }
}

/// A request on its way; it opens its answer.
pub struct Outgoing {
    sealed: Sealed,
    channel: Channel,
    fresh: bool,
}

impl Outgoing {
    /// The envelope's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.sealed.to_bytes()
    }
    /// Seals for a provider that does not know the sender yet.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn first(info: &ProviderInfo, entropy: [u8; 32], plain: &[u8]) -> Result<Self, SealError> {
        let (sealed, channel) = seal_to(entropy, info.provider, None, &info.sealing, plain)?;
        Ok(Self { sealed, channel, fresh: true })
    }
    /// Whether it sets up a channel.
    pub(crate) fn is_first(&self) -> bool {
        self.fresh
    }
    /// The channel that this envelope set up: the provider keeps it for the device that joins by it.
    pub(crate) fn into_channel(self) -> Channel {
        self.channel
    }
    /// Opens the answer.
    ///
    /// # Errors
    /// [`SealError`]: it was not made for this request.
    pub fn open(&self, answer: &[u8]) -> Result<Vec<u8>, SealError> {
        let sealed = Sealed::from_bytes(answer).map_err(|_| SealError::Unopenable)?;
        self.channel.open_reply(&self.sealed, &sealed)
    }
}

/// Why an exchange with the provider ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// This device has not joined.
    #[error("this device has not joined a provider yet; join first")]
    NotJoined,
    /// Nothing came back.
    #[error(transparent)]
    Post(#[from] PostError),
    /// What came back does not open.
    #[error("the provider's answer does not open: {0}")]
    Seal(#[from] SealError),
}

impl<V: Vault> Device<V> {
    /// Seals a message to the provider: under the channel if there is one, else by HPKE, which sets one up.
    ///
    /// # Errors
    /// [`ExchangeError::NotJoined`], [`ExchangeError::Seal`].
    pub fn envelope(&self, entropy: [u8; 32], plain: &[u8]) -> Result<Outgoing, ExchangeError> {
        let Identity { id, provider, sealing, .. } = self.identity().ok_or(ExchangeError::NotJoined)?;
        if let Some(channel) = &self.channel {
            let sealed = channel.seal(entropy, provider, Some(id), plain);
            return Ok(Outgoing { sealed, channel: Channel::from_bytes(*channel.to_bytes()), fresh: false });
        }
        let (sealed, channel) = seal_to(entropy, provider, Some(id), &sealing, plain)?;
        Ok(Outgoing { sealed, channel, fresh: true })
    }

    /// Opens an answer. The channel of a first envelope is kept once the provider has answered it.
    ///
    /// # Errors
    /// [`ExchangeError::Seal`]. If the provider has forgotten the channel, the next envelope sets up a new one.
    pub fn open(&mut self, outgoing: &Outgoing, answer: &[u8]) -> Result<Vec<u8>, ExchangeError> {
        match outgoing.open(answer) {
            Ok(plain) => {
                if outgoing.fresh {
                    self.channel = Some(Channel::from_bytes(*outgoing.channel.to_bytes()));
                }
                Ok(plain)
            }
            Err(error) => {
                self.channel = None;
                Err(error.into())
            }
        }
    }

    /// Forgets the channel; the next message is sealed by HPKE again.
    pub fn forget_channel(&mut self) {
        self.channel = None;
    }

    /// Sends one message and opens its answer, by HPKE again if the channel turns out to be forgotten.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn exchange(&mut self, post: &mut dyn Post, entropy: [u8; 32], plain: &[u8]) -> Result<Vec<u8>, ExchangeError> {
        let outgoing = self.envelope(entropy, plain)?;
        let answer = post_one(post, outgoing.bytes())?;
        match self.open(&outgoing, &answer) {
            Err(ExchangeError::Seal(_)) if !outgoing.is_first() => {
                let outgoing = self.envelope(tegata_core::Hash::of(&entropy).0, plain)?;
                let answer = post_one(post, outgoing.bytes())?;
                self.open(&outgoing, &answer)
            }
            opened => opened,
        }
    }
}
