//! What no gate can tell a wallet: that its holder came in by a code (R21). The holder says it, and is believed by that wallet alone.

use super::wallet::Pass;
use crate::card::ticket::{GATE_TOLERANCE, TicketTerms};
use crate::money::Time;

/// Why a wallet does not take its holder's word; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotByCode {
    /// No code was shown for the entry that is next.
    #[error(
        "no code was shown for the next entry, so that nobody came in by one; what a touch has let in this wallet has heard from the gate, \
         or hears with the next touch"
    )]
    NoCode,
    /// Whoever came in by it is inside, or has gone out by a touch.
    #[error(
        "the day of that code is not over: whoever came in by it goes out by a touch. It can be said tomorrow, or by whoever went out with \
         no touch, where the ticket lets in again"
    )]
    DayLasts,
}

impl Pass {
    /// Whether a code for the next entry may have let in on a day that is over, as some gate's clock says by now: then the code of now is
    /// for an entry that was used. Of a code whose moment is not known it may.
    pub fn may_have_come_in(&self, terms: &TicketTerms, now: Time) -> bool {
        let is_over = |at: Time| terms.is_day_over(terms.day(at), now.after(GATE_TOLERANCE));
        self.coded_entry().is_some() && self.coded_at.is_none_or(is_over)
    }
    /// After its holder's word that the last code has let in, and that they went out since with no touch: a gate's answer to a touch would
    /// have left the same. Nobody undoes it. Where it is not true, that entry is given up, and nothing else: as nothing is shown for it
    /// any more that asks to come in, no attempt has a number that another one had (R20).
    ///
    /// # Errors
    /// [`NotByCode`].
    pub fn came_in(&self, terms: &TicketTerms, now: Time, went_out: bool) -> Result<Self, NotByCode> {
        let entry = self.coded_entry().ok_or(NotByCode::NoCode)?;
        let is_out = went_out && terms.reentry;
        if !is_out && !self.may_have_come_in(terms, now) {
            return Err(NotByCode::DayLasts);
        }
        let since = self.coded_at.filter(|_| !went_out);
        let mut after = self.clone();
        after.settled(entry, !went_out);
        Ok(Self { since, left: None, ..after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;
    use alloc::vec;

    /// On the eleventh day since 1970.
    const DOORS: Time = Time(1_000_000);
    const MIDNIGHT: Time = Time(12 * Time::DAY);

    fn terms() -> TicketTerms {
        TicketTerms {
            event: EventId([1; 16]),
            place: "Town hall".into(),
            from: DOORS,
            until: DOORS.after(3 * Time::DAY),
            zones: vec![1],
            entries: 3,
            a_day: None,
            day_begins: 0,
            reentry: true,
            companions: 0,
            door: None,
            give_until: None,
            give_price: None,
            refund_until: None,
            seating: None,
            extensions: Default::default(),
        }
    }
    /// A code was shown for the first entry as the doors opened.
    fn coded() -> Pass {
        Pass::new(1, 0).with_code(&terms(), DOORS).expect("of use")
    }

    #[test]
    fn the_day_of_the_code_must_be_over_by_some_clock() {
        let late = Time(MIDNIGHT.0 - GATE_TOLERANCE);
        for (at, over) in [(DOORS, false), (Time(late.0 - 1), false), (late, true), (MIDNIGHT, true)] {
            assert_eq!(coded().may_have_come_in(&terms(), at), over, "{at:?}");
            let said = coded().came_in(&terms(), at, false).map(|after| after.entry);
            assert_eq!(said, if over { Ok(1) } else { Err(NotByCode::DayLasts) }, "{at:?}");
        }
        // What a wallet of before this has noted has no moment.
        let before = Pass { coded_at: None, ..coded() };
        assert!(before.came_in(&terms(), DOORS, false).is_ok_and(|after| after.inside && after.since.is_none()));
    }

    #[test]
    fn whoever_went_out_by_hand_says_so_on_the_same_day_where_the_ticket_comes_in_again() {
        let after = coded().came_in(&terms(), DOORS, true).expect("it comes in again");
        assert_eq!((after.entry, after.inside, after.since), (1, false, None));
        let once = TicketTerms { reentry: false, ..terms() };
        assert_eq!(coded().came_in(&once, DOORS, true), Err(NotByCode::DayLasts));
    }

    #[test]
    fn a_code_of_another_day_is_shown_for_the_next_entry_and_the_word_is_said_once() {
        // It was first shown then, whenever it is shown again.
        assert_eq!(coded().with_code(&terms(), MIDNIGHT), None);
        let after = coded().came_in(&terms(), MIDNIGHT, false).expect("the day is over");
        assert_eq!((after.entry, after.inside, after.since), (1, true, Some(DOORS)));
        assert_eq!((after.coded, after.coded_at), (None, None));
        assert_eq!(after.came_in(&terms(), MIDNIGHT, false), Err(NotByCode::NoCode));
        let next = after.with_code(&terms(), MIDNIGHT).expect("the stay is over");
        assert_eq!((next.coded, next.coded_at), (Some(2), Some(MIDNIGHT)));
        assert_eq!(next.came_in(&terms(), MIDNIGHT, false), Err(NotByCode::DayLasts));
    }
}
