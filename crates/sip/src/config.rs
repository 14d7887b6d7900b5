//! How a switch is set up.

use crate::media::announcement::Announcement;
use crate::phones::digest::Algorithm;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Everything that an operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where phones and trunks find the switch; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What it calls itself in `Via` and `Contact`, where that differs (behind a translator of addresses).
    pub external: Option<SocketAddr>,
    /// TCP on the same port, beside UDP.
    pub tcp: bool,
    /// The realm of phones' passwords.
    pub realm: String,
    /// Digests that phones are asked for, the preferred one first (RFC 8760).
    pub digests: Vec<Algorithm>,
    /// Which calls of phones have to prove a password.
    pub proof: Proof,
    /// Ways to other networks.
    pub trunks: Vec<Trunk>,
    /// Numbers that are always free and never blocked.
    pub emergency: Emergency,
    /// Calls at once; emergency calls are not counted out.
    pub most_calls: usize,
    /// Media go through the switch at this address of it, four UDP ports a call that the system chooses: neither side sees the other's
    /// address, and the caller hears a tone before the end. `None`: they go from end to end, and the switch sees nothing of them.
    pub relay: Option<IpAddr>,
    /// Media go through the switch or not at all: a call for which no relay is left is refused (503), and whoever hears on the switch's own
    /// machine hears nothing. Else they go from end to end then, as those of a call for help always do.
    pub relay_all: bool,
    /// Calls whose media go through the switch at once, at most. `None`: as many as this process may have files for, less what it needs
    /// itself ([`crate::Switch::most_relayed`]).
    pub most_relayed: Option<usize>,
    /// What the caller is told by voice after that tone, where media are relayed. `None`: the tone is all.
    pub announcement: Option<Announcement>,
    /// Limits of time.
    pub limits: Limits,
}

/// When a phone that calls proves its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Each INVITE.
    EachCall,
    /// Not again from the very address that it registered from. Right where addresses cannot be forged.
    Registration,
}

/// A way to another network.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in events and records.
    pub name: String,
    /// Numbers that begin so go there; the longest prefix wins, an empty one takes the rest.
    pub prefixes: Vec<String>,
    /// Fewer digits than this are answered with 484.
    pub least_digits: usize,
    /// Its address; calls that come from there are its calls (over TCP: from any port of that host).
    pub address: SocketAddr,
    /// UDP or TCP.
    pub transport: Transport,
}

/// What carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

/// Calls for help: asked of nobody, charged to nobody, also from phones that are not registered.
#[derive(Clone, Debug, Default)]
pub struct Emergency {
    /// Dialled numbers; `urn:service:sos` (RFC 5031) is always one.
    pub numbers: Vec<String>,
    /// Trunks by name, tried in this order.
    pub trunks: Vec<String>,
}

/// Limits of time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long charging may take before the callee rings.
    pub asking: Duration,
    /// How long a callee may ring (under three minutes, where the stack gives up).
    pub ringing: Duration,
    /// Session timer that is offered (RFC 4028); a leg whose phone has died is noticed after half of it.
    pub session: Duration,
    /// Shortest session timer that is taken.
    pub shortest_session: Duration,
    /// Longest registration, and the one of phones that name none.
    pub registration: Duration,
    /// Shortest registration that is taken, 0 aside.
    pub shortest_registration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            asking: Duration::from_secs(60),
            ringing: Duration::from_secs(120),
            session: Duration::from_secs(1800),
            shortest_session: Duration::from_secs(90),
            registration: Duration::from_secs(3600),
            shortest_registration: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// A switch on this address with nothing behind it.
    pub fn new(listen: SocketAddr, realm: &str) -> Self {
        Self {
            listen,
            external: None,
            tcp: true,
            realm: realm.to_owned(),
            digests: vec![Algorithm::Sha256, Algorithm::Md5],
            proof: Proof::EachCall,
            trunks: Vec::new(),
            emergency: Emergency::default(),
            most_calls: 10_000,
            relay: None,
            relay_all: true,
            most_relayed: None,
            announcement: None,
            limits: Limits::default(),
        }
    }
}
