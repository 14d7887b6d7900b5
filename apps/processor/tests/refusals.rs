//! Who may not ask, what is refused, and that a card number shows nowhere.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::world::{Fault, PROVIDER, World};
use std::path::Path;
use tegata_core::talk::credit::{
    CardExpiry, CardNumber, MerchantDetails, OpenAccount, ProcessorAnswer, ProcessorRefusal, ProcessorRefused, Query,
};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{AccountId, DeviceId, Hash, PartyId, RequestNumber, Time};
use tegata_crypto_native::{Channel, SecretKey, seal_to};
use tegata_processor::asker::Asker;
use tegata_processor::bank::TestCard;
use tegata_processor::{LineConfig, Now, Processor};

fn refused(answer: &ProcessorAnswer) -> ProcessorRefusal {
    match answer {
        ProcessorAnswer::Refused(refused) => refused.why,
        other => panic!("a refusal was expected: {other:?}"),
    }
}

fn open(number: RequestNumber) -> OpenAccount {
    let at = Time(5);
    OpenAccount { provider: PROVIDER, number, at, card: None, merchant: None, extensions: Default::default() }
}

#[test]
fn strangers_and_revoked_providers_are_refused_with_the_reason_and_it_is_kept() {
    let mut world = World::new(Fault::Nothing);
    let accounts = world.accounts(TestCard::Approved);
    let request = world.authorize(accounts, 100);
    // Signed by a key that nobody admitted, in the name of a provider that is known.
    let ours = std::mem::replace(&mut world.asker.key, SecretKey::from_seed(Algorithm::Ed25519, &[8; 32]));
    let (_, answer) = world.ask(request.clone());
    assert_eq!(refused(&answer), ProcessorRefusal::NotAllowed);
    world.asker.key = ours;
    // Another provider's name under our key.
    let (_, answer) = world.ask(tegata_core::talk::credit::Authorize { provider: PartyId([9; 16]), ..request.clone() });
    assert_eq!(refused(&answer), ProcessorRefusal::NotAllowed);
    world.revoke();
    let (_, answer) = world.ask(request);
    assert_eq!(refused(&answer), ProcessorRefusal::Revoked);
    let kept: Vec<String> = world.processor().store().refusals().unwrap().into_iter().map(|(_, why, _)| why).collect();
    assert_eq!(kept, ["NotAllowed", "NotAllowed", "Revoked"]);
    assert_eq!(world.requests, 0, "the bank has heard of nothing");
}

#[test]
fn what_does_not_open_is_refused_openly() {
    let mut world = World::new(Fault::Nothing);
    for bytes in [b"nonsense".to_vec(), vec![], vec![0xa0]] {
        let answer = world.raw(&bytes);
        let refused = Signed::<ProcessorRefused>::decode(&answer).unwrap();
        assert_eq!(refused.claimed().why, ProcessorRefusal::Malformed);
        let context = Wire::to_bytes(&Hash::of(&bytes));
        let key = world.asker.processor.key;
        assert!(refused.verify(&key, &context, &tegata_crypto_native::NativeVerifier).is_ok());
    }
}

#[test]
fn a_provider_keeps_to_the_channel_of_its_first_envelope_until_the_processor_forgets_it() {
    let mut world = World::new(Fault::Nothing);
    let (processor, sealing) = (world.asker.processor.processor, world.asker.processor.sealing);
    let line = Some(DeviceId(PROVIDER.0));
    let query = |world: &mut World| {
        let number = world.number();
        let query = Query { provider: PROVIDER, number, at: Time(5), about: number, extensions: Default::default() };
        let entropy = world.draw();
        world.asker.ask(query, entropy).unwrap().signed
    };
    let sent = |world: &mut World, envelope: &Sealed, channel: &Channel| {
        let answer = world.raw(&envelope.to_bytes());
        channel.open_reply(envelope, &Sealed::from_bytes(&answer).ok()?).ok()
    };
    let body = query(&mut world);
    let (first, channel) = seal_to([1; 32], processor, line, &sealing, &body).unwrap();
    assert!(sent(&mut world, &first, &channel).is_some());
    let body = query(&mut world);
    let second = channel.seal([2; 32], processor, line, &body);
    assert!(sent(&mut world, &second, &channel).is_some(), "under the channel");
    // What another signed does not count on this line, and sets up none.
    let ours = std::mem::replace(&mut world.asker.key, SecretKey::from_seed(Algorithm::Ed25519, &[8; 32]));
    let strange = query(&mut world);
    world.asker.key = ours;
    let (third, other) = seal_to([3; 32], processor, line, &sealing, &strange).unwrap();
    let answer = Signed::<ProcessorRefused>::decode(&sent(&mut world, &third, &other).unwrap()).unwrap();
    assert_eq!(answer.claimed().why, ProcessorRefusal::NotAllowed);
    let body = query(&mut world);
    let fourth = other.seal([4; 32], processor, line, &body);
    assert!(sent(&mut world, &fourth, &other).is_none(), "the stranger's channel is none");
    // A line that is not the signer's.
    let elsewhere = Some(DeviceId([9; 16]));
    let (fifth, other) = seal_to([5; 32], processor, elsewhere, &sealing, &body).unwrap();
    let answer = Signed::<ProcessorRefused>::decode(&sent(&mut world, &fifth, &other).unwrap()).unwrap();
    assert_eq!(answer.claimed().why, ProcessorRefusal::NotAllowed);
    world.crash();
    assert!(sent(&mut world, &second, &channel).is_none(), "forgotten with the process");
    let (again, channel) = seal_to([6; 32], processor, line, &sealing, &body).unwrap();
    assert!(sent(&mut world, &again, &channel).is_some());
}

