//! Between the switch and whoever drives charging: typed events one way, typed commands the other, over channels. No SIP
//! type passes here. The order is always the same:
//!
//! ```text
//! switch                                   charging
//!   Asked ------------------------------------>        the callee is not rung before
//!   <------------------------ Tell, Tell, ...          183 with a body, again until the caller says something
//!   Body, Body, ... -------------------------->        INFO of the caller
//!   <---------------------------------- Proceed        or Refuse
//!   Ringing ---------------------------------->        at most once
//!   Answered --------------------------------->        at most once: from here on time is paid for
//!   Body, ... / <--- Tell, Warn, ... / HangUp
//!   Ending ----------------------------------->        at most once: the callee has gone, and the caller is not told yet
//!   <--------------------------------- HangUp        a last word to the caller, within half a second
//!   Ended ------------------------------------>        exactly once for each Asked
//! ```
//!
//! A command for a call that has ended meanwhile does nothing. An emergency call asks nobody: it is told as
//! [`Event::Emergency`], and no command reaches it. Where charging goes away (its end of a channel is dropped), calls that
//! are paid for end at once and new ones are refused with 503; emergency calls go on.

use crate::Number;
use crate::reason::Reason;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// A call, numbered from the start of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}", self.0)
    }
}

/// A moment in milliseconds since 1970. Never goes back while a switch runs: only differences are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub u64);

/// Makes moments: the wall clock at the start, and a steady one from there.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    unix_ms: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), unix_ms: u64::try_from(since.as_millis()).unwrap_or_default() }
    }

    pub(crate) fn now(&self) -> At {
        At(self.unix_ms + u64::try_from(self.start.elapsed().as_millis()).unwrap_or_default())
    }
}

/// A word of the payment conversation, `application/tegata`; the switch never looks inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A registered phone that has proved its password (or calls from where it did).
    Phone(Number),
    /// Somebody behind a trunk; the number is what the trunk says, if it says one.
    Trunk {
        /// Which.
        trunk: String,
        /// Whom it names.
        number: Option<Number>,
    },
}

/// Where a dialled number leads as the switch is set up now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A phone with this many contacts.
    Phone {
        /// How many will ring.
        contacts: usize,
    },
    /// Through this trunk.
    Trunk(String),
    /// Nowhere, unless charging knows the number by another name (flow 21).
    Unknown,
}

/// Which leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From whoever calls to the switch.
    Caller,
    /// From the switch to whoever is called.
    Callee,
}

/// What the callee sees of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This number.
    As(Number),
    /// Nobody (RFC 3323).
    Anonymous,
}

/// Who ended a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The caller hung up or cancelled.
    Caller,
    /// The callee hung up, or refused with a status.
    Callee {
        /// Final status of a call that was never answered.
        refused: Option<u16>,
    },
    /// Charging said so.
    Control,
    /// A leg died, nobody answered in time, or the switch could not go on; in words for the operator.
    Switch(&'static str),
}

/// What happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants to call; nobody is rung before [`Command::Proceed`].
    Asked {
        /// The call's name from here on.
        call: CallId,
        /// Who.
        caller: Caller,
        /// What was dialled.
        called: Number,
        /// Where that leads.
        route: Route,
        /// What the INVITE said about paying.
        body: Option<Body>,
        /// When.
        at: At,
    },
    /// A call to an emergency number; goes through by itself.
    Emergency {
        /// The call.
        call: CallId,
        /// Which number.
        called: Number,
        /// When.
        at: At,
    },
    /// The callee is being alerted.
    Ringing {
        /// The call.
        call: CallId,
        /// When.
        at: At,
    },
    /// The callee answered.
    Answered {
        /// The call.
        call: CallId,
        /// When; the call costs from here.
        at: At,
    },
    /// A word of the payment conversation arrived in INFO, ACK, UPDATE, BYE, a re-INVITE or a response.
    Body {
        /// The call.
        call: CallId,
        /// From which leg.
        from: Side,
        /// The word.
        body: Body,
        /// When.
        at: At,
    },
    /// The callee has hung up or was not reached: a call that was answered costs until now. A [`Command::HangUp`] within half a
    /// second gives the caller's BYE its reason and a last word, such as a receipt, or the refusal its word; without one the caller
    /// is told then with neither.
    Ending {
        /// The call.
        call: CallId,
        /// Who ended it.
        by: By,
        /// When.
        at: At,
    },
    /// Over; nothing more comes of this call.
    Ended {
        /// The call.
        call: CallId,
        /// Who ended it.
        by: By,
        /// When.
        at: At,
    },
}

/// What charging wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ring the callee.
    Proceed {
        /// The call.
        call: CallId,
        /// Whom: the dialled number, or the one it stands for.
        to: Number,
        /// Which way, and no other: a phone that has gone meanwhile is not looked for behind a trunk.
        route: Route,
        /// What the callee sees.
        shown_as: Shown,
    },
    /// Say a word to the caller: in a 183 before the answer, in an INFO after.
    Tell {
        /// The call.
        call: CallId,
        /// The word.
        body: Body,
    },
    /// No call. After the answer the same as [`Command::HangUp`].
    Refuse {
        /// The call.
        call: CallId,
        /// 300 to 699, such as 402.
        status: u16,
        /// For the status line.
        text: String,
        /// A last word to the caller.
        body: Option<Body>,
    },
    /// Tell the caller that the call will end: an INFO with text, and the word where there is one. Where media are relayed, it hears
    /// three beeps as well, and the announcement.
    Warn {
        /// The call.
        call: CallId,
        /// Time that is left; the text says it in whole seconds.
        left: Duration,
        /// A word to the wallet.
        body: Option<Body>,
    },
    /// End the call on both legs. The reason is told to the caller; the callee hears that the call has ended.
    HangUp {
        /// The call.
        call: CallId,
        /// Told in a `Reason` header.
        reason: Reason,
        /// A last word to the caller.
        body: Option<Body>,
    },
}

impl Command {
    /// Which call it is about.
    pub fn call(&self) -> CallId {
        match self {
            Self::Proceed { call, .. }
            | Self::Tell { call, .. }
            | Self::Refuse { call, .. }
            | Self::Warn { call, .. }
            | Self::HangUp { call, .. } => *call,
        }
    }
}

/// Charging's end of the seam.
#[derive(Debug)]
pub struct Control {
    /// What happens. Unbounded: whoever does not read it lets it grow.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// What shall happen.
    pub commands: mpsc::UnboundedSender<Command>,
}
