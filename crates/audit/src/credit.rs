//! Credit: every captured amount has one payment that both lines asked for, and every payment one capture (R23); what was
//! authorized for a payment that ended otherwise was let go.
//!
//! The provider's rows say which offer they are about; what counts is signed by others: the terminal's requests, the user's
//! request and agreement, the processor's completion \[8417\].

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::numbers::Book;
use crate::reading::{Columns, Id, each, hex};
use crate::trust::{Trust, holds};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap, HashSet};
use tegata_core::talk::credit::{
    AuthorizationRequest, Authorize, Clear, ClearingCompletion, ClearingRequest, OutcomeState, PaymentRequest,
    ProcessorAnswer, ProcessorInfo, VoidAuthorization, merchant_line, offered, read_processor_answer, user_line,
};
use tegata_core::talk::update::kind_of;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{PublicKey, Signed, Verified};
use tegata_core::{DeviceId, Hash, Time};
use tegata_crypto_native::RecordVerifier;

/// What was captured: once for each payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captured {
    pub merchant: Id,
    pub book: Book,
    pub amount: u64,
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
    authorization: Option<Id>,
    ended: bool,
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
            authorization: row.get(8)?,
            ended: row.get::<Option<i64>>(9)?.is_some(),
        })
    }
    fn about(&self) -> String {
        format!("the credit payment of offer {} at dev-{}", self.offer, hex(&self.machine))
    }
}

/// What the processor was asked to clear, by the request's number; and how it answered.
struct Asked {
    request: Signed<Clear>,
    answer: Option<Verified<ClearingCompletion>>,
}

impl Credit {
    /// Reads and judges; a database of a format without credit has none.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut credit = Self::default();
        if format < 3 {
            return Ok(credit);
        }
        let mut processor = None;
        each(connection, "SELECT info FROM processor", [], |row| {
            processor = ProcessorInfo::from_bytes(&row.get::<Vec<u8>>(0)?).ok();
            Ok(())
        })?;
        let mut asked = cleared(connection, processor.as_ref().map(|info| &info.key), trust, checked, findings)?;
        let holds = Holds::read(connection, processor.as_ref().map(|info| &info.key), trust, checked)?;
        let sql =
            "SELECT machine, offer, state, merchant_body, user_body, clearing_body, clear, completion, authorization,
            ended FROM credit ORDER BY machine, offer";
        let mut numbers = HashSet::new();
        each(connection, sql, [], |row| {
            let row = Row::read(row)?;
            let kept = row.authorization.filter(|number| row.ended && !row.cleared && holds.are_kept(number));
            findings.expect(kept.is_none(), What::Row, || {
                let evidence = "approved by the bank, and nobody asked that it be let go";
                (row.about(), evidence.to_owned(), "ended without a payment", "its row of table credit".to_owned())
            });
            let captured = row.clear.and_then(|number| asked.remove(&number)).and_then(|asked| {
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
        let left = asked.values().find_map(|asked| asked.answer.as_ref());
        findings.expect(left.is_none(), What::Row, || {
            let amount = left.map_or(0, |answer| answer.amount.minor());
            let about = format!("clearing {}", left.map_or(String::new(), |answer| answer.clearing.to_string()));
            (about, format!("{amount} captured"), "no payment of it", "table asked".to_owned())
        });
        Ok(credit)
    }
}

/// What the bank approved, and what the processor was asked to let go, by the authorization's number.
#[derive(Default)]
struct Holds {
    approved: HashSet<Id>,
    let_go: HashSet<Id>,
}

impl Holds {
    fn read(
        connection: &Connection,
        processor: Option<&PublicKey>,
        trust: &Trust,
        checked: &mut u64,
    ) -> Result<Self, AuditError> {
        let mut holds = Self::default();
        each(connection, "SELECT body, answer FROM asked ORDER BY number", [], |row| {
            let (body, answer) = (row.get::<Vec<u8>>(0)?, row.get::<Option<Vec<u8>>>(1)?);
            match kind_of(&body) {
                Ok(Authorize::KIND) => {
                    let request = Signed::<Authorize>::decode(&body).ok();
                    let read =
                        request.as_ref().zip(answer.as_ref()).zip(processor).and_then(|((asked, answer), key)| {
                            *checked += 1;
                            read_processor_answer(answer, &asked.hash(&[]), key, &RecordVerifier)
                        });
                    if let (Some(request), Some(ProcessorAnswer::Outcome(outcome))) = (request, read)
                        && outcome.state == OutcomeState::Approved
                    {
                        holds.approved.insert(request.claimed().number.0);
                    }
                }
                Ok(VoidAuthorization::KIND) => {
                    let request = Signed::<VoidAuthorization>::decode(&body).ok();
                    *checked += 1;
                    let ours = request.filter(|request| trust.signed_by_provider(request));
                    holds.let_go.extend(ours.map(|request| request.claimed().authorization.0));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(holds)
    }
    /// Whether it was approved and nobody asked that it be let go.
    fn are_kept(&self, authorization: &Id) -> bool {
        self.approved.contains(authorization) && !self.let_go.contains(authorization)
    }
}

/// All that the processor was asked to clear.
fn cleared(
    connection: &Connection,
    processor: Option<&PublicKey>,
    trust: &Trust,
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<HashMap<Id, Asked>, AuditError> {
    let mut asked = HashMap::new();
    each(connection, "SELECT number, body, answer FROM asked ORDER BY number", [], |row| {
        let (number, body, answer) = (row.get::<Id>(0)?, row.get::<Vec<u8>>(1)?, row.get::<Option<Vec<u8>>>(2)?);
        let Ok(request) = Signed::<Clear>::decode(&body) else {
            return Ok(());
        };
        *checked += 1;
        let ours = request.claimed().number.0 == number && trust.signed_by_provider(&request);
        let read = answer.zip(processor).map(|(answer, key)| {
            *checked += 4;
            read_processor_answer(&answer, &request.hash(&[]), key, &RecordVerifier)
        });
        findings.expect(ours && read.as_ref().is_none_or(Option::is_some), What::Row, || {
            let about = format!("request {} to the processor", hex(&number));
            (about, "no such request, or no such answer", "one", "its row of table asked".to_owned())
        });
        let answer = match read.flatten() {
            Some(ProcessorAnswer::Cleared(completion)) => Some(completion),
            _ => None,
        };
        if ours {
            asked.insert(number, Asked { request, answer });
        }
        Ok(())
    })?;
    Ok(asked)
}

/// What a row's evidence comes to, if every part of it is signed by whom it should be and all parts name the same.
fn captured(row: &Row, asked: &Asked, trust: &Trust) -> Option<Captured> {
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
    fits.then_some(Captured { merchant, book, amount: theirs.amount.minor() })
}

fn by<T: Message + Clone>(bytes: &[u8], key: &PublicKey) -> Option<Signed<T>> {
    Signed::<T>::decode(bytes).ok().filter(|signed| holds(signed, key, &[]))
}
