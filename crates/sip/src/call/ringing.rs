//! The callee rings, at one contact or several. The first that answers has the call; the others are cancelled.

use super::asking::Told;
use super::parting::Parting;
use super::{Common, Due, Input, Purpose, State, ending, failure};
use crate::body::Parts;
use crate::call::talking::Talking;
use crate::leg::{self, Destination, Leg, LegId, Listed};
use crate::seam::{By, Command, Event, Shown};
use crate::timer;
use crate::wire::transaction::{Asked, Heard, Way, acknowledge};
use crate::wire::{self, Reply};
use rsipstack::sip::{Header, Method, Request, Response};
use std::collections::VecDeque;
use std::time::Duration;

/// One contact that rings.
pub(super) struct Branch {
    pub(super) id: usize,
    pub(super) leg: Leg,
    pub(super) invite: Request,
    /// It has said something: a CANCEL may be sent (RFC 3261, 9.1).
    pub(super) alive: bool,
    /// A CANCEL was sent.
    pub(super) cancelled: bool,
    /// Where the INVITE went, and its CANCEL goes.
    pub(super) way: Way,
    /// The session timer that was offered; a 422 makes it longer, once.
    offered: Duration,
}

/// The caller's INVITE waits for one of these.
pub(super) struct Ringing {
    invite: Asked,
    parts: Parts,
    shown_as: Shown,
    branches: Vec<Branch>,
    begun: usize,
    /// Other ways, tried where none of this one's could be reached.
    waves: VecDeque<Vec<Destination>>,
    /// The best failure so far.
    failure: Option<u16>,
    rung: bool,
    told: Told,
}

impl Ringing {
    pub(super) fn begin(
        call: &mut Common,
        invite: Asked,
        parts: Parts,
        waves: VecDeque<Vec<Destination>>,
        shown_as: Shown,
    ) -> State {
        if let Err(error) = call.open_media(&waves) {
            tracing::error!(%error, "{}: its media cannot be relayed", call.id);
            // A call for help goes on as if nobody relayed; so does any where the operator has not asked for that.
            if !call.emergency && call.shared.config.relay_all {
                let reply = Reply::new(503, "No line is free");
                return Parting::unanswered(call, invite, reply, By::Switch("no ports for media"));
            }
        }
        call.set(Due::Ringing, call.shared.config.limits.ringing);
        let state = Self {
            invite,
            parts,
            shown_as,
            branches: Vec::new(),
            begun: 0,
            waves,
            failure: None,
            rung: false,
            told: Told::default(),
        };
        state.next_wave(call)
    }

    fn next_wave(mut self, call: &mut Common) -> State {
        let Some(wave) = self.waves.pop_front() else {
            let reply = self.failure.map_or_else(|| Reply::new(480, ""), failure::for_caller);
            let refused = self.failure;
            return self.unanswered(call, reply, By::Callee { refused });
        };
        for destination in wave {
            let id = self.begun;
            self.begun += 1;
            let hops = call.caller.hops();
            let (host, key) = (call.shared.host(), leg::new_key(&call.shared.host()));
            let listed = Listed::new(&call.shared, &key, LegId::Callee(id), &call.inputs);
            let local = match &self.shown_as {
                Shown::As(number) => format!("<{}>", leg::address(number, &host)),
                Shown::Anonymous => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
            };
            let sides = (local, format!("<{}>", leg::address(&destination.number, &host)));
            let mut leg = Leg::to_callee(&call.shared.home, &destination, sides, hops, key, Some(listed));
            let offered = call.shared.config.limits.session;
            let invite = self.invite_to(call, &mut leg, offered);
            let branch = Branch { id, leg, invite, alive: false, cancelled: false, way: destination.way, offered };
            self.send(call, branch);
        }
        if self.branches.is_empty() { self.next_wave(call) } else { State::Ringing(self) }
    }

    fn invite_to(&self, call: &Common, leg: &mut Leg, offered: Duration) -> Request {
        let caller = (LegId::Caller, call.caller.source());
        leg.sdp = self.parts.sdp.as_ref().map(|sdp| call.hidden(caller, sdp));
        let content = Parts { sdp: leg.sdp.clone(), ..Parts::default() }.write();
        let mut invite = leg.request(Method::Invite, content);
        invite.headers.push(Header::SessionExpires(format!("{};refresher=uac", offered.as_secs()).into()));
        invite.headers.push(Header::MinSE(call.shared.config.limits.shortest_session.as_secs().to_string().into()));
        if self.shown_as == Shown::Anonymous {
            invite.headers.push(Header::Privacy("id".into()));
        }
        invite
    }

    fn send(&mut self, call: &Common, branch: Branch) {
        call.ask(LegId::Callee(branch.id), Purpose::Setup, branch.invite.clone(), branch.way.clone());
        self.branches.push(branch);
    }

