//! The cheats: screenshots of other people's codes, and cloned wallets.

use super::crowd::Crowd;
use super::doors::Counted;
use super::hall::{Evening, ZONE};
use super::play::CUT_OFF;
use crate::flags::EventFlags;
use crate::place::now;
use crate::replay::shop::lock;
use crate::screen::Failure;
use std::sync::Mutex;
use tegata_core::Time;
use tegata_core::talk::enter::WalletEnterNotice;
use tegata_vault::MemoryVault;
use tegata_wallet::enter_at;

impl Evening {
    /// Pictures of other people's codes before cameras: fresh ones of people who have not come, while not all gates are heard; later
    /// old ones of those people, and fresh ones of people who are in.
    pub fn screenshots(
        &mut self,
        crowd: &Crowd,
        flags: &EventFlags,
        counted: &Mutex<Counted>,
        (exit, alone): (usize, bool),
    ) -> Result<(), Failure> {
        let people = crowd.people.len();
        let cut = self.gates.len() - 1;
        for number in (0..flags.copies).filter(|number| (number % 4 == 3) == alone) {
            let not_yet = people - 1 - number % (people / 3).max(1);
            let (of, age, gate) = match number % 4 {
                0 | 1 => (not_yet, 60 + number as u64, number % exit),
                2 => (flags.clones + number % (people / 2).max(1), 0, number % exit),
                _ => (not_yet, 0, if number % 8 == 3 { cut } else { number % exit }),
            };
            let code = {
                let mut person = lock(&crowd.people[of]);
                let Some(ticket) = person.ticket else { continue };
                let at = now();
                let shot = tegata_device::Now { time: Time(at.time.0 - age), ..at };
                person.wallet.window(ticket, ZONE, 1, shot)?
            };
            // A picture of somebody who is in shows the entry that was used.
            let code = if number % 4 == 2 { self.shown_before(crowd, of, code)? } else { code };
            match self.gates[gate].camera(&code)? {
                Ok(()) => lock(counted).copies_admitted += 1,
                Err(why) => *lock(counted).whys.entry(format!("screenshot: {why}")).or_default() += 1,
            }
        }
        Ok(())
    }
    /// The code that somebody who is in would have shown at the door, a moment before: of the entry that is used by now.
    fn shown_before(&self, crowd: &Crowd, of: usize, code: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let person = lock(&crowd.people[of]);
        let Some(ticket) = person.ticket else { return Ok(code) };
        let held = person.wallet.ticket(ticket)?;
        let Some((_, pass)) = held.passes.first() else { return Ok(code) };
        let before = tegata_core::talk::enter::Pass { entry: pass.entry.saturating_sub(1), ..pass.clone() };
        let drafted = tegata_core::talk::enter::draft_window(&held.purse, &before, (self.event, ZONE), 1, now().time);
        let Some((window, tbs)) = drafted else { return Ok(code) };
        let key = held.purse.certificate.claimed().key;
        match person.wallet.device.ring.sign(&key, &tbs) {
            Some(signature) => Ok(tegata_core::talk::enter::code(held.purse.certificate, window, signature)),
            None => Ok(code),
        }
    }
    /// The cloned wallets: each touches a gate after its owner has come in, half of them where nobody heard of that.
    pub fn thieves(
        &self,
        crowd: &Crowd,
        copied: &[(usize, MemoryVault)],
        doors: &[String],
        counted: &Mutex<Counted>,
        (heard, exit): (usize, usize),
    ) -> Result<(), Failure> {
        for (number, vault) in copied {
            let mut person = lock(&crowd.people[*number]);
            let Some(ticket) = person.ticket else { continue };
            let owners = std::mem::replace(&mut person.wallet.device.vault, vault.clone());
            let door = if number % 2 == 0 { heard + (number / 2) % CUT_OFF } else { number % exit };
            let told = enter_at(&mut person.wallet, doors[door].as_str(), (ticket, 1), now)?;
            if matches!(told.last(), Some(WalletEnterNotice::In { .. })) {
                lock(counted).clones_admitted += 1;
            }
            person.wallet.device.vault = owners;
        }
        Ok(())
    }
}
