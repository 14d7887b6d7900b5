//! Honest messages: one little town, the same each time.

use crate::keys::{Who, ed, secret, sign};
use std::num::NonZeroU64;
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::*;
use tegata_core::talk::{cards::*, contract::*, join::*, journal::*, pay::*, report::*, update::*};
use tegata_core::wire::canonical::{Bytes, Extensions, Message, Wire};
use tegata_core::wire::certificate::*;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{Algorithm, PublicKey, Signed, Unsigned};
use tegata_core::{Amount, CardId, DeviceId, Handle, Hash, PartyId, Time, Unit};

/// When everything happens: a day in November 2026.
pub const NOW: u64 = 1_795_000_000;
/// The card.
pub const CARD: CardId = CardId([0xca; 16]);
/// The terminal.
pub const TERMINAL: DeviceId = DeviceId([0x7e; 16]);
/// The wallet.
pub const WALLET: DeviceId = DeviceId([0x3a; 16]);
/// The provider.
pub const PROVIDER: PartyId = PartyId([0x10; 16]);
/// The issuer.
pub const ISSUER: PartyId = PartyId([0x15; 16]);
/// The merchant.
pub const MERCHANT: PartyId = PartyId([0x3e; 16]);
/// The session in which the charge was made.
pub const SESSION: Hash = Hash([0x5e; 32]);
/// The request that replies answer.
pub const REQUEST: Hash = Hash([0x4e; 32]);
/// Number of the operational key.
pub const SIGNER: u64 = 7;

fn none() -> Extensions {
    Extensions::default()
}
/// So many cents.
pub fn usd(minor: u64) -> Amount {
    Amount::new(Unit::USD, minor).expect("a small amount")
}
/// Signs with this one's Ed25519 key.
pub fn by<T: Message>(who: Who, context: &[u8], body: T) -> Signed<T> {
    with(who, Algorithm::Ed25519, context, body)
}
/// Signs with this one's key of this algorithm.
pub fn with<T: Message>(who: Who, algorithm: Algorithm, context: &[u8], body: T) -> Signed<T> {
    let unsigned = Unsigned::new(body, algorithm);
    let signature = sign(&secret(who, algorithm), &unsigned.tbs(context));
    unsigned.sign(signature)
}

