//! What the logs of all devices say together, one fact a check. Devices come in any order; what comes out is the same.

use crate::calls::{Call, Side};
use crate::cards::Cards;
use crate::reading::Id;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// When the provider first heard of it.
    pub heard: u64,
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
    /// A raise was taken up that was not the card's to take: unknown, another's, or a check's second credit-back.
    Unfair(&'static str),
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
    Claimed {
        hash: Hash,
        signed: Signature,
        transaction: u64,
        charge: Hash,
    },
    Closed {
        charge: Hash,
    },
    Voided {
        charge: Hash,
        check: Hash,
    },
    Spent {
        hash: Hash,
        signed: Signature,
        terminal: Id,
        transaction: u64,
        charge: Hash,
    },
    Loaded {
        hash: Hash,
        signed: Signature,
        load: Hash,
    },
    Returned {
        hash: Hash,
        signed: Signature,
        by: By,
    },
    Surrendered {
        hash: Hash,
        signed: Signature,
    },
    /// A call that has ended, for its wallet or, if there is a receipt, its switch.
    Called {
        side: Side,
        of_switch: bool,
    },
}

/// What returns a check.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// A terminal's void of the check, or close of the charge.
    Void { terminal: Id, transaction: u64, check: Option<Hash>, amount: u64 },
    /// The provider's reversal of it.
    Reversal { check: Hash },
    /// A switch's receipt of the call.
    Call { name: Hash, switch: Id, used: u64 },
}

