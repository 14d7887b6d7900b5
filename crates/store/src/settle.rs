//! Settlement: contracts, bank accounts, what each period came to, payouts as the bank is told and tells them.

use crate::row::{Columns, all, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::talk::contract::{Contract, Tender};
use tegata_core::wire::signed::Signed;
use tegata_core::{Hash, IssuerId, PartyId, Time, Unit};

/// A contract.
#[derive(Clone, Debug)]
pub struct ContractRow {
    /// What it says.
    pub contract: Contract,
    /// The same, signed by the provider.
    pub body: Vec<u8>,
}

/// A bank account of a party, or the provider's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankAccountRow {
    /// Whose.
    pub party: PartyId,
    /// The account's holder.
    pub holder: String,
    /// Its IBAN.
    pub iban: String,
    /// The bank that keeps it.
    pub bic: Option<String>,
    /// When it was set.
    pub at: Time,
}

/// What moved to and from a payee in one issuer's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovementRow {
    /// In which period.
    pub period: u64,
    /// The payee.
    pub party: PartyId,
    /// Whose value.
    pub issuer: IssuerId,
    /// In what.
    pub unit: Unit,
    /// Claimed or captured.
    pub credited: i64,
    /// Voided.
    pub undone: i64,
    /// Fees charged less fees given back; below nothing for who earns them.
    pub fees: i64,
}

/// Which way a position goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PositionSide {
    /// What a payee is due from the provider.
    Payee = 1,
    /// What an issuer or the processor owes the provider.
    Issuer = 2,
    /// What the guarantor of an issuer's cards owes the provider.
    Guarantor = 3,
}

/// What a closed period came to for one party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionRow {
    /// The period.
    pub period: u64,
    /// Who.
    pub party: PartyId,
    /// In what.
    pub unit: Unit,
    /// Which way.
    pub side: PositionSide,
    /// From the period before; nothing or less.
    pub carried: i64,
    /// Claimed or captured.
    pub credited: i64,
    /// Voided.
    pub undone: i64,
    /// Fees.
    pub fees: i64,
    /// Payouts that the bank gave back.
    pub returned: i64,
    /// What it comes to. Below nothing, it is carried on.
    pub due: i64,
}

/// What became of a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferState {
    /// In no file yet.
    Waiting = 1,
    /// The bank was told.
    Ordered = 2,
    /// The bank has paid.
    Booked = 3,
    /// The bank gave it back or refused it; it is owed again.
    CameBack = 4,
    /// What the bank says is not what was ordered; a person has to look.
    Differs = 5,
}

impl TransferState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Ordered, Self::Booked, Self::CameBack, Self::Differs];
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ordered => "ordered",
            Self::Booked => "booked",
            Self::CameBack => "came back",
            Self::Differs => "differs",
        }
    }
}

/// One payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRow {
    /// The period that it pays out.
    pub period: u64,
    /// To whom.
    pub party: PartyId,
    /// In what.
    pub unit: Unit,
    /// Its name at the bank.
    pub end_to_end: String,
    /// How much.
    pub amount: u64,
    /// What became of it.
    pub state: TransferState,
    /// The period whose file orders it.
    pub ordered: Option<u64>,
    /// The period in which it came back.
    pub back: Option<u64>,
    /// What the bank said.
    pub why: Option<String>,
}

/// A file that went to the bank or came from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// When it was made or came.
    pub at: Time,
    /// Our account that it is about.
    pub iban: String,
    /// Its bytes.
    pub body: Vec<u8>,
}

const TRANSFER: &str = "period, party, unit, end_to_end, amount, state, ordered, back, why";

fn transfer(row: &mut Columns<'_, '_>) -> rusqlite::Result<TransferRow> {
    Ok(TransferRow {
        period: row.u64()?,
        party: PartyId(row.get()?),
        unit: row.unit()?,
        end_to_end: row.get()?,
        amount: row.u64()?,
        state: row.code(&TransferState::ALL, |state| state as u64)?,
        ordered: row.opt_u64()?,
        back: row.opt_u64()?,
        why: row.get()?,
    })
}

