//! Paying by credit as scripts: wallet and terminal real, a tiny provider that matches the two lines as the core does.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::collections::BTreeMap;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::{Event, Talk};
use tegata_core::talk::credit::*;
use tegata_core::talk::journal::{EntryKind, Journal, LogEntry};
use tegata_core::talk::pay::Offered;
use tegata_core::talk::pay::*;
use tegata_core::talk::update::{
    Command, CommandKind, DeviceUpdate, UpdateReply, UpdateRequest, Updated, anchors_key, kind_of,
};
use tegata_core::wire::canonical::{Bytes, Message, Wire};
use tegata_core::wire::certificate::*;
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::{Algorithm, PublicKey, Signed, Unsigned};
use tegata_core::*;
use tegata_crypto_native::{NativeVerifier, SealingSecret, SecretKey, open, seal_to};
use tegata_device::{Device, KeyRing, Now, Out, Talking, TerminalTap, WalletTap};
use tegata_vault::{MemoryVault, Vault, VaultError};

/// Records in memory; the commit that `cut` counts down to fails, before it is written or after.
#[derive(Default)]
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
const PROCESSOR: PartyId = PartyId([0x9c; 16]);
const MERCHANT: PartyId = PartyId([6; 16]);
const MACHINE: DeviceId = DeviceId([7; 16]);
const WALLET: DeviceId = DeviceId([3; 16]);
const CUSTOMER: CustomerNumber = CustomerNumber([0xc5; 16]);

fn sign<T: Message>(body: T, context: &[u8], key: &SecretKey) -> Signed<T> {
    let unsigned = Unsigned::new(body, key.public().algorithm());
    let signature = key.sign(&unsigned.tbs(context));
    unsigned.sign(signature)
}

fn usd(cents: u64) -> Amount {
    Amount::new(Unit::USD, cents).unwrap()
}

/// A provider in memory: what each line said, by offer; the same request again gets the same answer once it has ended.
struct Provider {
    key: SecretKey,
    sides: BTreeMap<Hash, Sides>,
    bank_says_no: bool,
    bank_thinks: bool,
    /// What every request looked like: repeats must be byte for byte.
    heard: Vec<Vec<u8>>,
    /// Changes what [8418] says, to show that the terminal reads it.
    forge: fn(&mut ClearingNotification),
    /// Ends a clearing without a payment.
    refuse_clearing: bool,
    /// Leaves out why, where it says no.
    says_no_more: bool,
    machine_key: PublicKey,
}

impl Provider {
    fn reply<T: Message>(&self, request: &Hash, body: T) -> Vec<u8> {
        sign(body, &request.to_bytes(), &self.key).encode()
    }
    fn answer(&self, request: &Hash, sides: &Sides, at: Time) -> Vec<u8> {
        let (state, why) = match matched(sides, at) {
            Matched::Wait => (CreditState::Waiting, None),
            Matched::Authorize if self.bank_thinks => (CreditState::Pending, None),
            Matched::Authorize if self.bank_says_no => (CreditState::Refused, Some(CreditRefusal::Declined)),
            Matched::Authorize => (CreditState::Authorized, None),
            Matched::Refuse(why) => (CreditState::Refused, Some(why)),
        };
        let why = why.filter(|_| !self.says_no_more);
        let again = matches!(state, CreditState::Waiting | CreditState::Pending).then_some(5);
        self.reply(request, CreditAnswer { state, why, again, at, signer: 1, extensions: Default::default() })
    }
    fn information(
        &self,
        audience: Audience,
        amount: Amount,
        transaction: u64,
        at: Time,
    ) -> Signed<ClearingInformation> {
        let body = ClearingInformation {
            audience,
            clearing: ClearingNumber([0xc1; 16]),
            amount,
            transaction,
            account: None,
            option: None,
            name: None,
            reference: None,
            processor: PROCESSOR,
            at,
            extensions: Default::default(),
        };
        sign(body, &[], &SecretKey::from_seed(Algorithm::Ed25519, &[0x9c; 32]))
    }
    /// One question, one answer.
    fn hear(&mut self, bytes: &[u8], at: Time) -> Vec<u8> {
        self.heard.push(bytes.to_vec());
        match kind_of(bytes).unwrap() {
            AuthorizationRequest::KIND => {
                let request = Signed::<AuthorizationRequest>::decode(bytes).unwrap();
                let hash = request.hash(&[]);
                let asked = request.verify(&self.machine_key, &[], &NativeVerifier).unwrap();
                let offered = offered(&asked.offer, &asked.session, &NativeVerifier).unwrap();
                let line = merchant_line(
                    &asked.charge,
                    &asked.session,
                    (asked.machine, &self.machine_key),
                    at,
                    &NativeVerifier,
                );
                let sides = self.sides.entry(offered.hash).or_default();
                sides.merchant = sides.merchant.or(line);
                self.answer(&hash, &self.sides[&offered.hash], at)
            }
            PaymentRequest::KIND => {
                let request = Signed::<PaymentRequest>::decode(bytes).unwrap();
                let hash = request.hash(&[]);
                let asked = request.claimed();
                let offered = offered(&asked.offer, &asked.session, &NativeVerifier).unwrap();
                let line = user_line(&asked.offer, &offered.hash, &asked.agreement, at, &NativeVerifier);
                let sides = self.sides.entry(offered.hash).or_default();
                sides.user = sides.user.or(line);
                self.answer(&hash, &self.sides[&offered.hash], at)
            }
            ClearingRequest::KIND => {
                let request = Signed::<ClearingRequest>::decode(bytes).unwrap();
                let hash = request.hash(&[]);
                let said = request.claimed().clone();
                if self.bank_thinks || self.refuse_clearing {
                    let state = if self.bank_thinks { CreditState::Pending } else { CreditState::Refused };
                    let why = (self.refuse_clearing && !self.says_no_more).then_some(CreditRefusal::NotAuthorized);
                    let body =
                        CreditAnswer { state, why, again: Some(5), at, signer: 1, extensions: Default::default() };
                    return self.reply(&hash, body);
                }
                let mut body = ClearingNotification {
                    clearing: ClearingNumber([0xc1; 16]),
                    information: self.information(Audience::Merchant, said.amount, said.transaction, at),
                    customer: CUSTOMER,
                    request,
                    service: None,
                    provider: PROVIDER,
                    at,
                    signer: 1,
                    extensions: Default::default(),
                };
                (self.forge)(&mut body);
                self.reply(&hash, body)
            }
            RegisterCard::KIND => {
                let request = Signed::<RegisterCard>::decode(bytes).unwrap();
                let state = if self.bank_says_no { CreditState::Refused } else { CreditState::Authorized };
                let why = self.bank_says_no.then_some(CreditRefusal::Card);
                let body = CreditAnswer { state, why, again: None, at, signer: 1, extensions: Default::default() };
                self.reply(&request.hash(&[]), body)
            }
            other => panic!("{other}"),
        }
    }
}

