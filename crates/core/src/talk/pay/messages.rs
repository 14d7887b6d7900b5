//! What wallet and terminal say to each other while paying. Charge, check, receipt and void are signed; offer and
//! refusals are not, they stay inside the authenticated session and bind nobody.

use crate::card::{CardCertificate, CardEvent, CardKind, Raise, Void};
use crate::id::{DeviceId, Handle, Hash};
use crate::money::{Amount, Time};
use crate::talk::credit::CreditOffer;
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::certificate::Certificate;
use crate::wire::signed::Signed;
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

/// Longest text of a charge's items, in bytes; it travels on every tap.
pub const MAX_ITEMS: usize = 64;

message! {
    /// One sort of card that a wallet can offer.
    pub struct Offered {
        /// Its kind.
        1 kind: CardKind,
        /// Its terms, which name its issuer.
        2 terms: Handle,
    }
}

message! {
    /// What the wallet can pay with. Names no card before the terminal is authenticated (R17).
    pub struct Offer {
        /// The sort of card.
        1 card: Offered,
        /// The checkpoint that will pay; only after the terminal was recognised.
        2 checkpoint: Option<Handle>,
        /// The terminal's certificate is not known here and is asked for.
        3 unknown: Option<bool>,
        /// A transaction of this terminal that the wallet has answered or agreed to and not seen the end of.
        4 resume: Option<u64>,
    }
}

message! {
    /// What the terminal asks for. Signed by the terminal, stored before it is sent.
    pub struct Charge kind 20 max 260 {
        /// Number of this charge at this terminal; never used again.
        1 transaction: u64,
        /// How much.
        2 amount: Amount,
        /// When it was made, by the terminal's clock.
        3 at: Time,
        /// The terminal closes it then if it is not paid (R8).
        4 expires: Time,
        /// What is bought, for the payer to read; at most 64 bytes.
        5 items: Option<String>,
    }
}

impl Charge {
    /// What names a charge everywhere: session, terminal and exact bytes, hashed.
    pub fn named(session: &Hash, terminal: DeviceId, bytes: &[u8]) -> Hash {
        let mut named = Self::context(session, terminal);
        named.extend_from_slice(bytes);
        Hash::of(&named)
    }
    /// Context: the session that first carries the charge (R5) and the terminal.
    pub fn context(session: &Hash, terminal: DeviceId) -> Vec<u8> {
        let mut to = Writer::new();
        to.array(2);
        session.write(&mut to);
        terminal.write(&mut to);
        to.finish()
    }
}

message! {
    /// The terminal's answer to an offer.
    pub struct Charged {
        /// The charge.
        1 charge: Signed<Charge>,
        /// The terminal's certificate, if it was asked for.
        2 certificate: Option<Signed<Certificate>>,
        /// The checkpoint offered is known here, its certificate need not travel.
        3 known: Option<bool>,
        /// The session that first carried the charge, if it was another one (R5).
        4 session: Option<Hash>,
    }
}

message! {
    /// The check and what proves it.
    pub struct Checked {
        /// The check: the card's spend event.
        1 check: Signed<CardEvent>,
        /// The card's certificate, unless the terminal knows it.
        2 certificate: Option<Signed<CardCertificate>>,
        /// Raises since the checkpoint (R6).
        3 raises: Option<Vec<Raise>>,
    }
}

message! {
    /// The terminal has stored the check: paid.
    pub struct Receipt kind 21 max 200 {
        /// The entry of the terminal's log that claims it.
        1 entry: u64,
        /// When, by the terminal's clock.
        2 at: Time,
    }
}

impl Receipt {
    /// Context: the check.
    pub fn context(check: &Hash) -> Vec<u8> {
        check.to_bytes()
    }
}

message! {
    /// The wallet pays by credit \[8405\]: instead of an offer of cards. Names nobody: its key is made for this payment (R17).
    pub struct CreditOffered {
        /// The offer, signed by its own key in the context of the session.
        1 offer: Signed<CreditOffer>,
        /// The terminal's certificate is not known here and is asked for.
        2 unknown: Option<bool>,
    }
}

