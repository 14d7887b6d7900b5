//! Bought by credit: every card or load delivered has one captured amount, every captured amount one card or load, or it went
//! back. What counts is signed by others: the issuer's listing, the wallet's reservation and agreement, the processor's answers,
//! the card's own last event where it was given back. What left a card in units for a refund is as posted; that the money was their
//! share of the price is counted here anew.

use crate::AuditError;
use crate::asked::Asked;
use crate::credit::Captured;
use crate::difference::{Difference, Findings, PROVIDER, What};
use crate::numbers::{Book, Numbers};
use crate::reading::{Columns, Id, each, hex};
use crate::seats;
use crate::trust::{Trust, holds};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, HashMap, HashSet};
use tegata_core::talk::buy::{Listing, Purchase, PurchaseState, Refunded, Reserve, Wait};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{ClearingNumber, Handle, Hash, Unit};

/// What a purchase put on a card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bought {
    /// The reservation: names the posting of an install.
    pub reference: Hash,
    pub face: u64,
    pub terms: Handle,
    /// The key that a new card was ordered for.
    pub key: Option<PublicKey>,
}

/// What went back to a bank card, or was asked to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back {
    pub issuer: Id,
    /// The processor's books.
    pub book: Book,
    pub card: Option<Id>,
    pub amount: u64,
    /// What its card is without: of a ticket all of it, of a card in units what was posted.
    pub of_card: u64,
    /// The bank has it: until then only its card is without it.
    pub done: bool,
}

/// Everything about purchases.
#[derive(Debug, Default)]
pub(crate) struct Sold {
    /// Captures by the reservation that they paid.
    pub captured: BTreeMap<Hash, Captured>,
    /// New cards.
    pub cards: HashMap<Id, Bought>,
    /// Loads, by card and number.
    pub loads: HashMap<(Id, u64), Bought>,
    /// Issued for an agreement: in which books, how much stands (nothing where it was withdrawn).
    pub issued: HashMap<Hash, (Book, u64)>,
    /// Refunds by what names their postings.
    pub back: BTreeMap<Hash, Back>,
    /// Reservations of which something was paid back.
    pub undone: HashSet<Hash>,
    /// Reservations by wallet and number.
    references: HashMap<(Id, Id), Hash>,
    /// The processor's clearing number of each capture, by wallet and number.
    clearings: HashMap<(Id, Id), ClearingNumber>,
    /// Cards given back and settled: the generation, and what was not paid back, as the provider signed it.
    pub settled: BTreeMap<Id, (u64, u64)>,
}

/// What has gone back of a purchase of units.
#[derive(Clone, Copy, Default)]
struct Units {
    units: u64,
    money: u64,
    /// The bank paid a part of what it was asked for.
    partly: bool,
}

struct Row {
    wallet: Id,
    number: Id,
    state: Option<PurchaseState>,
    issuer: Id,
    article: u64,
    revision: u64,
    authorization: Option<Id>,
    clear: Option<Id>,
    card: Option<Id>,
    load: Option<u64>,
    captured: Option<u64>,
}

impl Row {
    fn read(row: &Columns<'_, '_>) -> rusqlite::Result<Self> {
        let state = row.u64(2)?;
        Ok(Self {
            wallet: row.get(0)?,
            number: row.get(1)?,
            state: PurchaseState::ALL.iter().copied().find(|one| one.code() == state),
            issuer: row.get(3)?,
            article: row.u64(4)?,
            revision: row.u64(5)?,
            authorization: row.get(6)?,
            clear: row.get(7)?,
            card: row.get(8)?,
            load: row.opt_u64(9)?,
            captured: row.opt_u64(10)?,
        })
    }
    fn about(&self) -> String {
        format!("purchase {} of dev-{}", hex(&self.number), hex(&self.wallet))
    }
}

const RESERVE: u64 = 1;
const PURCHASE: u64 = 2;