struct Town {
    wallet: Device<Cutting>,
    terminal: Device<Cutting>,
    certificate: Signed<Certificate>,
    anchors: Anchors,
    provider: Provider,
    now: Time,
    draws: u8,
    /// Seconds that the user thinks before answering.
    thinks: u64,
}

fn certificate(id: DeviceId, role: Role, key: PublicKey, operational: &SecretKey) -> Signed<Certificate> {
    let body = Certificate {
        subject: id.into(),
        role,
        key,
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
    sign(body, &[], operational)
}

impl Town {
    fn new() -> Self {
        let operational = SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]);
        let key = OperationalKey {
            number: 1,
            key: operational.public(),
            from: Time(0),
            until: Time::END,
            extensions: Default::default(),
        };
        let anchors = Anchors {
            provider: PROVIDER,
            root: operational.public(),
            sealing: SealingKey([0; 32]),
            epoch: 1,
            keys: vec![key],
            list: None,
            extensions: Default::default(),
        };
        let device = |id: DeviceId, role, seed: u8| {
            let ring = KeyRing::in_memory(Algorithm::Ed25519, &[seed; 32]);
            let certificate = certificate(id, role, ring.device_key().unwrap(), &operational);
            let mut device = Device::new(Cutting::default(), ring, &NativeVerifier);
            let mut batch = Batch::default();
            batch.put(Certificate::own_key(), certificate.encode());
            batch.put(Journal::key(), Journal::new(1, START).to_bytes());
            batch.put(anchors_key(), anchors.to_bytes());
            device.vault.commit(&batch).unwrap();
            (device, certificate)
        };
        let (terminal, certificate) = device(MACHINE, Role::Terminal, 2);
        let (wallet, _) = device(WALLET, Role::Wallet, 3);
        let provider = Provider {
            key: operational,
            sides: BTreeMap::new(),
            bank_says_no: false,
            bank_thinks: false,
            heard: Vec::new(),
            forge: |_| {},
            refuse_clearing: false,
            says_no_more: false,
            machine_key: terminal.key().unwrap(),
        };
        Self { wallet, terminal, certificate, anchors, provider, now: START.after(60), draws: 0, thinks: 0 }
    }

    fn tick(&mut self) -> Now {
        self.draws = self.draws.wrapping_add(1);
        Now { time: self.now, entropy: Hash::of(&[self.draws]).0 }
    }

    fn sale(&self, cents: u64) -> Sale {
        Sale {
            amount: usd(cents),
            items: Some("2 coffees".into()),
            valid_for: 300,
            certificate: self.certificate.clone(),
            anchors: self.anchors.clone(),
            terms: vec![],
        }
    }

    fn payer(&mut self) -> CreditPayer {
        let seed = self.tick().entropy;
        let key = self.wallet.ring.make(&mut self.wallet.vault, Algorithm::Ed25519, &seed).unwrap();
        let mut request = [0; 16];
        request.copy_from_slice(&self.tick().entropy[..16]);
        CreditPayer {
            wallet: WALLET,
            wallet_key: self.wallet.key().unwrap(),
            key,
            request: RequestNumber(request),
            option: PaymentOption::Once,
            anchors: self.anchors.clone(),
        }
    }

    /// One touch; the link is cut after `frames` frames.
    fn touch(&mut self, cents: u64, frames: usize, answer: &Event) -> (Vec<CreditNotice>, Vec<TerminalNotice>) {
        let payer = self.payer();
        let (mut wallet, hello) = WalletTap::touch(CreditPay::new(payer), self.tick().entropy).unwrap();
        let mut terminal = TerminalTap::new(self.sale(cents));
        let (mut up, mut down) = (vec![hello], Vec::new());
        let (mut seen, mut shown) = (Vec::new(), Vec::new());
        let mut left = frames;
        while !up.is_empty() || !down.is_empty() {
            for frame in std::mem::take(&mut up).into_iter().take(left) {
                left -= 1;
                let now = self.tick();
                let step = terminal.receive(&frame, now, &mut self.terminal).unwrap();
                down.extend(step.frames);
                shown.extend(step.notices);
            }
            for frame in std::mem::take(&mut down).into_iter().take(left) {
                left -= 1;
                let now = self.tick();
                let step = wallet.receive(&frame, now, &mut self.wallet).unwrap();
                up.extend(step.frames);
                let asked = step.notices.iter().any(|notice| matches!(notice, CreditNotice::Consent { .. }));
                seen.extend(step.notices);
                if asked {
                    self.now = self.now.after(self.thinks);
                    let now = self.tick();
                    let step = wallet.event(answer.clone(), now, &mut self.wallet).unwrap();
                    up.extend(step.frames);
                    seen.extend(step.notices);
                }
            }
        }
        (seen, shown)
    }

    /// The request that a touch made ready.
    fn agreed(&mut self, cents: u64) -> RequestNumber {
        let (seen, shown) = self.touch(cents, usize::MAX, &Event::Agreed);
        assert!(matches!(shown[..], [TerminalNotice::CreditAsked { .. }]), "{shown:?}");
        match seen[..] {
            [CreditNotice::Consent { .. }, CreditNotice::Ready(request)] => request,
            _ => panic!("{seen:?}"),
        }
    }

    /// One talk with the provider to its end or until it waits. `lost`: the answer does not arrive.
    fn line<T: Talk>(
        device: &mut Device<Cutting>,
        provider: &mut Provider,
        talk: T,
        now: Now,
        lost: bool,
    ) -> Vec<T::Notice> {
        let mut talking = Talking::new(talk);
        let (mut event, mut shown) = (Event::Tick, Vec::new());
        loop {
            let mut sent = None;
            for out in talking.deliver(event, now, device) {
                match out {
                    Out::Send(bytes) => sent = Some(bytes),
                    Out::Show(notice) => shown.push(notice),
                    Out::WaitUntil(_) => {}
                }
            }
            let Some(sent) = sent else { return shown };
            let answer = provider.hear(&sent, now.time);
            event = if lost { Event::Lost } else { Event::Received(answer) };
        }
    }
    fn pay(&mut self, request: RequestNumber) -> CreditNotice {
        self.pay_line(request, false).expect("a notice")
    }
    fn pay_line(&mut self, request: RequestNumber, lost: bool) -> Option<CreditNotice> {
        let (talk, now) = (CreditAsk::Payment(request, self.anchors.clone()), self.tick());
        Self::line(&mut self.wallet, &mut self.provider, talk, now, lost).pop()
    }
    fn claim(&mut self, transaction: u64) -> ClaimNotice {
        self.claim_line(transaction, false).expect("a notice")
    }
    fn claim_line(&mut self, transaction: u64, lost: bool) -> Option<ClaimNotice> {
        let asking = Asking {
            machine: MACHINE,
            merchant: MERCHANT,
            key: self.terminal.key().unwrap(),
            anchors: self.anchors.clone(),
            sales: Some("thank you".into()),
        };
        let (talk, now) = (CreditClaim::Start(asking, transaction), self.tick());
        Self::line(&mut self.terminal, &mut self.provider, talk, now, lost).pop()
    }
    fn end(&mut self, transaction: u64, void: bool) -> EndNotice {
        let key = self.terminal.key().unwrap();
        let talk = EndOfClaim::Start { transaction, terminal: MACHINE, key, void };
        let now = self.tick();
        Self::line(&mut self.terminal, &mut self.provider, talk, now, false).pop().unwrap()
    }
    fn stored(&self, transaction: u64) -> Claim {
        Claim::load(&self.terminal, transaction).unwrap()
    }
    fn log(&self) -> Vec<LogEntry> {
        let found = self.terminal.vault.scan(Space::Log, &[], usize::MAX).unwrap();
        found.iter().map(|(_, bytes)| LogEntry::from_bytes(bytes).unwrap()).collect()
    }

    /// An update of the wallet that brings this receipt.
    fn update(&mut self, receipt: Signed<UserReceipt>) -> Updated {
        self.carry_out(&Command { receipt: Some(receipt), ..Command::new(CommandKind::Receipt) })
    }
    fn carry_out(&mut self, command: &Command) -> Updated {
        let now = self.tick();
        let mut talking = Talking::new(DeviceUpdate::Start(WALLET, self.wallet.key().unwrap()));
        let outs = talking.deliver(Event::Tick, now, &mut self.wallet);
        let [Out::Send(bytes)] = &outs[..] else { panic!("{outs:?}") };
        let request = Signed::<UpdateRequest>::decode(bytes).unwrap();
        let said = request.claimed();
        let reply = UpdateReply {
            device: WALLET,
            epoch: 1,
            recorded: said.number,
            recorded_head: said.entries.iter().fold(said.acknowledged_head, |head, entry| head.chain(&entry.0)),
            archived: 0,
            commands: vec![Bytes(command.to_bytes())],
            checkpoints: vec![],
            list: None,
            due: self.now,
            restart: None,
            at: self.now,
            signer: 1,
            standing: None,
            extensions: Default::default(),
        };
        let reply = self.provider.reply(&request.hash(&[]), reply);
        match talking.deliver(Event::Received(reply), now, &mut self.wallet).pop().unwrap() {
            Out::Show(updated) => updated,
            other => panic!("{other:?}"),
        }
    }
    fn receipt(&self, request: RequestNumber, merchants: Option<Signed<MerchantReceipt>>) -> UserReceipt {
        let charge = Credited::load(&self.wallet, request).unwrap().charge.claimed().clone();
        UserReceipt {
            user: WALLET,
            receipt: merchants,
            information: self.provider.information(Audience::User, charge.amount, charge.transaction, self.now),
            service: None,
            provider: PROVIDER,
            at: self.now,
            signer: 1,
            request,
            extensions: Default::default(),
        }
    }
}

