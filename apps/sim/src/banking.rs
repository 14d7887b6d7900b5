//! The bank that pays payouts: it takes orders (`pain.001`), pays each file once, gives some payouts back, and tells all of it in
//! statements (`camt.053`) that come late, twice and in any order.

use crate::dice::Dice;
use std::collections::BTreeSet;
use tegata_core::{Amount, Time, Unit};
use tegata_iso20022::camt053::{Balance, Counterparty, Detail, Entry, Reason, Return, Side, Statement, StatementHead};
use tegata_iso20022::pain001::{Batch, Transfer};
use tegata_iso20022::value::{Date, Iban, Text};

/// The provider's own account.
pub const OURS: (&str, &str) = ("DE89370400440532013000", "COBADEFFXXX");
/// Accounts of payees: merchants first, then the issuer.
pub const THEIRS: [&str; 3] = ["GB82WEST12345698765432", "FR1420041010050500013M02606", "NL91ABNA0417164300"];
/// How many payouts in a thousand are given back.
const RETURNED: u64 = 400;

/// A payout that the bank made.
#[derive(Clone, Debug)]
pub struct Paid {
    /// Its order.
    pub transfer: Transfer,
    /// It is given back some day.
    returns: bool,
    /// It was given back.
    pub back: bool,
}

/// The bank.
pub struct PayingBank {
    dice: Dice,
    /// Files that it has carried out, by message id.
    files: BTreeSet<String>,
    /// Everything it ever paid, in order.
    pub paid: Vec<Paid>,
    /// Nothing is given back any more.
    pub calm: bool,
    entries: Vec<Entry>,
    references: u64,
    statements: Vec<Vec<u8>>,
    untold: Vec<usize>,
}

fn text<const MAX: usize>(text: &str) -> Result<Text<MAX>, String> {
    Text::new("text", text).map_err(|error| error.to_string())
}

impl PayingBank {
    /// A bank that has paid nothing.
    pub fn new(dice: Dice) -> Self {
        Self {
            dice,
            files: BTreeSet::new(),
            paid: Vec::new(),
            calm: false,
            entries: Vec::new(),
            references: 0,
            statements: Vec::new(),
            untold: Vec::new(),
        }
    }
    /// Carries a file out; one that it has carried out already changes nothing. How many payouts that were.
    ///
    /// # Errors
    /// It is no file of orders: in words.
    pub fn take(&mut self, file: &[u8], now: Time) -> Result<usize, String> {
        let batch = Batch::read(file).map_err(|error| error.to_string())?;
        if !self.files.insert(batch.head().message.as_str().to_owned()) {
            return Ok(0);
        }
        for transfer in batch.transfers() {
            let returns = !self.calm && self.dice.chance(RETURNED);
            self.book(transfer, Side::Debit, now)?;
            self.paid.push(Paid { transfer: transfer.clone(), returns, back: false });
        }
        Ok(batch.transfers().len())
    }
    /// Its day ends: some payouts are given back, and what was booked since becomes a statement.
    ///
    /// # Errors
    /// It makes no statement: in words.
    pub fn day(&mut self, now: Time) -> Result<(), String> {
        for at in 0..self.paid.len() {
            let returns = self.paid[at].returns && !self.paid[at].back;
            if returns && (self.calm || self.dice.chance(500)) {
                self.paid[at].back = true;
                let transfer = self.paid[at].transfer.clone();
                self.book(&transfer, Side::Credit, now)?;
            }
        }
        if self.entries.is_empty() {
            return Ok(());
        }
        let number = self.statements.len() as u64 + 1;
        let date = Date::of(now).map_err(|error| error.to_string())?;
        let head = StatementHead {
            message: text(&format!("M{number}"))?,
            id: text(&format!("S{number}"))?,
            sequence: number,
            created: now,
            account: Iban::new(OURS.0).map_err(|error| error.to_string())?,
            opening: Balance {
                amount: Amount::new(Unit::USD, 100_000_000).ok_or("an amount")?,
                side: Side::Credit,
                date,
            },
        };
        let statement = Statement::new(head, date, std::mem::take(&mut self.entries));
        self.untold.push(self.statements.len());
        self.statements.push(statement.map_err(|error| error.to_string())?.write());
        Ok(())
    }
    fn book(&mut self, transfer: &Transfer, side: Side, now: Time) -> Result<(), String> {
        self.references += 1;
        let returned = (side == Side::Credit).then(|| text("AC04")).transpose()?;
        let detail = Detail {
            end_to_end: Some(text(transfer.end_to_end.as_str())?),
            amount: transfer.amount,
            side,
            counterparty: Some(Counterparty { name: None, account: Some(transfer.creditor.account.clone()) }),
            returned: returned.map(|code| Return { reason: Some(Reason::Code(code)), text: None }),
        };
        let date = Date::of(now).map_err(|error| error.to_string())?;
        self.entries.push(Entry::of_one(text(&format!("R{}", self.references))?, date, detail));
        Ok(())
    }
    /// A statement that it sends now, by its number: one of those that it has not told, or, at times, an old one again.
    pub fn tells(&mut self) -> Option<(usize, Vec<u8>)> {
        let again = !self.calm && self.dice.chance(250);
        let at = if again || self.untold.is_empty() {
            (!self.calm).then(|| self.dice.index(self.statements.len()))?
        } else {
            self.untold[self.dice.index(self.untold.len())]
        };
        self.statements.get(at).map(|bytes| (at, bytes.clone()))
    }
    /// A statement was taken up.
    pub fn told(&mut self, at: usize) {
        self.untold.retain(|untold| *untold != at);
    }
    /// All that stands is given back one day.
    pub fn give_back(&mut self) {
        self.paid.iter_mut().for_each(|paid| paid.returns = true);
    }
    /// What it paid and did not give back, to this account, in minor units.
    pub fn stands(&self, account: &str) -> u64 {
        let to = |paid: &&Paid| paid.transfer.creditor.account.as_str() == account && !paid.back;
        self.paid.iter().filter(to).map(|paid| paid.transfer.amount.minor()).sum()
    }
}
