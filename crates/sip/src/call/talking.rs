//! Both legs are set up: people talk, and time is paid for.

use super::exchange::Exchange;
use super::parting::Parting;
use super::{Common, Due, Input, Purpose, State, ending, failure, not_allowed, out_of_order};
use crate::body::{Content, Parts};
use crate::leg::{Leg, LegId};
use crate::reason::Reason;
use crate::seam::{Body, By, Command};
use crate::timer;
use crate::wire::transaction::{Asked, Heard, acknowledge, ask};
use crate::wire::{self, Reply};
use rsipstack::sip::{Header, Method, Request, Response};
use std::collections::VecDeque;
use std::time::Duration;

/// Two legs, and at most one offer on its way between them.
pub(super) struct Talking {
    id: usize,
    pub(super) callee: Leg,
    /// The callee's 200 had the offer: its ACK waits for the caller's answer.
    unacknowledged: Option<Request>,
    pub(super) exchange: Option<Exchange>,
    /// Words to the caller that wait for the one that is under way: those in one dialog may overtake each other, and whoever
    /// speaks inside needs them in their order.
    words: VecDeque<Content>,
    /// Under way, and how often it was said.
    saying: Option<(Content, u32)>,
}

/// How often a word is said that the caller's phone has taken for an old one.
const TRIES: u32 = 3;

impl Talking {
    pub(super) fn begin(call: &mut Common, id: usize, callee: Leg, unacknowledged: Option<Request>) -> Self {
        let (words, saying) = (VecDeque::new(), None);
        let state = Self { id, callee, unacknowledged, exchange: None, words, saying };
        state.watch(call);
        state
    }

    pub(super) fn callee_id(&self) -> LegId {
        LegId::Callee(self.id)
    }

    /// Sets the timers of both legs by what they have agreed on.
    pub(super) fn watch(&self, call: &mut Common) {
        for (id, session) in [(LegId::Caller, call.caller.session), (self.callee_id(), self.callee.session)] {
            if let Some(session) = session {
                call.set_at(Due::Session(id), session.next().0);
            }
        }
    }

    pub(super) fn leg<'a>(&'a mut self, call: &'a mut Common, id: LegId) -> &'a mut Leg {
        if id == LegId::Caller { &mut call.caller } else { &mut self.callee }
    }

    pub(super) fn other(&self, id: LegId) -> LegId {
        if id == LegId::Caller { self.callee_id() } else { LegId::Caller }
    }

    pub(super) async fn on(mut self: Box<Self>, call: &mut Common, input: Input) -> State {
        match input {
            Input::Request { leg, asked } if leg == LegId::Caller || leg == self.callee_id() => {
                self.on_request(call, leg, *asked)
            }
            Input::Request { asked, .. } => {
                asked.answer(Reply::new(481, ""));
                State::Talking(self)
            }
            Input::Heard { leg, heard: Heard::Ack(ack) } => {
                self.on_ack(call, leg, &ack).await;
                State::Talking(self)
            }
            Input::Heard { heard: Heard::Silence, .. } => {
                self.over(call, Reason::new(408, "No ACK"), None, By::Switch("an answer was not acknowledged"))
            }
            Input::Heard { heard: Heard::Cancel, .. } => State::Talking(self),
            Input::Response { leg, to: Purpose::Offer, response } => self.on_offer_answered(call, leg, response).await,
            Input::Response { leg, to: Purpose::Refresh, response } => self.on_refreshed(call, leg, response).await,
            Input::Response { to: Purpose::Word, response, .. } => match self.arrived(call, &response) {
                true => State::Talking(self),
                false => self.over(call, Reason::new(408, "The phone is gone"), None, By::Switch("a leg is gone")),
            },
            Input::Response { to: Purpose::Setup, .. } => State::Talking(self),
            Input::Command(command) => self.on_command(call, command),
            Input::ControlGone => {
                let reason = Reason::new(503, "Charging is not there");
                self.over(call, reason, None, By::Switch("charging has gone"))
            }
        }
    }

