//! One tap over a link that loses, repeats and changes frames, between sides that may cheat.
//!
//! Both sides are the real conversations; only sealed frames pass between them. What a side says is seen before it is
//! sealed, so that the town can check what a wallet says to whom (R17), and so that a cheat can say something else.

use crate::dice::Dice;
use crate::fault::FrameFault;
use crate::link::{Air, Link};
use crate::talk::Steps;
use std::collections::VecDeque;
use tegata_core::card::{CardCertificate, CardEvent, Counterpart, Raise};
use tegata_core::record::{RecordKey, Space};
use tegata_core::step::{Event, Records};
use tegata_core::talk::pay::{
    Charged, Checked, PayMessage, Payer, Sale, TerminalNotice, TerminalPay, WalletNotice, WalletPay, load_purse,
};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Signed, Unsigned};
use tegata_core::{CardId, DeviceId, Hash, Time};
use tegata_device::{Device, Now, Out};
use tegata_link::{LinkError, Session, TerminalPending, WalletHello};
use tegata_vault::SimulatedVault;

/// What the user does when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Agrees.
    Agree,
    /// Declines.
    Decline,
    /// Walks away with the question on the screen.
    Leave,
}

/// How a wallet cheats in a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalletCheat {
    /// Signs a remaining that is higher than it is, by this much.
    ForgeRemaining(u64),
    /// Sends a check whose signature is garbage.
    Garbage,
    /// Signs another check for a charge that it has answered, at the next number.
    Second,
}

/// How a terminal cheats in a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalCheat {
    /// Presents a charge of an earlier session, made for another wallet.
    ReplayCharge,
    /// Presents another terminal's name with its own proof.
    FalseProof,
    /// Keeps the receipt.
    NoReceipt,
}

/// What happens in a tap.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The user's answer.
    pub answer: Answer,
    /// The frame (from 0, both directions) that something happens to.
    pub fault: Option<(usize, FrameFault)>,
    /// The wallet cheats.
    pub wallet_cheat: Option<WalletCheat>,
    /// The terminal cheats.
    pub terminal_cheat: Option<TerminalCheat>,
    /// Both sides are newer and send fields that the other does not know.
    pub newer: bool,
    /// The check is held back between signature and store, while another process uses the wallet.
    pub hold: bool,
}

impl Plan {
    /// Nothing goes wrong.
    pub const PLAIN: Self = Self {
        answer: Answer::Agree,
        fault: None,
        wallet_cheat: None,
        terminal_cheat: None,
        newer: false,
        hold: false,
    };
}

/// What the town sees of a tap.
#[derive(Debug, Default)]
pub struct Seen {
    /// What the wallet showed.
    pub wallet: Vec<WalletNotice>,
    /// What the terminal showed.
    pub terminal: Vec<TerminalNotice>,
    /// The session, by the wallet's transcript.
    pub session: Option<Hash>,
    /// What must never happen, in words.
    pub wrong: Vec<String>,
    /// Frames that crossed.
    pub crossed: usize,
    /// The wallet's other half of a cheat was carried out.
    pub cheated: bool,
    /// Checks that reached the terminal and their evidence, to be judged again by the town.
    pub checks: Vec<Shown>,
}

/// A check with what came along: the card's certificate and raises.
pub type Shown = (Option<Signed<CardCertificate>>, Vec<Raise>, Signed<CardEvent>);

/// Who has which clock.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The true time.
    pub time: Time,
    /// What the wallet's clock is off by, in seconds.
    pub wallet: i64,
    /// What the terminal's clock is off by, in seconds.
    pub terminal: i64,
}

/// A clock that is off.
pub fn skewed(time: Time, skew: i64) -> Time {
    Time(time.0.saturating_add_signed(skew))
}

/// A tap under way.
pub struct Tap {
    hello: Option<WalletHello>,
    wallet_session: Option<Session>,
    terminal_session: Option<Session>,
    wallet: Steps<WalletPay>,
    terminal: Steps<TerminalPay>,
    card: CardId,
    expires: Option<Time>,
    charged: Option<(Hash, DeviceId, Vec<u8>)>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    recognised: bool,
    link: Link,
    plan: Plan,
    /// What was seen so far.
    pub seen: Seen,
}

type Vaulted = Device<SimulatedVault>;