impl Sold {
    /// Reads and judges; a database of a format without purchases has none. Terms and issued value go to `numbers`.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        (asked, numbers): (&mut Asked, &mut Numbers),
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut sold = Self::default();
        if format < 4 {
            return Ok(sold);
        }
        let listings = listings(connection, trust, numbers, checked, findings)?;
        let mut taken: BTreeMap<(Id, u64), u64> = BTreeMap::new();
        let mut rows = Vec::new();
        let sql = "SELECT wallet, number, state, issuer, article, revision, authorization, clear, card, load, captured
            FROM purchase ORDER BY wallet, number";
        each(connection, sql, [], |row| {
            rows.push(Row::read(row)?);
            Ok(())
        })?;
        let freed = freed(connection)?;
        for row in &rows {
            let listing = listings.get(&(row.issuer, row.article, row.revision));
            let given_back = freed.contains(&(row.wallet, row.number));
            if given_back && listing.is_some_and(|listing| listing.terms.ticket.is_some()) {
                // Somebody else may have it.
            } else if !matches!(row.state, Some(PurchaseState::Refused | PurchaseState::Returned)) {
                *taken.entry((row.issuer, row.article)).or_default() += 1;
            }
            *checked += 2;
            let judged = sold.judge(connection, trust, row, &listings, asked, numbers)?;
            findings.expect(judged.is_some(), What::Row, || {
                let ledger = row.state.map_or("?", PurchaseState::name);
                (row.about(), "another state, or nothing of it signed", ledger, "its row of table purchase".to_owned())
            });
        }
        if format >= 9 {
            waiting(connection, trust, checked, findings)?;
            by_number(connection, numbers, &listings, &mut taken, findings)?;
        }
        // No more were sold or reserved than the issuer ever listed.
        each(connection, "SELECT issuer, article, taken FROM article", [], |row| {
            let key = (row.get::<Id>(0)?, row.u64(1)?);
            let (counted, recorded) = (taken.remove(&key).unwrap_or(0), row.u64(2)?);
            let most = listings.iter().filter(|((issuer, article, _), _)| (*issuer, *article) == key);
            let most = most.map(|(_, listing)| listing.stock).max().unwrap_or(0);
            findings.expect(counted == recorded && counted <= most, What::Row, || {
                let evidence = format!("{counted} sold or reserved, of at most {most}");
                let about = format!("article {} of issuer {}", key.1, hex(&key.0));
                (about, evidence, format!("{recorded}"), "its row of table article".to_owned())
            });
            Ok(())
        })?;
        seats::judge(connection, trust, (&listings, &freed, &numbers.placed), checked, findings)?;
        sold.refunds(connection, &rows, &listings, asked, findings)?;
        sold.given_back(connection, trust, findings)?;
        Ok(sold)
    }

    /// Holds one purchase against what was signed about it. `None`: it is not what its row says.
    fn judge(
        &mut self,
        connection: &Connection,
        trust: &Trust,
        row: &Row,
        listings: &Listings,
        asked: &mut Asked,
        numbers: &mut Numbers,
    ) -> Result<Option<()>, AuditError> {
        let state = row.state;
        let record = |what: u64| -> Result<Option<Vec<u8>>, AuditError> {
            let mut found = None;
            let sql = "SELECT body FROM purchase_record WHERE wallet = ?1 AND number = ?2 AND what = ?3";
            each(connection, sql, params![row.wallet, row.number, what.cast_signed()], |row| {
                found = Some(row.get::<Vec<u8>>(0)?);
                Ok(())
            })?;
            Ok(found)
        };
        let (reserve, agreed) = (record(RESERVE)?, record(PURCHASE)?);
        let capture = row.clear.and_then(|number| asked.captures.remove(&number));
        let judged = || -> Option<()> {
            let listing = listings.get(&(row.issuer, row.article, row.revision))?;
            let wallet = trust.key(&row.wallet, Role::Wallet)?;
            let reserve = Signed::<Reserve>::decode(&reserve?).ok().filter(|signed| holds(signed, wallet, &[]))?;
            let (reference, want) = (reserve.hash(&[]), reserve.claimed());
            let named = (want.wallet.0, want.purchase.0, want.issuer.0, want.article, want.revision);
            (named == (row.wallet, row.number, row.issuer, row.article, row.revision)).then_some(())?;
            self.references.insert((row.wallet, row.number), reference);
            let agreed = match agreed {
                Some(bytes) => Some(Signed::<Purchase>::decode(&bytes).ok().filter(|signed| {
                    let said = signed.claimed();
                    (said.wallet, said.purchase, said.reserve, said.price)
                        == (want.wallet, want.purchase, reference, listing.price)
                        && holds(signed, wallet, &[])
                })?),
                None => None,
            };
            let price = listing.price.minor();
            let paid = capture.as_ref().and_then(|capture| capture.answer.as_ref());
            if let Some(completion) = paid {
                let option = agreed.as_ref().map(|agreed| agreed.claimed().option);
                let asked_for = capture.as_ref().map(|capture| capture.request.claimed());
                let fits = completion.amount == listing.price
                    && Some(completion.option) == option
                    && Some(completion.number.0) == row.clear
                    && asked_for.is_some_and(|asked| {
                        Some(asked.authorization.0) == row.authorization && asked.amount == listing.price
                    });
                fits.then_some(())?;
                let book = (completion.processor.0, listing.price.unit().code());
                self.clearings.insert((row.wallet, row.number), completion.clearing);
                let captured = Captured { merchant: row.issuer, book, amount: price, at: row.captured? };
                self.captured.insert(reference, captured);
            }
            let approved = row.authorization.and_then(|number| asked.approved.get(&number)) == Some(&price);
            let bought = Bought { reference, face: listing.face.minor(), terms: listing.terms.handle(), key: want.key };
            // The bank's yes first, then the issue; captured if and only if it is delivered for good, or goes back.
            let (issued, delivered, captured) = match state? {
                PurchaseState::Reserved | PurchaseState::Pending | PurchaseState::Refused => (false, false, false),
                // It is in a list, and no purchase yet.
                PurchaseState::Listed => return None,
                PurchaseState::Issued => (true, false, false),
                PurchaseState::Provisional | PurchaseState::Unpaid => (true, true, false),
                PurchaseState::Delivered => (true, true, true),
                PurchaseState::Returning | PurchaseState::Returned => (false, false, true),
            };
            // What was refused holds nothing at the bank that nobody asked it to let go.
            let kept = row.authorization.is_some_and(|number| asked.are_kept(&number));
            if matches!(state?, PurchaseState::Refused | PurchaseState::Unpaid) && kept {
                return None;
            }
            let early = matches!(state?, PurchaseState::Provisional) && paid.is_some();
            (captured == paid.is_some() && !early && (!issued || (approved && agreed.is_some()))).then_some(())?;
            if let Some(agreed) = &agreed {
                let book = (row.issuer, listing.face.unit().code());
                self.issued.insert(agreed.hash(&[]), (book, if issued { bought.face } else { 0 }));
                if issued {
                    *numbers.issued.entry(book).or_default() += bought.face;
                }
            }
            match (delivered, want.card, row.card, row.load) {
                (true, None, Some(card), None) => self.cards.insert(card, bought).is_none().then_some(()),
                (true, Some(card), Some(loaded), Some(load)) if card.0 == loaded => {
                    self.loads.insert((loaded, load), bought).is_none().then_some(())
                }
                (false, _, _, None) => Some(()),
                _ => None,
            }
        };
        let judged = judged();
        // A capture of a purchase that is not what it says was for nothing: it is found among those left over.
        if let (None, Some(capture), Some(number)) = (judged, capture, row.clear) {
            asked.captures.insert(number, capture);
        }
        Ok(judged)
    }

    /// Money went back only for a purchase that was captured, never more of it than it cost.
    fn refunds(
        &mut self,
        connection: &Connection,
        rows: &[Row],
        listings: &Listings,
        asked: &mut Asked,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let mut sums: HashMap<(Id, Id), u64> = HashMap::new();
        let mut units: BTreeMap<(Id, Id), Units> = BTreeMap::new();
        let taken = taken(connection)?;
        let bought: HashMap<(Id, Id), &Row> = rows.iter().map(|row| ((row.wallet, row.number), row)).collect();
        let sql = "SELECT number, wallet, purchase, card, amount, state FROM refund ORDER BY number";
        each(connection, sql, [], |row| {
            let number = row.get::<Id>(0)?;
            let key = (row.get::<Id>(1)?, row.get::<Id>(2)?);
            let (card, amount, state) = (row.get::<Option<Id>>(3)?, row.u64(4)?, row.u64(5)?);
            let (done, refused) = (state == 2, state == 3);
            let purchase = bought.get(&key);
            let listing = purchase.and_then(|row| listings.get(&(row.issuer, row.article, row.revision)));
            let back = asked.refunds.remove(&number);
            // Of a card what was paid for it, without one what was paid and never delivered.
            let of_this = purchase.is_some_and(|row| match card {
                Some(card) => row.card == Some(card) && row.state == Some(PurchaseState::Delivered),
                None => matches!(row.state, Some(PurchaseState::Returning | PurchaseState::Returned)),
            });
            let clearing = self.clearings.get(&key);
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(if done { amount } else { 0 });
            let in_units = card.is_some() && listing.is_some_and(is_in_units);
            let partly = back
                .as_ref()
                .is_some_and(|back| back.back.is_some_and(|said| said < back.request.claimed().amount.minor()));
            let fits = of_this
                && listing.is_some_and(|listing| *sum <= listing.price.minor())
                && match back {
                    Some(back) => {
                        let asked = back.request.claimed();
                        // What was paid back, or what it was asked for.
                        let said = back.back.unwrap_or(asked.amount.minor());
                        said == amount && back.back.is_some() == done && Some(&asked.clearing) == clearing
                    }
                    // Units that have cost less than the smallest coin: nobody was asked.
                    None => in_units && done && amount == 0,
                };
            findings.expect(fits, What::Row, || {
                let about = format!("refund {}", hex(&number));
                (about, "another amount, or more than was paid", format!("{amount}"), "its row of table refund".into())
            });
            if let (false, Some(purchase), Some(listing), Some(processor)) =
                (refused, purchase, listing, asked.processor)
            {
                let book = (processor, listing.price.unit().code());
                let of_card = match (&listing.terms.ticket, card.filter(|_| in_units)) {
                    (Some(_), _) => listing.face.minor(),
                    (None, Some(card)) => taken.get(&(card, Hash::of(&number))).copied().unwrap_or(0),
                    (None, None) => amount,
                };
                if in_units {
                    let gone = units.entry(key).or_default();
                    gone.units = gone.units.saturating_add(of_card);
                    gone.money = gone.money.saturating_add(amount);
                    gone.partly |= partly;
                }
                let back = Back { issuer: purchase.issuer, book, card, amount, of_card, done };
                self.back.insert(Hash::of(&number), back);
                self.undone.extend(self.references.get(&key).filter(|_| done && amount > 0));
            }
            Ok(())
        })?;
        for ((wallet, number), gone) in units {
            let purchase = bought.get(&(wallet, number));
            let listing = purchase.and_then(|row| listings.get(&(row.issuer, row.article, row.revision)));
            let fits = listing.is_some_and(|it| is_share((it.face.minor(), it.price.minor()), gone));
            findings.expect(fits, What::Row, || {
                let about = format!("refunds of purchase {} of dev-{}", hex(&number), hex(&wallet));
                let evidence = format!("the share of the price that {} units have cost", gone.units);
                (about, evidence, format!("{}", gone.money), "its rows of table refund".to_owned())
            });
        }
        for (number, back) in std::mem::take(&mut asked.refunds) {
            findings.add(|| Difference {
                what: What::Row,
                about: format!("refund {}", hex(&number)),
                evidence: format!("{} asked of the processor", back.request.claimed().amount.minor()),
                ledger: "no refund".to_owned(),
                nearest: "its row of table asked".to_owned(),
                at_fault: format!("{PROVIDER}: money was paid back for nothing"),
            });
        }
        // What was captured and could not be delivered has gone back, whole.
        for row in rows.iter().filter(|row| row.state == Some(PurchaseState::Returned)) {
            let listing = listings.get(&(row.issuer, row.article, row.revision));
            let back = sums.get(&(row.wallet, row.number)).copied().unwrap_or(0);
            findings.expect(listing.is_some_and(|listing| listing.price.minor() == back), What::Row, || {
                (row.about(), format!("{back} paid back"), "returned", "its row of table purchase".to_owned())
            });
        }
        Ok(())
    }

    /// A card given back has ended with what the provider signed of it.
    fn given_back(
        &mut self,
        connection: &Connection,
        trust: &Trust,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        each(connection, "SELECT card, generation, body, ended FROM surrender WHERE body IS NOT NULL", [], |row| {
            let card = row.get::<Id>(0)?;
            let back = self.back.values().filter(|back| back.card == Some(card));
            let back = back.map(|back| if back.done { back.amount } else { 0 }).sum::<u64>();
            let said = Signed::<Refunded>::decode(&row.get::<Vec<u8>>(2)?).ok();
            // Where something came back since, there is more to come.
            let (more, signed) = (row.opt_u64(3)?.is_none(), said.filter(|signed| trust.signed_by_provider(signed)));
            let left = signed.filter(|signed| {
                let (of, amount) = (signed.claimed().card.0, signed.claimed().amount.minor());
                of == card && (amount == back || more && amount < back)
            });
            findings.expect(left.is_some(), What::Row, || {
                let about = format!("card-{}", hex(&card));
                (about, format!("{back} paid back"), "another sum, or none signed", "its row of table surrender".into())
            });
            let left = left.map_or(0, |said| said.claimed().left.minor());
            self.settled.insert(card, (row.u64(1)?, left));
            Ok(())
        })
    }
}

