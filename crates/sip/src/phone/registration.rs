//! Where a phone can be found: told to its switch, again before that runs out, and taken back at the end (RFC 3261, 10.2).

use super::PhoneConfig;
use super::proof::{Proved, prove};
use crate::config::Transport;
use crate::leg::{self, Home};
use crate::reason::Reason;
use crate::wire;
use rsipstack::sip::{self, Header, HeadersExt as _, Method, Request, Response, Uri};
use std::time::Duration;

/// First and longest pause before a registration that failed is tried again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A stream on which nothing passes for five minutes is closed by the stack.
const STREAM: Duration = Duration::from_secs(240);

/// What comes of an answer.
pub(super) enum Came {
    /// Nothing yet.
    Waits,
    /// This is to be sent.
    Send(Box<Request>),
    /// Known, for so long; refreshed after the second.
    Known(Duration, Duration),
    /// Not known; tried again after this.
    Failed(Reason, Duration),
}

/// A phone's registration.
pub(super) struct Registration {
    call: String,
    tag: String,
    sequence: u32,
    expires: Duration,
    /// The request that is under way, and whether it carries a proof.
    sent: Option<(Request, bool)>,
    pause: Duration,
}

impl Registration {
    pub(super) fn new(home: &Home, expires: Duration) -> Self {
        let (call, tag) = leg::new_key(&home.host());
        Self { call, tag, sequence: 0, expires, sent: None, pause: AGAIN.0 }
    }

    /// Asks to be known, or to be known no more.
    pub(super) fn ask(&mut self, home: &Home, config: &PhoneConfig, known: bool) -> Request {
        let expires = if known { self.expires } else { Duration::ZERO };
        let request = self.request(home, config, expires, None);
        self.sent = Some((request.clone(), false));
        request
    }

    fn request(&mut self, home: &Home, config: &PhoneConfig, expires: Duration, proof: Option<Header>) -> Request {
        self.sequence += 1;
        let host = config.switch.ip().to_string();
        let transport = transport(config);
        let mut headers: Vec<Header> = Vec::new();
        if let Ok(via) = home.endpoint.get_via(Some(home.address(transport)), None) {
            headers.push(Header::Via(via.into()));
        }
        let own = leg::address(&config.number, &host);
        headers.push(Header::MaxForwards("70".into()));
        headers.push(Header::From(format!("<{own}>;tag={}", self.tag).into()));
        headers.push(Header::To(format!("<{own}>").into()));
        headers.push(Header::CallId(self.call.clone().into()));
        headers.push(Header::CSeq(format!("{} REGISTER", self.sequence).into()));
        headers.push(Header::Contact(format!("<{}>;expires={}", home.contact(transport), expires.as_secs()).into()));
        headers.push(Header::Allow(home.allow.into()));
        headers.extend(proof);
        let mut request = Request {
            method: Method::Register,
            uri: Uri::try_from(format!("sip:{host}").as_str()).unwrap_or_default(),
            version: sip::Version::V2,
            headers: headers.into(),
            body: Vec::new(),
        };
        wire::fill(&mut request.headers.0, &mut request.body, None);
        request
    }

    /// The switch has answered.
    pub(super) fn answered(&mut self, home: &Home, config: &PhoneConfig, response: &Response) -> Came {
        let status = response.status_code.code();
        let Some((sent, proved)) = self.sent.take().filter(|_| status >= 200) else { return Came::Waits };
        match status {
            200..=299 => {
                self.pause = AGAIN.0;
                let known = granted(response, home, config).unwrap_or(self.expires);
                let refresh = if config.transport == Transport::Tcp { (known / 2).min(STREAM) } else { known / 2 };
                Came::Known(known, refresh.max(Duration::from_millis(500)))
            }
            401 | 407 => match prove(response, &sent, config.number.as_str(), &config.password, proved) {
                Proved::With(header) => {
                    let expires = wanted(&sent).unwrap_or(self.expires);
                    let request = self.request(home, config, expires, Some(header));
                    self.sent = Some((request.clone(), true));
                    Came::Send(Box::new(request))
                }
                Proved::Not(why) => self.failed(Reason::new(403, why)),
            },
            423 if least(response).is_some_and(|least| least > self.expires) => {
                self.expires = least(response).unwrap_or(self.expires);
                Came::Send(Box::new(self.ask(home, config, true)))
            }
            408 | 503 if response.wire_reason.is_none() => {
                self.failed(Reason::new(status, "The switch does not answer"))
            }
            _ => self.failed(super::call::why(response)),
        }
    }

    fn failed(&mut self, why: Reason) -> Came {
        let pause = self.pause;
        self.pause = (pause * 2).min(AGAIN.1);
        Came::Failed(why, pause)
    }
}

/// Over what the stack speaks to the switch.
pub(super) fn transport(config: &PhoneConfig) -> sip::Transport {
    match config.transport {
        Transport::Udp => sip::Transport::Udp,
        Transport::Tcp => sip::Transport::Tcp,
    }
}

fn wanted(request: &Request) -> Option<Duration> {
    let contacts = request.typed_contact_headers().ok()?;
    contacts.first()?.expires().map(|seconds| Duration::from_secs(seconds.into()))
}

/// For how long the switch knows this phone, by what it lists.
fn granted(response: &Response, home: &Home, config: &PhoneConfig) -> Option<Duration> {
    let own = home.contact(transport(config));
    let contacts = response.typed_contact_headers().ok()?;
    let mine = contacts.iter().find(|contact| contact.uri.host_with_port == own.host_with_port)?;
    mine.expires().map(|seconds| Duration::from_secs(seconds.into()))
}

fn least(response: &Response) -> Option<Duration> {
    response.headers.iter().find_map(|header| match header {
        Header::MinExpires(least) => least.value().trim().parse().ok().map(Duration::from_secs),
        _ => None,
    })
}
