//! Media that go through the switch, where the operator wants that (`Config::relay`): each side of a call finds the switch's address
//! in what the other one says, and a caller whose paid time ends hears it.
//!
//! A call holds a [`Relay`], which is four sockets and a task ([`relay`]); with the call both go. The voice is not looked at, but for
//! the warning: the [`tone`] and the [`announcement`]. SDP is read and written in [`crate::body::audio`]; whose packets are taken, [`peer`] says.

pub(crate) mod announcement;
pub(crate) mod files;
mod peer;
mod relay;
mod rtp;
pub(crate) mod tone;

use crate::body::audio::{self, Audio};
use crate::seam::{CallId, Side};
use announcement::Announcement;
use peer::Peer;
use relay::{End, Task};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::{self, UnboundedSender};

/// Where the sides stand among the two ends of a relay.
const CALLER: usize = 0;
/// As [`CALLER`].
const CALLEE: usize = 1;
/// Ports that are tried, where the neighbour of a free one is taken.
const TRIES: usize = 40;

/// How many relays there are, and may be. Each is counted as long as its sockets are open.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    open: Arc<AtomicUsize>,
    most: usize,
}

impl Count {
    /// So many at once, at most.
    pub(crate) fn up_to(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    pub(crate) fn now(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn one_more(&self) -> Result<Counted, Error> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        // Dropped, it counts no more.
        let counted = Counted(self.open.clone());
        if before < self.most {
            Ok(counted)
        } else {
            Err(Error::other(format!("{} calls are relayed, and no more may be", self.most)))
        }
    }
}

/// One of them.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a call tells its relay.
enum Order {
    /// A side has said in SDP where it is; its SIP comes from this address.
    Said { side: usize, audio: Audio, source: Option<IpAddr> },
    /// What that side said last was refused.
    Refused(usize),
    /// The caller shall hear that its time ends.
    Warn,
}

/// The media of one call. Dropping it closes the sockets and ends the task.
pub(crate) struct Relay {
    /// Where caller and callee send their RTP.
    at: [SocketAddr; 2],
    orders: UnboundedSender<Order>,
}

impl Relay {
    /// Opens the sockets at this address of the switch; `said` is what a warning says after its beeps. Must be called inside a tokio
    /// runtime.
    pub(crate) fn open(
        address: IpAddr,
        call: CallId,
        said: Option<Announcement>,
        count: &Count,
    ) -> Result<Self, Error> {
        // Before any socket: what is kept back is not touched for a moment either.
        let counted = count.one_more()?;
        let ((caller, caller_at), (callee, callee_at)) = (end(address)?, end(address)?);
        let (orders, obeyed) = mpsc::unbounded_channel();
        tokio::spawn(Task::new(call, [caller, callee], said, counted).run(obeyed));
        Ok(Self { at: [caller_at, callee_at], orders })
    }

    /// SDP of one side as the other one shall see it: the media come to the switch. `source` is where the SIP of that side comes from.
    pub(crate) fn pass(&self, from: Side, source: Option<IpAddr>, sdp: &[u8]) -> Vec<u8> {
        let (side, other) = match from {
            Side::Caller => (CALLER, CALLEE),
            Side::Callee => (CALLEE, CALLER),
        };
        let (passed, audio) = audio::through(sdp, self.at[other]);
        let source = source.filter(|source| audio::is_fit(*source, self.at[side].ip()));
        let _ = self.orders.send(Order::Said { side, audio, source });
        passed
    }

    /// The last offer of this side was refused: media go on as before.
    pub(crate) fn refused(&self, from: Side) {
        let side = if from == Side::Caller { CALLER } else { CALLEE };
        let _ = self.orders.send(Order::Refused(side));
    }

    /// Lets the caller, and nobody else, hear that its time ends.
    pub(crate) fn warn(&self) {
        let _ = self.orders.send(Order::Warn);
    }
}

/// A relay with no call around it, for whoever measures what a relayed packet costs.
#[doc(hidden)]
pub struct RelayAlone(Relay);

impl RelayAlone {
    /// Between two that speak PCMU, at this address. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// No ports are left.
    pub fn between(address: IpAddr, caller: SocketAddr, callee: SocketAddr) -> Result<Self, Error> {
        let relay = Relay::open(address, CallId(0), None, &Count::up_to(usize::MAX))?;
        for (side, at) in [(Side::Caller, caller), (Side::Callee, callee)] {
            let sdp = format!("v=0\r\nc=IN IP4 {}\r\nm=audio {} RTP/AVP 0\r\n", at.ip(), at.port());
            relay.pass(side, None, sdp.as_bytes());
        }
        Ok(Self(relay))
    }

