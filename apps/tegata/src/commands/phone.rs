//! A wallet as a phone on the command line: calls that a telephone card pays, and calls that come.

use super::wallet::chosen;
use crate::flags::EMERGENCY;
use crate::place::{Place, now};
use crate::screen::{Answer, Failure, Screen, bold, fail, fail_with, table};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tegata_core::card::{CallEnd, CardKind};
use tegata_core::charging::CallTariff;
use tegata_core::talk::call::{Caller, CallerNotice};
use tegata_core::{Amount, CardId};
use tegata_sip::reason::Reason;
use tegata_sip::{Line, Number, Phone, PhoneCommand, PhoneConfig, PhoneEvent};
use tegata_vault::SqliteVault;
use tegata_wallet::{Called, Heard, Person, PhoneError, Speaker, Wallet};

/// A number and its password, in the wallet's folder; readable by its owner alone.
struct Kept {
    number: Number,
    password: String,
    /// Where: a switch's name or address.
    at: Option<String>,
}

impl Kept {
    fn file(folder: &Path) -> PathBuf {
        folder.join("phone.csv")
    }
    fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let text = match std::fs::read_to_string(Self::file(folder)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut fields = text.lines().nth(1).unwrap_or_default().split(',');
        match (fields.next().and_then(|number| Number::read(number).ok()), fields.next(), fields.next()) {
            (Some(number), Some(password), at) => {
                let at = at.filter(|at| !at.is_empty()).map(str::to_owned);
                Ok(Some(Self { number, password: password.to_owned(), at }))
            }
            _ => fail(
                "phone.csv in the wallet's folder is damaged; keep the number again: tegata wallet NAME phone NUMBER --password PASSWORD",
            ),
        }
    }
    fn write(&self, folder: &Path) -> Result<(), Failure> {
        let written = folder.join("phone.new");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&written)?;
        let at = self.at.as_deref().unwrap_or_default();
        file.write_all(format!("number,password,at\n{},{},{at}\n", self.number, self.password).as_bytes())?;
        Ok(std::fs::rename(written, Self::file(folder))?)
    }
    fn needed(folder: &Path, name: &str) -> Result<Self, Failure> {
        match Self::read(folder)? {
            Some(kept) => Ok(kept),
            None => fail(format!(
                "this wallet has no phone number yet; a switch's operator gives one (tegata switch SWITCH phone NUMBER), \
                 then: tegata wallet {name} phone NUMBER --password PASSWORD --at SWITCH"
            )),
        }
    }
    /// Where its switch answers.
    fn switch(&self, place: &Place, at: Option<&str>) -> Result<SocketAddr, Failure> {
        match at.or(self.at.as_deref()) {
            Some(at) => place.exchange(at),
            None => fail("name the switch, by its name or address: --at SWITCH"),
        }
    }
}

/// The folder of a wallet, which need not be opened to be called.
fn folder(place: &Place, name: &str) -> Result<PathBuf, Failure> {
    let folder = place.folder.path().join("wallets").join(name);
    if tegata_vault::folder::is_name(name) && folder.join("vault.db").exists() {
        return Ok(folder);
    }
    fail(format!("there is no wallet '{name}' here yet; join first, which makes it"))
}

/// Keeps a number.
pub fn keep(
    place: &Place,
    name: &str,
    number: &str,
    (password, at): (Option<String>, Option<String>),
) -> Result<Answer, Failure> {
    let folder = folder(place, name)?;
    let Ok(number) = Number::read(number) else {
        return fail(format!("'{number}' is no number or name of a phone"));
    };
    let Some(password) = password else {
        return fail("the password that the switch's operator gave with the number is needed: --password PASSWORD");
    };
    if password.is_empty() || password.contains([',', '\n', '"']) || at.as_ref().is_some_and(|at| at.contains(',')) {
        return fail("neither password nor switch may hold a comma or a quote; copy what `switch NAME phone` printed");
    }
    let kept = Kept { number, password, at };
    kept.write(&folder)?;
    let to = kept.at.as_deref().map_or_else(|| " --at SWITCH".to_owned(), |_| String::new());
    let text = format!(
        "{name} is {} now. Call with it: tegata wallet {name} call NUMBER{to}\nBe called: tegata wallet {name} answer{to}",
        bold(&kept.number)
    );
    Ok(Answer::new(text, json!({ "phone": kept.number.as_str(), "at": kept.at })))
}

