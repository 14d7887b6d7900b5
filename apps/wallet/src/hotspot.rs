//! A wallet at a hotspot: it says over HTTP what it says to a switch over SIP, and pays as long as the way shall be open.

use crate::lasting::Lasting;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tegata_core::card::CallReceipt;
use tegata_core::charging::digits;
use tegata_core::step::{Event, Fault};
use tegata_core::talk::call::{Caller, CallerNotice, WalletCall};
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_crypto_native::entropy;
use tegata_device::{Device, Now, TapError, TapStep, WalletTap, hang_up_all};
use tegata_vault::Vault;

/// How long a hotspot may hold an answer, in seconds.
const WAIT: u64 = 1;
/// How long it does not ask where something falls due soon, at most.
const LOOK: Duration = Duration::from_millis(50);

/// Why a session did not come about, or broke.
#[derive(Debug, thiserror::Error)]
pub enum HotspotError {
    /// Nobody answers.
    #[error("the hotspot at {0} cannot be reached; nothing more is paid")]
    Away(String),
    /// Something else answers.
    #[error("what answers at {0} is no hotspot (status {1})")]
    Odd(String, u16),
    /// The conversation broke.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
}

/// What a person decides while it lasts.
pub trait Person {
    /// A notice; the answer counts where it asks ([`CallerNotice::Consent`]).
    fn told(&mut self, notice: &CallerNotice) -> bool;
    /// Whether it shall end now.
    fn ends(&mut self) -> bool;
}

/// A session under way.
struct Session<'a, V> {
    client: reqwest::blocking::Client,
    url: String,
    tap: WalletTap<WalletCall>,
    device: &'a mut Device<V>,
    clock: fn() -> Now,
    start: Instant,
    out: VecDeque<Vec<u8>>,
    /// Since when the way is open, in milliseconds of this side's clock.
    opened: Option<u64>,
    lasting: Lasting,
    receipt: Option<CallReceipt>,
}

fn client(url: &str) -> Result<reqwest::blocking::Client, HotspotError> {
    let client = reqwest::blocking::Client::builder();
    let client = client.timeout(Duration::from_secs(60)).connect_timeout(Duration::from_secs(5)).no_proxy();
    client.build().map_err(|_| HotspotError::Away(url.to_owned()))
}

/// The number by whose rate a hotspot charges. Whoever pays sees it with the price, and the provider compares the two.
///
/// # Errors
/// [`HotspotError`].
pub fn service(url: &str) -> Result<String, HotspotError> {
    let url = url.trim_end_matches('/');
    let away = |_| HotspotError::Away(url.to_owned());
    let response = client(url)?.get(format!("{url}/v1/session")).send().map_err(away)?;
    let status = response.status().as_u16();
    let number = response.text().map_err(away)?;
    match digits(&number) {
        Some(number) if status == 200 => Ok(number),
        _ => Err(HotspotError::Odd(url.to_owned(), status)),
    }
}

/// Pays for a way to the network until the person, the card or the hotspot ends it. Gives the receipt, if one came; else the provider
/// brings it.
///
/// # Errors
/// [`HotspotError`]. What was paid is logged when the wallet looks again ([`tegata_device::hang_up_all`]).
pub fn surf<V: Vault>(
    device: &mut Device<V>,
    caller: Caller,
    url: &str,
    clock: fn() -> Now,
    person: &mut dyn Person,
) -> Result<Option<CallReceipt>, HotspotError> {
    let url = url.trim_end_matches('/').to_owned();
    let client = client(&url)?;
    hang_up_all(device, clock())?;
    let (tap, hello) = WalletTap::touch(WalletCall::new(caller), entropy::fresh())?;
    let (out, start) = (VecDeque::new(), Instant::now());
    let lasting = Lasting::default();
    let mut session = Session { client, url, tap, device, clock, start, out, opened: None, lasting, receipt: None };
    let first = session.ask(&format!("{}/v1/session", session.url), hello, person)?;
    let place = first.ok_or_else(|| HotspotError::Odd(session.url.clone(), 201))?;
    let place = format!("{}{place}", session.url);
    while !session.tap.is_over() {
        if person.ends() {
            session.tap.talking().tell(WalletCall::stop);
        }
        session.look(person)?;
        session.warn(person);
        let frame = session.out.pop_front().unwrap_or_default();
        if session.is_gone(&place, frame, person)? {
            return Ok(session.receipt);
        }
    }
    // A last word of the wallet, such as a refusal.
    while let Some(frame) = session.out.pop_front() {
        if session.is_gone(&place, frame, person)? {
            break;
        }
    }
    Ok(session.receipt)
}

