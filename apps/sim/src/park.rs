//! An update of the switch that is parked while it connects a call: asked at one moment of it, answered at another, and turn by turn
//! until it is quiet. Between question and answer the switch goes on (R13).

use crate::post::Center;
use tegata_core::{CardId, Hash, Unit};
use tegata_device::{Now, PostError, Summary, UpdateError, UpdateStep, Updating, post_one};
use tegata_issuer::{Issuer, IssuerError};
use tegata_switch::Switch;
use tegata_vault::{CommitFault, Faults, SimulatedVault};

/// How the first answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comes {
    /// As it was sent.
    Whole,
    /// Never: the line gives up at that moment.
    Never,
    /// The switch loses power before it is stored.
    CutBefore,
    /// The switch loses power when it is stored.
    CutAfter,
    /// There is no room to store it.
    Full,
}

impl Comes {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Whole, Self::Never, Self::CutBefore, Self::CutAfter, Self::Full];
    /// As the matrix prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "answer comes",
            Self::Never => "answer lost",
            Self::CutBefore => "power cut before",
            Self::CutAfter => "power cut after",
            Self::Full => "disk full",
        }
    }
    fn stored(self) -> Option<CommitFault> {
        match self {
            Self::Whole | Self::Never => None,
            Self::CutBefore => Some(CommitFault::CutBefore),
            Self::CutAfter => Some(CommitFault::CutAfter),
            Self::Full => Some(CommitFault::Full),
        }
    }
}

/// When a parked update asks and is answered, counted in frames of the call that have crossed. What does not come during the call comes
/// after it.
#[derive(Clone, Copy, Debug)]
pub struct Park {
    /// When the switch asks.
    pub asks: usize,
    /// When the first answer comes; each further one comes a frame later.
    pub hears: usize,
    /// How the first one comes.
    pub comes: Comes,
    /// What happens just before the switch asks.
    pub happens: Happens,
}

/// What the switch is to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happens {
    /// Nothing in particular.
    Nothing,
    /// The operator blocks this card.
    Block(CardId),
    /// The issuer charges more.
    Raise,
}

/// The switch, its line to the provider, and the issuer of the cards that pay.
pub type Parts<'a> = (&'a mut Switch<SimulatedVault>, &'a mut Center, &'a mut Issuer<SimulatedVault>);

/// The issuer charges a cent more for each unit, in money; one whose answer was lost is brought first. The number of its tariff.
fn raise(issuer: &mut Issuer<SimulatedVault>, center: &mut Center, now: Now) -> Result<u64, IssuerError> {
    let last = issuer.tariffs()?.into_iter().find(|signed| signed.claimed().unit == Unit::USD);
    let mut rates = last.map_or_else(Vec::new, |last| last.claimed().rates.clone());
    rates.iter_mut().for_each(|rate| rate.price += 1);
    // Not the chance that the switch uses.
    let now = Now { entropy: Hash::of(&now.entropy).0, ..now };
    issuer.set_tariff(center, (Unit::USD, 0), rates, now).map(|tariff| tariff.number)
}

/// Such an update.
pub struct Parked {
    park: Park,
    stage: Stage,
}

enum Stage {
    Idle,
    Waits(Box<Updating>, Result<Vec<u8>, PostError>),
    Over(Result<Summary, String>),
}

impl Parked {
    /// Nothing is asked yet.
    pub fn new(park: Park) -> Self {
        Self { park, stage: Stage::Idle }
    }
    /// Whether something is to be done once so many frames have crossed.
    pub fn is_due(&self, crossed: usize) -> bool {
        match self.stage {
            Stage::Idle => crossed >= self.park.asks,
            Stage::Waits(..) => crossed >= self.park.hears,
            Stage::Over(_) => false,
        }
    }
    /// Does what is due. A switch that has lost power has forgotten its update.
    pub fn go_on(&mut self, crossed: usize, (switch, center, issuer): Parts<'_>, now: Now) {
        let gone = Stage::Over(Err("the switch lost power".into()));
        let stage = std::mem::replace(&mut self.stage, gone);
        if switch.device.vault.is_off() {
            return;
        }
        let step = match stage {
            Stage::Idle => {
                match self.park.happens {
                    Happens::Nothing => {}
                    Happens::Block(card) => {
                        let done = center.block(card);
                        center.notes.push(format!("the operator blocks {card}: {done:?}"));
                    }
                    Happens::Raise => {
                        let done = raise(issuer, center, now);
                        center.notes.push(format!("the issuer charges more: {done:?}"));
                    }
                }
                Updating::meanwhile(&mut switch.device, now)
            }
            Stage::Waits(updating, answer) => {
                let comes = std::mem::replace(&mut self.park.comes, Comes::Whole);
                self.park.hears = crossed.saturating_add(1);
                heard(switch, (*updating, answer), comes, now)
            }
            over => {
                self.stage = over;
                return;
            }
        };
        self.stage = match step {
            Ok(UpdateStep::Posts(updating, envelope)) => Stage::Waits(Box::new(updating), post_one(center, envelope)),
            Ok(UpdateStep::Done(summary)) => Stage::Over(Ok(summary)),
            Err(error) => Stage::Over(Err(error.to_string())),
        };
    }
    /// What came of it; `None`: it is not over.
    pub fn done(self) -> Option<Result<Summary, String>> {
        match self.stage {
            Stage::Over(done) => Some(done),
            Stage::Idle | Stage::Waits(..) => None,
        }
    }
}

/// The switch hears an answer, and this happens to it.
fn heard(
    switch: &mut Switch<SimulatedVault>,
    (updating, answer): (Updating, Result<Vec<u8>, PostError>),
    comes: Comes,
    now: Now,
) -> Result<UpdateStep, UpdateError> {
    let answer = if comes == Comes::Never { Err(PostError::Away("the town's provider".into())) } else { answer };
    if let Some(fault) = comes.stored() {
        let vault = &mut switch.device.vault;
        vault.set_faults(Faults::none().at(vault.commits() + 1, fault));
    }
    let step = switch.answered(updating, answer, now);
    if comes == Comes::Full {
        switch.device.vault.set_faults(Faults::none());
    }
    step
}