/// Whether this is sold by units of length, for a price.
fn is_in_units(listing: &Listing) -> bool {
    listing.face.unit() == Unit::CALL_UNITS
}

/// Whether so much money is the share of the price that these units have cost, rounded down; less only where the bank paid less than it
/// was asked for.
fn is_share((face, price): (u64, u64), gone: Units) -> bool {
    let [face, price, units, money] = [face, price, gone.units, gone.money].map(i128::from);
    // Every amount is far below the root of what an i128 holds.
    let left_over = price.checked_mul(units).zip(money.checked_mul(face)).map(|(cost, paid)| cost - paid);
    units <= face && left_over.is_some_and(|rest| rest >= 0 && (gone.partly || rest < face))
}

/// What each refund took from its card and did not bring back, as it was posted.
fn taken(connection: &Connection) -> Result<HashMap<(Id, Hash), u64>, AuditError> {
    let mut taken: HashMap<(Id, Hash), u64> = HashMap::new();
    // From held, and back from refunded, which sorts after it.
    let sql = "SELECT subject, reference, source, amount FROM posting WHERE what = 13 AND source IN (3, 7)
        ORDER BY subject, reference, source";
    each(connection, sql, [], |row| {
        let of = taken.entry((row.get(0)?, Hash(row.get(1)?))).or_default();
        *of = if row.u64(2)? == 3 { of.saturating_add(row.u64(3)?) } else { of.saturating_sub(row.u64(3)?) };
        Ok(())
    })?;
    Ok(taken)
}

