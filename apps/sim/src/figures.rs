//! What happened in a town that is worth counting: a test that says that something is borne wants it to have happened.

use crate::town::Town;
use std::ops::AddAssign;
use tegata_core::Time;
use tegata_core::talk::buy::PurchaseState;
use tegata_core::talk::credit::CreditState;
use tegata_core::talk::reach::LetterState;
use tegata_store::{ExceptionKind, RefundState, StoreError};

/// Counts of one town, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Purchases delivered first, of which the bank refused the money.
    pub unpaid: u64,
    /// Payments and purchases ended because the bank refused the money, before anything was delivered.
    pub uncaptured: u64,
    /// Refunds that the bank refused.
    pub unreturned: u64,
    /// Letters written.
    pub letters: u64,
    /// Letters that were dropped, because their reader had muted their writer.
    pub dropped: u64,
    /// Letters that their writer was told nobody gets.
    pub refused: u64,
    /// Periods closed where there are contracts.
    pub periods: u64,
    /// Payouts that the bank made.
    pub payouts: u64,
    /// Payouts that it gave back.
    pub returned: u64,
    /// Times that gates opened for tickets.
    pub entered: u64,
    /// Pages between gates that went wrong.
    pub pages: u64,
    /// Entries that came in twice, because gates could not know, as reported.
    pub twice: u64,
    /// Tickets shown by two wallets, as reported.
    pub cloned: u64,
    /// Tickets taken from another wallet, and by a number.
    pub taken: u64,
    /// Tickets that nobody took or registered in time, and that came back.
    pub back: u64,
    /// Generations given to two, as reported.
    pub given_twice: u64,
    /// Calls that were answered.
    pub connected: u64,
    /// Calls that were cut when what was paid was over.
    pub cut: u64,
    /// Calls that a wallet ended from its records, or was told the end of by the provider.
    pub hung_up: u64,
    /// Ways to the network that were opened.
    pub surfed: u64,
    /// Numbers to call somebody at that were given.
    pub numbers: u64,
    /// Calls by such a number that were answered.
    pub reached: u64,
    /// Times that one was dialled that stood for nobody.
    pub silent: u64,
    /// Times that a gate took something by hand.
    pub by_hand: u64,
    /// Gates that were lost.
    pub lost: u64,
    /// Pages of silent gates that others told on, and that were news.
    pub relayed: u64,
    /// New gates that joined by a number.
    pub set_up: u64,
    /// Times that a wallet was told that it stands in a waiting list.
    pub listed: u64,
    /// Wishes that became reservations.
    pub offered: u64,
    /// Tickets taken by a number that was sold over a counter.
    pub by_number: u64,
    /// Of those, for numbered seats.
    pub seats_by_number: u64,
    /// Changes of events, and cancellations, that the provider has taken in.
    pub changes: u64,
    /// Seats that these have moved.
    pub seats_moved: u64,
    /// Answers of holders that counted.
    pub answered: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, more: Self) {
        self.unpaid += more.unpaid;
        self.uncaptured += more.uncaptured;
        self.unreturned += more.unreturned;
        self.letters += more.letters;
        self.dropped += more.dropped;
        self.refused += more.refused;
        self.periods += more.periods;
        self.payouts += more.payouts;
        self.returned += more.returned;
        self.entered += more.entered;
        self.pages += more.pages;
        self.twice += more.twice;
        self.cloned += more.cloned;
        self.taken += more.taken;
        self.back += more.back;
        self.given_twice += more.given_twice;
        self.connected += more.connected;
        self.cut += more.cut;
        self.hung_up += more.hung_up;
        self.surfed += more.surfed;
        self.numbers += more.numbers;
        self.reached += more.reached;
        self.silent += more.silent;
        self.by_hand += more.by_hand;
        self.lost += more.lost;
        self.relayed += more.relayed;
        self.set_up += more.set_up;
        self.listed += more.listed;
        self.offered += more.offered;
        self.by_number += more.by_number;
        self.seats_by_number += more.seats_by_number;
        self.changes += more.changes;
        self.seats_moved += more.seats_moved;
        self.answered += more.answered;
    }
}

