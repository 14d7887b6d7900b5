//! What happened: events of cards' chains (by card) and ends of charges (by terminal).

use crate::row::{Columns, all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::card::EventKind;
use tegata_core::{CardId, DeviceId, Hash, IssuerId, MerchantId, PartyId, TerminalId, Time, Unit};

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// A check that nobody claims yet.
    InFlight = 1,
    /// A terminal claims it.
    Claimed = 2,
    /// Its claim has ended: void, close or reversal.
    Ended = 3,
    /// The money is back on the card.
    Returned = 4,
    /// Claimed, and refused: late, blocked or doubled.
    Refused = 5,
    /// A load, or a credit-back, taken up.
    TakenUp = 6,
}

impl EventState {
    const ALL: [Self; 6] = [Self::InFlight, Self::Claimed, Self::Ended, Self::Returned, Self::Refused, Self::TakenUp];
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The card.
    pub card: CardId,
    /// Its generation.
    pub generation: u64,
    /// The event's number.
    pub seq: u64,
    /// The event's hash in its context.
    pub hash: Hash,
    /// What it does.
    pub kind: EventKind,
    /// How much it moves.
    pub amount: u64,
    /// What remains.
    pub remaining: u64,
    /// Where it stands.
    pub state: EventState,
    /// Its entry in the wallet's log.
    pub wallet_entry: Option<u64>,
    /// The terminal it pays.
    pub terminal: Option<TerminalId>,
    /// Its entry in that terminal's log.
    pub terminal_entry: Option<u64>,
    /// Its transaction number there.
    pub transaction: Option<u64>,
    /// The charge that it answers.
    pub charge: Option<Hash>,
    /// When the provider first heard of it.
    pub at: Time,
    /// The tick (R1).
    pub tick: u64,
    /// Calls: what of it was used, by its switch; `None` while the end is not known.
    pub used: Option<u64>,
}

impl EventRow {
    /// By what its postings and exceptions name it: a check by itself, a call by its name, since its last check may not be known yet.
    pub fn reference(&self) -> Hash {
        match (self.kind, self.charge) {
            (EventKind::Session, Some(call)) => call,
            _ => self.hash,
        }
    }
    /// What of it comes back to the card where it has ended: all of a check, what is left over of a call.
    pub fn rest(&self) -> u64 {
        self.amount.saturating_sub(self.used.unwrap_or(0))
    }
}

/// How a charge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// Paid.
    Paid = 1,
    /// Closed.
    Closed = 2,
    /// Paid and undone.
    Voided = 3,
    /// Paid, and not credited.
    Refused = 4,
}

impl ClaimState {
    const ALL: [Self; 4] = [Self::Paid, Self::Closed, Self::Voided, Self::Refused];
}

/// The end of one charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// The terminal.
    pub terminal: TerminalId,
    /// Its transaction number.
    pub transaction: u64,
    /// The charge's hash in its context.
    pub charge: Hash,
    /// How it ended.
    pub state: ClaimState,
    /// The entry that says paid or closed.
    pub entry: Option<u64>,
    /// The entry that says voided.
    pub end_entry: Option<u64>,
    /// Who is paid.
    pub merchant: MerchantId,
    /// In what.
    pub unit: Unit,
    /// How much.
    pub amount: u64,
    /// When it arrived.
    pub at: Time,
    /// The check: card, generation, seq and hash, and whose value it is.
    pub check: Option<(CardId, u64, u64, Hash, IssuerId)>,
    /// A call: the trunk that it went through, if it went through one.
    pub trunk: Option<String>,
    /// A call: the period in which it was claimed.
    pub period: Option<u64>,
}

/// What went through one trunk of a switch, or ended there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRow {
    /// The switch.
    pub switch: DeviceId,
    /// The trunk; none: to phones of the switch itself.
    pub trunk: Option<String>,
    /// Who is paid.
    pub operator: MerchantId,
    /// In what.
    pub unit: Unit,
    /// Calls by which a card was to pay: answered or not, paid or not.
    pub calls: u64,
    /// What those cost that are paid.
    pub used: u64,
    /// What is kept of that as fees.
    pub fees: u64,
    /// Calls that are not paid: refused, or undone.
    pub unpaid: u64,
    /// The switch's last log entry among these.
    pub entry: Option<u64>,
}

