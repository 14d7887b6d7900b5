//! Certificates of participants: provider root -> operational key -> party or device; and what a device trusts.

use super::canonical::{DecodeError, Reader, Wire, Writer};
use super::signed::{BadSignature, PublicKey, Signed, Unsigned, Verified, Verifier};
use crate::id::{CardId, DeviceId, Handle, Hash, PartyId};
use crate::money::Time;
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

codes! {
    /// What a key may do. A key is accepted in its own role only.
    pub enum Role {
        /// The provider's root: signs operational keys, nothing else.
        Root = 1,
        /// The provider's operational key: signs certificates, loads, reversals and acknowledgements.
        Provider = 2,
        /// Orders and activates cards.
        Issuer = 3,
        /// Is paid; owns terminals.
        Merchant = 4,
        /// Takes payments at a counter.
        Terminal = 5,
        /// Holds cards; signs installs and updates. Never crosses a tap.
        Wallet = 6,
        /// Admits tickets.
        Gate = 7,
        /// Connects calls.
        Switch = 8,
        /// Clears credit.
        Processor = 9,
    }
}

/// An X25519 key to which messages are sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealingKey(pub [u8; 32]);

impl Wire for SealingKey {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_bytes().map(Self)
    }
}

/// Whom a certificate is about: the 16 bytes of a [`PartyId`] or [`DeviceId`]; the role says which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Subject(pub [u8; 16]);

impl From<PartyId> for Subject {
    fn from(id: PartyId) -> Self {
        Self(id.0)
    }
}
impl From<DeviceId> for Subject {
    fn from(id: DeviceId) -> Self {
        Self(id.0)
    }
}
impl Subject {
    /// As a device.
    pub fn device(self) -> DeviceId {
        DeviceId(self.0)
    }
    /// As a party.
    pub fn party(self) -> PartyId {
        PartyId(self.0)
    }
}
impl Wire for Subject {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_bytes().map(Self)
    }
}

message! {
    /// Binds a key to a subject in a role for a time. Signed by an operational key (that one: by the root).
    pub struct Certificate kind 1 max 400 {
        /// Whom it is about.
        1 subject: Subject,
        /// What the key may do.
        2 role: Role,
        /// The signing key.
        3 key: PublicKey,
        /// Where messages to the subject are sealed to; terminals leave it out, it would travel on every tap.
        4 sealing: Option<SealingKey>,
        /// Valid from then on.
        5 from: Time,
        /// Valid until before then.
        6 until: Time,
        /// The provider's epoch at signing (R15).
        7 epoch: u64,
        /// Number of the operational key that signed; 0 is the root.
        8 signer: u64,
        /// The party that a device belongs to.
        9 owner: Option<PartyId>,
        /// What people call it, as a payer shall see it.
        10 name: Option<String>,
        /// An operational key's own number, from 1 up.
        11 number: Option<u64>,
    }
}

impl Certificate {
    /// Where a device stores its own certificate.
    pub fn own_key() -> crate::record::RecordKey {
        crate::record::RecordKey::new(crate::record::Space::Device, *b"certificate")
    }
    /// The handle that names a signed certificate.
    pub fn handle(signed: &Signed<Self>) -> Handle {
        Handle::of(&signed.hash(&[]))
    }
}

message! {
    /// What a terminal signs, in the context of a session, to prove itself before the wallet says more (R17).
    pub struct SessionProof kind 2 max 100 {}
}

impl SessionProof {
    /// The proof to sign; the context is [`SessionProof::context`]. Only the signature travels.
    pub fn unsigned(key: &PublicKey) -> Unsigned<Self> {
        Unsigned::new(Self { extensions: Default::default() }, key.algorithm())
    }
    /// Context: the session's transcript hash.
    pub fn context(session: &Hash) -> Vec<u8> {
        session.to_bytes()
    }
}

message! {
    /// One operational key as devices hold it.
    pub struct OperationalKey {
        /// Its number, as certificates name it.
        1 number: u64,
        /// The key.
        2 key: PublicKey,
        /// Valid from then on.
        3 from: Time,
        /// Valid until before then.
        4 until: Time,
    }
}

message! {
    /// Cards and devices that are no longer accepted (R11). Signed by an operational key; replaces the one before.
    pub struct RevocationList kind 3 max 4_000_000 {
        /// Counts up with every list.
        1 number: u64,
        /// When it was made; a terminal whose list is older than L stops selling offline.
        2 at: Time,
        /// Number of the operational key that signed.
        3 signer: u64,
        /// Devices and parties, ascending, none twice.
        4 subjects: Vec<Subject>,
        /// Cards with the highest generation that is dead, cards ascending, none twice.
        5 cards: Vec<DeadCard>,
    }
}

impl RevocationList {
    /// Whether it is sorted, as those who search it expect.
    pub fn is_sorted(&self) -> bool {
        self.subjects.windows(2).all(|two| two[0] < two[1])
            && self.cards.windows(2).all(|two| two[0].card < two[1].card)
    }
}

