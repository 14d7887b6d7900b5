//! What is sold out is waited for: whoever stands in the list first has what becomes free first, hears of it by an update, and pays
//! for it, or lets it go to the next.

use crate::dice::Dice;
use crate::tap::skewed;
use crate::template::{ARTICLES, TICKETS};
use crate::town::Town;
use crate::trouble::NetPlan;
use tegata_core::talk::buy::{BuyNotice, PurchaseState};
use tegata_core::{RequestNumber, Time};
use tegata_device::Now;
use tegata_vault::Faults;

/// How many of each sort of ticket there are at first where people wait.
const FEW: u64 = 2;

/// A little more than a reservation holds once its wallet has heard of it, and than until the wallet must have heard, in seconds.
const HEARD: u64 = 31 * 60;
const DUE: u64 = 31 * Time::DAY;
/// So many let it go at most before somebody never hears of it.
const ROUNDS: usize = 8;

/// What the town knows of waiting lists.
pub struct Queue {
    /// Dice of their own.
    pub dice: Dice,
    /// How often a wallet was told that it stands in a list.
    pub listed: u64,
}

impl Queue {
    /// Nobody waits yet.
    pub fn new(dice: Dice) -> Self {
        Self { dice, listed: 0 }
    }
}

impl Town {
    fn queue_draw(&mut self, bound: u64) -> u64 {
        self.queue.as_mut().map_or(0, |queue| queue.dice.below(bound))
    }
    fn queue_now(&mut self, at: usize) -> Now {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let time = skewed(self.time, skew);
        Now { time, entropy: self.queue.as_mut().map_or([0; 32], |queue| queue.dice.entropy()) }
    }
    fn queue_article(&mut self) -> u64 {
        ARTICLES.len() as u64 + 1 + self.queue_draw(TICKETS.len() as u64)
    }

    /// Before the first day: there are few.
    pub fn few_tickets(&mut self) {
        if self.queue.is_some() {
            for article in 1..=TICKETS.len() as u64 {
                self.list_so_many(ARTICLES.len() as u64 + article, Some(FEW));
            }
        }
    }
    /// The promoter lists so many of an article, or one more; what was lost is said again (R26).
    fn list_so_many(&mut self, article: u64, stock: Option<u64>) {
        let listings = self.issuer.listings().unwrap_or_default();
        let Some(before) = listings.iter().find(|it| it.article == article).map(|it| it.stock) else {
            return;
        };
        // The last category has numbered seats, and no more tickets than those.
        let seated = article == (ARTICLES.len() + TICKETS.len()) as u64;
        let most = if seated { TICKETS[TICKETS.len() - 1].1 } else { u64::MAX };
        let (stock, now) = (stock.unwrap_or(before + 1).min(most), self.issuer_now());
        let mut done = self.issuer.restock(&mut self.center, article, stock, now).map(drop);
        if done.is_err() {
            self.center.plan(NetPlan::Never);
            let now = self.issuer_now();
            done = self.issuer.relist(&mut self.center, article, now).map(drop);
        }
        self.say(|| format!("the promoter lists {stock} of article {article}: {done:?}"));
    }
    fn issuer_now(&mut self) -> Now {
        Now { time: self.time, entropy: self.queue.as_mut().map_or([0; 32], |queue| queue.dice.entropy()) }
    }

    /// Somebody waits, gives that up, or hears that one is there, if it is the day for it.
    pub(super) fn queue_some(&mut self) {
        if self.queue_draw(1000) >= self.mix.queue {
            return;
        }
        let people = self.people.len() as u64;
        let at = usize::try_from(self.queue_draw(people)).unwrap_or(0);
        self.wake_person(at);
        if let (Some(person), Some(queue)) = (self.people.get_mut(at), &mut self.queue) {
            Self::arm(&self.mix, &mut person.wallet.device.vault, &mut queue.dice);
        }
        match self.queue_draw(100) {
            0..45 => {
                let article = self.queue_article();
                self.wait_for(at, article);
            }
            45..60 => self.let_one_go(at),
            60..90 => drop(self.update_wallet_plain(at)),
            _ => {
                let article = self.queue_article();
                self.list_so_many(article, None);
            }
        }
        if let Some(person) = self.people.get_mut(at) {
            person.wallet.device.vault.set_faults(Faults::none());
        }
        self.wake_person(at);
        for (number, state) in self.open_purchases(at) {
            if state == PurchaseState::Reserved && self.queue_draw(10) < 4 {
                self.pay_purchase(at, number, 4);
            }
        }
    }

