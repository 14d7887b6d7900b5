//! Calls, when all is quiet: both sides agree on what each cost, and a card has lost exactly that.

use crate::act::Lines;
use crate::town::Town;
use tegata_core::CardId;
use tegata_core::card::CallReceipt;
use tegata_core::record::Space;
use tegata_core::talk::call::{Call, CallState, Calling, CallingState};
use tegata_core::wire::canonical::Wire;
use tegata_store::{ClaimState, EventState, ExceptionRow, StoreError};
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
                state && row.amount == said.used.minor() && Some(row.merchant) == Lines::paid_for(&tariff.called)
            });
            let paid = stored.as_ref().is_some_and(|row| row.state == ClaimState::Paid);
            if lines.is_dearer(&call) && paid {
                wrong.push(format!("R24: call {number} was charged otherwise than its issuer says, and is paid"));
            }
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

    /// Whether an exception is about a call that its switch has charged otherwise than the issuer says.
    pub(super) fn is_of_a_dearer_call(&self, row: &ExceptionRow) -> bool {
        self.dearer_calls().any(|receipt| Some(receipt.call) == row.check)
    }
    /// What a switch says of calls that it charged so.
    fn dearer_calls(&self) -> impl Iterator<Item = CallReceipt> {
        let of = |lines: &Lines| {
            let calls = lines.switch.calls().unwrap_or_default().into_iter();
            let dearer = calls.filter(|call| call.tick.is_some() && lines.is_dearer(call));
            dearer.filter_map(|call| Some(call.receipt?.claimed().clone())).collect::<Vec<_>>()
        };
        self.lines.as_ref().map(of).unwrap_or_default().into_iter()
    }
    /// What of this card is not paid to a switch that charged more than it may.
    fn stuck_as_dearer(&self, card: CardId) -> u64 {
        let (Some(lines), Ok(store)) = (&self.lines, self.center.store()) else {
            return 0;
        };
        let refused = self.dearer_calls().filter_map(|said| {
            let claim = store.claim(lines.id, said.transaction, &said.call).ok().flatten()?;
            let of_card = claim.check.is_some_and(|(of, ..)| of == card);
            (of_card && claim.state == ClaimState::Refused).then_some(claim.amount)
        });
        refused.sum()
    }
    /// What is out for calls that a switch does not know any more whose disk lied, or that it has charged more for than it may.
    pub(super) fn stuck_in_calls(&self, card: CardId) -> u64 {
        let lied = self.lines.as_ref().filter(|lines| lines.tampered.is_some());
        let (Some(lines), Ok(store)) = (lied, self.center.store()) else {
            return self.stuck_as_dearer(card);
        };
        let Ok(Some(row)) = store.card(card) else { return 0 };
        let events = store.events(card, row.generation, 0, u64::MAX >> 1).unwrap_or_default();
        let of_switch = events.iter().filter(|event| event.terminal == Some(lines.id));
        let out = of_switch.map(|event| match event.state {
            EventState::InFlight | EventState::Refused => event.amount,
            // Its rest is back; what was used is not paid where the claim was refused.
            _ => {
                let named = event.transaction.zip(event.charge);
                let claim = named.and_then(|(number, name)| store.claim(lines.id, number, &name).ok().flatten());
                claim.filter(|claim| claim.state == ClaimState::Refused).map_or(0, |claim| claim.amount)
            }
        });
        out.sum()
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
