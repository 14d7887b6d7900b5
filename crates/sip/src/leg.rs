//! One side of a call: a dialog (RFC 3261, 12) with its own Call-ID, tags and addresses. Nothing of a leg is ever copied
//! to the other one but bodies, and statuses. A phone's calls are legs as well, with nobody behind them.

use crate::Number;
use crate::body::Content;
use crate::call::Input;
use crate::seam::Side;
use crate::switch::Shared;
use crate::timer::Session;
use crate::wire::transaction::Way;
use crate::wire::{self, Reply};
use rsipstack::sip::{Header, HeadersExt, Method, Request, Response, Uri, prelude::ToTypedHeader as _, uri};
use rsipstack::sip::{Transport, typed};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transport::{SipAddr, SipConnection};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// Which leg of a call: the caller's, or one of those that ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegId {
    Caller,
    Callee(usize),
}

impl LegId {
    /// On which side of the call it is.
    pub(crate) fn side(self) -> Side {
        match self {
            Self::Caller => Side::Caller,
            Self::Callee(_) => Side::Callee,
        }
    }
}

/// How requests of a dialog find its leg: Call-ID and our tag.
pub(crate) type LegKey = (String, String);

/// Whoever is in a dialog: a switch, or a phone.
pub(crate) struct Home {
    pub endpoint: EndpointInnerRef,
    /// Where it is found.
    pub address: SocketAddr,
    /// What it is called there, where that matters.
    pub user: Option<Number>,
    /// Methods that it takes.
    pub allow: &'static str,
}

impl Home {
    /// What it is called in addresses.
    pub(crate) fn host(&self) -> String {
        self.address.ip().to_string()
    }

    /// Where it is found over this transport.
    pub(crate) fn address(&self, transport: Transport) -> SipAddr {
        let own = |transport| SipAddr { r#type: Some(transport), addr: self.address.into() };
        own(if transport == Transport::Tcp { Transport::Tcp } else { Transport::Udp })
    }

    /// What it says of itself in `Contact`.
    pub(crate) fn contact(&self, transport: Transport) -> Uri {
        let mut uri: Uri = (&self.address(transport)).into();
        uri.auth = self.user.as_ref().map(|user| uri::Auth { user: user.as_str().to_owned(), password: None });
        uri
    }
}

/// Takes the leg out of the switch's list when it is over, whatever way it ends.
pub(crate) struct Listed {
    shared: Arc<Shared>,
    key: LegKey,
}

impl Listed {
    /// From now on requests of this dialog come to this call.
    pub(crate) fn new(shared: &Arc<Shared>, key: &LegKey, id: LegId, inputs: &UnboundedSender<Input>) -> Self {
        shared.registry().legs.insert(key.clone(), (id, inputs.clone()));
        Self { shared: shared.clone(), key: key.clone() }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.registry().legs.remove(&self.key);
    }
}

/// A dialog.
pub(crate) struct Leg {
    home: Arc<Home>,
    key: LegKey,
    /// Where it is in a switch's list.
    _listed: Option<Listed>,
    /// Our address as the peer sees it, without tag.
    local: String,
    /// The peer's, without tag.
    remote: String,
    peer_tag: Option<String>,
    sequence: u32,
    peer_sequence: u32,
    target: Uri,
    routes: Vec<String>,
    /// Where the first request goes, or came from.
    flow: SipAddr,
    stream: Option<SipConnection>,
    /// A phone behind a translator of addresses: what it calls its contact cannot be reached.
    translated: bool,
    hops: u8,
    /// The peer takes UPDATE.
    pub update: bool,
    /// What the peer was last told of the other side's media.
    pub sdp: Option<Vec<u8>>,
    pub session: Option<Session>,
}

impl Leg {
    /// The leg of whoever sent this INVITE, whose key is [`key_of`]. `None` where it names no contact.
    pub(crate) fn of_caller(
        home: &Arc<Home>,
        invite: &Request,
        connection: &SipConnection,
        key: LegKey,
        translated: bool,
        listed: Option<Listed>,
    ) -> Option<Self> {
        let from = invite.from_header().ok()?;
        let peer_tag = from.tag().ok().flatten().map(|tag| tag.value().to_owned());
        let mut leg = Self {
            home: home.clone(),
            key,
            _listed: listed,
            local: invite.to_header().ok()?.value().to_owned(),
            remote: without_tag(&from.typed().ok()?),
            peer_tag,
            sequence: 0,
            peer_sequence: wire::sequence(invite),
            target: Uri::default(),
            routes: routes(&invite.record_route_headers().iter().map(|route| route.value()).collect::<Vec<_>>()),
            flow: connection.get_remote_addr()?.clone(),
            stream: connection.is_reliable().then(|| connection.clone()),
            translated,
            hops: hops(invite)?,
            update: takes_update(invite),
            sdp: None,
            session: None,
        };
        leg.retarget(&invite.typed_contact_headers().ok()?);
        (leg.target != Uri::default()).then_some(leg)
    }

