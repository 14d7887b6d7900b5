//! A statement from XML: what we need of it, everything else that the schema has passed over at its place.

use super::entry::{Counterparty, Detail, Entry, Reason, Return, Side, Status};
use super::{Balance, NAMESPACE, ReadError, Statement, StatementHead};
use crate::value::{Date, Iban, Text, ValueError, currency, read_moment, trim};
use crate::xml::pull::Pull;
use tegata_core::money::{Amount, Time, Unit};

const STATEMENT: &str = "/Document/BkToCstmrStmt/Stmt";

/// What a balance is called: `None` for those that are not needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Opening,
    Previous,
    Closing,
}

/// Everything that a `Stmt` says.
struct Found {
    head: StatementHead,
    closing: Balance,
    closing_path: String,
    entries: Vec<Entry>,
}

pub(super) fn read(bytes: &[u8], ours: &Iban) -> Result<Statement, ReadError> {
    let mut pull = Pull::document(bytes, NAMESPACE)?;
    let found = pull.element("BkToCstmrStmt", |pull| {
        let group = pull.element("GrpHdr", |pull| {
            let message = pull.value("MsgId", |text| Text::new("MsgId", text))?;
            let made = pull.value("CreDtTm", moment)?;
            pull.skip(&["MsgRcpt"])?;
            one_page(pull, "MsgPgntn")?;
            pull.skip(&["OrgnlBizQry", "AddtlInf"])?;
            Ok::<_, ReadError>((message, made))
        })?;
        let found = pull.element("Stmt", |pull| statement(pull, group, ours))?;
        if pull.at("Stmt") {
            return Err(content(pull, "the file holds several statements; one a file is read"));
        }
        pull.skip(&["SplmtryData*"])?;
        Ok::<_, ReadError>(found)
    })?;
    pull.end()?;
    let statement = Statement::new(found.head, found.closing.date, found.entries).map_err(|why| {
        let entry = why
            .at()
            .map_or(String::new(), |at| if at == 0 { "/Ntry".to_owned() } else { format!("/Ntry[{}]", at + 1) });
        ReadError::Rule { path: format!("{STATEMENT}{entry}"), why }
    })?;
    let says = found.closing.side.signed(found.closing.amount);
    let computed = statement.closing.side.signed(statement.closing.amount);
    if says != computed {
        return Err(ReadError::Closing { path: found.closing_path, says, computed });
    }
    Ok(statement)
}

fn content(pull: &Pull<'_>, what: &'static str) -> ReadError {
    ReadError::Content { path: pull.path(), what }
}

fn moment(text: &str) -> Result<Time, ValueError> {
    Ok(read_moment(trim(text))?)
}

/// Pages of a longer statement have no opening and closing balance of their own.
fn one_page(pull: &mut Pull<'_>, name: &'static str) -> Result<(), ReadError> {
    pull.maybe(name, |pull| {
        let number = pull.value("PgNb", whole)?;
        let is_last = pull.value("LastPgInd", truth)?;
        if number == 1 && is_last { Ok(()) } else { Err(content(pull, "this is a page of a statement, not the whole")) }
    })?;
    Ok(())
}

fn whole(text: &str) -> Result<u64, ValueError> {
    let is_number = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or(ValueError::Code("1 to 18 digits"))
}

fn truth(text: &str) -> Result<bool, ValueError> {
    match trim(text) {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ValueError::Code("true or false")),
    }
}

fn side(text: &str) -> Result<Side, ValueError> {
    match text {
        "CRDT" => Ok(Side::Credit),
        "DBIT" => Ok(Side::Debit),
        _ => Err(ValueError::Code("CRDT or DBIT")),
    }
}

fn status(text: &str) -> Result<Status, ValueError> {
    match text {
        "BOOK" => Ok(Status::Booked),
        "PDNG" => Ok(Status::Pending),
        "INFO" => Ok(Status::Told),
        _ => Err(ValueError::Code("BOOK, PDNG or INFO")),
    }
}

