//! A hotspot: the charging of calls without a call. What lasts is a way to the network; what wallet and hotspot say to each other is what
//! wallet and switch do, over HTTP instead of SIP, and nothing of the core knows the difference (RFC 8506's shape).
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/session` | - | the number by whose rate it charges, as text |
//! | `POST /v1/session` | the wallet's hello | 201, where the session is, CBOR array of frames |
//! | `POST /v1/session/{id}` | a frame, or nothing | CBOR array of frames; held up to `Prefer: wait=N` while there are none |
//! | `GET /v1/session/{id}` | - | JSON for whoever opens and closes the way: `open`, `over` |
//! | `DELETE /v1/session/{id}` | - | the session ends |
//!
//! Every answer says in `Tegata-Open` whether the way is open. It opens with the first check and closes when what is paid is over.

use crate::switch::{Switch, SwitchError};
use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tegata_core::card::CallEnd;
use tegata_core::step::Event;
use tegata_core::talk::call::{SwitchCall, SwitchNotice};
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_crypto_native::entropy;
use tegata_device::{Now, Post, TapStep, TerminalTap, UpdateStep, Updating, post_one};
use tegata_vault::Vault;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Largest frame, in bytes.
const FRAME: usize = 8192;
/// How long an answer is held at most, in seconds.
const WAIT: u64 = 30;
/// How long the hotspot waits, at most, before it looks again whether something falls due.
const LOOK: Duration = Duration::from_millis(500);
/// How long a session is remembered that is over, so that its last words are fetched.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many sessions may have begun that have not paid yet.
const WAITING: usize = 256;
/// How long a hotspot that is stopped waits, at most, until all wallets have fetched that their sessions have ended, and then as long until
/// the answers under way are sent; and how often it looks meanwhile.
const PARTING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(20));
/// Why a new session is refused.
const FULL: &str = "many are about to begin; try again in a minute";
/// Why a new session is refused by a hotspot that is being stopped.
const STOPPED: &str = "the hotspot has been stopped";
/// The header that says whether the way is open.
pub const OPEN: &str = "tegata-open";

/// One session.
struct Session {
    tap: TerminalTap<SwitchCall>,
    /// What the wallet has not fetched yet.
    words: Vec<Vec<u8>>,
    open: bool,
    over: Option<Instant>,
    told: Arc<Notify>,
}

/// What a session has to say: words, whether the way is open, whether it is over, and who tells that there is more.
pub type Fetched = (Vec<Vec<u8>>, bool, bool, Arc<Notify>);

/// All sessions of a hotspot, without HTTP: whoever carries the words says when that is, by the clock and in milliseconds of a steady one.
pub struct Sessions<V> {
    /// Its records and keys.
    pub switch: Switch<V>,
    held: HashMap<String, Session>,
    /// It is being stopped: nobody may begin.
    stopped: bool,
}

impl<V> Sessions<V> {
    /// None yet.
    pub fn new(switch: Switch<V>) -> Self {
        Self { switch, held: HashMap::new(), stopped: false }
    }
}

/// A hotspot.
pub struct Hotspot<V> {
    sessions: Mutex<Sessions<V>>,
    /// What its tariff is found by: a service's number.
    service: String,
    start: Instant,
    clock: fn() -> Now,
    due: Notify,
}

impl<V: Vault + Send + 'static> Hotspot<V> {
    /// A hotspot that charges by the rate of this number.
    pub fn new(switch: Switch<V>, service: &str, clock: fn() -> Now) -> Arc<Self> {
        Arc::new(Self {
            sessions: Mutex::new(Sessions::new(switch)),
            service: service.to_owned(),
            start: Instant::now(),
            clock,
            due: Notify::new(),
        })
    }
    /// Serves until `shutdown` completes. Sessions that are on end then: what each has used is logged, and its wallet is told with the
    /// receipt, if it asks within a second. Nobody is waited for who does not.
    ///
    /// # Errors
    /// The network cannot be used any more.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let looking = tokio::spawn(self.clone().look());
        let router = Router::new()
            .route("/v1/session", get(service::<V>).post(open::<V>))
            .route("/v1/session/{id}", get(stands::<V>).post(heard::<V>).delete(ended::<V>))
            .layer(DefaultBodyLimit::max(FRAME))
            .with_state(self.clone());
        let (parted, closing) = tokio::sync::oneshot::channel::<()>();
        let hotspot = self.clone();
        let parting = async move {
            shutdown.await;
            hotspot.part().await;
            // Whoever serves has gone already where nobody hears it.
            let _ = parted.send(());
        };
        let serving = axum::serve(listener, router).with_graceful_shutdown(parting).into_future();
        let late = async {
            let _ = closing.await;
            tokio::time::sleep(PARTING.0).await;
        };
        // A connection on which somebody says half a request holds up nobody.
        let served = tokio::select! {
            served = serving => served,
            () = late => Ok(()),
        };
        looking.abort();
        served
    }
    /// Ends all sessions, and waits until their wallets have fetched what is said last, for [`PARTING`] at most.
    async fn part(&self) {
        let until = tokio::time::Instant::now() + PARTING.0;
        self.with(|sessions, now, ms| sessions.part((now, ms)));
        while self.with(|sessions, _, _| sessions.untold()) && tokio::time::Instant::now() < until {
            tokio::time::sleep(PARTING.1).await;
        }
    }
    /// Works on its switch while it serves nobody else.
    pub fn switch<R>(&self, work: impl FnOnce(&mut Switch<V>) -> R) -> R {
        work(&mut self.lock().switch)
    }
    /// Updates its switch, and serves while an answer is awaited. Records of sessions that ended more than `keep` seconds ago go.
    ///
    /// # Errors
    /// [`SwitchError`]; what was stored stays.
    pub fn update(&self, post: &mut dyn Post, keep: u64) -> Result<(), SwitchError> {
        let mut step = self.switch(|switch| Updating::meanwhile(&mut switch.device, (self.clock)()))?;
        loop {
            match step {
                UpdateStep::Posts(updating, envelope) => {
                    let answer = post_one(post, envelope);
                    let next = self.switch(|switch| switch.answered(updating, answer, (self.clock)()));
                    self.with(|sessions, now, ms| sessions.end_dead((now, ms)));
                    step = next?;
                }
                UpdateStep::Done(_) => return self.switch(|switch| switch.updated((self.clock)().time, Some(keep))),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions<V>> {
        // A thread that panicked has left what is stored as it was.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn with<R>(&self, work: impl FnOnce(&mut Sessions<V>, Now, u64) -> R) -> R {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        tokio::task::block_in_place(|| work(&mut self.lock(), (self.clock)(), ms))
    }
    /// Lets sessions look when something falls due, and forgets those that are over.
    async fn look(self: Arc<Self>) {
        loop {
            let wait = self.with(|sessions, now, ms| {
                let due: Vec<String> = sessions.due(ms);
                due.iter().for_each(|id| sessions.tell(id, (now, ms), |call| call));
                sessions.held.retain(|_, session| session.over.is_none_or(|over| over.elapsed() < REMEMBERED));
                sessions.next(ms)
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.due.notified() => {}
            }
        }
    }
}

impl<V: Vault> Sessions<V> {
    /// Sessions that want to look now.
    pub fn due(&mut self, ms: u64) -> Vec<String> {
        let due =
            |session: &mut Session| session.tap.talking().look(SwitchCall::due).flatten().is_some_and(|at| at <= ms);
        self.held.iter_mut().filter_map(|(id, session)| due(session).then(|| id.clone())).collect()
    }
    /// When the next one wants to.
    pub fn next_due(&mut self) -> Option<u64> {
        self.held.values_mut().filter_map(|session| session.tap.talking().look(SwitchCall::due).flatten()).min()
    }
    /// How long nothing falls due.
    fn next(&mut self, ms: u64) -> Duration {
        Duration::from_millis(self.next_due().map_or(u64::MAX, |at| at.saturating_sub(ms))).min(LOOK)
    }
    /// The ways of cards that the list says are dead end.
    fn end_dead(&mut self, at: (Now, u64)) {
        let Ok(exchange) = self.switch.exchange() else { return };
        let dead = |(id, session): (&String, &mut Session)| {
            let (card, generation) = session.tap.talking().look(SwitchCall::card).flatten()?;
            exchange.anchors.is_dead(card, generation).then(|| id.clone())
        };
        let dead: Vec<String> = self.held.iter_mut().filter_map(dead).collect();
        dead.iter().for_each(|id| self.tell(id, at, |call| call.ended(CallEnd::CardBlocked)));
    }
    /// Ends all sessions that are on, and lets nobody begin any more. One that cannot be ended so is closed, and ends from what is stored.
    pub fn part(&mut self, at: (Now, u64)) {
        self.stopped = true;
        let on: Vec<String> =
            self.held.iter().filter(|(_, session)| session.over.is_none()).map(|(id, _)| id.clone()).collect();
        on.iter().for_each(|id| self.tell(id, at, |call| call.ended(CallEnd::SwitchRestarted)));
    }
    /// Whether somebody has not fetched yet what was said last.
    fn untold(&self) -> bool {
        self.held.values().any(|session| !session.words.is_empty())
    }
    /// Somebody's first word. Gives the session's name, or why there is none: too many have begun and paid nothing yet, or nobody may begin
    /// any more.
    ///
    /// # Errors
    /// [`SwitchError`]: it cannot charge.
    pub fn open(
        &mut self,
        service: &str,
        hello: &[u8],
        at: (Now, u64),
    ) -> Result<Result<String, &'static str>, SwitchError> {
        if self.stopped {
            return Ok(Err(STOPPED));
        }
        if self.held.values().filter(|session| !session.open && session.over.is_none()).count() >= WAITING {
            return Ok(Err(FULL));
        }
        let tap = self.switch.tap(service)?;
        let id: String = entropy::fresh().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let session = Session { tap, words: Vec::new(), open: false, over: None, told: Arc::new(Notify::new()) };
        self.held.insert(id.clone(), session);
        self.heard(&id, hello, at);
        Ok(Ok(id))
    }
    /// A frame of this session.
    pub fn heard(&mut self, id: &str, frame: &[u8], (now, ms): (Now, u64)) {
        let Some(session) = self.held.get_mut(id) else { return };
        session.tap.talking().tell(|call| call.at(ms));
        match session.tap.receive(frame, now, &mut self.switch.device) {
            Ok(step) => self.after(id, step, (now, ms)),
            // What is paid stays paid: the session ends, and its end is logged. Nothing can be said in it any more.
            Err(_) => {
                self.tell(id, (now, ms), |call| call.ended(CallEnd::NotAgreed));
                self.close(id);
            }
        }
    }
    /// The way is closed, whatever the conversation has come to.
    fn close(&mut self, id: &str) {
        let Some(session) = self.held.get_mut(id) else { return };
        session.open = false;
        session.over.get_or_insert_with(Instant::now);
        session.told.notify_one();
    }
    /// Tells a session something, and lets it look.
    pub fn tell(&mut self, id: &str, (now, ms): (Now, u64), change: impl FnOnce(SwitchCall) -> SwitchCall) {
        let Some(session) = self.held.get_mut(id) else { return };
        session.tap.talking().tell(|call| change(call.at(ms)));
        match session.tap.event(Event::Tick, now, &mut self.switch.device) {
            Ok(step) => self.after(id, step, (now, ms)),
            Err(_) => self.close(id),
        }
    }
    fn after(&mut self, id: &str, step: TapStep<SwitchNotice>, at: (Now, u64)) {
        let Some(session) = self.held.get_mut(id) else { return };
        session.words.extend(step.frames);
        let mut more: Option<fn(SwitchCall) -> SwitchCall> = None;
        let mut broke = false;
        for notice in step.notices {
            match notice {
                // Nobody rings: the way opens at once, and is paid for from here on.
                SwitchNotice::Proceed => {
                    session.open = true;
                    more = Some(SwitchCall::answered);
                }
                SwitchNotice::HangUp(CallEnd::PaidTimeOver) => more = Some(|call| call.ended(CallEnd::PaidTimeOver)),
                SwitchNotice::HangUp(_) => more = Some(|call| call.ended(CallEnd::HungUp)),
                SwitchNotice::Over(_) | SwitchNotice::Refused(_) => session.open = false,
                SwitchNotice::Failed(_) => {
                    session.open = false;
                    broke = true;
                }
                SwitchNotice::Warn(_) => {}
            }
        }
        if session.tap.is_over() {
            session.open = false;
            session.over.get_or_insert_with(Instant::now);
        }
        session.told.notify_one();
        if broke {
            // What is stored ends it (R8).
            let number = |held: &mut Session| held.tap.talking().look(SwitchCall::transaction).flatten();
            let held = self.held.values_mut().filter_map(number).collect();
            if let Err(error) = self.switch.end_others(&held, at.0) {
                tracing::error!(%error, "a session that broke off has not ended yet");
            }
        }
        if let Some(more) = more {
            self.tell(id, at, more);
        }
    }
    /// Whether the way of this session is open.
    pub fn is_open(&self, id: &str) -> bool {
        self.held.get(id).is_some_and(|session| session.open)
    }
    /// What a session has to say, and how it stands.
    pub fn fetch(&mut self, id: &str) -> Option<Fetched> {
        let session = self.held.get_mut(id)?;
        let words = std::mem::take(&mut session.words);
        Some((words, session.open, session.over.is_some(), session.told.clone()))
    }
}

fn said(status: StatusCode, words: Vec<Vec<u8>>, open: bool) -> Response {
    let body = words.into_iter().map(Bytes).collect::<Vec<_>>().to_bytes();
    let open = HeaderValue::from_static(if open { "true" } else { "false" });
    (status, [(OPEN, open)], body).into_response()
}

async fn service<V: Vault + Send + 'static>(State(hotspot): State<Arc<Hotspot<V>>>) -> String {
    hotspot.service.clone()
}

async fn open<V: Vault + Send + 'static>(State(hotspot): State<Arc<Hotspot<V>>>, hello: Body) -> Response {
    let opened = hotspot.with(|sessions, now, ms| {
        let begun = sessions.open(&hotspot.service, &hello, (now, ms))?;
        Ok::<_, SwitchError>(begun.map(|id| (sessions.fetch(&id), id)))
    });
    // Until when it waits for a request may be sooner than anything else.
    hotspot.due.notify_one();
    match opened {
        Ok(Ok((Some((words, open, ..)), id))) => {
            let mut response = said(StatusCode::CREATED, words, open);
            if let Ok(place) = HeaderValue::from_str(&format!("/v1/session/{id}")) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            response
        }
        Ok(Err(why)) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
        Ok(Ok((None, _))) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn heard<V: Vault + Send + 'static>(
    State(hotspot): State<Arc<Hotspot<V>>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    frame: Body,
) -> Response {
    if !frame.is_empty() {
        hotspot.with(|sessions, now, ms| sessions.heard(&id, &frame, (now, ms)));
        hotspot.due.notify_one();
    }
    // RFC 7240, 4.3.
    let wait = headers.get("prefer").and_then(|value| value.to_str().ok()?.strip_prefix("wait=")?.parse().ok());
    let until = tokio::time::Instant::now() + Duration::from_secs(wait.unwrap_or(0).min(WAIT));
    loop {
        let Some((words, open, over, told)) = hotspot.with(|sessions, _, _| sessions.fetch(&id)) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let late = tokio::time::Instant::now() >= until;
        if !words.is_empty() || over || late {
            return said(StatusCode::OK, words, open);
        }
        tokio::select! {
            () = told.notified() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

async fn stands<V: Vault + Send + 'static>(State(hotspot): State<Arc<Hotspot<V>>>, Path(id): Path<String>) -> Response {
    let stands = hotspot.with(|sessions, _, _| sessions.held.get(&id).map(|held| (held.open, held.over.is_some())));
    match stands {
        Some((open, over)) => {
            ([(header::CONTENT_TYPE, "application/json")], format!("{{\"open\":{open},\"over\":{over}}}"))
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn ended<V: Vault + Send + 'static>(State(hotspot): State<Arc<Hotspot<V>>>, Path(id): Path<String>) -> Response {
    let words = hotspot.with(|sessions, now, ms| {
        sessions.tell(&id, (now, ms), |call| call.ended(CallEnd::HungUp));
        sessions.fetch(&id)
    });
    match words {
        Some((words, open, ..)) => said(StatusCode::OK, words, open),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests;
