//! The first stage, without the database: open the envelope, decode, verify under a key that is known.

use crate::shared::Shared;
use tegata_core::talk::credit::{Authorize, Clear, OpenAccount, ProcessorRefusal, Query, Refund, VoidAuthorization};
use tegata_core::talk::update::kind_of;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Hash, PartyId, RequestNumber};
use tegata_crypto_native::{Channel, NativeVerifier, open};

/// A request whose signature holds under a key of the provider that it names.
#[derive(Debug)]
pub(crate) enum Request {
    Authorize(Verified<Authorize>),
    Clear(Verified<Clear>),
    Void(Verified<VoidAuthorization>),
    Refund(Verified<Refund>),
    Query(Verified<Query>),
    Open(Verified<OpenAccount>),
}

impl Request {
    /// Who asks, under which number, of which kind.
    pub(crate) fn name(&self) -> (PartyId, RequestNumber, u64) {
        match self {
            Self::Authorize(body) => (body.provider, body.number, Authorize::KIND),
            Self::Clear(body) => (body.provider, body.number, Clear::KIND),
            Self::Void(body) => (body.provider, body.number, VoidAuthorization::KIND),
            Self::Refund(body) => (body.provider, body.number, Refund::KIND),
            Self::Query(body) => (body.provider, body.number, Query::KIND),
            Self::Open(body) => (body.provider, body.number, OpenAccount::KIND),
        }
    }
}

/// A message that went through the first stage.
#[derive(Debug)]
pub struct Prepared {
    /// The envelope and the channel that its answer is sealed under; `None` if it did not open.
    pub(crate) envelope: Option<(Sealed, Channel)>,
    /// The hash of the request, or of the bytes that are none: the context of the answer.
    pub(crate) hash: Hash,
    /// Whom it claims to be from, for the record.
    pub(crate) claimed: Option<PartyId>,
    pub(crate) request: Result<Request, ProcessorRefusal>,
}

impl Prepared {
    /// Opens, decodes and verifies one envelope.
    pub fn new(shared: &Shared, bytes: &[u8]) -> Self {
        let closed =
            || Self { envelope: None, hash: Hash::of(bytes), claimed: None, request: Err(ProcessorRefusal::Malformed) };
        let Ok(envelope) = Sealed::from_bytes(bytes) else { return closed() };
        if envelope.addressee != shared.info.processor {
            return closed();
        }
        let opened = match envelope.profile {
            Profile::Hpke => open(&shared.keys.sealing, &envelope).ok(),
            Profile::Channel => shared.open_channel(&envelope),
        };
        let Some((plain, channel)) = opened else { return closed() };
        let (hash, claimed, mut request) = read(shared, &plain);
        let line = envelope.sender.map(|sender| PartyId(sender.0));
        match (line, envelope.profile, &request) {
            // Signed by another than whose line this is.
            (Some(line), _, Ok(_)) if claimed != Some(line) => request = Err(ProcessorRefusal::NotAllowed),
            (Some(line), Profile::Hpke, Ok(_)) => shared.keep_channel(line, &channel),
            _ => {}
        }
        Self { envelope: Some((envelope, channel)), hash, claimed, request }
    }
}

type Found = (Hash, Option<PartyId>, Result<Request, ProcessorRefusal>);

fn read(shared: &Shared, plain: &[u8]) -> Found {
    match kind_of(plain) {
        Ok(Authorize::KIND) => signed(shared, plain, |body| body.provider, Request::Authorize),
        Ok(Clear::KIND) => signed(shared, plain, |body| body.provider, Request::Clear),
        Ok(VoidAuthorization::KIND) => signed(shared, plain, |body| body.provider, Request::Void),
        Ok(Refund::KIND) => signed(shared, plain, |body| body.provider, Request::Refund),
        Ok(Query::KIND) => signed(shared, plain, |body| body.provider, Request::Query),
        Ok(OpenAccount::KIND) => signed(shared, plain, |body| body.provider, Request::Open),
        _ => (Hash::of(plain), None, Err(ProcessorRefusal::Malformed)),
    }
}

fn signed<T: Message + Clone>(
    shared: &Shared,
    plain: &[u8],
    provider: impl Fn(&T) -> PartyId,
    then: impl Fn(Verified<T>) -> Request,
) -> Found {
    let Ok(signed) = Signed::<T>::decode(plain) else {
        return (Hash::of(plain), None, Err(ProcessorRefusal::Malformed));
    };
    let (hash, party) = (signed.hash(&[]), provider(signed.claimed()));
    for row in shared.keys_of(party) {
        if let Ok(verified) = signed.clone().verify(&row.key, &[], &NativeVerifier) {
            let request = if row.revoked.is_some() { Err(ProcessorRefusal::Revoked) } else { Ok(then(verified)) };
            return (hash, Some(party), request);
        }
    }
    (hash, Some(party), Err(ProcessorRefusal::NotAllowed))
}
