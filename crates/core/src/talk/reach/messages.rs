//! What wallet, terminal and provider say to each other about letters, and the letter itself.

use crate::id::{CustomerNumber, DeviceId, Hash, LetterNumber, PartyId};
use crate::message;
use crate::money::Time;
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::certificate::{Certificate, SealingKey};
use crate::wire::sealed::Sealed;
use crate::wire::signed::Signed;
use alloc::string::String;

message! {
    /// Names one payment as wallet, terminal and provider know it.
    pub struct ReceiptName {
        /// The accounting machine.
        1 machine: DeviceId,
        /// Number of the sale at that machine.
        2 transaction: u64,
        /// The charge, by its hash in its session.
        3 charge: Hash,
        /// By credit: the offer, by its hash in its session. Absent: a card paid.
        4 offer: Option<Hash>,
    }
}

/// To whom a letter goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// From a merchant: its customer.
    Customer(CustomerNumber),
    /// From a user: the terminal of this receipt. From a merchant: whoever paid it.
    Receipt(ReceiptName),
}

impl Address {
    /// The receipt, if it is one.
    pub fn receipt(&self) -> Option<&ReceiptName> {
        match self {
            Self::Receipt(receipt) => Some(receipt),
            Self::Customer(_) => None,
        }
    }
    /// What an envelope is addressed to: names the customer or the receipt, so that an envelope that was moved to another
    /// one does not open.
    pub fn addressee(&self) -> PartyId {
        match self {
            Self::Customer(customer) => PartyId(customer.0),
            Self::Receipt(receipt) => {
                let mut short = [0; 16];
                short.copy_from_slice(&receipt.charge.0[..16]);
                PartyId(short)
            }
        }
    }
}

impl Wire for Address {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        match self {
            Self::Customer(customer) => {
                to.uint(1);
                customer.write(to);
            }
            Self::Receipt(receipt) => {
                to.uint(2);
                receipt.write(to);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(2)?;
        match from.uint()? {
            1 => CustomerNumber::read(from).map(Self::Customer),
            2 => ReceiptName::read(from).map(Self::Receipt),
            _ => Err(DecodeError::Value("unknown address")),
        }
    }
}

message! {
    /// Letters to this device are sealed to this key. Signed by the device; the newest by its time counts.
    pub struct Reachable kind 90 max 400 {
        /// The wallet or terminal.
        1 device: DeviceId,
        /// A wallet's: for the merchant of this receipt and, where a card paid, this card alone (R17). A terminal's: absent.
        2 receipt: Option<ReceiptName>,
        /// The key.
        3 sealing: SealingKey,
        /// The provider's epoch as the device last heard it (R15): told again in another one.
        4 epoch: u64,
        /// When, by the device's clock, and later than the one before.
        5 at: Time,
    }
}

message! {
    /// Asks for the key to which a letter to this address is sealed. Signed by the device that will write.
    pub struct KeyAsk kind 91 max 300 {
        /// The wallet or terminal.
        1 device: DeviceId,
        /// To whom it will write.
        2 to: Address,
    }
}

message! {
    /// The key. Signed by the provider, in the context of the request's hash: its word that it belongs to that address.
    pub struct KeyAnswer kind 92 max 200 {
        /// The key.
        1 sealing: SealingKey,
        /// Number of the operational key that signed.
        2 signer: u64,
    }
}

message! {
    /// Carry this letter. Signed by the wallet or terminal that writes; the provider cannot open it.
    pub struct Carry kind 93 max 1600 {
        /// The wallet or terminal.
        1 device: DeviceId,
        /// To whom.
        2 to: Address,
        /// The letter's number: the same number and bytes are the same letter.
        3 number: LetterNumber,
        /// An [`Enclosed`] letter, sealed by HPKE to the key of [`KeyAnswer`]; names no sender.
        4 sealed: Sealed,
    }
}

message! {
    /// A letter. From a merchant: signed by its terminal. From a user: by the key of the payment that it is about, which is
    /// the offer's or the card's, so that it says no more about the user than the payment did.
    pub struct Letter kind 94 max 800 {
        /// To whom: a letter sealed again for somebody else is none.
        1 to: Address,
        /// Its number.
        2 number: LetterNumber,
        /// What it says.
        3 text: String,
        /// When, by its writer's clock.
        4 at: Time,
    }
}

message! {
    /// What is in the envelope.
    pub struct Enclosed {
        /// The letter.
        1 letter: Signed<Letter>,
        /// From a merchant: its terminal's certificate.
        2 certificate: Option<Signed<Certificate>>,
    }
}

message! {
    /// The user wants no letters of this merchant, or wants them again. Signed by the wallet; the newest by its time counts.
    pub struct Mute kind 95 max 250 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The merchant.
        2 merchant: PartyId,
        /// Whether it is muted from now on.
        3 muted: bool,
        /// The provider's epoch as the wallet last heard it (R15): told again in another one.
        4 epoch: u64,
        /// When, by the wallet's clock, and later than the one before.
        5 at: Time,
    }
}

message! {
    /// A letter that came cannot be opened: its writer shall seal it again, to the key that counts now.
    pub struct Unopened kind 96 max 250 {
        /// The wallet or terminal that it came to.
        1 device: DeviceId,
        /// The merchant on either side.
        2 merchant: PartyId,
        /// The letter's number.
        3 number: LetterNumber,
    }
}

message! {
    /// A letter on its way down, in a command of the update.
    pub struct Delivery {
        /// The letter's number.
        1 number: LetterNumber,
        /// The merchant on either side.
        2 merchant: PartyId,
        /// To whom it was addressed.
        3 to: Address,
        /// The letter, still sealed. Absent: this device's own letter of this number could not be opened; seal it again.
        4 sealed: Option<Sealed>,
    }
}
