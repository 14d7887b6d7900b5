//! Tickets: events as they are planned, what each ticket is for, gates, and who was let in.

use crate::row::{Columns, all, n, one, opt};
use crate::seats::SeatState;
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::talk::enter::{Admitted, DeadTicket, Direction, EnterRefusal};
use tegata_core::talk::event::Seat;
use tegata_core::{CardId, DeviceId, EventId, Handle, Hash, IssuerId, PartyId, RequestNumber, Time, WalletId};

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRow {
    /// The event.
    pub event: EventId,
    /// Whose.
    pub promoter: PartyId,
    /// The newest revision of its plan.
    pub revision: u64,
    /// The newest plan, signed.
    pub body: Vec<u8>,
    /// Counts up with all that its gates must know.
    pub changed: u64,
    /// Since when it is cancelled.
    pub cancelled: Option<Time>,
}

/// What a ticket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// The ticket.
    pub card: CardId,
    /// The event.
    pub event: EventId,
    /// Its seat.
    pub seat: Option<u64>,
    /// Entries used before its generation of now.
    pub used: u64,
    /// Up to this generation it lets nobody in; 0: none.
    pub dead: u64,
    /// Why.
    pub why: Option<EnterRefusal>,
}

/// A gate's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRow {
    /// The gate.
    pub gate: DeviceId,
    /// The event.
    pub event: EventId,
    /// The door.
    pub door: u64,
    /// The zone behind it.
    pub zone: u64,
    /// Which way it lets pass.
    pub direction: Direction,
    /// The event's `changed` that it was told; 0: nothing yet.
    pub sent: u64,
    /// The promoter's signed order.
    pub order: Vec<u8>,
}

/// What a ticket has shown to a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionRow {
    /// The ticket.
    pub card: CardId,
    /// The zone.
    pub zone: u64,
    /// The entry.
    pub entry: u64,
    /// Which way.
    pub direction: Direction,
    /// The presentation's or window's hash.
    pub shown: Hash,
    /// The ticket's generation.
    pub generation: u64,
    /// The gate.
    pub gate: DeviceId,
    /// The entry's number in the gate's log.
    pub number: u64,
    /// When, by the gate's clock.
    pub at: Time,
    /// How many people.
    pub people: u64,
    /// What the gate did.
    pub done: Admitted,
    /// By a window.
    pub window: bool,
    /// Its attempt's number; 0: a window.
    pub attempt: u64,
    /// The attempts before it that it names.
    pub earlier: Vec<Hash>,
    /// The gate's own log has said it.
    pub by_gate: bool,
    /// The wallet's log has said it.
    pub by_wallet: bool,
    /// The key that signed it, as its bytes; empty: it is not known (before format 11).
    pub holder: Vec<u8>,
}

fn planned(row: &mut Columns<'_, '_>) -> rusqlite::Result<PlannedRow> {
    Ok(PlannedRow {
        event: EventId(row.get()?),
        promoter: PartyId(row.get()?),
        revision: row.u64()?,
        body: row.get()?,
        changed: row.u64()?,
        cancelled: row.opt_u64()?.map(Time),
    })
}

fn refusal(code: Option<u64>) -> rusqlite::Result<Option<EnterRefusal>> {
    let known = |code| EnterRefusal::ALL.iter().copied().find(|one| one.code() == code);
    code.map(|code| known(code).ok_or(rusqlite::Error::InvalidQuery)).transpose()
}

fn gate(row: &mut Columns<'_, '_>) -> rusqlite::Result<GateRow> {
    Ok(GateRow {
        gate: DeviceId(row.get()?),
        event: EventId(row.get()?),
        door: row.u64()?,
        zone: row.u64()?,
        direction: row.code(Direction::ALL, Direction::code)?,
        sent: row.u64()?,
        order: row.get()?,
    })
}

const ADMISSION: &str = "card, zone, entry, direction, shown, generation, gate, number, at, people, done, window, attempt, earlier, gates, wallets, holder";

