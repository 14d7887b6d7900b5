//! Letters as scripts on one device: the power goes out at each write, answers get lost, and the provider still hears one letter,
//! as the same bytes (R13, R26).
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::collections::BTreeMap;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::cards::Done;
use tegata_core::talk::journal::Journal;
use tegata_core::talk::reach::*;
use tegata_core::talk::report::{ProviderRefusal, Refused};
use tegata_core::talk::update::{Command, CommandKind, UpdateReply, UpdateRequest, anchors_key, kind_of};
use tegata_core::wire::canonical::{Bytes, Message, Wire};
use tegata_core::wire::certificate::*;
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::*;
use tegata_crypto_native::{NativeVerifier, SealingSecret, SecretKey, open, seal_to};
use tegata_device::{Device, KeyRing, LettersError, Now, Post, PostError, Writing, update};
use tegata_vault::{MemoryVault, Vault, VaultError};

/// Records in memory; the commit that `cut` counts down to fails, before it is written or after.
#[derive(Default, Clone)]
struct Cutting {
    records: MemoryVault,
    cut: Option<(usize, bool)>,
}

impl Vault for Cutting {
    fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
        self.records.get(key)
    }
    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<tegata_vault::Found>, VaultError> {
        self.records.scan(space, from, limit)
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        match self.cut {
            Some((0, written)) => {
                self.cut = None;
                if written {
                    self.records.commit(batch)?;
                }
                Err(VaultError::Full)
            }
            Some((left, written)) => {
                self.cut = Some((left - 1, written));
                self.records.commit(batch)
            }
            None => self.records.commit(batch),
        }
    }
}

const START: Time = Time(1_000_000);
const PROVIDER: PartyId = PartyId([9; 16]);
const MERCHANT: PartyId = PartyId([6; 16]);
const MACHINE: DeviceId = DeviceId([7; 16]);
const CUSTOMER: CustomerNumber = CustomerNumber([0xc5; 16]);

fn sign<T: Message>(body: T, context: &[u8], key: &SecretKey) -> Signed<T> {
    let unsigned = Unsigned::new(body, key.public().algorithm());
    let signature = key.sign(&unsigned.tbs(context));
    unsigned.sign(signature)
}

/// A provider that takes every letter and remembers what it looked like.
struct Provider {
    key: SecretKey,
    sealing: SealingSecret,
    /// To which letters are sealed.
    customer: SealingSecret,
    /// What each letter's request looked like, as often as it came.
    carried: BTreeMap<LetterNumber, Vec<Vec<u8>>>,
    told: Vec<u64>,
    /// Commands that go down, and how many were confirmed.
    commands: Vec<Vec<u8>>,
    /// Which answer is lost, counted from now.
    lose: Option<usize>,
    refuse: Option<ProviderRefusal>,
    draws: u8,
}

impl Provider {
    fn new() -> Self {
        Self {
            key: SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]),
            sealing: SealingSecret::from_seed(&[2; 32]),
            customer: SealingSecret::from_seed(&[3; 32]),
            carried: BTreeMap::new(),
            told: Vec::new(),
            commands: Vec::new(),
            lose: None,
            refuse: None,
            draws: 0,
        }
    }
    fn answer(&mut self, plain: &[u8]) -> Vec<u8> {
        fn hash<T: Message>(plain: &[u8]) -> Vec<u8> {
            Signed::<T>::decode(plain).unwrap().hash(&[]).to_bytes()
        }
        let kind = kind_of(plain).unwrap();
        self.told.push(kind);
        let context = match kind {
            KeyAsk::KIND => {
                let body = KeyAnswer { sealing: self.customer.public(), signer: 1, extensions: Default::default() };
                return sign(body, &hash::<KeyAsk>(plain), &self.key).encode();
            }
            UpdateRequest::KIND => return self.update(plain),
            Carry::KIND => {
                let number = Signed::<Carry>::decode(plain).unwrap().claimed().number;
                self.carried.entry(number).or_default().push(plain.to_vec());
                hash::<Carry>(plain)
            }
            Reachable::KIND => hash::<Reachable>(plain),
            Mute::KIND => hash::<Mute>(plain),
            Unopened::KIND => hash::<Unopened>(plain),
            other => panic!("{other}"),
        };
        if let Some(why) = self.refuse {
            let refused = Refused { why, text: None, retry_after: None, signer: 1, extensions: Default::default() };
            return sign(refused, &context, &self.key).encode();
        }
        sign(Done { at: START, signer: 1, extensions: Default::default() }, &context, &self.key).encode()
    }
    fn update(&self, plain: &[u8]) -> Vec<u8> {
        let signed = Signed::<UpdateRequest>::decode(plain).unwrap();
        let said = signed.claimed();
        let head = said.entries.iter().fold(said.acknowledged_head, |head, entry| head.chain(&entry.0));
        let confirmed = usize::try_from(said.commands).unwrap();
        let reply = UpdateReply {
            device: said.device,
            epoch: said.epoch,
            recorded: said.acknowledged + said.entries.len() as u64,
            recorded_head: head,
            archived: 0,
            commands: self.commands[confirmed..].iter().cloned().map(Bytes).collect(),
            checkpoints: Vec::new(),
            list: None,
            due: Time::END,
            restart: None,
            at: START,
            signer: 1,
            standing: None,
            extensions: Default::default(),
        };
        sign(reply, &signed.hash(&[]).to_bytes(), &self.key).encode()
    }
}

