//! What follows from the bank's word, or from its silence. Nothing here guesses: what the bank did not say is undone or asked again.

use super::Desk;
use super::bank::reference;
use crate::ProcessorError;
use crate::store::{AskedRow, AuthorizationRow, Purpose, State, StoreError};
use tegata_core::talk::credit::{
    Audience, ClearingCompletion, ClearingInformation, DeclineReason, Outcome, OutcomeState, VoidAuthorization,
};
use tegata_core::wire::canonical::Message;
use tegata_core::{Amount, ClearingNumber};
use tegata_iso8583::{MessageType, PaymentAnswer, ResponseCode, Transmitted, Verdict};

/// How long a bank that said "later" or something unclear is left alone, in milliseconds.
const LATER: u64 = 30_000;

impl Desk<'_> {
    fn authorization_of(&self, asked: &AskedRow) -> Result<AuthorizationRow, ProcessorError> {
        Ok(self.store.authorization(asked.provider, asked.authorization)?.ok_or(StoreError::Damaged)?)
    }
    /// The bank's answer to a message of ours. One that is not open any more changes nothing.
    pub(super) fn bank_answered(&mut self, id: u64, answer: &PaymentAnswer) -> Result<(), ProcessorError> {
        let Some(asked) = self.store.asked(id)?.filter(|asked| asked.open) else { return Ok(()) };
        let row = self.authorization_of(&asked)?;
        let verdict = answer.response.verdict();
        // Of what has been sent until answered, an unclear answer is none: it is asked again.
        let unclear = match asked.purpose {
            Purpose::Authorize => false,
            Purpose::Capture | Purpose::Refund => matches!(verdict, Verdict::Unknown | Verdict::Again),
            Purpose::Reverse => verdict != Verdict::Approved && answer.response != ResponseCode::OriginalNotFound,
        };
        if unclear {
            let why = format!("bank: answer {} says nothing certain", answer.response.code());
            tracing::warn!(stan = asked.stan, "{why}");
            self.store.put_refusal(self.now, &why, Some(asked.provider), None)?;
            return self.ask_again(&row, &asked, answer);
        }
        self.store.close_asked(id, answer.response.code())?;
        match asked.purpose {
            Purpose::Authorize => self.authorization_answered(row, &asked, answer),
            Purpose::Capture => self.capture_answered(row, &asked, answer),
            Purpose::Refund => self.refund_answered(row, &asked, answer),
            Purpose::Reverse => self.reversal_answered(row),
        }
    }
    /// Asks again, later. A reversal under a new trace number: the bank would answer the old one as it did, and undoing twice is
    /// undoing once. What takes or pays back money under the same one, by which the bank knows the repeat: also where it says
    /// "later", since that may be its answer to a repeat of what it has done.
    fn ask_again(
        &mut self,
        row: &AuthorizationRow,
        asked: &AskedRow,
        answer: &PaymentAnswer,
    ) -> Result<(), ProcessorError> {
        if asked.purpose == Purpose::Reverse {
            self.store.close_asked(asked.id, answer.response.code())?;
            self.ask_bank(row, asked.number, Purpose::Reverse, asked.amount, None)?;
            if let Some(job) = self.jobs.last_mut() {
                job.delay = LATER;
            }
            return Ok(());
        }
        let job = self.job(row, asked, true, LATER)?;
        self.jobs.push(job);
        Ok(())
    }
    fn authorization_answered(
        &mut self,
        mut row: AuthorizationRow,
        asked: &AskedRow,
        answer: &PaymentAnswer,
    ) -> Result<(), ProcessorError> {
        if row.state != State::Sent {
            return Ok(());
        }
        row.code = answer.authorization.map(|code| code.as_str().to_owned());
        let partial = answer.response == ResponseCode::PartialApproval;
        match answer.response.verdict() {
            Verdict::Approved if !partial || row.partial => {
                row.state = State::Approved;
                row.approved = answer.amount.get().minor();
                self.store.put_authorization(&row)?;
                self.tell(asked, |outcome| Outcome {
                    state: OutcomeState::Approved,
                    amount: Some(answer.amount.get()),
                    ..outcome
                })
            }
            Verdict::Approved => self.undo(row, asked, State::ReversingPartial),
            Verdict::Unknown => self.undo(row, asked, State::ReversingUnknown),
            Verdict::Declined | Verdict::Again => {
                row.state = State::Declined;
                self.store.put_authorization(&row)?;
                self.decline(asked, reason(answer.response))
            }
        }
    }
    /// Undoes an authorization, done or not.
    fn undo(&mut self, mut row: AuthorizationRow, asked: &AskedRow, state: State) -> Result<(), ProcessorError> {
        row.state = state;
        self.store.put_authorization(&row)?;
        self.ask_bank(&row, asked.number, Purpose::Reverse, row.amount.minor(), None)
    }
    /// No answer came to a message that is sent once.
    pub(super) fn bank_silent(&mut self, id: u64) -> Result<(), ProcessorError> {
        let Some(asked) = self.store.asked(id)?.filter(|asked| asked.open) else { return Ok(()) };
        let row = self.authorization_of(&asked)?;
        self.store.close_asked(id, "silent")?;
        if row.state == State::Sent { self.undo(row, &asked, State::ReversingUnknown) } else { Ok(()) }
    }
    fn reversal_answered(&mut self, mut row: AuthorizationRow) -> Result<(), ProcessorError> {
        let Some(undone) = row.state.undone() else { return Ok(()) };
        row.state = undone;
        self.store.put_authorization(&row)?;
        let partial = matches!(undone, State::UndonePartial | State::UndoneCapture);
        let reason = if partial { DeclineReason::Partial } else { DeclineReason::Undone };
        for waiting in self.store.waiting(row.provider, row.number)? {
            let outcome = self.shared.outcome(waiting.number, OutcomeState::Declined, self.now);
            let outcome = if waiting.kind == VoidAuthorization::KIND {
                Outcome { state: OutcomeState::Voided, amount: Amount::new(row.amount.unit(), row.approved), ..outcome }
            } else {
                Outcome { reason: Some(reason), ..outcome }
            };
            self.settle(&waiting, outcome)?;
        }
        Ok(())
    }
    fn capture_answered(
        &mut self,
        mut row: AuthorizationRow,
        asked: &AskedRow,
        answer: &PaymentAnswer,
    ) -> Result<(), ProcessorError> {
        if row.state != State::Capturing {
            return Ok(());
        }
        if answer.response.verdict() != Verdict::Approved {
            row.state = State::Approved;
            row.capture = None;
            self.store.put_authorization(&row)?;
            return self.decline(asked, reason(answer.response));
        }
        let taken = answer.amount.get();
        if taken.minor() != asked.amount {
            // A part is not what was asked for: it is undone, and nothing was taken.
            row.state = State::ReversingCapture;
            self.store.put_authorization(&row)?;
            return self.ask_bank(&row, asked.number, Purpose::Reverse, asked.amount, None);
        }
        let clearing = ClearingNumber(self.draw_id());
        row.state = State::Captured;
        row.captured = taken.minor();
        row.clearing = Some(clearing);
        self.store.put_authorization(&row)?;
        self.store.post(&row, asked.number, taken.minor().cast_signed(), self.now)?;
        let completion = self.completion(&row, asked, clearing, taken)?;
        let asker = self.asker(asked.provider, asked.number)?;
        self.settle(&asker, completion)
    }
    /// The clearing completion notification, its three informations each signed by itself.
    fn completion(
        &self,
        row: &AuthorizationRow,
        asked: &AskedRow,
        clearing: ClearingNumber,
        amount: Amount,
    ) -> Result<ClearingCompletion, ProcessorError> {
        let merchant = self.store.account(row.provider, row.merchant)?.and_then(|account| account.merchant);
        let (processor, at) = (self.shared.info.processor, self.now);
        let for_provider = ClearingInformation {
            audience: Audience::Provider,
            clearing,
            amount,
            transaction: row.sale,
            account: None,
            option: Some(row.option),
            name: None,
            reference: Some(reference(row)),
            processor,
            at,
            extensions: Default::default(),
        };
        let for_merchant = ClearingInformation {
            audience: Audience::Merchant,
            account: Some(row.merchant),
            option: None,
            reference: None,
            ..for_provider.clone()
        };
        let for_user = ClearingInformation {
            audience: Audience::User,
            account: Some(row.user),
            name: merchant.map(|merchant| merchant.name),
            reference: None,
            ..for_provider.clone()
        };
        Ok(ClearingCompletion {
            clearing,
            user: row.user,
            number: asked.number,
            amount,
            option: row.option,
            merchant: row.merchant,
            transaction: row.sale,
            for_provider: self.shared.keys.sign(&[], for_provider),
            for_merchant: self.shared.keys.sign(&[], for_merchant),
            for_user: self.shared.keys.sign(&[], for_user),
            processor,
            at,
            extensions: Default::default(),
        })
    }
    fn refund_answered(
        &mut self,
        mut row: AuthorizationRow,
        asked: &AskedRow,
        answer: &PaymentAnswer,
    ) -> Result<(), ProcessorError> {
        row.refunding = row.refunding.checked_sub(asked.amount).ok_or(StoreError::Damaged)?;
        if answer.response.verdict() != Verdict::Approved {
            self.store.put_authorization(&row)?;
            return self.decline(asked, reason(answer.response));
        }
        // The bank's amount is the truth, should it have paid back less.
        let paid = answer.amount.get();
        row.refunded = row.refunded.checked_add(paid.minor()).ok_or(StoreError::Damaged)?;
        self.store.put_authorization(&row)?;
        self.store.post(&row, asked.number, -paid.minor().cast_signed(), self.now)?;
        self.tell(asked, |outcome| Outcome { state: OutcomeState::Refunded, amount: Some(paid), ..outcome })
    }
    fn decline(&mut self, asked: &AskedRow, reason: DeclineReason) -> Result<(), ProcessorError> {
        self.tell(asked, |outcome| Outcome { reason: Some(reason), ..outcome })
    }
    fn tell(&mut self, asked: &AskedRow, change: impl FnOnce(Outcome) -> Outcome) -> Result<(), ProcessorError> {
        let asker = self.asker(asked.provider, asked.number)?;
        let outcome = change(self.shared.outcome(asked.number, OutcomeState::Declined, self.now));
        self.settle(&asker, outcome)
    }

    /// An answer to nothing that is open: late, doubled, or to a message never sent. It is kept for a person to see. A late
    /// approval of what the bank said it did not know, when it was told to undo it, is undone again.
    pub(super) fn bank_strayed(&mut self, answer: &PaymentAnswer) -> Result<(), ProcessorError> {
        let stan = answer.trace.stan.get();
        let traced = self.store.traced(stan)?;
        let ours = traced.into_iter().find(|asked| Transmitted::at(asked.sent) == answer.trace.transmitted);
        let Some(asked) = ours else {
            return Ok(self.store.put_refusal(self.now, "bank: an answer to a message never sent", None, None)?);
        };
        self.store.put_refusal(self.now, "bank: an answer that came late or twice", Some(asked.provider), None)?;
        let approved = answer.response.verdict() == Verdict::Approved;
        if answer.kind != MessageType::AuthorizationAnswer || !approved || asked.purpose != Purpose::Authorize {
            return Ok(());
        }
        let row = self.authorization_of(&asked)?;
        let about = self.store.asked_about(row.provider, row.number)?;
        let reversal = about.iter().rfind(|asked| asked.purpose == Purpose::Reverse);
        let not_found = ResponseCode::OriginalNotFound;
        let last = reversal.map(|reversal| (reversal.open, reversal.response.clone()));
        if row.state.is_undone() && last == Some((false, Some(not_found.code().to_owned()))) {
            return self.ask_bank(&row, asked.number, Purpose::Reverse, row.amount.minor(), None);
        }
        Ok(())
    }

    /// After a crash: what was sent without an answer is unknown. Authorizations are undone, all else is asked again.
    pub(crate) fn recover(&mut self) -> Result<(), ProcessorError> {
        for asked in self.store.open_asked()? {
            match self.take_up(&asked) {
                // One card that does not open keeps nobody else waiting; the message stays open, for a person to look at.
                Err(error @ (ProcessorError::Vault | ProcessorError::Message(_))) => {
                    tracing::error!(%error, stan = asked.stan, "a message to the bank cannot be taken up again");
                    let why = "a message to the bank cannot be taken up";
                    self.store.put_refusal(self.now, why, Some(asked.provider), None)?;
                }
                taken => taken?,
            }
        }
        Ok(())
    }
    fn take_up(&mut self, asked: &AskedRow) -> Result<(), ProcessorError> {
        if asked.purpose == Purpose::Authorize {
            return self.bank_silent(asked.id);
        }
        let row = self.authorization_of(asked)?;
        let job = self.job(&row, asked, true, 0)?;
        self.jobs.push(job);
        Ok(())
    }
}

/// What a provider is told of the bank's refusal.
fn reason(code: ResponseCode) -> DeclineReason {
    match code {
        ResponseCode::InsufficientFunds => DeclineReason::Funds,
        ResponseCode::ExpiredCard => DeclineReason::Expired,
        ResponseCode::ExceedsAmount | ResponseCode::ExceedsFrequency => DeclineReason::Limit,
        ResponseCode::InvalidCard
        | ResponseCode::NoSuchIssuer
        | ResponseCode::PickUp
        | ResponseCode::LostCard
        | ResponseCode::StolenCard
        | ResponseCode::RestrictedCard => DeclineReason::Card,
        code if code.verdict() == Verdict::Again => DeclineReason::Later,
        _ => DeclineReason::Bank,
    }
}
