//! Where one side of a call sends from and hears, as its SDP says and its packets show. No sockets here.
//!
//! Only packets from the IP address that the side's SDP names are taken, and of those only from the port that the first one came from.
//! SDP came by SIP, from whoever has proved who it is, and RTP proves nothing: if the first packet from anywhere decided, a
//! stranger who sends to all ports of the switch would be given the voice of the other side. The price is that a phone is not heard
//! that sends from another address than it names, as one behind a translator of addresses does that does not know its own.

use crate::body::audio::Audio;
use std::net::SocketAddr;

/// What a socket of the relay is for; also where it stands among the two of a side.
pub(super) const RTP: usize = 0;
/// As [`RTP`].
pub(super) const RTCP: usize = 1;

/// What is known at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    audio: Audio,
    /// Where its packets come from. What it hears goes there: phones send and hear at one port (RFC 4961).
    seen: [Option<SocketAddr>; 2],
}

/// One side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer {
    now: Known,
    /// Before the last offer, which may be refused.
    before: Known,
}

impl Peer {
    /// What its SDP said last.
    pub(super) fn audio(&self) -> &Audio {
        &self.now.audio
    }

    /// A new offer or answer. Where it names the same place, what was seen of it stays.
    pub(super) fn said(&mut self, audio: Audio) {
        self.before = self.now;
        let seen = |which: usize| self.now.seen[which].filter(|_| self.now.audio.at[which] == audio.at[which]);
        self.now = Known { audio, seen: [seen(RTP), seen(RTCP)] };
    }

    /// Its last offer was refused: what it said before counts (RFC 3261, 14.1).
    pub(super) fn refused(&mut self) {
        self.now = self.before;
    }

    /// Whether a packet is its.
    pub(super) fn takes(&mut self, which: usize, from: SocketAddr) -> bool {
        let named = self.now.audio.at[which].is_some_and(|named| named.ip() == from.ip());
        named && *self.now.seen[which].get_or_insert(from) == from
    }

    /// Where it hears.
    pub(super) fn hears(&self, which: usize) -> Option<SocketAddr> {
        self.now.audio.at[which].map(|named| self.now.seen[which].unwrap_or(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn audio(text: &str) -> Audio {
        let at = address(text);
        Audio { at: [Some(at), Some(SocketAddr::new(at.ip(), at.port() + 1))], ..Audio::default() }
    }

    #[test]
    fn only_who_sdp_names_is_heard_and_at_the_port_of_its_first_packet() {
        let mut peer = Peer::default();
        assert!(!peer.takes(RTP, address("192.0.2.7:6000")), "nobody is named yet");
        assert_eq!(peer.hears(RTP), None);
        peer.said(audio("192.0.2.7:6000"));
        assert_eq!(
            (peer.hears(RTP), peer.hears(RTCP)),
            (Some(address("192.0.2.7:6000")), Some(address("192.0.2.7:6001")))
        );
        assert!(!peer.takes(RTP, address("192.0.2.8:6000")), "a stranger");
        assert!(peer.takes(RTP, address("192.0.2.7:7000")), "its own other port");
        assert!(!peer.takes(RTP, address("192.0.2.7:6000")), "a second port");
        assert_eq!(
            (peer.hears(RTP), peer.hears(RTCP)),
            (Some(address("192.0.2.7:7000")), Some(address("192.0.2.7:6001")))
        );

        // The same again, as in most holds: nothing changes. Another port: that one.
        peer.said(Audio { listens: false, ..audio("192.0.2.7:6000") });
        assert_eq!(peer.hears(RTP), Some(address("192.0.2.7:7000")));
        peer.said(audio("192.0.2.7:6002"));
        assert_eq!(peer.hears(RTP), Some(address("192.0.2.7:6002")));
    }

    #[test]
    fn an_offer_that_is_refused_changes_nothing() {
        let mut peer = Peer::default();
        peer.said(audio("192.0.2.7:6000"));
        assert!(peer.takes(RTP, address("192.0.2.7:7000")));
        // A fax, say: no audio.
        peer.said(Audio::default());
        assert_eq!(peer.hears(RTP), None);
        assert!(!peer.takes(RTP, address("192.0.2.7:7000")));
        peer.refused();
        assert_eq!(peer.hears(RTP), Some(address("192.0.2.7:7000")));
        assert!(peer.takes(RTP, address("192.0.2.7:7000")));
    }
}
