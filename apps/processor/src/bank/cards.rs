//! The test cards.

use tegata_iso8583::{Pan, ResponseCode};

/// How the bank behaves for a card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestCard {
    /// Approves.
    Approved,
    /// Declines with 05.
    Declined,
    /// Declines with 51.
    Funds,
    /// Declines with 54.
    Expired,
    /// Says 91.
    Later,
    /// Approves half.
    Partial,
    /// Approves; its answer to 0100 is lost.
    Silent,
    /// Never gets the 0100.
    Lost,
    /// Answers 0100 late.
    Late,
    /// Answers everything twice.
    Twice,
    /// Answers 0100 with a malformed bitmap.
    Garbled,
    /// Approves and says 96.
    Unclear,
    /// Loses the first answers to 0200 and 0400.
    Forgetful,
    /// Approves, and refuses every capture with 05.
    Reneging,
    /// Approves and lets itself be charged, and refuses every refund with 05.
    Keeping,
}

impl TestCard {
    /// All of them, each with its number.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::Approved, "4111111111111111"),
        (Self::Declined, "4000000000000002"),
        (Self::Funds, "4000000000000010"),
        (Self::Expired, "4000000000000028"),
        (Self::Later, "4000000000000036"),
        (Self::Partial, "4000000000000044"),
        (Self::Silent, "4000000000000051"),
        (Self::Lost, "4000000000000069"),
        (Self::Late, "4000000000000077"),
        (Self::Twice, "4000000000000085"),
        (Self::Garbled, "4000000000000093"),
        (Self::Unclear, "4000000000000101"),
        (Self::Forgetful, "4000000000000119"),
        (Self::Reneging, "4000000000000127"),
        (Self::Keeping, "4000000000000135"),
    ];
    /// How the bank behaves for this card; it approves those that it does not know.
    pub fn of(pan: &Pan) -> Self {
        let found = Self::ALL.into_iter().find(|(_, digits)| digits.as_bytes() == pan.reveal());
        found.map_or(Self::Approved, |(card, _)| card)
    }
    /// Whether the bank says yes at first, and no when money shall move.
    pub fn refuses_later(self) -> bool {
        matches!(self, Self::Reneging | Self::Keeping)
    }
    /// Its number.
    pub fn number(self) -> &'static str {
        let found = Self::ALL.into_iter().find(|(card, _)| *card == self);
        found.map_or("", |(_, digits)| digits)
    }
    /// Why the bank says no to an authorization, if it does.
    pub(crate) fn refusal(self) -> Option<ResponseCode> {
        match self {
            Self::Declined => Some(ResponseCode::DoNotHonor),
            Self::Funds => Some(ResponseCode::InsufficientFunds),
            Self::Expired => Some(ResponseCode::ExpiredCard),
            Self::Later => Some(ResponseCode::IssuerUnavailable),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_card_is_a_card_and_known_by_its_number() {
        for (card, digits) in TestCard::ALL {
            let pan = Pan::parse(digits.as_bytes()).unwrap_or_else(|why| panic!("{digits}: {why}"));
            assert_eq!(TestCard::of(&pan), card);
            assert_eq!(card.number(), digits);
        }
    }
}
