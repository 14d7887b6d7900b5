//! The provider on the network: HTTP in front, signatures checked on all cores, one writer that commits many messages
//! at once.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/health` | - | `ok` |
//! | `GET /v1/provider` | - | `ProviderInfo` |
//! | `GET /v1/processor` | - | `SignedCertificate` of the processor |
//! | `POST /v1/messages` | CBOR array of envelopes | CBOR array of answers, in order |
//! | `POST /v1/operator` | JSON, with the operator's key | JSON |

use crate::{Answered, Incoming, Provider, ProviderError, Said, Shared, ToProcessor, line, operator};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tegata_core::wire::canonical::{Bytes as Envelope, Wire};
use tegata_core::{Hash, Time};
use tegata_crypto_native::entropy::fresh;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

/// Largest body of a request, in bytes.
const BODY: usize = 16 << 20;
/// A body that is opened and verified at once where it came, in bytes: one message with a few signatures.
const SMALL: usize = 4096;
/// How many messages one transaction takes at most.
const GROUP: usize = 1024;
/// How many requests wait for the writer before others wait outside.
const QUEUE: usize = 64;

/// Where the time comes from; tests and the replay set their own.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// The clock of the operating system.
pub fn system_clock() -> Clock {
    Arc::new(|| Time(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())))
}

/// How to serve.
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The time.
    pub clock: Clock,
    /// Told the address once it listens.
    pub bound: Option<oneshot::Sender<SocketAddr>>,
    /// The operator's line.
    pub operator: Option<OperatorLine>,
}

/// Who may ask as the operator, and what only replays let the operator do.
#[derive(Clone)]
pub struct OperatorLine {
    /// The key that opens the line.
    pub key: String,
    /// The clock that the operator sets, in UTC seconds; absent: the operator cannot.
    pub clock: Option<Arc<AtomicU64>>,
}

/// One request on its way to the writer.
pub(crate) struct Job {
    incoming: Vec<Incoming>,
    /// How many seconds whoever asks may be held.
    patience: u64,
    done: oneshot::Sender<Option<Vec<Vec<u8>>>>,
}

/// One question of the operator on its way to the writer.
pub(crate) struct Ask {
    question: Value,
    done: oneshot::Sender<Value>,
}

/// What the writer does, in the order in which it came.
pub(crate) enum Work {
    Messages(Job),
    Operator(Ask),
    /// A request that turned out to be none.
    Nothing(oneshot::Sender<Option<Vec<Vec<u8>>>>),
    /// The line to the processor asks what to send.
    Due(oneshot::Sender<Vec<ToProcessor>>),
    /// What the processor answered.
    Answered(Vec<Answered>),
    /// A wallet asks to whom it seals a bank card.
    Processor(oneshot::Sender<Option<Vec<u8>>>),
}

/// What a request handler needs.
#[derive(Clone)]
struct Front {
    shared: Arc<Shared>,
    writer: mpsc::Sender<Work>,
    /// Requests that are being opened and verified, each of which will bring the writer one work.
    coming: Arc<AtomicUsize>,
    clock: Clock,
    operator: Option<OperatorLine>,
    stop: Arc<Notify>,
}

