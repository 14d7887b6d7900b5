//! Every fault at every step of a payment's life: in the end bank and processor have the same books, nothing is charged twice,
//! nothing is held that nobody knows of, and every answer that was given is given again.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::world::{Fault, PATIENCE, PROVIDER, World, usd};
use tegata_core::talk::credit::{
    Clear, DeclineReason, OutcomeState, ProcessorAnswer, Query, Refund, VoidAuthorization,
};
use tegata_core::{Time, Unit};
use tegata_processor::asker::Question;
use tegata_processor::bank::TestCard;

/// One payment cleared and partly paid back, one let go; what the provider was told is compared with both books.
fn play(fault: Fault) -> World {
    play_all(fault, Vec::new())
}

/// The same with more than one fault.
fn play_all(fault: Fault, more: Vec<Fault>) -> World {
    let story = format!("{fault:?} {more:?}");
    let mut world = World::new(Fault::Nothing);
    let accounts = world.accounts(TestCard::Approved);
    (world.fault, world.more) = (fault, more);
    (world.requests, world.answers, world.turns) = (0, 0, 0);
    let mut asked: Vec<(Question, ProcessorAnswer)> = Vec::new();
    let mut told = 0;

    let first = world.authorize(accounts, 1000);
    let (question, answer) = world.ask(first.clone());
    let outcome = world.outcome(answer.clone());
    asked.push((question, answer));
    if outcome.state == OutcomeState::Approved {
        let (number, at) = (world.number(), Time(6));
        let clear = Clear {
            provider: PROVIDER,
            number,
            at,
            authorization: first.number,
            amount: usd(800),
            extensions: Default::default(),
        };
        let (question, answer) = world.ask(clear);
        asked.push((question, answer.clone()));
        match answer {
            ProcessorAnswer::Cleared(cleared) => {
                told += cleared.amount.minor();
                let (number, clearing, amount) = (world.number(), cleared.clearing, usd(300));
                let refund =
                    Refund { provider: PROVIDER, number, at, clearing, amount, extensions: Default::default() };
                let (question, answer) = world.ask(refund);
                let outcome = world.outcome(answer.clone());
                assert_eq!(outcome.state, OutcomeState::Refunded, "{story}");
                told -= outcome.amount.unwrap().minor();
                asked.push((question, answer));
            }
            // Half of it taken is nothing taken.
            ProcessorAnswer::Outcome(outcome) if matches!(fault, Fault::Half(_)) => {
                let outcome = outcome.signed().claimed();
                assert_eq!((outcome.state, outcome.reason), (OutcomeState::Declined, Some(DeclineReason::Partial)));
            }
            other => panic!("{story}: not cleared: {other:?}"),
        }
    } else {
        assert_eq!(outcome.state, OutcomeState::Declined, "{story}");
        let why = [Some(DeclineReason::Undone), Some(DeclineReason::Later), Some(DeclineReason::Partial)];
        assert!(why.contains(&outcome.reason), "{story}: {outcome:?}");
    }

    let second = world.authorize(accounts, 500);
    let (question, answer) = world.ask(second.clone());
    let outcome = world.outcome(answer.clone());
    asked.push((question, answer));
    if outcome.state == OutcomeState::Approved {
        let (number, at) = (world.number(), Time(6));
        let (provider, authorization) = (PROVIDER, second.number);
        let void = VoidAuthorization { provider, number, at, authorization, extensions: Default::default() };
        let (question, answer) = world.ask(void);
        assert_eq!(world.outcome(answer.clone()).state, OutcomeState::Voided, "{story}");
        asked.push((question, answer));
    }

    // Calm: everything that was begun ends.
    (world.fault, world.more) = (Fault::Nothing, Vec::new());
    world.run(60 * PATIENCE);
    let posted = u64::try_from(world.bank.posted("CAFE", Unit::USD)).unwrap();
    let balance: u64 = world.processor().balance(accounts.1).unwrap().iter().map(|amount| amount.minor()).sum();
    assert_eq!((posted, balance), (told, told), "{story}: bank, processor and provider");
    assert_eq!(world.processor().balance(accounts.0).unwrap(), world.processor().balance(accounts.1).unwrap());
    assert_eq!(world.bank.held(Unit::USD), 0, "{story}: nothing is held that nobody wants");
    assert!(world.bank.captures() <= 1, "{story}: charged twice");
    assert_eq!(world.processor().pursued(), 0, "{story}: something is still pursued");
    for (question, answer) in &asked {
        assert_eq!(world.answer(question).1, *answer, "{story}: another answer than before");
    }
    world
}

