//! Seats moved by a change of their event: all of them or none, each holder told which it has and which it gets, no seat for two
//! whatever comes in between, and the auditor finds a seat that was moved otherwise.

use crate::clearing::audited;
use crate::concert::{Concert, EVENT, plan};
use crate::world::{NUMBER_KEY, blank, usd};
use tegata_core::card::Terms;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::step::Broken;
use tegata_core::talk::buy::*;
use tegata_core::talk::cards::{Done, InstallReply, InstallRequest, Order};
use tegata_core::talk::credit::{OutcomeState, Refund};
use tegata_core::talk::enter::EnterRefusal;
use tegata_core::talk::event::*;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{CardId, Handle, Time};
use tegata_crypto_native::number::InstallationNumber;
use tegata_device::RequestError;
use tegata_provider::Provider;
use tegata_store::{ChangeState, SeatState, Store};

/// What the promoter's article sells, by its revision.
fn listed(concert: &Concert, revision: u64) -> Listing {
    let store = concert.world.provider.store();
    let (_, body) = store.listing(concert.world.issuer_id(), 1, revision).expect("read").expect("listed");
    Signed::<Listing>::decode(&body).expect("a listing").claimed().clone()
}

/// The same tickets for other seats, and nothing else is different.
fn reseated(before: &Terms, times: u8) -> Terms {
    let ticket = before.ticket.clone().expect("a ticket's");
    Terms { ticket: Some(TicketTerms { seating: Some(Handle([times; 8])), ..ticket }), ..before.clone() }
}

/// The promoter asks the provider for this.
fn asks<T: tegata_core::wire::canonical::Message>(concert: &mut Concert, body: T) -> Result<Done, RequestError> {
    let mut issuer = std::mem::replace(&mut concert.world.issuer, blank(200));
    let done = concert.world.ask(&mut issuer, body);
    concert.world.issuer = issuer;
    done
}

/// A plan with the seats 4 to 6 of another hall, and one that another article sells.
fn grows(concert: &mut Concert) {
    let seat = |seat, article| Seat { seat, name: format!("Hall 2, {seat}"), article, extensions: Default::default() };
    let mut grown = EventPlan { revision: 2, ..plan(&concert.world) };
    grown.seats.extend((4..=6).map(|number| seat(number, 1)).chain([seat(7, 2)]));
    concert.world.issuer_asks(grown);
}

/// The article sells these terms from now on, so many.
fn lists(concert: &mut Concert, revision: u64, terms: &Terms, stock: u64) {
    let body = Listing { revision, terms: terms.clone(), stock, at: concert.world.now, ..listed(concert, 1) };
    concert.world.issuer_asks(body);
}

/// Numbers for these seats, sold over the counter.
fn prints(concert: &mut Concert, seats: &[u64]) -> Vec<InstallationNumber> {
    concert.world.batch += 1;
    let numbers: Vec<_> = seats.iter().map(|_| InstallationNumber::generate(concert.world.entropy())).collect();
    let Listing { terms, face, .. } = listed(concert, 1);
    let body = Order {
        issuer: concert.world.issuer_id(),
        batch: concert.world.batch,
        terms,
        face,
        numbers: numbers.iter().map(|number| number.keyed_hash(&NUMBER_KEY)).collect(),
        at: concert.world.now,
        until: concert.world.now.after(10 * Time::DAY),
        seats: Some(seats.to_vec()),
        extensions: Default::default(),
    };
    concert.world.issuer_asks(body);
    let body = concert.world.activation(concert.world.batch, seats.len() as u64);
    concert.world.issuer_asks(body);
    numbers
}

fn order(concert: &Concert, before: &Terms, after: Option<Terms>, moves: &[(u64, u64)]) -> Change {
    let moves = moves.iter().map(|(from, to)| SeatMove { from: *from, to: *to, extensions: Default::default() });
    Change {
        promoter: concert.world.issuer_id(),
        event: EVENT,
        before: before.handle(),
        after,
        text: "The hall is too small".into(),
        answer_until: concert.world.now.after(3 * Time::DAY),
        silence_refunds: false,
        at: concert.world.now,
        moves: Some(moves.collect()),
        extensions: Default::default(),
    }
}

