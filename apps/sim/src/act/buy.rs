//! People buy cards over the network by credit, top cards up, and give cards back; the issuer has more made.

use crate::template::{ARTICLES, LIST_AGE, RECORD_AGE, UNITS_ARTICLE};
use crate::town::Town;
use crate::trouble::NetPlan;
use tegata_core::card::payment::PurseState;
use tegata_core::talk::buy::{BuyNotice, PurchaseState};
use tegata_core::talk::credit::PaymentOption;
use tegata_core::talk::pay::load_purse;
use tegata_core::{CardId, RequestNumber, Time};
use tegata_processor::bank::TestCard;

/// After how many seconds a reservation has run out, and somewhat more.
const RUN_OUT: u64 = 700;

impl Town {
    /// Somebody buys something: has it kept, and pays, gives it up, or forgets it.
    pub(super) fn buy_some(&mut self, at: usize) {
        let has_card = self.people.get(at).is_some_and(|person| person.has_bank_card);
        if !has_card && self.dice.chance(800) {
            self.register_some(at);
        }
        if let Some(card) = self.wants_units(at) {
            return self.buy_article(at, UNITS_ARTICLE, card);
        }
        let article = self.dice.within(1, ARTICLES.len() as u64);
        let card = if self.dice.chance(350) { self.card(at) } else { None };
        self.buy_article(at, article, card);
    }

    /// The same, of this article, for this card or as a new one.
    pub(super) fn buy_article(&mut self, at: usize, article: u64, card: Option<CardId>) {
        self.ready_person(at);
        let kept = self.reserve(at, article, card);
        self.rest(Some(at), None);
        let Some(number) = kept else {
            return;
        };
        let (seconds, then) = (self.dice.within(0, 60), self.dice.below(10));
        self.wait(seconds);
        match then {
            0 => self.cancel_purchase(at, number),
            1 => {}
            _ => {
                let rounds = self.dice.within(1, 6);
                self.pay_purchase(at, number, rounds);
            }
        }
    }

    /// A wallet looks at what is for sale and has one kept.
    pub fn reserve(&mut self, at: usize, article: u64, card: Option<CardId>) -> Option<RequestNumber> {
        let skew = self.people.get(at)?.skew;
        // Somebody looked long ago.
        let looks = self.seen.is_empty() || !self.dice.chance(200);
        if looks {
            let now = self.now(skew);
            let seen = self.people.get_mut(at)?.wallet.catalogue(&mut self.center, now);
            self.say(|| format!("wallet {at} looks at what is for sale: {:?}", seen.as_ref().map(Vec::len)));
            self.seen = seen.ok()?;
        }
        let wanted = self.seen.iter().find(|seen| seen.article == article).or(self.seen.first())?.clone();
        let (article, issuer, now) = (wanted.article, wanted.issuer, self.now(skew));
        let waits = self.sales_wait();
        let told = self.people.get_mut(at)?.wallet.reserve(&mut self.center, wanted, card, now);
        self.say(|| format!("wallet {at} has article {article} kept for {card:?}: {told:?}"));
        let (number, told) = told.ok()?;
        if waits && matches!(told, BuyNotice::Reserved { .. }) {
            let what = "before anybody had compared what was sold after the backup";
            self.wrong.push(format!("R15: article {article} was kept for wallet {at} {what}"));
        }
        self.nobody_waited((issuer, article), at, &told);
        matches!(told, BuyNotice::Reserved { .. }).then_some(number)
    }

    /// A wallet pays for what is kept, and asks so often what became of it. Whether that is known for good.
    pub fn pay_purchase(&mut self, at: usize, number: RequestNumber, rounds: u64) -> bool {
        self.ready_person(at);
        let mut over = self.pay_purchase_plain(at, number);
        self.rest(Some(at), None);
        // Somebody presses twice.
        if self.dice.chance(150) {
            over = self.pay_purchase_plain(at, number);
        }
        for round in 0..rounds {
            if over {
                break;
            }
            self.wait(1 << round.min(5));
            self.give_back_meanwhile(at, number);
            self.ready_person(at);
            over = self.ask_purchase(at, number);
            self.rest(Some(at), None);
        }
        over
    }

