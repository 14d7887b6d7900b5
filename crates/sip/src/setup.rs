//! A new INVITE: everything that can be wrong with it, in a fixed order, and then a call.

use crate::Number;
use crate::body::Parts;
use crate::call::too_small;
use crate::call::{Common, Setup, of_body};
use crate::leg::{self, Leg, LegId, Listed};
use crate::seam::{CallId, Caller, Event, Shown};
use crate::switch::{Registry, Shared, through};
use crate::timer;
use crate::wire::transaction::{Asked, answer};
use crate::wire::{self, Reply};
use rsipstack::sip::{Header, HeadersExt as _, Request, Scheme};
use rsipstack::transaction::Transaction;
use std::sync::Arc;

/// What is known of a good INVITE.
struct Judged {
    called: Number,
    emergency: bool,
    /// Unknown for emergency calls: nobody is asked who calls for help.
    caller: Option<Caller>,
    /// What whoever helps sees of the caller: the number that is known without asking.
    shown_as: Shown,
    parts: Parts,
    session: timer::Session,
}

/// Takes an INVITE outside any dialog.
pub(crate) fn invite(shared: &Arc<Shared>, tx: Transaction) {
    let name = match name(&tx.original) {
        Some(name) if shared.registry().setups.insert(name.clone()) => name,
        Some(_) => return answer(tx, Reply::new(482, "The same call came on another way")),
        None => return answer(tx, Reply::new(400, "")),
    };
    let setup = InSetup(shared.clone(), name);
    match judge(shared, &tx) {
        Ok(judged) => begin(shared, tx, judged, setup),
        Err(reply) => answer(tx, reply),
    }
}

/// An INVITE that sets up a call just now, by Call-ID, tag and number.
type SetupName = (String, String, u32);

/// Taken off the list when the INVITE has its final answer.
struct InSetup(Arc<Shared>, SetupName);

impl Drop for InSetup {
    fn drop(&mut self) {
        let mut registry: std::sync::MutexGuard<'_, Registry> = self.0.registry();
        registry.setups.remove(&self.1);
    }
}

fn name(request: &Request) -> Option<SetupName> {
    let tag = request.from_header().ok()?.tag().ok()??;
    Some((request.call_id_header().ok()?.value().to_owned(), tag.value().to_owned(), wire::sequence(request)))
}

fn judge(shared: &Arc<Shared>, tx: &Transaction) -> Result<Judged, Reply> {
    let request = &tx.original;
    let connection = tx.connection.as_ref().ok_or_else(|| Reply::new(500, ""))?;
    if request.max_forwards_header().is_ok_and(|hops| hops.value().trim() == "0") {
        return Err(Reply::new(483, ""));
    }
    if request.uri.scheme == Some(Scheme::Sips) {
        return Err(Reply::new(416, ""));
    }
    let sos = wire::is_sos(&request.uri);
    let dialled = wire::dialled(&request.uri);
    let called = if sos { shared.config.help() } else { dialled.map_err(|error| number_refused(&error))? };
    let emergency = sos || shared.config.emergency.numbers.iter().any(|number| number == called.as_str());
    let caller = if emergency { None } else { Some(shared.caller(tx, connection)?) };
    let known = if emergency { shared.known_at(tx, connection) } else { None };
    let shown_as = known.map_or(Shown::Anonymous, Shown::As);
    let required: Vec<&Header> = request.headers.iter().filter(|header| matches!(header, Header::Require(_))).collect();
    let strange = required
        .iter()
        .flat_map(|header| header.value().split(','))
        .map(str::trim)
        .find(|option| !option.is_empty() && !option.eq_ignore_ascii_case("timer"));
    if let Some(option) = strange.filter(|_| !emergency) {
        return Err(Reply::new(420, "").header(Header::Unsupported(option.into())));
    }
    if request.headers.iter().any(|header| matches!(header, Header::ContentEncoding(_))) {
        return Err(Reply::new(415, "").header(Header::AcceptEncoding("identity".into())));
    }
    let kind = wire::content_type(request);
    let parts = if emergency { Parts::read(kind, &request.body) } else { Parts::read_strictly(kind, &request.body) };
    let parts = parts.map_err(|error| of_body(&error))?;
    let limits = &shared.config.limits;
    let session = timer::asked(request, limits.session, limits.shortest_session)
        .map_err(|timer::TooSmall| too_small(limits.shortest_session))?;
    let busy = shared.registry().calls.len() >= shared.config.most_calls;
    if !emergency && (busy || !shared.is_charged()) {
        let text = if busy { "All lines are in use" } else { "Charging is not there" };
        return Err(Reply::new(503, text).header(Header::RetryAfter("5".into())));
    }
    Ok(Judged { called, emergency, caller, shown_as, parts, session })
}

fn number_refused(error: &crate::number::NumberError) -> Reply {
    let status = match error {
        crate::number::NumberError::Empty => 484,
        crate::number::NumberError::Unknown => 404,
    };
    Reply::new(status, &error.to_string())
}

fn begin(shared: &Arc<Shared>, tx: Transaction, judged: Judged, setup: InSetup) {
    shared.begin(|id, inputs| {
        let tag = wire::random(10);
        let heard = Common::hear(inputs, LegId::Caller);
        let invite = Asked::take(tx, tag.clone(), move |what| {
            let _in_setup = &setup;
            heard(what);
        })?;
        invite.progress(Reply::new(100, ""));
        // Trunks know their own address; phones may be behind a translator.
        let translated = !matches!(judged.caller, Some(Caller::Trunk { .. }));
        let leg = leg::key_of(&invite.request, &tag).and_then(|key| {
            let listed = Listed::new(shared, &key, LegId::Caller, inputs);
            Leg::of_caller(&shared.home, &invite.request, &invite.connection, key, translated, Some(listed))
        });
        let Some(mut caller) = leg else {
            invite.answer(Reply::new(400, "Bad Request: Contact is missing or no sip address"));
            return None;
        };
        caller.session = Some(judged.session);
        let emergency = judged
            .emergency
            .then(|| shared.config.emergency_ways().map(|trunk| vec![through(trunk, &judged.called)]).collect());
        tell(shared, id, &judged);
        let parts = Parts { tegata: None, ..judged.parts };
        Some(Setup { invite, caller, parts, emergency, shown_as: judged.shown_as })
    });
}

fn tell(shared: &Shared, call: CallId, judged: &Judged) {
    let (called, at) = (judged.called.clone(), shared.clock.now());
    shared.tell(match judged.caller.clone() {
        None => Event::Emergency { call, called, at },
        Some(caller) => {
            let route = shared.route(&called);
            Event::Asked { call, caller, called, route, body: judged.parts.tegata.clone(), at }
        }
    });
}

impl crate::Config {
    /// The number that stands for `urn:service:sos`.
    fn help(&self) -> Number {
        let own = self.emergency.numbers.first().map(|number| Number::read(number));
        own.and_then(Result::ok).or_else(|| Number::read("112").ok()).unwrap_or_else(|| unreachable!("112 is a number"))
    }
}
