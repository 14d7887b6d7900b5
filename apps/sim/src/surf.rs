//! One way to the network: the wallet's conversation, and the sessions of a hotspot as they stand behind HTTP. A request brings a frame there,
//! its answer what the hotspot has to say. Either may be lost, repeated or changed; a wallet that has no answer asks nothing more.

use crate::dial::{Dialled, Ends, Spoken};
use crate::dice::Dice;
use crate::fault::FrameFault;
use crate::link::{Air, Link};
use crate::tap::{Clocks, skewed};
use std::collections::VecDeque;
use tegata_core::step::Event;
use tegata_core::talk::call::{CallerNotice, WalletCall};
use tegata_device::{Device, Now, TapStep, WalletTap};
use tegata_switch::Switch;
use tegata_switch::hotspot::Sessions;
use tegata_vault::SimulatedVault;

type Vaulted = Device<SimulatedVault>;

/// A session under way. What a call does when it rings does not happen here: the way opens with the first check.
pub struct Surf {
    wallet: WalletTap<WalletCall>,
    /// Nobody asks any more: the wallet went, lost an answer, or could not read it.
    gone: bool,
    sessions: Sessions<SimulatedVault>,
    /// What the hotspot calls it. Drawn by the hotspot itself, and nothing depends on it.
    id: Option<String>,
    up: VecDeque<Vec<u8>>,
    link: Link,
    clocks: Clocks,
    /// Milliseconds since the first request.
    ms: u64,
    /// Since when, and until when, the way was open.
    open: Option<(u64, Option<u64>)>,
    seen: Dialled,
}

impl Surf {
    /// Somebody is about to say a first word.
    pub fn new(
        (wallet, hello): (WalletTap<WalletCall>, Vec<u8>),
        switch: Switch<SimulatedVault>,
        clocks: Clocks,
        fault: Option<(usize, FrameFault)>,
    ) -> Self {
        Self {
            wallet,
            gone: false,
            sessions: Sessions::new(switch),
            id: None,
            up: VecDeque::from([hello]),
            link: Link::new(fault),
            clocks,
            ms: 0,
            open: None,
            seen: Dialled::default(),
        }
    }

    /// Runs to the end, at the rate of this number: the plan is that of a call whose other side is the hotspot. Gives the switch back.
    pub fn run(
        mut self,
        wallet: &mut Vaulted,
        service: &str,
        plan: Spoken,
        (air, dice): (&mut Air, &mut Dice),
    ) -> (Dialled, Switch<SimulatedVault>) {
        self.exchange(wallet, service, (air, dice));
        if self.is_open() {
            let until = self.ms + plan.speaks.unwrap_or(0);
            while self.is_open() && self.ms < until {
                let left = self.wallet.talking().look(WalletCall::due).flatten().filter(|_| !self.gone);
                let next = left.into_iter().chain(self.sessions.next_due()).filter(|due| *due > self.ms).min();
                self.ms = next.unwrap_or(until).min(until);
                self.look(wallet, service, (air, dice));
            }
            match plan.ends {
                Ends::Stop => {
                    self.wallet.talking().tell(WalletCall::stop);
                    self.look(wallet, service, (air, dice));
                }
                Ends::Called => {
                    let at = self.at_switch(dice);
                    self.sessions.part(at);
                    self.exchange(wallet, service, (air, dice));
                }
                Ends::HangsUp => self.gone = true,
                Ends::Vanishes => {}
            }
        }
        if plan.ends != Ends::Vanishes {
            self.rest(dice);
        }
        let (since, closed) = self.open.unwrap_or((self.ms, None));
        self.seen.spoke = closed.unwrap_or(self.ms) - since;
        self.seen.answered = self.open.is_some();
        self.seen.crossed = self.link.crossed();
        (self.seen, self.sessions.switch)
    }

    fn is_off(&self) -> bool {
        self.sessions.switch.device.vault.is_off()
    }
    /// Whether the way is open; a hotspot that is dead opens none.
    fn is_open(&self) -> bool {
        !self.is_off() && self.id.as_ref().is_some_and(|id| self.sessions.is_open(id))
    }
    /// Notes when it has opened and closed.
    fn note(&mut self) {
        let is_open = self.is_open();
        match self.open {
            None if is_open => {
                self.open = Some((self.ms, None));
                self.seen.rang = true;
            }
            Some((since, None)) if !is_open => self.open = Some((since, Some(self.ms))),
            _ => {}
        }
    }
    fn now(&self, skew: i64, dice: &mut Dice) -> Now {
        Now { time: skewed(self.clocks.time.after(self.ms / 1000), skew), entropy: dice.entropy() }
    }
    fn at_switch(&self, dice: &mut Dice) -> (Now, u64) {
        (self.now(self.clocks.terminal, dice), self.ms)
    }

