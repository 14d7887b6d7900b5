//! The wallet's side of a call: the user agrees to the tariff; each check is stored before it leaves, none is more than one unit
//! ahead of this side's own clock, but for the agreed least, and none follows the end.

use super::calling::{Calling, CallingState, ChainSecret};
use super::messages::*;
use crate::card::payment::{Advance, CannotSpend, Purse};
use crate::card::{CallReceipt, CardCertificate, Links, Rise};
use crate::charging::{AGREED_WITHIN, CallTariff};
use crate::id::{Handle, Hash};
use crate::money::Amount;
use crate::record::{RecordKey, Space};
use crate::step::{Break, Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::pay::{Offered, Payer, Refusal, load_purse, prove, terminal_certificate};
use crate::wire::canonical::Wire;
use crate::wire::certificate::{Certificate, Role};
use crate::wire::signed::{Signature, Signed, Verified};
use alloc::{string::String, vec, vec::Vec};

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerNotice {
    /// Answer with [`Event::Agreed`] or [`Event::Declined`].
    Consent {
        /// Who connects the call, as the provider certified it.
        by: String,
        /// What it costs.
        tariff: CallTariff,
        /// For how many units the card lasts, as it stands.
        units: u64,
    },
    /// The first check is stored and sent: it will ring.
    Dialled,
    /// A check went out.
    Paid {
        /// For the call so far.
        total: Amount,
        /// What is left on the card, in its unit's minor units.
        remaining: u64,
    },
    /// No more is paid: it ends when what is paid is over.
    Ending {
        /// Why; `None`: the user's own limit.
        why: Option<CannotSpend>,
    },
    /// The switch says that it ends in so many milliseconds.
    Warned(u64),
    /// Over and logged.
    Over {
        /// The receipt, if one came; else the provider brings it.
        receipt: Option<CallReceipt>,
        /// What was paid for it.
        total: Amount,
        /// The receipt says more than this side's own clock.
        doubtful: bool,
    },
    /// No call; nothing was paid.
    Refused(Refusal),
    /// This card cannot pay for it.
    Cannot(CannotSpend),
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// Whom the wallet calls, and with what it pays.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The card.
    pub payer: Payer,
    /// The number, as it is dialled.
    pub called: String,
    /// The most that the user pays for this call, in the card's minor units; `None`: what the card holds.
    pub limit: Option<u64>,
}

/// A session whose switch has proven itself, or will with its certificate.
#[derive(Clone, Debug)]
struct Met {
    session: Hash,
    handle: Handle,
    proof: Signature,
    switch: Option<Verified<Certificate>>,
}

/// What travels with the first check.
#[derive(Clone, Debug)]
struct Travel {
    /// The switch's certificate, just learned: stored with the check.
    certificate: Option<Signed<Certificate>>,
    /// The switch knows the card's checkpoint.
    known: bool,
}

/// What happens outside the conversation. Milliseconds of one steady clock.
#[derive(Clone, Copy, Debug, Default)]
struct Outside {
    now: u64,
    answered: Option<u64>,
    /// Somebody hung up, or the link is gone: nothing more is paid.
    over: bool,
    /// The user wants to hang up, and the switch shall be told.
    stop: bool,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists per call
enum Stage {
    Idle,
    ExpectProof(Hash),
    ExpectTariff(Met),
    AwaitConsent(Calling, Travel),
    SigningTick {
        before: Option<Calling>,
        calling: Calling,
        travel: Option<Travel>,
        purse: Purse,
        advance: Advance,
    },
    StoringTick(Calling, Option<Travel>),
    /// Checks may follow. With the total that was asked for and is not due yet.
    InCall(Calling, Option<u64>),
    /// So many links may leave once that is stored (R24).
    StoringLinks(Calling, Option<u64>),
    /// The switch was told to stop, or that no more is paid: waits for the receipt.
    Stopping(Calling),
    StoringEnd(Calling, Option<CallReceipt>, bool),
    Over,
}

/// A call at its wallet.
///
/// Besides events it is told the time, that it was answered and that it is over; [`Event::Tick`] makes it look.
#[derive(Clone, Debug)]
pub struct WalletCall {
    caller: Caller,
    outside: Outside,
    /// Links of the chain of the last check that have left.
    sent: u64,
    stage: Stage,
}

type Next = Step<WalletCall, CallerNotice>;
type Effects = Vec<Effect<CallerNotice>>;

fn send(message: &CallMessage) -> Effect<CallerNotice> {
    Effect::Send(message.to_bytes())
}

impl WalletCall {
    /// Calls somebody.
    pub fn new(caller: Caller) -> Self {
        Self { caller, outside: Outside::default(), sent: 0, stage: Stage::Idle }
    }
    /// Tells it the time, in milliseconds of one steady clock.
    #[must_use]
    pub fn at(mut self, now: u64) -> Self {
        self.outside.now = self.outside.now.max(now);
        self
    }
    /// Whoever was called has answered, now.
    #[must_use]
    pub fn answered(mut self) -> Self {
        self.outside.answered = self.outside.answered.or(Some(self.outside.now));
        self
    }
    /// The user hangs up: the switch is told, and its receipt is waited for.
    #[must_use]
    pub fn stop(mut self) -> Self {
        self.outside.stop = true;
        self
    }
    /// The call is over, and nothing more comes of it.
    #[must_use]
    pub fn hung_up(mut self) -> Self {
        self.outside.over = true;
        self
    }
    /// When it wants to look again, in milliseconds of its clock.
    pub fn due(&self) -> Option<u64> {
        match &self.stage {
            Stage::InCall(calling, asked) if calling.tariff.claimed().is_linked() => self.link_due(calling, *asked),
            Stage::InCall(calling, Some(total)) => self.falls_due(calling.tariff.claimed(), *total),
            _ => None,
        }
    }
    /// What has left this wallet for the call by now, in minor units of its tariff: that the switch can claim, and no more. `None`: no
    /// call is on.
    pub fn paid(&self) -> Option<u64> {
        let (Stage::InCall(calling, _) | Stage::StoringLinks(calling, _) | Stage::Stopping(calling)) = &self.stage
        else {
            return None;
        };
        calling.tick.as_ref()?.claimed().paid(calling.tariff.claimed().price, self.sent)
    }
    /// Whether a check of this call is stored.
    pub fn has_paid(&self) -> bool {
        matches!(self.stage, Stage::InCall(..) | Stage::StoringLinks(..) | Stage::Stopping(_) | Stage::StoringTick(..))
    }

    fn next(self, stage: Stage, effects: impl Into<Effects>) -> Next {
        Step::new(Self { stage, ..self }, effects)
    }
    fn refuse(self, why: Refusal) -> Next {
        self.next(Stage::Over, [send(&CallMessage::Refused(why)), Effect::Show(CallerNotice::Refused(why))])
    }
    fn cannot(self, why: CannotSpend) -> Next {
        let told = send(&CallMessage::Refused(Refusal::BeyondTerms));
        self.next(Stage::Over, [told, Effect::Show(CallerNotice::Cannot(why))])
    }
    fn show_last(self, notice: CallerNotice) -> Next {
        self.next(Stage::Over, [Effect::Show(notice)])
    }

    /// The switch's proof: a handle and a signature over the session.
    fn met(self, session: Hash, bytes: &[u8], context: &Context<'_>) -> Next {
        let (Some(handle), Some(proof)) = (bytes.first_chunk::<8>(), bytes.get(8..).and_then(|s| s.try_into().ok()))
        else {
            return self.refuse(Refusal::Malformed);
        };
        let payer = &self.caller.payer;
        let mut met = Met { session, handle: Handle(*handle), proof: Signature(proof), switch: None };
        let stored = context.records.get(&RecordKey::new(Space::Certificate, *handle));
        if let Some(certificate) = stored.and_then(|bytes| Signed::decode(&bytes).ok()) {
            match prove(&payer.anchors, Role::Switch, (&met.session, met.proof), certificate, context) {
                Some(switch) => met.switch = Some(switch),
                None => return self.refuse(Refusal::TerminalNotTrusted),
            }
        }
        let Some(purse) = load_purse(context.records, payer.card) else {
            return self.cannot(CannotSpend::NotActive);
        };
        let request = CallRequest {
            card: Offered { kind: payer.terms.kind, terms: payer.terms.handle(), extensions: Default::default() },
            // Nothing that names the card goes out before the switch is recognised (R17).
            checkpoint: met.switch.is_some().then(|| CardCertificate::handle(&purse.certificate)),
            unknown: met.switch.is_none().then_some(true),
            called: self.caller.called.clone(),
            extensions: Default::default(),
        };
        self.next(Stage::ExpectTariff(met), [send(&CallMessage::Request(request))])
    }

    /// The tariff: by whom, for this session and this number, and whether the card can pay for one unit.
    fn tariffed(self, mut met: Met, tariffed: Tariffed, context: &Context<'_>) -> Next {
        let payer = &self.caller.payer;
        let mut learned = None;
        if let (None, Some(certificate)) = (&met.switch, tariffed.certificate) {
            if Certificate::handle(&certificate) != met.handle {
                return self.refuse(Refusal::TerminalNotTrusted);
            }
            learned = Some(certificate.clone());
            met.switch = prove(&payer.anchors, Role::Switch, (&met.session, met.proof), certificate, context);
        }
        let Some(switch) = met.switch else {
            return self.refuse(Refusal::TerminalNotTrusted);
        };
        let device = switch.subject.device();
        let signed_in = CallTariff::context(&met.session, device);
        let Ok(tariff) = tariffed.tariff.verify(&switch.key, &signed_in, context.verifier) else {
            return self.refuse(Refusal::TerminalNotTrusted);
        };
        if tariff.called != self.caller.called || tariff.length == 0 {
            return self.refuse(Refusal::Malformed);
        }
        // One that is dated ahead would be held against the rates of another hour (R24).
        if context.now >= tariff.expires || tariff.at > context.now.after(AGREED_WITHIN) {
            return self.refuse(Refusal::ChargeExpired);
        }
        // A number that was answered before is another call's (R1).
        if Calling::load(context.records, device, tariff.transaction).is_some() {
            return self.refuse(Refusal::UnknownTransaction);
        }
        let Some(purse) = load_purse(context.records, payer.card) else {
            return self.cannot(CannotSpend::NotActive);
        };
        let calling = Calling {
            state: CallingState::Open,
            switch: device,
            name: switch.name.clone().unwrap_or_default(),
            tariff: tariff.signed().clone(),
            session: met.session,
            card: payer.card,
            generation: purse.generation(),
            tick: None,
            raises: purse.raises.clone(),
            receipt: None,
            secret: None,
            released: None,
            extensions: Default::default(),
        };
        // What cannot be paid is said before the user is asked.
        if let Err(why) = self.affords(&purse, &calling, &tariff, context) {
            return self.cannot(why);
        }
        let spendable = purse.remaining.min(self.caller.limit.unwrap_or(u64::MAX)).min(payer.terms.max_payment);
        let units = spendable.saturating_sub(tariff.setup).checked_div(tariff.price).unwrap_or(u64::MAX);
        let consent = CallerNotice::Consent { by: calling.name.clone(), tariff: (*tariff).clone(), units };
        let travel = Travel { certificate: learned, known: tariffed.known.unwrap_or(false) };
        self.next(Stage::AwaitConsent(calling, travel), [Effect::Show(consent)])
    }

    /// Whether the card can pay for what an answered call costs at least.
    fn affords(
        &self,
        purse: &Purse,
        calling: &Calling,
        tariff: &CallTariff,
        context: &Context<'_>,
    ) -> Result<(), CannotSpend> {
        let least = tariff.least().ok_or(CannotSpend::Overflow)?;
        let least = Amount::new(tariff.unit, least).ok_or(CannotSpend::Overflow)?;
        if self.caller.limit.is_some_and(|limit| limit < least.minor()) {
            return Err(CannotSpend::AboveMaximum);
        }
        let rise = Rise { last: None, total: least, links: None };
        purse.rise(&self.caller.payer.terms, &rise, &calling.counterpart(), context.now).map(drop)
    }

    /// Drafts a check over this total; where it is paid link by link, over what the card has for the links.
    fn pay(self, calling: Calling, total: u64, travel: Option<Travel>, context: &Context<'_>) -> Next {
        let first = calling.tick.is_none();
        let tariff = calling.tariff.claimed().clone();
        let Some(purse) = load_purse(context.records, calling.card) else {
            return self.no_more(calling, first, Some(CannotSpend::NotActive));
        };
        let linked = tariff.is_linked() && !first;
        let most = self.caller.limit.unwrap_or(u64::MAX);
        let units = if linked {
            let spendable = purse.remaining.min(most.saturating_sub(calling.total()));
            // Never more than one chain, whatever was asked for.
            (total.saturating_sub(calling.total()).min(spendable) / tariff.price).min(tariff.links())
        } else {
            u64::from(total <= most)
        };
        if units == 0 {
            return self.no_more(
                calling,
                first,
                (linked && purse.remaining < tariff.price).then_some(CannotSpend::TooLittle),
            );
        }
        let before = (!first).then(|| calling.clone());
        let secret = Hash::of(&[b"tegata links v1".as_slice(), &context.entropy].concat());
        let draft = |units: u64| {
            let links = linked.then(|| Links::of(&secret, units));
            let total = if linked { calling.total() + units * tariff.price } else { total };
            let total = Amount::new(tariff.unit, total).ok_or(CannotSpend::Overflow)?;
            let rise = Rise { last: calling.tick.as_ref().map(Signed::claimed), total, links };
            purse.rise(&self.caller.payer.terms, &rise, &calling.counterpart(), context.now)
        };
        // Terms may allow for less than the card has.
        let mut fits = units;
        let drafted = loop {
            match draft(fits) {
                Err(_) if fits > 1 => fits /= 2,
                drafted => break drafted,
            }
        };
        match drafted {
            Err(why) => self.no_more(calling, first, Some(why)),
            Ok(advance) => {
                let tbs = advance.event.tbs(&advance.context);
                let key = SigningKey::Card(calling.card);
                let calling = if linked {
                    Calling { secret: Some(ChainSecret(secret)), released: None, ..calling }
                } else {
                    calling
                };
                self.next(Stage::SigningTick { before, calling, travel, purse, advance }, [Effect::Sign { key, tbs }])
            }
        }
    }

    /// When a unit may be paid by its link: as the one before it begins, by this side's own clock.
    fn unit_due(&self, tariff: &CallTariff, unit: u64) -> Option<u64> {
        let answered = self.outside.answered?;
        if unit <= tariff.minimum.max(1) {
            return Some(answered);
        }
        answered.checked_add(unit.saturating_sub(2).checked_mul(tariff.length)?)
    }
    /// Units that were paid before the chain of the last check, and how many its links pay.
    fn chained(calling: &Calling) -> (u64, u64) {
        let tariff = calling.tariff.claimed();
        let links = calling.tick.as_ref().and_then(|tick| tick.claimed().links.as_ref()).map_or(0, |chain| chain.count);
        let units = calling.total().saturating_sub(tariff.setup).checked_div(tariff.price).unwrap_or(0);
        (units.saturating_sub(links), links)
    }
    fn link_due(&self, calling: &Calling, asked: Option<u64>) -> Option<u64> {
        let (before, links) = Self::chained(calling);
        if self.sent < links {
            return self.unit_due(calling.tariff.claimed(), before + self.sent + 1);
        }
        asked.and(self.outside.answered)
    }

    /// Shows the links that are due; once all of a chain have left, offers the next one that was asked for.
    fn look_at_links(mut self, calling: Calling, asked: Option<u64>, context: &Context<'_>) -> Next {
        let tariff = calling.tariff.claimed();
        let (before, links) = Self::chained(&calling);
        let mut due = self.sent;
        while due < links && self.unit_due(tariff, before + due + 1).is_some_and(|at| at <= self.outside.now) {
            due += 1;
        }
        if due > calling.released.unwrap_or(0) && !context.broken.has(Break::LinkBeforeStored) {
            // One write for about a second.
            let ahead = (1_000 / tariff.length.max(1)).max(1);
            let (after, batch) = calling.release((due + ahead - 1).min(links));
            return self.next(Stage::StoringLinks(after, asked), [Effect::Store(batch)]);
        }
        let mut effects = vec![];
        if due > self.sent {
            let tick = calling.tick.as_ref().map(Signed::claimed);
            let chain = tick.and_then(|tick| tick.links.as_ref()).zip(calling.secret.as_ref());
            let Some(link) = chain.and_then(|(chain, secret)| chain.link(&secret.0, due)) else {
                return self.show_last(CallerNotice::Failed(Fault::Storage));
            };
            self.sent = due;
            effects.push(send(&CallMessage::Linked(link)));
            effects.extend(self.told_paid(&calling));
        }
        match asked {
            Some(total) if self.sent == links && self.outside.answered.is_some_and(|at| at <= self.outside.now) => {
                let next = self.pay(calling, total, None, context);
                effects.extend(next.effects);
                Step::new(next.state, effects)
            }
            asked => self.next(Stage::InCall(calling, asked), effects),
        }
    }
    /// What the user is told that is paid: links that have not left are not.
    fn told_paid(&self, calling: &Calling) -> Option<Effect<CallerNotice>> {
        let tariff = calling.tariff.claimed();
        let tick = calling.tick.as_ref()?.claimed();
        let paid = tick.paid(tariff.price, self.sent)?;
        let (total, remaining) = (Amount::new(tariff.unit, paid)?, tick.remaining.checked_add(tick.amount - paid)?);
        Some(Effect::Show(CallerNotice::Paid { total, remaining }))
    }

    fn no_more(self, calling: Calling, first: bool, why: Option<CannotSpend>) -> Next {
        if first {
            return self.cannot(why.unwrap_or(CannotSpend::AboveMaximum));
        }
        let shown = Effect::Show(CallerNotice::Ending { why });
        self.next(Stage::InCall(calling, None), [send(&CallMessage::NoMore), shown])
    }

    /// Balance down, tick up, the signed bytes: one transaction, before the check leaves.
    fn signed(
        self,
        (before, calling): (Option<Calling>, Calling),
        travel: Option<Travel>,
        (purse, advance): (Purse, Advance),
        signature: Signature,
        context: &Context<'_>,
    ) -> Next {
        let calling = Calling { tick: Some(advance.event.sign(signature)), ..calling };
        let mut batch = calling.rise(before.as_ref(), (&purse, &advance.purse));
        if let Some(certificate) = travel.as_ref().and_then(|travel| travel.certificate.as_ref()) {
            let handle = Certificate::handle(certificate);
            batch.put(RecordKey::new(Space::Certificate, handle.0), certificate.encode());
            batch.put(RecordKey::new(Space::Certificate, calling.switch.0), certificate.encode());
        }
        if context.broken.has(Break::SendBeforeStore) {
            let mut early = self.stored(calling, travel, context);
            early.effects.push(Effect::Store(batch));
            return early;
        }
        self.next(Stage::StoringTick(calling, travel), [Effect::Store(batch)])
    }

    fn stored(mut self, calling: Calling, travel: Option<Travel>, context: &Context<'_>) -> Next {
        let Some(tick) = calling.tick.clone() else {
            return self.show_last(CallerNotice::Failed(Fault::Storage));
        };
        self.sent = 0;
        let first = travel.is_some();
        let certificate = travel
            .filter(|travel| !travel.known)
            .and_then(|_| load_purse(context.records, calling.card))
            .map(|purse| purse.certificate);
        let raises = (first && !calling.raises.is_empty()).then(|| calling.raises.clone());
        let ticked = Ticked { tick, certificate, raises, extensions: Default::default() };
        let paid = if first { None } else { self.told_paid(&calling) };
        let mut sent = vec![send(&CallMessage::Ticked(ticked)), paid.unwrap_or(Effect::Show(CallerNotice::Dialled))];
        if let Some(why) = self.ends_with(&calling, first, context) {
            sent.extend([send(&CallMessage::NoMore), Effect::Show(CallerNotice::Ending { why })]);
        }
        let mut next = self.next(Stage::InCall(calling, None), sent);
        // What happened meanwhile.
        let more = next.state.look(context);
        next.effects.extend(more.effects);
        Step::new(more.state, next.effects)
    }

    /// Why the check just sent is the last one, if it is: that is said with it, so that the switch can warn both people in time. Where links
    /// pay, and before the first unit, it is said when more is asked for.
    fn ends_with(&self, calling: &Calling, first: bool, context: &Context<'_>) -> Option<Option<CannotSpend>> {
        let tariff = calling.tariff.claimed();
        if first || tariff.is_linked() || tariff.price == 0 {
            return None;
        }
        let next = calling.total().saturating_add(tariff.price);
        if self.caller.limit.is_some_and(|limit| next > limit) {
            return Some(None);
        }
        let (purse, total) = (load_purse(context.records, calling.card)?, Amount::new(tariff.unit, next)?);
        let rise = Rise { last: calling.tick.as_ref().map(Signed::claimed), total, links: None };
        let risen = purse.rise(&self.caller.payer.terms, &rise, &calling.counterpart(), context.now);
        risen.err().map(Some)
    }

    /// When a total may be paid: the unit before its last one is half over by this side's own clock. `None`: not before the answer
    /// (R24), or never.
    fn falls_due(&self, tariff: &CallTariff, total: u64) -> Option<u64> {
        if total <= tariff.setup {
            return Some(0);
        }
        let units = (total - tariff.setup).checked_div(tariff.price)?;
        let answered = self.outside.answered?;
        if units <= tariff.minimum.max(1) {
            return Some(answered);
        }
        // So long before the unit begins, at most, as a switch may ask ahead.
        let begins = (units - 1).checked_mul(tariff.length)?;
        answered.checked_add(begins)?.checked_sub(tariff.length / 2)
    }

    /// Asked for a total: paid when it is due, and refused if it can never be.
    fn asked(self, calling: Calling, total: u64, context: &Context<'_>) -> Next {
        if total <= calling.total() {
            // The check for it is out.
            return self.next(Stage::InCall(calling, None), []);
        }
        let tariff = calling.tariff.claimed();
        let more = total.checked_sub(tariff.setup).and_then(|more| more.checked_rem(tariff.price));
        if more != Some(0) {
            // No whole units: a part of one more would be at risk with every check. What is paid runs out.
            return self.next(Stage::InCall(calling, None), []);
        }
        self.next(Stage::InCall(calling, Some(total)), []).state.look(context)
    }

    /// Looks what is to be done now.
    fn look(self, context: &Context<'_>) -> Next {
        let Outside { now, over, stop, .. } = self.outside;
        match self.stage.clone() {
            Stage::InCall(calling, _) | Stage::Stopping(calling) if over => self.end(calling, None, context),
            Stage::InCall(calling, asked) if calling.tariff.claimed().is_linked() && !stop => {
                self.look_at_links(calling, asked, context)
            }
            Stage::InCall(calling, _) if stop => self.next(Stage::Stopping(calling), [send(&CallMessage::Stop)]),
            Stage::InCall(calling, Some(total)) => match self.falls_due(calling.tariff.claimed(), total) {
                Some(due) if due <= now => self.pay(calling, total, None, context),
                _ => self.next(Stage::InCall(calling, Some(total)), []),
            },
            Stage::Idle | Stage::ExpectProof(_) | Stage::ExpectTariff(_) | Stage::AwaitConsent(..) if over || stop => {
                self.next(Stage::Over, if over { vec![] } else { vec![send(&CallMessage::Refused(Refusal::Declined))] })
            }
            stage => self.next(stage, []),
        }
    }

    fn end(self, calling: Calling, receipt: Option<Signed<CallReceipt>>, context: &Context<'_>) -> Next {
        let doubtful = receipt.as_ref().is_some_and(|receipt| self.is_doubtful(&calling, receipt.claimed()));
        let said = receipt.as_ref().map(|receipt| receipt.claimed().clone());
        match calling.end(receipt, context.records, context.now) {
            Some(batch) => self.next(Stage::StoringEnd(calling, said, doubtful), [Effect::Store(batch)]),
            None => self.show_last(CallerNotice::Failed(Fault::Storage)),
        }
    }

    /// Whether a receipt costs more than one unit above what this side's own clock comes to.
    fn is_doubtful(&self, calling: &Calling, receipt: &CallReceipt) -> bool {
        let tariff = calling.tariff.claimed();
        let lasted = self.outside.answered.map(|since| self.outside.now.saturating_sub(since));
        let more = lasted.map(|lasted| lasted.saturating_add(tariff.length));
        tariff.cost(more).is_some_and(|most| receipt.used.minor() > most)
    }

    /// The receipt: by this switch, for this call.
    fn receipted(self, calling: Calling, receipt: Signed<CallReceipt>, context: &Context<'_>) -> Next {
        let switch = terminal_certificate(context.records, calling.switch);
        let verified = switch.and_then(|switch| {
            let signed_in = CallReceipt::context(calling.switch);
            receipt.verify(&switch.claimed().key, &signed_in, context.verifier).ok()
        });
        match verified.filter(|receipt| calling.is_ended_by(receipt)) {
            Some(receipt) => {
                let receipt = receipt.into_signed();
                self.end(calling, Some(receipt), context)
            }
            // It proves nothing: the provider will bring one that does.
            None => self.end(calling, None, context),
        }
    }

    fn in_call(self, calling: Calling, asked: Option<u64>, bytes: &[u8], context: &Context<'_>) -> Next {
        match CallMessage::received(bytes) {
            Ok(CallMessage::Ask(total)) => self.asked(calling, total, context),
            Ok(CallMessage::Warned(left)) => {
                self.next(Stage::InCall(calling, asked), [Effect::Show(CallerNotice::Warned(left))])
            }
            Ok(CallMessage::Receipt(receipt)) => self.receipted(calling, receipt, context),
            // The check is out: what it costs says the switch or the provider (R8).
            Ok(CallMessage::Refused(_)) => self.end(calling, None, context),
            _ => self.next(Stage::InCall(calling, asked), []),
        }
    }
}

impl Talk for WalletCall {
    type Notice = CallerNotice;

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn step(mut self, event: Event, context: &Context<'_>) -> Next {
        if matches!(event, Event::Lost) {
            self.outside.over = true;
        }
        let stage = core::mem::replace(&mut self.stage, Stage::Over);
        match (stage, event) {
            (Stage::Idle, Event::Opened(session)) => self.next(Stage::ExpectProof(session), []),
            (Stage::ExpectProof(session), Event::Received(bytes)) => self.met(session, &bytes, context),
            (Stage::ExpectTariff(met), Event::Received(bytes)) => match CallMessage::received(&bytes) {
                Ok(CallMessage::Tariffed(tariffed)) => self.tariffed(met, tariffed, context),
                Ok(CallMessage::Refused(why)) => self.show_last(CallerNotice::Refused(why)),
                _ => self.refuse(Refusal::Malformed),
            },
            (Stage::AwaitConsent(calling, travel), Event::Agreed) => {
                if context.now >= calling.tariff.claimed().expires {
                    return self.refuse(Refusal::ChargeExpired);
                }
                // Nothing but the set-up charge before the answer (R24).
                let setup = calling.tariff.claimed().setup;
                self.pay(calling, setup, Some(travel), context)
            }
            (Stage::AwaitConsent(..), Event::Declined) => self.refuse(Refusal::Declined),
            (Stage::AwaitConsent(..), Event::Received(_)) => self.refuse(Refusal::Malformed),
            (Stage::SigningTick { before, calling, travel, purse, advance }, Event::Signed(signature)) => {
                self.signed((before, calling), travel, (purse, advance), signature, context)
            }
            // Stored before it leaves (R13): only now.
            (Stage::StoringTick(calling, travel), Event::Stored) => self.stored(calling, travel, context),
            (Stage::InCall(calling, asked), Event::Received(bytes)) => self.in_call(calling, asked, &bytes, context),
            // Stored before it leaves (R24).
            (Stage::StoringLinks(calling, asked), Event::Stored) => {
                self.next(Stage::InCall(calling, asked), []).state.look(context)
            }
            (Stage::Stopping(calling), Event::Received(bytes)) => match CallMessage::received(&bytes) {
                Ok(CallMessage::Receipt(receipt)) => self.receipted(calling, receipt, context),
                _ => self.next(Stage::Stopping(calling), []),
            },
            (Stage::InCall(calling, asked), Event::Declined) => {
                self.outside.stop = true;
                self.next(Stage::InCall(calling, asked), []).state.look(context)
            }
            (Stage::StoringEnd(calling, receipt, doubtful), Event::Stored) => {
                let Some(total) = Amount::new(calling.tariff.claimed().unit, calling.paid()) else {
                    return self.show_last(CallerNotice::Failed(Fault::Storage));
                };
                self.show_last(CallerNotice::Over { receipt, total, doubtful })
            }
            // Nothing of this check is out: the call goes on as it was, until what is paid for is over.
            (Stage::SigningTick { before, .. }, Event::Failed(fault)) => match before {
                Some(calling) => {
                    let told = [send(&CallMessage::NoMore), Effect::Show(CallerNotice::Failed(fault))];
                    self.next(Stage::InCall(calling, None), told)
                }
                None => {
                    let told = send(&CallMessage::Refused(Refusal::OutOfOrder));
                    self.next(Stage::Over, [told, Effect::Show(CallerNotice::Failed(fault))])
                }
            },
            // What is stored ends the call when this device looks again ([`super::HangUp`]).
            (_, Event::Failed(fault)) => self.show_last(CallerNotice::Failed(fault)),
            (stage, _) => self.next(stage, []).state.look(context),
        }
    }
}
