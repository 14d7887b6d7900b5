//! Charging's end of the seam: what SIP tells goes to the calls of the core, what they want goes back.
//!
//! The desk takes all that has happened since it looked last, and what has fallen due, hands it to the calls one after the other, writes
//! what they store in one batch, and only then says what they have said. Where that write fails, what was said is dropped, and the
//! calls that stored something end from what is stored.

use crate::courier::Courier;
use crate::switch::{Switch, SwitchError};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use std::time::Duration;
use tegata_core::PartyId;
use tegata_core::card::CallEnd;
use tegata_core::step::Event;
use tegata_core::talk::call::{SwitchCall, SwitchNotice};
use tegata_core::talk::journal::Through;
use tegata_core::talk::pay::Refusal;
use tegata_core::talk::reach::is_stand_in;
use tegata_device::{Now, PostError, TapStep, TerminalTap, UpdateError, UpdateStep, Updating};
use tegata_sip::reason::Reason;
use tegata_sip::{self as sip, At, Body, By, CallId, Command, Control, Number, Route, Shown, Side};
use tegata_vault::Vault;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many happenings are answered by one durable write, at most.
const AT_ONCE: usize = 512;
/// How long the desk waits, at most, before it looks again.
const LOOK: Duration = Duration::from_secs(1);
/// How long it waits, at most, until all phones have been told that their calls have ended, and how often it looks meanwhile.
const PARTING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(20));
/// What callers hear of a switch that is being stopped.
const STOPPED: &str = "The switch has been stopped";

/// A call as the desk knows it.
struct Line {
    tap: TerminalTap<SwitchCall>,
    to: Number,
    route: Route,
    shown_as: Shown,
    /// The number that was dialled, if it stands for somebody.
    stood_for: Option<Number>,
    /// What the caller said last: SIP may bring it twice.
    heard: Vec<u8>,
    answered: bool,
    /// When it looks again, as far as that is noted.
    due: Option<u64>,
    /// SIP has let go of it: nothing can be said any more.
    gone: bool,
}

/// What the desk has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Calls that asked for a tariff.
    pub asked: u64,
    /// Calls that have ended and are logged.
    pub ended: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Durable writes.
    pub writes: u64,
}

/// The desk.
pub struct Desk<V> {
    /// Its records and keys.
    pub switch: Switch<V>,
    /// The merchants whose trunks these are, by the trunks' names; the owner of the switch is paid for all others.
    pub operators: HashMap<String, PartyId>,
    /// The phones that may register at this switch: numbers that stand for somebody ring no other ones, whatever a device says.
    pub phones: HashSet<String>,
    /// Its line to the provider; without one it updates only when somebody else has it do so.
    pub courier: Option<Courier>,
    /// Seconds for which records of calls are kept; `None`: for ever.
    pub keep: Option<u64>,
    updating: Option<Updating>,
    lines: HashMap<CallId, Line>,
    due: BinaryHeap<Reverse<(u64, CallId)>>,
    out: Vec<Command>,
    /// Calls that were touched since the last write.
    touched: BTreeSet<CallId>,
    /// A call broke off: what is stored ends it.
    broke: bool,
    done: Done,
}

