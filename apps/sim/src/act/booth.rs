//! Tickets sold by number over a counter: the promoter has numbers printed, the counter activates those that it sells, and whoever
//! bought one types it in (R18). They come out of the same quota as those that are sold over the network, and so do numbered seats: the
//! promoter names some that may be gone by then.

use crate::dice::Dice;
use crate::tap::skewed;
use crate::template::{EVENT, TICKETS, seat_name};
use crate::town::Town;
use crate::trouble::NetPlan;
use tegata_core::{CardId, DeviceId};
use tegata_device::{Now, RequestError};
use tegata_issuer::{IssuerError, Numbering};
use tegata_vault::Faults;

/// The category without numbered seats, and the one with them, as the promoter calls them.
const CATEGORIES: [&str; 2] = ["sort 0", "sort 1"];
/// Tries until something must be known in calm.
const TRIES: usize = 3;

/// A number that was printed.
#[derive(Clone, Debug)]
pub struct Slip {
    /// As printed.
    pub text: String,
    /// Its batch.
    pub batch: u64,
    /// Its serial.
    pub serial: u64,
    /// Entries.
    pub face: u64,
    /// The seat that it is for.
    pub seat: Option<u64>,
    /// It went over the counter: its activation was asked for.
    pub sold: bool,
    /// Whether the counter knows that it was activated.
    pub active: bool,
    /// The wallet that was told that it has it, and as which ticket.
    pub taken: Option<(DeviceId, CardId)>,
}

/// What the town knows of tickets by number.
pub struct Booth {
    /// Dice of their own.
    pub dice: Dice,
    /// Every number that was printed.
    pub slips: Vec<Slip>,
    /// Batches that the promoter has ordered; whether each is known to stand.
    pub batches: Vec<(u64, Option<bool>)>,
}

impl Booth {
    /// Nothing is printed yet.
    pub fn new(dice: Dice) -> Self {
        Self { dice, slips: Vec::new(), batches: Vec::new() }
    }
}

/// Whether a refusal is for good.
fn is_refused(done: &IssuerError) -> bool {
    matches!(done, IssuerError::Request(RequestError::Refused(refused)) if !refused.why.is_transient())
}

impl Town {
    fn booth_draw(&mut self, bound: u64) -> u64 {
        self.booth.as_mut().map_or(0, |booth| booth.dice.below(bound))
    }
    fn booth_now(&mut self, skew: i64) -> Now {
        let time = skewed(self.time, skew);
        Now { time, entropy: self.booth.as_mut().map_or([0; 32], |booth| booth.dice.entropy()) }
    }

    /// Somebody prints, sells or types in a number, if it is the day for it.
    pub(super) fn booth_some(&mut self) {
        if self.booth_draw(1000) >= self.mix.booth {
            return;
        }
        match self.booth_draw(100) {
            0..25 => {
                let count = 1 + self.booth_draw(2);
                let (sort, first) = (self.booth_draw(8), self.booth_draw(TICKETS[1].1));
                let seat = |at: u64| seat_name(at % TICKETS[1].1 + 1);
                match sort {
                    0 => self.print_tickets(true, &Numbering::Count(count)),
                    1 => self.print_tickets(true, &Numbering::Seats((first..first + count).map(seat).collect())),
                    _ => self.print_tickets(false, &Numbering::Count(count)),
                }
            }
            25..60 => self.sell_slip(),
            60..65 => self.compare_sales(false),
            _ => {
                let people = self.people.len() as u64;
                let at = usize::try_from(self.booth_draw(people)).unwrap_or(0);
                self.take_slip_some(at);
            }
        }
    }

    /// The promoter has numbers printed; where the answer was lost it asks again some time.
    pub fn print_tickets(&mut self, seated: bool, wanted: &Numbering) {
        let now = self.booth_now(0);
        let category = CATEGORIES[usize::from(seated)];
        let done = self.issuer.numbers(&mut self.center, (&EVENT.to_string(), category), wanted, now);
        self.say(|| format!("the promoter has numbers of {category} printed, {wanted:?}: {done:?}"));
        // Kept before it is sent: it may stand, though nobody says so.
        // Telephone cards are printed before the first day.
        let before = crate::template::BATCHES.len() as u64 + u64::from(self.lines.is_some());
        let Some(last) = self.issuer.batches().unwrap_or_default().last().map(|it| (it.batch, it.face.minor())) else {
            return;
        };
        let printed = self.issuer.print(last.0).unwrap_or_default();
        let Some(booth) = self
            .booth
            .as_mut()
            .filter(|booth| last.0 > before && booth.batches.iter().all(|(batch, _)| *batch != last.0))
        else {
            return;
        };
        if printed.iter().any(|one| one.seat.is_some() != seated) {
            self.wrong.push(format!("numbers of {category} are printed with seats, or without: {wanted:?}"));
        }
        booth.batches.push((last.0, done.is_ok().then_some(true)));
        booth.slips.extend(printed.into_iter().map(|printed| Slip {
            text: printed.number.to_string(),
            batch: last.0,
            serial: printed.serial,
            face: last.1,
            seat: printed.seat.and_then(|name| (1..=TICKETS[1].1).find(|seat| seat_name(*seat) == name)),
            sold: false,
            active: false,
            taken: None,
        }));
    }

