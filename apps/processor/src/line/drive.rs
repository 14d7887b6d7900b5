//! The bank's line on the network: connects, frames, reads. It decides nothing; what happens is told to whoever drives the line.

use super::LineEvent;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tegata_iso8583::frame::{FrameReader, encode};

/// How long connecting and writing may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells what happened on the connection of this number; `false` once nobody listens any more.
pub(crate) type Tell = Arc<dyn Fn(u64, LineEvent) -> bool + Send + Sync>;

/// The latest connection's number, and its stream once it is made.
type Latest = Arc<Mutex<(u64, Option<TcpStream>)>>;

/// The connection to the bank. Each has a number: what earlier ones tell is void.
pub(crate) struct Wire {
    bank: SocketAddr,
    tell: Tell,
    latest: Latest,
}

fn lock(latest: &Latest) -> MutexGuard<'_, (u64, Option<TcpStream>)> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    pub(crate) fn new(bank: SocketAddr, tell: Tell) -> Self {
        Self { bank, tell, latest: Arc::default() }
    }
    /// The number of the latest connection.
    pub(crate) fn number(&self) -> u64 {
        lock(&self.latest).0
    }
    /// Makes a new connection beside whatever else there is to do; what becomes of it is told.
    pub(crate) fn connect(&mut self) {
        self.close();
        let (bank, number, tell, latest) = (self.bank, self.number(), self.tell.clone(), self.latest.clone());
        std::thread::spawn(move || {
            let made = TcpStream::connect_timeout(&bank, PATIENCE);
            let Ok((reading, writing)) = made.and_then(|stream| Ok((stream.try_clone()?, stream))) else {
                tell(number, LineEvent::Lost);
                return;
            };
            // Without them writing is slower or may take longer, and works.
            let _ = writing.set_nodelay(true);
            let _ = writing.set_write_timeout(Some(PATIENCE));
            {
                let mut latest = lock(&latest);
                if latest.0 != number {
                    return;
                }
                latest.1 = Some(writing);
            }
            if tell(number, LineEvent::Connected) {
                read(reading, number, &tell);
            }
        });
    }
    /// Sends a frame; a connection that does not take it is given up.
    pub(crate) fn send(&mut self, body: &[u8]) {
        let (number, sent) = {
            let mut latest = lock(&self.latest);
            let Some(stream) = &mut latest.1 else { return };
            let sent = encode(body).map_err(std::io::Error::other).and_then(|frame| stream.write_all(&frame));
            (latest.0, sent)
        };
        if sent.is_err() {
            drop_stream(&mut lock(&self.latest).1);
            (self.tell)(number, LineEvent::Lost);
        }
    }
    /// Drops the connection; nothing more is heard of it.
    pub(crate) fn close(&mut self) {
        let mut latest = lock(&self.latest);
        latest.0 += 1;
        drop_stream(&mut latest.1);
    }
}

fn drop_stream(stream: &mut Option<TcpStream>) {
    if let Some(stream) = stream.take() {
        // Broken already is as good.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn read(mut stream: TcpStream, number: u64, tell: &Tell) {
    let (mut reader, mut buffer) = (FrameReader::new(), [0; 4096]);
    loop {
        let len = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(len) => len,
        };
        let mut from = &buffer[..len];
        loop {
            match reader.next(&mut from) {
                Ok(Some(body)) => {
                    if !tell(number, LineEvent::Received(body)) {
                        return;
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    tell(number, LineEvent::Lost);
                    return;
                }
            }
        }
    }
    tell(number, LineEvent::Lost);
}
