//! The first stage, on all cores and without the database: open, decode, verify.

use crate::directory::Known;
use crate::give;
use crate::shared::Shared;
use crate::update::record::{Upload, prove};
use tegata_core::charging::Tariff;
use tegata_core::step::Break;
use tegata_core::talk::buy::{Cancel, CatalogueRequest, Listing, Purchase, Reserve, Wait};
use tegata_core::talk::cards::{Activate, InstallRequest, LoadRequest, NumberKey, Order};
use tegata_core::talk::credit::{
    AuthorizationRequest, ClearingRequest, Line, NamedOffer, PaymentRequest, RegisterCard, merchant_line, offered,
    user_line,
};
use tegata_core::talk::event::{Change, ChangeAnswer, EventPlan, GateInvite, GateOrder, StaffOrder};
use tegata_core::talk::give::{GiftRequest, Register};
use tegata_core::talk::join::JoinRequest;
use tegata_core::talk::reach::{CallAsk, Carry, KeyAsk, Mute, PhoneAt, Reachable, Unopened};
use tegata_core::talk::report::{ProviderRefusal, ReportRequest};
use tegata_core::talk::update::{UpdateRequest, kind_of};
use tegata_core::wire::canonical::{Bytes, Message, Wire};
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{PublicKey, Signed, Verified, Verifier};
use tegata_core::{DeviceId, Hash, Time};
use tegata_crypto_native::{Channel, Gathering, is_strict_key, open};

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
    /// With what the merchant's line names and when its charge expires; `None`: the offer or charge is not what it should be.
    Authorize(Verified<AuthorizationRequest>, Option<(NamedOffer, Line, Time)>),
    /// With what the user's line names.
    Pay(Verified<PaymentRequest>, Option<(NamedOffer, Line)>),
    Clear(Verified<ClearingRequest>),
    RegisterCard(Verified<RegisterCard>),
    List(Verified<Listing>),
    Catalogue(Verified<CatalogueRequest>),
    Reserve(Verified<Reserve>),
    Purchase(Verified<Purchase>),
    Cancel(Verified<Cancel>),
    /// With the reservation in it; `None`: it is not the wallet's own.
    Wait(Verified<Wait>, Option<Verified<Reserve>>),
    Reachable(Verified<Reachable>),
    KeyAsk(Verified<KeyAsk>),
    Carry(Verified<Carry>),
    Mute(Verified<Mute>),
    Unopened(Verified<Unopened>),
    PhoneAt(Verified<PhoneAt>),
    CallAsk(Verified<CallAsk>),
    Plan(Verified<EventPlan>),
    GateOrder(Verified<GateOrder>),
    GateInvite(Verified<GateInvite>),
    Staff(Verified<StaffOrder>),
    Tariff(Verified<Tariff>),
    /// With the title, if its signatures hold.
    Register(Verified<Register>, Option<give::Title>),
    /// With the hash of the event that locks the card, if its signature holds.
    Gift(Verified<GiftRequest>, Option<Hash>),
    Change(Box<Verified<Change>>),
    ChangeAnswer(Verified<ChangeAnswer>),
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

/// Opens and verifies envelopes, on all cores, their signatures many at once where that is faster.
pub(crate) fn prepare_all<E: AsRef<[u8]> + Sync>(shared: &Shared, envelopes: &[E], now: Time) -> Vec<Prepared> {
    use rayon::prelude::*;
    let prepared = |some: &[E]| {
        in_batch(shared, some.len(), |by| {
            some.iter().map(|bytes| Stage { shared, by, now }.prepare(bytes.as_ref())).collect::<Vec<_>>()
        })
    };
    // Handing work to other cores costs more than a few signatures.
    match envelopes.len() {
        0..FEW => prepared(envelopes),
        _ => envelopes.par_chunks(BATCH).flat_map(prepared).collect(),
    }
}

/// How many signatures are checked at once: enough to share the work, few enough that both cores have some.
const BATCH: usize = 64;
/// Who writes letters.
const WRITERS: &[Role] = &[Role::Wallet, Role::Terminal];
/// Below this, one by one is as fast.
const FEW: usize = 6;

/// Does `work`, of about so many signatures, taking them for good and checking all at the end; if one is not, does it
/// again, one by one.
fn in_batch<T>(shared: &Shared, signatures: usize, work: impl Fn(&dyn Verifier) -> T) -> T {
    if signatures >= FEW && !shared.broken.has(Break::SignatureIgnored) {
        let gathering = Gathering::default();
        let done = work(&gathering);
        if gathering.holds() {
            return done;
        }
    }
    work(shared.verifier())
}

