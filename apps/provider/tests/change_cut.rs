//! A promoter that is cut off while it changes its event, at each request, before it arrives and after: it goes on with what it signed
//! first, byte for byte, before it says anything else; also where its provider was put back from a backup that has forgotten all of it.

use crate::concert::{Concert, EVENT, plan};
use crate::world::{NUMBER_KEY, START, Wire, blank, usd};
use std::collections::HashSet;
use tegata_core::card::Terms;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::Broken;
use tegata_core::talk::buy::*;
use tegata_core::talk::cards::{Done, Order};
use tegata_core::talk::credit::{OutcomeState, Refund};
use tegata_core::talk::event::*;
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, Handle, RequestNumber, Time, Unit};
use tegata_crypto_native::number::InstallationNumber;
use tegata_device::{Now, Post, PostError};
use tegata_issuer::{Finished, Issuer, IssuerError, Offered, Replacing, Wording};
use tegata_provider::{Keys, Provider};
use tegata_store::{SeatState, Store};
use tegata_vault::{MemoryVault, Vault};

/// A line that is cut at the request of this number, from 1, before it arrives or after; from then on it is dead.
struct Cut<'a> {
    wire: Wire<'a>,
    left: usize,
    arrives: bool,
}

impl Post for Cut<'_> {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        let away = || PostError::Away("here".into());
        match self.left {
            0 => Err(away()),
            1 => {
                self.left = 0;
                if self.arrives {
                    self.wire.post(envelopes)?;
                }
                Err(away())
            }
            _ => {
                self.left -= 1;
                self.wire.post(envelopes)
            }
        }
    }
}

/// What the promoter's device does over such a line; `cut`: where.
fn does<T>(
    concert: &mut Concert,
    cut: Option<(usize, bool)>,
    act: impl FnOnce(&mut Issuer<MemoryVault>, &mut dyn Post, Now) -> T,
) -> T {
    let mut promoter = Issuer::new(std::mem::replace(&mut concert.world.issuer, blank(200)));
    let now = concert.world.moment();
    let (left, arrives) = cut.unwrap_or((usize::MAX, true));
    let mut post = Cut { wire: concert.world.wire(now, false), left, arrives };
    let done = act(&mut promoter, &mut post, now);
    concert.world.issuer = promoter.device;
    done
}

/// It finishes what the provider's report does not name.
fn finishes(concert: &mut Concert, cut: Option<(usize, bool)>) -> Result<Vec<Finished>, IssuerError> {
    let report = does(concert, None, |promoter, post, now| promoter.changes(post, now)).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let named = report["changes"].as_array().expect("changes").iter();
    let recorded: HashSet<String> = named.map(|one| one["change"].as_str().expect("a hash").to_owned()).collect();
    does(concert, cut, |promoter, post, now| promoter.finish(post, Some(EVENT), &recorded, now))
}

/// The same, cut off again at its first request, its second and so on, until it comes through.
fn finishes_in_the_end(concert: &mut Concert, arrives: bool) {
    let finished = (1..20).find_map(|at| finishes(concert, Some((at, arrives))).ok()).expect("finished");
    assert!(finished.iter().all(|one| one.refused.is_none()), "{finished:?}");
    assert!(finishes(concert, None).expect("answered").is_empty(), "nothing is left");
}

/// What an article sells.
fn sold(concert: &Concert, article: u64) -> Listing {
    let row = concert.world.provider.store().article(concert.world.issuer_id(), article).expect("read");
    Signed::<Listing>::decode(&row.expect("listed").body).expect("a listing").claimed().clone()
}

/// The same tickets for other seats, and nothing else is different.
fn reseated(before: &Terms) -> Terms {
    let ticket = before.ticket.clone().expect("a ticket's");
    Terms { ticket: Some(TicketTerms { seating: Some(Handle([7; 8])), ..ticket }), ..before.clone() }
}

fn called(before: &Terms, name: &str) -> Terms {
    Terms { name: name.into(), ..before.clone() }
}

fn replacing(before: &Terms, after: Option<Terms>, moves: &[(u64, u64)]) -> Replacing {
    let number = |(from, to): &(u64, u64)| SeatMove { from: *from, to: *to, extensions: Default::default() };
    let moves = (!moves.is_empty()).then(|| moves.iter().map(number).collect());
    Replacing { before: before.clone(), after, moves }
}

fn wording(concert: &Concert) -> Wording {
    let answer_until = concert.world.now.after(3 * Time::DAY);
    Wording { text: "The hall is too small".into(), answer_until, silence_refunds: false }
}