#[test]
fn both_lines_name_the_same_and_goods_follow_the_evidence() {
    let mut town = Town::new();
    let request = town.agreed(450);
    assert!(matches!(town.claim(1), ClaimNotice::Waiting { .. }));
    assert_eq!(town.pay(request), CreditNotice::Authorized);
    assert_eq!(town.claim(1), ClaimNotice::Paid { transaction: 1, amount: usd(450), customer: CUSTOMER });
    let claim = town.stored(1);
    assert_eq!(claim.state, ClaimState::Paid);
    assert_eq!(claim.notification.unwrap().claimed().request, claim.clearing.unwrap());
    let log = town.log();
    assert_eq!(log.iter().map(|entry| entry.kind).collect::<Vec<_>>(), [EntryKind::Cleared]);
    let receipt = log[0].sale.clone().unwrap().verify(&town.terminal.key().unwrap(), &[], &NativeVerifier).unwrap();
    assert_eq!((receipt.item.as_str(), receipt.sales.as_deref()), ("2 coffees", Some("thank you")));
    // Asked again: no goods a second time.
    assert_eq!(town.claim(1), ClaimNotice::EndedBefore(ClaimState::Paid));
    assert_eq!(town.end(1, true), EndNotice::EndedBefore(ClaimState::Paid));
    // A known terminal is paid the same way, under another key and number.
    let second = town.agreed(100);
    assert_ne!(second, request);
    town.pay(second);
    assert_eq!(town.claim(2), ClaimNotice::Paid { transaction: 2, amount: usd(100), customer: CUSTOMER });
}

