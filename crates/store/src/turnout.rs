//! What became of an event's tickets, summed by the database.

use crate::row::{all, n, one};
use crate::{ExceptionKind, Store, StoreError};
use rusqlite::params;
use tegata_core::{CardId, EventId, Handle, IssuerId, Time};

/// What became of what an article sells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sales {
    /// Sold, and not given back.
    pub sold: u64,
    /// Reserved, or on its way.
    pub reserved: u64,
    /// Tickets by number that were ordered.
    pub numbers: u64,
    /// Of those, installed.
    pub installed: u64,
    /// Wallets that wait.
    pub waiting: u64,
    /// Tickets that were paid back.
    pub refunds: u64,
    /// How much was paid back, in minor units.
    pub refunded: u64,
}

/// A ticket that came in again, and was not seen to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLeft {
    /// The ticket.
    pub card: CardId,
    /// Into which zone.
    pub zone: u64,
    /// The entry that it came in again by.
    pub entry: u64,
    /// When, by the gate's clock.
    pub at: Time,
    /// When it had come in before.
    pub before: Time,
    /// Its terms.
    pub terms: Handle,
    /// The door of the gate that let it in again; 0: at none any more.
    pub door: u64,
    /// The door that it had come in by.
    pub before_door: u64,
}

/// What became of an event's tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turnout {
    /// Installed in wallets.
    pub tickets: u64,
    /// With another holder's key, or issued anew.
    pub given: u64,
    /// That let nobody in any more.
    pub dead: u64,
    /// With which somebody came in.
    pub came: u64,
}

/// Who came through a door within a quarter of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarter {
    /// The door.
    pub door: u64,
    /// When the quarter began.
    pub from: Time,
    /// Entries.
    pub entries: u64,
    /// People.
    pub people: u64,
}

