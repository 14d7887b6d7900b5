//! The staff at an event's gates, and what it does by hand (R22).

use crate::clearing::audited;
use crate::concert::*;
use crate::world;
use crate::world::blank;
use tegata_core::step::Broken;
use tegata_core::talk::cards::Done;
use tegata_core::talk::enter::{ByHand, EnterRefusal, HandError, Member, Setup, StaffRole};
use tegata_core::talk::event::*;
use tegata_core::wire::certificate::Role;
use tegata_core::{CardId, Time};
use tegata_crypto_native::Badge;
use tegata_gate::{GateError, Hand};
use tegata_provider::{Keys, Provider};
use tegata_store::Store;

/// The steward's and the supervisor's badge, and the order that names them.
fn staff(concert: &Concert, ended: Option<Time>) -> (StaffOrder, [Badge; 2]) {
    let badges = [Badge::generate([1; 32]), Badge::generate([2; 32])];
    let member = |number, badge: &Badge, role, until| Member {
        number,
        key: badge.key().public(),
        role,
        until,
        extensions: Default::default(),
    };
    let order = StaffOrder {
        promoter: concert.world.issuer_id(),
        event: EVENT,
        revision: if ended.is_some() { 2 } else { 1 },
        staff: vec![
            member(1, &badges[0], StaffRole::Steward, ended),
            member(2, &badges[1], StaffRole::Supervisor, None),
        ],
        at: concert.world.now,
        extensions: Default::default(),
    };
    (order, badges)
}

/// A gate hears another.
fn tells(concert: &mut Concert, from: usize, to: usize) {
    let now = concert.world.moment();
    let id = concert.gates[from].device.id().expect("joined");
    let after = concert.gates[to].heard(id).number;
    let (certificate, page) = concert.gates[from].page(after, now).expect("signed");
    concert.gates[to].take(certificate, page, now).expect("heard");
}

#[test]
fn staff_counts_by_hand_under_its_own_signature_and_every_gate_counts_alike() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let (order, [steward, supervisor]) = staff(&concert, None);
    let hand = |concert: &mut Concert, gate: usize, badge: &Badge, hand| {
        let now = concert.world.moment();
        concert.gates[gate].by_hand(badge, hand, now)
    };
    let why = |done: Result<ByHand, GateError>| match done {
        Err(GateError::Hand(why)) => why,
        other => panic!("it was done: {other:?}"),
    };
    concert.doors_open();
    let refused = hand(&mut concert, 0, &steward, Hand::Out(1));
    assert_eq!(why(refused), HandError::Unknown, "before the gate has heard of any staff");
    concert.world.issuer_asks(order.clone());
    concert.world.issuer_asks(order);
    for gate in 0..3 {
        concert.brings(gate);
    }
    concert.enters(card, 0);
    hand(&mut concert, 0, &supervisor, Hand::In(4)).expect("counted");
    hand(&mut concert, 2, &steward, Hand::Out(3)).expect("counted");
    for (badge, done, expected) in [
        (&steward, Hand::In(1), HandError::NotAllowed),
        (&steward, Hand::Over(card), HandError::NotAllowed),
        (&supervisor, Hand::Out(0), HandError::NotAllowed),
        (&supervisor, Hand::Out(101), HandError::NotAllowed),
        (&supervisor, Hand::Over(CardId([9; 16])), HandError::NotInside),
        (&Badge::generate([3; 32]), Hand::Out(1), HandError::Unknown),
    ] {
        let refused = hand(&mut concert, 0, badge, done);
        assert_eq!(why(refused), expected, "{done:?}");
    }
    // The phone was dead at the exit: the ticket is inside, until a supervisor says that it is not.
    tells(&mut concert, 0, 1);
    assert_eq!(concert.refused(card, 1), EnterRefusal::Inside);
    assert_eq!(concert.gates[1].last_inside().expect("read"), Some(card));
    hand(&mut concert, 1, &supervisor, Hand::Over(card)).expect("ended");
    let again = hand(&mut concert, 1, &supervisor, Hand::Over(card));
    assert_eq!(why(again), HandError::NotInside);
    concert.enters(card, 1);
    // In whatever order they hear each other, and however often.
    for (from, to) in [(1, 2), (0, 2), (2, 1), (0, 1), (1, 0), (2, 0), (2, 0), (0, 2)] {
        tells(&mut concert, from, to);
    }
    for gate in &concert.gates {
        let zone = gate.tally().zones[0].clone();
        assert_eq!((zone.people(), zone.arrived()), (2, 6), "1 by ticket and 4 by hand, less 3; came twice by ticket");
    }
    // A badge that was ended counts for what it did before.
    let (order, _) = staff(&concert, Some(concert.world.now.after(1)));
    concert.world.issuer_asks(order);
    concert.world.now = concert.world.now.after(60);
    for gate in 0..3 {
        concert.brings(gate);
    }
    let refused = hand(&mut concert, 2, &steward, Hand::Out(1));
    assert_eq!(why(refused), HandError::Unknown);
    concert.world.update(&mut concert.visitor.device);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    let rows = concert.world.provider.store().by_hand(EVENT).expect("read");
    assert_eq!(rows.iter().map(|row| (row.staff, row.people)).collect::<Vec<_>>().len(), 3);
    let told = report(&mut concert)["by_hand"].clone();
    let line = |staff, way, people, tickets| serde_json::json!({ "staff": staff, "zone": 1, "way": way, "people": people, "tickets_ended": tickets });
    assert_eq!(told, serde_json::json!([line(1, "out", 3, 0), line(2, "in", 4, 0), line(2, "out", 1, 1)]));
    concert.clean();
    // What a row says that no badge has signed is found.
    let connection = concert.world.provider.store().connection();
    connection.execute("UPDATE by_hand SET people = 30 WHERE staff = 1", []).expect("tampered");
    let found = audited(&concert.world).difference.expect("found");
    assert!(found.about.contains("by hand"), "{found:?}");
}

