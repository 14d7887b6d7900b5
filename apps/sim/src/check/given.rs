//! What must never happen to tickets that are given on, checked when all is quiet: from what the town saw signed, what wallets hold and
//! the provider's rows (R12).

use crate::town::{Person, Town};
use crate::venue::Venue;
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::{CardKind, Terms};
use tegata_core::record::Space;
use tegata_core::talk::give::HandedOver;
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::talk::pay::load_purse;
use tegata_core::wire::canonical::Wire;
use tegata_core::{CardId, DeviceId, Time};
use tegata_store::{CardRow, ExceptionKind, ExceptionRow, HandedState, Store, StoreError};
use tegata_vault::Vault;
use tegata_wallet::Standing;

impl Town {
    pub(super) fn given(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(venue) = &self.venue else {
            return Ok(());
        };
        let store = self.center.store()?;
        let shown = store.exceptions(None, Time(0), Time(u64::MAX >> 1))?;
        for card in tickets(store)? {
            self.one_holder(store, card, wrong)?;
            self.title_has_an_end(store, card, wrong)?;
            self.given_within_terms(store, card, wrong)?;
        }
        self.every_handover_is_known(store, &shown, wrong)?;
        self.givers_hear(store, wrong)?;
        self.nobody_honest_is_convicted(&shown, wrong);
        self.givers_stay_out(venue, wrong);
        Ok(())
    }

    /// Whether a wallet has given this away, and it has not come back.
    pub(super) fn is_given_on(&self, person: &Person, purse: &Purse) -> bool {
        matches!(person.wallet.standing(purse), Standing::Given { .. } | Standing::Gift { .. })
    }
    /// Whether a card was held by somebody in a generation after this one.
    pub(super) fn given_on(&self, card: CardId, generation: Option<u64>) -> bool {
        let after = generation.unwrap_or(0).saturating_add(1);
        self.hands.as_ref().is_some_and(|hands| hands.held.range((card, after)..=(card, u64::MAX)).next().is_some())
    }
    /// Whether a hand-over came to the provider when its card was blocked or its holder put back.
    pub(super) fn given_late(&self, row: &ExceptionRow, tampered: bool) -> bool {
        let Some(card) = row.card else {
            return false;
        };
        let signed = self.hands.iter().flat_map(|hands| hands.hops.range((card, 0)..=(card, u64::MAX)));
        let is_of = signed.flat_map(|(_, hops)| hops).any(|hop| row.check == Some(*hop));
        is_of && (tampered || self.causes.blocked.contains(&card) || self.is_of_revoked(card))
    }

    /// Which wallets have held a card, in any generation; those that hold it now among them.
    fn hands_of(&self, card: CardId) -> BTreeSet<DeviceId> {
        let now = self.people.iter().filter(|person| load_purse(&person.wallet.device, card).is_some());
        let held = self.hands.iter().flat_map(|hands| hands.held.range((card, 0)..=(card, u64::MAX)));
        let held = held.flat_map(|(_, ids)| ids.iter().copied());
        // Whoever was told of nothing has it all the same.
        let store = self.center.store().ok();
        let row = store.and_then(|store| store.card(card).ok().flatten());
        let last = row.as_ref().map_or(0, |row| row.generation);
        let takers = (0..=last).filter_map(|number| store?.handed(card, number).ok().flatten()?.taker);
        let theirs = row.as_ref().map(|row| row.wallet);
        now.map(|person| person.id).chain(held).chain(takers).chain(theirs).collect()
    }
    fn is_honest(&self, id: DeviceId) -> bool {
        self.people.iter().any(|person| person.id == id && person.tampered.is_none())
    }
    /// Whether everybody is honest that has ever held a card.
    pub fn is_honest_card(&self, card: CardId) -> bool {
        let hands = self.hands_of(card);
        !hands.is_empty() && hands.into_iter().all(|id| self.is_honest(id))
    }
    /// Whether one who has held it is revoked.
    pub(super) fn is_of_revoked(&self, card: CardId) -> bool {
        self.hands_of(card).iter().any(|id| self.causes.revoked.contains_key(id))
    }
    /// Who has held this generation of a card.
    fn holders(&self, card: CardId, generation: u64) -> BTreeSet<DeviceId> {
        let held = self.hands.as_ref().and_then(|hands| hands.held.get(&(card, generation)));
        let of = |person: &&Person| {
            load_purse(&person.wallet.device, card).is_some_and(|purse| purse.generation() == generation)
        };
        let now = self.people.iter().filter(of).map(|person| person.id);
        held.into_iter().flatten().copied().chain(now).collect()
    }