impl<V: Vault> Desk<V> {
    /// A desk with no calls.
    pub fn new(switch: Switch<V>) -> Self {
        Self {
            switch,
            operators: HashMap::new(),
            phones: HashSet::new(),
            courier: None,
            keep: None,
            updating: None,
            lines: HashMap::new(),
            due: BinaryHeap::new(),
            out: Vec::new(),
            touched: BTreeSet::new(),
            broke: false,
            done: Done::default(),
        }
    }
    /// What it has done.
    pub fn done(&self) -> Done {
        self.done
    }
    /// Serves calls until it is stopped, or SIP goes away, and updates as often as its courier says. Calls that are on as it is stopped end
    /// then.
    ///
    /// # Errors
    /// The vault cannot be read any more.
    pub async fn run(
        &mut self,
        sip: &sip::Switch,
        control: &mut Control,
        mut stop: watch::Receiver<bool>,
        clock: fn() -> Now,
    ) -> Result<(), SwitchError> {
        let mut updates = self.courier.as_ref().map(|courier| Instant::now() + courier.every);
        while !*stop.borrow() {
            let wait = self.wait(sip.now());
            let mut answer = None;
            let first = tokio::select! {
                event = control.events.recv() => match event {
                    Some(event) => Some(event),
                    None => return Ok(()),
                },
                brought = answered(&mut self.courier) => {
                    answer = Some(brought);
                    None
                }
                () = tokio::time::sleep(wait) => None,
                _ = stop.changed() => None,
            };
            let mut events: Vec<sip::Event> = first.into_iter().collect();
            while let Some(event) = (events.len() < AT_ONCE).then(|| control.events.try_recv().ok()).flatten() {
                events.push(event);
            }
            self.turn(events, sip.now(), clock)?;
            if let Some(answer) = answer
                && let Some(updating) = self.updating.take()
            {
                let step = self.switch.answered(updating, answer, clock());
                self.updates(step, sip.now(), clock);
            }
            if updates.is_some_and(|next| next <= Instant::now()) {
                updates = self.courier.as_ref().map(|courier| Instant::now() + courier.every);
                if self.updating.is_none() {
                    let step = Updating::meanwhile(&mut self.switch.device, clock());
                    self.updates(step, sip.now(), clock);
                }
            }
            for command in self.out.drain(..) {
                // SIP that has gone away is noticed above.
                let _ = control.commands.send(command);
            }
        }
        self.close(sip, control, clock).await
    }
    /// Ends all calls: what each cost is logged, and its caller told with the receipt. No phone is waited for that does not answer.
    async fn close(&mut self, sip: &sip::Switch, control: &mut Control, clock: fn() -> Now) -> Result<(), SwitchError> {
        let happened = std::iter::from_fn(|| control.events.try_recv().ok()).collect();
        let mut open = self.part(happened, sip.now(), clock)?;
        if open.is_empty() && self.out.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + PARTING.0;
        loop {
            for command in self.out.drain(..) {
                let _ = control.commands.send(command);
            }
            let told = open.is_empty() && sip.sizes().transactions == 0;
            if told || Instant::now() >= until {
                return Ok(());
            }
            tokio::select! {
                event = control.events.recv() => match event {
                    Some(sip::Event::Asked { call, .. }) => self.fail(call, 503, STOPPED),
                    Some(event) => {
                        if let sip::Event::Ended { call, .. } = &event {
                            open.remove(call);
                        }
                        self.happened(event, clock());
                    }
                    None => return Ok(()),
                },
                () = tokio::time::sleep(PARTING.1) => {}
            }
        }
    }
    /// Takes what has happened by now: whoever has hung up pays no longer, and what was said last is evidence. Then ends all calls that are
    /// on, and gives these.
    fn part(&mut self, happened: Vec<sip::Event>, now: At, clock: fn() -> Now) -> Result<HashSet<CallId>, SwitchError> {
        self.turn(happened, now, clock)?;
        let mut said = std::mem::take(&mut self.out);
        let open: HashSet<CallId> = self.lines.keys().copied().collect();
        self.ended_all(&open, now, clock)?;
        said.append(&mut self.out);
        self.out = said;
        Ok(open)
    }
    /// Ends these calls in one durable write.
    fn ended_all(&mut self, calls: &HashSet<CallId>, now: At, clock: fn() -> Now) -> Result<(), SwitchError> {
        self.written(clock, |desk| {
            for call in calls {
                desk.tell(*call, now, clock(), |call| call.ended(CallEnd::SwitchRestarted));
            }
        })?;
        let told: HashSet<CallId> = self.out.iter().map(Command::call).collect();
        for call in calls.difference(&told) {
            self.fail(*call, 503, STOPPED);
        }
        Ok(())
    }
    /// An update goes on, or has ended. With no network the switch goes on all the same; what waits goes up with the next one.
    fn updates(&mut self, step: Result<UpdateStep, UpdateError>, at: At, clock: fn() -> Now) {
        let done = match step {
            Ok(UpdateStep::Posts(updating, envelope)) => {
                let sent = self.courier.as_ref().is_some_and(|courier| courier.send(envelope));
                self.updating = sent.then_some(updating);
                Ok(())
            }
            Ok(UpdateStep::Done(_)) => self.switch.updated(clock().time, self.keep),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = done {
            tracing::info!(%error, "the log waits");
        }
        self.end_dead(at, clock);
    }
    /// How long nothing falls due.
    fn wait(&self, now: At) -> Duration {
        let next = self.due.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        Duration::from_millis(next.saturating_sub(now.0)).min(LOOK)
    }

    /// Everything that happened, in one durable write.
    fn turn(&mut self, events: Vec<sip::Event>, now: At, clock: fn() -> Now) -> Result<(), SwitchError> {
        self.written(clock, |desk| {
            for event in events {
                desk.happened(event, clock());
            }
            while desk.due.peek().is_some_and(|Reverse((at, _))| *at <= now.0) {
                let Some(Reverse((at, call))) = desk.due.pop() else { break };
                // Whatever fell due in the meantime is noted by itself.
                let noted = |line: &mut Line| line.due.take_if(|due| *due == at).is_some();
                if desk.lines.get_mut(&call).is_some_and(noted) {
                    desk.tell(call, now, clock(), |call| call);
                }
            }
        })
    }
    /// What this stores, in one durable write. Where that fails, nothing of it was said, and the calls end from what is stored.
    fn written(&mut self, clock: fn() -> Now, work: impl FnOnce(&mut Self)) -> Result<(), SwitchError> {
        self.switch.device.gather();
        work(self);
        let (written, touched) = (self.switch.device.write(), std::mem::take(&mut self.touched));
        let error = match written {
            Ok(written) => {
                self.done.writes += u64::from(written);
                return if std::mem::take(&mut self.broke) { self.end_others(clock()) } else { Ok(()) };
            }
            Err(error) => error,
        };
        tracing::error!(%error, "what {} calls stored is lost; they end", touched.len());
        self.out.clear();
        for call in &touched {
            self.lines.remove(call);
            self.fail(*call, 500, "The switch could not store");
        }
        self.end_others(clock())
    }
    /// Whatever is open in the records and on no line any more ends as it is stored (R8).
    fn end_others(&mut self, now: Now) -> Result<(), SwitchError> {
        let number = |line: &mut Line| line.tap.talking().look(SwitchCall::transaction).flatten();
        let held: HashSet<u64> = self.lines.values_mut().filter_map(number).collect();
        self.switch.end_others(&held, now).map(drop)
    }
    /// Ends the calls of cards that the list says are dead: what they are used for from here on nobody would be paid.
    fn end_dead(&mut self, at: At, clock: fn() -> Now) {
        let Ok(exchange) = self.switch.exchange() else { return };
        let dead = |(call, line): (&CallId, &mut Line)| {
            let (card, generation) = line.tap.talking().look(SwitchCall::card).flatten()?;
            exchange.anchors.is_dead(card, generation).then_some(*call)
        };
        let dead: Vec<CallId> = self.lines.iter_mut().filter_map(dead).collect();
        for call in dead {
            self.tell(call, at, clock(), |call| call.ended(CallEnd::CardBlocked));
        }
        self.touched.clear();
    }

    fn happened(&mut self, event: sip::Event, now: Now) {
        match event {
            sip::Event::Asked { call, caller, called, route, body, at } => {
                let shown_as = match caller {
                    sip::Caller::Phone(number) => Shown::As(number),
                    sip::Caller::Trunk { number, .. } => number.map_or(Shown::Anonymous, Shown::As),
                };
                self.asked(call, (called, route, shown_as), body, (at, now));
            }
            sip::Event::Body { call, from: Side::Caller, body, at } => self.heard(call, body, at, now),
            sip::Event::Answered { call, at } => {
                let mut over = None;
                if let Some(line) = self.lines.get_mut(&call) {
                    line.answered = true;
                    over = line.stood_for.take();
                }
                if let Some(Err(error)) = over.map(|number| self.switch.forget(number.as_str())) {
                    tracing::error!(%error, "a number may be called again");
                }
                self.tell(call, at, now, SwitchCall::answered);
            }
            // The receipt goes with what the caller is told.
            sip::Event::Ending { call, by, at } => {
                let Some(line) = self.lines.get(&call) else {
                    // Nobody pays for it: nothing is to be said.
                    let reason = Reason::new(200, "The call has ended");
                    return self.out.push(Command::HangUp { call, reason, body: None });
                };
                warn_of_trunk(line, &by);
                let how = how(&by, line.answered);
                self.tell(call, at, now, |call| call.ended_at(how, at.0));
            }
            sip::Event::Ended { call, by, at } => {
                let Some(line) = self.lines.get_mut(&call) else { return };
                line.gone = true;
                let how = how(&by, line.answered);
                self.tell(call, at, now, |call| call.ended_at(how, at.0));
            }
            sip::Event::Emergency { call, called, .. } => tracing::warn!("{call} for help, to {called}"),
            sip::Event::Body { .. } | sip::Event::Ringing { .. } => {}
        }
    }

    fn asked(
        &mut self,
        call: CallId,
        (called, route, shown_as): (Number, Route, Shown),
        body: Option<Body>,
        (at, now): (At, Now),
    ) {
        self.done.asked += 1;
        // The caller knows that number alone, and the callee no number at all (flow 21).
        let stood_for = self.switch.knows(called.as_str(), now.time).then(|| called.clone());
        let (to, route, shown_as) = match &stood_for {
            Some(number) => (self.phone_of(number, now), Route::Phone { contacts: 0 }, Shown::Anonymous),
            // It has rung, or its time is over: it is no number abroad that a trunk would lead to.
            None if is_stand_in(called.as_str()) => (called.clone(), Route::Unknown, Shown::Anonymous),
            None => (called.clone(), route, shown_as),
        };
        if route == Route::Unknown && self.phones.contains(to.as_str()) {
            return self.fail(call, 480, "That phone is off or away at the moment; nothing was charged");
        }
        if route == Route::Unknown {
            return self.refuse(call, Refusal::UnknownDestination, None);
        }
        if stood_for.is_some() && self.lines.values().any(|line| line.stood_for == stood_for) {
            return self.fail(call, 486, "Somebody is calling this number");
        }
        let Some(hello) = body else {
            return self.fail(call, 402, "This call is paid by a telephone card: dial with a wallet");
        };
        let through = match &route {
            Route::Trunk(trunk) => {
                let operator = self.operators.get(trunk).copied();
                Some(Through { trunk: trunk.clone(), operator, extensions: Default::default() })
            }
            Route::Phone { .. } | Route::Unknown => None,
        };
        let tap = match self.switch.tap(called.as_str()) {
            Ok(mut tap) => {
                tap.talking().tell(|call| call.through(through));
                tap
            }
            Err(error) => {
                tracing::warn!(%error, "nobody can call");
                return self.fail(call, 503, "The switch is not set up for calls");
            }
        };
        let heard = Vec::new();
        let line = Line { tap, to, route, shown_as, stood_for, heard, answered: false, due: None, gone: false };
        self.lines.insert(call, line);
        self.heard(call, hello, at, now);
    }
    /// The phone of this switch that a number stands for, or itself, which no phone has.
    fn phone_of(&self, number: &Number, now: Now) -> Number {
        let phone = self.switch.stands_for(number.as_str(), now.time).and_then(|phone| Number::read(&phone).ok());
        phone.filter(|phone| self.phones.contains(phone.as_str())).unwrap_or_else(|| number.clone())
    }

    /// The caller says something.
    fn heard(&mut self, call: CallId, Body(bytes): Body, at: At, now: Now) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        if std::mem::replace(&mut line.heard, bytes.clone()) == bytes {
            return;
        }
        self.touched.insert(call);
        line.tap.talking().tell(|call| call.at(at.0));
        match line.tap.receive(&bytes, now, &mut self.switch.device) {
            Ok(step) => self.after(call, step, (at, now)),
            Err(error) => {
                // What is paid stays paid: the call ends, and its end is logged.
                tracing::info!(%error, "{call}: the payment conversation broke");
                self.tell(call, at, now, |call| call.ended(CallEnd::NotAgreed));
                self.fail(call, 400, "The payment conversation broke");
            }
        }
    }
    /// Tells a call something that is no word, and lets it look.
    fn tell(&mut self, call: CallId, at: At, now: Now, change: impl FnOnce(SwitchCall) -> SwitchCall) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        self.touched.insert(call);
        line.tap.talking().tell(|call| change(call.at(at.0)));
        match line.tap.event(Event::Tick, now, &mut self.switch.device) {
            Ok(step) => self.after(call, step, (at, now)),
            Err(error) => tracing::warn!(%error, "{call}: nothing can be said"),
        }
    }

    /// Does what a call wants. The last frame of one that ends is the last word to its wallet.
    fn after(&mut self, call: CallId, step: TapStep<SwitchNotice>, (at, now): (At, Now)) {
        let TapStep { mut frames, notices } = step;
        for notice in notices {
            match notice {
                SwitchNotice::Proceed => {
                    if let Some(Line { to, route, shown_as, stood_for, .. }) = self.lines.get(&call) {
                        // Whoever it stands for may have gone elsewhere since it was dialled.
                        let to = stood_for.as_ref().map_or_else(|| to.clone(), |number| self.phone_of(number, now));
                        let (route, shown_as) = (route.clone(), shown_as.clone());
                        self.out.push(Command::Proceed { call, to, route, shown_as });
                    }
                }
                SwitchNotice::Warn(left) => {
                    let (left, body) = (Duration::from_millis(left), frames.pop().map(Body));
                    self.out.push(Command::Warn { call, left, body });
                }
                SwitchNotice::HangUp(how) => return self.tell(call, at, now, |call| call.ended(how)),
                SwitchNotice::Refused(why) => {
                    let word = (!frames.is_empty()).then(|| frames.remove(0));
                    self.refuse(call, why, word);
                    frames.clear();
                }
                SwitchNotice::Over(receipt) => {
                    self.done.ended += 1;
                    let body = frames.pop().map(Body);
                    if self.lines.remove(&call).is_some_and(|line| !line.gone) {
                        let reason = reason(receipt.ended);
                        self.out.push(Command::HangUp { call, reason, body });
                    }
                }
                SwitchNotice::Failed(fault) => {
                    tracing::error!(%fault, "{call} ends");
                    self.lines.remove(&call);
                    self.broke = true;
                    self.fail(call, 500, "The switch failed");
                }
            }
        }
        let Some(line) = self.lines.get_mut(&call) else { return };
        self.out.extend(frames.into_iter().map(|frame| Command::Tell { call, body: Body(frame) }));
        if line.tap.is_over() {
            self.lines.remove(&call);
        } else if let Some(due) = line.tap.talking().look(SwitchCall::due).flatten()
            && line.due.replace(due) != Some(due)
        {
            self.due.push(Reverse((due, call)));
        }
    }

    fn refuse(&mut self, call: CallId, why: Refusal, word: Option<Vec<u8>>) {
        self.done.refused += 1;
        let (status, text) = (status(why), why.advice().to_owned());
        self.out.push(Command::Refuse { call, status, text, body: word.map(Body) });
    }
    fn fail(&mut self, call: CallId, status: u16, text: &str) {
        self.done.refused += 1;
        self.out.push(Command::Refuse { call, status, text: text.to_owned(), body: None });
    }
}

