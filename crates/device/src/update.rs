//! The whole update, turn by turn until it is quiet.

use crate::asking::{Asked, Asking, post_one};
use crate::drive::{Device, Now, Out, Talking};
use crate::post::{ExchangeError, Post, PostError};
use tegata_core::step::{Event, Fault};
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

/// An update, turn by turn: log up, commands down, raises taken up, until nothing is left to do.
pub struct Updating {
    asking: Asking<DeviceUpdate>,
    summary: Summary,
    /// The device goes on with its work between question and answer.
    meanwhile: bool,
}

/// How an update goes on.
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum UpdateStep {
    /// This envelope is to be posted, and its answer told.
    Posts(Updating, Vec<u8>),
    /// It has ended.
    Done(Summary),
}

impl Updating {
    /// Begins an update during which the device goes on with its work: what it logs meanwhile goes up with the next turn.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub fn meanwhile<V: Vault>(device: &mut Device<V>, now: Now) -> Result<UpdateStep, UpdateError> {
        Self::turn(device, Summary::default(), true, now)
    }

    /// The answer is there, or none comes.
    ///
    /// # Errors
    /// [`UpdateError`]; what was stored stays.
    pub fn answered<V: Vault>(
        self,
        device: &mut Device<V>,
        answer: Result<Vec<u8>, PostError>,
        now: Now,
    ) -> Result<UpdateStep, UpdateError> {
        let asked = self.asking.answered(device, answer, now)?;
        Self::asked(device, asked, self.summary, self.meanwhile, now)
    }

    fn turn<V: Vault>(
        device: &mut Device<V>,
        summary: Summary,
        meanwhile: bool,
        now: Now,
    ) -> Result<UpdateStep, UpdateError> {
        let (id, key) = device.id().zip(device.key()).ok_or(ExchangeError::NotJoined)?;
        let now = Now { entropy: Hash::of(&now.entropy).0, ..now };
        let talk = if meanwhile { DeviceUpdate::StartMeanwhile(id, key) } else { DeviceUpdate::Start(id, key) };
        let asked = Asking::start(device, talk, now)?;
        Self::asked(device, asked, summary, meanwhile, now)
    }

    fn asked<V: Vault>(
        device: &mut Device<V>,
        asked: Asked<DeviceUpdate>,
        mut summary: Summary,
        meanwhile: bool,
        now: Now,
    ) -> Result<UpdateStep, UpdateError> {
        let notices = match asked {
            Asked::Posts(asking, envelope) => {
                return Ok(UpdateStep::Posts(Self { asking, summary, meanwhile }, envelope));
            }
            Asked::Over(notices) => notices,
        };
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
        if !more || summary.turns >= MAX_TURNS {
            return Ok(UpdateStep::Done(summary));
        }
        Self::turn(device, summary, meanwhile, now)
    }
}

/// Updates, and does nothing else meanwhile.
///
/// # Errors
/// [`UpdateError`]; what was stored stays.
pub fn update<V: Vault>(device: &mut Device<V>, post: &mut dyn Post, now: Now) -> Result<Summary, UpdateError> {
    let mut step = Updating::turn(device, Summary::default(), false, now)?;
    let mut now = now;
    loop {
        // No two envelopes are made with the same randomness.
        now.entropy = Hash::of(&now.entropy).0;
        match step {
            UpdateStep::Posts(updating, envelope) => {
                step = updating.answered(device, post_one(post, envelope), now)?;
            }
            UpdateStep::Done(summary) => return Ok(summary),
        }
    }
}
