//! Tickets are given on: from wallet to wallet, over a link that fails, or by a number that whoever far away installs; what was taken
//! is registered, or comes back.

use crate::cheat;
use crate::dice::Dice;
use crate::fault::FrameFault;
use crate::tap::{Clocks, skewed};
use crate::template::GATES;
use crate::town::Town;
use crate::visit::{Says, Visit, Visited};
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::talk::enter::Direction;
use tegata_core::talk::give::{GiveCard, Giver, GiverNotice, HandedOver, ReceiverNotice};
use tegata_core::talk::pay::load_purse;
use tegata_core::{CardId, DeviceId, Hash};
use tegata_device::Now;
use tegata_vault::Faults;
use tegata_wallet::Standing;

/// A ticket that was given by a number.
#[derive(Clone, Debug)]
pub struct Gift {
    /// What is sent to whoever shall have it.
    pub number: String,
    /// The ticket.
    pub card: CardId,
    /// The wallet that was told that it has it now.
    pub taken: Option<DeviceId>,
}

/// What the town knows of tickets given on.
pub struct Hands {
    /// Dice of their own.
    pub dice: Dice,
    /// Numbers that were sent.
    pub gifts: Vec<Gift>,
    /// Which wallets have held a generation.
    pub held: BTreeMap<(CardId, u64), BTreeSet<DeviceId>>,
    /// How generations ended: the hand-overs that were signed.
    pub hops: BTreeMap<(CardId, u64), BTreeSet<Hash>>,
    /// Tickets taken from another wallet.
    pub taken: u64,
}

impl Hands {
    /// Nothing was given yet.
    pub fn new(dice: Dice) -> Self {
        Self { dice, gifts: Vec::new(), held: BTreeMap::new(), hops: BTreeMap::new(), taken: 0 }
    }
}

/// A touch of two wallets, as the town saw it: what the receiver showed, and the giver.
pub type Handed = Visited<ReceiverNotice, GiverNotice>;

impl Town {
    fn hand_dice(&mut self) -> Option<&mut Dice> {
        self.hands.as_mut().map(|hands| &mut hands.dice)
    }
    fn hand_odds(&mut self, per_mille: u64) -> bool {
        self.hand_dice().is_some_and(|dice| dice.chance(per_mille))
    }
    fn hand_index(&mut self, len: usize) -> usize {
        self.hand_dice().map_or(0, |dice| dice.index(len))
    }
    /// Time and randomness for a wallet, by the dice of giving.
    fn hand_now(&mut self, at: usize) -> Now {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let time = skewed(self.time, skew);
        Now { time, entropy: self.hand_dice().map_or([0; 32], Dice::entropy) }
    }

    /// A wallet is awake, and perhaps about to lose power.
    fn ready_hand(&mut self, at: usize) {
        self.wake_person(at);
        if let (Some(person), Some(hands)) = (self.people.get_mut(at), &mut self.hands) {
            Self::arm(&self.mix, &mut person.wallet.device.vault, &mut hands.dice);
        }
    }
    fn rest_hand(&mut self, at: usize) {
        if let Some(person) = self.people.get_mut(at) {
            person.wallet.device.vault.set_faults(Faults::none());
        }
        self.wake_person(at);
    }

    /// Somebody gives a ticket, registers one, or takes one by a number, if it is the day for it.
    pub(super) fn hand_some(&mut self) {
        if !self.hand_odds(self.mix.giving) {
            return;
        }
        for _ in 0..=self.hand_index(3) {
            match self.hand_index(100) {
                0..55 => self.hand_somewhere(),
                55..65 => self.register_ticket_some(),
                65..80 => self.gift_some(),
                80..97 => self.take_gift_some(),
                _ => self.lose_wallet_some(),
            }
        }
    }

    /// Tickets that a wallet could give, and some that it could not.
    fn one_to_give(&mut self, at: usize) -> Option<CardId> {
        let wrong = self.hand_odds(100);
        let held = self.people.get(at)?.wallet.tickets().ok()?;
        let good = |purse: &Purse| purse.state == PurseState::Active || wrong;
        let all: Vec<CardId> = held.iter().filter(|held| good(&held.purse)).map(|held| held.card).collect();
        self.hand_dice()?.pick(&all)
    }
    fn a_giver(&mut self) -> Option<(usize, CardId)> {
        let able: Vec<usize> = (0..self.people.len())
            .filter(|at| self.people[*at].wallet.tickets().is_ok_and(|held| !held.is_empty()))
            .collect();
        let at = self.hand_dice()?.pick(&able)?;
        Some((at, self.one_to_give(at)?))
    }

