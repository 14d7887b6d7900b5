//! Raises: what lets a card's remaining go up again. Each is signed by its authority, names what it answers, and is
//! taken up once by one event of the chain (R6).

use crate::id::{CardId, DeviceId, Hash};
use crate::message;
use crate::money::{Amount, Time};
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::certificate::{Anchors, Untrusted};
use crate::wire::signed::{PublicKey, Signed, Verifier};
use alloc::vec::Vec;

message! {
    /// Value added by the provider against an activated number. Lifts a card above its checkpoint.
    pub struct Load kind 12 max 200 {
        /// The card.
        1 card: CardId,
        /// Its generation.
        2 generation: u64,
        /// Counts up from 1 over the card's life.
        3 number: u64,
        /// How much.
        4 amount: Amount,
        /// When.
        5 at: Time,
        /// Number of the operational key that signed.
        6 signer: u64,
    }
}

message! {
    /// A terminal's end of its claim: the check named is undone, or, with none named, the charge is closed unpaid (R7).
    pub struct Void kind 13 max 240 {
        /// The charge's transaction number at the terminal.
        1 transaction: u64,
        /// The check it undoes; absent if none is stored: a close.
        2 check: Option<Hash>,
        /// The charge's amount.
        3 amount: Amount,
        /// When.
        4 at: Time,
    }
}

impl Void {
    /// Context: the terminal whose claim ends.
    pub fn context(terminal: DeviceId) -> Vec<u8> {
        terminal.to_bytes()
    }
}

message! {
    /// The provider's return of a check that no terminal claims any more (R8).
    pub struct Reversal kind 14 max 240 {
        /// The card.
        1 card: CardId,
        /// Its generation.
        2 generation: u64,
        /// The check that is returned.
        3 check: Hash,
        /// How much.
        4 amount: Amount,
        /// When.
        5 at: Time,
        /// Number of the operational key that signed.
        6 signer: u64,
    }
}

/// A raise as it travels and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raise {
    /// By the provider.
    Load(Signed<Load>),
    /// By a terminal, which is named because its certificate does not travel along.
    Void(DeviceId, Signed<Void>),
    /// By the provider.
    Reversal(Signed<Reversal>),
}

/// Why a raise was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RaiseError {
    /// Its authority is not trusted.
    #[error("the raise is not trusted: {0}")]
    Untrusted(#[from] Untrusted),
    /// It is for another card or generation.
    #[error("the raise is for another card")]
    OtherCard,
}

impl Raise {
    /// The hash that names it.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Load(load) => load.hash(&[]),
            Self::Void(terminal, void) => void.hash(&Void::context(*terminal)),
            Self::Reversal(reversal) => reversal.hash(&[]),
        }
    }
    /// How much it returns or adds.
    pub fn amount(&self) -> Amount {
        match self {
            Self::Load(load) => load.claimed().amount,
            Self::Void(_, void) => void.claimed().amount,
            Self::Reversal(reversal) => reversal.claimed().amount,
        }
    }
    /// The load's number, if it is one.
    pub fn load_number(&self) -> Option<u64> {
        match self {
            Self::Load(load) => Some(load.claimed().number),
            _ => None,
        }
    }
    /// Checks a raise signed by the provider for this card and generation.
    ///
    /// # Errors
    /// [`RaiseError`].
    pub fn check_by_provider(
        &self,
        card: CardId,
        generation: u64,
        anchors: &Anchors,
        now: Time,
        by: &dyn Verifier,
    ) -> Result<(), RaiseError> {
        let (named, signer) = match self {
            Self::Load(load) => ((load.claimed().card, load.claimed().generation), load.claimed().signer),
            Self::Reversal(back) => ((back.claimed().card, back.claimed().generation), back.claimed().signer),
            Self::Void(..) => return Err(RaiseError::Untrusted(Untrusted::WrongRole)),
        };
        if named != (card, generation) {
            return Err(RaiseError::OtherCard);
        }
        let key = anchors.signer(signer, now)?;
        match self {
            Self::Load(load) => load.clone().verify(key, &[], by).map(drop),
            Self::Reversal(back) => back.clone().verify(key, &[], by).map(drop),
            Self::Void(..) => Ok(()),
        }
        .map_err(Untrusted::from)?;
        Ok(())
    }
    /// Checks a void by the terminal's key.
    ///
    /// # Errors
    /// [`RaiseError`].
    pub fn check_by_terminal(&self, key: &PublicKey, by: &dyn Verifier) -> Result<(), RaiseError> {
        match self {
            Self::Void(terminal, void) => {
                void.clone().verify(key, &Void::context(*terminal), by).map_err(Untrusted::from)?;
                Ok(())
            }
            _ => Err(RaiseError::Untrusted(Untrusted::WrongRole)),
        }
    }
}

impl Wire for Raise {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Load(load) => {
                to.array(2);
                to.uint(1);
                load.write(to);
            }
            Self::Void(terminal, void) => {
                to.array(3);
                to.uint(2);
                void.write(to);
                terminal.write(to);
            }
            Self::Reversal(reversal) => {
                to.array(2);
                to.uint(3);
                reversal.write(to);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array_len()?;
        match (from.uint()?, len) {
            (1, 2) => Signed::read(from).map(Self::Load),
            (2, 3) => {
                let void = Signed::read(from)?;
                Ok(Self::Void(DeviceId::read(from)?, void))
            }
            (3, 2) => Signed::read(from).map(Self::Reversal),
            _ => Err(DecodeError::Value("unknown raise")),
        }
    }
}
