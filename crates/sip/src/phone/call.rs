//! One call of a phone: a dialog, the words that wait to be said in it, and its session timer.

use super::proof::{Proved, prove};
use super::{PhoneConfig, PhoneEvent};
use crate::body::{ACCEPT, Content, Parts, SDP, essence, sdp};
use crate::call::of_body;
use crate::leg::{Home, Leg};
use crate::reason::Reason;
use crate::timer;
use crate::wire::transaction::{Asked, Heard, Way, acknowledge, ask, cancel_of};
use crate::wire::{self, Reply};
use crate::{Body, CallId};
use rsipstack::sip::{Header, HeadersExt as _, Method, Request, Response};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Words that are under way when somebody hangs up may take so long to arrive.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A goodbye that crosses one of our requests may take so long: a switch that has hung up knows the call no more, and says so on another
/// way than the one its BYE takes. Twice the time after which a BYE that was lost is sent again (RFC 3261, 17.1.2.2).
const GOODBYE: Duration = Duration::from_secs(1);
/// How often a word is said that the switch has taken for an old one.
const TRIES: u32 = 3;

/// What a phone's calls need.
pub(super) struct Common {
    pub config: PhoneConfig,
    pub home: Arc<Home>,
    pub told: UnboundedSender<PhoneEvent>,
    pub inputs: UnboundedSender<Input>,
}

/// What a phone hears from its own requests and answers.
pub(super) enum Input {
    /// Of a REGISTER.
    Registration(Response),
    /// Of a request of a call.
    Response { call: CallId, to: Purpose, response: Response },
    /// Of an INVITE that came.
    Heard { call: CallId, heard: Heard },
}

/// What a request of a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Setup,
    Word,
    Refresh,
    Bye,
    Cancel,
}

impl Common {
    pub(super) fn tell(&self, event: PhoneEvent) {
        // Whoever dropped the line is noticed by its commands.
        let _ = self.told.send(event);
    }

    fn ask(&self, call: CallId, to: Purpose, request: Request, way: Way) {
        let inputs = self.inputs.clone();
        ask(self.home.endpoint.clone(), request, way, move |response| {
            let _ = inputs.send(Input::Response { call, to, response });
        });
    }

    fn sdp(&self, offer: Option<&[u8]>) -> Vec<u8> {
        sdp::quiet(offer, self.home.address.ip())
    }
}

/// Our INVITE waits for its answer.
struct Calling {
    invite: Request,
    way: Way,
    proved: bool,
    /// Longer where the switch has asked for that, once.
    session: Duration,
    /// The switch has said something: a CANCEL may be sent (RFC 3261, 9.1).
    alive: bool,
    cancelled: bool,
    rung: bool,
    body: Option<Body>,
}

enum State {
    Calling(Box<Calling>),
    /// Somebody's INVITE waits for ours.
    Called(Box<Asked>),
    Talking,
    /// Our BYE waits for its answer.
    HungUp,
    Over,
}

/// A call.
pub(super) struct Call {
    id: CallId,
    leg: Leg,
    state: State,
    words: VecDeque<Body>,
    /// Said, not answered yet, and how often it was said.
    saying: Option<(Body, u32)>,
    /// What the last 183 said: it is said again until the switch hears something.
    early: Option<Body>,
    /// It shall end when all is said, at the latest then; with this last word.
    parting: Option<(Instant, Option<Body>)>,
    /// Whatever happens, it is over then.
    until: Option<Instant>,
    /// The switch does not know it any more: it is lost then, unless its goodbye comes first.
    lost: Option<Instant>,
}

impl Call {
    fn new(id: CallId, leg: Leg, state: State) -> Self {
        let (words, saying) = (VecDeque::new(), None);
        Self { id, leg, state, words, saying, early: None, parting: None, until: None, lost: None }
    }

