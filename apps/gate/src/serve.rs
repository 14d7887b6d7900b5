//! Taps over TCP: one connection a touch, several at once; what the stewards see goes to whoever shows it.

use crate::lan::Shared;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tegata_core::step::Event;
use tegata_core::talk::enter::GateNotice;
use tegata_link::{Listener, Wire};
use tegata_vault::Vault;

/// How long a wallet may take between two frames.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the listener waits before it looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(500);

/// Serves wallets until the gate is stopped; each notice goes to `shown`.
pub fn serve<V: Vault + Send + 'static>(gate: &Arc<Shared<V>>, listener: Listener, shown: Sender<GateNotice>) {
    let gate = gate.clone();
    std::thread::spawn(move || {
        while !gate.is_stopped() {
            let Ok(wire) = listener.accept(LOOK) else { continue };
            let (gate, shown) = (gate.clone(), shown.clone());
            std::thread::spawn(move || touched(&gate, wire, &shown));
        }
    });
}

/// One tap, to its end or until the link is lost.
fn touched<V: Vault + Send + 'static>(gate: &Shared<V>, mut wire: Wire, shown: &Sender<GateNotice>) {
    wire.set_timeout(PATIENCE);
    let mut tap = match gate.with(|gate, _| gate.tap()) {
        Ok(tap) => tap,
        Err(error) => {
            tracing::warn!(%error, "nobody can enter here");
            return;
        }
    };
    while !tap.is_over() {
        let frame = wire.recv();
        let step = gate.with(|gate, now| match frame {
            // A frame that does not fit the session ends the tap, not the gate.
            Ok(frame) => match tap.receive(&frame, now, &mut gate.device) {
                Ok(step) => Some(step),
                Err(_) => tap.event(Event::Lost, now, &mut gate.device).ok(),
            },
            Err(_) => tap.event(Event::Lost, now, &mut gate.device).ok(),
        });
        let Some(step) = step else { return };
        // What is stored stays, sent or not: the wallet asks for it again.
        let sent = step.frames.iter().all(|frame| wire.send(frame).is_ok());
        for notice in step.notices {
            // Whoever showed it may be gone; it is stored all the same.
            let _ = shown.send(notice);
        }
        if !sent {
            return;
        }
    }
}
