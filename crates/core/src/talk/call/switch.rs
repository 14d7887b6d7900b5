//! The switch's side of a call: the tariff is stored before it is sent, every check before it counts, the end before it is told.
//! The meter says what is due; SIP is elsewhere.

use super::calling::{Call, CallState};
use super::messages::*;
use crate::card::{CallEnd, CallReceipt, CardCertificate, CardEvent, Counterpart, Link, MAX_LINKS, Terms, accept_tick};
use crate::charging::{CallTariff, Due, Meter, Tariff};
use crate::id::{CardId, DeviceId, Handle, Hash};
use crate::money::Amount;
use crate::record::Batch;
use crate::step::{Break, Context, Effect, Event, Fault, SigningKey, Step, Talk};
use crate::talk::journal::Through;
use crate::talk::pay::{Offered, Refusal, Till, seen, seen_key, stale};
use crate::wire::canonical::Wire;
use crate::wire::certificate::{Anchors, Certificate, SessionProof, Untrusted};
use crate::wire::signed::{Signature, Signed, Unsigned};
use alloc::{string::String, sync::Arc, vec, vec::Vec};

/// With what a switch works; the same for all its calls.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its certificate, as it travels.
    pub certificate: Signed<Certificate>,
    /// Whom it trusts.
    pub anchors: Anchors,
    /// The terms it accepts.
    pub terms: Vec<Terms>,
    /// What calls cost, by their issuers; hashes name them in the tariffs of calls.
    pub tariffs: Vec<(Hash, Tariff)>,
    /// Seconds until the tariff of a call must be agreed to.
    pub valid_for: u64,
    /// How long before a unit ends the next one is asked for, in milliseconds.
    pub lead: u64,
}

impl Exchange {
    fn switch(&self) -> DeviceId {
        self.certificate.claimed().subject.device()
    }
    fn accepts(&self, offered: &Offered) -> Option<&Terms> {
        self.terms.iter().find(|terms| terms.kind == offered.kind && terms.handle() == offered.terms)
    }
    fn terms(&self, handle: Handle) -> Option<&Terms> {
        self.terms.iter().find(|terms| terms.handle() == handle)
    }
}

/// What the switch is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchNotice {
    /// The first check is stored: ring whoever is called.
    Proceed,
    /// No more is paid: warn the caller, who hears so many milliseconds more.
    Warn(u64),
    /// Hang up: what was paid is over, or the wallet wants to.
    HangUp(CallEnd),
    /// Over and logged. What was sent before this is a last word to the wallet.
    Over(CallReceipt),
    /// No call; tell the caller why.
    Refused(Refusal),
    /// The device itself failed: hang up.
    Failed(Fault),
}

/// A call that has a tariff.
#[derive(Clone, Debug)]
struct Line {
    call: Call,
    meter: Meter,
    known: Option<Handle>,
    /// Said already.
    hung_up: bool,
}

