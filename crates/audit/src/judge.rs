//! What the evidence says of itself: forks, claims and credit-backs that may be there once, reversals and checkpoints
//! that something must cover. What contradicts a rule must stand in the exceptions.

use crate::AuditError;
use crate::cards::Cards;
use crate::changes::Changes;
use crate::contracts::Contracts;
use crate::credit::Credit;
use crate::difference::{Difference, Findings, What};
use crate::facts::{Event, Facts, Odd};
use crate::numbers::Numbers;
use crate::reading::{Id, each, hex};
use crate::sold::Sold;
use crate::trust::Trust;
use crate::verdicts::{Verdicts, kind};
use rusqlite::Connection;
use std::collections::HashMap;
use tegata_core::Hash;
use tegata_core::card::EventKind;
use tegata_core::wire::canonical::Message;
use tegata_core::wire::certificate::RevocationList;
use tegata_core::wire::signed::Signed;

/// Where a check ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It moves nothing.
    Nothing,
    /// It left the card, and nobody may claim it or nobody has.
    InFlight,
    /// Owed to this merchant.
    Payable(Id),
    /// Back on the card.
    Back,
}

/// All evidence together.
pub(crate) struct Evidence<'a> {
    pub trust: &'a Trust,
    pub numbers: &'a Numbers,
    pub cards: &'a Cards,
    pub facts: &'a Facts,
    pub verdicts: &'a Verdicts,
    pub credit: &'a Credit,
    pub sold: &'a Sold,
    pub changes: &'a Changes,
    pub contracts: &'a Contracts,
}

/// When cards died.
pub(crate) type Dead = HashMap<Id, Vec<Named>>;

/// A revocation list that names a card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// The list's number.
    pub list: u64,
    /// When it was published.
    pub at: u64,
    /// Up to which generation the card is dead by it.
    pub generation: u64,
}

