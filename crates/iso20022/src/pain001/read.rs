//! A batch from XML: our profile, every element in its place, every computed number computed again.

use super::{Batch, BatchError, BatchHead, Block, Creditor, Debtor, MAX_TRANSFERS, NAMESPACE, ReadError, Transfer};
use crate::value::{Bic, ControlSum, Date, EndToEndId, Iban, MessageId, Sepa, ValueError, read_moment, trim};
use crate::xml::pull::Pull;
use tegata_core::money::{Amount, Time, Unit};

const ROOT: &str = "/Document/CstmrCdtTrfInitn";

/// What a header or block says of its transfers.
struct Totals {
    path: String,
    count: String,
    sum: ControlSum,
}

/// The beginning of a block.
struct Payment {
    path: String,
    id: String,
    totals: Totals,
    is_sepa: bool,
    execution: Date,
    debtor: Debtor,
    charges: String,
    transfers: Vec<Transfer>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Batch, ReadError> {
    let mut pull = Pull::document(bytes, NAMESPACE)?;
    let (message, created, totals, initiator, payments) = pull.element("CstmrCdtTrfInitn", |pull| {
        let (message, created, totals, initiator) = pull.element("GrpHdr", group)?;
        let mut payments = vec![pull.element("PmtInf", payment)?];
        while pull.at("PmtInf") {
            payments.push(pull.element("PmtInf", payment)?);
            if payments.iter().map(|payment| payment.transfers.len()).sum::<usize>() > MAX_TRANSFERS {
                return Err(ReadError::Rule { path: ROOT.into(), why: BatchError::Many(MAX_TRANSFERS + 1) });
            }
        }
        Ok((message, created, totals, initiator, payments))
    })?;
    pull.end()?;

    let [first, others @ ..] = &payments[..] else {
        return Err(ReadError::Rule { path: ROOT.into(), why: BatchError::Empty });
    };
    let (debtor, execution) = (first.debtor.clone(), first.execution);
    if initiator != debtor.name {
        return Err(block_error(format!("{ROOT}/GrpHdr/InitgPty/Nm"), "the debtor of the payments must initiate them"));
    }
    for other in others {
        if other.debtor != debtor || other.execution != execution {
            return Err(block_error(other.path.clone(), "debtor and execution date must be those of the first block"));
        }
    }
    agree(&message, &payments)?;
    check(&totals, payments.iter().flat_map(|payment| &payment.transfers))?;
    let head = BatchHead { message, created, debtor, execution };
    let places = places(&payments);
    let transfers = payments.into_iter().flat_map(|payment| payment.transfers).collect();
    Batch::new(head, transfers).map_err(|why| {
        let path =
            why.at().and_then(|at| places.iter().find(|(from, _)| *from <= at).map(|(from, path)| (at - from, path)));
        let path = path.map_or(ROOT.to_owned(), |(at, path)| format!("{path}/CdtTrfTxInf{}", nth(at)));
        ReadError::Rule { path, why }
    })
}

fn block_error(path: String, what: &'static str) -> ReadError {
    ReadError::Block { path, what }
}

fn nth(at: usize) -> String {
    if at == 0 { String::new() } else { format!("[{}]", at + 1) }
}

/// Where each block's transfers begin in the whole, the last block first.
fn places(payments: &[Payment]) -> Vec<(usize, String)> {
    let mut from = 0;
    let mut places = Vec::new();
    for payment in payments {
        places.push((from, payment.path.clone()));
        from += payment.transfers.len();
    }
    places.reverse();
    places
}

/// Each block is of one currency that no other has, and says of itself what follows from it.
fn agree(message: &MessageId, payments: &[Payment]) -> Result<(), ReadError> {
    let mut seen: Vec<Unit> = Vec::new();
    for payment in payments {
        let Some(currency) = payment.transfers.first().map(|transfer| transfer.amount.unit()) else { continue };
        let fail = |element: &str, what| Err(block_error(format!("{}{element}", payment.path), what));
        if let Some(at) = payment.transfers.iter().position(|transfer| transfer.amount.unit() != currency) {
            let element = format!("/CdtTrfTxInf{}/Amt/InstdAmt", nth(at));
            return fail(&element, "all transfers of a block are in one currency");
        }
        if seen.contains(&currency) {
            return fail("", "there is a block of this currency already");
        }
        seen.push(currency);
        let block = Block { currency, transfers: &payment.transfers };
        if payment.id != block.id(message) {
            return fail("/PmtInfId", "a block is called by the message, a hyphen and the currency");
        }
        if payment.is_sepa != block.is_sepa() {
            return fail("/PmtTpInf", "the service level is SEPA for euros, and none is given otherwise");
        }
        if payment.charges != block.charges() {
            return fail("/ChrgBr", "charges are SLEV for euros and SHAR otherwise");
        }
        check(&payment.totals, &payment.transfers)?;
    }
    Ok(())
}

fn check<'a>(totals: &Totals, transfers: impl IntoIterator<Item = &'a Transfer> + Clone) -> Result<(), ReadError> {
    let count = transfers.clone().into_iter().count().to_string();
    if totals.count != count {
        let path = format!("{}/NbOfTxs", totals.path);
        return Err(ReadError::Computed { path, says: totals.count.clone(), computed: count });
    }
    let path = format!("{}/CtrlSum", totals.path);
    match ControlSum::of(transfers.into_iter().map(|transfer| transfer.amount)) {
        None => Err(ReadError::Rule { path, why: BatchError::Sum }),
        Some(sum) if sum != totals.sum => {
            Err(ReadError::Computed { path, says: totals.sum.to_string(), computed: sum.to_string() })
        }
        Some(_) => Ok(()),
    }
}

