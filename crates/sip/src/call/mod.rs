//! One call: a task that owns both legs and hears everything about them in turn.
//!
//! ```text
//! Asking ---Proceed---> Ringing ---200---> Talking ---BYE, HangUp, a dead leg---> over
//!    |                     |                    +---> Parting, while a last word is waited for
//!    +----- Refuse, CANCEL, no answer, all busy ---> over
//! ```
//!
//! Each state is a type with a file; its `on` takes it and gives the next one.

mod asking;
mod ending;
mod exchange;
mod failure;
mod parting;
mod ringing;
mod talking;

use crate::body::{Parts, audio};
use crate::leg::{Destination, Leg, LegId};
use crate::media::Relay;
use crate::seam::{Body, By, CallId, Command, Event, Shown};
use crate::switch::Shared;
use crate::wire::transaction::{Asked, Heard, ask};
use crate::wire::{self, Reply};
use asking::Asking;
pub(crate) use exchange::too_small;
pub(crate) use failure::of_body;
use parting::Parting;
use ringing::{Branch, Ringing};
use rsipstack::sip::{Header, Method, Request, Response};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use talking::Talking;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// What a call hears.
pub(crate) enum Input {
    Command(Command),
    /// Charging has gone away.
    ControlGone,
    /// A request inside one of its dialogs.
    Request {
        leg: LegId,
        asked: Box<Asked>,
    },
    /// Of an INVITE that this leg sent.
    Heard {
        leg: LegId,
        heard: Heard,
    },
    /// An answer to a request of ours on this leg.
    Response {
        leg: LegId,
        to: Purpose,
        response: Response,
    },
}

/// What a request of ours was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To ring.
    Setup,
    /// To pass on an offer of the other side.
    Offer,
    /// To see whether the peer is alive.
    Refresh,
    /// To tell a word.
    Word,
}

/// Why a timer rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Charging takes too long.
    Asking,
    /// Nobody answers.
    Ringing,
    /// A 183 is sent again.
    Repeat,
    /// Charging has no last word.
    LastWord,
    /// A session timer of this leg.
    Session(LegId),
}

enum State {
    Asking(Asking),
    Ringing(Ringing),
    Talking(Box<Talking>),
    Parting(Parting),
    Over(By),
}

/// How a call begins.
pub(crate) struct Setup {
    pub invite: Asked,
    pub caller: Leg,
    pub parts: Parts,
    /// Where an emergency call goes, way after way; `None` for calls that charging is asked about.
    pub emergency: Option<VecDeque<Vec<Destination>>>,
    /// What whoever helps sees of the caller.
    pub shown_as: Shown,
}

/// What all states of a call need.
pub(crate) struct Common {
    pub shared: Arc<Shared>,
    pub id: CallId,
    pub caller: Leg,
    /// Nobody can end an emergency call but those who talk.
    pub emergency: bool,
    /// What its media go through, from when somebody rings.
    media: Option<Relay>,
    inputs: UnboundedSender<Input>,
    due: Vec<(Instant, Due)>,
    /// Contacts that rang and shall not any more, until they have given their final answer.
    cancelled: Vec<Branch>,
}

/// Takes the call out of the switch's list, whatever way its task ends.
struct Listed(Arc<Shared>, CallId);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.registry().calls.remove(&self.1);
    }
}

/// Runs a call to its end.
pub(crate) async fn run(
    shared: Arc<Shared>,
    id: CallId,
    setup: Setup,
    inputs: UnboundedSender<Input>,
    mut heard: UnboundedReceiver<Input>,
) {
    let _listed = Listed(shared.clone(), id);
    let stopped = shared.stop.clone();
    let emergency = setup.emergency.is_some();
    let mut call = Common {
        shared,
        id,
        caller: setup.caller,
        emergency,
        media: None,
        inputs,
        due: Vec::new(),
        cancelled: Vec::new(),
    };
    let mut state = match setup.emergency {
        None => State::Asking(Asking::begin(&mut call, setup.invite, setup.parts)),
        Some(waves) => Ringing::begin(&mut call, setup.invite, setup.parts, waves, setup.shown_as),
    };
    let by = loop {
        if let State::Over(by) = state {
            break by;
        }
        let next = call.due.iter().map(|(when, _)| *when).min();
        let when = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            biased;
            input = heard.recv() => match input {
                Some(input) => {
                    if let Some(input) = call.reap(input).await {
                        state = state.on(&mut call, input).await;
                    }
                }
                None => break By::Switch("the call lost its own inputs"),
            },
            () = stopped.cancelled() => break By::Switch("the switch has stopped"),
            () = tokio::time::sleep_until(when.into()) => {
                for due in call.take_due() {
                    state = state.due(&mut call, due).await;
                }
            }
        }
    };
    let at = call.shared.clock.now();
    call.tell(Event::Ended { call: id, by, at });
    call.media = None;
    while !call.cancelled.is_empty() && !stopped.is_cancelled() {
        let Some(input) = heard.recv().await else { return };
        if let Some(Input::Request { asked, .. }) = call.reap(input).await {
            asked.answer(Reply::new(481, ""));
        }
    }
}

impl State {
    async fn on(self, call: &mut Common, input: Input) -> Self {
        match (self, input) {
            (state, Input::Command(_) | Input::ControlGone) if call.emergency => state,
            (Self::Asking(state), input) => state.on(call, input),
            (Self::Ringing(state), input) => state.on(call, input).await,
            (Self::Talking(state), input) => state.on(call, input).await,
            (Self::Parting(state), input) => state.on(call, input),
            (over @ Self::Over(_), _) => over,
        }
    }

