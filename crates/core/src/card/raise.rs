//! Raises: what lets a card's remaining go up again. Each is signed by its authority, names what it answers, and is
//! taken up once by one event of the chain (R6).

use crate::charging::CallTariff;
use crate::id::{CardId, DeviceId, Hash};
use crate::money::{Amount, Time};
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::certificate::{Anchors, Untrusted};
use crate::wire::signed::{PublicKey, Signed, Verifier};
use crate::{codes, message};
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

codes! {
    /// How a call ended.
    pub enum CallEnd {
        /// Whoever called hung up.
        HungUp = 1,
        /// Whoever was called hung up.
        CalledHungUp = 2,
        /// Whoever was called is busy, or did not want to be called.
        Busy = 3,
        /// Nobody answered.
        NoAnswer = 4,
        /// Whoever called hung up before it was answered.
        Cancelled = 5,
        /// It could not be connected, or the connection broke.
        Failed = 6,
        /// What was paid for was over.
        PaidTimeOver = 7,
        /// The switch was restarted; it charges no time that it has not seen.
        SwitchRestarted = 8,
        /// The wallet or the switch did not agree to go on.
        NotAgreed = 9,
        /// The card was blocked while it paid.
        CardBlocked = 10,
    }
}

message! {
    /// The end of a call: what of it is used, by the switch's record. What else the card has paid for the call comes back (R8): how
    /// much that is follows from the last check that the wallet has signed.
    pub struct CallReceipt kind 38 max 260 {
        /// The call's number at the switch.
        1 transaction: u64,
        /// The call: its session, switch and tariff, hashed.
        2 call: Hash,
        /// The last check that the switch has; absent if it has none.
        3 check: Option<Hash>,
        /// What it costs.
        4 used: Amount,
        /// How long it lasted since it was answered, in milliseconds; absent if nobody answered.
        5 lasted: Option<u64>,
        /// How it ended.
        6 ended: CallEnd,
        /// When, by the switch's clock.
        7 at: Time,
    }
}

impl CallReceipt {
    /// Context: the switch.
    pub fn context(switch: DeviceId) -> Vec<u8> {
        switch.to_bytes()
    }
    /// What such a call can have cost at most, of which `paid` was paid: its length under its tariff; unanswered, the set-up charge
    /// where that is kept. A switch that was down knows no length, and says what was certain.
    pub fn at_most(&self, tariff: &CallTariff, paid: u64) -> u64 {
        let most = match (self.lasted, self.ended) {
            (None, CallEnd::SwitchRestarted) => None,
            (lasted, _) => tariff.cost(lasted),
        };
        most.unwrap_or(paid).min(paid)
    }
    /// What comes back to a card that has paid `total`. `None`: the receipt is over more than that.
    pub fn unused(&self, total: u64) -> Option<Amount> {
        Amount::new(self.used.unit(), total.checked_sub(self.used.minor())?)
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
    /// By a switch, which is named because its certificate does not travel along.
    Call(DeviceId, Signed<CallReceipt>),
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
            Self::Call(switch, receipt) => receipt.hash(&CallReceipt::context(*switch)),
        }
    }
    /// How much it returns or adds. `None`: what a call leaves over follows from what the card has signed for it
    /// ([`CallReceipt::unused`]).
    pub fn amount(&self) -> Option<Amount> {
        match self {
            Self::Load(load) => Some(load.claimed().amount),
            Self::Void(_, void) => Some(void.claimed().amount),
            Self::Reversal(reversal) => Some(reversal.claimed().amount),
            Self::Call(..) => None,
        }
    }
    /// Whether the provider is its authority.
    pub fn is_by_provider(&self) -> bool {
        matches!(self, Self::Load(_) | Self::Reversal(_))
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
            Self::Void(..) | Self::Call(..) => return Err(RaiseError::Untrusted(Untrusted::WrongRole)),
        };
        if named != (card, generation) {
            return Err(RaiseError::OtherCard);
        }
        let key = anchors.signer(signer, now)?;
        match self {
            Self::Load(load) => load.clone().verify(key, &[], by).map(drop),
            Self::Reversal(back) => back.clone().verify(key, &[], by).map(drop),
            Self::Void(..) | Self::Call(..) => Ok(()),
        }
        .map_err(Untrusted::from)?;
        Ok(())
    }
    /// Checks a void by the terminal's key, a call's end by the switch's.
    ///
    /// # Errors
    /// [`RaiseError`].
    pub fn check_by_terminal(&self, key: &PublicKey, by: &dyn Verifier) -> Result<(), RaiseError> {
        match self {
            Self::Void(terminal, void) => {
                void.clone().verify(key, &Void::context(*terminal), by).map_err(Untrusted::from)?;
                Ok(())
            }
            Self::Call(switch, receipt) => {
                receipt.clone().verify(key, &CallReceipt::context(*switch), by).map_err(Untrusted::from)?;
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
            Self::Call(switch, receipt) => {
                to.array(3);
                to.uint(4);
                receipt.write(to);
                switch.write(to);
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
            (4, 3) => {
                let receipt = Signed::read(from)?;
                Ok(Self::Call(DeviceId::read(from)?, receipt))
            }
            _ => Err(DecodeError::Value("unknown raise")),
        }
    }
}
