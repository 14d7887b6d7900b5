//! One tap that pays by credit: the wallet offers, the terminal names the price, the user agrees. Both sides are the real
//! conversations; only sealed frames pass between them.

use crate::dice::Dice;
use crate::link::{Air, Link};
use crate::talk::Steps;
use crate::tap::{Answer, Clocks, Plan, skewed};
use std::collections::VecDeque;
use tegata_core::step::{Event, Talk};
use tegata_core::talk::credit::{CreditNotice, CreditPay, CreditPayer};
use tegata_core::talk::pay::{PayMessage, Sale, TerminalNotice, TerminalPay};
use tegata_core::wire::canonical::Wire;
use tegata_device::{Device, Now, Out};
use tegata_link::{LinkError, Session, TerminalPending, WalletHello};
use tegata_vault::SimulatedVault;

type Vaulted = Device<SimulatedVault>;

/// What the town sees of it.
#[derive(Debug, Default)]
pub struct Offered {
    /// What the wallet showed.
    pub wallet: Vec<CreditNotice>,
    /// What the terminal showed.
    pub terminal: Vec<TerminalNotice>,
    /// What must never happen, in words.
    pub wrong: Vec<String>,
    /// Frames that crossed.
    pub crossed: usize,
}

/// A tap by credit under way.
pub struct Counter {
    hello: Option<WalletHello>,
    wallet_session: Option<Session>,
    terminal_session: Option<Session>,
    wallet: Steps<CreditPay>,
    terminal: Steps<TerminalPay>,
    expires: Option<tegata_core::Time>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    link: Link,
    answer: Answer,
    proven: bool,
    seen: Offered,
}

impl Counter {
    /// The wallet touches.
    ///
    /// # Errors
    /// The library failed.
    pub fn start(payer: CreditPayer, sale: Sale, plan: &Plan, dice: &mut Dice) -> Result<Self, LinkError> {
        let (hello, frame) = WalletHello::new(dice.entropy())?;
        Ok(Self {
            hello: Some(hello),
            wallet_session: None,
            terminal_session: None,
            wallet: Steps::new(CreditPay::new(payer)),
            terminal: Steps::new(TerminalPay::new(sale)),
            expires: None,
            up: VecDeque::from([frame]),
            down: VecDeque::new(),
            link: Link::new(plan.fault),
            answer: plan.answer,
            proven: false,
            seen: Offered::default(),
        })
    }

    /// Runs to the end.
    pub fn run(
        mut self,
        (wallet, terminal): (&mut Vaulted, &mut Vaulted),
        clocks: Clocks,
        air: &mut Air,
        dice: &mut Dice,
    ) -> Offered {
        let wallet_now = |dice: &mut Dice| Now { time: skewed(clocks.time, clocks.wallet), entropy: dice.entropy() };
        let terminal_now =
            |dice: &mut Dice| Now { time: skewed(clocks.time, clocks.terminal), entropy: dice.entropy() };
        while !(self.up.is_empty() && self.down.is_empty()) {
            let to_terminal = !self.up.is_empty();
            let Some(frame) = self.up.pop_front().or_else(|| self.down.pop_front()) else {
                break;
            };
            let crossed = self.link.cross(frame, air, dice);
            if let (true, Some(expires)) = (crossed.expires, self.expires) {
                let now = Now { time: expires.max(skewed(clocks.time, clocks.terminal)), entropy: dice.entropy() };
                let outs = self.terminal.deliver(Event::Tick, now, terminal, false);
                self.terminal_outs(outs, None);
            }
            for frame in crossed.frames {
                if to_terminal {
                    self.at_terminal(&frame, terminal_now(dice), terminal, dice);
                } else {
                    self.at_wallet(&frame, wallet_now(dice), wallet);
                }
            }
        }
        if !self.wallet.is_over() {
            let outs = self.wallet.deliver(Event::Lost, wallet_now(dice), wallet, false);
            self.wallet_outs(outs);
        }
        if !self.terminal.is_over() {
            let outs = self.terminal.deliver(Event::Lost, terminal_now(dice), terminal, false);
            self.terminal_outs(outs, None);
        }
        self.seen.crossed = self.link.crossed();
        self.seen
    }

    fn at_terminal(&mut self, frame: &[u8], now: Now, terminal: &mut Vaulted, dice: &mut Dice) {
        if let Some(session) = &mut self.terminal_session {
            let event = session.open(frame).map_or(Event::Lost, Event::Received);
            let outs = self.terminal.deliver(event, now, terminal, false);
            return self.terminal_outs(outs, None);
        }
        if self.terminal.is_over() {
            return;
        }
        let Ok((pending, transcript)) = tegata_link::accept(dice.entropy(), frame) else {
            return;
        };
        let outs = self.terminal.deliver(Event::Opened(transcript), now, terminal, false);
        self.terminal_outs(outs, Some(pending));
    }

    fn at_wallet(&mut self, frame: &[u8], now: Now, wallet: &mut Vaulted) {
        let event = match (self.hello.take(), &mut self.wallet_session) {
            (Some(hello), _) => match hello.finish(frame) {
                Ok((session, transcript, proof)) => {
                    self.wallet_session = Some(session);
                    self.proven = true;
                    self.wallet.deliver(Event::Opened(transcript), now, wallet, false);
                    Event::Received(proof)
                }
                Err(_) => Event::Lost,
            },
            (None, Some(session)) => session.open(frame).map_or(Event::Lost, Event::Received),
            (None, None) => Event::Lost,
        };
        let asked = deliver(&mut self.wallet, event, now, wallet);
        let asks = asked.iter().any(|out| matches!(out, Out::Show(CreditNotice::Consent { .. })));
        self.wallet_outs(asked);
        if asks {
            let event = match self.answer {
                Answer::Agree => Event::Agreed,
                Answer::Decline => Event::Declined,
                Answer::Leave => Event::Lost,
            };
            let outs = deliver(&mut self.wallet, event, now, wallet);
            self.wallet_outs(outs);
        }
    }

    fn wallet_outs(&mut self, outs: Vec<Out<CreditNotice>>) {
        for out in outs {
            match out {
                Out::Show(notice) => self.seen.wallet.push(notice),
                Out::WaitUntil(_) => {}
                Out::Send(plain) => {
                    if !self.proven && !matches!(PayMessage::from_bytes(&plain), Ok(PayMessage::Refused(_))) {
                        self.seen.wrong.push("R17: a wallet offered before the terminal proved itself".into());
                    }
                    let sealed = self.wallet_session.as_mut().and_then(|session| session.seal(&plain).ok());
                    self.up.extend(sealed);
                }
            }
        }
    }

    fn terminal_outs(&mut self, outs: Vec<Out<TerminalNotice>>, pending: Option<TerminalPending>) {
        let mut pending = pending;
        for out in outs {
            match out {
                Out::Show(notice) => self.seen.terminal.push(notice),
                Out::WaitUntil(time) => self.expires = Some(time),
                Out::Send(plain) => match pending.take() {
                    Some(pending) => {
                        if let Ok((frame, session)) = pending.reply(&plain) {
                            self.terminal_session = Some(session);
                            self.down.push_back(frame);
                        }
                    }
                    None => {
                        let sealed = self.terminal_session.as_mut().and_then(|session| session.seal(&plain).ok());
                        self.down.extend(sealed);
                    }
                },
            }
        }
    }
}

fn deliver<T: Talk>(steps: &mut Steps<T>, event: Event, now: Now, device: &mut Vaulted) -> Vec<Out<T::Notice>> {
    steps.deliver(event, now, device, false)
}
