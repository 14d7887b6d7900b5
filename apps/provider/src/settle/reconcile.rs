//! What the bank says of payouts: its statement (`camt.053`) against all that was ordered. The same statement again changes
//! nothing; a payout that came back is owed again by a posting of its own, once.

use super::SettleError;
use crate::desk::Desk;
use crate::{Provider, ProviderError};
use tegata_core::{Hash, Time};
use tegata_iso20022::camt053::{ReadError, Return, Statement};
use tegata_iso20022::pain001::Batch;
use tegata_iso20022::reconcile::{Contradiction, Difference, Outcome, Reconciliation, Unordered, reconcile};
use tegata_iso20022::value::Iban;
use tegata_ledger::{Account, Kind};
use tegata_store::{Cause, FileRow, StoreError, TransferRow, TransferState};

/// One payout, and what statements say of it.
#[derive(Clone, Debug)]
pub struct ReconciledPayout {
    /// The payout as it stands now.
    pub transfer: TransferRow,
    /// In words, for people.
    pub told: String,
    /// This statement changed how it stands.
    pub changed: bool,
    /// A person has to look: what the bank says is not what was ordered, or not what it said before.
    pub attention: bool,
}

/// What a statement brought.
#[derive(Clone, Debug)]
pub struct Reconciled {
    /// The statement was not here before.
    pub new: bool,
    /// All payouts ever ordered, by name.
    pub payouts: Vec<ReconciledPayout>,
    /// What was booked and nobody ordered.
    pub unordered: Vec<Unordered>,
    /// What the bank told twice, and differently.
    pub contradictions: Vec<Contradiction>,
}

impl Provider {
    /// Compares the bank's statement, and all before it, with all that was ordered.
    ///
    /// # Errors
    /// [`SettleError`], [`ProviderError`].
    pub fn reconcile(&mut self, statement: &[u8], now: Time) -> Result<Reconciled, ProviderError> {
        self.transact(now, [0; 32], |desk| take(desk, statement))
    }
}

fn take(desk: &mut Desk<'_>, statement: &[u8]) -> Result<Reconciled, ProviderError> {
    let files = desk.store.payout_files()?;
    let iban = account(&files, statement)?;
    let file = FileRow { at: desk.now, iban, body: statement.to_vec() };
    let new = desk.store.put_bank_statement(&file)?;
    let damaged = || ProviderError::Store(StoreError::Damaged);
    let batches: Vec<Batch> =
        files.iter().map(|file| Batch::read(&file.body)).collect::<Result<_, _>>().map_err(|_| damaged())?;
    let mut statements = Vec::new();
    for file in desk.store.bank_statements()? {
        let ours = Iban::new(&file.iban).map_err(|_| damaged())?;
        statements.push(Statement::read(&file.body, &ours).map_err(|_| damaged())?);
    }
    let found = reconcile(&batches, &statements).map_err(SettleError::Reconcile)?;
    let payouts = states(desk, &found)?;
    let (unordered, contradictions) = (found.unordered().to_vec(), found.contradictions().to_vec());
    Ok(Reconciled { new, payouts, unordered, contradictions })
}

/// Which of the accounts that ever paid this is the statement of.
fn account(files: &[FileRow], statement: &[u8]) -> Result<String, SettleError> {
    let mut last = SettleError::NothingOrdered;
    for file in files {
        let Ok(ours) = Iban::new(&file.iban) else { continue };
        match Statement::read(statement, &ours) {
            Ok(_) => return Ok(file.iban.clone()),
            Err(other @ ReadError::Account { .. }) => last = SettleError::Statement(other),
            Err(error) => return Err(SettleError::Statement(error)),
        }
    }
    Err(last)
}

fn states(desk: &mut Desk<'_>, found: &Reconciliation) -> Result<Vec<ReconciledPayout>, ProviderError> {
    let mut payouts = Vec::new();
    for payout in found.payouts() {
        let name = payout.transfer.end_to_end.as_str();
        let before = desk.store.transfer(name)?.ok_or(StoreError::Damaged)?;
        let (state, told) = says(&before, &payout.outcome);
        let mut transfer = TransferRow { state, why: Some(told.clone()), ..before.clone() };
        if state == TransferState::CameBack && before.back.is_none() {
            transfer.back = Some(desk.books.period(desk.store)?);
            owe_again(desk, &before)?;
        }
        let changed = (transfer.state, transfer.back) != (before.state, before.back);
        if transfer != before {
            desk.store.put_transfer(&transfer)?;
        }
        let ended = matches!(payout.outcome, Outcome::CameBack(_) | Outcome::Refused(_));
        let attention = state == TransferState::Differs || (before.back.is_some() && !ended);
        payouts.push(ReconciledPayout { transfer, told, changed, attention });
    }
    Ok(payouts)
}

/// Where a payout stands by what the bank says of it. What came back once was owed again, and stays so.
fn says(before: &TransferRow, outcome: &Outcome) -> (TransferState, String) {
    let (state, told) = match outcome {
        Outcome::Missing => (TransferState::Ordered, "no statement names it yet".to_owned()),
        Outcome::Pending => (TransferState::Ordered, "the bank expects to pay it".to_owned()),
        Outcome::Booked => (TransferState::Booked, "paid".to_owned()),
        Outcome::Refused(why) => (TransferState::CameBack, format!("refused: {}", reason(Some(why)))),
        Outcome::CameBack(why) => (TransferState::CameBack, format!("returned: {}", reason(why.as_ref()))),
        Outcome::Differs(how) => (TransferState::Differs, difference(*how).to_owned()),
    };
    if before.back.is_some() && state != TransferState::CameBack {
        return (TransferState::CameBack, format!("owed again, but now the bank says: {told}; look into it"));
    }
    (state, told)
}

fn reason(why: Option<&Return>) -> String {
    let Some(Return { reason, text }) = why else {
        return "the bank gave no reason".to_owned();
    };
    let meaning = reason.as_ref().and_then(|reason| reason.meaning()).map(str::to_owned);
    let text = text.as_ref().map(|text| text.to_string());
    meaning.or(text).unwrap_or_else(|| "see the bank's statement".to_owned())
}

fn difference(how: Difference) -> &'static str {
    match how {
        Difference::NotPaid => "given back, though no statement says that it was paid: one is missing",
        Difference::Currency => "booked in another currency",
        Difference::Twice => "booked more than once",
        Difference::Amount => "another amount was booked",
        Difference::Creditor => "paid to another account",
        Difference::Part => "given back in part, or more than was paid",
    }
}

/// What came back is payable again, in the books that it came from: as far as it was not undone since, which was taken off
/// what is paid already.
fn owe_again(desk: &mut Desk<'_>, transfer: &TransferRow) -> Result<(), ProviderError> {
    let (party, unit) = (transfer.party, transfer.unit);
    for (issuer, part) in desk.store.payout_parts(transfer.period, party, unit)? {
        let account = |kind| Account::new(issuer, unit, kind);
        let (from, to) = (account(Kind::Paid(party)), account(Kind::Payable(party)));
        let amount = desk.books.balance(desk.store, from)?.min(u64::try_from(part).unwrap_or(0));
        let reference = Hash::of(&[transfer.end_to_end.as_bytes(), &issuer.0].concat());
        desk.books.post(desk.store, (party.0, Cause::CameBack, reference), from, to, amount)?;
    }
    Ok(())
}
