//! The promoter changes its event, or cancels it; holders answer, or say nothing, and copies of their wallets answer otherwise.

use crate::dice::Dice;
use crate::tap::skewed;
use crate::template::{ARTICLES, EVENT, TICKETS, template};
use crate::town::Town;
use crate::trouble::NetPlan;
use std::collections::{BTreeMap, HashSet};
use tegata_core::card::Terms;
use tegata_core::talk::buy::Listing;
use tegata_core::talk::event::{ChangeOutcome, SeatMove};
use tegata_core::wire::canonical::Wire;
use tegata_core::{CardId, Handle, Hash, Time};
use tegata_device::{Now, RequestError};
use tegata_issuer::{IssuerError, Wording};
use tegata_store::StoreError;
use tegata_vault::Faults;

/// A change that the promoter has signed.
#[derive(Clone, Debug)]
struct Signed {
    before: Terms,
    after: Option<Terms>,
    /// Seats that are moved.
    moves: Option<Vec<SeatMove>>,
    wording: Wording,
    /// It is not known yet whether the provider has it.
    open: bool,
}

/// What the town knows of changes.
pub struct Plans {
    /// Dice of their own.
    pub dice: Dice,
    signed: Vec<Signed>,
    /// The article that is off sale while its seats are moved, and how many of it there were.
    off_sale: Option<(u64, u64)>,
    /// What holders were told became of their tickets.
    stands: BTreeMap<(CardId, Hash), ChangeOutcome>,
    /// How many tickets the changes had counted that were over.
    over: BTreeMap<Hash, u64>,
}

impl Plans {
    /// Nothing is changed yet.
    pub fn new(dice: Dice) -> Self {
        Self { dice, signed: Vec::new(), off_sale: None, stands: BTreeMap::new(), over: BTreeMap::new() }
    }
}

/// The last category has numbered seats.
fn is_seated(listing: &Listing) -> bool {
    listing.article == (ARTICLES.len() + TICKETS.len()) as u64
}

impl Town {
    fn plan_draw(&mut self, bound: u64) -> u64 {
        self.plans.as_mut().map_or(0, |plans| plans.dice.below(bound))
    }
    fn plan_now(&mut self, skew: i64) -> Now {
        let time = skewed(self.time, skew);
        Now { time, entropy: self.plans.as_mut().map_or([0; 32], |plans| plans.dice.entropy()) }
    }

    /// The promoter changes something, or holders answer, if it is the day for it.
    pub(super) fn change_some(&mut self) {
        if self.plan_draw(1000) >= self.mix.changing {
            return;
        }
        match self.plan_draw(100) {
            0..14 => self.change_event(false),
            14..19 => self.change_event(true),
            19..27 => self.finish_changing(),
            _ => {
                for _ in 0..=self.plan_draw(2) {
                    self.answer_some();
                }
            }
        }
    }

    /// The categories of the event.
    fn tickets_listed(&self) -> Vec<Listing> {
        let mut listed = self.issuer.listings().unwrap_or_default();
        listed.retain(|it| it.terms.ticket.as_ref().is_some_and(|it| it.event == EVENT));
        listed
    }