    /// Calls somebody.
    pub(super) fn dial(common: &Common, id: CallId, mut leg: Leg, body: Option<Body>) -> Self {
        let (way, session) = (leg.way(), common.config.session);
        let invite = invite(common, &mut leg, body.clone(), session, None);
        common.ask(id, Purpose::Setup, invite.clone(), way.clone());
        let calling =
            Calling { invite, way, proved: false, session, alive: false, cancelled: false, rung: false, body };
        Self::new(id, leg, State::Calling(Box::new(calling)))
    }

    /// Somebody calls: it rings here.
    pub(super) fn incoming(common: &Common, id: CallId, leg: Leg, asked: Asked) -> Self {
        asked.progress(leg.reply(180, ""));
        let from = asked.request.from_header().and_then(|from| from.uri()).ok();
        let shown = from.filter(|uri| !uri.host().to_string().ends_with(".invalid"));
        let from = shown.and_then(|uri| wire::dialled(&uri).ok());
        common.tell(PhoneEvent::Incoming { call: id, from });
        Self::new(id, leg, State::Called(Box::new(asked)))
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// How requests of its dialog find it.
    pub(super) fn key(&self) -> &crate::leg::LegKey {
        self.leg.key()
    }

    fn over(&mut self, common: &Common, reason: Reason) {
        self.state = State::Over;
        common.tell(PhoneEvent::Ended { call: self.id, reason });
    }

    fn word(&self, common: &Common, body: Option<Body>) {
        if let Some(body) = body {
            common.tell(PhoneEvent::Word { call: self.id, body });
        }
    }

    // What the user wants.

    pub(super) fn say(&mut self, common: &Common, body: Body) {
        self.words.push_back(body);
        self.speak(common);
    }

    /// Says the next word, if the last one has arrived.
    fn speak(&mut self, common: &Common) {
        let heard = self.leg.stands() && self.lost.is_none();
        let open = matches!(self.state, State::Calling(_) | State::Talking) && heard;
        if self.saying.is_none()
            && open
            && let Some(body) = self.words.pop_front()
        {
            self.utter(common, body, 1);
        }
        if self.saying.is_none()
            && (self.words.is_empty() || !open)
            && let Some((_, body)) = self.parting.take()
        {
            self.part(common, body);
        }
    }

    fn utter(&mut self, common: &Common, body: Body, tries: u32) {
        let content = Parts { tegata: Some(body.clone()), ..Parts::default() }.write();
        let request = self.leg.request(Method::Info, content);
        self.saying = Some((body, tries));
        common.ask(self.id, Purpose::Word, request, self.leg.way());
    }

    pub(super) fn hang_up(&mut self, common: &Common, mut body: Option<Body>) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Called(asked) => {
                asked.answer(Reply::new(603, ""));
                return self.over(common, Reason::new(603, "Declined"));
            }
            state => self.state = state,
        }
        if matches!(self.state, State::Calling(_)) {
            // A CANCEL carries nothing: the last word goes before it.
            self.words.extend(body.take());
        }
        if matches!(self.state, State::Calling(_) | State::Talking) {
            self.parting = Some((Instant::now() + LAST_WORDS, body));
            self.speak(common);
        }
    }

    /// All is said: hangs up.
    fn part(&mut self, common: &Common, body: Option<Body>) {
        self.until = Some(Instant::now() + common.config.patience);
        match &mut self.state {
            State::Calling(calling) => {
                calling.cancelled = true;
                if calling.alive {
                    common.ask(self.id, Purpose::Cancel, cancel_of(&calling.invite), calling.way.clone());
                }
            }
            State::Talking => {
                self.bye(common, body);
                self.state = State::HungUp;
            }
            _ => {}
        }
    }

    fn bye(&mut self, common: &Common, body: Option<Body>) {
        let content = Parts { tegata: body, ..Parts::default() }.write();
        let request = self.leg.request(Method::Bye, content);
        common.ask(self.id, Purpose::Bye, request, self.leg.way());
    }

    pub(super) fn answer(&mut self, common: &Common) {
        let asked = match std::mem::replace(&mut self.state, State::Talking) {
            State::Called(asked) => asked,
            state => return self.state = state,
        };
        let kind = wire::content_type(&asked.request);
        let offer = Parts::read(kind, &asked.request.body).unwrap_or_default().sdp;
        let session = timer::asked(&asked.request, common.config.session, Duration::ZERO).ok();
        let mut reply = self.leg.reply(200, "").content(self.quiet(common, offer.as_deref()));
        if let Some(session) = session {
            reply = reply.header(Header::SessionExpires(session.in_answer().into()));
            if !session.ours {
                reply = reply.header(Header::Require("timer".into()));
            }
        }
        self.leg.session = session;
        asked.answer(reply);
        common.tell(PhoneEvent::Answered { call: self.id });
    }

    fn quiet(&self, common: &Common, offer: Option<&[u8]>) -> Option<Content> {
        Some(Content { kind: SDP.to_owned(), bytes: common.sdp(offer) })
    }

    // What comes of our requests.

    pub(super) async fn on_response(&mut self, common: &Common, to: Purpose, response: Response) {
        match to {
            Purpose::Setup => self.on_setup(common, response).await,
            Purpose::Word => self.on_said(common, &response),
            Purpose::Refresh => self.on_refreshed(common, &response),
            Purpose::Bye if response.status_code.code() >= 200 && matches!(self.state, State::HungUp) => {
                self.over(common, Reason::new(200, "Hung up"));
            }
            Purpose::Bye | Purpose::Cancel => {}
        }
    }

    async fn on_setup(&mut self, common: &Common, response: Response) {
        let State::Calling(calling) = &mut self.state else { return };
        let status = response.status_code.code();
        let parts = Parts::read(wire::content_type(&response), &response.body).unwrap_or_default();
        match status {
            100..=199 => {
                if !std::mem::replace(&mut calling.alive, true) && calling.cancelled {
                    common.ask(self.id, Purpose::Cancel, cancel_of(&calling.invite), calling.way.clone());
                }
                let rings = status == 180 && !std::mem::replace(&mut calling.rung, true);
                if status > 100 {
                    self.leg.learn(&response);
                    if parts.tegata.is_some() && self.early != parts.tegata {
                        self.early = parts.tegata.clone();
                        self.word(common, parts.tegata);
                    }
                }
                if rings {
                    common.tell(PhoneEvent::Ringing { call: self.id });
                }
                self.speak(common);
            }
            200..=299 => {
                let (invite, session, cancelled) = (calling.invite.clone(), calling.session, calling.cancelled);
                self.leg.learn(&response);
                let ack = self.leg.ack(&invite, None);
                acknowledge(&common.home.endpoint, &invite, ack, &self.leg.way()).await;
                self.leg.session = Some(timer::answered(&response, session));
                self.state = State::Talking;
                self.word(common, parts.tegata);
                if cancelled {
                    return self.part(common, None);
                }
                common.tell(PhoneEvent::Answered { call: self.id });
                self.speak(common);
            }
            401 | 407 => {
                let config = &common.config;
                let proof = prove(&response, &calling.invite, config.number.as_str(), &config.password, calling.proved);
                match proof {
                    Proved::With(header) if !calling.cancelled => {
                        calling.proved = true;
                        self.invite_again(common, Some(header));
                    }
                    Proved::With(_) => self.over(common, given_up()),
                    Proved::Not(why) => self.over(common, Reason::new(403, why)),
                }
            }
            422 if timer::at_least(&response) > calling.session && !calling.cancelled => {
                calling.session = timer::at_least(&response);
                calling.proved = false;
                self.invite_again(common, None);
            }
            _ => {
                let cancelled = calling.cancelled;
                self.word(common, parts.tegata);
                let gone =
                    matches!(status, 408 | 503) && response.wire_reason.is_none() && !calling_is_alive(&self.state);
                let reason = match status {
                    487 if cancelled => given_up(),
                    _ if gone => Reason::new(408, "The switch does not answer"),
                    _ => why(&response),
                };
                self.over(common, reason);
            }
        }
    }

    fn invite_again(&mut self, common: &Common, proof: Option<Header>) {
        let State::Calling(calling) = &mut self.state else { return };
        calling.alive = false;
        calling.invite = invite(common, &mut self.leg, calling.body.clone(), calling.session, proof);
        common.ask(self.id, Purpose::Setup, calling.invite.clone(), calling.way.clone());
    }

    fn on_said(&mut self, common: &Common, response: &Response) {
        let status = response.status_code.code();
        let Some((body, tries)) = self.saying.take_if(|_| status >= 200) else { return };
        match status {
            408 | 503 if response.wire_reason.is_none() => return self.lost(common),
            481 if matches!(self.state, State::Talking) => return self.lost(common),
            // An older request that had to be said again came after it.
            500..=599 if tries < TRIES && matches!(self.state, State::Calling(_) | State::Talking) => {
                return self.utter(common, body, tries + 1);
            }
            _ => {}
        }
        self.speak(common);
    }

    fn lost(&mut self, common: &Common) {
        match self.state {
            State::Talking => {
                self.lost.get_or_insert(Instant::now() + GOODBYE);
            }
            State::Over => {}
            _ => self.over(common, Reason::new(408, "The switch is gone")),
        }
    }

    fn on_refreshed(&mut self, common: &Common, response: &Response) {
        match response.status_code.code() {
            100..=199 => {}
            200..=299 => {
                let before = self.leg.session.map_or(common.config.session, |session| session.interval);
                self.leg.renew(response);
                self.leg.session = Some(timer::answered(response, before));
            }
            408 | 481 => self.lost(common),
            503 if response.wire_reason.is_none() => self.lost(common),
            // It lives, and wants to be asked later: the timer has been set for that.
            _ => {}
        }
    }

    // What the switch wants.

    pub(super) fn on_request(&mut self, common: &Common, asked: Asked) {
        if !self.leg.in_order(&asked.request) {
            return asked.answer(Reply::new(500, "An older request came after a newer one"));
        }
        let parts = match Parts::read(wire::content_type(&asked.request), &asked.request.body) {
            Ok(parts) => parts,
            Err(error) => return asked.answer(of_body(&error)),
        };
        match asked.request.method {
            Method::Bye => self.on_bye(common, asked, parts),
            Method::Info => {
                asked.answer(Reply::new(200, ""));
                self.word(common, parts.tegata);
                if let Some(other) = parts.other.filter(|other| essence(&other.kind) == "text/plain") {
                    let text = crate::reason::phrase(&String::from_utf8_lossy(&other.bytes));
                    common.tell(PhoneEvent::Text { call: self.id, text });
                }
            }
            Method::Invite | Method::Update if matches!(self.state, State::Talking) => {
                self.on_offer(common, asked, parts)
            }
            Method::Invite | Method::Update => {
                asked.answer(Reply::new(500, "Not before the answer").header(Header::RetryAfter("2".into())));
            }
            Method::Options => {
                let reply = self.leg.reply(200, "").header(Header::Accept(ACCEPT.into()));
                asked.answer(reply);
            }
            _ => asked.answer(Reply::new(405, "").header(Header::Allow(common.home.allow.into()))),
        }
    }

    fn on_bye(&mut self, common: &Common, asked: Asked, parts: Parts) {
        let reason = asked.request.headers.iter().find_map(|header| match header {
            Header::Reason(reason) => Reason::read(reason.value()),
            _ => None,
        });
        asked.answer(Reply::new(200, ""));
        self.word(common, parts.tegata);
        if let State::Called(invite) = std::mem::replace(&mut self.state, State::Over) {
            invite.answer(Reply::new(487, ""));
        }
        self.over(common, reason.unwrap_or_else(|| Reason::new(200, "The other side hung up")));
    }

    /// A refresh, or another offer: what is answered is inactive again.
    fn on_offer(&mut self, common: &Common, asked: Asked, parts: Parts) {
        self.leg.renew(&asked.request);
        self.leg.session = timer::asked(&asked.request, common.config.session, Duration::ZERO).ok();
        let mut reply = self.leg.reply(200, "");
        if let Some(session) = &self.leg.session {
            reply = reply.header(Header::SessionExpires(session.in_answer().into()));
        }
        if parts.sdp.is_some() || asked.request.method == Method::Invite {
            reply = reply.content(self.quiet(common, parts.sdp.as_deref()));
        }
        asked.answer(reply);
        self.word(common, parts.tegata);
    }

    /// What is heard of an INVITE that came.
    pub(super) fn on_heard(&mut self, common: &Common, heard: Heard) {
        match (std::mem::replace(&mut self.state, State::Over), heard) {
            (State::Called(asked), Heard::Cancel) => {
                asked.answer(Reply::new(487, ""));
                self.over(common, Reason::new(487, "The caller gave up"));
            }
            (State::Talking, Heard::Silence) => {
                self.bye(common, None);
                self.over(common, Reason::new(408, "The switch is gone"));
            }
            (state, Heard::Ack(ack)) => {
                self.state = state;
                let parts = Parts::read(wire::content_type(&*ack), &ack.body).unwrap_or_default();
                self.word(common, parts.tegata);
            }
            (state, Heard::Cancel | Heard::Silence) => self.state = state,
        }
    }

    // Time.

    /// When it wants to look.
    pub(super) fn next(&self) -> Option<Instant> {
        let session = self.leg.session.filter(|_| matches!(self.state, State::Talking)).map(|session| session.next().0);
        let parting = self.parting.as_ref().map(|(at, _)| *at);
        [session, parting, self.until, self.lost].into_iter().flatten().min()
    }

    pub(super) fn due(&mut self, common: &Common, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            let given = if matches!(self.state, State::Calling(_)) { given_up() } else { Reason::new(200, "Hung up") };
            return self.over(common, given);
        }
        if self.lost.is_some_and(|lost| lost <= now) {
            return self.over(common, Reason::new(408, "The switch is gone"));
        }
        if let Some((_, body)) = self.parting.take_if(|(at, _)| *at <= now) {
            self.part(common, body);
        }
        let Some(session) = self.leg.session.filter(|_| matches!(self.state, State::Talking)) else { return };
        match session.next() {
            (at, timer::Due::Refresh) if at <= now => {
                let mut request = self.leg.request(Method::Update, None);
                request.headers.push(Header::SessionExpires(session.in_request().into()));
                common.ask(self.id, Purpose::Refresh, request, self.leg.way());
                self.leg.session = Some(timer::Session { since: now, ..session });
            }
            (at, timer::Due::Expire) if at <= now => {
                self.bye(common, None);
                self.over(common, Reason::new(408, "The switch is gone"));
            }
            _ => {}
        }
    }
}

fn calling_is_alive(state: &State) -> bool {
    matches!(state, State::Calling(calling) if calling.alive)
}

fn given_up() -> Reason {
    Reason::new(487, "Given up")
}

fn invite(common: &Common, leg: &mut Leg, tegata: Option<Body>, session: Duration, proof: Option<Header>) -> Request {
    let content = Parts { sdp: Some(common.sdp(None)), tegata, other: None }.write();
    let mut invite = leg.request(Method::Invite, content);
    // Whoever calls keeps its own call alive, and notices when nobody is there any more.
    invite.headers.push(Header::SessionExpires(format!("{};refresher=uac", session.as_secs().max(1)).into()));
    invite.headers.extend(proof.into_iter().collect());
    invite
}

/// Why something was refused, in the switch's words.
pub(super) fn why(response: &Response) -> Reason {
    let said = response.headers.iter().find_map(|header| match header {
        Header::Reason(reason) => Reason::read(reason.value()),
        _ => None,
    });
    let status = &response.status_code;
    said.unwrap_or_else(|| match &response.wire_reason {
        Some(text) => Reason::new(status.code(), text),
        None => Reason::new(status.code(), status.text()),
    })
}