    /// A ticket changes hands, or should have; a giver that was cut off touches again, mostly, and mostly the same receiver. Whoever has
    /// a copy of the giver's wallet may do the same with somebody else.
    fn hand_somewhere(&mut self) {
        let Some((from, card)) = self.a_giver() else {
            return;
        };
        // Thieves copy who is about to give, and cheats put their wallet back when they have given.
        if self.mix.clone > 0 && self.hand_odds(250) {
            self.copy_of(from);
        }
        let kept = self.mix.rollback > 0 && self.hand_odds(250);
        let kept = self.people.get(from).filter(|_| kept).map(|person| person.wallet.device.vault.snapshot());
        let to = self.hand_to_some(from, card);
        if let Some(kept) = kept {
            self.put_back(from, &kept);
            self.hand_to_some(from, card);
        }
        let id = self.people[from].id;
        let twin = (0..self.people.len()).find(|at| *at != from && self.people[*at].id == id);
        let Some(twin) = twin else {
            return;
        };
        if let Some(to) = to.filter(|to| *to != twin)
            && self.hand_odds(400)
        {
            self.come_after(to, twin, card);
        }
        if self.hand_odds(600) {
            self.hand_to_some(twin, card);
        }
    }
    /// The receiver comes in and goes out; whoever has a copy of the giver's wallet comes after, and says that all of that was its own.
    fn come_after(&mut self, to: usize, twin: usize, card: CardId) {
        let (doors, out) = [Direction::In, Direction::Out].map(|way| self.gates_of(way)).into();
        let (Some(door), Some(out)) = (self.hand_dice().and_then(|dice| dice.pick(&doors)), out.first()) else {
            return;
        };
        self.visit(to, door, (card, 1), None);
        self.visit(to, *out, (card, 1), None);
        self.tell_gates();
        // One in the place of a lost gate stands at its door.
        let at = self.venue.as_ref().and_then(|venue| venue.gates.get(door)).map(|gate| gate.door);
        let zone = GATES.iter().find(|(number, ..)| Some(*number) == at).map(|(_, zone, _)| *zone);
        if let (Some(thief), Some(zone)) = (self.people.get_mut(twin), zone) {
            cheat::count_up(&mut thief.wallet.device, card, zone);
        }
        self.visit(twin, door, (card, 1), None);
    }
    /// Gates that let pass this way.
    fn gates_of(&self, way: Direction) -> Vec<usize> {
        let all = self.venue.iter().flat_map(|venue| venue.gates.iter().enumerate());
        all.filter(|(_, gate)| gate.direction == way).map(|(at, _)| at).collect()
    }
    /// Gives the wallet that it was given to in the end, if it was.
    fn hand_to_some(&mut self, from: usize, card: CardId) -> Option<usize> {
        let mut to = self.hand_index(self.people.len());
        let mut taken = None;
        for _ in 0..=self.hand_index(3) {
            let seen = self.hand_disturbed(from, to, card)?;
            if seen.wallet.iter().any(|notice| matches!(notice, ReceiverNotice::Taken { .. })) {
                taken = Some(to);
            }
            if seen.gate.contains(&GiverNotice::Taken) && !self.hand_odds(100) {
                break;
            }
            if self.hand_odds(150) {
                to = self.hand_index(self.people.len());
            }
            let seconds = 1 + self.hand_index(60) as u64;
            self.wait(seconds);
        }
        if self.hand_odds(500) {
            self.register_ticket(to, card);
        }
        taken
    }

    /// A touch during which frames and power fail, and people say no.
    fn hand_disturbed(&mut self, from: usize, to: usize, card: CardId) -> Option<Handed> {
        let fault = if self.hand_odds(self.mix.frames) {
            let at = self.hand_index(7);
            let drawn = self.hand_dice()?.pick(&FrameFault::ALL);
            drawn.map(|fault| (if fault == FrameFault::Version { 0 } else { at }, fault))
        } else {
            None
        };
        let agree = (!self.hand_odds(50), !self.hand_odds(50));
        self.ready_hand(from);
        self.ready_hand(to);
        let seen = self.hand(from, to, card, fault, agree);
        self.rest_hand(from);
        self.rest_hand(to);
        self.saw_hands(card);
        seen
    }