/// Tells the operator of a network that does not take calls, or cannot be reached.
fn warn_of_trunk(line: &Line, by: &By) {
    if let (Route::Trunk(name), By::Callee { refused: Some(status @ (408 | 500..=599)) }) = (&line.route, by)
        && !line.answered
    {
        tracing::warn!("a call through trunk {name} was not connected: {status}; is the other network there?");
    }
}

/// How a call ended, by what SIP says.
fn how(by: &By, answered: bool) -> CallEnd {
    match (by, answered) {
        (By::Caller, true) => CallEnd::HungUp,
        (By::Caller, false) => CallEnd::Cancelled,
        (By::Callee { refused: Some(408 | 480) }, _) | (By::Switch(_), false) => CallEnd::NoAnswer,
        (By::Callee { refused: Some(486 | 600 | 603) }, _) => CallEnd::Busy,
        (By::Callee { refused: Some(_) }, _) | (By::Switch(_), true) => CallEnd::Failed,
        (By::Callee { refused: None }, _) => CallEnd::CalledHungUp,
        (By::Control, _) => CallEnd::NotAgreed,
    }
}

/// What the courier brings next; never, without one.
async fn answered(courier: &mut Option<Courier>) -> Result<Vec<u8>, PostError> {
    let Some(one) = courier else { return std::future::pending().await };
    match one.answer().await {
        Some(answer) => answer,
        None => {
            tracing::error!(
                "the line to the provider has broken down: start this switch again, or it soon takes no calls"
            );
            *courier = None;
            Err(PostError::Away("the other end of this switch's line".to_owned()))
        }
    }
}

/// The SIP status that says the same.
fn status(why: Refusal) -> u16 {
    match why {
        Refusal::Malformed => 400,
        Refusal::BeyondTerms | Refusal::TooLittle | Refusal::NotAccepted | Refusal::CertificateNeeded => 402,
        Refusal::UnknownDestination | Refusal::UnknownTransaction => 404,
        Refusal::ChargeExpired => 408,
        Refusal::OutOfOrder => 500,
        Refusal::TerminalStale => 503,
        Refusal::Declined => 603,
        _ => 403,
    }
}

/// What the caller's phone shows.
fn reason(how: CallEnd) -> Reason {
    match how {
        CallEnd::PaidTimeOver => Reason::new(402, "What was paid for is over"),
        CallEnd::NotAgreed => Reason::new(402, "The call was not agreed on"),
        CallEnd::SwitchRestarted => Reason::new(503, STOPPED),
        CallEnd::CardBlocked => Reason::new(status(Refusal::CardRevoked), Refusal::CardRevoked.advice()),
        _ => Reason::new(200, "The call has ended"),
    }
}

#[cfg(test)]
mod soak;
#[cfg(test)]
mod tests;