/// What happens outside the conversation. Milliseconds of one steady clock.
#[derive(Clone, Copy, Debug, Default)]
struct Outside {
    now: u64,
    answered: Option<u64>,
    over: Option<(CallEnd, u64)>,
    /// When whoever calls must have said what is waited for: hello, request, first check.
    patience: Option<u64>,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // states of a call, which are stored whole
enum Stage {
    Idle,
    Proving(Hash),
    ExpectRequest(Hash),
    SigningTariff {
        session: Hash,
        tariff: Unsigned<CallTariff>,
        known: Option<Handle>,
        unknown: bool,
    },
    StoringTariff(Line, Vec<u8>),
    ExpectFirst(Line),
    StoringFirst(Line),
    /// It rings, or somebody speaks.
    Open(Line),
    StoringTick(Line),
    SigningReceipt(Line, Unsigned<CallReceipt>),
    StoringReceipt(Call),
    Over,
}

/// A call at its switch.
///
/// Besides events it is told the time, that it was answered and that it is over; [`Event::Tick`] makes it look.
#[derive(Clone, Debug)]
pub struct SwitchCall {
    exchange: Arc<Exchange>,
    called: String,
    through: Option<Through>,
    outside: Outside,
    stage: Stage,
}

type Next = Step<SwitchCall, SwitchNotice>;
type Effects = Vec<Effect<SwitchNotice>>;

fn send(message: &CallMessage) -> Effect<SwitchNotice> {
    Effect::Send(message.to_bytes())
}

impl SwitchCall {
    /// Somebody dials this number.
    pub fn new(exchange: Arc<Exchange>, called: String) -> Self {
        Self { exchange, called, through: None, outside: Outside::default(), stage: Stage::Idle }
    }
    /// It will go through this trunk.
    #[must_use]
    pub fn through(self, through: Option<Through>) -> Self {
        Self { through, ..self }
    }
    /// Tells it the time, in milliseconds of one steady clock.
    #[must_use]
    pub fn at(mut self, now: u64) -> Self {
        self.outside.now = self.outside.now.max(now);
        self.outside.patience.get_or_insert(self.outside.now.saturating_add(self.patience()));
        self
    }
    fn patience(&self) -> u64 {
        self.exchange.valid_for.saturating_mul(1_000)
    }
    fn is_late(&self) -> bool {
        self.outside.patience.is_some_and(|until| self.outside.now >= until)
    }
    /// Whoever is called has answered, now.
    #[must_use]
    pub fn answered(mut self) -> Self {
        self.outside.answered = self.outside.answered.or(Some(self.outside.now));
        self
    }
    /// The call is over, now.
    #[must_use]
    pub fn ended(self, how: CallEnd) -> Self {
        let now = self.outside.now;
        self.ended_at(how, now)
    }
    /// The call was over then: it may be heard of late, and nobody pays for that.
    #[must_use]
    pub fn ended_at(mut self, how: CallEnd, at: u64) -> Self {
        self.outside.over = self.outside.over.or(Some((how, at)));
        self
    }
    /// When it wants to look again, in milliseconds of its clock.
    pub fn due(&self) -> Option<u64> {
        match &self.stage {
            Stage::Open(line) if !line.hung_up => line.meter.due().map(|due| match due {
                Due::Ask { at, .. } | Due::Warn { at } | Due::Cut { at } => at,
            }),
            // Nobody waits for ever for a caller who says nothing.
            Stage::Idle | Stage::ExpectRequest(_) | Stage::ExpectFirst(_) => self.outside.patience,
            _ => None,
        }
    }
    /// The card that pays, and its generation, once a check is stored.
    pub fn card(&self) -> Option<(CardId, u64)> {
        match &self.stage {
            Stage::Open(line) => line.call.card.zip(line.call.generation),
            _ => None,
        }
    }

    /// What is stored as paid for it by now, in minor units of its tariff. `None`: no call is on.
    pub fn paid(&self) -> Option<u64> {
        match &self.stage {
            Stage::Open(line) => Some(line.call.paid()),
            _ => None,
        }
    }

    /// Its number, once it has one.
    pub fn transaction(&self) -> Option<u64> {
        match &self.stage {
            Stage::StoringTariff(line, _)
            | Stage::ExpectFirst(line)
            | Stage::StoringFirst(line)
            | Stage::Open(line)
            | Stage::StoringTick(line)
            | Stage::SigningReceipt(line, _) => Some(line.call.transaction()),
            Stage::StoringReceipt(call) => Some(call.transaction()),
            _ => None,
        }
    }

    fn next(self, stage: Stage, effects: impl Into<Effects>) -> Next {
        Step::new(Self { stage, ..self }, effects)
    }
    fn refuse(self, why: Refusal) -> Next {
        self.next(Stage::Over, [send(&CallMessage::Refused(why)), Effect::Show(SwitchNotice::Refused(why))])
    }
    fn fail(self, fault: Fault) -> Next {
        self.next(Stage::Over, [Effect::Show(SwitchNotice::Failed(fault))])
    }

    fn prove(self, session: Hash) -> Next {
        let key = &self.exchange.certificate.claimed().key;
        let tbs = SessionProof::unsigned(key).tbs(&SessionProof::context(&session));
        self.next(Stage::Proving(session), [Effect::Sign { key: SigningKey::Device, tbs }])
    }

