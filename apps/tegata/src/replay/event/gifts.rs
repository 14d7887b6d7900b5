//! The gifts: neighbours in the queue hand each other their tickets, both offline; and whoever gave tries with a copy of before.

use super::crowd::Crowd;
use super::doors::Counted;
use crate::flags::EventFlags;
use crate::hand;
use crate::place::now;
use crate::replay::shop::lock;
use crate::screen::{Failure, fail};
use std::sync::Mutex;
use tegata_core::CardId;
use tegata_core::talk::enter::WalletEnterNotice;
use tegata_vault::MemoryVault;
use tegata_wallet::{Standing, enter_at};

/// One ticket that was handed on.
pub struct Gift {
    /// Who gave it.
    pub giver: usize,
    /// Who has it.
    pub receiver: usize,
    /// The ticket.
    pub ticket: CardId,
    /// The giver's wallet as it was before.
    copy: MemoryVault,
}

/// What was handed on, and how much of it is registered in the end.
pub struct Given {
    /// All that was handed on.
    pub gifts: Vec<Gift>,
    /// How many of those are registered.
    pub registered: usize,
}

/// Who swaps with whom, spread over the queue, in two parts: of the people who come early, and of those who come late. Nobody is
/// among them whose wallet is cloned or whose screen is photographed.
pub fn pairs(flags: &EventFlags, late: usize) -> Result<[Vec<(usize, usize)>; 2], Failure> {
    let people = flags.tickets;
    let pairs = flags.gifts.unwrap_or((people * 3).div_ceil(200)).div_ceil(2);
    let first = flags.clones.min(people / 4) + flags.copies;
    let couple = |from: usize, until: usize| (from + 1..until).step_by(2).map(|second| (second - 1, second));
    let early: Vec<_> = couple(first, late).collect();
    let all: Vec<_> =
        early.iter().copied().chain(couple(late.max(first), people.saturating_sub(flags.copies))).collect();
    if pairs > all.len() {
        return fail(format!(
            "of {people} people at most {} can hand on tickets beside the clones and screenshots; say fewer --gifts",
            all.len() * 2
        ));
    }
    let some = (0..pairs).map(|pair| all[pair * all.len() / pairs.max(1)]);
    let (early, late) = some.partition(|(one, _)| *one < late);
    Ok([early, late])
}

/// These hand each other their tickets.
pub fn swap(crowd: &Crowd, pairs: &[(usize, usize)]) -> Result<Vec<Gift>, Failure> {
    let mut gifts = Vec::new();
    for (one, other) in pairs {
        let (mut left, mut right) = (lock(&crowd.people[*one]), lock(&crowd.people[*other]));
        let (Some(first), Some(second)) = (left.ticket, right.ticket) else { return fail("somebody has no ticket") };
        let copies = (left.wallet.device.vault.clone(), right.wallet.device.vault.clone());
        hand::over(&mut left.wallet, &mut right.wallet, first)?;
        hand::over(&mut right.wallet, &mut left.wallet, second)?;
        (left.ticket, right.ticket) = (Some(second), Some(first));
        gifts.push(Gift { giver: *one, receiver: *other, ticket: first, copy: copies.0 });
        gifts.push(Gift { giver: *other, receiver: *one, ticket: second, copy: copies.1 });
    }
    Ok(gifts)
}

/// Each giver's copy of before, at one of these doors.
pub fn copies(crowd: &Crowd, gifts: &[Gift], doors: &[&String], counted: &Mutex<Counted>) -> Result<(), Failure> {
    for (number, gift) in gifts.iter().enumerate() {
        let mut person = lock(&crowd.people[gift.giver]);
        let own = std::mem::replace(&mut person.wallet.device.vault, gift.copy.clone());
        let told = enter_at(&mut person.wallet, doors[number % doors.len()].as_str(), (gift.ticket, 1), now);
        person.wallet.device.vault = own;
        let mut counted = lock(counted);
        match told?.pop() {
            Some(WalletEnterNotice::Refused { why, .. }) => {
                *counted.whys.entry(format!("giver's copy: {}", why.name())).or_default() += 1;
            }
            _ => counted.gift_copies_admitted += 1,
        }
    }
    Ok(())
}

/// How many of these are their receivers' own by now.
pub fn registered(crowd: &Crowd, gifts: &[Gift]) -> usize {
    let own = |gift: &&Gift| {
        let person = lock(&crowd.people[gift.receiver]);
        let held = person.wallet.ticket(gift.ticket);
        held.is_ok_and(|held| held.purse.generation() == 2 && person.wallet.standing(&held.purse) == Standing::Own)
    };
    gifts.iter().filter(own).count()
}
