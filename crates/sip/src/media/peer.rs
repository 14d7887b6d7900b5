//! Where one side of a call sends from and hears, as its SDP says and its packets show. No sockets here.
//!
//! Only packets from the IP address that the side's SDP names are taken, and of those only from the port that the first one came from.
//! SDP came by SIP, from whoever has proved who it is, and RTP proves nothing: if the first packet from anywhere decided, a
//! stranger who sends to all ports of the switch would be given the voice of the other side (RFC 7362, 5).
//!
//! A phone behind a translator of addresses that does not know its own names a private one. Where SIP came from another address,
//! packets from that one are taken as well: the translator gives one phone one address (RFC 4787, REQ-2). A translator that does give two
//! is not heard through. Where strangers share one, as in an operator's network, one of them that sends to all ports first takes the
//! phone's place: it hears, and the phone does not. Only voice that is encrypted from end to end is safe there.

use crate::body::audio::Audio;
use std::net::{IpAddr, SocketAddr};

/// What a socket of the relay is for; also where it stands among the two of a side.
pub(super) const RTP: usize = 0;
/// As [`RTP`].
pub(super) const RTCP: usize = 1;

/// What is known at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    audio: Audio,
    /// Where its SIP comes from.
    source: Option<IpAddr>,
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

    /// A new offer or answer, by SIP from this address. Where it names the same place, what was seen of it stays.
    pub(super) fn said(&mut self, audio: Audio, source: Option<IpAddr>) {
        self.before = self.now;
        // Two phones behind two translators may call themselves the same.
        let same = |which: usize| self.now.audio.at[which] == audio.at[which] && self.now.source == source;
        let seen = |which: usize| self.now.seen[which].filter(|_| same(which));
        self.now = Known { audio, source, seen: [seen(RTP), seen(RTCP)] };
    }

    /// Its last offer was refused: what it said before counts (RFC 3261, 14.1).
    pub(super) fn refused(&mut self) {
        self.now = self.before;
    }

    /// Whether a packet is its.
    pub(super) fn takes(&mut self, which: usize, from: SocketAddr) -> bool {
        let Some(named) = self.now.audio.at[which] else { return false };
        let translated = is_private(named.ip()) && self.now.source == Some(from.ip());
        (translated || named.ip() == from.ip()) && *self.now.seen[which].get_or_insert(from) == from
    }

    /// Where it hears.
    pub(super) fn hears(&self, which: usize) -> Option<SocketAddr> {
        self.now.audio.at[which].map(|named| self.now.seen[which].unwrap_or(named))
    }
}

/// Whether an address means something in one network only: RFC 1918, and RFC 6598 for those that share an operator's.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || matches!(address.octets(), [100, 64..=127, _, _]),
        IpAddr::V6(_) => false,
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
        peer.said(audio("192.0.2.7:6000"), None);
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
        peer.said(Audio { listens: false, ..audio("192.0.2.7:6000") }, None);
        assert_eq!(peer.hears(RTP), Some(address("192.0.2.7:7000")));
        peer.said(audio("192.0.2.7:6002"), None);
        assert_eq!(peer.hears(RTP), Some(address("192.0.2.7:6002")));
    }

    #[test]
    fn an_offer_that_is_refused_changes_nothing() {
        let mut peer = Peer::default();
        peer.said(audio("192.0.2.7:6000"), None);
        assert!(peer.takes(RTP, address("192.0.2.7:7000")));
        // A fax, say: no audio.
        peer.said(Audio::default(), None);
        assert_eq!(peer.hears(RTP), None);
        assert!(!peer.takes(RTP, address("192.0.2.7:7000")));
        peer.refused();
        assert_eq!(peer.hears(RTP), Some(address("192.0.2.7:7000")));
        assert!(peer.takes(RTP, address("192.0.2.7:7000")));
    }
    #[test]
    fn a_phone_that_does_not_know_its_own_address_is_heard_from_where_its_sip_comes() {
        let source = Some(address("203.0.113.5:0").ip());
        for named in ["10.1.2.3:6000", "172.31.0.1:6000", "192.168.1.2:6000", "100.64.0.1:6000", "100.127.9.9:6000"] {
            let mut peer = Peer::default();
            peer.said(audio(named), source);
            assert_eq!(peer.hears(RTP), Some(address(named)), "nothing else is known yet");
            assert!(!peer.takes(RTP, address("203.0.113.6:6000")), "a stranger");
            assert!(peer.takes(RTP, address("203.0.113.5:41000")), "{named}");
            assert!(!peer.takes(RTP, address("203.0.113.5:41002")), "a neighbour behind the same translator");
            assert!(!peer.takes(RTP, address(named)), "one place");
            assert_eq!(peer.hears(RTP), Some(address("203.0.113.5:41000")));
            assert!(peer.takes(RTCP, address("203.0.113.5:41001")));

            // The same again stays; of another phone that calls itself the same, nothing has been heard.
            peer.said(audio(named), source);
            assert_eq!(peer.hears(RTP), Some(address("203.0.113.5:41000")));
            peer.said(audio(named), Some(address("203.0.113.9:0").ip()));
            assert!(!peer.takes(RTP, address("203.0.113.5:41000")));
            assert!(peer.takes(RTP, address("203.0.113.9:7000")));
            peer.refused();
            assert_eq!(peer.hears(RTP), Some(address("203.0.113.5:41000")));
        }
        // In the same network the named address is as good as it was.
        let mut peer = Peer::default();
        peer.said(audio("192.168.1.2:6000"), source);
        assert!(peer.takes(RTP, address("192.168.1.2:6000")));
    }

    #[test]
    fn whoever_names_a_public_address_is_heard_from_there_alone() {
        let source = Some(address("203.0.113.5:0").ip());
        for named in ["192.0.2.7:6000", "100.63.255.255:6000", "100.128.0.1:6000", "172.32.0.1:6000"] {
            let mut peer = Peer::default();
            peer.said(audio(named), source);
            assert!(!peer.takes(RTP, address("203.0.113.5:6000")), "{named}");
            assert!(peer.takes(RTP, address(named)));
        }
        let mut peer = Peer::default();
        peer.said(audio("[fd00::7]:6000"), Some(address("[2001:db8::5]:0").ip()));
        assert!(!peer.takes(RTP, address("[2001:db8::5]:6000")), "IPv6 has no translators that this is for");
        let mut peer = Peer::default();
        peer.said(audio("10.1.2.3:6000"), None);
        assert!(!peer.takes(RTP, address("203.0.113.5:6000")), "where SIP comes from is not known");
    }
}
