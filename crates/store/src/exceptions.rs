//! What a person has to look at, with both signed records.

use crate::row::{Columns, all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::{CardId, DeviceId, EventId, Handle, Hash, IssuerId, MerchantId, PartyId, Time, Unit};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionKind {
    /// A wallet's check that no terminal claimed or ended within L + U.
    MissingTerminalRecord = 1,
    /// A terminal's claim whose check no wallet recorded within L + U.
    MissingWalletRecord = 2,
    /// Two contents under one position: the holder is convicted (R9).
    Fork = 3,
    /// A chain whose numbers do not follow from one another: the holder is convicted (R9).
    Altered = 4,
    /// More was claimed than the card held.
    Overspent = 5,
    /// Arrived more than L + U after the update before it, and the value is gone (R11).
    Late = 6,
    /// Accepted by a terminal that held a list which names the card.
    AfterBlock = 7,
    /// Above what the terms allow at once.
    OverLimit = 8,
    /// One charge claimed with two checks (R7).
    DoubleClaim = 9,
    /// An entry that is not what it says.
    Malformed = 10,
    /// A load that a backup did not have, taken in again on our own signature (R15).
    Restored = 11,
    /// Delivered before it was captured, and the bank refused the money.
    Unpaid = 12,
    /// A refund was refused, or a card given back held what was not paid by credit.
    Unreturned = 13,
    /// Two wallets have shown one ticket, or one that was put back: the holder is convicted (R20).
    Cloned = 14,
    /// A ticket came in twice for one entry, and its wallet had told the second gate of the first.
    CameTwice = 15,
    /// A gate that did not know better let a ticket in beyond its terms.
    BeyondTerms = 16,
    /// One generation of a card was given to two, or given and ended otherwise: its holder is convicted (R9, R12).
    GivenTwice = 17,
    /// A switch has charged a call otherwise than the issuer's tariff says, and signed that: it is not paid (R24).
    Mispriced = 18,
    /// A ticket came in by its giver's copy after it was given on: both records are signed by one key (R12).
    UsedAfterGiven = 19,
}

impl ExceptionKind {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 19] = [
        Self::MissingTerminalRecord,
        Self::MissingWalletRecord,
        Self::Fork,
        Self::Altered,
        Self::Overspent,
        Self::Late,
        Self::AfterBlock,
        Self::OverLimit,
        Self::DoubleClaim,
        Self::Malformed,
        Self::Restored,
        Self::Unpaid,
        Self::Unreturned,
        Self::Cloned,
        Self::CameTwice,
        Self::BeyondTerms,
        Self::GivenTwice,
        Self::Mispriced,
        Self::UsedAfterGiven,
    ];
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingTerminalRecord => "missing terminal record",
            Self::MissingWalletRecord => "missing wallet record",
            Self::Fork => "fork",
            Self::Altered => "altered",
            Self::Overspent => "overspent",
            Self::Late => "late",
            Self::AfterBlock => "after block",
            Self::OverLimit => "over limit",
            Self::DoubleClaim => "double claim",
            Self::Malformed => "malformed",
            Self::Restored => "restored",
            Self::Unpaid => "unpaid",
            Self::Unreturned => "unreturned",
            Self::Cloned => "cloned",
            Self::CameTwice => "came twice",
            Self::BeyondTerms => "beyond terms",
            Self::GivenTwice => "given twice",
            Self::Mispriced => "mispriced",
            Self::UsedAfterGiven => "used after it was given",
        }
    }
}

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionRow {
    /// Its number.
    pub number: u64,
    /// What is wrong.
    pub kind: ExceptionKind,
    /// When it was found.
    pub at: Time,
    /// Whether it waits for a person.
    pub open: bool,
    /// The device whose record showed it.
    pub device: Option<DeviceId>,
    /// The merchant it concerns.
    pub merchant: Option<MerchantId>,
    /// The issuer it concerns.
    pub issuer: Option<IssuerId>,
    /// The card.
    pub card: Option<CardId>,
    /// Its generation.
    pub generation: Option<u64>,
    /// The event's number.
    pub seq: Option<u64>,
    /// The check.
    pub check: Option<Hash>,
    /// How much it is about.
    pub amount: Option<(Unit, u64)>,
    /// Who bears the loss.
    pub bearer: &'static str,
    /// The wallet's record, or the first of two.
    pub wallet_record: Option<Vec<u8>>,
    /// The terminal's record, or the second of two.
    pub terminal_record: Option<Vec<u8>>,
}

/// As [`exception`] reads them.
const COLUMNS: &str =
    "number, kind, at, state, device, merchant, issuer, card, generation, seq, check_hash, unit, amount, bearer,
    wallet_record, terminal_record";

/// Who can bear a loss, as exceptions name them.
const BEARERS: [&str; 7] = ["holder", "merchant", "guarantor", "nobody", "provider", "processor", "issuer"];