    fn proven(self, session: Hash, proof: Signature) -> Next {
        let mut told = Certificate::handle(&self.exchange.certificate).0.to_vec();
        told.extend_from_slice(&proof.0);
        self.next(Stage::ExpectRequest(session), [Effect::Send(told)])
    }

    /// Whom the wallet wants to call: rated by the tariff of its card's issuer, as it is now.
    fn requested(self, session: Hash, request: &CallRequest, context: &Context<'_>) -> Next {
        let exchange = self.exchange.clone();
        // What is connected is what SIP says, and that is what is paid for.
        if request.called != self.called {
            return self.refuse(Refusal::Malformed);
        }
        let Some(terms) = exchange.accepts(&request.card) else {
            return self.refuse(Refusal::NotAccepted);
        };
        if stale(&exchange.anchors, terms, context) {
            return self.refuse(Refusal::TerminalStale);
        }
        let of_issuer = exchange.tariffs.iter().filter(|(_, one)| one.issuer == terms.issuer && one.unit == terms.unit);
        let Some((hash, tariff)) = of_issuer.max_by_key(|(_, one)| one.number) else {
            return self.refuse(Refusal::NotAccepted);
        };
        let rated = crate::charging::digits(&self.called);
        let Some(rate) = rated.and_then(|digits| tariff.rate(&digits, context.now)) else {
            return self.refuse(Refusal::UnknownDestination);
        };
        let (till, _) = Till::load(context.records);
        let tariff = CallTariff {
            transaction: till.next,
            unit: tariff.unit,
            setup: rate.setup,
            price: rate.price,
            length: rate.length,
            minimum: rate.minimum,
            setup_kept: rate.setup_kept,
            tariff: *hash,
            called: self.called.clone(),
            at: context.now,
            expires: context.now.after(exchange.valid_for),
            extensions: Default::default(),
        };
        let tariff = Unsigned::new(tariff, exchange.certificate.claimed().key.algorithm());
        let tbs = tariff.tbs(&CallTariff::context(&session, exchange.switch()));
        let known = request.checkpoint.filter(|handle| seen(*handle, context.records).is_some());
        let unknown = request.unknown.unwrap_or(false);
        let stage = Stage::SigningTariff { session, tariff, known, unknown };
        self.next(stage, [Effect::Sign { key: SigningKey::Device, tbs }])
    }

