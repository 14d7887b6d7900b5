//! What a part of what was bought has cost: what goes back for what is left of it.
//!
//! On a card in money a part is worth itself. Call units are sold for a price, and a part of them is worth its share of that, rounded
//! down to the minor unit. It is counted from totals: what goes back now is the share of all that has gone back by then, less the share
//! of what had gone back before. So the rest of a cent is lost once at most, and all parts together are paid back at no more than the
//! price.

/// What this part of `face` has cost, which cost `price` as a whole. `None`: nothing was on it.
fn share((face, price): (u64, u64), part: u64) -> Option<u64> {
    let whole = u128::from(price).checked_mul(u128::from(part.min(face)))?;
    u64::try_from(whole.checked_div(u128::from(face))?).ok()
}

/// What goes back for this part after `before` of it has gone back.
pub(super) fn now_due(sold: (u64, u64), before: u64, part: u64) -> Option<u64> {
    share(sold, before.checked_add(part)?)?.checked_sub(share(sold, before)?)
}

/// The least part, after `before`, for which so much goes back: what the bank has paid for, where it paid less than it was asked for.
pub(super) fn paid_for((face, price): (u64, u64), before: u64, money: u64) -> Option<u64> {
    let total = share((face, price), before)?.checked_add(money)?;
    let part = u128::from(total).checked_mul(u128::from(face))?.div_ceil(u128::from(price.max(1)));
    u64::try_from(part).ok()?.checked_sub(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_money_is_worth_itself() {
        assert_eq!(share((2_000, 2_000), 750), Some(750));
        assert_eq!(now_due((2_000, 2_000), 500, 750), Some(750));
        assert_eq!(paid_for((2_000, 2_000), 500, 750), Some(750));
    }

    #[test]
    fn a_part_of_units_is_worth_its_share_rounded_down() {
        // 7 units for 10.00.
        let sold = (7, 1_000);
        for (part, money) in [(0, 0), (1, 142), (2, 285), (3, 428), (6, 857), (7, 1_000), (8, 1_000)] {
            assert_eq!(share(sold, part), Some(money), "{part}");
        }
        assert_eq!(share((0, 1_000), 1), None);
        let most = tegata_core::Amount::MAX;
        assert_eq!(share((most, most), most), Some(most), "as much as an amount can be");
    }

    #[test]
    fn parts_one_after_the_other_are_paid_back_at_the_price_and_never_more() {
        for sold in [(7_u64, 1_000_u64), (3, 1), (1_000, 7), (60, 60), (1, 999)] {
            let (mut before, mut paid) = (0, 0);
            while before < sold.0 {
                let part = (sold.0 - before).div_ceil(2);
                paid += now_due(sold, before, part).expect("a share");
                before += part;
                assert_eq!(Some(paid), share(sold, before), "{sold:?} after {before}");
            }
            assert_eq!(paid, sold.1, "{sold:?}");
        }
    }

    #[test]
    fn what_the_bank_pays_in_part_pays_for_the_least_part_that_is_worth_it() {
        for sold in [(7, 1_000), (1_000, 7), (60, 60)] {
            for before in [0, 1, sold.0 / 2] {
                let most = now_due(sold, before, sold.0 - before).expect("a share");
                for money in 1..=most {
                    let part = paid_for(sold, before, money).expect("a part");
                    assert!(now_due(sold, before, part).expect("a share") >= money, "{sold:?} {before} {money}");
                    assert!(now_due(sold, before, part - 1).expect("a share") < money, "{sold:?} {before} {money}");
                    assert!(before + part <= sold.0);
                }
            }
        }
    }
}
