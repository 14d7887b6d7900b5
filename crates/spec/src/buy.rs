//! Honest messages about buying: one card bought by credit, and one given back.

use crate::keys::{Who, ed};
use crate::samples::{
    Forms, ISSUER, NOW, PROVIDER, REQUEST, SIGNER, UserReceipt, WALLET, by, raises, signed_card, terms, usd,
};
use tegata_core::card::{CardEvent, Counterpart, EventKind, Raise};
use tegata_core::talk::buy::*;
use tegata_core::talk::credit::PaymentOption;
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::wire::canonical::Extensions;
use tegata_core::wire::signed::{Algorithm, PublicKey, Signed};
use tegata_core::{CardId, Hash, RequestNumber, Time};

const PURCHASE: RequestNumber = RequestNumber([0xb1; 16]);
const CARD: CardId = CardId([0xca; 16]);

fn none() -> Extensions {
    Extensions::default()
}

/// What issuers list.
#[allow(non_snake_case)] // named like the message
pub fn Listing() -> Forms<Listing> {
    let usual = Listing {
        issuer: ISSUER,
        article: 3,
        revision: 1,
        terms: terms(),
        face: usd(2_000),
        price: usd(2_000),
        stock: 500,
        until: Time(NOW + 90 * Time::DAY),
        valid_for: 730 * Time::DAY,
        clear_after: None,
        at: Time(NOW),
        extensions: none(),
    };
    let later = Listing { revision: 2, clear_after: Some(Time::DAY), ..usual.clone() };
    vec![("usual", usual), ("cleared a day later", later)]
}
/// A look at the catalogue.
#[allow(non_snake_case)] // named like the message
pub fn CatalogueRequest() -> Forms<CatalogueRequest> {
    vec![("usual", CatalogueRequest { wallet: WALLET, at: Time(NOW), extensions: none() })]
}
/// Things for sale.
#[allow(non_snake_case)] // named like the message
pub fn Article() -> Forms<Article> {
    let usual = Article {
        issuer: ISSUER,
        issuer_name: "City Bank".into(),
        article: 3,
        revision: 1,
        terms: terms(),
        face: usd(2_000),
        price: usd(2_000),
        left: 499,
        until: Time(NOW + 90 * Time::DAY),
        clear_after: None,
        extensions: none(),
    };
    let later = Article { clear_after: Some(Time::DAY), ..usual.clone() };
    vec![("usual", usual), ("cleared a day later", later)]
}
/// Catalogues.
#[allow(non_snake_case)] // named like the message
pub fn Catalogue() -> Forms<Catalogue> {
    let none_left = Catalogue { articles: vec![], at: Time(NOW), signer: SIGNER, extensions: none() };
    let articles = Article().into_iter().map(|(_, article)| article).collect();
    vec![("of two", Catalogue { articles, ..none_left.clone() }), ("of nothing", none_left)]
}
/// Reservations.
#[allow(non_snake_case)] // named like the message
pub fn Reserve() -> Forms<Reserve> {
    let new = Reserve {
        wallet: WALLET,
        purchase: PURCHASE,
        issuer: ISSUER,
        article: 3,
        revision: 1,
        key: Some(ed(Who::Card)),
        card: None,
        at: Time(NOW),
        seat: None,
        extensions: none(),
    };
    let p256: PublicKey = crate::keys::public(Who::Card, Algorithm::P256);
    let other = Reserve { key: Some(p256), ..new.clone() };
    let seat = Reserve { seat: Some(512), ..new.clone() };
    let load = Reserve { key: None, card: Some(CARD), ..new.clone() };
    vec![("a new card", new), ("a new card with a P-256 key", other), ("a top-up", load), ("a seat", seat)]
}
fn signed_reserve() -> Signed<Reserve> {
    by(Who::Wallet, &[], Reserve()[0].1.clone())
}
/// Agreements.
#[allow(non_snake_case)] // named like the message
pub fn Purchase() -> Forms<Purchase> {
    let once = Purchase {
        wallet: WALLET,
        purchase: PURCHASE,
        reserve: signed_reserve().hash(&[]),
        price: usd(2_000),
        option: PaymentOption::Once,
        at: Time(NOW),
        extensions: none(),
    };
    let parts = Purchase { option: PaymentOption::Instalments(3), ..once.clone() };
    vec![("usual", once), ("in instalments", parts)]
}
/// How it stands.
#[allow(non_snake_case)] // named like the message
pub fn PurchaseAnswer() -> Forms<PurchaseAnswer> {
    let blank = PurchaseAnswer {
        purchase: PURCHASE,
        state: PurchaseState::Pending,
        why: None,
        price: None,
        expires: None,
        again: None,
        certificate: None,
        terms: None,
        load: None,
        temporary: None,
        receipt: None,
        at: Time(NOW),
        signer: SIGNER,
        seat_name: None,
        extensions: none(),
    };
    let reserved = PurchaseAnswer {
        state: PurchaseState::Reserved,
        price: Some(usd(2_000)),
        expires: Some(Time(NOW + 600)),
        ..blank.clone()
    };
    let pending = PurchaseAnswer { again: Some(1), ..blank.clone() };
    let card = PurchaseAnswer {
        state: PurchaseState::Delivered,
        certificate: Some(signed_card()),
        terms: Some(terms()),
        receipt: Some(by(Who::Provider, &[], UserReceipt()[0].1.clone())),
        ..blank.clone()
    };
    let card = PurchaseAnswer { seat_name: Some("Row 5, 12".into()), ..card };
    let early = PurchaseAnswer {
        state: PurchaseState::Provisional,
        temporary: Some(by(Who::Provider, &[], TemporaryReceipt()[0].1.clone())),
        receipt: None,
        ..card.clone()
    };
    let load = match raises().into_iter().next() {
        Some(Raise::Load(load)) => Some(load),
        _ => None,
    };
    let topped = PurchaseAnswer { load, certificate: None, terms: None, ..card.clone() };
    let refused =
        PurchaseAnswer { state: PurchaseState::Refused, why: Some(PurchaseRefusal::SoldOut), ..blank.clone() };
    vec![
        ("reserved", reserved),
        ("not known yet", pending),
        ("a card", card),
        ("a card with a temporary receipt", early),
        ("a top-up", topped),
        ("refused", refused),
    ]
}
/// Temporary receipts.
#[allow(non_snake_case)] // named like the message
pub fn TemporaryReceipt() -> Forms<TemporaryReceipt> {
    let usual = TemporaryReceipt {
        user: WALLET,
        purchase: PURCHASE,
        issuer: ISSUER,
        item: "City card".into(),
        amount: usd(2_000),
        clears: Time(NOW + Time::DAY),
        provider: PROVIDER,
        at: Time(NOW),
        signer: SIGNER,
        extensions: none(),
    };
    vec![("usual", usual)]
}
/// Given up.
#[allow(non_snake_case)] // named like the message
pub fn Cancel() -> Forms<Cancel> {
    vec![("usual", Cancel { wallet: WALLET, purchase: PURCHASE, at: Time(NOW), extensions: none() })]
}
/// Waited for.
#[allow(non_snake_case)] // named like the message
pub fn Wait() -> Forms<Wait> {
    vec![("usual", Wait { wallet: WALLET, reserve: signed_reserve(), at: Time(NOW), extensions: none() })]
}
/// Kept for whoever waited.
#[allow(non_snake_case)] // named like the message
pub fn Kept() -> Forms<Kept> {
    vec![("usual", Kept { purchase: PURCHASE, expires: Time(NOW + 1800), extensions: none() })]
}
/// Paid back.
#[allow(non_snake_case)] // named like the message
pub fn Refunded() -> Forms<Refunded> {
    let all = Refunded {
        wallet: WALLET,
        card: CARD,
        amount: usd(1_250),
        left: usd(0),
        provider: PROVIDER,
        at: Time(NOW),
        signer: SIGNER,
        extensions: none(),
    };
    let part = Refunded { left: usd(500), ..all.clone() };
    vec![("usual", all), ("a part was not paid by credit", part)]
}
/// A purchase, as its wallet keeps it.
#[allow(non_snake_case)] // named like the message
pub fn Bought() -> Forms<Bought> {
    let asked = Bought {
        state: PurchaseState::Pending,
        why: None,
        article: Article()[0].1.clone(),
        reserve: signed_reserve(),
        pay: None,
        expires: None,
        card: None,
        temporary: None,
        receipt: None,
        extensions: none(),
    };
    let reserved = Bought { state: PurchaseState::Reserved, expires: Some(Time(NOW + 600)), ..asked.clone() };
    let delivered = Bought {
        state: PurchaseState::Delivered,
        pay: Some(by(Who::Wallet, &[], Purchase()[0].1.clone())),
        card: Some(CARD),
        receipt: Some(by(Who::Provider, &[], UserReceipt()[0].1.clone())),
        ..reserved.clone()
    };
    vec![("asked", asked), ("reserved", reserved), ("delivered", delivered)]
}
/// The entry of a card that was given back.
pub fn surrendered_entry() -> LogEntry {
    let event = CardEvent {
        event: EventKind::Surrender,
        seq: 4,
        tick: None,
        previous: Hash(REQUEST.0),
        amount: 1_250,
        remaining: 0,
        links: None,
        extensions: none(),
    };
    let context = CardEvent::context(CARD, 1, &Counterpart::Provider(PROVIDER));
    LogEntry {
        card: Some(CARD),
        generation: Some(1),
        event: Some(by(Who::Card, &context, event)),
        ..LogEntry::new(EntryKind::Surrendered, Time(NOW), 0)
    }
}
