//! Rules that writing the specification found broken, each held here through the core's own conversations and records.
//! What a single message shows of them stands in the vectors as well.

use std::collections::BTreeMap;
use tegata_core::card::payment::{CannotSpend, Purse, accept_check, ceiling};
use tegata_core::card::{CardEvent, Counterpart, ForkProof, Load, Position, Raise};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::{Broken, Context, Effect, Event, Records, Talk};
use tegata_core::talk::journal::Journal;
use tegata_core::talk::pay::{
    Charge, Charged, MAX_ITEMS, MAX_PAY_MESSAGE, PayMessage, Payer, Paying, PayingState, Refusal, WalletPay, purse_key,
};
use tegata_core::talk::update::{
    Challenge, Command, CommandKind, DeviceUpdate, UpdateReply, UpdateRequest, Updated, anchors_key, load_anchors,
};
use tegata_core::wire::canonical::{Bytes, DecodeError, MAX_NUMBER, Wire};
use tegata_core::wire::certificate::{Certificate, RevocationList, SessionProof};
use tegata_core::wire::signed::{Algorithm, Signature, Signed};
use tegata_core::{Amount, Hash, Time, Unit};
use tegata_crypto_native::NativeVerifier;
use tegata_spec::keys::{Who, ed, secret, sign};
use tegata_spec::samples::*;

/// A device's records in memory.
#[derive(Clone, Default, PartialEq, Debug)]
struct Stored(BTreeMap<RecordKey, Vec<u8>>);

impl Records for Stored {
    fn get(&self, key: &RecordKey) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }
}

impl Stored {
    fn with(mut self, key: RecordKey, value: Vec<u8>) -> Self {
        self.0.insert(key, value);
        self
    }
    fn write(&mut self, batch: &Batch) {
        for (key, value) in &batch.writes {
            match value {
                Some(value) => drop(self.0.insert(key.clone(), value.clone())),
                None => drop(self.0.remove(key)),
            }
        }
    }
    fn context(&self) -> Context<'_> {
        Context { now: Time(NOW), entropy: [0; 32], verifier: &NativeVerifier, records: self, broken: Broken::NONE }
    }
}

fn loaded(load: Load) -> Raise {
    Raise::Load(by(Who::Provider, &[], load))
}

/// The same load, its P-256 signature once as made and once as its valid twin r, n - s.
fn twins() -> [Raise; 2] {
    let one = with(Who::Provider, Algorithm::P256, &[], load());
    let mut bytes = one.encode();
    let at = bytes.len() - 64;
    let parsed = p256::ecdsa::Signature::from_slice(&bytes[at..]).expect("just signed");
    let twin = p256::ecdsa::Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes());
    bytes[at..].copy_from_slice(&twin.expect("not zero").to_bytes());
    [Raise::Load(one), Raise::Load(Signed::decode(&bytes).expect("as well formed as the other"))]
}

#[test]
fn r6_one_load_lifts_the_ceiling_once_however_often_it_is_shown() {
    let mut terms = terms();
    terms.max_payment = 100_000;
    let mut certificate = card_certificate();
    certificate.offline_limit = 100_000;
    let check = CardEvent { amount: 30_000, remaining: 0, ..check() };
    let judge = |raises: &[Raise]| accept_check(&certificate, &terms, raises, &check, usd(30_000), Time(NOW));
    assert_eq!(judge(&[loaded(load()), loaded(load())]), Err(CannotSpend::Overflow), "5,000 that nobody issued");
    assert_eq!(judge(&twins()), Err(CannotSpend::Overflow), "the same with another signature");
    assert_eq!(judge(&[loaded(load()), loaded(Load { number: 4, ..load() })]), Ok(()), "two loads are two");
}

#[test]
fn r6_a_load_in_another_unit_lifts_nothing() {
    let amount = Amount::new(Unit::JPY, 5_000).expect("a small amount");
    assert_eq!(ceiling(&card_certificate(), &[loaded(Load { amount, ..load() })]), None);
    assert_eq!(ceiling(&card_certificate(), &[loaded(load())]), Some(25_000));
}