    /// The touch itself, without misfortune of the wallets' own: `agree` says what the receiver and the giver answer.
    pub fn hand(
        &mut self,
        from: usize,
        to: usize,
        card: CardId,
        fault: Option<(usize, FrameFault)>,
        agree: (bool, bool),
    ) -> Option<Handed> {
        let now = self.hand_now(to);
        let Ok([receiver, giver]) = self.people.get_disjoint_mut([to, from]) else {
            return None;
        };
        let dice = &mut self.hands.as_mut()?.dice;
        let talks = (receiver.wallet.receiver(now).ok()?, Giver::new(GiveCard { card }));
        let takes = Says { asks: |notice| matches!(notice, ReceiverNotice::Consent { .. }), agrees: agree.0 };
        let gives = Says { asks: |notice| matches!(notice, GiverNotice::Consent { .. }), agrees: agree.1 };
        let says = (takes, gives);
        let clocks = Clocks { time: self.time, wallet: receiver.skew, terminal: giver.skew };
        let visit = Visit::between(talks, says, fault, dice).ok()?;
        let devices = (&mut receiver.wallet.device, &mut giver.wallet.device);
        let seen = visit.run(devices, clocks, &mut self.air, dice);
        self.crossed += seen.crossed;
        self.say(|| format!("wallet {from} gives {card} to wallet {to}: {:?} | {:?}", seen.wallet, seen.gate));
        self.judge_hand((from, to), card, &seen);
        Some(seen)
    }

    fn judge_hand(&mut self, (from, to): (usize, usize), card: CardId, seen: &Handed) {
        let code = seen.wallet.iter().find_map(|notice| match notice {
            ReceiverNotice::Code(code) => Some(code),
            _ => None,
        });
        let other = seen.gate.iter().find_map(|notice| match notice {
            GiverNotice::Consent { code } => Some(code),
            _ => None,
        });
        if let (Some(code), Some(other)) = (code, other)
            && code != other
        {
            self.wrong.push(format!("R17: wallets {from} and {to} show {other} and {code}"));
        }
        let took = seen.wallet.iter().any(|notice| matches!(notice, ReceiverNotice::Taken { .. }));
        if let (true, Some(hands)) = (took, &mut self.hands) {
            hands.taken += 1;
        }
        // The giver's copy is dead before the receiver has anything (R12).
        self.wake_person(from);
        let giver = self.people.get(from);
        let alive = giver.and_then(|giver| load_purse(&giver.wallet.device, card));
        let alive = alive.is_some_and(|purse| purse.state == PurseState::Active);
        if took && alive && giver.is_some_and(|giver| giver.tampered.is_none()) {
            self.wrong.push(format!("R12: wallet {to} took {card}, and wallet {from} has it still"));
        }
    }

    /// Who holds a ticket now, and what was signed of it, is remembered.
    pub fn saw_hands(&mut self, card: CardId) {
        let Some(hands) = &mut self.hands else {
            return;
        };
        for person in &self.people {
            let Some(purse) = load_purse(&person.wallet.device, card) else {
                continue;
            };
            hands.held.entry((card, purse.generation())).or_default().insert(person.id);
            let given = HandedOver::load(&person.wallet.device, &purse).map(|handed| handed.given.hop);
            let first = purse.certificate.claimed().generation;
            for (generation, hop) in (first..).zip(purse.hops().iter().cloned().chain(given)) {
                hands.hops.entry((card, generation)).or_default().insert(hop.hash(card, generation));
            }
        }
    }

    /// Somebody registers what was taken.
    fn register_ticket_some(&mut self) {
        let all: Vec<(usize, CardId)> = (0..self.people.len())
            .flat_map(|at| {
                let held = self.people[at].wallet.tickets().unwrap_or_default();
                let open = held.into_iter().filter(|held| !held.purse.hops().is_empty());
                open.map(move |held| (at, held.card)).collect::<Vec<_>>()
            })
            .collect();
        if let Some((at, card)) = self.hand_dice().and_then(|dice| dice.pick(&all)) {
            self.register_ticket(at, card);
        }
    }
    fn register_ticket(&mut self, at: usize, card: CardId) {
        self.ready_hand(at);
        self.register_ticket_plain(at, card);
        self.rest_hand(at);
    }
    /// The same, without misfortune of the wallet's own.
    pub fn register_ticket_plain(&mut self, at: usize, card: CardId) -> bool {
        let now = self.hand_now(at);
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let done = person.wallet.register(&mut self.center, card, now);
        self.say(|| format!("wallet {at} registers {card}: {done:?}"));
        self.saw_hands(card);
        done.is_ok()
    }