impl Store {
    /// What became of what an article sells.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sales(&self, issuer: IssuerId, article: u64) -> Result<Sales, StoreError> {
        let key = params![issuer.0, n(article)];
        let mut sales = Sales::default();
        let back = "SELECT 1 FROM refund WHERE refund.wallet = purchase.wallet AND refund.purchase = purchase.number
            AND refund.card IS NOT NULL";
        let sql = format!(
            "SELECT coalesce(sum(state IN (4, 5, 9) AND NOT EXISTS ({back})), 0), coalesce(sum(state IN (1, 2, 3)), 0)
             FROM purchase WHERE issuer = ?1 AND article = ?2"
        );
        if let Some((sold, reserved)) = one(self.sql(&sql)?, key, |row| Ok((row.u64()?, row.u64()?)))? {
            (sales.sold, sales.reserved) = (sold, reserved);
        }
        let sql = "SELECT count(*), coalesce(sum(number.state = 3), 0) FROM number_batch JOIN number
            ON number.issuer = number_batch.issuer AND number.batch = number_batch.batch
            WHERE number_batch.issuer = ?1 AND number_batch.article = ?2";
        if let Some((numbers, installed)) = one(self.sql(sql)?, key, |row| Ok((row.u64()?, row.u64()?)))? {
            (sales.numbers, sales.installed) = (numbers, installed);
        }
        let sql = "SELECT count(*) FROM waiting WHERE issuer = ?1 AND article = ?2 AND state = 1";
        sales.waiting = one(self.sql(sql)?, key, |row| row.u64())?.unwrap_or(0);
        let sql = "SELECT count(*), coalesce(sum(refund.amount), 0) FROM purchase JOIN refund
            ON refund.wallet = purchase.wallet AND refund.purchase = purchase.number
            WHERE issuer = ?1 AND article = ?2 AND refund.card IS NOT NULL AND refund.state = 2";
        if let Some((refunds, refunded)) = one(self.sql(sql)?, key, |row| Ok((row.u64()?, row.u64()?)))? {
            (sales.refunds, sales.refunded) = (refunds, refunded);
        }
        Ok(sales)
    }
    /// What became of an event's tickets.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn turnout(&self, event: EventId) -> Result<Turnout, StoreError> {
        let sql = "SELECT count(*), coalesce(sum(EXISTS
            (SELECT 1 FROM handed WHERE handed.card = card.card AND state <> 4 AND NOT (gift = 1 AND state = 1))), 0),
            coalesce(sum(ticket.dead >= card.generation), 0),
            coalesce(sum(EXISTS (SELECT 1 FROM admission WHERE admission.card = ticket.card AND done = 1)), 0)
            FROM ticket JOIN card ON card.card = ticket.card WHERE ticket.event = ?1";
        let found = one(self.sql(sql)?, [event.0], |row| {
            Ok(Turnout { tickets: row.u64()?, given: row.u64()?, dead: row.u64()?, came: row.u64()? })
        })?;
        Ok(found.unwrap_or_default())
    }
    /// Tickets with which nobody came, though they let somebody in to the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn no_shows(&self, event: EventId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM ticket JOIN card ON card.card = ticket.card
            WHERE ticket.event = ?1 AND ticket.dead < card.generation
            AND NOT EXISTS (SELECT 1 FROM admission WHERE admission.card = ticket.card AND done = 1)";
        Ok(one(self.sql(sql)?, [event.0], |row| row.u64())?.unwrap_or(0))
    }
    /// Tickets that came in again though neither a gate nor somebody by hand has seen the entry before go out, the first ones first: passed
    /// back over a fence past gates that did not hear each other, or let out with nothing written down.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn not_left(&self, event: EventId) -> Result<Vec<NotLeft>, StoreError> {
        let sql = "SELECT again.card, again.zone, again.entry, min(again.at), min(first.at), card.terms,
            coalesce((SELECT door FROM gate WHERE gate.gate = again.gate), 0),
            coalesce((SELECT door FROM gate WHERE gate.gate = first.gate), 0)
            FROM ticket JOIN card ON card.card = ticket.card
            JOIN admission AS again ON again.card = ticket.card AND again.done = 1 AND again.entry > 1
            JOIN admission AS first ON first.card = again.card AND first.zone = again.zone
                AND first.entry = again.entry - 1 AND first.done = 1
            WHERE ticket.event = ?1
            AND NOT EXISTS (SELECT 1 FROM admission AS gone WHERE gone.card = again.card AND gone.zone = again.zone
                AND gone.entry = first.entry AND gone.done = 2)
            AND NOT EXISTS (SELECT 1 FROM by_hand WHERE by_hand.card = again.card AND by_hand.zone = again.zone
                AND by_hand.entry = first.entry)
            GROUP BY again.card, again.zone, again.entry ORDER BY 4, 1, 2";
        all(self.sql(sql)?, [event.0], |row| {
            Ok(NotLeft {
                card: CardId(row.get()?),
                zone: row.u64()?,
                entry: row.u64()?,
                at: row.time()?,
                before: row.time()?,
                terms: Handle(row.get()?),
                door: row.u64()?,
                before_door: row.u64()?,
            })
        })
    }
    /// Who came in, by door and quarter of an hour; an entry that two gates let in counts once, where it came first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn arrivals(&self, event: EventId) -> Result<Vec<Quarter>, StoreError> {
        let sql = "SELECT coalesce(gate.door, 0), first / 900 * 900, count(*), sum(people) FROM
            (SELECT admission.gate, min(admission.at) AS first, admission.people AS people FROM admission
             JOIN ticket ON ticket.card = admission.card WHERE ticket.event = ?1 AND done = 1
             GROUP BY admission.card, admission.zone, admission.entry) AS came
            LEFT JOIN gate ON gate.gate = came.gate GROUP BY 1, 2 ORDER BY 1, 2";
        all(self.sql(sql)?, [event.0], |row| {
            Ok(Quarter { door: row.u64()?, from: row.time()?, entries: row.u64()?, people: row.u64()? })
        })
    }
    /// What a person had or has to look at, by kind: how often, and how many are open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn exceptions_at(&self, event: EventId) -> Result<Vec<(ExceptionKind, u64, u64)>, StoreError> {
        let sql = "SELECT kind, count(*), sum(state = 1) FROM exception JOIN ticket ON ticket.card = exception.card
            WHERE ticket.event = ?1 GROUP BY kind ORDER BY kind";
        all(self.sql(sql)?, [event.0], |row| {
            Ok((row.code(&ExceptionKind::ALL, |kind| kind as u64)?, row.u64()?, row.u64()?))
        })
    }
}
