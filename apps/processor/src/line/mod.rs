//! The bank line as a pure machine: bytes and time in, effects out. No socket, clock, randomness or store.
//!
//! ```text
//!            Connect              0800 sign-on            0810 approved
//! Down ---------------> Dialling -------------> SigningOn -------------> Open -- echo when silent
//!   ^----------------------+------------------------+---------------------+   connection lost, no 0810
//! ```
//!
//! It carries [`Job`]s, which must be durable before they are handed in ([`Line::ask`] takes nothing else). A job asked
//! *once* is sent once and reported [`Heard::Silent`] when no answer comes in time. A job asked *until answered* is stored and
//! forwarded: sent when the line is open, and again, with growing pauses, until it is answered. Reversals are repeated as 0401,
//! captures and refunds as the same 0200 under the same trace number, by which the bank knows the repeat.
//!
//! An answer to nothing that is open is reported as [`Heard::Stray`]: late, doubled, or to a message never sent.

pub(crate) mod drive;
#[cfg(test)]
mod tests;

use crate::store::Durable;
use std::collections::BTreeMap;
use tegata_core::Time;
use tegata_iso8583::{
    AcquirerId, Answer, Asked, Key, Message, NetworkAction, NetworkRequest, PaymentAnswer, Request, ResponseCode, Stan,
    Transmitted, Unasked, Verdict,
};
use zeroize::Zeroizing;

/// The moment of a step: for people and messages, and for time-outs.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// UTC seconds.
    pub time: Time,
    /// Milliseconds on a clock that never goes back, from any beginning.
    pub ms: u64,
}

/// How the line behaves. All times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct LineConfig {
    /// Our code at the bank (field 32).
    pub acquirer: AcquirerId,
    /// How long an answer is waited for.
    pub answer_within: u64,
    /// The first pause before a message is sent again; it doubles up to 64 times that.
    pub repeat_after: u64,
    /// How long the line may be silent before an echo is asked for.
    pub echo_after: u64,
    /// How long after a lost connection a new one is tried.
    pub reconnect_after: u64,
}

impl LineConfig {
    /// The usual times for this acquirer code.
    pub fn new(acquirer: AcquirerId) -> Self {
        Self { acquirer, answer_within: 10_000, repeat_after: 5_000, echo_after: 60_000, reconnect_after: 2_000 }
    }
    /// How long a provider waits until it is told that it is unknown: a little longer than for the bank, so that what is undone at
    /// once is told as such.
    pub fn reply_within(&self) -> u64 {
        self.answer_within + self.answer_within / 4
    }
}

/// How long a job is pursued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Sent once; no answer in time is a report.
    Once,
    /// Sent again until it is answered.
    UntilAnswered,
}

/// A message to the bank about money.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number in the store.
    pub id: u64,
    /// What is asked.
    pub request: Request,
    /// How long it is pursued.
    pub patience: Patience,
    /// Whether it may have been sent before: a reversal then goes out as 0401.
    pub repeat: bool,
    /// Not sent before so many milliseconds from now.
    pub delay: u64,
}

/// What happened to the connection.
#[derive(Debug)]
pub enum LineEvent {
    /// It is made.
    Connected,
    /// A whole frame's body came.
    Received(Zeroizing<Vec<u8>>),
    /// It is gone, or could not be made.
    Lost,
    /// Time has passed.
    Tick,
}

/// What the line wants done, in order.
#[derive(Debug)]
pub enum LineEffect {
    /// Make a connection.
    Connect,
    /// Send this frame's body.
    Send(Zeroizing<Vec<u8>>),
    /// Drop the connection.
    Close,
    /// Tell whoever owns the jobs.
    Heard(Heard),
}

/// What the line tells. Whoever hears it stores what follows before acting on it.
#[derive(Clone, Debug)]
pub enum Heard {
    /// Signed on.
    Up,
    /// Not signed on any more.
    Down,
    /// The bank's answer to a job, which is done with.
    Answered {
        /// The job.
        job: u64,
        /// What the bank says.
        answer: Box<PaymentAnswer>,
    },
    /// A job asked once got no answer in time, or one that cannot be read: its outcome is unknown. It is done with.
    Silent {
        /// The job.
        job: u64,
    },
    /// An answer to nothing that is open.
    Stray(Box<PaymentAnswer>),
    /// Something that is no answer of ours; says why, without any field's content.
    Odd(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down { retry: u64 },
    Dialling { deadline: u64 },
    SigningOn { deadline: u64, key: Key },
    Open { heard: u64, echo: Option<(u64, Key)> },
}

#[derive(Debug)]
struct Held {
    job: Job,
    /// When it is to be sent next, or, once sent, given up.
    next: u64,
    pause: u64,
}

/// The line.
#[derive(Debug)]
pub struct Line {
    config: LineConfig,
    state: State,
    jobs: BTreeMap<u64, Held>,
    keys: BTreeMap<Key, u64>,
    asked: Asked,
    /// Trace numbers of messages about the line: 900000 to 999999; those about money have the others.
    stan: u32,
}

impl Line {
    /// A line that is down and will dial at the first tick.
    pub fn new(config: LineConfig) -> Self {
        let state = State::Down { retry: 0 };
        Self { config, state, jobs: BTreeMap::new(), keys: BTreeMap::new(), asked: Asked::new(), stan: 899_999 }
    }
    /// Whether it is signed on.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }
    /// How many jobs it pursues.
    pub fn pursued(&self) -> usize {
        self.jobs.len()
    }
    /// When it wants its next tick, in milliseconds.
    pub fn wake_at(&self) -> u64 {
        let own = match self.state {
            State::Down { retry } => retry,
            State::Dialling { deadline } | State::SigningOn { deadline, .. } => deadline,
            State::Open { echo: Some((deadline, _)), .. } => deadline,
            State::Open { heard, echo: None } => heard.saturating_add(self.config.echo_after),
        };
        let open = self.is_open();
        let waits = |held: &&Held| open || held.job.patience == Patience::Once;
        self.jobs.values().filter(waits).map(|held| held.next).min().map_or(own, |next| next.min(own))
    }

