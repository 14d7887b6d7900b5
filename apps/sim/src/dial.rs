//! One call: wallet and switch are the real conversations, and only sealed frames pass between them, over a link that loses, repeats
//! and changes them. What SIP would tell both sides, the plan says. An update of the switch may be under way meanwhile.

use crate::dice::Dice;
use crate::fault::FrameFault;
use crate::link::{Air, Link};
use crate::park::Parked;
use crate::post::Center;
use crate::tap::{Clocks, skewed};
use std::collections::VecDeque;
use std::sync::Arc;
use tegata_core::card::CallEnd;
use tegata_core::step::Event;
use tegata_core::talk::call::{Caller, CallerNotice, Exchange, SwitchCall, SwitchNotice, WalletCall};
use tegata_core::talk::journal::Through;
use tegata_device::{Device, Now, TapError, TapStep, TerminalTap, WalletTap};
use tegata_issuer::Issuer;
use tegata_switch::Switch;
use tegata_vault::SimulatedVault;

/// How a call goes, as far as nobody cheats and nothing fails.
#[derive(Clone, Copy, Debug)]
pub struct Spoken {
    /// How long it rings, in milliseconds.
    pub rings: u64,
    /// How long they would speak; `None`: nobody answers.
    pub speaks: Option<u64>,
    /// How it ends then.
    pub ends: Ends,
    /// The most that the user pays, in cents.
    pub limit: Option<u64>,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The user hangs up, and the wallet waits for the receipt.
    Stop,
    /// The caller's phone hangs up, and the wallet hears nothing more.
    HangsUp,
    /// Whoever was called hangs up; the switch says a last word.
    Called,
    /// Both sides are gone at once.
    Vanishes,
}

/// What the town sees of a call.
#[derive(Debug, Default)]
pub struct Dialled {
    /// What the wallet showed.
    pub wallet: Vec<CallerNotice>,
    /// What the switch showed.
    pub switch: Vec<SwitchNotice>,
    /// It rang.
    pub rang: bool,
    /// Somebody answered, and the switch has forgotten whom a number stood for that does so once.
    pub answered: bool,
    /// How long they spoke, in milliseconds.
    pub spoke: u64,
    /// Frames that crossed.
    pub crossed: usize,
}

/// A call under way.
pub struct Dial {
    wallet: WalletTap<WalletCall>,
    switch: TerminalTap<SwitchCall>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    /// What each side heard last: SIP may bring it twice.
    heard: [Vec<u8>; 2],
    link: Link,
    clocks: Clocks,
    /// Milliseconds since it was dialled.
    ms: u64,
    hung_up: Option<CallEnd>,
    /// The number that was dialled, if it stands for somebody until it is answered.
    once: Option<String>,
    seen: Dialled,
}

type Vaulted = Device<SimulatedVault>;
type Sides<'a, 'b> = (&'a mut Vaulted, &'a mut SwitchSide<'b>);

/// The switch's side of a call.
pub struct SwitchSide<'a> {
    /// The switch.
    pub own: &'a mut Switch<SimulatedVault>,
    /// Its line to the provider.
    pub center: &'a mut Center,
    /// The issuer of the cards that pay.
    pub issuer: &'a mut Issuer<SimulatedVault>,
    /// An update that goes on meanwhile.
    pub parked: Option<&'a mut Parked>,
}

impl Dial {
    /// Somebody dials.
    ///
    /// # Errors
    /// The library failed.
    pub fn start(
        (caller, exchange, through): (Caller, Arc<Exchange>, Option<Through>),
        clocks: Clocks,
        fault: Option<(usize, FrameFault)>,
        dice: &mut Dice,
    ) -> Result<Self, TapError> {
        let called = caller.called.clone();
        let (wallet, hello) = WalletTap::touch(WalletCall::new(caller), dice.entropy())?;
        Ok(Self {
            wallet,
            switch: TerminalTap::waiting(SwitchCall::new(exchange, called).through(through)),
            up: VecDeque::from([hello]),
            down: VecDeque::new(),
            heard: [Vec::new(), Vec::new()],
            link: Link::new(fault),
            clocks,
            ms: 0,
            hung_up: None,
            once: None,
            seen: Dialled::default(),
        })
    }

    /// To a number that stands for somebody once, until it is answered.
    pub fn once(self, number: Option<String>) -> Self {
        Self { once: number, ..self }
    }