/// Everything has its turn that can have it now.
fn works(concert: &mut Concert) {
    for _ in 0..50 {
        let (now, entropy) = (concert.world.now, concert.world.entropy());
        concert.world.provider.change_on(now, entropy);
        concert.world.balanced();
        if !concert.world.provider.is_changing() {
            return;
        }
    }
    panic!("a change does not end");
}

fn hears(concert: &mut Concert) {
    concert.world.update(&mut concert.visitor.device);
}

fn answers(concert: &mut Concert, card: CardId, accept: bool) -> ChangeOutcome {
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let told = concert.visitor.answer_change(&mut wire, card, accept, now).expect("answered");
    concert.world.balanced();
    told
}

/// The bank pays everything back that it is asked for.
fn bank_pays_back(concert: &mut Concert) -> usize {
    let mut paid = 0;
    while concert.says.asks::<Refund>(&mut concert.world) {
        concert.says.say::<Refund>(&mut concert.world, |outcome| {
            (outcome.state, outcome.amount) = (OutcomeState::Refunded, Some(usd(4_500)));
        });
        paid += 1;
    }
    paid
}

/// The seat that the wallet's certificate names, and what stands on it.
fn seat(concert: &Concert, card: CardId) -> (Option<u64>, Option<String>) {
    let purse = concert.visitor.ticket(card).expect("a ticket").purse;
    (purse.certificate.claimed().seat, purse.seat_name)
}

/// How the seats of the hall and of the other one stand.
fn states(concert: &Concert) -> Vec<SeatState> {
    let rows = concert.world.provider.store().seats_of(EVENT).expect("read");
    rows.iter().filter(|row| row.article == 1).map(|row| row.state).collect()
}

/// What the wallet was told of a ticket's seat: from where to where.
fn told(concert: &Concert, card: CardId) -> Option<(u64, u64)> {
    let told = concert.visitor.change(card).expect("told").offered.changed.seat;
    told.map(|moved| (moved.from, moved.to))
}

/// The power goes out and comes back; what was not committed is gone.
fn dies(concert: &mut Concert) {
    let keys = tegata_provider::Keys::new([1; 32], concert.world.now);
    let blank = Provider::open(Store::memory().expect("memory"), keys, "Blank", concert.world.now, Broken::NONE);
    let (store, keys) = std::mem::replace(&mut concert.world.provider, blank.expect("a provider")).crash();
    let keys = keys.expect("its keys");
    concert.world.provider = Provider::open(store, keys, "Town", concert.world.now, Broken::NONE).expect("open again");
}

const TAKEN: SeatState = SeatState::Taken;
const FREE: SeatState = SeatState::Free;
const CLOSED: SeatState = SeatState::Closed;

