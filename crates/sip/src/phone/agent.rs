//! The one task of a phone: hears commands, requests, answers and time in turn, and hands each to its registration or its call.

use super::call::{Call, Common, Input};
use super::registration::{Came, Registration, transport};
use super::{PhoneCommand, PhoneConfig, PhoneEvent};
use crate::leg::{self, Destination, Home, Leg};
use crate::reason::Reason;
use crate::wire::transaction::{Asked, Heard, Way, answer, ask};
use crate::wire::{self, Reply};
use crate::{CallId, Number};
use rsipstack::sip::{Header, HeadersExt as _, Method, Request, Uri};
use rsipstack::transaction::{Transaction, TransactionReceiver};
use rsipstack::transport::SipAddr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// Everything that a phone is.
pub(super) struct Agent {
    common: Common,
    heard: UnboundedReceiver<Input>,
    registration: Registration,
    /// When it registers again.
    register: Option<Instant>,
    calls: BTreeMap<CallId, Call>,
    begun: u64,
    leaving: Option<Leaving>,
}

/// A phone that says goodbye.
struct Leaving {
    until: Instant,
    forgotten: bool,
}

impl Agent {
    pub(super) fn new(config: PhoneConfig, home: Arc<Home>, told: UnboundedSender<PhoneEvent>) -> Self {
        let (inputs, heard) = unbounded_channel();
        let registration = Registration::new(&home, config.expires);
        Self {
            common: Common { config, home, told, inputs },
            heard,
            registration,
            register: Some(Instant::now()),
            calls: BTreeMap::new(),
            begun: 0,
            leaving: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut incoming: TransactionReceiver,
        mut commands: UnboundedReceiver<PhoneCommand>,
        leave: CancellationToken,
    ) {
        loop {
            self.calls.retain(|_, call| !call.is_over());
            if self.leaving.as_ref().is_some_and(|leaving| leaving.is_done(self.calls.is_empty())) {
                return;
            }
            let when = self.next();
            tokio::select! {
                biased;
                input = self.heard.recv() => match input {
                    Some(input) => self.on(input).await,
                    None => return,
                },
                () = leave.cancelled(), if self.leaving.is_none() => self.leave(),
                command = commands.recv(), if self.leaving.is_none() => match command {
                    Some(command) => self.command(command),
                    None => self.leave(),
                },
                request = incoming.recv() => match request {
                    Some(tx) => self.take(tx),
                    None => return,
                },
                () = tokio::time::sleep_until(when.into()) => self.due(),
            }
        }
    }

    fn next(&self) -> Instant {
        let calls = self.calls.values().filter_map(Call::next);
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        let next = calls.chain(self.register).chain(leaving).min();
        next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    fn due(&mut self) {
        let now = Instant::now();
        if self.register.take_if(|at| *at <= now).is_some() {
            let request = self.registration.ask(&self.common.home, &self.common.config, true);
            self.send_registration(request);
        }
        for call in self.calls.values_mut() {
            call.due(&self.common, now);
        }
    }

    fn send_registration(&self, request: Request) {
        let inputs = self.common.inputs.clone();
        ask(self.common.home.endpoint.clone(), request, self.way(), move |response| {
            let _ = inputs.send(Input::Registration(response));
        });
    }

    fn way(&self) -> Way {
        let address = SipAddr { r#type: Some(transport(&self.common.config)), addr: self.common.config.switch.into() };
        Way { address, stream: None }
    }

    /// Hangs up, and takes the registration back.
    fn leave(&mut self) {
        self.register = None;
        for call in self.calls.values_mut() {
            call.hang_up(&self.common, None);
        }
        let request = self.registration.ask(&self.common.home, &self.common.config, false);
        self.send_registration(request);
        self.leaving = Some(Leaving { until: Instant::now() + self.common.config.patience, forgotten: false });
    }

    async fn on(&mut self, input: Input) {
        match input {
            Input::Registration(response) => {
                let came = self.registration.answered(&self.common.home, &self.common.config, &response);
                self.registered(came);
            }
            Input::Response { call, to, response } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.on_response(&self.common, to, response).await;
                }
            }
            Input::Heard { call, heard } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.on_heard(&self.common, heard);
                }
            }
        }
    }

    fn registered(&mut self, came: Came) {
        match (came, &mut self.leaving) {
            (Came::Waits, _) => {}
            (Came::Send(request), _) => self.send_registration(*request),
            (Came::Known(..) | Came::Failed(..), Some(leaving)) => leaving.forgotten = true,
            (Came::Known(known, refresh), None) => {
                self.register = Some(Instant::now() + refresh);
                self.common.tell(PhoneEvent::Registered(known));
            }
            (Came::Failed(why, pause), None) => {
                self.register = Some(Instant::now() + pause);
                self.common.tell(PhoneEvent::NotRegistered(why));
            }
        }
    }

    fn command(&mut self, command: PhoneCommand) {
        let common = &self.common;
        let mut with = |call: &CallId, act: &mut dyn FnMut(&mut Call)| {
            if let Some(call) = self.calls.get_mut(call) {
                act(call);
            }
        };
        match command {
            PhoneCommand::Dial { to, body } => self.dial(to, body),
            PhoneCommand::Say { call, body } => with(&call, &mut |call| call.say(common, body.clone())),
            PhoneCommand::HangUp { call, body } => with(&call, &mut |call| call.hang_up(common, body.clone())),
            PhoneCommand::Answer { call } => with(&call, &mut |call| call.answer(common)),
            PhoneCommand::Decline { call } => with(&call, &mut |call| call.hang_up(common, None)),
        }
    }

    fn new_id(&mut self) -> CallId {
        self.begun += 1;
        CallId(self.begun)
    }

    fn dial(&mut self, to: Number, body: Option<crate::Body>) {
        let id = self.new_id();
        self.common.tell(PhoneEvent::Dialled { call: id, to: to.clone() });
        if self.calls.len() >= self.common.config.lines {
            let reason = Reason::new(486, "This phone is in another call");
            return self.common.tell(PhoneEvent::Ended { call: id, reason });
        }
        let (home, config) = (&self.common.home, &self.common.config);
        let switch = config.switch.ip().to_string();
        let sides =
            (format!("<{}>", leg::address(&config.number, &switch)), format!("<{}>", leg::address(&to, &switch)));
        let uri = Uri::try_from(leg::address(&to, &config.switch.to_string()).as_str()).unwrap_or_default();
        let to = Destination { number: to, uri, way: self.way(), translated: true };
        let leg = Leg::to_callee(home, &to, sides, 70, leg::new_key(&home.host()), None);
        self.calls.insert(id, Call::dial(&self.common, id, leg, body));
    }

    /// A request of somebody.
    fn take(&mut self, tx: Transaction) {
        let from = tx.connection.as_ref().and_then(|connection| connection.get_remote_addr()?.get_socketaddr().ok());
        if from != Some(self.common.config.switch) {
            return answer(tx, Reply::new(403, "This phone hears its switch alone"));
        }
        let request = &tx.original;
        let tag = request.to_header().ok().and_then(|to| to.tag().ok().flatten());
        if let Some(tag) = tag.filter(|tag| !tag.value().is_empty()) {
            let key = leg::key_of(request, tag.value());
            let found = self.calls.iter_mut().find(|(_, call)| key.as_ref() == Some(call.key()));
            return match found {
                Some((id, call)) => {
                    let heard = heard(&self.common, *id);
                    if let Some(asked) = Asked::take(tx, call.key().1.clone(), heard) {
                        call.on_request(&self.common, asked);
                    }
                }
                None => answer(tx, Reply::new(481, "")),
            };
        }
        match request.method {
            Method::Invite => self.invited(tx),
            Method::Options => {
                let allow = Header::Allow(self.common.home.allow.into());
                answer(tx, Reply::new(200, "").header(allow));
            }
            Method::Bye | Method::Info | Method::Update => answer(tx, Reply::new(481, "")),
            _ => answer(tx, Reply::new(405, "").header(Header::Allow(self.common.home.allow.into()))),
        }
    }

    fn invited(&mut self, tx: Transaction) {
        if self.leaving.is_some() {
            return answer(tx, Reply::new(480, ""));
        }
        if self.calls.len() >= self.common.config.lines {
            return answer(tx, Reply::new(486, ""));
        }
        let id = self.new_id();
        let tag = wire::random(10);
        let Some(asked) = Asked::take(tx, tag.clone(), heard(&self.common, id)) else { return };
        let key = leg::key_of(&asked.request, &tag);
        let leg =
            key.and_then(|key| Leg::of_caller(&self.common.home, &asked.request, &asked.connection, key, true, None));
        match leg {
            Some(leg) => {
                self.calls.insert(id, Call::incoming(&self.common, id, leg, asked));
            }
            None => asked.answer(Reply::new(400, "Bad Request: Contact is missing or no sip address")),
        }
    }
}

fn heard(common: &Common, call: CallId) -> impl Fn(Heard) + Send + 'static {
    let inputs = common.inputs.clone();
    move |heard| {
        let _ = inputs.send(Input::Heard { call, heard });
    }
}

impl Leaving {
    fn is_done(&self, silent: bool) -> bool {
        (self.forgotten && silent) || self.until <= Instant::now()
    }
}