#[test]
fn r2_a_purse_keeps_and_takes_up_a_raise_once_whatever_its_signature() {
    let [one, twin] = twins();
    assert_ne!(one.to_bytes(), twin.to_bytes());
    let mut purse = Purse::new(by(Who::Provider, &[], card_certificate()));
    purse.keep(one.clone());
    purse.keep(twin.clone());
    assert_eq!(purse.waiting, std::slice::from_ref(&one));
    let after = purse.take_up(&one, one.amount().expect("an amount")).expect("is taken up").purse;
    assert!(after.waiting.is_empty());
    assert!(matches!(after.take_up(&twin, one.amount().expect("an amount")), Err(CannotSpend::Repeated)));
}

#[test]
fn r9_two_generations_or_cards_under_one_key_convict_nobody() {
    let bytes = charge().to_bytes();
    let counterpart = Counterpart::Charge { session: SESSION, terminal: TERMINAL, charge: &bytes };
    let own = CardEvent::context(CARD, 1, &counterpart);
    let convicts = |other: &[u8]| {
        let second = CardEvent { remaining: 1, ..check() };
        let events = [(by(Who::Card, &own, check()), own.clone()), (by(Who::Card, other, second), other.to_vec())];
        let position = Position { card: CARD, generation: 1, seq: 5, tick: 0 };
        ForkProof { position, events }.convicts(&ed(Who::Card), &NativeVerifier)
    };
    assert!(convicts(&own), "a fork");
    assert!(!convicts(&CardEvent::context(CARD, 2, &counterpart)), "an honest restore (R14) is convicted");
    assert!(!convicts(&CardEvent::context(tegata_core::CardId([9; 16]), 1, &counterpart)));
    assert!(!convicts(b""), "a context that names no card");
}

/// Runs one turn of the terminal's update against this answer: how it ended, and what was stored then.
fn updated(list: Option<RevocationList>, commands: &[Command]) -> (Updated, Stored, Stored) {
    updated_by((Who::Provider, SIGNER), list, commands)
}

/// The same of an answer that was signed with this key, under this number.
fn updated_by(
    (who, signer): (Who, u64),
    list: Option<RevocationList>,
    commands: &[Command],
) -> (Updated, Stored, Stored) {
    let before = Stored::default()
        .with(Journal::key(), Journal::new(1, Time(NOW)).to_bytes())
        .with(anchors_key(), anchors().to_bytes());
    let mut after = before.clone();
    let start = DeviceUpdate::Start(TERMINAL, ed(Who::Terminal)).step(Event::Tick, &before.context());
    let [Effect::Sign { tbs, .. }] = &start.effects[..] else { panic!("{:?}", start.effects) };
    let signature = sign(&secret(Who::Terminal, Algorithm::Ed25519), tbs);
    let asked = start.state.step(Event::Signed(signature), &before.context());
    let [Effect::Send(request)] = &asked.effects[..] else { panic!("{:?}", asked.effects) };
    let request = Signed::<UpdateRequest>::decode(request).expect("a request");
    let reply = UpdateReply {
        device: TERMINAL,
        epoch: 1,
        recorded: 0,
        recorded_head: Hash::ZERO,
        archived: 0,
        commands: commands.iter().map(|command| Bytes(command.to_bytes())).collect(),
        checkpoints: vec![],
        list: list.map(|list| by(Who::Provider, &[], list)),
        due: Time(NOW + Time::DAY),
        restart: None,
        at: Time(NOW),
        signer,
        standing: None,
        extensions: Default::default(),
    };
    let reply = by(who, &request.hash(&[]).to_bytes(), reply).encode();
    let mut step = asked.state.step(Event::Received(reply), &before.context());
    loop {
        let stored = match step.effects.pop() {
            Some(Effect::Show(notice)) => return (notice, before, after),
            Some(Effect::Store(batch)) => batch,
            other => panic!("{other:?}"),
        };
        after.write(&stored);
        step = step.state.step(Event::Stored, &before.context());
    }
}

