//! Credit: every captured amount has one payment that both lines asked for, and every payment one capture (R23); what was
//! authorized for a payment that ended otherwise was let go.
//!
//! The provider's rows say which offer they are about; what counts is signed by others: the terminal's requests, the user's
//! request and agreement, the processor's completion \[8417\].

use crate::AuditError;
use crate::asked::{Asked, Capture};
use crate::difference::{Findings, What};
use crate::numbers::Book;
use crate::reading::{Columns, Id, each, hex};
use crate::trust::{Trust, holds};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashSet};
use tegata_core::talk::credit::{
    AuthorizationRequest, ClearingRequest, PaymentRequest, merchant_line, offered, user_line,
};
use tegata_core::wire::canonical::Message;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{DeviceId, Hash, Time};
use tegata_crypto_native::RecordVerifier;

/// What was captured: once for each payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captured {
    pub merchant: Id,
    pub book: Book,
    pub amount: u64,
    /// When it was known to be captured, as the provider says.
    pub at: u64,
}

/// Captures by the offer that paid.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    pub captured: BTreeMap<Hash, Captured>,
}

/// A row of table credit, as far as it is held against what others signed.
struct Row {
    machine: Id,
    offer: Hash,
    cleared: bool,
    merchant: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    clearing: Option<Vec<u8>>,
    clear: Option<Id>,
    completion: Option<Vec<u8>>,
    ended: Option<u64>,
    authorization: Option<Id>,
}

/// `CreditState::Cleared`.
const CLEARED: u64 = 4;

impl Row {
    fn read(row: &Columns<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            machine: row.get(0)?,
            offer: Hash(row.get(1)?),
            cleared: row.u64(2)? == CLEARED,
            merchant: row.get(3)?,
            user: row.get(4)?,
            clearing: row.get(5)?,
            clear: row.get(6)?,
            completion: row.get(7)?,
            ended: row.opt_u64(8)?,
            authorization: row.get(9)?,
        })
    }
    fn about(&self) -> String {
        format!("the credit payment of offer {} at dev-{}", self.offer, hex(&self.machine))
    }
}

impl Credit {
    /// Reads and judges; a database of a format without credit has none. What was captured for purchases is not in `asked` any
    /// more.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        mut asked: Asked,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut credit = Self::default();
        if format < 3 {
            return Ok(credit);
        }
        let sql = "SELECT machine, offer, state, merchant_body, user_body, clearing_body, clear, completion, ended,
            authorization FROM credit ORDER BY machine, offer";
        let mut numbers = HashSet::new();
        each(connection, sql, [], |row| {
            let row = Row::read(row)?;
            let over = row.ended.is_some() && !row.cleared;
            let kept = row.authorization.filter(|number| over && asked.are_kept(number));
            findings.expect(kept.is_none(), What::Row, || {
                let evidence = "approved by the bank, and nobody asked that it be let go";
                (row.about(), evidence.to_owned(), "ended without a payment", "its row of table credit".to_owned())
            });
            let captured = row.clear.and_then(|number| asked.captures.remove(&number)).and_then(|asked| {
                *checked += 7;
                captured(&row, &asked, trust).map(|captured| (captured, asked))
            });
            let taken = captured.as_ref().is_some_and(|(_, asked)| asked.answer.is_some());
            let once = captured
                .as_ref()
                .and_then(|(_, asked)| asked.answer.as_ref())
                .is_none_or(|answer| numbers.insert(answer.clearing));
            findings.expect(row.cleared == taken && once, What::Row, || {
                let evidence = if taken { "captured, once, as both lines asked" } else { "nothing that was captured" };
                let ledger = if row.cleared { "cleared" } else { "not cleared" };
                (row.about(), evidence, ledger, "its row of table credit".to_owned())
            });
            if let Some((captured, _)) = captured.filter(|_| taken) {
                credit.captured.insert(row.offer, captured);
            }
            Ok(())
        })?;
        // What is left was captured for nothing that was asked for.
        let left = asked.captures.values().find_map(|asked| asked.answer.as_ref());
        findings.expect(left.is_none(), What::Row, || {
            let amount = left.map_or(0, |answer| answer.amount.minor());
            let about = format!("clearing {}", left.map_or(String::new(), |answer| answer.clearing.to_string()));
            (about, format!("{amount} captured"), "no payment of it", "table asked".to_owned())
        });
        Ok(credit)
    }
}

/// What a row's evidence comes to, if every part of it is signed by whom it should be and all parts name the same.
fn captured(row: &Row, asked: &Capture, trust: &Trust) -> Option<Captured> {
    let machine = DeviceId(row.machine);
    let terminal = trust.key(&row.machine, Role::Terminal)?;
    let merchant = trust.merchant(&row.machine)?;
    let authorization = by::<AuthorizationRequest>(row.merchant.as_deref()?, terminal)?;
    let clearing = by::<ClearingRequest>(row.clearing.as_deref()?, terminal)?;
    let said = Signed::<PaymentRequest>::decode(row.user.as_deref()?).ok()?;
    let wallet = trust.key(&said.claimed().wallet.0, Role::Wallet)?;
    let payment = by::<PaymentRequest>(row.user.as_deref()?, wallet)?;
    let (authorization, clearing, payment) = (authorization.claimed(), clearing.claimed(), payment.claimed());
    // When they arrived nobody signed: both lines are compared as if at one moment.
    let arrived = Time(0);
    let offer = offered(&authorization.offer, &authorization.session, &RecordVerifier)?;
    let signed_by = (machine, terminal);
    let (theirs, _) =
        merchant_line(&authorization.charge, &authorization.session, signed_by, arrived, &RecordVerifier)?;
    let same_offer = offered(&payment.offer, &payment.session, &RecordVerifier)? == offer && offer.hash == row.offer;
    let users = user_line(&payment.offer, &offer.hash, &payment.agreement, arrived, &RecordVerifier)?;
    let taken = (clearing.offer, clearing.charge, clearing.amount, clearing.transaction, clearing.option)
        == (offer.hash, theirs.charge, theirs.amount, theirs.transaction, offer.option);
    let answered = asked.answer.as_ref().is_none_or(|completion| {
        (completion.amount, completion.transaction, completion.option, completion.number.0)
            == (theirs.amount, theirs.transaction, offer.option, asked.request.claimed().number.0)
            && row.completion.as_deref() == Some(completion.signed().encode().as_slice())
    });
    let requested = asked.request.claimed().amount == theirs.amount && authorization.merchant.0 == merchant;
    let book =
        (asked.answer.as_ref().map_or([0; 16], |completion| completion.processor.0), theirs.amount.unit().code());
    let fits = same_offer && users == theirs && taken && answered && requested;
    let at = row.ended.unwrap_or(0);
    fits.then_some(Captured { merchant, book, amount: theirs.amount.minor(), at })
}

fn by<T: Message + Clone>(bytes: &[u8], key: &PublicKey) -> Option<Signed<T>> {
    Signed::<T>::decode(bytes).ok().filter(|signed| holds(signed, key, &[]))
}