    /// A leg to somebody who is called. `local` is what whoever calls says of itself.
    pub(crate) fn to_callee(
        home: &Arc<Home>,
        to: &Destination,
        (local, remote): (String, String),
        hops: u8,
        key: LegKey,
        listed: Option<Listed>,
    ) -> Self {
        Self {
            home: home.clone(),
            key,
            _listed: listed,
            local,
            remote,
            peer_tag: None,
            sequence: 0,
            peer_sequence: 0,
            target: to.uri.clone(),
            routes: Vec::new(),
            flow: to.way.address.clone(),
            stream: to.way.stream.clone(),
            translated: to.translated,
            hops,
            update: false,
            sdp: None,
            session: None,
        }
    }

    /// Our tag in this dialog.
    pub(crate) fn tag(&self) -> &str {
        &self.key.1
    }

    /// How requests of this dialog find it.
    pub(crate) fn key(&self) -> &LegKey {
        &self.key
    }

    /// The other side has named itself: requests inside the dialog can be sent.
    pub(crate) fn stands(&self) -> bool {
        self.peer_tag.is_some()
    }

    /// The address that its SIP comes from; `None`: it is known by name.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.flow.get_socketaddr().ok().map(|from| from.ip().to_canonical())
    }

    /// Hops that are left for a request that goes on from here.
    pub(crate) fn hops(&self) -> u8 {
        self.hops
    }

    /// The next request of this dialog.
    pub(crate) fn request(&mut self, method: Method, content: Option<Content>) -> Request {
        self.sequence += 1;
        self.numbered(method, self.sequence, content)
    }

    /// The ACK of an INVITE of ours that was accepted.
    pub(crate) fn ack(&self, invite: &Request, content: Option<Content>) -> Request {
        self.numbered(Method::Ack, wire::sequence(invite), content)
    }

    fn numbered(&self, method: Method, sequence: u32, content: Option<Content>) -> Request {
        let ours = self.home.address(self.transport());
        let mut headers: Vec<Header> = Vec::new();
        if let Ok(via) = self.home.endpoint.get_via(Some(ours), None) {
            headers.push(Header::Via(via.into()));
        }
        headers.push(Header::MaxForwards(self.hops.to_string().into()));
        headers.push(Header::From(format!("{};tag={}", self.local, self.tag()).into()));
        let to = match &self.peer_tag {
            Some(tag) => format!("{};tag={tag}", self.remote),
            None => self.remote.clone(),
        };
        headers.push(Header::To(to.into()));
        headers.push(Header::CallId(self.key.0.clone().into()));
        headers.push(Header::CSeq(format!("{sequence} {method}").into()));
        headers.extend(self.routes.iter().map(|route| Header::Route(route.as_str().into())));
        if !matches!(method, Method::Ack | Method::Bye) {
            headers.push(self.contact());
            headers.push(Header::Allow(self.home.allow.into()));
            headers.push(Header::Supported("timer".into()));
        }
        let mut request = Request {
            method,
            uri: self.target.clone(),
            version: rsipstack::sip::Version::V2,
            headers: headers.into(),
            body: Vec::new(),
        };
        wire::fill(&mut request.headers.0, &mut request.body, content);
        request
    }

    /// An answer that sets up or changes this dialog.
    pub(crate) fn reply(&self, status: u16, text: &str) -> Reply {
        Reply::new(status, text)
            .header(self.contact())
            .header(Header::Allow(self.home.allow.into()))
            .header(Header::Supported("timer".into()))
    }

    fn contact(&self) -> Header {
        Header::Contact(format!("<{}>", self.home.contact(self.transport())).into())
    }

    fn transport(&self) -> Transport {
        self.way().address.r#type.unwrap_or_default()
    }

