//! Accounts: one unit of one issuer each.

use tegata_core::{CardId, IssuerId, MerchantId, Unit};

/// What an account is for, by its number in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// The source of all value; grows as numbers are activated.
    Issued = 1,
    /// Activated numbers that are on no card yet.
    Waiting = 2,
    /// On cards.
    Held = 3,
    /// Left a card by a check, and not claimed or not taken up again.
    InFlight = 4,
    /// Owed to merchants.
    Payable = 5,
    /// Paid out to merchants.
    Paid = 6,
    /// Returned to holders outside the system.
    Refunded = 7,
    /// Of cards past their last moment.
    Expired = 8,
    /// Claimed by two, until a person decides.
    Disputed = 9,
    /// Overspent value that a guarantor covers.
    Guarantor = 10,
}

impl Side {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 10] = [
        Self::Issued,
        Self::Waiting,
        Self::Held,
        Self::InFlight,
        Self::Payable,
        Self::Paid,
        Self::Refunded,
        Self::Expired,
        Self::Disputed,
        Self::Guarantor,
    ];
    /// Its number in the store.
    pub fn code(self) -> u8 {
        self as u8
    }
    /// By its number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.code() == code)
    }
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::InFlight => "in flight",
            Self::Payable => "payable",
            Self::Paid => "paid",
            Self::Refunded => "refunded",
            Self::Expired => "expired",
            Self::Disputed => "disputed",
            Self::Guarantor => "guarantor",
        }
    }
    /// Whether value comes out of it: its balance counts what left it, and posting to it gives back.
    pub fn is_source(self) -> bool {
        matches!(self, Self::Issued | Self::Guarantor)
    }
}

/// What one account is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// See [`Side::Issued`].
    Issued,
    /// See [`Side::Waiting`].
    Waiting,
    /// On this card.
    Held(CardId),
    /// Left this card.
    InFlight(CardId),
    /// Owed to this merchant.
    Payable(MerchantId),
    /// Paid to this merchant.
    Paid(MerchantId),
    /// See [`Side::Refunded`].
    Refunded,
    /// See [`Side::Expired`].
    Expired,
    /// See [`Side::Disputed`].
    Disputed,
    /// Covers what this card overspent.
    Guarantor(CardId),
}

impl Kind {
    /// The side of the equation it counts on.
    pub fn side(self) -> Side {
        match self {
            Self::Issued => Side::Issued,
            Self::Waiting => Side::Waiting,
            Self::Held(_) => Side::Held,
            Self::InFlight(_) => Side::InFlight,
            Self::Payable(_) => Side::Payable,
            Self::Paid(_) => Side::Paid,
            Self::Refunded => Side::Refunded,
            Self::Expired => Side::Expired,
            Self::Disputed => Side::Disputed,
            Self::Guarantor(_) => Side::Guarantor,
        }
    }
}

/// One account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Who owes what is in it.
    pub issuer: IssuerId,
    /// What it counts.
    pub unit: Unit,
    /// What it is for.
    pub kind: Kind,
}

impl Account {
    /// An account.
    pub fn new(issuer: IssuerId, unit: Unit, kind: Kind) -> Self {
        Self { issuer, unit, kind }
    }
}
