//! The simplest charging: none. Every call goes through under the caller's own number, or nobody's.

use crate::reason::Reason;
use crate::seam::{Caller, Command, Control, Event, Shown};

/// Lets calls through until the switch stops. For tests, and for a house where calls are free.
pub async fn free_calls(mut control: Control) {
    while let Some(event) = control.events.recv().await {
        let command = match event {
            Event::Asked { call, caller, called, route, .. } => {
                let shown_as = match caller {
                    Caller::Phone(number) | Caller::Trunk { number: Some(number), .. } => Shown::As(number),
                    Caller::Trunk { number: None, .. } => Shown::Anonymous,
                };
                Command::Proceed { call, to: called, route, shown_as }
            }
            // Nothing is to be said about a call that costs nothing.
            Event::Ending { call, .. } => {
                Command::HangUp { call, reason: Reason::new(200, "The call has ended"), body: None }
            }
            _ => continue,
        };
        if control.commands.send(command).is_err() {
            return;
        }
    }
}
