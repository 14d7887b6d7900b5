//! Entries of a statement, and what each consists of.

use crate::value::{Date, Iban, Text};
use tegata_core::money::Amount;

/// Which way money went, or on which side a balance is, seen from the account's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// `CRDT`: came in; the owner has it. A balance of nothing is a credit.
    Credit,
    /// `DBIT`: went out; the owner owes it.
    Debit,
}

impl Side {
    /// An amount with its sign, in minor units: credits count up.
    pub fn signed(self, amount: Amount) -> i128 {
        match self {
            Self::Credit => i128::from(amount.minor()),
            Self::Debit => -i128::from(amount.minor()),
        }
    }
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Credit => "CRDT",
            Self::Debit => "DBIT",
        }
    }
}

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// `BOOK`: it counts in the balances.
    Booked,
    /// `PDNG`: expected, in no booked balance.
    Pending,
    /// `INFO`: told only, for instance a transfer that the bank refused before booking it.
    Told,
}

impl Status {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Booked => "BOOK",
            Self::Pending => "PDNG",
            Self::Told => "INFO",
        }
    }
}

/// Who stands on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterparty {
    /// As the bank knows it; in any script.
    pub name: Option<Text<140>>,
    /// Its account, if it has an IBAN.
    pub account: Option<Iban>,
}

/// Why a bank gave money back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A code of ISO's list of return reasons, such as `AC04`.
    Code(Text<4>),
    /// The bank's own word.
    Own(Text<35>),
}

impl Reason {
    /// What the code means, for people; `None` for codes that are rare in payouts, and for a bank's own words.
    pub fn meaning(&self) -> Option<&'static str> {
        let Self::Code(code) = self else { return None };
        Some(match code.as_str() {
            "AC01" | "AC03" => "the account number is wrong",
            "AC04" => "the account is closed",
            "AC06" => "the account is blocked",
            "AC13" => "the account is of a kind that takes no such payment",
            "AG01" => "this account takes no credit transfers",
            "AG02" => "the bank does not know this kind of payment",
            "AM04" => "there was not enough money",
            "AM05" => "it was taken for a duplicate",
            "AM09" => "the amount is not what it should be",
            "BE01" | "BE04" => "name or address does not fit the account",
            "CUST" => "the payer asked for it",
            "DUPL" => "it was paid twice",
            "FOCR" => "the payer's bank asked for it back",
            "MD07" => "the account's owner has died",
            "MS02" => "the creditor does not want it; no reason given",
            "MS03" => "the bank gave no reason",
            "NARR" => "see the bank's text",
            "RC01" => "the bank's code is wrong",
            "RR01" | "RR02" | "RR03" | "RR04" => "a regulation forbids it or wants to know more",
            "TM01" => "it came too late in the day",
            _ => return None,
        })
    }
}

/// A payment that was returned, or refused before it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// Why, if the bank says so.
    pub reason: Option<Reason>,
    /// The bank's text, if it wrote one; the first, if it wrote several.
    pub text: Option<Text<105>>,
}

/// One payment within an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The name its payer gave it; `None` if there is none (`NOTPROVIDED`).
    pub end_to_end: Option<Text<35>>,
    /// How much of the entry.
    pub amount: Amount,
    /// Which way; nearly always the entry's.
    pub side: Side,
    /// Who stands on the other side: the creditor of what we pay, also when it comes back.
    pub counterparty: Option<Counterparty>,
    /// Set if this gives a payment back, or tells that it was refused.
    pub returned: Option<Return>,
}

/// One line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bank's name for it (`AcctSvcrRef`), the same whenever the entry is told again and of no other entry of the
    /// account. It is what keeps an entry from being counted twice.
    pub reference: Text<35>,
    /// How much. Banks also list entries of nothing.
    pub amount: Amount,
    /// Which way.
    pub side: Side,
    /// How far it has come.
    pub status: Status,
    /// Whether it takes back an earlier entry (`RvslInd`).
    pub is_reversal: bool,
    /// The bank's day of booking; of an entry that is not booked, the day it is told of.
    pub booked: Date,
    /// What it consists of. Empty if the bank does not say; several if it booked payments together.
    pub details: Vec<Detail>,
}

impl Entry {
    /// A booked entry of one payment.
    pub fn of_one(reference: Text<35>, booked: Date, detail: Detail) -> Self {
        let (amount, side) = (detail.amount, detail.side);
        Self { reference, amount, side, status: Status::Booked, is_reversal: false, booked, details: vec![detail] }
    }
}
