//! Two wallets meet: one waits on a TCP address with a ticket to give, the other touches it. Nobody else is asked.

use crate::pay::{Answer, tapped};
use crate::wallet::{Wallet, WalletError};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;
use tegata_core::CardId;
use tegata_core::step::Event;
use tegata_core::talk::give::{GiverNotice, ReceiverNotice};
use tegata_device::{Now, TapStep};
use tegata_link::{Listener, Wire};
use tegata_vault::Vault;

/// How long whoever has touched may take to say the first word: who only looks in holds nobody up.
const GREETING: Duration = Duration::from_secs(5);
/// How long the other side may take between two frames: its person is reading.
const READING: Duration = Duration::from_secs(120);

/// A wallet that waits with a ticket.
pub struct Meeting {
    listener: Listener,
}

impl Meeting {
    /// Waits at this address.
    ///
    /// # Errors
    /// [`WalletError::Link`]: the address is taken or not this machine's.
    pub fn at(address: &str) -> Result<Self, WalletError> {
        Ok(Self { listener: tegata_link::listen(address)? })
    }
    /// Where the other wallet touches.
    pub fn address(&self) -> SocketAddr {
        self.listener.addr()
    }
    /// Gives the ticket to a wallet that touches before `patience` is over; the meeting is over then. `asked` is shown notices
    /// and answers the one that asks. A ticket that is given, and not said to be there, waits for its receiver to touch again.
    ///
    /// # Errors
    /// [`WalletError`]. What is stored stays: given again, the same is said again.
    pub fn give<V: Vault>(
        &self,
        wallet: &mut Wallet<V>,
        card: CardId,
        patience: Duration,
        mut asked: impl FnMut(&GiverNotice) -> Option<Answer>,
        now: impl Fn() -> Now,
    ) -> Result<Vec<GiverNotice>, WalletError> {
        // Whoever waits for a connection is woken by closing the listener.
        let (met, over) = mpsc::channel::<()>();
        let closer = self.listener.closer();
        std::thread::spawn(move || {
            if over.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                closer.close();
            }
        });
        let _until_met = met;
        let mut all = Vec::new();
        while let Ok(wire) = self.listener.accept(GREETING) {
            all.extend(met_with(wallet, card, wire, &mut asked, &now)?);
            let given = all.iter().any(|notice| matches!(notice, GiverNotice::Given { .. }));
            let ends = |notice: &GiverNotice| match notice {
                GiverNotice::Taken | GiverNotice::Failed(_) => true,
                GiverNotice::Refused(_) => !given,
                GiverNotice::Consent { .. } | GiverNotice::Given { .. } => false,
            };
            if all.iter().any(ends) {
                break;
            }
        }
        Ok(all)
    }
}

/// One touch, to its end or until the link is lost.
fn met_with<V: Vault>(
    wallet: &mut Wallet<V>,
    card: CardId,
    mut wire: Wire,
    asked: &mut impl FnMut(&GiverNotice) -> Option<Answer>,
    now: &impl Fn() -> Now,
) -> Result<Vec<GiverNotice>, WalletError> {
    let mut tap = wallet.give(card)?;
    let mut notices = Vec::new();
    while !tap.is_over() {
        // A frame that does not fit the session ends the touch, not the waiting.
        let received = wire.recv().map(|frame| tap.receive(&frame, now(), &mut wallet.device));
        let mut step: TapStep<GiverNotice> = match received {
            Ok(Ok(step)) => step,
            Err(_) | Ok(Err(_)) => {
                notices.extend(tap.event(Event::Lost, now(), &mut wallet.device)?.notices);
                break;
            }
        };
        wire.set_timeout(READING);
        // The frames first: both screens show the code before anybody is asked.
        let mut sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
        if let Some(answer) = step.notices.iter().find_map(&mut *asked) {
            let event = if answer == Answer::Agree { Event::Agreed } else { Event::Declined };
            notices.append(&mut step.notices);
            step = tap.event(event, now(), &mut wallet.device)?;
            sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
        }
        notices.extend(step.notices);
        if !sent {
            break;
        }
    }
    Ok(notices)
}

/// Touches the wallet at `address` and takes what it gives. `asked` is shown every notice and answers the one that asks.
///
/// # Errors
/// [`WalletError`]. Whatever was agreed to is stored; touch again to learn its end.
pub fn take_from<V: Vault>(
    wallet: &mut Wallet<V>,
    address: impl ToSocketAddrs,
    asked: impl FnMut(&ReceiverNotice) -> Option<Answer>,
    now: impl Fn() -> Now,
) -> Result<Vec<ReceiverNotice>, WalletError> {
    let mut wire = tegata_link::connect(address, GREETING)?;
    wire.set_timeout(READING);
    let touched = wallet.take(now())?;
    Ok(tapped(wallet, wire, touched, asked, &now)?.0)
}
