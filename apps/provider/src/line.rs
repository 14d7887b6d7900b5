//! The line to the processor: what the provider put down for it goes out sealed, each request in a task of its own, so that a
//! slow bank holds up nobody else; what comes back is opened and given to the writer.

use crate::http::Work;
use crate::{Answered, ToProcessor};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::sealed::Sealed;
use tegata_core::{PartyId, RequestNumber};
use tegata_crypto_native::Channel;
use tegata_crypto_native::entropy::fresh;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

/// How often it looks for what is due again.
const LOOK: Duration = Duration::from_secs(1);
/// The processor itself waits for its bank, and then says that it does not know yet.
const ANSWER: Duration = Duration::from_secs(60);
/// How many requests are on their way at once: a processor that takes them and says nothing does not use up the sockets.
const ROOM: usize = 64;

/// Why nothing was heard of a request. It is sent again; nothing is concluded from it (R26).
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("the processor cannot be reached: {0}")]
    Away(#[from] reqwest::Error),
    #[error("the processor's answer cannot be opened")]
    Odd,
}

/// Carries requests until the writer is gone.
pub(crate) async fn run(writer: mpsc::WeakSender<Work>, wake: Arc<Notify>) {
    let client = reqwest::Client::builder().timeout(ANSWER).tcp_nodelay(true).no_proxy().build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "no line to the processor");
            return;
        }
    };
    let room = Arc::new(Semaphore::new(ROOM));
    let flying: Arc<Mutex<BTreeSet<RequestNumber>>> = Arc::default();
    let channel: Kept = Arc::default();
    loop {
        let (asked, due) = oneshot::channel();
        if !give(&writer, Work::Due(asked)).await {
            return;
        }
        for request in due.await.unwrap_or_default() {
            let number = request.number;
            let Ok(place) = room.clone().acquire_owned().await else { return };
            if !flying.lock().unwrap_or_else(PoisonError::into_inner).insert(number) {
                continue;
            }
            let (client, writer, flying, channel) = (client.clone(), writer.clone(), flying.clone(), channel.clone());
            tokio::spawn(async move {
                let answer = carry(&client, request, &channel).await;
                drop(place);
                flying.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                match answer {
                    // A writer that is gone has it asked again when the provider is up again.
                    Ok(answer) => drop(give(&writer, Work::Answered(vec![Answered { number, answer }])).await),
                    Err(error) => tracing::warn!(%number, %error, "a request to the processor is not answered yet"),
                }
            });
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Gives the writer something to do; whether it is still there. The line does not keep it alive.
async fn give(writer: &mpsc::WeakSender<Work>, work: Work) -> bool {
    match writer.upgrade() {
        Some(writer) => writer.send(work).await.is_ok(),
        None => false,
    }
}

/// The channel that the processor knows, with whom it was set up.
type Kept = Arc<Mutex<Option<(PartyId, Channel)>>>;

/// One request, sealed, and its answer, opened; by HPKE again where the processor has forgotten the channel.
async fn carry(client: &reqwest::Client, request: ToProcessor, kept: &Kept) -> Result<Vec<u8>, LineError> {
    let known = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let known = known.filter(|(processor, _)| *processor == request.processor).map(|(_, channel)| channel);
    if let Some(channel) = &known {
        match once(client, &request, Some(channel)).await {
            Err(LineError::Odd) => *kept.lock().unwrap_or_else(PoisonError::into_inner) = None,
            answered => return answered.map(|(answer, _)| answer),
        }
    }
    let (answer, channel) = once(client, &request, None).await?;
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((request.processor, channel));
    Ok(answer)
}

async fn once(
    client: &reqwest::Client,
    request: &ToProcessor,
    channel: Option<&Channel>,
) -> Result<(Vec<u8>, Channel), LineError> {
    let (envelope, channel) = request.seal(channel, fresh()).map_err(|_| LineError::Odd)?;
    let body = vec![Bytes(envelope.to_bytes())].to_bytes();
    let sent = client.post(format!("{}/v1/messages", request.url)).body(body).send().await?.error_for_status()?;
    let answers = Vec::<Bytes>::from_bytes(&sent.bytes().await?).map_err(|_| LineError::Odd)?;
    let [answer] = answers.as_slice() else {
        return Err(LineError::Odd);
    };
    let reply = Sealed::from_bytes(&answer.0).map_err(|_| LineError::Odd)?;
    Ok((channel.open_reply(&envelope, &reply).map_err(|_| LineError::Odd)?, channel))
}