#[test]
fn r23_user_first_or_merchant_first_is_the_same() {
    let mut town = Town::new();
    let request = town.agreed(450);
    assert!(matches!(town.pay(request), CreditNotice::Waiting { .. }));
    town.provider.bank_thinks = true;
    assert!(matches!(town.claim(1), ClaimNotice::Waiting { .. }));
    town.provider.bank_thinks = false;
    assert_eq!(town.claim(1), ClaimNotice::Paid { transaction: 1, amount: usd(450), customer: CUSTOMER });
    assert_eq!(town.pay(request), CreditNotice::Authorized);
}

#[test]
fn who_declines_or_is_cut_off_before_the_price_owes_nothing() {
    let mut town = Town::new();
    let (seen, _) = town.touch(450, usize::MAX, &Event::Declined);
    assert_eq!(seen.last(), Some(&CreditNotice::Refused(Refusal::Declined)));
    assert!(town.wallet.vault.scan(Space::Receipt, &[], 9).unwrap().is_empty());
    assert!(matches!(town.claim(1), ClaimNotice::Waiting { .. }));
    town.now = town.now.after(300);
    let why = CreditRefusal::Late;
    assert_eq!(town.claim(1), ClaimNotice::Refused { transaction: 1, why });
    assert_eq!(town.log()[0].kind, EntryKind::Closed);
    // Nor does who agrees to a charge that has expired meanwhile.
    let mut town = Town::new();
    town.thinks = 300;
    let (seen, _) = town.touch(450, usize::MAX, &Event::Agreed);
    assert_eq!(seen.last(), Some(&CreditNotice::Refused(Refusal::ChargeExpired)));
    assert!(town.wallet.vault.scan(Space::Receipt, &[], 9).unwrap().is_empty());
    // Four frames: hello, proof, offer, charge. Without the charge nothing is shown.
    for frames in 0..4 {
        let mut town = Town::new();
        let (seen, _) = town.touch(450, frames, &Event::Agreed);
        assert!(seen.is_empty(), "{frames}: {seen:?}");
        assert!(town.wallet.vault.scan(Space::Receipt, &[], 9).unwrap().is_empty());
    }
}

