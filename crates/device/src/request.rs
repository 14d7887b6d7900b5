//! One signed question to the provider, one signed answer, for those questions that need no conversation.

use crate::drive::{Device, Now};
use crate::post::{ExchangeError, Post};
use tegata_core::talk::report::{Refused, Report, ReportKind, ReportRequest};
use tegata_core::talk::update::{Answered, ByProvider, read_reply};
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::{Signed, Unsigned, Verified};
use tegata_core::{EventId, Time};
use tegata_vault::Vault;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The device's keys are locked or it has not joined.
    #[error("this device has not joined a provider yet, or its keys are locked")]
    NotJoined,
    /// The provider said no.
    #[error("the provider refused: {}", .0.told())]
    Refused(Refused),
    /// The answer is not the provider's.
    #[error("the answer is not by the provider, or not to this request; nothing was changed")]
    NotTrusted,
    /// Nothing came back.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl<V: Vault> Device<V> {
    /// Signs with the device's own key.
    ///
    /// # Errors
    /// [`RequestError::NotJoined`].
    pub fn signed<T: Message>(&self, body: T) -> Result<Signed<T>, RequestError> {
        let key = self.key().ok_or(RequestError::NotJoined)?;
        let unsigned = Unsigned::new(body, key.algorithm());
        let signature = self.ring.sign(&key, &unsigned.tbs(&[])).ok_or(RequestError::NotJoined)?;
        Ok(unsigned.sign(signature))
    }

    /// A report about the party that this device's certificate names, as JSON (R25).
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn report(
        &mut self,
        post: &mut dyn Post,
        report: ReportKind,
        span: (Time, Time),
        now: Now,
    ) -> Result<String, RequestError> {
        self.report_of(post, (report, None), span, now)
    }

    /// The same of one event.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn report_of(
        &mut self,
        post: &mut dyn Post,
        (report, event): (ReportKind, Option<EventId>),
        (from, until): (Time, Time),
        now: Now,
    ) -> Result<String, RequestError> {
        let party = self.certificate().ok_or(RequestError::NotJoined)?.claimed().subject.party();
        let body = ReportRequest { report, party, from, until, device: None, event, extensions: Default::default() };
        let request = self.signed(body)?;
        let report: Verified<Report> = self.request(post, &request, now)?;
        Ok(String::from_utf8_lossy(&report.content.0).into_owned())
    }

    /// Asks, and checks that the answer is the provider's and to this question.
    ///
    /// # Errors
    /// [`RequestError`]. After [`RequestError::Exchange`] nothing is known: ask again with the same bytes (R26).
    pub fn request<T: Message, R: ByProvider>(
        &mut self,
        post: &mut dyn Post,
        request: &Signed<T>,
        now: Now,
    ) -> Result<Verified<R>, RequestError> {
        let answer = self.exchange(post, now.entropy, &request.encode())?;
        let anchors = self.anchors().ok_or(RequestError::NotJoined)?;
        match self.with_context(now, |context| read_reply(&answer, &request.hash(&[]), &anchors, context)) {
            Some(Answered::Reply(reply)) => Ok(reply),
            Some(Answered::Refused(refused)) => Err(RequestError::Refused(refused)),
            None => Err(RequestError::NotTrusted),
        }
    }
}
