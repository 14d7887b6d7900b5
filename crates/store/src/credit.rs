//! Credit: payments that two lines asked for, the accounts they are cleared by, and what the processor is asked (R23, R26).

use crate::row::{Columns, all, decoded, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::talk::credit::{CreditRefusal, CreditState, Line, PaymentOption, ProcessorInfo};
use tegata_core::wire::canonical::Wire;
use tegata_core::{AccountId, ClearingNumber, DeviceId, Hash, PartyId, RequestNumber, Time};

/// The processor that is cleared with.
#[derive(Clone, Debug)]
pub struct ProcessorRow {
    /// Who it is.
    pub info: ProcessorInfo,
    /// Where it is reached.
    pub url: String,
    /// From which customer numbers are made.
    pub customer_key: [u8; 32],
    /// When it was registered.
    pub at: Time,
    /// Since when its key is revoked.
    pub revoked: Option<Time>,
}

/// A clearing account of a wallet or a merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// The wallet or merchant.
    pub subject: [u8; 16],
    /// Hash of what asked for it.
    pub request: Hash,
    /// Number of the request to the processor.
    pub asked: RequestNumber,
    /// The account, once it is open.
    pub account: Option<AccountId>,
    /// Why it will not be opened.
    pub refused: Option<CreditRefusal>,
}

/// What a request to the processor is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A payment, by machine and offer.
    Payment(DeviceId, Hash),
    /// The account of a wallet or merchant.
    Account([u8; 16]),
    /// A purchase, by wallet and number.
    Purchase(DeviceId, RequestNumber),
    /// The refund of the same number.
    Refund,
}

/// A request to the processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRow {
    /// Its number.
    pub number: RequestNumber,
    /// Its hash: the context of its answer.
    pub hash: Hash,
    /// The signed request.
    pub body: Vec<u8>,
    /// What it is about.
    pub about: About,
    /// When it was made.
    pub at: Time,
}

/// One line's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditSide<I> {
    /// Who asked: the merchant's party, or the wallet.
    pub who: I,
    /// What it named.
    pub line: Line,
    /// Hash of its request.
    pub hash: Hash,
    /// Its request, signed.
    pub body: Vec<u8>,
}

/// The clearing that the merchant asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearingAsked {
    /// Hash of its request.
    pub hash: Hash,
    /// Its request \[13550\], signed.
    pub body: Vec<u8>,
    /// Number of the request to the processor.
    pub number: RequestNumber,
}

/// What a clearing left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The processor's number of it.
    pub clearing: ClearingNumber,
    /// \[8417\], signed by the processor.
    pub completion: Vec<u8>,
    /// \[8418\], as sent.
    pub notification: Vec<u8>,
}

/// A payment by credit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditRow {
    /// The accounting machine.
    pub machine: DeviceId,
    /// The offer.
    pub offer: Hash,
    /// How it stands.
    pub state: CreditState,
    /// Why it ended without a payment.
    pub why: Option<CreditRefusal>,
    /// The wallet's number.
    pub request: RequestNumber,
    /// How the user is charged.
    pub option: PaymentOption,
    /// The merchant's line, and when its charge expires.
    pub merchant: Option<(CreditSide<PartyId>, Time)>,
    /// The user's line.
    pub user: Option<CreditSide<DeviceId>>,
    /// Number of the authorization at the processor.
    pub authorization: Option<RequestNumber>,
    /// When it was known to be approved.
    pub authorized: Option<Time>,
    /// The clearing asked for.
    pub clearing: Option<ClearingAsked>,
    /// Number of the request that lets the authorization go.
    pub void: Option<RequestNumber>,
    /// What the clearing left.
    pub completed: Option<Completed>,
    /// The merchant's receipt \[8419\].
    pub receipt: Option<Vec<u8>>,
    /// When it was first heard of.
    pub at: Time,
    /// When it ended.
    pub ended: Option<Time>,
}

const COLUMNS: &str = "machine, offer, state, why, request, option, merchant, merchant_line, expires, merchant_hash, \
    merchant_body, wallet, user_line, user_hash, user_body, authorization, authorized, clearing_hash, clearing_body, clear, \
    void, clearing, completion, notification, receipt, at, ended";

