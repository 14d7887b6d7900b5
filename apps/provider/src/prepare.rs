//! The first stage, on all cores and without the database: open, decode, verify.

use crate::directory::Known;
use crate::shared::Shared;
use crate::update::record::{Upload, prove};
use tegata_core::step::Break;
use tegata_core::talk::cards::{Activate, InstallRequest, LoadRequest, NumberKey, Order};
use tegata_core::talk::join::JoinRequest;
use tegata_core::talk::report::{ProviderRefusal, ReportRequest};
use tegata_core::talk::update::{UpdateRequest, kind_of};
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{PublicKey, Signed, Verified};
use tegata_core::{DeviceId, Hash, Time};
use tegata_crypto_native::{Channel, open};

/// A request whose signature holds under its sender's key.
#[derive(Debug)]
pub(crate) enum Request {
    Join(Verified<JoinRequest>),
    NumberKey(Verified<NumberKey>),
    Order(Verified<Order>),
    Activate(Verified<Activate>),
    Install(Verified<InstallRequest>, Option<Verified<Activate>>),
    Load(Verified<LoadRequest>, Option<Verified<Activate>>),
    Update(Box<Upload>),
    Report(Verified<ReportRequest>),
}

/// An envelope that was opened, or that cannot be.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// Nobody can be told anything: answered openly, in the context of the envelope's own hash.
    Closed(Hash, ProviderRefusal),
    /// Opened.
    Open(Box<Opened>),
}

/// An opened envelope and what it holds.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) envelope: Sealed,
    pub(crate) channel: Channel,
    /// Who signed; absent for those who join, and where nobody known did.
    pub(crate) sender: Option<Subject>,
    /// The hash of the request: the context of its answer.
    pub(crate) hash: Hash,
    pub(crate) request: Result<Request, ProviderRefusal>,
}

/// Opens and verifies one envelope.
pub(crate) fn prepare(shared: &Shared, bytes: &[u8], now: Time) -> Prepared {
    let closed = |why| Prepared::Closed(Hash::of(bytes), why);
    let Ok(envelope) = Sealed::from_bytes(bytes) else {
        return closed(ProviderRefusal::Malformed);
    };
    if envelope.addressee != shared.info.provider {
        return closed(ProviderRefusal::Malformed);
    }
    let (plain, channel) = match envelope.profile {
        Profile::Hpke => match open(&shared.keys().sealing, &envelope) {
            Ok(opened) => opened,
            Err(_) => return closed(ProviderRefusal::Malformed),
        },
        Profile::Channel => {
            let known = envelope.sender.and_then(|device| shared.directory().participants.get(&device.into()).cloned());
            // An unknown sender and an unknown channel get the same answer.
            let Some(channel) = known.and_then(|known| known.channel).map(Channel::from_bytes) else {
                return closed(ProviderRefusal::Channel);
            };
            match channel.open(&envelope) {
                Ok(plain) => (plain, channel),
                Err(_) => return closed(ProviderRefusal::Channel),
            }
        }
    };
    let Found { sender, hash, request } = read(shared, &plain, now);
    let foreign = envelope.sender.is_some() && sender.is_some() && envelope.sender.map(Subject::from) != sender;
    let request = if foreign { Err(ProviderRefusal::NotAllowed) } else { request };
    Prepared::Open(Box::new(Opened { envelope, channel, sender, hash, request }))
}

struct Found {
    sender: Option<Subject>,
    hash: Hash,
    request: Result<Request, ProviderRefusal>,
}

fn read(shared: &Shared, plain: &[u8], now: Time) -> Found {
    let wrong = |why| Found { sender: None, hash: Hash::of(plain), request: Err(why) };
    match kind_of(plain) {
        Ok(JoinRequest::KIND) => join(shared, plain),
        Ok(NumberKey::KIND) => by(shared, plain, now, &[Role::Issuer], |body| body.issuer.into(), Request::NumberKey),
        Ok(Order::KIND) => by(shared, plain, now, &[Role::Issuer], |body| body.issuer.into(), Request::Order),
        Ok(Activate::KIND) => by(shared, plain, now, &[Role::Issuer, Role::Terminal], seller, Request::Activate),
        Ok(InstallRequest::KIND) => {
            let then = |request: Verified<InstallRequest>| {
                let slip = request.slip.clone().and_then(|slip| slip_by(shared, slip));
                Request::Install(request, slip)
            };
            by(shared, plain, now, &[Role::Wallet], |body: &InstallRequest| body.wallet.into(), then)
        }
        Ok(LoadRequest::KIND) => {
            let then = |request: Verified<LoadRequest>| {
                let slip = request.slip.clone().and_then(|slip| slip_by(shared, slip));
                Request::Load(request, slip)
            };
            by(shared, plain, now, &[Role::Wallet], |body: &LoadRequest| body.wallet.into(), then)
        }
        Ok(ReportRequest::KIND) => {
            by(shared, plain, now, &[Role::Issuer, Role::Merchant], |body| body.party.into(), Request::Report)
        }
        Ok(UpdateRequest::KIND) => update(shared, plain),
        _ => wrong(ProviderRefusal::Malformed),
    }
}