    /// One category is changed, or cancelled: the next day, another hall, longer, or other seats.
    pub fn change_event(&mut self, cancels: bool) {
        let listed = self.tickets_listed();
        let at = usize::try_from(self.plan_draw(listed.len() as u64)).unwrap_or(0);
        let seats = !cancels && listed.get(at).is_some_and(is_seated) && self.plan_draw(2) == 0;
        self.change_category(at, cancels, seats);
    }
    /// The first category is changed, or cancelled, if nothing was yet; else what is not known of that is said again.
    pub fn change_once(&mut self, cancels: bool) {
        match self.plans.as_ref().is_some_and(|plans| plans.signed.is_empty()) {
            true => self.change_category(0, cancels, false),
            false => self.finish_changing(),
        }
    }
    /// The seats of the category that has some are moved, if nothing was changed yet; else what is not known of that is said again.
    pub fn move_once(&mut self) {
        match self.plans.as_ref().is_some_and(|plans| plans.signed.is_empty()) {
            true => self.change_category(TICKETS.len() - 1, false, true),
            false => self.finish_changing(),
        }
    }
    /// What the first change has made of the first category is changed once more, or cancelled; else what is not known of that is
    /// said again.
    pub fn change_again(&mut self, cancels: bool) {
        match self.plans.as_ref().is_some_and(|plans| plans.signed.len() == 1) {
            true => self.change_category(0, cancels, false),
            false => self.finish_changing(),
        }
    }
    /// A change that is over counts no more tickets. Numbers may still bring some, and a backup knows less.
    pub fn count_changes(&mut self) {
        if self.booth.is_some() || self.causes.restored {
            return;
        }
        let (Ok(counted), Some(plans)) = (self.counted(), &mut self.plans) else {
            return;
        };
        for (change, count) in counted {
            let before = plans.over.insert(change, count).unwrap_or(count);
            if count > before {
                self.wrong.push(format!("flow 15: change {change} was over with {before} tickets and counts {count}"));
            }
        }
    }
    /// The changes that are over, and how many tickets each has counted.
    fn counted(&self) -> Result<Vec<(Hash, u64)>, StoreError> {
        let (store, mut all) = (self.center.store()?, Vec::new());
        for change in store.changes_by(template().issuer_party)?.iter().filter(|change| change.ended.is_some()) {
            let count: u64 = store.change_counts(&change.change)?.iter().map(|(_, count)| *count).sum();
            all.push((change.change, count));
        }
        Ok(all)
    }
    /// Who has one of the first seats has the next one from now on, and who has the last of them the first.
    fn drawn_moves(&mut self) -> Vec<SeatMove> {
        let seats = 2 + self.plan_draw(TICKETS[TICKETS.len() - 1].1 - 1);
        (1..=seats).map(|from| SeatMove { from, to: from % seats + 1, extensions: Default::default() }).collect()
    }
    /// Nobody buys a seat while it is moved.
    fn take_off_sale(&mut self, article: u64, stock: u64) {
        let now = self.plan_now(0);
        let done = self.issuer.restock(&mut self.center, article, 0, now).map(drop);
        if let Some(plans) = &mut self.plans {
            plans.off_sale.get_or_insert((article, stock));
        }
        self.say(|| format!("the promoter takes article {article} off sale: {done:?}"));
    }
    /// Once it is known what became of that, there are as many as there were.
    fn put_on_sale(&mut self) {
        let Some(plans) = &self.plans else {
            return;
        };
        let moving = plans.signed.iter().any(|signed| signed.open && signed.moves.is_some());
        let Some((article, stock)) = plans.off_sale.filter(|_| !moving) else {
            return;
        };
        let now = self.plan_now(0);
        let done = self.issuer.restock(&mut self.center, article, stock, now).map(drop);
        if let (Ok(()), Some(plans)) = (&done, &mut self.plans) {
            plans.off_sale = None;
        }
        self.say(|| format!("the promoter puts {stock} of article {article} back on sale: {done:?}"));
    }
    fn change_category(&mut self, at: usize, cancels: bool, seats: bool) {
        let listed = self.tickets_listed();
        let Some(listing) = listed.get(at) else {
            return;
        };
        let before = listing.terms.clone();
        if seats {
            self.take_off_sale(listing.article, listing.stock);
        }
        let moves = seats.then(|| self.drawn_moves());
        // Now and then nothing but the seats.
        let elsewhere = !seats || self.plan_draw(2) == 0;
        let mut after = before.clone();
        if let Some(ticket) = after.ticket.as_mut().filter(|_| elsewhere) {
            let later = self.plan_draw(3) * Time::DAY / 2;
            ticket.from = ticket.from.after(later);
            ticket.until = ticket.until.after(later + 60);
            ticket.place = format!("{}, later", ticket.place);
            ticket.place.truncate(60);
        }
        if let (Some(ticket), Some(moves)) = (&mut after.ticket, &moves) {
            // The same seats may be moved again.
            ticket.seating =
                Some(Handle::of(&Hash::of(&[before.handle().0.as_slice(), moves.to_bytes().as_slice()].concat())));
        }
        let answer_until = self.time.after(3_600 + self.plan_draw(6 * Time::DAY));
        let wording = Wording { text: "It is later.".into(), answer_until, silence_refunds: self.plan_draw(2) == 0 };
        let after = (!cancels).then_some(after);
        let signed = Signed { before, after, moves, wording, open: true };
        let Some(plans) = &mut self.plans else {
            return;
        };
        plans.signed.push(signed);
        let at = plans.signed.len() - 1;
        self.send_change(at);
        // The provider dies somewhere among the tickets.
        if self.plan_draw(100) < 30 {
            self.center.crash();
            self.faults += 1;
        }
        self.put_on_sale();
    }
    fn send_change(&mut self, at: usize) {
        let Some(Signed { before, after, moves, wording, .. }) =
            self.plans.as_ref().and_then(|plans| plans.signed.get(at).cloned())
        else {
            return;
        };
        let now = self.plan_now(0);
        let (cancels, text) = (after.is_none(), before.name.clone());
        let done = match (after, moves) {
            (Some(after), Some(moves)) => {
                self.issuer.move_seats(&mut self.center, &before, (after, moves), wording, now)
            }
            (after, _) => self.issuer.change(&mut self.center, &before, after, wording, now),
        };
        // Refused for good, or answered: it is known.
        let over = match &done {
            Ok(_) => true,
            Err(IssuerError::Request(RequestError::Refused(refused))) => !refused.why.is_transient(),
            Err(IssuerError::Past(_) | IssuerError::OtherChange(_) | IssuerError::OnSale(..)) => true,
            Err(_) => false,
        };
        if let Some(signed) = self.plans.as_mut().and_then(|plans| plans.signed.get_mut(at)) {
            signed.open = !over;
        }
        let what = if cancels { "cancels" } else { "changes" };
        self.say(|| format!("the promoter {what} {text}: {done:?}"));
    }
    /// The promoter's program starts again, if it was off.
    pub fn wake_promoter(&mut self) {
        let device = &mut self.issuer.device;
        let was_off = device.vault.is_off();
        if was_off {
            device.vault.power_cut();
            device.forget_channel();
            let _ = device.ring.reload_in_memory(&device.vault);
            self.faults += 1;
            self.say(|| "the promoter's program starts again".into());
        }
        self.issuer.device.vault.set_faults(Faults::none());
    }
    /// What the promoter does not know yet is said again (R26): every other time by a program that knows nothing but what it has stored.
    pub fn finish_changing(&mut self) {
        let count = self.plans.as_ref().map_or(0, |plans| plans.signed.len());
        let open = self.plans.as_ref().is_some_and(|plans| plans.signed.iter().any(|signed| signed.open));
        if open && count % 2 == 1 && !self.causes.restored {
            self.finish_stored();
            return self.put_on_sale();
        }
        for at in 0..count {
            if self.plans.as_ref().is_some_and(|plans| plans.signed[at].open) {
                self.send_change(at);
            }
        }
        self.put_on_sale();
    }