#[test]
fn a_concert_goes_to_another_hall_and_each_holder_is_told_its_new_seat() {
    let mut concert = Concert::new();
    let (taken, declined) = (concert.buys(), concert.buys());
    grows(&mut concert);
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    // The third seat is left as well, though nobody has it: it is not in that hall.
    let change = order(&concert, &before, Some(after.clone()), &[(1, 4), (2, 5), (3, 6)]);
    asks(&mut concert, change.clone()).expect("changed");
    assert_eq!(states(&concert), [CLOSED, CLOSED, CLOSED, TAKEN, TAKEN, FREE]);
    assert_eq!(seat(&concert, taken).0, Some(1), "its certificate says what it was sold");
    concert.clean();
    works(&mut concert);
    hears(&mut concert);
    let moved = concert.visitor.change(taken).expect("told").offered.changed.seat.expect("a seat");
    assert_eq!((moved.from, moved.was.as_deref()), (1, Some("Row 1, 1")));
    assert_eq!((moved.to, moved.name.as_deref()), (4, Some("Hall 2, 4")));
    concert.clean();
    assert_eq!(answers(&mut concert, taken, true), ChangeOutcome::Taken);
    assert_eq!(seat(&concert, taken), (Some(4), Some("Hall 2, 4".into())));
    assert_eq!(concert.visitor.ticket(taken).expect("a ticket").terms, after);
    assert_eq!(answers(&mut concert, declined, false), ChangeOutcome::Refunded);
    assert_eq!(bank_pays_back(&mut concert), 1);
    assert_eq!(states(&concert), [CLOSED, CLOSED, CLOSED, TAKEN, FREE, FREE], "its new seat is for others");
    concert.clean();
    // Said again it is done, and nothing is moved twice.
    asks(&mut concert, change).expect("the same");
    works(&mut concert);
    // Whoever buys now has a seat of the new hall, once it is on sale again.
    lists(&mut concert, 3, &after, 3);
    let bought = concert.buys();
    assert_eq!(seat(&concert, bought), (Some(5), Some("Hall 2, 5".into())));
    concert.clean();
    concert.doors_open();
    concert.brings(0);
    hears(&mut concert);
    let (_, shown) = concert.touch(taken, 0);
    let passing = shown.first().and_then(|notice| notice.passing()).expect("a ticket");
    assert_eq!((passing.seat, passing.seat_name.as_deref()), (Some(4), Some("Hall 2, 4")));
    assert_eq!(concert.refused(declined, 0), EnterRefusal::Refunded);
    concert.brings(0);
    hears(&mut concert);
    concert.clean();
}

#[test]
fn two_change_places_and_are_moved_once_more_before_they_have_answered() {
    let mut concert = Concert::new();
    let (one, two) = (concert.buys(), concert.buys());
    grows(&mut concert);
    let before = listed(&concert, 1).terms;
    let (after, last) = (reseated(&before, 1), reseated(&before, 2));
    lists(&mut concert, 2, &after, 0);
    let swap = order(&concert, &before, Some(after.clone()), &[(1, 2), (2, 1)]);
    asks(&mut concert, swap).expect("changed");
    assert_eq!(states(&concert)[..3], [TAKEN, TAKEN, FREE]);
    works(&mut concert);
    hears(&mut concert);
    assert_eq!((told(&concert, one), told(&concert, two)), (Some((1, 2)), Some((2, 1))));
    concert.clean();
    // One takes it; the other has not said anything when the second change comes, which moves both seats on.
    assert_eq!(answers(&mut concert, one, true), ChangeOutcome::Taken);
    assert_eq!(seat(&concert, one), (Some(2), Some("Row 1, 2".into())));
    lists(&mut concert, 3, &last, 0);
    let again = order(&concert, &after, Some(last.clone()), &[(1, 4), (2, 1)]);
    asks(&mut concert, again).expect("changed again");
    assert_eq!(states(&concert)[..4], [TAKEN, CLOSED, FREE, TAKEN]);
    concert.clean();
    works(&mut concert);
    hears(&mut concert);
    assert_eq!(told(&concert, one), Some((2, 1)));
    assert_eq!(told(&concert, two), Some((2, 4)), "both moves in one: it never had the seat between");
    concert.clean();
    concert.world.now = concert.world.now.after(3 * Time::DAY);
    works(&mut concert);
    hears(&mut concert);
    assert_eq!((seat(&concert, one).0, seat(&concert, two).0), (Some(1), Some(4)));
    assert_eq!(seat(&concert, two).1.as_deref(), Some("Hall 2, 4"), "by silence, too");
    concert.clean();
    // Cancelled, everybody's seat of now is left.
    let mut over = order(&concert, &last, None, &[]);
    over.moves = None;
    asks(&mut concert, over).expect("cancelled");
    works(&mut concert);
    assert_eq!(bank_pays_back(&mut concert), 2);
    assert_eq!(states(&concert)[..4], [FREE, CLOSED, FREE, FREE]);
    concert.clean();
}