const NEAR: &str = "SELECT card, generation, seq, hash, kind, amount, remaining, state, wallet_entry, terminal, \
    terminal_entry, transaction_number, charge, at, tick, used FROM event WHERE card = ?1 AND generation = ?2 AND seq BETWEEN ?3 AND ?4";
const PUT: &str = "INSERT INTO event (card, generation, seq, hash, kind, amount, remaining, state, wallet_entry, \
    terminal, terminal_entry, transaction_number, charge, at, tick, used) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16) \
    ON CONFLICT (card, generation, seq, tick, hash) DO UPDATE SET state = ?8, wallet_entry = ?9, terminal = ?10, \
    terminal_entry = ?11, transaction_number = ?12, charge = ?13, used = ?16";
const CLAIM: &str = "INSERT INTO claim (terminal, transaction_number, charge, state, entry, end_entry, merchant, \
    unit, amount, at, card, generation, seq, check_hash, issuer, trunk, period) \
    VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17) ON CONFLICT DO NOTHING";
const CLAIM_COLUMNS: &str = "terminal, transaction_number, charge, state, entry, end_entry, merchant, unit, amount, \
    at, trunk, period, card, generation, seq, check_hash, issuer";

fn event(row: &mut Columns<'_, '_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        card: CardId(row.get()?),
        generation: row.u64()?,
        seq: row.u64()?,
        hash: Hash(row.get()?),
        kind: row.code(EventKind::ALL, EventKind::code)?,
        amount: row.u64()?,
        remaining: row.u64()?,
        state: row.code(&EventState::ALL, |state| state as u64)?,
        wallet_entry: row.opt_u64()?,
        terminal: row.get::<Option<_>>()?.map(DeviceId),
        terminal_entry: row.opt_u64()?,
        transaction: row.opt_u64()?,
        charge: row.get::<Option<_>>()?.map(Hash),
        at: row.time()?,
        tick: row.u64()?,
        used: row.opt_u64()?,
    })
}

fn claim(row: &mut Columns<'_, '_>) -> rusqlite::Result<ClaimRow> {
    Ok(ClaimRow {
        terminal: DeviceId(row.get()?),
        transaction: row.u64()?,
        charge: Hash(row.get()?),
        state: row.code(&ClaimState::ALL, |state| state as u64)?,
        entry: row.opt_u64()?,
        end_entry: row.opt_u64()?,
        merchant: PartyId(row.get()?),
        unit: row.unit()?,
        amount: row.u64()?,
        at: row.time()?,
        trunk: row.get()?,
        period: row.opt_u64()?,
        check: match (row.get::<Option<_>>()?, row.opt_u64()?, row.opt_u64()?, row.get::<Option<_>>()?) {
            (Some(card), Some(generation), Some(seq), Some(hash)) => {
                Some((CardId(card), generation, seq, Hash(hash), PartyId(row.get()?)))
            }
            _ => None,
        },
    })
}

