//! People pay for a way to the network: the town's switch is a hotspot as well, at the rate of a number of its own, which has a least of
//! several units. Sessions end in every way, and wallets and hotspot lose power in them.

use crate::dial::{Dialled, Ends, Spoken};
use crate::fault::FrameFault;
use crate::surf::Surf;
use crate::tap::Clocks;
use crate::town::Town;
use tegata_core::CardId;
use tegata_core::talk::call::{Caller, WalletCall};
use tegata_device::WalletTap;
use tegata_vault::Faults;

/// The number by whose rate the hotspot charges.
pub const SERVICE: &str = "8800";
/// Milliseconds of a unit there.
pub const UNIT: u64 = 20_000;
/// Units that an open way pays for at least.
pub const LEAST: u64 = 3;

impl Town {
    /// Somebody surfs, if it is the day for it.
    pub(super) fn surf_some(&mut self) {
        let wanted = self.mix.calls / 10;
        if self.lines.as_mut().is_some_and(|lines| lines.surfs.chance(wanted)) {
            let people = self.people.len();
            let at = self.lines.as_mut().map_or(0, |lines| lines.surfs.index(people));
            self.surf_from(at);
        }
    }

    /// A wallet surfs, with what goes wrong meanwhile.
    fn surf_from(&mut self, at: usize) -> Option<Dialled> {
        self.wake_person(at);
        self.wake_switch();
        let card = self.equip_caller(at)?;
        let (power, lost_sync, frames) = (self.mix.power, self.mix.lost_sync, self.mix.frames);
        let (person, lines) = (self.people.get_mut(at)?, self.lines.as_mut()?);
        let dice = &mut lines.surfs;
        if dice.chance(power) {
            let device = if dice.chance(500) { &mut person.wallet.device } else { &mut lines.switch.device };
            Self::arm_within(&mut device.vault, dice, (lost_sync, 8));
        }
        let ends = dice.pick(&[Ends::Stop, Ends::HangsUp, Ends::Called, Ends::Vanishes]).unwrap_or(Ends::Stop);
        let speaks = if dice.chance(200) { dice.below(60 * UNIT) } else { dice.below(8 * UNIT) };
        let limit = dice.chance(150).then(|| dice.below(200));
        let fault = match dice.chance(frames) {
            true => {
                let (number, fault) = (dice.index(14), dice.pick(&FrameFault::ALL));
                fault.map(|fault| (if fault == FrameFault::Version { 0 } else { number }, fault))
            }
            false => None,
        };
        let seen = self.surf(at, card, Spoken { rings: 0, speaks: Some(speaks), ends, limit }, fault);
        let (person, lines) = (self.people.get_mut(at)?, self.lines.as_mut()?);
        person.wallet.device.vault.set_faults(Faults::none());
        lines.switch.device.vault.set_faults(Faults::none());
        if lines.surfs.chance(700) {
            self.hang_up(at);
        }
        seen
    }

    /// The session itself.
    pub fn surf(
        &mut self,
        at: usize,
        card: CardId,
        plan: Spoken,
        fault: Option<(usize, FrameFault)>,
    ) -> Option<Dialled> {
        self.hang_up(at);
        let person = self.people.get_mut(at)?;
        let payer = person.wallet.payer(card).ok()?;
        let caller = Caller { payer, called: SERVICE.into(), limit: plan.limit };
        let clocks = Clocks { time: self.time, wallet: person.skew, terminal: 0 };
        let entropy = self.lines.as_mut()?.surfs.entropy();
        let touched = WalletTap::touch(WalletCall::new(caller), entropy).ok()?;
        // The hotspot has the switch to itself meanwhile.
        let mut lines = self.lines.take()?;
        let surf = Surf::new(touched, lines.switch, clocks, fault);
        let (seen, switch) = surf.run(&mut person.wallet.device, SERVICE, plan, (&mut self.air, &mut lines.surfs));
        lines.switch = switch;
        lines.surfed += u64::from(seen.rang);
        self.lines = Some(lines);
        self.crossed = seen.crossed;
        self.say(|| format!("wallet {at} surfs with {card} ({plan:?}, {fault:?}): {seen:?}"));
        self.no_more_than_a_unit(&seen);
        Some(seen)
    }
}
