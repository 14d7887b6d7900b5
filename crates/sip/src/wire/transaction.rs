//! Transactions as tasks. The stack's are not cancel-safe: each is owned by a task of its own that does nothing but drive
//! it, and what it hears is told by a closure.

use super::Reply;
use rsipstack::Error;
use rsipstack::sip::{Header, HeadersExt as _, Method, Request, Response, SipMessage, StatusCodeKind};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::{TransactionEvent, TransactionEventSender};
use rsipstack::transport::{SipAddr, SipConnection};
use std::time::Duration;

/// Longest wait for a name or a stream.
const CONNECT: Duration = Duration::from_secs(5);

/// A request that waits for its answer. Dropped without one, it is answered 500.
pub(crate) struct Asked {
    pub request: Request,
    /// What it came on; also where it came from.
    pub connection: SipConnection,
    tag: String,
    respond: Option<TransactionEventSender>,
}

/// What is heard of an INVITE after it was taken.
pub(crate) enum Heard {
    Cancel,
    Ack(Box<Request>),
    /// A 2xx was sent for half a minute, and nobody acknowledged it.
    Silence,
}

impl Asked {
    /// Takes a transaction; `tag` is ours in the answers. `None` if it came on nothing, which does not happen.
    pub(crate) fn take(mut tx: Transaction, tag: String, heard: impl Fn(Heard) + Send + 'static) -> Option<Self> {
        let asked = Self {
            request: tx.original.clone(),
            connection: tx.connection.clone()?,
            tag,
            respond: Some(tx.tu_sender.clone()),
        };
        tokio::spawn(async move {
            let mut acknowledged = false;
            while let Some(message) = tx.receive().await {
                match message {
                    SipMessage::Request(request) if request.method == Method::Cancel => heard(Heard::Cancel),
                    SipMessage::Request(request) if request.method == Method::Ack => {
                        acknowledged = true;
                        heard(Heard::Ack(Box::new(request)));
                    }
                    _ => {}
                }
            }
            let accepted = |response: &Response| response.status_code.kind() == StatusCodeKind::Successful;
            if tx.original.method == Method::Invite && !acknowledged && tx.last_response.as_ref().is_some_and(accepted)
            {
                heard(Heard::Silence);
            }
        });
        Some(asked)
    }

    fn send(&self, respond: &TransactionEventSender, reply: Reply) {
        let _ = respond.send(TransactionEvent::Respond(reply.to(&self.request, &self.tag)));
    }

    /// A provisional answer.
    pub(crate) fn progress(&self, reply: Reply) {
        if let Some(respond) = &self.respond {
            self.send(respond, reply);
        }
    }

    /// The final answer.
    pub(crate) fn answer(mut self, reply: Reply) {
        if let Some(respond) = self.respond.take() {
            self.send(&respond, reply);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(respond) = self.respond.take() {
            self.send(&respond, Reply::new(500, "Nobody took care of it"));
        }
    }
}

/// Answers a request that needs no call.
pub(crate) fn answer(tx: Transaction, reply: Reply) {
    if let Some(asked) = Asked::take(tx, super::random(10), |_| {}) {
        asked.answer(reply);
    }
}

/// Where a request goes.
#[derive(Clone)]
pub(crate) struct Way {
    pub address: SipAddr,
    /// A stream that the peer opened and still has.
    pub stream: Option<SipConnection>,
}

impl Way {
    async fn open(&self, endpoint: &EndpointInnerRef) -> Result<(SipConnection, SipAddr), Error> {
        let alive = |stream: &&SipConnection| stream.cancel_token().is_none_or(|token| !token.is_cancelled());
        if let Some(stream) = self.stream.as_ref().filter(alive) {
            return Ok((stream.clone(), self.address.clone()));
        }
        match tokio::time::timeout(CONNECT, endpoint.transport_layer.lookup(&self.address, None)).await {
            Ok(found) => found,
            Err(_) => Err(Error::TransportLayerError("no connection in time".into(), self.address.clone())),
        }
    }
}

/// Sends a request and tells each answer; exactly one of them is final. What cannot be sent is answered 503 by ourselves.
pub(crate) fn ask(
    endpoint: EndpointInnerRef,
    request: Request,
    way: Way,
    mut heard: impl FnMut(Response) + Send + 'static,
) {
    tokio::spawn(async move {
        let refused = Reply::new(503, "Cannot be reached").to(&request, "");
        let mut done = false;
        if let Err(error) = drive(&endpoint, request, &way, |response| {
            done |= response.status_code.kind() != StatusCodeKind::Provisional;
            heard(response);
        })
        .await
        {
            tracing::debug!(%error, to = %way.address, "a request was not sent");
        }
        if !done {
            heard(refused);
        }
    });
}

async fn drive(
    endpoint: &EndpointInnerRef,
    request: Request,
    way: &Way,
    mut heard: impl FnMut(Response),
) -> Result<(), Error> {
    let (connection, address) = way.open(endpoint).await?;
    let key = TransactionKey::from_request(&request, TransactionRole::Client)?;
    let mut tx = Transaction::new_client(key, request, endpoint.clone(), Some(connection));
    tx.destination = Some(address);
    tx.send().await?;
    while let Some(message) = tx.receive().await {
        if let SipMessage::Response(response) = message {
            heard(response);
        }
    }
    Ok(())
}

/// Acknowledges a 2xx to `invite`. The stack keeps the ACK and sends it again for each repetition of the 2xx.
///
/// Its own ACK (`auto_ack_2xx`) has no body and does not wait for the caller's answer, so it is switched off; and since
/// the stack ends the transaction with the 2xx then, the ACK is put among its finished ones.
pub(crate) async fn acknowledge(endpoint: &EndpointInnerRef, invite: &Request, ack: Request, way: &Way) {
    let sent = async {
        let (connection, address) = way.open(endpoint).await?;
        connection.send(SipMessage::Request(ack.clone()), Some(&address)).await
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, to = %way.address, "an ACK was not sent");
    }
    if let Ok(key) = TransactionKey::from_request(invite, TransactionRole::Client) {
        endpoint.detach_transaction(&key, Some(SipMessage::Request(ack)));
    }
}

/// The CANCEL of an INVITE: the same in everything but method and body (RFC 3261, 9.1).
pub(crate) fn cancel_of(invite: &Request) -> Request {
    let mut cancel = invite.clone();
    cancel.method = Method::Cancel;
    cancel.body.clear();
    cancel.headers.retain(|header| {
        matches!(
            header,
            Header::Via(_)
                | Header::From(_)
                | Header::To(_)
                | Header::CallId(_)
                | Header::Route(_)
                | Header::MaxForwards(_)
        )
    });
    let number = invite.cseq_header().and_then(|cseq| cseq.seq()).unwrap_or(1);
    cancel.headers.push(Header::CSeq(format!("{number} CANCEL").into()));
    cancel
}
