//! Numbers that stand for somebody, when all is quiet (flow 21): each led only where its asker may write, in time, for one call, and to
//! nobody who had muted who asked; and nobody holds a phone that is not its own.

use crate::act::{Given, Rang};
use crate::town::Town;
use std::collections::BTreeMap;
use tegata_core::DeviceId;
use tegata_core::record::Space;
use tegata_core::talk::call::{Call, Calling};
use tegata_core::talk::reach::STANDS_FOR;
use tegata_core::wire::canonical::Wire;
use tegata_device::Device;
use tegata_store::StoreError;
use tegata_vault::{SimulatedVault, Vault};

impl Town {
    pub(super) fn numbers_ring(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(ringing) = &self.ringing else {
            return Ok(());
        };
        // Who was put back to an earlier state has forgotten what it was paid, or paid.
        let forgetful = self.people.iter().any(|person| person.tampered.is_some())
            || self.tills.iter().any(|till| till.tampered.is_some());
        let mut callees = BTreeMap::new();
        for given in &ringing.given {
            let (callee, allowed) = self.meant(given);
            if !allowed && !forgetful {
                wrong.push(format!("flow 21: {} was given a number of somebody to whom it may not write", given.asker));
            }
            callees.insert(given.number.number.as_str(), callee);
        }
        for rang in &ringing.rang {
            let number = rang.given.number.number.as_str();
            let callee = callees.get(number).copied().flatten();
            if (rang.owner.is_none() || rang.owner != callee) && !(callee.is_none() && forgetful) {
                wrong.push(format!("flow 21: {number} rang {:?} and not {callee:?}", rang.owner));
            }
            self.rang_well(rang, wrong);
        }
        self.no_phone_is_told(wrong);
        let sql = "SELECT count(*) - count(DISTINCT number) FROM stands_for";
        let twice: i64 = self.center.store()?.connection().query_row(sql, [], |row| row.get(0)).unwrap_or(-1);
        if twice != 0 {
            wrong.push(format!("flow 21: {twice} numbers were given twice"));
        }
        Ok(())
    }

    /// Whom an address means by what devices hold, and whether who asked may write there.
    fn meant(&self, given: &Given) -> (Option<DeviceId>, bool) {
        if given.by_shop {
            let callee = self.addressee(&given.to).map(|at| self.people[at].id);
            return (callee, self.is_of(given.merchant, &given.to));
        }
        let Some(receipt) = given.to.receipt() else {
            return (None, false);
        };
        let held = self.people.iter().filter(|person| person.id == given.asker);
        let mut held = held.flat_map(|person| person.wallet.receipts().unwrap_or_default());
        (Some(receipt.machine), held.any(|held| held.name == *receipt))
    }

    fn is_tampered(&self, id: DeviceId) -> bool {
        self.people.iter().any(|person| person.id == id && person.tampered.is_some())
            || self.tills.iter().any(|till| till.id == id && till.tampered.is_some())
    }

    fn rang_well(&self, rang: &Rang, wrong: &mut Vec<String>) {
        let given = &rang.given;
        let number = &given.number.number;
        if rang.at >= given.number.until {
            wrong.push(format!("flow 21: {number} rang after its end"));
        }
        // A provider put back from a backup may have forgotten both, and a switch whose disk lied as well.
        let lied = self.lines.as_ref().is_some_and(|lines| lines.tampered.is_some());
        if given.answered && !lied && !self.causes.restored {
            wrong.push(format!("flow 21: {number} rang again after it was answered"));
        }
        let honest = given.callee.is_some_and(|id| !self.is_tampered(id));
        if (given.muted || (given.silenced && !lied)) && honest && !self.causes.restored {
            wrong.push(format!("flow 21: {number} of a muted merchant rang"));
        }
    }

    /// What devices hold of calls by number names neither side, and no device but the switch holds another's phone.
    fn no_phone_is_told(&self, wrong: &mut Vec<String>) {
        let Some((ringing, lines)) = self.ringing.as_ref().zip(self.lines.as_ref()) else {
            return;
        };
        let ids: Vec<DeviceId> = self.people.iter().map(|it| it.id).chain(self.tills.iter().map(|it| it.id)).collect();
        let devices = self.people.iter().map(|it| (it.id, &it.wallet.device));
        for (own, device) in devices.chain(self.tills.iter().map(|it| (it.id, &it.terminal.device))) {
            for space in Space::ALL {
                for (_, bytes) in device.vault.scan(*space, &[], usize::MAX).unwrap_or_default() {
                    let told = named(&bytes).filter(|phone| ringing.phones.get(*phone) != Some(&own)).count();
                    if told > 0 {
                        wrong.push(format!("flow 21: {own} holds another's phone in {space:?}"));
                    }
                    let by_number = |call: &Calling| call.tariff.claimed().called.starts_with(STANDS_FOR);
                    let of_call = *space == Space::Call && Calling::from_bytes(&bytes).is_ok_and(|it| by_number(&it));
                    if of_call && ids.iter().any(|id| *id != own && holds(&bytes, &id.0)) {
                        wrong.push(format!("R17: what {own} holds of a call by number names a device"));
                    }
                }
            }
        }
        self.switch_tells_nobody(&lines.switch.device, &ids, wrong);
    }

    /// What the switch keeps of calls, and logs, names no phone and nobody's device.
    fn switch_tells_nobody(&self, device: &Device<SimulatedVault>, ids: &[DeviceId], wrong: &mut Vec<String>) {
        for space in Space::ALL.iter().filter(|space| **space != Space::StandsFor) {
            for (_, bytes) in device.vault.scan(*space, &[], usize::MAX).unwrap_or_default() {
                if named(&bytes).next().is_some() {
                    wrong.push(format!("flow 21: the switch holds a phone in {space:?}"));
                }
                let by_number = |call: &Call| call.tariff.claimed().called.starts_with(STANDS_FOR);
                let of_call = *space == Space::Call && Call::from_bytes(&bytes).is_ok_and(|call| by_number(&call));
                if of_call && ids.iter().any(|id| holds(&bytes, &id.0)) {
                    wrong.push("R17: what the switch holds of a call by number names a device".into());
                }
            }
        }
    }
}

/// Phones of this town that these bytes name.
fn named(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes.windows(10).filter(|window| window.starts_with(b"phone-")).filter_map(|window| str::from_utf8(window).ok())
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len().max(1)).any(|window| window == part)
}
