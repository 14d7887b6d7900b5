//! Buying: what issuers list, how far each purchase has come, cards given back and money on its way back.

use crate::row::{Columns, all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::talk::buy::{PurchaseRefusal, PurchaseState};
use tegata_core::talk::credit::PaymentOption;
use tegata_core::{CardId, ClearingNumber, Hash, IssuerId, RequestNumber, Time, WalletId};

/// An article and how many of it are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArticleRow {
    /// The issuer.
    pub issuer: IssuerId,
    /// The issuer's number of it.
    pub article: u64,
    /// The newest revision.
    pub revision: u64,
    /// Sold or reserved.
    pub taken: u64,
    /// The newest listing, signed.
    pub body: Vec<u8>,
}

/// A purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchaseRow {
    /// The wallet.
    pub wallet: WalletId,
    /// The wallet's number of it.
    pub number: RequestNumber,
    /// How it stands.
    pub state: PurchaseState,
    /// Why it ended without a card.
    pub why: Option<PurchaseRefusal>,
    /// Whose article.
    pub issuer: IssuerId,
    /// Which.
    pub article: u64,
    /// In which revision.
    pub revision: u64,
    /// Until when the reservation holds.
    pub expires: Time,
    /// How the user is charged, once it is paid.
    pub option: Option<PaymentOption>,
    /// Number of the authorization at the processor.
    pub authorization: Option<RequestNumber>,
    /// Number of the capture.
    pub clear: Option<RequestNumber>,
    /// Number of the request that lets the authorization go.
    pub void: Option<RequestNumber>,
    /// The card: to be topped up, or delivered.
    pub card: Option<CardId>,
    /// The load, once a top-up is delivered.
    pub load: Option<u64>,
    /// The processor's clearing number.
    pub clearing: Option<ClearingNumber>,
    /// When it was known to be captured.
    pub captured: Option<Time>,
    /// When it was reserved.
    pub at: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// A ticket's seat, by its number in the event's plan.
    pub seat: Option<u64>,
}

/// What was signed about a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The reservation.
    Reserve = 1,
    /// The user's agreement.
    Purchase = 2,
    /// The temporary receipt.
    Temporary = 3,
    /// The clearing completion \[8417\].
    Completion = 4,
    /// The receipt \[8421\].
    Receipt = 5,
}

/// A card that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurrenderRow {
    /// The card.
    pub card: CardId,
    /// Its last generation.
    pub generation: u64,
    /// Whose.
    pub wallet: WalletId,
    /// When the provider heard of it; 0: before that was kept.
    pub at: Time,
    /// When it is paid back.
    pub due: Time,
    /// When the refunds were asked for.
    pub asked: Option<Time>,
    /// When it was over.
    pub ended: Option<Time>,
    /// What the wallet was told then.
    pub body: Option<Vec<u8>>,
}

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// Asked for.
    Asked = 1,
    /// Paid back.
    Done = 2,
    /// The bank or the processor refused it.
    Refused = 3,
}

/// Money on its way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRow {
    /// The request's number.
    pub number: RequestNumber,
    /// Whose purchase.
    pub wallet: WalletId,
    /// Which purchase.
    pub purchase: RequestNumber,
    /// The card that was given back; absent: what could not be delivered.
    pub card: Option<CardId>,
    /// How much, in minor units.
    pub amount: u64,
    /// How it stands.
    pub state: RefundState,
    /// When it was asked for.
    pub at: Time,
}

const PURCHASE: &str = "wallet, number, state, why, issuer, article, revision, expires, option, authorization, clear, void, \
    card, load, clearing, captured, at, ended, seat";
const SURRENDER: &str = "card, generation, wallet, due, asked, ended, body, at";
const REFUND: &str = "number, wallet, purchase, card, amount, state, at";
const ARTICLE: &str = "SELECT article.issuer, article.article, article.revision, taken, body FROM article JOIN listing \
    ON listing.issuer = article.issuer AND listing.article = article.article AND listing.revision = article.revision";

fn article(row: &mut Columns<'_, '_>) -> rusqlite::Result<ArticleRow> {
    Ok(ArticleRow {
        issuer: tegata_core::PartyId(row.get()?),
        article: row.u64()?,
        revision: row.u64()?,
        taken: row.u64()?,
        body: row.get()?,
    })
}

fn purchase(row: &mut Columns<'_, '_>) -> rusqlite::Result<PurchaseRow> {
    let (wallet, number) = (tegata_core::DeviceId(row.get()?), RequestNumber(row.get()?));
    let state = row.code(PurchaseState::ALL, PurchaseState::code)?;
    let known = |code| PurchaseRefusal::ALL.iter().copied().find(|one| one.code() == code);
    let why = row.opt_u64()?.map(|code| known(code).ok_or(rusqlite::Error::InvalidQuery)).transpose()?;
    let (issuer, article, revision) = (tegata_core::PartyId(row.get()?), row.u64()?, row.u64()?);
    let expires = row.time()?;
    let option = |code| PaymentOption::from_code(code).ok_or(rusqlite::Error::InvalidQuery);
    Ok(PurchaseRow {
        wallet,
        number,
        state,
        why,
        issuer,
        article,
        revision,
        expires,
        option: row.opt_u64()?.map(option).transpose()?,
        authorization: row.get::<Option<_>>()?.map(RequestNumber),
        clear: row.get::<Option<_>>()?.map(RequestNumber),
        void: row.get::<Option<_>>()?.map(RequestNumber),
        card: row.get::<Option<_>>()?.map(CardId),
        load: row.opt_u64()?,
        clearing: row.get::<Option<_>>()?.map(ClearingNumber),
        captured: row.opt_u64()?.map(Time),
        at: row.time()?,
        ended: row.opt_u64()?.map(Time),
        seat: row.opt_u64()?,
    })
}