impl Post for Provider {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        let envelope = Sealed::from_bytes(&envelopes[0]).unwrap();
        // The channel is not kept: each envelope that is not by HPKE is answered by nothing that opens.
        let Ok((plain, channel)) = open(&self.sealing, &envelope) else {
            return Ok(vec![Vec::new()]);
        };
        let answer = self.answer(&plain);
        self.draws += 1;
        let sealed = channel.seal_reply([self.draws; 32], &envelope, &answer).to_bytes();
        match self.lose {
            Some(0) => {
                self.lose = None;
                Err(PostError::Away("here".into()))
            }
            left => {
                self.lose = left.map(|left| left - 1);
                Ok(vec![sealed])
            }
        }
    }
}

fn ring(vault: &Cutting) -> KeyRing {
    let mut ring = KeyRing::in_memory(Algorithm::Ed25519, &[4; 32]);
    ring.reload_in_memory(vault).unwrap();
    ring
}

/// A terminal that has joined.
fn terminal(provider: &Provider) -> Device<Cutting> {
    let operational = OperationalKey {
        number: 1,
        key: provider.key.public(),
        from: Time(0),
        until: Time::END,
        extensions: Default::default(),
    };
    let anchors = Anchors {
        provider: PROVIDER,
        root: provider.key.public(),
        sealing: provider.sealing.public(),
        epoch: 1,
        keys: vec![operational],
        list: None,
        extensions: Default::default(),
    };
    let vault = Cutting::default();
    let ring = ring(&vault);
    let certificate = Certificate {
        subject: MACHINE.into(),
        role: Role::Terminal,
        key: ring.device_key().unwrap(),
        sealing: None,
        from: Time(0),
        until: Time(2_000_000_000),
        epoch: 1,
        signer: 1,
        owner: Some(MERCHANT),
        name: Some("Corner cafe".into()),
        number: None,
        extensions: Default::default(),
    };
    let mut device = Device::new(vault, ring, &NativeVerifier);
    let mut batch = Batch::default();
    batch.put(Certificate::own_key(), sign(certificate, &[], &provider.key).encode());
    batch.put(Journal::key(), Journal::new(1, START).to_bytes());
    batch.put(anchors_key(), anchors.to_bytes());
    device.vault.commit(&batch).unwrap();
    device
}

/// The power was out: what is durable is all there is.
fn restarted(device: Device<Cutting>) -> Device<Cutting> {
    let vault = Cutting { cut: None, ..device.vault };
    let ring = ring(&vault);
    Device::new(vault, ring, &NativeVerifier)
}

struct Clock(u8);

impl Clock {
    fn now(&mut self) -> Now {
        self.0 += 1;
        Now { time: START.after(u64::from(self.0)), entropy: [self.0; 32] }
    }
}

fn recall(device: &mut Device<Cutting>, now: Now) -> Result<LetterNumber, LettersError> {
    let (to, key) = (Address::Customer(CUSTOMER), device.key().unwrap());
    device.write_letter(&Writing { merchant: MERCHANT, to, key, text: "Bring the bread back" }, now)
}