struct Found {
    sender: Option<Subject>,
    hash: Hash,
    request: Result<Request, ProviderRefusal>,
}

/// What every part of this stage needs.
#[derive(Clone, Copy)]
struct Stage<'a> {
    shared: &'a Shared,
    by: &'a dyn Verifier,
    now: Time,
}

impl Stage<'_> {
    /// Opens and verifies one envelope.
    fn prepare(self, bytes: &[u8]) -> Prepared {
        let shared = self.shared;
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
                let known = envelope
                    .sender
                    .and_then(|device| self.shared.directory().participants.get(&device.into()).cloned());
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
        let Found { sender, hash, request } = self.read(&plain);
        let foreign = envelope.sender.is_some() && sender.is_some() && envelope.sender.map(Subject::from) != sender;
        let request = if foreign { Err(ProviderRefusal::NotAllowed) } else { request };
        Prepared::Open(Box::new(Opened { envelope, channel, sender, hash, request }))
    }

    fn read(self, plain: &[u8]) -> Found {
        let wrong = |why| Found { sender: None, hash: Hash::of(plain), request: Err(why) };
        match kind_of(plain) {
            Ok(JoinRequest::KIND) => self.join(plain),
            Ok(NumberKey::KIND) => self.signed(plain, &[Role::Issuer], |body| body.issuer.into(), Request::NumberKey),
            Ok(Order::KIND) => self.signed(plain, &[Role::Issuer], |body| body.issuer.into(), Request::Order),
            Ok(Activate::KIND) => self.signed(plain, &[Role::Issuer, Role::Terminal], seller, Request::Activate),
            Ok(InstallRequest::KIND) => {
                let then = |request: Verified<InstallRequest>| {
                    let slip = request.slip.clone().and_then(|slip| self.slip(slip));
                    Request::Install(request, slip)
                };
                let mut found = self.signed(plain, &[Role::Wallet], |body: &InstallRequest| body.wallet.into(), then);
                if matches!(&found.request, Ok(Request::Install(request, _)) if !is_strict_key(&request.key)) {
                    found.request = Err(ProviderRefusal::NotAllowed);
                }
                found
            }
            Ok(LoadRequest::KIND) => {
                let then = |request: Verified<LoadRequest>| {
                    let slip = request.slip.clone().and_then(|slip| self.slip(slip));
                    Request::Load(request, slip)
                };
                self.signed(plain, &[Role::Wallet], |body: &LoadRequest| body.wallet.into(), then)
            }
            Ok(ReportRequest::KIND) => {
                self.signed(plain, &[Role::Issuer, Role::Merchant], |body| body.party.into(), Request::Report)
            }
            Ok(UpdateRequest::KIND) => self.update(plain),
            Ok(AuthorizationRequest::KIND) => {
                let then = |request: Verified<AuthorizationRequest>| {
                    let named = self.merchants(&request);
                    Request::Authorize(request, named)
                };
                self.signed(plain, &[Role::Terminal], |body: &AuthorizationRequest| body.machine.into(), then)
            }
            Ok(PaymentRequest::KIND) => {
                let then = |request: Verified<PaymentRequest>| {
                    let named = self.users(&request);
                    Request::Pay(request, named)
                };
                self.signed(plain, &[Role::Wallet], |body: &PaymentRequest| body.wallet.into(), then)
            }
            Ok(ClearingRequest::KIND) => {
                self.signed(plain, &[Role::Terminal], |body| body.machine.into(), Request::Clear)
            }
            Ok(RegisterCard::KIND) => {
                self.signed(plain, &[Role::Wallet], |body| body.wallet.into(), Request::RegisterCard)
            }
            Ok(Listing::KIND) => self.signed(plain, &[Role::Issuer], |body| body.issuer.into(), Request::List),
            Ok(EventPlan::KIND) => self.signed(plain, &[Role::Issuer], |body| body.promoter.into(), Request::Plan),
            Ok(GateOrder::KIND) => self.signed(plain, &[Role::Issuer], |body| body.promoter.into(), Request::GateOrder),
            Ok(GateInvite::KIND) => {
                self.signed(plain, &[Role::Issuer], |body| body.promoter.into(), Request::GateInvite)
            }
            Ok(StaffOrder::KIND) => self.signed(plain, &[Role::Issuer], |body| body.promoter.into(), Request::Staff),
            Ok(Tariff::KIND) => self.signed(plain, &[Role::Issuer], |body| body.issuer.into(), Request::Tariff),
            Ok(Register::KIND) => {
                let then = |request: Verified<Register>| {
                    let title = give::prove(self.shared, self.by, request.card, request.generation, &request.title);
                    Request::Register(request, title.map(|(title, _)| title))
                };
                self.signed(plain, &[Role::Wallet], |body: &Register| body.wallet.into(), then)
            }
            Ok(GiftRequest::KIND) => {
                let then = |request: Verified<GiftRequest>| {
                    let locked = give::lock(self.shared, self.by, &request);
                    Request::Gift(request, locked)
                };
                self.signed(plain, &[Role::Wallet], |body: &GiftRequest| body.wallet.into(), then)
            }
            Ok(Change::KIND) => {
                let then = |request| Request::Change(Box::new(request));
                self.signed(plain, &[Role::Issuer], |body: &Change| body.promoter.into(), then)
            }
            Ok(ChangeAnswer::KIND) => {
                self.signed(plain, &[Role::Wallet], |body| body.wallet.into(), Request::ChangeAnswer)
            }
            Ok(CatalogueRequest::KIND) => {
                self.signed(plain, &[Role::Wallet], |body| body.wallet.into(), Request::Catalogue)
            }
            Ok(Reserve::KIND) => {
                let mut found = self.signed(plain, &[Role::Wallet], |body| body.wallet.into(), Request::Reserve);
                // Under a key of small order anybody could sign.
                let weak = |request: &Reserve| request.key.is_some_and(|key| !is_strict_key(&key));
                if matches!(&found.request, Ok(Request::Reserve(request)) if weak(request)) {
                    found.request = Err(ProviderRefusal::NotAllowed);
                }
                found
            }
            Ok(Purchase::KIND) => self.signed(plain, &[Role::Wallet], |body| body.wallet.into(), Request::Purchase),
            Ok(Cancel::KIND) => self.signed(plain, &[Role::Wallet], |body| body.wallet.into(), Request::Cancel),
            Ok(Wait::KIND) => {
                let then = |request: Verified<Wait>| {
                    let reserve = self.wish(&request);
                    Request::Wait(request, reserve)
                };
                self.signed(plain, &[Role::Wallet], |body: &Wait| body.wallet.into(), then)
            }
            Ok(Reachable::KIND) => self.signed(plain, WRITERS, |body| body.device.into(), Request::Reachable),
            Ok(KeyAsk::KIND) => self.signed(plain, WRITERS, |body| body.device.into(), Request::KeyAsk),
            Ok(Carry::KIND) => self.signed(plain, WRITERS, |body| body.device.into(), Request::Carry),
            Ok(Mute::KIND) => self.signed(plain, &[Role::Wallet], |body| body.wallet.into(), Request::Mute),
            Ok(Unopened::KIND) => self.signed(plain, WRITERS, |body| body.device.into(), Request::Unopened),
            Ok(PhoneAt::KIND) => self.signed(plain, WRITERS, |body| body.device.into(), Request::PhoneAt),
            Ok(CallAsk::KIND) => self.signed(plain, WRITERS, |body| body.device.into(), Request::CallAsk),
            _ => wrong(ProviderRefusal::Malformed),
        }
    }

    fn verified<T: Message>(self, signed: Signed<T>, key: &PublicKey) -> Option<Verified<T>> {
        signed.verify(key, &[], self.by).ok()
    }

    fn join(self, plain: &[u8]) -> Found {
        let Ok(signed) = Signed::<JoinRequest>::decode(plain) else {
            return Found { sender: None, hash: Hash::of(plain), request: Err(ProviderRefusal::Malformed) };
        };
        let (hash, key) = (signed.hash(&[]), signed.claimed().key);
        // Under a key of small order anybody could sign.
        let request = self.verified(signed, &key).filter(|_| is_strict_key(&key)).map(Request::Join);
        let request = request.ok_or(ProviderRefusal::NotAllowed);
        Found { sender: None, hash, request }
    }

    /// A request by a participant of one of these roles that is neither expired nor revoked.
    fn signed<T: Message>(
        self,
        plain: &[u8],
        roles: &[Role],
        sender: impl Fn(&T) -> Subject,
        then: impl FnOnce(Verified<T>) -> Request,
    ) -> Found {
        let Ok(signed) = Signed::<T>::decode(plain) else {
            return Found { sender: None, hash: Hash::of(plain), request: Err(ProviderRefusal::Malformed) };
        };
        let (hash, subject) = (signed.hash(&[]), sender(signed.claimed()));
        let known = self.shared.directory().participants.get(&subject).cloned();
        let Some((known, request)) = known.and_then(|known| Some((known.clone(), self.verified(signed, &known.key)?)))
        else {
            return Found { sender: None, hash, request: Err(ProviderRefusal::NotAllowed) };
        };
        let request = match known {
            Known { revoked: Some(_), .. } => Err(ProviderRefusal::Revoked),
            Known { role, valid_until, .. } if !roles.contains(&role) || self.now >= valid_until => {
                Err(ProviderRefusal::NotAllowed)
            }
            _ => Ok(then(request)),
        };
        Found { sender: Some(subject), hash, request }
    }

    /// A slip that a wallet shows, if its signer may sell for the issuer. Only the issuer's own tills may: an activation
    /// makes value.
    fn slip(self, slip: Signed<Activate>) -> Option<Verified<Activate>> {
        let directory = self.shared.directory();
        let known = directory.participants.get(&seller(slip.claimed()))?;
        let slip = self.verified(slip, &known.key)?;
        (known.revoked.is_none() && may_sell(known, &slip)).then_some(slip)
    }

    /// The reservation in a wish, if the same wallet signed it, for a good key.
    fn wish(self, request: &Wait) -> Option<Verified<Reserve>> {
        let key = self.shared.directory().participants.get(&request.wallet.into())?.key;
        let reserve = self.verified(request.reserve.clone(), &key)?;
        let strict = reserve.key.is_some_and(|key| is_strict_key(&key));
        (reserve.wallet == request.wallet && strict).then_some(reserve)
    }

    /// What a merchant's line names, under the keys of offer and terminal.
    fn merchants(self, request: &AuthorizationRequest) -> Option<(NamedOffer, Line, Time)> {
        let terminal = self.shared.directory().participants.get(&request.machine.into())?.key;
        let offer = offered(&request.offer, &request.session, self.by)?;
        let signed_by = (request.machine, &terminal);
        let (line, expires) = merchant_line(&request.charge, &request.session, signed_by, self.now, self.by)?;
        Some((offer, line, expires))
    }

    /// What a user's line names, under the offer's key.
    fn users(self, request: &PaymentRequest) -> Option<(NamedOffer, Line)> {
        let offer = offered(&request.offer, &request.session, self.by)?;
        let line = user_line(&request.offer, &offer.hash, &request.agreement, self.now, self.by)?;
        Some((offer, line))
    }

    /// An expired device may still upload and renew (R16); a revoked one is judged by its place, in the second stage.
    fn update(self, plain: &[u8]) -> Found {
        let Ok(signed) = Signed::<UpdateRequest>::decode(plain) else {
            return Found { sender: None, hash: Hash::of(plain), request: Err(ProviderRefusal::Malformed) };
        };
        let (hash, device) = (signed.hash(&[]), signed.claimed().device);
        let known = self.shared.directory().participants.get(&Subject::from(device)).cloned();
        let found = known.and_then(|known| {
            let signature = signature_of(plain)?;
            Some((known.clone(), self.verified(signed, &known.key)?, signature))
        });
        let Some((known, request, signature)) = found else {
            return Found { sender: None, hash, request: Err(ProviderRefusal::NotAllowed) };
        };
        let request = if matches!(known.role, Role::Wallet | Role::Terminal | Role::Gate | Role::Switch) {
            Ok(Request::Update(Box::new(self.upload(device, known, request, signature))))
        } else {
            Err(ProviderRefusal::NotAllowed)
        };
        Found { sender: Some(device.into()), hash, request }
    }

    fn upload(self, device: DeviceId, known: Known, request: Verified<UpdateRequest>, signature: [u8; 64]) -> Upload {
        use rayon::prelude::*;
        let shared = self.shared;
        let context_free = shared.broken.has(Break::HashWithoutContext);
        let proven = |some: &[Bytes], by: &dyn Verifier| -> Vec<_> {
            some.iter().map(|entry| prove(shared, by, device, &known, &entry.0, context_free)).collect()
        };
        let entries = &request.entries;
        let records = if entries.len() < FEW {
            proven(entries, self.by)
        } else {
            entries.par_chunks(BATCH).flat_map(|some| in_batch(shared, some.len(), |by| proven(some, by))).collect()
        };
        Upload { device, known, request, signature, records }
    }
}

/// Who signs an activation: the till that took the money, else the issuer.
fn seller(body: &Activate) -> Subject {
    body.till.map_or(body.issuer.into(), Subject::from)
}

/// Whether this participant may sell numbers of this issuer.
pub(crate) fn may_sell(known: &Known, slip: &Activate) -> bool {
    match slip.till {
        Some(_) => known.role == Role::Terminal && known.owner == Some(slip.issuer),
        None => known.role == Role::Issuer,
    }
}

/// The signature is the last field of a signed message: 64 bytes.
fn signature_of(plain: &[u8]) -> Option<[u8; 64]> {
    plain.last_chunk().copied()
}
