//! The switching centre's SIP half: a back-to-back user agent (RFC 3261) between phones and trunks, which rings nobody
//! before whoever drives charging has said so.
//!
//! [`Switch::start`] gives a running switch and a [`Control`]: [`Event`]s out, [`Command`]s in ([`seam`] draws their
//! order). A call is two dialogs, *legs*, that share nothing but bodies and statuses; of the caller the callee sees what
//! [`Shown`] says. SDP goes end to end, without names ([`body::sdp`]). So do media, whose addresses are seen then; or, by
//! [`Config::relay`], they go through the switch, which is all that either side sees.
//!
//! [`phone`] is the other end: a phone that registers at a switch, calls and pays in the same words.
//!
//! # How payment rides in SIP
//!
//! Body type `application/tegata`, opaque here; beside SDP as `multipart/mixed`. From the caller: in INVITE, INFO, ACK,
//! UPDATE, BYE. To the caller: in 183, INFO, BYE and refusals. A 183 over UDP may be lost, so it is sent again (0.5 s, then
//! doubling to 4 s) until the caller says something; whoever speaks inside must bear repetition. Words are limited by the
//! stack's UDP buffer: a whole message has at most 8,192 bytes.
//!
//! [`Command::Warn`] is an INFO with `text/plain` that a phone may show, and the wallet's word beside it. Where media are relayed,
//! the caller hears three beeps as well and [`Config::announcement`], in PCMU or PCMA; else **no tone** is heard. [`Command::HangUp`] tells
//! the caller why in a `Reason` header (RFC 3326); the callee hears that the call has ended. A callee that hangs up or is not reached leaves charging half a second
//! ([`Event::Ending`]), so that the caller's BYE or refusal can carry a receipt.
//!
//! # The stack, and what is done around it
//!
//! `rsipstack` 0.7.14 gives grammar, transports and transactions. Not used, or got around:
//!
//! - Its dialogs pass no bodies of ACK, INFO and PRACK from leg to leg, and react by themselves: legs are our own.
//! - `auto_ack_2xx` acknowledges before the caller's answer is known: it is off, and our ACK is put among its finished
//!   transactions, from where it answers repeated 200s. A second 200 of a fork behind a trunk gets the same ACK and no BYE.
//! - `Transaction::receive` is not cancel-safe: each transaction has a task; answers go through its channel.
//! - `send_cancel` sends a CANCEL once: ours is a transaction, after the first provisional response.
//! - It drops what it cannot read: the UDP socket is ours and answers 400, 501, 505. Over TCP it closes the connection.
//! - Its digest check reads nonce counts as decimal bytes: [`phones::digest`] is ours.
//! - It escapes what it writes and leaves escapes in what it reads, drops `sip:` user parameters, and writes known
//!   transports in capitals.
//! - At level info it logs whole messages with payments in them: filter `rsipstack=warn`.
//! - A huge `Content-Length` over TCP overflows in it: the workspace's release profile switches that check off there.
//!
//! # Limits
//!
//! UDP and TCP over IPv4 and IPv6, no TLS, no WebSocket; no 100rel (a `Require` of it gets 420); no REFER, no `Replaces`, no
//! redirects (a callee's 3xx is a failure); trunks ask for no password, and are known by address. A phone is answered and
//! called where its packets come from. Requests over 1,300 bytes stay on UDP. Registrations are in memory.
//!
//! Of media that are relayed: one audio stream over IPv4 or IPv6, on both sides the same; no ICE, no names instead of addresses, no
//! phone that names a public address and sends from another one; encrypted voice passes and has no tone. RTCP passes unread, also the
//! name that a phone gives itself in it (CNAME).
#![warn(missing_docs)]

pub mod body;
mod call;
pub mod config;
mod leg;
mod media;
mod number;
pub mod phone;
pub mod phones;
pub mod policy;
pub mod reason;
pub mod seam;
mod setup;
mod switch;
mod timer;
mod wire;

pub use config::Config;
#[doc(hidden)]
pub use media::RelayAlone;
pub use media::announcement::{Announcement, AnnouncementError};
pub use number::{Number, NumberError};
pub use phone::{Line, Phone, PhoneCommand, PhoneConfig, PhoneEvent};
pub use phones::digest::{Algorithm, Passwords};
pub use seam::{At, Body, By, CallId, Caller, Command, Control, Event, Route, Shown, Side};
pub use switch::{Sizes, StartError, Switch};

/// Whether a packet would be let through to the stack, or answered where it is not; for the fuzzer.
#[doc(hidden)]
pub fn is_fit(packet: &[u8]) -> bool {
    wire::screen::judge(packet)
}
