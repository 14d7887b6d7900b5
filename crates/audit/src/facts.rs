//! What the logs of all devices say together, one fact a check. Devices come in any order; what comes out is the same.

use crate::cards::Cards;
use crate::reading::Id;
use std::collections::HashMap;
use tegata_core::Hash;
use tegata_core::card::EventKind;

/// An entry of a device's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub device: Id,
    pub number: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "entry {} of dev-{}", self.number, crate::reading::hex(&self.device))
    }
}

/// How an entry arrived: what R11 and R16 are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Arrival {
    pub at: u64,
    pub before: u64,
    /// The revocation list that the device said it held.
    pub list: u64,
}

/// What a card's key signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub card: Id,
    pub generation: u64,
    pub seq: u64,
    pub tick: u64,
    pub kind: EventKind,
    pub amount: u64,
    pub remaining: u64,
    pub previous: Hash,
    /// The hash of the signature's bytes: the same ones need no second look.
    pub bytes: Hash,
}

/// One event of a card's chain, as both sides show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub signed: Signature,
    /// Checks: the charge answered, by terminal, number and hash of session, terminal and bytes.
    pub terminal: Id,
    pub transaction: u64,
    pub charge: Hash,
    pub wallet: Option<Place>,
    pub claim: Option<Place>,
    /// How the claim arrived, or else the wallet's record.
    pub arrival: Arrival,
    /// A terminal's void or close that the wallet showed.
    pub shown: Option<Place>,
    /// The entry that takes the money back.
    pub back: Option<Place>,
    /// It was claimed where another check was claimed before, or after the charge was closed.
    pub conflict: bool,
}

/// How a charge ended, by its terminal's own log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charge {
    pub paid: Option<Hash>,
    pub closed: Option<Place>,
    pub voided: Option<Place>,
}

/// How far a wallet's log carries a card's chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    pub seq: u64,
    pub head: Hash,
    pub remaining: u64,
    pub load: u64,
    pub place: Option<Place>,
}

/// What may only stand with an exception beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// A wallet's chain does not follow from its predecessor.
    Chain,
    /// A check was credited back twice.
    TwiceBack,
    /// Claimed although the charge had another check or was closed.
    Claim,
}

/// Where that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oddity {
    pub odd: Odd,
    pub card: Id,
    pub generation: u64,
    pub check: Hash,
    pub place: Place,
}

/// What an entry says, verified.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    Claimed { hash: Hash, signed: Signature, transaction: u64, charge: Hash },
    Closed { charge: Hash },
    Voided { charge: Hash, check: Hash },
    Spent { hash: Hash, signed: Signature, terminal: Id, transaction: u64, charge: Hash },
    Loaded { hash: Hash, signed: Signature, load: Hash },
    Returned { hash: Hash, signed: Signature, by: By },
}

/// What returns a check.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// A terminal's void of the check, or close of the charge.
    Void { terminal: Id, transaction: u64, check: Option<Hash>, amount: u64 },
    /// The provider's reversal of it.
    Reversal { check: Hash },
}

/// All facts.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub events: HashMap<Hash, Event>,
    pub charges: HashMap<Hash, Charge>,
    pub chains: HashMap<(Id, u64), Chain>,
    pub odd: Vec<Oddity>,
    /// Checks by wallet, terminal and transaction.
    spends: HashMap<(Id, Id, u64), Hash>,
}

