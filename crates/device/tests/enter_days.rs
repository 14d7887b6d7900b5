//! Tickets for several days: the end of a day ends every stay at gates and in the wallet, and clocks differ about it (R20, R21).
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::venue::*;
use tegata_core::Time;
use tegata_core::card::ticket::{GATE_TOLERANCE, TicketTerms, Usage};
use tegata_core::record::Batch;
use tegata_core::talk::enter::*;
use tegata_core::talk::pay::load_purse;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::Algorithm;
use tegata_vault::Vault;

/// The first day of the venue ends then.
const MIDNIGHT: Time = Time(12 * Time::DAY);

/// A pass for three days.
fn days() -> TicketTerms {
    TicketTerms { until: DOORS.after(3 * Time::DAY), entries: 4, ..ticket_terms() }
}

/// Its holder has come in by a touch on the first day, and the way out, which hears all gates, knows.
fn stayed() -> Venue {
    let mut venue = Venue::new(Algorithm::Ed25519, days());
    assert!(let_in(&venue.enter(0)));
    venue.tell(0, 2).unwrap();
    venue.gates[2].door.hears = true;
    venue
}

fn pass(venue: &Venue) -> Pass {
    Pass::load(&venue.wallet, &load_purse(&venue.wallet, CARD).unwrap(), 1).0
}

/// The entry that the gate of the way out lets out by.
fn let_out(venue: &mut Venue) -> u64 {
    let (seen, shown) = venue.enter(2);
    assert!(matches!(seen[..], [WalletEnterNotice::Out { .. }]), "{seen:?}");
    match &shown[..] {
        [GateNotice::LetOut(passing)] => passing.entry,
        other => panic!("let out: {other:?}"),
    }
}

/// The entry that a touch at the first gate comes in by.
fn comes_in(venue: &mut Venue) -> u64 {
    let told = venue.enter(0);
    assert!(let_in(&told), "{told:?}");
    pass(venue).entry
}

fn opens(venue: &mut Venue, code: &[u8]) -> bool {
    matches!(venue.camera(0, code), GateNotice::Open(_))
}

/// Its holder says that the last code has let in, and whether they went out since with no touch.
fn says_so(venue: &mut Venue, went_out: bool) -> Result<(), NotByCode> {
    let (pass, before) = Pass::load(&venue.wallet, &load_purse(&venue.wallet, CARD).unwrap(), 1);
    let after = pass.came_in(venue.terms.ticket.as_ref().unwrap(), venue.now, went_out)?;
    let mut batch = Batch::default();
    batch.replace(Pass::key(CARD, 1), before, after.to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
    Ok(())
}

fn is_used(venue: &mut Venue, code: &[u8]) -> bool {
    matches!(venue.camera(0, code), GateNotice::Refused(EnterRefusal::Used, Some(_)))
}

#[test]
fn who_only_ever_shows_codes_comes_in_on_each_day_by_saying_so() {
    let mut venue = Venue::new(Algorithm::Ed25519, days());
    venue.gates[2].door.hears = true;
    let code = venue.shows_code();
    assert!(opens(&mut venue, &code));
    for day in 0..2 {
        venue.now = MIDNIGHT.after(day * Time::DAY + 3600);
        let code = venue.shows_code();
        assert!(is_used(&mut venue, &code), "the wallet has heard nothing of the day before");
        says_so(&mut venue, false).unwrap();
        let code = venue.shows_code();
        assert!(opens(&mut venue, &code), "the day has ended the stay");
        assert_eq!(says_so(&mut venue, false), Err(NotByCode::DayLasts), "it is inside");
    }
    venue.tell(0, 2).unwrap();
    assert_eq!(let_out(&mut venue), 3, "by the last one");
    assert_eq!(comes_in(&mut venue), 4);
}

#[test]
fn who_stays_past_the_day_of_a_code_goes_out_by_it_also_after_saying_so() {
    let mut venue = Venue::new(Algorithm::Ed25519, days());
    venue.gates[2].door.hears = true;
    let code = venue.shows_code();
    assert!(opens(&mut venue, &code));
    venue.tell(0, 2).unwrap();
    venue.now = MIDNIGHT.after(3600);
    says_so(&mut venue, false).unwrap();
    assert_eq!(let_out(&mut venue), 1);
    assert_eq!(says_so(&mut venue, false), Err(NotByCode::NoCode));
    assert_eq!(comes_in(&mut venue), 2);
}

#[test]
fn whoever_was_let_out_by_hand_says_so_and_comes_in_by_a_code_on_the_same_day() {
    let mut venue = Venue::new(Algorithm::Ed25519, days());
    assert_eq!(says_so(&mut venue, true), Err(NotByCode::NoCode));
    let code = venue.shows_code();
    assert!(opens(&mut venue, &code));
    assert_eq!(says_so(&mut venue, false), Err(NotByCode::DayLasts));
    says_so(&mut venue, true).unwrap();
    let code = venue.shows_code();
    assert!(
        matches!(venue.camera(0, &code), GateNotice::Refused(EnterRefusal::Inside, Some(_))),
        "no word of its holder ends a stay at a gate"
    );
    // A supervisor has let it out.
    let usage = Usage::load(&venue.gates[0].device, CARD, 1).unwrap();
    let mut batch = Batch::default();
    batch.put(Usage::key(CARD, 1), Usage { inside: 0, ..usage }.to_bytes());
    venue.gates[0].device.vault.commit(&batch).unwrap();
    assert!(opens(&mut venue, &code));
}

#[test]
fn a_word_that_is_not_true_costs_its_entry_and_convicts_nobody() {
    let mut venue = Venue::new(Algorithm::Ed25519, days());
    // Nobody saw the code, and the first touch was cut off before the ticket was shown.
    venue.shows_code();
    venue.touch(1, 1, 2);
    assert_eq!(pass(&venue).attempts.len(), 1);
    venue.now = MIDNIGHT.after(3600);
    says_so(&mut venue, false).unwrap();
    assert!(pass(&venue).attempts.is_empty(), "nothing is shown for that entry any more that asks to come in");
    assert!(let_in(&venue.enter(1)), "at a gate that knows of no entry before");
    assert_eq!(pass(&venue).entry, 2);
    let kinds: Vec<_> = (0..3).flat_map(|gate| venue.log(gate)).collect();
    assert_eq!(kinds.len(), 1, "no gate has another presentation to compare with: {kinds:?}");
}

#[test]
fn who_stayed_comes_in_by_a_code_on_the_next_day_and_goes_out_by_a_touch() {
    for hears in [true, false] {
        let mut venue = stayed();
        venue.now = MIDNIGHT.after(3600);
        let code = venue.shows_code();
        assert!(opens(&mut venue, &code), "the day has ended the stay");
        if hears {
            venue.tell(0, 2).unwrap();
        }
        venue.gates[2].door.hears = hears;
        assert_eq!(let_out(&mut venue), 2, "hears: {hears}");
        assert!(!pass(&venue).inside);
        assert_eq!(comes_in(&mut venue), 3, "each visit has used its own");
        assert_eq!(let_out(&mut venue), 3);
    }
}

#[test]
fn who_stayed_goes_out_by_the_entry_of_the_day_before_where_no_camera_saw_the_code() {
    let mut venue = stayed();
    venue.now = MIDNIGHT.after(3600);
    venue.shows_code();
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside, "nobody came in by it");
    assert_eq!(let_out(&mut venue), 1, "and the next touch knows");
    assert_eq!(comes_in(&mut venue), 2, "it was not used");
    // Without any code it is the first touch.
    let mut venue = stayed();
    venue.now = MIDNIGHT.after(3600);
    assert_eq!(let_out(&mut venue), 1);
}

