//! The task of a relay: takes packets of one side, sends them to the other one, and puts the warning over what the caller hears.
//!
//! What cannot be sent at once is dropped, as a network would: late voice is no voice. One buffer serves all packets; none is kept.

use super::announcement::Announcement;
use super::peer::{Peer, RTCP, RTP};
use super::rtp::{self, HEAD, Own, SAMPLES};
use super::tone::{Codec, Sound};
use super::{CALLEE, CALLER, Counted, Order};
use crate::seam::CallId;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// Longer packets are dropped: no network carries them in one piece.
const LONGEST: usize = 2_048;
/// Packets of one socket before the others have their turn.
const BURST: usize = 16;
/// What a packet of one's own holds.
const PACKET: Duration = Duration::from_millis(20);
/// Where nobody has spoken for so long, the warning is a stream of its own.
const QUIET: Duration = Duration::from_millis(60);
/// How much longer than it lasts a warning may take; what could not be played by then is not played any more.
const PATIENCE: Duration = Duration::from_millis(2_400);

/// One side: the two sockets that it sends to, and where it is itself.
pub(super) struct End {
    pub(super) sockets: [UdpSocket; 2],
    pub(super) peer: Peer,
}

/// A warning that is being played.
struct Warning {
    sound: Sound,
    own: Own,
    /// When the next packet of our own is due, if nobody speaks.
    next: Instant,
    until: Instant,
}

/// All that the task has.
pub(super) struct Task {
    call: CallId,
    ends: [End; 2],
    buffer: Vec<u8>,
    /// When the caller was sent voice last.
    spoken: Option<Instant>,
    /// What is said in a warning after the beeps.
    said: Option<Announcement>,
    warning: Option<Warning>,
    /// It was logged that there is no tone.
    toneless: bool,
    /// Counts the relay as long as it has sockets: dropped after them.
    _counted: Counted,
}

impl Task {
    pub(super) fn new(call: CallId, ends: [End; 2], said: Option<Announcement>, counted: Counted) -> Self {
        let buffer = vec![0; LONGEST];
        Self { call, ends, buffer, spoken: None, said, warning: None, toneless: false, _counted: counted }
    }

    /// Forwards until the call lets go of its end of `orders`.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        loop {
            let due = self.warning.as_ref().map(|warning| warning.next);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                (side, which) = ready(&self.ends) => {
                    if self.forward(side, which) {
                        // Whoever floods one call does not keep the others waiting.
                        tokio::task::yield_now().await;
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.beep(),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Said { side, audio, source } => self.ends[side].peer.said(audio, source),
            Order::Refused(side) => self.ends[side].peer.refused(),
            Order::Warn => self.warn(),
        }
    }

    /// What a socket has, to the other side. `true`: it may have more.
    fn forward(&mut self, side: usize, which: usize) -> bool {
        let other = if side == CALLER { CALLEE } else { CALLER };
        for _ in 0..BURST {
            let (length, from) = match self.ends[side].sockets[which].try_recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // A peer's closed port, told by ICMP; the next packet may be good.
                Err(_) => continue,
            };
            if length == LONGEST || !self.ends[side].peer.takes(which, from) {
                continue;
            }
            let Some(to) = self.ends[other].peer.hears(which) else { continue };
            if other == CALLER && which == RTP {
                self.speak(length);
            }
            let _ = self.ends[other].sockets[which].try_send_to(&self.buffer[..length], to);
        }
        true
    }

    /// A packet goes to the caller: if it is voice and a warning is due, that stands in it instead. Number, time and source stay.
    fn speak(&mut self, length: usize) {
        let Some((format, voice)) = rtp::voice(&self.buffer[..length]) else { return };
        self.spoken = Some(Instant::now());
        let Some(warning) = &mut self.warning else { return };
        let caller = self.ends[CALLER].peer.audio();
        if let Some(codec) = Codec::of(format).filter(|codec| caller.knows(*codec)) {
            warning.sound.fill(codec, &mut self.buffer[voice]);
            if warning.sound.is_over() {
                self.warning = None;
            }
        }
    }

    /// The caller shall be warned.
    fn warn(&mut self) {
        let caller = &self.ends[CALLER].peer;
        if !caller.audio().listens || caller.hears(RTP).is_none() {
            return self.without_tone("the caller does not listen");
        }
        if self.codec().is_none() {
            return self.without_tone("what is spoken is neither PCMU nor PCMA");
        }
        let (now, sound) = (Instant::now(), Sound::new(self.said.clone()));
        let until = now + sound.lasts() + PATIENCE;
        self.warning = Some(Warning { sound, own: Own::new(), next: now, until });
    }

    /// What both sides understand and the warning is known in, as the callee prefers it.
    fn codec(&self) -> Option<Codec> {
        let (caller, callee) = (self.ends[CALLER].peer.audio(), self.ends[CALLEE].peer.audio());
        callee.codecs.into_iter().flatten().find(|codec| caller.knows(*codec))
    }

    /// Twenty milliseconds more: a packet of our own, if nobody speaks.
    fn beep(&mut self) {
        let (now, codec) = (Instant::now(), self.codec());
        let to = self.ends[CALLER].peer.hears(RTP);
        let Some(warning) = &mut self.warning else { return };
        warning.next += PACKET;
        if now >= warning.until {
            let unheard = warning.sound.is_unheard();
            self.warning = None;
            if unheard {
                self.without_tone("what is spoken is neither PCMU nor PCMA");
            }
            return;
        }
        if self.spoken.is_some_and(|at| now.duration_since(at) < QUIET) {
            return;
        }
        // Held or changed meanwhile: it may come back.
        let (Some(codec), Some(to)) = (codec, to) else { return };
        let mut packet = [0; HEAD + SAMPLES];
        packet[..HEAD].copy_from_slice(&warning.own.head(codec));
        warning.sound.fill(codec, &mut packet[HEAD..]);
        let over = warning.sound.is_over();
        let _ = self.ends[CALLER].sockets[RTP].try_send_to(&packet, to);
        if over {
            self.warning = None;
        }
    }

    /// The text is all that warns; said once a call.
    fn without_tone(&mut self, why: &'static str) {
        if !std::mem::replace(&mut self.toneless, true) {
            tracing::info!(why, "{}: no tone before the end, text alone", self.call);
        }
    }
}

/// The next socket that has something. For ever, where the runtime ends.
async fn ready(ends: &[End; 2]) -> (usize, usize) {
    tokio::select! {
        Ok(()) = ends[CALLER].sockets[RTP].readable() => (CALLER, RTP),
        Ok(()) = ends[CALLER].sockets[RTCP].readable() => (CALLER, RTCP),
        Ok(()) = ends[CALLEE].sockets[RTP].readable() => (CALLEE, RTP),
        Ok(()) = ends[CALLEE].sockets[RTCP].readable() => (CALLEE, RTCP),
        else => std::future::pending().await,
    }
}
