//! The lines of a payment by credit: asked again, with the same bytes, until the provider says how it ended (R26).

use crate::drive::{Device, Now};
use crate::post::{ExchangeError, Post};
use crate::update::ask;
use std::time::Duration;
use tegata_core::step::Talk;
use tegata_core::talk::credit::{
    CardDetails, CardRegistration, Clerk, CreditClaim, CreditClaimNotice, CreditPayment, PaymentNotice, ProcessorInfo,
    RegisterCard, RegisterNotice,
};
use tegata_core::wire::canonical::Wire;
use tegata_core::{RequestNumber, Time};
use tegata_crypto_native::{entropy, seal_to};
use tegata_vault::Vault;
use zeroize::Zeroizing;

/// Seconds until a provider that did not answer is asked again.
const AGAIN: u64 = 2;

/// The time, and waiting for it.
pub trait Clock {
    /// The time now, with fresh randomness.
    fn now(&mut self) -> Now;
    /// Returns at this time by the same clock, true; or earlier, false, to ask no more for now. What is stored stays.
    fn wait_until(&mut self, at: Time) -> bool;
}

/// The machine's clock. Gives up once `patience` is used up, and never sleeps past it.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    until: Time,
}

impl SystemClock {
    /// Waits no longer than this many seconds from now.
    pub fn with_patience(seconds: u64) -> Self {
        Self { until: Self::time().after(seconds) }
    }
    fn time() -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Time(since.map_or(0, |since| since.as_secs()))
    }
}

impl Clock for SystemClock {
    fn now(&mut self) -> Now {
        Now { time: Self::time(), entropy: entropy::fresh() }
    }
    fn wait_until(&mut self, at: Time) -> bool {
        // In short steps: the clock may be set, and a laptop may sleep, while this waits.
        while Self::time() < at {
            if Self::time() >= self.until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Self::time() < self.until
    }
}

/// Runs `talk` with the provider again and again until it shows something else than that it waits, or the clock gives up; gives
/// the last thing shown. `waits`: until when a notice says to wait. An answer that does not come is asked for again (R26).
///
/// # Errors
/// [`ExchangeError`]: no answer for as long as the clock waited; what was stored stays, and the next call sends it again.
pub fn ask_until<T: Talk, V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    clock: &mut dyn Clock,
    mut talk: impl FnMut() -> T,
    waits: impl Fn(&T::Notice) -> Option<Time>,
) -> Result<Option<T::Notice>, ExchangeError> {
    loop {
        let now = clock.now();
        match ask(device, post, talk(), now) {
            Ok(mut notices) => {
                let last = notices.pop();
                match last.as_ref().and_then(&waits) {
                    Some(until) if clock.wait_until(until) => {}
                    _ => return Ok(last),
                }
            }
            Err(error @ ExchangeError::NotJoined) => return Err(error),
            Err(error) => {
                if !clock.wait_until(now.time.after(AGAIN)) {
                    return Err(error);
                }
            }
        }
    }
}

/// The user's line: sends the stored request until it is authorized, cleared or refused.
///
/// # Errors
/// [`ExchangeError`]. Nothing is known then; call again.
pub fn pay_credit<V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    clock: &mut dyn Clock,
    request: RequestNumber,
) -> Result<PaymentNotice, ExchangeError> {
    let anchors = device.anchors().ok_or(ExchangeError::NotJoined)?;
    let talk = || CreditPayment::Start(request, anchors.clone());
    let shown = ask_until(device, post, clock, talk, |notice| match notice {
        PaymentNotice::Waits { until, .. } => Some(*until),
        _ => None,
    })?;
    Ok(shown.unwrap_or(PaymentNotice::Unknown))
}

/// The merchant's line: asks for authorization and clearing of a charge until it is paid or closed.
///
/// # Errors
/// [`ExchangeError`]. Nothing is known then; call again.
pub fn clear_credit<V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    clock: &mut dyn Clock,
    (transaction, sales): (u64, Option<String>),
) -> Result<CreditClaimNotice, ExchangeError> {
    let (certificate, anchors) = device.certificate().zip(device.anchors()).ok_or(ExchangeError::NotJoined)?;
    let clerk = Clerk { certificate, anchors, sales };
    let talk = || CreditClaim::Start(clerk.clone(), transaction);
    let shown = ask_until(device, post, clock, talk, |notice| match notice {
        CreditClaimNotice::Waits { until, .. } => Some(*until),
        _ => None,
    })?;
    Ok(shown.unwrap_or(CreditClaimNotice::Unknown))
}

/// Registers the bank card that this wallet pays with. `card`: its details and whom to seal them to, or `None` to send a stored
/// registration again that was not answered. The details are sealed here and kept nowhere.
///
/// # Errors
/// [`ExchangeError`]. Nothing is known then; call again with `None`.
pub fn register_card<V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    clock: &mut dyn Clock,
    card: Option<(&CardDetails, &ProcessorInfo)>,
) -> Result<RegisterNotice, ExchangeError> {
    let anchors = device.anchors().ok_or(ExchangeError::NotJoined)?;
    let mut first = match card {
        Some((details, processor)) => {
            let (wallet, key) = device.id().zip(device.key()).ok_or(ExchangeError::NotJoined)?;
            let now = clock.now();
            let plain = Zeroizing::new(details.to_bytes());
            let (card, _) = seal_to(now.entropy, processor.processor, None, &processor.sealing, &plain)?;
            let request = RegisterCard { wallet, card, at: now.time, extensions: Default::default() };
            Some(CardRegistration::Start(request, anchors.clone(), key))
        }
        None => None,
    };
    let talk = || first.take().unwrap_or_else(|| CardRegistration::Resume(anchors.clone()));
    let shown = ask_until(device, post, clock, talk, |notice| match notice {
        RegisterNotice::Waits { until } => Some(*until),
        _ => None,
    })?;
    Ok(shown.unwrap_or(RegisterNotice::Nothing))
}