/// A concert whose promoter's vault has what its article sells.
fn promoted() -> Concert {
    let mut concert = Concert::new();
    let issuer = concert.world.issuer_id();
    let (_, body) = concert.world.provider.store().listing(issuer, 1, 1).expect("read").expect("listed");
    let mut record = Batch::default();
    record.put(RecordKey::new(Space::Receipt, [b"article".as_slice(), &1_u64.to_be_bytes()].concat()), body);
    concert.world.issuer.vault.commit(&record).expect("stored");
    concert
}

/// Two categories that are off sale: of the seats 1 to 6 two are sold and one is reserved, of 7 and 8 one is ordered by number. With
/// them the changes that move all of them, and the reservation.
fn hall() -> (Concert, Vec<Replacing>, RequestNumber) {
    let mut concert = promoted();
    concert.buys();
    concert.buys();
    let now = concert.world.moment();
    let mut wire = concert.world.wire(now, false);
    let article = concert.visitor.catalogue(&mut wire, now).expect("a catalogue").remove(0);
    let (reserved, kept) = concert.visitor.reserve(&mut wire, article, None, now).expect("answered");
    assert!(matches!(kept, BuyNotice::Reserved { .. }), "{kept:?}");
    let seat = |seat, article| Seat { seat, name: format!("Hall 2, {seat}"), article, extensions: Default::default() };
    let mut grown = EventPlan { revision: 2, ..plan(&concert.world) };
    grown.seats.extend((4..=6).map(|number| seat(number, 1)).chain((7..=8).map(|number| seat(number, 2))));
    concert.world.issuer_asks(grown);
    let stalls = sold(&concert, 1).terms;
    let balcony = called(&stalls, "Concert, balcony");
    let face = Amount::new(Unit::ENTRIES, 2).expect("in range");
    let offered = Offered {
        terms: balcony.clone(),
        face,
        price: usd(3_000),
        stock: 2,
        until: sold(&concert, 1).until,
        valid_for: 20 * Time::DAY,
        clear_after: None,
    };
    does(&mut concert, None, |promoter, post, now| promoter.list(post, 2, offered, now)).expect("listed");
    concert.world.batch += 1;
    let number = InstallationNumber::generate(concert.world.entropy());
    let body = Order {
        issuer: concert.world.issuer_id(),
        batch: concert.world.batch,
        terms: balcony.clone(),
        face,
        numbers: vec![number.keyed_hash(&NUMBER_KEY)],
        at: concert.world.now,
        until: concert.world.now.after(10 * Time::DAY),
        seats: Some(vec![7]),
        extensions: Default::default(),
    };
    concert.world.issuer_asks(body);
    for article in [1, 2] {
        does(&mut concert, None, |promoter, post, now| promoter.restock(post, article, 0, now)).expect("off sale");
    }
    let all = vec![
        replacing(&stalls, Some(reseated(&stalls)), &[(1, 4), (2, 5), (3, 6)]),
        replacing(&balcony, Some(reseated(&balcony)), &[(7, 8)]),
    ];
    (concert, all, reserved)
}