impl Tap {
    /// The wallet touches.
    ///
    /// # Errors
    /// The library failed.
    pub fn start(payer: Payer, sale: Sale, plan: Plan, dice: &mut Dice) -> Result<Self, LinkError> {
        let (hello, frame) = WalletHello::new(dice.entropy())?;
        Ok(Self {
            hello: Some(hello),
            wallet_session: None,
            terminal_session: None,
            card: payer.card,
            wallet: Steps::new(WalletPay::new(payer)),
            terminal: Steps::new(TerminalPay::new(sale)),
            expires: None,
            charged: None,
            up: VecDeque::from([frame]),
            down: VecDeque::new(),
            link: Link::new(plan.fault),
            recognised: false,
            plan,
            seen: Seen::default(),
        })
    }

    /// Whether the wallet's other process may now run; [`Tap::run`] goes on afterwards.
    pub fn is_holding(&self) -> bool {
        self.wallet.is_holding()
    }

    /// Runs to the end, or until the wallet holds its check back.
    pub fn run(
        &mut self,
        (wallet, terminal): (&mut Vaulted, &mut Vaulted),
        clocks: Clocks,
        air: &mut Air,
        dice: &mut Dice,
    ) {
        let wallet_now = |dice: &mut Dice| Now { time: skewed(clocks.time, clocks.wallet), entropy: dice.entropy() };
        let terminal_now =
            |dice: &mut Dice| Now { time: skewed(clocks.time, clocks.terminal), entropy: dice.entropy() };
        if self.wallet.is_holding() {
            let outs = self.wallet.release(wallet_now(dice), wallet);
            self.wallet_outs(outs, wallet);
        }
        while !(self.up.is_empty() && self.down.is_empty()) {
            while let Some(frame) = self.up.pop_front() {
                for frame in self.cross(frame, terminal, clocks, air, dice) {
                    self.at_terminal(&frame, terminal_now(dice), terminal, air, dice);
                }
            }
            while let Some(frame) = self.down.pop_front() {
                for frame in self.cross(frame, terminal, clocks, air, dice) {
                    self.at_wallet(&frame, wallet_now(dice), wallet);
                    if self.wallet.is_holding() {
                        return;
                    }
                }
            }
        }
        if !self.wallet.is_over() {
            let outs = self.wallet.deliver(Event::Lost, wallet_now(dice), wallet, false);
            self.wallet_outs(outs, wallet);
        }
        if !self.terminal.is_over() {
            let outs = self.terminal.deliver(Event::Lost, terminal_now(dice), terminal, false);
            self.terminal_outs(outs, None, air);
        }
    }

    /// What the link does to a frame.
    fn cross(
        &mut self,
        frame: Vec<u8>,
        terminal: &mut Vaulted,
        clocks: Clocks,
        air: &mut Air,
        dice: &mut Dice,
    ) -> Vec<Vec<u8>> {
        let crossed = self.link.cross(frame, air, dice);
        self.seen.crossed = self.link.crossed();
        if let (true, Some(expires)) = (crossed.expires, self.expires) {
            let now = Now { time: expires.max(skewed(clocks.time, clocks.terminal)), entropy: dice.entropy() };
            let outs = self.terminal.deliver(Event::Tick, now, terminal, false);
            self.terminal_outs(outs, None, air);
        }
        crossed.frames
    }

    fn at_terminal(&mut self, frame: &[u8], now: Now, terminal: &mut Vaulted, air: &mut Air, dice: &mut Dice) {
        if let Some(session) = &mut self.terminal_session {
            let event = match session.open(frame) {
                Ok(plain) => {
                    self.note_check(&plain);
                    Event::Received(plain)
                }
                Err(_) => Event::Lost,
            };
            let outs = self.terminal.deliver(event, now, terminal, false);
            return self.terminal_outs(outs, None, air);
        }
        if self.terminal.is_over() {
            return;
        }
        let Ok((pending, transcript)) = tegata_link::accept(dice.entropy(), frame) else {
            return;
        };
        let mut outs = self.terminal.deliver(Event::Opened(transcript), now, terminal, false);
        if self.plan.terminal_cheat == Some(TerminalCheat::FalseProof) {
            self.falsify(&mut outs, air);
        }
        self.terminal_outs(outs, Some(pending), air);
    }