impl Facts {
    /// The check that a wallet signed for a transaction.
    pub fn spent(&self, wallet: Id, terminal: Id, transaction: u64) -> Option<Hash> {
        self.spends.get(&(wallet, terminal, transaction)).copied()
    }
    /// Adds what an entry says.
    ///
    /// # Errors
    /// Why it is not what it says; nothing was added.
    pub fn add(&mut self, record: Record, place: Place, arrival: Arrival, cards: &Cards) -> Result<(), &'static str> {
        match record {
            Record::Claimed { hash, signed, transaction, charge } => {
                let ended = self.charges.entry(charge).or_default();
                let conflict = ended.paid.is_some_and(|paid| paid != hash) || ended.closed.is_some();
                ended.paid = ended.paid.or(Some(hash));
                let event = self.event(hash, signed, (place.device, transaction, charge), arrival);
                // The same claim again, under a new number after a restore, is one claim.
                if event.claim.is_none() {
                    event.claim = Some(place);
                    event.arrival = arrival;
                    event.conflict = conflict;
                    if conflict {
                        self.odd(Odd::Claim, &signed, hash, place);
                    }
                }
            }
            Record::Closed { charge } => {
                let ended = self.charges.entry(charge).or_default();
                ended.closed = ended.closed.or(Some(place));
            }
            Record::Voided { charge, check } => {
                let ended = self.charges.entry(charge).or_default();
                if ended.paid != Some(check) {
                    return Err("it voids a check that this terminal did not claim");
                }
                ended.voided = ended.voided.or(Some(place));
            }
            Record::Spent { hash, signed, terminal, transaction, charge } => {
                let event = self.event(hash, signed, (terminal, transaction, charge), arrival);
                if event.wallet.is_none() {
                    event.wallet = Some(place);
                    self.spends.entry((place.device, terminal, transaction)).or_insert(hash);
                    self.follow(hash, &signed, None, place, cards);
                }
            }
            Record::Loaded { hash, signed, load } => {
                let Some(load) = cards.loads.get(&load).copied() else { return Err("its load is not the provider's") };
                if (load.card, load.generation, load.amount) != (signed.card, signed.generation, signed.amount) {
                    return Err("its load is for another card or amount");
                }
                let event = self.event(hash, signed, ([0; 16], 0, Hash::ZERO), arrival);
                if event.wallet.is_none() {
                    event.wallet = Some(place);
                    self.follow(hash, &signed, Some(load.number), place, cards);
                }
            }
            Record::Returned { hash, signed, by } => self.returned((hash, signed), by, place, arrival, cards)?,
        }
        Ok(())
    }

    fn returned(
        &mut self,
        (hash, signed): (Hash, Signature),
        by: By,
        place: Place,
        arrival: Arrival,
        cards: &Cards,
    ) -> Result<(), &'static str> {
        let check = match by {
            By::Void { terminal, transaction, check, .. } => {
                let spent = self.spends.get(&(place.device, terminal, transaction)).copied();
                spent.filter(|spent| check.is_none_or(|check| check == *spent))
            }
            By::Reversal { check } => Some(check),
        };
        let (repeated, amount) = (self.events.get(&hash).is_some_and(|event| event.wallet.is_some()), signed.amount);
        let returned = check.and_then(|check| self.events.get_mut(&check).map(|event| (check, event)));
        let Some((check, returned)) = returned.filter(|(_, event)| event.wallet.is_some()) else {
            return Err("it returns a check that this wallet did not sign");
        };
        if returned.signed.amount != amount || returned.signed.card != signed.card {
            return Err("it returns another amount than the check's, or to another card");
        }
        if matches!(by, By::Void { amount: void, .. } if void != amount) {
            return Err("the void is over another amount");
        }
        if repeated {
            return Ok(());
        }
        let twice = returned.back.is_some();
        if matches!(by, By::Void { .. }) {
            returned.shown = returned.shown.or(Some(place));
        }
        returned.back = returned.back.or(Some(place));
        if twice {
            self.odd(Odd::TwiceBack, &signed, check, place);
        }
        self.event(hash, signed, ([0; 16], 0, check), arrival).wallet = Some(place);
        self.follow(hash, &signed, None, place, cards);
        Ok(())
    }

    fn event(&mut self, hash: Hash, signed: Signature, charge: (Id, u64, Hash), arrival: Arrival) -> &mut Event {
        self.events.entry(hash).or_insert(Event {
            signed,
            terminal: charge.0,
            transaction: charge.1,
            charge: charge.2,
            wallet: None,
            claim: None,
            arrival,
            shown: None,
            back: None,
            conflict: false,
        })
    }

    fn odd(&mut self, odd: Odd, signed: &Signature, check: Hash, place: Place) {
        self.odd.push(Oddity { odd, card: signed.card, generation: signed.generation, check, place });
    }

    /// The wallet's own log must carry its card's chain on, without a gap and with the right remainder (R1, R9).
    fn follow(&mut self, hash: Hash, signed: &Signature, load: Option<u64>, place: Place, cards: &Cards) {
        let start = cards.cards.get(&signed.card).and_then(|card| card.generation(signed.generation));
        let (seq, remaining) = start.map_or((0, 0), |start| (start.seq, start.remaining));
        let fresh = Chain { seq, head: Hash::ZERO, remaining, load: 0, place: None };
        let before = self.chains.get(&(signed.card, signed.generation)).copied().unwrap_or(fresh);
        let remaining = match signed.kind {
            EventKind::Spend => before.remaining.checked_sub(signed.amount),
            _ => before.remaining.checked_add(signed.amount),
        };
        let follows = signed.seq == before.seq + 1
            && signed.previous == before.head
            && signed.tick == 0
            && Some(signed.remaining) == remaining
            && load.is_none_or(|load| load > before.load);
        if !follows {
            self.odd(Odd::Chain, signed, hash, place);
        }
        if follows || signed.seq > before.seq {
            let load = load.unwrap_or(before.load).max(before.load);
            let after = Chain { seq: signed.seq, head: hash, remaining: signed.remaining, load, place: Some(place) };
            self.chains.insert((signed.card, signed.generation), after);
        }
    }

    /// Whether the terminal's claim of this check has ended, by whoever showed it (R9).
    pub fn ended(&self, event: &Event) -> bool {
        let charge = self.charges.get(&event.charge);
        event.shown.is_some()
            || charge.is_some_and(|charge| {
                charge.voided.is_some() && charge.paid.is_some_and(|_| event.claim.is_some() && !event.conflict)
                    || charge.closed.is_some()
            })
    }
}
