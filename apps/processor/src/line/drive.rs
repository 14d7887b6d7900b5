//! The bank's line on the network: connects, frames, reads. It decides nothing; what happens is told to whoever drives the line.

use super::LineEvent;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;
use tegata_iso8583::frame::{FrameReader, encode};

/// How long connecting and writing may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells what happened on the connection of this number; `false` once nobody listens any more.
pub(crate) type Tell = std::sync::Arc<dyn Fn(u64, LineEvent) -> bool + Send + Sync>;

/// The connection that is there, and the number of the latest.
pub(crate) struct Wire {
    bank: SocketAddr,
    tell: Tell,
    number: u64,
    stream: Option<TcpStream>,
}

impl Wire {
    pub(crate) fn new(bank: SocketAddr, tell: Tell) -> Self {
        Self { bank, tell, number: 0, stream: None }
    }
    /// The number of the latest connection: what earlier ones tell is void.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
    /// Makes a new connection; what becomes of it is told.
    pub(crate) fn connect(&mut self) {
        self.close();
        let (number, tell) = (self.number, self.tell.clone());
        match TcpStream::connect_timeout(&self.bank, PATIENCE).and_then(|stream| Ok((stream.try_clone()?, stream))) {
            Ok((reading, writing)) => {
                // Without them writing is slower or may take longer, and works.
                let _ = writing.set_nodelay(true);
                let _ = writing.set_write_timeout(Some(PATIENCE));
                self.stream = Some(writing);
                tell(number, LineEvent::Connected);
                std::thread::spawn(move || read(reading, number, &tell));
            }
            Err(_) => drop(tell(number, LineEvent::Lost)),
        }
    }
    /// Sends a frame; a connection that does not take it is given up.
    pub(crate) fn send(&mut self, body: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        let sent = encode(body).map_err(std::io::Error::other).and_then(|frame| stream.write_all(&frame));
        if sent.is_err() {
            let number = self.number;
            self.drop_stream();
            (self.tell)(number, LineEvent::Lost);
        }
    }
    /// Drops the connection; nothing more is heard of it.
    pub(crate) fn close(&mut self) {
        self.number += 1;
        self.drop_stream();
    }
    fn drop_stream(&mut self) {
        if let Some(stream) = self.stream.take() {
            // Broken already is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
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