    /// Another terminal's name in front of this one's proof. What is in the air may itself be falsified, and bear this
    /// terminal's name: with that in front, the proof would be a true one.
    fn falsify(&mut self, outs: &mut [Out<TerminalNotice>], air: &Air) {
        for out in outs {
            let Out::Send(proof) = out else { continue };
            let names = air.proofs.iter().filter_map(|(_, other)| other.get(..8));
            if let Some(name) = names.into_iter().find(|name| proof.get(..8) != Some(*name)) {
                proof.splice(..8, name.iter().copied());
                self.seen.cheated = true;
            }
        }
    }

    fn at_wallet(&mut self, frame: &[u8], now: Now, wallet: &mut Vaulted) {
        let event = match (self.hello.take(), &mut self.wallet_session) {
            (Some(hello), _) => match hello.finish(frame) {
                Ok((session, transcript, proof)) => {
                    self.wallet_session = Some(session);
                    self.seen.session = Some(transcript);
                    self.wallet.deliver(Event::Opened(transcript), now, wallet, false);
                    let named = proof.get(..8).map(|name| RecordKey::new(Space::Certificate, name));
                    self.recognised = named.is_some_and(|key| wallet.get(&key).is_some());
                    Event::Received(proof)
                }
                Err(_) => Event::Lost,
            },
            (None, Some(session)) => session.open(frame).map_or(Event::Lost, Event::Received),
            (None, None) => Event::Lost,
        };
        if let Event::Received(bytes) = &event {
            self.note_charge(bytes);
        }
        let outs = self.wallet.deliver(event, now, wallet, false);
        let asked = outs.iter().any(|out| matches!(out, Out::Show(WalletNotice::Consent { .. })));
        self.wallet_outs(outs, wallet);
        if asked {
            let event = match self.plan.answer {
                Answer::Agree => Event::Agreed,
                Answer::Decline => Event::Declined,
                Answer::Leave => Event::Lost,
            };
            let outs = self.wallet.deliver(event, now, wallet, self.plan.hold);
            self.wallet_outs(outs, wallet);
        }
    }

    fn note_charge(&mut self, plain: &[u8]) {
        if let Ok(PayMessage::Charged(charged)) = PayMessage::from_bytes(plain) {
            let session = charged.session.or(self.seen.session).unwrap_or(Hash::ZERO);
            if let Some(terminal) = self.terminal_id() {
                self.charged = Some((session, terminal, charged.charge.payload().to_vec()));
            }
        }
    }

    fn terminal_id(&self) -> Option<DeviceId> {
        self.charged.as_ref().map(|(_, terminal, _)| *terminal)
    }

    /// Tells which terminal stands at the other end, for cheats that need it.
    pub fn at(&mut self, terminal: DeviceId) {
        self.charged = Some((Hash::ZERO, terminal, Vec::new()));
    }

    fn note_check(&mut self, plain: &[u8]) {
        if let Ok(PayMessage::Checked(checked)) = PayMessage::from_bytes(plain) {
            self.seen.checks.push((checked.certificate, checked.raises.unwrap_or_default(), checked.check));
        }
    }

    fn wallet_outs(&mut self, outs: Vec<Out<WalletNotice>>, wallet: &Vaulted) {
        for out in outs {
            match out {
                Out::Show(notice) => self.seen.wallet.push(notice),
                Out::WaitUntil(_) => {}
                Out::Send(plain) => {
                    let plain = self.wallet_says(plain, wallet);
                    let sealed = self.wallet_session.as_mut().and_then(|session| session.seal(&plain).ok());
                    self.up.extend(sealed);
                }
            }
        }
    }

    /// What the wallet says: nothing but kinds and issuers to a terminal that it does not recognise (R17).
    fn wallet_says(&mut self, plain: Vec<u8>, wallet: &Vaulted) -> Vec<u8> {
        let Ok(message) = PayMessage::from_bytes(&plain) else {
            return plain;
        };
        match message {
            PayMessage::Offer(mut offer) => {
                if !self.recognised && (offer.checkpoint.is_some() || offer.resume.is_some()) {
                    self.seen.wrong.push("R17: a wallet named its card to a terminal not authenticated".into());
                }
                if self.recognised && self.plan.terminal_cheat == Some(TerminalCheat::FalseProof) && self.seen.cheated {
                    self.seen.wrong.push("R17: a wallet went on after a proof that is false".into());
                }
                if self.plan.newer {
                    offer.extensions.push(200, vec![0xf5]);
                }
                PayMessage::Offer(offer).to_bytes()
            }
            PayMessage::Checked(checked) => PayMessage::Checked(self.cheat(checked, wallet)).to_bytes(),
            other => other.to_bytes(),
        }
    }

