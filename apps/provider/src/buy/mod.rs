//! Selling cards over the network by credit (flow 8), and paying back what cards given back still held (flow 16).
//!
//! A purchase goes through reserve, authorize, issue, capture, install. How far it has come is a row, written in the same
//! transaction as what follows from it; so a provider that dies at any point goes on from that row, and what cannot go on is
//! undone in reverse: the issue withdrawn, the authorization let go, the reservation given back. The bank's silence is no
//! answer (R26): it is asked again by [`crate::credit::due`].
//!
//! | file | holds |
//! | --- | --- |
//! | `catalogue.rs` | what issuers list, what is left of it |
//! | `counter.rs` | tickets by number, and their seats, out of the same house |
//! | `reserve.rs` | one is kept for a wallet, given up, or expires |
//! | `waiting.rs` | who waits for what is sold out |
//! | `saga.rs` | paid: authorized, issued, captured; and back |
//! | `deliver.rs` | the card or load, and what the wallet is told |
//! | `refund.rs` | a card given back, money on its way back |
//! | `share.rs` | what a part of what was bought has cost |

mod catalogue;
mod counter;
mod deliver;
mod refund;
mod reserve;
mod saga;
mod share;
mod waiting;

pub(crate) use catalogue::{catalogue, list};
pub(crate) use counter::{counter, seat_names};
pub(crate) use refund::{came_back, due as refunds_due, heard as refund_heard, looked_at, surrendered, undone};
pub(crate) use reserve::{cancel, overdue, reserve};
pub(crate) use saga::{heard, pay};
pub(crate) use waiting::{offers, tell, wait};

use crate::desk::{Desk, Failure};
use tegata_core::Hash;
use tegata_core::talk::buy::{Listing, PurchaseRefusal, PurchaseState};
use tegata_core::wire::signed::Signed;
use tegata_store::{PurchaseRow, StoreError};

/// After how many seconds a wallet asks again while nothing is known yet.
const AGAIN: u64 = 1;

/// What a purchase is of, as the issuer signed it.
fn listing(desk: &Desk<'_>, row: &PurchaseRow) -> Result<Listing, Failure> {
    let (_, body) = desk.store.listing(row.issuer, row.article, row.revision)?.ok_or(StoreError::Damaged)?;
    Ok(Signed::<Listing>::decode(&body).map_err(|_| StoreError::Damaged)?.claimed().clone())
}

/// The hash of its reservation: what postings and records name a purchase by.
fn reference(desk: &Desk<'_>, row: &PurchaseRow) -> Result<Hash, Failure> {
    let record = desk.store.purchase_record(row.wallet, row.number, tegata_store::Signed::Reserve)?;
    Ok(record.ok_or(StoreError::Damaged)?.0)
}

/// What was kept for a purchase is for others again: one of its article, and the seat that it has by now.
fn free(desk: &Desk<'_>, row: &PurchaseRow) -> Result<(), Failure> {
    let article = desk.store.article(row.issuer, row.article)?.ok_or(StoreError::Damaged)?;
    desk.store.set_taken(row.issuer, row.article, article.taken.saturating_sub(1))?;
    if let (Some(_), Some(ticket)) = (row.seat, &listing(desk, row)?.terms.ticket) {
        desk.store.free_seat(ticket.event, (row.wallet, row.number))?;
    }
    Ok(())
}

/// Ends a purchase without a card: what was kept for it is for others again.
fn end(desk: &mut Desk<'_>, row: &mut PurchaseRow, state: PurchaseState, why: PurchaseRefusal) -> Result<(), Failure> {
    free(desk, row)?;
    row.state = state;
    row.why = Some(why);
    row.ended = Some(desk.now);
    Ok(desk.keep_purchase(row)?)
}
