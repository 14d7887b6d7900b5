//! A phone of a switch: a user agent (RFC 3261) that registers one number, calls, and is called. Events out, commands in, over
//! channels; no SIP type passes there.
//!
//! ```text
//! phone                                    whoever uses it
//!   Registered / NotRegistered -------------->
//!   <-------------------------------- Dial
//!   Dialled --------------------------------->        the call's name, before anything else of it
//!   Word, Word, ... / <--- Say, ...                   183 and INFO in the early dialog
//!   Ringing --------------------------------->        at most once
//!   Answered -------------------------------->        at most once
//!   Word, Text, ... / <--- Say, HangUp
//!   Ended ----------------------------------->        exactly once for each Dialled and each Incoming
//! ```
//!
//! Words of the payment conversation are opaque here, as they are to the switch ([`crate::body`]). They arrive in their order: one
//! INFO at a time is under way, and a 183 that the switch says again is told once.
//!
//! **Media are not this crate's business**: what is offered and answered is one audio stream that is inactive
//! ([`crate::body::sdp::quiet`]). Whoever wants to be heard puts media beside it.
//!
//! A phone hears its switch and nobody else. A switch that is gone is noticed when something is said to it: after
//! [`PhoneConfig::patience`], and while people talk at the latest after half of [`PhoneConfig::session`] more.

mod agent;
mod call;
mod proof;
mod registration;

use crate::config::Transport;
use crate::leg::Home;
use crate::reason::Reason;
use crate::switch::StartError;
use crate::wire;
use crate::{Body, CallId, Number};
use agent::Agent;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Methods that a phone takes.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, INFO, UPDATE, OPTIONS";

/// How a phone is set up.
#[derive(Clone, Debug)]
pub struct PhoneConfig {
    /// Where it waits; port 0 takes a free one, and an unspecified address the one that leads to the switch.
    pub listen: SocketAddr,
    /// Its switch.
    pub switch: SocketAddr,
    /// Over what it speaks to the switch.
    pub transport: Transport,
    /// Its number or name.
    pub number: Number,
    /// Its password there.
    pub password: String,
    /// How long a registration shall hold; it is refreshed after half of that.
    pub expires: Duration,
    /// Session timer that it asks for (RFC 4028). The side that called refreshes after half of it.
    pub session: Duration,
    /// How long it says something again to a switch that does not answer.
    pub patience: Duration,
    /// Calls at once; who calls then hears that it is busy.
    pub lines: usize,
}

impl PhoneConfig {
    /// One line over UDP, on a free port.
    pub fn new(switch: SocketAddr, number: Number, password: &str) -> Self {
        let listen = if switch.is_ipv4() { SocketAddr::from(([0, 0, 0, 0], 0)) } else { ([0_u16; 8], 0).into() };
        Self {
            listen,
            switch,
            transport: Transport::Udp,
            number,
            password: password.to_owned(),
            expires: Duration::from_secs(300),
            session: Duration::from_secs(90),
            patience: Duration::from_secs(10),
            lines: 1,
        }
    }
}

/// What happened to a phone or one of its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneEvent {
    /// The switch knows where it is, for this long; told each time that it was refreshed.
    Registered(Duration),
    /// The switch does not: a status and a text. The phone goes on trying.
    NotRegistered(Reason),
    /// A [`PhoneCommand::Dial`] was taken.
    Dialled {
        /// Its name from here on.
        call: CallId,
        /// Whom it calls.
        to: Number,
    },
    /// Somebody calls, and hears that it rings.
    Incoming {
        /// The call.
        call: CallId,
        /// Who, where the switch shows it.
        from: Option<Number>,
    },
    /// Whoever was called is being alerted.
    Ringing {
        /// The call.
        call: CallId,
    },
    /// A word of the payment conversation, in a 183, a 200, a refusal, an INFO or the BYE.
    Word {
        /// The call.
        call: CallId,
        /// The word.
        body: Body,
    },
    /// A text to show, such as a warning.
    Text {
        /// The call.
        call: CallId,
        /// One line.
        text: String,
    },
    /// People can talk.
    Answered {
        /// The call.
        call: CallId,
    },
    /// Over; nothing more comes of this call.
    Ended {
        /// The call.
        call: CallId,
        /// Why, as the switch says it: a refusal's status, 200 where somebody hung up, 408 where the switch is gone.
        reason: Reason,
    },
}

/// What a phone shall do. A command for a call that has ended does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneCommand {
    /// Call somebody.
    Dial {
        /// Whom.
        to: Number,
        /// What the INVITE says about paying.
        body: Option<Body>,
    },
    /// Say a word of the payment conversation, after those that are still under way.
    Say {
        /// The call.
        call: CallId,
        /// The word.
        body: Body,
    },
    /// End the call, or give up calling: in a BYE with a last word, or a CANCEL after it.
    HangUp {
        /// The call.
        call: CallId,
        /// A last word.
        body: Option<Body>,
    },
    /// Take a call.
    Answer {
        /// The call.
        call: CallId,
    },
    /// Refuse a call (603).
    Decline {
        /// The call.
        call: CallId,
    },
}

/// The other end of a phone.
#[derive(Debug)]
pub struct Line {
    /// What happens. Unbounded: whoever does not read it lets it grow.
    pub events: UnboundedReceiver<PhoneEvent>,
    /// What shall happen. Once it is dropped the phone hangs up, and takes its registration back.
    pub commands: UnboundedSender<PhoneCommand>,
}

/// A running phone. Dropping it ends it without a word to the switch; [`Self::stop`] says goodbye.
pub struct Phone {
    address: SocketAddr,
    leave: CancellationToken,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Phone {
    /// Listens, and registers from now on. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: the address is taken, or is not ours.
    pub async fn start(config: PhoneConfig) -> Result<(Self, Line), StartError> {
        let ip = own_ip(config.listen.ip(), config.switch);
        let listen =
            SocketAddr::new(ip.map_err(|error| StartError::Listen(config.listen, error))?, config.listen.port());
        let stop = CancellationToken::new();
        let (endpoint, address) = wire::open(listen, None, false, Some(config.patience), &stop).await?;
        let incoming = endpoint.incoming_transactions()?;
        let home = Home { endpoint: endpoint.inner.clone(), address, user: Some(config.number.clone()), allow: ALLOW };
        let (told, events) = mpsc::unbounded_channel();
        let (commands, commanded) = mpsc::unbounded_channel();
        let serving = endpoint.inner.clone();
        tokio::spawn(async move { serving.serve().await });
        let leave = CancellationToken::new();
        let agent = Agent::new(config, Arc::new(home), told);
        let (leaving, stopped) = (leave.clone(), stop.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = agent.run(incoming, commanded, leaving) => {}
            }
            stopped.cancel();
        });
        Ok((Self { address, leave, stop, task }, Line { events, commands }))
    }

    /// Where it waits.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hangs up what goes on and takes its registration back, if the switch answers within [`PhoneConfig::patience`].
    pub async fn stop(mut self) {
        self.leave.cancel();
        let _ = (&mut self.task).await;
    }
}

/// The address that leads to the switch, where none is named: it is what the switch is told.
fn own_ip(named: IpAddr, switch: SocketAddr) -> Result<IpAddr, std::io::Error> {
    if !named.is_unspecified() {
        return Ok(named);
    }
    let probe = UdpSocket::bind(SocketAddr::new(named, 0))?;
    // Nothing is sent: the system only says by which way it would be.
    probe.connect(switch)?;
    Ok(probe.local_addr()?.ip())
}