    /// Takes up a job that is durable.
    pub fn ask(&mut self, job: Durable<Job>, now: Now) -> Vec<LineEffect> {
        let mut effects = Vec::new();
        let job = job.into_inner();
        self.keys.insert(job.request.key(), job.id);
        let next = match job.patience {
            // If the line went down since it was stored, it waits for its time-out like one that was sent.
            Patience::Once if !self.is_open() => now.ms.saturating_add(self.config.answer_within),
            _ => now.ms.saturating_add(job.delay),
        };
        let sent = job.patience == Patience::Once && !self.is_open();
        let id = job.id;
        self.jobs.insert(id, Held { job, next, pause: self.config.repeat_after });
        if sent {
            // Nothing was sent, but nobody can prove that later: it is treated as if it had been.
            if let Some(held) = self.jobs.get_mut(&id) {
                held.job.repeat = true;
            }
        }
        self.due(now, &mut effects);
        effects
    }

    /// Takes what happened.
    pub fn step(&mut self, event: LineEvent, now: Now) -> Vec<LineEffect> {
        let mut effects = Vec::new();
        match event {
            LineEvent::Connected => self.sign_on(now, &mut effects),
            LineEvent::Lost => self.lost(now, &mut effects),
            LineEvent::Received(body) => self.received(&body, now, &mut effects),
            LineEvent::Tick => {}
        }
        self.pass(now, &mut effects);
        self.due(now, &mut effects);
        effects
    }