#[test]
fn in_a_row_that_is_shifted_a_seat_that_nobody_comes_onto_is_for_sale() {
    let mut concert = Concert::new();
    grows(&mut concert);
    prints(&mut concert, &[1, 3]);
    let before = listed(&concert, 1).terms;
    let (after, last) = (reseated(&before, 1), reseated(&before, 2));
    lists(&mut concert, 2, &after, 0);
    let shift = order(&concert, &before, Some(after.clone()), &[(1, 2), (2, 3), (3, 4)]);
    asks(&mut concert, shift).expect("changed");
    assert_eq!(states(&concert), [CLOSED, TAKEN, FREE, TAKEN, FREE, FREE], "nobody had the second");
    concert.clean();
    lists(&mut concert, 3, &after, 3);
    let bought = concert.buys();
    assert_eq!(seat(&concert, bought), (Some(3), Some("Row 1, 3".into())));
    concert.clean();
    // So is one that was closed, where a later change moves a seat onto it that nobody has.
    lists(&mut concert, 4, &last, 0);
    let back = order(&concert, &after, Some(last), &[(5, 1)]);
    asks(&mut concert, back).expect("changed again");
    assert_eq!(states(&concert), [FREE, TAKEN, TAKEN, TAKEN, CLOSED, FREE]);
    concert.clean();
}

#[test]
fn the_auditor_finds_a_seat_that_was_sold_after_it_was_left() {
    let mut concert = Concert::new();
    concert.buys();
    grows(&mut concert);
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    let change = order(&concert, &before, Some(after.clone()), &[(1, 4), (2, 5)]);
    asks(&mut concert, change).expect("changed");
    assert_eq!(states(&concert), [CLOSED, CLOSED, FREE, TAKEN, FREE, FREE]);
    lists(&mut concert, 3, &after, 3);
    concert.clean();
    // All of it is as it is when a seat is sold, but for the seat.
    let connection = concert.world.provider.store().connection();
    assert_eq!(connection.execute("UPDATE seat SET free = 1 WHERE seat = 1", []).expect("changed"), 1);
    let bought = concert.buys();
    assert_eq!(seat(&concert, bought).0, Some(1));
    let difference = audited(&concert.world).difference.expect("a difference");
    assert!(difference.about.contains("seat 1 of event-"), "{difference}");
}

#[test]
fn seats_that_cannot_be_moved_are_named_and_nothing_is_changed() {
    let mut concert = Concert::new();
    let (first, second) = (concert.buys(), concert.buys());
    // A third seat is reserved, and not paid.
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let article = concert.visitor.catalogue(&mut wire, now).expect("a catalogue").remove(0);
    let (_, kept) = concert.visitor.reserve(&mut wire, article, None, now).expect("answered");
    assert!(matches!(kept, BuyNotice::Reserved { .. }), "{kept:?}");
    grows(&mut concert);
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    let some = Some(after.clone());
    for (after, moves, says) in [
        (&some, &[(1, 9)][..], "seats that the plan does not have: number 9; nothing was changed"),
        (&some, &[(1, 2)], "that are sold or reserved: Row 1, 2;"),
        (&some, &[(1, 3), (2, 4)], "that are sold or reserved: Row 1, 3;"),
        (&some, &[(1, 7)], "into another category: Row 1, 1;"),
        (&some, &[(1, 4), (1, 5)], "moved twice, or not in order: Row 1, 1;"),
        (&some, &[(1, 4), (2, 4)], "that two are moved onto: Hall 2, 4;"),
        (&some, &[(1, 4), (2, 2)], "moved onto itself: Row 1, 2;"),
        (&some, &[], "no seat is named"),
        (&None, &[(1, 4)], "a cancelled event moves no seats"),
    ] {
        let body = order(&concert, &before, after.clone(), moves);
        match asks(&mut concert, body) {
            Err(RequestError::Refused(refused)) => {
                let told = refused.told();
                assert!(refused.why == ProviderRefusal::Seats && told.contains(says), "{moves:?}: {told}");
            }
            other => panic!("{moves:?} is not refused: {other:?}"),
        }
    }
    let store = concert.world.provider.store();
    assert!(store.change_of(EVENT, before.handle()).expect("read").is_none());
    assert_eq!(states(&concert), [TAKEN, TAKEN, TAKEN, FREE, FREE, FREE]);
    assert_eq!((seat(&concert, first).0, seat(&concert, second).0), (Some(1), Some(2)));
    concert.clean();
    // Tickets that another change would have to reach.
    let change = order(&concert, &before, some, &[(1, 4)]);
    asks(&mut concert, change).expect("changed");
    let other = reseated(&before, 3);
    lists(&mut concert, 3, &other, 6);
    let strangers = concert.buys();
    assert_eq!(seat(&concert, strangers).0, Some(5), "whoever came since");
    let last = reseated(&before, 4);
    lists(&mut concert, 4, &last, 0);
    let body = order(&concert, &after, Some(last), &[(5, 6)]);
    let refused = asks(&mut concert, body).expect_err("of other terms");
    assert!(refused.to_string().contains("does not reach: Hall 2, 5"), "{refused}");
    concert.clean();
}

