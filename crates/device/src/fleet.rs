//! Many devices' messages in one POST, as a shop's gateway carries them. Each stays sealed to the provider.

use crate::asking::ask;
use crate::drive::{Device, Now, Out, Talking};
use crate::post::{ExchangeError, Outgoing, Post};
use crate::update::{UpdateError, take_up_all};
use tegata_core::Hash;
use tegata_core::step::{Event, Talk};
use tegata_core::talk::update::{DeviceUpdate, Updated};
use tegata_vault::Vault;

/// One device's question on its way.
struct Asked<'d, V, T> {
    device: &'d mut Device<V>,
    talking: Talking<T>,
    outgoing: Option<Outgoing>,
}

/// Entropy for the `index`-th device of a fleet.
fn apart(now: Now, index: usize) -> Now {
    let salt = [now.entropy.as_slice(), &index.to_be_bytes()].concat();
    Now { entropy: Hash::of(&salt).0, ..now }
}

/// Runs one question and one answer for each device, all in one POST; gives what each showed, in order.
///
/// # Errors
/// [`ExchangeError`]: no answer for any; every conversation was told that the line was lost.
pub fn ask_all<V: Vault, T: Talk + Clone>(
    jobs: Vec<(&mut Device<V>, T)>,
    post: &mut dyn Post,
    now: Now,
) -> Result<Vec<Vec<T::Notice>>, ExchangeError> {
    let mut notices: Vec<Vec<T::Notice>> = Vec::with_capacity(jobs.len());
    let mut asked = Vec::with_capacity(jobs.len());
    for (index, (device, talk)) in jobs.into_iter().enumerate() {
        let now = apart(now, index);
        let mut talking = Talking::new(talk);
        let mut outgoing = None;
        let mut shown = Vec::new();
        for out in talking.deliver(Event::Tick, now, device) {
            match out {
                Out::Send(bytes) => outgoing = Some(device.envelope(now.entropy, &bytes)?),
                Out::Show(notice) => shown.push(notice),
                Out::WaitUntil(_) => {}
            }
        }
        notices.push(shown);
        asked.push(Asked { device, talking, outgoing });
    }
    let envelopes: Vec<Vec<u8>> = asked.iter().filter_map(|one| one.outgoing.as_ref().map(Outgoing::bytes)).collect();
    if envelopes.is_empty() {
        return Ok(notices);
    }
    let answers = match post.post(envelopes) {
        Ok(answers) => answers,
        Err(error) => {
            for (index, one) in asked.iter_mut().enumerate() {
                one.talking.deliver(Event::Lost, apart(now, index), one.device);
            }
            return Err(error.into());
        }
    };
    let mut answers = answers.into_iter();
    for (index, (one, shown)) in asked.iter_mut().zip(&mut notices).enumerate() {
        let now = apart(now, index);
        let Some(outgoing) = &one.outgoing else {
            continue;
        };
        let answer = answers.next().unwrap_or_default();
        // One that does not open is a device whose channel was forgotten: it asks again by itself, later.
        let event = one.device.open(outgoing, &answer).map_or(Event::Lost, Event::Received);
        shown.extend(one.talking.deliver(event, now, one.device).into_iter().filter_map(|out| match out {
            Out::Show(notice) => Some(notice),
            _ => None,
        }));
    }
    Ok(notices)
}

/// Updates many devices, in rounds of one POST, until each is quiet.
///
/// # Errors
/// [`UpdateError`] of the first that did not come to its end.
pub fn update_all<V: Vault>(devices: Vec<&mut Device<V>>, post: &mut dyn Post, now: Now) -> Result<(), UpdateError> {
    let mut left = devices;
    let mut now = now;
    while !left.is_empty() {
        now.entropy = Hash::of(&now.entropy).0;
        let mut jobs = Vec::with_capacity(left.len());
        for device in &mut left {
            let (id, key) = device.id().zip(device.key()).ok_or(ExchangeError::NotJoined)?;
            jobs.push((&mut **device, DeviceUpdate::Start(id, key)));
        }
        let notices = ask_all(jobs, post, now)?;
        let mut again = Vec::new();
        for (device, mut shown) in left.into_iter().zip(notices) {
            if shown.is_empty() {
                let (id, key) = device.id().zip(device.key()).ok_or(ExchangeError::NotJoined)?;
                shown = ask(device, post, DeviceUpdate::Start(id, key), now)?;
            }
            let mut more = false;
            for notice in shown {
                match notice {
                    Updated::Turn { again, .. } => more = again,
                    Updated::Refused(refused) => return Err(UpdateError::Refused(refused)),
                    Updated::NotTrusted => return Err(UpdateError::NotTrusted),
                    Updated::Failed(fault) => return Err(fault.into()),
                }
            }
            for card in device.cards().map_err(|error| error.fault())? {
                more |= take_up_all(device, card, now)? > 0;
            }
            if more {
                again.push(device);
            }
        }
        left = again;
    }
    Ok(())
}
