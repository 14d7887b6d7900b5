//! Calls, by what both sides signed: the wallet's last check takes all of a call from its card, the switch's claim is over what was used,
//! and the rest comes back on the switch's receipt. Whichever side is heard first, the sums are the same.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::facts::{Arrival, Event, Facts, Place, Signature};
use crate::judge::{Dead, Evidence};
use crate::reading::{Id, each, hex};
use crate::verdicts::kind;
use rusqlite::Connection;
use std::collections::{BTreeMap, HashSet};
use tegata_core::Hash;
use tegata_core::charging::AGREED_WITHIN;
use tegata_core::wire::certificate::Role;

/// What a switch claims of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// The last check that it has, if it has one.
    pub check: Option<(Hash, Signature)>,
    /// What was used.
    pub used: u64,
    /// Whether the tariff comes to that much, for as long as the call lasted.
    pub fair: bool,
    /// Whether that is the price of the issuer's tariff (R24).
    pub priced: bool,
    /// When its tariff was agreed, by the switch's clock.
    pub began: u64,
    /// The operator of the trunk that it went through.
    pub operator: Option<Id>,
    pub place: Place,
    pub arrival: Arrival,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub switch: Id,
    pub transaction: u64,
    /// The wallet's last check.
    pub wallet: Option<(Hash, Signature, Place, Arrival)>,
    pub claim: Option<Claim>,
    /// What the wallet took back, and what was used by the receipt that it took it back on.
    pub back: Option<(u64, u64, Place)>,
}

/// Where the value of a call must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub net: i128,
    pub in_flight: i128,
    pub payable: Option<(Id, u64)>,
}

/// One side's word on a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub switch: Id,
    pub transaction: u64,
    pub name: Hash,
    pub check: Option<(Hash, Signature)>,
    pub receipt: Option<(u64, bool)>,
    /// Whether the price is the issuer's.
    pub priced: bool,
    /// When the tariff was agreed, by the switch's clock.
    pub began: u64,
    /// The operator of the trunk, as the switch has logged it.
    pub operator: Option<Id>,
}

impl Call {
    fn new(side: &Side) -> Self {
        Self { switch: side.switch, transaction: side.transaction, wallet: None, claim: None, back: None }
    }
    /// The switch shows more than the wallet says to have signed, or something else.
    fn is_apart(&self) -> bool {
        let claimed = self.claim.and_then(|claim| claim.check);
        claimed.zip(self.wallet).is_some_and(|((hash, claimed), (signed, wallet, ..))| {
            claimed.tick > wallet.tick || claimed.tick == wallet.tick && hash != signed
        })
    }
    /// The card and generation that it is of.
    pub fn life(&self) -> Option<(Id, u64)> {
        let of_wallet = self.wallet.map(|(_, signed, ..)| signed);
        let signed = of_wallet.or_else(|| self.claim.and_then(|claim| claim.check).map(|(_, signed)| signed))?;
        Some((signed.card, signed.generation))
    }
    /// When the provider first heard of it.
    pub fn heard(&self) -> u64 {
        let claimed = self.claim.map(|claim| claim.arrival.at);
        self.wallet.map(|(.., arrival)| arrival.at).into_iter().chain(claimed).min().unwrap_or(0)
    }
    /// A check like any other, as its switch claims it: for what is judged alike.
    fn as_event(&self, name: Hash) -> Option<Event> {
        let claim = self.claim?;
        let (_, signed) = claim.check?;
        Some(Event {
            signed: Signature { amount: claim.used, ..signed },
            terminal: self.switch,
            transaction: self.transaction,
            charge: name,
            wallet: self.wallet.map(|(_, _, place, _)| place),
            claim: Some(claim.place),
            arrival: claim.arrival,
            heard: self.heard(),
            shown: None,
            back: self.back.map(|(.., place)| place),
            conflict: false,
        })
    }
}

impl Facts {
    /// A wallet's log ends a call; says whether that is new.
    pub fn called(&mut self, side: &Side, hash: Hash, signed: Signature, (place, arrival): (Place, Arrival)) -> bool {
        let call = self.calls.entry(side.name).or_insert_with(|| Call::new(side));
        let new = call.wallet.is_none();
        call.wallet = call.wallet.or(Some((hash, signed, place, arrival)));
        new
    }
    /// A switch's log ends a call. The first end stands.
    pub fn claimed_call(&mut self, side: &Side, (used, fair): (u64, bool), (place, arrival): (Place, Arrival)) {
        let call = self.calls.entry(side.name).or_insert_with(|| Call::new(side));
        let (priced, began, operator) = (side.priced, side.began, side.operator);
        let claim = Claim { check: side.check, used, fair, priced, began, operator, place, arrival };
        call.claim = call.claim.or(Some(claim));
    }
    /// A wallet takes back what a call left over: by its switch's receipt, once.
    pub fn returned_call(
        &mut self,
        signed: &Signature,
        (name, switch, used): (Hash, Id, u64),
        place: Place,
    ) -> Result<(), &'static str> {
        let call = self.calls.get_mut(&name).filter(|call| call.switch == switch);
        let Some((call, (_, check, ..))) = call.and_then(|call| call.wallet.map(|wallet| (call, wallet))) else {
            return Err("the rest of a call that is not known");
        };
        if (check.card, check.generation) != (signed.card, signed.generation)
            || check.amount.checked_sub(used) != Some(signed.amount)
        {
            return Err("the rest of another card's call, or another amount than its receipt leaves");
        }
        if call.back.is_some() {
            return Err("a second return of one call");
        }
        call.back = Some((signed.amount, used, place));
        Ok(())
    }
}