/// Purchases of which something was asked back for the card that they brought, whatever the bank said to it.
fn freed(connection: &Connection) -> Result<HashSet<(Id, Id)>, AuditError> {
    let mut freed = HashSet::new();
    each(connection, "SELECT wallet, purchase FROM refund WHERE card IS NOT NULL", [], |row| {
        freed.insert((row.get(0)?, row.get(1)?));
        Ok(())
    })?;
    Ok(freed)
}

/// Whoever waits has signed that, and nobody was served before somebody who waited longer for the same.
fn waiting(
    connection: &Connection,
    trust: &Trust,
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let mut passed: HashSet<(Id, u64)> = HashSet::new();
    let sql = "SELECT number, wallet, purchase, issuer, article, state, hash, body FROM waiting ORDER BY number";
    each(connection, sql, [], |row| {
        let (wallet, purchase) = (row.get::<Id>(1)?, row.get::<Id>(2)?);
        let (list, state, hash) = ((row.get::<Id>(3)?, row.u64(4)?), row.u64(5)?, Hash(row.get(6)?));
        *checked += 1;
        let signed = Signed::<Wait>::decode(&row.get::<Vec<u8>>(7)?).ok().filter(|signed| {
            let reserve = &signed.claimed().reserve;
            let said = reserve.claimed();
            let named = (said.wallet.0, said.purchase.0, (said.issuer.0, said.article)) == (wallet, purchase, list);
            let key = trust.key(&wallet, Role::Wallet);
            named && reserve.hash(&[]) == hash && key.is_some_and(|key| holds(signed, key, &[]))
        });
        let in_turn = state != 2 || !passed.contains(&list);
        if state == 1 {
            passed.insert(list);
        }
        findings.expect(signed.is_some() && in_turn, What::Row, || {
            let about = format!("wish {} of dev-{}", hex(&purchase), hex(&wallet));
            let evidence = if in_turn { "no such wish of the wallet" } else { "somebody who waited longer" };
            (about, evidence, format!("state {state}"), "its row of table waiting".to_owned())
        });
        Ok(())
    })
}

