//! The standard program of tickets: what lets a holder in, how often, where and when. Wallet and gate judge by the same rules,
//! the gate by what it knows of the ticket, alone or from its neighbours (R22).
//!
//! An *entry* is numbered from 1 and counts up with every admission; it is no number of the chain (R20). Of one entry the holder
//! comes in once and goes out once.

use super::Terms;
use super::title::Holder;
use crate::id::{CardId, DeviceId, EventId, Handle, Hash};
use crate::message;
use crate::money::{Amount, Time};
use crate::record::{RecordKey, Space};
use crate::step::Records;
use crate::talk::enter::{Direction, EnterRefusal};
use crate::wire::canonical::Wire;
use alloc::{string::String, vec::Vec};

/// How far a gate's clock may be off before a holder who is in time is refused, in seconds.
pub const GATE_TOLERANCE: u64 = 120;
/// How many uses of a ticket in one zone a gate keeps: those that somebody may still ask about.
const KEPT: usize = 8;

message! {
    /// What a ticket lets in.
    pub struct TicketTerms {
        /// The event.
        1 event: EventId,
        /// Where it is, for people.
        2 place: String,
        /// Admitted from then on.
        3 from: Time,
        /// Admitted until before then.
        4 until: Time,
        /// The zones that it opens.
        5 zones: Vec<u64>,
        /// Entries into each zone.
        6 entries: u64,
        /// Entries into each zone on one day; absent: no other bound.
        7 a_day: Option<u64>,
        /// When a day begins, in seconds after midnight UTC.
        8 day_begins: u64,
        /// Whether who has gone out may come in again.
        9 reentry: bool,
        /// How many more people one ticket lets in with its holder.
        10 companions: u64,
        /// The one door where a window is taken by a gate that hears no other (R21).
        11 door: Option<u64>,
        /// Until when it may be given away; absent: as long as it is valid.
        12 give_until: Option<Time>,
        /// The most that may be asked for it when it is given on: told to both people, as no money moves; absent: nothing is said.
        13 give_price: Option<Amount>,
        /// Until when it is refunded; absent: as long as it was not used.
        14 refund_until: Option<Time>,
        /// Names the seats that a change has moved into these terms, so that they are others although nothing else is; absent: none.
        15 seating: Option<Handle>,
    }
}

impl TicketTerms {
    /// The day of a moment, counted from 1970.
    pub fn day(&self, at: Time) -> u64 {
        at.0.saturating_sub(self.day_begins) / Time::DAY
    }
    /// Whether a day is over at a moment, and with it every stay that began on it. What another clock dates ahead is not.
    pub fn is_day_over(&self, day: u64, now: Time) -> bool {
        self.day(now) > day
    }
}

message! {
    /// One use that a gate has admitted or heard of.
    pub struct Use {
        /// The entry.
        1 entry: u64,
        /// In or out.
        2 direction: Direction,
        /// The presentation, by its hash; of a window, the window's.
        3 shown: Hash,
        /// The gate that admitted it.
        4 gate: DeviceId,
        /// The number of its entry in that gate's log.
        5 number: u64,
        /// When.
        6 at: Time,
        /// How many people.
        7 people: u64,
        /// Stored, and the gate has not opened yet: it opens once (R20).
        8 opening: Option<bool>,
        /// By a window, which proves little and yields to an answer (R21).
        9 window: Option<bool>,
    }
}

message! {
    /// What a gate knows of one ticket.
    pub struct Usage {
        /// The generation that was used.
        1 generation: u64,
        /// The highest entry that came in.
        2 entry: u64,
        /// How many people of it are inside; 0: they have gone out.
        3 inside: u64,
        /// The latest day of an entry.
        4 day: u64,
        /// Entries on that day.
        5 today: u64,
        /// The last uses, oldest first.
        6 uses: Vec<Use>,
        /// The last uses by those who gave it on: what is heard of one again, by a window and then by an answer, is counted once.
        7 former: Option<Vec<Use>>,
    }
}

