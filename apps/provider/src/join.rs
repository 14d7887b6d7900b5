//! Join (flow 7): a token that the operator gave out turns a key into a participant (R25).

use crate::desk::{Desk, Failure};
use crate::directory::{Known, Learned};
use crate::enter;
use crate::tariffs;
use tegata_core::card::CardKind;
use tegata_core::talk::join::{JoinReply, JoinRequest};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::certificate::{Certificate, Role, Subject};
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Hash, Time};
use tegata_crypto_native::Channel;
use tegata_store::{DeviceRow, ParticipantRow, StoreError, TokenRow};

/// How long a participant's certificate is good for, in seconds: two years.
pub(crate) const CERTIFICATE: u64 = 730 * Time::DAY;

/// Answers a request to join. The same request gets the same bytes; another one with a used token gets nothing.
pub(crate) fn join(
    desk: &mut Desk<'_>,
    request: &Verified<JoinRequest>,
    channel: &Channel,
) -> Result<Vec<u8>, Failure> {
    let secret = Hash::of(&request.token.0);
    let token = desk.store.token(&secret)?.ok_or(ProviderRefusal::Token)?;
    if let Some((hash, reply)) = &token.used {
        return if *hash == request.hash() { Ok(reply.clone()) } else { Err(ProviderRefusal::Token.into()) };
    }
    if desk.now >= token.valid_until || token.role != request.role {
        return Err(ProviderRefusal::Token.into());
    }
    let certificate = enrol(desk, &token, request, channel)?;
    let keys = decoded_keys(desk)?;
    let epoch = desk.provider.epoch;
    let reply = desk.answer(&request.hash(), |signer| JoinReply {
        certificate,
        keys,
        epoch,
        signer,
        extensions: Default::default(),
    });
    desk.store.use_token(&secret, &request.hash(), &reply)?;
    Ok(reply)
}

/// The operational keys' certificates.
pub(crate) fn decoded_keys(desk: &Desk<'_>) -> Result<Vec<Signed<Certificate>>, Failure> {
    let keys: Result<Vec<_>, _> = desk.store.operational_keys()?.iter().map(|body| Signed::decode(body)).collect();
    keys.map_err(|_| StoreError::Damaged.into())
}

fn enrol(
    desk: &mut Desk<'_>,
    token: &TokenRow,
    request: &JoinRequest,
    channel: &Channel,
) -> Result<Signed<Certificate>, Failure> {
    let place = enter::place_of(desk, token)?;
    let subject = Subject(desk.draw_id());
    let name = if token.name.is_empty() { request.name.clone() } else { token.name.clone() };
    let (now, epoch, until) = (desk.now, desk.provider.epoch, desk.certified_until());
    // A terminal's certificate travels on every tap: it leaves the sealing key out.
    let sealing = request.sealing.filter(|_| !matches!(request.role, Role::Terminal | Role::Gate | Role::Switch));
    let certificate = desk.sign(&[], |signer| Certificate {
        subject,
        role: request.role,
        key: request.key,
        sealing,
        from: now,
        until,
        epoch,
        signer,
        owner: token.owner,
        name: Some(name.clone()),
        number: None,
        extensions: Default::default(),
    });
    let body = certificate.encode();
    if body.len() > <Certificate as tegata_core::wire::canonical::Message>::MAX_LEN {
        return Err(ProviderRefusal::Malformed.into());
    }
    let row = ParticipantRow {
        subject,
        role: request.role,
        owner: token.owner,
        name,
        key: request.key,
        valid_until: until,
        joined: now,
        revoked: None,
        channel: Some(*channel.to_bytes()),
        body,
    };
    desk.store.put_participant(&row)?;
    desk.learned.push(Learned::Participant(subject, Known::from(&row)));
    if matches!(request.role, Role::Wallet | Role::Terminal | Role::Gate | Role::Switch) {
        desk.devices.insert(subject.device(), DeviceRow::new(subject.device(), now, epoch, 0));
    }
    if let Some(place) = place {
        enter::take_place(desk, subject.device(), place)?;
    }
    if matches!(request.role, Role::Terminal | Role::Switch) {
        equip(desk, subject, request.role)?;
    }
    Ok(certificate)
}

/// Gives a new terminal the terms of every issuer; a new switch those of telephone cards, and the tariffs.
fn equip(desk: &mut Desk<'_>, terminal: Subject, role: Role) -> Result<(), Failure> {
    use tegata_core::wire::canonical::Wire;
    for body in desk.store.all_terms()? {
        let terms = tegata_core::card::Terms::from_bytes(&body).map_err(|_| StoreError::Damaged)?;
        if (terms.kind == CardKind::Telephone) != (role == Role::Switch) {
            continue;
        }
        let command = Command { terms: Some(terms), ..Command::new(CommandKind::Terms) };
        desk.command(terminal.device(), &command)?;
    }
    if role == Role::Switch {
        tariffs::equip(desk, terminal.device())?;
    }
    Ok(())
}
