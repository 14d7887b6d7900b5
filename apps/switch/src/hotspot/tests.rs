//! Sessions that break, say nothing, or are too many.

use super::*;
use crate::town::{Held, Line, Parts, now, rate, telephone};
use tegata_core::talk::call::{CallerNotice, WalletCall};
use tegata_device::WalletTap;
use tegata_vault::MemoryVault;

const SERVICE: &str = "09430001";

fn sessions() -> (Sessions<MemoryVault>, Held, Line) {
    let rates = vec![rate(SERVICE, 5, 2_000)];
    let Parts { line, switch, mut wallets } = telephone(MemoryVault::new(), rates, 50, 1, now);
    (Sessions::new(switch), wallets.remove(0), line)
}

fn greeting(held: &Held) -> (WalletTap<WalletCall>, Vec<u8>) {
    WalletTap::touch(WalletCall::new(held.caller(SERVICE, None)), entropy::fresh()).expect("starts")
}

/// A way that is open and paid for.
fn opened(sessions: &mut Sessions<MemoryVault>, held: &mut Held) -> (WalletTap<WalletCall>, String) {
    let (mut tap, hello) = greeting(held);
    let id = sessions.open(SERVICE, &hello, (now(), 0)).expect("opened").expect("a place");
    while !sessions.held[&id].open {
        let (words, ..) = sessions.fetch(&id).expect("it stands");
        assert!(!words.is_empty(), "nobody says anything");
        for word in words {
            let mut step = tap.receive(&word, now(), &mut held.wallet.device).expect("the session holds");
            if step.notices.iter().any(|notice| matches!(notice, CallerNotice::Consent { .. })) {
                step.frames.extend(tap.event(Event::Agreed, now(), &mut held.wallet.device).expect("agreed").frames);
            }
            step.frames.iter().for_each(|frame| sessions.heard(&id, frame, (now(), 10)));
        }
    }
    (tap, id)
}

/// Whoever is on the same network may say something in a session that is not its own; nobody surfs on behind a conversation that broke.
#[test]
fn a_frame_that_is_none_closes_the_way() {
    let (mut sessions, mut held, _line) = sessions();
    let (_tap, id) = opened(&mut sessions, &mut held);
    sessions.heard(&id, &[7], (now(), 20));
    let (_, open, over, _) = sessions.fetch(&id).expect("remembered");
    assert_eq!((open, over), (false, true));
    let records = sessions.switch.records().expect("read");
    assert_eq!(records.iter().map(|record| record.ended).collect::<Vec<_>>(), [CallEnd::NotAgreed]);
}

/// Whoever pays hears why its way is closed.
#[test]
fn a_way_closes_when_its_card_is_blocked() {
    let (mut sessions, mut held, mut line) = sessions();
    let (mut tap, id) = opened(&mut sessions, &mut held);
    line.0.lock().expect("one thread").block(held.card, now().time).expect("blocked");
    sessions.switch.update(&mut line, now()).expect("updated");
    sessions.end_dead((now(), 20));
    let (words, open, over, _) = sessions.fetch(&id).expect("remembered");
    assert_eq!((open, over), (false, true));
    assert_eq!(how_it_ended(&mut tap, words, &mut held), Some(CallEnd::CardBlocked));
}

/// How a wallet that fetches these words hears that its session has ended.
fn how_it_ended(tap: &mut WalletTap<WalletCall>, words: Vec<Vec<u8>>, held: &mut Held) -> Option<CallEnd> {
    let mut heard = Vec::new();
    for word in words {
        heard.extend(tap.receive(&word, now(), &mut held.wallet.device).expect("the session holds").notices);
    }
    heard.into_iter().find_map(|notice| match notice {
        CallerNotice::Over { receipt, .. } => receipt.map(|receipt| receipt.ended),
        _ => None,
    })
}

/// What is on ends with the hotspot, is in its records, and is told; what has only begun ends too, and nobody begins any more.
#[test]
fn a_hotspot_that_is_stopped_ends_every_session_and_waits_for_what_is_not_fetched() {
    let (mut sessions, mut held, _line) = sessions();
    let (mut tap, id) = opened(&mut sessions, &mut held);
    let (_, hello) = greeting(&held);
    let begun = sessions.open(SERVICE, &hello, (now(), 10)).expect("opened").expect("a place");
    sessions.fetch(&begun).expect("it stands");
    sessions.part((now(), 1_000));
    assert!(sessions.untold(), "the receipt");
    let (words, open, over, _) = sessions.fetch(&id).expect("remembered");
    assert_eq!((open, over), (false, true));
    assert_eq!(how_it_ended(&mut tap, words, &mut held), Some(CallEnd::SwitchRestarted));
    assert!(!sessions.untold());
    let (_, open, over, _) = sessions.fetch(&begun).expect("remembered");
    assert_eq!((open, over), (false, true), "nobody waits for a word of it");
    let records = sessions.switch.records().expect("read");
    assert_eq!(records.iter().map(|record| record.ended).collect::<Vec<_>>(), [CallEnd::SwitchRestarted]);
    let (_, hello) = greeting(&held);
    assert_eq!(sessions.open(SERVICE, &hello, (now(), 1_010)).expect("asked"), Err(STOPPED));
}

#[test]
fn who_says_nothing_is_forgotten_and_never_more_than_so_many_wait() {
    let (mut sessions, held, _line) = sessions();
    for _ in 0..WAITING {
        let (_, hello) = greeting(&held);
        sessions.open(SERVICE, &hello, (now(), 0)).expect("opened").expect("a place");
    }
    let (_, hello) = greeting(&held);
    assert_eq!(sessions.open(SERVICE, &hello, (now(), 0)).expect("asked"), Err(FULL));
    assert!(sessions.due(59_999).is_empty());
    let due = sessions.due(60_000);
    assert_eq!(due.len(), WAITING);
    due.iter().for_each(|id| sessions.tell(id, (now(), 60_000), |call| call));
    assert!(sessions.held.values().all(|session| session.over.is_some() && !session.open));
    assert!(sessions.open(SERVICE, &hello, (now(), 60_001)).expect("asked").is_ok());
}