    /// The tariff is stored with its number, which is never used again.
    fn tariff_signed(
        self,
        session: Hash,
        tariff: Signed<CallTariff>,
        (known, unknown): (Option<Handle>, bool),
        context: &Context<'_>,
    ) -> Next {
        let said = tariff.claimed().clone();
        let told = Tariffed {
            tariff: tariff.clone(),
            certificate: unknown.then(|| self.exchange.certificate.clone()),
            known: known.map(|_| true),
            extensions: Default::default(),
        };
        let (till, stored) = Till::load(context.records);
        if till.next != said.transaction {
            return self.fail(Fault::Raced);
        }
        let call = Call {
            state: CallState::Open,
            tariff,
            session,
            card: None,
            generation: None,
            tick: None,
            checkpoint: None,
            raises: None,
            certain: 0,
            receipt: None,
            through: self.through.clone(),
            link: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.replace(Till::key(), stored, Till { next: said.transaction + 1, ..till }.to_bytes());
        batch.replace(Call::key(said.transaction), None, call.to_bytes());
        let lead = self.exchange.lead;
        let line = Line { call, meter: Meter::start(said, lead), known, hung_up: false };
        let told = CallMessage::Tariffed(told).to_bytes();
        let mut this = self;
        this.outside.patience = Some(this.outside.now.saturating_add(this.patience()));
        this.next(Stage::StoringTariff(line, told), [Effect::Store(batch)])
    }

    /// Judges the first check: over nothing, or the set-up charge, by a card that could pay for one unit (R24).
    fn first(self, line: Line, ticked: Ticked, context: &Context<'_>) -> Next {
        let exchange = self.exchange.clone();
        let switch = exchange.switch();
        let known = || line.known.and_then(|handle| seen(handle, context.records));
        let Some(certificate) = ticked.certificate.clone().or_else(known) else {
            return self.end(line, CallEnd::NotAgreed, Some(Refusal::CertificateNeeded), context);
        };
        let said = certificate.claimed();
        let (card, generation) = (said.card, said.generation);
        let raises = ticked.raises.clone().unwrap_or_default();
        let counterpart = line.call.counterpart(switch);
        let signed_in = CardEvent::context(card, generation, &counterpart);
        let Ok(tick) = ticked.tick.verify(&said.key, &signed_in, context.verifier) else {
            return self.end(line, CallEnd::NotAgreed, Some(Refusal::CardNotTrusted), context);
        };
        let tariff = line.call.tariff.claimed();
        let judged = (|| {
            if context.now >= tariff.expires {
                return Err(Refusal::ChargeExpired);
            }
            let verified =
                CardCertificate::accept(certificate.clone(), &exchange.anchors, context.now, context.verifier);
            let verified = verified.map_err(|why| match why {
                Untrusted::Revoked => Refusal::CardRevoked,
                Untrusted::Expired => Refusal::BeyondTerms,
                _ => Refusal::CardNotTrusted,
            })?;
            let terms = exchange.terms(verified.terms).ok_or(Refusal::NotAccepted)?;
            for raise in raises.iter().filter(|raise| raise.is_by_provider()) {
                raise
                    .check_by_provider(card, generation, &exchange.anchors, context.now, context.verifier)
                    .map_err(|_| Refusal::CardNotTrusted)?;
            }
            // The price is that of the issuer whose card pays, and of no other (R24).
            let own = |(hash, one): &(Hash, Tariff)| *hash == tariff.tariff && one.issuer == terms.issuer;
            if !exchange.tariffs.iter().any(own) {
                return Err(Refusal::BeyondTerms);
            }
            if tick.amount != line.meter.first() || tick.links.is_some() || terms.unit != tariff.unit {
                return Err(Refusal::BeyondTerms);
            }
            accept_tick(&verified, terms, &raises, (None, &tick), context.now).map_err(|_| Refusal::BeyondTerms)?;
            let unit = tariff.price.saturating_mul(tariff.minimum.max(1));
            if tick.remaining < unit { Err(Refusal::TooLittle) } else { Ok(()) }
        })();
        // A check that is not accepted is not kept: the receipt ends the call without one, and all of it comes back.
        if let Err(why) = judged {
            let how = if why == Refusal::CardRevoked { CallEnd::CardBlocked } else { CallEnd::NotAgreed };
            return self.end(line, how, Some(why), context);
        }
        let handle = CardCertificate::handle(&certificate);
        let certain = if tariff.setup_kept == Some(true) { tariff.setup } else { 0 };
        let mut line = line;
        let before = line.call.to_bytes();
        line.call = Call {
            card: Some(card),
            generation: Some(generation),
            tick: Some(tick.into_signed()),
            checkpoint: Some(handle),
            raises: (!raises.is_empty()).then_some(raises),
            certain,
            ..line.call
        };
        let mut batch = Batch::default();
        batch.replace(Call::key(line.call.transaction()), Some(before), line.call.to_bytes());
        batch.put(seen_key(handle), certificate.encode());
        if context.broken.has(Break::GoodsBeforeEvidence) {
            let now = self.outside.now;
            let first = line.meter.first();
            let _ = line.meter.pay(first, now);
            return self.next(Stage::Open(line), [Effect::Show(SwitchNotice::Proceed), Effect::Store(batch)]);
        }
        self.next(Stage::StoringFirst(line), [Effect::Store(batch)])
    }

    /// A further check: another tick of the same session, over what was asked for.
    fn ticked(self, mut line: Line, ticked: Ticked, context: &Context<'_>) -> Next {
        let exchange = self.exchange.clone();
        let now = self.outside.now;
        let (Some(card), Some(generation), Some(last)) = (line.call.card, line.call.generation, line.call.tick.clone())
        else {
            return self.fail(Fault::Storage);
        };
        if ticked.tick.claimed() == last.claimed() {
            // A repeat changes nothing (R2).
            return self.next(Stage::Open(line), []);
        }
        let certificate = line.call.checkpoint.and_then(|handle| seen(handle, context.records));
        let Some(certificate) = certificate else {
            return self.fail(Fault::Storage);
        };
        let said = certificate.claimed();
        let counterpart = Counterpart::Charge {
            session: line.call.session,
            terminal: exchange.switch(),
            charge: line.call.tariff.payload(),
        };
        let signed_in = CardEvent::context(card, generation, &counterpart);
        let raises = line.call.raises.clone().unwrap_or_default();
        let fits = ticked.tick.verify(&said.key, &signed_in, context.verifier).ok().filter(|tick| {
            let terms = exchange.terms(said.terms);
            let judged =
                terms.map(|terms| accept_tick(said, terms, &raises, (Some(last.claimed()), tick), context.now));
            judged.is_some_and(|judged| judged.is_ok() || context.broken.has(Break::CeilingIgnored))
        });
        let mut paid = line.meter.clone();
        let linked = line.call.tariff.claimed().is_linked();
        let mut counts = |tick: &CardEvent| match (&tick.links, linked) {
            (None, false) => tick.amount > last.claimed().amount && paid.pay(tick.amount, now).is_ok(),
            (Some(chain), true) => chain.count <= MAX_LINKS && paid.commit(tick.amount, chain.count, now).is_ok(),
            _ => false,
        };
        // Late, lower, for another call, more than was asked for: not taken. What is paid runs out.
        let Some(tick) = fits.filter(|tick| counts(tick)) else {
            return self.next(Stage::Open(line), []);
        };
        let before = line.call.to_bytes();
        line.call = Call { tick: Some(tick.into_signed()), link: None, ..line.call };
        line.meter = paid;
        self.store(line, before)
    }

    /// A link: one hash, or a few, says that it is of the chain that the last check commits to.
    fn linked(self, mut line: Line, link: Link) -> Next {
        let tick = line.call.tick.as_ref().map(Signed::claimed);
        let last = line.call.link.as_ref();
        let chain = tick.and_then(|tick| tick.links.as_ref());
        let new = last.is_none_or(|last| link.index > last.index) && chain.is_some_and(|chain| chain.has(&link, last));
        let price = line.call.tariff.claimed().price;
        let total = tick.filter(|_| new).and_then(|tick| tick.paid(price, link.index));
        let mut paid = line.meter.clone();
        // Late, shown before, of another chain: not taken. What is paid runs out.
        if total.is_none_or(|total| paid.pay(total, self.outside.now).is_err()) {
            return self.next(Stage::Open(line), []);
        }
        let before = line.call.to_bytes();
        line.call = Call { link: Some(link), ..line.call };
        line.meter = paid;
        self.store(line, before)
    }

    /// Evidence before another unit: stores what was paid, and what is certain of it by now.
    fn store(self, mut line: Line, before: Vec<u8>) -> Next {
        let lasted = self.outside.answered.map(|since| self.outside.now.saturating_sub(since));
        line.call.certain = line.call.tariff.claimed().cost(lasted).unwrap_or(0).min(line.meter.paid());
        let mut batch = Batch::default();
        batch.replace(Call::key(line.call.transaction()), Some(before), line.call.to_bytes());
        self.next(Stage::StoringTick(line), [Effect::Store(batch)])
    }

    /// Looks what is to be done now.
    fn look(mut self, context: &Context<'_>) -> Next {
        let Outside { now, over, answered, .. } = self.outside;
        let late = self.is_late();
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::ExpectFirst(line) => match over {
                Some((how, _)) => self.end(line, how, None, context),
                None if late || context.now >= line.call.tariff.claimed().expires => {
                    self.end(line, CallEnd::NotAgreed, Some(Refusal::ChargeExpired), context)
                }
                None => self.next(Stage::ExpectFirst(line), []),
            },
            Stage::Open(mut line) => {
                if let Some(at) = answered {
                    line.meter.answered(at);
                }
                if let Some((how, _)) = over {
                    return self.end(line, how, None, context);
                }
                let mut effects = vec![];
                while let Some(due) = line.meter.due().filter(|_| !line.hung_up) {
                    match due {
                        Due::Ask { total, at } if at <= now => effects.push(send(&CallMessage::Ask(total))),
                        Due::Warn { at } if at <= now => {
                            let left = line.meter.ends().unwrap_or(now).saturating_sub(now);
                            effects.push(send(&CallMessage::Warned(left)));
                            effects.push(Effect::Show(SwitchNotice::Warn(left)));
                        }
                        Due::Cut { at } if at <= now && !context.broken.has(Break::CallGoesOn) => {
                            line.hung_up = true;
                            effects.push(Effect::Show(SwitchNotice::HangUp(CallEnd::PaidTimeOver)));
                        }
                        _ => break,
                    }
                    line.meter.done(due);
                }
                self.next(Stage::Open(line), effects)
            }
            Stage::Idle | Stage::Proving(_) | Stage::ExpectRequest(_) | Stage::SigningTariff { .. }
                if over.is_some() =>
            {
                self.next(Stage::Over, [])
            }
            Stage::Idle | Stage::ExpectRequest(_) if late => self.refuse(Refusal::ChargeExpired),
            stage => self.next(stage, []),
        }
    }

