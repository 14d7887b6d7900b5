//! What device and provider say to each other in an update, and how a reply is read.

use crate::card::{CardCertificate, Raise, Terms};
use crate::charging::Tariff;
use crate::id::{CardId, DeviceId, Hash};
use crate::money::Time;
use crate::step::Context;
use crate::talk::buy::{Kept, Refunded};
use crate::talk::credit::UserReceipt;
use crate::talk::enter::Setup;
use crate::talk::event::Changed;
use crate::talk::reach::{Delivery, StandsFor};
use crate::talk::report::Refused;
use crate::wire::canonical::{Bytes, DecodeError, Message, Reader, Wire};
use crate::wire::certificate::{Anchors, Certificate, RevocationList};
use crate::wire::signed::{Signed, Verified};
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

/// How many entries one update carries at most.
pub const MAX_ENTRIES: usize = 1000;

message! {
    /// A device's log from what was acknowledged on, and where its commands stand. Signed by the device.
    pub struct UpdateRequest kind 30 max 2_000_000 {
        /// The device.
        1 device: DeviceId,
        /// The provider's epoch as the device last heard it (R15).
        2 epoch: u64,
        /// Number of the last entry that the device knows to be recorded; the first entry sent follows it.
        3 acknowledged: u64,
        /// Hash over all entries up to it (R14).
        4 acknowledged_head: Hash,
        /// The entries that follow, at most 1,000.
        5 entries: Vec<Bytes>,
        /// Number of the last entry the device has, sent or not.
        6 number: u64,
        /// Number of the last command carried out: confirms it and all before.
        7 commands: u64,
        /// Hash over all commands up to it.
        8 commands_head: Hash,
        /// Number of the revocation list that the device holds; 0 without one.
        9 list: u64,
        /// How many turns were answered and stored before this one: the same turn sent again is the same request, the next
        /// one is not, even if nothing else has happened.
        10 turn: u64,
        /// What the provider's [`Challenge`] to this request said; absent until it asks (R14).
        11 challenge: Option<Hash>,
        /// What the last answer said of where the device stands; absent before the first (R15).
        12 standing: Option<Hash>,
    }
}

message! {
    /// The request does not go on from where the device's log stands. Signed by the provider, in the context of the
    /// request's hash. Nothing was recorded: an old request that somebody carries again looks the same (R14).
    pub struct Challenge kind 32 max 200 {
        /// The device.
        1 device: DeviceId,
        /// Names the last answer to this device and the epoch: no request signed before that answer has it.
        2 challenge: Hash,
        /// Number of the operational key that signed.
        3 signer: u64,
    }
}

codes! {
    /// What a command tells the device to do.
    pub enum CommandKind {
        /// Install a card, or a new generation of one held already (restore, R14).
        Install = 1,
        /// Change a ticket.
        Change = 2,
        /// Refund.
        Refund = 3,
        /// A receipt for the user.
        Receipt = 4,
        /// Keep a raise and take it up.
        Raise = 5,
        /// Stop using a card.
        Block = 6,
        /// Operational keys, all of them.
        Keys = 7,
        /// A program.
        Program = 8,
        /// Terms that a terminal accepts or a wallet's card has.
        Terms = 9,
        /// A new certificate of the device itself.
        Renew = 10,
        /// Keep a letter, or seal one of your own again.
        Letter = 12,
        /// A gate's event.
        Setup = 13,
        /// What was waited for is reserved.
        Kept = 15,
        /// What calls cost that cards of an issuer pay for.
        Tariff = 16,
        /// For which phone a number stands that somebody was given to call it.
        StandsFor = 17,
        /// What this wallet gave is its receiver's.
        Arrived = 18,
    }
}

message! {
    /// One command. Commands of a device are numbered from 1 and chained by hash (R14).
    pub struct Command {
        /// What to do.
        1 kind: CommandKind,
        /// With which card.
        2 card: Option<CardId>,
        /// Install: its certificate.
        3 certificate: Option<Signed<CardCertificate>>,
        /// Raise: the raise.
        4 raise: Option<Raise>,
        /// Keys: each certified by the root.
        5 keys: Option<Vec<Signed<Certificate>>>,
        /// Terms, Install: the terms.
        6 terms: Option<Terms>,
        /// Renew: the device's certificate. Raise with a void or a call: the terminal's or switch's.
        7 renewed: Option<Signed<Certificate>>,
        /// Receipt: the user's receipt of a payment by credit \[8421\].
        8 receipt: Option<Signed<UserReceipt>>,
        /// Refund: what was paid back for a card.
        10 refund: Option<Signed<Refunded>>,
        /// Letter: the letter, still sealed, or the number of the one to seal again.
        12 letter: Option<Delivery>,
        /// Setup: what the gate needs to know.
        13 setup: Option<Setup>,
        /// Change: what is offered to the holder.
        14 change: Option<Changed>,
        /// Kept: what is reserved now.
        15 kept: Option<Kept>,
        /// Tariff: as its issuer has signed it.
        16 tariff: Option<Signed<Tariff>>,
        /// StandsFor: the number, and the phone.
        17 stands: Option<StandsFor>,
        /// Block: up to which generation of the card. What its wallet was certified for since, or received, is not meant.
        /// Arrived: which generation was given.
        18 generation: Option<u64>,
        /// Arrived: when its receiver has registered or taken it. Who that is, is not said.
        19 at: Option<Time>,
        /// Install: what stands on a ticket's seat.
        20 seat_name: Option<String>,
        /// Install: what of the card's value is held back, in minor units (R11).
        21 held_back: Option<u64>,
        /// Install: from when on an update brings that.
        22 release_at: Option<Time>,
    }
}