#[test]
fn r26_what_is_lost_is_sent_again_byte_for_byte() {
    let mut town = Town::new();
    let request = town.agreed(450);
    for _ in 0..3 {
        assert_eq!(town.pay_line(request, true), None);
        assert_eq!(town.claim_line(1, true), None);
        town.now = town.now.after(7);
    }
    let (users, merchants): (Vec<_>, Vec<_>) = town.provider.heard.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    for line in [users, merchants] {
        assert!(line.windows(2).all(|two| two[0].1 == two[1].1));
    }
    // Authorized, then the clearing's answer is lost: the stored clearing request goes again.
    town.provider.bank_thinks = true;
    town.claim(1);
    town.provider.bank_thinks = false;
    town.provider.refuse_clearing = false;
    town.provider.forge = |said| said.provider = PartyId([0; 16]);
    assert_eq!(town.claim(1), ClaimNotice::NotTrusted);
    let first = town.provider.heard.last().cloned();
    town.now = town.now.after(1_000);
    town.provider.forge = |_| {};
    assert_eq!(town.claim(1), ClaimNotice::Paid { transaction: 1, amount: usd(450), customer: CUSTOMER });
    assert_eq!(town.provider.heard.last().cloned(), first);
}

#[test]
fn a_notification_that_does_not_match_moves_nothing() {
    let forgeries: [fn(&mut ClearingNotification); 4] = [
        |said| said.provider = PartyId([0; 16]),
        |said| said.clearing = ClearingNumber([0; 16]),
        |said| {
            let body = ClearingInformation { amount: usd(449), ..said.information.claimed().clone() };
            said.information = sign(body, &[], &SecretKey::from_seed(Algorithm::Ed25519, &[0x9c; 32]));
        },
        |said| {
            let body = ClearingRequest { transaction: 2, ..said.request.claimed().clone() };
            said.request = sign(body, &[], &SecretKey::from_seed(Algorithm::Ed25519, &[2; 32]));
        },
    ];
    let mut town = Town::new();
    let request = town.agreed(450);
    town.pay(request);
    for forge in forgeries {
        town.provider.forge = forge;
        assert_eq!(town.claim(1), ClaimNotice::NotTrusted);
        assert_eq!(town.stored(1).state, ClaimState::Clearing);
        assert!(town.log().is_empty());
    }
    // Nor does one that answers another request.
    town.provider.forge = |_| {};
    assert!(matches!(town.claim(1), ClaimNotice::Paid { .. }));
}

#[test]
fn a_charge_that_is_being_cleared_is_ended_by_the_provider_alone() {
    let mut town = Town::new();
    let request = town.agreed(450);
    town.pay(request);
    town.provider.forge = |said| said.provider = PartyId([0; 16]);
    town.claim(1);
    assert_eq!(town.end(1, false), EndNotice::EndedBefore(ClaimState::Clearing));
    assert_eq!(town.end(1, true), EndNotice::EndedBefore(ClaimState::Clearing));
    town.now = town.now.after(100_000);
    assert_eq!(town.end(1, false), EndNotice::EndedBefore(ClaimState::Clearing), "not by its expiry either");
    assert_eq!(town.stored(1).state, ClaimState::Clearing);
    // The till is free meanwhile, and what happens to the older charge leaves it alone.
    town.agreed(100);
    town.provider.refuse_clearing = true;
    let why = CreditRefusal::NotAuthorized;
    assert_eq!(town.claim(1), ClaimNotice::Refused { transaction: 1, why });
    assert_eq!(Till::load(&town.terminal).0.open, Some(2));
    assert_eq!(town.log().iter().map(|entry| entry.kind).collect::<Vec<_>>(), [EntryKind::Closed]);
    assert_eq!(town.end(1, false), EndNotice::EndedBefore(ClaimState::Closed), "one end (R7)");
}