    /// What an honest wallet can show is what the provider has it for, so that no ticket has two holders; and one that only honest
    /// people held has one.
    fn one_holder(&self, store: &Store, card: CardId, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(row) = store.card(card)? else {
            return Ok(());
        };
        let honest = self.people.iter().enumerate();
        let honest = honest.filter(|(_, it)| it.tampered.is_none() && !self.causes.revoked.contains_key(&it.id));
        let live = honest.filter_map(|(at, it)| {
            let purse = load_purse(&it.wallet.device, card).filter(|purse| purse.state == PurseState::Active)?;
            Some((at, it, purse))
        });
        let live: Vec<(usize, &Person, Purse)> = live.collect();
        for (at, person, purse) in &live {
            let theirs =
                (row.wallet, row.generation, false) == (person.id, purse.generation(), !purse.hops().is_empty());
            if !theirs || row.blocked.is_some() {
                let ours = (purse.generation(), purse.hops().len());
                wrong.push(format!(
                    "R12: wallet {at} holds {card} as {ours:?}, the provider has generation {} at {:?}, blocked {:?}",
                    row.generation, row.wallet, row.blocked
                ));
            }
        }
        let over = row.blocked.is_some() || store.surrender(card)?.is_some() || row.dead_generation >= row.generation;
        // Of a block that came after its backup a provider knows nothing any more that was put back.
        let over = over || self.causes.restored && self.causes.blocked.contains(&card);
        if live.is_empty() && !over && self.is_honest_card(card) && !self.is_of_revoked(card) {
            wrong.push(format!("R12: nobody holds {card}, which only honest people have held"));
        }
        Ok(())
    }

    /// Nothing was given on more often in all than its terms say, by the provider's rows and by what wallets hold.
    fn given_within_terms(&self, store: &Store, card: CardId, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(row) = store.card(card)? else {
            return Ok(());
        };
        let most = terms_of(store, &row)?.handovers;
        let mut given = 0;
        for generation in 0..row.generation {
            let handed = store.handed(card, generation)?.filter(|handed| handed.state != HandedState::Back);
            given += u64::from(handed.is_some_and(|handed| !handed.gift || handed.taker.is_some()));
        }
        if given > most {
            wrong.push(format!("R12: {card} was given on {given} times, and its terms allow {most}"));
        }
        for (at, person) in self.people.iter().enumerate() {
            let purse = load_purse(&person.wallet.device, card).filter(|purse| purse.state == PurseState::Active);
            let held = purse.map(|purse| purse.certificate.claimed().given.unwrap_or(0) + purse.hops().len() as u64);
            if let Some(given) = held.filter(|given| *given > most) {
                wrong.push(format!("R12: wallet {at} holds {card}, given on {given} times; its terms allow {most}"));
            }
        }
        Ok(())
    }