/// Tickets by number count with those that their article sells, and have its terms.
fn by_number(
    connection: &Connection,
    numbers: &Numbers,
    listings: &Listings,
    taken: &mut BTreeMap<(Id, u64), u64>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let sql = "SELECT issuer, batch, terms, article, (SELECT count(*) FROM number
        WHERE number.issuer = number_batch.issuer AND number.batch = number_batch.batch) FROM number_batch";
    each(connection, sql, [], |row| {
        let (issuer, batch, handle) = (row.get::<Id>(0)?, row.u64(1)?, Handle(row.get(2)?));
        let (article, count) = (row.opt_u64(3)?, row.u64(4)?);
        let terms = numbers.terms.get(&handle).filter(|terms| terms.ticket.is_some());
        let fits = match article {
            None => terms.is_none(),
            Some(article) => terms.is_some_and(|terms| {
                let of_article = |(key, _): &(&(Id, u64, u64), &Listing)| (key.0, key.1) == (issuer, article);
                listings.iter().filter(of_article).any(|(_, listing)| listing.terms == *terms)
            }),
        };
        findings.expect(fits, What::Number, || {
            let about = format!("batch {batch} of issuer {}", hex(&issuer));
            (
                about,
                "tickets of another article",
                format!("article {article:?}"),
                "its row of table number_batch".into(),
            )
        });
        if let Some(article) = article {
            *taken.entry((issuer, article)).or_default() += count;
        }
        Ok(())
    })
}