    /// Somebody gives the very card back that is being topped up.
    fn give_back_meanwhile(&mut self, at: usize, number: RequestNumber) {
        if self.mix.buying == 0 || !self.shop.chance(200) {
            return;
        }
        let all = self.people.get(at).and_then(|person| person.wallet.purchases().ok()).unwrap_or_default();
        let topped = all.iter().find(|bought| bought.purchase() == number).and_then(|it| it.reserve.claimed().card);
        if let Some(card) = topped
            && self.give_back(at, card)
        {
            self.update_wallet_plain(at);
        }
    }

    /// The same, once, without misfortune of the wallet's own.
    pub fn pay_purchase_plain(&mut self, at: usize, number: RequestNumber) -> bool {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let (option, now) = (PaymentOption::Once, self.now(skew));
        let Some(person) = self.people.get_mut(at) else {
            return true;
        };
        let told = person.wallet.buy(&mut self.center, number, option, now);
        self.say(|| format!("wallet {at} pays for purchase {number}: {told:?}"));
        told.is_ok_and(|told| self.told_of_purchase(at, number, &told))
    }

    /// A wallet asks what became of a purchase, without misfortune of its own. Whether that is known for good.
    pub fn ask_purchase(&mut self, at: usize, number: RequestNumber) -> bool {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(person) = self.people.get_mut(at) else {
            return true;
        };
        let told = person.wallet.purchase(&mut self.center, number, now);
        self.say(|| format!("wallet {at} asks for its purchase {number}: {told:?}"));
        told.is_ok_and(|told| self.told_of_purchase(at, number, &told))
    }

    /// A wallet gives up what is kept for it.
    pub fn cancel_purchase(&mut self, at: usize, number: RequestNumber) {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(person) = self.people.get_mut(at) else {
            return;
        };
        let told = person.wallet.cancel(&mut self.center, number, now);
        self.say(|| format!("wallet {at} gives purchase {number} up: {told:?}"));
    }

    /// What a wallet was told is so; whether it is the end.
    fn told_of_purchase(&mut self, at: usize, number: RequestNumber, told: &BuyNotice) -> bool {
        let Some(id) = self.people.get(at).map(|person| person.id) else {
            return true;
        };
        let row = self.center.store().and_then(|store| store.purchase(id, number)).ok().flatten();
        match told {
            BuyNotice::Delivered { provisional: false, .. } => {
                self.payments += 1;
                if row.is_none_or(|row| row.clearing.is_none()) {
                    self.wrong.push(format!("wallet {at} was given purchase {number} before it was paid for"));
                }
                true
            }
            BuyNotice::Delivered { provisional: true, .. } => true,
            BuyNotice::Ended(_) | BuyNotice::Returned(_) | BuyNotice::Unpaid => true,
            _ => false,
        }
    }

    /// Purchases of a wallet that have not come to their end, and whether each was paid.
    pub fn open_purchases(&self, at: usize) -> Vec<(RequestNumber, PurchaseState)> {
        let all = self.people.get(at).and_then(|person| person.wallet.purchases().ok()).unwrap_or_default();
        all.iter().filter(|it| !it.state.is_over()).map(|it| (it.purchase(), it.state)).collect()
    }

    /// A wallet goes on with what it does not know yet.
    pub(super) fn go_on_buying(&mut self, at: usize) {
        for (number, state) in self.open_purchases(at) {
            if state == PurchaseState::Reserved && self.dice.chance(500) {
                self.pay_purchase(at, number, 2);
            } else {
                self.ready_person(at);
                self.ask_purchase(at, number);
                self.rest(Some(at), None);
            }
        }
    }

    /// Somebody gives a card back; the provider hears of it at once or at some later update.
    pub(super) fn give_back_some(&mut self, at: usize) {
        let Some(person) = self.people.get(at) else {
            return;
        };
        let bought: Vec<CardId> =
            person.wallet.purchases().unwrap_or_default().iter().filter_map(|bought| bought.card).collect();
        let card = if self.dice.chance(800) { self.dice.pick(&bought) } else { self.card(at) };
        let Some(card) = card else {
            return;
        };
        self.ready_person(at);
        self.give_back(at, card);
        self.rest(Some(at), None);
        if self.dice.chance(600) {
            self.update_wallet(at);
        }
    }

