//! Messages to the bank, put together from what is stored: the same rows give the same message, also after a crash.

use super::Desk;
use crate::ProcessorError;
use crate::line::{Job, Patience};
use crate::store::{AskedRow, AuthorizationRow, Purpose, State, StoreError};
use tegata_core::talk::credit::PaymentOption as Wanted;
use tegata_core::{Amount, RequestNumber, Time};
use tegata_iso8583::{
    Acceptor, AuthorizationId, CardAmount, ConditionCode, EntryMode, Expiry, Financial, Instalments, Local, MerchantId,
    MerchantType, NameLocation, Pan, Payment, PaymentOption, ProcessingCode, Reference, Request, Stan, TerminalId,
    Trace, Transmitted,
};

/// How bank and processor call an authorization in all messages about it (field 37).
pub(crate) fn reference(row: &AuthorizationRow) -> String {
    format!("{:012}", row.sequence % 1_000_000_000_000)
}

fn wrong(what: &'static str) -> ProcessorError {
    ProcessorError::Message(what)
}

impl Desk<'_> {
    /// Writes a message to the bank, to be sent once this is durable. Without `stan`, it gets the next trace number.
    pub(super) fn ask_bank(
        &mut self,
        row: &AuthorizationRow,
        number: RequestNumber,
        purpose: Purpose,
        amount: u64,
        stan: Option<u32>,
    ) -> Result<(), ProcessorError> {
        let stan = match stan {
            Some(stan) => stan,
            None => self.store.next_stan()?,
        };
        let mut asked = AskedRow {
            id: 0,
            provider: row.provider,
            number,
            authorization: row.number,
            purpose,
            stan,
            sent: self.now,
            amount,
            response: None,
            open: true,
        };
        asked.id = self.store.put_asked(&asked)?;
        let job = self.job(row, &asked, false, 0)?;
        self.jobs.push(job);
        Ok(())
    }
    /// The job of a stored message.
    pub(super) fn job(
        &self,
        row: &AuthorizationRow,
        asked: &AskedRow,
        repeat: bool,
        delay: u64,
    ) -> Result<Job, ProcessorError> {
        let patience = match asked.purpose {
            Purpose::Authorize => Patience::Once,
            _ => Patience::UntilAnswered,
        };
        Ok(Job { id: asked.id, request: self.request(row, asked)?, patience, repeat, delay })
    }
    fn request(&self, row: &AuthorizationRow, asked: &AskedRow) -> Result<Request, ProcessorError> {
        let authorized = self.payment(row)?;
        let stan = Stan::new(asked.stan).ok_or(wrong("trace number"))?;
        let sent = Transmitted::at(asked.sent);
        let amount = Amount::new(row.amount.unit(), asked.amount).and_then(CardAmount::new).ok_or(wrong("amount"))?;
        match asked.purpose {
            Purpose::Authorize => Ok(Request::Authorization(authorized)),
            Purpose::Capture => self.capture(row, &authorized, amount, (stan, sent)),
            Purpose::Refund => {
                let (stan_then, sent_then) = row.capture.ok_or(wrong("refund of nothing"))?;
                let trace = Self::trace(self, row, stan_then, sent_then)?;
                let captured = Amount::new(row.amount.unit(), row.captured).and_then(CardAmount::new);
                let posted = Payment { amount: captured.ok_or(wrong("amount"))?, trace, ..authorized };
                let refund = Financial::refund(&posted, amount, stan, sent);
                refund.map(Request::Financial).ok_or(wrong("refund"))
            }
            Purpose::Reverse => {
                let undone = if matches!(row.state, State::ReversingCapture | State::UndoneCapture) {
                    let (stan_then, sent_then) = row.capture.ok_or(wrong("reversal of nothing"))?;
                    let stan_then = Stan::new(stan_then).ok_or(wrong("trace number"))?;
                    self.capture(row, &authorized, amount, (stan_then, Transmitted::at(sent_then)))?
                } else {
                    Request::Authorization(authorized)
                };
                let reversal = undone.reversal(stan, sent, self.code(row), None);
                reversal.map(Request::Reversal).ok_or(wrong("reversal"))
            }
        }
    }
    fn capture(
        &self,
        row: &AuthorizationRow,
        authorized: &Payment,
        amount: CardAmount,
        (stan, sent): (Stan, Transmitted),
    ) -> Result<Request, ProcessorError> {
        let code = self.code(row).ok_or(wrong("authorization id"))?;
        let capture = Financial::capture(authorized, code, amount, stan, sent);
        capture.map(Request::Financial).ok_or(wrong("capture"))
    }
    fn code(&self, row: &AuthorizationRow) -> Option<AuthorizationId> {
        row.code.as_deref().and_then(AuthorizationId::new)
    }
    fn trace(&self, row: &AuthorizationRow, stan: u32, sent: Time) -> Result<Trace, ProcessorError> {
        Ok(Trace {
            stan: Stan::new(stan).ok_or(wrong("trace number"))?,
            transmitted: Transmitted::at(sent),
            acquirer: self.acquirer,
            reference: Reference::new(&reference(row)).ok_or(wrong("reference"))?,
        })
    }
    /// The payment as it was authorized.
    fn payment(&self, row: &AuthorizationRow) -> Result<Payment, ProcessorError> {
        let (pan, expiry) = self.card(row)?;
        let merchant = self.store.account(row.provider, row.merchant)?.and_then(|account| account.merchant);
        let merchant = merchant.ok_or(StoreError::Damaged)?;
        let category = u16::try_from(merchant.category).ok().and_then(MerchantType::new);
        let option = match row.option {
            Wanted::Once => PaymentOption::Once,
            Wanted::Bonus => PaymentOption::Bonus,
            Wanted::Instalments(count) => PaymentOption::Instalments(Instalments::new(count).ok_or(wrong("option"))?),
        };
        // The bank's field holds 8 characters: the first four bytes of the machine's id.
        let terminal: String = row.machine.0[..4].iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Payment {
            pan,
            processing: ProcessingCode::PURCHASE,
            amount: CardAmount::new(row.amount).ok_or(wrong("amount"))?,
            trace: self.trace(row, row.sent.0, row.sent.1)?,
            local: Local::at(row.at, 0),
            expiry: Some(expiry),
            acceptor: Acceptor {
                category: category.ok_or(StoreError::Damaged)?,
                terminal: TerminalId::new(&terminal).ok_or(wrong("terminal"))?,
                merchant: MerchantId::new(&merchant.code).ok_or(StoreError::Damaged)?,
                name: NameLocation::new(&merchant.name),
            },
            entry: EntryMode::MANUAL,
            condition: ConditionCode::REMOTE_ORDER,
            option: Some(option),
        })
    }
    /// The card of an authorization, out of the vault.
    fn card(&self, row: &AuthorizationRow) -> Result<(Pan, Expiry), ProcessorError> {
        let (nonce, sealed) = self.store.vaulted(row.user)?.ok_or(StoreError::Damaged)?;
        let plain = self.shared.keys.unlock(row.user, nonce, &sealed).ok_or(ProcessorError::Vault)?;
        let ([year, month], digits) = plain.split_first_chunk::<2>().ok_or(ProcessorError::Vault)?;
        let pan = Pan::parse(digits).map_err(|_| ProcessorError::Vault)?;
        Ok((pan, Expiry::new(*year, *month).ok_or(ProcessorError::Vault)?))
    }
}
