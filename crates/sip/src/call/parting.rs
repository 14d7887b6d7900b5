//! The callee has gone, or was never reached, and the caller is not told yet: charging has a moment for a last word, such as a
//! receipt, which then rides in the caller's BYE or in the answer to its INVITE.

use super::talking::Talking;
use super::{Common, Due, Input, Purpose, State, ending};
use crate::leg::LegId;
use crate::reason::Reason;
use crate::seam::{Body, By, Command, Event};
use crate::wire::Reply;
use crate::wire::transaction::{Asked, Heard};
use std::time::Duration;

/// How long the caller waits for a last word. A desk needs a durable write for it, some milliseconds and a hundred where its
/// disk is busy; nobody pays for it, and a person hardly notices half a second of silence.
const LAST_WORD: Duration = Duration::from_millis(500);

/// How the caller will be told.
enum Caller {
    /// Its INVITE is answered with this.
    Waits(Box<Asked>, Box<Reply>),
    /// It is hung up, with this reason.
    Talks(Box<Talking>, Option<Reason>),
}

/// The caller's leg is still there.
pub(super) struct Parting {
    caller: Caller,
    by: By,
    body: Option<Body>,
    /// Charging has said all that it has to say.
    settled: bool,
}

impl Parting {
    fn begin(call: &mut Common, caller: Caller, by: By) -> State {
        let parting = Self { caller, by, body: None, settled: false };
        if call.emergency || !call.shared.is_charged() {
            return parting.over(call);
        }
        call.tell(Event::Ending { call: call.id, by: parting.by.clone(), at: call.shared.clock.now() });
        call.set(Due::LastWord, LAST_WORD);
        State::Parting(parting)
    }

    /// Nobody was reached: the caller's INVITE gets this answer.
    pub(super) fn unanswered(call: &mut Common, invite: Asked, reply: Reply, by: By) -> State {
        Self::begin(call, Caller::Waits(Box::new(invite), Box::new(reply)), by)
    }

    /// The callee has hung up, with this reason.
    pub(super) fn hung_up(call: &mut Common, talking: Box<Talking>, reason: Option<Reason>) -> State {
        Self::begin(call, Caller::Talks(talking, reason), By::Callee { refused: None })
    }

    /// Charging has ended a call: hangs up when what is under way has arrived, since this word comes after it.
    pub(super) fn cut(call: &mut Common, talking: Box<Talking>, reason: Reason, body: Option<Body>) -> State {
        call.set(Due::LastWord, LAST_WORD);
        Self { caller: Caller::Talks(talking, Some(reason)), by: By::Control, body, settled: true }.look(call)
    }

    pub(super) fn on(mut self, call: &mut Common, input: Input) -> State {
        match input {
            Input::Command(Command::HangUp { reason, body, .. }) => self.settle(call, reason, body),
            Input::Command(Command::Refuse { status, text, body, .. }) => {
                self.settle(call, Reason::new(status, &text), body)
            }
            Input::Response { to: Purpose::Word, response, .. } => {
                let there = match &mut self.caller {
                    Caller::Talks(talking, _) => talking.arrived(call, &response),
                    Caller::Waits(..) => true,
                };
                // A phone that is gone as well is told once more, and not waited for.
                if there { self.look(call) } else { self.over(call) }
            }
            Input::Request { leg: LegId::Caller, asked } => match call.early(LegId::Caller, *asked) {
                Some(bye) => self.gone(bye),
                None => State::Parting(self),
            },
            Input::Request { asked, .. } => {
                asked.answer(Reply::new(481, ""));
                State::Parting(self)
            }
            Input::ControlGone | Input::Heard { leg: LegId::Caller, heard: Heard::Cancel } => self.over(call),
            Input::Command(_) | Input::Heard { .. } | Input::Response { .. } => State::Parting(self),
        }
    }

    /// Charging has its last word. Why nobody was reached is not charging's to say.
    fn settle(mut self, call: &mut Common, said: Reason, body: Option<Body>) -> State {
        if let Caller::Talks(_, reason) = &mut self.caller {
            *reason = Some(said);
        }
        (self.body, self.settled) = (body, true);
        self.look(call)
    }

    /// The caller has hung up, too.
    fn gone(self, bye: Asked) -> State {
        bye.answer(Reply::new(200, ""));
        if let Caller::Waits(invite, _) = self.caller {
            invite.answer(Reply::new(487, ""));
        }
        State::Over(self.by)
    }

    pub(super) fn due(self, call: &mut Common, due: Due) -> State {
        if due == Due::LastWord { self.over(call) } else { State::Parting(self) }
    }

    fn look(self, call: &mut Common) -> State {
        let silent = match &self.caller {
            Caller::Talks(talking, _) => talking.is_silent(),
            Caller::Waits(..) => true,
        };
        if self.settled && silent { self.over(call) } else { State::Parting(self) }
    }

    fn over(self, call: &mut Common) -> State {
        match self.caller {
            Caller::Talks(_, reason) => {
                ending::bye(&call.shared.clone(), &mut call.caller, reason.as_ref(), self.body);
            }
            Caller::Waits(invite, reply) => invite.answer(reply.content(ending::word(self.body))),
        }
        State::Over(self.by)
    }
}