fn line(bytes: Option<Vec<u8>>) -> rusqlite::Result<Option<Line>> {
    bytes.map(|bytes| decoded(&bytes)).transpose()
}

fn credit(row: &mut Columns<'_, '_>) -> rusqlite::Result<CreditRow> {
    let (machine, offer) = (DeviceId(row.get()?), Hash(row.get()?));
    let state = row.code(CreditState::ALL, CreditState::code)?;
    let why = refusal(row.opt_u64()?)?;
    let request = RequestNumber(row.get()?);
    let option = PaymentOption::from_code(row.u64()?).ok_or(rusqlite::Error::InvalidQuery)?;
    let (who, named, expires) = (row.get::<Option<_>>()?.map(PartyId), line(row.get()?)?, row.opt_u64()?.map(Time));
    let (hash, body) = (row.get::<Option<_>>()?.map(Hash), row.get::<Option<Vec<u8>>>()?);
    let merchant = match (who, named, expires, hash, body) {
        (Some(who), Some(line), Some(expires), Some(hash), Some(body)) => {
            Some((CreditSide { who, line, hash, body }, expires))
        }
        _ => None,
    };
    let (who, named) = (row.get::<Option<_>>()?.map(DeviceId), line(row.get()?)?);
    let (hash, body) = (row.get::<Option<_>>()?.map(Hash), row.get::<Option<Vec<u8>>>()?);
    let user = match (who, named, hash, body) {
        (Some(who), Some(line), Some(hash), Some(body)) => Some(CreditSide { who, line, hash, body }),
        _ => None,
    };
    let authorization = row.get::<Option<_>>()?.map(RequestNumber);
    let authorized = row.opt_u64()?.map(Time);
    let (hash, body) = (row.get::<Option<_>>()?.map(Hash), row.get::<Option<Vec<u8>>>()?);
    let number = row.get::<Option<_>>()?.map(RequestNumber);
    let clearing = match (hash, body, number) {
        (Some(hash), Some(body), Some(number)) => Some(ClearingAsked { hash, body, number }),
        _ => None,
    };
    let void = row.get::<Option<_>>()?.map(RequestNumber);
    let cleared = row.get::<Option<_>>()?.map(ClearingNumber);
    let completed = match (cleared, row.get::<Option<Vec<u8>>>()?, row.get::<Option<Vec<u8>>>()?) {
        (Some(clearing), Some(completion), Some(notification)) => {
            Some(Completed { clearing, completion, notification })
        }
        _ => None,
    };
    let (receipt, at, ended) = (row.get()?, row.time()?, row.opt_u64()?.map(Time));
    Ok(CreditRow {
        machine,
        offer,
        state,
        why,
        request,
        option,
        merchant,
        user,
        authorization,
        authorized,
        clearing,
        void,
        completed,
        receipt,
        at,
        ended,
    })
}

fn refusal(code: Option<u64>) -> rusqlite::Result<Option<CreditRefusal>> {
    let known = |code| CreditRefusal::ALL.iter().copied().find(|one| one.code() == code);
    code.map(|code| known(code).ok_or(rusqlite::Error::InvalidQuery)).transpose()
}

