//! A wallet that calls: the payment conversation of the core on one side, a SIP phone on the other. Words pass between the two as
//! they come; the wallet's own clock says when a unit is due. Being called costs nothing, and needs no card.

use crate::hotspot::Person;
use crate::lasting::Lasting;
use crate::wallet::{Wallet, WalletError};
use std::time::{Duration, Instant};
use tegata_core::card::{CallEnd, CallReceipt};
use tegata_core::record::Space;
use tegata_core::step::{Event, Fault};
use tegata_core::talk::call::{Caller, CallerNotice, Calling, CallingState, WalletCall};
use tegata_core::wire::canonical::Wire;
use tegata_core::{Amount, CardId, Handle, Time};
use tegata_crypto_native::entropy;
use tegata_device::{Device, Now, TapError, TapStep, WalletTap, hang_up_all, take_up_all};
use tegata_sip::reason::Reason;
use tegata_sip::{Body, CallId, Line, Number, PhoneCommand, PhoneEvent};
use tegata_vault::Vault;

/// How often the person is asked whether it shall end.
const LOOK: Duration = Duration::from_millis(100);
/// How long a switch that was told to stop may take for the receipt.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why there was no call, or it broke.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// The switch does not let this phone in.
    #[error(
        "the switch does not know this phone ({0}); ask its operator for a number and password: tegata switch NAME phone NUMBER"
    )]
    Unknown(String),
    /// Nobody answers, or nobody who is in order.
    #[error("the switch cannot be reached ({0}); nothing was paid. Is it running, and is its address right?")]
    Away(String),
    /// What was dialled.
    #[error("'{0}' is no number; dial digits, with or without +")]
    NoNumber(String),
    /// The conversation broke. What was paid is logged, and the provider says what it cost.
    #[error("the conversation about paying broke ({0}); the call was hung up. What it cost comes with the next update")]
    Tap(#[from] TapError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
    /// Bringing the rest back failed.
    #[error(transparent)]
    Update(#[from] tegata_device::UpdateError),
    /// The phone has stopped.
    #[error("the phone has stopped; dial again")]
    Stopped,
}

/// What is heard of a call beside the payment conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It rings: there, or here if somebody calls.
    Ringing(Option<Number>),
    /// People talk.
    Answered,
    /// A text of the switch.
    Text(String),
}

/// A person at a phone.
pub trait Speaker: Person {
    /// Something happened.
    fn hears(&mut self, what: &Heard);
    /// People have talked for so many milliseconds, by this side's clock. Said some times a second.
    fn talks(&mut self, _lasted: u64) {}
}

/// A call that has ended, or did not come about.
#[derive(Clone, Debug)]
pub struct Called {
    /// What the switch said at the end.
    pub reason: Reason,
    /// How long people talked by this side's clock, in milliseconds; `None`: nobody answered.
    pub lasted: Option<u64>,
    /// What was paid for it, if anything was.
    pub paid: Option<Amount>,
    /// What it cost, if the switch has said so; else the provider will.
    pub receipt: Option<CallReceipt>,
    /// What of it comes back: at once, or with the next update where the card has taken up two already (R6).
    pub returned: Option<Amount>,
    /// The receipt says more than this side's clock.
    pub doubtful: bool,
    /// Why no call came about, where the wallet or its card did not want it.
    pub refused: Option<String>,
}

/// Waits until the switch knows this phone.
///
/// # Errors
/// [`PhoneError::Unknown`], [`PhoneError::Away`], [`PhoneError::Stopped`].
pub async fn registered(line: &mut Line) -> Result<(), PhoneError> {
    loop {
        match line.events.recv().await {
            Some(PhoneEvent::Registered(_)) => return Ok(()),
            Some(PhoneEvent::NotRegistered(why)) => return Err(not_registered(why)),
            Some(_) => {}
            None => return Err(PhoneError::Stopped),
        }
    }
}

