//! Numbered seats: who has which, and where a change has moved it.

use crate::row::{all, n, one};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::talk::event::SeatMove;
use tegata_core::{EventId, Handle, Hash, IssuerId, RequestNumber, WalletId};

/// Whether a seat can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// Reserved or sold.
    Taken = 0,
    /// For sale.
    Free = 1,
    /// A change has moved its ticket away: it is empty, and not sold any more.
    Closed = 2,
}

impl SeatState {
    const ALL: [Self; 3] = [Self::Taken, Self::Free, Self::Closed];
}

/// A seat of an event's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatRow {
    /// Its number.
    pub seat: u64,
    /// What sells it.
    pub article: u64,
    /// Whether it can be had.
    pub state: SeatState,
}

/// A seat that somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldSeat {
    /// Its number.
    pub seat: u64,
    /// The terms of its ticket, or of the number that is for it; absent: there is no ticket yet.
    pub terms: Option<Handle>,
    /// Without a ticket: the issuer, article and revision that it is reserved of.
    pub listed: Option<(IssuerId, u64, u64)>,
}

/// Who has a seat.
#[derive(Clone, Copy, Debug)]
enum Holder {
    /// A purchase.
    Purchase(WalletId, RequestNumber),
    /// A number by issuer, batch and serial, and the seat that it was ordered for.
    Number(IssuerId, u64, u64, u64),
}