/// Shows the number; never the password.
pub fn show(place: &Place, name: &str) -> Result<Answer, Failure> {
    let kept = Kept::needed(&folder(place, name)?, name)?;
    let at = kept.at.as_deref().map_or_else(String::new, |at| format!(", at {at}"));
    Ok(Answer::new(
        format!("{name} is {}{at}.", bold(&kept.number)),
        json!({ "phone": kept.number.as_str(), "at": kept.at }),
    ))
}

/// What somebody wants who calls.
pub struct Wanted<'a> {
    /// Whom.
    pub number: &'a str,
    /// Through which switch.
    pub at: Option<&'a str>,
    /// By which card.
    pub card: Option<&'a str>,
    /// The most that it may cost.
    pub most: Option<&'a str>,
    /// How long.
    pub seconds: Option<u64>,
    /// Agrees without being asked.
    pub yes: bool,
}

async fn started(kept: Kept, switch: SocketAddr) -> Result<(Phone, Line), Failure> {
    let (phone, mut line) = Phone::start(PhoneConfig::new(switch, kept.number, &kept.password)).await?;
    tegata_wallet::registered(&mut line).await?;
    Ok((phone, line))
}

/// Ends with Ctrl-C, or after so many seconds of talking.
struct Ends {
    stop: Arc<AtomicBool>,
    heeded: bool,
    seconds: Option<u64>,
    answered: Option<Instant>,
}

impl Ends {
    fn new(seconds: Option<u64>) -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), heeded: false, seconds, answered: None }
    }
    /// From now on Ctrl-C hangs up instead of ending the program.
    fn heed(&mut self) {
        if !std::mem::replace(&mut self.heeded, true) {
            let stop = self.stop.clone();
            tokio::spawn(async move {
                crate::interrupted().await;
                stop.store(true, Ordering::Relaxed);
            });
        }
    }
    fn now(&self) -> bool {
        let over = self.seconds.zip(self.answered).is_some_and(|(most, since)| since.elapsed().as_secs() >= most);
        over || self.stop.load(Ordering::Relaxed)
    }
}

/// Whoever calls, and sees what it costs.
struct AtThePhone {
    screen: Screen,
    yes: bool,
    ends: Ends,
    /// They said themselves how much it may cost.
    limited: bool,
    tariff: Option<CallTariff>,
    units: u64,
    said: u64,
    seen: Seen,
}

/// What makes a difference for what is said afterwards.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// It rang.
    rang: bool,
    /// Nobody could be asked.
    unasked: bool,
}

impl Person for AtThePhone {
    fn told(&mut self, notice: &CallerNotice) -> bool {
        match notice {
            CallerNotice::Consent { by, tariff, units } => {
                self.screen.say(format!("{} connects you with {}: {}.", bold(by), bold(&tariff.called), price(tariff)));
                if let Some(most) = units.checked_mul(tariff.length).filter(|_| tariff.price > 0) {
                    let what = if self.limited { "What it may cost" } else { "This card" };
                    self.screen.say(format!("{what} lasts for {}.", clock(most)));
                }
                (self.tariff, self.units) = (Some(tariff.clone()), *units);
                self.seen.unasked = !self.yes && !std::io::stdin().is_terminal();
                let agrees = self.yes || asked("Call? [y/N] ");
                if agrees {
                    self.ends.heed();
                }
                return agrees;
            }
            CallerNotice::Dialled => self.screen.say("Calling. Ctrl-C hangs up."),
            CallerNotice::Ending { why } => {
                let why = why.map_or_else(|| "this call may cost no more".to_owned(), |why| why.to_string());
                self.line(format!("No more is paid ({why}): the call ends when what is paid is over."));
            }
            CallerNotice::Warned(left) => self.line(format!("It ends in {}.", yet(*left))),
            _ => {}
        }
        false
    }
    fn ends(&mut self) -> bool {
        self.ends.now()
    }
}