#[test]
fn a_change_that_was_refused_stays_so_when_its_seats_are_free_since() {
    let mut concert = Concert::new();
    concert.buys();
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let article = concert.visitor.catalogue(&mut wire, now).expect("a catalogue").remove(0);
    let (purchase, _) = concert.visitor.reserve(&mut wire, article, None, now).expect("answered");
    grows(&mut concert);
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    let change = order(&concert, &before, Some(after), &[(1, 2)]);
    let told = |concert: &mut Concert| match asks(concert, change.clone()) {
        Err(RequestError::Refused(refused)) => (refused.why, refused.told()),
        other => panic!("it is not refused: {other:?}"),
    };
    let first = told(&mut concert);
    assert!(first.0 == ProviderRefusal::Seats && first.1.contains("Row 1, 2"), "{first:?}");
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    concert.visitor.cancel(&mut wire, purchase, now).expect("let go");
    // Its promoter was told no, and thinks that nothing was changed.
    assert_eq!(told(&mut concert), first, "brought again late");
    dies(&mut concert);
    assert_eq!(told(&mut concert), first);
    assert_eq!(states(&concert)[..2], [TAKEN, FREE]);
    concert.clean();
    let otherwise = Change { text: "Said again".into(), ..change.clone() };
    asks(&mut concert, otherwise).expect("changed");
    assert_eq!(states(&concert)[..2], [CLOSED, TAKEN]);
    concert.clean();
    let connection = concert.world.provider.store().connection();
    let both = "INSERT INTO change_refused (change, why, at) SELECT change, 16, at FROM change";
    assert_eq!(connection.execute(both, []).expect("written"), 1);
    let difference = audited(&concert.world).difference.expect("found");
    assert_eq!(difference.about, "changes that were refused", "{difference}");
}

#[test]
fn a_seat_that_was_reserved_goes_back_where_it_was_moved_to() {
    let mut concert = Concert::new();
    concert.buys();
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let article = concert.visitor.catalogue(&mut wire, now).expect("a catalogue").remove(0);
    let (purchase, _) = concert.visitor.reserve(&mut wire, article, None, now).expect("answered");
    grows(&mut concert);
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    let change = order(&concert, &before, Some(after), &[(1, 4), (2, 5), (3, 6)]);
    asks(&mut concert, change).expect("changed");
    assert_eq!(states(&concert), [CLOSED, CLOSED, CLOSED, TAKEN, TAKEN, FREE]);
    concert.clean();
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    concert.visitor.cancel(&mut wire, purchase, now).expect("let go");
    assert_eq!(states(&concert), [CLOSED, CLOSED, CLOSED, TAKEN, FREE, FREE], "the old hall's is not sold");
    concert.clean();
}