    fn sell_slip(&mut self) {
        let open: Vec<usize> =
            self.booth.iter().flat_map(|booth| booth.slips.iter().enumerate()).filter_map(open).collect();
        let at = usize::try_from(self.booth_draw(open.len() as u64)).unwrap_or(0);
        if let Some(at) = open.get(at) {
            self.sell_ticket(*at);
        }
    }
    /// The counter sells one of the numbers: it is activated, once, however often that is said. Whether that is known for good.
    pub fn sell_ticket(&mut self, slip: usize) -> bool {
        let now = self.booth_now(0);
        let Some(one) = self.booth.as_mut().and_then(|booth| booth.slips.get_mut(slip)) else {
            return true;
        };
        one.sold = true;
        let (batch, serial) = (one.batch, one.serial);
        let done = self.issuer.activate(&mut self.center, batch, (serial, serial), now);
        if let Some(one) = self.booth.as_mut().and_then(|booth| booth.slips.get_mut(slip)) {
            one.active |= done.is_ok();
        }
        let known = done.as_ref().err().is_none_or(is_refused);
        self.say(|| format!("the counter sells slip {slip}: {done:?}"));
        known
    }

    /// Somebody types in a number: one that was sold, mostly.
    fn take_slip_some(&mut self, at: usize) {
        let wrong = self.booth_draw(10) == 0;
        let slips = self.booth.iter().flat_map(|booth| booth.slips.iter().enumerate());
        let good: Vec<usize> =
            slips.filter(|(_, slip)| wrong || (slip.sold && slip.taken.is_none())).map(|(at, _)| at).collect();
        let drawn = usize::try_from(self.booth_draw(good.len() as u64)).unwrap_or(0);
        let Some(slip) = good.get(drawn).copied() else {
            return;
        };
        self.wake_person(at);
        if let (Some(person), Some(booth)) = (self.people.get_mut(at), &mut self.booth) {
            Self::arm(&self.mix, &mut person.wallet.device.vault, &mut booth.dice);
        }
        self.take_ticket(at, slip);
        if let Some(person) = self.people.get_mut(at) {
            person.wallet.device.vault.set_faults(Faults::none());
        }
        self.wake_person(at);
    }
    /// The same, without misfortune of the wallet's own.
    pub fn take_ticket(&mut self, at: usize, slip: usize) -> Option<CardId> {
        let skew = self.people.get(at)?.skew;
        let now = self.booth_now(skew);
        let text = self.booth.as_ref()?.slips.get(slip)?.text.clone();
        let person = self.people.get_mut(at)?;
        let id = person.id;
        let done = person.wallet.install(&mut self.center, &text, None, now);
        self.say(|| format!("wallet {at} types slip {slip} in: {done:?}"));
        let card = done.ok()?;
        let one = self.booth.as_mut()?.slips.get_mut(slip)?;
        let before = one.taken.replace((id, card));
        let (sold, again) = (one.sold, before.is_some_and(|before| before != (id, card)));
        if !sold {
            self.wrong.push(format!("R18: slip {slip} let somebody in before it was sold"));
        }
        if again {
            self.wrong.push(format!("R18: slip {slip} served two wallets, or two tickets"));
        }
        self.saw_hands(card);
        Some(card)
    }

    /// The operator of a provider that was put back has compared what was sold since the backup.
    pub fn compare_sales(&mut self, must: bool) {
        let done = self.center.operate(|provider, now| provider.compared(now));
        if self.causes.restored {
            self.say(|| format!("the operator has compared what was sold: {done:?}"));
        }
        if must && done.is_err() {
            self.wrong.push("liveness: sales cannot go on in calm".into());
        }
    }

    /// A provider was put back from a backup: the promoter knows of no order and no sale any more whether they stand there, and brings all
    /// again (`issuer NAME resend`, `activate`). A ticket that was installed since is not known there, and its number may serve again.
    pub(super) fn doubt_booth(&mut self) {
        let (Some(booth), Ok(store)) = (&mut self.booth, self.center.store()) else {
            return;
        };
        booth.batches.iter_mut().for_each(|(_, known)| *known = None);
        for slip in &mut booth.slips {
            slip.active = false;
            slip.taken.take_if(|(_, card)| matches!(store.card(*card), Ok(None)));
        }
    }

    /// In calm: what was ordered and sold is said again until it is known (R26), which it must be by now, unless the provider still hears
    /// what it has forgotten.
    pub fn finish_booth(&mut self, must: bool) {
        let Some(batches) = self.booth.as_ref().map(|booth| booth.batches.clone()) else {
            return;
        };
        self.center.plan(NetPlan::Never);
        self.compare_sales(must);
        for (at, (batch, known)) in batches.into_iter().enumerate() {
            if known.is_some() {
                continue;
            }
            let mut stands = None;
            for _ in 0..TRIES {
                let now = self.booth_now(0);
                let done = self.issuer.resend(&mut self.center, batch, now);
                self.say(|| format!("the promoter orders batch {batch} again: {done:?}"));
                stands = match &done {
                    Ok(()) => Some(true),
                    Err(error) => stands.or(is_refused(error).then_some(false)),
                };
            }
            if stands.is_none() && must {
                self.wrong.push(format!("liveness: batch {batch} cannot be ordered in calm"));
            }
            if let Some(one) = self.booth.as_mut().and_then(|booth| booth.batches.get_mut(at)) {
                one.1 = stands;
            }
        }
        let asked: Vec<usize> =
            self.booth.iter().flat_map(|booth| booth.slips.iter().enumerate()).filter_map(unsure).collect();
        for slip in asked {
            if !(0..TRIES).any(|_| self.sell_ticket(slip)) && must {
                self.wrong.push(format!("liveness: slip {slip} cannot be activated in calm"));
            }
        }
    }
}

/// One that can be sold.
fn open((at, slip): (usize, &Slip)) -> Option<usize> {
    (!slip.active).then_some(at)
}

/// One that was sold, of which nobody knows whether it was activated.
fn unsure((at, slip): (usize, &Slip)) -> Option<usize> {
    (slip.sold && !slip.active).then_some(at)
}
