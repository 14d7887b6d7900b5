//! Joining: a token and a new device become a participant (R25). The signed request is stored before it is sent.

use crate::drive::{Device, Now};
use crate::post::{ExchangeError, Outgoing, Post};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::join::{JoinReply, JoinRequest, JoinToken, ProviderInfo, anchors, operational_keys};
use tegata_core::talk::journal::Journal;
use tegata_core::talk::report::Refused;
use tegata_core::talk::update::{anchors_key, kind_of};
use tegata_core::wire::canonical::{Bytes, Message, Wire};
use tegata_core::wire::certificate::{Certificate, Role};
use tegata_core::wire::signed::{Signed, Unsigned};
use tegata_crypto_native::NativeVerifier;
use tegata_vault::{Vault, VaultError};

/// Why joining did not work; the device is as it was and may try again.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The provider at that address is another one than the operator meant.
    #[error("this is not the provider that the token is for; check the address, and do not type the token elsewhere")]
    OtherProvider,
    /// Joined before.
    #[error("this device has joined already")]
    Joined,
    /// The provider said no.
    #[error("the provider refused: {}", .0.told())]
    Refused(Refused),
    /// The answer is not by the pinned provider.
    #[error("the answer is not by the provider that the token is for")]
    NotTrusted,
    /// No keys.
    #[error("the device's keys are locked")]
    Locked,
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nothing came back.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

fn request_key() -> RecordKey {
    RecordKey::new(Space::Request, *b"join")
}

/// A join on its way to the provider.
pub struct Joining {
    info: ProviderInfo,
    request: Signed<JoinRequest>,
    outgoing: Outgoing,
}

impl Joining {
    /// Asks to join with this token. The signed request is stored first; a join that was cut off asks the same again.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn start<V: Vault>(
        device: &mut Device<V>,
        info: &ProviderInfo,
        token: &JoinToken,
        role: Role,
        name: &str,
        now: Now,
    ) -> Result<Self, JoinError> {
        if device.certificate().is_some() {
            return Err(JoinError::Joined);
        }
        if !token.pins(info) {
            return Err(JoinError::OtherProvider);
        }
        let request = request(device, token, role, name)?;
        let outgoing = Outgoing::first(info, now.entropy, &request.encode()).map_err(ExchangeError::from)?;
        Ok(Self { info: info.clone(), request, outgoing })
    }
    /// The envelope to post.
    pub fn envelope(&self) -> Vec<u8> {
        self.outgoing.bytes()
    }
    /// Keeps the answer: the device is a participant from now on.
    ///
    /// # Errors
    /// [`JoinError`]; the device is as it was.
    pub fn finish<V: Vault>(
        self,
        device: &mut Device<V>,
        answer: &[u8],
        now: Now,
    ) -> Result<Signed<Certificate>, JoinError> {
        let answer = self.outgoing.open(answer).map_err(ExchangeError::from)?;
        let certificate = keep(device, &self.info, &self.request, &answer, now)?;
        device.channel = Some(self.outgoing.into_channel());
        Ok(certificate)
    }
}

/// Joins.
///
/// # Errors
/// [`JoinError`].
pub fn join<V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    info: &ProviderInfo,
    token: &JoinToken,
    role: Role,
    name: &str,
    now: Now,
) -> Result<Signed<Certificate>, JoinError> {
    let joining = Joining::start(device, info, token, role, name, now)?;
    let answer = post.post(vec![joining.envelope()]).map_err(ExchangeError::from)?.pop().unwrap_or_default();
    joining.finish(device, &answer, now)
}

/// The stored request of a join with this token, or a new one, stored.
fn request<V: Vault>(
    device: &mut Device<V>,
    token: &JoinToken,
    role: Role,
    name: &str,
) -> Result<Signed<JoinRequest>, JoinError> {
    let stored = device.vault.get(&request_key())?.and_then(|bytes| Signed::<JoinRequest>::decode(&bytes).ok());
    if let Some(stored) = stored.filter(|stored| stored.claimed().token.0 == token.secret) {
        return Ok(stored);
    }
    let key = device.ring.device_key().ok_or(JoinError::Locked)?;
    let body = JoinRequest {
        token: Bytes(token.secret.to_vec()),
        role,
        key,
        sealing: None,
        name: name.to_owned(),
        extensions: Default::default(),
    };
    let unsigned = Unsigned::new(body, key.algorithm());
    let signature = device.ring.sign(&key, &unsigned.tbs(&[])).ok_or(JoinError::Locked)?;
    let signed = unsigned.sign(signature);
    let mut batch = Batch::default();
    batch.put(request_key(), signed.encode());
    device.vault.commit(&batch)?;
    Ok(signed)
}

fn keep<V: Vault>(
    device: &mut Device<V>,
    info: &ProviderInfo,
    request: &Signed<JoinRequest>,
    answer: &[u8],
    now: Now,
) -> Result<Signed<Certificate>, JoinError> {
    let context = request.hash(&[]).to_bytes();
    if kind_of(answer).ok() == Some(Refused::KIND) {
        // Nobody is trusted yet, so that a refusal can only be believed, not checked; it changes nothing.
        let refused = Signed::<Refused>::decode(answer).map_err(|_| JoinError::NotTrusted)?;
        return Err(JoinError::Refused(refused.claimed().clone()));
    }
    let reply = Signed::<JoinReply>::decode(answer).map_err(|_| JoinError::NotTrusted)?;
    let keys = operational_keys(&reply.claimed().keys, &info.root, &NativeVerifier).ok_or(JoinError::NotTrusted)?;
    let trusted = anchors(info, keys, reply.claimed().epoch);
    let signer = *trusted.signer(reply.claimed().signer, now.time).map_err(|_| JoinError::NotTrusted)?;
    let reply = reply.verify(&signer, &context, &NativeVerifier).map_err(|_| JoinError::NotTrusted)?;
    let certificate = reply.certificate.clone();
    let role = request.claimed().role;
    let ours = trusted.accept(certificate.clone(), role, now.time, &NativeVerifier);
    if !ours.is_ok_and(|ours| ours.key == request.claimed().key) {
        return Err(JoinError::NotTrusted);
    }
    let mut batch = Batch::default();
    batch.replace(Certificate::own_key(), None, certificate.encode());
    batch.put(anchors_key(), trusted.to_bytes());
    batch.put(Journal::key(), Journal::new(reply.epoch, now.time).to_bytes());
    batch.remove(request_key());
    device.vault.commit(&batch)?;
    Ok(certificate)
}