impl Store {
    /// The generations of a card whose holder was convicted: by its chain, by what it showed, or by whom it gave it to (R9).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn convicted(&self, card: CardId) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT DISTINCT generation FROM exception WHERE card = ?1 AND kind IN (3, 4, 14, 17)
            AND generation IS NOT NULL ORDER BY generation";
        all(self.sql(sql)?, [card.0], |row| row.u64())
    }
    /// Tickets of these terms that their holders have not given back, and that convict somebody who has held them (R9).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn convicted_under(&self, terms: Handle) -> Result<Vec<CardId>, StoreError> {
        let sql = "SELECT DISTINCT card.card FROM card JOIN exception ON exception.card = card.card
            WHERE card.unit = 1000 AND card.terms = ?1 AND exception.kind IN (3, 4, 14, 17)
                AND exception.generation IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM surrender WHERE surrender.card = card.card)
            ORDER BY card.card";
        all(self.sql(sql)?, [terms.0], |row| row.get().map(CardId))
    }
    /// Adds an exception; its number is given here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_exception(&self, row: &ExceptionRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO exception (kind, at, state, device, merchant, issuer, card, generation, seq, check_hash,
            unit, amount, bearer, wallet_record, terminal_record)
            VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)";
        self.sql(sql)?.execute(params![
            row.kind as i64,
            n(row.at.0),
            if row.open { 1 } else { 2 },
            row.device.map(|id| id.0),
            row.merchant.map(|id| id.0),
            row.issuer.map(|id| id.0),
            row.card.map(|id| id.0),
            opt(row.generation),
            opt(row.seq),
            row.check.map(|hash| hash.0),
            row.amount.map(|(unit, _)| unit.code()),
            row.amount.map(|(_, amount)| n(amount)),
            row.bearer,
            row.wallet_record,
            row.terminal_record,
        ])?;
        Ok(())
    }
    /// Whether a check has an exception of this kind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn has_exception(&self, kind: ExceptionKind, card: CardId, check: &Hash) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM exception WHERE card = ?1 AND check_hash = ?2 AND kind = ?3";
        Ok(one(self.sql(sql)?, params![card.0, check.0, kind as i64], |row| row.get::<i64>())?.is_some())
    }
    /// What was wrong with a check has been explained.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resolve(&self, kind: ExceptionKind, card: CardId, check: &Hash) -> Result<(), StoreError> {
        let sql = "UPDATE exception SET state = 2 WHERE card = ?1 AND check_hash = ?2 AND kind = ?3";
        self.sql(sql)?.execute(params![card.0, check.0, kind as i64])?;
        Ok(())
    }
    /// What a card overspent has been repaid.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resolve_overspent(&self, card: CardId) -> Result<(), StoreError> {
        let sql = "UPDATE exception SET state = 2 WHERE card = ?1 AND kind = 5";
        self.sql(sql)?.execute([card.0])?;
        Ok(())
    }
    /// What was wrong by this number has been explained.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn explained(&self, number: u64) -> Result<(), StoreError> {
        self.sql("UPDATE exception SET state = 2 WHERE number = ?1")?.execute([n(number)])?;
        Ok(())
    }
    /// How many exceptions are open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_exceptions(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM exception WHERE state = 1";
        Ok(one(self.sql(sql)?, [], |row| row.u64())?.unwrap_or(0))
    }
    /// Exceptions that concern this party (all of them without one), found in `from..until`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn exceptions(&self, party: Option<PartyId>, from: Time, until: Time) -> Result<Vec<ExceptionRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM exception
            WHERE (?1 IS NULL OR merchant = ?1 OR issuer = ?1) AND at >= ?2 AND at < ?3 ORDER BY number"
        );
        let until = n(until.0.min(u64::MAX >> 1));
        all(self.sql(&sql)?, params![party.map(|party| party.0), n(from.0), until], exception)
    }
    /// Open exceptions of this kind that gates of this event have shown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_at(&self, kind: ExceptionKind, event: EventId) -> Result<Vec<ExceptionRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM exception
            WHERE kind = ?1 AND state = 1 AND device IN (SELECT gate FROM gate WHERE event = ?2) ORDER BY number"
        );
        all(self.sql(&sql)?, params![kind as i64, event.0], exception)
    }
}

fn exception(row: &mut Columns<'_, '_>) -> rusqlite::Result<ExceptionRow> {
    Ok(ExceptionRow {
        number: row.u64()?,
        kind: row.code(&ExceptionKind::ALL, |kind| kind as u64)?,
        at: row.time()?,
        open: row.u64()? == 1,
        device: row.get::<Option<_>>()?.map(DeviceId),
        merchant: row.get::<Option<_>>()?.map(PartyId),
        issuer: row.get::<Option<_>>()?.map(PartyId),
        card: row.get::<Option<_>>()?.map(CardId),
        generation: row.opt_u64()?,
        seq: row.opt_u64()?,
        check: row.get::<Option<_>>()?.map(Hash),
        amount: match (row.get::<Option<u16>>()?, row.opt_u64()?) {
            (Some(unit), Some(amount)) => Unit::from_code(unit).map(|unit| (unit, amount)),
            _ => None,
        },
        bearer: {
            let found: String = row.get()?;
            BEARERS.into_iter().find(|bearer| **bearer == found).unwrap_or("nobody")
        },
        wallet_record: row.get()?,
        terminal_record: row.get()?,
    })
}