    /// A wallet gives a card back, without misfortune of its own.
    pub fn give_back(&mut self, at: usize, card: CardId) -> bool {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let time = self.time;
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let before = load_purse(&person.wallet.device, card).map(|purse| purse.state);
        let told = person.wallet.surrender(card, now);
        // It may be so without having been said.
        match before {
            Some(PurseState::Active) => drop(self.given_back.insert(card, time)),
            _ if told.is_ok() => self.wrong.push(format!("wallet {at} gave {card} back twice")),
            _ => {}
        }
        self.say(|| format!("wallet {at} gives {card} back: {told:?}"));
        told.is_ok()
    }

    /// The issuer has more of an article made.
    pub(super) fn restock_some(&mut self) {
        let article = self.dice.within(1, ARTICLES.len() as u64);
        self.restock(article);
    }

    /// The issuer lists one more of an article; an answer that was lost is asked for again (R26).
    fn restock(&mut self, article: u64) {
        let listings = self.issuer.listings().unwrap_or_default();
        let Some(stock) = listings.iter().find(|it| it.article == article).map(|it| it.stock) else {
            return;
        };
        let now = self.now(0);
        let mut done = self.issuer.restock(&mut self.center, article, stock + 1, now).map(|_| ());
        if done.is_err() {
            self.center.plan(NetPlan::Never);
            let now = self.now(0);
            done = self.issuer.relist(&mut self.center, article, now);
        }
        self.say(|| format!("the issuer lists {} of article {article}: {done:?}", stock + 1));
    }

    /// In calm: what is kept is paid or runs out, and what is paid is asked for until it is known (R26).
    pub fn finish_buying(&mut self) {
        if !self.sells {
            return;
        }
        for at in 0..self.people.len() {
            for (number, state) in self.open_purchases(at) {
                if state == PurchaseState::Reserved && self.dice.chance(500) {
                    self.pay_purchase_plain(at, number);
                }
            }
        }
        for round in 0..12 {
            let mut open = false;
            for at in 0..self.people.len() {
                for (number, state) in self.open_purchases(at) {
                    // A temporary receipt is asked about again some other day.
                    // What the bank would not pay back stays on its way back, for a person.
                    let waits = matches!(state, PurchaseState::Provisional | PurchaseState::Listed);
                    let later = waits || self.stays_returning(at, number);
                    open |= !self.ask_purchase(at, number) && !later;
                }
            }
            if !open {
                return;
            }
            self.wait(if round < 6 { 5 } else { RUN_OUT });
        }
    }

    /// In calm: an honest wallet with a good card buys one, uses it and gives it back.
    pub fn somebody_buys(&mut self) {
        let honest = (0..self.people.len()).find(|at| {
            let person = &self.people[*at];
            person.tampered.is_none() && !self.causes.revoked.contains_key(&person.id)
        });
        let sells = self.sells && self.center.processor_revoked.is_none();
        let (true, Some(at)) = (sells, honest) else {
            return;
        };
        self.seen.clear();
        self.restock(1);
        if !self.register(at, TestCard::Approved, false, 10) {
            return self.wrong.push(format!("liveness: wallet {at} cannot register a bank card in calm"));
        }
        let kept = self.reserve(at, 1, None);
        let bought = kept.is_some_and(|number| self.pay_purchase(at, number, 10));
        let card = kept.and_then(|number| {
            let all = self.people[at].wallet.purchases().unwrap_or_default();
            all.iter().find(|bought| bought.purchase() == number)?.card
        });
        match card.filter(|_| bought) {
            Some(card) if self.give_back(at, card) => {}
            _ => self.wrong.push(format!("liveness: wallet {at} cannot buy a card and give it back in calm")),
        }
        self.update_wallet(at);
        self.wait(LIST_AGE + RECORD_AGE + Time::DAY);
    }
}