#[test]
fn without_faults_a_payment_takes_five_messages() {
    let world = play(Fault::Nothing);
    assert_eq!((world.requests, world.answers), (5, 5));
    assert!(world.processor().store().refusals().unwrap().is_empty());
}

#[test]
fn requests_lost_doubled_late_and_put_off() {
    for at in 1..=6 {
        for fault in [Fault::LostRequest(at), Fault::DoubleRequest(at), Fault::LateRequest(at), Fault::Busy(at)] {
            play(fault);
        }
    }
}

#[test]
fn answers_lost_doubled_late_garbled_and_to_nothing() {
    for at in 1..=6 {
        for fault in [
            Fault::LostAnswer(at),
            Fault::DoubleAnswer(at),
            Fault::LateAnswer(at),
            Fault::GarbledAnswer(at),
            Fault::StrangeAnswer(at),
        ] {
            play(fault);
        }
    }
}

/// The answer is lost, and the bank has no time for the repeat: what it did before, it did.
#[test]
fn a_bank_that_puts_off_a_repeat_is_not_asked_for_a_second_one() {
    for at in 1..=6 {
        for later in at..=at + 2 {
            play_all(Fault::LostAnswer(at), vec![Fault::Busy(later)]);
        }
    }
}

/// What the bank holds or takes in part is undone, and every way to the undoing may fail; what it pays back in part stands.
#[test]
fn half_of_what_was_asked_is_undone_or_counted_as_half() {
    assert_eq!(play(Fault::Half(2)).bank.posted_in_all(Unit::USD), 0);
    assert_eq!(play(Fault::Half(3)).bank.posted_in_all(Unit::USD), 650);
    for at in 1..=4 {
        for next in at + 1..=at + 2 {
            let more = [Fault::LostRequest, Fault::DoubleRequest, Fault::Busy, Fault::LostAnswer, Fault::DeadAfter];
            for fault in more {
                play_all(Fault::Half(at), vec![fault(next)]);
            }
        }
        for turn in 1..=24 {
            play_all(Fault::Half(at), vec![Fault::CrashAfter(turn)]);
        }
    }
}

#[test]
fn the_bank_dies_at_every_message() {
    for at in 1..=6 {
        play(Fault::DeadBefore(at));
        play(Fault::DeadAfter(at));
    }
}

#[test]
fn the_processor_crashes_before_and_after_every_store() {
    let turns = play(Fault::Nothing).turns;
    assert!(turns >= 10, "{turns}");
    for at in 1..=turns {
        for fault in [Fault::CrashBefore(at), Fault::CrashAfter(at), Fault::CrashAmid(at)] {
            play(fault);
        }
    }
}

/// Draws faults from a seed: up to six in one run.
fn drawn(seed: u64) -> Vec<Fault> {
    let dice = tegata_core::Hash::of(&seed.to_be_bytes()).0;
    let kinds: [fn(usize) -> Fault; 14] = [
        Fault::LostRequest,
        Fault::DoubleRequest,
        Fault::LateRequest,
        Fault::Busy,
        Fault::LostAnswer,
        Fault::DoubleAnswer,
        Fault::LateAnswer,
        Fault::GarbledAnswer,
        Fault::StrangeAnswer,
        Fault::DeadBefore,
        Fault::DeadAfter,
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::CrashAmid,
    ];
    let count = 1 + usize::from(dice[0]) % 6;
    let pairs = dice[1..].chunks_exact(2).take(count);
    pairs.map(|two| kinds[usize::from(two[0]) % kinds.len()](1 + usize::from(two[1]) % 14)).collect()
}

#[test]
fn many_faults_in_one_run_by_seed() {
    for seed in 1..=400 {
        let mut faults = drawn(seed);
        let first = faults.remove(0);
        play_all(first, faults);
    }
}

