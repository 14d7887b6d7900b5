//! Whoever is inside goes out, whatever has become of the ticket since (R20): changed, paid back, blocked, given on, or expired.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::venue::*;
use std::sync::Arc;
use tegata_core::Time;
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::ticket::TicketTerms;
use tegata_core::record::Batch;
use tegata_core::talk::enter::*;
use tegata_core::talk::journal::EntryKind;
use tegata_core::talk::pay::{load_purse, purse_key};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::Algorithm;
use tegata_vault::Vault;

const DEAD: [EnterRefusal; 4] =
    [EnterRefusal::Changed, EnterRefusal::Refunded, EnterRefusal::Blocked, EnterRefusal::GivenAway];

/// The gate of the way out hears what its provider has to say.
fn hears_that(venue: &mut Venue, change: impl Fn(&mut Setup)) {
    let mut setup = venue.setup(3, Direction::Out);
    change(&mut setup);
    venue.gates[2].door.setup = Arc::new(setup);
}

fn dead(why: EnterRefusal) -> impl Fn(&mut Setup) {
    move |setup| setup.dead = vec![DeadTicket { card: CARD, generation: 1, why }]
}

/// Two people have come in by one ticket, and the way out knows.
fn two_inside() -> Venue {
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.touch(0, 2, usize::MAX)));
    venue.tell(0, 2).unwrap();
    assert_eq!(venue.inside(2), 2);
    venue
}

fn goes_out(venue: &mut Venue) {
    let (seen, shown) = venue.enter(2);
    assert!(matches!(seen[..], [WalletEnterNotice::Out { .. }]), "{seen:?}");
    assert!(matches!(shown[..], [GateNotice::LetOut(_)]), "{shown:?}");
    venue.tell(2, 0).unwrap();
    assert_eq!([venue.inside(0), venue.inside(2)], [0, 0], "every gate counts it");
}

/// The wallet has heard what became of its ticket.
fn stands(venue: &mut Venue, state: PurseState) {
    let purse = load_purse(&venue.wallet, CARD).unwrap();
    let mut batch = Batch::default();
    batch.replace(purse_key(CARD), Some(purse.to_bytes()), Purse { state, ..purse }.to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
}

#[test]
fn who_came_in_by_a_ticket_that_is_dead_by_now_goes_out_once() {
    for hears in [true, false] {
        for why in DEAD {
            let mut venue = two_inside();
            venue.gates[2].door.hears = hears;
            hears_that(&mut venue, dead(why));
            goes_out(&mut venue);
            assert_eq!(venue.log(2), [EntryKind::Left]);
            assert_eq!(venue.refusal(2, 1), EnterRefusal::NotInside, "its wallet knows that it is outside");
            let mut setup = venue.setup(1, Direction::In);
            dead(why)(&mut setup);
            venue.gates[0].door.setup = Arc::new(setup);
            assert_eq!(venue.refusal(0, 1), why, "and it does not come in again");
        }
    }
}

#[test]
fn who_came_in_under_terms_that_were_replaced_or_are_not_listed_goes_out() {
    let handle = two_inside().terms.handle();
    let other = TicketTerms { zones: vec![2], companions: 0, reentry: false, ..ticket_terms() };
    let other = Venue::new(Algorithm::Ed25519, other).terms;
    let listed = [vec![other], vec![]];
    for terms in listed {
        let mut venue = two_inside();
        hears_that(&mut venue, |setup| (setup.terms, setup.replaced) = (terms.clone(), vec![handle]));
        goes_out(&mut venue);
    }
    // An alone gate that has heard of the change and not of the entry: the ticket is not dead.
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.enter(0)));
    hears_that(&mut venue, |setup| setup.replaced = vec![handle]);
    goes_out(&mut venue);
}

#[test]
fn nobody_is_let_out_of_a_dead_ticket_that_is_not_known_to_be_inside() {
    for why in DEAD {
        let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
        assert!(let_in(&venue.enter(0)));
        hears_that(&mut venue, dead(why));
        assert_eq!(venue.refusal(2, 1), why, "this gate knows of no entry");
        venue.tell(0, 2).unwrap();
        assert_eq!(venue.refusal(2, 2), why, "one came in by it, not two");
        goes_out(&mut venue);
    }
}

#[test]
fn a_word_that_was_lost_on_the_way_out_is_said_again() {
    for why in DEAD {
        let mut venue = two_inside();
        hears_that(&mut venue, dead(why));
        let (_, shown) = venue.touch(2, 1, 3);
        assert!(matches!(shown[..], [GateNotice::LetOut(_)]), "{shown:?}");
        let (seen, shown) = venue.enter(2);
        assert!(matches!(seen[..], [WalletEnterNotice::Out { .. }]), "{seen:?}");
        assert!(matches!(shown[..], [GateNotice::Repeated(_)]), "{shown:?}");
        assert_eq!(venue.log(2), [EntryKind::Left], "it went out once");
    }
}

#[test]
fn a_wallet_that_knows_that_its_ticket_is_over_or_blocked_shows_it_to_go_out_and_not_to_come_in() {
    for (state, why) in [(PurseState::Ended, EnterRefusal::Refunded), (PurseState::Blocked, EnterRefusal::Blocked)] {
        let mut venue = two_inside();
        stands(&mut venue, state);
        hears_that(&mut venue, dead(why));
        assert_eq!(venue.refusal(0, 1), why);
        goes_out(&mut venue);
        assert_eq!(venue.refusal(2, 1), why, "it is outside");
    }
}

#[test]
fn who_stayed_until_the_ticket_had_expired_goes_out() {
    let mut venue = two_inside();
    venue.now = DOORS.after(31 * Time::DAY);
    goes_out(&mut venue);
    let mut venue = Venue::new(Algorithm::Ed25519, ticket_terms());
    assert!(let_in(&venue.enter(0)));
    venue.now = DOORS.after(31 * Time::DAY);
    assert_eq!(venue.refusal(2, 1), EnterRefusal::TooLate, "this gate knows of no entry");
}

#[test]
fn a_ticket_that_another_provider_has_signed_lets_nobody_out() {
    let mut venue = two_inside();
    let purse = load_purse(&venue.wallet, CARD).unwrap();
    let forger = tegata_crypto_native::SecretKey::from_seed(Algorithm::Ed25519, &[66; 32]);
    let forged = sign(purse.certificate.claimed().clone(), &forger);
    let mut batch = Batch::default();
    batch.replace(purse_key(CARD), Some(purse.to_bytes()), Purse { certificate: forged, ..purse.clone() }.to_bytes());
    venue.wallet.vault.commit(&batch).unwrap();
    assert_eq!(venue.refusal(2, 1), EnterRefusal::NotTrusted);
    assert_eq!(venue.inside(2), 2);
}