impl Command {
    /// This card is dead in its wallet, up to this generation.
    pub fn block(card: CardId, generation: u64) -> Self {
        Self { card: Some(card), generation: Some(generation), ..Self::new(CommandKind::Block) }
    }
    /// This generation of a card, which the wallet gave, is its receiver's since then.
    pub fn arrived(card: CardId, generation: u64, at: Time) -> Self {
        Self { card: Some(card), generation: Some(generation), at: Some(at), ..Self::new(CommandKind::Arrived) }
    }
    /// A command with nothing in it but its kind.
    pub fn new(kind: CommandKind) -> Self {
        Self {
            kind,
            card: None,
            certificate: None,
            raise: None,
            keys: None,
            terms: None,
            renewed: None,
            receipt: None,
            refund: None,
            letter: None,
            setup: None,
            change: None,
            kept: None,
            tariff: None,
            stands: None,
            generation: None,
            at: None,
            seat_name: None,
            held_back: None,
            release_at: None,
            extensions: Default::default(),
        }
    }
}

message! {
    /// The device's log goes on elsewhere: it was found behind what it had acknowledged (R14), or the provider was (R15).
    pub struct Restart {
        /// The log goes on after this number.
        1 number: u64,
        /// Hash over all entries up to it.
        2 head: Hash,
        /// Commands go on after this number.
        3 commands: u64,
        /// Hash over all commands up to it.
        4 commands_head: Hash,
        /// A terminal's next transaction number is at least this: numbers are never used again.
        5 next_transaction: u64,
        /// The device's next turn is at least this: neither are these.
        6 turn: u64,
    }
}

message! {
    /// What the provider has durably recorded, and what it wants. Signed by the provider, in the context of the request's
    /// hash; stored, so that a repeat gets the same bytes.
    pub struct UpdateReply kind 31 max 8_000_000 {
        /// The device.
        1 device: DeviceId,
        /// The provider's epoch.
        2 epoch: u64,
        /// Up to here the log is recorded.
        3 recorded: u64,
        /// Hash over all entries up to there.
        4 recorded_head: Hash,
        /// Up to here the log is on a second medium and may be pruned (R15).
        5 archived: u64,
        /// Commands after the last one confirmed.
        6 commands: Vec<Bytes>,
        /// The wallet's cards, checkpoints renewed (R6).
        7 checkpoints: Vec<Signed<CardCertificate>>,
        /// A newer revocation list.
        8 list: Option<Signed<RevocationList>>,
        /// When the next update is due.
        9 due: Time,
        /// The log goes on elsewhere.
        10 restart: Option<Restart>,
        /// The provider's time, by which a device can tell that its clock is off.
        11 at: Time,
        /// Number of the operational key that signed.
        12 signer: u64,
        /// The provider's word for where the device stands now, which it alone can make: a device that is ahead of it brings that, and
        /// so proves that the provider was put back from a backup (R15). To a device it means nothing.
        13 standing: Option<Hash>,
    }
}

/// A body that the provider signs with an operational key.
pub trait ByProvider: Message {
    /// Number of that key.
    fn signer(&self) -> u64;
}

macro_rules! by_provider {
    ($($name:ty)*) => {$(
        impl ByProvider for $name {
            fn signer(&self) -> u64 {
                self.signer
            }
        }
    )*};
}
by_provider!(UpdateReply Challenge Refused);
by_provider!(crate::talk::cards::InstallReply crate::talk::cards::LoadReply crate::talk::cards::Done);
by_provider!(crate::talk::report::Report);
by_provider!(crate::talk::give::Gift);
by_provider!(crate::talk::buy::Catalogue crate::talk::buy::PurchaseAnswer);
by_provider!(crate::talk::reach::KeyAnswer crate::talk::reach::CallNumber);
by_provider!(crate::talk::event::ChangeReply);
by_provider!(crate::talk::credit::CreditAnswer crate::talk::credit::ClearingNotification);

/// What came back for a request.
#[derive(Clone, Debug)]
pub enum Answered<T> {
    /// The answer.
    Reply(Verified<T>),
    /// The provider says no.
    Refused(Refused),
}

/// Reads the provider's answer to the request of this hash. `None` if it is not that.
pub fn read_reply<T: ByProvider>(
    bytes: &[u8],
    request: &Hash,
    anchors: &Anchors,
    context: &Context<'_>,
) -> Option<Answered<T>> {
    fn verified<T: ByProvider>(
        bytes: &[u8],
        request: &Hash,
        anchors: &Anchors,
        context: &Context<'_>,
    ) -> Option<Verified<T>> {
        let signed = Signed::<T>::decode(bytes).ok()?;
        let key = anchors.signer(signed.claimed().signer(), context.now).ok()?;
        signed.verify(key, &request.to_bytes(), context.verifier).ok()
    }
    match kind_of(bytes).ok()? {
        kind if kind == T::KIND => verified(bytes, request, anchors, context).map(Answered::Reply),
        kind if kind == Refused::KIND => {
            let refused = verified::<Refused>(bytes, request, anchors, context)?;
            Some(Answered::Refused(refused.signed().claimed().clone()))
        }
        _ => None,
    }
}

/// The kind of a signed message, before it is decoded.
///
/// # Errors
/// [`DecodeError`]: no signed message.
pub fn kind_of(bytes: &[u8]) -> Result<u64, DecodeError> {
    let mut from = Reader::new(bytes);
    from.array(4)?;
    from.bytes()?;
    from.map_len()?;
    let mut payload = Reader::new(from.bytes()?);
    payload.map_len()?;
    if payload.uint()? != 0 {
        return Err(DecodeError::Kind);
    }
    payload.uint()
}