    fn on_command(mut self: Box<Self>, call: &mut Common, command: Command) -> State {
        match command {
            Command::Proceed { .. } => State::Talking(self),
            Command::Tell { body, .. } => {
                self.say(call, ending::word(Some(body)));
                State::Talking(self)
            }
            Command::Warn { left, body, .. } => {
                if let Some(relay) = &call.media {
                    relay.warn();
                }
                self.say(call, Some(warning(left, body)));
                State::Talking(self)
            }
            Command::Refuse { status, text, body, .. } => self.cut(call, Reason::new(status, &text), body),
            Command::HangUp { reason, body, .. } => self.cut(call, reason, body),
        }
    }

    /// An INFO to the caller, when the last one has arrived.
    fn say(&mut self, call: &mut Common, content: Option<Content>) {
        self.words.extend(content);
        if self.saying.is_none()
            && let Some(content) = self.words.pop_front()
        {
            self.utter(call, content, 1);
        }
    }

    fn utter(&mut self, call: &mut Common, content: Content, tries: u32) {
        let request = call.caller.request(Method::Info, Some(content.clone()));
        self.saying = Some((content, tries));
        call.ask(LegId::Caller, Purpose::Word, request, call.caller.way());
    }

    /// Whether nothing is under way to the caller.
    pub(super) fn is_silent(&self) -> bool {
        self.saying.is_none() && self.words.is_empty()
    }

    /// What came of a word. `false`: the caller's phone knows no such call, or is gone (RFC 5057).
    pub(super) fn arrived(&mut self, call: &mut Common, response: &Response) -> bool {
        let status = response.status_code.code();
        let Some((content, tries)) = self.saying.take_if(|_| status >= 200) else { return true };
        match status {
            408 | 481 => return false,
            // A later request came before it (RFC 3261, 12.2.2): said again, under a new number.
            500..=599 if tries < TRIES => self.utter(call, content, tries + 1),
            _ => self.say(call, None),
        }
        true
    }

    fn on_request(mut self: Box<Self>, call: &mut Common, from: LegId, asked: Asked) -> State {
        if !self.leg(call, from).in_order(&asked.request) {
            asked.answer(out_of_order());
            return State::Talking(self);
        }
        let parts = match Parts::read(wire::content_type(&asked.request), &asked.request.body) {
            Ok(parts) => parts,
            Err(error) => {
                asked.answer(failure::of_body(&error));
                return State::Talking(self);
            }
        };
        let word = parts.tegata.clone();
        if asked.request.method == Method::Info {
            // Answered before it is told: what charging does about it comes after.
            self.on_info(call, from, asked, parts);
            call.tell_body(from, word);
            return State::Talking(self);
        }
        call.tell_body(from, word);
        match asked.request.method {
            Method::Bye => return self.hung_up(call, from, asked),
            Method::Invite | Method::Update => self.on_offer(call, from, asked, parts),
            Method::Options => {
                let reply = self.leg(call, from).reply(200, "");
                asked.answer(reply);
            }
            Method::PRack => asked.answer(Reply::new(481, "")),
            _ => asked.answer(not_allowed()),
        }
        State::Talking(self)
    }

    /// What is no word of ours passes from end to end: keys that were pressed.
    fn on_info(&mut self, call: &mut Common, from: LegId, asked: Asked, parts: Parts) {
        let Some(other) = parts.other else { return asked.answer(Reply::new(200, "")) };
        let content = Parts { other: Some(other), ..Parts::default() }.write();
        let to = self.other(from);
        let leg = self.leg(call, to);
        let (request, way) = (leg.request(Method::Info, content), leg.way());
        let mut asked = Some(asked);
        ask(call.shared.endpoint.clone(), request, way, move |response| {
            let status = response.status_code.code();
            if let Some(asked) = asked.take_if(|_| status >= 200) {
                asked.answer(if status < 300 { Reply::new(status, "") } else { failure::for_caller(status) });
            }
        });
    }

