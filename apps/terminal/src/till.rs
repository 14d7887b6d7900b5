//! The counter: waits on a TCP address for one wallet and charges it.

use crate::terminal::{Terminal, TerminalError};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tegata_core::step::Event;
use tegata_core::talk::pay::{Sale, TerminalNotice};
use tegata_device::{Now, TapStep, TerminalTap};
use tegata_link::{Listener, TcpError, Wire};
use tegata_vault::Vault;

/// How long a wallet may take between two frames: its user is reading.
const PATIENCE: Duration = Duration::from_secs(120);

/// A counter that waits.
pub struct Waiting {
    listener: Listener,
}

/// What came of waiting.
#[derive(Debug)]
pub enum Charged {
    /// A wallet came and this is what happened.
    Notices(Vec<TerminalNotice>),
    /// Nobody came in time. The charge was not made or is closed.
    Nobody,
}

/// Opens the counter.
///
/// # Errors
/// [`TcpError`]: the address is taken or not this machine's.
pub fn listen(address: &str) -> Result<Waiting, TcpError> {
    Ok(Waiting { listener: tegata_link::listen(address)? })
}

impl Waiting {
    /// Where wallets touch.
    pub fn address(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// Serves wallets until one tap has shown something final, or `patience` is over: an open charge and the counter are closed
    /// then.
    ///
    /// # Errors
    /// [`TerminalError`].
    pub fn charge<V: Vault>(
        &self,
        terminal: &mut Terminal<V>,
        sale: &Sale,
        patience: Duration,
        now: impl Fn() -> Now,
    ) -> Result<Charged, TerminalError> {
        let started = Instant::now();
        // Whoever waits for a connection is woken by closing the listener: this counter is done then.
        let (charged, over) = mpsc::channel::<()>();
        let closer = self.listener.closer();
        std::thread::spawn(move || {
            if over.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                closer.close();
            }
        });
        let _until_charged = charged;
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let wire = match self.listener.accept(left) {
                Ok(wire) => wire,
                Err(_) => {
                    terminal.close_open(now())?;
                    return Ok(Charged::Nobody);
                }
            };
            let notices = serve(terminal, sale, wire, &now)?;
            let is_final = |notice: &TerminalNotice| !matches!(notice, TerminalNotice::Repeated { .. });
            if notices.iter().any(is_final) {
                return Ok(Charged::Notices(notices));
            }
        }
    }
}

/// One tap, to its end or until the link is lost.
fn serve<V: Vault>(
    terminal: &mut Terminal<V>,
    sale: &Sale,
    mut wire: Wire,
    now: &impl Fn() -> Now,
) -> Result<Vec<TerminalNotice>, TerminalError> {
    wire.set_timeout(PATIENCE);
    let mut tap: TerminalTap = terminal.tap(sale.clone(), now())?;
    let mut notices = Vec::new();
    while !tap.is_over() {
        let Ok(frame) = wire.recv() else {
            notices.extend(tap.event(Event::Lost, now(), &mut terminal.device)?.notices);
            break;
        };
        let step: TapStep<TerminalNotice> = match terminal.receive(&mut tap, &frame, now()) {
            Ok(step) => step,
            // A frame that does not fit the session ends the tap, not the terminal.
            Err(TerminalError::Tap(_)) => tap.event(Event::Lost, now(), &mut terminal.device)?,
            Err(other) => return Err(other),
        };
        notices.extend(step.notices);
        // What is stored stays, sent or not: the wallet asks for it again.
        let sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
        if !sent {
            break;
        }
    }
    Ok(notices)
}
