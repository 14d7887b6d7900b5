//! Talking to the provider: one question, one answer; and the whole update, turn by turn until it is quiet.

use crate::drive::{Device, Now, Out, Talking};
use crate::post::{ExchangeError, Post};
use tegata_core::step::{Event, Fault, Talk};
use tegata_core::talk::pay::{TakeUp, TakeUpNotice, load_purse};
use tegata_core::talk::report::Refused;
use tegata_core::talk::update::{DeviceUpdate, Updated};
use tegata_core::{CardId, Hash};
use tegata_vault::Vault;

/// How many turns one update takes at most; each carries up to 1,000 entries.
const MAX_TURNS: u32 = 1000;

/// Why an update did not come to its end. What was stored stays; update again.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// No answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The provider said no.
    #[error("the provider refused: {}", .0.told())]
    Refused(Refused),
    /// The answer does not fit this device's own records.
    #[error(
        "the provider's answer does not fit this device's records; nothing was changed. Tell the provider's operator"
    )]
    NotTrusted,
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
}

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Turns taken.
    pub turns: u32,
    /// Entries now known to be recorded.
    pub recorded: u64,
    /// Commands carried out.
    pub commands: usize,
    /// Raises taken up.
    pub taken_up: usize,
    /// The device was found behind itself and restored.
    pub restarted: bool,
}

/// Runs a conversation of one question and one answer with the provider; gives what it showed.
///
/// # Errors
/// [`ExchangeError`]: no answer; what was stored stays.
pub fn ask<T: Talk, V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    talk: T,
    now: Now,
) -> Result<Vec<T::Notice>, ExchangeError> {
    let mut talking = Talking::new(talk);
    let mut notices = Vec::new();
    let mut event = Event::Tick;
    let mut entropy = now.entropy;
    loop {
        let mut message = None;
        for out in talking.deliver(event, now, device) {
            match out {
                Out::Send(bytes) => message = Some(bytes),
                Out::Show(notice) => notices.push(notice),
                Out::WaitUntil(_) => {}
            }
        }
        let Some(message) = message else {
            return Ok(notices);
        };
        entropy = Hash::of(&entropy).0;
        match device.exchange(post, entropy, &message) {
            Ok(answer) => event = Event::Received(answer),
            Err(error) => {
                talking.deliver(Event::Lost, now, device);
                return Err(error);
            }
        }
    }
}

/// Takes up everything that waits for this card and has room.
///
/// # Errors
/// [`Fault`].
pub fn take_up_all<V: Vault>(device: &mut Device<V>, card: CardId, now: Now) -> Result<usize, Fault> {
    let mut taken = 0;
    if load_purse(device, card).is_none_or(|purse| purse.waiting.is_empty()) {
        return Ok(0);
    }
    while let Some(anchors) = device.anchors() {
        let mut talking = Talking::new(TakeUp::Start(card, anchors));
        let mut done = true;
        for out in talking.deliver(Event::Tick, now, device) {
            match out {
                Out::Show(TakeUpNotice::TookUp { .. }) => {
                    taken += 1;
                    done = false;
                }
                Out::Show(TakeUpNotice::Dropped(_)) => done = false,
                Out::Show(TakeUpNotice::Failed(fault)) => return Err(fault),
                _ => {}
            }
        }
        if done {
            break;
        }
    }
    Ok(taken)
}

/// Updates: log up, commands down, raises taken up, until nothing is left to do.
///
/// # Errors
/// [`UpdateError`]; what was stored stays.
pub fn update<V: Vault>(device: &mut Device<V>, post: &mut dyn Post, now: Now) -> Result<Summary, UpdateError> {
    let mut summary = Summary::default();
    let mut now = now;
    while summary.turns < MAX_TURNS {
        let (id, key) = device.id().zip(device.key()).ok_or(ExchangeError::NotJoined)?;
        now.entropy = Hash::of(&now.entropy).0;
        let notices = ask(device, post, DeviceUpdate::Start(id, key), now)?;
        let mut more = false;
        for notice in notices {
            match notice {
                Updated::Turn { again, recorded, commands, restarted } => {
                    summary.recorded = recorded;
                    summary.commands += commands;
                    summary.restarted |= restarted;
                    more = again;
                }
                Updated::Refused(refused) => return Err(UpdateError::Refused(refused)),
                Updated::NotTrusted => return Err(UpdateError::NotTrusted),
                Updated::Failed(fault) => return Err(fault.into()),
            }
        }
        summary.turns += 1;
        for card in device.cards().map_err(|error| error.fault())? {
            let taken = take_up_all(device, card, now)?;
            summary.taken_up += taken;
            more |= taken > 0;
        }
        if !more {
            return Ok(summary);
        }
    }
    Ok(summary)
}