    fn cheat(&mut self, mut checked: Checked, wallet: &Vaulted) -> Checked {
        if self.plan.newer {
            checked.extensions.push(128, vec![0x01]);
        }
        let Some(cheat) = self.plan.wallet_cheat else {
            return checked;
        };
        let mut event = checked.check.claimed().clone();
        match cheat {
            WalletCheat::ForgeRemaining(more) => event.remaining += more,
            WalletCheat::Second => {
                event.seq += 1;
                event.remaining = event.remaining.saturating_sub(event.amount);
                event.previous = Hash::of(&event.previous.0);
            }
            WalletCheat::Garbage => event.amount += 1,
        }
        if let Some(check) = self.signed(event, wallet, cheat == WalletCheat::Garbage) {
            self.seen.cheated = true;
            checked.check = check;
        }
        checked
    }

    fn signed(&self, event: CardEvent, wallet: &Vaulted, garbage: bool) -> Option<Signed<CardEvent>> {
        let purse = load_purse(wallet, self.card)?;
        let said = purse.certificate.claimed();
        let (session, terminal, charge) = self.charged.as_ref()?;
        let counterpart = Counterpart::Charge { session: *session, terminal: *terminal, charge };
        let context = CardEvent::context(said.card, said.generation, &counterpart);
        let event = Unsigned::new(event, said.key.algorithm());
        let mut signature = wallet.ring.sign(&said.key, &event.tbs(&context))?;
        if garbage {
            signature.0[7] ^= 4;
        }
        Some(event.sign(signature))
    }

    fn terminal_outs(&mut self, outs: Vec<Out<TerminalNotice>>, pending: Option<TerminalPending>, air: &mut Air) {
        let mut pending = pending;
        for out in outs {
            match out {
                Out::Show(notice) => self.seen.terminal.push(notice),
                Out::WaitUntil(time) => self.expires = Some(time),
                Out::Send(plain) => match pending.take() {
                    Some(pending) => {
                        if let (Some(id), true) = (self.terminal_id(), air.proofs.len() < 8) {
                            air.proofs.push((id, plain.clone()));
                        }
                        if let Ok((frame, session)) = pending.reply(&plain) {
                            self.terminal_session = Some(session);
                            self.down.push_back(frame);
                        }
                    }
                    None => {
                        if let Some(plain) = self.terminal_says(plain, air) {
                            let sealed = self.terminal_session.as_mut().and_then(|session| session.seal(&plain).ok());
                            self.down.extend(sealed);
                        }
                    }
                },
            }
        }
    }

    fn terminal_says(&mut self, plain: Vec<u8>, air: &mut Air) -> Option<Vec<u8>> {
        let Ok(message) = PayMessage::from_bytes(&plain) else {
            return Some(plain);
        };
        match message {
            PayMessage::Charged(mut charged) => {
                let own = self.terminal_id();
                let older =
                    air.charges.iter().rev().find(|(id, _)| Some(*id) == own).map(|(_, charged)| charged.clone());
                let session = charged.session.or(self.seen.session);
                if let (Some(id), true) = (own, air.charges.len() < 256) {
                    air.charges.push((id, Charged { session, ..charged.clone() }));
                }
                if let (Some(TerminalCheat::ReplayCharge), Some(older)) = (self.plan.terminal_cheat, older) {
                    self.seen.cheated = true;
                    charged = Charged { certificate: charged.certificate, known: charged.known, ..older };
                }
                if self.plan.newer {
                    charged.extensions.push(130, vec![0x80]);
                }
                Some(PayMessage::Charged(charged).to_bytes())
            }
            PayMessage::Receipt(_) if self.plan.terminal_cheat == Some(TerminalCheat::NoReceipt) => {
                self.seen.cheated = true;
                None
            }
            other => Some(other.to_bytes()),
        }
    }
}