/// What the customer would read in a request.
fn read(provider: &Provider, carry: &[u8]) -> Signed<Letter> {
    let carry = Signed::<Carry>::decode(carry).unwrap();
    let (plain, _) = open(&provider.customer, &carry.claimed().sealed).unwrap();
    Enclosed::from_bytes(&plain).unwrap().letter
}

#[test]
fn a_letter_survives_the_power_going_out_at_each_write_and_is_sent_as_the_same_bytes() {
    // Writing, the request, the answer: three writes, each cut before and after.
    for (at, written) in (0..4).flat_map(|at| [(at, false), (at, true)]) {
        for lose in [None, Some(0), Some(1)] {
            let mut provider = Provider::new();
            let mut device = terminal(&provider);
            let mut clock = Clock(0);
            device.vault.cut = Some((at, written));
            provider.lose = lose;
            let wrote = recall(&mut device, clock.now());
            let _ = device.send_letters(&mut provider, clock.now());
            let mut device = restarted(device);
            if wrote.is_err() && device.letters().unwrap().is_empty() {
                // Not written: whoever typed it was told, and types it again.
                assert!(provider.carried.is_empty() && (at, written) == (0, false));
                recall(&mut device, clock.now()).unwrap();
            }
            provider.lose = None;
            for _ in 0..2 {
                device.send_letters(&mut provider, clock.now()).unwrap();
            }
            let [kept] = device.letters().unwrap().try_into().unwrap();
            assert_eq!((kept.state, kept.epoch), (LetterState::Sent, Some(1)), "{at} {written} {lose:?}");
            let carried: Vec<_> = provider.carried.values().collect();
            let [requests] = carried.as_slice() else { panic!("one letter") };
            assert!(requests.iter().all(|one| *one == requests[0]), "{at} {written} {lose:?}: other bytes");
            assert_eq!(read(&provider, &requests[0]).claimed().text, "Bring the bread back");
            let waits = device.vault.scan(Space::Request, &[], usize::MAX).unwrap();
            assert!(waits.is_empty(), "{at} {written} {lose:?}: {waits:?}");
        }
    }
}

#[test]
fn what_comes_down_is_stored_with_the_acknowledgement_and_once() {
    for (at, written) in (0..2).flat_map(|at| [(at, false), (at, true)]) {
        let mut provider = Provider::new();
        let mut device = terminal(&provider);
        let mut clock = Clock(0);
        let key = device.ring.reach(&mut device.vault, MERCHANT, &MACHINE.0).unwrap().public();
        let to = Address::Customer(CUSTOMER);
        let letter = |number: u8| {
            let sealed = seal_to([number; 32], to.addressee(), None, &key, b"whatever").unwrap().0;
            let number = LetterNumber([number; 16]);
            let (merchant, to, sealed) = (MERCHANT, to.clone(), Some(sealed));
            let letter = Some(Delivery { number, merchant, to, sealed, extensions: Default::default() });
            Command { letter, ..Command::new(CommandKind::Letter) }.to_bytes()
        };
        // The same letter under two commands: a provider that was put back from a backup says it again.
        provider.commands = vec![letter(1), letter(2), letter(1)];
        device.vault.cut = Some((at, written));
        let _ = update(&mut device, &mut provider, clock.now());
        let mut device = restarted(device);
        update(&mut device, &mut provider, clock.now()).unwrap();
        let kept = device.letters().unwrap();
        assert_eq!(kept.len(), 2, "{at} {written}");
        for one in &kept {
            let plain = device.open_letter(one, &MACHINE.0).unwrap();
            assert_eq!(plain.as_deref(), Some(&b"whatever"[..]));
        }
    }
}

#[test]
fn a_letter_is_sealed_again_when_the_provider_says_so_also_where_its_answer_was_lost() {
    for lose in [None, Some(1)] {
        let mut provider = Provider::new();
        let mut device = terminal(&provider);
        let mut clock = Clock(0);
        let number = recall(&mut device, clock.now()).unwrap();
        provider.lose = lose;
        let sent = device.send_letters(&mut provider, clock.now());
        assert_eq!(sent.is_err(), lose.is_some());
        // The customer has lost its key, and has another one.
        let before = std::mem::replace(&mut provider.customer, SealingSecret::from_seed(&[33; 32]));
        let (merchant, to) = (MERCHANT, Address::Customer(CUSTOMER));
        let again = Delivery { number, merchant, to, sealed: None, extensions: Default::default() };
        let command = Command { letter: Some(again), ..Command::new(CommandKind::Letter) };
        provider.commands = vec![command.to_bytes()];
        update(&mut device, &mut provider, clock.now()).unwrap();
        assert_eq!(device.letters().unwrap()[0].state, LetterState::Waiting);
        device.send_letters(&mut provider, clock.now()).unwrap();
        let requests = &provider.carried[&number];
        let [first, last] = [&requests[0], &requests[requests.len() - 1]];
        assert_ne!(first, last);
        let second = read(&provider, last);
        provider.customer = before;
        assert_eq!(read(&provider, first), second, "the same letter, signed once");
    }
}