impl<V: Vault> Session<'_, V> {
    fn ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
    /// As [`Self::ask`]; says whether the other side has gone. Whoever has the receipt by then has all: a hotspot that is stopped waits
    /// until it was fetched, and not for what is said after it.
    fn is_gone(&mut self, url: &str, frame: Vec<u8>, person: &mut dyn Person) -> Result<bool, HotspotError> {
        match self.ask(url, frame, person) {
            Err(HotspotError::Away(_)) if self.receipt.is_some() => Ok(true),
            asked => asked.map(|_| false),
        }
    }
    /// Says this, and hears what comes back. Gives where the session is, where that is said.
    fn ask(&mut self, url: &str, frame: Vec<u8>, person: &mut dyn Person) -> Result<Option<String>, HotspotError> {
        let away = |_| HotspotError::Away(self.url.clone());
        let mut request = self.client.post(url).body(frame);
        // Whoever has nothing due waits for the other side. What falls due sooner than that is waited for here, asking again and again: the
        // other side would hold its answer until a unit is over.
        let due = self.tap.talking().look(WalletCall::due).flatten();
        let soon = due.map(|due| due.saturating_sub(self.ms())).filter(|left| *left < WAIT * 1_000);
        if self.out.is_empty() && soon.is_none() {
            request = request.header("prefer", format!("wait={WAIT}"));
        }
        let response = request.send().map_err(away)?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (place, open) = (header("location"), header("tegata-open"));
        let body = response.bytes().map_err(away)?.to_vec();
        let words = Vec::<Bytes>::from_bytes(&body).ok().filter(|_| status == 200 || status == 201);
        let Some(words) = words else {
            return Err(HotspotError::Odd(self.url.clone(), status));
        };
        if self.opened.is_none() && open.as_deref() == Some("true") {
            let ms = self.ms();
            self.opened = Some(ms);
            self.tap.talking().tell(|call| call.at(ms).answered());
        }
        if let (true, true, Some(left)) = (words.is_empty(), self.out.is_empty(), soon) {
            std::thread::sleep(Duration::from_millis(left).min(LOOK));
        }
        for Bytes(word) in words {
            if self.tap.is_over() {
                break;
            }
            let (now, ms) = ((self.clock)(), self.ms());
            self.tap.talking().tell(|call| call.at(ms));
            let step = self.tap.receive(&word, now, self.device)?;
            self.after(step, person)?;
        }
        Ok(place)
    }
    fn look(&mut self, person: &mut dyn Person) -> Result<(), HotspotError> {
        let (now, ms) = ((self.clock)(), self.ms());
        self.tap.talking().tell(|call| call.at(ms));
        let step = self.tap.event(Event::Tick, now, self.device)?;
        self.after(step, person)
    }
    fn warn(&mut self, person: &mut dyn Person) {
        let lasted = self.opened.map(|opened| self.ms().saturating_sub(opened));
        if let Some(warning) = lasted.and_then(|lasted| self.lasting.warns(lasted)) {
            person.told(&warning);
        }
    }
    fn after(&mut self, step: TapStep<CallerNotice>, person: &mut dyn Person) -> Result<(), HotspotError> {
        self.out.extend(step.frames);
        for notice in step.notices {
            self.lasting.hear(&notice);
            let agrees = person.told(&notice);
            match notice {
                CallerNotice::Consent { .. } => {
                    let answer = if agrees { Event::Agreed } else { Event::Declined };
                    let step = self.tap.event(answer, (self.clock)(), self.device)?;
                    self.after(step, person)?;
                }
                CallerNotice::Over { receipt, .. } => self.receipt = receipt,
                _ => {}
            }
        }
        Ok(())
    }
}
