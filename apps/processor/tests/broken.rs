//! A full disk and a damaged vault: nothing is half done, and nobody else waits.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::world::{Fault, PATIENCE, PROVIDER, World, usd};
use tegata_core::talk::credit::{Clear, OutcomeState, ProcessorAnswer, ProcessorRefusal};
use tegata_core::{Time, Unit};
use tegata_processor::bank::TestCard;

fn state(world: &mut World, answer: ProcessorAnswer) -> OutcomeState {
    world.outcome(answer).state
}

#[test]
fn a_full_disk_is_told_and_what_was_begun_goes_on_when_there_is_space() {
    let mut world = World::new(Fault::Nothing);
    let accounts = world.accounts(TestCard::Approved);
    let limit = |world: &World, pages: u32| {
        let connection = world.processor().store().connection();
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&world, 1);
    // Until the pages that are there are full, some are still done.
    let (mut approved, mut refused) = (Vec::new(), None);
    for _ in 0..200 {
        let request = world.authorize(accounts, 100);
        let entropy = world.draw();
        let question = world.asker.ask(request.clone(), entropy).unwrap();
        match world.once(&question) {
            Some((_, ProcessorAnswer::Outcome(outcome))) if outcome.state == OutcomeState::Approved => {
                approved.push(request.number);
            }
            Some((_, ProcessorAnswer::Refused(why))) => {
                assert_eq!(why.why, ProcessorRefusal::Unavailable);
                refused = Some(question);
                break;
            }
            other => {
                // It was sent, and its answer could not be stored.
                assert!(matches!(other, Some((_, ProcessorAnswer::Outcome(_))) | None), "{other:?}");
            }
        }
    }
    let refused = refused.expect("the disk filled up");
    limit(&world, 1_000_000);
    world.run(20 * PATIENCE);
    assert!(world.processor().line_is_open(), "it has begun anew");
    let (_, answer) = world.answer(&refused);
    assert_eq!(state(&mut world, answer), OutcomeState::Approved);
    let held = world.bank.held(Unit::USD);
    assert_eq!(held, 100 * (i64::try_from(approved.len()).unwrap() + 1), "held is what was told as approved");
    let (number, at) = (world.number(), Time(6));
    let clear = Clear {
        provider: PROVIDER,
        number,
        at,
        authorization: approved[0],
        amount: usd(100),
        extensions: Default::default(),
    };
    assert!(matches!(world.ask(clear).1, ProcessorAnswer::Cleared(_)));
}

#[test]
fn a_card_that_does_not_open_holds_up_nobody_else() {
    let mut world = World::new(Fault::Nothing);
    let broken = world.accounts(TestCard::Approved);
    let sound = world.accounts(TestCard::Approved);
    let held = world.authorize(broken, 100);
    let answer = world.ask(held.clone()).1;
    assert_eq!(state(&mut world, answer), OutcomeState::Approved);
    let sql = "UPDATE vault SET sealed = zeroblob(34) WHERE account = ?1";
    world.processor().store().connection().execute(sql, [broken.0.0]).unwrap();
    let request = world.authorize(broken, 100);
    let entropy = world.draw();
    let question = world.asker.ask(request, entropy).unwrap();
    let (_, answer) = world.once(&question).unwrap();
    assert!(matches!(answer, ProcessorAnswer::Refused(why) if why.why == ProcessorRefusal::Unavailable));
    let request = world.authorize(sound, 100);
    let answer = world.ask(request).1;
    assert_eq!(state(&mut world, answer), OutcomeState::Approved);
    world.crash();
    world.run(PATIENCE);
    let request = world.authorize(sound, 100);
    let answer = world.ask(request).1;
    assert_eq!(state(&mut world, answer), OutcomeState::Approved, "also after a start");
}