#[test]
fn accounts_are_opened_only_for_cards_and_merchants_that_are_some() {
    let mut world = World::new(Fault::Nothing);
    let expiry = CardExpiry::new(29, 12).unwrap();
    let good = CardNumber::new(TestCard::Approved.number().as_bytes()).unwrap();
    let mistyped = CardNumber::new(b"4111111111111112").unwrap();
    let entropy = world.draw();
    let wrong_digit = world.asker.seal_card(mistyped, expiry, entropy).unwrap();
    let other = Asker { party: PartyId([9; 16]), ..world.other_asker() };
    let for_another = other.seal_card(good, expiry, entropy).unwrap();
    for card in [wrong_digit, for_another] {
        let number = world.number();
        let (_, answer) = world.ask(OpenAccount { card: Some(card), ..open(number) });
        assert_eq!(refused(&answer), ProcessorRefusal::Card);
    }
    let merchant = |code: &str, category, name: &str| MerchantDetails {
        code: code.into(),
        category,
        name: name.into(),
        extensions: Default::default(),
    };
    for details in [
        merchant("", 5814, "CAFE"),
        merchant("SIXTEEN CHARACTE", 5814, "CAFE"),
        merchant("CAFE", 10_000, "CAFE"),
        merchant("CAFE", 5814, "Caf\u{e9}"),
    ] {
        let number = world.number();
        let (_, answer) = world.ask(OpenAccount { merchant: Some(details), ..open(number) });
        assert_eq!(refused(&answer), ProcessorRefusal::Merchant);
    }
    let number = world.number();
    assert_eq!(refused(&world.ask(open(number)).1), ProcessorRefusal::Malformed, "neither card nor merchant");
    // Accounts that are none, or of the other sort; amounts that are none.
    let (user, shop) = world.accounts(TestCard::Approved);
    for (accounts, minor, why) in [
        ((user, AccountId([1; 16])), 100, ProcessorRefusal::Account),
        ((shop, user), 100, ProcessorRefusal::Account),
        ((user, shop), 0, ProcessorRefusal::Amount),
        ((user, shop), 1_000_000_000_000, ProcessorRefusal::Amount),
    ] {
        let request = world.authorize(accounts, minor);
        assert_eq!(refused(&world.ask(request).1), why);
    }
}

fn files(folder: &Path) -> Vec<u8> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn a_card_number_is_in_no_file_no_answer_and_no_debug() {
    let mut world = World::new(Fault::Nothing);
    let accounts = world.accounts(TestCard::Approved);
    let request = world.authorize(accounts, 100);
    let (question, _) = world.ask(request);
    let (answer, _) = world.answer(&question);
    let digits = TestCard::Approved.number().as_bytes();
    let leaks = |bytes: &[u8]| bytes.windows(digits.len()).any(|some| some == digits);
    let shown = format!("{:?}", world.processor());
    assert!(
        !leaks(&files(world.path())) && !leaks(&answer) && !leaks(&question.envelope()) && !leaks(shown.as_bytes())
    );
    // Nor as a list of bytes, which a derived Debug would show.
    assert!(!shown.contains("52, 49, 49, 49, 49"));
    world.crash();
    assert!(!leaks(&files(world.path())), "nor after the log was folded in");
}

#[test]
fn keys_of_another_processor_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let acquirer = tegata_iso8583::AcquirerId::new("1").unwrap();
    let (config, now) = (LineConfig::new(acquirer), Now { time: Time(5), ms: 0 });
    drop(Processor::open_folder(folder.path(), "One", config, now, [1; 32]).unwrap());
    std::fs::remove_file(folder.path().join("keys")).unwrap();
    let missing = Processor::open_folder(folder.path(), "One", config, now, [1; 32]);
    assert!(matches!(missing, Err(tegata_processor::ProcessorError::Keys(_))));
    tegata_processor::Keys::new([2; 32]).save(&folder.path().join("keys")).unwrap();
    let other = Processor::open_folder(folder.path(), "One", config, now, [1; 32]);
    assert!(matches!(other, Err(tegata_processor::ProcessorError::OtherKeys)));
}