    /// All that was signed and that the provider does not have, byte for byte.
    fn finish_stored(&mut self) {
        let known = self.center.store().and_then(|store| store.changes_by(template().issuer_party));
        let Ok(known) = known else {
            return;
        };
        let recorded = known.iter().map(|row| row.change.to_string()).collect();
        let now = self.plan_now(0);
        let done = self.issuer.finish(&mut self.center, Some(EVENT), &recorded, now);
        self.say(|| format!("the promoter finishes what was cut off: {:?}", done.as_ref().map(Vec::len)));
        let Ok(finished) = done else { return };
        let kept = self.issuer.unfinished(Some(EVENT), &HashSet::new()).unwrap_or_default();
        let said: HashSet<Handle> = kept.iter().map(|change| change.claimed().before).collect();
        let said = |terms: &Terms| {
            said.contains(&terms.handle()) || finished.iter().any(|one| one.change.before == terms.handle())
        };
        let mut unsaid = Vec::new();
        for (at, signed) in self.plans.iter_mut().flat_map(|plans| &mut plans.signed).enumerate() {
            match said(&signed.before) {
                true => signed.open = false,
                // Power failed before it was stored: people say it once more.
                false if signed.open => unsaid.push((at, signed.moves.is_some())),
                false => {}
            }
        }
        for (at, moves) in unsaid {
            if let Some((article, stock)) = self.plans.as_ref().and_then(|plans| plans.off_sale).filter(|_| moves) {
                self.take_off_sale(article, stock);
            }
            self.send_change(at);
        }
    }
    /// What of its plans the promoter does not know the end of.
    pub fn unended_changes(&self) -> usize {
        self.plans.iter().flat_map(|plans| &plans.signed).filter(|signed| signed.open).count()
    }

