//! When a call, or a way to the network, ends by what its card holds. A wallet knows that with the price; a switch hears of it with the last
//! check, which is too late for ten seconds where units are short.

use tegata_core::charging::WARNING;
use tegata_core::talk::call::CallerNotice;

/// Warns the person in time, once.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    /// How long it lasts since the answer, in milliseconds; `None`: for ever, or the person is warned.
    most: Option<u64>,
}

impl Lasting {
    /// Hears what the person is told.
    pub(crate) fn hear(&mut self, notice: &CallerNotice) {
        match notice {
            CallerNotice::Consent { tariff, units, .. } if tariff.price > 0 => {
                self.most = units.checked_mul(tariff.length);
            }
            // The card, its terms or its user allow for less than the card holds: the switch knew first.
            CallerNotice::Warned(_) => self.most = None,
            _ => {}
        }
    }
    /// The warning that is due after so many milliseconds: ten seconds before the end, or at once where there are less.
    pub(crate) fn warns(&mut self, lasted: u64) -> Option<CallerNotice> {
        let most = self.most.take_if(|most| most.saturating_sub(lasted) <= WARNING)?;
        Some(CallerNotice::Warned(most.saturating_sub(lasted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::charging::CallTariff;
    use tegata_core::{Hash, Time, Unit};

    /// A price for each second, and a card that lasts for so many.
    fn lasting(price: u64, units: u64) -> Lasting {
        let tariff = CallTariff {
            transaction: 1,
            unit: Unit::USD,
            setup: 0,
            price,
            length: 1_000,
            minimum: 1,
            setup_kept: None,
            tariff: Hash::ZERO,
            called: "4930".into(),
            at: Time(0),
            expires: Time(60),
            extensions: Default::default(),
        };
        let mut lasting = Lasting::default();
        lasting.hear(&CallerNotice::Consent { by: "exchange".into(), tariff, units });
        lasting
    }

    #[test]
    fn the_person_is_warned_once_and_in_time() {
        let mut long = lasting(5, 60);
        assert_eq!(long.warns(49_999), None);
        assert_eq!(long.warns(50_000), Some(CallerNotice::Warned(10_000)));
        assert_eq!(long.warns(50_100), None, "once");
        assert_eq!(lasting(5, 3).warns(0), Some(CallerNotice::Warned(3_000)), "at once");
        assert_eq!(lasting(0, u64::MAX).warns(u64::MAX), None, "what costs nothing does not end");
        let mut told = lasting(5, 60);
        told.hear(&CallerNotice::Warned(400));
        assert_eq!(told.warns(50_000), None, "the switch has said it");
    }
}
