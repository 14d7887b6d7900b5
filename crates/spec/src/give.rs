//! Honest messages about a ticket that is given to another wallet.

use crate::enter::{LeftBefore, signed_ticket, terms_of_ticket};
use crate::keys::{Who, ed, secret, sign};
use crate::samples::{CARD, Forms, NOW, PROVIDER, SESSION, WALLET, by};
use tegata_core::card::title::{Handover, Hop as OneHop};
use tegata_core::card::{CardEvent, Counterpart, EventKind};
use tegata_core::talk::enter::SessionSignature;
use tegata_core::talk::give::*;
use tegata_core::wire::canonical::Extensions;
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{Hash, Time};

fn none() -> Extensions {
    Extensions::default()
}
/// The receiver's new key.
fn key() -> tegata_core::wire::signed::PublicKey {
    ed(Who::Gate)
}
fn proof(of: Proof) -> SessionSignature {
    SessionSignature(sign(&secret(Who::Gate, Algorithm::Ed25519), &of.tbs(&key())))
}
fn last(event: EventKind) -> CardEvent {
    CardEvent {
        event,
        seq: 1,
        tick: None,
        previous: Hash::ZERO,
        amount: 3,
        remaining: 0,
        links: None,
        extensions: none(),
    }
}

/// The ticket handed over to the receiver.
pub fn hop() -> OneHop {
    let handover = Handover { to: key(), until: Time(NOW + 3600), used: 1, at: Time(NOW) };
    let context = CardEvent::context(CARD, 1, &Counterpart::Transfer(handover));
    OneHop::new(by(Who::Card, &context, last(EventKind::Transfer)), handover)
}
/// Hand-overs.
#[allow(non_snake_case)] // named like the message
pub fn Hop() -> Forms<OneHop> {
    vec![("usual", hop())]
}
/// Offers.
#[allow(non_snake_case)] // named like the message
pub fn GiveOffer() -> Forms<GiveOffer> {
    let first = GiveOffer {
        certificate: signed_ticket(),
        terms: terms_of_ticket(),
        title: None,
        until: Time(NOW + 3600),
        used: 1,
        at: Time(NOW),
        commit: Hash::of(&nonce().0),
        seat_name: None,
        extensions: none(),
    };
    let on = GiveOffer { seat_name: Some("Row 5, 12".into()), title: Some(vec![hop()]), ..first.clone() };
    vec![("usual", first), ("given on", on)]
}
fn nonce() -> Hash {
    Hash::of(b"the giver's part")
}
/// Acceptances.
#[allow(non_snake_case)] // named like the message
pub fn Acceptance() -> Forms<Acceptance> {
    let nonce = Hash::of(b"the receiver's part");
    vec![("usual", Acceptance { key: key(), nonce, proof: proof(Proof::Takes(SESSION, CARD, 1)), extensions: none() })]
}
/// The giver's parts of codes.
#[allow(non_snake_case)] // named like the message
pub fn Reveal() -> Forms<Reveal> {
    vec![("usual", Reveal { nonce: nonce(), extensions: none() })]
}
/// Exits of the giver.
#[allow(non_snake_case)] // named like the message
pub fn Exit() -> Forms<Exit> {
    vec![("usual", Exit { zone: 1, left: LeftBefore()[0].1.clone(), extensions: none() })]
}
/// What the giver says again.
#[allow(non_snake_case)] // named like the message
pub fn Given() -> Forms<Given> {
    let usual = Given { hop: hop(), exits: None, extensions: none() };
    vec![("usual", usual.clone()), ("with an exit", Given { exits: Some(vec![Exit()[0].1.clone()]), ..usual })]
}
/// What the receiver answers.
#[allow(non_snake_case)] // named like the message
pub fn Taken() -> Forms<Taken> {
    vec![("usual", Taken { proof: proof(Proof::Has(hop().hash(CARD, 1))), extensions: none() })]
}
/// Everything between two wallets.
#[allow(non_snake_case)] // named like the message
pub fn GiveMessage() -> Forms<GiveMessage> {
    vec![
        ("an offer", GiveMessage::Offer(GiveOffer()[1].1.clone())),
        ("an acceptance", GiveMessage::Acceptance(Acceptance()[0].1.clone())),
        ("a part of the code", GiveMessage::Reveal(Reveal()[0].1.clone())),
        ("a hand-over", GiveMessage::Given(Given()[1].1.clone())),
        ("that it is there", GiveMessage::Taken(Taken()[0].1.clone())),
        ("a refusal", GiveMessage::Refused(GiveRefusal::Inside)),
    ]
}
fn registers() -> SessionSignature {
    proof(Proof::Registers(CARD, 2, WALLET))
}
/// Registrations.
#[allow(non_snake_case)] // named like the message
pub fn Register() -> Forms<Register> {
    let title = vec![hop()];
    vec![(
        "usual",
        Register { wallet: WALLET, card: CARD, generation: 1, title, proof: registers(), extensions: none() },
    )]
}
/// Gifts asked for.
#[allow(non_snake_case)] // named like the message
pub fn GiftRequest() -> Forms<GiftRequest> {
    let (used, at) = (1, Time(NOW));
    let context = CardEvent::context(CARD, 1, &Counterpart::Gift { provider: PROVIDER, used, at });
    let event = by(Who::Card, &context, last(EventKind::Lock));
    let (wallet, card) = (WALLET, CARD);
    vec![("usual", GiftRequest { wallet, card, generation: 1, event, used, at, extensions: none() })]
}
/// Gifts.
#[allow(non_snake_case)] // named like the message
pub fn Gift() -> Forms<Gift> {
    let number = "K7Q2M9XT4RWB8E3V".into();
    vec![("usual", Gift { card: CARD, number, until: Time(NOW + 3600), signer: 1, extensions: none() })]
}
/// Cards handed over.
#[allow(non_snake_case)] // named like the message
pub fn HandedOver() -> Forms<HandedOver> {
    let sent =
        HandedOver { generation: 1, given: Given()[0].1.clone(), taken: None, arrived: None, extensions: none() };
    let heard = HandedOver { taken: Some(Taken()[0].1.proof), ..sent.clone() };
    let there = HandedOver { arrived: Some(Time(NOW)), ..heard.clone() };
    vec![("not heard of", sent), ("taken", heard), ("registered", there)]
}
/// Cards being taken.
#[allow(non_snake_case)] // named like the message
pub fn Taking() -> Forms<Taking> {
    let (key, from) = (key(), Some(key()));
    let named = Taking { generation: 1, key, taken: None, registers: None, from, extensions: none() };
    let here = Taking { taken: Some(Taken()[0].1.proof), registers: Some(registers()), ..named.clone() };
    vec![("a key", named), ("taken", here)]
}
/// Gifts as their givers keep them.
#[allow(non_snake_case)] // named like the message
pub fn GiftKept() -> Forms<GiftKept> {
    let request: Signed<GiftRequest> = by(Who::Wallet, &[], GiftRequest()[0].1.clone());
    let asked = GiftKept { generation: 1, request, number: None, until: None, arrived: None, extensions: none() };
    let known = GiftKept { number: Some(Gift()[0].1.number.clone()), until: Some(Time(NOW + 3600)), ..asked.clone() };
    let there = GiftKept { arrived: Some(Time(NOW)), ..known.clone() };
    vec![("asked for", asked), ("with its number", known), ("taken", there)]
}

/// A giver's entry.
pub fn given_entry() -> tegata_core::talk::journal::LogEntry {
    use tegata_core::talk::journal::{EntryKind, LogEntry};
    LogEntry {
        card: Some(CARD),
        generation: Some(1),
        title: Some(vec![hop()]),
        ..LogEntry::new(EntryKind::Given, Time(NOW), 0)
    }
}
/// A receiver's entry.
pub fn taken_entry() -> tegata_core::talk::journal::LogEntry {
    use tegata_core::talk::journal::{EntryKind, LogEntry};
    LogEntry { kind: EntryKind::Taken, generation: Some(2), proof: Some(registers()), ..given_entry() }
}
