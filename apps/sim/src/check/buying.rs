//! What must never happen to a purchase by credit or to a card given back, checked when all is quiet: from the bank's books, the
//! processor's accounts, the provider's rows and postings, and what wallets hold.

use super::Evidence;
use crate::courier::Courier;
use crate::template::{LIST_AGE, RECORD_AGE, SELLER, template};
use crate::town::{Person, Town};
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::card::Terms;
use tegata_core::card::payment::PurseState;
use tegata_core::talk::buy::{Listing, PurchaseState};
use tegata_core::talk::contract::Tender;
use tegata_core::talk::pay::load_purse;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::Signed;
use tegata_core::{CardId, RequestNumber, Time, Unit};
use tegata_ledger::Side;
use tegata_store::{ArticleRow, ExceptionKind, ExceptionRow, PurchaseRow, RefundRow, RefundState, Store, StoreError};
use tegata_wallet::Standing;

impl Town {
    pub(super) fn buying(&self, evidence: &Evidence, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let (true, Some(courier)) = (self.sells, &self.center.courier) else {
            return Ok(());
        };
        let store = self.center.store()?;
        let rows = store.purchases()?;
        stock_is_kept(store, &rows, |article| self.printed(article), wrong)?;
        // What is under way with a processor whose key is revoked stays so, for a person (ARCHITECTURE, limits).
        if self.center.processor_revoked.is_none() {
            each_has_its_end(store, &rows, wrong)?;
            self.refusals_agree(courier, wrong)?;
            self.sales_agree(courier, &rows, wrong)?;
        }
        self.wallets_bought(&rows, wrong)?;
        self.cards_given_back(evidence, wrong)
    }