    /// Where requests of this dialog go.
    pub(crate) fn way(&self) -> Way {
        let uri = match self.routes.first().map(|route| typed::Route::parse(route)) {
            Some(Ok(route)) => Some(route.uri),
            _ if self.peer_tag.is_some() && !self.translated => Some(self.target.clone()),
            _ => None,
        };
        let address = uri.and_then(|uri| SipAddr::try_from(&uri).ok()).unwrap_or_else(|| self.flow.clone());
        Way { address, stream: self.stream.clone() }
    }

    /// The dialog as a response to our INVITE made it, or made it anew.
    pub(crate) fn learn(&mut self, response: &Response) {
        let first = self.peer_tag.is_none();
        if let Some(tag) = response.to_header().ok().and_then(|to| to.tag().ok().flatten()) {
            self.peer_tag = Some(tag.value().to_owned());
        }
        if first || response.status_code.code() >= 200 {
            let recorded: Vec<&str> = response.record_route_headers().iter().map(|route| route.value()).collect();
            if !recorded.is_empty() || first {
                self.routes = routes(&recorded);
                self.routes.reverse();
            }
        }
        self.renew(response);
    }

    /// What a message inside the dialog changes of it: the contact, and what the peer can do.
    pub(crate) fn renew(&mut self, message: &impl HeadersExt) {
        if let Ok(contacts) = message.typed_contact_headers() {
            self.retarget(&contacts);
        }
        self.update |= takes_update(message);
    }

    fn retarget(&mut self, contacts: &[typed::Contact]) {
        let Some(contact) = contacts.first().filter(|contact| contact.uri.scheme == Some(rsipstack::sip::Scheme::Sip))
        else {
            return;
        };
        self.target = contact.uri.clone();
        // The stack escapes what it writes, but leaves escapes alone in what it reads.
        if let (Some(auth), Ok(number)) = (&mut self.target.auth, Number::read(contact.uri.user().unwrap_or_default()))
        {
            auth.user = number.as_str().to_owned();
        }
        if self.translated && self.routes.is_empty() {
            self.target.host_with_port = self.flow.addr.clone();
        }
        if self.stream.is_some() && self.routes.is_empty() && self.translated {
            uri::ParamsExt::set_transport(&mut self.target, Transport::Tcp);
        }
    }

    /// Whether a request of the peer comes in order; an older one is answered 500 (RFC 3261, 12.2.2).
    pub(crate) fn in_order(&mut self, request: &Request) -> bool {
        let number = wire::sequence(request);
        let later = number > self.peer_sequence;
        if later {
            self.peer_sequence = number;
        }
        later
    }
}

/// Somebody to call.
#[derive(Clone)]
pub(crate) struct Destination {
    pub number: Number,
    /// What the request names.
    pub uri: Uri,
    pub way: Way,
    pub translated: bool,
}

/// A new dialog's key.
pub(crate) fn new_key(host: &str) -> LegKey {
    (format!("{}@{host}", wire::random(24)), wire::random(10))
}

/// The key of a dialog that this INVITE begins, with our tag in it.
pub(crate) fn key_of(invite: &Request, tag: &str) -> Option<LegKey> {
    Some((invite.call_id_header().ok()?.value().to_owned(), tag.to_owned()))
}

/// A number at the switch.
pub(crate) fn address(number: &Number, host: &str) -> String {
    let user = uri::Auth { user: number.as_str().to_owned(), password: None };
    // The stack leaves '#' alone nowhere, which is what a URI needs.
    format!("sip:{user}@{host}")
}

fn without_tag(from: &typed::From) -> String {
    match &from.display_name {
        Some(name) if !name.contains(['"', '\\']) => format!("\"{name}\" <{}>", from.uri),
        _ => format!("<{}>", from.uri),
    }
}

fn routes(values: &[&str]) -> Vec<String> {
    let lists = values.iter().filter_map(|value| typed::RecordRoute::parse_header_list(value).ok());
    lists.flatten().map(|route| format!("<{}>", route.uri)).collect()
}

fn takes_update(message: &impl rsipstack::sip::HasHeaders) -> bool {
    wire::lists(message, "Allow", "UPDATE")
}

/// One hop less than the request had; `None` if it had none left.
fn hops(request: &Request) -> Option<u8> {
    let had = request.max_forwards_header().ok().and_then(|hops| hops.value().trim().parse::<u8>().ok());
    had.unwrap_or(70).checked_sub(1)
}