    /// A title ends with a holder that has registered, or with what came back, and not before its time (R12).
    fn title_has_an_end(&self, store: &Store, card: CardId, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let Some(row) = store.card(card)? else {
            return Ok(());
        };
        for generation in 0..=row.generation {
            let Some(handed) = store.handed(card, generation)? else {
                continue;
            };
            if handed.state == HandedState::Open {
                wrong.push(format!("R12: generation {generation} of {card} was given, and nobody has it for ever"));
            }
            let late = if handed.gift { 0 } else { record_age(store, &row)? };
            let back = first_after(store, card, generation, handed.gift)?;
            let early = back.is_some_and(|at| at < handed.until.after(late));
            if handed.state == HandedState::Back && early && self.is_honest_card(card) {
                wrong.push(format!("R12: generation {generation} of {card} came back before its receiver was late"));
            }
        }
        Ok(())
    }

    /// Every hand-over that was signed and told of is recorded, or shown as an exception; a second one of a generation convicts.
    fn every_handover_is_known(
        &self,
        store: &Store,
        shown: &[ExceptionRow],
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let told = self.handovers_told();
        for ((card, generation), hops) in &told {
            let recorded = store.handed(*card, *generation)?.map(|row| row.hash);
            for hop in hops {
                let named = |row: &&ExceptionRow| row.check == Some(*hop) && row.card == Some(*card);
                let judged = shown.iter().any(|row| named(&row));
                // What follows a hand-over that does not count is not looked at.
                let before = self.hands.iter().flat_map(|hands| hands.hops.range((*card, 0)..(*card, *generation)));
                let mut refused = false;
                for ((_, earlier), hops) in before {
                    let row = store.handed(*card, *earlier)?;
                    let counts = |hop: &tegata_core::Hash| {
                        row.as_ref().is_some_and(|row| row.hash == *hop && row.state != HandedState::Back)
                    };
                    refused |= !hops.iter().all(counts);
                }
                if recorded != Some(*hop) && !judged && !refused {
                    wrong.push(format!("R12: a hand-over of generation {generation} of {card} is known to nobody"));
                }
            }
            let twice = |row: &ExceptionRow| {
                matches!(row.kind, ExceptionKind::GivenTwice | ExceptionKind::Late) && row.card == Some(*card)
            };
            if hops.len() > 1 && recorded.is_some_and(|hash| hops.contains(&hash)) && !shown.iter().any(twice) {
                wrong.push(format!("R12: generation {generation} of {card} was given to two, and nobody is named"));
            }
        }
        Ok(())
    }

    /// Whoever gave what somebody has by now knows that, and nobody else does.
    fn givers_hear(&self, store: &Store, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let honest = self.people.iter().enumerate();
        let honest = honest.filter(|(_, it)| it.tampered.is_none() && !self.causes.revoked.contains_key(&it.id));
        for (at, person) in honest {
            for card in person.wallet.device.cards().unwrap_or_default() {
                let Some(purse) = load_purse(&person.wallet.device, card) else {
                    continue;
                };
                let heard = match person.wallet.standing(&purse) {
                    Standing::Given { arrived, .. } | Standing::Gift { arrived, .. } => arrived,
                    _ => continue,
                };
                let last = store.card(card)?.map_or(0, |row| row.generation);
                let mut there = false;
                for generation in 0..=last {
                    let row = store.handed(card, generation)?;
                    let row = row.filter(|row| (row.giver, row.home) == (person.id, purse.generation()));
                    there |= row.and_then(|row| row.taker).is_some_and(|taker| taker != person.id);
                }
                if there != heard.is_some() {
                    wrong.push(format!("R12: wallet {at} gave {card}, heard {heard:?}, and somebody has it: {there}"));
                }
            }
        }
        Ok(())
    }

    /// Hand-overs that a wallet holds now whose logs are with the provider.
    fn handovers_told(&self) -> BTreeMap<(CardId, u64), BTreeSet<tegata_core::Hash>> {
        let mut told: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for person in self.people.iter().filter(|person| !self.causes.revoked.contains_key(&person.id)) {
            for card in person.wallet.device.cards().unwrap_or_default() {
                let Some(purse) = load_purse(&person.wallet.device, card) else {
                    continue;
                };
                let given = HandedOver::load(&person.wallet.device, &purse).map(|handed| handed.given.hop);
                let first = purse.certificate.claimed().generation;
                for (generation, hop) in (first..).zip(purse.hops().iter().cloned().chain(given)) {
                    told.entry((card, generation)).or_default().insert(hop.hash(card, generation));
                }
            }
        }
        told
    }