    /// Bank, processor and provider agree to the cent on what the issuer sold and what went back, and nothing was charged twice.
    fn sales_agree(&self, courier: &Courier, rows: &[PurchaseRow], wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        let (Some(processor), Some(registered)) = (courier.clearing.processor(), store.processor()?) else {
            return Ok(());
        };
        let (issuer, book) = (template().issuer_party, registered.info.processor);
        let owed = |side| store.balance(book, Unit::USD, side, issuer);
        let fees = self.stands(issuer, Tender::Credit)?.fees;
        let ours = owed(Side::Payable)? + owed(Side::Paid)? + fees.cast_signed();
        let (mut taken, mut back) = (0, 0);
        for row in rows {
            taken += if row.clearing.is_some() { price(store, row)? } else { 0 };
            back += store.refunded(row.wallet, row.number)?;
        }
        let rows = taken.cast_signed() - back.cast_signed();
        let account = store.clearing_account(issuer.0)?.and_then(|row| row.account);
        let sql = "SELECT coalesce(sum(amount), 0) FROM posting WHERE merchant = ?1";
        let account = account.map(|account| account.0);
        let theirs = processor.store().connection().query_row(sql, [account], |row| row.get::<_, i64>(0));
        let (theirs, bank) = (theirs.unwrap_or(-1), courier.clearing.bank.posted(SELLER.0, Unit::USD));
        if [rows, theirs, bank] != [ours; 3] {
            wrong.push(format!(
                "{}: {ours} posted at the provider, {rows} in its purchases, {theirs} at the processor, {bank} at the bank",
                SELLER.0
            ));
        }
        let refunded = store.equation(book, Unit::USD)?.sum(Side::Refunded);
        if refunded != i128::from(back) {
            wrong.push(format!("{refunded} posted as paid back, {back} was"));
        }
        let provider = store.provider()?.map(|row| row.party.0).unwrap_or_default();
        let twice = "SELECT count(*) FROM (SELECT 1 FROM authorization WHERE state = 5 AND machine = ?1
                     GROUP BY sale HAVING count(*) > 1)";
        let twice: i64 = processor.store().connection().query_row(twice, [provider], |row| row.get(0)).unwrap_or(-1);
        if twice != 0 {
            wrong.push(format!("{twice} purchases were taken twice from bank cards"));
        }
        Ok(())
    }

    /// What wallets say of their purchases is what happened, and each has what it paid for, with its receipt.
    fn wallets_bought(&self, rows: &[PurchaseRow], wrong: &mut Vec<String>) -> Result<(), StoreError> {
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| self.is_honest_person(person)) {
            let mut known = BTreeSet::new();
            for bought in person.wallet.purchases().unwrap_or_default() {
                let number = bought.purchase();
                let row = self.center.store()?.purchase(person.id, number)?;
                let theirs = row.as_ref().map(|row| row.state);
                // What was refused outright is no row.
                // A wallet keeps what is known for good; this is not.
                let ended = theirs.is_none_or(PurchaseState::is_over);
                let stays = self.stays_returning(at, number) || (self.center.processor_revoked.is_some() && !ended);
                let stays = stays && !bought.state.is_over();
                let listed = bought.state == PurchaseState::Listed && self.stands_in_list(person.id, number);
                let same = theirs
                    .map_or(bought.state == PurchaseState::Refused || listed, |state| state == bought.state)
                    || stays;
                if !same {
                    let ours = bought.state;
                    wrong.push(format!(
                        "wallet {at}: its purchase {number} is {ours:?} there, {theirs:?} at the provider"
                    ));
                }
                if bought.state == PurchaseState::Delivered && bought.receipt.is_none() {
                    wrong.push(format!("R23: wallet {at} has no receipt for purchase {number}"));
                }
                if bought.state.is_delivered() && bought.card != row.and_then(|row| row.card) {
                    wrong.push(format!("wallet {at}: purchase {number} brought another card than was sold"));
                }
                known.insert(number);
            }
            for row in rows.iter().filter(|row| row.wallet == person.id && !known.contains(&row.number)) {
                wrong.push(format!("wallet {at} bought {} and does not know it", row.number));
            }
        }
        Ok(())
    }

    /// A card given back pays nothing any more, is paid back when it is due and not before (R11), and holds nothing then.
    fn cards_given_back(&self, evidence: &Evidence, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| self.is_honest_person(person)) {
            for card in person.wallet.device.cards().unwrap_or_default() {
                let given = self.given_back.contains_key(&card) && is_over(person, card);
                // Another may have given it back that it was given to; what was lost and is issued anew gives nothing back.
                let held = load_purse(&person.wallet.device, card).map_or(0, |purse| purse.generation());
                let lost = store.anew(card, held)?.is_some_and(|row| row.taker.is_some());
                if lost || store.surrender(card)?.is_some_and(|row| row.wallet != person.id) {
                    continue;
                }
                let (Some(row), Some(purse)) = (store.surrender(card)?, load_purse(&person.wallet.device, card)) else {
                    if given {
                        wrong.push(format!("wallet {at} gave {card} back, and the provider does not know it"));
                    }
                    continue;
                };
                if purse.state == PurseState::Active {
                    wrong.push(format!("wallet {at} gave {card} back and can still pay by it"));
                }
                let spent = evidence.checks.range((card, row.generation, purse.seq)..=(card, u64::MAX, u64::MAX));
                if spent.count() > 0 {
                    wrong.push(format!("{card} was given back by wallet {at} and paid after that"));
                }
                let since = self.given_back.get(&card).copied();
                let early = row.asked.zip(since).is_some_and(|(at, since)| at.since(since) < LIST_AGE + RECORD_AGE);
                // Before the doors open there is nothing to wait for.
                let terms = store.card(card)?.map(|row| store.terms(row.terms)).transpose()?.flatten();
                let terms = terms.and_then(|bytes| Terms::from_bytes(&bytes).ok()?.ticket);
                let unused = terms.zip(since).is_some_and(|(terms, since)| since < terms.from);
                if early && !unused && !self.is_undone(card) {
                    wrong.push(format!("R11: {card} was paid back before all that it spent could be known"));
                }
                let done = done(&store.refunds_of(card)?);
                match (row.ended, person.wallet.refunded(card)) {
                    (None, _) if self.center.processor_revoked.is_some() => {}
                    (None, _) => wrong.push(format!("{card} was given back by wallet {at} and is never paid back")),
                    (Some(_), Some(told)) if told.amount.minor() == done => {}
                    (Some(_), told) => wrong.push(format!(
                        "wallet {at} was told {:?} of {card}, {done} was paid back",
                        told.map(|told| told.amount.minor())
                    )),
                }
                let books = store.card(card)?.filter(|_| row.ended.is_some());
                let (held, in_flight) = books.map_or((0, 0), |books| (books.held, books.in_flight));
                if row.ended.is_some() && (held != 0 || in_flight != self.stuck(person, card)) {
                    wrong.push(format!("{held} stay held on {card} and {in_flight} in flight, which was given back"));
                }
            }
        }
        Ok(())
    }

    /// What was bought by credit and delivered, or issued and not known to be captured, in cents; of tickets, in entries.
    pub(super) fn sold_by_credit(&self, unit: Unit) -> Result<u64, StoreError> {
        let store = self.center.store()?;
        let rows = store.purchases()?;
        let issued = |row: &&PurchaseRow| row.state.is_delivered() || row.state == PurchaseState::Issued;
        let faces = rows.iter().filter(issued).map(|row| Ok(listing(store, row)?.face));
        let faces = faces.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(faces.iter().filter(|face| face.unit() == unit).map(|face| face.minor()).sum())
    }

    /// What the bank refused in the end was refused once each, and each refusal shows.
    fn refusals_agree(&self, courier: &Courier, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let (ours, theirs) = (self.refusals()?, courier.clearing.bank.refused());
        if (ours.unpaid + ours.uncaptured, ours.unreturned) != theirs {
            wrong.push(format!("the bank refused {theirs:?} captures and refunds, and {ours:?} are known"));
        }
        let rows = self.center.store()?.exceptions(None, Time(0), Time(u64::MAX >> 1))?;
        let of = |kind| rows.iter().filter(|row| row.kind == kind && row.open).count() as u64;
        if of(ExceptionKind::Unpaid) != ours.unpaid || of(ExceptionKind::Unreturned) < ours.unreturned {
            wrong.push(format!("{ours:?} were refused by the bank, and not every one is an exception"));
        }
        Ok(())
    }

    /// How many purchases delivered on this card the bank would not pay for in the end.
    pub fn unpaid_on(&self, card: CardId) -> Result<usize, StoreError> {
        let bought = self.center.store()?.purchases_on(card)?;
        Ok(bought.iter().filter(|row| row.state == PurchaseState::Unpaid).count())
    }

    /// Whether a purchase could not be delivered, and the bank refused to pay it back: it waits for a person.
    pub fn stays_returning(&self, at: usize, number: RequestNumber) -> bool {
        let (Some(person), Ok(store)) = (self.people.get(at), self.center.store()) else {
            return false;
        };
        store.purchase(person.id, number).ok().flatten().is_some_and(|row| stuck(store, &row).unwrap_or(false))
    }

    /// Whether the bank's refusal explains this exception: of a capture, or of a refund of that purchase or card.
    pub(super) fn was_refused(&self, row: &ExceptionRow) -> bool {
        let Ok(store) = self.center.store() else {
            return false;
        };
        let refunds = store.refunds().unwrap_or_default();
        let mut refused = refunds.iter().filter(|it| it.state == RefundState::Refused);
        let unpaid = row.card.is_some_and(|card| self.unpaid_on(card).is_ok_and(|unpaid| unpaid > 0));
        match (row.kind, &row.terminal_record) {
            (ExceptionKind::Unpaid, _) => unpaid,
            // One refund.
            (_, Some(_)) => refused
                .any(|it| Some(it.wallet) == row.device && Some(it.amount) == row.amount.map(|(_, amount)| amount)),
            // What is left on a card.
            (_, None) => unpaid || refused.any(|it| it.card == row.card),
        }
    }

    /// Whether a wallet has given this card back.
    pub fn is_given_back(&self, card: CardId) -> bool {
        self.given_back.contains_key(&card) && self.people.iter().any(|person| is_over(person, card))
    }

    /// Whether an exception is about what was left on a card given back because numbers paid for it, not a bank card.
    pub(super) fn is_of_numbers(&self, row: &ExceptionRow) -> bool {
        let (Some(card), Ok(store)) = (row.card, self.center.store()) else {
            return false;
        };
        let bought = store.purchases_on(card).unwrap_or_default();
        let whole: u64 = bought.iter().filter_map(|row| price(store, row).ok()).sum();
        let back = done(&store.refunds_of(card).unwrap_or_default());
        (self.given_back.contains_key(&card) || self.is_undone(card)) && back == whole
    }
}

