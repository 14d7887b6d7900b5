//! Calls, when all is quiet: both sides agree on what each cost, and a card has lost exactly that.

use crate::town::Town;
use tegata_core::CardId;
use tegata_core::record::Space;
use tegata_core::talk::call::{Call, CallState, Calling, CallingState};
use tegata_core::wire::canonical::Wire;
use tegata_store::{ClaimState, EventState, StoreError};
use tegata_vault::Vault;

impl Town {
    /// Every call of an honest switch has ended, is recorded as it ended, and cost its wallet what the switch says.
    pub(super) fn calls(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(lines) = self.lines.as_ref().filter(|lines| lines.tampered.is_none()) else {
            return Ok(());
        };
        let store = self.center.store()?;
        for call in lines.switch.calls().unwrap_or_default() {
            let tariff = call.tariff.claimed();
            let number = tariff.transaction;
            let Some(receipt) = call.receipt.as_ref().filter(|_| call.state == CallState::Ended) else {
                wrong.push(format!("R8: call {number} is still open at its switch"));
                continue;
            };
            let said = receipt.claimed();
            if said.used.minor() > call.paid() {
                wrong.push(format!("R24: call {number} costs more than was paid for it"));
            }
            let most = said.lasted.and_then(|lasted| tariff.cost(Some(lasted)));
            if most.is_some_and(|most| said.used.minor() != most.min(call.paid())) {
                wrong.push(format!("call {number} costs {} by its receipt, and {most:?} by its tariff", said.used));
            }
            if call.card.is_some_and(|card| self.is_lost(card)) {
                continue;
            }
            let stored = store.claim(lines.id, number, &said.call)?;
            let fits = stored.as_ref().is_some_and(|row| {
                let state = match call.tick {
                    Some(_) => matches!(row.state, ClaimState::Paid | ClaimState::Refused),
                    None => row.state == ClaimState::Closed,
                };
                state && row.amount == said.used.minor()
            });
            if !fits {
                wrong.push(format!("call {number} of {:?} is recorded as {stored:?}", said.used));
            }
        }
        for (at, person) in self.people.iter().enumerate() {
            if person.tampered.is_some() || self.causes.revoked.contains_key(&person.id) {
                continue;
            }
            let device = &person.wallet.device;
            for (_, bytes) in device.vault.scan(Space::Call, &[], usize::MAX).unwrap_or_default() {
                let Ok(calling) = Calling::from_bytes(&bytes) else { continue };
                self.agree_on(at, &calling, wrong);
            }
        }
        Ok(())
    }

    /// What is out for calls that a switch does not know any more whose disk lied.
    pub(super) fn stuck_in_calls(&self, card: CardId) -> u64 {
        let lied = self.lines.as_ref().filter(|lines| lines.tampered.is_some());
        let (Some(lines), Ok(store)) = (lied, self.center.store()) else {
            return 0;
        };
        let Ok(Some(row)) = store.card(card) else { return 0 };
        let events = store.events(card, row.generation, 0, u64::MAX >> 1).unwrap_or_default();
        let out = events.iter().filter(|event| {
            event.terminal == Some(lines.id) && matches!(event.state, EventState::InFlight | EventState::Refused)
        });
        out.map(|event| event.amount).sum()
    }

    /// A wallet's side of one call against its switch's.
    fn agree_on(&self, at: usize, calling: &Calling, wrong: &mut Vec<String>) {
        let Some(lines) = &self.lines else { return };
        let number = calling.tariff.claimed().transaction;
        let call = Call::load(&lines.switch.device, number);
        let used = call.as_ref().and_then(|call| call.receipt.as_ref()).map(|receipt| receipt.claimed().used.minor());
        let known = calling.receipt.as_ref().map(|receipt| receipt.claimed().used.minor());
        let ended = match calling.state {
            CallingState::Open | CallingState::Returning => false,
            // Nothing comes back, and nobody tells it so.
            CallingState::Ended => used == Some(calling.total()),
            CallingState::Receipted | CallingState::Returned => known == used,
        };
        let barred = self.causes.blocked.contains(&calling.card) || self.is_given_back(calling.card);
        if !ended && !barred && !self.is_lost(calling.card) {
            wrong.push(format!(
                "wallet {at}: call {number} is {:?} there over {}, and its switch says {used:?}",
                calling.state,
                calling.total()
            ));
        }
    }
}