#[test]
fn a_ticket_by_number_has_its_seat_moved_before_it_is_installed_and_after() {
    let mut concert = Concert::new();
    grows(&mut concert);
    let numbers = prints(&mut concert, &[2, 3]);
    let before = listed(&concert, 1).terms;
    let early = concert.world.install(&mut concert.visitor.device, &numbers[0], 91);
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    let change = order(&concert, &before, Some(after.clone()), &[(2, 5), (3, 6)]);
    asks(&mut concert, change).expect("changed");
    assert_eq!(states(&concert), [FREE, CLOSED, CLOSED, FREE, TAKEN, TAKEN]);
    concert.clean();
    works(&mut concert);
    let late = concert.world.install(&mut concert.visitor.device, &numbers[1], 92);
    assert_eq!(seat(&concert, late), (Some(3), Some("Row 1, 3".into())), "as it was ordered: it has the old terms");
    concert.clean();
    works(&mut concert);
    hears(&mut concert);
    assert_eq!((told(&concert, early), told(&concert, late)), (Some((2, 5)), Some((3, 6))));
    assert_eq!(answers(&mut concert, early, true), ChangeOutcome::Taken);
    assert_eq!(answers(&mut concert, late, true), ChangeOutcome::Taken);
    assert_eq!((seat(&concert, early).0, seat(&concert, late).0), (Some(5), Some(6)));
    concert.clean();
}

#[test]
fn the_ticket_of_a_number_is_the_same_again_with_the_name_of_its_own_seat() {
    let mut concert = Concert::new();
    grows(&mut concert);
    let numbers = prints(&mut concert, &[2]);
    let visitor = &mut concert.visitor.device;
    let key = visitor.ring.make(&mut visitor.vault, Algorithm::Ed25519, &[93; 32]).expect("a key");
    let (wallet, number) = (visitor.id().expect("joined"), numbers[0].to_string());
    let request = InstallRequest { wallet, number, key, slip: None, extensions: Default::default() };
    let first: InstallReply = concert.world.ask(visitor, request.clone()).expect("installed");
    assert_eq!((first.certificate.claimed().seat, first.seat_name.as_deref()), (Some(2), Some("Row 1, 2")));
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    let change = order(&concert, &before, Some(after), &[(2, 5)]);
    asks(&mut concert, change).expect("changed");
    works(&mut concert);
    concert.world.now = concert.world.now.after(3 * Time::DAY);
    works(&mut concert);
    let row = concert.world.provider.store().ticket(first.certificate.claimed().card).expect("read");
    assert_eq!(row.and_then(|row| row.seat), Some(5), "silence has decided");
    let activation = concert.world.activation(concert.world.batch, 1);
    let slip = Some(concert.world.issuer.signed(activation).expect("signs"));
    let again = InstallRequest { slip, ..request };
    let again: InstallReply = concert.world.ask(&mut concert.visitor.device, again).expect("the same");
    assert_eq!((again.certificate, again.seat_name.as_deref()), (first.certificate, Some("Row 1, 2")));
}

#[test]
fn what_a_promoter_has_signed_is_read_by_no_update_and_written_once() {
    let mut concert = Concert::new();
    let bought = concert.buys();
    grows(&mut concert);
    let numbers = prints(&mut concert, &[2, 3]);
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    let change = order(&concert, &before, Some(after), &[(1, 4), (2, 5), (3, 6)]);
    asks(&mut concert, change).expect("changed");
    // With many seats it is long: whatever goes on by itself goes on without it.
    let does = |concert: &Concert, what: &str| concert.world.provider.store().connection().execute_batch(what);
    let apart = "CREATE TEMP TABLE apart AS SELECT change, body FROM change_signed; DELETE FROM change_signed;";
    does(&concert, apart).expect("put apart");
    works(&mut concert);
    hears(&mut concert);
    assert_eq!(told(&concert, bought), Some((1, 4)));
    // A ticket that comes to a change that is open leaves that as it is.
    let unwritten =
        "CREATE TEMP TRIGGER written BEFORE INSERT ON main.change BEGIN SELECT RAISE(ABORT, 'written'); END;
        CREATE TEMP TRIGGER again BEFORE UPDATE ON main.change BEGIN SELECT RAISE(ABORT, 'written again'); END;";
    does(&concert, unwritten).expect("watched");
    let early = concert.world.install(&mut concert.visitor.device, &numbers[0], 91);
    does(&concert, "DROP TRIGGER written; DROP TRIGGER again").expect("not watched any more");
    works(&mut concert);
    hears(&mut concert);
    assert_eq!(told(&concert, early), Some((2, 5)));
    assert_eq!(answers(&mut concert, bought, true), ChangeOutcome::Taken);
    concert.world.now = concert.world.now.after(3 * Time::DAY);
    works(&mut concert);
    hears(&mut concert);
    assert_eq!((seat(&concert, bought).0, seat(&concert, early).0), (Some(4), Some(5)));
    let ended = |concert: &Concert| {
        let row = concert.world.provider.store().change_of(EVENT, before.handle()).expect("read").expect("a change");
        row.ended.is_some()
    };
    assert!(ended(&concert), "all are decided");
    // One that comes when it was over opens it again.
    let late = concert.world.install(&mut concert.visitor.device, &numbers[1], 92);
    assert!(!ended(&concert));
    works(&mut concert);
    hears(&mut concert);
    assert_eq!(seat(&concert, late).0, Some(6), "silence has decided");
    assert!(ended(&concert));
    does(&concert, "INSERT INTO change_signed SELECT change, body FROM apart").expect("put back");
    concert.clean();
}