/// Whether this wallet's card is over, and not because it was given to somebody.
fn is_over(person: &Person, card: CardId) -> bool {
    let ended = load_purse(&person.wallet.device, card).filter(|purse| purse.state == PurseState::Ended);
    ended.is_some_and(|purse| person.wallet.standing(&purse) == Standing::Over)
}

/// What a purchase costs, in cents.
pub(super) fn price(store: &Store, row: &PurchaseRow) -> Result<u64, StoreError> {
    Ok(listing(store, row)?.price.minor())
}

/// What was bought.
pub(super) fn listing(store: &Store, row: &PurchaseRow) -> Result<Listing, StoreError> {
    let (_, body) = store.listing(row.issuer, row.article, row.revision)?.ok_or(StoreError::Damaged)?;
    Ok(Signed::<Listing>::decode(&body).map_err(|_| StoreError::Damaged)?.claimed().clone())
}

/// Never more are sold and kept than there are.
fn stock_is_kept(
    store: &Store,
    rows: &[PurchaseRow],
    printed: impl Fn(u64) -> Result<u64, StoreError>,
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    for article in store.articles()? {
        let said = said(&article)?;
        let ended = |row: &&PurchaseRow| !matches!(row.state, PurchaseState::Refused | PurchaseState::Returned);
        let ours = rows.iter().filter(|row| (row.issuer, row.article) == (article.issuer, article.article));
        // A ticket that goes back is for others again, as soon as its refund is asked for.
        let refunds = store.refunds()?;
        let is_back = |row: &&PurchaseRow| {
            let of = |it: &RefundRow| (it.wallet, it.purchase) == (row.wallet, row.number) && it.card == row.card;
            said.terms.ticket.is_some() && row.card.is_some() && refunds.iter().any(of)
        };
        let sold = ours.filter(ended).filter(|row| !is_back(row)).count() as u64 + printed(article.article)?;
        if sold != article.taken || sold > said.stock {
            let (number, stock, taken) = (article.article, said.stock, article.taken);
            wrong.push(format!("article {number}: {sold} sold of {stock}, {taken} counted"));
        }
    }
    Ok(())
}