#[test]
fn what_is_refused_for_good_ends_and_what_is_refused_for_now_waits() {
    for (why, state) in [
        (ProviderRefusal::TooMany, LetterState::Waiting),
        (ProviderRefusal::Unavailable, LetterState::Waiting),
        (ProviderRefusal::Unknown, LetterState::Refused),
        (ProviderRefusal::NotAllowed, LetterState::Refused),
    ] {
        let mut provider = Provider::new();
        let mut device = terminal(&provider);
        let mut clock = Clock(0);
        recall(&mut device, clock.now()).unwrap();
        provider.refuse = Some(why);
        assert!(matches!(device.send_letters(&mut provider, clock.now()), Err(LettersError::Refused(_))));
        assert_eq!(device.letters().unwrap()[0].state, state, "{why:?}");
        provider.refuse = None;
        device.send_letters(&mut provider, clock.now()).unwrap();
        let sent = device.letters().unwrap()[0].state;
        assert_eq!(sent == LetterState::Sent, state == LetterState::Waiting, "{why:?}");
    }
}

#[test]
fn a_copy_that_seals_again_what_was_sent_learns_that_the_provider_has_it() {
    let mut provider = Provider::new();
    let mut device = terminal(&provider);
    let mut clock = Clock(0);
    recall(&mut device, clock.now()).unwrap();
    let copy = device.vault.clone();
    device.send_letters(&mut provider, clock.now()).unwrap();
    device.vault = copy;
    provider.refuse = Some(ProviderRefusal::Repeated);
    device.send_letters(&mut provider, clock.now()).unwrap();
    assert_eq!(device.letters().unwrap()[0].state, LetterState::Sent);
}

#[test]
fn a_device_says_how_it_is_reached_once_in_each_epoch() {
    let mut provider = Provider::new();
    let mut device = terminal(&provider);
    let mut clock = Clock(0);
    let reachable = |device: &mut Device<Cutting>, provider: &mut Provider, now| {
        device.be_reachable(provider, (MERCHANT, &MACHINE.0), None, now)
    };
    provider.lose = Some(0);
    assert!(reachable(&mut device, &mut provider, clock.now()).is_err());
    let mut device = restarted(device);
    for _ in 0..3 {
        reachable(&mut device, &mut provider, clock.now()).unwrap();
    }
    assert_eq!(provider.told, [Reachable::KIND; 2], "again after the lost answer, and then no more");
    let mut anchors = device.anchors().unwrap();
    anchors.epoch = 2;
    let mut batch = Batch::default();
    batch.put(anchors_key(), anchors.to_bytes());
    device.vault.commit(&batch).unwrap();
    for _ in 0..2 {
        reachable(&mut device, &mut provider, clock.now()).unwrap();
    }
    assert_eq!(provider.told, [Reachable::KIND; 3], "a provider put back from a backup may have forgotten it (R15)");
}

/// A terminal's certificate, and a letter as it came from there.
fn came(device: &Device<Cutting>, letter: Signed<Letter>) -> (KeptLetter, Enclosed) {
    let said = letter.claimed().clone();
    let sealed =
        seal_to([1; 32], said.to.addressee(), None, &SealingSecret::from_seed(&[3; 32]).public(), b"").unwrap().0;
    let kept = KeptLetter {
        state: LetterState::Received,
        merchant: MERCHANT,
        to: said.to,
        number: said.number,
        at: START,
        sealed: Some(sealed),
        letter: None,
        carry: None,
        epoch: None,
        extensions: Default::default(),
    };
    (kept, Enclosed { letter, certificate: device.certificate(), extensions: Default::default() })
}