    async fn due(self, call: &mut Common, due: Due) -> Self {
        match self {
            Self::Asking(state) => state.due(call, due),
            Self::Ringing(state) => state.due(call, due),
            Self::Talking(state) => state.due(call, due),
            Self::Parting(state) => state.due(call, due),
            over @ Self::Over(_) => over,
        }
    }
}

impl Common {
    /// Tells charging what happened. An emergency call's ordinary events are told too: they are its record.
    pub(crate) fn tell(&self, event: Event) {
        self.shared.tell(event);
    }

    /// Tells a word of a leg, if there is one.
    pub(crate) fn tell_body(&self, leg: LegId, body: Option<Body>) {
        if let Some(body) = body {
            self.tell(Event::Body { call: self.id, from: leg.side(), body, at: self.shared.clock.now() });
        }
    }

    /// Takes an answer of a cancelled contact; gives back what is something else.
    async fn reap(&mut self, input: Input) -> Option<Input> {
        let Input::Response { leg: LegId::Callee(id), to: Purpose::Setup, response } = &input else {
            return Some(input);
        };
        match self.cancelled.iter().position(|branch| branch.id == *id) {
            Some(at) => {
                ending::reap(self, at, response).await;
                None
            }
            None => Some(input),
        }
    }

    /// Rings after this time; a timer of the same name is set anew.
    fn set(&mut self, due: Due, after: Duration) {
        self.set_at(due, Instant::now() + after);
    }

    fn set_at(&mut self, due: Due, when: Instant) {
        self.unset(due);
        self.due.push((when, due));
    }

    fn unset(&mut self, due: Due) {
        self.due.retain(|(_, other)| *other != due);
    }

    fn take_due(&mut self) -> Vec<Due> {
        let now = Instant::now();
        let (ready, left) = self.due.iter().copied().partition(|(when, _)| *when <= now);
        self.due = left;
        let ready: Vec<(Instant, Due)> = ready;
        ready.into_iter().map(|(_, due)| due).collect()
    }

    /// Sends a request on a leg; its answers come back as inputs.
    fn ask(&self, leg: LegId, to: Purpose, request: Request, way: wire::transaction::Way) {
        let inputs = self.inputs.clone();
        ask(self.shared.endpoint.clone(), request, way, move |response| {
            let _ = inputs.send(Input::Response { leg, to, response });
        });
    }

    /// What the peer may hear of an INVITE that this leg sent us.
    pub(crate) fn hear(inputs: &UnboundedSender<Input>, leg: LegId) -> impl Fn(Heard) + Send + 'static {
        let inputs = inputs.clone();
        move |heard| {
            let _ = inputs.send(Input::Heard { leg, heard });
        }
    }

    /// Opens what media go through, if they shall: between the caller and whoever is called on these ways.
    fn open_media(&mut self, ways: &VecDeque<Vec<Destination>>) -> Result<(), std::io::Error> {
        let Some(address) = self.shared.config.relay else { return Ok(()) };
        if (self.emergency || !self.shared.config.relay_all) && self.is_beside(address, ways) {
            tracing::debug!("{}: its media go from end to end, since one side is on this machine", self.id);
            return Ok(());
        }
        let said = self.shared.config.announcement.clone();
        self.media = Some(Relay::open(address, self.id, said, &self.shared.relays)?);
        Ok(())
    }

    /// Whether one side may be on the switch's own machine, to which it sends no media ([`crate::body::audio::is_here`]): by where the SIP of
    /// both sides comes from, and not by what a caller writes into its offer, who would learn by it where the other side is.
    fn is_beside(&self, own: IpAddr, ways: &VecDeque<Vec<Destination>>) -> bool {
        let callees = ways.iter().flatten().filter_map(|to| to.way.address.get_socketaddr().ok());
        let mut hosts = callees.map(|at| at.ip().to_canonical()).chain(self.caller.source());
        hosts.any(|host| audio::is_here(host, own))
    }

    /// SDP of this leg, whose SIP comes from `source`, as the other side may see it: without names; and with media at the switch, where
    /// they are relayed.
    fn hidden(&self, (from, source): (LegId, Option<IpAddr>), sdp: &[u8]) -> Vec<u8> {
        let hidden = crate::body::sdp::hide(sdp, &self.shared.host());
        match &self.media {
            Some(relay) => relay.pass(from.side(), source, &hidden),
            None => hidden,
        }
    }

    /// A request before the answer that is not what the state waits for. Gives back a BYE, which ends the call.
    fn early(&mut self, leg: LegId, asked: Asked) -> Option<Asked> {
        if leg == LegId::Caller && !self.caller.in_order(&asked.request) {
            asked.answer(out_of_order());
            return None;
        }
        match asked.request.method {
            Method::Bye => return Some(asked),
            Method::Info => match Parts::read(wire::content_type(&asked.request), &asked.request.body) {
                Ok(parts) if parts.tegata.is_some() => {
                    asked.answer(Reply::new(200, ""));
                    self.tell_body(leg, parts.tegata);
                }
                Ok(_) => asked.answer(not_taken()),
                Err(error) => asked.answer(of_body(&error)),
            },
            Method::Update | Method::Invite => {
                asked.answer(Reply::new(500, "Not before the answer").header(Header::RetryAfter("2".into())));
            }
            Method::Options => asked.answer(self.caller.reply(200, "")),
            _ => asked.answer(not_allowed()),
        }
        None
    }
}

fn out_of_order() -> Reply {
    Reply::new(500, "An older request came after a newer one")
}

fn not_allowed() -> Reply {
    Reply::new(405, "").header(Header::Allow(wire::ALLOW.into()))
}

fn not_taken() -> Reply {
    Reply::new(415, "").header(Header::Accept(crate::body::TEGATA.into()))
}
