//! Somebody calls, and charging has not said yet whether the callee shall ring.

use super::parting::Parting;
use super::{Common, Due, Input, State, ending};
use crate::body::Parts;
use crate::call::ringing::Ringing;
use crate::leg::LegId;
use crate::seam::{By, Command};
use crate::wire::Reply;
use crate::wire::transaction::{Asked, Heard};
use std::time::Duration;

/// First and longest pause between repetitions of a 183 (RFC 3261's T1 and T2).
const REPEAT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

/// What the caller was told in a 183 last. A 183 may be lost, so it is sent again until the caller says something; the
/// conversation inside knows repetitions.
#[derive(Default)]
pub(super) struct Told {
    last: Option<Reply>,
    pause: Duration,
}

impl Told {
    pub(super) fn tell(&mut self, call: &mut Common, invite: &Asked, parts: &Parts) {
        let reply = call.caller.reply(183, "").content(parts.write());
        invite.progress(reply.clone());
        *self = Self { last: Some(reply), pause: REPEAT.0 };
        call.set(Due::Repeat, self.pause);
    }

    pub(super) fn again(&mut self, call: &mut Common, invite: &Asked) {
        if let Some(reply) = &self.last {
            invite.progress(reply.clone());
            self.pause = (self.pause * 2).min(REPEAT.1);
            call.set(Due::Repeat, self.pause);
        }
    }

    pub(super) fn heard(&mut self, call: &mut Common) {
        self.last = None;
        call.unset(Due::Repeat);
    }
}

/// The caller's INVITE waits.
pub(super) struct Asking {
    invite: Asked,
    /// The caller's offer.
    parts: Parts,
    told: Told,
}

impl Asking {
    pub(super) fn begin(call: &mut Common, invite: Asked, parts: Parts) -> Self {
        call.set(Due::Asking, call.shared.config.limits.asking);
        Self { invite, parts, told: Told::default() }
    }

    pub(super) fn on(mut self, call: &mut Common, input: Input) -> State {
        match input {
            Input::Command(Command::Proceed { to, route, shown_as, .. }) => {
                call.unset(Due::Asking);
                self.told.heard(call);
                match call.shared.destinations(&to, &route) {
                    Ok(destinations) => Ringing::begin(call, self.invite, self.parts, [destinations].into(), shown_as),
                    Err(refusal) => {
                        Parting::unanswered(call, self.invite, refusal, By::Switch("the number leads nowhere"))
                    }
                }
            }
            Input::Command(Command::Tell { body, .. }) => {
                self.told.tell(call, &self.invite, &Parts { tegata: Some(body), ..Parts::default() });
                State::Asking(self)
            }
            Input::Command(Command::Warn { .. }) => State::Asking(self),
            Input::Command(command) => {
                let refusal = ending::refusal(command);
                self.refuse(refusal, By::Control)
            }
            Input::ControlGone => {
                self.refuse(Reply::new(503, "Charging is not there"), By::Switch("charging has gone"))
            }
            Input::Heard { heard: Heard::Cancel, .. } => self.refuse(Reply::new(487, ""), By::Caller),
            Input::Request { leg, asked } => {
                self.told.heard(call);
                match call.early(leg, *asked) {
                    Some(bye) => {
                        bye.answer(Reply::new(200, ""));
                        self.refuse(Reply::new(487, ""), By::Caller)
                    }
                    None => State::Asking(self),
                }
            }
            Input::Heard { .. } | Input::Response { .. } => State::Asking(self),
        }
    }

    pub(super) fn due(mut self, call: &mut Common, due: Due) -> State {
        match due {
            Due::Asking => {
                self.refuse(Reply::new(503, "Charging does not answer"), By::Switch("charging did not answer"))
            }
            Due::Repeat => {
                self.told.again(call, &self.invite);
                State::Asking(self)
            }
            Due::Ringing | Due::LastWord | Due::Session(LegId::Caller | LegId::Callee(_)) => State::Asking(self),
        }
    }

    fn refuse(self, refusal: Reply, by: By) -> State {
        self.invite.answer(refusal);
        State::Over(by)
    }
}
