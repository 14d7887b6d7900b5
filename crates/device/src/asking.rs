//! One question to the provider and its answer, as two halves: between them the device may do other things.

use crate::drive::{Device, Now, Out, Talking};
use crate::post::{ExchangeError, Outgoing, Post, PostError};
use tegata_core::Hash;
use tegata_core::step::{Event, Talk};
use tegata_vault::Vault;

/// A conversation whose message is on its way.
pub struct Asking<T: Talk> {
    talking: Talking<T>,
    notices: Vec<T::Notice>,
    plain: Vec<u8>,
    outgoing: Outgoing,
    entropy: [u8; 32],
}

/// How a conversation goes on.
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum Asked<T: Talk> {
    /// This envelope is to be posted, and its answer told.
    Posts(Asking<T>, Vec<u8>),
    /// It has ended, and has shown this.
    Over(Vec<T::Notice>),
}

impl<T: Talk> Asking<T> {
    /// Begins.
    ///
    /// # Errors
    /// [`ExchangeError`]: the envelope cannot be sealed.
    pub fn start<V: Vault>(device: &mut Device<V>, talk: T, now: Now) -> Result<Asked<T>, ExchangeError> {
        Self::go_on((Talking::new(talk), Vec::new()), device, Event::Tick, now, now.entropy)
    }

    /// The answer is there, or none comes.
    ///
    /// # Errors
    /// [`ExchangeError`]: no answer; what was stored stays.
    pub fn answered<V: Vault>(
        mut self,
        device: &mut Device<V>,
        answer: Result<Vec<u8>, PostError>,
        now: Now,
    ) -> Result<Asked<T>, ExchangeError> {
        let opened = answer.map_err(ExchangeError::from).and_then(|answer| device.open(&self.outgoing, &answer));
        match opened {
            Ok(plain) => Self::go_on((self.talking, self.notices), device, Event::Received(plain), now, self.entropy),
            // The channel turns out to be forgotten: by HPKE again.
            Err(ExchangeError::Seal(_)) if !self.outgoing.is_first() => {
                let entropy = Hash::of(&self.entropy).0;
                let outgoing = device.envelope(entropy, &self.plain)?;
                let bytes = outgoing.bytes();
                Ok(Asked::Posts(Self { outgoing, entropy, ..self }, bytes))
            }
            Err(error) => {
                self.talking.deliver(Event::Lost, now, device);
                Err(error)
            }
        }
    }

    fn go_on<V: Vault>(
        (mut talking, mut notices): (Talking<T>, Vec<T::Notice>),
        device: &mut Device<V>,
        event: Event,
        now: Now,
        entropy: [u8; 32],
    ) -> Result<Asked<T>, ExchangeError> {
        let mut message = None;
        for out in talking.deliver(event, now, device) {
            match out {
                Out::Send(bytes) => message = Some(bytes),
                Out::Show(notice) => notices.push(notice),
                Out::WaitUntil(_) => {}
            }
        }
        let Some(plain) = message else {
            return Ok(Asked::Over(notices));
        };
        let entropy = Hash::of(&entropy).0;
        match device.envelope(entropy, &plain) {
            Ok(outgoing) => {
                let bytes = outgoing.bytes();
                Ok(Asked::Posts(Self { talking, notices, plain, outgoing, entropy }, bytes))
            }
            Err(error) => {
                talking.deliver(Event::Lost, now, device);
                Err(error)
            }
        }
    }
}

/// Posts one envelope and takes its answer.
///
/// # Errors
/// [`PostError`]; nothing is known about what the provider did.
pub fn post_one(post: &mut dyn Post, envelope: Vec<u8>) -> Result<Vec<u8>, PostError> {
    Ok(post.post(vec![envelope])?.pop().unwrap_or_default())
}

/// Runs a conversation of one question and one answer with the provider; gives what it showed.
///
/// # Errors
/// [`ExchangeError`]: no answer; what was stored stays.
pub fn ask<T: Talk, V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    talk: T,
    now: Now,
) -> Result<Vec<T::Notice>, ExchangeError> {
    let mut asked = Asking::start(device, talk, now)?;
    loop {
        match asked {
            Asked::Posts(asking, envelope) => asked = asking.answered(device, post_one(post, envelope), now)?,
            Asked::Over(notices) => return Ok(notices),
        }
    }
}
