//! The payment tap as scripts: both sides real, the link's bytes between them, vaults in memory.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use tegata_core::card::payment::{CannotSpend, Purse};
use tegata_core::card::{CardCertificate, CardKind, Terms};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::Event;
use tegata_core::talk::journal::Journal;
use tegata_core::talk::pay::*;
use tegata_core::talk::update::anchors_key;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::*;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{Amount, CardId, DeviceId, Hash, PartyId, Time, Unit};
use tegata_crypto_native::{NativeVerifier, SecretKey};
use tegata_device::{Device, KeyRing, Now, Out, Talking, TerminalTap, WalletTap, take_up_all};
use tegata_vault::{MemoryVault, Vault};

const START: Time = Time(1_000_000);

/// A counter with one terminal and one wallet holding one card, all certified by hand.
struct Counter {
    wallet: Device<MemoryVault>,
    terminal: Device<MemoryVault>,
    certificate: Signed<Certificate>,
    anchors: Anchors,
    terms: Terms,
    card: CardId,
    now: Time,
    draws: u8,
    bytes: usize,
    exchanges: usize,
}

fn sign<T: Message>(body: T, key: &SecretKey) -> Signed<T> {
    let unsigned = Unsigned::new(body, key.public().algorithm());
    let signature = key.sign(&unsigned.tbs(&[]));
    unsigned.sign(signature)
}

impl Counter {
    fn new(algorithm: Algorithm) -> Self {
        let operational = SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]);
        let key = OperationalKey {
            number: 1,
            key: operational.public(),
            from: Time(0),
            until: Time::END,
            extensions: Default::default(),
        };
        let list = RevocationList {
            number: 1,
            at: START,
            signer: 1,
            subjects: vec![],
            cards: vec![],
            extensions: Default::default(),
        };
        let anchors = Anchors {
            provider: PartyId([9; 16]),
            root: operational.public(),
            sealing: SealingKey([0; 32]),
            epoch: 1,
            keys: vec![key],
            list: Some(sign(list, &operational)),
            extensions: Default::default(),
        };
        let terms = Terms {
            issuer: PartyId([8; 16]),
            kind: CardKind::Payment,
            unit: Unit::USD,
            name: "Town card".into(),
            max_payment: 10_000,
            offline_limit: 15_000,
            due_after: 30 * Time::DAY,
            list_age: 7 * Time::DAY,
            record_age: 7 * Time::DAY,
            max_balance: 100_000,
            handovers: 0,
            refundable: true,
            max_untouched: 500,
            register_within: None,
            program: None,
            ticket: None,
            extensions: Default::default(),
        };
        let ring = KeyRing::in_memory(Algorithm::Ed25519, &[2; 32]);
        let certificate = Certificate {
            subject: DeviceId([7; 16]).into(),
            role: Role::Terminal,
            key: ring.device_key().unwrap(),
            sealing: None,
            from: Time(0),
            until: Time(2_000_000_000),
            epoch: 1,
            signer: 1,
            owner: Some(PartyId([6; 16])),
            name: Some("Corner cafe".into()),
            number: None,
            extensions: Default::default(),
        };
        let certificate = sign(certificate, &operational);
        let mut terminal = Device::new(MemoryVault::new(), ring, &NativeVerifier);
        let mut batch = Batch::default();
        batch.put(Certificate::own_key(), certificate.encode());
        batch.put(Journal::key(), Journal::new(1, START).to_bytes());
        terminal.vault.commit(&batch).unwrap();

        let ring = KeyRing::in_memory(Algorithm::Ed25519, &[3; 32]);
        let mut wallet = Device::new(MemoryVault::new(), ring, &NativeVerifier);
        let key = wallet.ring.make(&mut wallet.vault, algorithm, &[4; 32]).unwrap();
        let card = CardId([5; 16]);
        let said = CardCertificate {
            card,
            kind: CardKind::Payment,
            terms: terms.handle(),
            face: Amount::new(Unit::USD, 20_000).unwrap(),
            key,
            generation: 1,
            from: START,
            until: Time(2_000_000_000),
            epoch: 1,
            signer: 1,
            seq: 0,
            remaining: 20_000,
            last_load: 0,
            last_received: None,
            offline_limit: terms.offline_limit,
            due: START.after(terms.due_after),
            seat: None,
            used: None,
            given: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.put(anchors_key(), anchors.to_bytes());
        batch.put(Journal::key(), Journal::new(1, START).to_bytes());
        let signed = sign(said, &operational);
        assert!(signed.encode().len() <= 210, "a card certificate is at most 210 bytes: {}", signed.encode().len());
        batch.put(purse_key(card), Purse::new(signed).to_bytes());
        wallet.vault.commit(&batch).unwrap();
        let now = START.after(60);
        Self { wallet, terminal, certificate, anchors, terms, card, now, draws: 0, bytes: 0, exchanges: 0 }
    }

    fn tick(&mut self) -> Now {
        self.draws = self.draws.wrapping_add(1);
        Now { time: self.now, entropy: Hash::of(&[self.draws]).0 }
    }

    fn purse(&self) -> Purse {
        load_purse(&self.wallet, self.card).unwrap()
    }

    fn sale(&self, cents: u64) -> Sale {
        Sale {
            amount: Amount::new(Unit::USD, cents).unwrap(),
            items: None,
            valid_for: 300,
            certificate: self.certificate.clone(),
            anchors: self.anchors.clone(),
            terms: vec![self.terms.clone()],
        }
    }

    /// One touch. The link is cut after `frames` frames have crossed it; the user answers with `answer`.
    fn touch(&mut self, cents: u64, frames: usize, answer: Event) -> (Vec<WalletNotice>, Vec<TerminalNotice>) {
        let payer = Payer { card: self.card, terms: self.terms.clone(), anchors: self.anchors.clone() };
        let (mut wallet, hello) = WalletTap::start(payer, self.tick().entropy).unwrap();
        let mut terminal = TerminalTap::new(self.sale(cents));
        let (mut up, mut down) = (vec![hello], Vec::new());
        let (mut seen, mut shown) = (Vec::new(), Vec::new());
        let mut crossed = 0;
        self.bytes = 0;
        self.exchanges = 0;
        while !up.is_empty() || !down.is_empty() {
            for frame in std::mem::take(&mut up) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                self.bytes += frame.len() + 2;
                self.exchanges += 1;
                let now = self.tick();
                let step = terminal.receive(&frame, now, &mut self.terminal).unwrap();
                down.extend(step.frames);
                shown.extend(step.notices);
            }
            for frame in std::mem::take(&mut down) {
                crossed += 1;
                if crossed > frames {
                    break;
                }
                self.bytes += frame.len() + 2;
                let now = self.tick();
                let step = wallet.receive(&frame, now, &mut self.wallet).unwrap();
                up.extend(step.frames);
                let asked = step.notices.iter().any(|notice| matches!(notice, WalletNotice::Consent { .. }));
                seen.extend(step.notices);
                if asked {
                    let step = wallet.event(answer.clone(), now, &mut self.wallet).unwrap();
                    up.extend(step.frames);
                    seen.extend(step.notices);
                }
            }
        }
        let now = self.tick();
        if !wallet.is_over() {
            seen.extend(wallet.event(Event::Lost, now, &mut self.wallet).unwrap().notices);
        }
        if !terminal.is_over() {
            shown.extend(terminal.event(Event::Lost, now, &mut self.terminal).unwrap().notices);
        }
        (seen, shown)
    }

    fn end(&mut self, transaction: u64, void: bool) -> EndNotice {
        let (terminal, key) = (DeviceId([7; 16]), self.certificate.claimed().key);
        let mut talking = Talking::new(EndOfClaim::Start { transaction, terminal, key, void });
        let now = self.tick();
        let outs = talking.deliver(Event::Tick, now, &mut self.terminal);
        outs.into_iter().find_map(|out| if let Out::Show(notice) = out { Some(notice) } else { None }).unwrap()
    }
}

