//! The second stage, one writer: each message to its handler, each answer sealed to its sender.

use crate::desk::{Desk, Failure, refusal};
use crate::directory::Learned;
use crate::prepare::{Opened, Prepared, Request};
use crate::tariffs;
use crate::{ProviderError, buy, cards, credit, enter, give, install, join, reach, report, update};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::sealed::Profile;

/// Answers one message within the open transaction.
pub(crate) fn answer(desk: &mut Desk<'_>, prepared: &Prepared) -> Result<Vec<u8>, ProviderError> {
    let opened = match prepared {
        // Nothing that was opened goes out unsealed; this says only that it was not.
        Prepared::Closed(hash, why) => return Ok(refusal(desk.shared, desk.now, hash, *why, None)),
        Prepared::Open(opened) => opened,
    };
    remember_channel(desk, opened)?;
    let answered = match &opened.request {
        Ok(request) => handle(desk, request, opened),
        Err(why) => Err((*why).into()),
    };
    let plain = match answered {
        // Held until it is known.
        Ok(bytes) if bytes.is_empty() => return Ok(bytes),
        Ok(bytes) => bytes,
        Err(Failure::Refused(why, retry_after)) => desk.refuse(&opened.hash, why, retry_after),
        Err(Failure::Told(why, text)) => desk.refuse_told(&opened.hash, why, text),
        Err(Failure::Provider(error)) => return Err(error),
    };
    let entropy = desk.draw();
    Ok(opened.channel.seal_reply(entropy, &opened.envelope, &plain).to_bytes())
}

/// The channel of an HPKE envelope belongs to whoever signed what was in it.
fn remember_channel(desk: &mut Desk<'_>, opened: &Opened) -> Result<(), ProviderError> {
    if let (Profile::Hpke, Some(sender)) = (opened.envelope.profile, opened.sender) {
        let channel = *opened.channel.to_bytes();
        desk.store.set_channel(sender, &channel)?;
        desk.learned.push(Learned::Channel(sender, channel));
    }
    Ok(())
}

fn handle(desk: &mut Desk<'_>, request: &Request, opened: &Opened) -> Result<Vec<u8>, Failure> {
    match request {
        Request::Join(request) => join::join(desk, request, &opened.channel),
        Request::NumberKey(request) => cards::number_key(desk, request),
        Request::Order(request) => cards::order(desk, request),
        Request::Activate(request) => cards::activate(desk, request),
        Request::Install(request, slip) => install::install(desk, request, slip.as_ref()),
        Request::Load(request, slip) => install::load(desk, request, slip.as_ref()),
        Request::Update(upload) => update::update(desk, upload),
        Request::Report(request) => report::report(desk, request),
        Request::Authorize(request, named) => credit::authorize(desk, request, named.as_ref()),
        Request::Pay(request, named) => credit::pay(desk, request, named.as_ref()),
        Request::Clear(request) => credit::clear(desk, request),
        Request::RegisterCard(request) => credit::register(desk, request),
        Request::List(request) => buy::list(desk, request),
        Request::Catalogue(request) => buy::catalogue(desk, request),
        Request::Reserve(request) => buy::reserve(desk, request),
        Request::Purchase(request) => buy::pay(desk, request),
        Request::Cancel(request) => buy::cancel(desk, request),
        Request::Wait(request, reserve) => buy::wait(desk, request, reserve.as_ref()),
        Request::Reachable(request) => reach::reachable(desk, request),
        Request::KeyAsk(request) => reach::key(desk, request),
        Request::Carry(request) => reach::carry(desk, request),
        Request::Mute(request) => reach::mute(desk, request),
        Request::Unopened(request) => reach::unopened(desk, request),
        Request::PhoneAt(request) => reach::phone_at(desk, request),
        Request::CallAsk(request) => reach::ask(desk, request),
        Request::Plan(request) => enter::plan(desk, request),
        Request::GateOrder(request) => enter::order_gate(desk, request),
        Request::GateInvite(request) => enter::invite_gate(desk, request),
        Request::Staff(request) => enter::order_staff(desk, request),
        Request::Tariff(request) => tariffs::tariff(desk, request),
        Request::Register(request, title) => give::register(desk, request, title.as_ref()),
        Request::Gift(request, locked) => give::gift(desk, request, *locked),
        Request::Change(request) => enter::change(desk, request),
        Request::ChangeAnswer(request) => enter::answered(desk, request),
    }
}