fn hashes(bytes: &[u8]) -> rusqlite::Result<Vec<Hash>> {
    let (all, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(all.iter().copied().map(Hash).collect()) } else { Err(rusqlite::Error::InvalidQuery) }
}

fn admission(row: &mut Columns<'_, '_>) -> rusqlite::Result<AdmissionRow> {
    Ok(AdmissionRow {
        card: CardId(row.get()?),
        zone: row.u64()?,
        entry: row.u64()?,
        direction: row.code(Direction::ALL, Direction::code)?,
        shown: Hash(row.get()?),
        generation: row.u64()?,
        gate: DeviceId(row.get()?),
        number: row.u64()?,
        at: row.time()?,
        people: row.u64()?,
        done: row.code(Admitted::ALL, Admitted::code)?,
        window: row.u64()? != 0,
        attempt: row.u64()?,
        earlier: hashes(&row.get::<Vec<u8>>()?)?,
        by_gate: row.u64()? != 0,
        by_wallet: row.u64()? != 0,
        holder: row.get()?,
    })
}

impl Store {
    /// An event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn planned(&self, event: EventId) -> Result<Option<PlannedRow>, StoreError> {
        let sql = "SELECT event, promoter, revision, body, changed, cancelled FROM planned WHERE event = ?1";
        one(self.sql(sql)?, [event.0], planned)
    }
    /// All events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn all_planned(&self) -> Result<Vec<PlannedRow>, StoreError> {
        let sql = "SELECT event, promoter, revision, body, changed, cancelled FROM planned ORDER BY event";
        all(self.sql(sql)?, [], planned)
    }
    /// Writes an event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_planned(&self, row: &PlannedRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO planned (event, promoter, revision, body, changed, cancelled)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let cancelled = opt(row.cancelled.map(|at| at.0));
        let numbers = (n(row.revision), n(row.changed));
        self.sql(sql)?.execute(params![row.event.0, row.promoter.0, numbers.0, row.body, numbers.1, cancelled])?;
        Ok(())
    }
    /// Something changed that the gates of an event must know.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event_changed(&self, event: EventId) -> Result<(), StoreError> {
        self.sql("UPDATE planned SET changed = changed + 1 WHERE event = ?1")?.execute([event.0])?;
        Ok(())
    }
    /// Every event has changed, as far as its gates are concerned: they are told anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events_changed(&self) -> Result<(), StoreError> {
        self.sql("UPDATE planned SET changed = changed + 1")?.execute([])?;
        Ok(())
    }
    /// Terms of an event's tickets, and since when they are replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event_terms(&self, event: EventId) -> Result<Vec<(Handle, Option<Time>)>, StoreError> {
        all(self.sql("SELECT terms, replaced FROM planned_terms WHERE event = ?1 ORDER BY terms")?, [event.0], |row| {
            Ok((Handle(row.get()?), row.opt_u64()?.map(Time)))
        })
    }
    /// Tickets of an event have these terms, or had them until a change replaced them. What was replaced stays so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_event_terms(&self, event: EventId, terms: Handle, replaced: Option<Time>) -> Result<(), StoreError> {
        let sql = "INSERT INTO planned_terms (event, terms, replaced) VALUES (?1, ?2, ?3)
            ON CONFLICT (event, terms) DO UPDATE SET replaced = coalesce(replaced, ?3)";
        self.sql(sql)?.execute(params![event.0, terms.0, opt(replaced.map(|at| at.0))])?;
        Ok(())
    }
    /// What a ticket is for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ticket(&self, card: CardId) -> Result<Option<TicketRow>, StoreError> {
        let sql = "SELECT event, seat, used, dead, why FROM ticket WHERE card = ?1";
        one(self.sql(sql)?, [card.0], |row| {
            Ok(TicketRow {
                card,
                event: EventId(row.get()?),
                seat: row.opt_u64()?,
                used: row.u64()?,
                dead: row.u64()?,
                why: refusal(row.opt_u64()?)?,
            })
        })
    }
    /// Writes what a ticket is for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_ticket(&self, row: &TicketRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO ticket (card, event, seat, used, dead, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (seat, why) = (opt(row.seat), opt(row.why.map(EnterRefusal::code)));
        self.sql(sql)?.execute(params![row.card.0, row.event.0, seat, n(row.used), n(row.dead), why])?;
        Ok(())
    }
    /// Tickets of an event that let nobody in, by card.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_tickets(&self, event: EventId) -> Result<Vec<DeadTicket>, StoreError> {
        let sql = "SELECT card, dead, why FROM ticket WHERE event = ?1 AND dead > 0 ORDER BY card";
        all(self.sql(sql)?, [event.0], |row| {
            let (card, generation) = (CardId(row.get()?), row.u64()?);
            Ok(DeadTicket { card, generation, why: refusal(row.opt_u64()?)?.unwrap_or(EnterRefusal::Blocked) })
        })
    }
    /// Writes seats of an event's plan, free; those that it has stay as they are, but for a name that was not kept yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_seats(&self, event: EventId, seats: &[Seat]) -> Result<(), StoreError> {
        let sql = "INSERT INTO seat (event, seat, article, free, name) VALUES (?1, ?2, ?3, 1, ?4)
            ON CONFLICT (event, seat) DO UPDATE SET name = excluded.name WHERE name IS NULL";
        let mut insert = self.sql(sql)?;
        for seat in seats {
            insert.execute(params![event.0, n(seat.seat), n(seat.article), seat.name])?;
        }
        Ok(())
    }
    /// What stands on a seat; `None`: it is not known, or too long for a ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn seat_name(&self, event: EventId, seat: u64) -> Result<Option<String>, StoreError> {
        let sql = "SELECT name FROM seat WHERE event = ?1 AND seat = ?2 AND length(name) <= 60";
        one(self.sql(sql)?, params![event.0, n(seat)], |row| row.get())
    }
    /// Whether an article sells numbered seats of an event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn has_seats(&self, event: EventId, article: u64) -> Result<bool, StoreError> {
        let sql = "SELECT seat FROM seat WHERE event = ?1 AND article = ?2 LIMIT 1";
        Ok(one(self.sql(sql)?, params![event.0, n(article)], |row| row.u64())?.is_some())
    }
    /// The first seat that an article still sells.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn first_free_seat(&self, event: EventId, article: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT seat FROM seat WHERE event = ?1 AND article = ?2 AND free = 1 ORDER BY seat LIMIT 1";
        one(self.sql(sql)?, params![event.0, n(article)], |row| row.u64())
    }
    /// Whether this seat is sold by this article, and free.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_free_seat(&self, event: EventId, article: u64, seat: u64) -> Result<bool, StoreError> {
        let sql = "SELECT seat FROM seat WHERE event = ?1 AND seat = ?2 AND article = ?3 AND free = 1";
        Ok(one(self.sql(sql)?, params![event.0, n(seat), n(article)], |row| row.u64())?.is_some())
    }
    /// Takes a seat for a purchase.
    ///
    /// # Errors
    /// [`StoreError::Twice`] if it is taken, and others.
    pub fn take_seat(
        &self,
        event: EventId,
        seat: u64,
        (wallet, purchase): (WalletId, RequestNumber),
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO seat_taken (event, seat, wallet, purchase) VALUES (?1, ?2, ?3, ?4)";
        self.sql(sql)?.execute(params![event.0, n(seat), wallet.0, purchase.0])?;
        self.set_seat(event, seat, SeatState::Taken)
    }
    /// Gives the seat back that this purchase has now; it may have given it back before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn free_seat(&self, event: EventId, (wallet, purchase): (WalletId, RequestNumber)) -> Result<(), StoreError> {
        let Some(seat) = self.seat_taken(event, (wallet, purchase))? else {
            return Ok(());
        };
        let sql = "DELETE FROM seat_taken WHERE event = ?1 AND seat = ?2";
        self.sql(sql)?.execute(params![event.0, n(seat)])?;
        self.set_seat(event, seat, SeatState::Free)
    }
    /// Takes a seat for a number of a batch, by its serial.
    ///
    /// # Errors
    /// [`StoreError::Twice`] if it or the number has one, and others.
    pub fn print_seat(
        &self,
        event: EventId,
        seat: u64,
        (issuer, batch, serial): (IssuerId, u64, u64),
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO seat_printed (event, seat, issuer, batch, serial) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.sql(sql)?.execute(params![event.0, n(seat), issuer.0, n(batch), n(serial)])?;
        self.set_seat(event, seat, SeatState::Taken)
    }
    /// The seat that a number of a batch was ordered for, wherever a change has moved it since. `None`: it is for none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn printed_seat(&self, issuer: IssuerId, batch: u64, serial: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT coalesce(ordered, seat) FROM seat_printed WHERE issuer = ?1 AND batch = ?2 AND serial = ?3";
        one(self.sql(sql)?, params![issuer.0, n(batch), n(serial)], |row| row.u64())
    }
    /// A gate's place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn gate(&self, id: DeviceId) -> Result<Option<GateRow>, StoreError> {
        let sql = "SELECT gate, event, door, zone, direction, sent, order_body FROM gate WHERE gate = ?1";
        one(self.sql(sql)?, [id.0], gate)
    }
    /// The gates of an event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn gates_of(&self, event: EventId) -> Result<Vec<GateRow>, StoreError> {
        let sql =
            "SELECT gate, event, door, zone, direction, sent, order_body FROM gate WHERE event = ?1 ORDER BY gate";
        all(self.sql(sql)?, [event.0], gate)
    }
    /// Writes a gate's place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_gate(&self, row: &GateRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO gate (gate, event, door, zone, direction, sent, order_body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.sql(sql)?.execute(params![
            row.gate.0,
            row.event.0,
            n(row.door),
            n(row.zone),
            n(row.direction.code()),
            n(row.sent),
            row.order,
        ])?;
        Ok(())
    }
    /// What a ticket has shown for one entry in one direction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn admissions_of(
        &self,
        card: CardId,
        zone: u64,
        entry: u64,
        direction: Direction,
    ) -> Result<Vec<AdmissionRow>, StoreError> {
        let sql = format!(
            "SELECT {ADMISSION} FROM admission WHERE card = ?1 AND zone = ?2 AND entry = ?3 AND direction = ?4 ORDER BY at, shown"
        );
        all(self.sql(&sql)?, params![card.0, n(zone), n(entry), n(direction.code())], admission)
    }
    /// Everything that a ticket has shown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn admissions_by(&self, card: CardId) -> Result<Vec<AdmissionRow>, StoreError> {
        let sql =
            format!("SELECT {ADMISSION} FROM admission WHERE card = ?1 ORDER BY zone, entry, direction, at, shown");
        all(self.sql(&sql)?, [card.0], admission)
    }
    /// Everything that was shown at an event, by ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn admissions_at(&self, event: EventId) -> Result<Vec<AdmissionRow>, StoreError> {
        let sql = format!(
            "SELECT {ADMISSION} FROM admission WHERE card IN (SELECT card FROM ticket WHERE event = ?1)
             ORDER BY card, zone, entry, direction, at, shown"
        );
        all(self.sql(&sql)?, [event.0], admission)
    }
    /// Writes what was shown. What one side has said already stays said.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_admission(&self, row: &AdmissionRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO admission (card, zone, entry, direction, shown, generation, gate, number, at, people, done, window,
            attempt, earlier, gates, wallets, holder)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
            ON CONFLICT (card, zone, entry, direction, shown)
            DO UPDATE SET gates = max(gates, ?15), wallets = max(wallets, ?16)";
        let earlier: Vec<u8> = row.earlier.iter().flat_map(|hash| hash.0).collect();
        self.sql(sql)?.execute(params![
            row.card.0,
            n(row.zone),
            n(row.entry),
            n(row.direction.code()),
            row.shown.0,
            n(row.generation),
            row.gate.0,
            n(row.number),
            n(row.at.0),
            n(row.people),
            n(row.done.code()),
            i64::from(row.window),
            n(row.attempt),
            earlier,
            i64::from(row.by_gate),
            i64::from(row.by_wallet),
            row.holder,
        ])?;
        Ok(())
    }
}