codes! {
    /// Why one side ends the conversation without paying.
    pub enum Refusal {
        /// The terminal takes no such card.
        NotAccepted = 1,
        /// The terminal's revocation list is too old, or its records wait too long (R11).
        TerminalStale = 2,
        /// The terminal has nothing to charge.
        NothingToPay = 3,
        /// The user declined.
        Declined = 4,
        /// The card's certificate or a signature is not trusted.
        CardNotTrusted = 5,
        /// The card is blocked or its generation is over.
        CardRevoked = 6,
        /// The bounds of R6 do not allow it, or the update is overdue.
        BeyondTerms = 7,
        /// The charge has another check already.
        AnsweredBefore = 8,
        /// The message could not be read.
        Malformed = 9,
        /// The terminal is not trusted.
        TerminalNotTrusted = 10,
        /// The device itself failed; nothing has changed.
        OutOfOrder = 11,
        /// The certificate must travel along.
        CertificateNeeded = 12,
        /// The charge has expired.
        ChargeExpired = 13,
        /// The transaction asked for is not known here.
        UnknownTransaction = 14,
        /// Nobody can be called under that number.
        UnknownDestination = 15,
        /// Not enough is left for one unit.
        TooLittle = 16,
    }
}

impl Refusal {
    /// Who is at fault and what to do, for people.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NotAccepted => "this terminal does not take that card; offer another one",
            Self::TerminalStale => {
                "the terminal has been without its provider for too long; the merchant must update it"
            }
            Self::NothingToPay => "the terminal has nothing to charge at the moment",
            Self::Declined => "the user declined",
            Self::CardNotTrusted => {
                "the card's certificate or signature is not valid, or the terminal does not know the provider's key that signed it; update the wallet, and the terminal"
            }
            Self::CardRevoked => "the card is blocked; update the wallet and ask the provider",
            Self::BeyondTerms => {
                "the card may not pay this much before its next update, or its time is over; update the wallet"
            }
            Self::AnsweredBefore => "another card has paid this charge already",
            Self::Malformed => "the other side sent something that cannot be read",
            Self::TerminalNotTrusted => {
                "the terminal could not prove who it is, or its certificate is over or newer than this wallet's keys; do not pay here before both are updated"
            }
            Self::OutOfOrder => "the device could not store or sign; nothing was changed, try again",
            Self::CertificateNeeded => "the terminal no longer knows this card; touch again",
            Self::ChargeExpired => "the charge has expired; ask for a new one",
            Self::UnknownTransaction => "the terminal does not know that transaction",
            Self::UnknownDestination => "nobody can be called under that number with this card; check the number",
            Self::TooLittle => "the card holds too little for one unit of this call; load it or use another",
        }
    }
}

/// Everything that travels while paying, once the session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayMessage {
    /// Wallet to terminal.
    Offer(Offer),
    /// Terminal to wallet.
    Charged(Charged),
    /// Wallet to terminal.
    Checked(Checked),
    /// Terminal to wallet: paid.
    Receipt(Signed<Receipt>),
    /// Terminal to wallet: the charge is closed or voided; the signed proof returns the money.
    Ended(Signed<Void>),
    /// Either way: no.
    Refused(Refusal),
    /// Wallet to terminal: by credit.
    Credit(CreditOffered),
}

/// Largest message while paying, in bytes.
pub const MAX_PAY_MESSAGE: usize = 4096;

impl PayMessage {
    /// Reads what came over the link.
    ///
    /// # Errors
    /// What is wrong with it; the other side is at fault.
    pub fn received(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_PAY_MESSAGE {
            return Err(DecodeError::TooLarge);
        }
        let message = Self::from_bytes(bytes)?;
        match &message {
            Self::Charged(charged)
                if charged.charge.claimed().items.as_ref().is_some_and(|items| items.len() > MAX_ITEMS) =>
            {
                Err(DecodeError::Value("items too long"))
            }
            _ => Ok(message),
        }
    }
}

impl Wire for PayMessage {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        match self {
            Self::Offer(body) => {
                to.uint(1);
                body.write(to);
            }
            Self::Charged(body) => {
                to.uint(2);
                body.write(to);
            }
            Self::Checked(body) => {
                to.uint(3);
                body.write(to);
            }
            Self::Receipt(body) => {
                to.uint(4);
                body.write(to);
            }
            Self::Ended(body) => {
                to.uint(5);
                body.write(to);
            }
            Self::Refused(body) => {
                to.uint(6);
                body.write(to);
            }
            Self::Credit(body) => {
                to.uint(7);
                body.write(to);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(2)?;
        match from.uint()? {
            1 => Offer::read(from).map(Self::Offer),
            2 => Charged::read(from).map(Self::Charged),
            3 => Checked::read(from).map(Self::Checked),
            4 => Signed::read(from).map(Self::Receipt),
            5 => Signed::read(from).map(Self::Ended),
            6 => Refusal::read(from).map(Self::Refused),
            7 => CreditOffered::read(from).map(Self::Credit),
            _ => Err(DecodeError::Kind),
        }
    }
}