#[test]
fn an_answer_to_a_message_never_sent_is_kept_for_a_person_and_changes_nothing() {
    let world = play(Fault::StrangeAnswer(1));
    let refusals = world.processor().store().refusals().unwrap();
    assert!(refusals.iter().any(|(_, why, _)| why == "bank: an answer to a message never sent"), "{refusals:?}");
}

#[test]
fn a_late_approval_of_what_the_bank_did_not_know_is_undone_again() {
    let mut world = World::new(Fault::Nothing);
    // Most banks refuse what they were told to undo before it came; this one has forgotten, and approves.
    world.bank.forget_reversals();
    let accounts = world.accounts(TestCard::Approved);
    world.fault = Fault::LateRequest(world.requests + 1);
    let before = world.requests;
    let asked = world.authorize(accounts, 1000);
    let answer = world.ask(asked).1;
    assert_eq!(world.outcome(answer).reason, Some(DeclineReason::Undone));
    assert_eq!((world.requests - before, world.bank.held(Unit::USD)), (2, 0), "the 0100 is still on its way");
    world.run(10 * PATIENCE);
    assert_eq!((world.requests - before, world.bank.held(Unit::USD)), (3, 0), "approved late, and undone again");
}

#[test]
fn what_is_being_let_go_is_neither_approved_nor_voided_until_the_bank_has_answered() {
    let mut world = World::new(Fault::Nothing);
    let accounts = world.accounts(TestCard::Approved);
    let first = world.authorize(accounts, 1000);
    let answer = world.ask(first.clone()).1;
    assert_eq!(world.outcome(answer).state, OutcomeState::Approved);
    world.more = vec![Fault::LostAnswer(world.answers + 1), Fault::LostAnswer(world.answers + 2)];
    let (number, at) = (world.number(), Time(6));
    let (provider, authorization) = (PROVIDER, first.number);
    let void = VoidAuthorization { provider, number, at, authorization, extensions: Default::default() };
    let entropy = world.draw();
    let question = world.asker.ask(void, entropy).unwrap();
    let (_, answer) = world.once(&question).unwrap();
    assert_eq!(world.outcome(answer).state, OutcomeState::Unknown);
    let look = |world: &mut World| {
        let number = world.number();
        let query = Query { provider, number, at, about: authorization, extensions: Default::default() };
        let entropy = world.draw();
        let question = world.asker.ask(query, entropy).unwrap();
        let (_, answer) = world.once(&question).unwrap();
        world.outcome(answer).state
    };
    assert_eq!(look(&mut world), OutcomeState::Unknown);
    world.run(10 * PATIENCE);
    assert_eq!(look(&mut world), OutcomeState::Voided);
    let answer = world.answer(&question).1;
    assert_eq!(world.outcome(answer).state, OutcomeState::Voided);
}

#[test]
fn what_is_unknown_is_told_as_unknown_and_then_known() {
    let mut world = World::new(Fault::Nothing);
    let accounts = world.accounts(TestCard::Silent);
    world.fault = Fault::Nothing;
    let first = world.authorize(accounts, 1000);
    let entropy = world.draw();
    let question = world.asker.ask(first.clone(), entropy).unwrap();
    // The answer to its reversal is lost: nothing is known when the provider must be told something.
    world.fault = Fault::LostAnswer(world.answers + 1);
    let (_, answer) = world.once(&question).unwrap();
    assert_eq!(world.outcome(answer).state, OutcomeState::Unknown);
    let mut states = Vec::new();
    for _ in 0..60 {
        let number = world.number();
        let about = first.number;
        let query = Query { provider: PROVIDER, number, at: Time(9), about, extensions: Default::default() };
        let entropy = world.draw();
        let question = world.asker.ask(query, entropy).unwrap();
        let (_, answer) = world.once(&question).unwrap();
        let outcome = world.outcome(answer);
        states.push((outcome.state, outcome.reason));
        if outcome.state != OutcomeState::Unknown {
            break;
        }
        world.run(500);
    }
    assert_eq!(states.last(), Some(&(OutcomeState::Declined, Some(DeclineReason::Undone))));
    assert_eq!(world.bank.held(Unit::USD), 0);
}
