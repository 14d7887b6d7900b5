//! Honest messages about letters: a merchant writes to a customer, a user asks about a receipt.

use crate::credit::offer_hash;
use crate::keys::Who;
use crate::samples::{
    Forms, MERCHANT, NOW, SESSION, SIGNER, Sealed, TERMINAL, WALLET, by, charge, terminal_certificate,
};
use tegata_core::talk::pay::Charge;
use tegata_core::talk::reach::*;
use tegata_core::wire::canonical::{Extensions, Wire};
use tegata_core::wire::certificate::SealingKey;
use tegata_core::{CustomerNumber, LetterNumber, Time};

const NUMBER: LetterNumber = LetterNumber([0x1e; 16]);
const CUSTOMER: CustomerNumber = CustomerNumber([0xc5; 16]);
const KEY: SealingKey = SealingKey([0x5c; 32]);

fn none() -> Extensions {
    Extensions::default()
}
fn sealed(to: &Address) -> tegata_core::wire::sealed::Sealed {
    tegata_core::wire::sealed::Sealed { addressee: to.addressee(), sender: None, ..Sealed()[0].1.clone() }
}

/// Receipts.
#[allow(non_snake_case)] // named like the message
pub fn ReceiptName() -> Forms<ReceiptName> {
    let name = ReceiptName {
        machine: TERMINAL,
        transaction: 17,
        charge: Charge::named(&SESSION, TERMINAL, &charge().to_bytes()),
        offer: Some(offer_hash()),
        extensions: none(),
    };
    vec![("by credit", name.clone()), ("by a card", ReceiptName { offer: None, ..name })]
}
/// Where letters go.
#[allow(non_snake_case)] // named like the message
pub fn Address() -> Forms<Address> {
    let receipt = Address::Receipt(ReceiptName()[0].1.clone());
    vec![("a customer", Address::Customer(CUSTOMER)), ("a receipt", receipt)]
}
/// How devices are reached.
#[allow(non_snake_case)] // named like the message
pub fn Reachable() -> Forms<Reachable> {
    let wallet = Reachable {
        device: WALLET,
        receipt: Some(ReceiptName()[0].1.clone()),
        sealing: KEY,
        epoch: 1,
        at: Time(NOW),
        extensions: none(),
    };
    vec![("a wallet", wallet.clone()), ("a terminal", Reachable { device: TERMINAL, receipt: None, ..wallet })]
}
/// A question for a key.
#[allow(non_snake_case)] // named like the message
pub fn KeyAsk() -> Forms<KeyAsk> {
    let customer = KeyAsk { device: TERMINAL, to: Address()[0].1.clone(), extensions: none() };
    let receipt = KeyAsk { device: WALLET, to: Address()[1].1.clone(), extensions: none() };
    vec![("of a customer", customer), ("of a receipt's terminal", receipt)]
}
/// The key.
#[allow(non_snake_case)] // named like the message
pub fn KeyAnswer() -> Forms<KeyAnswer> {
    vec![("usual", KeyAnswer { sealing: KEY, signer: SIGNER, extensions: none() })]
}
/// Letters on their way.
#[allow(non_snake_case)] // named like the message
pub fn Carry() -> Forms<Carry> {
    let carry = |device, to: Address| {
        let sealed = sealed(&to);
        Carry { device, to, number: NUMBER, sealed, extensions: none() }
    };
    let [customer, receipt] = [0, 1].map(|form: usize| Address()[form].1.clone());
    vec![("to a customer", carry(TERMINAL, customer)), ("about a receipt", carry(WALLET, receipt))]
}
/// Letters.
#[allow(non_snake_case)] // named like the message
pub fn Letter() -> Forms<Letter> {
    let recall = Letter {
        to: Address()[0].1.clone(),
        number: NUMBER,
        text: "The bread of Monday may hold nuts; bring it back".into(),
        at: Time(NOW),
        extensions: none(),
    };
    let question =
        Letter { to: Address()[1].1.clone(), text: "Did I leave my bag at your place?".into(), ..recall.clone() };
    vec![("a recall", recall), ("a question", question)]
}
/// What is in envelopes.
#[allow(non_snake_case)] // named like the message
pub fn Enclosed() -> Forms<Enclosed> {
    let merchants = Enclosed {
        letter: by(Who::Terminal, &[], Letter()[0].1.clone()),
        certificate: Some(by(Who::Provider, &[], terminal_certificate())),
        extensions: none(),
    };
    let users = Enclosed { letter: by(Who::Card, &[], Letter()[1].1.clone()), certificate: None, extensions: none() };
    vec![("a merchant's", merchants), ("a user's", users)]
}
/// A user does not want to hear.
#[allow(non_snake_case)] // named like the message
pub fn Mute() -> Forms<Mute> {
    let mute = Mute { wallet: WALLET, merchant: MERCHANT, muted: true, epoch: 1, at: Time(NOW), extensions: none() };
    vec![("mute", mute.clone()), ("unmute", Mute { muted: false, ..mute })]
}
/// A letter that does not open.
#[allow(non_snake_case)] // named like the message
pub fn Unopened() -> Forms<Unopened> {
    vec![("usual", Unopened { device: WALLET, merchant: MERCHANT, number: NUMBER, extensions: none() })]
}
/// Where devices are called.
#[allow(non_snake_case)] // named like the message
pub fn PhoneAt() -> Forms<PhoneAt> {
    let (switch, phone) = (Some(TERMINAL), Some("+4930100".to_owned()));
    let at = PhoneAt { device: WALLET, switch, phone, epoch: 1, at: Time(NOW), extensions: none() };
    vec![("at a phone", at.clone()), ("not any more", PhoneAt { switch: None, phone: None, ..at })]
}
/// Who shall be called.
#[allow(non_snake_case)] // named like the message
pub fn CallAsk() -> Forms<CallAsk> {
    let to = Address()[1].1.clone();
    vec![("about a receipt", CallAsk { device: WALLET, to, at: Time(NOW), extensions: none() })]
}
/// A number to call somebody at.
#[allow(non_snake_case)] // named like the message
pub fn CallNumber() -> Forms<CallNumber> {
    let number = CallNumber {
        number: "0021482910375528".into(),
        switch: TERMINAL,
        name: "exchange".into(),
        until: Time(NOW + 600),
        signer: SIGNER,
        extensions: none(),
    };
    vec![("usual", number)]
}
/// Whom a number stands for.
#[allow(non_snake_case)] // named like the message
pub fn StandsFor() -> Forms<StandsFor> {
    let number = "0021482910375528".to_owned();
    let stands = StandsFor { number, phone: Some("+4930100".into()), until: Time(NOW + 600), extensions: none() };
    vec![("a phone", stands.clone()), ("nobody any more", StandsFor { phone: None, ..stands })]
}
/// Letters on their way down.
#[allow(non_snake_case)] // named like the message
pub fn Delivery() -> Forms<Delivery> {
    let to = Address()[0].1.clone();
    let down = Delivery { number: NUMBER, merchant: MERCHANT, sealed: Some(sealed(&to)), to, extensions: none() };
    vec![("a letter", down.clone()), ("seal it again", Delivery { sealed: None, ..down })]
}
/// Letters as devices keep them.
#[allow(non_snake_case)] // named like the message
pub fn KeptLetter() -> Forms<KeptLetter> {
    let letter = by(Who::Terminal, &[], Letter()[0].1.clone());
    let written = KeptLetter::written(MERCHANT, letter, Time(NOW));
    let carry = Some(by(Who::Terminal, &[], Carry()[0].1.clone()));
    let sent = KeptLetter { state: LetterState::Sent, carry, epoch: Some(1), ..written.clone() };
    let sealed = Some(sealed(&written.to));
    let came = KeptLetter { state: LetterState::Received, letter: None, sealed, ..written.clone() };
    vec![("written", written), ("sent", sent), ("came", came)]
}