fn not_registered(Reason { cause, text }: Reason) -> PhoneError {
    match cause {
        401 | 403 | 404 | 407 => PhoneError::Unknown(text),
        _ => PhoneError::Away(text),
    }
}

/// A call under way.
struct Session<'a, V> {
    tap: WalletTap<WalletCall>,
    device: &'a mut Device<V>,
    line: &'a mut Line,
    clock: fn() -> Now,
    person: &'a mut (dyn Speaker + Send),
    start: Instant,
    call: Option<CallId>,
    answered: Option<u64>,
    lasting: Lasting,
    /// Told to stop, and when the phone hangs up by itself.
    stop: Option<Instant>,
    hung_up: bool,
    called: Called,
}

/// Calls somebody and pays until one side hangs up, the card is empty, or the switch is gone. The rest is back on the card then.
///
/// # Errors
/// [`PhoneError`]. Whatever was paid is logged.
pub async fn call<V: Vault>(
    device: &mut Device<V>,
    mut caller: Caller,
    line: &mut Line,
    clock: fn() -> Now,
    person: &mut (dyn Speaker + Send),
) -> Result<Called, PhoneError> {
    // What is paid for is what SIP connects: one spelling on both sides.
    let to = Number::read(&caller.called).map_err(|_| PhoneError::NoNumber(caller.called.clone()))?;
    caller.called = to.as_str().to_owned();
    let card = caller.payer.card;
    // A call that was cut off with this device is over, whatever it cost (R8).
    hang_up_all(device, clock())?;
    let (tap, hello) = WalletTap::touch(WalletCall::new(caller), entropy::fresh())?;
    let dial = PhoneCommand::Dial { to, body: Some(Body(hello)) };
    line.commands.send(dial).map_err(|_| PhoneError::Stopped)?;
    let called = Called {
        reason: Reason::new(200, ""),
        lasted: None,
        paid: None,
        receipt: None,
        returned: None,
        doubtful: false,
        refused: None,
    };
    let start = Instant::now();
    let mut session = Session {
        tap,
        device,
        line,
        clock,
        person,
        start,
        call: None,
        answered: None,
        lasting: Lasting::default(),
        stop: None,
        hung_up: false,
        called,
    };
    let ran = session.run().await;
    let Session { device, called, .. } = session;
    // Nothing stays open, whatever happened, and the rest needs nobody else to come back.
    hang_up_all(device, clock())?;
    take_up_all(device, card, clock())?;
    ran.map(|()| called)
}

