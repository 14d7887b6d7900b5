//! How legs end: refused, cancelled, hung up. What is left to do then needs no call any more.

use super::Common;
use super::ringing::Branch;
use crate::body::{Content, Parts};
use crate::leg::Leg;
use crate::reason::Reason;
use crate::seam::{Body, Command};
use crate::switch::Shared;
use crate::wire::Reply;
use crate::wire::transaction::{acknowledge, ask, cancel_of};
use rsipstack::sip::{Header, Method, Response};
use std::sync::Arc;

/// What the caller hears where charging wants no call.
pub(super) fn refusal(command: Command) -> Reply {
    let (reason, body) = match command {
        Command::Refuse { status, text, body, .. } => (Reason::new(status, &text), body),
        Command::HangUp { reason, body, .. } => (reason, body),
        Command::Proceed { .. } | Command::Tell { .. } | Command::Warn { .. } => (Reason::new(500, ""), None),
    };
    let status = if (300..700).contains(&reason.cause) { reason.cause } else { 480 };
    Reply::new(status, &reason.text).header(Header::Reason(reason.to_string().into())).content(word(body))
}

pub(super) fn word(body: Option<Body>) -> Option<Content> {
    Parts { tegata: body, ..Parts::default() }.write()
}

/// Hangs up one leg.
pub(super) fn bye(shared: &Arc<Shared>, leg: &mut Leg, reason: Option<&Reason>, body: Option<Body>) {
    let mut request = leg.request(Method::Bye, word(body));
    if let Some(reason) = reason {
        request.headers.push(Header::Reason(reason.to_string().into()));
    }
    ask(shared.endpoint.clone(), request, leg.way(), |_| {});
}

/// Cancels what rings. It stays with the call until it has a final answer: a 200 may cross the CANCEL.
pub(super) fn cancel(call: &mut Common, branches: Vec<Branch>) {
    for mut branch in branches {
        if branch.alive {
            send_cancel(call, &mut branch);
        }
        call.cancelled.push(branch);
    }
}

/// A CANCEL may be sent only after the other side has said something (RFC 3261, 9.1), and is sent once.
fn send_cancel(call: &Common, branch: &mut Branch) {
    if !branch.cancelled {
        branch.cancelled = true;
        ask(call.shared.endpoint.clone(), cancel_of(&branch.invite), branch.way.clone(), |_| {});
    }
}

/// An answer of a branch that was cancelled. One that was accepted all the same is acknowledged and hung up.
pub(super) async fn reap(call: &mut Common, at: usize, response: &Response) {
    let mut branch = call.cancelled.swap_remove(at);
    match response.status_code.code() {
        100..=199 => {
            branch.alive = true;
            send_cancel(call, &mut branch);
            call.cancelled.push(branch);
        }
        200..=299 => {
            branch.leg.learn(response);
            let ack = branch.leg.ack(&branch.invite, None);
            acknowledge(&call.shared.endpoint, &branch.invite, ack, &branch.leg.way()).await;
            bye(&call.shared, &mut branch.leg, None, None);
        }
        _ => {}
    }
}
