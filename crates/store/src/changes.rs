//! Changes of tickets after they were sold: the promoter's order, and how each ticket stands. Rows of tickets lead with the card.

use crate::row::{Columns, all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::{CardId, DeviceId, EventId, Handle, Hash, PartyId, Time, WalletId};

/// A change, and how far it has come. What its promoter signed stands by itself: with many seats that is long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// The hash of the signed change.
    pub change: Hash,
    /// The promoter.
    pub promoter: PartyId,
    /// The event.
    pub event: EventId,
    /// The terms that are replaced.
    pub before: Handle,
    /// The terms that replace them; absent: cancelled.
    pub after: Option<Handle>,
    /// Until when a holder may answer.
    pub answer_until: Time,
    /// Whether who says nothing is paid back.
    pub silence_refunds: bool,
    /// When it was recorded.
    pub at: Time,
    /// Tickets up to this one have their row; absent: all have.
    pub cursor: Option<CardId>,
    /// When the last ticket was decided.
    pub ended: Option<Time>,
    /// What people are told; absent: it was recorded before this was kept, and stands in the signed change.
    pub text: Option<String>,
}

/// How a ticket stands that a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeState {
    /// Its turn has not come.
    Listed = 1,
    /// Its wallet is told by its next update.
    Told = 2,
    /// Its holder took the new one.
    Accepted = 3,
    /// Its holder wants the money.
    Declined = 4,
    /// Its holder said nothing, and has the new one.
    SilentAccepted = 5,
    /// Its holder said nothing, and is paid back.
    SilentRefunded = 6,
    /// The event is cancelled: paid back.
    Cancelled = 7,
    /// It had let somebody in: it goes on under the new terms.
    Kept = 8,
    /// Its holder had given it back before.
    Over = 9,
    /// A person has to look.
    Failed = 10,
    /// A later change came before its holder had answered: it has its turn there.
    Superseded = 11,
}

impl ChangeState {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 11] = [
        Self::Listed,
        Self::Told,
        Self::Accepted,
        Self::Declined,
        Self::SilentAccepted,
        Self::SilentRefunded,
        Self::Cancelled,
        Self::Kept,
        Self::Over,
        Self::Failed,
        Self::Superseded,
    ];
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Told => "told",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::SilentAccepted => "accepted by silence",
            Self::SilentRefunded => "refunded by silence",
            Self::Cancelled => "cancelled",
            Self::Kept => "kept",
            Self::Over => "over",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }
    /// Whether nothing is decided yet.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Listed | Self::Told)
    }
    /// Whether its price goes back.
    pub fn is_refund(self) -> bool {
        matches!(self, Self::Declined | Self::SilentRefunded | Self::Cancelled)
    }
    /// Whether it has the new terms.
    pub fn is_taken(self) -> bool {
        matches!(self, Self::Accepted | Self::SilentAccepted | Self::Kept)
    }
}

/// A ticket that a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeTicketRow {
    /// The ticket.
    pub card: CardId,
    /// The change.
    pub change: Hash,
    /// Who was told.
    pub wallet: WalletId,
    /// How it stands.
    pub state: ChangeState,
    /// Since when.
    pub at: Time,
    /// The holder's signed answer.
    pub answer: Option<Vec<u8>>,
}

const CHANGE: &str = "change, promoter, event, before, after, answer_until, silence_refunds, at, cursor, ended, text";
const TICKET: &str = "card, change, wallet, state, at, answer";

fn change(row: &mut Columns<'_, '_>) -> rusqlite::Result<ChangeRow> {
    Ok(ChangeRow {
        change: Hash(row.get()?),
        promoter: PartyId(row.get()?),
        event: EventId(row.get()?),
        before: Handle(row.get()?),
        after: row.get::<Option<_>>()?.map(Handle),
        answer_until: row.time()?,
        silence_refunds: row.u64()? != 0,
        at: row.time()?,
        cursor: row.get::<Option<_>>()?.map(CardId),
        ended: row.opt_u64()?.map(Time),
        text: row.get()?,
    })
}