impl Store {
    /// The processor that is cleared with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn processor(&self) -> Result<Option<ProcessorRow>, StoreError> {
        one(self.sql("SELECT info, url, customer_key, at, revoked FROM processor")?, [], |row| {
            Ok(ProcessorRow {
                info: decoded(&row.get::<Vec<u8>>()?)?,
                url: row.get()?,
                customer_key: row.get()?,
                at: row.time()?,
                revoked: row.opt_u64()?.map(Time),
            })
        })
    }
    /// Registers the processor, or its new address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_processor(&self, row: &ProcessorRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO processor (one, info, url, customer_key, at, revoked)
            VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let revoked = opt(row.revoked.map(|at| at.0));
        self.sql(sql)?.execute(params![row.info.to_bytes(), row.url, row.customer_key, n(row.at.0), revoked])?;
        Ok(())
    }
    /// The clearing account of a wallet or merchant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn clearing_account(&self, subject: [u8; 16]) -> Result<Option<AccountRow>, StoreError> {
        let sql = "SELECT request, asked, account, refused FROM clearing_account WHERE subject = ?1";
        one(self.sql(sql)?, [subject], |row| {
            Ok(AccountRow {
                subject,
                request: Hash(row.get()?),
                asked: RequestNumber(row.get()?),
                account: row.get::<Option<_>>()?.map(AccountId),
                refused: refusal(row.opt_u64()?)?,
            })
        })
    }
    /// Writes a clearing account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_clearing_account(&self, row: &AccountRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO clearing_account (subject, request, asked, account, refused) \
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let account = row.account.map(|account| account.0);
        let refused = opt(row.refused.map(CreditRefusal::code));
        self.sql(sql)?.execute(params![row.subject, row.request.0, row.asked.0, account, refused])?;
        Ok(())
    }
    /// A request to the processor is to be sent then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_asked(&self, row: &AskedRow, due: Time) -> Result<(), StoreError> {
        let sql = "INSERT INTO asked (number, hash, body, machine, offer, subject, purchase, refund, at, due) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let (machine, offer, subject, purchase) = match row.about {
            About::Payment(machine, offer) => (Some(machine.0), Some(offer.0), None, None),
            About::Account(subject) => (None, None, Some(subject), None),
            About::Purchase(wallet, number) => (None, None, Some(wallet.0), Some(number.0)),
            About::Refund => (None, None, None, None),
        };
        self.sql(sql)?.execute(params![
            row.number.0,
            row.hash.0,
            row.body,
            machine,
            offer,
            subject,
            purchase,
            i64::from(row.about == About::Refund),
            n(row.at.0),
            n(due.0),
        ])?;
        Ok(())
    }
    /// What is to be sent by now, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn asked_due(&self, now: Time, most: u64) -> Result<Vec<AskedRow>, StoreError> {
        let sql = "SELECT number, hash, body, machine, offer, subject, purchase, refund, at FROM asked WHERE due <= ?1 \
                   ORDER BY due LIMIT ?2";
        all(self.sql(sql)?, [n(now.0), n(most)], asked)
    }
    /// A request to the processor, answered or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn asked(&self, number: RequestNumber) -> Result<Option<AskedRow>, StoreError> {
        let sql =
            "SELECT number, hash, body, machine, offer, subject, purchase, refund, at FROM asked WHERE number = ?1";
        one(self.sql(sql)?, [number.0], asked)
    }
    /// A request to the processor that is not answered for good.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn asked_open(&self, number: RequestNumber) -> Result<Option<AskedRow>, StoreError> {
        let sql = "SELECT number, hash, body, machine, offer, subject, purchase, refund, at FROM asked \
                   WHERE number = ?1 AND due IS NOT NULL";
        one(self.sql(sql)?, [number.0], asked)
    }
    /// It is answered for good.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn answered(&self, number: RequestNumber, answer: &[u8]) -> Result<(), StoreError> {
        let sql = "UPDATE asked SET due = NULL, answer = ?2 WHERE number = ?1";
        self.sql(sql)?.execute(params![number.0, answer])?;
        Ok(())
    }
    /// One payment by credit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn credit(&self, machine: DeviceId, offer: &Hash) -> Result<Option<CreditRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM credit WHERE machine = ?1 AND offer = ?2");
        one(self.sql(&sql)?, params![machine.0, offer.0], credit)
    }
    /// Payments by credit at this machine that have not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn credits_open_at(&self, machine: DeviceId) -> Result<Vec<CreditRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM credit WHERE machine = ?1 AND ended IS NULL");
        all(self.sql(&sql)?, [machine.0], credit)
    }
    /// Payments by credit that time has ended by now, oldest first: whose charge expired while they waited for a line, or so
    /// many seconds ago while they waited for a clearing; that have waited so long for a merchant's line. Those that go on
    /// waiting are not among them, however many they are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn credits_overdue(&self, now: Time, patience: u64, most: u64) -> Result<Vec<CreditRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM credit WHERE ended IS NULL \
             AND (state = 1 AND coalesce(expires, at + ?2) <= ?1 OR state = 3 AND expires + ?2 <= ?1) ORDER BY at LIMIT ?3"
        );
        all(self.sql(&sql)?, [n(now.0), n(patience), n(most)], credit)
    }
    /// Every payment by credit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn credits(&self) -> Result<Vec<CreditRow>, StoreError> {
        all(self.sql(&format!("SELECT {COLUMNS} FROM credit ORDER BY machine, at, offer"))?, [], credit)
    }
    /// What was captured for a party in `from..until`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn captures_of(&self, party: PartyId, from: Time, until: Time) -> Result<Vec<CreditRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM credit WHERE merchant = ?1 AND clearing IS NOT NULL AND ended >= ?2 AND ended < ?3
             ORDER BY ended, machine, offer"
        );
        all(self.sql(&sql)?, params![party.0, n(from.0), n(until.0.min(u64::MAX >> 1))], credit)
    }
    /// Whether a clearing of this number was here before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn knows_clearing(&self, clearing: ClearingNumber) -> Result<bool, StoreError> {
        let known = |sql| one(self.sql(sql)?, [clearing.0], |row| row.u64());
        let paid = known("SELECT 1 FROM credit WHERE clearing = ?1")?;
        Ok(paid.or(known("SELECT 1 FROM purchase WHERE clearing = ?1")?).is_some())
    }
    /// Writes a payment by credit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_credit(&self, row: &CreditRow) -> Result<(), StoreError> {
        let marks: Vec<String> = (1..=27).map(|number| format!("?{number}")).collect();
        let sql = format!("INSERT OR REPLACE INTO credit ({COLUMNS}) VALUES ({})", marks.join(","));
        let merchant = row.merchant.as_ref().map(|(side, _)| side);
        let (user, clearing, completed) = (row.user.as_ref(), row.clearing.as_ref(), row.completed.as_ref());
        self.sql(&sql)?.execute(params![
            row.machine.0,
            row.offer.0,
            n(row.state.code()),
            opt(row.why.map(CreditRefusal::code)),
            row.request.0,
            n(row.option.code()),
            merchant.map(|side| side.who.0),
            merchant.map(|side| side.line.to_bytes()),
            opt(row.merchant.as_ref().map(|(_, expires)| expires.0)),
            merchant.map(|side| side.hash.0),
            merchant.map(|side| &side.body),
            user.map(|side| side.who.0),
            user.map(|side| side.line.to_bytes()),
            user.map(|side| side.hash.0),
            user.map(|side| &side.body),
            row.authorization.map(|number| number.0),
            opt(row.authorized.map(|at| at.0)),
            clearing.map(|asked| asked.hash.0),
            clearing.map(|asked| &asked.body),
            clearing.map(|asked| asked.number.0),
            row.void.map(|number| number.0),
            completed.map(|done| done.clearing.0),
            completed.map(|done| &done.completion),
            completed.map(|done| &done.notification),
            row.receipt,
            n(row.at.0),
            opt(row.ended.map(|at| at.0)),
        ])?;
        Ok(())
    }
}

fn asked(row: &mut Columns<'_, '_>) -> rusqlite::Result<AskedRow> {
    let (number, hash, body) = (RequestNumber(row.get()?), Hash(row.get()?), row.get()?);
    let (machine, offer) = (row.get::<Option<_>>()?.map(DeviceId), row.get::<Option<_>>()?.map(Hash));
    let subject = row.get::<Option<[u8; 16]>>()?;
    let (purchase, refund) = (row.get::<Option<_>>()?.map(RequestNumber), row.u64()? != 0);
    let about = match (machine.zip(offer), subject, purchase) {
        (Some((machine, offer)), None, None) => About::Payment(machine, offer),
        (None, Some(subject), None) => About::Account(subject),
        (None, Some(wallet), Some(number)) => About::Purchase(DeviceId(wallet), number),
        (None, None, None) if refund => About::Refund,
        _ => return Err(rusqlite::Error::InvalidQuery),
    };
    Ok(AskedRow { number, hash, body, about, at: row.time()? })
}
