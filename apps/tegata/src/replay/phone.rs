//! One call in a time of its own: wallet and switch say to each other what they do over SIP, and each word is on its way for as long as the
//! call's plan says.

use crate::measure::thread_nanoseconds;
use crate::screen::Failure;
use std::collections::VecDeque;
use tegata_core::card::{CallEnd, CallReceipt};
use tegata_core::step::Event;
use tegata_core::talk::call::{Caller, CallerNotice, SwitchCall, SwitchNotice, WalletCall};
use tegata_core::{Hash, Time};
use tegata_crypto_native::entropy;
use tegata_device::{Device, Now, TapStep, TerminalTap, WalletTap};
use tegata_switch::Switch;
use tegata_vault::Vault;

/// How a call goes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// When it is dialled.
    pub at: Time,
    /// How long it rings, in milliseconds.
    pub rings: u64,
    /// How long they would speak; `None`: nobody answers.
    pub speaks: Option<u64>,
    /// Who ends it; `None`: both vanish.
    pub ends: Option<CallEnd>,
    /// How long a word is on its way, in milliseconds; also that somebody has answered.
    pub delay: u64,
}

/// How the two stand at a moment of a call.
#[derive(Clone, Copy, Debug)]
pub struct Stands {
    /// How long they have spoken, in milliseconds.
    pub spoke: u64,
    /// What has left the wallet, in minor units.
    pub left: u64,
    /// What the switch has stored.
    pub stored: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Heard {
    /// The switch's receipt, if it signed one.
    pub receipt: Option<CallReceipt>,
    /// How long they spoke, by the switch's clock.
    pub spoke: u64,
    /// It rang.
    pub rang: bool,
    /// How the two stood whenever one of them looked, before and after what they said then.
    pub stood: Vec<Stands>,
    /// The wallet did not want to, or could not.
    pub refused: Option<String>,
    /// Checks that the switch took in.
    pub checks: u64,
    /// What the switch's thread spent, in nanoseconds.
    pub switch_ns: u64,
}

/// Words on their way, each with when it arrives.
type Words = VecDeque<(u64, Vec<u8>)>;

/// The next one, if it has arrived by now.
fn arrived(words: &mut Words, now: u64) -> Option<Vec<u8>> {
    words.front().filter(|(at, _)| *at <= now)?;
    words.pop_front().map(|(_, word)| word)
}

/// A call under way.
struct Line<'a, W, S> {
    wallet: WalletTap<WalletCall>,
    right: TerminalTap<SwitchCall>,
    sides: (&'a mut Device<W>, &'a mut Switch<S>),
    up: Words,
    down: Words,
    plan: Plan,
    ms: u64,
    answered: Option<u64>,
    /// When the wallet will hear of the answer.
    hears: Option<u64>,
    hung_up: Option<CallEnd>,
    heard: Heard,
}

/// Makes a call.
pub fn call<W: Vault, S: Vault>(
    sides: (&mut Device<W>, &mut Switch<S>),
    caller: Caller,
    plan: Plan,
) -> Result<Heard, Failure> {
    let called = caller.called.clone();
    let (wallet, hello) = WalletTap::touch(WalletCall::new(caller), entropy::fresh())?;
    let right = sides.1.tap(&called)?;
    let (up, down) = (VecDeque::from([(plan.delay, hello)]), VecDeque::new());
    let heard = Heard::default();
    let (answered, hears, hung_up) = (None, None, None);
    let mut line = Line { wallet, right, sides, up, down, plan, ms: 0, answered, hears, hung_up, heard };
    line.settle()?;
    if line.heard.rang {
        line.ms += plan.rings;
        match plan.speaks {
            Some(speaks) => line.speak(speaks)?,
            None => line.over(CallEnd::NoAnswer)?,
        }
    }
    match plan.ends {
        None => {}
        Some(CallEnd::HungUp) if !line.wallet.is_over() => {
            line.wallet.talking().tell(WalletCall::stop);
            line.look()?;
            let heard_of = line.ms + plan.delay;
            line.pass(heard_of)?;
        }
        Some(how) => line.over(how)?,
    }
    Ok(line.heard)
}

