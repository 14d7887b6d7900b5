//! What goes wrong on one line of the town, and when.

use crate::dice::Dice;
use crate::fault::NetFault;

/// When something goes wrong on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetPlan {
    /// Never.
    Never,
    /// This often, in a thousand.
    Sometimes(u64),
    /// At the exchange of this number (from 0, counted from [`Trouble::plan`]).
    At(u64, NetFault),
}

/// A line's trouble: what is planned, and how many exchanges have passed.
#[derive(Debug)]
pub struct Trouble {
    kinds: &'static [NetFault],
    plan: NetPlan,
    exchanges: u64,
    /// Faults that really happened.
    pub faults: u64,
}

impl Trouble {
    /// A line on which these can happen, and nothing does yet.
    pub fn new(kinds: &'static [NetFault]) -> Self {
        Self { kinds, plan: NetPlan::Never, exchanges: 0, faults: 0 }
    }
    /// Says what goes wrong from here on.
    pub fn plan(&mut self, plan: NetPlan) {
        self.plan = plan;
        self.exchanges = 0;
    }
    /// How many exchanges there were since the last plan.
    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }
    /// What goes wrong with the exchange that comes now.
    pub fn meets(&mut self, dice: &mut Dice) -> Option<NetFault> {
        let number = self.exchanges;
        self.exchanges += 1;
        let fault = match self.plan {
            NetPlan::Never => None,
            NetPlan::At(at, fault) => (at == number).then_some(fault),
            NetPlan::Sometimes(rate) => {
                if dice.chance(rate) {
                    dice.pick(self.kinds)
                } else {
                    None
                }
            }
        };
        self.faults += u64::from(fault.is_some());
        fault
    }
}