    /// Whoever is convicted has held the generation that was given twice, shown twice or forked, and is not honest.
    fn nobody_honest_is_convicted(&self, shown: &[ExceptionRow], wrong: &mut Vec<String>) {
        for row in shown.iter().filter(|row| convicts(row.kind)) {
            let (Some(card), Some(generation)) = (row.card, row.generation) else {
                continue;
            };
            let holders = self.holders(card, generation);
            if !holders.is_empty() && holders.into_iter().all(|id| self.is_honest(id)) {
                let kind = row.kind;
                wrong.push(format!("R9: generation {generation} of {card} was only in honest hands: {kind:?}"));
            }
        }
    }

    /// Once a gate has let somebody pass with a later generation, or has turned somebody away who holds one by title, nobody passes there
    /// with an earlier one.
    fn givers_stay_out(&self, venue: &Venue, wrong: &mut Vec<String>) {
        for (at, gate) in venue.gates.iter().enumerate().filter(|(_, gate)| gate.tampered.is_none()) {
            let mut seen: BTreeMap<CardId, u64> = BTreeMap::new();
            let log = gate.gate.device.vault.scan(Space::Log, &[], usize::MAX).unwrap_or_default();
            for entry in log.iter().filter_map(|(_, bytes)| LogEntry::from_bytes(bytes).ok()) {
                let (Some(card), Some(shown)) = (entry.card, &entry.shown) else {
                    continue;
                };
                let passed = matches!(entry.kind, EntryKind::Admitted | EntryKind::Left);
                let (generation, last) = (shown.generation(), seen.entry(card).or_default());
                if passed && generation < *last {
                    wrong.push(format!(
                        "R12: gate {at} let generation {generation} of {card} pass after generation {last}"
                    ));
                }
                if passed || !shown.hops().is_empty() {
                    *last = generation.max(*last);
                }
            }
        }
    }
}

/// Whether this exception says that a holder has cheated.
pub(super) fn convicts(kind: ExceptionKind) -> bool {
    matches!(kind, ExceptionKind::Fork | ExceptionKind::Altered | ExceptionKind::Cloned | ExceptionKind::GivenTwice)
}

/// Every ticket that the provider has made.
pub(super) fn tickets(store: &Store) -> Result<Vec<CardId>, StoreError> {
    let mut found = store.connection().prepare("SELECT card FROM ticket ORDER BY card")?;
    let rows = found.query_map([], |row| row.get(0).map(CardId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The terms of a card.
pub(super) fn terms_of(store: &Store, row: &CardRow) -> Result<Terms, StoreError> {
    let bytes = store.terms(row.terms)?.ok_or(StoreError::Missing)?;
    let terms = Terms::from_bytes(&bytes).map_err(|_| StoreError::Damaged)?;
    debug_assert_eq!(terms.kind, CardKind::Ticket);
    Ok(terms)
}

fn record_age(store: &Store, row: &CardRow) -> Result<u64, StoreError> {
    Ok(terms_of(store, row)?.record_age)
}

/// When the first generation after a hand-over and all that may have followed from it began.
fn first_after(store: &Store, card: CardId, generation: u64, gift: bool) -> Result<Option<Time>, StoreError> {
    let row = store.card(card)?.ok_or(StoreError::Missing)?;
    let mut last = generation + u64::from(!gift);
    while let Some(next) = store.handed(card, last)? {
        last += u64::from(!next.gift);
        if next.gift {
            break;
        }
    }
    let later = (last + 1..=row.generation).find_map(|number| store.generation(card, number).transpose());
    Ok(later.transpose()?.map(|row| row.at))
}
