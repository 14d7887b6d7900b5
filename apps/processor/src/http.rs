//! The processor on the network: HTTP towards providers, one writer that commits what came together, the bank's line beside it.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/health` | - | `ok` |
//! | `GET /v1/processor` | - | `ProcessorInfo` |
//! | `POST /v1/messages` | CBOR array of envelopes | CBOR array of answers, in order |
//! | `POST /v1/operator` | JSON, with the operator's key | JSON |

use crate::line::drive::{Tell, Wire};
use crate::line::{LineEvent, Now};
use crate::{Effect, Prepared, Processor, ProcessorError, Shared, Work, operator};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tegata_core::Time;
use tegata_core::wire::canonical::{Bytes as Envelope, Wire as _};
use tegata_crypto_native::entropy::fresh;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Largest body of a request, in bytes.
const BODY: usize = 4 << 20;
/// How much one transaction takes at most.
const GROUP: usize = 1024;

/// How to serve.
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the bank listens.
    pub bank: SocketAddr,
    /// The key that opens the operator's line; none: it is closed.
    pub operator: Option<String>,
    /// Told the address once it listens.
    pub bound: Option<oneshot::Sender<SocketAddr>>,
}

/// What comes to the writer.
enum Input {
    Message(Box<Prepared>, oneshot::Sender<Vec<u8>>),
    Bank(u64, LineEvent),
    Operator(Value, oneshot::Sender<Value>),
    Stop,
}

#[derive(Clone)]
struct Front {
    shared: Arc<Shared>,
    writer: Sender<Input>,
    operator: Option<String>,
}

/// Serves until `shutdown` completes, and gives the processor back.
///
/// # Errors
/// [`ProcessorError::Listen`].
pub async fn run(
    processor: Processor,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Processor, ProcessorError> {
    let failed = |error: std::io::Error| ProcessorError::Listen {
        address: config.listen.to_string(),
        reason: error.to_string(),
    };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (writer, inputs) = channel();
    let front = Front { shared: processor.shared(), writer: writer.clone(), operator: config.operator };
    let bank = config.bank;
    let told = writer.clone();
    let tell: Tell = Arc::new(move |number, event| told.send(Input::Bank(number, event)).is_ok());
    let written = std::thread::spawn(move || write(processor, &inputs, Wire::new(bank, tell)));
    if let Some(bound) = config.bound {
        // Whoever asked may be gone; serving goes on.
        let _ = bound.send(address);
    }
    let app = Router::new()
        .route("/v1/health", get(|| async { "ok" }))
        .route("/v1/processor", get(info))
        .route("/v1/messages", post(messages))
        .route("/v1/operator", post(ask))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(front);
    let served = axum::serve(listener, app).with_graceful_shutdown(shutdown).await;
    // A writer that is gone has stopped.
    let _ = writer.send(Input::Stop);
    let processor = tokio::task::spawn_blocking(move || written.join()).await;
    served.map_err(failed)?;
    match processor {
        Ok(Ok(processor)) => Ok(processor),
        _ => Err(ProcessorError::Keys("the writer stopped unexpectedly; start the processor again".to_owned())),
    }
}

async fn info(State(front): State<Front>) -> Vec<u8> {
    front.shared.info.to_bytes()
}

async fn messages(State(front): State<Front>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let envelopes = Vec::<Envelope>::from_bytes(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let shared = front.shared.clone();
    let few = envelopes.len() <= 1;
    let prepare = move || envelopes.iter().map(|envelope| Prepared::new(&shared, &envelope.0)).collect::<Vec<_>>();
    // One is opened and checked where it came; more would hold up other connections.
    let prepared = match few {
        true => prepare(),
        false => tokio::task::spawn_blocking(prepare).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?,
    };
    let mut waiting = Vec::with_capacity(prepared.len());
    for one in prepared {
        let (done, answer) = oneshot::channel();
        front.writer.send(Input::Message(Box::new(one), done)).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        waiting.push(answer);
    }
    let mut answers = Vec::with_capacity(waiting.len());
    for answer in waiting {
        answers.push(Envelope(answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?));
    }
    Ok(answers.to_bytes())
}

/// The operator's line: closed to whoever does not hold the key.
async fn ask(State(front): State<Front>, headers: HeaderMap, body: Bytes) -> Result<String, StatusCode> {
    let key = front.operator.as_ref().ok_or(StatusCode::NOT_FOUND)?;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !operator::opens(given, key) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let question = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let (done, answer) = oneshot::channel();
    front.writer.send(Input::Operator(question, done)).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.to_string())
}

/// The one writer: takes what waits, does it in one transaction, carries out what follows.
fn write(mut processor: Processor, inputs: &Receiver<Input>, mut wire: Wire) -> Processor {
    let began = Instant::now();
    let now = || Now {
        time: Time(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())),
        ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let (mut waiting, mut ticket) = (BTreeMap::new(), 0);
    loop {
        let patience = Duration::from_millis(processor.wake_at().saturating_sub(now().ms));
        let first = match inputs.recv_timeout(patience.min(Duration::from_secs(60))) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return processor,
        };
        let mut works = Vec::new();
        for input in first.into_iter().chain(std::iter::from_fn(|| inputs.try_recv().ok())).take(GROUP) {
            match input {
                Input::Stop => {
                    wire.close();
                    return processor;
                }
                Input::Bank(number, event) if number == wire.number() => works.push(Work::Bank(event)),
                Input::Bank(..) => {}
                Input::Operator(question, done) => {
                    // Whoever asked may be gone; what was asked is done.
                    let _: Result<(), Value> = done.send(operator::answer(&mut processor, &question, now()));
                }
                Input::Message(prepared, done) => {
                    ticket += 1;
                    waiting.insert(ticket, done);
                    works.push(Work::Message(ticket, prepared));
                }
            }
        }
        for effect in processor.turn(works, now(), fresh()) {
            match effect {
                Effect::Connect => wire.connect(),
                Effect::Send(body) => wire.send(&body),
                Effect::Close => wire.close(),
                Effect::Reply(ticket, bytes) => {
                    if let Some(done) = waiting.remove(&ticket) {
                        // Whoever hung up asks again and gets the same answer.
                        let _: Result<(), Vec<u8>> = oneshot::Sender::send(done, bytes);
                    }
                }
            }
        }
    }
}