impl Speaker for AtThePhone {
    fn hears(&mut self, what: &Heard) {
        match what {
            Heard::Ringing(_) => {
                self.seen.rang = true;
                self.screen.say("It rings.");
            }
            Heard::Answered => {
                self.ends.answered = Some(Instant::now());
                self.screen.say("Answered.");
            }
            // The same was said by the wallet's own words.
            Heard::Text(_) => {}
        }
    }
    /// Time and cost, once a second: what is paid for, not what is being paid ahead.
    fn talks(&mut self, lasted: u64) {
        let (second, Some(tariff)) = (lasted / 1000, &self.tariff) else { return };
        let shown = !self.screen.json && std::io::stdout().is_terminal();
        if !shown || second <= self.said {
            return;
        }
        self.said = second;
        let most = self.units.saturating_mul(tariff.length);
        // The switch may end it a moment after what is paid for; that moment costs nothing.
        let counted = if tariff.price == 0 { lasted } else { lasted.min(most) };
        let cost = tariff.cost(Some(counted)).and_then(|cost| Amount::new(tariff.unit, cost));
        let cost = cost.map_or_else(String::new, |cost| format!(", {cost}"));
        let left = clock(most.saturating_sub(lasted));
        let left = match (tariff.price, self.limited) {
            (0, _) => String::new(),
            (_, true) => format!(", {left} left"),
            (_, false) => format!(", {left} left on this card"),
        };
        // Whoever does not see it misses nothing: the end is said by itself.
        print!("\r\u{1b}[K{}{cost}{left}", clock(lasted));
        let _ = std::io::stdout().flush();
    }
}

impl AtThePhone {
    /// A line of its own, below the running one.
    fn line(&self, text: String) {
        let under = if self.said > 0 && std::io::stdout().is_terminal() { "\n" } else { "" };
        self.screen.say(format!("{under}{text}"));
    }
}

