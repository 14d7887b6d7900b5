//! The switch's line to the provider, on a thread of its own: calls go on while an answer is awaited.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tegata_device::{Post, PostError, post_one};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Carries one envelope at a time, and brings its answer.
pub struct Courier {
    /// How often the switch updates.
    pub every: Duration,
    envelopes: Sender<Vec<u8>>,
    answers: UnboundedReceiver<Result<Vec<u8>, PostError>>,
}

impl Courier {
    /// One that posts by this line, opened when it is needed first and again after it has failed. Its thread ends with it, once the
    /// answer that it waits for has come.
    pub fn new<P: Post>(every: Duration, mut open: impl FnMut() -> Result<P, PostError> + Send + 'static) -> Self {
        let (envelopes, asked) = channel::<Vec<u8>>();
        let (told, answers) = unbounded_channel();
        std::thread::spawn(move || {
            let mut line: Option<P> = None;
            while let Ok(envelope) = asked.recv() {
                let opened = line.take().map_or_else(&mut open, Ok);
                let answer = opened.and_then(|mut post| {
                    let answer = post_one(&mut post, envelope)?;
                    line = Some(post);
                    Ok(answer)
                });
                if told.send(answer).is_err() {
                    return;
                }
            }
        });
        Self { every, envelopes, answers }
    }
    /// Sends this. Says whether there is anybody who does.
    pub(crate) fn send(&self, envelope: Vec<u8>) -> bool {
        self.envelopes.send(envelope).is_ok()
    }
    /// The next answer; `None`: there is nobody any more who brings one.
    pub(crate) async fn answer(&mut self) -> Option<Result<Vec<u8>, PostError>> {
        self.answers.recv().await
    }
}