#[test]
fn a_provider_that_dies_has_moved_all_seats_or_none_and_the_auditor_finds_one_moved_otherwise() {
    let mut concert = Concert::new();
    let (one, two) = (concert.buys(), concert.buys());
    grows(&mut concert);
    let before = listed(&concert, 1).terms;
    let after = reseated(&before, 1);
    lists(&mut concert, 2, &after, 0);
    dies(&mut concert);
    assert_eq!(states(&concert), [TAKEN, TAKEN, FREE, FREE, FREE, FREE]);
    let change = order(&concert, &before, Some(after), &[(1, 4), (2, 1)]);
    asks(&mut concert, change.clone()).expect("changed");
    dies(&mut concert);
    assert_eq!(states(&concert), [TAKEN, CLOSED, FREE, TAKEN, FREE, FREE]);
    asks(&mut concert, change).expect("the same, where the answer was lost");
    concert.clean();
    works(&mut concert);
    dies(&mut concert);
    hears(&mut concert);
    assert_eq!(answers(&mut concert, one, true), ChangeOutcome::Taken);
    dies(&mut concert);
    concert.world.now = concert.world.now.after(3 * Time::DAY);
    works(&mut concert);
    hears(&mut concert);
    assert_eq!((seat(&concert, one).0, seat(&concert, two).0), (Some(4), Some(1)));
    let state = |card| concert.world.provider.store().changes_to(card).expect("read").last().map(|row| row.state);
    assert_eq!((state(one), state(two)), (Some(ChangeState::Accepted), Some(ChangeState::SilentAccepted)));
    concert.clean();
    let connection = concert.world.provider.store().connection();
    for (what, how, about) in [
        ("another seat on the ticket", "UPDATE ticket SET seat = 5 WHERE seat = 4", "the seat of card-"),
        ("the ticket where it was", "UPDATE ticket SET seat = 2 WHERE seat = 1", "the seat of card-"),
        ("somebody else's place", "UPDATE seat_taken SET seat = 6 WHERE seat = 4", "seat "),
        ("the seat that was left", "UPDATE seat SET free = 1 WHERE seat = 2", "seat 2 of event-"),
        ("a free seat kept from sale", "UPDATE seat SET free = 2 WHERE seat = 3", "seat 3 of event-"),
        ("a move otherwise", "UPDATE seat_move SET onto = 5 WHERE seat = 1", "seat 1 by change"),
        ("a move less", "DELETE FROM seat_move WHERE seat = 1", "seat 1 by change"),
    ] {
        connection.execute_batch("SAVEPOINT tampered").expect("begun");
        assert!(connection.execute(how, []).expect(what) > 0, "{what}");
        let found = audited(&concert.world);
        connection.execute_batch("ROLLBACK TO tampered; RELEASE tampered").expect("undone");
        let difference = found.difference.unwrap_or_else(|| panic!("{what}: nothing is found"));
        assert!(difference.about.contains(about), "{what}: {difference}");
    }
}