#[test]
fn a_gate_that_hears_of_a_badge_late_counts_what_it_has_signed_before() {
    // R22; found by the simulator: the first gate was told of the staff, and told the second one before that was.
    let mut concert = Concert::new();
    let (order, [_, supervisor]) = staff(&concert, None);
    concert.doors_open();
    concert.world.issuer_asks(order);
    concert.brings(0);
    let now = concert.world.moment();
    concert.gates[0].by_hand(&supervisor, Hand::In(4), now).expect("counted");
    tells(&mut concert, 0, 1);
    assert!(concert.gates[1].tally().zones.is_empty(), "nobody that it knows has signed it");
    concert.brings(1);
    (0..2).for_each(|_| tells(&mut concert, 0, 1));
    assert_eq!(concert.gates[1].tally().zones[0].arrived(), 4, "once");
}

#[test]
fn an_entry_ended_by_hand_of_a_holder_not_seen_here_before_stays_ended() {
    // The second gate knows the ticket as it was before it was issued anew, and hears of the end before the entry.
    let mut concert = Concert::new();
    let card = concert.buys();
    let (order, [_, supervisor]) = staff(&concert, None);
    concert.doors_open();
    concert.world.issuer_asks(order);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.enters(card, 0);
    concert.enters(card, 2);
    (0..2).for_each(|from| tells(&mut concert, from * 2, 1));
    // Put back, its wallet gets another generation (R14).
    let old = concert.visitor.device.vault.clone();
    concert.world.update(&mut concert.visitor.device);
    concert.visitor.device.vault = old;
    concert.world.update(&mut concert.visitor.device);
    concert.world.update(&mut concert.visitor.device);
    let generation = concert.visitor.ticket(card).expect("a ticket").purse.generation();
    assert_eq!(generation, 2);
    concert.enters(card, 0);
    tells(&mut concert, 0, 2);
    let now = concert.world.moment();
    concert.gates[2].by_hand(&supervisor, Hand::Over(card), now).expect("ended");
    tells(&mut concert, 2, 1);
    tells(&mut concert, 0, 1);
    for gate in &concert.gates[..2] {
        let told = gate.tally().zones[0].clone();
        assert_eq!(told.came, 2);
    }
    tells(&mut concert, 2, 0);
    assert_eq!([0, 1, 2].map(|gate| concert.gates[gate].tally().inside(1)), [0, 0, 0]);
}

#[test]
fn an_entry_ended_by_hand_whose_ticket_was_given_on_since_is_over_wherever_its_receiver_was_seen_first() {
    // Found by the simulator (seed 721 with lost gates and staff).
    let mut concert = Concert::new();
    let card = concert.buys();
    let (order, [_, supervisor]) = staff(&concert, None);
    concert.doors_open();
    concert.world.issuer_asks(order);
    (0..3).for_each(|gate| concert.brings(gate));
    concert.enters(card, 0);
    let now = concert.world.moment();
    concert.gates[0].by_hand(&supervisor, Hand::Over(card), now).expect("ended");
    // Put back, its wallet gets another generation (R14), which another gate sees first.
    let old = concert.visitor.device.vault.clone();
    concert.world.update(&mut concert.visitor.device);
    concert.visitor.device.vault = old;
    concert.world.update(&mut concert.visitor.device);
    concert.world.update(&mut concert.visitor.device);
    assert_eq!(concert.visitor.ticket(card).expect("a ticket").purse.generation(), 2);
    concert.enters(card, 1);
    let now = concert.world.moment();
    concert.gates[1].by_hand(&supervisor, Hand::Over(card), now).expect("ended");
    tells(&mut concert, 0, 1);
    tells(&mut concert, 1, 0);
    let zones = [0, 1].map(|gate| concert.gates[gate].tally().zones[0].clone());
    assert_eq!(zones.each_ref().map(|zone| (zone.inside, zone.came)), [(0, 2), (0, 2)]);
}

