//! Amounts as the messages write them: a decimal with the currency's digits behind the point, and `Ccy` beside it.

use std::fmt;
use tegata_core::money::{Amount, Unit};

/// The most digits that the schemas allow in one number (`totalDigits`).
const DIGITS: usize = 18;

/// Why a text or amount cannot stand in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a number as the schemas write it, or one with a sign.
    #[error("an amount is digits with at most one point between them")]
    Shape,
    /// More than 18 digits, or beyond what this system counts.
    #[error("the amount has more digits than can be paid")]
    Large,
    /// More digits behind the point than the currency has.
    #[error("{0:?} has no such small fractions")]
    Fraction(Unit),
    /// Entries of a ticket and call units cannot be paid through a bank.
    #[error("this is no currency that payouts are made in")]
    Currency,
}

/// Whether banks know this unit: USD, EUR, JPY.
pub fn is_currency(unit: Unit) -> bool {
    [Unit::USD, Unit::EUR, Unit::JPY].contains(&unit)
}

/// The currency of an ISO 4217 code.
pub(crate) fn currency(code: &str) -> Result<Unit, AmountError> {
    Unit::parse(code).filter(|unit| is_currency(*unit)).ok_or(AmountError::Currency)
}

/// Reads `12.34` in this currency; white space around it is no part of an `xs:decimal`.
pub(crate) fn amount(unit: Unit, text: &str) -> Result<Amount, AmountError> {
    let text = trim(text);
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) {
        return Err(AmountError::Shape);
    }
    if text.bytes().filter(u8::is_ascii_digit).count() > DIGITS {
        return Err(AmountError::Large);
    }
    if text.contains('.') && part.len() > unit.decimals() {
        return Err(AmountError::Fraction(unit));
    }
    Amount::parse(unit, text).ok_or(AmountError::Large)
}

/// White space as XML has it, which surrounds numbers and dates without meaning.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// The sum of numbers whatever their currencies, in hundredths: what `CtrlSum` holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ControlSum(u128);

impl ControlSum {
    /// `None` if the sum needs more than the 18 digits that the schema has for it.
    pub fn of(amounts: impl IntoIterator<Item = Amount>) -> Option<Self> {
        let mut sum = 0u128;
        for amount in amounts {
            let scale = if amount.unit().decimals() == 0 { 100 } else { 1 };
            sum = sum.checked_add(u128::from(amount.minor()) * scale)?;
        }
        (sum < 10u128.pow(18)).then_some(Self(sum))
    }
    /// Reads it; digits behind the second must be zeros, for no currency here has more.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let text = trim(text);
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) {
            return Err(AmountError::Shape);
        }
        let part = part.trim_end_matches('0');
        if part.len() > 2 {
            return Err(AmountError::Shape);
        }
        if whole.len() + 2 > DIGITS {
            return Err(AmountError::Large);
        }
        let hundredths = format!("{whole}{part:0<2}").parse();
        hundredths.map(Self).map_err(|_| AmountError::Large)
    }
}

impl fmt::Display for ControlSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_have_their_currencys_digits() {
        let minor = |unit, text| amount(unit, text).map(Amount::minor);
        assert_eq!(minor(Unit::EUR, "12.34"), Ok(1234));
        assert_eq!(minor(Unit::EUR, " 12.3\n"), Ok(1230));
        assert_eq!(minor(Unit::JPY, "0500"), Ok(500));
        for (unit, wrong, why) in [
            (Unit::EUR, "", AmountError::Shape),
            (Unit::EUR, "-1", AmountError::Shape),
            (Unit::EUR, "+1", AmountError::Shape),
            (Unit::EUR, "1.", AmountError::Shape),
            (Unit::EUR, ".5", AmountError::Shape),
            (Unit::EUR, "1e3", AmountError::Shape),
            (Unit::EUR, "1,50", AmountError::Shape),
            (Unit::EUR, "1.2.3", AmountError::Shape),
            (Unit::EUR, "1.234", AmountError::Fraction(Unit::EUR)),
            (Unit::JPY, "1.0", AmountError::Fraction(Unit::JPY)),
            (Unit::EUR, "1234567890123456789", AmountError::Large),
            (Unit::EUR, "99999999999999.99", AmountError::Large),
        ] {
            assert_eq!(minor(unit, wrong), Err(why), "{wrong}");
        }
        assert_eq!(currency("entries"), Err(AmountError::Currency));
        assert_eq!(currency("XAU"), Err(AmountError::Currency));
    }

    #[test]
    fn a_control_sum_adds_numbers_of_any_currency() {
        let amounts = [Amount::new(Unit::EUR, 1050), Amount::new(Unit::JPY, 1000)].map(|one| one.expect("small"));
        let sum = ControlSum::of(amounts).expect("small");
        assert_eq!(sum.to_string(), "1010.50");
        for same in ["1010.50", "1010.5", " 01010.50000 "] {
            assert_eq!(ControlSum::parse(same), Ok(sum), "{same}");
        }
        for wrong in ["", "1010.505", "-1", "1.", "12345678901234567"] {
            assert!(ControlSum::parse(wrong).is_err(), "{wrong}");
        }
        let most = Amount::new(Unit::JPY, Amount::MAX).expect("the most");
        assert!(ControlSum::of([most; 9]).is_some());
        assert!(ControlSum::of([most; 10]).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(minor in 0..=Amount::MAX, unit in prop::sample::select(vec![Unit::EUR, Unit::JPY])) {
            let paid = Amount::new(unit, minor).expect("in range");
            prop_assert_eq!(amount(unit, &paid.decimal().to_string()), Ok(paid));
            if let Some(sum) = ControlSum::of([paid]) {
                prop_assert_eq!(ControlSum::parse(&sum.to_string()), Ok(sum));
            }
        }
    }
}