fn group(pull: &mut Pull<'_>) -> Result<(MessageId, Time, Totals, Sepa<70>), ReadError> {
    let message = pull.value("MsgId", MessageId::new)?;
    let created = pull.value("CreDtTm", |text| read_moment(trim(text)))?;
    let totals = totals(pull)?;
    let initiator = pull.nested(&["InitgPty", "Nm"], |text| Sepa::new("Nm", text))?;
    Ok((message, created, totals, initiator))
}

fn totals(pull: &mut Pull<'_>) -> Result<Totals, ReadError> {
    let path = pull.path();
    let count = pull.value("NbOfTxs", |text| {
        let is_count = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_count { Ok(text.trim_start_matches('0').to_owned()) } else { Err(ValueError::Code("1 to 15 digits")) }
    })?;
    let sum = pull.value("CtrlSum", ControlSum::parse)?;
    Ok(Totals { path, count, sum })
}

fn payment(pull: &mut Pull<'_>) -> Result<Payment, ReadError> {
    let path = pull.path();
    let id = pull.value("PmtInfId", |text| Ok::<_, ValueError>(text.to_owned()))?;
    pull.fixed("PmtMtd", "TRF")?;
    pull.fixed("BtchBookg", "false")?;
    let totals = totals(pull)?;
    let is_sepa = pull.maybe("PmtTpInf", |pull| pull.element("SvcLvl", |pull| pull.fixed("Cd", "SEPA")))?.is_some();
    let execution = pull.nested(&["ReqdExctnDt", "Dt"], |text| Date::parse(trim(text)))?;
    let debtor = Debtor {
        name: pull.nested(&["Dbtr", "Nm"], |text| Sepa::new("Nm", text))?,
        account: pull.nested(&["DbtrAcct", "Id", "IBAN"], Iban::new)?,
        bank: pull.nested(&["DbtrAgt", "FinInstnId", "BICFI"], Bic::new)?,
    };
    let charges = pull.value("ChrgBr", |text| Ok::<_, ValueError>(text.to_owned()))?;
    let mut transfers = vec![pull.element("CdtTrfTxInf", transfer)?];
    while pull.at("CdtTrfTxInf") {
        if transfers.len() == MAX_TRANSFERS {
            return Err(ReadError::Rule { path, why: BatchError::Many(MAX_TRANSFERS + 1) });
        }
        transfers.push(pull.element("CdtTrfTxInf", transfer)?);
    }
    Ok(Payment { path, id, totals, is_sepa, execution, debtor, charges, transfers })
}

fn transfer(pull: &mut Pull<'_>) -> Result<Transfer, ReadError> {
    let end_to_end = pull.nested(&["PmtId", "EndToEndId"], EndToEndId::new)?;
    let amount: Amount = pull.element("Amt", |pull| pull.amount("InstdAmt"))?;
    let bank =
        if pull.at("CdtrAgt") { Some(pull.nested(&["CdtrAgt", "FinInstnId", "BICFI"], Bic::new)?) } else { None };
    let creditor = Creditor {
        bank,
        name: pull.nested(&["Cdtr", "Nm"], |text| Sepa::new("Nm", text))?,
        account: pull.nested(&["CdtrAcct", "Id", "IBAN"], Iban::new)?,
    };
    let remittance = if pull.at("RmtInf") {
        Some(pull.nested(&["RmtInf", "Ustrd"], |text| Sepa::new("Ustrd", text))?)
    } else {
        None
    };
    Ok(Transfer { end_to_end, amount, creditor, remittance })
}