#[test]
fn r8_a_refused_clearing_is_closed_in_one_write_whenever_the_power_goes() {
    for (written, says_no_more) in [(false, false), (true, false), (false, true)] {
        let mut town = Town::new();
        let request = town.agreed(450);
        town.pay(request);
        town.provider.refuse_clearing = true;
        town.provider.says_no_more = says_no_more;
        // The clearing request is stored; the next store is the end.
        town.terminal.vault.cut = Some((2, written));
        assert!(matches!(town.claim(1), ClaimNotice::Failed(_)));
        let state = town.stored(1).state;
        assert!(matches!(state, ClaimState::Clearing | ClaimState::Closed), "neither open nor closed: {state:?}");
        let again = town.claim(1);
        match written {
            true => assert_eq!(again, ClaimNotice::EndedBefore(ClaimState::Closed)),
            false => assert_eq!(again, ClaimNotice::Refused { transaction: 1, why: CreditRefusal::NotAuthorized }),
        }
        assert_eq!(town.log().iter().map(|entry| entry.kind).collect::<Vec<_>>(), [EntryKind::Closed]);
    }
}

#[test]
fn a_no_without_a_reason_is_a_no_on_both_lines() {
    let mut town = Town::new();
    (town.provider.bank_says_no, town.provider.says_no_more) = (true, true);
    let request = town.agreed(450);
    town.claim(1);
    assert_eq!(town.pay(request), CreditNotice::Ended(CreditRefusal::Closed));
    assert_eq!(town.claim(1), ClaimNotice::Refused { transaction: 1, why: CreditRefusal::NotAuthorized });
}

#[test]
fn r8_what_is_authorized_after_the_charge_has_expired_is_not_taken() {
    let mut town = Town::new();
    let request = town.agreed(450);
    town.claim(1);
    town.pay(request);
    town.now = town.now.after(300);
    assert_eq!(town.claim(1), ClaimNotice::Refused { transaction: 1, why: CreditRefusal::Late });
    assert!(town.stored(1).clearing.is_none());
    assert_eq!(Till::load(&town.terminal).0.open, None);
}

#[test]
fn r16_a_receipt_is_judged_by_the_key_of_its_day_and_an_empty_command_stops_nothing() {
    let mut town = Town::new();
    let request = town.agreed(450);
    town.claim(1);
    town.pay(request);
    town.claim(1);
    let key = SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]);
    let old = SecretKey::from_seed(Algorithm::Ed25519, &[0x01d; 32]);
    // Key 2 was valid on the day of the receipt; the wallet updates long after.
    let day = town.now;
    let mut trusted = town.anchors.clone();
    trusted.keys.push(OperationalKey {
        number: 2,
        key: old.public(),
        from: Time(0),
        until: day.after(10),
        ..trusted.keys[0].clone()
    });
    let mut batch = Batch::default();
    batch.put(anchors_key(), trusted.to_bytes());
    town.wallet.vault.commit(&batch).unwrap();
    let said = UserReceipt { signer: 2, ..town.receipt(request, None) };
    town.now = day.after(30 * Time::DAY);
    assert!(matches!(town.carry_out(&Command::new(CommandKind::Receipt)), Updated::Turn { commands: 1, .. }));
    let late = UserReceipt { at: day.after(10), ..said.clone() };
    assert_eq!(town.update(sign(late, &[], &old)), Updated::NotTrusted, "that key was none any more then");
    assert_eq!(town.update(sign(said.clone(), &[], &key)), Updated::NotTrusted, "another key than it names");
    assert!(matches!(town.update(sign(said.clone(), &[], &old)), Updated::Turn { commands: 1, .. }));
    let held = Credited::load(&town.wallet, request).and_then(|held| held.receipt).unwrap();
    assert_eq!(*held.claimed(), said);
}

#[test]
fn an_open_charge_is_closed_at_the_counter_and_by_the_banks_no() {
    let mut town = Town::new();
    let request = town.agreed(450);
    town.claim(1);
    assert_eq!(town.end(1, false), EndNotice::Closed { transaction: 1 });
    assert_eq!(town.claim(1), ClaimNotice::EndedBefore(ClaimState::Closed));
    town.provider.bank_says_no = true;
    assert_eq!(town.pay(request), CreditNotice::Ended(CreditRefusal::Declined));
    let heard = town.provider.heard.len();
    assert_eq!(town.pay(request), CreditNotice::Ended(CreditRefusal::Declined), "known, not asked again");
    assert_eq!(town.provider.heard.len(), heard);
    let second = town.agreed(200);
    town.pay(second);
    let why = CreditRefusal::Declined;
    assert_eq!(town.claim(2), ClaimNotice::Refused { transaction: 2, why });
    assert!(town.stored(2).void.is_some());
}