impl<V: Vault> Session<'_, V> {
    fn ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn run(&mut self) -> Result<(), PhoneError> {
        loop {
            let wait = self.wait();
            tokio::select! {
                event = self.line.events.recv() => match event {
                    Some(PhoneEvent::Ended { reason, .. }) => return self.ended(reason),
                    Some(event) => self.happened(event)?,
                    None => {
                        self.ended(Reason::new(408, "The phone has stopped"))?;
                        return Err(PhoneError::Stopped);
                    }
                },
                () = tokio::time::sleep(wait) => {}
            }
            if self.stop.is_none() && self.person.ends() {
                self.stop = Some(Instant::now() + PATIENCE);
                self.tap.talking().tell(WalletCall::stop);
            }
            self.look(Event::Tick)?;
            if self.tap.is_over() || self.stop.is_some_and(|until| until <= Instant::now()) {
                self.hang_up();
            }
            if let Some(answered) = self.answered {
                let lasted = self.ms().saturating_sub(answered);
                if let Some(warning) = self.lasting.warns(lasted).filter(|_| !self.tap.is_over()) {
                    self.person.told(&warning);
                }
                self.person.talks(lasted);
            }
        }
    }

    fn wait(&mut self) -> Duration {
        let due = self.tap.talking().look(WalletCall::due).flatten();
        due.map_or(LOOK, |due| Duration::from_millis(due.saturating_sub(self.ms())).min(LOOK))
    }

    fn say(&mut self, command: PhoneCommand) {
        // A phone that has stopped is noticed by its events.
        let _ = self.line.commands.send(command);
    }

    fn hang_up(&mut self) {
        if let Some(call) = self.call.filter(|_| !self.hung_up) {
            self.hung_up = true;
            self.say(PhoneCommand::HangUp { call, body: None });
        }
    }

    fn happened(&mut self, event: PhoneEvent) -> Result<(), PhoneError> {
        match event {
            PhoneEvent::Dialled { call, .. } => self.call = Some(call),
            PhoneEvent::Word { call, body } if Some(call) == self.call && !self.tap.is_over() => {
                let (now, ms) = ((self.clock)(), self.ms());
                self.tap.talking().tell(|call| call.at(ms));
                match self.tap.receive(&body.0, now, self.device) {
                    Ok(step) => self.after(step)?,
                    Err(error) => {
                        self.hang_up();
                        return Err(error.into());
                    }
                }
            }
            PhoneEvent::Answered { call } if Some(call) == self.call => {
                let ms = self.ms();
                self.answered = Some(ms);
                self.tap.talking().tell(|call| call.at(ms).answered());
                self.person.hears(&Heard::Answered);
            }
            PhoneEvent::Ringing { call } if Some(call) == self.call => self.person.hears(&Heard::Ringing(None)),
            PhoneEvent::Text { call, text } if Some(call) == self.call => self.person.hears(&Heard::Text(text)),
            // Who pays for a call takes no other: the phone has one line.
            _ => {}
        }
        Ok(())
    }

    /// Nothing more comes: what is not known yet the provider will bring.
    fn ended(&mut self, reason: Reason) -> Result<(), PhoneError> {
        self.called.reason = reason;
        let ms = self.ms();
        self.called.lasted = self.answered.map(|answered| ms.saturating_sub(answered));
        self.tap.talking().tell(|call| call.at(ms).hung_up());
        self.look(Event::Tick)
    }

    fn look(&mut self, event: Event) -> Result<(), PhoneError> {
        if self.tap.is_over() {
            return Ok(());
        }
        let (now, ms) = ((self.clock)(), self.ms());
        self.tap.talking().tell(|call| call.at(ms));
        let step = self.tap.event(event, now, self.device)?;
        self.after(step)
    }

    fn after(&mut self, step: TapStep<CallerNotice>) -> Result<(), PhoneError> {
        for frame in step.frames {
            if let Some(call) = self.call {
                self.say(PhoneCommand::Say { call, body: Body(frame) });
            }
        }
        for notice in step.notices {
            let asks = matches!(notice, CallerNotice::Consent { .. });
            self.lasting.hear(&notice);
            // Whoever is asked reads for a while: the phone goes on meanwhile.
            let person = &mut self.person;
            let agrees = if asks { tokio::task::block_in_place(|| person.told(&notice)) } else { person.told(&notice) };
            match notice {
                CallerNotice::Consent { .. } => self.look(if agrees { Event::Agreed } else { Event::Declined })?,
                CallerNotice::Paid { total, .. } => self.called.paid = Some(total),
                CallerNotice::Over { receipt, total, doubtful } => {
                    self.called.paid = Some(total);
                    self.called.returned = receipt.as_ref().and_then(|receipt| receipt.unused(total.minor()));
                    self.called.receipt = receipt;
                    self.called.doubtful = doubtful;
                }
                CallerNotice::Refused(why) => self.called.refused = Some(why.advice().to_owned()),
                CallerNotice::Cannot(why) => self.called.refused = Some(why.to_string()),
                CallerNotice::Failed(fault) => self.called.refused = Some(fault.to_string()),
                CallerNotice::Dialled | CallerNotice::Ending { .. } | CallerNotice::Warned(_) => {}
            }
        }
        Ok(())
    }
}

/// A call that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Who called, where the switch showed it.
    pub from: Option<Number>,
    /// How long people talked, in milliseconds; `None`: whoever called gave up.
    pub lasted: Option<u64>,
    /// How it ended.
    pub reason: Reason,
}

