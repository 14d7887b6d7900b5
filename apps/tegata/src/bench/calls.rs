//! A switch: what a cumulative check of a call costs it, with a durable store.
#![allow(clippy::float_arithmetic)] // microseconds, never money

use crate::measure::rounded;
use crate::replay::calls::{Day, START};
use crate::replay::phone::{Plan, call};
use crate::screen::{Failure, Screen, fail};
use serde_json::{Value, json};
use tegata_core::Time;
use tegata_core::card::CallEnd;
use tegata_core::talk::call::Caller;
use tegata_core::wire::signed::Algorithm;
use tegata_crypto_native::code::CodeCost;
use tegata_crypto_native::{NativeVerifier, entropy};
use tegata_device::{Device, KeyRing};
use tegata_vault::SqliteVault;

/// A number that is charged by the second.
const CALLED: &str = "19005551234";
/// Seconds that each call lasts.
const LASTS: u64 = 240;

/// What was measured.
pub struct Measured {
    check_us: f64,
    checks: u64,
}

impl Measured {
    /// In words.
    pub fn text(&self) -> String {
        format!(
            "switch: {:.0} us CPU a cumulative check ({:.0} a second on one core), each stored by itself on a real database",
            self.check_us,
            1e6 / self.check_us
        )
    }
    /// Figures.
    pub fn json(&self) -> Value {
        json!({ "check_us": rounded(self.check_us, 1), "checks": self.checks })
    }
}

/// So many calls of four minutes, charged by the second.
pub fn measure(screen: Screen, calls: usize) -> Result<Measured, Failure> {
    screen.say(format!("calls: {calls} of {LASTS} checks each, one after the other"));
    let folder = std::env::temp_dir().join(format!("tegata-bench-{}-calls", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measured(&folder, calls);
    // What cannot be removed is left to the machine's own cleaning of temporary files.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measured(folder: &std::path::Path, calls: usize) -> Result<Measured, Failure> {
    let mut vault = SqliteVault::create(folder.join("switch.db"))?;
    let bound = entropy::fresh();
    let ring = KeyRing::create(&mut vault, None, &bound, Algorithm::Ed25519, CodeCost::default())?;
    let switch = Device::new(vault, ring, &NativeVerifier);
    let mut day = Day::open(&folder.join("town"), calls as u64, switch)?;
    let (mut nanoseconds, mut checks) = (0, 0);
    for (wallet, card) in &mut day.phones {
        let caller = Caller { payer: wallet.payer(*card)?, called: CALLED.to_owned(), limit: None };
        let speaks = Some(LASTS * 1_000);
        let plan = Plan { at: Time(START), rings: 1_000, speaks, ends: Some(CallEnd::CalledHungUp), delay: 0 };
        let heard = call((&mut wallet.device, &mut day.switch), caller, plan)?;
        if heard.receipt.is_none_or(|receipt| receipt.lasted != speaks) {
            return fail("a call did not last as long as it should");
        }
        nanoseconds += heard.switch_ns;
        checks += heard.checks;
    }
    Ok(Measured { check_us: nanoseconds as f64 / 1_000.0 / checks.max(1) as f64, checks })
}