    /// Somebody gives up what is kept, or a place in the list; somebody else, who has not waited, comes in the same moment.
    fn let_one_go(&mut self, at: usize) {
        let mut open = self.open_purchases(at);
        // What is kept, rather than a place.
        if open.iter().any(|(_, state)| *state == PurchaseState::Reserved) {
            open.retain(|(_, state)| *state == PurchaseState::Reserved);
        }
        let drawn = usize::try_from(self.queue_draw(open.len() as u64)).unwrap_or(0);
        let Some((number, _)) = open.get(drawn) else {
            return;
        };
        self.cancel_purchase(at, *number);
        let all = self.people.get(at).and_then(|person| person.wallet.purchases().ok()).unwrap_or_default();
        let article = all.iter().find(|it| it.purchase() == *number).map(|it| it.article.article);
        let people = self.people.len() as u64;
        let other = usize::try_from(self.queue_draw(people)).unwrap_or(0);
        if let Some(article) = article.filter(|_| other != at) {
            self.seen.clear();
            self.wake_person(other);
            self.reserve(other, article, None);
        }
    }

    /// A wallet waits for what is sold out, without misfortune of its own.
    pub fn wait_for(&mut self, at: usize, article: u64) -> Option<RequestNumber> {
        if self.people.get(at).is_some_and(|person| !person.has_bank_card) {
            self.register_some(at);
        }
        let now = self.queue_now(at);
        let seen = self.people.get_mut(at)?.wallet.catalogue(&mut self.center, now).ok()?;
        let wanted = seen.into_iter().find(|seen| seen.article == article)?;
        let (issuer, left) = (wanted.issuer, wanted.left);
        let now = self.queue_now(at);
        let told = self.people.get_mut(at)?.wallet.wait_for(&mut self.center, wanted, now);
        self.say(|| format!("wallet {at} waits for article {article}, of which {left} are left: {told:?}"));
        let (number, told) = told.ok()?;
        if let (BuyNotice::Listed, Some(queue)) = (&told, &mut self.queue) {
            queue.listed += 1;
        }
        self.nobody_waited((issuer, article), at, &told);
        Some(number)
    }

    /// In calm: what became free at last is heard of, paid or let go, and goes on to the next, until nothing is kept for anybody. What
    /// is kept for who never hears of it runs out when its update was due.
    pub fn finish_queue(&mut self) {
        if self.queue.is_none() {
            return;
        }
        for seconds in [HEARD; ROUNDS].into_iter().chain([DUE, HEARD]) {
            for at in 0..self.people.len() {
                self.update_wallet_plain(at);
            }
            self.finish_buying();
            let rows = self.center.store().and_then(|store| store.purchases()).unwrap_or_default();
            if !rows.iter().any(|row| row.state == PurchaseState::Reserved) {
                return;
            }
            self.wait(seconds);
        }
    }

    /// Nobody has one kept while others wait for it.
    pub(super) fn nobody_waited(
        &mut self,
        (issuer, article): (tegata_core::PartyId, u64),
        at: usize,
        told: &BuyNotice,
    ) {
        let first = self.center.store().and_then(|store| store.first_waiting(issuer, article)).ok().flatten();
        if let (BuyNotice::Reserved { .. }, Some(first)) = (told, first) {
            self.wrong.push(format!("wallet {at} has article {article} kept, for which {} waited", first.wallet));
        }
    }
}
