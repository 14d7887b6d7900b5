//! Around the stack: what its sockets must not see, messages that this switch makes, and transactions as tasks.

pub(crate) mod screen;
pub(crate) mod socket;
pub(crate) mod transaction;

use crate::body::Content;
use crate::number::NumberError;
use crate::switch::StartError;
use crate::{Number, reason};
use rsipstack::EndpointBuilder;
use rsipstack::sip::{Header, HeadersExt as _, Method, Request, Response, Scheme, StatusCode, Uri};
use rsipstack::transaction::Endpoint;
use rsipstack::transaction::endpoint::EndpointOption;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{TcpListenerConnection, TransportLayer};
use socket::{Gatekeeper, Socket};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// Methods that the switch takes.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, INFO, UPDATE, OPTIONS, REGISTER";

/// Opens the stack on this address, with TCP beside UDP if `tcp`. `patience` is how long it says a request again that nobody
/// answers, where that is not half a minute (RFC 3261's 64 T1).
pub(crate) async fn open(
    listen: SocketAddr,
    external: Option<SocketAddr>,
    tcp: bool,
    patience: Option<Duration>,
    stop: &CancellationToken,
) -> Result<(Endpoint, SocketAddr), StartError> {
    let (socket, local) = bind(listen, tcp).await.map_err(|error| StartError::Listen(listen, error))?;
    let transports = TransportLayer::new(stop.clone());
    let udp = UdpConnection::from_socket(Arc::new(Socket(socket)), external, Some(stop.child_token())).await?;
    transports.add_transport(udp.into());
    if tcp {
        transports.add_transport(TcpListenerConnection::new(local, external).await?.into());
    }
    let mut option = EndpointOption { auto_ack_2xx: false, ..EndpointOption::default() };
    option.t1x64 = patience.unwrap_or(option.t1x64);
    let endpoint = EndpointBuilder::new()
        .with_user_agent("Tegata")
        .with_transport_layer(transports)
        .with_cancel_token(stop.clone())
        .with_option(option)
        .with_transport_inspector(Box::new(Gatekeeper))
        .build();
    Ok((endpoint, local))
}

/// A UDP socket, on a port that is free for TCP as well if `tcp`: the stack binds that later and only warns.
async fn bind(listen: SocketAddr, tcp: bool) -> Result<(UdpSocket, SocketAddr), std::io::Error> {
    let mut tries = 0;
    loop {
        let socket = UdpSocket::bind(listen).await?;
        let local = socket.local_addr()?;
        match if tcp { std::net::TcpListener::bind(local).map(drop) } else { Ok(()) } {
            Ok(()) => return Ok((socket, local)),
            // The system gave a port that is free for UDP alone: another one.
            Err(_) if listen.port() == 0 && tries < 20 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Letters and digits nobody can guess, from the operating system's seed.
pub(crate) fn random(length: usize) -> String {
    rsipstack::transaction::random_text(length)
}

/// An answer before it has a request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    /// Instead of the status's own words, where there is something to say.
    pub text: String,
    pub headers: Vec<Header>,
    pub content: Option<Content>,
}

impl Reply {
    pub(crate) fn new(status: u16, text: &str) -> Self {
        Self { status, text: text.to_owned(), headers: Vec::new(), content: None }
    }

    pub(crate) fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    pub(crate) fn content(mut self, content: Option<Content>) -> Self {
        self.content = content;
        self
    }

    /// The answer to this request, with our tag where the request had none.
    pub(crate) fn to(self, request: &Request, tag: &str) -> Response {
        let mut headers: Vec<Header> = Vec::new();
        for header in request.headers.iter() {
            match header {
                Header::To(to) if self.status > 100 && !has_tag(to.value()) => {
                    headers.push(Header::To(format!("{};tag={tag}", to.value()).into()));
                }
                Header::Via(_) | Header::From(_) | Header::To(_) | Header::CallId(_) | Header::CSeq(_) => {
                    headers.push(header.clone());
                }
                Header::RecordRoute(_) if request.method == Method::Invite && (101..300).contains(&self.status) => {
                    headers.push(header.clone());
                }
                _ => {}
            }
        }
        headers.extend(self.headers);
        let mut response = Response {
            status_code: status(self.status, &self.text),
            wire_reason: None,
            version: rsipstack::sip::Version::V2,
            headers: headers.into(),
            body: Vec::new(),
        };
        fill(&mut response.headers.0, &mut response.body, self.content);
        response
    }
}

/// Puts a body into a message, and says how long it is.
pub(crate) fn fill(headers: &mut Vec<Header>, body: &mut Vec<u8>, content: Option<Content>) {
    headers.retain(|header| !matches!(header, Header::ContentLength(_) | Header::ContentType(_)));
    if let Some(content) = content {
        headers.push(Header::ContentType(content.kind.into()));
        *body = content.bytes;
    }
    headers.push(Header::ContentLength(body.len().to_string().into()));
}

/// A status with our own words, or with its usual ones.
fn status(code: u16, text: &str) -> StatusCode {
    let text = reason::phrase(text);
    match StatusCode::from(code) {
        known if text.is_empty() && !matches!(known, StatusCode::Other(..)) => known,
        _ => StatusCode::Other(code, if text.is_empty() { "Refused".to_owned() } else { text }),
    }
}

/// Whether an address (`To`, `From`) has a tag, outside its angle brackets.
pub(crate) fn has_tag(address: &str) -> bool {
    address.rsplit('>').next().unwrap_or_default().to_ascii_lowercase().contains(";tag=")
}

/// What a request's address means as a number.
pub(crate) fn dialled(uri: &Uri) -> Result<Number, NumberError> {
    match &uri.scheme {
        Some(Scheme::Other(scheme)) if scheme.eq_ignore_ascii_case("tel") => Number::read(&uri.host().to_string()),
        Some(Scheme::Other(_)) => Err(NumberError::Unknown),
        _ => Number::read(uri.user().unwrap_or_default()),
    }
}

/// An emergency service by its name (RFC 5031).
pub(crate) fn is_sos(uri: &Uri) -> bool {
    let urn = matches!(&uri.scheme, Some(Scheme::Other(scheme)) if scheme.eq_ignore_ascii_case("urn"));
    let service = uri.host_with_port.to_string().to_ascii_lowercase();
    urn && (service == "service:sos" || service.starts_with("service:sos."))
}

/// A message's body type.
pub(crate) fn content_type(message: &impl rsipstack::sip::HasHeaders) -> Option<&str> {
    message.headers().iter().find_map(|header| match header {
        Header::ContentType(kind) => Some(kind.value()),
        _ => None,
    })
}

/// Whether a comma-separated header of this name has this token.
pub(crate) fn lists(message: &impl rsipstack::sip::HasHeaders, name: &str, token: &str) -> bool {
    message
        .headers()
        .iter()
        .filter(|header| header.name().eq_ignore_ascii_case(name))
        .any(|header| header.value().split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}

/// The number of a `CSeq`.
pub(crate) fn sequence(request: &Request) -> u32 {
    request.cseq_header().and_then(|cseq| cseq.seq()).unwrap_or_default()
}
