//! Paying at a terminal over TCP.

use crate::wallet::{Wallet, WalletError};
use std::net::ToSocketAddrs;
use std::time::Duration;
use tegata_core::CardId;
use tegata_core::step::Event;
use tegata_core::talk::pay::WalletNotice;
use tegata_device::{Now, TapStep, WalletTap, take_up_all};
use tegata_link::Traffic;
use tegata_vault::Vault;

/// How long the terminal may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the user says to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Pay.
    Agree,
    /// Do not pay.
    Decline,
}

/// What came of a touch.
#[derive(Debug)]
pub struct Paid {
    /// What was shown, in order.
    pub notices: Vec<WalletNotice>,
    /// What went over the link.
    pub traffic: Traffic,
}

/// Touches the terminal at `address` with `card`. `consent` is asked with merchant and amount before anything is signed.
///
/// # Errors
/// [`WalletError`]. Whatever was signed is stored; touch again to learn its end.
pub fn pay<V: Vault>(
    wallet: &mut Wallet<V>,
    address: impl ToSocketAddrs,
    card: CardId,
    mut consent: impl FnMut(&WalletNotice) -> Answer,
    now: impl Fn() -> Now,
) -> Result<Paid, WalletError> {
    let payer = wallet.payer(card)?;
    let mut wire = tegata_link::connect(address, PATIENCE)?;
    wire.set_timeout(PATIENCE);
    let (mut tap, hello) = WalletTap::start(payer, now().entropy)?;
    let mut notices = Vec::new();
    let mut sent = wire.send(&hello).is_ok();
    while !tap.is_over() {
        let step: TapStep<WalletNotice> = match (sent, sent.then(|| wire.recv())) {
            (true, Some(Ok(frame))) => tap.receive(&frame, now(), &mut wallet.device)?,
            _ => tap.event(Event::Lost, now(), &mut wallet.device)?,
        };
        sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
        let asked = step.notices.iter().find(|notice| matches!(notice, WalletNotice::Consent { .. }));
        let answered = asked.map(|notice| match consent(notice) {
            Answer::Agree => tap.event(Event::Agreed, now(), &mut wallet.device),
            Answer::Decline => tap.event(Event::Declined, now(), &mut wallet.device),
        });
        notices.extend(step.notices);
        if let Some(step) = answered.transpose()? {
            sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
            notices.extend(step.notices);
        }
    }
    // A close or void that came back is taken up at once: it needs nobody else.
    take_up_all(&mut wallet.device, card, now())?;
    Ok(Paid { notices, traffic: wire.traffic() })
}