    fn network(&mut self, action: NetworkAction, now: Now, effects: &mut Vec<LineEffect>) -> Option<Key> {
        self.stan = if self.stan >= 999_999 { 900_000 } else { self.stan + 1 };
        let request = Request::Network(NetworkRequest {
            stan: Stan::new(self.stan)?,
            transmitted: Transmitted::at(now.time),
            acquirer: self.config.acquirer,
            action,
        });
        self.send(&request, effects).then(|| request.key())
    }
    /// Sends a request; whether that was possible.
    fn send(&mut self, request: &Request, effects: &mut Vec<LineEffect>) -> bool {
        let Ok(message) = request.message() else { return false };
        if self.asked.ask(request).is_err() {
            return false;
        }
        effects.push(LineEffect::Send(message.encode()));
        true
    }
    fn sign_on(&mut self, now: Now, effects: &mut Vec<LineEffect>) {
        match self.network(NetworkAction::SignOn, now, effects) {
            Some(key) => self.state = State::SigningOn { deadline: now.ms + self.config.answer_within, key },
            None => self.hang_up(now, effects),
        }
    }
    fn hang_up(&mut self, now: Now, effects: &mut Vec<LineEffect>) {
        effects.push(LineEffect::Close);
        self.lost(now, effects);
    }
    fn lost(&mut self, now: Now, effects: &mut Vec<LineEffect>) {
        if self.is_open() {
            effects.push(LineEffect::Heard(Heard::Down));
        }
        if let State::SigningOn { key, .. } | State::Open { echo: Some((_, key)), .. } = self.state {
            self.asked.forget(&key);
        }
        self.state = State::Down { retry: now.ms + self.config.reconnect_after };
    }
    /// What only the passing of time brings.
    fn pass(&mut self, now: Now, effects: &mut Vec<LineEffect>) {
        match self.state {
            State::Down { retry } if now.ms >= retry => {
                self.state = State::Dialling { deadline: now.ms + self.config.answer_within };
                effects.push(LineEffect::Connect);
            }
            State::Dialling { deadline } | State::SigningOn { deadline, .. } if now.ms >= deadline => {
                self.hang_up(now, effects);
            }
            State::Open { echo: Some((deadline, _)), .. } if now.ms >= deadline => self.hang_up(now, effects),
            State::Open { heard, echo: None } if now.ms >= heard + self.config.echo_after => {
                let echo = self.network(NetworkAction::Echo, now, effects);
                self.state = State::Open { heard, echo: echo.map(|key| (now.ms + self.config.answer_within, key)) };
            }
            _ => {}
        }
    }
    /// Sends jobs whose time has come, and gives up those asked once.
    fn due(&mut self, now: Now, effects: &mut Vec<LineEffect>) {
        let open = self.is_open();
        let due: Vec<u64> = self.jobs.iter().filter(|(_, held)| held.next <= now.ms).map(|(id, _)| *id).collect();
        for id in due {
            let Some(mut held) = self.jobs.remove(&id) else { continue };
            if held.job.patience == Patience::Once && held.job.repeat {
                self.asked.forget(&held.job.request.key());
                self.keys.remove(&held.job.request.key());
                effects.push(LineEffect::Heard(Heard::Silent { job: id }));
                continue;
            }
            if open {
                let request = match &held.job.request {
                    Request::Reversal(reversal) if held.job.repeat => Request::Reversal(reversal.repeated()),
                    request => request.clone(),
                };
                if !self.send(&request, effects) {
                    effects.push(LineEffect::Heard(Heard::Odd("a message could not be put together".to_owned())));
                }
                held.job.repeat = true;
                held.next = match held.job.patience {
                    Patience::Once => now.ms + self.config.answer_within,
                    Patience::UntilAnswered => now.ms + held.pause,
                };
                held.pause = (held.pause * 2).min(self.config.repeat_after * 64);
            }
            self.jobs.insert(id, held);
        }
    }
    fn received(&mut self, body: &[u8], now: Now, effects: &mut Vec<LineEffect>) {
        if let State::Open { heard, .. } = &mut self.state {
            *heard = now.ms;
        }
        let odd = |why: String| LineEffect::Heard(Heard::Odd(why));
        let message = match Message::decode(body) {
            Ok(message) => message,
            Err(fault) => return effects.push(odd(fault.to_string())),
        };
        if message.kind().answer().is_some() {
            // The bank may ask whether we are there, and nothing else.
            match Request::read(&message) {
                Ok(request @ Request::Network(_)) => {
                    if let Ok(answer) = request.answered(ResponseCode::Approved, None).message() {
                        effects.push(LineEffect::Send(answer.encode()));
                    }
                }
                Ok(_) => effects.push(odd("the bank asked for something that it may not ask".to_owned())),
                Err(misuse) => effects.push(odd(misuse.to_string())),
            }
            return;
        }
        match Answer::read(&message) {
            Ok(Answer::Network(answer)) => self.network_answer(&Answer::Network(answer), now, effects),
            Ok(answer @ Answer::Payment(_)) => self.payment_answer(answer, effects),
            Err(misuse) => {
                effects.push(odd(misuse.to_string()));
                // It names a request of ours: what became of that one is unknown now.
                if let Some(id) = Key::of(&message).ok().and_then(|key| self.keys.get(&key).copied()) {
                    self.unreadable(id, effects);
                }
            }
        }
    }
    fn unreadable(&mut self, id: u64, effects: &mut Vec<LineEffect>) {
        if self.jobs.get(&id).is_some_and(|held| held.job.patience == Patience::Once)
            && let Some(held) = self.jobs.remove(&id)
        {
            self.asked.forget(&held.job.request.key());
            self.keys.remove(&held.job.request.key());
            effects.push(LineEffect::Heard(Heard::Silent { job: id }));
        }
    }
    fn network_answer(&mut self, answer: &Answer, now: Now, effects: &mut Vec<LineEffect>) {
        if self.asked.hear(answer).is_err() {
            return effects.push(LineEffect::Heard(Heard::Odd("an answer about the line to no question".to_owned())));
        }
        let approved = answer.response().verdict() == Verdict::Approved;
        match &mut self.state {
            State::SigningOn { key, .. } if *key == answer.key() && approved => {
                self.state = State::Open { heard: now.ms, echo: None };
                effects.push(LineEffect::Heard(Heard::Up));
                // What waits is sent at once.
                for held in self.jobs.values_mut().filter(|held| held.job.patience == Patience::UntilAnswered) {
                    held.next = now.ms;
                    held.pause = self.config.repeat_after;
                }
            }
            State::SigningOn { .. } => self.hang_up(now, effects),
            State::Open { echo, .. } if echo.is_some_and(|(_, key)| key == answer.key()) => *echo = None,
            _ => {}
        }
    }
    fn payment_answer(&mut self, answer: Answer, effects: &mut Vec<LineEffect>) {
        let heard = self.asked.hear(&answer);
        let Answer::Payment(payment) = answer else { return };
        match heard {
            Ok(_) => {
                let Some(id) = self.keys.remove(&payment.trace.key()) else { return };
                self.jobs.remove(&id);
                effects.push(LineEffect::Heard(Heard::Answered { job: id, answer: Box::new(payment) }));
            }
            Err(Unasked::Nobody) => effects.push(LineEffect::Heard(Heard::Stray(Box::new(payment)))),
            Err(why @ (Unasked::OtherKind { .. } | Unasked::Differs { .. })) => {
                effects.push(LineEffect::Heard(Heard::Odd(why.to_string())));
            }
        }
    }
}