/// A card whose generations up to this one are dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadCard {
    /// The card.
    pub card: CardId,
    /// Dead up to and including this generation.
    pub generation: u64,
}

impl Wire for DeadCard {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        self.card.write(to);
        to.uint(self.generation);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(2)?;
        Ok(Self { card: CardId::read(from)?, generation: u64::read(from)? })
    }
}

message! {
    /// What a device trusts: the pinned root, the operational keys it was given, the latest revocation list.
    pub struct Anchors {
        /// The provider.
        1 provider: PartyId,
        /// Its root key, pinned when joining.
        2 root: PublicKey,
        /// Where messages to the provider are sealed to.
        3 sealing: SealingKey,
        /// The provider's epoch as last heard (R15).
        4 epoch: u64,
        /// Operational keys.
        5 keys: Vec<OperationalKey>,
        /// The latest revocation list.
        6 list: Option<Signed<RevocationList>>,
    }
}

/// Why a certificate was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Signed by a key this device does not hold; an update brings newer keys.
    #[error("signed by a provider key that this device does not hold; update it")]
    UnknownSigner,
    /// The signature does not verify.
    #[error("its signature does not verify")]
    Forged,
    /// Of another role than needed here.
    #[error("its role does not allow this")]
    WrongRole,
    /// Not valid yet.
    #[error("it is not valid yet")]
    NotYetValid,
    /// No longer valid.
    #[error("it has expired")]
    Expired,
    /// On the revocation list.
    #[error("it has been revoked")]
    Revoked,
}

impl From<BadSignature> for Untrusted {
    fn from(_: BadSignature) -> Self {
        Self::Forged
    }
}

impl Anchors {
    /// The operational key of this number, if valid at `now`.
    ///
    /// # Errors
    /// [`Untrusted::UnknownSigner`], [`Untrusted::NotYetValid`] or [`Untrusted::Expired`].
    pub fn signer(&self, number: u64, now: Time) -> Result<&PublicKey, Untrusted> {
        let held = self.keys.iter().find(|held| held.number == number).ok_or(Untrusted::UnknownSigner)?;
        within(held.from, held.until, now)?;
        Ok(&held.key)
    }
    /// Whether the latest list names this subject.
    pub fn is_revoked(&self, subject: Subject) -> bool {
        self.list.as_ref().is_some_and(|list| list.claimed().subjects.binary_search(&subject).is_ok())
    }
    /// Whether the latest list names this generation of the card as dead.
    pub fn is_dead(&self, card: CardId, generation: u64) -> bool {
        self.list.as_ref().is_some_and(|list| {
            let cards = &list.claimed().cards;
            cards
                .binary_search_by_key(&card, |dead| dead.card)
                .is_ok_and(|found| cards.get(found).is_some_and(|dead| generation <= dead.generation))
        })
    }
    /// How old the latest list is; `None` without any.
    pub fn list_age(&self, now: Time) -> Option<u64> {
        self.list.as_ref().map(|list| now.since(list.claimed().at))
    }
    /// Accepts a participant's certificate for `role` at `now`.
    ///
    /// # Errors
    /// Why it is [`Untrusted`].
    pub fn accept(
        &self,
        certificate: Signed<Certificate>,
        role: Role,
        now: Time,
        by: &dyn Verifier,
    ) -> Result<Verified<Certificate>, Untrusted> {
        let verified = self.certified(certificate, role, now, by)?;
        if self.is_revoked(verified.subject) {
            return Err(Untrusted::Revoked);
        }
        Ok(verified)
    }
    /// As [`Self::accept`], of a participant that may have been revoked since.
    ///
    /// # Errors
    /// Why it is [`Untrusted`].
    pub fn certified(
        &self,
        certificate: Signed<Certificate>,
        role: Role,
        now: Time,
        by: &dyn Verifier,
    ) -> Result<Verified<Certificate>, Untrusted> {
        let key = self.signer(certificate.claimed().signer, now)?;
        let verified = certificate.verify(key, &[], by)?;
        if verified.role != role {
            return Err(Untrusted::WrongRole);
        }
        within(verified.from, verified.until, now)?;
        Ok(verified)
    }
}

/// How far a device's clock may be behind its provider's before a certificate just signed is none, in seconds.
pub const CLOCK_TOLERANCE: u64 = 300;

/// Whether `now`, by a clock that may be a little behind, lies in `from..until`.
///
/// # Errors
/// [`Untrusted::NotYetValid`] or [`Untrusted::Expired`].
pub fn within(from: Time, until: Time, now: Time) -> Result<(), Untrusted> {
    if now.after(CLOCK_TOLERANCE) < from {
        Err(Untrusted::NotYetValid)
    } else if now >= until {
        Err(Untrusted::Expired)
    } else {
        Ok(())
    }
}