fn surrender(row: &mut Columns<'_, '_>) -> rusqlite::Result<SurrenderRow> {
    Ok(SurrenderRow {
        card: CardId(row.get()?),
        generation: row.u64()?,
        wallet: tegata_core::DeviceId(row.get()?),
        due: row.time()?,
        asked: row.opt_u64()?.map(Time),
        ended: row.opt_u64()?.map(Time),
        body: row.get()?,
        at: row.time()?,
    })
}

fn refund(row: &mut Columns<'_, '_>) -> rusqlite::Result<RefundRow> {
    Ok(RefundRow {
        number: RequestNumber(row.get()?),
        wallet: tegata_core::DeviceId(row.get()?),
        purchase: RequestNumber(row.get()?),
        card: row.get::<Option<_>>()?.map(CardId),
        amount: row.u64()?,
        state: row.code(&[RefundState::Asked, RefundState::Done, RefundState::Refused], |state| state as u64)?,
        at: row.time()?,
    })
}

impl Store {
    /// An article with its newest listing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn article(&self, issuer: IssuerId, number: u64) -> Result<Option<ArticleRow>, StoreError> {
        let sql = format!("{ARTICLE} WHERE article.issuer = ?1 AND article.article = ?2");
        one(self.sql(&sql)?, params![issuer.0, n(number)], article)
    }
    /// Every article with its newest listing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn articles(&self) -> Result<Vec<ArticleRow>, StoreError> {
        all(self.sql(&format!("{ARTICLE} ORDER BY article.issuer, article.article"))?, [], article)
    }
    /// The listing of a revision, by its hash and signed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn listing(&self, issuer: IssuerId, number: u64, revision: u64) -> Result<Option<(Hash, Vec<u8>)>, StoreError> {
        let sql = "SELECT hash, body FROM listing WHERE issuer = ?1 AND article = ?2 AND revision = ?3";
        one(self.sql(sql)?, params![issuer.0, n(number), n(revision)], |row| Ok((Hash(row.get()?), row.get()?)))
    }
    /// A listing becomes the newest of its article.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_listing(&self, row: &ArticleRow, hash: &Hash, at: Time) -> Result<(), StoreError> {
        let key = (row.issuer.0, n(row.article), n(row.revision));
        let sql = "INSERT INTO listing (issuer, article, revision, hash, body, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.sql(sql)?.execute(params![key.0, key.1, key.2, hash.0, row.body, n(at.0)])?;
        let sql = "INSERT OR REPLACE INTO article (issuer, article, revision, taken) VALUES (?1, ?2, ?3, ?4)";
        self.sql(sql)?.execute(params![key.0, key.1, key.2, n(row.taken)])?;
        Ok(())
    }
    /// So many of an article are sold or reserved now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_taken(&self, issuer: IssuerId, article: u64, taken: u64) -> Result<(), StoreError> {
        let sql = "UPDATE article SET taken = ?3 WHERE issuer = ?1 AND article = ?2";
        self.sql(sql)?.execute(params![issuer.0, n(article), n(taken)])?;
        Ok(())
    }
    /// One purchase.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn purchase(&self, wallet: WalletId, number: RequestNumber) -> Result<Option<PurchaseRow>, StoreError> {
        let sql = format!("SELECT {PURCHASE} FROM purchase WHERE wallet = ?1 AND number = ?2");
        one(self.sql(&sql)?, params![wallet.0, number.0], purchase)
    }
    /// Every purchase.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn purchases(&self) -> Result<Vec<PurchaseRow>, StoreError> {
        all(self.sql(&format!("SELECT {PURCHASE} FROM purchase ORDER BY wallet, at, number"))?, [], purchase)
    }
    /// Reservations that have expired by now, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reservations_expired(&self, now: Time, most: u64) -> Result<Vec<PurchaseRow>, StoreError> {
        let sql = format!(
            "SELECT {PURCHASE} FROM purchase WHERE state = 1 AND expires <= ?1 ORDER BY expires, wallet, number LIMIT ?2"
        );
        all(self.sql(&sql)?, [n(now.0), n(most)], purchase)
    }
    /// How many reservations a wallet has that are not paid.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reservations_of(&self, wallet: WalletId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM purchase WHERE wallet = ?1 AND state = 1";
        Ok(one(self.sql(sql)?, [wallet.0], |row| row.u64())?.unwrap_or(0))
    }
    /// The purchases that put value on a card, paid for in the end or not, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn purchases_on(&self, card: CardId) -> Result<Vec<PurchaseRow>, StoreError> {
        let sql = format!(
            "SELECT {PURCHASE} FROM purchase WHERE card = ?1 AND state IN (4, 5, 9) ORDER BY at DESC, wallet, number"
        );
        all(self.sql(&sql)?, [card.0], purchase)
    }
    /// Writes a purchase.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_purchase(&self, row: &PurchaseRow) -> Result<(), StoreError> {
        let marks: Vec<String> = (1..=19).map(|number| format!("?{number}")).collect();
        let sql = format!("INSERT OR REPLACE INTO purchase ({PURCHASE}) VALUES ({})", marks.join(","));
        self.sql(&sql)?.execute(params![
            row.wallet.0,
            row.number.0,
            n(row.state.code()),
            opt(row.why.map(PurchaseRefusal::code)),
            row.issuer.0,
            n(row.article),
            n(row.revision),
            n(row.expires.0),
            opt(row.option.map(PaymentOption::code)),
            row.authorization.map(|number| number.0),
            row.clear.map(|number| number.0),
            row.void.map(|number| number.0),
            row.card.map(|card| card.0),
            opt(row.load),
            row.clearing.map(|number| number.0),
            opt(row.captured.map(|at| at.0)),
            n(row.at.0),
            opt(row.ended.map(|at| at.0)),
            opt(row.seat),
        ])?;
        Ok(())
    }
    /// What was signed about a purchase, with its hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn purchase_record(
        &self,
        wallet: WalletId,
        number: RequestNumber,
        what: Signed,
    ) -> Result<Option<(Hash, Vec<u8>)>, StoreError> {
        let sql = "SELECT hash, body FROM purchase_record WHERE wallet = ?1 AND number = ?2 AND what = ?3";
        one(self.sql(sql)?, params![wallet.0, number.0, what as i64], |row| Ok((Hash(row.get()?), row.get()?)))
    }
    /// Keeps what was signed about a purchase; once.
    ///
    /// # Errors
    /// [`StoreError::Twice`] and others.
    pub fn put_purchase_record(
        &self,
        (wallet, number): (WalletId, RequestNumber),
        what: Signed,
        hash: &Hash,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO purchase_record (wallet, number, what, hash, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.sql(sql)?.execute(params![wallet.0, number.0, what as i64, hash.0, body])?;
        Ok(())
    }
    /// A card that was given back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn surrender(&self, card: CardId) -> Result<Option<SurrenderRow>, StoreError> {
        one(self.sql(&format!("SELECT {SURRENDER} FROM surrender WHERE card = ?1"))?, [card.0], surrender)
    }
    /// Cards given back that are to be paid back by now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn surrenders_due(&self, now: Time, most: u64) -> Result<Vec<SurrenderRow>, StoreError> {
        let sql =
            format!("SELECT {SURRENDER} FROM surrender WHERE asked IS NULL AND due <= ?1 ORDER BY due, card LIMIT ?2");
        all(self.sql(&sql)?, [n(now.0), n(most)], surrender)
    }
    /// Writes a card given back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_surrender(&self, row: &SurrenderRow) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO surrender ({SURRENDER}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        let (asked, ended) = (opt(row.asked.map(|at| at.0)), opt(row.ended.map(|at| at.0)));
        let (generation, due, at) = (n(row.generation), n(row.due.0), n(row.at.0));
        self.sql(&sql)?.execute(params![row.card.0, generation, row.wallet.0, due, asked, ended, row.body, at])?;
        Ok(())
    }
    /// One refund.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refund(&self, number: RequestNumber) -> Result<Option<RefundRow>, StoreError> {
        one(self.sql(&format!("SELECT {REFUND} FROM refund WHERE number = ?1"))?, [number.0], refund)
    }
    /// The refunds of a card that was given back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refunds_of(&self, card: CardId) -> Result<Vec<RefundRow>, StoreError> {
        all(self.sql(&format!("SELECT {REFUND} FROM refund WHERE card = ?1 ORDER BY number"))?, [card.0], refund)
    }
    /// Every refund that was ever asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refunds(&self) -> Result<Vec<RefundRow>, StoreError> {
        all(self.sql(&format!("SELECT {REFUND} FROM refund ORDER BY number"))?, [], refund)
    }
    /// How much of a purchase was paid back, or is about to be.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refunded(&self, wallet: WalletId, purchase: RequestNumber) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(sum(amount), 0) FROM refund WHERE wallet = ?1 AND purchase = ?2 AND state < 3";
        Ok(one(self.sql(sql)?, params![wallet.0, purchase.0], |row| row.u64())?.unwrap_or(0))
    }
    /// Writes a refund.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_refund(&self, row: &RefundRow) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO refund ({REFUND}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
        self.sql(&sql)?.execute(params![
            row.number.0,
            row.wallet.0,
            row.purchase.0,
            row.card.map(|card| card.0),
            n(row.amount),
            row.state as i64,
            n(row.at.0),
        ])?;
        Ok(())
    }
}
