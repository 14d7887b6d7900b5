//! Paying at a terminal over TCP.

use crate::wallet::{Wallet, WalletError};
use std::net::ToSocketAddrs;
use std::time::Duration;
use tegata_core::CardId;
use tegata_core::step::{Event, Talk};
use tegata_core::talk::credit::{CreditNotice, CreditPay, PaymentOption};
use tegata_core::talk::pay::{WalletNotice, WalletPay};
use tegata_device::{Now, TapStep, WalletTap, take_up_all};
use tegata_link::{Traffic, Wire};
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
    let asked = |notice: &WalletNotice| matches!(notice, WalletNotice::Consent { .. }).then(|| consent(notice));
    let (notices, traffic) = touch(wallet, address, WalletPay::new(payer), asked, &now)?;
    // A close or void that came back is taken up at once: it needs nobody else.
    take_up_all(&mut wallet.device, card, now())?;
    Ok(Paid { notices, traffic })
}

/// Touches the terminal at `address` to pay by credit: what was shown, in order. The provider is asked after that
/// ([`Wallet::credit`]).
///
/// # Errors
/// [`WalletError`].
pub fn offer_credit<V: Vault>(
    wallet: &mut Wallet<V>,
    address: impl ToSocketAddrs,
    option: PaymentOption,
    mut consent: impl FnMut(&CreditNotice) -> Answer,
    now: impl Fn() -> Now,
) -> Result<Vec<CreditNotice>, WalletError> {
    let payer = wallet.credit_payer(option, now())?;
    let asked = |notice: &CreditNotice| matches!(notice, CreditNotice::Consent { .. }).then(|| consent(notice));
    Ok(touch(wallet, address, CreditPay::new(payer), asked, &now)?.0)
}

/// One tap over TCP. `asked` answers the notices that ask something.
pub(crate) fn touch<V: Vault, T: Talk>(
    wallet: &mut Wallet<V>,
    address: impl ToSocketAddrs,
    talk: T,
    asked: impl FnMut(&T::Notice) -> Option<Answer>,
    now: &impl Fn() -> Now,
) -> Result<(Vec<T::Notice>, Traffic), WalletError> {
    let wire = tegata_link::connect(address, PATIENCE)?;
    let touched = WalletTap::touch(talk, now().entropy)?;
    tapped(wallet, wire, touched, asked, now)
}

/// A tap that has begun, over this connection.
pub(crate) fn tapped<V: Vault, T: Talk>(
    wallet: &mut Wallet<V>,
    mut wire: Wire,
    (mut tap, hello): (WalletTap<T>, Vec<u8>),
    mut asked: impl FnMut(&T::Notice) -> Option<Answer>,
    now: &impl Fn() -> Now,
) -> Result<(Vec<T::Notice>, Traffic), WalletError> {
    let mut notices = Vec::new();
    let mut sent = wire.send(&hello).is_ok();
    while !tap.is_over() {
        let step: TapStep<T::Notice> = match (sent, sent.then(|| wire.recv())) {
            (true, Some(Ok(frame))) => tap.receive(&frame, now(), &mut wallet.device)?,
            _ => tap.event(Event::Lost, now(), &mut wallet.device)?,
        };
        sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
        let answered = step.notices.iter().find_map(&mut asked).map(|answer| match answer {
            Answer::Agree => tap.event(Event::Agreed, now(), &mut wallet.device),
            Answer::Decline => tap.event(Event::Declined, now(), &mut wallet.device),
        });
        notices.extend(step.notices);
        if let Some(step) = answered.transpose()? {
            sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
            notices.extend(step.notices);
        }
    }
    Ok((notices, wire.traffic()))
}