#[test]
fn what_a_badge_signed_after_it_was_ended_counts_no_more_also_where_the_end_is_heard_last() {
    // Found by the simulator (seed 1005 with staff): the promoter's word was late, and the auditor found a row that nobody had signed.
    let mut concert = Concert::new();
    let (order, [steward, supervisor]) = staff(&concert, None);
    concert.doors_open();
    concert.world.issuer_asks(order);
    concert.brings(0);
    let now = concert.world.moment();
    concert.gates[0].by_hand(&steward, Hand::Out(2), now).expect("counted");
    let (ended, _) = staff(&concert, Some(concert.world.now.after(30)));
    concert.world.now = concert.world.now.after(60);
    let now = concert.world.moment();
    concert.gates[0].by_hand(&steward, Hand::Out(3), now).expect("nobody has told it");
    concert.gates[0].by_hand(&supervisor, Hand::In(1), now).expect("counted");
    concert.brings(0);
    assert!(concert.world.open_exceptions().is_empty());
    concert.world.issuer_asks(ended);
    let rows = concert.world.provider.store().by_hand(EVENT).expect("read");
    assert_eq!(rows.iter().map(|row| (row.staff, row.people)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
    assert_eq!(concert.world.open_exceptions(), ["malformed"]);
    concert.clean();
}

#[test]
fn who_is_of_the_staff_is_the_promoters_word_and_nobody_is_left_out_of_it() {
    let mut concert = Concert::new();
    let (order, _) = staff(&concert, None);
    let mut other = blank(152);
    concert.world.join(&mut other, Role::Issuer, None, "Other");
    let stranger = StaffOrder { promoter: tegata_core::PartyId(other.id().expect("joined").0), ..order.clone() };
    let refused: Result<Done, _> = concert.world.ask(&mut other, stranger);
    assert!(refused.is_err(), "another promoter's event");
    concert.world.issuer_asks(order.clone());
    let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
    let next = StaffOrder { revision: 2, ..order.clone() };
    let mut swapped = next.clone();
    swapped.staff[0].key = Badge::generate([7; 32]).key().public();
    let mut risen = next.clone();
    risen.staff[0].role = StaffRole::Supervisor;
    let left_out = StaffOrder { staff: next.staff[..1].to_vec(), ..next.clone() };
    let renumbered = StaffOrder { staff: next.staff.iter().rev().cloned().collect(), ..next.clone() };
    let again = StaffOrder { at: order.at.after(1), ..order.clone() };
    for wrong in [swapped, risen, left_out, renumbered, again] {
        let refused: Result<Done, _> = concert.world.ask(&mut issuer, wrong);
        assert!(refused.is_err());
    }
    // A provider put back from a backup has forgotten those between (R15).
    for good in [next, StaffOrder { revision: 4, ..order.clone() }] {
        let done: Result<Done, _> = concert.world.ask(&mut issuer, good);
        assert!(done.is_ok());
    }
    let older: Result<Done, _> = concert.world.ask(&mut issuer, StaffOrder { revision: 3, ..order });
    assert!(older.is_err());
}

#[test]
fn staff_that_a_put_back_provider_has_forgotten_counts_once_its_promoter_has_said_again_who_it_is() {
    // R15; found by the simulator (seed 362 with an event and backups).
    let mut concert = Concert::new();
    let (order, [steward, supervisor]) = staff(&concert, None);
    concert.doors_open();
    concert.brings(0);
    let backup = concert.world.provider.snapshot().expect("a backup");
    concert.world.issuer_asks(order);
    concert.brings(0);
    let now = concert.world.moment();
    concert.gates[0].by_hand(&steward, Hand::Out(2), now).expect("counted");
    let told = |concert: &Concert| Setup::load(&concert.gates[0].device).expect("set up").at;
    let before = told(&concert);
    concert.world.now = concert.world.now.after(60);
    let now = concert.world.moment();
    let store = Store::restore(&backup).expect("restored");
    let keys = Keys::new([9; 32], world::START);
    concert.world.provider = Provider::open(store, keys, "Town", now.time, Broken::NONE).expect("opened");
    concert.world.provider.restored(now.time).expect("a new epoch");
    concert.brings(0);
    concert.brings(0);
    assert_eq!(concert.world.open_exceptions(), ["malformed"]);
    // It is told anew, whatever it was told before: it may wait for neighbours that are forgotten. That names no staff, and the gate knows it still.
    assert!(told(&concert) > before);
    let now = concert.world.moment();
    concert.gates[0].by_hand(&supervisor, Hand::In(1), now).expect("counted");
    concert.brings(0);
    assert_eq!(concert.world.open_exceptions(), ["malformed", "malformed"]);
    let (second, _) = staff(&concert, Some(concert.world.now.after(60)));
    concert.world.issuer_asks(second);
    let rows = concert.world.provider.store().by_hand(EVENT).expect("read");
    assert_eq!(rows.iter().map(|row| (row.staff, row.people)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
    assert!(concert.world.open_exceptions().is_empty());
    concert.clean();
}
