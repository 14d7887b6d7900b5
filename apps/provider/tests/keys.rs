//! The provider's keys and its gates' certificates end, and others come into use while devices are away (flow 20).

use crate::concert::*;
use crate::world;
use crate::world::World;
use tegata_core::Time;
use tegata_core::card::Terms;
use tegata_core::talk::enter::{EnterRefusal, PageError};
use tegata_core::talk::update::load_terms;
use tegata_gate::GateError;

#[test]
fn an_update_mends_a_gate_that_does_not_know_the_key_under_a_ticket() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    // A new key signs from now on, of which no device has heard before.
    let (now, entropy) = (concert.world.now, concert.world.entropy());
    concert.world.provider.rotate(now, now, entropy).expect("rotated");
    concert.world.update(&mut concert.visitor.device);
    let ticket = concert.visitor.ticket(card).expect("a ticket");
    assert_eq!(ticket.purse.certificate.claimed().signer, 2, "the update signs it again (R6)");
    assert_eq!(concert.refused(card, 0), EnterRefusal::TicketKeyUnknown);
    concert.brings(0);
    concert.enters(card, 0);
    // A neighbour that cannot check the ticket either has not heard, instead of counting it for nothing (R22).
    let told = concert.world.moment();
    let (certificate, page) = concert.gates[0].page(0, told).expect("signed");
    let wrong = concert.gates[1].take(certificate.clone(), page.clone(), told);
    assert!(matches!(wrong, Err(GateError::Neighbour(PageError::NewerKey))), "{wrong:?}");
    assert_eq!(concert.gates[1].tally().inside(1), 0);
    concert.brings(1);
    concert.gates[1].take(certificate, page, told).expect("heard");
    assert_eq!(concert.gates[1].tally().inside(1), 1);
    assert_eq!(concert.refused(card, 1), EnterRefusal::Inside);
    concert.brings(0);
    concert.brings(1);
    concert.world.update(&mut concert.visitor.device);
    assert!(concert.world.open_exceptions().is_empty(), "{:?}", concert.world.open_exceptions());
    concert.clean();
}

#[test]
fn a_device_for_which_much_waits_hears_of_a_new_key_by_its_first_answer() {
    let mut world = World::new();
    let mut counter = world.terminal(50);
    // More than one answer carries.
    for number in 0..600 {
        let terms = Terms { name: format!("Card {number}"), ..world.terms() };
        world.order_of(terms, 1, 100, false);
    }
    let (now, entropy) = (world.now, world.entropy());
    world.provider.rotate(now, now, entropy).expect("rotated");
    world.update(&mut counter);
    assert_eq!(counter.anchors().expect("joined").keys.len(), 2);
    let last = Terms { name: "Card 599".into(), ..world.terms() };
    assert_eq!(load_terms(&counter, last.handle()), Some(last), "all of it has come");
    world.update(&mut counter);
}

#[test]
fn a_wallet_put_back_from_before_a_key_came_into_use_hears_of_it() {
    let mut concert = Concert::new();
    let card = concert.buys();
    let copy = concert.visitor.device.vault.clone();
    let (now, entropy) = (concert.world.now, concert.world.entropy());
    concert.world.provider.rotate(now, now, entropy).expect("rotated");
    concert.world.update(&mut concert.visitor.device);
    concert.world.update(&mut concert.visitor.device);
    concert.visitor.device.vault = copy;
    concert.world.update(&mut concert.visitor.device);
    assert_eq!(concert.visitor.device.anchors().expect("joined").keys.len(), 2);
    let ticket = concert.visitor.ticket(card).expect("a ticket");
    assert_eq!((ticket.purse.generation(), ticket.purse.certificate.claimed().signer), (2, 2), "found out (R14)");
    concert.clean();
}

#[test]
fn an_update_mends_a_gate_whose_certificate_is_over() {
    let mut concert = Concert::new();
    let until = |concert: &Concert| concert.gates[0].device.certificate().expect("joined").claimed().until;
    concert.world.now = until(&concert).after(60);
    concert.brings(0);
    assert!(until(&concert) > concert.world.now.after(Time::DAY));
}

#[test]
fn no_certificate_outlives_the_key_that_signed_it() {
    let mut concert = Concert::new();
    let end = world::START.after(20 * 365 * Time::DAY);
    concert.world.now = Time(end.0 - 100 * Time::DAY);
    concert.brings(0);
    let certificate = |concert: &Concert| concert.gates[0].device.certificate().expect("joined").claimed().clone();
    let before = certificate(&concert);
    assert_eq!(before.until, end);
    // The same end once more would be of no use.
    concert.world.now = concert.world.now.after(Time::DAY);
    concert.brings(0);
    assert_eq!(certificate(&concert), before);
    let (now, entropy) = (concert.world.now, concert.world.entropy());
    concert.world.provider.rotate(now, now, entropy).expect("rotated");
    concert.brings(0);
    let after = certificate(&concert);
    assert_eq!(after.signer, 2);
    assert!(after.until > end);
}