    /// It has ended: what it costs is signed, stored, told. With why there is no call, if there is none.
    fn end(self, mut line: Line, how: CallEnd, refused: Option<Refusal>, context: &Context<'_>) -> Next {
        let at = self.outside.over.map_or(self.outside.now, |(_, at)| at);
        let stopped = line.meter.stop(at);
        let tariff = line.call.tariff.claimed();
        let (mut used, lasted) = if refused.is_some() { (0, None) } else { (stopped.cost, stopped.lasted) };
        if context.broken.has(Break::LinksGuessed) && tariff.is_linked() && refused.is_none() {
            let signed = line.call.tick.as_ref().map_or(0, |tick| tick.claimed().amount);
            used = tariff.cost(lasted).unwrap_or(0).min(signed);
        }
        let Some(used) = Amount::new(tariff.unit, used) else {
            return self.fail(Fault::Storage);
        };
        let switch = self.exchange.switch();
        let receipt = receipt(&line.call, switch, used, lasted, how, context);
        let receipt = Unsigned::new(receipt, self.exchange.certificate.claimed().key.algorithm());
        let tbs = receipt.tbs(&CallReceipt::context(switch));
        let told = refused.map(|why| [send(&CallMessage::Refused(why)), Effect::Show(SwitchNotice::Refused(why))]);
        let mut effects: Effects = told.into_iter().flatten().collect();
        effects.push(Effect::Sign { key: SigningKey::Device, tbs });
        self.next(Stage::SigningReceipt(line, receipt), effects)
    }