/// What is sold, as it is listed now.
pub(super) fn said(article: &ArticleRow) -> Result<Listing, StoreError> {
    Ok(Signed::<Listing>::decode(&article.body).map_err(|_| StoreError::Damaged)?.claimed().clone())
}

/// Each purchase has ended; what was captured was delivered once or paid back whole, what was delivered was captured; and never
/// more goes back than was paid.
fn each_has_its_end(store: &Store, rows: &[PurchaseRow], wrong: &mut Vec<String>) -> Result<(), StoreError> {
    let mut delivered: BTreeMap<(CardId, Option<u64>), u64> = BTreeMap::new();
    for row in rows {
        let number = row.number;
        if !row.state.is_over() && !stuck(store, row)? {
            wrong.push(format!("R26: purchase {number} is {:?} for ever", row.state));
        }
        let captured =
            matches!(row.state, PurchaseState::Delivered | PurchaseState::Returned | PurchaseState::Returning);
        if captured != row.clearing.is_some() {
            wrong.push(format!("purchase {number} is {:?}, captured by {:?}", row.state, row.clearing));
        }
        let is_there = match (row.card, row.load) {
            (Some(card), Some(load)) => store.load(card, load)?.is_some(),
            // A ticket may be another's by now.
            (Some(card), None) => {
                store.card(card)?.is_some_and(|card| card.wallet == row.wallet || card.unit == Unit::ENTRIES)
            }
            (None, _) => false,
        };
        if row.state.is_delivered() {
            if !is_there {
                wrong.push(format!("purchase {number} is {:?} and nothing was delivered", row.state));
            }
            if let Some(card) = row.card {
                *delivered.entry((card, row.load)).or_default() += 1;
            }
        }
        let back = store.refunded(row.wallet, number)?;
        let paid = if captured { price(store, row)? } else { 0 };
        if back > paid || (row.state == PurchaseState::Returned && back != paid) {
            wrong.push(format!("purchase {number} is {:?}, {paid} was paid and {back} paid back", row.state));
        }
    }
    if delivered.values().any(|times| *times > 1) {
        wrong.push("one card or load was delivered for two purchases".into());
    }
    Ok(())
}

/// Whether this purchase is on its way back for ever, because the bank refused to pay it back.
fn stuck(store: &Store, row: &PurchaseRow) -> Result<bool, StoreError> {
    let refused = |it: &RefundRow| {
        (it.wallet, it.purchase, it.card) == (row.wallet, row.number, None) && it.state == RefundState::Refused
    };
    Ok(row.state == PurchaseState::Returning && store.refunds()?.iter().any(refused))
}

/// What was paid back by these, in cents.
fn done(refunds: &[RefundRow]) -> u64 {
    refunds.iter().filter(|it| it.state == RefundState::Done).map(|it| it.amount).sum()
}
