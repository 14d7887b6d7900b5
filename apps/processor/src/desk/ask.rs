//! What a provider asks, judged: each handler checks everything first, then writes.

use super::{Desk, Failure, Found};
use crate::store::{AccountRow, AuthorizationRow, Purpose, RequestRow, State};
use tegata_core::talk::credit::{
    Authorize, CardDetails, Clear, ClearingCompletion, DeclineReason, MerchantDetails, OpenAccount, Outcome,
    OutcomeState, ProcessorRefusal, ProcessorRefused, Query, Refund, VoidAuthorization,
};
use tegata_core::talk::update::kind_of;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::Signed;
use tegata_core::{AccountId, Amount, ClearingNumber, PartyId, RequestNumber};
use tegata_crypto_native::open;
use tegata_iso8583::{CardAmount, MerchantId, MerchantType, NameLocation, Pan};
use zeroize::Zeroizing;

impl Desk<'_> {
    pub(super) fn open_account(&mut self, body: &OpenAccount) -> Result<Found, Failure> {
        let account = AccountId(self.draw_id());
        let merchant = match (&body.card, &body.merchant) {
            (Some(card), None) => {
                let plain = self.card_details(card, body.provider).ok_or(ProcessorRefusal::Card)?;
                let (nonce, sealed) = self.shared.keys.lock(account, self.draw(), &plain);
                self.store.put_vaulted(account, nonce, &sealed)?;
                None
            }
            (None, Some(merchant)) => {
                is_known_to_banks(merchant).ok_or(ProcessorRefusal::Merchant)?;
                Some(merchant.clone())
            }
            _ => return Err(ProcessorRefusal::Malformed.into()),
        };
        self.store.put_account(&AccountRow { provider: body.provider, account, opened: self.now, merchant })?;
        let opened = self.shared.outcome(body.number, OutcomeState::Opened, self.now);
        Ok(Found::Final(Box::new(Outcome { account: Some(account), ..opened })))
    }
    /// What goes into the vault: the expiry, two bytes, then the digits. `None` if the envelope holds no card for this provider.
    fn card_details(&self, sealed: &Sealed, provider: PartyId) -> Option<Zeroizing<Vec<u8>>> {
        if sealed.addressee != self.shared.info.processor {
            return None;
        }
        let (plain, _) = open(&self.shared.keys.sealing, sealed).ok()?;
        let details = CardDetails::from_bytes(&Zeroizing::new(plain)).ok()?;
        Pan::parse(details.number.reveal()).ok()?;
        let (year, month) = details.expiry.year_month();
        let mut plain = Zeroizing::new(Vec::with_capacity(21));
        plain.extend_from_slice(&[year, month]);
        plain.extend_from_slice(details.number.reveal());
        (details.provider == provider).then_some(plain)
    }

    pub(super) fn authorize(&mut self, body: &Authorize) -> Result<Found, Failure> {
        let user = self.store.account(body.provider, body.user)?;
        let merchant = self.store.account(body.provider, body.merchant)?;
        let (Some(AccountRow { merchant: None, .. }), Some(AccountRow { merchant: Some(_), .. })) = (user, merchant)
        else {
            return Err(ProcessorRefusal::Account.into());
        };
        if body.amount.is_zero() || CardAmount::new(body.amount).is_none() {
            return Err(ProcessorRefusal::Amount.into());
        }
        if !self.line_open {
            // Nothing is sent, so nothing is unknown.
            let declined = self.shared.outcome(body.number, OutcomeState::Declined, self.now);
            return Ok(Found::Final(Box::new(Outcome { reason: Some(DeclineReason::Later), ..declined })));
        }
        let stan = self.store.next_stan()?;
        let row = AuthorizationRow {
            provider: body.provider,
            number: body.number,
            sequence: self.store.next_sequence()?,
            at: self.now,
            user: body.user,
            merchant: body.merchant,
            amount: body.amount,
            option: body.option,
            sale: body.transaction,
            machine: body.machine,
            partial: body.partial,
            state: State::Sent,
            approved: 0,
            code: None,
            sent: (stan, self.now),
            clearing: None,
            captured: 0,
            capture: None,
            refunded: 0,
            refunding: 0,
        };
        self.store.put_authorization(&row)?;
        self.ask_bank(&row, body.number, Purpose::Authorize, body.amount.minor(), Some(stan))?;
        Ok(Found::Asked(body.number))
    }

    /// The authorization that a request builds on, known to be over or not.
    fn authorized(&self, provider: PartyId, number: RequestNumber) -> Result<AuthorizationRow, Failure> {
        match self.store.authorization(provider, number)? {
            Some(row) if row.state == State::Sent => Err(ProcessorRefusal::Pending.into()),
            Some(row) => Ok(row),
            None => Err(ProcessorRefusal::Unknown.into()),
        }
    }

    pub(super) fn clear(&mut self, body: &Clear) -> Result<Found, Failure> {
        let mut row = self.authorized(body.provider, body.authorization)?;
        match row.state {
            State::Approved => {}
            State::Capturing | State::ReversingUnknown | State::ReversingCapture => {
                return Err(ProcessorRefusal::Pending.into());
            }
            _ => return Err(ProcessorRefusal::State.into()),
        }
        let fits = body.amount.unit() == row.amount.unit() && (1..=row.approved).contains(&body.amount.minor());
        if !fits {
            return Err(ProcessorRefusal::Amount.into());
        }
        let stan = self.store.next_stan()?;
        row.state = State::Capturing;
        row.capture = Some((stan, self.now));
        self.store.put_authorization(&row)?;
        self.ask_bank(&row, body.number, Purpose::Capture, body.amount.minor(), Some(stan))?;
        Ok(Found::Asked(row.number))
    }

    pub(super) fn void(&mut self, body: &VoidAuthorization) -> Result<Found, Failure> {
        let mut row = self.authorized(body.provider, body.authorization)?;
        match row.state {
            State::Approved => {
                row.state = State::ReversingVoid;
                self.store.put_authorization(&row)?;
                self.ask_bank(&row, body.number, Purpose::Reverse, row.amount.minor(), None)?;
            }
            // It is being undone already: the answer to that is the answer to this.
            state if state.undone().is_some() => {}
            state if state.is_undone() || state == State::Declined => {
                let voided = self.shared.outcome(body.number, OutcomeState::Voided, self.now);
                return Ok(Found::Final(Box::new(voided)));
            }
            State::Capturing => return Err(ProcessorRefusal::Pending.into()),
            _ => return Err(ProcessorRefusal::State.into()),
        }
        Ok(Found::Asked(row.number))
    }

    pub(super) fn refund(&mut self, body: &Refund) -> Result<Found, Failure> {
        let mut row = self.refundable(body.provider, body.clearing)?;
        let under_way = row.refunded.checked_add(row.refunding);
        let left = under_way.and_then(|gone| row.captured.checked_sub(gone)).unwrap_or(0);
        if body.amount.unit() != row.amount.unit() || !(1..=left).contains(&body.amount.minor()) {
            return Err(ProcessorRefusal::Amount.into());
        }
        row.refunding += body.amount.minor();
        self.store.put_authorization(&row)?;
        self.ask_bank(&row, body.number, Purpose::Refund, body.amount.minor(), None)?;
        Ok(Found::Asked(row.number))
    }
    fn refundable(&self, provider: PartyId, clearing: ClearingNumber) -> Result<AuthorizationRow, Failure> {
        Ok(self.store.cleared(provider, clearing)?.ok_or(ProcessorRefusal::Unknown)?)
    }

    pub(super) fn query(&mut self, body: &Query) -> Result<Found, Failure> {
        let told = |state| Outcome { about: Some(body.about), ..self.shared.outcome(body.number, state, self.now) };
        let Some(row) = self.store.request(body.provider, body.about)? else {
            let closed = told(OutcomeState::Closed);
            self.store.put_request(&RequestRow {
                provider: body.provider,
                number: body.about,
                hash: tegata_core::Hash::ZERO,
                kind: 0,
                at: self.now,
                authorization: None,
                answer: None,
            })?;
            return Ok(Found::Final(Box::new(closed)));
        };
        if row.kind == 0 {
            return Ok(Found::Final(Box::new(told(OutcomeState::Closed))));
        }
        let Some(answer) = &row.answer else { return Ok(Found::Passing(Box::new(told(OutcomeState::Unknown)))) };
        let mut outcome = told(OutcomeState::Unknown);
        if row.kind == Authorize::KIND
            && let Some(authorization) = self.store.authorization(body.provider, body.about)?
        {
            if authorization.state.undone().is_some() {
                // It was approved, and is being let go: neither is certain before the bank has answered.
                return Ok(Found::Passing(Box::new(outcome)));
            }
            // How it stands now, which may be further than when it was answered.
            (outcome.state, outcome.amount) = standing(&authorization);
        }
        if outcome.state == OutcomeState::Unknown {
            answered(&mut outcome, answer);
        }
        outcome.answer = Some(tegata_core::wire::canonical::Bytes(answer.clone()));
        Ok(Found::Final(Box::new(outcome)))
    }
}

