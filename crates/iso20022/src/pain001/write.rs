//! A batch as XML.

use super::{Batch, Block, NAMESPACE, Transfer, created, sum};
use crate::xml::out::Out;

pub(super) fn write(batch: &Batch) -> Vec<u8> {
    let mut out = Out::new(NAMESPACE);
    out.element("CstmrCdtTrfInitn", |out| {
        out.element("GrpHdr", |out| {
            out.leaf("MsgId", batch.head.message.as_str());
            out.leaf("CreDtTm", &created(&batch.head));
            totals(out, &batch.transfers);
            out.nested(&["InitgPty", "Nm"], batch.head.debtor.name.as_str());
        });
        for block in batch.blocks() {
            out.element("PmtInf", |out| payment(out, batch, &block));
        }
    });
    out.finish()
}

fn totals(out: &mut Out, transfers: &[Transfer]) {
    out.leaf("NbOfTxs", &transfers.len().to_string());
    out.leaf("CtrlSum", &sum(transfers).to_string());
}

fn payment(out: &mut Out, batch: &Batch, block: &Block<'_>) {
    let head = &batch.head;
    out.leaf("PmtInfId", &block.id(&head.message));
    out.leaf("PmtMtd", "TRF");
    out.leaf("BtchBookg", "false");
    totals(out, block.transfers);
    if block.is_sepa() {
        out.nested(&["PmtTpInf", "SvcLvl", "Cd"], "SEPA");
    }
    out.nested(&["ReqdExctnDt", "Dt"], &head.execution.to_string());
    out.nested(&["Dbtr", "Nm"], head.debtor.name.as_str());
    out.nested(&["DbtrAcct", "Id", "IBAN"], head.debtor.account.as_str());
    out.nested(&["DbtrAgt", "FinInstnId", "BICFI"], head.debtor.bank.as_str());
    out.leaf("ChrgBr", block.charges());
    for transfer in block.transfers {
        out.element("CdtTrfTxInf", |out| {
            out.nested(&["PmtId", "EndToEndId"], transfer.end_to_end.as_str());
            out.element("Amt", |out| out.amount("InstdAmt", transfer.amount));
            if let Some(bank) = &transfer.creditor.bank {
                out.nested(&["CdtrAgt", "FinInstnId", "BICFI"], bank.as_str());
            }
            out.nested(&["Cdtr", "Nm"], transfer.creditor.name.as_str());
            out.nested(&["CdtrAcct", "Id", "IBAN"], transfer.creditor.account.as_str());
            if let Some(remittance) = &transfer.remittance {
                out.nested(&["RmtInf", "Ustrd"], remittance.as_str());
            }
        });
    }
}
