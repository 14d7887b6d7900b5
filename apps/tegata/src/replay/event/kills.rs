//! Parts that are killed with SIGKILL and started again where they stood, each in the middle of what the crowd does at that moment.
//! The people's wallets and the promoter live in this process, and are not killed.

use super::crowd::Crowd;
use super::hall::Evening;
use crate::screen::{Failure, fail};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often it is looked whether it is time.
pub const LOOK: Duration = Duration::from_millis(1);

/// What is killed.
#[derive(Clone, Copy)]
pub enum Part {
    /// The provider's process.
    Provider,
    /// The processor's process.
    Processor,
    /// The bank for tests, which is within this process: every connection to it breaks, and its books stay.
    Bank,
    /// A gate's process, and how many of the first gates it listens to afterwards.
    Gate(usize, usize),
}

/// What was killed so far.
#[derive(Default)]
pub struct Killed {
    /// How often, by part.
    pub parts: BTreeMap<&'static str, u64>,
    /// Which gates, each from when until it was open again.
    pub gates: Vec<(usize, Instant, Instant)>,
}

impl Killed {
    /// Whether this gate was down at some moment between these.
    pub fn explains(&self, gate: usize, from: Instant, until: Instant) -> bool {
        self.gates.iter().any(|(killed, down, open)| *killed == gate && *down <= until && from <= *open)
    }
}

impl Evening {
    /// The crowd does this; with `--kill` each of these parts dies meanwhile, as soon as so many people are through with it.
    pub fn while_killing(
        &mut self,
        crowd: &Crowd,
        kills: &[(usize, Part)],
        work: impl FnOnce() -> Result<(), Failure> + Send,
    ) -> Result<(), Failure> {
        crowd.through.store(0, Ordering::SeqCst);
        let kills = if self.kills { kills } else { &[] };
        std::thread::scope(|scope| -> Result<(), Failure> {
            let working = scope.spawn(work);
            for (after, part) in kills {
                while crowd.through.load(Ordering::SeqCst) < *after && !working.is_finished() {
                    std::thread::sleep(LOOK);
                }
                // What is over is not killed in its middle, and then the evening has not shown what it must.
                if working.is_finished() {
                    return fail("the crowd was through before everything was killed; there must be more tickets");
                }
                self.kill(*part)?;
            }
            match working.join() {
                Ok(done) => done,
                Err(_) => fail("the crowd stopped unexpectedly"),
            }
        })
    }
    /// SIGKILL, and started again.
    pub fn kill(&mut self, part: Part) -> Result<(), Failure> {
        let name = match part {
            Part::Provider => {
                self.provider.kill_and_restart()?;
                "provider"
            }
            Part::Processor => {
                self.clearing.kill_and_restart()?;
                "processor"
            }
            Part::Bank => {
                self.clearing.restart_bank()?;
                "bank"
            }
            Part::Gate(gate, neighbours) => {
                let down = Instant::now();
                self.gates[gate].kill_and_reopen()?;
                self.killed.gates.push((gate, down, Instant::now()));
                self.connect(gate..gate + 1, 0..neighbours)?;
                "gate"
            }
        };
        *self.killed.parts.entry(name).or_default() += 1;
        Ok(())
    }
}