#[test]
fn r11_a_device_takes_no_revocation_list_that_is_not_sorted() {
    let newer = RevocationList { number: 5, ..revocation_list() };
    let (ended, _, after) = updated(Some(newer.clone()), &[]);
    assert!(matches!(ended, Updated::Turn { .. }), "{ended:?}");
    let held = load_anchors(&after).and_then(|anchors| anchors.list).expect("a list");
    assert_eq!(*held.claimed(), newer);
    let mut all = [newer.clone(), newer.clone(), newer.clone()];
    all[0].subjects.reverse();
    all[1].cards.reverse();
    all[2].subjects[0] = all[2].subjects[1];
    for list in all {
        let (ended, before, after) = updated(Some(list), &[]);
        assert_eq!(ended, Updated::NotTrusted);
        assert_eq!(before, after);
    }
}

#[test]
fn no_operational_key_is_number_zero_and_no_number_names_two() {
    let keys = |numbers: &[u64]| {
        let key = |number: &u64| by(Who::Root, &[], Certificate { number: Some(*number), ..key_certificate() });
        Command { keys: Some(numbers.iter().map(key).collect()), ..Command::new(CommandKind::Keys) }
    };
    assert!(matches!(updated(None, &[keys(&[7, 8])]).0, Updated::Turn { .. }));
    for wrong in [&[0][..], &[7, 0], &[7, 7]] {
        let (ended, before, after) = updated(None, &[keys(wrong)]);
        assert_eq!(ended, Updated::NotTrusted, "{wrong:?}");
        assert_eq!(before, after);
    }
}

#[test]
fn a_device_that_was_away_takes_a_key_of_the_roots_from_the_answer_that_it_has_signed() {
    let newer = Certificate { number: Some(8), key: ed(Who::Issuer), ..key_certificate() };
    let told = |by_whom: Who, key: &Certificate| {
        let keys = vec![by(Who::Root, &[], key_certificate()), by(by_whom, &[], key.clone())];
        [Command { keys: Some(keys), ..Command::new(CommandKind::Keys) }]
    };
    let (ended, _, after) = updated_by((Who::Issuer, 8), None, &told(Who::Root, &newer));
    assert!(matches!(ended, Updated::Turn { commands: 1, .. }), "{ended:?}");
    let held = load_anchors(&after).map(|anchors| anchors.keys.iter().map(|key| key.number).collect::<Vec<_>>());
    assert_eq!(held, Some(vec![SIGNER, 8]));
    let over = Certificate { until: Time(NOW), ..newer.clone() };
    let wrong = [
        ("untold", (Who::Issuer, 8), vec![]),
        ("told by a key that is no root", (Who::Issuer, 8), told(Who::Provider, &newer).to_vec()),
        ("told, and signed with another", (Who::Stranger, 8), told(Who::Root, &newer).to_vec()),
        ("told under another number", (Who::Issuer, 9), told(Who::Root, &newer).to_vec()),
        ("told, and over", (Who::Issuer, 8), told(Who::Root, &over).to_vec()),
    ];
    for (what, signed, commands) in wrong {
        let (ended, before, after) = updated_by(signed, None, &commands);
        assert_eq!(ended, Updated::NotTrusted, "{what}");
        assert_eq!(before, after, "{what}");
    }
}

#[test]
fn a_turn_of_the_update_names_how_many_were_stored_before_it() {
    let (_, _, after) = updated(None, &[]);
    assert_eq!(Journal::load(&after).map(|journal| journal.turns), Some(1));
    let request = |turn| UpdateRequest { turn, ..UpdateRequest()[0].1.clone() };
    assert_ne!(by(Who::Terminal, &[], request(0)).hash(&[]), by(Who::Terminal, &[], request(1)).hash(&[]));
}