/// Waits for a call, takes it, and talks until one side hangs up. `None`: the person did not want to wait longer.
///
/// # Errors
/// [`PhoneError`].
pub async fn answer(line: &mut Line, person: &mut (dyn Speaker + Send)) -> Result<Option<Taken>, PhoneError> {
    let (mut ringing, mut from) = (None, None);
    let (mut since, mut leaves): (Option<Instant>, bool) = (None, false);
    loop {
        let event = tokio::select! {
            event = line.events.recv() => Some(event.ok_or(PhoneError::Stopped)?),
            () = tokio::time::sleep(LOOK) => None,
        };
        let lasted = since.and_then(|since| u64::try_from(since.elapsed().as_millis()).ok());
        match event {
            Some(PhoneEvent::Incoming { call, from: who }) => {
                (ringing, from) = (Some(call), who);
                person.hears(&Heard::Ringing(from.clone()));
                line.commands.send(PhoneCommand::Answer { call }).map_err(|_| PhoneError::Stopped)?;
            }
            Some(PhoneEvent::Answered { .. }) => {
                since = Some(Instant::now());
                person.hears(&Heard::Answered);
            }
            Some(PhoneEvent::Text { text, .. }) => person.hears(&Heard::Text(text)),
            Some(PhoneEvent::Ended { reason, .. }) => return Ok(Some(Taken { from, lasted, reason })),
            // A switch that was away may come back; one that does not want this phone does not.
            Some(PhoneEvent::NotRegistered(why)) if why.cause == 403 && ringing.is_none() => {
                return Err(not_registered(why));
            }
            _ => {}
        }
        if let Some(lasted) = lasted {
            person.talks(lasted);
        }
        if !leaves && person.ends() {
            leaves = true;
            match ringing {
                Some(call) => drop(line.commands.send(PhoneCommand::HangUp { call, body: None })),
                None => return Ok(None),
            }
        }
    }
}

/// A call as it is listed.
#[derive(Clone, Debug)]
pub struct CallMade {
    /// When its tariff was agreed to.
    pub at: Time,
    /// Who connected it.
    pub by: String,
    /// The number.
    pub called: String,
    /// What was paid for it.
    pub paid: Amount,
    /// What it cost, once that is known.
    pub used: Option<Amount>,
    /// How long it lasted, in milliseconds, by the receipt.
    pub lasted: Option<u64>,
    /// How it ended, by the receipt.
    pub ended: Option<CallEnd>,
    /// Where it stands.
    pub state: CallingState,
    /// The card.
    pub card: CardId,
    /// What names it: the first digits of session, switch and tariff, hashed.
    pub receipt: Handle,
}

impl<V: Vault> Wallet<V> {
    /// Every call that was paid for, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn calls(&self) -> Result<Vec<CallMade>, WalletError> {
        let found = self.device.vault.scan(Space::Call, &[], usize::MAX)?;
        let calls = found.iter().filter_map(|(_, bytes)| Calling::from_bytes(bytes).ok());
        let mut made: Vec<CallMade> = calls.filter_map(|calling| listed(&calling)).collect();
        made.sort_by_key(|made| made.at);
        Ok(made)
    }
}

fn listed(calling: &Calling) -> Option<CallMade> {
    let tariff = calling.tariff.claimed();
    let receipt = calling.receipt.as_ref().map(tegata_core::wire::signed::Signed::claimed);
    Some(CallMade {
        at: tariff.at,
        by: calling.name.clone(),
        called: tariff.called.clone(),
        paid: Amount::new(tariff.unit, calling.paid())?,
        used: receipt.map(|receipt| receipt.used),
        lasted: receipt.and_then(|receipt| receipt.lasted),
        ended: receipt.map(|receipt| receipt.ended),
        state: calling.state,
        card: calling.card,
        receipt: Handle::of(&calling.named()),
    })
}