    pub(super) async fn on(mut self, call: &mut Common, input: Input) -> State {
        match input {
            Input::Response { leg: LegId::Callee(id), to: Purpose::Setup, response } => {
                match self.branches.iter().position(|branch| branch.id == id) {
                    Some(at) => self.on_response(call, at, response).await,
                    None => State::Ringing(self),
                }
            }
            Input::Command(Command::Tell { body, .. }) => {
                self.told.tell(call, &self.invite, &Parts { tegata: Some(body), ..Parts::default() });
                State::Ringing(self)
            }
            Input::Command(Command::Proceed { .. } | Command::Warn { .. }) => State::Ringing(self),
            Input::Command(command) => {
                let refusal = ending::refusal(command);
                self.over(call, refusal, By::Control)
            }
            Input::ControlGone => {
                self.over(call, Reply::new(503, "Charging is not there"), By::Switch("charging has gone"))
            }
            Input::Heard { leg: LegId::Caller, heard: Heard::Cancel } => {
                self.over(call, Reply::new(487, ""), By::Caller)
            }
            Input::Request { leg: LegId::Caller, asked } => {
                self.told.heard(call);
                match call.early(LegId::Caller, *asked) {
                    Some(bye) => {
                        bye.answer(Reply::new(200, ""));
                        self.over(call, Reply::new(487, ""), By::Caller)
                    }
                    None => State::Ringing(self),
                }
            }
            Input::Request { leg, asked } => {
                // A callee cannot hang up before it has answered (RFC 3261, 15).
                if let Some(bye) = call.early(leg, *asked) {
                    bye.answer(Reply::new(481, ""));
                }
                State::Ringing(self)
            }
            Input::Heard { .. } | Input::Response { .. } => State::Ringing(self),
        }
    }

    async fn on_response(mut self, call: &mut Common, at: usize, response: Response) -> State {
        let status = response.status_code.code();
        let alone = self.branches.len() == 1 && self.waves.is_empty();
        let branch = &mut self.branches[at];
        branch.alive = true;
        let parts = Parts::read(wire::content_type(&response), &response.body).unwrap_or_default();
        let from = LegId::Callee(branch.id);
        match status {
            100 => State::Ringing(self),
            101..=199 => {
                branch.leg.learn(&response);
                let source = branch.leg.source();
                call.tell_body(from, parts.tegata);
                // One dialog with the caller has one early answer; several contacts would give several.
                let sdp = parts.sdp.filter(|_| alone).map(|sdp| call.hidden((from, source), &sdp));
                call.caller.sdp = sdp.clone().or(call.caller.sdp.take());
                let content = Parts { sdp, ..Parts::default() }.write();
                let status = if matches!(status, 180..=183) { status } else { 183 };
                self.invite.progress(call.caller.reply(status, "").content(content));
                if !self.rung && status == 180 {
                    self.rung = true;
                    call.tell(Event::Ringing { call: call.id, at: call.shared.clock.now() });
                }
                State::Ringing(self)
            }
            200..=299 => {
                call.tell_body(from, parts.tegata);
                self.answered(call, at, &response, parts.sdp).await
            }
            422 if timer::at_least(&response) > branch.offered => {
                let mut branch = self.branches.remove(at);
                branch.offered = timer::at_least(&response);
                branch.alive = false;
                branch.invite = self.invite_to(call, &mut branch.leg, branch.offered);
                self.send(call, branch);
                State::Ringing(self)
            }
            _ => self.failed(call, at, status),
        }
    }

    fn failed(mut self, call: &mut Common, at: usize, status: u16) -> State {
        self.branches.remove(at);
        if self.failure.is_none_or(|best| failure::rank(status) < failure::rank(best)) {
            self.failure = Some(status);
        }
        if status >= 600 {
            // Nobody else of this callee is to be asked (RFC 3261, 21.6).
            return self.unanswered(call, failure::for_caller(status), By::Callee { refused: Some(status) });
        }
        if !self.branches.is_empty() {
            return State::Ringing(self);
        }
        if !self.failure.is_some_and(failure::is_of_the_way) {
            self.waves.clear();
        }
        self.next_wave(call)
    }

    async fn answered(mut self, call: &mut Common, at: usize, response: &Response, sdp: Option<Vec<u8>>) -> State {
        let mut branch = self.branches.remove(at);
        ending::cancel(call, std::mem::take(&mut self.branches));
        call.unset(Due::Ringing);
        call.unset(Due::Repeat);
        branch.leg.learn(response);
        branch.leg.session = Some(timer::answered(response, branch.offered));
        // An answer ends the offer of the INVITE; an offer in a 200 is answered in the caller's ACK.
        let late = self.parts.sdp.is_none();
        if !late {
            let ack = branch.leg.ack(&branch.invite, None);
            acknowledge(&call.shared.endpoint, &branch.invite, ack, &branch.leg.way()).await;
        }
        let callee = (LegId::Callee(branch.id), branch.leg.source());
        let sdp = sdp.map(|sdp| call.hidden(callee, &sdp));
        call.caller.sdp = sdp.clone().or(call.caller.sdp.take());
        let mut reply = call.caller.reply(200, "").content(Parts { sdp, ..Parts::default() }.write());
        if let Some(session) = &call.caller.session {
            reply = reply.header(Header::SessionExpires(session.in_answer().into()));
            if !session.ours {
                reply = reply.header(Header::Require("timer".into()));
            }
        }
        self.invite.answer(reply);
        call.tell(Event::Answered { call: call.id, at: call.shared.clock.now() });
        let unacknowledged = late.then_some(branch.invite);
        State::Talking(Box::new(Talking::begin(call, branch.id, branch.leg, unacknowledged)))
    }

    pub(super) fn due(mut self, call: &mut Common, due: Due) -> State {
        match due {
            Due::Ringing => self.unanswered(call, Reply::new(480, "No answer"), By::Switch("nobody answered")),
            Due::Repeat => {
                self.told.again(call, &self.invite);
                State::Ringing(self)
            }
            Due::Asking | Due::LastWord | Due::Session(_) => State::Ringing(self),
        }
    }

    /// Nobody was reached: charging may say a last word with that.
    fn unanswered(self, call: &mut Common, reply: Reply, by: By) -> State {
        ending::cancel(call, self.branches);
        Parting::unanswered(call, self.invite, reply, by)
    }

    fn over(self, call: &mut Common, reply: Reply, by: By) -> State {
        ending::cancel(call, self.branches);
        self.invite.answer(reply);
        State::Over(by)
    }
}