impl Evidence<'_> {
    /// Whether the switch is credited what it claims: with a check, and not refused.
    fn is_credited(&self, call: &Call) -> Option<Claim> {
        let refused = |hash: &Hash| self.verdicts.refused.contains(hash);
        call.claim.filter(|claim| claim.check.is_some_and(|(hash, _)| !refused(&hash)))
    }
    /// Who is paid: the operator of the trunk, if that is a merchant here, else the owner of the switch.
    fn paid_for(&self, call: &Call, claim: &Claim) -> Option<Id> {
        let joined = |party: &Id| self.trust.key(party, Role::Merchant).is_some();
        claim.operator.filter(joined).or_else(|| self.trust.merchant(&call.switch))
    }
    /// Where the value of a call must be.
    pub fn places(&self, call: &Call) -> Places {
        let signed = call.wallet.map_or(0, |(_, signed, ..)| signed.amount);
        let credited = self.is_credited(call);
        let apart = call.is_apart();
        // Two receipts for one call: the claim has ended (R9).
        let lowered = call.back.is_some_and(|(_, used, _)| credited.is_some_and(|claim| claim.used != used));
        let unseen = credited.filter(|_| call.wallet.is_none() || apart).map_or(0, |claim| claim.used);
        let payable = credited.filter(|_| !lowered && (call.back.is_none() || !apart));
        let payable = payable.and_then(|claim| Some((self.paid_for(call, &claim)?, claim.used)));
        let back = call.back.map_or_else(|| self.held_back(call), |(amount, ..)| amount);
        let taken = i128::from(signed) + i128::from(unseen);
        let paid = payable.map_or(0, |(_, used)| i128::from(used));
        Places { net: i128::from(back) - taken, in_flight: taken - paid - i128::from(back), payable }
    }
    /// What is left over of a call whose wallet takes nothing up any more comes back by itself (R9, R11).
    fn held_back(&self, call: &Call) -> u64 {
        let (Some((_, signed, ..)), Some(claim), false) = (call.wallet, call.claim, call.is_apart()) else {
            return 0;
        };
        let used = match claim.check {
            None => Some(0),
            Some(_) => self.is_credited(call).map(|claim| claim.used),
        };
        let life = (signed.card, signed.generation);
        let current = self.cards.cards.get(&life.0).and_then(|card| card.current());
        let over = current.is_some_and(|current| life.1 < current.number) || self.facts.surrendered.contains_key(&life);
        used.filter(|_| over).map_or(0, |used| signed.amount.saturating_sub(used))
    }

    /// Whether the switch held, when it agreed to this call, a list that names its card: the call began after the update before its entry, or
    /// later than L after the list's publication (R11, R16).
    fn was_listed(&self, event: &Event, began: u64, dead: &Dead) -> bool {
        let terms = self.cards.cards.get(&event.signed.card).and_then(|card| self.numbers.terms.get(&card.terms));
        let heard = terms.map_or(0, |terms| terms.list_age);
        let known = event.arrival.before.saturating_add(AGREED_WITHIN);
        self.dead_by(event, dead).any(|named| began > known || began > named.at.saturating_add(heard))
    }

    /// Refused claims must say why; what contradicts itself must stand in the exceptions (R1, R9). Counts forks.
    pub fn calls(&self, dead: &Dead, findings: &mut Findings) -> u64 {
        let mut forks = 0;
        let mut seats: BTreeMap<(Id, u64, u64), HashSet<Hash>> = BTreeMap::new();
        for event in self.facts.events.values() {
            let signed = &event.signed;
            seats.entry((signed.card, signed.generation, signed.seq)).or_default().insert(event.charge);
        }
        let mut broken = Vec::new();
        for (name, call) in &self.facts.calls {
            for signed in [call.wallet.map(|one| one.1), call.claim.and_then(|claim| claim.check).map(|one| one.1)] {
                let Some(signed) = signed else { continue };
                let place = (signed.card, signed.generation, signed.seq);
                let seat = seats.entry(place).or_default();
                seat.insert(*name);
                if seat.len() > 1 || call.is_apart() {
                    broken.push(place);
                }
            }
            let Some((event, claim)) = call.as_event(*name).zip(call.claim) else { continue };
            let refused = claim.check.is_some_and(|(hash, _)| self.verdicts.refused.contains(&hash));
            let reasons = self.verdicts.about(&event.signed.card);
            let borne = reasons.iter().any(|found| {
                found.check == Some(*name)
                    && match found.kind {
                        kind::MISPRICED => !claim.priced,
                        kind::AFTER_BLOCK => self.was_listed(&event, claim.began, dead),
                        other => self.bears_out(other, &event, dead),
                    }
            });
            findings.expect(!refused || borne, What::Verdict, || {
                let about = format!("the claim of call {name}");
                (about, "a claim to be credited", "that it is refused", claim.place.to_string())
            });
            findings.expect(refused || claim.fair, What::Verdict, || {
                let about = format!("the claim of call {name}");
                (about, "less by its tariff, or by its check", "that it is credited", claim.place.to_string())
            });
            findings.expect(refused || claim.priced, What::Verdict, || {
                let about = format!("the claim of call {name}");
                (about, "another price by the issuer's tariff", "that it is credited", claim.place.to_string())
            });
        }
        broken.sort_unstable();
        broken.dedup();
        for (card, generation, seq) in broken {
            forks += 1;
            let explained = self.verdicts.about(&card).iter().any(|found| {
                matches!(found.kind, kind::FORK | kind::ALTERED)
                    && (found.generation, found.seq) == (Some(generation), Some(seq))
            });
            findings.expect(explained, What::Unexplained, || {
                let about = format!("card-{} at event {seq} of generation {generation}", hex(&card));
                (
                    about,
                    "two contents of which one is a call",
                    "no exception for it",
                    "its rows of table event".to_owned(),
                )
            });
        }
        forks
    }

    /// The provider's rows of calls: where each stands, and how it ended for its switch.
    pub fn call_rows(&self, connection: &Connection, findings: &mut Findings) -> Result<(), AuditError> {
        let mut known = HashSet::new();
        let sql = "SELECT charge, hash, amount, remaining, wallet_entry, state, used FROM event WHERE kind = 8 ORDER BY card, seq";
        each(connection, sql, [], |row| {
            let name = Hash(row.get::<Option<_>>(0)?.unwrap_or_default());
            let hash = Hash(row.get(1)?);
            known.insert(name);
            let call = self.facts.calls.get(&name);
            let fits = call.is_some_and(|call| {
                let claimed = call.claim.and_then(|claim| claim.check);
                let of_wallet = call.wallet.map(|(of, signed, place, _)| (of, signed, Some(place.number)));
                let of_switch = claimed.map(|(of, signed)| (of, signed, None));
                let shown = of_wallet.filter(|one| one.0 == hash).or(of_switch.filter(|one| one.0 == hash));
                shown.is_some_and(|(_, signed, entry)| {
                    let state = row.u64(5).unwrap_or(0);
                    let back = matches!(state, 4) == (call.back.is_some() || self.held_back(call) > 0);
                    Some(signed.amount) == row.u64(2).ok()
                        && Some(signed.remaining) == row.u64(3).ok()
                        && entry == row.opt_u64(4).ok().flatten()
                        && (back || call.is_apart())
                })
            });
            findings.expect(fits, What::Row, || {
                let evidence = call.map_or("no such call".to_owned(), |call| format!("{call:?}"));
                (format!("call {name}"), evidence, "another one", "its row of table event".to_owned())
            });
            Ok(())
        })?;
        let mut claims = HashSet::new();
        let sql = "SELECT charge, state, amount, terminal, merchant FROM claim ORDER BY terminal, transaction_number";
        each(connection, sql, [], |row| {
            let name = Hash(row.get(0)?);
            let Some(call) = self.facts.calls.get(&name) else { return Ok(()) };
            claims.insert(name);
            let state = row.u64(1)?;
            let expected = call.claim.map(|claim| match (claim.check, self.places(call).payable) {
                (None, _) => 2,
                (_, Some(_)) => 1,
                _ if self.is_credited(call).is_none() => 4,
                _ => 3,
            });
            let used = call.claim.map(|claim| claim.used);
            let paid = call.claim.and_then(|claim| self.paid_for(call, &claim));
            let fits = (expected, used, call.switch) == (Some(state), Some(row.u64(2)?), row.get(3)?)
                && paid == Some(row.get(4)?);
            findings.expect(fits, What::Row, || {
                let evidence = format!("state {expected:?} over {used:?} to {:?}", paid.map(|party| hex(&party)));
                (
                    format!("the claim of call {name}"),
                    evidence,
                    format!("state {state}"),
                    "its row of table claim".to_owned(),
                )
            });
            Ok(())
        })?;
        for (name, call) in &self.facts.calls {
            let with_check = call.wallet.is_some() || call.claim.is_some_and(|claim| claim.check.is_some());
            let there = (!with_check || known.contains(name)) && (call.claim.is_none() || claims.contains(name));
            findings.expect(there, What::Row, || {
                (format!("call {name}"), "a call", "no row of it", format!("transaction {}", call.transaction))
            });
        }
        Ok(())
    }
}
