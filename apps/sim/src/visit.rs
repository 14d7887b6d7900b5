//! One tap of a ticket at a gate, or of two wallets of which one gives: both sides are the real conversations, and only sealed frames
//! pass between them, over a link that loses, repeats and changes them.

use crate::dice::Dice;
use crate::fault::FrameFault;
use crate::link::{Air, Link};
use crate::talk::Steps;
use crate::tap::{Clocks, skewed};
use std::collections::VecDeque;
use tegata_core::step::{Event, Talk};
use tegata_core::talk::enter::{Door, GateEnter, GateNotice, Visitor, WalletEnter, WalletEnterNotice};
use tegata_device::{Device, Now, Out};
use tegata_link::{LinkError, Session, TerminalPending, WalletHello};
use tegata_vault::SimulatedVault;

/// What the town sees of a tap.
#[derive(Debug)]
pub struct Visited<W = WalletEnterNotice, G = GateNotice> {
    /// What the wallet showed that touched.
    pub wallet: Vec<W>,
    /// What the gate showed, or the wallet that was touched.
    pub gate: Vec<G>,
    /// Frames that crossed.
    pub crossed: usize,
}

/// What people say to what they are asked: which notices ask, and whether they agree.
pub struct Says<N> {
    /// Whether this asks.
    pub asks: fn(&N) -> bool,
    /// Whether they agree.
    pub agrees: bool,
}

impl<N> Says<N> {
    /// Nobody is asked anything.
    pub const NOTHING: Self = Self { asks: |_| false, agrees: false };

    fn to(&self, outs: &[Out<N>]) -> Option<Event> {
        let asked = outs.iter().any(|out| matches!(out, Out::Show(notice) if (self.asks)(notice)));
        asked.then_some(if self.agrees { Event::Agreed } else { Event::Declined })
    }
}

/// A tap under way.
pub struct Visit<W: Talk = WalletEnter, G: Talk = GateEnter> {
    hello: Option<WalletHello>,
    wallet_session: Option<Session>,
    gate_session: Option<Session>,
    wallet: Steps<W>,
    gate: Steps<G>,
    says: (Says<W::Notice>, Says<G::Notice>),
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    link: Link,
    seen: Visited<W::Notice, G::Notice>,
}

type Vaulted = Device<SimulatedVault>;

impl Visit {
    /// The ticket touches.
    ///
    /// # Errors
    /// The library failed.
    pub fn start(
        visitor: Visitor,
        door: Door,
        fault: Option<(usize, FrameFault)>,
        dice: &mut Dice,
    ) -> Result<Self, LinkError> {
        let talks = (WalletEnter::new(visitor), GateEnter::new(door));
        Self::between(talks, (Says::NOTHING, Says::NOTHING), fault, dice)
    }
}

impl<W: Talk, G: Talk> Visit<W, G> {
    /// The one touches the other.
    ///
    /// # Errors
    /// The library failed.
    pub fn between(
        (wallet, gate): (W, G),
        says: (Says<W::Notice>, Says<G::Notice>),
        fault: Option<(usize, FrameFault)>,
        dice: &mut Dice,
    ) -> Result<Self, LinkError> {
        let (hello, frame) = WalletHello::new(dice.entropy())?;
        Ok(Self {
            hello: Some(hello),
            wallet_session: None,
            gate_session: None,
            wallet: Steps::new(wallet),
            gate: Steps::new(gate),
            says,
            up: VecDeque::from([frame]),
            down: VecDeque::new(),
            link: Link::new(fault),
            seen: Visited { wallet: Vec::new(), gate: Vec::new(), crossed: 0 },
        })
    }