/// Serves until `shutdown` completes; then finishes what was begun and gives the provider back.
///
/// # Errors
/// [`ProviderError::Listen`].
pub async fn run(
    provider: Provider,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Provider, ProviderError> {
    let failed =
        |error: std::io::Error| ProviderError::Listen { address: config.listen.to_string(), reason: error.to_string() };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (writer, jobs) = mpsc::channel(QUEUE);
    let coming = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(Notify::new());
    let (wake, to_line) = (Arc::new(Notify::new()), writer.downgrade());
    let front = Front {
        shared: provider.shared(),
        writer,
        coming: coming.clone(),
        clock: config.clock.clone(),
        operator: config.operator,
        stop: stop.clone(),
    };
    let shutdown = async move {
        tokio::select! {
            () = shutdown => {}
            () = stop.notified() => {}
        }
    };
    let clock = config.clock.clone();
    let line = tokio::spawn(line::run(to_line, wake.clone()));
    let written = std::thread::spawn(move || write(provider, jobs, &coming, &clock, &wake));
    if let Some(bound) = config.bound {
        // Whoever asked may be gone; serving goes on.
        let _ = bound.send(address);
    }
    let served = axum::serve(listener, app(front)).with_graceful_shutdown(shutdown).await;
    // What it was about to send is durable, and goes out when the provider is up again.
    line.abort();
    let provider = tokio::task::spawn_blocking(move || written.join()).await;
    served.map_err(failed)?;
    match provider {
        Ok(Ok(provider)) => Ok(provider),
        _ => Err(ProviderError::Keys("the writer stopped unexpectedly; start the provider again".to_owned())),
    }
}

fn app(front: Front) -> Router {
    Router::new()
        .route("/v1/health", get(|| async { "ok" }))
        .route("/v1/provider", get(info))
        .route("/v1/processor", get(processor))
        .route("/v1/messages", post(messages))
        .route("/v1/operator", post(ask))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(front)
}

async fn info(State(front): State<Front>) -> Vec<u8> {
    front.shared.info.to_bytes()
}

async fn processor(State(front): State<Front>) -> Result<Vec<u8>, StatusCode> {
    let (done, answer) = oneshot::channel();
    front.writer.send(Work::Processor(done)).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.ok_or(StatusCode::NOT_FOUND)
}

async fn messages(State(front): State<Front>, headers: HeaderMap, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let (done, answers) = oneshot::channel();
    let preferred = headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wait = preferred.split(',').find_map(|one| one.trim().strip_prefix("wait=")?.parse::<u64>().ok());
    let patience = wait.unwrap_or(0).min(HOLD);
    // A task of its own: the writer may be waiting for it, also if this connection is gone.
    tokio::spawn(bring(front, body, patience, done));
    let answers = answers.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.ok_or(StatusCode::BAD_REQUEST)?;
    Ok(answers.into_iter().map(Envelope).collect::<Vec<_>>().to_bytes())
}

/// Opens and verifies what came, on all cores, and brings it to the writer.
async fn bring(front: Front, body: Bytes, patience: u64, done: oneshot::Sender<Option<Vec<Vec<u8>>>>) {
    let Front { shared, writer, coming, clock, .. } = front;
    let small = body.len() <= SMALL;
    let now = clock();
    coming.fetch_add(1, Ordering::SeqCst);
    let prepare = move || {
        let envelopes = Vec::<Envelope>::from_bytes(&body).ok()?;
        Some(Incoming::prepare_all(&shared, &envelopes, now))
    };
    // A few signatures are checked where they came; more would hold up other connections.
    let prepared = if small { prepare() } else { tokio::task::spawn_blocking(prepare).await.ok().flatten() };
    let work = match prepared {
        Some(mut incoming) => {
            if let [one] = incoming.as_mut_slice() {
                one.patient = patience > 0;
            }
            Work::Messages(Job { incoming, patience, done })
        }
        None => Work::Nothing(done),
    };
    // Before it is sent: whoever is still counted brings one work more, so the writer never waits in vain.
    coming.fetch_sub(1, Ordering::SeqCst);
    // A writer that is gone drops the work, and whoever asked hears that the provider is away.
    let _ = writer.send(work).await;
}

/// The operator's line: closed to whoever does not hold the key.
async fn ask(State(front): State<Front>, headers: HeaderMap, body: Bytes) -> Result<String, StatusCode> {
    let line = front.operator.as_ref().ok_or(StatusCode::NOT_FOUND)?;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Hashes are compared, so that the time it takes says nothing about the key.
    if Hash::of(given.as_bytes()) != Hash::of(format!("Bearer {}", line.key).as_bytes()) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let question: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    match (question.get("do").and_then(Value::as_str), &line.clock) {
        (Some("stop"), _) => {
            front.stop.notify_one();
            return Ok(json!({ "stopping": true }).to_string());
        }
        (Some("clock"), Some(clock)) => {
            let time = question.get("time").and_then(Value::as_u64).ok_or(StatusCode::BAD_REQUEST)?;
            clock.store(time, Ordering::SeqCst);
            return Ok(json!({ "clock": time }).to_string());
        }
        _ => {}
    }
    let (done, answer) = oneshot::channel();
    let sent = front.writer.send(Work::Operator(Ask { question, done })).await;
    sent.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.to_string())
}

/// Tells whoever asked that it was no request; who asked may be gone.
fn refuse(done: oneshot::Sender<Option<Vec<Vec<u8>>>>) {
    let _ = done.send(None);
}

/// How long whoever asked for what is not known yet is held at most, in seconds, if it wants that (`Prefer: wait=N`, RFC 7240):
/// it is answered the moment it is known, and need not ask again and again.
const HOLD: u64 = 10;

/// Those who asked for what is not known yet, by what they wait for.
#[derive(Default)]
struct Held(BTreeMap<Hash, Vec<(Job, Time)>>);