/// All facts.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Logs with an entry that nobody can read, as the exceptions say: their later receipts may be for a check in it.
    pub(crate) unread: HashSet<Id>,
    pub events: HashMap<Hash, Event>,
    pub charges: HashMap<Hash, Charge>,
    /// Calls, by their names.
    pub calls: BTreeMap<Hash, Call>,
    pub chains: HashMap<(Id, u64), Chain>,
    pub odd: Vec<Oddity>,
    /// What badges have signed at gates.
    pub hands: crate::staff::Hands,
    /// What tickets have shown at gates.
    pub admissions: crate::admitted::Admissions,
    /// The event that gave each card back, and when it was heard of first.
    pub surrendered: HashMap<(Id, u64), (u64, Hash)>,
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
                    self.follow(hash, &signed, place, cards);
                }
            }
            Record::Loaded { hash, signed, load } => {
                if self.is_repeated(&hash) {
                    return Ok(());
                }
                self.event(hash, signed, ([0; 16], 0, Hash::ZERO), arrival).wallet = Some(place);
                let (before, follows) = self.follow(hash, &signed, place, cards);
                let load = cards.loads.get(&load).copied();
                match load {
                    Some(load)
                        if (load.card, load.generation, load.amount) == signed.moves() && load.number > before =>
                    {
                        // The load of a branch that a copy cut off does not count as the chain's last (R9).
                        if let (true, Some(chain)) = (follows, self.chains.get_mut(&(signed.card, signed.generation))) {
                            chain.load = load.number;
                        }
                    }
                    Some(_) => {
                        self.odd(Odd::Unfair("another card's load, or one taken up before"), &signed, hash, place)
                    }
                    None => self.odd(Odd::Unfair("a load that is not the provider's"), &signed, hash, place),
                }
            }
            Record::Returned { hash, signed, by } => {
                if self.is_repeated(&hash) {
                    return Ok(());
                }
                self.event(hash, signed, ([0; 16], 0, Hash::ZERO), arrival).wallet = Some(place);
                self.follow(hash, &signed, place, cards);
                if let Err(why) = self.returned(&signed, by, place) {
                    self.odd(Odd::Unfair(why), &signed, hash, place);
                }
            }
            Record::Called { side, of_switch: true } => {
                let receipt = side.receipt.ok_or("it has no receipt")?;
                self.claimed_call(&side, receipt, (place, arrival));
            }
            Record::Called { side, .. } => {
                let (hash, signed) = side.check.ok_or("it has no check")?;
                if self.called(&side, hash, signed, (place, arrival)) {
                    self.follow(hash, &signed, place, cards);
                }
            }
            Record::Surrendered { hash, signed } => {
                if !self.is_repeated(&hash) {
                    self.event(hash, signed, ([0; 16], 0, Hash::ZERO), arrival).wallet = Some(place);
                    let heard = (arrival.at, hash);
                    let first = self.surrendered.entry((signed.card, signed.generation)).or_insert(heard);
                    if (heard.0, heard.1.0) < (first.0, first.1.0) {
                        *first = heard;
                    }
                    self.follow(hash, &signed, place, cards);
                }
            }
        }
        Ok(())
    }

    fn is_repeated(&self, hash: &Hash) -> bool {
        self.events.get(hash).is_some_and(|event| event.wallet.is_some())
    }

    /// A check's money is taken back: by an authority, once, the same amount.
    fn returned(&mut self, signed: &Signature, by: By, place: Place) -> Result<(), &'static str> {
        if let By::Call { name, switch, used } = by {
            return self.returned_call(signed, (name, switch, used), place);
        }
        let check = match by {
            By::Call { .. } => None,
            By::Void { check: Some(check), .. } | By::Reversal { check } => Some(check),
            By::Void { terminal, transaction, .. } => self.spent(place.device, terminal, transaction),
        };
        let of = check.and_then(|check| self.events.get_mut(&check));
        let Some(of) = of.filter(|of| of.signed.kind == EventKind::Spend) else {
            return Err("the return of a check that is not known");
        };
        if (of.signed.card, of.signed.amount) != (signed.card, signed.amount) {
            return Err("the return of another card's check, or of another amount");
        }
        if let By::Void { terminal, transaction, amount, .. } = by
            && (of.terminal, of.transaction, of.signed.amount) != (terminal, transaction, amount)
        {
            return Err("a void of another charge");
        }
        if of.back.is_some() {
            return Err("a second return of one check");
        }
        if matches!(by, By::Void { .. }) {
            of.shown = Some(place);
        }
        of.back = Some(place);
        Ok(())
    }

    fn event(&mut self, hash: Hash, signed: Signature, charge: (Id, u64, Hash), arrival: Arrival) -> &mut Event {
        let event = self.events.entry(hash).or_insert(Event {
            signed,
            terminal: charge.0,
            transaction: charge.1,
            charge: charge.2,
            wallet: None,
            claim: None,
            arrival,
            heard: arrival.at,
            shown: None,
            back: None,
            conflict: false,
        });
        event.heard = event.heard.min(arrival.at);
        event
    }

    fn odd(&mut self, odd: Odd, signed: &Signature, check: Hash, place: Place) {
        self.odd.push(Oddity { odd, card: signed.card, generation: signed.generation, check, place });
    }

    /// The wallet's own log must carry its card's chain on, without a gap and with the right remainder (R1, R9). Gives
    /// the number of the last load before, and whether the event follows.
    fn follow(&mut self, hash: Hash, signed: &Signature, place: Place, cards: &Cards) -> (u64, bool) {
        let key = (signed.card, signed.generation);
        let card = cards.cards.get(&signed.card);
        let before = self.chains.get(&key).copied().or_else(|| {
            let start = card?.generation(signed.generation)?;
            let (seq, remaining, load) = (start.seq, start.remaining, start.last_load);
            Some(Chain { seq, head: Hash::ZERO, remaining, load, place: None })
        });
        let Some(before) = before else { return (0, false) };
        let remaining = match signed.kind {
            EventKind::Spend | EventKind::Session => before.remaining.checked_sub(signed.amount),
            EventKind::Surrender => (before.remaining == signed.amount).then_some(0),
            _ => before.remaining.checked_add(signed.amount),
        };
        let follows = signed.seq == before.seq + 1
            && signed.previous == before.head
            && (signed.tick == 0) == (signed.kind != EventKind::Session)
            && Some(signed.remaining) == remaining;
        if follows {
            let (seq, remaining, place) = (signed.seq, signed.remaining, Some(place));
            self.chains.insert(key, Chain { seq, head: hash, remaining, load: before.load, place });
        } else if card.and_then(|card| card.current()).is_some_and(|current| current.number == signed.generation) {
            // What an ended generation still sends is judged position by position.
            self.odd(Odd::Chain, signed, hash, place);
        }
        (before.load, follows)
    }

    /// Whether the claim of this check has ended, by whoever showed it (R9), or can never be.
    pub fn ended(&self, hash: &Hash, event: &Event) -> bool {
        let by_terminal = self.charges.get(&event.charge).is_some_and(|charge| {
            charge.closed.is_some() || charge.paid.is_some_and(|paid| paid != *hash || charge.voided.is_some())
        });
        event.shown.is_some() || by_terminal
    }
}

impl Signature {
    /// Card, generation and amount.
    fn moves(&self) -> (Id, u64, u64) {
        (self.card, self.generation, self.amount)
    }
}