impl Evidence<'_> {
    /// Where a check ends up, by what both sides signed.
    pub fn state(&self, hash: &Hash, event: &Event) -> State {
        let claimed = self.is_claimed(hash, event);
        if !claimed && event.wallet.is_none() {
            return State::Nothing;
        }
        let ended = self.facts.ended(hash, event);
        let current = self.cards.cards.get(&event.signed.card).and_then(|card| card.current());
        // What ends after its generation did comes back to the card, whose new generation cannot take it up (R9, R11); nor can
        // one that was given back.
        let life = (event.signed.card, event.signed.generation);
        let over = ended
            && (current.is_some_and(|current| life.1 < current.number) || self.facts.surrendered.contains_key(&life));
        match self.trust.merchant(&event.terminal) {
            _ if over || event.back.is_some() => State::Back,
            Some(merchant) if claimed && !ended => State::Payable(merchant),
            _ => State::InFlight,
        }
    }
    /// Whether a terminal claims it, first and unrefused.
    pub fn is_claimed(&self, hash: &Hash, event: &Event) -> bool {
        event.claim.is_some() && !event.conflict && !self.verdicts.refused.contains(hash)
    }

    /// Runs every rule.
    pub fn judge(&self, connection: &Connection, findings: &mut Findings) -> Result<u64, AuditError> {
        let forks = self.forks(findings);
        self.oddities(findings);
        let dead = self.dead(connection, findings)?;
        self.refusals(&dead, findings);
        let forks = forks + self.calls(&dead, findings);
        self.reversals(findings);
        self.checkpoints(findings);
        Ok(forks)
    }

    /// Two contents under one position: both records must stand in the exceptions (R1, R9).
    fn forks(&self, findings: &mut Findings) -> u64 {
        let position =
            |event: &Event| (event.signed.card, event.signed.generation, event.signed.seq, event.signed.tick);
        let mut places: Vec<_> = self.facts.events.values().map(position).collect();
        places.sort_unstable();
        let mut forks = 0;
        let mut last = None;
        for pair in places.windows(2) {
            let [one, other] = pair else { continue };
            if one != other || last == Some(*one) {
                continue;
            }
            last = Some(*one);
            forks += 1;
            let (card, generation, seq, _) = *one;
            let explained = self.verdicts.about(&card).iter().any(|found| {
                found.kind == kind::FORK && (found.generation, found.seq) == (Some(generation), Some(seq)) && found.both
            });
            if !explained {
                findings.add(|| self.fork(card, generation, seq));
            }
        }
        forks
    }

    fn fork(&self, card: Id, generation: u64, seq: u64) -> Difference {
        let at =
            |event: &&Event| (event.signed.card, event.signed.generation, event.signed.seq) == (card, generation, seq);
        let mut places: Vec<String> = self.facts.events.values().filter(at).map(place).collect();
        places.sort();
        Difference {
            what: What::Unexplained,
            about: format!("card-{} at event {seq} of generation {generation}", hex(&card)),
            evidence: format!("{} contents signed by the card: a fork", places.len()),
            ledger: "no exception with both records".into(),
            nearest: places.join(" and "),
            at_fault: format!("the holder of generation {generation}; the provider for not saying so"),
        }
    }

    fn oddities(&self, findings: &mut Findings) {
        for odd in &self.facts.odd {
            let explained = self.verdicts.about(&odd.card).iter().any(|found| match odd.odd {
                // A chain that broke is explained once for the generation.
                Odd::Chain | Odd::Unfair(_) => {
                    matches!(found.kind, kind::FORK | kind::ALTERED) && found.generation == Some(odd.generation)
                }
                Odd::Claim => found.kind == kind::DOUBLE_CLAIM && found.check == Some(odd.check),
            });
            if explained {
                continue;
            }
            findings.add(|| {
                let (about, evidence, at_fault) = match odd.odd {
                    Odd::Chain => (
                        format!("the chain of card-{}", hex(&odd.card)),
                        "an event that does not follow from the one before",
                        format!("the holder of generation {}; the provider for not saying so", odd.generation),
                    ),
                    Odd::Unfair(why) => (
                        format!("the chain of card-{}", hex(&odd.card)),
                        why,
                        format!("the holder of generation {}; the provider for not saying so", odd.generation),
                    ),
                    Odd::Claim => (
                        format!("check {}", odd.check),
                        "that its charge was closed or had another check",
                        format!("dev-{}; the provider for not saying so", hex(&odd.place.device)),
                    ),
                };
                Difference {
                    what: What::Unexplained,
                    about,
                    evidence: evidence.into(),
                    ledger: "no exception for it".into(),
                    nearest: odd.place.to_string(),
                    at_fault,
                }
            });
        }
    }

    /// The cards that each revocation list names.
    fn dead(&self, connection: &Connection, findings: &mut Findings) -> Result<Dead, AuditError> {
        let mut dead = Dead::new();
        each(connection, "SELECT number, body FROM list ORDER BY number", [], |row| {
            let (number, body) = (row.u64(0)?, row.get::<Vec<u8>>(1)?);
            debug_assert!(body.len() <= RevocationList::MAX_LEN);
            let list = Signed::<RevocationList>::decode(&body).ok().filter(|list| {
                let key = self.trust.provider(list.claimed().signer);
                list.claimed().number == number && key.is_some_and(|key| crate::trust::holds(list, key, &[]))
            });
            findings.expect(list.is_some(), What::Certificate, || {
                let about = format!("revocation list {number}");
                (about, "no such list by the provider's key", "a list", "its row of table list".into())
            });
            for card in list.iter().flat_map(|list| &list.claimed().cards) {
                let named = dead.entry(card.card.0).or_default();
                if named.last().is_none_or(|named| named.generation < card.generation) {
                    let at = list.as_ref().map_or(0, |list| list.claimed().at.0);
                    named.push(Named { list: number, at, generation: card.generation });
                }
            }
            Ok(())
        })?;
        Ok(dead)
    }

    /// A claim that was refused must say why, and the evidence must bear it out.
    fn refusals(&self, dead: &Dead, findings: &mut Findings) {
        for hash in &self.verdicts.refused {
            let Some(event) = self.facts.events.get(hash).filter(|event| event.claim.is_some()) else {
                continue;
            };
            let reasons = self.verdicts.about(&event.signed.card).iter().filter(|found| found.check == Some(*hash));
            let borne = reasons.clone().any(|found| self.bears_out(found.kind, event, dead));
            findings.expect(borne, What::Verdict, || {
                let about = format!("the claim of check {hash}");
                let named = if reasons.clone().next().is_some() {
                    "that it is refused for a reason that the evidence does not bear out"
                } else {
                    "that it is refused, without an exception"
                };
                (about, "a claim to be credited", named, place(event))
            });
        }
    }

    pub(crate) fn bears_out(&self, why: u64, event: &Event, dead: &Dead) -> bool {
        let card = self.cards.cards.get(&event.signed.card);
        let terms = card.and_then(|card| self.numbers.terms.get(&card.terms));
        let arrival = event.arrival;
        match why {
            kind::LATE => terms.is_some_and(|terms| {
                let bound = terms.list_age.saturating_add(terms.record_age);
                // What was on when a list came that names its card grows old from that list on.
                let named = self.dead_by(event, dead).map(|named| named.at);
                let since = named.chain([arrival.before]).min().unwrap_or(arrival.before);
                arrival.at.saturating_sub(since) > bound
            }),
            kind::AFTER_BLOCK => self.dead_by(event, dead).next().is_some(),
            kind::OVER_LIMIT => {
                let amount = event.signed.amount;
                amount == 0 || terms.is_some_and(|terms| amount > terms.max_payment)
            }
            kind::DOUBLE_CLAIM => event.conflict,
            kind::FORK | kind::ALTERED | kind::OVERSPENT | kind::MALFORMED => true,
            _ => false,
        }
    }

    /// The lists that name this event's card, and that the device held when it wrote the entry (R16).
    pub(crate) fn dead_by<'d>(&self, event: &Event, dead: &'d Dead) -> impl Iterator<Item = &'d Named> {
        let (held, generation) = (event.arrival.list, event.signed.generation);
        let named = dead.get(&event.signed.card).into_iter().flatten();
        named.filter(move |named| named.list <= held && named.generation >= generation)
    }

    /// The provider returns a check only when its terminal ended the claim, or is lost (R8).
    fn reversals(&self, findings: &mut Findings) {
        for back in self.cards.reversals.values() {
            let event = self.facts.events.get(&back.check);
            let fits = event.is_some_and(|event| {
                event.signed.kind == EventKind::Spend
                    && event.signed.card == back.card
                    && event.signed.amount == back.amount
                    && (self.facts.ended(&back.check, event)
                        || self.trust.member(&event.terminal).is_some_and(|terminal| terminal.revoked))
            });
            findings.expect(fits, What::Unexplained, || {
                let evidence = match event {
                    None => "no such check".to_owned(),
                    Some(_) => "no close or void of its charge, and a terminal that is not lost".to_owned(),
                };
                let nearest = event.map_or_else(|| format!("card-{}", hex(&back.card)), place);
                (format!("the reversal of check {}", back.check), evidence, "a reversal", nearest)
            });
        }
    }

    /// A checkpoint says what the wallet's own chain says; a generation begins with no more than the card held.
    fn checkpoints(&self, findings: &mut Findings) {
        for (id, checkpoint) in &self.cards.checkpoints {
            let Some(card) = self.cards.cards.get(id) else { continue };
            let begins = card.generation(checkpoint.generation);
            let chain = self.facts.chains.get(&(*id, checkpoint.generation));
            let allowed = match chain {
                Some(chain) if checkpoint.seq == chain.seq => Some(chain.remaining),
                _ => begins.filter(|begins| begins.seq == checkpoint.seq).map(|begins| begins.remaining),
            };
            // Events that arrived after it: it may lie behind the chain, never above what the card was ever given.
            let fits = match allowed {
                Some(allowed) => checkpoint.remaining == allowed,
                None => chain.is_some_and(|chain| checkpoint.seq < chain.seq) && checkpoint.remaining <= card.put,
            };
            findings.expect(fits, What::Card, || {
                let evidence = allowed.map_or("another event".to_owned(), |allowed| format!("{allowed} after it"));
                let ledger = format!("{} after event {}", checkpoint.remaining, checkpoint.seq);
                let nearest = chain.and_then(|chain| chain.place).map_or("its certificate".into(), |at| at.to_string());
                (format!("the checkpoint of card-{}", hex(id)), evidence, ledger, nearest)
            });
        }
    }

    /// A later generation begins with no more than was left of what numbers brought (R11).
    pub fn generations(&self, id: &Id, checks: &[Hash], findings: &mut Findings) {
        let Some(card) = self.cards.cards.get(id) else { return };
        for generation in card.generations.iter().filter(|generation| generation.number > 1) {
            let later: u64 =
                card.sources.iter().filter(|source| source.at > generation.from).map(|one| one.amount).sum();
            let spent: u64 = checks
                .iter()
                .filter_map(|hash| self.facts.events.get(hash).map(|event| (hash, event)))
                .filter(|(_, event)| event.heard < generation.from && event.back.is_none())
                .filter(|(hash, event)| matches!(self.state(hash, event), State::Payable(_) | State::InFlight))
                .map(|(_, event)| event.signed.amount)
                .sum();
            let called: i128 = self
                .facts
                .calls
                .values()
                .filter(|call| call.life() == Some((*id, generation.number - 1)))
                .filter(|call| call.heard() < generation.from && call.back.is_none())
                .map(|call| -self.places(call).net)
                .sum();
            let spent = spent.saturating_add(u64::try_from(called).unwrap_or(0));
            let allowed = card.put.saturating_sub(later).saturating_sub(spent);
            findings.expect(generation.remaining <= allowed, What::Card, || {
                let about = format!("generation {} of card-{}", generation.number, hex(id));
                let evidence = format!("at most {allowed} left at its start");
                (about, evidence, format!("{}", generation.remaining), "its row of table generation".into())
            });
        }
    }
}

/// The entry that shows an event best.
pub(crate) fn place(event: &Event) -> String {
    event.claim.or(event.wallet).map_or_else(String::new, |place| place.to_string())
}
