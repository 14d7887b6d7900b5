//! The switch's sockets as the stack sees them: unreadable packets are answered here, unfit ones in [`Gatekeeper`].

use super::Reply;
use super::screen::{Unfit, screen, unreadable};
use async_trait::async_trait;
use rsipstack::platform::net::UdpSocket;
use rsipstack::sip::SipMessage;
use rsipstack::transaction::endpoint::TransportEventInspector;
use rsipstack::transport::TransportEvent;
use std::net::SocketAddr;

/// A UDP socket that answers what the stack would drop.
pub(crate) struct Socket(pub tokio::net::UdpSocket);

#[async_trait]
impl UdpSocket for Socket {
    async fn recv_from(&self, buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        loop {
            let (length, from) = match self.0.recv_from(buffer).await {
                Ok(received) => received,
                // A peer's closed port, told by ICMP; the next packet may be somebody else's.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error.into()),
            };
            let packet = &buffer[..length];
            // Keep-alives are line breaks, which the stack knows.
            if packet.iter().all(u8::is_ascii_whitespace) || SipMessage::try_from(packet).is_ok() {
                return Ok((length, from));
            }
            tracing::debug!(%from, length, "a packet that is no SIP");
            if let Some(answer) = unreadable(packet) {
                let _ = self.0.send_to(&answer, from).await;
            }
        }
    }

    async fn send_to(&self, packet: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        Ok(self.0.send_to(packet, to).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }
}

/// Keeps unfit messages from the stack, of any transport.
pub(crate) struct Gatekeeper;

#[async_trait]
impl TransportEventInspector for Gatekeeper {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        let TransportEvent::Incoming(message, connection, from) = &event else { return Some(event) };
        match screen(message, !connection.is_reliable()) {
            Ok(()) => Some(event),
            Err(Unfit::Drop) => None,
            Err(Unfit::Answer(status, text)) => {
                tracing::debug!(%from, status, text, "a message that cannot be taken");
                if let SipMessage::Request(request) = message {
                    let response = Reply::new(status, &text).to(request, &super::random(10));
                    let _ = connection.send(SipMessage::Response(response), Some(from)).await;
                }
                None
            }
        }
    }
}