    /// Runs to the end.
    pub fn run(mut self, sides: Sides<'_, '_>, plan: Spoken, air: &mut Air, dice: &mut Dice) -> Dialled {
        let (wallet, switch) = sides;
        self.carry((wallet, switch), air, dice);
        if self.seen.rang {
            self.ms += plan.rings;
            self.meanwhile(switch, dice);
            match (self.hung_up.take(), plan.speaks) {
                (Some(how), _) => self.over(how, (wallet, switch), air, dice),
                (None, Some(speaks)) => self.speak(speaks, (wallet, switch), air, dice),
                (None, None) => self.over(CallEnd::NoAnswer, (wallet, switch), air, dice),
            }
        }
        match plan.ends {
            Ends::Vanishes => {}
            Ends::Stop if !self.wallet.is_over() && self.hung_up.is_none() => {
                self.wallet.talking().tell(WalletCall::stop);
                self.look((wallet, switch), air, dice);
                self.over(CallEnd::HungUp, (wallet, switch), air, dice);
            }
            Ends::Called => self.over(CallEnd::CalledHungUp, (wallet, switch), air, dice),
            Ends::Stop | Ends::HangsUp => self.over(CallEnd::HungUp, (wallet, switch), air, dice),
        }
        self.seen.crossed = self.link.crossed();
        self.seen
    }

    fn now(&self, skew: i64, dice: &mut Dice) -> Now {
        Now { time: skewed(self.clocks.time.after(self.ms / 1000), skew), entropy: dice.entropy() }
    }

    /// They speak; both sides look whenever they want to, and the switch hangs up when what is paid is over.
    fn speak(&mut self, lasts: u64, sides: Sides<'_, '_>, air: &mut Air, dice: &mut Dice) {
        let (wallet, switch) = sides;
        let (since, ms) = (self.ms, self.ms);
        self.wallet.talking().tell(|call| call.at(ms).answered());
        self.switch.talking().tell(|call| call.at(ms).answered());
        // The desk writes that with what the call stores; where it cannot, the call ends.
        let forgotten = self.once.take().map(|number| switch.own.forget(&number));
        if let Some(Err(_)) = forgotten {
            return self.over(CallEnd::Failed, (wallet, switch), air, dice);
        }
        self.seen.answered = true;
        let until = since + lasts;
        self.look((wallet, switch), air, dice);
        // A switch that is dead hears nothing, and connects nobody.
        while !self.switch.is_over() && !switch.own.device.vault.is_off() && self.ms < until {
            let left = self.wallet.talking().look(WalletCall::due).flatten();
            let right = self.switch.talking().look(SwitchCall::due).flatten();
            let next = left.into_iter().chain(right).filter(|due| *due > self.ms).min();
            self.ms = next.unwrap_or(until).min(until);
            self.look((wallet, switch), air, dice);
        }
        self.seen.spoke = self.ms - since;
    }

    /// What of the switch's update is due happens now. A call of a card that is dead by what that has brought ends, as at the desk.
    fn meanwhile(&mut self, switch: &mut SwitchSide<'_>, dice: &mut Dice) {
        let crossed = self.link.crossed();
        while switch.parked.as_ref().is_some_and(|parked| parked.is_due(crossed)) {
            let now = self.now(self.clocks.terminal, dice);
            if let Some(parked) = &mut switch.parked {
                parked.go_on(crossed, (&mut *switch.own, &mut *switch.center, &mut *switch.issuer), now);
            }
            let paying = self.switch.talking().look(SwitchCall::card).flatten();
            let dead = |(card, generation)| switch.own.exchange().is_ok_and(|it| it.anchors.is_dead(card, generation));
            if paying.is_some_and(dead) {
                self.hung_up = Some(CallEnd::CardBlocked);
            }
        }
    }

    /// Both sides look, and what they say is carried.
    fn look(&mut self, sides: Sides<'_, '_>, air: &mut Air, dice: &mut Dice) {
        let (wallet, switch) = sides;
        self.meanwhile(switch, dice);
        if let Some(how) = self.hung_up.take() {
            return self.over(how, (wallet, switch), air, dice);
        }
        let ms = self.ms;
        self.wallet.talking().tell(|call| call.at(ms));
        self.switch.talking().tell(|call| call.at(ms));
        let now = self.now(self.clocks.wallet, dice);
        self.tell_wallet(Event::Tick, now, wallet);
        let now = self.now(self.clocks.terminal, dice);
        self.tell_switch(Event::Tick, now, switch);
        self.carry((wallet, switch), air, dice);
        if let Some(how) = self.hung_up.take() {
            self.over(how, (wallet, switch), air, dice);
        }
    }

