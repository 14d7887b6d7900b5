//! What stands on an event's seats, in few bytes: seats side by side whose names count up by one, or by two as on the odd and even
//! sides of a hall, are one run. Gates are told them by their set-up. A name says where somebody sits, and never who.

use crate::talk::event::Seat;
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use alloc::{format, string::String, vec::Vec};

/// Bytes that the names of all seats may have in a set-up. Beyond, they are left out, and gates show seats by their numbers.
pub const MAX_SEAT_NAMES: usize = 600_000;
/// So many digits at the end of a name count up, at most: they fit into 64 bits, and no row is longer.
const MAX_DIGITS: usize = 18;
/// By how much names count up: by one, or by two on one side of a hall.
const STEPS: [u64; 2] = [1, 2];

/// Seats numbered one after the other whose names are the same but for the number at their end, which rises by the same step: "Row 5, 9",
/// "Row 5, 10", or "Row 5, 9", "Row 5, 11". A name that ends otherwise is a run by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatRun {
    /// Number of the first seat in the plan.
    pub seat: u64,
    /// How many seats.
    pub count: u64,
    /// What stands on the first.
    pub name: String,
    /// By how much names count up from seat to seat: 1 or 2; of a single seat 1.
    pub step: u64,
}

impl SeatRun {
    /// The names of all seats of a plan, by their numbers; `None`: they have more bytes than [`MAX_SEAT_NAMES`].
    pub fn of(seats: &[Seat]) -> Option<Vec<Self>> {
        let mut runs: Vec<Self> = Vec::new();
        for seat in seats {
            let step = runs.last().and_then(|run| run.goes_on(seat));
            match (runs.last_mut(), step) {
                (Some(run), Some(step)) => (run.count, run.step) = (run.count + 1, step),
                _ => runs.push(Self { seat: seat.seat, count: 1, name: seat.name.clone(), step: 1 }),
            }
        }
        (runs.to_bytes().len() <= MAX_SEAT_NAMES).then_some(runs)
    }
    /// By which step this seat is the next one of the run, by its number and to the letter by its name; the second one says by which
    /// the run goes on.
    fn goes_on(&self, seat: &Seat) -> Option<u64> {
        let is_next = self.seat.checked_add(self.count) == Some(seat.seat);
        let fits = |step: u64| self.name_after(self.count, step).is_some_and(|name| name == seat.name);
        STEPS.into_iter().filter(|step| is_next && (self.count == 1 || *step == self.step)).find(|step| fits(*step))
    }
    /// What stands on the seat so many after the first, by this step.
    fn name_after(&self, seats: u64, step: u64) -> Option<String> {
        if seats == 0 {
            return Some(self.name.clone());
        }
        let (before, number) = counting(&self.name);
        let raised = number.parse::<u64>().ok()?.checked_add(seats.checked_mul(step)?)?;
        // "09" is followed by "10", and "9" as well.
        Some(format!("{before}{raised:0digits$}", digits = number.len()))
    }
}