/// A day, or the day of a moment, as it is written.
fn date(pull: &mut Pull<'_>, name: &'static str) -> Result<Date, ReadError> {
    pull.element(name, |pull| {
        if pull.at("DtTm") {
            return Ok(pull.value("DtTm", |text| {
                let text = trim(text);
                read_moment(text)?;
                Date::parse(text.split('T').next().unwrap_or_default())
            })?);
        }
        Ok(pull.value("Dt", |text| Date::parse(trim(text)))?)
    })
}

fn statement(pull: &mut Pull<'_>, (message, made): (Text<35>, Time), ours: &Iban) -> Result<Found, ReadError> {
    let id = pull.value("Id", |text| Text::new("Id", text))?;
    one_page(pull, "StmtPgntn")?;
    let electronic = pull.maybe_value("ElctrncSeqNb", |text| whole(trim(text)))?;
    pull.skip(&["RptgSeq"])?;
    let legal = pull.maybe_value("LglSeqNb", |text| whole(trim(text)))?;
    let Some(sequence) = electronic.or(legal) else { return Err(content(pull, "it has no sequence number")) };
    let created = pull.maybe_value("CreDtTm", moment)?.unwrap_or(made);
    pull.skip(&["FrToDt", "CpyDplctInd", "RptgSrc"])?;
    let kept_in = pull.element("Acct", |pull| account(pull, ours))?;
    pull.skip(&["RltdAcct", "Intrst*"])?;
    let (opening, (closing, closing_path)) = balances(pull)?;
    let unit = opening.amount.unit();
    if closing.amount.unit() != unit || kept_in.is_some_and(|kept_in| kept_in != unit) {
        return Err(content(pull, "account, opening and closing balance are not in one currency"));
    }
    pull.skip(&["TxsSummry"])?;
    let mut entries = Vec::new();
    while pull.at("Ntry") {
        entries.push(pull.element("Ntry", |pull| entry(pull, ours))?);
    }
    pull.skip(&["AddtlStmtInf"])?;
    let head = StatementHead { message, id, sequence, created, account: ours.clone(), opening };
    Ok(Found { head, closing, closing_path, entries })
}

fn account(pull: &mut Pull<'_>, ours: &Iban) -> Result<Option<Unit>, ReadError> {
    let other = |pull: &Pull<'_>| ReadError::Account { path: pull.path() };
    pull.element("Id", |pull| {
        if pull.at("Othr") || &pull.value("IBAN", Iban::new)? != ours {
            return Err(other(pull));
        }
        Ok(())
    })?;
    pull.skip(&["Tp"])?;
    let kept_in = pull.maybe_value("Ccy", currency)?;
    pull.skip(&["Nm", "Prxy", "Ownr", "Svcr"])?;
    Ok(kept_in)
}

/// The opening and closing balance; the latter with its place.
fn balances(pull: &mut Pull<'_>) -> Result<(Balance, (Balance, String)), ReadError> {
    let (mut opening, mut previous, mut closing) = (None, None, None);
    let mut is_first = true;
    while is_first || pull.at("Bal") {
        is_first = false;
        pull.element("Bal", |pull| {
            let Some((kind, balance)) = balance(pull)? else { return Ok(()) };
            let place = match kind {
                Kind::Opening => &mut opening,
                Kind::Previous => &mut previous,
                Kind::Closing => &mut closing,
            };
            match place.replace((balance, format!("{}/Amt", pull.path()))) {
                None => Ok(()),
                Some(_) => Err(content(pull, "there is such a balance already")),
            }
        })?;
    }
    let (Some((opening, _)), Some(closing)) = (opening.or(previous), closing) else {
        return Err(content(pull, "opening (OPBD or PRCD) or closing balance (CLBD) is missing"));
    };
    Ok((opening, closing))
}