    /// Somebody gives a ticket to somebody far away.
    fn gift_some(&mut self) {
        if let Some((at, card)) = self.a_giver() {
            self.ready_hand(at);
            self.gift(at, card);
            self.rest_hand(at);
            self.saw_hands(card);
        }
    }
    /// The same, without misfortune of the wallet's own. The number, if there is one.
    pub fn gift(&mut self, at: usize, card: CardId) -> Option<String> {
        let now = self.hand_now(at);
        let told = self.people.get_mut(at)?.wallet.gift(&mut self.center, card, now);
        self.say(|| format!("wallet {at} gives {card} by a number: {told:?}"));
        self.saw_hands(card);
        let (number, _) = told.ok()?;
        let gifts = &mut self.hands.as_mut()?.gifts;
        if !gifts.iter().any(|gift| gift.number == number) {
            gifts.push(Gift { number: number.clone(), card, taken: None });
        }
        Some(number)
    }

    /// Somebody says that a wallet with a ticket is lost. It may be found again.
    fn lose_wallet_some(&mut self) {
        let at = self.hand_index(self.people.len());
        if let Some(card) = self.one_to_give(at) {
            self.lose_wallet(at, card);
        }
    }
    /// The operator issues a ticket anew. The number, if there is one.
    pub fn lose_wallet(&mut self, at: usize, card: CardId) -> Option<String> {
        let told = self.center.reissue(card);
        self.say(|| format!("wallet {at} with {card} is lost: {told:?}"));
        let number = told.ok()?;
        // From here on one of two who have it is refused, whoever comes first.
        self.causes.blocked.insert(card);
        let gifts = &mut self.hands.as_mut()?.gifts;
        if !gifts.iter().any(|gift| gift.number == number) {
            gifts.push(Gift { number: number.clone(), card, taken: None });
        }
        Some(number)
    }

    /// Somebody types a number that was sent, or was sent to somebody else.
    fn take_gift_some(&mut self) {
        let numbers = self.hands.as_ref().map_or(0, |hands| hands.gifts.len());
        let (at, gift) = (self.hand_index(self.people.len()), self.hand_index(numbers));
        if numbers > 0 {
            self.ready_hand(at);
            self.take_gift(at, gift);
            self.rest_hand(at);
        }
    }
    /// The same, without misfortune of the wallet's own.
    pub fn take_gift(&mut self, at: usize, gift: usize) -> Option<CardId> {
        let now = self.hand_now(at);
        let number = self.hands.as_ref()?.gifts.get(gift)?.number.clone();
        let person = self.people.get_mut(at)?;
        let id = person.id;
        let done = person.wallet.install(&mut self.center, &number, None, now);
        self.say(|| format!("wallet {at} takes gift {gift}: {done:?}"));
        let card = done.ok()?;
        let hands = self.hands.as_mut()?;
        hands.taken += 1;
        let gift = hands.gifts.get_mut(gift)?;
        let before = gift.taken.replace(id);
        if gift.card != card || before.is_some_and(|before| before != id) {
            self.wrong.push(format!("R18: the number of {} served two wallets, or another card", gift.card));
        }
        self.saw_hands(card);
        Some(card)
    }

    /// In calm: a gift whose number is not known yet is asked for again (R26), and what was taken is registered.
    pub fn finish_giving(&mut self) {
        if self.hands.is_none() {
            return;
        }
        for at in 0..self.people.len() {
            for held in self.people[at].wallet.tickets().unwrap_or_default() {
                self.saw_hands(held.card);
                match self.people[at].wallet.standing(&held.purse) {
                    Standing::Gift { .. } => drop(self.gift(at, held.card)),
                    Standing::Unregistered(_) if self.hand_odds(500) => {
                        self.register_ticket_plain(at, held.card);
                    }
                    _ => {}
                }
            }
        }
    }
}