fn asked(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    print!("{question}");
    let mut line = String::new();
    let read = std::io::stdout().flush().and_then(|()| std::io::stdin().lock().read_line(&mut line));
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

/// What a call costs, in words.
fn price(tariff: &CallTariff) -> String {
    let amount = |minor| Amount::new(tariff.unit, minor).map_or_else(String::new, |amount| amount.to_string());
    if tariff.price == 0 && tariff.setup == 0 {
        return "it costs nothing".to_owned();
    }
    let mut text = format!("{} for each {}", amount(tariff.price), span(tariff.length));
    if tariff.setup > 0 {
        let kept = if tariff.setup_kept == Some(true) { ", also if nobody answers" } else { "" };
        text.push_str(&format!(", and {} to be connected{kept}", amount(tariff.setup)));
    }
    if let Some(least) = at_least(tariff) {
        text.push_str(&format!("; once it is answered, {least}"));
    }
    text
}

/// What it costs if it ends at once, which nobody should have to reckon; `None`: no more than one unit.
pub(super) fn at_least(tariff: &CallTariff) -> Option<String> {
    let least = Amount::new(tariff.unit, tariff.least().filter(|_| tariff.minimum > 1 && tariff.price > 0)?)?;
    let first = span(tariff.minimum.saturating_mul(tariff.length));
    Some(format!("{least} at least, for the first {first}"))
}

/// A length of time; the unit alone where it is one of it.
pub(super) fn span(ms: u64) -> String {
    match ms {
        60_000 => "minute".to_owned(),
        1_000 => "second".to_owned(),
        ms if ms % 60_000 == 0 => format!("{} minutes", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{} seconds", ms / 1_000),
        ms => format!("{} seconds", format!("{}.{:03}", ms / 1_000, ms % 1_000).trim_end_matches('0')),
    }
}

/// How long something lasts yet, to a tenth of a second.
pub(super) fn yet(ms: u64) -> String {
    match (ms / 100).max(1) * 100 {
        60_000 => "1 minute".to_owned(),
        1_000 => "1 second".to_owned(),
        ms => span(ms),
    }
}

/// Minutes and seconds.
pub(super) fn clock(ms: u64) -> String {
    format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60)
}

/// Calls somebody.
pub fn call(place: &Place, screen: Screen, name: &str, wanted: &Wanted<'_>) -> Result<Answer, Failure> {
    if let Some(answer) = for_help(place, screen, name, wanted)? {
        return Ok(answer);
    }
    let kept = Kept::needed(&folder(place, name)?, name)?;
    let mut opened = place.wallet(name)?;
    let wallet = &mut opened.part;
    let card = chosen(wallet, wanted.card, CardKind::Telephone)?;
    let payer = wallet.payer(card)?;
    if payer.terms.kind != CardKind::Telephone {
        return fail(format!("{card} is no telephone card; `cards` lists what this wallet holds"));
    }
    let limit = match wanted.most {
        Some(most) => Some(super::amount(most, payer.terms.unit.name())?.minor()),
        None => None,
    };
    let switch = kept.switch(place, wanted.at)?;
    let ends = Ends::new(wanted.seconds);
    let mut person = AtThePhone {
        screen,
        yes: wanted.yes,
        ends,
        limited: limit.is_some(),
        tariff: None,
        units: 0,
        said: 0,
        seen: Seen::default(),
    };
    let caller = Caller { payer, called: wanted.number.to_owned(), limit };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let called = runtime.block_on(async {
        let (phone, mut line) = started(kept, switch).await?;
        let called = tegata_wallet::call(&mut wallet.device, caller, &mut line, now, &mut person).await;
        phone.stop().await;
        Ok::<_, Failure>(called?)
    })?;
    if person.said > 0 {
        screen.say("");
    }
    outcome(wallet, card, wanted.number, (&called, person.seen))
}

/// Digits of the longest number for help that any country has.
const FOR_HELP: usize = 3;

/// Calls for help: free, without a card, and without a number of one's own where there is none. Which numbers those are the switch knows: so
/// short a one is asked for freely first. `None`: it is none, as far as the switch says.
fn for_help(place: &Place, screen: Screen, name: &str, wanted: &Wanted<'_>) -> Result<Option<Answer>, Failure> {
    let Some(dialled) = Number::read(wanted.number).ok().filter(|number| number.as_str().len() <= FOR_HELP) else {
        return Ok(None);
    };
    let sure = EMERGENCY.contains(&dialled.as_str());
    let kept = Kept::read(&folder(place, name)?)?;
    let switch = match (wanted.at, &kept) {
        (Some(at), _) => place.exchange(at)?,
        (None, Some(kept)) => kept.switch(place, None)?,
        (None, None) => return fail("name the switch, by its name or address: --at SWITCH"),
    };
    let nobody = || Number::read("anonymous").map(|number| Kept { number, password: String::new(), at: None });
    let (Ok(own), Ok(to)) = (kept.map_or_else(nobody, Ok), Number::read(wanted.number)) else {
        return fail(format!("'{}' is no number", wanted.number));
    };
    let mut ends = Ends::new(wanted.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let reason = runtime.block_on(async {
        // Nobody waits until the switch knows this phone: it takes such calls from anybody.
        let (phone, mut line) = Phone::start(PhoneConfig::new(switch, own.number, &own.password)).await?;
        ends.heed();
        let gone = || Failure::from(PhoneError::Stopped);
        line.commands.send(PhoneCommand::Dial { to, body: None }).map_err(|_| gone())?;
        let (mut dialled, mut hung_up) = (None, false);
        let reason = loop {
            tokio::select! {
                event = line.events.recv() => match event {
                    Some(PhoneEvent::Dialled { call, .. }) => dialled = Some(call),
                    Some(PhoneEvent::Ringing { .. }) => screen.say("It rings."),
                    Some(PhoneEvent::Answered { .. }) => {
                        ends.answered = Some(Instant::now());
                        screen.say("Speak now: the call is free. Ctrl-C hangs up.");
                    }
                    Some(PhoneEvent::Ended { reason, .. }) => break reason,
                    Some(_) => {}
                    None => return Err(gone()),
                },
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            if let Some(call) = dialled.filter(|_| ends.now() && !hung_up) {
                hung_up = true;
                line.commands.send(PhoneCommand::HangUp { call, body: None }).map_err(|_| gone())?;
            }
        };
        phone.stop().await;
        Ok::<_, Failure>(reason)
    })?;
    let lasted = ends.answered.map(|since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
    let json = json!({ "called": wanted.number, "emergency": true, "answered": lasted.is_some(), "lasted_ms": lasted,
        "status": reason.cause, "said": reason.text });
    match lasted {
        Some(lasted) => {
            Ok(Some(Answer::new(format!("The call has ended, after {}. It was free.", clock(lasted)), json)))
        }
        None if !sure && matches!(reason.cause, 402 | 403 | 404 | 480) => Ok(None),
        None if reason.cause == 404 => fail_with(
            format!(
                "this switch takes no calls for help, or none for {}: its operator gives it a trunk for them; try another phone",
                wanted.number
            ),
            json,
        ),
        None => fail_with(
            format!("nobody took the call for help: {} ({}); try another phone", reason.text, reason.cause),
            json,
        ),
    }
}

/// What the user is told after a call.
fn outcome(
    wallet: &Wallet<SqliteVault>,
    card: CardId,
    number: &str,
    (called, seen): (&Called, Seen),
) -> Result<Answer, Failure> {
    let held = wallet.cards()?.into_iter().find(|held| held.card == card);
    let waiting = held.as_ref().map(|held| held.waiting);
    let remaining = held.map(|held| held.remaining);
    let receipt = called.receipt.as_ref();
    let (ended, used) = (receipt.map(|receipt| receipt.ended), receipt.map(|receipt| receipt.used));
    let lasted = receipt.and_then(|receipt| receipt.lasted).or(called.lasted);
    let decimal = |amount: Option<Amount>| amount.map(|amount| amount.decimal().to_string());
    let json = json!({
        "called": number,
        "answered": called.lasted.is_some(),
        "lasted_ms": lasted,
        "paid": decimal(called.paid),
        "used": decimal(used),
        "returned": decimal(called.returned),
        "remaining": decimal(remaining),
        "waiting": decimal(waiting),
        "unit": remaining.map(|remaining| remaining.unit().name()),
        "ended": ended.map(CallEnd::name),
        "receipted": receipt.is_some(),
        "status": called.reason.cause,
        "said": called.reason.text,
    });
    if let Some(why) = &called.refused {
        let hint = if seen.unasked { ". Without a terminal, say --yes" } else { "" };
        return fail_with(format!("not called: {why}{hint}"), json);
    }
    let Some(paid) = called.paid else {
        // The switch's words say who is at fault, and what to do.
        return fail_with(format!("not called: {} ({})", called.reason.text, called.reason.cause), json);
    };
    let mut text = match (called.lasted, ended) {
        (None, Some(CallEnd::Failed)) => unconnected(&called.reason),
        (None, Some(CallEnd::NoAnswer)) if called.reason.cause == 408 && !seen.rang => unconnected(&called.reason),
        (answered, Some(ended)) => how(ended, answered.is_some()).to_owned(),
        (Some(_), None) => "The call has ended".to_owned(),
        (None, None) => format!("Not connected: {} ({})", called.reason.text, called.reason.cause),
    };
    if let Some(lasted) = lasted.filter(|_| called.lasted.is_some()) {
        text.push_str(&format!(", after {}", clock(lasted)));
    }
    text.push_str(&match used {
        Some(used) if used.is_zero() => ". It cost nothing.".to_owned(),
        Some(used) => format!(". It cost {}.", bold(used)),
        // More than was paid it cannot have cost.
        None if paid.is_zero() => ". It cost nothing.".to_owned(),
        None => format!(
            ". What it cost is not known yet: {paid} are paid, and the receipt comes with the next update (tegata wallet NAME update)."
        ),
    });
    if let Some(back) = called.returned.filter(|back| !back.is_zero()) {
        // A card takes up two rests between updates (R6).
        let how = if waiting.is_some_and(|waiting| !waiting.is_zero()) {
            "come back with the next update"
        } else {
            "are back on the card"
        };
        text.push_str(&format!(" {back} that were paid ahead {how}."));
    }
    if let Some(remaining) = remaining {
        text.push_str(&format!(" {remaining} remain."));
    }
    if called.doubtful {
        text.push_str(" The receipt says more than this wallet's clock: ask the switch's operator.");
    }
    Ok(Answer::new(text, json))
}

/// Why a call was not connected, by what the other network said or did not say; and what helps.
fn unconnected(Reason { cause, text }: &Reason) -> String {
    let (what, helps) = match *cause {
        404 | 410 | 484 | 604 => ("nobody has that number", "check it"),
        408 => ("nothing was heard from the other side", "try again later"),
        500..=599 => ("the other network cannot connect it at the moment", "try again later"),
        _ => ("the other side does not take the call", "try again, or ask the switch's operator"),
    };
    format!("Not connected: {what} ({cause} {text}); {helps}")
}

fn how(ended: CallEnd, answered: bool) -> &'static str {
    match ended {
        CallEnd::HungUp => "You hung up",
        CallEnd::CalledHungUp => "The other side hung up",
        CallEnd::Busy => "Busy",
        CallEnd::NoAnswer => "Nobody answered",
        CallEnd::Cancelled => "You gave up",
        CallEnd::Failed if !answered => "Not connected",
        CallEnd::Failed => "The connection broke",
        CallEnd::PaidTimeOver => "What was paid for is over",
        CallEnd::SwitchRestarted => "The switch was stopped or restarted",
        CallEnd::NotAgreed => {
            "The switch ended it: the card does not pay any more, or what it said does not fit (update the wallet)"
        }
        CallEnd::CardBlocked => "The switch ended it: the card is blocked (update the wallet and ask the provider)",
    }
}

/// Whoever is called.
struct Callee {
    screen: Screen,
    ends: Ends,
}

impl Person for Callee {
    fn told(&mut self, _: &CallerNotice) -> bool {
        false
    }
    fn ends(&mut self) -> bool {
        self.ends.now()
    }
}

impl Speaker for Callee {
    fn hears(&mut self, what: &Heard) {
        match what {
            Heard::Ringing(from) => {
                let from = from.as_ref().map_or_else(|| "Somebody".to_owned(), Number::to_string);
                self.screen.say(format!("{from} calls."));
            }
            Heard::Answered => {
                self.ends.answered = Some(Instant::now());
                self.screen.say("Taken. Ctrl-C hangs up.");
            }
            Heard::Text(text) => self.screen.say(text),
        }
    }
}

/// Waits for a call.
pub fn answer(
    place: &Place,
    screen: Screen,
    name: &str,
    (at, seconds): (Option<&str>, Option<u64>),
) -> Result<Answer, Failure> {
    let kept = Kept::needed(&folder(place, name)?, name)?;
    let switch = kept.switch(place, at)?;
    let number = kept.number.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let taken = runtime.block_on(async {
        let (phone, mut line) = started(kept, switch).await?;
        let text = format!("{} waits for a call. Ctrl-C ends.", bold(&number));
        let json = json!({ "listening": phone.address().to_string(), "phone": number.as_str() });
        screen.show(&Answer::new(text, json));
        let mut person = Callee { screen, ends: Ends::new(seconds) };
        person.ends.heed();
        let taken = tegata_wallet::answer(&mut line, &mut person).await;
        phone.stop().await;
        Ok::<_, Failure>(taken?)
    })?;
    let Some(taken) = taken else {
        return Ok(Answer::new("Nobody called.", json!({ "called": false })));
    };
    let from = taken.from.as_ref().map(Number::as_str);
    let text = match taken.lasted {
        Some(lasted) => format!("The call from {} has ended, after {}.", from.unwrap_or("somebody"), clock(lasted)),
        None => format!("The call from {} did not come about: {}.", from.unwrap_or("somebody"), taken.reason.text),
    };
    Ok(Answer::new(
        text,
        json!({ "called": true, "from": from, "answered": taken.lasted.is_some(), "lasted_ms": taken.lasted,
            "said": taken.reason.text }),
    ))
}

/// Lists the calls that were paid for.
pub fn calls(wallet: &Wallet<SqliteVault>) -> Result<Answer, Failure> {
    let made = wallet.calls()?;
    let rows: Vec<Vec<String>> = made
        .iter()
        .map(|made| {
            vec![
                super::moment(made.at),
                made.called.clone(),
                made.by.clone(),
                made.lasted.map_or_else(String::new, clock),
                match made.used {
                    Some(used) => used.to_string(),
                    None if made.paid.is_zero() => made.paid.to_string(),
                    None => format!("{} at most", made.paid),
                },
                made.ended.map_or_else(String::new, |ended| how(ended, made.lasted.is_some()).to_lowercase()),
                made.receipt.to_string(),
            ]
        })
        .collect();
    let json: Vec<Value> = made
        .iter()
        .map(|made| {
            json!({ "at": made.at.0, "called": made.called, "by": made.by, "lasted_ms": made.lasted,
                "paid": made.paid.decimal().to_string(), "used": made.used.map(|used| used.decimal().to_string()),
                "unit": made.paid.unit().name(), "ended": made.ended.map(CallEnd::name), "state": made.state.name(),
                "card": made.card.to_string(), "receipt_number": made.receipt.to_string() })
        })
        .collect();
    let text = if rows.is_empty() {
        "No calls were made with this wallet yet. Call somebody: tegata wallet NAME call NUMBER".to_owned()
    } else {
        table(&["at", "called", "through", "lasted", "cost", "ended", "receipt"], &rows)
    };
    Ok(Answer::new(text, json!({ "calls": json })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::{Hash, Time, Unit};

    #[test]
    fn whoever_is_not_connected_reads_why_and_what_helps() {
        let said = |cause, text| unconnected(&Reason::new(cause, text));
        assert_eq!(said(404, "Not Found"), "Not connected: nobody has that number (404 Not Found); check it");
        assert!(said(408, "Request Timeout").contains("nothing was heard from the other side"));
        assert!(said(503, "Service Unavailable").ends_with("try again later"));
        assert!(said(488, "Not Acceptable Here").contains("ask the switch's operator"));
        assert_eq!(
            (how(CallEnd::Failed, false), how(CallEnd::Failed, true)),
            ("Not connected", "The connection broke")
        );
    }

    /// The least is at risk as soon as somebody answers: whoever agrees has read what it is.
    #[test]
    fn a_price_says_what_an_answered_call_costs_at_the_least() {
        let tariff = |setup, minimum| CallTariff {
            transaction: 1,
            unit: Unit::USD,
            setup,
            price: 2,
            length: 1_000,
            minimum,
            setup_kept: None,
            tariff: Hash::ZERO,
            called: "1900".into(),
            at: Time(0),
            expires: Time(60),
            extensions: Default::default(),
        };
        let usd = |minor| Amount::new(Unit::USD, minor).expect("in range");
        let said = price(&tariff(30, 10));
        let least = format!("; once it is answered, {} at least, for the first 10 seconds", usd(50));
        assert!(said.contains(&format!(", and {} to be connected", usd(30))) && said.ends_with(&least), "{said}");
        assert!(price(&tariff(0, 60)).ends_with("at least, for the first minute"));
        assert_eq!(price(&tariff(0, 1)), format!("{} for each second", usd(2)), "one unit, as it says");
    }

    #[test]
    fn spans_and_clocks_read_as_people_say_them() {
        assert_eq!((span(60_000), span(1_000), span(30_000)), ("minute".into(), "second".into(), "30 seconds".into()));
        assert_eq!((span(120_000), span(1_500)), ("2 minutes".into(), "1.5 seconds".into()));
        assert_eq!((yet(1_050), yet(60_000)), ("1 second".into(), "1 minute".into()));
        assert_eq!((yet(3_999), yet(10)), ("3.9 seconds".into(), "0.1 seconds".into()));
        assert_eq!((clock(0), clock(61_999), clock(3_600_000)), ("0:00".into(), "1:01".into(), "60:00".into()));
    }
}
