//! One QR of a ticket on a screen, renewed every few seconds (R21): for gates that have only a camera.

use super::messages::{Window, WindowCode};
use super::wallet::Pass;
use crate::card::CardCertificate;
use crate::card::payment::{Purse, PurseState};
use crate::id::EventId;
use crate::money::Time;
use crate::wire::canonical::{DecodeError, Wire};
use crate::wire::signed::{Signature, Signed, Unsigned};
use alloc::vec::Vec;

/// Most bytes of a code: what a camera reads well (version 13 at level M).
pub const MAX_CODE: usize = 300;

/// Drafts the window of this moment: what to sign with the ticket's key, and the message. `None`: the ticket lets nobody in.
pub fn draft_window(
    purse: &Purse,
    pass: &Pass,
    (event, zone): (EventId, u64),
    people: u64,
    now: Time,
) -> Option<(Unsigned<Window>, Vec<u8>)> {
    // A ticket that was given is touched until it is issued anew (R21).
    if purse.state != PurseState::Active || !purse.hops().is_empty() {
        return None;
    }
    let said = purse.certificate.claimed();
    let window = Window { entry: pass.entry + 1, at: now, people, extensions: Default::default() };
    let window = Unsigned::new(window, said.key.algorithm());
    let tbs = window.tbs(&Window::context(said.card, said.generation, event, zone));
    Some((window, tbs))
}

/// The code's bytes.
pub fn code(certificate: Signed<CardCertificate>, window: Unsigned<Window>, signature: Signature) -> Vec<u8> {
    WindowCode { certificate, window: window.sign(signature), extensions: Default::default() }.to_bytes()
}

/// Reads a code.
///
/// # Errors
/// What is wrong with it: no code of ours, or damaged.
pub fn read_window(bytes: &[u8]) -> Result<WindowCode, DecodeError> {
    if bytes.len() > MAX_CODE {
        return Err(DecodeError::TooLarge);
    }
    WindowCode::from_bytes(bytes)
}