/// The certificate of the terminal.
pub fn terminal_certificate() -> Certificate {
    Certificate {
        subject: TERMINAL.into(),
        role: Role::Terminal,
        key: ed(Who::Terminal),
        sealing: None,
        from: Time(NOW - 1000),
        until: Time(NOW + 30 * Time::DAY),
        epoch: 1,
        signer: SIGNER,
        owner: Some(MERCHANT),
        name: Some("Café Tegata".into()),
        number: None,
        extensions: none(),
    }
}
/// The certificate of the operational key.
pub fn key_certificate() -> Certificate {
    Certificate {
        subject: PROVIDER.into(),
        role: Role::Provider,
        key: ed(Who::Provider),
        sealing: Some(SealingKey([0x5a; 32])),
        signer: 0,
        owner: None,
        name: None,
        number: Some(SIGNER),
        ..terminal_certificate()
    }
}
/// What a device holds of it.
pub fn operational_key() -> OperationalKey {
    OperationalKey {
        number: SIGNER,
        key: ed(Who::Provider),
        from: Time(NOW - 1000),
        until: Time(NOW + 90 * Time::DAY),
        extensions: none(),
    }
}
/// A list that names a stolen terminal and a card's first two generations.
pub fn revocation_list() -> RevocationList {
    RevocationList {
        number: 4,
        at: Time(NOW - 600),
        signer: SIGNER,
        subjects: vec![Subject([0x01; 16]), Subject([0xdd; 16])],
        cards: vec![
            DeadCard { card: CardId([0x02; 16]), generation: 1 },
            DeadCard { card: CardId([0xde; 16]), generation: 2 },
        ],
        extensions: none(),
    }
}
/// What a device trusts.
pub fn anchors() -> Anchors {
    Anchors {
        provider: PROVIDER,
        root: ed(Who::Root),
        sealing: SealingKey([0x5a; 32]),
        epoch: 1,
        keys: vec![operational_key()],
        list: Some(by(Who::Provider, &[], revocation_list())),
        extensions: none(),
    }
}
/// The card's terms.
pub fn terms() -> Terms {
    Terms {
        issuer: ISSUER,
        kind: CardKind::Payment,
        unit: Unit::USD,
        name: "City card".into(),
        max_payment: 10_000,
        offline_limit: 15_000,
        due_after: 14 * Time::DAY,
        list_age: 2 * Time::DAY,
        record_age: 3 * Time::DAY,
        max_balance: 50_000,
        handovers: 0,
        refundable: true,
        max_untouched: 500,
        register_within: None,
        program: None,
        ticket: None,
        extensions: none(),
    }
}
/// The card's certificate: 200.00 remained at its checkpoint.
pub fn card_certificate() -> CardCertificate {
    CardCertificate {
        card: CARD,
        kind: CardKind::Payment,
        terms: terms().handle(),
        face: usd(20_000),
        key: ed(Who::Card),
        generation: 1,
        from: Time(NOW - 3600),
        until: Time(NOW + 365 * Time::DAY),
        epoch: 1,
        signer: SIGNER,
        seq: 4,
        remaining: 20_000,
        last_load: 2,
        last_received: None,
        offline_limit: 15_000,
        due: Time(NOW + 14 * Time::DAY),
        seat: None,
        used: None,
        given: None,
        extensions: none(),
    }
}
/// A load above the checkpoint's last.
pub fn load() -> Load {
    Load {
        card: CARD,
        generation: 1,
        number: 3,
        amount: usd(5_000),
        at: Time(NOW - 60),
        signer: SIGNER,
        extensions: none(),
    }
}
/// The charge.
pub fn charge() -> Charge {
    Charge {
        transaction: 17,
        amount: usd(1_250),
        at: Time(NOW),
        expires: Time(NOW + 120),
        items: Some("2 coffees, 1 cake".into()),
        extensions: none(),
    }
}
/// The context of a check of this charge.
pub fn check_context(charge: &[u8]) -> Vec<u8> {
    CardEvent::context(CARD, 1, &Counterpart::Charge { session: SESSION, terminal: TERMINAL, charge })
}
/// The secret at the end of a chain of links.
pub const CHAIN: Hash = Hash([0x6c; 32]);
/// The check that pays it.
pub fn check() -> CardEvent {
    CardEvent {
        event: EventKind::Spend,
        seq: 5,
        tick: None,
        previous: Hash::of(b"the event before"),
        amount: 1_250,
        remaining: 18_750,
        links: None,
        extensions: none(),
    }
}
/// The check, signed by the card.
pub fn signed_check() -> Signed<CardEvent> {
    by(Who::Card, &check_context(&charge().to_bytes()), check())
}
/// The hash that names it.
pub fn check_hash() -> Hash {
    signed_check().hash(&check_context(&charge().to_bytes()))
}
/// The void of the check.
pub fn void() -> Void {
    Void { transaction: 17, check: Some(check_hash()), amount: usd(1_250), at: Time(NOW + 30), extensions: none() }
}
/// The provider's return of the check.
pub fn reversal() -> Reversal {
    Reversal {
        card: CARD,
        generation: 1,
        check: check_hash(),
        amount: usd(1_250),
        at: Time(NOW + Time::DAY),
        signer: SIGNER,
        extensions: none(),
    }
}
fn receipt() -> Receipt {
    Receipt { entry: 9, at: Time(NOW + 1), extensions: none() }
}
pub(crate) fn raises() -> Vec<Raise> {
    vec![
        Raise::Load(by(Who::Provider, &[], load())),
        Raise::Void(TERMINAL, by(Who::Terminal, &Void::context(TERMINAL), void())),
        Raise::Reversal(by(Who::Provider, &[], reversal())),
    ]
}
fn signed_charge() -> Signed<Charge> {
    by(Who::Terminal, &Charge::context(&SESSION, TERMINAL), charge())
}
fn signed_receipt() -> Signed<Receipt> {
    by(Who::Terminal, &Receipt::context(&check_hash()), receipt())
}
pub(crate) fn signed_card() -> Signed<CardCertificate> {
    by(Who::Provider, &[], card_certificate())
}
fn paid_entry() -> LogEntry {
    LogEntry {
        charge: Some(Bytes(charge().to_bytes())),
        session: Some(SESSION),
        card: Some(CARD),
        generation: Some(1),
        event: Some(signed_check()),
        checkpoint: Some(CardCertificate::handle(&signed_card())),
        raises: Some(vec![raises()[0].clone()]),
        ..LogEntry::new(EntryKind::Paid, Time(NOW + 1), 17)
    }
}
fn activate() -> Activate {
    Activate { issuer: ISSUER, batch: 3, first: 1, last: 50, at: Time(NOW), till: Some(TERMINAL), extensions: none() }
}
/// The largest charge there can be within its bounds: what budgets are measured with.
pub fn largest_charge() -> Charge {
    Charge {
        transaction: u64::from(u32::MAX) + 1,
        amount: Amount::new(Unit::CALL_UNITS, Amount::MAX).expect("the maximum"),
        at: Time(1 << 32),
        expires: Time(1 << 32),
        items: Some("x".repeat(MAX_ITEMS)),
        extensions: none(),
    }
}

