//! What must be so with waiting lists and tickets by number, checked when all is quiet: first come, first served, nobody waits while
//! there is one, and each number that was sold lets one in.

use super::changes::seat_moved;
use crate::act::Slip;
use crate::template::{ARTICLES, EVENT, template};
use crate::town::Town;
use std::collections::BTreeMap;
use tegata_core::RequestNumber;
use tegata_core::{CardId, DeviceId};
use tegata_crypto_native::number::InstallationNumber;
use tegata_store::{ArticleRow, NumberRow, NumberState, SeatState, Store, StoreError, WaitingRow, Wish};

impl Town {
    pub(super) fn queues(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        if self.queue.is_none() {
            return Ok(());
        }
        let store = self.center.store()?;
        for article in store.articles()? {
            let wishes = wishes(store, &article)?;
            let last = wishes.iter().filter(|it| it.state == Wish::Offered).map(|it| it.number).max().unwrap_or(0);
            for wish in wishes.iter().filter(|it| it.state == Wish::Waits) {
                if wish.number < last {
                    wrong.push(format!(
                        "{} waits for article {}, and one after it has it",
                        wish.wallet, article.article
                    ));
                }
            }
            let stock = super::buying::said(&article)?.stock;
            let waits = wishes.iter().any(|it| it.state == Wish::Waits);
            if waits && article.taken < stock {
                let (number, taken) = (article.article, article.taken);
                wrong.push(format!("somebody waits for article {number}, of which {taken} of {stock} are sold"));
            }
            for wish in wishes.iter().filter(|it| it.state == Wish::Offered) {
                if store.purchase(wish.wallet, wish.purchase)?.is_none() {
                    wrong.push(format!("a wish of {} became a reservation that is none", wish.wallet));
                }
            }
        }
        // Here seats are moved in rings: each that is left is one that is moved onto, and stays on sale.
        for seat in store.seats_of(EVENT)?.iter().filter(|seat| seat.state == SeatState::Closed) {
            wrong.push(format!("flow 15: seat {} is not sold any more, and another one was moved onto it", seat.seat));
        }
        Ok(())
    }
    /// Whether a wallet stands in a list for this, as it says.
    pub(super) fn stands_in_list(&self, wallet: DeviceId, number: RequestNumber) -> bool {
        let wish = self.center.store().and_then(|store| store.wish(wallet, number)).ok().flatten();
        wish.is_some_and(|wish| wish.state == Wish::Waits)
    }

    /// Entries that were sold over the counter.
    pub(super) fn sold_by_number(&self) -> u64 {
        let slips = self.booth.iter().flat_map(|booth| &booth.slips);
        slips.filter(|slip| slip.active).map(|slip| slip.face).sum()
    }
    /// Whether the promoter knows of an order that it stands.
    pub(super) fn batch_stands(&self, batch: u64) -> bool {
        self.booth.iter().flat_map(|booth| &booth.batches).any(|it| *it == (batch, Some(true)))
    }
    /// Tickets of an article printed with numbers, which count like those that are sold over the network: those that the promoter knows of,
    /// and those of an order that was refused, and that the network brought once more when there were enough.
    pub(super) fn printed(&self, article: u64) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(sum(count), 0) FROM number_batch WHERE article = ?1";
        let number = i64::try_from(article).unwrap_or(0);
        let counted: i64 = self.center.store()?.connection().query_row(sql, [number], |row| row.get(0))?;
        // Of the first sort of ticket, or of the one with seats.
        let of = |slip: &&Slip| article == ARTICLES.len() as u64 + if slip.seat.is_none() { 1 } else { 2 };
        let slips = self.booth.iter().flat_map(|booth| &booth.slips);
        let known = slips.filter(|slip| self.batch_stands(slip.batch)).filter(of).count() as u64;
        Ok(counted.cast_unsigned().max(known))
    }

    /// Each number is as far as the counter and the wallets know, and let one ticket in at most.
    pub(super) fn slips(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        let mut cards: BTreeMap<CardId, usize> = BTreeMap::new();
        for (at, slip) in self.booth.iter().flat_map(|booth| booth.slips.iter().enumerate()) {
            let row = number(store, &slip.text)?;
            let (state, card) = row.as_ref().map_or((None, None), |row| (Some(row.state), row.card));
            let sold = matches!(state, Some(NumberState::Activated | NumberState::Used));
            if sold != slip.active || (sold && !slip.sold) {
                wrong.push(format!("R18: slip {at} is {state:?}, activated as the counter knows: {}", slip.active));
            }
            if slip.taken.is_some() && slip.taken.map(|(_, card)| card) != card {
                wrong.push(format!("R18: slip {at} became {card:?}, and {:?} has it as another", slip.taken));
            }
            if let Some(card) = card {
                *cards.entry(card).or_default() += 1;
                let seat = store.ticket(card)?.map(|ticket| ticket.seat);
                let bought = store.batch(template().issuer_party, slip.batch)?.map(|batch| batch.terms);
                let now = store.card(card)?.map(|card| card.terms);
                let moved = match slip.seat.zip(bought) {
                    Some(bought) => Some(seat_moved(store, bought, now)?),
                    None => slip.seat,
                };
                if seat != Some(moved) {
                    wrong.push(format!("slip {at}, for seat {:?}, became {card}, a ticket for {seat:?}", slip.seat));
                }
            }
            let seat = store.printed_seat(template().issuer_party, slip.batch, slip.serial)?;
            if seat != slip.seat && (seat.is_some() || self.batch_stands(slip.batch)) {
                wrong.push(format!("slip {at} is for seat {:?}, and the provider keeps {seat:?}", slip.seat));
            }
        }
        if cards.values().any(|slips| *slips > 1) {
            wrong.push("R18: two numbers became one ticket".into());
        }
        Ok(())
    }
}

fn wishes(store: &Store, article: &ArticleRow) -> Result<Vec<WaitingRow>, StoreError> {
    let sql = "SELECT wallet, purchase FROM waiting WHERE issuer = ?1 AND article = ?2";
    let connection = store.connection();
    let mut found = connection.prepare(sql)?;
    let number = i64::try_from(article.article).unwrap_or(0);
    let names =
        found.query_map((article.issuer.0, number), |row| Ok((DeviceId(row.get(0)?), RequestNumber(row.get(1)?))))?;
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    let rows = names.into_iter().map(|(wallet, purchase)| store.wish(wallet, purchase));
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn number(store: &Store, text: &str) -> Result<Option<NumberRow>, StoreError> {
    let Ok(number) = InstallationNumber::parse(text) else {
        return Ok(None);
    };
    for key in store.number_keys()? {
        if let Some(row) = store.number(&number.keyed_hash(&key))? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}