/// How all seats stand, by number.
fn states(concert: &Concert) -> Vec<SeatState> {
    concert.world.provider.store().seats_of(EVENT).expect("read").iter().map(|row| row.state).collect()
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

/// The provider is put back from this copy.
fn put_back(concert: &mut Concert, backup: &[u8]) {
    let store = Store::restore(backup).expect("restored");
    let keys = Keys::new([9; 32], START);
    concert.world.provider = Provider::open(store, keys, "Town", concert.world.now, Broken::NONE).expect("opened");
}

const TAKEN: SeatState = SeatState::Taken;
const FREE: SeatState = SeatState::Free;
const CLOSED: SeatState = SeatState::Closed;
const MOVED: [SeatState; 8] = [CLOSED, CLOSED, CLOSED, TAKEN, TAKEN, FREE, CLOSED, TAKEN];

/// Says this at each cut, and then what `then` does. Each of the halls has as many requests: two a category.
fn at_each_cut(mut then: impl FnMut(&mut Concert, &[Replacing], bool)) {
    for arrives in [false, true] {
        for at in 1.. {
            let (mut concert, all, reserved) = hall();
            let said = wording(&concert);
            let done = does(&mut concert, Some((at, arrives)), |promoter, post, now| {
                promoter.change_all(post, &all, &said, now)
            });
            if done.is_ok() {
                assert_eq!(at, 5, "a listing and a change for each category");
                break;
            }
            // Meanwhile a seat comes free that is moved, or was.
            let now = concert.world.moment();
            let mut wire = concert.world.wire(now, false);
            concert.visitor.cancel(&mut wire, reserved, now).expect("let go");
            then(&mut concert, &all, arrives);
        }
    }
}

#[test]
fn seats_of_two_categories_are_moved_wherever_their_promoter_is_cut_off() {
    at_each_cut(|concert, all, arrives| {
        finishes_in_the_end(concert, arrives);
        assert_eq!(states(concert), MOVED);
        for (article, one) in [(1, &all[0]), (2, &all[1])] {
            let listed = sold(concert, article);
            assert_eq!((Some(listed.terms), listed.stock), (one.after.clone(), 0));
        }
        works(concert);
        concert.world.update(&mut concert.visitor.device);
        let told = concert.visitor.changes().expect("read");
        let mut seats: Vec<_> = told.iter().filter_map(|one| one.offered.changed.seat.as_ref()).collect();
        seats.sort_by_key(|seat| seat.from);
        assert_eq!(seats.iter().map(|seat| (seat.from, seat.to)).collect::<Vec<_>>(), [(1, 4), (2, 5)]);
        concert.clean();
    });
}

#[test]
fn an_event_is_cancelled_and_all_are_paid_back_wherever_its_change_was_cut_off() {
    at_each_cut(|concert, all, arrives| {
        finishes_in_the_end(concert, arrives);
        let calls_off: Vec<Replacing> =
            all.iter().map(|one| replacing(one.after.as_ref().expect("terms"), None, &[])).collect();
        let said = wording(concert);
        // That is cut off as well, between its two categories.
        let cut =
            does(concert, Some((2, arrives)), |promoter, post, now| promoter.change_all(post, &calls_off, &said, now));
        assert!(cut.is_err());
        finishes_in_the_end(concert, arrives);
        works(concert);
        assert_eq!(bank_pays_back(concert), 2);
        let store = concert.world.provider.store();
        assert!(store.planned(EVENT).expect("read").expect("planned").cancelled.is_some());
        let changes = store.changes_by(concert.world.issuer_id()).expect("read");
        assert_eq!(changes.iter().filter(|change| change.after.is_none()).count(), 2);
        assert_eq!(changes.len(), 4);
        concert.clean();
    });
}

#[test]
fn a_change_without_seats_is_made_wherever_it_is_cut_off() {
    for (at, arrives) in [(1, false), (1, true), (2, false), (2, true)] {
        let mut concert = promoted();
        let card = concert.buys();
        let before = sold(&concert, 1).terms;
        let after = called(&before, "Concert, later");
        let (all, said) = ([replacing(&before, Some(after.clone()), &[])], wording(&concert));
        let cut =
            does(&mut concert, Some((at, arrives)), |promoter, post, now| promoter.change_all(post, &all, &said, now));
        assert!(cut.is_err(), "request {at}");
        // Something else cannot come before it.
        let other = [replacing(&before, None, &[])];
        let refused = does(&mut concert, None, |promoter, post, now| promoter.change_all(post, &other, &said, now));
        assert!(matches!(refused, Err(IssuerError::OtherChange(_))), "{refused:?}");
        finishes_in_the_end(&mut concert, arrives);
        assert_eq!(sold(&concert, 1).terms, after);
        works(&mut concert);
        concert.world.update(&mut concert.visitor.device);
        assert_eq!(concert.visitor.change(card).expect("told").offered.changed.after, Some(after));
        concert.clean();
    }
}

#[test]
fn a_provider_put_back_from_a_backup_is_told_all_that_it_has_forgotten_in_its_order() {
    let mut concert = promoted();
    let card = concert.buys();
    let backup = concert.world.provider.snapshot().expect("a backup");
    let first = sold(&concert, 1).terms;
    let (second, third) = (called(&first, "Concert, later"), called(&first, "Concert, later still"));
    for (before, after) in [(&first, &second), (&second, &third)] {
        let (all, said) = ([replacing(before, Some(after.clone()), &[])], wording(&concert));
        does(&mut concert, None, |promoter, post, now| promoter.change_all(post, &all, &said, now)).expect("changed");
    }
    put_back(&mut concert, &backup);
    assert_eq!(sold(&concert, 1).terms, first);
    finishes_in_the_end(&mut concert, false);
    assert_eq!(sold(&concert, 1).terms, third);
    let store = concert.world.provider.store();
    assert_eq!(store.changes_by(concert.world.issuer_id()).expect("read").len(), 2);
    works(&mut concert);
    concert.world.update(&mut concert.visitor.device);
    assert_eq!(concert.visitor.change(card).expect("told").offered.changed.after, Some(third));
    concert.clean();
}

#[test]
fn a_provider_that_has_forgotten_the_seats_too_is_told_the_plan_before_they_are_moved() {
    let mut concert = promoted();
    concert.buys();
    concert.buys();
    let backup = concert.world.provider.snapshot().expect("a backup");
    let seat = |seat| Seat { seat, name: format!("Hall 2, {seat}"), article: 1, extensions: Default::default() };
    let mut grown = EventPlan { revision: 2, ..plan(&concert.world) };
    grown.seats.extend((4..=6).map(seat));
    let before = sold(&concert, 1).terms;
    let all = [replacing(&before, Some(reseated(&before)), &[(1, 4), (2, 5), (3, 6)])];
    let said = wording(&concert);
    does(&mut concert, None, |promoter, post, now| {
        let grown = promoter.device.signed(grown).expect("signed");
        let mut record = Batch::default();
        record.put(RecordKey::new(Space::Event, [b"plan".as_slice(), &EVENT.0].concat()), grown.encode());
        promoter.device.vault.commit(&record).expect("stored");
        let _: Verified<Done> = promoter.device.request(post, &grown, now).expect("planned");
        promoter.restock(post, 1, 0, now).expect("off sale");
        promoter.change_all(post, &all, &said, now).expect("changed");
    });
    let moved = [CLOSED, CLOSED, CLOSED, TAKEN, TAKEN, FREE];
    assert_eq!(states(&concert), moved);
    put_back(&mut concert, &backup);
    assert_eq!(states(&concert), [TAKEN, TAKEN, FREE]);
    finishes_in_the_end(&mut concert, false);
    assert_eq!(states(&concert), moved);
    concert.clean();
}

#[test]
fn what_comes_too_late_is_refused_forgotten_and_can_be_said_anew() {
    let (mut concert, all, _) = hall();
    let said = wording(&concert);
    let cut = does(&mut concert, Some((2, false)), |promoter, post, now| promoter.change_all(post, &all, &said, now));
    assert!(cut.is_err());
    concert.world.now = concert.world.now.after(4 * Time::DAY);
    let finished = finishes(&mut concert, None).expect("answered");
    let why: Vec<_> = finished.iter().map(|one| one.refused.as_ref().map(|refused| refused.why)).collect();
    assert_eq!(why, [Some(ProviderRefusal::Terms); 2], "nobody could answer any more");
    for (article, one) in (1..).zip(&all) {
        assert_eq!(sold(&concert, article).terms, one.before, "what sold the old terms sells them again");
    }
    assert!(finishes(&mut concert, None).expect("answered").is_empty());
    let said = wording(&concert);
    does(&mut concert, None, |promoter, post, now| promoter.change_all(post, &all, &said, now)).expect("changed");
    assert_eq!(states(&concert)[3..5], [TAKEN, TAKEN]);
    assert_eq!(states(&concert)[6..], [CLOSED, TAKEN]);
    concert.clean();
}

#[test]
fn what_one_article_sold_before_it_sells_again_where_another_could_not_be_listed() {
    let mut concert = promoted();
    concert.buys();
    let listed = sold(&concert, 1);
    let before = listed.terms.clone();
    let offered = Offered {
        terms: before.clone(),
        face: listed.face,
        price: listed.price,
        stock: 2,
        until: listed.until,
        valid_for: listed.valid_for,
        clear_after: None,
    };
    does(&mut concert, None, |promoter, post, now| promoter.list(post, 2, offered, now)).expect("listed");
    let (all, said) = ([replacing(&before, Some(called(&before, "Concert, later")), &[])], wording(&concert));
    let cut = does(&mut concert, Some((1, false)), |promoter, post, now| promoter.change_all(post, &all, &said, now));
    assert!(cut.is_err());
    // Meanwhile another of the promoter's devices has listed the second article.
    let theirs = Listing { revision: 9, at: concert.world.now, ..sold(&concert, 2) };
    concert.world.issuer_asks(theirs);
    concert.world.now = concert.world.now.after(4 * Time::DAY);
    let finished = finishes(&mut concert, None).expect("answered");
    assert_eq!(finished.iter().map(|one| one.refused.is_some()).collect::<Vec<_>>(), [true], "too late");
    for article in [1, 2] {
        assert_eq!(sold(&concert, article).terms, before, "article {article}");
    }
    assert!(finishes(&mut concert, None).expect("answered").is_empty());
    concert.clean();
}
