//! Closed periods: what postings moved in each, against the positions, payouts, orders and trial balances that stand of it.
//! What the bank said of payouts is taken as recorded.

use crate::AuditError;
use crate::books::{ACCOUNTS, GUARANTOR, PAID, PAYABLE, Posting, Sums, cause, signed};
use crate::difference::{Findings, What};
use crate::numbers::{Book, book_name};
use crate::reading::{Id, each, has_table, hex, unit_name};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use tegata_iso20022::pain001::Batch;

/// Credited, undone, fees.
type Moved = [i128; 3];

/// What postings moved, by the period that they belong to.
#[derive(Debug, Default)]
pub(crate) struct Periods {
    /// All accounts.
    sums: BTreeMap<(u64, Book), Sums>,
    /// Payees, per book.
    payees: BTreeMap<(u64, Id, Book), Moved>,
}

/// Sides of positions, by their number in the schema.
const PAYEE: u64 = 1;
const ISSUER: u64 = 2;
const GUARANTEED: u64 = 3;

/// Before any other book.
const FIRST: Book = ([0; 16], 0);

/// A position: carried, credited, undone, fees, returned, due.
type Position = [i128; 6];
type Key = (Id, u16, u64);

fn row(carried: i128, [credited, undone, fees]: Moved, returned: i128) -> Position {
    [carried, credited, undone, fees, returned, carried + credited - undone - fees + returned]
}

impl Periods {
    /// Adds a posting. `provider` earns the fees.
    pub fn add(&mut self, posting: &Posting, provider: Id) {
        let (period, book, amount) = (posting.period, posting.book, posting.amount);
        let sums = self.sums.entry((period, book)).or_default();
        sums[posting.source] += signed(posting.source, -amount);
        sums[posting.target] += signed(posting.target, amount);
        let is_payees = |side| side == PAYABLE || side == PAID;
        let mut moved = |party: Id, at: usize, amount: i128| {
            self.payees.entry((period, party, book)).or_default()[at] += amount;
        };
        match (posting.what, is_payees(posting.source), is_payees(posting.target)) {
            (cause::FEE, ..) => {
                moved(posting.subject, 2, amount);
                moved(provider, 2, -amount);
            }
            (cause::FEE_BACK, ..) => {
                moved(posting.subject, 2, -amount);
                moved(provider, 2, amount);
            }
            (_, false, true) => moved(posting.party.unwrap_or_default(), 0, amount),
            (_, true, false) => moved(posting.party.unwrap_or_default(), 1, amount),
            _ => {}
        }
    }

    /// Compares what stands of closed periods with what was posted in them.
    pub fn compare(&self, connection: &Connection, provider: Id, findings: &mut Findings) -> Result<(), AuditError> {
        if !has_table(connection, "position")? {
            return Ok(());
        }
        let mut closed = BTreeSet::new();
        each(connection, "SELECT number FROM period WHERE stamped = 1", [], |row| {
            closed.insert(row.u64(0)?);
            Ok(())
        })?;
        self.movements(connection, findings)?;
        self.trial_balances(connection, &closed, findings)?;
        let positions = self.positions(connection, &closed, findings)?;
        payouts(connection, (&closed, provider), &positions, findings)?;
        orders(connection, findings)
    }

    fn movements(&self, connection: &Connection, findings: &mut Findings) -> Result<(), AuditError> {
        let mut found = BTreeMap::new();
        let sql = "SELECT period, party, issuer, unit, credited, undone, fees FROM movement";
        each(connection, sql, [], |row| {
            let key = (row.u64(0)?, row.get::<Id>(1)?, (row.get::<Id>(2)?, row.get::<u16>(3)?));
            let amount = |at| row.get::<i64>(at).map(i128::from);
            found.insert(key, [amount(4)?, amount(5)?, amount(6)?]);
            Ok(())
        })?;
        // Postings before this format belong to no period.
        let expected = self.payees.iter().filter(|((period, ..), moved)| *period > 0 && **moved != [0; 3]);
        let keys: BTreeSet<_> = expected.map(|(key, _)| key).chain(found.keys()).collect();
        for key in keys {
            let evidence = self.payees.get(key).copied().unwrap_or_default();
            let ledger = found.get(key).copied().unwrap_or_default();
            findings.expect(evidence == ledger, What::Balance, || {
                let (period, party, book) = key;
                let about = format!("what party-{} was credited in period {period} of {}", hex(party), book_name(book));
                (about, format!("{evidence:?}"), format!("{ledger:?}"), "its row of table movement".to_owned())
            });
        }
        Ok(())
    }