impl Store {
    /// Events of one generation whose numbers lie in `first..=last`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events(&self, id: CardId, generation: u64, first: u64, last: u64) -> Result<Vec<EventRow>, StoreError> {
        all(self.sql(NEAR)?, params![id.0, n(generation), n(first), n(last)], event)
    }
    /// The check that answers a charge, of a card.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event_by_hash(&self, id: CardId, generation: u64, hash: &Hash) -> Result<Option<EventRow>, StoreError> {
        let sql = "SELECT card, generation, seq, hash, kind, amount, remaining, state, wallet_entry, terminal,
            terminal_entry, transaction_number, charge, at, tick, used FROM event WHERE card = ?1 AND generation = ?2 AND hash = ?3";
        one(self.sql(sql)?, params![id.0, n(generation), hash.0], event)
    }
    /// Checks first heard of before `then` that only one side has recorded, and that have not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn one_sided(&self, then: Time) -> Result<Vec<EventRow>, StoreError> {
        let sql = "SELECT card, generation, seq, hash, kind, amount, remaining, state, wallet_entry, terminal,
            terminal_entry, transaction_number, charge, at, tick, used FROM event
            WHERE at < ?1 AND kind IN (1, 8) AND (wallet_entry IS NULL OR (terminal_entry IS NULL AND state = 1))";
        all(self.sql(sql)?, [n(then.0)], event)
    }
    /// Writes an event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_event(&self, row: &EventRow) -> Result<(), StoreError> {
        self.sql(PUT)?.execute(params![
            row.card.0,
            n(row.generation),
            n(row.seq),
            row.hash.0,
            n(row.kind.code()),
            n(row.amount),
            n(row.remaining),
            row.state as i64,
            opt(row.wallet_entry),
            row.terminal.map(|terminal| terminal.0),
            opt(row.terminal_entry),
            opt(row.transaction),
            row.charge.map(|hash| hash.0),
            n(row.at.0),
            n(row.tick),
            opt(row.used),
        ])?;
        Ok(())
    }
    /// Writes the last tick of a session in the place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn supersede(&self, before: &EventRow, row: &EventRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM event WHERE card = ?1 AND generation = ?2 AND seq = ?3 AND tick = ?4 AND hash = ?5";
        let (generation, seq, tick) = (n(before.generation), n(before.seq), n(before.tick));
        self.sql(sql)?.execute(params![before.card.0, generation, seq, tick, before.hash.0])?;
        self.put_event(row)
    }
    /// Adds the end of a charge, unless one is there; says whether it is new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_claim(&self, row: &ClaimRow) -> Result<bool, StoreError> {
        let (card, rest) =
            row.check.map(|(card, generation, seq, hash, issuer)| (card.0, (generation, seq, hash, issuer))).unzip();
        let added = self.sql(CLAIM)?.execute(params![
            row.terminal.0,
            n(row.transaction),
            row.charge.0,
            row.state as i64,
            opt(row.entry),
            opt(row.end_entry),
            row.merchant.0,
            row.unit.code(),
            n(row.amount),
            n(row.at.0),
            card,
            rest.map(|rest| n(rest.0)),
            rest.map(|rest| n(rest.1)),
            rest.map(|rest| rest.2.0),
            rest.map(|rest| rest.3.0),
            row.trunk,
            opt(row.period),
        ])?;
        Ok(added > 0)
    }
    /// The end of a charge.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn claim(&self, terminal: TerminalId, transaction: u64, charge: &Hash) -> Result<Option<ClaimRow>, StoreError> {
        let sql = format!(
            "SELECT {CLAIM_COLUMNS} FROM claim WHERE terminal = ?1 AND transaction_number = ?2 AND charge = ?3"
        );
        one(self.sql(&sql)?, params![terminal.0, n(transaction), charge.0], claim)
    }
    /// Changes how a charge ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_claim(&self, row: &ClaimRow) -> Result<(), StoreError> {
        let sql = "UPDATE claim SET state = ?4, end_entry = ?5
            WHERE terminal = ?1 AND transaction_number = ?2 AND charge = ?3";
        let (transaction, state) = (n(row.transaction), row.state as i64);
        self.sql(sql)?.execute(params![row.terminal.0, transaction, row.charge.0, state, opt(row.end_entry)])?;
        Ok(())
    }
    /// The ends of a merchant's charges that arrived in `from..until`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn claims_of(&self, merchant: MerchantId, from: Time, until: Time) -> Result<Vec<ClaimRow>, StoreError> {
        let sql = format!(
            "SELECT {CLAIM_COLUMNS} FROM claim WHERE merchant = ?1 AND at >= ?2 AND at < ?3
             ORDER BY terminal, transaction_number, charge"
        );
        all(self.sql(&sql)?, params![merchant.0, n(from.0), n(until.0.min(u64::MAX >> 1))], claim)
    }
    /// What calls came to that were claimed in this period, for each trunk of each switch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn trunks(&self, period: u64) -> Result<Vec<TrunkRow>, StoreError> {
        let sql = "SELECT terminal, trunk, merchant, unit, count(*), sum(CASE state WHEN 1 THEN amount ELSE 0 END),
            sum((SELECT coalesce(sum(CASE what WHEN 15 THEN amount ELSE -amount END), 0) FROM posting
                WHERE subject = claim.merchant AND what IN (15, 16) AND reference = claim.charge)),
            sum(state IN (3, 4)), max(entry)
            FROM claim WHERE period = ?1 AND state <> 2 GROUP BY terminal, trunk, merchant, unit ORDER BY terminal, trunk, merchant, unit";
        all(self.sql(sql)?, [n(period)], |row| {
            Ok(TrunkRow {
                switch: DeviceId(row.get()?),
                trunk: row.get()?,
                operator: PartyId(row.get()?),
                unit: row.unit()?,
                calls: row.u64()?,
                used: row.u64()?,
                fees: row.u64()?,
                unpaid: row.u64()?,
                entry: row.opt_u64()?,
            })
        })
    }
    /// The highest transaction number that a terminal has ended; 0 without any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_transaction(&self, terminal: TerminalId) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(transaction_number), 0) FROM claim WHERE terminal = ?1";
        Ok(one(self.sql(sql)?, [terminal.0], |row| row.u64())?.unwrap_or(0))
    }
    /// The check by which a card answered a terminal's transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event_of(
        &self,
        id: CardId,
        generation: u64,
        terminal: TerminalId,
        transaction: u64,
    ) -> Result<Option<EventRow>, StoreError> {
        let sql = "SELECT card, generation, seq, hash, kind, amount, remaining, state, wallet_entry, terminal,
            terminal_entry, transaction_number, charge, at, tick, used FROM event
            WHERE card = ?1 AND generation = ?2 AND terminal = ?3 AND transaction_number = ?4 AND kind IN (1, 8)
            ORDER BY wallet_entry IS NULL, seq LIMIT 1";
        one(self.sql(sql)?, params![id.0, n(generation), terminal.0, n(transaction)], event)
    }
    /// Checks of generations before this one that have ended and not been taken up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ended_before(&self, id: CardId, generation: u64) -> Result<Vec<EventRow>, StoreError> {
        let sql = "SELECT card, generation, seq, hash, kind, amount, remaining, state, wallet_entry, terminal,
            terminal_entry, transaction_number, charge, at, tick, used FROM event
            WHERE card = ?1 AND generation < ?2 AND state = 3 AND (kind = 1 OR kind = 8 AND wallet_entry IS NOT NULL)";
        all(self.sql(sql)?, params![id.0, n(generation)], event)
    }
    /// What terminals claim of this generation and its wallet has not recorded, in minor units.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unseen(&self, id: CardId, generation: u64) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(sum(coalesce(used, amount)), 0) FROM event
            WHERE card = ?1 AND generation = ?2 AND wallet_entry IS NULL AND (kind = 1 AND state = 2 OR kind = 8 AND state IN (2, 3))";
        Ok(one(self.sql(sql)?, params![id.0, n(generation)], |row| row.u64())?.unwrap_or(0))
    }
    /// A wallet's check waits for its terminal's report.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn await_claim(&self, row: &EventRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO awaited (terminal, charge, check_hash, card, generation) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO NOTHING";
        let (terminal, charge) = (row.terminal.map(|id| id.0), row.charge.map(|hash| hash.0));
        self.sql(sql)?.execute(params![terminal, charge, row.hash.0, row.card.0, n(row.generation)])?;
        Ok(())
    }
    /// The checks that waited for the end of this charge; they wait no longer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn awaited(&self, terminal: TerminalId, charge: &Hash) -> Result<Vec<(CardId, u64, Hash)>, StoreError> {
        // Nearly always nothing waits, and a look costs a quarter of a delete that returns nothing.
        let sql = "SELECT card, generation, check_hash FROM awaited WHERE terminal = ?1 AND charge = ?2";
        let read = |row: &mut Columns<'_, '_>| Ok((CardId(row.get()?), row.u64()?, Hash(row.get()?)));
        let waiting = all(self.sql(sql)?, params![terminal.0, charge.0], read)?;
        if !waiting.is_empty() {
            let sql = "DELETE FROM awaited WHERE terminal = ?1 AND charge = ?2";
            self.sql(sql)?.execute(params![terminal.0, charge.0])?;
        }
        Ok(waiting)
    }
}