    /// The call is over for SIP. A last word of the switch may arrive; then the wallet hears that it is over.
    fn over(&mut self, how: CallEnd, sides: Sides<'_, '_>, air: &mut Air, dice: &mut Dice) {
        let (wallet, switch) = sides;
        let ms = self.ms;
        self.switch.talking().tell(|call| call.at(ms).ended(how));
        let now = self.now(self.clocks.terminal, dice);
        self.tell_switch(Event::Tick, now, switch);
        self.carry((wallet, switch), air, dice);
        self.wallet.talking().tell(|call| call.at(ms).hung_up());
        let now = self.now(self.clocks.wallet, dice);
        self.tell_wallet(Event::Tick, now, wallet);
    }

    fn carry(&mut self, sides: Sides<'_, '_>, air: &mut Air, dice: &mut Dice) {
        let (wallet, switch) = sides;
        while !(self.up.is_empty() && self.down.is_empty()) {
            while let Some(frame) = self.up.pop_front() {
                self.meanwhile(switch, dice);
                for frame in self.link.cross(frame, air, dice).frames {
                    let now = self.now(self.clocks.terminal, dice);
                    self.at_switch(&frame, now, switch);
                }
            }
            while let Some(frame) = self.down.pop_front() {
                self.meanwhile(switch, dice);
                for frame in self.link.cross(frame, air, dice).frames {
                    let now = self.now(self.clocks.wallet, dice);
                    self.at_wallet(&frame, now, wallet);
                }
            }
        }
    }

    fn at_switch(&mut self, frame: &[u8], now: Now, switch: &mut SwitchSide<'_>) {
        if std::mem::replace(&mut self.heard[0], frame.to_vec()) == frame || self.switch.is_over() {
            return;
        }
        let ms = self.ms;
        self.switch.talking().tell(|call| call.at(ms));
        match self.switch.receive(frame, now, &mut switch.own.device) {
            Ok(step) => self.switched(step, switch),
            Err(_) => self.tell_switch(Event::Lost, now, switch),
        }
    }
    fn at_wallet(&mut self, frame: &[u8], now: Now, wallet: &mut Vaulted) {
        if std::mem::replace(&mut self.heard[1], frame.to_vec()) == frame || self.wallet.is_over() {
            return;
        }
        let ms = self.ms;
        self.wallet.talking().tell(|call| call.at(ms));
        match self.wallet.receive(frame, now, wallet) {
            Ok(step) => self.walleted(step, now, wallet),
            Err(_) => self.tell_wallet(Event::Lost, now, wallet),
        }
    }
    fn tell_switch(&mut self, event: Event, now: Now, switch: &mut SwitchSide<'_>) {
        if let Ok(step) = self.switch.event(event, now, &mut switch.own.device) {
            self.switched(step, switch);
        }
    }
    fn tell_wallet(&mut self, event: Event, now: Now, wallet: &mut Vaulted) {
        if let Ok(step) = self.wallet.event(event, now, wallet) {
            self.walleted(step, now, wallet);
        }
    }

    /// What a device says that has lost its power is never heard.
    fn switched(&mut self, step: TapStep<SwitchNotice>, switch: &SwitchSide<'_>) {
        if switch.own.device.vault.is_off() {
            return;
        }
        for notice in &step.notices {
            match notice {
                SwitchNotice::Proceed => self.seen.rang = true,
                SwitchNotice::HangUp(how) => self.hung_up = Some(*how),
                _ => {}
            }
        }
        self.seen.switch.extend(step.notices);
        self.down.extend(step.frames);
    }
    fn walleted(&mut self, step: TapStep<CallerNotice>, now: Now, wallet: &mut Vaulted) {
        if wallet.vault.is_off() {
            return;
        }
        let asked = step.notices.iter().any(|notice| matches!(notice, CallerNotice::Consent { .. }));
        self.seen.wallet.extend(step.notices);
        self.up.extend(step.frames);
        if asked {
            self.tell_wallet(Event::Agreed, now, wallet);
        }
    }
}