fn balance(pull: &mut Pull<'_>) -> Result<Option<(Kind, Balance)>, ReadError> {
    let kind = pull.element("Tp", |pull| {
        let kind = pull.element("CdOrPrtry", |pull| {
            if pull.at("Prtry") {
                pull.pass_over()?;
                return Ok(None);
            }
            Ok::<_, ReadError>(pull.value("Cd", |text| {
                Ok::<_, ValueError>(match text {
                    "OPBD" => Some(Kind::Opening),
                    "PRCD" => Some(Kind::Previous),
                    "CLBD" => Some(Kind::Closing),
                    _ => None,
                })
            })?)
        })?;
        if pull.at("SubTp") {
            pull.pass_over()?;
            return Ok(None); // of a part of the day or of a page, not of the whole
        }
        Ok::<_, ReadError>(kind)
    })?;
    pull.skip(&["CdtLine*"])?;
    if kind.is_none() {
        pull.skip(&["Amt", "CdtDbtInd", "Dt", "Avlbty*"])?;
        return Ok(None);
    }
    let amount = pull.amount("Amt")?;
    let side = pull.value("CdtDbtInd", side)?;
    let date = date(pull, "Dt")?;
    pull.skip(&["Avlbty*"])?;
    Ok(kind.map(|kind| (kind, Balance { amount, side, date })))
}

fn entry(pull: &mut Pull<'_>, ours: &Iban) -> Result<Entry, ReadError> {
    pull.skip(&["NtryRef"])?;
    let amount = pull.amount("Amt")?;
    let entry_side = pull.value("CdtDbtInd", side)?;
    let is_reversal = pull.maybe_value("RvslInd", truth)?.unwrap_or(false);
    let status = pull.nested(&["Sts", "Cd"], status)?;
    let booked = date(pull, "BookgDt")?;
    pull.skip(&["ValDt"])?;
    let reference = pull.value("AcctSvcrRef", |text| Text::new("AcctSvcrRef", text))?;
    pull.skip(&["Avlbty*"])?;
    if !pull.at("BkTxCd") {
        return Err(pull.unexpected("<BkTxCd>").into());
    }
    pull.skip(&["BkTxCd", "ComssnWvrInd", "AddtlInfInd", "AmtDtls", "Chrgs", "TechInptChanl", "Intrst", "CardTx"])?;
    let mut details = Vec::new();
    let mut unsaid = 0;
    while pull.at("NtryDtls") {
        pull.element("NtryDtls", |pull| {
            pull.skip(&["Btch"])?;
            while pull.at("TxDtls") {
                let (detail, says_amount) = pull.element("TxDtls", |pull| detail(pull, (amount, entry_side), ours))?;
                details.push(detail);
                unsaid += usize::from(!says_amount);
            }
            Ok::<_, ReadError>(())
        })?;
    }
    if details.len() > 1 && unsaid > 0 {
        return Err(content(pull, "several payments are booked together and not all say their amounts"));
    }
    pull.skip(&["AddtlNtryInf"])?;
    Ok(Entry { reference, amount, side: entry_side, status, is_reversal, booked, details })
}

