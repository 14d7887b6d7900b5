//! Paying by credit, the provider's side: two lines that must name the same (R23), a processor that is asked until it is
//! known (R26), and what merchant and user are told.
//!
//! | file | holds |
//! | --- | --- |
//! | `lines.rs` | what merchant and user ask, compared, authorized |
//! | `clearing.rs` | the merchant takes what was authorized: \[13550\], \[8417\], \[8418\], \[8419\], \[8421\] |
//! | `accounts.rs` | the processor, and clearing accounts at it |
//! | `opened.rs` | the four messages of one payment, opened for the operator |
//! | `courier.rs` | what the processor is asked, and its answers |

mod accounts;
mod clearing;
mod courier;
mod lines;
pub(crate) mod opened;

pub(crate) use accounts::{enrol, register, register_processor, revoke_processor, trusted};
pub(crate) use clearing::{book_of, clear, customer_number, receipted, sound};
pub use courier::{Answered, ToProcessor};
pub(crate) use courier::{Sent, Sort, answered, closed, due, ends, outcome_of, overdue, send};
pub(crate) use lines::{authorize, pay};

use crate::desk::{Desk, Failure};
use tegata_core::Hash;
use tegata_core::talk::credit::{CreditAnswer, CreditRefusal, CreditState};
use tegata_store::CreditRow;

/// After how many seconds a device asks again while nothing is known yet.
const AGAIN: u64 = 1;

/// How a payment stands, told to one of its lines.
fn told(desk: &mut Desk<'_>, request: &Hash, row: &CreditRow) -> Vec<u8> {
    let ended = row.ended.is_some();
    desk.waits_for = (!ended).then_some(row.offer);
    if desk.patient && !ended {
        return Vec::new();
    }
    // Once it has ended the answer is the same bytes whenever it is asked for (R2).
    let at = row.ended.unwrap_or(desk.now);
    state(desk, request, row.state, row.why, (!ended).then_some(AGAIN), at)
}

/// Says no to a request that changes nothing.
fn refused(desk: &Desk<'_>, request: &Hash, why: CreditRefusal) -> Vec<u8> {
    state(desk, request, CreditState::Refused, Some(why), None, desk.now)
}

fn state(
    desk: &Desk<'_>,
    request: &Hash,
    state: CreditState,
    why: Option<CreditRefusal>,
    again: Option<u64>,
    at: tegata_core::Time,
) -> Vec<u8> {
    desk.answer(request, |signer| CreditAnswer { state, why, again, at, signer, extensions: Default::default() })
}

/// Ends a payment without a payment.
fn refuse(desk: &mut Desk<'_>, row: &mut CreditRow, why: CreditRefusal) -> Result<(), Failure> {
    row.state = CreditState::Refused;
    row.why = Some(why);
    row.ended = row.ended.or(Some(desk.now));
    Ok(desk.keep_credit(row)?)
}