    /// Runs to the end.
    pub fn run(
        mut self,
        (wallet, gate): (&mut Vaulted, &mut Vaulted),
        clocks: Clocks,
        air: &mut Air,
        dice: &mut Dice,
    ) -> Visited<W::Notice, G::Notice> {
        let at_wallet = |dice: &mut Dice| Now { time: skewed(clocks.time, clocks.wallet), entropy: dice.entropy() };
        let at_gate = |dice: &mut Dice| Now { time: skewed(clocks.time, clocks.terminal), entropy: dice.entropy() };
        while !(self.up.is_empty() && self.down.is_empty()) {
            while let Some(frame) = self.up.pop_front() {
                for frame in self.link.cross(frame, air, dice).frames {
                    self.at_gate_side(&frame, at_gate(dice), gate, dice);
                }
            }
            while let Some(frame) = self.down.pop_front() {
                for frame in self.link.cross(frame, air, dice).frames {
                    self.at_wallet_side(&frame, at_wallet(dice), wallet);
                }
            }
        }
        if !self.wallet.is_over() {
            let outs = self.wallet.deliver(Event::Lost, at_wallet(dice), wallet, false);
            self.wallet_outs(outs, at_wallet(dice), wallet);
        }
        if !self.gate.is_over() {
            let outs = self.gate.deliver(Event::Lost, at_gate(dice), gate, false);
            self.gate_outs(outs, None, at_gate(dice), gate);
        }
        self.seen.crossed = self.link.crossed();
        self.seen
    }

    fn at_gate_side(&mut self, frame: &[u8], now: Now, gate: &mut Vaulted, dice: &mut Dice) {
        if let Some(session) = &mut self.gate_session {
            let event = session.open(frame).map_or(Event::Lost, Event::Received);
            let outs = self.gate.deliver(event, now, gate, false);
            return self.gate_outs(outs, None, now, gate);
        }
        if self.gate.is_over() {
            return;
        }
        let Ok((pending, transcript)) = tegata_link::accept(dice.entropy(), frame) else {
            return;
        };
        let outs = self.gate.deliver(Event::Opened(transcript), now, gate, false);
        self.gate_outs(outs, Some(pending), now, gate);
    }

    fn at_wallet_side(&mut self, frame: &[u8], now: Now, wallet: &mut Vaulted) {
        let event = match (self.hello.take(), &mut self.wallet_session) {
            (Some(hello), _) => match hello.finish(frame) {
                Ok((session, transcript, first)) => {
                    self.wallet_session = Some(session);
                    self.wallet.deliver(Event::Opened(transcript), now, wallet, false);
                    Event::Received(first)
                }
                Err(_) => Event::Lost,
            },
            (None, Some(session)) => session.open(frame).map_or(Event::Lost, Event::Received),
            (None, None) => Event::Lost,
        };
        let outs = self.wallet.deliver(event, now, wallet, false);
        self.wallet_outs(outs, now, wallet);
    }

    fn wallet_outs(&mut self, outs: Vec<Out<W::Notice>>, now: Now, wallet: &mut Vaulted) {
        let answer = self.says.0.to(&outs);
        for out in outs {
            match out {
                Out::Show(notice) => self.seen.wallet.push(notice),
                Out::WaitUntil(_) => {}
                Out::Send(plain) => {
                    let sealed = self.wallet_session.as_mut().and_then(|session| session.seal(&plain).ok());
                    self.up.extend(sealed);
                }
            }
        }
        if let Some(answer) = answer {
            let outs = self.wallet.deliver(answer, now, wallet, false);
            self.wallet_outs(outs, now, wallet);
        }
    }

    fn gate_outs(&mut self, outs: Vec<Out<G::Notice>>, pending: Option<TerminalPending>, now: Now, gate: &mut Vaulted) {
        let answer = self.says.1.to(&outs);
        let mut pending = pending;
        for out in outs {
            match (out, pending.take()) {
                (Out::Show(notice), kept) => {
                    self.seen.gate.push(notice);
                    pending = kept;
                }
                (Out::WaitUntil(_), kept) => pending = kept,
                (Out::Send(plain), Some(first)) => {
                    if let Ok((frame, session)) = first.reply(&plain) {
                        self.gate_session = Some(session);
                        self.down.push_back(frame);
                    }
                }
                (Out::Send(plain), None) => {
                    let sealed = self.gate_session.as_mut().and_then(|session| session.seal(&plain).ok());
                    self.down.extend(sealed);
                }
            }
        }
        if let Some(answer) = answer {
            let outs = self.gate.deliver(answer, now, gate, false);
            self.gate_outs(outs, pending, now, gate);
        }
    }
}