/// What a presentation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The entry.
    pub entry: u64,
    /// In or out.
    pub direction: Direction,
    /// Into or out of which zone.
    pub zone: u64,
    /// How many people.
    pub people: u64,
    /// Attempts of the same entry that were refused or never answered, by their hashes (R20).
    pub earlier: &'a [Hash],
    /// The exit of the entry before has been shown, signed by another gate.
    pub left: bool,
    /// Given by a window.
    pub window: bool,
    /// An exit of an entry that its wallet has not heard of, at a gate that hears all others: what none of them knows did not come in.
    pub doubted: bool,
    /// When, by the gate's clock.
    pub now: Time,
}

/// What a gate does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Admits, or lets out.
    Admit,
    /// It was admitted, and the gate has not opened: it opens now.
    OpenNow,
    /// It was admitted, as whoever shows it knows: the same answer again, and nothing opens.
    Repeat(Use),
    /// No.
    Refuse(EnterRefusal),
}

impl Usage {
    /// Where it is stored: of each zone apart.
    pub fn key(card: CardId, zone: u64) -> RecordKey {
        RecordKey::new(Space::Ticket, [card.0.as_slice(), &zone.to_be_bytes()].concat())
    }
    /// A ticket that no gate has seen in this generation, with so many entries used before.
    pub fn new(generation: u64, entry: u64) -> Self {
        let uses = Vec::new();
        Self { generation, entry, inside: 0, day: 0, today: 0, uses, former: None, extensions: Default::default() }
    }
    /// Reads it.
    pub fn load(records: &dyn Records, card: CardId, zone: u64) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(card, zone))?).ok()
    }
    /// What is known of a ticket of this generation, which may have been issued anew since it was used.
    pub fn of(records: &dyn Records, holder: &Holder, zone: u64) -> Self {
        match Self::load(records, holder.card, zone) {
            Some(known) if known.generation > holder.generation => known,
            Some(known) if known.generation == holder.generation => {
                // It was still held by title when it was refused here, because whoever gave it might have been inside.
                let inherited = !holder.is_titled() && known.uses.is_empty();
                Self { inside: if inherited { 0 } else { known.inside }, ..known }
            }
            // Its new holder has not come in. Where nobody but those who held it says so, whoever was inside has to be shown to
            // have gone out: a ticket is not handed back over the fence.
            Some(known) => {
                let inside = if holder.is_titled() { known.inside } else { 0 };
                // What others have used of it is used, and no attempt of this one's.
                let entry = known.entry.max(holder.used);
                let mut after = Self { generation: holder.generation, entry, inside, uses: Vec::new(), ..known };
                known.uses.into_iter().for_each(|used| after.keep_former(used));
                after
            }
            None => Self::new(holder.generation, holder.used),
        }
    }
    /// The use of this entry in this direction, if it is one of the last.
    pub fn used(&self, entry: u64, direction: Direction) -> Option<&Use> {
        self.uses.iter().rev().find(|used| (used.entry, used.direction) == (entry, direction))
    }
    /// The same of those who gave it on.
    pub fn used_before(&self, entry: u64, direction: Direction) -> Option<&Use> {
        self.former.iter().flatten().find(|used| (used.entry, used.direction) == (entry, direction))
    }
    /// Keeps a use by somebody who has given it on.
    pub fn keep_former(&mut self, used: Use) {
        let former = self.former.get_or_insert_default();
        former.push(used);
        if former.len() > KEPT {
            former.remove(0);
        }
    }
    /// Counts a use.
    pub fn count(&mut self, terms: &TicketTerms, used: Use) {
        match used.direction {
            Direction::In => {
                let day = terms.day(used.at);
                // What is heard of late may be of a day before.
                if day >= self.day {
                    self.today = if day == self.day { self.today.saturating_add(1) } else { 1 };
                    self.day = day;
                }
                // Of a use that this gate hears of late, a later one may be known.
                if used.entry >= self.entry {
                    self.entry = used.entry;
                    let out = self.used(used.entry, Direction::Out).is_some();
                    self.inside = if out { 0 } else { used.people };
                }
            }
            Direction::Out => return self.went_out(used),
        }
        self.keep(used);
    }
    /// Counts an exit: no terms say anything about it.
    pub fn went_out(&mut self, used: Use) {
        if used.entry >= self.entry {
            self.entry = used.entry;
            self.inside = 0;
        }
        self.keep(used);
    }
    fn keep(&mut self, used: Use) {
        self.uses.push(used);
        if self.uses.len() > KEPT {
            self.uses.remove(0);
        }
    }
    /// Judges what a ticket of these terms wants, by what is known of it.
    pub fn judge(&self, terms: &TicketTerms, wanted: &Wanted<'_>) -> Verdict {
        if wanted.people == 0 || wanted.people > terms.companions.saturating_add(1) {
            return Verdict::Refuse(EnterRefusal::TooMany);
        }
        if !terms.zones.contains(&wanted.zone) {
            return Verdict::Refuse(EnterRefusal::OtherZone);
        }
        if let Some(used) = self.used(wanted.entry, wanted.direction) {
            return self.again(used, wanted);
        }
        match wanted.direction {
            Direction::In => self.comes_in(terms, wanted),
            Direction::Out => self.goes_out(wanted),
        }
    }
    /// The same entry again.
    fn again(&self, used: &Use, wanted: &Wanted<'_>) -> Verdict {
        let attached = wanted.earlier.contains(&used.shown);
        match (used.opening, used.window) {
            (Some(true), _) if attached => Verdict::OpenNow,
            // Whoever can answer a challenge holds the ticket; whoever showed a picture of it may not.
            (_, Some(true)) if !wanted.window => Verdict::Admit,
            _ if attached => Verdict::Repeat(used.clone()),
            _ if wanted.direction == Direction::Out => Verdict::Refuse(EnterRefusal::NotInside),
            // A window names no earlier attempts: its holder may be the one who came in, and did not hear of it (R21).
            _ if wanted.window => Verdict::Refuse(EnterRefusal::Used),
            _ => Verdict::Refuse(EnterRefusal::UsedElsewhere),
        }
    }
    fn comes_in(&self, terms: &TicketTerms, wanted: &Wanted<'_>) -> Verdict {
        let refuse = Verdict::Refuse;
        if wanted.now.after(GATE_TOLERANCE) < terms.from {
            return refuse(EnterRefusal::TooEarly);
        }
        if wanted.now >= terms.until.after(GATE_TOLERANCE) {
            return refuse(EnterRefusal::TooLate);
        }
        if wanted.entry <= self.entry {
            return refuse(EnterRefusal::Used);
        }
        if wanted.entry > terms.entries {
            return refuse(EnterRefusal::UsedUp);
        }
        // Whoever stayed to the end of a day and went past no gate is outside the next.
        let is_today = !terms.is_day_over(self.day, wanted.now);
        if self.inside > 0 && !wanted.left && is_today {
            return refuse(EnterRefusal::Inside);
        }
        if wanted.entry > 1 && !terms.reentry && is_today {
            return refuse(EnterRefusal::NoReentry);
        }
        if is_today && terms.a_day.is_some_and(|most| self.today >= most) {
            return refuse(EnterRefusal::UsedToday);
        }
        Verdict::Admit
    }
    /// What becomes of an exit by an entry that is known to have come in, by whoever holds this generation or has given it on since:
    /// who is inside goes out, whatever has become of the ticket. `None`: nobody is known to be inside by it.
    pub fn lets_out(&self, generation: u64, wanted: &Wanted<'_>) -> Option<Verdict> {
        // As long as its receiver has not come in, whoever is inside is one of those who had it before.
        let theirs = self.generation == generation || (self.generation > generation && self.uses.is_empty());
        let of = |direction| self.used(wanted.entry, direction).or_else(|| self.used_before(wanted.entry, direction));
        let came = of(Direction::In).filter(|_| theirs && wanted.direction == Direction::Out)?;
        (1..=came.people).contains(&wanted.people).then_some(())?;
        match of(Direction::Out) {
            Some(out) => wanted.earlier.contains(&out.shown).then(|| Verdict::Repeat(out.clone())),
            None => (self.inside > 0 && self.entry == wanted.entry).then_some(Verdict::Admit),
        }
    }
    /// When somebody came in last, as far as is known.
    pub fn came(&self) -> Option<Time> {
        let all = self.former.iter().flatten().chain(&self.uses);
        all.filter(|used| used.direction == Direction::In).map(|used| used.at).max()
    }
    fn goes_out(&self, wanted: &Wanted<'_>) -> Verdict {
        // Where the holder came in this gate may not have heard of.
        let unknown = wanted.doubted && wanted.entry > self.entry;
        let over = wanted.entry < self.entry || (wanted.entry == self.entry && self.inside == 0);
        match unknown || over || wanted.entry == 0 {
            true => Verdict::Refuse(EnterRefusal::NotInside),
            false => Verdict::Admit,
        }
    }
}