    /// Where caller and callee send their RTP.
    pub fn at(&self) -> [SocketAddr; 2] {
        self.0.at
    }
}

/// Whether media can be relayed at this address: it is ours, and others can send to it.
pub(crate) fn check(address: IpAddr) -> Result<(), Error> {
    if address.is_unspecified() || address.is_multicast() {
        return Err(Error::new(ErrorKind::InvalidInput, "others cannot send there; name one address of this machine"));
    }
    pair(address).map(drop)
}

fn end(address: IpAddr) -> Result<(End, SocketAddr), Error> {
    let (rtp, rtcp) = pair(address)?;
    let at = rtp.local_addr()?;
    let tokio_socket = |socket: UdpSocket| {
        socket.set_nonblocking(true)?;
        tokio::net::UdpSocket::from_std(socket)
    };
    Ok((End { sockets: [tokio_socket(rtp)?, tokio_socket(rtcp)?], peer: Peer::default() }, at))
}

/// Two sockets at ports that the system chooses: RTP at an even one and RTCP at the next (RFC 3550, 11). Nobody says `a=rtcp`, so that a
/// phone sends its RTCP there, which would be another call's RTP if both were not taken.
fn pair(address: IpAddr) -> Result<(UdpSocket, UdpSocket), Error> {
    let mut last = Error::from(ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let socket = UdpSocket::bind((address, 0))?;
        let port = socket.local_addr()?.port();
        match UdpSocket::bind((address, port ^ 1)) {
            Ok(other) => return Ok(if port.is_multiple_of(2) { (socket, other) } else { (other, socket) }),
            Err(error) if error.kind() == ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn ports_are_neighbours() {
        for _ in 0..20 {
            let (rtp, rtcp) = pair(HERE).expect("two ports");
            let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
            assert!(port(&rtp).is_multiple_of(2) && port(&rtcp) == port(&rtp) + 1);
        }
        for nowhere in ["0.0.0.0", "::", "224.0.0.1", "192.0.2.1"] {
            assert!(check(nowhere.parse().expect("an address")).is_err(), "{nowhere}");
        }
        check(HERE).expect("ours");
    }

    #[tokio::test]
    async fn a_relay_that_is_dropped_gives_its_ports_back() {
        let count = Count::up_to(1);
        let relay = Relay::open(HERE, CallId(1), None, &count).expect("a relay");
        assert_eq!(count.now(), 1);
        assert!(Relay::open(HERE, CallId(2), None, &count).is_err(), "no more may be");
        assert_eq!(count.now(), 1);
        let at = relay.at;
        assert!(UdpSocket::bind(at[CALLER]).is_err(), "taken");
        drop(relay);
        while count.now() > 0 {
            tokio::task::yield_now().await;
        }
        for at in at {
            UdpSocket::bind(at).expect("free again");
        }
        Relay::open(HERE, CallId(3), None, &count).expect("there is room again");
    }

    #[tokio::test]
    async fn a_caller_that_could_hear_the_tone_hears_it() {
        let cases = [
            ("8 18", "", Some(0x88)),
            ("0", "a=recvonly\r\n", Some(0x80)),
            ("18", "", None),
            ("0", "a=sendonly\r\n", None),
        ];
        for (formats, more, expected) in cases {
            let relay = Relay::open(HERE, CallId(1), None, &Count::up_to(1)).expect("a relay");
            let caller = tokio::net::UdpSocket::bind((HERE, 0)).await.expect("a port");
            let port = caller.local_addr().expect("bound").port();
            let sdp = |port| format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {port} RTP/AVP {formats}\r\n");
            relay.pass(Side::Caller, None, format!("{}{more}", sdp(port)).as_bytes());
            // Nobody is there, and nobody speaks.
            relay.pass(Side::Callee, None, sdp(9).as_bytes());
            relay.warn();
            let mut packet = [0; 2_048];
            let heard =
                tokio::time::timeout(std::time::Duration::from_millis(300), caller.recv_from(&mut packet)).await;
            match (expected, heard) {
                (Some(second), Ok(Ok((length, from)))) => {
                    assert_eq!((length, from), (172, relay.at[CALLER]), "{formats}");
                    assert_eq!(packet[1] | 0x80, second, "{formats}");
                }
                (None, Err(_)) => {}
                (expected, heard) => panic!("{formats} {more}: {heard:?} instead of {expected:?}"),
            }
        }
    }
}