#[test]
fn a_gate_that_is_behind_at_the_end_of_a_day_costs_no_second_entry() {
    let mut venue = stayed();
    (venue.now, venue.gates[0].skew) = (MIDNIGHT.after(20), -40);
    let code = venue.shows_code();
    assert!(matches!(venue.camera(0, &code), GateNotice::Refused(EnterRefusal::Inside, Some(_))));
    // Also a way out that is alone lets out by the entry that came in, and counts no other.
    venue.gates[2].door.hears = false;
    assert_eq!(let_out(&mut venue), 1);
    assert_eq!(comes_in(&mut venue), 2);
}

#[test]
fn a_gate_that_is_ahead_at_the_end_of_a_day_keeps_nobody_inside() {
    let mut venue = stayed();
    (venue.now, venue.gates[0].skew) = (Time(MIDNIGHT.0 - 20), 40);
    let code = venue.shows_code();
    assert!(opens(&mut venue, &code));
    venue.tell(0, 2).unwrap();
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside, "the wallet takes its stay for the one that lasts");
    assert_eq!(let_out(&mut venue), 2);
    // Whoever hears of the entry of the day that begins holds its holder inside, by a slower clock, too.
    assert_eq!(comes_in(&mut venue), 3);
    venue.tell(0, 1).unwrap();
    venue.gates[1].skew = -40;
    assert_eq!(venue.refusal(1, 1), EnterRefusal::Inside);
}

#[test]
fn a_touch_that_reached_no_gate_keeps_nobody_inside() {
    let mut venue = stayed();
    // By mistake at a way in, and the phone was taken away before the ticket was shown.
    let (_, shown) = venue.touch(1, 1, 2);
    assert!(shown.is_empty(), "{shown:?}");
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside, "by the entry that nobody has heard of");
    assert_eq!(let_out(&mut venue), 1);
    assert_eq!(comes_in(&mut venue), 2);
    assert_eq!(let_out(&mut venue), 2);
}

#[test]
fn what_both_are_refused_for_is_asked_in_turns() {
    let mut venue = stayed();
    venue.now = MIDNIGHT.after(3600);
    let code = venue.shows_code();
    assert!(opens(&mut venue, &code));
    // A way out that hears all, and has not heard of this one yet; somebody has let out by hand whom it knew.
    let usage = Usage::load(&venue.gates[2].device, CARD, 1).unwrap();
    let mut batch = Batch::default();
    batch.put(Usage::key(CARD, 1), Usage { inside: 0, ..usage }.to_bytes());
    venue.gates[2].device.vault.commit(&batch).unwrap();
    for _ in 0..2 {
        assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside);
    }
    venue.tell(0, 2).unwrap();
    assert_eq!(let_out(&mut venue), 2, "as soon as it has");
}

#[test]
fn a_code_is_noted_from_when_a_gate_may_hold_that_the_stay_is_over() {
    let venue = stayed();
    let (mut inside, terms) = (pass(&venue), days());
    let noted = |pass: &Pass, at: Time| pass.with_code(&terms, at).and_then(|pass| pass.coded);
    assert_eq!((inside.inside, inside.since.map(|since| terms.day(since))), (true, Some(11)));
    assert_eq!(noted(&inside, DOORS.after(60)), None, "whoever is inside shows it to nobody who lets in");
    assert_eq!(noted(&inside, Time(MIDNIGHT.0 - GATE_TOLERANCE - 1)), None);
    assert_eq!(noted(&inside, Time(MIDNIGHT.0 - GATE_TOLERANCE)), Some(2));
    inside.since = None;
    assert_eq!(noted(&inside, DOORS.after(60)), Some(2), "it is not known since when");
}