impl Wire for SeatRun {
    fn write(&self, to: &mut Writer) {
        // By one is said by leaving the step out: one form for each run (R4).
        let by_one = self.step == 1;
        to.array(if by_one { 3 } else { 4 });
        to.uint(self.seat);
        to.uint(self.count);
        self.name.write(to);
        if !by_one {
            to.uint(self.step);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array_len()?;
        if !(3..=4).contains(&len) {
            return Err(DecodeError::Value("wrong length"));
        }
        let (seat, count, name) = (u64::read(from)?, u64::read(from)?, String::read(from)?);
        let step = if len == 3 { 1 } else { u64::read(from)? };
        if len == 4 && step != 2 {
            return Err(DecodeError::Value("seats count up by one or two"));
        }
        Ok(Self { seat, count, name, step })
    }
}

/// What stands on a seat; `None`: no run has it.
pub(super) fn seat_name(runs: &[SeatRun], seat: u64) -> Option<String> {
    let until = runs.partition_point(|run| run.seat <= seat);
    let run = runs.get(until.checked_sub(1)?)?;
    let after = seat.checked_sub(run.seat).filter(|after| *after < run.count)?;
    run.name_after(after, run.step)
}

/// Whether runs go up and have no seat twice, as [`seat_name`] expects.
pub(super) fn is_sorted(runs: &[SeatRun]) -> bool {
    runs.windows(2).all(|two| two[0].seat.checked_add(two[0].count).is_some_and(|end| end <= two[1].seat))
}

/// A name without the digits at its end, and these; none where it ends otherwise.
fn counting(name: &str) -> (&str, &str) {
    let digits = name.bytes().rev().take(MAX_DIGITS).take_while(u8::is_ascii_digit).count();
    name.split_at(name.len() - digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn seats<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Seat> {
        let seat =
            |(seat, name): (u64, &str)| Seat { seat, name: name.into(), article: 1, extensions: Default::default() };
        (1..).zip(names).map(seat).collect()
    }
    fn runs(names: &[&str]) -> Vec<SeatRun> {
        SeatRun::of(&seats(names.iter().copied())).expect("few")
    }
    fn run(seat: u64, count: u64, name: &str) -> SeatRun {
        SeatRun { seat, count, name: name.into(), step: 1 }
    }

    #[test]
    fn seats_side_by_side_are_one_run_and_others_stand_alone() {
        let rows = ["Row 5, 9", "Row 5, 10", "Row 5, 11", "Row 6, 1", "Row 6, 2", "Box", "Box 2"];
        let told = [run(1, 3, "Row 5, 9"), run(4, 2, "Row 6, 1"), run(6, 1, "Box"), run(7, 1, "Box 2")];
        assert_eq!(runs(&rows), told);
        assert_eq!(runs(&["08", "09", "10", "99", "100"]), [run(1, 3, "08"), run(4, 2, "99")]);
        assert_eq!(runs(&["8", "09", "010"]), [run(1, 1, "8"), run(2, 1, "09"), run(3, 1, "010")]);
        assert_eq!(runs(&["1", "4", "3", "1"]).len(), 4, "by one or two, and up");
        assert_eq!(runs(&["Loge \u{661}", "Loge \u{662}"]).len(), 2, "other digits are letters");
        let long = "9".repeat(40);
        assert_eq!(runs(&[long.as_str(), long.as_str()]).len(), 2, "longer than any number");
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn the_odd_and_the_even_side_of_a_hall_are_a_run_each() {
        let by_two = |seat, count, name: &str| SeatRun { step: 2, ..run(seat, count, name) };
        let sides = ["Row 5, 7", "Row 5, 9", "Row 5, 11", "Row 5, 2", "Row 5, 4", "Row 5, 5", "Row 5, 6"];
        let told = runs(&sides);
        assert_eq!(told, [by_two(1, 3, "Row 5, 7"), by_two(4, 2, "Row 5, 2"), run(6, 2, "Row 5, 5")]);
        let found: Vec<_> = (1..).map_while(|seat| seat_name(&told, seat)).collect();
        assert_eq!(found, sides);
        assert_eq!(runs(&["1", "2", "4"]), [run(1, 2, "1"), run(3, 1, "4")], "the second seat says the step");
        assert_eq!(seat_name(&[by_two(1, u64::MAX, "1")], (1 << 63) + 1), None, "further than numbers go");
    }

    #[test]
    fn a_large_hall_in_rows_is_small_and_one_without_is_left_out() {
        let row = |seat: u32| format!("Row {}, {}", seat / 50 + 1, seat % 50 + 1);
        let hall: Vec<String> = (0..100_000).map(row).collect();
        let runs = SeatRun::of(&seats(hall.iter().map(String::as_str))).expect("few bytes");
        assert_eq!(runs.len(), 2_000);
        assert!(runs.to_bytes().len() < 40_000, "{} bytes", runs.to_bytes().len());
        // Each row is told from its odd end, and then from its even one.
        let side = |seat: u32| format!("Row {}, {}", seat / 50 + 1, seat % 25 * 2 + 1 + seat / 25 % 2);
        let hall: Vec<String> = (0..100_000).map(side).collect();
        let runs = SeatRun::of(&seats(hall.iter().map(String::as_str))).expect("few bytes");
        assert_eq!(runs.len(), 4_000);
        assert!(runs.to_bytes().len() < 80_000, "{} bytes", runs.to_bytes().len());
        let named: Vec<String> = (0..100_000).map(|seat| format!("Seat {seat}, left")).collect();
        assert_eq!(SeatRun::of(&seats(named.iter().map(String::as_str))), None);
    }

    #[test]
    fn who_is_not_in_the_plan_has_no_name_whatever_a_run_says() {
        let good = [run(3, 2, "A 1"), run(7, 1, "Box")];
        assert!(is_sorted(&good));
        let found: Vec<_> = (0..10).filter_map(|seat| seat_name(&good, seat)).collect();
        assert_eq!(found, ["A 1", "A 2", "Box"]);
        assert!(!is_sorted(&[run(3, 2, "A 1"), run(4, 1, "Box")]), "a seat twice");
        assert!(!is_sorted(&[run(7, 1, "Box"), run(3, 2, "A 1")]));
        assert!(!is_sorted(&[run(7, u64::MAX, "1"), run(8, 1, "2")]));
        assert_eq!(seat_name(&[run(1, 5, "Box")], 2), None, "nothing counts up");
        assert_eq!(seat_name(&[run(1, u64::MAX, "9")], u64::MAX), None, "further than numbers go");
    }

    /// Rows, with leading zeros or without, counted by one, two or three, and whatever else people write on seats.
    fn names() -> impl Strategy<Value = Vec<String>> {
        let before = prop::sample::select(vec!["", "Row 5, ", "Row 5", "Box A-", "0", "99999999999999999", "Loge é"]);
        let row = (before, 0..1_200_u64, 0..5_usize, 1..30_u64, 1..4_u64);
        let row = row.prop_map(|(before, from, digits, count, step)| {
            (0..count).map(|seat| format!("{before}{:0digits$}", from + seat * step)).collect::<Vec<_>>()
        });
        let other = prop::collection::vec(".{0,6}", 1..3);
        prop::collection::vec(prop_oneof![3 => row, 1 => other], 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn every_name_comes_out_of_its_run_as_it_went_in(names in names(), gap in 2..50_u64) {
            // Numbers go on with a gap after some of them; plans have none.
            let number = |seat: u64| seat + seat / gap;
            let all: Vec<Seat> = seats(names.iter().map(String::as_str))
                .into_iter()
                .map(|seat| Seat { seat: number(seat.seat), ..seat })
                .collect();
            let runs = SeatRun::of(&all).expect("few");
            prop_assert!(is_sorted(&runs) && runs.len() <= all.len());
            for seat in &all {
                prop_assert_eq!(seat_name(&runs, seat.seat), Some(seat.name.clone()));
            }
            let most = all.last().map_or(0, |seat| seat.seat);
            for missing in (0..=most + 1).filter(|seat| all.iter().all(|known| known.seat != *seat)) {
                prop_assert_eq!(seat_name(&runs, missing), None);
            }
        }
        #[test]
        fn runs_travel_as_they_are(
            seat in 0..1_000_000_u64, count in 0..1_000_000_u64, name in "[ -~]{0,20}", step in 0..5_u64,
        ) {
            let run = SeatRun { seat, count, name, step };
            let read = SeatRun::from_bytes(&run.to_bytes());
            match step {
                1 | 2 => prop_assert_eq!(read, Ok(run)),
                _ => prop_assert!(matches!(read, Err(DecodeError::Value(_))), "by {}: {:?}", step, read),
            }
        }
        #[test]
        fn a_run_has_one_form(seat in 0..1_000_u64, name in "[ -~]{0,20}") {
            let by_two = SeatRun { seat, count: 2, name, step: 2 }.to_bytes();
            // The step is the last byte: by one it is left out, and nothing else (R4).
            let by_one = [&by_two[..by_two.len() - 1], &[1]].concat();
            prop_assert!(matches!(SeatRun::from_bytes(&by_one), Err(DecodeError::Value(_))));
        }
    }
}
