//! Offers that pass between the legs while people talk: re-INVITE and UPDATE (RFC 3261, 14; RFC 3311), and the switch's
//! own refreshes (RFC 4028). One at a time: a second one meets 491.

use super::talking::Talking;
use super::{Common, Due, Purpose, State, failure};
use crate::body::Parts;
use crate::leg::LegId;
use crate::reason::Reason;
use crate::seam::By;
use crate::timer;
use crate::wire::transaction::{Asked, acknowledge};
use crate::wire::{self, Reply};
use rsipstack::sip::{Header, Method, Request, Response};
use std::time::{Duration, Instant};

/// An offer on its way.
pub(super) enum Exchange {
    /// `asked` waits for the answer to `request`.
    Offered { from: LegId, asked: Box<Asked>, request: Request, late: bool },
    /// The answer comes in the ACK of `from`, and goes into the ACK of `invite`.
    Late { from: LegId, invite: Request },
    /// The switch's own, to this leg: its last offer once more.
    Refresh { to: LegId, invite: Request },
}

impl Talking {
    /// A re-INVITE or UPDATE of a leg.
    pub(super) fn on_offer(&mut self, call: &mut Common, from: LegId, asked: Asked, parts: Parts) {
        let limits = call.shared.config.limits;
        let session = match timer::asked(&asked.request, limits.session, limits.shortest_session) {
            Ok(session) => session,
            Err(timer::TooSmall) => return asked.answer(too_small(limits.shortest_session)),
        };
        if self.exchange.is_some() {
            return asked.answer(Reply::new(491, ""));
        }
        let leg = self.leg(call, from);
        leg.session = Some(session);
        leg.renew(&asked.request);
        let source = leg.source();
        self.watch(call);
        let update = asked.request.method == Method::Update;
        let Some(sdp) = parts.sdp else {
            if update {
                // A refresh of this leg alone.
                let reply = self.accepted(call, from);
                return asked.answer(reply);
            }
            return self.pass(call, from, asked, None);
        };
        let sdp = call.hidden((from, source), &sdp);
        self.pass(call, from, asked, Some(sdp));
    }

    fn accepted(&mut self, call: &mut Common, id: LegId) -> Reply {
        let leg = self.leg(call, id);
        let reply = leg.reply(200, "");
        match &leg.session {
            Some(session) => reply.header(Header::SessionExpires(session.in_answer().into())),
            None => reply,
        }
    }

    fn pass(&mut self, call: &mut Common, from: LegId, asked: Asked, sdp: Option<Vec<u8>>) {
        let to = self.other(from);
        let late = sdp.is_none();
        let leg = self.leg(call, to);
        // An UPDATE to a phone that knows none goes on as a re-INVITE.
        let method = if asked.request.method == Method::Update && leg.update { Method::Update } else { Method::Invite };
        if sdp.is_some() {
            leg.sdp = sdp.clone();
        }
        let request = self.offer(call, to, method, sdp, Purpose::Offer);
        self.exchange = Some(Exchange::Offered { from, asked: Box::new(asked), request, late });
    }

    fn offer(
        &mut self,
        call: &mut Common,
        to: LegId,
        method: Method,
        sdp: Option<Vec<u8>>,
        purpose: Purpose,
    ) -> Request {
        let shortest = call.shared.config.limits.shortest_session.as_secs();
        let leg = self.leg(call, to);
        let mut request = leg.request(method, Parts { sdp, ..Parts::default() }.write());
        if let Some(session) = &leg.session {
            request.headers.push(Header::SessionExpires(session.in_request().into()));
            request.headers.push(Header::MinSE(shortest.to_string().into()));
        }
        let way = leg.way();
        call.ask(to, purpose, request.clone(), way);
        request
    }