    fn receipt_signed(self, call: Call, receipt: Signed<CallReceipt>, context: &Context<'_>) -> Next {
        match call.end(receipt, context.records, context.now) {
            Some((ended, batch)) => self.next(Stage::StoringReceipt(ended), [Effect::Store(batch)]),
            None => self.fail(Fault::Storage),
        }
    }
}

/// The receipt of a call as it stands.
pub(super) fn receipt(
    call: &Call,
    switch: DeviceId,
    used: Amount,
    lasted: Option<u64>,
    ended: CallEnd,
    context: &Context<'_>,
) -> CallReceipt {
    CallReceipt {
        transaction: call.transaction(),
        call: CallTariff::named(&call.session, switch, call.tariff.payload()),
        check: call.tick_hash(switch),
        used,
        lasted,
        ended,
        at: context.now,
        extensions: Default::default(),
    }
}

impl Talk for SwitchCall {
    type Notice = SwitchNotice;

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn step(mut self, event: Event, context: &Context<'_>) -> Next {
        if matches!(event, Event::Lost) {
            self = self.ended(CallEnd::Failed);
        }
        let stage = core::mem::replace(&mut self.stage, Stage::Over);
        match (stage, event) {
            (Stage::Idle, Event::Opened(session)) => self.prove(session),
            (Stage::Proving(session), Event::Signed(proof)) => self.proven(session, proof),
            (Stage::ExpectRequest(session), Event::Received(bytes)) => match CallMessage::received(&bytes) {
                Ok(CallMessage::Request(request)) => self.requested(session, &request, context),
                Ok(CallMessage::Refused(why)) => self.next(Stage::Over, [Effect::Show(SwitchNotice::Refused(why))]),
                _ => self.refuse(Refusal::Malformed),
            },
            (Stage::SigningTariff { session, tariff, known, unknown }, Event::Signed(signature)) => {
                self.tariff_signed(session, tariff.sign(signature), (known, unknown), context)
            }
            // Durable before sent: the tariff leaves only now.
            (Stage::StoringTariff(line, told), Event::Stored) => {
                let expires = line.call.tariff.claimed().expires;
                let sent = [Effect::Send(told), Effect::WaitUntil(expires)];
                let next = self.next(Stage::ExpectFirst(line), sent);
                looked(next, context)
            }
            (Stage::ExpectFirst(line), Event::Received(bytes)) => match CallMessage::received(&bytes) {
                Ok(CallMessage::Ticked(ticked)) => self.first(line, ticked, context),
                Ok(CallMessage::Refused(why)) => {
                    let ended = self.end(line, CallEnd::NotAgreed, None, context);
                    shown_before(ended, SwitchNotice::Refused(why))
                }
                _ => self.end(line, CallEnd::NotAgreed, Some(Refusal::Malformed), context),
            },
            // Evidence before goods: it rings only now.
            (Stage::StoringFirst(mut line), Event::Stored) => {
                let first = line.meter.first();
                if line.meter.pay(first, self.outside.now).is_err() {
                    return self.fail(Fault::Storage);
                }
                let next = self.next(Stage::Open(line), [Effect::Show(SwitchNotice::Proceed)]);
                looked(next, context)
            }
            (Stage::Open(line), Event::Received(bytes)) => match CallMessage::received(&bytes) {
                Ok(CallMessage::Ticked(ticked)) => looked_unless_storing(self.ticked(line, ticked, context), context),
                Ok(CallMessage::Linked(link)) => looked_unless_storing(self.linked(line, link), context),
                Ok(CallMessage::NoMore) => {
                    let mut line = line;
                    line.meter.no_more();
                    looked(self.next(Stage::Open(line), []), context)
                }
                Ok(CallMessage::Stop) => {
                    let mut line = line;
                    line.hung_up = true;
                    let how = if self.outside.answered.is_some() { CallEnd::HungUp } else { CallEnd::Cancelled };
                    self.next(Stage::Open(line), [Effect::Show(SwitchNotice::HangUp(how))])
                }
                // Whatever else it says, what is paid runs out.
                _ => self.next(Stage::Open(line), []),
            },
            (Stage::StoringTick(line), Event::Stored) => looked(self.next(Stage::Open(line), []), context),
            (Stage::SigningReceipt(line, receipt), Event::Signed(signature)) => {
                self.receipt_signed(line.call, receipt.sign(signature), context)
            }
            (Stage::StoringReceipt(call), Event::Stored) => {
                let Some(receipt) = call.receipt else {
                    return self.fail(Fault::Storage);
                };
                let shown = Effect::Show(SwitchNotice::Over(receipt.claimed().clone()));
                self.next(Stage::Over, [send(&CallMessage::Receipt(receipt)), shown])
            }
            // What is stored ends the call when the switch looks again ([`super::EndOfCall`]).
            (_, Event::Failed(fault)) => self.fail(fault),
            (stage, _) => {
                self.stage = stage;
                self.look(context)
            }
        }
    }
}

/// Looks at once, after what this step does.
fn looked(step: Next, context: &Context<'_>) -> Next {
    let Step { state, mut effects } = step;
    let more = state.look(context);
    effects.extend(more.effects);
    Step::new(more.state, effects)
}

fn looked_unless_storing(step: Next, context: &Context<'_>) -> Next {
    if step.effects.is_empty() { looked(step, context) } else { step }
}

fn shown_before(mut step: Next, notice: SwitchNotice) -> Next {
    step.effects.insert(0, Effect::Show(notice));
    step
}