impl Town {
    /// What happened here, counted.
    pub fn figures(&self) -> Figures {
        let sql = "SELECT count(*) FROM letter WHERE state = 4";
        let dropped = self.center.store().ok().map(|store| store.connection().query_row(sql, [], |row| row.get(0)));
        let (people, tills) =
            (self.people.iter().map(|it| &it.wallet.device), self.tills.iter().map(|it| &it.terminal.device));
        let kept = people.chain(tills).flat_map(|device| device.letters().unwrap_or_default());
        let paid = self.settling.as_ref().map_or(&[][..], |it| &it.bank.paid);
        let slips = self.booth.iter().flat_map(|it| &it.slips).filter(|slip| slip.taken.is_some());
        Figures {
            letters: self.letters.count() as u64,
            dropped: dropped.and_then(Result::ok).unwrap_or(0_i64).unsigned_abs(),
            refused: kept.filter(|kept| kept.state == LetterState::Refused).count() as u64,
            periods: self.settling.as_ref().map_or(0, |it| it.closed.len() as u64),
            payouts: paid.len() as u64,
            entered: self.venue.as_ref().map_or(0, |venue| venue.opened.len() as u64),
            pages: self.venue.as_ref().map_or(0, |venue| venue.faults),
            twice: self.reports(ExceptionKind::CameTwice),
            cloned: self.reports(ExceptionKind::Cloned),
            taken: self.hands.as_ref().map_or(0, |hands| hands.taken),
            back: self.count("SELECT count(*) FROM handed WHERE state = 4"),
            changes: self.count("SELECT count(*) FROM change"),
            seats_moved: self.count("SELECT count(*) FROM seat_move"),
            answered: self.count("SELECT count(*) FROM change_ticket WHERE answer IS NOT NULL"),
            given_twice: self.reports(ExceptionKind::GivenTwice),
            connected: self.lines.as_ref().map_or(0, |lines| lines.connected),
            cut: self.lines.as_ref().map_or(0, |lines| lines.cut),
            hung_up: self.lines.as_ref().map_or(0, |lines| lines.hung_up),
            surfed: self.lines.as_ref().map_or(0, |lines| lines.surfed),
            numbers: self.ringing.as_ref().map_or(0, |ringing| ringing.given.len() as u64),
            reached: self.ringing.as_ref().map_or(0, |ringing| ringing.answered),
            silent: self.ringing.as_ref().map_or(0, |ringing| ringing.silent),
            lost: self.venue.iter().flat_map(|venue| &venue.gates).filter(|gate| gate.lost).count() as u64,
            relayed: self.venue.as_ref().map_or(0, |venue| venue.relayed),
            set_up: self.losing.as_ref().map_or(0, |losing| losing.joined),
            listed: self.queue.as_ref().map_or(0, |queue| queue.listed),
            offered: self.count("SELECT count(*) FROM waiting WHERE state = 2"),
            by_number: slips.clone().count() as u64,
            seats_by_number: slips.filter(|slip| slip.seat.is_some()).count() as u64,
            by_hand: self.staff.as_ref().map_or(0, |staff| staff.done),
            returned: paid.iter().filter(|paid| paid.back).count() as u64,
            ..self.refusals().unwrap_or_default()
        }
    }

    /// How many rows the provider has.
    fn count(&self, sql: &str) -> u64 {
        let found = self.center.store().ok().map(|store| store.connection().query_row(sql, [], |row| row.get(0)));
        found.and_then(Result::ok).unwrap_or(0_i64).unsigned_abs()
    }

    fn reports(&self, kind: ExceptionKind) -> u64 {
        let rows = self.center.store().and_then(|store| store.exceptions(None, Time(0), Time(u64::MAX >> 1)));
        rows.unwrap_or_default().iter().filter(|row| row.kind == kind).count() as u64
    }

    /// What the bank refused in the end, by the provider's rows.
    pub fn refusals(&self) -> Result<Figures, StoreError> {
        let store = self.center.store()?;
        let (bought, paid) = (store.purchases()?, store.credits()?);
        let mut figures = Figures::default();
        for row in &bought {
            figures.unpaid += u64::from(row.state == PurchaseState::Unpaid);
            figures.uncaptured += u64::from(row.state == PurchaseState::Refused && row.clear.is_some());
        }
        let refused = paid.iter().filter(|row| row.state == CreditState::Refused && row.clearing.is_some());
        figures.uncaptured += refused.count() as u64;
        let refunds = store.refunds()?;
        figures.unreturned += refunds.iter().filter(|row| row.state == RefundState::Refused).count() as u64;
        Ok(figures)
    }
}