#[test]
fn r14_a_device_signs_again_with_the_challenge_to_its_own_request() {
    let stored = Stored::default()
        .with(Journal::key(), Journal::new(1, Time(NOW)).to_bytes())
        .with(anchors_key(), anchors().to_bytes());
    let context = stored.context();
    let sent = |step: tegata_core::step::Step<DeviceUpdate, Updated>| {
        let [Effect::Sign { tbs, .. }] = &step.effects[..] else { panic!("{:?}", step.effects) };
        let step = step.state.step(Event::Signed(sign(&secret(Who::Terminal, Algorithm::Ed25519), tbs)), &context);
        let [Effect::Send(request)] = &step.effects[..] else { panic!("{:?}", step.effects) };
        (Signed::<UpdateRequest>::decode(request).expect("a request"), step.state)
    };
    let (first, state) = sent(DeviceUpdate::Start(TERMINAL, ed(Who::Terminal)).step(Event::Tick, &context));
    let asked = |challenge: &[u8], of: &Signed<UpdateRequest>| {
        let body = Challenge { challenge: Hash::of(challenge), ..Challenge()[0].1.clone() };
        Event::Received(by(Who::Provider, &of.hash(&[]).to_bytes(), body).encode())
    };
    let (second, state) = sent(state.step(asked(b"one", &first), &context));
    let expected = UpdateRequest { challenge: Some(Hash::of(b"one")), ..first.claimed().clone() };
    assert_eq!(*second.claimed(), expected, "the same but for the challenge");
    let (third, _) = sent(state.clone().step(asked(b"two", &second), &context));
    assert_eq!(third.claimed().challenge, Some(Hash::of(b"two")), "another answer went out meanwhile");
    for wrong in [asked(b"one", &second), asked(b"two", &first)] {
        let step = state.clone().step(wrong, &context);
        assert!(matches!(&step.effects[..], [Effect::Show(Updated::NotTrusted)]), "{:?}", step.effects);
    }
}

/// What a wallet that has paid this charge in [`SESSION`] says in a later session, when the charge comes again.
fn said_again(signed_in: Hash, named: Option<Hash>) -> PayMessage {
    let session = Hash([0x77; 32]);
    let sign_charge = |session: &Hash| by(Who::Terminal, &Charge::context(session, TERMINAL), charge());
    let certificate = by(Who::Provider, &[], terminal_certificate());
    let handle = Certificate::handle(&certificate);
    let paying =
        Paying { state: PayingState::Spent, charge: sign_charge(&SESSION), receipt: None, ..Paying()[0].1.clone() };
    let stored = Stored::default()
        .with(Journal::key(), Journal::new(1, Time(NOW)).to_bytes())
        .with(purse_key(CARD), Purse()[0].1.to_bytes())
        .with(RecordKey::new(Space::Certificate, handle.0), certificate.encode())
        .with(Paying::key(TERMINAL, 17), paying.to_bytes())
        .with(Paying::pending_key(TERMINAL), 17u64.to_be_bytes().to_vec());
    let context = stored.context();
    let payer = Payer { card: CARD, terms: terms(), anchors: anchors() };
    let proof = tegata_core::wire::signed::Unsigned::new(SessionProof()[0].1.clone(), Algorithm::Ed25519);
    let proof: Signature =
        sign(&secret(Who::Terminal, Algorithm::Ed25519), &proof.tbs(&SessionProof::context(&session)));
    let charged = Charged {
        charge: sign_charge(&signed_in),
        certificate: None,
        known: None,
        session: named,
        extensions: Default::default(),
    };
    let step = WalletPay::new(payer).step(Event::Opened(session), &context);
    let step = step.state.step(Event::Received([&handle.0[..], &proof.0].concat()), &context);
    let step = step.state.step(Event::Received(PayMessage::Charged(charged).to_bytes()), &context);
    let sent = step.effects.iter().find_map(|effect| match effect {
        Effect::Send(bytes) => Some(bytes),
        _ => None,
    });
    PayMessage::received(sent.expect("an answer")).expect("a message")
}

#[test]
fn r5_a_charge_answered_in_one_session_is_not_answered_in_another() {
    assert!(matches!(said_again(SESSION, Some(SESSION)), PayMessage::Checked(_)), "the stored check again");
    let here = Hash([0x77; 32]);
    for (signed_in, named) in [(here, None), (here, Some(here)), (SESSION, None)] {
        assert_eq!(said_again(signed_in, named), PayMessage::Refused(Refusal::TerminalNotTrusted), "{named:?}");
    }
}