    fn trial_balances(
        &self,
        connection: &Connection,
        closed: &BTreeSet<u64>,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let mut found: BTreeMap<(u64, Book), Sums> = BTreeMap::new();
        each(connection, "SELECT period, issuer, unit, kind, amount FROM trial_balance", [], |row| {
            let sums = found.entry((row.u64(0)?, (row.get(1)?, row.get(2)?))).or_default();
            if let Some(sum) = usize::try_from(row.u64(3)?).ok().and_then(|code| sums.get_mut(code.wrapping_sub(1))) {
                *sum += i128::from(row.get::<i64>(4)?);
            }
            Ok(())
        })?;
        // Each book from its first posting on, period by period.
        let mut books: BTreeMap<Book, Sums> = BTreeMap::new();
        let posted = self.sums.keys().map(|(period, _)| *period);
        for period in posted.chain(closed.iter().copied()).collect::<BTreeSet<_>>() {
            for ((_, book), more) in self.sums.range((period, FIRST)..).take_while(|((at, _), _)| *at == period) {
                books.entry(*book).or_default().iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            }
            for (book, evidence) in books.iter().filter(|_| closed.contains(&period)) {
                let ledger = found.get(&(period, *book)).copied().unwrap_or_default();
                for side in (0..ACCOUNTS.len()).filter(|side| evidence[*side] != ledger[*side]) {
                    findings.expect(false, What::Balance, || {
                        let account = ACCOUNTS[side];
                        let about = format!("{account} in the trial balance of period {period} of {}", book_name(book));
                        let nearest = "its rows of table trial_balance".to_owned();
                        (about, format!("{} by its postings", evidence[side]), ledger[side].to_string(), nearest)
                    });
                }
            }
        }
        Ok(())
    }

    /// Positions as recorded, each compared with what postings, returns and the period before make.
    fn positions(
        &self,
        connection: &Connection,
        closed: &BTreeSet<u64>,
        findings: &mut Findings,
    ) -> Result<BTreeMap<(u64, Key), Position>, AuditError> {
        let mut found: BTreeMap<(u64, Key), Position> = BTreeMap::new();
        let sql = "SELECT period, party, unit, side, carried, credited, undone, fees, returned, due FROM position";
        each(connection, sql, [], |row| {
            let amount = |at| row.get::<i64>(at).map(i128::from);
            let position = [amount(4)?, amount(5)?, amount(6)?, amount(7)?, amount(8)?, amount(9)?];
            found.insert((row.u64(0)?, (row.get(1)?, row.get(2)?, row.u64(3)?)), position);
            Ok(())
        })?;
        let mut returned: BTreeMap<(u64, Key), i128> = BTreeMap::new();
        each(connection, "SELECT back, party, unit, amount FROM transfer WHERE back IS NOT NULL", [], |row| {
            let key = (row.u64(0)?, (row.get(1)?, row.get(2)?, PAYEE));
            *returned.entry(key).or_default() += i128::from(row.get::<i64>(3)?);
            Ok(())
        })?;
        let mut moved: BTreeMap<(u64, Key), Moved> = BTreeMap::new();
        let mut add = |key, of: Moved| {
            let sums: &mut Moved = moved.entry(key).or_default();
            sums.iter_mut().zip(of).for_each(|(sum, of)| *sum += of);
        };
        for ((period, party, book), [credited, undone, fees]) in &self.payees {
            add((*period, (*party, book.1, PAYEE)), [*credited, *undone, *fees]);
            add((*period, (book.0, book.1, ISSUER)), [*credited, *undone, 0]);
        }
        for ((period, book), sums) in &self.sums {
            add((*period, (book.0, book.1, ISSUER)), [-sums[GUARANTOR], 0, 0]);
            add((*period, (book.0, book.1, GUARANTEED)), [sums[GUARANTOR], 0, 0]);
        }
        let keys: BTreeSet<(u64, Key)> = found
            .keys()
            .chain(moved.keys())
            .chain(returned.keys())
            .copied()
            .filter(|(at, _)| closed.contains(at))
            .collect();
        // Who carries something on has a position in the next period, too.
        let carried_on = found
            .iter()
            .filter(|((period, _), position)| closed.contains(&period.saturating_add(1)) && position[5] < 0);
        let keys: BTreeSet<_> =
            carried_on.map(|((period, key), _)| (period.saturating_add(1), *key)).chain(keys).collect();
        for at in keys {
            let (period, key) = at;
            let ledger = found.get(&at).copied().unwrap_or_default();
            let before = found
                .get(&(period.saturating_sub(1), key))
                .filter(|_| period > 0)
                .map_or(0, |position| position[5].min(0));
            // The first period of this format begins with what stood before.
            let first = period > 1 && !closed.contains(&(period - 1));
            let carried = if first { ledger[0] } else { before };
            let evidence = row(
                carried,
                moved.get(&at).copied().unwrap_or_default(),
                returned.get(&at).copied().unwrap_or_default(),
            );
            findings.expect(evidence == ledger, What::Balance, || {
                let (party, unit, side) = key;
                let what = ["?", "due to", "owed by", "guaranteed for"];
                let what = usize::try_from(side).ok().and_then(|side| what.get(side)).unwrap_or(&"?");
                let about = format!("{what} party-{} in {} for period {period}", hex(&party), unit_name(unit));
                let nearest = "its row of table position (carried, credited, undone, fees, returned, due)".to_owned();
                (about, format!("{evidence:?}"), format!("{ledger:?}"), nearest)
            });
        }
        Ok(found)
    }
}

