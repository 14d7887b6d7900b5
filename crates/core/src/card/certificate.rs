//! A card's certificate: what never changes about the card, and the checkpoint that every update re-signs (R6).

use super::terms::CardKind;
use crate::id::{CardId, Handle};
use crate::message;
use crate::money::{Amount, Time};
use crate::wire::certificate::{Anchors, Untrusted, within};
use crate::wire::signed::{PublicKey, Signed, Verified, Verifier};

message! {
    /// Signed by the provider's operational key on the issuer's order; at most 210 bytes long. The issuer is named by the terms.
    pub struct CardCertificate kind 11 max 240 {
        /// The card.
        1 card: CardId,
        /// Its kind.
        2 kind: CardKind,
        /// Its terms, by handle; they name the issuer and the program.
        3 terms: Handle,
        /// Face value, in the terms' unit.
        4 face: Amount,
        /// The card's own key.
        5 key: PublicKey,
        /// Counts up with restore, transfer and move (R9, R11, R12).
        6 generation: u64,
        /// When this checkpoint was signed.
        7 from: Time,
        /// The card's last moment.
        8 until: Time,
        /// The provider's epoch (R15).
        9 epoch: u64,
        /// Number of the operational key that signed.
        10 signer: u64,
        /// Checkpoint: the last event that the provider has seen.
        11 seq: u64,
        /// Checkpoint: what remained after it, in minor units.
        12 remaining: u64,
        /// Checkpoint: number of the last load it contains.
        13 last_load: u64,
        /// Checkpoint: number of the last received value it contains; absent while there is none (R12).
        14 last_received: Option<u64>,
        /// Checkpoint: how much may be spent before the next update, in minor units.
        15 offline_limit: u64,
        /// Checkpoint: when the next update is due.
        16 due: Time,
        /// A ticket's seat, by its number in the event's plan.
        17 seat: Option<u64>,
        /// Entries of a ticket that were used before this generation: its next one follows.
        18 used: Option<u64>,
        /// How often a ticket had been given on before this generation; absent while it was not (R12).
        19 given: Option<u64>,
    }
}

impl CardCertificate {
    /// The handle that names this checkpoint.
    pub fn handle(signed: &Signed<Self>) -> Handle {
        Handle::of(&signed.hash(&[]))
    }

    /// Accepts a card certificate at `now`. Clocks of provider and device may differ, so that only the end of the
    /// card's validity is judged here; due times are judged by [`super::payment`].
    ///
    /// # Errors
    /// Why it is [`Untrusted`].
    pub fn accept(
        signed: Signed<Self>,
        anchors: &Anchors,
        now: Time,
        by: &dyn Verifier,
    ) -> Result<Verified<Self>, Untrusted> {
        let verified = Self::certified(signed, anchors, now, by)?;
        if anchors.is_dead(verified.card, verified.generation) {
            return Err(Untrusted::Revoked);
        }
        Ok(verified)
    }

    /// The same, also of a generation that is dead by now: its holder hears of it all the same, and what was given on from it is
    /// judged by its title.
    ///
    /// # Errors
    /// Why it is [`Untrusted`].
    pub fn certified(
        signed: Signed<Self>,
        anchors: &Anchors,
        now: Time,
        by: &dyn Verifier,
    ) -> Result<Verified<Self>, Untrusted> {
        let key = anchors.signer(signed.claimed().signer, now)?;
        let verified = signed.verify(key, &[], by)?;
        within(Time(0), verified.until, now)?;
        Ok(verified)
    }
}