#[test]
fn a_wallet_shows_only_what_a_terminal_of_that_merchant_wrote_to_it() {
    let provider = Provider::new();
    let mut device = terminal(&provider);
    let mut clock = Clock(0);
    recall(&mut device, clock.now()).unwrap();
    let letter = device.letters().unwrap().remove(0).letter.unwrap();
    let anchors = device.anchors().unwrap();
    let now = clock.now();
    let (kept, good) = came(&device, letter.clone());
    let judge = |kept: &KeptLetter, enclosed: &Enclosed| {
        device.with_context(now, |context| from_merchant(kept, &enclosed.to_bytes(), &anchors, context))
    };
    let read = judge(&kept, &good).unwrap();
    assert_eq!((read.shop.as_str(), read.text.as_str()), ("Corner cafe", "Bring the bread back"));

    let own = good.certificate.clone().unwrap();
    let certified = |change: fn(&mut Certificate), by: &SecretKey| {
        let mut body = own.claimed().clone();
        change(&mut body);
        Some(sign(body, &[], by))
    };
    let stranger = SecretKey::from_seed(Algorithm::Ed25519, &[66; 32]);
    let forged = sign(letter.claimed().clone(), &[], &stranger);
    let no = Err(NotShown::NotTrusted);
    for (what, kept, enclosed) in [
        ("signed by a stranger", kept.clone(), Enclosed { letter: forged, ..good.clone() }),
        (
            "certified by a stranger",
            kept.clone(),
            Enclosed { certificate: certified(|_| {}, &stranger), ..good.clone() },
        ),
        (
            "of another merchant",
            kept.clone(),
            Enclosed {
                certificate: certified(|body| body.owner = Some(PartyId([5; 16])), &provider.key),
                ..good.clone()
            },
        ),
        (
            "by a wallet",
            kept.clone(),
            Enclosed { certificate: certified(|body| body.role = Role::Wallet, &provider.key), ..good.clone() },
        ),
        (
            "by a terminal whose time was over",
            kept.clone(),
            Enclosed { certificate: certified(|body| body.until = START, &provider.key), ..good.clone() },
        ),
        (
            "to somebody else, sealed again",
            KeptLetter { to: Address::Customer(CustomerNumber([1; 16])), ..kept.clone() },
            good.clone(),
        ),
        ("under another number", KeptLetter { number: LetterNumber([1; 16]), ..kept.clone() }, good.clone()),
        ("delivered as another merchant's", KeptLetter { merchant: PartyId([5; 16]), ..kept.clone() }, good.clone()),
    ] {
        assert_eq!(judge(&kept, &enclosed), no, "{what}");
    }
    let nameless = Enclosed { certificate: None, ..good };
    assert_eq!(judge(&kept, &nameless), Err(NotShown::Malformed));
}

#[test]
fn a_terminal_shows_only_what_the_key_of_the_payment_signed() {
    let provider = Provider::new();
    let device = terminal(&provider);
    let now = Clock(0).now();
    let payment = SecretKey::from_seed(Algorithm::P256, &[12; 32]);
    let name = ReceiptName {
        machine: MACHINE,
        transaction: 3,
        charge: Hash::of(b"charge"),
        offer: Some(Hash::of(b"offer")),
        extensions: Default::default(),
    };
    let (to, number, text) = (Address::Receipt(name), LetterNumber([8; 16]), "My bag?".to_owned());
    let letter = Letter { to, number, text, at: START, extensions: Default::default() };
    let (kept, enclosed) = came(&device, sign(letter, &[], &payment));
    let judge = |kept: &KeptLetter, key: &SecretKey| {
        device.with_context(now, |context| from_user(kept, &enclosed.to_bytes(), &key.public(), context))
    };
    assert_eq!(judge(&kept, &payment), Ok(("My bag?".to_owned(), START)));
    let other = SecretKey::from_seed(Algorithm::P256, &[13; 32]);
    assert_eq!(judge(&kept, &other), Err(NotShown::NotTrusted));
    let moved = KeptLetter { number: LetterNumber([9; 16]), ..kept.clone() };
    assert_eq!(judge(&moved, &payment), Err(NotShown::NotTrusted));
    let elsewhere = KeptLetter { to: Address::Customer(CUSTOMER), ..kept };
    assert_eq!(judge(&elsewhere, &payment), Err(NotShown::NotTrusted));
}