fn ticket(row: &mut Columns<'_, '_>) -> rusqlite::Result<ChangeTicketRow> {
    Ok(ChangeTicketRow {
        card: CardId(row.get()?),
        change: Hash(row.get()?),
        wallet: DeviceId(row.get()?),
        state: row.code(&ChangeState::ALL, |state| state as u64)?,
        at: row.time()?,
        answer: row.get()?,
    })
}

/// Tickets of some terms that were bought alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoldTickets {
    /// Of which article, in which revision; absent: not bought by credit.
    pub listing: Option<(u64, u64)>,
    /// How many.
    pub count: u64,
    /// How many of them have let somebody in.
    pub came: u64,
    /// Whether the bank would not pay for them in the end: nothing of them can be paid back.
    pub unpaid: bool,
}

/// Tickets of a change that go back, were bought alike, and of which nothing was asked back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreturnedTickets {
    /// Their turn is yet to come (R11); else they stay in dispute.
    pub later: bool,
    /// Whether the bank would not pay for them in the end.
    pub unpaid: bool,
    /// How many.
    pub count: u64,
    /// Of which article, in which revision.
    pub listing: (u64, u64),
}

impl Store {
    /// A change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change(&self, hash: &Hash) -> Result<Option<ChangeRow>, StoreError> {
        one(self.sql(&format!("SELECT {CHANGE} FROM change WHERE change = ?1"))?, [hash.0], change)
    }
    /// Why a change was refused for good, and in which words of its own. `None`: it was not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refused_change(&self, hash: &Hash) -> Result<Option<(ProviderRefusal, Option<String>)>, StoreError> {
        let sql = "SELECT why, text FROM change_refused WHERE change = ?1";
        one(self.sql(sql)?, [hash.0], |row| Ok((row.code(ProviderRefusal::ALL, ProviderRefusal::code)?, row.get()?)))
    }
    /// A change is refused for good.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refuse_change(
        &self,
        hash: &Hash,
        (why, text): (ProviderRefusal, Option<&str>),
        at: Time,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO change_refused (change, why, text, at) VALUES (?1, ?2, ?3, ?4)";
        self.sql(sql)?.execute(params![hash.0, n(why.code()), text, n(at.0)])?;
        Ok(())
    }
    /// The change that replaced these terms.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_of(&self, event: EventId, before: Handle) -> Result<Option<ChangeRow>, StoreError> {
        let sql = format!("SELECT {CHANGE} FROM change WHERE event = ?1 AND before = ?2");
        one(self.sql(&sql)?, params![event.0, before.0], change)
    }
    /// The changes that lead to these terms, oldest first: their tickets may come under them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes_into(&self, event: EventId, after: Handle) -> Result<Vec<ChangeRow>, StoreError> {
        let sql = format!("SELECT {CHANGE} FROM change WHERE event = ?1 AND after = ?2 ORDER BY at, change");
        all(self.sql(&sql)?, params![event.0, after.0], change)
    }
    /// Changes of which not every ticket is decided, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes_open(&self) -> Result<Vec<ChangeRow>, StoreError> {
        all(self.sql(&format!("SELECT {CHANGE} FROM change WHERE ended IS NULL ORDER BY at, change"))?, [], change)
    }
    /// A promoter's changes, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes_by(&self, promoter: PartyId) -> Result<Vec<ChangeRow>, StoreError> {
        let sql = format!("SELECT {CHANGE} FROM change WHERE promoter = ?1 ORDER BY at, change");
        all(self.sql(&sql)?, [promoter.0], change)
    }
    /// A change as its promoter signed it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if there is none, and others.
    pub fn change_signed(&self, hash: &Hash) -> Result<Vec<u8>, StoreError> {
        let sql = "SELECT body FROM change_signed WHERE change = ?1";
        one(self.sql(sql)?, [hash.0], |row| row.get())?.ok_or(StoreError::Damaged)
    }
    /// Writes a new change, and what its promoter signed.
    ///
    /// # Errors
    /// [`StoreError::Twice`] if it is there, and others.
    pub fn put_change(&self, row: &ChangeRow, signed: &[u8]) -> Result<(), StoreError> {
        self.sql("INSERT INTO change_signed (change, body) VALUES (?1, ?2)")?.execute(params![row.change.0, signed])?;
        let sql = format!("INSERT INTO change ({CHANGE}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
        self.sql(&sql)?.execute(params![
            row.change.0,
            row.promoter.0,
            row.event.0,
            row.before.0,
            row.after.map(|after| after.0),
            n(row.answer_until.0),
            i64::from(row.silence_refunds),
            n(row.at.0),
            row.cursor.map(|cursor| cursor.0),
            opt(row.ended.map(|at| at.0)),
            row.text,
        ])?;
        Ok(())
    }
    /// Not every ticket of a change is decided any more. One that is open stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reopen_change(&self, change: &Hash) -> Result<(), StoreError> {
        self.sql("UPDATE change SET ended = NULL WHERE change = ?1 AND ended IS NOT NULL")?.execute([change.0])?;
        Ok(())
    }
    /// Every ticket of a change is decided.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_change(&self, change: &Hash, at: Time) -> Result<(), StoreError> {
        self.sql("UPDATE change SET ended = ?2 WHERE change = ?1")?.execute(params![change.0, n(at.0)])?;
        Ok(())
    }
    /// The tickets of a change up to this one have their row; `None`: all have.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn walk_change(&self, change: &Hash, cursor: Option<CardId>) -> Result<(), StoreError> {
        let cursor = cursor.map(|cursor| cursor.0);
        self.sql("UPDATE change SET cursor = ?2 WHERE change = ?1")?.execute(params![change.0, cursor])?;
        Ok(())
    }
    /// The tickets of these terms after one of them, by card, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tickets_under(&self, terms: Handle, after: CardId, most: u64) -> Result<Vec<CardId>, StoreError> {
        let sql = "SELECT card FROM card WHERE unit = 1000 AND terms = ?1 AND card > ?2 ORDER BY card LIMIT ?3";
        all(self.sql(sql)?, params![terms.0, after.0, n(most)], |row| row.get().map(CardId))
    }
    /// How a ticket stands in a change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_ticket(&self, card: CardId, of: &Hash) -> Result<Option<ChangeTicketRow>, StoreError> {
        let sql = format!("SELECT {TICKET} FROM change_ticket WHERE card = ?1 AND change = ?2");
        one(self.sql(&sql)?, params![card.0, of.0], ticket)
    }
    /// Everything that changes did to a ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes_to(&self, card: CardId) -> Result<Vec<ChangeTicketRow>, StoreError> {
        let sql = format!("SELECT {TICKET} FROM change_ticket WHERE card = ?1 ORDER BY at, change");
        all(self.sql(&sql)?, [card.0], ticket)
    }
    /// Tickets of a change that stand so, by card, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_tickets(&self, of: &Hash, state: ChangeState, most: u64) -> Result<Vec<CardId>, StoreError> {
        let sql = "SELECT card FROM change_ticket WHERE change = ?1 AND state = ?2 ORDER BY card LIMIT ?3";
        all(self.sql(sql)?, params![of.0, state as i64, n(most)], |row| row.get().map(CardId))
    }
    /// How many tickets of a change stand how.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_counts(&self, of: &Hash) -> Result<Vec<(ChangeState, u64)>, StoreError> {
        let sql = "SELECT state, count(*) FROM change_ticket WHERE change = ?1 GROUP BY state ORDER BY state";
        all(self.sql(sql)?, [of.0], |row| Ok((row.code(&ChangeState::ALL, |state| state as u64)?, row.u64()?)))
    }
    /// The refunds that a change brought: how they stand (1 asked for, 2 paid back, 3 refused), how many, how much, as listed in
    /// which article and revision.
    ///
    /// # Errors
    /// [`StoreError`].
    #[allow(clippy::type_complexity)] // read in one place
    pub fn change_refunds(&self, of: &Hash) -> Result<Vec<(u64, u64, u64, (u64, u64))>, StoreError> {
        let sql =
            "SELECT refund.state, count(*), sum(refund.amount), purchase.article, purchase.revision FROM change_ticket
            JOIN refund ON refund.card = change_ticket.card
            JOIN purchase ON purchase.wallet = refund.wallet AND purchase.number = refund.purchase
            WHERE change_ticket.change = ?1 AND change_ticket.state IN (4, 6, 7)
            GROUP BY refund.state, purchase.article, purchase.revision";
        all(self.sql(sql)?, [of.0], |row| Ok((row.u64()?, row.u64()?, row.u64()?, (row.u64()?, row.u64()?))))
    }
    /// The tickets of a change that go back, were bought by credit, and of which nothing was asked back: not yet, or not before a person
    /// has looked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_unreturned(&self, of: &Hash) -> Result<Vec<UnreturnedTickets>, StoreError> {
        let sql = "SELECT surrender.asked IS NULL, purchase.state = 9, count(*), purchase.article, purchase.revision
            FROM change_ticket JOIN surrender ON surrender.card = change_ticket.card
            JOIN purchase ON purchase.card = change_ticket.card AND purchase.state IN (4, 5, 9)
            WHERE change_ticket.change = ?1 AND change_ticket.state IN (4, 6, 7)
            AND NOT EXISTS (SELECT 1 FROM refund WHERE refund.card = change_ticket.card)
            GROUP BY 1, 2, purchase.article, purchase.revision";
        all(self.sql(sql)?, [of.0], |row| {
            let (later, unpaid) = (row.u64()? == 1, row.u64()? == 1);
            Ok(UnreturnedTickets { later, unpaid, count: row.u64()?, listing: (row.u64()?, row.u64()?) })
        })
    }
    /// How many tickets of a change go back that were not bought by credit: whoever sold them pays them back by hand.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn change_by_hand(&self, of: &Hash) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM change_ticket WHERE change = ?1 AND state IN (4, 6, 7) AND NOT EXISTS
            (SELECT 1 FROM purchase WHERE purchase.card = change_ticket.card AND purchase.state IN (4, 5, 9))";
        Ok(one(self.sql(sql)?, [of.0], |row| row.u64())?.unwrap_or(0))
    }
    /// Writes how a ticket stands in a change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_change_ticket(&self, row: &ChangeTicketRow) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO change_ticket ({TICKET}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
        let (state, at) = (row.state as i64, n(row.at.0));
        self.sql(&sql)?.execute(params![row.card.0, row.change.0, row.wallet.0, state, at, row.answer])?;
        Ok(())
    }
    /// Tickets that failed have their turn again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn retry_change(&self, of: &Hash) -> Result<usize, StoreError> {
        Ok(self.sql("UPDATE change_ticket SET state = 1 WHERE change = ?1 AND state = 10")?.execute([of.0])?)
    }
    /// Tickets of these terms that their holders have not given back, by what they were bought as.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sold_under(&self, terms: Handle) -> Result<Vec<SoldTickets>, StoreError> {
        let sql = "SELECT purchase.article, purchase.revision, count(*),
                sum(EXISTS (SELECT 1 FROM admission WHERE admission.card = card.card AND done = 1)),
                coalesce(purchase.state = 9, 0) AS unpaid
            FROM card LEFT JOIN purchase ON purchase.card = card.card AND purchase.state IN (4, 5, 9)
            WHERE card.unit = 1000 AND card.terms = ?1
                AND NOT EXISTS (SELECT 1 FROM surrender WHERE surrender.card = card.card)
            GROUP BY purchase.article, purchase.revision, unpaid";
        all(self.sql(sql)?, [terms.0], |row| {
            let listing = row.opt_u64()?.zip(row.opt_u64()?);
            Ok(SoldTickets { listing, count: row.u64()?, came: row.u64()?, unpaid: row.u64()? == 1 })
        })
    }
}
