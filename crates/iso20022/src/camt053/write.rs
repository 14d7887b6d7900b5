//! A statement as XML.

use super::{Balance, Detail, Entry, NAMESPACE, Reason, Return, Side, Statement, created};
use crate::xml::out::Out;

pub(super) fn write(statement: &Statement) -> Vec<u8> {
    let head = &statement.head;
    let mut out = Out::new(NAMESPACE);
    out.element("BkToCstmrStmt", |out| {
        out.element("GrpHdr", |out| {
            out.leaf("MsgId", head.message.as_str());
            out.leaf("CreDtTm", &created(head));
        });
        out.element("Stmt", |out| {
            out.leaf("Id", head.id.as_str());
            out.leaf("ElctrncSeqNb", &head.sequence.to_string());
            out.leaf("CreDtTm", &created(head));
            out.element("Acct", |out| {
                out.nested(&["Id", "IBAN"], head.account.as_str());
                out.leaf("Ccy", statement.currency().name());
            });
            balance(out, "OPBD", &head.opening);
            balance(out, "CLBD", &statement.closing);
            for one in &statement.entries {
                out.element("Ntry", |out| entry(out, one));
            }
        });
    });
    out.finish()
}

fn balance(out: &mut Out, code: &str, balance: &Balance) {
    out.element("Bal", |out| {
        out.nested(&["Tp", "CdOrPrtry", "Cd"], code);
        out.amount("Amt", balance.amount);
        out.leaf("CdtDbtInd", balance.side.code());
        out.nested(&["Dt", "Dt"], &balance.date.to_string());
    });
}

fn entry(out: &mut Out, entry: &Entry) {
    out.amount("Amt", entry.amount);
    out.leaf("CdtDbtInd", entry.side.code());
    if entry.is_reversal {
        out.leaf("RvslInd", "true");
    }
    out.nested(&["Sts", "Cd"], entry.status.code());
    out.nested(&["BookgDt", "Dt"], &entry.booked.to_string());
    out.leaf("AcctSvcrRef", entry.reference.as_str());
    let is_return = entry.details.iter().any(|detail| detail.returned.is_some());
    out.element("BkTxCd", |out| {
        out.element("Domn", |out| {
            out.leaf("Cd", "PMNT");
            out.element("Fmly", |out| {
                // Issued and received credit transfers; RRTN: a return of one; OTHR: which kind is not said.
                out.leaf("Cd", if entry.side == Side::Debit { "ICDT" } else { "RCDT" });
                out.leaf("SubFmlyCd", if is_return { "RRTN" } else { "OTHR" });
            });
        });
    });
    if !entry.details.is_empty() {
        out.element("NtryDtls", |out| {
            for one in &entry.details {
                out.element("TxDtls", |out| detail(out, one));
            }
        });
    }
}

fn detail(out: &mut Out, detail: &Detail) {
    let id = detail.end_to_end.as_ref().map_or("NOTPROVIDED", |id| id.as_str());
    out.nested(&["Refs", "EndToEndId"], id);
    out.amount("Amt", detail.amount);
    out.leaf("CdtDbtInd", detail.side.code());
    if let Some(party) = &detail.counterparty {
        // Of what comes back, the parties keep the parts they had.
        let is_creditor = detail.side == Side::Debit || detail.returned.is_some();
        let (who, account) = if is_creditor { ("Cdtr", "CdtrAcct") } else { ("Dbtr", "DbtrAcct") };
        out.element("RltdPties", |out| {
            if let Some(name) = &party.name {
                out.nested(&[who, "Pty", "Nm"], name.as_str());
            }
            if let Some(iban) = &party.account {
                out.nested(&[account, "Id", "IBAN"], iban.as_str());
            }
        });
    }
    if let Some(returned) = &detail.returned {
        out.element("RtrInf", |out| given_back(out, returned));
    }
}

fn given_back(out: &mut Out, returned: &Return) {
    match &returned.reason {
        Some(Reason::Code(code)) => out.nested(&["Rsn", "Cd"], code.as_str()),
        Some(Reason::Own(word)) => out.nested(&["Rsn", "Prtry"], word.as_str()),
        None => {}
    }
    if let Some(text) = &returned.text {
        out.leaf("AddtlInf", text.as_str());
    }
}