fn paid(notices: &[WalletNotice]) -> bool {
    notices.iter().any(|notice| matches!(notice, WalletNotice::Paid { .. }))
}

fn goods(notices: &[TerminalNotice]) -> bool {
    notices.iter().any(|notice| matches!(notice, TerminalNotice::Paid { .. }))
}

#[test]
fn a_tap_stays_within_its_budget_on_first_sight_and_when_known() {
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let mut counter = Counter::new(algorithm);
        let (seen, shown) = counter.touch(1_234, usize::MAX, Event::Agreed);
        assert!(paid(&seen) && goods(&shown), "{seen:?} {shown:?}");
        println!("{algorithm:?} first: {} bytes in {} exchanges", counter.bytes, counter.exchanges);
        assert!(counter.bytes <= 1_000 && counter.exchanges <= 3);
        let (seen, shown) = counter.touch(1_000, usize::MAX, Event::Agreed);
        assert!(paid(&seen) && goods(&shown), "{seen:?} {shown:?}");
        println!("{algorithm:?} known: {} bytes in {} exchanges", counter.bytes, counter.exchanges);
        assert!(counter.bytes <= 600 && counter.exchanges <= 3);
        assert_eq!(counter.purse().remaining, 20_000 - 2_234);
    }
}

#[test]
fn wherever_the_link_is_cut_a_second_touch_pays_once() {
    for frames in 0..6 {
        let mut counter = Counter::new(Algorithm::Ed25519);
        counter.touch(1_000, usize::MAX, Event::Agreed);
        let (_, first) = counter.touch(500, frames, Event::Agreed);
        let spent = counter.purse().remaining == 18_500;
        let (again, second) = counter.touch(500, usize::MAX, Event::Agreed);
        if spent {
            assert!(paid(&again), "cut after {frames}: {again:?}");
            assert_eq!(counter.purse().remaining, 18_500, "cut after {frames}: never debited again");
        }
        let handed_over = usize::from(goods(&first)) + usize::from(goods(&second));
        assert!(handed_over <= 1, "cut after {frames}: goods once");
    }
}

