//! What wallet and switch say to each other about a call. Tariff, checks and receipt are signed; the rest stays inside the
//! authenticated session and binds nobody.

use crate::card::{CallReceipt, CardCertificate, CardEvent, Link, Raise};
use crate::charging::CallTariff;
use crate::id::{DeviceId, Handle, Hash};
use crate::message;
use crate::talk::pay::{Charge, MAX_PAY_MESSAGE, Offered, Refusal};
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::certificate::Certificate;
use crate::wire::signed::Signed;
use alloc::{string::String, vec::Vec};

impl CallTariff {
    /// Context: the session of the call (R5) and the switch.
    pub fn context(session: &Hash, switch: DeviceId) -> Vec<u8> {
        Charge::context(session, switch)
    }
    /// What names a call everywhere: session, switch and the tariff's exact bytes, hashed.
    pub fn named(session: &Hash, switch: DeviceId, bytes: &[u8]) -> Hash {
        Charge::named(session, switch, bytes)
    }
}

message! {
    /// Whom the wallet wants to call, and with what it pays. Names no card before the switch is recognised (R17).
    pub struct CallRequest {
        /// The sort of card.
        1 card: Offered,
        /// The checkpoint that will pay; only after the switch was recognised.
        2 checkpoint: Option<Handle>,
        /// The switch's certificate is not known here and is asked for.
        3 unknown: Option<bool>,
        /// The number, as it is dialled.
        4 called: String,
    }
}

message! {
    /// What the call will cost.
    pub struct Tariffed {
        /// The tariff for this call.
        1 tariff: Signed<CallTariff>,
        /// The switch's certificate, if it was asked for.
        2 certificate: Option<Signed<Certificate>>,
        /// The checkpoint offered is known here, its certificate need not travel.
        3 known: Option<bool>,
    }
}

message! {
    /// A check over a total, and what proves it.
    pub struct Ticked {
        /// The check: one tick of the card's session event.
        1 tick: Signed<CardEvent>,
        /// The card's certificate, with the first check, unless the switch knows it.
        2 certificate: Option<Signed<CardCertificate>>,
        /// With the first check: raises since the checkpoint (R6).
        3 raises: Option<Vec<Raise>>,
    }
}

/// Everything that travels about a call, once the session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallMessage {
    /// Wallet to switch.
    Request(CallRequest),
    /// Switch to wallet.
    Tariffed(Tariffed),
    /// Wallet to switch.
    Ticked(Ticked),
    /// Switch to wallet: pay this total, in the tariff's unit, to go on.
    Ask(u64),
    /// Wallet to switch: what is paid is all; the call may go on until then.
    NoMore,
    /// Wallet to switch: hang up, and send the receipt.
    Stop,
    /// Switch to wallet: it ends in so many milliseconds unless more is paid.
    Warned(u64),
    /// Switch to wallet: over; what it cost.
    Receipt(Signed<CallReceipt>),
    /// Either way: no call.
    Refused(Refusal),
    /// Wallet to switch: pays for one unit more, or several, of the chain that the last check commits to.
    Linked(Link),
}

impl CallMessage {
    /// Reads what came over the link.
    ///
    /// # Errors
    /// What is wrong with it; the other side is at fault.
    pub fn received(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_PAY_MESSAGE {
            return Err(DecodeError::TooLarge);
        }
        Self::from_bytes(bytes)
    }
}

impl Wire for CallMessage {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::NoMore | Self::Stop => to.array(1),
            _ => to.array(2),
        }
        match self {
            Self::Request(body) => {
                to.uint(1);
                body.write(to);
            }
            Self::Tariffed(body) => {
                to.uint(2);
                body.write(to);
            }
            Self::Ticked(body) => {
                to.uint(3);
                body.write(to);
            }
            Self::Ask(total) => {
                to.uint(4);
                to.uint(*total);
            }
            Self::NoMore => to.uint(5),
            Self::Stop => to.uint(6),
            Self::Warned(left) => {
                to.uint(7);
                to.uint(*left);
            }
            Self::Receipt(body) => {
                to.uint(8);
                body.write(to);
            }
            Self::Refused(body) => {
                to.uint(9);
                body.write(to);
            }
            Self::Linked(body) => {
                to.uint(10);
                body.write(to);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array_len()?;
        match (from.uint()?, len) {
            (1, 2) => CallRequest::read(from).map(Self::Request),
            (2, 2) => Tariffed::read(from).map(Self::Tariffed),
            (3, 2) => Ticked::read(from).map(Self::Ticked),
            (4, 2) => from.uint().map(Self::Ask),
            (5, 1) => Ok(Self::NoMore),
            (6, 1) => Ok(Self::Stop),
            (7, 2) => from.uint().map(Self::Warned),
            (8, 2) => Signed::read(from).map(Self::Receipt),
            (9, 2) => Refusal::read(from).map(Self::Refused),
            (10, 2) => Link::read(from).map(Self::Linked),
            (1..=10, _) => Err(DecodeError::Value("length")),
            _ => Err(DecodeError::Kind),
        }
    }
}