/// What was due is paid out, to the cent, and nothing else is.
fn payouts(
    connection: &Connection,
    (closed, provider): (&BTreeSet<u64>, Id),
    positions: &BTreeMap<(u64, Key), Position>,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let mut due: BTreeMap<(u64, Id, u16), [i128; 3]> = BTreeMap::new();
    for ((period, (party, unit, side)), position) in positions {
        if *side == PAYEE {
            due.entry((*period, *party, *unit)).or_default()[0] = position[5].max(0);
        }
    }
    for (table, at) in [
        ("SELECT period, merchant, unit, amount FROM payout", 1),
        ("SELECT period, party, unit, amount FROM transfer", 2),
    ] {
        each(connection, table, [], |row| {
            let key = (row.u64(0)?, row.get(1)?, row.get(2)?);
            due.entry(key).or_default()[at] += i128::from(row.get::<i64>(3)?);
            Ok(())
        })?;
    }
    for ((period, party, unit), [position, payout, transfer]) in
        due.iter().filter(|((period, ..), _)| closed.contains(period))
    {
        // The provider pays itself nothing by bank; nor is anything paid that is no currency.
        let by_bank = if *party == provider || *unit >= 1000 { 0 } else { *position };
        findings.expect(position == payout && *transfer == by_bank, What::Balance, || {
            let about = format!("paid out to party-{} in {} for period {period}", hex(party), unit_name(*unit));
            let ledger = format!("{payout} in its parts, {transfer} by bank");
            (about, format!("{position} due"), ledger, "its rows of tables payout and transfer".to_owned())
        });
    }
    Ok(())
}

/// Files of orders pay what stands in table transfer, each payout once.
fn orders(connection: &Connection, findings: &mut Findings) -> Result<(), AuditError> {
    let mut files: BTreeMap<(u64, String), i128> = BTreeMap::new();
    each(connection, "SELECT period, body FROM payout_file", [], |row| {
        let (period, body) = (row.u64(0)?, row.get::<Vec<u8>>(1)?);
        let batch = Batch::read(&body);
        findings.expect(batch.is_ok(), What::Row, || {
            let nearest = "its row of table payout_file".to_owned();
            (format!("the orders of period {period}"), "a file of orders", "something else", nearest)
        });
        for transfer in batch.iter().flat_map(Batch::transfers) {
            let amount = i128::from(transfer.amount.minor());
            *files.entry((period, transfer.end_to_end.to_string())).or_default() += amount;
        }
        Ok(())
    })?;
    each(connection, "SELECT ordered, end_to_end, amount FROM transfer WHERE ordered IS NOT NULL", [], |row| {
        let (period, name, amount) = (row.u64(0)?, row.get::<String>(1)?, i128::from(row.get::<i64>(2)?));
        let ordered = files.remove(&(period, name.clone())).unwrap_or(0);
        findings.expect(ordered == amount, What::Row, || {
            let (evidence, ledger) = (format!("{amount} to be paid"), format!("{ordered} ordered"));
            (format!("the payout {name}"), evidence, ledger, format!("the orders of period {period}"))
        });
        Ok(())
    })?;
    for ((period, name), amount) in files {
        findings.expect(false, What::Row, || {
            let nearest = format!("the orders of period {period}");
            (format!("the payout {name}"), "nothing to be paid".to_owned(), format!("{amount} ordered"), nearest)
        });
    }
    Ok(())
}