    /// Both sides look, and the wallet asks.
    fn look(&mut self, wallet: &mut Vaulted, service: &str, (air, dice): (&mut Air, &mut Dice)) {
        self.fall_due(dice);
        if !self.gone && !self.wallet.is_over() {
            let (ms, now) = (self.ms, self.now(self.clocks.wallet, dice));
            self.wallet.talking().tell(|call| call.at(ms));
            if let Ok(step) = self.wallet.event(Event::Tick, now, wallet) {
                self.walleted(step, now, wallet);
            }
        }
        self.exchange(wallet, service, (air, dice));
    }

    /// The hotspot does what is due.
    fn fall_due(&mut self, dice: &mut Dice) {
        if self.is_off() {
            return self.note();
        }
        for id in self.sessions.due(self.ms) {
            let at = self.at_switch(dice);
            self.sessions.tell(&id, at, |call| call);
        }
        self.note();
    }

    /// The hotspot alone, until nothing is due any more.
    fn rest(&mut self, dice: &mut Dice) {
        while !self.is_off()
            && let Some(due) = self.sessions.next_due().filter(|due| *due > self.ms)
        {
            self.ms = due;
            self.fall_due(dice);
        }
    }

    /// The wallet asks, a frame at a time, until neither has anything to say.
    fn exchange(&mut self, wallet: &mut Vaulted, service: &str, (air, dice): (&mut Air, &mut Dice)) {
        while !self.gone {
            let (said, begins) = (self.up.pop_front(), self.id.is_none());
            let is_said = said.is_some();
            let arrives = said.map_or_else(Vec::new, |frame| self.link.cross(frame, air, dice).frames);
            for frame in arrives {
                let at = self.at_switch(dice);
                self.heard(service, begins, &frame, at);
            }
            // A request or an answer that is lost is a line that is gone.
            self.gone = self.link.is_cut() || self.is_off();
            self.note();
            let Some(id) = self.id.clone().filter(|_| !self.gone) else { break };
            let words = self.sessions.fetch(&id).map(|(words, ..)| words).unwrap_or_default();
            if self.is_open() && !self.seen.answered {
                // The answer's head says so, before its words.
                let ms = self.ms;
                self.wallet.talking().tell(|call| call.at(ms).answered());
                self.seen.answered = true;
            }
            if !is_said && words.is_empty() {
                break;
            }
            for word in words {
                for frame in self.link.cross(word, air, dice).frames {
                    self.at_wallet(&frame, wallet, dice);
                }
            }
            self.gone |= self.link.is_cut();
        }
    }

    /// A request is there. The first one that arrives twice begins two sessions, of which the wallet hears of one.
    fn heard(&mut self, service: &str, begins: bool, frame: &[u8], at: (Now, u64)) {
        match self.id.clone().filter(|_| !begins) {
            Some(id) => self.sessions.heard(&id, frame, at),
            None => self.id = self.sessions.open(service, frame, at).ok().and_then(Result::ok),
        }
    }

    fn at_wallet(&mut self, frame: &[u8], wallet: &mut Vaulted, dice: &mut Dice) {
        if self.gone || self.wallet.is_over() {
            return;
        }
        let (ms, now) = (self.ms, self.now(self.clocks.wallet, dice));
        self.wallet.talking().tell(|call| call.at(ms));
        match self.wallet.receive(frame, now, wallet) {
            Ok(step) => self.walleted(step, now, wallet),
            Err(_) => self.gone = true,
        }
    }
    /// What a device says that has lost its power is never heard.
    fn walleted(&mut self, step: TapStep<CallerNotice>, now: Now, wallet: &mut Vaulted) {
        if wallet.vault.is_off() {
            self.gone = true;
            return;
        }
        let asked = step.notices.iter().any(|notice| matches!(notice, CallerNotice::Consent { .. }));
        self.seen.wallet.extend(step.notices);
        self.up.extend(step.frames);
        if asked && let Ok(step) = self.wallet.event(Event::Agreed, now, wallet) {
            self.walleted(step, now, wallet);
        }
    }
}
