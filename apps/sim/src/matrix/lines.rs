//! Conversations of the matrix that are about what a call costs and who is paid for it: a tariff that changes meanwhile, trunks with operators,
//! and the same charging without a call.

use super::steps::{RINGS, call_parked, settle};
use crate::act::UNKNOWN_OPERATOR;
use crate::dial::{Ends, Spoken};
use crate::fault::FrameFault;
use crate::park::{Comes, Happens};
use crate::town::Town;
use tegata_core::card::{CallEnd, CallReceipt};
use tegata_core::talk::call::CallerNotice;

/// The issuer charges more once it rings, and the switch hears of it in the middle of the call: what was agreed holds, and the next call costs
/// more (R24).
pub(super) fn call_repriced(town: &mut Town, fault: Option<(usize, FrameFault)>) {
    let Some(card) = town.telephone(0) else { return };
    let (before, planned) = (charges(town), town.lines.as_ref().and_then(|lines| lines.parks));
    let seen = call_parked(town, card, (RINGS, Happens::Raise), fault);
    let after = charges(town);
    let Some(lines) = town.lines.as_ref().filter(|lines| lines.tampered.is_none()) else { return };
    let agreed = seen.wallet.iter().find_map(|notice| match notice {
        CallerNotice::Consent { tariff, .. } => Some(tariff.clone()),
        _ => None,
    });
    let last = lines.switch.calls().unwrap_or_default().pop().filter(|_| seen.rang);
    let mut wrong = Vec::new();
    if let Some((agreed, call)) = agreed.as_ref().zip(last) {
        let said = call.receipt.as_ref().map(|receipt| receipt.claimed());
        // A switch that has lost power does not know how long it was, and charges what was paid of it; this town knows.
        let spoke = |said: &CallReceipt| match said.ended {
            CallEnd::SwitchRestarted => seen.answered.then_some(seen.spoke),
            _ => said.lasted,
        };
        let most = said.and_then(|said| agreed.cost(spoke(said))).unwrap_or(u64::MAX);
        if *agreed != *call.tariff.claimed() || said.is_some_and(|said| said.used.minor() > most) {
            wrong.push(format!("R24: a call that was agreed as {agreed:?} costs {said:?}"));
        }
    }
    if agreed.is_some_and(|agreed| Some(agreed.price) != before) {
        wrong.push(format!("R24: a call was agreed otherwise than the switch charged then, {before:?}"));
    }
    // Nothing else goes wrong then.
    let whole = planned.is_some_and(|(_, comes)| comes == Comes::Whole);
    if whole && after != before.map(|before| before + 1) {
        wrong.push(format!("the switch has heard of a new tariff, and charges {after:?} where it charged {before:?}"));
    }
    town.wrong.extend(wrong);
}

/// What the switch charges for a unit of an ordinary call, by what it has heard.
fn charges(town: &mut Town) -> Option<u64> {
    let time = town.time;
    town.lines.as_mut()?.charges("4930", time)
}

/// Calls through two trunks: the operator of one is paid, the other's is nobody whom the provider knows, so that the switch's owner is. Then
/// all is settled, ordered and paid out.
pub(super) fn call_through_trunks(town: &mut Town, fault: Option<(usize, FrameFault)>) {
    for (called, fault) in [("1900", fault), (UNKNOWN_OPERATOR, None)] {
        let Some(card) = town.telephone(0) else { return };
        let spoken = Spoken { rings: 3_000, speaks: Some(70_000), ends: Ends::Called, limit: Some(200) };
        town.dial_to(0, card, (called, false), spoken, fault);
        town.wake_person(0);
        town.wake_switch();
    }
    town.hang_up(0);
    town.update_switch();
    town.wake_switch();
    town.update_wallet_plain(0);
    town.wake_person(0);
    settle(town);
}

/// The wallet pays for a way to the network, until it ends so.
pub(super) fn surf(town: &mut Town, (speaks, ends): (u64, Ends), fault: Option<(usize, FrameFault)>) {
    if let Some(card) = town.telephone(0) {
        town.surf(0, card, Spoken { rings: 0, speaks: Some(speaks), ends, limit: Some(60) }, fault);
        town.wake_person(0);
        town.wake_switch();
    }
}