    /// A holder answers, or a copy of its wallet does; somebody who has answered asks how that stands, or wants otherwise now.
    fn answer_some(&mut self) {
        let asked: Vec<(usize, CardId, bool)> = (0..self.people.len())
            .flat_map(|at| {
                let offered = self.people[at].wallet.changes().unwrap_or_default();
                offered
                    .into_iter()
                    .map(move |it| (at, it.offered.changed.card, it.stands.is_none()))
                    .collect::<Vec<_>>()
            })
            .collect();
        // Now and then somebody answers what is decided.
        let decided = self.plan_draw(8) == 0;
        let open: Vec<_> = asked.iter().filter(|(.., open)| *open != decided).collect();
        let at = usize::try_from(self.plan_draw(open.len() as u64)).unwrap_or(0);
        let Some((at, card, _)) = open.get(at).map(|it| **it) else {
            // Nobody has heard of a change: somebody updates.
            let at = usize::try_from(self.plan_draw(self.people.len() as u64)).unwrap_or(0);
            self.update_wallet_plain(at);
            return;
        };
        let accept = self.plan_draw(2) == 0;
        self.wake_person(at);
        if let (Some(person), Some(plans)) = (self.people.get_mut(at), &mut self.plans) {
            Self::arm(&self.mix, &mut person.wallet.device.vault, &mut plans.dice);
        }
        self.answer_change(at, card, accept);
        if let Some(person) = self.people.get_mut(at) {
            person.wallet.device.vault.set_faults(Faults::none());
        }
        self.wake_person(at);
    }
    /// The same, without misfortune of the wallet's own: what a holder is told once stays so.
    pub fn answer_change(&mut self, at: usize, card: CardId, accept: bool) -> Option<ChangeOutcome> {
        let skew = self.people.get(at)?.skew;
        let now = self.plan_now(skew);
        let person = self.people.get_mut(at)?;
        let change = person.wallet.change(card)?.offered.changed.change;
        let told = person.wallet.answer_change(&mut self.center, card, accept, now);
        self.say(|| format!("wallet {at} answers the change of {card}, takes it: {accept}: {told:?}"));
        let outcome = told.ok()?;
        let before = self.plans.as_mut()?.stands.insert((card, change), outcome);
        if before.is_some_and(|before| before != outcome) {
            self.wrong.push(format!("flow 15: {card} was {before:?} by change {change}, and is {outcome:?} now"));
        }
        Some(outcome)
    }

    /// In calm: what was answered is asked about until it is known (R26), and the promoter knows what became of its changes.
    pub fn calm_changes(&mut self) {
        if self.plans.is_none() {
            return;
        }
        self.center.plan(NetPlan::Never);
        self.finish_changing();
        for at in 0..self.people.len() {
            for offered in self.people[at].wallet.changes().unwrap_or_default() {
                if let (Some(accept), None) = (offered.offered.accepts(), offered.offered.outcome) {
                    self.answer_change(at, offered.offered.changed.card, accept);
                }
            }
        }
    }
}