#[test]
fn r13_a_crash_before_or_after_any_store_goes_on_from_what_is_stored() {
    // The wallet stores its request and its answer; the terminal its charge, two requests, the end.
    for (cut, written) in (0..3).flat_map(|cut| [(cut, false), (cut, true)]) {
        let mut town = Town::new();
        let request = town.agreed(450);
        if cut == 0 {
            town.terminal.vault.cut = Some((0, written));
            assert!(matches!(town.claim(1), ClaimNotice::Failed(_)));
        }
        assert!(matches!(town.claim(1), ClaimNotice::Waiting { .. }));
        town.wallet.vault.cut = Some((0, written));
        assert!(matches!(town.pay(request), CreditNotice::Failed(_)));
        assert_eq!(town.pay(request), CreditNotice::Authorized);
        if cut > 0 {
            town.terminal.vault.cut = Some((cut - 1, written));
            assert!(matches!(town.claim(1), ClaimNotice::Failed(_)), "no goods before the store is told");
        }
        let ended = town.stored(1).state == ClaimState::Paid;
        assert_eq!(ended, cut == 2 && written);
        let again = town.claim(1);
        match ended {
            true => assert_eq!(again, ClaimNotice::EndedBefore(ClaimState::Paid)),
            false => assert_eq!(again, ClaimNotice::Paid { transaction: 1, amount: usd(450), customer: CUSTOMER }),
        }
        assert_eq!(town.log().len(), 1);
        for kind in [AuthorizationRequest::KIND, ClearingRequest::KIND, PaymentRequest::KIND] {
            let mut sent: Vec<_> = town.provider.heard.iter().filter(|it| kind_of(it).unwrap() == kind).collect();
            sent.dedup();
            assert_eq!(sent.len(), 1, "one request of each kind, the same bytes each time: {kind} {cut} {written}");
        }
    }
}

#[test]
fn a_strangers_offer_gets_no_charge_and_an_old_charge_no_consent() {
    let mut town = Town::new();
    let session = Hash([5; 32]);
    let (ours, strangers) = (town.payer(), SecretKey::from_seed(Algorithm::Ed25519, &[0x66; 32]));
    let body = CreditOffer {
        key: ours.key,
        request: RequestNumber([1; 16]),
        provider: PROVIDER,
        option: PaymentOption::Once,
        at: town.now,
        extensions: Default::default(),
    };
    let elsewhere = CreditOffer { key: strangers.public(), provider: PartyId([0; 16]), ..body.clone() };
    let replayed = CreditOffer { key: strangers.public(), ..body.clone() };
    for (offer, why) in [
        (sign(body, &session.to_bytes(), &strangers), Refusal::CardNotTrusted),
        (sign(replayed, &Hash([6; 32]).to_bytes(), &strangers), Refusal::CardNotTrusted),
        (sign(elsewhere, &session.to_bytes(), &strangers), Refusal::NotAccepted),
    ] {
        let mut talking = Talking::new(TerminalPay::new(town.sale(450)));
        let now = town.tick();
        talking.deliver(Event::Opened(session), now, &mut town.terminal);
        let offered = CreditOffered { offer, unknown: Some(true), extensions: Default::default() };
        let event = Event::Received(PayMessage::Credit(offered).to_bytes());
        let outs = talking.deliver(event, now, &mut town.terminal);
        assert!(matches!(&outs[1], Out::Show(TerminalNotice::Refused(said)) if *said == why), "{outs:?}");
        assert_eq!(Till::load(&town.terminal).0.next, 1);
    }
    // A terminal, or who stands between, shows the wallet a charge of another session (R5).
    let request = town.agreed(450);
    let old = Credited::load(&town.wallet, request).unwrap();
    for named in [None, Some(old.request.claimed().session)] {
        let payer = town.payer();
        let mut talking = Talking::new(CreditPay::new(payer));
        let now = town.tick();
        talking.deliver(Event::Opened(session), now, &mut town.wallet);
        let key = SecretKey::from_seed(Algorithm::Ed25519, &[2; 32]);
        let proof = SessionProof::unsigned(&key.public());
        let proof = key.sign(&proof.tbs(&SessionProof::context(&session)));
        let hello = [&Certificate::handle(&town.certificate).0[..], &proof.0].concat();
        talking.deliver(Event::Received(hello), now, &mut town.wallet);
        let charged = Charged {
            charge: old.charge.clone(),
            certificate: None,
            known: None,
            session: named,
            extensions: Default::default(),
        };
        let event = Event::Received(PayMessage::Charged(charged).to_bytes());
        let outs = talking.deliver(event, now, &mut town.wallet);
        assert!(matches!(outs[1], Out::Show(CreditNotice::Refused(_))), "{outs:?}");
    }
}