#[test]
fn a_charge_closed_after_the_check_was_lost_gives_the_money_back() {
    let mut counter = Counter::new(Algorithm::Ed25519);
    counter.touch(1_000, usize::MAX, Event::Agreed);
    // hello, reply, offer, charge; the check is lost.
    counter.touch(500, 4, Event::Agreed);
    assert_eq!(counter.purse().remaining, 18_500);
    assert_eq!(counter.end(2, false), EndNotice::Closed { transaction: 2 });
    let (seen, shown) = counter.touch(700, usize::MAX, Event::Agreed);
    assert!(seen.iter().any(|notice| matches!(notice, WalletNotice::Returning { .. })), "{seen:?}");
    assert!(!goods(&shown));
    let now = counter.tick();
    assert_eq!(take_up_all(&mut counter.wallet, counter.card, now), Ok(1));
    assert_eq!(counter.purse().remaining, 19_000);
    assert_eq!(take_up_all(&mut counter.wallet, counter.card, now), Ok(0));
}

#[test]
fn a_void_is_returned_once() {
    let mut counter = Counter::new(Algorithm::Ed25519);
    counter.touch(1_000, usize::MAX, Event::Agreed);
    assert!(matches!(counter.end(1, true), EndNotice::Voided { transaction: 1, .. }));
    assert_eq!(counter.end(1, true), EndNotice::EndedBefore(ClaimState::Voided));
}

#[test]
fn what_cannot_be_paid_is_refused_before_the_user_is_asked() {
    let mut counter = Counter::new(Algorithm::Ed25519);
    let (seen, _) = counter.touch(10_001, usize::MAX, Event::Agreed);
    assert_eq!(seen, [WalletNotice::Cannot(CannotSpend::AboveMaximum)]);
    counter.end(1, false);
    counter.touch(9_000, usize::MAX, Event::Agreed);
    let (seen, _) = counter.touch(9_000, usize::MAX, Event::Agreed);
    assert_eq!(seen, [WalletNotice::Cannot(CannotSpend::OfflineLimit)]);
    counter.now = START.after(31 * Time::DAY);
    counter.end(3, false);
    let (seen, _) = counter.touch(100, usize::MAX, Event::Agreed);
    assert!(matches!(seen[..], [WalletNotice::Refused { why: Refusal::TerminalStale, .. }]), "{seen:?}");
}

#[test]
fn declining_closes_the_charge_and_costs_nothing() {
    let mut counter = Counter::new(Algorithm::Ed25519);
    let (_, shown) = counter.touch(500, usize::MAX, Event::Declined);
    assert!(matches!(shown[..], [TerminalNotice::Closed { why: Refusal::Declined, .. }]), "{shown:?}");
    assert_eq!(counter.purse().remaining, 20_000);
}

#[test]
fn small_amounts_go_without_a_touch_only_within_their_cap() {
    let mut counter = Counter::new(Algorithm::Ed25519);
    let mut batch = Batch::default();
    let allowed = Untouched { per_payment: 300, cap: 500, used: 0, extensions: Default::default() };
    batch.put(Untouched::key(), allowed.to_bytes());
    counter.wallet.vault.commit(&batch).unwrap();
    let asked = |seen: &[WalletNotice]| seen.iter().any(|notice| matches!(notice, WalletNotice::Consent { .. }));
    let (seen, _) = counter.touch(300, usize::MAX, Event::Agreed);
    assert!(paid(&seen) && !asked(&seen));
    let (seen, _) = counter.touch(300, usize::MAX, Event::Agreed);
    assert!(paid(&seen) && asked(&seen), "the cap asks");
    let (seen, _) = counter.touch(300, usize::MAX, Event::Agreed);
    assert!(paid(&seen) && !asked(&seen), "a touch starts the cap anew");
}

#[test]
fn a_second_touch_pays_what_was_agreed_while_the_link_was_gone() {
    let mut counter = Counter::new(Algorithm::Ed25519);
    counter.touch(1_000, usize::MAX, Event::Agreed);
    counter.touch(500, usize::MAX, Event::Lost);
    let paying = Paying::pending(&counter.wallet, DeviceId([7; 16])).unwrap();
    let batch = paying.agree().unwrap();
    counter.wallet.vault.commit(&batch).unwrap();
    let (seen, shown) = counter.touch(500, usize::MAX, Event::Declined);
    assert!(paid(&seen) && goods(&shown), "{seen:?} {shown:?}");
    let name = RecordKey::new(Space::Charge, DeviceId([7; 16]).0);
    assert_eq!(counter.wallet.vault.get(&name).unwrap(), None, "nothing is pending any more");
}