/// The ticket's own terms, of terms that are a ticket's.
pub fn of(terms: &Terms) -> Option<&TicketTerms> {
    terms.ticket.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const DOORS: Time = Time(1_000_000);

    fn terms() -> TicketTerms {
        TicketTerms {
            event: EventId([1; 16]),
            place: "Town hall".into(),
            from: DOORS,
            until: DOORS.after(3 * Time::DAY),
            zones: vec![1, 2],
            entries: 3,
            a_day: Some(2),
            day_begins: DOORS.0 % Time::DAY,
            reentry: true,
            companions: 1,
            door: None,
            give_until: None,
            give_price: None,
            refund_until: None,
            seating: None,
            extensions: Default::default(),
        }
    }
    fn wants(entry: u64, direction: Direction) -> Wanted<'static> {
        let (left, window, doubted) = (false, false, false);
        Wanted { entry, direction, zone: 1, people: 1, earlier: &[], left, window, doubted, now: DOORS }
    }
    fn used(entry: u64, direction: Direction, at: Time) -> Use {
        Use {
            entry,
            direction,
            shown: Hash([u8::try_from(entry).expect("small"); 32]),
            gate: DeviceId([1; 16]),
            number: entry,
            at,
            people: 1,
            opening: None,
            window: None,
            extensions: Default::default(),
        }
    }
    const IN: Direction = Direction::In;
    const OUT: Direction = Direction::Out;

    #[test]
    fn in_out_and_in_again_as_often_as_the_terms_say() {
        let (terms, mut usage) = (terms(), Usage::new(1, 0));
        let no =
            |usage: &Usage, wanted: Wanted<'_>, why| assert_eq!(usage.judge(&terms, &wanted), Verdict::Refuse(why));
        let yes = |usage: &Usage, wanted: Wanted<'_>| assert_eq!(usage.judge(&terms, &wanted), Verdict::Admit);
        no(&usage, Wanted { now: Time(DOORS.0 - 121), ..wants(1, IN) }, EnterRefusal::TooEarly);
        yes(&usage, Wanted { now: Time(DOORS.0 - 120), ..wants(1, IN) });
        no(&usage, Wanted { zone: 3, ..wants(1, IN) }, EnterRefusal::OtherZone);
        no(&usage, Wanted { people: 3, ..wants(1, IN) }, EnterRefusal::TooMany);
        no(&usage, Wanted { people: 0, ..wants(1, IN) }, EnterRefusal::TooMany);
        yes(&usage, Wanted { people: 2, ..wants(1, IN) });
        usage.count(&terms, used(1, IN, DOORS));
        no(&usage, wants(1, IN), EnterRefusal::UsedElsewhere);
        let told = Wanted { earlier: &[Hash([1; 32])], ..wants(1, IN) };
        assert_eq!(usage.judge(&terms, &told), Verdict::Repeat(used(1, IN, DOORS)));
        no(&usage, wants(2, IN), EnterRefusal::Inside);
        yes(&usage, Wanted { left: true, ..wants(2, IN) });
        yes(&usage, Wanted { now: DOORS.after(Time::DAY), ..wants(2, IN) });
        yes(&usage, Wanted { doubted: true, ..wants(1, OUT) });
        no(&usage, Wanted { doubted: true, ..wants(2, OUT) }, EnterRefusal::NotInside);
        yes(&usage, wants(2, OUT));
        yes(&usage, wants(1, OUT));
        usage.count(&terms, used(1, OUT, DOORS));
        no(&usage, wants(1, OUT), EnterRefusal::NotInside);
        yes(&usage, wants(2, IN));
        usage.count(&terms, used(2, IN, DOORS));
        usage.count(&terms, used(2, OUT, DOORS));
        no(&usage, wants(3, IN), EnterRefusal::UsedToday);
        let tomorrow = DOORS.after(Time::DAY);
        yes(&usage, Wanted { now: tomorrow, ..wants(3, IN) });
        usage.count(&terms, used(3, IN, tomorrow));
        usage.count(&terms, used(3, OUT, tomorrow));
        no(&usage, Wanted { now: tomorrow, ..wants(4, IN) }, EnterRefusal::UsedUp);
        no(&usage, Wanted { now: DOORS.after(4 * Time::DAY), ..wants(3, IN) }, EnterRefusal::UsedElsewhere);
        let late = Wanted { now: terms.until.after(GATE_TOLERANCE), ..wants(1, IN) };
        no(&Usage::new(1, 0), late, EnterRefusal::TooLate);
        yes(&Usage::new(1, 0), Wanted { now: Time(late.now.0 - 1), ..late });
    }

    #[test]
    fn what_is_heard_of_late_changes_nothing_that_is_known_better() {
        let (terms, mut usage) = (terms(), Usage::new(1, 0));
        usage.count(&terms, used(1, OUT, DOORS));
        usage.count(&terms, used(1, IN, DOORS));
        assert_eq!((usage.entry, usage.inside), (1, 0), "the exit was heard of first");
        usage.count(&terms, used(2, IN, DOORS));
        usage.count(&terms, used(1, OUT, DOORS));
        assert_eq!((usage.entry, usage.inside), (2, 1));
    }

    #[test]
    fn a_day_that_a_neighbour_has_begun_is_not_ended_by_a_slower_clock_or_a_late_word() {
        let (terms, mut usage) = (TicketTerms { a_day: Some(1), ..terms() }, Usage::new(1, 0));
        let midnight = DOORS.after(Time::DAY);
        usage.count(&terms, used(2, IN, midnight.after(30)));
        let slow = Wanted { now: Time(midnight.0 - 30), ..wants(3, IN) };
        assert_eq!(usage.judge(&terms, &slow), Verdict::Refuse(EnterRefusal::Inside), "a minute later, by one visit");
        usage.count(&terms, used(1, IN, DOORS));
        assert_eq!((usage.entry, usage.day, usage.today), (2, terms.day(midnight), 1), "the day before, heard of late");
        let now = Wanted { now: midnight.after(60), ..wants(3, IN) };
        assert_eq!(usage.judge(&terms, &now), Verdict::Refuse(EnterRefusal::Inside));
        usage.count(&terms, used(2, OUT, midnight.after(60)));
        assert_eq!(usage.judge(&terms, &now), Verdict::Refuse(EnterRefusal::UsedToday));
        assert_eq!(usage.judge(&terms, &slow), Verdict::Refuse(EnterRefusal::UsedToday));
        assert_eq!(usage.judge(&terms, &Wanted { now: midnight.after(Time::DAY), ..now }), Verdict::Admit);
    }

    #[test]
    fn stored_and_not_opened_opens_once_and_a_window_yields_to_an_answer() {
        let (terms, mut usage) = (terms(), Usage::new(1, 0));
        let waiting = Use { opening: Some(true), ..used(1, IN, DOORS) };
        usage.count(&terms, waiting);
        let again = Wanted { earlier: &[Hash([1; 32])], ..wants(1, IN) };
        assert_eq!(usage.judge(&terms, &again), Verdict::OpenNow);
        assert_eq!(usage.judge(&terms, &wants(1, IN)), Verdict::Refuse(EnterRefusal::UsedElsewhere));
        let mut usage = Usage::new(1, 0);
        usage.count(&terms, Use { window: Some(true), ..used(1, IN, DOORS) });
        let picture = Wanted { window: true, ..wants(1, IN) };
        assert_eq!(usage.judge(&terms, &picture), Verdict::Refuse(EnterRefusal::Used), "it convicts nobody");
        assert_eq!(usage.judge(&terms, &wants(1, IN)), Verdict::Admit);
    }

    #[test]
    fn who_is_known_to_be_inside_goes_out_once_and_nobody_else_does() {
        let (terms, mut usage) = (terms(), Usage::new(2, 0));
        assert_eq!(usage.lets_out(2, &wants(1, OUT)), None, "nobody has come in");
        usage.count(&terms, used(1, IN, DOORS));
        assert_eq!(usage.came(), Some(DOORS));
        assert_eq!(usage.lets_out(2, &wants(1, OUT)), Some(Verdict::Admit));
        for (generation, wanted) in [(1, wants(1, IN)), (2, wants(1, IN)), (2, wants(2, OUT)), (3, wants(1, OUT))] {
            assert_eq!(usage.lets_out(generation, &wanted), None, "{generation} {wanted:?}");
        }
        assert_eq!(usage.lets_out(1, &wants(1, OUT)), None, "it was not the one before who came in");
        for people in [0, 2, u64::MAX] {
            assert_eq!(usage.lets_out(2, &Wanted { people, ..wants(1, OUT) }), None, "{people} did not come in");
        }
        // Its receiver was refused at the door: whoever gave it is inside still.
        let mut given = Usage { generation: 3, uses: Vec::new(), ..usage.clone() };
        given.keep_former(used(1, IN, DOORS));
        assert_eq!(given.lets_out(2, &wants(1, OUT)), Some(Verdict::Admit));
        usage.went_out(used(1, OUT, DOORS));
        assert_eq!((usage.entry, usage.inside), (1, 0));
        assert_eq!(usage.lets_out(2, &wants(1, OUT)), None);
        let again = Wanted { earlier: &[Hash([1; 32])], ..wants(1, OUT) };
        assert_eq!(usage.lets_out(2, &again), Some(Verdict::Repeat(used(1, OUT, DOORS))), "its answer was lost");
    }

    #[test]
    fn without_reentry_one_comes_in_once_a_day() {
        let terms = TicketTerms { reentry: false, ..terms() };
        let mut usage = Usage::new(1, 0);
        usage.count(&terms, used(1, IN, DOORS));
        usage.count(&terms, used(1, OUT, DOORS));
        assert_eq!(usage.judge(&terms, &wants(2, IN)), Verdict::Refuse(EnterRefusal::NoReentry));
        let tomorrow = Wanted { now: DOORS.after(Time::DAY), ..wants(2, IN) };
        assert_eq!(usage.judge(&terms, &tomorrow), Verdict::Admit);
    }

    #[test]
    fn only_the_last_uses_are_kept() {
        let (terms, mut usage) = (TicketTerms { entries: 100, a_day: None, ..terms() }, Usage::new(1, 0));
        for entry in 1..=20 {
            usage.count(&terms, used(entry, IN, DOORS));
            usage.count(&terms, used(entry, OUT, DOORS));
        }
        assert_eq!((usage.uses.len(), usage.entry, usage.today), (KEPT, 20, 20));
        assert_eq!(
            usage.judge(&terms, &wants(3, IN)),
            Verdict::Refuse(EnterRefusal::Used),
            "forgotten, and known to be over"
        );
    }
}
