//! The equation of R10, per issuer and unit.

use crate::account::Side;

/// Sums over all accounts of one issuer and unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Equation {
    sums: [i128; 10],
}

/// Value appeared or disappeared: the program or its data are at fault, nothing may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the books do not balance: issued and guaranteed {left}, accounted for {right}; stop and audit")]
pub struct Unbalanced {
    /// Issued and covered by guarantors.
    pub left: i128,
    /// Everything else.
    pub right: i128,
}

impl Equation {
    fn at(side: Side) -> usize {
        usize::from(side.code()) - 1
    }
    /// The sum of one side.
    pub fn sum(&self, side: Side) -> i128 {
        self.sums[Self::at(side)]
    }
    /// Adds to a side's sum.
    pub fn add(&mut self, side: Side, amount: i128) {
        self.sums[Self::at(side)] += amount;
    }
    /// Issued and covered by guarantors.
    pub fn left(&self) -> i128 {
        Side::ALL.into_iter().filter(|side| side.is_source()).map(|side| self.sum(side)).sum()
    }
    /// Waiting, held, in flight, payable, paid, refunded, expired, disputed.
    pub fn right(&self) -> i128 {
        Side::ALL.into_iter().filter(|side| !side.is_source()).map(|side| self.sum(side)).sum()
    }
    /// issued = waiting + held + in flight + payable + paid + refunded + expired + disputed - guarantors.
    ///
    /// # Errors
    /// [`Unbalanced`].
    pub fn check(&self) -> Result<(), Unbalanced> {
        let (left, right) = (self.left(), self.right());
        if left == right { Ok(()) } else { Err(Unbalanced { left, right }) }
    }
}