/// A message's honest forms, the first the usual one: a word for each, and the body.
pub type Forms<T> = Vec<(&'static str, T)>;

macro_rules! forms {
    ($($name:ident($($word:literal => $body:expr),+ $(,)?);)*) => {$(
        /// Honest forms of this message.
        #[allow(non_snake_case)] // named after the message
        pub fn $name() -> Forms<$name> {
            vec![$(($word, $body)),+]
        }
    )*};
}

forms! {
    Certificate(
        "of a terminal" => terminal_certificate(),
        "of an operational key" => key_certificate(),
        "with everything" => Certificate {
            sealing: Some(SealingKey([1; 32])), number: Some(1), role: Role::Merchant, ..terminal_certificate()
        },
        "of a P-256 key, nothing optional" => Certificate {
            key: crate::keys::public(Who::Wallet, Algorithm::P256), role: Role::Wallet, subject: WALLET.into(), owner: None,
            name: None, ..terminal_certificate()
        },
    );
    SessionProof("empty" => SessionProof { extensions: none() });
    OperationalKey("usual" => operational_key());
    RevocationList(
        "usual" => revocation_list(),
        "empty" => RevocationList { subjects: vec![], cards: vec![], ..revocation_list() },
    );
    Anchors("usual" => anchors(), "before any list" => Anchors { list: None, keys: vec![], ..anchors() });
    Terms(
        "usual" => terms(),
        "of a ticket, with everything" => Terms {
            program: Some(Hash::of(b"program")), ..terms_of_ticket()
        },
    );
    CardCertificate(
        "usual" => card_certificate(),
        "with a P-256 key and value received" => CardCertificate {
            key: crate::keys::public(Who::Card, Algorithm::P256), last_received: Some(1), ..card_certificate()
        },
        "of a ticket" => ticket(),
        "of a ticket that was given on" => CardCertificate { generation: 2, given: Some(1), ..ticket() },
    );
    Load("usual" => load());
    Void("of a check" => void(), "a close" => Void { check: None, ..void() });
    Reversal("usual" => reversal());
    CardEvent(
        "a check" => check(),
        "a tick" => CardEvent { event: EventKind::Session, tick: NonZeroU64::new(3), ..check() },
        "a tick that is paid link by link" => CardEvent {
            event: EventKind::Session, tick: NonZeroU64::new(2), links: Some(Links()[0].1.clone()), ..check()
        },
    );
    Links("of a hundred" => Links::of(&CHAIN, 100));
    Link(
        "the first" => Links::of(&CHAIN, 100).link(&CHAIN, 1).expect("a link"),
        "the last" => Links::of(&CHAIN, 100).link(&CHAIN, 100).expect("a link"),
    );
    Offered("usual" => Offered { kind: CardKind::Payment, terms: terms().handle(), extensions: none() });
    Offer(
        "at a known terminal" => Offer {
            card: Offered()[0].1.clone(), checkpoint: Some(Handle([0xc4; 8])), unknown: None, resume: None,
            extensions: none(),
        },
        "at an unknown terminal" => Offer {
            card: Offered()[0].1.clone(), checkpoint: None, unknown: Some(true), resume: None, extensions: none(),
        },
        "that asks for the end of a transaction" => Offer {
            card: Offered()[0].1.clone(), checkpoint: Some(Handle([0xc4; 8])), unknown: Some(false), resume: Some(17),
            extensions: none(),
        },
    );
    Charge(
        "usual" => charge(),
        "without items" => Charge { items: None, ..charge() },
        "of the largest amount" => largest_charge(),
    );
    Charged(
        "at first sight" => Charged {
            charge: signed_charge(), certificate: Some(by(Who::Provider, &[], terminal_certificate())), known: None,
            session: None, extensions: none(),
        },
        "again" => Charged {
            charge: signed_charge(), certificate: None, known: Some(true), session: Some(SESSION), extensions: none(),
        },
    );
    Checked(
        "at first sight" => Checked {
            check: signed_check(), certificate: Some(signed_card()), raises: None, extensions: none(),
        },
        "with raises" => Checked {
            check: signed_check(), certificate: None, raises: Some(raises()[..2].to_vec()), extensions: none(),
        },
    );
    Receipt("usual" => receipt());
    PayMessage(
        "an offer" => PayMessage::Offer(Offer()[0].1.clone()),
        "a charge" => PayMessage::Charged(Charged()[1].1.clone()),
        "a check" => PayMessage::Checked(Checked()[0].1.clone()),
        "a receipt" => PayMessage::Receipt(signed_receipt()),
        "an end" => PayMessage::Ended(by(Who::Terminal, &Void::context(TERMINAL), void())),
        "a refusal" => PayMessage::Refused(Refusal::Declined),
        "an offer of credit" => PayMessage::Credit(CreditOffered()[1].1.clone()),
    );
    Raise("a load" => raises()[0].clone(), "a void" => raises()[1].clone(), "a reversal" => raises()[2].clone(),
        "a call" => Raise::Call(TERMINAL, signed_call_receipt()));
    LogEntry(
        "paid" => paid_entry(),
        "with nothing in it" => LogEntry::new(EntryKind::TookUp, Time(NOW), 0),
        "with everything" => LogEntry {
            terminal: Some(TERMINAL), receipt: Some(signed_receipt()),
            void: Some(by(Who::Terminal, &Void::context(TERMINAL), void())), raises: Some(raises()), ..paid_entry()
        },
        "cleared by credit" => cleared_entry(),
        "given back" => surrendered_entry(),
        "a ticket admitted" => admitted_entry(),
        "a ticket presented" => presented_entry(),
        "a ticket given" => given_entry(),
        "a ticket taken" => taken_entry(),
        "done by hand" => hand_entry(),
        "called" => LogEntry {
            kind: EntryKind::Called, charge: Some(Bytes(CallTariff()[0].1.to_bytes())), call: Some(signed_call_receipt()),
            through: Some(Through()[1].1.clone()), ..paid_entry()
        },
    );
    Journal(
        "new" => Journal::new(1, Time(NOW)),
        "usual" => Journal { number: 9, head: SESSION, oldest: Some(Time(NOW)), turns: 6, standing: Some(REQUEST), ..Journal::new(1, Time(NOW)) },
    );
    UpdateRequest(
        "usual" => UpdateRequest {
            device: TERMINAL, epoch: 1, acknowledged: 8, acknowledged_head: Hash::of(b"eight entries"),
            entries: vec![Bytes(paid_entry().to_bytes())], number: 9, commands: 2,
            commands_head: Hash::of(b"two commands"), list: 4, turn: 6, challenge: None,
            standing: Some(Hash::of(b"the provider's own word")), extensions: none(),
        },
        "of a new device" => UpdateRequest {
            device: WALLET, epoch: 1, acknowledged: 0, acknowledged_head: Hash::ZERO, entries: vec![], number: 0,
            commands: 0, commands_head: Hash::ZERO, list: 0, turn: 0, challenge: None, standing: None,
            extensions: none(),
        },
        "again with a challenge" => UpdateRequest {
            device: TERMINAL, epoch: 1, acknowledged: 3, acknowledged_head: Hash::of(b"three entries"), entries: vec![],
            number: 3, commands: 1, commands_head: Hash::of(b"one command"), list: 2, turn: 2,
            challenge: Some(Hash::of(b"the last answer")), standing: Some(Hash::of(b"another word")), extensions: none(),
        },
    );
    Challenge("usual" => Challenge {
        device: TERMINAL, challenge: Hash::of(b"the last answer"), signer: SIGNER, extensions: none(),
    });
    Command(
        "block" => Command::block(CARD, 1),
        "arrived" => Command::arrived(CARD, 1, Time(NOW)),
        "install" => Command {
            certificate: Some(signed_card()), terms: Some(terms()), ..Command::new(CommandKind::Install)
        },
        "install, put back" => Command {
            card: Some(CARD), certificate: Some(signed_card()), terms: Some(terms()), held_back: Some(5_000),
            release_at: Some(Time(NOW + 14 * Time::DAY)), ..Command::new(CommandKind::Install)
        },
        "install with a seat" => Command {
            certificate: Some(signed_ticket()), terms: Some(terms_of_ticket()), seat_name: Some("Row 5, 12".into()),
            ..Command::new(CommandKind::Install)
        },
        "raise" => Command {
            raise: Some(raises()[1].clone()), renewed: Some(by(Who::Provider, &[], terminal_certificate())),
            ..Command::new(CommandKind::Raise)
        },
        "receipt" => Command {
            receipt: Some(by(Who::Provider, &[], UserReceipt()[0].1.clone())), ..Command::new(CommandKind::Receipt)
        },
        "refund" => Command {
            card: Some(CARD), refund: Some(by(Who::Provider, &[], Refunded()[0].1.clone())),
            ..Command::new(CommandKind::Refund)
        },
        "kept" => Command { kept: Some(Kept()[0].1.clone()), ..Command::new(CommandKind::Kept) },
        "setup" => Command { setup: Some(Setup()[0].1.clone()), ..Command::new(CommandKind::Setup) },
        "change" => Command {
            card: Some(CARD), change: Some(Changed()[0].1.clone()), ..Command::new(CommandKind::Change)
        },
        "letter" => Command { letter: Some(Delivery()[0].1.clone()), ..Command::new(CommandKind::Letter) },
        "a number" => Command { stands: Some(StandsFor()[0].1.clone()), ..Command::new(CommandKind::StandsFor) },
        "keys" => Command {
            keys: Some(vec![by(Who::Root, &[], key_certificate())]), ..Command::new(CommandKind::Keys)
        },
    );
    Restart("usual" => Restart {
        number: 12, head: SESSION, commands: 3, commands_head: REQUEST, next_transaction: 40, turn: 7,
        extensions: none(),
    });
    UpdateReply(
        "usual" => UpdateReply {
            device: TERMINAL, epoch: 1, recorded: 9, recorded_head: Hash::of(b"nine entries"), archived: 8,
            commands: vec![Bytes(Command()[0].1.to_bytes())], checkpoints: vec![signed_card()],
            list: Some(by(Who::Provider, &[], revocation_list())), due: Time(NOW + Time::DAY), restart: None,
            at: Time(NOW), signer: SIGNER, standing: Some(Hash::of(b"the provider's own word")), extensions: none(),
        },
        "with a restart" => UpdateReply {
            device: TERMINAL, epoch: 2, recorded: 9, recorded_head: SESSION, archived: 0, commands: vec![],
            checkpoints: vec![], list: None, due: Time(NOW), restart: Some(Restart()[0].1.clone()), at: Time(NOW),
            signer: SIGNER, standing: None, extensions: none(),
        },
    );
    ProviderInfo("usual" => ProviderInfo {
        provider: PROVIDER, name: "Tegata town".into(), root: ed(Who::Root), sealing: SealingKey([0x5a; 32]),
        extensions: none(),
    });
    JoinRequest(
        "of a terminal" => JoinRequest {
            token: Bytes(vec![0x70; 16]), role: Role::Terminal, key: ed(Who::Terminal), sealing: None,
            name: "Counter 1".into(), extensions: none(),
        },
        "of an issuer" => JoinRequest {
            token: Bytes(vec![0x70; 16]), role: Role::Issuer, key: ed(Who::Issuer), sealing: Some(SealingKey([9; 32])),
            name: "City".into(), extensions: none(),
        },
    );
    JoinReply("usual" => JoinReply {
        certificate: by(Who::Provider, &[], terminal_certificate()), keys: vec![by(Who::Root, &[], key_certificate())],
        epoch: 1, signer: SIGNER, extensions: none(),
    });
    NumberKey("usual" => NumberKey { issuer: ISSUER, key: Bytes(vec![0x2b; 32]), extensions: none() });
    Order("usual" => Order {
        issuer: ISSUER, batch: 3, terms: terms(), face: usd(20_000),
        numbers: vec![Hash::of(b"first"), Hash::of(b"second")], at: Time(NOW), until: Time(NOW + 365 * Time::DAY),
        seats: None, extensions: none(),
    }, "of tickets with seats" => Order {
        issuer: ISSUER, batch: 4, terms: terms_of_ticket(), face: ticket().face,
        numbers: vec![Hash::of(b"first"), Hash::of(b"second")], at: Time(NOW), until: Time(NOW + 365 * Time::DAY),
        seats: Some(vec![512, 511]), extensions: none(),
    });
    Activate("by a till" => activate(), "by the issuer" => Activate { till: None, ..activate() });
    Done("usual" => Done { at: Time(NOW), signer: SIGNER, extensions: none() });
    InstallRequest(
        "usual" => InstallRequest {
            wallet: WALLET, number: "7K3MQ0W9ZB5XTR2C".into(), key: ed(Who::Card), slip: None, extensions: none(),
        },
        "with a slip" => InstallRequest {
            wallet: WALLET, number: "7K3MQ0W9ZB5XTR2C".into(), key: crate::keys::public(Who::Card, Algorithm::P256),
            slip: Some(by(Who::Terminal, &[], activate())), extensions: none(),
        },
    );
    InstallReply("usual" => InstallReply {
        certificate: signed_card(), terms: terms(), signer: SIGNER, seat_name: None, extensions: none(),
    }, "of a ticket with a seat" => InstallReply {
        certificate: signed_ticket(), terms: terms_of_ticket(), signer: SIGNER, seat_name: Some("Row 5, 12".into()),
        extensions: none(),
    });
    LoadRequest(
        "usual" => LoadRequest {
            wallet: WALLET, number: "7K3MQ0W9ZB5XTR2C".into(), card: CARD, generation: 1, slip: None, extensions: none(),
        },
        "with a slip" => LoadRequest {
            wallet: WALLET, number: "7K3MQ0W9ZB5XTR2C".into(), card: CARD, generation: 1,
            slip: Some(by(Who::Terminal, &[], activate())), extensions: none(),
        },
    );
    LoadReply("usual" => LoadReply { load: by(Who::Provider, &[], load()), signer: SIGNER, extensions: none() });
    Refused(
        "usual" => Refused {
            why: ProviderRefusal::TooMany, text: Some("too many wrong numbers; wait".into()), retry_after: Some(60),
            signer: SIGNER, extensions: none(),
        },
        "short" => Refused {
            why: ProviderRefusal::Unknown, text: None, retry_after: None, signer: SIGNER, extensions: none(),
        },
    );
    ReportRequest(
        "usual" => ReportRequest {
            report: ReportKind::MerchantStatement, party: MERCHANT, from: Time(NOW - Time::DAY), until: Time(NOW),
            device: None, event: None, extensions: none(),
        },
        "of one event" => ReportRequest {
            report: ReportKind::Event, party: ISSUER, from: Time(0), until: Time(NOW), device: None, event: Some(EVENT),
            extensions: none(),
        },
        "of one device" => ReportRequest {
            report: ReportKind::Exceptions, party: MERCHANT, from: Time(0), until: Time(NOW), device: Some(TERMINAL), event: None,
            extensions: none(),
        },
    );
    Report("usual" => Report {
        report: ReportKind::MerchantStatement, content: Bytes(b"{\"payments\":[]}".to_vec()), signer: SIGNER,
        extensions: none(),
    });
    Contract(
        "usual" => Contract {
            party: MERCHANT, tender: Tender::Cards, unit: Unit::USD, version: 2, from: Time(NOW), at: Time(NOW - 60),
            share: 15_000, fixed: 10, signer: SIGNER, extensions: none(),
        },
        "nothing any more" => Contract {
            party: MERCHANT, tender: Tender::Credit, unit: Unit::EUR, version: 1, from: Time(NOW + Time::DAY),
            at: Time(NOW), share: 0, fixed: 0, signer: SIGNER, extensions: none(),
        },
    );
    Sealed(
        "by HPKE" => Sealed {
            profile: Profile::Hpke, addressee: PROVIDER, sender: None, header: Bytes(vec![0xe0; 32]),
            ciphertext: Bytes(vec![0xc1; 40]), extensions: none(),
        },
        "by channel" => Sealed {
            profile: Profile::Channel, addressee: PROVIDER, sender: Some(TERMINAL), header: Bytes(vec![0xe0; 12]),
            ciphertext: Bytes(vec![0xc1; 40]), extensions: none(),
        },
    );
    Purse("usual" => Purse {
        certificate: signed_card(), state: PurseState::Active, seq: 5, head: check_hash(), remaining: 18_750,
        raises: vec![raises()[0].clone()], waiting: vec![], last_load: 3, title: None, session: None, seat_name: None,
        held_back: None, release_at: None, extensions: none(),
    }, "put back" => Purse::new(signed_card()).held(Some(5_000), Some(Time(NOW + 14 * Time::DAY))),
    "held by title" => Purse::received(signed_ticket(), vec![hop()]).seated(Some(&"Row 5, 12".into())));
    Paying(
        "paid" => Paying {
            state: PayingState::Paid, terminal: TERMINAL, merchant: "Café Tegata".into(), charge: signed_charge(),
            session: SESSION, card: CARD, generation: 1, check: Some(signed_check()), raises: vec![],
            receipt: Some(signed_receipt()), extensions: none(),
        },
    );
    Untouched("usual" => Untouched { per_payment: 500, cap: 2_000, used: 300, extensions: none() });
    Claim(
        "paid" => Claim {
            state: ClaimState::Paid, charge: signed_charge(), session: SESSION, card: Some(CARD), generation: Some(1),
            check: Some(signed_check()), receipt: Some(signed_receipt()), void: None, offer: None, asked: None,
            clearing: None, notification: None, extensions: none(),
        },
        "open" => Claim {
            state: ClaimState::Open, charge: signed_charge(), session: SESSION, card: None, generation: None, check: None,
            receipt: None, void: None, offer: None, asked: None, clearing: None, notification: None, extensions: none(),
        },
        "cleared by credit" => cleared_claim(),
    );
    Till("new" => Till { next: 1, open: None, extensions: none() }, "open" => Till { next: 18, open: Some(17), extensions: none() });
}

pub use crate::buy::*;
pub use crate::call::*;
pub use crate::credit::*;
pub use crate::enter::*;
pub use crate::event::*;
pub use crate::give::*;
pub use crate::reach::*;

/// A P-256 key where an Ed25519 key is expected, and the other way round.
pub fn other_algorithm(key: &PublicKey, who: Who) -> PublicKey {
    let other = if key.algorithm() == Algorithm::Ed25519 { Algorithm::P256 } else { Algorithm::Ed25519 };
    crate::keys::public(who, other)
}
