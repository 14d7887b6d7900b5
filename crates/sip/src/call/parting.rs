//! The callee has gone, and the caller is told why when nothing is under way to it any more: charging has a moment for a last
//! word, such as a receipt, which then rides in the caller's BYE.

use super::talking::Talking;
use super::{Common, Due, Input, Purpose, State, ending};
use crate::leg::LegId;
use crate::reason::Reason;
use crate::seam::{Body, By, Command};
use crate::wire::Reply;
use crate::wire::transaction::Asked;
use std::time::Duration;

/// How long the caller's BYE waits for a last word. A desk needs a durable write for it, some milliseconds and a hundred where
/// its disk is busy; nobody pays for it, and a person hardly notices half a second of silence.
const LAST_WORD: Duration = Duration::from_millis(500);

/// The caller's leg is still there.
pub(super) struct Parting {
    talking: Box<Talking>,
    by: By,
    /// What the caller is told; with a last word once charging has said it.
    reason: Option<Reason>,
    body: Option<Body>,
    /// Charging has said all that it has to say.
    settled: bool,
}

impl Parting {
    /// Waits for charging. `reason`: what the callee has said, if charging says nothing.
    pub(super) fn begin(call: &mut Common, talking: Box<Talking>, by: By, reason: Option<Reason>) -> State {
        call.set(Due::LastWord, LAST_WORD);
        State::Parting(Self { talking, by, reason, body: None, settled: false })
    }

    /// Charging has spoken: hangs up when what is under way has arrived, since this word comes after it.
    pub(super) fn settled(
        call: &mut Common,
        talking: Box<Talking>,
        by: By,
        (reason, body): (Reason, Option<Body>),
    ) -> State {
        call.set(Due::LastWord, LAST_WORD);
        Self { talking, by, reason: Some(reason), body, settled: true }.look(call)
    }

    pub(super) fn on(mut self, call: &mut Common, input: Input) -> State {
        match input {
            Input::Command(Command::HangUp { reason, body, .. }) => {
                (self.reason, self.body, self.settled) = (Some(reason), body, true);
                self.look(call)
            }
            Input::Command(Command::Refuse { status, text, body, .. }) => {
                (self.reason, self.body, self.settled) = (Some(Reason::new(status, &text)), body, true);
                self.look(call)
            }
            Input::Response { to: Purpose::Word, response, .. } => match self.talking.arrived(call, &response) {
                true => self.look(call),
                // The phone is gone as well.
                false => self.over(call),
            },
            Input::Request { leg: LegId::Caller, asked } => self.on_request(call, *asked),
            Input::Request { asked, .. } => {
                asked.answer(Reply::new(481, ""));
                State::Parting(self)
            }
            Input::ControlGone => self.over(call),
            Input::Command(_) | Input::Heard { .. } | Input::Response { .. } => State::Parting(self),
        }
    }

    fn on_request(self, call: &mut Common, asked: Asked) -> State {
        match call.early(LegId::Caller, asked) {
            Some(bye) => {
                bye.answer(Reply::new(200, ""));
                State::Over(self.by)
            }
            None => State::Parting(self),
        }
    }

    pub(super) fn due(self, call: &mut Common, due: Due) -> State {
        if due == Due::LastWord { self.over(call) } else { State::Parting(self) }
    }

    fn look(self, call: &mut Common) -> State {
        if self.settled && self.talking.is_silent() { self.over(call) } else { State::Parting(self) }
    }

    fn over(self, call: &mut Common) -> State {
        ending::bye(&call.shared.clone(), &mut call.caller, self.reason.as_ref(), self.body);
        State::Over(self.by)
    }
}
