//! Honest messages about events: what is planned, which gate stands where, what changes, and what a holder says to that.

use crate::enter::{EVENT, GATE, terms_of_ticket, ticket_terms};
use crate::samples::{CARD, Forms, ISSUER, NOW, WALLET};
use tegata_core::card::Terms;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::talk::enter::Direction;
use tegata_core::talk::event::*;
use tegata_core::wire::canonical::Extensions;
use tegata_core::{Hash, Time};

fn none() -> Extensions {
    Extensions::default()
}

/// Zones of a venue.
#[allow(non_snake_case)] // named like the message
pub fn PlannedZone() -> Forms<PlannedZone> {
    let of = |zone, name: &str| PlannedZone { zone, name: name.into(), extensions: none() };
    vec![("the hall", of(1, "Hall")), ("the gallery", of(2, "Gallery"))]
}
/// Doors of a venue.
#[allow(non_snake_case)] // named like the message
pub fn PlannedDoor() -> Forms<PlannedDoor> {
    vec![("usual", PlannedDoor { door: 4, name: "West".into(), zone: 1, extensions: none() })]
}
/// Seats.
#[allow(non_snake_case)] // named like the message
pub fn Seat() -> Forms<Seat> {
    let of = |seat, name: &str| Seat { seat, name: name.into(), article: 3, extensions: none() };
    vec![("usual", of(1, "Row 5, 12")), ("its neighbour", of(2, "Row 5, 13"))]
}
/// Plans.
#[allow(non_snake_case)] // named like the message
pub fn EventPlan() -> Forms<EventPlan> {
    let plan = EventPlan {
        promoter: ISSUER,
        event: EVENT,
        revision: 1,
        name: "Concert of the town band".into(),
        place: "Town hall".into(),
        zones: PlannedZone().into_iter().map(|(_, zone)| zone).collect(),
        doors: PlannedDoor().into_iter().map(|(_, door)| door).collect(),
        seats: Seat().into_iter().map(|(_, seat)| seat).collect(),
        at: Time(NOW - 30 * Time::DAY),
        extensions: none(),
    };
    let standing = EventPlan { revision: 2, seats: vec![], ..plan.clone() };
    vec![("usual", plan), ("without seats", standing)]
}
/// Orders to gates.
#[allow(non_snake_case)] // named like the message
pub fn GateOrder() -> Forms<GateOrder> {
    let inward = GateOrder {
        promoter: ISSUER,
        gate: GATE,
        event: EVENT,
        door: 4,
        direction: Direction::In,
        at: Time(NOW - Time::DAY),
        extensions: none(),
    };
    vec![("in", inward.clone()), ("out", GateOrder { direction: Direction::Out, ..inward })]
}
/// Invitations to gates.
#[allow(non_snake_case)] // named like the message
pub fn GateInvite() -> Forms<GateInvite> {
    let named = GateInvite {
        promoter: ISSUER,
        secret: Hash::of(&[0x67; 16]),
        name: "North door".into(),
        event: EVENT,
        door: 4,
        direction: Direction::In,
        until: Time(NOW + 7 * Time::DAY),
        at: Time(NOW - Time::DAY),
        extensions: none(),
    };
    vec![("named", named.clone()), ("named by itself", GateInvite { name: String::new(), ..named })]
}
/// The staff at gates.
#[allow(non_snake_case)] // named like the message
pub fn StaffOrder() -> Forms<StaffOrder> {
    let order = StaffOrder {
        promoter: ISSUER,
        event: EVENT,
        revision: 1,
        staff: crate::enter::staff(),
        at: Time(NOW - Time::DAY),
        extensions: none(),
    };
    vec![("usual", order.clone()), ("nobody yet", StaffOrder { staff: vec![], ..order })]
}
/// Seats moved.
#[allow(non_snake_case)] // named like the message
pub fn SeatMove() -> Forms<SeatMove> {
    let of = |from, to| SeatMove { from, to, extensions: none() };
    vec![("there", of(1, 2)), ("and back", of(2, 1))]
}
/// Where a ticket's seat is moved.
#[allow(non_snake_case)] // named like the message
pub fn MovedSeat() -> Forms<MovedSeat> {
    let named =
        MovedSeat { from: 1, to: 2, was: Some("Row 5, 12".into()), name: Some("Row 5, 13".into()), extensions: none() };
    vec![("named", named.clone()), ("by their numbers", MovedSeat { was: None, name: None, ..named })]
}
/// Changes.
#[allow(non_snake_case)] // named like the message
pub fn Change() -> Forms<Change> {
    let later = TicketTerms { from: Time(NOW + Time::DAY), ..ticket_terms() };
    let moved = Change {
        promoter: ISSUER,
        event: EVENT,
        before: terms_of_ticket().handle(),
        after: Some(Terms { ticket: Some(later), ..terms_of_ticket() }),
        text: "The band plays a day later".into(),
        answer_until: Time(NOW + 3600),
        silence_refunds: false,
        at: Time(NOW),
        moves: None,
        extensions: none(),
    };
    let seats = SeatMove().into_iter().map(|(_, one)| one).collect();
    vec![
        ("moved", moved.clone()),
        ("seats moved", Change { moves: Some(seats), ..moved.clone() }),
        ("cancelled", Change { after: None, silence_refunds: true, ..moved }),
    ]
}
/// A change as a ticket's wallet keeps it.
#[allow(non_snake_case)] // named like the message
pub fn KeptChange() -> Forms<KeptChange> {
    let told = KeptChange {
        changed: crate::enter::Changed()[0].1.clone(),
        before: terms_of_ticket().handle(),
        answer: None,
        outcome: None,
        extensions: none(),
    };
    let ended = KeptChange { outcome: Some(ChangeOutcome::Taken), ..told.clone() };
    vec![("told", told), ("ended", ended)]
}
/// What became of a ticket.
#[allow(non_snake_case)] // named like the message
pub fn ChangeReply() -> Forms<ChangeReply> {
    let over = ChangeReply {
        card: CARD,
        change: Hash::of(b"the change"),
        outcome: ChangeOutcome::Refunded,
        certificate: None,
        signer: 1,
        extensions: none(),
    };
    vec![("refunded", over.clone()), ("kept", ChangeReply { outcome: ChangeOutcome::Kept, ..over })]
}
/// Answers to a change.
#[allow(non_snake_case)] // named like the message
pub fn ChangeAnswer() -> Forms<ChangeAnswer> {
    let yes = ChangeAnswer {
        wallet: WALLET,
        card: CARD,
        change: Hash::of(b"the change"),
        accept: true,
        at: Time(NOW + 60),
        extensions: none(),
    };
    vec![("yes", yes.clone()), ("no", ChangeAnswer { accept: false, ..yes })]
}
