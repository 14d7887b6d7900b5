//! Every rule that is broken on purpose is found, or stands in the list of those that cannot show.

use tegata_core::step::{Break, Broken};
use tegata_sim::{Conversation, Mix, Options, run, run_many, undisturbed};

/// Seeds within which each must be found.
const SEEDS: u64 = 400;

/// What has to happen for this break to show; absent: whatever seeds draw.
fn stage(which: Break) -> Option<Mix> {
    let credit = Mix { credit: 150, ..Mix::CALM };
    let buying = Mix { credit: 10, buying: 200, ..Mix::CALM };
    let event = Mix { credit: 5, buying: 10, tickets: 300, ..Mix::CALM };
    match which {
        Break::ClearWithoutDedupe => Some(Mix { terminal_cheats: 400, ..Mix::CALM }),
        Break::NonceNotBound => Some(Mix { terminal_cheats: 300, ..Mix::CALM }),
        Break::NoGuarantor | Break::ForkIgnored => Some(Mix { clone: 80, ..Mix::CALM }),
        Break::EpochKept => Some(Mix { restore: 60, ..Mix::CALM }),
        Break::JudgedAtArrival => Some(Mix { revoke: 60, ..Mix::CALM }),
        Break::RollbackIgnored => Some(Mix { rollback: 60, ..Mix::CALM }),
        Break::SignatureIgnored => Some(Mix { wallet_cheats: 200, terminal_cheats: 200, ..Mix::CALM }),
        Break::CeilingIgnored => Some(Mix { wallet_cheats: 200, ..Mix::CALM }),
        Break::ClosedAccepts | Break::DebitAgainOnReplay => Some(Mix { frames: 400, ..Mix::CALM }),
        Break::AcknowledgeBeforeCommit | Break::ReplayBelieved => Some(Mix { network: 300, ..Mix::CALM }),
        Break::MismatchIgnored => Some(Mix { terminal_cheats: 300, ..credit }),
        Break::AskedBeforeStored | Break::ClearedUnderNewNumber => Some(Mix { courier: 250, ..credit }),
        Break::UnknownIsDeclined => Some(Mix { bank: 400, ..credit }),
        Break::ClearingClosed => Some(Mix { bank: 250, network: 250, ..credit }),
        Break::ClearingBeforeStore => Some(Mix { power: 400, ..credit }),
        Break::ReceiptNotRepeated | Break::HoldKept => Some(credit),
        Break::DeliveredBeforeCapture | Break::CaptureGuessed => Some(Mix { bank: 400, ..buying }),
        Break::ChargedAgain
        | Break::StockNotCounted
        | Break::RefundedTwice
        | Break::RefundedEarly
        | Break::ValueKept => Some(buying),
        Break::LetterUnderNewNumber => Some(Mix { letters: 150, network: 250, ..credit }),
        Break::MuteIgnored => Some(Mix { letters: 150, ..credit }),
        Break::OrderedAgain | Break::PaidAgain => Some(Mix { settling: 80, ..Mix::CALM }),
        Break::ShownBeforeStored => Some(Mix { power: 500, ..event }),
        Break::AttemptsForgotten | Break::EntryTwice => Some(Mix { frames: 500, ..event }),
        Break::OpenBeforeStored => Some(Mix { power: 700, ..event }),
        Break::WindowOfAnyAge => Some(event),
        Break::WindowAtAnyDoor => Some(Mix { lan: 400, ..event }),
        Break::GivenBeforeStored => Some(Mix { power: 600, giving: 500, ..event }),
        Break::GivenTwiceIgnored => Some(Mix { clone: 60, giving: 500, ..event }),
        Break::TakenBackEarly => Some(Mix { giving: 500, ..event }),
        Break::GiverLetIn => Some(Mix { clone: 100, rollback: 60, giving: 500, tickets: 900, ..event }),
        Break::LaterAnswerCounts => Some(Mix { clone: 100, changing: 500, ..event }),
        Break::CallGoesOn => Some(Mix { calls: 500, ..Mix::CALM }),
        Break::RestKept | Break::CallNotLogged | Break::LinksGuessed | Break::LinkBeforeStored => {
            Some(Mix { calls: 500, frames: 300, ..Mix::CALM })
        }
        Break::PriceNotCompared => Some(Mix { calls: 500, terminal_cheats: 300, ..Mix::CALM }),
        Break::CallThroughMute | Break::OldPhoneRings => {
            Some(Mix { calls: 100, letters: 150, ringing: 700, ..Mix::CALM })
        }
        Break::FeeKept => Some(Mix { settling: 40, ..Mix::CALM }),
        _ => None,
    }
}

/// A conversation of the matrix in which this break shows, with nothing else going wrong; absent: it shows in seeds.
fn conversation(which: Break) -> Option<Conversation> {
    match which {
        // Seeds hardly ever wait for weeks before they buy, until nobody is waited for any more.
        Break::SoldUncompared => Some(Conversation::PutBack),
        Break::GivenBackLetIn => Some(Conversation::GiveBackTicket),
        _ => None,
    }
}

#[test]
fn what_is_broken_is_noticed_in_its_conversation() {
    for which in Break::ALL {
        let Some(conversation) = conversation(*which) else {
            continue;
        };
        let (kept, broken) = (undisturbed(conversation, Broken::NONE), undisturbed(conversation, Broken::only(*which)));
        assert!(kept.is_empty(), "{which:?}: {kept:?}");
        assert!(!broken.is_empty(), "nobody noticed: {which:?}");
        println!("{which:?}: {broken:?}");
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    let mut missed = Vec::new();
    let by_credit = [Break::GoodsBeforeEvidence, Break::NeverClosed].map(|which| {
        let mix = Mix { power: 300, credit: 2_000, ..Mix::CALM };
        (which, Some(mix))
    });
    // Presentations that are not compared, as events that are not.
    let at_gates = [Break::ForkIgnored].map(|which| {
        let mix = Mix { clone: 60, rollback: 40, lan: 300, credit: 5, buying: 10, tickets: 600, ..Mix::CALM };
        (which, Some(mix))
    });
    let in_seeds = Break::ALL.iter().filter(|which| conversation(**which).is_none());
    for (which, mix) in in_seeds.map(|which| (*which, stage(*which))).chain(by_credit).chain(at_gates) {
        let options = Options { broken: Broken::only(which), mix, ..Options::default() };
        // The same seed must be clean with the rule kept, or what was found is something else.
        let kept = Options { broken: Broken::NONE, ..options };
        // Most show within a few seeds: a few at first, then more and more.
        let parts = std::iter::successors(Some(0..4), |part| Some(part.end..(3 * part.end).min(SEEDS)));
        let found = parts.take_while(|part| !part.is_empty()).find_map(|part| {
            let failures = run_many(part, &options, 0, |_| {}).failures;
            failures.into_iter().find(|(seed, _)| run(*seed, &kept).is_clean())
        });
        match found {
            Some((seed, wrong)) => println!("{which:?}: seed {seed}: {}", wrong.chars().take(160).collect::<String>()),
            None => missed.push((which, mix)),
        }
    }
    assert!(missed.is_empty(), "nobody noticed: {missed:?}");
}