/// How an authorization stands now; unknown where its answer says it better.
fn standing(row: &AuthorizationRow) -> (OutcomeState, Option<Amount>) {
    let amount = |minor| Amount::new(row.amount.unit(), minor);
    match row.state {
        State::Approved | State::Capturing => (OutcomeState::Approved, amount(row.approved)),
        State::Captured => (OutcomeState::Cleared, amount(row.captured)),
        State::UndoneVoid | State::UndoneCapture => (OutcomeState::Voided, amount(row.approved)),
        _ => (OutcomeState::Unknown, None),
    }
}

/// What an answer says, put into the outcome of a query.
fn answered(outcome: &mut Outcome, answer: &[u8]) {
    match kind_of(answer) {
        Ok(Outcome::KIND) => {
            if let Ok(told) = Signed::<Outcome>::decode(answer) {
                let told = told.claimed();
                (outcome.state, outcome.amount, outcome.reason) = (told.state, told.amount, told.reason);
                outcome.account = told.account;
            }
        }
        Ok(ClearingCompletion::KIND) => {
            if let Ok(told) = Signed::<ClearingCompletion>::decode(answer) {
                (outcome.state, outcome.amount) = (OutcomeState::Cleared, Some(told.claimed().amount));
            }
        }
        Ok(ProcessorRefused::KIND) => outcome.state = OutcomeState::Refused,
        _ => {}
    }
}

/// Whether the bank can be told of such a merchant.
fn is_known_to_banks(merchant: &MerchantDetails) -> Option<()> {
    MerchantId::new(&merchant.code)?;
    NameLocation::new(&merchant.name)?;
    MerchantType::new(u16::try_from(merchant.category).ok()?).map(drop)
}
