//! How a terminal ends a claim outside a tap: it closes what was not paid, or voids what was (R7, R8).
//!
//! Closing runs before the next sale, on restart, when the charge expires, and before every upload, so that no charge
//! stays open.

use super::terminal::{Claim, ClaimState, close_till};
use crate::card::Void;
use crate::id::DeviceId;
use crate::money::Amount;
use crate::record::Batch;
use crate::step::{Break, Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::journal::{EntryKind, Journal, LogEntry};
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::signed::{PublicKey, Signed, Unsigned};
use alloc::vec;

/// What the merchant is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndNotice {
    /// The charge is closed and accepts no check.
    Closed {
        /// Which charge.
        transaction: u64,
    },
    /// The payment is undone; the wallet gets the money at its next touch here or with its next update.
    Voided {
        /// Which charge.
        transaction: u64,
        /// How much goes back.
        amount: Amount,
    },
    /// There is no such charge.
    Unknown,
    /// It had ended before; nothing has changed.
    EndedBefore(ClaimState),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// Ends one claim.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum EndOfClaim {
    /// Asked to.
    Start {
        /// Which charge.
        transaction: u64,
        /// The terminal.
        terminal: DeviceId,
        /// Its key.
        key: PublicKey,
        /// Whether a paid charge is voided; otherwise only an open one is closed.
        void: bool,
    },
    /// Signs the void.
    Signing(Claim, Unsigned<Void>),
    /// Stores it.
    Storing(Claim),
    /// Ended.
    Over,
}

type Next = Step<EndOfClaim, EndNotice>;

impl EndOfClaim {
    fn over(notice: EndNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn start(transaction: u64, terminal: DeviceId, key: &PublicKey, void: bool, context: &Context<'_>) -> Next {
        let Some(claim) = Claim::load(context.records, transaction) else {
            return Self::over(EndNotice::Unknown);
        };
        let check = match claim.state {
            ClaimState::Open if context.broken.has(Break::NeverClosed) => {
                return Self::over(EndNotice::EndedBefore(claim.state));
            }
            ClaimState::Open => None,
            // A void names the check that it undoes (R7).
            // What credit has cleared is not undone by a void: it goes back through the processor.
            ClaimState::Paid if void && claim.offer.is_none() => claim.check_hash(terminal),
            ended => return Self::over(EndNotice::EndedBefore(ended)),
        };
        let amount = claim.charge.claimed().amount;
        let body = Void { transaction, check, amount, at: context.now, extensions: Default::default() };
        let body = Unsigned::new(body, key.algorithm());
        let tbs = body.tbs(&Void::context(terminal));
        Step::new(Self::Signing(claim, body), [Effect::Sign { key: SigningKey::Device, tbs }])
    }
}

/// Writes the end of a claim into `batch`: the claim, the till if it was open, and the log's entry.
pub(crate) fn closing(claim: Claim, void: Signed<Void>, context: &Context<'_>, batch: &mut Batch) -> Option<Claim> {
    let journal = Journal::load(context.records)?;
    let before = claim.to_bytes();
    let transaction = claim.charge.claimed().transaction;
    let (state, kind) = match claim.state {
        ClaimState::Open | ClaimState::Clearing => (ClaimState::Closed, EntryKind::Closed),
        _ => (ClaimState::Voided, EntryKind::Voided),
    };
    let entry = LogEntry {
        charge: Some(Bytes(claim.charge.payload().to_vec())),
        session: Some(claim.session),
        card: claim.card,
        generation: claim.generation,
        void: Some(void.clone()),
        ..LogEntry::new(kind, context.now, transaction)
    };
    if state == ClaimState::Closed {
        close_till(context.records, transaction, batch);
    }
    let claim = Claim { state, void: Some(void), ..claim };
    batch.replace(Claim::key(transaction), Some(before), claim.to_bytes());
    journal.append(&[entry], batch);
    Some(claim)
}

impl Talk for EndOfClaim {
    type Notice = EndNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Start { transaction, terminal, key, void }, Event::Tick) => {
                Self::start(transaction, terminal, &key, void, context)
            }
            (Self::Signing(claim, void), Event::Signed(signature)) => {
                let mut batch = Batch::default();
                let void = void.sign(signature);
                if context.broken.has(Break::VoidNotStored) {
                    return Step::new(Self::Storing(Claim { void: Some(void), ..claim }), [Effect::Store(batch)]);
                }
                match closing(claim, void, context, &mut batch) {
                    Some(claim) => Step::new(Self::Storing(claim), [Effect::Store(batch)]),
                    None => Self::over(EndNotice::Failed(Fault::Storage)),
                }
            }
            // Stored before it is told (R7).
            (Self::Storing(claim), Event::Stored) => {
                let charge = claim.charge.claimed();
                let (transaction, amount) = (charge.transaction, charge.amount);
                Self::over(match claim.state {
                    ClaimState::Voided => EndNotice::Voided { transaction, amount },
                    _ => EndNotice::Closed { transaction },
                })
            }
            (_, Event::Failed(fault)) => Self::over(EndNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}