#[test]
fn a_message_while_paying_keeps_to_its_bounds() {
    let mut offer = Offer()[0].1.clone();
    offer.extensions.push(128, Bytes(vec![0; MAX_PAY_MESSAGE]).to_bytes());
    let bytes = PayMessage::Offer(offer).to_bytes();
    assert_eq!(PayMessage::received(&bytes), Err(DecodeError::TooLarge));
    let charged = |len: usize| {
        let charge = Charge { items: Some("x".repeat(len)), ..charge() };
        let charge = by(Who::Terminal, &Charge::context(&SESSION, TERMINAL), charge);
        PayMessage::received(&PayMessage::Charged(Charged { charge, ..Charged()[1].1.clone() }).to_bytes())
    };
    assert!(charged(MAX_ITEMS).is_ok());
    assert!(matches!(charged(MAX_ITEMS + 1), Err(DecodeError::Value(_))));
}

#[test]
fn texts_that_would_deceive_a_reader_are_refused() {
    for text in ["tea\n\nTotal 0.01 USD", "\u{202e}DSU 10.0", "tea\0", "tea\u{2028}Total 0.01 USD", "\u{61c}tea"] {
        let items = Charge { items: Some(text.into()), ..charge() };
        assert!(matches!(Charge::from_bytes(&items.to_bytes()), Err(DecodeError::Value(_))), "{text:?}");
    }
}

#[test]
fn a_tick_of_zero_is_said_by_leaving_it_out() {
    let mut bytes = CardEvent()[1].1.to_bytes();
    assert_eq!(bytes[7..9], [3, 3], "key 3, tick 3");
    assert!(CardEvent::from_bytes(&bytes).is_ok());
    bytes[8] = 0;
    assert!(matches!(CardEvent::from_bytes(&bytes), Err(DecodeError::Value(_))));
}

#[test]
fn no_number_is_larger_than_63_bits() {
    let list = |generation: u64| {
        let mut list = revocation_list();
        list.cards[0].generation = generation;
        RevocationList::from_bytes(&list.to_bytes())
    };
    assert!(list(MAX_NUMBER).is_ok());
    assert!(matches!(list(MAX_NUMBER + 1), Err(DecodeError::Value(_))));
    let load = |number: u64| Load::from_bytes(&Load { number, at: Time(number), ..load() }.to_bytes());
    assert!(load(MAX_NUMBER).is_ok());
    assert!(matches!(load(MAX_NUMBER + 1), Err(DecodeError::Value(_))));
}

#[test]
fn a_clearing_completion_is_believed_only_if_the_processor_signed_each_of_its_informations() {
    use tegata_core::talk::credit::{ClearingCompletion, ProcessorAnswer, read_processor_answer};
    use tegata_core::wire::canonical::Wire;
    use tegata_spec::keys::{Who, ed};

    let (key, context) = (ed(Who::Processor), REQUEST.to_bytes());
    let good = ClearingCompletion()[0].1.clone();
    let read = |who, context: &[u8], body: ClearingCompletion| {
        read_processor_answer(&by(who, context, body).encode(), &REQUEST, &key, &NativeVerifier)
    };
    assert!(matches!(read(Who::Processor, &context, good.clone()), Some(ProcessorAnswer::Cleared(_))));
    assert_eq!(read(Who::Provider, &context, good.clone()), None, "signed by another");
    assert_eq!(read(Who::Processor, &[], good.clone()), None, "to another request");
    let told = |at: usize| ClearingInformation()[at].1.clone();
    let forged = by(Who::Provider, &[], told(1));
    assert_eq!(read(Who::Processor, &context, ClearingCompletion { for_merchant: forged, ..good.clone() }), None);
    let for_another = by(Who::Processor, &[], told(2));
    assert_eq!(read(Who::Processor, &context, ClearingCompletion { for_merchant: for_another, ..good.clone() }), None);
    let mut other = told(1);
    other.amount = usd(1);
    let other = by(Who::Processor, &[], other);
    assert_eq!(
        read(Who::Processor, &context, ClearingCompletion { for_merchant: other, ..good }),
        None,
        "another amount"
    );
}