impl Held {
    /// Answers a job, or holds it: one message that asks for what is not known yet.
    fn answer(&mut self, job: Job, said: Vec<Said>, now: Time) {
        match said.as_slice() {
            [Said { waits_for: Some(offer), .. }] if job.incoming.first().is_some_and(|one| one.patient) => {
                let until = now.after(job.patience);
                self.0.entry(*offer).or_default().push((job, until));
            }
            _ => reply(job, said),
        }
    }
    /// Asks anew for all whose wait went on, and for those who have waited long enough, who are answered either way.
    fn look(&mut self, provider: &mut Provider, now: Time) {
        let moved = provider.moved();
        let mut again: Vec<(Job, Time)> = moved.iter().filter_map(|offer| self.0.remove(offer)).flatten().collect();
        for jobs in self.0.values_mut() {
            let (late, still): (Vec<_>, Vec<_>) =
                jobs.drain(..).partition(|(job, until)| *until <= now || job.done.is_closed());
            let impatient = |(mut job, until): (Job, Time)| {
                job.incoming.iter_mut().for_each(|one| one.patient = false);
                (job, until)
            };
            again.extend(late.into_iter().map(impatient));
            *jobs = still;
        }
        self.0.retain(|_, jobs| !jobs.is_empty());
        let (jobs, until): (Vec<_>, Vec<_>) = again.into_iter().unzip();
        for ((job, said), until) in commit(provider, jobs, now).into_iter().zip(until) {
            match said.as_slice() {
                [Said { waits_for: Some(offer), answer }] if answer.is_empty() => {
                    self.0.entry(*offer).or_default().push((job, until));
                }
                _ => reply(job, said),
            }
        }
    }
}

/// Many jobs in one transaction; each with what its messages are answered.
fn commit(provider: &mut Provider, mut jobs: Vec<Job>, now: Time) -> Vec<(Job, Vec<Said>)> {
    if jobs.is_empty() {
        return Vec::new();
    }
    let sizes: Vec<usize> = jobs.iter().map(|job| job.incoming.len()).collect();
    let mut incoming: Vec<Incoming> = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.incoming)).collect();
    let mut answers = provider.commit(&incoming, now, fresh()).into_iter();
    let mut rest = incoming.drain(..);
    let with = |(mut job, size): (Job, usize)| {
        job.incoming = rest.by_ref().take(size).collect();
        (job, answers.by_ref().take(size).collect())
    };
    jobs.into_iter().zip(sizes).map(with).collect()
}

fn reply(job: Job, said: Vec<Said>) {
    // A client that hung up asks again and gets the same answer.
    let _ = job.done.send(Some(said.into_iter().map(|said| said.answer).collect()));
}

/// Wakes the line to the processor, if something waits for it.
fn call(provider: &Provider, wake: &Notify) {
    if provider.is_asking() {
        wake.notify_one();
    }
}

/// The one writer: takes what waits and what was on its way when it began, commits it in one transaction, answers.
fn write(
    mut provider: Provider,
    mut works: mpsc::Receiver<Work>,
    coming: &AtomicUsize,
    clock: &Clock,
    wake: &Notify,
) -> Provider {
    let mut held = Held::default();
    loop {
        let first = match works.try_recv() {
            Ok(work) => Some(work),
            // Nobody waits: tickets of a change have their turn.
            Err(mpsc::error::TryRecvError::Empty) if provider.is_changing() => None,
            Err(_) => match works.blocking_recv() {
                Some(work) => Some(work),
                None => break,
            },
        };
        let (mut jobs, mut answered) = (Vec::new(), Vec::new());
        // What is being opened and verified at this moment goes into the same transaction: one sync for all of them.
        let mut expected = coming.load(Ordering::SeqCst);
        let mut next = first;
        let mut count = 0;
        while let Some(work) = next.take() {
            match work {
                Work::Messages(job) => {
                    count += job.incoming.len();
                    expected = expected.saturating_sub(1);
                    jobs.push(job);
                }
                Work::Nothing(done) => {
                    expected = expected.saturating_sub(1);
                    refuse(done);
                }
                Work::Answered(answers) => {
                    count += answers.len();
                    answered.extend(answers);
                }
                Work::Operator(Ask { question, done }) => {
                    // Whoever asked may be gone; what was asked is done.
                    let _ = done.send(operator::answer(&mut provider, &question, clock(), fresh()));
                }
                Work::Due(line) => {
                    // A line that is gone asks again when the provider is up again.
                    let _ = line.send(provider.to_processor(clock(), fresh()).unwrap_or_else(|error| {
                        tracing::error!(%error, "what the processor is to be asked could not be read");
                        Vec::new()
                    }));
                }
                Work::Processor(done) => {
                    // Whoever asked may be gone; one that cannot be read is none.
                    let _ = done.send(provider.processor_certificate(clock()).ok().flatten());
                }
            }
            if count < GROUP {
                next = match works.try_recv() {
                    Ok(work) => Some(work),
                    Err(_) if expected > 0 => works.blocking_recv(),
                    Err(_) => None,
                };
            }
        }
        for (job, said) in commit(&mut provider, jobs, clock()) {
            held.answer(job, said, clock());
        }
        if !answered.is_empty()
            && let Err(error) = provider.from_processor(&answered, clock(), fresh())
        {
            // What could not be recorded is asked for again.
            tracing::error!(%error, "an answer of the processor could not be recorded");
        }
        // One piece after what waited, so that neither holds up the other.
        if provider.is_changing() {
            provider.change_on(clock(), fresh());
        }
        held.look(&mut provider, clock());
        call(&provider, wake);
    }
    provider
}