impl Store {
    /// The seats of an event's plan, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn seats_of(&self, event: EventId) -> Result<Vec<SeatRow>, StoreError> {
        let sql = "SELECT seat, article, free FROM seat WHERE event = ?1 ORDER BY seat";
        all(self.sql(sql)?, [event.0], |row| {
            let (seat, article) = (row.u64()?, row.u64()?);
            Ok(SeatRow { seat, article, state: row.code(&SeatState::ALL, |state| state as u64)? })
        })
    }
    /// The seats of an event that somebody has, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn held_seats(&self, event: EventId) -> Result<Vec<HeldSeat>, StoreError> {
        let sql = "SELECT seat_taken.seat, card.terms, purchase.issuer, purchase.article, purchase.revision
                FROM seat_taken JOIN purchase
                    ON purchase.wallet = seat_taken.wallet AND purchase.number = seat_taken.purchase
                LEFT JOIN card ON card.card = purchase.card
                WHERE seat_taken.event = ?1
            UNION ALL SELECT seat_printed.seat, coalesce(card.terms, number_batch.terms), NULL, NULL, NULL
                FROM seat_printed JOIN number_batch
                    ON number_batch.issuer = seat_printed.issuer AND number_batch.batch = seat_printed.batch
                LEFT JOIN number ON number.issuer = seat_printed.issuer AND number.batch = seat_printed.batch
                    AND number.serial = seat_printed.serial
                LEFT JOIN card ON card.card = number.card
                WHERE seat_printed.event = ?1
            ORDER BY 1";
        all(self.sql(sql)?, [event.0], |row| {
            let (seat, terms) = (row.u64()?, row.get::<Option<_>>()?.map(Handle));
            let issuer = row.get::<Option<_>>()?.map(tegata_core::PartyId);
            let listed = issuer.zip(row.opt_u64()?).zip(row.opt_u64()?);
            let listed = listed.map(|((issuer, article), revision)| (issuer, article, revision));
            Ok(HeldSeat { seat, terms, listed: listed.filter(|_| terms.is_none()) })
        })
    }
    /// Moves whoever has these seats, all at once, by a change that is written down; says how many that were. What is left and
    /// moved onto by nothing is not sold any more; what is moved onto is, unless somebody comes. It must be empty, or moved away itself.
    ///
    /// # Errors
    /// [`StoreError::Twice`] where somebody else has such a seat, and others.
    pub fn move_seats(&self, event: EventId, change: &Hash, moves: &[SeatMove]) -> Result<u64, StoreError> {
        let mut moving = Vec::new();
        for one in moves {
            let sql = "INSERT INTO seat_move (change, seat, onto) VALUES (?1, ?2, ?3)";
            self.sql(sql)?.execute(params![change.0, n(one.from), n(one.to)])?;
            if let Some(holder) = self.holder(event, one.from)? {
                moving.push((one, holder));
            }
        }
        for one in moves {
            for table in ["seat_taken", "seat_printed"] {
                let sql = format!("DELETE FROM {table} WHERE event = ?1 AND seat = ?2");
                self.sql(&sql)?.execute(params![event.0, n(one.from)])?;
            }
            self.set_seat(event, one.from, SeatState::Closed)?;
        }
        // In a row that is shifted a seat is left and moved onto: it is for sale where the one that leads to it was nobody's.
        for one in moves {
            self.set_seat(event, one.to, SeatState::Free)?;
        }
        for (one, holder) in &moving {
            match holder {
                Holder::Purchase(wallet, purchase) => self.take_seat(event, one.to, (*wallet, *purchase))?,
                Holder::Number(issuer, batch, serial, ordered) => {
                    self.print_seat(event, one.to, (*issuer, *batch, *serial))?;
                    let sql = "UPDATE seat_printed SET ordered = ?3 WHERE event = ?1 AND seat = ?2";
                    self.sql(sql)?.execute(params![event.0, n(one.to), n(*ordered)])?;
                }
            }
        }
        Ok(moving.len() as u64)
    }
    /// Where a change moves a seat. `None`: it stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn moved_seat(&self, change: &Hash, seat: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT onto FROM seat_move WHERE change = ?1 AND seat = ?2";
        one(self.sql(sql)?, params![change.0, n(seat)], |row| row.u64())
    }
    /// How many seats a change moves.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn seats_moved(&self, change: &Hash) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM seat_move WHERE change = ?1";
        Ok(one(self.sql(sql)?, [change.0], |row| row.u64())?.unwrap_or(0))
    }
    /// The change that replaced these terms, and the terms in their place: nothing else of it is read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_terms(&self, event: EventId, before: Handle) -> Result<Option<(Hash, Option<Handle>)>, StoreError> {
        let sql = "SELECT change, after FROM change WHERE event = ?1 AND before = ?2";
        one(self.sql(sql)?, params![event.0, before.0], |row| {
            Ok((Hash(row.get()?), row.get::<Option<_>>()?.map(Handle)))
        })
    }
    /// The seat that a purchase has now, whichever it has bought.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn seat_taken(
        &self,
        event: EventId,
        (wallet, purchase): (WalletId, RequestNumber),
    ) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT seat FROM seat_taken WHERE wallet = ?1 AND purchase = ?2 AND event = ?3";
        one(self.sql(sql)?, params![wallet.0, purchase.0, event.0], |row| row.u64())
    }
    pub(crate) fn set_seat(&self, event: EventId, seat: u64, state: SeatState) -> Result<(), StoreError> {
        let sql = "UPDATE seat SET free = ?3 WHERE event = ?1 AND seat = ?2";
        self.sql(sql)?.execute(params![event.0, n(seat), state as i64])?;
        Ok(())
    }
    fn holder(&self, event: EventId, seat: u64) -> Result<Option<Holder>, StoreError> {
        let sql = "SELECT wallet, purchase FROM seat_taken WHERE event = ?1 AND seat = ?2";
        let bought = one(self.sql(sql)?, params![event.0, n(seat)], |row| {
            Ok(Holder::Purchase(tegata_core::DeviceId(row.get()?), RequestNumber(row.get()?)))
        })?;
        if bought.is_some() {
            return Ok(bought);
        }
        let sql =
            "SELECT issuer, batch, serial, coalesce(ordered, seat) FROM seat_printed WHERE event = ?1 AND seat = ?2";
        one(self.sql(sql)?, params![event.0, n(seat)], |row| {
            Ok(Holder::Number(tegata_core::PartyId(row.get()?), row.u64()?, row.u64()?, row.u64()?))
        })
    }
}