fn position(row: &mut Columns<'_, '_>) -> rusqlite::Result<PositionRow> {
    let sides = [PositionSide::Payee, PositionSide::Issuer, PositionSide::Guarantor];
    Ok(PositionRow {
        period: row.u64()?,
        party: PartyId(row.get()?),
        unit: row.unit()?,
        side: row.code(&sides, |side| side as u64)?,
        carried: row.get()?,
        credited: row.get()?,
        undone: row.get()?,
        fees: row.get()?,
        returned: row.get()?,
        due: row.get()?,
    })
}

const POSITION: &str = "period, party, unit, side, carried, credited, undone, fees, returned, due";

fn contract(row: &mut Columns<'_, '_>) -> rusqlite::Result<ContractRow> {
    let body: Vec<u8> = row.get()?;
    let contract = Signed::<Contract>::decode(&body).map_err(|_| rusqlite::Error::InvalidQuery)?.claimed().clone();
    Ok(ContractRow { contract, body })
}

fn file(row: &mut Columns<'_, '_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow { at: row.time()?, iban: row.get()?, body: row.get()? })
}

impl Store {
    /// A party's contracts, by tender, unit and version; everybody's without one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contracts(&self, party: Option<PartyId>) -> Result<Vec<ContractRow>, StoreError> {
        match party {
            Some(party) => {
                let sql = "SELECT body FROM contract WHERE party = ?1 ORDER BY tender, unit, version";
                all(self.sql(sql)?, [party.0], contract)
            }
            None => all(self.sql("SELECT body FROM contract ORDER BY party, tender, unit, version")?, [], contract),
        }
    }
    /// Adds a contract.
    ///
    /// # Errors
    /// [`StoreError::Twice`] if this version is there, and others.
    pub fn put_contract(&self, row: &ContractRow) -> Result<(), StoreError> {
        let ContractRow { contract, body } = row;
        let sql =
            "INSERT INTO contract (party, tender, unit, version, counts_from, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (tender, unit) = (n(Tender::code(contract.tender)), contract.unit.code());
        let (version, from) = (n(contract.version), n(contract.from.0));
        self.sql(sql)?.execute(params![contract.party.0, tender, unit, version, from, body])?;
        Ok(())
    }
    /// When a party was last credited anything; the start of time if never.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_credited(&self, party: PartyId) -> Result<Option<Time>, StoreError> {
        let sql = "SELECT max(at) FROM (SELECT max(at) AS at FROM claim WHERE merchant = ?1
            UNION ALL SELECT max(ended) FROM credit WHERE merchant = ?1 AND clearing IS NOT NULL)";
        Ok(one(self.sql(sql)?, [party.0], |row| row.opt_u64())?.flatten().map(Time))
    }
    /// A party's bank account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bank_account(&self, party: PartyId) -> Result<Option<BankAccountRow>, StoreError> {
        let sql = "SELECT holder, iban, bic, at FROM bank_account WHERE party = ?1";
        one(self.sql(sql)?, [party.0], |row| {
            Ok(BankAccountRow { party, holder: row.get()?, iban: row.get()?, bic: row.get()?, at: row.time()? })
        })
    }
    /// Sets a party's bank account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_bank_account(&self, row: &BankAccountRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO bank_account (party, holder, iban, bic, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.sql(sql)?.execute(params![row.party.0, row.holder, row.iban, row.bic, n(row.at.0)])?;
        Ok(())
    }
    /// Adds to what moved in a period.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_movement(&self, row: &MovementRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO movement (period, party, issuer, unit, credited, undone, fees)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
            credited = credited + excluded.credited, undone = undone + excluded.undone, fees = fees + excluded.fees";
        let (period, party, issuer, unit) = (n(row.period), row.party.0, row.issuer.0, row.unit.code());
        self.sql(sql)?.execute(params![period, party, issuer, unit, row.credited, row.undone, row.fees])?;
        Ok(())
    }
    /// What moved in a period.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn movements(&self, period: u64) -> Result<Vec<MovementRow>, StoreError> {
        let sql = "SELECT period, party, issuer, unit, credited, undone, fees FROM movement WHERE period = ?1
            ORDER BY party, issuer, unit";
        all(self.sql(sql)?, [n(period)], |row| {
            Ok(MovementRow {
                period: row.u64()?,
                party: PartyId(row.get()?),
                issuer: PartyId(row.get()?),
                unit: row.unit()?,
                credited: row.get()?,
                undone: row.get()?,
                fees: row.get()?,
            })
        })
    }
    /// Adds a position of a period that is being closed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_position(&self, row: &PositionRow) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO position ({POSITION}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
        self.sql(&sql)?.execute(params![
            n(row.period),
            row.party.0,
            row.unit.code(),
            row.side as i64,
            row.carried,
            row.credited,
            row.undone,
            row.fees,
            row.returned,
            row.due,
        ])?;
        Ok(())
    }
    /// What a period came to: payees first, then who owes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn positions(&self, period: u64) -> Result<Vec<PositionRow>, StoreError> {
        let sql = format!("SELECT {POSITION} FROM position WHERE period = ?1 ORDER BY side, party, unit");
        all(self.sql(&sql)?, [n(period)], position)
    }
    /// What all periods closed in `from..until` came to for one party, with the time of each.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn positions_of(
        &self,
        party: PartyId,
        from: Time,
        until: Time,
    ) -> Result<Vec<(PositionRow, Time)>, StoreError> {
        let sql = format!(
            "SELECT {POSITION}, at FROM period JOIN position ON number = period
             WHERE party = ?1 AND at >= ?2 AND at < ?3 ORDER BY period, side, unit"
        );
        let until = n(until.0.min(u64::MAX >> 1));
        all(self.sql(&sql)?, params![party.0, n(from.0), until], |row| Ok((position(row)?, row.time()?)))
    }
    /// Parts of payouts that stand: per payee, issuer and unit. What came back does not count.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn paid_by_bank(&self) -> Result<Vec<(PartyId, IssuerId, Unit, i64)>, StoreError> {
        let sql = "SELECT merchant, issuer, payout.unit, sum(payout.amount) FROM payout
            LEFT JOIN transfer ON transfer.period = payout.period AND party = merchant AND transfer.unit = payout.unit
            WHERE back IS NULL GROUP BY merchant, issuer, payout.unit ORDER BY merchant, issuer, payout.unit";
        all(self.sql(sql)?, [], |row| Ok((PartyId(row.get()?), PartyId(row.get()?), row.unit()?, row.get()?)))
    }
    /// The parts of one payout, per issuer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn payout_parts(&self, period: u64, party: PartyId, unit: Unit) -> Result<Vec<(IssuerId, i64)>, StoreError> {
        let sql = "SELECT issuer, amount FROM payout WHERE period = ?1 AND merchant = ?2 AND unit = ?3 ORDER BY issuer";
        let key = params![n(period), party.0, unit.code()];
        all(self.sql(sql)?, key, |row| Ok((PartyId(row.get()?), row.get()?)))
    }
    /// All balances of one side: payee, issuer, unit, amount.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn balances(&self, side: tegata_ledger::Side) -> Result<Vec<(PartyId, IssuerId, Unit, i64)>, StoreError> {
        let sql = "SELECT party, issuer, unit, amount FROM balance WHERE kind = ?1 AND party <> x''
            ORDER BY party, issuer, unit";
        all(self.sql(sql)?, [side.code()], |row| {
            Ok((PartyId(row.get()?), PartyId(row.get()?), row.unit()?, row.get()?))
        })
    }
    /// One line of a period's closing trial balance; 0 where it has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn closing(
        &self,
        period: u64,
        issuer: IssuerId,
        unit: Unit,
        side: tegata_ledger::Side,
    ) -> Result<i64, StoreError> {
        let sql = "SELECT amount FROM trial_balance WHERE period = ?1 AND issuer = ?2 AND unit = ?3 AND kind = ?4";
        let key = params![n(period), issuer.0, unit.code(), side.code()];
        Ok(one(self.sql(sql)?, key, |row| row.get())?.unwrap_or(0))
    }
    /// Writes a payout.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_transfer(&self, row: &TransferRow) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO transfer ({TRANSFER}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
        self.sql(&sql)?.execute(params![
            n(row.period),
            row.party.0,
            row.unit.code(),
            row.end_to_end,
            n(row.amount),
            row.state as i64,
            opt(row.ordered),
            opt(row.back),
            row.why,
        ])?;
        Ok(())
    }
    /// The payout of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn transfer(&self, end_to_end: &str) -> Result<Option<TransferRow>, StoreError> {
        one(self.sql(&format!("SELECT {TRANSFER} FROM transfer WHERE end_to_end = ?1"))?, [end_to_end], transfer)
    }
    /// The payouts of a period.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn transfers(&self, period: u64) -> Result<Vec<TransferRow>, StoreError> {
        let sql = format!("SELECT {TRANSFER} FROM transfer WHERE period = ?1 ORDER BY party, unit");
        all(self.sql(&sql)?, [n(period)], transfer)
    }
    /// Payouts to one party, by period.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn transfers_of(&self, party: PartyId) -> Result<Vec<TransferRow>, StoreError> {
        let sql = format!("SELECT {TRANSFER} FROM transfer WHERE party = ?1 ORDER BY period, unit");
        all(self.sql(&sql)?, [party.0], transfer)
    }
    /// Payouts of this period and earlier ones that no file orders yet, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn transfers_waiting(&self, until: u64) -> Result<Vec<TransferRow>, StoreError> {
        let sql =
            format!("SELECT {TRANSFER} FROM transfer WHERE state = 1 AND period <= ?1 ORDER BY period, party, unit");
        all(self.sql(&sql)?, [n(until)], transfer)
    }
    /// What came back in this period: payee, unit, amount.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn came_back(&self, period: u64) -> Result<Vec<(PartyId, Unit, i64)>, StoreError> {
        let sql =
            "SELECT party, unit, sum(amount) FROM transfer WHERE back = ?1 GROUP BY party, unit ORDER BY party, unit";
        all(self.sql(sql)?, [n(period)], |row| Ok((PartyId(row.get()?), row.unit()?, row.get()?)))
    }
    /// The orders of a period, as they were first written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn payout_file(&self, period: u64) -> Result<Option<FileRow>, StoreError> {
        one(self.sql("SELECT at, iban, body FROM payout_file WHERE period = ?1")?, [n(period)], file)
    }
    /// Every file of orders.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn payout_files(&self) -> Result<Vec<FileRow>, StoreError> {
        all(self.sql("SELECT at, iban, body FROM payout_file ORDER BY period")?, [], file)
    }
    /// Keeps the orders of a period.
    ///
    /// # Errors
    /// [`StoreError::Twice`] if there are some, and others.
    pub fn put_payout_file(&self, period: u64, row: &FileRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO payout_file (period, at, iban, body) VALUES (?1, ?2, ?3, ?4)";
        self.sql(sql)?.execute(params![n(period), n(row.at.0), row.iban, row.body])?;
        Ok(())
    }
    /// Every bank statement, in the order in which they came.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bank_statements(&self) -> Result<Vec<FileRow>, StoreError> {
        all(self.sql("SELECT at, iban, body FROM bank_statement ORDER BY at, hash")?, [], file)
    }
    /// Keeps a bank statement; says whether it is new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_bank_statement(&self, row: &FileRow) -> Result<bool, StoreError> {
        let sql = "INSERT INTO bank_statement (hash, at, iban, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let hash = Hash::of(&row.body).0;
        Ok(self.sql(sql)?.execute(params![hash, n(row.at.0), row.iban, row.body])? > 0)
    }
}