fn verified<T: Message>(shared: &Shared, signed: Signed<T>, key: &PublicKey) -> Option<Verified<T>> {
    signed.verify(key, &[], shared.verifier()).ok()
}

fn join(shared: &Shared, plain: &[u8]) -> Found {
    let Ok(signed) = Signed::<JoinRequest>::decode(plain) else {
        return Found { sender: None, hash: Hash::of(plain), request: Err(ProviderRefusal::Malformed) };
    };
    let (hash, key) = (signed.hash(&[]), signed.claimed().key);
    let request = verified(shared, signed, &key).map(Request::Join).ok_or(ProviderRefusal::NotAllowed);
    Found { sender: None, hash, request }
}

/// A request by a participant of one of these roles that is neither expired nor revoked.
fn by<T: Message>(
    shared: &Shared,
    plain: &[u8],
    now: Time,
    roles: &[Role],
    sender: impl Fn(&T) -> Subject,
    then: impl FnOnce(Verified<T>) -> Request,
) -> Found {
    let Ok(signed) = Signed::<T>::decode(plain) else {
        return Found { sender: None, hash: Hash::of(plain), request: Err(ProviderRefusal::Malformed) };
    };
    let (hash, subject) = (signed.hash(&[]), sender(signed.claimed()));
    let known = shared.directory().participants.get(&subject).cloned();
    let Some((known, request)) = known.and_then(|known| Some((known.clone(), verified(shared, signed, &known.key)?)))
    else {
        return Found { sender: None, hash, request: Err(ProviderRefusal::NotAllowed) };
    };
    let request = match known {
        Known { revoked: Some(_), .. } => Err(ProviderRefusal::Revoked),
        Known { role, valid_until, .. } if !roles.contains(&role) || now >= valid_until => {
            Err(ProviderRefusal::NotAllowed)
        }
        _ => Ok(then(request)),
    };
    Found { sender: Some(subject), hash, request }
}

/// Who signs an activation: the till that took the money, else the issuer.
fn seller(body: &Activate) -> Subject {
    body.till.map_or(body.issuer.into(), Subject::from)
}

/// A slip that a wallet shows, if its signer may sell for the issuer. Only the issuer's own tills may: an activation
/// makes value.
fn slip_by(shared: &Shared, slip: Signed<Activate>) -> Option<Verified<Activate>> {
    let directory = shared.directory();
    let known = directory.participants.get(&seller(slip.claimed()))?;
    let slip = verified(shared, slip, &known.key)?;
    (known.revoked.is_none() && may_sell(known, &slip)).then_some(slip)
}

/// Whether this participant may sell numbers of this issuer.
pub(crate) fn may_sell(known: &Known, slip: &Activate) -> bool {
    match slip.till {
        Some(_) => known.role == Role::Terminal && known.owner == Some(slip.issuer),
        None => known.role == Role::Issuer,
    }
}

/// An expired device may still upload and renew (R16); a revoked one is judged by its place, in the second stage.
fn update(shared: &Shared, plain: &[u8]) -> Found {
    let Ok(signed) = Signed::<UpdateRequest>::decode(plain) else {
        return Found { sender: None, hash: Hash::of(plain), request: Err(ProviderRefusal::Malformed) };
    };
    let (hash, device) = (signed.hash(&[]), signed.claimed().device);
    let known = shared.directory().participants.get(&Subject::from(device)).cloned();
    let found = known.and_then(|known| {
        let signature = signature_of(plain)?;
        Some((known.clone(), verified(shared, signed, &known.key)?, signature))
    });
    let Some((known, request, signature)) = found else {
        return Found { sender: None, hash, request: Err(ProviderRefusal::NotAllowed) };
    };
    let request = if matches!(known.role, Role::Wallet | Role::Terminal) {
        Ok(Request::Update(Box::new(upload(shared, device, known, request, signature))))
    } else {
        Err(ProviderRefusal::NotAllowed)
    };
    Found { sender: Some(device.into()), hash, request }
}

fn upload(
    shared: &Shared,
    device: DeviceId,
    known: Known,
    request: Verified<UpdateRequest>,
    signature: [u8; 64],
) -> Upload {
    use rayon::prelude::*;
    let context_free = shared.broken.has(Break::HashWithoutContext);
    let prove_one = |entry: &tegata_core::wire::canonical::Bytes| prove(shared, device, &known, &entry.0, context_free);
    let records = if request.entries.len() < 8 {
        request.entries.iter().map(prove_one).collect()
    } else {
        request.entries.par_iter().with_min_len(16).map(prove_one).collect()
    };
    Upload { device, known, request, signature, records }
}

/// The signature is the last field of a signed message: 64 bytes.
fn signature_of(plain: &[u8]) -> Option<[u8; 64]> {
    plain.last_chunk().copied()
}