#[test]
fn a_charge_asked_by_credit_takes_no_card() {
    let mut town = Town::new();
    town.agreed(450);
    let mut talking = Talking::new(TerminalPay::new(town.sale(450)));
    let now = town.tick();
    talking.deliver(Event::Opened(Hash([5; 32])), now, &mut town.terminal);
    let card = Offered { kind: card::CardKind::Payment, terms: Handle([0; 8]), extensions: Default::default() };
    let offer = Offer { card, checkpoint: None, unknown: None, resume: Some(1), extensions: Default::default() };
    let outs = talking.deliver(Event::Received(PayMessage::Offer(offer).to_bytes()), now, &mut town.terminal);
    assert!(matches!(outs[1], Out::Show(TerminalNotice::Refused(Refusal::AnsweredBefore))), "{outs:?}");
    // And a charge asked of a card has no offer to clear.
    let claim = Claim { offer: None, ..town.stored(1) };
    let mut batch = Batch::default();
    batch.put(Claim::key(1), claim.to_bytes());
    town.terminal.vault.commit(&batch).unwrap();
    assert_eq!(town.claim(1), ClaimNotice::Unknown);
    assert_eq!(town.claim(77), ClaimNotice::Unknown);
}

#[test]
fn r23_the_receipt_comes_at_once_and_again_with_the_merchants_part_and_never_backwards() {
    let mut town = Town::new();
    let request = town.agreed(450);
    town.pay(request);
    town.claim(1);
    let merchants = town.log()[0].sale.clone().unwrap();
    let key = SecretKey::from_seed(Algorithm::Ed25519, &[1; 32]);
    let held = |town: &Town| {
        Credited::load(&town.wallet, request).and_then(|held| held.receipt).map(|held| held.claimed().clone())
    };
    let early = town.receipt(request, None);
    let whole = town.receipt(request, Some(merchants.clone()));
    let updated = town.update(sign(early.clone(), &[], &key));
    assert!(matches!(updated, Updated::Turn { commands: 1, .. }), "{updated:?}");
    assert_eq!(held(&town), Some(early.clone()));
    assert_eq!(town.pay(request), CreditNotice::Cleared);
    town.update(sign(whole.clone(), &[], &key));
    assert_eq!(held(&town), Some(whole.clone()));
    assert!(matches!(town.update(sign(early.clone(), &[], &key)), Updated::Turn { .. }));
    assert_eq!(held(&town), Some(whole.clone()));
    // By a stranger, for another wallet, of another clearing or amount: nothing of the update is taken.
    let strangers = SecretKey::from_seed(Algorithm::Ed25519, &[0x66; 32]);
    let other = MerchantReceipt { clearing: ClearingNumber([0; 16]), ..merchants.claimed().clone() };
    let other = sign(other, &[], &SecretKey::from_seed(Algorithm::Ed25519, &[2; 32]));
    for wrong in [
        sign(whole.clone(), &[], &strangers),
        sign(whole.clone(), b"context", &key),
        sign(UserReceipt { user: MACHINE, ..whole.clone() }, &[], &key),
        sign(UserReceipt { receipt: Some(other), ..whole.clone() }, &[], &key),
        sign(
            UserReceipt {
                information: town.provider.information(Audience::User, usd(451), 1, town.now),
                receipt: None,
                ..whole.clone()
            },
            &[],
            &key,
        ),
        sign(
            UserReceipt {
                information: town.provider.information(Audience::Merchant, usd(450), 1, town.now),
                ..whole.clone()
            },
            &[],
            &key,
        ),
    ] {
        assert_eq!(town.update(wrong), Updated::NotTrusted);
        assert_eq!(held(&town), Some(whole.clone()));
    }
}

#[test]
fn a_bank_card_is_registered_sealed_and_asked_for_until_it_is_answered() {
    let mut town = Town::new();
    let secret = SealingSecret::from_seed(&[8; 32]);
    let details = CardDetails {
        number: CardNumber::new(b"4111111111111111").unwrap(),
        expiry: CardExpiry::new(29, 12).unwrap(),
        provider: PROVIDER,
        extensions: Default::default(),
    };
    let (card, _): (Sealed, _) = seal_to([4; 32], PROCESSOR, None, &secret.public(), &details.to_bytes()).unwrap();
    let (anchors, key) = (town.anchors.clone(), town.wallet.key().unwrap());
    let now = town.tick();
    let start = CreditAsk::Register(card, WALLET, key, anchors.clone());
    assert!(Town::line(&mut town.wallet, &mut town.provider, start, now, true).is_empty());
    let again =
        CreditAsk::registering(&town.wallet).map(|request| CreditAsk::StoringRequest(request, anchors)).unwrap();
    let shown = Town::line(&mut town.wallet, &mut town.provider, again, now, false);
    assert_eq!(shown, [CreditNotice::Authorized]);
    assert_eq!(town.provider.heard[0], town.provider.heard[1]);
    assert!(!town.provider.heard[0].windows(8).any(|window| window == b"41111111"));
    assert!(CreditAsk::registering(&town.wallet).is_none());
    let asked = Signed::<RegisterCard>::decode(&town.provider.heard[0]).unwrap();
    let (opened, _) = open(&secret, &asked.claimed().card).unwrap();
    assert_eq!(CardDetails::from_bytes(&opened).unwrap(), details);
}