/// Listings by issuer, article and revision.
pub(crate) type Listings = HashMap<(Id, u64, u64), Listing>;

/// What issuers listed, by their own signatures.
fn listings(
    connection: &Connection,
    trust: &Trust,
    numbers: &mut Numbers,
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<Listings, AuditError> {
    let mut listings = Listings::new();
    let sql = "SELECT issuer, article, revision, body FROM listing ORDER BY issuer, article, revision";
    each(connection, sql, [], |row| {
        let key = (row.get::<Id>(0)?, row.u64(1)?, row.u64(2)?);
        *checked += 1;
        let listing = Signed::<Listing>::decode(&row.get::<Vec<u8>>(3)?).ok().filter(|signed| {
            let said = signed.claimed();
            (said.issuer.0, said.article, said.revision) == key
                && said.terms.issuer.0 == key.0
                && trust.key(&key.0, Role::Issuer).is_some_and(|issuer| holds(signed, issuer, &[]))
        });
        findings.expect(listing.is_some(), What::Number, || {
            let about = format!("article {} of issuer {}", key.1, hex(&key.0));
            (about, "no such listing signed by the issuer", "a listing", "its row of table listing".to_owned())
        });
        if let Some(listing) = listing {
            let said = listing.claimed().clone();
            numbers.terms.insert(said.terms.handle(), said.terms.clone());
            listings.insert(key, said);
        }
        Ok(())
    })?;
    Ok(listings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_for_units_is_their_share_of_the_price_rounded_down() {
        let gone = |units, money| Units { units, money, partly: false };
        // 7 units for 10.00.
        for (units, money, fits) in
            [(0, 0, true), (2, 285, true), (2, 286, false), (2, 284, false), (7, 1_000, true), (8, 1_142, false)]
        {
            assert_eq!(is_share((7, 1_000), gone(units, money)), fits, "{units} for {money}");
        }
        assert!(is_share((7, 1_000), Units { partly: true, ..gone(2, 200) }), "the bank paid a part");
        assert!(!is_share((7, 1_000), Units { partly: true, ..gone(2, 286) }), "but never more");
        // 3 units for a cent: two are worth nothing yet.
        assert!(is_share((3, 1), gone(2, 0)) && is_share((3, 1), gone(3, 1)));
    }
}