    /// The answer to an offer that was passed on.
    pub(super) async fn on_offer_answered(
        mut self: Box<Self>,
        call: &mut Common,
        leg: LegId,
        response: Response,
    ) -> State {
        let status = response.status_code.code();
        if status < 200 {
            return State::Talking(self);
        }
        let Some(Exchange::Offered { from, asked, request, late }) = self.exchange.take() else {
            return State::Talking(self);
        };
        if status >= 300 {
            if let Some(relay) = call.media.as_ref().filter(|_| !late) {
                relay.refused(from.side());
            }
            let gone = matches!(status, 408 | 481);
            asked.answer(if gone { Reply::new(408, "") } else { failure::for_caller(status) });
            return if gone { self.lost(call) } else { State::Talking(self) };
        }
        self.learned(call, leg, &response);
        let parts = Parts::read(wire::content_type(&response), &response.body).unwrap_or_default();
        call.tell_body(leg, parts.tegata);
        let source = self.leg(call, leg).source();
        let sdp = parts.sdp.map(|sdp| call.hidden((leg, source), &sdp));
        if sdp.is_some() {
            self.leg(call, from).sdp = sdp.clone();
        }
        let reply = self.accepted(call, from).content(Parts { sdp, ..Parts::default() }.write());
        asked.answer(reply);
        if request.method == Method::Invite {
            if late {
                self.exchange = Some(Exchange::Late { from, invite: request });
            } else {
                self.acknowledge(call, leg, &request, None).await;
            }
        }
        State::Talking(self)
    }

    /// An ACK of a leg; its answer goes on where one is waited for.
    pub(super) async fn on_late_answer(&mut self, call: &mut Common, by: LegId, sdp: Option<Vec<u8>>) {
        match self.exchange.take() {
            Some(Exchange::Late { from, invite }) if from == by => {
                let to = self.other(from);
                self.leg(call, to).sdp = sdp.clone();
                self.acknowledge(call, to, &invite, sdp).await;
            }
            other => self.exchange = other,
        }
    }

    async fn acknowledge(&mut self, call: &mut Common, to: LegId, invite: &Request, sdp: Option<Vec<u8>>) {
        let endpoint = call.shared.endpoint.clone();
        let leg = self.leg(call, to);
        let ack = leg.ack(invite, Parts { sdp, ..Parts::default() }.write());
        acknowledge(&endpoint, invite, ack, &leg.way()).await;
    }

    fn learned(&mut self, call: &mut Common, id: LegId, response: &Response) {
        let offered = call.shared.config.limits.session;
        let leg = self.leg(call, id);
        leg.renew(response);
        leg.session = Some(timer::answered(response, leg.session.map_or(offered, |session| session.interval)));
        self.watch(call);
    }

    /// Half of a session's time is over: an UPDATE, or the last offer once more to a phone that knows none.
    pub(super) fn refresh(&mut self, call: &mut Common, to: LegId) {
        let leg = self.leg(call, to);
        let (update, sdp) = (leg.update, leg.sdp.clone());
        // The other leg's answer sets both timers: this one is not asked twice meanwhile.
        if let Some(session) = leg.session.as_mut().filter(|_| update) {
            session.since = Instant::now();
        }
        if update {
            // No offer is in it: it need not wait for one.
            self.offer(call, to, Method::Update, None, Purpose::Refresh);
        } else if self.exchange.is_none() && sdp.is_some() {
            let request = self.offer(call, to, Method::Invite, sdp, Purpose::Refresh);
            self.exchange = Some(Exchange::Refresh { to, invite: request });
        } else {
            call.set(Due::Session(to), Duration::from_secs(1));
        }
    }

    pub(super) async fn on_refreshed(mut self: Box<Self>, call: &mut Common, leg: LegId, response: Response) -> State {
        let status = response.status_code.code();
        if status < 200 {
            return State::Talking(self);
        }
        match self.exchange.take() {
            Some(Exchange::Refresh { to, invite }) if to == leg => {
                if status < 300 {
                    // Its answer goes no further; where its media are now, a relay has to know.
                    let parts = Parts::read(wire::content_type(&response), &response.body).unwrap_or_default();
                    let source = self.leg(call, leg).source();
                    let _ = parts.sdp.map(|sdp| call.hidden((leg, source), &sdp));
                    self.acknowledge(call, leg, &invite, None).await;
                }
            }
            other => self.exchange = other,
        }
        match status {
            200..=299 => self.learned(call, leg, &response),
            408 | 481 => return self.lost(call),
            // It lives, and wants to be asked otherwise, or later.
            _ => call.set(Due::Session(leg), Duration::from_secs(10)),
        }
        State::Talking(self)
    }

    fn lost(self: Box<Self>, call: &mut Common) -> State {
        self.over(call, Reason::new(408, "The other side is gone"), None, By::Switch("a leg is gone"))
    }
}

/// 422 with what is the least.
pub(crate) fn too_small(least: Duration) -> Reply {
    Reply::new(422, "").header(Header::MinSE(least.as_secs().to_string().into()))
}
