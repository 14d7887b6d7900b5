//! Reach each other (flow 21): a merchant writes to a customer number, a user asks about a receipt. The provider connects
//! them and cannot read what they write; neither learns who or at which number the other is.
//!
//! ```text
//! wallet                              provider                                terminal
//!   Reachable: a key for this merchant  |                Reachable: its own key |
//!   |---------------------------------->|<--------------------------------------|
//!   |                                   |        KeyAsk: of this customer number|
//!   |                                   |<--------------------------------------|
//!   |                                   |  KeyAnswer                            |
//!   |                                   |-------------------------------------->|  signs, stores, seals
//!   |                                   |             Carry (a sealed Letter)   |
//!   |                                   |<--------------------------------------|
//!   |                                   |  stores, Done                         |
//!   |                                   |-------------------------------------->|
//!   |  update: Command (a Delivery)     |
//!   |<----------------------------------|  unless the user muted this merchant
//!   | stores, acknowledges, opens       |
//! ```
//!
//! The way back is the same with the sides changed, addressed by a receipt. What nobody could open is sealed again: the
//! addressee says so ([`Unopened`]), and the writer's next update asks for it.
//!
//! **What a merchant learns** (R17): a sealing key made for it alone, or, of a prepaid card, for it and that card; a text;
//! that whoever wrote holds the key of the payment. **What it does not learn**: the wallet, its own key, its device id, and
//! whether it is muted: a dropped letter is answered, counted and kept apart like any other.
//!
//! | message | kind | from → to | answered by |
//! | --- | --- | --- | --- |
//! | [`Reachable`] | 90 | wallet, terminal → provider | [`Done`](crate::talk::cards::Done) |
//! | [`KeyAsk`] | 91 | wallet, terminal → provider | [`KeyAnswer`] |
//! | [`KeyAnswer`] | 92 | provider → wallet, terminal | - |
//! | [`Carry`] | 93 | wallet, terminal → provider | [`Done`](crate::talk::cards::Done) |
//! | [`Letter`] | 94 | wallet ↔ terminal | travels sealed within 93 |
//! | [`Mute`] | 95 | wallet → provider | [`Done`](crate::talk::cards::Done) |
//! | [`Unopened`] | 96 | wallet, terminal → provider | [`Done`](crate::talk::cards::Done) |
//! | [`PhoneAt`] | 97 | wallet, terminal → provider | [`Done`](crate::talk::cards::Done) |
//! | [`CallAsk`] | 98 | wallet, terminal → provider | [`CallNumber`] |
//! | [`CallNumber`] | 23 | provider → wallet, terminal | - |
//!
//! **A call** goes the ways of letters. Whoever may write asks for a number; the provider makes one up and tells the switch alone, in a
//! command, for which phone it stands, once and for ten minutes ([`StandsFor`]). What the caller dials and what rings have nothing in
//! common: neither side's SIP has the other's number or name. Who calls pays, by the rate of the prefix [`STANDS_FOR`]. A muted
//! merchant gets a number like anybody, and no switch is told.

mod calls;
mod kept;
mod merchant;
mod messages;
mod tell;
mod wallet;

pub use calls::{CallAsk, CallNumber, PhoneAt, STANDS_FOR, STANDS_FOR_DIGITS, StandsFor, is_stand_in};
pub use kept::{KeptLetter, LetterState, Whose, take_in};
pub use merchant::{asked_about, from_user};
pub use messages::*;
pub use tell::{Tell, TellNotice, Told};
pub use wallet::{
    FromMerchant, ReceiptHeld, from_merchant, is_muted, key_name, mute, receipt_by_card, receipt_by_credit,
};

/// Why a letter that came is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotShown {
    /// It does not open with the keys of this device: it is asked for again.
    #[error("it does not open with this device's keys; it will be asked for again")]
    Sealed,
    /// What it holds is no letter.
    #[error("it holds no letter; its writer is at fault")]
    Malformed,
    /// Its writer is not who may write here, or signed something else.
    #[error("its writer could not be verified")]
    NotTrusted,
}