impl<W: Vault, S: Vault> Line<'_, W, S> {
    fn now(&self) -> Now {
        Now { time: self.plan.at.after(self.ms / 1_000), entropy: entropy::fresh() }
    }
    fn speak(&mut self, lasts: u64) -> Result<(), Failure> {
        let since = self.ms;
        (self.answered, self.hears) = (Some(since), Some(since + self.plan.delay));
        self.right.talking().tell(|call| call.at(since).answered());
        self.look()?;
        self.pass(since + lasts)?;
        self.count_time();
        Ok(())
    }
    /// Lets time pass until then, or until the switch has ended the call; both sides look whenever they want to, or hear something.
    fn pass(&mut self, until: u64) -> Result<(), Failure> {
        while !self.right.is_over() && self.ms < until {
            let ms = self.ms;
            let left = self.wallet.talking().look(WalletCall::due).flatten();
            let right = self.right.talking().look(SwitchCall::due).flatten();
            let all = left.into_iter().chain(right).chain(self.next_word()).chain(self.hears);
            self.ms = all.filter(|due| *due > ms).min().unwrap_or(until).min(until);
            self.look()?;
        }
        Ok(())
    }
    /// Lets time pass until no word is on its way.
    fn settle(&mut self) -> Result<(), Failure> {
        self.carry()?;
        while let Some(at) = self.next_word() {
            self.ms = self.ms.max(at);
            self.carry()?;
        }
        Ok(())
    }
    /// When the next word arrives.
    fn next_word(&self) -> Option<u64> {
        self.up.front().into_iter().chain(self.down.front()).map(|(at, _)| *at).min()
    }
    /// They have spoken until now, unless the switch has ended it before.
    fn count_time(&mut self) {
        if let Some(since) = self.answered.filter(|_| !self.right.is_over()) {
            self.heard.spoke = self.ms - since;
        }
    }
    /// Notes how the two stand, while they speak.
    fn note(&mut self) {
        let left = self.wallet.talking().look(WalletCall::paid).flatten();
        let stored = self.right.talking().look(SwitchCall::paid).flatten();
        if let (Some(since), Some(left), Some(stored)) = (self.answered, left, stored) {
            self.heard.stood.push(Stands { spoke: self.ms - since, left, stored });
        }
    }
    fn look(&mut self) -> Result<(), Failure> {
        self.note();
        let (now, ms) = (self.now(), self.ms);
        self.wallet.talking().tell(|call| call.at(ms));
        if self.hears.take_if(|at| *at <= ms).is_some() {
            self.wallet.talking().tell(WalletCall::answered);
        }
        let step = self.wallet.event(Event::Tick, now, self.sides.0)?;
        self.walleted(step)?;
        self.at_switch(|right, switch| {
            right.talking().tell(|call| call.at(ms));
            Ok(right.event(Event::Tick, now, &mut switch.device)?)
        })?;
        self.carry()?;
        self.note();
        match self.hung_up.take() {
            Some(how) => self.over(how),
            None => Ok(()),
        }
    }
    fn over(&mut self, how: CallEnd) -> Result<(), Failure> {
        self.count_time();
        let (now, ms) = (self.now(), self.ms);
        self.at_switch(|right, switch| {
            right.talking().tell(|call| call.at(ms).ended(how));
            Ok(right.event(Event::Tick, now, &mut switch.device)?)
        })?;
        self.settle()?;
        let (now, ms) = (self.now(), self.ms);
        self.wallet.talking().tell(|call| call.at(ms).hung_up());
        let step = self.wallet.event(Event::Tick, now, self.sides.0)?;
        self.walleted(step)
    }
    /// Hands over what has arrived. Who is over hears nothing any more.
    fn carry(&mut self) -> Result<(), Failure> {
        loop {
            let (now, ms) = (self.now(), self.ms);
            if let Some(frame) = arrived(&mut self.up, ms) {
                if self.right.is_over() {
                    continue;
                }
                self.heard.checks += 1;
                self.at_switch(|right, switch| {
                    right.talking().tell(|call| call.at(ms));
                    Ok(right.receive(&frame, now, &mut switch.device)?)
                })?;
            } else if let Some(frame) = arrived(&mut self.down, ms) {
                if self.wallet.is_over() {
                    continue;
                }
                self.wallet.talking().tell(|call| call.at(ms));
                let step = self.wallet.receive(&frame, now, self.sides.0)?;
                self.walleted(step)?;
            } else {
                return Ok(());
            }
        }
    }
    /// The switch does something, and its time is counted.
    fn at_switch(
        &mut self,
        what: impl FnOnce(&mut TerminalTap<SwitchCall>, &mut Switch<S>) -> Result<TapStep<SwitchNotice>, Failure>,
    ) -> Result<(), Failure> {
        let before = thread_nanoseconds();
        let step = what(&mut self.right, self.sides.1)?;
        self.heard.switch_ns += thread_nanoseconds() - before;
        for notice in step.notices {
            match notice {
                SwitchNotice::Proceed => self.heard.rang = true,
                SwitchNotice::HangUp(how) => self.hung_up = Some(how),
                SwitchNotice::Over(receipt) => self.heard.receipt = Some(receipt),
                SwitchNotice::Refused(why) => self.heard.refused = Some(why.advice().to_owned()),
                SwitchNotice::Failed(fault) => return Err(fault.into()),
                SwitchNotice::Warn(_) => {}
            }
        }
        let at = self.ms + self.plan.delay;
        self.down.extend(step.frames.into_iter().map(|frame| (at, frame)));
        Ok(())
    }
    /// What the wallet says is on its way.
    fn send(&mut self, frames: Vec<Vec<u8>>) {
        let at = self.ms + self.plan.delay;
        self.up.extend(frames.into_iter().map(|frame| (at, frame)));
    }
    fn walleted(&mut self, step: TapStep<CallerNotice>) -> Result<(), Failure> {
        self.send(step.frames);
        for notice in step.notices {
            match notice {
                CallerNotice::Consent { .. } => {
                    let now = self.now();
                    let step = self.wallet.event(Event::Agreed, now, self.sides.0)?;
                    self.send(step.frames);
                }
                CallerNotice::Cannot(why) => self.heard.refused = Some(why.to_string()),
                CallerNotice::Failed(fault) => return Err(fault.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A number drawn from a seed and a place, below a bound.
pub fn drawn(seed: u64, place: &[u64], bound: u64) -> u64 {
    let mut bytes = seed.to_be_bytes().to_vec();
    bytes.extend(place.iter().flat_map(|part| part.to_be_bytes()));
    let hash = Hash::of(&bytes).0;
    let number = hash.first_chunk::<8>().map_or(0, |chunk| u64::from_be_bytes(*chunk));
    number % bound.max(1)
}