/// One payment, and whether it says its own amount.
fn detail(pull: &mut Pull<'_>, whole: (Amount, Side), ours: &Iban) -> Result<(Detail, bool), ReadError> {
    let end_to_end = pull.maybe("Refs", |pull| {
        pull.skip(&["MsgId", "AcctSvcrRef", "PmtInfId", "InstrId"])?;
        let id = pull.maybe_value("EndToEndId", |text| Text::new("EndToEndId", text))?;
        pull.skip(&["UETR", "TxId", "MndtId", "ChqNb", "ClrSysRef", "AcctOwnrTxId", "AcctSvcrTxId"])?;
        pull.skip(&["MktInfrstrctrTxId", "PrcgId", "Prtry*"])?;
        Ok::<_, ReadError>(id.filter(|id| id.as_str() != "NOTPROVIDED"))
    })?;
    let own = if pull.at("Amt") { Some(pull.amount("Amt")?) } else { None };
    let side = pull.maybe_value("CdtDbtInd", side)?.unwrap_or(whole.1);
    pull.skip(&["AmtDtls", "Avlbty*", "BkTxCd", "Chrgs", "Intrst"])?;
    let parties = pull.maybe("RltdPties", parties)?;
    pull.skip(&["RltdAgts", "LclInstrm", "Purp", "RltdRmtInf*", "RmtInf", "RltdDts", "RltdPric", "RltdQties*"])?;
    pull.skip(&["FinInstrmId", "Tax"])?;
    let returned = pull.maybe("RtrInf", given_back)?;
    pull.skip(&["CorpActn", "SfkpgAcct", "CshDpst*", "CardTx", "AddtlTxInf", "SplmtryData*"])?;
    let counterparty = parties.and_then(|(debtor, creditor)| {
        let (other, fallback) =
            if side == Side::Debit || returned.is_some() { (creditor, debtor) } else { (debtor, creditor) };
        // A bank may turn the parties round when it gives money back; the other one is never ourselves.
        let is_us = |party: &Counterparty| party.account.as_ref() == Some(ours);
        match (other, fallback) {
            (Some(other), Some(fallback)) if is_us(&other) => Some(fallback),
            (other, fallback) => other.or(fallback),
        }
    });
    let amount = own.unwrap_or(whole.0);
    Ok((Detail { end_to_end: end_to_end.flatten(), amount, side, counterparty, returned }, own.is_some()))
}

/// Debtor and creditor.
type Parties = (Option<Counterparty>, Option<Counterparty>);

fn parties(pull: &mut Pull<'_>) -> Result<Parties, ReadError> {
    pull.skip(&["InitgPty"])?;
    let debtor = party(pull, "Dbtr", "DbtrAcct")?;
    pull.skip(&["UltmtDbtr"])?;
    let creditor = party(pull, "Cdtr", "CdtrAcct")?;
    pull.skip(&["UltmtCdtr", "TradgPty", "Prtry*"])?;
    Ok((debtor, creditor))
}

fn party(pull: &mut Pull<'_>, who: &'static str, account: &'static str) -> Result<Option<Counterparty>, ReadError> {
    let name = pull.maybe(who, |pull| {
        if pull.at("Agt") {
            pull.pass_over()?;
            return Ok(None);
        }
        pull.element("Pty", |pull| {
            let name = pull.maybe_value("Nm", |text| Text::folded("Nm", text))?;
            pull.skip(&["PstlAdr", "Id", "CtryOfRes", "CtctDtls"])?;
            Ok::<_, ReadError>(name)
        })
    })?;
    let account = pull.maybe(account, |pull| {
        let account = pull.element("Id", |pull| {
            if pull.at("Othr") {
                pull.pass_over()?;
                return Ok(None);
            }
            Ok::<_, ReadError>(Some(pull.value("IBAN", Iban::new)?))
        })?;
        pull.skip(&["Tp", "Ccy", "Nm", "Prxy"])?;
        Ok::<_, ReadError>(account)
    })?;
    let (name, account) = (name.flatten(), account.flatten());
    Ok((name.is_some() || account.is_some()).then_some(Counterparty { name, account }))
}

fn given_back(pull: &mut Pull<'_>) -> Result<Return, ReadError> {
    pull.skip(&["OrgnlBkTxCd", "Orgtr"])?;
    let reason = pull.maybe("Rsn", |pull| {
        if pull.at("Prtry") {
            return Ok(Reason::Own(pull.value("Prtry", |text| Text::new("Prtry", text))?));
        }
        Ok::<_, ReadError>(Reason::Code(pull.value("Cd", |text| Text::new("Cd", text))?))
    })?;
    let text = pull.maybe_value("AddtlInf", |text| Text::folded("AddtlInf", text))?;
    pull.skip(&["AddtlInf*"])?;
    Ok(Return { reason, text })
}