    async fn on_ack(&mut self, call: &mut Common, from: LegId, ack: &Request) {
        let parts = Parts::read(wire::content_type(ack), &ack.body).unwrap_or_default();
        call.tell_body(from, parts.tegata.clone());
        let source = self.leg(call, from).source();
        let sdp = parts.sdp.map(|sdp| call.hidden((from, source), &sdp));
        if from == LegId::Caller
            && let Some(invite) = self.unacknowledged.take()
        {
            self.callee.sdp = sdp.clone();
            let ack = self.callee.ack(&invite, Parts { sdp, ..Parts::default() }.write());
            acknowledge(&call.shared.endpoint, &invite, ack, &self.callee.way()).await;
        } else {
            self.on_late_answer(call, from, sdp).await;
        }
    }

    fn hung_up(mut self: Box<Self>, call: &mut Common, from: LegId, asked: Asked) -> State {
        let reason = asked.request.headers.iter().find_map(|header| match header {
            Header::Reason(reason) => Reason::read(reason.value()),
            _ => None,
        });
        asked.answer(Reply::new(200, ""));
        let reason = reason.map(|reason| ended(reason.cause));
        if from == LegId::Caller {
            ending::bye(&call.shared.clone(), &mut self.callee, reason.as_ref(), None);
            return State::Over(By::Caller);
        }
        Parting::hung_up(call, self, reason)
    }

    /// Charging wants no more of this: the callee is hung up at once, the caller when it has heard what is under way.
    fn cut(mut self: Box<Self>, call: &mut Common, reason: Reason, body: Option<Body>) -> State {
        ending::bye(&call.shared.clone(), &mut self.callee, Some(&ended(200)), None);
        Parting::cut(call, self, reason, body)
    }

    /// Hangs up both. The callee learns that the call has ended, not that somebody's card is empty.
    pub(super) fn over(mut self: Box<Self>, call: &mut Common, reason: Reason, body: Option<Body>, by: By) -> State {
        ending::bye(&call.shared.clone(), &mut call.caller, Some(&reason), body);
        ending::bye(&call.shared.clone(), &mut self.callee, Some(&ended(200)), None);
        State::Over(by)
    }

    pub(super) fn due(mut self: Box<Self>, call: &mut Common, due: Due) -> State {
        let Due::Session(id) = due else { return State::Talking(self) };
        let Some(session) = self.leg(call, id).session else { return State::Talking(self) };
        match session.next().1 {
            timer::Due::Expire => {
                self.over(call, Reason::new(408, "Session expired"), None, By::Switch("a session timer ran out"))
            }
            timer::Due::Refresh => {
                self.refresh(call, id);
                State::Talking(self)
            }
        }
    }
}

fn ended(cause: u16) -> Reason {
    Reason::new(cause, "The call has ended")
}

/// What a phone that shows text shows, and the wallet's word beside it. A second that has begun counts: a moment has passed since
/// charging looked, and ten seconds are not to be nine.
fn warning(left: Duration, body: Option<Body>) -> Content {
    let seconds = left.as_millis().div_ceil(1000);
    let text = format!("Paid time ends in {seconds} second{}.", if seconds == 1 { "" } else { "s" });
    let other = Some(Content { kind: "text/plain;charset=utf-8".to_owned(), bytes: text.into_bytes() });
    Parts { sdp: None, tegata: body, other }.write().unwrap_or_else(|| unreachable!("a text is a part"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_how_many_seconds_are_left() {
        for (ms, seconds) in [(10_000, "10 seconds"), (9_990, "10 seconds"), (1_001, "2 seconds"), (1_000, "1 second")]
        {
            let said = warning(Duration::from_millis(ms), None);
            assert_eq!(said.kind, "text/plain;charset=utf-8");
            assert_eq!(String::from_utf8_lossy(&said.bytes), format!("Paid time ends in {seconds}."));
        }
    }
}
